/*
 * Rules that only show where two of them meet: each case is worked by hand, and would come out otherwise if one condition were left out.
 * Durations are known unless it is said.
 */
#include "tests/unit/master/queue/world.h"

static struct queue_config config_of(enum queue_policy policy)
{
        struct queue_config c;

        queue_config_default(&c);
        c.policy = policy;
        return c;
}

static struct queue_config preempting(enum queue_policy policy)
{
        struct queue_config c = config_of(policy);

        c.preemption = QUEUE_PREEMPT_SUSPEND;
        return c;
}

/* Gives way. */
static void soft(struct world *w, uint64_t at, uint64_t seconds, const char *size, uint32_t priority)
{
        world_submit_at(w, at, seconds * SECOND, size,
                (struct queue_job){
                        .duration_ns = seconds * SECOND, .priority = priority, .preemptible = true});
}

static void hard(struct world *w, uint64_t at, uint64_t seconds, const char *size, uint32_t priority)
{
        world_submit_at(w, at, seconds * SECOND, size,
                (struct queue_job){.duration_ns = seconds * SECOND, .priority = priority});
}

static void gang(struct world *w, uint64_t at, uint64_t seconds, const char *size, uint32_t count,
        const struct constraint *constraint)
{
        world_submit_at(w, at, seconds * SECOND, size,
                (struct queue_job){.duration_ns = seconds * SECOND,
                        .gang = true,
                        .count = count,
                        .constraints = constraint,
                        .constraint_count = constraint != NULL});
}

static void expect_promise(struct world *w, uint64_t job, double seconds)
{
        struct queue_explanation x;

        assert_int_equal(queue_explain(w->queue, job, (struct wall_time){w->now_ns}, &x), 0);
        assert_true(x.has_expected_start);
        assert_float_equal((double)(x.expected_start.ns - T0) / SECOND, seconds, 1e-6);
}

/* ---- what is promised to the head ---- */

/* 1 and 2 end together: the head needs what one of them has, and the other's is left over for whoever fits now. */
static void test_ends_at_the_same_time(void **state)
{
        struct queue_config c = config_of(QUEUE_FIFO);
        struct world w;

        world_init(&w, &c);
        world_machine(&w, "h1", "cpus:5;mem:100");
        hard(&w, 0, 10, "cpus:2;mem:1", 0);
        hard(&w, 0, 10, "cpus:2;mem:1", 0);
        hard(&w, 0, 10, "cpus:3;mem:1", 0);
        hard(&w, 0, 50, "cpus:1;mem:1", 0);
        world_run(&w);
        assert_float_equal(world_start(&w, 3), 10, 1e-6);
        assert_float_equal(world_start(&w, 4), 0, 1e-6);
        world_done(&w);
}

/* Two cpus are left over by the head. A gang of three does not get them: then the next one may have them, all. */
static void test_a_gang_that_fails_takes_nothing(void **state)
{
        struct queue_config c = config_of(QUEUE_FIFO);
        struct world w;

        world_init(&w, &c);
        world_machine(&w, "h1", "cpus:8;mem:100");
        hard(&w, 0, 10, "cpus:5;mem:1", 0);
        hard(&w, 0, 10, "cpus:6;mem:1", 0);
        gang(&w, 0, 50, "cpus:1;mem:1", 3, NULL);
        hard(&w, 0, 50, "cpus:2;mem:1", 0);
        world_run(&w);
        assert_float_equal(world_start(&w, 2), 10, 1e-6);
        assert_float_equal(world_start(&w, 4), 0, 1e-6);
        world_done(&w);
}

/* And one that succeeds takes its part once: of three that are left over, one more is there. */
static void test_a_gang_that_starts_takes_its_part_once(void **state)
{
        struct queue_config c = config_of(QUEUE_FIFO);
        struct world w;

        world_init(&w, &c);
        world_machine(&w, "h1", "cpus:8;mem:100");
        hard(&w, 0, 10, "cpus:5;mem:1", 0);
        hard(&w, 0, 10, "cpus:5;mem:1", 0);
        gang(&w, 0, 50, "cpus:1;mem:1", 2, NULL);
        hard(&w, 0, 50, "cpus:1;mem:1", 0);
        world_run(&w);
        assert_float_equal(world_start(&w, 2), 10, 1e-6);
        assert_float_equal(world_start(&w, 3), 0, 1e-6);
        assert_float_equal(world_start(&w, 4), 0, 1e-6);
        world_done(&w);
}

