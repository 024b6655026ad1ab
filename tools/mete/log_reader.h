/*
 * Copies one output stream of one task from its agent to a file descriptor of ours, and picks up where it was when the
 * agent's connection breaks. Owned by the caller; on the thread of the client.
 */
#pragma once

#include "sdk/client.h"

struct log_reader;

struct log_reader_options {
        const char *address; /* of the agent */
        const char *task_id;
        const char *stream;  /* "stdout" or "stderr" */
        const char *prefix;  /* put before each line; NULL: the bytes as they are */
        int fd;              /* not owned */
        bool follow;         /* until the task has ended and all is read; breaks are retried for ever */
        uint64_t tail_bytes; /* UINT64_MAX: from the beginning */
};

/*
 * e is NULL when everything was copied. code -EPIPE: whoever reads our output is gone. With `follow`, a lost agent is no end:
 * it is retried with growing pauses; on_trouble (may be NULL) hears of the first failure of each break.
 */
struct log_reader_handlers {
        void (*on_done)(struct log_reader *l, const struct error *e, void *userdata);
        void (*on_trouble)(struct log_reader *l, const struct error *e, void *userdata);
};
struct log_reader *log_reader_new(struct mete_client *c, const struct log_reader_options *o,
        const struct log_reader_handlers *handlers, void *userdata);
struct log_reader *log_reader_free(struct log_reader *l);
bool log_reader_done(const struct log_reader *l);
/* Between a break and the next bytes: the agent may be gone. */
bool log_reader_troubled(const struct log_reader *l);

/* Writes data to fd, each line behind its prefix. *at_line_start carries over between calls; start with true. */
int log_write_prefixed(
        int fd, const char *prefix, bool *at_line_start, const char *data, size_t len) WARN_UNUSED;
