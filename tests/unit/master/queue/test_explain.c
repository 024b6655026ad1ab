#include "tests/unit/master/queue/world.h"

static struct queue_config config_of(enum queue_policy policy)
{
        struct queue_config c;

        queue_config_default(&c);
        c.policy = policy;
        return c;
}

static struct queue_explanation explain(struct world *w, uint64_t job)
{
        struct queue_explanation x;

        assert_int_equal(queue_explain(w->queue, job, (struct wall_time){w->now_ns}, &x), 0);
        return x;
}

static void expect_sentence(struct world *w, uint64_t job, const char *expected)
{
        _cleanup_free_ char *text = queue_pending_reason(w->queue, job, (struct wall_time){w->now_ns});

        assert_string_equal(text, expected);
}

static void test_states(void **state)
{
        struct queue_config c = config_of(QUEUE_FIFO);
        struct queue_dependency after = {.job = 1};
        struct queue_explanation x;
        struct world w;

        world_init(&w, &c);
        world_submit_at(
                &w, 0, 100 * SECOND, "cpus:1;mem:1", (struct queue_job){.count = 3, .parallel_max = 2});
        world_submit_at(&w, 0, SECOND, "cpus:1;mem:1", (struct queue_job){.held = true});
        world_submit_at(&w, 0, SECOND, "cpus:1;mem:1", (struct queue_job){.after = &after, .after_count = 1});
        world_run_until(&w, 1);
        assert_int_equal(queue_explain(w.queue, 99, (struct wall_time){w.now_ns}, &x), -ENOENT);
        expect_sentence(&w, 1, "no agent is registered");
        expect_sentence(&w, 2, "is held by its owner");
        expect_sentence(&w, 3, "waits for job 1");
        assert_int_equal(explain(&w, 3).blocking_job, 1);

        world_machine(&w, "h1", "cpus:8;mem:100");
        machines_set_unusable(w.machines, "h1", "draining");
        expect_sentence(&w, 1, "no agent may be used now: draining");
        machines_set_unusable(w.machines, "h1", NULL);
        world_run_until(&w, 2);
        assert_int_equal(explain(&w, 1).reason, QUEUE_REASON_PARALLEL);
        expect_sentence(&w, 1, "as many of its tasks run as it allows (2)");
        queue_task_ended(w.queue, 1, 0, false, 0, (struct wall_time){w.now_ns});
        queue_tasks_wait(w.queue, 1, 0, 1, (struct wall_time){w.now_ns + 60 * SECOND});
        assert_true(queue_task_forget(w.queue, 1, 2));
        assert_false(queue_task_forget(w.queue, 1, 2));
        expect_sentence(&w, 1, "is tried again in about 1m00s");
        assert_int_equal(explain(&w, 1).expected_start.ns, w.now_ns + 60 * SECOND);
        queue_satisfy(w.queue, 3, 1);
        assert_int_not_equal(explain(&w, 3).reason, QUEUE_REASON_DEPENDENCY);
        world_done(&w);
}

