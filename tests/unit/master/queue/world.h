/*
 * A cluster in virtual time around one queue, without processes: machines, offers of what is free on them, tasks that run as long as
 * the test says. It keeps its own books: what the queue decides must be within what it was offered, at every step.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "master/queue/queue.h"

#define WORLD_TASKS_MAX 200000
#define SECOND NSEC_PER_SEC
#define T0 (UINT64_C(1700000000) * NSEC_PER_SEC) /* virtual times count from here */

struct world_machine {
        char id[32];
        struct resources total, used, offered;
        struct {
                uint64_t number;
                struct resources resources;
        } offers[8];
        size_t offer_count;
};

enum world_state { WORLD_WAITING, WORLD_RUNNING, WORLD_SUSPENDED, WORLD_ENDED };
struct world_task {
        uint64_t job;
        uint32_t index;
        enum world_state state;
        struct world_machine *machine;
        struct resources resources, kept;
        uint64_t work_ns, left_ns, since_ns; /* what is left to do when it started or went on */
        uint64_t started_ns, ended_ns;       /* first start */
        uint32_t preemptions;
        bool launched;
};

struct world_job {
        uint64_t number, arrives_ns, work_ns;
        bool submitted;
        struct queue_job spec;
        size_t first_task;
};

struct world {
        struct machines *machines;
        struct estimates *estimates;
        struct queue *queue;
        uint64_t now_ns, next_offer;
        struct world_machine *all;
        size_t machine_count;
        struct world_task *tasks;
        size_t task_count;
        struct world_job *jobs;
        size_t job_count;
        size_t suspensions, resumptions, requeues, expirations, passes;
        bool check; /* queue_check() after each pass: slow */
        /* Before each decision is carried out; NULL. */
        void (*watch)(struct world *w, const struct queue_decision *d);
        /* After each pass with its decisions carried out; NULL. */
        void (*after_pass)(struct world *w);
        void *userdata;
};

static inline struct resources world_size(const char *text)
{
        struct resources r = {};
        struct error e = {};

        if (resources_parse(text, &r, &e) < 0)
                fail_msg("%s", error_message(&e));
        return r;
}

static inline void world_init(struct world *w, const struct queue_config *config)
{
        *w = (struct world){.now_ns = T0, .check = true};
        w->machines = machines_new();
        w->estimates = estimates_new();
        w->queue = queue_new(config, w->machines, w->estimates);
        w->all = xcalloc(10000, sizeof(*w->all));
        w->tasks = xcalloc(WORLD_TASKS_MAX, sizeof(*w->tasks));
        w->jobs = xcalloc(WORLD_TASKS_MAX, sizeof(*w->jobs));
}

static inline void world_done(struct world *w)
{
        queue_free(w->queue);
        machines_free(w->machines);
        estimates_free(w->estimates);
        for (size_t i = 0; i < w->machine_count; i++) {
                resources_done(&w->all[i].total);
                resources_done(&w->all[i].used);
                resources_done(&w->all[i].offered);
                for (size_t k = 0; k < w->all[i].offer_count; k++)
                        resources_done(&w->all[i].offers[k].resources);
        }
        for (size_t i = 0; i < w->task_count; i++) {
                resources_done(&w->tasks[i].resources);
                resources_done(&w->tasks[i].kept);
        }
        for (size_t i = 0; i < w->job_count; i++)
                resources_done(&w->jobs[i].spec.size);
        free(w->all);
        free(w->tasks);
        free(w->jobs);
}

static inline struct world_machine *world_machine_with(struct world *w, const char *id, const char *total,
        struct machine_attribute *attributes, size_t attribute_count)
{
        struct world_machine *m = &w->all[w->machine_count++];
        struct machine known = {
                .id = id, .hostname = id, .attributes = attributes, .attribute_count = attribute_count};

        (void)snprintf(m->id, sizeof(m->id), "%s", id);
        m->total = world_size(total);
        known.total = m->total;
        machines_set(w->machines, &known);
        return m;
}

static inline struct world_machine *world_machine(struct world *w, const char *id, const char *total)
{
        return world_machine_with(w, id, total, NULL, 0);
}

