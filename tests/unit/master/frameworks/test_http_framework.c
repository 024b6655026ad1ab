/* What reaches a scheduler, and what becomes of it and of its tasks: a framework on a socket, a pretended agent, a real master. */
#include "tests/unit/master/api/scheduler_client.h"

#include "lib/linux/users.h"
#include "master/core.h"
#include "master/frameworks/http_framework.h"

#define NOBODY 65534

/* ---- without a master ---- */

static void test_states(void **state)
{
        struct framework plain = {}, aware = {}, killing = {};
        static const struct {
                Mete__V1__TaskState state, plain;
        } translated[] = {
                {METE__V1__TASK_STATE__TASK_DROPPED, METE__V1__TASK_STATE__TASK_LOST},
                {METE__V1__TASK_STATE__TASK_UNREACHABLE, METE__V1__TASK_STATE__TASK_LOST},
                {METE__V1__TASK_STATE__TASK_GONE, METE__V1__TASK_STATE__TASK_LOST},
                {METE__V1__TASK_STATE__TASK_GONE_BY_OPERATOR, METE__V1__TASK_STATE__TASK_LOST},
                {METE__V1__TASK_STATE__TASK_UNKNOWN, METE__V1__TASK_STATE__TASK_LOST},
                {METE__V1__TASK_STATE__TASK_KILLING, METE__V1__TASK_STATE__TASK_RUNNING},
        };

        aware.capabilities = 1u << METE__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__PARTITION_AWARE;
        killing.capabilities = 1u << METE__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__TASK_KILLING_STATE;
        for (int s = 0; s <= METE__V1__TASK_STATE__TASK_UNKNOWN; s++) {
                Mete__V1__TaskState want = (Mete__V1__TaskState)s;

                for (size_t i = 0; i < ELEMENTSOF(translated); i++)
                        if (translated[i].state == want)
                                want = translated[i].plain;
                assert_int_equal(framework_state_of_task(&plain, (Mete__V1__TaskState)s), want);
                assert_int_equal(framework_state_of_task(&aware, (Mete__V1__TaskState)s),
                        s == METE__V1__TASK_STATE__TASK_KILLING ? METE__V1__TASK_STATE__TASK_RUNNING : s);
                assert_int_equal(framework_state_of_task(&killing, (Mete__V1__TaskState)s),
                        s == METE__V1__TASK_STATE__TASK_KILLING ? s : (int)want);
        }
}

static void test_isolation(void **state)
{
        struct master m = {};
        struct framework f = {.master = &m};
        char key[] = "mete.network", none[] = "none", host[] = "host";
        Mete__V1__Label label = METE__V1__LABEL__INIT, *list[] = {&label};
        Mete__V1__Labels labels = METE__V1__LABELS__INIT;
        Mete__V1__TaskInfo task = METE__V1__TASK_INFO__INIT;
        Mete__V1__ExecutorInfo executor = METE__V1__EXECUTOR_INFO__INIT;
        const Mete__Api__Isolation *i;

        assert_int_equal(loop_new(&m.loop, NULL), 0);
        f.http = http_framework_new(&f);
        label.key = key;
        label.value = none;
        labels.labels = list;
        labels.n_labels = 1;
        assert_int_equal(
                http_framework_ops.isolation(&f, &task, NULL)->network, METE__API__ISOLATION__NETWORK__HOST);
        task.labels = &labels;
        assert_int_equal(
                http_framework_ops.isolation(&f, &task, NULL)->network, METE__API__ISOLATION__NETWORK__NONE);
        label.value = host;
        assert_int_equal(
                http_framework_ops.isolation(&f, &task, NULL)->network, METE__API__ISOLATION__NETWORK__HOST);
        label.value = none;
        executor.labels = &labels;
        i = http_framework_ops.isolation(&f, NULL, &executor);
        assert_int_equal(i->network, METE__API__ISOLATION__NETWORK__NONE);
        assert_null(i->user);
        assert_false(i->has_path_uid);
        /* Somebody without privileges runs as themselves, by number, and opens files as such. */
        http_framework_set_owner(f.http, 1000, 100);
        for (int n = 0; n < 2; n++) {
                i = http_framework_ops.isolation(&f, n ? &task : NULL, NULL);
                assert_string_equal(i->user, "1000:100");
                assert_true(i->has_path_uid && i->path_uid == 1000);
                assert_true(i->has_path_gid && i->path_gid == 100);
        }
        http_framework_set_privileged(f.http);
        assert_null(http_framework_ops.isolation(&f, &task, NULL)->user);
        http_framework_free(f.http);
        loop_free(m.loop);
}

