/*
 * Traces of jobs: what was submitted when, by whom, and how long it ran. Read from a file in the Standard Workload Format (Feitelson's
 * Parallel Workloads Archive, version 2.2) or drawn from heavy-tailed distributions, the same for the same seed. Times are nanoseconds
 * since the first submission.
 */
#pragma once

#include "lib/base/error.h"
#include "lib/base/time.h"
#include "lib/base/util.h"

#define TRACE_JOBS_MAX 5000000
#define TRACE_USER_MAX 16
#define TRACE_NAME_MAX 32

struct trace_job {
        uint64_t submit_ns;
        uint64_t run_ns;                   /* of each task, uninterrupted */
        uint64_t requested_ns;             /* what the user said it would take; 0: nothing */
        uint64_t milli_cpus, memory_bytes; /* of the whole job */
        uint32_t user;
        uint32_t program; /* with the user: the name that estimates go by */
        uint32_t priority;
};

struct trace {
        struct trace_job *jobs; /* in the order of submission */
        size_t count, capacity;
        size_t left_out; /* lines of the file without a run time or processors: cancelled before they ran */
};
void trace_done(struct trace *t);
#define _cleanup_trace_ CLEANUP(trace_done)
void trace_add(struct trace *t, const struct trace_job *j);

/* -EINVAL with the line. max: jobs to read, 0: all. */
int trace_read_swf(const char *path, size_t max, struct trace *ret, struct error *e) WARN_UNUSED;

struct synthetic_options {
        uint64_t seed;
        size_t jobs;
        size_t users;
        uint64_t mean_run_ns; /* about: a log-normal body, and a Pareto tail for one job in twenty */
        uint64_t load_milli;  /* offered load, in thousandths of the machines' CPUs */
        uint64_t machines;
        uint64_t machine_milli_cpus, machine_memory_bytes;
};
void trace_generate(const struct synthetic_options *o, struct trace *ret);
