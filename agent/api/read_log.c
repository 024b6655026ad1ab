/*
 * A task's output as a stream of LOG events. Reads run ahead of the peer by a bounded amount: when that waits, reading goes on
 * when it has drained. While following, the file is looked at from a timer: one small read per stream and tick, which costs less than a
 * watch that fires at every write of a busy task.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "agent/api/api_internal.h"
#include "agent/shim/log_read.h"
#include "agent/task.h"

#define CHUNK_BYTES (64u << 10)
#define AHEAD_BYTES (512u << 10)
#define FOLLOW_PERIOD_NS (100 * NSEC_PER_MSEC)

struct log_stream {
        struct agent *agent;
        struct http_stream *http;
        struct loop_timer *timer;
        enum codec codec;
        char *sandbox;      /* below the work dir */
        char *container_id; /* last component of sandbox */
        char *name;         /* "stdout" */
        int sandbox_fd;
        uint64_t offset;
        bool follow;
        struct log_stream *prev, *next;
};

static struct log_stream *log_stream_free(struct log_stream *s)
{
        DL_DELETE(s->agent->log_streams, s);
        loop_timer_free(s->timer);
        close_fd(s->sandbox_fd);
        free(s->sandbox);
        free(s->container_id);
        free(s->name);
        free(s);
        return NULL;
}

static void on_close(struct http_stream *http, void *userdata)
{
        log_stream_free(userdata);
}

static bool is_running(const struct log_stream *s)
{
        const struct agent_container *c = container_find(s->agent, s->container_id);

        return c && c->state != CONTAINER_STATE_ENDED;
}

