/* Agents that operators deactivate, drain and reactivate: what is killed, what frameworks hear, what survives. */

#include "tests/unit/master/fixture.h"

#include "master/agent_internal.h"
#include "master/operator/standing.h"

#define COMMAND(name) METE__AGENT__COMMAND__TYPE__##name

static const struct agent_standing *standing(const struct fixture *x)
{
        return &the_agent(x)->standing;
}

static void start(struct fixture *x)
{
        fixture_start(x);
        join(x, NULL, 0);
}

static void drain(struct fixture *x, double max_grace, bool mark_gone)
{
        const struct drain_wish wish = {max_grace >= 0, max_grace, mark_gone, "by a test"};

        agent_drain(the_agent(x), &wish);
}

static bool is_offered(struct fixture *x)
{
        struct allocator_offer o;
        bool offered;

        allocator_revive(x->master->allocator, x->f->id, NULL);
        offered = allocator_next_offer(x->master->allocator, mono_now(), &o) == ALLOCATOR_OFFER;
        if (offered) {
                struct allocator_usage use = {o.framework, o.role, &o.resources};

                assert_int_equal(allocator_recover(x->master->allocator, o.agent, &use, mono_now(), 0), 0);
                allocator_offer_done(&o);
        }
        allocator_suppress(x->master->allocator, x->f->id, NULL);
        return offered;
}

/* What was written before has been answered. */
static void written(int result, void *userdata)
{
        *(bool *)userdata = true;
}

static void wait_written(struct fixture *x)
{
        bool done = false;

        master_write(x->master, store_batch_new(), written, &done);
        WAIT_FOR(x, done);
}

/* ---- deactivated ---- */

static void test_deactivated_agents_are_not_offered(void **state)
{
        struct fixture x = {};

        start(&x);
        (void)launch_task(&x, "1", NULL);
        assert_true(is_offered(&x));
        agent_deactivate(the_agent(&x), "by a test");
        assert_true(is_offered(&x)); /* it is not on disk yet */
        wait_written(&x);
        assert_false(is_offered(&x));
        assert_string_equal(agent_unusable(the_agent(&x)), "deactivated");
        assert_int_equal(count_commands(&x, COMMAND(KILL), NULL), 0);
        join(&x, NULL, 0); /* it stays so when it comes back */
        assert_false(is_offered(&x));
        begin_again(&x);
        assert_true(standing(&x)->deactivated);
        join(&x, NULL, 0);
        assert_false(is_offered(&x));
        agent_reactivate(the_agent(&x), "by a test");
        wait_written(&x);
        assert_true(is_offered(&x));
        assert_null(agent_unusable(the_agent(&x)));
        begin_again(&x);
        assert_false(standing(&x)->deactivated);
        fixture_stop(&x);
}

/* The loss is on its way to disk when the operator comes: what he writes must not undo it. */
static void test_deactivated_while_it_is_given_up(void **state)
{
        struct fixture x = {};

        start(&x);
        the_agent(&x)->missed_pings = x.options.max_agent_ping_timeouts;
        agent_timer(NULL, the_agent(&x));
        agent_deactivate(the_agent(&x), "by a test");
        WAIT_FOR(&x, the_agent(&x)->state == AGENT_UNREACHABLE);
        wait_written(&x);
        begin_again(&x);
        assert_int_equal(the_agent(&x)->state, AGENT_UNREACHABLE);
        assert_true(standing(&x)->deactivated);
        join(&x, NULL, 0);
        assert_int_equal(the_agent(&x)->state, AGENT_ACTIVE);
        agent_deactivate(the_agent(&x), "by a test");
        wait_written(&x);
        begin_again(&x);
        assert_int_equal(the_agent(&x)->state, AGENT_RECOVERED);
        fixture_stop(&x);
}

/* ---- drained ---- */

