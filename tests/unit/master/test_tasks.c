/* Tasks between agents and a framework: statuses and their acknowledgement, kills, reconciliation, executors. */

#include "tests/unit/master/fixture.h"

#include "master/frameworks/frameworks.h"

static void acknowledge(struct fixture *x, const char *agent_id, const char *task, uint8_t uuid)
{
        uint8_t bytes[UUID_BYTES];

        memset(bytes, uuid, sizeof(bytes));
        task_acknowledge(x->f, agent_id, task, bytes);
}

static uint64_t booked_cpus(const struct fixture *x)
{
        return resources_scalar(&the_agent(x)->booked, "cpus");
}

static uint64_t free_cpus(const struct fixture *x)
{
        return resources_scalar(allocator_agent_free(x->master->allocator, x->agent_id), "cpus");
}

/* ---- statuses ---- */

static void test_a_task_stays_until_its_end_is_acknowledged(void **state)
{
        struct fixture x = {};
        const struct master_counters *counters;
        struct task *t;

        fixture_start(&x);
        counters = &x.master->counters;
        join(&x, NULL, 0);
        t = launch_task(&x, "1", NULL);
        assert_int_equal(free_cpus(&x), 3000);
        /* The agent knows the end already: what the task held is free, the framework is where its stream is. */
        report_update(&x, "1", STATE(RUNNING), STATE(FINISHED), 1);
        WAIT_FOR(&x, x.n_told == 1);
        assert_int_equal(x.told[0].state, STATE(RUNNING));
        assert_true(x.told[0].has_uuid && x.told[0].uuid[0] == 1);
        assert_int_equal(t->state, STATE(FINISHED));
        assert_int_equal(task_seen_state(t), STATE(RUNNING));
        assert_int_equal(booked_cpus(&x), 0);
        assert_int_equal(free_cpus(&x), 4000);
        assert_int_equal(t->n_statuses, 1);
        assert_false(t->statuses[0]->has_data);
        /* None of these fits. */
        acknowledge(&x, x.agent_id, "1", 9);
        acknowledge(&x, "another", "1", 1);
        assert_int_equal(counters->invalid_acknowledgements, 2);
        acknowledge(&x, x.agent_id, "1", 1);
        WAIT_FOR(&x, count_commands(&x, METE__AGENT__COMMAND__TYPE__ACKNOWLEDGE, NULL) > 0);
        assert_ptr_equal(task_find(x.f, "1"), t);
        report_update(&x, "1", STATE(FINISHED), STATE(FINISHED), 2);
        WAIT_FOR(&x, x.n_told == 2);
        report_update(&x, "1", STATE(FINISHED), STATE(FINISHED), 2); /* sent again: told again */
        WAIT_FOR(&x, x.n_told == 3);
        assert_int_equal(x.master->counters.all.tasks_ended[STATE(FINISHED)], 1);
        assert_ptr_equal(task_find(x.f, "1"), t);
        acknowledge(&x, x.agent_id, "1", 2);
        assert_null(task_find(x.f, "1"));
        assert_int_equal(x.f->completed_count, 1);
        assert_int_equal(x.f->completed->task->state, STATE(FINISHED));
        assert_int_equal(x.f->completed->task->n_statuses, 2);
        /* The agent did not hear that: it gets another acknowledgement. */
        report_update(&x, "1", STATE(FINISHED), STATE(FINISHED), 2);
        WAIT_FOR(&x, x.n_told == 4);
        acknowledge(&x, x.agent_id, "1", 2);
        WAIT_FOR(&x, count_commands(&x, METE__AGENT__COMMAND__TYPE__ACKNOWLEDGE, "1") == 3);
        assert_int_equal(counters->valid_acknowledgements, 3);
        assert_int_equal(allocator_check(x.master->allocator, NULL), 0);
        fixture_stop(&x);
}

