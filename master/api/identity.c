/*
 * Who the peer is, and what it may ask for. Tasks are nobody here: with the host's network, one that runs as root could ask for a
 * second one without any isolation. On loopback the kernel says which user owns the other end of a connection; nothing else
 * is believed. Root may run as anybody; everybody else runs as themselves and gets nothing that root's agent could be abused for.
 */

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/linux/network.h"
#include "lib/linux/users.h"
#include "master/api/api.h"

static void peer_set_name(struct peer *p)
{
        _cleanup_free_ char *name = users_host_name(p->uid);

        (void)snprintf(p->name, sizeof(p->name), "%u", (unsigned)p->uid);
        if (name && strlen(name) < sizeof(p->name))
                (void)snprintf(p->name, sizeof(p->name), "%s", name);
}

int peer_identify(
        const struct master *m, const struct http_request *req, struct peer *ret, struct api_error *x)
{
        const struct sockaddr *client = http_request_peer(req), *server = http_request_local(req);
        uid_t uid;
        int r = client && server && http_request_host_is_own(req) ? network_caller_uid(client, server, &uid)
                                                                  : -ENOENT;

        *ret = (struct peer){};
        if (r >= 0) {
                ret->known = true;
                ret->uid = uid;
        } else if (!m->options->insecure) {
                return api_error_set(x, 403, NULL, "%s",
                        r == -EACCES ? "calls from inside a task are refused: the user that a task runs as "
                                       "is not who submitted it"
                        : r == -ENODATA
                                ? "the cgroup at the other end of the connection cannot be told, so it might "
                                  "be a task: a root master on a cgroup v2 or hybrid host can tell"
                                : "the user at the other end of the connection is not known: calls must come "
                                  "over loopback from the same machine, with an address or this machine's "
                                  "name as Host");
        }
        peer_set_name(ret);
        return 0;
}

bool peer_owns(const struct peer *p, const struct job *j)
{
        return p->uid == 0 || (j->has_uid && j->uid == p->uid);
}

/*
 * For others than root: their numbers, not their name. A root file system may say what it likes about a name; with a group given, no
 * group file is asked either.
 */
gid_t peer_gid(const struct peer *p)
{
        _cleanup_fd_ int root = open("/", O_DIRECTORY | O_PATH | O_CLOEXEC);
        _cleanup_free_ char *text = xasprintf("%u", (unsigned)p->uid);
        struct user_ids ids;
        gid_t gid = 65534;

        if (root >= 0 && users_resolve(root, text, &ids, NULL) >= 0)
                gid = ids.gid;
        return gid;
}

static int refuse_privileges(const struct peer *p, const Mete__Api__Isolation *isolation, struct api_error *x)
{
        if (isolation->n_capabilities_add > 0)
                return api_error_set(x, 403, "submit.job.isolation.capabilities_add[0]",
                        "'%s': only root may add capabilities; you are %s", isolation->capabilities_add[0],
                        p->name);
        for (size_t i = 0; i < isolation->n_rlimits; i++) {
                const char *type = isolation->rlimits[i]->type;

                if (!str_equal(type, "nice") && !str_equal(type, "rtprio"))
                        continue;
                _cleanup_free_ char *field = xasprintf("submit.job.isolation.rlimits[%zu].type", i);

                return api_error_set(x, 403, field, "'%s': only root may set it; you are %s", type, p->name);
        }
        return 0;
}

int peer_take_user(const struct peer *p, Mete__Api__JobSpec *spec, struct api_error *x)
{
        Mete__Api__Isolation *isolation = spec->isolation;
        _cleanup_free_ char *number = xasprintf("%u", (unsigned)p->uid), *ids = NULL;

        isolation->has_path_uid = isolation->has_path_gid = p->uid != 0;
        if (p->uid == 0)
                return 0; /* without a user the agent takes nobody, which not every image knows by name */
        isolation->path_uid = p->uid;
        isolation->path_gid = peer_gid(p);
        ids = xasprintf("%u:%u", (unsigned)p->uid, (unsigned)isolation->path_gid);
        if (!str_empty(isolation->user) && !str_equal(isolation->user, p->name) &&
                !str_equal(isolation->user, number) && !str_equal(isolation->user, ids))
                return api_error_set(x, 403, "submit.job.isolation.user",
                        "'%s': you are %s (%u) and run as yourself; only root chooses another user",
                        isolation->user, p->name, (unsigned)p->uid);
        set_string(&isolation->user, ids);
        return refuse_privileges(p, isolation, x);
}
