/*
 * Who calls: by the owner of the other end of the connection, which the kernel knows, and by the cgroup that it lives in, which tells a task from a
 * person. A task carries the number of its user but not the rights of who submitted it, so to the operator's calls it is nobody; and it
 * speaks for the executor whose container it is in, and for no other.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/api/api_internal.h"
#include "agent/executors/executor.h"
#include "lib/linux/cgroup_id.h"
#include "lib/linux/network.h"

static bool is_loopback(const struct sockaddr *sa)
{
        if (sa->sa_family == AF_INET)
                return (ntohl(((const struct sockaddr_in *)sa)->sin_addr.s_addr) >> 24) == 127;
        return sa->sa_family == AF_INET6 &&
               IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)sa)->sin6_addr);
}

/* The uid of a caller outside of every container. */
static int unix_caller_uid(const struct http_unix_peer *p, uid_t *ret)
{
        _cleanup_free_ char *path = NULL;

        int r = cgroup_path_of_process("/proc", p->pid, p->pidfd, &path);
        if (r < 0)
                return r;
        if (cgroup_path_is_container(path))
                return -EACCES;
        *ret = p->uid;
        return 0;
}

/* A browser that was led here by somebody else's page speaks with its user's rights, and is not its user. */
static bool speaks_for_itself(const struct http_request *http)
{
        return http_request_host_is_own(http) && !http_request_is_cross_site(http);
}

static int host_caller_uid(struct http_request *http, uid_t *ret)
{
        const struct sockaddr *peer = http_request_peer(http);
        struct http_unix_peer process;

        if (!speaks_for_itself(http))
                return -EACCES;
        if (http_request_unix_peer(http, &process) == 0)
                return unix_caller_uid(&process, ret);
        return is_loopback(peer) ? network_caller_uid(peer, http_request_local(http), ret) : -ENOENT;
}

struct api_caller api_identify(const struct agent *a, struct http_request *http)
{
        struct api_caller c = {.trusted = a->options->insecure};

        if (host_caller_uid(http, &c.uid) == 0) {
                c.known = true;
                c.trusted = c.trusted || c.uid == 0;
        }
        return c;
}

/* ---- executors ---- */

/* The v2 cgroup of the caller: an open directory, and a path that tells whether it is a container's. */
static int open_caller_cgroup(const struct agent *a, struct http_request *http, int *ret_fd, char **ret_path)
{
        _cleanup_free_ char *path = NULL;
        struct http_unix_peer process;
        uint64_t id;
        int r;

        if (http_request_unix_peer(http, &process) == 0) {
                r = cgroup_path_of_process("/proc", process.pid, process.pidfd, &path);
                if (r < 0)
                        return r;
                _cleanup_free_ char *whole = xasprintf("%s%s", cgroup_root_v2_mount(a->host.cgroups), path);
                *ret_fd = open(whole, O_PATH | O_DIRECTORY | O_CLOEXEC);
                if (*ret_fd < 0)
                        return -errno;
        } else {
                r = network_peer_cgroup(http_request_peer(http), http_request_local(http), &id);
                if (r == 0)
                        r = cgroup_path_by_id(id, &path);
                if (r == 0)
                        r = cgroup_open_by_id(id, ret_fd);
                if (r < 0)
                        return r;
        }
        *ret_path = TAKE_PTR(path);
        return 0;
}

/* Not found by the kernel: on another machine, perhaps, or a task that has closed its socket already. */
static bool is_remote(const struct http_request *http)
{
        const struct sockaddr *peer = http_request_peer(http);

        return (peer->sa_family == AF_INET || peer->sa_family == AF_INET6) && !network_address_is_local(peer);
}

bool api_may_speak_for(
        const struct agent *a, struct http_request *http, const struct agent_executor *x, bool has_token)
{
        const struct cgroup *own = executor_cgroup(x);
        _cleanup_free_ char *path = NULL;
        _cleanup_fd_ int fd = -1;
        uid_t uid;

        if (open_caller_cgroup(a, http, &fd, &path) < 0)
                return is_remote(http) && (has_token || a->options->insecure);
        if (cgroup_path_is_container(path))
                return own && cgroup_is_within(fd, cgroup_id(own)) == 1;
        if (has_token || a->options->insecure)
                return true;
        return host_caller_uid(http, &uid) == 0 && uid == 0;
}
