/* Jobs that name persistent volumes run where these are, one task at a time, and say who is in their way. */
#include "tests/unit/master/queue/world.h"

/* Ten MiB of disk, reserved for the role. */
static void add_volume(struct world *w, struct world_machine *m, const char *role, const char *id)
{
        struct resource_reservation reservation = {.role = (char *)role, .dynamic = true};
        struct resource_traits like = {.reservations = &reservation,
                .reservation_count = 1,
                .volume_id = (char *)id,
                .container_path = (char *)"made-here"};
        const struct resource_traits *traits = resource_traits_get(&like);
        struct resource disk = {.name = "disk", .kind = RESOURCE_SCALAR, .milli = 10000, .traits = traits};
        struct machine known = *machines_find(w->machines, m->id);

        resources_add_entry(&m->total, &disk);
        resource_traits_unref(traits);
        known.total = m->total;
        machines_set(w->machines, &known);
}

#define WANTED_MAX 4
struct wanted {
        struct constraint list[WANTED_MAX];
        size_t count;
};

/* The volume of role "dev", and no two tasks of the job on one machine: as the owner of the queue asks for it. */
static void want(struct wanted *x, const char *id)
{
        _cleanup_error_ struct error e = {};

        constraint_volume("dev", id, &x->list[x->count++]);
        assert_int_equal(constraint_parse("distinct:agent", &x->list[x->count++], &e), 0);
}

static void wanted_done(struct wanted *x)
{
        while (x->count > 0)
                constraint_done(&x->list[--x->count]);
}

static struct queue_job with(const struct wanted *x)
{
        return (struct queue_job){.constraints = x->list, .constraint_count = x->count};
}

static void begin(struct world *w)
{
        struct queue_config config;

        queue_config_default(&config);
        world_init(w, &config);
}

static void expect_sentence(struct world *w, uint64_t job, const char *text)
{
        _cleanup_free_ char *sentence = queue_pending_reason(w->queue, job, (struct wall_time){w->now_ns});

        assert_non_null(sentence);
        if (!strstr(sentence, text))
                fail_msg("'%s' is not in '%s'", text, sentence);
}

static const struct resource *volume_of(struct world *w, uint64_t job, uint32_t index, const char *id)
{
        return resources_find_volume(&world_task(w, job, index)->resources, "dev", id);
}

/* h1 would be filled better, but h2 has the volume; the task gets all of it, and another role's of the same name is another one. */
static void test_a_task_goes_where_its_volume_is(void **state)
{
        struct wanted data = {};
        struct world w;

        begin(&w);
        want(&data, "data");
        add_volume(&w, world_machine(&w, "h1", "cpus:1;mem:100"), "other", "data");
        add_volume(&w, world_machine(&w, "h2", "cpus:4;mem:100"), "dev", "data");
        world_submit_at(&w, 0, 10 * SECOND, "cpus:1;mem:1", with(&data));
        world_submit_at(&w, 0, 10 * SECOND, "cpus:1;mem:1", (struct queue_job){});
        world_run_until(&w, 0);
        assert_string_equal(world_task(&w, 1, 0)->machine->id, "h2");
        assert_int_equal(volume_of(&w, 1, 0, "data")->milli, 10000);
        assert_string_equal(world_task(&w, 2, 0)->machine->id, "h1");
        assert_null(resources_find_volume(&world_task(&w, 2, 0)->resources, "other", "data"));
        world_run(&w);
        world_done(&w);
        wanted_done(&data);
}

