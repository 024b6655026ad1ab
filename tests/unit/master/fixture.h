/*
 * A master in this process, an agent that only pretends to run tasks, and a framework whose operations write down what they are told: what
 * happens between the tables and the wire of agents, without a scheduler's stream.
 */
#pragma once

#include "tests/unit/master/harness.h"

#include "master/api/scheduler.h"
#include "master/core.h"

#define STATE(name) METE__V1__TASK_STATE__TASK_##name
#define REASON(name) METE__V1__TASK_STATUS__REASON__REASON_##name

struct told {
        char task[64], agent[64], executor[64];
        Mete__V1__TaskState state;
        bool has_reason, has_source, has_uuid;
        Mete__V1__TaskStatus__Reason reason;
        Mete__V1__TaskStatus__Source source;
        uint8_t uuid[UUID_BYTES];
        int64_t unreachable_ns; /* 0: none */
};

struct commanded { /* by the master */
        Mete__Agent__Command__Type type;
        char id[64];  /* of the task, the executor or the framework */
        double grace; /* -1: unset */
        uint8_t uuid[UUID_BYTES];
        char data[32];
};

struct fixture {
        char directory[64];
        struct loop *loop;
        struct master_options options;
        struct master *master;
        struct http_client *stream, *calls;
        char *agent_id, stream_id[UUID_TEXT_MAX];
        bool subscribed, answer_pings, stream_ended;
        int stream_status; /* when it ended */
        struct commanded *commands;
        size_t n_commands;
        struct framework *f;
        struct told *told;
        size_t n_told, pending;
        char failed[64]; /* executor id of the last failure, or "agent" */
        int failed_status;
        char message[32];
};

/* ---- the framework ---- */

static inline void note_update(
        struct framework *f, struct agent *a, struct task *t, const Mete__Agent__StatusUpdate *u)
{
        struct fixture *x = f->userdata;
        const Mete__V1__TaskStatus *s = u->status;
        struct told *told;

        if ((x->n_told & (x->n_told + 1)) == 0)
                x->told = xrealloc(x->told, (2 * x->n_told + 2) * sizeof(*x->told));
        told = &x->told[x->n_told++];
        *told = (struct told){.state = s->state,
                .has_reason = s->has_reason,
                .reason = s->reason,
                .has_source = s->has_source,
                .source = s->source,
                .has_uuid = s->has_uuid};
        (void)snprintf(told->task, sizeof(told->task), "%s", s->task_id->value);
        (void)snprintf(told->agent, sizeof(told->agent), "%s", s->agent_id ? s->agent_id->value : "");
        (void)snprintf(
                told->executor, sizeof(told->executor), "%s", s->executor_id ? s->executor_id->value : "");
        if (s->has_uuid)
                memcpy(told->uuid, s->uuid.data, UUID_BYTES);
        if (s->unreachable_time)
                told->unreachable_ns = s->unreachable_time->nanoseconds;
}

static inline void note_failure(struct framework *f, struct agent *a, const char *executor_id, int status)
{
        struct fixture *x = f->userdata;

        (void)snprintf(x->failed, sizeof(x->failed), "%s", executor_id ? executor_id : "agent");
        x->failed_status = status;
}

static inline void note_message(
        struct framework *f, struct agent *a, const char *executor_id, const void *data, size_t len)
{
        struct fixture *x = f->userdata;

        (void)snprintf(x->message, sizeof(x->message), "%s: %.*s", executor_id, (int)len, (const char *)data);
}

static inline size_t note_pending(const struct framework *f)
{
        return ((struct fixture *)f->userdata)->pending;
}

static inline void decline(struct framework *f, struct offer *o)
{
        const char *id = o->id;

        offers_decline(f, &id, 1, NSEC_PER_SEC);
}

static const struct framework_ops note_ops = {
        .offer = decline,
        .update = note_update,
        .failure = note_failure,
        .message = note_message,
        .pending = note_pending,
};

static inline Mete__V1__FrameworkInfo *framework_info(bool checkpoint)
{
        Mete__V1__FrameworkInfo *info = xcalloc(1, sizeof(*info));

        mete__v1__framework_info__init(info);
        info->name = xstrdup("notes");
        info->user = xstrdup("root");
        info->id = xcalloc(1, sizeof(*info->id));
        mete__v1__framework_id__init(info->id);
        info->id->value = xstrdup("notes-0000");
        info->has_checkpoint = true;
        info->checkpoint = checkpoint;
        return info;
}

