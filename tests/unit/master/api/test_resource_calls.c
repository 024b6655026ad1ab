/* What operators reserve and make volumes of: out of what is free, with offers rescinded, told to the agent, shown to readers. */

#include "tests/unit/master/api/read_world.h"

#include "master/assignment.h"

static void start(struct world *w)
{
        w->c.disk = 100;
        world_start(w);
        subscribe(&w->c, NULL, 0);
        w->a = agent_find(w->m, w->c.agent_id);
        assert_non_null(w->a);
}

static json_t *ask(struct world *w, int status, const char *body)
{
        return call(&w->c, status, body);
}

static void done(struct world *w, const char *body, const char *total)
{
        _cleanup_error_ struct error e = {};

        json_decref(ask(w, 200, body));
        _cleanup_free_ char *text = resources_to_string(&w->a->total);
        assert_string_equal(text, total);
        if (allocator_check(w->m->allocator, &e) < 0)
                fail_msg("%s", error_message(&e));
}

static void refused(struct world *w, int status, const char *says, const char *body)
{
        json_t *answer = ask(w, status, body);

        if (!strstr(text_at(answer, "message"), says))
                fail_msg("%s: %s", body, w->c.body);
        json_decref(answer);
}

#define AMOUNTS(type, member, role, amounts)                                                                 \
        "{\"type\": \"" type "\", \"" member "\": {\"agent_id\": \"fake\", \"role\": \"" role                \
        "\", \"amounts\": [" amounts "]}}"
#define RESERVE(role, amounts) AMOUNTS("RESERVE", "reserve", role, amounts)
#define UNRESERVE(role, amounts) AMOUNTS("UNRESERVE", "unreserve", role, amounts)
#define AMOUNT(name, value) "{\"resource\": \"" name "\", \"value\": " value "}"
#define CREATE(role, id, size)                                                                               \
        "{\"type\": \"CREATE_VOLUME\", \"create_volume\": {\"agent_id\": \"fake\", \"role\": \"" role        \
        "\", \"volume_id\": \"" id "\", \"size_mib\": " size "}}"
#define DESTROY(id)                                                                                          \
        "{\"type\": \"DESTROY_VOLUME\", \"destroy_volume\": {\"agent_id\": \"fake\", \"volume_id\": \"" id   \
        "\"}}"
#define RESIZE(id, size)                                                                                     \
        "{\"type\": \"RESIZE_VOLUME\", \"resize_volume\": {\"agent_id\": \"fake\", \"volume_id\": \"" id     \
        "\", \"size_mib\": " size "}}"

static void test_reserve_and_unreserve(void **state)
{
        struct world w = {};
        json_t *j;

        start(&w);
        done(&w, RESERVE("a/b", AMOUNT("cpus", "1.5") "," AMOUNT("disk", "40")),
                "cpus:2.5;cpus(a/b):1.5;disk:60;disk(a/b):40;mem:1024");
        WAIT_FOR(&w.c, w.c.assigned_version == 1);
        assert_string_equal(w.c.assigned, "cpus(a/b):1.5;disk(a/b):40");
        j = get_json(&w, "/slaves");
        assert_true(number_at(j, "slaves.0.unreserved_resources.cpus") == 2.5);
        assert_true(number_at(j, "slaves.0.resources.cpus") == 4);
        json_t *reserved = json_object_get(at(j, "slaves.0.reserved_resources"), "a/b");
        assert_true(json_number_value(json_object_get(reserved, "cpus")) == 1.5);
        reserved = json_array_get(json_object_get(at(j, "slaves.0.reserved_resources_full"), "a/b"), 0);
        assert_string_equal(json_string_value(json_object_get(reserved, "role")), "a/b");
        reserved = json_array_get(json_object_get(reserved, "reservations"), 0);
        assert_string_equal(json_string_value(json_object_get(reserved, "type")), "DYNAMIC");
        json_decref(j);
        j = ask(&w, 200, "{\"type\": \"LIST_AGENTS\"}");
        assert_int_equal(json_array_size(at(j, "agents.0.resources")), 5);
        json_decref(j);
        done(&w, UNRESERVE("a/b", AMOUNT("cpus", "0.5")), "cpus:3;cpus(a/b):1;disk:60;disk(a/b):40;mem:1024");
        refused(&w, 409, "only 1 are reserved for role 'a/b'", UNRESERVE("a/b", AMOUNT("cpus", "1.5")));
        refused(&w, 409, "only 0 are reserved", UNRESERVE("a", AMOUNT("cpus", "1")));
        refused(&w, 409, "cpus:3.5 is needed, cpus:3 is free", RESERVE("a", AMOUNT("cpus", "3.5")));
        refused(&w, 409, "nothing of it is free", RESERVE("a", AMOUNT("gpus", "1")));
        refused(&w, 400, "amounts[0]", RESERVE("a", AMOUNT("cpus", "0")));
        refused(&w, 400, "amounts[1]", RESERVE("a", AMOUNT("cpus", "1") "," AMOUNT("cpus", "1")));
        refused(&w, 400, "amounts", RESERVE("a", ""));
        refused(&w, 400, "reserve.role", RESERVE("*", AMOUNT("cpus", "1")));
        refused(&w, 400, "reserve.role", RESERVE("a//b", AMOUNT("cpus", "1")));
        world_stop(&w);
}