/* Two jobs and a job of two tasks, one volume: each after the other. Others are not kept waiting meanwhile, though they came later. */
static void test_one_task_at_a_time(void **state)
{
        struct wanted data = {};
        struct queue_job two;
        struct world w;

        begin(&w);
        want(&data, "data");
        two = with(&data);
        two.count = 2;
        add_volume(&w, world_machine(&w, "h1", "cpus:4;mem:100"), "dev", "data");
        world_submit_at(&w, 0, 10 * SECOND, "cpus:1;mem:1", with(&data));
        world_submit_at(&w, 0, 10 * SECOND, "cpus:2;mem:1", two);
        world_submit_at(&w, 0, 100 * SECOND, "cpus:2;mem:1", (struct queue_job){});
        world_run_until(&w, 5);
        expect_sentence(&w, 2, "volume data on h1 is in use by job 1");
        assert_int_equal(world_task(&w, 3, 0)->state, WORLD_RUNNING);
        world_run_until(&w, 15);
        expect_sentence(&w, 2, "volume data on h1 is in use by another of its tasks");
        world_run(&w);
        assert_float_equal(world_start(&w, 2), 10, 1e-6);
        assert_int_equal(world_task(&w, 2, 1)->started_ns, T0 + 20 * SECOND);
        assert_float_equal(world_start(&w, 3), 0, 1e-6);
        world_done(&w);
        wanted_done(&data);
}

static void test_when_it_is_free_can_be_told(void **state)
{
        struct wanted data = {};
        struct queue_explanation x;
        struct queue_job first;
        struct world w;

        begin(&w);
        want(&data, "data");
        first = with(&data);
        first.duration_ns = 60 * SECOND;
        add_volume(&w, world_machine(&w, "h1", "cpus:4;mem:100"), "dev", "data");
        world_submit_at(&w, 0, 60 * SECOND, "cpus:1;mem:1", first);
        world_submit_at(&w, 0, 10 * SECOND, "cpus:1;mem:1", with(&data));
        world_run_until(&w, 5);
        assert_int_equal(queue_explain(w.queue, 2, (struct wall_time){w.now_ns}, &x), 0);
        assert_int_equal(x.reason, QUEUE_REASON_VOLUME_IN_USE);
        assert_string_equal(x.detail, "data");
        assert_int_equal(x.blocking_job, 1);
        assert_true(x.has_expected_start);
        assert_int_equal(x.expected_start.ns, T0 + 60 * SECOND);
        world_run(&w);
        world_done(&w);
        wanted_done(&data);
}

/* Nobody of this queue has it: the machine's offers come without. */
static void test_somebody_else_uses_it(void **state)
{
        struct wanted data = {};
        struct world_machine *m;
        struct world w;

        begin(&w);
        want(&data, "data");
        m = world_machine(&w, "h1", "cpus:4;mem:100");
        add_volume(&w, m, "dev", "data");
        resources_add_entry(&m->used, resources_find_volume(&m->total, "dev", "data"));
        world_submit_at(&w, 0, 10 * SECOND, "cpus:1;mem:1", with(&data));
        world_submit_at(&w, 1, 10 * SECOND, "cpus:4;mem:1", (struct queue_job){});
        world_run_until(&w, 5);
        assert_int_equal(world_task(&w, 2, 0)->state, WORLD_RUNNING); /* the first reserves nothing */
        world_run_until(&w, 20);
        assert_int_equal(world_task(&w, 1, 0)->state, WORLD_WAITING);
        resources_done(&m->used);
        queue_hold_job(w.queue, 1, true);
        queue_hold_job(w.queue, 1, false);
        world_run(&w);
        assert_float_equal(world_start(&w, 1), 20, 1e-6);
        world_done(&w);
        wanted_done(&data);
}

static void test_no_machine_has_it(void **state)
{
        struct wanted data = {};
        struct world_machine *m;
        struct queue_job picky;
        struct world w;

        begin(&w);
        constraint_volume("dev", "data", &data.list[data.count++]);
        m = world_machine(&w, "h1", "cpus:4;mem:100");
        (void)world_machine(&w, "h2", "cpus:4;mem:100");
        picky = with(&data);
        world_submit_at(&w, 0, 10 * SECOND, "cpus:1;mem:1", picky);
        world_run_until(&w, 1);
        expect_sentence(&w, 1, "no machine that it may use has volume data");
        add_volume(&w, m, "dev", "data");
        machines_set_unusable(w.machines, "h1", "draining");
        world_run_until(&w, 2);
        expect_sentence(&w, 1, "it is on h1, which is draining");
        machines_set_unusable(w.machines, "h1", NULL);
        world_run(&w);
        assert_float_equal(world_start(&w, 1), 2, 1e-6);
        world_done(&w);
        wanted_done(&data);
}