static inline void add_framework(struct fixture *x)
{
        x->f = framework_add(x->master, framework_info(true), &note_ops, x);
        x->f->state = FRAMEWORK_ACTIVE;
        allocator_suppress(x->master->allocator, x->f->id, NULL);
}

/* ---- the agent ---- */

static inline void note_command(struct fixture *x, const Mete__Agent__Command *m)
{
        struct commanded *c;

        if ((x->n_commands & (x->n_commands + 1)) == 0)
                x->commands = xrealloc(x->commands, (2 * x->n_commands + 2) * sizeof(*x->commands));
        c = &x->commands[x->n_commands++];
        *c = (struct commanded){.type = m->type, .grace = -1};
        if (m->launch)
                (void)snprintf(c->id, sizeof(c->id), "%s", m->launch->task->task_id->value);
        if (m->kill) {
                (void)snprintf(c->id, sizeof(c->id), "%s", m->kill->task_id->value);
                if (m->kill->has_grace_seconds)
                        c->grace = m->kill->grace_seconds;
        }
        if (m->acknowledge) {
                (void)snprintf(c->id, sizeof(c->id), "%s", m->acknowledge->task_id->value);
                memcpy(c->uuid, m->acknowledge->uuid.data, UUID_BYTES);
        }
        if (m->message) {
                (void)snprintf(c->id, sizeof(c->id), "%s", m->message->executor_id->value);
                (void)snprintf(c->data, sizeof(c->data), "%.*s", (int)m->message->data.len,
                        (const char *)m->message->data.data);
        }
        if (m->shutdown_executor)
                (void)snprintf(c->id, sizeof(c->id), "%s", m->shutdown_executor->executor_id->value);
        if (m->shutdown_framework)
                (void)snprintf(c->id, sizeof(c->id), "%s", m->shutdown_framework->framework_id->value);
}

static inline size_t count_commands(const struct fixture *x, Mete__Agent__Command__Type type, const char *id)
{
        size_t n = 0;

        for (size_t i = 0; i < x->n_commands; i++)
                n += x->commands[i].type == type && (!id || str_equal(x->commands[i].id, id));
        return n;
}

static inline void say(struct fixture *x, Mete__Agent__Call *m)
{
        _cleanup_buffer_ struct buffer out = {};
        Mete__V1__AgentID id = METE__V1__AGENT_ID__INIT;

        id.value = x->agent_id;
        m->agent_id = &id;
        m->stream_id = x->stream_id;
        assert_int_equal(message_encode(CODEC_PROTOBUF, &m->base, &out), 0);
        http_client_request(x->calls, "POST", "/mete/v1/agent", "application/x-protobuf", NULL, out.data,
                out.len, 0, nothing, x);
}

static inline bool hear(const void *data, size_t len, void *userdata)
{
        struct fixture *x = userdata;
        ProtobufCMessage *message = NULL;
        Mete__Agent__Command *m;

        assert_int_equal(
                message_decode(CODEC_PROTOBUF, &mete__agent__command__descriptor, data, len, &message, NULL),
                0);
        m = (Mete__Agent__Command *)message;
        note_command(x, m);
        if (m->subscribed) {
                free(x->agent_id);
                x->agent_id = xstrdup(m->subscribed->agent_id->value);
                (void)snprintf(x->stream_id, sizeof(x->stream_id), "%s", m->subscribed->stream_id);
                x->subscribed = true;
        }
        if (m->type == METE__AGENT__COMMAND__TYPE__PING && x->answer_pings) {
                Mete__Agent__Call pong = METE__AGENT__CALL__INIT;

                pong.type = METE__AGENT__CALL__TYPE__PONG;
                say(x, &pong);
        }
        message_free(message);
        return true;
}

static inline void hear_end(const struct http_response *r, void *userdata)
{
        struct fixture *x = userdata;

        x->stream_ended = true;
        x->stream_status = r->status;
}

static inline Mete__V1__ExecutorInfo *executor_info(const char *id)
{
        Mete__V1__ExecutorInfo *info = xcalloc(1, sizeof(*info));

        mete__v1__executor_info__init(info);
        info->executor_id = xcalloc(1, sizeof(*info->executor_id));
        mete__v1__executor_id__init(info->executor_id);
        info->executor_id->value = xstrdup(id);
        info->n_resources = 1;
        info->resources = xcalloc(1, sizeof(*info->resources));
        info->resources[0] = scalar("cpus", 0.5);
        return info;
}

