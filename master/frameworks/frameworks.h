/*
 * The life of a framework that speaks the scheduler API: subscribed, disconnected, failed over, removed. It owns struct http_framework
 * (its stream, its encoding, its heartbeat) and the transitions of framework.state; tasks and offers are others'. Loop thread.
 */
#pragma once

#include "master/core.h"

#define FRAMEWORKS_MAX 10000
#define FRAMEWORKS_OF_USER_MAX                                                                               \
        1000 /* others than root: they may wait for as long as they like to come back */
#define COMPLETED_FRAMEWORKS_MAX 50

/*
 * From an agent that registers: known frameworks stay as they are, completed ones are not taken (NULL). Arms the failover timeout, which
 * then is no shorter than what agents get for coming back. What agents remember of user and checkpoint holds against what a
 * subscriber said who came before them.
 */
struct framework *framework_recover(struct master *m, const Mete__V1__FrameworkInfo *info);
/* An agent says who subscribed the framework that it reported: of a recovered one, only that user or root may take over. */
void framework_note_owner(struct framework *f, const Mete__Agent__FrameworkOwner *owner);
/*
 * The end of a framework: agents shut its executors down, its tasks are over at once (KILLED, REASON_FRAMEWORK_REMOVED) and what it
 * held is free; its id goes to the completed ones and is never accepted again. f becomes one of master.completed_frameworks.
 */
void framework_remove(struct framework *f, const char *why);
/* After f->info changed: roles and capabilities follow, in the allocator too. */
void framework_info_changed(struct framework *f);
/* Out of the tables and freed, as if it had never been: it has neither tasks nor executors nor offers. */
void framework_forget(struct framework *f);
/* The agents with tasks or executors of it, each once. The caller frees the array, not the agents. */
struct agent **framework_agents(const struct framework *f, size_t *ret_count);

/* The scheduler's stream. Nothing is sent, and nothing kept, while there is none. */
extern const struct framework_ops http_framework_ops;
/* As the framework is told: states that it does not know of by its capabilities become older ones. */
Mete__V1__TaskState framework_state_of_task(const struct framework *f, Mete__V1__TaskState state);
/* Encodes in the scheduler's encoding; a peer that does not read is disconnected. Returns false when it was not sent. */
bool http_framework_send(struct framework *f, const Mete__V1__Scheduler__Event *event);

/* ---- past tasks: bounded histories for the read side and for what must stay unique ---- */
#define COMPLETED_TASKS_MAX 1000
#define UNREACHABLE_TASKS_MAX 1000
/* task_to_proto() of it, now; drops the oldest above the bound. */
void framework_keep_completed(struct framework *f, const struct task *t);
void framework_keep_unreachable(struct framework *f, const struct task *t);
struct past_task *framework_find_unreachable(const struct framework *f, const char *task_id);
void framework_forget_unreachable(struct framework *f, struct past_task *p);
void framework_forget_past(struct framework *f); /* all of both */