/* ---- offers ---- */

static Mete__V1__Offer *first_offer(Mete__V1__Scheduler__Event *event)
{
        assert_int_equal(event->offers->n_offers, 1);
        return event->offers->offers[0];
}

static void test_offers_and_rescind(void **state)
{
        struct cluster c = {};

        cluster_start(&c);
        subscribe(&c, NULL, 0);
        for (int codec = 0; codec < CODEC_MAX; codec++) {
                struct scheduler s = subscribe_as(&c, (enum codec)codec, NULL, "");
                Mete__V1__Scheduler__Event *event =
                                                   expect_event(&s, METE__V1__SCHEDULER__EVENT__TYPE__OFFERS),
                                           *rescind;

                assert_string_equal(first_offer(event)->agent_id->value, c.agent_id);
                assert_string_equal(first_offer(event)->framework_id->value, s.id);
                /* The agent comes anew: what was offered of it is not so any more. */
                subscribe(&c, NULL, 0);
                rescind = expect_event(&s, METE__V1__SCHEDULER__EVENT__TYPE__RESCIND);
                assert_string_equal(rescind->rescind->offer_id->value, first_offer(event)->id->value);
                message_free(rescind);
                message_free(event);
                /* And is offered again. */
                event = expect_event(&s, METE__V1__SCHEDULER__EVENT__TYPE__OFFERS);
                message_free(event);
                assert_int_equal(call_as(&c, &s, "\"type\":\"TEARDOWN\""), 202);
                scheduler_done(&s);
        }
        cluster_stop(&c);
}

/* What one had is free for the next when its stream breaks, and when it is taken over. */
static void test_offers_are_withdrawn(void **state)
{
        struct cluster c = {};
        struct scheduler s, again, other;

        cluster_start(&c);
        subscribe(&c, NULL, 0);
        s = subscribe_as(&c, CODEC_JSON, NULL, ",\"failover_timeout\":1000");
        message_free(expect_event(&s, METE__V1__SCHEDULER__EVENT__TYPE__OFFERS));
        again = subscribe_as(&c, CODEC_JSON, s.id, ",\"failover_timeout\":1000");
        expect_error_and_end(&s, "Framework failed over"); /* and no RESCIND */
        message_free(expect_event(&again, METE__V1__SCHEDULER__EVENT__TYPE__OFFERS));
        other = subscribe_as(&c, CODEC_JSON, NULL, "");
        wire_close(&again.wire);
        message_free(expect_event(&other, METE__V1__SCHEDULER__EVENT__TYPE__OFFERS));
        scheduler_done(&s);
        scheduler_done(&again);
        scheduler_done(&other);
        cluster_stop(&c);
}

static void test_suppressed(void **state)
{
        struct cluster c = {};
        struct scheduler s;
        struct answer a;
        Mete__V1__Scheduler__Event *event;

        cluster_start(&c);
        a = start_stream(&s, &c, CODEC_JSON, NULL,
                "{\"type\":\"SUBSCRIBE\",\"subscribe\":{\"suppressed_roles\":[\"*\"],\"framework_info\":{"
                "\"user\":\"root\","
                "\"name\":\"x\"}}}");
        answer_done(&a);
        event = next_event(&s);
        s.id = xstrdup(event->subscribed->framework_id->value);
        s.headers = xasprintf("Mesos-Stream-Id: %s\r\n", s.stream_id);
        message_free(event);
        subscribe(&c, NULL, 0);
        /* An update that no longer names the role lifts it. Nothing was offered before: the next event is not an older offer's RESCIND. */
        _cleanup_free_ char *update =
                xasprintf("\"type\":\"UPDATE_FRAMEWORK\",\"update_framework\":{\"framework_info\":{\"user\":"
                          "\"root\",\"name\":\"x\",\"id\":{"
                          "\"value\":\"%s\"}}}",
                        s.id);
        _cleanup_free_ char *roles =
                xasprintf("\"type\":\"UPDATE_FRAMEWORK\",\"update_framework\":{\"framework_info\":{\"user\":"
                          "\"root\",\"name\":\"x\",\"role\":"
                          "\"other\",\"id\":{\"value\":\"%s\"}}}",
                        s.id);

        assert_int_equal(call_as(&c, &s, update), 200);
        message_free(expect_event(&s, METE__V1__SCHEDULER__EVENT__TYPE__OFFERS));
        /* A role that it leaves takes its offers along. */
        assert_int_equal(call_as(&c, &s, roles), 200);
        message_free(expect_event(&s, METE__V1__SCHEDULER__EVENT__TYPE__RESCIND));
        message_free(expect_event(&s, METE__V1__SCHEDULER__EVENT__TYPE__OFFERS));
        scheduler_done(&s);
        cluster_stop(&c);
}

