/* EXPLAIN and PLAN: the queue's reasons with what only the allocator knows, and what a job must not ask for here and now. */

#include "tests/unit/master/harness.h"

static json_t *explain(struct cluster *c, const char *job)
{
        _cleanup_free_ char *body =
                xasprintf("{\"type\": \"EXPLAIN\", \"explain\": {\"job_id\": \"%s\"}}", job);
        json_t *answer = call(c, 200, body), *x = json_incref(json_object_get(answer, "explanation"));

        json_decref(answer);
        assert_non_null(x);
        return x;
}

static char *with_job(const char *type, const char *call, const char *rest)
{
        return xasprintf("{\"type\": \"%s\", \"%s\": {\"job\": {\"command\": [\"/bin/true\"], "
                         "\"memory_bytes\": 16777216%s%s}}}",
                type, call, *rest ? ", " : "", rest);
}

static json_t *plan(struct cluster *c, const char *rest)
{
        _cleanup_free_ char *body = with_job("PLAN", "plan", rest);
        json_t *answer = call(c, 200, body), *x = json_incref(json_object_get(answer, "explanation"));

        json_decref(answer);
        assert_non_null(x);
        return x;
}

static void submit(struct cluster *c, const char *rest)
{
        _cleanup_free_ char *body = with_job("SUBMIT", "submit", rest);

        json_decref(call(c, 200, body));
}

/* By SUBMIT and by PLAN, each by its own name of the field. */
static void refused(struct cluster *c, const char *rest, const char *field)
{
        const struct {
                const char *type, *call;
        } calls[] = {{"SUBMIT", "submit"}, {"PLAN", "plan"}};

        for (size_t i = 0; i < ELEMENTSOF(calls); i++) {
                _cleanup_free_ char *body = with_job(calls[i].type, calls[i].call, rest);
                _cleanup_free_ char *path = xasprintf("%s.job.%s", calls[i].call, field);
                json_t *answer = call(c, 400, body);

                assert_string_equal(json_string_value(json_object_get(answer, "field")), path);
                if (!strstr(json_string_value(json_object_get(answer, "message")), path))
                        fail_msg("%s does not name %s", json_string_value(json_object_get(answer, "message")),
                                path);
                json_decref(answer);
        }
}

static void text_is(json_t *x, const char *name, const char *want)
{
        const char *have = json_string_value(json_object_get(x, name));

        if (!str_equal(have, want))
                fail_msg("%s is %s, not %s", name, have, want);
}

static bool reason_is(struct cluster *c, const char *job, const char *want)
{
        json_t *x = explain(c, job);
        bool same = str_equal(json_string_value(json_object_get(x, "reason")), want);

        json_decref(x);
        return same;
}

static void test_reasons(void **state)
{
        struct cluster c = {};
        json_t *x;

        cluster_start(&c);
        submit(&c, "\"name\": \"first\", \"cpus\": 3, \"duration_seconds\": 600");
        x = explain(&c, "first");
        text_is(x, "reason", "NO_MACHINES");
        text_is(x, "queue", "default");
        text_is(x, "role", "*");
        text_is(x, "policy", "fifo");
        text_is(x, "duration_source", "declared");
        assert_true(json_array_size(json_object_get(x, "factors")) > 0);
        json_decref(x);
        subscribe(&c, NULL, 0); /* 4 cpus */
        WAIT_FOR(&c, c.launched.count == 1);
        update(&c, "1.0", METE__V1__TASK_STATE__TASK_RUNNING, 1);
        assert_true(reason_is(&c, "1", "NONE"));

        submit(&c, "\"name\": \"second\", \"cpus\": 2");
        WAIT_FOR(&c, reason_is(&c, "second", "RESOURCES"));
        x = explain(&c, "second");
        text_is(x, "missing_resource", "cpus");
        assert_true(json_number_value(json_object_get(x, "missing")) == 1);
        text_is(x, "nearest", "fake");
        text_is(x, "duration_source", "unknown");
        assert_int_equal(json_integer_value(json_object_get(x, "rank")), 1);
        assert_true(json_number_value(json_object_get(x, "expected_start")) > wall_seconds(wall_now()) + 500);
        assert_non_null(json_string_value(json_object_get(x, "sentence")));
        json_decref(x);

        submit(&c, "\"constraints\": [\"rack=r9\"]");
        x = explain(&c, "3");
        text_is(x, "reason", "CONSTRAINTS");
        assert_int_equal(json_array_size(json_object_get(x, "warnings")), 1);
        json_decref(x);
        submit(&c, "\"after\": [{\"job\": \"second\"}]");
        x = explain(&c, "4");
        text_is(x, "reason", "DEPENDENCY");
        text_is(x, "blocking_job", "2");
        json_decref(x);
        json_decref(call(&c, 404, "{\"type\": \"EXPLAIN\", \"explain\": {\"job_id\": \"99\"}}"));
        cluster_stop(&c);
}

