/*
 * The agent's side of the wire to the master: one stream that commands come down, one connection that calls go up, both made anew
 * together when either is lost, for ever, with a growing and jittered pause. Tasks do not notice. Loop thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "proto/mete_agent.pb-c.h"

struct agent;
struct master_link;

struct master_link *master_link_new(struct agent *a);
struct master_link *master_link_free(struct master_link *l);
void master_link_start(struct master_link *l);
/* Registered: calls are accepted. l may be NULL. */
bool master_link_ready(const struct master_link *l);
void master_link_update(struct master_link *l, const Mete__Agent__StatusUpdate *u);
void master_link_usage(struct master_link *l, Mete__Agent__Call__Usage *u);
/* Nothing while the master is away: it asks again, and a registration says what is suspended. */
void master_link_suspended(struct master_link *l, Mete__Agent__Call__Suspended *m);
void master_link_assigned(struct master_link *l, Mete__Agent__Call__Assigned *m);
/* From an executor to its framework: dropped while the master is away. */
void master_link_message(struct master_link *l, const char *framework_id, const char *executor_id,
        const void *data, size_t len);
/* status: as wait(2) gives it, -1 when it is not known. Waits for the master while it is away; l may be NULL (recovery): dropped. */
void master_link_executor_exited(
        struct master_link *l, const char *framework_id, const char *executor_id, int status);
/* on_done fires when the master has heard it, or cannot be reached. */
void master_link_unregister(struct master_link *l, void (*on_done)(void *userdata), void *userdata);
/* The pause before attempt n (0, 1, ...): 100 ms doubling to 10 s, less up to half of it by `random`. Pure. */
uint64_t master_link_backoff_ns(unsigned attempt, uint32_t random);
