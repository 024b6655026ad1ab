/* Tasks as the APIs show them. */

#include <stdlib.h>

#include "master/core.h"

static Mete__V1__Task__LimitsEntry **limits_of(const Mete__V1__TaskInfo *info)
{
        Mete__V1__Task__LimitsEntry **list = xcalloc(info->n_limits, sizeof(*list));

        for (size_t i = 0; i < info->n_limits; i++) {
                list[i] = xcalloc(1, sizeof(*list[i]));
                mete__v1__task__limits_entry__init(list[i]);
                list[i]->key = info->limits[i]->key;
                list[i]->value = info->limits[i]->value;
        }
        return list;
}

static char *user_of(const struct task *t)
{
        const Mete__V1__CommandInfo *command = t->info->command;

        if (!command && t->info->executor)
                command = t->info->executor->command;
        return command && command->user ? command->user : t->framework->info->user;
}

void task_to_proto(const struct task *t, Mete__V1__Task *ret)
{
        const Mete__V1__TaskInfo *info = t->info;

        mete__v1__task__init(ret);
        ret->name = info->name;
        ret->task_id = info->task_id;
        ret->framework_id = t->framework->info->id;
        ret->agent_id = info->agent_id;
        ret->state = t->state;
        ret->n_resources = info->n_resources;
        ret->resources = info->resources;
        ret->n_statuses = t->n_statuses;
        ret->statuses = t->statuses;
        ret->has_status_update_state = t->has_update;
        ret->status_update_state = t->update_state;
        ret->has_status_update_uuid = t->has_update_uuid;
        if (t->has_update_uuid)
                ret->status_update_uuid =
                        (ProtobufCBinaryData){sizeof(t->update_uuid), (uint8_t *)t->update_uuid};
        ret->labels = info->labels;
        ret->discovery = info->discovery;
        ret->container = info->container;
        ret->health_check = info->health_check;
        ret->kill_policy = info->kill_policy;
        ret->user = user_of(t);
        if (t->executor_id) {
                ret->executor_id = xcalloc(1, sizeof(*ret->executor_id));
                mete__v1__executor_id__init(ret->executor_id);
                ret->executor_id->value = t->executor_id;
        }
        ret->n_limits = info->n_limits;
        if (info->n_limits > 0)
                ret->limits = limits_of(info);
}

void task_to_proto_done(Mete__V1__Task *task)
{
        for (size_t i = 0; i < task->n_limits; i++)
                free(task->limits[i]);
        if (task->n_limits > 0)
                free(task->limits);
        free(task->executor_id);
        mete__v1__task__init(task);
}
