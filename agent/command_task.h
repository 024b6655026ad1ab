/*
 * A task that is a command in a container of its own: agent and shim do for it what Mesos' command executor does, with its states and
 * messages. Loop thread.
 */
#pragma once

#include "agent/task.h"

/* Makes the container's task and the container's owner of it. */
struct agent_task *command_task_new(struct agent_container *c);
/* The agent's own decision. Nothing when it is being killed already. */
void command_task_kill_for(struct agent_task *t, enum kill_cause cause);
/* signo 0: SIGTERM. */
void command_task_kill(struct agent_task *t, const Mete__Agent__Command__Kill *k);
