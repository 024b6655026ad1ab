/*
 * POST /api/v1/executor: the calls of executors, checked in the order in which Mesos checks them, so that a client that relies on a status
 * gets it; and the streams that carry events to them.
 */
#include <stdlib.h>
#include <utlist.h>

#include "agent/api/api_internal.h"
#include "agent/api/executor_token.h"
#include "agent/api/executor_validate.h"
#include "agent/executors/executor.h"
#include "lib/base/log.h"
#include "proto/validate.h"

typedef Mete__V1__Executor__Call Call;
typedef Mete__V1__Executor__Event Event;

struct executor_link {
        struct agent_api *api;
        struct agent_executor *executor;
        struct http_stream *stream;
        struct loop_timer *heartbeat;
        enum codec codec;
        struct executor_link *prev, *next;
};

/* ---- links ---- */

static void link_free(struct executor_link *l)
{
        DL_DELETE(l->api->links, l);
        (void)loop_timer_free(l->heartbeat);
        free(l);
}

static void on_stream_closed(struct http_stream *s, void *userdata)
{
        struct executor_link *l = userdata;

        (void)s;
        l->stream = NULL;
        executor_unsubscribed(l->executor, l);
        link_free(l);
}

int executor_link_send(struct executor_link *l, const Event *e)
{
        _cleanup_buffer_ struct buffer b = {0};

        if (!l->stream)
                return -EPIPE;
        int r = message_encode(l->codec, &e->base, &b);
        return r < 0 ? r : http_stream_record(l->stream, b.data, b.len);
}

struct executor_link *executor_link_close(struct executor_link *l)
{
        if (!l)
                return NULL;
        /* No stream: it has just ended, the executor is being told, and the link is freed after that. */
        if (!l->stream)
                return NULL;
        http_stream_close(l->stream);
        link_free(l);
        return NULL;
}

static void on_heartbeat(struct loop_timer *t, void *userdata)
{
        struct executor_link *l = userdata;
        Event e = METE__V1__EXECUTOR__EVENT__INIT;

        (void)t;
        e.has_type = true;
        e.type = METE__V1__EXECUTOR__EVENT__TYPE__HEARTBEAT;
        if (executor_link_send(l, &e) == 0)
                return;
        log_warning("executor %s: it does not read its events: its stream is closed",
                executor_info(l->executor)->executor_id->value);
        struct http_stream *stream = TAKE_PTR(l->stream);
        executor_unsubscribed(l->executor, l);
        http_stream_close(stream);
        link_free(l);
}

static struct executor_link *link_new(
        struct agent_api *api, struct agent_executor *x, struct http_request *http, enum codec codec)
{
        uint64_t period = api->agent->options->http_heartbeat_interval_ns;
        struct executor_link *l = NEW0(struct executor_link);

        l->api = api;
        l->executor = x;
        l->codec = codec;
        l->heartbeat = loop_timer_new(api->agent->loop, on_heartbeat, l);
        loop_timer_arm(l->heartbeat, period, period);
        DL_APPEND(api->links, l);
        l->stream = http_stream_open(http, codec_content_type(codec), on_stream_closed, l);
        return l;
}

/* ---- checks ---- */

struct executor_request {
        struct agent_api *api;
        struct http_request *http;
        const Call *call;
        enum codec accept; /* of the stream */
        struct executor_token token;
        struct agent_executor *executor;
};

/* The status of a refusal, its sentence in e; 0 to go on. In the order of the table of executors' calls. */
typedef int (*executor_check)(struct executor_request *r, struct error *e);

static int refuse(struct error *e, int status, const char *sentence)
{
        (void)error_set(e, -EPERM, "%s", sentence);
        return status;
}

static int check_accept(struct executor_request *r, struct error *e)
{
        if (r->call->type != METE__V1__EXECUTOR__CALL__TYPE__SUBSCRIBE)
                return 0;
        r->accept = codec_from_accept(http_request_header(r->http, "Accept"));
        return r->accept >= 0
                       ? 0
                       : refuse(e, 406, "Accept must allow application/json or application/x-protobuf");
}

static int check_heartbeat(struct executor_request *r, struct error *e)
{
        (void)e;
        return r->call->type == METE__V1__EXECUTOR__CALL__TYPE__HEARTBEAT ? 202 : 0;
}

static int check_recovering(struct executor_request *r, struct error *e)
{
        if (r->call->type == METE__V1__EXECUTOR__CALL__TYPE__SUBSCRIBE ||
                !executors_recovering(r->api->agent))
                return 0;
        return refuse(e, 503, "this agent waits for its executors to subscribe again");
}

static int check_known(struct executor_request *r, struct error *e)
{
        const char *framework = r->call->framework_id->value, *executor = r->call->executor_id->value;

        r->executor = executor_find(r->api->agent, framework, executor);
        if (r->executor)
                return 0;
        (void)error_set(e, -ENOENT, "executor_id: there is no executor %.255s of framework %.255s here",
                executor, framework);
        return 400;
}

