/*
 * Tokens of executors (--authenticate-http-executors): a JSON Web Token with the ids of framework, executor and container, put into the
 * executor's environment and shown with each of its calls. Loop thread.
 */
#pragma once

#include "agent/agent.h"
#include "lib/base/time.h"

struct agent_api;

/* For MESOS_EXECUTOR_AUTHENTICATION_TOKEN. The caller frees. NULL when executors are not authenticated. */
char *executor_token_new(
        const struct agent *a, const char *framework_id, const char *executor_id, const char *container_id);

/* What a valid token says; all owned. */
struct executor_token {
        char *framework_id, *executor_id, *container_id;
};
void executor_token_done(struct executor_token *t);
#define _cleanup_executor_token_ CLEANUP(executor_token_done)

/* Reads the secret, if the options ask for tokens: a regular file of ours that nobody else may read. */
int executor_token_load_key(struct agent_api *api, struct error *e) WARN_UNUSED;
/* Value of an Authorization header, may be NULL: "Bearer <token>". -EBADMSG or -EKEYEXPIRED. */
int executor_token_verify(const struct agent_api *api, const char *authorization, struct wall_time now,
        struct executor_token *ret) WARN_UNUSED;
