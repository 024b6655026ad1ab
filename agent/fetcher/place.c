/*
 * Walks component by component with O_NOFOLLOW: no name is ever resolved through a link, whoever made it. The sandbox is the task's, but
 * nothing of the task runs yet.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/fetcher/fetcher_run.h"

static int cannot(struct error *e, int code, const char *what, const char *path)
{
        return error_set_errno(e, code, "cannot make the %s %.200s", what, path);
}

static int check_path(const char *path, struct error *e)
{
        if (!fetch_path_is_legal(path))
                return error_set(
                        e, -EINVAL, "the name \"%.200s\" is not one of a file below the sandbox", path);
        return 0;
}

static int enter(int parent_fd, const char *name, bool make)
{
        int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        if (fd < 0 && errno == ENOENT && make) {
                if (mkdirat(parent_fd, name, 0755) < 0)
                        return -errno;
                fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        }
        return fd < 0 ? -errno : fd;
}

static int walk(int sandbox_fd, const char *path, bool make, int *ret_fd, const char **ret_name)
{
        _cleanup_fd_ int fd = openat(sandbox_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        char name[256];

        if (fd < 0)
                return -errno;
        for (const char *slash; (slash = strchr(path, '/')); path = slash + 1) {
                (void)snprintf(name, sizeof(name), "%.*s", (int)(slash - path), path);
                int next = enter(fd, name, make);
                if (next < 0)
                        return next;
                (void)close_fd(fd);
                fd = next;
        }
        *ret_fd = TAKE_FD(fd);
        *ret_name = path;
        return 0;
}

/* The directory of path, made when missing, and its last component (points into path). */
static int place_parent(int sandbox_fd, const char *path, int *ret_fd, const char **ret_name, struct error *e)
{
        int r = check_path(path, e);

        if (r < 0)
                return r;
        r = walk(sandbox_fd, path, /* make= */ true, ret_fd, ret_name);
        return r < 0 ? cannot(e, r, "directory of", path) : 0;
}

static int remove_old(int parent_fd, const char *name)
{
        if (unlinkat(parent_fd, name, 0) < 0 && errno != ENOENT)
                return -errno;
        return 0;
}

int place_file(int sandbox_fd, const char *path, mode_t mode, int *ret_fd, struct error *e)
{
        _cleanup_fd_ int parent = -1;
        const char *name;

        int r = place_parent(sandbox_fd, path, &parent, &name, e);
        if (r < 0)
                return r;
        r = remove_old(parent, name);
        if (r < 0)
                return cannot(e, r, "file", path);
        int fd = openat(parent, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
                return cannot(e, -errno, "file", path);
        if (fchmod(fd, mode & 0777) < 0) {
                r = -errno;
                (void)close_fd(fd);
                return cannot(e, r, "file", path);
        }
        *ret_fd = fd;
        return 0;
}

int place_directory(int sandbox_fd, const char *path, mode_t mode, struct error *e)
{
        _cleanup_fd_ int parent = -1, fd = -1;
        const char *name;

        int r = place_parent(sandbox_fd, path, &parent, &name, e);
        if (r < 0)
                return r;
        fd = enter(parent, name, /* make= */ true);
        /* Its owner can always go on writing into it. */
        if (fd < 0 || fchmod(fd, (mode & 0777) | 0700) < 0)
                return cannot(e, fd < 0 ? fd : -errno, "directory", path);
        return 0;
}

static size_t depth_of(const char *path)
{
        size_t n = 0;

        for (; (path = strchr(path, '/')); path++)
                n++;
        return n;
}

/*
 * ".." may only lead, and only as far as the sandbox: behind another component it would go up from wherever that one leads, which may
 * be a link. What follows goes through names of the sandbox, whose links obey the same rule.
 */
static bool stays_below(const char *path, const char *target)
{
        size_t up = 0;
        bool down = false;

        if (!*target || *target == '/' || strlen(target) >= FETCH_PATH_MAX)
                return false;
        for (const char *p = target; *p;) {
                size_t n = strcspn(p, "/");
                if (n == 2 && p[0] == '.' && p[1] == '.') {
                        if (down || ++up > depth_of(path))
                                return false;
                } else if (n > 0 && !(n == 1 && p[0] == '.')) {
                        down = true;
                }
                p += n + (p[n] == '/');
        }
        return true;
}

int place_symlink(int sandbox_fd, const char *path, const char *target, struct error *e)
{
        _cleanup_fd_ int parent = -1;
        const char *name;

        int r = place_parent(sandbox_fd, path, &parent, &name, e);
        if (r < 0)
                return r;
        if (!stays_below(path, target))
                return error_set(
                        e, -EXDEV, "the link %.200s -> %.200s may lead out of the sandbox", path, target);
        r = remove_old(parent, name);
        if (r == 0 && symlinkat(target, parent, name) < 0)
                r = -errno;
        return r < 0 ? cannot(e, r, "link", path) : 0;
}

int place_hardlink(int sandbox_fd, const char *path, const char *target, struct error *e)
{
        _cleanup_fd_ int parent = -1, target_parent = -1;
        const char *name, *target_name;
        struct stat st;

        int r = check_path(target, e);
        if (r == 0)
                r = place_parent(sandbox_fd, path, &parent, &name, e);
        if (r < 0)
                return r;
        r = walk(sandbox_fd, target, /* make= */ false, &target_parent, &target_name);
        if (r == 0 && fstatat(target_parent, target_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                r = -errno;
        if (r < 0)
                return error_set_errno(e, r, "the link %.200s has no target %.200s", path, target);
        if (!S_ISREG(st.st_mode))
                return error_set(e, -EINVAL, "the hard link %.200s leads to no regular file", path);
        if (str_equal(path, target))
                return 0;
        r = remove_old(parent, name);
        if (r == 0 && linkat(target_parent, target_name, parent, name, 0) < 0)
                r = -errno;
        return r < 0 ? cannot(e, r, "link", path) : 0;
}
