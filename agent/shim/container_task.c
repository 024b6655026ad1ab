#include <fcntl.h>
#include <linux/keyctl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/shim/container_init.h"
#include "agent/shim/report.h"
#include "lib/base/time.h"
#include "lib/linux/syscall.h"

#define TASK_REPORT_FD 3
#define EXIT_STEP_FAILED 125
#define PATH_DEFAULT "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define PROGRAM_PATH_MAX 4096

struct task {
        const char *program, *cwd;
        const char *argv[PLAN_STRINGS_MAX + 1];
        const char *environment[PLAN_STRINGS_MAX + 1];
        char path[PROGRAM_PATH_MAX];
        struct steps *steps;
        uint64_t *phase_ns;
};

static void __attribute__((noreturn)) fail(const char *stage, int error, const char *text)
{
        shim_report_send(TASK_REPORT_FD, stage, error, text);
        _exit(EXIT_STEP_FAILED);
}

static void __attribute__((noreturn))
fail_errno(const char *stage, int error, const char *what, const char *object)
{
        char text[SHIM_TEXT_MAX];

        (void)snprintf(text, sizeof(text), "%s %s: %s", what, object, strerror(error));
        fail(stage, error, text);
}

/* Exactly 0 to 2 and the report, which closes at execve. */
static void arrange_descriptors(const struct container_init *c)
{
        if (dup2(c->log_fds[LOG_STDOUT], STDOUT_FILENO) < 0 ||
                dup2(c->log_fds[LOG_STDERR], STDERR_FILENO) < 0 ||
                dup3(c->report_fd, TASK_REPORT_FD, O_CLOEXEC) < 0 ||
                sys_close_range(TASK_REPORT_FD + 1, ~0u, 0) < 0) {
                int error = errno;
                shim_report_send(c->report_fd, "descriptors", error, "cannot arrange the task's descriptors");
                _exit(EXIT_STEP_FAILED);
        }
}

