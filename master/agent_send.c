/* Commands to agents, down their streams. */

#include "master/agent_internal.h"

/*
 * What frameworks fill as they like ends before the stream is full: what is left is for the rest, and no framework can make an agent look
 * as if it did not read. Less than a record that agents refuse.
 */
#define BULK_PENDING_MAX (7u << 20)

static bool is_bulk(const Mete__Agent__Command *c)
{
        return c->type == METE__AGENT__COMMAND__TYPE__LAUNCH ||
               c->type == METE__AGENT__COMMAND__TYPE__LAUNCH_GROUP ||
               c->type == METE__AGENT__COMMAND__TYPE__MESSAGE ||
               c->type == METE__AGENT__COMMAND__TYPE__UPDATE_FRAMEWORK;
}

bool agent_send(struct agent *a, Mete__Agent__Command *c)
{
        _cleanup_buffer_ struct buffer out = {};

        if (!a->stream || a->state != AGENT_ACTIVE || a->stalled)
                return false;
        c->epoch = a->master->epoch;
        if (message_encode(CODEC_PROTOBUF, &c->base, &out) < 0) {
                log_error("agent %s: a command could not be encoded", a->id);
                return false;
        }
        if (is_bulk(c) && http_stream_pending(a->stream) + out.len > BULK_PENDING_MAX) {
                log_info("agent %s: a command of %zu bytes is dropped: %zu bytes wait already", a->id,
                        out.len, http_stream_pending(a->stream));
                return false;
        }
        if (http_stream_record(a->stream, out.data, out.len) < 0) {
                a->stalled = true; /* its tasks may be in the caller's hands */
                loop_timer_arm(a->timer, /* delay_ns= */ 0, /* period_ns= */ 0);
                return false;
        }
        return true;
}

bool agent_send_launch(struct agent *a, const struct task *t)
{
        Mete__Agent__Command c = METE__AGENT__COMMAND__INIT;
        Mete__Agent__Command__Launch launch = METE__AGENT__COMMAND__LAUNCH__INIT;

        launch.framework = t->framework->info;
        launch.task = t->info;
        launch.isolation = t->isolation;
        launch.has_skip_starting = launch.skip_starting = t->framework->ops && t->framework->ops->in_process;
        c.type = METE__AGENT__COMMAND__TYPE__LAUNCH;
        c.launch = &launch;
        return agent_send(a, &c);
}

bool agent_send_launch_group(struct agent *a, struct framework *f, const Mete__V1__ExecutorInfo *executor,
        struct task *const *tasks, size_t count, const Mete__Api__Isolation *isolation)
{
        Mete__Agent__Command c = METE__AGENT__COMMAND__INIT;
        Mete__Agent__Command__LaunchGroup launch = METE__AGENT__COMMAND__LAUNCH_GROUP__INIT;
        Mete__V1__TaskGroupInfo group = METE__V1__TASK_GROUP_INFO__INIT;
        _cleanup_free_ Mete__V1__TaskInfo **infos = xcalloc(count + 1, sizeof(*infos));

        for (size_t i = 0; i < count; i++)
                infos[i] = tasks[i]->info;
        group.tasks = infos;
        group.n_tasks = count;
        launch.framework = f->info;
        launch.executor = (Mete__V1__ExecutorInfo *)executor;
        launch.task_group = &group;
        launch.isolation = (Mete__Api__Isolation *)isolation;
        c.type = METE__AGENT__COMMAND__TYPE__LAUNCH_GROUP;
        c.launch_group = &launch;
        return agent_send(a, &c);
}

bool agent_send_kill(struct agent *a, const char *framework_id, const char *task_id,
        const Mete__Checkpoint__StoredKill *kill, bool only_signal)
{
        Mete__Agent__Command c = METE__AGENT__COMMAND__INIT;
        Mete__Agent__Command__Kill k = METE__AGENT__COMMAND__KILL__INIT;
        Mete__V1__FrameworkID framework = METE__V1__FRAMEWORK_ID__INIT;
        Mete__V1__TaskID task = METE__V1__TASK_ID__INIT;

        framework.value = (char *)framework_id;
        task.value = (char *)task_id;
        k.framework_id = &framework;
        k.task_id = &task;
        k.has_grace_seconds = kill->has_grace_seconds;
        k.grace_seconds = kill->grace_seconds;
        k.has_signal = kill->has_signal;
        k.signal = kill->signal;
        k.has_only_signal = only_signal;
        k.only_signal = only_signal;
        c.type = METE__AGENT__COMMAND__TYPE__KILL;
        c.kill = &k;
        return agent_send(a, &c);
}

bool agent_send_suspend(
        struct agent *a, const char *framework_id, const char *task_id, bool suspended, uint64_t sequence)
{
        Mete__Agent__Command c = METE__AGENT__COMMAND__INIT;
        Mete__Agent__Command__Suspend s = METE__AGENT__COMMAND__SUSPEND__INIT;
        Mete__V1__FrameworkID framework = METE__V1__FRAMEWORK_ID__INIT;
        Mete__V1__TaskID task = METE__V1__TASK_ID__INIT;

