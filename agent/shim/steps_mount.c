/*
 * The new root is a detached mount that is attached on top of "/" of the container's own mount namespace:
 * path lookups still see the host's root, and the new one is reached by descriptor alone until pivot_root.
 * Targets are opened inside the new root (RESOLVE_IN_ROOT), then mounted on by descriptor: no path is looked
 * up twice.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "agent/shim/steps.h"
#include "lib/linux/fs_identity.h"
#include "lib/linux/mount.h"
#include "lib/linux/network.h"
#include "lib/linux/syscall.h"

static int attach_root(struct steps *s, int mount_fd)
{
        _cleanup_fd_ int slash = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

        if (slash < 0)
                return error_set_errno(&s->error, -errno, "cannot open /");
        return mount_attach(mount_fd, slash, &s->error);
}

static int step_root_host(struct steps *s, const struct plan_view *v)
{
        /* These get file systems of the container's own: the host's are not kept below them. */
        static const char *const own[] = {"proc", "sys", "dev", "run", "tmp", "var/tmp"};

        _cleanup_fd_ int slash = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (slash < 0)
                return error_set_errno(&s->error, -errno, "cannot open /");
        _cleanup_fd_ int fd = -1;
        int r = mount_clone(slash, /* recursive= */ true,
                MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, &fd, &s->error);
        if (r < 0)
                return error_prefix(&s->error, "the host's root file system");
        r = attach_root(s, fd);
        if (r < 0)
                return r;
        if (fchdir(fd) < 0)
                return error_set_errno(&s->error, -errno, "cannot enter the new root");
        for (size_t i = 0; i < ELEMENTSOF(own); i++)
                while (umount2(own[i], MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
                        ;
        s->root_fd = TAKE_FD(fd);
        return 0;
}

static int open_directory(const char *path, const char *what, int *ret, struct error *e)
{
        int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0)
                return error_set_errno(e, -errno, "cannot open the %s %s", what, path);
        *ret = fd;
        return 0;
}

