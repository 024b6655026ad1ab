#include "lib/net/http_wire.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/un.h>

#define LINE_MAX_BYTES (64 * 1024)
#define HEADERS_COUNT_MAX 256
#define READ_AHEAD_MAX (1024 * 1024)
#define BODY_PIECE_BYTES (64 * 1024)

enum wire_state {
        WIRE_IDLE,
        WIRE_STATUS,
        WIRE_HEADERS,
        WIRE_LENGTH, /* `left` bytes of the body are to come */
        WIRE_UNTIL_END,
        WIRE_CHUNK_SIZE,
        WIRE_CHUNK,
        WIRE_CHUNK_END,
        WIRE_TRAILERS,
};

struct http_wire {
        struct loop *loop;
        struct sockaddr_un address;
        const struct http_wire_handlers *handlers;
        void *userdata;
        struct bufferevent *io; /* NULL: not connected */
        enum wire_state state;
        int status;
        unsigned header_count;
        uint64_t left;
        struct evkeyvalq headers;
        unsigned generation; /* grows with each reset, by which a handler's reset is noticed */
};

void http_wire_reset(struct http_wire *w)
{
        if (w->io)
                bufferevent_free(w->io);
        w->io = NULL;
        w->state = WIRE_IDLE;
        w->generation++;
        evhttp_clear_headers(&w->headers);
}

static void end(struct http_wire *w, int code)
{
        bool keep = code == 0 && w->state != WIRE_UNTIL_END;
        const char *connection = evhttp_find_header(&w->headers, "Connection");

        if (!keep || (connection && strcasecmp(connection, "close") == 0)) {
                /* The headers stay readable in on_end. */
                bufferevent_free(w->io);
                w->io = NULL;
                w->generation++;
        }
        w->state = WIRE_IDLE;
        w->handlers->on_end(code, w->userdata);
}

/* ---- the head ---- */

static int take_status(struct http_wire *w, const char *line)
{
        uint32_t status;
        _cleanup_free_ char *digits = NULL;

        if (!str_has_prefix(line, "HTTP/1.1 ") || strlen(line) < 12)
                return -EPROTO;
        digits = xstrndup(line + 9, 3);
        if (parse_u32(digits, 599, &status) < 0 || status < 100)
                return -EPROTO;
        w->status = (int)status;
        w->header_count = 0;
        evhttp_clear_headers(&w->headers);
        w->state = WIRE_HEADERS;
        return 0;
}

static int take_header(struct http_wire *w, char *line)
{
        char *colon = strchr(line, ':'), *value;

        if (!colon || colon == line || ++w->header_count > HEADERS_COUNT_MAX)
                return -EPROTO;
        *colon = '\0';
        value = colon + 1;
        value += strspn(value, " \t");
        return evhttp_add_header(&w->headers, line, value) < 0 ? -EPROTO : 0;
}

/* Where the body ends (RFC 9112, 6.3). */
static int head_complete(struct http_wire *w)
{
        const char *encoding = evhttp_find_header(&w->headers, "Transfer-Encoding");
        const char *length = evhttp_find_header(&w->headers, "Content-Length");
        unsigned generation = w->generation;

        if (w->status < 200) {
                w->state = WIRE_STATUS;
                return 0;
        }
        w->left = 0;
        if (encoding && strcasecmp(encoding, "chunked") == 0)
                w->state = WIRE_CHUNK_SIZE;
        else if (encoding || (length && parse_u64(length, INT64_MAX, &w->left) < 0))
                return -EPROTO;
        else
                w->state = length || w->status == 204 || w->status == 304 ? WIRE_LENGTH : WIRE_UNTIL_END;
        w->handlers->on_head(w->status, &w->headers, w->userdata);
        if (generation == w->generation && w->state == WIRE_LENGTH && w->left == 0)
                end(w, 0);
        return 0;
}

/* ---- the body ---- */

static int take_chunk_size(struct http_wire *w, char *line)
{
        char *after;

        line[strcspn(line, "; \t")] = '\0';
        if (!*line || strlen(line) > 8 || strspn(line, "0123456789abcdefABCDEF") != strlen(line))
                return -EPROTO;
        w->left = strtoul(line, &after, 16);
        w->state = w->left > 0 ? WIRE_CHUNK : WIRE_TRAILERS;
        return 0;
}

static int take_line(struct http_wire *w, char *line)
{
        switch (w->state) {
        case WIRE_STATUS:
                return take_status(w, line);
        case WIRE_HEADERS:
                return *line ? take_header(w, line) : head_complete(w);
        case WIRE_CHUNK_SIZE:
                return take_chunk_size(w, line);
        case WIRE_CHUNK_END:
                w->state = WIRE_CHUNK_SIZE;
                return *line ? -EPROTO : 0;
        case WIRE_TRAILERS:
                if (!*line)
                        end(w, 0);
                return 0;
        default: /* bytes that nobody asked for */
                return -EPROTO;
        }
}

