/* Agents that go and come back: disconnected, unreachable, gone, forgotten; and what a restarted master makes of each. */

#include "tests/unit/master/fixture.h"

#include "master/frameworks/frameworks.h"

static const struct told *told_of(const struct fixture *x, const char *task, Mete__V1__TaskState s)
{
        for (size_t i = 0; i < x->n_told; i++)
                if (str_equal(x->told[i].task, task) && x->told[i].state == s)
                        return &x->told[i];
        return NULL;
}

static void impatient(struct fixture *x)
{
        fixture_start(x);
        x->options.agent_ping_timeout_ns = 20 * NSEC_PER_MSEC;
        x->options.max_agent_ping_timeouts = 3;
}

static enum agent_state state_of(const struct fixture *x)
{
        return the_agent(x)->state;
}

static void fall_silent(struct fixture *x)
{
        x->answer_pings = false;
        WAIT_FOR(x, state_of(x) == AGENT_UNREACHABLE);
        WAIT_FOR(x, x->stream_ended);
        x->answer_pings = true;
}

static void say_goodbye(struct fixture *x)
{
        Mete__Agent__Call m = METE__AGENT__CALL__INIT;

        m.type = METE__AGENT__CALL__TYPE__UNREGISTER;
        say(x, &m);
}

/* ---- unreachable ---- */

static void test_unreachable_and_back(void **state)
{
        const struct brought back[] = {{.executor = "ex"}, {"1", STATE(RUNNING), STATE(RUNNING), 1}};
        struct fixture x = {};
        struct past_task *p;

        impatient(&x);
        join(&x, NULL, 0);
        join(&x, back, 1);
        (void)launch_task(&x, "1", NULL);
        (void)launch_task(&x, "2", NULL);
        report_update(&x, "1", STATE(RUNNING), STATE(RUNNING), 1);
        WAIT_FOR(&x, x.n_told == 1);
        fall_silent(&x);
        assert_true(told_of(&x, "1", STATE(UNREACHABLE)) && told_of(&x, "2", STATE(UNREACHABLE)));
        assert_int_equal(last_told(&x)->reason, REASON(AGENT_REMOVED));
        assert_int_equal(last_told(&x)->source, METE__V1__TASK_STATUS__SOURCE__SOURCE_MASTER);
        assert_false(last_told(&x)->has_uuid);
        assert_true(last_told(&x)->unreachable_ns > 0);
        assert_string_equal(x.failed, "agent");
        assert_null(x.f->tasks);
        assert_null(x.f->executors);
        p = framework_find_unreachable(x.f, "1");
        assert_non_null(p);
        assert_int_equal(p->task->state, STATE(UNREACHABLE));
        assert_null(allocator_agent_total(x.master->allocator, x.agent_id));
        assert_int_equal(x.master->counters.agents_made_unreachable, 1);
        x.n_told = 0;
        framework_reconcile(x.f, NULL, 0); /* they are not among the live ones */
        assert_int_equal(x.n_told, 0);
        /* 1 is there, 2 is not. */
        join(&x, back, 2);
        assert_int_equal(x.n_told, 1);
        assert_string_equal(x.told[0].task, "1");
        assert_int_equal(x.told[0].state, STATE(RUNNING));
        assert_int_equal(x.told[0].reason, REASON(AGENT_REREGISTERED));
        assert_false(x.told[0].has_uuid);
        assert_null(framework_find_unreachable(x.f, "1"));
        assert_null(framework_find_unreachable(x.f, "2"));
        assert_non_null(x.f->executors);
        assert_int_equal(
                resources_scalar(allocator_agent_free(x.master->allocator, x.agent_id), "cpus"), 2500);
        assert_int_equal(allocator_check(x.master->allocator, NULL), 0);
        fixture_stop(&x);
}

static const struct told *ask(struct fixture *x, const char *task, const char *agent)
{
        Mete__V1__Scheduler__Call__Reconcile__Task t = METE__V1__SCHEDULER__CALL__RECONCILE__TASK__INIT,
                                                   *list[] = {&t};
        Mete__V1__TaskID task_id = METE__V1__TASK_ID__INIT;
        Mete__V1__AgentID agent_id = METE__V1__AGENT_ID__INIT;

        task_id.value = (char *)task;
        agent_id.value = (char *)agent;
        t.task_id = &task_id;
        t.agent_id = agent ? &agent_id : NULL;
        x->n_told = 0;
        framework_reconcile(x->f, list, 1);
        return x->n_told > 0 ? last_told(x) : NULL;
}

