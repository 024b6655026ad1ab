/*
 * A scheduler of the v1 API that launches a given number of command tasks as fast as offers come, or declines offers, and measures the
 * calls. It comes back after a master that died, with its framework id, and asks for what it may have missed (RECONCILE): so a run
 * ends only when the final state of every task has arrived.
 */
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "lib/base/id.h"
#include "lib/base/log.h"
#include "lib/base/resources.h"
#include "lib/net/codec.h"
#include "proto/scheduler.pb-c.h"
#include "proto/validate.h"
#include "tools/sim/histogram.h"
#include "tools/sim/sim.h"

#define PATH "/api/v1/scheduler"
#define RECONNECT_NS (100 * NSEC_PER_MSEC)
#define RECONCILE_NS (5 * NSEC_PER_SEC) /* without news for this long */
#define PACE_NS (2 * NSEC_PER_MSEC)
#define REFUSE_FOR_EVER 31536000.0

typedef Mete__V1__Scheduler__Call call_t;
typedef Mete__V1__Scheduler__Event event_t;

enum task_phase { TASK_WAITING, TASK_LAUNCHED, TASK_RUNS, TASK_OVER };

/* An offer that is kept until there is something to launch on it. */
struct held_offer {
        Mete__V1__Offer *offer; /* owned */
        struct held_offer *prev, *next;
};

struct one_task {
        enum task_phase phase;
        struct mono_time offered;  /* when the offer came that it was launched on */
        uint32_t terminal_updates; /* with different uuids */
        uint8_t last_uuid[UUID_BYTES];
};

static struct {
        struct sim *sim;
        const struct sim_scheduler_options *options;
        enum codec codec;
        char *framework_id;
        char *headers; /* of calls: the stream's id */
        struct wire *stream, *calls;
        struct loop_timer *reconnect, *quiet;
        struct one_task *tasks;
        struct held_offer *offers; /* DL, owned */
        struct loop_timer *pace;   /* launches on what is held: batches, and not one task whenever one ends */
        uint64_t allowed;          /* tasks that may have been launched by now */
        struct mono_time paced;    /* when it last did */
        uint64_t connected_ns;
        bool suppressed; /* on this subscription */
        bool draining;   /* all is over but the answers to calls */
        uint64_t next, over, in_flight, finished, subscriptions, refused, repeated, updates, unknown;
        uint64_t declined;
        struct mono_time begin, end;
        struct histogram accept, acknowledge, decline, running;
} x;

static void lost(struct wire *w, const char *why, void *userdata);

static void stop_when_drained(void)
{
        if (!x.draining || (x.calls && wire_waiting(x.calls) > 0))
                return;
        x.end = mono_now();
        loop_stop(x.sim->loop);
}

/* ---- calls ---- */

static void on_done(struct wire *w, int status, uint64_t latency_ns, void *userdata)
{
        struct histogram *h = userdata;

        if (h)
                histogram_add(h, latency_ns);
        if (status != 202)
                x.refused++;
        stop_when_drained();
}

static void send_call(call_t *call, struct histogram *h)
{
        static struct buffer out; /* one thread, used up before the next */
        Mete__V1__FrameworkID id = METE__V1__FRAMEWORK_ID__INIT;

        if (!x.calls)
                return;
        id.value = x.framework_id;
        call->framework_id = &id;
        call->has_type = true;
        out.len = 0;
        if (message_encode(x.codec, &call->base, &out) < 0)
                abort(); /* what we build ourselves is valid */
        wire_post(x.calls, PATH, x.headers, out.data, out.len, on_done, h);
}

static void acknowledge(const Mete__V1__TaskStatus *s)
{
        call_t call = METE__V1__SCHEDULER__CALL__INIT;
        Mete__V1__Scheduler__Call__Acknowledge a = METE__V1__SCHEDULER__CALL__ACKNOWLEDGE__INIT;

        a.agent_id = s->agent_id;
        a.task_id = s->task_id;
        a.uuid = s->uuid;
        call.type = METE__V1__SCHEDULER__CALL__TYPE__ACKNOWLEDGE;
        call.acknowledge = &a;
        send_call(&call, &x.acknowledge);
}

