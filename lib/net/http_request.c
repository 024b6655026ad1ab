/*
 * Requests and their answers. evhttp owns a message while it reads it; from the handler's call to the answer
 * it is ours (so that a peer that goes away cannot take it from under a handler that answers later), and with
 * the answer it goes back.
 */
#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <event2/http_struct.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "lib/net/http_internal.h"

static struct evbuffer *new_evbuffer(void)
{
        struct evbuffer *b = evbuffer_new();

        if (!b)
                abort();
        return b;
}

static void buffer_add(struct evbuffer *b, const void *data, size_t len)
{
        if (len > 0 && evbuffer_add(b, data, len) < 0)
                abort();
}

struct http_request *http_request_new(
        struct loop *l, struct http_connection *c, struct evhttp_request *message)
{
        struct http_request *r = NEW0(struct http_request);

        r->loop = l;
        r->connection = c;
        r->message = message;
        r->remote = c->remote;
        r->local = c->local;
        evhttp_request_own(message);
        return r;
}

static void free_message(void *message)
{
        evhttp_request_free(message);
}

/*
 * Frees the request; its message too unless evhttp has it back. That waits for the end of the current
 * callback, because it may be evhttp that is just taking the connection down.
 */
static void request_free(struct http_request *r)
{
        if (r->turn)
                event_free(r->turn);
        if (r->message)
                loop_post(r->loop, free_message, r->message);
        if (r->query_parsed)
                evhttp_clear_headers(&r->query);
        free(r->path);
        free(r);
}

/* Hands the message back to evhttp, to be sent and freed there. */
static struct evhttp_request *request_release(struct http_request *r)
{
        r->message->flags &= ~EVHTTP_USER_OWNED;
        r->connection->active = NULL;
        return TAKE_PTR(r->message);
}

static struct bufferevent *connection_io(struct http_connection *c)
{
        return evhttp_connection_get_bufferevent(c->peer);
}

/*
 * Writes what the socket takes at once, in place of waiting for the loop to say that it is writable. Whatever
 * goes wrong here goes wrong there again, and is handled there.
 */
static void flush(struct bufferevent *io)
{
        struct evbuffer *output = bufferevent_get_output(io);

        (void)evbuffer_unfreeze(output, 1);
        (void)evbuffer_write(output, bufferevent_getfd(io));
        (void)evbuffer_freeze(output, 1);
}

/*
 * While an answer is due, a peer may be silent for as long as it likes (only a blocked write times out), and
 * what it sends ahead is bounded.
 */
static void bound_peer(struct http_connection *c)
{
        struct bufferevent *io = connection_io(c);

        bufferevent_setwatermark(io, EV_READ, 0, HTTP_READ_AHEAD_MAX);
        (void)bufferevent_set_timeouts(io, NULL, http_server_idle_timeout(c->server));
}

static void on_sent(struct evhttp_request *message, void *userdata)
{
        struct http_connection *c = userdata;
        const struct timeval *idle = http_server_idle_timeout(c->server);

        (void)message;
        http_connection_set_idle(c, true);
        bufferevent_setwatermark(connection_io(c), EV_READ, 0, 0);
        (void)bufferevent_set_timeouts(connection_io(c), idle, idle);
}

void http_connection_watch(struct http_connection *c)
{
        struct bufferevent *io = connection_io(c);
        bufferevent_data_cb on_read, on_write;
        bufferevent_event_cb on_event;
        void *argument;

        bound_peer(c);
        /* Without its read callback: evhttp ends the process when data arrives in a state where it expects
         * none. */
        bufferevent_getcb(io, &on_read, &on_write, &on_event, &argument);
        bufferevent_setcb(io, NULL, on_write, on_event, argument);
        (void)bufferevent_enable(io, EV_READ);
}

static void stream_free(struct http_stream *s)
{
        evbuffer_free(s->scratch);
        request_free(s->request);
        free(s);
}

static void stream_lost(void *userdata)
{
        struct http_stream *s = userdata;

        if (s->on_close)
                s->on_close(s, s->userdata);
        stream_free(s);
}

void http_request_lost(struct http_request *r)
{
        r->connection = NULL;
        if (r->turn)
                request_free(r);
        else if (r->stream)
                stream_lost(r->stream);
}

/* ---- accessors ---- */

