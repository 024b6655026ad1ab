#include "agent/master_link.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <utlist.h>

#include "agent/commands.h"
#include "agent/registration.h"
#include "agent/task.h"
#include "lib/base/log.h"
#include "lib/net/codec.h"
#include "lib/net/http_client.h"

#define PATH "/mete/v1/agent"
#define CONTENT_TYPE "application/x-protobuf"
#define BACKOFF_MIN_NS (100 * NSEC_PER_MSEC)
#define BACKOFF_MAX_NS (10 * NSEC_PER_SEC)
#define PINGS_MISSED 5
#define PING_INTERVAL_DEFAULT_NS (15 * NSEC_PER_SEC)
#define CALL_TIMEOUT_NS (15 * NSEC_PER_SEC)

/* Executors that ended while the master was away; bounded, for it sees the rest by what a registration does not list. */
#define EXITS_MAX 1024
/* Of executors, not taken by the master yet: what comes beyond is dropped, as messages may be. */
#define MESSAGES_WAITING_MAX (8u << 20)
#define MESSAGE_OVERHEAD 1024 /* ids and what a call costs us besides: empty messages count too */
struct message_call {
        struct master_link *link;
        size_t len;
};

struct executor_exit {
        char *framework_id, *executor_id;
        int status;
        struct executor_exit *prev, *next;
};

struct master_link {
        struct agent *agent;
        struct executor_exit *exits; /* DL, owned, oldest first */
        size_t exit_count;
        size_t message_bytes; /* of messages of executors that are on their way */
        struct http_client *stream, *calls;
        struct loop_timer *retry, *watchdog;
        unsigned attempt;
        bool ready;   /* SUBSCRIBED came */
        bool closing; /* callbacks of clients that are being freed mean nothing */
        bool stopped;
        bool complained; /* one line per loss, not one per attempt */
        char *stream_id;
        uint64_t ping_interval_ns;
        void (*on_unregistered)(void *userdata);
        void *on_unregistered_data;
};

uint64_t master_link_backoff_ns(unsigned attempt, uint32_t random)
{
        uint64_t full = attempt < 7 ? BACKOFF_MIN_NS << attempt : BACKOFF_MAX_NS;

        full = MIN(full, BACKOFF_MAX_NS);
        /* Agents that lost the same master must not all come back in the same instant. */
        return full - (uint64_t)((double)(full / 2) * ((double)random / 4294967296.0));
}

bool master_link_ready(const struct master_link *l)
{
        return l && l->ready;
}

static void drop(struct master_link *l)
{
        l->closing = true;
        l->ready = false;
        l->stream = http_client_free(l->stream);
        l->calls = http_client_free(l->calls);
        l->closing = false;
        free(l->stream_id);
        l->stream_id = NULL;
        loop_timer_disarm(l->watchdog);
}

/* Not from inside a client's callback: the clients are freed by the timer, later. */
static void lose(struct master_link *l, const char *why)
{
        uint32_t random = 0;

        if (l->stopped || loop_timer_armed(l->retry))
                return;
        if (!l->complained)
                log_warning("the master at %s:%u is away: %s; tasks go on, trying again",
                        l->agent->options->master_host, l->agent->options->master_port, why);
        l->complained = true;
        l->ready = false;
        if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != (ssize_t)sizeof(random))
                random = 0; /* only the jitter is lost */
        loop_timer_arm(l->retry, master_link_backoff_ns(l->attempt++, random), 0);
}

/* ---- calls ---- */

static void on_call_done(const struct http_response *r, void *userdata)
{
        struct master_link *l = userdata;
        char why[256];

        if (l->closing || (r->status >= 200 && r->status < 300))
                return;
        if (r->status == 0)
                (void)snprintf(why, sizeof(why), "%s", error_message(r->error));
        else
                (void)snprintf(why, sizeof(why), "it answered a call with %d %.*s", r->status,
                        (int)MIN(r->body_len, (size_t)160), (const char *)r->body);
        lose(l, why);
}

static bool send_call_for(
        struct master_link *l, Mete__Agent__Call *call, http_done_handler on_done, void *userdata)
{
        _cleanup_buffer_ struct buffer b = {0};
        Mete__V1__AgentID id = METE__V1__AGENT_ID__INIT;

