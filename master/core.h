/*
 * The master's own structs, shared by its files. Who writes what: agents.c the agents, offers.c the offers and bookings, tasks.c the
 * task table, executors.c the executors, frameworks/ the frameworks, jobs.c the jobs. Frameworks see tasks and offers through struct
 * framework_ops: the built-in queue is one implementation, a subscriber of the scheduler API the other.
 */
#pragma once

#include <uthash.h>
#include <utlist.h>

#include "lib/base/id.h"
#include "lib/base/log.h"
#include "lib/base/option.h"
#include "lib/base/resources.h"
#include "lib/base/time.h"
#include "lib/net/codec.h"
#include "lib/net/http_server.h"
#include "master/allocator/allocator.h"
#include "master/counters.h"
#include "master/election/election.h"
#include "master/master.h"
#include "master/store/store.h"
#include "proto/mete.pb-c.h"
#include "proto/mete_agent.pb-c.h"
#include "proto/mete_checkpoint.pb-c.h"
#include "proto/scheduler.pb-c.h"
#include "proto/validate.h"

#define AGENTS_LOST_MAX 102400 /* unreachable and gone ones that are remembered; the oldest go first */
#define AGENTS_LOST_MAX_SECONDS (14 * 86400)
#define AGENTS_GC_NS (15 * 60 * NSEC_PER_SEC)
#define QUEUE_ROLE "*"
#define QUEUE_NAME "mete-queue"

struct credentials;
struct framework;
struct http_framework;
struct jobs;
struct subscribers;
struct waiter;
struct windows;
struct recovery_hold;
struct roles;

enum agent_state {
        AGENT_RECOVERED,    /* admitted by an earlier master, not seen by this one */
        AGENT_ACTIVE,       /* connected */
        AGENT_DISCONNECTED, /* its stream broke; it may come back */
        AGENT_UNREACHABLE,  /* given up: its tasks are lost unless it comes back */
        AGENT_GONE,         /* an operator said that it never comes back; it may not */
        AGENT_STATE_MAX,
};

enum agent_drain_state {
        AGENT_DRAIN_NONE,
        AGENT_DRAINING, /* its tasks are being killed */
        AGENT_DRAINED,  /* it has been empty since */
        AGENT_DRAIN_STATE_MAX,
};

/* What an operator wants of an agent, or a maintenance window: on disk before it is acted on. See operator/standing.h. */
struct agent_standing {
        bool deactivated; /* it offers nothing; its tasks go on unless it is drained */
        enum agent_drain_state drain;
        bool has_max_grace;
        double max_grace_seconds; /* of the kills that draining takes; a task's own when that is shorter */
        bool mark_gone;           /* when it is drained */
        double drain_since;       /* when the drain began: seconds since 1970 */
        struct string_list
                windows_begun; /* ids of maintenance windows that have begun here and are not over */
        bool by_window;        /* deactivated because of them, until the last of them is over */
};

/* See assignment.h, which writes it. */
struct agent_assignment {
        struct resources reported;  /* what the agent says that it has */
        struct resources resources; /* its dynamic reservations and volumes, complete */
        struct resources durable;   /* the same, as it is on disk for sure */
        uint64_t version, durable_version;
        Mete__V1__Resource **view; /* the total, of agent_describe() */
        size_t n_view;
};

struct agent {
        struct master *master;
        char *id;
        Mete__V1__AgentInfo *info;
        struct resources total; /* what it reports, with what is assigned applied to it */
        struct agent_assignment assignment;
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
        double unreachable_time;          /* seconds since 1970, while AGENT_UNREACHABLE; as on disk */
        double losing_time;               /* the same while that is on its way to disk, else 0 */
        double gone_time; /* seconds since 1970, from the operator's word on, before it is on disk */
        bool stalled;     /* it does not read its commands: disconnected after this callback */
        uint32_t leaving; /* losses of it that are on their way to disk */
        struct string_list
                lost_tasks; /* framework id, task id and so on: kept as unreachable because of this agent */
        struct agent *lost_prev, *lost_next; /* in master.lost_agents */
        struct task *tasks;                  /* live ones; DL by agent_prev, agent_next */
        struct executor *executors;          /* k: framework id '\n' executor id -> v, owned */
        struct offer *offers;                /* outstanding; DL by agent_prev, agent_next */
        uint32_t capabilities;               /* bits: AgentInfo.Capability.Type */
        uint32_t task_count;
        struct resources booked; /* by tasks: for display */
        struct agent_standing standing;
        struct loop_timer *drain_timer;     /* of operator/standing.c: it may be empty; NULL: not drained */
        Mete__Api__Agent__Drain drain_view; /* of agent_describe() */
        Mete__Api__Window **windows; /* that are not over, soonest first; the messages are the windows' */
        size_t n_windows;
        UT_hash_handle hh;
};

