#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "lib/base/table.h"
#include "master/queue/queue_internal.h"

static const char *const queue_policy_names[QUEUE_POLICY_MAX] = {
        [QUEUE_FIFO] = "fifo",
        [QUEUE_SJF] = "sjf",
        [QUEUE_SRTF] = "srtf",
        [QUEUE_PRIORITY] = "priority",
        [QUEUE_FAIR] = "fair",
};
DEFINE_STRING_TABLE(queue_policy, enum queue_policy)

static const char *const queue_preemption_names[QUEUE_PREEMPTION_MAX] = {
        [QUEUE_PREEMPT_NONE] = "none",
        [QUEUE_PREEMPT_SUSPEND] = "suspend",
        [QUEUE_PREEMPT_REQUEUE] = "requeue",
};
DEFINE_STRING_TABLE(queue_preemption, enum queue_preemption)

void queue_config_default(struct queue_config *ret)
{
        *ret = (struct queue_config){
                .policy = QUEUE_FIFO,
                .ageing_ns = QUEUE_AGEING_DEFAULT_NS,
                .preemption = QUEUE_PREEMPT_NONE,
                .grace_ns = QUEUE_GRACE_DEFAULT_NS,
                .min_gain_ns = QUEUE_MIN_GAIN_DEFAULT_NS,
                .preemptions_max = QUEUE_PREEMPTIONS_DEFAULT,
                .fair_half_life_ns = QUEUE_HALF_LIFE_DEFAULT_NS,
                .backfill_max = QUEUE_BACKFILL_DEFAULT,
        };
}

struct queue *queue_new(
        const struct queue_config *config, const struct machines *machines, struct estimates *estimates)
{
        struct queue *q = NEW0(struct queue);

        q->config = *config;
        q->machines = machines;
        q->estimates = estimates;
        q->look_again_ns = TIME_NEVER;
        order_init(q);
        places_init(q);
        return q;
}

struct queue *queue_free(struct queue *q)
{
        struct job *j, *next_job;
        struct offer *o, *next_offer;
        struct place *p, *next_place;
        struct user *u, *next_user;

        if (!q)
                return NULL;
        reservations_clear(q);
        HASH_ITER (hh, q->jobs, j, next_job)
                queue_drop(q, j);
        HASH_ITER (hh, q->offers, o, next_offer)
                held_offer_free(q, o);
        HASH_ITER (hh, q->places, p, next_place)
                place_free(q, p);
        HASH_ITER (hh, q->users, u, next_user) {
                HASH_DEL(q->users, u);
                free(u->name);
                free(u);
        }
        hosts_done(q);
        free(q->reservations);
        free(q->limits);
        free(q);
        return NULL;
}

void queue_configure(struct queue *q, const struct queue_config *config)
{
        struct run_name *n, *next_name;
        struct job *j, *next;

        reservations_clear(q);
        HASH_ITER (hh, q->jobs, j, next)
                if (j->where == JOB_ORDERED)
                        order_remove(q, j);
        q->config = *config;
        q->look_again_ns = TIME_NEVER;
        HASH_ITER (hh, q->run_names, n, next_name)
                run_name_learn(q, n);
        HASH_ITER (hh, q->jobs, j, next) {
                j->aged = j->aged && config->ageing_ns > 0;
                queue_job_changed(q, j);
        }
}

const struct queue_config *queue_get_config(const struct queue *q)
{
        return &q->config;
}

/* ---- jobs ---- */

struct job *queue_job_find(const struct queue *q, uint64_t number)
{
        struct job *j;

        HASH_FIND(hh, q->jobs, &number, sizeof(number), j);
        return j;
}

const struct queue_job *queue_find_job(const struct queue *q, uint64_t number)
{
        struct job *j = queue_job_find(q, number);

        return j ? &j->spec : NULL;
}

uint64_t queue_job_duration(const struct job *j)
{
        return j->spec.duration_ns > 0 ? j->spec.duration_ns : j->name->expected_ns;
}

