/* Jobs that ended: their records outlive the master, are read in pages, and go when there are too many or they are too old. */

#include "tests/unit/master/harness.h"

#include "master/jobs/history.h"

#define RUNNING METE__V1__TASK_STATE__TASK_RUNNING
#define FINISHED METE__V1__TASK_STATE__TASK_FINISHED

static void submit(struct cluster *c, const char *name)
{
        _cleanup_free_ char *body = xasprintf(
                "{\"type\": \"SUBMIT\", \"submit\": {\"job\": {\"name\": \"%s\", \"command\": "
                "[\"/bin/true\"], "
                "\"environment\": [{\"name\": \"SECRET\", \"value\": \"s\"}], \"memory_bytes\": 16777216, "
                "\"count\": 2, \"isolation\": {\"seccomp_profile\": \"e30=\"}}}}",
                name);

        json_decref(call(c, 200, body));
}

/* Without an agent it ends at once. */
static void submit_and_kill(struct cluster *c, const char *name, int number)
{
        _cleanup_free_ char *body = xasprintf("{\"type\": \"KILL\", \"kill\": {\"id\": \"%d\"}}", number);

        submit(c, name);
        json_decref(call(c, 200, body));
}

/* Without an agent nothing waits for the end of the old master's connections: the client's is made anew. */
static void restart(struct cluster *c)
{
        restart_master(c);
        http_client_free(c->client);
        assert_int_equal(http_client_new(c->loop, "127.0.0.1", c->port, &c->client, NULL), 0);
}

static json_t *history(struct cluster *c, const char *rest)
{
        _cleanup_free_ char *body = xasprintf("{\"type\": \"HISTORY\", \"history\": {%s}}", rest);

        return call(c, 200, body);
}

static struct buffer last_ids; /* for messages */

/* "3 2 1", with a "+" behind when there are more. */
static bool history_is(struct cluster *c, const char *rest, const char *want)
{
        _cleanup_buffer_ struct buffer text = {};
        json_t *answer = history(c, rest), *job;
        size_t i;
        bool same;

        json_array_foreach(json_object_get(answer, "jobs"), i, job)
                buffer_printf(&text, "%s%s", i ? " " : "", json_string_value(json_object_get(job, "job_id")));
        if (json_is_true(json_object_get(answer, "more")))
                buffer_puts(&text, "+");
        json_decref(answer);
        same = str_equal(text.data ? text.data : "", want);
        buffer_done(&last_ids);
        buffer_puts(&last_ids, text.data ? text.data : "");
        return same;
}

static void expect_history(struct cluster *c, const char *rest, const char *want)
{
        if (!history_is(c, rest, want))
                fail_msg("{%s}: %s, not %s", rest, last_ids.data, want);
}

static void refused(struct cluster *c, int status, const char *body, const char *field)
{
        json_t *answer = call(c, status, body);

        assert_string_equal(json_string_value(json_object_get(answer, "field")), field);
        json_decref(answer);
}

/* ---- records of real jobs ---- */

static void test_ended_jobs_outlive_the_master(void **state)
{
        struct cluster c = {};
        json_t *answer, *job;

        cluster_start(&c);
        expect_history(&c, "", "");
        submit_and_kill(&c, "a", 1);
        submit(&c, "b"); /* is not over */
        submit_and_kill(&c, "c", 3);
        expect_history(&c, "", "3 1");
        restart(&c);
        expect_history(&c, "", "3 1");
        expect_history(&c, "\"name\": \"a\"", "1");

        answer = history(&c, "\"limit\": 1, \"tasks\": true");
        job = json_array_get(json_object_get(answer, "jobs"), 0);
        assert_string_equal(json_string_value(json_object_get(job, "state")), "JOB_KILLED");
        assert_int_equal(json_array_size(json_object_get(job, "tasks")), 2);
        assert_int_equal(json_integer_value(json_object_get(job, "tasks_failed")), 2);
        job = json_object_get(job, "spec");
        assert_int_equal(json_array_size(json_object_get(job, "environment")), 1); /* we are its owner */
        assert_null(json_object_get(json_object_get(job, "isolation"), "seccomp_profile"));
        json_decref(answer);
        answer = history(&c, "");
        assert_null(json_object_get(json_array_get(json_object_get(answer, "jobs"), 0), "tasks"));
        json_decref(answer);
        cluster_stop(&c);
}

