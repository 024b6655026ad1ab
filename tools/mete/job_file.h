/*
 * A file of jobs in JSON: {"jobs": [...]}, or one job alone. Reading it finds what is wrong with it without a master: with the line and
 * the path of each offender. Owned by the caller; no state.
 */
#pragma once

#include "lib/base/error.h"
#include "proto/mete.pb-c.h"

#define JOB_FILE_MAX ((size_t)4 << 20)
#define JOB_FILE_JOBS_MAX 1000

struct job_problem {
        unsigned line; /* 0: of the whole file */
        char *field;   /* owned; "jobs[1].cpus", or NULL */
        char *message; /* owned; one sentence */
};

struct job_file {
        char *name; /* as it was given */
        char *text;
        size_t len;
        bool single;              /* one job without "jobs" around it */
        Mete__Api__JobFile *file; /* as it is in the file; NULL when it could not be read */
        char **names;             /* of the jobs, also of those that have none in the file */
        size_t *order;            /* indexes of the jobs: each comes after those that it waits for */
        struct job_problem *problems;
        size_t problem_count;
};

/* path "-": standard input. Problems are noted in it; an error is only what hinders reading (-ENOENT, -EACCES, -E2BIG). */
int job_file_read(const char *path, struct job_file *ret, struct error *e) WARN_UNUSED;
void job_file_done(struct job_file *f);
/* "jobs.json:12: jobs[1].cpus: ...", a line each. */
void job_file_print_problems(const struct job_file *f, FILE *out);
/* Index of the job in the file that `job` of an `after` names; -ENOENT: none does. */
int job_file_find(const struct job_file *f, const char *name, size_t *ret);
/* Of a problem that a master found: the path is that of the call, "plan.job.cpus". */
void job_file_add_refusal(struct job_file *f, size_t job, const char *sentence);
/* Where the field of a job stands: "jobs[1].cpus", or "cpus". The caller frees. */
char *job_file_path(const struct job_file *f, size_t job, const char *field);