        framework.value = (char *)framework_id;
        task.value = (char *)task_id;
        s.framework_id = &framework;
        s.task_id = &task;
        s.suspended = suspended;
        s.sequence = sequence;
        c.type = METE__AGENT__COMMAND__TYPE__SUSPEND;
        c.suspend = &s;
        return agent_send(a, &c);
}

void agent_acknowledge(struct agent *a, const char *framework_id, const char *task_id, const uint8_t *uuid)
{
        Mete__Agent__Command c = METE__AGENT__COMMAND__INIT;
        Mete__Agent__Command__Acknowledge ack = METE__AGENT__COMMAND__ACKNOWLEDGE__INIT;
        Mete__V1__FrameworkID framework = METE__V1__FRAMEWORK_ID__INIT;
        Mete__V1__TaskID task = METE__V1__TASK_ID__INIT;

        framework.value = (char *)framework_id;
        task.value = (char *)task_id;
        ack.framework_id = &framework;
        ack.task_id = &task;
        ack.uuid = (ProtobufCBinaryData){UUID_BYTES, (uint8_t *)uuid};
        c.type = METE__AGENT__COMMAND__TYPE__ACKNOWLEDGE;
        c.acknowledge = &ack;
        (void)agent_send(a, &c); /* not connected: the agent sends the update again */
}

void agent_send_subscribed(struct agent *a)
{
        Mete__Agent__Command c = METE__AGENT__COMMAND__INIT;
        Mete__Agent__Command__Subscribed s = METE__AGENT__COMMAND__SUBSCRIBED__INIT;
        Mete__V1__AgentID id = METE__V1__AGENT_ID__INIT;

        id.value = a->id;
        s.agent_id = &id;
        s.stream_id = a->stream_id;
        s.ping_interval_ms = a->master->options->agent_ping_timeout_ns / NSEC_PER_MSEC;
        s.usage_interval_ms = a->master->options->usage_interval_ns / NSEC_PER_MSEC;
        c.type = METE__AGENT__COMMAND__TYPE__SUBSCRIBED;
        c.subscribed = &s;
        (void)agent_send(a, &c);
}

bool agent_send_message(
        struct agent *a, const char *framework_id, const char *executor_id, const void *data, size_t len)
{
        Mete__Agent__Command c = METE__AGENT__COMMAND__INIT;
        Mete__Agent__Command__Message message = METE__AGENT__COMMAND__MESSAGE__INIT;
        Mete__V1__FrameworkID framework = METE__V1__FRAMEWORK_ID__INIT;
        Mete__V1__ExecutorID executor = METE__V1__EXECUTOR_ID__INIT;

        framework.value = (char *)framework_id;
        executor.value = (char *)executor_id;
        message.framework_id = &framework;
        message.executor_id = &executor;
        message.data = (ProtobufCBinaryData){len, (uint8_t *)data};
        c.type = METE__AGENT__COMMAND__TYPE__MESSAGE;
        c.message = &message;
        return agent_send(a, &c);
}

bool agent_send_shutdown_executor(struct agent *a, const char *framework_id, const char *executor_id)
{
        Mete__Agent__Command c = METE__AGENT__COMMAND__INIT;
        Mete__Agent__Command__ShutdownExecutor shutdown = METE__AGENT__COMMAND__SHUTDOWN_EXECUTOR__INIT;
        Mete__V1__FrameworkID framework = METE__V1__FRAMEWORK_ID__INIT;
        Mete__V1__ExecutorID executor = METE__V1__EXECUTOR_ID__INIT;

        framework.value = (char *)framework_id;
        executor.value = (char *)executor_id;
        shutdown.framework_id = &framework;
        shutdown.executor_id = &executor;
        c.type = METE__AGENT__COMMAND__TYPE__SHUTDOWN_EXECUTOR;
        c.shutdown_executor = &shutdown;
        return agent_send(a, &c);
}

bool agent_send_shutdown_framework(struct agent *a, const char *framework_id)
{
        Mete__Agent__Command c = METE__AGENT__COMMAND__INIT;
        Mete__Agent__Command__ShutdownFramework shutdown = METE__AGENT__COMMAND__SHUTDOWN_FRAMEWORK__INIT;
        Mete__V1__FrameworkID framework = METE__V1__FRAMEWORK_ID__INIT;

        framework.value = (char *)framework_id;
        shutdown.framework_id = &framework;
        c.type = METE__AGENT__COMMAND__TYPE__SHUTDOWN_FRAMEWORK;
        c.shutdown_framework = &shutdown;
        return agent_send(a, &c);
}

bool agent_send_update_framework(struct agent *a, const Mete__V1__FrameworkInfo *info)
{
        Mete__Agent__Command c = METE__AGENT__COMMAND__INIT;
        Mete__Agent__Command__UpdateFramework update = METE__AGENT__COMMAND__UPDATE_FRAMEWORK__INIT;

        update.framework = (Mete__V1__FrameworkInfo *)info;
        c.type = METE__AGENT__COMMAND__TYPE__UPDATE_FRAMEWORK;
        c.update_framework = &update;
        return agent_send(a, &c);
}
