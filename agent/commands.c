#include "agent/commands.h"

#include <stdlib.h>

#include "agent/checkpoint.h"
#include "agent/command_task.h"
#include "agent/executors/executors.h"
#include "agent/launch.h"
#include "agent/master_link.h"
#include "agent/status_message.h"
#include "agent/volumes.h"
#include "lib/base/log.h"
#include "lib/net/codec.h"

static void unknown_task(struct agent *a, const char *framework_id, const char *task_id)
{
        Mete__Agent__StatusUpdate *u = status_message_unknown(a->identity.agent_id, framework_id, task_id);

        /* No uuid: nothing is kept here that an acknowledgement could release. */
        master_link_update(a->link, u);
        message_free(u);
}

static void on_launch(struct agent *a, const Mete__Agent__Command *cmd)
{
        if (!cmd->launch)
                return;
        if (cmd->launch->task->executor)
                executors_launch(a, cmd->launch);
        else
                launch_task(a, cmd->launch);
}

static void on_kill(struct agent *a, const Mete__Agent__Command *cmd)
{
        const Mete__Agent__Command__Kill *k = cmd->kill;

        if (!k || executors_kill_task(a, k))
                return;
        struct agent_task *t = task_find(a, k->framework_id->value, k->task_id->value);
        if (!t) {
                log_info("a kill of task %s, which is not here", k->task_id->value);
                unknown_task(a, k->framework_id->value, k->task_id->value);
                return;
        }
        command_task_kill(t, k);
}

static void on_acknowledge(struct agent *a, const Mete__Agent__Command *cmd)
{
        const Mete__Agent__Command__Acknowledge *k = cmd->acknowledge;

        if (!k)
                return;
        struct agent_task *t = task_find(a, k->framework_id->value, k->task_id->value);
        if (t)
                task_acknowledge(t, k->uuid.data, k->uuid.len);
}

static void on_shutdown(struct agent *a, const Mete__Agent__Command *cmd)
{
        log_warning("the master marked this agent gone: its tasks are killed and it ends");
        agent_begin_shutdown(a, /* leave_nothing= */ true, /* forget_identity= */ true);
}

/* ---- executors and frameworks ---- */

static void on_launch_group(struct agent *a, const Mete__Agent__Command *cmd)
{
        if (cmd->launch_group)
                executors_launch_group(a, cmd->launch_group);
}

static void on_message(struct agent *a, const Mete__Agent__Command *cmd)
{
        if (cmd->message)
                executors_deliver_message(a, cmd->message);
}

static void on_shutdown_executor(struct agent *a, const Mete__Agent__Command *cmd)
{
        const Mete__Agent__Command__ShutdownExecutor *s = cmd->shutdown_executor;
        struct agent_executor *x = s ? executor_find(a, s->framework_id->value, s->executor_id->value) : NULL;

        if (x)
                executor_shutdown(x);
}

static void on_shutdown_framework(struct agent *a, const Mete__Agent__Command *cmd)
{
        const Mete__Agent__Command__ShutdownFramework *s = cmd->shutdown_framework;

        if (!s)
                return;
        log_info("framework %s was removed: all of it ends here", s->framework_id->value);
        executors_shutdown_framework(a, s->framework_id->value);
}

/* Who it is, and whether its executors outlive the agent, stays as it was. */
static void replace_framework(struct agent_container *c, const Mete__V1__FrameworkInfo *with)
{
        Mete__V1__FrameworkInfo *old = c->info->framework, *info = message_copy(with);

        free(info->user);
        info->user = xstrdup(old->user);
        info->has_checkpoint = old->has_checkpoint;
        info->checkpoint = old->checkpoint;
        c->info->framework = info;
        message_free(old);
        if (c->state != CONTAINER_STATE_ENDED &&
                checkpoint_framework_write(c->agent->checkpoints_fd, container_id(c), info) < 0)
                log_warning("%s %s: what is new of its framework could not be checkpointed", c->owner->noun,
                        container_label(c));
}

static void on_update_framework(struct agent *a, const Mete__Agent__Command *cmd)
{
        struct agent_container *c, *tmp;
        const Mete__V1__FrameworkInfo *info = cmd->update_framework ? cmd->update_framework->framework : NULL;

        if (!info || !info->id)
                return;
        HASH_ITER (hh, a->containers, c, tmp)
                if (str_equal(container_framework_id(c), info->id->value))
                        replace_framework(c, info);
        /* A scheduler that came back: what it missed would else wait for the next retry, of up to ten minutes. */
        tasks_resend_updates(a, info->id->value);
}

static void on_suspend(struct agent *a, const Mete__Agent__Command *cmd)
{
        if (cmd->suspend)
                suspension_command(a, cmd->suspend);
}

static void on_assign(struct agent *a, const Mete__Agent__Command *cmd)
{
        if (cmd->assign)
                volumes_assign(a->volumes, cmd->assign);
}

static const struct {
        Mete__Agent__Command__Type type;
        void (*handler)(struct agent *a, const Mete__Agent__Command *cmd);
} handlers[] = {
        {METE__AGENT__COMMAND__TYPE__LAUNCH, on_launch},
        {METE__AGENT__COMMAND__TYPE__KILL, on_kill},
        {METE__AGENT__COMMAND__TYPE__ACKNOWLEDGE, on_acknowledge},
        {METE__AGENT__COMMAND__TYPE__SHUTDOWN, on_shutdown},
        {METE__AGENT__COMMAND__TYPE__LAUNCH_GROUP, on_launch_group},
        {METE__AGENT__COMMAND__TYPE__MESSAGE, on_message},
        {METE__AGENT__COMMAND__TYPE__SHUTDOWN_EXECUTOR, on_shutdown_executor},
        {METE__AGENT__COMMAND__TYPE__SHUTDOWN_FRAMEWORK, on_shutdown_framework},
        {METE__AGENT__COMMAND__TYPE__UPDATE_FRAMEWORK, on_update_framework},
        {METE__AGENT__COMMAND__TYPE__SUSPEND, on_suspend},
        {METE__AGENT__COMMAND__TYPE__ASSIGN, on_assign},
};

void commands_execute(struct agent *a, const Mete__Agent__Command *cmd)
{
        if (volumes_defer(a->volumes, cmd))
                return;
        for (size_t i = 0; i < ELEMENTSOF(handlers); i++) {
                if (handlers[i].type == cmd->type) {
                        handlers[i].handler(a, cmd);
                        return;
                }
        }
        log_warning("a command of type %d is not known here and ignored", (int)cmd->type);
}
