#include "tests/unit/master/queue/world.h"

static struct queue_config config(void)
{
        struct queue_config c;

        queue_config_default(&c);
        return c;
}

static const char *where(struct world *w, uint64_t job, uint32_t index)
{
        const struct world_task *t = world_task(w, job, index);

        return t->machine ? t->machine->id : "";
}

/* 3 of 8, 4 and 6 cpus: least stays on the machine of 4. */
static void test_pack(void **state)
{
        struct queue_config c = config();
        struct world w;

        world_init(&w, &c);
        world_machine(&w, "h8", "cpus:8;mem:100");
        world_machine(&w, "h4", "cpus:4;mem:100");
        world_machine(&w, "h6", "cpus:6;mem:100");
        world_submit_at(&w, 0, SECOND, "cpus:3;mem:1", (struct queue_job){.count = 3});
        world_run(&w);
        assert_string_equal(where(&w, 1, 0), "h4");
        assert_string_equal(where(&w, 1, 1), "h6");
        assert_string_equal(where(&w, 1, 2), "h6");
        world_done(&w);
}

static size_t tasks_on(struct world *w, uint64_t job, uint32_t count, const char *prefix)
{
        size_t n = 0;

        for (uint32_t i = 0; i < count; i++)
                n += str_has_prefix(where(w, job, i), prefix);
        return n;
}

/* Two racks, of one machine and of three: by machine two each, by rank four each. */
static void test_spread(void **state)
{
        struct machine_attribute r1 = {"rack", "1"}, r2 = {"rack", "2"};
        struct queue_config c = config();
        struct world w;

        world_init(&w, &c);
        world_machine_with(&w, "a1", "cpus:8;mem:100", &r1, 1);
        world_machine_with(&w, "b1", "cpus:8;mem:100", &r2, 1);
        world_machine_with(&w, "b2", "cpus:16;mem:100", &r2, 1);
        world_machine_with(&w, "b3", "cpus:8;mem:100", &r2, 1);
        world_submit_at(
                &w, 0, SECOND, "cpus:1;mem:1", (struct queue_job){.count = 8, .placement = QUEUE_SPREAD});
        world_submit_at(&w, 10, SECOND, "cpus:1;mem:1",
                (struct queue_job){.count = 8, .placement = QUEUE_SPREAD, .spread_by = "rack"});
        world_run(&w);
        assert_int_equal(tasks_on(&w, 1, 8, "a1"), 2);
        assert_int_equal(tasks_on(&w, 1, 8, "b1"), 2);
        assert_int_equal(tasks_on(&w, 1, 8, "b2"), 2);
        assert_int_equal(tasks_on(&w, 2, 8, "a"), 4);
        assert_int_equal(tasks_on(&w, 2, 8, "b"), 4);
        world_done(&w);
}

/* One per rack; machines without a rack are none. The third waits until one of the others has ended. */
static void test_distinct(void **state)
{
        struct machine_attribute r1 = {"rack", "1"}, r2 = {"rack", "2"};
        struct constraint distinct = {};
        struct queue_config c = config();
        struct error e = {};
        struct world w;

        assert_int_equal(constraint_parse("distinct:rack", &distinct, &e), 0);
        world_init(&w, &c);
        world_machine_with(&w, "a1", "cpus:8;mem:100", &r1, 1);
        world_machine_with(&w, "a2", "cpus:8;mem:100", &r1, 1);
        world_machine_with(&w, "b1", "cpus:8;mem:100", &r2, 1);
        world_machine(&w, "c1", "cpus:8;mem:100");
        world_submit_at(&w, 0, 10 * SECOND, "cpus:1;mem:1",
                (struct queue_job){.count = 3, .constraints = &distinct, .constraint_count = 1});
        world_run(&w);
        assert_true(where(&w, 1, 0)[0] != where(&w, 1, 1)[0]);
        assert_int_equal(tasks_on(&w, 1, 3, "c"), 0);
        assert_int_equal(world_task(&w, 1, 2)->started_ns, T0 + 10 * SECOND);
        world_done(&w);
        constraint_done(&distinct);
}

static void launched(struct queue *q, uint64_t now_ns, struct resources *ret, size_t *ret_count)
{
        struct queue_decisions d;

        queue_schedule(q, (struct wall_time){now_ns}, &d);
        *ret_count = 0;
        for (size_t i = 0; i < d.count; i++)
                if (d.items[i].kind == QUEUE_LAUNCH)
                        resources_copy(&d.items[i].resources, &ret[(*ret_count)++]);
        queue_decisions_done(&d);
}

static void expect(const struct resources *r, const char *text)
{
        _cleanup_free_ char *got = resources_to_string(r);

        assert_string_equal(got, text);
}

/* What is reserved goes first, with its traits; ports and cores are chosen; volumes and what is revocable are nobody's. */
static void test_out_of_what(void **state)
{
        struct queue_config c = config();
        struct resources offer =
                world_size("cpus:4;cpus(a):1;mem:100;mem(a):30;ports:[5-6,8-9];cores:[2-3,6-6]");
        struct resource_traits revocable = {.revocable = true};
        struct resource extra = {.name = "cpus", .kind = RESOURCE_SCALAR, .milli = 50000};
        struct queue_job job = {.number = 1,
                .name = "n",
                .user = "u",
                .count = 10,
                .ports = 3,
                .cores = 2,
                .size = world_size("cpus:2;mem:40")};
        struct resources got[4] = {};
        struct world w;
        size_t count;

        world_init(&w, &c);
        world_machine(&w, "h", "cpus:60;mem:130;ports:[1-10];cores:[0-7]");
        extra.traits = resource_traits_get(&revocable);
        resources_add_entry(&offer, &extra);
        assert_int_equal(queue_add_job(w.queue, &job), 0);
        queue_tasks_wait(w.queue, 1, 0, 10, (struct wall_time){});
        queue_add_offer(w.queue, 1, "h", &offer);
        launched(w.queue, T0, got, &count);
        assert_int_equal(count, 1);
        expect(&got[0], "cores:[2-3];cpus:1;cpus(a):1;mem:10;mem(a):30;ports:[5-6,8-8]");
        resources_done(&got[0]);
        resources_done(&offer);
        resources_done(&job.size);
        resource_traits_unref(extra.traits);
        world_done(&w);
}

