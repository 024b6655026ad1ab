/*
 * Calls of an executor, up to where the agent believes them: byte 0 picks the encoding, the rest is the body. What passes has all that the
 * handlers behind it look at.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/api/executor_validate.h"
#include "lib/base/id.h"
#include "lib/net/codec.h"
#include "proto/validate.h"

#define AGENT "agent-S0"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef Mete__V1__Executor__Call Call;

static void must_be_legal(const Mete__V1__TaskStatus *s, const Call *call)
{
        if (!s || !s->task_id || !s->has_uuid || s->uuid.len != UUID_BYTES ||
                !task_state_to_string(s->state) || s->state == METE__V1__TASK_STATE__TASK_STAGING ||
                s->source != METE__V1__TASK_STATUS__SOURCE__SOURCE_EXECUTOR)
                abort();
        if (id_validate(s->task_id->value, "task_id", NULL) < 0 ||
                (s->agent_id && !str_equal(s->agent_id->value, AGENT)) ||
                (s->executor_id && !str_equal(s->executor_id->value, call->executor_id->value)))
                abort();
}

static void check(const Call *call)
{
        const Mete__V1__Executor__Call__Subscribe *s = call->subscribe;

        if (id_validate(call->executor_id->value, "executor_id", NULL) < 0 ||
                id_validate(call->framework_id->value, "framework_id", NULL) < 0)
                abort();
        if (call->type == METE__V1__EXECUTOR__CALL__TYPE__UPDATE)
                must_be_legal(call->update->status, call);
        for (size_t i = 0; call->type == METE__V1__EXECUTOR__CALL__TYPE__SUBSCRIBE && s &&
                           i < s->n_unacknowledged_updates;
                i++)
                must_be_legal(s->unacknowledged_updates[i]->status, call);
        if (call->type == METE__V1__EXECUTOR__CALL__TYPE__MESSAGE && !call->message)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_error_ struct error e = {};
        ProtobufCMessage *m = NULL;
        int r;

        if (!size)
                return 0;
        if (message_decode(data[0] & 1 ? CODEC_JSON : CODEC_PROTOBUF, &mete__v1__executor__call__descriptor,
                    data + 1, size - 1, &m, &e) < 0)
                return 0;
        r = message_validate_ids(m, &e);
        if (r >= 0)
                r = executor_call_validate((const Call *)m, AGENT, &e);
        if ((r < 0) != (e.message != NULL))
                abort();
        if (r >= 0)
                check((const Call *)m);
        message_free(m);
        return 0;
}