/* h1 is free at 10, but the head would not end before its maintenance at 30: it waits for h2, and h1 is for others until then. */
static void test_no_promise_into_maintenance(void **state)
{
        struct queue_config c = config_of(QUEUE_FIFO);
        struct world w;

        world_init(&w, &c);
        world_machine(&w, "h1", "cpus:4;mem:100");
        world_machine(&w, "h2", "cpus:4;mem:100");
        assert_int_equal(machines_set_window(w.machines, "h1", (struct wall_time){T0 + 30 * SECOND},
                                 (struct wall_time){T0 + 1000 * SECOND}),
                0);
        hard(&w, 0, 10, "cpus:4;mem:1", 0);
        hard(&w, 0, 30, "cpus:4;mem:1", 0);
        hard(&w, 1, 25, "cpus:4;mem:1", 0);
        hard(&w, 2, 15, "cpus:4;mem:1", 0);
        world_run_until(&w, 5);
        /* Which of the two runs where is for the queue to say: the one of 30 s cannot end on h1 in time either. */
        assert_string_equal(world_task(&w, 1, 0)->machine->id, "h1");
        expect_promise(&w, 3, 30);
        world_run_until(&w, 100);
        assert_float_equal(world_start(&w, 4), 10, 1e-6);
        assert_float_equal(world_start(&w, 3), 30, 1e-6);
        world_done(&w);
}

/* The same for a gang: at 20 it could be on h1 and h2, but h1 is repaired from 30 on. */
static void test_no_promise_to_a_gang_into_maintenance(void **state)
{
        static const char *const ids[] = {"h1", "h2", "h3"};
        static const uint64_t lengths[] = {10, 20, 25};
        struct queue_config c = config_of(QUEUE_FIFO);
        struct constraint on[3] = {};
        struct world w;

        world_init(&w, &c);
        for (size_t i = 0; i < 3; i++) {
                _cleanup_free_ char *text = xasprintf("hostname=%s", ids[i]);

                assert_int_equal(constraint_parse(text, &on[i], NULL), 0);
                world_machine(&w, ids[i], "cpus:4;mem:100");
                world_submit_at(&w, 0, lengths[i] * SECOND, "cpus:4;mem:1",
                        (struct queue_job){.duration_ns = lengths[i] * SECOND,
                                .constraints = &on[i],
                                .constraint_count = 1});
        }
        gang(&w, 1, 15, "cpus:4;mem:1", 2, NULL);
        assert_int_equal(machines_set_window(w.machines, "h1", (struct wall_time){T0 + 30 * SECOND},
                                 (struct wall_time){T0 + 1000 * SECOND}),
                0);
        world_run_until(&w, 5);
        expect_promise(&w, 4, 25);
        world_run_until(&w, 100);
        assert_float_equal(world_start(&w, 4), 25, 1e-6);
        world_done(&w);
        for (size_t i = 0; i < 3; i++)
                constraint_done(&on[i]);
}

/* Two of a gang fit on h1 at 10, but they want different machines: they have them at 20. */
static void test_a_gang_apart(void **state)
{
        struct queue_config c = config_of(QUEUE_FIFO);
        struct constraint distinct = {};
        struct world w;

        assert_int_equal(constraint_parse("distinct:hostname", &distinct, NULL), 0);
        world_init(&w, &c);
        world_machine(&w, "h1", "cpus:2;mem:100");
        world_machine(&w, "h2", "cpus:2;mem:100");
        hard(&w, 0, 10, "cpus:2;mem:1", 0);
        hard(&w, 0, 20, "cpus:2;mem:1", 0);
        gang(&w, 1, 10, "cpus:1;mem:1", 2, &distinct);
        world_run_until(&w, 5);
        expect_promise(&w, 3, 20);
        world_run(&w);
        assert_float_equal(world_start(&w, 3), 20, 1e-6);
        world_done(&w);
        constraint_done(&distinct);
}

/* ---- what is promised to those that are frozen ---- */

/* 1 gave way and may not again. If it went on at 60 it would keep the head, which was promised 100, waiting for 900 s more. */
static void test_who_goes_on_does_not_delay_the_head(void **state)
{
        struct queue_config c = preempting(QUEUE_PRIORITY);
        struct world w;

        c.preemptions_max = 1;
        world_init(&w, &c);
        world_machine(&w, "h1", "cpus:4;mem:100");
        soft(&w, 0, 1000, "cpus:2;mem:1", 100);
        hard(&w, 0, 100, "cpus:2;mem:1", 500);
        hard(&w, 40, 20, "cpus:2;mem:1", 900);
        hard(&w, 50, 20, "cpus:4;mem:1", 900);
        world_run(&w);
        assert_float_equal(world_start(&w, 3), 40, 1e-6);
        assert_float_equal(world_start(&w, 4), 100, 1e-6);
        assert_float_equal(world_end(&w, 2), 100, 1e-6);
        assert_float_equal(world_end(&w, 1), 1080, 1e-6);
        world_done(&w);
}

