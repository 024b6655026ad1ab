/*
 * The agent's HTTP API, over TCP and a unix socket: POST /mete/v1, the executors' POST /api/v1/executor, what is only read (/state and its
 * kin, /files, /health). Loop thread. A caller is known by the owner of the other end of its connection and its cgroup: root reads
 * everything, others the tasks that run as them, a task nothing.
 */
#pragma once

#include "agent/agent.h"
#include "lib/net/codec.h"
#include "lib/net/http_server.h"
#include "proto/mete.pb-c.h"

int agent_api_new(struct agent *a, struct agent_api **ret, struct error *e) WARN_UNUSED;
struct agent_api *agent_api_free(struct agent_api *api);
/* The container has ended: whoever follows its output gets the rest at once. */
void agent_api_container_ended(struct agent *a, const char *container_id);
/* The end of an executor's task is acknowledged: it will be forgotten, but for what /state shows of it. */
void agent_api_task_done(struct agent *a, const struct agent_task *t);

/* ---- for the call handlers ---- */

struct api_caller {
        bool known;
        bool trusted; /* root, or --insecure: everything */
        uid_t uid;
};

struct api_request {
        struct agent *agent;
        struct http_request *http;
        const Mete__Api__Call *call;
        enum codec codec; /* of the answer */
        struct api_caller caller;
};

void api_respond(struct api_request *r, const Mete__Api__Response *response);
/* An api.Error; field may be NULL. */
void api_refuse(struct api_request *r, int status, const char *field, const char *fmt, ...) PRINTF_LIKE(4, 5);
/* May the caller see what belongs to this user? */
bool api_may_see(const struct api_caller *c, uid_t owner);
/* Owner of a sandbox (path below the work dir), -errno. */
int api_sandbox_owner(const struct agent *a, const char *path, uid_t *ret) WARN_UNUSED;

void api_get_version(struct api_request *r);
void api_get_containers(struct api_request *r);
void api_read_log(struct api_request *r);
