/* Subscriptions: greeting, refusals, failover, time limits, teardown, changes. */
#include "tests/unit/master/api/scheduler_client.h"

#include "lib/linux/users.h"

#define NOBODY 65534

static void send_subscribe(struct scheduler *s, const struct cluster *c, enum codec codec, const char *json)
{
        struct answer a = start_stream(s, c, codec, NULL, json);
        _cleanup_free_ char *type = answer_header(&a, "Content-Type");
        _cleanup_free_ char *coding = answer_header(&a, "Transfer-Encoding");
        _cleanup_free_ char *length = answer_header(&a, "Content-Length");
        uint8_t uuid[UUID_BYTES];

        assert_int_equal(a.status, 200);
        assert_string_equal(type, codec_content_type(codec));
        assert_string_equal(coding, "chunked");
        assert_null(length);
        assert_int_equal(uuid_parse(s->stream_id, uuid), 0);
        answer_done(&a);
}

static void expect_refusal(const struct cluster *c, const char *json, const char *text)
{
        for (int codec = 0; codec < CODEC_MAX; codec++) {
                struct scheduler s;

                send_subscribe(&s, c, (enum codec)codec, json);
                expect_error_and_end(&s, text);
                scheduler_done(&s);
        }
}

/* With this id. */
static void expect_id_refused(const struct cluster *c, const char *id, const char *members, const char *text)
{
        _cleanup_free_ char *json =
                xasprintf("{\"framework_id\":{\"value\":\"%s\"},\"type\":\"SUBSCRIBE\",\"subscribe\":{"
                          "\"framework_info\":{"
                          "\"user\":\"root\",\"name\":\"x\",\"id\":{\"value\":\"%s\"}%s}}}",
                        id, id, members);

        expect_refusal(c, json, text);
}

/* ---- the greeting ---- */

static void test_greeting(void **state)
{
        struct cluster c = {.heartbeat_ns = 20 * NSEC_PER_MSEC};

        cluster_start(&c);
        for (int codec = 0; codec < CODEC_MAX; codec++) {
                struct scheduler s;
                Mete__V1__Scheduler__Event *event;
                const Mete__V1__MasterInfo *m;
                _cleanup_free_ char *pid = xasprintf("master@127.0.0.1:%u", c.port);
                struct in_addr ip;

                send_subscribe(&s, &c, (enum codec)codec,
                        "{\"type\":\"SUBSCRIBE\",\"subscribe\":{\"framework_info\":{\"user\":\"root\","
                        "\"name\":\"x\"}}}");
                event = next_event(&s);
                assert_int_equal(event->type, METE__V1__SCHEDULER__EVENT__TYPE__SUBSCRIBED);
                assert_true(event->subscribed->has_heartbeat_interval_seconds);
                assert_true(event->subscribed->heartbeat_interval_seconds == 0.02);
                m = event->subscribed->master_info;
                assert_string_equal(m->pid, pid);
                assert_int_equal(m->port, c.port);
                assert_int_equal(inet_pton(AF_INET, "127.0.0.1", &ip), 1);
                assert_int_equal(m->ip, ip.s_addr);
                assert_string_equal(m->address->ip, "127.0.0.1");
                assert_int_equal(m->address->port, c.port);
                assert_non_null(m->hostname);
                assert_string_equal(m->address->hostname, m->hostname);
                assert_string_equal(m->version, METE_VERSION);
                assert_true(m->n_capabilities > 0);
                assert_int_equal(strlen(m->id), UUID_TEXT_MAX - 1);
                assert_true(str_has_prefix(event->subscribed->framework_id->value, m->id));
                message_free(event);
                for (int i = 0; i < 5; i++) {
                        event = next_event(&s);
                        assert_int_equal(event->type, METE__V1__SCHEDULER__EVENT__TYPE__HEARTBEAT);
                        message_free(event);
                }
                scheduler_done(&s);
        }
        cluster_stop(&c);
}

