/* From a task that a queue lets go to a launch that is on disk. */

#include <stdlib.h>
#include <string.h>

#include "master/jobs/jobs.h"

/* ---- what the agent gets ---- */

static Mete__V1__TaskInfo__LimitsEntry *limit_new(const char *name, double value)
{
        Mete__V1__TaskInfo__LimitsEntry *limit = xcalloc(1, sizeof(*limit));

        mete__v1__task_info__limits_entry__init(limit);
        limit->key = xstrdup(name);
        limit->value = xcalloc(1, sizeof(*limit->value));
        mete__v1__value__scalar__init(limit->value);
        limit->value->value = value;
        return limit;
}

static bool has_variable(const Mete__V1__Environment *e, const char *name)
{
        for (size_t i = 0; i < e->n_variables; i++)
                if (str_equal(e->variables[i]->name, name))
                        return true;
        return false;
}

static void add_variable(Mete__V1__Environment *e, const char *name, const char *value)
{
        Mete__V1__Environment__Variable *v = xcalloc(1, sizeof(*v));

        mete__v1__environment__variable__init(v);
        v->name = xstrdup(name);
        v->value = xstrdup(value);
        e->variables = xrealloc(e->variables, (e->n_variables + 1) * sizeof(*e->variables));
        e->variables[e->n_variables++] = v;
}

/* What the submitter says of a variable holds. */
static void add_number(Mete__V1__Environment *e, const char *name, uint64_t value)
{
        char text[24];

        (void)snprintf(text, sizeof(text), "%ju", (uintmax_t)value);
        if (!has_variable(e, name))
                add_variable(e, name, text);
}

static void add_ports(Mete__V1__Environment *e, const struct resources *resources)
{
        uint32_t n = 0;

        for (size_t i = 0; i < resources->count; i++) {
                const struct resource *r = &resources->entries[i];

                for (size_t k = 0; k < r->range_count && str_equal(r->name, "ports"); k++)
                        for (uint64_t port = r->ranges[k].begin; port <= r->ranges[k].end; port++) {
                                char name[16];

                                (void)snprintf(name, sizeof(name), "PORT%u", n++);
                                add_number(e, name, port);
                        }
        }
}

static Mete__V1__Environment *environment_new(
        const struct job *j, uint32_t index, const struct resources *resources)
{
        const Mete__Api__JobSpec *spec = j->spec;
        Mete__V1__Environment *e = xcalloc(1, sizeof(*e));

        mete__v1__environment__init(e);
        for (size_t i = 0; i < spec->n_environment; i++)
                add_variable(e, spec->environment[i]->name, spec->environment[i]->value);
        add_number(e, "METE_JOB_ID", j->number);
        add_number(e, "METE_TASK_INDEX", index);
        add_number(e, "METE_TASK_COUNT", j->count);
        if (spec->array)
                add_number(e, "METE_ARRAY_INDEX", spec->array->first + index * spec->array->step);
        add_ports(e, resources);
        return e;
}

static Mete__V1__CommandInfo *command_new(
        const struct job *j, uint32_t index, const struct resources *resources)
{
        const Mete__Api__JobSpec *spec = j->spec;
        Mete__V1__CommandInfo *c = xcalloc(1, sizeof(*c));

        mete__v1__command_info__init(c);
        c->has_shell = true;
        c->shell = false;
        c->value = xstrdup(spec->command[0]);
        c->n_arguments = spec->n_command;
        c->arguments = xcalloc(spec->n_command, sizeof(*c->arguments));
        for (size_t i = 0; i < spec->n_command; i++)
                c->arguments[i] = xstrdup(spec->command[i]);
        c->environment = environment_new(j, index, resources);
        return c;
}

/* A volume is seen where the job wants it, wherever its maker did. */
static void place_volumes(const struct job *j, Mete__V1__TaskInfo *info)
{
        for (size_t i = 0; i < info->n_resources; i++) {
                Mete__V1__Resource__DiskInfo *disk = info->resources[i]->disk;

                for (size_t k = 0; disk && disk->persistence && k < j->spec->n_volumes; k++) {
                        const Mete__Api__JobSpec__VolumeUse *use = j->spec->volumes[k];

                        if (!str_equal(use->volume_id, disk->persistence->id))
                                continue;
                        set_string(&disk->volume->container_path, use->container_path);
                        disk->volume->mode =
                                use->read_only ? METE__V1__VOLUME__MODE__RO : METE__V1__VOLUME__MODE__RW;
                }
        }
}

