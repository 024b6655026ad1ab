/* `mete run -f`: the jobs of a file, submitted in the order of what they wait for, and then waited for. */
#pragma once

#include "tools/mete/job_file.h"
#include "tools/mete/run_options.h"

/* Exit code, or a negative errno with a sentence. The file has no problems. */
int run_file(const struct run_options *o, struct job_file *f, struct error *e) WARN_UNUSED;

/* What `mete run` and `mete plan` are given is a command or a job file, one of both. Exit code, or a negative errno with a sentence. */
int run_command_or_file(const struct run_options *o, int argc, char **argv,
        int (*command)(const struct run_options *o, int argc, char **argv, struct error *e),
        int (*file)(const struct run_options *o, struct job_file *f, struct error *e),
        struct error *e) WARN_UNUSED;

/* A copy of job `i` whose `after` has the ids of what was submitted before; NULL in ids: `after` has only what is outside of the file. */
Mete__Api__JobSpec *run_file_spec(const struct job_file *f, size_t i, char *const *ids);
