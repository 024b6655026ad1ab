/* The client against our server, and against peers that misbehave: a thread that speaks bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/net/http_client.h"
#include "lib/net/http_server.h"

struct fixture {
        struct loop *loop;
        struct http_server *server;
        struct http_client *client;
        uint16_t port;
        struct loop_timer *deadline;
        struct http_stream *stream;
        struct http_request *held;
        unsigned opened, done, expected, requests;
        int status, error_code;
        char *body, *content_type;
        struct buffer records; /* each followed by '|' */
        bool free_in_record, cut;
};

static void on_deadline(struct loop_timer *t, void *userdata)
{
        (void)t, (void)userdata;
        fail_msg("nothing happened within the deadline");
}

/* ---- the server's side ---- */

static void echo(struct http_request *r, void *userdata)
{
        struct fixture *f = userdata;
        size_t len;
        const void *body = http_request_body(r, &len);
        const char *type = http_request_header(r, "Content-Type");

        f->requests++;
        http_respond(r, 200, type ? type : "text/none", body, len);
}

static void say_headers(struct http_request *r, void *userdata)
{
        const char *accept = http_request_header(r, "Accept");

        (void)userdata;
        http_respond_text(r, 418, "%s %s %s", http_request_method(r), http_request_header(r, "Host"),
                accept ? accept : "-");
}

static void hang_up(struct http_request *r, void *userdata)
{
        (void)userdata;
        http_request_add_header(r, "Connection", "close");
        http_respond_text(r, 200, "bye");
}

static void hold(struct http_request *r, void *userdata)
{
        struct fixture *f = userdata;

        if (f->held)
                http_respond_text(f->held, 500, "another came");
        f->held = r;
}

static void stream_three(struct http_request *r, void *userdata)
{
        struct http_stream *s = http_stream_open(r, "application/json", NULL, userdata);

        assert_int_equal(http_stream_record(s, "one", 3), 0);
        assert_int_equal(http_stream_record(s, "", 0), 0);
        assert_int_equal(http_stream_record(s, "three", 5), 0);
        http_stream_close(s);
}

static void on_stream_closed(struct http_stream *s, void *userdata)
{
        struct fixture *f = userdata;

        (void)s;
        f->stream = NULL;
}

static void stream_open(struct http_request *r, void *userdata)
{
        struct fixture *f = userdata;

        f->stream = http_stream_open(r, "application/json", on_stream_closed, f);
        assert_int_equal(http_stream_record(f->stream, "hello", 5), 0);
}

static int serve(struct fixture *f, uint16_t port)
{
        _cleanup_error_ struct error e = {};

        assert_int_equal(http_server_new(f->loop, NULL, &f->server, &e), 0);
        assert_int_equal(http_server_listen(f->server, "127.0.0.1", port, &f->port, &e), 0);
        http_server_route(f->server, "/echo", "GET,POST", echo, f);
        http_server_route(f->server, "/headers", "GET,DELETE", say_headers, f);
        http_server_route(f->server, "/bye", "GET", hang_up, f);
        http_server_route(f->server, "/hold", "GET", hold, f);
        http_server_route(f->server, "/stream", "POST", stream_three, f);
        http_server_route(f->server, "/open", "POST", stream_open, f);
        return 0;
}

static int set_up(void **state)
{
        struct fixture *f = NEW0(struct fixture);
        _cleanup_error_ struct error e = {};

        assert_int_equal(loop_new(&f->loop, &e), 0);
        serve(f, 0);
        assert_int_equal(http_client_new(f->loop, "localhost", f->port, &f->client, &e), 0);
        f->deadline = loop_timer_new(f->loop, on_deadline, f);
        loop_timer_arm(f->deadline, 10 * NSEC_PER_SEC, 0);
        f->expected = 1;
        *state = f;
        return 0;
}

static int tear_down(void **state)
{
        struct fixture *f = *state;

        (void)http_client_free(f->client);
        (void)http_server_free(f->server);
        if (f->held)
                http_respond_text(f->held, 500, "over");
        (void)loop_timer_free(f->deadline);
        (void)loop_free(f->loop);
        buffer_done(&f->records);
        free(f->body);
        free(f->content_type);
        free(f);
        return 0;
}

/* ---- the client's side ---- */

static void on_open(void *userdata)
{
        ((struct fixture *)userdata)->opened++;
}

static bool on_record(const void *data, size_t len, void *userdata)
{
        struct fixture *f = userdata;

        buffer_append(&f->records, data, len);
        buffer_puts(&f->records, "|");
        if (f->free_in_record)
                f->client = http_client_free(f->client);
        return !f->cut;
}