static inline Mete__V1__TaskInfo *task_info(const char *id, const char *agent_id)
{
        Mete__V1__TaskInfo *info = xcalloc(1, sizeof(*info));

        mete__v1__task_info__init(info);
        info->name = xstrdup("task");
        info->task_id = xcalloc(1, sizeof(*info->task_id));
        mete__v1__task_id__init(info->task_id);
        info->task_id->value = xstrdup(id);
        info->agent_id = xcalloc(1, sizeof(*info->agent_id));
        mete__v1__agent_id__init(info->agent_id);
        info->agent_id->value = xstrdup(agent_id);
        info->n_resources = 1;
        info->resources = xcalloc(1, sizeof(*info->resources));
        info->resources[0] = scalar("cpus", 1);
        return info;
}

/* What the agent brings along; up to the first without an id. */
struct brought {
        const char *task;
        Mete__V1__TaskState state, seen; /* seen 0: no position of its stream is told */
        uint8_t uuid;
        const char *executor; /* without a task: the executor itself */
};

static inline Mete__Agent__TaskReport *task_report(const struct fixture *x, const struct brought *b)
{
        Mete__Agent__TaskReport *t = xcalloc(1, sizeof(*t));

        mete__agent__task_report__init(t);
        t->framework_id = xcalloc(1, sizeof(*t->framework_id));
        mete__v1__framework_id__init(t->framework_id);
        t->framework_id->value = xstrdup("notes-0000");
        t->task = task_info(b->task, x->agent_id);
        t->state = b->state;
        if (b->executor) {
                t->executor_id = xcalloc(1, sizeof(*t->executor_id));
                mete__v1__executor_id__init(t->executor_id);
                t->executor_id->value = xstrdup(b->executor);
        }
        if (b->uuid) {
                t->has_update_state = t->has_update_uuid = true;
                t->update_state = b->seen;
                t->update_uuid.len = UUID_BYTES;
                t->update_uuid.data = xmalloc(UUID_BYTES);
                memset(t->update_uuid.data, b->uuid, UUID_BYTES);
        }
        return t;
}

static inline Mete__Agent__ExecutorReport *executor_report(const char *id)
{
        Mete__Agent__ExecutorReport *r = xcalloc(1, sizeof(*r));

        mete__agent__executor_report__init(r);
        r->framework_id = xcalloc(1, sizeof(*r->framework_id));
        mete__v1__framework_id__init(r->framework_id);
        r->framework_id->value = xstrdup("notes-0000");
        r->executor = executor_info(id);
        return r;
}

/* Sends the registration; the answer comes later. */
static inline void join_begin(struct fixture *x, const struct brought *brought, size_t count)
{
        Mete__Agent__Call m = METE__AGENT__CALL__INIT;
        Mete__Agent__Call__Subscribe s = METE__AGENT__CALL__SUBSCRIBE__INIT;
        Mete__V1__AgentInfo info = METE__V1__AGENT_INFO__INIT;
        Mete__V1__AgentID id = METE__V1__AGENT_ID__INIT;
        Mete__V1__Resource *resources[] = {scalar("cpus", 4), scalar("mem", 1024)};
        static char hostname[] = "fake", version[] = "1", boot[] = "boot";
        _cleanup_buffer_ struct buffer out = {};

        s.tasks = xcalloc(count + 1, sizeof(*s.tasks));
        s.executors = xcalloc(count + 1, sizeof(*s.executors));
        for (size_t i = 0; i < count; i++) {
                if (brought[i].task)
                        s.tasks[s.n_tasks++] = task_report(x, &brought[i]);
                else
                        s.executors[s.n_executors++] = executor_report(brought[i].executor);
        }
        info.hostname = hostname;
        info.resources = resources;
        info.n_resources = 2;
        id.value = x->agent_id;
        info.id = x->agent_id ? &id : NULL;
        s.agent_info = &info;
        s.version = version;
        s.boot_id = boot;
        m.type = METE__AGENT__CALL__TYPE__SUBSCRIBE;
        m.subscribe = &s;
        assert_int_equal(message_encode(CODEC_PROTOBUF, &m.base, &out), 0);
        http_client_free(x->stream);
        assert_int_equal(http_client_new(x->loop, "127.0.0.1", master_port(x->master), &x->stream, NULL), 0);
        x->subscribed = x->stream_ended = false;
        http_client_stream(x->stream, "POST", "/mete/v1/agent", "application/x-protobuf",
                "application/x-protobuf", out.data, out.len, 0, NULL, hear, hear_end, x);
        for (size_t i = 0; i < s.n_tasks; i++)
                message_free(s.tasks[i]);
        for (size_t i = 0; i < s.n_executors; i++)
                message_free(s.executors[i]);
        free(s.tasks);
        free(s.executors);
        message_free(resources[0]);
        message_free(resources[1]);
}