static void test_default_interval(void **state)
{
        struct cluster c = {};
        struct scheduler s;
        Mete__V1__Scheduler__Event *event;

        cluster_start(&c);
        send_subscribe(&s, &c, CODEC_JSON,
                "{\"type\":\"SUBSCRIBE\",\"subscribe\":{\"framework_info\":{\"user\":\"root\",\"name\":\"x\"}"
                "}}");
        event = next_event(&s);
        assert_true(event->subscribed->heartbeat_interval_seconds == 15.0);
        message_free(event);
        scheduler_done(&s);
        cluster_stop(&c);
}

/* ---- refusals ---- */

static void test_invalid_info(void **state)
{
        static const struct {
                const char *members, *rest, *text;
        } invalid[] = {
                {",\"roles\":[\"a\"]", "", "framework_info.roles"},
                {",\"role\":\"a\",\"capabilities\":[{\"type\":\"MULTI_ROLE\"}]", "", "framework_info.role "},
                {",\"role\":\"a b\"", "", "white space"},
                {",\"failover_timeout\":-1.0", "", "failover_timeout"},
                {",\"offer_filters\":{\"b\":{}}", "", "offer_filters"},
                {"", ",\"suppressed_roles\":[\"b\"]", "suppressed_roles"},
                {"", ",\"offer_constraints\":{\"role_constraints\":{\"b\":{}}}", "offer_constraints"},
                {"",
                        ",\"offer_constraints\":{\"role_constraints\":{\"*\":{\"groups\":[{\"attribute_"
                        "constraints\":[{"
                        "\"selector\":{\"attribute_name\":\"a\"},\"predicate\":{\"text_matches\":{\"regex\":"
                        "\"(\"}}}]}]}}}",
                        ""},
        };
        struct cluster c = {};
        struct scheduler s;
        _cleanup_free_ char *first = NULL;

        cluster_start(&c);
        for (size_t i = 0; i < ELEMENTSOF(invalid); i++) {
                _cleanup_free_ char *json =
                        xasprintf("{\"type\":\"SUBSCRIBE\",\"subscribe\":{\"framework_info\":{"
                                  "\"user\":\"root\",\"name\":\"x\"%s}%s}}",
                                invalid[i].members, invalid[i].rest);

                expect_refusal(&c, json, invalid[i].text);
        }
        expect_id_refused(&c, "a/b", "", "framework_info.id");
        /* What was refused has left nothing behind: known, it would be 403. */
        s = subscribe_as(&c, CODEC_JSON, NULL, "");
        first = xasprintf("%.*s-0001", UUID_TEXT_MAX - 1, s.id);
        assert_string_not_equal(first, s.id);
        assert_int_equal(scheduler_call_status(&c, CODEC_JSON, "", first, "\"type\":\"REVIVE\""), 400);
        scheduler_done(&s);
        cluster_stop(&c);
}

static void test_queue_id(void **state)
{
        struct cluster c = {};
        struct scheduler s;
        _cleanup_free_ char *id = NULL;

        cluster_start(&c);
        s = subscribe_as(&c, CODEC_JSON, NULL, "");
        id = xasprintf("%.*s-0000", UUID_TEXT_MAX - 1, s.id);
        expect_id_refused(&c, id, "", "the master's own");
        scheduler_done(&s);
        cluster_stop(&c);
}

/* ---- users ---- */

/* A socket belongs to who made it. */
static struct scheduler subscribe_from(
        const struct cluster *c, uid_t uid, const char *id, const char *user, bool want, const char *text)
{
        _cleanup_free_ char *outer = id ? xasprintf("\"framework_id\":{\"value\":\"%s\"},", id) : xstrdup("");
        _cleanup_free_ char *inner = id ? xasprintf(",\"id\":{\"value\":\"%s\"}", id) : xstrdup("");
        _cleanup_free_ char *json = xasprintf("{%s\"type\":\"SUBSCRIBE\",\"subscribe\":{\"framework_info\":{"
                                              "\"user\":\"%s\",\"name\":\"x\",\"failover_timeout\":1000%s}}}",
                outer, user, inner);
        struct scheduler s;
        Mete__V1__Scheduler__Event *event;

        assert_int_equal(seteuid(uid), 0);
        send_subscribe(&s, c, CODEC_JSON, json);
        assert_int_equal(seteuid(0), 0);
        if (!want) {
                expect_error_and_end(&s, text);
                return s;
        }
        event = next_event(&s);
        if (event->error)
                fail_msg("%s", event->error->message);
        s.id = xstrdup(event->subscribed->framework_id->value);
        s.headers = xasprintf("Mesos-Stream-Id: %s\r\n", s.stream_id);
        message_free(event);
        return s;
}

