/* GET /state: what runs here and what ended, framework by framework. */
#include <stdlib.h>
#include <string.h>

#include "agent/api/read.h"
#include "agent/executors/executor.h"
#include "agent/offered_resources.h"
#include "proto/domain.h"

/* Those that show as live, and those that ended but wait for acknowledgements; each sorted by framework. */
struct containers {
        struct agent_container **items;
        size_t count;
};

static const char *framework_of(const struct agent_container *c)
{
        return c->info->framework->id ? c->info->framework->id->value : "";
}

static int compare(const void *a, const void *b)
{
        const struct agent_container *const *x = a, *const *y = b;
        int r = strcmp(framework_of(*x), framework_of(*y));

        return r != 0 ? r : strcmp((*x)->info->container_id, (*y)->info->container_id);
}

static struct containers sorted_containers(const struct agent *a)
{
        struct containers l = {.items = xcalloc(HASH_COUNT(a->containers) + 1, sizeof(*l.items))};
        struct agent_container *c, *tmp;

        HASH_ITER (hh, a->containers, c, tmp)
                l.items[l.count++] = c;
        if (l.count > 0)
                qsort(l.items, l.count, sizeof(*l.items), compare);
        return l;
}

/* ---- executors ---- */

enum which { QUEUED, LIVE, COMPLETED };

static enum which which_of(const struct agent_task *t)
{
        const struct agent_executor *x = t->container->executor;

        if (task_is_ended(t))
                return COMPLETED;
        return x && !executor_is_subscribed(x) && task_latest_state(t) == METE__V1__TASK_STATE__TASK_STAGING
                       ? QUEUED
                       : LIVE;
}

/* Members of an array. */
static void write_tasks(struct buffer *out, const struct agent_container *c, enum which which)
{
        struct agent_task *t, *tmp;

        if (c->task) {
                if (which_of(c->task) == which)
                        read_json_task(out, c->task);
        } else {
                HASH_ITER (hh, c->agent->tasks, t, tmp)
                        if (t->container == c && which_of(t) == which)
                                read_json_task(out, t);
        }
}

/* Those whose ends the framework has acknowledged are no tasks of the agent's any more. */
static void write_past_tasks(struct buffer *out, const struct agent_container *c)
{
        const struct read_history_task *t;

        for (size_t i = 0; c->executor && read_history_next_task(c->agent->api->history, &i, &t);)
                if (str_equal(t->container_id, c->info->container_id))
                        json_put_raw(out, NULL, t->task);
}

static void write_executor(struct buffer *out, const struct agent_container *c, bool with_past)
{
        const Mete__V1__ExecutorInfo *x = c->info->executor;
        const Mete__V1__TaskInfo *t = c->info->task;
        _cleanup_free_ char *name = read_executor_name(c);

        json_begin_object(out, NULL);
        json_put_string(out, "id", read_executor_id(c));
        json_put_string(out, "name", name);
        json_put_string(out, "source", read_executor_source(c));
        json_put_string(out, "container", c->info->container_id);
        json_put_string(out, "directory", c->info->sandbox);
        if (x)
                json_resources_of(out, "resources", x->resources, x->n_resources);
        else
                json_resources_of(out, "resources", t ? t->resources : NULL, t ? t->n_resources : 0);
        json_labels(out, "labels", x ? x->labels : t ? t->labels : NULL);
        json_begin_array(out, "tasks");
        write_tasks(out, c, LIVE);
        json_end_array(out);
        json_begin_array(out, "queued_tasks");
        write_tasks(out, c, QUEUED);
        json_end_array(out);
        json_begin_array(out, "completed_tasks");
        if (with_past)
                write_past_tasks(out, c);
        write_tasks(out, c, COMPLETED);
        json_end_array(out);
        json_end_object(out);
}

/* ---- frameworks ---- */

/* Members of an object. */
static void write_framework(struct buffer *out, const Mete__V1__FrameworkInfo *f)
{
        json_put_string(out, "id", f->id ? f->id->value : "");
        json_put_string(out, "name", f->name);
        json_put_string(out, "user", f->user);
        json_put_double(out, "failover_timeout", f->failover_timeout);
        json_put_bool(out, "checkpoint", f->checkpoint);
        json_put_string(out, "hostname", f->hostname);
        if (f->principal)
                json_put_string(out, "principal", f->principal);
        if (f->n_roles == 0)
                json_put_string(out, "role", f->role ? f->role : "*");
        json_begin_array(out, "roles");
        for (size_t i = 0; i < f->n_roles; i++)
                json_put_string(out, NULL, f->roles[i]);
        json_end_array(out);
}

void agent_api_remember(struct agent_api *api, const struct agent_container *c)
{
        _cleanup_buffer_ struct buffer framework = {0}, executor = {0};

        write_framework(&framework, c->info->framework);
        write_executor(&executor, c, /* with_past= */ true);
        if (read_history_add(
                    api->history, framework_of(c), framework.data, c->info->container_id, executor.data))
                return;
        buffer_done(&executor);
        write_executor(&executor, c, /* with_past= */ false);
        (void)read_history_add(
                api->history, framework_of(c), framework.data, c->info->container_id, executor.data);
}

void agent_api_task_done(struct agent *a, const struct agent_task *t)
{
        _cleanup_buffer_ struct buffer task = {0};

        if (!a->api)
                return;
        read_json_task(&task, t);
        read_history_add_task(a->api->history, container_id(t->container), task.data);
}

/* Gone from the table: those that are there still show themselves. */
static bool is_history(const struct agent *a, const struct read_history_entry *e)
{
        return !container_find((struct agent *)(uintptr_t)a, e->container_id);
}

