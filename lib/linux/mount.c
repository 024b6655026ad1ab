#include "lib/linux/mount.h"

#include <string.h>
#include <sys/stat.h>

#include "lib/linux/syscall.h"

#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif

/* EAGAIN: a rename somewhere on the machine raced with ".." in the walk; the kernel asks to try again. */
#define OPEN_ATTEMPTS 64

static int open_in_root(int root_fd, const char *path, uint64_t flags)
{
        int fd = -EAGAIN;

        /* An empty path is the root itself for us, and ENOENT for the kernel. */
        if (!*path)
                path = "/";
        for (int i = 0; fd == -EAGAIN && i < OPEN_ATTEMPTS; i++)
                fd = sys_openat2(
                        root_fd, path, flags | O_CLOEXEC, 0, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
        return fd;
}

int mount_open_in_root(int root_fd, const char *path, int *ret_fd, struct error *e)
{
        int fd = open_in_root(root_fd, path, O_PATH);
        if (fd < 0)
                return error_set_errno(e, fd, "cannot open %s in the root file system", path);
        *ret_fd = fd;
        return 0;
}

/* ".." in a path that is to be created has no meaning that a person would expect once links are involved. */
static int refuse_dot_dot(const char *path, struct error *e)
{
        for (const char *p = path; *p;) {
                p += strspn(p, "/");
                size_t len = strcspn(p, "/");
                if (len == 2 && p[0] == '.' && p[1] == '.')
                        return error_set(e, -EINVAL, "the path %s must not contain \"..\"", path);
                p += len;
        }
        return 0;
}

/* Opens the directory `path`, of which all but the last component exist; makes that one when it is missing.
 */
static int open_or_make(int root_fd, int parent_fd, const char *path, const char *last)
{
        int fd = open_in_root(root_fd, path, O_PATH | O_DIRECTORY);
        if (fd != -ENOENT)
                return fd;
        if (mkdirat(parent_fd, last, 0755) < 0 && errno != EEXIST)
                return -errno;
        /* After EEXIST by a dangling link this is ENOENT again: what the link names is not ours to make. */
        return open_in_root(root_fd, path, O_PATH | O_DIRECTORY);
}

int mount_mkdir_in_root(int root_fd, const char *path, int *ret_fd, struct error *e)
{
        int r = refuse_dot_dot(path, e);
        if (r < 0)
                return r;

        _cleanup_fd_ int fd = open_in_root(root_fd, path, O_PATH | O_DIRECTORY);
        if (fd >= 0) {
                *ret_fd = TAKE_FD(fd);
                return 0;
        }
        if (fd != -ENOENT)
                return error_set_errno(e, fd, "cannot open the directory %s in the root file system", path);

        _cleanup_free_ char *prefix = xstrdup(path);
        fd = open_in_root(root_fd, "/", O_PATH | O_DIRECTORY);
        for (char *p = prefix; fd >= 0;) {
                p += strspn(p, "/");
                if (!*p)
                        break;
                char *last = p;
                p += strcspn(p, "/");
                char saved = *p;
                *p = '\0';
                int next = open_or_make(root_fd, fd, prefix, last);
                *p = saved;
                (void)close_fd(fd);
                fd = next;
        }
        if (fd < 0)
                return error_set_errno(e, fd, "cannot make the directory %s in the root file system", path);
        *ret_fd = TAKE_FD(fd);
        return 0;
}

static int check_mount_point(int fd, const char *path, struct error *e)
{
        struct stat st;

        if (fstat(fd, &st) < 0)
                return error_set_errno(e, -errno, "cannot examine %s in the root file system", path);
        if (S_ISDIR(st.st_mode))
                return error_set(
                        e, -EISDIR, "%s in the root file system is a directory, a file is wanted", path);
        return 0;
}

int mount_mkfile_in_root(int root_fd, const char *path, int *ret_fd, struct error *e)
{
        int r = refuse_dot_dot(path, e);
        if (r < 0)
                return r;

        _cleanup_fd_ int fd = open_in_root(root_fd, path, O_PATH);
        if (fd == -ENOENT) {
                _cleanup_free_ char *parent = xstrdup(path);
                _cleanup_fd_ int parent_fd = -1;
                _cleanup_fd_ int made = -1;
                char *slash = strrchr(parent, '/');
                const char *name = slash ? path + (slash - parent) + 1 : path;

                if (str_empty(name) || str_equal(name, "."))
                        return error_set(e, -EINVAL, "the path %s does not name a file", path);
                if (slash)
                        *slash = '\0';
                r = mount_mkdir_in_root(root_fd, slash ? parent : "", &parent_fd, e);
                if (r < 0)
                        return r;
                /* O_EXCL follows no link, also not a dangling one. */
                made = openat(parent_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
                if (made < 0)
                        return error_set_errno(
                                e, -errno, "cannot make the file %s in the root file system", path);
                fd = open_in_root(root_fd, path, O_PATH);
        }
        if (fd < 0)
                return error_set_errno(e, fd, "cannot open %s in the root file system", path);
        r = check_mount_point(fd, path, e);
        if (r < 0)
                return r;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

/* The kernel leaves sentences of its own in the context, "e overlay: ..." one a read; they say more than the
 * errno. */
static int configure_error(int fs_fd, int code, const char *fstype, const char *what, struct error *e)
{
        char text[512];
        ssize_t n = read(fs_fd, text, sizeof(text) - 1);

        if (n <= 2)
                return error_set_errno(e, code, "cannot mount %s (%s)", fstype, what);
        text[n] = '\0';
        text[strcspn(text, "\n")] = '\0';
        return error_set_errno(e, code, "cannot mount %s (%s): %s", fstype, what, text + 2);
}

static int configure_options(int fs_fd, const char *fstype, const char *options, struct error *e)
{
        _cleanup_free_ char *copy = xstrdup(options);
        char *save = NULL;

        for (char *key = copy ? strtok_r(copy, ",", &save) : NULL; key; key = strtok_r(NULL, ",", &save)) {
                char *value = strchr(key, '=');
                if (value)
                        *value++ = '\0';
                int r = sys_fsconfig(fs_fd, value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, key, value, 0);
                if (r < 0)
                        return configure_error(fs_fd, r, fstype, key, e);
        }
        return 0;
}

int mount_new(const char *fstype, const char *source, const char *options, unsigned attr, int *ret_fd,
        struct error *e)
{
        _cleanup_fd_ int fs_fd = sys_fsopen(fstype, FSOPEN_CLOEXEC);
        if (fs_fd < 0)
                return error_set_errno(e, fs_fd, "cannot mount %s: the file system is not available", fstype);

        int r;
        if (source) {
                r = sys_fsconfig(fs_fd, FSCONFIG_SET_STRING, "source", source, 0);
                if (r < 0)
                        return configure_error(fs_fd, r, fstype, "source", e);
        }
        r = configure_options(fs_fd, fstype, options, e);
        if (r < 0)
                return r;
        r = sys_fsconfig(fs_fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
        if (r < 0)
                return configure_error(fs_fd, r, fstype, options ? options : "no options", e);
        int fd = sys_fsmount(fs_fd, FSMOUNT_CLOEXEC, attr);
        if (fd < 0)
                return configure_error(fs_fd, fd, fstype, "attributes", e);
        *ret_fd = fd;
        return 0;
}

int mount_clone(int source_fd, bool recursive, uint64_t attr_set, int *ret_fd, struct error *e)
{
        unsigned flags = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0);

        _cleanup_fd_ int fd = sys_open_tree(source_fd, "", flags | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
        if (fd < 0)
                return error_set_errno(e, fd, "cannot clone a mount");
        /* Private, so that what is mounted on the clone later does not show up where the source came from. */
        int r = sys_mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, attr_set, 0, MS_PRIVATE);
        if (r < 0)
                return error_set_errno(e, r, "cannot set the attributes 0x%llx of a cloned mount",
                        (unsigned long long)attr_set);
        *ret_fd = TAKE_FD(fd);
        return 0;
}

int mount_attach(int mount_fd, int target_fd, struct error *e)
{
        int r = sys_move_mount(
                mount_fd, "", target_fd, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
        if (r < 0)
                return error_set_errno(e, r, "cannot attach a mount to its target");
        return 0;
}
