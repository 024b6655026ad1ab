/* Anything in any order: the queue's own sums always hold, and what it decides is always allowed by what it was told. */
#include "tests/unit/master/queue/world.h"

#define JOBS 40
#define TASKS 6
#define MACHINES 6
#define OFFERS 400
#define STEPS 1500

enum task_state { NONE, WAITING, RUNNING, SUSPENDED };
struct model_job {
        bool there, held, dependent, started;
        uint64_t number;
        struct queue_job spec;
        struct {
                enum task_state state;
                uint64_t not_before;
                struct resources resources, kept;
                int machine;
        } tasks[TASKS];
};

struct model {
        struct queue *q;
        struct machines *machines;
        uint64_t now_ns, next_job, next_offer;
        struct model_job jobs[JOBS];
        struct {
                uint64_t number;
                int machine;
                struct resources resources;
        } offers[OFFERS];
        size_t offer_count, launches, resumes;
        struct constraint constraints[3];
};

static void check(struct model *m)
{
        struct error e = {};

        if (queue_check(m->q, &e) < 0)
                fail_msg("%s", error_message(&e));
}

static const char *machine_id(int i)
{
        static const char *const ids[MACHINES] = {"m0", "m1", "m2", "m3", "m4", "m5"};

        return ids[i];
}

static void drop_task(struct model_job *j, uint32_t i, enum task_state state)
{
        resources_done(&j->tasks[i].resources);
        resources_done(&j->tasks[i].kept);
        j->tasks[i].state = state;
}

static void drop_job(struct model_job *j)
{
        for (uint32_t i = 0; i < TASKS; i++)
                drop_task(j, i, NONE);
        resources_done(&j->spec.size);
        j->there = false;
}

static struct model_job *find_job(struct model *m, uint64_t number)
{
        for (size_t i = 0; i < JOBS; i++)
                if (m->jobs[i].there && m->jobs[i].number == number)
                        return &m->jobs[i];
        fail_msg("no job %ju", (uintmax_t)number);
        return NULL;
}

/* ---- what happens ---- */

static void add_job(struct model *m, struct model_job *j)
{
        static const char *const names[] = {"a", "b", "c"}, *const users[] = {"x", "y"};
        struct queue_dependency after = {.job = 1};

        if (j->there) {
                queue_remove_job(m->q, j->number);
                drop_job(j);
                return;
        }
        *j = (struct model_job){.there = true, .number = ++m->next_job};
        j->held = random() % 8 == 0;
        j->dependent = random() % 8 == 0;
        j->spec = (struct queue_job){.number = j->number,
                .name = names[random() % 3],
                .user = users[random() % 2],
                .submitted = {m->now_ns},
                .count = (uint32_t)(1 + random() % TASKS),
                .parallel_max = random() % 4 ? 0 : (uint32_t)(1 + random() % TASKS),
                .priority = (uint32_t)(random() % 3),
                .duration_ns = random() % 2 ? (uint64_t)(random() % 100) * SECOND : 0,
                .deadline = {random() % 10 ? 0 : m->now_ns + (uint64_t)(random() % 100) * SECOND},
                .preemptible = random() % 4 > 0,
                .held = j->held,
                .placement = random() % 3 ? QUEUE_PACK : QUEUE_SPREAD,
                .spread_by = random() % 2 ? "rack" : NULL,
                .constraints = &m->constraints[random() % 3],
                .constraint_count = random() % 4 == 0,
                .after = &after,
                .after_count = j->dependent};
        j->spec.gang = j->spec.parallel_max == 0 && random() % 4 == 0;
        resources_set_scalar(&j->spec.size, "cpus", (uint64_t)(random() % 5) * 1000);
        resources_set_scalar(&j->spec.size, "mem", (uint64_t)(1 + random() % 50) * 1000);
        if (random() % 10 == 0)
                resources_set_scalar(&j->spec.size, "gpus", 1000);
        assert_int_equal(queue_add_job(m->q, &j->spec), 0);
        queue_tasks_wait(m->q, j->number, 0, j->spec.count, (struct wall_time){});
        for (uint32_t i = 0; i < j->spec.count; i++)
                j->tasks[i].state = WAITING;
}

