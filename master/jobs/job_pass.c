/*
 * Offers go to the queue of their role and are kept there until one of its decisions names them. Decisions are made in passes: one for
 * a burst of events, and never so many that passes take more than a part of the master's time.
 */

#include <stdlib.h>
#include <string.h>

#include "master/jobs/jobs.h"

#define PASS_SHARE 4 /* between two passes lies at least so many times what the last one took ... */
#define PASS_GAP_MAX_NS (100 * NSEC_PER_MSEC) /* ... up to this */
#define WAKEUP_MAX_NS (3600 * NSEC_PER_SEC)
#define REFUSE_NS (5 * NSEC_PER_SEC)
#define STILL_THERE_SECONDS 1.0

/* ---- offers ---- */

/* "<master>-O<number>": the number is unique in the master's life. */
static uint64_t offer_number(const struct offer *o)
{
        const char *at = strrchr(o->id, 'O');
        uint64_t number = 0;

        assert(at && parse_u64(at + 1, UINT64_MAX, &number) >= 0);
        return number;
}

static struct offer *offer_of_number(const struct master *m, uint64_t number)
{
        _cleanup_free_ char *id = xasprintf("%s-O%ju", m->id, (uintmax_t)number);

        return offer_find(m, id);
}

void jobs_on_offer(struct framework *f, struct offer *o)
{
        struct jobs *js = f->userdata;
        struct job_queue *jq = job_queue_of_role(js->queues, o->role);
        const char *id = o->id;

        if (!jq) {
                offers_decline(f, &id, 1, REFUSE_NS);
                return;
        }
        queue_add_offer(jq->queue, offer_number(o), o->agent->id, &o->resources);
        job_queue_schedule(jq, /* fresh= */ false);
}

void jobs_on_rescind(struct framework *f, struct offer *o)
{
        struct jobs *js = f->userdata;
        struct job_queue *jq = job_queue_of_role(js->queues, o->role);

        if (!jq)
                return;
        queue_remove_offer(jq->queue, offer_number(o));
        job_queue_schedule(jq, /* fresh= */ false);
}

/* ---- decisions ---- */

/* The offer was taken back in the same moment: as if nothing had been decided. */
static void undo(struct job_queue *jq, const struct queue_decision *d)
{
        struct job *j = job_by_number(jq->all->master->jobs, d->job);
        _cleanup_resources_ struct resources kept = {};
        const struct job_task *t;

        if (!j || !j->queued)
                return;
        if (d->kind == QUEUE_LAUNCH) {
                job_enqueue_task(j, d->index);
                return;
        }
        t = j->tasks[d->index];
        job_suspended_keeps(t && t->booked ? t->booked : &j->size, &kept);
        queue_task_suspended(jq->queue, d->job, d->index, &kept, wall_now());
}

/* What the offers of one decision hold together; NULL: one of them is gone, and the others go back. */
static struct offer *take_offers(struct framework *f, const struct queue_decision *d)
{
        struct offer *all[1 + QUEUE_MERGED_MAX];
        bool complete = true;
        size_t n = 0;

        for (uint32_t i = 0; i <= d->merged_count; i++) {
                struct offer *o = offer_of_number(f->master, i == 0 ? d->offer : d->merged[i - 1]);

                if (o)
                        all[n++] = o;
                else
                        complete = false;
        }
        if (complete)
                return offers_merge(all, n);
        for (size_t i = 0; i < n; i++) {
                const char *id = all[i]->id;

                offers_decline(f, &id, 1, 0);
        }
        return NULL;
}

static bool resume_from(struct offer *o, struct job_queue *jq, const struct queue_decision *d)
{
        struct jobs *js = jq->all->master->jobs;
        struct job *j = job_by_number(js, d->job);
        struct task *live = j ? job_task_live(j, d->index) : NULL;

        if (!live || live->agent != o->agent || offer_move_to_task(o, &d->resources, live) < 0)
                return false;
        job_resume_task(j, d->index);
        return true;
}

