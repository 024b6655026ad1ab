/* Offers and what a framework does with them: shape, ACCEPT in all its refusals, DECLINE, REVIVE, SUPPRESS, RESCIND. */

#include "tests/unit/master/scene.h"

#define DROPPED METE__V1__TASK_STATE__TASK_DROPPED
#define ERROR METE__V1__TASK_STATE__TASK_ERROR
#define MULTI_ROLE METE__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__MULTI_ROLE
#define REFINEMENT METE__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__RESERVATION_REFINEMENT

#define RESOURCES(cpus, mem)                                                                                 \
        "[{\"name\": \"cpus\", \"type\": \"SCALAR\", \"scalar\": {\"value\": " cpus "}},"                    \
        " {\"name\": \"mem\", \"type\": \"SCALAR\", \"scalar\": {\"value\": " mem "}}]"
#define TASK_OF(id, cpus, more)                                                                              \
        "{\"name\": \"t\", \"task_id\": {\"value\": \"" id                                                   \
        "\"}, \"agent_id\": {\"value\": \"%1$s\"}, \"resources\": " RESOURCES(cpus, "64") more "}"
#define RUN ", \"command\": {\"value\": \"true\"}"
#define TASK(id, cpus) TASK_OF(id, cpus, RUN)
#define EXECUTOR(id, cpus, more)                                                                             \
        "{\"executor_id\": {\"value\": \"" id "\"}, \"command\": {\"value\": \"./x\"}" more                  \
        ", \"resources\": " RESOURCES(cpus, "32") "}"
#define CUSTOM(task, cpus, executor) TASK_OF(task, cpus, ", \"executor\": " executor)
#define LAUNCH(tasks) "{\"type\": \"LAUNCH\", \"launch\": {\"task_infos\": [" tasks "]}}"
#define GROUP_EXECUTOR(id, type)                                                                             \
        "{\"executor_id\": {\"value\": \"" id "\"}" type                                                     \
        ", \"command\": {\"value\": \"./x\"}, \"resources\": ["                                              \
        "{\"name\": \"cpus\", \"type\": \"SCALAR\", \"scalar\": {\"value\": 0.5}},"                          \
        "{\"name\": \"mem\", \"type\": \"SCALAR\", \"scalar\": {\"value\": 32}},"                            \
        "{\"name\": \"disk\", \"type\": \"SCALAR\", \"scalar\": {\"value\": 1}}]}"
#define GROUP(executor, tasks)                                                                               \
        "{\"type\": \"LAUNCH_GROUP\", \"launch_group\": {\"executor\": " executor                            \
        ", \"task_group\": {\"tasks\": [" tasks "]}}}"
#define TYPE_CUSTOM ", \"type\": \"CUSTOM\""

static void wait_offer(struct scene *s, size_t count)
{
        WAIT_FOR(&s->c, s->offered.count == count);
}

/* `operations` may name the agent as %1$s; `offers` is a list of ids, comma-separated and quoted. */
static void accept_offers(struct scene *s, const char *offers, const char *operations, const char *filters)
{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        _cleanup_free_ char *ops = xasprintf(operations, s->c.agent_id);
#pragma GCC diagnostic pop
        _cleanup_free_ char *json =
                xasprintf("{\"type\": \"ACCEPT\", \"accept\": {\"offer_ids\": [%s], \"operations\": [%s]%s}}",
                        offers, ops, filters);

        scene_call(s, scheduler_accept, json);
}

static char *quoted(const char *offer)
{
        return xasprintf("{\"value\": \"%s\"}", offer);
}

static void accept_last(struct scene *s, const char *operations, const char *filters)
{
        _cleanup_free_ char *offer = quoted(last(&s->offered));

        accept_offers(s, offer, operations, filters);
}

static void decline_last(struct scene *s, const char *filters)
{
        _cleanup_free_ char *json =
                xasprintf("{\"type\": \"DECLINE\", \"decline\": {\"offer_ids\": [{\"value\": \"%s\"}]%s}}",
                        last(&s->offered), filters);

        scene_call(s, scheduler_decline, json);
}

#define FILTER(seconds) ", \"filters\": {\"refuse_seconds\": " seconds "}"
#define FOR_EVER FILTER("1e9")

static void expect_status(struct scene *s, size_t i, const char *task, Mete__V1__TaskState state,
        Mete__V1__TaskStatus__Reason reason, const char *message)
{
        const Mete__V1__TaskStatus *t = s->statuses[i];

        assert_true(i < s->status_count);
        assert_string_equal(t->task_id->value, task);
        if (t->state != state || t->reason != reason || !strstr(t->message, message))
                fail_msg("%s: %s %s: %s", task, task_state_to_string(t->state),
                        task_reason_to_string(t->reason), t->message);
        assert_int_equal(t->source, METE__V1__TASK_STATUS__SOURCE__SOURCE_MASTER);
        assert_false(t->has_uuid);
        assert_true(t->has_timestamp);
}

