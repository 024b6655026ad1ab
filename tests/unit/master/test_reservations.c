/* Reservations and volumes out of offers: on disk, told to the agent before the launch that uses them, and there again afterwards. */
#include "tests/unit/master/scene.h"

#include "master/assignment.h"

#define FRAMEWORK                                                                                            \
        "{\"user\": \"u\", \"name\": \"n\", \"id\": {\"value\": \"f\"}, \"roles\": [\"a\"], \"principal\": " \
        "\"p\","                                                                                             \
        " \"capabilities\": [{\"type\": \"MULTI_ROLE\"}, {\"type\": \"RESERVATION_REFINEMENT\"}]}"
#define STACK ", \"reservations\": [{\"type\": \"DYNAMIC\", \"role\": \"a\", \"principal\": \"p\"}]"
#define SCALAR(name, amount, more)                                                                           \
        "{\"name\": \"" name "\", \"type\": \"SCALAR\", \"scalar\": {\"value\": " amount "}" more "}"
#define VOLUME(path)                                                                                         \
        ", \"disk\": {\"persistence\": {\"id\": \"v1\", \"principal\": \"p\"}, \"volume\": {\"mode\": "      \
        "\"RW\","                                                                                            \
        " \"container_path\": \"" path "\"}}"
#define ID(id) "\"id\": {\"value\": \"" id "\"}, "
#define RESERVE(id, resources) "{" id "\"type\": \"RESERVE\", \"reserve\": {\"resources\": [" resources "]}}"
#define UNRESERVE(id, resources)                                                                             \
        "{" id "\"type\": \"UNRESERVE\", \"unreserve\": {\"resources\": [" resources "]}}"
#define CREATE(id, volumes) "{" id "\"type\": \"CREATE\", \"create\": {\"volumes\": [" volumes "]}}"
#define DESTROY(id, volumes) "{" id "\"type\": \"DESTROY\", \"destroy\": {\"volumes\": [" volumes "]}}"
#define LAUNCH(task, resources)                                                                              \
        "{\"type\": \"LAUNCH\", \"launch\": {\"task_infos\": [{\"name\": \"t\", \"task_id\": {\"value\": "   \
        "\"" task "\"}, \"agent_id\": {\"value\": \"%1$s\"}, \"command\": {\"value\": \"true\"}, "           \
        "\"resources\": [" resources "]}]}}"

static void accept_last(struct scene *s, const char *operations)
{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        _cleanup_free_ char *ops = xasprintf(operations, s->c.agent_id);
#pragma GCC diagnostic pop
        _cleanup_free_ char *json =
                xasprintf("{\"type\": \"ACCEPT\", \"accept\": {\"offer_ids\": [{\"value\": \"%s\"}], "
                          "\"operations\": [%s], \"filters\": {\"refuse_seconds\": 0}}}",
                        last(&s->offered), ops);

        scene_call(s, scheduler_accept, json);
}

static struct agent *agent_of(const struct scene *s)
{
        return agent_find(s->m, s->c.agent_id);
}

static void check_total(const struct scene *s, const char *expected)
{
        _cleanup_free_ char *text = resources_to_string(&agent_of(s)->total);

        assert_string_equal(text, expected);
}

static void start(struct scene *s)
{
        s->c.disk = 100;
        scene_start_as(s, FRAMEWORK);
        WAIT_FOR(&s->c, s->offered.count == 1);
}

/* With the agent's own, the books of the allocator hold, and the same comes back in the next offer. */
static void check_next_offer(struct scene *s, size_t count, const char *expected)
{
        struct offer *o;

        WAIT_FOR(&s->c, s->offered.count == count);
        o = offer_find(s->m, last(&s->offered));
        assert_non_null(o);
        _cleanup_free_ char *text = resources_to_string(&o->resources);
        assert_string_equal(text, expected);
        scene_check(s);
}

static void test_reserve_create_launch(void **state)
{
        struct scene s = {};
        const Mete__V1__OperationStatus *status;

        start(&s);
        accept_last(
                &s, RESERVE(ID("op1"), SCALAR("cpus", "1", STACK) "," SCALAR("disk", "50", STACK)) "," CREATE(
                            ID("op2"), SCALAR("disk", "20", STACK VOLUME("data"))) "," LAUNCH("t1",
                            SCALAR("cpus", "1", STACK) "," SCALAR("mem", "64", "") "," SCALAR(
                                    "disk", "20", STACK VOLUME("elsewhere"))));
        assert_int_equal(s.operation_count, 0); /* not before it is on disk */
        assert_int_equal(s.c.launched.count, 0);
        check_total(&s, "cpus:3;cpus(a):1;disk:50;disk(a):30;disk(a)[v1:data]:20;mem:1024");
        WAIT_FOR(&s.c, has_seen(&s.c.launched, "t1"));
        assert_string_equal(s.c.assigned, "cpus(a):1;disk(a):30;disk(a)[v1:data]:20");
        assert_int_equal(s.c.assigned_version, 2);
        assert_int_equal(s.c.launched_before_assigned, 0);
        assert_int_equal(s.operation_count, 2);
        status = s.operations[1];
        assert_string_equal(status->operation_id->value, "op2");
        assert_int_equal(status->state, METE__V1__OPERATION_STATE__OPERATION_FINISHED);
        assert_string_equal(status->agent_id->value, s.c.agent_id);
        assert_int_equal(status->n_converted_resources, 1);
        assert_string_equal(status->converted_resources[0]->disk->persistence->id, "v1");
        assert_null(status->uuid);
        check_next_offer(&s, 2, "cpus:3;disk:50;disk(a):30;mem:960");
        scene_stop(&s);
}

