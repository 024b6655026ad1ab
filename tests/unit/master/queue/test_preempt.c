#include "tests/unit/master/queue/world.h"

static struct queue_config preempting(enum queue_preemption how)
{
        struct queue_config c;

        queue_config_default(&c);
        c.policy = QUEUE_PRIORITY;
        c.preemption = how;
        return c;
}

static void job(struct world *w, uint64_t at, uint64_t seconds, const char *size, uint32_t priority)
{
        world_submit_at(w, at, seconds * SECOND, size,
                (struct queue_job){
                        .duration_ns = seconds * SECOND, .priority = priority, .preemptible = true});
}

/* Low (100 s) runs 0-40 and is frozen for high (10 s) 40-50; it goes on 50-110: all of its work, once. */
static void test_suspended_and_resumed(void **state)
{
        struct queue_config c = preempting(QUEUE_PREEMPT_SUSPEND);
        struct world w;

        world_init(&w, &c);
        world_machine(&w, "h1", "cpus:2;mem:100");
        job(&w, 0, 100, "cpus:2;mem:40", 100);
        job(&w, 40, 10, "cpus:2;mem:40", 900);
        world_run(&w);
        assert_float_equal(world_start(&w, 2), 40, 1e-6);
        assert_float_equal(world_end(&w, 1), 110, 1e-6);
        assert_int_equal(w.suspensions, 1);
        assert_int_equal(w.resumptions, 1);
        assert_int_equal(w.requeues, 0);
        world_done(&w);
}

/* High arrives at 10; low has not run for 30 s before 30. Nothing else happens then: the queue asks to be woken. */
static void test_grace(void **state)
{
        struct queue_config c = preempting(QUEUE_PREEMPT_SUSPEND);
        struct world w;

        world_init(&w, &c);
        world_machine(&w, "h1", "cpus:2;mem:100");
        job(&w, 0, 100, "cpus:2;mem:40", 100);
        job(&w, 10, 10, "cpus:2;mem:40", 900);
        world_run(&w);
        assert_float_equal(world_start(&w, 2), 30, 1e-6);
        world_done(&w);
}

/* Low ends at 100; high arrives at 95 and would gain 5 s, less than 10. */
static void test_no_small_gain(void **state)
{
        struct queue_config c = preempting(QUEUE_PREEMPT_SUSPEND);
        struct world w;

        world_init(&w, &c);
        world_machine(&w, "h1", "cpus:2;mem:100");
        job(&w, 0, 100, "cpus:2;mem:40", 100);
        job(&w, 95, 10, "cpus:2;mem:40", 900);
        world_run(&w);
        assert_int_equal(w.suspensions, 0);
        assert_float_equal(world_start(&w, 2), 100, 1e-6);
        world_done(&w);
}

/*
 * Memory is missing, so freezing is no use. At 40, 40 s of work would be lost and 60 s gained: low is requeued, and runs 50-150.
 * At 60 it is the other way round: high waits.
 */
static void requeue_at(uint64_t at, enum queue_preemption how, size_t requeues, double start)
{
        struct queue_config c = preempting(how);
        struct world w;

        world_init(&w, &c);
        world_machine(&w, "h1", "cpus:2;mem:100");
        job(&w, 0, 100, "cpus:2;mem:80", 100);
        job(&w, at, 10, "cpus:2;mem:40", 900);
        world_run(&w);
        assert_int_equal(w.requeues, requeues);
        assert_int_equal(w.suspensions, 0);
        assert_float_equal(world_start(&w, 2), start, 1e-6);
        if (requeues > 0)
                assert_float_equal(world_end(&w, 1), start + 10 + 100, 1e-6);
        world_done(&w);
}

static void test_requeue_when_memory_is_missing(void **state)
{
        requeue_at(40, QUEUE_PREEMPT_REQUEUE, 1, 40);
        requeue_at(60, QUEUE_PREEMPT_REQUEUE, 0, 100);
        requeue_at(40, QUEUE_PREEMPT_SUSPEND, 0, 100);
}

/* Where freezing is enough nobody is killed. */
static void test_requeue_prefers_suspension(void **state)
{
        struct queue_config c = preempting(QUEUE_PREEMPT_REQUEUE);
        struct world w;

        world_init(&w, &c);
        world_machine(&w, "h1", "cpus:2;mem:100");
        job(&w, 0, 100, "cpus:2;mem:40", 100);
        job(&w, 40, 10, "cpus:2;mem:40", 900);
        world_run(&w);
        assert_int_equal(w.requeues, 0);
        assert_int_equal(w.suspensions, 1);
        world_done(&w);
}

