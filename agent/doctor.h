/*
 * `mete-agent --doctor`: tries every isolation on this host and says which it can give, why not the others, and what would
 * provide them. Leaves nothing behind; needs neither a master nor the agent's directories. Blocking, before any loop runs.
 */
#pragma once

#include "lib/base/error.h"

/*
 * Prints a table, or with `json` an array of objects {isolation, provides, available, reason, provides_it}. Returns 0 when tasks
 * can be isolated fully, 1 when something is missing (eBPF alone is no reason: cgroup files measure then).
 */
int agent_doctor(bool json, FILE *f);
