/* Dependencies over restarts of the master, when the job that is waited for is remembered by nobody any more. */

#include "tests/unit/master/harness.h"

#include "master/core.h"

#define RUNNING METE__V1__TASK_STATE__TASK_RUNNING
#define FINISHED METE__V1__TASK_STATE__TASK_FINISHED
#define GET(id) "{\"type\": \"GET_JOB\", \"get_job\": {\"job_id\": \"" id "\"}}"
#define KILL(id) "{\"type\": \"KILL\", \"kill\": {\"id\": \"" id "\"}}"
#define LARGE ", \"count\": 10000" /* three of them are more than memory keeps of what ended */

static void submit(struct cluster *c, const char *more, const char *want_id)
{
        _cleanup_free_ char *body = xasprintf("{\"type\": \"SUBMIT\", \"submit\": {\"job\": {\"command\": "
                                              "[\"/bin/x\"], \"memory_bytes\": 16777216%s}}}",
                more);

        expect(c, body, "job.job_id", want_id);
}

static void kill_job(struct cluster *c, const char *call_kill)
{
        json_decref(call(c, 200, call_kill));
}

/* Three large jobs end: what ended before them leaves memory. */
static void fill_memory(struct cluster *c, int next)
{
        for (int i = 0; i < 3; i++) {
                _cleanup_free_ char *id = xasprintf("%d", next + i);
                _cleanup_free_ char *body = xasprintf("{\"type\": \"KILL\", \"kill\": {\"id\": \"%s\"}}", id);

                submit(c, LARGE, id);
                kill_job(c, body);
        }
}

/* Without an agent nothing waits for the end of the old master's connections: the client's is made anew. */
static void restart(struct cluster *c)
{
        restart_master(c);
        http_client_free(c->client);
        assert_int_equal(http_client_new(c->loop, "127.0.0.1", c->port, &c->client, NULL), 0);
}

static void keep_no_history(struct master *m)
{
        ((struct master_options *)m->options)->history_jobs = 0;
}

static void what_was_met_outlives(void (*prepare)(struct master *m))
{
        struct cluster c = {.prepare = prepare};

        cluster_start(&c);
        submit(&c, "", "1");
        submit(&c, "", "2");
        submit(&c, ", \"after\": [{\"job\": \"1\", \"condition\": \"ENDED\"}, {\"job\": \"2\"}]", "3");
        kill_job(&c, KILL("1"));
        fill_memory(&c, 4);
        json_decref(call(&c, 404, GET("1")));
        restart(&c);
        expect(&c, GET("3"), "job.state", "JOB_QUEUED");
        restart(&c); /* also what this one wrote of it */
        subscribe(&c, NULL, 0);
        WAIT_FOR(&c, has_seen(&c.launched, "2.0"));
        assert_false(has_seen(&c.launched, "3.0"));
        update(&c, "2.0", RUNNING, 1);
        update(&c, "2.0", FINISHED, 2);
        WAIT_FOR(&c, has_seen(&c.launched, "3.0"));
        json_decref(call(&c, 400,
                "{\"type\": \"SUBMIT\", \"submit\": {\"job\": {\"command\": [\"/bin/x\"], \"memory_bytes\": "
                "16777216, \"after\": [{\"job\": \"1\"}]}}}")); /* nobody could say how it ended */
        assert_non_null(strstr(c.body, "job 1 ended too long ago"));
        cluster_stop(&c);
}

static void test_only_the_history_knows_it(void **state)
{
        what_was_met_outlives(NULL);
}

static void test_nobody_knows_it(void **state)
{
        what_was_met_outlives(keep_no_history);
}

/* Else a dependency, a record of the history, or a task that an agent still has would mean another job. */
static void test_numbers_are_never_given_twice(void **state)
{
        struct cluster c = {};

        cluster_start(&c);
        submit(&c, LARGE, "1");
        submit(&c, LARGE, "2");
        submit(&c, LARGE, "3");
        submit(&c, "", "4");
        kill_job(&c, KILL("4"));
        kill_job(&c, KILL("1"));
        kill_job(&c, KILL("2"));
        kill_job(&c, KILL("3"));
        json_decref(call(&c, 404, GET("4")));
        restart(&c);
        json_decref(call(&c, 404, GET("4")));
        submit(&c, "", "5");
        restart(&c);
        expect(&c, GET("5"), "job.state", "JOB_QUEUED");
        submit(&c, "", "6");
        cluster_stop(&c);
}

static void lose_job_1(struct master *m)
{
        struct store_batch *b = store_batch_new();

        store_batch_delete(b, "job/0000000001");
        master_write(m, b, NULL, NULL);
}

/* A record that is not there any more: who waits for it does not do so for ever, and what follows from that is remembered too. */
static void test_a_job_that_disappeared(void **state)
{
        struct cluster c = {};

        cluster_start(&c);
        submit(&c, "", "1");
        submit(&c, ", \"after\": [{\"job\": \"1\"}]", "2");
        submit(&c, "", "3");
        submit(&c, ", \"after\": [{\"job\": \"2\", \"condition\": \"FAILED\"}, {\"job\": \"3\"}]", "4");
        c.prepare = lose_job_1;
        restart(&c); /* it knows job 1, and takes it out of the store */
        c.prepare = NULL;
        submit(&c, "", "5");
        restart(&c);
        json_decref(call(&c, 404, GET("1")));
        expect(&c, GET("2"), "job.state", "JOB_FAILED");
        expect(&c, GET("2"), "job.tasks.0.message",
                "what became of job 1, for which it waits, is not known any more");
        expect(&c, GET("4"), "job.state", "JOB_QUEUED");
        fill_memory(&c, 6);
        json_decref(call(&c, 404, GET("2")));
        restart(&c);
        expect(&c, GET("4"), "job.state", "JOB_QUEUED");
        subscribe(&c, NULL, 0);
        WAIT_FOR(&c, has_seen(&c.launched, "3.0"));
        update(&c, "3.0", RUNNING, 1);
        update(&c, "3.0", FINISHED, 2);
        WAIT_FOR(&c, has_seen(&c.launched, "4.0"));
        cluster_stop(&c);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_only_the_history_knows_it),
                cmocka_unit_test(test_nobody_knows_it),
                cmocka_unit_test(test_numbers_are_never_given_twice),
                cmocka_unit_test(test_a_job_that_disappeared),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
