/*
 * A client of an API in this process: a child that speaks bytes over a socket, in a cgroup of its own where that matters, while the loop of the
 * test serves it.
 */
#pragma once

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/linux/cgroup.h"
#include "lib/loop/loop.h"

#define DEADLINE_SECONDS 20

struct client {
        struct loop *loop;
        uint16_t port;        /* of loopback; 0: */
        const char *path;     /* of a unix socket */
        struct cgroup *place; /* NULL: the test's own */
        uid_t uid;            /* 0: as it is */
        struct buffer answer;
        const char *until; /* stop when this came; NULL: when the server closes */
        bool late;
};

static inline void client_on_deadline(struct loop_timer *t, void *userdata)
{
        struct client *c = userdata;

        (void)t;
        c->late = true;
        loop_stop(c->loop);
}

static inline void client_on_data(struct loop_io *io, int fd, uint32_t events, void *userdata)
{
        struct client *c = userdata;
        char data[16384];
        ssize_t n = read(fd, data, sizeof(data));

        (void)io, (void)events;
        if (n > 0)
                buffer_append(&c->answer, data, (size_t)n);
        if (n <= 0 || (c->until && memmem(c->answer.data, c->answer.len, c->until, strlen(c->until))))
                loop_stop(c->loop);
}

static inline int client_connect(const struct client *c)
{
        struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(c->port)};
        struct sockaddr_un local = {.sun_family = AF_UNIX};
        int fd = socket(c->port ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (c->path)
                (void)snprintf(local.sun_path, sizeof(local.sun_path), "%s", c->path);
        if (connect(fd, c->port ? (struct sockaddr *)&v4 : (struct sockaddr *)&local,
                    c->port ? sizeof(v4) : sizeof(local)) < 0)
                _exit(1);
        return fd;
}

/* In the child: sends, and hands on what comes. */
static inline void client_speak(const struct client *c, const void *request, size_t len, int go, int out)
{
        char data[16384];
        ssize_t n;

        if (read(go, data, 1) != 1)
                _exit(1);
        if (c->uid && setresuid(c->uid, c->uid, c->uid) < 0)
                _exit(1);
        int fd = client_connect(c);
        if (write_all(fd, request, len) < 0)
                _exit(1);
        while ((n = read(fd, data, sizeof(data))) > 0)
                if (write_all(out, data, (size_t)n) < 0)
                        _exit(1);
        _exit(0);
}

/* Serves until the answer is there. The caller frees. */
static inline char *client_exchange(struct client *c, const void *request, size_t len)
{
        int out[2], go[2];

        if (pipe(out) < 0 || pipe(go) < 0)
                abort();
        pid_t pid = fork();
        if (pid == 0) {
                (void)close(out[0]);
                (void)close(go[1]);
                client_speak(c, request, len, go[0], out[1]);
        }
        (void)close(out[1]);
        (void)close(go[0]);
        if (c->place && cgroup_attach_pid(c->place, pid, NULL) < 0)
                abort();
        struct loop_io *io = loop_io_new(c->loop, out[0], /* EPOLLIN */ 1, client_on_data, c);
        struct loop_timer *deadline = loop_timer_new(c->loop, client_on_deadline, c);
        loop_timer_arm(deadline, DEADLINE_SECONDS * NSEC_PER_SEC, 0);
        c->late = false;
        if (write(go[1], "x", 1) != 1 || loop_run(c->loop) < 0 || c->late)
                abort();
        (void)loop_timer_free(deadline);
        (void)loop_io_free(io);
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
        (void)close(out[0]);
        (void)close(go[1]);
        return buffer_take(&c->answer);
}

static inline int client_status(const char *answer)
{
        return answer && str_has_prefix(answer, "HTTP/1.1 ") ? atoi(answer + 9) : -1;
}
