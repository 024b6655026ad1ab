/*
 * The stream to a scheduler: events are encoded in its encoding as they happen, in one buffer that is used again. Whatever ends a
 * stream from this side waits for the end of the current callback: who sends an event may hold a task or an offer that goes with it.
 */

#include "master/frameworks/http_framework.h"

#include <stdlib.h>
#include <string.h>

#define SCRATCH_KEEP_BYTES (1u << 20)
#define NETWORK_LABEL "mete.network"

/* ---- sending ---- */

static int stream_send(struct http_framework *h, const Mete__V1__Scheduler__Event *event)
{
        int r;

        h->scratch.len = 0;
        r = message_encode(h->codec, &event->base, &h->scratch);
        if (r < 0) {
                log_error("framework %s: an event could not be encoded", h->framework->id);
                return r;
        }
        r = http_stream_record(h->stream, h->scratch.data, h->scratch.len);
        if (h->scratch.allocated > SCRATCH_KEEP_BYTES)
                buffer_done(&h->scratch);
        return r;
}

bool http_framework_send(struct framework *f, const Mete__V1__Scheduler__Event *event)
{
        struct http_framework *h = f->http;
        int r;

        if (!h || !h->stream || h->stalled)
                return false;
        r = stream_send(h, event);
        if (r == -ENOBUFS) {
                h->stalled = true;
                loop_timer_arm(h->later, /* delay_ns= */ 0, /* period_ns= */ 0);
        }
        if (r < 0)
                return false; /* closed: that is told by itself */
        count_event(f, event->type);
        return true;
}

static void send_heartbeat(struct http_framework *h)
{
        Mete__V1__Scheduler__Event event = METE__V1__SCHEDULER__EVENT__INIT;

        event.has_type = true;
        event.type = METE__V1__SCHEDULER__EVENT__TYPE__HEARTBEAT;
        (void)http_framework_send(h->framework, &event);
}

void http_framework_greet(struct http_framework *h, const Mete__V1__MasterInfo *master)
{
        Mete__V1__Scheduler__Event event = METE__V1__SCHEDULER__EVENT__INIT;
        Mete__V1__Scheduler__Event__Subscribed s = METE__V1__SCHEDULER__EVENT__SUBSCRIBED__INIT;
        uint64_t interval_ns = h->framework->master->options->heartbeat_interval_ns;

        s.framework_id = h->framework->info->id;
        s.has_heartbeat_interval_seconds = true;
        s.heartbeat_interval_seconds = (double)interval_ns / (double)NSEC_PER_SEC;
        s.master_info = (Mete__V1__MasterInfo *)master;
        event.has_type = true;
        event.type = METE__V1__SCHEDULER__EVENT__TYPE__SUBSCRIBED;
        event.subscribed = &s;
        (void)http_framework_send(h->framework, &event);
        /* At once: some clients only look at an event when the length of the next one has come. */
        send_heartbeat(h);
        loop_timer_arm(h->heartbeat, interval_ns, interval_ns);
}

static void send_offers(struct http_framework *h, const struct string_list *ids, size_t first, size_t count)
{
        Mete__V1__Scheduler__Event event = METE__V1__SCHEDULER__EVENT__INIT;
        Mete__V1__Scheduler__Event__Offers offers = METE__V1__SCHEDULER__EVENT__OFFERS__INIT;
        Mete__V1__Offer *list[OFFERS_PER_EVENT];

        offers.offers = list;
        for (size_t i = first; i < first + count; i++) {
                const struct offer *o = offer_find(h->framework->master, ids->items[i]);

                if (o && o->framework == h->framework)
                        list[offers.n_offers++] = offer_to_proto(o);
        }
        event.has_type = true;
        event.type = METE__V1__SCHEDULER__EVENT__TYPE__OFFERS;
        event.offers = &offers;
        if (offers.n_offers > 0 && http_framework_send(h->framework, &event))
                count_offers_sent(h->framework, offers.n_offers);
        for (size_t i = 0; i < offers.n_offers; i++)
                message_free(list[i]);
}