static void decline(Mete__V1__OfferID *offer, double refuse_seconds)
{
        call_t call = METE__V1__SCHEDULER__CALL__INIT;
        Mete__V1__Scheduler__Call__Decline d = METE__V1__SCHEDULER__CALL__DECLINE__INIT;
        Mete__V1__Filters filters = METE__V1__FILTERS__INIT;

        filters.has_refuse_seconds = true;
        filters.refuse_seconds = refuse_seconds;
        d.offer_ids = &offer;
        d.n_offer_ids = 1;
        d.filters = &filters;
        call.type = METE__V1__SCHEDULER__CALL__TYPE__DECLINE;
        call.decline = &d;
        send_call(&call, &x.decline);
}

static void reconcile(void)
{
        call_t call = METE__V1__SCHEDULER__CALL__INIT;
        Mete__V1__Scheduler__Call__Reconcile r = METE__V1__SCHEDULER__CALL__RECONCILE__INIT;
        Mete__V1__Scheduler__Call__Reconcile__Task *list, **pointers;
        Mete__V1__TaskID *ids;
        char(*names)[24];
        size_t n = 0;

        list = xcalloc(x.next + 1, sizeof(*list));
        pointers = xcalloc(x.next + 1, sizeof(*pointers));
        ids = xcalloc(x.next + 1, sizeof(*ids));
        names = xcalloc(x.next + 1, sizeof(*names));
        for (uint64_t i = 0; i < x.next; i++) {
                if (x.tasks[i].phase == TASK_OVER)
                        continue;
                mete__v1__scheduler__call__reconcile__task__init(&list[n]);
                mete__v1__task_id__init(&ids[n]);
                (void)snprintf(names[n], sizeof(names[n]), "t%ju", (uintmax_t)i);
                ids[n].value = names[n];
                list[n].task_id = &ids[n];
                pointers[n] = &list[n];
                n++;
        }
        r.tasks = pointers;
        r.n_tasks = n;
        call.type = METE__V1__SCHEDULER__CALL__TYPE__RECONCILE;
        call.reconcile = &r;
        if (n > 0)
                send_call(&call, NULL);
        free(list);
        free(pointers);
        free(ids);
        free(names);
}

/* ---- launching ---- */

/* A task of the batch, with all that it points to. */
struct launch_slot {
        Mete__V1__TaskInfo info, *pointer;
        Mete__V1__TaskID id;
        char name[24];
};

struct launch_batch {
        struct launch_slot *slots; /* options->batch of them */
        Mete__V1__TaskInfo **pointers;
        Mete__V1__Resource **resources;
        size_t resource_count;
        Mete__V1__CommandInfo command;
};

static struct launch_batch *batch_get(void)
{
        static struct launch_batch b;
        _cleanup_resources_ struct resources r = {0};

        if (b.slots)
                return &b;
        resources_set_scalar(&r, "cpus", x.options->milli_cpus);
        resources_set_scalar(&r, "mem", (x.options->memory_bytes >> 20) * 1000);
        resources_to_proto(&r, NULL, /* with_role= */ true, &b.resources, &b.resource_count);
        mete__v1__command_info__init(&b.command);
        b.command.value = (char *)"true";
        b.slots = xcalloc(x.options->batch, sizeof(*b.slots));
        b.pointers = xcalloc(x.options->batch, sizeof(*b.pointers));
        return &b;
}

