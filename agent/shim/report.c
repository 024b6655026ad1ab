#include "agent/shim/report.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

void shim_report_send(int fd, const char *stage, int error, const char *text)
{
        struct shim_report r = {.error = error < 0 ? -error : error};
        size_t i;

        for (i = 0; stage[i] && i + 1 < sizeof(r.stage); i++)
                r.stage[i] = stage[i];
        for (i = 0; text[i] && i + 1 < sizeof(r.text); i++)
                r.text[i] = text[i];
        /* Nobody is left to tell when this fails; the exit is still seen. */
        if (write(fd, &r, sizeof(r)) < 0)
                return;
}

int shim_report_ready(int fd, const uint64_t phase_ns[static SHIM_PHASE_MAX])
{
        struct shim_report r = {.error = 0};

        memcpy(r.phase_ns, phase_ns, sizeof(r.phase_ns));
        return write(fd, &r, sizeof(r)) < 0 ? -errno : 0;
}