static void test_users(void **state)
{
        struct cluster c = {};
        struct scheduler of_root, of_nobody, s;
        _cleanup_free_ char *name = users_host_name(NOBODY);

        if (geteuid() != 0) {
                print_message("needs root: without it the master takes everybody for root\n");
                skip();
        }
        cluster_start(&c);
        s = subscribe_from(&c, NOBODY, NULL, "root", false, "run as yourself");
        scheduler_done(&s);
        s = subscribe_from(&c, NOBODY, NULL, "", false, "run as yourself");
        scheduler_done(&s);
        of_nobody = subscribe_from(&c, NOBODY, NULL, name ? name : "65534", true, NULL);
        s = subscribe_from(&c, NOBODY, NULL, "65534", true, NULL);
        scheduler_done(&s);
        /* Another's framework is not taken over, connected or not, whatever user is claimed. */
        of_root = subscribe_from(&c, 0, NULL, name ? name : "65534", true, NULL);
        s = subscribe_from(&c, NOBODY, of_root.id, name ? name : "65534", false, "another user's");
        scheduler_done(&s);
        assert_int_equal(call_as(&c, &of_root, "\"type\":\"REVIVE\""), 202);
        wire_close(&of_root.wire);
        wait_for_status(&c, &of_root, 403);
        s = subscribe_from(&c, NOBODY, of_root.id, name ? name : "65534", false, "another user's");
        scheduler_done(&s);
        /* One's own is, and root's hand reaches everywhere. */
        s = subscribe_from(&c, NOBODY, of_nobody.id, name ? name : "65534", true, NULL);
        scheduler_done(&s);
        s = subscribe_from(&c, 0, of_nobody.id, "root", true, NULL);
        scheduler_done(&s);
        scheduler_done(&of_root);
        scheduler_done(&of_nobody);
        cluster_stop(&c);
}

/* What a framework's user is called says nothing of who subscribed it: root may have, with executors that are root's. */
static void test_owners_are_known_from_agents(void **state)
{
        static const struct {
                uid_t owner;
                bool nobody_may;
        } rows[] = {{0, false}, {NOBODY, true}, {NOBODY - 1, false}};
        _cleanup_free_ char *name = users_host_name(NOBODY);

        if (geteuid() != 0) {
                print_message("needs root: without it the master takes everybody for root\n");
                skip();
        }
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                struct cluster c = {.report_framework = true,
                        .framework_user = name ? name : "65534",
                        .report_owner = true,
                        .owner = rows[i].owner};
                struct scheduler s;

                cluster_start(&c);
                (void)snprintf(c.framework_id, sizeof(c.framework_id), "recovered-0001");
                subscribe(&c, NULL, 0);
                s = subscribe_from(
                        &c, NOBODY, "recovered-0001", c.framework_user, rows[i].nobody_may, "another user's");
                scheduler_done(&s);
                s = subscribe_from(&c, 0, "recovered-0001", c.framework_user, true, NULL);
                scheduler_done(&s);
                cluster_stop(&c);
        }
}

/* ---- failover ---- */

static void test_failover(void **state)
{
        struct cluster c = {};

        cluster_start(&c);
        for (int codec = 0; codec < CODEC_MAX; codec++) {
                struct scheduler old = subscribe_as(&c, (enum codec)codec, NULL, ",\"checkpoint\":true"), s;
                _cleanup_free_ char *with_old = NULL;

                s = subscribe_as(&c, (enum codec)codec, old.id, "");
                assert_string_equal(s.id, old.id);
                assert_string_not_equal(s.stream_id, old.stream_id);
                expect_error_and_end(&old, "Framework failed over");
                assert_int_equal(call_as(&c, &s, "\"type\":\"REVIVE\""), 202);
                with_old = xasprintf("Mesos-Stream-Id: %s\r\n", old.stream_id);
                assert_int_equal(
                        scheduler_call_status(&c, s.codec, with_old, s.id, "\"type\":\"REVIVE\""), 400);
                scheduler_done(&old);
                scheduler_done(&s);
        }
        cluster_stop(&c);
}

