#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/linux/cgroup_internal.h"
#include "lib/linux/syscall.h"

#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)
/* One fd and one stack frame a level; a task that nests deeper than this made it to annoy us, and gets an error. */
#define TREE_DEPTH_MAX 128
/* Exiting tasks leave their groups a moment after their parent saw them die: 0.1 + 0.2 + ... + 25.6 ms. */
#define REMOVE_RETRIES 9
#define REMOVE_FIRST_WAIT_NS 100000
/* Without cgroup.kill (kernels before 5.14): passes over a frozen tree, in which nothing can be born. */
#define KILL_PASSES 16
#define PROCS_MAX (4 * 1024 * 1024)

static void close_directory(DIR **d)
{
        if (*d)
                (void)closedir(*d);
}

static int open_directory(int dir_fd, const char *name, DIR **ret)
{
        _cleanup_fd_ int fd = openat(dir_fd, name, DIR_FLAGS);
        if (fd < 0)
                return -errno;
        DIR *d = fdopendir(fd);
        if (!d)
                return -errno;
        fd = -1; /* d owns it now */
        *ret = d;
        return 0;
}

/* Calls f for each child group; the first error ends the walk. */
static int for_each_child(
        int dir_fd, const char *name, int (*f)(int dir_fd, const char *name, unsigned depth), unsigned depth)
{
        CLEANUP(close_directory) DIR *d = NULL;
        struct dirent *entry;

        if (depth > TREE_DEPTH_MAX)
                return -ELOOP;
        int r = open_directory(dir_fd, name, &d);
        if (r < 0)
                return r == -ENOENT ? 0 : r;
        while (errno = 0, (entry = readdir(d))) {
                if (entry->d_type != DT_DIR || str_equal(entry->d_name, ".") ||
                        str_equal(entry->d_name, ".."))
                        continue;
                r = f(dirfd(d), entry->d_name, depth + 1);
                if (r < 0)
                        return r;
        }
        return errno == ENODEV || errno == ENOENT ? 0 : -errno;
}

/* ---- removing ---- */

static int remove_below(int dir_fd, const char *name, unsigned depth)
{
        /* Nearly always a leaf without processes: one call. */
        if (unlinkat(dir_fd, name, AT_REMOVEDIR) >= 0 || errno == ENOENT)
                return 0;
        if (errno != EBUSY && errno != ENOTEMPTY)
                return -errno;
        int r = for_each_child(dir_fd, name, remove_below, depth);
        if (r < 0)
                return r;
        struct timespec wait = {.tv_nsec = REMOVE_FIRST_WAIT_NS};
        for (int i = 0;; i++, wait.tv_nsec *= 2) {
                if (unlinkat(dir_fd, name, AT_REMOVEDIR) >= 0 || errno == ENOENT)
                        return 0;
                if (errno != EBUSY || i == REMOVE_RETRIES)
                        return -errno;
                (void)nanosleep(&wait, NULL);
        }
}

int cgroup_tree_remove(int dir_fd, const char *name)
{
        return remove_below(dir_fd, name, 0);
}

int cgroup_remove(struct cgroup *c, struct error *e)
{
        const struct cgroup_root *root = c->root;
        bool populated = false;

        if (!*c->name)
                return error_set(e, -EINVAL, "the root control group %s is not removed as a group",
                        c->paths[HIERARCHY_V2]);
        if (cgroup_populated(c, &populated) >= 0 && populated)
                return error_set(e, -EBUSY, "the control group %s has processes", c->paths[HIERARCHY_V2]);
        /* v2 last: while a group exists anywhere, its v2 directory names it. */
        for (size_t i = root->count; i-- > 0;) {
                int r = cgroup_tree_remove(root->fds[i], c->directory);
                if (r < 0)
                        return error_set_errno(e, r, "cannot remove the control group %s", c->paths[i]);
        }
        return 0;
}

/* ---- freezing and killing ---- */

int cgroup_freeze(struct cgroup *c, bool frozen, struct error *e)
{
        int r = cgroup_file_write(c->fds[HIERARCHY_V2], "cgroup.freeze", frozen ? "1" : "0");

        if (r < 0)
                return error_set_errno(e, r, "cannot %s the control group %s", frozen ? "freeze" : "thaw",
                        c->paths[HIERARCHY_V2]);
        return 0;
}

static bool lists_pid(const char *procs, pid_t pid)
{
        for (const char *p = procs; *p;) {
                char *end;
                if (strtol(p, &end, 10) == pid)
                        return true;
                p = *end ? end + 1 : end;
        }
        return false;
}

/*
 * The pid is listed, a pidfd opened, the list read again: a pid that is still listed belongs to the process of the pidfd, because one that
 * took over the number in between would not be in this group.
 */