bool queue_job_is_gang(const struct job *j)
{
        return j->spec.gang && !j->started && j->waiting > 1;
}

uint32_t queue_job_takes(const struct job *j)
{
        uint32_t room = j->spec.parallel_max > 0 ? j->spec.parallel_max - MIN(j->active, j->spec.parallel_max)
                                                 : UINT32_MAX;

        return MIN(j->ready, room);
}

/* Why a job is not considered is told by queue_explain(), in the same order. */
static bool could_run(const struct job *j)
{
        if (j->spec.held || j->unsatisfied > 0 || j->expired || queue_job_takes(j) == 0)
                return false;
        return !queue_job_is_gang(j) || j->delayed_count == 0;
}

static void park(struct queue *q, struct job *j)
{
        if (!j->shape->parked)
                DL_APPEND2(q->parked, j->shape, prev_parked, next_parked);
        DL_APPEND2(j->shape->parked, j, parked_prev, parked_next);
        j->where = JOB_PARKED;
}

static void unpark(struct queue *q, struct job *j)
{
        DL_DELETE2(j->shape->parked, j, parked_prev, parked_next);
        if (!j->shape->parked)
                DL_DELETE2(q->parked, j->shape, prev_parked, next_parked);
        j->where = JOB_NOWHERE;
}

/* Time in which it was held, waited for other jobs or had nothing to start is no waiting that ageing counts. */
static void waiting_since(struct queue *q, struct job *j)
{
        if (j->spec.held || j->unsatisfied > 0 || j->ready == 0) {
                j->since_ns = 0;
                j->aged = false;
        } else if (j->since_ns == 0) {
                j->since_ns = MAX(q->now.ns, j->spec.submitted.ns);
                j->since_ns = MAX(j->since_ns, (uint64_t)1);
        }
}

void queue_job_changed(struct queue *q, struct job *j)
{
        if (j->where == JOB_ORDERED)
                order_remove(q, j);
        else if (j->where == JOB_PARKED)
                unpark(q, j);
        waiting_since(q, j);
        j->expired = j->expired && j->waiting > 0; /* what waits later is given up anew */
        if (could_run(j)) {
                if (j->shape->checked == q->generation && !j->shape->possible)
                        park(q, j);
                else
                        order_insert(q, j);
        }
        wake_update(q, j);
}

struct job *queue_add(struct queue *q, const struct queue_job *job, int *ret_error)
{
        size_t names_before = q->names.count;
        struct quantities need;
        struct job *j;

        assert(job->name && job->user);
        *ret_error =
                queue_job_find(q, job->number) ? -EEXIST : quantities_of_size(&q->names, &job->size, &need);
        if (*ret_error < 0)
                return NULL;
        if (q->names.count != names_before)
                names_changed(q);
        need.of[QUANTITY_PORTS] = job->ports;
        need.of[QUANTITY_CORES] = job->cores;
        j = NEW0(struct job);
        j->spec = *job;
        j->shape = shape_get(q, job, &need);
        j->name = run_name_get(q, user_get(q, job->user), job->name);
        j->name->user->jobs++;
        if (job->duration_ns == 0)
                DL_APPEND2(j->name->jobs, j, name_prev, name_next);
        j->spec.user = j->name->user->name;
        j->spec.name = j->name->name;
        j->spec.size = j->shape->size;
        j->spec.constraints = j->shape->key.set->constraints;
        j->spec.spread_by = xstrdup(job->spread_by);
        j->spec.after =
                job->after_count > 0 ? xmemdup(job->after, job->after_count * sizeof(*job->after)) : NULL;
        for (size_t i = 0; i < job->after_count; i++)
                j->unsatisfied += !job->after[i].satisfied;
        HASH_ADD(hh, q->jobs, spec.number, sizeof(j->spec.number), j);
        return j;
}

int queue_add_job(struct queue *q, const struct queue_job *job)
{
        int r;

        (void)queue_add(q, job, &r);
        return r;
}

