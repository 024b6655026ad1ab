/*
 * Which CPUs a group runs on. On v2 an empty cpuset.cpus means all of the parent's; on v1 a new group has neither CPUs nor memory nodes,
 * takes no process before it does, and must stay within its parent.
 */
#include <string.h>

#include "lib/linux/cgroup_internal.h"

#define LIST_MAX 16384

static bool is_blank(const char *text)
{
        return text[strspn(text, " \n")] == '\0';
}

static int inherit_file(int parent_fd, int dirfd, const char *file)
{
        char text[LIST_MAX];

        int r = cgroup_file_read(dirfd, file, text, sizeof(text));
        if (r < 0 || !is_blank(text))
                return r;
        r = cgroup_file_read(parent_fd, file, text, sizeof(text));
        return r < 0 ? r : cgroup_file_write(dirfd, file, text);
}

int cgroup_inherit_cpuset(int parent_fd, int dirfd)
{
        int r = inherit_file(parent_fd, dirfd, "cpuset.mems");

        return r < 0 ? r : inherit_file(parent_fd, dirfd, "cpuset.cpus");
}

int cgroup_root_cpus(const struct cgroup_root *r, struct cpu_list *ret, struct error *e)
{
        int index = r->by_controller[CGROUP_CPUSET];
        char text[LIST_MAX];

        if (index < 0)
                return error_set(e, -ENOTSUP, "%s", r->missing[CGROUP_CPUSET]);
        const char *file = index == HIERARCHY_V2 ? "cpuset.cpus.effective" : "cpuset.cpus";
        int code = cgroup_file_read(r->fds[index], file, text, sizeof(text));
        if (code >= 0)
                code = cpu_list_parse(text, ret);
        return code < 0 ? error_set_errno(e, code, "cannot read %s/%s", r->hierarchies[index].path, file) : 0;
}

int cgroup_set_cpus(struct cgroup *c, const struct cpu_list *cpus, struct error *e)
{
        int index = c->root->by_controller[CGROUP_CPUSET];
        struct cpu_list all;

        if (index < 0)
                return error_set(e, -ENOTSUP, "cannot choose CPUs for %s: %s", c->name,
                        c->root->missing[CGROUP_CPUSET]);
        if (c->fds[index] < 0)
                return error_set(e, -ENOENT, "the control group %s does not exist", c->paths[index]);
        if (!cpus) {
                /* Not by an empty list: a group with processes that once had one refuses it (ENOSPC), on v2 too. */
                int r = cgroup_root_cpus(c->root, &all, e);
                if (r < 0)
                        return r;
                cpus = &all;
        }
        _cleanup_free_ char *text = cpu_list_format(cpus);
        int r = cgroup_file_write(c->fds[index], "cpuset.cpus", text);
        return r < 0 ? error_set_errno(e, r, "cannot write \"%s\" to %s/cpuset.cpus", text, c->paths[index])
                     : 0;
}