/* ---- tasks ---- */

/* On the whole of the next offer. */
static void launch(struct cluster *c, struct scheduler *s, const char *task)
{
        Mete__V1__Scheduler__Event *event = expect_event(s, METE__V1__SCHEDULER__EVENT__TYPE__OFFERS);
        const Mete__V1__Offer *o = first_offer(event);
        _cleanup_free_ char *accept = xasprintf(
                "\"type\":\"ACCEPT\",\"accept\":{\"offer_ids\":[{\"value\":\"%s\"}],\"operations\":[{"
                "\"type\":\"LAUNCH\","
                "\"launch\":{\"task_infos\":[{\"name\":\"t\",\"task_id\":{\"value\":\"%s\"},\"agent_id\":{"
                "\"value\":\"%s\"},"
                "\"command\":{\"value\":\"true\"},\"resources\":[{\"name\":\"cpus\",\"type\":\"SCALAR\","
                "\"scalar\":{"
                "\"value\":1.0}},{\"name\":\"mem\",\"type\":\"SCALAR\",\"scalar\":{\"value\":32.0}}]}]}}]}",
                o->id->value, task, o->agent_id->value);

        assert_int_equal(call_as(c, s, accept), 202);
        message_free(event);
        WAIT_FOR(c, has_seen(&c->launched, task));
}

/* From the agent, without waiting for an acknowledgement: the scheduler's is due. */
static void send_update(struct cluster *c, const char *task, Mete__V1__TaskState task_state, uint8_t byte)
{
        Mete__Agent__Call m = METE__AGENT__CALL__INIT;
        Mete__Agent__StatusUpdate u = METE__AGENT__STATUS_UPDATE__INIT;
        Mete__V1__TaskStatus status = METE__V1__TASK_STATUS__INIT;
        Mete__V1__FrameworkID framework = METE__V1__FRAMEWORK_ID__INIT;
        Mete__V1__TaskID id = METE__V1__TASK_ID__INIT;
        uint8_t uuid[UUID_BYTES];

        memset(uuid, byte, sizeof(uuid));
        framework.value = c->framework_id;
        id.value = (char *)task;
        status.task_id = &id;
        status.state = task_state;
        status.has_uuid = true;
        status.uuid = (ProtobufCBinaryData){sizeof(uuid), uuid};
        u.framework_id = &framework;
        u.status = &status;
        m.type = METE__AGENT__CALL__TYPE__UPDATE;
        m.update = &u;
        c->status = 0;
        agent_post(c, &m);
        (void)post(c, "GET", "/health", NULL, ""); /* the loop runs: the update is on its way */
}

static void test_update(void **state)
{
        struct cluster c = {};

        cluster_start(&c);
        subscribe(&c, NULL, 0);
        for (int codec = 0; codec < CODEC_MAX; codec++) {
                struct scheduler s = subscribe_as(&c, (enum codec)codec, NULL, "");
                const char *task = codec == CODEC_JSON ? "json" : "protobuf";
                Mete__V1__Scheduler__Event *event;
                const Mete__V1__TaskStatus *status;

                launch(&c, &s, task);
                send_update(&c, task, METE__V1__TASK_STATE__TASK_RUNNING, 7);
                event = expect_event(&s, METE__V1__SCHEDULER__EVENT__TYPE__UPDATE);
                status = event->update->status;
                assert_string_equal(status->task_id->value, task);
                assert_string_equal(status->agent_id->value, c.agent_id);
                assert_int_equal(status->state, METE__V1__TASK_STATE__TASK_RUNNING);
                assert_int_equal(status->uuid.len, UUID_BYTES);
                assert_int_equal(status->uuid.data[0], 7);
                message_free(event);
                assert_int_equal(call_as(&c, &s, "\"type\":\"TEARDOWN\""), 202);
                scheduler_done(&s);
        }
        cluster_stop(&c);
}