static void test_an_end_without_uuid_is_told_once(void **state)
{
        struct fixture x = {};

        fixture_start(&x);
        join(&x, NULL, 0);
        (void)launch_task(&x, "1", NULL);
        report_update(&x, "1", STATE(DROPPED), STATE(DROPPED), 0);
        WAIT_FOR(&x, x.n_told == 1);
        assert_null(task_find(x.f, "1"));
        assert_int_equal(x.f->completed_count, 1);
        fixture_stop(&x);
}

static void test_nothing_is_told_without_a_connection(void **state)
{
        struct fixture x = {};
        struct task *t;

        fixture_start(&x);
        join(&x, NULL, 0);
        t = launch_task(&x, "1", NULL);
        x.f->state = FRAMEWORK_DISCONNECTED;
        report_update(&x, "1", STATE(FAILED), STATE(FAILED), 1);
        WAIT_FOR(&x, t->state == STATE(FAILED));
        assert_int_equal(x.n_told, 0);
        assert_false(t->has_update);
        assert_int_equal(booked_cpus(&x), 0);
        assert_int_equal(x.master->counters.invalid_status_updates, 1);
        acknowledge(&x, x.agent_id, "1", 1); /* of what it cannot know */
        assert_int_equal(x.master->counters.invalid_acknowledgements, 1);
        x.f->state = FRAMEWORK_ACTIVE;
        report_update(&x, "1", STATE(FAILED), STATE(FAILED), 1); /* the agent tries again */
        WAIT_FOR(&x, x.n_told == 1);
        assert_int_equal(x.told[0].state, STATE(FAILED));
        acknowledge(&x, x.agent_id, "1", 1);
        assert_null(task_find(x.f, "1"));
        fixture_stop(&x);
}

static void test_statuses_are_bounded(void **state)
{
        struct fixture x = {};
        struct task *t;

        fixture_start(&x);
        join(&x, NULL, 0);
        t = launch_task(&x, "1", NULL);
        for (uint8_t i = 1; i <= 40; i++)
                report_update(&x, "1", i % 2 ? STATE(RUNNING) : STATE(STARTING), STATE(RUNNING), i);
        report_update(&x, "1", STATE(STARTING), STATE(RUNNING), 41);
        WAIT_FOR(&x, x.n_told == 41);
        assert_int_equal(t->n_statuses, 16);
        assert_int_equal(t->statuses[15]->uuid.data[0], 41); /* in place of its equal */
        assert_int_equal(t->statuses[14]->uuid.data[0], 39);
        fixture_stop(&x);
}

/* ---- kills ---- */

static void ask_kill(struct fixture *x, const char *task, const char *agent, int64_t grace_ns)
{
        Mete__V1__Scheduler__Call call = METE__V1__SCHEDULER__CALL__INIT;
        Mete__V1__Scheduler__Call__Kill kill = METE__V1__SCHEDULER__CALL__KILL__INIT;
        Mete__V1__TaskID task_id = METE__V1__TASK_ID__INIT;
        Mete__V1__AgentID agent_id = METE__V1__AGENT_ID__INIT;
        Mete__V1__KillPolicy policy = METE__V1__KILL_POLICY__INIT;
        Mete__V1__DurationInfo grace = METE__V1__DURATION_INFO__INIT;
        struct scheduler_call c = {.master = x->master, .call = &call, .framework = x->f};

        task_id.value = (char *)task;
        agent_id.value = (char *)agent;
        grace.nanoseconds = grace_ns;
        policy.grace_period = &grace;
        kill.task_id = &task_id;
        kill.agent_id = agent ? &agent_id : NULL;
        kill.kill_policy = grace_ns >= 0 ? &policy : NULL;
        call.kill = &kill;
        scheduler_kill(&c);
}

