/*
 * What the files of the agents' registry share: agents.c the table and the state, agent_admission.c registration, agent_loss.c giving up,
 * agent_send.c the commands. Loop thread only.
 */
#pragma once

#include "master/core.h"

/* ---- agents.c ---- */
struct agent *agent_new(struct master *m, const char *id);
void agent_free(struct agent *a);
/* The one place that changes the state. */
void agent_set_state(struct agent *a, enum agent_state state);
void agent_timer(struct loop_timer *timer, void *userdata);

/* ---- agent_send.c ---- */
/* False when it is not connected, or does not read: then it is disconnected. */
bool agent_send(struct agent *a, Mete__Agent__Command *c);
void agent_send_subscribed(struct agent *a);

/* ---- agent_loss.c ---- */
void agent_drop_stream(struct agent *a);
void agent_disconnect(struct agent *a, const char *why);
/* Its tasks are over, unless it comes back. */
void agent_give_up(struct agent *a, const char *why);
