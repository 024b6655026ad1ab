/*
 * What of a task can be judged before an agent sees it. Sentences name the field by its path in the TaskInfo ("task.kill_policy...").
 * What only an agent knows (can it fetch, mount, isolate?) is refused there. Loop thread.
 */
#pragma once

#include "master/core.h"

/* Where tasks are to run: what the accepted offers agree on. */
struct launch_target {
        const struct framework *framework;
        const struct agent *agent;
        const char *role;
};

/* Fills in what frameworks may leave out: allocation_info, the executor's framework_id and type. */
void task_complete(const struct launch_target *target, Mete__V1__TaskInfo *task);
void executor_complete(const struct launch_target *target, Mete__V1__ExecutorInfo *executor);

/* -EPERM: the framework may run nothing as the user whom a command names. */
int task_authorize(const struct framework *f, const Mete__V1__TaskInfo *task, struct error *e) WARN_UNUSED;
int executor_authorize(const struct framework *f, const Mete__V1__ExecutorInfo *executor, const char *field,
        struct error *e) WARN_UNUSED;

/* Both after completing. group_executor: NULL outside of a group. */
int task_validate(const struct launch_target *target, const Mete__V1__TaskInfo *task,
        const Mete__V1__ExecutorInfo *group_executor, struct error *e) WARN_UNUSED;
/* What is launched at once reaches the agent as one record. */
#define TASK_BYTES_MAX (2u << 20)
#define GROUP_BYTES_MAX (4u << 20)
int group_check_size(const Mete__V1__ExecutorInfo *executor, const Mete__V1__TaskGroupInfo *group,
        struct error *e) WARN_UNUSED;
/* The same id on one agent means the same executor: compares with the one that is there. */
int executor_validate(const struct launch_target *target, const Mete__V1__ExecutorInfo *executor,
        const char *field, bool for_group, struct error *e) WARN_UNUSED;
