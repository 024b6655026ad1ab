/*
 * Any bytes as requests to a real server, and as what a request carries: headers, tokens, names of callbacks, paths of files. No crash, an answer
 * only to what is a request, and what must never pass does not: a token without the key, a path outside of sandboxes.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/api/files.h"
#include "lib/net/codec.h"
#include "lib/net/http_server.h"
#include "lib/net/jwt.h"

#define INPUT_MAX 65536
#define DEADLINE_NS (5 * NSEC_PER_SEC)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct loop *loop;
static char place[] = "/tmp/mete-fuzz-XXXXXX";
static struct sockaddr_un address = {.sun_family = AF_UNIX};

/* ---- the server ---- */

static void answer(struct http_request *r, void *userdata)
{
        static const char json[] = "{\"a\":1}";
        size_t len;

        (void)userdata;
        if (strstr(http_request_subpath(r), "/../") || http_request_path(r)[0] != '/')
                abort();
        (void)http_request_body(r, &len);
        (void)http_request_query(r, "path");
        (void)http_request_host_is_own(r);
        (void)codec_from_accept(http_request_header(r, "Accept"));
        (void)codec_from_content_type(http_request_header(r, "Content-Type"));
        http_respond_json(r, 200, json, strlen(json));
}

static void leave(void)
{
        (void)unlink(address.sun_path);
        (void)rmdir(place);
}

static void start(void)
{
        struct http_server_options o = {.max_body_bytes = 4096};
        struct http_server *s;

        (void)signal(SIGPIPE, SIG_IGN);
        if (!mkdtemp(place) || loop_new(&loop, NULL) < 0 || http_server_new(loop, &o, &s, NULL) < 0)
                abort();
        (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/s", place);
        if (http_server_listen_unix(s, address.sun_path, 0600, NULL) < 0)
                abort();
        http_server_route_process(s, "slave(1)", "/state", "GET,POST", answer, NULL);
        http_server_route(s, "/api/v1", HTTP_METHODS_ALL, answer, NULL);
        (void)atexit(leave);
}

static void on_data(struct loop_io *io, int fd, uint32_t events, void *userdata)
{
        char data[4096];
        ssize_t n = read(fd, data, sizeof(data));

        (void)io, (void)events, (void)userdata;
        if (n > 0 && n >= 5 && userdata && *(bool *)userdata && memcmp(data, "HTTP/", 5) != 0)
                abort();
        *(bool *)userdata = false;
        if (n <= 0)
                loop_stop(loop);
}

static void on_late(struct loop_timer *t, void *userdata)
{
        (void)t, (void)userdata;
        abort();
}

static void send_bytes(const uint8_t *data, size_t size)
{
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        bool first = true;

        if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
                abort();
        (void)!write(fd, data, size); /* fits the socket's buffer */
        (void)shutdown(fd, SHUT_WR);
        struct loop_io *io = loop_io_new(loop, fd, /* EPOLLIN */ 1, on_data, &first);
        struct loop_timer *late = loop_timer_new(loop, on_late, NULL);
        loop_timer_arm(late, DEADLINE_NS, 0);
        if (loop_run(loop) < 0)
                abort();
        (void)loop_timer_free(late);
        (void)loop_io_free(io);
        (void)close(fd);
}

/* ---- what a request carries ---- */

static void check_token(const char *text)
{
        static const char key[] = "0123456789abcdef0123456789abcdef";
        static const char *const names[] = {"fid", "eid"};
        char *values[2] = {NULL};

        /* Nobody here has the key. */
        if (jwt_verify(key, sizeof(key) - 1, text, (struct wall_time){1}, names, values, 2) == 0)
                abort();
}

static void check_callback(const char *text)
{
        if (http_jsonp_name_valid(text) && strpbrk(text, "()<>;'\" \n/[]"))
                abort();
        (void)http_accepts_gzip(text);
        (void)codec_from_accept(text);
}

static void check_path(const char *text)
{
        _cleanup_sandbox_path_ struct sandbox_path p = {0};

        if (sandbox_path_parse(-1, "/work", "agent-S0", text, &p) < 0)
                return;
        if (!str_has_prefix(p.sandbox, "slaves/agent-S0/frameworks/") || strstr(p.sandbox, "/../") ||
                p.rest[0] == '/' || str_equal(p.rest, "..") || str_has_prefix(p.rest, "../") ||
                strstr(p.rest, "/../") || str_has_suffix(p.rest, "/.."))
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size > INPUT_MAX)
                return 0;
        if (!loop)
                start();
        _cleanup_free_ char *text = xstrndup((const char *)data, size);
        check_token(text);
        check_callback(text);
        check_path(text);
        send_bytes(data, size);
        return 0;
}
