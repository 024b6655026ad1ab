/* The order of checks of POST /api/v1/scheduler, row by row, in both encodings, as bytes against a real master. */
#include "tests/unit/master/api/scheduler_client.h"

#include "master/core.h"
#include "master/election/election_internal.h"

#define SUBSCRIBE_OK                                                                                         \
        "{\"type\":\"SUBSCRIBE\",\"subscribe\":{\"framework_info\":{\"user\":\"root\",\"name\":\"x\"}}}"
#define ID "\"framework_id\":{\"value\":\"@\"}"

enum stream { STREAM_NONE, STREAM_CURRENT, STREAM_OTHER };
enum caller { CALLER_CONNECTED, CALLER_UNKNOWN, CALLER_DISCONNECTED, CALLER_QUEUE };

struct row {
        const char *name;
        const char *method;         /* NULL: POST */
        const char *type, *accept;  /* NULL: as the encoding says, and the same; "": no header */
        const char *json;           /* @ is the framework's id */
        const char *raw[CODEC_MAX]; /* the body as bytes, where there is no such message */
        size_t raw_len;             /* of the protobuf one */
        enum stream stream;
        enum caller caller;
        int status;
};

static const struct row rows[] = {
        /* 5 */
        {.name = "GET", .method = "GET", .status = 405},
        {.name = "PUT", .method = "PUT", .json = SUBSCRIBE_OK, .status = 405},
        {.name = "DELETE without a type", .method = "DELETE", .type = "", .status = 405},
        /* 6 */
        {.name = "no Content-Type", .type = "", .json = SUBSCRIBE_OK, .status = 400},
        {.name = "no Content-Type, no body", .type = "", .status = 400},
        /* 7 */
        {.name = "unparsable", .raw = {"\x0a\x7f", "{\"type\":"}, .raw_len = 2, .status = 400},
        {.name = "empty", .raw = {"", ""}, .status = 400},
        {.name = "required missing",
                .raw = {"\x10\x01\x1a\x00", "{\"type\":\"SUBSCRIBE\",\"subscribe\":{}}"},
                .raw_len = 4,
                .status = 400},
        {.name = "nested required missing",
                .raw = {"\x10\x01\x1a\x05\x0a\x03\x0a\x01x",
                        "{\"type\":\"SUBSCRIBE\",\"subscribe\":{\"framework_info\":{\"user\":\"x\"}}}"},
                .raw_len = 9,
                .status = 400},
        {.name = "wrong kind", .raw = {"\x12\x00", "{\"type\":[]}"}, .raw_len = 2, .status = 400},
        /* 8 */
        {.name = "another type", .type = "text/plain", .json = SUBSCRIBE_OK, .status = 415},
        {.name = "a parameter",
                .type = "application/json; charset=utf-8",
                .json = SUBSCRIBE_OK,
                .status = 415},
        {.name = "another case", .type = "Application/JSON", .json = SUBSCRIBE_OK, .status = 415},
        {.name = "unparsable in another type",
                .type = "text/plain",
                .raw = {"{", "{"},
                .raw_len = 1,
                .status = 415},
        /* 9 */
        {.name = "no type", .json = "{" ID "}", .stream = STREAM_CURRENT, .status = 400},
        {.name = "unknown type",
                .raw = {"\x10\x63", "{\"type\":\"NO_SUCH_CALL\"}"},
                .raw_len = 2,
                .status = 400},
        {.name = "no subscribe", .json = "{\"type\":\"SUBSCRIBE\"}", .status = 400},
#define WITHOUT_MESSAGE(t)                                                                                   \
        {                                                                                                    \
                .name = t " alone", .json = "{" ID ",\"type\":\"" t "\"}", .stream = STREAM_CURRENT,         \
                .status = 400                                                                                \
        }
        WITHOUT_MESSAGE("ACCEPT"),
        WITHOUT_MESSAGE("DECLINE"),
        WITHOUT_MESSAGE("ACCEPT_INVERSE_OFFERS"),
        WITHOUT_MESSAGE("DECLINE_INVERSE_OFFERS"),
        WITHOUT_MESSAGE("KILL"),
        WITHOUT_MESSAGE("SHUTDOWN"),
        WITHOUT_MESSAGE("ACKNOWLEDGE"),
        WITHOUT_MESSAGE("ACKNOWLEDGE_OPERATION_STATUS"),
        WITHOUT_MESSAGE("RECONCILE"),
        WITHOUT_MESSAGE("RECONCILE_OPERATIONS"),
        WITHOUT_MESSAGE("MESSAGE"),
        WITHOUT_MESSAGE("REQUEST"),
        WITHOUT_MESSAGE("UPDATE_FRAMEWORK"),
        {.name = "no framework_id", .json = "{\"type\":\"REVIVE\"}", .stream = STREAM_CURRENT, .status = 400},
        {.name = "empty framework_id",
                .json = "{\"framework_id\":{\"value\":\"\"},\"type\":\"TEARDOWN\"}",
                .stream = STREAM_CURRENT,
                .status = 400},
        {.name = "ids differ",
                .json = "{\"framework_id\":{\"value\":\"a\"},\"type\":\"SUBSCRIBE\",\"subscribe\":{"
                        "\"framework_info\":{"
                        "\"user\":\"root\",\"name\":\"x\",\"id\":{\"value\":\"b\"}}}}",
                .status = 400},
        {.name = "only one id",
                .json = "{\"type\":\"SUBSCRIBE\",\"subscribe\":{\"framework_info\":{\"user\":\"root\","
                        "\"name\":\"x\",\"id\":{"
                        "\"value\":\"b\"}}}}",
                .status = 400},
        {.name = "ids differ in an update",
                .json = "{" ID ",\"type\":\"UPDATE_FRAMEWORK\",\"update_framework\":{\"framework_info\":{"
                        "\"user\":\"root\",\"name\":\"x\",\"id\":{\"value\":\"b\"}}}}",
                .stream = STREAM_CURRENT,
                .status = 400},
        {.name = "short uuid",
                .json = "{" ID ",\"type\":\"ACKNOWLEDGE\",\"acknowledge\":{\"agent_id\":{\"value\":\"a\"},"
                        "\"task_id\":{"
                        "\"value\":\"t\"},\"uuid\":\"AAAA\"}}",
                .stream = STREAM_CURRENT,
                .status = 400},
        {.name = "operation's short uuid",
                .json = "{" ID ",\"type\":\"ACKNOWLEDGE_OPERATION_STATUS\",\"acknowledge_operation_status\":{"
                        "\"agent_id\":{\"value\":\"a\"},\"operation_id\":{\"value\":\"o\"},\"uuid\":\"AAAA\"}"
                        "}",
                .stream = STREAM_CURRENT,
                .status = 400},
        {.name = "operation without an agent",
                .json = "{" ID ",\"type\":\"ACKNOWLEDGE_OPERATION_STATUS\",\"acknowledge_operation_status\":{"
                        "\"operation_id\":{\"value\":\"o\"},\"uuid\":\"AAAAAAAAAAAAAAAAAAAAAA==\"}}",
                .stream = STREAM_CURRENT,
                .status = 400},
        {.name = "an id with a slash, for an agent",
                .json = "{" ID ",\"type\":\"SHUTDOWN\",\"shutdown\":{\"agent_id\":{\"value\":\"a/"
                        "b\"},\"executor_id\":{"
                        "\"value\":\"x\"}}}",
                .stream = STREAM_CURRENT,
                .status = 400},
        {.name = "form before caller",
                .json = "{" ID ",\"type\":\"KILL\"}",
                .caller = CALLER_UNKNOWN,
                .status = 400},
        /* 10 */
        {.name = "SUBSCRIBE, no acceptable answer",
                .json = SUBSCRIBE_OK,
                .accept = "text/html",
                .status = 406},
        {.name = "SUBSCRIBE, both refused",
                .json = SUBSCRIBE_OK,
                .accept = "application/json;q=0, application/x-protobuf;q=0",
                .status = 406},
        {.name = "RECONCILE_OPERATIONS, no acceptable answer",
                .json = "{" ID ",\"type\":\"RECONCILE_OPERATIONS\",\"reconcile_operations\":{}}",
                .accept = "text/html",
                .caller = CALLER_UNKNOWN, /* before the caller is looked for */
                .status = 406},
        {.name = "others do not care",
                .json = "{" ID ",\"type\":\"REVIVE\"}",
                .accept = "text/html",
                .stream = STREAM_CURRENT,
                .status = 202},
        {.name = "form before Accept",
                .json = "{\"type\":\"SUBSCRIBE\"}",
                .accept = "text/html",
                .status = 400},
        /* 11 */
        {.name = "SUBSCRIBE with a stream id", .json = SUBSCRIBE_OK, .stream = STREAM_OTHER, .status = 400},
        {.name = "SUBSCRIBE with a current stream id",
                .json = SUBSCRIBE_OK,
                .stream = STREAM_CURRENT,
                .status = 400},
        {.name = "Accept before the stream id",
                .json = SUBSCRIBE_OK,
                .accept = "text/html",
                .stream = STREAM_OTHER,
                .status = 406},
        /* 12 */
        {.name = "SUBSCRIBE", .json = SUBSCRIBE_OK, .status = 200},
        {.name = "SUBSCRIBE without Accept", .json = SUBSCRIBE_OK, .accept = "", .status = 200},
        /* 13 to 17 */
        {.name = "unknown", .json = "{" ID ",\"type\":\"REVIVE\"}", .caller = CALLER_UNKNOWN, .status = 400},
        {.name = "unknown, with a stream id",
                .json = "{" ID ",\"type\":\"REVIVE\"}",
                .caller = CALLER_UNKNOWN,
                .stream = STREAM_CURRENT,
                .status = 400},
        {.name = "disconnected",
                .json = "{" ID ",\"type\":\"REVIVE\"}",
                .caller = CALLER_DISCONNECTED,
                .stream = STREAM_OTHER,
                .status = 403},
        {.name = "disconnected, without a stream id",
                .json = "{" ID ",\"type\":\"REVIVE\"}",
                .caller = CALLER_DISCONNECTED,
                .status = 403},
        {.name = "the queue", .json = "{" ID ",\"type\":\"REVIVE\"}", .caller = CALLER_QUEUE, .status = 403},
        {.name = "the queue, with a stream id",
                .json = "{" ID ",\"type\":\"TEARDOWN\"}",
                .caller = CALLER_QUEUE,
                .stream = STREAM_CURRENT,
                .status = 403},
        {.name = "no stream id", .json = "{" ID ",\"type\":\"REVIVE\"}", .status = 400},
        {.name = "another stream id",
                .json = "{" ID ",\"type\":\"TEARDOWN\"}",
                .stream = STREAM_OTHER,
                .status = 400},
        /* 18 */
        {.name = "UNKNOWN", .json = "{" ID ",\"type\":\"UNKNOWN\"}", .stream = STREAM_CURRENT, .status = 501},
        {.name = "UNKNOWN after the caller",
                .json = "{" ID ",\"type\":\"UNKNOWN\"}",
                .caller = CALLER_UNKNOWN,
                .status = 400},
        {.name = "UNKNOWN after the stream id", .json = "{" ID ",\"type\":\"UNKNOWN\"}", .status = 400},
        /* 19 */
        {.name = "UPDATE_FRAMEWORK",
                .json = "{" ID ",\"type\":\"UPDATE_FRAMEWORK\",\"update_framework\":{\"framework_info\":{"
                        "\"user\":\"root\",\"name\":\"y\",\"id\":{\"value\":\"@\"}}}}",
                .stream = STREAM_CURRENT,
                .status = 200},
        {.name = "UPDATE_FRAMEWORK, bad info",
                .json = "{" ID ",\"type\":\"UPDATE_FRAMEWORK\",\"update_framework\":{\"framework_info\":{"
                        "\"user\":\"other\",\"name\":\"y\",\"id\":{\"value\":\"@\"}}}}",
                .stream = STREAM_CURRENT,
                .status = 400},
/* 20, 21 */
#define ACCEPTED(t, members)                                                                                 \
        {                                                                                                    \
                .name = t, .json = "{" ID ",\"type\":\"" t "\"" members "}", .stream = STREAM_CURRENT,       \
                .status = 202                                                                                \
        }
        ACCEPTED("REVIVE", ""),
        ACCEPTED("SUPPRESS", ""),
        ACCEPTED("ACCEPT", ",\"accept\":{}"),
        ACCEPTED("DECLINE", ",\"decline\":{}"),
        ACCEPTED("DECLINE", ",\"decline\":{\"offer_ids\":[{\"value\":\"no such offer\"}]}"),
        ACCEPTED("ACCEPT_INVERSE_OFFERS", ",\"accept_inverse_offers\":{}"),
        ACCEPTED("DECLINE_INVERSE_OFFERS", ",\"decline_inverse_offers\":{}"),
        ACCEPTED("KILL", ",\"kill\":{\"task_id\":{\"value\":\"none\"}}"),
        ACCEPTED("SHUTDOWN",
                ",\"shutdown\":{\"executor_id\":{\"value\":\"none\"},\"agent_id\":{\"value\":\"none\"}}"),
        ACCEPTED("ACKNOWLEDGE",
                ",\"acknowledge\":{\"agent_id\":{\"value\":\"none\"},\"task_id\":{\"value\":\"none\"},"
                "\"uuid\":\"AAAAAAAAAAAAAAAAAAAAAA==\"}"),
        ACCEPTED("ACKNOWLEDGE_OPERATION_STATUS", ",\"acknowledge_operation_status\":{\"agent_id\":{\"value\":"
                                                 "\"none\"},\"operation_id\":{\"value\":\"o\"},"
                                                 "\"uuid\":\"AAAAAAAAAAAAAAAAAAAAAA==\"}"),
        ACCEPTED("RECONCILE", ",\"reconcile\":{}"),
        ACCEPTED("RECONCILE_OPERATIONS", ",\"reconcile_operations\":{}"),
        ACCEPTED("MESSAGE",
                ",\"message\":{\"agent_id\":{\"value\":\"none\"},\"executor_id\":{\"value\":\"none\"},"
                "\"data\":\"AAAA\"}"),
        ACCEPTED("REQUEST", ",\"request\":{\"requests\":[]}"),
        ACCEPTED("TEARDOWN", ""),
};

