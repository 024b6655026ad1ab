/*
 * On evhttp's client. Its callbacks may come from within evhttp_make_request(), and none of its objects may
 * be freed from within one of them: so requests are handed over, given up and freed only by pump(), which the
 * loop calls between callbacks.
 */
#include "lib/net/http_client.h"

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/dns.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <utlist.h>

#include "lib/base/utf8.h"
#include "lib/net/http_wire.h"
#include "lib/net/recordio.h"

#define HEADERS_MAX (64 * 1024)
#define BODY_MAX (64 * 1024 * 1024)
#define RECORD_MAX (8 * 1024 * 1024)
#define TIMEOUT_DEFAULT_NS (30 * NSEC_PER_SEC)
/* evhttp collects whole chunks: what it reads ahead of them. Nothing that we accept is larger. */
#define READ_AHEAD_MAX (BODY_MAX + 64 * 1024)

struct http_call {
        struct http_client *client;
        struct evhttp_request *message; /* while evhttp has it; it owns it */
        enum evhttp_cmd_type method;
        char *path;
        bool refused;  /* never to be sent */
        bool sent;     /* handed to evhttp */
        bool finished; /* on_done was called: the rest is clearing up */
        bool streaming, opened;
        uint64_t idle_timeout_ns; /* of a stream; 0: none */
        struct loop_timer *timer;
        struct recordio_decoder *decoder;
        struct buffer body;
        struct error error;
        void (*on_open)(void *userdata);
        http_record_handler on_record;
        http_done_handler on_done;
        void *userdata;
        struct http_call *prev, *next;
};

struct http_client {
        struct loop *loop;
        struct evdns_base *dns;               /* NULL: the host is an address */
        struct evhttp_connection *connection; /* NULL: over a unix socket, by wire */
        struct bufferevent *io;               /* the connection's */
        struct http_wire *wire;
        struct http_call *on_wire; /* whose exchange it is */
        struct evkeyvalq headers;  /* sent with every request */
        int wire_status;
        struct evkeyvalq *wire_headers;
        struct evkeyvalq *answer_headers; /* while a callback tells of that answer */
        char *name;                       /* "host:port", for headers and messages */
        struct http_call *calls;
        int prepared_fd;
        bool pump_posted, dead;
};

static void pump(void *userdata);

static void pump_later(struct http_client *c)
{
        if (!c->pump_posted) {
                c->pump_posted = true;
                loop_post(c->loop, pump, c);
        }
}

static void call_free(struct http_call *call)
{
        DL_DELETE(call->client->calls, call);
        (void)loop_timer_free(call->timer);
        (void)recordio_decoder_free(call->decoder);
        buffer_done(&call->body);
        error_done(&call->error);
        free(call->path);
        free(call);
}

/* Tells the caller, once. The call itself goes when evhttp is through with it, at the latest in pump(). */
static void finish(struct http_call *call, const struct http_response *response)
{
        if (call->finished)
                return;
        call->finished = true;
        loop_timer_disarm(call->timer);
        pump_later(call->client);
        call->on_done(response, call->userdata);
}

static void fail(struct http_call *call, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);
static void fail(struct http_call *call, int code, const char *fmt, ...)
{
        const struct http_response response = {.error = &call->error};
        _cleanup_free_ char *text = NULL;
        va_list ap;

        va_start(ap, fmt);
        text = xvasprintf(fmt, ap);
        va_end(ap);
        (void)error_set(&call->error, code, "%s %s: %s", call->client->name, call->path, text);
        finish(call, &response);
}

/* ---- what evhttp tells ---- */