struct offer {
        char *id;
        struct framework *framework;
        struct agent *agent;
        char *role;
        struct resources resources;
        struct mono_time made;
        UT_hash_handle hh; /* in the order in which they were made */
        struct offer *agent_prev, *agent_next;
        struct offer *framework_prev, *framework_next;
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
        char *executor_id;               /* NULL: a command task, whose executor the agent stands in for */
        Mete__V1__TaskState state;       /* the latest that the agent knows */
        bool has_update; /* the framework was sent a state, which may be older than the latest: */
        Mete__V1__TaskState update_state;
        bool has_update_uuid;
        uint8_t update_uuid[UUID_BYTES];
        Mete__V1__TaskStatus *
                *statuses; /* owned, without data; what the framework was sent, oldest first, one a state */
        size_t n_statuses;
        bool sent;        /* the launch went down a stream, or the agent reported the task */
        bool released;    /* over: what it held is free already, the task stays until that is acknowledged */
        bool kill_wanted; /* again on every re-registration */
        Mete__Checkpoint__StoredKill kill;
        UT_hash_handle hh;
        struct task *agent_prev, *agent_next;
};

/* An executor of a framework's own: from the first launch that names it until the agent reports its end. */
struct executor {
        char *key; /* framework id '\n' executor id */
        struct framework *framework;
        struct agent *agent;
        char *role;
        Mete__V1__ExecutorInfo *info; /* owned */
        struct resources resources;   /* booked */
        UT_hash_handle hh;            /* in agent.executors */
        struct executor *framework_prev, *framework_next;
};

/* A task that ended, or is on an agent that is unreachable. */
struct past_task {
        Mete__V1__Task *task; /* owned */
        double time;          /* when it ended or became unreachable: seconds since 1970 */
        char *key;            /* task id, in task */
        UT_hash_handle hh;
        struct past_task *prev, *next;
};

