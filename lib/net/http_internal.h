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

/* A connection that has sent a request; freed when evhttp tells that it closes. Owned by the server. */
struct http_connection {
        struct evhttp_connection *peer; /* the key */
        struct http_server *server;
        struct http_request *active; /* not answered in full yet; NULL between requests */
        union address remote, local;
        UT_hash_handle hh;
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
const struct timeval *http_server_idle_timeout(const struct http_server *s);
