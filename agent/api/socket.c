/* Our unix socket: <runtime-dir>/socket/agent.sock, and <runtime-dir>/agent.sock as a link to it, where Mesos has it. */
#include <sys/stat.h>
#include <unistd.h>

#include "agent/api/api_internal.h"

/* Everybody may connect who sees it: the runtime directory is root's alone, and each caller is looked at. */
#define SOCKET_MODE 0666

int api_listen_unix(struct agent *a, struct http_server *server, struct error *e)
{
        _cleanup_free_ char *path = xasprintf("%s/" AGENT_SOCKET_NAME, a->socket_dir);

        if (mkdirat(a->runtime_fd, AGENT_SOCKET_DIR_NAME, 0755) < 0 && errno != EEXIST)
                return error_set_errno(e, -errno, "cannot make the directory %s", a->socket_dir);
        /* Whatever our umask is: tasks of every user look in. */
        if (fchmodat(a->runtime_fd, AGENT_SOCKET_DIR_NAME, 0755, 0) < 0)
                return error_set_errno(e, -errno, "cannot open the directory %s to tasks", a->socket_dir);
        if (symlinkat(AGENT_SOCKET_DIR_NAME "/" AGENT_SOCKET_NAME, a->runtime_fd, AGENT_SOCKET_NAME) < 0 &&
                errno != EEXIST)
                return error_set_errno(
                        e, -errno, "cannot link " AGENT_SOCKET_NAME " in %s", a->options->runtime_dir);
        return http_server_listen_unix(server, path, SOCKET_MODE, e);
}
