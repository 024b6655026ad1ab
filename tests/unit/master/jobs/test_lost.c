/*
 * Agents that are given up while something of theirs is frozen, and that come back with it. One master in this process, so that after
 * each step its books can be compared: the allocator's, the queue's, and what each task is said to hold.
 */

#include "master/jobs/jobs.h"
#include "tests/unit/master/scene.h"

#define RUNNING METE__V1__TASK_STATE__TASK_RUNNING
#define FINISHED METE__V1__TASK_STATE__TASK_FINISHED
#define KILLED METE__V1__TASK_STATE__TASK_KILLED
#define GET(id) "{\"type\": \"GET_JOB\", \"get_job\": {\"job_id\": \"" id "\"}}"
#define SUSPEND(id) "{\"type\": \"SUSPEND\", \"suspend\": {\"id\": \"" id "\"}}"
#define RESUME(id) "{\"type\": \"RESUME\", \"resume\": {\"id\": \"" id "\"}}"
#define LONG ", \"cpus\": 4, \"priority\": 2, \"duration_seconds\": 10000"
#define AGAIN ", \"restart\": {\"when\": \"ON_FAILURE\"}"
#define SHORT ", \"cpus\": 4, \"priority\": 900, \"duration_seconds\": 10"

/* The scene, and a second agent on its loop. */
struct world {
        struct scene s;
        struct cluster other;
};

static const struct report frozen = {"1.0", RUNNING, .cpus = 4, .suspended = true, .sequence = 1};
static const struct report still_running = {"1.0", RUNNING, .cpus = 4};

static void start(struct world *w)
{
        struct cluster *c = &w->s.c;

        scene_start(&w->s);
        framework_remove(TAKE_PTR(w->s.f), "only the queue is of interest");
        assert_int_equal(http_client_new(c->loop, "127.0.0.1", c->port, &c->client, NULL), 0);
        json_decref(call(c, 200,
                "{\"type\": \"SET_QUEUE\", \"set_queue\": {\"queue\": {\"name\": \"default\", \"policy\": "
                "\"priority\", \"preemption\": \"suspend\", \"grace_seconds\": 0, \"min_gain_seconds\": "
                "0}}}"));
}

static void stop(struct world *w)
{
        struct cluster *other = &w->other;

        http_client_free(other->calls);
        http_client_free(other->stream);
        forget_all_seen(other);
        http_client_free(w->s.c.client);
        scene_stop(&w->s);
}

static void other_joins(struct world *w)
{
        struct cluster *c = &w->other;

        c->loop = w->s.c.loop;
        c->port = w->s.c.port;
        c->answer_pings = true;
        assert_int_equal(http_client_new(c->loop, "127.0.0.1", c->port, &c->calls, NULL), 0);
        subscribe(c, NULL, 0);
}

static void submit(struct world *w, const char *more)
{
        _cleanup_free_ char *body = xasprintf("{\"type\": \"SUBMIT\", \"submit\": {\"job\": {\"command\": "
                                              "[\"/bin/x\"], \"memory_bytes\": 16777216%s}}}",
                more);

        json_decref(call(&w->s.c, 200, body));
}

/* Given up: it registers with these tasks once more, and is silent from then on. */
static void lose(struct world *w, const struct report *reports, size_t count)
{
        struct master_options before = w->s.options;
        struct agent *a = agent_find(w->s.m, w->s.c.agent_id);

        w->s.options.agent_ping_timeout_ns = 10 * NSEC_PER_MSEC;
        w->s.options.max_agent_ping_timeouts = 2;
        w->s.c.answer_pings = false;
        subscribe(&w->s.c, reports, count);
        WAIT_FOR(&w->s.c, a->state == AGENT_UNREACHABLE);
        w->s.options.agent_ping_timeout_ns = before.agent_ping_timeout_ns;
        w->s.options.max_agent_ping_timeouts = before.max_agent_ping_timeouts;
        w->s.c.answer_pings = true;
}