static int kill_members(int dir_fd)
{
        _cleanup_free_ char *procs = NULL;
        size_t len;

        int r = read_file_at(dir_fd, "cgroup.procs", PROCS_MAX, &procs, &len);
        if (r < 0)
                return r;
        for (char *p = procs, *end; *p; p = *end ? end + 1 : end) {
                _cleanup_free_ char *again = NULL;
                pid_t pid = (pid_t)strtol(p, &end, 10);
                if (end == p)
                        return -EBADMSG;
                /* 0: of a pid namespace that we cannot see, or a process that is going. */
                _cleanup_fd_ int fd = pid > 0 ? sys_pidfd_open(pid, 0) : -ESRCH;
                if (fd < 0)
                        continue;
                r = read_file_at(dir_fd, "cgroup.procs", PROCS_MAX, &again, &len);
                if (r < 0)
                        return r;
                if (lists_pid(again, pid))
                        (void)sys_pidfd_send_signal(fd, SIGKILL);
        }
        return 0;
}

static int kill_below(int dir_fd, const char *name, unsigned depth)
{
        _cleanup_fd_ int fd = openat(dir_fd, name, DIR_FLAGS);
        if (fd < 0)
                return errno == ENOENT ? 0 : -errno;
        int r = kill_members(fd);
        if (r < 0 && r != -ENODEV && r != -ENOENT)
                return r;
        return for_each_child(fd, ".", kill_below, depth);
}

int cgroup_kill_by_walk(struct cgroup *c, struct error *e)
{
        bool populated = true;

        int r = cgroup_freeze(c, true, e);
        if (r < 0)
                return r;
        for (int i = 0; r >= 0 && populated && i < KILL_PASSES; i++) {
                r = kill_below(c->fds[HIERARCHY_V2], ".", 0);
                if (r >= 0)
                        r = cgroup_populated(c, &populated);
        }
        /* A killed task leaves the frozen state by itself; the group must not stay frozen for whoever comes next. */
        int thawed = cgroup_freeze(c, false, NULL);
        if (r >= 0)
                r = thawed;
        if (r < 0)
                return error_set_errno(
                        e, r, "cannot kill the processes of the control group %s", c->paths[HIERARCHY_V2]);
        return 0;
}

int cgroup_kill(struct cgroup *c, struct error *e)
{
        int r = cgroup_file_write(c->fds[HIERARCHY_V2], "cgroup.kill", "1");

        if (r == -ENODEV) /* removed meanwhile: nobody is left to kill */
                return 0;
        if (r == -ENOENT) {
                /* No such file: an old kernel, or the whole group is gone. */
                bool populated;
                return cgroup_populated(c, &populated) < 0 ? 0 : cgroup_kill_by_walk(c, e);
        }
        if (r < 0)
                return error_set_errno(
                        e, r, "cannot kill the processes of the control group %s", c->paths[HIERARCHY_V2]);
        return 0;
}

/* ---- emptiness ---- */

int cgroup_events_fd(struct cgroup *c)
{
        if (c->events_fd < 0) {
                c->events_fd =
                        openat(c->fds[HIERARCHY_V2], "cgroup.events", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
                if (c->events_fd < 0)
                        return -errno;
        }
        return c->events_fd;
}

/* Reads the very fd that is polled: the read is what re-arms the poll. */
static int read_event(struct cgroup *c, const char *key, bool *ret)
{
        char text[256];
        uint64_t value;

        int fd = cgroup_events_fd(c);
        int r = fd < 0 ? fd : cgroup_fd_read(fd, text, sizeof(text));
        if (r >= 0)
                r = cgroup_parse_keyed(text, key, &value);
        if (r == -ENODEV || (r == -ENOENT && fd < 0))
                return -ENODEV;
        if (r < 0)
                return r;
        *ret = value != 0;
        return 0;
}

int cgroup_populated(struct cgroup *c, bool *ret)
{
        return read_event(c, "populated", ret);
}

int cgroup_frozen(struct cgroup *c, bool *ret)
{
        return read_event(c, "frozen", ret);
}

int cgroup_wait_empty(struct cgroup *c, uint64_t timeout_ns)
{
        struct mono_time start = mono_now();

        for (;;) {
                bool populated;
                int r = cgroup_populated(c, &populated);
                if (r == -ENODEV || (r >= 0 && !populated))
                        return 0;
                if (r < 0)
                        return r;
                uint64_t elapsed = mono_elapsed_ns(start, mono_now());
                if (elapsed >= timeout_ns)
                        return -ETIMEDOUT;
                uint64_t left_ms = (timeout_ns - elapsed) / NSEC_PER_MSEC + 1;
                struct pollfd p = {.fd = cgroup_events_fd(c), .events = POLLPRI};
                if (poll(&p, 1, (int)MIN(left_ms, UINT64_C(60000))) < 0 && errno != EINTR)
                        return -errno;
        }
}
