#include "tests/unit/master/queue/world.h"

static struct queue_config config_of(enum queue_policy policy)
{
        struct queue_config c;

        queue_config_default(&c);
        c.policy = policy;
        return c;
}

/*
 * EASY on one machine of 4 cpus. A (3 cpus, 10 s) runs 0-10. B (4 cpus, 10 s) is the head: reserved for 10.
 * C (1 cpu, 10 s) ends at 10 and may start at once. D (1 cpu, 11 s) would end at 11 and delay B: it waits until B has ended, at 20.
 */
static void test_easy_by_hand(void **state)
{
        struct queue_config config = config_of(QUEUE_FIFO);
        struct queue_explanation x;
        struct world w;

        world_init(&w, &config);
        world_machine(&w, "h1", "cpus:4;mem:100");
        world_submit_at(&w, 0, 10 * SECOND, "cpus:3;mem:1", (struct queue_job){.duration_ns = 10 * SECOND});
        world_submit_at(&w, 0, 10 * SECOND, "cpus:4;mem:1", (struct queue_job){.duration_ns = 10 * SECOND});
        world_submit_at(&w, 0, 11 * SECOND, "cpus:1;mem:1", (struct queue_job){.duration_ns = 11 * SECOND});
        world_submit_at(&w, 0, 10 * SECOND, "cpus:1;mem:1", (struct queue_job){.duration_ns = 10 * SECOND});
        world_run_until(&w, 1);
        assert_int_equal(queue_explain(w.queue, 2, (struct wall_time){w.now_ns}, &x), 0);
        assert_true(x.reserved);
        assert_int_equal(x.expected_start.ns, T0 + 10 * SECOND);
        assert_int_equal(queue_explain(w.queue, 3, (struct wall_time){w.now_ns}, &x), 0);
        assert_int_equal(x.blocking_job, 2);
        world_run(&w);
        assert_float_equal(world_start(&w, 4), 0, 1e-6);
        assert_float_equal(world_start(&w, 2), 10, 1e-6);
        assert_float_equal(world_start(&w, 3), 20, 1e-6);
        world_done(&w);
}

/* B needs 3 of 4 cpus at 10, so one is left over: who takes no more may run as long as it likes, also when nobody knows how long. */
static void test_what_the_head_leaves_over(void **state)
{
        struct queue_config config = config_of(QUEUE_FIFO);
        struct world w;

        world_init(&w, &config);
        world_machine(&w, "h1", "cpus:4;mem:100");
        world_submit_at(&w, 0, 10 * SECOND, "cpus:2;mem:1", (struct queue_job){.duration_ns = 10 * SECOND});
        world_submit_at(&w, 0, 10 * SECOND, "cpus:3;mem:1", (struct queue_job){.duration_ns = 10 * SECOND});
        world_submit_at(&w, 0, 50 * SECOND, "cpus:1;mem:1", (struct queue_job){.name = "unknown"});
        world_submit_at(&w, 0, 50 * SECOND, "cpus:1;mem:1", (struct queue_job){.name = "unknown too"});
        world_run(&w);
        assert_float_equal(world_start(&w, 3), 0, 1e-6);
        assert_float_equal(world_start(&w, 2), 10, 1e-6);
        assert_float_equal(world_start(&w, 4), 20, 1e-6);
        world_done(&w);
}

static void test_without_backfill_nobody_overtakes(void **state)
{
        struct queue_config config = config_of(QUEUE_FIFO);
        struct world w;

        config.backfill_max = 0;
        world_init(&w, &config);
        world_machine(&w, "h1", "cpus:4;mem:100");
        world_submit_at(&w, 0, 10 * SECOND, "cpus:3;mem:1", (struct queue_job){.duration_ns = 10 * SECOND});
        world_submit_at(&w, 0, 10 * SECOND, "cpus:4;mem:1", (struct queue_job){.duration_ns = 10 * SECOND});
        world_submit_at(&w, 0, 10 * SECOND, "cpus:1;mem:1", (struct queue_job){.duration_ns = 10 * SECOND});
        world_run(&w);
        assert_float_equal(world_start(&w, 3), 20, 1e-6);
        world_done(&w);
}