        id.value = l->agent->identity.agent_id;
        call->agent_id = &id;
        call->stream_id = l->stream_id;
        if (message_encode(CODEC_PROTOBUF, &call->base, &b) < 0) {
                log_error("cannot encode a call of type %d to the master", (int)call->type);
                return false;
        }
        http_client_request(l->calls, "POST", PATH, CONTENT_TYPE, CONTENT_TYPE, b.data, b.len,
                CALL_TIMEOUT_NS, on_done, userdata);
        return true;
}

static void send_call(struct master_link *l, Mete__Agent__Call *call, http_done_handler on_done)
{
        (void)send_call_for(l, call, on_done, l);
}

void master_link_update(struct master_link *l, const Mete__Agent__StatusUpdate *u)
{
        Mete__Agent__Call call = METE__AGENT__CALL__INIT;

        call.type = METE__AGENT__CALL__TYPE__UPDATE;
        call.update = (Mete__Agent__StatusUpdate *)u;
        if (l->ready)
                send_call(l, &call, on_call_done);
}

void master_link_usage(struct master_link *l, Mete__Agent__Call__Usage *u)
{
        Mete__Agent__Call call = METE__AGENT__CALL__INIT;

        call.type = METE__AGENT__CALL__TYPE__USAGE;
        call.usage = u;
        if (l->ready)
                send_call(l, &call, on_call_done);
}

void master_link_suspended(struct master_link *l, Mete__Agent__Call__Suspended *m)
{
        Mete__Agent__Call call = METE__AGENT__CALL__INIT;

        call.type = METE__AGENT__CALL__TYPE__SUSPENDED;
        call.suspended = m;
        if (master_link_ready(l))
                send_call(l, &call, on_call_done);
}

void master_link_assigned(struct master_link *l, Mete__Agent__Call__Assigned *m)
{
        Mete__Agent__Call call = METE__AGENT__CALL__INIT;

        call.type = METE__AGENT__CALL__TYPE__ASSIGNED;
        call.assigned = m;
        if (master_link_ready(l))
                send_call(l, &call, on_call_done);
}

static void on_message_done(const struct http_response *r, void *userdata)
{
        struct message_call *m = userdata;
        struct master_link *l = m->link;

        l->message_bytes -= m->len;
        free(m);
        on_call_done(r, l);
}

static bool send_message(struct master_link *l, Mete__Agent__Call *call, size_t len)
{
        struct message_call *m;

        if (!master_link_ready(l) || len > MESSAGES_WAITING_MAX ||
                l->message_bytes > MESSAGES_WAITING_MAX - len)
                return false;
        m = NEW0(struct message_call);
        *m = (struct message_call){l, len};
        l->message_bytes += len;
        if (send_call_for(l, call, on_message_done, m))
                return true;
        l->message_bytes -= len;
        free(m);
        return false;
}

void master_link_message(struct master_link *l, const char *framework_id, const char *executor_id,
        const void *data, size_t len)
{
        Mete__Agent__Call call = METE__AGENT__CALL__INIT;
        Mete__Agent__Call__Message m = METE__AGENT__CALL__MESSAGE__INIT;
        Mete__V1__FrameworkID f = METE__V1__FRAMEWORK_ID__INIT;
        Mete__V1__ExecutorID x = METE__V1__EXECUTOR_ID__INIT;

        f.value = (char *)framework_id;
        x.value = (char *)executor_id;
        m.framework_id = &f;
        m.executor_id = &x;
        m.data = (ProtobufCBinaryData){len, (uint8_t *)data};
        call.type = METE__AGENT__CALL__TYPE__MESSAGE;
        call.message = &m;
        if (!send_message(l, &call, len + MESSAGE_OVERHEAD))
                log_info("a message of executor %s is dropped: the master is away, or behind", executor_id);
}