static void on_later(struct loop_timer *t, void *userdata)
{
        struct http_framework *h = userdata;
        struct string_list ids = h->offers;

        h->offers = (struct string_list){};
        for (size_t i = 0; i < ids.count && !h->stalled; i += OFFERS_PER_EVENT)
                send_offers(h, &ids, i, MIN(ids.count - i, (size_t)OFFERS_PER_EVENT));
        string_list_done(&ids);
        if (h->stalled) {
                _cleanup_free_ char *why = xasprintf("it does not read its events, of which %zu bytes wait",
                        h->stream ? http_stream_pending(h->stream) : 0);

                http_framework_close(h, NULL);
                framework_disconnected(h->framework, why);
        }
}

static void on_heartbeat(struct loop_timer *t, void *userdata)
{
        send_heartbeat(userdata);
}

static void on_failover(struct loop_timer *t, void *userdata)
{
        framework_failover(((struct http_framework *)userdata)->framework);
}

/* ---- the stream ---- */

struct framework *http_framework_find(const struct master *m, const char *stream_id)
{
        struct http_framework *h;

        HASH_FIND_STR(m->streams, stream_id, h);
        return h ? h->framework : NULL;
}

/* The stream itself is gone or is the caller's. */
static void forget_stream(struct http_framework *h)
{
        h->stream = NULL;
        h->stalled = false;
        loop_timer_disarm(h->heartbeat);
        loop_timer_disarm(h->later);
        string_list_done(&h->offers);
        buffer_done(&h->scratch);
        HASH_DEL(h->framework->master->streams, h);
        h->stream_id[0] = '\0';
}

static void on_stream_closed(struct http_stream *s, void *userdata)
{
        struct http_framework *h = userdata;

        if (h->stream != s)
                return; /* an older one */
        forget_stream(h);
        if (!h->framework->master->stopping)
                framework_disconnected(h->framework, "its stream was closed");
}

void http_framework_open(struct http_framework *h, struct http_request *req, enum codec codec)
{
        uint8_t uuid[UUID_BYTES];

        assert(!h->stream);
        uuid_generate_bytes(uuid);
        uuid_format(uuid, h->stream_id);
        h->codec = codec;
        http_request_add_header(req, "Mesos-Stream-Id", h->stream_id);
        http_request_add_header(req, "Connection", "close"); /* the end of the stream ends it */
        h->stream = http_stream_open(req, codec_content_type(codec), on_stream_closed, h);
        HASH_ADD_KEYPTR(hh, h->framework->master->streams, h->stream_id, strlen(h->stream_id), h);
}

void http_framework_close(struct http_framework *h, const char *error)
{
        struct http_stream *stream = h->stream;

        if (!stream)
                return;
        if (error && !h->stalled) {
                Mete__V1__Scheduler__Event event = METE__V1__SCHEDULER__EVENT__INIT;
                Mete__V1__Scheduler__Event__Error what = METE__V1__SCHEDULER__EVENT__ERROR__INIT;

                what.message = (char *)error;
                event.has_type = true;
                event.type = METE__V1__SCHEDULER__EVENT__TYPE__ERROR;
                event.error = &what;
                (void)stream_send(h, &event);
        }
        forget_stream(h);
        http_stream_close(stream);
}

/* ---- life ---- */

struct http_framework *http_framework_new(struct framework *f)
{
        struct http_framework *h = NEW0(struct http_framework);
        struct loop *l = f->master->loop;

        h->framework = f;
        h->heartbeat = loop_timer_new(l, on_heartbeat, h);
        h->later = loop_timer_new(l, on_later, h);
        h->failover = loop_timer_new(l, on_failover, h);
        mete__api__isolation__init(&h->host);
        h->host.has_network = true;
        h->host.network = METE__API__ISOLATION__NETWORK__HOST;
        h->none = h->host;
        h->none.network = METE__API__ISOLATION__NETWORK__NONE;
        return h;
}

struct http_framework *http_framework_free(struct http_framework *h)
{
        if (!h)
                return NULL;
        http_framework_close(h, NULL);
        loop_timer_free(h->heartbeat);
        loop_timer_free(h->later);
        loop_timer_free(h->failover);
        free(h->user);
        free(h);
        return NULL;
}

