/*
 * The built-in queue as a framework: gets offers, accepts with launches, receives statuses, like any other. A launch is written down
 * before it is sent, a status before it is acknowledged; both ride in the store's group commits.
 */

#include <stdlib.h>
#include <string.h>

#include "master/jobs/jobs.h"

#define LAUNCHES_PER_OFFER 256
#define REFUSE_NS (5 * NSEC_PER_SEC)

static struct jobs *jobs_of(const struct framework *f)
{
        return f->userdata;
}

/* ---- asking for offers ---- */

void jobs_wake(struct jobs *js)
{
        struct master *m = js->master;
        bool wanted = !plain_queue_empty(js->queue);

        if (!wanted && !js->suppressed)
                allocator_suppress(m->allocator, m->queue_framework->id, QUEUE_ROLE);
        if (wanted) {
                allocator_revive(m->allocator, m->queue_framework->id, QUEUE_ROLE);
                offers_schedule(m);
        }
        js->suppressed = !wanted;
}

void job_enqueue(struct job *j)
{
        struct jobs *js = j->master->jobs;

        for (uint32_t i = 0; i < j->count; i++)
                if (job_task_class(j, i) == JOB_TASK_QUEUED)
                        plain_queue_add_task(
                                js->queue, j->number, (uint64_t)(j->submitted * 1e9), &j->size, i);
}

/* ---- launching ---- */

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

static Mete__V1__CommandInfo *command_new(const Mete__Api__JobSpec *spec)
{
        Mete__V1__CommandInfo *c = xcalloc(1, sizeof(*c));

        mete__v1__command_info__init(c);
        c->has_shell = true;
        c->shell = false;
        c->value = xstrdup(spec->command[0]);
        c->n_arguments = spec->n_command;
        c->arguments = xcalloc(spec->n_command, sizeof(*c->arguments));
        for (size_t i = 0; i < spec->n_command; i++)
                c->arguments[i] = xstrdup(spec->command[i]);
        if (spec->n_environment == 0)
                return c;
        c->environment = xcalloc(1, sizeof(*c->environment));
        mete__v1__environment__init(c->environment);
        c->environment->n_variables = spec->n_environment;
        c->environment->variables = xcalloc(spec->n_environment, sizeof(*c->environment->variables));
        for (size_t i = 0; i < spec->n_environment; i++) {
                Mete__V1__Environment__Variable *v = xcalloc(1, sizeof(*v));

                mete__v1__environment__variable__init(v);
                v->name = xstrdup(spec->environment[i]->name);
                v->value = xstrdup(spec->environment[i]->value);
                c->environment->variables[i] = v;
        }
        return c;
}

static Mete__V1__TaskInfo *task_info_new(
        const struct job *j, uint32_t index, const char *agent_id, const char *role)
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
        resources_to_proto(&j->size, role, /* with_role= */ false, &info->resources, &info->n_resources);
        info->command = command_new(j->spec);
        /* MiB as a double: dividing by a power of two loses nothing, so the agent gets back the exact bytes. */
        info->n_limits = 2;
        info->limits = xcalloc(2, sizeof(*info->limits));
        info->limits[0] = limit_new("cpus", j->spec->cpus_limit);
        info->limits[1] = limit_new("mem", (double)j->spec->memory_limit_bytes / 1048576.0);
        return info;
}

static void launch_on(
        struct framework *f, struct offer *o, const struct plain_queue_launch *launches, size_t count)
{
        struct jobs *js = jobs_of(f);
        Mete__V1__Offer__Operation op = METE__V1__OFFER__OPERATION__INIT, *ops[] = {&op};
        Mete__V1__Offer__Operation__Launch launch = METE__V1__OFFER__OPERATION__LAUNCH__INIT;
        _cleanup_free_ Mete__V1__TaskInfo **infos = xcalloc(count, sizeof(*infos));
        const char *id = o->id;

        for (size_t i = 0; i < count; i++)
                infos[i] = task_info_new(
                        job_by_number(js, launches[i].job), launches[i].index, o->agent->id, o->role);
        launch.task_infos = infos;
        launch.n_task_infos = count;
        op.has_type = true;
        op.type = METE__V1__OFFER__OPERATION__TYPE__LAUNCH;
        op.launch = &launch;
        /* A full batch says nothing about what is left. */
        offers_accept(f, &id, 1, ops, 1, count < LAUNCHES_PER_OFFER ? REFUSE_NS : 0);
        for (size_t i = 0; i < count; i++)
                message_free(infos[i]);
}

