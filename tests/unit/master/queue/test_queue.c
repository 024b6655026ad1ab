#include "tests/unit/master/queue/world.h"

static struct queue_config config_of(enum queue_policy policy)
{
        struct queue_config c;

        queue_config_default(&c);
        c.policy = policy;
        return c;
}

static double mean_turnaround(struct world *w)
{
        double sum = 0;

        for (size_t i = 0; i < w->job_count; i++)
                sum += (double)(world_task(w, w->jobs[i].number, 0)->ended_ns - w->jobs[i].arrives_ns) /
                       SECOND;
        return sum / (double)w->job_count;
}

/*
 * Silberschatz, Operating System Concepts: bursts of 24, 3 and 3 that arrive together on one processor.
 * First come, first served: ends at 24, 27, 30: mean turnaround 81/3 = 27 (mean wait 17).
 * Shortest first: ends at 3, 6, 30: mean turnaround 39/3 = 13 (mean wait 3).
 */
static double three_bursts(enum queue_policy policy)
{
        static const uint64_t bursts[] = {24, 3, 3};
        struct queue_config c = config_of(policy);
        struct world w;
        double mean;

        world_init(&w, &c);
        world_machine(&w, "h1", "cpus:1;mem:100");
        for (size_t i = 0; i < ELEMENTSOF(bursts); i++)
                world_submit_at(&w, 0, bursts[i] * SECOND, "cpus:1;mem:10",
                        (struct queue_job){.duration_ns = bursts[i] * SECOND});
        world_run(&w);
        mean = mean_turnaround(&w);
        world_done(&w);
        return mean;
}

static void test_shortest_first_beats_first_come(void **state)
{
        assert_float_equal(three_bursts(QUEUE_FIFO), 27, 1e-6);
        assert_float_equal(three_bursts(QUEUE_SJF), 13, 1e-6);
}

/*
 * The classic of preemptive shortest job first: bursts 8, 4, 9, 5 that arrive at 0, 1, 2, 3 on one processor.
 * P1 runs 0-1, P2 (4 < 7) 1-5, P4 (5 < 7 < 9) 5-10, P1 10-17, P3 17-26.
 * Turnaround 17, 4, 24, 7: mean 13. Without preemption: P1 0-8, P2 8-12, P4 12-17, P3 17-26: 8, 11, 24, 14: mean 14.25.
 */
static void four_arrivals(struct world *w, enum queue_preemption preemption)
{
        static const uint64_t bursts[] = {8, 4, 9, 5};
        struct queue_config c = config_of(QUEUE_SRTF);

        c.preemption = preemption;
        c.grace_ns = 0;
        c.min_gain_ns = 0;
        world_init(w, &c);
        world_machine(w, "h1", "cpus:1;mem:100");
        for (size_t i = 0; i < ELEMENTSOF(bursts); i++)
                world_submit_at(w, i, bursts[i] * SECOND, "cpus:1;mem:10",
                        (struct queue_job){.duration_ns = bursts[i] * SECOND, .preemptible = true});
        world_run(w);
}

static void test_shortest_remaining_time(void **state)
{
        static const double ends[] = {17, 5, 26, 10};
        struct world w;

        four_arrivals(&w, QUEUE_PREEMPT_SUSPEND);
        for (size_t i = 0; i < ELEMENTSOF(ends); i++)
                assert_float_equal(world_end(&w, i + 1), ends[i], 1e-6);
        assert_float_equal(mean_turnaround(&w), 13, 1e-6);
        assert_int_equal(w.suspensions, 1);
        assert_int_equal(w.resumptions, 1);
        world_done(&w);

        four_arrivals(&w, QUEUE_PREEMPT_NONE);
        assert_float_equal(mean_turnaround(&w), 14.25, 1e-6);
        world_done(&w);
}

/*
 * What nobody knows goes last, by arrival: so L1 (100 s) and L2 run before S1 (5 s), although the first S is short. When S1 has ended,
 * the other S that wait go before the L that wait, which came earlier.
 */
static void test_durations_are_learned(void **state)
{
        static const double ends[] = {100, 200, 305, 310, 300, 315};
        struct queue_config c = config_of(QUEUE_SJF);
        struct world w;

        world_init(&w, &c);
        world_machine(&w, "h1", "cpus:1;mem:100");
        world_submit_at(&w, 0, 100 * SECOND, "cpus:1;mem:1", (struct queue_job){.name = "L"});
        world_submit_at(&w, 1, 100 * SECOND, "cpus:1;mem:1", (struct queue_job){.name = "L"});
        world_submit_at(&w, 2, 5 * SECOND, "cpus:1;mem:1", (struct queue_job){.name = "S"});
        world_submit_at(&w, 3, 5 * SECOND, "cpus:1;mem:1", (struct queue_job){.name = "S"});
        world_submit_at(&w, 150, 100 * SECOND, "cpus:1;mem:1", (struct queue_job){.name = "L"});
        world_submit_at(&w, 250, 5 * SECOND, "cpus:1;mem:1", (struct queue_job){.name = "S"});
        world_submit_at(&w, 301, 100 * SECOND, "cpus:1;mem:1", (struct queue_job){.name = "L"});
        world_run(&w);
        for (size_t i = 0; i < ELEMENTSOF(ends); i++)
                assert_float_equal(world_end(&w, i + 1), ends[i], 1e-6);
        assert_float_equal(world_end(&w, 7), 415, 1e-6);
        world_done(&w);
}

/*
 * Runs of this name take 100 s and 100 s of CPU. One that has used 80 s of CPU after 50 s is expected to end at 70; one that has lasted
 * 150 s, longer than any before, at no time that anybody could tell.
 */
static void test_progress(void **state)
{
        struct queue_config c = config_of(QUEUE_FIFO);
        struct queue_explanation x;
        struct world w;

        world_init(&w, &c);
        world_machine(&w, "h1", "cpus:1;mem:100");
        estimates_add(w.estimates, "alice", "work", 100 * SECOND, 100 * SECOND, (struct wall_time){T0});
        world_submit_at(&w, 0, 200 * SECOND, "cpus:1;mem:1", (struct queue_job){});
        world_submit_at(&w, 0, 10 * SECOND, "cpus:1;mem:1", (struct queue_job){});
        world_run_until(&w, 50);
        assert_int_equal(queue_explain(w.queue, 2, (struct wall_time){w.now_ns}, &x), 0);
        assert_float_equal((double)(x.expected_start.ns - T0) / SECOND, 100, 3);
        queue_task_progress(w.queue, 1, 0, 80 * SECOND, (struct wall_time){w.now_ns});
        (void)world_pass(&w);
        assert_int_equal(queue_explain(w.queue, 2, (struct wall_time){w.now_ns}, &x), 0);
        assert_float_equal((double)(x.expected_start.ns - T0) / SECOND, 70, 3);
        w.now_ns = T0 + 150 * SECOND;
        (void)world_pass(&w);
        assert_int_equal(queue_explain(w.queue, 2, (struct wall_time){w.now_ns}, &x), 0);
        assert_false(x.has_expected_start);
        world_run(&w);
        world_done(&w);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_shortest_first_beats_first_come),
                cmocka_unit_test(test_shortest_remaining_time),
                cmocka_unit_test(test_durations_are_learned),
                cmocka_unit_test(test_progress),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
