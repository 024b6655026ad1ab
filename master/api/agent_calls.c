/*
 * POST /mete/v1/agent: what agents say. A SUBSCRIBE must come from root on this machine; later calls carry the stream id that only the
 * subscriber was told.
 */

#include <string.h>

#include "master/api/api.h"
#include "master/assignment.h"

static bool check_subscribe(struct http_request *req, const struct master *m, const Mete__Agent__Call *call)
{
        _cleanup_api_error_ struct api_error refusal = {};
        struct peer peer;

        if (peer_identify(m, req, &peer, &refusal) < 0) {
                http_respond_text(req, 403, "%s", refusal.message);
                return false;
        }
        if (peer.uid != 0 && !m->options->insecure) {
                http_respond_text(req, 403, "agents run as root; you are %s", peer.name);
                return false;
        }
        if (!call->subscribe) {
                http_respond_text(req, 400, "the call needs the message 'subscribe'");
                return false;
        }
        if (!m->leading) {
                http_respond_text(req, 503, "this master does not lead");
                return false;
        }
        return true;
}

/* The caller of everything but SUBSCRIBE. */
static struct agent *check_caller(
        struct http_request *req, const struct master *m, const Mete__Agent__Call *call)
{
        struct agent *a = call->agent_id ? agent_find(m, call->agent_id->value) : NULL;

        if (!a || !a->stream || str_empty(call->stream_id) ||
                strlen(call->stream_id) != strlen(a->stream_id) ||
                memcmp(call->stream_id, a->stream_id, strlen(a->stream_id)) != 0) {
                http_respond_text(req, 403,
                        "agent_id or stream_id is not that of a current subscription: subscribe again");
                return NULL;
        }
        return a;
}

static const char *check_update(const Mete__Agent__StatusUpdate *u)
{
        if (!u)
                return "the call needs the message 'update'";
        if (u->status->has_uuid && u->status->uuid.len != UUID_BYTES)
                return "update.status.uuid: 16 bytes are expected";
        if (!task_state_to_string(u->status->state) ||
                (u->has_latest_state && !task_state_to_string(u->latest_state)))
                return "update.status.state, update.latest_state: unknown";
        return NULL;
}

static void take_usage(struct agent *a, const Mete__Agent__Call__Usage *usage)
{
        for (size_t i = 0; i < usage->n_rows; i++) {
                const Mete__Agent__Call__Usage__Row *row = usage->rows[i];
                struct framework *f = framework_find(a->master, row->framework_id->value);
                struct task *t = f ? task_find(f, row->task_id->value) : NULL;

                if (t && t->agent == a && f->ops && f->ops->usage)
                        f->ops->usage(f, t->id, row->usage);
        }
}

static const char *take_message(struct agent *a, const Mete__Agent__Call__Message *message)
{
        struct master_counters *counters = &a->master->counters;
        struct framework *f;

        if (!message)
                return "the call needs the message 'message'";
        f = framework_find(a->master, message->framework_id->value);
        if (!f || !f->ops || !f->ops->message || f->state != FRAMEWORK_ACTIVE) {
                counters->invalid_messages_to_framework++;
                return NULL; /* at most once */
        }
        counters->messages_to_framework++;
        f->ops->message(f, a, message->executor_id->value, message->data.data, message->data.len);
        return NULL;
}

static const char *take_executor_exited(struct agent *a, const Mete__Agent__Call__ExecutorExited *exited)
{
        struct executor *x;

        if (!exited)
                return "the call needs the message 'executor_exited'";
        x = executor_find(a, exited->framework_id->value, exited->executor_id->value);
        if (x)
                executor_exited(x, exited->status);
        return NULL;
}

static const char *take_suspended(struct agent *a, const Mete__Agent__Call__Suspended *suspended)
{
        struct framework *f;
        struct task *t;

        if (!suspended)
                return "the call needs the message 'suspended'";
        f = framework_find(a->master, suspended->framework_id->value);
        t = f ? task_find(f, suspended->task_id->value) : NULL;
        if (t && t->agent == a && f->ops && f->ops->suspended)
                f->ops->suspended(f, a, t, suspended);
        return NULL;
}

static void handle_call(struct master *m, struct http_request *req, const Mete__Agent__Call *call)
{
        struct agent *a;
        const char *wrong = NULL;

        if (call->type == METE__AGENT__CALL__TYPE__SUBSCRIBE) {
                if (check_subscribe(req, m, call))
                        agent_subscribe(m, req, call);
                return;
        }
        a = check_caller(req, m, call);
        if (!a)
                return;
        agent_alive(a);
        if ((unsigned)call->type < COUNTED_TYPES)
                m->counters.agent_calls[call->type]++;
        switch (call->type) {
        case METE__AGENT__CALL__TYPE__UPDATE:
                wrong = check_update(call->update);
                if (!wrong)
                        tasks_update(a, call->update);
                break;
        case METE__AGENT__CALL__TYPE__USAGE:
                if (call->usage)
                        take_usage(a, call->usage);
                else
                        wrong = "the call needs the message 'usage'";
                break;
        case METE__AGENT__CALL__TYPE__PONG:
                break;
        case METE__AGENT__CALL__TYPE__MESSAGE:
                wrong = take_message(a, call->message);
                break;
        case METE__AGENT__CALL__TYPE__EXECUTOR_EXITED:
                wrong = take_executor_exited(a, call->executor_exited);
                break;
        case METE__AGENT__CALL__TYPE__ASSIGNED:
                if (call->assigned)
                        agent_take_assigned(a, call->assigned);
                else
                        wrong = "the call needs the message 'assigned'";
                break;
        case METE__AGENT__CALL__TYPE__SUSPENDED:
                wrong = take_suspended(a, call->suspended);
                break;
        case METE__AGENT__CALL__TYPE__UNREGISTER:
                agent_unregister(a);
                break;
        default:
                wrong = "unknown type of call";
        }
        if (wrong)
                http_respond_text(req, 400, "%s", wrong);
        else
                http_respond(req, 202, NULL, NULL, 0);
}

void agent_endpoint(struct http_request *req, void *userdata)
{
        const char *type = http_request_header(req, "Content-Type");
        _cleanup_error_ struct error error = {};
        ProtobufCMessage *call = NULL;
        const void *body;
        size_t len;

        if (!type || codec_from_content_type(type) != CODEC_PROTOBUF) {
                http_respond_text(req, type ? 415 : 400, "Content-Type must be application/x-protobuf");
                return;
        }
        body = http_request_body(req, &len);
        if (message_decode(CODEC_PROTOBUF, &mete__agent__call__descriptor, body, len, &call, &error) < 0 ||
                message_validate_ids(call, &error) < 0)
                http_respond_text(req, 400, "the body is not an agent's call: %s", error_message(&error));
        else
                handle_call(userdata, req, (Mete__Agent__Call *)call);
        message_free(call);
}