static void framework_offer(struct framework *f, struct offer *o)
{
        struct jobs *js = jobs_of(f);
        _cleanup_resources_ struct resources available = {};
        struct plain_queue_launch launches[LAUNCHES_PER_OFFER];
        const char *id = o->id;
        size_t count;

        resources_copy(&o->resources, &available);
        count = plain_queue_offer(js->queue, o->agent->id, &available, launches, ELEMENTSOF(launches));
        if (count > 0)
                launch_on(f, o, launches, count);
        else
                offers_decline(f, &id, 1, REFUSE_NS);
        if (plain_queue_empty(js->queue))
                jobs_wake(js);
}

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

static void task_starts_over(Mete__Api__Task *api, const struct agent *a)
{
        api->state = METE__V1__TASK_STATE__TASK_STAGING;
        set_string(&api->agent_id, a->id);
        set_string(&api->agent_address, a->address);
        set_string(&api->container_id, NULL);
        set_string(&api->reason, NULL);
        set_string(&api->message, NULL);
        set_string(&api->sandbox, NULL);
        api->has_exit_code = api->has_started = api->has_finished = false;
}

static void framework_launching(struct framework *f, struct task *const *tasks, size_t count)
{
        struct launching *l = xcalloc(1, sizeof(*l) + count * sizeof(char *));
        struct store_batch *b = store_batch_new();

        l->framework = f;
        for (size_t i = 0; i < count; i++) {
                enum job_task_class before;
                struct job_task *t;
                uint32_t index;
                struct job *j;

                if (job_task_find(jobs_of(f), tasks[i]->id, &j, &index) < 0)
                        continue;
                before = job_task_begin(j, index);
                t = job_task_get(j, index);
                t->queued = false;
                t->attempts++;
                t->has_uuid = false;
                task_starts_over(t->api, tasks[i]->agent);
                job_task_end(j, index, before, b);
                l->ids[l->count++] = xstrdup(tasks[i]->id);
        }
        master_write(f->master, b, launching_done, l);
}

/* ---- statuses ---- */

struct acknowledgement {
        struct master *master;
        char *agent_id, *framework_id, *task_id;
        uint8_t uuid[UUID_BYTES];
};

static void acknowledgement_done(int result, void *userdata)
{
        struct acknowledgement *x = userdata;
        struct agent *a = agent_find(x->master, x->agent_id);

        if (a && result >= 0)
                agent_acknowledge(a, x->framework_id, x->task_id, x->uuid);
        free(x->agent_id);
        free(x->framework_id);
        free(x->task_id);
        free(x);
}

/* Writes the batch; the acknowledgement goes down when it is on disk. */
static void write_and_acknowledge(
        struct framework *f, struct agent *a, const Mete__Agent__StatusUpdate *u, struct store_batch *b)
{
        struct acknowledgement *x;

        if (!u->status->has_uuid) {
                master_write(f->master, b, NULL, NULL);
                return;
        }
        x = NEW0(struct acknowledgement);
        x->master = f->master;
        x->agent_id = xstrdup(a->id);
        x->framework_id = xstrdup(f->id);
        x->task_id = xstrdup(u->status->task_id->value);
        memcpy(x->uuid, u->status->uuid.data, UUID_BYTES);
        master_write(f->master, b, acknowledgement_done, x);
}