static void slot_fill(struct launch_batch *b, size_t i, uint64_t task, Mete__V1__AgentID *agent_id)
{
        struct launch_slot *s = &b->slots[i];

        mete__v1__task_info__init(&s->info);
        mete__v1__task_id__init(&s->id);
        (void)snprintf(s->name, sizeof(s->name), "t%ju", (uintmax_t)task);
        s->id.value = s->name;
        s->info.name = s->name;
        s->info.task_id = &s->id;
        s->info.agent_id = agent_id;
        s->info.resources = b->resources;
        s->info.n_resources = b->resource_count;
        s->info.command = &b->command;
        b->pointers[i] = &s->info;
}

static void launch(Mete__V1__Offer *offer, size_t count)
{
        call_t call = METE__V1__SCHEDULER__CALL__INIT;
        Mete__V1__Scheduler__Call__Accept accept = METE__V1__SCHEDULER__CALL__ACCEPT__INIT;
        Mete__V1__Offer__Operation operation = METE__V1__OFFER__OPERATION__INIT, *operations = &operation;
        Mete__V1__Offer__Operation__Launch l = METE__V1__OFFER__OPERATION__LAUNCH__INIT;
        Mete__V1__Filters filters = METE__V1__FILTERS__INIT;
        struct launch_batch *b = batch_get();
        struct mono_time now = mono_now();

        for (size_t i = 0; i < count; i++) {
                x.tasks[x.next] = (struct one_task){.phase = TASK_LAUNCHED, .offered = now};
                slot_fill(b, i, x.next++, offer->agent_id);
        }
        x.in_flight += count;
        l.task_infos = b->pointers;
        l.n_task_infos = count;
        operation.has_type = true;
        operation.type = METE__V1__OFFER__OPERATION__TYPE__LAUNCH;
        operation.launch = &l;
        filters.has_refuse_seconds = true;
        filters.refuse_seconds = 0;
        accept.offer_ids = &offer->id;
        accept.n_offer_ids = 1;
        accept.operations = &operations;
        accept.n_operations = 1;
        accept.filters = &filters;
        call.type = METE__V1__SCHEDULER__CALL__TYPE__ACCEPT;
        call.accept = &accept;
        send_call(&call, &x.accept);
}

static size_t how_many(const Mete__V1__Offer *offer)
{
        _cleanup_resources_ struct resources r = {0};
        uint64_t room = x.in_flight < x.options->in_flight ? x.options->in_flight - x.in_flight : 0;
        uint64_t n = MIN(x.allowed - x.next, room);

        if (resources_from_proto(offer->resources, offer->n_resources, "resources", &r, NULL) < 0)
                return 0;
        n = MIN(n, x.options->batch);
        n = MIN(n, resources_scalar(&r, "cpus") / x.options->milli_cpus);
        return MIN(n, resources_scalar(&r, "mem") * 1048576 / 1000 / x.options->memory_bytes);
}

/* ---- events ---- */

static void finish(void)
{
        x.draining = true;
        stop_when_drained();
}

static void on_subscribed(const event_t *e)
{
        free(x.framework_id);
        x.framework_id = xstrdup(e->subscribed->framework_id->value);
        x.subscriptions++;
        if (x.next > x.over)
                reconcile();
}

static void offer_drop(struct held_offer *h)
{
        DL_DELETE(x.offers, h);
        message_free(h->offer);
        free(h);
}

/* As a scheduler does that has nothing left to launch: what becomes free is not offered to it again and again. */
static void suppress(void)
{
        call_t call = METE__V1__SCHEDULER__CALL__INIT;
        Mete__V1__Scheduler__Call__Suppress s = METE__V1__SCHEDULER__CALL__SUPPRESS__INIT;

        call.type = METE__V1__SCHEDULER__CALL__TYPE__SUPPRESS;
        call.suppress = &s;
        send_call(&call, NULL);
        x.suppressed = true;
}

