/* What operators call: roles, drains, maintenance; and how the read side shows it. */

#include "tests/unit/master/api/read_world.h"

static void start(struct world *w)
{
        world_start(w);
        world_add_agent(w);
}

/* The answer; the caller ends it. */
static json_t *ask(struct world *w, int status, const char *fmt, ...) PRINTF_LIKE(3, 4);
static json_t *ask(struct world *w, int status, const char *fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        _cleanup_free_ char *body = xvasprintf(fmt, ap);
        va_end(ap);
        return call(&w->c, status, body);
}

static void expect_text(json_t *root, const char *path, const char *want)
{
        assert_string_equal(text_at(root, path), want);
}

static bool is_true(json_t *root, const char *path)
{
        return json_is_true(at(root, path));
}

static void refused(struct world *w, int status, const char *field, const char *says, const char *body)
{
        json_t *answer = ask(w, status, "%s", body);

        if (!str_equal(text_at(answer, "field"), field) || !strstr(text_at(answer, "message"), says))
                fail_msg("%s: %s", body, w->c.body);
        json_decref(answer);
}

/* ---- agents ---- */

static void test_drain_by_host_name(void **state)
{
        struct world w = {};
        json_t *j;

        start(&w);
        w.f = world_add_framework(&w, "{\"user\": \"u\", \"name\": \"n\", \"id\": {\"value\": \"" FRAMEWORK
                                      "\"}, \"role\": \"a/b\"}");
        (void)world_add_task(&w, w.f, "t", ", \"command\": {\"value\": \"true\"}");
        j = ask(&w, 200,
                "{\"type\": \"DRAIN_AGENT\", \"drain_agent\": {\"agent_id\": \"fake\", "
                "\"max_grace_seconds\": 1.5,"
                " \"mark_gone\": true}}");
        expect_text(j, "type", "AGENT");
        expect_text(j, "agents.0.agent_id", w.a->id);
        assert_true(is_true(j, "agents.0.deactivated"));
        expect_text(j, "agents.0.drain.state", "DRAINING");
        assert_true(number_at(j, "agents.0.drain.max_grace_seconds") == 1.5);
        assert_true(is_true(j, "agents.0.drain.mark_gone"));
        assert_true(number_at(j, "agents.0.drain.since") > 0);
        json_decref(j);
        WAIT_FOR(&w.c, has_seen(&w.c.killed, "t"));
        j = get_json(&w, "/slaves");
        assert_true(is_true(j, "slaves.0.deactivated"));
        assert_true(json_is_false(at(j, "slaves.0.active")));
        expect_text(j, "slaves.0.drain_info.state", "DRAINING");
        assert_true(number_at(j, "slaves.0.drain_info.config.max_grace_period.nanoseconds") == 1500000000);
        assert_true(is_true(j, "slaves.0.drain_info.config.mark_gone"));
        assert_true(number_at(j, "slaves.0.estimated_drain_start_time_seconds") > 0);
        json_decref(j);
        j = get_json(&w, "/state");
        assert_int_equal(number_at(j, "activated_slaves"), 0);
        assert_int_equal(number_at(j, "deactivated_slaves"), 1);
        json_decref(j);
        j = get_json(&w, "/metrics/snapshot");
        assert_int_equal(json_number_value(json_object_get(j, "master/slaves_inactive")), 1);
        assert_int_equal(json_number_value(json_object_get(j, "master/slaves_connected")), 1);
        json_decref(j);
        j = ask(&w, 200, "{\"type\": \"REACTIVATE_AGENT\", \"reactivate_agent\": {\"agent_id\": \"%s\"}}",
                w.a->id);
        assert_null(at(j, "agents.0.drain"));
        assert_true(json_is_false(at(j, "agents.0.deactivated")));
        json_decref(j);
        j = get_json(&w, "/slaves");
        assert_null(at(j, "slaves.0.drain_info"));
        assert_true(is_true(j, "slaves.0.active"));
        json_decref(j);
        world_stop(&w);
}

static void test_agents_that_are_refused(void **state)
{
        struct world w = {};

        start(&w);
        refused(&w, 404, "drain_agent.agent_id", "agent 'who' is not known",
                "{\"type\": \"DRAIN_AGENT\", \"drain_agent\": {\"agent_id\": \"who\"}}");
        refused(&w, 400, "drain_agent.max_grace_seconds", "-1 is not from 0",
                "{\"type\": \"DRAIN_AGENT\", \"drain_agent\": {\"agent_id\": \"fake\", "
                "\"max_grace_seconds\": -1}}");
        free(w.c.agent_id);
        w.c.agent_id = NULL;
        http_client_free(TAKE_PTR(w.c.stream));
        subscribe(&w.c, NULL, 0); /* another one of that name */
        refused(&w, 409, "deactivate_agent.agent_id", "several agents have the host name 'fake'",
                "{\"type\": \"DEACTIVATE_AGENT\", \"deactivate_agent\": {\"agent_id\": \"fake\"}}");
        json_decref(
                ask(&w, 200, "{\"type\": \"MARK_AGENT_GONE\", \"mark_agent_gone\": {\"agent_id\": \"%s\"}}",
                        w.c.agent_id));
        json_decref(
                ask(&w, 409, "{\"type\": \"REACTIVATE_AGENT\", \"reactivate_agent\": {\"agent_id\": \"%s\"}}",
                        w.c.agent_id));
        world_stop(&w);
}

