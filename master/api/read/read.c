/* Routes of the read side, and what they have in common: who leads, who asks, and how JSON goes out. */

#include "master/api/read/read.h"

#include <stdlib.h>
#include <string.h>

/*
 * What says something about tasks is for those whom Mete's own read calls answer: see identity.c. Without PUBLIC a caller inside a task,
 * one that cannot be identified and a foreign Host are refused.
 */
enum { PUBLIC = 1, ANY_MASTER = 2, NO_SUBPATH = 4 };

struct read_row {
        const char *path; /* below the process's name too */
        const char *methods;
        unsigned flags;
        void (*handle)(struct read_call *c);
};

/* Clients of the lists POST as well. */
static const struct read_row rows[] = {
        {"/state", "GET,POST", 0, read_state},
        {"/state-summary", "GET,POST", 0, read_state_summary},
        {"/slaves", "GET,POST", 0, read_slaves},
        {"/frameworks", "GET,POST", 0, read_frameworks},
        {"/tasks", "GET,POST", 0, read_tasks},
        {"/roles", "GET,POST", 0, read_roles},
        {"/weights", "GET", 0, read_weights},
        {"/quota", "GET", 0, read_quota},
        {"/maintenance/schedule", "GET", 0, read_maintenance_schedule},
        {"/maintenance/status", "GET", 0, read_maintenance_status},
        {"/flags", "GET", ANY_MASTER, read_flags},
        {"/version", "GET", PUBLIC | ANY_MASTER, read_version},
        {"/health", "GET", PUBLIC | ANY_MASTER, read_health},
        {"/redirect", "GET", PUBLIC | ANY_MASTER | NO_SUBPATH, read_redirect},
        {"/metrics/snapshot", "GET", ANY_MASTER, read_metrics},
        {"/system/stats.json", "GET", ANY_MASTER, read_system_stats},
        {"/files", "GET", ANY_MASTER, read_files},
};

void read_refuse(struct read_call *c, int status, const char *fmt, ...)
{
        _cleanup_free_ char *text = NULL;
        va_list ap;

        va_start(ap, fmt);
        text = xvasprintf(fmt, ap);
        va_end(ap);
        http_respond_text(c->req, status, "%s", text);
        c->answered = true;
}

/* To the same path on the leader, or 503 while nobody is known to lead. */
static void go_to_leader(struct read_call *c)
{
        struct election_address leader;
        _cleanup_free_ char *to = NULL;

        if (!election_leader(c->master->election, &leader)) {
                read_refuse(c, 503, "no leading master is known");
                return;
        }
        to = xasprintf(strchr(leader.host, ':') ? "//[%s]:%u%s" : "//%s:%u%s", leader.host, leader.port,
                http_request_path(c->req));
        http_request_add_header(c->req, "Location", to);
        read_refuse(c, 307, "%s leads", leader.host);
}

static bool may_read(struct read_call *c)
{
        _cleanup_api_error_ struct api_error refusal = {};
        struct peer peer;

        if (peer_identify(c->master, c->req, &peer, &refusal) < 0) {
                read_refuse(c, refusal.status, "%s", refusal.message);
                return false;
        }
        /* A script element of another site's page would hand it our answer: what a browser keeps from it otherwise. */
        if (http_request_query(c->req, "jsonp") && http_request_is_cross_site(c->req)) {
                read_refuse(c, 403, "jsonp: pages of other sites may not read this");
                return false;
        }
        c->root = peer.uid == 0;
        return true;
}

static void serve(struct http_request *req, struct master *m, const struct read_row *row)
{
        struct read_call c = {.master = m, .req = req};

        if ((row->flags & NO_SUBPATH) && *http_request_subpath(req))
                read_refuse(&c, 404, "there is nothing at this path");
        else if (!(row->flags & ANY_MASTER) && !m->leading)
                go_to_leader(&c);
        else if ((row->flags & PUBLIC) || may_read(&c))
                row->handle(&c);
        if (!c.answered)
                http_respond_json(req, 200, c.out.data, c.out.len);
        buffer_done(&c.out);
}

static bool path_is_of(const char *path, const char *prefix)
{
        size_t len = strlen(prefix);

        return strncmp(path, prefix, len) == 0 && (path[len] == 0 || path[len] == '/');
}

static void read_endpoint(struct http_request *req, void *userdata)
{
        const char *path = http_request_path(req);

        if (path_is_of(path, "/master"))
                path += strlen("/master");
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                if (path_is_of(path, rows[i].path)) {
                        serve(req, userdata, &rows[i]);
                        return;
                }
        }
        assert(!"a route without its row");
}

void read_add_routes(struct master *m)
{
        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                http_server_route_process(
                        m->server, "master", rows[i].path, rows[i].methods, read_endpoint, m);
        http_server_route_is_prompt(m->server, "/health");
        http_server_route_is_prompt(m->server, "/master/health");
}
