/* A real master in a child process, and in this one a client and an agent that only pretends to run tasks. */
#pragma once

#include <fcntl.h>
#include <jansson.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/id.h"
#include "lib/base/log.h"
#include "lib/net/codec.h"
#include "lib/net/http_client.h"
#include "master/master.h"
#include "proto/mete_agent.pb-c.h"
#include "proto/validate.h"

#define DEADLINE_NS (10 * NSEC_PER_SEC)
#define SEEN_MAX 64

struct seen {
        char *items[SEEN_MAX]; /* task ids, in order */
        size_t count;
};

struct cluster {
        char directory[64];
        uint16_t port;
        uint64_t ping_ns, max_pings, heartbeat_ns, reregister_ns;
        const char *credentials;           /* file: then frameworks authenticate */
        void (*prepare)(struct master *m); /* runs in the master's process, before its loop does */
        pid_t master;
        struct loop *loop;
        struct http_client *client, *stream, *calls;
        /* the agent */
        char *agent_id, stream_id[UUID_TEXT_MAX], framework_id[64];
        uint64_t epoch;
        bool subscribed, answer_pings, stream_ended;
        const char *framework_user; /* reported; NULL: "x" */
        bool report_owner;          /* with owner, 0: root */
        uid_t owner;
        bool report_framework;                                 /* that of framework_id */
        struct seen launched, killed, acknowledged, shut_down; /* of the last: framework ids */
        size_t groups;  /* launched; their tasks are in `launched` too */
        double disk;    /* MiB that the agent has; 0: none */
        char *assigned; /* text of the last assignment; NULL: none came */
        uint64_t assigned_version;
        size_t launched_before_assigned; /* how many tasks were launched when it came */
        struct seen suspensions;         /* "<task> frozen", "<task> thawed" */
        uint64_t sequence;               /* of the last of them */
        Mete__V1__TaskInfo *task;        /* of the last launch; owned */
        /* the last answer to the client */
        int status;
        char *body;
};

static inline void run_master(const struct cluster *c, int fd)
{
        _cleanup_error_ struct error e = {};
        struct master_options o;
        struct loop *l = NULL;
        struct master *m = NULL;
        uint16_t port;

        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed test leaves no master behind */
        log_set_level(LOG_LEVEL_ERROR);
        (void)signal(SIGPIPE, SIG_IGN);
        master_options_init(&o);
        free(o.work_dir);
        o.work_dir = xstrdup(c->directory);
        o.port = c->port;
        o.insecure = geteuid() != 0;
        o.agent_ping_timeout_ns = c->ping_ns ? c->ping_ns : o.agent_ping_timeout_ns;
        o.max_agent_ping_timeouts = c->max_pings ? c->max_pings : o.max_agent_ping_timeouts;
        o.heartbeat_interval_ns = c->heartbeat_ns ? c->heartbeat_ns : o.heartbeat_interval_ns;
        o.credentials = xstrdup(c->credentials);
        o.authenticate_frameworks = c->credentials != NULL;
        if (loop_new(&l, &e) < 0 || master_new(l, &o, &m, &e) < 0) {
                log_error("%s", error_message(&e));
                _exit(1);
        }
        o.agent_reregister_timeout_ns = c->reregister_ns ? c->reregister_ns : o.agent_reregister_timeout_ns;
        if (c->prepare)
                c->prepare(m);
        port = master_port(m);
        if (write(fd, &port, sizeof(port)) != sizeof(port))
                _exit(1);
        (void)loop_run(l);
        _exit(2);
}

static inline void start_master(struct cluster *c)
{
        int fds[2];

        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        c->master = fork();
        assert_true(c->master >= 0);
        if (c->master == 0)
                run_master(c, fds[1]);
        close_fd(fds[1]);
        assert_int_equal(read(fds[0], &c->port, sizeof(c->port)), sizeof(c->port));
        close_fd(fds[0]);
}