/* A gang of two needs two machines with the volume; of three there is no telling when. */
static void test_gangs(void **state)
{
        struct wanted data = {};
        struct queue_explanation x;
        struct queue_job gang;
        struct world w;

        begin(&w);
        want(&data, "data");
        add_volume(&w, world_machine(&w, "h1", "cpus:8;mem:100"), "dev", "data");
        add_volume(&w, world_machine(&w, "h2", "cpus:8;mem:100"), "dev", "data");
        gang = with(&data);
        gang.gang = true;
        gang.count = 2;
        world_submit_at(&w, 0, 10 * SECOND, "cpus:1;mem:1", gang);
        gang.count = 3;
        world_submit_at(&w, 0, 10 * SECOND, "cpus:1;mem:1", gang);
        world_submit_at(&w, 2, 10 * SECOND, "cpus:1;mem:1", with(&data));
        world_run_until(&w, 1);
        assert_int_equal(world_task(&w, 1, 0)->state, WORLD_RUNNING);
        assert_int_equal(world_task(&w, 1, 1)->state, WORLD_RUNNING);
        assert_ptr_not_equal(world_task(&w, 1, 0)->machine, world_task(&w, 1, 1)->machine);
        assert_int_equal(queue_explain(w.queue, 2, (struct wall_time){w.now_ns}, &x), 0);
        assert_int_equal(x.reason, QUEUE_REASON_GANG_TOO_LARGE);
        world_run(&w);
        assert_float_equal(world_start(&w, 3), 10, 1e-6);
        assert_int_equal(queue_jobs_waiting(w.queue), 1);
        world_done(&w);
        wanted_done(&data);
}

/*
 * Who waits for a volume is passed over: what is free is kept for the first of those that wait for room. Of 4 cpus job 1, with the volume,
 * has one for 100 s; 3 needs them all then, so that 4 may not take any for longer than that.
 */
static void test_what_is_free_is_kept_for_the_next_one(void **state)
{
        struct wanted data = {};
        struct queue_job first, second;
        struct world w;

        begin(&w);
        want(&data, "data");
        first = second = with(&data);
        first.duration_ns = 100 * SECOND;
        second.duration_ns = SECOND;
        add_volume(&w, world_machine(&w, "h1", "cpus:4;mem:100"), "dev", "data");
        world_submit_at(&w, 0, 100 * SECOND, "cpus:1;mem:1", first);
        world_submit_at(&w, 0, SECOND, "cpus:1;mem:1", second);
        world_submit_at(&w, 0, 10 * SECOND, "cpus:4;mem:1", (struct queue_job){.duration_ns = 10 * SECOND});
        world_submit_at(&w, 0, 500 * SECOND, "cpus:1;mem:1", (struct queue_job){.duration_ns = 500 * SECOND});
        world_run(&w);
        assert_float_equal(world_start(&w, 2), 100, 1e-6);
        assert_float_equal(world_start(&w, 3), 101, 1e-6);
        assert_true(world_start(&w, 4) >= 100);
        world_done(&w);
        wanted_done(&data);
}

