/* Starting a container, from the command to the running shim. See launch.c for what a death at each step leaves. */
#pragma once

#include "agent/container.h"

/* A command task. Whatever goes wrong becomes a terminal status update of the task. */
void launch_task(struct agent *a, const Mete__Agent__Command__Launch *launch);
/* Ids that are no ids cannot name a checkpoint: the answer goes out once and is not repeated. */
void launch_refuse_ids(
        struct agent *a, const char *framework_id, const char *task_id, const struct error *why);

/* What is checkpointed of a container that is to be. Copies; one of task and executor is NULL. */
Mete__Checkpoint__Container *launch_info_new(struct agent *a, const Mete__V1__FrameworkInfo *framework,
        const Mete__V1__TaskInfo *task, const Mete__V1__ExecutorInfo *executor,
        const Mete__Api__Isolation *isolation);
/* Everything after the checkpoint. Whatever goes wrong ends the container. */
void launch_container(struct agent_container *c);
/* Ends it before anything of it exists. */
void launch_fail(struct agent_container *c, const struct error *why);
/* Limits, ids and command, from the checkpoint. recovered: it was admitted once, an agent that offers less now keeps it all the same. */
int launch_build_spec(struct agent_container *c, bool recovered, struct error *e) WARN_UNUSED;
/* The sandbox as the container sees it. */
const char *launch_sandbox_in_container(const struct agent_container *c);
