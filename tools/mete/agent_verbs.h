/* What `mete agents` has below it, and what it shares with other verbs about agents. */
#pragma once

#include "tools/mete/verb.h"

extern const struct verb verb_agents_drain, verb_agents_deactivate, verb_agents_reactivate;

/* "active", "draining", "deactivated", "unreachable": what a person asks first. Lives as long as the program. */
const char *agent_condition(const Mete__Api__Agent *a);