/* What may be left out is NULL. */
struct framework_ops {
        /* The queue: it writes statuses down itself, needs no task after its end, and acts on no TASK_STARTING. */
        bool in_process;
        /* An offer to accept or decline, now or later. */
        void (*offer)(struct framework *f, struct offer *o);
        /* The offer is withdrawn; it is freed after this returns. */
        void (*rescind)(struct framework *f, struct offer *o);
        /* Accepted launches: the framework calls task_launch_ready() for each when it may be sent. NULL: at once. */
        void (*launching)(struct framework *f, struct task *const *tasks, size_t count);
        /*
         * A status of a task. With status->uuid the framework acknowledges when it has it safe (agent_acknowledge). The task is NULL
         * when it is none of the live ones, the agent when it is not known. Not called while the framework is not connected. A task whose
         * end is told without uuid, or to a framework in process, is freed after this returns; nothing is removed from within.
         */
        void (*update)(
                struct framework *f, struct agent *a, struct task *t, const Mete__Agent__StatusUpdate *u);
        /*
         * An agent reports a live task that the table does not hold: true to take it back, false to have it killed. held: what it was
         * launched with; less is left in it when the task gave some of it up.
         */
        bool (*adopt)(struct framework *f, struct agent *a, const Mete__Agent__TaskReport *report,
                struct resources *held);
        /* A report of a live task that the table holds, or was just taken back. */
        void (*reported)(
                struct framework *f, struct agent *a, struct task *t, const Mete__Agent__TaskReport *report);
        /* Bytes of events that wait for the scheduler to read them: long answers wait with them. */
        size_t (*pending)(const struct framework *f);
        /* What became of a SUSPEND of this live task. */
        void (*suspended)(struct framework *f, struct agent *a, struct task *t,
                const Mete__Agent__Call__Suspended *suspended);
        /* From an executor. */
        void (*message)(
                struct framework *f, struct agent *a, const char *executor_id, const void *data, size_t len);
        /* An executor ended with this wait status (-1: not known); executor_id NULL: the agent is lost. */
        void (*failure)(struct framework *f, struct agent *a, const char *executor_id, int status);
        /* What became of an operation of an ACCEPT that asked to hear of it by an id. */
        void (*operation)(struct framework *f, const Mete__V1__OperationStatus *status);
        void (*usage)(struct framework *f, const char *task_id, const Mete__Api__TaskUsage *usage);
        /* Agents came, went or changed size. */
        void (*agents_changed)(struct framework *f, struct agent *a, bool gone);
        /* What a role may have is another amount now. */
        void (*quotas_changed)(struct framework *f);
        /*
         * How what is about to be launched is isolated; borrowed. The executor is that of the framework's own or NULL; the task is NULL
         * for the container of an executor that several tasks share.
         */
        const Mete__Api__Isolation *(*isolation)(
                struct framework *f, const Mete__V1__TaskInfo *task, const Mete__V1__ExecutorInfo *executor);
};

enum framework_state {
        FRAMEWORK_RECOVERED,    /* known from agents; this master has not seen it */
        FRAMEWORK_ACTIVE,       /* subscribed, or in process */
        FRAMEWORK_DISCONNECTED, /* its stream broke: gone when its failover timeout is over */
};

struct framework {
        struct master *master;
        char *id;
        Mete__V1__FrameworkInfo *info;   /* with id; complete */
        const struct framework_ops *ops; /* NULL: an orphan, known from an agent's report only */
        void *userdata;
        struct http_framework *http; /* owned by frameworks/; NULL: in process, or an orphan */
        enum framework_state state;
        bool privileged; /* root, or a principal that proved itself, subscribed it: its tasks may run as any user */
        bool has_owner;
        uid_t owner;              /* who subscribed, as the kernel told; not known of a recovered one */
        uint32_t capabilities;    /* bits: framework_has() */
        struct string_list roles; /* as the allocator knows them */
        double registered, reregistered, unregistered; /* seconds since 1970; 0: never */
        struct task *tasks;                            /* k: task id -> v: struct task, owned */
        struct executor *executors;                    /* DL by framework_prev, framework_next; the agents' */
        struct offer *offers;                          /* outstanding; DL by framework_prev, framework_next */
        struct offer_constraints *constraints;         /* owned; NULL: none */
        struct past_task *unreachable;                 /* k: task id -> v, owned; insertion order */
        struct past_task *completed;                   /* DL, owned; oldest first */
        size_t completed_count;
        struct framework_counters counters;
        UT_hash_handle hh;
        struct framework *prev, *next; /* in master.completed_frameworks */
};