static void test_too_large_blocks_nobody(void **state)
{
        struct queue_config config = config_of(QUEUE_FIFO);
        struct world w;

        config.backfill_max = 0;
        world_init(&w, &config);
        world_machine(&w, "h1", "cpus:4;mem:100");
        world_machine(&w, "h2", "cpus:4;mem:100");
        world_submit_at(&w, 0, SECOND, "cpus:5;mem:1", (struct queue_job){});
        world_submit_at(&w, 0, SECOND, "cpus:3;mem:1", (struct queue_job){.count = 3, .gang = true});
        world_submit_at(&w, 0, SECOND, "cpus:4;mem:1", (struct queue_job){});
        world_run(&w);
        assert_float_equal(world_start(&w, 3), 0, 1e-6);
        assert_int_equal(queue_jobs_waiting(w.queue), 2);
        /* A third machine comes that is large enough for both. */
        world_machine(&w, "h3", "cpus:8;mem:100");
        world_run(&w);
        assert_int_equal(queue_jobs_waiting(w.queue), 0);
        assert_float_equal(world_end(&w, 2) - world_start(&w, 2), 1, 1e-6);
        world_done(&w);
}

/* Three tasks on two machines of 2 cpus, of which one is busy until 10: all start then, not one before. Others fill the hole meanwhile. */
static void test_gang(void **state)
{
        struct queue_config config = config_of(QUEUE_FIFO);
        struct world w;

        world_init(&w, &config);
        world_machine(&w, "h1", "cpus:2;mem:100");
        world_machine(&w, "h2", "cpus:2;mem:100");
        world_submit_at(&w, 0, 10 * SECOND, "cpus:2;mem:1", (struct queue_job){.duration_ns = 10 * SECOND});
        world_submit_at(&w, 0, 10 * SECOND, "cpus:1;mem:1",
                (struct queue_job){.duration_ns = 10 * SECOND, .count = 3, .gang = true});
        world_submit_at(&w, 0, 9 * SECOND, "cpus:2;mem:1", (struct queue_job){.duration_ns = 9 * SECOND});
        world_submit_at(&w, 0, 11 * SECOND, "cpus:2;mem:1", (struct queue_job){.duration_ns = 11 * SECOND});
        world_run(&w);
        for (uint32_t i = 0; i < 3; i++)
                assert_int_equal(world_task(&w, 2, i)->started_ns, T0 + 10 * SECOND);
        assert_float_equal(world_start(&w, 3), 0, 1e-6);
        assert_true(world_start(&w, 4) >= 10);
        world_done(&w);
}

/* ---- never later than promised ---- */

struct promise {
        uint64_t *of_job; /* the earliest start that was promised to it as the head */
        size_t kept;
};

static bool first_job(const struct queue_job *job, uint32_t waiting, void *userdata)
{
        *(uint64_t *)userdata = job->number;
        return false;
}

static void note_promise(struct world *w)
{
        struct promise *p = w->userdata;
        struct queue_explanation x;
        uint64_t head = 0;

        queue_each_job(w->queue, (struct wall_time){w->now_ns}, first_job, &head);
        if (head == 0 || queue_explain(w->queue, head, (struct wall_time){w->now_ns}, &x) < 0 ||
                !x.reserved || !x.has_expected_start)
                return;
        p->of_job[head] = MIN(p->of_job[head], x.expected_start.ns);
}

static void note_start(struct world *w, const struct queue_decision *d)
{
        struct promise *p = w->userdata;

        if (d->kind != QUEUE_LAUNCH)
                return;
        if (p->of_job[d->job] != UINT64_MAX) {
                if (w->now_ns > p->of_job[d->job])
                        fail_msg("job %ju was promised %.0f and starts at %.0f", (uintmax_t)d->job,
                                (double)(p->of_job[d->job] - T0) / SECOND, (double)(w->now_ns - T0) / SECOND);
                p->kept++;
        }
}

/* Did it start before one that had come earlier? */
static bool overtook(struct world *w, const struct world_job *j)
{
        uint64_t started = world_task(w, j->number, 0)->started_ns;

        for (const struct world_job *other = w->jobs; other < j; other++)
                if (started > 0 && world_task(w, other->number, 0)->started_ns > started)
                        return true;
        return false;
}