/* ---- replaying ---- */

static char *replace(const char *text, const char *id)
{
        struct buffer out = {};

        for (const char *p = text; *p; p++)
                if (*p == '@')
                        buffer_puts(&out, id);
                else
                        buffer_append(&out, p, 1);
        return buffer_take(&out);
}

static struct buffer row_body(const struct row *row, enum codec codec, const char *id)
{
        struct buffer out = {};
        _cleanup_free_ char *json = NULL;

        if (row->raw[codec]) {
                buffer_append(&out, row->raw[codec],
                        codec == CODEC_PROTOBUF ? row->raw_len : strlen(row->raw[codec]));
                return out;
        }
        if (!row->json)
                return out;
        json = replace(row->json, id);
        return encode_call(codec, json);
}

static char *caller_id(const struct cluster *c, const struct scheduler *s, enum caller caller)
{
        struct scheduler gone;
        char *id;

        switch (caller) {
        case CALLER_UNKNOWN:
                return xstrdup("nobody-0001");
        case CALLER_QUEUE: /* the first id of the first master of a store */
                return xasprintf("%.*s-0000", UUID_TEXT_MAX - 1, s->id);
        case CALLER_DISCONNECTED:
                gone = subscribe_as(c, s->codec, NULL, ",\"failover_timeout\":1000");
                wire_close(&gone.wire);
                wait_for_status(c, &gone, 403);
                id = xstrdup(gone.id);
                scheduler_done(&gone);
                return id;
        default:
                return xstrdup(s->id);
        }
}

