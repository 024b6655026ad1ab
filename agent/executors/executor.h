/*
 * Executors of frameworks' own: processes in a container of their own that speak the executor API and run several tasks there. The
 * container grows and shrinks with the tasks. (A command task has none: agent and shim do what Mesos' command executor does.)
 *
 *   REGISTERING  the container is being made, or its process has not subscribed yet; launches wait
 *   RUNNING      subscribed, or between two subscriptions
 *   TERMINATING  told to shut down, or being killed; launches are answered with a terminal status
 *   TERMINATED   the container is gone; updates may wait for acknowledgement
 *
 * Owned by the agent's table; loop thread. The executor's stream (struct executor_link) is the API's: agent/api/executor.c.
 */
#pragma once

#include "agent/container.h"
#include "proto/executor.pb-c.h"

enum executor_state {
        EXECUTOR_STATE_REGISTERING,
        EXECUTOR_STATE_RUNNING,
        EXECUTOR_STATE_TERMINATING,
        EXECUTOR_STATE_TERMINATED,
        EXECUTOR_STATE_MAX,
        EXECUTOR_STATE_INVALID = -EINVAL,
};
const char *executor_state_to_string(enum executor_state s);

struct agent_executor;
struct executor_link;

/* ---- what the API asks ---- */

struct agent_executor *executor_find(struct agent *a, const char *framework_id, const char *executor_id);
enum executor_state executor_get_state(const struct agent_executor *x);
const char *executor_container_id(const struct agent_executor *x);
const Mete__V1__ExecutorInfo *executor_info(const struct agent_executor *x);
const Mete__V1__FrameworkInfo *executor_framework(const struct agent_executor *x);
/* Its cgroup, by which a caller is known to be inside; NULL when there is none (any more). */
const struct cgroup *executor_cgroup(const struct agent_executor *x);
bool executor_is_subscribed(const struct agent_executor *x);
/* Some executor of an earlier agent may still subscribe again: the time to wait for them is not over. */
bool executors_recovering(const struct agent *a);

/*
 * The link is the executor's from here on and replaces an older one, which is closed. Sends SUBSCRIBED, then what waits. An executor
 * that cannot go on (told to end in the meantime) gets SHUTDOWN.
 */
void executor_subscribe(
        struct agent_executor *x, struct executor_link *link, const Mete__V1__Executor__Call__Subscribe *s);
/* The link's stream ended by itself; it is freed after this returns. */
void executor_unsubscribed(struct agent_executor *x, struct executor_link *link);
/* A status that passed the checks of its form. Repeated uuids are acknowledged again and otherwise ignored. */
void executor_update(struct agent_executor *x, const Mete__V1__TaskStatus *status);
void executor_message(struct agent_executor *x, const void *data, size_t len);

/* ---- what the API gives ---- */

/* -EPIPE or -ENOBUFS: the peer is gone or does not read; the caller closes the link. */
int executor_link_send(struct executor_link *l, const Mete__V1__Executor__Event *e) WARN_UNUSED;
/* Ends the stream and frees the link, without executor_unsubscribed(). Returns NULL. */
struct executor_link *executor_link_close(struct executor_link *l);

/* ---- what commands ask ---- */
void executors_launch(struct agent *a, const Mete__Agent__Command__Launch *l);
void executors_launch_group(struct agent *a, const Mete__Agent__Command__LaunchGroup *l);
/* False when no executor has such a task. */
bool executors_kill_task(struct agent *a, const Mete__Agent__Command__Kill *k);
void executors_deliver_message(struct agent *a, const Mete__Agent__Command__Message *m);
void executor_shutdown(struct agent_executor *x);