static void test_unreachable_tasks_are_reconciled_as_that(void **state)
{
        struct fixture x = {};
        int64_t since;

        impatient(&x);
        join(&x, NULL, 0);
        (void)launch_task(&x, "1", NULL);
        fall_silent(&x);
        assert_int_equal(ask(&x, "1", x.agent_id)->state, STATE(UNREACHABLE));
        since = last_told(&x)->unreachable_ns;
        assert_true(since > 0);
        assert_int_equal(ask(&x, "1", NULL)->state, STATE(UNREACHABLE)); /* by what is kept of the task */
        assert_string_equal(last_told(&x)->agent, x.agent_id);
        begin_again(&x);
        assert_int_equal(state_of(&x), AGENT_UNREACHABLE);
        assert_int_equal(ask(&x, "1", x.agent_id)->state, STATE(UNREACHABLE));
        assert_int_equal(last_told(&x)->unreachable_ns, since);
        assert_int_equal(ask(&x, "1", NULL)->state, STATE(UNKNOWN));
        fixture_stop(&x);
}

static void test_the_end_of_an_unreachable_task(void **state)
{
        const struct brought over = {"1", STATE(FINISHED), STATE(FINISHED), 2};
        struct fixture x = {};

        impatient(&x);
        join(&x, NULL, 0);
        (void)launch_task(&x, "1", NULL);
        fall_silent(&x);
        x.n_told = 0;
        join(&x, &over, 1); /* it ended meanwhile */
        assert_int_equal(the_agent(&x)->task_count, 0);
        report_update(&x, "1", STATE(FINISHED), STATE(FINISHED), 2);
        WAIT_FOR(&x, last_told(&x)->has_uuid);
        assert_int_equal(last_told(&x)->state, STATE(FINISHED));
        task_acknowledge(x.f, x.agent_id, "1", last_told(&x)->uuid);
        assert_null(task_find(x.f, "1"));
        fixture_stop(&x);
}

static void test_agents_that_stay_away_after_a_restart(void **state)
{
        const struct brought running = {"1", STATE(RUNNING), STATE(RUNNING), 1};
        struct fixture x = {};

        fixture_start(&x);
        join(&x, NULL, 0);
        (void)launch_task(&x, "1", NULL);
        x.options.agent_reregister_timeout_ns = 50 * NSEC_PER_MSEC;
        begin_again(&x);
        assert_int_equal(state_of(&x), AGENT_RECOVERED);
        assert_null(ask(&x, "1", x.agent_id));
        WAIT_FOR(&x, state_of(&x) == AGENT_UNREACHABLE);
        assert_string_equal(x.failed, "agent");
        assert_int_equal(ask(&x, "1", x.agent_id)->state, STATE(UNREACHABLE));
        x.n_told = 0;
        join(&x, &running, 1);
        assert_int_equal(last_told(&x)->reason, REASON(AGENT_REREGISTERED));
        /* In time: nothing has to be said. */
        x.options.agent_reregister_timeout_ns = 600 * NSEC_PER_SEC;
        begin_again(&x);
        x.n_told = 0;
        join(&x, &running, 1);
        assert_int_equal(x.n_told, 0);
        assert_non_null(task_find(x.f, "1"));
        fixture_stop(&x);
}

/* ---- disconnected ---- */

static void test_a_lost_connection_ends_what_does_not_checkpoint(void **state)
{
        const struct brought back[] = {{.executor = "ex"}, {"1", STATE(RUNNING)}};
        struct fixture x = {};

        fixture_start(&x);
        join(&x, NULL, 0);
        join(&x, back, 1);
        (void)launch_task(&x, "1", NULL);
        http_client_free(TAKE_PTR(x.stream));
        WAIT_FOR(&x, state_of(&x) == AGENT_DISCONNECTED);
        assert_int_equal(x.n_told, 0); /* it checkpoints */
        join(&x, back, 2);
        x.f->info->checkpoint = false;
        http_client_free(TAKE_PTR(x.stream));
        WAIT_FOR(&x, state_of(&x) == AGENT_DISCONNECTED);
        assert_int_equal(x.n_told, 1);
        assert_int_equal(x.told[0].state, STATE(LOST));
        assert_int_equal(x.told[0].reason, REASON(AGENT_DISCONNECTED));
        assert_null(x.f->tasks);
        assert_null(x.f->executors);
        /* It was told that it is lost. */
        join(&x, back, 2);
        WAIT_FOR(&x, count_commands(&x, METE__AGENT__COMMAND__TYPE__KILL, "1") == 1);
        fixture_stop(&x);
}