/* ---- maintenance ---- */

static void test_windows_that_are_refused(void **state)
{
        struct world w = {};

        start(&w);
        refused(&w, 404, "cancel_maintenance.id", "no maintenance window 'x'",
                "{\"type\": \"CANCEL_MAINTENANCE\", \"cancel_maintenance\": {\"id\": \"x\"}}");
        refused(&w, 400, "schedule_maintenance.window.agents", "no agent is named",
                "{\"type\": \"SCHEDULE_MAINTENANCE\", \"schedule_maintenance\": {\"window\": {\"start\": "
                "1}}}");
        world_stop(&w);
}

static void test_maintenance_is_shown(void **state)
{
        _cleanup_free_ char *id = NULL;
        struct world w = {};
        double start_at;
        json_t *j;

        start(&w);
        start_at = wall_seconds_now() + 1000;
        j = ask(&w, 200,
                "{\"type\": \"SCHEDULE_MAINTENANCE\", \"schedule_maintenance\": {\"window\": {\"start\": "
                "%.3f,"
                " \"duration_seconds\": 60, \"agents\": [\"fake\", \"other\"], \"comment\": \"disks\"}}}",
                start_at);
        expect_text(j, "type", "MAINTENANCE");
        expect_text(j, "windows.0.comment", "disks");
        assert_non_null(strstr(text_at(j, "warnings.0"), "no agent 'other'"));
        id = xstrdup(text_at(j, "windows.0.id"));
        json_decref(j);
        j = ask(&w, 200, "{\"type\": \"LIST_AGENTS\"}");
        expect_text(j, "agents.0.maintenance.0.id", id);
        expect_text(j, "agents.0.attributes.0.name", "rack");
        json_decref(j);
        j = get_json(&w, "/maintenance/schedule");
        expect_text(j, "windows.0.machine_ids.0.hostname", "fake");
        expect_text(j, "windows.0.machine_ids.0.ip", "10.1.2.3");
        expect_text(j, "windows.0.machine_ids.1.hostname", "other");
        assert_null(at(j, "windows.0.machine_ids.1.ip"));
        assert_true(number_at(j, "windows.0.unavailability.duration.nanoseconds") == 6e10);
        assert_true(number_at(j, "windows.0.unavailability.start.nanoseconds") >= start_at * 1e9 - 1e6);
        json_decref(j);
        j = get_json(&w, "/maintenance/status");
        expect_text(j, "draining_machines.0.id.hostname", "fake");
        assert_int_equal(json_array_size(at(j, "down_machines")), 0);
        json_decref(j);
        json_decref(ask(&w, 200,
                "{\"type\": \"SCHEDULE_MAINTENANCE\", \"schedule_maintenance\": {\"window\": {\"start\": 1,"
                " \"agents\": [\"third\"]}}}"));
        j = get_json(&w, "/maintenance/status");
        assert_int_equal(json_array_size(at(j, "draining_machines")), 2);
        expect_text(j, "down_machines.0.hostname", "third");
        json_decref(j);
        j = ask(&w, 200, "{\"type\": \"CANCEL_MAINTENANCE\", \"cancel_maintenance\": {\"id\": \"%s\"}}", id);
        assert_int_equal(json_array_size(at(j, "windows")), 1);
        json_decref(j);
        world_stop(&w);
}

/* ---- roles ---- */

