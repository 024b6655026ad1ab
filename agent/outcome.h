/* How a task ended, decided from facts alone: what the shim recorded, what the kernel counted, what was asked for. Pure. */
#pragma once

#include "agent/shim/shim.h"
#include "isolators/isolator.h"
#include "proto/mete_agent.pb-c.h"

/* Why a task is being killed; more than one reason: the first. */
enum kill_cause {
        KILL_CAUSE_ASKED,           /* by a framework, a user, a shutdown */
        KILL_CAUSE_UNHEALTHY,       /* its health check failed too often */
        KILL_CAUSE_COMPLETION_TIME, /* max_completion_time is over */
        KILL_CAUSE_MAX,
};

struct task_facts {
        bool has_record; /* the shim's record could be read */
        const struct shim_record *record;
        bool kill_asked;
        enum kill_cause kill_cause;          /* when kill_asked */
        const struct container_usage *usage; /* read before the cgroup went; NULL: unknown */
        const char *memory_cgroup;           /* path for people, NULL: unknown */
        uint64_t memory_limit_bytes;
        uint64_t memory_peak_bytes;
};

struct task_outcome {
        Mete__V1__TaskState state;
        bool has_reason;
        Mete__V1__TaskStatus__Reason reason;
        char *message; /* owned, may be NULL */
        bool has_exit_code;
        int exit_code;
        bool memory_limit_hit;
};
void task_outcome_done(struct task_outcome *o);
#define _cleanup_outcome_ CLEANUP(task_outcome_done)

void task_outcome_decide(const struct task_facts *f, struct task_outcome *ret);
/* A fixed one; message is copied. */
struct task_outcome task_outcome_make(
        Mete__V1__TaskState state, Mete__V1__TaskStatus__Reason reason, const char *message);
