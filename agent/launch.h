/* Starting a container, from the command to the running shim, in one pass of the loop. See launch.c for what a death at each step leaves. */
#pragma once

#include "agent/agent.h"
#include "proto/mete_agent.pb-c.h"

/* Whatever goes wrong becomes a terminal status update of the task. */
void launch_task(struct agent *a, const Mete__Agent__Command__Launch *launch);
/* What is the same for a launch and for the recovery of one. */
struct task_place;
struct agent_container;
void launch_fill_place(const struct agent_container *c, struct task_place *ret);