static void test_kills(void **state)
{
        const struct brought running = {"1", STATE(RUNNING)};
        struct fixture x = {};

        fixture_start(&x);
        join(&x, NULL, 0);
        (void)launch_task(&x, "1", NULL);
        ask_kill(&x, "1", "another", -1); /* ignored */
        ask_kill(&x, "1", NULL, -1);
        ask_kill(&x, "1", x.agent_id, 1500 * (int64_t)NSEC_PER_MSEC);
        WAIT_FOR(&x, count_commands(&x, METE__AGENT__COMMAND__TYPE__KILL, "1") == 2);
        assert_true(x.commands[x.n_commands - 2].grace == -1);
        assert_true(x.commands[x.n_commands - 1].grace == 1.5);
        assert_int_equal(x.n_told, 0);
        /* Unknown: as a reconciliation. */
        ask_kill(&x, "2", x.agent_id, -1);
        assert_int_equal(x.n_told, 1);
        assert_int_equal(x.told[0].state, STATE(GONE));
        assert_int_equal(x.told[0].reason, REASON(RECONCILIATION));
        ask_kill(&x, "2", NULL, -1);
        assert_int_equal(x.told[1].state, STATE(UNKNOWN));
        /* The agent hears it again when it comes back. */
        http_client_free(TAKE_PTR(x.stream));
        WAIT_FOR(&x, the_agent(&x)->state == AGENT_DISCONNECTED);
        ask_kill(&x, "1", NULL, 2 * (int64_t)NSEC_PER_SEC);
        assert_int_equal(count_commands(&x, METE__AGENT__COMMAND__TYPE__KILL, "1"), 2);
        join(&x, &running, 1);
        WAIT_FOR(&x, count_commands(&x, METE__AGENT__COMMAND__TYPE__KILL, "1") == 3);
        assert_true(x.commands[x.n_commands - 1].grace == 2);
        fixture_stop(&x);
}

/* ---- reconciliation ---- */

static const struct told *reconcile_one(struct fixture *x, const char *task, const char *agent)
{
        Mete__V1__Scheduler__Call__Reconcile__Task t = METE__V1__SCHEDULER__CALL__RECONCILE__TASK__INIT,
                                                   *list[] = {&t};
        Mete__V1__TaskID task_id = METE__V1__TASK_ID__INIT;
        Mete__V1__AgentID agent_id = METE__V1__AGENT_ID__INIT;
        const struct told *told;
        size_t before = x->n_told;

        task_id.value = (char *)task;
        agent_id.value = (char *)agent;
        t.task_id = &task_id;
        t.agent_id = agent ? &agent_id : NULL;
        framework_reconcile(x->f, list, 1);
        if (x->n_told == before)
                return NULL;
        assert_int_equal(x->n_told, before + 1);
        told = last_told(x);
        assert_string_equal(told->task, task);
        assert_true(told->has_reason && told->reason == REASON(RECONCILIATION));
        assert_true(told->has_source && told->source == METE__V1__TASK_STATUS__SOURCE__SOURCE_MASTER);
        assert_false(told->has_uuid);
        return told;
}