static void test_a_job_that_comes_back_to_life_leaves_the_history(void **state)
{
        const struct report running[] = {{"1.0", RUNNING}, {"1.1", RUNNING}};
        struct cluster c = {.ping_ns = 20 * NSEC_PER_MSEC, .max_pings = 2};

        cluster_start(&c);
        subscribe(&c, NULL, 0);
        submit(&c, "a");
        WAIT_FOR(&c, c.launched.count == 2);
        update(&c, "1.0", RUNNING, 1);
        update(&c, "1.1", RUNNING, 2);
        c.answer_pings = false; /* the agent is lost, and its tasks with it */
        WAIT_FOR(&c, history_is(&c, "", "1"));
        c.answer_pings = true;
        subscribe(&c, running, 2);
        WAIT_FOR(&c, history_is(&c, "", ""));
        update(&c, "1.0", FINISHED, 3);
        update(&c, "1.1", FINISHED, 4);
        WAIT_FOR(&c, history_is(&c, "\"state\": \"JOB_FINISHED\"", "1"));
        cluster_stop(&c);
}

/* ---- bounds ---- */

static void keep_two(struct master *m)
{
        ((struct master_options *)m->options)->history_jobs = 2;
}

static void test_the_oldest_go_when_there_are_too_many(void **state)
{
        struct cluster c = {.prepare = keep_two};

        cluster_start(&c);
        for (int i = 1; i <= 4; i++)
                submit_and_kill(&c, "a", i);
        WAIT_FOR(&c, history_is(&c, "", "4 3"));
        json_decref(call(
                &c, 200, "{\"type\": \"GET_JOB\", \"get_job\": {\"job_id\": \"1\"}}")); /* in memory it is */
        restart(&c);
        expect_history(&c, "", "4 3");
        submit_and_kill(&c, "a", 5);
        WAIT_FOR(&c, history_is(&c, "\"tasks\": true", "5 4"));
        cluster_stop(&c);
}

static void keep_none(struct master *m)
{
        ((struct master_options *)m->options)->history_jobs = 0;
}

static void test_nothing_is_kept_when_nothing_is_wanted(void **state)
{
        struct cluster c = {};

        cluster_start(&c);
        submit_and_kill(&c, "a", 1);
        expect_history(&c, "", "1");
        c.prepare = keep_none;
        restart(&c);
        submit_and_kill(&c, "a", 2);
        WAIT_FOR(&c, history_is(&c, "", ""));
        cluster_stop(&c);
}

/* ---- records of our own ---- */

struct made {
        uint64_t number;
        const char *user, *name;
        Mete__Api__JobState state;
        double finished;
        size_t count;
        Mete__Api__Task **tasks;
};

static void put(struct master *m, const struct made *made)
{
        Mete__Checkpoint__StoredHistory record = METE__CHECKPOINT__STORED_HISTORY__INIT;
        Mete__Checkpoint__StoredHistoryTasks tasks = METE__CHECKPOINT__STORED_HISTORY_TASKS__INIT;
        Mete__Api__Job job = METE__API__JOB__INIT;
        Mete__Api__JobSpec spec = METE__API__JOB_SPEC__INIT;
        _cleanup_free_ char *id = xasprintf("%ju", (uintmax_t)made->number);
        _cleanup_free_ char *key = xasprintf("history/%010ju", (uintmax_t)made->number);
        _cleanup_free_ char *tasks_key = xasprintf("history_tasks/%010ju", (uintmax_t)made->number);
        _cleanup_free_ char *ended =
                xasprintf("ended/%015ju/%010ju", (uintmax_t)(made->finished * 1000), (uintmax_t)made->number);
        struct store_batch *b = store_batch_new();

        spec.name = (char *)made->name;
        job.job_id = id;
        job.spec = &spec;
        job.user = (char *)made->user;
        job.state = made->state;
        job.has_finished = true;
        job.finished = made->finished;
        record.job = &job;
        tasks.tasks = made->tasks;
        tasks.n_tasks = made->count;
        master_put_message(b, key, &record.base);
        master_put_message(b, tasks_key, &tasks.base);
        store_batch_put(b, ended, NULL, 0);
        store_write(m->store, b, NULL, NULL);
}

/* 1 to 1000, each finished a second after the one before; every 400th is bob's, every tenth failed. */
static void put_many(struct master *m)
{
        double begin = wall_seconds_now() - 5000;

        for (uint64_t i = 1; i <= 1000; i++)
                put(m, &(struct made){i, i % 400 ? "alice" : "bob", i % 3 ? "train" : "test",
                               i % 10 ? METE__API__JOB_STATE__JOB_FINISHED : METE__API__JOB_STATE__JOB_FAILED,
                               begin + (double)i});
}