/* CPU and memory that come in different offers of one machine are one. */
static void test_merged_offers(void **state)
{
        struct queue_config c = config();
        struct resources cpus = world_size("cpus:4"), mem = world_size("mem:100");
        struct queue_job job = {
                .number = 1, .name = "n", .user = "u", .count = 1, .size = world_size("cpus:2;mem:40")};
        struct queue_decisions d;
        struct world w;

        world_init(&w, &c);
        world_machine(&w, "h", "cpus:4;mem:100");
        assert_int_equal(queue_add_job(w.queue, &job), 0);
        queue_tasks_wait(w.queue, 1, 0, 1, (struct wall_time){});
        queue_add_offer(w.queue, 7, "h", &cpus);
        queue_add_offer(w.queue, 8, "h", &mem);
        queue_schedule(w.queue, (struct wall_time){T0}, &d);
        assert_int_equal(d.count, 1);
        assert_int_equal(d.items[0].kind, QUEUE_LAUNCH);
        assert_int_equal(d.items[0].offer, 7);
        assert_int_equal(d.items[0].merged_count, 1);
        assert_int_equal(d.items[0].merged[0], 8);
        queue_decisions_done(&d);
        assert_int_equal(queue_offers_held(w.queue), 0);

        /* More pieces than can be used together go back at once, to come as one. */
        for (uint64_t i = 0; i < 10; i++)
                queue_add_offer(w.queue, 20 + i, "h", &cpus);
        queue_schedule(w.queue, (struct wall_time){T0}, &d);
        assert_int_equal(d.count, 10);
        for (size_t i = 0; i < d.count; i++) {
                assert_int_equal(d.items[i].kind, QUEUE_DECLINE);
                assert_int_equal(d.items[i].refuse_ns, 0);
        }
        queue_decisions_done(&d);
        resources_done(&cpus);
        resources_done(&mem);
        resources_done(&job.size);
        world_done(&w);
}

/* Ten thousand tasks are started some at a time, and the queue says that there is more. */
static void test_bounded_pass(void **state)
{
        struct queue_config c = config();
        struct queue_decisions d;
        struct resources all = world_size("cpus:100000;mem:100000");
        struct queue_job job = {
                .number = 1, .name = "n", .user = "u", .count = 10000, .size = world_size("cpus:1;mem:1")};
        struct world w;
        size_t launches = 0, passes = 0;
        bool more;

        world_init(&w, &c);
        world_machine(&w, "h", "cpus:100000;mem:100000");
        assert_int_equal(queue_add_job(w.queue, &job), 0);
        queue_tasks_wait(w.queue, 1, 0, 10000, (struct wall_time){});
        do {
                struct resources left = {};

                resources_copy(&all, &left);
                resources_set_scalar(&left, "cpus", 100000000 - launches * 1000);
                resources_set_scalar(&left, "mem", 100000000 - launches * 1000);
                queue_add_offer(w.queue, 100 + passes++, "h", &left);
                queue_schedule(w.queue, (struct wall_time){T0}, &d);
                launches += d.count;
                more = d.more;
                queue_decisions_done(&d);
                resources_done(&left);
        } while (more && passes < 100);
        assert_int_equal(launches, 10000);
        assert_true(passes > 2 && passes < 20);
        assert_int_equal(queue_tasks_waiting(w.queue), 0);
        resources_done(&all);
        resources_done(&job.size);
        world_done(&w);
}

static void test_deadline(void **state)
{
        struct queue_config c = config();
        struct world w;

        world_init(&w, &c);
        world_machine(&w, "h", "cpus:1;mem:100");
        world_submit_at(&w, 0, 100 * SECOND, "cpus:1;mem:1", (struct queue_job){});
        world_submit_at(&w, 0, SECOND, "cpus:1;mem:1", (struct queue_job){.deadline = {T0 + 50 * SECOND}});
        world_submit_at(&w, 0, SECOND, "cpus:1;mem:1", (struct queue_job){.deadline = {T0 + 150 * SECOND}});
        world_run(&w);
        assert_int_equal(w.expirations, 1);
        assert_false(world_task(&w, 2, 0)->launched);
        assert_float_equal(world_end(&w, 3), 101, 1e-6);

        /* A retry of a task behind the deadline is given up too. */
        world_submit_at(
                &w, 200, 100 * SECOND, "cpus:1;mem:1", (struct queue_job){.deadline = {T0 + 250 * SECOND}});
        world_run_until(&w, 299);
        assert_int_equal(w.expirations, 1);
        queue_task_ended(w.queue, 4, 0, false, 0, (struct wall_time){w.now_ns});
        queue_tasks_wait(w.queue, 4, 0, 1, (struct wall_time){});
        (void)world_pass(&w);
        assert_int_equal(w.expirations, 2);
        world_done(&w);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_pack),
                cmocka_unit_test(test_spread),
                cmocka_unit_test(test_distinct),
                cmocka_unit_test(test_out_of_what),
                cmocka_unit_test(test_merged_offers),
                cmocka_unit_test(test_bounded_pass),
                cmocka_unit_test(test_deadline),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