static void test_tasks_that_are_not_brought_back(void **state)
{
        struct fixture x = {};

        fixture_start(&x);
        join(&x, NULL, 0);
        (void)launch_task(&x, "1", NULL);
        (void)launch_task(&x, "2", NULL);
        report_update(&x, "1", STATE(RUNNING), STATE(RUNNING), 1);
        WAIT_FOR(&x, x.n_told == 1);
        join(&x, NULL, 0);
        assert_non_null(told_of(&x, "1", STATE(GONE)));
        assert_int_equal(told_of(&x, "1", STATE(GONE))->reason, REASON(RECONCILIATION));
        assert_non_null(told_of(&x, "2", STATE(DROPPED)));
        assert_null(x.f->tasks);
        assert_int_equal(x.f->completed_count, 2);
        fixture_stop(&x);
}

static void test_a_goodbye(void **state)
{
        struct fixture x = {};
        _cleanup_free_ char *id = NULL;

        fixture_start(&x);
        join(&x, NULL, 0);
        (void)launch_task(&x, "1", NULL);
        id = xstrdup(x.agent_id);
        say_goodbye(&x);
        WAIT_FOR(&x, !agent_find(x.master, id));
        assert_non_null(told_of(&x, "1", STATE(GONE)));
        assert_string_equal(x.failed, "agent");
        begin_again(&x);
        assert_null(agent_find(x.master, id));
        fixture_stop(&x);
}

/* ---- gone ---- */

/* No new one, and none that was given up; but who is known may come back. */
static void test_no_more_agents_than_there_is_room_for(void **state)
{
        struct fixture x = {};
        char *first;

        fixture_start(&x);
        assert_true(x.master->agents_max > 0 && x.master->agents_max < x.master->connections_max);
        x.master->agents_max = 1;
        join(&x, NULL, 0);
        first = TAKE_PTR(x.agent_id);
        join_begin(&x, NULL, 0);
        WAIT_FOR(&x, x.stream_ended);
        assert_false(x.subscribed);
        assert_int_equal(x.stream_status, 503);
        assert_int_equal(HASH_COUNT(x.master->agents), 1);
        x.agent_id = first;
        join(&x, NULL, 0);
        assert_int_equal(state_of(&x), AGENT_ACTIVE);
        fixture_stop(&x);
}

static void mark_gone(struct fixture *x)
{
        agent_mark_gone(the_agent(x));
        WAIT_FOR(x, state_of(x) == AGENT_GONE);
}

static void expect_refused(struct fixture *x)
{
        size_t before = count_commands(x, METE__AGENT__COMMAND__TYPE__SHUTDOWN, NULL);

        join_begin(x, NULL, 0);
        WAIT_FOR(x, x->stream_ended);
        assert_false(x->subscribed);
        assert_int_equal(count_commands(x, METE__AGENT__COMMAND__TYPE__SHUTDOWN, NULL), before + 1);
        assert_int_equal(state_of(x), AGENT_GONE);
}

static void test_gone_for_ever(void **state)
{
        struct fixture x = {};

        fixture_start(&x);
        join(&x, NULL, 0);
        (void)launch_task(&x, "1", NULL);
        agent_mark_gone(the_agent(&x));
        assert_int_equal(state_of(&x), AGENT_ACTIVE); /* until it is on disk nobody hears of it */
        assert_int_equal(x.n_told, 0);
        WAIT_FOR(&x, state_of(&x) == AGENT_GONE);
        assert_int_equal(x.n_told, 1);
        assert_int_equal(x.told[0].state, STATE(GONE_BY_OPERATOR));
        assert_int_equal(x.told[0].reason, REASON(AGENT_REMOVED_BY_OPERATOR));
        assert_string_equal(x.failed, "agent");
        WAIT_FOR(&x, x.stream_ended);
        assert_int_equal(count_commands(&x, METE__AGENT__COMMAND__TYPE__SHUTDOWN, NULL), 1);
        expect_refused(&x);
        begin_again(&x);
        expect_refused(&x);
        assert_int_equal(ask(&x, "1", x.agent_id)->state, STATE(GONE_BY_OPERATOR));
        fixture_stop(&x);
}

static void test_an_unreachable_agent_is_gone(void **state)
{
        struct fixture x = {};

        impatient(&x);
        join(&x, NULL, 0);
        (void)launch_task(&x, "1", NULL);
        fall_silent(&x);
        x.n_told = 0;
        mark_gone(&x);
        assert_int_equal(x.n_told, 1);
        assert_int_equal(x.told[0].state, STATE(GONE_BY_OPERATOR));
        assert_null(framework_find_unreachable(x.f, "1"));
        expect_refused(&x);
        fixture_stop(&x);
}

static void on_gone_answer(const struct http_response *r, void *userdata)
{
        *(int *)userdata = r->status;
}