static void launch_on_held(void)
{
        struct held_offer *h, *next;

        if (x.next == x.options->tasks && !x.suppressed && x.calls)
                suppress();

        DL_FOREACH_SAFE (x.offers, h, next) {
                size_t n = how_many(h->offer);

                if (n > 0)
                        launch(h->offer, n);
                else if (x.next == x.options->tasks)
                        decline(h->offer->id, REFUSE_FOR_EVER);
                else
                        continue; /* later */
                offer_drop(h);
        }
}

/* What could not be launched without a master is not made up for: it would come as a burst. */
static void on_pace(struct loop_timer *t, void *userdata)
{
        struct mono_time now = mono_now();

        if (x.calls)
                x.connected_ns += mono_elapsed_ns(x.paced, now);
        x.paced = now;
        if (x.options->rate)
                x.allowed = MIN(x.options->tasks,
                        (uint64_t)((unsigned __int128)x.connected_ns * x.options->rate / NSEC_PER_SEC));
        launch_on_held();
}

static void on_offers(const event_t *e)
{
        for (size_t i = 0; i < e->offers->n_offers; i++) {
                struct held_offer *h;

                if (x.options->declines) {
                        if (x.declined < x.options->declines)
                                decline(e->offers->offers[i]->id, 0);
                        if (++x.declined == x.options->declines)
                                finish();
                        continue;
                }
                h = NEW0(struct held_offer);
                h->offer = message_copy(e->offers->offers[i]);
                DL_APPEND(x.offers, h);
        }
        launch_on_held();
}

static void on_rescind(const event_t *e)
{
        struct held_offer *h, *next;

        DL_FOREACH_SAFE (x.offers, h, next) {
                if (str_equal(h->offer->id->value, e->rescind->offer_id->value))
                        offer_drop(h);
        }
}

static void task_over(struct one_task *t, const Mete__V1__TaskStatus *s)
{
        t->phase = TASK_OVER;
        x.over++;
        x.in_flight--;
        x.finished += s->state == METE__V1__TASK_STATE__TASK_FINISHED;
        if (x.over == x.options->tasks)
                finish();
}

static void on_update(const event_t *e)
{
        const Mete__V1__TaskStatus *s = e->update->status;
        const char *name = s->task_id->value;
        uint64_t number;
        struct one_task *t;

        x.updates++;
        loop_timer_arm(x.quiet, RECONCILE_NS, RECONCILE_NS);
        if (s->has_uuid)
                acknowledge(s);
        if (name[0] != 't' || parse_u64(name + 1, UINT64_MAX, &number) < 0 || number >= x.next) {
                x.unknown++;
                return;
        }
        t = &x.tasks[number];
        if (s->has_uuid && memcmp(s->uuid.data, t->last_uuid, UUID_BYTES) == 0)
                x.repeated++;
        if (s->has_uuid)
                memcpy(t->last_uuid, s->uuid.data, UUID_BYTES);
        if (t->phase == TASK_OVER)
                return;
        if (t->phase == TASK_LAUNCHED && s->state == METE__V1__TASK_STATE__TASK_RUNNING) {
                t->phase = TASK_RUNS;
                histogram_add(&x.running, mono_elapsed_ns(t->offered, mono_now()));
        }
        if (task_state_is_terminal(s->state))
                task_over(t, s);
}

static void on_error(const event_t *e)
{
        log_error("the master refuses the framework: %s", e->error->message);
        x.sim->result = EXIT_FAILURE;
        finish();
}

static const struct {
        Mete__V1__Scheduler__Event__Type type;
        size_t offset; /* of its sub-message */
        void (*handle)(const event_t *e);
} events[] = {
        {METE__V1__SCHEDULER__EVENT__TYPE__SUBSCRIBED, offsetof(event_t, subscribed), on_subscribed},
        {METE__V1__SCHEDULER__EVENT__TYPE__OFFERS, offsetof(event_t, offers), on_offers},
        {METE__V1__SCHEDULER__EVENT__TYPE__RESCIND, offsetof(event_t, rescind), on_rescind},
        {METE__V1__SCHEDULER__EVENT__TYPE__UPDATE, offsetof(event_t, update), on_update},
        {METE__V1__SCHEDULER__EVENT__TYPE__ERROR, offsetof(event_t, error), on_error},
};

