/*
 * Job files, as `mete validate` reads them: with what is wrong in them, by line and path, or with their jobs in an order in which each
 * comes after those that it waits for.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tools/mete/job_file.h"

#define INPUT_MAX 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_problems(const struct job_file *f, const uint8_t *data, size_t size)
{
        static FILE *nowhere;
        unsigned lines = 1;

        for (size_t i = 0; i < size; i++)
                lines += data[i] == '\n';
        for (size_t i = 0; i < f->problem_count; i++)
                if (str_empty(f->problems[i].message) || f->problems[i].line > lines)
                        abort();
        if (!nowhere)
                nowhere = fopen("/dev/null", "we");
        job_file_print_problems(f, nowhere);
}

static void check_order(const struct job_file *f)
{
        size_t count = f->file->n_jobs, *place = xcalloc(count + 1, sizeof(*place));

        for (size_t i = 0; i < count; i++)
                place[f->order[i]] = i + 1;
        for (size_t i = 0; i < count; i++)
                for (size_t k = 0; k < f->file->jobs[i]->n_after; k++) {
                        size_t before;

                        if (place[i] == 0 ||
                                (job_file_find(f, f->file->jobs[i]->after[k]->job, &before) >= 0 &&
                                        place[before] >= place[i]))
                                abort();
                }
        free(place);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_fd_ int fd = memfd_create("jobs", MFD_CLOEXEC);
        _cleanup_error_ struct error e = {};
        struct job_file f = {};
        char path[64];

        if (size > INPUT_MAX)
                return 0;
        if (fd < 0 || write(fd, data, size) != (ssize_t)size)
                abort();
        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        if (job_file_read(path, &f, &e) < 0)
                abort(); /* it is there, and not too large */
        if (!f.file && f.problem_count == 0)
                abort();
        check_problems(&f, data, size);
        if (f.problem_count == 0)
                check_order(&f);
        job_file_done(&f);
        return 0;
}
