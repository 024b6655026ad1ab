/* The client against a small server of its own: answers, refusals, silence, streams that end well and badly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lib/net/codec.h"
#include "lib/net/http_server.h"
#include "sdk/client.h"

/* ---- the server: on a thread and a loop of its own ---- */

struct server {
        struct loop *loop;
        struct http_server *http;
        struct http_request *unanswered;
        pthread_t thread;
        char address[32];
        unsigned streams_closed;
};

static void respond(struct http_request *r, int status, const ProtobufCMessage *m)
{
        _cleanup_buffer_ struct buffer b = {0};

        assert_int_equal(message_encode(CODEC_PROTOBUF, m, &b), 0);
        http_respond(r, status, codec_content_type(CODEC_PROTOBUF), b.data, b.len);
}

static void refuse(struct http_request *r, int status, const char *message, const char *field)
{
        Mete__Api__Error e = METE__API__ERROR__INIT;

        e.message = (char *)message;
        e.field = (char *)field;
        respond(r, status, &e.base);
}

static void send_event(struct http_stream *s, Mete__Api__Event__Type type)
{
        _cleanup_buffer_ struct buffer b = {0};
        Mete__Api__Event e = METE__API__EVENT__INIT;

        e.type = type;
        assert_int_equal(message_encode(CODEC_PROTOBUF, &e.base, &b), 0);
        assert_int_equal(http_stream_record(s, b.data, b.len), 0);
}

static void on_stream_closed(struct http_stream *s, void *userdata)
{
        struct server *server = userdata;

        server->streams_closed++;
}

static void serve_stream(struct server *server, struct http_request *r, const char *what)
{
        bool endless = str_equal(what, "endless"), garbage = str_equal(what, "garbage");
        struct http_stream *s =
                http_stream_open(r, codec_content_type(CODEC_PROTOBUF), on_stream_closed, server);

        send_event(s, METE__API__EVENT__TYPE__SUBSCRIBED);
        if (garbage)
                assert_int_equal(http_stream_record(s, "\xff\xff\xff", 3), 0);
        if (endless || garbage)
                return;
        send_event(s, METE__API__EVENT__TYPE__END);
        http_stream_close(s);
}

static void on_request(struct http_request *r, void *userdata)
{
        struct server *server = userdata;
        Mete__Api__Response response = METE__API__RESPONSE__INIT;
        Mete__Api__Version version = METE__API__VERSION__INIT;
        ProtobufCMessage *message = NULL;
        const Mete__Api__Call *call;
        size_t len;
        const void *body = http_request_body(r, &len);

        assert_int_equal(
                message_decode(CODEC_PROTOBUF, &mete__api__call__descriptor, body, len, &message, NULL), 0);
        call = (const Mete__Api__Call *)message;
        switch (call->type) {
        case METE__API__CALL__TYPE__GET_VERSION:
                version.version = (char *)"9.9";
                response.type = METE__API__RESPONSE__TYPE__GET_VERSION;
                response.version = &version;
                respond(r, 200, &response.base);
                break;
        case METE__API__CALL__TYPE__KILL:
                refuse(r, 404, "there is no job 12", "kill.id");
                break;
        case METE__API__CALL__TYPE__SUBMIT:
                refuse(r, 400, "submit.job.cpus: 0 is too little", "submit.job.cpus");
                break;
        case METE__API__CALL__TYPE__LIST_JOBS:
                http_respond_text(r, 503, "try later");
                break;
        case METE__API__CALL__TYPE__LIST_AGENTS:
                http_respond(r, 200, "text/html", "<p>", 3);
                break;
        case METE__API__CALL__TYPE__WAIT:
                server->unanswered = r;
                break;
        case METE__API__CALL__TYPE__SUBSCRIBE:
                if (str_equal(call->subscribe->job_id, "unknown"))
                        refuse(r, 404, "there is no job \"unknown\"", NULL);
                else
                        serve_stream(server, r, call->subscribe->job_id);
                break;
        default:
                http_respond_text(r, 500, "unexpected");
        }
        message_free(message);
}

static void *serve(void *userdata)
{
        struct server *s = userdata;

        (void)loop_run(s->loop);
        if (s->unanswered)
                http_respond_text(s->unanswered, 503, "over");
        http_server_free(s->http);
        loop_free(s->loop);
        return NULL;
}

static int start_server(void **state)
{
        struct server *s = NEW0(struct server);
        uint16_t port = 0;

        assert_int_equal(loop_new(&s->loop, NULL), 0);
        assert_int_equal(http_server_new(s->loop, NULL, &s->http, NULL), 0);
        http_server_route(s->http, "/mete/v1", "POST", on_request, s);
        assert_int_equal(http_server_listen(s->http, "127.0.0.1", 0, &port, NULL), 0);
        snprintf(s->address, sizeof(s->address), "127.0.0.1:%u", port);
        assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
        *state = s;
        return 0;
}