static void test_a_drain_kills_and_ends(void **state)
{
        struct fixture x = {};

        start(&x);
        (void)launch_task(&x, "1", NULL);
        (void)launch_task(&x, "2", NULL);
        report_update(&x, "1", STATE(RUNNING), STATE(RUNNING), 1);
        WAIT_FOR(&x, x.n_told == 1);
        assert_int_not_equal(last_told(&x)->reason, REASON(AGENT_DRAINING));
        drain(&x, -1, false);
        assert_int_equal(count_commands(&x, COMMAND(KILL), NULL), 0);
        WAIT_FOR(&x, count_commands(&x, COMMAND(KILL), NULL) == 2);
        assert_true(x.commands[x.n_commands - 1].grace < 0); /* each its own */
        assert_false(is_offered(&x));
        assert_string_equal(agent_unusable(the_agent(&x)), "draining");
        report_update(&x, "1", STATE(KILLING), STATE(KILLED), 2);
        WAIT_FOR(&x, x.n_told == 2);
        assert_int_equal(last_told(&x)->reason, REASON(AGENT_DRAINING));
        report_update(&x, "1", STATE(KILLED), STATE(KILLED), 3);
        WAIT_FOR(&x, x.n_told == 3);
        assert_int_equal(last_told(&x)->state, STATE(KILLED));
        assert_int_equal(last_told(&x)->reason, REASON(AGENT_DRAINING));
        report_update(&x, "2", STATE(FINISHED), STATE(FINISHED), 4); /* of itself, just before */
        WAIT_FOR(&x, x.n_told == 4);
        assert_int_not_equal(last_told(&x)->reason, REASON(AGENT_DRAINING));
        task_acknowledge(x.f, x.agent_id, "1", x.told[2].uuid);
        wait_written(&x);
        assert_int_equal(standing(&x)->drain, AGENT_DRAINING); /* an update is not acknowledged */
        task_acknowledge(x.f, x.agent_id, "2", x.told[3].uuid);
        WAIT_FOR(&x, standing(&x)->drain == AGENT_DRAINED);
        wait_written(&x);
        assert_false(is_offered(&x));
        begin_again(&x);
        assert_int_equal(standing(&x)->drain, AGENT_DRAINED);
        assert_true(standing(&x)->drain_since > 0);
        join(&x, NULL, 0);
        agent_reactivate(the_agent(&x), "by a test");
        wait_written(&x);
        assert_int_equal(standing(&x)->drain, AGENT_DRAIN_NONE);
        assert_true(is_offered(&x));
        fixture_stop(&x);
}

static void test_the_shorter_grace_counts(void **state)
{
        struct fixture x = {};
        struct task *t;

        start(&x);
        (void)launch_task(&x, "default", NULL); /* 3 s */
        t = launch_task(&x, "long", NULL);
        t->info->kill_policy = xcalloc(1, sizeof(*t->info->kill_policy));
        mete__v1__kill_policy__init(t->info->kill_policy);
        t->info->kill_policy->grace_period = xcalloc(1, sizeof(*t->info->kill_policy->grace_period));
        mete__v1__duration_info__init(t->info->kill_policy->grace_period);
        t->info->kill_policy->grace_period->nanoseconds = 60000000000;
        drain(&x, 5, false);
        WAIT_FOR(&x, count_commands(&x, COMMAND(KILL), NULL) == 2);
        assert_true(x.commands[x.n_commands - 2].grace < 0);
        assert_true(x.commands[x.n_commands - 1].grace == 5);
        drain(&x, 1, false); /* sooner */
        WAIT_FOR(&x, count_commands(&x, COMMAND(KILL), NULL) == 4);
        assert_true(x.commands[x.n_commands - 1].grace == 1);
        drain(&x, 2, false); /* too late to be later */
        wait_written(&x);
        assert_int_equal(count_commands(&x, COMMAND(KILL), NULL), 4);
        fixture_stop(&x);
}

static void test_executors_end_after_their_tasks(void **state)
{
        const struct brought back[] = {
                {.executor = "ex"}, {.executor = "idle"}, {"1", STATE(RUNNING), .executor = "ex"}};
        struct fixture x = {};

        start(&x);
        join(&x, back, 3);
        drain(&x, -1, false);
        WAIT_FOR(&x, count_commands(&x, COMMAND(SHUTDOWN_EXECUTOR), "idle") > 0);
        assert_int_equal(count_commands(&x, COMMAND(KILL), "1"), 1);
        assert_int_equal(count_commands(&x, COMMAND(SHUTDOWN_EXECUTOR), "ex"), 0);
        report_update(&x, "1", STATE(KILLED), STATE(KILLED), 3);
        WAIT_FOR(&x, count_commands(&x, COMMAND(SHUTDOWN_EXECUTOR), "ex") > 0);
        task_acknowledge(x.f, x.agent_id, "1", last_told(&x)->uuid);
        executor_exited(executor_find(the_agent(&x), x.f->id, "ex"), 0);
        wait_written(&x);
        assert_int_equal(standing(&x)->drain, AGENT_DRAINING);
        executor_exited(executor_find(the_agent(&x), x.f->id, "idle"), 0);
        WAIT_FOR(&x, standing(&x)->drain == AGENT_DRAINED);
        fixture_stop(&x);
}

