/* The scheduler's driver against a master that does what each test wants. */
#include "tests/unit/sdk/harness.h"

#define SUBSCRIBED                                                                                           \
        "{\"type\":\"SUBSCRIBED\",\"subscribed\":{\"framework_id\":{\"value\":\"fw-0000\"},"                 \
        "\"heartbeat_interval_seconds\":15,\"master_info\":{\"id\":\"m\",\"ip\":1,\"port\":5050}}}"
#define OFFER(id)                                                                                            \
        "{\"type\":\"OFFERS\",\"offers\":{\"offers\":[{\"id\":{\"value\":\"" id                              \
        "\"},\"framework_id\":{\"value\":\"fw-0000\"},"                                                      \
        "\"agent_id\":{\"value\":\"a-S0\"},\"hostname\":\"h\",\"resources\":["                               \
        "{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":1.5}},"                                \
        "{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":0.5}},"                                \
        "{\"name\":\"ports\",\"type\":\"RANGES\",\"ranges\":{\"range\":[{\"begin\":1,\"end\":2}]}}]}]}}"
#define UPDATE(state, more)                                                                                  \
        "{\"type\":\"UPDATE\",\"update\":{\"status\":{\"task_id\":{\"value\":\"t1\"},\"state\":\"" state     \
        "\",\"agent_id\":{\"value\":\"a-S0\"}" more "}}}"
#define UUID ",\"uuid\":\"AAECAwQFBgcICQoLDA0ODw==\""

struct world {
        struct lines lines;
        struct peer peer;
        char address[64];
        struct mete_scheduler_options options;
        Mete__V1__FrameworkInfo *framework;
        struct mete_scheduler *scheduler;
        struct mete_error error;
        int decline_result;
};

/* ---- callbacks: a line each ---- */

static void on_registered(struct mete_scheduler *s, const Mete__V1__FrameworkID *id,
        const Mete__V1__MasterInfo *master, void *userdata)
{
        struct world *w = userdata;

        assert_string_equal(mete_scheduler_framework_id(s), id->value);
        lines_add(&w->lines, "registered %s %s", id->value, master ? master->id : "?");
}

static void on_reregistered(struct mete_scheduler *s, const Mete__V1__MasterInfo *master, void *userdata)
{
        struct world *w = userdata;

        lines_add(&w->lines, "reregistered %s", mete_scheduler_framework_id(s));
}

static void on_disconnected(struct mete_scheduler *s, const char *reason, void *userdata)
{
        struct world *w = userdata;

        assert_int_equal(mete_scheduler_revive(s, NULL, 0), -ENOTCONN);
        lines_add(&w->lines, "disconnected: %s", reason);
}

static void on_offers(
        struct mete_scheduler *s, Mete__V1__Offer *const *offers, size_t n_offers, void *userdata)
{
        struct world *w = userdata;

        for (size_t i = 0; i < n_offers; i++)
                lines_add(&w->lines, "offer %s cpus %g mem %g", offers[i]->id->value,
                        mete_offer_scalar(offers[i], "cpus"), mete_offer_scalar(offers[i], "mem"));
}

static void on_rescinded(struct mete_scheduler *s, const Mete__V1__OfferID *offer, void *userdata)
{
        struct world *w = userdata;

        lines_add(&w->lines, "rescinded %s", offer->value);
}

static void on_update(struct mete_scheduler *s, const Mete__V1__TaskStatus *status, void *userdata)
{
        struct world *w = userdata;

        lines_add(&w->lines, "update %s %s %s", status->task_id->value, mete_task_state_name(status->state),
                mete_task_reason_name(status));
        if (str_equal(status->message, "acknowledge me"))
                lines_add(&w->lines, "acknowledging: %d", mete_scheduler_acknowledge(s, status));
        if (str_equal(status->message, "stop"))
                mete_scheduler_stop(s);
}

static void on_message(struct mete_scheduler *s, const Mete__V1__AgentID *agent,
        const Mete__V1__ExecutorID *executor, const void *data, size_t len, void *userdata)
{
        struct world *w = userdata;

        lines_add(
                &w->lines, "message %s %s %.*s", agent->value, executor->value, (int)len, (const char *)data);
}

static void on_failure(struct mete_scheduler *s, const Mete__V1__AgentID *agent,
        const Mete__V1__ExecutorID *executor, int status, void *userdata)
{
        struct world *w = userdata;

        lines_add(&w->lines, "failure %s %s %d", agent ? agent->value : "-", executor ? executor->value : "-",
                status);
}

static void on_error(struct mete_scheduler *s, const char *message, void *userdata)
{
        struct world *w = userdata;

        assert_int_equal(mete_scheduler_revive(s, NULL, 0), -ENOTCONN);
        lines_add(&w->lines, "error: %s", message);
}

static void on_refused(struct mete_scheduler *s, Mete__V1__Scheduler__Call__Type call, int status,
        const char *message, void *userdata)
{
        struct world *w = userdata;

        lines_add(&w->lines, "refused %d %d %s", (int)call, status, message);
}

static void on_other(struct mete_scheduler *s, const Mete__V1__Scheduler__Event *event, void *userdata)
{
        struct world *w = userdata;

        lines_add(&w->lines, "other %d", (int)event->type);
}

/* ---- world ---- */

static int set_up(void **state)
{
        struct world *w = NEW0(struct world);

        lines_init(&w->lines);
        peer_start(&w->peer, &w->lines, /* executor= */ false);
        w->peer.subscribed = SUBSCRIBED;
        peer_go(&w->peer);
        snprintf(w->address, sizeof(w->address), "127.0.0.1:%u", w->peer.port);
        w->framework = mete_framework_new("test", "nobody");
        w->options = (struct mete_scheduler_options)METE_SCHEDULER_OPTIONS_INIT;
        w->options.callbacks = (struct mete_scheduler_callbacks){
                .size = sizeof(struct mete_scheduler_callbacks),
                .registered = on_registered,
                .reregistered = on_reregistered,
                .disconnected = on_disconnected,
                .offers = on_offers,
                .rescinded = on_rescinded,
                .update = on_update,
                .message = on_message,
                .failure = on_failure,
                .error = on_error,
                .refused = on_refused,
                .other = on_other,
        };
        w->options.master = w->address;
        w->options.framework = w->framework;
        w->options.userdata = w;
        w->options.backoff_min_ms = 1;
        w->options.backoff_max_ms = 20;
        *state = w;
        return 0;
}

static int tear_down(void **state)
{
        struct world *w = *state;

        w->scheduler = mete_scheduler_free(w->scheduler);
        peer_stop(&w->peer);
        mete_message_free(w->framework);
        lines_done(&w->lines);
        free(w);
        return 0;
}

static void begin(struct world *w)
{
        if (mete_scheduler_new(&w->options, &w->scheduler, &w->error) < 0)
                fail_msg("%s", w->error.message);
        assert_int_equal(mete_scheduler_start(w->scheduler), 0);
}

static void begin_registered(struct world *w)
{
        begin(w);
        lines_wait(&w->lines, "registered fw-0000");
}

/* ---- tests ---- */

static void every_event(struct world *w)
{
        begin(w);
        lines_wait(&w->lines, "\"type\":\"SUBSCRIBE\"");
        lines_wait(&w->lines, "registered fw-0000 m");
        peer_send(&w->peer, "{\"type\":\"HEARTBEAT\"}");
        peer_send(&w->peer, "{\"type\":\"FROM_THE_FUTURE\"}");
        peer_send(&w->peer, "{\"type\":\"OFFERS\"}"); /* without what it promises */
        peer_send(&w->peer, SUBSCRIBED);              /* twice */
        peer_send(&w->peer, OFFER("o1"));
        lines_wait(&w->lines, "offer o1 cpus 2 mem 0");
        peer_send(&w->peer, "{\"type\":\"RESCIND\",\"rescind\":{\"offer_id\":{\"value\":\"o1\"}}}");
        lines_wait(&w->lines, "rescinded o1");
        peer_send(&w->peer, UPDATE("TASK_LOST", ",\"reason\":\"REASON_INVALID_OFFERS\""));
        lines_wait(&w->lines, "update t1 TASK_LOST REASON_INVALID_OFFERS");
        peer_send(&w->peer, "{\"type\":\"MESSAGE\",\"message\":{\"agent_id\":{\"value\":\"a\"},\"executor_"
                            "id\":{\"value\":"
                            "\"x\"},\"data\":\"aGVsbG8=\"}}");
        lines_wait(&w->lines, "message a x hello");
        peer_send(&w->peer, "{\"type\":\"FAILURE\",\"failure\":{\"agent_id\":{\"value\":\"a\"}}}");
        lines_wait(&w->lines, "failure a - 0");
        peer_send(&w->peer,
                "{\"type\":\"FAILURE\",\"failure\":{\"agent_id\":{\"value\":\"a\"},\"executor_id\":"
                "{\"value\":\"x\"},\"status\":256}}");
        lines_wait(&w->lines, "failure a x 256");
        peer_send(&w->peer, "{\"type\":\"RESCIND_INVERSE_OFFER\",\"rescind_inverse_offer\":"
                            "{\"inverse_offer_id\":{\"value\":\"i\"}}}");
        lines_wait(&w->lines, "other 10");
        assert_int_equal(lines_count(&w->lines, "registered"), 1);
        assert_int_equal(lines_count(&w->lines, "other"), 1);
        assert_int_equal(lines_count(&w->lines, "ACKNOWLEDGE"), 0); /* it had no uuid */
}

static void events_in_protobuf(void **state)
{
        every_event(*state);
        assert_true(lines_count(&((struct world *)*state)->lines, "protobuf /api") > 0);
}

static void events_in_json(void **state)
{
        struct world *w = *state;

        w->options.json = true;
        every_event(w);
        assert_int_equal(lines_count(&w->lines, "protobuf /api"), 0);
}

static void launch_one(struct world *w)
{
        Mete__V1__OfferID offer = METE__V1__OFFER_ID__INIT, *offers = &offer;
        Mete__V1__TaskInfo *task = mete_task_new("t1", NULL, "a-S0");

        offer.value = (char *)"o1";
        mete_task_add_scalar(task, "cpus", 0.5);
        mete_task_set_command(task, mete_command_shell("exit 0"));
        mete_task_set_data(task, "data", 4);
        assert_int_equal(mete_scheduler_launch(w->scheduler, &offers, 1, &task, 1, 2.5), 0);
        assert_int_equal(mete_scheduler_decline(w->scheduler, &offers, 1, -1), 0);
        mete_message_free(task); /* it was copied */
}

/* In order, with the id of the framework and of the stream, each with the fields that it is about. */
static void every_call(void **state)
{
        static const char *const tasks[] = {"t1", "t2"}, *const agents[] = {"a", NULL},
                                 *const roles[] = {"r"};
        struct world *w = *state;
        Mete__V1__Scheduler__Call request = METE__V1__SCHEDULER__CALL__INIT;
        struct mete_scheduler *s;

        begin_registered(w);
        s = w->scheduler;
        launch_one(w);
        assert_int_equal(mete_scheduler_kill(s, "t1", "a", 1000), 0);
        assert_int_equal(mete_scheduler_kill(s, "t2", NULL, -1), 0);
        assert_int_equal(mete_scheduler_revive(s, roles, 1), 0);
        assert_int_equal(mete_scheduler_suppress(s, NULL, 0), 0);
        assert_int_equal(mete_scheduler_reconcile(s, tasks, agents, 2), 0);
        assert_int_equal(mete_scheduler_reconcile(s, NULL, NULL, 0), 0);
        assert_int_equal(mete_scheduler_message(s, "a", "x", "hello", 5), 0);
        assert_int_equal(mete_scheduler_shutdown_executor(s, "x", "a"), 0);
        request.has_type = true;
        request.type = METE__V1__SCHEDULER__CALL__TYPE__REQUEST;
        assert_int_equal(mete_scheduler_call(s, &request), 0);

        lines_wait(&w->lines, "[stream-1] [] {\"framework_id\":{\"value\":\"fw-0000\"},\"type\":\"ACCEPT\"");
        assert_int_equal(lines_count(&w->lines, "\"refuse_seconds\":2.5"), 1);
        assert_int_equal(lines_count(&w->lines, "\"data\":\"ZGF0YQ==\""), 1);
        lines_wait(&w->lines, "\"type\":\"DECLINE\",\"decline\":{\"offer_ids\":[{\"value\":\"o1\"}]}}");
        lines_wait(&w->lines,
                "\"type\":\"KILL\",\"kill\":{\"task_id\":{\"value\":\"t1\"},\"agent_id\":{\"value\":"
                "\"a\"},\"kill_policy\":{\"grace_period\":{\"nanoseconds\":1000}}}");
        lines_wait(&w->lines, "\"type\":\"KILL\",\"kill\":{\"task_id\":{\"value\":\"t2\"}}}");
        lines_wait(&w->lines, "\"type\":\"REVIVE\",\"revive\":{\"roles\":[\"r\"]}");
        lines_wait(&w->lines, "\"type\":\"SUPPRESS\"");
        lines_wait(&w->lines,
                "\"reconcile\":{\"tasks\":[{\"task_id\":{\"value\":\"t1\"},\"agent_id\":{\"value\":"
                "\"a\"}},{\"task_id\":{\"value\":\"t2\"}}]}");
        lines_wait(&w->lines, "\"type\":\"RECONCILE\",\"reconcile\":{}}");
        lines_wait(&w->lines, "\"executor_id\":{\"value\":\"x\"},\"data\":\"aGVsbG8=\"");
        lines_wait(&w->lines, "\"type\":\"SHUTDOWN\"");
        lines_wait(&w->lines, "\"type\":\"REQUEST\"");
        assert_int_equal(lines_count(&w->lines, "[stream-1]"), 11);
}

static void calls_that_make_no_sense(void **state)
{
        static const char *const empty[] = {""};
        struct world *w = *state;
        Mete__V1__Scheduler__Call call = METE__V1__SCHEDULER__CALL__INIT;
        struct mete_scheduler *s;

        assert_int_equal(mete_scheduler_new(&w->options, &w->scheduler, NULL), 0);
        s = w->scheduler;
        assert_int_equal(mete_scheduler_revive(s, NULL, 0), -ENOTCONN);
        assert_null(mete_scheduler_framework_id(s));
        assert_int_equal(mete_scheduler_join(s, NULL), -EINVAL);
        assert_int_equal(mete_scheduler_start(s), 0);
        assert_int_equal(mete_scheduler_start(s), -EBUSY);
        assert_int_equal(mete_scheduler_run(s, NULL), -EBUSY);
        lines_wait(&w->lines, "registered");
        assert_int_equal(mete_scheduler_kill(s, "", NULL, -1), -EINVAL);
        assert_int_equal(mete_scheduler_message(s, "a", NULL, "", 0), -EINVAL);
        assert_int_equal(mete_scheduler_accept(s, NULL, 0, NULL, 0, -1), -EINVAL);
        assert_int_equal(mete_scheduler_reconcile(s, empty, NULL, 1), -EINVAL);
        assert_int_equal(mete_scheduler_call(s, &call), -EINVAL);
        call.has_type = true;
        call.type = METE__V1__SCHEDULER__CALL__TYPE__SUBSCRIBE;
        assert_int_equal(mete_scheduler_call(s, &call), -EINVAL);
}

static void acknowledged_by_itself(void **state)
{
        struct world *w = *state;

        begin_registered(w);
        peer_send(&w->peer, UPDATE("TASK_RUNNING", UUID));
        lines_wait(&w->lines, "update t1 TASK_RUNNING");
        lines_wait(&w->lines,
                "\"acknowledge\":{\"agent_id\":{\"value\":\"a-S0\"},\"task_id\":{\"value\":\"t1\"},"
                "\"uuid\":\"AAECAwQFBgcICQoLDA0ODw==\"}");
        /* Again: the first acknowledgement may have been lost. */
        peer_send(&w->peer, UPDATE("TASK_RUNNING", UUID));
        lines_wait(&w->lines, "update t1 TASK_RUNNING");
        lines_wait(&w->lines, "ACKNOWLEDGE");
}

static void acknowledged_by_hand(void **state)
{
        struct world *w = *state;

        w->options.explicit_acknowledgements = true;
        begin_registered(w);
        peer_send(&w->peer, UPDATE("TASK_RUNNING", UUID));
        lines_wait(&w->lines, "update t1 TASK_RUNNING");
        peer_send(&w->peer, UPDATE("TASK_FINISHED", UUID ",\"message\":\"acknowledge me\""));
        lines_wait(&w->lines, "update t1 TASK_FINISHED");
        lines_wait(&w->lines, "ACKNOWLEDGE");
        assert_int_equal(lines_count(&w->lines, "ACKNOWLEDGE"), 1);
}

static void comes_back(void **state)
{
        struct world *w = *state;

        begin_registered(w);
        peer_do(&w->peer, peer_close_now, NULL);
        lines_wait(&w->lines, "disconnected: the stream of events ended");
        lines_wait(&w->lines, "\"framework_id\":{\"value\":\"fw-0000\"},\"type\":\"SUBSCRIBE\"");
        assert_int_equal(lines_count(&w->lines, "\"id\":{\"value\":\"fw-0000\"}"), 1);
        lines_wait(&w->lines, "reregistered fw-0000");
        assert_int_equal(mete_scheduler_revive(w->scheduler, NULL, 0), 0);
        lines_wait(&w->lines, "[stream-2]");
}

/* The id of an earlier run: taken over, so known from the start. */
static void fails_over(void **state)
{
        struct world *w = *state;
        Mete__V1__FrameworkID id = METE__V1__FRAMEWORK_ID__INIT;

        id.value = (char *)"fw-0000";
        w->framework->id = &id;
        begin(w);
        w->framework->id = NULL; /* it was copied */
        lines_wait(&w->lines, "\"framework_id\":{\"value\":\"fw-0000\"},\"type\":\"SUBSCRIBE\"");
        lines_wait(&w->lines, "reregistered fw-0000");
        peer_send(&w->peer, "{\"type\":\"ERROR\",\"error\":{\"message\":\"Framework failed over\"}}");
        lines_wait(&w->lines, "error: Framework failed over");
        assert_int_equal(mete_scheduler_join(w->scheduler, &w->error), -EPERM);
        assert_string_equal(w->error.message, "Framework failed over");
        assert_int_equal(w->peer.subscriptions, 1); /* it did not come back to fight */
}

static void refused_for_good(void **state)
{
        struct world *w = *state;

        w->peer.subscribe_status = 403;
        w->peer.subscribe_text = "who are you";
        begin(w);
        lines_wait(&w->lines, "error: the master refused the subscription with status 403: who are you");
        assert_int_equal(mete_scheduler_join(w->scheduler, &w->error), -EPERM);
        assert_int_equal(w->peer.subscriptions, 1);
}

static void follow_now(struct peer *p, const char *status)
{
        p->subscribe_status = atoi(status);
}

static void waits_for_a_leader(void **state)
{
        struct world *w = *state;

        w->peer.subscribe_status = 503;
        begin(w);
        for (int i = 0; i < 3; i++)
                lines_wait(&w->lines, "\"type\":\"SUBSCRIBE\"");
        peer_do(&w->peer, follow_now, "200");
        lines_wait(&w->lines, "registered fw-0000");
        assert_int_equal(lines_count(&w->lines, "disconnected"), 0);
}

static void follows_redirects(void **state)
{
        struct world *w = *state;
        struct peer other = {0};
        char location[128], nowhere[64];

        snprintf(location, sizeof(location), "//%s/api/v1/scheduler", w->address);
        peer_start(&other, &w->lines, false);
        other.subscribe_status = 307;
        other.extra_header = "Location";
        other.extra_value = location;
        peer_go(&other);
        /* The first of the list is not there, the second knows better. */
        snprintf(nowhere, sizeof(nowhere), "127.0.0.1:%u,127.0.0.1:%u", free_port(), other.port);
        w->options.master = nowhere;
        begin_registered(w);
        assert_int_equal(other.subscriptions, 1);
        assert_int_equal(w->peer.subscriptions, 1);
        peer_stop(&other);
}

/* Two that each say the other leads must not be asked as fast as they answer, and one that leads in the end is found. */
static void redirected_in_circles(void **state)
{
        struct world *w = *state;
        char location[128];

        snprintf(location, sizeof(location), "//%s/api/v1/scheduler", w->address);
        w->peer.subscribe_status = 307;
        w->peer.extra_header = "Location";
        w->peer.extra_value = location;
        begin(w);
        for (int i = 0; i < 20; i++)
                lines_wait(&w->lines, "\"type\":\"SUBSCRIBE\"");
        peer_do(&w->peer, follow_now, "200");
        lines_wait(&w->lines, "registered fw-0000");
}

static void notices_silence(void **state)
{
        struct world *w = *state;

        w->options.heartbeat_interval_ms = 20;
        begin_registered(w);
        lines_wait(&w->lines, "disconnected: no event for 0.1 s");
        lines_wait(&w->lines, "reregistered");
}

static void notices_silence_before_the_first_event(void **state)
{
        struct world *w = *state;

        w->peer.subscribed = NULL;
        w->options.connect_timeout_ms = 30;
        begin(w);
        lines_wait(&w->lines, "\"type\":\"SUBSCRIBE\"");
        lines_wait(&w->lines, "\"type\":\"SUBSCRIBE\"");
        assert_int_equal(lines_count(&w->lines, "disconnected"), 0);
}

static void bad_records(void **state)
{
        struct world *w = *state;

        begin_registered(w);
        peer_do(&w->peer, peer_send_raw_now, "\xff\xff\xff");
        lines_wait(&w->lines, "disconnected: an event cannot be understood");
        lines_wait(&w->lines, "reregistered");
}

static void answer_now(struct peer *p, const char *status)
{
        p->call_status = atoi(status);
}

static void refused_calls(void **state)
{
        struct world *w = *state;

        begin_registered(w);
        peer_do(&w->peer, answer_now, "400");
        assert_int_equal(mete_scheduler_revive(w->scheduler, NULL, 0), 0);
        lines_wait(&w->lines, "refused 5 400 refused because of a test");
        assert_int_equal(lines_count(&w->lines, "disconnected"), 0);
        /* Not subscribed any more, says the master. */
        peer_do(&w->peer, answer_now, "403");
        assert_int_equal(mete_scheduler_revive(w->scheduler, NULL, 0), 0);
        lines_wait(&w->lines, "disconnected: a call was answered with status 403");
        lines_wait(&w->lines, "reregistered");
}

static void bounded_queue(void **state)
{
        struct world *w = *state;

        w->options.max_queued_calls = 3;
        begin_registered(w);
        peer_do(&w->peer, answer_now, "0");
        /* One is on its way, three wait. */
        assert_int_equal(mete_scheduler_revive(w->scheduler, NULL, 0), 0);
        lines_wait(&w->lines, "REVIVE");
        for (int i = 0; i < 3; i++)
                assert_int_equal(mete_scheduler_revive(w->scheduler, NULL, 0), 0);
        assert_int_equal(mete_scheduler_revive(w->scheduler, NULL, 0), -ENOBUFS);
        /* Acknowledgements still find a place. */
        peer_send(&w->peer, UPDATE("TASK_RUNNING", UUID ",\"message\":\"acknowledge me\""));
        lines_wait(&w->lines, "acknowledging: 0");
        /* They go with the connection. */
        peer_do(&w->peer, peer_close_now, NULL);
        lines_wait(&w->lines, "disconnected");
        peer_do(&w->peer, answer_now, "202");
        lines_wait(&w->lines, "reregistered");
        assert_int_equal(mete_scheduler_suppress(w->scheduler, NULL, 0), 0);
        lines_wait(&w->lines, "SUPPRESS");
        assert_int_equal(lines_count(&w->lines, "REVIVE"), 1);
}

/* From a callback; what was called before still goes out, acknowledgements too. */
static void stops(void **state)
{
        struct world *w = *state;

        begin_registered(w);
        assert_int_equal(mete_scheduler_revive(w->scheduler, NULL, 0), 0);
        peer_send(&w->peer, UPDATE("TASK_FINISHED", UUID ",\"message\":\"stop\""));
        assert_int_equal(mete_scheduler_join(w->scheduler, &w->error), 0);
        lines_wait(&w->lines, "REVIVE");
        lines_wait(&w->lines, "ACKNOWLEDGE");
        assert_int_equal(lines_count(&w->lines, "TEARDOWN"), 0);
        assert_int_equal(lines_count(&w->lines, "disconnected"), 0);
        assert_int_equal(mete_scheduler_revive(w->scheduler, NULL, 0), -ENOTCONN);
}

static void stop_does_not_wait_for_ever(void **state)
{
        struct world *w = *state;

        w->options.stop_timeout_ms = 20;
        begin_registered(w);
        peer_do(&w->peer, answer_now, "0");
        assert_int_equal(mete_scheduler_revive(w->scheduler, NULL, 0), 0);
        lines_wait(&w->lines, "REVIVE");
        mete_scheduler_stop(w->scheduler);
        assert_int_equal(mete_scheduler_join(w->scheduler, NULL), 0);
        assert_int_equal(lines_count(&w->lines, "disconnected"), 0); /* nor for the call's own timeout */
}

static void teardown(void **state)
{
        struct world *w = *state;

        begin_registered(w);
        assert_int_equal(mete_scheduler_teardown(w->scheduler), 0);
        assert_int_equal(mete_scheduler_join(w->scheduler, NULL), 0);
        lines_wait(&w->lines, "TEARDOWN");
}

/* The master's last word on a framework that ends itself is no error of it. */
static void teardown_and_its_echo(void **state)
{
        struct world *w = *state;

        begin_registered(w);
        peer_do(&w->peer, answer_now, "0");
        assert_int_equal(mete_scheduler_teardown(w->scheduler), 0);
        lines_wait(&w->lines, "TEARDOWN");
        peer_send(&w->peer, "{\"type\":\"ERROR\",\"error\":{\"message\":\"removed\"}}");
        assert_int_equal(mete_scheduler_join(w->scheduler, NULL), 0);
        assert_int_equal(lines_count(&w->lines, "error:"), 0);
}

/* On the caller's thread, stopped from another one before it even connects. */
static void runs_on_the_callers_thread(void **state)
{
        struct world *w = *state;

        assert_int_equal(mete_scheduler_new(&w->options, &w->scheduler, NULL), 0);
        mete_scheduler_stop(w->scheduler);
        assert_int_equal(mete_scheduler_run(w->scheduler, NULL), 0);
        assert_int_equal(mete_scheduler_teardown(w->scheduler), -ENOTCONN);
}

static void *many_calls(void *userdata)
{
        for (int i = 0; i < 200; i++)
                assert_int_equal(mete_scheduler_revive(userdata, NULL, 0), 0);
        return NULL;
}

static void called_from_many_threads(void **state)
{
        struct world *w = *state;
        pthread_t threads[4];

        begin_registered(w);
        for (size_t i = 0; i < ELEMENTSOF(threads); i++)
                assert_int_equal(pthread_create(&threads[i], NULL, many_calls, w->scheduler), 0);
        for (size_t i = 0; i < ELEMENTSOF(threads); i++)
                assert_int_equal(pthread_join(threads[i], NULL), 0);
        mete_scheduler_stop(w->scheduler);
        assert_int_equal(mete_scheduler_join(w->scheduler, NULL), 0);
        assert_int_equal(lines_count(&w->lines, "REVIVE"), 800);
}

static void says_who_it_is(void **state)
{
        struct world *w = *state;

        w->options.principal = "me";
        w->options.secret = "secret";
        begin_registered(w);
        assert_int_equal(mete_scheduler_revive(w->scheduler, NULL, 0), 0);
        lines_wait(&w->lines,
                "[Basic bWU6c2VjcmV0] {\"framework_id\":{\"value\":\"fw-0000\"},\"type\":\"REVIVE\"");
        assert_int_equal(lines_count(&w->lines, "[Basic bWU6c2VjcmV0]"), 2);
}

/* A changed FrameworkInfo is what the next subscription says too. */
static void keeps_updates_of_the_framework(void **state)
{
        struct world *w = *state;
        Mete__V1__Scheduler__Call call = METE__V1__SCHEDULER__CALL__INIT;
        Mete__V1__Scheduler__Call__UpdateFramework update = METE__V1__SCHEDULER__CALL__UPDATE_FRAMEWORK__INIT;
        Mete__V1__FrameworkInfo *info = mete_framework_new("renamed", "nobody");

        begin_registered(w);
        update.framework_info = info;
        call.has_type = true;
        call.type = METE__V1__SCHEDULER__CALL__TYPE__UPDATE_FRAMEWORK;
        call.update_framework = &update;
        assert_int_equal(mete_scheduler_call(w->scheduler, &call), 0);
        mete_message_free(info);
        lines_wait(&w->lines, "UPDATE_FRAMEWORK");
        peer_do(&w->peer, peer_close_now, NULL);
        lines_wait(&w->lines, "\"name\":\"renamed\",\"id\":{\"value\":\"fw-0000\"}");
        lines_wait(&w->lines, "reregistered");
}

static void expect_refused_options(const struct mete_scheduler_options *o, const char *text)
{
        struct mete_scheduler *s = NULL;
        struct mete_error e = {0};

        assert_int_equal(mete_scheduler_new(o, &s, &e), -EINVAL);
        assert_int_equal(e.code, -EINVAL);
        if (!strstr(e.message, text))
                fail_msg("expected '%s' in: %s", text, e.message);
        assert_null(s);
}

static void bad_options(void **state)
{
        struct world *w = *state;
        struct mete_scheduler_options o = w->options;

        o.size = 3;
        expect_refused_options(&o, "options.size");
        o = w->options;
        o.callbacks.size = 0;
        expect_refused_options(&o, "options.callbacks.size");
        o = w->options;
        o.framework = NULL;
        expect_refused_options(&o, "framework");
        o = w->options;
        o.master = "zk://h:1/mesos";
        expect_refused_options(&o, "HOST:PORT");
        o.master = "a:1,,b:2";
        expect_refused_options(&o, "the address is empty");
        o.master = "a:99999";
        expect_refused_options(&o, "port");
        o = w->options;
        o.principal = "alone";
        expect_refused_options(&o, "principal and secret");
        expect_refused_options(NULL, "options.size");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(events_in_protobuf),
                TEST(events_in_json),
                TEST(every_call),
                TEST(calls_that_make_no_sense),
                TEST(acknowledged_by_itself),
                TEST(acknowledged_by_hand),
                TEST(comes_back),
                TEST(fails_over),
                TEST(refused_for_good),
                TEST(waits_for_a_leader),
                TEST(follows_redirects),
                TEST(redirected_in_circles),
                TEST(notices_silence),
                TEST(notices_silence_before_the_first_event),
                TEST(bad_records),
                TEST(refused_calls),
                TEST(bounded_queue),
                TEST(stops),
                TEST(stop_does_not_wait_for_ever),
                TEST(teardown),
                TEST(teardown_and_its_echo),
                TEST(runs_on_the_callers_thread),
                TEST(called_from_many_threads),
                TEST(says_who_it_is),
                TEST(keeps_updates_of_the_framework),
                TEST(bad_options),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
