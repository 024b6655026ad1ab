/* What a call of an executor must have to be looked at: pure, over the decoded message. */
#pragma once

#include "lib/base/error.h"
#include "proto/executor.pb-c.h"

/* -EINVAL with a sentence that names the field. agent_id: ours. */
int executor_call_validate(
        const Mete__V1__Executor__Call *call, const char *agent_id, struct error *e) WARN_UNUSED;