static void set_isolation_owner(Mete__Api__Isolation *i, char *user, uid_t uid, gid_t gid)
{
        i->user = user;
        i->has_path_uid = i->has_path_gid = user != NULL;
        i->path_uid = uid;
        i->path_gid = gid;
}

void http_framework_set_owner(struct http_framework *h, uid_t uid, gid_t gid)
{
        free(h->user);
        h->user = xasprintf("%u:%u", (unsigned)uid, (unsigned)gid);
        set_isolation_owner(&h->host, h->user, uid, gid);
        set_isolation_owner(&h->none, h->user, uid, gid);
}

void http_framework_set_privileged(struct http_framework *h)
{
        cleanup_free(&h->user);
        h->user = NULL;
        set_isolation_owner(&h->host, NULL, 0, 0);
        set_isolation_owner(&h->none, NULL, 0, 0);
}

/* ---- what happens to tasks and offers ---- */

static void http_offer(struct framework *f, struct offer *o)
{
        struct http_framework *h = f->http;

        if (!h->stream)
                return; /* withdrawn with the disconnection */
        if (h->offers.count == 0)
                loop_timer_arm(h->later, /* delay_ns= */ 0, /* period_ns= */ 0);
        string_list_add(&h->offers, o->id);
}

/* Not sent yet: then nothing is to be said. */
static bool forget_offer(struct string_list *offers, const char *id)
{
        for (size_t i = 0; i < offers->count; i++) {
                if (!str_equal(offers->items[i], id))
                        continue;
                free(offers->items[i]);
                offers->items[i] = offers->items[--offers->count];
                offers->items[offers->count] = NULL;
                return true;
        }
        return false;
}

static void http_rescind(struct framework *f, struct offer *o)
{
        Mete__V1__Scheduler__Event event = METE__V1__SCHEDULER__EVENT__INIT;
        Mete__V1__Scheduler__Event__Rescind rescind = METE__V1__SCHEDULER__EVENT__RESCIND__INIT;
        Mete__V1__OfferID id = METE__V1__OFFER_ID__INIT;

        if (forget_offer(&f->http->offers, o->id))
                return;
        id.value = o->id;
        rescind.offer_id = &id;
        event.has_type = true;
        event.type = METE__V1__SCHEDULER__EVENT__TYPE__RESCIND;
        event.rescind = &rescind;
        (void)http_framework_send(f, &event);
}

Mete__V1__TaskState framework_state_of_task(const struct framework *f, Mete__V1__TaskState state)
{
        bool partitions = framework_has(f, METE__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__PARTITION_AWARE);
        bool killing = framework_has(f, METE__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__TASK_KILLING_STATE);

        switch (state) {
        case METE__V1__TASK_STATE__TASK_DROPPED:
        case METE__V1__TASK_STATE__TASK_UNREACHABLE:
        case METE__V1__TASK_STATE__TASK_GONE:
        case METE__V1__TASK_STATE__TASK_GONE_BY_OPERATOR:
        case METE__V1__TASK_STATE__TASK_UNKNOWN:
                return partitions ? state : METE__V1__TASK_STATE__TASK_LOST;
        case METE__V1__TASK_STATE__TASK_KILLING:
                return killing ? state : METE__V1__TASK_STATE__TASK_RUNNING;
        default:
                return state;
        }
}

static void http_update(
        struct framework *f, struct agent *a, struct task *t, const Mete__Agent__StatusUpdate *u)
{
        Mete__V1__Scheduler__Event event = METE__V1__SCHEDULER__EVENT__INIT;
        Mete__V1__Scheduler__Event__Update update = METE__V1__SCHEDULER__EVENT__UPDATE__INIT;
        Mete__V1__TaskStatus status = *u->status; /* borrows all but the state and the agent */
        Mete__V1__AgentID agent = METE__V1__AGENT_ID__INIT;

        status.state = framework_state_of_task(f, status.state);
        if (!status.agent_id && a) {
                agent.value = a->id;
                status.agent_id = &agent;
        }
        update.status = &status;
        event.has_type = true;
        event.type = METE__V1__SCHEDULER__EVENT__TYPE__UPDATE;
        event.update = &update;
        (void)http_framework_send(f, &event);
}