static void task_event(struct model *m, struct model_job *j, uint32_t i)
{
        struct wall_time now = {m->now_ns};
        uint64_t later = random() % 2 ? 0 : m->now_ns + (uint64_t)(random() % 50) * SECOND;
        _cleanup_resources_ struct resources cpus = {};

        if (j->tasks[i].state == WAITING) {
                assert_true(queue_task_forget(m->q, j->number, i));
                drop_task(j, i, NONE);
                return;
        }
        assert_false(queue_task_forget(m->q, j->number, i));
        if (j->tasks[i].state == NONE) {
                queue_tasks_wait(m->q, j->number, i, i + 1, (struct wall_time){later});
                j->tasks[i].state = WAITING;
                j->tasks[i].not_before = later;
        } else if (random() % 2) {
                queue_task_ended(m->q, j->number, i, random() % 2, (uint64_t)random() % SECOND, now);
                drop_task(j, i, NONE);
        } else if (j->tasks[i].state == RUNNING && random() % 2) {
                queue_task_progress(m->q, j->number, i, (uint64_t)random() % SECOND, now);
        } else if (j->tasks[i].state == RUNNING) {
                resources_set_scalar(&cpus, "cpus", resources_scalar(&j->tasks[i].resources, "cpus"));
                resources_copy(&j->tasks[i].resources, &j->tasks[i].kept);
                assert_int_equal(resources_subtract(&j->tasks[i].kept, &cpus), 0);
                queue_task_suspended(m->q, j->number, i, &j->tasks[i].kept, now);
                j->tasks[i].state = SUSPENDED;
        } else {
                queue_task_resumed(m->q, j->number, i, now);
                resources_done(&j->tasks[i].kept);
                j->tasks[i].state = RUNNING;
        }
}

static void job_event(struct model *m, struct model_job *j)
{
        struct queue_explanation x;
        char *text;

        if (!j->there)
                return;
        switch (random() % 5) {
        case 0:
                j->held = !j->held;
                queue_hold_job(m->q, j->number, j->held);
                break;
        case 1:
                j->dependent = false;
                queue_satisfy(m->q, j->number, 1);
                break;
        case 2:
                assert_int_equal(queue_explain(m->q, j->number, (struct wall_time){m->now_ns}, &x), 0);
                text = queue_pending_reason(m->q, j->number, (struct wall_time){m->now_ns});
                assert_true((text != NULL) == (x.reason != QUEUE_REASON_NONE));
                free(text);
                break;
        default:
                task_event(m, j, (uint32_t)random() % j->spec.count);
        }
}

static void plan(struct model *m)
{
        struct queue_job job = {
                .number = m->next_job + 1, .name = "p", .user = "z", .count = 3, .gang = true};
        struct queue_explanation x;

        job.size = world_size("cpus:2;mem:2");
        queue_plan(m->q, &job, (struct wall_time){m->now_ns}, NULL, &x);
        assert_int_not_equal(x.reason, QUEUE_REASON_NONE);
        assert_null(queue_find_job(m->q, job.number));
        resources_done(&job.size);
}

static void machine_event(struct model *m, int i)
{
        struct machine_attribute rack = {"rack", i % 2 ? "1" : "2"};
        struct machine known = {
                .id = machine_id(i), .hostname = machine_id(i), .attributes = &rack, .attribute_count = 1};

        switch (random() % 4) {
        case 0:
                machines_remove(m->machines, machine_id(i));
                break;
        case 1:
                (void)machines_set_unusable(m->machines, machine_id(i), random() % 2 ? "draining" : NULL);
                break;
        case 2:
                (void)machines_set_window(m->machines, machine_id(i), (struct wall_time){m->now_ns + SECOND},
                        (struct wall_time){m->now_ns + (uint64_t)(2 + random() % 100) * SECOND});
                break;
        default:
                known.total = world_size(random() % 4 ? "cpus:8;mem:100" : "cpus:4;mem:200;gpus:2");
                machines_set(m->machines, &known);
                resources_done(&known.total);
        }
}

