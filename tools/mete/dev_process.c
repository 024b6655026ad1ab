#include "tools/mete/dev_process.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/linux/process.h"

#define TAIL_BYTES 2048

static int open_log(const char *path, struct error *e)
{
        int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0644);

        return fd < 0 ? error_set_errno(e, -errno, "cannot open the log %s", path) : fd;
}

/* Between fork and exec: nothing but system calls. */
static void __attribute__((noreturn)) become(char *const *argv, int log_fd, pid_t parent)
{
        sigset_t none;

        (void)sigemptyset(&none);
        for (int signo = 1; signo < NSIG; signo++)
                (void)signal(signo, SIG_DFL);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
        (void)setpgid(0, 0);
        /* Should we be killed with -9, the daemons end in order by themselves. */
        (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != parent)
                _exit(127);
        int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0)
                _exit(127);
        if (log_fd >= 0 && (dup2(log_fd, STDOUT_FILENO) < 0 || dup2(log_fd, STDERR_FILENO) < 0))
                _exit(127);
        if (log_fd < 0 && dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
                _exit(127);
        (void)syscall(SYS_close_range, 3U, ~0U, 0U);
        (void)execv(argv[0], argv);
        _exit(127);
}

static int spawn(char *const *argv, const char *log_path, pid_t *ret, struct error *e)
{
        _cleanup_fd_ int log_fd = -1;
        pid_t parent = getpid(), pid;

        if (log_path) {
                log_fd = open_log(log_path, e);
                if (log_fd < 0)
                        return log_fd;
        }
        pid = fork();
        if (pid < 0)
                return error_set_errno(e, -errno, "cannot start %s", argv[0]);
        if (pid == 0)
                become(argv, log_fd, parent);
        *ret = pid;
        return 0;
}

static void on_child(struct loop_child *c, const siginfo_t *info, void *userdata)
{
        struct dev_process *p = userdata;

        p->pid = 0;
        p->child = loop_child_free(c);
        p->on_exit(p, info, p->userdata);
}

int dev_process_start(struct dev_process *p, struct loop *l, struct error *e)
{
        _cleanup_free_ char *older = p->log_path ? xasprintf("%s.1", p->log_path) : NULL;
        int pidfd, r;

        /* A log a run; the one before is kept. */
        if (p->log_path)
                (void)rename(p->log_path, older);
        r = spawn(p->argv.items, p->log_path, &p->pid, e);
        if (r < 0)
                return r;
        pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0);
        if (pidfd < 0) {
                r = error_set_errno(e, -errno, "cannot watch %s", p->name);
                (void)kill(p->pid, SIGKILL);
                (void)waitpid(p->pid, NULL, 0);
                p->pid = 0;
                return r;
        }
        p->child = loop_child_new(l, pidfd, on_child, p);
        return 0;
}

void dev_process_signal(struct dev_process *p, int signo)
{
        /* Not reaped as long as pid is set: it can be no other's. */
        if (p->pid > 0)
                (void)kill(p->pid, signo);
}

int dev_process_run_once(const struct dev_process *p, const char *argument, struct error *e)
{
        _cleanup_free_ char **argv = xcalloc(p->argv.count + 2, sizeof(*argv));
        char text[WAIT_STATUS_TEXT_MAX];
        int status = 0, r;
        pid_t pid = 0;

        memcpy(argv, p->argv.items, p->argv.count * sizeof(*argv));
        argv[p->argv.count] = (char *)argument;
        r = spawn(argv, p->log_path, &pid, e);
        if (r < 0)
                return r;
        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return error_set_errno(e, -errno, "cannot wait for %s", p->name);
        if (status != 0)
                return error_set(e, -EIO, "%s %s %s", p->name, argument, wait_status_format(status, text));
        return 0;
}

void dev_process_done(struct dev_process *p)
{
        if (p->child)
                loop_child_free(p->child);
        string_list_done(&p->argv);
        free(p->log_path);
        free(p->name);
        *p = (struct dev_process){0};
}

char *dev_process_log_tail(const struct dev_process *p)
{
        _cleanup_fd_ int fd = p->log_path ? open(p->log_path, O_RDONLY | O_CLOEXEC) : -1;
        _cleanup_free_ char *text = xcalloc(1, TAIL_BYTES + 1);
        char *begin = text;
        off_t size;
        ssize_t n;

        if (fd < 0)
                return xstrdup("");
        size = lseek(fd, 0, SEEK_END);
        n = pread(fd, text, TAIL_BYTES, size > TAIL_BYTES ? size - TAIL_BYTES : 0);
        if (n <= 0)
                return xstrdup("");
        text[n] = '\0';
        /* Cut in the middle of a line: begin with the next. */
        if (size > TAIL_BYTES && strchr(text, '\n'))
                begin = strchr(text, '\n') + 1;
        return xstrdup(begin);
}
