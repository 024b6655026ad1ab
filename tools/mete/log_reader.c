#include "tools/mete/log_reader.h"

#include <stdlib.h>
#include <string.h>

#define RETRY_FIRST_NS (100 * NSEC_PER_MSEC)
#define RETRY_LONGEST_NS (2 * NSEC_PER_SEC)

struct log_reader {
        struct mete_client *client;
        struct log_reader_options options; /* strings owned */
        const struct log_reader_handlers *handlers;
        void *userdata;
        struct mete_stream *stream; /* NULL between two tries */
        struct loop_timer *retry;
        uint64_t pause_ns;
        uint64_t offset; /* of the next byte, once started */
        bool started;    /* the first byte has set the offset */
        bool at_line_start;
        bool troubled;
        bool done;
};

int log_write_prefixed(int fd, const char *prefix, bool *at_line_start, const char *data, size_t len)
{
        _cleanup_buffer_ struct buffer out = {0};

        if (!prefix)
                return write_all(fd, data, len);
        while (len > 0) {
                const char *end = memchr(data, '\n', len);
                size_t n = end ? (size_t)(end - data) + 1 : len;

                if (*at_line_start)
                        buffer_puts(&out, prefix);
                buffer_append(&out, data, n);
                *at_line_start = end != NULL;
                data += n;
                len -= n;
        }
        return write_all(fd, out.data, out.len);
}

static void reader_finish(struct log_reader *l, const struct error *e)
{
        l->stream = mete_stream_free(l->stream);
        loop_timer_disarm(l->retry);
        l->done = true;
        l->handlers->on_done(l, e, l->userdata);
}

static void reader_take(struct log_reader *l, const Mete__Api__Event__Log *log)
{
        _cleanup_error_ struct error e = {0};
        const char *data = (const char *)log->data.data;
        size_t len = log->data.len, seen;
        int r;

        /* After a break the agent may send again what is known. */
        if (l->started && log->offset < l->offset) {
                seen = (size_t)MIN(l->offset - log->offset, (uint64_t)len);
                data += seen;
                len -= seen;
        }
        l->started = true;
        l->offset = MAX(l->offset, log->offset + log->data.len);
        l->troubled = false;
        l->pause_ns = RETRY_FIRST_NS;
        if (len == 0)
                return;
        r = log_write_prefixed(l->options.fd, l->options.prefix, &l->at_line_start, data, len);
        if (r < 0) {
                error_set_errno(&e, r, "cannot write the output of task %s", l->options.task_id);
                reader_finish(l, &e);
        }
}

static void on_event(struct mete_stream *s, const Mete__Api__Event *event, void *userdata)
{
        struct log_reader *l = userdata;

        if (event->type == METE__API__EVENT__TYPE__LOG && event->log)
                reader_take(l, event->log);
        else if (event->type == METE__API__EVENT__TYPE__END)
                reader_finish(l, NULL);
}

/* A refusal stands; a broken connection may come back. */
static bool worth_a_retry(const struct error *e)
{
        switch (e->code) {
        case -EINVAL:
        case -EACCES:
        case -ENOENT:
        case -EALREADY:
        case -EPROTO:
                return false;
        default:
                return true;
        }
}

static void on_end(struct mete_stream *s, const struct error *e, void *userdata)
{
        struct log_reader *l = userdata;
        _cleanup_error_ struct error cut = {0};

        l->stream = NULL;
        if (!e) {
                /* An orderly end without END is an agent that stops. */
                error_set(&cut, -ECONNRESET, "the agent at %s ended the stream", l->options.address);
                e = &cut;
        }
        if (!l->options.follow || !worth_a_retry(e)) {
                reader_finish(l, e);
                return;
        }
        if (!l->troubled && l->handlers->on_trouble)
                l->handlers->on_trouble(l, e, l->userdata);
        l->troubled = true;
        loop_timer_arm(l->retry, l->pause_ns, 0);
        l->pause_ns = MIN(l->pause_ns * 2, RETRY_LONGEST_NS);
}

static const struct mete_stream_handlers stream_handlers = {.on_event = on_event, .on_end = on_end};

static void reader_open(struct log_reader *l)
{
        Mete__Api__Call call = METE__API__CALL__INIT;
        Mete__Api__Call__ReadLog read = METE__API__CALL__READ_LOG__INIT;
        _cleanup_error_ struct error e = {0};

        read.task_id = (char *)l->options.task_id;
        read.stream = (char *)l->options.stream;
        read.has_follow = true;
        read.follow = l->options.follow;
        if (!l->started && l->options.tail_bytes != UINT64_MAX) {
                read.has_tail_bytes = true;
                read.tail_bytes = l->options.tail_bytes;
        } else {
                read.has_offset = true;
                read.offset = l->offset;
        }
        call.type = METE__API__CALL__TYPE__READ_LOG;
        call.read_log = &read;
        if (mete_client_stream(l->client, l->options.address, &call, /* idle_timeout_ns= */ 0,
                    &stream_handlers, l, &l->stream, &e) < 0)
                reader_finish(l, &e);
}

/* Opening waits for the loop, so that handlers never run inside log_reader_new(). */
static void on_retry(struct loop_timer *t, void *userdata)
{
        reader_open(userdata);
}

struct log_reader *log_reader_new(struct mete_client *c, const struct log_reader_options *o,
        const struct log_reader_handlers *handlers, void *userdata)
{
        struct log_reader *l = NEW0(struct log_reader);

        l->client = c;
        l->options = *o;
        l->options.address = xstrdup(o->address);
        l->options.task_id = xstrdup(o->task_id);
        l->options.stream = xstrdup(o->stream);
        l->options.prefix = xstrdup(o->prefix);
        l->handlers = handlers;
        l->userdata = userdata;
        l->pause_ns = RETRY_FIRST_NS;
        l->at_line_start = true;
        l->retry = loop_timer_new(mete_client_loop(c), on_retry, l);
        loop_timer_arm(l->retry, 0, 0);
        return l;
}

struct log_reader *log_reader_free(struct log_reader *l)
{
        if (!l)
                return NULL;
        mete_stream_free(l->stream);
        loop_timer_free(l->retry);
        free((char *)l->options.address);
        free((char *)l->options.task_id);
        free((char *)l->options.stream);
        free((char *)l->options.prefix);
        free(l);
        return NULL;
}

bool log_reader_done(const struct log_reader *l)
{
        return l->done;
}

bool log_reader_troubled(const struct log_reader *l)
{
        return l->troubled && !l->done;
}
