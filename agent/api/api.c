#include "agent/api/api_internal.h"
#include "agent/api/executor_token.h"
#include "agent/api/read.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "lib/base/log.h"

/* What executors send has their frameworks' data in it; no call of an operator is larger than the second. */
#define BODY_MAX (2u << 20)
#define CALL_MAX (64u << 10)
#define CONNECTIONS_MAX 512
#define LISTEN_TRIES 25
#define LISTEN_PAUSE_NS (20 * 1000 * 1000)

/* ---- what may be seen ---- */

bool api_may_see(const struct api_caller *c, uid_t owner)
{
        return c->trusted || (c->known && c->uid == owner);
}

int api_sandbox_owner(const struct agent *a, const char *path, uid_t *ret)
{
        struct stat st;

        if (fstatat(a->work_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        *ret = st.st_uid;
        return 0;
}

/* ---- answers ---- */

static void respond_message(struct api_request *r, int status, const ProtobufCMessage *m)
{
        _cleanup_buffer_ struct buffer b = {0};

        if (message_encode(r->codec, m, &b) < 0) {
                http_respond_text(r->http, 500, "the answer could not be encoded");
                return;
        }
        http_respond(r->http, status, codec_content_type(r->codec), b.data, b.len);
}

void api_respond(struct api_request *r, const Mete__Api__Response *response)
{
        respond_message(r, 200, &response->base);
}

void api_refuse(struct api_request *r, int status, const char *field, const char *fmt, ...)
{
        Mete__Api__Error m = METE__API__ERROR__INIT;
        va_list ap;

        va_start(ap, fmt);
        _cleanup_free_ char *text = xvasprintf(fmt, ap);
        va_end(ap);
        m.message = text;
        m.field = (char *)field;
        respond_message(r, status, &m.base);
}

/* ---- calls ---- */

static const struct {
        Mete__Api__Call__Type type;
        bool open; /* needs no identity */
        void (*handler)(struct api_request *r);
} calls[] = {
        {METE__API__CALL__TYPE__GET_VERSION, true, api_get_version},
        {METE__API__CALL__TYPE__GET_CONTAINERS, false, api_get_containers},
        {METE__API__CALL__TYPE__READ_LOG, false, api_read_log},
};

static void dispatch(struct api_request *r)
{
        for (size_t i = 0; i < ELEMENTSOF(calls); i++) {
                if (calls[i].type != r->call->type)
                        continue;
                if (!calls[i].open && !r->caller.known && !r->caller.trusted) {
                        api_refuse(r, 403, NULL,
                                "who calls is not known here: call over loopback, not from inside a task, or "
                                "start the agent with --insecure");
                        return;
                }
                calls[i].handler(r);
                return;
        }
        api_refuse(r, 400, "type",
                "an agent answers GET_VERSION, GET_CONTAINERS and READ_LOG; other calls go to the master");
}

/* The sentence of a refused body begins with the path of the offender, up to the first colon. */
static void refuse_body(struct api_request *r, const struct error *e)
{
        const char *text = error_message(e);
        const char *colon = strchr(text, ':');
        _cleanup_free_ char *field = NULL;

        if (colon && colon > text && strcspn(text, " \"") > (size_t)(colon - text))
                field = xstrndup(text, (size_t)(colon - text));
        api_refuse(r, 400, field, "%s", text);
}

static void on_call(struct http_request *http, void *userdata)
{
        struct agent_api *api = userdata;
        struct api_request r = {.agent = api->agent, .http = http};
        _cleanup_error_ struct error e = {0};
        ProtobufCMessage *m;
        size_t len;

        enum codec in = codec_from_content_type(http_request_header(http, "Content-Type"));
        if (in < 0) {
                http_respond_text(http, 415, "Content-Type must be %s or %s", codec_content_type(CODEC_JSON),
                        codec_content_type(CODEC_PROTOBUF));
                return;
        }
        const char *accept = http_request_header(http, "Accept");
        r.codec = accept ? codec_from_accept(accept) : in;
        if (r.codec < 0) {
                http_respond_text(http, 406, "Accept must allow %s or %s", codec_content_type(CODEC_JSON),
                        codec_content_type(CODEC_PROTOBUF));
                return;
        }
        const void *body = http_request_body(http, &len);
        if (len > CALL_MAX) {
                http_respond_text(http, 413, "a call has at most %u bytes", CALL_MAX);
                return;
        }
        if (message_decode(in, &mete__api__call__descriptor, body, len, &m, &e) < 0) {
                refuse_body(&r, &e);
                return;
        }
        r.call = (const Mete__Api__Call *)m;
        r.caller = api_identify(api->agent, http);
        dispatch(&r);
        message_free(m);
}

static void on_health(struct http_request *http, void *userdata)
{
        http_respond(http, 200, NULL, NULL, 0);
}

/* The agent before us may be dying still. */
static int listen_patiently(struct agent_api *api, struct error *e)
{
        const struct agent_options *o = api->agent->options;
        const struct timespec pause = {.tv_nsec = LISTEN_PAUSE_NS};
        int r = -EADDRINUSE;

        for (int i = 0; i < LISTEN_TRIES && r == -EADDRINUSE; i++) {
                if (i > 0)
                        (void)nanosleep(&pause, NULL);
                r = http_server_listen(api->server, o->address, (uint16_t)o->port, NULL, e);
        }
        return r;
}

int agent_api_new(struct agent *a, struct agent_api **ret, struct error *e)
{
        const struct http_server_options o = {.max_body_bytes = BODY_MAX, .max_connections = CONNECTIONS_MAX};
        struct agent_api *api = NEW0(struct agent_api);

        api->agent = a;
        api->started = wall_now();
        api->history = read_history_new();
        int r = executor_token_load_key(api, e);
        if (r == 0)
                r = http_server_new(a->loop, &o, &api->server, e);
        if (r == 0) {
                http_server_route(api->server, "/mete/v1", "POST", on_call, api);
                http_server_route_process(api->server, API_PROCESS, "/health", "GET", on_health, api);
                http_server_route_is_prompt(api->server, "/health");
                api_read_routes(api);
                api_executor_routes(api);
                api_files_routes(api);
                r = listen_patiently(api, e);
                if (r == 0)
                        r = api_listen_unix(a, api->server, e);
        }
        if (r < 0) {
                agent_api_free(api);
                return r;
        }
        *ret = api;
        return 0;
}

struct agent_api *agent_api_free(struct agent_api *api)
{
        if (!api)
                return NULL;
        if (api->server)
                http_server_free(api->server);
        if (api->jwt_key)
                explicit_bzero(api->jwt_key, api->jwt_key_len);
        free(api->jwt_key);
        (void)read_history_free(api->history);
        free(api);
        return NULL;
}