static void test_reconciliation_row_by_row(void **state)
{
        struct fixture x = {};
        struct agent *a;

        fixture_start(&x);
        assert_int_equal(reconcile_one(&x, "1", NULL)->state, STATE(UNKNOWN));
        assert_int_equal(reconcile_one(&x, "1", "nobody")->state, STATE(UNKNOWN));
        join(&x, NULL, 0);
        (void)launch_task(&x, "1", "ex");
        assert_int_equal(reconcile_one(&x, "1", NULL)->state, STATE(STAGING));
        assert_string_equal(last_told(&x)->executor, "ex");
        report_update(&x, "1", STATE(RUNNING), STATE(FAILED), 1);
        WAIT_FOR(&x, last_told(&x)->has_uuid);
        assert_int_equal(reconcile_one(&x, "1", x.agent_id)->state, STATE(RUNNING)); /* what it has seen */
        assert_string_equal(last_told(&x)->agent, x.agent_id);
        assert_int_equal(reconcile_one(&x, "2", x.agent_id)->state, STATE(GONE));
        assert_int_equal(reconcile_one(&x, "2", NULL)->state, STATE(UNKNOWN));
        /* All: the live ones. */
        (void)launch_task(&x, "3", NULL);
        x.n_told = 0;
        framework_reconcile(x.f, NULL, 0);
        assert_int_equal(x.n_told, 2);
        assert_int_equal(x.told[0].state, STATE(RUNNING));
        assert_int_equal(x.told[1].state, STATE(STAGING));
        /* While the loss of the agent is on its way to disk, and in any doubt about agents: silence. */
        a = the_agent(&x);
        agent_mark_gone(a);
        assert_null(reconcile_one(&x, "2", x.agent_id));
        assert_null(reconcile_one(&x, "2", NULL));
        assert_non_null(reconcile_one(&x, "1", NULL));
        WAIT_FOR(&x, a->state == AGENT_GONE);
        assert_int_equal(reconcile_one(&x, "2", x.agent_id)->state, STATE(GONE_BY_OPERATOR));
        assert_int_equal(reconcile_one(&x, "2", NULL)->state, STATE(UNKNOWN));
        x.f->state = FRAMEWORK_DISCONNECTED;
        assert_null(reconcile_one(&x, "2", NULL));
        fixture_stop(&x);
}

static void test_recovering_agents_are_not_answered_for(void **state)
{
        const struct brought running = {"1", STATE(RUNNING), STATE(STARTING), 7};
        struct fixture x = {};

        fixture_start(&x);
        join(&x, NULL, 0);
        begin_again(&x);
        assert_int_equal(the_agent(&x)->state, AGENT_RECOVERED);
        assert_null(reconcile_one(&x, "1", x.agent_id));
        assert_null(reconcile_one(&x, "1", NULL));
        assert_int_equal(reconcile_one(&x, "1", "nobody")->state, STATE(UNKNOWN));
        join(&x, &running, 1);
        assert_int_equal(
                reconcile_one(&x, "1", NULL)->state, STATE(STARTING)); /* the position of its stream */
        assert_int_equal(task_find(x.f, "1")->state, STATE(RUNNING));
        assert_int_equal(reconcile_one(&x, "2", x.agent_id)->state, STATE(GONE));
        assert_int_equal(booked_cpus(&x), 1000);
        acknowledge(&x, x.agent_id, "1", 7);
        WAIT_FOR(&x, count_commands(&x, METE__AGENT__COMMAND__TYPE__ACKNOWLEDGE, "1") == 1);
        fixture_stop(&x);
}

#define MANY 100000

static void test_long_answers_wait_for_the_reader(void **state)
{
        struct fixture x = {};
        struct agent *a;
        unsigned turns;

        fixture_start(&x);
        join(&x, NULL, 0);
        a = the_agent(&x);
        for (unsigned i = 0; i < MANY; i++) {
                char id[16];
                const struct resources nothing_needed = {};

                (void)snprintf(id, sizeof(id), "%u", i);
                (void)task_add(x.f, a, "*", task_info(id, a->id), NULL, &nothing_needed);
        }
        x.pending = 5 << 20;
        framework_reconcile(x.f, NULL, 0);
        turns = 0;
        WAIT_FOR(&x, ++turns > 3);
        assert_int_equal(x.n_told, 0);
        x.pending = 0;
        WAIT_FOR(&x, x.n_told >= 500);
        task_set_status(task_find(x.f, "99999"), STATE(LOST), REASON(RECONCILIATION),
                "test"); /* told as that, not as GONE */
        WAIT_FOR(&x, x.n_told == MANY);
        WAIT_FOR(&x, !x.master->reconciliations);
        assert_int_equal(x.n_told, MANY);
        framework_reconcile(x.f, NULL, 0);
        x.f->state = FRAMEWORK_DISCONNECTED; /* nobody to answer */
        WAIT_FOR(&x, !x.master->reconciliations);
        assert_true(x.n_told < 2 * MANY);
        fixture_stop(&x);
}