static void test_pages_and_filters(void **state)
{
        struct cluster c = {.prepare = put_many};
        _cleanup_free_ char *since = NULL;
        char before[32] = "";
        size_t n = 0;

        cluster_start(&c);
        expect_history(&c, "\"limit\": 3", "1000 999 998+");
        expect_history(&c, "\"user\": \"bob\"", "800 400");
        expect_history(&c, "\"user\": \"bob\", \"limit\": 2", "800 400");
        expect_history(&c, "\"user\": \"bob\", \"limit\": 1", "800+");
        expect_history(&c, "\"user\": \"bob\", \"before\": \"800\"", "400");
        expect_history(&c, "\"user\": \"bob\", \"name\": \"test\"", "");
        assert_true(
                history_is(&c, "\"name\": \"test\", \"state\": \"JOB_FAILED\", \"limit\": 2", "990 960+"));
        expect_history(&c, "\"user\": \"carol\"", "");
        since = xasprintf(
                "\"since\": %.3f, \"until\": %.3f", wall_seconds_now() - 4502.5, wall_seconds_now() - 4497.5);
        {
                json_t *answer = history(&c, since);
                size_t found = json_array_size(json_object_get(answer, "jobs"));

                assert_true(found >= 4 && found <= 6); /* five seconds long; the clock went on */
                json_decref(answer);
        }
        /* Every job once, page by page. */
        for (bool more = true; more;) {
                _cleanup_free_ char *rest = xasprintf("\"limit\": 333, \"tasks\": true%s", before);
                json_t *answer = history(&c, rest), *jobs = json_object_get(answer, "jobs");

                for (size_t i = 0; i < json_array_size(jobs); i++)
                        assert_int_equal(
                                atoi(json_string_value(json_object_get(json_array_get(jobs, i), "job_id"))),
                                1000 - (int)n++);
                (void)snprintf(before, sizeof(before), ", \"before\": \"%zu\"", 1001 - n);
                more = json_is_true(json_object_get(answer, "more"));
                json_decref(answer);
        }
        assert_int_equal(n, 1000);
        cluster_stop(&c);
}

static void put_old(struct master *m)
{
        ((struct master_options *)m->options)->history_age_ns = 1000 * NSEC_PER_SEC;
        for (uint64_t i = 1; i <= 700; i++) /* more than go at once */
                put(m, &(struct made){i, "alice", "old", METE__API__JOB_STATE__JOB_FINISHED,
                               wall_seconds_now() - 2000 - (double)i});
        put(m, &(struct made){
                       701, "alice", "new", METE__API__JOB_STATE__JOB_FINISHED, wall_seconds_now() - 10});
        put(m, &(struct made){
                       702, "alice", "old", METE__API__JOB_STATE__JOB_FINISHED, wall_seconds_now() - 1001});
}

static void test_the_old_go(void **state)
{
        struct cluster c = {.prepare = put_old};

        cluster_start(&c);
        WAIT_FOR(&c, history_is(&c, "", "701"));
        cluster_stop(&c);
}

/* ---- figures ---- */

/* Ten jobs of ten tasks: run k of 100 waited k tenths, ran k seconds, of which half frozen above 50, on a quarter of a core. */
static void put_runs(struct master *m)
{
        static char name[] = "x";

        for (uint64_t i = 1; i <= 10; i++) {
                Mete__Api__Task tasks[10], *list[10];
                Mete__Api__TaskUsage usage[10];

                for (int t = 0; t < 10; t++) {
                        double k = (double)(10 * (i - 1)) + t + 1;

                        mete__api__task__init(&tasks[t]);
                        mete__api__task_usage__init(&usage[t]);
                        list[t] = &tasks[t];
                        tasks[t].task_id = tasks[t].job_id = tasks[t].name = name;
                        tasks[t].state = t == 9 ? METE__V1__TASK_STATE__TASK_FAILED : FINISHED;
                        tasks[t].has_submitted = tasks[t].has_started = tasks[t].has_finished = true;
                        tasks[t].submitted = 1000;
                        tasks[t].started = 1000 + k / 10;
                        tasks[t].has_suspended_seconds = k > 50;
                        tasks[t].suspended_seconds = k > 50 ? k : 0;
                        tasks[t].finished = tasks[t].started + k + tasks[t].suspended_seconds;
                        tasks[t].has_preemptions = true;
                        tasks[t].preemptions = k > 50;
                        tasks[t].usage = &usage[t];
                        usage[t].has_cpu_usage_seconds = usage[t].has_memory_peak_bytes = true;
                        usage[t].cpu_usage_seconds = k / 4;
                        usage[t].memory_peak_bytes = (uint64_t)k << 20;
                        usage[t].has_memory_oom_kills = true;
                        usage[t].memory_oom_kills = t == 9;
                }
                put(m, &(struct made){i, "alice", "train", METE__API__JOB_STATE__JOB_FAILED,
                               wall_seconds_now(), 10, list});
        }
        put(m, &(struct made){11, "bob", "train", METE__API__JOB_STATE__JOB_FINISHED, wall_seconds_now()});
        put(m, &(struct made){12, "bob", "other", METE__API__JOB_STATE__JOB_FINISHED, wall_seconds_now()});
}

