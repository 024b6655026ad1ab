#include <limits.h>
#include <linux/magic.h>
#include <mntent.h>
#include <string.h>
#include <sys/vfs.h>

#include "lib/linux/cgroup_internal.h"
#include "lib/linux/libcgroup_mounts.h"

void cgroup_mounts_done(struct cgroup_mounts *m)
{
        cleanup_free(&m->v2);
        for (size_t i = 0; i < ELEMENTSOF(m->v1); i++)
                cleanup_free(&m->v1[i]);
        *m = (struct cgroup_mounts){0};
}

static void close_mounts(FILE **f)
{
        if (*f)
                (void)endmntent(*f);
}

int cgroup_mounts_parse(const char *sysroot, struct cgroup_mounts *ret)
{
        const char *prefix = str_equal(sysroot, "/") ? "" : sysroot;
        struct cgroup_mounts m = {0};
        struct mntent entry;
        char buf[PATH_MAX + 4096];

        _cleanup_free_ char *path = xasprintf("%s/proc/self/mounts", prefix);
        CLEANUP(close_mounts) FILE *f = setmntent(path, "re");
        if (!f)
                return -errno;
        while (getmntent_r(f, &entry, buf, sizeof(buf))) {
                if (str_equal(entry.mnt_type, "cgroup2") && !m.v2)
                        m.v2 = xasprintf("%s%s", prefix, entry.mnt_dir);
                if (!str_equal(entry.mnt_type, "cgroup"))
                        continue;
                for (int c = 0; c < CGROUP_CONTROLLER_MAX; c++)
                        if (!m.v1[c] &&
                                hasmntopt(&entry, cgroup_controller_v1_name((enum cgroup_controller)c)))
                                m.v1[c] = xasprintf("%s%s", prefix, entry.mnt_dir);
        }
        *ret = m;
        return 0;
}

static void record_mount(void *context, const char *controller, const char *path)
{
        struct cgroup_mounts *m = context;
        struct statfs fs;

        if (statfs(path, &fs) < 0)
                return;
        if (fs.f_type == CGROUP2_SUPER_MAGIC) {
                if (!m->v2)
                        m->v2 = xstrdup(path);
                return;
        }
        for (int c = 0; c < CGROUP_CONTROLLER_MAX; c++)
                if (!m->v1[c] && str_equal(controller, cgroup_controller_v1_name((enum cgroup_controller)c)))
                        m->v1[c] = xstrdup(path);
}

int cgroup_mounts_ask(struct cgroup_mounts *ret)
{
        struct cgroup_mounts m = {0};

        int r = libcgroup_mounts(record_mount, &m);
        if (r < 0 || !m.v2) {
                cgroup_mounts_done(&m);
                return -ENOENT;
        }
        *ret = m;
        return 0;
}
