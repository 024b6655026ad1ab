/*
 * The status updates of one task on their way to the master: in order, one un-acknowledged at a time, sent again until it is
 * acknowledged. Plain data owned by the container: time and events are arguments, sending and checkpointing are the
 * caller's (push or acknowledge, then checkpoint, then send what is due).
 */
#pragma once

#include "lib/base/error.h"
#include "lib/base/id.h"
#include "lib/base/time.h"
#include "proto/mete_checkpoint.pb-c.h"

#define STATUS_RETRY_MIN_NS (10 * NSEC_PER_SEC)
#define STATUS_RETRY_MAX_NS (600 * NSEC_PER_SEC)
/* An executor sends again what it has not seen acknowledged by us: of these few, most wait here themselves. */
#define STATUS_REMEMBERED 16

struct status_stream {
        Mete__Agent__StatusUpdate **pending; /* owned, oldest first */
        size_t count;
        size_t bytes;               /* of the pending statuses, encoded */
        Mete__V1__TaskState latest; /* of the newest ever pushed */
        bool has_latest, terminal_acknowledged;
        uint8_t acknowledged[STATUS_REMEMBERED * UUID_BYTES]; /* uuids of the last ones, the last one last */
        size_t acknowledged_bytes;
        Mete__V1__TaskState acknowledged_state; /* of the last one; valid when there is one */
        bool in_flight;                         /* pending[0] was sent on this connection */
        uint64_t retry_ns;
        struct mono_time retry_at; /* valid while in flight */
};

void status_stream_done(struct status_stream *s);
/* Takes ownership; gives the update a uuid when it has none. Nothing may follow a terminal state: -EALREADY, and u is freed. */
int status_stream_push(struct status_stream *s, Mete__Agent__StatusUpdate *u) WARN_UNUSED;
/* Is it pending, or one of the last that were acknowledged? */
bool status_stream_knows(const struct status_stream *s, const void *uuid, size_t len);
/* Where the master's view of the stream stands: the oldest pending update, else the last one acknowledged. False: there was none. */
bool status_stream_position(
        const struct status_stream *s, Mete__V1__TaskState *ret_state, ProtobufCBinaryData *ret_uuid);
/* The update to send now, marked as sent; NULL when nothing is due. Borrowed until the next call. */
const Mete__Agent__StatusUpdate *status_stream_take_due(struct status_stream *s, struct mono_time now);
/* 0: acknowledged and dropped. -ESTALE: not the one in flight (a repeated acknowledgement): ignore it. */
int status_stream_acknowledge(struct status_stream *s, const void *uuid, size_t len) WARN_UNUSED;
/* A new connection: what is pending goes out at once. */
void status_stream_reconnected(struct status_stream *s);
/* Borrowed view for checkpoint_updates_write: valid until s changes. */
Mete__Checkpoint__Updates status_stream_checkpoint(const struct status_stream *s);
/* From what checkpoint_updates_read gave; consumes u. */
void status_stream_restore(struct status_stream *s, Mete__Checkpoint__Updates *u);
