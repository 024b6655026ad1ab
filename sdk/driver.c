#include "sdk/driver.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <utlist.h>

#include "lib/base/log.h"

#define QUEUE_BYTES_MAX (64 * 1024 * 1024)
#define TEXT_SHOWN_MAX 400

static const char *const state_names[] = {
        [DRIVER_STATE_IDLE] = "IDLE",
        [DRIVER_STATE_WAITING] = "WAITING",
        [DRIVER_STATE_CONNECTING] = "CONNECTING",
        [DRIVER_STATE_SUBSCRIBED] = "SUBSCRIBED",
        [DRIVER_STATE_OVER] = "OVER",
};

static const bool transitions[DRIVER_STATE_MAX][DRIVER_STATE_MAX] = {
        [DRIVER_STATE_IDLE] = {[DRIVER_STATE_WAITING] = true},
        [DRIVER_STATE_WAITING] = {[DRIVER_STATE_CONNECTING] = true, [DRIVER_STATE_OVER] = true},
        [DRIVER_STATE_CONNECTING] =
                {[DRIVER_STATE_SUBSCRIBED] = true, [DRIVER_STATE_WAITING] = true, [DRIVER_STATE_OVER] = true},
        [DRIVER_STATE_SUBSCRIBED] = {[DRIVER_STATE_WAITING] = true, [DRIVER_STATE_OVER] = true},
};

static void set_state(struct driver *d, enum driver_state state)
{
        assert(transitions[d->state][state]);
        log_debug("%s: %s -> %s", d->operations->path, state_names[d->state], state_names[state]);
        d->state = state;
        loop_timer_disarm(d->watch);
        loop_timer_disarm(d->retry);
        (void)pthread_mutex_lock(&d->lock);
        d->connected = state == DRIVER_STATE_SUBSCRIBED;
        (void)pthread_mutex_unlock(&d->lock);
}

int driver_error_fill(struct mete_error *to, const struct error *from)
{
        if (to && from->code < 0) {
                to->code = from->code;
                snprintf(to->message, sizeof(to->message), "%s", error_message(from));
        }
        return from->code;
}

uint64_t driver_backoff_ns(struct driver *d)
{
        uint64_t low = d->options.backoff_min_ms * NSEC_PER_MSEC;
        uint64_t high = d->options.backoff_max_ms * NSEC_PER_MSEC, bound = low, random = 0;

        for (unsigned i = 0; i <= d->attempts && bound < high; i++)
                bound *= 2;
        bound = MIN(bound, high);
        d->attempts++;
        if (bound <= low || getrandom(&random, sizeof(random), 0) != sizeof(random))
                return MIN(low, high);
        return low + random % (bound - low + 1);
}

/* ---- the queue ---- */

static void call_free(struct driver_call *c)
{
        if (c) {
                buffer_done(&c->body);
                free(c);
        }
}

static void drop_calls(struct driver *d)
{
        struct driver_call *c, *next;

        (void)pthread_mutex_lock(&d->lock);
        DL_FOREACH_SAFE (d->queue, c, next)
                call_free(c);
        d->queue = NULL;
        d->queued_calls = d->queued_bytes = 0;
        (void)pthread_mutex_unlock(&d->lock);
        call_free(TAKE_PTR(d->in_flight));
}

static struct driver_call *next_call(struct driver *d)
{
        struct driver_call *c;

        (void)pthread_mutex_lock(&d->lock);
        c = d->queue;
        if (c) {
                DL_DELETE(d->queue, c);
                d->queued_calls--;
                d->queued_bytes -= c->body.len;
        }
        (void)pthread_mutex_unlock(&d->lock);
        return c;
}

static bool queue_is_empty(struct driver *d)
{
        bool empty;

        (void)pthread_mutex_lock(&d->lock);
        empty = !d->queue;
        (void)pthread_mutex_unlock(&d->lock);
        return empty && !d->in_flight;
}

static void send_next(struct driver *d);

/* What a body that explains a refusal says, in one line. */
static char *response_text(const struct http_response *r)
{
        char *text = xstrndup(r->body ? r->body : "", MIN(r->body_len, (size_t)TEXT_SHOWN_MAX));

        text[strcspn(text, "\r\n")] = '\0';
        return text;
}

