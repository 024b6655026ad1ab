/* A framework that speaks bytes: blocking sockets against the master of harness.h, which is a process of its own. */
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <strings.h>
#include <sys/socket.h>

#include "proto/scheduler.pb-c.h"
#include "tests/unit/master/harness.h"

#define SCHEDULER_PATH "/api/v1/scheduler"

struct wire {
        int fd;
        struct buffer in; /* read, not taken */
        size_t at;
};

struct answer {
        int status;
        char *head; /* all header lines */
        char *body; /* NULL for a stream */
};

static inline struct wire wire_open(const struct cluster *c)
{
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(c->port)};
        struct timeval limit = {.tv_sec = DEADLINE_NS / NSEC_PER_SEC};
        struct wire w = {.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
        int one = 1;

        a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        assert_true(w.fd >= 0);
        assert_int_equal(setsockopt(w.fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
        assert_int_equal(setsockopt(w.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)), 0);
        assert_int_equal(connect(w.fd, (struct sockaddr *)&a, sizeof(a)), 0);
        return w;
}

static inline void wire_close(struct wire *w)
{
        w->fd = close_fd(w->fd);
        buffer_done(&w->in);
        w->at = 0;
}

static inline void wire_write(struct wire *w, const void *data, size_t len)
{
        assert_int_equal(write_all(w->fd, data, len), 0);
}

/* False at the end of the connection. */
static inline bool wire_fill(struct wire *w)
{
        char bytes[65536];
        ssize_t n = read(w->fd, bytes, sizeof(bytes));

        if (n < 0 && errno != ECONNRESET)
                fail_msg("nothing came within the deadline: %s", strerror(errno));
        if (n <= 0)
                return false;
        buffer_append(&w->in, bytes, (size_t)n);
        return true;
}

/* Up to and with the text, owned. */
static inline char *wire_until(struct wire *w, const char *end)
{
        char *found;

        while (!w->in.data || !(found = memmem(w->in.data + w->at, w->in.len - w->at, end, strlen(end))))
                if (!wire_fill(w))
                        fail_msg("the connection ended before %s", end);
        size_t len = (size_t)(found - (w->in.data + w->at)) + strlen(end);
        char *text = xstrndup(w->in.data + w->at, len);

        w->at += len;
        return text;
}

static inline char *wire_take(struct wire *w, size_t len)
{
        char *bytes;

        while (w->in.len - w->at < len)
                if (!wire_fill(w))
                        fail_msg("the connection ended");
        bytes = xcalloc(1, len + 1);
        memcpy(bytes, w->in.data + w->at, len);
        w->at += len;
        return bytes;
}

static inline void answer_done(struct answer *a)
{
        free(a->head);
        free(a->body);
        *a = (struct answer){};
}

/* Of a header, owned; NULL. */
static inline char *answer_header(const struct answer *a, const char *name)
{
        for (const char *line = a->head; line && *line; line = strchr(line, '\n'), line += line != NULL)
                if (strncasecmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':') {
                        const char *value = line + strlen(name) + 1;

                        value += strspn(value, " ");
                        return xstrndup(value, strcspn(value, "\r\n"));
                }
        return NULL;
}

static inline struct answer read_answer(struct wire *w)
{
        struct answer a = {.head = wire_until(w, "\r\n\r\n")};
        _cleanup_free_ char *length = answer_header(&a, "Content-Length");

        assert_int_equal(sscanf(a.head, "HTTP/1.1 %d", &a.status), 1);
        if (length)
                a.body = wire_take(w, (size_t)atol(length));
        return a;
}

/* ---- calls ---- */

/* What the text says, in the encoding. */
static inline struct buffer encode_call(enum codec codec, const char *json)
{
        ProtobufCMessage *message = NULL;
        _cleanup_error_ struct error e = {};
        struct buffer out = {};

        if (message_decode(
                    CODEC_JSON, &mete__v1__scheduler__call__descriptor, json, strlen(json), &message, &e) < 0)
                fail_msg("%s: %s", json, error_message(&e));
        assert_int_equal(message_encode(codec, message, &out), 0);
        message_free(message);
        return out;
}

/* One request; headers: whole lines, or NULL. */
static inline struct buffer http_request_bytes(const char *method, const char *path, const char *headers,
        const char *type, const void *body, size_t len)
{
        struct buffer out = {};

        buffer_printf(&out, "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\n%s", method, path, headers ? headers : "");
        if (type)
                buffer_printf(&out, "Content-Type: %s\r\n", type);
        if (body)
                buffer_printf(&out, "Content-Length: %zu\r\n", len);
        buffer_puts(&out, "\r\n");
        if (body)
                buffer_append(&out, body, len);
        return out;
}

static inline void send_call(struct wire *w, enum codec codec, const char *headers, const char *json)
{
        _cleanup_buffer_ struct buffer body = encode_call(codec, json);
        _cleanup_buffer_ struct buffer out = http_request_bytes("POST", SCHEDULER_PATH, headers,
                codec_content_type(codec), body.data ? body.data : "", body.len);

        wire_write(w, out.data, out.len);
}

/* ---- subscriptions ---- */

struct scheduler {
        struct wire wire;
        enum codec codec;
        char *stream_id, *id; /* of the framework */
        char *headers;        /* for further calls */
};

static inline struct answer start_stream(struct scheduler *s, const struct cluster *c, enum codec codec,
        const char *more_headers, const char *json)
{
        _cleanup_free_ char *headers =
                xasprintf("Accept: %s\r\n%s", codec_content_type(codec), more_headers ? more_headers : "");
        struct answer a;

        *s = (struct scheduler){.wire = wire_open(c), .codec = codec};
        send_call(&s->wire, codec, headers, json);
        a = read_answer(&s->wire);
        s->stream_id = answer_header(&a, "Mesos-Stream-Id");
        return a;
}

/* The next event, which must come as one record in one chunk. NULL at the end of the stream. */
static inline Mete__V1__Scheduler__Event *next_event(struct scheduler *s)
{
        _cleanup_free_ char *size = wire_until(&s->wire, "\r\n"), *chunk = NULL, *end = NULL;
        size_t len = strtoul(size, NULL, 16);
        _cleanup_error_ struct error e = {};
        ProtobufCMessage *message = NULL;
        char *payload;

        chunk = wire_take(&s->wire, len);
        end = wire_take(&s->wire, 2);
        assert_string_equal(end, "\r\n");
        if (len == 0)
                return NULL;
        unsigned long record = strtoul(chunk, &payload, 10);
        assert_int_equal(*payload, '\n');
        payload++;
        assert_int_equal(record, len - (size_t)(payload - chunk));
        if (s->codec == CODEC_JSON)
                assert_null(memchr(payload, '\n', record)); /* some clients split at lines */
        if (message_decode(s->codec, &mete__v1__scheduler__event__descriptor, payload, record, &message, &e) <
                0)
                fail_msg("no event: %s", error_message(&e));
        return (Mete__V1__Scheduler__Event *)message;
}

/* The next one of the type; heartbeats on the way are skipped. */
static inline Mete__V1__Scheduler__Event *expect_event(
        struct scheduler *s, Mete__V1__Scheduler__Event__Type type)
{
        for (;;) {
                Mete__V1__Scheduler__Event *event = next_event(s);

                if (!event)
                        fail_msg("the stream ended before an event of type %d", (int)type);
                if (event->type == type)
                        return event;
                if (event->type != METE__V1__SCHEDULER__EVENT__TYPE__HEARTBEAT)
                        fail_msg("event of type %d in place of %d: %s", (int)event->type, (int)type,
                                event->error ? event->error->message : "");
                message_free(event);
        }
}

/* The stream holds an ERROR that contains the text, and nothing more. */
static inline void expect_error_and_end(struct scheduler *s, const char *text)
{
        Mete__V1__Scheduler__Event *event = expect_event(s, METE__V1__SCHEDULER__EVENT__TYPE__ERROR);

        if (!strstr(event->error->message, text))
                fail_msg("'%s' does not say '%s'", event->error->message, text);
        message_free(event);
        assert_null(next_event(s));
        assert_false(wire_fill(&s->wire)); /* closed */
}

static inline void scheduler_done(struct scheduler *s)
{
        wire_close(&s->wire);
        free(s->stream_id);
        free(s->id);
        free(s->headers);
        *s = (struct scheduler){.wire.fd = -1};
}

/* info: members of FrameworkInfo beside user and name, or "". id: NULL for a new one. */
static inline struct scheduler subscribe_with(
        const struct cluster *c, enum codec codec, const char *id, const char *info, const char *more_headers)
{
        _cleanup_free_ char *outer = id ? xasprintf("\"framework_id\":{\"value\":\"%s\"},", id) : xstrdup("");
        _cleanup_free_ char *inner = id ? xasprintf(",\"id\":{\"value\":\"%s\"}", id) : xstrdup("");
        _cleanup_free_ char *json = xasprintf("{%s\"type\":\"SUBSCRIBE\",\"subscribe\":{\"framework_info\":{"
                                              "\"user\":\"root\",\"name\":\"test\"%s%s}}}",
                outer, inner, info);
        Mete__V1__Scheduler__Event *event;
        struct scheduler s;
        struct answer a = start_stream(&s, c, codec, more_headers, json);

        assert_int_equal(a.status, 200);
        answer_done(&a);
        event = next_event(&s);
        if (event->error)
                fail_msg("refused: %s", event->error->message);
        assert_int_equal(event->type, METE__V1__SCHEDULER__EVENT__TYPE__SUBSCRIBED);
        s.id = xstrdup(event->subscribed->framework_id->value);
        s.headers = xasprintf("Mesos-Stream-Id: %s\r\n%s", s.stream_id, more_headers ? more_headers : "");
        message_free(event);
        event = next_event(&s);
        assert_int_equal(event->type, METE__V1__SCHEDULER__EVENT__TYPE__HEARTBEAT);
        message_free(event);
        return s;
}

static inline struct scheduler subscribe_as(
        const struct cluster *c, enum codec codec, const char *id, const char *info)
{
        return subscribe_with(c, codec, id, info, NULL);
}

/* A call on a connection of its own; %s in the text is the framework's id. The status. */
static inline int scheduler_call_status(
        const struct cluster *c, enum codec codec, const char *headers, const char *id, const char *members)
{
        _cleanup_free_ char *json = xasprintf("{\"framework_id\":{\"value\":\"%s\"},%s}", id, members);
        struct wire w = wire_open(c);
        struct answer a;
        int status;

        send_call(&w, codec, headers, json);
        a = read_answer(&w);
        status = a.status;
        if (status == 202)
                assert_string_equal(a.body, "");
        answer_done(&a);
        wire_close(&w);
        return status;
}

static inline int call_as(const struct cluster *c, const struct scheduler *s, const char *members)
{
        return scheduler_call_status(c, s->codec, s->headers, s->id, members);
}

/* Asks until the answer is this one: what a closed connection means reaches the master in its own time. */
static inline void wait_for_status(const struct cluster *c, const struct scheduler *s, int status)
{
        struct mono_time begun = mono_now();
        int last;

        while ((last = call_as(c, s, "\"type\":\"SUPPRESS\"")) != status)
                if (mono_elapsed_ns(begun, mono_now()) > DEADLINE_NS)
                        fail_msg("the status stays %d, expected %d", last, status);
}
