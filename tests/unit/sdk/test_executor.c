/* The executor's driver against an agent that does what each test wants. */
#include "tests/unit/sdk/harness.h"

#include "sdk/executor_environment.h"

#define SUBSCRIBED                                                                                           \
        "{\"type\":\"SUBSCRIBED\",\"subscribed\":{\"executor_info\":{\"executor_id\":{\"value\":\"x\"}},"    \
        "\"framework_info\":{\"user\":\"u\",\"name\":\"f\",\"id\":{\"value\":\"fw\"}},"                      \
        "\"agent_info\":{\"hostname\":\"h\",\"id\":{\"value\":\"a-S0\"}}}}"
#define TASK(id) "{\"name\":\"" id "\",\"task_id\":{\"value\":\"" id "\"},\"agent_id\":{\"value\":\"a-S0\"}}"
#define LAUNCH(id) "{\"type\":\"LAUNCH\",\"launch\":{\"task\":" TASK(id) "}}"

struct world {
        struct lines lines;
        struct peer peer;
        struct mete_executor_options options;
        struct mete_executor *executor;
        struct mete_error error;
};

static void on_registered(struct mete_executor *x, const Mete__V1__ExecutorInfo *executor,
        const Mete__V1__FrameworkInfo *framework, const Mete__V1__AgentInfo *agent, void *userdata)
{
        struct world *w = userdata;

        lines_add(&w->lines, "registered %s %s %s", executor->executor_id->value, framework->name,
                agent->hostname);
}

static void on_reregistered(struct mete_executor *x, const Mete__V1__AgentInfo *agent, void *userdata)
{
        struct world *w = userdata;

        lines_add(&w->lines, "reregistered %s", agent->hostname);
}

static void on_disconnected(struct mete_executor *x, const char *reason, void *userdata)
{
        struct world *w = userdata;

        assert_int_equal(mete_executor_message(x, "", 0), -ENOTCONN);
        lines_add(&w->lines, "disconnected: %s", reason);
}

static void on_launch(struct mete_executor *x, const Mete__V1__TaskInfo *task, void *userdata)
{
        struct world *w = userdata;

        lines_add(&w->lines, "launch %s", task->task_id->value);
        if (str_has_prefix(task->task_id->value, "run"))
                assert_int_equal(mete_executor_report(x, task->task_id->value,
                                         METE__V1__TASK_STATE__TASK_RUNNING, "it runs"),
                        0);
}

static void on_launch_group(struct mete_executor *x, const Mete__V1__TaskGroupInfo *group, void *userdata)
{
        struct world *w = userdata;

        lines_add(&w->lines, "group of %zu", group->n_tasks);
}

static void on_kill(struct mete_executor *x, const Mete__V1__TaskID *task, const Mete__V1__KillPolicy *policy,
        void *userdata)
{
        struct world *w = userdata;

        lines_add(&w->lines, "kill %s %lld", task->value,
                policy ? (long long)policy->grace_period->nanoseconds : -1LL);
}

static void on_message(struct mete_executor *x, const void *data, size_t len, void *userdata)
{
        struct world *w = userdata;

        lines_add(&w->lines, "message %.*s", (int)len, (const char *)data);
        assert_int_equal(mete_executor_message(x, data, len), 0);
}

static void on_acknowledged(struct mete_executor *x, const Mete__V1__TaskID *task, void *userdata)
{
        struct world *w = userdata;

        lines_add(&w->lines, "acknowledged %s", task->value);
}

static void on_shutdown(struct mete_executor *x, void *userdata)
{
        struct world *w = userdata;

        lines_add(&w->lines, "shutdown");
}

static void on_shutdown_stop(struct mete_executor *x, void *userdata)
{
        on_shutdown(x, userdata);
        assert_int_equal(mete_executor_report(x, "run", METE__V1__TASK_STATE__TASK_KILLED, NULL), 0);
        mete_executor_stop(x);
}

