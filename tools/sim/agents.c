/*
 * Simulated agents: the agents' real protocol towards the master, no containers. Each keeps what a real agent keeps of a task, so that
 * it survives the death of the master: its state, and the one update that is not acknowledged, which is sent again on a new stream.
 */
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "lib/base/id.h"
#include "lib/base/log.h"
#include "lib/base/resources.h"
#include "lib/net/codec.h"
#include "proto/mete_agent.pb-c.h"
#include "proto/validate.h"
#include "tools/sim/sim.h"

#define PATH "/mete/v1/agent"
#define HEADERS "Content-Type: application/x-protobuf\r\nAccept: application/x-protobuf\r\n"
#define RECONNECT_NS (100 * NSEC_PER_MSEC)

struct sim_task {
        struct sim_agent *agent;
        char *key; /* framework id '\n' task id */
        Mete__V1__FrameworkID *framework_id;
        Mete__V1__TaskInfo *info;
        Mete__V1__TaskState state; /* of the update in flight, else the last one */
        bool pending;
        uint8_t uuid[UUID_BYTES];
        uint64_t updates_left; /* RUNNING again, so often */
        bool kill_wanted;
        struct loop_timer *timer; /* its run time; NULL: none */
        UT_hash_handle hh;
};

struct sim_agent {
        struct sim *sim;
        const struct sim_agents_options *options;
        char *hostname, *id;
        char stream_id[UUID_TEXT_MAX];
        uint64_t epoch;
        struct wire *stream, *calls;
        struct loop_timer *reconnect;
        struct sim_task *tasks;               /* k: key -> v, owned */
        Mete__V1__FrameworkInfo **frameworks; /* seen, owned: as reported */
        size_t framework_count;
};

/* Of all agents. */
static struct {
        uint64_t registrations, launched, repeated_launches, sent, acknowledged_ends, kills;
        uint64_t live; /* launched, and their end is not acknowledged */
} seen;

static void agent_lost(struct wire *w, const char *why, void *userdata);
static void calls_lost(struct wire *w, const char *why, void *userdata);

/* ---- calls ---- */

/* There is a connection for calls from the first one on, until the master closes what was idle for long. */
static bool calls_ready(struct sim_agent *a)
{
        _cleanup_error_ struct error e = {0};

        if (!a->stream || !a->stream_id[0])
                return false;
        if (!a->calls && wire_new(a->sim->loop, &a->sim->master, calls_lost, a, &a->calls, &e) < 0)
                log_error("%s: %s", a->hostname, error_message(&e));
        return a->calls != NULL;
}

static void agent_call(struct sim_agent *a, Mete__Agent__Call *call)
{
        static struct buffer out; /* one thread, used up before the next */
        Mete__V1__AgentID id = METE__V1__AGENT_ID__INIT;

        if (!calls_ready(a))
                return;
        id.value = a->id;
        call->agent_id = &id;
        call->stream_id = a->stream_id;
        out.len = 0;
        if (message_encode(CODEC_PROTOBUF, &call->base, &out) < 0)
                abort(); /* what we build ourselves is valid */
        wire_post(a->calls, PATH, HEADERS, out.data, out.len, NULL, NULL);
}

static void task_send(struct sim_task *t)
{
        Mete__Agent__Call call = METE__AGENT__CALL__INIT;
        Mete__Agent__StatusUpdate update = METE__AGENT__STATUS_UPDATE__INIT;
        Mete__V1__TaskStatus status = METE__V1__TASK_STATUS__INIT;
        Mete__V1__AgentID agent_id = METE__V1__AGENT_ID__INIT;

        agent_id.value = t->agent->id;
        status.task_id = t->info->task_id;
        status.agent_id = &agent_id;
        status.state = t->state;
        status.has_source = true;
        status.source = METE__V1__TASK_STATUS__SOURCE__SOURCE_AGENT;
        status.has_timestamp = true;
        status.timestamp = wall_seconds(wall_now());
        status.has_uuid = true;
        status.uuid = (ProtobufCBinaryData){UUID_BYTES, t->uuid};
        update.framework_id = t->framework_id;
        update.status = &status;
        update.has_latest_state = true;
        update.latest_state = t->state;
        seen.sent++;
        call.type = METE__AGENT__CALL__TYPE__UPDATE;
        call.update = &update;
        agent_call(t->agent, &call);
}

