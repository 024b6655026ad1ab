/* The client over a unix socket, against a peer that says whatever a test wants, byte by byte if need be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/net/http_client.h"

struct peer {
        pthread_t thread;
        int fd;
        char directory[32], path[64];
        const char *const *answers; /* one a request; NULL ends the connection, and the list */
        bool bytewise;
        char requests[4096]; /* all that was read */
        unsigned connections;
};

/* Until the end of the head, and of a body of two bytes when there is one. */
static bool read_request(struct peer *p, int fd)
{
        size_t start = strlen(p->requests), n = start;

        for (;;) {
                const char *end = strstr(p->requests + start, "\r\n\r\n");

                if (end && (!strstr(p->requests + start, "Content-Length: 2") || strlen(end) >= 6))
                        return true;
                if (n + 1 >= sizeof(p->requests) || read(fd, p->requests + n, 1) != 1)
                        return false;
                p->requests[++n] = '\0';
        }
}

static void *serve(void *userdata)
{
        struct peer *p = userdata;
        const char *const *answer = p->answers;
        int fd;

        while (*answer && (fd = accept4(p->fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
                p->connections++;
                while (*answer && read_request(p, fd)) {
                        size_t len = strlen(*answer), step = p->bytewise ? 1 : len;

                        for (size_t i = 0; i < len; i += step)
                                assert_int_equal(send(fd, *answer + i, step, MSG_NOSIGNAL), (ssize_t)step);
                        answer++;
                        if (str_has_suffix(answer[-1], "!"))
                                break;
                }
                (void)close(fd);
        }
        return NULL;
}

static void peer_start(struct peer *p, const char *const *answers, bool bytewise)
{
        struct sockaddr_un a = {.sun_family = AF_UNIX};

        *p = (struct peer){.answers = answers, .bytewise = bytewise};
        strcpy(p->directory, "/tmp/mete-unix.XXXXXX");
        assert_non_null(mkdtemp(p->directory));
        snprintf(p->path, sizeof(p->path), "%s/socket", p->directory);
        strcpy(a.sun_path, p->path);
        p->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(p->fd, (struct sockaddr *)&a, sizeof(a)), 0);
        assert_int_equal(listen(p->fd, 8), 0);
        assert_int_equal(pthread_create(&p->thread, NULL, serve, p), 0);
}

static void peer_stop(struct peer *p)
{
        (void)shutdown(p->fd, SHUT_RDWR);
        assert_int_equal(pthread_join(p->thread, NULL), 0);
        (void)close(p->fd);
        (void)unlink(p->path);
        (void)rmdir(p->directory);
}

struct result {
        struct loop *loop;
        struct http_client *client;
        int status, code;
        char body[256], records[256], header[64];
        unsigned waiting;
};

static void on_done(const struct http_response *response, void *userdata)
{
        struct result *r = userdata;
        const char *header = http_client_answer_header(r->client, "mesos-stream-id");

        r->status = response->status;
        r->code = response->error ? response->error->code : 0;
        if (response->body)
                snprintf(r->body + strlen(r->body), sizeof(r->body) - strlen(r->body), "%.*s",
                        (int)response->body_len, (const char *)response->body);
        if (header)
                snprintf(r->header, sizeof(r->header), "%s", header);
        if (--r->waiting == 0)
                loop_stop(r->loop);
}

static bool on_record(const void *data, size_t len, void *userdata)
{
        struct result *r = userdata;

        snprintf(r->records + strlen(r->records), sizeof(r->records) - strlen(r->records), "[%.*s]", (int)len,
                (const char *)data);
        return memcmp(data, "cut", MIN(len, (size_t)3)) != 0;
}

static void open_client(struct result *r, const char *path)
{
        *r = (struct result){0};
        assert_int_equal(loop_new(&r->loop, NULL), 0);
        assert_int_equal(http_client_new_unix(r->loop, path, &r->client, NULL), 0);
}

static void close_client(struct result *r)
{
        http_client_free(r->client);
        loop_free(r->loop);
}

static void ask(struct result *r, const char *body)
{
        r->waiting++;
        http_client_request(r->client, "POST", "/api", "text/plain", "text/plain", body, strlen(body),
                10 * NSEC_PER_SEC, on_done, r);
}

static void listen_to(struct result *r)
{
        r->waiting++;
        http_client_stream(r->client, "POST", "/stream", "text/plain", "text/plain", "hi", 2,
                10 * NSEC_PER_SEC, NULL, on_record, on_done, r);
        assert_int_equal(loop_run(r->loop), 0);
}

/* Answers come in order over one connection, however they are framed and split. */
static void framings(bool bytewise)
{
        const char *const answers[] = {
                "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nMesos-Stream-Id: one\r\n\r\n",
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: 1\r\n\r\n",
                NULL,
        };
        struct peer p;
        struct result r;

        peer_start(&p, answers, bytewise);
        open_client(&r, p.path);
        http_client_set_header(r.client, "Authorization", "Bearer a");
        http_client_set_header(r.client, "Authorization", "Bearer b");
        http_client_set_header(r.client, "X-Gone", "1");
        http_client_set_header(r.client, "X-Gone", NULL);
        for (int i = 0; i < 3; i++)
                ask(&r, "hi");
        assert_int_equal(loop_run(r.loop), 0);
        assert_string_equal(r.body, "helloabcde");
        assert_string_equal(r.header, "one");
        assert_int_equal(r.status, 200);
        close_client(&r);
        peer_stop(&p);
        assert_int_equal(p.connections, 1);
        assert_non_null(strstr(p.requests, "POST /api HTTP/1.1\r\nHost: localhost\r\n"));
        assert_non_null(strstr(p.requests, "Authorization: Bearer b\r\n"));
        assert_null(strstr(p.requests, "Bearer a"));
        assert_null(strstr(p.requests, "X-Gone"));
}

static void whole(void **state)
{
        framings(false);
}

static void byte_by_byte(void **state)
{
        framings(true);
}

static void streams(void **state)
{
        const char *const answers[] = {
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: "
                "chunked\r\n\r\n5\r\n3\nabc\r\n5\r\n3\ndef\r\n0\r\n\r\n",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n3\ncut\r\n",
                "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n3\nend\r\n3\r\n9\n!",
                NULL,
        };
        struct peer p;
        struct result r;

        peer_start(&p, answers, false);
        open_client(&r, p.path);
        listen_to(&r);
        assert_string_equal(r.records, "[abc][def]");
        assert_int_equal(r.status, 200);
        listen_to(&r); /* cut by its reader: the next has a new connection */
        assert_int_equal(r.code, -ECANCELED);
        listen_to(&r);
        assert_int_equal(r.status, 403);
        assert_string_equal(r.body, "no");
        listen_to(&r);
        assert_int_equal(r.code, -ECONNRESET);
        assert_string_equal(r.records, "[abc][def][cut][end]");
        close_client(&r);
        peer_stop(&p);
        assert_int_equal(p.connections, 2);
}

static void expect_code(const char *answer, int code)
{
        const char *const answers[] = {answer, NULL};
        struct peer p;
        struct result r;

        peer_start(&p, answers, false);
        open_client(&r, p.path);
        ask(&r, "");
        assert_int_equal(loop_run(r.loop), 0);
        assert_int_equal(r.status, 0);
        assert_int_equal(r.code, code);
        close_client(&r);
        peer_stop(&p);
}

static void bad_answers(void **state)
{
        expect_code("SSH-2.0 hello\r\n", -EPROTO);
        expect_code("HTTP/1.1 2x0 OK\r\n\r\n", -EPROTO);
        expect_code("HTTP/1.1 200 OK\r\nno colon\r\n\r\n", -EPROTO);
        expect_code("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", -EPROTO);
        expect_code("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", -EPROTO);
        expect_code("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", -EPROTO);
        expect_code("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n", -EPROTO);
        expect_code("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc!", -ECONNRESET);
        expect_code("!", -ECONNRESET);
}

static void nobody_there(void **state)
{
        struct result r;
        char path[200] = {0};

        open_client(&r, "/tmp/mete-unix-nobody/socket");
        ask(&r, "");
        assert_int_equal(loop_run(r.loop), 0);
        assert_int_equal(r.code, -ECONNREFUSED);
        close_client(&r);
        memset(path, 'x', sizeof(path) - 1);
        assert_int_equal(http_client_new_unix(NULL, path, &r.client, NULL), -ENAMETOOLONG);
        assert_int_equal(http_client_new_unix(NULL, "", &r.client, NULL), -ENAMETOOLONG);
}

/* Calls in flight and waiting hear of it once. */
static void freed_in_flight(void **state)
{
        const char *const answers[] = {"HTTP/1.1 200 OK\r\n", NULL};
        struct peer p;
        struct result r;

        peer_start(&p, answers, false);
        open_client(&r, p.path);
        ask(&r, "hi");
        ask(&r, "hi");
        http_client_free(r.client);
        loop_free(r.loop);
        assert_int_equal(r.code, -ECANCELED);
        assert_int_equal(r.waiting, 0);
        peer_stop(&p);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(whole),
                cmocka_unit_test(byte_by_byte),
                cmocka_unit_test(streams),
                cmocka_unit_test(bad_answers),
                cmocka_unit_test(nobody_there),
                cmocka_unit_test(freed_in_flight),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
