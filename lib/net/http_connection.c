/*
 * The table of connections. evhttp keeps what it accepts to itself until a whole request has come; to bound those that never send one, each
 * is taken up on arrival: evhttp asks for the bufferevent of every connection that it accepts, and soon after that is set up, the
 * bufferevent's callbacks carry the evhttp connection.
 */
#include <event2/bufferevent.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "lib/linux/syscall.h"
#include "lib/net/http_internal.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* Linux 6.5 */
#endif

#define SILENT_SPARED_MAX 1024 /* more than come in one pass of the loop: see http_turn.c */
#define SILENT_SPARED_PART 16  /* of all places */
#define UNREAD_LOOKED_AT 128

struct arrival {
        struct bufferevent *io; /* a reference */
        struct arrival *prev, *next;
};

void http_connection_set_idle(struct http_connection *c, bool idle)
{
        struct http_connection **list = c->served ? &c->server->kept : &c->server->silent;

        if (c->idle == idle)
                return;
        c->idle = idle;
        if (!c->served)
                c->server->silent_count += idle ? 1 : (size_t)-1;
        if (idle)
                DL_APPEND2(*list, c, idle_prev, idle_next);
        else
                DL_DELETE2(*list, c, idle_prev, idle_next);
}

static void on_closed(struct evhttp_connection *peer, void *userdata)
{
        struct http_connection *c = userdata;
        struct http_request *active = c->active;

        (void)peer;
        http_connection_set_idle(c, false);
        HASH_DEL(c->server->connections, c);
        if (c->is_unix)
                (void)close_fd(c->process.pidfd);
        free(c);
        if (active)
                http_request_lost(active);
}

struct http_connection *http_connection_find(struct http_server *s, struct evhttp_connection *peer)
{
        struct http_connection *c;

        HASH_FIND_PTR(s->connections, &peer, c);
        return c;
}

/*
 * Before Linux 6.5 the process is opened by its number. That may be another process' by now only if the first ended and the
 * numbers went once around since it connected, a moment ago.
 */
static struct http_unix_peer peer_process(int fd)
{
        struct ucred who = {.pid = 0, .uid = (uid_t)-1, .gid = (gid_t)-1};
        struct http_unix_peer p = {.pidfd = -1};
        socklen_t len = sizeof(who);
        int pidfd = -1;

        (void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len);
        p.pid = who.pid;
        p.uid = who.uid;
        p.gid = who.gid;
        len = sizeof(pidfd);
        if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &len) == 0)
                p.pidfd = pidfd;
        else if (errno == ENOPROTOOPT && who.pid > 0)
                p.pidfd = MAX(sys_pidfd_open(who.pid, 0), -1);
        return p;
}

static void learn_addresses(struct http_connection *c, int fd)
{
        socklen_t len = sizeof(c->remote);

        (void)getpeername(fd, &c->remote.any, &len);
        len = sizeof(c->local);
        (void)getsockname(fd, &c->local.any, &len);
        c->is_unix = c->local.any.sa_family == AF_UNIX;
        if (c->is_unix)
                c->process = peer_process(fd);
}

struct http_connection *http_connection_of(struct http_server *s, struct evhttp_connection *peer)
{
        struct http_connection *c = http_connection_find(s, peer);

        if (c)
                return c;
        c = NEW0(struct http_connection);
        c->peer = peer;
        c->server = s;
        learn_addresses(c, bufferevent_getfd(evhttp_connection_get_bufferevent(peer)));
        HASH_ADD_PTR(s->connections, peer, c);
        http_connection_set_idle(c, true);
        http_connection_begin(c);
        evhttp_connection_set_closecb(peer, on_closed, c);
        return c;
}

/* ---- too many ---- */

/*
 * Bytes that were not read yet: who asked something and waits for its turn to be read would be closed for its silence. It protects until
 * then only: what has arrived is read soon.
 */
static bool has_unread(const struct http_connection *c)
{
        int fd = bufferevent_getfd(evhttp_connection_get_bufferevent(c->peer)), unread = 0;

        return fd >= 0 && ioctl(fd, FIONREAD, &unread) == 0 && unread > 0;
}

/* The longest idle one that asks nothing; NULL when all that are looked at do: then it is the newest that is told to come again. */
static struct http_connection *find_idle(struct http_connection *list, const struct http_connection *newest)
{
        struct http_connection *c;
        unsigned looked_at = 0;

        DL_FOREACH2(list, c, idle_next)
        {
                if (c == newest)
                        continue;
                if (!has_unread(c))
                        return c;
                if (++looked_at == UNREAD_LOOKED_AT)
                        break;
        }
        return NULL;
}

/*
 * Who never sent a request goes before who did, save a few: else nobody new would come to ask anything while all places are taken, as
 * each would be closed for the next one between its connection and its request.
 */
static void make_room(struct http_server *s, const struct http_connection *newest)
{
        size_t spared = MIN(s->max_connections / SILENT_SPARED_PART, (size_t)SILENT_SPARED_MAX);
        struct http_connection *victim = NULL;

        if (HASH_COUNT(s->connections) <= s->max_connections)
                return;
        if (s->silent_count <= spared)
                victim = find_idle(s->kept, newest);
        victim = victim ?: find_idle(s->silent, newest);
        victim = victim ?: find_idle(s->kept, newest);
        if (victim)
                evhttp_connection_free(victim->peer);
}

/* ---- arrival ---- */

static void arrival_free(struct http_server *s, struct arrival *a)
{
        DL_DELETE(s->arrivals, a);
        (void)bufferevent_decref(a->io);
        free(a);
}

/* Soon after their acceptance, before other work: so that they do not become more than there are places. */
static void take_up(evutil_socket_t fd, short what, void *userdata)
{
        struct http_server *s = userdata;
        bufferevent_data_cb on_read, on_write;
        bufferevent_event_cb on_event;
        struct arrival *a, *next;
        void *peer;

        DL_FOREACH_SAFE (s->arrivals, a, next) {
                bufferevent_getcb(a->io, &on_read, &on_write, &on_event, &peer);
                /* None: it is closed already. */
                if (peer)
                        make_room(s, http_connection_of(s, peer));
                arrival_free(s, a);
        }
}

static struct bufferevent *on_accepted(struct event_base *base, void *userdata)
{
        struct http_server *s = userdata;
        struct arrival *a;
        struct bufferevent *io = bufferevent_socket_new(base, -1, 0);

        http_server_count_accepted(s);
        if (!io)
                return NULL;
        bufferevent_incref(io);
        a = NEW0(struct arrival);
        a->io = io;
        DL_APPEND(s->arrivals, a);
        event_active(s->arriving, EV_TIMEOUT, 1);
        return io;
}

void http_connections_start(struct http_server *s)
{
        s->arriving = evtimer_new(loop_base(s->loop), take_up, s);
        if (!s->arriving)
                abort();
        evhttp_set_bevcb(s->http, on_accepted, s);
}

void http_connections_stop(struct http_server *s)
{
        struct arrival *a, *next;

        event_free(s->arriving);
        DL_FOREACH_SAFE (s->arrivals, a, next)
                arrival_free(s, a);
}