static void send_exit(struct master_link *l, const struct executor_exit *e)
{
        Mete__Agent__Call call = METE__AGENT__CALL__INIT;
        Mete__Agent__Call__ExecutorExited m = METE__AGENT__CALL__EXECUTOR_EXITED__INIT;
        Mete__V1__FrameworkID f = METE__V1__FRAMEWORK_ID__INIT;
        Mete__V1__ExecutorID x = METE__V1__EXECUTOR_ID__INIT;

        f.value = e->framework_id;
        x.value = e->executor_id;
        m.framework_id = &f;
        m.executor_id = &x;
        m.status = e->status;
        call.type = METE__AGENT__CALL__TYPE__EXECUTOR_EXITED;
        call.executor_exited = &m;
        send_call(l, &call, on_call_done);
}

static void drop_exit(struct master_link *l)
{
        struct executor_exit *e = l->exits;

        DL_DELETE(l->exits, e);
        l->exit_count--;
        free(e->framework_id);
        free(e->executor_id);
        free(e);
}

static void flush_exits(struct master_link *l)
{
        while (l->ready && l->exits) {
                send_exit(l, l->exits);
                drop_exit(l);
        }
}

void master_link_executor_exited(
        struct master_link *l, const char *framework_id, const char *executor_id, int status)
{
        if (!l)
                return;
        struct executor_exit *e = NEW0(struct executor_exit);
        *e = (struct executor_exit){
                .framework_id = xstrdup(framework_id), .executor_id = xstrdup(executor_id), .status = status};
        DL_APPEND(l->exits, e);
        if (++l->exit_count > EXITS_MAX)
                drop_exit(l);
        flush_exits(l);
}

static void send_pong(struct master_link *l)
{
        Mete__Agent__Call call = METE__AGENT__CALL__INIT;

        call.type = METE__AGENT__CALL__TYPE__PONG;
        send_call(l, &call, on_call_done);
}

static void on_unregister_done(const struct http_response *r, void *userdata)
{
        struct master_link *l = userdata;

        if (l->on_unregistered)
                l->on_unregistered(l->on_unregistered_data);
        l->on_unregistered = NULL;
}

void master_link_unregister(struct master_link *l, void (*on_done)(void *userdata), void *userdata)
{
        Mete__Agent__Call call = METE__AGENT__CALL__INIT;

        if (!l->ready) {
                on_done(userdata);
                return;
        }
        l->on_unregistered = on_done;
        l->on_unregistered_data = userdata;
        call.type = METE__AGENT__CALL__TYPE__UNREGISTER;
        send_call(l, &call, on_unregister_done);
}

/* ---- commands ---- */

static void arm_watchdog(struct master_link *l)
{
        loop_timer_arm(l->watchdog, l->ping_interval_ns * PINGS_MISSED, 0);
}

static bool subscribed(struct master_link *l, const Mete__Agent__Command__Subscribed *s)
{
        _cleanup_error_ struct error e = {0};
        struct agent *a = l->agent;

        if (registration_accept(a, s->agent_id->value, &e) < 0) {
                lose(l, error_message(&e));
                return false;
        }
        free(l->stream_id);
        l->stream_id = xstrdup(s->stream_id);
        if (s->ping_interval_ms)
                l->ping_interval_ns = MIN(s->ping_interval_ms, (uint64_t)3600000) * NSEC_PER_MSEC;
        usage_sampler_set_interval(a->sampler, MIN(s->usage_interval_ms, (uint64_t)3600000) * NSEC_PER_MSEC);
        l->ready = true;
        l->attempt = 0;
        l->complained = false;
        log_info("registered with the master at %s:%u as agent %s", a->options->master_host,
                a->options->master_port, a->identity.agent_id);
        tasks_reconnected(a);
        flush_exits(l);
        return true;
}

/* false: the stream is to be cut. */
static bool check_epoch(struct master_link *l, const Mete__Agent__Command *cmd)
{
        _cleanup_error_ struct error e = {0};
        struct identity *i = &l->agent->identity;
        char why[160];

        if (cmd->epoch < i->highest_epoch) {
                (void)snprintf(why, sizeof(why),
                        "its command has epoch %llu but a leader of epoch %llu was seen: it is deposed and "
                        "not obeyed",
                        (unsigned long long)cmd->epoch, (unsigned long long)i->highest_epoch);
                lose(l, why);
                return false;
        }
        if (identity_raise_epoch(i, cmd->epoch, &e) < 0) {
                lose(l, error_message(&e));
                return false;
        }
        return true;
}