static void expect_killed(struct cluster *c, const char *id)
{
        _cleanup_free_ char *path = xasprintf("/frameworks?framework_id=%s", id);

        assert_int_equal(post(c, "GET", path, "application/json", ""), 200);
        if (!strstr(c->body, "TASK_KILLED"))
                fail_msg("%s", c->body);
}

/* The agent is told, the task is over, its resources go to the next; an agent that comes back with it is told again. */
static void test_teardown_ends_tasks(void **state)
{
        struct cluster c = {};
        const struct report running[] = {{"t", METE__V1__TASK_STATE__TASK_RUNNING}};
        struct scheduler s, other;

        cluster_start(&c);
        subscribe(&c, NULL, 0);
        s = subscribe_as(&c, CODEC_JSON, NULL, ",\"failover_timeout\":1000");
        launch(&c, &s, "t");
        assert_int_equal(call_as(&c, &s, "\"type\":\"TEARDOWN\""), 202);
        WAIT_FOR(&c, has_seen(&c.shut_down, s.id));
        expect_killed(&c, s.id);
        other = subscribe_as(&c, CODEC_JSON, NULL, "");
        Mete__V1__Scheduler__Event *event = expect_event(&other, METE__V1__SCHEDULER__EVENT__TYPE__OFFERS);
        bool whole = false;

        for (size_t i = 0; i < first_offer(event)->n_resources; i++)
                whole |= str_equal(first_offer(event)->resources[i]->name, "cpus") &&
                         first_offer(event)->resources[i]->scalar->value == 4.0;
        assert_true(whole);
        message_free(event);
        forget_seen(&c.shut_down);
        c.report_framework = true;
        subscribe(&c, running, 1);
        WAIT_FOR(&c, has_seen(&c.shut_down, s.id));
        scheduler_done(&s);
        scheduler_done(&other);
        cluster_stop(&c);
}

/* The failover timeout does what a teardown does. */
static void test_timeout_ends_tasks(void **state)
{
        struct cluster c = {};
        struct scheduler s;

        cluster_start(&c);
        subscribe(&c, NULL, 0);
        s = subscribe_as(&c, CODEC_JSON, NULL, ",\"failover_timeout\":0.001");
        launch(&c, &s, "t");
        wire_close(&s.wire);
        WAIT_FOR(&c, has_seen(&c.shut_down, s.id));
        expect_killed(&c, s.id);
        scheduler_done(&s);
        cluster_stop(&c);
}

/* Tasks outlive the stream: who comes back finds them. */
static void test_tasks_are_kept(void **state)
{
        struct cluster c = {};
        struct scheduler s, again;
        Mete__V1__Scheduler__Event *event;

        cluster_start(&c);
        subscribe(&c, NULL, 0);
        s = subscribe_as(&c, CODEC_JSON, NULL, ",\"failover_timeout\":1000");
        launch(&c, &s, "t");
        wire_close(&s.wire);
        wait_for_status(&c, &s, 403);
        again = subscribe_as(&c, CODEC_PROTOBUF, s.id, ",\"failover_timeout\":1000");
        send_update(&c, "t", METE__V1__TASK_STATE__TASK_RUNNING, 1);
        for (;;) { /* offers of the rest come too */
                event = next_event(&again);
                assert_non_null(event);
                if (event->update)
                        break;
                message_free(event);
        }
        assert_string_equal(event->update->status->task_id->value, "t");
        assert_int_equal(c.shut_down.count, 0);
        message_free(event);
        scheduler_done(&s);
        scheduler_done(&again);
        cluster_stop(&c);
}

/* ---- recovered from agents ---- */

static void fill_info(Mete__V1__FrameworkInfo *info, Mete__V1__FrameworkID *id)
{
        static char name[] = "old", user[] = "root", value[] = "recovered-0001";

        mete__v1__framework_info__init(info);
        mete__v1__framework_id__init(id);
        info->name = name;
        info->user = user;
        info->id = id;
        info->has_checkpoint = info->checkpoint = true;
        id->value = value;
}

