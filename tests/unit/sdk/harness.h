/*
 * A daemon that the drivers can talk to: a real HTTP server on a thread of its own that does what a test tells it, and a log of lines
 * in which the test waits for what either side saw.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/net/codec.h"
#include "lib/net/http_server.h"
#include "sdk/mete.h"

#define LINES_MAX 4096
#define DEADLINE_SECONDS 20

/* ---- the log: lines in the order in which they came, and a cursor behind the last that a test has waited for ---- */

struct lines {
        pthread_mutex_t lock;
        pthread_cond_t grown;
        char *line[LINES_MAX];
        size_t count, cursor;
};

static inline void lines_init(struct lines *l)
{
        memset(l, 0, sizeof(*l));
        assert_int_equal(pthread_mutex_init(&l->lock, NULL), 0);
        assert_int_equal(pthread_cond_init(&l->grown, NULL), 0);
}

static inline void lines_done(struct lines *l)
{
        for (size_t i = 0; i < l->count; i++)
                free(l->line[i]);
        pthread_cond_destroy(&l->grown);
        pthread_mutex_destroy(&l->lock);
}

static inline void lines_add(struct lines *l, const char *fmt, ...) PRINTF_LIKE(2, 3);
static inline void lines_add(struct lines *l, const char *fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        pthread_mutex_lock(&l->lock);
        if (l->count < LINES_MAX)
                l->line[l->count++] = xvasprintf(fmt, ap);
        pthread_cond_broadcast(&l->grown);
        pthread_mutex_unlock(&l->lock);
        va_end(ap);
}

/* Waits for a line behind the cursor that has `text` in it, and sets the cursor behind it. */
static inline const char *lines_wait(struct lines *l, const char *text)
{
        struct timespec deadline;
        const char *found = NULL;
        int r = 0;

        clock_gettime(CLOCK_REALTIME, &deadline);
        deadline.tv_sec += DEADLINE_SECONDS;
        pthread_mutex_lock(&l->lock);
        for (size_t i = l->cursor; !found && r == 0;) {
                for (; i < l->count && !found; i++)
                        if (strstr(l->line[i], text)) {
                                found = l->line[i];
                                l->cursor = i + 1;
                        }
                if (!found)
                        r = pthread_cond_timedwait(&l->grown, &l->lock, &deadline);
        }
        if (!found)
                for (size_t i = 0; i < l->count; i++)
                        print_error("%c %s\n", i < l->cursor ? ' ' : '>', l->line[i]);
        pthread_mutex_unlock(&l->lock);
        if (!found)
                fail_msg("no line with '%s' came", text);
        return found;
}

static inline unsigned lines_count(struct lines *l, const char *text)
{
        unsigned n = 0;

        pthread_mutex_lock(&l->lock);
        for (size_t i = 0; i < l->count; i++)
                n += strstr(l->line[i], text) != NULL;
        pthread_mutex_unlock(&l->lock);
        return n;
}

/* ---- the daemon ---- */

struct peer {
        struct lines *lines;
        struct loop *loop;
        struct http_server *http;
        pthread_t thread;
        uint16_t port;
        const char *path;
        const ProtobufCMessageDescriptor *call, *event;
        const char *subscribed; /* the event that answers SUBSCRIBE, as JSON; NULL: none */
        const char *extra_header, *extra_value;
        int subscribe_status; /* other than 200: with this text */
        const char *subscribe_text;
        int call_status; /* 0: no answer at all */
        struct http_stream *stream;
        enum codec codec;
        unsigned subscriptions;
        struct http_request *held[16]; /* not answered */
        unsigned n_held;
};

static inline void peer_send_now(struct peer *p, const char *json)
{
        _cleanup_buffer_ struct buffer b = {0};
        _cleanup_error_ struct error e = {0};
        ProtobufCMessage *m = NULL;

        if (message_decode(CODEC_JSON, p->event, json, strlen(json), &m, &e) < 0)
                fail_msg("%s: %s", json, error_message(&e));
        assert_int_equal(message_encode(p->codec, m, &b), 0);
        message_free(m);
        assert_non_null(p->stream);
        assert_int_equal(http_stream_record(p->stream, b.data, b.len), 0);
}

static inline void peer_stream_closed(struct http_stream *s, void *userdata)
{
        struct peer *p = userdata;

        if (p->stream == s) {
                p->stream = NULL;
                lines_add(p->lines, "peer: the stream is closed");
        }
}

static inline void peer_subscribe(struct peer *p, struct http_request *r)
{
        char id[32];

        p->subscriptions++;
        if (p->subscribe_status != 200) {
                if (p->extra_header)
                        http_request_add_header(r, p->extra_header, p->extra_value);
                http_respond_text(r, p->subscribe_status, "%s", p->subscribe_text ? p->subscribe_text : "no");
                return;
        }
        if (p->stream)
                http_stream_close(TAKE_PTR(p->stream));
        snprintf(id, sizeof(id), "stream-%u", p->subscriptions);
        http_request_add_header(r, "Mesos-Stream-Id", id);
        p->stream = http_stream_open(r, codec_content_type(p->codec), peer_stream_closed, p);
        if (p->subscribed)
                peer_send_now(p, p->subscribed);
}