static inline void join(struct fixture *x, const struct brought *brought, size_t count)
{
        join_begin(x, brought, count);
        WAIT_FOR(x, x->subscribed);
}

/* uuid 0: without. latest: the same when it is the state. */
static inline void report_update(struct fixture *x, const char *task, Mete__V1__TaskState state,
        Mete__V1__TaskState latest, uint8_t uuid)
{
        Mete__Agent__Call m = METE__AGENT__CALL__INIT;
        Mete__Agent__StatusUpdate u = METE__AGENT__STATUS_UPDATE__INIT;
        Mete__V1__TaskStatus status = METE__V1__TASK_STATUS__INIT;
        Mete__V1__FrameworkID framework = METE__V1__FRAMEWORK_ID__INIT;
        Mete__V1__TaskID id = METE__V1__TASK_ID__INIT;
        static char name[] = "notes-0000", data[] = "large";
        uint8_t bytes[UUID_BYTES];

        memset(bytes, uuid, sizeof(bytes));
        framework.value = name;
        id.value = (char *)task;
        status.task_id = &id;
        status.state = state;
        status.has_uuid = uuid != 0;
        status.uuid = (ProtobufCBinaryData){sizeof(bytes), bytes};
        status.has_data = true;
        status.data = (ProtobufCBinaryData){5, (uint8_t *)data};
        u.framework_id = &framework;
        u.status = &status;
        u.has_latest_state = true;
        u.latest_state = latest;
        m.type = METE__AGENT__CALL__TYPE__UPDATE;
        m.update = &u;
        say(x, &m);
}

/* ---- life ---- */

static inline struct agent *the_agent(const struct fixture *x)
{
        return agent_find(x->master, x->agent_id);
}

static inline void begin_master(struct fixture *x)
{
        assert_int_equal(master_new(x->loop, &x->options, &x->master, NULL), 0);
        http_client_free(x->calls);
        assert_int_equal(http_client_new(x->loop, "127.0.0.1", master_port(x->master), &x->calls, NULL), 0);
        add_framework(x);
}

/* What is not on disk is forgotten. */
static inline void begin_again(struct fixture *x)
{
        x->master = master_free(x->master);
        WAIT_FOR(x, !x->stream || x->stream_ended);
        begin_master(x);
}

static inline void fixture_start(struct fixture *x)
{
        log_set_level(LOG_LEVEL_ERROR);
        assert_non_null(mkdtemp(strcpy(x->directory, "/tmp/mete-test-master-XXXXXX")));
        master_options_init(&x->options);
        free(x->options.work_dir);
        x->options.work_dir = xstrdup(x->directory);
        x->options.port = 0;
        x->options.insecure = true;
        x->answer_pings = true;
        assert_int_equal(loop_new(&x->loop, NULL), 0);
        begin_master(x);
}

static inline void fixture_stop(struct fixture *x)
{
        master_free(x->master);
        http_client_free(x->stream);
        http_client_free(x->calls);
        loop_free(x->loop);
        free(x->options.work_dir);
        free(x->options.address);
        free(x->options.election);
        free(x->options.policy);
        free(x->commands);
        free(x->told);
        free(x->agent_id);
        assert_int_equal(remove_tree_at(AT_FDCWD, x->directory), 0);
}

/* As accepted from an offer. */
static inline struct task *launch_task(struct fixture *x, const char *id, const char *executor)
{
        struct agent *a = the_agent(x);
        Mete__V1__TaskInfo *info = task_info(id, a->id);
        _cleanup_resources_ struct resources need = {};
        struct allocator_usage use = {x->f->id, "*", &need};
        struct task *t;

        if (executor)
                info->executor = executor_info(executor);
        assert_true(resources_of_task(a, info, &need));
        t = task_add(x->f, a, "*", info, NULL, &need);
        assert_int_equal(allocator_allocate(x->master->allocator, a->id, &use), 0);
        task_launch_ready(x->f, id, true);
        WAIT_FOR(x, count_commands(x, METE__AGENT__COMMAND__TYPE__LAUNCH, id) > 0);
        return t;
}

static inline const struct told *last_told(const struct fixture *x)
{
        assert_true(x->n_told > 0);
        return &x->told[x->n_told - 1];
}
