#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/api/read.h"
#include "agent/executors/executor.h"
#include "lib/base/build_info.h"
#include "proto/validate.h"

void read_json_version(struct buffer *out)
{
        time_t when = (time_t)build_info.time;
        char date[32] = "";
        struct tm tm;

        if (when > 0 && gmtime_r(&when, &tm))
                (void)strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", &tm);
        json_put_string(out, "version", METE_VERSION);
        json_put_string(out, "build_date", date);
        json_put_double(out, "build_time", (double)build_info.time);
        json_put_string(out, "build_user", build_info.user);
        if (*build_info.git_sha)
                json_put_string(out, "git_sha", build_info.git_sha);
        if (*build_info.git_branch)
                json_put_string(out, "git_branch", build_info.git_branch);
        if (*build_info.git_tag)
                json_put_string(out, "git_tag", build_info.git_tag);
}

/* Names with underscores, values as text. */
void read_json_flags(struct buffer *out, const struct agent *a)
{
        json_begin_object(out, "flags");
        for (size_t i = 0; i < agent_option_parser.count; i++) {
                const struct option_row *row = &agent_option_parser.rows[i];
                _cleanup_free_ char *value = option_value_text(row, a->options);
                _cleanup_free_ char *name = xstrdup(row->name);

                for (char *p = strchr(name, '-'); p; p = strchr(p, '-'))
                        *p = '_';
                if (value)
                        json_put_string(out, name, value);
        }
        json_end_object(out);
}

void read_json_raw(struct buffer *out, const char *json)
{
        if (out->len > 0 && !strchr("{[:", out->data[out->len - 1]))
                buffer_puts(out, ",");
        buffer_puts(out, json);
}

/* ---- resources ---- */

static const char *const always[] = {"cpus", "gpus", "mem", "disk"};

static bool is_always_there(const char *name)
{
        for (size_t i = 0; i < ELEMENTSOF(always); i++)
                if (str_equal(name, always[i]))
                        return true;
        return false;
}

static void write_entry(struct buffer *out, const struct resource *r)
{
        _cleanup_buffer_ struct buffer text = {0};

        json_member(out, r->name);
        if (r->kind == RESOURCE_SCALAR) {
                json_put_double(out, NULL, milli_to_double(r->milli));
                return;
        }
        buffer_puts(&text, r->kind == RESOURCE_RANGES ? "[" : "{");
        for (size_t i = 0; i < r->range_count; i++)
                buffer_printf(&text, "%s%ju-%ju", i > 0 ? ", " : "", (uintmax_t)r->ranges[i].begin,
                        (uintmax_t)r->ranges[i].end);
        for (size_t i = 0; i < r->item_count; i++)
                buffer_printf(&text, "%s%s", i > 0 ? "," : "", r->items[i]);
        buffer_puts(&text, r->kind == RESOURCE_RANGES ? "]" : "}");
        json_put_string(out, NULL, text.data);
}

void read_json_resources(struct buffer *out, const char *key, const struct resources *r)
{
        json_begin_object(out, key);
        for (size_t i = 0; i < ELEMENTSOF(always); i++)
                json_put_double(out, always[i], milli_to_double(resources_scalar(r, always[i])));
        for (size_t i = 0; i < r->count; i++)
                if (!is_always_there(r->entries[i].name))
                        write_entry(out, &r->entries[i]);
        json_end_object(out);
}

void read_json_resource_messages(
        struct buffer *out, const char *key, Mete__V1__Resource *const *list, size_t count)
{
        _cleanup_resources_ struct resources r = {0};

        if (resources_from_proto(list, count, "resources", &r, NULL) < 0)
                r = (struct resources){0};
        read_json_resources(out, key, &r);
}

/* ---- tasks ---- */

void read_json_labels(struct buffer *out, const Mete__V1__Labels *labels)
{
        json_begin_array(out, "labels");
        for (size_t i = 0; labels && i < labels->n_labels; i++)
                json_put_message(out, NULL, &labels->labels[i]->base);
        json_end_array(out);
}

static const char *state_name(Mete__V1__TaskState state)
{
        const ProtobufCEnumValue *v =
                protobuf_c_enum_descriptor_get_value(&mete__v1__task_state__descriptor, (int)state);

        return v ? v->name : "TASK_UNKNOWN";
}

/* What waits for acknowledgement; older statuses are the master's to know. */
static void write_statuses(struct buffer *out, const struct agent_task *t)
{
        json_begin_array(out, "statuses");
        for (size_t i = 0; i < t->updates.count; i++) {
                const Mete__V1__TaskStatus *s = t->updates.pending[i]->status;

                json_begin_object(out, NULL);
                json_put_string(out, "state", state_name(s->state));
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
        json_put_string(out, "state", state_name(task_latest_state(t)));
        read_json_resource_messages(out, "resources", t->info->resources, t->info->n_resources);
        json_put_string(out, "role", role_of(t->info));
        write_statuses(out, t);
        read_json_labels(out, t->info->labels);
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