static void forget_offer(struct model *m, size_t i)
{
        resources_done(&m->offers[i].resources);
        memmove(&m->offers[i], &m->offers[i + 1], (--m->offer_count - i) * sizeof(m->offers[0]));
}

static void offer_event(struct model *m)
{
        if (m->offer_count > 0 && (random() % 4 == 0 || m->offer_count == OFFERS)) {
                size_t i = (size_t)random() % m->offer_count;

                queue_remove_offer(m->q, m->offers[i].number);
                forget_offer(m, i);
                return;
        }
        m->offers[m->offer_count].number = ++m->next_offer;
        m->offers[m->offer_count].machine = (int)(random() % MACHINES);
        m->offers[m->offer_count].resources = world_size(random() % 3 ? "cpus:4;mem:60" : "cpus:2;gpus:1");
        queue_add_offer(m->q, m->next_offer, machine_id(m->offers[m->offer_count].machine),
                &m->offers[m->offer_count].resources);
        m->offer_count++;
}

/* ---- what is decided ---- */

/* All offers that the decision names, as one; they are no longer there afterwards. */
static int take_offers(struct model *m, const struct queue_decision *d, struct resources *ret)
{
        int machine = -1;

        for (uint32_t k = 0; k <= d->merged_count; k++) {
                uint64_t number = k == 0 ? d->offer : d->merged[k - 1];
                size_t i = 0;

                while (i < m->offer_count && m->offers[i].number != number)
                        i++;
                assert_true(i < m->offer_count);
                assert_true(machine < 0 || machine == m->offers[i].machine);
                machine = m->offers[i].machine;
                resources_add(ret, &m->offers[i].resources);
                forget_offer(m, i);
        }
        return machine;
}

static void note_launch(struct model *m, const struct queue_decision *d, int machine)
{
        struct model_job *j = find_job(m, d->job);
        const char *rack = machine % 2 ? "1" : "2";
        size_t active = 0;

        assert_int_equal(j->tasks[d->index].state, WAITING);
        assert_true(j->tasks[d->index].not_before <= m->now_ns);
        assert_false(j->held || j->dependent);
        assert_int_equal(resources_scalar(&d->resources, "cpus"), resources_scalar(&j->spec.size, "cpus"));
        for (size_t i = 0; i < j->spec.constraint_count; i++)
                if (j->spec.constraints == &m->constraints[0])
                        assert_string_equal(rack, "1");
        j->tasks[d->index].state = RUNNING;
        j->tasks[d->index].machine = machine;
        resources_copy(&d->resources, &j->tasks[d->index].resources);
        for (uint32_t i = 0; i < TASKS; i++)
                active += j->tasks[i].state > WAITING;
        assert_true(j->spec.parallel_max == 0 || active <= j->spec.parallel_max);
        m->launches++;
}

static void note_resume(struct model *m, const struct queue_decision *d, int machine)
{
        struct model_job *j = find_job(m, d->job);
        _cleanup_resources_ struct resources all = {};

        assert_int_equal(j->tasks[d->index].state, SUSPENDED);
        assert_int_equal(j->tasks[d->index].machine, machine);
        assert_false(j->held);
        resources_copy(&j->tasks[d->index].kept, &all);
        resources_add(&all, &d->resources);
        assert_true(resources_equal(&all, &j->tasks[d->index].resources));
        resources_done(&j->tasks[d->index].kept);
        j->tasks[d->index].state = RUNNING;
        m->resumes++;
        queue_task_resumed(m->q, d->job, d->index, (struct wall_time){m->now_ns});
}

/* Gangs: at first all that wait, or none. */
static void check_gangs(struct model *m)
{
        for (size_t i = 0; i < JOBS; i++) {
                struct model_job *j = &m->jobs[i];
                size_t active = 0, waiting = 0;

                for (uint32_t k = 0; j->there && k < TASKS; k++) {
                        active += j->tasks[k].state > WAITING;
                        waiting += j->tasks[k].state == WAITING;
                }
                if (j->there && j->spec.gang && !j->started && active > 0)
                        assert_int_equal(waiting, 0);
                j->started = j->started || active > 0;
        }
}