static void test_machines(void **state)
{
        struct machine_attribute rack = {"rack", "r1"};
        struct constraint constraints[2] = {};
        struct queue_config c = config_of(QUEUE_FIFO);
        struct queue_explanation x;
        struct error e = {};
        struct world w;

        assert_int_equal(constraint_parse("rack=r1", &constraints[0], &e), 0);
        assert_int_equal(constraint_parse("ssd", &constraints[1], &e), 0);
        world_init(&w, &c);
        world_machine_with(&w, "h1", "cpus:4;mem:100", &rack, 1);
        world_machine(&w, "h2", "cpus:8;mem:100");
        world_submit_at(&w, 0, SECOND, "cpus:1;mem:1",
                (struct queue_job){.constraints = constraints, .constraint_count = 2});
        world_submit_at(&w, 0, SECOND, "cpus:6;mem:1",
                (struct queue_job){.constraints = constraints, .constraint_count = 1});
        world_submit_at(&w, 0, SECOND, "cpus:5;mem:1", (struct queue_job){.count = 2, .gang = true});
        world_run_until(&w, 1);
        x = explain(&w, 1);
        assert_int_equal(x.reason, QUEUE_REASON_CONSTRAINTS);
        assert_string_equal(x.detail, "ssd");
        assert_int_equal(x.machines, 2);
        assert_int_equal(x.machines_matching, 0);
        expect_sentence(
                &w, 1, "none of 2 usable machines meets the constraint ssd together with those before it");
        x = explain(&w, 2);
        assert_int_equal(x.reason, QUEUE_REASON_TOO_LARGE);
        assert_string_equal(x.detail, "cpus");
        assert_int_equal(x.missing_milli, 2000);
        expect_sentence(&w, 2,
                "needs 6 cpus and 1 MiB of memory; no machine (1 of 2 meet its constraints) is large enough: "
                "h1 "
                "comes nearest and has 2 cpus less");
        assert_int_equal(explain(&w, 3).reason, QUEUE_REASON_GANG_TOO_LARGE);
        expect_sentence(&w, 3,
                "needs 5 cpus and 1 MiB of memory for each of 2 tasks at once: more than all machines have");
        world_done(&w);
        constraint_done(&constraints[0]);
        constraint_done(&constraints[1]);
}

/* Two racks for three tasks: the third waits for one of its own, a gang of three can never be, and neither stops others. */
static void test_distinct(void **state)
{
        struct machine_attribute racks[] = {{"rack", "r1"}, {"rack", "r1"}, {"rack", "r2"}};
        struct constraint rack = {}, other = {};
        struct queue_config c = config_of(QUEUE_FIFO);
        struct error e = {};
        struct world w;

        assert_int_equal(constraint_parse("distinct:rack", &rack, &e), 0);
        assert_int_equal(constraint_parse("distinct:other", &other, &e), 0);
        world_init(&w, &c);
        world_machine_with(&w, "h1", "cpus:4;mem:100", &racks[0], 1);
        world_machine_with(&w, "h2", "cpus:4;mem:100", &racks[1], 1);
        world_machine_with(&w, "h3", "cpus:4;mem:100", &racks[2], 1);
        world_submit_at(&w, 0, 100 * SECOND, "cpus:1;mem:1",
                (struct queue_job){.constraints = &rack,
                        .constraint_count = 1,
                        .count = 3,
                        .duration_ns = 100 * SECOND});
        world_submit_at(&w, 0, SECOND, "cpus:1;mem:1",
                (struct queue_job){.constraints = &rack, .constraint_count = 1, .count = 3, .gang = true});
        world_submit_at(&w, 0, SECOND, "cpus:1;mem:1",
                (struct queue_job){.constraints = &rack, .constraint_count = 1, .count = 2, .gang = true});
        world_submit_at(&w, 0, SECOND, "cpus:1;mem:1",
                (struct queue_job){.constraints = &other, .constraint_count = 1});
        world_submit_at(&w, 0, SECOND, "cpus:1;mem:1", (struct queue_job){});
        world_run_until(&w, 10);
        assert_int_equal(explain(&w, 1).reason, QUEUE_REASON_DISTINCT);
        assert_false(explain(&w, 1).has_expected_start);
        expect_sentence(&w, 1,
                "each of the 3 machines that could hold it is one that its own tasks exclude: distinct:rack");
        assert_int_equal(explain(&w, 2).reason, QUEUE_REASON_GANG_TOO_LARGE);
        expect_sentence(&w, 2,
                "needs 1 cpus and 1 MiB of memory for each of 3 tasks at once, and distinct machines for "
                "them: more than all machines have");
        assert_int_equal(explain(&w, 4).reason, QUEUE_REASON_CONSTRAINTS);
        assert_string_equal(explain(&w, 4).detail, "distinct:other");
        assert_float_equal(world_start(&w, 3), 0, 1e-6);
        assert_float_equal(world_start(&w, 5), 0, 1e-6);
        world_run_until(&w, 101);
        assert_int_equal(explain(&w, 1).reason, QUEUE_REASON_NONE);
        world_done(&w);
        constraint_done(&rack);
        constraint_done(&other);
}

