#include "sdk/client.h"

#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "lib/net/codec.h"
#include "lib/net/http_client.h"

#define API_PATH "/mete/v1"
#define CONTENT_TYPE "application/x-protobuf"

struct mete_client {
        struct loop *loop;
        struct http_client *http; /* to the master */
        char *master;
        char *host;
        uint16_t port;
        struct pending *pending;     /* calls in flight, owned */
        struct mete_stream *streams; /* live ones, owned */
        struct mete_stream
                *finished; /* no callback any more; freed by the reaper, outside of their own callbacks */
        struct loop_timer *reaper;
};

struct pending {
        struct mete_client *client; /* NULL: the client was freed, nobody listens */
        mete_response_handler handler;
        void *userdata;
        struct pending *prev, *next;
};

struct mete_stream {
        struct mete_client *client;
        struct http_client *http;
        char *address;
        bool to_master;
        const struct mete_stream_handlers *handlers; /* NULL once cut or ended */
        void *userdata;
        struct mete_stream *prev, *next;
};

/* What a person should do when nobody answers depends on who was asked. */
static int unreachable(
        struct error *e, const struct error *cause, const char *address, bool master, const char *what)
{
        int code = cause && cause->code < 0 ? cause->code : -EIO;

        if (code == -ETIMEDOUT)
                return error_set(e, code, "%s at %s did not answer in time", what, address);
        if (code == -ECONNREFUSED && master)
                return error_set(e, code,
                        "no master answers at %s: start one with `mete dev`, or set --master or METE_MASTER",
                        address);
        if (code == -ECONNREFUSED)
                return error_set(e, code, "no %s answers at %s", what, address);
        return error_set(e, code, "talking to the %s at %s: %s", what, address,
                cause ? error_message(cause) : "no answer");
}

static int status_to_code(int status)
{
        switch (status) {
        case 400:
        case 413:
        case 415:
                return -EINVAL;
        case 401:
        case 403:
                return -EACCES;
        case 404:
                return -ENOENT;
        case 409:
                return -EALREADY;
        case 429:
        case 503:
                return -EAGAIN;
        default:
                return -EREMOTEIO;
        }
}

static int refusal_text(struct error *e, int code, const struct http_response *r, const char *address)
{
        const char *text = r->body;
        size_t n = r->body_len;

        while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == ' '))
                n--;
        if (n == 0 || n > 4096 || memchr(text, '\0', n))
                return error_set(e, code, "%s answered with HTTP status %d", address, r->status);
        return error_set(e, code, "%.*s", (int)n, text);
}

/* An api.Error in either encoding (a proxy or an old daemon may answer plain text) becomes a sentence. */
static int refusal(struct error *e, const struct http_response *r, const char *address)
{
        ProtobufCMessage *message = NULL;
        const Mete__Api__Error *error;
        int code = status_to_code(r->status);
        enum codec codec = codec_from_content_type(r->content_type ? r->content_type : "");

        if ((int)codec < 0 || r->body_len == 0 ||
                message_decode(codec, &mete__api__error__descriptor, r->body, r->body_len, &message, NULL) <
                        0)
                return refusal_text(e, code, r, address);
        error = (const Mete__Api__Error *)message;
        if (!str_empty(error->field) && !strstr(error->message, error->field))
                error_set(e, code, "%s: %s", error->field, error->message);
        else
                error_set(e, code, "%s", error->message);
        message_free(message);
        return code;
}

/* Fails or gives the decoded answer. */
static int answer(
        const struct http_response *r, const char *address, Mete__Api__Response **ret, struct error *e)
{
        _cleanup_error_ struct error why = {0};
        ProtobufCMessage *message = NULL;
        enum codec codec;

        if (r->status == 0)
                return unreachable(e, r->error, address, true, "master");
        if (r->status != 200 && r->status != 202)
                return refusal(e, r, address);
        codec = codec_from_content_type(r->content_type ? r->content_type : "");
        if ((int)codec < 0)
                return error_set(e, -EPROTO, "%s answered with content type \"%s\": is that a Mete master?",
                        address, r->content_type ? r->content_type : "");
        if (message_decode(codec, &mete__api__response__descriptor, r->body, r->body_len, &message, &why) < 0)
                return error_set(
                        e, -EPROTO, "cannot understand the answer of %s: %s", address, error_message(&why));
        *ret = (Mete__Api__Response *)message;
        return 0;
}

