#include "agent/shim/report.h"

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