static void on_error(struct mete_executor *x, const char *message, void *userdata)
{
        struct world *w = userdata;

        lines_add(&w->lines, "error: %s", message);
}

/* ---- world ---- */

static void set_environment(const struct world *w, const char *checkpoint)
{
        char endpoint[64];

        snprintf(endpoint, sizeof(endpoint), "127.0.0.1:%u", w->peer.port);
        setenv("MESOS_FRAMEWORK_ID", "fw", 1);
        setenv("MESOS_EXECUTOR_ID", "x", 1);
        setenv("MESOS_AGENT_ENDPOINT", endpoint, 1);
        setenv("MESOS_CHECKPOINT", checkpoint, 1);
        setenv("MESOS_SUBSCRIPTION_BACKOFF_MAX", "20ms", 1);
        setenv("MESOS_RECOVERY_TIMEOUT", "15mins", 1);
        setenv("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", "10mins", 1);
        unsetenv("MESOS_DOMAIN_SOCKET");
        unsetenv("MESOS_EXECUTOR_AUTHENTICATION_TOKEN");
}

static int set_up(void **state)
{
        struct world *w = NEW0(struct world);

        lines_init(&w->lines);
        peer_start(&w->peer, &w->lines, /* executor= */ true);
        w->peer.subscribed = SUBSCRIBED;
        peer_go(&w->peer);
        set_environment(w, "1");
        w->options = (struct mete_executor_options)METE_EXECUTOR_OPTIONS_INIT;
        w->options.callbacks = (struct mete_executor_callbacks){
                .size = sizeof(struct mete_executor_callbacks),
                .registered = on_registered,
                .reregistered = on_reregistered,
                .disconnected = on_disconnected,
                .launch = on_launch,
                .kill = on_kill,
                .message = on_message,
                .acknowledged = on_acknowledged,
                .shutdown = on_shutdown,
                .error = on_error,
        };
        w->options.userdata = w;
        w->options.keep_process = true;
        w->options.backoff_min_ms = 1;
        w->options.stop_timeout_ms = 20;
        *state = w;
        return 0;
}

static int tear_down(void **state)
{
        struct world *w = *state;

        w->executor = mete_executor_free(w->executor);
        peer_stop(&w->peer);
        lines_done(&w->lines);
        free(w);
        return 0;
}

static void begin(struct world *w)
{
        if (mete_executor_new(&w->options, &w->executor, &w->error) < 0)
                fail_msg("%s", w->error.message);
        assert_int_equal(mete_executor_start(w->executor), 0);
}

static void begin_registered(struct world *w)
{
        begin(w);
        lines_wait(&w->lines, "registered x f h");
}

static void acknowledge(struct world *w, const char *line)
{
        const char *uuid = strstr(line, "\"uuid\":\"");
        const char *task = strstr(line, "\"task_id\":{\"value\":\"");
        char event[512];

        assert_non_null(uuid);
        assert_non_null(task);
        uuid += strlen("\"uuid\":\"");
        task += strlen("\"task_id\":{\"value\":\"");
        snprintf(event, sizeof(event),
                "{\"type\":\"ACKNOWLEDGED\",\"acknowledged\":{\"task_id\":{\"value\":\"%.*s\"},\"uuid\":\"%.*"
                "s\"}}",
                (int)strcspn(task, "\""), task, (int)strcspn(uuid, "\""), uuid);
        peer_send(&w->peer, event);
}

/* ---- tests ---- */