static void figure_is(json_t *stats, const char *name, double want)
{
        double have = json_number_value(json_object_get(stats, name));

        if (have < want - 1e-6 || have > want + 1e-6)
                fail_msg("%s is %.9g, not %.9g", name, have, want);
}

static void check_alice(json_t *s)
{
        assert_string_equal(json_string_value(json_object_get(s, "name")), "train");
        assert_string_equal(json_string_value(json_object_get(s, "user")), "alice");
        figure_is(s, "jobs", 10);
        figure_is(s, "tasks", 100);
        figure_is(s, "tasks_finished", 90);
        figure_is(s, "tasks_failed", 10);
        figure_is(s, "wait_seconds_mean", 5.05);
        figure_is(s, "wait_seconds_p99", 9.9);
        figure_is(s, "run_seconds_mean", 50.5);
        figure_is(s, "run_seconds_p50", 50);
        figure_is(s, "run_seconds_p90", 90);
        figure_is(s, "run_seconds_max", 100);
        figure_is(s, "cpu_seconds_mean", 50.5 / 4);
        figure_is(s, "cpu_cores_mean", 0.25);
        figure_is(s, "memory_peak_bytes_p90", 90 << 20);
        figure_is(s, "memory_peak_bytes_max", 100 << 20);
        figure_is(s, "preemptions", 50);
        figure_is(s, "oom_kills", 10);
}

static void test_figures_are_exact(void **state)
{
        struct cluster c = {.prepare = put_runs};
        json_t *answer, *stats;

        cluster_start(&c);
        answer = call(&c, 200, "{\"type\": \"JOB_STATS\", \"job_stats\": {\"job\": \"train\"}}");
        stats = json_object_get(answer, "stats");
        assert_int_equal(json_array_size(stats), 2);
        assert_string_equal(json_string_value(json_object_get(json_array_get(stats, 0), "user")), "bob");
        figure_is(json_array_get(stats, 0), "jobs", 1);
        assert_null(
                json_object_get(json_array_get(stats, 0), "run_seconds_mean")); /* it says nothing of it */
        check_alice(json_array_get(stats, 1));
        json_decref(answer);
        /* By id: those of its user. */
        answer = call(&c, 200, "{\"type\": \"JOB_STATS\", \"job_stats\": {\"job\": \"3\"}}");
        stats = json_object_get(answer, "stats");
        assert_int_equal(json_array_size(stats), 1);
        check_alice(json_array_get(stats, 0));
        json_decref(answer);
        refused(&c, 404, "{\"type\": \"JOB_STATS\", \"job_stats\": {\"job\": \"nobody\"}}", "job_stats.job");
        refused(&c, 404, "{\"type\": \"JOB_STATS\", \"job_stats\": {\"job\": \"99\"}}", "job_stats.job");
        cluster_stop(&c);
}

static void test_what_cannot_be_asked_is_refused(void **state)
{
        static const struct {
                const char *rest, *field;
        } rows[] = {
                {"\"limit\": 0", "history.limit"},
                {"\"limit\": 1001", "history.limit"},
                {"\"before\": \"0\"", "history.before"},
                {"\"before\": \"x\"", "history.before"},
                {"\"since\": -1", "history.since"},
                {"\"until\": -1", "history.until"},
                {"\"since\": 2, \"until\": 1", "history.until"},
                {"\"state\": \"JOB_RUNNING\"", "history.state"},
        };
        struct cluster c = {};

        cluster_start(&c);
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_free_ char *body =
                        xasprintf("{\"type\": \"HISTORY\", \"history\": {%s}}", rows[i].rest);

                refused(&c, 400, body, rows[i].field);
        }
        cluster_stop(&c);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_ended_jobs_outlive_the_master),
                cmocka_unit_test(test_a_job_that_comes_back_to_life_leaves_the_history),
                cmocka_unit_test(test_the_oldest_go_when_there_are_too_many),
                cmocka_unit_test(test_nothing_is_kept_when_nothing_is_wanted),
                cmocka_unit_test(test_pages_and_filters),
                cmocka_unit_test(test_the_old_go),
                cmocka_unit_test(test_figures_are_exact),
                cmocka_unit_test(test_what_cannot_be_asked_is_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
