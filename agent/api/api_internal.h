/* What the files of the agent's API share. Loop thread. */
#pragma once

#include "agent/api/api.h"
#include "lib/base/time.h"

struct agent_executor;

/* The process name in front of routes, as in "/slave(1)/state": there is one agent per process. */
#define API_PROCESS "slave(1)"

struct agent_api {
        struct agent *agent;
        struct http_server *server;
        char *jwt_key; /* of executors' tokens; NULL: they need none */
        size_t jwt_key_len;
        struct executor_link *links;  /* each is its executor's */
        struct read_history *history; /* executors that ended */
        struct wall_time started;
};

/* Who calls an operator's call. */
struct api_caller api_identify(const struct agent *a, struct http_request *http);
/*
 * May who calls speak for the executor? A process in the executor's container may. No other task may, whatever it carries. From outside
 * of all containers: root, who has the executor's token, and with --insecure everybody.
 */
bool api_may_speak_for(
        const struct agent *a, struct http_request *http, const struct agent_executor *x, bool has_token);

int api_listen_unix(struct agent *a, struct http_server *server, struct error *e) WARN_UNUSED;
void api_executor_routes(struct agent_api *api);
/* The container has ended: keeps what /state is to show of it. */
void agent_api_remember(struct agent_api *api, const struct agent_container *c);
void api_files_routes(struct agent_api *api);
