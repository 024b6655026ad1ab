/* Jobs on real masters with a pretended agent: named queues, dependencies, arrays, retries, time limits, deadlines. */

#include "tests/unit/master/harness.h"

#define RUNNING METE__V1__TASK_STATE__TASK_RUNNING
#define FINISHED METE__V1__TASK_STATE__TASK_FINISHED
#define KILLED METE__V1__TASK_STATE__TASK_KILLED
#define FAILED METE__V1__TASK_STATE__TASK_FAILED
#define GET(id) "{\"type\": \"GET_JOB\", \"get_job\": {\"job_id\": \"" id "\"}}"
#define KILL(id) "{\"type\": \"KILL\", \"kill\": {\"id\": \"" id "\"}}"

static json_t *submit_as(struct cluster *c, int status, const char *more)
{
        _cleanup_free_ char *body = xasprintf("{\"type\": \"SUBMIT\", \"submit\": {\"job\": {\"command\": "
                                              "[\"/bin/x\"], \"memory_bytes\": 16777216%s}}}",
                more);

        return call(c, status, body);
}

static void submit(struct cluster *c, const char *more)
{
        json_decref(submit_as(c, 200, more));
}

static void start(struct cluster *c)
{
        cluster_start(c);
        subscribe(c, NULL, 0);
}

/* "job.tasks.0.<number>" */
static double task_number(struct cluster *c, const char *get_job, const char *field)
{
        json_t *answer = call(c, 200, get_job);
        json_t *task = json_array_get(json_object_get(json_object_get(answer, "job"), "tasks"), 0);
        double value = json_number_value(json_object_get(task, field));

        json_decref(answer);
        return value;
}

static void run_to(struct cluster *c, const char *task, Mete__V1__TaskState end, uint8_t uuid)
{
        update(c, task, RUNNING, uuid);
        update(c, task, end, uuid + 1);
}

static const char *variable(const struct cluster *c, const char *name)
{
        const Mete__V1__Environment *e = c->task->command->environment;

        for (size_t i = 0; i < e->n_variables; i++)
                if (str_equal(e->variables[i]->name, name))
                        return e->variables[i]->value;
        return NULL;
}

/* ---- queues ---- */

#define SET(queue) "{\"type\": \"SET_QUEUE\", \"set_queue\": {\"queue\": " queue "}}"

static void test_queues(void **state)
{
        struct cluster c = {};

        start(&c);
        expect(&c, "{\"type\": \"LIST_QUEUES\"}", "queues.0.policy", "fifo");
        expect(&c, SET("{\"name\": \"night\", \"policy\": \"sjf\"}"), "queues.0.role", "night");
        assert_null(strstr(c.body, "warnings"));
        expect(&c, SET("{\"name\": \"night\", \"policy\": \"sjf\", \"preemption\": \"suspend\"}"),
                "warnings.0", "queue night: the policy sjf preempts nobody: priority and srtf do");
        json_decref(call(&c, 200, SET("{\"name\": \"night\", \"policy\": \"sjf\"}")));
        json_decref(call(&c, 409, SET("{\"name\": \"other\", \"role\": \"night\"}")));
        json_decref(call(&c, 400, SET("{\"name\": \"other\", \"policy\": \"lottery\"}")));
        assert_non_null(strstr(c.body, "\"field\":\"set_queue.queue.policy\""));
        json_decref(call(&c, 400, SET("{\"name\": \"a/b\"}")));
        json_decref(call(&c, 400, SET("{\"name\": \"other\", \"role\": \"-x\"}")));
        json_decref(call(&c, 400, SET("{\"name\": \"other\", \"grace_seconds\": -1}")));
        json_decref(call(&c, 400, SET("{\"name\": \"default\", \"role\": \"x\"}")));
        json_decref(submit_as(&c, 400, ", \"queue\": \"day\""));
        assert_non_null(strstr(c.body, "\"field\":\"submit.job.queue\""));
        submit(&c, ", \"queue\": \"night\"");
        WAIT_FOR(&c, has_seen(&c.launched, "1.0"));
        assert_string_equal(c.task->resources[0]->allocation_info->role, "night");
        json_decref(call(&c, 409, SET("{\"name\": \"night\", \"role\": \"other\"}")));
        json_decref(call(&c, 409, "{\"type\": \"REMOVE_QUEUE\", \"remove_queue\": {\"name\": \"night\"}}"));
        json_decref(call(&c, 400, "{\"type\": \"REMOVE_QUEUE\", \"remove_queue\": {\"name\": \"default\"}}"));
        restart_master(&c);
        expect(&c, "{\"type\": \"LIST_QUEUES\"}", "queues.1.policy", "sjf");
        subscribe(&c, &(const struct report){"1.0", RUNNING}, 1);
        update(&c, "1.0", FINISHED, 1);
        expect(&c, GET("1"), "job.state", "JOB_FINISHED");
        json_decref(call(&c, 200, "{\"type\": \"REMOVE_QUEUE\", \"remove_queue\": {\"name\": \"night\"}}"));
        json_decref(call(&c, 404, "{\"type\": \"REMOVE_QUEUE\", \"remove_queue\": {\"name\": \"night\"}}"));
        expect(&c, GET("1"), "job.state", "JOB_FINISHED");
        submit(&c, "");
        WAIT_FOR(&c, has_seen(&c.launched, "2.0"));
        cluster_stop(&c);
}