static void set_waiting(struct queue *q, struct job *j, uint32_t waiting)
{
        q->jobs_waiting += (waiting > 0) - (j->waiting > 0);
        q->waiting += waiting;
        q->waiting -= j->waiting;
        j->name->user->waiting += waiting;
        j->name->user->waiting -= j->waiting;
        j->waiting = waiting;
}

void queue_drop(struct queue *q, struct job *j)
{
        struct user *user;

        while (j->runs)
                run_free(q, j->runs);
        set_waiting(q, j, 0);
        j->ready = j->delayed_count = 0;
        queue_job_changed(q, j);
        if (q->head == j->spec.number)
                q->head = 0;
        HASH_DEL(q->jobs, j);
        if (j->spec.duration_ns == 0) {
                if (j->name->rekey == j)
                        j->name->rekey = j->name_next;
                DL_DELETE2(j->name->jobs, j, name_prev, name_next);
        }
        user = j->name->user;
        run_name_unref(q, j->name);
        user_release(q, user);
        shape_unref(q, j->shape);
        free((void *)j->spec.after);
        free((void *)j->spec.spread_by);
        free(j->spans);
        free(j->delayed);
        free(j);
}

void queue_remove_job(struct queue *q, uint64_t number)
{
        struct job *j = queue_job_find(q, number);

        if (j)
                queue_drop(q, j);
}

void queue_hold_job(struct queue *q, uint64_t number, bool held)
{
        struct job *j = queue_job_find(q, number);

        if (!j || j->spec.held == held)
                return;
        j->spec.held = held;
        queue_job_changed(q, j);
}

void queue_satisfy(struct queue *q, uint64_t number, uint64_t dependency)
{
        struct job *j = queue_job_find(q, number);

        for (size_t i = 0; j && i < j->spec.after_count; i++) {
                struct queue_dependency *d = (struct queue_dependency *)&j->spec.after[i]; /* our own copy */

                if (d->job != dependency || d->satisfied)
                        continue;
                d->satisfied = true;
                j->unsatisfied--;
                queue_job_changed(q, j);
        }
}

/* ---- which tasks wait ---- */