static void on_done(const struct http_response *response, void *userdata)
{
        struct fixture *f = userdata;

        f->status = response->status;
        f->error_code = response->error ? response->error->code : 0;
        assert_int_equal(response->status == 0, response->error != NULL);
        if (response->error)
                assert_non_null(response->error->message);
        free(f->body);
        free(f->content_type);
        f->body = response->body ? xstrndup(response->body, response->body_len) : NULL;
        f->content_type = xstrdup(response->content_type);
        if (++f->done == f->expected)
                loop_stop(f->loop);
}

static void run(struct fixture *f, unsigned answers)
{
        f->expected = f->done + answers;
        assert_int_equal(loop_run(f->loop), 0);
        assert_int_equal(f->done, f->expected);
}

static void get(struct fixture *f, const char *path)
{
        http_client_request(f->client, "GET", path, NULL, NULL, NULL, 0, 0, on_done, f);
}

static void stream(struct fixture *f, const char *path, uint64_t idle_ns)
{
        http_client_stream(f->client, "POST", path, "application/json", "application/json", "{}", 2, idle_ns,
                on_open, on_record, on_done, f);
}

static void test_request(void **state)
{
        struct fixture *f = *state;
        _cleanup_free_ char *host = xasprintf("GET 127.0.0.1:%u text/x\n", f->port);

        http_client_request(
                f->client, "POST", "/echo", "application/json", NULL, "{\"a\":1}", 7, 0, on_done, f);
        assert_int_equal(f->done, 0);
        run(f, 1);
        assert_int_equal(f->status, 200);
        assert_string_equal(f->body, "{\"a\":1}");
        assert_string_equal(f->content_type, "application/json");

        http_client_request(f->client, "GET", "/headers", NULL, "text/x", NULL, 0, 0, on_done, f);
        run(f, 1);
        assert_int_equal(f->status, 418);
        assert_string_equal(f->body, host);

        http_client_request(f->client, "POST", "/echo", NULL, NULL, NULL, 0, 0, on_done, f);
        run(f, 1);
        assert_int_equal(f->status, 200);
        assert_string_equal(f->body, "");
}

static void test_large_body(void **state)
{
        struct fixture *f = *state;
        size_t len = 4 * 1024 * 1024;
        _cleanup_free_ char *large = xmalloc(len + 1);

        memset(large, 'x', len);
        large[len] = '\0';
        http_client_request(f->client, "POST", "/echo", "text/plain", NULL, large, len, 0, on_done, f);
        run(f, 1);
        assert_int_equal(f->status, 200);
        assert_int_equal(strlen(f->body), len);
}

static void test_many_in_order(void **state)
{
        struct fixture *f = *state;

        for (unsigned i = 0; i < 50; i++) {
                _cleanup_free_ char *text = xasprintf("%u", i);

                http_client_request(
                        f->client, "POST", "/echo", "text/plain", NULL, text, strlen(text), 0, on_done, f);
        }
        run(f, 50);
        assert_string_equal(f->body, "49");
        assert_int_equal(f->requests, 50);
}

static void test_refused_arguments(void **state)
{
        struct fixture *f = *state;

        get(f, "/echo HTTP/1.1\r\nX: y");
        http_client_request(f->client, "BREW", "/echo", NULL, NULL, NULL, 0, 0, on_done, f);
        get(f, "echo");
        run(f, 3);
        assert_int_equal(f->error_code, -EINVAL);
        assert_int_equal(f->requests, 0);
        get(f, "/echo");
        run(f, 1);
        assert_int_equal(f->status, 200);
}

static void test_stream(void **state)
{
        struct fixture *f = *state;

        stream(f, "/stream", 0);
        run(f, 1);
        assert_int_equal(f->status, 200);
        assert_int_equal(f->opened, 1);
        assert_string_equal(f->records.data, "one||three|");
        assert_string_equal(f->body, "");
        /* The connection is fit for more. */
        get(f, "/echo");
        run(f, 1);
        assert_int_equal(f->status, 200);
}

static void test_stream_refused(void **state)
{
        struct fixture *f = *state;

        stream(f, "/nothing", 0);
        run(f, 1);
        assert_int_equal(f->status, 404);
        assert_int_equal(f->opened, 0);
        assert_true(strlen(f->body) > 0);
}

