#include <stdlib.h>
#include <string.h>

#include "master/api/api.h"
#include "master/api/read/read.h"

void api_respond(struct http_request *req, enum codec codec, int status, const ProtobufCMessage *message)
{
        _cleanup_buffer_ struct buffer out = {};

        if (message_encode(codec, message, &out) < 0) {
                http_respond_text(req, 500, "the answer could not be encoded");
                return;
        }
        http_respond(req, status, codec_content_type(codec), out.data, out.len);
}

static void refuse(
        struct http_request *req, enum codec codec, int status, const char *field, const char *message)
{
        Mete__Api__Error error = METE__API__ERROR__INIT;

        error.message = (char *)message;
        error.field = (char *)field;
        api_respond(req, codec, status, &error.base);
}

void api_refuse(
        struct http_request *req, enum codec codec, int status, const char *field, const char *fmt, ...)
{
        _cleanup_free_ char *message = NULL;
        va_list ap;

        va_start(ap, fmt);
        message = xvasprintf(fmt, ap);
        va_end(ap);
        refuse(req, codec, status, field, message);
}

void api_refuse_with(struct http_request *req, enum codec codec, const struct api_error *x)
{
        refuse(req, codec, x->status, x->field, x->message);
}

/* ---- calls ---- */

struct call_row {
        Mete__Api__Call__Type type;
        const char *field; /* the sub-message that the call needs; NULL: none */
        size_t offset;
        void (*handle)(struct api_call *c);
};

#define NEEDS(f) .field = #f, .offset = offsetof(Mete__Api__Call, f)
static const struct call_row calls[] = {
        {METE__API__CALL__TYPE__SUBMIT, NEEDS(submit), .handle = call_submit},
        {METE__API__CALL__TYPE__LIST_JOBS, .handle = call_list_jobs},
        {METE__API__CALL__TYPE__GET_JOB, NEEDS(get_job), .handle = call_get_job},
        {METE__API__CALL__TYPE__KILL, NEEDS(kill), .handle = call_kill},
        {METE__API__CALL__TYPE__EXPLAIN, NEEDS(explain), .handle = call_explain},
        {METE__API__CALL__TYPE__PLAN, NEEDS(plan), .handle = call_plan},
        {METE__API__CALL__TYPE__HISTORY, .handle = call_history},
        {METE__API__CALL__TYPE__JOB_STATS, NEEDS(job_stats), .handle = call_job_stats},
        {METE__API__CALL__TYPE__SUSPEND, NEEDS(suspend), .handle = call_suspend},
        {METE__API__CALL__TYPE__RESUME, NEEDS(resume), .handle = call_resume},
        {METE__API__CALL__TYPE__LIST_QUEUES, .handle = call_list_queues},
        {METE__API__CALL__TYPE__SET_QUEUE, NEEDS(set_queue), .handle = call_set_queue},
        {METE__API__CALL__TYPE__REMOVE_QUEUE, NEEDS(remove_queue), .handle = call_remove_queue},
        {METE__API__CALL__TYPE__WAIT, NEEDS(wait), .handle = call_wait},
        {METE__API__CALL__TYPE__LIST_TASKS, .handle = call_list_tasks},
        {METE__API__CALL__TYPE__GET_TASK, NEEDS(get_task), .handle = call_get_task},
        {METE__API__CALL__TYPE__LIST_AGENTS, .handle = call_list_agents},
        {METE__API__CALL__TYPE__SUBSCRIBE, .handle = call_subscribe},
        {METE__API__CALL__TYPE__GET_VERSION, .handle = call_get_version},
        {METE__API__CALL__TYPE__MARK_AGENT_GONE, NEEDS(mark_agent_gone), .handle = call_mark_agent_gone},
        {METE__API__CALL__TYPE__DRAIN_AGENT, NEEDS(drain_agent), .handle = call_drain_agent},
        {METE__API__CALL__TYPE__DEACTIVATE_AGENT, NEEDS(deactivate_agent), .handle = call_deactivate_agent},
        {METE__API__CALL__TYPE__REACTIVATE_AGENT, NEEDS(reactivate_agent), .handle = call_reactivate_agent},
        {METE__API__CALL__TYPE__LIST_ROLES, .handle = call_list_roles},
        {METE__API__CALL__TYPE__SET_QUOTA, NEEDS(set_quota), .handle = call_set_quota},
        {METE__API__CALL__TYPE__SET_WEIGHT, NEEDS(set_weight), .handle = call_set_weight},
        {METE__API__CALL__TYPE__RESERVE, NEEDS(reserve), .handle = call_reserve},
        {METE__API__CALL__TYPE__UNRESERVE, NEEDS(unreserve), .handle = call_unreserve},
        {METE__API__CALL__TYPE__CREATE_VOLUME, NEEDS(create_volume), .handle = call_create_volume},
        {METE__API__CALL__TYPE__DESTROY_VOLUME, NEEDS(destroy_volume), .handle = call_destroy_volume},
        {METE__API__CALL__TYPE__RESIZE_VOLUME, NEEDS(resize_volume), .handle = call_resize_volume},
        {METE__API__CALL__TYPE__LIST_VOLUMES, .handle = call_list_volumes},
        {METE__API__CALL__TYPE__LIST_MAINTENANCE, .handle = call_list_maintenance},
        {METE__API__CALL__TYPE__SCHEDULE_MAINTENANCE, NEEDS(schedule_maintenance),
                .handle = call_schedule_maintenance},
        {METE__API__CALL__TYPE__CANCEL_MAINTENANCE, NEEDS(cancel_maintenance),
                .handle = call_cancel_maintenance},
};