/* The head (4) leaves two cpus over at 100. 1 goes on with them at 50: nothing is left over for the last one. */
static void test_who_goes_on_uses_up_what_is_left_over(void **state)
{
        struct queue_config c = preempting(QUEUE_PRIORITY);
        struct world w;

        c.preemptions_max = 1;
        world_init(&w, &c);
        world_machine(&w, "h1", "cpus:7;mem:100");
        hard(&w, 0, 100, "cpus:4;mem:1", 500);
        soft(&w, 0, 1000, "cpus:2;mem:1", 100);
        hard(&w, 40, 10, "cpus:3;mem:1", 900);
        hard(&w, 45, 50, "cpus:5;mem:1", 900);
        hard(&w, 45, 300, "cpus:1;mem:1", 100);
        world_run_until(&w, 60);
        assert_int_equal(world_task(&w, 2, 0)->state, WORLD_RUNNING);
        world_run(&w);
        assert_float_equal(world_start(&w, 4), 100, 1e-6);
        assert_true(world_start(&w, 5) >= 150);
        world_done(&w);
}

/* The machine is promised twice: to 1, which is frozen until 60, and to the head, which leaves one cpu over. 1 leaves none. */
static void test_all_promises_of_a_machine_count(void **state)
{
        struct queue_config c = preempting(QUEUE_PRIORITY);
        struct world w;

        world_init(&w, &c);
        world_machine(&w, "h1", "cpus:4;mem:100");
        soft(&w, 0, 100, "cpus:4;mem:1", 500);
        hard(&w, 40, 20, "cpus:2;mem:1", 900);
        hard(&w, 41, 50, "cpus:3;mem:1", 400);
        hard(&w, 42, 300, "cpus:1;mem:1", 100);
        world_run(&w);
        assert_float_equal(world_end(&w, 1), 120, 1e-6);
        assert_float_equal(world_start(&w, 3), 120, 1e-6);
        world_done(&w);
}

/* 3 could have h1 at 60, but that is promised to 1. It is promised h2, at 80, and whoever would be in its way there waits. */
static void test_the_head_goes_where_nothing_is_promised(void **state)
{
        struct queue_config c = preempting(QUEUE_PRIORITY);
        struct constraint one = {}, two = {};
        struct world w;

        assert_int_equal(constraint_parse("hostname=h1", &one, NULL), 0);
        assert_int_equal(constraint_parse("hostname=h2", &two, NULL), 0);
        world_init(&w, &c);
        world_machine(&w, "h1", "cpus:4;mem:100");
        world_machine(&w, "h2", "cpus:4;mem:100");
        world_submit_at(&w, 0, 1000 * SECOND, "cpus:4;mem:1",
                (struct queue_job){.duration_ns = 1000 * SECOND,
                        .priority = 500,
                        .preemptible = true,
                        .constraints = &one,
                        .constraint_count = 1});
        world_submit_at(&w, 0, 80 * SECOND, "cpus:3;mem:1",
                (struct queue_job){.duration_ns = 80 * SECOND,
                        .priority = 950,
                        .constraints = &two,
                        .constraint_count = 1});
        hard(&w, 40, 20, "cpus:4;mem:1", 900);
        hard(&w, 41, 50, "cpus:4;mem:1", 400);
        hard(&w, 42, 300, "cpus:1;mem:1", 100);
        world_run_until(&w, 50);
        assert_int_equal(world_task(&w, 1, 0)->state, WORLD_SUSPENDED);
        expect_promise(&w, 4, 80);
        world_run(&w);
        assert_float_equal(world_start(&w, 4), 80, 1e-6);
        assert_float_equal(world_end(&w, 1), 1020, 1e-6);
        world_done(&w);
        constraint_done(&one);
        constraint_done(&two);
}

/* ---- who waited too long ---- */

static struct queue_config ageing(void)
{
        struct queue_config c = preempting(QUEUE_PRIORITY);

        c.ageing_ns = 100 * SECOND;
        return c;
}

/* At 120 two want the machine: 1, frozen for 30 s, and 2, unimportant, but waiting for 120 s. */
static void test_aged_goes_before_frozen(void **state)
{
        struct queue_config c = ageing();
        struct world w;

        world_init(&w, &c);
        world_machine(&w, "h1", "cpus:2;mem:100");
        soft(&w, 0, 1000, "cpus:2;mem:1", 500);
        hard(&w, 0, 10, "cpus:2;mem:1", 1);
        hard(&w, 90, 30, "cpus:2;mem:1", 900);
        world_run(&w);
        assert_float_equal(world_start(&w, 2), 120, 1e-6);
        assert_float_equal(world_end(&w, 1), 1040, 1e-6);
        world_done(&w);
}