static double cpus_of(const struct resources *r)
{
        return (double)resources_scalar(r, "cpus") / 1000;
}

static double booked_cpus(struct world *w, const struct cluster *c)
{
        return cpus_of(&agent_find(w->s.m, c->agent_id)->booked);
}

/* The books of all agents, queues and the allocator agree. */
static void check(struct world *w)
{
        _cleanup_error_ struct error e = {};
        struct jobs *js = w->s.m->jobs;
        size_t live = 0, suspended = 0;
        struct agent *a, *next;

        scene_settle(&w->s);
        scene_check(&w->s);
        HASH_ITER (hh, w->s.m->agents, a, next) {
                _cleanup_resources_ struct resources sum = {};
                struct task *t;

                DL_FOREACH2(a->tasks, t, agent_next)
                if (!t->released)
                        resources_add(&sum, &t->resources);
                if (!resources_equal(&sum, &a->booked))
                        fail_msg("agent %s: what is booked is not the sum of its tasks", a->id);
        }
        for (struct job *j = js->by_number; j; j = j->hh.next)
                for (uint32_t i = 0; i < j->count; i++) {
                        bool is_live = job_task_class(j, i) == JOB_TASK_LIVE;

                        live += is_live;
                        suspended += is_live && j->tasks[i]->api->suspended;
                }
        for (struct job_queue *jq = js->queues->by_name; jq; jq = jq->hh.next) {
                if (queue_check(jq->queue, &e) < 0)
                        fail_msg("%s", error_message(&e));
                live -= jq->tasks_running;
                suspended -= jq->tasks_suspended;
        }
        assert_int_equal(live, 0);
        assert_int_equal(suspended, 0);
}

static struct job_task *task_of(struct world *w, uint64_t job)
{
        return job_by_number(w->s.m->jobs, job)->tasks[0];
}

/* 1.0 runs; 2.0 takes its place. */
static void freeze_for_another(struct world *w, const char *more)
{
        struct cluster *c = &w->s.c;

        start(w);
        submit(w, more);
        WAIT_FOR(c, has_seen(&c->launched, "1.0"));
        update(c, "1.0", RUNNING, 1);
        submit(w, SHORT);
        WAIT_FOR(c, has_seen(&c->suspensions, "1.0 frozen"));
        answer_suspend(c, "1.0", true, NULL);
        WAIT_FOR(c, has_seen(&c->launched, "2.0"));
        update(c, "2.0", RUNNING, 2);
        check(w);
        assert_true(booked_cpus(w, c) == 4);
}

static void test_both_come_back(void **state)
{
        const struct report both[] = {frozen, {"2.0", RUNNING, .cpus = 4}};
        struct world w = {};
        struct cluster *c = &w.s.c;

        freeze_for_another(&w, LONG);
        lose(&w, both, 2);
        check(&w);
        expect(c, GET("1"), "job.state", "JOB_FAILED");
        expect(c, GET("1"), "job.tasks.0.state", "TASK_LOST");
        assert_false(task_of(&w, 1)->api->suspended); /* it is over, as far as anybody knows */
        expect(c, GET("2"), "job.state", "JOB_FAILED");
        submit(&w, ", \"cpus\": 4, \"priority\": 1");
        subscribe(c, both, 2);
        check(&w);
        assert_true(booked_cpus(&w, c) == 4); /* those of 2.0: nobody has them twice */
        assert_false(has_seen(&c->suspensions, "1.0 thawed"));
        assert_true(task_of(&w, 1)->api->suspended);
        expect(c, GET("1"), "job.state", "JOB_RUNNING");
        update(c, "2.0", FINISHED, 3);
        WAIT_FOR(c, has_seen(&c->suspensions, "1.0 thawed"));
        answer_suspend(c, "1.0", false, NULL);
        WAIT_FOR(c, !task_of(&w, 1)->api->suspended);
        check(&w);
        assert_true(booked_cpus(&w, c) == 4);
        assert_false(has_seen(&c->launched, "3.0"));
        update(c, "1.0", FINISHED, 4);
        expect(c, GET("1"), "job.state", "JOB_FINISHED");
        WAIT_FOR(c, has_seen(&c->launched, "3.0"));
        check(&w);
        stop(&w);
}

