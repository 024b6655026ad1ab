/* The tasks of an executor in its container's file: the half of agent/checkpoint.h that command tasks do without. */
#pragma once

#include <uthash.h>

#include "agent/checkpoint.h"
#include "agent/checkpoint_record.h"
#include "agent/status_updates.h"

struct checkpoint_task {
        Mete__Checkpoint__Task *task; /* owned */
        struct status_stream updates;
        UT_hash_handle hh; /* by the task's id */
};

/*
 * Each appends one record. *compact_at is the owner's, 0 at first: beyond that size the file is compacted next. -EFBIG: the file would
 * be too large.
 */
int checkpoint_task_write(int containers_fd, const char *id, const Mete__V1__TaskInfo *task, uint64_t group,
        size_t *compact_at, struct error *e) WARN_UNUSED;
int checkpoint_task_update_write(int containers_fd, const char *id, const Mete__Agent__StatusUpdate *u,
        size_t *compact_at, struct error *e) WARN_UNUSED;
int checkpoint_task_acknowledged_write(int containers_fd, const char *id, const char *task_id,
        const void *uuid, size_t len, size_t *compact_at, struct error *e) WARN_UNUSED;

/* ---- between the halves ---- */
int checkpoint_append(int containers_fd, const char *id, enum record_type type, const ProtobufCMessage *m,
        size_t *compact_at) WARN_UNUSED;
int checkpoint_tasks_read(struct checkpoint *c, enum record_type type, const char *data, size_t len,
        struct error *e) WARN_UNUSED;
int checkpoint_tasks_append(const struct checkpoint *c, struct buffer *b) WARN_UNUSED;
void checkpoint_tasks_done(struct checkpoint *c);
