#include <math.h>

#include "tests/unit/master/queue/world.h"

#define HALF_LIFE 100

static struct queue_config fair(void)
{
        struct queue_config c;

        queue_config_default(&c);
        c.policy = QUEUE_FAIR;
        c.fair_half_life_ns = HALF_LIFE * SECOND;
        return c;
}

static void add_usage(const char *user, double core_seconds, size_t running, size_t waiting, void *userdata)
{
        double *sums = userdata;

        if (strcmp(user, "alice") == 0)
                sums[0] = core_seconds;
        if (strcmp(user, "bob") == 0)
                sums[1] = core_seconds;
        sums[2] += (double)running;
        sums[3] += (double)waiting;
}

/*
 * One core for 100 s with a half-life of 100 s: the integral of 2^(-t/100) from 0 to 100 is 100/ln 2 * (1 - 1/2) = 72.13 core-seconds.
 * Another 100 s later half of it is left: 36.07.
 */
static void test_usage_decays(void **state)
{
        struct queue_config c = fair();
        double sums[4] = {};
        struct world w;

        world_init(&w, &c);
        world_machine(&w, "h1", "cpus:1;mem:100");
        world_submit_at(&w, 0, 100 * SECOND, "cpus:1;mem:1", (struct queue_job){});
        world_run(&w);
        queue_each_user(w.queue, (struct wall_time){T0 + 100 * SECOND}, add_usage, sums);
        assert_float_equal(sums[0], 100 / M_LN2 / 2, 0.01);
        queue_each_user(w.queue, (struct wall_time){T0 + 200 * SECOND}, add_usage, sums);
        assert_float_equal(sums[0], 100 / M_LN2 / 4, 0.01);
        queue_restore_user(w.queue, "bob", 50, (struct wall_time){T0 + 100 * SECOND});
        queue_each_user(w.queue, (struct wall_time){T0 + 200 * SECOND}, add_usage, sums);
        assert_float_equal(sums[1], 25, 0.01);
        world_done(&w);
}

/* Alice has submitted a thousand tasks before bob comes with fifty: from then on they take turns, until bob's are done. */
static void test_users_take_turns(void **state)
{
        struct queue_config c = fair();
        size_t alice = 0, bob = 0;
        struct world w;

        world_init(&w, &c);
        world_machine(&w, "h1", "cpus:4;mem:1000");
        for (size_t i = 0; i < 100; i++)
                world_submit_at(&w, 0, 10 * SECOND, "cpus:1;mem:1", (struct queue_job){.count = 10});
        for (size_t i = 0; i < 10; i++)
                world_submit_at(&w, 1000, 10 * SECOND, "cpus:1;mem:1",
                        (struct queue_job){.count = 5, .user = "bob", .name = "his"});
        world_run_until(&w, 1105);
        for (size_t i = 0; i < w.task_count; i++) {
                bool his = w.tasks[i].job > 100;

                if (w.tasks[i].launched && w.tasks[i].started_ns >= T0 + 1000 * SECOND)
                        *(his ? &bob : &alice) += 1;
        }
        /* Alice used much before: bob catches up first. */
        assert_true(bob > alice);
        assert_true(bob >= 30);
        world_run(&w);
        world_done(&w);
}

/* Both come at once, with equal usage: eight cores are shared four and four. */
static void test_equals_get_equal_shares(void **state)
{
        struct queue_config c = fair();
        size_t of[2] = {};
        struct world w;

        world_init(&w, &c);
        world_machine(&w, "h1", "cpus:8;mem:1000");
        world_submit_at(&w, 0, 10 * SECOND, "cpus:1;mem:1", (struct queue_job){.count = 100});
        world_submit_at(&w, 0, 10 * SECOND, "cpus:1;mem:1", (struct queue_job){.count = 100, .user = "bob"});
        world_run_until(&w, 5);
        for (size_t i = 0; i < w.task_count; i++)
                of[w.tasks[i].job - 1] += w.tasks[i].state == WORLD_RUNNING;
        assert_int_equal(of[0], 4);
        assert_int_equal(of[1], 4);
        world_done(&w);
}

/* Over a long time each of three users gets a third, whatever they submit: Jain's index of what they used is close to 1. */
static void test_shares_even_out(void **state)
{
        static const char *const users[] = {"alice", "bob", "carol"};
        struct queue_config c = fair();
        double used[3] = {}, sum = 0, squares = 0;
        struct world w;

        world_init(&w, &c);
        w.check = false;
        world_machine(&w, "h1", "cpus:6;mem:1000");
        /* Alice has few large tasks, bob many small ones, carol something between. */
        for (size_t i = 0; i < 200; i++) {
                world_submit_at(
                        &w, 0, 40 * SECOND, "cpus:3;mem:1", (struct queue_job){.user = users[0], .count = 2});
                world_submit_at(
                        &w, 0, 5 * SECOND, "cpus:1;mem:1", (struct queue_job){.user = users[1], .count = 40});
                world_submit_at(&w, 0, 10 * SECOND, "cpus:2;mem:1",
                        (struct queue_job){.user = users[2], .count = 10});
        }
        world_run_until(&w, 2000);
        for (size_t i = 0; i < w.task_count; i++) {
                const struct world_task *t = &w.tasks[i];

                if (t->state == WORLD_ENDED)
                        used[(t->job - 1) % 3] +=
                                (double)t->work_ns / SECOND *
                                milli_to_double(resources_scalar(&w.jobs[t->job - 1].spec.size, "cpus"));
        }
        for (size_t i = 0; i < 3; i++) {
                sum += used[i];
                squares += used[i] * used[i];
        }
        assert_true(sum * sum / (3 * squares) > 0.98);
        world_done(&w);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_usage_decays),
                cmocka_unit_test(test_users_take_turns),
                cmocka_unit_test(test_equals_get_equal_shares),
                cmocka_unit_test(test_shares_even_out),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
