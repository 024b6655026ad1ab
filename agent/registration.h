/* What the agent says about itself and its tasks when it registers, and what it does with the answer. Loop thread. */
#pragma once

#include "agent/agent.h"
#include "proto/mesos.pb-c.h"

/* The SUBSCRIBE call with every task that is not terminal and acknowledged. */
int registration_encode(struct agent *a, struct buffer *out, struct error *e) WARN_UNUSED;
/* With our id, when we have one. The caller frees. NULL: the options are wrong. */
Mete__V1__AgentInfo *registration_agent_info(const struct agent *a, struct error *e);
/* The id that the master gave: validated and written down before anything uses it. */
int registration_accept(struct agent *a, const char *agent_id, struct error *e) WARN_UNUSED;
/* "rack:r1;ssd:1" is well formed? For the check of options at start. */
int registration_check_attributes(const char *text, struct error *e) WARN_UNUSED;
