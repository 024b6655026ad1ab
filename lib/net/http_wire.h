/*
 * HTTP/1.1 from the client's side over a unix stream socket, which evhttp of libevent 2.1 cannot connect to. One exchange at a time;
 * connects on demand and keeps the connection. Part of http_client.c: its handlers are called from the loop, and a wire may be reset
 * but not freed within them.
 */
#pragma once

#include "lib/base/error.h"
#include "lib/loop/loop.h"

struct evbuffer;
struct evkeyvalq;
struct http_wire;

struct http_wire_handlers {
        void (*on_head)(int status, struct evkeyvalq *headers, void *userdata);
        void (*on_body)(const void *data, size_t len, void *userdata);
        /*
         * Once an exchange. 0: the answer is whole. -ECONNREFUSED nobody listens there, -ECONNRESET the connection was lost,
         * -EPROTO the answer is no HTTP/1.1.
         */
        void (*on_end)(int code, void *userdata);
};

/* The path has to fit into a socket address (less than 108 bytes): -ENAMETOOLONG. */
int http_wire_new(struct loop *l, const char *path, const struct http_wire_handlers *handlers, void *userdata,
        struct http_wire **ret, struct error *e) WARN_UNUSED;
struct http_wire *http_wire_free(struct http_wire *w);
/* A whole request, head and body; taken out of the buffer. on_end may come from within, when nobody can be reached. */
void http_wire_send(struct http_wire *w, struct evbuffer *request);
/* Gives up the exchange without a callback; the next one has a new connection. */
void http_wire_reset(struct http_wire *w);
