/*
 * A bare HTTP/1.1 connection to a daemon on loopback, for generating load: requests are written as they come and answered in order
 * (pipelining), so that what is measured is the daemon and not its client; or one request whose answer is a stream of records. Owned by
 * who made it; loop thread. No callback comes from within a function that was called, and none after wire_free(). Every callback may
 * free the wire.
 */
#pragma once

#include "lib/base/error.h"
#include "lib/loop/loop.h"

struct wire;

/* Where to, and what a request says beside its length: constant for the life of the wires. */
struct wire_target {
        uint32_t address; /* IPv4, network order */
        uint16_t port;
        char name[64]; /* for the Host header and messages */
};
/* "HOST:PORT" with a numeric IPv4 host or localhost. */
int wire_target_parse(const char *text, struct wire_target *ret, struct error *e) WARN_UNUSED;

/* The connection ended: by the peer, or because what it said was no HTTP. */
typedef void (*wire_closed_handler)(struct wire *w, const char *why, void *userdata);
int wire_new(struct loop *l, const struct wire_target *target, wire_closed_handler closed, void *userdata,
        struct wire **ret, struct error *e) WARN_UNUSED;
struct wire *wire_free(struct wire *w);

/* status and how long the answer took, from the call to its head. */
typedef void (*wire_done_handler)(struct wire *w, int status, uint64_t latency_ns, void *userdata);
/* headers: lines, each with its "\r\n", or "". done may be NULL. */
void wire_post(struct wire *w, const char *path, const char *headers, const void *body, size_t len,
        wire_done_handler done, void *userdata);
/* Requests that are not answered yet. */
size_t wire_waiting(const struct wire *w);

struct wire_stream_ops {
        /* A 200 head; stream_id: of Mesos-Stream-Id, or "". Otherwise the wire is closed with a sentence. */
        void (*opened)(struct wire *w, const char *stream_id, void *userdata);
        void (*record)(struct wire *w, const void *data, size_t len, void *userdata);
};
/* The only request of its wire. */
void wire_stream(struct wire *w, const char *path, const char *headers, const void *body, size_t len,
        const struct wire_stream_ops *ops, void *userdata);