static void take_body(struct http_wire *w, struct evbuffer *input)
{
        unsigned generation = w->generation;
        size_t len = MIN(evbuffer_get_length(input), (size_t)BODY_PIECE_BYTES);
        _cleanup_free_ void *data = NULL;

        if (w->state != WIRE_UNTIL_END)
                len = (size_t)MIN((uint64_t)len, w->left);
        data = xmalloc(len);
        (void)evbuffer_remove(input, data, len);
        w->left -= w->state != WIRE_UNTIL_END ? len : 0;
        w->handlers->on_body(data, len, w->userdata);
        if (generation != w->generation || w->state == WIRE_UNTIL_END || w->left > 0)
                return;
        if (w->state == WIRE_CHUNK)
                w->state = WIRE_CHUNK_END;
        else
                end(w, 0);
}

static void on_readable(struct bufferevent *io, void *userdata)
{
        struct http_wire *w = userdata;
        struct evbuffer *input = bufferevent_get_input(io);
        unsigned generation = w->generation;

        while (generation == w->generation && evbuffer_get_length(input) > 0) {
                _cleanup_free_ char *line = NULL;
                int r;

                if (w->state == WIRE_LENGTH || w->state == WIRE_UNTIL_END || w->state == WIRE_CHUNK) {
                        take_body(w, input);
                        continue;
                }
                line = w->state == WIRE_IDLE ? NULL : evbuffer_readln(input, NULL, EVBUFFER_EOL_CRLF);
                if (!line && w->state != WIRE_IDLE && evbuffer_get_length(input) < LINE_MAX_BYTES)
                        return;
                r = line ? take_line(w, line) : -EPROTO;
                if (r < 0 && w->state == WIRE_IDLE)
                        http_wire_reset(w);
                else if (r < 0)
                        end(w, r);
        }
}

static void on_event(struct bufferevent *io, short what, void *userdata)
{
        struct http_wire *w = userdata;

        if (!(what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)))
                return;
        if (w->state == WIRE_IDLE)
                http_wire_reset(w);
        else
                end(w, w->state == WIRE_UNTIL_END && what & BEV_EVENT_EOF ? 0 : -ECONNRESET);
}

/* ---- sending ---- */

/* Connecting to a unix socket does not block: it works, or nobody listens, or too many wait. */
static int wire_connect(struct http_wire *w)
{
        _cleanup_fd_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        if (fd < 0)
                return -errno;
        if (connect(fd, (const struct sockaddr *)&w->address, sizeof(w->address)) < 0)
                return -ECONNREFUSED;
        w->io = bufferevent_socket_new(loop_base(w->loop), fd, BEV_OPT_CLOSE_ON_FREE);
        if (!w->io)
                return -ENOMEM;
        (void)TAKE_FD(fd);
        bufferevent_setwatermark(w->io, EV_READ, 0, READ_AHEAD_MAX);
        bufferevent_setcb(w->io, on_readable, NULL, on_event, w);
        return bufferevent_enable(w->io, EV_READ | EV_WRITE) < 0 ? -ENOMEM : 0;
}

void http_wire_send(struct http_wire *w, struct evbuffer *request)
{
        int r = w->io ? 0 : wire_connect(w);

        assert(w->state == WIRE_IDLE);
        evhttp_clear_headers(&w->headers);
        if (r == 0 && bufferevent_write_buffer(w->io, request) < 0)
                r = -ENOMEM;
        if (r < 0) {
                http_wire_reset(w);
                w->handlers->on_end(r, w->userdata);
                return;
        }
        w->state = WIRE_STATUS;
}

int http_wire_new(struct loop *l, const char *path, const struct http_wire_handlers *handlers, void *userdata,
        struct http_wire **ret, struct error *e)
{
        struct http_wire *w;

        if (str_empty(path) || strlen(path) >= sizeof(w->address.sun_path))
                return error_set(e, -ENAMETOOLONG,
                        "'%s' is not the path of a socket: expected 1 to %zu bytes", path ? path : "",
                        sizeof(w->address.sun_path) - 1);
        w = NEW0(struct http_wire);
        w->loop = l;
        w->handlers = handlers;
        w->userdata = userdata;
        w->address.sun_family = AF_UNIX;
        memcpy(w->address.sun_path, path, strlen(path) + 1);
        TAILQ_INIT(&w->headers);
        *ret = w;
        return 0;
}

struct http_wire *http_wire_free(struct http_wire *w)
{
        if (w) {
                http_wire_reset(w);
                free(w);
        }
        return NULL;
}
