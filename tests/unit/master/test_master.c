/* The master with a pretended agent over loopback: launches, statuses, kill -9 of the master, agents that come back or do not. */

#include "tests/unit/master/harness.h"

#define RUNNING METE__V1__TASK_STATE__TASK_RUNNING
#define FINISHED METE__V1__TASK_STATE__TASK_FINISHED
#define KILLED METE__V1__TASK_STATE__TASK_KILLED
#define JOB_1 "{\"type\": \"GET_JOB\", \"get_job\": {\"job_id\": \"1\"}}"

static void submit(struct cluster *c, unsigned count)
{
        _cleanup_free_ char *body = xasprintf(
                "{\"type\": \"SUBMIT\", \"submit\": {\"job\": {\"command\": [\"/bin/true\"], \"count\": %u,"
                " \"memory_bytes\": 16777216}}}",
                count);

        json_decref(call(c, 200, body));
}

static void test_tasks_run_over_a_restart(void **state)
{
        const struct report running = {"1.1", RUNNING};
        struct cluster c = {};
        uint64_t epoch;

        cluster_start(&c);
        submit(&c, 2);
        expect(&c, JOB_1, "job.state", "JOB_QUEUED");
        expect(&c, JOB_1, "job.pending_reason", "no agent is registered");
        subscribe(&c, NULL, 0);
        epoch = c.epoch;
        WAIT_FOR(&c, has_seen(&c.launched, "1.0") && has_seen(&c.launched, "1.1"));
        update(&c, "1.0", RUNNING, 1);
        update(&c, "1.1", RUNNING, 2);
        update(&c, "1.0", FINISHED, 3);
        expect(&c, JOB_1, "job.tasks.0.state", "TASK_FINISHED");
        restart_master(&c);
        expect(&c, JOB_1, "job.tasks.0.state", "TASK_FINISHED"); /* what was acknowledged is there */
        expect(&c, JOB_1, "job.tasks.1.state", "TASK_RUNNING");
        expect(&c, JOB_1, "job.state", "JOB_RUNNING");
        subscribe(&c, &running, 1);
        assert_true(c.epoch > epoch);
        update(&c, "1.0", FINISHED, 3); /* sent again: acknowledged again */
        update(&c, "1.1", FINISHED, 4);
        expect(&c, JOB_1, "job.state", "JOB_FINISHED");
        assert_int_equal(c.launched.count, 2);
        assert_int_equal(c.killed.count, 0);
        restart_master(&c);
        expect(&c, JOB_1, "job.state", "JOB_FINISHED");
        cluster_stop(&c);
}

static void test_missing_tasks(void **state)
{
        struct cluster c = {};

        cluster_start(&c);
        subscribe(&c, NULL, 0);
        submit(&c, 2);
        WAIT_FOR(&c, c.launched.count == 2);
        update(&c, "1.0", RUNNING, 1);
        /* 1.0 ran and is gone: lost. 1.1 never started: launched again. */
        subscribe(&c, NULL, 0);
        WAIT_FOR(&c, c.launched.count == 3);
        assert_string_equal(c.launched.items[2], "1.1");
        expect(&c, JOB_1, "job.tasks.0.state", "TASK_LOST");
        expect(&c, JOB_1, "job.tasks.0.reason", "REASON_RECONCILIATION");
        update(&c, "1.1", FINISHED, 2);
        expect(&c, JOB_1, "job.state", "JOB_FAILED");
        cluster_stop(&c);
}

static void test_a_launch_is_not_tried_for_ever(void **state)
{
        struct cluster c = {};

        cluster_start(&c);
        subscribe(&c, NULL, 0);
        submit(&c, 1);
        for (size_t i = 1; i <= 3; i++) {
                WAIT_FOR(&c, c.launched.count == i);
                subscribe(&c, NULL, 0);
        }
        expect(&c, JOB_1, "job.tasks.0.state", "TASK_LOST");
        expect(&c, JOB_1, "job.state", "JOB_FAILED");
        assert_int_equal(c.launched.count, 3);
        cluster_stop(&c);
}

static void test_unknown_task_is_killed(void **state)
{
        const struct report strange = {"99.0", RUNNING};
        struct cluster c = {};

        cluster_start(&c);
        subscribe(&c, NULL, 0);
        (void)snprintf(c.framework_id, sizeof(c.framework_id), "another-cluster-0000");
        subscribe(&c, &strange, 1);
        WAIT_FOR(&c, has_seen(&c.killed, "99.0"));
        update(&c, "99.0", KILLED, 1);
        cluster_stop(&c);
}