const char *http_request_method(const struct http_request *r)
{
        switch (evhttp_request_get_command(r->message)) {
        case EVHTTP_REQ_GET:
                return "GET";
        case EVHTTP_REQ_POST:
                return "POST";
        case EVHTTP_REQ_HEAD:
                return "HEAD";
        case EVHTTP_REQ_PUT:
                return "PUT";
        case EVHTTP_REQ_DELETE:
                return "DELETE";
        case EVHTTP_REQ_OPTIONS:
                return "OPTIONS";
        case EVHTTP_REQ_TRACE:
                return "TRACE";
        case EVHTTP_REQ_CONNECT:
                return "CONNECT";
        case EVHTTP_REQ_PATCH:
                return "PATCH";
        default:
                return "";
        }
}

const char *http_request_path(const struct http_request *r)
{
        return r->path;
}

const char *http_request_subpath(const struct http_request *r)
{
        const char *rest = r->path + r->prefix_len;

        return str_equal(rest, "/") ? "" : rest;
}

const char *http_request_query(struct http_request *r, const char *name)
{
        if (!r->query_parsed) {
                const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(r->message);
                const char *query = uri ? evhttp_uri_get_query(uri) : NULL;

                if (evhttp_parse_query_str(query ? query : "", &r->query) < 0)
                        TAILQ_INIT(&r->query);
                r->query_parsed = true;
        }
        return evhttp_find_header(&r->query, name);
}

const char *http_request_header(const struct http_request *r, const char *name)
{
        return evhttp_find_header(evhttp_request_get_input_headers(r->message), name);
}

/* [v6]:port, v4:port, name:port, or any of them without the port. */
static void split_host(const char *text, char *host, size_t size)
{
        const char *end = *text == '[' ? strchr(text, ']') : NULL;
        size_t len;

        if (end)
                text++;
        len = end ? (size_t)(end - text) : strcspn(text, ":");
        (void)snprintf(host, size, "%.*s", (int)MIN(len, size - 1), text);
}

bool http_request_host_is_own(const struct http_request *r)
{
        const char *text = http_request_header(r, "Host");
        char host[256], own[256] = "";
        struct in6_addr address;

        if (str_empty(text))
                return true;
        split_host(text, host, sizeof(host));
        if (gethostname(own, sizeof(own) - 1) == 0 && strcasecmp(host, own) == 0)
                return true;
        return !strchr(host, '.') || inet_pton(AF_INET, host, &address) == 1 ||
               inet_pton(AF_INET6, host, &address) == 1;
}

bool http_request_is_cross_site(const struct http_request *r)
{
        return str_equal(http_request_header(r, "Sec-Fetch-Site"), "cross-site");
}

int http_request_unix_peer(const struct http_request *r, struct http_unix_peer *ret)
{
        if (!r->connection || !r->connection->is_unix)
                return -ENOTCONN;
        *ret = r->connection->process;
        return 0;
}

const void *http_request_body(const struct http_request *r, size_t *ret_len)
{
        struct evbuffer *body = evhttp_request_get_input_buffer(r->message);

        *ret_len = evbuffer_get_length(body);
        return *ret_len > 0 ? evbuffer_pullup(body, -1) : (const unsigned char *)"";
}

const struct sockaddr *http_request_peer(const struct http_request *r)
{
        return &r->remote.any;
}

const struct sockaddr *http_request_local(const struct http_request *r)
{
        return &r->local.any;
}

void http_request_add_header(struct http_request *r, const char *name, const char *value)
{
        /* Refuses line breaks, and so what would make two headers of one. */
        (void)evhttp_add_header(evhttp_request_get_output_headers(r->message), name, value);
}

/* ---- answers ---- */

/* What evhttp has no words for. NULL: it has. */
static const char *reason_phrase(int status)
{
        static const struct {
                int status;
                const char *phrase;
        } phrases[] = {
                {307, "Temporary Redirect"},
                {308, "Permanent Redirect"},
                {413, "Content Too Large"},
                {422, "Unprocessable Content"},
                {429, "Too Many Requests"},
                {431, "Request Header Fields Too Large"},
                {507, "Insufficient Storage"},
        };

        for (size_t i = 0; i < ELEMENTSOF(phrases); i++)
                if (phrases[i].status == status)
                        return phrases[i].phrase;
        return NULL;
}