/* Whoever named the path opens it here, not only when it was checked: a link on the way may lead elsewhere by now. */
static int open_lower(const struct plan_view *v, int *ret, struct error *e)
{
        struct fs_identity saved;
        uint32_t uid, gid;

        if (parse_u32(plan_string(v, 3), UINT32_MAX - 1, &uid) < 0 ||
                parse_u32(plan_string(v, 4), UINT32_MAX - 1, &gid) < 0)
                return error_set(e, -EBADMSG, "the plan does not say who opens the root file system");
        if (uid == 0)
                return open_directory(plan_string(v, 0), "root file system", ret, e);
        int r = fs_identity_assume(uid, gid, &saved);
        if (r < 0)
                return error_set_errno(e, r, "cannot take the rights of uid %u", uid);
        int fd = open(plan_string(v, 0), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        r = fd < 0 ? -errno : 0;
        fs_identity_restore(&saved);
        if (r < 0)
                return error_set_errno(
                        e, r, "cannot open the root file system %s as uid %u", plan_string(v, 0), uid);
        *ret = fd;
        return 0;
}

static int step_root_overlay(struct steps *s, const struct plan_view *v)
{
        _cleanup_fd_ int lower = -1, upper = -1, work = -1, fd = -1;
        char options[160];

        int r = open_lower(v, &lower, &s->error);
        if (r >= 0)
                r = open_directory(plan_string(v, 1), "overlay directory", &upper, &s->error);
        if (r >= 0)
                r = open_directory(plan_string(v, 2), "overlay directory", &work, &s->error);
        if (r < 0)
                return r;
        /* By descriptor: no path needs escaping, and none can be swapped. volatile: nothing of it is ever
         * kept. */
        (void)snprintf(options, sizeof(options),
                "lowerdir=/proc/self/fd/%d,upperdir=/proc/self/fd/%d,workdir=/proc/self/fd/%d,volatile",
                lower, upper, work);
        r = mount_new("overlay", "overlay", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, &fd, &s->error);
        if (r >= 0)
                r = attach_root(s, fd);
        if (r < 0)
                return error_prefix(&s->error, "the root file system %s", plan_string(v, 0));
        s->root_fd = TAKE_FD(fd);
        return 0;
}

/* An image that has a link where the kernel's own file systems belong wants something else to be taken for
 * them. What is opened here is what is mounted on: there is no moment to put a link in its place. */
static int open_without_links(struct steps *s, const char *target, int *ret)
{
        int fd = sys_openat2(s->root_fd, target, O_PATH | O_DIRECTORY | O_CLOEXEC, 0,
                RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);
        if (fd == -ELOOP)
                return error_set(&s->error, -ELOOP,
                        "%s in the root file system is a symbolic link, a directory is wanted", target);
        if (fd < 0)
                return error_set_errno(&s->error, fd, "cannot open %s in the root file system", target);
        *ret = fd;
        return 0;
}

static bool wants_real_directory(const char *fstype, const char *target)
{
        return !str_equal(fstype, "tmpfs") || str_equal(target, "/dev");
}

static int step_mount(struct steps *s, const struct plan_view *v)
{
        const char *fstype = plan_string(v, 0), *source = plan_string(v, 1);
        const char *target = plan_string(v, 2), *options = plan_string(v, 3);
        _cleanup_fd_ int fd = -1, target_fd = -1;

        int r = mount_mkdir_in_root(s->root_fd, target, &target_fd, &s->error);
        if (r >= 0 && wants_real_directory(fstype, target)) {
                target_fd = close_fd(target_fd);
                r = open_without_links(s, target, &target_fd);
        }
        if (r == -EROFS && (v->flags & PLAN_MOUNT_OPTIONAL))
                return 0;
        if (r >= 0)
                r = mount_new(fstype, str_empty(source) ? fstype : source,
                        str_empty(options) ? NULL : options, v->flags & ~PLAN_MOUNT_OPTIONAL, &fd, &s->error);
        if (r >= 0)
                r = mount_attach(fd, target_fd, &s->error);
        return r < 0 ? error_prefix(&s->error, "%s on %s", fstype, target) : 0;
}

static uint64_t bind_attributes(uint32_t flags)
{
        return MOUNT_ATTR_NOSUID | (flags & PLAN_BIND_READONLY ? MOUNT_ATTR_RDONLY : 0) |
               (flags & PLAN_BIND_DEVICES ? 0 : MOUNT_ATTR_NODEV) |
               (flags & PLAN_BIND_EXEC ? 0 : MOUNT_ATTR_NOEXEC);
}

/* The detached clone that is to be attached; the sandbox comes ready from the agent's mount namespace. */
static int bind_source(struct steps *s, const struct plan_view *v, int *ret, struct stat *ret_st)
{
        const char *source = plan_string(v, 0);

        if (v->flags & PLAN_BIND_SANDBOX) {
                if (s->sandbox_mount_fd < 0)
                        return error_set(&s->error, -EBADF, "the sandbox is bound twice");
                _cleanup_fd_ int fd = TAKE_FD(s->sandbox_mount_fd);
                int r = sys_mount_setattr(fd, "", AT_EMPTY_PATH, bind_attributes(v->flags), 0, MS_PRIVATE);
                if (r < 0 || fstat(fd, ret_st) < 0)
                        return error_set_errno(
                                &s->error, r < 0 ? r : -errno, "cannot prepare the mount of the sandbox");
                *ret = TAKE_FD(fd);
                return 0;
        }
        _cleanup_fd_ int fd = open(source, O_PATH | O_CLOEXEC);
        if (fd < 0 || fstat(fd, ret_st) < 0)
                return error_set_errno(&s->error, -errno, "cannot open %s on the host", source);
        if ((v->flags & PLAN_BIND_CHECK_CHAR) && !S_ISCHR(ret_st->st_mode))
                return error_set(&s->error, -ENODEV, "%s on the host is not a character device", source);
        return mount_clone(fd, v->flags & PLAN_BIND_RECURSIVE, bind_attributes(v->flags), ret, &s->error);
}

static int check_char(struct steps *s, const char *target, dev_t wanted)
{
        _cleanup_fd_ int fd = -1;
        struct stat st;

        int r = mount_open_in_root(s->root_fd, target, &fd, &s->error);
        if (r < 0)
                return r;
        if (fstat(fd, &st) < 0 || !S_ISCHR(st.st_mode) || st.st_rdev != wanted)
                return error_set(&s->error, -ENODEV, "%s is not the character device %u:%u", target,
                        major(wanted), minor(wanted));
        return 0;
}

static int refuse_link(struct steps *s, int fd, const char *path)
{
        if (fd == -ELOOP)
                return error_set(&s->error, -ELOOP,
                        "a symbolic link is on the way to %s, a directory is wanted", path);
        return error_set_errno(&s->error, fd, "cannot open %s", path);
}

/*
 * The directory that is to be mounted on, made when it is missing. Below the base everything may be the task's making, or that of
 * another task which uses the same volume at this moment: what is opened without links is what is mounted on.
 */
static int open_below_base(struct steps *s, const char *base, const char *target, int *ret)
{
        const char *relative = target + strspn(target, "/");
        _cleanup_fd_ int base_fd = -1, made = -1;

        int r = mount_open_in_root(s->root_fd, base, &base_fd, &s->error);
        if (r >= 0)
                r = mount_mkdir_in_root(base_fd, relative, &made, &s->error);
        if (r < 0)
                return r;
        int fd = sys_openat2(base_fd, relative, O_PATH | O_DIRECTORY | O_CLOEXEC, 0,
                RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);
        if (fd < 0)
                return refuse_link(s, fd, target);
        *ret = fd;
        return 0;
}

static int bind_volume(struct steps *s, const struct plan_view *v)
{
        const char *source = plan_string(v, 0), *target = plan_string(v, 1);
        _cleanup_fd_ int fd = -1, target_fd = -1, source_fd = -1;

        source_fd = open(source, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (source_fd < 0)
                return error_set_errno(&s->error, -errno, "cannot open the volume for %s", target);
        int r = mount_clone(source_fd, /* recursive= */ false, bind_attributes(v->flags), &fd, &s->error);
        if (r >= 0)
                r = open_below_base(s, plan_string(v, 2), target, &target_fd);
        if (r >= 0)
                r = mount_attach(fd, target_fd, &s->error);
        return r < 0 ? error_prefix(&s->error, "the volume at %s", target) : 0;
}

static int step_bind(struct steps *s, const struct plan_view *v)
{
        if (plan_string(v, 2))
                return bind_volume(s, v);

        const char *source = plan_string(v, 0), *target = plan_string(v, 1);
        _cleanup_fd_ int fd = -1, target_fd = -1;
        struct stat st;

        int r = bind_source(s, v, &fd, &st);
        if (r == -ENOENT && (v->flags & PLAN_BIND_OPTIONAL))
                return 0;
        if (r >= 0)
                r = S_ISDIR(st.st_mode) ? mount_mkdir_in_root(s->root_fd, target, &target_fd, &s->error)
                                        : mount_mkfile_in_root(s->root_fd, target, &target_fd, &s->error);
        if (r >= 0)
                r = mount_attach(fd, target_fd, &s->error);
        if (r >= 0 && (v->flags & PLAN_BIND_CHECK_CHAR))
                r = check_char(s, target, st.st_rdev);
        return r < 0 ? error_prefix(&s->error, "%s on %s", source, target) : 0;
}

/* Opens the directory that is to hold the last component of path; *ret_name points into path. */
static int open_parent(struct steps *s, const char *path, int *ret_fd, const char **ret_name)
{
        const char *slash = strrchr(path, '/');

        if (!slash || !slash[1])
                return error_set(&s->error, -EINVAL, "%s names no file", path);
        _cleanup_free_ char *parent = xstrndup(path, (size_t)(slash - path));
        *ret_name = slash + 1;
        return mount_mkdir_in_root(s->root_fd, parent, ret_fd, &s->error);
}

static int step_device(struct steps *s, const struct plan_view *v)
{
        const char *path = plan_string(v, 0), *name;
        dev_t number = makedev(v->flags >> 16, v->flags & 0xffff);
        _cleanup_fd_ int parent = -1;

        int r = open_parent(s, path, &parent, &name);
        if (r < 0)
                return r;
        if (mknodat(parent, name, S_IFCHR | 0666, number) < 0)
                return error_set_errno(&s->error, -errno, "cannot make the device %s", path);
        if (number != makedev(1, 3))
                return 0;
        r = mount_open_in_root(s->root_fd, path, &s->null_fd, &s->error);
        return r < 0 ? r : check_char(s, path, number);
}

static int step_symlink(struct steps *s, const struct plan_view *v)
{
        const char *path = plan_string(v, 1), *name;
        _cleanup_fd_ int parent = -1;

        int r = open_parent(s, path, &parent, &name);
        if (r < 0)
                return r;
        if (symlinkat(plan_string(v, 0), parent, name) < 0)
                return error_set_errno(&s->error, -errno, "cannot make the link %s", path);
        return 0;
}

/* A clone of one of our own mounts: private like it, with its attributes. */
static int attach_copy(struct steps *s, int fd, int target_fd)
{
        _cleanup_fd_ int copy = sys_open_tree(fd, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

        if (copy < 0)
                return error_set_errno(&s->error, copy, "cannot clone a mount");
        return mount_attach(copy, target_fd, &s->error);
}

static int mask_directory(struct steps *s, int target_fd)
{
        _cleanup_fd_ int fd = -1;
        int r;

        if (s->mask_fd >= 0)
                return attach_copy(s, s->mask_fd, target_fd);
        r = mount_new("tmpfs", "mask", "mode=0755,size=4k,nr_inodes=2",
                MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, &fd, &s->error);
        if (r >= 0)
                r = mount_attach(fd, target_fd, &s->error);
        if (r >= 0)
                s->mask_fd = TAKE_FD(fd);
        return r;
}

static int mask_file(struct steps *s, int target_fd)
{
        if (s->null_fd < 0)
                return error_set(&s->error, -ENODEV, "there is no /dev/null to mask a file with");
        return attach_copy(s, s->null_fd, target_fd);
}

static bool is_missing(int r)
{
        return r == -ENOENT || r == -ENOTDIR;
}

static int step_mask(struct steps *s, const struct plan_view *v)
{
        const char *path = plan_string(v, 0);
        _cleanup_fd_ int target = -1;
        struct stat st;

        int r = mount_open_in_root(s->root_fd, path, &target, NULL);
        if (is_missing(r))
                return 0;
        if (r >= 0 && fstat(target, &st) < 0)
                r = -errno;
        if (r < 0)
                return error_set_errno(&s->error, r, "cannot open %s to mask it", path);
        r = S_ISDIR(st.st_mode) ? mask_directory(s, target) : mask_file(s, target);
        return r < 0 ? error_prefix(&s->error, "cannot mask %s", path) : 0;
}

static bool is_mount_root(int fd)
{
        struct statx stx;

        return statx(fd, "", AT_EMPTY_PATH, 0, &stx) == 0 &&
               (stx.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) &&
               (stx.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

static int step_readonly(struct steps *s, const struct plan_view *v)
{
        const char *path = plan_string(v, 0);
        _cleanup_fd_ int target = -1, fd = -1;

        int r = mount_open_in_root(s->root_fd, path, &target, NULL);
        if (is_missing(r))
                return 0;
        if (r < 0)
                return error_set_errno(&s->error, r, "cannot open %s to make it read-only", path);
        /* A mount of our own is changed in place, so that what is mounted below it keeps its own attributes.
         */
        if (is_mount_root(target)) {
                r = sys_mount_setattr(target, "", AT_EMPTY_PATH, MOUNT_ATTR_RDONLY, 0, 0);
                return r < 0 ? error_set_errno(&s->error, r, "cannot make %s read-only", path) : 0;
        }
        r = mount_clone(target, /* recursive= */ true, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID, &fd, &s->error);
        if (r >= 0)
                r = mount_attach(fd, target, &s->error);
        return r < 0 ? error_prefix(&s->error, "cannot make %s read-only", path) : 0;
}

static int step_loopback(struct steps *s, const struct plan_view *v)
{
        return network_loopback_up(&s->error);
}

static int step_hostname(struct steps *s, const struct plan_view *v)
{
        const char *name = plan_string(v, 0);

        if (sethostname(name, strlen(name)) < 0)
                return error_set_errno(&s->error, -errno, "cannot set the host name to %s", name);
        return 0;
}

static const struct {
        int (*run)(struct steps *s, const struct plan_view *v);
        bool needs_root;
} step_table[PLAN_STEP_MAX] = {
        [PLAN_STEP_LOOPBACK_UP] = {step_loopback, false},
        [PLAN_STEP_HOSTNAME] = {step_hostname, false},
        [PLAN_STEP_ROOT_HOST] = {step_root_host, false},
        [PLAN_STEP_ROOT_OVERLAY] = {step_root_overlay, false},
        [PLAN_STEP_MOUNT] = {step_mount, true},
        [PLAN_STEP_BIND] = {step_bind, true},
        [PLAN_STEP_DEVICE] = {step_device, true},
        [PLAN_STEP_SYMLINK] = {step_symlink, true},
        [PLAN_STEP_MASK] = {step_mask, true},
        [PLAN_STEP_READONLY] = {step_readonly, true},
};

int steps_mount_run(struct steps *s, const struct plan_view *v)
{
        if (!step_table[v->step].run)
                return error_set(&s->error, -EINVAL, "the step does not belong into this phase");
        if (step_table[v->step].needs_root && s->root_fd < 0)
                return error_set(&s->error, -EINVAL, "the step comes before there is a root");
        return step_table[v->step].run(s, v);
}

int steps_enter_root(struct steps *s)
{
        if (s->root_fd < 0)
                return error_set(&s->error, -EINVAL, "the plan makes no root file system");
        if (fchdir(s->root_fd) < 0)
                return error_set_errno(&s->error, -errno, "cannot enter the new root");
        /* With both arguments the same the old root ends up on top of the new one, where it is detached at
         * once. */
        int r = sys_pivot_root(".", ".");
        if (r < 0)
                return error_set_errno(&s->error, r, "cannot pivot into the new root");
        if (umount2(".", MNT_DETACH) < 0)
                return error_set_errno(&s->error, -errno, "cannot detach the host's root");
        if (chdir("/") < 0)
                return error_set_errno(&s->error, -errno, "cannot enter the new root");
        return 0;
}