static void every_event(struct world *w)
{
        const char *line;

        begin(w);
        line = lines_wait(&w->lines, "\"type\":\"SUBSCRIBE\"");
        assert_non_null(strstr(line, "{\"executor_id\":{\"value\":\"x\"},\"framework_id\":{\"value\":\"fw\"},"
                                     "\"type\":\"SUBSCRIBE\","
                                     "\"subscribe\":{}}"));
        lines_wait(&w->lines, "registered x f h");
        peer_send(&w->peer, "{\"type\":\"HEARTBEAT\"}");
        peer_send(&w->peer, "{\"type\":\"LAUNCH\"}"); /* without what it promises */
        peer_send(&w->peer, SUBSCRIBED);              /* twice */
        peer_send(&w->peer, LAUNCH("run"));
        lines_wait(&w->lines, "launch run");
        line = lines_wait(&w->lines, "\"type\":\"UPDATE\"");
        assert_non_null(strstr(line, "\"state\":\"TASK_RUNNING\",\"message\":\"it runs\",\"source\":\"SOURCE_"
                                     "EXECUTOR\",\"executor_id\":{\"value\":\"x\"},\"timestamp\":"));
        acknowledge(w, line);
        lines_wait(&w->lines, "acknowledged run");
        acknowledge(w, line); /* once is enough */
        peer_send(&w->peer, "{\"type\":\"LAUNCH_GROUP\",\"launch_group\":{\"task_group\":{\"tasks\":[" TASK(
                                    "g1") "," TASK("g2") "]}}}");
        lines_wait(&w->lines, "launch g1");
        lines_wait(&w->lines, "launch g2");
        peer_send(&w->peer, "{\"type\":\"KILL\",\"kill\":{\"task_id\":{\"value\":\"g1\"},\"kill_policy\":"
                            "{\"grace_period\":{\"nanoseconds\":7}}}}");
        lines_wait(&w->lines, "kill g1 7");
        peer_send(&w->peer, "{\"type\":\"KILL\",\"kill\":{\"task_id\":{\"value\":\"g2\"}}}");
        lines_wait(&w->lines, "kill g2 -1");
        peer_send(&w->peer, "{\"type\":\"MESSAGE\",\"message\":{\"data\":\"aGVsbG8=\"}}");
        lines_wait(&w->lines, "message hello");
        lines_wait(&w->lines, "\"type\":\"MESSAGE\",\"message\":{\"data\":\"aGVsbG8=\"}");
        peer_send(&w->peer, "{\"type\":\"SHUTDOWN\"}");
        lines_wait(&w->lines, "shutdown");
        mete_executor_stop(w->executor);
        assert_int_equal(mete_executor_join(w->executor, NULL), 0);
        assert_int_equal(lines_count(&w->lines, "acknowledged run"), 1);
        assert_int_equal(lines_count(&w->lines, "registered"), 1);
}

static void events_in_protobuf(void **state)
{
        every_event(*state);
}

static void events_in_json(void **state)
{
        struct world *w = *state;

        w->options.json = true;
        every_event(w);
        assert_int_equal(lines_count(&w->lines, "protobuf /api"), 0);
}

static void groups_whole(void **state)
{
        struct world *w = *state;

        w->options.callbacks.launch_group = on_launch_group;
        begin_registered(w);
        for (int i = 0; i < 2; i++)
                peer_send(&w->peer,
                        "{\"type\":\"LAUNCH_GROUP\",\"launch_group\":{\"task_group\":{\"tasks\":[" TASK(
                                "g1") "," TASK("g2") "]}}}");
        lines_wait(&w->lines, "group of 2");
        peer_send(&w->peer, LAUNCH("run"));
        lines_wait(&w->lines, "launch run");
        assert_int_equal(lines_count(&w->lines, "group of 2"), 1);
}