/* The first span that ends behind index. */
static uint32_t span_place(const struct job *j, uint32_t index)
{
        uint32_t low = 0, high = j->span_count;

        while (low < high) {
                uint32_t middle = low + (high - low) / 2;

                if (j->spans[middle].end <= index)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

static void span_insert(struct job *j, uint32_t at, struct span s)
{
        if (j->span_count == j->span_capacity) {
                j->span_capacity = MAX(j->span_capacity * 2, 1u);
                j->spans = xrealloc(j->spans, j->span_capacity * sizeof(*j->spans));
        }
        memmove(j->spans + at + 1, j->spans + at, (j->span_count - at) * sizeof(*j->spans));
        j->spans[at] = s;
        j->span_count++;
}

static void span_delete(struct job *j, uint32_t at)
{
        memmove(j->spans + at, j->spans + at + 1, (j->span_count - at - 1) * sizeof(*j->spans));
        j->span_count--;
}

/* None of [begin, end) is in a span. */
static void spans_add(struct job *j, uint32_t begin, uint32_t end)
{
        uint32_t at = span_place(j, begin);
        bool joins_before = at > 0 && j->spans[at - 1].end == begin;
        bool joins_behind = at < j->span_count && j->spans[at].begin == end;

        j->ready += end - begin;
        if (joins_before && joins_behind) {
                j->spans[at - 1].end = j->spans[at].end;
                span_delete(j, at);
        } else if (joins_before) {
                j->spans[at - 1].end = end;
        } else if (joins_behind) {
                j->spans[at].begin = begin;
        } else {
                span_insert(j, at, (struct span){begin, end});
        }
}

static bool spans_remove(struct job *j, uint32_t index)
{
        uint32_t at = span_place(j, index);

        if (at == j->span_count || j->spans[at].begin > index)
                return false;
        struct span s = j->spans[at];

        if (s.begin == index && s.end == index + 1) {
                span_delete(j, at);
        } else if (s.begin == index) {
                j->spans[at].begin++;
        } else if (s.end == index + 1) {
                j->spans[at].end--;
        } else {
                j->spans[at].end = index;
                span_insert(j, at + 1, (struct span){index + 1, s.end});
        }
        j->ready--;
        return true;
}

static void delayed_add(struct job *j, struct delayed d)
{
        uint32_t at = j->delayed_count;

        if (j->delayed_count == j->delayed_capacity) {
                j->delayed_capacity = MAX(j->delayed_capacity * 2, 1u);
                j->delayed = xrealloc(j->delayed, j->delayed_capacity * sizeof(*j->delayed));
        }
        while (at > 0 && j->delayed[at - 1].until_ns > d.until_ns)
                at--;
        memmove(j->delayed + at + 1, j->delayed + at, (j->delayed_count - at) * sizeof(*j->delayed));
        j->delayed[at] = d;
        j->delayed_count++;
}

static void delayed_delete(struct job *j, uint32_t at)
{
        memmove(j->delayed + at, j->delayed + at + 1, (j->delayed_count - at - 1) * sizeof(*j->delayed));
        j->delayed_count--;
}

static bool delayed_remove(struct job *j, uint32_t index)
{
        for (uint32_t i = 0; i < j->delayed_count; i++) {
                struct delayed d = j->delayed[i];

                if (index < d.begin || index >= d.end)
                        continue;
                delayed_delete(j, i);
                if (d.begin < index)
                        delayed_add(j, (struct delayed){d.begin, index, d.until_ns});
                if (index + 1 < d.end)
                        delayed_add(j, (struct delayed){index + 1, d.end, d.until_ns});
                return true;
        }
        return false;
}

void queue_job_end_delays(struct queue *q, struct job *j)
{
        while (j->delayed_count > 0 && j->delayed[0].until_ns <= q->now.ns) {
                struct delayed d = j->delayed[0];

                delayed_delete(j, 0);
                spans_add(j, d.begin, d.end);
        }
}

bool queue_job_unwait(struct queue *q, struct job *j, uint32_t index)
{
        if (!spans_remove(j, index) && !delayed_remove(j, index))
                return false;
        set_waiting(q, j, j->waiting - 1);
        return true;
}

uint32_t queue_job_take_first(struct queue *q, struct job *j)
{
        uint32_t index = j->spans[0].begin;

        (void)queue_job_unwait(q, j, index);
        return index;
}

void queue_tasks_wait(
        struct queue *q, uint64_t number, uint32_t begin, uint32_t end, struct wall_time not_before)
{
        struct job *j = queue_job_find(q, number);
        uint32_t added = 0;

        if (!j || begin >= end || end > j->spec.count)
                return;
        /* What waits already starts anew: it must not be counted twice. */
        if (j->waiting > 0)
                for (uint32_t i = begin; i < end; i++)
                        (void)queue_job_unwait(q, j, i);
        added = end - begin;
        if (not_before.ns > q->now.ns)
                delayed_add(j, (struct delayed){begin, end, not_before.ns});
        else
                spans_add(j, begin, end);
        set_waiting(q, j, j->waiting + added);
        queue_job_changed(q, j);
}

bool queue_task_forget(struct queue *q, uint64_t number, uint32_t index)
{
        struct job *j = queue_job_find(q, number);

        if (!j || !queue_job_unwait(q, j, index))
                return false;
        queue_job_changed(q, j);
        return true;
}

/* ---- counts ---- */

bool queue_wants_offers(const struct queue *q)
{
        /* Jobs for which no machine is large enough ask again when the machines have changed. */
        return q->jobs_ordered > 0 || q->suspended ||
               (q->parked && q->machines_generation != machines_generation(q->machines));
}

size_t queue_jobs_waiting(const struct queue *q)
{
        return q->jobs_waiting;
}

size_t queue_tasks_waiting(const struct queue *q)
{
        return q->waiting;
}

uint32_t queue_job_waiting(const struct queue *q, uint64_t number)
{
        struct job *j = queue_job_find(q, number);

        return j ? j->waiting : 0;
}
