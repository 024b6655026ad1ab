/* Traces in the Standard Workload Format: what is read is in order and begins at zero, and every job ran. */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tools/sim/trace/trace.h"

#define INPUT_MAX 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct trace *t)
{
        if (t->count == 0 || t->jobs[0].submit_ns != 0)
                abort();
        for (size_t i = 0; i < t->count; i++)
                if (t->jobs[i].run_ns == 0 || t->jobs[i].milli_cpus == 0 || t->jobs[i].memory_bytes == 0 ||
                        (i > 0 && t->jobs[i].submit_ns < t->jobs[i - 1].submit_ns))
                        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_trace_ struct trace t = {};
        _cleanup_fd_ int fd = memfd_create("trace", MFD_CLOEXEC);
        _cleanup_error_ struct error e = {};
        char path[64];
        int r;

        if (size > INPUT_MAX)
                return 0;
        if (fd < 0 || write(fd, data, size) != (ssize_t)size)
                abort();
        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        r = trace_read_swf(path, 0, &t, &e);
        if ((r < 0) != (e.message != NULL))
                abort();
        if (r >= 0)
                check(&t);
        return 0;
}