#define UPDATE_INFO(members)                                                                                 \
        "\"type\":\"UPDATE_FRAMEWORK\",\"update_framework\":{\"framework_info\":{\"name\":\"x\",\"id\":{"    \
        "\"value\":\"%s\"}" members "}}"

static int update_info(const struct cluster *c, const struct scheduler *s, const char *format)
{
        _cleanup_buffer_ struct buffer members = {};
        const char *at = strstr(format, "%s");

        buffer_append(&members, format, (size_t)(at - format));
        buffer_puts(&members, s->id);
        buffer_puts(&members, at + 2);
        return call_as(c, s, members.data);
}

/* Seen by what an UPDATE_FRAMEWORK may not change. */
static void test_kept_info(void **state)
{
        struct cluster c = {};
        struct scheduler s, again;
        _cleanup_free_ char *json = NULL;
        Mete__V1__Scheduler__Event *event;

        cluster_start(&c);
        s = subscribe_as(&c, CODEC_PROTOBUF, NULL,
                ",\"checkpoint\":true,\"principal\":\"p\",\"failover_timeout\":1000");
        json = xasprintf(
                "{\"framework_id\":{\"value\":\"%s\"},\"type\":\"SUBSCRIBE\",\"subscribe\":{\"framework_"
                "info\":{"
                "\"user\":\"daemon\",\"name\":\"y\",\"principal\":\"p\",\"id\":{\"value\":\"%s\"}}}}",
                s.id, s.id);
        send_subscribe(&again, &c, CODEC_PROTOBUF, json);
        event = next_event(&again);
        assert_int_equal(event->type, METE__V1__SCHEDULER__EVENT__TYPE__SUBSCRIBED);
        message_free(event);
        again.id = xstrdup(s.id);
        again.headers = xasprintf("Mesos-Stream-Id: %s\r\n", again.stream_id);
        assert_int_equal(
                update_info(&c, &again, UPDATE_INFO(",\"user\":\"daemon\",\"checkpoint\":true")), 400);
        assert_int_equal(update_info(&c, &again, UPDATE_INFO(",\"user\":\"root\"")), 400);
        assert_int_equal(update_info(&c, &again,
                                 UPDATE_INFO(",\"user\":\"root\",\"checkpoint\":true,\"principal\":\"q\"")),
                400);
        assert_int_equal(update_info(&c, &again,
                                 UPDATE_INFO(",\"user\":\"root\",\"checkpoint\":true,\"principal\":\"p\"")),
                200);
        /* A principal is refused where the rest is kept. */
        expect_id_refused(&c, s.id, ",\"principal\":\"q\"", "principal");
        expect_id_refused(&c, s.id, "", "principal");
        assert_int_equal(call_as(&c, &again, "\"type\":\"REVIVE\""), 202); /* the stream is as it was */
        scheduler_done(&s);
        scheduler_done(&again);
        cluster_stop(&c);
}

/* ---- time limits and the end ---- */

static void test_comes_back_in_time(void **state)
{
        struct cluster c = {};
        struct scheduler s, again;

        cluster_start(&c);
        s = subscribe_as(&c, CODEC_JSON, NULL, ",\"failover_timeout\":1000");
        wire_close(&s.wire);
        wait_for_status(&c, &s, 403);
        again = subscribe_as(&c, CODEC_JSON, s.id, ",\"failover_timeout\":0.001");
        assert_int_equal(call_as(&c, &again, "\"type\":\"REVIVE\""), 202);
        /* Void when it was back: what was set to elapse long after, and what elapses at once from the next loss on. */
        scheduler_done(&s);
        wire_close(&again.wire);
        wait_for_status(&c, &again, 400);
        expect_id_refused(&c, again.id, "", "removed");
        scheduler_done(&again);
        cluster_stop(&c);
}

