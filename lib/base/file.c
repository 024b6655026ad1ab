/* Whole files and trees, by directory file descriptors. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/base/util.h"

int write_all(int fd, const void *data, size_t len)
{
        const char *p = data;

        while (len > 0) {
                ssize_t n = write(fd, p, len);

                if (n < 0) {
                        if (errno == EINTR)
                                continue;
                        return -errno;
                }
                p += n;
                len -= (size_t)n;
        }
        return 0;
}

int read_all_fd(int fd, size_t max, char **ret, size_t *ret_len)
{
        _cleanup_free_ char *data = NULL;
        size_t len = 0, size = 0;

        /* One byte above max is asked for, to tell a file of exactly max bytes from a longer one. */
        for (;;) {
                ssize_t n;

                if (len + 1 >= size) {
                        char *grown;

                        size = size ? size * 2 : 4096;
                        grown = realloc(data, size);
                        if (!grown)
                                return -ENOMEM;
                        data = grown;
                }
                n = read(fd, data + len, size - len - 1);
                if (n < 0) {
                        if (errno == EINTR)
                                continue;
                        return -errno;
                }
                if (n == 0)
                        break;
                len += (size_t)n;
                if (len > max)
                        return -E2BIG;
        }
        data[len] = '\0';
        *ret = TAKE_PTR(data);
        if (ret_len)
                *ret_len = len;
        return 0;
}

int read_file_at(int dirfd, const char *path, size_t max, char **ret, size_t *ret_len)
{
        _cleanup_fd_ int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

        if (fd < 0)
                return -errno;
        return read_all_fd(fd, max, ret, ret_len);
}

/*
 * Opens the directory that holds the last component of path, and points *ret_name at that component (trailing
 * slashes are not accepted: the name is to be created or removed as it is).
 */
