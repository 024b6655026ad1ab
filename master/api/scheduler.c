/*
 * POST /api/v1/scheduler. The order of checks is the interface: clients tell a broken call from a lost subscription by the status.
 *
 *  1  authentication failed                                  401
 *  2  a principal without a name, by claims alone            403: no authenticator here makes one
 *  3  not the leader                                         307, or 503 when no leader is known
 *  4  the leader still recovers its registry                 503: it is recovered before anything listens
 *  5  method other than POST                                 405
 *  6  no Content-Type                                        400
 *  7  the body is no Call                                    400
 *  8  Content-Type is neither of the two                     415
 *  9  the call lacks what its type needs                     400
 * 10  SUBSCRIBE, RECONCILE_OPERATIONS: Accept excludes both  406
 * 11  SUBSCRIBE with a stream id                             400
 * 12  SUBSCRIBE                                              200, refusals are ERROR events
 * 13  framework unknown                                      400
 * 14  principal is not the framework's                       400
 * 15  framework not connected                                403
 * 16  framework not one of this endpoint                     403
 * 17  stream id absent, or not the current one               400
 * 18  type UNKNOWN                                           501
 * 19  UPDATE_FRAMEWORK                                       200, 400
 * 20  everything else                                        202
 */

#include "master/api/scheduler.h"

#include <stdlib.h>
#include <string.h>

#include "master/api/credentials.h"
#include "master/frameworks/http_framework.h"

#define REALM "mesos-master-scheduler"

/* ---- who calls ---- */

static void refuse_unauthenticated(struct http_request *req, const char *why)
{
        http_request_add_header(req, "WWW-Authenticate", "Basic realm=\"" REALM "\"");
        http_respond_text(req, 401, "%s", why);
}

/*
 * Without credentials the kernel says who subscribes. A call after that is known by its stream id, which only the subscriber was
 * told: asking the kernel each time would cost more than the call.
 */
static bool authenticate(struct scheduler_call *c)
{
        _cleanup_api_error_ struct api_error refusal = {};
        const char *stream_id = http_request_header(c->req, "Mesos-Stream-Id");

        if (c->master->credentials) {
                c->principal = credentials_check(
                        c->master->credentials, http_request_header(c->req, "Authorization"));
                if (!c->principal)
                        refuse_unauthenticated(c->req, "the principal and the secret of one of the master's "
                                                       "credentials are expected");
                return c->principal != NULL;
        }
        if (stream_id && http_framework_find(c->master, stream_id))
                return true;
        if (peer_identify(c->master, c->req, &c->peer, &refusal) < 0) {
                refuse_unauthenticated(c->req, refusal.message);
                return false;
        }
        return true;
}

/* ---- the leader ---- */

static bool check_leading(struct scheduler_call *c)
{
        struct election_address leader;
        _cleanup_free_ char *location = NULL;

        if (c->master->leading && !c->master->stopping)
                return true;
        if (c->master->leading || !election_leader(c->master->election, &leader)) {
                http_respond_text(c->req, 503, "no leading master is known");
                return false;
        }
        location = xasprintf(strchr(leader.host, ':') ? "//[%s]:%u%s" : "//%s:%u%s", leader.host, leader.port,
                http_request_path(c->req));
        http_request_add_header(c->req, "Location", location);
        http_respond(c->req, 307, NULL, NULL, 0);
        return false;
}

/* ---- the form of a call ---- */

struct call_row {
        Mete__V1__Scheduler__Call__Type type;
        const char *field; /* the sub-message that the call needs; NULL: none */
        size_t offset;
        bool check_ids; /* the ids in it go to agents */
        void (*handle)(struct scheduler_call *c);
};

#define ROW(t, h, ...)                                                                                       \
        {                                                                                                    \
                METE__V1__SCHEDULER__CALL__TYPE__##t, .handle = h, __VA_ARGS__                               \
        }