/* Fields of spec that are not given: name, user, number, submitted. Its size is parsed from text. */
static inline struct world_job *world_submit_at(
        struct world *w, uint64_t seconds, uint64_t work_ns, const char *size, struct queue_job spec)
{
        struct world_job *j = &w->jobs[w->job_count++];

        j->arrives_ns = T0 + seconds * SECOND;
        j->work_ns = work_ns;
        j->spec = spec;
        j->spec.number = j->number = spec.number ? spec.number : w->job_count;
        j->spec.name = spec.name ? spec.name : "work";
        j->spec.user = spec.user ? spec.user : "alice";
        j->spec.count = spec.count ? spec.count : 1;
        j->spec.submitted.ns = j->arrives_ns;
        j->spec.size = world_size(size);
        j->first_task = w->task_count;
        for (uint32_t i = 0; i < j->spec.count; i++)
                w->tasks[w->task_count++] = (struct world_task){
                        .job = j->number, .index = i, .work_ns = work_ns, .left_ns = work_ns};
        return j;
}

static inline struct world_task *world_task(struct world *w, uint64_t job, uint32_t index)
{
        for (size_t i = 0; i < w->job_count; i++)
                if (w->jobs[i].number == job)
                        return &w->tasks[w->jobs[i].first_task + index];
        fail_msg("no job %ju", (uintmax_t)job);
        return NULL;
}

/* Seconds from the beginning. */
static inline double world_start(struct world *w, uint64_t job)
{
        return (double)(world_task(w, job, 0)->started_ns - T0) / SECOND;
}
static inline double world_end(struct world *w, uint64_t job)
{
        return (double)(world_task(w, job, 0)->ended_ns - T0) / SECOND;
}

/* ---- offers ---- */

static inline struct world_machine *world_machine_of_offer(struct world *w, uint64_t offer)
{
        return &w->all[offer % 10000];
}

static inline void world_offer(struct world *w, struct world_machine *m, const struct resources *what)
{
        uint64_t number = ++w->next_offer * 10000 + (uint64_t)(m - w->all);

        assert_true(m->offer_count < ELEMENTSOF(m->offers));
        m->offers[m->offer_count].number = number;
        resources_copy(what, &m->offers[m->offer_count++].resources);
        resources_add(&m->offered, what);
        queue_add_offer(w->queue, number, m->id, what);
}

static inline void world_offer_free(struct world *w, struct world_machine *m)
{
        _cleanup_resources_ struct resources left = {};

        resources_copy(&m->total, &left);
        assert_int_equal(resources_subtract(&left, &m->used), 0);
        assert_int_equal(resources_subtract(&left, &m->offered), 0);
        if (!resources_empty(&left))
                world_offer(w, m, &left);
}

static inline void world_offer_all(struct world *w)
{
        for (size_t i = 0; i < w->machine_count; i++)
                if (queue_wants_offers(w->queue))
                        world_offer_free(w, &w->all[i]);
}

static inline void world_forget_offers(struct world_machine *m)
{
        for (size_t i = 0; i < m->offer_count; i++)
                resources_done(&m->offers[i].resources);
        m->offer_count = 0;
        resources_done(&m->offered);
}

/* ---- decisions ---- */

/* The task gets `resources`, out of what its machine was offered, and the decision names all offers there. */
static inline struct world_machine *world_take(struct world *w, const struct queue_decision *d)
{
        struct world_machine *m = world_machine_of_offer(w, d->offer);

        assert_int_equal(d->merged_count + 1, m->offer_count);
        assert_int_equal(d->offer, m->offers[0].number);
        for (uint32_t i = 0; i < d->merged_count; i++)
                assert_int_equal(d->merged[i], m->offers[i + 1].number);
        assert_int_equal(resources_subtract(&m->offered, &d->resources), 0);
        resources_add(&m->used, &d->resources);
        return m;
}

