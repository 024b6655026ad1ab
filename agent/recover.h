/*
 * After a restart of the agent: brings back every container of its checkpoint, takes over what runs, tells once how the rest ended,
 * and removes what belongs to nobody. The kernel's facts win over the files. Runs before the loop, on its thread.
 */
#pragma once

#include "agent/agent.h"

int recover_containers(struct agent *a, struct error *e) WARN_UNUSED;
