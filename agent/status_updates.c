#include "agent/status_updates.h"

#include <stdlib.h>
#include <string.h>

#include "agent/checkpoint.h"
#include "lib/net/codec.h"
#include "proto/validate.h"

static void rearm(struct status_stream *s)
{
        s->in_flight = false;
        s->retry_ns = STATUS_RETRY_MIN_NS;
}

static size_t size_of(const Mete__Agent__StatusUpdate *u)
{
        return protobuf_c_message_get_packed_size(&u->status->base);
}

void status_stream_done(struct status_stream *s)
{
        for (size_t i = 0; i < s->count; i++)
                message_free(s->pending[i]);
        free(s->pending);
        *s = (struct status_stream){0};
}

static void ensure_uuid(Mete__V1__TaskStatus *status)
{
        if (status->has_uuid)
                return;
        status->uuid.data = xmalloc(UUID_BYTES);
        status->uuid.len = UUID_BYTES;
        status->has_uuid = true;
        uuid_generate_bytes(status->uuid.data);
}

int status_stream_push(struct status_stream *s, Mete__Agent__StatusUpdate *u)
{
        if (s->has_latest && task_state_is_terminal(s->latest)) {
                message_free(u);
                return -EALREADY;
        }
        ensure_uuid(u->status);
        s->pending = xrealloc(s->pending, (s->count + 1) * sizeof(*s->pending));
        s->pending[s->count++] = u;
        s->bytes += size_of(u);
        s->latest = u->status->state;
        s->has_latest = true;
        if (s->count == 1)
                rearm(s);
        return 0;
}

const Mete__Agent__StatusUpdate *status_stream_take_due(struct status_stream *s, struct mono_time now)
{
        if (s->count == 0)
                return NULL;
        if (s->in_flight && now.ns < s->retry_at.ns)
                return NULL;
        if (s->in_flight)
                s->retry_ns = MIN(s->retry_ns * 2, STATUS_RETRY_MAX_NS);
        s->in_flight = true;
        s->retry_at.ns = now.ns + s->retry_ns;
        s->pending[0]->has_latest_state = true;
        s->pending[0]->latest_state = s->latest;
        return s->pending[0];
}

bool status_stream_knows(const struct status_stream *s, const void *uuid, size_t len)
{
        if (len != UUID_BYTES)
                return false;
        for (size_t i = 0; i < s->count; i++)
                if (s->pending[i]->status->uuid.len == len &&
                        memcmp(s->pending[i]->status->uuid.data, uuid, len) == 0)
                        return true;
        for (size_t at = 0; at < s->acknowledged_bytes; at += UUID_BYTES)
                if (memcmp(s->acknowledged + at, uuid, len) == 0)
                        return true;
        return false;
}

bool status_stream_position(
        const struct status_stream *s, Mete__V1__TaskState *ret_state, ProtobufCBinaryData *ret_uuid)
{
        if (s->count > 0) {
                *ret_state = s->pending[0]->status->state;
                *ret_uuid = s->pending[0]->status->uuid;
                return true;
        }
        if (s->acknowledged_bytes == 0)
                return false;
        *ret_state = s->acknowledged_state;
        *ret_uuid = (ProtobufCBinaryData){
                UUID_BYTES, (uint8_t *)s->acknowledged + s->acknowledged_bytes - UUID_BYTES};
        return true;
}

static void remember(struct status_stream *s, const Mete__V1__TaskStatus *status)
{
        if (status->uuid.len != UUID_BYTES)
                return;
        if (s->acknowledged_bytes == sizeof(s->acknowledged)) {
                s->acknowledged_bytes -= UUID_BYTES;
                memmove(s->acknowledged, s->acknowledged + UUID_BYTES, s->acknowledged_bytes);
        }
        memcpy(s->acknowledged + s->acknowledged_bytes, status->uuid.data, UUID_BYTES);
        s->acknowledged_bytes += UUID_BYTES;
        s->acknowledged_state = status->state;
}

int status_stream_acknowledge(struct status_stream *s, const void *uuid, size_t len)
{
        if (s->count == 0)
                return -ESTALE;
        const Mete__V1__TaskStatus *head = s->pending[0]->status;
        if (len != head->uuid.len || memcmp(uuid, head->uuid.data, len) != 0)
                return -ESTALE;
        s->terminal_acknowledged = task_state_is_terminal(head->state);
        remember(s, head);
        s->bytes -= size_of(s->pending[0]);
        message_free(s->pending[0]);
        s->count--;
        memmove(s->pending, s->pending + 1, s->count * sizeof(*s->pending));
        rearm(s);
        return 0;
}

void status_stream_reconnected(struct status_stream *s)
{
        rearm(s);
}

Mete__Checkpoint__Updates status_stream_checkpoint(const struct status_stream *s)
{
        Mete__Checkpoint__Updates u = METE__CHECKPOINT__UPDATES__INIT;

        u.version = CHECKPOINT_FORMAT;
        u.n_pending = s->count;
        u.pending = s->pending;
        u.has_latest_state = s->has_latest;
        u.latest_state = s->latest;
        u.has_acknowledged = u.has_acknowledged_state = s->acknowledged_bytes > 0;
        u.acknowledged = (ProtobufCBinaryData){s->acknowledged_bytes, (uint8_t *)s->acknowledged};
        u.acknowledged_state = s->acknowledged_state;
        return u;
}

void status_stream_restore(struct status_stream *s, Mete__Checkpoint__Updates *u)
{
        s->pending = TAKE_PTR(u->pending);
        s->count = u->n_pending;
        u->n_pending = 0;
        s->has_latest = u->has_latest_state;
        s->latest = u->latest_state;
        /* Every update that we wrote has a uuid; one of a damaged file gets its own here. */
        for (size_t i = 0; i < s->count; i++)
                ensure_uuid(s->pending[i]->status);
        s->bytes = 0;
        for (size_t i = 0; i < s->count; i++)
                s->bytes += size_of(s->pending[i]);
        if (u->has_acknowledged && u->has_acknowledged_state && u->acknowledged.len % UUID_BYTES == 0 &&
                u->acknowledged.len <= sizeof(s->acknowledged)) {
                memcpy(s->acknowledged, u->acknowledged.data, u->acknowledged.len);
                s->acknowledged_bytes = u->acknowledged.len;
                s->acknowledged_state = u->acknowledged_state;
        }
        s->terminal_acknowledged = s->count == 0 && s->has_latest && task_state_is_terminal(s->latest);
        rearm(s);
        message_free(u);
}
