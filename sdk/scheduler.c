/* The scheduler's driver: its life, its subscription and its events. The calls are in scheduler_calls.c. */
#include <stdlib.h>
#include <string.h>

#include "lib/net/codec_internal.h"
#include "sdk/scheduler_internal.h"

#define PATH "/api/v1/scheduler"
#define DEFAULT_MASTER "127.0.0.1:5050"
#define DEFAULT_PORT 5050
#define HEARTBEATS_MISSED_MAX 5
#define HEARTBEAT_SECONDS_MAX 86400

#define CALLBACK(s, name, ...)                                                                               \
        do {                                                                                                 \
                if ((s)->options.callbacks.name)                                                             \
                        (s)->options.callbacks.name((s), __VA_ARGS__, (s)->options.userdata);                \
        } while (0)

static struct mete_scheduler *scheduler_of(struct driver *d)
{
        return CONTAINER_OF(d, struct mete_scheduler, driver);
}

/* ---- the subscription ---- */

static int scheduler_open(struct driver *d, struct http_client **ret, struct error *e)
{
        struct mete_scheduler *s = scheduler_of(d);
        int r;

        r = http_client_new(d->loop, detector_host(s->detector), detector_port(s->detector), ret, e);
        if (r == 0 && s->authorization)
                http_client_set_header(*ret, "Authorization", s->authorization);
        return r;
}

static void encode_subscribe(struct driver *d, struct buffer *ret)
{
        struct mete_scheduler *s = scheduler_of(d);
        Mete__V1__Scheduler__Call__Subscribe subscribe = METE__V1__SCHEDULER__CALL__SUBSCRIBE__INIT;
        Mete__V1__Scheduler__Call call = METE__V1__SCHEDULER__CALL__INIT;

        subscribe.suppressed_roles = s->suppressed_roles;
        subscribe.n_suppressed_roles = s->n_suppressed_roles;
        call.has_type = true;
        call.type = METE__V1__SCHEDULER__CALL__TYPE__SUBSCRIBE;
        call.subscribe = &subscribe;
        (void)pthread_mutex_lock(&d->lock);
        subscribe.framework_info = s->framework;
        call.framework_id = s->framework->id;
        /* Checked when it was taken. */
        if (message_encode(d->options.codec, &call.base, ret) < 0)
                abort();
        (void)pthread_mutex_unlock(&d->lock);
}

static uint64_t next_delay_ns(struct driver *d, const char *location, bool was_subscribed)
{
        struct mete_scheduler *s = scheduler_of(d);

        if (location && detector_redirected(s->detector, location))
                return 0;
        /* All frameworks lose a master at the same time: they should not come back at the same time. */
        return detector_failed(s->detector) || was_subscribed ? driver_backoff_ns(d) : 0;
}

static void fail(struct mete_scheduler *s, const char *message)
{
        _cleanup_free_ char *copy = xstrdup(message);

        /* The master's word on a teardown. */
        if (driver_is_stopping(&s->driver)) {
                driver_end(&s->driver, 0, NULL);
                return;
        }
        /* Over before the callback: it can see that no call is taken any more. */
        driver_end(&s->driver, -EPERM, copy);
        CALLBACK(s, error, copy);
}

static void on_refused_subscription(struct driver *d, int status, const char *text)
{
        _cleanup_free_ char *message =
                xasprintf("the master refused the subscription with status %d: %s", status, text);

        fail(scheduler_of(d), message);
}

static void on_refused_call(struct driver *d, int type, int status, const char *text)
{
        struct mete_scheduler *s = scheduler_of(d);

        CALLBACK(s, refused, (Mete__V1__Scheduler__Call__Type)type, status, text);
}

static void on_disconnected(struct driver *d, const char *reason)
{
        CALLBACK(scheduler_of(d), disconnected, reason);
}

/* ---- events ---- */

static uint64_t tolerated_silence_ns(const struct mete_scheduler *s, double seconds)
{
        uint64_t interval_ms = s->options.heartbeat_interval_ms;

        if (interval_ms == 0 && seconds > 0 && seconds <= HEARTBEAT_SECONDS_MAX)
                interval_ms = (uint64_t)(seconds * 1e3);
        return interval_ms * HEARTBEATS_MISSED_MAX * NSEC_PER_MSEC;
}