/* It knows its tasks better than this master does, which may have just started. */
static bool http_adopt(
        struct framework *f, struct agent *a, const Mete__Agent__TaskReport *report, struct resources *held)
{
        return true;
}

static void http_reported(
        struct framework *f, struct agent *a, struct task *t, const Mete__Agent__TaskReport *report)
{
}

static size_t http_pending(const struct framework *f)
{
        return f->http->stream ? http_stream_pending(f->http->stream) : 0;
}

static void http_message(
        struct framework *f, struct agent *a, const char *executor_id, const void *data, size_t len)
{
        Mete__V1__Scheduler__Event event = METE__V1__SCHEDULER__EVENT__INIT;
        Mete__V1__Scheduler__Event__Message message = METE__V1__SCHEDULER__EVENT__MESSAGE__INIT;
        Mete__V1__AgentID agent = METE__V1__AGENT_ID__INIT;
        Mete__V1__ExecutorID executor = METE__V1__EXECUTOR_ID__INIT;

        agent.value = a->id;
        executor.value = (char *)executor_id;
        message.agent_id = &agent;
        message.executor_id = &executor;
        message.data = (ProtobufCBinaryData){len, (uint8_t *)data};
        event.has_type = true;
        event.type = METE__V1__SCHEDULER__EVENT__TYPE__MESSAGE;
        event.message = &message;
        if (!http_framework_send(f, &event))
                f->master->counters.dropped_messages++;
}

static void http_failure(struct framework *f, struct agent *a, const char *executor_id, int status)
{
        Mete__V1__Scheduler__Event event = METE__V1__SCHEDULER__EVENT__INIT;
        Mete__V1__Scheduler__Event__Failure failure = METE__V1__SCHEDULER__EVENT__FAILURE__INIT;
        Mete__V1__AgentID agent = METE__V1__AGENT_ID__INIT;
        Mete__V1__ExecutorID executor = METE__V1__EXECUTOR_ID__INIT;

        agent.value = a->id;
        failure.agent_id = &agent;
        if (executor_id) {
                executor.value = (char *)executor_id;
                failure.executor_id = &executor;
                failure.has_status = status >= 0;
                failure.status = status;
        }
        event.has_type = true;
        event.type = METE__V1__SCHEDULER__EVENT__TYPE__FAILURE;
        event.failure = &failure;
        (void)http_framework_send(f, &event);
}

static void http_operation(struct framework *f, const Mete__V1__OperationStatus *status)
{
        Mete__V1__Scheduler__Event event = METE__V1__SCHEDULER__EVENT__INIT;
        Mete__V1__Scheduler__Event__UpdateOperationStatus update =
                METE__V1__SCHEDULER__EVENT__UPDATE_OPERATION_STATUS__INIT;

        update.status = (Mete__V1__OperationStatus *)status;
        event.has_type = true;
        event.type = METE__V1__SCHEDULER__EVENT__TYPE__UPDATE_OPERATION_STATUS;
        event.update_operation_status = &update;
        (void)http_framework_send(f, &event);
}

static bool wants_own_network(const Mete__V1__Labels *labels)
{
        for (size_t i = 0; labels && i < labels->n_labels; i++)
                if (str_equal(labels->labels[i]->key, NETWORK_LABEL))
                        return str_equal(labels->labels[i]->value, "none");
        return false;
}

static const Mete__Api__Isolation *http_isolation(
        struct framework *f, const Mete__V1__TaskInfo *task, const Mete__V1__ExecutorInfo *executor)
{
        bool none = (task && wants_own_network(task->labels)) ||
                    (executor && wants_own_network(executor->labels));

        return none ? &f->http->none : &f->http->host;
}

const struct framework_ops http_framework_ops = {
        .offer = http_offer,
        .rescind = http_rescind,
        .update = http_update,
        .adopt = http_adopt,
        .reported = http_reported,
        .pending = http_pending,
        .message = http_message,
        .failure = http_failure,
        .operation = http_operation,
        .isolation = http_isolation,
};