/* ---- shape ---- */

static void test_shape_follows_capabilities(void **state)
{
        static const struct {
                bool multi_role, refinement;
        } rows[] = {{false, false}, {true, false}, {false, true}, {true, true}};
        struct scene s = {};
        struct offer *o;

        scene_start(&s);
        wait_offer(&s, 1);
        o = offer_find(s.m, last(&s.offered));
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                Mete__V1__Offer *p;

                s.f->capabilities = (rows[i].multi_role ? 1u << MULTI_ROLE : 0) |
                                    (rows[i].refinement ? 1u << REFINEMENT : 0);
                p = offer_to_proto(o);
                assert_int_equal(p->n_resources, 2);
                assert_int_equal(!!p->allocation_info, rows[i].multi_role);
                assert_int_equal(!!p->resources[0]->allocation_info, rows[i].multi_role);
                if (rows[i].multi_role) {
                        assert_string_equal(p->allocation_info->role, "*");
                        assert_string_equal(p->resources[0]->allocation_info->role, "*");
                }
                /* The descriptor's default is no role that was set. */
                _cleanup_buffer_ struct buffer json = {};
                assert_int_equal(message_encode(CODEC_JSON, &p->resources[0]->base, &json), 0);
                assert_int_equal(
                        !!strstr(json.data, "\"role\":\"*\""), !rows[i].refinement || rows[i].multi_role);
                message_free(p);
        }
        scene_stop(&s);
}

static void test_fields_of_an_offer(void **state)
{
        Mete__V1__ExecutorID executor_id = METE__V1__EXECUTOR_ID__INIT;
        Mete__V1__ExecutorInfo x = METE__V1__EXECUTOR_INFO__INIT;
        static char id[] = "x";
        struct scene s = {};
        struct framework *other;
        Mete__V1__Offer *p;
        struct offer *o;

        scene_start(&s);
        wait_offer(&s, 1);
        o = offer_find(s.m, last(&s.offered));
        executor_id.value = id;
        x.executor_id = &executor_id;
        other = framework_add_local(s.m, "other", "other", &s.ops, &s);
        executor_add(s.f, o->agent, "*", &x, &(struct resources){});
        executor_add(other, o->agent, "*", &x, &(struct resources){});
        set_string(&o->agent->address, "127.0.0.1:6051");
        p = offer_to_proto(o);
        assert_string_equal(p->id->value, o->id);
        assert_string_equal(p->framework_id->value, "f");
        assert_string_equal(p->agent_id->value, s.c.agent_id);
        assert_string_equal(p->hostname, "fake");
        assert_string_equal(p->url->scheme, "http");
        assert_string_equal(p->url->path, "/slave(1)");
        assert_string_equal(p->url->address->hostname, "fake");
        assert_string_equal(p->url->address->ip, "127.0.0.1");
        assert_int_equal(p->url->address->port, 6051);
        assert_int_equal(p->n_executor_ids, 1);
        message_free(p);
        set_string(&o->agent->address, "[::1]:7");
        p = offer_to_proto(o);
        assert_string_equal(p->url->address->ip, "::1");
        message_free(p);
        set_string(&o->agent->address, "node7:7");
        p = offer_to_proto(o);
        assert_null(p->url->address->ip);
        assert_int_equal(p->url->address->port, 7);
        message_free(p);
        scene_stop(&s);
}

/* ---- ACCEPT ---- */

static void test_launches_are_booked_and_the_rest_declined(void **state)
{
        struct scene s = {};
        struct task *t;

        scene_start(&s);
        wait_offer(&s, 1);
        accept_last(&s, LAUNCH(TASK("t1", "1") "," TASK("t2", "0.5")), FOR_EVER);
        WAIT_FOR(&s.c, has_seen(&s.c.launched, "t1") && has_seen(&s.c.launched, "t2"));
        t = task_find(s.f, "t1");
        assert_true(t->sent);
        assert_string_equal(t->info->resources[0]->allocation_info->role, "*");
        assert_int_equal(resources_scalar(allocator_agent_free(s.m->allocator, s.c.agent_id), "cpus"), 2500);
        assert_int_equal(s.offered.count, 1); /* the rest was refused */
        scene_check(&s);
        update(&s.c, "t2", METE__V1__TASK_STATE__TASK_FINISHED, 1);
        wait_offer(&s, 2); /* more than what was refused */
        assert_int_equal(resources_scalar(&offer_find(s.m, last(&s.offered))->resources, "cpus"), 3000);
        scene_check(&s);
        assert_int_equal(s.m->counters.all.offers_accepted, 1);
        scene_stop(&s);
}

static void test_the_rest_comes_back_without_a_filter(void **state)
{
        struct scene s = {};

        scene_start(&s);
        wait_offer(&s, 1);
        accept_last(&s, LAUNCH(TASK("t1", "1")), FILTER("0"));
        wait_offer(&s, 2);
        assert_int_equal(resources_scalar(&offer_find(s.m, last(&s.offered))->resources, "cpus"), 3000);
        scene_stop(&s);
}

