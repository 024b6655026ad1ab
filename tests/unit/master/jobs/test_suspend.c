/* Suspension: of the queue for a job that goes first, and of owners; every step survives kill -9 of the master. */

#include "tests/unit/master/harness.h"

#define RUNNING METE__V1__TASK_STATE__TASK_RUNNING
#define FINISHED METE__V1__TASK_STATE__TASK_FINISHED
#define KILLED METE__V1__TASK_STATE__TASK_KILLED
#define GET(id) "{\"type\": \"GET_JOB\", \"get_job\": {\"job_id\": \"" id "\"}}"
#define EXPLAIN(id) "{\"type\": \"EXPLAIN\", \"explain\": {\"job_id\": \"" id "\"}}"
#define SUSPEND(id) "{\"type\": \"SUSPEND\", \"suspend\": {\"id\": \"" id "\"}}"
#define RESUME(id) "{\"type\": \"RESUME\", \"resume\": {\"id\": \"" id "\"}}"
#define KILL(id) "{\"type\": \"KILL\", \"kill\": {\"id\": \"" id "\"}}"
#define QUEUE(preemption)                                                                                    \
        "{\"type\": \"SET_QUEUE\", \"set_queue\": {\"queue\": {\"name\": \"default\", \"policy\": "          \
        "\"priority\", \"preemption\": \"" preemption "\", \"grace_seconds\": 0, \"min_gain_seconds\": 0}}}"

static void submit(struct cluster *c, const char *more)
{
        _cleanup_free_ char *body =
                xasprintf("{\"type\": \"SUBMIT\", \"submit\": {\"job\": {\"command\": [\"/bin/x\"]%s%s}}}",
                        strstr(more, "memory_bytes") ? "" : ", \"memory_bytes\": 16777216", more);

        json_decref(call(c, 200, body));
}

/* What is booked for tasks. */
static double booked_cpus(struct cluster *c)
{
        json_t *answer = call(c, 200, "{\"type\": \"LIST_AGENTS\"}");
        json_t *agent = json_array_get(json_object_get(answer, "agents"), 0);
        double cpus = json_number_value(json_object_get(agent, "cpus_used"));

        json_decref(answer);
        return cpus;
}

static bool is_suspended(struct cluster *c, const char *get_job)
{
        json_t *answer = call(c, 200, get_job);
        json_t *task = json_array_get(json_object_get(json_object_get(answer, "job"), "tasks"), 0);
        bool suspended = json_is_true(json_object_get(task, "suspended"));

        json_decref(answer);
        return suspended;
}

static bool was_told(struct cluster *c, const char *message)
{
        json_decref(call(c, 200, GET("1")));
        return strstr(c->body, message);
}

static void start_long(struct cluster *c)
{
        cluster_start(c);
        subscribe(c, NULL, 0);
        json_decref(call(c, 200, QUEUE("suspend")));
        submit(c, ", \"cpus\": 4, \"priority\": 1, \"duration_seconds\": 10000");
        WAIT_FOR(c, has_seen(&c->launched, "1.0"));
        update(c, "1.0", RUNNING, 1);
}

#define SHORT ", \"cpus\": 4, \"priority\": 900, \"duration_seconds\": 10"

static void test_makes_way_and_goes_on(void **state)
{
        struct cluster c = {};

        start_long(&c);
        submit(&c, SHORT);
        WAIT_FOR(&c, has_seen(&c.suspensions, "1.0 frozen"));
        assert_false(has_seen(&c.launched, "2.0")); /* not before it is frozen */
        answer_suspend(&c, "1.0", true, NULL);
        WAIT_FOR(&c, has_seen(&c.launched, "2.0"));
        assert_true(is_suspended(&c, GET("1")));
        expect(&c, EXPLAIN("1"), "explanation.reason", "SUSPENDED");
        assert_true(booked_cpus(&c) == 4);
        update(&c, "2.0", RUNNING, 2);
        update(&c, "2.0", FINISHED, 3);
        WAIT_FOR(&c, has_seen(&c.suspensions, "1.0 thawed"));
        assert_true(is_suspended(&c, GET("1"))); /* until the agent says so */
        answer_suspend(&c, "1.0", false, NULL);
        WAIT_FOR(&c, !is_suspended(&c, GET("1")));
        assert_true(booked_cpus(&c) == 4);
        update(&c, "1.0", FINISHED, 4);
        expect(&c, GET("1"), "job.state", "JOB_FINISHED");
        assert_int_equal(c.launched.count, 2);
        assert_true(booked_cpus(&c) == 0);
        cluster_stop(&c);
}