Mete__V1__TaskInfo *job_task_info(const struct job *j, uint32_t index, const char *agent_id, const char *role,
        const struct resources *resources)
{
        Mete__V1__TaskInfo *info = xcalloc(1, sizeof(*info));

        mete__v1__task_info__init(info);
        info->name = xstrdup(j->spec->name);
        info->task_id = xcalloc(1, sizeof(*info->task_id));
        mete__v1__task_id__init(info->task_id);
        info->task_id->value = xasprintf("%s.%u", j->id, index);
        info->agent_id = xcalloc(1, sizeof(*info->agent_id));
        mete__v1__agent_id__init(info->agent_id);
        info->agent_id->value = xstrdup(agent_id);
        resources_to_proto(resources, role, /* with_role= */ false, &info->resources, &info->n_resources);
        place_volumes(j, info);
        info->command = command_new(j, index, resources);
        /* MiB as a double: dividing by a power of two loses nothing, so the agent gets back the exact bytes. */
        info->n_limits = 2;
        info->limits = xcalloc(2, sizeof(*info->limits));
        info->limits[0] = limit_new("cpus", j->spec->cpus_limit);
        info->limits[1] = limit_new("mem", (double)j->spec->memory_limit_bytes / 1048576.0);
        return info;
}

/* ---- what is kept of it ---- */

static void take_numbers(const struct resources *r, const char *name, uint32_t **ret, size_t *ret_count)
{
        size_t n = 0;

        free(*ret);
        *ret = NULL;
        for (size_t i = 0; i < r->count; i++) {
                const struct resource *e = &r->entries[i];

                for (size_t k = 0; k < e->range_count && str_equal(e->name, name); k++)
                        for (uint64_t at = e->ranges[k].begin; at <= e->ranges[k].end; at++) {
                                *ret = xrealloc(*ret, (n + 1) * sizeof(**ret));
                                (*ret)[n++] = (uint32_t)at;
                        }
        }
        *ret_count = n;
}

static void task_books(const struct job *j, struct job_task *t, const struct resources *resources)
{
        if (t->booked) {
                resources_done(t->booked);
                free(TAKE_PTR(t->booked));
        }
        take_numbers(resources, "ports", &t->api->ports, &t->api->n_ports);
        take_numbers(resources, "cores", &t->api->cores, &t->api->n_cores);
        if (resources_equal(resources, &j->size))
                return;
        t->booked = NEW0(struct resources);
        resources_copy(resources, t->booked);
}

static void task_starts_over(struct job_task *t, const struct agent *a)
{
        Mete__Api__Task *api = t->api;

        t->queued = t->requeue_wanted = t->suspend_wanted = t->suspended_by_user = false;
        t->ran_seconds = t->changed = 0;
        api->state = METE__V1__TASK_STATE__TASK_STAGING;
        set_string(&api->agent_id, a->id);
        set_string(&api->agent_address, a->address);
        set_string(&api->container_id, NULL);
        set_string(&api->reason, NULL);
        set_string(&api->message, NULL);
        set_string(&api->sandbox, NULL);
        api->has_exit_code = api->has_started = api->has_finished = false;
        api->has_not_before = api->has_suspended = api->suspended = false;
        api->has_attempts = true;
        api->attempts = ++t->attempts;
        t->unstarted++;
}

/* ---- to disk, then to the agent ---- */

/* Task ids whose launches are on their way to disk. */
struct launching {
        struct framework *framework;
        size_t count;
        char *ids[];
};

static void launching_done(int result, void *userdata)
{
        struct launching *l = userdata;

        for (size_t i = 0; i < l->count; i++) {
                if (!l->framework->master->stopping)
                        task_launch_ready(l->framework, l->ids[i], result >= 0);
                free(l->ids[i]);
        }
        free(l);
}

void jobs_on_launching(struct framework *f, struct task *const *tasks, size_t count)
{
        struct launching *l = xcalloc(1, sizeof(*l) + count * sizeof(char *));
        struct store_batch *b = store_batch_new();

        l->framework = f;
        for (size_t i = 0; i < count; i++) {
                enum job_task_class before;
                struct job_task *t;
                uint32_t index;
                struct job *j;

                if (job_task_find(f->userdata, tasks[i]->id, &j, &index) < 0)
                        continue;
                before = job_task_begin(j, index);
                t = job_task_get(j, index);
                task_starts_over(t, tasks[i]->agent);
                task_books(j, t, &tasks[i]->resources);
                job_task_end(j, index, before, b);
                l->ids[l->count++] = xstrdup(tasks[i]->id);
        }
        master_write(f->master, b, launching_done, l);
}
