/*
 * Who this agent is: the id that the master gave, the highest epoch of a leader it has seen, and the lock that keeps a work dir
 * to one agent. Written synced: an agent that forgets its epoch obeys a deposed leader. Loop thread.
 */
#pragma once

#include "lib/base/error.h"

struct identity {
        int meta_fd; /* <work-dir>/meta, not owned */
        int lock_fd;
        char *agent_id; /* NULL before the first registration */
        uint64_t highest_epoch;
};

/* Takes the lock (-EBUSY with a sentence when another agent has it) and reads what is there. */
int identity_open(struct identity *i, int meta_fd, struct error *e) WARN_UNUSED;
void identity_done(struct identity *i);
/* Each writes only when something changes. */
int identity_set_agent_id(struct identity *i, const char *agent_id, struct error *e) WARN_UNUSED;
int identity_raise_epoch(struct identity *i, uint64_t epoch, struct error *e) WARN_UNUSED;
/* The agent was marked gone: the next start is a new agent. The epoch stays. */
int identity_forget_agent_id(struct identity *i, struct error *e) WARN_UNUSED;