static void test_offers_that_do_not_hold(void **state)
{
        struct scene s = {};

        scene_start(&s);
        wait_offer(&s, 1);
        /* unknown */
        accept_offers(&s, "{\"value\": \"nothing\"}", LAUNCH(TASK("t1", "1")), FOR_EVER);
        expect_status(&s, 0, "t1", DROPPED, METE__V1__TASK_STATUS__REASON__REASON_INVALID_OFFERS, "nothing");
        /* none */
        accept_offers(&s, "", LAUNCH(TASK("t2", "1")), FOR_EVER);
        expect_status(&s, 1, "t2", DROPPED, METE__V1__TASK_STATUS__REASON__REASON_INVALID_OFFERS, "no offer");
        /* twice */
        _cleanup_free_ char *id = quoted(last(&s.offered)), *twice = xasprintf("%s, %s", id, id);
        accept_offers(&s, twice, LAUNCH(TASK("t3", "1") "," TASK("t4", "1")), FOR_EVER);
        expect_status(&s, 2, "t3", DROPPED, METE__V1__TASK_STATUS__REASON__REASON_INVALID_OFFERS,
                "not outstanding");
        expect_status(&s, 3, "t4", DROPPED, METE__V1__TASK_STATUS__REASON__REASON_INVALID_OFFERS,
                "not outstanding");
        /* valid and not: the valid one comes back, without a filter */
        wait_offer(&s, 2);
        _cleanup_free_ char *valid = quoted(last(&s.offered)),
                            *mixed = xasprintf("%s, {\"value\": \"x\"}", valid);
        accept_offers(&s, mixed, GROUP(GROUP_EXECUTOR("g", TYPE_CUSTOM), TASK("t5", "1") "," TASK("t6", "1")),
                FOR_EVER);
        expect_status(&s, 4, "t5", DROPPED, METE__V1__TASK_STATUS__REASON__REASON_INVALID_OFFERS, "x");
        expect_status(&s, 5, "t6", DROPPED, METE__V1__TASK_STATUS__REASON__REASON_INVALID_OFFERS, "x");
        wait_offer(&s, 3);
        assert_int_equal(resources_scalar(&offer_find(s.m, last(&s.offered))->resources, "cpus"), 4000);
        assert_int_equal(s.c.launched.count, 0);
        scene_check(&s);
        scene_stop(&s);
}

/* One agent, two roles: 4 cpus cannot be in two offers, so one role's share is given back first. */
static void test_offers_of_two_roles_do_not_go_together(void **state)
{
        struct scene s = {};

        scene_start_as(&s,
                "{\"user\": \"u\", \"name\": \"n\", \"id\": {\"value\": \"f\"}, \"roles\": [\"a\", \"b\"],"
                " \"capabilities\": [{\"type\": \"MULTI_ROLE\"}]}");
        wait_offer(&s, 1);
        accept_last(&s, LAUNCH(TASK("t1", "1")), FILTER("0"));
        wait_offer(&s, 2); /* to the other role: its share is lower */
        _cleanup_free_ char *second = quoted(last(&s.offered));
        assert_string_not_equal(task_find(s.f, "t1")->role, offer_find(s.m, last(&s.offered))->role);
        update(&s.c, "t1", METE__V1__TASK_STATE__TASK_FINISHED, 1);
        wait_offer(&s, 3);
        _cleanup_free_ char *third = quoted(last(&s.offered)), *both = xasprintf("%s, %s", second, third);
        if (str_equal(offer_find(s.m, last(&s.offered))->role, offer_find(s.m, s.offered.items[1])->role))
                fail_msg("the roles are equal: the test tests nothing");
        accept_offers(&s, both, LAUNCH(TASK("t2", "1")), FOR_EVER);
        expect_status(
                &s, 0, "t2", DROPPED, METE__V1__TASK_STATUS__REASON__REASON_INVALID_OFFERS, "different");
        wait_offer(&s, 4);
        assert_int_equal(resources_scalar(&offer_find(s.m, last(&s.offered))->resources, "cpus"), 4000);
        scene_check(&s);
        scene_stop(&s);
}

static void test_another_framework_s_offer(void **state)
{
        struct scene s = {};
        struct framework *other;

        scene_start(&s);
        wait_offer(&s, 1);
        other = scene_add_framework(&s, "{\"user\": \"u\", \"name\": \"n\", \"id\": {\"value\": \"other\"}}");
        s.f = other;
        accept_last(&s, LAUNCH(TASK("t1", "1")), FOR_EVER);
        expect_status(&s, 0, "t1", DROPPED, METE__V1__TASK_STATUS__REASON__REASON_INVALID_OFFERS, "");
        decline_last(&s, "");
        assert_non_null(offer_find(s.m, last(&s.offered))); /* it was not theirs */
        scene_stop(&s);
}

