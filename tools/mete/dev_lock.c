#include "tools/mete/dev_lock.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOCK_NAME "dev.pid"
#define STOP_TIMEOUT_MS 60000

static int open_lock(const char *work_dir, int flags, int *ret_fd, struct error *e)
{
        _cleanup_free_ char *path = xasprintf("%s/%s", work_dir, LOCK_NAME);
        int fd;

        fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0644);
        if (fd < 0)
                return error_set_errno(e, -errno, "cannot open %s", path);
        *ret_fd = fd;
        return 0;
}

static int read_pid(int fd, pid_t *ret)
{
        char text[64] = "";
        uint32_t pid;
        ssize_t n;

        n = pread(fd, text, sizeof(text) - 1, 0);
        if (n <= 0)
                return -ESRCH;
        text[strcspn(text, "\n")] = '\0';
        if (parse_u32(text, INT32_MAX, &pid) < 0 || pid < 2)
                return -EBADMSG;
        *ret = (pid_t)pid;
        return 0;
}

int dev_lock_take(const char *work_dir, uint16_t port, int *ret_fd, struct error *e)
{
        _cleanup_free_ char *text = xasprintf("%d\n%u\n", getpid(), port);
        _cleanup_fd_ int fd = -1;
        pid_t pid = 0;
        int r;

        r = open_lock(work_dir, O_RDWR | O_CREAT, &fd, e);
        if (r < 0)
                return r;
        if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
                (void)read_pid(fd, &pid);
                return error_set(e, -EBUSY,
                        "a `mete dev` (process %d) runs in %s already: stop it with `mete dev --stop "
                        "--work-dir %s`, or "
                        "give this one its own --work-dir and --port",
                        pid, work_dir, work_dir);
        }
        if (ftruncate(fd, 0) < 0)
                return error_set_errno(e, -errno, "cannot write %s/%s", work_dir, LOCK_NAME);
        r = write_all(fd, text, strlen(text));
        if (r < 0)
                return error_set_errno(e, r, "cannot write %s/%s", work_dir, LOCK_NAME);
        *ret_fd = TAKE_FD(fd);
        return 0;
}

void dev_lock_release(const char *work_dir, int fd)
{
        _cleanup_free_ char *path = xasprintf("%s/%s", work_dir, LOCK_NAME);

        if (fd < 0)
                return;
        /* Removed while it is locked: nobody can have taken this very file since. */
        (void)unlink(path);
        close_fd(fd);
}

/* The lock proves that the owner lives; the pidfd makes sure that the signal hits no other. */
static int open_owner(int fd, pid_t *ret_pid, int *ret_pidfd)
{
        int pidfd, r;

        r = read_pid(fd, ret_pid);
        if (r < 0)
                return r;
        pidfd = (int)syscall(SYS_pidfd_open, *ret_pid, 0);
        if (pidfd < 0)
                return -errno;
        if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
                close_fd(pidfd);
                return -ESRCH;
        }
        *ret_pidfd = pidfd;
        return 0;
}

int dev_lock_stop_owner(const char *work_dir, struct error *e)
{
        _cleanup_fd_ int fd = -1, pidfd = -1;
        struct pollfd p = {.events = POLLIN};
        pid_t pid = 0;
        int r;

        r = open_lock(work_dir, O_RDWR, &fd, NULL);
        if (r == 0)
                r = open_owner(fd, &pid, &pidfd);
        if (r == -ENOENT || r == -ESRCH)
                return error_set(e, -ESRCH, "no `mete dev` runs in %s", work_dir);
        if (r < 0)
                return error_set_errno(e, r, "cannot find out who runs in %s", work_dir);
        if (syscall(SYS_pidfd_send_signal, pidfd, SIGTERM, NULL, 0) < 0)
                return error_set_errno(e, -errno, "cannot stop `mete dev` (process %d)", pid);
        p.fd = pidfd;
        do
                r = poll(&p, 1, STOP_TIMEOUT_MS);
        while (r < 0 && errno == EINTR);
        if (r <= 0)
                return error_set(e, -ETIMEDOUT,
                        "`mete dev` (process %d) has not stopped after %d s: see %s/logs", pid,
                        STOP_TIMEOUT_MS / 1000, work_dir);
        return 0;
}