struct heard {
        Mete__V1__OperationState state;
        unsigned count;
};
static struct heard heard;

static void note_operation(struct framework *f, const Mete__V1__OperationStatus *status)
{
        heard.state = status->state;
        heard.count++;
}

static Mete__V1__OperationState reconcile_operation(struct fixture *x, const char *agent)
{
        Mete__V1__Scheduler__Call__ReconcileOperations__Operation
                o = METE__V1__SCHEDULER__CALL__RECONCILE_OPERATIONS__OPERATION__INIT,
                *list[] = {&o};
        Mete__V1__OperationID id = METE__V1__OPERATION_ID__INIT;
        Mete__V1__AgentID agent_id = METE__V1__AGENT_ID__INIT;
        static char name[] = "op";
        unsigned before = heard.count;

        id.value = name;
        agent_id.value = (char *)agent;
        o.operation_id = &id;
        o.agent_id = agent ? &agent_id : NULL;
        framework_reconcile_operations(x->f, list, 1);
        assert_int_equal(heard.count, before + 1);
        return heard.state;
}

static void test_operations_follow_their_agent(void **state)
{
        struct framework_ops ops = note_ops;
        struct fixture x = {};

        ops.operation = note_operation;
        fixture_start(&x);
        x.f->ops = &ops;
        join(&x, NULL, 0);
        assert_int_equal(reconcile_operation(&x, x.agent_id), METE__V1__OPERATION_STATE__OPERATION_UNKNOWN);
        assert_int_equal(reconcile_operation(&x, NULL), METE__V1__OPERATION_STATE__OPERATION_UNKNOWN);
        begin_again(&x);
        x.f->ops = &ops;
        assert_int_equal(
                reconcile_operation(&x, x.agent_id), METE__V1__OPERATION_STATE__OPERATION_RECOVERING);
        assert_int_equal(reconcile_operation(&x, NULL), METE__V1__OPERATION_STATE__OPERATION_RECOVERING);
        agent_mark_gone(the_agent(&x));
        WAIT_FOR(&x, the_agent(&x)->state == AGENT_GONE);
        assert_int_equal(
                reconcile_operation(&x, x.agent_id), METE__V1__OPERATION_STATE__OPERATION_GONE_BY_OPERATOR);
        fixture_stop(&x);
}

/* ---- executors ---- */

static void say_exited(struct fixture *x, const char *executor, int status)
{
        Mete__Agent__Call m = METE__AGENT__CALL__INIT;
        Mete__Agent__Call__ExecutorExited exited = METE__AGENT__CALL__EXECUTOR_EXITED__INIT;
        Mete__V1__FrameworkID framework = METE__V1__FRAMEWORK_ID__INIT;
        Mete__V1__ExecutorID id = METE__V1__EXECUTOR_ID__INIT;

        framework.value = x->f->id;
        id.value = (char *)executor;
        exited.framework_id = &framework;
        exited.executor_id = &id;
        exited.status = status;
        m.type = METE__AGENT__CALL__TYPE__EXECUTOR_EXITED;
        m.executor_exited = &exited;
        say(x, &m);
}

static void say_message(struct fixture *x, const char *executor, const char *text)
{
        Mete__Agent__Call m = METE__AGENT__CALL__INIT;
        Mete__Agent__Call__Message message = METE__AGENT__CALL__MESSAGE__INIT;
        Mete__V1__FrameworkID framework = METE__V1__FRAMEWORK_ID__INIT;
        Mete__V1__ExecutorID id = METE__V1__EXECUTOR_ID__INIT;

        framework.value = x->f->id;
        id.value = (char *)executor;
        message.framework_id = &framework;
        message.executor_id = &id;
        message.data = (ProtobufCBinaryData){strlen(text), (uint8_t *)text};
        m.type = METE__AGENT__CALL__TYPE__MESSAGE;
        m.message = &message;
        say(x, &m);
}