/* It is thawed without a master to ask for it: what it gave up is its own again only if that can be had. */
static void test_comes_back_thawed(void **state)
{
        const struct report both[] = {frozen, {"2.0", RUNNING, .cpus = 4}};
        struct world w = {};
        struct cluster *c = &w.s.c;
        size_t asked;

        freeze_for_another(&w, LONG);
        lose(&w, both, 2);
        asked = c->suspensions.count;
        subscribe(
                c, &still_running, 1); /* as after a restart of its machine's agent that knew nothing of it */
        WAIT_FOR(c, c->suspensions.count > asked);
        assert_string_equal(
                last(&(struct string_list){.items = c->suspensions.items, .count = c->suspensions.count}),
                "1.0 frozen"); /* what is wanted is asked for again */
        check(&w);
        answer_suspend(c, "1.0", true, NULL);
        WAIT_FOR(c, has_seen(&c->suspensions, "1.0 thawed")); /* and there is room for it */
        answer_suspend(c, "1.0", false, NULL);
        WAIT_FOR(c, !task_of(&w, 1)->api->suspended);
        check(&w);
        assert_true(booked_cpus(&w, c) == 4);
        stop(&w);
}

/* Of the time in which nobody knew of it none counts: it was frozen. */
static void test_time_stands_still(void **state)
{
        struct world w = {};
        struct cluster *c = &w.s.c;
        struct job_task *t;
        double ran;

        freeze_for_another(&w, LONG ", \"time_limit_seconds\": 1000");
        lose(&w, &frozen, 1);
        t = task_of(&w, 1);
        ran = t->ran_seconds;
        t->changed -= 5000; /* it was lost so long ago */
        t->api->finished -= 5000;
        subscribe(c, &frozen, 1);
        check(&w);
        assert_true(t->ran_seconds - ran < 1000);
        assert_true(t->api->suspended_seconds >= 5000);
        WAIT_FOR(c, has_seen(&c->suspensions, "1.0 thawed"));
        answer_suspend(c, "1.0", false, NULL);
        WAIT_FOR(c, !t->api->suspended);
        scene_settle(&w.s);
        assert_false(has_seen(&c->killed, "1.0"));
        assert_non_null(t->limit);
        stop(&w);
}

/* Launched again elsewhere; the frozen one that comes back is killed, and nothing of it is booked. */
static void test_runs_elsewhere_meanwhile(void **state)
{
        struct world w = {};
        struct cluster *c = &w.s.c, *other = &w.other;

        freeze_for_another(&w, LONG AGAIN);
        lose(&w, &frozen, 1);
        expect(c, GET("1"), "job.state", "JOB_RUNNING");
        expect(c, GET("1"), "job.tasks.0.state", "TASK_STAGING");
        check(&w);
        other_joins(&w);
        WAIT_FOR(c, has_seen(&other->launched, "1.0"));
        update(other, "1.0", RUNNING, 5);
        subscribe(c, &frozen, 1);
        WAIT_FOR(c, has_seen(&c->killed, "1.0"));
        check(&w);
        assert_true(booked_cpus(&w, c) == 0);
        assert_true(booked_cpus(&w, other) == 4);
        update(c, "1.0", KILLED, 6);
        expect(c, GET("1"), "job.tasks.0.state", "TASK_RUNNING");
        assert_false(has_seen(&other->killed, "1.0"));
        update(other, "1.0", FINISHED, 7);
        expect(c, GET("1"), "job.state", "JOB_FINISHED");
        check(&w);
        assert_true(booked_cpus(&w, other) == 0);
        stop(&w);
}