static void task_update(struct sim_task *t, Mete__V1__TaskState state)
{
        t->state = state;
        t->pending = true;
        uuid_generate_bytes(t->uuid);
        task_send(t);
}

/* ---- tasks ---- */

static struct sim_task *task_find(
        struct sim_agent *a, const Mete__V1__FrameworkID *framework, const Mete__V1__TaskID *task)
{
        _cleanup_free_ char *key = xasprintf("%s\n%s", framework->value, task->value);
        struct sim_task *t;

        HASH_FIND_STR(a->tasks, key, t);
        return t;
}

static void task_free(struct sim_task *t)
{
        HASH_DEL(t->agent->tasks, t);
        loop_timer_free(t->timer);
        message_free(t->framework_id);
        message_free(t->info);
        free(t->key);
        free(t);
}

static void task_end(struct sim_task *t)
{
        task_update(
                t, t->kill_wanted ? METE__V1__TASK_STATE__TASK_KILLED : METE__V1__TASK_STATE__TASK_FINISHED);
}

static void on_run_time(struct loop_timer *timer, void *userdata)
{
        struct sim_task *t = userdata;

        if (!t->pending)
                task_end(t);
        else
                t->timer = loop_timer_free(timer); /* it ends when that update is acknowledged */
}

/* The update in flight was acknowledged: what comes next. */
static void task_next(struct sim_task *t)
{
        t->pending = false;
        if (task_state_is_terminal(t->state)) {
                seen.acknowledged_ends++;
                seen.live--;
                task_free(t);
                return;
        }
        if (t->updates_left > 0 && !t->kill_wanted) {
                t->updates_left--;
                task_update(t, METE__V1__TASK_STATE__TASK_RUNNING);
                return;
        }
        if (!t->timer || !loop_timer_armed(t->timer) || t->kill_wanted)
                task_end(t);
}

static void remember_framework(struct sim_agent *a, const Mete__V1__FrameworkInfo *info)
{
        for (size_t i = 0; i < a->framework_count; i++)
                if (str_equal(a->frameworks[i]->id->value, info->id->value))
                        return;
        a->frameworks = xrealloc(a->frameworks, (a->framework_count + 1) * sizeof(*a->frameworks));
        a->frameworks[a->framework_count++] = message_copy(info);
}

static void on_launch(struct sim_agent *a, const Mete__Agent__Command *c)
{
        const Mete__Agent__Command__Launch *l = c->launch;
        struct sim_task *t;

        if (task_find(a, l->framework->id, l->task->task_id)) {
                seen.repeated_launches++;
                return;
        }
        seen.launched++;
        seen.live++;
        remember_framework(a, l->framework);
        t = NEW0(struct sim_task);
        t->agent = a;
        t->key = xasprintf("%s\n%s", l->framework->id->value, l->task->task_id->value);
        t->framework_id = message_copy(l->framework->id);
        t->info = message_copy(l->task);
        t->updates_left = a->options->extra_updates;
        HASH_ADD_KEYPTR(hh, a->tasks, t->key, strlen(t->key), t);
        if (a->options->run_ns) {
                t->timer = loop_timer_new(a->sim->loop, on_run_time, t);
                loop_timer_arm(t->timer, a->options->run_ns, 0);
        }
        task_update(t, METE__V1__TASK_STATE__TASK_RUNNING);
}

static void on_kill(struct sim_agent *a, const Mete__Agent__Command *c)
{
        struct sim_task *t = task_find(a, c->kill->framework_id, c->kill->task_id);

        if (!t || t->kill_wanted || task_state_is_terminal(t->state))
                return;
        t->kill_wanted = true;
        seen.kills++;
        if (!t->pending)
                task_end(t);
}