static void on_call_done(const struct http_response *r, void *userdata)
{
        struct driver *d = userdata;
        struct driver_call *call;
        _cleanup_free_ char *text = NULL;

        if (!d->calls || !d->in_flight)
                return; /* it was us who closed the connection */
        call = TAKE_PTR(d->in_flight);
        if (r->status == 200 || r->status == 202) {
                call_free(call);
                send_next(d);
                driver_check_stop(d);
                return;
        }
        text = response_text(r);
        /* Whether a call arrived whose answer is lost nobody knows: a new subscription makes things certain again. */
        if (r->status == 0)
                driver_lost(d, "a call was lost: %s", error_message(r->error));
        else if (r->status == 403 || r->status == 404 || r->status < 400 || (r->status > 501))
                driver_lost(d, "a call was answered with status %d: %s", r->status, text);
        else
                d->operations->on_refused_call(d, call->type, r->status, text);
        call_free(call);
        send_next(d);
        driver_check_stop(d);
}

static void send_next(struct driver *d)
{
        const char *type = codec_content_type(d->options.codec);

        if (d->state != DRIVER_STATE_SUBSCRIBED || d->in_flight)
                return;
        d->in_flight = next_call(d);
        if (d->in_flight)
                http_client_request(d->calls, "POST", d->operations->path, type, type,
                        d->in_flight->body.data, d->in_flight->body.len, /* timeout_ns= */ 0, on_call_done,
                        d);
}

/* Something that another thread may have asked for. */
static void on_posted(void *userdata)
{
        struct driver *d = userdata;

        (void)pthread_mutex_lock(&d->lock);
        d->posted = false;
        (void)pthread_mutex_unlock(&d->lock);
        send_next(d);
        driver_check_stop(d);
}

/* With the lock held. */
static void wake(struct driver *d)
{
        if (!d->posted) {
                d->posted = true;
                loop_post(d->loop, on_posted, d);
        }
}

static int enqueue(struct driver *d, struct driver_call *c, bool own)
{
        size_t bound = d->options.max_queued_calls * (own ? 2 : 1);
        int r = 0;

        (void)pthread_mutex_lock(&d->lock);
        if (!d->connected)
                r = -ENOTCONN;
        else if (d->queued_calls >= bound || d->queued_bytes + c->body.len > QUEUE_BYTES_MAX)
                r = -ENOBUFS;
        if (r == 0) {
                DL_APPEND(d->queue, c);
                d->queued_calls++;
                d->queued_bytes += c->body.len;
                wake(d);
        }
        (void)pthread_mutex_unlock(&d->lock);
        return r;
}

static bool is_connected(struct driver *d)
{
        bool connected;

        (void)pthread_mutex_lock(&d->lock);
        connected = d->connected;
        (void)pthread_mutex_unlock(&d->lock);
        return connected;
}

int driver_call(struct driver *d, int type, const ProtobufCMessage *call, bool own)
{
        struct driver_call *c;
        int r;

        if (!is_connected(d))
                return -ENOTCONN;
        c = NEW0(struct driver_call);
        c->type = type;
        r = message_encode(d->options.codec, call, &c->body);
        if (r == 0)
                r = enqueue(d, c, own);
        if (r < 0)
                call_free(c);
        return r;
}

bool driver_is_stopping(struct driver *d)
{
        bool stopping;

        (void)pthread_mutex_lock(&d->lock);
        stopping = d->stop_requested;
        (void)pthread_mutex_unlock(&d->lock);
        return stopping;
}

/* ---- the subscription ---- */

static void close_connections(struct driver *d)
{
        struct http_client *stream = TAKE_PTR(d->stream), *calls = TAKE_PTR(d->calls);

        /* Their handlers hear of it, and find that nothing is theirs any more. */
        http_client_free(stream);
        http_client_free(calls);
        free(TAKE_PTR(d->stream_id));
}

static void retry_in(struct driver *d, uint64_t delay_ns)
{
        set_state(d, DRIVER_STATE_WAITING);
        loop_timer_arm(d->retry, delay_ns, 0);
}

