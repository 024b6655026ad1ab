#include "tools/sim/wire.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/net/http_client.h"
#include "lib/net/recordio.h"

#define RECORD_MAX (64u << 20)
#define READ_SIZE (256u << 10)
#define STREAM_ID_MAX 129
#define LOOPBACK_FIRST 0x7f010001u /* 127.1.0.1 */
#define LOOPBACK_SOURCES 250u

struct pending {
        struct mono_time sent;
        wire_done_handler done;
        void *userdata;
};

enum chunk_state { CHUNK_SIZE, CHUNK_DATA, CHUNK_END };

struct wire {
        struct loop *loop;
        const struct wire_target *target;
        int fd;
        struct loop_io *readable, *writable;
        struct loop_timer *soon; /* writes what was queued in one go */
        struct buffer out, in;
        size_t written, parsed;
        struct pending *pending; /* ring */
        size_t first, count, capacity;
        size_t body_left; /* of the answer that is being read */
        wire_closed_handler closed;
        void *userdata;

        const struct wire_stream_ops *stream;
        void *stream_userdata;
        bool opened;
        enum chunk_state chunk;
        size_t chunk_left;
        struct recordio_decoder *decoder;
        bool *freed; /* set while a callback may free the wire */
};

int wire_target_parse(const char *text, struct wire_target *ret, struct error *e)
{
        _cleanup_free_ char *host = NULL;
        struct in_addr address;
        uint16_t port;
        int r = host_port_parse(text, 5050, &host, &port, e);

        if (r < 0)
                return r;
        if (inet_pton(AF_INET, str_equal(host, "localhost") ? "127.0.0.1" : host, &address) != 1)
                return error_set(e, -EINVAL, "\"%s\": give a numeric IPv4 address and a port", text);
        *ret = (struct wire_target){.address = address.s_addr, .port = port};
        (void)snprintf(ret->name, sizeof(ret->name), "%s:%u", host, port);
        return 0;
}

struct wire *wire_free(struct wire *w)
{
        if (!w)
                return NULL;
        if (w->freed)
                *w->freed = true;
        loop_io_free(w->readable);
        loop_io_free(w->writable);
        loop_timer_free(w->soon);
        recordio_decoder_free(w->decoder);
        close_fd(w->fd);
        buffer_done(&w->out);
        buffer_done(&w->in);
        free(w->pending);
        free(w);
        return NULL;
}

/* True when the callback freed the wire. */
#define CALLBACK(w, call)                                                                                    \
        ({                                                                                                   \
                bool _freed = false;                                                                         \
                (w)->freed = &_freed;                                                                        \
                call;                                                                                        \
                if (!_freed)                                                                                 \
                        (w)->freed = NULL;                                                                   \
                _freed;                                                                                      \
        })

static void broken(struct wire *w, const char *why)
{
        w->readable = loop_io_free(w->readable);
        w->writable = loop_io_free(w->writable);
        loop_timer_disarm(w->soon);
        w->closed(w, why, w->userdata);
}

/* ---- writing ---- */

static void flush(struct wire *w);

static void on_writable(struct loop_io *io, int fd, uint32_t events, void *userdata)
{
        flush(userdata);
}

static void flush(struct wire *w)
{
        while (w->written < w->out.len) {
                ssize_t n = send(w->fd, w->out.data + w->written, w->out.len - w->written, MSG_NOSIGNAL);

                if (n < 0 && errno == EAGAIN) {
                        if (!w->writable)
                                w->writable = loop_io_new(w->loop, w->fd, EPOLLOUT, on_writable, w);
                        return;
                }
                if (n < 0) {
                        broken(w, strerror(errno));
                        return;
                }
                w->written += (size_t)n;
        }
        w->written = w->out.len = 0;
        w->writable = loop_io_free(w->writable);
}

static void on_soon(struct loop_timer *t, void *userdata)
{
        flush(userdata);
}

static void put_request(struct wire *w, const char *path, const char *headers, const void *body, size_t len)
{
        buffer_printf(&w->out, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %zu\r\n%s\r\n", path,
                w->target->name, len, headers);
        buffer_append(&w->out, body, len);
        if (!loop_timer_armed(w->soon))
                loop_timer_arm(w->soon, 0, 0);
}