/* The same, but the frozen one waited too long as well: then who came first. */
static void test_of_two_aged_the_first_that_came(void **state)
{
        struct queue_config c = ageing();
        struct world w;

        world_init(&w, &c);
        world_machine(&w, "h1", "cpus:2;mem:100");
        hard(&w, 0, 10, "cpus:2;mem:1", 1);
        soft(&w, 0, 1000, "cpus:2;mem:1", 500);
        hard(&w, 40, 150, "cpus:2;mem:1", 900);
        world_run(&w);
        assert_float_equal(world_start(&w, 3), 40, 1e-6);
        assert_float_equal(world_start(&w, 1), 190, 1e-6);
        assert_float_equal(world_end(&w, 2), 1160, 1e-6);
        world_done(&w);
}

/* Who is frozen ages too: after 40-160 it goes on, though more important ones wait, and is not stopped again. */
static void test_the_frozen_age(void **state)
{
        struct queue_config c = ageing();
        struct world w;

        c.preemptions_max = 1;
        world_init(&w, &c);
        world_machine(&w, "h1", "cpus:1;mem:100");
        soft(&w, 0, 100, "cpus:1;mem:1", 500);
        for (uint64_t at = 40; at <= 70; at += 10)
                hard(&w, at, 60, "cpus:1;mem:1", 900);
        world_run(&w);
        assert_float_equal(world_start(&w, 2), 40, 1e-6);
        assert_float_equal(world_end(&w, 1), 220, 1e-6);
        world_done(&w);
}

/* 1 froze at 40 for 2, which froze at 120. At 170 there is room for one: the one that waited too long, though it is less important. */
static void test_of_two_frozen_the_aged_one(void **state)
{
        struct queue_config c = ageing();
        struct world w;

        world_init(&w, &c);
        world_machine(&w, "h1", "cpus:2;mem:100");
        soft(&w, 0, 1000, "cpus:2;mem:1", 100);
        soft(&w, 40, 1000, "cpus:2;mem:1", 300);
        hard(&w, 120, 50, "cpus:2;mem:1", 900);
        world_run_until(&w, 175);
        assert_float_equal(world_end(&w, 3), 170, 1e-6);
        assert_int_equal(world_task(&w, 1, 0)->state, WORLD_RUNNING);
        assert_int_equal(world_task(&w, 2, 0)->state, WORLD_SUSPENDED);
        world_done(&w);
}

/* 2 starts at 150, because it waited too long. 3 comes at 200: more important, but it has not waited. */
static void test_who_started_by_age_is_not_stopped(void **state)
{
        struct queue_config c = ageing();
        struct world w;

        world_init(&w, &c);
        world_machine(&w, "h1", "cpus:2;mem:100");
        hard(&w, 0, 150, "cpus:2;mem:1", 500);
        soft(&w, 0, 90, "cpus:2;mem:1", 1);
        hard(&w, 140, 10, "cpus:2;mem:1", 400);
        hard(&w, 185, 10, "cpus:2;mem:1", 900);
        world_run(&w);
        assert_float_equal(world_start(&w, 2), 150, 1e-6);
        assert_float_equal(world_end(&w, 2), 240, 1e-6);
        assert_int_equal(w.suspensions, 0);
        world_done(&w);
}

/* 2 waited too long and is promised the machine at 1000: nobody is stopped for a more important one at its cost. */
static void test_what_age_was_promised_is_kept(void **state)
{
        struct queue_config c = ageing();
        struct world w;

        world_init(&w, &c);
        world_machine(&w, "h1", "cpus:4;mem:100");
        soft(&w, 0, 1000, "cpus:3;mem:1", 100);
        hard(&w, 0, 10, "cpus:4;mem:1", 1);
        world_run_until(&w, 150);
        expect_promise(&w, 2, 1000);
        hard(&w, 151, 10, "cpus:3;mem:1", 900);
        world_run(&w);
        assert_float_equal(world_start(&w, 2), 1000, 1e-6);
        assert_int_equal(w.suspensions, 0);
        world_done(&w);
}

/* ---- who gives way ---- */

