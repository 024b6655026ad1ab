/* The scheduler's calls: each fills in a message and queues it. Any thread. */
#include <stdlib.h>

#include "sdk/scheduler_internal.h"

#define MESSAGE_BYTES_MAX (4 * 1024 * 1024)

/* The messages that are made here live until the end of a function: ids and texts are only borrowed. */
#define ID(type, text)                                                                                       \
        {                                                                                                    \
                PROTOBUF_C_MESSAGE_INIT(&type##__descriptor), (char *)(text)                                 \
        }
#define AGENT_ID(text) ID(mete__v1__agent_id, text)
#define TASK_ID(text) ID(mete__v1__task_id, text)
#define EXECUTOR_ID(text) ID(mete__v1__executor_id, text)

static int send_call(struct mete_scheduler *s, Mete__V1__Scheduler__Call *call,
        Mete__V1__Scheduler__Call__Type type, bool own)
{
        Mete__V1__FrameworkID id = ID(mete__v1__framework_id, s->framework_id);

        if (!id.value)
                return -ENOTCONN;
        call->framework_id = &id;
        call->has_type = true;
        call->type = type;
        return driver_call(&s->driver, (int)type, &call->base, own);
}

/* What the next subscription says. */
static void keep_framework(struct mete_scheduler *s, const Mete__V1__FrameworkInfo *info)
{
        Mete__V1__FrameworkInfo *copy = message_copy(info), *old;

        (void)pthread_mutex_lock(&s->driver.lock);
        old = s->framework;
        message_free(copy->id);
        copy->id = message_copy(old->id);
        s->framework = copy;
        (void)pthread_mutex_unlock(&s->driver.lock);
        message_free(old);
}

int mete_scheduler_call(struct mete_scheduler *s, const Mete__V1__Scheduler__Call *call)
{
        Mete__V1__Scheduler__Call copy = *call;

        int r;

        if (!call->has_type || call->type == METE__V1__SCHEDULER__CALL__TYPE__SUBSCRIBE ||
                call->type == METE__V1__SCHEDULER__CALL__TYPE__UNKNOWN)
                return -EINVAL;
        r = send_call(s, &copy, call->type, false);
        if (r == 0 && call->type == METE__V1__SCHEDULER__CALL__TYPE__UPDATE_FRAMEWORK &&
                call->update_framework)
                keep_framework(s, call->update_framework->framework_info);
        return r;
}

static Mete__V1__Filters *fill_filters(Mete__V1__Filters *f, double refuse_seconds)
{
        if (!(refuse_seconds >= 0))
                return NULL;
        f->has_refuse_seconds = true;
        f->refuse_seconds = refuse_seconds;
        return f;
}

int mete_scheduler_accept(struct mete_scheduler *s, Mete__V1__OfferID *const *offers, size_t n_offers,
        Mete__V1__Offer__Operation *const *operations, size_t n_operations, double refuse_seconds)
{
        Mete__V1__Filters filters = METE__V1__FILTERS__INIT;
        Mete__V1__Scheduler__Call__Accept accept = METE__V1__SCHEDULER__CALL__ACCEPT__INIT;
        Mete__V1__Scheduler__Call call = METE__V1__SCHEDULER__CALL__INIT;

        if (n_offers == 0)
                return -EINVAL;
        accept.offer_ids = (Mete__V1__OfferID **)offers;
        accept.n_offer_ids = n_offers;
        accept.operations = (Mete__V1__Offer__Operation **)operations;
        accept.n_operations = n_operations;
        accept.filters = fill_filters(&filters, refuse_seconds);
        call.accept = &accept;
        return send_call(s, &call, METE__V1__SCHEDULER__CALL__TYPE__ACCEPT, false);
}

int mete_scheduler_launch(struct mete_scheduler *s, Mete__V1__OfferID *const *offers, size_t n_offers,
        Mete__V1__TaskInfo *const *tasks, size_t n_tasks, double refuse_seconds)
{
        Mete__V1__Offer__Operation__Launch launch = METE__V1__OFFER__OPERATION__LAUNCH__INIT;
        Mete__V1__Offer__Operation operation = METE__V1__OFFER__OPERATION__INIT, *operations = &operation;

        launch.task_infos = (Mete__V1__TaskInfo **)tasks;
        launch.n_task_infos = n_tasks;
        operation.has_type = true;
        operation.type = METE__V1__OFFER__OPERATION__TYPE__LAUNCH;
        operation.launch = &launch;
        return mete_scheduler_accept(s, offers, n_offers, &operations, 1, refuse_seconds);
}

int mete_scheduler_decline(
        struct mete_scheduler *s, Mete__V1__OfferID *const *offers, size_t n_offers, double refuse_seconds)
{
        Mete__V1__Filters filters = METE__V1__FILTERS__INIT;
        Mete__V1__Scheduler__Call__Decline decline = METE__V1__SCHEDULER__CALL__DECLINE__INIT;
        Mete__V1__Scheduler__Call call = METE__V1__SCHEDULER__CALL__INIT;

        decline.offer_ids = (Mete__V1__OfferID **)offers;
        decline.n_offer_ids = n_offers;
        decline.filters = fill_filters(&filters, refuse_seconds);
        call.decline = &decline;
        return send_call(s, &call, METE__V1__SCHEDULER__CALL__TYPE__DECLINE, false);
}

int mete_scheduler_revive(struct mete_scheduler *s, const char *const *roles, size_t n_roles)
{
        Mete__V1__Scheduler__Call__Revive revive = METE__V1__SCHEDULER__CALL__REVIVE__INIT;
        Mete__V1__Scheduler__Call call = METE__V1__SCHEDULER__CALL__INIT;

        revive.roles = (char **)roles;
        revive.n_roles = n_roles;
        call.revive = &revive;
        return send_call(s, &call, METE__V1__SCHEDULER__CALL__TYPE__REVIVE, false);
}

int mete_scheduler_suppress(struct mete_scheduler *s, const char *const *roles, size_t n_roles)
{
        Mete__V1__Scheduler__Call__Suppress suppress = METE__V1__SCHEDULER__CALL__SUPPRESS__INIT;
        Mete__V1__Scheduler__Call call = METE__V1__SCHEDULER__CALL__INIT;

        suppress.roles = (char **)roles;
        suppress.n_roles = n_roles;
        call.suppress = &suppress;
        return send_call(s, &call, METE__V1__SCHEDULER__CALL__TYPE__SUPPRESS, false);
}

int mete_scheduler_kill(struct mete_scheduler *s, const char *task_id, const char *agent_id, int64_t grace_ns)
{
        Mete__V1__TaskID task = TASK_ID(task_id);
        Mete__V1__AgentID agent = AGENT_ID(agent_id);
        Mete__V1__DurationInfo grace = METE__V1__DURATION_INFO__INIT;
        Mete__V1__KillPolicy policy = METE__V1__KILL_POLICY__INIT;
        Mete__V1__Scheduler__Call__Kill kill = METE__V1__SCHEDULER__CALL__KILL__INIT;
        Mete__V1__Scheduler__Call call = METE__V1__SCHEDULER__CALL__INIT;

        if (str_empty(task_id))
                return -EINVAL;
        grace.nanoseconds = grace_ns;
        policy.grace_period = &grace;
        kill.task_id = &task;
        kill.agent_id = agent_id ? &agent : NULL;
        kill.kill_policy = grace_ns >= 0 ? &policy : NULL;
        call.kill = &kill;
        return send_call(s, &call, METE__V1__SCHEDULER__CALL__TYPE__KILL, false);
}

int mete_scheduler_shutdown_executor(struct mete_scheduler *s, const char *executor_id, const char *agent_id)
{
        Mete__V1__ExecutorID executor = EXECUTOR_ID(executor_id);
        Mete__V1__AgentID agent = AGENT_ID(agent_id);
        Mete__V1__Scheduler__Call__Shutdown shutdown = METE__V1__SCHEDULER__CALL__SHUTDOWN__INIT;
        Mete__V1__Scheduler__Call call = METE__V1__SCHEDULER__CALL__INIT;

        if (str_empty(executor_id) || str_empty(agent_id))
                return -EINVAL;
        shutdown.executor_id = &executor;
        shutdown.agent_id = &agent;
        call.shutdown = &shutdown;
        return send_call(s, &call, METE__V1__SCHEDULER__CALL__TYPE__SHUTDOWN, false);
}

int mete_scheduler_acknowledge(struct mete_scheduler *s, const Mete__V1__TaskStatus *status)
{
        Mete__V1__Scheduler__Call__Acknowledge acknowledge = METE__V1__SCHEDULER__CALL__ACKNOWLEDGE__INIT;
        Mete__V1__Scheduler__Call call = METE__V1__SCHEDULER__CALL__INIT;

        /* The master's own updates have no uuid: nobody waits for an answer. */
        if (!status->has_uuid || status->uuid.len == 0)
                return 0;
        if (!status->agent_id)
                return -EINVAL;
        acknowledge.agent_id = status->agent_id;
        acknowledge.task_id = status->task_id;
        acknowledge.uuid = status->uuid;
        call.acknowledge = &acknowledge;
        return send_call(s, &call, METE__V1__SCHEDULER__CALL__TYPE__ACKNOWLEDGE, /* own= */ true);
}

static Mete__V1__Scheduler__Call__Reconcile__Task *task_to_reconcile(
        const char *task_id, const char *agent_id)
{
        Mete__V1__TaskID task = TASK_ID(task_id);
        Mete__V1__AgentID agent = AGENT_ID(agent_id);
        Mete__V1__Scheduler__Call__Reconcile__Task t = METE__V1__SCHEDULER__CALL__RECONCILE__TASK__INIT;

        t.task_id = &task;
        t.agent_id = agent_id ? &agent : NULL;
        return message_copy(&t);
}

int mete_scheduler_reconcile(
        struct mete_scheduler *s, const char *const *task_ids, const char *const *agent_ids, size_t n_tasks)
{
        Mete__V1__Scheduler__Call__Reconcile reconcile = METE__V1__SCHEDULER__CALL__RECONCILE__INIT;
        Mete__V1__Scheduler__Call call = METE__V1__SCHEDULER__CALL__INIT;
        int r;

        for (size_t i = 0; i < n_tasks; i++)
                if (str_empty(task_ids[i]))
                        return -EINVAL;
        reconcile.tasks = xcalloc(n_tasks + 1, sizeof(*reconcile.tasks));
        for (; reconcile.n_tasks < n_tasks; reconcile.n_tasks++)
                reconcile.tasks[reconcile.n_tasks] = task_to_reconcile(
                        task_ids[reconcile.n_tasks], agent_ids ? agent_ids[reconcile.n_tasks] : NULL);
        call.reconcile = &reconcile;
        r = send_call(s, &call, METE__V1__SCHEDULER__CALL__TYPE__RECONCILE, false);
        for (size_t i = 0; i < n_tasks; i++)
                message_free(reconcile.tasks[i]);
        free(reconcile.tasks);
        return r;
}

int mete_scheduler_message(
        struct mete_scheduler *s, const char *agent_id, const char *executor_id, const void *data, size_t len)
{
        Mete__V1__ExecutorID executor = EXECUTOR_ID(executor_id);
        Mete__V1__AgentID agent = AGENT_ID(agent_id);
        Mete__V1__Scheduler__Call__Message message = METE__V1__SCHEDULER__CALL__MESSAGE__INIT;
        Mete__V1__Scheduler__Call call = METE__V1__SCHEDULER__CALL__INIT;

        if (str_empty(executor_id) || str_empty(agent_id) || len > MESSAGE_BYTES_MAX)
                return -EINVAL;
        message.agent_id = &agent;
        message.executor_id = &executor;
        message.data.data = (uint8_t *)data;
        message.data.len = len;
        call.message = &message;
        return send_call(s, &call, METE__V1__SCHEDULER__CALL__TYPE__MESSAGE, false);
}

int mete_scheduler_teardown(struct mete_scheduler *s)
{
        Mete__V1__Scheduler__Call call = METE__V1__SCHEDULER__CALL__INIT;
        int r = send_call(s, &call, METE__V1__SCHEDULER__CALL__TYPE__TEARDOWN, /* own= */ true);

        mete_scheduler_stop(s);
        return r;
}
