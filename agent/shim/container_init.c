#include "agent/shim/container_init.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/shim/report.h"
#include "lib/base/time.h"
#include "lib/linux/syscall.h"

/* Seen by nobody: what failed has been reported, the shim reads it there. */
#define EXIT_STEP_FAILED 125

static void __attribute__((noreturn)) fail(const struct container_init *c, const char *stage, struct error *e)
{
        shim_report_send(c->report_fd, stage, e->code, error_message(e));
        _exit(EXIT_STEP_FAILED);
}

static int join_v1_cgroups(const struct container_init *c, struct error *e)
{
        for (size_t i = 0; i < c->v1_count; i++) {
                int fd = SHIM_FD_FIRST_V1 + (int)i;
                if (write(fd, "0", 1) != 1)
                        return error_set_errno(e, -errno, "cannot join cgroup v1 hierarchy %zu", i);
        }
        return 0;
}

int container_unprotect_from_oom(struct error *e)
{
        char buf[16];

        _cleanup_fd_ int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
        if (fd < 0)
                return error_set_errno(e, -errno, "cannot open /proc/self/oom_score_adj");
        ssize_t n = read(fd, buf, sizeof(buf) - 1);
        if (n > 0 && buf[0] == '-' && pwrite(fd, "0", 1, 0) != 1)
                return error_set_errno(e, -errno, "cannot reset oom_score_adj");
        return 0;
}

static int enter_namespaces(const struct container_init *c, struct error *e)
{
        int r = join_v1_cgroups(c, e);
        if (r >= 0)
                r = container_unprotect_from_oom(e);
        if (r < 0)
                return r;
        /* Only now: the root of a cgroup namespace is where its creator is. */
        if ((c->namespaces & CLONE_NEWCGROUP) && unshare(CLONE_NEWCGROUP) < 0)
                return error_set_errno(e, -errno, "cannot enter a new cgroup namespace");
        if (!(c->namespaces & CLONE_NEWNS))
                return error_set(e, -EINVAL, "the plan has no mount namespace");
        if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                return error_set_errno(e, -errno, "cannot make the mounts private");
        return 0;
}

/* Standard input is the container's own /dev/null; init keeps nothing else of the outside. */
static int open_null(struct error *e)
{
        struct stat st;

        int fd = open("/dev/null", O_RDWR | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0)
                return error_set_errno(e, -errno, "cannot open /dev/null in the container");
        if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3)) {
                (void)close_fd(fd);
                return error_set(e, -ENODEV, "/dev/null in the container is not the null device");
        }
        return fd;
}

static void run_mount_steps(const struct container_init *c, struct steps *s)
{
        struct plan_view v;
        size_t cursor = 0;

        s->sandbox_mount_fd = c->sandbox_mount_fd;
        (void)umask(0);
        while (plan_next(c->plan, &cursor, &v) && v.phase <= PLAN_PHASE_PROTECT) {
                if (v.step == PLAN_STEP_SETTINGS || v.step == PLAN_STEP_COMMAND ||
                        v.step == PLAN_STEP_ENVIRONMENT)
                        continue;
                if (steps_mount_run(s, &v) < 0)
                        fail(c, plan_step_to_string(v.step), &s->error);
                c->phase_ns[SHIM_PHASE_NAMESPACE + v.phase] = mono_now().ns;
        }
        if (steps_enter_root(s) < 0)
                fail(c, "root", &s->error);
        c->phase_ns[SHIM_PHASE_PROTECT] = mono_now().ns;
        (void)umask(022);
}

/* Ends with the main process: the kernel then kills whatever else the container runs. */
static void __attribute__((noreturn)) init_loop(pid_t task, int status_fd)
{
        sigset_t all;
        int status, signo;
        pid_t pid;

        (void)sigfillset(&all);
        for (;;) {
                while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
                        if (pid != task)
                                continue;
                        if (write(status_fd, &status, sizeof(status)) < 0)
                                _exit(EXIT_STEP_FAILED);
                        _exit(0);
                }
                signo = sigwaitinfo(&all, NULL);
                if (signo == SIGTERM)
                        (void)kill(-1, SIGTERM);
                else if (signo > 0 && signo != SIGCHLD)
                        (void)kill(-task, signo);
        }
}

void container_init_run(const struct container_init *c)
{
        struct steps s = STEPS_INIT;

        /* The shim is the one who knows how this ends: without it there is no container. */
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        (void)prctl(PR_SET_NAME, "mete-init", 0, 0, 0);
        c->phase_ns[SHIM_PHASE_INIT] = mono_now().ns;
        if (enter_namespaces(c, &s.error) < 0)
                fail(c, "namespace", &s.error);
        run_mount_steps(c, &s);

        int null_fd = open_null(&s.error);
        if (null_fd < 0)
                fail(c, "device", &s.error);
        if (dup2(null_fd, STDIN_FILENO) < 0 || dup2(null_fd, STDOUT_FILENO) < 0 ||
                dup2(null_fd, STDERR_FILENO) < 0) {
                (void)error_set_errno(&s.error, -errno, "cannot open /dev/null as standard input");
                fail(c, "device", &s.error);
        }

        pid_t task = fork();
        if (task == 0)
                container_task_run(c, &s);
        if (task < 0) {
                (void)error_set_errno(&s.error, -errno, "cannot create the task's process");
                fail(c, "fork", &s.error);
        }
        if (steps_drop_to_signalling(&s) < 0)
                fail(c, "init", &s.error);
        (void)munmap((void *)(uintptr_t)c->plan, c->plan_size);
        int status_fd = dup3(c->status_fd, 3, O_CLOEXEC);
        (void)sys_close_range(4, ~0u, 0);
        init_loop(task, status_fd);
}
