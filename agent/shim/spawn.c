/*
 * The child shares the agent's memory until it executes (vfork), on a stack of its own: a fork of an agent
 * with hundreds of megabytes would copy page tables for milliseconds. It touches nothing but its arguments,
 * and makes raw system calls only.
 */
#include "agent/shim/spawn.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/shim/shim.h"
#include "lib/linux/cgroup.h"
#include "lib/linux/syscall.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif
#define END_WAIT_MS 100
#define SHIM_SIZE_MAX (64 << 20)
#define SPAWN_STACK_SIZE (32 * 1024)
/* Sources are moved above every target first. */
#define SPAWN_FD_HIGH PROGRAM_SPAWN_FDS_MAX

struct spawn {
        int sources[PROGRAM_SPAWN_FDS_MAX];
        int count; /* of sources; the index is the target */
        int exe_fd;
        char *const *argv;
        char *envp[1];
        sigset_t none;
        int error; /* written by the child, positive errno */
};

static void spawn_child(struct spawn *s)
{
        int exe = fcntl(s->exe_fd, F_DUPFD_CLOEXEC, SPAWN_FD_HIGH);

        for (int i = 0; i < s->count; i++)
                if ((s->sources[i] = fcntl(s->sources[i], F_DUPFD_CLOEXEC, SPAWN_FD_HIGH)) < 0)
                        goto failed;
        for (int i = 0; i < s->count; i++)
                if (dup2(s->sources[i], i) < 0)
                        goto failed;
        exe = fcntl(exe, F_DUPFD_CLOEXEC, s->count);
        if (exe < 0 || sys_close_range((unsigned)s->count, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
                goto failed;
        /* Handlers fall to default at execve; what is ignored the shim settles for itself and its task. */
        (void)sigprocmask(SIG_SETMASK, &s->none, NULL);
        (void)syscall(SYS_execveat, exe, "", s->argv, s->envp, AT_EMPTY_PATH);
failed:
        s->error = errno;
        _exit(127);
}

/* clone3 with a stack returns on it in the child, where no C frame exists: the call is made before anything
 * returns. */
static long clone3_call(struct clone_args *args, size_t size, void (*fn)(struct spawn *), struct spawn *arg)
{
#if defined(__x86_64__)
        register struct spawn *r12 __asm__("r12") = arg;
        register void (*r13)(struct spawn *) __asm__("r13") = fn;
        long r;
        __asm__ volatile("syscall\n\t"
                         "testq %%rax, %%rax\n\t"
                         "jnz 1f\n\t"
                         "xorl %%ebp, %%ebp\n\t"
                         "movq %%r12, %%rdi\n\t"
                         "callq *%%r13\n\t"
                         "hlt\n"
                         "1:"
                         : "=a"(r)
                         : "a"(SYS_clone3), "D"(args), "S"(size), "r"(r12), "r"(r13)
                         : "rcx", "r11", "memory", "cc");
        return r;
#elif defined(__aarch64__)
        register long x0 __asm__("x0") = (long)args;
        register size_t x1 __asm__("x1") = size;
        register long x8 __asm__("x8") = SYS_clone3;
        register struct spawn *x20 __asm__("x20") = arg;
        register void (*x21)(struct spawn *) __asm__("x21") = fn;
        __asm__ volatile("svc #0\n\t"
                         "cbnz x0, 1f\n\t"
                         "mov x29, xzr\n\t"
                         "mov x0, x20\n\t"
                         "blr x21\n\t"
                         "brk #0\n"
                         "1:"
                         : "+r"(x0)
                         : "r"(x1), "r"(x8), "r"(x20), "r"(x21)
                         : "x30", "memory", "cc");
        return x0;
#else
#error "shim_spawn needs a clone3 for this architecture"
#endif
}

static int spawn_clone(struct spawn *s, int cgroup_fd, int *ret_pidfd)
{
        sigset_t all, old;
        int pidfd = -1;

        void *stack = mmap(NULL, SPAWN_STACK_SIZE, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
        if (stack == MAP_FAILED)
                return -errno;
        struct clone_args args = {
                .flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD | (cgroup_fd >= 0 ? CLONE_INTO_CGROUP : 0),
                .pidfd = (uint64_t)(uintptr_t)&pidfd,
                .exit_signal = SIGCHLD,
                .stack = (uint64_t)(uintptr_t)stack,
                .stack_size = SPAWN_STACK_SIZE,
                .cgroup = cgroup_fd >= 0 ? (uint64_t)cgroup_fd : 0,
        };
        /* A handler of the agent must not run in a child that shares its memory. */
        (void)sigfillset(&all);
        (void)pthread_sigmask(SIG_SETMASK, &all, &old);
        long pid = clone3_call(&args, sizeof(args), spawn_child, s);
        (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
        (void)munmap(stack, SPAWN_STACK_SIZE);
        if (pid < 0)
                return (int)pid;
        if (s->error != 0) {
                siginfo_t si;
                (void)waitid(P_PIDFD, (id_t)pidfd, &si, WEXITED);
                (void)close_fd(pidfd);
                return -s->error;
        }
        *ret_pidfd = pidfd;
        return 0;
}

int program_spawn(const struct program_spawn_options *o, int *ret_pidfd, struct error *e)
{
        struct spawn s = {.count = (int)o->fd_count, .exe_fd = o->exe_fd, .argv = o->argv};

        if (o->fd_count > PROGRAM_SPAWN_FDS_MAX)
                return error_set(e, -E2BIG, "%s gets %zu descriptors: at most %d", o->argv[0], o->fd_count,
                        PROGRAM_SPAWN_FDS_MAX);
        for (size_t i = 0; i < o->fd_count; i++)
                s.sources[i] = o->fds[i];
        (void)sigemptyset(&s.none);
        int r = spawn_clone(&s, o->cgroup_fd, ret_pidfd);
        return r < 0 ? error_set_errno(e, r, "cannot start %s", o->argv[0]) : 0;
}

void program_end(int pidfd)
{
        struct pollfd p = {.fd = pidfd, .events = POLLIN};
        siginfo_t si;

        (void)sys_pidfd_send_signal(pidfd, SIGKILL);
        if (poll(&p, 1, END_WAIT_MS) > 0)
                (void)waitid(P_PIDFD, (id_t)pidfd, &si, WEXITED | WNOHANG);
}

int shim_spawn(const struct shim_spawn_options *o, int *ret_pidfd, int *ret_status_fd, struct error *e)
{
        static char name[] = "mete-shim", dashes[] = "--";
        _cleanup_fd_ int null_fd = -1, status_read = -1, status_write = -1;
        int pipe_fds[2];
        char v1_text[8];

        if (o->v1_count > CGROUP_CONTROLLER_MAX)
                return error_set(e, -EINVAL, "%zu cgroup v1 hierarchies are too many", o->v1_count);
        null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (null_fd < 0 || pipe2(pipe_fds, O_CLOEXEC) < 0)
                return error_set_errno(e, -errno, "cannot open what the shim needs");
        status_read = pipe_fds[0];
        status_write = pipe_fds[1];
        if (fcntl(status_read, F_SETFL, O_NONBLOCK) < 0)
                return error_set_errno(e, -errno, "cannot prepare the status pipe of the shim");

        int fds[SHIM_FD_FIRST_V1 + CGROUP_CONTROLLER_MAX] = {null_fd, STDERR_FILENO,
                STDERR_FILENO, [SHIM_FD_PLAN] = o->plan_fd, [SHIM_FD_STATE] = o->state_fd,
                [SHIM_FD_RECORD] = o->lock_fd, [SHIM_FD_STATUS] = status_write,
                [SHIM_FD_SANDBOX] = o->sandbox_fd, [SHIM_FD_CGROUP] = o->cgroup_fd};
        for (size_t i = 0; i < o->v1_count; i++)
                fds[SHIM_FD_FIRST_V1 + i] = o->v1_fds[i];
        (void)snprintf(v1_text, sizeof(v1_text), "%zu", o->v1_count);
        char *const argv[] = {name, dashes, v1_text, NULL};
        const struct program_spawn_options p = {
                .exe_fd = o->shim_exe_fd,
                .cgroup_fd = o->shim_cgroup_fd,
                .fds = fds,
                .fd_count = SHIM_FD_FIRST_V1 + o->v1_count,
                .argv = argv,
        };
        int r = program_spawn(&p, ret_pidfd, e);
        if (r == 0)
                *ret_status_fd = TAKE_FD(status_read);
        return r;
}

int shim_seal_executable(const char *path, int *ret_fd, struct error *e)
{
        struct stat st;
        off_t at = 0;

        _cleanup_fd_ int from = open(path, O_RDONLY | O_CLOEXEC);
        if (from < 0 || fstat(from, &st) < 0)
                return error_set_errno(e, -errno, "cannot open the program %s", path);
        if (!S_ISREG(st.st_mode) || st.st_size <= 0 || st.st_size > SHIM_SIZE_MAX)
                return error_set(e, -ENOEXEC, "%s is not a program", path);
        /* MFD_EXEC is wanted since 6.3 and unknown before. */
        _cleanup_fd_ int fd = sys_memfd_create("mete-shim", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
        if (fd == -EINVAL)
                fd = sys_memfd_create("mete-shim", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (fd < 0)
                return error_set_errno(e, fd, "cannot create a copy of %s in memory", path);
        while (at < st.st_size) {
                ssize_t n = sendfile(fd, from, &at, (size_t)(st.st_size - at));
                if (n <= 0)
                        return error_set_errno(e, n < 0 ? -errno : -EIO, "cannot copy %s into memory", path);
        }
        if (fchmod(fd, 0500) < 0 ||
                fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
                return error_set_errno(e, -errno, "cannot seal the copy of %s", path);
        *ret_fd = TAKE_FD(fd);
        return 0;
}
