/* Tasks that run: what they hold on which machine, and when they are expected to end. */
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "master/queue/queue_internal.h"

#define PROGRESS_MIN 0.05 /* below this share of the usual CPU time the start-up still shows */

struct run *run_find(const struct queue *q, struct job *j, uint32_t index)
{
        struct run_key key = {j, index};
        struct run *r;

        HASH_FIND(hh, q->runs, &key, sizeof(key), r);
        return r;
}

uint64_t run_active_ns(const struct run *r, uint64_t now_ns)
{
        if (r->state == RUN_SUSPENDED || now_ns <= r->started_ns)
                return r->ran_ns;
        return r->ran_ns + (now_ns - r->started_ns);
}

static uint64_t expected_end(const struct run *r)
{
        uint64_t duration = queue_job_duration(r->key.job);

        if (duration == 0 || r->state == RUN_SUSPENDED)
                return TIME_NEVER;
        return r->started_ns + (duration > r->ran_ns ? duration - r->ran_ns : 0);
}

/* Longer than was expected: as those that lasted as long did. Nothing known: for ever, as far as anybody can tell. */
static uint64_t residual(const struct queue *q, const struct run *r, uint64_t now_ns)
{
        const struct job *j = r->key.job;
        uint64_t more = estimates_residual(q->estimates, j->spec.user, j->spec.name, run_active_ns(r, now_ns),
                (struct wall_time){now_ns});

        return more > 0 ? more : TIME_NEVER;
}

uint64_t run_remaining_ns(const struct queue *q, const struct run *r, uint64_t now_ns)
{
        uint64_t duration = queue_job_duration(r->key.job);

        if (r->state == RUN_ACTIVE && r->end_ns > now_ns)
                return r->end_ns == TIME_NEVER ? TIME_NEVER : r->end_ns - now_ns;
        if (r->state == RUN_SUSPENDED && duration > r->ran_ns)
                return duration - r->ran_ns;
        return residual(q, r, now_ns);
}

/* ---- by expected end, on each machine ---- */

static void runs_put(struct place *p, struct run *r)
{
        uint32_t at = p->run_count - 1;

        for (; at > 0 && p->runs[at - 1]->end_ns > r->end_ns; at--) {
                p->runs[at] = p->runs[at - 1];
                p->runs[at]->at = at;
        }
        p->runs[at] = r;
        r->at = at;
}

static void runs_take(struct place *p, const struct run *r)
{
        for (uint32_t i = r->at; i + 1 < p->run_count; i++) {
                p->runs[i] = p->runs[i + 1];
                p->runs[i]->at = i;
        }
}

static void runs_move(struct run *r, uint64_t end_ns)
{
        if (r->end_ns == end_ns)
                return;
        runs_take(r->place, r);
        r->end_ns = end_ns;
        runs_put(r->place, r);
}

static void runs_add(struct place *p, struct run *r)
{
        if (p->run_count == p->run_capacity) {
                p->run_capacity = MAX(p->run_capacity * 2, 4u);
                p->runs = xrealloc(p->runs, p->run_capacity * sizeof(struct run *));
        }
        p->run_count++;
        runs_put(p, r);
}

void place_refresh_ends(struct queue *q, struct place *p, uint64_t now_ns)
{
        for (uint32_t looked = p->run_count; looked > 0 && p->runs[0]->end_ns <= now_ns; looked--) {
                uint64_t more = residual(q, p->runs[0], now_ns);

                runs_move(p->runs[0], more != TIME_NEVER ? now_ns + more : TIME_NEVER);
        }
}

/* ---- life ---- */

/* What it holds changes: on its machine, and for its user. */
static void set_held(struct queue *q, struct run *r, const struct resources *held, uint64_t now_ns)
{
        struct user *u = r->key.job->name->user;

        user_advance(q, u, now_ns);
        quantities_subtract(&r->place->held, &r->held);
        u->milli_cpus -= r->held.of[QUANTITY_CPUS];
        quantities_available(&q->names, held, &r->held);
        quantities_add(&r->place->held, &r->held);
        u->milli_cpus += r->held.of[QUANTITY_CPUS];
}

struct run *run_new(struct queue *q, struct job *j, uint32_t index, struct place *p,
        const struct resources *resources, uint64_t started_ns)
{
        struct run *r = NEW0(struct run);

        r->key = (struct run_key){j, index};
        r->place = p;
        r->started_ns = started_ns;
        r->aged = j->aged;
        r->end_ns = expected_end(r);
        resources_copy(resources, &r->resources);
        set_held(q, r, resources, started_ns);
        runs_add(p, r);
        HASH_ADD(hh, q->runs, key, sizeof(r->key), r);
        DL_APPEND2(j->runs, r, job_prev, job_next);
        j->active++;
        j->started = true;
        j->name->user->running++;
        return r;
}

static void leave_suspension(struct queue *q, struct run *r)
{
        DL_DELETE2(q->suspended, r, suspended_prev, suspended_next);
        r->place->suspended--;
        r->state = RUN_ACTIVE;
        resources_done(&r->missing);
        r->need = (struct quantities){};
}

void run_stop_giving_way(struct queue *q, struct run *r)
{
        struct job *j = r->for_job ? queue_job_find(q, r->for_job) : NULL;

        if (j && r->covers && --j->preempting == 0)
                j->preempt_place = NULL;
        r->giving_way = r->covers = false;
        r->for_job = 0;
}