static void test_plans_change_nothing(void **state)
{
        struct cluster c = {};
        json_t *x;

        cluster_start(&c);
        x = plan(&c, "");
        text_is(x, "reason", "NO_MACHINES");
        json_decref(x);
        subscribe(&c, NULL, 0);
        submit(&c, "\"name\": \"first\", \"cpus\": 4, \"duration_seconds\": 600");
        WAIT_FOR(&c, c.launched.count == 1);
        update(&c, "1.0", METE__V1__TASK_STATE__TASK_RUNNING, 1);
        x = plan(&c, "\"cpus\": 1");
        text_is(x, "reason", "RESOURCES");
        assert_true(json_number_value(json_object_get(x, "expected_start")) > wall_seconds(wall_now()) + 500);
        json_decref(x);
        x = plan(&c, "\"gang\": true, \"count\": 100");
        text_is(x, "reason", "GANG_TOO_LARGE");
        assert_int_equal(json_array_size(json_object_get(x, "warnings")), 1);
        json_decref(x);
        x = plan(&c, "\"after\": [{\"job\": \"first\", \"condition\": \"ENDED\"}]");
        text_is(x, "reason", "DEPENDENCY");
        text_is(x, "blocking_job", "1");
        json_decref(x);
        x = call(&c, 200, "{\"type\": \"LIST_JOBS\", \"list_jobs\": {\"all\": true}}");
        assert_int_equal(json_array_size(json_object_get(x, "jobs")), 1);
        json_decref(x);
        cluster_stop(&c);
}

static void test_what_cannot_be_here_and_now_is_refused(void **state)
{
        _cleanup_free_ char *past = xasprintf("\"deadline\": %.3f", wall_seconds(wall_now()) - 1);
        struct cluster c = {};

        cluster_start(&c);
        subscribe(&c, NULL, 0);
        refused(&c, past, "deadline");
        refused(&c, "\"queue\": \"nowhere\"", "queue");
        refused(&c, "\"after\": [{\"job\": \"nobody\"}]", "after[0].job");
        refused(&c, "\"cpus\": 5", "cpus");
        refused(&c, "\"cpus\": 0", "cpus");
        submit(&c, "\"name\": \"a\", \"constraints\": [\"rack=r9\"]"); /* nothing of it ever runs */
        refused(&c, "\"after\": [{\"job\": \"1\"}, {\"job\": \"a\"}]", "after[1].job");
        json_decref(call(&c, 200, "{\"type\": \"KILL\", \"kill\": {\"id\": \"1\"}}"));
        refused(&c, "\"after\": [{\"job\": \"1\"}]", "after[0].job"); /* it was killed: it never succeeds */
        json_decref(plan(&c, "\"after\": [{\"job\": \"1\", \"condition\": \"FAILED\"}]"));
        cluster_stop(&c);
}

static void test_a_quota_that_is_used_up_is_told(void **state)
{
        struct cluster c = {};
        json_t *x;

        cluster_start(&c);
        json_decref(call(&c, 200,
                "{\"type\": \"SET_QUEUE\", \"set_queue\": {\"queue\": {\"name\": \"batch\", \"role\": "
                "\"team/batch\"}}}"));
        subscribe(&c, NULL, 0);
        json_decref(call(&c, 200,
                "{\"type\": \"SET_QUOTA\", \"set_quota\": {\"role\": \"team\", "
                "\"quotas\": [{\"resource\": \"cpus\", \"limit\": 2}]}}"));
        submit(&c, "\"queue\": \"batch\", \"cpus\": 2");
        WAIT_FOR(&c, c.launched.count == 1);
        update(&c, "1.0", METE__V1__TASK_STATE__TASK_RUNNING, 1);
        submit(&c, "\"queue\": \"batch\", \"cpus\": 1");
        WAIT_FOR(&c, reason_is(&c, "2", "QUOTA"));
        x = explain(&c, "2");
        text_is(x, "limiting_role", "team");
        text_is(x, "role", "team/batch");
        assert_non_null(strstr(
                json_string_value(json_object_get(x, "sentence")), "quota of role team allows 2 of cpus"));
        json_decref(x);
        cluster_stop(&c);
}

static void test_what_others_use_is_missing(void **state)
{
        struct cluster c = {};
        json_t *x;

        cluster_start(&c);
        json_decref(call(
                &c, 200, "{\"type\": \"SET_QUEUE\", \"set_queue\": {\"queue\": {\"name\": \"batch\"}}}"));
        subscribe(&c, NULL, 0);
        submit(&c, "\"queue\": \"batch\", \"cpus\": 4, \"count\": 2"); /* the second one keeps what is left */
        WAIT_FOR(&c, c.launched.count == 1);
        update(&c, "1.0", METE__V1__TASK_STATE__TASK_RUNNING, 1);
        submit(&c, "\"cpus\": 2.5");
        WAIT_FOR(&c, reason_is(&c, "2", "RESOURCES"));
        x = explain(&c, "2");
        text_is(x, "missing_resource", "cpus");
        text_is(x, "nearest", "fake");
        assert_true(json_number_value(json_object_get(x, "missing")) == 2.5);
        json_decref(x);
        x = plan(&c, "\"cpus\": 4");
        text_is(x, "reason", "RESOURCES");
        assert_true(json_number_value(json_object_get(x, "missing")) == 4);
        assert_null(json_object_get(x, "expected_start"));
        json_decref(x);
        cluster_stop(&c);
}