static void test_stream_cut_by_reader(void **state)
{
        struct fixture *f = *state;

        f->cut = true;
        stream(f, "/stream", 0);
        run(f, 1);
        assert_int_equal(f->status, 0);
        assert_int_equal(f->error_code, -ECANCELED);
        assert_string_equal(f->records.data, "one|");
        get(f, "/echo");
        run(f, 1);
        assert_int_equal(f->status, 200);
}

static void test_stream_lost(void **state)
{
        struct fixture *f = *state;

        stream(f, "/open", 0);
        http_client_request(f->client, "GET", "/echo", NULL, NULL, NULL, 0, 50 * NSEC_PER_MSEC, on_done, f);
        /* The second waits behind the stream, and its time runs. */
        run(f, 1);
        assert_int_equal(f->error_code, -ETIMEDOUT);
        assert_int_equal(f->opened, 1);
        f->server = http_server_free(f->server);
        run(f, 1);
        assert_int_equal(f->status, 0);
        assert_int_equal(f->error_code, -ECONNRESET);
        assert_string_equal(f->records.data, "hello|");
}

static void test_stream_silent(void **state)
{
        struct fixture *f = *state;

        stream(f, "/open", 50 * NSEC_PER_MSEC);
        run(f, 1);
        assert_int_equal(f->opened, 1);
        assert_int_equal(f->error_code, -ETIMEDOUT);
        get(f, "/echo");
        run(f, 1);
        assert_int_equal(f->status, 200);
        assert_null(f->stream);
}

static void test_timeout(void **state)
{
        struct fixture *f = *state;

        http_client_request(f->client, "GET", "/hold", NULL, NULL, NULL, 0, 50 * NSEC_PER_MSEC, on_done, f);
        get(f, "/echo");
        run(f, 2);
        assert_int_equal(f->status, 200);
        assert_non_null(f->held);
}

static void test_reconnect(void **state)
{
        struct fixture *f = *state;
        uint16_t port = f->port;

        for (unsigned i = 0; i < 3; i++) {
                get(f, "/bye");
                get(f, "/echo");
        }
        run(f, 6);
        assert_int_equal(f->status, 200);

        f->server = http_server_free(f->server);
        get(f, "/echo");
        run(f, 1);
        assert_int_equal(f->status, 0);
        assert_true(f->error_code == -ECONNREFUSED || f->error_code == -ECONNRESET);
        get(f, "/echo");
        run(f, 1);
        assert_int_equal(f->error_code, -ECONNREFUSED);
        serve(f, port);
        get(f, "/echo");
        run(f, 1);
        assert_int_equal(f->status, 200);
}

static void free_client(const struct http_response *response, void *userdata)
{
        struct fixture *f = userdata;

        f->client = http_client_free(f->client);
        on_done(response, userdata);
}

static void test_free_in_done(void **state)
{
        struct fixture *f = *state;

        http_client_request(f->client, "GET", "/echo", NULL, NULL, NULL, 0, 0, free_client, f);
        get(f, "/echo");
        stream(f, "/stream", 0);
        run(f, 3);
        /* The one that was answered last is the one whose handler freed the client. */
        assert_int_equal(f->status, 200);
        assert_int_equal(f->opened, 0);
        assert_int_equal(f->requests, 1);
}

static void test_free_in_record(void **state)
{
        struct fixture *f = *state;

        f->free_in_record = true;
        stream(f, "/stream", 0);
        get(f, "/echo");
        run(f, 2);
        assert_int_equal(f->error_code, -ECANCELED);
        assert_string_equal(f->records.data, "one|");
}

static void test_free_before_sending(void **state)
{
        struct fixture *f = *state;

        f->expected = 2;
        get(f, "/echo");
        stream(f, "/stream", 0);
        f->client = http_client_free(f->client);
        assert_int_equal(f->done, 2);
        assert_int_equal(f->error_code, -ECANCELED);
}

/* ---- peers that misbehave ---- */

struct peer {
        int listener;
        const char *answer;
};

static void *misbehave(void *userdata)
{
        struct peer *p = userdata;
        int fd = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC), r;
        char request[4096];
        ssize_t n = read(fd, request, sizeof(request));

        (void)n;
        r = write_all(fd, p->answer, strlen(p->answer));
        (void)r;
        (void)shutdown(fd, SHUT_WR);
        while (read(fd, request, sizeof(request)) > 0)
                ;
        (void)close(fd);
        return NULL;
}