static void dispatch(struct api_call *c)
{
        for (size_t i = 0; i < ELEMENTSOF(calls); i++) {
                const struct call_row *row = &calls[i];

                if (row->type != c->call->type)
                        continue;
                if (row->field && !*(void *const *)((const char *)c->call + row->offset))
                        api_refuse(c->req, c->codec, 400, row->field, "the call needs the message '%s'",
                                row->field);
                else
                        row->handle(c);
                return;
        }
        if (c->call->type == METE__API__CALL__TYPE__READ_LOG ||
                c->call->type == METE__API__CALL__TYPE__GET_CONTAINERS)
                api_refuse(c->req, c->codec, 400, "type",
                        "this call goes to the agent: see agent_address of the task");
        else
                api_refuse(c->req, c->codec, 400, "type", "unknown type of call");
}

/* Content-Type and Accept; answers what cannot be used. */
static bool negotiate(struct http_request *req, enum codec *ret_in, enum codec *ret_out)
{
        const char *type = http_request_header(req, "Content-Type");
        enum codec out = codec_from_accept(http_request_header(req, "Accept"));
        enum codec in = type ? codec_from_content_type(type) : CODEC_INVALID;

        if (in < 0) {
                api_refuse(req, out < 0 ? CODEC_JSON : out, type ? 415 : 400, NULL,
                        "Content-Type must be application/json or application/x-protobuf, not %s",
                        type ? type : "missing");
                return false;
        }
        if (out < 0) {
                api_refuse(req, CODEC_JSON, 406, NULL,
                        "Accept must allow application/json or application/x-protobuf");
                return false;
        }
        *ret_in = in;
        *ret_out = http_request_header(req, "Accept") ? out : in;
        return true;
}

static void mete_endpoint(struct http_request *req, void *userdata)
{
        struct api_call c = {.master = userdata, .req = req};
        _cleanup_api_error_ struct api_error refusal = {};
        _cleanup_error_ struct error error = {};
        ProtobufCMessage *message = NULL;
        enum codec in;
        const void *body;
        size_t len;

        if (*http_request_subpath(req) && !str_equal(http_request_subpath(req), "/")) {
                http_respond_text(req, 404, "nothing is here: calls go to /mete/v1");
                return;
        }
        if (!negotiate(req, &in, &c.codec))
                return;
        body = http_request_body(req, &len);
        if (len > API_BODY_MAX) {
                api_refuse(req, c.codec, 413, NULL, "the body has %zu bytes: at most %u are accepted", len,
                        API_BODY_MAX);
                return;
        }
        if (peer_identify(c.master, req, &c.peer, &refusal) < 0) {
                api_refuse_with(req, c.codec, &refusal);
                return;
        }
        if (message_decode(in, &mete__api__call__descriptor, body, len, &message, &error) < 0) {
                api_refuse(req, c.codec, 400, NULL, "the body is not a call: %s", error_message(&error));
                return;
        }
        c.call = (const Mete__Api__Call *)message;
        dispatch(&c);
        message_free(message);
}

void api_add_routes(struct master *m)
{
        http_server_route(m->server, "/mete/v1", "POST", mete_endpoint, m);
        http_server_route(m->server, "/mete/v1/agent", "POST", agent_endpoint, m);
        /* Every method: who calls and who leads is answered before what may be called. */
        http_server_route_process(m->server, "master", "/api/v1/scheduler",
                "GET,HEAD,POST,PUT,DELETE,OPTIONS,TRACE,CONNECT,PATCH", scheduler_endpoint, m);
        read_add_routes(m);
}

void api_stop(struct master *m)
{
        waiters_stop(m);
}
