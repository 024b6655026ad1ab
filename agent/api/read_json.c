#include <stdlib.h>
#include <string.h>

#include "agent/api/read.h"
#include "agent/executors/executor.h"

/* ---- tasks ---- */

/* What waits for acknowledgement; older statuses are the master's to know. */
static void write_statuses(struct buffer *out, const struct agent_task *t)
{
        json_begin_array(out, "statuses");
        for (size_t i = 0; i < t->updates.count; i++) {
                const Mete__V1__TaskStatus *s = t->updates.pending[i]->status;

                json_begin_object(out, NULL);
                json_put_string(out, "state", task_state_wire_name(s->state));
                json_put_double(out, "timestamp", s->timestamp);
                if (s->container_status)
                        json_put_message(out, "container_status", &s->container_status->base);
                if (s->has_healthy)
                        json_put_bool(out, "healthy", s->healthy);
                if (s->message)
                        json_put_string(out, "message", s->message);
                json_end_object(out);
        }
        json_end_array(out);
}

static const char *role_of(const Mete__V1__TaskInfo *t)
{
        const Mete__V1__Resource__AllocationInfo *a =
                t->n_resources > 0 ? t->resources[0]->allocation_info : NULL;

        return a && a->role ? a->role : "*";
}

void read_json_task(struct buffer *out, const struct agent_task *t)
{
        const struct agent_container *c = t->container;
        const Mete__V1__FrameworkID *framework = c->info->framework->id;

        json_begin_object(out, NULL);
        json_put_string(out, "id", task_id(t));
        json_put_string(out, "name", t->info->name);
        json_put_string(out, "framework_id", framework ? framework->value : "");
        json_put_string(out, "executor_id", c->executor ? read_executor_id(c) : "");
        json_put_string(out, "slave_id", t->agent->identity.agent_id);
        json_put_string(out, "state", task_state_wire_name(task_latest_state(t)));
        json_resources_of(out, "resources", t->info->resources, t->info->n_resources);
        json_put_string(out, "role", role_of(t->info));
        write_statuses(out, t);
        json_labels(out, "labels", t->info->labels);
        if (t->info->discovery)
                json_put_message(out, "discovery", &t->info->discovery->base);
        json_end_object(out);
}

/* ---- executors ---- */

const char *read_executor_id(const struct agent_container *c)
{
        if (c->info->executor)
                return c->info->executor->executor_id->value;
        return c->info->task ? c->info->task->task_id->value : "";
}

char *read_executor_name(const struct agent_container *c)
{
        if (c->info->executor)
                return xstrdup(c->info->executor->name ? c->info->executor->name : "");
        return xasprintf("Command Executor (Task: %s)", read_executor_id(c));
}

const char *read_executor_source(const struct agent_container *c)
{
        if (c->info->executor)
                return c->info->executor->source ? c->info->executor->source : "";
        return read_executor_id(c);
}
