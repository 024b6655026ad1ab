/* An executor's subscription: what goes down it, and what its beginning and its end mean. */
#include <utlist.h>

#include "agent/executors/executors.h"
#include "agent/master_link.h"
#include "agent/registration.h"
#include "lib/base/log.h"
#include "lib/net/codec.h"

void executor_disconnect(struct agent_executor *x)
{
        if (x->link)
                x->link = executor_link_close(x->link);
}

bool executor_send(struct agent_executor *x, Mete__V1__Executor__Event *e)
{
        if (!x->link)
                return false;
        if (executor_link_send(x->link, e) == 0)
                return true;
        log_warning(
                "executor %s: it is gone or does not read its events: its stream is closed", executor_id(x));
        executor_disconnect(x);
        return false;
}

bool executor_send_simple(struct agent_executor *x, Mete__V1__Executor__Event__Type type)
{
        Mete__V1__Executor__Event e = METE__V1__EXECUTOR__EVENT__INIT;

        e.has_type = true;
        e.type = type;
        return executor_send(x, &e);
}

bool executor_send_kill(struct agent_executor *x, struct agent_task *t, const Mete__V1__KillPolicy *policy)
{
        Mete__V1__Executor__Event e = METE__V1__EXECUTOR__EVENT__INIT;
        Mete__V1__Executor__Event__Kill k = METE__V1__EXECUTOR__EVENT__KILL__INIT;

        e.has_type = true;
        e.type = METE__V1__EXECUTOR__EVENT__TYPE__KILL;
        e.kill = &k;
        k.task_id = t->info->task_id;
        k.kill_policy = (Mete__V1__KillPolicy *)policy;
        return executor_send(x, &e);
}

void executor_acknowledge_update(struct agent_executor *x, const Mete__V1__TaskStatus *status)
{
        Mete__V1__Executor__Event e = METE__V1__EXECUTOR__EVENT__INIT;
        Mete__V1__Executor__Event__Acknowledged a = METE__V1__EXECUTOR__EVENT__ACKNOWLEDGED__INIT;

        e.has_type = true;
        e.type = METE__V1__EXECUTOR__EVENT__TYPE__ACKNOWLEDGED;
        e.acknowledged = &a;
        a.task_id = status->task_id;
        a.uuid = status->uuid;
        (void)executor_send(x, &e);
}

/* ---- messages ---- */

void executor_message(struct agent_executor *x, const void *data, size_t len)
{
        master_link_message(x->agent->link, executor_framework(x)->id->value, executor_id(x), data, len);
}

void executors_deliver_message(struct agent *a, const Mete__Agent__Command__Message *m)
{
        struct agent_executor *x = executor_find(a, m->framework_id->value, m->executor_id->value);
        Mete__V1__Executor__Event e = METE__V1__EXECUTOR__EVENT__INIT;
        Mete__V1__Executor__Event__Message body = METE__V1__EXECUTOR__EVENT__MESSAGE__INIT;

        e.has_type = true;
        e.type = METE__V1__EXECUTOR__EVENT__TYPE__MESSAGE;
        e.message = &body;
        body.data = m->data;
        if (!x || x->state != EXECUTOR_STATE_RUNNING || !executor_send(x, &e))
                log_info("a message to executor %s, which is not subscribed, is dropped",
                        m->executor_id->value);
}

/* ---- subscribing ---- */

static bool send_subscribed(struct agent_executor *x)
{
        Mete__V1__Executor__Event e = METE__V1__EXECUTOR__EVENT__INIT;
        Mete__V1__Executor__Event__Subscribed s = METE__V1__EXECUTOR__EVENT__SUBSCRIBED__INIT;
        Mete__V1__ContainerID id = METE__V1__CONTAINER_ID__INIT;
        _cleanup_error_ struct error error = {0};

        s.agent_info = registration_agent_info(x->agent, &error);
        if (!s.agent_info) {
                log_error("executor %s: %s", executor_id(x), error_message(&error));
                return false;
        }
        e.has_type = true;
        e.type = METE__V1__EXECUTOR__EVENT__TYPE__SUBSCRIBED;
        e.subscribed = &s;
        s.executor_info = (Mete__V1__ExecutorInfo *)executor_info(x);
        s.framework_info = (Mete__V1__FrameworkInfo *)executor_framework(x);
        s.container_id = &id;
        id.value = (char *)container_id(x->container);
        bool sent = executor_send(x, &e);
        message_free(s.agent_info);
        return sent;
}

static bool knows(const Mete__V1__Executor__Call__Subscribe *s, const char *task)
{
        for (size_t i = 0; i < s->n_unacknowledged_tasks; i++)
                if (str_equal(s->unacknowledged_tasks[i]->task_id->value, task))
                        return true;
        return false;
}

/* A task that was sent and of which nothing was heard, neither by an update nor now: it got lost with the stream that it was sent on. */
static void drop_lost(struct agent_executor *x, const Mete__V1__Executor__Call__Subscribe *s)
{
        _cleanup_outcome_ struct task_outcome o =
                executor_dropped(x, METE__V1__TASK_STATUS__REASON__REASON_AGENT_RESTARTED,
                        "the agent restarted before the executor got the task");
        struct agent_task *t;

        DL_FOREACH (x->tasks, t)
                if (!t->queued && !t->updates.has_latest && !knows(s, task_id(t)))
                        executor_end_task(x, t, &o);
}

static void send_pending_kills(struct agent_executor *x)
{
        struct agent_task *t;

        DL_FOREACH (x->tasks, t)
                if (t->kill_pending && !task_is_ended(t))
                        t->kill_pending = !executor_send_kill(x, t, t->info->kill_policy);
}

static bool has_work(const struct agent_executor *x)
{
        const struct agent_task *t;

        DL_FOREACH (x->tasks, t)
                if (!task_is_ended(t))
                        return true;
        return false;
}

void executor_subscribe(
        struct agent_executor *x, struct executor_link *link, const Mete__V1__Executor__Call__Subscribe *s)
{
        bool first = x->state == EXECUTOR_STATE_REGISTERING;

        executor_disconnect(x);
        x->link = link;
        if (x->state >= EXECUTOR_STATE_TERMINATING) {
                (void)executor_send_simple(x, METE__V1__EXECUTOR__EVENT__TYPE__SHUTDOWN);
                return;
        }
        loop_timer_disarm(x->timer);
        x->recovered = false;
        if (first)
                executor_set_state(x, EXECUTOR_STATE_RUNNING);
        log_info("executor %s: %s", executor_id(x), first ? "subscribed" : "subscribed again");
        if (!send_subscribed(x))
                return;
        for (size_t i = 0; i < s->n_unacknowledged_updates; i++)
                executor_update(x, s->unacknowledged_updates[i]->status);
        drop_lost(x, s);
        if (first && !has_work(x)) {
                executor_shutdown(x);
                return;
        }
        send_pending_kills(x);
        executor_shrink(x);
        executor_deliver(x);
}

void executor_unsubscribed(struct agent_executor *x, struct executor_link *link)
{
        if (x->link != link)
                return;
        x->link = NULL;
        log_debug("executor %s: its stream ended", executor_id(x));
}