/* What was not acknowledged is told again, in order; what was is not. A task that comes again does not run again. */
static void nothing_is_lost_over_a_new_connection(void **state)
{
        struct world *w = *state;
        const char *running, *line;

        begin_registered(w);
        peer_send(&w->peer, LAUNCH("run-1"));
        running = lines_wait(&w->lines, "TASK_RUNNING");
        acknowledge(w, running);
        lines_wait(&w->lines, "acknowledged run-1");
        peer_send(&w->peer, LAUNCH("run-2"));
        lines_wait(&w->lines, "TASK_RUNNING");
        assert_int_equal(
                mete_executor_report(w->executor, "run-1", METE__V1__TASK_STATE__TASK_FINISHED, NULL), 0);
        lines_wait(&w->lines, "TASK_FINISHED");
        w->peer.subscribed = NULL; /* the agent takes its time */
        peer_do(&w->peer, peer_close_now, NULL);
        lines_wait(&w->lines, "disconnected");
        line = lines_wait(&w->lines, "\"type\":\"SUBSCRIBE\"");
        assert_non_null(strstr(line, "\"unacknowledged_tasks\":[{\"name\":\"run-2\""));
        assert_null(strstr(line, "\"name\":\"run-1\""));
        assert_non_null(strstr(line, "TASK_RUNNING"));
        assert_non_null(strstr(line, "TASK_FINISHED"));
        assert_true(strstr(line, "TASK_RUNNING") < strstr(line, "TASK_FINISHED"));
        /* Made between SUBSCRIBE and SUBSCRIBED: sent right after. */
        assert_int_equal(
                mete_executor_report(w->executor, "run-2", METE__V1__TASK_STATE__TASK_FAILED, NULL), 0);
        peer_send(&w->peer, SUBSCRIBED);
        lines_wait(&w->lines, "reregistered h");
        lines_wait(&w->lines, "TASK_FAILED");
        peer_send(&w->peer, LAUNCH("run-1"));
        peer_send(&w->peer, LAUNCH("run-2"));
        peer_send(&w->peer, LAUNCH("run-3"));
        lines_wait(&w->lines, "launch run-3");
        assert_int_equal(lines_count(&w->lines, "launch run-1"), 1);
        assert_int_equal(lines_count(&w->lines, "launch run-2"), 1);
}

/* Once the end is acknowledged the id is free. */
static void forgets_acknowledged_ends(void **state)
{
        struct world *w = *state;

        begin_registered(w);
        for (int i = 0; i < 2; i++) {
                peer_send(&w->peer, LAUNCH("again"));
                lines_wait(&w->lines, "launch again");
                assert_int_equal(
                        mete_executor_report(w->executor, "again", METE__V1__TASK_STATE__TASK_FINISHED, NULL),
                        0);
                acknowledge(w, lines_wait(&w->lines, "TASK_FINISHED"));
                lines_wait(&w->lines, "acknowledged again");
        }
}

static void stop_waits_for_acknowledgements(void **state)
{
        struct world *w = *state;
        const char *line;

        w->options.stop_timeout_ms = 600000;
        begin_registered(w);
        peer_send(&w->peer, LAUNCH("run"));
        line = lines_wait(&w->lines, "TASK_RUNNING");
        mete_executor_stop(w->executor);
        acknowledge(w, line);
        assert_int_equal(mete_executor_join(w->executor, NULL), 0);
        lines_wait(&w->lines, "acknowledged run");
}

static void without_checkpoint_it_ends_with_the_connection(void **state)
{
        struct world *w = *state;

        set_environment(w, "0");
        w->options.callbacks.shutdown = on_shutdown_stop;
        begin_registered(w);
        peer_send(&w->peer, LAUNCH("quiet"));
        lines_wait(&w->lines, "launch quiet");
        peer_do(&w->peer, peer_close_now, NULL);
        lines_wait(&w->lines, "disconnected");
        lines_wait(&w->lines, "shutdown");
        assert_int_equal(mete_executor_join(w->executor, NULL), 0);
}

static void refuse_now(struct peer *p, const char *status)
{
        p->subscribe_status = atoi(status);
        if (p->stream)
                http_stream_close(TAKE_PTR(p->stream));
}

static void gives_up_after_the_recovery_timeout(void **state)
{
        struct world *w = *state;

        setenv("MESOS_RECOVERY_TIMEOUT", "50ms", 1);
        begin_registered(w);
        peer_do(&w->peer, refuse_now, "503");
        lines_wait(&w->lines, "disconnected");
        lines_wait(&w->lines, "shutdown");
        assert_true(w->peer.subscriptions > 1);
}