static void task_take_status(struct job_task *t, const struct agent *a, const Mete__Agent__StatusUpdate *u)
{
        const Mete__V1__TaskStatus *s = u->status;
        Mete__Api__Task *api = t->api;

        api->state = s->state;
        set_string(&api->agent_address, a ? a->address : NULL);
        set_string(&api->reason, s->has_reason ? task_reason_to_string(s->reason) : NULL);
        set_string(&api->message, s->message);
        if (u->container_id)
                set_string(&api->container_id, u->container_id);
        if (u->sandbox)
                set_string(&api->sandbox, u->sandbox);
        if (u->has_exit_code) {
                api->has_exit_code = true;
                api->exit_code = u->exit_code;
        }
        if (u->has_started) {
                api->has_started = true;
                api->started = u->started;
        }
        if (u->usage) {
                message_free(api->usage);
                api->usage = message_copy(u->usage);
        }
        if (task_state_is_terminal(s->state)) {
                api->has_finished = true;
                api->finished = u->has_finished    ? u->finished
                                : s->has_timestamp ? s->timestamp
                                                   : wall_seconds_now();
        }
        if (s->has_uuid) {
                memcpy(t->last_uuid, s->uuid.data, UUID_BYTES);
                t->has_uuid = true;
        }
}

/* A launch that never reached its agent costs an attempt, not the task. Nor does an agent that is drained. */
static bool may_try_again(const struct job *j, const struct job_task *t, const Mete__Agent__StatusUpdate *u)
{
        const Mete__V1__TaskStatus *s = u->status;
        bool drained = s->state == METE__V1__TASK_STATE__TASK_KILLED && s->has_reason &&
                       s->reason == METE__V1__TASK_STATUS__REASON__REASON_AGENT_DRAINING;
        bool dropped = s->state == METE__V1__TASK_STATE__TASK_DROPPED && !s->has_uuid &&
                       t->attempts < JOB_ATTEMPTS_MAX;

        return (drained || dropped) && !t->kill_wanted && !j->kill_wanted;
}

/* Is this status about the attempt that we know of? */
static bool is_current(const struct job_task *t, const struct agent *a, const Mete__Agent__StatusUpdate *u)
{
        if (t->queued || !a || !str_equal(t->api->agent_id, a->id))
                return false;
        if (u->status->has_uuid && t->has_uuid && memcmp(t->last_uuid, u->status->uuid.data, UUID_BYTES) == 0)
                return false; /* sent again */
        return !task_state_is_terminal(t->api->state) || (t->lost_by_master && u->status->has_uuid);
}

static void requeue(struct jobs *js, struct job *j, uint32_t index, struct job_task *t)
{
        t->queued = true;
        t->api->state = METE__V1__TASK_STATE__TASK_STAGING;
        set_string(&t->api->agent_id, NULL);
        set_string(&t->api->agent_address, NULL);
        plain_queue_add_task(js->queue, j->number, (uint64_t)(j->submitted * 1e9), &j->size, index);
        jobs_wake(js);
}

static void framework_update(
        struct framework *f, struct agent *a, struct task *live, const Mete__Agent__StatusUpdate *u)
{
        struct jobs *js = jobs_of(f);
        struct store_batch *b = store_batch_new();
        enum job_task_class before;
        struct job_task *t;
        uint32_t index;
        struct job *j;

        if (job_task_find(js, u->status->task_id->value, &j, &index) < 0) {
                log_info("update %s of task %s, of which no job is known: acknowledged",
                        task_state_to_string(u->status->state), u->status->task_id->value);
                write_and_acknowledge(f, a, u, b);
                return;
        }
        before = job_task_begin(j, index);
        t = job_task_get(j, index);
        if (is_current(t, a, u)) {
                task_take_status(t, a, u);
                t->lost_by_master =
                        u->status->state == METE__V1__TASK_STATE__TASK_LOST && !u->status->has_uuid;
                if (may_try_again(j, t, u))
                        requeue(js, j, index, t);
                else if (u->status->state == METE__V1__TASK_STATE__TASK_DROPPED)
                        t->api->state = METE__V1__TASK_STATE__TASK_LOST; /* the public name of it */
                job_task_end(j, index, before, b);
                jobs_trim(js, b);
        }
        write_and_acknowledge(f, a, u, b);
}

/* ---- agents ---- */

static bool framework_adopt(struct framework *f, struct agent *a, const Mete__Agent__TaskReport *report)
{
        struct job_task *t;
        uint32_t index;
        struct job *j;

        if (job_task_find(jobs_of(f), report->task->task_id->value, &j, &index) < 0 || !j->tasks[index])
                return false;
        t = j->tasks[index];
        if (t->queued || !str_equal(t->api->agent_id, a->id) || j->kill_wanted || t->kill_wanted)
                return false;
        return !task_state_is_terminal(t->api->state) || t->lost_by_master;
}