void run_free(struct queue *q, struct run *r)
{
        static const struct resources nothing;
        struct job *j = r->key.job;

        run_stop_giving_way(q, r);
        if (r->state == RUN_SUSPENDED)
                leave_suspension(q, r);
        set_held(q, r, &nothing, q->now.ns);
        runs_take(r->place, r);
        r->place->run_count--;
        for (size_t i = 0; i < q->reservation_count; i++)
                if (q->reservations[i]->run == r)
                        q->reservations[i]->run = NULL;
        HASH_DEL(q->runs, r);
        DL_DELETE2(j->runs, r, job_prev, job_next);
        j->active--;
        j->name->user->running--;
        resources_done(&r->resources);
        free(r);
}

static void saw_time(struct queue *q, struct wall_time now)
{
        q->now.ns = MAX(q->now.ns, now.ns);
}

void queue_task_runs(struct queue *q, uint64_t number, uint32_t index, const struct queue_run *run)
{
        struct job *j = queue_job_find(q, number);
        struct run *r = j ? run_find(q, j, index) : NULL;
        uint32_t preemptions = r ? r->preemptions : 0;
        bool aged = r && r->aged;

        if (!j || index >= j->spec.count)
                return;
        /* It was told more than once, or otherwise than expected: what is told last holds. */
        if (r)
                run_free(q, r);
        (void)queue_job_unwait(q, j, index);
        r = run_new(q, j, index, place_get(q, run->agent), run->resources, run->started.ns);
        r->aged |= aged;
        r->ran_ns = run->ran_ns;
        r->preemptions = MAX(run->preemptions, preemptions);
        runs_move(r, expected_end(r));
        queue_job_changed(q, j);
}

static struct run *find(const struct queue *q, uint64_t number, uint32_t index)
{
        struct job *j = queue_job_find(q, number);

        return j ? run_find(q, j, index) : NULL;
}

void queue_task_progress(
        struct queue *q, uint64_t number, uint32_t index, uint64_t cpu_ns, struct wall_time now)
{
        struct run *r = find(q, number, index);
        struct estimate known;
        double share;

        saw_time(q, now);
        if (!r || r->state == RUN_SUSPENDED || cpu_ns <= r->cpu_ns)
                return;
        r->cpu_ns = cpu_ns;
        if (!estimates_get(q->estimates, r->key.job->spec.user, r->key.job->spec.name, now, &known) ||
                known.cpu_ns == 0)
                return;
        share = (double)cpu_ns / (double)known.cpu_ns;
        if (share < PROGRESS_MIN || share >= 1)
                return;
        runs_move(r, now.ns + (uint64_t)((double)known.expected_ns * (1 - share)));
}

void queue_task_suspended(
        struct queue *q, uint64_t number, uint32_t index, const struct resources *kept, struct wall_time now)
{
        struct run *r = find(q, number, index);
        bool asked;

        saw_time(q, now);
        if (!r)
                return;
        asked = r->giving_way;
        run_stop_giving_way(q, r);
        if (r->state == RUN_ACTIVE) {
                r->ran_ns = run_active_ns(r, now.ns);
                r->preemptions += asked;
                r->state = RUN_SUSPENDED;
                r->suspended_ns = now.ns;
                r->place->suspended++;
                DL_APPEND2(q->suspended, r, suspended_prev, suspended_next);
                runs_move(r, TIME_NEVER);
        }
        set_held(q, r, kept, now.ns);
        resources_done(&r->missing);
        resources_copy(&r->resources, &r->missing);
        if (resources_subtract(&r->missing, kept) < 0) {
                /* More is kept than it ran with: it lacks nothing. */
                resources_done(&r->missing);
        }
        quantities_available(&q->names, &r->missing, &r->need);
}

void run_resume(struct queue *q, struct run *r, uint64_t now_ns)
{
        leave_suspension(q, r);
        r->started_ns = now_ns;
        set_held(q, r, &r->resources, now_ns);
        runs_move(r, expected_end(r));
}

void queue_task_resumed(struct queue *q, uint64_t number, uint32_t index, struct wall_time now)
{
        struct run *r = find(q, number, index);

        saw_time(q, now);
        if (!r)
                return;
        run_stop_giving_way(q, r);
        if (r->state == RUN_SUSPENDED) {
                run_resume(q, r, now.ns);
        } else if (r->resuming) {
                r->started_ns = now.ns;
                runs_move(r, expected_end(r));
        }
        r->resuming = false;
}

void queue_task_ended(
        struct queue *q, uint64_t number, uint32_t index, bool ok, uint64_t cpu_ns, struct wall_time now)
{
        struct job *j = queue_job_find(q, number);
        struct run *r = j ? run_find(q, j, index) : NULL;

        saw_time(q, now);
        if (!j)
                return;
        if (r) {
                uint64_t ran_ns = run_active_ns(r, now.ns);

                run_free(q, r);
                if (ok && ran_ns > 0) {
                        estimates_add(q->estimates, j->spec.user, j->spec.name, ran_ns, cpu_ns, now);
                        run_name_learn(q, j->name);
                }
        }
        (void)queue_job_unwait(q, j, index);
        queue_job_changed(q, j);
}