static void test_two_offers_of_one_agent_are_one(void **state)
{
        struct scene s = {};

        scene_start(&s);
        wait_offer(&s, 1);
        accept_last(&s, LAUNCH(TASK("t1", "3")), FILTER("0"));
        wait_offer(&s, 2);
        update(&s.c, "t1", METE__V1__TASK_STATE__TASK_FINISHED, 1);
        wait_offer(&s, 3);
        _cleanup_free_ char *second = quoted(s.offered.items[1]), *third = quoted(s.offered.items[2]),
                            *both = xasprintf("%s, %s", second, third);
        accept_offers(&s, both, LAUNCH(TASK("t2", "4")), FOR_EVER);
        WAIT_FOR(&s.c, has_seen(&s.c.launched, "t2"));
        scene_check(&s);
        scene_stop(&s);
}

static void test_tasks_that_are_refused(void **state)
{
        struct scene s = {};

        scene_start(&s);
        wait_offer(&s, 1);
        accept_last(&s,
                LAUNCH(TASK("t1", "3") "," TASK("t2", "2") "," TASK("t1", "1") "," TASK(
                        "t3", "-1") "," TASK_OF("t4", "1", "") "," TASK("t5", "1")),
                FOR_EVER);
        WAIT_FOR(&s.c, has_seen(&s.c.launched, "t1") && has_seen(&s.c.launched, "t5"));
        assert_int_equal(s.status_count, 4);
        expect_status(
                &s, 0, "t2", ERROR, METE__V1__TASK_STATUS__REASON__REASON_TASK_INVALID, "task.resources");
        expect_status(&s, 1, "t1", ERROR, METE__V1__TASK_STATUS__REASON__REASON_TASK_INVALID, "task.task_id");
        expect_status(
                &s, 2, "t3", ERROR, METE__V1__TASK_STATUS__REASON__REASON_TASK_INVALID, "task.resources[0]");
        expect_status(&s, 3, "t4", ERROR, METE__V1__TASK_STATUS__REASON__REASON_TASK_INVALID, "exactly one");
        assert_int_equal(s.m->counters.all.tasks_ended[ERROR], 4);
        scene_check(&s);
        scene_stop(&s);
}

static void test_users_that_are_refused(void **state)
{
        struct scene s = {};

        scene_start(&s);
        wait_offer(&s, 1);
        accept_last(&s, LAUNCH(TASK_OF("t1", "1", ", \"command\": {\"value\": \"x\", \"user\": \"root\"}")),
                FILTER("0"));
        expect_status(
                &s, 0, "t1", ERROR, METE__V1__TASK_STATUS__REASON__REASON_TASK_UNAUTHORIZED, "command.user");
        wait_offer(&s, 2);
        accept_last(&s,
                GROUP(GROUP_EXECUTOR("g", TYPE_CUSTOM),
                        TASK_OF("t2", "1", ", \"command\": {\"value\": \"x\", \"user\": \"root\"}")),
                FOR_EVER);
        expect_status(&s, 1, "t2", ERROR, METE__V1__TASK_STATUS__REASON__REASON_TASK_GROUP_UNAUTHORIZED,
                "command.user");
        scene_stop(&s);
}

static void test_an_operation_id_on_a_launch(void **state)
{
        struct scene s = {};

        scene_start(&s);
        wait_offer(&s, 1);
        accept_last(&s,
                "{\"type\": \"LAUNCH\", \"id\": {\"value\": \"op\"}, \"launch\": {\"task_infos\": [" TASK(
                        "t1", "1") "]}}",
                FOR_EVER);
        expect_status(&s, 0, "t1", ERROR, METE__V1__TASK_STATUS__REASON__REASON_TASK_INVALID, "operation.id");
        assert_int_equal(s.operation_count, 0);
        scene_stop(&s);
}