void http_respond(struct http_request *r, int status, const char *content_type, const void *body, size_t len)
{
        struct http_connection *c = r->connection;
        _cleanup_free_ void *packed = NULL;
        struct evhttp_request *message;
        struct evbuffer *b;

        if (!c) {
                request_free(r);
                return;
        }
        b = new_evbuffer();
        packed = http_answer_compress(r, body, &len);
        if (packed)
                body = packed;
        if (evhttp_request_get_command(r->message) == EVHTTP_REQ_HEAD) {
                /* evhttp would send the body, and leave out how long it is. */
                char length[32];

                (void)snprintf(length, sizeof(length), "%zu", len);
                http_request_add_header(r, "Content-Length", length);
        } else {
                buffer_add(b, body, len);
        }
        if (content_type)
                http_request_add_header(r, "Content-Type", content_type);
        bound_peer(c);
        message = request_release(r);
        evhttp_request_set_on_complete_cb(message, on_sent, c);
        evhttp_send_reply(message, status, reason_phrase(status), b);
        flush(connection_io(c));
        evbuffer_free(b);
        request_free(r);
}

void http_respond_text(struct http_request *r, int status, const char *fmt, ...)
{
        _cleanup_free_ char *text = NULL;
        _cleanup_buffer_ struct buffer b = {};
        va_list ap;

        va_start(ap, fmt);
        text = xvasprintf(fmt, ap);
        va_end(ap);
        buffer_puts(&b, text);
        buffer_puts(&b, "\n");
        http_respond(r, status, "text/plain", b.data, b.len);
}

void http_respond_method_not_allowed(struct http_request *r, const char *allow)
{
        http_request_add_header(r, "Allow", allow);
        http_respond_text(r, 405, "%s is not allowed here: expected %s", http_request_method(r), allow);
}

/* ---- streams ---- */

struct http_stream *http_stream_open(struct http_request *r, const char *content_type,
        void (*on_close)(struct http_stream *s, void *userdata), void *userdata)
{
        struct http_stream *s = NEW0(struct http_stream);

        s->request = r;
        s->scratch = new_evbuffer();
        s->on_close = on_close;
        s->userdata = userdata;
        r->stream = s;
        if (!r->connection) {
                /* Gone while the handler made up its mind: said like any other loss, after this returns. */
                loop_post(r->loop, stream_lost, s);
                return s;
        }
        if (content_type)
                http_request_add_header(r, "Content-Type", content_type);
        bound_peer(r->connection);
        evhttp_send_reply_start(r->message, 200, NULL);
        flush(connection_io(r->connection));
        return s;
}

size_t http_stream_pending(const struct http_stream *s)
{
        struct http_connection *c = s->request->connection;

        return c ? evbuffer_get_length(bufferevent_get_output(connection_io(c))) : 0;
}

static void on_written(struct evhttp_connection *peer, void *userdata)
{
        struct http_stream *s = userdata;

        (void)peer;
        if (s->on_drain)
                s->on_drain(s, s->userdata);
}

static int send_chunk(struct http_stream *s, const char *head, const void *data, size_t len)
{
        struct http_connection *c = s->request->connection;
        size_t pending = http_stream_pending(s);

        if (!c)
                return -EPIPE;
        if (len > HTTP_STREAM_PENDING_MAX || pending > HTTP_STREAM_PENDING_MAX - len)
                return -ENOBUFS;
        buffer_add(s->scratch, head, strlen(head));
        buffer_add(s->scratch, data, len);
        evhttp_send_reply_chunk_with_cb(s->request->message, s->scratch, on_written, s);
        /* A HEAD request takes no body. */
        (void)evbuffer_drain(s->scratch, evbuffer_get_length(s->scratch));
        if (pending == 0)
                flush(connection_io(c));
        return 0;
}

int http_stream_record(struct http_stream *s, const void *data, size_t len)
{
        char head[24];

        (void)snprintf(head, sizeof(head), "%zu\n", len);
        return send_chunk(s, head, data, len);
}

int http_stream_write(struct http_stream *s, const void *data, size_t len)
{
        return send_chunk(s, "", data, len);
}

void http_stream_on_drain(struct http_stream *s, void (*on_drain)(struct http_stream *s, void *userdata))
{
        s->on_drain = on_drain;
}

void http_stream_close(struct http_stream *s)
{
        struct http_connection *c = s->request->connection;
        struct evhttp_request *message;

        if (!c) {
                /* Lost: stream_lost() frees it, whether it is what calls us or is still to come. */
                s->on_close = NULL;
                return;
        }
        message = request_release(s->request);
        evhttp_request_set_on_complete_cb(message, on_sent, c);
        if (message->chunked) {
                evhttp_send_reply_end(message);
                flush(connection_io(c));
        } else {
                /* HTTP/1.0: the end of the connection is the end of the answer, and may come in this very
                 * call. */
                evhttp_send_reply_end(message);
        }
        stream_free(s);
}