static void write_history(struct buffer *out, const struct agent *a, const char *framework_id)
{
        const struct read_history_entry *e;

        for (size_t i = 0; read_history_next(a->api->history, &i, &e);)
                if (str_equal(e->framework_id, framework_id) && is_history(a, e))
                        json_put_raw(out, NULL, e->executor);
}

static bool has_ended(const struct agent_container *c)
{
        return c->state == CONTAINER_STATE_ENDED;
}

/* Containers of one framework. */
static void write_executors(
        struct buffer *out, const char *key, struct agent_container *const *list, size_t count, bool ended)
{
        json_begin_array(out, key);
        for (size_t i = 0; i < count; i++)
                if (has_ended(list[i]) == ended)
                        write_executor(out, list[i], /* with_past= */ true);
        if (ended)
                write_history(out, list[0]->agent, framework_of(list[0]));
        json_end_array(out);
}

static void write_live_frameworks(struct buffer *out, const struct containers *l)
{
        size_t n;

        json_begin_array(out, "frameworks");
        for (size_t i = 0; i < l->count; i += n) {
                for (n = 1; i + n < l->count &&
                            str_equal(framework_of(l->items[i]), framework_of(l->items[i + n]));)
                        n++;
                json_begin_object(out, NULL);
                write_framework(out, l->items[i]->info->framework);
                write_executors(out, "executors", &l->items[i], n, /* ended= */ false);
                write_executors(out, "completed_executors", &l->items[i], n, /* ended= */ true);
                json_end_object(out);
        }
        json_end_array(out);
}

static bool is_live_framework(const struct containers *l, const char *id)
{
        for (size_t i = 0; i < l->count; i++)
                if (str_equal(framework_of(l->items[i]), id))
                        return true;
        return false;
}

/* Seen before position `end` of the history? */
static bool seen_before(const struct read_history *h, size_t end, const char *id)
{
        const struct read_history_entry *e;

        for (size_t i = 0; i < end && read_history_next(h, &i, &e);)
                if (i <= end && str_equal(e->framework_id, id))
                        return true;
        return false;
}

static void write_completed_frameworks(struct buffer *out, const struct agent *a, const struct containers *l)
{
        const struct read_history_entry *e;

        json_begin_array(out, "completed_frameworks");
        for (size_t i = 0; read_history_next(a->api->history, &i, &e);) {
                if (is_live_framework(l, e->framework_id) ||
                        seen_before(a->api->history, i - 1, e->framework_id))
                        continue;
                json_begin_object(out, NULL);
                buffer_puts(out, e->framework);
                json_begin_array(out, "executors");
                json_end_array(out);
                json_begin_array(out, "completed_executors");
                write_history(out, a, e->framework_id);
                json_end_array(out);
                json_end_object(out);
        }
        json_end_array(out);
}

/* ---- the agent ---- */

static void write_domain(struct buffer *out, const char *text)
{
        Mete__V1__DomainInfo *domain;

        if (!text || domain_parse(text, "--domain", &domain, NULL) < 0)
                return;
        json_put_message(out, "domain", &domain->base);
        message_free(domain);
}

static void write_attributes(struct buffer *out, const char *attributes)
{
        _cleanup_free_ char *copy = xstrdup(attributes ? attributes : "");
        char *save = NULL;

        json_begin_object(out, "attributes");
        for (char *part = strtok_r(copy, ";", &save); part; part = strtok_r(NULL, ";", &save)) {
                char *colon = strchr(part, ':');
                if (!colon)
                        continue;
                *colon = '\0';
                json_member(out, part);
                json_put_string(out, NULL, colon + 1);
        }
        json_end_object(out);
}

static void write_resources(struct buffer *out, const struct agent *a)
{
        _cleanup_resources_ struct resources offered = {0};

        if (offered_resources(a->options, &offered, NULL) < 0)
                offered = (struct resources){0};
        json_resources(out, "resources", &offered);
        json_begin_object(out, "reserved_resources");
        json_end_object(out);
        json_resources(out, "unreserved_resources", &offered);
        json_begin_object(out, "reserved_resources_allocated");
        json_end_object(out);
}

void api_read_state(struct read_call *c)
{
        const struct agent *a = c->agent;
        struct containers l = sorted_containers(a);
        _cleanup_free_ char *pid = xasprintf(API_PROCESS "@%s", a->endpoint);
        struct buffer *out = &c->out;

        json_begin_object(out, NULL);
        json_version(out);
        json_put_double(out, "start_time", wall_seconds(a->api->started));
        json_put_string(out, "id", a->identity.agent_id);
        json_put_string(out, "pid", pid);
        json_put_string(out, "hostname", a->options->hostname);
        json_put_string(out, "master_hostname", a->options->master_host);
        json_put_string(out, "log_dir", "");
        write_attributes(out, a->options->attributes);
        write_domain(out, a->options->domain);
        write_resources(out, a);
        json_flags(out, &agent_option_parser, a->options);
        write_live_frameworks(out, &l);
        write_completed_frameworks(out, a, &l);
        json_begin_array(out, "resource_providers");
        json_end_array(out);
        json_end_object(out);
        free(l.items);
}

void api_read_flags(struct read_call *c)
{
        json_begin_object(&c->out, NULL);
        json_flags(&c->out, &agent_option_parser, c->agent->options);
        json_end_object(&c->out);
}

void api_read_version(struct read_call *c)
{
        json_begin_object(&c->out, NULL);
        json_version(&c->out);
        json_end_object(&c->out);
}
