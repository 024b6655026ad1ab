#include "agent/api/executor_validate.h"

#include "lib/base/id.h"
#include "proto/validate.h"

typedef Mete__V1__Executor__Call Call;

/* All updates that an executor sends, in UPDATE and in SUBSCRIBE, obey the same. */
static int check_status(const Mete__V1__TaskStatus *s, const Call *call, const char *agent_id,
        const char *field, struct error *e)
{
        if (!s->has_uuid || s->uuid.len != UUID_BYTES)
                return error_set(e, -EINVAL, "%s.uuid: expected %d bytes", field, UUID_BYTES);
        if (!s->has_source || s->source != METE__V1__TASK_STATUS__SOURCE__SOURCE_EXECUTOR)
                return error_set(e, -EINVAL, "%s.source: expected SOURCE_EXECUTOR", field);
        if (s->state == METE__V1__TASK_STATE__TASK_STAGING)
                return error_set(e, -EINVAL, "%s.state: TASK_STAGING is not an executor's to report", field);
        if (s->executor_id && !str_equal(s->executor_id->value, call->executor_id->value))
                return error_set(e, -EINVAL, "%s.executor_id: \"%.255s\" is not the caller's, \"%.255s\"",
                        field, s->executor_id->value, call->executor_id->value);
        if (s->agent_id && !str_equal(s->agent_id->value, agent_id))
                return error_set(e, -EINVAL, "%s.agent_id: \"%.255s\" is not this agent, \"%.255s\"", field,
                        s->agent_id->value, agent_id);
        return 0;
}

static int check_subscribe(const Call *call, const char *agent_id, struct error *e)
{
        const Mete__V1__Executor__Call__Subscribe *s = call->subscribe;

        /* Absent is fine: there are executors that leave it out. */
        for (size_t i = 0; s && i < s->n_unacknowledged_updates; i++) {
                _cleanup_free_ char *field = xasprintf("subscribe.unacknowledged_updates[%zu].status", i);
                int r = check_status(s->unacknowledged_updates[i]->status, call, agent_id, field, e);
                if (r < 0)
                        return r;
        }
        return 0;
}

int executor_call_validate(const Call *call, const char *agent_id, struct error *e)
{
        if (!call->has_type)
                return error_set(e, -EINVAL, "type: expected SUBSCRIBE, UPDATE, MESSAGE or HEARTBEAT");
        switch (call->type) {
        case METE__V1__EXECUTOR__CALL__TYPE__SUBSCRIBE:
                return check_subscribe(call, agent_id, e);
        case METE__V1__EXECUTOR__CALL__TYPE__UPDATE:
                if (!call->update)
                        return error_set(e, -EINVAL, "update: UPDATE needs it");
                return check_status(call->update->status, call, agent_id, "update.status", e);
        case METE__V1__EXECUTOR__CALL__TYPE__MESSAGE:
                return call->message ? 0 : error_set(e, -EINVAL, "message: MESSAGE needs it");
        default:
                return 0;
        }
}
