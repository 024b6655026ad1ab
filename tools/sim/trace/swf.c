/* The Standard Workload Format: lines of 18 numbers, -1 for what is not known; comments begin with ';'. */

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/sim/trace/trace.h"

enum swf_field {
        SWF_SUBMIT = 1,        /* seconds */
        SWF_RUN = 3,           /* seconds */
        SWF_PROCESSORS = 4,    /* allocated */
        SWF_MEMORY = 6,        /* KB a processor, used */
        SWF_WANTED = 7,        /* processors */
        SWF_WANTED_TIME = 8,   /* seconds */
        SWF_WANTED_MEMORY = 9, /* KB a processor */
        SWF_USER = 11,
        SWF_PROGRAM = 13,
        SWF_QUEUE = 14,
        SWF_FIELDS = 18,
};
#define SECONDS_MAX 1e10
#define AMOUNT_MAX 1e9
#define USER_MAX 1e6 /* users are counted in a table up to the highest number */
#define NS_MAX (SECONDS_MAX * 1e9)
#define MEMORY_MAX 0x1p53 /* bytes: what is made of them later fits into 64 bits */
#define LINE_SHOWN 60
#define MEMORY_DEFAULT_KB 1024.0 /* of a processor, where the trace knows none */

static int parse_fields(const char *line, double ret[SWF_FIELDS])
{
        for (int i = 0; i < SWF_FIELDS; i++) {
                char *end;

                ret[i] = strtod(line, &end);
                if (end == line || !isfinite(ret[i]))
                        return -EINVAL;
                line = end;
        }
        return line[strspn(line, " \t\r\n")] == '\0' ? 0 : -EINVAL;
}

static double first_known(double a, double b, double otherwise)
{
        return a > 0 ? a : b > 0 ? b : otherwise;
}

static uint32_t number_of(double field)
{
        return field >= 0 && field < UINT32_MAX ? (uint32_t)field : 0;
}

/* What is there at all is at least one. */
static uint64_t amount_of(double value, double max)
{
        return value < 1 ? 1 : (uint64_t)MIN(value, max);
}

/* False: it never ran. */
static bool job_of(const double f[SWF_FIELDS], struct trace_job *ret)
{
        double processors = first_known(f[SWF_PROCESSORS], f[SWF_WANTED], 0);
        double memory = first_known(f[SWF_MEMORY], f[SWF_WANTED_MEMORY], MEMORY_DEFAULT_KB);

        if (f[SWF_RUN] <= 0 || processors <= 0)
                return false;
        *ret = (struct trace_job){
                .submit_ns = (uint64_t)(MAX(f[SWF_SUBMIT], 0.0) * 1e9),
                .run_ns = amount_of(f[SWF_RUN] * 1e9, NS_MAX),
                .requested_ns = f[SWF_WANTED_TIME] > 0 ? amount_of(f[SWF_WANTED_TIME] * 1e9, NS_MAX) : 0,
                .milli_cpus = amount_of(processors * 1000, AMOUNT_MAX * 1000),
                .memory_bytes = amount_of(memory * processors * 1024, MEMORY_MAX),
                .user = number_of(f[SWF_USER]),
                .program = number_of(f[SWF_PROGRAM]),
                .priority = 500 + (f[SWF_QUEUE] > 0 ? MIN(number_of(f[SWF_QUEUE]), 400u) : 0),
        };
        return true;
}

static int check_ranges(const double f[SWF_FIELDS])
{
        if (f[SWF_SUBMIT] > SECONDS_MAX || f[SWF_RUN] > SECONDS_MAX || f[SWF_WANTED_TIME] > SECONDS_MAX ||
                f[SWF_PROCESSORS] > AMOUNT_MAX || f[SWF_WANTED] > AMOUNT_MAX || f[SWF_MEMORY] > AMOUNT_MAX ||
                f[SWF_WANTED_MEMORY] > AMOUNT_MAX || f[SWF_USER] > USER_MAX)
                return -ERANGE;
        return 0;
}

static int compare_submit(const void *a, const void *b)
{
        const struct trace_job *x = a, *y = b;

        return x->submit_ns < y->submit_ns ? -1 : x->submit_ns > y->submit_ns;
}

static void begin_at_zero(struct trace *t)
{
        uint64_t first;

        if (t->count == 0)
                return;
        qsort(t->jobs, t->count, sizeof(*t->jobs), compare_submit);
        first = t->jobs[0].submit_ns;
        for (size_t i = 0; i < t->count; i++)
                t->jobs[i].submit_ns -= first;
}

static int take_line(struct trace *t, const char *path, size_t number, const char *line, struct error *e)
{
        double fields[SWF_FIELDS];
        struct trace_job job;

        line += strspn(line, " \t\r\n");
        if (*line == '\0' || *line == ';')
                return 0;
        if (parse_fields(line, fields) < 0)
                return error_set(
                        e, -EINVAL, "%s:%zu: 18 numbers are expected: %.*s", path, number, LINE_SHOWN, line);
        if (check_ranges(fields) < 0)
                return error_set(e, -EINVAL,
                        "%s:%zu: at most %g seconds, %g processors, %g KB and user %g are accepted", path,
                        number, SECONDS_MAX, AMOUNT_MAX, AMOUNT_MAX, USER_MAX);
        if (job_of(fields, &job))
                trace_add(t, &job);
        else
                t->left_out++;
        return 0;
}

int trace_read_swf(const char *path, size_t max, struct trace *ret, struct error *e)
{
        _cleanup_trace_ struct trace t = {};
        CLEANUP(cleanup_file) FILE *f = fopen(path, "re");
        _cleanup_free_ char *line = NULL;
        size_t size = 0, number = 0;
        int r = 0;

        if (!f)
                return error_set(e, -errno, "%s: %s", path, strerror(errno));
        if (max == 0 || max > TRACE_JOBS_MAX)
                max = TRACE_JOBS_MAX;
        while (r >= 0 && t.count < max && getline(&line, &size, f) >= 0)
                r = take_line(&t, path, ++number, line, e);
        if (r >= 0 && ferror(f))
                r = error_set(e, -EIO, "%s: it cannot be read", path);
        if (r < 0)
                return r;
        if (t.count == 0)
                return error_set(e, -EINVAL, "%s: no job that ran is in it", path);
        begin_at_zero(&t);
        *ret = t;
        t = (struct trace){};
        return 0;
}