static void against(struct fixture *f, const char *answer, bool streaming)
{
        struct peer p = {.answer = answer};
        struct sockaddr_in a = {.sin_family = AF_INET};
        socklen_t len = sizeof(a);
        _cleanup_error_ struct error e = {};
        pthread_t thread;

        a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        p.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(p.listener, (struct sockaddr *)&a, sizeof(a)), 0);
        assert_int_equal(listen(p.listener, 1), 0);
        assert_int_equal(getsockname(p.listener, (struct sockaddr *)&a, &len), 0);
        (void)http_client_free(f->client);
        assert_int_equal(http_client_new(f->loop, "127.0.0.1", ntohs(a.sin_port), &f->client, &e), 0);
        assert_int_equal(pthread_create(&thread, NULL, misbehave, &p), 0);
        buffer_done(&f->records);
        if (streaming)
                stream(f, "/x", 0);
        else
                get(f, "/x");
        run(f, 1);
        f->client = http_client_free(f->client);
        /* The connection closes when the pump runs. */
        loop_post(f->loop, (void (*)(void *))loop_stop, f->loop);
        assert_int_equal(loop_run(f->loop), 0);
        pthread_join(thread, NULL);
        (void)close(p.listener);
}

#define CHUNKED "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

static void test_misbehaving_peers(void **state)
{
        struct fixture *f = *state;

        against(f, "SSH-2.0-x\r\n", false);
        assert_int_equal(f->status, 0);
        against(f, "", false);
        assert_int_equal(f->error_code, -ECONNRESET);
        against(f, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", false);
        assert_int_equal(f->status, 0);
        assert_int_equal(f->error_code, -ECONNRESET);
        against(f, "HTTP/1.1 200 OK\r\n\r\nuntil the end", false);
        assert_int_equal(f->status, 200);
        assert_string_equal(f->body, "until the end");
        against(f, CHUNKED "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", false);
        assert_string_equal(f->body, "abcde");

        /* Records need not be chunks. */
        against(f, CHUNKED "2\r\n3\n\r\n4\r\nabc2\r\n3\r\n\nde\r\n0\r\n\r\n", true);
        assert_int_equal(f->status, 200);
        assert_string_equal(f->records.data, "abc|de|");
        against(f, CHUNKED "5\r\n3\nabc\r\n", true);
        assert_int_equal(f->error_code, -ECONNRESET);
        assert_string_equal(f->records.data, "abc|");
        against(f, CHUNKED "4\r\n3\nab\r\n0\r\n\r\n", true);
        assert_int_equal(f->error_code, -EPROTO);
        against(f, CHUNKED "4\r\nnope\r\n0\r\n\r\n", true);
        assert_int_equal(f->error_code, -EPROTO);
        against(f, CHUNKED "9\r\n99999999\n\r\n0\r\n\r\n", true);
        assert_int_equal(f->error_code, -EMSGSIZE);
}

static void test_host_port(void **state)
{
        static const struct {
                const char *text, *host;
                uint16_t port;
        } good[] = {
                {"127.0.0.1:5050", "127.0.0.1", 5050},
                {"example.org", "example.org", 5050},
                {"[::1]:80", "::1", 80},
                {"[::1]", "::1", 5050},
                {"::1", "::1", 5050},
                {"h:65535", "h", 65535},
        };
        static const char *const bad[] = {"", ":80", "h:", "h:0", "h:65536", "h:x", "h: 80", "[::1", "[::1]x",
                "[]:1", "a b", "a/b", "u@h"};

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(good); i++) {
                _cleanup_error_ struct error e = {};
                _cleanup_free_ char *host = NULL;
                uint16_t port = 0;

                assert_int_equal(host_port_parse(good[i].text, 5050, &host, &port, &e), 0);
                assert_string_equal(host, good[i].host);
                assert_int_equal(port, good[i].port);
        }
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                _cleanup_error_ struct error e = {};
                char *host = NULL;
                uint16_t port = 7;

                assert_int_equal(host_port_parse(bad[i], 5050, &host, &port, &e), -EINVAL);
                assert_non_null(e.message);
                assert_null(host);
                assert_int_equal(port, 7);
        }
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_request),
                TEST(test_large_body),
                TEST(test_many_in_order),
                TEST(test_refused_arguments),
                TEST(test_stream),
                TEST(test_stream_refused),
                TEST(test_stream_cut_by_reader),
                TEST(test_stream_lost),
                TEST(test_stream_silent),
                TEST(test_timeout),
                TEST(test_reconnect),
                TEST(test_free_in_done),
                TEST(test_free_in_record),
                TEST(test_free_before_sending),
                TEST(test_misbehaving_peers),
                cmocka_unit_test(test_host_port),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
