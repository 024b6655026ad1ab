/* The job that options describe. */
#pragma once

#include "tools/mete/run_options.h"

/*
 * argv: program and arguments. -EINVAL with a sentence that names the flag: nothing has been sent then. The caller frees with
 * message_free(). Reads the environment, the seccomp file and who calls.
 */
int run_spec_build(const struct run_options *o, int argc, char **argv, Mete__Api__JobSpec **ret,
        struct error *e) WARN_UNUSED;
/* A refusal names the API's field ("submit.job.cpus", "plan.job.cpus"): puts the flag in its place ("--cpus"). */
void run_spec_explain(struct error *e);

/* Who the task runs as when --user is not given: NULL leaves it to the master. The caller frees. */
char *run_submitting_user(uid_t uid, const char *sudo_user, bool numeric);

/* ---- run_schedule.c: for run_spec_build() ---- */
/* When and where it runs: order, restarts, placement. */
int run_spec_set_schedule(Mete__Api__JobSpec *spec, const struct run_options *o, struct error *e) WARN_UNUSED;
/* Grows an array of owned pointers by one. */
void run_spec_append(void *array, size_t *count, void *item);
