#include "agent/api/read.h"

#include <stdlib.h>
#include <string.h>

/* Names no task. */
#define PUBLIC 1

static const struct read_row {
        const char *path;
        unsigned flags;
        void (*handle)(struct read_call *c);
} rows[] = {
        {"/state", 0, api_read_state},
        {"/flags", 0, api_read_flags},
        {"/version", PUBLIC, api_read_version},
        {"/monitor/statistics", 0, api_read_statistics},
        {"/containers", 0, api_read_containers},
        {"/metrics/snapshot", PUBLIC, api_read_metrics},
};

static void serve(struct http_request *http, struct agent *a, const struct read_row *row)
{
        struct read_call c = {.agent = a, .http = http};
        struct api_caller caller = api_identify(a, http);

        if (*http_request_subpath(http)) {
                http_respond_text(http, 404, "there is nothing at this path");
                return;
        }
        if (!(row->flags & PUBLIC) && !caller.known && !caller.trusted) {
                http_respond_text(http, 403,
                        "who calls is not known here: call on this machine, not from inside a task, or start "
                        "the "
                        "agent with --insecure");
                return;
        }
        row->handle(&c);
        http_respond_json(http, 200, c.out.data, c.out.len);
        buffer_done(&c.out);
}

static void on_read(struct http_request *http, void *userdata)
{
        const char *path = http_request_path(http);

        if (str_has_prefix(path, "/" API_PROCESS "/"))
                path += strlen("/" API_PROCESS);
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                size_t n = strlen(rows[i].path);
                if (str_has_prefix(path, rows[i].path) && (path[n] == '/' || path[n] == '\0')) {
                        serve(http, userdata, &rows[i]);
                        return;
                }
        }
        assert(!"a route without its row");
}

void api_read_routes(struct agent_api *api)
{
        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                http_server_route_process(api->server, API_PROCESS, rows[i].path, "GET", on_read, api->agent);
}
