/*
 * The root file system: an image directory under an overlay whose upper layer dies with the container, or the host's own root,
 * read-only. Both get /proc, /sys, /dev, /tmp, /run of their own, and the sandbox.
 */
#include <fcntl.h>
#include <limits.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "isolators/isolators.h"
#include "lib/linux/fs_identity.h"
#include "lib/linux/syscall.h"

#define ATTR_SYSTEM (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)
#define ATTR_TMP (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV)
#define EMPTY_NAME "empty"
/* The v2 tree, shown below the container's own cgroup. */
#define CGROUP_MOUNT_POINT "/sys/fs/cgroup"

/*
 * What a container's root file system needs on the host: <state_dir>/overlays/<container id>. Not in the runtime directory: that lies in
 * memory, beside the host's own /run, which a task that writes much must not fill. The caller frees.
 */
static char *rootfs_container_dir(const struct isolator_host *h, const struct container *c)
{
        return xasprintf("%s/overlays/%s", h->state_dir, c->spec->container_id);
}

/* Others are kept out of the host's secrets by their permissions. */
static bool hides_etc(const struct container *c)
{
        return !c->spec->rootfs && paths_privileged(c);
}

static int rootfs_probe(struct isolator_host *h, struct error *e)
{
        _cleanup_fd_ int tree = sys_open_tree(AT_FDCWD, "/", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

        if (tree < 0)
                return error_set_errno(e, -ENOTSUP,
                        "mounts by descriptor (open_tree, mount_setattr) do not work here (%s): Linux 5.12 "
                        "and root have them",
                        strerror(-tree));
        int r = sys_mount_setattr(tree, "", AT_EMPTY_PATH, MOUNT_ATTR_NOSUID, 0, 0);
        if (r < 0)
                return error_set(e, -ENOTSUP, "mount_setattr does not work here (%s): Linux 5.12 has it",
                        strerror(-r));
        return 0;
}

int rootfs_open(const struct container_spec *s, int *ret_fd, struct error *e)
{
        struct fs_identity saved;

        if (!s->rootfs || !s->rootfs_as_user) {
                int fd = open(s->rootfs ? s->rootfs : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                if (fd < 0)
                        return error_set_errno(
                                e, -errno, "rootfs %.256s cannot be opened", s->rootfs ? s->rootfs : "/");
                *ret_fd = fd;
                return 0;
        }
        int r = fs_identity_assume(s->path_uid, s->path_gid, &saved);
        if (r < 0)
                return error_set_errno(e, r, "cannot take the rights of uid %u", (unsigned)s->path_uid);
        int fd = open(s->rootfs, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        r = fd < 0 ? -errno : 0;
        fs_identity_restore(&saved);
        if (r < 0)
                return error_set_errno(
                        e, r, "rootfs %.256s cannot be opened by uid %u", s->rootfs, (unsigned)s->path_uid);
        *ret_fd = fd;
        return 0;
}

/* An image that holds the agent's own directories, or lies in them, would show what is hidden. "/" is such a one. */
static int check_image(const struct isolator_host *h, const struct container_spec *s, struct error *e)
{
        const char *const own[] = {h->state_dir, h->runtime_dir};
        char link[64], resolved[PATH_MAX];
        _cleanup_fd_ int fd = -1;

        if (s->rootfs[0] != '/')
                return error_set(e, -EINVAL, "rootfs \"%.256s\" is not an absolute path", s->rootfs);
        int r = rootfs_open(s, &fd, e);
        if (r < 0)
                return r;
        (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        ssize_t n = readlink(link, resolved, sizeof(resolved) - 1);
        if (n < 0)
                return error_set_errno(e, -errno, "rootfs %.256s cannot be resolved", s->rootfs);
        resolved[n] = '\0';
        for (size_t i = 0; i < ELEMENTSOF(own); i++) {
                char dir[PATH_MAX];
                if (!own[i] || !realpath(own[i], dir))
                        continue;
                if (path_is_below(dir, resolved) || path_is_below(resolved, dir))
                        return error_set(e, -EPERM,
                                "rootfs %.256s holds or lies in the agent's directory %.256s: another "
                                "directory is wanted",
                                s->rootfs, dir);
        }
        return 0;
}

static void add_mount(
        struct plan *p, uint32_t flags, const char *fstype, const char *target, const char *options)
{
        plan_add_strings(p, PLAN_PHASE_MOUNT, PLAN_STEP_MOUNT, flags, fstype, "", target, options, NULL);
}

static void add_devices(struct plan *p)
{
        static const struct {
                const char *path;
                uint32_t number;
        } devices[] = {
                {"/dev/null", PLAN_DEVICE(1, 3)},
                {"/dev/zero", PLAN_DEVICE(1, 5)},
                {"/dev/full", PLAN_DEVICE(1, 7)},
                {"/dev/random", PLAN_DEVICE(1, 8)},
                {"/dev/urandom", PLAN_DEVICE(1, 9)},
                {"/dev/tty", PLAN_DEVICE(5, 0)},
        };
        static const char *const links[][2] = {
                {"/proc/self/fd", "/dev/fd"},
                {"/proc/self/fd/0", "/dev/stdin"},
                {"/proc/self/fd/1", "/dev/stdout"},
                {"/proc/self/fd/2", "/dev/stderr"},
                {"pts/ptmx", "/dev/ptmx"},
        };

        /* Without nodev, or the nodes would not work; only we can make nodes, and read-only once it is complete. */
        add_mount(
                p, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, "tmpfs", "/dev", "mode=0755,size=64k,nr_inodes=64");
        for (size_t i = 0; i < ELEMENTSOF(devices); i++)
                plan_add_strings(
                        p, PLAN_PHASE_MOUNT, PLAN_STEP_DEVICE, devices[i].number, devices[i].path, NULL);
        for (size_t i = 0; i < ELEMENTSOF(links); i++)
                plan_add_strings(p, PLAN_PHASE_MOUNT, PLAN_STEP_SYMLINK, 0, links[i][0], links[i][1], NULL);
        add_mount(p, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, "devpts", "/dev/pts",
                "newinstance,ptmxmode=0666,mode=0620,gid=5");
}

static void add_temporary(const struct container *c, struct plan *p)
{
        char world[96], run[96], shm[96];
        unsigned long long size = c->spec->memory_limit_bytes;

        /* Their pages are charged to the container; the size only turns a kill into "no space left". */
        (void)snprintf(world, sizeof(world), "mode=1777,size=%llu", size);
        (void)snprintf(run, sizeof(run), "mode=0755,size=%llu", size);
        (void)snprintf(shm, sizeof(shm), "mode=1777,size=%llu", size);
        add_mount(p, ATTR_TMP | MOUNT_ATTR_NOEXEC, "tmpfs", "/dev/shm", shm);
        add_mount(p, ATTR_TMP, "tmpfs", "/tmp", world);
        add_mount(p, ATTR_TMP | PLAN_MOUNT_OPTIONAL, "tmpfs", "/var/tmp", world);
        add_mount(p, ATTR_TMP | PLAN_MOUNT_OPTIONAL, "tmpfs", "/run", run);
}

static void add_system(struct isolator_host *h, struct plan *p)
{
        add_mount(p, ATTR_SYSTEM, "proc", "/proc", "");
        /* A new instance of the container's network namespace, without what the host mounts below it. */
        add_mount(p, ATTR_SYSTEM | MOUNT_ATTR_RDONLY, "sysfs", "/sys", "");
        /* On a hybrid host the directory stays empty: the v1 hierarchies are none of the task's business. */
        if (cgroup_root_layout(h->cgroups) == CGROUP_LAYOUT_UNIFIED)
                add_mount(p, ATTR_SYSTEM | MOUNT_ATTR_RDONLY, "cgroup2", CGROUP_MOUNT_POINT, "");
}

static void add_sandbox(const struct isolator_host *h, const struct container *c, struct plan *p)
{
        if (!c->spec->rootfs)
                paths_add_way(h, c, p);
        plan_add_strings(p, PLAN_PHASE_MOUNT, PLAN_STEP_BIND, PLAN_BIND_SANDBOX | PLAN_BIND_EXEC,
                c->sandbox_path, c->sandbox_in_container, NULL);
}

/*
 * A mask is mounted on a directory entry, and goes with it: when the host replaces /etc/shadow by rename, as passwd(1) does, the kernel
 * drops the mounts on the old entry in every namespace. Below an overlay of its own the container's /etc has other entries, which
 * nothing on the host replaces. What the host mounts below /etc is mounted there again.
 */
static int add_etc(const struct isolator_host *h, const struct container *c, struct plan *p, struct error *e)
{
        const uint32_t attributes = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
        _cleanup_free_ char *dir = rootfs_container_dir(h, c);
        /* Without an upper layer there must be two lower ones. */
        _cleanup_free_ char *options = xasprintf("lowerdir=/etc:%s/" EMPTY_NAME, dir);
        char line[4 * PATH_MAX];
        struct mntent entry;

        if (strpbrk(dir, ",:\\"))
                return error_set(
                        e, -EINVAL, "the runtime directory %s must not contain ',', ':' or '\\'", dir);
        add_mount(p, attributes, "overlay", "/etc", options);
        FILE *f = setmntent("/proc/self/mounts", "re");
        if (!f)
                return error_set_errno(e, -errno, "cannot read /proc/self/mounts");
        while (getmntent_r(f, &entry, line, sizeof(line)))
                if (str_has_prefix(entry.mnt_dir, "/etc/"))
                        plan_add_strings(p, PLAN_PHASE_MOUNT, PLAN_STEP_BIND,
                                PLAN_BIND_READONLY | PLAN_BIND_EXEC | PLAN_BIND_OPTIONAL, entry.mnt_dir,
                                entry.mnt_dir, NULL);
        (void)endmntent(f);
        return 0;
}

static int rootfs_prepare(struct isolator_host *h, struct container *c, struct plan *p, struct error *e)
{
        if (str_empty(c->sandbox_in_container) || c->sandbox_in_container[0] != '/')
                return error_set(e, -EINVAL, "the sandbox has no absolute path in the container");
        if (c->spec->rootfs) {
                int r = check_image(h, c->spec, e);
                if (r < 0)
                        return r;
                _cleanup_free_ char *dir = rootfs_container_dir(h, c);
                _cleanup_free_ char *upper = xasprintf("%s/upper", dir);
                _cleanup_free_ char *work = xasprintf("%s/work", dir);
                char uid[16] = "0", gid[16] = "0";
                if (c->spec->rootfs_as_user) {
                        (void)snprintf(uid, sizeof(uid), "%u", (unsigned)c->spec->path_uid);
                        (void)snprintf(gid, sizeof(gid), "%u", (unsigned)c->spec->path_gid);
                }
                plan_add_strings(p, PLAN_PHASE_ROOT, PLAN_STEP_ROOT_OVERLAY, 0, c->spec->rootfs, upper, work,
                        uid, gid, NULL);
        } else {
                plan_add(p, PLAN_PHASE_ROOT, PLAN_STEP_ROOT_HOST, 0);
        }
        if (hides_etc(c)) {
                int r = add_etc(h, c, p, e);
                if (r < 0)
                        return r;
        }
        add_system(h, p);
        add_devices(p);
        add_temporary(c, p);
        add_sandbox(h, c, p);
        if (c->spec->agent_socket_dir)
                plan_add_strings(p, PLAN_PHASE_MOUNT, PLAN_STEP_BIND, PLAN_BIND_READONLY,
                        c->spec->agent_socket_dir, CONTAINER_AGENT_SOCKET_DIR, NULL);
        plan_add_strings(p, PLAN_PHASE_PROTECT, PLAN_STEP_READONLY, 0, "/dev", NULL);
        return 0;
}

static int rootfs_isolate(struct isolator_host *h, struct container *c, struct error *e)
{
        static const char *const overlay[] = {"upper", "work"}, *const host[] = {EMPTY_NAME};
        const char *const *names = c->spec->rootfs ? overlay : host;
        size_t count = c->spec->rootfs ? ELEMENTSOF(overlay) : ELEMENTSOF(host);

        if (!c->spec->rootfs && !hides_etc(c))
                return 0;
        _cleanup_free_ char *dir = rootfs_container_dir(h, c);
        int r = mkdir_parents_at(AT_FDCWD, dir, 0700);
        for (size_t i = 0; i < count && r >= 0; i++) {
                _cleanup_free_ char *path = xasprintf("%s/%s", dir, names[i]);
                /* The upper directory becomes "/" of the container: everybody there must be able to enter it. */
                r = mkdir(path, 0755) < 0 && errno != EEXIST ? -errno : 0;
        }
        return r < 0 ? error_set_errno(e, r, "cannot make the overlay directories in %s", dir) : 0;
}

static void rootfs_cleanup(struct isolator_host *h, struct container *c)
{
        _cleanup_free_ char *dir = rootfs_container_dir(h, c);

        (void)!remove_tree_at(AT_FDCWD, dir);
}

const struct isolator isolator_rootfs = {
        .name = "rootfs",
        .provides = "own root file system, /dev, /proc, /sys, /tmp and /run",
        .probe = rootfs_probe,
        .prepare = rootfs_prepare,
        .isolate = rootfs_isolate,
        .cleanup = rootfs_cleanup,
};