static void on_acknowledge(struct sim_agent *a, const Mete__Agent__Command *c)
{
        const Mete__Agent__Command__Acknowledge *k = c->acknowledge;
        struct sim_task *t = task_find(a, k->framework_id, k->task_id);

        if (t && t->pending && k->uuid.len == UUID_BYTES && memcmp(k->uuid.data, t->uuid, UUID_BYTES) == 0)
                task_next(t);
}

static void on_ping(struct sim_agent *a, const Mete__Agent__Command *c)
{
        Mete__Agent__Call call = METE__AGENT__CALL__INIT;

        call.type = METE__AGENT__CALL__TYPE__PONG;
        agent_call(a, &call);
}

static void send_pending(struct sim_agent *a)
{
        struct sim_task *t, *next;

        HASH_ITER (hh, a->tasks, t, next)
                if (t->pending)
                        task_send(t);
}

static void on_subscribed(struct sim_agent *a, const Mete__Agent__Command *c)
{
        seen.registrations++;
        free(a->id);
        a->id = xstrdup(c->subscribed->agent_id->value);
        (void)snprintf(a->stream_id, sizeof(a->stream_id), "%s", c->subscribed->stream_id);
        send_pending(a);
}

static const struct {
        Mete__Agent__Command__Type type;
        void (*handle)(struct sim_agent *a, const Mete__Agent__Command *c);
} commands[] = {
        {METE__AGENT__COMMAND__TYPE__SUBSCRIBED, on_subscribed},
        {METE__AGENT__COMMAND__TYPE__LAUNCH, on_launch},
        {METE__AGENT__COMMAND__TYPE__KILL, on_kill},
        {METE__AGENT__COMMAND__TYPE__ACKNOWLEDGE, on_acknowledge},
        {METE__AGENT__COMMAND__TYPE__PING, on_ping},
};

/* ---- the stream ---- */

static void on_record(struct wire *w, const void *data, size_t len, void *userdata)
{
        struct sim_agent *a = userdata;
        _cleanup_error_ struct error e = {0};
        ProtobufCMessage *message = NULL;
        const Mete__Agent__Command *c;

        if (message_decode(CODEC_PROTOBUF, &mete__agent__command__descriptor, data, len, &message, &e) < 0) {
                log_error("%s: a command cannot be read: %s", a->hostname, error_message(&e));
                return;
        }
        c = (const Mete__Agent__Command *)message;
        a->epoch = MAX(a->epoch, c->epoch);
        for (size_t i = 0; i < ELEMENTSOF(commands); i++)
                if (commands[i].type == c->type)
                        commands[i].handle(a, c);
        message_free(message);
}

static void on_opened(struct wire *w, const char *stream_id, void *userdata)
{
}

static const struct wire_stream_ops stream_ops = {on_opened, on_record};

static size_t report_tasks(
        struct sim_agent *a, Mete__Agent__TaskReport *reports, Mete__Agent__TaskReport **list)
{
        struct sim_task *t, *next;
        size_t n = 0;

        HASH_ITER (hh, a->tasks, t, next) {
                mete__agent__task_report__init(&reports[n]);
                reports[n].framework_id = t->framework_id;
                reports[n].task = t->info;
                reports[n].state = t->state;
                if (t->pending) {
                        reports[n].has_update_state = true;
                        reports[n].update_state = t->state;
                        reports[n].has_update_uuid = true;
                        reports[n].update_uuid = (ProtobufCBinaryData){UUID_BYTES, t->uuid};
                }
                list[n] = &reports[n];
                n++;
        }
        return n;
}