static inline void kill_master(struct cluster *c)
{
        int status;

        assert_int_equal(kill(c->master, SIGKILL), 0);
        assert_int_equal(waitpid(c->master, &status, 0), c->master);
        c->master = 0;
}

/* ---- waiting ---- */

static inline void deadline(struct loop_timer *t, void *userdata)
{
        *(bool *)userdata = true;
}

static inline void tick(struct loop_timer *t, void *userdata)
{
        loop_stop(userdata);
}

/* Runs the loop until the condition holds. */
#define WAIT_FOR(c, condition)                                                                               \
        do {                                                                                                 \
                bool late_ = false;                                                                          \
                struct loop_timer *end_ = loop_timer_new((c)->loop, deadline, &late_);                       \
                struct loop_timer *tick_ = loop_timer_new((c)->loop, tick, (c)->loop);                       \
                loop_timer_arm(end_, DEADLINE_NS, 0);                                                        \
                loop_timer_arm(tick_, NSEC_PER_MSEC, NSEC_PER_MSEC);                                         \
                while (!(condition) && !late_)                                                               \
                        (void)loop_run((c)->loop);                                                           \
                loop_timer_free(end_);                                                                       \
                loop_timer_free(tick_);                                                                      \
                if (late_)                                                                                   \
                        fail_msg("never: %s", #condition);                                                   \
        } while (0)

static inline bool has_seen(const struct seen *s, const char *id)
{
        for (size_t i = 0; i < s->count; i++)
                if (str_equal(s->items[i], id))
                        return true;
        return false;
}

static inline void see(struct seen *s, const char *id)
{
        assert_true(s->count < SEEN_MAX);
        s->items[s->count++] = xstrdup(id);
}

static inline void forget_seen(struct seen *s)
{
        while (s->count > 0)
                free(s->items[--s->count]);
}

/* ---- the client ---- */

static inline void on_answer(const struct http_response *r, void *userdata)
{
        struct cluster *c = userdata;

        free(c->body);
        c->body = xstrndup(r->body ? r->body : "", r->body_len);
        c->status = r->status ? r->status : -1;
}

/* The status; the body is in c->body. */
static inline int post(
        struct cluster *c, const char *method, const char *path, const char *type, const char *body)
{
        c->status = 0;
        http_client_request(
                c->client, method, path, type, "application/json", body, strlen(body), 0, on_answer, c);
        WAIT_FOR(c, c->status != 0);
        return c->status;
}

static inline json_t *call(struct cluster *c, int want_status, const char *body)
{
        json_t *answer;

        if (post(c, "POST", "/mete/v1", "application/json", body) != want_status)
                fail_msg("%s: %d %s", body, c->status, c->body);
        answer = json_loads(c->body, 0, NULL);
        assert_non_null(answer);
        return answer;
}

/* "job.state" of an answer, compared. */
static inline void expect(struct cluster *c, const char *body, const char *path, const char *want)
{
        json_t *answer = call(c, 200, body), *at = answer;
        _cleanup_free_ char *copy = xstrdup(path);
        char *save = NULL;

        for (char *part = strtok_r(copy, ".", &save); part && at; part = strtok_r(NULL, ".", &save))
                at = part[0] >= '0' && part[0] <= '9' ? json_array_get(at, (size_t)atoi(part))
                                                      : json_object_get(at, part);
        if (!at || !str_equal(json_string_value(at), want))
                fail_msg("%s of %s is not %s: %s", path, body, want, c->body);
        json_decref(answer);
}

/* ---- the agent ---- */

static inline void nothing(const struct http_response *r, void *userdata)
{
}

static inline void agent_post(struct cluster *c, Mete__Agent__Call *m)
{
        _cleanup_buffer_ struct buffer out = {};
        Mete__V1__AgentID id = METE__V1__AGENT_ID__INIT;

        id.value = c->agent_id;
        m->agent_id = &id;
        m->stream_id = c->stream_id;
        assert_int_equal(message_encode(CODEC_PROTOBUF, &m->base, &out), 0);
        http_client_request(c->calls, "POST", "/mete/v1/agent", "application/x-protobuf", NULL, out.data,
                out.len, 0, nothing, c);
}

static inline bool on_command(const void *data, size_t len, void *userdata)
{
        struct cluster *c = userdata;
        ProtobufCMessage *message = NULL;
        Mete__Agent__Command *m;

        assert_int_equal(
                message_decode(CODEC_PROTOBUF, &mete__agent__command__descriptor, data, len, &message, NULL),
                0);
        m = (Mete__Agent__Command *)message;
        assert_true(m->epoch >= c->epoch);
        c->epoch = m->epoch;
        if (m->subscribed) {
                free(c->agent_id);
                c->agent_id = xstrdup(m->subscribed->agent_id->value);
                (void)snprintf(c->stream_id, sizeof(c->stream_id), "%s", m->subscribed->stream_id);
                c->subscribed = true;
        }
        if (m->launch) {
                (void)snprintf(
                        c->framework_id, sizeof(c->framework_id), "%s", m->launch->framework->id->value);
                see(&c->launched, m->launch->task->task_id->value);
                message_free(c->task);
                c->task = message_copy(m->launch->task);
        }
        if (m->suspend) {
                _cleanup_free_ char *text = xasprintf(
                        "%s %s", m->suspend->task_id->value, m->suspend->suspended ? "frozen" : "thawed");

                see(&c->suspensions, text);
                c->sequence = m->suspend->sequence;
        }
        if (m->assign) {
                _cleanup_resources_ struct resources all = {};

                assert_int_equal(
                        resources_from_proto(m->assign->resources, m->assign->n_resources, "r", &all, NULL),
                        0);
                free(c->assigned);
                c->assigned = resources_to_string(&all);
                c->assigned_version = m->assign->version;
                c->launched_before_assigned = c->launched.count;
        }
        if (m->launch_group) {
                c->groups++;
                for (size_t i = 0; i < m->launch_group->task_group->n_tasks; i++)
                        see(&c->launched, m->launch_group->task_group->tasks[i]->task_id->value);
        }
        if (m->kill)
                see(&c->killed, m->kill->task_id->value);
        if (m->acknowledge)
                see(&c->acknowledged, m->acknowledge->task_id->value);
        if (m->shutdown_framework)
                see(&c->shut_down, m->shutdown_framework->framework_id->value);
        if (m->type == METE__AGENT__COMMAND__TYPE__PING && c->answer_pings) {
                Mete__Agent__Call pong = METE__AGENT__CALL__INIT;

                pong.type = METE__AGENT__CALL__TYPE__PONG;
                agent_post(c, &pong);
        }
        message_free(message);
        return true;
}

static inline void on_stream_end(const struct http_response *r, void *userdata)
{
        struct cluster *c = userdata;

        c->stream_ended = true;
}

static inline Mete__V1__Resource *scalar(const char *name, double value)
{
        Mete__V1__Resource *r = xcalloc(1, sizeof(*r));

        mete__v1__resource__init(r);
        r->name = xstrdup(name);
        r->type = METE__V1__VALUE__TYPE__SCALAR;
        r->scalar = xcalloc(1, sizeof(*r->scalar));
        mete__v1__value__scalar__init(r->scalar);
        r->scalar->value = value;
        return r;
}

struct report {
        const char *task;
        Mete__V1__TaskState state;
        double cpus; /* 0: 1 */
        bool suspended;
        uint64_t sequence;
};

/* (Re-)registers, with 4 cpus and the tasks given; waits for SUBSCRIBED. */
static inline void subscribe(struct cluster *c, const struct report *reports, size_t count)
{
        Mete__Agent__Call m = METE__AGENT__CALL__INIT;
        Mete__Agent__Call__Subscribe s = METE__AGENT__CALL__SUBSCRIBE__INIT;
        Mete__V1__AgentInfo info = METE__V1__AGENT_INFO__INIT;
        Mete__V1__AgentID id = METE__V1__AGENT_ID__INIT;
        Mete__V1__Resource *resources[] = {scalar("cpus", 4), scalar("mem", 1024), scalar("disk", c->disk)};
        Mete__Agent__TaskReport **list = xcalloc(count + 1, sizeof(*list));
        static char hostname[] = "fake", version[] = "1", boot[] = "boot", name[] = "x";
        _cleanup_buffer_ struct buffer out = {};
        Mete__V1__FrameworkInfo framework = METE__V1__FRAMEWORK_INFO__INIT, *frameworks[] = {&framework};
        Mete__V1__FrameworkID framework_id = METE__V1__FRAMEWORK_ID__INIT;
        Mete__Agent__FrameworkOwner owner = METE__AGENT__FRAMEWORK_OWNER__INIT, *owners[] = {&owner};

        framework.id = &framework_id;
        framework_id.value = c->framework_id;
        framework.name = name;
        framework.user = c->framework_user ? (char *)c->framework_user : name;
        owner.framework_id = &framework_id;
        owner.has_uid = c->owner != 0;
        owner.uid = c->owner;
        for (size_t i = 0; i < count; i++) {
                Mete__Agent__TaskReport *t = list[i] = xcalloc(1, sizeof(*t));

                mete__agent__task_report__init(t);
                t->framework_id = xcalloc(1, sizeof(*t->framework_id));
                mete__v1__framework_id__init(t->framework_id);
                t->framework_id->value = xstrdup(c->framework_id);
                t->task = xcalloc(1, sizeof(*t->task));
                mete__v1__task_info__init(t->task);
                t->task->name = xstrdup(name);
                t->task->task_id = xcalloc(1, sizeof(*t->task->task_id));
                mete__v1__task_id__init(t->task->task_id);
                t->task->task_id->value = xstrdup(reports[i].task);
                t->task->agent_id = xcalloc(1, sizeof(*t->task->agent_id));
                mete__v1__agent_id__init(t->task->agent_id);
                t->task->agent_id->value = xstrdup(c->agent_id);
                t->task->n_resources = 1;
                t->task->resources = xcalloc(1, sizeof(*t->task->resources));
                t->task->resources[0] = scalar("cpus", reports[i].cpus > 0 ? reports[i].cpus : 1);
                t->state = reports[i].state;
                t->has_suspended = t->has_suspend_sequence = reports[i].sequence > 0;
                t->suspended = reports[i].suspended;
                t->suspend_sequence = reports[i].sequence;
        }
        info.hostname = hostname;
        info.resources = resources;
        info.n_resources = c->disk > 0 ? 3 : 2;
        if (c->agent_id) {
                id.value = c->agent_id;
                info.id = &id;
        }
        s.agent_info = &info;
        s.version = version;
        s.boot_id = boot;
        s.tasks = list;
        s.n_tasks = count;
        s.frameworks = frameworks;
        s.n_frameworks = c->report_framework;
        s.owners = owners;
        s.n_owners = c->report_owner;
        m.type = METE__AGENT__CALL__TYPE__SUBSCRIBE;
        m.subscribe = &s;
        assert_int_equal(message_encode(CODEC_PROTOBUF, &m.base, &out), 0);
        http_client_free(c->stream);
        assert_int_equal(http_client_new(c->loop, "127.0.0.1", c->port, &c->stream, NULL), 0);
        c->subscribed = c->stream_ended = false;
        http_client_stream(c->stream, "POST", "/mete/v1/agent", "application/x-protobuf",
                "application/x-protobuf", out.data, out.len, 0, NULL, on_command, on_stream_end, c);
        WAIT_FOR(c, c->subscribed);
        for (size_t i = 0; i < count; i++)
                message_free(list[i]);
        free(list);
        message_free(resources[0]);
        message_free(resources[1]);
        message_free(resources[2]);
}

/* uuid: one byte, repeated. Waits for the acknowledgement. */
static inline void update(struct cluster *c, const char *task, Mete__V1__TaskState state, uint8_t uuid)
{
        Mete__Agent__Call m = METE__AGENT__CALL__INIT;
        Mete__Agent__StatusUpdate u = METE__AGENT__STATUS_UPDATE__INIT;
        Mete__V1__TaskStatus status = METE__V1__TASK_STATUS__INIT;
        Mete__V1__FrameworkID framework = METE__V1__FRAMEWORK_ID__INIT;
        Mete__V1__TaskID id = METE__V1__TASK_ID__INIT;
        uint8_t bytes[UUID_BYTES];
        size_t before = c->acknowledged.count;

        memset(bytes, uuid, sizeof(bytes));
        framework.value = c->framework_id;
        id.value = (char *)task;
        status.task_id = &id;
        status.state = state;
        status.has_uuid = true;
        status.uuid = (ProtobufCBinaryData){sizeof(bytes), bytes};
        u.framework_id = &framework;
        u.status = &status;
        u.has_exit_code = state == METE__V1__TASK_STATE__TASK_FINISHED;
        m.type = METE__AGENT__CALL__TYPE__UPDATE;
        m.update = &u;
        agent_post(c, &m);
        WAIT_FOR(c, c->acknowledged.count == before + 1);
        assert_string_equal(c->acknowledged.items[before], task);
}

/* What became of the last SUSPEND. */
static inline void answer_suspend(struct cluster *c, const char *task, bool suspended, const char *error)
{
        Mete__Agent__Call m = METE__AGENT__CALL__INIT;
        Mete__Agent__Call__Suspended s = METE__AGENT__CALL__SUSPENDED__INIT;
        Mete__V1__FrameworkID framework = METE__V1__FRAMEWORK_ID__INIT;
        Mete__V1__TaskID id = METE__V1__TASK_ID__INIT;

        framework.value = c->framework_id;
        id.value = (char *)task;
        s.framework_id = &framework;
        s.task_id = &id;
        s.suspended = suspended;
        s.sequence = c->sequence;
        s.error = (char *)error;
        m.type = METE__AGENT__CALL__TYPE__SUSPENDED;
        m.suspended = &s;
        agent_post(c, &m);
}

/* ---- life ---- */

static inline void cluster_start(struct cluster *c)
{
        assert_non_null(mkdtemp(strcpy(c->directory, "/tmp/mete-test-master-XXXXXX")));
        c->answer_pings = true;
        start_master(c);
        assert_int_equal(loop_new(&c->loop, NULL), 0);
        assert_int_equal(http_client_new(c->loop, "127.0.0.1", c->port, &c->client, NULL), 0);
        assert_int_equal(http_client_new(c->loop, "127.0.0.1", c->port, &c->calls, NULL), 0);
}

static inline void forget_all_seen(struct cluster *c)
{
        forget_seen(&c->launched);
        forget_seen(&c->killed);
        forget_seen(&c->acknowledged);
        forget_seen(&c->shut_down);
        forget_seen(&c->suspensions);
        message_free(c->task);
        free(c->agent_id);
        free(c->assigned);
        free(c->body);
}

static inline void cluster_stop(struct cluster *c)
{
        kill_master(c);
        http_client_free(c->client);
        http_client_free(c->calls);
        http_client_free(c->stream);
        loop_free(c->loop);
        forget_all_seen(c);
        assert_int_equal(remove_tree_at(AT_FDCWD, c->directory), 0);
}

/* kill -9, and again on the same port and store. */
static inline void restart_master(struct cluster *c)
{
        kill_master(c);
        WAIT_FOR(c, !c->stream || c->stream_ended);
        start_master(c);
        /* The old connections may not have noticed yet: a call on one of them would fail with the master that is gone. */
        http_client_free(c->client);
        http_client_free(c->calls);
        assert_int_equal(http_client_new(c->loop, "127.0.0.1", c->port, &c->client, NULL), 0);
        assert_int_equal(http_client_new(c->loop, "127.0.0.1", c->port, &c->calls, NULL), 0);
}