static void replay(const struct cluster *c, const struct row *row, enum codec codec, const char *path)
{
        struct scheduler s = subscribe_as(c, codec, NULL, "");
        _cleanup_free_ char *id = caller_id(c, &s, row->caller), *headers = NULL;
        _cleanup_buffer_ struct buffer body = row_body(row, codec, id), request = {};
        const char *type = row->type ? row->type : codec_content_type(codec);
        const char *accept = row->accept ? row->accept : codec_content_type(codec);
        _cleanup_free_ char *allow = NULL;
        struct wire w = wire_open(c);
        struct answer a;

        headers = xasprintf("%s%s%s%s%s%s", *accept ? "Accept: " : "", accept, *accept ? "\r\n" : "",
                row->stream != STREAM_NONE ? "Mesos-Stream-Id: " : "",
                row->stream == STREAM_CURRENT ? s.stream_id
                : row->stream == STREAM_OTHER ? "6ba7b810-9dad-41d1-80b4-00c04fd430c8"
                                              : "",
                row->stream != STREAM_NONE ? "\r\n" : "");
        request = http_request_bytes(row->method ? row->method : "POST", path, headers, *type ? type : NULL,
                str_equal(row->method, "GET") ? NULL
                : body.data                   ? body.data
                                              : "",
                body.len);
        wire_write(&w, request.data, request.len);
        a = read_answer(&w);
        if (a.status != row->status)
                fail_msg("%s (%s): %d %s, expected %d", row->name, codec_content_type(codec), a.status,
                        a.body ? a.body : "", row->status);
        if (a.status == 202)
                assert_string_equal(a.body, "");
        allow = answer_header(&a, "Allow");
        assert_true((a.status == 405) == str_equal(allow, "POST"));
        answer_done(&a);
        wire_close(&w);
        scheduler_done(&s);
}