static void on_record(struct wire *w, const void *data, size_t len, void *userdata)
{
        _cleanup_error_ struct error error = {0};
        ProtobufCMessage *message = NULL;
        const event_t *e;

        if (message_decode(x.codec, &mete__v1__scheduler__event__descriptor, data, len, &message, &error) <
                0) {
                log_error("an event cannot be read: %s", error_message(&error));
                return;
        }
        e = (const event_t *)message;
        for (size_t i = 0; i < ELEMENTSOF(events); i++)
                if (e->has_type && events[i].type == e->type &&
                        *(void *const *)((const char *)e + events[i].offset))
                        events[i].handle(e);
        message_free(message);
}

static void on_opened(struct wire *w, const char *stream_id, void *userdata)
{
        _cleanup_error_ struct error e = {0};

        free(x.headers);
        x.headers = xasprintf(
                "Content-Type: %s\r\nMesos-Stream-Id: %s\r\n", codec_content_type(x.codec), stream_id);
        if (wire_new(x.sim->loop, &x.sim->master, lost, NULL, &x.calls, &e) < 0) {
                log_error("%s", error_message(&e));
                lost(NULL, "no connection for calls", NULL);
        }
}

static const struct wire_stream_ops stream_ops = {on_opened, on_record};

/* ---- connection ---- */

static void encode_subscribe(struct buffer *out)
{
        static const Mete__V1__FrameworkInfo__Capability__Type wanted =
                METE__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__PARTITION_AWARE;
        call_t call = METE__V1__SCHEDULER__CALL__INIT;
        Mete__V1__Scheduler__Call__Subscribe s = METE__V1__SCHEDULER__CALL__SUBSCRIBE__INIT;
        Mete__V1__FrameworkInfo info = METE__V1__FRAMEWORK_INFO__INIT;
        Mete__V1__FrameworkInfo__Capability capability = METE__V1__FRAMEWORK_INFO__CAPABILITY__INIT,
                                            *list = &capability;
        Mete__V1__FrameworkID id = METE__V1__FRAMEWORK_ID__INIT;

        info.name = (char *)"mete-sim";
        info.user = (char *)"nobody";
        info.has_checkpoint = info.checkpoint = true;
        info.has_failover_timeout = true;
        info.failover_timeout = (double)x.options->failover_ns / (double)NSEC_PER_SEC;
        capability.has_type = true;
        capability.type = wanted;
        if (x.options->partition_aware) {
                info.capabilities = &list;
                info.n_capabilities = 1;
        }
        if (x.framework_id) {
                id.value = x.framework_id;
                call.framework_id = info.id = &id;
        }
        s.framework_info = &info;
        call.has_type = true;
        call.type = METE__V1__SCHEDULER__CALL__TYPE__SUBSCRIBE;
        call.subscribe = &s;
        if (message_encode(x.codec, &call.base, out) < 0)
                abort();
}

static void connect_master(void)
{
        _cleanup_buffer_ struct buffer out = {0};
        _cleanup_free_ char *headers = xasprintf("Content-Type: %s\r\nAccept: %s\r\n",
                codec_content_type(x.codec), codec_content_type(x.codec));

        if (wire_new(x.sim->loop, &x.sim->master, lost, NULL, &x.stream, NULL) < 0) {
                loop_timer_arm(x.reconnect, RECONNECT_NS, 0);
                return;
        }
        encode_subscribe(&out);
        wire_stream(x.stream, PATH, headers, out.data, out.len, &stream_ops, NULL);
}

static void on_reconnect(struct loop_timer *t, void *userdata)
{
        connect_master();
}

static void on_quiet(struct loop_timer *t, void *userdata)
{
        if (x.next > x.over)
                reconcile();
}