#define NEEDS(f) .field = #f, .offset = offsetof(Mete__V1__Scheduler__Call, f)
static const struct call_row calls[] = {
        ROW(SUBSCRIBE, scheduler_subscribe, NEEDS(subscribe)),
        ROW(TEARDOWN, scheduler_teardown),
        ROW(ACCEPT, scheduler_accept, NEEDS(accept)),
        ROW(DECLINE, scheduler_decline, NEEDS(decline)),
        ROW(ACCEPT_INVERSE_OFFERS, scheduler_accept_inverse_offers, NEEDS(accept_inverse_offers)),
        ROW(DECLINE_INVERSE_OFFERS, scheduler_decline_inverse_offers, NEEDS(decline_inverse_offers)),
        ROW(REVIVE, scheduler_revive),
        ROW(KILL, scheduler_kill, NEEDS(kill), .check_ids = true),
        ROW(SHUTDOWN, scheduler_shutdown, NEEDS(shutdown), .check_ids = true),
        ROW(ACKNOWLEDGE, scheduler_acknowledge, NEEDS(acknowledge)),
        ROW(ACKNOWLEDGE_OPERATION_STATUS, scheduler_acknowledge_operation_status,
                NEEDS(acknowledge_operation_status)),
        ROW(RECONCILE, scheduler_reconcile, NEEDS(reconcile)),
        ROW(RECONCILE_OPERATIONS, scheduler_reconcile_operations, NEEDS(reconcile_operations)),
        ROW(MESSAGE, scheduler_message, NEEDS(message), .check_ids = true),
        ROW(REQUEST, scheduler_request, NEEDS(request)),
        ROW(SUPPRESS, scheduler_suppress),
        ROW(UPDATE_FRAMEWORK, scheduler_update_framework, NEEDS(update_framework)),
};

static const struct call_row *find_row(Mete__V1__Scheduler__Call__Type type)
{
        for (size_t i = 0; i < ELEMENTSOF(calls); i++)
                if (calls[i].type == type)
                        return &calls[i];
        return NULL;
}

static const char *id_text(const Mete__V1__FrameworkID *id)
{
        return id ? id->value : "";
}

static int check_info(const struct scheduler_call *c, const Mete__V1__FrameworkInfo *info, const char *field,
        struct error *e)
{
        if (!str_equal(id_text(c->call->framework_id), id_text(info->id)))
                return error_set(
                        e, -EINVAL, "%s.framework_info.id: expected the same as framework_id", field);
        if (c->principal && !str_empty(info->principal) && !str_equal(c->principal, info->principal))
                return error_set(e, -EINVAL,
                        "%s.framework_info.principal: expected the authenticated '%s', or none", field,
                        c->principal);
        return 0;
}

static int check_uuid(const ProtobufCBinaryData *uuid, const char *field, struct error *e)
{
        if (uuid->len == UUID_BYTES)
                return 0;
        return error_set(e, -EINVAL, "%s.uuid has %zu bytes: %d are expected", field, uuid->len, UUID_BYTES);
}

/* What single types need beyond their sub-message. */
static int check_details(const struct scheduler_call *c, struct error *e)
{
        const Mete__V1__Scheduler__Call *call = c->call;
        int r;

        switch (call->type) {
        case METE__V1__SCHEDULER__CALL__TYPE__SUBSCRIBE:
                return check_info(c, call->subscribe->framework_info, "subscribe", e);
        case METE__V1__SCHEDULER__CALL__TYPE__UPDATE_FRAMEWORK:
                return check_info(c, call->update_framework->framework_info, "update_framework", e);
        case METE__V1__SCHEDULER__CALL__TYPE__ACKNOWLEDGE:
                return check_uuid(&call->acknowledge->uuid, "acknowledge", e);
        case METE__V1__SCHEDULER__CALL__TYPE__ACKNOWLEDGE_OPERATION_STATUS:
                r = check_uuid(&call->acknowledge_operation_status->uuid, "acknowledge_operation_status", e);
                if (r >= 0 && !call->acknowledge_operation_status->agent_id)
                        r = error_set(e, -EINVAL, "acknowledge_operation_status.agent_id is expected");
                return r;
        default:
                return 0;
        }
}

/* Row 9. *ret_row is NULL for the type UNKNOWN, which is told later. */
static int check_call(const struct scheduler_call *c, const struct call_row **ret_row, struct error *e)
{
        const Mete__V1__Scheduler__Call *call = c->call;
        const struct call_row *row;
        const void *sub;

        if (!call->has_type)
                return error_set(e, -EINVAL, "type is expected");
        row = find_row(call->type);
        sub = row && row->field ? *(void *const *)((const char *)call + row->offset) : NULL;
        if (row && row->field && !sub)
                return error_set(e, -EINVAL, "the call needs the message '%s'", row->field);
        if (call->type != METE__V1__SCHEDULER__CALL__TYPE__SUBSCRIBE &&
                str_empty(id_text(call->framework_id)))
                return error_set(e, -EINVAL, "framework_id is expected");
        *ret_row = row;
        if (row && row->check_ids && message_validate_ids(sub, e) < 0) {
                (void)error_prefix(e, "%s", row->field);
                return -EINVAL;
        }
        return check_details(c, e);
}

