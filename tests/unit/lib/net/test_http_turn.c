/* Who is served before whom. One thread: requests wait in sockets until the loop runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/net/http_internal.h"

#define DEADLINE_SECONDS 10
#define PLACES 64
#define CROWD 600 /* more than are accepted in one go */
#define WORKERS 20
#define WORK_NS (2 * NSEC_PER_MSEC)

struct fixture {
        struct loop *loop;
        struct http_server *server;
        uint16_t port;
        struct loop_timer *deadline;
        char order[WORKERS + 2]; /* of the handlers: w or h */
        size_t handled, wanted;
        bool visit; /* the first piece of work asks for /health */
        int fds[CROWD];
        size_t fd_count;
        size_t accepted;
};

static void on_deadline(struct loop_timer *t, void *userdata)
{
        fail_msg("nothing happened within the deadline");
}

static int ask(struct fixture *f, const char *request)
{
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(f->port)};
        struct timeval tv = {.tv_sec = DEADLINE_SECONDS};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
        if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
                abort();
        assert_int_equal(write_all(fd, request, strlen(request)), 0);
        f->fds[f->fd_count++] = fd;
        return fd;
}

static void handled(struct fixture *f, char what)
{
        f->order[f->handled++] = what;
        if (f->handled == f->wanted)
                loop_stop(f->loop);
}

#define WORK "GET /work HTTP/1.1\r\nHost: x\r\n\r\n"
#define HEALTH "GET /health HTTP/1.1\r\nHost: x\r\n\r\n"

static void work(struct http_request *r, void *userdata)
{
        struct fixture *f = userdata;
        struct mono_time begin = mono_now();

        while (mono_elapsed_ns(begin, mono_now()) < WORK_NS)
                continue;
        if (f->visit) {
                f->visit = false;
                (void)ask(f, HEALTH);
        }
        http_respond_text(r, 200, "done");
        handled(f, 'w');
}

static void health(struct http_request *r, void *userdata)
{
        http_respond_text(r, 200, "well");
        handled(userdata, 'h');
}

static int set_up(void **state)
{
        struct fixture *f = NEW0(struct fixture);
        struct http_server_options o = {.max_connections = PLACES};
        _cleanup_error_ struct error e = {};

        assert_true(raise_file_limit() > 2 * CROWD + 100);
        assert_int_equal(loop_new(&f->loop, &e), 0);
        assert_int_equal(http_server_new(f->loop, &o, &f->server, &e), 0);
        assert_int_equal(http_server_listen(f->server, "127.0.0.1", 0, &f->port, &e), 0);
        http_server_route(f->server, "/work", "GET", work, f);
        http_server_route(f->server, "/health", "GET", health, f);
        http_server_route_is_prompt(f->server, "/health");
        f->deadline = loop_timer_new(f->loop, on_deadline, f);
        loop_timer_arm(f->deadline, DEADLINE_SECONDS * NSEC_PER_SEC, 0);
        *state = f;
        return 0;
}

static int tear_down(void **state)
{
        struct fixture *f = *state;

        for (size_t i = 0; i < f->fd_count; i++)
                (void)close(f->fds[i]);
        (void)loop_timer_free(f->deadline);
        (void)http_server_free(f->server);
        (void)loop_free(f->loop);
        free(f);
        return 0;
}

static void run_until(struct fixture *f, size_t wanted)
{
        f->wanted = wanted;
        assert_int_equal(loop_run(f->loop), 0);
}

static void expect_answer(int fd)
{
        char answer[13] = {};

        assert_int_equal(read(fd, answer, sizeof(answer) - 1), sizeof(answer) - 1);
        assert_string_equal(answer, "HTTP/1.1 200");
}

/* It came last, and is answered before work that came at the same time. */
static void test_prompt_goes_first(void **state)
{
        struct fixture *f = *state;

        for (unsigned i = 0; i < WORKERS; i++)
                (void)ask(f, WORK);
        int fd = ask(f, HEALTH);
        run_until(f, WORKERS + 1);
        assert_int_equal(f->order[0], 'h');
        expect_answer(fd);
        for (size_t i = 0; i < f->fd_count - 1; i++)
                expect_answer(f->fds[i]);
}