static void test_timeout_is_void_after_return(void **state)
{
        struct cluster c = {};
        struct scheduler s, again, other;

        cluster_start(&c);
        s = subscribe_as(&c, CODEC_JSON, NULL, ",\"failover_timeout\":2");
        wire_close(&s.wire);
        wait_for_status(&c, &s, 403);
        again = subscribe_as(&c, CODEC_JSON, s.id, ",\"failover_timeout\":2");
        /* Another framework with the same limit, lost later, is gone: so the first limit has passed too. */
        other = subscribe_as(&c, CODEC_JSON, NULL, ",\"failover_timeout\":2");
        wire_close(&other.wire);
        wait_for_status(&c, &other, 400);
        assert_int_equal(call_as(&c, &again, "\"type\":\"REVIVE\""), 202);
        scheduler_done(&s);
        scheduler_done(&again);
        scheduler_done(&other);
        cluster_stop(&c);
}

static void test_no_timeout(void **state)
{
        struct cluster c = {};
        struct scheduler s;

        cluster_start(&c);
        s = subscribe_as(&c, CODEC_PROTOBUF, NULL, "");
        wire_close(&s.wire);
        wait_for_status(&c, &s, 400);
        expect_id_refused(&c, s.id, "", "removed");
        scheduler_done(&s);
        cluster_stop(&c);
}

static void test_teardown(void **state)
{
        struct cluster c = {};

        cluster_start(&c);
        for (int codec = 0; codec < CODEC_MAX; codec++) {
                struct scheduler s = subscribe_as(&c, (enum codec)codec, NULL, ",\"failover_timeout\":1000");

                assert_int_equal(call_as(&c, &s, "\"type\":\"TEARDOWN\""), 202);
                assert_null(next_event(&s));
                assert_int_equal(call_as(&c, &s, "\"type\":\"TEARDOWN\""), 400);
                expect_id_refused(&c, s.id, "", "removed");
                scheduler_done(&s);
        }
        cluster_stop(&c);
}

static void test_completed_are_bounded(void **state)
{
        struct cluster c = {};
        struct scheduler s;
        _cleanup_free_ char *first = NULL, *second = NULL;

        cluster_start(&c);
        for (int i = 0; i < 51; i++) {
                s = subscribe_as(&c, CODEC_PROTOBUF, NULL, "");
                if (i < 2)
                        *(i == 0 ? &first : &second) = xstrdup(s.id);
                assert_int_equal(call_as(&c, &s, "\"type\":\"TEARDOWN\""), 202);
                scheduler_done(&s);
        }
        expect_id_refused(&c, second, "", "removed");
        s = subscribe_as(&c, CODEC_PROTOBUF, first, "");
        scheduler_done(&s);
        cluster_stop(&c);
}

/* A master that starts knows no framework: each is taken with the id that it has. */
static void test_master_failover(void **state)
{
        struct cluster c = {};
        struct scheduler s, again, fresh;

        cluster_start(&c);
        s = subscribe_as(&c, CODEC_JSON, NULL, ",\"failover_timeout\":1000");
        kill_master(&c);
        start_master(&c);
        assert_int_equal(call_as(&c, &s, "\"type\":\"REVIVE\""), 400);
        again = subscribe_as(&c, CODEC_JSON, s.id, ",\"failover_timeout\":1000");
        assert_string_equal(again.id, s.id);
        assert_int_equal(call_as(&c, &again, "\"type\":\"REVIVE\""), 202);
        fresh = subscribe_as(&c, CODEC_JSON, NULL, "");
        assert_string_not_equal(fresh.id, s.id);
        scheduler_done(&s);
        scheduler_done(&again);
        scheduler_done(&fresh);
        cluster_stop(&c);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_greeting),
                cmocka_unit_test(test_default_interval),
                cmocka_unit_test(test_invalid_info),
                cmocka_unit_test(test_queue_id),
                cmocka_unit_test(test_users),
                cmocka_unit_test(test_owners_are_known_from_agents),
                cmocka_unit_test(test_failover),
                cmocka_unit_test(test_kept_info),
                cmocka_unit_test(test_comes_back_in_time),
                cmocka_unit_test(test_timeout_is_void_after_return),
                cmocka_unit_test(test_no_timeout),
                cmocka_unit_test(test_teardown),
                cmocka_unit_test(test_completed_are_bounded),
                cmocka_unit_test(test_master_failover),
        };

        (void)signal(SIGPIPE, SIG_IGN);
        return cmocka_run_group_tests_name("scheduler subscriptions", tests, NULL, NULL);
}