static void gives_up_when_there_never_was_an_agent(void **state)
{
        struct world *w = *state;

        setenv("MESOS_RECOVERY_TIMEOUT", "50ms", 1);
        w->peer.subscribe_status = 503;
        begin(w);
        lines_wait(&w->lines, "shutdown");
        assert_int_equal(lines_count(&w->lines, "disconnected"), 0);
}

static void the_grace_period_ends_it(void **state)
{
        struct world *w = *state;

        setenv("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", "30ms", 1);
        begin_registered(w);
        peer_send(&w->peer, "{\"type\":\"SHUTDOWN\"}");
        assert_int_equal(mete_executor_join(w->executor, &w->error), -ETIMEDOUT);
        lines_wait(&w->lines, "shutdown");
}

static void refused_for_good(void **state)
{
        struct world *w = *state;

        w->peer.subscribe_status = 400;
        w->peer.subscribe_text = "no such executor";
        begin(w);
        assert_int_equal(mete_executor_join(w->executor, &w->error), -EPERM);
        assert_string_equal(
                w->error.message, "the agent refused the subscription with status 400: no such executor");
        lines_wait(&w->lines, "error: the agent refused");
        lines_wait(&w->lines, "shutdown");
}

static void error_event(void **state)
{
        struct world *w = *state;

        begin_registered(w);
        peer_send(&w->peer, "{\"type\":\"ERROR\",\"error\":{\"message\":\"gone\"}}");
        assert_int_equal(mete_executor_join(w->executor, &w->error), -EPERM);
        lines_wait(&w->lines, "error: gone");
}

static void listen_now(struct peer *p, const char *path)
{
        assert_int_equal(http_server_listen_unix(p->http, path, 0600, NULL), 0);
}

static void says_who_it_is(void **state)
{
        struct world *w = *state;

        setenv("MESOS_EXECUTOR_AUTHENTICATION_TOKEN", "abc.def", 1);
        begin_registered(w);
        assert_int_equal(mete_executor_message(w->executor, "", 0), 0);
        lines_wait(&w->lines, "\"type\":\"MESSAGE\"");
        assert_int_equal(lines_count(&w->lines, "[Bearer abc.def]"), 2);
}

/* The socket goes before the address, which is that of nobody here. */
static void over_a_unix_socket(void **state)
{
        struct world *w = *state;
        char directory[] = "/tmp/mete-sdk.XXXXXX", path[64];

        assert_non_null(mkdtemp(directory));
        snprintf(path, sizeof(path), "%s/agent.sock", directory);
        peer_do(&w->peer, listen_now, path);
        setenv("MESOS_DOMAIN_SOCKET", path, 1);
        setenv("MESOS_AGENT_ENDPOINT", "127.0.0.1:1", 1);
        w->options.callbacks.shutdown = on_shutdown_stop;
        begin_registered(w);
        assert_int_equal(mete_executor_message(w->executor, "", 0), 0);
        lines_wait(&w->lines, "\"type\":\"MESSAGE\"");
        peer_send(&w->peer, "{\"type\":\"SHUTDOWN\"}");
        acknowledge(w, lines_wait(&w->lines, "TASK_KILLED"));
        assert_int_equal(mete_executor_join(w->executor, NULL), 0);
        (void)unlink(path);
        (void)rmdir(directory);
}

static void bounded(void **state)
{
        struct world *w = *state;
        int r = 0;

        w->options.max_queued_calls = 2;
        begin_registered(w);
        for (int i = 0; i < 3 && r == 0; i++)
                r = mete_executor_report(w->executor, "t", METE__V1__TASK_STATE__TASK_RUNNING, NULL);
        assert_int_equal(r, -ENOBUFS);
        acknowledge(w, lines_wait(&w->lines, "TASK_RUNNING"));
        lines_wait(&w->lines, "acknowledged t");
        assert_int_equal(
                mete_executor_report(w->executor, "t", METE__V1__TASK_STATE__TASK_FINISHED, NULL), 0);
        assert_int_equal(
                mete_executor_report(w->executor, "t", METE__V1__TASK_STATE__TASK_STAGING, NULL), -EINVAL);
        assert_int_equal(
                mete_executor_report(w->executor, "", METE__V1__TASK_STATE__TASK_RUNNING, NULL), -EINVAL);
}

