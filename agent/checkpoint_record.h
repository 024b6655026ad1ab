/*
 * The records that a container's file consists of: {magic, type, length, checksum} in the byte order of the machine, which the file never
 * leaves, and a protobuf message. Shared by the two halves of agent/checkpoint.h; pure.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>

#include "lib/base/util.h"

enum record_type {
        RECORD_CONTAINER = 1,
        RECORD_UPDATES = 2,
        RECORD_KILL = 3,
        RECORD_FRAMEWORK = 4,
        /* Of an executor's tasks: told apart by the id in the message. */
        RECORD_TASK = 5,
        RECORD_TASK_UPDATES = 6, /* all of a task's stream: what compaction writes */
        RECORD_TASK_UPDATE = 7,
        RECORD_TASK_ACKNOWLEDGED = 8,
        RECORD_SUSPENDED = 9, /* of the container; the last one counts */
        RECORD_MAX,           /* a newer agent may write more: they are skipped */
};

struct record_header {
        uint32_t magic;
        uint32_t type;
        uint32_t length;   /* of the message that follows */
        uint32_t checksum; /* of type, length and message */
};

/* -EFBIG: more than CHECKPOINT_SIZE_MAX. */
int record_append(enum record_type type, const ProtobufCMessage *m, struct buffer *b) WARN_UNUSED;
/* The record at the beginning of data: its size, -ENOENT when data ends within it, -EBADMSG when it is none. */
ssize_t record_at(const char *data, size_t len, struct record_header *ret);