static int open_parent_at(int dirfd, const char *path, int *ret_fd, const char **ret_name)
{
        const char *slash = strrchr(path, '/');
        const char *name = slash ? slash + 1 : path;
        _cleanup_free_ char *parent = NULL;
        int fd;

        if (!*name || str_equal(name, ".") || str_equal(name, ".."))
                return -EINVAL;
        parent = !slash ? xstrdup(".") : xstrndup(path, slash == path ? 1 : (size_t)(slash - path));
        fd = openat(dirfd, parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        *ret_fd = fd;
        *ret_name = name;
        return 0;
}

static int write_aside(int dirfd, const char *aside, const void *data, size_t len, mode_t mode, bool sync)
{
        _cleanup_fd_ int fd = -1;
        int r;

        /* What a crash left behind may be a link or have another owner: never opened, always replaced. */
        if (unlinkat(dirfd, aside, 0) < 0 && errno != ENOENT)
                return -errno;
        fd = openat(dirfd, aside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
        if (fd < 0)
                return -errno;
        r = write_all(fd, data, len);
        if (r < 0)
                return r;
        /* The mode asked for, whatever the umask. */
        if (fchmod(fd, mode) < 0 || (sync && fsync(fd) < 0))
                return -errno;
        return 0;
}

int write_file_atomic_at(int dirfd, const char *name, const void *data, size_t len, mode_t mode, bool sync)
{
        _cleanup_free_ char *aside = NULL;
        _cleanup_fd_ int parent = -1;
        const char *base;
        int r;

        r = open_parent_at(dirfd, name, &parent, &base);
        if (r < 0)
                return r;
        aside = xasprintf(".%s.tmp", base);
        r = write_aside(parent, aside, data, len, mode, sync);
        if (r == 0 && renameat(parent, aside, parent, base) < 0)
                r = -errno;
        if (r < 0) {
                (void)unlinkat(parent, aside, 0);
                return r;
        }
        if (sync && fsync(parent) < 0)
                return -errno;
        return 0;
}

int mkdir_parents_at(int dirfd, const char *path, mode_t mode)
{
        _cleanup_free_ char *copy = xstrdup(path);
        struct stat st;

        if (str_empty(path))
                return -EINVAL;
        for (char *p = copy + 1;; p++) {
                char c = *p;

                if (c != '/' && c != '\0')
                        continue;
                *p = '\0';
                if (mkdirat(dirfd, copy, mode) < 0 && errno != EEXIST)
                        return -errno;
                *p = c;
                if (c == '\0')
                        break;
        }
        if (fstatat(dirfd, path, &st, 0) < 0)
                return -errno;
        return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

/*
 * Removal of trees that a task made, who may have nested them without end. Directories deeper than
 * REMOVE_DEPTH are moved up to the top first, so that neither the stack nor the number of open files grows
 * with the depth of the tree.
 */
#define REMOVE_DEPTH 64

struct removal {
        int top_fd;
        unsigned long moved;  /* directories moved up so far; also makes their names unique */
        int error;            /* the first failure; removal goes on with the rest */
        unsigned long budget; /* files and directories that may go before it stops */
};

static bool removal_stopped(const struct removal *r)
{
        return r->budget == 0;
}

static void removal_count(struct removal *r)
{
        if (r->budget > 0 && r->budget != ULONG_MAX)
                r->budget--;
}

static void removal_fail(struct removal *r, int error)
{
        if (r->error == 0 && error != -ENOENT)
                r->error = error;
}

/* Neither a symbolic link nor a mount point (a bind mount has the same st_dev, so only the kernel can tell).
 */
static int open_directory_below(int dirfd, const char *name)
{
        struct open_how how = {
                .flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NOATIME,
                .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS,
        };
        long fd = syscall(SYS_openat2, dirfd, name, &how, sizeof(how));

        if (fd < 0 && errno == EPERM) {
                /* O_NOATIME is for owners. */
                how.flags &= ~(uint64_t)O_NOATIME;
                fd = syscall(SYS_openat2, dirfd, name, &how, sizeof(how));
        }
        return fd < 0 ? -errno : (int)fd;
}

static void move_to_top(struct removal *r, int dirfd, const char *name)
{
        char target[64];

        do
                (void)snprintf(target, sizeof(target), ".removing-%lu", r->moved++);
        while (faccessat(r->top_fd, target, F_OK, AT_SYMLINK_NOFOLLOW) == 0);
        if (renameat(dirfd, name, r->top_fd, target) < 0)
                removal_fail(r, -errno);
}

static void remove_contents(struct removal *r, int fd, unsigned depth);

static void remove_directory(struct removal *r, int dirfd, const char *name, unsigned depth)
{
        int fd;

        if (depth >= REMOVE_DEPTH) {
                move_to_top(r, dirfd, name);
                return;
        }
        fd = open_directory_below(dirfd, name);
        if (fd < 0) {
                removal_fail(r, fd == -EXDEV ? -EBUSY : fd);
                return;
        }
        remove_contents(r, fd, depth);
        if (removal_stopped(r))
                return;
        if (unlinkat(dirfd, name, AT_REMOVEDIR) < 0)
                removal_fail(r, -errno);
        else
                removal_count(r);
}

/* Takes fd. */
static void remove_contents(struct removal *r, int fd, unsigned depth)
{
        DIR *d = fdopendir(fd);
        struct dirent *entry;

        if (!d) {
                removal_fail(r, -errno);
                (void)close_fd(fd);
                return;
        }
        while (!removal_stopped(r) && (errno = 0, entry = readdir(d))) {
                const char *name = entry->d_name;

                if (str_equal(name, ".") || str_equal(name, ".."))
                        continue;
                if (entry->d_type != DT_DIR) {
                        if (unlinkat(fd, name, 0) == 0) {
                                removal_count(r);
                                continue;
                        }
                        if (errno != EISDIR) {
                                removal_fail(r, -errno);
                                continue;
                        }
                }
                remove_directory(r, fd, name, depth + 1);
        }
        if (!removal_stopped(r) && errno != 0)
                removal_fail(r, -errno);
        (void)closedir(d);
}

int remove_some_at(int dirfd, const char *name, unsigned long *budget)
{
        _cleanup_fd_ int parent = -1, top = -1;
        struct removal removal = {.budget = *budget};
        const char *base;
        unsigned long moved;
        int r;

        r = open_parent_at(dirfd, name, &parent, &base);
        if (r < 0)
                return r == -ENOENT ? 0 : r;
        if (unlinkat(parent, base, 0) == 0 || errno == ENOENT)
                return 0;
        if (errno != EISDIR)
                return -errno;
        top = open_directory_below(parent, base);
        if (top < 0)
                return top == -EXDEV ? -EBUSY : top;
        removal.top_fd = top;
        do {
                /* A descriptor of its own, with an offset of its own: a dup would share it with the pass
                 * before. */
                int fd = openat(top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

                if (fd < 0)
                        return -errno;
                moved = removal.moved;
                remove_contents(&removal, fd, 0);
        } while (removal.moved != moved && removal.error == 0 && !removal_stopped(&removal));
        *budget = removal.budget;
        if (removal_stopped(&removal))
                return 1;
        if (removal.error < 0)
                return removal.error;
        if (unlinkat(parent, base, AT_REMOVEDIR) < 0 && errno != ENOENT)
                return -errno;
        return 0;
}

int remove_tree_at(int dirfd, const char *name)
{
        unsigned long all = ULONG_MAX;

        return remove_some_at(dirfd, name, &all);
}