static void call_done(const struct http_response *r, void *userdata)
{
        struct pending *p = userdata;
        _cleanup_error_ struct error e = {0};
        Mete__Api__Response *response = NULL;

        if (p->client) {
                DL_DELETE(p->client->pending, p);
                if (answer(r, p->client->master, &response, &e) < 0)
                        p->handler(NULL, &e, p->userdata);
                else
                        p->handler(response, NULL, p->userdata);
                message_free(response);
        }
        free(p);
}

void mete_client_send(struct mete_client *c, const Mete__Api__Call *call, uint64_t timeout_ns,
        mete_response_handler handler, void *userdata)
{
        _cleanup_buffer_ struct buffer body = {0};
        _cleanup_error_ struct error e = {0};
        struct pending *p;
        int r;

        r = message_encode(CODEC_PROTOBUF, &call->base, &body);
        if (r < 0) {
                error_set_errno(&e, r, "cannot encode the call");
                handler(NULL, &e, userdata);
                return;
        }
        p = NEW0(struct pending);
        p->client = c;
        p->handler = handler;
        p->userdata = userdata;
        DL_APPEND(c->pending, p);
        http_client_request(c->http, "POST", API_PATH, CONTENT_TYPE, CONTENT_TYPE, body.data, body.len,
                timeout_ns, call_done, p);
}

struct sync_call {
        struct mete_client *client;
        Mete__Api__Response *response;
        struct error *e;
        int result;
        bool done;
};

static void sync_done(const Mete__Api__Response *response, const struct error *e, void *userdata)
{
        struct sync_call *s = userdata;

        s->done = true;
        if (e)
                s->result = error_set(s->e, e->code, "%s", error_message(e));
        else
                s->response = message_copy(response);
        loop_stop(s->client->loop);
}

int mete_client_call(struct mete_client *c, const Mete__Api__Call *call, uint64_t timeout_ns,
        Mete__Api__Response **ret, struct error *e)
{
        struct sync_call s = {.client = c, .e = e};
        int r;

        mete_client_send(c, call, timeout_ns, sync_done, &s);
        while (!s.done) {
                r = loop_run(c->loop);
                if (r < 0)
                        return error_set_errno(e, r, "event loop failed");
        }
        if (s.result < 0)
                return s.result;
        *ret = s.response;
        return 0;
}

/* ---- streams ---- */

static void stream_reap(struct loop_timer *t, void *userdata)
{
        struct mete_client *c = userdata;
        struct mete_stream *s, *next;

        DL_FOREACH_SAFE (c->finished, s, next) {
                DL_DELETE(c->finished, s);
                http_client_free(s->http);
                free(s->address);
                free(s);
        }
}

/* No callback after this. The connection is closed from the loop, for we may stand in one of its callbacks.
 */
static void stream_retire(struct mete_stream *s)
{
        if (!s->handlers)
                return;
        s->handlers = NULL;
        DL_DELETE(s->client->streams, s);
        DL_APPEND(s->client->finished, s);
        loop_timer_arm(s->client->reaper, 0, 0);
}

static void stream_finish(struct mete_stream *s, const struct error *e)
{
        const struct mete_stream_handlers *h = s->handlers;

        if (!h)
                return;
        stream_retire(s);
        if (h->on_end)
                h->on_end(s, e, s->userdata);
}

static bool stream_record(const void *data, size_t len, void *userdata)
{
        struct mete_stream *s = userdata;
        _cleanup_error_ struct error e = {0}, why = {0};
        ProtobufCMessage *message = NULL;

        if (!s->handlers)
                return false;
        if (message_decode(CODEC_PROTOBUF, &mete__api__event__descriptor, data, len, &message, &why) < 0) {
                error_set(
                        &e, -EPROTO, "cannot understand an event of %s: %s", s->address, error_message(&why));
                stream_finish(s, &e);
                return false;
        }
        s->handlers->on_event(s, (const Mete__Api__Event *)message, s->userdata);
        message_free(message);
        return s->handlers != NULL;
}