static void test_rows(void **state)
{
        struct cluster c = {};

        cluster_start(&c);
        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                for (int codec = 0; codec < CODEC_MAX; codec++)
                        replay(&c, &rows[i], (enum codec)codec, SCHEDULER_PATH);
        cluster_stop(&c);
}

static void test_paths(void **state)
{
        static const char *const paths[] = {
                "/master/api/v1/scheduler",
                "/api/v1/scheduler/",
                "/api/v1/scheduler/below",
        };
        struct cluster c = {};

        cluster_start(&c);
        for (size_t i = 0; i < ELEMENTSOF(paths); i++)
                for (size_t j = 0; j < ELEMENTSOF(rows); j++)
                        if (rows[j].status == 202 || rows[j].status == 405 || rows[j].status == 501)
                                replay(&c, &rows[j], CODEC_JSON, paths[i]);
        cluster_stop(&c);
}

/* ---- rows 1, 3, 9 and 14 ---- */

/* The status of a request with these headers; the answer's header of that name, owned, too. */
static int status_of(const struct cluster *c, const char *method, const char *headers, const char *type,
        const char *body, const char *header, char **ret)
{
        _cleanup_buffer_ struct buffer request =
                http_request_bytes(method, SCHEDULER_PATH, headers, type, body, body ? strlen(body) : 0);
        struct wire w = wire_open(c);
        struct answer a;
        int status;

        wire_write(&w, request.data, request.len);
        a = read_answer(&w);
        status = a.status;
        if (ret)
                *ret = answer_header(&a, header);
        answer_done(&a);
        wire_close(&w);
        return status;
}