static bool obey(struct master_link *l, const Mete__Agent__Command *cmd)
{
        if (cmd->type == METE__AGENT__COMMAND__TYPE__SUBSCRIBED) {
                if (cmd->subscribed)
                        return subscribed(l, cmd->subscribed);
                lose(l, "its SUBSCRIBED command is empty");
                return false;
        }
        /* Of an agent that was marked gone nothing else comes. */
        if (!l->ready && cmd->type != METE__AGENT__COMMAND__TYPE__SHUTDOWN) {
                lose(l, "it sent a command before SUBSCRIBED");
                return false;
        }
        if (cmd->type == METE__AGENT__COMMAND__TYPE__PING)
                send_pong(l);
        else
                commands_execute(l->agent, cmd);
        return !l->stopped;
}

static bool on_record(const void *data, size_t len, void *userdata)
{
        _cleanup_error_ struct error e = {0};
        struct master_link *l = userdata;
        ProtobufCMessage *m;

        if (l->closing || loop_timer_armed(l->retry))
                return false;
        if (message_decode(CODEC_PROTOBUF, &mete__agent__command__descriptor, data, len, &m, &e) < 0) {
                lose(l, error_message(&e));
                return false;
        }
        arm_watchdog(l);
        const Mete__Agent__Command *cmd = (Mete__Agent__Command *)m;
        bool go_on = check_epoch(l, cmd) && obey(l, cmd);
        message_free(m);
        return go_on;
}

/* ---- connecting ---- */

static void on_stream_done(const struct http_response *r, void *userdata)
{
        struct master_link *l = userdata;
        char why[256];

        if (l->closing)
                return;
        if (r->status == 200)
                (void)snprintf(why, sizeof(why), "%s",
                        r->error ? error_message(r->error) : "it closed the connection");
        else if (r->status == 0)
                (void)snprintf(why, sizeof(why), "%s", error_message(r->error));
        else
                (void)snprintf(why, sizeof(why), "it refused the registration with %d %.*s", r->status,
                        (int)MIN(r->body_len, (size_t)160), (const char *)r->body);
        lose(l, why);
}

static int connect_both(struct master_link *l, struct error *e)
{
        const struct agent_options *o = l->agent->options;

        int r = http_client_new(l->agent->loop, o->master_host, o->master_port, &l->stream, e);
        if (r == 0)
                r = http_client_new(l->agent->loop, o->master_host, o->master_port, &l->calls, e);
        return r;
}

static void subscribe(struct master_link *l)
{
        _cleanup_error_ struct error e = {0};
        _cleanup_buffer_ struct buffer b = {0};

        drop(l);
        int r = connect_both(l, &e);
        if (r == 0)
                r = registration_encode(l->agent, &b, &e);
        if (r < 0) {
                lose(l, error_message(&e));
                return;
        }
        arm_watchdog(l);
        http_client_stream(l->stream, "POST", PATH, CONTENT_TYPE, CONTENT_TYPE, b.data, b.len,
                /* idle_timeout_ns= */ 0,
                /* on_open= */ NULL, on_record, on_stream_done, l);
}

static void on_retry(struct loop_timer *t, void *userdata)
{
        subscribe(userdata);
}

static void on_watchdog(struct loop_timer *t, void *userdata)
{
        lose(userdata, "it has been silent for five ping intervals");
}

struct master_link *master_link_new(struct agent *a)
{
        struct master_link *l = NEW0(struct master_link);

        l->agent = a;
        l->ping_interval_ns = PING_INTERVAL_DEFAULT_NS;
        l->retry = loop_timer_new(a->loop, on_retry, l);
        l->watchdog = loop_timer_new(a->loop, on_watchdog, l);
        return l;
}

void master_link_start(struct master_link *l)
{
        loop_timer_arm(l->retry, 0, 0);
}

struct master_link *master_link_free(struct master_link *l)
{
        if (!l)
                return NULL;
        l->stopped = true;
        drop(l);
        while (l->exits)
                drop_exit(l);
        loop_timer_free(l->retry);
        loop_timer_free(l->watchdog);
        free(l);
        return NULL;
}
