/* What http_server.c and http_request.c share. Loop thread only. */
#pragma once

#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <sys/queue.h>
#include <uthash.h>

#include "lib/net/http_server.h"

#define HTTP_HEADERS_MAX (64 * 1024)
/* What is read ahead from a peer that goes on sending while its request is being answered. */
#define HTTP_READ_AHEAD_MAX (64 * 1024)
#define HTTP_STREAM_PENDING_MAX (16 * 1024 * 1024)

union address {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
};

struct route {
        char *prefix; /* without a slash at its end; "" is every path */
        char *methods;
        bool prompt;
        http_handler handler;
        void *userdata;
};

/* A connection from its acceptance on; freed when evhttp tells that it closes. Owned by the server. */
struct http_connection {
        struct evhttp_connection *peer; /* the key */
        struct http_server *server;
        struct http_request *active; /* not answered in full yet; NULL between requests */
        bool served;                 /* has sent a whole request */
        bool idle;                   /* is in the server's list of those like it */
        bool prompt;                 /* is read before others */
        struct mono_time since;
        union address remote, local;
        bool is_unix;
        struct http_unix_peer process; /* is_unix: pidfd owned, -1 when the process was gone already */
        UT_hash_handle hh;
        struct http_connection *idle_prev, *idle_next;
};

/* Accepted, and not in the table of connections yet: see http_connection.c. */
struct arrival;

struct http_server {
        struct loop *loop;
        struct evhttp *http;
        size_t max_connections;
        struct timeval idle_timeout;
        struct route *routes;
        size_t route_count;
        struct http_connection *connections; /* k: evhttp connection -> v: ours, owned */
        /* Between requests, the longest idle first. DL by idle_prev, idle_next. */
        struct http_connection *silent; /* never sent a whole request */
        struct http_connection *kept;   /* did */
        size_t silent_count;
        struct arrival *arrivals;     /* DL, owned */
        struct event *arriving;       /* active while there are some */
        struct loop_timer *settle;    /* takes precedence from those that stay silent */
        struct mono_time crowd_since; /* who was accepted is counted from here */
        unsigned crowd;
};

/*
 * Owned by whoever has to answer. It outlives its connection: `connection` is NULL once that is gone, and the
 * answer then only frees.
 */
struct http_request {
        struct loop *loop;
        struct http_connection *connection;
        struct evhttp_request *message; /* ours (evhttp_request_own) until it is answered */
        struct http_stream *stream;     /* when that is how it is answered */
        size_t route;                   /* index; of one that was routed */
        struct event *turn;             /* owned; NULL: it does not wait for its turn */
        union address remote, local;
        char *path;
        size_t prefix_len;
        bool query_parsed;
        struct evkeyvalq query;
};

struct http_stream {
        struct http_request *request; /* owned */
        struct evbuffer *scratch;
        void (*on_close)(struct http_stream *s, void *userdata);
        void (*on_drain)(struct http_stream *s, void *userdata);
        void *userdata;
};

/* Takes message. */
struct http_request *http_request_new(
        struct loop *l, struct http_connection *c, struct evhttp_request *message);
/* The peer is gone: ends a stream, or leaves the request to the answer that is still to come. */
void http_request_lost(struct http_request *r);
/* Lets evhttp learn that the peer closes while a handler takes its time. */
void http_connection_watch(struct http_connection *c);
/* The connection's place in the table, made when it has none. */
struct http_connection *http_connection_of(struct http_server *s, struct evhttp_connection *peer);
struct http_connection *http_connection_find(struct http_server *s, struct evhttp_connection *peer);
/* Nothing is active on it any more, or something is. */
void http_connection_set_idle(struct http_connection *c, bool idle);
void http_connections_start(struct http_server *s);
void http_connections_stop(struct http_server *s);
/* Before the evhttp that owns their sockets is freed. */
void http_listeners_forget(struct http_server *s);
/* Nobody is accepted for so long. */
void http_listeners_rest(struct http_server *s, uint64_t ns);

/* ---- http_turn.c ---- */
void http_turns_start(struct http_server *s);
void http_turns_stop(struct http_server *s); /* after the last connection */
/* A new one is read first for a while; from http_connection_demote() on it is one of many. */
void http_connection_begin(struct http_connection *c);
void http_connection_demote(struct http_connection *c);
void http_server_count_accepted(struct http_server *s);
/* Calls http_request_carry_out() when those before it are through; never, when its peer goes away first. */
void http_request_wait_turn(struct http_request *r);
/* ---- http_server.c ---- */
void http_request_carry_out(struct http_request *r);
/*
 * Packs the body when request and size ask for it, and says so in the headers of the answer. NULL: as it is. Else the caller
 * frees, and *len is what it has.
 */
void *http_answer_compress(struct http_request *r, const void *body, size_t *len);
const struct timeval *http_server_idle_timeout(const struct http_server *s);