static bool decode(struct scheduler_call *c, ProtobufCMessage **ret)
{
        const char *type = http_request_header(c->req, "Content-Type");
        _cleanup_error_ struct error error = {};
        const void *body;
        size_t len;

        if (!type) {
                http_respond_text(c->req, 400, "a Content-Type is expected");
                return false;
        }
        c->codec = codec_from_content_type(type);
        if (c->codec < 0) {
                http_respond_text(c->req, 415,
                        "Content-Type must be exactly application/json or application/x-protobuf");
                return false;
        }
        body = http_request_body(c->req, &len);
        if (len > SCHEDULER_BODY_MAX) {
                http_respond_text(c->req, 413, "the body has %zu bytes: at most %u are accepted", len,
                        SCHEDULER_BODY_MAX);
                return false;
        }
        if (message_decode(c->codec, &mete__v1__scheduler__call__descriptor, body, len, ret, &error) < 0) {
                http_respond_text(c->req, 400, "the body is not a call: %s", error_message(&error));
                return false;
        }
        c->call = (const Mete__V1__Scheduler__Call *)*ret;
        return true;
}

/* ---- the framework ---- */

/* Rows 13 to 17: NULL and a status, or the framework. */
static struct framework *find_caller(const struct scheduler_call *c, int *ret_status, const char **ret_why)
{
        const char *stream_id = http_request_header(c->req, "Mesos-Stream-Id");
        struct framework *f = framework_find(c->master, c->call->framework_id->value);

        *ret_status = 400;
        *ret_why = "framework_id: no such framework is subscribed here";
        if (!f)
                return NULL;
        *ret_why = "the framework belongs to another principal";
        if (c->principal && !str_equal(c->principal, f->info->principal))
                return NULL;
        *ret_status = 403;
        *ret_why = "the framework is not subscribed";
        if (f->state != FRAMEWORK_ACTIVE)
                return NULL;
        *ret_why = "the framework is the master's own";
        if (!f->http)
                return NULL;
        *ret_status = 400;
        *ret_why = "Mesos-Stream-Id is expected: the header of the answer to SUBSCRIBE";
        if (!stream_id)
                return NULL;
        *ret_why = "Mesos-Stream-Id is not that of the current subscription";
        return str_equal(stream_id, f->http->stream_id) ? f : NULL;
}

static bool accept_matters(const struct scheduler_call *c)
{
        return c->call->type == METE__V1__SCHEDULER__CALL__TYPE__SUBSCRIBE ||
               c->call->type == METE__V1__SCHEDULER__CALL__TYPE__RECONCILE_OPERATIONS;
}

static void dispatch(struct scheduler_call *c)
{
        bool subscribe = c->call->type == METE__V1__SCHEDULER__CALL__TYPE__SUBSCRIBE;
        _cleanup_error_ struct error error = {};
        const struct call_row *row = NULL;
        const char *why;
        int status;

        if (check_call(c, &row, &error) < 0) {
                http_respond_text(c->req, 400, "%s", error_message(&error));
                return;
        }
        if (accept_matters(c) && codec_from_accept(http_request_header(c->req, "Accept")) < 0) {
                http_respond_text(
                        c->req, 406, "Accept must allow application/json or application/x-protobuf");
                return;
        }
        if (subscribe && http_request_header(c->req, "Mesos-Stream-Id")) {
                http_respond_text(c->req, 400, "a SUBSCRIBE has no Mesos-Stream-Id: it is given one");
                return;
        }
        if (!subscribe) {
                c->framework = find_caller(c, &status, &why);
                if (!c->framework) {
                        http_respond_text(c->req, status, "%s", why);
                        return;
                }
        }
        if (!row) {
                http_respond_text(c->req, 501, "nothing is known of a call of type UNKNOWN");
                return;
        }
        count_call(c->master, c->framework, c->call->type);
        row->handle(c);
        if (!c->answered)
                http_respond(c->req, 202, NULL, NULL, 0);
}

void scheduler_endpoint(struct http_request *req, void *userdata)
{
        struct scheduler_call c = {.master = userdata, .req = req};
        ProtobufCMessage *message = NULL;

        if (!authenticate(&c) || !check_leading(&c))
                return;
        if (!str_equal(http_request_method(req), "POST")) {
                http_request_add_header(req, "Allow", "POST");
                http_respond_text(req, 405, "only POST is allowed here");
                return;
        }
        if (decode(&c, &message))
                dispatch(&c);
        message_free(message);
}