static void ask_executor(struct fixture *x, const char *executor, const char *text)
{
        Mete__V1__Scheduler__Call call = METE__V1__SCHEDULER__CALL__INIT;
        Mete__V1__Scheduler__Call__Shutdown shutdown = METE__V1__SCHEDULER__CALL__SHUTDOWN__INIT;
        Mete__V1__Scheduler__Call__Message message = METE__V1__SCHEDULER__CALL__MESSAGE__INIT;
        Mete__V1__ExecutorID executor_id = METE__V1__EXECUTOR_ID__INIT;
        Mete__V1__AgentID agent_id = METE__V1__AGENT_ID__INIT;
        struct scheduler_call c = {.master = x->master, .call = &call, .framework = x->f};

        executor_id.value = (char *)executor;
        agent_id.value = x->agent_id;
        shutdown.executor_id = message.executor_id = &executor_id;
        shutdown.agent_id = message.agent_id = &agent_id;
        call.shutdown = &shutdown;
        call.message = &message;
        if (!text) {
                scheduler_shutdown(&c);
                return;
        }
        message.data = (ProtobufCBinaryData){strlen(text), (uint8_t *)text};
        scheduler_message(&c);
}

static void test_executors_come_and_go(void **state)
{
        const struct brought two[] = {
                {.executor = "a"}, {.executor = "b"}, {"1", STATE(RUNNING), STATE(RUNNING), 1, "a"}};
        struct fixture x = {};

        fixture_start(&x);
        join(&x, NULL, 0);
        join(&x, two, 3);
        assert_int_equal(booked_cpus(&x), 2000);
        assert_int_equal(free_cpus(&x), 2000);
        assert_string_equal(task_find(x.f, "1")->executor_id, "a");
        say_message(&x, "a", "hello");
        WAIT_FOR(&x, str_equal(x.message, "a: hello"));
        ask_executor(&x, "a", "hi");
        ask_executor(&x, "nobody", "hi");
        WAIT_FOR(&x, count_commands(&x, METE__AGENT__COMMAND__TYPE__MESSAGE, "a") == 1);
        assert_string_equal(x.commands[x.n_commands - 1].data, "hi");
        assert_int_equal(x.master->counters.messages_to_executor, 1);
        assert_int_equal(x.master->counters.invalid_messages_to_executor, 1);
        ask_executor(&x, "a", NULL);
        WAIT_FOR(&x, count_commands(&x, METE__AGENT__COMMAND__TYPE__SHUTDOWN_EXECUTOR, "a") == 1);
        say_exited(&x, "a", 256);
        WAIT_FOR(&x, str_equal(x.failed, "a"));
        assert_int_equal(x.failed_status, 256);
        assert_null(executor_find(the_agent(&x), x.f->id, "a"));
        assert_int_equal(booked_cpus(&x), 1500);
        assert_int_equal(free_cpus(&x), 2500);
        assert_non_null(task_find(x.f, "1")); /* the agent tells about it by itself */
        /* "b" is not brought along any more. */
        join(&x, &two[2], 1);
        assert_string_equal(x.failed, "b");
        assert_int_equal(x.failed_status, -1);
        assert_null(x.f->executors);
        assert_int_equal(allocator_check(x.master->allocator, NULL), 0);
        /* The executor of a command task is the task. */
        (void)launch_task(&x, "2", NULL);
        ask_executor(&x, "2", NULL);
        WAIT_FOR(&x, count_commands(&x, METE__AGENT__COMMAND__TYPE__KILL, "2") == 1);
        fixture_stop(&x);
}

