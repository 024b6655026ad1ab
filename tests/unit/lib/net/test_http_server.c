/* The server over real loopback sockets: a thread speaks bytes, the loop runs in the main thread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <zlib.h>

#include "lib/net/http_server.h"

#define DEADLINE_SECONDS 10

struct fixture {
        struct loop *loop;
        struct http_server *server;
        uint16_t port;
        struct loop_timer *deadline;
        struct loop_timer *later; /* answers what is deferred */
        struct http_request *deferred;
        struct http_stream *stream;
        unsigned handled, closed, drained;
        int last_error;
};

struct exchange {
        struct fixture *f;
        const void *request;
        size_t len;
        bool leave; /* closes without reading */
        int fd;     /* kept open when >= 0 is wanted: `hold` */
        bool hold;
        const char *path; /* of a unix socket, in place of the port */
        int write_result;
        struct buffer answer;
};

static void on_deadline(struct loop_timer *t, void *userdata)
{
        (void)t, (void)userdata;
        fail_msg("nothing happened within the deadline");
}

static void stop(void *userdata)
{
        loop_stop(userdata);
}

static int connect_to(uint16_t port)
{
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
        struct timeval tv = {.tv_sec = DEADLINE_SECONDS};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
        if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
                abort();
        return fd;
}

static int connect_to_path(const char *path)
{
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        struct timeval tv = {.tv_sec = DEADLINE_SECONDS};
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        (void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
        if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
                abort();
        return fd;
}

static void *speak(void *userdata)
{
        struct exchange *x = userdata;
        char data[4096];
        ssize_t n;

        x->fd = x->path ? connect_to_path(x->path) : connect_to(x->f->port);
        x->write_result = write_all(x->fd, x->request, x->len);
        while (!x->leave && !x->hold && (n = read(x->fd, data, sizeof(data))) > 0)
                buffer_append(&x->answer, data, (size_t)n);
        if (!x->hold) {
                (void)close(x->fd);
                x->fd = -1;
        }
        if (!x->leave && !x->hold)
                loop_post(x->f->loop, stop, x->f->loop);
        return NULL;
}

/* Sends bytes and returns what came back until the server closed. */
static char *exchange_bytes(struct fixture *f, const void *request, size_t len)
{
        struct exchange x = {.f = f, .request = request, .len = len};
        pthread_t thread;

        assert_int_equal(pthread_create(&thread, NULL, speak, &x), 0);
        assert_int_equal(loop_run(f->loop), 0);
        pthread_join(thread, NULL);
        f->last_error = x.write_result;
        return buffer_take(&x.answer);
}

static char *exchange(struct fixture *f, const char *request)
{
        return exchange_bytes(f, request, strlen(request));
}

static char *get(struct fixture *f, const char *path)
{
        _cleanup_free_ char *request =
                xasprintf("GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path);

        return exchange(f, request);
}

static const char *body_of(const char *answer)
{
        const char *p = strstr(answer, "\r\n\r\n");

        assert_non_null(p);
        return p + 4;
}

static unsigned count(const char *text, const char *what)
{
        unsigned n = 0;

        for (; (text = strstr(text, what)); text += strlen(what))
                n++;
        return n;
}

/* ---- handlers ---- */

static void say_route(struct http_request *r, void *userdata)
{
        const char *q = http_request_query(r, "q");
        _cleanup_free_ char *text = xasprintf("%s|%s|%s|%s|%s", (const char *)userdata,
                http_request_method(r), http_request_path(r), http_request_subpath(r), q ? q : "-");

        http_respond(r, 200, "text/plain", text, strlen(text));
}

static void echo(struct http_request *r, void *userdata)
{
        size_t len;
        const void *body = http_request_body(r, &len);

        (void)userdata;
        http_respond(r, 200, "application/octet-stream", body, len);
}

static void accepted(struct http_request *r, void *userdata)
{
        (void)userdata;
        http_respond(r, 202, NULL, NULL, 0);
}

static void answer_deferred(struct loop_timer *t, void *userdata)
{
        struct fixture *f = userdata;

        (void)t;
        http_respond_text(TAKE_PTR(f->deferred), 200, "later");
}

static void defer(struct http_request *r, void *userdata)
{
        struct fixture *f = userdata;

        f->handled++;
        f->deferred = r;
        loop_timer_arm(f->later, 30 * NSEC_PER_MSEC, 0);
}

static void hold(struct http_request *r, void *userdata)
{
        struct fixture *f = userdata;

        f->deferred = r;
        loop_stop(f->loop);
}

static void on_stream_closed(struct http_stream *s, void *userdata)
{
        struct fixture *f = userdata;

        assert_int_equal(http_stream_record(s, "x", 1), -EPIPE);
        f->closed++;
        f->stream = NULL;
        /* Must change nothing: the stream is being freed already. */
        http_stream_close(s);
        loop_stop(f->loop);
}

static void stream_three(struct http_request *r, void *userdata)
{
        struct http_stream *s = http_stream_open(r, "application/json", on_stream_closed, userdata);

        assert_int_equal(http_stream_record(s, "ab", 2), 0);
        assert_int_equal(http_stream_record(s, "{\"type\":\"HEARTBEAT\"}", 20), 0);
        assert_int_equal(http_stream_record(s, "", 0), 0);
        http_stream_close(s);
}

static void stream_open(struct http_request *r, void *userdata)
{
        struct fixture *f = userdata;

        f->stream = http_stream_open(r, "application/json", on_stream_closed, f);
        assert_int_equal(http_stream_record(f->stream, "hello", 5), 0);
        loop_stop(f->loop);
}

static void stream_flood(struct http_request *r, void *userdata)
{
        static char data[1024 * 1024];
        struct fixture *f = userdata;
        struct http_stream *s = http_stream_open(r, "application/json", on_stream_closed, f);
        int e = 0;

        for (unsigned i = 0; i < 100 && e == 0; i++)
                e = http_stream_record(s, data, sizeof(data));
        f->last_error = e;
        assert_true(http_stream_pending(s) <= 16 * 1024 * 1024);
        assert_true(http_stream_pending(s) > 8 * 1024 * 1024);
        http_stream_close(s);
        loop_stop(f->loop);
}

static void drained(struct http_stream *s, void *userdata)
{
        struct fixture *f = userdata;

        assert_int_equal(http_stream_pending(s), 0);
        if (f->drained++ == 0)
                assert_int_equal(http_stream_record(s, "second", 6), 0);
        else
                http_stream_close(s);
}

static void stream_drain(struct http_request *r, void *userdata)
{
        struct http_stream *s = http_stream_open(r, "application/json", NULL, userdata);

        http_stream_on_drain(s, drained);
        assert_int_equal(http_stream_record(s, "first", 5), 0);
}

static void json(struct http_request *r, void *userdata)
{
        static char text[5000];
        const char *size = http_request_query(r, "size");
        size_t len = size ? (size_t)atoi(size) : 2;

        (void)userdata;
        memset(text, ' ', sizeof(text));
        text[0] = '{';
        text[len - 1] = '}';
        http_respond_json(r, 200, text, len);
}

static void say_peer(struct http_request *r, void *userdata)
{
        struct http_unix_peer p;

        (void)userdata;
        if (http_request_unix_peer(r, &p) < 0) {
                http_respond_text(r, 200, "none");
                return;
        }
        assert_true(p.pidfd >= 0);
        http_respond_text(r, 200, "%d %d %d", (int)p.pid, (int)p.uid, (int)p.gid);
}

/* ---- fixture ---- */

static int set_up(void **state)
{
        struct fixture *f = NEW0(struct fixture);
        struct http_server_options o = {.max_body_bytes = 1000, .max_connections = 2};
        _cleanup_error_ struct error e = {};

        assert_int_equal(loop_new(&f->loop, &e), 0);
        assert_int_equal(http_server_new(f->loop, &o, &f->server, &e), 0);
        assert_int_equal(http_server_listen(f->server, "127.0.0.1", 0, &f->port, &e), 0);
        http_server_route(f->server, "/api", "GET", say_route, (void *)(uintptr_t) "api");
        http_server_route(f->server, "/api/v1/", "GET,POST", say_route, (void *)(uintptr_t) "v1");
        http_server_route(f->server, "/api/v1/scheduler", "POST", say_route, (void *)(uintptr_t) "scheduler");
        http_server_route(f->server, "/echo", "POST,PUT", echo, f);
        http_server_route(f->server, "/accepted", "POST", accepted, f);
        http_server_route(f->server, "/defer", "GET", defer, f);
        http_server_route(f->server, "/hold", "GET", hold, f);
        http_server_route(f->server, "/stream", "GET", stream_three, f);
        http_server_route(f->server, "/open", "GET", stream_open, f);
        http_server_route(f->server, "/flood", "GET", stream_flood, f);
        http_server_route(f->server, "/drain", "GET", stream_drain, f);
        http_server_route(f->server, "/json", "GET,POST", json, f);
        http_server_route(f->server, "/peer", "GET", say_peer, f);
        http_server_route_process(
                f->server, "slave(1)", "/state", "GET", say_route, (void *)(uintptr_t) "state");
        f->deadline = loop_timer_new(f->loop, on_deadline, f);
        loop_timer_arm(f->deadline, DEADLINE_SECONDS * NSEC_PER_SEC, 0);
        f->later = loop_timer_new(f->loop, answer_deferred, f);
        *state = f;
        return 0;
}

static int tear_down(void **state)
{
        struct fixture *f = *state;

        (void)loop_timer_free(f->deadline);
        (void)loop_timer_free(f->later);
        (void)http_server_free(f->server);
        (void)loop_free(f->loop);
        free(f);
        return 0;
}

/* ---- tests ---- */

static void test_longest_prefix(void **state)
{
        static const struct {
                const char *path, *body;
        } cases[] = {
                {"/api", "api|GET|/api||-"},
                {"/api/", "api|GET|/api/||-"},
                {"/api/v1", "v1|GET|/api/v1||-"},
                {"/api/v1/", "v1|GET|/api/v1/||-"},
                {"/api/v1/x/y", "v1|GET|/api/v1/x/y|/x/y|-"},
                {"/api/v10", "api|GET|/api/v10|/v10|-"},
                {"/api/v1x/scheduler", "api|GET|/api/v1x/scheduler|/v1x/scheduler|-"},
                {"/api/a%20b?q=1%2b2", "api|GET|/api/a b|/a b|1+2"},
                {"/api/a..b", "api|GET|/api/a..b|/a..b|-"},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *answer = get(*state, cases[i].path);

                assert_true(str_has_prefix(answer, "HTTP/1.1 200 OK\r\n"));
                assert_string_equal(body_of(answer), cases[i].body);
        }
}

static void test_not_found(void **state)
{
        static const char *const paths[] = {"/", "/apix", "/nothing", "/api/../echo", "/api/..", "/../api",
                "/api/%2e%2e/echo", "/api/%2e./x", "/api/%00"};

        for (size_t i = 0; i < ELEMENTSOF(paths); i++) {
                _cleanup_free_ char *answer = get(*state, paths[i]);

                assert_true(str_has_prefix(answer, "HTTP/1.1 404 "));
        }
}

static void test_method_not_allowed(void **state)
{
        _cleanup_free_ char *a = get(*state, "/api/v1/scheduler");
        _cleanup_free_ char *b =
                exchange(*state, "DELETE /api/v1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        _cleanup_free_ char *c =
                exchange(*state, "HEAD /api/v1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        _cleanup_free_ char *d =
                exchange(*state, "BREW /api/v1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");

        assert_true(str_has_prefix(a, "HTTP/1.1 405 "));
        assert_non_null(strstr(a, "\r\nAllow: POST\r\n"));
        assert_true(str_has_prefix(b, "HTTP/1.1 405 "));
        assert_non_null(strstr(b, "\r\nAllow: GET, POST\r\n"));
        assert_true(str_has_prefix(c, "HTTP/1.1 200 "));
        assert_string_equal(body_of(c), "");
        assert_true(str_has_prefix(d, "HTTP/1.1 "));
        assert_null(strstr(d, "200 OK"));
}

static void test_empty_answer_has_no_content_type(void **state)
{
        _cleanup_free_ char *a = exchange(*state,
                "POST /accepted HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");

        assert_true(str_has_prefix(a, "HTTP/1.1 202 "));
        assert_non_null(strstr(a, "\r\nContent-Length: 0\r\n"));
        assert_null(strstr(a, "Content-Type"));
}

static void test_body_too_large(void **state)
{
        struct fixture *f = *state;
        _cleanup_buffer_ struct buffer b = {}, chunked = {};
        _cleanup_free_ char *answer = NULL, *answer2 = NULL, *fits = NULL;

        buffer_puts(&b, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 20000000\r\n\r\n");
        for (unsigned i = 0; i < 2000000; i++)
                buffer_puts(&b, "0123456789");
        answer = exchange_bytes(f, b.data, b.len);
        /* Many clients look at an answer only when all of their body is out. */
        assert_int_equal(f->last_error, 0);
        assert_true(str_has_prefix(answer, "HTTP/1.1 413 "));

        buffer_puts(&chunked, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n");
        for (unsigned i = 0; i < 100; i++)
                buffer_puts(&chunked, "0123456789");
        buffer_puts(&chunked, "\r\n1\r\n");
        answer2 = exchange_bytes(*state, chunked.data, chunked.len);
        assert_true(str_has_prefix(answer2, "HTTP/1.1 413 "));

        /* The bound itself is fine. */
        chunked.len -= strlen("1\r\n");
        buffer_puts(&chunked, "0\r\n\r\nGET /api HTTP/1.1\r\nConnection: close\r\n\r\n");
        fits = exchange_bytes(*state, chunked.data, chunked.len);
        assert_true(str_has_prefix(fits, "HTTP/1.1 200 "));
        assert_non_null(strstr(fits, "\r\nContent-Length: 1000\r\n"));
}

static void test_chunked_request(void **state)
{
        _cleanup_free_ char *a = exchange(*state,
                "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
                "5\r\nhello\r\n7\r\n, world\r\n0\r\n\r\n");

        assert_true(str_has_prefix(a, "HTTP/1.1 200 "));
        assert_string_equal(body_of(a), "hello, world");
}

static void test_ambiguous_framing(void **state)
{
        _cleanup_free_ char *a = exchange(*state,
                "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"
                "0\r\n\r\n");
        _cleanup_free_ char *b = exchange(*state, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
                                                  "gzip, chunked\r\nContent-Length: 3\r\n\r\nabc");

        assert_true(str_has_prefix(a, "HTTP/1.1 400 "));
        assert_true(str_has_prefix(b, "HTTP/1.1 400 "));
}

static void test_pipelining(void **state)
{
        _cleanup_free_ char *a =
                exchange(*state, "GET /api/1 HTTP/1.1\r\nHost: x\r\n\r\n"
                                 "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
                                 "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"
                                 "GET /api/4 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        const char *one = strstr(a, "|/1|"), *two = strstr(a, "\r\n\r\nabc"), *three = strstr(a, "404"),
                   *four = strstr(a, "|/4|");

        assert_int_equal(count(a, "HTTP/1.1 "), 4);
        assert_true(one && two && three && four && one < two && two < three && three < four);
}

static void test_deferred_with_pipelined_follower(void **state)
{
        struct fixture *f = *state;
        /* What comes while the first is not answered must wait, and must not end the process. */
        _cleanup_free_ char *a = exchange(f, "GET /defer HTTP/1.1\r\nHost: x\r\n\r\nGET /api "
                                             "HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        const char *later = strstr(a, "later\n"), *api = strstr(a, "api|GET");

        assert_int_equal(f->handled, 1);
        assert_true(later && api && later < api);
}

static void test_stream_chunks(void **state)
{
        struct fixture *f = *state;
        _cleanup_free_ char *a = exchange(f, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\nGET /api "
                                             "HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        static const char expected[] = "4\r\n2\nab\r\n"
                                       "17\r\n20\n{\"type\":\"HEARTBEAT\"}\r\n"
                                       "2\r\n0\n\r\n"
                                       "0\r\n\r\n";

        assert_non_null(strstr(a, "\r\nTransfer-Encoding: chunked\r\n"));
        assert_non_null(strstr(a, "\r\nContent-Type: application/json\r\n"));
        assert_true(str_has_prefix(body_of(a), expected));
        /* The connection goes on behind the stream. */
        assert_true(str_has_prefix(body_of(a) + strlen(expected), "HTTP/1.1 200 OK\r\n"));
        assert_int_equal(f->closed, 0);
}

static void test_stream_http_1_0(void **state)
{
        _cleanup_free_ char *a = exchange(*state, "GET /stream HTTP/1.0\r\n\r\n");

        assert_null(strstr(a, "chunked"));
        assert_string_equal(body_of(a), "2\nab20\n{\"type\":\"HEARTBEAT\"}0\n");
}

static void test_stream_drain(void **state)
{
        struct fixture *f = *state;
        _cleanup_free_ char *a = exchange(f, "GET /drain HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");

        assert_string_equal(body_of(a), "7\r\n5\nfirst\r\n8\r\n6\nsecond\r\n0\r\n\r\n");
        assert_int_equal(f->drained, 2);
}

/* Runs the loop until the handler stops it, while the peer holds its connection open. */
static int start_and_hold(struct fixture *f, const char *request)
{
        struct exchange x = {.f = f, .request = request, .len = strlen(request), .hold = true};
        pthread_t thread;

        assert_int_equal(pthread_create(&thread, NULL, speak, &x), 0);
        assert_int_equal(loop_run(f->loop), 0);
        pthread_join(thread, NULL);
        return x.fd;
}

static void test_stream_peer_leaves(void **state)
{
        struct fixture *f = *state;
        int fd = start_and_hold(f, "GET /open HTTP/1.1\r\nHost: x\r\n\r\n");
        char data[512];
        ssize_t n;

        /* Flushed at once: the record is on its way before the handler returned. */
        n = read(fd, data, sizeof(data) - 1);
        assert_true(n > 0);
        data[n] = '\0';
        assert_non_null(strstr(data, "\r\n\r\n7\r\n5\nhello\r\n"));
        (void)close(fd);
        assert_int_equal(loop_run(f->loop), 0);
        assert_int_equal(f->closed, 1);
}

static void test_stream_survives_server(void **state)
{
        struct fixture *f = *state;
        int fd = start_and_hold(f, "GET /open HTTP/1.1\r\nHost: x\r\n\r\n");

        /* Freeing the server takes its streams along. */
        f->server = http_server_free(f->server);
        assert_int_equal(f->closed, 1);
        (void)close(fd);
}

static void test_stream_peer_floods(void **state)
{
        struct fixture *f = *state;
        int fd = start_and_hold(f, "GET /open HTTP/1.1\r\nHost: x\r\n\r\n");
        static char noise[256 * 1024];
        ssize_t n;

        n = send(fd, noise, sizeof(noise), MSG_DONTWAIT);
        assert_true(n > 0);
        assert_int_equal(http_stream_record(f->stream, "more", 4), 0);
        http_stream_close(TAKE_PTR(f->stream));
        (void)shutdown(fd, SHUT_WR);
        /* Noise is no request: refused, and closed. Other peers are served. */
        for (unsigned i = 0; i < 3; i++) {
                _cleanup_free_ char *a = get(f, "/api");

                assert_true(str_has_prefix(a, "HTTP/1.1 200 "));
        }
        (void)close(fd);
}

static void test_slow_reader(void **state)
{
        struct fixture *f = *state;
        int fd = start_and_hold(f, "GET /flood HTTP/1.1\r\nHost: x\r\n\r\n");

        assert_int_equal(f->last_error, -ENOBUFS);
        (void)close(fd);
}

static void test_abandoned_request(void **state)
{
        struct fixture *f = *state;
        int fd = start_and_hold(f, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
        _cleanup_free_ char *a = NULL;

        (void)close(fd);
        /* By the time that this is served, the server knows that the other is gone. */
        a = get(f, "/api");
        assert_true(str_has_prefix(a, "HTTP/1.1 200 "));
        assert_string_equal(http_request_path(f->deferred), "/hold");
        http_respond_text(TAKE_PTR(f->deferred), 200, "too late");

        fd = start_and_hold(f, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
        f->server = http_server_free(f->server);
        http_respond_text(TAKE_PTR(f->deferred), 200, "far too late");
        (void)close(fd);
}

static void test_deferred_peer_goes_on_sending(void **state)
{
        struct fixture *f = *state;
        int fd = start_and_hold(f, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
        static const char more[] = "GET /api HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        _cleanup_free_ char *other = NULL;

        assert_int_equal(write_all(fd, more, sizeof(more) - 1), 0);
        /* By the time that this is served, the loop has seen those bytes too. */
        other = get(f, "/api");
        assert_true(str_has_prefix(other, "HTTP/1.1 200 "));
        http_respond_text(TAKE_PTR(f->deferred), 200, "at last");
        (void)close(fd);
}

static void test_abandoned_stream(void **state)
{
        struct fixture *f = *state;
        int fd = start_and_hold(f, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
        _cleanup_free_ char *a = NULL;
        struct http_stream *s;

        (void)close(fd);
        a = get(f, "/api");
        s = http_stream_open(TAKE_PTR(f->deferred), "application/json", on_stream_closed, f);
        assert_int_equal(http_stream_record(s, "x", 1), -EPIPE);
        assert_int_equal(f->closed, 0);
        assert_int_equal(loop_run(f->loop), 0);
        assert_int_equal(f->closed, 1);
}

static void test_too_many_connections(void **state)
{
        struct fixture *f = *state;
        int one = start_and_hold(f, "GET /open HTTP/1.1\r\nHost: x\r\n\r\n");
        int two = start_and_hold(f, "GET /open HTTP/1.1\r\nHost: x\r\n\r\n");
        _cleanup_free_ char *refused = get(f, "/api"), *served = NULL;

        assert_true(str_has_prefix(refused, "HTTP/1.1 503 "));
        (void)close(one);
        assert_int_equal(loop_run(f->loop), 0);
        assert_int_equal(f->closed, 1);
        served = get(f, "/api");
        assert_true(str_has_prefix(served, "HTTP/1.1 200 "));
        (void)close(two);
}

/* Who connects and says nothing gives way to who comes later. */
static void test_silent_connections(void **state)
{
        struct fixture *f = *state;
        int silent[6];
        char byte;

        for (size_t i = 0; i < ELEMENTSOF(silent); i++)
                silent[i] = connect_to(f->port);
        /* One in the middle of its request is no better than one before it. */
        assert_int_equal(write_all(silent[0], "GET /api", 8), 0);
        _cleanup_free_ char *served = get(f, "/api");
        assert_true(str_has_prefix(served, "HTTP/1.1 200 "));
        for (size_t i = 0; i < 4; i++)
                assert_true(read(silent[i], &byte, 1) <= 0);
        for (size_t i = 0; i < ELEMENTSOF(silent); i++)
                (void)close(silent[i]);
}

/* Who asked something before a crowd came with it, in one pass of the loop, is answered. */
static void test_asked_in_a_crowd(void **state)
{
        static const char request[] = "GET /api HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        struct fixture *f = *state;
        int asker = connect_to(f->port), silent[6];
        char answer[16] = {};

        assert_int_equal(write_all(asker, request, sizeof(request) - 1), 0);
        for (size_t i = 0; i < ELEMENTSOF(silent); i++)
                silent[i] = connect_to(f->port);
        _cleanup_free_ char *served = get(f, "/api");
        assert_true(str_has_prefix(served, "HTTP/1.1 200 "));
        assert_true(read(asker, answer, sizeof(answer) - 1) > 0);
        assert_true(str_has_prefix(answer, "HTTP/1.1 200 "));
        (void)close(asker);
        for (size_t i = 0; i < ELEMENTSOF(silent); i++)
                (void)close(silent[i]);
}

static void test_process_prefix(void **state)
{
        static const struct {
                const char *path, *body;
        } cases[] = {
                {"/state", "state|GET|/state||-"},
                {"/slave(1)/state", "state|GET|/slave(1)/state||-"},
                {"/slave%281%29/state/", "state|GET|/slave(1)/state/||-"},
                {"/slave%281%29/state/x", "state|GET|/slave(1)/state/x|/x|-"},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *answer = get(*state, cases[i].path);

                assert_string_equal(body_of(answer), cases[i].body);
        }
        _cleanup_free_ char *other = get(*state, "/slave(2)/state");
        assert_true(str_has_prefix(other, "HTTP/1.1 404 "));
}

static size_t header_number(const char *answer, const char *name)
{
        const char *p = strstr(answer, name);

        assert_non_null(p);
        return (size_t)atoi(p + strlen(name));
}

static char *get_json(struct fixture *f, const char *query, const char *encoding)
{
        _cleanup_free_ char *request = xasprintf(
                "GET /json%s HTTP/1.1\r\nHost: x\r\nAccept-Encoding: %s\r\nConnection: close\r\n\r\n", query,
                encoding);

        return exchange(f, request);
}

static void test_gzip(void **state)
{
        _cleanup_free_ char *packed = get_json(*state, "?size=1024", "deflate, gzip;q=0.5");
        _cleanup_free_ char *small = get_json(*state, "?size=1023", "gzip");
        _cleanup_free_ char *refused = get_json(*state, "?size=1024", "gzip;q=0");
        z_stream z = {0};
        char out[2000];

        assert_non_null(strstr(packed, "\r\nContent-Encoding: gzip\r\n"));
        assert_non_null(strstr(packed, "\r\nVary: Accept-Encoding\r\n"));
        assert_non_null(strstr(packed, "\r\nDate: "));
        z.next_in = (Bytef *)(uintptr_t)body_of(packed);
        z.avail_in = (uInt)header_number(packed, "Content-Length: ");
        z.next_out = (Bytef *)out;
        z.avail_out = sizeof(out);
        assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
        assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
        (void)inflateEnd(&z);
        assert_int_equal(z.total_out, 1024);
        assert_int_equal(out[0], '{');
        assert_int_equal(out[1023], '}');
        assert_null(strstr(small, "Content-Encoding"));
        assert_null(strstr(small, "Vary"));
        assert_int_equal(strlen(body_of(small)), 1023);
        assert_null(strstr(refused, "Content-Encoding"));
        assert_non_null(strstr(refused, "\r\nVary: Accept-Encoding\r\n"));
        assert_int_equal(strlen(body_of(refused)), 1024);
}

static void test_stream_is_never_packed(void **state)
{
        _cleanup_free_ char *answer = exchange(*state,
                "GET /stream HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n");

        assert_non_null(strstr(answer, "\r\n\r\n4\r\n2\nab\r\n"));
        assert_null(strstr(answer, "Content-Encoding"));
}

static void test_accepts_gzip(void **state)
{
        static const struct {
                const char *header;
                bool yes;
        } cases[] = {{NULL, false}, {"", false}, {"gzip", true}, {"GZip", true}, {"deflate", false},
                {"deflate,gzip", true}, {"gzip;q=0", false}, {"gzip; q=0.000", false}, {"gzip;q=0.001", true},
                {"gzip;q=1", true}, {"*", true}, {"*;q=0", false}, {"gzip;q=0,*", false}, {"xgzip", false},
                {"gzipx", false}, {"identity", false}, {",,,gzip", true},
                {"br;q=1.0, gzip;q=0.8, *;q=0.1", true}};

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                assert_int_equal(http_accepts_gzip(cases[i].header), cases[i].yes);
}

static void test_jsonp(void **state)
{
        _cleanup_free_ char *plain = get(*state, "/json");
        _cleanup_free_ char *wrapped = get(*state, "/json?jsonp=angular.callbacks._0");
        _cleanup_free_ char *refused = get(*state, "/json?jsonp=alert(1)//");
        _cleanup_free_ char *posted = exchange(*state,
                "POST /json?jsonp=cb HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");

        assert_non_null(strstr(plain, "\r\nContent-Type: application/json\r\n"));
        assert_string_equal(body_of(plain), "{}");
        assert_non_null(strstr(wrapped, "\r\nContent-Type: text/javascript\r\n"));
        assert_string_equal(body_of(wrapped), "angular.callbacks._0({});");
        assert_true(str_has_prefix(refused, "HTTP/1.1 400 "));
        assert_string_equal(body_of(posted), "{}");
}

static void test_jsonp_names(void **state)
{
        static const char *const good[] = {"a", "_", "$", "a.b", "a1.$2", "JSON_CALLBACK", "jQuery1_2"};
        static const char *const bad[] = {"", ".", "a.", ".a", "a..b", "1a", "a.1", "a b", "a(", "a;b", "a\n",
                "a<b", "\xc3\xa4", "a[0]"};
        char name[200];

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(good); i++)
                assert_true(http_jsonp_name_valid(good[i]));
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_false(http_jsonp_name_valid(bad[i]));
        memset(name, 'a', sizeof(name));
        name[128] = '\0';
        assert_true(http_jsonp_name_valid(name));
        name[128] = 'a';
        name[129] = '\0';
        assert_false(http_jsonp_name_valid(name));
}

static void test_unix_socket(void **state)
{
        struct fixture *f = *state;
        char directory[] = "/tmp/mete-unit-XXXXXX", expected[64];
        _cleanup_error_ struct error e = {};
        struct exchange x = {.f = f, .request = "GET /peer HTTP/1.0\r\n\r\n"};
        struct stat st;
        pthread_t thread;

        assert_non_null(mkdtemp(directory));
        _cleanup_free_ char *path = xasprintf("%s/agent.sock", directory);
        assert_int_equal(http_server_listen_unix(f->server, path, 0660, &e), 0);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0660);
        /* Another server's, and what is no socket, stay. */
        assert_int_equal(http_server_listen_unix(f->server, path, 0660, &e), -EADDRINUSE);
        x.path = path;
        x.len = strlen(x.request);
        assert_int_equal(pthread_create(&thread, NULL, speak, &x), 0);
        assert_int_equal(loop_run(f->loop), 0);
        pthread_join(thread, NULL);
        (void)snprintf(expected, sizeof(expected), "%d %d %d\n", (int)getpid(), (int)getuid(), (int)getgid());
        assert_string_equal(body_of(x.answer.data), expected);
        buffer_done(&x.answer);
        _cleanup_free_ char *tcp = get(f, "/peer");
        assert_string_equal(body_of(tcp), "none\n");
        f->server = http_server_free(f->server);
        assert_int_equal(stat(path, &st), -1);
        assert_int_equal(rmdir(directory), 0);
}

static void test_unix_socket_places(void **state)
{
        struct fixture *f = *state;
        char directory[] = "/tmp/mete-unit-XXXXXX", longest[108];
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        _cleanup_error_ struct error e = {};

        assert_non_null(mkdtemp(directory));
        /* Left by a process that was killed. */
        (void)snprintf(a.sun_path, sizeof(a.sun_path), "%s/s", directory);
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
        assert_int_equal(listen(fd, 1), 0);
        (void)close(fd);
        assert_int_equal(http_server_listen_unix(f->server, a.sun_path, 0600, &e), 0);
        _cleanup_free_ char *file = xasprintf("%s/file", directory);
        FILE *out = fopen(file, "we");
        assert_non_null(out);
        (void)fclose(out);
        assert_int_equal(http_server_listen_unix(f->server, file, 0600, &e), -EADDRINUSE);
        assert_int_equal(unlink(file), 0);
        memset(longest, 'x', sizeof(longest));
        longest[0] = '/';
        longest[107] = '\0';
        assert_int_not_equal(http_server_listen_unix(f->server, longest, 0600, &e), -ENAMETOOLONG);
        (void)unlink(longest);
        _cleanup_free_ char *longer = xasprintf("%sx", longest);
        assert_int_equal(http_server_listen_unix(f->server, longer, 0600, &e), -ENAMETOOLONG);
        assert_non_null(strstr(e.message, "108"));
        assert_int_equal(http_server_listen_unix(f->server, "relative", 0600, &e), -ENAMETOOLONG);
        f->server = http_server_free(f->server);
        assert_int_equal(rmdir(directory), 0);
}

static void test_malformed_chunks(void **state)
{
        static const char *const bodies[] = {"x\r\nab\r\n0\r\n\r\n", "-2\r\nab\r\n0\r\n\r\n",
                "ffffffffffffffffff\r\nab\r\n0\r\n\r\n", "\r\n0x\r\n\r\n"};

        for (size_t i = 0; i < ELEMENTSOF(bodies); i++) {
                _cleanup_free_ char *request =
                        xasprintf("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
                                  "chunked\r\nConnection: close\r\n\r\n%s",
                                bodies[i]);
                _cleanup_free_ char *answer = exchange(*state, request);

                /* evhttp answers by itself, and has one status for a body that is too large and one that is none. */
                assert_true(str_has_prefix(answer, "HTTP/1.1 4"));
                assert_int_equal(count(answer, "HTTP/1.1 "), 1);
        }
}

static void test_malformed(void **state)
{
        _cleanup_buffer_ struct buffer b = {};
        _cleanup_free_ char *a = exchange(*state, "nonsense\r\n\r\n"), *large = NULL;

        assert_true(str_has_prefix(a, "HTTP/1.1 400 "));
        buffer_puts(&b, "GET /api HTTP/1.1\r\nHost: x\r\nX-Large: ");
        for (unsigned i = 0; i < 7000; i++)
                buffer_puts(&b, "0123456789");
        buffer_puts(&b, "\r\n\r\n");
        large = exchange_bytes(*state, b.data, b.len);
        assert_null(strstr(large, "200 OK"));
}

static void test_addresses(void **state)
{
        struct fixture *f = *state;
        _cleanup_error_ struct error e = {};

        assert_true(address_is_loopback("127.0.0.1"));
        assert_true(address_is_loopback("127.255.0.9"));
        assert_true(address_is_loopback("::1"));
        assert_true(address_is_loopback("::ffff:127.0.0.1"));
        assert_false(address_is_loopback("128.0.0.1"));
        assert_false(address_is_loopback("0.0.0.0"));
        assert_false(address_is_loopback("::"));
        assert_false(address_is_loopback("localhost"));
        assert_false(address_is_loopback(""));
        assert_int_equal(http_server_listen(f->server, "localhost", 0, NULL, &e), -EINVAL);
        assert_non_null(strstr(e.message, "numeric"));
        assert_int_equal(http_server_listen(f->server, "127.0.0.1", f->port, NULL, &e), -EADDRINUSE);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_longest_prefix),
                TEST(test_not_found),
                TEST(test_method_not_allowed),
                TEST(test_empty_answer_has_no_content_type),
                TEST(test_body_too_large),
                TEST(test_chunked_request),
                TEST(test_ambiguous_framing),
                TEST(test_pipelining),
                TEST(test_deferred_with_pipelined_follower),
                TEST(test_stream_chunks),
                TEST(test_stream_http_1_0),
                TEST(test_stream_drain),
                TEST(test_stream_peer_leaves),
                TEST(test_stream_survives_server),
                TEST(test_stream_peer_floods),
                TEST(test_slow_reader),
                TEST(test_abandoned_request),
                TEST(test_deferred_peer_goes_on_sending),
                TEST(test_abandoned_stream),
                TEST(test_too_many_connections),
                TEST(test_silent_connections),
                TEST(test_asked_in_a_crowd),
                TEST(test_process_prefix),
                TEST(test_gzip),
                TEST(test_stream_is_never_packed),
                TEST(test_accepts_gzip),
                TEST(test_jsonp),
                TEST(test_jsonp_names),
                TEST(test_unix_socket),
                TEST(test_unix_socket_places),
                TEST(test_malformed_chunks),
                TEST(test_malformed),
                TEST(test_addresses),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