void wire_post(struct wire *w, const char *path, const char *headers, const void *body, size_t len,
        wire_done_handler done, void *userdata)
{
        if (w->count == w->capacity) {
                size_t capacity = MAX(w->capacity * 2, (size_t)64);
                struct pending *grown = xcalloc(capacity, sizeof(*grown));

                for (size_t i = 0; i < w->count; i++)
                        grown[i] = w->pending[(w->first + i) % w->capacity];
                free(w->pending);
                w->pending = grown;
                w->first = 0;
                w->capacity = capacity;
        }
        w->pending[(w->first + w->count++) % w->capacity] = (struct pending){mono_now(), done, userdata};
        put_request(w, path, headers, body, len);
}

size_t wire_waiting(const struct wire *w)
{
        return w->count;
}

void wire_stream(struct wire *w, const char *path, const char *headers, const void *body, size_t len,
        const struct wire_stream_ops *ops, void *userdata)
{
        w->stream = ops;
        w->stream_userdata = userdata;
        w->decoder = recordio_decoder_new(RECORD_MAX);
        put_request(w, path, headers, body, len);
}

/* ---- reading ---- */

/* The value of a header in a head that ends with an empty line; NULL when there is none. Not terminated. */
static const char *head_find(const char *head, const char *name)
{
        size_t n = strlen(name);

        for (const char *line = strchr(head, '\n'); line && line[1] != '\r'; line = strchr(line + 1, '\n'))
                if (strncasecmp(line + 1, name, n) == 0 && line[1 + n] == ':')
                        return line + 2 + n + strspn(line + 2 + n, " ");
        return NULL;
}

/* The head of an answer: its status, and where it ends; 0 when it is not all there, -EPROTO. */
static int read_head(struct wire *w, int *ret_status)
{
        char *head = w->in.data + w->parsed;
        char *end = w->in.len > w->parsed ? strstr(head, "\r\n\r\n") : NULL;

        if (!end)
                return 0;
        if (strncmp(head, "HTTP/1.1 ", 9) != 0)
                return -EPROTO;
        *ret_status = atoi(head + 9);
        return (int)(end - head) + 4;
}

/* 1: go on, 0: wait for more, -1: the wire is gone or broken. */
static int read_answer(struct wire *w)
{
        int status, n = read_head(w, &status);
        struct pending p;

        if (n == 0)
                return 0;
        if (n < 0 || w->count == 0) {
                broken(w, "an answer that is no HTTP, or to no request");
                return -1;
        }
        const char *length = head_find(w->in.data + w->parsed, "Content-Length");
        w->parsed += (size_t)n;
        w->body_left = length ? strtoul(length, NULL, 10) : 0;
        p = w->pending[w->first];
        w->first = (w->first + 1) % w->capacity;
        w->count--;
        if (p.done && CALLBACK(w, p.done(w, status, mono_elapsed_ns(p.sent, mono_now()), p.userdata)))
                return -1;
        return 1;
}

static int read_answers(struct wire *w)
{
        int r = 1;

        while (r > 0) {
                size_t skip = MIN(w->body_left, w->in.len - w->parsed);

                w->parsed += skip;
                w->body_left -= skip;
                if (w->body_left > 0)
                        return 0;
                r = read_answer(w);
        }
        return r;
}

static int open_stream(struct wire *w)
{
        char id[STREAM_ID_MAX] = "";
        int status, n = read_head(w, &status);

        if (n == 0)
                return 0;
        if (n < 0 || status != 200) {
                _cleanup_free_ char *why = xasprintf("the subscription was answered %d", n < 0 ? 0 : status);

                broken(w, why);
                return -1;
        }
        const char *value = head_find(w->in.data + w->parsed, "Mesos-Stream-Id");
        if (value)
                (void)snprintf(id, sizeof(id), "%.*s", (int)strcspn(value, "\r\n"), value);
        w->parsed += (size_t)n;
        w->opened = true;
        return CALLBACK(w, w->stream->opened(w, id, w->stream_userdata)) ? -1 : 1;
}

static bool on_record(const void *data, size_t len, void *userdata)
{
        struct wire *w = userdata;

        w->stream->record(w, data, len, w->stream_userdata);
        return !*w->freed;
}