static void stream_done(const struct http_response *r, void *userdata)
{
        struct mete_stream *s = userdata;
        _cleanup_error_ struct error e = {0};

        if (!s->handlers)
                return;
        if (r->status == 200 && !r->error) {
                stream_finish(s, NULL);
                return;
        }
        if (r->status == 0 || r->status == 200)
                unreachable(&e, r->error, s->address, s->to_master, s->to_master ? "master" : "agent");
        else
                refusal(&e, r, s->address);
        stream_finish(s, &e);
}

int mete_client_stream(struct mete_client *c, const char *address, const Mete__Api__Call *call,
        uint64_t idle_timeout_ns, const struct mete_stream_handlers *handlers, void *userdata,
        struct mete_stream **ret, struct error *e)
{
        _cleanup_buffer_ struct buffer body = {0};
        _cleanup_free_ char *host = NULL;
        struct http_client *http = NULL;
        struct mete_stream *s;
        uint16_t port = c->port;
        int r;

        r = message_encode(CODEC_PROTOBUF, &call->base, &body);
        if (r < 0)
                return error_set_errno(e, r, "cannot encode the call");
        if (address) {
                r = host_port_parse(address, METE_DEFAULT_PORT + 1, &host, &port, e);
                if (r < 0)
                        return r;
        }
        r = http_client_new(c->loop, host ? host : c->host, port, &http, e);
        if (r < 0)
                return r;
        s = NEW0(struct mete_stream);
        s->client = c;
        s->http = http;
        s->address = xstrdup(address ? address : c->master);
        s->to_master = !address;
        s->handlers = handlers;
        s->userdata = userdata;
        DL_APPEND(c->streams, s);
        *ret = s;
        http_client_stream(http, "POST", API_PATH, CONTENT_TYPE, CONTENT_TYPE, body.data, body.len,
                idle_timeout_ns, NULL, stream_record, stream_done, s);
        return 0;
}

struct mete_stream *mete_stream_free(struct mete_stream *s)
{
        if (s)
                stream_retire(s);
        return NULL;
}

/* ---- client ---- */

int mete_client_new(const char *master, struct mete_client **ret, struct error *e)
{
        struct mete_client *c;
        int r;

        if (str_empty(master))
                master = getenv("METE_MASTER");
        if (str_empty(master))
                master = METE_DEFAULT_MASTER;
        c = NEW0(struct mete_client);
        r = host_port_parse(master, METE_DEFAULT_PORT, &c->host, &c->port, e);
        if (r < 0)
                goto fail;
        c->master = strchr(c->host, ':') ? xasprintf("[%s]:%u", c->host, c->port)
                                         : xasprintf("%s:%u", c->host, c->port);
        r = loop_new(&c->loop, e);
        if (r < 0)
                goto fail;
        c->reaper = loop_timer_new(c->loop, stream_reap, c);
        r = http_client_new(c->loop, c->host, c->port, &c->http, e);
        if (r < 0)
                goto fail;
        *ret = c;
        return 0;
fail:
        mete_client_free(c);
        return r;
}

struct mete_client *mete_client_free(struct mete_client *c)
{
        struct pending *p;

        if (!c)
                return NULL;
        /* Freeing the connection still completes its requests: each must find that nobody listens. */
        DL_FOREACH (c->pending, p)
                p->client = NULL;
        while (c->streams)
                stream_retire(c->streams);
        if (c->reaper)
                stream_reap(c->reaper, c);
        if (c->http)
                http_client_free(c->http);
        if (c->reaper)
                loop_timer_free(c->reaper);
        if (c->loop)
                loop_free(c->loop);
        free(c->master);
        free(c->host);
        free(c);
        return NULL;
}

const char *mete_client_master(const struct mete_client *c)
{
        return c->master;
}

struct loop *mete_client_loop(struct mete_client *c)
{
        return c->loop;
}

int mete_client_run(struct mete_client *c)
{
        return loop_run(c->loop);
}

void mete_client_stop(struct mete_client *c)
{
        loop_stop(c->loop);
}
