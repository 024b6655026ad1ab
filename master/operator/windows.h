/*
 * Maintenance windows: when which machines are worked on. Before one, offers say so (Offer.unavailability) and the queue places nothing
 * that would run into it. When it begins its agents are deactivated, and drained when that was asked for; when it is over they serve
 * again, unless an operator had a say meanwhile. A window names agents by id or host name, also ones that are not known yet.
 *
 * Stored as "window/<id>" until it is over. What has begun where is stored with the agents, first: whatever the master was
 * doing when it ended, the next one goes on with it. Times are of the wall clock, which is looked at again at least once a minute.
 * Owned by the master. Loop thread only.
 */
#pragma once

#include "master/core.h"

#define WINDOWS_MAX 1000
#define WINDOW_AGENTS_MAX 50000 /* ids of so many fit into a call */
#define WINDOW_COMMENT_MAX 1024
#define WINDOW_SECONDS_MAX (10 * 365 * 86400.0)

struct windows;
struct windows *windows_new(struct master *m);
struct windows *windows_free(struct windows *ws);
/* From the store. */
int windows_recover(struct windows *ws, struct error *e) WARN_UNUSED;
/* After agents are recovered too: what has begun or ended meanwhile follows from the loop. */
void windows_start(struct windows *ws);

/*
 * -EINVAL or -ENOSPC with a sentence and the field of the window that it is about. The window holds from when it is on disk. Warnings: of
 * names that no agent has now.
 */
int windows_schedule(struct windows *ws, const Mete__Api__Window *wanted, struct string_list *warnings,
        const char **ret_field, struct error *e) WARN_UNUSED;
int windows_cancel(struct windows *ws, const char *id) WARN_UNUSED; /* -ENOENT. One that has begun ends. */

/* Before an agent becomes active: which windows it is in may have changed with its name. */
void windows_take_agent(struct agent *a);

/* Soonest first; borrowed. */
Mete__Api__Window *const *windows_list(struct windows *ws, size_t *ret_count);
bool window_has_begun(const Mete__Api__Window *w, double now);
/* The soonest that the agent is in; false when there is none. end UINT64_MAX: for ever. */
bool agent_window(const struct agent *a, struct wall_time *ret_begin, struct wall_time *ret_end);