static inline void world_launch(struct world *w, const struct queue_decision *d)
{
        struct world_task *t = world_task(w, d->job, d->index);
        struct queue_run run;

        assert_int_equal(t->state, WORLD_WAITING);
        t->machine = world_take(w, d);
        resources_copy(&d->resources, &t->resources);
        t->state = WORLD_RUNNING;
        t->since_ns = w->now_ns;
        if (!t->launched)
                t->started_ns = w->now_ns;
        t->launched = true;
        run = (struct queue_run){.agent = t->machine->id,
                .resources = &t->resources,
                .started = {w->now_ns},
                .preemptions = t->preemptions};
        queue_task_runs(w->queue, d->job, d->index, &run);
}

static inline void world_resume(struct world *w, const struct queue_decision *d)
{
        struct world_task *t = world_task(w, d->job, d->index);
        struct resources all = {};

        assert_int_equal(t->state, WORLD_SUSPENDED);
        assert_ptr_equal(world_take(w, d), t->machine);
        resources_copy(&t->kept, &all);
        resources_add(&all, &d->resources);
        assert_true(resources_equal(&all, &t->resources));
        resources_done(&all);
        resources_done(&t->kept);
        t->state = WORLD_RUNNING;
        t->since_ns = w->now_ns;
        w->resumptions++;
        queue_task_resumed(w->queue, d->job, d->index, (struct wall_time){w->now_ns});
}

static inline void world_decline(struct world *w, const struct queue_decision *d)
{
        struct world_machine *m = world_machine_of_offer(w, d->offer);
        size_t i = 0;

        while (i < m->offer_count && m->offers[i].number != d->offer)
                i++;
        assert_true(i < m->offer_count);
        assert_int_equal(resources_subtract(&m->offered, &m->offers[i].resources), 0);
        resources_done(&m->offers[i].resources);
        memmove(&m->offers[i], &m->offers[i + 1], (--m->offer_count - i) * sizeof(m->offers[0]));
}

static inline void world_suspend(struct world *w, const struct queue_decision *d)
{
        struct world_task *t = world_task(w, d->job, d->index);
        _cleanup_resources_ struct resources cpus = {};

        assert_int_equal(t->state, WORLD_RUNNING);
        t->left_ns -= w->now_ns - t->since_ns;
        t->state = WORLD_SUSPENDED;
        resources_set_scalar(&cpus, "cpus", resources_scalar(&t->resources, "cpus"));
        resources_copy(&t->resources, &t->kept);
        assert_int_equal(resources_subtract(&t->kept, &cpus), 0);
        assert_int_equal(resources_subtract(&t->machine->used, &cpus), 0);
        w->suspensions++;
        t->preemptions++;
        queue_task_suspended(w->queue, d->job, d->index, &t->kept, (struct wall_time){w->now_ns});
        world_offer(w, t->machine, &cpus);
}

static inline void world_release(struct world_task *t)
{
        assert_int_equal(
                resources_subtract(&t->machine->used, t->state == WORLD_SUSPENDED ? &t->kept : &t->resources),
                0);
        resources_done(&t->resources);
        resources_done(&t->kept);
}

static inline void world_requeue(struct world *w, const struct queue_decision *d)
{
        struct world_task *t = world_task(w, d->job, d->index);

        assert_int_equal(t->state, WORLD_RUNNING);
        world_release(t);
        t->state = WORLD_WAITING;
        t->left_ns = t->work_ns;
        t->preemptions++;
        w->requeues++;
        queue_task_ended(w->queue, d->job, d->index, false, 0, (struct wall_time){w->now_ns});
        queue_tasks_wait(w->queue, d->job, d->index, d->index + 1, (struct wall_time){});
        world_offer_free(w, t->machine);
}

static inline void world_expire(struct world *w, const struct queue_decision *d)
{
        for (size_t i = 0; i < w->task_count; i++)
                if (w->tasks[i].job == d->job && w->tasks[i].state == WORLD_WAITING)
                        w->tasks[i].state = WORLD_ENDED;
        w->expirations++;
        queue_remove_job(w->queue, d->job);
}

static inline void world_carry_out(struct world *w, const struct queue_decision *d)
{
        static void (*const how[])(struct world *, const struct queue_decision *) = {
                [QUEUE_LAUNCH] = world_launch,
                [QUEUE_RESUME] = world_resume,
                [QUEUE_DECLINE] = world_decline,
                [QUEUE_SUSPEND] = world_suspend,
                [QUEUE_REQUEUE] = world_requeue,
                [QUEUE_EXPIRE] = world_expire,
        };

        if (w->watch)
                w->watch(w, d);
        how[d->kind](w, d);
}