static int feed(struct wire *w, size_t n)
{
        bool freed = false;
        int r;

        w->freed = &freed;
        r = recordio_decode(w->decoder, w->in.data + w->parsed, n, on_record, w);
        if (freed)
                return -1;
        w->freed = NULL;
        if (r < 0) {
                broken(w, "the stream holds no records");
                return -1;
        }
        w->parsed += n;
        w->chunk_left -= n;
        return 1;
}

static int read_chunk(struct wire *w)
{
        char *data = w->in.data + w->parsed, *end;
        size_t have = w->in.len - w->parsed;

        switch (w->chunk) {
        case CHUNK_SIZE:
                end = have ? memchr(data, '\n', have) : NULL;
                if (!end)
                        return 0;
                w->chunk_left = strtoul(data, NULL, 16);
                w->parsed += (size_t)(end - data) + 1;
                w->chunk = CHUNK_DATA;
                if (w->chunk_left > 0)
                        return 1;
                broken(w, "the stream ended");
                return -1;
        case CHUNK_DATA:
                if (have == 0)
                        return 0;
                if (feed(w, MIN(have, w->chunk_left)) < 0)
                        return -1;
                if (w->chunk_left == 0)
                        w->chunk = CHUNK_END;
                return 1;
        case CHUNK_END:
                if (have < 2)
                        return 0;
                w->parsed += 2;
                w->chunk = CHUNK_SIZE;
                return 1;
        }
        return -1;
}

static int read_stream(struct wire *w)
{
        int r = 1;

        while (r > 0)
                r = w->opened ? read_chunk(w) : open_stream(w);
        return r;
}

static void on_readable(struct loop_io *io, int fd, uint32_t events, void *userdata)
{
        static char data[READ_SIZE];
        struct wire *w = userdata;
        ssize_t n = recv(fd, data, sizeof(data), 0);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (n <= 0) {
                broken(w, n < 0 ? strerror(errno) : "the connection was closed");
                return;
        }
        if (w->parsed == w->in.len)
                w->parsed = w->in.len = 0;
        buffer_append(&w->in, data, (size_t)n);
        if ((w->stream ? read_stream(w) : read_answers(w)) < 0)
                return;
        if (w->parsed > w->in.len / 2) {
                memmove(w->in.data, w->in.data + w->parsed, w->in.len - w->parsed);
                w->in.len -= w->parsed;
                w->in.data[w->in.len] = 0;
                w->parsed = 0;
        }
}

/*
 * Ten thousand connections from one address to one port leave the kernel few local ports, and it searches for
 * milliseconds at every connect. Machines have an address each; on loopback every connection takes the next one.
 */
static void spread_sources(int fd, const struct wire_target *target)
{
        static uint32_t last;
        struct sockaddr_in source = {.sin_family = AF_INET};
        int one = 1;

        if (ntohl(target->address) >> 24 != IN_LOOPBACKNET)
                return;
        last = (last + 1) % LOOPBACK_SOURCES;
        source.sin_addr.s_addr = htonl(LOOPBACK_FIRST + last);
        (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
        (void)bind(fd, (const struct sockaddr *)&source, sizeof(source)); /* without: slower, no more */
}

int wire_new(struct loop *l, const struct wire_target *target, wire_closed_handler closed, void *userdata,
        struct wire **ret, struct error *e)
{
        const struct sockaddr_in address = {
                .sin_family = AF_INET, .sin_port = htons(target->port), .sin_addr.s_addr = target->address};
        _cleanup_fd_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        int one = 1;
        struct wire *w;

        if (fd >= 0)
                spread_sources(fd, target);
        /* Loopback answers at once: connecting needs no state of its own. */
        if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
                return error_set_errno(e, -errno, "cannot connect to %s", target->name);
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0)
                return error_set_errno(e, -errno, "cannot prepare the connection to %s", target->name);
        w = NEW0(struct wire);
        w->loop = l;
        w->target = target;
        w->closed = closed;
        w->userdata = userdata;
        w->fd = TAKE_FD(fd);
        w->soon = loop_timer_new(l, on_soon, w);
        w->readable = loop_io_new(l, w->fd, EPOLLIN, on_readable, w);
        *ret = w;
        return 0;
}