static void recover_one(struct master *m)
{
        Mete__V1__FrameworkInfo info;
        Mete__V1__FrameworkID id;

        fill_info(&info, &id);
        assert_non_null(framework_recover(m, &info));
}

static void test_recovered(void **state)
{
        struct cluster c = {.prepare = recover_one};
        struct scheduler s;

        cluster_start(&c);
        assert_int_equal(
                scheduler_call_status(&c, CODEC_JSON, "", "recovered-0001", "\"type\":\"REVIVE\""), 403);
        s = subscribe_as(&c, CODEC_JSON, "recovered-0001", "");
        /* What the agents know of user and checkpoint stays. */
        assert_int_equal(
                call_as(&c, &s,
                        "\"type\":\"UPDATE_FRAMEWORK\",\"update_framework\":{\"framework_info\":{\"user\":"
                        "\"root\","
                        "\"name\":\"x\",\"checkpoint\":true,\"id\":{\"value\":\"recovered-0001\"}}}"),
                200);
        scheduler_done(&s);
        cluster_stop(&c);
}

/* It had no failover timeout of its own: it gets as long as agents do. */
static void test_recovered_is_not_kept_for_ever(void **state)
{
        struct cluster c = {.prepare = recover_one, .reregister_ns = 50 * NSEC_PER_MSEC};
        struct scheduler s = {.codec = CODEC_JSON};

        cluster_start(&c);
        s.id = xstrdup("recovered-0001");
        s.headers = xstrdup("");
        s.wire.fd = -1;
        wait_for_status(&c, &s, 400);
        scheduler_done(&s);
        cluster_stop(&c);
}

/* As soon as somebody has subscribed with the id, an agent says whose it is. */
static void recover_later(struct loop_timer *t, void *userdata)
{
        struct framework *f = framework_find(userdata, "recovered-0001");

        if (f && f->state == FRAMEWORK_ACTIVE && !f->privileged) {
                loop_timer_disarm(t);
                recover_one(userdata);
        }
}

static void prepare_recover_later(struct master *m)
{
        loop_timer_arm(loop_timer_new(m->loop, recover_later, m), NSEC_PER_MSEC, NSEC_PER_MSEC);
}

static void test_squatter_is_evicted(void **state)
{
        struct cluster c = {.prepare = prepare_recover_later};
        _cleanup_free_ char *name = users_host_name(NOBODY);
        _cleanup_free_ char *json =
                xasprintf("{\"framework_id\":{\"value\":\"recovered-0001\"},\"type\":\"SUBSCRIBE\","
                          "\"subscribe\":{\"framework_info\":{"
                          "\"user\":\"%s\",\"name\":\"x\",\"id\":{\"value\":\"recovered-0001\"}}}}",
                        name ? name : "65534");
        Mete__V1__Scheduler__Event *event;
        struct scheduler s;
        struct answer a;

        if (geteuid() != 0) {
                print_message("needs root: without it the master takes everybody for root\n");
                skip();
        }
        cluster_start(&c);
        assert_int_equal(seteuid(NOBODY), 0);
        a = start_stream(&s, &c, CODEC_JSON, NULL, json);
        assert_int_equal(seteuid(0), 0);
        answer_done(&a);
        event = next_event(&s);
        assert_int_equal(event->type, METE__V1__SCHEDULER__EVENT__TYPE__SUBSCRIBED);
        message_free(event);
        expect_error_and_end(&s, "another user's");
        scheduler_done(&s);
        /* Its owner finds it. */
        s = subscribe_as(&c, CODEC_JSON, "recovered-0001", "");
        assert_int_equal(call_as(&c, &s, "\"type\":\"REVIVE\""), 202);
        scheduler_done(&s);
        cluster_stop(&c);
}

/* ---- large events, and a peer that does not read ---- */

#define LARGE (3u << 20)

static struct framework *first_connected(struct master *m)
{
        return m->streams ? m->streams->framework : NULL;
}