static void test_other_operations_are_errors(void **state)
{
        struct scene s = {};

        scene_start(&s);
        wait_offer(&s, 1);
        accept_last(&s,
                "{\"type\": \"RESERVE\", \"id\": {\"value\": \"op1\"}, \"reserve\": {\"resources\": []}},"
                "{\"type\": \"RESERVE\", \"reserve\": {\"resources\": []}},"
                "{\"type\": \"CREATE\", \"id\": {\"value\": \"op2\"}, \"create\": {\"volumes\": []}},"
                "{\"id\": {\"value\": \"op3\"}}," LAUNCH(TASK_OF("t1", "1", RUN "")) "," LAUNCH(
                        "{\"name\": \"t\", \"task_id\": {\"value\": \"t2\"}, \"agent_id\": {\"value\": "
                        "\"%1$s\"},"
                        " \"resources\": [{\"name\": \"cpus\", \"type\": \"SCALAR\", \"role\": \"r\","
                        " \"scalar\": {\"value\": 1}}]" RUN "}"),
                FOR_EVER);
        static const char *const sentences[] = {
                "operation.reserve.resources", "operation.create.volumes", "operation.type"};

        assert_int_equal(s.operation_count, 3);
        for (size_t i = 0; i < 3; i++) {
                char id[] = {'o', 'p', (char)('1' + i), 0};

                assert_string_equal(s.operations[i]->operation_id->value, id);
                assert_int_equal(s.operations[i]->state, METE__V1__OPERATION_STATE__OPERATION_ERROR);
                assert_non_null(strstr(s.operations[i]->message, sentences[i]));
                assert_null(s.operations[i]->uuid);
        }
        WAIT_FOR(&s.c, has_seen(&s.c.launched, "t1"));
        expect_status(&s, 0, "t2", ERROR, METE__V1__TASK_STATUS__REASON__REASON_TASK_INVALID,
                "task.resources: cpus(r):1: not all of it is in the offers");
        /* of offers that do not hold: the reason is those */
        accept_offers(&s, "{\"value\": \"x\"}",
                "{\"type\": \"DESTROY\", \"id\": {\"value\": \"op4\"}, \"destroy\": {}}", FOR_EVER);
        assert_int_equal(s.operation_count, 4);
        assert_non_null(strstr(s.operations[3]->message, "not outstanding"));
        scene_stop(&s);
}

static void test_an_agent_that_is_gone(void **state)
{
        struct scene s = {};

        scene_start(&s);
        wait_offer(&s, 1);
        agent_find(s.m, s.c.agent_id)->state =
                AGENT_DISCONNECTED; /* between the offer and the call nothing else can be */
        accept_last(&s, LAUNCH(TASK("t1", "1")), FOR_EVER);
        expect_status(&s, 0, "t1", DROPPED, METE__V1__TASK_STATUS__REASON__REASON_AGENT_DISCONNECTED,
                "disconnected");
        agent_find(s.m, s.c.agent_id)->state = AGENT_ACTIVE;
        wait_offer(&s, 2);
        agent_find(s.m, s.c.agent_id)->state = AGENT_UNREACHABLE;
        accept_last(&s, GROUP(GROUP_EXECUTOR("g", TYPE_CUSTOM), TASK("t2", "1")), FOR_EVER);
        expect_status(
                &s, 1, "t2", DROPPED, METE__V1__TASK_STATUS__REASON__REASON_AGENT_REMOVED, "unreachable");
        agent_find(s.m, s.c.agent_id)->state = AGENT_ACTIVE;
        scene_stop(&s);
}

/* ---- executors and groups ---- */

static void test_executors_are_booked_once(void **state)
{
        struct scene s = {};
        struct executor *x;

        scene_start(&s);
        wait_offer(&s, 1);
        accept_last(&s,
                LAUNCH(CUSTOM("t1", "1", EXECUTOR("x", "0.5", "")) "," CUSTOM(
                        "t2", "1", EXECUTOR("x", "0.5", "")) "," CUSTOM("t3", "0.1",
                        EXECUTOR("x", "0.6", "")) "," CUSTOM("t4", "0.1",
                        EXECUTOR("x", "0.5", ", \"name\": \"other\"")) "," CUSTOM("t5", "1.5",
                        EXECUTOR("y", "0.5", ""))),
                FOR_EVER);
        WAIT_FOR(&s.c, has_seen(&s.c.launched, "t1") && has_seen(&s.c.launched, "t2"));
        assert_int_equal(s.status_count, 3);
        expect_status(&s, 0, "t3", ERROR, METE__V1__TASK_STATUS__REASON__REASON_TASK_INVALID,
                "executor.executor_id");
        expect_status(&s, 1, "t4", ERROR, METE__V1__TASK_STATUS__REASON__REASON_TASK_INVALID,
                "executor.executor_id");
        expect_status(
                &s, 2, "t5", ERROR, METE__V1__TASK_STATUS__REASON__REASON_TASK_INVALID, "with the executor");
        assert_null(executor_find(agent_find(s.m, s.c.agent_id), "f", "y"));
        x = executor_find(agent_find(s.m, s.c.agent_id), "f", "x");
        assert_string_equal(x->info->framework_id->value, "f");
        assert_int_equal(x->info->type, METE__V1__EXECUTOR_INFO__TYPE__CUSTOM);
        assert_string_equal(x->role, "*");
        assert_int_equal(resources_scalar(allocator_agent_free(s.m->allocator, s.c.agent_id), "cpus"), 1500);
        assert_string_equal(task_find(s.f, "t1")->executor_id, "x");
        scene_check(&s);
        executor_remove(x);
        wait_offer(&s, 2);
        scene_check(&s);
        scene_stop(&s);
}

