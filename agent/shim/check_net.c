/* Checks over the network: in the task's network namespace, cgroup and restrictions; the answer is the task's, and is read as such. */
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/shim/check_internal.h"

#define ANSWER_MAX 4096

int check_http_status(const char *text)
{
        uint32_t status;
        char digits[4];

        if (!str_has_prefix(text, "HTTP/1.") || !text[7] || text[8] != ' ')
                return -EBADMSG;
        (void)snprintf(digits, sizeof(digits), "%.3s", text + 9);
        if (strlen(digits) != 3 || parse_u32(digits, 999, &status) < 0 || status < 100)
                return -EBADMSG;
        char next = text[12];
        return next == ' ' || next == '\r' || next == '\n' || next == '\0' ? (int)status : -EBADMSG;
}

static int connect_to(const struct check *c)
{
        struct sockaddr_in in = {
                .sin_family = AF_INET, .sin_port = htons(c->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        struct sockaddr_in6 in6 = {
                .sin6_family = AF_INET6, .sin6_port = htons(c->port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
        const struct sockaddr *address =
                c->ipv6 ? (const struct sockaddr *)&in6 : (const struct sockaddr *)&in;

        _cleanup_fd_ int fd = socket(c->ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || connect(fd, address, c->ipv6 ? sizeof(in6) : sizeof(in)) < 0)
                return -errno;
        return TAKE_FD(fd);
}

static int send_request(const struct check *c, int fd)
{
        char request[CHECK_PATH_MAX + 256];

        int n = snprintf(request, sizeof(request),
                "GET %s HTTP/1.1\r\nHost: %s:%u\r\nUser-Agent: mete/%s\r\nAccept: */*\r\nConnection: "
                "close\r\n\r\n",
                *c->path ? c->path : "/", c->ipv6 ? "[::1]" : "127.0.0.1", c->port, METE_VERSION);
        return write_all(fd, request, (size_t)n);
}

/* Up to the end of the status line. */
static int read_status(int fd)
{
        char answer[ANSWER_MAX + 1] = "";
        size_t len = 0;

        while (len < ANSWER_MAX && !strchr(answer, '\n')) {
                ssize_t n = read(fd, answer + len, ANSWER_MAX - len);
                if (n <= 0)
                        return n < 0 ? -errno : -EBADMSG;
                len += (size_t)n;
                answer[len] = '\0';
        }
        return check_http_status(answer);
}

static void ask(const struct check *c, int fd, struct check_report *r)
{
        int status = send_request(c, fd);

        if (status == 0)
                status = read_status(fd);
        if (status < 0) {
                r->end = CHECK_END_REFUSED;
                (void)snprintf(r->text, sizeof(r->text), "port %u gave no HTTP answer: %s", c->port,
                        status == -EBADMSG ? "it is none" : strerror(-status));
                return;
        }
        r->end = CHECK_END_ANSWERED;
        r->value = status;
}

void check_network_run(const struct check *c, struct check_report *r)
{
        (void)signal(SIGPIPE, SIG_IGN);
        _cleanup_fd_ int fd = connect_to(c);
        if (fd < 0) {
                r->end = CHECK_END_REFUSED;
                (void)snprintf(
                        r->text, sizeof(r->text), "cannot connect to port %u: %s", c->port, strerror(-fd));
        } else if (c->kind == CHECK_HTTP) {
                ask(c, fd, r);
        } else {
                r->end = CHECK_END_CONNECTED;
        }
}