static int call_gone(struct fixture *x, const char *agent)
{
        _cleanup_free_ char *body = xasprintf(
                "{\"type\": \"MARK_AGENT_GONE\", \"mark_agent_gone\": {\"agent_id\": \"%s\"}}", agent);
        int status = 0;

        http_client_request(x->calls, "POST", "/mete/v1", "application/json", "application/json", body,
                strlen(body), 0, on_gone_answer, &status);
        WAIT_FOR(x, status != 0);
        return status;
}

static void test_the_call_that_marks_gone(void **state)
{
        struct fixture x = {};

        fixture_start(&x);
        join(&x, NULL, 0);
        assert_int_equal(call_gone(&x, "nobody"), 404);
        assert_int_equal(call_gone(&x, x.agent_id), 200);
        assert_int_equal(state_of(&x), AGENT_GONE);
        assert_int_equal(call_gone(&x, x.agent_id), 200); /* again is fine */
        fixture_stop(&x);
}

/* ---- forgotten ---- */

static void test_lost_agents_are_forgotten_in_time(void **state)
{
        const struct brought running = {"1", STATE(RUNNING), STATE(RUNNING), 1};
        struct fixture x = {};
        _cleanup_free_ char *id = NULL;
        double now;

        impatient(&x);
        join(&x, NULL, 0);
        (void)launch_task(&x, "1", NULL);
        fall_silent(&x);
        id = xstrdup(x.agent_id);
        now = wall_seconds_now();
        agents_gc(x.master, now + AGENTS_LOST_MAX_SECONDS - 60);
        assert_non_null(agent_find(x.master, id));
        begin_again(&x);
        agents_gc(x.master, now + AGENTS_LOST_MAX_SECONDS + 60);
        assert_null(agent_find(x.master, id));
        assert_int_equal(ask(&x, "1", id)->state, STATE(UNKNOWN));
        begin_again(&x);
        assert_null(agent_find(x.master, id));
        /* It may come back, and brings its task with it. */
        x.n_told = 0;
        join(&x, &running, 1);
        assert_string_equal(x.agent_id, id);
        assert_int_equal(x.n_told, 1);
        assert_int_equal(x.told[0].reason, REASON(AGENT_REREGISTERED));
        fixture_stop(&x);
}

static void test_only_so_many_lost_agents_are_remembered(void **state)
{
        struct fixture x = {};
        struct agent *oldest = NULL;

        fixture_start(&x);
        for (unsigned i = 0; i < AGENTS_LOST_MAX + 10; i++) {
                Mete__Checkpoint__AdmittedAgent *admitted = xcalloc(1, sizeof(*admitted));

                mete__checkpoint__admitted_agent__init(admitted);
                admitted->agent_info = xcalloc(1, sizeof(*admitted->agent_info));
                mete__v1__agent_info__init(admitted->agent_info);
                admitted->agent_info->hostname = xstrdup("h");
                admitted->agent_info->id = xcalloc(1, sizeof(*admitted->agent_info->id));
                mete__v1__agent_id__init(admitted->agent_info->id);
                admitted->agent_info->id->value = xasprintf("lost-%u", i);
                admitted->has_unreachable_time = true;
                admitted->unreachable_time = wall_seconds_now() - 1000 + i * 1e-3;
                assert_non_null(agent_recover(x.master, admitted, NULL));
        }
        oldest = agent_find(x.master, "lost-0");
        assert_ptr_equal(x.master->lost_agents, oldest);
        agents_gc(x.master, wall_seconds_now());
        assert_int_equal(HASH_COUNT(x.master->agents), AGENTS_LOST_MAX);
        assert_null(agent_find(x.master, "lost-9"));
        assert_non_null(agent_find(x.master, "lost-10"));
        join(&x, NULL, 0); /* they take nobody's place */
        fixture_stop(&x);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_unreachable_and_back),
                cmocka_unit_test(test_unreachable_tasks_are_reconciled_as_that),
                cmocka_unit_test(test_the_end_of_an_unreachable_task),
                cmocka_unit_test(test_agents_that_stay_away_after_a_restart),
                cmocka_unit_test(test_a_lost_connection_ends_what_does_not_checkpoint),
                cmocka_unit_test(test_tasks_that_are_not_brought_back),
                cmocka_unit_test(test_a_goodbye),
                cmocka_unit_test(test_no_more_agents_than_there_is_room_for),
                cmocka_unit_test(test_gone_for_ever),
                cmocka_unit_test(test_an_unreachable_agent_is_gone),
                cmocka_unit_test(test_the_call_that_marks_gone),
                cmocka_unit_test(test_lost_agents_are_forgotten_in_time),
                cmocka_unit_test(test_only_so_many_lost_agents_are_remembered),
        };

        (void)signal(SIGPIPE, SIG_IGN);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