static void test_roles(void **state)
{
        struct world w = {};
        json_t *j;

        start(&w);
        w.f = world_add_framework(&w, "{\"user\": \"u\", \"name\": \"n\", \"id\": {\"value\": \"" FRAMEWORK
                                      "\"}, \"role\": \"a/b\"}");
        (void)world_add_task(&w, w.f, "t", ", \"command\": {\"value\": \"true\"}");
        j = ask(&w, 200,
                "{\"type\": \"SET_QUOTA\", \"set_quota\": {\"role\": \"a\", \"force\": true, \"quotas\": ["
                "{\"resource\": \"cpus\", \"guarantee\": 40, \"limit\": 50}, {\"resource\": \"mem\", "
                "\"limit\": 512}]}}");
        expect_text(j, "type", "LIST_ROLES");
        expect_text(j, "roles.0.name", "a");
        assert_int_equal(json_array_size(at(j, "roles")), 1);
        assert_true(number_at(j, "roles.0.quotas.0.guarantee") == 40);
        assert_true(number_at(j, "roles.0.quotas.0.limit") == 50);
        assert_null(at(j, "roles.0.quotas.1.guarantee"));
        assert_non_null(strstr(text_at(j, "warnings.0"), "the guarantees of all roles are 40 cpus"));
        expect_text(j, "roles.0.consumed.0.resource", "cpus");
        assert_true(number_at(j, "roles.0.consumed.0.value") == 0.5);
        json_decref(j);
        j = ask(&w, 200, "{\"type\": \"SET_WEIGHT\", \"set_weight\": {\"role\": \"a/b\", \"weight\": 2.5}}");
        assert_true(number_at(j, "roles.0.weight") == 2.5);
        expect_text(j, "roles.0.frameworks.0", FRAMEWORK);
        assert_true(number_at(j, "roles.0.share") > 0);
        json_decref(j);
        refused(&w, 400, "set_weight.weight", "a weight of 0 is not accepted",
                "{\"type\": \"SET_WEIGHT\", \"set_weight\": {\"role\": \"a/b\", \"weight\": 0}}");
        refused(&w, 409, "set_quota.quotas", "--force sets it all the same",
                "{\"type\": \"SET_QUOTA\", \"set_quota\": {\"role\": \"q\", \"quotas\": [{\"resource\": "
                "\"cpus\", "
                "\"guarantee\": 1}]}}");
        refused(&w, 400, "set_quota.role", "empty component",
                "{\"type\": \"SET_QUOTA\", \"set_quota\": {\"role\": \"a//b\"}}");
        j = ask(&w, 200, "{\"type\": \"LIST_ROLES\"}");
        expect_text(j, "roles.0.name", "*");
        expect_text(j, "roles.0.queue", "default");
        expect_text(j, "roles.1.name", "a");
        assert_non_null(strstr(text_at(j, "roles.1.warnings.0"), "40 cpus"));
        expect_text(j, "roles.2.name", "a/b");
        json_decref(j);
        world_stop(&w);
}

static void test_roles_as_mesos_shows_them(void **state)
{
        struct world w = {};
        json_t *j;

        start(&w);
        json_decref(ask(&w, 200,
                "{\"type\": \"SET_QUOTA\", \"set_quota\": {\"role\": \"a\", \"quotas\": ["
                "{\"resource\": \"cpus\", \"guarantee\": 1, \"limit\": 2}, {\"resource\": \"mem\", "
                "\"limit\": 512}]}}"));
        json_decref(
                ask(&w, 200, "{\"type\": \"SET_WEIGHT\", \"set_weight\": {\"role\": \"a\", \"weight\": 3}}"));
        j = get_json(&w, "/roles");
        expect_text(j, "roles.1.name", "a"); /* nobody is in it */
        assert_true(number_at(j, "roles.1.weight") == 3);
        assert_true(number_at(j, "roles.1.quota.guarantee.cpus") == 1);
        assert_null(at(j, "roles.1.quota.guarantee.mem"));
        assert_true(number_at(j, "roles.1.quota.limit.mem") == 512);
        assert_true(number_at(j, "roles.1.quota.consumed.cpus") == 0);
        json_decref(j);
        j = get_json(&w, "/weights");
        assert_int_equal(json_array_size(j), 1);
        expect_text(json_array_get(j, 0), "role", "a");
        assert_true(number_at(json_array_get(j, 0), "weight") == 3);
        json_decref(j);
        j = get_json(&w, "/quota");
        expect_text(j, "infos.0.role", "a");
        expect_text(j, "infos.0.guarantee.0.name", "cpus");
        assert_true(number_at(j, "infos.0.guarantee.0.scalar.value") == 1);
        assert_true(number_at(j, "configs.0.guarantees.cpus.value") == 1);
        assert_true(number_at(j, "configs.0.limits.mem.value") == 512);
        json_decref(j);
        j = get_json(&w, "/metrics/snapshot");
        assert_true(json_number_value(json_object_get(
                            j, "allocator/mesos/quota/roles/a/resources/cpus/guarantee")) == 1);
        assert_true(json_number_value(
                            json_object_get(j, "allocator/mesos/quota/roles/a/resources/mem/limit")) == 512);
        assert_non_null(
                json_object_get(j, "allocator/mesos/quota/roles/a/resources/cpus/offered_or_allocated"));
        json_decref(j);
        world_stop(&w);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_drain_by_host_name),
                cmocka_unit_test(test_agents_that_are_refused),
                cmocka_unit_test(test_windows_that_are_refused),
                cmocka_unit_test(test_maintenance_is_shown),
                cmocka_unit_test(test_roles),
                cmocka_unit_test(test_roles_as_mesos_shows_them),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