/* It waits for a machine when the frozen one comes back: that one ends before the next begins. */
static void test_comes_back_while_it_waits(void **state)
{
        struct world w = {};
        struct cluster *c = &w.s.c;

        freeze_for_another(&w, LONG AGAIN);
        lose(&w, &frozen, 1);
        subscribe(c, &frozen, 1);
        WAIT_FOR(c, has_seen(&c->killed, "1.0"));
        check(&w);
        assert_int_equal(c->launched.count, 2);
        update(c, "1.0", KILLED, 6);
        WAIT_FOR(c, c->launched.count == 3);
        assert_string_equal(c->launched.items[2], "1.0");
        check(&w);
        assert_true(booked_cpus(&w, c) == 4);
        update(c, "1.0", RUNNING, 7);
        update(c, "1.0", FINISHED, 8);
        expect(c, GET("1"), "job.state", "JOB_FINISHED");
        stop(&w);
}

/* What its owner froze stays his to resume. */
static void test_frozen_by_its_owner(void **state)
{
        struct world w = {};
        struct cluster *c = &w.s.c;

        start(&w);
        submit(&w, LONG);
        WAIT_FOR(c, has_seen(&c->launched, "1.0"));
        update(c, "1.0", RUNNING, 1);
        json_decref(call(c, 200, SUSPEND("1.0")));
        WAIT_FOR(c, has_seen(&c->suspensions, "1.0 frozen"));
        answer_suspend(c, "1.0", true, NULL);
        WAIT_FOR(c, task_of(&w, 1)->api->suspended);
        check(&w);
        lose(&w, &frozen, 1);
        check(&w);
        expect(c, GET("1"), "job.state", "JOB_FAILED");
        subscribe(c, &frozen, 1);
        check(&w);
        assert_true(booked_cpus(&w, c) == 0);
        assert_false(has_seen(&c->suspensions, "1.0 thawed")); /* though there is room */
        json_decref(call(c, 200, RESUME("1.0")));
        WAIT_FOR(c, has_seen(&c->suspensions, "1.0 thawed"));
        answer_suspend(c, "1.0", false, NULL);
        WAIT_FOR(c, !task_of(&w, 1)->api->suspended);
        check(&w);
        update(c, "1.0", FINISHED, 4);
        expect(c, GET("1"), "job.state", "JOB_FINISHED");
        check(&w);
        stop(&w);
}

/* Removed for good: it is over with everything it had, whatever was asked of its tasks and not answered. */
static void test_gone_for_good(void **state)
{
        struct world w = {};
        struct cluster *c = &w.s.c;
        _cleanup_free_ char *gone = NULL;

        start(&w);
        submit(&w, LONG AGAIN);
        WAIT_FOR(c, has_seen(&c->launched, "1.0"));
        update(c, "1.0", RUNNING, 1);
        submit(&w, SHORT);
        WAIT_FOR(c, has_seen(&c->suspensions, "1.0 frozen")); /* not answered */
        gone = xasprintf(
                "{\"type\": \"MARK_AGENT_GONE\", \"mark_agent_gone\": {\"agent_id\": \"%s\"}}", c->agent_id);
        json_decref(call(c, 200, gone));
        WAIT_FOR(c, agent_find(w.s.m, c->agent_id)->state == AGENT_GONE);
        check(&w);
        assert_true(booked_cpus(&w, c) == 0);
        other_joins(&w);
        WAIT_FOR(c, has_seen(&w.other.launched, "2.0"));
        update(&w.other, "2.0", RUNNING, 2);
        check(&w);
        update(&w.other, "2.0", FINISHED, 3);
        WAIT_FOR(c, has_seen(&w.other.launched, "1.0"));
        check(&w);
        stop(&w);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_both_come_back),
                cmocka_unit_test(test_comes_back_thawed),
                cmocka_unit_test(test_time_stands_still),
                cmocka_unit_test(test_runs_elsewhere_meanwhile),
                cmocka_unit_test(test_comes_back_while_it_waits),
                cmocka_unit_test(test_frozen_by_its_owner),
                cmocka_unit_test(test_gone_for_good),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
