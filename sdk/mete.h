/*
 * libmete: frameworks for Mete, and for anything else that speaks the Mesos v1 HTTP API, in C. See libmete(3).
 *
 * A scheduler driver subscribes with a master, gets offers and status updates, and sends calls. An executor driver runs on an
 * agent, inside the container that a scheduler asked for, gets tasks and reports what becomes of them. Both keep their subscription by
 * themselves: they find the leading master, watch heartbeats, and connect again with a random, growing delay.
 *
 * Messages are the structs that protobuf-c makes of the Mesos v1 messages: Mete__V1__TaskInfo is mesos.v1.TaskInfo. Those handed to a
 * callback belong to the driver and are valid until the callback returns; mete_message_copy() keeps one. Those handed to a call are only
 * read, and may be freed as soon as it returns.
 *
 * Threads. A driver runs on one thread: that of mete_scheduler_run(), or one of its own after mete_scheduler_start(). Callbacks come
 * on that thread, one at a time, and should not block. Every call (launch, kill, update, stop, ...) may be made from any thread and from
 * callbacks; it queues and returns at once, and calls reach the daemon in the order in which they were made. Only x_free(), x_run(), x_start()
 * and x_join() do not belong into callbacks. A program may have several drivers.
 *
 * Errors are negative errno values. Where a sentence helps, the last argument is a struct mete_error (NULL: not wanted).
 *
 * The library takes SIGPIPE when it is left at its default, by a handler that does nothing; it touches no other signal. Out of memory in
 * small allocations ends the process.
 */
#ifndef METE_H
#define METE_H
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/executor.pb-c.h"
#include "proto/mesos.pb-c.h"
#include "proto/scheduler.pb-c.h"