/* Its agent offers a disk, which groups need for their executor. */
static void offer_disk(struct scene *s)
{
        struct agent *a = agent_find(s->m, s->c.agent_id);

        resources_set_scalar(&a->total, "disk", 100000);
        offers_rescind_agent(a);
        assert_int_equal(allocator_set_agent_total(s->m->allocator, a->id, &a->total), 0);
        offers_schedule(s->m);
}

static void test_groups(void **state)
{
        struct scene s = {};

        scene_start(&s);
        wait_offer(&s, 1);
        offer_disk(&s);
        wait_offer(&s, 2);
        accept_last(&s,
                GROUP(GROUP_EXECUTOR("g", TYPE_CUSTOM), TASK("t1", "1") "," TASK("t2", "1")) "," GROUP(
                        GROUP_EXECUTOR("h", TYPE_CUSTOM),
                        TASK("t3", "1") "," TASK("t4", "1")) "," GROUP(GROUP_EXECUTOR("h", TYPE_CUSTOM),
                        TASK("t5", "0.1") "," TASK(
                                "t5", "0.1")) "," GROUP(GROUP_EXECUTOR("h", ", \"type\": \"DEFAULT\""),
                        TASK("t6", "0.1") "," TASK("t7", "0.1")) "," GROUP(GROUP_EXECUTOR("h", ""),
                        TASK("t8", "0.1")) "," GROUP(GROUP_EXECUTOR("h", TYPE_CUSTOM),
                        TASK("t9", "0.1") "," TASK("t1", "0.1")),
                FOR_EVER);
        WAIT_FOR(&s.c, s.c.groups == 1);
        assert_int_equal(s.c.launched.count, 2);
        assert_true(task_find(s.f, "t1")->sent);
        assert_string_equal(task_find(s.f, "t2")->executor_id, "g");
        assert_non_null(executor_find(agent_find(s.m, s.c.agent_id), "f", "g"));
        assert_null(executor_find(agent_find(s.m, s.c.agent_id), "f", "h"));
        static const struct {
                const char *task, *message;
        } refused[] = {{"t3", "task.resources"}, {"t4", "task.resources"}, {"t5", "twice"}, {"t5", "twice"},
                {"t6", "executor.type"}, {"t7", "executor.type"}, {"t8", "executor.type"},
                {"t9", "task.task_id"}, {"t1", "task.task_id"}};
        assert_int_equal(s.status_count, ELEMENTSOF(refused));
        for (size_t i = 0; i < ELEMENTSOF(refused); i++)
                expect_status(&s, i, refused[i].task, ERROR,
                        METE__V1__TASK_STATUS__REASON__REASON_TASK_GROUP_INVALID, refused[i].message);
        assert_int_equal(resources_scalar(allocator_agent_free(s.m->allocator, s.c.agent_id), "cpus"), 1500);
        scene_check(&s);
        scene_stop(&s);
}

/* ---- DECLINE and filters ---- */

static void test_how_long_a_refusal_lasts(void **state)
{
        static const struct {
                double seconds;
                uint64_t ns;
        } rows[] = {
                {5, 5 * NSEC_PER_SEC},
                {100.5, 100500 * NSEC_PER_MSEC},
                {0, 0},
                {0.001, NSEC_PER_SEC}, /* an allocation interval at least */
                {1, NSEC_PER_SEC},
                {-1, 5 * NSEC_PER_SEC},
                {-__builtin_inf(), 5 * NSEC_PER_SEC},
                {__builtin_nan(""), 5 * NSEC_PER_SEC},
                {365.0 * 86400, 365 * 86400 * NSEC_PER_SEC},
                {1e300, 365 * 86400 * NSEC_PER_SEC},
                {__builtin_inf(), 365 * 86400 * NSEC_PER_SEC},
        };
        Mete__V1__Filters f = METE__V1__FILTERS__INIT;

        assert_true(scheduler_refuse_ns(NULL) == 5 * NSEC_PER_SEC);
        assert_true(scheduler_refuse_ns(&f) == 5 * NSEC_PER_SEC); /* the default of the field */
        f.has_refuse_seconds = true;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                f.refuse_seconds = rows[i].seconds;
                if (scheduler_refuse_ns(&f) != rows[i].ns)
                        fail_msg("%g s: %ju ns", rows[i].seconds, (uintmax_t)scheduler_refuse_ns(&f));
        }
}

/* Whether somebody does not want to hear of an agent. */
static bool is_refused(struct scene *s)
{
        struct mono_time end;

        return allocator_next_wakeup(s->m->allocator, &end);
}

static void test_a_decline_for_no_time_brings_the_offer_back(void **state)
{
        struct scene s = {};

        scene_start(&s);
        wait_offer(&s, 1);
        decline_last(&s, FILTER("0"));
        assert_true(is_refused(&s)); /* for a moment: others come first */
        wait_offer(&s, 2);
        accept_last(&s, "", FILTER("0")); /* an accept of nothing is a decline */
        assert_true(is_refused(&s));
        wait_offer(&s, 3);
        accept_last(&s, LAUNCH(""), FOR_EVER); /* so is this */
        assert_true(is_refused(&s));
        scene_call(&s, scheduler_revive, "{\"type\": \"REVIVE\"}");
        assert_false(is_refused(&s));
        assert_int_equal(s.m->counters.all.offers_declined, 1);
        scene_stop(&s);
}