/* Its last life is not over yet: an agent that was given up brought it back, and was told to kill it. */
static bool is_still_there(const struct job_queue *jq, struct job *j, uint32_t index)
{
        _cleanup_free_ char *id = xasprintf("%s.%u", j->id, index);

        if (!task_find(jq->all->master->queue_framework, id))
                return false;
        queue_tasks_wait(jq->queue, j->number, index, index + 1,
                (struct wall_time){wall_now().ns + (uint64_t)(STILL_THERE_SECONDS * 1e9)});
        return true;
}

static void launch_from(struct framework *f, struct offer *o, Mete__V1__TaskInfo **infos, size_t count)
{
        Mete__V1__Offer__Operation op = METE__V1__OFFER__OPERATION__INIT, *ops[] = {&op};
        Mete__V1__Offer__Operation__Launch launch = METE__V1__OFFER__OPERATION__LAUNCH__INIT;
        const char *id = o->id;

        launch.task_infos = infos;
        launch.n_task_infos = count;
        op.has_type = true;
        op.type = METE__V1__OFFER__OPERATION__TYPE__LAUNCH;
        op.launch = &launch;
        offers_accept(f, &id, 1, ops, count > 0 ? 1 : 0, /* refuse_ns= */ 0);
        for (size_t i = 0; i < count; i++)
                message_free(infos[i]);
}

/* All launches and resumptions that name one offer. */
static void use_offer(struct job_queue *jq, const struct queue_decision *items, size_t count)
{
        struct framework *f = jq->all->master->queue_framework;
        struct offer *o = take_offers(f, items);
        _cleanup_free_ Mete__V1__TaskInfo **infos = xcalloc(count, sizeof(*infos));
        size_t n = 0;

        for (size_t i = 0; i < count; i++) {
                const struct queue_decision *d = &items[i];
                struct job *j = job_by_number(jq->all->master->jobs, d->job);

                if (!o || !j || !j->queued || (d->kind == QUEUE_RESUME && !resume_from(o, jq, d)))
                        undo(jq, d);
                else if (d->kind == QUEUE_LAUNCH && !is_still_there(jq, j, d->index))
                        infos[n++] = job_task_info(j, d->index, o->agent->id, o->role, &d->resources);
        }
        if (o)
                launch_from(f, o, infos, n);
}

static void carry_out(struct job_queue *jq, const struct queue_decision *d)
{
        struct framework *f = jq->all->master->queue_framework;
        struct job *j = job_by_number(f->master->jobs, d->job);
        struct offer *o;
        struct store_batch *b;

        switch (d->kind) {
        case QUEUE_DECLINE:
                o = offer_of_number(f->master, d->offer);
                if (o)
                        offers_decline(f, &(const char *){o->id}, 1, d->refuse_ns);
                break;
        case QUEUE_SUSPEND:
                if (j)
                        job_suspend_task(j, d->index, d->for_job);
                break;
        case QUEUE_REQUEUE:
                if (j)
                        job_requeue_task(j, d->index, d->for_job);
                break;
        case QUEUE_EXPIRE:
                if (!j)
                        break;
                b = store_batch_new();
                job_fail_waiting(j, METE__V1__TASK_STATUS__REASON__REASON_TASK_KILLED_DURING_LAUNCH,
                        "its deadline passed while it waited", b);
                jobs_trim(f->master->jobs, b);
                master_write(f->master, b, NULL, NULL);
                break;
        default:
                break;
        }
}

static bool names_offer(const struct queue_decision *d)
{
        return d->kind == QUEUE_LAUNCH || d->kind == QUEUE_RESUME;
}