static void test_kill(void **state)
{
        const struct report running = {"1.0", RUNNING};
        struct cluster c = {};

        cluster_start(&c);
        subscribe(&c, NULL, 0);
        submit(&c, 6); /* four fit */
        WAIT_FOR(&c, c.launched.count == 4);
        for (uint8_t i = 0; i < 4; i++) {
                char id[] = {'1', '.', (char)('0' + i), 0};

                update(&c, id, RUNNING, 10 + i);
        }
        expect(&c, "{\"type\": \"KILL\", \"kill\": {\"id\": \"1.5\"}}", "task.state", "TASK_KILLED");
        for (uint8_t i = 1; i < 4; i++) {
                char id[] = {'1', '.', (char)('0' + i), 0};

                update(&c, id, FINISHED, 20 + i);
        }
        WAIT_FOR(&c, c.launched.count == 5);
        update(&c, "1.4", FINISHED, 30);
        json_decref(
                call(&c, 200, "{\"type\": \"KILL\", \"kill\": {\"id\": \"true\", \"grace_seconds\": 1}}"));
        WAIT_FOR(&c, has_seen(&c.killed, "1.0"));
        restart_master(&c); /* the wish outlives it */
        subscribe(&c, &running, 1);
        WAIT_FOR(&c, c.killed.count == 2);
        update(&c, "1.0", KILLED, 40);
        expect(&c, JOB_1, "job.state", "JOB_KILLED");
        json_decref(call(&c, 404, "{\"type\": \"KILL\", \"kill\": {\"id\": \"true\"}}"));
        cluster_stop(&c);
}

static bool agent_is(struct cluster *c, const char *state)
{
        json_t *answer = call(c, 200, "{\"type\": \"LIST_AGENTS\"}");
        bool is = str_equal(state, json_string_value(json_object_get(
                                           json_array_get(json_object_get(answer, "agents"), 0), "state")));

        json_decref(answer);
        return is;
}

static void wait_lost(struct cluster *c)
{
        WAIT_FOR(c, agent_is(c, "AGENT_UNREACHABLE"));
        expect(c, JOB_1, "job.tasks.0.state", "TASK_LOST");
}

static void test_unreachable_and_back(void **state)
{
        const struct report running = {"1.0", RUNNING};
        struct cluster c = {.ping_ns = 20 * NSEC_PER_MSEC, .max_pings = 3};

        cluster_start(&c);
        subscribe(&c, NULL, 0);
        submit(&c, 1);
        WAIT_FOR(&c, c.launched.count == 1);
        update(&c, "1.0", RUNNING, 1);
        c.answer_pings = false;
        WAIT_FOR(&c, c.stream_ended);
        wait_lost(&c); /* which is on disk first */
        expect(&c, JOB_1, "job.tasks.0.reason", "REASON_AGENT_REMOVED");
        expect(&c, "{\"type\": \"LIST_AGENTS\"}", "agents.0.state", "AGENT_UNREACHABLE");
        c.answer_pings = true;
        subscribe(&c, &running, 1);
        expect(&c, JOB_1, "job.tasks.0.state", "TASK_RUNNING");
        expect(&c, JOB_1, "job.state", "JOB_RUNNING");
        update(&c, "1.0", FINISHED, 2);
        expect(&c, JOB_1, "job.state", "JOB_FINISHED");
        assert_int_equal(c.launched.count, 1);
        cluster_stop(&c);
}

static void test_refusals(void **state)
{
        static const char version[] = "{\"type\": \"GET_VERSION\"}";
        struct cluster c = {};
        char *large = xcalloc(1, (5 << 20) + 1);

        cluster_start(&c);
        subscribe(&c, NULL, 0);
        assert_int_equal(post(&c, "POST", "/mete/v1", "application/json", version), 200);
        assert_int_equal(post(&c, "POST", "/mete/v1", "application/json; charset=utf-8", version), 415);
        assert_int_equal(post(&c, "POST", "/mete/v1", "text/plain", version), 415);
        assert_int_equal(post(&c, "POST", "/mete/v1/nothing", "application/json", version), 404);
        assert_int_equal(post(&c, "POST", "/nothing", "application/json", version), 404);
        assert_int_equal(post(&c, "GET", "/mete/v1", NULL, ""), 405);
        assert_int_equal(post(&c, "GET", "/health", NULL, ""), 200);
        assert_int_equal(post(&c, "POST", "/mete/v1", "application/json", "{\"type\": "), 400);
        assert_int_equal(post(&c, "POST", "/mete/v1", "application/json", "[]"), 400);
        assert_int_equal(post(&c, "POST", "/mete/v1", "application/json", "{\"type\": \"NONSENSE\"}"), 400);
        assert_int_equal(post(&c, "POST", "/mete/v1", "application/json", "{\"type\": \"SUBMIT\"}"), 400);
        assert_int_equal(post(&c, "POST", "/mete/v1", "application/json", "{\"type\": \"READ_LOG\"}"), 400);
        assert_int_equal(post(&c, "POST", "/mete/v1/agent", "application/json", version), 415);
        memset(large, ' ', 5 << 20);
        assert_int_equal(post(&c, "POST", "/mete/v1", "application/json", large), 413);
        json_decref(call(&c, 404, JOB_1));
        json_decref(call(&c, 400,
                "{\"type\": \"SUBMIT\", \"submit\": {\"job\": {\"command\": [\"a\"], \"cpus\": 5}}}"));
        assert_non_null(strstr(c.body, "over-capacity"));
        expect(&c, "{\"type\": \"LIST_AGENTS\"}", "agents.0.state", "AGENT_ACTIVE");
        free(large);
        cluster_stop(&c);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_tasks_run_over_a_restart),
                cmocka_unit_test(test_missing_tasks),
                cmocka_unit_test(test_a_launch_is_not_tried_for_ever),
                cmocka_unit_test(test_unknown_task_is_killed),
                cmocka_unit_test(test_kill),
                cmocka_unit_test(test_unreachable_and_back),
                cmocka_unit_test(test_refusals),
        };

        (void)signal(SIGPIPE, SIG_IGN);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
