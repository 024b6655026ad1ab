/*
 * The master's own structs, shared by its files. Who writes what: agents.c the agents, offers.c the offers and bookings, tasks.c the
 * task table, jobs.c the jobs. Frameworks see tasks and offers through struct framework_ops: the built-in queue is one of them.
 */
#pragma once

#include <uthash.h>
#include <utlist.h>

#include "lib/base/id.h"
#include "lib/base/log.h"
#include "lib/base/resources.h"
#include "lib/base/time.h"
#include "lib/net/codec.h"
#include "lib/net/http_server.h"
#include "master/allocator/allocator.h"
#include "master/election/election.h"
#include "master/master.h"
#include "master/store/store.h"
#include "proto/mete.pb-c.h"
#include "proto/mete_agent.pb-c.h"
#include "proto/mete_checkpoint.pb-c.h"
#include "proto/validate.h"

#define AGENTS_MAX 10000
#define AGENTS_UNREACHABLE_MAX 1000 /* remembered; the oldest go first */
#define QUEUE_ROLE "*"

struct framework;
struct jobs;
struct subscribers;
struct waiter;

enum agent_state {
        AGENT_RECOVERED,    /* admitted by an earlier master, not seen by this one */
        AGENT_ACTIVE,       /* connected */
        AGENT_DISCONNECTED, /* its stream broke; it may come back */
        AGENT_UNREACHABLE,  /* given up: its tasks are lost unless it comes back */
};

struct agent {
        struct master *master;
        char *id;
        Mete__V1__AgentInfo *info;
        struct resources total;
        char *address, *version, *measurement, *cgroup_layout;
        double registered, reregistered; /* seconds since 1970; 0: never */
        enum agent_state state;
        bool allocated; /* the allocator knows it */
        bool admitted;  /* registered before: the next time is a re-registration */
        struct http_stream *stream;
        char stream_id[UUID_TEXT_MAX];
        struct loop_timer *timer; /* pings while active, the time limit otherwise */
        uint64_t missed_pings;
        struct http_request *subscribing; /* answered once the admission is on disk */
        uint32_t subscriptions;           /* of them: an older one's answer finds a newer number */
        struct task *tasks;               /* live ones; DL by agent_prev, agent_next */
        struct offer *offers;             /* outstanding; DL by agent_prev, agent_next */
        uint32_t task_count;
        struct resources booked; /* by tasks: for display */
        UT_hash_handle hh;
};

struct offer {
        char *id;
        struct framework *framework;
        struct agent *agent;
        char *role;
        struct resources resources;
        UT_hash_handle hh;
        struct offer *agent_prev, *agent_next;
};

/* A live task: from the accepted launch until its terminal status. */
struct task {
        char *id;
        struct framework *framework;
        struct agent *agent;
        char *role;
        Mete__V1__TaskInfo *info;
        Mete__Api__Isolation *isolation; /* owned; may be NULL */
        struct resources resources;      /* booked */
        Mete__V1__TaskState state;
        bool sent;        /* the launch went down a stream, or the agent reported the task */
        bool kill_wanted; /* again on every re-registration */
        Mete__Checkpoint__StoredKill kill;
        UT_hash_handle hh;
        struct task *agent_prev, *agent_next;
};

struct framework_ops {
        /* An offer to accept or decline, now or later. */
        void (*offer)(struct framework *f, struct offer *o);
        /* Accepted launches: `ready` (NULL: at once) is called when they may be sent, with the task ids. */
        void (*launching)(struct framework *f, struct task *const *tasks, size_t count);
        /*
         * A status of a task. With status->uuid the framework acknowledges when it has it safe (agent_acknowledge). The task is NULL
         * when it is none of the live ones. A terminal task is freed after this returns.
         */
        void (*update)(
                struct framework *f, struct agent *a, struct task *t, const Mete__Agent__StatusUpdate *u);
        /* An agent reports a live task that the table does not hold: true to take it back, false to have it killed. */
        bool (*adopt)(struct framework *f, struct agent *a, const Mete__Agent__TaskReport *report);
        /* A report of a live task that the table holds, or was just taken back. */
        void (*reported)(
                struct framework *f, struct agent *a, struct task *t, const Mete__Agent__TaskReport *report);
        void (*usage)(struct framework *f, const char *task_id, const Mete__Api__TaskUsage *usage);
        /* Agents came, went or changed size. */
        void (*agents_changed)(struct framework *f, struct agent *a, bool gone);
        const Mete__Api__Isolation *(*isolation)(struct framework *f, const char *task_id);
};

struct framework {
        struct master *master;
        char *id;
        Mete__V1__FrameworkInfo *info;
        const struct framework_ops *ops; /* NULL: an orphan, known from an agent's report only */
        void *userdata;
        struct task *tasks; /* k: task id -> v: struct task, owned */
        UT_hash_handle hh;
};

