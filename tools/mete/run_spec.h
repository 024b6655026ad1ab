/* The options of `mete run` and the job that they describe. */
#pragma once

#include "tools/mete/verb.h"

#define RUN_UNSET UINT64_MAX /* of a number that was not given: the master's default holds */

struct run_options {
        struct common_options common;
        bool detach;
        char *name, *rootfs, *network, *user, *working_directory, *hostname, *seccomp;
        uint64_t milli_cpus, milli_cpus_limit;
        uint64_t memory_bytes, memory_limit_bytes;
        uint64_t pids_limit, count;
        struct string_list environment, capabilities_add, capabilities_drop, rlimits;
};

/*
 * argv: program and arguments. -EINVAL with a sentence that names the flag: nothing has been sent then. The caller frees with
 * message_free(). Reads the environment, the seccomp file and who calls.
 */
int run_spec_build(const struct run_options *o, int argc, char **argv, Mete__Api__JobSpec **ret,
        struct error *e) WARN_UNUSED;
/* A refusal names the API's field ("submit.job.cpus"): puts the flag in its place ("--cpus"). */
void run_spec_explain(struct error *e);

/* Who the task runs as when --user is not given: NULL leaves it to the master. The caller frees. */
char *run_submitting_user(uid_t uid, const char *sudo_user, bool numeric);