static void lost(struct wire *w, const char *why, void *userdata)
{
        log_info("the connection to the master broke: %s", why);
        x.stream = wire_free(x.stream);
        x.calls = wire_free(x.calls);
        while (x.offers)
                offer_drop(x.offers);
        x.suppressed = false;
        stop_when_drained();
        loop_timer_arm(x.reconnect, RECONNECT_NS, 0);
}

int sim_scheduler_start(struct sim *s, const struct sim_scheduler_options *o, struct error *e)
{
        if (o->batch < 1 || o->milli_cpus < 1 || o->memory_bytes < 1 << 20 || o->in_flight < 1)
                return error_set(e, -EINVAL,
                        "--batch and --in-flight must be at least 1, --cpus at least 0.001, --mem at least "
                        "1M");
        x.sim = s;
        x.options = o;
        x.codec = o->encode_json ? CODEC_JSON : CODEC_PROTOBUF;
        x.tasks = xcalloc(o->tasks + 1, sizeof(*x.tasks));
        x.reconnect = loop_timer_new(s->loop, on_reconnect, NULL);
        x.quiet = loop_timer_new(s->loop, on_quiet, NULL);
        loop_timer_arm(x.quiet, RECONCILE_NS, RECONCILE_NS);
        x.begin = x.paced = mono_now();
        x.allowed = o->rate ? 0 : o->tasks;
        x.pace = loop_timer_new(s->loop, on_pace, NULL);
        loop_timer_arm(x.pace, PACE_NS, PACE_NS);
        connect_master();
        return 0;
}

/* ---- the report ---- */

void sim_scheduler_report(struct sim *s)
{
        double seconds =
                (double)mono_elapsed_ns(x.begin, x.end.ns ? x.end : mono_now()) / (double)NSEC_PER_SEC;
        json_t *report = json_pack("{s:f,s:I,s:I,s:f,s:I,s:f,s:I,s:I,s:I,s:I,s:I,s:o,s:o,s:o,s:o}", "seconds",
                seconds, "tasks", (json_int_t)x.over, "finished", (json_int_t)x.finished, "tasks_per_second",
                (double)x.over / seconds, "declined", (json_int_t)x.declined, "declines_per_second",
                (double)x.declined / seconds, "updates", (json_int_t)x.updates, "repeated_updates",
                (json_int_t)x.repeated, "unknown_updates", (json_int_t)x.unknown, "refused_calls",
                (json_int_t)x.refused, "subscriptions", (json_int_t)x.subscriptions, "accept",
                histogram_to_json(&x.accept), "acknowledge", histogram_to_json(&x.acknowledge), "decline",
                histogram_to_json(&x.decline), "offer_to_running", histogram_to_json(&x.running));
        const char *kinds[] = {"accept", "acknowledge", "decline", "offer_to_running"};

        if (s->json) {
                (void)json_dumpf(report, stdout, JSON_REAL_PRECISION(9));
                (void)putchar('\n');
                json_decref(report);
                return;
        }
        printf("%ju tasks, %ju finished, in %.2f s: %.0f tasks/s; %ju updates, %ju of them again\n",
                (uintmax_t)x.over, (uintmax_t)x.finished, seconds, (double)x.over / seconds,
                (uintmax_t)x.updates, (uintmax_t)x.repeated);
        for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
                const json_t *k = json_object_get(report, kinds[i]);
                json_int_t count = json_integer_value(json_object_get(k, "count"));

                if (count > 0)
                        printf("%-17s %9" JSON_INTEGER_FORMAT
                               " (%.0f/s)  p50 %.2f ms  p99 %.2f ms  max %.2f ms\n",
                                kinds[i], count, (double)count / seconds,
                                json_real_value(json_object_get(k, "p50_ms")),
                                json_real_value(json_object_get(k, "p99_ms")),
                                json_real_value(json_object_get(k, "max_ms")));
        }
        json_decref(report);
}