static void random_trace(unsigned seed, bool unknown, bool gangs, uint32_t backfill_max, size_t *kept,
        size_t *backfilled, double *wait)
{
        struct queue_config config = config_of(QUEUE_FIFO);
        struct promise p = {};
        struct world w;
        uint64_t arrival = 0;

        config.backfill_max = backfill_max;
        srandom(seed);
        world_init(&w, &config);
        w.watch = note_start;
        w.after_pass = note_promise;
        w.userdata = &p;
        for (long i = 1 + random() % 4; i > 0; i--) {
                _cleanup_free_ char *id = xasprintf("h%ld", i), *total = xasprintf("cpus:%ld;mem:%ld",
                                                                        5 + random() % 4, 50 + random() % 50);

                world_machine(&w, id, total);
        }
        p.of_job = xcalloc(101, sizeof(*p.of_job));
        memset(p.of_job, 0xff, 101 * sizeof(*p.of_job));
        for (size_t i = 0; i < 60; i++) {
                _cleanup_free_ char *size = xasprintf("cpus:%ld.5;mem:%ld", random() % 5, 1 + random() % 40);
                uint64_t work = (uint64_t)(1 + random() % 50);
                bool known = !unknown || random() % 4 > 0;
                bool gang = gangs && random() % 3 == 0;
                /* Nothing is learned of those whose duration nobody tells: each has a name of its own. */
                static char names[100][16];

                (void)snprintf(names[i], sizeof(names[i]), "n%zu", i);
                arrival += random() % 3 == 0 ? (uint64_t)(random() % 20) : 0;
                world_submit_at(&w, arrival, work * SECOND, size,
                        (struct queue_job){.duration_ns = known ? work * SECOND : 0,
                                .name = names[i],
                                .gang = gang,
                                .count = gang ? (uint32_t)(2 + random() % 3) : 1});
        }
        world_run(&w);
        for (size_t i = 0; i < w.job_count; i++) {
                *backfilled += overtook(&w, &w.jobs[i]);
                *wait += (double)(world_task(&w, w.jobs[i].number, 0)->started_ns - w.jobs[i].arrives_ns) /
                         SECOND;
        }
        *kept += p.kept;
        free(p.of_job);
        world_done(&w);
}

static void test_the_head_is_never_delayed(void **state)
{
        size_t kept = 0, backfilled = 0, nobody = 0, ignored = 0;
        double with = 0, without = 0;

        for (unsigned seed = 1; seed <= 60; seed++) {
                random_trace(seed, false, false, QUEUE_BACKFILL_DEFAULT, &kept, &backfilled, &with);
                random_trace(seed, false, false, 0, &ignored, &nobody, &without);
        }
        assert_true(kept > 500);
        assert_true(backfilled > 500);
        assert_int_equal(nobody, 0);
        /* And that is what it is for. */
        assert_true(with < without * 0.9);
}

static void test_the_head_is_not_delayed_by_unknown_durations(void **state)
{
        size_t kept = 0, backfilled = 0;
        double wait = 0;

        for (unsigned seed = 1; seed <= 60; seed++)
                random_trace(seed, true, false, QUEUE_BACKFILL_DEFAULT, &kept, &backfilled, &wait);
        assert_true(kept > 300);
        assert_true(backfilled > 300);
}

static void test_gangs_are_not_delayed(void **state)
{
        size_t kept = 0, backfilled = 0;
        double wait = 0;

        for (unsigned seed = 1; seed <= 60; seed++)
                random_trace(seed, false, true, QUEUE_BACKFILL_DEFAULT, &kept, &backfilled, &wait);
        assert_true(kept > 300);
        assert_true(backfilled > 300);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_easy_by_hand),
                cmocka_unit_test(test_what_the_head_leaves_over),
                cmocka_unit_test(test_without_backfill_nobody_overtakes),
                cmocka_unit_test(test_too_large_blocks_nobody),
                cmocka_unit_test(test_gang),
                cmocka_unit_test(test_the_head_is_never_delayed),
                cmocka_unit_test(test_the_head_is_not_delayed_by_unknown_durations),
                cmocka_unit_test(test_gangs_are_not_delayed),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