static inline void world_check(struct world *w)
{
        struct error e = {};

        if (w->check && queue_check(w->queue, &e) < 0)
                fail_msg("%s", error_message(&e));
}

/* One pass. True: something was started or stopped, so that another one may find more. */
static inline bool world_pass(struct world *w)
{
        struct queue_decisions d;
        bool changed;

        queue_schedule(w->queue, (struct wall_time){w->now_ns}, &d);
        world_check(w);
        changed = d.more;
        w->passes++;
        /* The offers of a machine that a launch names are gone, whatever is left of them. */
        for (size_t i = 0; i < d.count; i++) {
                world_carry_out(w, &d.items[i]);
                if (d.items[i].kind != QUEUE_DECLINE)
                        changed = true;
                if (d.items[i].kind <= QUEUE_RESUME &&
                        (i + 1 == d.count || d.items[i + 1].kind > QUEUE_RESUME ||
                                d.items[i + 1].offer != d.items[i].offer))
                        world_forget_offers(world_machine_of_offer(w, d.items[i].offer));
        }
        queue_decisions_done(&d);
        if (w->after_pass)
                w->after_pass(w);
        world_check(w);
        return changed;
}

static inline void world_settle(struct world *w)
{
        size_t passes = 0;

        do {
                world_offer_all(w);
                assert_true(++passes < 10000);
        } while (world_pass(w));
}

/* ---- time ---- */

static inline void world_arrive(struct world *w)
{
        for (size_t i = 0; i < w->job_count; i++) {
                struct world_job *j = &w->jobs[i];

                if (j->submitted || j->arrives_ns > w->now_ns)
                        continue;
                j->submitted = true;
                assert_int_equal(queue_add_job(w->queue, &j->spec), 0);
                queue_tasks_wait(w->queue, j->number, 0, j->spec.count, (struct wall_time){});
        }
}

static inline uint64_t world_task_end(const struct world_task *t)
{
        return t->state == WORLD_RUNNING ? t->since_ns + t->left_ns : UINT64_MAX;
}

static inline void world_end_tasks(struct world *w)
{
        for (size_t i = 0; i < w->task_count; i++) {
                struct world_task *t = &w->tasks[i];

                if (world_task_end(t) > w->now_ns)
                        continue;
                world_release(t);
                t->state = WORLD_ENDED;
                t->ended_ns = w->now_ns;
                queue_task_ended(w->queue, t->job, t->index, true, t->work_ns, (struct wall_time){w->now_ns});
        }
}

/* UINT64_MAX: nothing will happen any more. */
static inline uint64_t world_next(struct world *w)
{
        struct wall_time wakeup;
        uint64_t at = UINT64_MAX;

        for (size_t i = 0; i < w->task_count; i++)
                at = MIN(at, world_task_end(&w->tasks[i]));
        for (size_t i = 0; i < w->job_count; i++)
                if (!w->jobs[i].submitted)
                        at = MIN(at, w->jobs[i].arrives_ns);
        if (queue_next_wakeup(w->queue, &wakeup))
                at = MIN(at, MAX(wakeup.ns, w->now_ns + 1));
        return at;
}

/* Until this time (seconds from the beginning); what happens then has happened. */
static inline void world_run_until(struct world *w, double seconds)
{
        uint64_t end_ns = T0 + (uint64_t)(seconds * SECOND), next;

        for (;;) {
                world_end_tasks(w);
                world_arrive(w);
                world_settle(w);
                next = world_next(w);
                if (next > end_ns)
                        break;
                w->now_ns = next;
        }
        w->now_ns = MAX(w->now_ns, end_ns);
}

static inline void world_run(struct world *w)
{
        uint64_t next;

        do {
                world_end_tasks(w);
                world_arrive(w);
                world_settle(w);
                next = world_next(w);
                w->now_ns = next != UINT64_MAX ? next : w->now_ns;
        } while (next != UINT64_MAX);
}
