#include <stdlib.h>

#include "master/jobs/jobs.h"

/* ---- bookings ---- */

static bool is_kept(const struct resource *entry, const void *userdata)
{
        return !str_equal(entry->name, "cpus");
}

static bool is_cores(const struct resource *entry, const void *userdata)
{
        return str_equal(entry->name, "cores");
}

void job_suspended_keeps(const struct resources *booked, struct resources *ret)
{
        _cleanup_resources_ struct resources cores = {};

        resources_filter(booked, is_cores, NULL, &cores);
        if (resources_empty(&cores))
                resources_filter(booked, is_kept, NULL, ret);
        else
                resources_copy(booked, ret); /* nobody else may run on these cores */
}

static void give_up(struct task *live)
{
        _cleanup_resources_ struct resources keeps = {}, part = {};

        job_suspended_keeps(&live->resources, &keeps);
        resources_copy(&live->resources, &part);
        if (resources_subtract(&part, &keeps) >= 0 && !resources_empty(&part))
                offer_from_task(live, &part);
}

/* ---- to disk, then to the agents ---- */

/* What is wanted of some tasks, on its way to disk. */
struct suspension {
        struct master *master;
        uint64_t job;
        store_done_handler done; /* may be NULL */
        void *userdata;
        size_t count;
        struct {
                uint32_t index;
                uint64_t sequence;
        } tasks[];
};

static struct suspension *suspension_new(struct job *j, size_t max, store_done_handler done, void *userdata)
{
        struct suspension *s = xcalloc(1, sizeof(*s) + max * sizeof(s->tasks[0]));

        *s = (struct suspension){j->master, j->number, done, userdata, 0};
        return s;
}

static void suspension_add(struct suspension *s, const struct job *j, uint32_t index)
{
        s->tasks[s->count].index = index;
        s->tasks[s->count].sequence = j->tasks[index]->suspend_sequence;
        s->count++;
}

static void send_now(const struct job *j, uint32_t index, const struct task *live)
{
        const struct job_task *t = j->tasks[index];

        if (live->sent)
                (void)agent_send_suspend(
                        live->agent, live->framework->id, live->id, t->suspend_wanted, t->suspend_sequence);
}

static void suspension_stored(int result, void *userdata)
{
        struct suspension *s = userdata;
        struct job *j = job_by_number(s->master->jobs, s->job);

        for (size_t i = 0; i < s->count && j && result >= 0 && !s->master->stopping; i++) {
                struct task *live = job_task_live(j, s->tasks[i].index);

                /* Another one is on its way to disk: that will be sent. */
                if (live && j->tasks[s->tasks[i].index]->suspend_sequence == s->tasks[i].sequence)
                        send_now(j, s->tasks[i].index, live);
        }
        if (s->done)
                s->done(result, s->userdata);
        free(s);
}

/* ---- wanting ---- */

static void want(struct job *j, uint32_t index, bool suspended, struct store_batch *b)
{
        enum job_task_class before = job_task_begin(j, index);
        struct job_task *t = j->tasks[index];

        if (t->suspend_wanted != suspended)
                t->suspend_sequence++;
        t->suspend_wanted = suspended;
        job_task_end(j, index, before, b);
}

void job_suspend_task(struct job *j, uint32_t index, uint64_t for_job)
{
        struct store_batch *b;
        struct suspension *s;
        struct job_task *t;

        if (job_task_class(j, index) != JOB_TASK_LIVE || j->tasks[index]->suspend_wanted)
                return;
        t = j->tasks[index];
        log_info("task %s is suspended for job %ju", t->api->task_id, (uintmax_t)for_job);
        t->api->has_preemptions = true;
        t->api->preemptions++;
        b = store_batch_new();
        want(j, index, true, b);
        s = suspension_new(j, 1, NULL, NULL);
        suspension_add(s, j, index);
        master_write(j->master, b, suspension_stored, s);
}

void job_resume_task(struct job *j, uint32_t index)
{
        struct store_batch *b = store_batch_new();
        struct suspension *s = suspension_new(j, 1, NULL, NULL);

        want(j, index, false, b);
        suspension_add(s, j, index);
        master_write(j->master, b, suspension_stored, s);
}

/* ---- what became of it ---- */

static void froze(struct job_task *t, double now)
{
        t->ran_seconds = job_task_active_seconds(t, now);
        t->changed = now;
        t->api->has_suspended = t->api->suspended = true;
}

static void thawed(struct job_task *t, double now)
{
        t->api->has_suspended_seconds = true;
        t->api->suspended_seconds += MAX(now - t->changed, 0.0);
        t->changed = now;
        t->api->suspended = false;
}

/* As frozen as it was asked for, or still, because it cannot be thawed: the queue may try again. */
static void take_frozen(struct job *j, uint32_t index, struct task *live)
{
        struct job_task *t = j->tasks[index];
        _cleanup_resources_ struct resources keeps = {};

        t->suspend_wanted = true;
        if (!t->api->suspended)
                froze(t, wall_seconds_now());
        if (j->queued && !t->suspended_by_user) {
                job_suspended_keeps(t->booked ? t->booked : &j->size, &keeps);
                queue_task_suspended(j->queue->queue, j->number, index, &keeps, wall_now());
        }
        give_up(live); /* the queue knows by now whose they were */
        job_queue_schedule(j->queue, /* fresh= */ true);
}

/* It could not be frozen: as if nobody had asked, but it counts as a preemption, so that this does not go on for ever. */
static void take_refused(struct job *j, uint32_t index)
{
        struct job_task *t = j->tasks[index];

        t->suspend_wanted = t->suspended_by_user = false;
        if (j->queued)
                job_enter_live(j, index);
        job_queue_schedule(j->queue, /* fresh= */ false);
}

