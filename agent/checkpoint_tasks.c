#include "agent/checkpoint_tasks.h"

#include <stdlib.h>
#include <string.h>

#include "lib/net/codec.h"
#include "proto/validate.h"

/* ---- reading ---- */

static const char *id_of(const struct checkpoint_task *t)
{
        return t->task->task->task_id->value;
}

static struct checkpoint_task *find(struct checkpoint *c, const char *task_id)
{
        struct checkpoint_task *t;

        HASH_FIND(hh, c->tasks, task_id, strlen(task_id), t);
        return t;
}

static void forget(struct checkpoint *c, struct checkpoint_task *t)
{
        HASH_DELETE(hh, c->tasks, t);
        status_stream_done(&t->updates);
        message_free(t->task);
        free(t);
}

void checkpoint_tasks_done(struct checkpoint *c)
{
        struct checkpoint_task *t, *tmp;

        HASH_ITER (hh, c->tasks, t, tmp)
                forget(c, t);
}

/*
 * A full disk may have swallowed a record that a later one refers to: such a later one is skipped, for a running executor is worth
 * more than an update that is told again.
 */

/* Takes m. The ids become keys and names of files: those of a damaged file are not followed. */
static int read_task(struct checkpoint *c, Mete__Checkpoint__Task *m)
{
        if (m->version != CHECKPOINT_FORMAT || message_validate_ids(&m->base, NULL) < 0 ||
                find(c, m->task->task_id->value)) {
                message_free(m);
                return -EBADMSG;
        }
        struct checkpoint_task *t = NEW0(struct checkpoint_task);
        t->task = m;
        HASH_ADD_KEYPTR(hh, c->tasks, id_of(t), strlen(id_of(t)), t);
        return 0;
}

static int read_updates(struct checkpoint *c, Mete__Checkpoint__Updates *m)
{
        struct checkpoint_task *t = m->task_id ? find(c, m->task_id) : NULL;
        int r = m->version == CHECKPOINT_FORMAT ? 0 : -EBADMSG;

        if (r < 0 || !t) {
                message_free(m);
                return r;
        }
        status_stream_done(&t->updates);
        status_stream_restore(&t->updates, m);
        return 0;
}

static int read_update(struct checkpoint *c, Mete__Checkpoint__TaskUpdate *m)
{
        struct checkpoint_task *t = find(c, m->update->status->task_id->value);
        int r = m->version == CHECKPOINT_FORMAT ? 0 : -EBADMSG;

        if (r == 0 && t)
                (void)!status_stream_push(&t->updates, TAKE_PTR(m->update));
        message_free(m);
        return r;
}

static int read_acknowledged(struct checkpoint *c, Mete__Checkpoint__TaskAcknowledged *m)
{
        struct checkpoint_task *t = find(c, m->task_id);
        int r = m->version == CHECKPOINT_FORMAT ? 0 : -EBADMSG;

        if (r == 0 && t)
                (void)!status_stream_acknowledge(&t->updates, m->uuid.data, m->uuid.len);
        if (r == 0 && t && t->updates.terminal_acknowledged)
                forget(c, t);
        message_free(m);
        return r;
}

int checkpoint_tasks_read(
        struct checkpoint *c, enum record_type type, const char *data, size_t len, struct error *e)
{
        static const ProtobufCMessageDescriptor *const descriptors[RECORD_MAX] = {
                [RECORD_TASK] = &mete__checkpoint__task__descriptor,
                [RECORD_TASK_UPDATES] = &mete__checkpoint__updates__descriptor,
                [RECORD_TASK_UPDATE] = &mete__checkpoint__task_update__descriptor,
                [RECORD_TASK_ACKNOWLEDGED] = &mete__checkpoint__task_acknowledged__descriptor,
        };
        ProtobufCMessage *m;

        int r = message_decode(CODEC_PROTOBUF, descriptors[type], data, len, &m, NULL);
        if (r == 0 && type == RECORD_TASK)
                r = read_task(c, (Mete__Checkpoint__Task *)m);
        else if (r == 0 && type == RECORD_TASK_UPDATES)
                r = read_updates(c, (Mete__Checkpoint__Updates *)m);
        else if (r == 0 && type == RECORD_TASK_UPDATE)
                r = read_update(c, (Mete__Checkpoint__TaskUpdate *)m);
        else if (r == 0)
                r = read_acknowledged(c, (Mete__Checkpoint__TaskAcknowledged *)m);
        return r < 0 ? error_set(e, -EBADMSG, "a record of its tasks is of another format") : 0;
}

/* ---- writing ---- */

int checkpoint_tasks_append(const struct checkpoint *c, struct buffer *b)
{
        const struct checkpoint_task *t;
        int r = 0;

        for (t = c->tasks; t && r == 0; t = t->hh.next) {
                r = record_append(RECORD_TASK, &t->task->base, b);
                if (r < 0 || (!t->updates.has_latest && t->updates.count == 0))
                        continue;
                Mete__Checkpoint__Updates u = status_stream_checkpoint(&t->updates);
                u.task_id = t->task->task->task_id->value;
                r = record_append(RECORD_TASK_UPDATES, &u.base, b);
        }
        return r;
}

int checkpoint_task_write(int containers_fd, const char *id, const Mete__V1__TaskInfo *task, uint64_t group,
        size_t *compact_at, struct error *e)
{
        Mete__Checkpoint__Task m = METE__CHECKPOINT__TASK__INIT;

        m.version = CHECKPOINT_FORMAT;
        m.task = (Mete__V1__TaskInfo *)task;
        m.has_group = group != 0;
        m.group = group;
        int r = checkpoint_append(containers_fd, id, RECORD_TASK, &m.base, compact_at);
        return r < 0 ? error_set_errno(e, r, "cannot checkpoint the task in container %s", id) : 0;
}

int checkpoint_task_update_write(int containers_fd, const char *id, const Mete__Agent__StatusUpdate *u,
        size_t *compact_at, struct error *e)
{
        Mete__Checkpoint__TaskUpdate m = METE__CHECKPOINT__TASK_UPDATE__INIT;

        m.version = CHECKPOINT_FORMAT;
        m.update = (Mete__Agent__StatusUpdate *)u;
        int r = checkpoint_append(containers_fd, id, RECORD_TASK_UPDATE, &m.base, compact_at);
        return r < 0 ? error_set_errno(e, r, "cannot checkpoint a status update in container %s", id) : 0;
}

int checkpoint_task_acknowledged_write(int containers_fd, const char *id, const char *task_id,
        const void *uuid, size_t len, size_t *compact_at, struct error *e)
{
        Mete__Checkpoint__TaskAcknowledged m = METE__CHECKPOINT__TASK_ACKNOWLEDGED__INIT;

        m.version = CHECKPOINT_FORMAT;
        m.task_id = (char *)task_id;
        m.uuid = (ProtobufCBinaryData){len, (uint8_t *)uuid};
        int r = checkpoint_append(containers_fd, id, RECORD_TASK_ACKNOWLEDGED, &m.base, compact_at);
        return r < 0 ? error_set_errno(e, r, "cannot checkpoint an acknowledgement in container %s", id) : 0;
}
