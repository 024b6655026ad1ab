/*
 * Any bytes as the answer of a server, to the client over a unix socket: byte 0 says whether a whole answer is expected or a stream of
 * records, the rest is what is sent before the connection ends. The caller is told of the end exactly once, and in time.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/util.h"
#include "lib/net/http_client.h"

#define INPUT_MAX 65536
#define RECORDS_MAX 100 /* then the stream is cut */
#define DEADLINE_NS (5 * NSEC_PER_SEC)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct loop *loop;
static int listener = -1;
static char place[] = "/tmp/mete-fuzz-XXXXXX";
static struct sockaddr_un address = {.sun_family = AF_UNIX};

struct exchange {
        const uint8_t *data;
        size_t size;
        int fd;
        unsigned records, ends;
};

static void leave(void)
{
        (void)unlink(address.sun_path);
        (void)rmdir(place);
}

static void start(void)
{
        (void)signal(SIGPIPE, SIG_IGN);
        if (!mkdtemp(place) || loop_new(&loop, NULL) < 0)
                abort();
        (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/s", place);
        listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
                listen(listener, 16) < 0)
                abort();
        (void)atexit(leave);
}

static bool on_record(const void *data, size_t len, void *userdata)
{
        struct exchange *x = userdata;

        if (x->ends > 0 || (len > 0 && !data))
                abort();
        return ++x->records < RECORDS_MAX;
}

static void on_done(const struct http_response *r, void *userdata)
{
        struct exchange *x = userdata;

        if (++x->ends > 1 || (r->status == 0 && !(r->error && r->error->message)))
                abort();
        loop_stop(loop);
}

static void on_connection(struct loop_io *io, int fd, uint32_t events, void *userdata)
{
        struct exchange *x = userdata;
        _cleanup_fd_ int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

        if (peer < 0)
                abort();
        (void)!write(peer, x->data, x->size); /* fits the socket's buffer */
        (void)shutdown(peer, SHUT_WR);
        (void)close_fd(x->fd);
        x->fd = TAKE_FD(peer);
}

static void on_late(struct loop_timer *t, void *userdata)
{
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct exchange x = {.data = data + 1, .size = size - 1, .fd = -1};
        struct http_client *c = NULL;

        if (!size || size > INPUT_MAX)
                return 0;
        if (!loop)
                start();
        struct loop_io *io = loop_io_new(loop, listener, /* EPOLLIN */ 1, on_connection, &x);
        struct loop_timer *late = loop_timer_new(loop, on_late, NULL);
        loop_timer_arm(late, DEADLINE_NS, 0);
        if (http_client_new_unix(loop, address.sun_path, &c, NULL) < 0)
                abort();
        if (data[0] & 1)
                http_client_stream(
                        c, "POST", "/", NULL, NULL, NULL, 0, DEADLINE_NS, NULL, on_record, on_done, &x);
        else
                http_client_request(c, "GET", "/", NULL, NULL, NULL, 0, DEADLINE_NS, on_done, &x);
        if (loop_run(loop) < 0)
                abort();
        (void)http_client_free(c);
        (void)loop_timer_free(late);
        (void)loop_io_free(io);
        (void)close_fd(x.fd);
        if (x.ends != 1)
                abort();
        return 0;
}
