#include <fcntl.h>
#include <limits.h>
#include <linux/bpf.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "agent/fetcher/fetcher_run.h"

#define COPY_BYTES (128 * 1024)

int fetch_budget_take(struct fetch_budget *b, uint64_t bytes, struct error *e)
{
        if (bytes > b->bytes_left)
                return error_set(e, -EFBIG,
                        "is larger than the %llu bytes that a fetch may take (--fetcher-max-size)",
                        (unsigned long long)b->bytes_max);
        b->bytes_left -= bytes;
        return 0;
}

/* What the kernel makes up tells about the fetcher and the host, not about a file. */
static bool is_kernel_fs(int fd)
{
        static const unsigned long magics[] = {PROC_SUPER_MAGIC, SYSFS_MAGIC, CGROUP_SUPER_MAGIC,
                CGROUP2_SUPER_MAGIC, DEBUGFS_MAGIC, TRACEFS_MAGIC, SECURITYFS_MAGIC, BPF_FS_MAGIC};
        struct statfs s;

        if (fstatfs(fd, &s) < 0)
                return true;
        for (size_t i = 0; i < ELEMENTSOF(magics); i++)
                if ((unsigned long)s.f_type == magics[i])
                        return true;
        return false;
}

static bool is_below(const char *path, const char *dir)
{
        size_t n = strlen(dir);

        while (n > 1 && dir[n - 1] == '/')
                n--;
        return strncmp(path, dir, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

/* Where the open file really lies, whatever links led to it. */
static int check_hidden(const struct fetch_job *j, int fd, struct error *e)
{
        char link[64], path[PATH_MAX];

        (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        ssize_t n = readlink(link, path, sizeof(path) - 1);
        if (n < 0)
                return error_set_errno(e, -errno, "cannot be located");
        path[n] = '\0';
        for (size_t i = 0; i < j->hidden.count; i++)
                if (is_below(path, j->hidden.items[i]))
                        return error_set(
                                e, -EACCES, "lies in %.200s, which is hidden from tasks", j->hidden.items[i]);
        return 0;
}

int source_open(const struct fetch_job *j, const char *path, int *ret_fd, struct error *e)
{
        struct stat st;
        char link[64];

        /* First without effect: opening a device or a FIFO does something. */
        _cleanup_fd_ int place = open(path, O_PATH | O_CLOEXEC);
        if (place < 0 || fstat(place, &st) < 0)
                return error_set_errno(e, -errno, "cannot be opened by the task's user");
        if (!S_ISREG(st.st_mode) || is_kernel_fs(place))
                return error_set(e, -EINVAL, "is not a regular file");
        int r = check_hidden(j, place, e);
        if (r < 0)
                return r;
        (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", place);
        int fd = open(link, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd < 0)
                return error_set_errno(e, -errno, "cannot be read by the task's user");
        *ret_fd = fd;
        return 0;
}

int source_copy(int from_fd, int to_fd, struct fetch_budget *b, struct error *e)
{
        static char buf[COPY_BYTES];
        struct stat st;
        ssize_t n;

        if (lseek(from_fd, 0, SEEK_SET) < 0 || fstat(from_fd, &st) < 0)
                return error_set_errno(e, -errno, "cannot be read");
        if (st.st_size >= 0 && (uint64_t)st.st_size > b->bytes_left)
                return fetch_budget_take(b, (uint64_t)st.st_size, e);
        /* Shares the blocks where the file system can: a copy to the task, who may write to its own. */
        if (ioctl(to_fd, FICLONE, from_fd) == 0)
                return fetch_budget_take(b, (uint64_t)st.st_size, e);
        while ((n = read(from_fd, buf, sizeof(buf))) > 0) {
                int r = fetch_budget_take(b, (uint64_t)n, e);
                if (r < 0)
                        return r;
                r = write_all(to_fd, buf, (size_t)n);
                if (r < 0)
                        return error_set_errno(e, r, "cannot be written to the sandbox");
        }
        return n < 0 ? error_set_errno(e, -errno, "cannot be read") : 0;
}