static void stop_loop(void *userdata)
{
        loop_stop(userdata);
}

static int stop_server(void **state)
{
        struct server *s = *state;

        loop_post(s->loop, stop_loop, s->loop);
        assert_int_equal(pthread_join(s->thread, NULL), 0);
        free(s);
        return 0;
}

/* ---- calls ---- */

static int plain_call(struct mete_client *c, Mete__Api__Call__Type type, uint64_t timeout_ns,
        Mete__Api__Response **ret, struct error *e)
{
        Mete__Api__Call call = METE__API__CALL__INIT;
        Mete__Api__Call__Kill kill = METE__API__CALL__KILL__INIT;
        Mete__Api__Call__Wait wait = METE__API__CALL__WAIT__INIT;

        kill.id = (char *)"12";
        wait.job_id = (char *)"12";
        call.type = type;
        if (type == METE__API__CALL__TYPE__KILL)
                call.kill = &kill;
        if (type == METE__API__CALL__TYPE__WAIT)
                call.wait = &wait;
        return mete_client_call(c, &call, timeout_ns, ret, e);
}

static void answers(void **state)
{
        struct server *s = *state;
        CLEANUP(cleanup_mete_client_free) struct mete_client *c = NULL;
        Mete__Api__Response *response = NULL;

        assert_int_equal(mete_client_new(s->address, &c, NULL), 0);
        assert_string_equal(mete_client_master(c), s->address);
        for (int i = 0; i < 3; i++) {
                assert_int_equal(plain_call(c, METE__API__CALL__TYPE__GET_VERSION, 0, &response, NULL), 0);
                assert_string_equal(response->version->version, "9.9");
                message_free(response);
        }
}

static void refusals(void **state)
{
        static const struct {
                Mete__Api__Call__Type type;
                int code;
                const char *sentence;
        } cases[] = {
                {METE__API__CALL__TYPE__KILL, -ENOENT, "kill.id: there is no job 12"},
                {METE__API__CALL__TYPE__SUBMIT, -EINVAL, "submit.job.cpus: 0 is too little"},
                {METE__API__CALL__TYPE__LIST_JOBS, -EAGAIN, "try later"},
                {METE__API__CALL__TYPE__GET_JOB, -EREMOTEIO, "unexpected"},
        };
        struct server *s = *state;
        CLEANUP(cleanup_mete_client_free) struct mete_client *c = NULL;

        assert_int_equal(mete_client_new(s->address, &c, NULL), 0);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_error_ struct error e = {0};
                Mete__Api__Response *response = NULL;

                assert_int_equal(plain_call(c, cases[i].type, 0, &response, &e), cases[i].code);
                assert_string_equal(error_message(&e), cases[i].sentence);
                assert_null(response);
        }
}

static void not_a_master(void **state)
{
        struct server *s = *state;
        CLEANUP(cleanup_mete_client_free) struct mete_client *c = NULL;
        _cleanup_error_ struct error e = {0};
        Mete__Api__Response *response = NULL;

        assert_int_equal(mete_client_new(s->address, &c, NULL), 0);
        assert_int_equal(plain_call(c, METE__API__CALL__TYPE__LIST_AGENTS, 0, &response, &e), -EPROTO);
        assert_non_null(strstr(error_message(&e), "text/html"));
}

static void silence(void **state)
{
        struct server *s = *state;
        CLEANUP(cleanup_mete_client_free) struct mete_client *c = NULL;
        _cleanup_error_ struct error e = {0};
        Mete__Api__Response *response = NULL;

        assert_int_equal(mete_client_new(s->address, &c, NULL), 0);
        assert_int_equal(
                plain_call(c, METE__API__CALL__TYPE__WAIT, 50 * NSEC_PER_MSEC, &response, &e), -ETIMEDOUT);
        assert_non_null(strstr(error_message(&e), "did not answer in time"));
}

/* Freed with a call in flight: its handler is never heard of. */
static void never(const Mete__Api__Response *response, const struct error *e, void *userdata)
{
        fail_msg("a handler ran after mete_client_free()");
}

static void freed_in_flight(void **state)
{
        struct server *s = *state;
        Mete__Api__Call call = METE__API__CALL__INIT;
        struct mete_client *c = NULL;

        assert_int_equal(mete_client_new(s->address, &c, NULL), 0);
        call.type = METE__API__CALL__TYPE__GET_VERSION;
        mete_client_send(c, &call, 0, never, NULL);
        mete_client_free(c);
}

