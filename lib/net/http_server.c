#include "lib/net/http_server.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/net/http_internal.h"

const struct timeval *http_server_idle_timeout(const struct http_server *s)
{
        return &s->idle_timeout;
}

/* ---- routes ---- */

/* Is `method` in the comma list? Whoever answers GET answers HEAD: evhttp leaves the body out. */
static bool methods_have(const char *methods, const char *method)
{
        const char *wanted = str_equal(method, "HEAD") && !strstr(methods, "HEAD") ? "GET" : method;
        size_t len = strlen(wanted);

        for (const char *p = methods; len > 0 && p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL) {
                p += strspn(p, " ");
                if (strncmp(p, wanted, len) == 0 && strchr(", ", p[len]))
                        return true;
        }
        return false;
}

static bool prefix_matches(const char *prefix, const char *path)
{
        size_t len = strlen(prefix);

        return strncmp(path, prefix, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

/* The longest prefix; where it has several rows, the one with the method. */
static const struct route *route_find(const struct http_server *s, const char *path, const char *method)
{
        const struct route *best = NULL;
        size_t best_len = 0;

        for (size_t i = 0; i < s->route_count; i++) {
                const struct route *route = &s->routes[i];
                size_t len = strlen(route->prefix);

                if (!prefix_matches(route->prefix, path) || (best && len < best_len))
                        continue;
                if (best && len == best_len && methods_have(best->methods, method))
                        continue;
                best = route;
                best_len = len;
        }
        return best;
}

static char *allowed_methods(const struct http_server *s, const char *prefix)
{
        _cleanup_buffer_ struct buffer b = {};

        for (size_t i = 0; i < s->route_count; i++)
                if (str_equal(s->routes[i].prefix, prefix))
                        for (const char *p = s->routes[i].methods; *p; p++)
                                if (p == s->routes[i].methods || *p == ',')
                                        buffer_printf(&b, "%s%.*s", b.len > 0 ? ", " : "",
                                                (int)strcspn(p + (*p == ','), ","), p + (*p == ','));
        return buffer_take(&b);
}

void http_server_route(
        struct http_server *s, const char *prefix, const char *methods, http_handler handler, void *userdata)
{
        size_t len = strlen(prefix);

        while (len > 0 && prefix[len - 1] == '/')
                len--;
        s->routes = xrealloc(s->routes, (s->route_count + 1) * sizeof(*s->routes));
        s->routes[s->route_count++] = (struct route){
                .prefix = xstrndup(prefix, len),
                .methods = xstrdup(methods),
                .handler = handler,
                .userdata = userdata,
        };
}

void http_server_route_is_prompt(struct http_server *s, const char *prefix)
{
        for (size_t i = 0; i < s->route_count; i++)
                if (str_equal(s->routes[i].prefix, prefix))
                        s->routes[i].prompt = true;
}

void http_server_route_process(struct http_server *s, const char *process, const char *prefix,
        const char *methods, http_handler handler, void *userdata)
{
        _cleanup_free_ char *prefixed = xasprintf("/%s%s", process, prefix);

        http_server_route(s, prefix, methods, handler, userdata);
        http_server_route(s, prefixed, methods, handler, userdata);
}

static bool has_parent_segment(const char *path)
{
        for (const char *p = path; (p = strstr(p, "..")); p += 2)
                if ((p == path || p[-1] == '/') && (p[2] == '\0' || p[2] == '/'))
                        return true;
        return false;
}

/* The decoded path, or NULL when there is none that a route could have. */
static char *decode_path(struct evhttp_request *message)
{
        const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(message);
        const char *raw = uri ? evhttp_uri_get_path(uri) : NULL;
        _cleanup_free_ char *path = NULL;
        size_t len = 0;

        if (!raw)
                return NULL;
        path = evhttp_uridecode(raw, /* decode_plus= */ 0, &len);
        if (!path || path[0] != '/' || strlen(path) != len || has_parent_segment(path))
                return NULL;
        return TAKE_PTR(path);
}

/*
 * A message whose end two readers could see at different places is refused: with a proxy before us it would
 * smuggle a second request. What is left of it may still be on the wire, so the connection ends with the
 * answer.
 */
static const char *framing_problem(const struct http_request *r)
{
        const char *encoding = http_request_header(r, "Transfer-Encoding");

        if (!encoding)
                return NULL;
        if (strcasecmp(encoding, "chunked") != 0)
                return "the only Transfer-Encoding accepted is chunked";
        if (http_request_header(r, "Content-Length"))
                return "a request with Transfer-Encoding must not have a Content-Length";
        return NULL;
}

static void refuse_and_close(struct http_request *r, int status, const char *text)
{
        http_request_add_header(r, "Connection", "close");
        http_respond_text(r, status, "%s", text);
}

/* What is asked promptly is answered from the descriptors in reserve: who asks whether we live is not told "later". */
static bool has_place(const struct http_server *s, struct http_request *r, const struct route *route)
{
        if (HASH_COUNT(s->connections) <= s->max_connections)
                return true;
        if (route && route->prompt) {
                http_request_add_header(r, "Connection", "close");
                return true;
        }
        refuse_and_close(r, 503, "too many connections: try again later");
        return false;
}

static void route_request(struct http_server *s, struct http_request *r)
{
        const struct route *route;

        r->path = decode_path(r->message);
        route = r->path ? route_find(s, r->path, http_request_method(r)) : NULL;
        if (!has_place(s, r, route))
                return;
        if (!route) {
                http_respond_text(r, 404, "there is nothing at this path");
                return;
        }
        if (!methods_have(route->methods, http_request_method(r))) {
                _cleanup_free_ char *allow = allowed_methods(s, route->prefix);

                http_respond_method_not_allowed(r, allow);
                return;
        }
        r->prefix_len = strlen(route->prefix);
        r->route = (size_t)(route - s->routes);
        if (r->connection->prompt && !route->prompt)
                http_request_wait_turn(r);
        else
                http_request_carry_out(r);
}

void http_request_carry_out(struct http_request *r)
{
        struct http_server *s = r->connection->server;
        struct evhttp_connection *peer = r->connection->peer;
        const struct route *route = &s->routes[r->route];
        struct http_connection *c;

        route->handler(r, route->userdata);
        /* The answer may have ended the connection. */
        c = http_connection_find(s, peer);
        if (c && c->active == r && !r->stream)
                http_connection_watch(c);
}

static void on_request(struct evhttp_request *message, void *userdata)
{
        struct http_server *s = userdata;
        struct evhttp_connection *peer = evhttp_request_get_connection(message);
        struct http_connection *c = http_connection_of(s, peer);
        struct http_request *r = http_request_new(s->loop, c, message);
        const char *problem;

        http_connection_set_idle(c, false);
        c->active = r;
        c->served = true;
        problem = framing_problem(r);
        if (problem)
                refuse_and_close(r, 400, problem);
        else
                route_request(s, r);
        c = http_connection_find(s, peer);
        if (c)
                http_connection_demote(c);
}

/* ---- life ---- */

int http_server_new(
        struct loop *l, const struct http_server_options *o, struct http_server **ret, struct error *e)
{
        static const struct http_server_options defaults;
        struct http_server *s = NEW0(struct http_server);
        uint64_t idle;

        o = o ? o : &defaults;
        idle = o->idle_timeout_ns ? o->idle_timeout_ns : 60 * NSEC_PER_SEC;
        s->loop = l;
        s->http = evhttp_new(loop_base(l));
        if (!s->http) {
                free(s);
                return error_set(e, -ENOMEM, "cannot create an HTTP server: out of memory");
        }
        s->max_connections = o->max_connections ? o->max_connections : 4096;
        s->idle_timeout = (struct timeval){
                .tv_sec = (time_t)(idle / NSEC_PER_SEC),
                .tv_usec = (suseconds_t)(idle % NSEC_PER_SEC / NSEC_PER_USEC),
        };
        evhttp_set_timeout_tv(s->http, &s->idle_timeout);
        evhttp_set_max_headers_size(s->http, HTTP_HEADERS_MAX);
        evhttp_set_max_body_size(
                s->http, (ev_ssize_t)(o->max_body_bytes ? o->max_body_bytes : 8 * 1024 * 1024));
        /* A body that is too large is read to its end and dropped, so that the peer gets to see the 413. */
        (void)evhttp_set_flags(s->http, EVHTTP_SERVER_LINGERING_CLOSE);
        evhttp_set_default_content_type(s->http, NULL);
        /* Every method comes to us: 405 is the routes' answer. */
        evhttp_set_allowed_methods(s->http, EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD |
                                                    EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE | EVHTTP_REQ_OPTIONS |
                                                    EVHTTP_REQ_TRACE | EVHTTP_REQ_CONNECT | EVHTTP_REQ_PATCH);
        evhttp_set_gencb(s->http, on_request, s);
        http_turns_start(s);
        http_connections_start(s);
        *ret = s;
        return 0;
}

struct http_server *http_server_free(struct http_server *s)
{
        if (!s)
                return NULL;
        http_listeners_forget(s);
        http_connections_stop(s);
        /* Closes the connections, each of which takes leave of the table. */
        evhttp_free(s->http);
        http_turns_stop(s);
        for (size_t i = 0; i < s->route_count; i++) {
                free(s->routes[i].prefix);
                free(s->routes[i].methods);
        }
        free(s->routes);
        free(s);
        return NULL;
}