static void on_subscribed(struct mete_scheduler *s, const Mete__V1__Scheduler__Event__Subscribed *e)
{
        bool known = s->framework->id != NULL;

        if (s->driver.state != DRIVER_STATE_CONNECTING)
                return; /* twice on one stream: nothing new */
        if (!known) {
                (void)pthread_mutex_lock(&s->driver.lock);
                s->framework->id = message_copy(e->framework_id);
                (void)pthread_mutex_unlock(&s->driver.lock);
                s->framework_id = xstrdup(e->framework_id->value);
        }
        detector_found(s->detector);
        driver_subscribed(&s->driver, tolerated_silence_ns(s, e->heartbeat_interval_seconds));
        if (s->driver.state != DRIVER_STATE_SUBSCRIBED)
                return;
        if (known)
                CALLBACK(s, reregistered, e->master_info);
        else
                CALLBACK(s, registered, e->framework_id, e->master_info);
}

static void on_update(struct mete_scheduler *s, const Mete__V1__TaskStatus *status)
{
        CALLBACK(s, update, status);
        /* One that is lost for want of space or of a connection: the update comes again. */
        if (!s->options.explicit_acknowledgements)
                (void)mete_scheduler_acknowledge(s, status);
}

static void on_failure(struct mete_scheduler *s, const Mete__V1__Scheduler__Event__Failure *e)
{
        CALLBACK(s, failure, e->agent_id, e->executor_id, e->status);
}

/* The sub-message that the type promises may be missing: such an event says nothing. */
static void on_event(struct driver *d, const ProtobufCMessage *message)
{
        struct mete_scheduler *s = scheduler_of(d);
        const Mete__V1__Scheduler__Event *e = (const Mete__V1__Scheduler__Event *)message;

        if (e->type == METE__V1__SCHEDULER__EVENT__TYPE__SUBSCRIBED && e->subscribed)
                on_subscribed(s, e->subscribed);
        else if (e->type == METE__V1__SCHEDULER__EVENT__TYPE__ERROR && e->error)
                fail(s, e->error->message);
        else if (d->state != DRIVER_STATE_SUBSCRIBED)
                return;
        else if (e->type == METE__V1__SCHEDULER__EVENT__TYPE__OFFERS && e->offers)
                CALLBACK(s, offers, e->offers->offers, e->offers->n_offers);
        else if (e->type == METE__V1__SCHEDULER__EVENT__TYPE__RESCIND && e->rescind)
                CALLBACK(s, rescinded, e->rescind->offer_id);
        else if (e->type == METE__V1__SCHEDULER__EVENT__TYPE__UPDATE && e->update)
                on_update(s, e->update->status);
        else if (e->type == METE__V1__SCHEDULER__EVENT__TYPE__MESSAGE && e->message)
                CALLBACK(s, message, e->message->agent_id, e->message->executor_id, e->message->data.data,
                        e->message->data.len);
        else if (e->type == METE__V1__SCHEDULER__EVENT__TYPE__FAILURE && e->failure)
                on_failure(s, e->failure);
        else if (e->inverse_offers || e->rescind_inverse_offer || e->update_operation_status)
                CALLBACK(s, other, e);
}

static const struct driver_operations operations = {
        .path = PATH,
        .event = &mete__v1__scheduler__event__descriptor,
        .open = scheduler_open,
        .encode_subscribe = encode_subscribe,
        .on_event = on_event,
        .on_disconnected = on_disconnected,
        .next_delay_ns = next_delay_ns,
        .on_refused_subscription = on_refused_subscription,
        .on_refused_call = on_refused_call,
};

/* ---- options ---- */

static int take_authorization(
        struct mete_scheduler *s, const struct mete_scheduler_options *o, struct error *e)
{
        _cleanup_free_ char *pair = NULL;
        _cleanup_buffer_ struct buffer value = {0};

        if (!o->principal && !o->secret)
                return 0;
        if (!o->principal || !o->secret || strchr(o->principal, ':'))
                return error_set(
                        e, -EINVAL, "principal and secret belong together, and a principal has no ':'");
        pair = xasprintf("%s:%s", o->principal, o->secret);
        buffer_puts(&value, "Basic ");
        base64_append(&value, (const uint8_t *)pair, strlen(pair));
        s->authorization = buffer_take(&value);
        return 0;
}