/* Both are enough alone; the less important one goes, whoever came first. */
static void test_the_less_important_gives_way(void **state)
{
        for (int swapped = 0; swapped < 2; swapped++) {
                struct queue_config c = preempting(QUEUE_PRIORITY);
                struct world w;

                world_init(&w, &c);
                world_machine(&w, "h1", "cpus:4;mem:100");
                soft(&w, 0, 500, "cpus:2;mem:1", swapped ? 100 : 300);
                soft(&w, 0, 500, "cpus:2;mem:1", swapped ? 300 : 100);
                hard(&w, 40, 10, "cpus:2;mem:1", 900);
                world_run_until(&w, 45);
                assert_int_equal(world_task(&w, swapped ? 1 : 2, 0)->state, WORLD_SUSPENDED);
                assert_int_equal(world_task(&w, swapped ? 2 : 1, 0)->state, WORLD_RUNNING);
                world_done(&w);
        }
}

/* One of two would have to be frozen that needs only 5 s more, less than it takes to be worth it: it ends, then the other gives way. */
static void test_who_ends_soon_is_left_alone(void **state)
{
        struct queue_config c = preempting(QUEUE_PRIORITY);
        struct world w;

        world_init(&w, &c);
        world_machine(&w, "h1", "cpus:4;mem:100");
        soft(&w, 0, 100, "cpus:2;mem:1", 100);
        soft(&w, 0, 500, "cpus:2;mem:1", 100);
        hard(&w, 95, 50, "cpus:4;mem:1", 900);
        world_run(&w);
        assert_float_equal(world_end(&w, 1), 100, 1e-6);
        assert_float_equal(world_start(&w, 3), 100, 1e-6);
        assert_int_equal(world_task(&w, 1, 0)->preemptions, 0);
        assert_int_equal(world_task(&w, 2, 0)->preemptions, 1);
        world_done(&w);
}

/* Four cpus are needed: those of 2 and 3 are enough, so that 1 goes on, though it would be the first to be asked. */
static void test_nobody_gives_way_for_nothing(void **state)
{
        struct queue_config c = preempting(QUEUE_PRIORITY);
        struct world w;

        world_init(&w, &c);
        world_machine(&w, "h1", "cpus:5;mem:100");
        soft(&w, 0, 900, "cpus:1;mem:1", 100);
        soft(&w, 0, 500, "cpus:2;mem:1", 100);
        soft(&w, 0, 500, "cpus:2;mem:1", 100);
        hard(&w, 40, 10, "cpus:4;mem:1", 900);
        world_run_until(&w, 45);
        assert_float_equal(world_start(&w, 4), 40, 1e-6);
        assert_int_equal(w.suspensions, 2);
        assert_int_equal(world_task(&w, 1, 0)->state, WORLD_RUNNING);
        world_done(&w);
}

/* Shortest remaining time: 1 has 5 s left, less than 3 takes, so it stays, whatever it took in all. */
static void test_srtf_counts_what_remains(void **state)
{
        struct queue_config c = preempting(QUEUE_SRTF);
        struct world w;

        c.min_gain_ns = SECOND;
        world_init(&w, &c);
        world_machine(&w, "h1", "cpus:4;mem:100");
        soft(&w, 0, 100, "cpus:2;mem:1", 0);
        soft(&w, 0, 300, "cpus:2;mem:1", 0);
        hard(&w, 95, 10, "cpus:4;mem:1", 0);
        world_run(&w);
        assert_float_equal(world_end(&w, 1), 100, 1e-6);
        assert_float_equal(world_start(&w, 3), 100, 1e-6);
        assert_int_equal(world_task(&w, 2, 0)->preemptions, 1);
        world_done(&w);
}

/* 3 would gain 15 s; 1 and 2 would lose 10 s each: the mean grows, so it is not done. */
static void test_srtf_counts_what_the_others_lose(void **state)
{
        struct queue_config c = preempting(QUEUE_SRTF);
        struct world w;

        c.min_gain_ns = SECOND;
        world_init(&w, &c);
        world_machine(&w, "h1", "cpus:2;mem:100");
        soft(&w, 0, 100, "cpus:1;mem:1", 0);
        soft(&w, 0, 100, "cpus:1;mem:1", 0);
        hard(&w, 85, 10, "cpus:2;mem:1", 0);
        world_run(&w);
        assert_int_equal(w.suspensions, 0);
        assert_float_equal(world_start(&w, 3), 100, 1e-6);
        world_done(&w);
}

/* Of two that are frozen the one with less left goes on first: 2, frozen at 80 with 460 s left, ends at 640. */
static void test_srtf_goes_on_with_the_shortest(void **state)
{
        struct queue_config c = preempting(QUEUE_SRTF);
        struct world w;

        world_init(&w, &c);
        world_machine(&w, "h1", "cpus:2;mem:100");
        soft(&w, 0, 1000, "cpus:2;mem:1", 0);
        soft(&w, 40, 500, "cpus:2;mem:1", 0);
        hard(&w, 80, 100, "cpus:2;mem:1", 0);
        world_run(&w);
        assert_float_equal(world_end(&w, 3), 180, 1e-6);
        assert_float_equal(world_end(&w, 2), 640, 1e-6);
        assert_float_equal(world_end(&w, 1), 1600, 1e-6);
        world_done(&w);
}

