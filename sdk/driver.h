/*
 * What the scheduler's and the executor's driver share: a loop on one thread, a subscription that is made again when it is lost, and
 * calls that wait in a bounded queue and go out in order over a second connection, one at a time.
 *
 *   IDLE        not running yet
 *   WAITING     until the next attempt
 *   CONNECTING  SUBSCRIBE was sent, no SUBSCRIBED yet
 *   SUBSCRIBED  calls are taken
 *   OVER        the loop ends or has ended
 *
 * Embedded in its owner. Everything belongs to the driver's thread, save what says "any thread" and what `lock` guards.
 */
#pragma once

#include <pthread.h>

#include "lib/net/codec.h"
#include "lib/net/http_client.h"
#include "sdk/mete.h"

struct driver;

struct driver_operations {
        const char *path;
        const ProtobufCMessageDescriptor *event;
        /* A connection to where the peer is believed to be, for the subscription and for calls. */
        int (*open)(struct driver *d, struct http_client **ret, struct error *e);
        void (*encode_subscribe)(struct driver *d, struct buffer *ret);
        void (*on_event)(struct driver *d, const ProtobufCMessage *event);
        /* After SUBSCRIBED was there. */
        void (*on_disconnected)(struct driver *d, const char *reason);
        /* How long until the next attempt. location: of a redirect, or NULL. attempt counts from 0 since the last success. */
        uint64_t (*next_delay_ns)(struct driver *d, const char *location, bool was_subscribed);
        /* The subscription was refused by this status (4xx) and will be again. */
        void (*on_refused_subscription)(struct driver *d, int status, const char *text);
        void (*on_refused_call)(struct driver *d, int type, int status, const char *text);
        /* May a stop end the loop? (NULL: yes) */
        bool (*is_drained)(struct driver *d);
};

enum driver_state {
        DRIVER_STATE_IDLE,
        DRIVER_STATE_WAITING,
        DRIVER_STATE_CONNECTING,
        DRIVER_STATE_SUBSCRIBED,
        DRIVER_STATE_OVER,
        DRIVER_STATE_MAX,
        DRIVER_STATE_INVALID = -EINVAL,
};

struct driver_call {
        int type;
        struct buffer body;
        struct driver_call *prev, *next;
};

struct driver_options {
        enum codec codec;
        size_t max_queued_calls;
        unsigned connect_timeout_ms, backoff_min_ms, backoff_max_ms, stop_timeout_ms;
};

struct driver {
        const struct driver_operations *operations;
        struct driver_options options;
        struct loop *loop;
        enum driver_state state;
        struct http_client *stream, *calls;
        char *stream_id;     /* what the peer named the subscription, or NULL */
        uint64_t silence_ns; /* longest time without an event that is tolerated; 0: any */
        unsigned attempts;   /* since SUBSCRIBED */
        struct loop_timer *retry, *watch, *stop_timer;
        struct driver_call *in_flight; /* owned */
        struct error result;
        pthread_t thread;
        bool threaded;
        pthread_mutex_t lock; /* guards what follows */
        bool started, connected, posted, stop_requested;
        struct driver_call *queue;
        size_t queued_calls, queued_bytes;
};

int driver_init(struct driver *d, const struct driver_operations *operations,
        const struct driver_options *options, struct error *e) WARN_UNUSED;
void driver_done(struct driver *d); /* stops and joins first */

int driver_run(struct driver *d, struct mete_error *error);
int driver_start(struct driver *d);
int driver_join(struct driver *d, struct mete_error *error);
void driver_stop(struct driver *d); /* any thread */

/* Any thread. Encodes and queues. `own`: not one of the caller's making, so that it may go beyond the bound. */
int driver_call(struct driver *d, int type, const ProtobufCMessage *call, bool own) WARN_UNUSED;
bool driver_is_stopping(struct driver *d); /* any thread */

/* From on_event: SUBSCRIBED came. silence_ns: see above. */
void driver_subscribed(struct driver *d, uint64_t silence_ns);
/* The subscription is of no use any more: closes it, tells the owner, and tries again later. */
void driver_lost(struct driver *d, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Ends the loop at once: run returns this code with this sentence (code 0: success, no sentence). */
void driver_end(struct driver *d, int code, const char *text);
/* Something changed that is_drained() looks at. */
void driver_check_stop(struct driver *d);
/* Exponential and random: between min and a bound that doubles with each attempt. */
uint64_t driver_backoff_ns(struct driver *d);

/* Fills the public form of an error. */
int driver_error_fill(struct mete_error *to, const struct error *from);