static void test_asked_again_after_a_crash(void **state)
{
        const struct report before = {"1.0", RUNNING, .cpus = 4};
        const struct report frozen = {"1.0", RUNNING, .cpus = 4, .suspended = true, .sequence = 1};
        const struct report both[] = {frozen, {"2.0", RUNNING, .cpus = 4}};
        struct cluster c = {};

        start_long(&c);
        submit(&c, SHORT);
        WAIT_FOR(&c, c.suspensions.count == 1);
        restart_master(&c);
        subscribe(&c, &before, 1); /* the agent did not hear it */
        WAIT_FOR(&c, c.suspensions.count == 2);
        assert_string_equal(c.suspensions.items[1], "1.0 frozen");
        assert_int_equal(c.sequence, 1);
        assert_true(booked_cpus(&c) == 4);
        restart_master(&c);
        subscribe(&c, &frozen, 1); /* it heard it, and the answer was lost */
        WAIT_FOR(&c, has_seen(&c.launched, "2.0"));
        assert_true(is_suspended(&c, GET("1")));
        update(&c, "2.0", RUNNING, 2);
        restart_master(&c);
        subscribe(&c, both, 2); /* what was given up stays given up */
        assert_true(booked_cpus(&c) == 4);
        assert_true(is_suspended(&c, GET("1")));
        update(&c, "2.0", FINISHED, 3);
        WAIT_FOR(&c, has_seen(&c.suspensions, "1.0 thawed"));
        restart_master(&c);
        subscribe(&c, &frozen, 1);
        WAIT_FOR(&c, c.suspensions.count == 4);
        assert_string_equal(c.suspensions.items[3], "1.0 thawed");
        assert_int_equal(c.sequence, 2);
        assert_true(booked_cpus(&c) == 4); /* it was resumed: nobody else gets them */
        answer_suspend(&c, "1.0", false, NULL);
        WAIT_FOR(&c, !is_suspended(&c, GET("1")));
        update(&c, "1.0", FINISHED, 4);
        assert_true(booked_cpus(&c) == 0);
        cluster_stop(&c);
}

static void test_a_refusal_is_undone(void **state)
{
        struct cluster c = {};

        start_long(&c);
        expect(&c, EXPLAIN("1"), "explanation.sentence", "none of its tasks waits: 1 run");
        json_decref(call(&c, 200, SUSPEND("1.0")));
        expect(&c, EXPLAIN("1"), "explanation.sentence",
                "1 of its tasks is suspended until `mete resume`, 0 run");
        WAIT_FOR(&c, c.suspensions.count == 1);
        answer_suspend(&c, "1.0", false, "the freezer does not answer");
        WAIT_FOR(&c, was_told(&c, "the freezer does not answer"));
        json_decref(call(&c, 200, SUSPEND("1.0")));
        WAIT_FOR(&c, c.suspensions.count == 2); /* it may be tried again */
        assert_int_equal(c.sequence, 2);
        answer_suspend(&c, "1.0", false, "it does not answer again");
        WAIT_FOR(&c, was_told(&c, "it does not answer again"));
        expect(&c, GET("1"), "job.tasks.0.state", "TASK_RUNNING");
        assert_false(is_suspended(&c, GET("1")));
        assert_true(booked_cpus(&c) == 4);
        cluster_stop(&c);
}