/* First come, first served also holds for one that was frozen under another policy. */
static void test_fifo_goes_on_with_the_first(void **state)
{
        struct queue_config c = preempting(QUEUE_PRIORITY);
        struct world w;

        world_init(&w, &c);
        world_machine(&w, "h1", "cpus:2;mem:100");
        soft(&w, 0, 100, "cpus:2;mem:1", 100);
        hard(&w, 40, 10, "cpus:2;mem:1", 900);
        hard(&w, 45, 10, "cpus:2;mem:1", 100);
        world_run_until(&w, 46);
        c.policy = QUEUE_FIFO;
        queue_configure(w.queue, &c);
        world_run(&w);
        assert_float_equal(world_end(&w, 1), 110, 1e-6);
        assert_float_equal(world_start(&w, 3), 110, 1e-6);
        world_done(&w);
}

/* ---- what is expected of those that were frozen ---- */

/* 1 ran 0-40 and goes on at 50: 60 s are left, so the next one is promised 110. */
static void test_the_end_of_who_went_on(void **state)
{
        struct queue_config c = preempting(QUEUE_PRIORITY);
        struct world w;

        world_init(&w, &c);
        world_machine(&w, "h1", "cpus:2;mem:100");
        soft(&w, 0, 100, "cpus:2;mem:1", 500);
        hard(&w, 40, 10, "cpus:2;mem:1", 900);
        hard(&w, 60, 10, "cpus:2;mem:1", 100);
        world_run_until(&w, 70);
        expect_promise(&w, 3, 110);
        world_run(&w);
        assert_float_equal(world_start(&w, 3), 110, 1e-6);
        world_done(&w);
}

/* At 700 both are frozen: 1 with 300 s left of 1000, 2 with 400 of 500. At 750 there is room for one of them: 1. */
static void test_srtf_knows_what_is_left_of_the_frozen(void **state)
{
        struct queue_config c = preempting(QUEUE_SRTF);
        struct world w;

        world_init(&w, &c);
        world_machine(&w, "h1", "cpus:4;mem:100");
        soft(&w, 0, 1000, "cpus:2;mem:1", 0);
        soft(&w, 600, 500, "cpus:2;mem:1", 0);
        hard(&w, 700, 50, "cpus:4;mem:1", 0);
        hard(&w, 710, 20, "cpus:2;mem:1", 0);
        world_run_until(&w, 760);
        assert_float_equal(world_start(&w, 3), 700, 1e-6);
        assert_float_equal(world_start(&w, 4), 750, 1e-6);
        assert_int_equal(world_task(&w, 1, 0)->state, WORLD_RUNNING);
        assert_int_equal(world_task(&w, 2, 0)->state, WORLD_SUSPENDED);
        world_done(&w);
}

/* ---- what a job loses and keeps ---- */

static void expect_aged(struct world *w, uint64_t job, const char *value)
{
        struct queue_explanation x;

        assert_int_equal(queue_explain(w->queue, job, (struct wall_time){w->now_ns}, &x), 0);
        assert_string_equal(x.factors[0].name, "aged");
        assert_string_equal(x.factors[0].value, value);
}

/* Who is held after it waited too long begins to wait anew. */
static void test_who_is_held_is_not_aged(void **state)
{
        struct queue_config c = ageing();
        struct world w;

        world_init(&w, &c);
        world_machine(&w, "h1", "cpus:2;mem:100");
        hard(&w, 0, 1000, "cpus:2;mem:1", 500);
        hard(&w, 0, 10, "cpus:2;mem:1", 1);
        world_run_until(&w, 150);
        expect_aged(&w, 2, "yes");
        queue_hold_job(w.queue, 2, true);
        world_run_until(&w, 160);
        queue_hold_job(w.queue, 2, false);
        world_run_until(&w, 170);
        expect_aged(&w, 2, "no");
        world_run_until(&w, 265);
        expect_aged(&w, 2, "yes");
        world_done(&w);
}

