/*
 * From the task's pipes into files of the sandbox, with rotation. The sandbox belongs to the task: files are
 * made with O_EXCL and known by descriptor, so that nothing in the directory can redirect a write. A full
 * disk loses output, it never stops the task.
 */
#pragma once

#include "lib/base/error.h"

enum log_stream_id { LOG_STDOUT, LOG_STDERR, LOG_STREAM_MAX };
extern const char *const log_stream_names[LOG_STREAM_MAX];

struct log_stream {
        int pipe_fd;                /* read end, non-blocking; -1 after the end */
        int file_fd;                /* the live file; -1 when none could be made */
        uint64_t base, size, inode; /* the live file: where it begins in the whole output, its length */
};

struct log_pump {
        struct log_stream streams[LOG_STREAM_MAX];
        int sandbox_fd, state_fd; /* borrowed */
        uint64_t max_bytes;       /* of a live file; 0 = no rotation */
        uint32_t files;           /* rotated files kept */
};

/* Makes the pipes; ret_write_fds are the task's ends. */
int log_pump_open_pipes(
        struct log_pump *p, int ret_write_fds[static LOG_STREAM_MAX], struct error *e) WARN_UNUSED;
/* Makes the files: before the first run. */
int log_pump_open_files(struct log_pump *p, struct error *e) WARN_UNUSED;
/* Reads what is there once. 1 = there may be more, 0 = nothing now, -EPIPE = the end of the stream. */
int log_pump_run(struct log_pump *p, enum log_stream_id id);
/* Everything that the pipes still hold, bounded. */
void log_pump_drain(struct log_pump *p);

/* The file "logs" in the state directory. */