/* The first of them, in their order; the role says whose queue it is. */
static void test_a_queue_shows_what_waits_in_order(void **state)
{
        struct cluster c = {};
        json_t *answer, *waiting;

        start(&c);
        submit(&c, ", \"cpus\": 4");
        WAIT_FOR(&c, has_seen(&c.launched, "1.0")); /* from here on everything waits */
        json_decref(
                call(&c, 200, SET("{\"name\": \"night\", \"role\": \"dark\", \"policy\": \"priority\"}")));
        submit(&c, ", \"queue\": \"night\", \"priority\": 1");
        submit(&c, ", \"queue\": \"night\", \"priority\": 3");
        submit(&c, ", \"queue\": \"night\", \"priority\": 2, \"after\": [{\"job\": \"2\"}]");
        submit(&c, "");
        expect(&c, "{\"type\": \"LIST_QUEUES\"}", "queues.1.waiting.0", "3");
        expect(&c, "{\"type\": \"LIST_QUEUES\"}", "queues.1.waiting.1", "2");
        expect(&c, "{\"type\": \"LIST_QUEUES\"}", "queues.1.waiting.2", "4"); /* it has no place yet */
        expect(&c, "{\"type\": \"LIST_QUEUES\"}", "queues.0.waiting.0", "5");
        expect(&c, "{\"type\": \"LIST_ROLES\"}", "roles.1.queue", "night");
        for (int i = 0; i < 100; i++)
                submit(&c, ", \"queue\": \"night\", \"priority\": 9");
        answer = call(&c, 200, "{\"type\": \"LIST_QUEUES\"}");
        waiting = json_object_get(json_array_get(json_object_get(answer, "queues"), 1), "waiting");
        assert_int_equal(json_array_size(waiting), 100);
        assert_string_equal(json_string_value(json_array_get(waiting, 0)), "6");
        json_decref(answer);
        cluster_stop(&c);
}

/* ---- dependencies ---- */

#define AFTER(id) ", \"after\": [{\"job\": \"" id "\"}]"
#define AFTER_FAILED(id) ", \"after\": [{\"job\": \"" id "\", \"condition\": \"FAILED\"}]"

static void test_after(void **state)
{
        struct cluster c = {};

        start(&c);
        submit(&c, ", \"name\": \"first\"");
        submit(&c, AFTER("first"));
        submit(&c, AFTER_FAILED("1"));
        submit(&c, AFTER("3"));
        json_decref(submit_as(&c, 400, AFTER("9")));
        assert_non_null(strstr(c.body, "\"field\":\"submit.job.after[0].job\""));
        WAIT_FOR(&c, c.launched.count == 1);
        restart_master(&c);
        subscribe(&c, &(const struct report){"1.0", RUNNING}, 1);
        update(&c, "1.0", FINISHED, 1);
        WAIT_FOR(&c, c.launched.count == 2);
        assert_string_equal(c.launched.items[1], "2.0");
        expect(&c, GET("3"), "job.state", "JOB_FAILED"); /* never any more, and 4 with it */
        expect(&c, GET("3"), "job.tasks.0.message",
                "job 1, for which it waits, finished: it can never start");
        expect(&c, GET("4"), "job.state", "JOB_FAILED");
        json_decref(submit_as(&c, 400, AFTER_FAILED("1")));
        restart_master(&c);
        subscribe(&c, &(const struct report){"2.0", RUNNING}, 1);
        update(&c, "2.0", FINISHED, 2);
        expect(&c, GET("2"), "job.state", "JOB_FINISHED");
        cluster_stop(&c);
}

