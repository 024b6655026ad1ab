#include "agent/command_task.h"

#include <math.h>
#include <signal.h>

#include "agent/checks/task_watch.h"
#include "agent/status_message.h"
#include "lib/base/log.h"

#define GRACE_DEFAULT_NS (3 * NSEC_PER_SEC)
#define GRACE_MAX_SECONDS 86400.0

/* ---- its container's news ---- */

static void on_started(struct agent_container *c)
{
        struct agent_task *t = c->task;

        if (!t->watch)
                t->watch = task_watch_new(c);
        if (!t->started_reported)
                task_report(t, METE__V1__TASK_STATE__TASK_RUNNING, NULL);
        t->started_reported = true;
}

static void on_killing(struct agent_container *c)
{
        if (framework_has_capability(
                    c->info->framework, METE__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__TASK_KILLING_STATE))
                task_report(c->task, METE__V1__TASK_STATE__TASK_KILLING, NULL);
}

static void on_spawned(struct agent_container *c)
{
        if (!c->info->has_skip_starting || !c->info->skip_starting)
                task_report(c->task, METE__V1__TASK_STATE__TASK_STARTING, NULL);
}

static void on_ended(struct agent_container *c, const struct task_outcome *o)
{
        if (c->silent)
                return;
        (void)!task_push_update(c->task, status_message_terminal(c->task, o));
        /* Only now: what was known of its health belongs into its last status. */
        c->task->watch = task_watch_free(c->task->watch);
        task_flush_updates(c->task);
}

static void on_removed(struct agent_container *c)
{
        if (c->silent)
                container_forget(c);
}

static void on_acknowledged(struct agent_container *c, struct agent_task *t)
{
        container_forget(c);
}

static const struct container_owner command_task_owner = {
        .noun = "task",
        .decide = task_outcome_decide,
        .spawned = on_spawned,
        .started = on_started,
        .killing = on_killing,
        .ended = on_ended,
        .removed = on_removed,
        .acknowledged = on_acknowledged,
};

struct agent_task *command_task_new(struct agent_container *c)
{
        c->owner = &command_task_owner;
        c->task = task_new(c, /* launched= */ NULL);
        return c->task;
}

/* ---- killing ---- */

static uint64_t own_grace_ns(const struct agent_task *t)
{
        const Mete__V1__KillPolicy *policy = t->info->kill_policy;

        if (policy && policy->grace_period && policy->grace_period->nanoseconds >= 0)
                return MIN((uint64_t)policy->grace_period->nanoseconds,
                        (uint64_t)GRACE_MAX_SECONDS * NSEC_PER_SEC);
        return GRACE_DEFAULT_NS;
}

static uint64_t grace_ns(const struct agent_task *t, const Mete__Agent__Command__Kill *k)
{
        if (k->has_grace_seconds && isfinite(k->grace_seconds) && k->grace_seconds >= 0)
                return (uint64_t)(fmin(k->grace_seconds, GRACE_MAX_SECONDS) * (double)NSEC_PER_SEC);
        return own_grace_ns(t);
}

void command_task_kill_for(struct agent_task *t, enum kill_cause cause)
{
        struct agent_container *c = t->container;

        if (c->kill_asked)
                return;
        c->kill_cause = cause;
        /* Its time is over: a grace would be more of it. */
        container_kill(c, SIGTERM, cause == KILL_CAUSE_COMPLETION_TIME ? 0 : own_grace_ns(t),
                /* only_signal= */ false);
}

void command_task_kill(struct agent_task *t, const Mete__Agent__Command__Kill *k)
{
        int signo = k->has_signal ? k->signal : SIGTERM;

        if (signo < 1 || signo > SIGRTMAX) {
                log_warning("a kill of task %s with signal %d: SIGTERM is taken", task_id(t), signo);
                signo = SIGTERM;
        }
        container_kill(t->container, signo, grace_ns(t, k), k->has_only_signal && k->only_signal);
}
