#include "master/api/read/read.h"

#include <stdlib.h>

/* ---- what it holds ---- */

static void framework_used(const struct framework *f, struct resources *ret)
{
        const struct executor *x;
        const struct task *t, *next;

        HASH_ITER (hh, f->tasks, t, next)
                resources_add(ret, &t->resources);
        DL_FOREACH2(f->executors, x, framework_next)
        {
                resources_add(ret, &x->resources);
        }
}

static void framework_offered(const struct framework *f, struct resources *ret)
{
        const struct offer *o;

        DL_FOREACH2(f->offers, o, framework_next)
        {
                resources_add(ret, &o->resources);
        }
}

static void json_framework_resources(struct buffer *out, const struct framework *f)
{
        _cleanup_resources_ struct resources used = {}, offered = {};

        framework_used(f, &used);
        framework_offered(f, &offered);
        json_resources(out, "used_resources", &used);
        json_resources(out, "offered_resources", &offered);
        resources_add(&used, &offered);
        json_resources(out, "resources", &used);
}

/* ---- lists in it ---- */

static void json_capabilities(struct buffer *out, const Mete__V1__FrameworkInfo *info)
{
        json_begin_array(out, "capabilities");
        for (size_t i = 0; i < info->n_capabilities; i++) {
                const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(
                        &mete__v1__framework_info__capability__type__descriptor,
                        (int)info->capabilities[i]->type);

                if (v)
                        json_put_string(out, NULL, v->name);
        }
        json_end_array(out);
}

static void json_offers(struct buffer *out, const struct framework *f)
{
        const struct offer *o;

        json_begin_array(out, "offers");
        DL_FOREACH2(f->offers, o, framework_next)
        {
                json_begin_object(out, NULL);
                json_put_string(out, "id", o->id);
                json_put_string(out, "framework_id", f->id);
                json_begin_object(out, "allocation_info");
                json_put_string(out, "role", o->role);
                json_end_object(out);
                json_put_string(out, "slave_id", o->agent->id);
                json_resources(out, "resources", &o->resources);
                json_end_object(out);
        }
        json_end_array(out);
}

/* argv is the v0 name of arguments. */
static void json_command(struct buffer *out, const Mete__V1__CommandInfo *command, bool with_environment)
{
        json_begin_object(out, "command");
        json_put_bool(out, "shell", command->shell);
        if (command->value)
                json_put_string(out, "value", command->value);
        if (command->user)
                json_put_string(out, "user", command->user);
        json_begin_array(out, "argv");
        for (size_t i = 0; i < command->n_arguments; i++)
                json_put_string(out, NULL, command->arguments[i]);
        json_end_array(out);
        if (with_environment && command->environment)
                json_put_message(out, "environment", &command->environment->base);
        json_begin_array(out, "uris");
        for (size_t i = 0; i < command->n_uris; i++)
                json_put_message(out, NULL, &command->uris[i]->base);
        json_end_array(out);
        json_end_object(out);
}

static void json_executor(struct buffer *out, const struct executor *x, bool with_environment)
{
        const Mete__V1__ExecutorInfo *info = x->info;

        json_begin_object(out, NULL);
        json_put_string(out, "executor_id", info->executor_id->value);
        json_put_string(out, "name", info->name);
        json_put_string(out, "framework_id", x->framework->id);
        json_put_string(out, "slave_id", x->agent->id);
        json_put_string(out, "source", info->source);
        json_put_string(out, "role", x->role);
        if (info->has_type)
                json_put_string(out, "type",
                        info->type == METE__V1__EXECUTOR_INFO__TYPE__DEFAULT ? "DEFAULT" : "CUSTOM");
        json_resources(out, "resources", &x->resources);
        if (info->command)
                json_command(out, info->command, with_environment);
        json_labels(out, "labels", info->labels);
        if (info->discovery)
                json_put_message(out, "discovery", &info->discovery->base);
        if (info->container)
                json_put_message(out, "container", &info->container->base);
        json_end_object(out);
}

static void json_executors(struct buffer *out, const struct framework *f, bool with_environment)
{
        const struct executor *x;

        json_begin_array(out, "executors");
        DL_FOREACH2(f->executors, x, framework_next)
        {
                json_executor(out, x, with_environment);
        }
        json_end_array(out);
}

static void json_framework_tasks(struct buffer *out, const struct framework *f)
{
        const struct past_task *p, *next_past;
        const struct task *t, *next;

        json_begin_array(out, "tasks");
        HASH_ITER (hh, f->tasks, t, next)
                json_live_task(out, t);
        json_end_array(out);
        json_begin_array(out, "unreachable_tasks");
        HASH_ITER (hh, f->unreachable, p, next_past)
                json_task(out, p->task, NULL);
        json_end_array(out);
        json_begin_array(out, "completed_tasks");
        DL_FOREACH (f->completed, p)
                json_task(out, p->task, NULL);
        json_end_array(out);
}

/* ---- the framework ---- */

void json_framework_summary(struct buffer *out, const struct framework *f)
{
        json_put_string(out, "id", f->id);
        json_put_string(out, "name", f->info->name);
        json_framework_resources(out, f);
        json_capabilities(out, f->info);
        json_put_string(out, "hostname", f->info->hostname);
        json_put_string(out, "webui_url", f->info->webui_url);
        json_put_bool(out, "active", f->state == FRAMEWORK_ACTIVE);
        json_put_bool(out, "connected", f->state == FRAMEWORK_ACTIVE);
        json_put_bool(out, "recovered", f->state == FRAMEWORK_RECOVERED);
}

static void json_roles(struct buffer *out, const struct framework *f)
{
        if (!framework_has(f, METE__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__MULTI_ROLE)) {
                json_put_string(out, "role", f->info->role ? f->info->role : "*");
                return;
        }
        json_begin_array(out, "roles");
        for (size_t i = 0; i < f->info->n_roles; i++)
                json_put_string(out, NULL, f->info->roles[i]);
        json_end_array(out);
}

void json_framework(struct buffer *out, const struct framework *f, bool with_environment)
{
        json_framework_summary(out, f);
        json_put_string(out, "user", f->info->user);
        json_put_double(out, "failover_timeout", f->info->failover_timeout);
        json_put_bool(out, "checkpoint", f->info->checkpoint);
        json_put_double(out, "registered_time", f->registered);
        json_put_double(out, "unregistered_time", f->unregistered);
        if (f->reregistered > 0)
                json_put_double(out, "reregistered_time", f->reregistered);
        if (f->info->principal)
                json_put_string(out, "principal", f->info->principal);
        json_roles(out, f);
        json_labels(out, "labels", f->info->labels);
        json_framework_tasks(out, f);
        json_offers(out, f);
        json_executors(out, f, with_environment);
}