/* Both machines have the volume. On h1 it is in use, and there is room; on h2 it will be free at 50: that one is kept, h1 is not. */
static void test_the_machine_where_the_volume_is_free_is_kept(void **state)
{
        struct wanted data = {};
        struct queue_explanation x;
        struct queue_job first;
        struct world w;

        begin(&w);
        want(&data, "data");
        first = with(&data);
        first.duration_ns = 100 * SECOND;
        add_volume(&w, world_machine(&w, "h1", "cpus:4;mem:100"), "dev", "data");
        world_submit_at(&w, 0, 100 * SECOND, "cpus:1;mem:1", first);
        world_run_until(&w, 1);
        add_volume(&w, world_machine(&w, "h2", "cpus:4;mem:100"), "dev", "data");
        world_submit_at(&w, 2, 48 * SECOND, "cpus:4;mem:1", (struct queue_job){.duration_ns = 48 * SECOND});
        world_submit_at(&w, 3, 10 * SECOND, "cpus:2;mem:1", with(&data));
        world_submit_at(&w, 4, 500 * SECOND, "cpus:3;mem:1", (struct queue_job){.duration_ns = 500 * SECOND});
        world_run_until(&w, 5);
        assert_int_equal(queue_explain(w.queue, 3, (struct wall_time){w.now_ns}, &x), 0);
        assert_true(x.reserved);
        assert_string_equal(x.nearest, "h2");
        assert_int_equal(x.expected_start.ns, T0 + 50 * SECOND);
        assert_float_equal(world_start(&w, 4), 4, 1e-6);
        world_run(&w);
        assert_float_equal(world_start(&w, 3), 50, 1e-6);
        world_done(&w);
        wanted_done(&data);
}

static struct queue_job preemptible(struct queue_job job, uint32_t priority)
{
        job.priority = priority;
        job.duration_ns = 100 * SECOND;
        job.preemptible = true;
        return job;
}

/* The least important task runs on h1 and has the volume there: to stop it would cost its work. On h2 the volume is free. */
static void test_who_uses_the_volume_does_not_give_way(void **state)
{
        struct wanted data = {};
        struct queue_config config;
        struct queue_job high;
        struct world w;

        queue_config_default(&config);
        config.policy = QUEUE_PRIORITY;
        config.preemption = QUEUE_PREEMPT_SUSPEND;
        config.grace_ns = 0;
        world_init(&w, &config);
        want(&data, "data");
        add_volume(&w, world_machine(&w, "h1", "cpus:2;mem:100"), "dev", "data");
        world_submit_at(&w, 0, 100 * SECOND, "cpus:2;mem:1", preemptible(with(&data), 1));
        world_run_until(&w, 1);
        add_volume(&w, world_machine(&w, "h2", "cpus:2;mem:100"), "dev", "data");
        world_submit_at(&w, 2, 100 * SECOND, "cpus:2;mem:1", preemptible((struct queue_job){}, 2));
        high = with(&data);
        high.duration_ns = 10 * SECOND;
        high.priority = 9;
        world_submit_at(&w, 20, 10 * SECOND, "cpus:2;mem:1", high);
        world_submit_at(&w, 21, 10 * SECOND, "cpus:2;mem:1", high);
        world_run(&w);
        assert_int_equal(world_task(&w, 1, 0)->preemptions, 0);
        assert_int_equal(world_task(&w, 2, 0)->preemptions, 1);
        assert_float_equal(world_start(&w, 3), 20, 1e-6);
        assert_float_equal(world_start(&w, 4), 30, 1e-6);
        world_done(&w);
        wanted_done(&data);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_task_goes_where_its_volume_is),
                cmocka_unit_test(test_one_task_at_a_time),
                cmocka_unit_test(test_when_it_is_free_can_be_told),
                cmocka_unit_test(test_somebody_else_uses_it),
                cmocka_unit_test(test_no_machine_has_it),
                cmocka_unit_test(test_gangs),
                cmocka_unit_test(test_what_is_free_is_kept_for_the_next_one),
                cmocka_unit_test(test_the_machine_where_the_volume_is_free_is_kept),
                cmocka_unit_test(test_who_uses_the_volume_does_not_give_way),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
