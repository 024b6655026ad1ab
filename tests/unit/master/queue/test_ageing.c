#include "tests/unit/master/queue/world.h"

#define AGEING 500

/*
 * Who waits longer than the ageing time goes before all but those that came earlier and wait as well. So on one machine that holds one
 * task at a time, a job starts at the latest after its ageing time, what is left of the task that runs then, and the work of all that
 * came before it and had not ended.
 */
static double bound_of(const struct world *w, const struct world_job *j)
{
        uint64_t aged_ns = j->arrives_ns + AGEING * SECOND, longest = 0, before = 0;

        for (size_t i = 0; i < w->job_count; i++) {
                const struct world_job *other = &w->jobs[i];

                if (other == j)
                        continue;
                longest = MAX(longest, other->work_ns);
                if (other->number < j->number && w->tasks[other->first_task].ended_ns > aged_ns)
                        before += other->work_ns;
        }
        return AGEING + (double)(longest + before) / SECOND;
}

/* Against one long and unimportant job in five stands an endless stream of short and important ones. */
static void adversary(unsigned seed, enum queue_policy policy, enum queue_preemption preemption,
        uint64_t ageing_ns, size_t *late, double *longest)
{
        struct queue_config c;
        struct world w;
        uint64_t arrival = 0;

        queue_config_default(&c);
        c.policy = policy;
        c.ageing_ns = ageing_ns;
        c.preemption = preemption;
        c.grace_ns = 5 * SECOND;
        c.min_gain_ns = SECOND;
        srandom(seed);
        world_init(&w, &c);
        world_machine(&w, "h1", "cpus:1;mem:1000");
        for (size_t i = 0; i < 300; i++) {
                bool victim = random() % 5 == 0;
                uint64_t work = victim ? (uint64_t)(20 + random() % 40) : (uint64_t)(1 + random() % 10);

                world_submit_at(&w, arrival, work * SECOND, "cpus:1;mem:1",
                        (struct queue_job){.duration_ns = work * SECOND,
                                .priority = victim ? 1 : (uint32_t)(500 + random() % 2),
                                .preemptible = true});
                arrival += (uint64_t)(random() % 12);
        }
        world_run(&w);
        for (size_t i = 0; i < w.job_count; i++) {
                const struct world_job *j = &w.jobs[i];
                double waited = (double)(w.tasks[j->first_task].started_ns - j->arrives_ns) / SECOND;

                *late += waited > bound_of(&w, j);
                *longest = MAX(*longest, waited);
        }
        world_done(&w);
}

static void test_nobody_waits_longer_than_the_bound(void **state)
{
        static const enum queue_policy policies[] = {QUEUE_SJF, QUEUE_SRTF, QUEUE_PRIORITY};
        size_t late = 0, late_without = 0;
        double longest = 0, longest_without = 0;

        for (unsigned seed = 1; seed <= 20; seed++) {
                for (size_t p = 0; p < ELEMENTSOF(policies); p++) {
                        adversary(seed, policies[p], QUEUE_PREEMPT_NONE, AGEING * SECOND, &late, &longest);
                        adversary(seed, policies[p], QUEUE_PREEMPT_SUSPEND, AGEING * SECOND, &late, &longest);
                        adversary(seed, policies[p], QUEUE_PREEMPT_NONE, 0, &late_without, &longest_without);
                }
        }
        assert_int_equal(late, 0);
        /* Where nobody ages the bound is exceeded: so it is one. */
        assert_true(late_without > 0);
        assert_true(longest_without > longest);
}

/* Held, or waiting for another job, is not waiting in the queue: no place is earned by it. */
static void test_held_does_not_age(void **state)
{
        struct queue_config c;
        struct queue_explanation x;
        struct world w;

        queue_config_default(&c);
        c.policy = QUEUE_PRIORITY;
        c.ageing_ns = 100 * SECOND;
        world_init(&w, &c);
        world_machine(&w, "h1", "cpus:1;mem:1000");
        world_submit_at(&w, 0, 1000 * SECOND, "cpus:1;mem:1", (struct queue_job){.priority = 500});
        world_submit_at(&w, 1, 10 * SECOND, "cpus:1;mem:1", (struct queue_job){.priority = 1, .held = true});
        world_submit_at(&w, 1, 10 * SECOND, "cpus:1;mem:1", (struct queue_job){.priority = 1});
        world_run_until(&w, 150);
        queue_hold_job(w.queue, 2, false);
        world_run_until(&w, 160);
        assert_int_equal(queue_explain(w.queue, 2, (struct wall_time){w.now_ns}, &x), 0);
        assert_string_equal(x.factors[0].name, "aged");
        assert_string_equal(x.factors[0].value, "no");
        assert_int_equal(x.rank, 2);
        assert_int_equal(queue_explain(w.queue, 3, (struct wall_time){w.now_ns}, &x), 0);
        assert_string_equal(x.factors[0].value, "yes");
        assert_int_equal(x.rank, 1);
        world_run_until(&w, 260);
        assert_int_equal(queue_explain(w.queue, 2, (struct wall_time){w.now_ns}, &x), 0);
        assert_string_equal(x.factors[0].value, "yes");
        world_run(&w);
        world_done(&w);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_nobody_waits_longer_than_the_bound),
                cmocka_unit_test(test_held_does_not_age),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