#define REALM "Basic realm=\"mesos-master-scheduler\""

static void assert_unauthenticated(const struct cluster *c, const char *method, const char *headers)
{
        _cleanup_free_ char *realm = NULL;

        assert_int_equal(status_of(c, method, headers, "text/plain", "{", "WWW-Authenticate", &realm), 401);
        assert_string_equal(realm, REALM);
}

/* "Authorization: Basic alice:wonder" of the file below. */
#define ALICE "Authorization: Basic YWxpY2U6d29uZGVy\r\n"
#define BOB "Authorization: Basic Ym9iOmJ1aWxkZXI=\r\n"

static void write_credentials(char *path, const char *text)
{
        int fd = mkstemp(strcpy(path, "/tmp/mete-test-credentials-XXXXXX"));

        assert_true(fd >= 0);
        assert_int_equal(write_all(fd, text, strlen(text)), 0);
        close_fd(fd);
}

static void test_authentication(void **state)
{
        char path[64];
        struct cluster c = {.credentials = path};
        struct scheduler s, other;
        const char *subscribe_as_bob =
                "{\"type\":\"SUBSCRIBE\",\"subscribe\":{\"framework_info\":{\"user\":\"root\","
                "\"name\":\"x\",\"principal\":\"bob\"}}}";

        write_credentials(path, "alice wonder\nbob\tbuilder\n");
        cluster_start(&c);
        /* Before everything else. */
        assert_unauthenticated(&c, "GET", "");
        assert_unauthenticated(&c, "POST", "");
        assert_unauthenticated(&c, "POST", "Authorization: Basic YWxpY2U6d29uZGVs\r\n"); /* alice:wondel */
        assert_unauthenticated(
                &c, "POST", "Authorization: Basic YWxpY2U6d29uZGVyeQ==\r\n");    /* alice:wondery */
        assert_unauthenticated(&c, "POST", "Authorization: Basic YWxpY2U6\r\n"); /* alice: */
        assert_unauthenticated(&c, "POST", "Authorization: Basic YWxpY2U=\r\n"); /* alice */
        assert_unauthenticated(&c, "POST", "Authorization: Basic carol\r\n");
        assert_unauthenticated(&c, "POST", "Authorization: Bearer YWxpY2U6d29uZGVy\r\n");
        assert_int_equal(status_of(&c, "GET", ALICE, NULL, NULL, "", NULL), 405);
        for (int codec = 0; codec < CODEC_MAX; codec++) {
                _cleanup_buffer_ struct buffer body = encode_call((enum codec)codec, subscribe_as_bob);
                _cleanup_buffer_ struct buffer request = http_request_bytes("POST", SCHEDULER_PATH, ALICE,
                        codec_content_type((enum codec)codec), body.data, body.len);
                struct wire w = wire_open(&c);
                struct answer a;

                /* 9: the principal is another one's */
                wire_write(&w, request.data, request.len);
                a = read_answer(&w);
                assert_int_equal(a.status, 400);
                answer_done(&a);
                wire_close(&w);
                /* 14: the framework is another principal's; its stream id does not help */
                s = subscribe_with(&c, (enum codec)codec, NULL, "", ALICE);
                other = subscribe_with(&c, (enum codec)codec, NULL, ",\"principal\":\"bob\"", BOB);
                _cleanup_free_ char *mixed = xasprintf("Mesos-Stream-Id: %s\r\n" BOB, s.stream_id);
                _cleanup_free_ char *alone = xasprintf("Mesos-Stream-Id: %s\r\n", s.stream_id);

                assert_int_equal(call_as(&c, &s, "\"type\":\"REVIVE\""), 202);
                assert_int_equal(
                        scheduler_call_status(&c, s.codec, mixed, s.id, "\"type\":\"TEARDOWN\""), 400);
                assert_int_equal(
                        scheduler_call_status(&c, s.codec, alone, s.id, "\"type\":\"TEARDOWN\""), 401);
                assert_int_equal(call_as(&c, &s, "\"type\":\"REVIVE\""), 202);
                scheduler_done(&s);
                scheduler_done(&other);
        }
        cluster_stop(&c);
        assert_int_equal(unlink(path), 0);
}

