/* Where a server listens: TCP addresses and unix sockets. */
#include <arpa/inet.h>
#include <event2/listener.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <utlist.h>

#include "lib/net/http_internal.h"

#define LISTEN_BACKLOG 4096 /* the kernel takes less when net.core.somaxconn is lower */
/* How long a listener rests when there is no descriptor left for a connection. */
#define ACCEPT_PAUSE_NS (100 * NSEC_PER_MSEC)

/* All listeners of the process, since libevent's error callback cannot tell whose listener it is. */
struct listener {
        struct evconnlistener *socket; /* owned by the evhttp */
        struct http_server *server;
        struct loop_timer *pause;
        char *path; /* of a unix socket: removed with it */
        struct listener *next;
};
static struct listener *listeners;

static void on_pause_over(struct loop_timer *t, void *userdata)
{
        struct listener *l = userdata;

        (void)t;
        (void)evconnlistener_enable(l->socket);
}

static void rest(struct listener *l, uint64_t ns)
{
        (void)evconnlistener_disable(l->socket);
        loop_timer_arm(l->pause, ns, 0);
}

/* Out of descriptors, most likely: the loop would spin on a connection that it cannot accept. */
static void on_accept_error(struct evconnlistener *socket, void *userdata)
{
        struct listener *l;

        (void)userdata;
        LL_FOREACH (listeners, l)
                if (l->socket == socket)
                        rest(l, ACCEPT_PAUSE_NS);
}

void http_listeners_rest(struct http_server *s, uint64_t ns)
{
        struct listener *l;

        LL_FOREACH (listeners, l)
                if (l->server == s)
                        rest(l, ns);
}

static struct listener *remember(struct http_server *s, struct evconnlistener *socket)
{
        struct listener *l = NEW0(struct listener);

        l->socket = socket;
        l->server = s;
        l->pause = loop_timer_new(s->loop, on_pause_over, l);
        loop_timer_make_prompt(l->pause);
        LL_PREPEND(listeners, l);
        evconnlistener_set_error_cb(socket, on_accept_error);
        return l;
}

void http_listeners_forget(struct http_server *s)
{
        struct listener *l, *next;

        LL_FOREACH_SAFE(listeners, l, next)
        {
                if (l->server != s)
                        continue;
                LL_DELETE(listeners, l);
                (void)loop_timer_free(l->pause);
                if (l->path)
                        (void)unlink(l->path);
                free(l->path);
                free(l);
        }
}

static int address_parse(const char *text, uint16_t port, union address *ret, socklen_t *ret_len)
{
        union address a = {};

        if (inet_pton(AF_INET, text, &a.v4.sin_addr) == 1) {
                a.v4.sin_family = AF_INET;
                a.v4.sin_port = htons(port);
                *ret_len = sizeof(a.v4);
        } else if (inet_pton(AF_INET6, text, &a.v6.sin6_addr) == 1) {
                a.v6.sin6_family = AF_INET6;
                a.v6.sin6_port = htons(port);
                *ret_len = sizeof(a.v6);
        } else {
                return -EINVAL;
        }
        *ret = a;
        return 0;
}

bool address_is_loopback(const char *address)
{
        union address a;
        socklen_t len;

        if (address_parse(address, 0, &a, &len) < 0)
                return false;
        if (a.any.sa_family == AF_INET)
                return ntohl(a.v4.sin_addr.s_addr) >> 24 == 127;
        if (IN6_IS_ADDR_V4MAPPED(&a.v6.sin6_addr))
                return a.v6.sin6_addr.s6_addr[12] == 127;
        return IN6_IS_ADDR_LOOPBACK(&a.v6.sin6_addr);
}

int http_server_listen(
        struct http_server *s, const char *address, uint16_t port, uint16_t *ret_port, struct error *e)
{
        struct evconnlistener *socket;
        union address a;
        socklen_t len;
        int one = 1;

        if (address_parse(address, port, &a, &len) < 0)
                return error_set(e, -EINVAL, "cannot listen on '%s': expected a numeric IPv4 or IPv6 address",
                        address);
        errno = 0;
        socket = evconnlistener_new_bind(loop_base(s->loop), NULL, NULL,
                LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE, LISTEN_BACKLOG, &a.any,
                (int)len);
        if (!socket)
                return error_set_errno(
                        e, errno ? -errno : -EIO, "cannot listen on %s port %u", address, port);
        /* Connections inherit it. */
        (void)setsockopt(evconnlistener_get_fd(socket), IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        (void)getsockname(evconnlistener_get_fd(socket), &a.any, &len);
        if (!evhttp_bind_listener(s->http, socket)) {
                evconnlistener_free(socket);
                return error_set(e, -ENOMEM, "cannot listen on %s port %u: out of memory", address, port);
        }
        (void)remember(s, socket);
        if (ret_port)
                *ret_port = ntohs(a.any.sa_family == AF_INET ? a.v4.sin_port : a.v6.sin6_port);
        return 0;
}

/* ---- unix sockets ---- */

/* Is somebody listening there? A socket file stays behind when its process is killed. */
static bool is_served(const struct sockaddr_un *a)
{
        _cleanup_fd_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        return fd >= 0 && (connect(fd, (const struct sockaddr *)a, sizeof(*a)) == 0 || errno == EAGAIN);
}

/* Removes a socket file that nobody serves; anything else is left and makes bind() fail. */
static int clear_place(const struct sockaddr_un *a)
{
        struct stat st;

        if (lstat(a->sun_path, &st) < 0)
                return errno == ENOENT ? 0 : -errno;
        if (!S_ISSOCK(st.st_mode) || is_served(a))
                return -EADDRINUSE;
        return unlink(a->sun_path) < 0 ? -errno : 0;
}

static int bind_unix(const struct sockaddr_un *a, unsigned mode, int *ret)
{
        _cleanup_fd_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        if (fd < 0)
                return -errno;
        /* What the file is to allow is never more than this while it is made. */
        if (fchmod(fd, mode) < 0 || bind(fd, (const struct sockaddr *)a, sizeof(*a)) < 0)
                return -errno;
        if (chmod(a->sun_path, mode) < 0)
                return -errno;
        *ret = TAKE_FD(fd);
        return 0;
}

int http_server_listen_unix(struct http_server *s, const char *path, unsigned mode, struct error *e)
{
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        struct evconnlistener *socket;
        int fd = -1, r;

        if (path[0] != '/' || strlen(path) >= sizeof(a.sun_path))
                return error_set(e, -ENAMETOOLONG,
                        "cannot listen on '%.200s': expected an absolute path of less than %zu characters",
                        path, sizeof(a.sun_path));
        memcpy(a.sun_path, path, strlen(path) + 1);
        r = clear_place(&a);
        if (r == 0)
                r = bind_unix(&a, mode, &fd);
        if (r < 0)
                return error_set_errno(e, r, "cannot listen on %s", path);
        socket = evconnlistener_new(loop_base(s->loop), NULL, NULL,
                LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, LISTEN_BACKLOG, fd);
        if (!socket || !evhttp_bind_listener(s->http, socket)) {
                if (socket)
                        evconnlistener_free(socket);
                else
                        (void)close_fd(fd);
                (void)unlink(path);
                return error_set(e, -ENOMEM, "cannot listen on %s: out of memory", path);
        }
        remember(s, socket)->path = xstrdup(path);
        return 0;
}
