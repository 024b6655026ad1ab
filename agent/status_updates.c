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

int status_stream_acknowledge(struct status_stream *s, const void *uuid, size_t len)
{
        if (s->count == 0)
                return -ESTALE;
        const Mete__V1__TaskStatus *head = s->pending[0]->status;
        if (len != head->uuid.len || memcmp(uuid, head->uuid.data, len) != 0)
                return -ESTALE;
        s->terminal_acknowledged = task_state_is_terminal(head->state);
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
        s->terminal_acknowledged = s->count == 0 && s->has_latest && task_state_is_terminal(s->latest);
        rearm(s);
        message_free(u);
}