static void test_limit_of_preemptions(void **state)
{
        struct queue_config c = preempting(QUEUE_PREEMPT_SUSPEND);
        struct world w;

        c.preemptions_max = 2;
        world_init(&w, &c);
        world_machine(&w, "h1", "cpus:1;mem:100");
        job(&w, 0, 1000, "cpus:1;mem:10", 100);
        for (uint64_t i = 0; i < 5; i++)
                job(&w, 100 + 100 * i, 10, "cpus:1;mem:10", 900);
        world_run(&w);
        assert_int_equal(w.suspensions, 2);
        assert_float_equal(world_end(&w, 1), 1020, 1e-6);
        world_done(&w);
}

static void test_who_gives_way(void **state)
{
        struct queue_config c = preempting(QUEUE_PREEMPT_SUSPEND);
        struct world w;

        world_init(&w, &c);
        world_machine(&w, "h1", "cpus:4;mem:100");
        job(&w, 0, 500, "cpus:1;mem:10", 300);
        job(&w, 0, 500, "cpus:1;mem:10", 100);
        job(&w, 0, 500, "cpus:2;mem:10", 100);
        job(&w, 40, 10, "cpus:2;mem:10", 900);
        world_run_until(&w, 45);
        /* The one of two cpus is enough alone, and is among the least important. */
        assert_int_equal(world_task(&w, 3, 0)->state, WORLD_SUSPENDED);
        assert_int_equal(world_task(&w, 2, 0)->state, WORLD_RUNNING);
        assert_int_equal(world_task(&w, 1, 0)->state, WORLD_RUNNING);
        world_run(&w);
        world_done(&w);
}

/* Two of one cpu came last and would do, but one of two cpus is enough alone. */
static void test_one_rather_than_two(void **state)
{
        struct queue_config c = preempting(QUEUE_PREEMPT_SUSPEND);
        struct world w;

        world_init(&w, &c);
        world_machine(&w, "h1", "cpus:4;mem:100");
        job(&w, 0, 500, "cpus:2;mem:10", 100);
        job(&w, 0, 500, "cpus:1;mem:10", 100);
        job(&w, 0, 500, "cpus:1;mem:10", 100);
        job(&w, 40, 10, "cpus:2;mem:10", 900);
        world_run_until(&w, 45);
        assert_int_equal(w.suspensions, 1);
        assert_int_equal(world_task(&w, 1, 0)->state, WORLD_SUSPENDED);
        world_done(&w);
}

/* There will be room on the other machine in 5 s: less than it takes to be worth it. */
static void test_room_elsewhere_soon(void **state)
{
        struct queue_config c = preempting(QUEUE_PREEMPT_SUSPEND);
        struct world w;

        world_init(&w, &c);
        world_machine(&w, "h1", "cpus:2;mem:100");
        world_machine(&w, "h2", "cpus:2;mem:100");
        job(&w, 0, 500, "cpus:2;mem:10", 100);
        world_submit_at(&w, 0, 105 * SECOND, "cpus:2;mem:10",
                (struct queue_job){.duration_ns = 105 * SECOND, .priority = 100});
        job(&w, 100, 10, "cpus:2;mem:10", 900);
        world_run(&w);
        assert_int_equal(w.suspensions, 0);
        assert_float_equal(world_start(&w, 3), 105, 1e-6);
        world_done(&w);
}

/* One of two machines cannot be had: then nobody gives way for half a gang. */
static void test_no_half_gang(void **state)
{
        struct queue_config c = preempting(QUEUE_PREEMPT_SUSPEND);
        struct world w;

        world_init(&w, &c);
        world_machine(&w, "h1", "cpus:2;mem:100");
        world_machine(&w, "h2", "cpus:2;mem:100");
        job(&w, 0, 500, "cpus:2;mem:10", 100);
        world_submit_at(&w, 0, 500 * SECOND, "cpus:2;mem:10",
                (struct queue_job){.duration_ns = 500 * SECOND, .priority = 100});
        world_submit_at(&w, 100, 10 * SECOND, "cpus:2;mem:10",
                (struct queue_job){.duration_ns = 10 * SECOND, .priority = 900, .gang = true, .count = 2});
        world_run(&w);
        assert_int_equal(w.suspensions, 0);
        world_done(&w);
}

static void test_equals_and_unwilling_stay(void **state)
{
        struct queue_config c = preempting(QUEUE_PREEMPT_REQUEUE);
        struct world w;

        world_init(&w, &c);
        world_machine(&w, "h1", "cpus:2;mem:100");
        job(&w, 0, 500, "cpus:1;mem:10", 500);
        world_submit_at(&w, 0, 500 * SECOND, "cpus:1;mem:10",
                (struct queue_job){.duration_ns = 500 * SECOND, .priority = 100, .preemptible = false});
        job(&w, 100, 10, "cpus:1;mem:10", 500);
        world_run(&w);
        assert_int_equal(w.suspensions + w.requeues, 0);
        assert_float_equal(world_start(&w, 3), 500, 1e-6);
        world_done(&w);
}

/*
 * The middle one (4 cpus) is frozen for the high one (2 cpus, 40-60). Two cpus are free then, but the low one, which nobody knows
 * the end of, would keep the middle one frozen: it waits for it. The short low one ends before 60 and harms nobody.
 */