/* A page of a site whose name leads here, and a user who cannot be known. */
static void test_foreign_host(void **state)
{
        struct cluster c = {};
        struct wire w;
        struct answer a;
        static const char request[] = "GET " SCHEDULER_PATH " HTTP/1.1\r\nHost: attacker.example.com\r\n\r\n";

        if (geteuid() != 0) {
                print_message("needs root: without it the master runs with --insecure\n");
                skip();
        }
        cluster_start(&c);
        w = wire_open(&c);
        wire_write(&w, request, strlen(request));
        a = read_answer(&w);
        assert_int_equal(a.status, 401);
        answer_done(&a);
        wire_close(&w);
        cluster_stop(&c);
}

static void not_leading(struct master *m)
{
        m->leading = false;
}

static bool known_leader(const struct election *e, struct election_address *ret)
{
        *ret = (struct election_address){"leader.example.com", 5050};
        return true;
}

static void led_elsewhere(struct master *m)
{
        static struct election_backend backend;

        backend = *m->election->backend;
        backend.leader = known_leader;
        m->election->backend = &backend;
        m->leading = false;
}

static void test_not_leading(void **state)
{
        struct cluster c = {.prepare = not_leading};
        _cleanup_free_ char *location = NULL;

        cluster_start(&c);
        assert_int_equal(status_of(&c, "GET", "", NULL, NULL, "", NULL), 503);
        assert_int_equal(status_of(&c, "POST", "", "text/plain", "{", "", NULL), 503);
        cluster_stop(&c);

        c = (struct cluster){.prepare = led_elsewhere};
        cluster_start(&c);
        assert_int_equal(status_of(&c, "GET", "", NULL, NULL, "Location", &location), 307);
        assert_string_equal(location, "//leader.example.com:5050" SCHEDULER_PATH);
        assert_int_equal(status_of(&c, "POST", "", "application/json", SUBSCRIBE_OK, "", NULL), 307);
        cluster_stop(&c);
}

/* ---- how bytes arrive ---- */