static void framework_reported(
        struct framework *f, struct agent *a, struct task *live, const Mete__Agent__TaskReport *report)
{
        enum job_task_class before;
        struct store_batch *b;
        struct job_task *t;
        uint32_t index;
        struct job *j;

        if (job_task_find(jobs_of(f), live->id, &j, &index) < 0)
                return;
        b = store_batch_new();
        before = job_task_begin(j, index);
        t = job_task_get(j, index);
        t->lost_by_master = false;
        t->api->state = report->state;
        t->api->has_finished = false;
        set_string(&t->api->reason, NULL);
        set_string(&t->api->message, NULL);
        set_string(&t->api->agent_address, a->address);
        if (report->container_id)
                set_string(&t->api->container_id, report->container_id);
        if (report->sandbox)
                set_string(&t->api->sandbox, report->sandbox);
        if (report->has_started) {
                t->api->has_started = true;
                t->api->started = report->started;
        }
        job_task_end(j, index, before, b);
        master_write(f->master, b, NULL, NULL);
}

static void restore_task(struct framework *f, struct job *j, uint32_t index, struct store_batch *b)
{
        struct job_task *t = j->tasks[index];
        struct agent *a = t->api->agent_id ? agent_find(f->master, t->api->agent_id) : NULL;
        enum job_task_class before = job_task_begin(j, index);
        struct task *live;

        if (a && a->state == AGENT_RECOVERED) {
                live = task_add(f, a, QUEUE_ROLE, task_info_new(j, index, a->id, QUEUE_ROLE),
                        message_copy(j->spec->isolation), &j->size);
                live->state = t->api->state;
                live->sent = true;
                live->kill_wanted = t->kill_wanted;
                live->kill = t->kill;
                return;
        }
        t->api->state = METE__V1__TASK_STATE__TASK_LOST;
        t->lost_by_master = true;
        set_string(
                &t->api->reason, task_reason_to_string(METE__V1__TASK_STATUS__REASON__REASON_AGENT_UNKNOWN));
        set_string(&t->api->message, "the master restarted and does not know its agent any more");
        t->api->has_finished = true;
        t->api->finished = wall_seconds_now();
        job_task_end(j, index, before, b);
}

void jobs_restore(struct jobs *js)
{
        struct store_batch *b = store_batch_new();
        struct job *j, *next;

        HASH_ITER (hh, js->by_number, j, next) {
                for (uint32_t i = 0; i < j->count; i++)
                        if (job_task_class(j, i) == JOB_TASK_LIVE)
                                restore_task(js->master->queue_framework, j, i, b);
                job_enqueue(j);
        }
        jobs_trim(js, b);
        master_write(js->master, b, NULL, NULL);
        jobs_wake(js);
}

static void framework_usage(struct framework *f, const char *task_id, const Mete__Api__TaskUsage *usage)
{
        uint32_t index;
        struct job *j;

        if (job_task_find(jobs_of(f), task_id, &j, &index) < 0 || !j->tasks[index] ||
                job_task_class(j, index) != JOB_TASK_LIVE)
                return;
        message_free(j->tasks[index]->api->usage);
        j->tasks[index]->api->usage = message_copy(usage);
}

static void framework_agents_changed(struct framework *f, struct agent *a, bool gone)
{
        struct jobs *js = jobs_of(f);

        if (gone)
                plain_queue_remove_agent(js->queue, a->id);
        else
                plain_queue_set_agent(js->queue, a->id, a->info->hostname, &a->total);
}

static const Mete__Api__Isolation *framework_isolation(
        struct framework *f, const Mete__V1__TaskInfo *task, const Mete__V1__ExecutorInfo *executor)
{
        uint32_t index;
        struct job *j;

        return job_task_find(jobs_of(f), task->task_id->value, &j, &index) < 0 ? NULL : j->spec->isolation;
}

const struct framework_ops job_framework_ops = {
        .in_process = true,
        .offer = framework_offer,
        .launching = framework_launching,
        .update = framework_update,
        .adopt = framework_adopt,
        .reported = framework_reported,
        .usage = framework_usage,
        .agents_changed = framework_agents_changed,
        .isolation = framework_isolation,
};