static void carry_out_all(struct job_queue *jq, const struct queue_decisions *all)
{
        size_t i = 0;

        while (i < all->count) {
                const struct queue_decision *d = &all->items[i];
                size_t n = 1;

                if (!names_offer(d)) {
                        carry_out(jq, d);
                        i++;
                        continue;
                }
                while (i + n < all->count && names_offer(&d[n]) && d[n].offer == d->offer)
                        n++;
                use_offer(jq, d, n);
                i += n;
        }
}

/* ---- passes ---- */

/*
 * Suppressed while nobody in the queue could use an offer. Reviving also ends the filters of what was declined. Returns whether more
 * may be offered than before.
 */
static bool ask_for_offers(struct job_queue *jq)
{
        struct master *m = jq->all->master;
        bool wanted = queue_wants_offers(jq->queue);
        bool revived = wanted && (!jq->wanted || jq->revive);

        if (revived) {
                (void)allocator_revive(m->allocator, m->queue_framework->id, jq->role);
                offers_schedule(m);
        }
        if (!wanted && jq->wanted)
                (void)allocator_suppress(m->allocator, m->queue_framework->id, jq->role);
        jq->wanted = wanted;
        jq->revive = false;
        return revived;
}

static void pass(struct job_queue *jq, struct wall_time now)
{
        struct queue_decisions decisions = {};

        /*
         * What is offered in a moment is waited for: of a machine on which CPU became free, the memory may be offered only now, and a
         * decision without it would be another one. But only once: events may follow each other for ever.
         */
        if ((ask_for_offers(jq) || jq->freed) && !jq->waited) {
                jq->waited = jq->due = true;
                return;
        }
        jq->due = jq->waited = jq->freed = false;
        queue_schedule(jq->queue, now, &decisions);
        carry_out_all(jq, &decisions);
        jq->due |= decisions.more;
        queue_decisions_done(&decisions);
        (void)ask_for_offers(jq);
}

static uint64_t until_wakeup(const struct job_queue *jq, struct wall_time now)
{
        struct wall_time at;

        if (!queue_next_wakeup(jq->queue, &at))
                return UINT64_MAX;
        return at.ns > now.ns ? at.ns - now.ns : 0;
}

static void arm(struct jobs *js)
{
        uint64_t gap = MIN(js->pass_ns * PASS_SHARE, PASS_GAP_MAX_NS);
        uint64_t since = mono_elapsed_ns(js->pass_ended, mono_now());

        if (js->pass_soon || js->master->stopping)
                return;
        js->pass_soon = true;
        loop_timer_arm(js->pass, since < gap ? gap - since : 0, /* period_ns= */ 0);
}

void jobs_on_pass(struct loop_timer *t, void *userdata)
{
        struct jobs *js = userdata;
        struct mono_time begun = mono_now();
        struct wall_time now = wall_now();
        uint64_t next = UINT64_MAX;
        bool due = false;

        js->pass_soon = false;
        if (js->master->stopping || !js->master->leading)
                return;
        for (struct job_queue *jq = js->queues->by_name; jq; jq = jq->hh.next) {
                if (jq->due || until_wakeup(jq, now) == 0)
                        pass(jq, now);
                due |= jq->due;
                next = MIN(next, until_wakeup(jq, now));
        }
        js->pass_ended = mono_now();
        js->pass_ns = mono_elapsed_ns(begun, js->pass_ended);
        if (due)
                arm(js);
        /* The wall clock may step: what it says is looked at again now and then. */
        else if (next < UINT64_MAX)
                loop_timer_arm(js->pass, MIN(MAX(next, NSEC_PER_MSEC), WAKEUP_MAX_NS), /* period_ns= */ 0);
}

void job_queue_schedule(struct job_queue *jq, bool fresh)
{
        jq->due = true;
        jq->revive |= fresh;
        if (jq->all->master->jobs)
                arm(jq->all->master->jobs);
}

void jobs_schedule_all(struct jobs *js)
{
        for (struct job_queue *jq = js->queues->by_name; jq; jq = jq->hh.next)
                job_queue_schedule(jq, /* fresh= */ true);
}
