/*
 * What of an agent's resources is reserved by RESERVE and made a volume by CREATE: the master's word, kept with the admitted agent in the
 * store. An agent reports what its machine has; its total is that with the assignment applied to it. Loop thread only.
 *
 * A change counts at once in the master's own tables. Agents and frameworks hear of it when it is on disk: the agent first, by an ASSIGN
 * command with the whole of it, since it makes the volumes.
 */
#pragma once

#include "master/core.h"
#include "master/operation.h"

/* Called when the change is on disk and the agent was told; not ok: the master stops. */
typedef void (*assignment_done)(bool ok, void *userdata);
/* The allocator knows of it already. `done` may be NULL. */
void agent_assign(
        struct agent *a, const struct operation_change *change, assignment_done done, void *userdata);
/* Is there a change on its way to disk? What is launched then waits for it: see agent_when_assigned(). */
bool agent_assigning(const struct agent *a);
/* After all changes so far. */
void agent_when_assigned(struct agent *a, assignment_done done, void *userdata);

/* `reported` is what the agent says that its machine has: sets agent.total. Says so when the assignment does not fit any more. */
void agent_set_reported(struct agent *a, const struct resources *reported);
/* It registered: tells it what holds, if ever anything was assigned. */
void agent_send_assignment(struct agent *a);
void agent_take_assigned(struct agent *a, const Mete__Agent__Call__Assigned *assigned);

/* Between the agent and the store. put makes arrays, which put_done ends. */
void agent_assignment_put(const struct agent *a, Mete__Checkpoint__AdmittedAgent *ret);
void agent_assignment_put_done(Mete__Checkpoint__AdmittedAgent *admitted);
void agent_assignment_take(struct agent *a, const Mete__Checkpoint__AdmittedAgent *from);
void agent_assignment_describe(const struct agent *a, Mete__Api__Agent *ret); /* borrows */
void agent_assignment_done(struct agent *a);