/* The role may have 2 cpus: who needs 3, alone or as a gang, is told so and blocks nobody, until it may have more. */
static void test_limits(void **state)
{
        const struct queue_limit two[] = {{"mem", 1000}, {"cpus", 2000}}, three[] = {{"cpus", 3000}};
        struct queue_config c = config_of(QUEUE_FIFO);
        struct world w;

        world_init(&w, &c);
        queue_set_limits(w.queue, two, 2);
        world_machine(&w, "h1", "cpus:8;mem:100");
        world_submit_at(&w, 0, SECOND, "cpus:3", (struct queue_job){});
        world_submit_at(&w, 0, SECOND, "cpus:1", (struct queue_job){.count = 3, .gang = true});
        world_submit_at(&w, 0, SECOND, "cpus:2;mem:1", (struct queue_job){});
        world_submit_at(&w, 0, SECOND, "cpus:1;mem:2", (struct queue_job){});
        world_run_until(&w, 10);
        assert_int_equal(explain(&w, 1).reason, QUEUE_REASON_QUOTA);
        assert_true(queue_reason_lasts(QUEUE_REASON_QUOTA));
        expect_sentence(&w, 1, "the quota of its role allows 2 cpus in all, and a task needs 3 cpus");
        expect_sentence(
                &w, 2, "the quota of its role allows 2 cpus in all, and its 3 tasks need 3 cpus at once");
        expect_sentence(&w, 4,
                "the quota of its role allows 1 MiB of memory in all, and a task needs 2 MiB of memory");
        assert_float_equal(world_start(&w, 3), 0, 1e-6);
        queue_set_limits(w.queue, three, 1);
        assert_true(queue_wants_offers(w.queue));
        world_run_until(&w, 20);
        for (uint64_t job = 1; job <= 4; job++)
                assert_int_equal(explain(&w, job).reason, QUEUE_REASON_NONE);
        world_done(&w);
}

static void supply_three_cpus(void *userdata, const char *agent, struct resources *ret)
{
        struct error e = {};

        (void)userdata;
        if (strcmp(agent, "h1") == 0)
                assert_int_equal(resources_parse("cpus:3;mem:100", ret, &e), 0);
}

/* The queue holds no offers, as nothing waits: what could be offered decides whether a job would start. */
static void test_plan_of_an_idle_queue(void **state)
{
        const struct queue_supply supply = {.on = supply_three_cpus};
        struct queue_config c = config_of(QUEUE_FIFO);
        struct queue_job job = {.number = 7, .name = "n", .user = "u", .count = 3, .duration_ns = SECOND};
        struct queue_explanation x;
        struct world w;

        world_init(&w, &c);
        world_machine(&w, "h1", "cpus:4;mem:100");
        world_machine(&w, "h2", "cpus:4;mem:100");
        job.submitted.ns = w.now_ns;
        job.size = world_size("cpus:1;mem:1");
        job.gang = true;
        queue_plan(w.queue, &job, (struct wall_time){w.now_ns}, &supply, &x);
        assert_int_equal(x.reason, QUEUE_REASON_NONE);
        assert_int_equal(x.machines_free, 1);
        assert_int_equal(x.expected_start.ns, w.now_ns);
        assert_int_equal(x.expected_end.ns, w.now_ns + SECOND);
        job.count = 4;
        queue_plan(w.queue, &job, (struct wall_time){w.now_ns}, &supply, &x);
        assert_int_not_equal(x.reason, QUEUE_REASON_NONE);
        job.count = 1;
        resources_done(&job.size);
        job.size = world_size("cpus:4;mem:1");
        queue_plan(w.queue, &job, (struct wall_time){w.now_ns}, &supply, &x);
        assert_int_not_equal(x.reason, QUEUE_REASON_NONE);
        resources_done(&job.size);
        world_done(&w);
}