/* Every call is a line of JSON in the log. */
static inline void peer_on_request(struct http_request *r, void *userdata)
{
        struct peer *p = userdata;
        _cleanup_buffer_ struct buffer json = {0};
        _cleanup_error_ struct error e = {0};
        ProtobufCMessage *m = NULL;
        const char *stream_id = http_request_header(r, "Mesos-Stream-Id");
        const char *authorization = http_request_header(r, "Authorization");
        size_t len;
        const void *body = http_request_body(r, &len);

        p->codec = codec_from_content_type(http_request_header(r, "Content-Type"));
        assert_true((int)p->codec >= 0);
        if (message_decode(p->codec, p->call, body, len, &m, &e) < 0)
                fail_msg("a call cannot be understood: %s", error_message(&e));
        assert_int_equal(message_encode(CODEC_JSON, m, &json), 0);
        message_free(m);
        lines_add(p->lines, "%s %s [%s] [%s] %s", p->codec == CODEC_JSON ? "json" : "protobuf", p->path,
                stream_id ? stream_id : "", authorization ? authorization : "", json.data);
        if (strstr(json.data, "\"type\":\"SUBSCRIBE\"") || strstr(json.data, "\"type\": \"SUBSCRIBE\"")) {
                peer_subscribe(p, r);
        } else if (p->call_status == 0) {
                assert_true(p->n_held < ELEMENTSOF(p->held));
                p->held[p->n_held++] = r;
        } else {
                http_respond_text(r, p->call_status, "refused because of a test");
        }
}

static inline void *peer_thread(void *userdata)
{
        struct peer *p = userdata;

        (void)loop_run(p->loop);
        for (unsigned i = 0; i < p->n_held; i++)
                http_respond_text(p->held[i], 503, "over");
        p->stream = NULL;
        http_server_free(p->http);
        loop_free(p->loop);
        return NULL;
}

static inline void peer_start(struct peer *p, struct lines *lines, bool executor)
{
        p->lines = lines;
        p->path = executor ? "/api/v1/executor" : "/api/v1/scheduler";
        p->call = executor ? &mete__v1__executor__call__descriptor : &mete__v1__scheduler__call__descriptor;
        p->event =
                executor ? &mete__v1__executor__event__descriptor : &mete__v1__scheduler__event__descriptor;
        p->subscribe_status = 200;
        p->call_status = 202;
        assert_int_equal(loop_new(&p->loop, NULL), 0);
        assert_int_equal(http_server_new(p->loop, NULL, &p->http, NULL), 0);
        http_server_route(p->http, p->path, "POST", peer_on_request, p);
        assert_int_equal(http_server_listen(p->http, "127.0.0.1", 0, &p->port, NULL), 0);
}
static inline void peer_go(struct peer *p)
{
        assert_int_equal(pthread_create(&p->thread, NULL, peer_thread, p), 0);
}

/* Runs a function on the daemon's thread and waits for it. */
struct errand {
        void (*function)(struct peer *p, const char *text);
        struct peer *peer;
        const char *text;
        pthread_mutex_t lock;
        pthread_cond_t done_changed;
        bool done;
};

static inline void errand_run(void *userdata)
{
        struct errand *e = userdata;

        e->function(e->peer, e->text);
        pthread_mutex_lock(&e->lock);
        e->done = true;
        pthread_cond_signal(&e->done_changed);
        pthread_mutex_unlock(&e->lock);
}

static inline void peer_do(
        struct peer *p, void (*function)(struct peer *p, const char *text), const char *text)
{
        struct errand e = {.function = function, .peer = p, .text = text};

        pthread_mutex_init(&e.lock, NULL);
        pthread_cond_init(&e.done_changed, NULL);
        loop_post(p->loop, errand_run, &e);
        pthread_mutex_lock(&e.lock);
        while (!e.done)
                pthread_cond_wait(&e.done_changed, &e.lock);
        pthread_mutex_unlock(&e.lock);
        pthread_cond_destroy(&e.done_changed);
        pthread_mutex_destroy(&e.lock);
}

static inline void peer_send(struct peer *p, const char *json)
{
        peer_do(p, peer_send_now, json);
}
static inline void peer_send_raw_now(struct peer *p, const char *text)
{
        assert_int_equal(http_stream_record(p->stream, text, strlen(text)), 0);
}
static inline void peer_close_now(struct peer *p, const char *text)
{
        http_stream_close(TAKE_PTR(p->stream));
}
static inline void peer_stop_now(struct peer *p, const char *text)
{
        loop_stop(p->loop);
}
static inline void peer_stop(struct peer *p)
{
        peer_do(p, peer_stop_now, NULL);
        assert_int_equal(pthread_join(p->thread, NULL), 0);
}

/* A port on which nobody listens. */
static inline uint16_t free_port(void)
{
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof(a);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
        (void)close(fd);
        return ntohs(a.sin_port);
}
