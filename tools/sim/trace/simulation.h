/*
 * A trace run through the allocator and one job queue in virtual time: the code that runs in the master, without a master. Machines are
 * all alike; suspending, resuming and launching take no time, requeueing loses the work. Everything that the queue decides is carried
 * out as the master would.
 */
#pragma once

#include "master/queue/queue.h"
#include "tools/sim/trace/trace.h"

enum simulation_knowledge {
        KNOWS_EXACT,     /* the queue is told how long each job will run */
        KNOWS_REQUESTED, /* what the trace's users asked for */
        KNOWS_HISTORY,   /* nothing: the queue learns */
        KNOWS_MAX,
        KNOWS_INVALID = -EINVAL,
};
const char *simulation_knowledge_to_string(enum simulation_knowledge x);
enum simulation_knowledge simulation_knowledge_from_string(const char *s);

struct simulation_options {
        struct queue_config queue;
        enum simulation_knowledge estimates;
        uint64_t machines;
        uint64_t machine_milli_cpus, machine_memory_bytes;
};

/* Of the jobs that ran; times in seconds. */
struct simulation_result {
        size_t jobs, too_large;                         /* the latter were left out */
        double wait_mean, wait_p50, wait_p99, wait_max; /* submission to first start */
        double turnaround_mean, turnaround_p99;         /* submission to end */
        double slowdown_mean,
                slowdown_p99; /* turnaround by run time, the latter at least 10 s; at least 1 (Feitelson's bounded slowdown) */
        double utilisation; /* of all cores until the last submission; 0 when all came at once */
        double lost; /* CPU time of work that requeueing lost, of all that there was until the last end */
        double makespan;
        uint64_t suspensions, requeues;
        double fairness; /* Jain's index over users of their mean of run time by turnaround: 1 is the same for all */
        uint64_t passes;
        double pass_mean_usec; /* real time */
};
/* -EIO with a sentence when jobs are left that never run, or the books do not balance: a mistake in allocator or queue. */
int simulation_run(const struct simulation_options *o, const struct trace *t, struct simulation_result *ret,
        struct error *e) WARN_UNUSED;

/* simulation_result.c: when a job came, began and ended. */
struct simulated_job {
        uint64_t first_start_ns, end_ns; /* UINT64_MAX: not yet */
};
void simulation_measure(const struct trace *t, const struct simulated_job *jobs, const bool *left_out,
        struct simulation_result *ret);
