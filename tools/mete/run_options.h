/* The options that describe a job: those of `mete run` and, but for the first, of `mete plan`. */
#pragma once

#include "tools/mete/verb.h"

#define RUN_UNSET UINT64_MAX /* of a number that was not given: the master's default holds */

struct run_options {
        struct common_options common;
        bool detach, gang, no_preempt;
        char *file;
        char *name, *rootfs, *network, *user, *working_directory, *hostname, *seccomp;
        char *array, *queue, *deadline, *restart;
        char *spread; /* "": by machine */
        uint64_t milli_cpus, milli_cpus_limit;
        uint64_t memory_bytes, memory_limit_bytes;
        uint64_t pids_limit, count, parallel_max, priority, ports, exclusive_cores;
        uint64_t duration_ns, time_limit_ns;
        struct string_list environment, capabilities_add, capabilities_drop, rlimits;
        struct string_list after, constraints, volumes;
};

enum { RUN_OPTION_COUNT = 37 };
extern const struct option_row run_option_rows[RUN_OPTION_COUNT]; /* the first is --detach */
void run_options_default(void *options);
/* With --file, that nothing is given which describes a job. -EINVAL with a sentence that names the option. */
int run_options_check_file(const struct run_options *o, int argc, char **argv, struct error *e) WARN_UNUSED;
