/* What the verbs of mete-sim share: the loop, the master, and how a run ends. One loop, one thread. */
#pragma once

#include <jansson.h>

#include "tools/sim/wire.h"

struct sim {
        struct loop *loop;
        struct wire_target master;
        bool json;  /* report as JSON */
        int result; /* exit code */
};

struct sim_agents_options {
        uint64_t count;
        uint64_t arrivals;                 /* a second, at the start; not 0 */
        uint64_t milli_cpus, memory_bytes; /* of each */
        uint64_t run_ns;        /* how long a task runs; 0: it ends as soon as RUNNING is acknowledged */
        uint64_t extra_updates; /* RUNNING again, this often */
        char *prefix;           /* of hostnames */
};
/* Never ends by itself. */
int sim_agents_start(struct sim *s, const struct sim_agents_options *o, struct error *e) WARN_UNUSED;
/* Prints what the agents saw. */
void sim_agents_report(struct sim *s);

struct sim_scheduler_options {
        uint64_t tasks;
        uint64_t batch;                    /* tasks in one ACCEPT, at most */
        uint64_t milli_cpus, memory_bytes; /* of each task */
        uint64_t in_flight;                /* tasks launched and not ended, at most */
        uint64_t rate;                     /* tasks a second; 0: as fast as offers come */
        uint64_t failover_ns;              /* of the framework */
        uint64_t declines;                 /* instead of launching: decline this many offers */
        bool partition_aware;
        bool encode_json;
};
/* Ends the loop when every task has reached a terminal state. */
int sim_scheduler_start(struct sim *s, const struct sim_scheduler_options *o, struct error *e) WARN_UNUSED;
/* Prints what was measured. */
void sim_scheduler_report(struct sim *s);

struct sim_trace_options {
        char *swf; /* file; NULL: made up */
        uint64_t jobs;
        bool jobs_given;
        uint64_t seed, users, load_milli, mean_run_ns;
        uint64_t machines, milli_cpus, memory_bytes; /* the latter of each */
        char *policy, *estimates, *preemption;
        uint64_t ageing_ns, backfill;
        bool csv;
};
/* Runs to its end and prints what came of it; needs no loop and no master. */
int sim_trace(const struct sim_trace_options *o, bool json, struct error *e) WARN_UNUSED;
