/* Who the task is: looked up in the root file system that it gets. Root only by that name or number. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "isolators/isolators.h"

#define USER_DEFAULT "nobody"
#define USER_DEFAULT_NUMBER "65534:65534"

static bool asks_for_root(const char *spec)
{
        size_t n = strcspn(spec, ":");

        return (n == 4 && strncmp(spec, "root", n) == 0) || (n > 0 && strspn(spec, "0") == n);
}

int user_resolve(const struct container_spec *s, struct user_ids *ret, struct error *e)
{
        const char *who = s->user ? s->user : USER_DEFAULT;
        _cleanup_fd_ int root_fd = -1;

        int r = rootfs_open(s, &root_fd, e);
        if (r < 0)
                return r;
        r = users_resolve(root_fd, who, ret, e);
        /* A small image may know nobody at all. */
        if (r == -ENOENT && !s->user)
                r = users_resolve(root_fd, USER_DEFAULT_NUMBER, ret, e);
        return r < 0 ? error_prefix(e, "user \"%.64s\"", who) : 0;
}

static int user_prepare(struct isolator_host *h, struct container *c, struct plan *p, struct error *e)
{
        const char *spec = c->spec->user, *root = c->spec->rootfs ? c->spec->rootfs : "/";

        if (spec && !*spec)
                return error_set(e, -EINVAL,
                        "user is empty: a name or number, or either with \":group\", is accepted");
        int r = user_resolve(c->spec, &c->user, e);
        if (r < 0)
                return r;
        if (c->user.uid == 0 && !(spec && asks_for_root(spec)))
                return error_set(e, -EPERM,
                        "user \"%.64s\" is root in %s: ask for root by name or number to run as root",
                        spec ? spec : USER_DEFAULT, root);

        struct plan_user u = {
                .uid = c->user.uid, .gid = c->user.gid, .group_count = (uint32_t)c->user.group_count};
        _Static_assert(PLAN_GROUPS_MAX >= USER_GROUPS_MAX, "groups fit");
        for (size_t i = 0; i < c->user.group_count; i++)
                u.groups[i] = c->user.groups[i];
        plan_add_blob(p, PLAN_PHASE_PRIVILEGE, PLAN_STEP_USER, 0, &u, sizeof(u));
        return 0;
}

const struct isolator isolator_user = {
        .name = "user",
        .provides = "an unprivileged user of the task's own root file system",
        .prepare = user_prepare,
};