static void reset_signals(void)
{
        sigset_t none;

        for (int signo = 1; signo < NSIG; signo++)
                if (signo != SIGKILL && signo != SIGSTOP)
                        (void)signal(signo, SIG_DFL);
        (void)sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static void collect_strings(const struct plan_view *v, uint32_t skip, const char **ret)
{
        const char *s = v->data;
        uint32_t n = 0;

        for (uint32_t i = 0; i < v->string_count; i++, s += strlen(s) + 1)
                if (i >= skip)
                        ret[n++] = s;
        ret[n] = NULL;
}

static void read_command(struct task *t, const void *plan)
{
        struct plan_view v;
        size_t cursor = 0;

        while (plan_next(plan, &cursor, &v)) {
                if (v.step == PLAN_STEP_COMMAND) {
                        t->program = plan_string(&v, 0);
                        t->cwd = plan_string(&v, 1);
                        collect_strings(&v, 2, t->argv);
                } else if (v.step == PLAN_STEP_ENVIRONMENT) {
                        collect_strings(&v, 0, t->environment);
                }
        }
}

/* As the task's user. A directory that a descriptor or a link led out of the root has no path below it
 * (CVE-2024-21626). */
static void enter_cwd(struct task *t)
{
        if (chdir(t->cwd) < 0)
                fail_errno("cwd", errno, "cannot enter the working directory", t->cwd);
        if (syscall(SYS_getcwd, t->path, sizeof(t->path)) < 0)
                fail_errno("cwd", errno, "cannot verify the working directory", t->cwd);
        if (t->path[0] != '/')
                fail("cwd", EXDEV, "the working directory is outside of the container's root");
}

static bool is_for_task(const struct plan_view *v)
{
        return v->phase >= PLAN_PHASE_PROCESS && v->step != PLAN_STEP_COMMAND &&
               v->step != PLAN_STEP_ENVIRONMENT && v->step != PLAN_STEP_SETTINGS;
}

int container_task_restrain(struct steps *s, const void *plan)
{
        struct plan_view v;
        size_t cursor = 0;

        while (plan_next(plan, &cursor, &v)) {
                int r = is_for_task(&v) && v.step != PLAN_STEP_SECCOMP ? steps_process_run(s, &v) : 0;
                if (r < 0)
                        return r;
        }
        return 0;
}

static void run_steps(struct task *t, const void *plan, bool is_restrained)
{
        struct plan_view v;
        size_t cursor = 0;
        bool entered = false;

        while (plan_next(plan, &cursor, &v)) {
                if (!is_for_task(&v) || (is_restrained && v.step != PLAN_STEP_SECCOMP))
                        continue;
                /* A filter may forbid chdir; before it the user is already the task's. */
                if (v.step == PLAN_STEP_SECCOMP && !entered) {
                        enter_cwd(t);
                        entered = true;
                }
                if (steps_process_run(t->steps, &v) < 0)
                        fail(plan_step_to_string(v.step), t->steps->error.code,
                                error_message(&t->steps->error));
        }
        if (!entered)
                enter_cwd(t);
}

static const char *search_path(const struct task *t)
{
        for (size_t i = 0; t->environment[i]; i++)
                if (str_has_prefix(t->environment[i], "PATH="))
                        return t->environment[i] + strlen("PATH=");
        return PATH_DEFAULT;
}

static int try_execute(const struct task *t, const char *path)
{
        (void)execve(path, (char *const *)(uintptr_t)t->argv, (char *const *)(uintptr_t)t->environment);
        return errno;
}

/* Each directory of PATH in turn, as execvp does; a file that may not be executed is what is reported in the
 * end. */
static int execute_in_path(struct task *t)
{
        size_t name_len = strlen(t->program);
        int found = ENOENT;

        for (const char *p = search_path(t);;) {
                size_t len = strcspn(p, ":");
                if (len + name_len + 2 <= sizeof(t->path)) {
                        memcpy(t->path, len ? p : ".", len ? len : 1);
                        size_t at = len ? len : 1;
                        t->path[at] = '/';
                        memcpy(t->path + at + 1, t->program, name_len + 1);
                        int error = try_execute(t, t->path);
                        if (error != ENOENT && error != ENOTDIR && error != EACCES)
                                return error;
                        if (error == EACCES)
                                found = EACCES;
                }
                if (!p[len])
                        return found;
                p += len + 1;
        }
}

static void __attribute__((noreturn)) execute(struct task *t)
{
        char text[SHIM_TEXT_MAX];
        int error;

        t->phase_ns[SHIM_PHASE_READY] = mono_now().ns;
        if (shim_report_ready(TASK_REPORT_FD, t->phase_ns) < 0)
                _exit(EXIT_STEP_FAILED);
        if (strchr(t->program, '/')) {
                error = try_execute(t, t->program);
                if (error == ENOENT && access(t->program, F_OK) == 0)
                        fail_errno(
                                "exec", error, "cannot execute: the interpreter is missing of", t->program);
                fail_errno("exec", error, "cannot execute", t->program);
        }
        error = *t->program ? execute_in_path(t) : ENOENT;
        (void)snprintf(text, sizeof(text), "cannot execute %.200s, searched in PATH=%.200s: %s", t->program,
                search_path(t), strerror(error));
        fail("exec", error, text);
}

void container_task_run(const struct container_init *c, struct steps *s)
{
        /* Not on the stack: the pointer arrays are 64 KiB, and only this process touches them. */
        static struct task task;

        c->phase_ns[SHIM_PHASE_TASK] = mono_now().ns;
        task.phase_ns = c->phase_ns;
        arrange_descriptors(c);
        if (setsid() < 0)
                fail_errno("process", errno, "cannot start", "a session");
        (void)umask(022);
        /* The agent's keys are not the task's; without key support there are none. */
        (void)syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);
        reset_signals();
        task.steps = s;
        read_command(&task, c->plan);
        run_steps(&task, c->plan, c->is_restrained);
        execute(&task);
}