static void test_operations_in_order(void **state)
{
        struct scene s = {};

        start(&s);
        accept_last(&s, RESERVE("", SCALAR("cpus", "2", STACK)) "," RESERVE(
                                ID("no"), SCALAR("cpus", "3", STACK)) "," UNRESERVE("",
                                SCALAR("cpus", "1", STACK)) "," DESTROY(ID("none"),
                                SCALAR("disk", "1", STACK VOLUME("x"))));
        WAIT_FOR(&s.c, s.operation_count == 2);
        assert_int_equal(s.operations[0]->state, METE__V1__OPERATION_STATE__OPERATION_ERROR);
        assert_string_equal(s.operations[0]->operation_id->value, "no");
        assert_non_null(strstr(s.operations[0]->message, "cpus:2 is left"));
        assert_non_null(strstr(s.operations[1]->message, "no volume 'v1'"));
        WAIT_FOR(&s.c, s.c.assigned_version == 2);
        assert_string_equal(s.c.assigned, "cpus(a):1");
        check_next_offer(&s, 2, "cpus:3;cpus(a):1;disk:100;mem:1024");
        scene_stop(&s);
}

/* Told again; an agent that has less keeps what is assigned, and is offered for what it has. */
static void test_registers_again(void **state)
{
        struct scene s = {};

        start(&s);
        accept_last(&s, RESERVE("", SCALAR("cpus", "1", STACK) "," SCALAR("disk", "60", STACK)) "," CREATE(
                                "", SCALAR("disk", "40", STACK VOLUME("data"))));
        WAIT_FOR(&s.c, s.c.assigned_version == 2);
        free(TAKE_PTR(s.c.assigned));
        subscribe(&s.c, NULL, 0);
        WAIT_FOR(&s.c, s.c.assigned);
        assert_string_equal(s.c.assigned, "cpus(a):1;disk(a):20;disk(a)[v1:data]:40");
        check_total(&s, "cpus:3;cpus(a):1;disk:40;disk(a):20;disk(a)[v1:data]:40;mem:1024");
        s.c.disk = 30;
        free(TAKE_PTR(s.c.assigned));
        subscribe(&s.c, NULL, 0);
        WAIT_FOR(&s.c, s.c.assigned);
        assert_string_equal(s.c.assigned, "cpus(a):1;disk(a):20;disk(a)[v1:data]:40");
        check_total(&s, "cpus:3;cpus(a):1;disk:10;disk(a):20;mem:1024");
        scene_check(&s);
        scene_stop(&s);
}

/* An orderly goodbye does not end what is assigned, however long it takes to come back. */
static void test_says_goodbye(void **state)
{
        Mete__Agent__Call goodbye = METE__AGENT__CALL__INIT;
        struct scene s = {};

        start(&s);
        accept_last(&s, RESERVE("", SCALAR("disk", "60", STACK)) "," CREATE(
                                "", SCALAR("disk", "40", STACK VOLUME("data"))));
        WAIT_FOR(&s.c, s.c.assigned_version == 2);
        goodbye.type = METE__AGENT__CALL__TYPE__UNREGISTER;
        agent_post(&s.c, &goodbye);
        WAIT_FOR(&s.c, agent_of(&s)->state == AGENT_UNREACHABLE);
        agents_gc(s.m, wall_seconds_now() + AGENTS_LOST_MAX_SECONDS + 1);
        assert_non_null(agent_of(&s));
        free(TAKE_PTR(s.c.assigned));
        subscribe(&s.c, NULL, 0);
        WAIT_FOR(&s.c, s.c.assigned);
        assert_string_equal(s.c.assigned, "disk(a):20;disk(a)[v1:data]:40");
        check_total(&s, "cpus:4;disk:40;disk(a):20;disk(a)[v1:data]:40;mem:1024");
        scene_check(&s);
        scene_stop(&s);
}

static void test_volume_in_use(void **state)
{
        struct scene s = {};

        start(&s);
        accept_last(&s, RESERVE("", SCALAR("disk", "50", STACK)) "," CREATE(
                                "", SCALAR("disk", "50", STACK VOLUME("data"))) "," LAUNCH("t1",
                                SCALAR("cpus", "1", "") "," SCALAR(
                                        "disk", "50", STACK VOLUME("data"))) "," DESTROY(ID("op"),
                                SCALAR("disk", "50", STACK VOLUME("data"))));
        assert_int_equal(s.operation_count, 1);
        assert_non_null(strstr(s.operations[0]->message, "volume 'v1' is in use"));
        WAIT_FOR(&s.c, has_seen(&s.c.launched, "t1"));
        check_next_offer(&s, 2, "cpus:3;disk:50;mem:1024");
        scene_stop(&s);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_reserve_create_launch),
                cmocka_unit_test(test_operations_in_order),
                cmocka_unit_test(test_registers_again),
                cmocka_unit_test(test_says_goodbye),
                cmocka_unit_test(test_volume_in_use),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