/* A policy without ageing forgets who had aged. */
static void test_without_ageing_nobody_is_aged(void **state)
{
        struct queue_config c = ageing();
        struct world w;

        world_init(&w, &c);
        world_machine(&w, "h1", "cpus:2;mem:100");
        hard(&w, 0, 200, "cpus:2;mem:1", 500);
        hard(&w, 0, 10, "cpus:2;mem:1", 1);
        hard(&w, 140, 10, "cpus:2;mem:1", 400);
        world_run_until(&w, 150);
        expect_aged(&w, 2, "yes");
        c.ageing_ns = 0;
        queue_configure(w.queue, &c);
        world_run(&w);
        assert_float_equal(world_start(&w, 3), 200, 1e-6);
        assert_float_equal(world_start(&w, 2), 210, 1e-6);
        world_done(&w);
}

/* A gang has to begin together. What of it begins again does so one by one: there is room for one. */
static void test_a_gang_begins_once(void **state)
{
        const struct queue_decision first = {.kind = QUEUE_REQUEUE, .job = 1, .index = 0},
                                    second = {.kind = QUEUE_REQUEUE, .job = 1, .index = 1};
        struct queue_config c = config_of(QUEUE_PRIORITY);
        struct world w;

        world_init(&w, &c);
        world_machine(&w, "h1", "cpus:3;mem:100");
        gang(&w, 0, 1000, "cpus:1;mem:1", 3, NULL);
        world_run_until(&w, 5);
        world_requeue(&w, &first);
        world_requeue(&w, &second);
        hard(&w, 5, 100, "cpus:1;mem:1", 900);
        world_run_until(&w, 6);
        assert_int_equal(world_task(&w, 2, 0)->state, WORLD_RUNNING);
        assert_int_equal(world_task(&w, 1, 0)->state, WORLD_RUNNING);
        assert_int_equal(world_task(&w, 1, 1)->state, WORLD_WAITING);
        world_run(&w);
        world_done(&w);
}

/* Told twice of the same end, it still waits for the other. */
static void test_a_dependency_counts_once(void **state)
{
        const struct queue_dependency after[] = {{.job = 101}, {.job = 102}};
        struct queue_config c = config_of(QUEUE_FIFO);
        struct world w;

        world_init(&w, &c);
        world_machine(&w, "h1", "cpus:2;mem:100");
        world_submit_at(&w, 0, 10 * SECOND, "cpus:1;mem:1",
                (struct queue_job){.duration_ns = 10 * SECOND, .after = after, .after_count = 2});
        world_run_until(&w, 1);
        queue_satisfy(w.queue, 1, 101);
        queue_satisfy(w.queue, 1, 101);
        world_run_until(&w, 2);
        assert_int_equal(world_task(&w, 1, 0)->state, WORLD_WAITING);
        queue_satisfy(w.queue, 1, 102);
        world_run_until(&w, 3);
        assert_int_equal(world_task(&w, 1, 0)->state, WORLD_RUNNING);
        world_done(&w);
}

/* ---- giving way takes time ---- */

/* One pass that is not carried out. */
static size_t victims_of_a_pass(struct world *w)
{
        struct queue_decisions d;
        size_t n = 0;

        queue_schedule(w->queue, (struct wall_time){w->now_ns}, &d);
        for (size_t i = 0; i < d.count; i++)
                n += d.items[i].kind == QUEUE_SUSPEND;
        queue_decisions_done(&d);
        return n;
}

/* While one is about to give way nobody else is asked for the same job, however long it takes. */
static void test_one_is_asked_once(void **state)
{
        struct queue_config c = preempting(QUEUE_PRIORITY);
        struct world w;

        world_init(&w, &c);
        world_machine(&w, "h1", "cpus:2;mem:100");
        world_machine(&w, "h2", "cpus:2;mem:100");
        soft(&w, 0, 1000, "cpus:2;mem:1", 100);
        soft(&w, 0, 1000, "cpus:2;mem:1", 100);
        hard(&w, 40, 10, "cpus:2;mem:1", 900);
        world_run_until(&w, 39);
        w.now_ns = T0 + 40 * SECOND;
        world_arrive(&w);
        assert_int_equal(victims_of_a_pass(&w), 1);
        assert_int_equal(victims_of_a_pass(&w), 0);
        w.now_ns += 10 * SECOND;
        assert_int_equal(victims_of_a_pass(&w), 0);
        world_done(&w);
}