/* The end of an attempt or of a subscription, of which `location` says where to go on (or NULL). */
static void try_again(struct driver *d, const char *location, const char *reason)
{
        bool was_subscribed = d->state == DRIVER_STATE_SUBSCRIBED;
        _cleanup_free_ char *where = xstrdup(location);

        if (d->state != DRIVER_STATE_SUBSCRIBED && d->state != DRIVER_STATE_CONNECTING)
                return;
        log_debug("%s: %s", d->operations->path, reason);
        close_connections(d);
        retry_in(d, d->operations->next_delay_ns(d, where, was_subscribed));
        drop_calls(d);
        if (was_subscribed)
                d->operations->on_disconnected(d, reason);
        driver_check_stop(d);
}

void driver_lost(struct driver *d, const char *fmt, ...)
{
        _cleanup_free_ char *reason = NULL;
        va_list ap;

        va_start(ap, fmt);
        reason = xvasprintf(fmt, ap);
        va_end(ap);
        try_again(d, NULL, reason);
}

static void on_silence(struct loop_timer *t, void *userdata)
{
        struct driver *d = userdata;

        if (d->state == DRIVER_STATE_SUBSCRIBED)
                driver_lost(d, "no event for %.1f s", (double)d->silence_ns / (double)NSEC_PER_SEC);
        else
                driver_lost(d, "not subscribed within %u ms", d->options.connect_timeout_ms);
}

static void on_stream_open(void *userdata)
{
        struct driver *d = userdata;

        free(d->stream_id);
        d->stream_id = xstrdup(http_client_answer_header(d->stream, "Mesos-Stream-Id"));
}

static bool on_stream_record(const void *data, size_t len, void *userdata)
{
        struct driver *d = userdata;
        struct http_client *stream = d->stream;
        _cleanup_error_ struct error e = {0};
        ProtobufCMessage *message = NULL;

        if (!stream)
                return false;
        if (message_decode(d->options.codec, d->operations->event, data, len, &message, &e) < 0) {
                driver_lost(d, "an event cannot be understood: %s", error_message(&e));
                return false;
        }
        if (d->silence_ns > 0 && d->state == DRIVER_STATE_SUBSCRIBED)
                loop_timer_arm(d->watch, d->silence_ns, 0);
        d->operations->on_event(d, message);
        message_free(message);
        return d->stream == stream;
}

static void on_stream_done(const struct http_response *r, void *userdata)
{
        struct driver *d = userdata;
        _cleanup_free_ char *text = NULL, *reason = NULL;

        if (!d->stream)
                return; /* it was us who closed it */
        if (r->status == 0)
                reason = xstrdup(error_message(r->error));
        else if (r->status == 200)
                reason = xstrdup("the stream of events ended");
        else
                text = response_text(r);
        /* No leader, not ready, not there yet: these pass. */
        if (!reason && (r->status < 400 || r->status == 404 || r->status == 429 || r->status >= 500))
                reason = xasprintf("the subscription was answered with status %d: %s", r->status, text);
        if (reason)
                try_again(d, r->status == 307 ? http_client_answer_header(d->stream, "Location") : NULL,
                        reason);
        else
                d->operations->on_refused_subscription(d, r->status, text);
}

static void on_retry(struct loop_timer *t, void *userdata)
{
        struct driver *d = userdata;
        const char *type = codec_content_type(d->options.codec);
        _cleanup_buffer_ struct buffer body = {0};
        _cleanup_error_ struct error e = {0};

        set_state(d, DRIVER_STATE_CONNECTING);
        if (d->operations->open(d, &d->stream, &e) < 0) {
                driver_lost(d, "%s", error_message(&e));
                return;
        }
        d->operations->encode_subscribe(d, &body);
        loop_timer_arm(d->watch, d->options.connect_timeout_ms * NSEC_PER_MSEC, 0);
        http_client_stream(d->stream, "POST", d->operations->path, type, type, body.data, body.len,
                /* idle_timeout_ns= */ 0, on_stream_open, on_stream_record, on_stream_done, d);
}