static void test_volumes(void **state)
{
        struct world w = {};
        json_t *j;

        start(&w);
        refused(&w, 409, "RESERVE more first", CREATE("a", "v1", "10"));
        done(&w, RESERVE("a", AMOUNT("disk", "40")), "cpus:4;disk:60;disk(a):40;mem:1024");
        done(&w, CREATE("a", "v1", "10"), "cpus:4;disk:60;disk(a):30;disk(a)[v1:v1]:10;mem:1024");
        refused(&w, 409, "a volume 'v1'", CREATE("a", "v1", "10"));
        refused(&w, 400, "size_mib", CREATE("a", "v2", "0"));
        refused(&w, 400, "persistence.id", CREATE("a", "../v2", "1"));
        done(&w, RESIZE("v1", "25"), "cpus:4;disk:60;disk(a):15;disk(a)[v1:v1]:25;mem:1024");
        done(&w, RESIZE("v1", "5"), "cpus:4;disk:60;disk(a):35;disk(a)[v1:v1]:5;mem:1024");
        refused(&w, 409, "disk(a):36 is needed", RESIZE("v1", "41"));
        refused(&w, 409, "already", RESIZE("v1", "5"));
        refused(&w, 404, "no volume", RESIZE("v9", "5"));
        refused(&w, 409, "only 35 are reserved", UNRESERVE("a", AMOUNT("disk", "40")));
        j = ask(&w, 200, "{\"type\": \"LIST_VOLUMES\"}");
        assert_int_equal(json_array_size(at(j, "volumes")), 1);
        assert_string_equal(text_at(j, "volumes.0.volume_id"), "v1");
        assert_string_equal(text_at(j, "volumes.0.role"), "a");
        assert_true(number_at(j, "volumes.0.size_mib") == 5);
        json_decref(j);
        done(&w, DESTROY("v1"), "cpus:4;disk:60;disk(a):40;mem:1024");
        refused(&w, 404, "no volume", DESTROY("v1"));
        WAIT_FOR(&w.c, w.c.assigned_version == 5);
        assert_string_equal(w.c.assigned, "disk(a):40");
        world_stop(&w);
}

static size_t rescinded;

static void keep(struct framework *f, struct offer *o)
{
        (void)f, (void)o;
}

static void note_rescind(struct framework *f, struct offer *o)
{
        (void)f, (void)o;
        rescinded++;
}

/* Only when that is enough. */
static void test_offers_in_the_way(void **state)
{
        static const struct framework_ops ops = {.offer = keep, .rescind = note_rescind};
        struct world w = {};
        struct framework *f;

        start(&w);
        f = framework_add(w.m,
                message_of(&mete__v1__framework_info__descriptor,
                        "{\"user\": \"u\", \"name\": \"n\", \"id\": {\"value\": \"f\"}, \"role\": \"z\"}"),
                &ops, NULL);
        f->state = FRAMEWORK_ACTIVE;
        offers_schedule(w.m);
        WAIT_FOR(&w.c, f->offers);
        rescinded = 0;
        refused(&w, 409, "cpus:5 is needed", RESERVE("a", AMOUNT("cpus", "5")));
        assert_int_equal(rescinded, 0);
        done(&w, RESERVE("a", AMOUNT("cpus", "4")), "cpus(a):4;disk:100;mem:1024");
        assert_int_equal(rescinded, 1);
        world_stop(&w);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_reserve_and_unreserve),
                cmocka_unit_test(test_volumes),
                cmocka_unit_test(test_offers_in_the_way),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
