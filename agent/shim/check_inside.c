/*
 * From the task's cgroup to the check itself. The container's processes are hostile: whoever enters their pid namespace is seen by them,
 * and one of root's with CAP_SYS_PTRACE could take it over. So everything is given up before: this process enters the namespaces, but its
 * pid stays outside; it takes the task's user and restrictions; and only then forks who becomes visible, and has no more than the task.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/shim/check_internal.h"
#include "agent/shim/container_init.h"
#include "agent/shim/report.h"
#include "lib/base/util.h"
#include "lib/linux/syscall.h"

static void __attribute__((noreturn)) finish(const struct check *c, const struct check_report *r)
{
        (void)!write(c->result_fd, r, sizeof(*r));
        _exit(0);
}

static void __attribute__((noreturn)) fail(const struct check *c, const struct error *e)
{
        struct check_report r = {.end = CHECK_END_FAILED};

        (void)snprintf(r.text, sizeof(r.text), "%s", error_message(e));
        finish(c, &r);
}

static int join_v1_cgroups(const struct check *c, struct error *e)
{
        for (uint32_t i = 0; i < c->v1_count; i++)
                if (write(CHECK_FD_FIRST_V1 + (int)i, "0", 1) != 1)
                        return error_set_errno(e, -errno, "cannot join cgroup v1 hierarchy %u", i);
        return 0;
}

/* The pid in our namespace of the process that a pidfd names; 0: it is gone, or /proc does not tell. */
static pid_t pid_of(int pidfd)
{
        char path[64], text[512];
        int pid = 0;

        (void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
        _cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
        if (n <= 0)
                return 0;
        text[n] = '\0';
        const char *line = strstr(text, "\nPid:");
        return line && sscanf(line, "\nPid: %d", &pid) == 1 && pid > 0 ? pid : 0;
}

static int open_root(int pidfd, int *ret_fd, struct error *e)
{
        char path[64];

        (void)snprintf(path, sizeof(path), "/proc/%d/root", pid_of(pidfd));
        _cleanup_fd_ int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return error_set_errno(e, -errno, "cannot open the root of the task");
        /* Alive still: the number was not another's meanwhile. */
        int r = sys_pidfd_send_signal(pidfd, 0);
        if (r < 0)
                return error_set_errno(e, r, "the task has ended");
        *ret_fd = TAKE_FD(fd);
        return 0;
}

/*
 * setns() leads to the root of the mount namespace. That is the container's only where the agent's own root was that of its namespace:
 * below a chroot (an initramfs never changes its root otherwise) it is the host's, and the container's is what its processes have.
 */
static int enter_namespaces(const struct check *c, struct error *e)
{
        const int all =
                CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWCGROUP | CLONE_NEWNET;
        _cleanup_fd_ int root_fd = -1;
        bool inside = c->kind == CHECK_COMMAND;

        int r = inside ? open_root(CHECK_FD_INIT, &root_fd, e) : 0;
        if (r < 0)
                return r;
        if (setns(CHECK_FD_INIT, inside ? all : CLONE_NEWNET) < 0)
                return error_set_errno(e, -errno, "cannot enter the task's namespaces");
        if (inside && (fchdir(root_fd) < 0 || chroot(".") < 0))
                return error_set_errno(e, -errno, "cannot enter the root of the task");
        return 0;
}

/* Nothing of the agent's goes on: the pipes move below, all above is closed. */
static int arrange_descriptors(struct check *c, struct error *e)
{
        int output = fcntl(c->output_fd, F_DUPFD_CLOEXEC, 64),
            result = fcntl(c->result_fd, F_DUPFD_CLOEXEC, 64);

        if (output < 0 || result < 0 || dup2(output, STDOUT_FILENO) < 0 || dup2(output, STDERR_FILENO) < 0 ||
                dup3(result, 4, O_CLOEXEC) < 0)
                return error_set_errno(e, -errno, "cannot arrange the check's descriptors");
        c->result_fd = 4;
        c->output_fd = STDOUT_FILENO;
        (void)close(3);
        return sys_close_range(5, ~0u, 0) < 0 ? error_set(e, -EBADF, "cannot close what is the agent's") : 0;
}

static int wait_for(pid_t pid, siginfo_t *ret)
{
        while (waitid(P_PID, (id_t)pid, ret, WEXITED | WNOWAIT) < 0)
                if (errno != EINTR)
                        return -errno;
        /* Before it is reaped its group cannot be another's. */
        (void)kill(-pid, SIGKILL);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                ;
        return 0;
}

static void __attribute__((noreturn)) run_child(const struct check *c, int report_fd, struct steps *s)
{
        uint64_t phase_ns[SHIM_PHASE_MAX] = {0};
        const struct container_init init = {.plan = c->plan,
                .log_fds = {STDOUT_FILENO, STDERR_FILENO},
                .report_fd = report_fd,
                .phase_ns = phase_ns,
                .is_restrained = true};

        (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        /* What it leaves behind stays its own, so that it can be found when the time is over. */
        (void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
        container_task_run(&init, s);
}

static void run_command(const struct check *c, struct steps *s, struct check_report *r)
{
        struct shim_report report;
        siginfo_t si = {0};
        int fds[2];

        if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0) {
                (void)error_set_errno(&s->error, -errno, "cannot make a pipe");
                fail(c, &s->error);
        }
        pid_t pid = fork();
        if (pid == 0)
                run_child(c, fds[1], s);
        if (pid < 0 || wait_for(pid, &si) < 0) {
                (void)error_set_errno(&s->error, -errno, "cannot create the check's process");
                fail(c, &s->error);
        }
        r->end = si.si_code == CLD_EXITED ? CHECK_END_EXITED : CHECK_END_SIGNALLED;
        r->value = si.si_status;
        while (read(fds[0], &report, sizeof(report)) == sizeof(report)) {
                if (report.error == 0)
                        continue;
                report.text[sizeof(report.text) - 1] = '\0';
                r->end = CHECK_END_FAILED;
                (void)snprintf(r->text, sizeof(r->text), "%.*s", CHECK_TEXT_MAX - 1, report.text);
        }
}

void check_inside_run(const struct check *given)
{
        struct check_report r = {.end = CHECK_END_NONE};
        struct steps s = STEPS_INIT;
        struct check c = *given;
        const pid_t parent = getppid();

        if (join_v1_cgroups(&c, &s.error) < 0 || container_unprotect_from_oom(&s.error) < 0 ||
                enter_namespaces(&c, &s.error) < 0 || arrange_descriptors(&c, &s.error) < 0 ||
                container_task_restrain(&s, c.plan) < 0)
                fail(&c, &s.error);
        /* Forgotten at each change of user; whoever has died before is seen by that its child has another parent. */
        if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != parent)
                _exit(1);
        if (c.kind == CHECK_COMMAND)
                run_command(&c, &s, &r);
        else
                check_network_run(&c, &r);
        finish(&c, &r);
}