void driver_subscribed(struct driver *d, uint64_t silence_ns)
{
        _cleanup_error_ struct error e = {0};

        if (d->operations->open(d, &d->calls, &e) < 0) {
                driver_lost(d, "%s", error_message(&e));
                return;
        }
        if (d->stream_id)
                http_client_set_header(d->calls, "Mesos-Stream-Id", d->stream_id);
        d->attempts = 0;
        d->silence_ns = silence_ns;
        set_state(d, DRIVER_STATE_SUBSCRIBED);
        if (silence_ns > 0)
                loop_timer_arm(d->watch, silence_ns, 0);
}

/* ---- ending ---- */

void driver_end(struct driver *d, int code, const char *text)
{
        if (d->state == DRIVER_STATE_OVER)
                return;
        if (code < 0)
                (void)error_set(&d->result, code, "%s", text);
        set_state(d, DRIVER_STATE_OVER);
        close_connections(d);
        drop_calls(d);
        loop_timer_disarm(d->stop_timer);
        loop_stop(d->loop);
}

static void on_stop_timeout(struct loop_timer *t, void *userdata)
{
        driver_end(userdata, 0, NULL);
}

void driver_check_stop(struct driver *d)
{
        if (!driver_is_stopping(d) || d->state == DRIVER_STATE_IDLE || d->state == DRIVER_STATE_OVER)
                return;
        if (d->operations->is_drained ? d->operations->is_drained(d) && queue_is_empty(d)
                                      : d->state != DRIVER_STATE_SUBSCRIBED || queue_is_empty(d))
                driver_end(d, 0, NULL);
        else if (!loop_timer_armed(d->stop_timer))
                loop_timer_arm(d->stop_timer, d->options.stop_timeout_ms * NSEC_PER_MSEC, 0);
}

void driver_stop(struct driver *d)
{
        (void)pthread_mutex_lock(&d->lock);
        d->stop_requested = true;
        wake(d);
        (void)pthread_mutex_unlock(&d->lock);
}

/* ---- running ---- */

static bool claim(struct driver *d)
{
        bool first;

        (void)pthread_mutex_lock(&d->lock);
        first = !d->started;
        d->started = true;
        (void)pthread_mutex_unlock(&d->lock);
        return first;
}

static void run(struct driver *d)
{
        int r;

        retry_in(d, 0);
        r = loop_run(d->loop);
        if (r < 0)
                driver_end(d, r, "the event loop failed");
}

int driver_run(struct driver *d, struct mete_error *error)
{
        if (!claim(d))
                return -EBUSY;
        run(d);
        return driver_error_fill(error, &d->result);
}

static void *run_thread(void *userdata)
{
        run(userdata);
        return NULL;
}

int driver_start(struct driver *d)
{
        if (!claim(d))
                return -EBUSY;
        if (pthread_create(&d->thread, NULL, run_thread, d) != 0)
                return -EAGAIN;
        d->threaded = true;
        return 0;
}

int driver_join(struct driver *d, struct mete_error *error)
{
        if (!d->threaded)
                return -EINVAL;
        (void)pthread_join(d->thread, NULL);
        d->threaded = false;
        return driver_error_fill(error, &d->result);
}

int driver_init(struct driver *d, const struct driver_operations *operations,
        const struct driver_options *options, struct error *e)
{
        int r;

        d->operations = operations;
        d->options = *options;
        r = loop_new(&d->loop, e);
        if (r < 0)
                return r;
        (void)pthread_mutex_init(&d->lock, NULL);
        d->retry = loop_timer_new(d->loop, on_retry, d);
        d->watch = loop_timer_new(d->loop, on_silence, d);
        d->stop_timer = loop_timer_new(d->loop, on_stop_timeout, d);
        return 0;
}

void driver_done(struct driver *d)
{
        if (!d->loop)
                return;
        if (d->threaded) {
                driver_stop(d);
                (void)driver_join(d, NULL);
        }
        close_connections(d);
        drop_calls(d);
        loop_timer_free(d->retry);
        loop_timer_free(d->watch);
        loop_timer_free(d->stop_timer);
        d->retry = d->watch = d->stop_timer = NULL;
        loop_free(d->loop);
        error_done(&d->result);
        (void)pthread_mutex_destroy(&d->lock);
}