/* Sockets that libevent makes for connecting lack both. */
static void prepare_socket(struct http_client *c)
{
        int fd = bufferevent_getfd(c->io), one = 1;

        if (fd < 0 || fd == c->prepared_fd)
                return;
        c->prepared_fd = fd;
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

/* The first that is written on a new connection is where its socket can be seen. */
static void on_output(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *userdata)
{
        (void)buffer;
        if (info->n_added > 0)
                prepare_socket(userdata);
}

/* A socket with the number of an old one is not that one. */
static void on_closed(struct evhttp_connection *connection, void *userdata)
{
        struct http_client *c = userdata;

        (void)connection;
        c->prepared_fd = -1;
}

static bool on_decoded(const void *data, size_t len, void *userdata)
{
        struct http_call *call = userdata;

        return !call->finished && call->on_record(data, len, call->userdata);
}

static void take_records(struct http_call *call, const void *data, size_t len)
{
        int r = recordio_decode(call->decoder, data, len, on_decoded, call);

        if (r == -ECANCELED)
                fail(call, r, "the stream was cut by its reader");
        else if (r == -EMSGSIZE)
                fail(call, r, "a record of the stream is larger than %d bytes", RECORD_MAX);
        else if (r < 0)
                fail(call, r, "the stream is not RecordIO: expected a decimal length and a line feed");
}

static void take_body(struct http_call *call, const void *data, size_t len)
{
        if (call->finished || len == 0)
                return;
        if (call->opened) {
                if (call->idle_timeout_ns > 0)
                        loop_timer_arm(call->timer, call->idle_timeout_ns, 0);
                take_records(call, data, len);
        } else if (len > BODY_MAX - call->body.len) {
                fail(call, -EMSGSIZE, "the answer is larger than %d bytes", BODY_MAX);
        } else {
                buffer_append(&call->body, data, len);
        }
}

static void on_chunk(struct evhttp_request *message, void *userdata)
{
        struct evbuffer *input = evhttp_request_get_input_buffer(message);
        size_t len = evbuffer_get_length(input);

        take_body(userdata, evbuffer_pullup(input, -1), len);
}

static void take_head(struct http_call *call, int status, struct evkeyvalq *headers)
{
        if (call->finished || !call->streaming || status != 200)
                return;
        call->opened = true;
        loop_timer_disarm(call->timer);
        if (call->idle_timeout_ns > 0)
                loop_timer_arm(call->timer, call->idle_timeout_ns, 0);
        if (call->on_open) {
                call->client->answer_headers = headers;
                call->on_open(call->userdata);
                call->client->answer_headers = NULL;
        }
}

static int on_head(struct evhttp_request *message, void *userdata)
{
        take_head(userdata, evhttp_request_get_response_code(message),
                evhttp_request_get_input_headers(message));
        return 0;
}

static void on_failed(enum evhttp_request_error reason, void *userdata)
{
        struct http_call *call = userdata;

        switch (reason) {
        case EVREQ_HTTP_TIMEOUT:
                fail(call, -ETIMEDOUT, "no answer in time");
                break;
        case EVREQ_HTTP_EOF:
                fail(call, -ECONNRESET, "the connection was lost");
                break;
        case EVREQ_HTTP_INVALID_HEADER:
        case EVREQ_HTTP_DATA_TOO_LONG:
                fail(call, -EPROTO, "the answer is not HTTP/1.1");
                break;
        default:
                fail(call, -EIO, "the connection failed");
                break;
        }
}

static void answered(struct http_call *call, int status, struct evkeyvalq *headers)
{
        struct http_response response = {
                .status = status,
                .content_type = evhttp_find_header(headers, "Content-Type"),
        };

        if (call->opened && recordio_decoder_partial(call->decoder)) {
                fail(call, -EPROTO, "the stream ended within a record");
                return;
        }
        response.body = call->body.data ? call->body.data : "";
        response.body_len = call->body.len;
        call->client->answer_headers = headers;
        finish(call, &response);
        call->client->answer_headers = NULL;
}

/* The last callback of a message: evhttp frees it after this, if it has not done so already (message is
 * NULL). */
static void on_complete(struct evhttp_request *message, void *userdata)
{
        struct http_call *call = userdata;

        call->message = NULL;
        if (message && evhttp_request_get_response_code(message) != 0) {
                /* Without chunked encoding the whole body may still be here. */
                on_chunk(message, call);
                answered(call, evhttp_request_get_response_code(message),
                        evhttp_request_get_input_headers(message));
        } else if (message) {
                fail(call, -ECONNREFUSED, "cannot connect");
        } else {
                fail(call, -ECONNRESET, "the connection was lost");
        }
}

static void on_timeout(struct loop_timer *t, void *userdata)
{
        struct http_call *call = userdata;

        (void)t;
        if (call->refused)
                fail(call, -EINVAL,
                        "not sent: expected a known method, and a path that begins with '/' and has no "
                        "spaces");
        else if (call->opened)
                fail(call, -ETIMEDOUT, "the stream has been silent for too long");
        else
                fail(call, -ETIMEDOUT, "no answer in time");
}

/* ---- what the wire tells ---- */

static void on_wire_head(int status, struct evkeyvalq *headers, void *userdata)
{
        struct http_client *c = userdata;

        c->wire_status = status;
        c->wire_headers = headers;
        take_head(c->on_wire, status, headers);
}

static void on_wire_body(const void *data, size_t len, void *userdata)
{
        struct http_client *c = userdata;

        take_body(c->on_wire, data, len);
}

static void on_wire_end(int code, void *userdata)
{
        struct http_client *c = userdata;
        struct http_call *call = TAKE_PTR(c->on_wire);

        if (code == 0)
                answered(call, c->wire_status, c->wire_headers);
        else if (code == -EPROTO)
                fail(call, code, "the answer is not HTTP/1.1");
        else if (code == -ECONNRESET)
                fail(call, code, "the connection was lost");
        else
                fail(call, code, "cannot connect");
        pump_later(c);
}

static const struct http_wire_handlers wire_handlers = {on_wire_head, on_wire_body, on_wire_end};

/* ---- the pump ---- */

static const char *method_name(enum evhttp_cmd_type type);

/* The next one is sent when this one is over. */
static void send_by_wire(struct http_client *c, struct http_call *call)
{
        struct evbuffer *body = evhttp_request_get_output_buffer(call->message), *request = evbuffer_new();
        struct evkeyval *header;

        if (!request)
                abort();
        (void)evbuffer_add_printf(request, "%s %s HTTP/1.1\r\n", method_name(call->method), call->path);
        TAILQ_FOREACH(header, evhttp_request_get_output_headers(call->message), next)
        (void)evbuffer_add_printf(request, "%s: %s\r\n", header->key, header->value);
        (void)evbuffer_add_printf(request, "Content-Length: %zu\r\n\r\n", evbuffer_get_length(body));
        (void)evbuffer_add_buffer(request, body);
        c->on_wire = call;
        http_wire_send(c->wire, request);
        evbuffer_free(request);
}

static void send_call(struct http_client *c, struct http_call *call)
{
        struct evhttp_request *message = call->message;

        if (c->wire && c->on_wire)
                return;
        call->sent = true;
        if (c->wire) {
                send_by_wire(c, call);
                return;
        }
        if (evhttp_make_request(c->connection, message, call->method, call->path) < 0) {
                /* Not queued, and whether it was freed depends on where it failed: an out-of-memory path. */
                call->message = NULL;
                fail(call, -EIO, "cannot send the request");
                return;
        }
        prepare_socket(c);
}

static void client_destroy(struct http_client *c)
{
        struct http_call *call, *next;

        if (c->connection)
                evhttp_connection_set_closecb(c->connection, NULL, NULL);
        c->pump_posted = true; /* there is no next time */
        /* What a handler asked of a client that was being freed. */
        DL_FOREACH_SAFE (c->calls, call, next)
                fail(call, -ECANCELED, "the client was closed");
        DL_FOREACH_SAFE (c->calls, call, next) {
                if (call->message && (c->wire || !call->sent))
                        evhttp_request_free(call->message);
                call_free(call);
        }
        /* Frees the messages that are queued on it, without callbacks. */
        if (c->connection)
                evhttp_connection_free(c->connection);
        (void)http_wire_free(c->wire);
        evhttp_clear_headers(&c->headers);
        if (c->dns)
                evdns_base_free(c->dns, /* fail_requests= */ 0);
        free(c->name);
        free(c);
}

static void pump(void *userdata)
{
        struct http_client *c = userdata;
        struct http_call *call, *next;

        c->pump_posted = false;
        if (c->dead) {
                client_destroy(c);
                return;
        }
        /* Told, but not over: whoever cut it or lost patience. */
        if (c->on_wire && c->on_wire->finished) {
                http_wire_reset(c->wire);
                c->on_wire = NULL;
        }
        /* Callbacks may add calls, which go to the end, and finish others; only this function frees. */
        DL_FOREACH_SAFE (c->calls, call, next) {
                if (!call->finished && !call->sent && !call->refused)
                        send_call(c, call);
                if (c->dead)
                        break;
        }
        DL_FOREACH_SAFE (c->calls, call, next) {
                if (!call->finished || c->dead)
                        continue;
                if (call == c->on_wire)
                        continue; /* since a moment ago: the next round */
                if (call->message && call->sent && !c->wire)
                        evhttp_cancel_request(call->message);
                else if (call->message)
                        evhttp_request_free(call->message);
                call_free(call);
        }
}

/* ---- requests ---- */

static const struct {
        const char *name;
        enum evhttp_cmd_type type;
} methods[] = {
        {"GET", EVHTTP_REQ_GET},
        {"POST", EVHTTP_REQ_POST},
        {"PUT", EVHTTP_REQ_PUT},
        {"DELETE", EVHTTP_REQ_DELETE},
        {"HEAD", EVHTTP_REQ_HEAD},
        {"PATCH", EVHTTP_REQ_PATCH},
        {"OPTIONS", EVHTTP_REQ_OPTIONS},
};

static enum evhttp_cmd_type method_type(const char *name)
{
        for (size_t i = 0; i < ELEMENTSOF(methods); i++)
                if (str_equal(methods[i].name, name))
                        return methods[i].type;
        return 0;
}

static const char *method_name(enum evhttp_cmd_type type)
{
        for (size_t i = 0; i < ELEMENTSOF(methods); i++)
                if (methods[i].type == type)
                        return methods[i].name;
        return NULL;
}

static void header_add(struct http_call *call, const char *name, const char *value)
{
        if (value)
                (void)evhttp_add_header(evhttp_request_get_output_headers(call->message), name, value);
}

/* A path that would end the request line early is the caller's mistake, and refused. */
static bool path_valid(const char *path)
{
        for (const char *p = path; *p; p++)
                if ((unsigned char)*p <= ' ' || *p == 0x7f)
                        return false;
        return path[0] == '/';
}

static struct http_call *call_new(struct http_client *c, const char *method, const char *path,
        const char *content_type, const char *accept, const void *body, size_t len)
{
        struct http_call *call = NEW0(struct http_call);
        struct evkeyval *header;

        call->client = c;
        call->method = method_type(method);
        call->path = xstrdup(path);
        call->timer = loop_timer_new(c->loop, on_timeout, call);
        call->message = evhttp_request_new(on_complete, call);
        if (!call->message)
                abort();
        evhttp_request_set_chunked_cb(call->message, on_chunk);
        evhttp_request_set_header_cb(call->message, on_head);
        evhttp_request_set_error_cb(call->message, on_failed);
        if (!evhttp_find_header(&c->headers, "Host"))
                header_add(call, "Host", c->name);
        header_add(call, "Content-Type", content_type);
        header_add(call, "Accept", accept);
        TAILQ_FOREACH(header, &c->headers, next)
        header_add(call, header->key, header->value);
        if (len > 0 && evbuffer_add(evhttp_request_get_output_buffer(call->message), body, len) < 0)
                abort();
        DL_APPEND(c->calls, call);
        pump_later(c);
        return call;
}

/* The refusal of a request that cannot be sent comes like every other answer: later, from the timer. */
static void arm(struct http_call *call, uint64_t timeout_ns)
{
        call->refused = call->method == 0 || !path_valid(call->path);
        loop_timer_arm(call->timer, call->refused ? 0 : timeout_ns, 0);
}

void http_client_request(struct http_client *c, const char *method, const char *path,
        const char *content_type, const char *accept, const void *body, size_t len, uint64_t timeout_ns,
        http_done_handler on_done, void *userdata)
{
        struct http_call *call = call_new(c, method, path, content_type, accept, body, len);

        call->on_done = on_done;
        call->userdata = userdata;
        arm(call, timeout_ns ? timeout_ns : TIMEOUT_DEFAULT_NS);
}

void http_client_stream(struct http_client *c, const char *method, const char *path, const char *content_type,
        const char *accept, const void *body, size_t len, uint64_t idle_timeout_ns,
        void (*on_open)(void *userdata), http_record_handler on_record, http_done_handler on_done,
        void *userdata)
{
        struct http_call *call = call_new(c, method, path, content_type, accept, body, len);

        call->streaming = true;
        call->idle_timeout_ns = idle_timeout_ns;
        call->decoder = recordio_decoder_new(RECORD_MAX);
        call->on_open = on_open;
        call->on_record = on_record;
        call->on_done = on_done;
        call->userdata = userdata;
        /* A stream may be silent for ever, but its head has to arrive. */
        arm(call, idle_timeout_ns ? idle_timeout_ns : TIMEOUT_DEFAULT_NS);
}

/* ---- life ---- */

static bool is_numeric(const char *host)
{
        struct in6_addr a;

        return inet_pton(AF_INET, host, &a) == 1 || inet_pton(AF_INET6, host, &a) == 1;
}

int http_client_new(
        struct loop *l, const char *host, uint16_t port, struct http_client **ret, struct error *e)
{
        /* libevent takes the time unless it is told how much: calls have timers of their own. */
        static const struct timeval for_ever = {.tv_sec = 10 * 365 * 86400};
        struct http_client *c = NEW0(struct http_client);

        /* "localhost" is never asked of a name server (RFC 6761), and our daemons listen on IPv4 by default.
         */
        if (strcasecmp(host, "localhost") == 0)
                host = "127.0.0.1";
        c->loop = l;
        TAILQ_INIT(&c->headers);
        c->prepared_fd = -1;
        c->name = xasprintf(strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, port);
        /* Resolved by the loop, so that no name server can hold it up. */
        if (!is_numeric(host))
                c->dns = evdns_base_new(
                        loop_base(l), EVDNS_BASE_INITIALIZE_NAMESERVERS | EVDNS_BASE_DISABLE_WHEN_INACTIVE);
        c->io = bufferevent_socket_new(loop_base(l), -1, 0);
        c->connection =
                c->io ? evhttp_connection_base_bufferevent_new(loop_base(l), c->dns, c->io, host, port)
                      : NULL;
        if (!c->connection) {
                if (c->dns)
                        evdns_base_free(c->dns, 0);
                free(c->name);
                free(c);
                return error_set(e, -ENOMEM, "cannot create an HTTP client for %s: out of memory", host);
        }
        evhttp_connection_set_timeout_tv(c->connection, &for_ever);
        evhttp_connection_set_max_headers_size(c->connection, HEADERS_MAX);
        evhttp_connection_set_closecb(c->connection, on_closed, c);
        bufferevent_setwatermark(c->io, EV_READ, 0, READ_AHEAD_MAX);
        (void)evbuffer_add_cb(bufferevent_get_output(c->io), on_output, c);
        *ret = c;
        return 0;
}

int http_client_new_unix(struct loop *l, const char *path, struct http_client **ret, struct error *e)
{
        struct http_client *c = NEW0(struct http_client);
        int r;

        r = http_wire_new(l, path, &wire_handlers, c, &c->wire, e);
        if (r < 0) {
                free(c);
                return r;
        }
        c->loop = l;
        TAILQ_INIT(&c->headers);
        c->prepared_fd = -1;
        c->name = xstrdup("localhost");
        *ret = c;
        return 0;
}

void http_client_set_header(struct http_client *c, const char *name, const char *value)
{
        (void)evhttp_remove_header(&c->headers, name);
        if (value)
                (void)evhttp_add_header(&c->headers, name, value);
}

const char *http_client_answer_header(const struct http_client *c, const char *name)
{
        return c->answer_headers ? evhttp_find_header(c->answer_headers, name) : NULL;
}

struct http_client *http_client_free(struct http_client *c)
{
        struct http_call *call, *next;

        if (!c || c->dead)
                return NULL;
        c->dead = true;
        /* Nothing is freed before the pump runs, so the list only grows while handlers run. */
        DL_FOREACH_SAFE (c->calls, call, next)
                fail(call, -ECANCELED, "the client was closed");
        pump_later(c);
        return NULL;
}

int host_port_parse(
        const char *s, uint16_t default_port, char **ret_host, uint16_t *ret_port, struct error *e)
{
        static const char form[] = "expected HOST:PORT, [IPV6]:PORT or HOST";
        _cleanup_free_ char *shown = text_for_message(s ? s : "", TEXT_FOR_MESSAGE_BYTES);
        const char *host = s, *end, *port = NULL;
        uint32_t number = default_port;
        size_t len;

        if (str_empty(s))
                return error_set(e, -EINVAL, "the address is empty: %s", form);
        if (*s == '[') {
                host = s + 1;
                end = strchr(host, ']');
                if (!end || (end[1] != '\0' && end[1] != ':'))
                        return error_set(e, -EINVAL, "'%s' is not an address: %s", shown, form);
                port = end[1] == ':' ? end + 2 : NULL;
        } else {
                end = host + strcspn(host, ":");
                /* More than one colon: a bare IPv6 address. */
                if (*end && strchr(end + 1, ':'))
                        end = host + strlen(host);
                else if (*end)
                        port = end + 1;
        }
        len = (size_t)(end - host);
        if (len == 0 || len > 255 || strcspn(host, " \t\r\n/@?#") < len)
                return error_set(e, -EINVAL, "'%s' is not an address: %s", shown, form);
        if (port && (parse_u32(port, UINT16_MAX, &number) < 0 || number == 0))
                return error_set(e, -EINVAL, "'%s': the port is not a number from 1 to 65535", shown);
        if (number == 0)
                return error_set(e, -EINVAL, "'%s' has no port: %s", shown, form);
        *ret_host = xstrndup(host, len);
        *ret_port = (uint16_t)number;
        return 0;
}