static void test_met_dependencies_are_remembered(void **state)
{
        struct cluster c = {};

        start(&c);
        submit(&c, "");
        submit(&c, ", \"cpus\": 4");
        submit(&c, ", \"after\": [{\"job\": \"1\"}, {\"job\": \"2\", \"condition\": \"ENDED\"}]");
        run_to(&c, "1.0", FINISHED, 1);
        WAIT_FOR(&c, has_seen(&c.launched, "2.0"));
        restart_master(&c);
        subscribe(&c, &(const struct report){"2.0", RUNNING, .cpus = 4}, 1);
        json_decref(call(&c, 200, KILL("2")));
        update(&c, "2.0", KILLED, 3);
        WAIT_FOR(&c, has_seen(&c.launched, "3.0"));
        cluster_stop(&c);
}

/* ---- arrays, environment ---- */

static void test_array(void **state)
{
        struct cluster c = {};

        start(&c);
        submit(&c, ", \"array\": {\"first\": 10, \"last\": 15, \"step\": 2}, \"parallel_max\": 1,"
                   " \"environment\": [{\"name\": \"METE_TASK_COUNT\", \"value\": \"mine\"}]");
        WAIT_FOR(&c, has_seen(&c.launched, "1.0"));
        assert_string_equal(variable(&c, "METE_ARRAY_INDEX"), "10");
        assert_string_equal(variable(&c, "METE_JOB_ID"), "1");
        assert_string_equal(variable(&c, "METE_TASK_COUNT"), "mine");
        run_to(&c, "1.0", FINISHED, 1);
        WAIT_FOR(&c, has_seen(&c.launched, "1.1"));
        assert_int_equal(c.launched.count, 2); /* one at a time */
        assert_string_equal(variable(&c, "METE_ARRAY_INDEX"), "12");
        assert_string_equal(variable(&c, "METE_TASK_INDEX"), "1");
        run_to(&c, "1.1", FINISHED, 3);
        WAIT_FOR(&c, has_seen(&c.launched, "1.2"));
        run_to(&c, "1.2", FINISHED, 5);
        expect(&c, GET("1"), "job.state", "JOB_FINISHED");
        cluster_stop(&c);
}

/* ---- retries ---- */

#define RESTART(when, more)                                                                                  \
        ", \"restart\": {\"when\": \"" when                                                                  \
        "\", \"backoff_seconds\": 0.001, \"backoff_max_seconds\": 100" more "}"

static void test_failures_are_retried(void **state)
{
        struct cluster c = {};

        start(&c);
        submit(&c, RESTART("ON_FAILURE", ", \"attempts_max\": 2"));
        WAIT_FOR(&c, c.launched.count == 1);
        run_to(&c, "1.0", FAILED, 1);
        expect(&c, GET("1"), "job.state", "JOB_RUNNING");
        WAIT_FOR(&c, c.launched.count == 2);
        update(&c, "1.0", FAILED, 2); /* sent again: of the first attempt */
        restart_master(&c);
        subscribe(&c, &(const struct report){"1.0", RUNNING}, 1);
        update(&c, "1.0", FAILED, 3);
        WAIT_FOR(&c, c.launched.count == 3);
        run_to(&c, "1.0", FAILED, 5);
        expect(&c, GET("1"), "job.state", "JOB_FAILED");
        assert_true(task_number(&c, GET("1"), "attempts") == 3);
        assert_int_equal(c.launched.count, 3);
        cluster_stop(&c);
}

static void test_backoff_is_waited_for(void **state)
{
        struct cluster c = {};
        double before;

        start(&c);
        submit(&c, ", \"restart\": {\"when\": \"ON_FAILURE\", \"backoff_seconds\": 50}");
        WAIT_FOR(&c, c.launched.count == 1);
        before = wall_seconds(wall_now());
        run_to(&c, "1.0", FAILED, 1);
        assert_true(task_number(&c, GET("1"), "not_before") >= before + 50);
        restart_master(&c);
        subscribe(&c, NULL, 0);
        submit(&c, ""); /* by the time that this one is launched the other one would have been */
        WAIT_FOR(&c, has_seen(&c.launched, "2.0"));
        assert_int_equal(c.launched.count, 2);
        json_decref(call(&c, 200, KILL("1")));
        expect(&c, GET("1"), "job.state", "JOB_KILLED");
        cluster_stop(&c);
}

