/*
 * What the master assigned to this agent: dynamic reservations, which only it counts, and persistent volumes, which are directories here
 * (agent/volume_store.h). An ASSIGN is written to <work-dir>/meta/volumes before it is acted on; then what is missing is made and what is
 * not named any more removed with its data, on a thread of their own. A volume that a container still uses stays until that has ended.
 *
 * The commands behind an ASSIGN wait for it: the next one may be the launch that needs the volume. Loop thread.
 */
#pragma once

#include "agent/agent.h"
#include "proto/mete_agent.pb-c.h"
#include "proto/mete_checkpoint.pb-c.h"

struct volumes;

/* Reads what was assigned before. */
int volumes_new(struct agent *a, struct volumes **ret, struct error *e) WARN_UNUSED;
struct volumes *volumes_free(struct volumes *v);
/* The containers of earlier agents are known: what is left over of an interrupted step goes on. */
void volumes_recovered(struct volumes *v);
/* ASSIGNED answers it. */
void volumes_assign(struct volumes *v, const Mete__Agent__Command__Assign *m);
/* v may be NULL here and at the end of a container: an agent that takes no assignments. True: an assignment is under way, and the command is carried out behind it (commands_execute() again). */
bool volumes_defer(struct volumes *v, const Mete__Agent__Command *cmd);
/* Are the volumes of the container assigned and here? Those that nobody has used yet are given to its user. */
int volumes_give(struct volumes *v, struct agent_container *c, struct error *e) WARN_UNUSED;
void volumes_container_ended(struct volumes *v, const struct agent_container *c);