static void test_many_unknown_ids_are_declined_quickly(void **state)
{
        _cleanup_buffer_ struct buffer json = {};
        struct scene s = {};

        scene_start(&s);
        wait_offer(&s, 1);
        buffer_puts(&json, "{\"type\": \"DECLINE\", \"decline\": {\"offer_ids\": [");
        for (size_t i = 0; i < 100000; i++)
                buffer_printf(&json, "{\"value\": \"%s-O%zu\"}, ", s.m->id, i);
        buffer_printf(
                &json, "{\"value\": \"%s\"}], \"filters\": {\"refuse_seconds\": 1000}}}", last(&s.offered));
        scene_call(&s, scheduler_decline, json.data);
        assert_null(s.m->offers);
        scene_check(&s);
        scene_stop(&s);
}

/* ---- REVIVE, SUPPRESS, REQUEST ---- */

#define TWO_ROLES                                                                                            \
        "{\"user\": \"u\", \"name\": \"n\", \"id\": {\"value\": \"f\"}, \"roles\": [\"a\", \"b/c\"],"        \
        " \"capabilities\": [{\"type\": \"MULTI_ROLE\"}]}"

static void test_suppress_and_revive_by_role(void **state)
{
        struct scene s = {};

        scene_start_as(&s, TWO_ROLES);
        wait_offer(&s, 1);
        scene_call(&s, scheduler_suppress, "{\"type\": \"SUPPRESS\", \"suppress\": {\"roles\": [\"a\"]}}");
        scene_call(&s, scheduler_suppress, "{\"type\": \"SUPPRESS\", \"suppress\": {\"roles\": [\"b/c\"]}}");
        decline_last(&s, FILTER("0"));
        scene_settle(&s);
        assert_int_equal(s.offered.count, 1);
        scene_call(&s, scheduler_revive, "{\"type\": \"REVIVE\", \"revive\": {\"roles\": [\"b/c\"]}}");
        wait_offer(&s, 2);
        assert_string_equal(offer_find(s.m, last(&s.offered))->role, "b/c");
        decline_last(&s, FOR_EVER);
        scene_settle(&s);
        assert_null(s.m->offers);
        /* a role that it does not have voids the call */
        scene_call(&s, scheduler_revive, "{\"type\": \"REVIVE\", \"revive\": {\"roles\": [\"b/c\", \"x\"]}}");
        scene_settle(&s);
        assert_null(s.m->offers);
        scene_call(&s, scheduler_suppress, "{\"type\": \"SUPPRESS\"}");
        scene_call(&s, scheduler_request, "{\"type\": \"REQUEST\", \"request\": {\"requests\": []}}");
        scene_settle(&s);
        assert_null(s.m->offers);
        scene_call(&s, scheduler_revive, "{\"type\": \"REVIVE\"}");
        WAIT_FOR(&s.c, s.m->offers);
        scene_check(&s);
        scene_stop(&s);
}

static void test_suppressed_at_the_subscription(void **state)
{
        char *const both[] = {(char[]){"a"}, (char[]){"b/c"}};
        struct scene s = {};

        scene_start_as(&s, TWO_ROLES);
        wait_offer(&s, 1);
        framework_set_suppressed(s.f, both, 2);
        offers_rescind_framework(s.f, NULL, /* told= */ false);
        assert_int_equal(s.rescinded.count, 0);
        scene_settle(&s);
        assert_null(s.m->offers);
        framework_set_suppressed(s.f, both, 1);
        wait_offer(&s, 2);
        assert_string_equal(offer_find(s.m, last(&s.offered))->role, "b/c");
        scene_stop(&s);
}

static void test_inverse_offers_are_taken_note_of(void **state)
{
        struct scene s = {};

        scene_start(&s);
        scene_call(&s, scheduler_accept_inverse_offers,
                "{\"type\": \"ACCEPT_INVERSE_OFFERS\", \"accept_inverse_offers\": {\"inverse_offer_ids\": "
                "[{\"value\": \"x\"}]}}");
        scene_call(&s, scheduler_decline_inverse_offers,
                "{\"type\": \"DECLINE_INVERSE_OFFERS\", \"decline_inverse_offers\": {\"inverse_offer_ids\": "
                "[{\"value\": \"x\"}]}}");
        scene_stop(&s);
}

/* ---- RESCIND ---- */