static void encode_subscribe(struct sim_agent *a, struct buffer *out)
{
        Mete__Agent__Call call = METE__AGENT__CALL__INIT;
        Mete__Agent__Call__Subscribe s = METE__AGENT__CALL__SUBSCRIBE__INIT;
        Mete__V1__AgentInfo info = METE__V1__AGENT_INFO__INIT;
        Mete__V1__AgentID id = METE__V1__AGENT_ID__INIT;
        _cleanup_resources_ struct resources offered = {0};
        size_t count = HASH_COUNT(a->tasks);
        _cleanup_free_ Mete__Agent__TaskReport *reports = xcalloc(count + 1, sizeof(*reports));
        _cleanup_free_ Mete__Agent__TaskReport **list = xcalloc(count + 1, sizeof(*list));

        resources_set_scalar(&offered, "cpus", a->options->milli_cpus);
        resources_set_scalar(&offered, "mem", (a->options->memory_bytes >> 20) * 1000);
        resources_to_proto(&offered, NULL, /* with_role= */ true, &info.resources, &info.n_resources);
        info.hostname = a->hostname;
        id.value = a->id;
        info.id = call.agent_id = a->id ? &id : NULL;
        s.agent_info = &info;
        s.version = (char *)METE_VERSION;
        s.boot_id = (char *)"simulated";
        s.has_highest_epoch = true;
        s.highest_epoch = a->epoch;
        s.n_tasks = report_tasks(a, reports, list);
        s.tasks = list;
        s.n_frameworks = a->framework_count;
        s.frameworks = a->frameworks;
        call.type = METE__AGENT__CALL__TYPE__SUBSCRIBE;
        call.subscribe = &s;
        if (message_encode(CODEC_PROTOBUF, &call.base, out) < 0)
                abort();
        for (size_t i = 0; i < info.n_resources; i++)
                message_free(info.resources[i]);
        free(info.resources);
}

static void agent_connect(struct sim_agent *a)
{
        _cleanup_buffer_ struct buffer out = {0};

        if (wire_new(a->sim->loop, &a->sim->master, agent_lost, a, &a->stream, NULL) < 0) {
                loop_timer_arm(a->reconnect, RECONNECT_NS, 0);
                return;
        }
        encode_subscribe(a, &out);
        wire_stream(a->stream, PATH, HEADERS, out.data, out.len, &stream_ops, a);
}

static void on_reconnect(struct loop_timer *t, void *userdata)
{
        agent_connect(userdata);
}

static void agent_lost(struct wire *w, const char *why, void *userdata)
{
        struct sim_agent *a = userdata;

        log_debug("%s: %s", a->hostname, why);
        a->stream = wire_free(a->stream);
        a->calls = wire_free(a->calls);
        a->stream_id[0] = '\0';
        loop_timer_arm(a->reconnect, RECONNECT_NS, 0);
}

/* Only what was not answered goes again: an idle connection is made anew when there is something to say. */
static void calls_lost(struct wire *w, const char *why, void *userdata)
{
        struct sim_agent *a = userdata;
        bool unanswered = wire_waiting(w) > 0;

        a->calls = wire_free(a->calls);
        if (unanswered)
                send_pending(a);
}

int sim_agents_start(struct sim *s, const struct sim_agents_options *o, struct error *e)
{
        if (o->arrivals < 1)
                return error_set(e, -EINVAL, "--arrivals must be at least 1");
        for (uint64_t i = 0; i < o->count; i++) {
                struct sim_agent *a = NEW0(struct sim_agent); /* lives as long as the process */

                a->sim = s;
                a->options = o;
                a->hostname = xasprintf("%s%ju", o->prefix, (uintmax_t)i);
                a->reconnect = loop_timer_new(s->loop, on_reconnect, a);
                loop_timer_arm(a->reconnect, i * NSEC_PER_SEC / o->arrivals, 0);
        }
        return 0;
}

void sim_agents_report(struct sim *s)
{
        const struct {
                const char *name;
                uint64_t value;
        } rows[] = {
                {"registrations", seen.registrations},
                {"launched", seen.launched},
                {"repeated_launches", seen.repeated_launches},
                {"kills", seen.kills},
                {"updates_sent", seen.sent},
                {"ends_acknowledged", seen.acknowledged_ends},
                {"live", seen.live},
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                if (s->json)
                        printf("%s\"%s\":%ju%s", i == 0 ? "{" : ",", rows[i].name, (uintmax_t)rows[i].value,
                                i + 1 == ELEMENTSOF(rows) ? "}\n" : "");
                else
                        printf("%-18s %ju\n", rows[i].name, (uintmax_t)rows[i].value);
}