static void nobody_there(void **state)
{
        CLEANUP(cleanup_mete_client_free) struct mete_client *c = NULL;
        _cleanup_error_ struct error e = {0};
        Mete__Api__Response *response = NULL;

        /* Port 1 of loopback: nothing of ours, and privileged. */
        assert_int_equal(mete_client_new("127.0.0.1:1", &c, NULL), 0);
        assert_int_equal(plain_call(c, METE__API__CALL__TYPE__GET_VERSION, 0, &response, &e), -ECONNREFUSED);
        assert_string_equal(error_message(&e), "no master answers at 127.0.0.1:1: start one with `mete dev`, "
                                               "or set --master or METE_MASTER");
}

static void addresses(void **state)
{
        static const char *const bad[] = {"127.0.0.1:0x", "127.0.0.1:70000", ":5050", "[::1"};
        CLEANUP(cleanup_mete_client_free)
        struct mete_client *by_environment = NULL, *by_default = NULL, *v6 = NULL;

        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                _cleanup_error_ struct error e = {0};
                struct mete_client *c = NULL;

                assert_int_equal(mete_client_new(bad[i], &c, &e), -EINVAL);
                assert_null(c);
        }
        assert_int_equal(setenv("METE_MASTER", "127.0.0.2:77", 1), 0);
        assert_int_equal(mete_client_new(NULL, &by_environment, NULL), 0);
        assert_string_equal(mete_client_master(by_environment), "127.0.0.2:77");
        assert_int_equal(unsetenv("METE_MASTER"), 0);
        assert_int_equal(mete_client_new(NULL, &by_default, NULL), 0);
        assert_string_equal(mete_client_master(by_default), METE_DEFAULT_MASTER);
        assert_int_equal(mete_client_new("[::1]", &v6, NULL), 0);
        assert_string_equal(mete_client_master(v6), "[::1]:5050");
}

/* ---- streams ---- */

struct listener {
        struct mete_client *client;
        struct mete_stream *stream;
        unsigned events, ends;
        int code;
        bool cut_at_first; /* frees the stream inside its own callback */
};

static void on_event(struct mete_stream *s, const Mete__Api__Event *event, void *userdata)
{
        struct listener *l = userdata;

        l->events++;
        if (l->cut_at_first) {
                l->stream = mete_stream_free(l->stream);
                mete_client_stop(l->client);
        }
}

static void on_end(struct mete_stream *s, const struct error *e, void *userdata)
{
        struct listener *l = userdata;

        l->ends++;
        l->code = e ? e->code : 0;
        mete_client_stop(l->client);
}

static const struct mete_stream_handlers handlers = {.on_event = on_event, .on_end = on_end};

static void listen_to(struct server *s, const char *what, struct listener *l)
{
        Mete__Api__Call call = METE__API__CALL__INIT;
        Mete__Api__Call__Subscribe subscribe = METE__API__CALL__SUBSCRIBE__INIT;

        subscribe.job_id = (char *)what;
        call.type = METE__API__CALL__TYPE__SUBSCRIBE;
        call.subscribe = &subscribe;
        assert_int_equal(mete_client_new(s->address, &l->client, NULL), 0);
        assert_int_equal(mete_client_stream(l->client, NULL, &call, 0, &handlers, l, &l->stream, NULL), 0);
        assert_int_equal(mete_client_run(l->client), 0);
        mete_client_free(l->client);
}

static void streams(void **state)
{
        struct listener whole = {0}, unknown = {0}, garbage = {0}, cut = {.cut_at_first = true};

        listen_to(*state, "whole", &whole);
        assert_int_equal(whole.events, 2);
        assert_int_equal(whole.ends, 1);
        assert_int_equal(whole.code, 0);
        listen_to(*state, "unknown", &unknown);
        assert_int_equal(unknown.events, 0);
        assert_int_equal(unknown.code, -ENOENT);
        listen_to(*state, "garbage", &garbage);
        assert_int_equal(garbage.events, 1);
        assert_int_equal(garbage.ends, 1);
        assert_int_equal(garbage.code, -EPROTO);
        listen_to(*state, "endless", &cut);
        assert_int_equal(cut.events, 1);
        assert_int_equal(cut.ends, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(answers, start_server, stop_server),
                cmocka_unit_test_setup_teardown(refusals, start_server, stop_server),
                cmocka_unit_test_setup_teardown(not_a_master, start_server, stop_server),
                cmocka_unit_test_setup_teardown(silence, start_server, stop_server),
                cmocka_unit_test_setup_teardown(freed_in_flight, start_server, stop_server),
                cmocka_unit_test(nobody_there),
                cmocka_unit_test(addresses),
                cmocka_unit_test_setup_teardown(streams, start_server, stop_server),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
