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
void agent_init_state(struct agent *a, enum agent_state state); /* from the store: nobody is told */
/* To the queue and to those who listen: state, size, standing or windows are not what they were. */
void agent_changed(struct agent *a);
/* Into the batch, as it is on disk: given up and gone since these times (0: not). */
void agent_put(const struct agent *a, double unreachable_time, double gone_time, struct store_batch *b);
/* The same with what was decided last about these times, also when that is on its way to disk only. */
void agent_put_present(const struct agent *a, struct store_batch *b);

/* ---- agent_send.c ---- */
/* False when it is not connected, or does not read: then it is disconnected. */
bool agent_send(struct agent *a, Mete__Agent__Command *c);
void agent_send_subscribed(struct agent *a);

/* ---- agent_loss.c ---- */
void agent_timer(struct loop_timer *timer, void *userdata);
void agent_drop_stream(struct agent *a);
/* Its tasks and executors are over, its offers withdrawn; how: UNREACHABLE, GONE, or DISCONNECTED when it said goodbye. */
void agent_is_lost(struct agent *a, enum agent_state how, const char *why);
void agent_disconnect(struct agent *a, const char *why);
