/*
 * After a start with quotas: nothing is offered until most of the agents are back, because what roles have in use is known by then only,
 * and what is offered too early cannot be taken back. Loop thread only.
 */
#pragma once

#include "master/core.h"

#define RECOVERY_HOLD_MAX_NS (600 * NSEC_PER_SEC)
#define RECOVERY_HOLD_PERCENT 80 /* of the agents that were admitted and not lost */

/* After agents are recovered. Nothing is held when there are none. */
void recovery_hold_start(struct master *m, uint64_t max_ns);
void recovery_hold_look(struct master *m); /* an agent came back, or is given up */
struct recovery_hold *recovery_hold_free(struct recovery_hold *h);
