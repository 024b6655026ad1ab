/*
 * Times several commands against each other: one run of each per round, in turn, so that noise of the machine
 * falls on all alike. Every command prints CLOCK_MONOTONIC in nanoseconds when its payload starts ("payload
 * stamp"): the time from spawn to that is "to execve", the time from spawn to exit is "whole". Prints
 * medians, 99th percentiles and ratios to the first command; --json for machines.
 *
 * usage: interleave [--rounds N] [--warmup N] [--json] NAME=FILE...    FILE holds one argument a line
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/time.h"
#include "lib/base/util.h"

extern char **environ;

#define CONTENDERS_MAX 16
#define ARGUMENTS_MAX 256

struct contender {
        char *name;
        char *argv[ARGUMENTS_MAX + 1];
        double *start_ms, *whole_ms; /* one per round */
};

struct bench {
        struct contender contenders[CONTENDERS_MAX];
        size_t count;
        unsigned rounds, warmup;
        bool json;
};

static int compare_double(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;
        return (x > y) - (x < y);
}

static double percentile(double *values, unsigned count, double p)
{
        qsort(values, count, sizeof(*values), compare_double);
        return values[MIN(count - 1, (unsigned)(p * (double)count))];
}

static int load_arguments(struct contender *c, char *spec)
{
        char *equals = strchr(spec, '=');
        if (!equals)
                return -EINVAL;
        *equals = 0;
        c->name = spec;
        char *text = NULL;
        size_t len, n = 0;
        int r = read_file_at(AT_FDCWD, equals + 1, 1 << 20, &text, &len);
        if (r < 0)
                return r;
        for (char *save, *line = strtok_r(text, "\n", &save); line && n < ARGUMENTS_MAX;
                line = strtok_r(NULL, "\n", &save))
                c->argv[n++] = line;
        return n > 0 ? 0 : -EINVAL;
}

/* Runs once. start_ms and whole_ms are set when ret is 0; the command must exit 0. */
static int run_once(const struct contender *c, double *ret_start_ms, double *ret_whole_ms)
{
        int out[2];
        if (pipe2(out, O_CLOEXEC) < 0)
                return -errno;
        posix_spawn_file_actions_t actions;
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, out[1], 1);
        struct mono_time begin = mono_now();
        pid_t pid;
        int r = -posix_spawnp(&pid, c->argv[0], &actions, NULL, c->argv, environ);
        posix_spawn_file_actions_destroy(&actions);
        (void)close(out[1]);
        if (r < 0) {
                (void)close(out[0]);
                return r;
        }
        char text[256];
        size_t have = 0;
        for (ssize_t n;
                have < sizeof(text) - 1 && (n = read(out[0], text + have, sizeof(text) - 1 - have)) > 0;)
                have += (size_t)n;
        text[have] = 0;
        (void)close(out[0]);
        int status;
        if (waitpid(pid, &status, 0) < 0 || status != 0)
                return -ECHILD;
        struct mono_time end = mono_now();
        uint64_t stamp = strtoull(text, NULL, 10);
        if (stamp < begin.ns || stamp > end.ns)
                return -EBADMSG;
        *ret_start_ms = (double)(stamp - begin.ns) / 1e6;
        *ret_whole_ms = (double)mono_elapsed_ns(begin, end) / 1e6;
        return 0;
}

static int measure(struct bench *b)
{
        for (size_t i = 0; i < b->count; i++) {
                b->contenders[i].start_ms = xcalloc(b->rounds, sizeof(double));
                b->contenders[i].whole_ms = xcalloc(b->rounds, sizeof(double));
        }
        for (unsigned round = 0; round < b->warmup + b->rounds; round++)
                for (size_t i = 0; i < b->count; i++) {
                        struct contender *c = &b->contenders[i];
                        double start = 0, whole = 0;
                        int r = run_once(c, &start, &whole);
                        if (r < 0) {
                                fprintf(stderr, "interleave: %s failed: %s\n", c->name, strerror(-r));
                                return r;
                        }
                        if (round < b->warmup)
                                continue;
                        c->start_ms[round - b->warmup] = start;
                        c->whole_ms[round - b->warmup] = whole;
                }
        return 0;
}

static void report(struct bench *b)
{
        double base_start = 0, base_whole = 0;
        if (!b->json)
                printf("%-24s %12s %12s %8s   %12s %12s %8s\n", "", "to execve", "p99", "ratio", "whole",
                        "p99", "ratio");
        for (size_t i = 0; i < b->count; i++) {
                struct contender *c = &b->contenders[i];
                double start = percentile(c->start_ms, b->rounds, 0.5),
                       start99 = percentile(c->start_ms, b->rounds, 0.99);
                double whole = percentile(c->whole_ms, b->rounds, 0.5),
                       whole99 = percentile(c->whole_ms, b->rounds, 0.99);
                if (i == 0) {
                        base_start = start;
                        base_whole = whole;
                }
                if (b->json)
                        printf("{\"name\":\"%s\",\"start_ms\":%.3f,\"start_p99_ms\":%.3f,\"whole_ms\":%.3f,"
                               "\"whole_p99_ms\":%.3f}\n",
                                c->name, start, start99, whole, whole99);
                else
                        printf("%-24s %9.2f ms %9.2f ms %8.2f   %9.2f ms %9.2f ms %8.2f\n", c->name, start,
                                start99, start / base_start, whole, whole99, whole / base_whole);
        }
}

int main(int argc, char **argv)
{
        struct bench b = {.rounds = 100, .warmup = 3};
        for (int i = 1; i < argc; i++) {
                if (str_equal(argv[i], "--json")) {
                        b.json = true;
                } else if ((str_equal(argv[i], "--rounds") || str_equal(argv[i], "--warmup")) &&
                           i + 1 < argc) {
                        uint32_t *target = str_equal(argv[i], "--rounds") ? &b.rounds : &b.warmup;
                        if (parse_u32(argv[++i], 1000000, target) < 0 || b.rounds == 0) {
                                fprintf(stderr, "interleave: \"%s\" is no count\n", argv[i]);
                                return 2;
                        }
                } else if (b.count == CONTENDERS_MAX ||
                           load_arguments(&b.contenders[b.count++], argv[i]) < 0) {
                        fprintf(stderr, "interleave: \"%s\" is not NAME=FILE with one argument a line\n",
                                argv[i]);
                        return 2;
                }
        }
        if (b.count == 0) {
                fprintf(stderr, "usage: interleave [--rounds N] [--warmup N] [--json] NAME=FILE...\n");
                return 2;
        }
        if (measure(&b) < 0)
                return 1;
        report(&b);
        return 0;
}
