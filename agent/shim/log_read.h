/*
 * Reading a task's output by its offset in the whole, across rotated files. The sandbox belongs to the task:
 * what is opened there must be a regular file with one link, reached without a symbolic link. Any thread.
 */
#pragma once

#include "lib/base/error.h"

#define LOG_ANCHORS_NAME "logs" /* in the state directory */
/*
 * What must be kept beside the sandbox when the state directory goes, so that offsets stay right: the caller frees. -ENOENT when
 * nothing was rotated: then there is nothing to keep, and log_read does without.
 */
int log_anchors_to_keep(int state_dirfd, char **ret, size_t *ret_len) WARN_UNUSED;

struct log_read {
        uint64_t offset; /* of the first byte in the buffer: later than asked when that part was rotated away
                          */
        uint64_t total;  /* length of the whole output until now */
        size_t size;     /* bytes in the buffer; 0 at the end */
};

/* stream: "stdout" or "stderr". -ENOENT when there is none (yet), -ESTALE when the task replaced the file. */
int log_read(int sandbox_fd, int state_dirfd, const char *stream, uint64_t offset, void *buf, size_t size,
        struct log_read *ret) WARN_UNUSED;