static int check_caller(struct executor_request *r, struct error *e)
{
        const struct executor_token *t = &r->token;
        bool has_token = r->api->jwt_key != NULL;

        if (has_token && (!str_equal(t->framework_id, r->call->framework_id->value) ||
                                 !str_equal(t->executor_id, r->call->executor_id->value) ||
                                 !str_equal(t->container_id, executor_container_id(r->executor))))
                return refuse(e, 403, "the token is another executor's");
        if (api_may_speak_for(r->api->agent, r->http, r->executor, has_token))
                return 0;
        return refuse(e, 403, "only a process in the executor's container may speak for it");
}

static int check_subscribed(struct executor_request *r, struct error *e)
{
        if (r->call->type == METE__V1__EXECUTOR__CALL__TYPE__SUBSCRIBE || executor_is_subscribed(r->executor))
                return 0;
        return refuse(e, 403, "the executor is not subscribed");
}

static const executor_check checks[] = {
        check_accept, check_heartbeat, check_recovering, check_known, check_caller, check_subscribed};

/* ---- calls ---- */

static void subscribe(struct executor_request *r)
{
        static const Mete__V1__Executor__Call__Subscribe none = METE__V1__EXECUTOR__CALL__SUBSCRIBE__INIT;
        struct executor_link *l = link_new(r->api, r->executor, r->http, r->accept);

        executor_subscribe(r->executor, l, r->call->subscribe ? r->call->subscribe : &none);
}

static void perform(struct executor_request *r)
{
        switch (r->call->type) {
        case METE__V1__EXECUTOR__CALL__TYPE__SUBSCRIBE:
                subscribe(r);
                return;
        case METE__V1__EXECUTOR__CALL__TYPE__UPDATE:
                r->api->agent->counters.valid_status_updates++;
                executor_update(r->executor, r->call->update->status);
                break;
        case METE__V1__EXECUTOR__CALL__TYPE__MESSAGE:
                executor_message(r->executor, r->call->message->data.data, r->call->message->data.len);
                break;
        default:
                http_respond_text(r->http, 501, "type: no call of an executor");
                return;
        }
        http_respond(r->http, 202, NULL, NULL, 0);
}

static void check_and_perform(struct executor_request *r)
{
        _cleanup_error_ struct error e = {0};

        for (size_t i = 0; i < ELEMENTSOF(checks); i++) {
                int status = checks[i](r, &e);
                if (status == 202) {
                        http_respond(r->http, 202, NULL, NULL, 0);
                        return;
                }
                if (status != 0) {
                        http_respond_text(r->http, status, "%s", error_message(&e));
                        return;
                }
        }
        perform(r);
}

/* Ids before anything else: they become names of files and groups. */
static int check_message(const struct agent_api *api, ProtobufCMessage *m, struct error *e)
{
        const Call *call = (const Call *)m;
        int r = message_validate_ids(m, e);

        if (r == 0)
                r = executor_call_validate(call, api->agent->identity.agent_id, e);
        if (r < 0 && call->has_type && call->type == METE__V1__EXECUTOR__CALL__TYPE__UPDATE)
                api->agent->counters.invalid_status_updates++;
        return r;
}

static bool check_token(struct executor_request *r)
{
        if (!r->api->jwt_key || executor_token_verify(r->api, http_request_header(r->http, "Authorization"),
                                        wall_now(), &r->token) == 0)
                return true;
        http_request_add_header(r->http, "WWW-Authenticate", "Bearer realm=\"mesos-agent-executor\"");
        http_respond_text(r->http, 401,
                "a token is wanted: Authorization: Bearer, and what "
                "MESOS_EXECUTOR_AUTHENTICATION_TOKEN has");
        return false;
}

static void decode_and_check(struct executor_request *r)
{
        const char *type = http_request_header(r->http, "Content-Type");
        enum codec in = codec_from_content_type(type);
        _cleanup_error_ struct error e = {0};
        ProtobufCMessage *m = NULL;
        size_t len;

        if (in < 0) {
                http_respond_text(r->http, type ? 415 : 400,
                        "Content-Type must be application/json or application/x-protobuf");
                return;
        }
        const void *body = http_request_body(r->http, &len);
        if (message_decode(in, &mete__v1__executor__call__descriptor, body, len, &m, &e) < 0 ||
                check_message(r->api, m, &e) < 0) {
                http_respond_text(r->http, 400, "%s", error_message(&e));
        } else {
                r->call = (const Call *)m;
                check_and_perform(r);
        }
        message_free(m);
}

static void on_call(struct http_request *http, void *userdata)
{
        struct executor_request r = {.api = userdata, .http = http};

        if (!r.api->agent->identity.agent_id) {
                http_respond_text(http, 503, "this agent has not registered with a master yet");
                return;
        }
        if (!check_token(&r))
                return;
        if (!str_equal(http_request_method(http), "POST"))
                http_respond_method_not_allowed(http, "POST");
        else
                decode_and_check(&r);
        executor_token_done(&r.token);
}

void api_executor_routes(struct agent_api *api)
{
        http_server_route_process(
                api->server, API_PROCESS, "/api/v1/executor", HTTP_METHODS_ALL, on_call, api);
}