struct master {
        struct loop *loop;
        const struct master_options *options;
        struct store *store;
        struct election *election;
        struct http_server *server;
        uint16_t port;
        struct allocator *allocator;
        struct loop_timer *offer_timer; /* the next look at the allocator: at once, or at its next wake-up */
        bool offers_soon;
        bool stopping;
        char *failure;
        char id[UUID_TEXT_MAX]; /* of this process */
        uint64_t epoch;
        bool leading;
        double start_time;
        uint64_t next_agent, next_offer;
        struct agent *agents;         /* k: id -> v, owned */
        struct framework *frameworks; /* k: id -> v, owned */
        struct offer *offers;         /* k: id -> v, owned */
        struct framework *queue_framework;
        struct jobs *jobs;
        struct subscribers *subscribers;
        struct waiter *waiters; /* long polls; DL */
        size_t waiter_count;
};

/* ---- master.c ---- */
void master_fail(struct master *m, const char *fmt, ...) PRINTF_LIKE(2, 3);
void master_put_message(struct store_batch *b, const char *key, const ProtobufCMessage *message);
void master_put_identity(struct master *m, struct store_batch *b);
/* Writes; a failure of the store stops the master after `done`. */
void master_write(struct master *m, struct store_batch *b, store_done_handler done, void *userdata);
static inline double wall_seconds_now(void)
{
        return wall_seconds(wall_now());
}
static inline void set_string(char **to, const char *from)
{
        char *copy = xstrdup(from);

        cleanup_free(to);
        *to = copy;
}

/* ---- agents.c ---- */
struct agent *agent_find(const struct master *m, const char *id);
/* From the store. Takes the message. */
struct agent *agent_recover(struct master *m, Mete__Checkpoint__AdmittedAgent *admitted, struct error *e);
/* Answers the request, now or when the admission is on disk. */
void agent_subscribe(struct master *m, struct http_request *req, const Mete__Agent__Call *call);
void agent_alive(struct agent *a); /* a call came in */
void agent_unregister(struct agent *a);
bool agent_send_launch(struct agent *a, const struct task *t);
bool agent_send_kill(struct agent *a, const char *framework_id, const char *task_id,
        const Mete__Checkpoint__StoredKill *kill, bool only_signal);
void agent_acknowledge(struct agent *a, const char *framework_id, const char *task_id, const uint8_t *uuid);
void agent_describe(
        const struct agent *a, Mete__Api__Agent *ret); /* borrows; valid until the agent changes */
void agents_stop(struct master *m);
const char *agent_state_to_string(enum agent_state s);

/* ---- offers.c ---- */
void offers_init(struct master *m);
void offers_schedule(struct master *m); /* soon, after the current callback */
void offers_rescind_agent(struct agent *a);
struct offer *offer_find(const struct master *m, const char *id);
/*
 * Launches tasks on offers of one agent, framework and role; what remains is declined with the filter. Tasks that are refused
 * get their status through ops->update. Consumes the offers.
 */
void offers_accept(struct framework *f, const char *const *offer_ids, size_t offer_count,
        Mete__V1__Offer__Operation *const *operations, size_t operation_count, uint64_t refuse_ns);
void offers_decline(
        struct framework *f, const char *const *offer_ids, size_t offer_count, uint64_t refuse_ns);
void offers_free(struct master *m);

/* ---- tasks.c ---- */
struct task *task_find(const struct framework *f, const char *id);
/* Into the table and the agent's list. Takes info and isolation. Bookings are the caller's. */
struct task *task_add(struct framework *f, struct agent *a, const char *role, Mete__V1__TaskInfo *info,
        Mete__Api__Isolation *isolation, const struct resources *resources);
void task_remove(struct task *t); /* recovers what it holds and frees it */
/* The launch is safe on disk (ok) or cannot be: send it, or give it back. */
void task_launch_ready(struct framework *f, const char *task_id, bool ok);
/* A status that the master makes itself, without uuid. Removes the task when the state is terminal. */
void task_set_status(struct task *t, Mete__V1__TaskState state, Mete__V1__TaskStatus__Reason reason,
        const char *fmt, ...) PRINTF_LIKE(4, 5);
void task_kill(struct task *t, const Mete__Checkpoint__StoredKill *kill);
void tasks_update(struct agent *a, const Mete__Agent__StatusUpdate *u);
/* Compares the table with what a (re-)registering agent reports. */
void tasks_reconcile(struct agent *a, Mete__Agent__TaskReport *const *reports, size_t count);
void tasks_lost(struct agent *a, Mete__V1__TaskStatus__Reason reason, const char *why);
struct framework *framework_find(const struct master *m, const char *id);
struct framework *framework_add(
        struct master *m, const char *id, const char *name, const struct framework_ops *ops, void *userdata);
void frameworks_free(struct master *m);
bool resources_of_task(const Mete__V1__TaskInfo *info, struct resources *ret);

/* ---- api/subscribers.c: what changed, to those who listen ---- */
struct job;
void events_agent(struct master *m, const struct agent *a);
void events_task(struct master *m, struct job *j, uint32_t index);
void events_job(struct master *m, struct job *j); /* several changes in a row may become one event */
void events_forget_job(struct master *m, struct job *j);
/* ---- api/wait.c ---- */
void waiters_job_ended(struct master *m, struct job *j);