static int take_framework(struct mete_scheduler *s, const struct mete_scheduler_options *o, struct error *e)
{
        _cleanup_buffer_ struct buffer ignored = {0};

        if (!o->framework)
                return error_set(e, -EINVAL, "framework: expected a FrameworkInfo with user and name");
        if (message_encode(CODEC_PROTOBUF, &o->framework->base, &ignored) < 0)
                return error_set(e, -EINVAL, "framework: expected user, name and what else is required");
        s->framework = message_copy(o->framework);
        if (s->framework->id && str_empty(s->framework->id->value))
                return error_set(e, -EINVAL, "framework.id is empty: leave it out for a new framework");
        if (s->framework->id)
                s->framework_id = xstrdup(s->framework->id->value);
        s->suppressed_roles = xcalloc(o->n_suppressed_roles + 1, sizeof(char *));
        for (; s->n_suppressed_roles < o->n_suppressed_roles; s->n_suppressed_roles++)
                s->suppressed_roles[s->n_suppressed_roles] =
                        xstrdup(o->suppressed_roles[s->n_suppressed_roles]);
        return 0;
}

static int take_master(struct mete_scheduler *s, const char *master, struct error *e)
{
        if (str_empty(master))
                master = getenv("METE_MASTER");
        if (str_empty(master))
                master = DEFAULT_MASTER;
        return detector_new(master, DEFAULT_PORT, &s->detector, e);
}

/* Callers that were compiled against an older header have a shorter struct. */
static int take_options(struct mete_scheduler *s, const struct mete_scheduler_options *o, struct error *e)
{
        if (!o || o->size < offsetof(struct mete_scheduler_options, callbacks) || o->size > sizeof(*o))
                return error_set(e, -EINVAL, "options.size is not that of this library: use the INIT macro");
        memcpy(&s->options, o, o->size);
        if (s->options.callbacks.size != sizeof(s->options.callbacks))
                return error_set(
                        e, -EINVAL, "options.callbacks.size is not that of this library: use the INIT macro");
        return 0;
}

static struct driver_options driver_options_of(const struct mete_scheduler_options *o)
{
        unsigned backoff_min_ms = o->backoff_min_ms ? o->backoff_min_ms : 500;

        return (struct driver_options){
                .codec = o->json ? CODEC_JSON : CODEC_PROTOBUF,
                .max_queued_calls = o->max_queued_calls ? o->max_queued_calls : 10000,
                .connect_timeout_ms = o->connect_timeout_ms ? o->connect_timeout_ms : 15000,
                .backoff_min_ms = backoff_min_ms,
                .backoff_max_ms = o->backoff_max_ms ? o->backoff_max_ms : MAX(backoff_min_ms, 15000u),
                .stop_timeout_ms = o->stop_timeout_ms ? o->stop_timeout_ms : 5000,
        };
}

/* ---- life ---- */

int mete_scheduler_new(
        const struct mete_scheduler_options *options, struct mete_scheduler **ret, struct mete_error *error)
{
        _cleanup_error_ struct error e = {0};
        struct mete_scheduler *s = NEW0(struct mete_scheduler);
        struct driver_options driver;
        int r;

        r = take_options(s, options, &e);
        if (r == 0)
                r = take_framework(s, &s->options, &e);
        if (r == 0)
                r = take_authorization(s, &s->options, &e);
        if (r == 0)
                r = take_master(s, s->options.master, &e);
        driver = driver_options_of(&s->options);
        if (r == 0)
                r = driver_init(&s->driver, &operations, &driver, &e);
        if (r < 0) {
                (void)mete_scheduler_free(s);
                return driver_error_fill(error, &e);
        }
        *ret = s;
        return 0;
}

struct mete_scheduler *mete_scheduler_free(struct mete_scheduler *s)
{
        if (s) {
                driver_done(&s->driver);
                (void)detector_free(s->detector);
                message_free(s->framework);
                for (size_t i = 0; i < s->n_suppressed_roles; i++)
                        free(s->suppressed_roles[i]);
                free(s->suppressed_roles);
                free(s->authorization);
                free(s->framework_id);
                free(s);
        }
        return NULL;
}

int mete_scheduler_run(struct mete_scheduler *s, struct mete_error *error)
{
        return driver_run(&s->driver, error);
}

int mete_scheduler_start(struct mete_scheduler *s)
{
        return driver_start(&s->driver);
}

int mete_scheduler_join(struct mete_scheduler *s, struct mete_error *error)
{
        return driver_join(&s->driver, error);
}

void mete_scheduler_stop(struct mete_scheduler *s)
{
        driver_stop(&s->driver);
}

const char *mete_scheduler_framework_id(struct mete_scheduler *s)
{
        return s->framework_id;
}