/* h1 has 2.5 of 4 cpus free until 720: the job that needs 4 lacks 1.5, and starts then. The next one needs 2 for long: it is behind. */
static void test_resources(void **state)
{
        struct queue_config c = config_of(QUEUE_FIFO);
        struct queue_explanation x;
        struct world w;

        world_init(&w, &c);
        world_machine(&w, "h1", "cpus:4;mem:100");
        world_submit_at(
                &w, 0, 720 * SECOND, "cpus:1.5;mem:1", (struct queue_job){.duration_ns = 720 * SECOND});
        world_submit_at(&w, 0, 60 * SECOND, "cpus:4;mem:1", (struct queue_job){.duration_ns = 60 * SECOND});
        world_submit_at(&w, 0, 900 * SECOND, "cpus:2;mem:1", (struct queue_job){.duration_ns = 900 * SECOND});
        world_run_until(&w, 0);
        x = explain(&w, 2);
        assert_int_equal(x.reason, QUEUE_REASON_RESOURCES);
        assert_string_equal(x.detail, "cpus");
        assert_int_equal(x.missing_milli, 1500);
        assert_string_equal(x.nearest, "h1");
        assert_int_equal(x.machines_large, 1);
        assert_int_equal(x.machines_free, 0);
        assert_int_equal(x.rank, 1);
        assert_int_equal(x.jobs, 2);
        assert_true(x.reserved);
        assert_int_equal(x.expected_end.ns, T0 + 780 * SECOND);
        expect_sentence(&w, 2,
                "needs 4 cpus and 1 MiB of memory free on one machine; h1 lacks least: 1.5 cpus more; "
                "expected to "
                "start in about 12m00s on h1, which is kept for it");
        x = explain(&w, 3);
        assert_int_equal(x.reason, QUEUE_REASON_BEHIND);
        assert_int_equal(x.blocking_job, 2);
        assert_int_equal(x.machines_free, 1);
        assert_int_equal(x.rank, 2);
        assert_int_equal(x.expected_start.ns, T0 + 780 * SECOND);
        world_run(&w);
        assert_float_equal(world_start(&w, 2), 720, 1e-6);
        assert_float_equal(world_start(&w, 3), 780, 1e-6);
        world_done(&w);
}

static void test_factors(void **state)
{
        struct queue_explanation x;
        struct queue_config c = config_of(QUEUE_SJF);
        struct world w;

        world_init(&w, &c);
        world_machine(&w, "h1", "cpus:1;mem:100");
        world_submit_at(&w, 0, 100 * SECOND, "cpus:1;mem:1", (struct queue_job){});
        world_submit_at(&w, 150, 100 * SECOND, "cpus:1;mem:1", (struct queue_job){});
        world_submit_at(&w, 200, 100 * SECOND, "cpus:1;mem:1", (struct queue_job){});
        world_submit_at(
                &w, 200, 100 * SECOND, "cpus:1;mem:1", (struct queue_job){.duration_ns = 50 * SECOND});
        world_submit_at(&w, 200, 100 * SECOND, "cpus:1;mem:1", (struct queue_job){.name = "new"});
        world_run_until(&w, 200);
        x = explain(&w, 3);
        assert_int_equal(x.factor_count, 3);
        assert_string_equal(x.factors[0].name, "aged");
        assert_string_equal(x.factors[0].value, "no");
        assert_string_equal(x.factors[1].name, "expected duration");
        assert_string_equal(x.factors[1].note, "mean of 1 earlier runs");
        assert_string_equal(x.factors[2].name, "arrival");
        assert_int_equal(x.rank, 2);
        x = explain(&w, 4);
        assert_string_equal(x.factors[1].value, "50.0s");
        assert_string_equal(x.factors[1].note, "declared");
        assert_int_equal(x.rank, 1);
        x = explain(&w, 5);
        assert_string_equal(x.factors[1].value, "not known: goes last");
        assert_int_equal(x.rank, 3);

        c.policy = QUEUE_PRIORITY;
        queue_configure(w.queue, &c);
        x = explain(&w, 5);
        assert_string_equal(x.factors[1].name, "priority");
        assert_int_equal(x.rank, 3);
        c.policy = QUEUE_FAIR;
        queue_configure(w.queue, &c);
        x = explain(&w, 3);
        assert_string_equal(x.factors[1].name, "usage");
        assert_int_equal(x.rank, 1);
        world_done(&w);
}