static void test_what_is_reserved_for_others_is_told(void **state)
{
        struct cluster c = {};
        json_t *x;

        cluster_start(&c);
        subscribe(&c, NULL, 0);
        json_decref(call(&c, 200,
                "{\"type\": \"RESERVE\", \"reserve\": {\"agent_id\": \"fake\", \"role\": \"prod\", "
                "\"amounts\": [{\"resource\": \"cpus\", \"value\": 3}]}}"));
        submit(&c, "\"cpus\": 2");
        WAIT_FOR(&c, reason_is(&c, "1", "RESOURCES"));
        x = explain(&c, "1");
        assert_non_null(strstr(json_string_value(json_object_get(x, "sentence")),
                "; of what fake has, 3 cpus are reserved for prod"));
        json_decref(x);
        cluster_stop(&c);
}

static void set_quota(struct cluster *c, const char *role, const char *quotas)
{
        _cleanup_free_ char *body =
                xasprintf("{\"type\": \"SET_QUOTA\", \"set_quota\": {\"role\": \"%s\", \"quotas\": [%s]}}",
                        role, quotas);

        json_decref(call(c, 200, body));
}

static void expect_plan(struct cluster *c, const char *rest, const char *reason, const char *role)
{
        json_t *x = plan(c, rest);

        text_is(x, "reason", reason);
        text_is(x, "limiting_role", role);
        json_decref(x);
}

/* Nothing waits, so the queue holds no offer: still a plan knows what could be offered, and what guarantees of others keep. */
static void test_a_plan_on_idle_machines(void **state)
{
        struct cluster c = {};
        json_t *x;

        cluster_start(&c);
        subscribe(&c, NULL, 0);
        x = plan(&c, "\"cpus\": 4");
        text_is(x, "reason", "NONE");
        assert_true(json_number_value(json_object_get(x, "expected_start")) < wall_seconds(wall_now()) + 1);
        assert_int_equal(json_integer_value(json_object_get(x, "machines_free")), 1);
        json_decref(x);
        set_quota(&c, "owner", "{\"resource\": \"cpus\", \"guarantee\": 3}");
        set_quota(&c, "less", "{\"resource\": \"cpus\", \"guarantee\": 0.5}");
        expect_plan(&c, "\"cpus\": 0.5", "NONE", NULL);
        expect_plan(&c, "\"cpus\": 2", "QUOTA", "owner");
        submit(&c, "\"cpus\": 2");
        WAIT_FOR(&c, reason_is(&c, "1", "QUOTA"));
        x = explain(&c, "1");
        text_is(x, "limiting_role", "owner");
        assert_non_null(
                strstr(json_string_value(json_object_get(x, "sentence")), "3.5 are kept for guarantees"));
        assert_null(json_object_get(x, "expected_start"));
        json_decref(x);
        set_quota(&c, "owner", "");
        set_quota(&c, "less", "");
        WAIT_FOR(&c, c.launched.count == 1);
        cluster_stop(&c);
}

/* What is above the limit itself never starts: that is a warning, and others in its queue go on. */
static void test_above_the_limit_for_ever(void **state)
{
        struct cluster c = {};
        json_t *x;

        cluster_start(&c);
        set_quota(&c, "team", "{\"resource\": \"cpus\", \"limit\": 2}");
        json_decref(call(&c, 200,
                "{\"type\": \"SET_QUEUE\", \"set_queue\": {\"queue\": {\"name\": \"batch\", \"role\": "
                "\"team/batch\"}}}"));
        subscribe(&c, NULL, 0);
        submit(&c, "\"queue\": \"batch\", \"cpus\": 3");
        x = explain(&c, "1");
        text_is(x, "reason", "QUOTA");
        text_is(x, "limiting_role", "team");
        assert_int_equal(json_array_size(json_object_get(x, "warnings")), 1);
        json_decref(x);
        submit(&c, "\"queue\": \"batch\", \"cpus\": 2");
        WAIT_FOR(&c, c.launched.count == 1);
        update(&c, "2.0", METE__V1__TASK_STATE__TASK_RUNNING, 1);
        expect_plan(&c, "\"queue\": \"batch\", \"cpus\": 2.5", "QUOTA", "team");
        set_quota(&c, "team", "{\"resource\": \"cpus\", \"limit\": 5}");
        WAIT_FOR(&c, reason_is(&c, "1", "RESOURCES")); /* what the queue holds in offers is not in use */
        cluster_stop(&c);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_reasons),
                cmocka_unit_test(test_plans_change_nothing),
                cmocka_unit_test(test_what_cannot_be_here_and_now_is_refused),
                cmocka_unit_test(test_a_quota_that_is_used_up_is_told),
                cmocka_unit_test(test_what_others_use_is_missing),
                cmocka_unit_test(test_what_is_reserved_for_others_is_told),
                cmocka_unit_test(test_a_plan_on_idle_machines),
                cmocka_unit_test(test_above_the_limit_for_ever),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