/* Beside the shim's records while it runs, beside the sandbox afterwards. */
static int open_offsets(const struct log_stream *s, bool running)
{
        _cleanup_free_ char *kept = running ? NULL : xasprintf("%s.state", s->sandbox);

        return openat(running ? s->agent->states_fd : s->agent->work_fd, running ? s->container_id : kept,
                O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int read_at(const struct log_stream *s, bool running, uint64_t offset, void *buf, size_t size,
        struct log_read *ret)
{
        _cleanup_fd_ int state_fd = open_offsets(s, running);

        return log_read(s->sandbox_fd, state_fd, s->name, offset, buf, size, ret);
}

/* false: the stream is closed or broken. */
static bool send_event(struct log_stream *s, const Mete__Api__Event *event)
{
        _cleanup_buffer_ struct buffer b = {0};

        return message_encode(s->codec, &event->base, &b) == 0 &&
               http_stream_record(s->http, b.data, b.len) == 0;
}

static bool send_log(struct log_stream *s, uint64_t offset, uint8_t *data, size_t len)
{
        Mete__Api__Event event = METE__API__EVENT__INIT;
        Mete__Api__Event__Log log = METE__API__EVENT__LOG__INIT;

        event.type = METE__API__EVENT__TYPE__LOG;
        event.log = &log;
        log.offset = offset;
        log.data.data = data;
        log.data.len = len;
        return send_event(s, &event);
}

static void finish(struct log_stream *s)
{
        Mete__Api__Event event = METE__API__EVENT__INIT;

        event.type = METE__API__EVENT__TYPE__END;
        (void)send_event(s, &event);
        http_stream_close(s->http);
        log_stream_free(s);
}

static void pump(struct log_stream *s)
{
        _cleanup_free_ uint8_t *buf = xmalloc(CHUNK_BYTES);

        while (http_stream_pending(s->http) < AHEAD_BYTES) {
                struct log_read got = {0};
                bool running = is_running(s); /* asked before the read: what it wrote last is not missed */

                int r = read_at(s, running, s->offset, buf, CHUNK_BYTES, &got);
                if (r < 0 && r != -ENOENT) {
                        finish(s); /* the task replaced its log file: nothing that is there is our output */
                        return;
                }
                if (r == 0 && got.size > 0) {
                        s->offset = got.offset + got.size;
                        if (!send_log(s, got.offset, buf, got.size)) {
                                http_stream_close(s->http);
                                log_stream_free(s);
                                return;
                        }
                        continue;
                }
                if (!running || !s->follow) {
                        finish(s);
                        return;
                }
                loop_timer_arm(s->timer, FOLLOW_PERIOD_NS, 0);
                return;
        }
}

static void on_timer(struct loop_timer *t, void *userdata)
{
        pump(userdata);
}

static void on_drain(struct http_stream *http, void *userdata)
{
        struct log_stream *s = userdata;

        if (!loop_timer_armed(s->timer))
                pump(s);
}

void agent_api_container_ended(struct agent *a, const char *container_id)
{
        struct agent_container *c = container_find(a, container_id);
        struct log_stream *s;

        a->counters.executors_terminated++;
        if (a->api && c)
                agent_api_remember(a->api, c);
        /* From the loop: the container is in the middle of its end now. */
        DL_FOREACH (a->log_streams, s)
                if (str_equal(s->container_id, container_id))
                        loop_timer_arm(s->timer, 0, 0);
}

/* ---- opening ---- */

/* The sandbox that the id means: of a container that is known, else the one that ended last. */
static char *find_sandbox(struct agent *a, const char *task_id)
{
        struct agent_task *t, *tmp;
        const char *path = NULL;

        HASH_ITER (hh, a->tasks, t, tmp)
                if (str_equal(t->info->task_id->value, task_id) && container_sandbox(t->container))
                        path = container_sandbox(t->container);
        return xstrdup(path ? path : gc_find(&a->gc, task_id));
}

static void start_offset(struct log_stream *s, const Mete__Api__Call__ReadLog *l)
{
        struct log_read got = {0};
        uint8_t byte;

        s->offset = l->has_offset ? l->offset : 0;
        if (!l->has_tail_bytes || read_at(s, is_running(s), UINT64_MAX, &byte, 1, &got) < 0)
                return;
        s->offset = got.total > l->tail_bytes ? got.total - l->tail_bytes : 0;
}

static void open_stream(
        struct api_request *r, const Mete__Api__Call__ReadLog *l, char *sandbox, int sandbox_fd)
{
        struct log_stream *s = NEW0(struct log_stream);

        s->agent = r->agent;
        s->codec = r->codec;
        s->sandbox = sandbox;
        s->container_id = xstrdup(strrchr(sandbox, '/') + 1);
        s->name = xstrdup(l->stream);
        s->sandbox_fd = sandbox_fd;
        s->follow = l->has_follow && l->follow;
        s->timer = loop_timer_new(r->agent->loop, on_timer, s);
        DL_APPEND(r->agent->log_streams, s);
        start_offset(s, l);
        s->http = http_stream_open(r->http, codec_content_type(r->codec), on_close, s);
        http_stream_on_drain(s->http, on_drain);
        pump(s);
}

void api_read_log(struct api_request *r)
{
        const Mete__Api__Call__ReadLog *l = r->call->read_log;
        uid_t owner;

        if (!l) {
                api_refuse(r, 400, "read_log", "READ_LOG needs read_log");
                return;
        }
        if (!str_equal(l->stream, "stdout") && !str_equal(l->stream, "stderr")) {
                api_refuse(r, 400, "read_log.stream", "\"%.40s\" is no stream: give stdout or stderr",
                        l->stream);
                return;
        }
        _cleanup_free_ char *sandbox = find_sandbox(r->agent, l->task_id);
        if (!sandbox || api_sandbox_owner(r->agent, sandbox, &owner) < 0) {
                api_refuse(r, 404, "read_log.task_id", "there is no output of a task %.255s on this agent",
                        l->task_id);
                return;
        }
        if (!api_may_see(&r->caller, owner)) {
                api_refuse(r, 403, "read_log.task_id", "task %.255s runs as another user", l->task_id);
                return;
        }
        int fd = openat(r->agent->work_fd, sandbox, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0) {
                api_refuse(r, 404, "read_log.task_id", "the sandbox of task %.255s is gone", l->task_id);
                return;
        }
        open_stream(r, l, TAKE_PTR(sandbox), fd);
}