static void test_by_its_owner(void **state)
{
        struct cluster c = {};

        start_long(&c);
        submit(&c, ", \"cpus\": 4, \"priority\": 1, \"duration_seconds\": 10");
        json_decref(call(&c, 200, SUSPEND("1")));
        WAIT_FOR(&c, c.suspensions.count == 1);
        answer_suspend(&c, "1.0", true, NULL);
        WAIT_FOR(&c, has_seen(&c.launched, "2.0"));
        update(&c, "2.0", RUNNING, 2);
        update(&c, "2.0", FINISHED, 3);
        submit(&c, ", \"cpus\": 4");
        WAIT_FOR(&c, has_seen(&c.launched, "3.0"));
        update(&c, "3.0", FINISHED, 4);
        assert_int_equal(
                c.suspensions.count, 1); /* the queue does not resume it, though there was room twice */
        json_decref(call(&c, 200, RESUME("1")));
        WAIT_FOR(&c, has_seen(&c.suspensions, "1.0 thawed"));
        answer_suspend(&c, "1.0", false, NULL);
        WAIT_FOR(&c, !is_suspended(&c, GET("1")));
        json_decref(call(&c, 200, KILL("1")));
        update(&c, "1.0", KILLED, 5);
        expect(&c, GET("1"), "job.state", "JOB_KILLED");
        json_decref(call(&c, 409, SUSPEND("1")));
        json_decref(call(&c, 404, SUSPEND("7")));
        cluster_stop(&c);
}

static void test_held_while_it_waits(void **state)
{
        struct cluster c = {};

        cluster_start(&c);
        submit(&c, "");
        json_decref(call(&c, 200, SUSPEND("1")));
        submit(&c, "");
        restart_master(&c);
        subscribe(&c, NULL, 0);
        WAIT_FOR(&c, has_seen(&c.launched, "2.0"));
        assert_false(has_seen(&c.launched, "1.0"));
        json_decref(call(&c, 409, SUSPEND("1.0"))); /* it does not run */
        json_decref(call(&c, 200, RESUME("1")));
        WAIT_FOR(&c, has_seen(&c.launched, "1.0"));
        cluster_stop(&c);
}

static void test_killed_while_frozen(void **state)
{
        struct cluster c = {};

        start_long(&c);
        json_decref(call(&c, 200, SUSPEND("1.0")));
        WAIT_FOR(&c, c.suspensions.count == 1);
        answer_suspend(&c, "1.0", true, NULL);
        WAIT_FOR(&c, is_suspended(&c, GET("1")));
        assert_true(booked_cpus(&c) == 0);
        json_decref(call(&c, 200, KILL("1.0")));
        update(&c, "1.0", KILLED, 5);
        expect(&c, GET("1"), "job.state", "JOB_KILLED");
        submit(&c, ", \"cpus\": 4");
        WAIT_FOR(&c, has_seen(&c.launched, "2.0"));
        assert_true(booked_cpus(&c) == 4);
        cluster_stop(&c);
}

/* Memory is what is missing: killed, and it waits again. */
static void test_requeue(void **state)
{
        const struct report running = {"1.0", RUNNING, .cpus = 4};
        struct cluster c = {};

        start_long(&c);
        json_decref(call(&c, 200, QUEUE("requeue")));
        submit(&c, ", \"priority\": 900, \"duration_seconds\": 1, \"memory_bytes\": 1073741824");
        WAIT_FOR(&c, has_seen(&c.killed, "1.0"));
        restart_master(&c);
        subscribe(&c, &running, 1);
        WAIT_FOR(&c, c.killed.count == 2); /* asked again */
        update(&c, "1.0", KILLED, 7);
        expect(&c, GET("1"), "job.tasks.0.state", "TASK_STAGING");
        expect(&c, GET("1"), "job.state", "JOB_RUNNING");
        WAIT_FOR(&c, has_seen(&c.launched, "2.0"));
        update(&c, "2.0", FINISHED, 8);
        WAIT_FOR(&c, c.launched.count == 3);
        assert_string_equal(c.launched.items[2], "1.0");
        update(&c, "1.0", FINISHED, 9);
        expect(&c, GET("1"), "job.state", "JOB_FINISHED");
        cluster_stop(&c);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_makes_way_and_goes_on),
                cmocka_unit_test(test_asked_again_after_a_crash),
                cmocka_unit_test(test_a_refusal_is_undone),
                cmocka_unit_test(test_by_its_owner),
                cmocka_unit_test(test_held_while_it_waits),
                cmocka_unit_test(test_killed_while_frozen),
                cmocka_unit_test(test_requeue),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