/* ---- the environment ---- */

static void expect_refused(const char *text)
{
        struct mete_executor_options o = METE_EXECUTOR_OPTIONS_INIT;
        struct mete_executor *x = NULL;
        struct mete_error e = {0};

        assert_int_equal(mete_executor_new(&o, &x, &e), -EINVAL);
        if (!strstr(e.message, text))
                fail_msg("expected '%s' in: %s", text, e.message);
        assert_null(x);
}

static void environment(void **state)
{
        struct world *w = *state;
        struct executor_environment v;

        setenv("MESOS_DOMAIN_SOCKET", "/run/agent.sock", 1);
        unsetenv("MESOS_AGENT_ENDPOINT");
        unsetenv("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD");
        setenv("MESOS_CHECKPOINT", "0", 1);
        assert_int_equal(executor_environment_read(&v, NULL), 0);
        assert_string_equal(v.socket, "/run/agent.sock");
        assert_null(v.agent);
        assert_false(v.checkpoint);
        assert_int_equal(v.shutdown_grace_ns, UINT64_C(5000000000));
        assert_int_equal(v.recovery_timeout_ns, UINT64_C(900000000000));
        executor_environment_done(&v);
        unsetenv("MESOS_DOMAIN_SOCKET");
        expect_refused("MESOS_AGENT_ENDPOINT is not set");
        setenv("MESOS_AGENT_ENDPOINT", "a:b", 1);
        expect_refused("MESOS_AGENT_ENDPOINT");
        set_environment(w, "1");
        setenv("MESOS_RECOVERY_TIMEOUT", "soon", 1);
        expect_refused("MESOS_RECOVERY_TIMEOUT is 'soon'");
        unsetenv("MESOS_FRAMEWORK_ID");
        expect_refused("MESOS_FRAMEWORK_ID is not set");
}

static void durations(void **state)
{
        uint64_t ns = 0;

        assert_int_equal(executor_duration_parse("15mins", &ns), 0);
        assert_int_equal(ns, UINT64_C(900000000000));
        assert_int_equal(executor_duration_parse("2.5secs", &ns), 0);
        assert_int_equal(ns, UINT64_C(2500000000));
        assert_int_equal(executor_duration_parse("1.23456ms", &ns), 0);
        assert_int_equal(ns, 1234000);
        assert_int_equal(executor_duration_parse("1weeks", &ns), 0);
        assert_int_equal(ns, UINT64_C(604800000000000));
        assert_int_equal(executor_duration_parse("0ns", &ns), 0);
        assert_int_equal(ns, 0);
        assert_int_equal(executor_duration_parse("", &ns), -EINVAL);
        assert_int_equal(executor_duration_parse("5", &ns), -EINVAL);
        assert_int_equal(executor_duration_parse("5 secs", &ns), -EINVAL);
        assert_int_equal(executor_duration_parse("-5secs", &ns), -EINVAL);
        assert_int_equal(executor_duration_parse("1.2.3secs", &ns), -EINVAL);
        assert_int_equal(executor_duration_parse("99999999weeks", &ns), -EINVAL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(events_in_protobuf),
                TEST(events_in_json),
                TEST(groups_whole),
                TEST(nothing_is_lost_over_a_new_connection),
                TEST(forgets_acknowledged_ends),
                TEST(stop_waits_for_acknowledgements),
                TEST(without_checkpoint_it_ends_with_the_connection),
                TEST(gives_up_after_the_recovery_timeout),
                TEST(gives_up_when_there_never_was_an_agent),
                TEST(the_grace_period_ends_it),
                TEST(refused_for_good),
                TEST(error_event),
                TEST(says_who_it_is),
                TEST(over_a_unix_socket),
                TEST(bounded),
                TEST(environment),
                cmocka_unit_test(durations),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