/* Who was just told to go on, and has not said that it does, is not stopped. */
static void test_who_is_about_to_go_on_is_not_stopped(void **state)
{
        struct queue_config c = preempting(QUEUE_PRIORITY);
        struct world w;

        c.grace_ns = 0;
        world_init(&w, &c);
        world_machine(&w, "h1", "cpus:2;mem:100");
        soft(&w, 0, 1000, "cpus:2;mem:1", 100);
        hard(&w, 40, 10, "cpus:2;mem:1", 900);
        hard(&w, 50, 10, "cpus:2;mem:1", 900);
        world_run_until(&w, 49);
        w.now_ns = T0 + 50 * SECOND;
        world_end_tasks(&w);
        world_offer_all(&w);
        assert_int_equal(victims_of_a_pass(&w), 0); /* that is when it was told */
        world_arrive(&w);
        w.now_ns += SECOND;
        assert_int_equal(victims_of_a_pass(&w), 0);
        queue_task_resumed(w.queue, 1, 0, (struct wall_time){w.now_ns});
        w.now_ns += SECOND;
        assert_int_equal(victims_of_a_pass(&w), 1);
        world_done(&w);
}

/* What is free on h1 is promised to 3: the gang cannot have it, so nobody on h2 gives way for its other half. */
static void test_nobody_gives_way_beside_a_promise(void **state)
{
        struct queue_config c = preempting(QUEUE_PRIORITY);
        struct constraint one = {}, two = {};
        struct world w;

        assert_int_equal(constraint_parse("hostname=h1", &one, NULL), 0);
        assert_int_equal(constraint_parse("hostname=h2", &two, NULL), 0);
        world_init(&w, &c);
        world_machine(&w, "h1", "cpus:4;mem:100");
        world_machine(&w, "h2", "cpus:2;mem:100");
        world_submit_at(&w, 0, 100 * SECOND, "cpus:2;mem:1",
                (struct queue_job){.duration_ns = 100 * SECOND,
                        .priority = 900,
                        .constraints = &one,
                        .constraint_count = 1});
        world_submit_at(&w, 0, 1000 * SECOND, "cpus:2;mem:1",
                (struct queue_job){.duration_ns = 1000 * SECOND,
                        .priority = 100,
                        .preemptible = true,
                        .constraints = &two,
                        .constraint_count = 1});
        hard(&w, 40, 50, "cpus:4;mem:1", 900);
        world_submit_at(&w, 41, 200 * SECOND, "cpus:2;mem:1",
                (struct queue_job){.duration_ns = 200 * SECOND, .priority = 400, .gang = true, .count = 2});
        world_run_until(&w, 90);
        assert_int_equal(w.suspensions, 0);
        world_run_until(&w, 120);
        assert_float_equal(world_start(&w, 3), 100, 1e-6);
        world_done(&w);
        constraint_done(&one);
        constraint_done(&two);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_ends_at_the_same_time),
                cmocka_unit_test(test_a_gang_that_fails_takes_nothing),
                cmocka_unit_test(test_a_gang_that_starts_takes_its_part_once),
                cmocka_unit_test(test_no_promise_into_maintenance),
                cmocka_unit_test(test_no_promise_to_a_gang_into_maintenance),
                cmocka_unit_test(test_a_gang_apart),
                cmocka_unit_test(test_who_goes_on_does_not_delay_the_head),
                cmocka_unit_test(test_who_goes_on_uses_up_what_is_left_over),
                cmocka_unit_test(test_all_promises_of_a_machine_count),
                cmocka_unit_test(test_the_head_goes_where_nothing_is_promised),
                cmocka_unit_test(test_aged_goes_before_frozen),
                cmocka_unit_test(test_of_two_aged_the_first_that_came),
                cmocka_unit_test(test_the_frozen_age),
                cmocka_unit_test(test_of_two_frozen_the_aged_one),
                cmocka_unit_test(test_who_started_by_age_is_not_stopped),
                cmocka_unit_test(test_what_age_was_promised_is_kept),
                cmocka_unit_test(test_the_less_important_gives_way),
                cmocka_unit_test(test_who_ends_soon_is_left_alone),
                cmocka_unit_test(test_nobody_gives_way_for_nothing),
                cmocka_unit_test(test_srtf_counts_what_remains),
                cmocka_unit_test(test_srtf_counts_what_the_others_lose),
                cmocka_unit_test(test_srtf_goes_on_with_the_shortest),
                cmocka_unit_test(test_fifo_goes_on_with_the_first),
                cmocka_unit_test(test_the_end_of_who_went_on),
                cmocka_unit_test(test_srtf_knows_what_is_left_of_the_frozen),
                cmocka_unit_test(test_who_is_held_is_not_aged),
                cmocka_unit_test(test_without_ageing_nobody_is_aged),
                cmocka_unit_test(test_a_gang_begins_once),
                cmocka_unit_test(test_a_dependency_counts_once),
                cmocka_unit_test(test_one_is_asked_once),
                cmocka_unit_test(test_who_is_about_to_go_on_is_not_stopped),
                cmocka_unit_test(test_nobody_gives_way_beside_a_promise),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