static void test_no_priority_inversion(void **state)
{
        struct queue_config c = preempting(QUEUE_PREEMPT_SUSPEND);
        struct world w;

        world_init(&w, &c);
        world_machine(&w, "h1", "cpus:4;mem:100");
        job(&w, 0, 100, "cpus:4;mem:10", 500);
        job(&w, 40, 20, "cpus:2;mem:10", 900);
        world_submit_at(&w, 41, 300 * SECOND, "cpus:1;mem:10",
                (struct queue_job){.priority = 100, .preemptible = true, .name = "endless"});
        job(&w, 41, 10, "cpus:1;mem:10", 100);
        world_run(&w);
        assert_float_equal(world_end(&w, 2), 60, 1e-6);
        assert_float_equal(world_start(&w, 4), 41, 1e-6);
        assert_float_equal(world_end(&w, 1), 120, 1e-6);
        assert_float_equal(world_start(&w, 3), 120, 1e-6);
        world_done(&w);
}

static void test_gang_preempts_on_several_machines(void **state)
{
        struct queue_config c = preempting(QUEUE_PREEMPT_SUSPEND);
        struct world w;

        world_init(&w, &c);
        for (int i = 0; i < 3; i++) {
                _cleanup_free_ char *id = xasprintf("h%d", i);

                world_machine(&w, id, "cpus:2;mem:100");
                job(&w, 0, 500, "cpus:2;mem:10", 100);
        }
        world_submit_at(&w, 50, 10 * SECOND, "cpus:1;mem:10",
                (struct queue_job){.duration_ns = 10 * SECOND,
                        .priority = 900,
                        .gang = true,
                        .count = 6,
                        .preemptible = true});
        world_run(&w);
        for (uint32_t i = 0; i < 6; i++)
                assert_int_equal(world_task(&w, 4, i)->started_ns, T0 + 50 * SECOND);
        assert_int_equal(w.suspensions, 3);
        for (uint64_t i = 1; i <= 3; i++)
                assert_float_equal(world_end(&w, i), 510, 1e-6);
        world_done(&w);
}

/* Random jobs, with every kind of preemption: all ends well, no work is lost by freezing, and nobody is preempted too often. */
static void random_jobs(unsigned seed)
{
        static const enum queue_policy policies[] = {QUEUE_PRIORITY, QUEUE_SRTF};
        struct queue_config c = preempting(1 + seed % 2);
        struct world w;

        srandom(seed);
        c.policy = policies[seed / 2 % 2];
        c.grace_ns = (uint64_t)(random() % 20) * SECOND;
        c.min_gain_ns = (uint64_t)(random() % 5) * SECOND;
        c.preemptions_max = (uint32_t)(random() % 4);
        world_init(&w, &c);
        for (int i = 0; i < 3; i++) {
                _cleanup_free_ char *id = xasprintf("h%d", i);

                world_machine(&w, id, "cpus:4;mem:100");
        }
        for (uint64_t i = 0; i < 60; i++) {
                _cleanup_free_ char *size =
                        xasprintf("cpus:%ld;mem:%ld", 1 + random() % 4, 1 + random() % 60);
                uint64_t work = (uint64_t)(1 + random() % 200);

                world_submit_at(&w, i * 5, work * SECOND, size,
                        (struct queue_job){.duration_ns = random() % 5 ? work * SECOND : 0,
                                .priority = (uint32_t)(random() % 3) * 100,
                                .count = (uint32_t)(1 + random() % 3),
                                .gang = random() % 3 == 0,
                                .preemptible = random() % 5 > 0});
        }
        world_run(&w);
        for (size_t i = 0; i < w.task_count; i++) {
                assert_int_equal(w.tasks[i].state, WORLD_ENDED);
                assert_true(w.tasks[i].preemptions <= c.preemptions_max);
        }
        assert_int_equal(w.suspensions, w.resumptions);
        world_done(&w);
}

static void test_random_jobs(void **state)
{
        for (unsigned seed = 0; seed < 100; seed++)
                random_jobs(seed);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_suspended_and_resumed),
                cmocka_unit_test(test_grace),
                cmocka_unit_test(test_no_small_gain),
                cmocka_unit_test(test_requeue_when_memory_is_missing),
                cmocka_unit_test(test_requeue_prefers_suspension),
                cmocka_unit_test(test_limit_of_preemptions),
                cmocka_unit_test(test_who_gives_way),
                cmocka_unit_test(test_one_rather_than_two),
                cmocka_unit_test(test_room_elsewhere_soon),
                cmocka_unit_test(test_no_half_gang),
                cmocka_unit_test(test_equals_and_unwilling_stay),
                cmocka_unit_test(test_no_priority_inversion),
                cmocka_unit_test(test_gang_preempts_on_several_machines),
                cmocka_unit_test(test_random_jobs),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