static void test_rescinds(void **state)
{
        struct scene s = {};
        struct framework *f;

        scene_start(&s);
        wait_offer(&s, 1);
        /* the agent registers again */
        subscribe(&s.c, NULL, 0);
        WAIT_FOR(&s.c, s.rescinded.count == 1);
        assert_string_equal(s.rescinded.items[0], s.offered.items[0]);
        wait_offer(&s, 2);
        /* another role's offers stay */
        offers_rescind_framework(s.f, "other", /* told= */ true);
        assert_int_equal(s.rescinded.count, 1);
        offers_rescind_framework(s.f, "*", /* told= */ true);
        assert_string_equal(s.rescinded.items[1], s.offered.items[1]);
        wait_offer(&s, 3);
        /* an agent that goes away */
        f = s.f;
        http_client_free(s.c.stream);
        s.c.stream = NULL;
        WAIT_FOR(&s.c, s.rescinded.count == 3);
        assert_null(f->offers);
        assert_int_equal(s.m->counters.all.offers_rescinded, 3);
        scene_check(&s);
        scene_stop(&s);
}

static void test_offers_run_out(void **state)
{
        struct scene s = {.options.offer_timeout_ns = 20 * NSEC_PER_MSEC};

        scene_start(&s);
        WAIT_FOR(&s.c, s.rescinded.count >= 3); /* offered again and again */
        for (size_t i = 0; i < s.rescinded.count; i++)
                assert_string_equal(s.rescinded.items[i], s.offered.items[i]);
        scene_check(&s);
        scene_stop(&s);
}

static void test_constraints_keep_agents_away(void **state)
{
        static const char elsewhere[] =
                "{\"role_constraints\": {\"*\": {\"groups\": [{\"attribute_constraints\": [{\"selector\":"
                " {\"pseudoattribute_type\": \"HOSTNAME\"}, \"predicate\": {\"text_equals\": {\"value\": "
                "\"else\"}}}]}]}}}";
        Mete__V1__Scheduler__OfferConstraints *c;
        struct scene s = {};

        scene_start(&s);
        wait_offer(&s, 1);
        c = decode_json(&mete__v1__scheduler__offer_constraints__descriptor, elsewhere);
        assert_int_equal(framework_set_constraints(s.f, c, NULL), 0);
        message_free(c);
        offers_rescind_framework(s.f, NULL, /* told= */ true);
        scene_settle(&s);
        assert_null(s.m->offers);
        assert_int_equal(framework_set_constraints(s.f, NULL, NULL), 0);
        wait_offer(&s, 2);
        scene_stop(&s);
}

/* An agent whose stream is full is cut: no framework may fill it. */
static void test_a_flood_of_messages_is_not_the_agent_s_fault(void **state)
{
        _cleanup_free_ char *data = xcalloc(3, 1 << 20);
        struct scene s = {};
        struct agent *a;
        int sent = 0;

        scene_start(&s);
        wait_offer(&s, 1);
        a = agent_find(s.m, s.c.agent_id);
        for (int i = 0; i < 20; i++)
                sent += agent_send_message(a, "f", "x", data, 3 << 20);
        assert_true(sent > 0 && sent < 20);
        assert_false(a->stalled);
        accept_last(&s, LAUNCH(TASK("t1", "1")), FOR_EVER);
        WAIT_FOR(&s.c, a->state == AGENT_ACTIVE && http_stream_pending(a->stream) == 0);
        scene_check(&s);
        scene_stop(&s);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_shape_follows_capabilities),
                cmocka_unit_test(test_fields_of_an_offer),
                cmocka_unit_test(test_launches_are_booked_and_the_rest_declined),
                cmocka_unit_test(test_the_rest_comes_back_without_a_filter),
                cmocka_unit_test(test_offers_that_do_not_hold),
                cmocka_unit_test(test_offers_of_two_roles_do_not_go_together),
                cmocka_unit_test(test_another_framework_s_offer),
                cmocka_unit_test(test_two_offers_of_one_agent_are_one),
                cmocka_unit_test(test_tasks_that_are_refused),
                cmocka_unit_test(test_users_that_are_refused),
                cmocka_unit_test(test_an_operation_id_on_a_launch),
                cmocka_unit_test(test_other_operations_are_errors),
                cmocka_unit_test(test_an_agent_that_is_gone),
                cmocka_unit_test(test_executors_are_booked_once),
                cmocka_unit_test(test_groups),
                cmocka_unit_test(test_how_long_a_refusal_lasts),
                cmocka_unit_test(test_a_decline_for_no_time_brings_the_offer_back),
                cmocka_unit_test(test_many_unknown_ids_are_declined_quickly),
                cmocka_unit_test(test_suppress_and_revive_by_role),
                cmocka_unit_test(test_suppressed_at_the_subscription),
                cmocka_unit_test(test_inverse_offers_are_taken_note_of),
                cmocka_unit_test(test_rescinds),
                cmocka_unit_test(test_offers_run_out),
                cmocka_unit_test(test_constraints_keep_agents_away),
                cmocka_unit_test(test_a_flood_of_messages_is_not_the_agent_s_fault),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