#ifdef __cplusplus
extern "C" {
#endif

#define METE_API __attribute__((visibility("default")))
#define METE_ERROR_MESSAGE_MAX 512

struct mete_error {
        int code;                             /* negative errno; untouched on success */
        char message[METE_ERROR_MESSAGE_MAX]; /* one sentence */
};

/* ---- scheduler ------------------------------------------------------------------------------------------- */

struct mete_scheduler;

/*
 * Any of them may be NULL. After `error` the driver is over, and mete_scheduler_run() returns. Updates come at least once: one that
 * was not acknowledged in time comes again with the same uuid.
 */
struct mete_scheduler_callbacks {
        size_t size; /* sizeof(struct mete_scheduler_callbacks): later versions append */
        /* Subscribed for the first time, under an id that the master chose: keep it for a failover. */
        void (*registered)(struct mete_scheduler *s, const Mete__V1__FrameworkID *id,
                const Mete__V1__MasterInfo *master, void *userdata);
        /* Subscribed under an id that was known: reconcile now. The offers of before are void. master may be NULL in both. */
        void (*reregistered)(struct mete_scheduler *s, const Mete__V1__MasterInfo *master, void *userdata);
        /* Calls that were still queued are lost, and new ones are refused until the next subscription. */
        void (*disconnected)(struct mete_scheduler *s, const char *reason, void *userdata);
        void (*offers)(
                struct mete_scheduler *s, Mete__V1__Offer *const *offers, size_t n_offers, void *userdata);
        void (*rescinded)(struct mete_scheduler *s, const Mete__V1__OfferID *offer, void *userdata);
        /* Acknowledged when this returns, unless the options say otherwise. */
        void (*update)(struct mete_scheduler *s, const Mete__V1__TaskStatus *status, void *userdata);
        void (*message)(struct mete_scheduler *s, const Mete__V1__AgentID *agent,
                const Mete__V1__ExecutorID *executor, const void *data, size_t len, void *userdata);
        /* executor NULL: the agent is lost. Else that executor ended, with a wait status. */
        void (*failure)(struct mete_scheduler *s, const Mete__V1__AgentID *agent,
                const Mete__V1__ExecutorID *executor, int status, void *userdata);
        /* The master refused the subscription, or ended it: another scheduler took the framework over, or it was removed. */
        void (*error)(struct mete_scheduler *s, const char *message, void *userdata);
        /* The master refused one call by this HTTP status: it was malformed. The subscription goes on. */
        void (*refused)(struct mete_scheduler *s, Mete__V1__Scheduler__Call__Type call, int status,
                const char *message, void *userdata);
        /* Every other event, as it came: inverse offers, operation statuses. */
        void (*other)(struct mete_scheduler *s, const Mete__V1__Scheduler__Event *event, void *userdata);
};

/* Begin with METE_SCHEDULER_OPTIONS_INIT; what is left zero is the default. All is copied. */
struct mete_scheduler_options {
        size_t size; /* sizeof(struct mete_scheduler_options) */
        /* "HOST[:PORT],..." of the masters, of which the leader is found by redirects. NULL: $METE_MASTER, else 127.0.0.1:5050. */
        const char *master;
        /* With an id: the framework is taken over (failover). */
        const Mete__V1__FrameworkInfo *framework;
        const char *const *suppressed_roles; /* get no offers before mete_scheduler_revive() */
        size_t n_suppressed_roles;
        struct mete_scheduler_callbacks callbacks;
        void *userdata;
        bool explicit_acknowledgements; /* mete_scheduler_acknowledge() is the caller's to call */
        bool json;                      /* JSON on the wire instead of protobuf */
        const char *principal;          /* HTTP basic authentication, with secret */
        const char *secret;
        size_t max_queued_calls;     /* 10,000 */
        unsigned connect_timeout_ms; /* from connecting to the first event; 15,000 */
        unsigned
                backoff_min_ms; /* the delay is random between it and a bound that doubles up to backoff_max_ms; 500 */
        unsigned backoff_max_ms; /* 15,000 */
        unsigned
                heartbeat_interval_ms; /* instead of what the master says; five without any event are a disconnection */
        unsigned stop_timeout_ms; /* how long queued calls may hold up a stop; 5,000 */
};
#ifdef __cplusplus
#define METE_SCHEDULER_OPTIONS_INIT                                                                          \
        {                                                                                                    \
                sizeof(struct mete_scheduler_options), NULL, NULL, NULL, 0,                                  \
                {                                                                                            \
                        sizeof(struct mete_scheduler_callbacks)                                              \
                }                                                                                            \
        }
#else
#define METE_SCHEDULER_OPTIONS_INIT                                                                          \
        {                                                                                                    \
                .size = sizeof(struct mete_scheduler_options), .callbacks = {                                \
                        .size = sizeof(struct mete_scheduler_callbacks)                                      \
                }                                                                                            \
        }
#endif

/* Connects to nothing yet. -EINVAL: the options make no sense. */
METE_API int mete_scheduler_new(
        const struct mete_scheduler_options *options, struct mete_scheduler **ret, struct mete_error *error);
/* NULL is fine. Stops a driver that was started, and waits for its thread. Always returns NULL. */
METE_API struct mete_scheduler *mete_scheduler_free(struct mete_scheduler *s);

/*
 * Runs the driver on this thread until mete_scheduler_stop() (0) or an error: -EPERM the subscription was refused or ended by the
 * master, -EIO the event loop failed. Once a driver.
 */
METE_API int mete_scheduler_run(struct mete_scheduler *s, struct mete_error *error);
/* The same on a thread of its own. -EBUSY: it runs, or has run. */
METE_API int mete_scheduler_start(struct mete_scheduler *s);
/* Waits for that thread; the result is that of mete_scheduler_run(). -EINVAL: it was not started. */
METE_API int mete_scheduler_join(struct mete_scheduler *s, struct mete_error *error);
/* Sends what is queued and ends. The framework lives on for its failover_timeout. */
METE_API void mete_scheduler_stop(struct mete_scheduler *s);
/* The same, and the framework ends with all its tasks and executors. -ENOTCONN, -ENOBUFS: it stops without that. */
METE_API int mete_scheduler_teardown(struct mete_scheduler *s);
/* NULL before the first subscription; then the same text until the driver is freed. */
METE_API const char *mete_scheduler_framework_id(struct mete_scheduler *s);

/*
 * Calls return 0 (queued), -ENOTCONN without a subscription, -ENOBUFS when too many calls wait, -EINVAL for a message that is invalid by
 * itself. What the master makes of them arrives as events: tasks on offers that are gone, for example, as updates.
 *
 * refuse_seconds: how long resources of these offers that are not used should not be offered to this framework again; negative: the
 * master's default of 5 s.
 */
METE_API int mete_scheduler_launch(struct mete_scheduler *s, Mete__V1__OfferID *const *offers,
        size_t n_offers, Mete__V1__TaskInfo *const *tasks, size_t n_tasks, double refuse_seconds);
/* Any operations: groups of tasks, reservations, volumes. */
METE_API int mete_scheduler_accept(struct mete_scheduler *s, Mete__V1__OfferID *const *offers,
        size_t n_offers, Mete__V1__Offer__Operation *const *operations, size_t n_operations,
        double refuse_seconds);
METE_API int mete_scheduler_decline(
        struct mete_scheduler *s, Mete__V1__OfferID *const *offers, size_t n_offers, double refuse_seconds);
/* No roles: all of the framework's. Revive forgets refusals too. */
METE_API int mete_scheduler_revive(struct mete_scheduler *s, const char *const *roles, size_t n_roles);
METE_API int mete_scheduler_suppress(struct mete_scheduler *s, const char *const *roles, size_t n_roles);
/*
 * agent_id may be NULL. grace_ns: between SIGTERM and SIGKILL, negative: the task's own. Nobody repeats a kill that was lost on the way:
 * call again until the task has ended.
 */
METE_API int mete_scheduler_kill(
        struct mete_scheduler *s, const char *task_id, const char *agent_id, int64_t grace_ns);
METE_API int mete_scheduler_shutdown_executor(
        struct mete_scheduler *s, const char *executor_id, const char *agent_id);
/* With explicit acknowledgements, once a status with a uuid is dealt with. A status without one needs none: 0. */
METE_API int mete_scheduler_acknowledge(struct mete_scheduler *s, const Mete__V1__TaskStatus *status);
/* Asks for an update of each task. agent_ids may be NULL, as may each of them. No tasks: all that the master knows. */
METE_API int mete_scheduler_reconcile(
        struct mete_scheduler *s, const char *const *task_ids, const char *const *agent_ids, size_t n_tasks);
/* To an executor; delivered at most once. */
METE_API int mete_scheduler_message(struct mete_scheduler *s, const char *agent_id, const char *executor_id,
        const void *data, size_t len);
/* Any other call; the driver fills in framework_id. SUBSCRIBE is -EINVAL. */
METE_API int mete_scheduler_call(struct mete_scheduler *s, const Mete__V1__Scheduler__Call *call);

/* ---- executor -------------------------------------------------------------------------------------------- */

struct mete_executor;

/* Any of them may be NULL. */
struct mete_executor_callbacks {
        size_t size; /* sizeof(struct mete_executor_callbacks) */
        void (*registered)(struct mete_executor *x, const Mete__V1__ExecutorInfo *executor,
                const Mete__V1__FrameworkInfo *framework, const Mete__V1__AgentInfo *agent, void *userdata);
        /* After the agent was restarted, or the connection lost. */
        void (*reregistered)(struct mete_executor *x, const Mete__V1__AgentInfo *agent, void *userdata);
        void (*disconnected)(struct mete_executor *x, const char *reason, void *userdata);
        /* Start it and report TASK_RUNNING, or TASK_FAILED. A task that is known already does not come twice. */
        void (*launch)(struct mete_executor *x, const Mete__V1__TaskInfo *task, void *userdata);
        /* All of them together; NULL: `launch` gets them one by one. */
        void (*launch_group)(struct mete_executor *x, const Mete__V1__TaskGroupInfo *group, void *userdata);
        /* policy (may be NULL) goes before the task's own. */
        void (*kill)(struct mete_executor *x, const Mete__V1__TaskID *task,
                const Mete__V1__KillPolicy *policy, void *userdata);
        void (*message)(struct mete_executor *x, const void *data, size_t len, void *userdata);
        /* An update has arrived; the driver has forgotten it. */
        void (*acknowledged)(struct mete_executor *x, const Mete__V1__TaskID *task, void *userdata);
        /*
         * End every task, report that, call mete_executor_stop(). When the grace period is over the driver ends the process with
         * status 1. Also comes when the agent is gone for good.
         */
        void (*shutdown)(struct mete_executor *x, void *userdata);
        /* The agent refuses this executor: `shutdown` follows. */
        void (*error)(struct mete_executor *x, const char *message, void *userdata);
};

/* Begin with METE_EXECUTOR_OPTIONS_INIT. Where the agent is and who we are is taken from the environment that the agent sets (MESOS_*, see libmete(3)). */
struct mete_executor_options {
        size_t size; /* sizeof(struct mete_executor_options) */
        struct mete_executor_callbacks callbacks;
        void *userdata;
        bool json;               /* JSON on the wire instead of protobuf */
        bool keep_process;       /* after the grace period mete_executor_run() returns -ETIMEDOUT instead */
        size_t max_queued_calls; /* 10,000; of updates that are not acknowledged too */
        unsigned connect_timeout_ms; /* from connecting to the first event; 15,000 */
        unsigned backoff_min_ms;     /* 100 */
        unsigned stop_timeout_ms;    /* how long unacknowledged updates may hold up a stop; 60,000 */
};
#ifdef __cplusplus
#define METE_EXECUTOR_OPTIONS_INIT                                                                           \
        {                                                                                                    \
                sizeof(struct mete_executor_options),                                                        \
                {                                                                                            \
                        sizeof(struct mete_executor_callbacks)                                               \
                }                                                                                            \
        }
#else
#define METE_EXECUTOR_OPTIONS_INIT                                                                           \
        {                                                                                                    \
                .size = sizeof(struct mete_executor_options), .callbacks = {                                 \
                        .size = sizeof(struct mete_executor_callbacks)                                       \
                }                                                                                            \
        }
#endif

/* -EINVAL names the variable that is missing or wrong: not started by an agent? */
METE_API int mete_executor_new(
        const struct mete_executor_options *options, struct mete_executor **ret, struct mete_error *error);
METE_API struct mete_executor *mete_executor_free(struct mete_executor *x); /* as mete_scheduler_free() */

/*
 * As mete_scheduler_run(). 0 after mete_executor_stop(); -EPERM refused by the agent; -ETIMEDOUT the grace period was over.
 */
METE_API int mete_executor_run(struct mete_executor *x, struct mete_error *error);
METE_API int mete_executor_start(struct mete_executor *x);
METE_API int mete_executor_join(struct mete_executor *x, struct mete_error *error);
/* Ends once every update is acknowledged. */
METE_API void mete_executor_stop(struct mete_executor *x);

/*
 * Reports a state. It is kept until the agent has acknowledged it, over lost connections and restarts of the agent. message may be
 * NULL. -EINVAL: TASK_STAGING is not an executor's to report; -ENOBUFS: too many are not acknowledged.
 */
METE_API int mete_executor_report(
        struct mete_executor *x, const char *task_id, Mete__V1__TaskState state, const char *message);
/* The same with every field that an executor may set; uuid, source, timestamp and executor_id are the driver's. */
METE_API int mete_executor_update(struct mete_executor *x, const Mete__V1__TaskStatus *status);
/* To the scheduler; delivered at most once. -ENOTCONN, -ENOBUFS. */
METE_API int mete_executor_message(struct mete_executor *x, const void *data, size_t len);

/* ---- messages -------------------------------------------------------------------------------------------- */

/*
 * Messages made here, and copies, live on the heap and are the caller's: everything below one is freed with it. Text and data that are
 * handed in are copied. None of these fails.
 */
METE_API void mete_message_free(void *message); /* NULL is fine */
METE_API void *mete_message_copy(const void *message);

/* user NULL: the one who runs this program. */
METE_API Mete__V1__FrameworkInfo *mete_framework_new(const char *name, const char *user);
METE_API void mete_framework_add_capability(
        Mete__V1__FrameworkInfo *f, Mete__V1__FrameworkInfo__Capability__Type capability);

/* name NULL: the id. */
METE_API Mete__V1__TaskInfo *mete_task_new(const char *id, const char *name, const char *agent_id);
METE_API void mete_task_add_scalar(Mete__V1__TaskInfo *t, const char *resource, double value);
METE_API void mete_task_set_command(Mete__V1__TaskInfo *t, Mete__V1__CommandInfo *command);    /* takes it */
METE_API void mete_task_set_executor(Mete__V1__TaskInfo *t, Mete__V1__ExecutorInfo *executor); /* takes it */
METE_API void mete_task_set_data(Mete__V1__TaskInfo *t, const void *data, size_t len);

/* A line for /bin/sh -c. */
METE_API Mete__V1__CommandInfo *mete_command_shell(const char *line);
/* argv ends with NULL; argv[0] is the program. */
METE_API Mete__V1__CommandInfo *mete_command_argv(const char *const *argv);
METE_API void mete_command_add_environment(Mete__V1__CommandInfo *c, const char *name, const char *value);
/* Fetched into the sandbox before it starts. */
METE_API void mete_command_add_uri(Mete__V1__CommandInfo *c, const char *uri, bool executable);

METE_API Mete__V1__ExecutorInfo *mete_executor_info_new(
        const char *id, Mete__V1__CommandInfo *command); /* takes command */
METE_API void mete_executor_info_add_scalar(Mete__V1__ExecutorInfo *x, const char *resource, double value);

/* "cpus" -> scalar; "mem" and "disk" are in MiB. */
METE_API Mete__V1__Resource *mete_resource_scalar(const char *name, double value);
/* The sum of a scalar in an offer, 0 when there is none of it. Revocable and reserved ones count too. */
METE_API double mete_offer_scalar(const Mete__V1__Offer *offer, const char *name);

METE_API bool mete_task_state_is_terminal(Mete__V1__TaskState state);
METE_API const char *mete_task_state_name(Mete__V1__TaskState state); /* "TASK_RUNNING" */
/* "REASON_TASK_INVALID"; "" when the status has none. */
METE_API const char *mete_task_reason_name(const Mete__V1__TaskStatus *status);

/* "1.2.3" */
METE_API const char *mete_version(void);

#ifdef __cplusplus
}
#endif
#endif