struct master {
        struct loop *loop;
        const struct master_options *options;
        struct store *store;
        struct election *election;
        struct credentials *credentials; /* NULL: frameworks do not authenticate */
        struct http_server *server;
        uint16_t port;
        struct allocator *allocator;
        struct loop_timer *offer_timer; /* the next look at the allocator: at once, or at its next wake-up */
        bool offers_soon;
        struct mono_time offers_asked;   /* when that was */
        struct loop_timer *offer_expiry; /* of the oldest outstanding offer, with --offer-timeout */
        bool stopping;
        char *failure;
        char id[UUID_TEXT_MAX]; /* of this process */
        uint64_t epoch;
        bool leading;
        Mete__V1__DomainInfo *domain; /* owned; NULL: none */
        double start_time;
        double elected_time; /* 0: not yet */
        struct master_counters counters;
        uint64_t next_agent, next_offer;
        struct agent *agents;              /* k: id -> v, owned */
        size_t agents_in[AGENT_STATE_MAX]; /* of them, in each state */
        size_t agents_leaving;             /* of them, those with losses on their way to disk */
        size_t agents_max;                 /* that are here, or expected back: see agents_max_of() */
        size_t connections_max;
        struct agent *lost_agents; /* DL: unreachable and gone ones, oldest first */
        struct loop_timer *agents_gc_timer;
        struct reconciliation *reconciliations; /* DL, owned: long answers, sent piece by piece */
        struct loop_timer *reconcile_timer;
        struct framework *frameworks;           /* k: id -> v, owned */
        struct offer *offers;                   /* k: id -> v, owned */
        struct framework *completed_frameworks; /* DL, owned; oldest first; without tasks and executors */
        size_t completed_framework_count;
        uint64_t next_framework;
        struct http_framework *streams; /* k: stream id -> v; those that are connected */
        struct framework *queue_framework;
        struct jobs *jobs;
        struct history *history; /* of jobs that ended */
        struct learned *learned; /* of them, and of users */
        struct subscribers *subscribers;
        struct windows *windows;    /* of maintenance */
        struct roles *roles;        /* their weights and quotas */
        struct recovery_hold *hold; /* NULL: agents need not be waited for */
        struct waiter *waiters;     /* long polls; DL */
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
/* By id, or by a host name that only one agent has which is here or expected back. -ENOENT or -EEXIST with a sentence. */
int agent_find_named(
        const struct master *m, const char *id_or_hostname, struct agent **ret, struct error *e) WARN_UNUSED;
/* Connected, and no operator or window keeps it from being offered. */
static inline bool agent_is_offered(const struct agent *a)
{
        return a->state == AGENT_ACTIVE && !a->standing.deactivated;
}
/* After all are recovered: begins to forget the oldest of those that were lost. */
void agents_start(struct master *m);
void agents_gc(struct master *m, double now_seconds); /* seconds since 1970 */
/* Neither here nor given up: nobody can say what became of its tasks. */
static inline bool agent_in_doubt(const struct agent *a)
{
        return a->state == AGENT_RECOVERED || a->leaving > 0;
}
/* From the store. Takes the message. */
struct agent *agent_recover(struct master *m, Mete__Checkpoint__AdmittedAgent *admitted, struct error *e);
/* Answers the request, now or when the admission is on disk. */
void agent_subscribe(struct master *m, struct http_request *req, const Mete__Agent__Call *call);
void agent_alive(struct agent *a); /* a call came in */
void agent_unregister(struct agent *a);
bool agent_send_launch(struct agent *a, const struct task *t);
/* Of one framework, all to the executor, which is its own. */
bool agent_send_launch_group(struct agent *a, struct framework *f, const Mete__V1__ExecutorInfo *executor,
        struct task *const *tasks, size_t count, const Mete__Api__Isolation *isolation);
bool agent_send_kill(struct agent *a, const char *framework_id, const char *task_id,
        const Mete__Checkpoint__StoredKill *kill, bool only_signal);
/* sequence: grows with every one of the task. */
bool agent_send_suspend(
        struct agent *a, const char *framework_id, const char *task_id, bool suspended, uint64_t sequence);
void agent_acknowledge(struct agent *a, const char *framework_id, const char *task_id, const uint8_t *uuid);
/* Best effort: false when the agent is not connected. */
bool agent_send_message(
        struct agent *a, const char *framework_id, const char *executor_id, const void *data, size_t len);
bool agent_send_shutdown_executor(struct agent *a, const char *framework_id, const char *executor_id);
bool agent_send_shutdown_framework(struct agent *a, const char *framework_id);
bool agent_send_update_framework(struct agent *a, const Mete__V1__FrameworkInfo *info);
/* Durable first, then its tasks are over and it may never register again. */
void agent_mark_gone(struct agent *a);
void agent_describe(
        const struct agent *a, Mete__Api__Agent *ret); /* borrows; valid until the agent changes */
void agents_stop(struct master *m);
const char *agent_state_to_string(enum agent_state s);

/* ---- offers.c ---- */
void offers_init(struct master *m);
/* allocator_options.qualifies, with the master as its userdata: constraints, capabilities, the smallest offers that a role wants. */
bool offer_qualifies(void *master, const char *framework, const char *role, const char *agent,
        const struct resources *available);
void offers_schedule(struct master *m);     /* soon, after the current callback */
void offers_rescind_agent(struct agent *a); /* each framework is told */
/* All that the framework has, of the role (NULL: any); told: RESCIND events are due. */
void offers_rescind_framework(struct framework *f, const char *role, bool told);
/* As the framework's capabilities want it: with or without allocation_info, in the old or the new shape. message_free() it. */
Mete__V1__Offer *offer_to_proto(const struct offer *o);
/* Refuses what cannot be evaluated; NULL: every agent qualifies. Kept with the framework until replaced. */
int framework_set_constraints(struct framework *f, const Mete__V1__Scheduler__OfferConstraints *constraints,
        struct error *e) WARN_UNUSED;
/* NULL is fine. */
void offer_constraints_free(struct offer_constraints *c);
/* Roles in which the framework wants no offers; the others are revived. */
void framework_set_suppressed(struct framework *f, char *const *roles, size_t count);
struct offer *offer_find(const struct master *m, const char *id);
/*
 * Launches tasks on offers of one agent, framework and role; what remains is declined with the filter. Tasks that are refused
 * get their status through ops->update. Consumes the offers, and takes the TaskInfos of what it launches: they are NULL afterwards.
 * Others it completes as the launch would have (allocation_info, ids of the framework).
 */
void offers_accept(struct framework *f, const char *const *offer_ids, size_t offer_count,
        Mete__V1__Offer__Operation *const *operations, size_t operation_count, uint64_t refuse_ns);
void offers_decline(
        struct framework *f, const char *const *offer_ids, size_t offer_count, uint64_t refuse_ns);
/*
 * What a task gives up without ending: an offer of its framework, agent and role at once, without a detour by what is fair. Back to the
 * allocator when the agent is not offered.
 */
void offer_from_task(struct task *t, const struct resources *part);
/* The way back. -EINVAL: of another agent, framework or role; -ERANGE: the offer does not hold it. What is left stays an offer. */
int offer_move_to_task(struct offer *o, const struct resources *part, struct task *t) WARN_UNUSED;
/* Of one framework, agent and role: the first holds it all, the others are gone. */
struct offer *offers_merge(struct offer *const *offers, size_t count);
void offers_free(struct master *m);

/* ---- tasks.c ---- */
struct task *task_find(const struct framework *f, const char *id);
/* Into the table and the agent's list. Takes info and isolation. Bookings are the caller's. */
struct task *task_add(struct framework *f, struct agent *a, const char *role, Mete__V1__TaskInfo *info,
        Mete__Api__Isolation *isolation, const struct resources *resources);
void task_release(struct task *t); /* what it holds is free; it stays in the table */
void task_remove(struct task *t);  /* releases and frees it */
/* It ended: one of the framework's completed tasks from now on, and freed. */
void task_done(struct task *t);
/* The launch is safe on disk (ok) or cannot be: send it, or give it back. */
void task_launch_ready(struct framework *f, const char *task_id, bool ok);
/* Remembered, and sent again whenever its agent registers. */
void task_kill(struct task *t, const Mete__Checkpoint__StoredKill *kill);
/* What it asks for itself, without its executor, as the agent holds it. */
bool resources_of_task(const struct agent *a, const Mete__V1__TaskInfo *info, struct resources *ret);

/* ---- task_status.c ---- */
/* The only way in which a task's state changes once it is in the table: the states are counted. */
void task_enter_state(struct task *t, Mete__V1__TaskState state);
/* The latest state, which never leaves a terminal one: with that what it holds becomes free. */
void task_set_latest(struct task *t, Mete__V1__TaskState state);
/* Where the framework is: reconciliation answers with it. */
static inline Mete__V1__TaskState task_seen_state(const struct task *t)
{
        return t->has_update ? t->update_state : t->state;
}
/*
 * A status that the master makes itself, without uuid. Removes the task when the state is terminal or UNREACHABLE; a framework in
 * process hears LOST of everything that happens to an agent.
 */
void task_set_status(struct task *t, Mete__V1__TaskState state, Mete__V1__TaskStatus__Reason reason,
        const char *fmt, ...) PRINTF_LIKE(4, 5);
/* The same for a task that is not live, or of which only a state is told. a may be NULL; message is borrowed. */
struct told_status {
        const char *task_id, *agent_id; /* agent_id may be NULL */
        struct task *task;              /* what is known of it is told too; may be NULL */
        Mete__V1__TaskState state;
        Mete__V1__TaskStatus__Reason reason;
        const char *message;
        double unreachable_time; /* seconds since 1970; 0: none */
};
void framework_tell(struct framework *f, struct agent *a, const struct told_status *told);
void tasks_update(struct agent *a, const Mete__Agent__StatusUpdate *u);
/* The scheduler has a status safe. Wrong ones are counted and dropped. */
void task_acknowledge(struct framework *f, const char *agent_id, const char *task_id, const void *uuid);
/* Its agent is unreachable, gone or said goodbye (AGENT_DISCONNECTED): none of its tasks remains in the table. */
void tasks_lost(struct agent *a, enum agent_state how, const char *why);

/* ---- task_reports.c ---- */
/* Compares the tables with what an agent reports that registers and was in the state `before`; known: it was not forgotten. */
void agent_take_reports(
        struct agent *a, const Mete__Agent__Call__Subscribe *s, enum agent_state before, bool known);
void agent_forget_lost_tasks(struct agent *a);

/* ---- reconcile.c ---- */
/* count 0: all live tasks of the framework. Long answers are sent piece by piece, as the scheduler reads them. */
void framework_reconcile(
        struct framework *f, Mete__V1__Scheduler__Call__Reconcile__Task *const *tasks, size_t count);
void framework_reconcile_operations(struct framework *f,
        Mete__V1__Scheduler__Call__ReconcileOperations__Operation *const *operations, size_t count);
void reconciliations_free(struct master *m);

/* ---- task_view.c ---- */
/* Borrows from t: free only the struct's own arrays, by task_to_proto_done. */
void task_to_proto(const struct task *t, Mete__V1__Task *ret);
void task_to_proto_done(Mete__V1__Task *task);

/* ---- executors.c ---- */
struct executor *executor_find(const struct agent *a, const char *framework_id, const char *executor_id);
/* Into the tables. Copies. Bookings are the caller's. */
struct executor *executor_add(struct framework *f, struct agent *a, const char *role,
        const Mete__V1__ExecutorInfo *info, const struct resources *resources);
void executor_remove(struct executor *x); /* recovers what it holds and frees it */
/* It ended, or its agent does not know it any more (status -1): its framework is told. */
void executor_exited(struct executor *x, int status);

/* ---- frameworks/ ---- */
struct framework *framework_find(const struct master *m, const char *id);
bool framework_is_completed(const struct master *m, const char *id);
/* Takes info, which has its id. */
struct framework *framework_add(
        struct master *m, Mete__V1__FrameworkInfo *info, const struct framework_ops *ops, void *userdata);
/* A framework in process, of the role of the queue. */
struct framework *framework_add_local(
        struct master *m, const char *id, const char *name, const struct framework_ops *ops, void *userdata);
static inline bool framework_has(const struct framework *f, Mete__V1__FrameworkInfo__Capability__Type c)
{
        return f->capabilities & (1u << c);
}
void frameworks_free(struct master *m);

/* ---- api/subscribers.c: what changed, to those who listen ---- */
struct job;
void events_agent(struct master *m, const struct agent *a);
void events_task(struct master *m, struct job *j, uint32_t index);
void events_job(struct master *m, struct job *j); /* several changes in a row may become one event */
void events_forget_job(struct master *m, struct job *j);
/* ---- api/wait.c ---- */
void waiters_job_ended(struct master *m, struct job *j);
