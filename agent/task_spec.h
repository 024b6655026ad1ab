/*
 * From what the master sends (TaskInfo, Isolation) to what isolators understand (struct container_spec), with every value checked
 * on the way: the master is trusted to decide, not to be free of mistakes. What this agent cannot give is refused by name, never ignored.
 */
#pragma once

#include "isolators/isolator.h"
#include "proto/mete_agent.pb-c.h"

/* Where the task is to run; everything is borrowed. */
struct task_place {
        const char *agent_id;
        const char *agent_endpoint; /* "host:port" of this agent's API */
        const char *container_id;
        const char *sandbox_in_container;
        const char *sandbox_path; /* on the host */
        const char *volumes_dir;  /* on the host: persistent volumes; NULL: there are none */
        uint64_t milli_cpus;      /* what this agent has: a request beyond it is a mistake */
        uint64_t memory_bytes;

        /* Of an executor's container: the request is made up of what the executor says, and a task's id is the executor's. */
        bool executor;
        const struct container_limits
                *limits; /* of the executor and its tasks; else the resources and limits of the task */
        const char *executor_token; /* NULL: executors do not authenticate */

        uint64_t shutdown_grace_ns, recovery_timeout_ns;
        const char *domain_socket;             /* as the container sees it; NULL: none */
        const struct string_list *environment; /* NAME=value, below what is ours; NULL: none */
};

#define TASK_PIDS_LIMIT_DEFAULT 1024
#define TASK_PIDS_LIMIT_MAX 4194304               /* PID_MAX_LIMIT of 64-bit kernels */
#define TASK_MEMORY_MIN_BYTES (UINT64_C(4) << 20) /* below it an exec does not get through */
#define TASK_MILLI_CPUS_MIN 1

/*
 * Ids of a launch, before they name anything. 0 or -EINVAL with a sentence naming the field.
 */
int task_spec_check_ids(const Mete__Agent__Command__Launch *launch, struct error *e) WARN_UNUSED;
/* The exclusive cores that the task has been given; empty: none. -EINVAL. */
int task_spec_cores(const Mete__V1__TaskInfo *t, struct cpu_list *ret, struct error *e) WARN_UNUSED;
/* -EINVAL, -ENOTSUP, -ENOENT with a sentence that names the field and what would be accepted. The caller frees with container_spec_done. */
int task_spec_build(const Mete__Agent__Command__Launch *launch, const struct task_place *place,
        struct container_spec *ret, struct error *e) WARN_UNUSED;