static void test_removed_frameworks_are_shut_down(void **state)
{
        const struct brought late[] = {{.executor = "a"}, {"1", STATE(RUNNING)}};
        struct fixture x = {};

        fixture_start(&x);
        join(&x, NULL, 0);
        framework_remove(x.f, "test");
        join(&x, late, 2);
        WAIT_FOR(&x, count_commands(&x, METE__AGENT__COMMAND__TYPE__SHUTDOWN_FRAMEWORK, "notes-0000") == 1);
        assert_null(framework_find(x.master, "notes-0000"));
        assert_null(the_agent(&x)->tasks);
        report_update(&x, "1", STATE(KILLED), STATE(KILLED), 3); /* nobody else will acknowledge it */
        WAIT_FOR(&x, count_commands(&x, METE__AGENT__COMMAND__TYPE__ACKNOWLEDGE, "1") == 1);
        fixture_stop(&x);
}

/* ---- many ---- */

#define FLOOD 10000

static void flood(struct fixture *x, Mete__V1__TaskState s, uint8_t uuid)
{
        for (unsigned i = 0; i < FLOOD; i++) {
                char id[16];

                (void)snprintf(id, sizeof(id), "%u", i);
                report_update(x, id, s, s, uuid);
        }
}

/* The master ends in the middle: what was not acknowledged comes again, to the next one. */
static void test_a_flood_survives_the_master(void **state)
{
        struct brought *all = xcalloc(FLOOD, sizeof(*all));
        char(*ids)[16] = xcalloc(FLOOD, sizeof(*ids));
        size_t acknowledged = 0, in_table;
        struct fixture x = {};

        fixture_start(&x);
        join(&x, NULL, 0);
        for (unsigned i = 0; i < FLOOD; i++) {
                (void)snprintf(ids[i], sizeof(ids[i]), "%u", i);
                all[i] = (struct brought){ids[i], STATE(RUNNING), STATE(RUNNING), 1};
        }
        join(&x, all, FLOOD);
        assert_int_equal(HASH_COUNT(x.f->tasks), FLOOD);
        flood(&x, STATE(FINISHED), 2);
        WAIT_FOR(&x, x.n_told >= FLOOD / 2);
        for (size_t i = 0; i < x.n_told; i += 2)
                acknowledge(&x, x.agent_id, x.told[i].task, 2);
        acknowledged = (x.n_told + 1) / 2;
        in_table = HASH_COUNT(x.f->tasks);
        assert_int_equal(in_table, FLOOD - acknowledged);
        begin_again(&x);
        /* The agent may have heard of none of the acknowledgements. */
        for (unsigned i = 0; i < FLOOD; i++)
                all[i] = (struct brought){ids[i], STATE(FINISHED), STATE(FINISHED), 2};
        x.n_told = 0;
        join(&x, all, FLOOD);
        assert_int_equal(HASH_COUNT(x.f->tasks), FLOOD);
        assert_int_equal(free_cpus(&x), 4000);
        flood(&x, STATE(FINISHED), 2);
        WAIT_FOR(&x, x.n_told == FLOOD);
        for (size_t i = 0; i < FLOOD; i++)
                acknowledge(&x, x.agent_id, x.told[i].task, 2);
        assert_int_equal(HASH_COUNT(x.f->tasks), 0);
        WAIT_FOR(&x, count_commands(&x, METE__AGENT__COMMAND__TYPE__ACKNOWLEDGE, NULL) >= FLOOD);
        free(all);
        free(ids);
        fixture_stop(&x);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_task_stays_until_its_end_is_acknowledged),
                cmocka_unit_test(test_an_end_without_uuid_is_told_once),
                cmocka_unit_test(test_nothing_is_told_without_a_connection),
                cmocka_unit_test(test_statuses_are_bounded),
                cmocka_unit_test(test_kills),
                cmocka_unit_test(test_reconciliation_row_by_row),
                cmocka_unit_test(test_recovering_agents_are_not_answered_for),
                cmocka_unit_test(test_long_answers_wait_for_the_reader),
                cmocka_unit_test(test_operations_follow_their_agent),
                cmocka_unit_test(test_executors_come_and_go),
                cmocka_unit_test(test_removed_frameworks_are_shut_down),
                cmocka_unit_test(test_a_flood_survives_the_master),
        };

        (void)signal(SIGPIPE, SIG_IGN);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