/* A plan tells the same as submitting would, and leaves nothing behind. */
static void test_plan(void **state)
{
        struct queue_config c = config_of(QUEUE_PRIORITY);
        struct queue_explanation planned, x;
        struct queue_job job = {.number = 7, .name = "n", .user = "u", .count = 1, .priority = 900};
        struct error e = {};
        struct world w;
        size_t memory;

        c.preemption = QUEUE_PREEMPT_SUSPEND;
        world_init(&w, &c);
        world_machine(&w, "h1", "cpus:4;mem:100");
        world_submit_at(&w, 0, 500 * SECOND, "cpus:4;mem:1",
                (struct queue_job){.duration_ns = 500 * SECOND, .priority = 100, .preemptible = true});
        world_submit_at(&w, 0, 500 * SECOND, "cpus:4;mem:1",
                (struct queue_job){.duration_ns = 500 * SECOND, .priority = 100});
        world_run_until(&w, 100);
        memory = queue_memory(w.queue);
        job.size = world_size("cpus:2;mem:1");
        job.submitted.ns = w.now_ns;
        queue_plan(w.queue, &job, (struct wall_time){w.now_ns}, NULL, &planned);
        assert_int_equal(queue_memory(w.queue), memory);
        assert_int_equal(queue_check(w.queue, &e), 0);
        assert_null(queue_find_job(w.queue, 7));
        assert_int_equal(planned.rank, 1);
        assert_int_equal(planned.victim_count, 1);
        assert_int_equal(planned.victims[0].job, 1);
        assert_int_equal(planned.victims[0].how, QUEUE_SUSPEND);
        assert_true(planned.has_expected_start && planned.expected_start.ns == w.now_ns);
        assert_int_equal(queue_add_job(w.queue, &job), 0);
        assert_int_equal(queue_add_job(w.queue, &job), -EEXIST);
        queue_tasks_wait(w.queue, 7, 0, 1, (struct wall_time){});
        x = explain(&w, 7);
        assert_memory_equal(&x, &planned, offsetof(struct queue_explanation, factors));
        resources_done(&job.size);
        world_done(&w);
}

static void test_maintenance(void **state)
{
        struct queue_config c = config_of(QUEUE_FIFO);
        struct world w;

        world_init(&w, &c);
        world_machine(&w, "h1", "cpus:4;mem:100");
        machines_set_window(w.machines, "h1", (struct wall_time){T0 + 1800 * SECOND},
                (struct wall_time){T0 + 3600 * SECOND});
        world_submit_at(&w, 0, 60 * SECOND, "cpus:1;mem:1", (struct queue_job){.name = "unknown"});
        world_submit_at(
                &w, 0, 1900 * SECOND, "cpus:1;mem:1", (struct queue_job){.duration_ns = 1900 * SECOND});
        world_submit_at(
                &w, 0, 1700 * SECOND, "cpus:1;mem:1", (struct queue_job){.duration_ns = 1700 * SECOND});
        world_run_until(&w, 0);
        assert_int_equal(world_task(&w, 3, 0)->state, WORLD_RUNNING);
        assert_int_equal(explain(&w, 1).reason, QUEUE_REASON_MAINTENANCE);
        assert_int_equal(explain(&w, 2).when.ns, T0 + 3600 * SECOND);
        expect_sentence(&w, 2,
                "would run into the maintenance of all machines that could hold it; the first is over in "
                "about 1h00m");
        w.now_ns = T0 + 3600 * SECOND;
        world_run(&w);
        assert_float_equal(world_start(&w, 1), 3600, 1e-6);
        assert_float_equal(world_start(&w, 2), 3600, 1e-6);
        world_done(&w);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_states),
                cmocka_unit_test(test_machines),
                cmocka_unit_test(test_distinct),
                cmocka_unit_test(test_limits),
                cmocka_unit_test(test_plan_of_an_idle_queue),
                cmocka_unit_test(test_resources),
                cmocka_unit_test(test_factors),
                cmocka_unit_test(test_plan),
                cmocka_unit_test(test_maintenance),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