static void schedule(struct model *m)
{
        _cleanup_resources_ struct resources pool = {};
        struct queue_decisions d;
        int machine = -1;

        queue_schedule(m->q, (struct wall_time){m->now_ns}, &d);
        check(m);
        for (size_t i = 0; i < d.count; i++) {
                struct queue_decision *x = &d.items[i];

                if (x->kind <= QUEUE_RESUME) {
                        if (i == 0 || x->offer != d.items[i - 1].offer) {
                                resources_done(&pool);
                                machine = take_offers(m, x, &pool);
                        }
                        assert_int_equal(resources_subtract(&pool, &x->resources), 0);
                        (x->kind == QUEUE_LAUNCH ? note_launch : note_resume)(m, x, machine);
                } else if (x->kind == QUEUE_DECLINE) {
                        _cleanup_resources_ struct resources back = {};

                        (void)take_offers(m, x, &back);
                } else if (x->kind == QUEUE_EXPIRE) {
                        struct model_job *j = find_job(m, x->job);

                        assert_true(j->spec.deadline.ns <= m->now_ns);
                        queue_remove_job(m->q, x->job);
                        drop_job(j);
                } else {
                        assert_int_equal(find_job(m, x->job)->tasks[x->index].state, RUNNING);
                        assert_true(find_job(m, x->job)->spec.preemptible);
                }
        }
        assert_int_equal(queue_offers_held(m->q), m->offer_count);
        queue_decisions_done(&d);
        check_gangs(m);
}

static void reconfigure(struct model *m)
{
        struct queue_config c;

        queue_config_default(&c);
        c.policy = (enum queue_policy)(random() % QUEUE_POLICY_MAX);
        c.preemption = (enum queue_preemption)(random() % QUEUE_PREEMPTION_MAX);
        c.ageing_ns = (uint64_t)(random() % 3) * 50 * SECOND;
        c.grace_ns = (uint64_t)(random() % 10) * SECOND;
        c.min_gain_ns = (uint64_t)(random() % 5) * SECOND;
        c.backfill_max = random() % 4 ? 1000 : 0;
        queue_configure(m->q, &c);
}

static void step(struct model *m)
{
        switch (random() % 12) {
        case 0:
                add_job(m, &m->jobs[random() % JOBS]);
                break;
        case 1:
                machine_event(m, (int)(random() % MACHINES));
                break;
        case 2:
        case 3:
                offer_event(m);
                break;
        case 4:
                m->now_ns += (uint64_t)(random() % 10) * SECOND;
                break;
        case 5:
                if (random() % 10 == 0)
                        reconfigure(m);
                plan(m);
                break;
        case 6:
        case 7:
                schedule(m);
                break;
        default:
                job_event(m, &m->jobs[random() % JOBS]);
        }
        check(m);
}

static void run(unsigned seed, size_t *launches, size_t *resumes)
{
        static const char *const texts[] = {"rack=1", "distinct:rack", "distinct:hostname"};
        struct queue_config c;
        struct model *m = NEW0(struct model);
        struct estimates *estimates = estimates_new();
        struct error e = {};

        srandom(seed);
        queue_config_default(&c);
        m->now_ns = T0;
        m->machines = machines_new();
        m->q = queue_new(&c, m->machines, estimates);
        for (size_t i = 0; i < 3; i++)
                assert_int_equal(constraint_parse(texts[i], &m->constraints[i], &e), 0);
        for (size_t i = 0; i < STEPS; i++)
                step(m);
        for (size_t i = 0; i < JOBS; i++)
                drop_job(&m->jobs[i]);
        while (m->offer_count > 0)
                forget_offer(m, 0);
        for (size_t i = 0; i < 3; i++)
                constraint_done(&m->constraints[i]);
        *launches += m->launches;
        *resumes += m->resumes;
        queue_free(m->q);
        machines_free(m->machines);
        estimates_free(estimates);
        free(m);
}

static void test_anything_in_any_order(void **state)
{
        size_t launches = 0, resumes = 0;

        for (unsigned seed = 1; seed <= 100; seed++)
                run(seed, &launches, &resumes);
        assert_true(launches > 1000);
        assert_true(resumes > 20);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_anything_in_any_order),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
