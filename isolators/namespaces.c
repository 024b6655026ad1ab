/* Namespaces: what a container sees of mounts, processes, IPC, host name, cgroups and network. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "isolators/isolators.h"
#include "lib/linux/syscall.h"

#define HOSTNAME_LENGTH_MAX 63

uint64_t namespaces_flags(const struct container_spec *s)
{
        uint64_t flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWCGROUP;

        return s->network == CONTAINER_NETWORK_HOST ? flags : flags | CLONE_NEWNET;
}

static int namespaces_probe(struct isolator_host *h, struct error *e)
{
        static const char *const names[] = {"mnt", "pid", "uts", "ipc", "cgroup", "net"};

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                char path[64];
                (void)snprintf(path, sizeof(path), "/proc/self/ns/%s", names[i]);
                if (access(path, F_OK) < 0)
                        return error_set(e, -ENOTSUP,
                                "this kernel has no %s namespaces: one built with CONFIG_NAMESPACES and all "
                                "below it has",
                                names[i]);
        }
        if (geteuid() != 0)
                return error_set(e, -ENOTSUP, "namespaces need root: start mete-agent as root");
        return 0;
}

static int check_hostname(const char *name, struct error *e)
{
        static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.";
        size_t len = strlen(name);

        if (len == 0 || len > HOSTNAME_LENGTH_MAX || strspn(name, allowed) != len || name[0] == '-' ||
                name[0] == '.')
                return error_set(e, -EINVAL,
                        "hostname \"%.64s\": 1 to %d letters, digits, \"-\" and \".\" are accepted", name,
                        HOSTNAME_LENGTH_MAX);
        return 0;
}

/* Container ids may hold more than a host name can. */
static void default_hostname(const char *container_id, char buf[static HOSTNAME_LENGTH_MAX + 1])
{
        size_t n = 0;

        for (const char *p = container_id; *p && n < HOSTNAME_LENGTH_MAX; p++) {
                bool ok = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9');
                if (ok || (n > 0 && (*p == '-' || *p == '.')))
                        buf[n++] = *p;
        }
        if (n == 0)
                buf[n++] = 'c';
        buf[n] = '\0';
}

static int namespaces_prepare(struct isolator_host *h, struct container *c, struct plan *p, struct error *e)
{
        const struct container_spec *s = c->spec;
        char hostname[HOSTNAME_LENGTH_MAX + 1];

        if (s->network < 0 || s->network >= CONTAINER_NETWORK_MAX)
                return error_set(e, -EINVAL, "network is %d: none or host is accepted", s->network);
        if (s->hostname) {
                int r = check_hostname(s->hostname, e);
                if (r < 0)
                        return r;
        }
        default_hostname(s->container_id, hostname);
        plan_add_strings(
                p, PLAN_PHASE_NAMESPACE, PLAN_STEP_HOSTNAME, 0, s->hostname ? s->hostname : hostname, NULL);
        if (s->network == CONTAINER_NETWORK_NONE)
                plan_add(p, PLAN_PHASE_NAMESPACE, PLAN_STEP_LOOPBACK_UP, 0);
        return 0;
}

const struct isolator isolator_namespaces = {
        .name = "namespaces",
        .provides = "own view of mounts, processes, IPC, host name, cgroups and network",
        .probe = namespaces_probe,
        .prepare = namespaces_prepare,
};
