/*
 * What operators and maintenance windows want of agents: that they offer nothing (deactivated), that they are emptied (drained), that
 * they serve again. A decision is in struct agent_standing at once, so that whatever is written of the agent says it; it is carried out
 * when it is on disk, and again whenever the agent registers. Loop thread only.
 *
 *      none --drain--> DRAINING --no task and no executor is left--> DRAINED --mark_gone--> the agent is gone
 *       ^                 |                                             |
 *       +---reactivate----+---------------------------------------------+
 */
#pragma once

#include "master/core.h"

struct drain_wish {
        bool has_max_grace;
        double max_grace_seconds;
        bool mark_gone;
        const char *why; /* for the log: "by an operator" */
};

void agent_drain(struct agent *a, const struct drain_wish *wish);
void agent_deactivate(struct agent *a, const char *why);
void agent_reactivate(struct agent *a, const char *why); /* ends a drain too; what it killed stays killed */
/* Writes what the standing says now, then carries it out. For who changes it otherwise: the windows. */
void agent_standing_changed(struct agent *a);

/* It registered and has said what runs there. */
void agent_standing_registered(struct agent *a);
/* A task or an executor has left its tables: a drain may be over. */
void agent_emptied(struct agent *a);
/* The update as its framework is to see it: a task that ended because its agent is drained says so. `copy` is storage. */
struct drained_update {
        Mete__Agent__StatusUpdate update;
        Mete__V1__TaskStatus status;
};
const Mete__Agent__StatusUpdate *agent_drain_update(const struct agent *a, const struct framework *f,
        const Mete__Agent__StatusUpdate *u, struct drained_update *copy);

/* Borrows from a. */
void agent_standing_put(const struct agent *a, Mete__Checkpoint__AdmittedAgent *ret);
void agent_standing_take(struct agent *a, const Mete__Checkpoint__AdmittedAgent *from);
void agent_standing_describe(const struct agent *a, Mete__Api__Agent *ret);
void agent_standing_done(struct agent *a);
/* Why nothing may be placed there now, a word or two: "draining", "unreachable"; NULL: it may be used. */
const char *agent_unusable(const struct agent *a);