static void take_thawed(struct job *j, uint32_t index)
{
        struct job_task *t = j->tasks[index];

        thawed(t, wall_seconds_now());
        if (j->queued)
                queue_task_resumed(j->queue->queue, j->number, index, wall_now());
        job_queue_schedule(j->queue, /* fresh= */ false);
}

static void take(struct job *j, uint32_t index, struct task *live, bool frozen)
{
        struct job_task *t = j->tasks[index];

        if (frozen)
                take_frozen(j, index, live);
        else if (t->api->suspended && !t->suspend_wanted)
                take_thawed(j, index);
        else if (t->suspend_wanted && !t->api->suspended)
                take_refused(j, index);
}

void jobs_on_suspended(struct framework *f, struct agent *a, struct task *live,
        const Mete__Agent__Call__Suspended *suspended)
{
        enum job_task_class before;
        struct store_batch *b;
        uint32_t index;
        struct job *j;

        if (job_task_find(f->userdata, live->id, &j, &index) < 0 || job_task_live(j, index) != live ||
                j->tasks[index]->suspend_sequence != suspended->sequence)
                return;
        if (suspended->error)
                log_warning("task %s on agent %s: %s", live->id, a->id, suspended->error);
        b = store_batch_new();
        before = job_task_begin(j, index);
        if (suspended->error && !suspended->suspended)
                set_string(&j->tasks[index]->api->message, suspended->error);
        take(j, index, live, suspended->suspended);
        job_task_end(j, index, before, b);
        master_write(f->master, b, NULL, NULL);
}

void job_suspension_regained(struct job_task *t)
{
        double now = wall_seconds_now();

        t->api->has_suspended_seconds = true;
        t->api->suspended_seconds += MAX(now - t->changed, 0.0);
        t->changed = now;
}

void job_suspension_reported(
        struct job *j, uint32_t index, struct task *live, const Mete__Agent__TaskReport *report)
{
        struct job_task *t = j->tasks[index];
        bool frozen = report->has_suspended && report->suspended;

        if (report->suspend_sequence == t->suspend_sequence && frozen == t->suspend_wanted) {
                take(j, index, live, frozen);
                return;
        }
        if (t->suspend_sequence == 0 && !frozen)
                return;
        /* It did not hear the last one, or did not get round to it. */
        if (report->suspend_sequence >= t->suspend_sequence)
                t->suspend_sequence = report->suspend_sequence + 1;
        send_now(j, index, live);
}

/* ---- by their owners ---- */

static void hold_task(struct job *j, uint32_t index, struct store_batch *b, struct suspension *s)
{
        struct job_task *t = j->tasks[index];

        if (job_task_class(j, index) != JOB_TASK_LIVE || t->suspended_by_user)
                return;
        t->suspended_by_user = true;
        if (j->queued) /* not for the queue to resume */
                queue_task_ended(j->queue->queue, j->number, index, /* ok= */ false, 0, wall_now());
        want(j, index, true, b);
        suspension_add(s, j, index);
}

/* Its cpus went to others: it runs on when the queue has found some. */
static void release_task(struct job *j, uint32_t index, struct store_batch *b)
{
        struct job_task *t = j->tasks[index];
        enum job_task_class before;

        if (job_task_class(j, index) != JOB_TASK_LIVE || !t->suspended_by_user)
                return;
        before = job_task_begin(j, index);
        t->suspended_by_user = false;
        if (j->queued)
                job_enter_live(j, index);
        job_task_end(j, index, before, b);
}

void job_suspend(struct job *j, store_done_handler done, void *userdata)
{
        struct suspension *s = suspension_new(j, j->count, done, userdata);
        struct store_batch *b = store_batch_new();

        if (!job_ended(j)) {
                j->held = true;
                if (j->queued)
                        queue_hold_job(j->queue->queue, j->number, true);
                job_put(j, b);
                events_job(j->master, j);
        }
        for (uint32_t i = 0; i < j->count; i++)
                hold_task(j, i, b, s);
        job_queue_schedule(j->queue, /* fresh= */ false);
        master_write(j->master, b, suspension_stored, s);
}

void job_resume(struct job *j, store_done_handler done, void *userdata)
{
        struct store_batch *b = store_batch_new();

        if (j->held) {
                j->held = false;
                if (j->queued)
                        queue_hold_job(j->queue->queue, j->number, false);
                job_put(j, b);
                events_job(j->master, j);
        }
        for (uint32_t i = 0; i < j->count; i++)
                release_task(j, i, b);
        job_queue_schedule(j->queue, /* fresh= */ true);
        master_write(j->master, b, done, userdata);
}

int job_suspend_one(struct job *j, uint32_t index, store_done_handler done, void *userdata)
{
        struct suspension *s;
        struct store_batch *b;

        if (job_task_class(j, index) != JOB_TASK_LIVE)
                return -EINVAL;
        s = suspension_new(j, 1, done, userdata);
        b = store_batch_new();
        hold_task(j, index, b, s);
        job_queue_schedule(j->queue, /* fresh= */ false);
        master_write(j->master, b, suspension_stored, s);
        return 0;
}

int job_resume_one(struct job *j, uint32_t index, store_done_handler done, void *userdata)
{
        struct store_batch *b;

        if (job_task_class(j, index) != JOB_TASK_LIVE)
                return -EINVAL;
        b = store_batch_new();
        release_task(j, index, b);
        job_queue_schedule(j->queue, /* fresh= */ true);
        master_write(j->master, b, done, userdata);
        return 0;
}
