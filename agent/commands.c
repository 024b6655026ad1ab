#include "agent/commands.h"

#include "agent/command_task.h"
#include "agent/launch.h"
#include "agent/master_link.h"
#include "agent/status_message.h"
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
        if (cmd->launch)
                launch_task(a, cmd->launch);
}

static void on_kill(struct agent *a, const Mete__Agent__Command *cmd)
{
        const Mete__Agent__Command__Kill *k = cmd->kill;

        if (!k)
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
        agent_begin_shutdown(a, /* leave_nothing= */ false, /* forget_identity= */ true);
}

static const struct {
        Mete__Agent__Command__Type type;
        void (*handler)(struct agent *a, const Mete__Agent__Command *cmd);
} handlers[] = {
        {METE__AGENT__COMMAND__TYPE__LAUNCH, on_launch},
        {METE__AGENT__COMMAND__TYPE__KILL, on_kill},
        {METE__AGENT__COMMAND__TYPE__ACKNOWLEDGE, on_acknowledge},
        {METE__AGENT__COMMAND__TYPE__SHUTDOWN, on_shutdown},
};

void commands_execute(struct agent *a, const Mete__Agent__Command *cmd)
{
        for (size_t i = 0; i < ELEMENTSOF(handlers); i++) {
                if (handlers[i].type == cmd->type) {
                        handlers[i].handler(a, cmd);
                        return;
                }
        }
        log_warning("a command of type %d is not known here and ignored", (int)cmd->type);
}
