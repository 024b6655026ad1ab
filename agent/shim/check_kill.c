/*
 * Stopped first, killed then: what is stopped makes no more children and reaps none, so nothing slips away to another parent and no pid
 * is used again while it is looked at.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/shim/check_internal.h"
#include "lib/linux/syscall.h"

#define VICTIMS_MAX 512
#define ROUNDS_MAX 64

struct victims {
        pid_t pids[VICTIMS_MAX];
        int pidfds[VICTIMS_MAX];
        size_t count;
};

static pid_t parent_of(int proc_fd, const char *name)
{
        char path[64], text[512];
        long parent;

        (void)snprintf(path, sizeof(path), "%.20s/stat", name);
        _cleanup_fd_ int fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
        if (n <= 0)
                return -1;
        text[n] = '\0';
        const char *end = strrchr(text, ')'); /* the name may hold anything */
        return end && sscanf(end + 1, " %*c %ld", &parent) == 1 ? (pid_t)parent : -1;
}

static bool is_victim(const struct victims *v, pid_t pid)
{
        for (size_t i = 0; i < v->count; i++)
                if (v->pids[i] == pid)
                        return true;
        return false;
}

static bool stop_children(struct victims *v)
{
        DIR *d = opendir("/proc");
        const struct dirent *x;
        bool found = false;

        while (d && (x = readdir(d)) && v->count < VICTIMS_MAX) {
                uint32_t pid;

                if (parse_u32(x->d_name, INT32_MAX, &pid) < 0 || is_victim(v, (pid_t)pid) ||
                        !is_victim(v, parent_of(dirfd(d), x->d_name)))
                        continue;
                int pidfd = sys_pidfd_open((pid_t)pid, 0);
                if (pidfd < 0)
                        continue;
                (void)sys_pidfd_send_signal(pidfd, SIGSTOP);
                v->pids[v->count] = (pid_t)pid;
                v->pidfds[v->count++] = pidfd;
                found = true;
        }
        if (d)
                (void)closedir(d);
        return found;
}

void check_kill_tree(pid_t pid, int pidfd)
{
        static struct victims v;

        (void)sys_pidfd_send_signal(pidfd, SIGSTOP);
        v.pids[0] = pid;
        v.pidfds[0] = pidfd;
        v.count = 1;
        for (int i = 0; i < ROUNDS_MAX && stop_children(&v); i++)
                ;
        for (size_t i = v.count; i > 0; i--)
                (void)sys_pidfd_send_signal(v.pidfds[i - 1], SIGKILL);
        for (size_t i = 1; i < v.count; i++)
                (void)close_fd(v.pidfds[i]);
}