static void test_pipelined_and_split(void **state)
{
        struct cluster c = {};
        struct scheduler s;

        cluster_start(&c);
        for (int codec = 0; codec < CODEC_MAX; codec++) {
                _cleanup_free_ char *revive = NULL, *bad = NULL;
                _cleanup_buffer_ struct buffer all = {}, body = {}, wrong = {};
                struct wire w = wire_open(&c);

                s = subscribe_as(&c, (enum codec)codec, NULL, "");
                revive = xasprintf("{\"framework_id\":{\"value\":\"%s\"},\"type\":\"REVIVE\"}", s.id);
                bad = xasprintf("{\"framework_id\":{\"value\":\"%s\"},\"type\":\"KILL\"}", s.id);
                body = encode_call(s.codec, revive);
                wrong = encode_call(s.codec, bad);
                for (int i = 0; i < 20; i++) {
                        const struct buffer *b = i % 2 ? &wrong : &body;
                        _cleanup_buffer_ struct buffer one = http_request_bytes("POST", SCHEDULER_PATH,
                                s.headers, codec_content_type(s.codec), b->data, b->len);

                        buffer_append(&all, one.data, one.len);
                }
                /* Merged, then the same in pieces that end anywhere. */
                wire_write(&w, all.data, all.len);
                for (size_t at = 0; at < all.len; at += 37)
                        wire_write(&w, all.data + at, MIN(all.len - at, (size_t)37));
                for (int i = 0; i < 40; i++) {
                        struct answer a = read_answer(&w);

                        assert_int_equal(a.status, i % 2 ? 400 : 202);
                        answer_done(&a);
                }
                wire_close(&w);
                scheduler_done(&s);
        }
        cluster_stop(&c);
}

static void test_chunked_body(void **state)
{
        struct cluster c = {};
        struct wire w;
        struct answer a;
        _cleanup_buffer_ struct buffer request = {};

        cluster_start(&c);
        w = wire_open(&c);
        buffer_printf(&request,
                "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                "Transfer-Encoding: chunked\r\n\r\n",
                SCHEDULER_PATH);
        for (const char *p = SUBSCRIBE_OK; *p; p++)
                buffer_printf(&request, "1\r\n%c\r\n", *p);
        buffer_puts(&request, "0\r\n\r\n");
        wire_write(&w, request.data, request.len);
        a = read_answer(&w);
        assert_int_equal(a.status, 200);
        answer_done(&a);
        wire_close(&w);
        cluster_stop(&c);
}

/* ---- hostile bodies ---- */

static void test_hostile_bodies(void **state)
{
        struct cluster c = {};
        struct scheduler s;
        _cleanup_buffer_ struct buffer deep = {}, decline = {}, large = {};
        struct mono_time begun;

        cluster_start(&c);
        s = subscribe_as(&c, CODEC_JSON, NULL, "");
        for (int i = 0; i < 100000; i++)
                buffer_puts(&deep, "{\"a\":");
        assert_int_equal(status_of(&c, "POST", "", "application/json", deep.data, "", NULL), 400);
        assert_int_equal(
                status_of(&c, "POST", "", "application/json", "{\"type\":\"\xff\xfe\"}", "", NULL), 400);
        assert_int_equal(
                status_of(&c, "POST", "", "application/json",
                        "{\"type\":\"SUBSCRIBE\",\"subscribe\":{\"framework_info\":{\"user\":\"root\","
                        "\"name\":\"x\",\"failover_timeout\":\"1e999999999\"}}}",
                        "", NULL),
                400);
        /* Above the endpoint's bound, below the server's. */
        for (size_t i = 0; i < (17u << 20) / 64; i++)
                buffer_puts(&large, "                                                                ");
        assert_int_equal(status_of(&c, "POST", "", "application/json", large.data, "", NULL), 413);
        /* Many that are not there: answered soon, and the loop goes on. */
        buffer_puts(&decline, "\"type\":\"DECLINE\",\"decline\":{\"offer_ids\":[");
        for (int i = 0; i < 100000; i++)
                buffer_printf(&decline, "%s{\"value\":\"offer-%d\"}", i ? "," : "", i);
        buffer_puts(&decline, "]}");
        begun = mono_now();
        assert_int_equal(call_as(&c, &s, decline.data), 202);
        assert_true(mono_elapsed_ns(begun, mono_now()) < DEADLINE_NS);
        assert_int_equal(call_as(&c, &s, "\"type\":\"REVIVE\""), 202);
        scheduler_done(&s);
        cluster_stop(&c);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_rows),
                cmocka_unit_test(test_paths),
                cmocka_unit_test(test_authentication),
                cmocka_unit_test(test_foreign_host),
                cmocka_unit_test(test_not_leading),
                cmocka_unit_test(test_pipelined_and_split),
                cmocka_unit_test(test_chunked_body),
                cmocka_unit_test(test_hostile_bodies),
        };

        (void)signal(SIGPIPE, SIG_IGN);
        return cmocka_run_group_tests_name("scheduler endpoint", tests, NULL, NULL);
}
