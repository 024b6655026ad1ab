/*
 * The built-in queue as a framework: gets offers, accepts with launches, receives statuses, like any other. A launch is written down
 * before it is sent, a status before it is acknowledged; both ride in the store's group commits.
 */

#include <stdlib.h>
#include <string.h>

#include "master/jobs/jobs.h"

static struct jobs *jobs_of(const struct framework *f)
{
        return f->userdata;
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
        } else if (s->state == METE__V1__TASK_STATE__TASK_RUNNING && !api->has_started) {
                api->has_started = true;
                api->started = s->has_timestamp ? s->timestamp : wall_seconds_now();
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

/* Is this status about the attempt that we know of? */
static bool is_current(const struct job_task *t, const struct agent *a, const Mete__Agent__StatusUpdate *u)
{
        if (t->queued || !a || !str_equal(t->api->agent_id, a->id))
                return false;
        if (u->status->has_uuid && t->has_uuid && memcmp(t->last_uuid, u->status->uuid.data, UUID_BYTES) == 0)
                return false; /* sent again */
        return !task_state_is_terminal(t->api->state) || (t->lost_by_master && u->status->has_uuid);
}

/* From now on its machine is busy with it, since it started. */
static void task_runs(struct job *j, uint32_t index)
{
        struct job_task *t = j->tasks[index];

        if (!t->api->has_started)
                return;
        t->unstarted = 0;
        if (j->queued)
                job_enter_live(j, index);
}

static void take_update(struct job *j, uint32_t index, struct agent *a, const Mete__Agent__StatusUpdate *u,
        struct store_batch *b)
{
        enum job_task_class before = job_task_begin(j, index);
        struct job_task *t = j->tasks[index];
        const Mete__V1__TaskStatus *s = u->status;
        bool had_started = t->api->has_started;

        task_take_status(t, a, u);
        if (task_state_is_terminal(s->state)) {
                t->lost_by_master = s->state == METE__V1__TASK_STATE__TASK_LOST && !s->has_uuid;
                job_task_ended(j, index, u);
        } else if (!had_started) {
                task_runs(j, index);
        }
        job_task_end(j, index, before, b);
        jobs_trim(j->master->jobs, b);
}

static void framework_update(
        struct framework *f, struct agent *a, struct task *live, const Mete__Agent__StatusUpdate *u)
{
        struct store_batch *b = store_batch_new();
        uint32_t index;
        struct job *j;

        if (job_task_find(jobs_of(f), u->status->task_id->value, &j, &index) < 0)
                log_info("update %s of task %s, of which no job is known: acknowledged",
                        task_state_to_string(u->status->state), u->status->task_id->value);
        else if (j->tasks[index] && is_current(j->tasks[index], a, u))
                take_update(j, index, a, u, b);
        write_and_acknowledge(f, a, u, b);
}

/* ---- agents ---- */

static bool is_wanted_back(
        const struct framework *f, const struct agent *a, const Mete__Agent__TaskReport *report)
{
        const struct job_task *t;
        uint32_t index;
        struct job *j;

        if (job_task_find(jobs_of(f), report->task->task_id->value, &j, &index) < 0 || !j->tasks[index])
                return false;
        t = j->tasks[index];
        if (t->queued || !str_equal(t->api->agent_id, a->id) || j->kill_wanted || t->kill_wanted)
                return false;
        return !task_state_is_terminal(t->api->state) || t->lost_by_master;
}

/* What is frozen gave its cpus up, to others that the agent may report too. Unless it was to go on: then they are its own again. */
static bool framework_adopt(
        struct framework *f, struct agent *a, const Mete__Agent__TaskReport *report, struct resources *held)
{
        bool wanted = is_wanted_back(f, a, report);
        uint32_t index;
        struct job *j;

        if (report->has_suspended && report->suspended &&
                (!wanted || (job_task_find(jobs_of(f), report->task->task_id->value, &j, &index) >= 0 &&
                                    j->tasks[index]->suspend_wanted))) {
                struct resources kept = {};

                job_suspended_keeps(held, &kept);
                resources_done(held);
                *held = kept;
        }
        return wanted;
}

static void framework_reported(
        struct framework *f, struct agent *a, struct task *live, const Mete__Agent__TaskReport *report)
{
        enum job_task_class before;
        struct store_batch *b;
        struct job_task *t;
        bool was_lost;
        uint32_t index;
        struct job *j;

        if (job_task_find(jobs_of(f), live->id, &j, &index) < 0)
                return;
        b = store_batch_new();
        before = job_task_begin(j, index);
        t = job_task_get(j, index);
        t->lost_by_master = false;
        was_lost = before != JOB_TASK_LIVE;
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
        if (was_lost && report->has_suspended && report->suspended)
                job_suspension_regained(t);
        if (was_lost)
                task_runs(j, index);
        job_suspension_reported(j, index, live, report);
        job_task_end(j, index, before, b);
        master_write(f->master, b, NULL, NULL);
}

/* As it was booked: a frozen task that nobody has thawed yet gave its cpus up. */
static void restore_live(struct framework *f, struct job *j, uint32_t index, struct agent *a)
{
        const struct job_task *t = j->tasks[index];
        const struct resources *booked = t->booked ? t->booked : &j->size;
        _cleanup_resources_ struct resources keeps = {};
        struct task *live;

        if (t->api->suspended && t->suspend_wanted)
                job_suspended_keeps(booked, &keeps);
        else
                resources_copy(booked, &keeps);
        live = task_add(f, a, j->queue->role, job_task_info(j, index, a->id, j->queue->role, booked),
                message_copy(j->spec->isolation), &keeps);
        live->state = t->api->state;
        live->sent = true;
        live->kill_wanted = t->kill_wanted || t->requeue_wanted;
        live->kill = t->kill;
        job_limit_update(j, index);
}

static void restore_task(struct framework *f, struct job *j, uint32_t index, struct store_batch *b)
{
        struct job_task *t = j->tasks[index];
        struct agent *a = t->api->agent_id ? agent_find(f->master, t->api->agent_id) : NULL;
        Mete__Agent__StatusUpdate update = METE__AGENT__STATUS_UPDATE__INIT;
        Mete__V1__TaskStatus status = METE__V1__TASK_STATUS__INIT;
        Mete__V1__TaskID id = METE__V1__TASK_ID__INIT;
        static char why[] = "the master restarted and does not know its agent any more";
        enum job_task_class before;

        if (a && a->state == AGENT_RECOVERED) {
                restore_live(f, j, index, a);
                return;
        }
        before = job_task_begin(j, index);
        id.value = t->api->task_id;
        update.status = &status;
        status.task_id = &id;
        status.state = METE__V1__TASK_STATE__TASK_LOST;
        status.has_reason = true;
        status.reason = METE__V1__TASK_STATUS__REASON__REASON_AGENT_UNKNOWN;
        status.message = why;
        task_take_status(t, a, &update);
        t->lost_by_master = true;
        job_task_ended(j, index, &update);
        job_task_end(j, index, before, b);
}

void jobs_restore(struct jobs *js)
{
        struct store_batch *b = store_batch_new();
        struct job *j, *next;

        jobs_after_recovered(js, b);
        HASH_ITER (hh, js->by_number, j, next) {
                for (uint32_t i = 0; i < j->count; i++)
                        if (job_task_class(j, i) == JOB_TASK_LIVE)
                                restore_task(js->master->queue_framework, j, i, b);
                job_enqueue(j);
        }
        jobs_trim(js, b);
        master_write(js->master, b, NULL, NULL);
}

static void framework_usage(struct framework *f, const char *task_id, const Mete__Api__TaskUsage *usage)
{
        uint32_t index;
        struct job *j;

        if (job_task_find(jobs_of(f), task_id, &j, &index) < 0 || job_task_class(j, index) != JOB_TASK_LIVE)
                return;
        message_free(j->tasks[index]->api->usage);
        j->tasks[index]->api->usage = message_copy(usage);
        if (j->queued && usage->has_cpu_usage_seconds && !j->tasks[index]->suspended_by_user)
                queue_task_progress(j->queue->queue, j->number, index,
                        (uint64_t)(usage->cpu_usage_seconds * 1e9), wall_now());
}

static const Mete__Api__Isolation *framework_isolation(
        struct framework *f, const Mete__V1__TaskInfo *task, const Mete__V1__ExecutorInfo *executor)
{
        uint32_t index;
        struct job *j;

        return job_task_find(jobs_of(f), task->task_id->value, &j, &index) < 0 ? NULL : j->spec->isolation;
}

static void framework_quotas_changed(struct framework *f)
{
        for (struct job_queue *jq = jobs_of(f)->queues->by_name; jq; jq = jq->hh.next) {
                job_queue_refresh_limits(jq);
                job_queue_schedule(jq, /* fresh= */ true);
        }
}

const struct framework_ops job_framework_ops = {
        .in_process = true,
        .offer = jobs_on_offer,
        .rescind = jobs_on_rescind,
        .launching = jobs_on_launching,
        .update = framework_update,
        .adopt = framework_adopt,
        .reported = framework_reported,
        .suspended = jobs_on_suspended,
        .usage = framework_usage,
        .agents_changed = jobs_on_agent,
        .quotas_changed = framework_quotas_changed,
        .isolation = framework_isolation,
};
