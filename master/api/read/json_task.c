#include "master/api/read/read.h"

#include <stdlib.h>
#include <string.h>

char *slave_name(const char *agent_name)
{
        const char *at = agent_name ? strstr(agent_name, "_AGENT") : NULL;

        if (!at)
                return xstrdup(agent_name);
        return xasprintf("%.*s_SLAVE%s", (int)(at - agent_name), agent_name, at + strlen("_AGENT"));
}

static void json_slave_name(struct buffer *out, const char *key, const char *agent_name)
{
        _cleanup_free_ char *name = slave_name(agent_name);

        json_put_string(out, key, name);
}

static void json_status(struct buffer *out, const Mete__V1__TaskStatus *s)
{
        json_begin_object(out, NULL);
        json_put_string(out, "state", task_state_wire_name(s->state));
        json_put_double(out, "timestamp", s->timestamp);
        if (s->labels)
                json_labels(out, "labels", s->labels);
        if (s->container_status)
                json_put_message(out, "container_status", &s->container_status->base);
        if (s->has_healthy)
                json_put_bool(out, "healthy", s->healthy);
        if (s->has_source)
                json_slave_name(out, "source", task_source_to_string(s->source));
        if (s->has_reason)
                json_slave_name(out, "reason", task_reason_to_string(s->reason));
        if (s->message)
                json_put_string(out, "message", s->message);
        json_end_object(out);
}

static void json_limits(struct buffer *out, const Mete__V1__Task *t)
{
        json_begin_object(out, "limits");
        for (size_t i = 0; i < t->n_limits; i++) {
                double limit = t->limits[i]->value ? t->limits[i]->value->value : 0;

                json_member(out, t->limits[i]->key);
                if (__builtin_isinf(limit))
                        json_put_string(out, NULL, "Infinity");
                else
                        json_put_double(out, NULL, limit);
        }
        json_end_object(out);
}

/* What only some tasks have. */
static void json_task_extras(struct buffer *out, const Mete__V1__Task *t)
{
        if (t->n_limits > 0)
                json_limits(out, t);
        if (t->user)
                json_put_string(out, "user", t->user);
        if (t->discovery)
                json_put_message(out, "discovery", &t->discovery->base);
        if (t->container)
                json_put_message(out, "container", &t->container->base);
        if (t->health_check)
                json_put_message(out, "health_check", &t->health_check->base);
}

static const char *role_of(const Mete__V1__Task *t)
{
        const Mete__V1__Resource__AllocationInfo *a =
                t->n_resources > 0 ? t->resources[0]->allocation_info : NULL;

        return a && a->role ? a->role : "*";
}

void json_task(struct buffer *out, const Mete__V1__Task *t, const char *role)
{
        json_begin_object(out, NULL);
        json_put_string(out, "id", t->task_id->value);
        json_put_string(out, "name", t->name);
        json_put_string(out, "framework_id", t->framework_id->value);
        json_put_string(out, "executor_id", t->executor_id ? t->executor_id->value : "");
        json_put_string(out, "slave_id", t->agent_id->value);
        json_put_string(out, "state", task_state_wire_name(t->state));
        json_resources_of(out, "resources", t->resources, t->n_resources);
        json_put_string(out, "role", role ? role : role_of(t));
        json_begin_array(out, "statuses");
        for (size_t i = 0; i < t->n_statuses; i++)
                json_status(out, t->statuses[i]);
        json_end_array(out);
        json_labels(out, "labels", t->labels);
        json_task_extras(out, t);
        json_end_object(out);
}

void json_live_task(struct buffer *out, const struct task *t)
{
        Mete__V1__Task task;

        task_to_proto(t, &task);
        json_task(out, &task, t->role);
        task_to_proto_done(&task);
}