static void test_a_drain_goes_on_after_a_restart(void **state)
{
        const struct brought running = {"1", STATE(RUNNING), STATE(RUNNING), 1};
        struct fixture x = {};

        start(&x);
        (void)launch_task(&x, "1", NULL);
        drain(&x, 1, false);
        WAIT_FOR(&x, count_commands(&x, COMMAND(KILL), NULL) == 1);
        begin_again(&x);
        assert_int_equal(standing(&x)->drain, AGENT_DRAINING);
        wait_written(&x);
        assert_int_equal(standing(&x)->drain, AGENT_DRAINING); /* nobody knows what it has */
        join(&x, &running, 1);
        WAIT_FOR(&x, count_commands(&x, COMMAND(KILL), "1") == 2);
        assert_true(x.commands[x.n_commands - 1].grace == 1);
        report_update(&x, "1", STATE(KILLED), STATE(KILLED), 2);
        WAIT_FOR(&x, x.n_told > 0 && last_told(&x)->state == STATE(KILLED));
        assert_int_equal(last_told(&x)->reason, REASON(AGENT_DRAINING));
        task_acknowledge(x.f, x.agent_id, "1", last_told(&x)->uuid);
        WAIT_FOR(&x, standing(&x)->drain == AGENT_DRAINED);
        fixture_stop(&x);
}

static void test_drained_agents_are_marked_gone(void **state)
{
        struct fixture x = {};

        start(&x);
        x.f->capabilities |= 1u << METE__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__PARTITION_AWARE;
        (void)launch_task(&x, "1", NULL);
        drain(&x, -1, true);
        WAIT_FOR(&x, count_commands(&x, COMMAND(KILL), NULL) == 1);
        report_update(&x, "1", STATE(KILLED), STATE(KILLED), 2);
        WAIT_FOR(&x, x.n_told == 1);
        assert_int_equal(last_told(&x)->state, STATE(GONE_BY_OPERATOR));
        assert_int_equal(last_told(&x)->reason, REASON(AGENT_DRAINING));
        task_acknowledge(x.f, x.agent_id, "1", last_told(&x)->uuid);
        WAIT_FOR(&x, the_agent(&x)->state == AGENT_GONE);
        WAIT_FOR(&x, count_commands(&x, COMMAND(SHUTDOWN), NULL) == 1);
        fixture_stop(&x);
}

/* The master ends when the agent is drained and not yet gone. */
static void test_marking_gone_is_not_forgotten(void **state)
{
        struct fixture x = {};

        start(&x);
        the_agent(&x)->standing.drain = AGENT_DRAINED;
        the_agent(&x)->standing.deactivated = the_agent(&x)->standing.mark_gone = true;
        agent_standing_changed(the_agent(&x));
        begin_again(&x);
        assert_int_not_equal(the_agent(&x)->state, AGENT_GONE);
        join(&x, NULL, 0);
        WAIT_FOR(&x, the_agent(&x)->state == AGENT_GONE);
        fixture_stop(&x);
}

static void test_launches_that_a_drain_overtook(void **state)
{
        struct fixture x = {};
        struct agent *a;
        struct task *t;
        _cleanup_resources_ struct resources need = {};

        start(&x);
        a = the_agent(&x);
        t = task_add(x.f, a, "*", task_info("1", a->id), NULL, &need);
        drain(&x, -1, false);
        WAIT_FOR(&x, t->kill_wanted);
        task_launch_ready(x.f, "1", true);
        assert_int_equal(last_told(&x)->state, STATE(KILLED));
        assert_int_equal(last_told(&x)->reason, REASON(AGENT_DRAINING));
        assert_int_equal(count_commands(&x, COMMAND(LAUNCH), NULL), 0);
        WAIT_FOR(&x, standing(&x)->drain == AGENT_DRAINED);
        fixture_stop(&x);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_deactivated_agents_are_not_offered),
                cmocka_unit_test(test_deactivated_while_it_is_given_up),
                cmocka_unit_test(test_a_drain_kills_and_ends),
                cmocka_unit_test(test_the_shorter_grace_counts),
                cmocka_unit_test(test_executors_end_after_their_tasks),
                cmocka_unit_test(test_a_drain_goes_on_after_a_restart),
                cmocka_unit_test(test_drained_agents_are_marked_gone),
                cmocka_unit_test(test_marking_gone_is_not_forgotten),
                cmocka_unit_test(test_launches_that_a_drain_overtook),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
