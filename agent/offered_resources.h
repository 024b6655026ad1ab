/* What the agent offers to frameworks, from its options and the machine. */
#pragma once

#include "agent/options.h"
#include "lib/base/resources.h"

/*
 * cpus and mem as the options say (filled in already); the rest of --resources; ports [31000-32000] and the size of the file system
 * below the work directory where it names neither. Ports and disk are counted, not enforced; cores are given to tasks for themselves. -EINVAL with a sentence that names the option.
 */
bool offers_cores(const struct agent_options *o);
int offered_resources(const struct agent_options *o, struct resources *ret, struct error *e) WARN_UNUSED;
