/*
 * libmete, first part: a client of Mete's own API (POST /mete/v1 on the master and on agents).
 *
 * A client owns an event loop, one kept-alive connection to the master, and every stream opened through it. It belongs to
 * one thread. mete_client_call() runs the loop until the answer is there, so it must not be used inside a callback;
 * mete_client_send() and streams report from within mete_client_run(). Messages handed to a callback are valid
 * until it returns.
 *
 * Errors carry one sentence. Codes: -ECONNREFUSED nobody answers there, -ETIMEDOUT, -EPROTO an answer that cannot be understood,
 * and for a refusal by the daemon -EINVAL (400), -EACCES (401, 403), -ENOENT (404), -EALREADY (409), -EAGAIN (429, 503),
 * -EREMOTEIO (other). A refusal's sentence names the offending field where the daemon gave one.
 */
#pragma once

#include "lib/base/error.h"
#include "lib/loop/loop.h"
#include "proto/mete.pb-c.h"

#define METE_DEFAULT_MASTER "127.0.0.1:5050"
#define METE_DEFAULT_PORT 5050

struct mete_client;
struct mete_stream;

/* master: "host:port" or "host"; NULL: $METE_MASTER, else 127.0.0.1:5050. Nothing is connected yet. */
int mete_client_new(const char *master, struct mete_client **ret, struct error *e) WARN_UNUSED;
/* Ends every stream without a callback; calls in flight are forgotten without one. */
struct mete_client *mete_client_free(struct mete_client *c);
DEFINE_CLEANUP(struct mete_client, mete_client_free)

const char *mete_client_master(const struct mete_client *c); /* "127.0.0.1:5050" */
struct loop *mete_client_loop(struct mete_client *c);        /* for timers and signals of the caller */
int mete_client_run(struct mete_client *c);                  /* until mete_client_stop() */
void mete_client_stop(struct mete_client *c);

/* timeout_ns of both: 0 = 30 s. */
int mete_client_call(struct mete_client *c, const Mete__Api__Call *call, uint64_t timeout_ns,
        Mete__Api__Response **ret, struct error *e) WARN_UNUSED; /* the caller frees with message_free() */

/* Exactly one of response and e is set. */
typedef void (*mete_response_handler)(
        const Mete__Api__Response *response, const struct error *e, void *userdata);
void mete_client_send(struct mete_client *c, const Mete__Api__Call *call, uint64_t timeout_ns,
        mete_response_handler handler, void *userdata);

struct mete_stream_handlers {
        void (*on_event)(struct mete_stream *s, const Mete__Api__Event *event, void *userdata);
        /* Once, last: e is NULL when the daemon ended the stream in order. The stream is freed afterwards. */
        void (*on_end)(struct mete_stream *s, const struct error *e, void *userdata);
};
/*
 * address: "host:port" of an agent, or NULL for the master. idle_timeout_ns: longest silence, 0 = none. handlers is not
 * copied. Fails only for an address that makes no sense; everything later arrives through on_end.
 */
int mete_client_stream(struct mete_client *c, const char *address, const Mete__Api__Call *call,
        uint64_t idle_timeout_ns, const struct mete_stream_handlers *handlers, void *userdata,
        struct mete_stream **ret, struct error *e) WARN_UNUSED;
/* Cuts it: no callback any more. Allowed inside a callback of the stream. NULL is fine. */
struct mete_stream *mete_stream_free(struct mete_stream *s);