static void test_service(void **state)
{
        struct cluster c = {};

        start(&c);
        submit(&c, RESTART("ALWAYS", ""));
        for (uint8_t i = 0; i < 5; i++) {
                WAIT_FOR(&c, c.launched.count == (size_t)i + 1);
                run_to(&c, "1.0", i % 2 ? FAILED : FINISHED, 10 + 2 * i);
                expect(&c, GET("1"), "job.state", "JOB_RUNNING");
        }
        WAIT_FOR(&c, c.launched.count == 6);
        subscribe(&c, NULL, 0); /* the agent has lost it: not the task's fault */
        WAIT_FOR(&c, c.launched.count == 7);
        update(&c, "1.0", RUNNING, 30);
        json_decref(call(&c, 200, KILL("1")));
        update(&c, "1.0", KILLED, 31);
        expect(&c, GET("1"), "job.state", "JOB_KILLED");
        cluster_stop(&c);
}

/* ---- time ---- */

static void test_time_limit(void **state)
{
        struct cluster c = {};

        start(&c);
        submit(&c, ", \"time_limit_seconds\": 0.05");
        submit(&c, ", \"time_limit_seconds\": 500");
        WAIT_FOR(&c, c.launched.count == 2);
        update(&c, "1.0", RUNNING, 1);
        update(&c, "2.0", RUNNING, 2);
        WAIT_FOR(&c, has_seen(&c.killed, "1.0"));
        update(&c, "1.0", KILLED, 3);
        expect(&c, GET("1"), "job.tasks.0.state", "TASK_FAILED");
        expect(&c, GET("1"), "job.tasks.0.reason", "REASON_MAX_COMPLETION_TIME_REACHED");
        expect(&c, GET("1"), "job.tasks.0.message", "time limit of 50ms reached");
        expect(&c, GET("1"), "job.state", "JOB_FAILED");
        assert_int_equal(c.killed.count, 1);
        cluster_stop(&c);
}

static void test_time_limit_over_a_restart(void **state)
{
        struct cluster c = {};

        start(&c);
        submit(&c, ", \"time_limit_seconds\": 0.2");
        WAIT_FOR(&c, c.launched.count == 1);
        update(&c, "1.0", RUNNING, 1);
        restart_master(&c);
        subscribe(&c, &(const struct report){"1.0", RUNNING}, 1);
        WAIT_FOR(&c, has_seen(&c.killed, "1.0"));
        update(&c, "1.0", KILLED, 3);
        expect(&c, GET("1"), "job.tasks.0.state", "TASK_FAILED");
        cluster_stop(&c);
}

static void test_deadline(void **state)
{
        _cleanup_free_ char *soon =
                xasprintf(", \"cpus\": 3, \"deadline\": %.3f", wall_seconds(wall_now()) + 1.5);
        struct cluster c = {};

        start(&c);
        submit(&c, ", \"cpus\": 3");
        WAIT_FOR(&c, has_seen(&c.launched, "1.0"));
        submit(&c, soon);
        submit(&c, AFTER_FAILED("2"));
        WAIT_FOR(&c, has_seen(&c.launched, "3.0"));
        expect(&c, GET("2"), "job.state", "JOB_FAILED");
        expect(&c, GET("2"), "job.tasks.0.message", "its deadline passed while it waited");
        cluster_stop(&c);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_queues),
                cmocka_unit_test(test_a_queue_shows_what_waits_in_order),
                cmocka_unit_test(test_after),
                cmocka_unit_test(test_met_dependencies_are_remembered),
                cmocka_unit_test(test_array),
                cmocka_unit_test(test_failures_are_retried),
                cmocka_unit_test(test_backoff_is_waited_for),
                cmocka_unit_test(test_service),
                cmocka_unit_test(test_time_limit),
                cmocka_unit_test(test_time_limit_over_a_restart),
                cmocka_unit_test(test_deadline),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