static bool send_large(struct framework *f, size_t len)
{
        static uint8_t data[LARGE];
        Mete__V1__Scheduler__Event event = METE__V1__SCHEDULER__EVENT__INIT;
        Mete__V1__Scheduler__Event__Message message = METE__V1__SCHEDULER__EVENT__MESSAGE__INIT;
        Mete__V1__AgentID agent = METE__V1__AGENT_ID__INIT;
        Mete__V1__ExecutorID executor = METE__V1__EXECUTOR_ID__INIT;
        char id[] = "x";

        for (size_t i = 0; i < len; i++)
                data[i] = (uint8_t)(i * 31);
        agent.value = executor.value = id;
        message.agent_id = &agent;
        message.executor_id = &executor;
        message.data = (ProtobufCBinaryData){len, data};
        event.has_type = true;
        event.type = METE__V1__SCHEDULER__EVENT__TYPE__MESSAGE;
        event.message = &message;
        return http_framework_send(f, &event);
}

static void send_sizes(struct loop_timer *t, void *userdata)
{
        static const size_t sizes[] = {65535, 65536, 65537, 100000, 1u << 20, LARGE};
        struct framework *f = first_connected(userdata);

        if (!f)
                return;
        loop_timer_disarm(t);
        for (size_t i = 0; i < ELEMENTSOF(sizes); i++)
                if (!send_large(f, sizes[i]))
                        _exit(3);
}

static void prepare_sizes(struct master *m)
{
        loop_timer_arm(loop_timer_new(m->loop, send_sizes, m), NSEC_PER_MSEC, NSEC_PER_MSEC);
}

static void test_large_events(void **state)
{
        static const size_t sizes[] = {65535, 65536, 65537, 100000, 1u << 20, LARGE};

        for (int codec = 0; codec < CODEC_MAX; codec++) {
                struct cluster c = {.prepare = prepare_sizes};
                struct scheduler s;

                cluster_start(&c);
                s = subscribe_as(&c, (enum codec)codec, NULL, "");
                for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
                        Mete__V1__Scheduler__Event *event =
                                expect_event(&s, METE__V1__SCHEDULER__EVENT__TYPE__MESSAGE);

                        assert_int_equal(event->message->data.len, sizes[i]);
                        assert_int_equal(
                                event->message->data.data[sizes[i] - 1], (uint8_t)((sizes[i] - 1) * 31));
                        message_free(event);
                }
                scheduler_done(&s);
                cluster_stop(&c);
        }
}

static void flood(struct loop_timer *t, void *userdata)
{
        struct framework *f = first_connected(userdata);

        if (f)
                (void)send_large(f, LARGE);
}

static void prepare_flood(struct master *m)
{
        loop_timer_arm(loop_timer_new(m->loop, flood, m), NSEC_PER_MSEC, NSEC_PER_MSEC);
}

static void test_stalled_reader(void **state)
{
        struct cluster c = {.prepare = prepare_flood};
        struct scheduler s;
        size_t got = 0;

        cluster_start(&c);
        s = subscribe_as(&c, CODEC_PROTOBUF, NULL, ",\"failover_timeout\":1000");
        /* It reads nothing: it is cut, and the master goes on. */
        wait_for_status(&c, &s, 403);
        assert_int_equal(post(&c, "GET", "/health", "application/json", ""), 200);
        /* What waited was bounded: whole records, then the end. The sockets' buffers hold some. */
        for (;;) {
                Mete__V1__Scheduler__Event *event = next_event(&s);

                if (!event)
                        break;
                got += event->message ? event->message->data.len : 0;
                message_free(event);
        }
        assert_true(got >= 8u << 20);
        assert_true(got <= 32u << 20);
        scheduler_done(&s);
        cluster_stop(&c);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_states),
                cmocka_unit_test(test_isolation),
                cmocka_unit_test(test_offers_and_rescind),
                cmocka_unit_test(test_offers_are_withdrawn),
                cmocka_unit_test(test_suppressed),
                cmocka_unit_test(test_update),
                cmocka_unit_test(test_teardown_ends_tasks),
                cmocka_unit_test(test_timeout_ends_tasks),
                cmocka_unit_test(test_tasks_are_kept),
                cmocka_unit_test(test_recovered),
                cmocka_unit_test(test_recovered_is_not_kept_for_ever),
                cmocka_unit_test(test_squatter_is_evicted),
                cmocka_unit_test(test_large_events),
                cmocka_unit_test(test_stalled_reader),
        };

        (void)signal(SIGPIPE, SIG_IGN);
        return cmocka_run_group_tests_name("http framework", tests, NULL, NULL);
}
