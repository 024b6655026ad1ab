#include "lib/linux/cgroup_id.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/id.h"
#include "lib/base/util.h"
#include "lib/linux/syscall.h"

/* Where agents put what is not to speak for its user: tasks, and what fetches for them. */
static const char *const groups_of_tasks[] = {"/containers/", "/fetches/"};
#define FILEID_KERNFS 0xfe /* include/linux/exportfs.h: the handle of a kernfs node is its 64-bit id (5.5) */

static int open_cgroup2(void)
{
        struct mntent entry;
        char line[4 * PATH_MAX];
        FILE *f = setmntent("/proc/self/mounts", "re");
        int fd = -ENODATA;

        if (!f)
                return -errno;
        while (fd < 0 && getmntent_r(f, &entry, line, sizeof(line)))
                if (str_equal(entry.mnt_type, "cgroup2"))
                        fd = open(entry.mnt_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        (void)endmntent(f);
        return fd < 0 ? -ENODATA : fd;
}

/* What a search without the right to open by handle may cost: about a millisecond per thousand groups. */
#define SEARCH_GROUPS_MAX 65536
#define SEARCH_DEPTH_MAX 64

struct search {
        uint64_t id;
        unsigned visited;
        char *found; /* the name of the group, and then of each directory above it */
};

/* 1 when the group was found, 0 when not. Takes fd. The inode of a group's directory is its number. */
static int search_below(struct search *s, int fd, unsigned depth)
{
        DIR *d = fdopendir(fd);
        struct dirent *entry;
        int r = 0;

        if (!d) {
                int code = -errno;
                (void)close_fd(fd);
                return code;
        }
        while (r == 0 && (entry = readdir(d))) {
                if (entry->d_type != DT_DIR || str_equal(entry->d_name, ".") ||
                        str_equal(entry->d_name, ".."))
                        continue;
                if (++s->visited > SEARCH_GROUPS_MAX || depth == SEARCH_DEPTH_MAX) {
                        r = -ENODATA;
                } else if (entry->d_ino == s->id) {
                        s->found = xstrdup("");
                        r = 1;
                } else {
                        int child = openat(
                                dirfd(d), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                        r = child < 0 ? 0 : search_below(s, child, depth + 1); /* gone meanwhile */
                }
                if (r == 1) {
                        char *path = xasprintf("/%s%s", entry->d_name, s->found);
                        free(s->found);
                        s->found = path;
                }
        }
        (void)closedir(d);
        return r;
}

static int search_path(int mount_fd, uint64_t id, char **ret)
{
        struct search s = {.id = id};
        int fd = openat(mount_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct stat st;

        if (fd < 0)
                return -errno;
        if (fstat(fd, &st) == 0 && st.st_ino == id) {
                (void)close_fd(fd);
                *ret = xstrdup("/");
                return 0;
        }
        int r = search_below(&s, fd, 0);
        if (r == 1)
                *ret = s.found;
        return r < 0 ? r : r == 1 ? 0 : -ESTALE;
}

/* -EPERM without CAP_DAC_READ_SEARCH. */
static int open_by_id(int mount_fd, uint64_t id)
{
        union {
                struct file_handle handle;
                char bytes[sizeof(struct file_handle) + sizeof(id)];
        } h = {.handle = {.handle_bytes = sizeof(id), .handle_type = FILEID_KERNFS}};

        memcpy(h.bytes + offsetof(struct file_handle, f_handle), &id, sizeof(id));
        int fd = open_by_handle_at(mount_fd, &h.handle, O_PATH | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

int cgroup_open_by_id(uint64_t id, int *ret)
{
        _cleanup_fd_ int mount_fd = open_cgroup2();
        int fd = mount_fd < 0 ? mount_fd : open_by_id(mount_fd, id);

        if (fd < 0)
                return fd;
        *ret = fd;
        return 0;
}

/* The path of an open directory. What was removed keeps its path, with a mark behind it. */
static int path_of(int fd, char **ret)
{
        char link[64], path[PATH_MAX];

        (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        ssize_t n = readlink(link, path, sizeof(path) - 1);
        if (n < 0)
                return -errno;
        path[n] = '\0';
        if (str_has_suffix(path, " (deleted)"))
                return -ESTALE;
        *ret = xstrdup(path);
        return 0;
}

int cgroup_path_by_id(uint64_t id, char **ret)
{
        _cleanup_fd_ int mount_fd = open_cgroup2();
        if (mount_fd < 0)
                return mount_fd;
        _cleanup_fd_ int fd = open_by_id(mount_fd, id);
        if (fd == -EPERM)
                return search_path(mount_fd, id, ret);
        return fd < 0 ? fd : path_of(fd, ret);
}

/* The line of the v2 tree: "0::/path". */
static int read_path(const char *proc_root, pid_t pid, char **ret)
{
        _cleanup_free_ char *file = xasprintf("%s/%d/cgroup", proc_root, (int)pid);
        _cleanup_free_ char *text = NULL;
        size_t len;

        int r = read_file_at(AT_FDCWD, file, 64 * 1024, &text, &len);
        if (r < 0)
                return r;
        const char *line = str_has_prefix(text, "0::/") ? text : strstr(text, "\n0::/");
        if (!line)
                return -ENODATA;
        line = strchr(line, '/');
        *ret = xstrndup(line, strcspn(line, "\n"));
        return 0;
}

int cgroup_path_of_process(const char *proc_root, pid_t pid, int pidfd, char **ret)
{
        _cleanup_free_ char *path = NULL;

        if (pid <= 0 || pidfd < 0)
                return -ESRCH;
        int r = read_path(proc_root, pid, &path);
        if (r < 0)
                return r == -ENOENT ? -ESRCH : r;
        /* Not reaped yet: then the number was its own when we read. */
        r = sys_pidfd_send_signal(pidfd, 0);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(path);
        return 0;
}

int cgroup_is_within(int cgroup_fd, uint64_t ancestor_id)
{
        _cleanup_fd_ int fd = openat(cgroup_fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
        struct stat st;
        dev_t tree = 0;

        for (unsigned depth = 0; depth < SEARCH_DEPTH_MAX; depth++) {
                if (fd < 0 || fstat(fd, &st) < 0)
                        return -errno;
                /* Above the root of the mount is another file system, with numbers of its own. */
                if (depth > 0 && st.st_dev != tree)
                        return 0;
                if (st.st_ino == ancestor_id)
                        return 1;
                tree = st.st_dev;
                int up = openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
                (void)close_fd(fd);
                fd = up;
        }
        return -ELOOP;
}

static bool starts_with_uuid(const char *s)
{
        static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
        size_t i;

        for (i = 0; form[i]; i++)
                if (form[i] == '-' ? s[i] != '-' : !s[i] || !strchr("0123456789abcdef", s[i]))
                        return false;
        return s[i] == '\0' || s[i] == '/';
}

bool cgroup_path_is_container(const char *path)
{
        for (size_t i = 0; i < ELEMENTSOF(groups_of_tasks); i++)
                for (const char *p = path; (p = strstr(p, groups_of_tasks[i])); p++)
                        if (starts_with_uuid(p + strlen(groups_of_tasks[i])))
                                return true;
        return false;
}