/* It comes while calls of older connections are carried out, and does not wait for all of them. */
static void test_prompt_interrupts(void **state)
{
        struct fixture *f = *state;
        const char *place;

        for (unsigned i = 0; i < WORKERS; i++)
                (void)ask(f, HEALTH);
        run_until(f, WORKERS);
        for (size_t i = 0; i < f->fd_count; i++)
                assert_int_equal(write_all(f->fds[i], WORK, strlen(WORK)), 0);
        f->handled = 0;
        f->visit = true;
        run_until(f, WORKERS + 1);
        place = memchr(f->order, 'h', WORKERS + 1);
        assert_non_null(place);
        /* One slice, and that in which it was accepted. */
        assert_in_range(place - f->order, 1, WORKERS / 2);
}

/* Only the first request of a connection is prompt: else whoever keeps asking would hold up everybody else. */
static void test_only_the_first(void **state)
{
        struct fixture *f = *state;

        int fd = ask(f, HEALTH);
        run_until(f, 1);
        for (unsigned i = 0; i < 5; i++)
                (void)ask(f, WORK);
        run_until(f, 6);
        f->handled = 0;
        for (size_t i = f->fd_count; i-- > 0;)
                assert_int_equal(write_all(f->fds[i], f->fds[i] == fd ? HEALTH : WORK,
                                         strlen(f->fds[i] == fd ? HEALTH : WORK)),
                        0);
        run_until(f, 6);
        assert_int_equal(f->order[5], 'h');
}

/* Who asks and goes away is carried out as if it had stayed. */
static void test_asked_and_gone(void **state)
{
        struct fixture *f = *state;
        int fd = ask(f, WORK);

        assert_int_equal(shutdown(fd, SHUT_RDWR), 0);
        run_until(f, 1);
        assert_int_equal(f->order[0], 'w');
}

static void test_server_ends_before_the_turn(void **state)
{
        struct fixture *f = *state;

        (void)ask(f, WORK);
        (void)ask(f, HEALTH);
        run_until(f, 1);
        assert_int_equal(f->order[0], 'h');
        f->server = http_server_free(f->server);
        assert_int_equal(f->handled, 1);
}

static void stop_soon(struct loop_timer *t, void *userdata)
{
        loop_stop(userdata);
}

static void run_a_while(struct fixture *f)
{
        struct loop_timer *soon = loop_timer_new(f->loop, stop_soon, f->loop);

        loop_timer_arm(soon, 10 * NSEC_PER_MSEC, 0);
        assert_int_equal(loop_run(f->loop), 0);
        (void)loop_timer_free(soon);
}

/* All places are taken by connections that are kept: newcomers that have not asked yet do not push each other out. */
static void test_newcomers_have_time_to_ask(void **state)
{
        struct fixture *f = *state;
        int newcomers[3];

        /* As many as the order has room for at a time. */
        for (unsigned i = 0; i < PLACES; i++) {
                (void)ask(f, HEALTH);
                f->handled = 0;
                run_until(f, 1);
        }
        run_a_while(f); /* all answers are sent */
        for (size_t i = 0; i < ELEMENTSOF(newcomers); i++) {
                newcomers[i] = ask(f, "");
                run_a_while(f);
        }
        assert_true(HASH_COUNT(f->server->connections) <= PLACES);
        f->handled = 0;
        for (size_t i = 0; i < ELEMENTSOF(newcomers); i++)
                assert_int_equal(write_all(newcomers[i], HEALTH, strlen(HEALTH)), 0);
        run_until(f, ELEMENTSOF(newcomers));
        for (size_t i = 0; i < ELEMENTSOF(newcomers); i++)
                expect_answer(newcomers[i]);
}

static void on_bulk(struct loop_timer *t, void *userdata)
{
        struct fixture *f = userdata;

        f->accepted = HASH_COUNT(f->server->connections);
        loop_stop(f->loop);
}

/* A flood of connections leaves time for what waits in line. */
static void test_flood_leaves_time(void **state)
{
        struct fixture *f = *state;
        struct loop_timer *bulk = loop_timer_new(f->loop, on_bulk, f);

        f->server->max_connections = 2 * CROWD;
        for (unsigned i = 0; i < CROWD; i++)
                (void)ask(f, "");
        loop_timer_arm(bulk, 0, 0);
        assert_int_equal(loop_run(f->loop), 0);
        assert_in_range(f->accepted, 1, CROWD - 1);
        (void)loop_timer_free(bulk);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        const struct CMUnitTest tests[] = {
                TEST(test_prompt_goes_first),
                TEST(test_prompt_interrupts),
                TEST(test_only_the_first),
                TEST(test_asked_and_gone),
                TEST(test_server_ends_before_the_turn),
                TEST(test_newcomers_have_time_to_ask),
                TEST(test_flood_leaves_time),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
