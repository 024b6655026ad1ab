#include "agent/shim/run.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/shim/container_init.h"
#include "agent/shim/log_pump.h"
#include "agent/shim/report.h"
#include "lib/base/time.h"
#include "lib/linux/cgroup.h"
#include "lib/linux/syscall.h"

struct shim {
        struct shim_message message; /* the record is kept in what is sent */
        struct container_init init;
        struct log_pump logs;
        struct error error;
        int report_fd, status_fd; /* read ends */
        int pidfd;
        char container_id[256];
        bool ready; /* every step is done; the end of the report means execve worked */
};

static struct shim_record *record(struct shim *s)
{
        return &s->message.record;
}

static void publish(struct shim *s, enum shim_event event)
{
        s->message.event = event;
        int r = shim_record_write(SHIM_FD_RECORD, event, record(s));
        if (r < 0)
                (void)dprintf(STDERR_FILENO, "mete-shim: cannot write the record of container %s: %s\n",
                        s->container_id, strerror(-r));
        /* The agent may be gone; the file is the truth. */
        if (event != 0 && write(SHIM_FD_STATUS, &s->message, sizeof(s->message)) < 0)
                return;
}

static void note_failure(struct shim *s, const char *stage, int error, const char *text)
{
        struct shim_record *r = record(s);

        r->failed_errno = error < 0 ? -error : error;
        (void)snprintf(r->failed_stage, sizeof(r->failed_stage), "%s", stage);
        (void)snprintf(r->failed_text, sizeof(r->failed_text), "%s", text);
}

static int finish(struct shim *s)
{
        record(s)->finished_wall_ns = wall_now().ns;
        publish(s, SHIM_EVENT_EXITED);
        return 0;
}

static int fail(struct shim *s, const char *stage)
{
        note_failure(s, stage, s->error.code, error_message(&s->error));
        return finish(s);
}

/* Zero when it cannot be read, which no process has: the agent then trusts no pid. */
static struct process_id identify(pid_t pid)
{
        struct process_id id = {.pid = pid};

        if (process_start_ticks("/proc", pid, &id.start_ticks) < 0)
                id.start_ticks = 0;
        return id;
}

/* A shim does not end because its agent's session or service is told to. */
static void detach(void)
{
        static const int ignored[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGPIPE, SIGUSR1, SIGUSR2};

        for (size_t i = 0; i < ELEMENTSOF(ignored); i++)
                (void)signal(ignored[i], SIG_IGN);
        (void)setsid();
        (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
        (void)prctl(PR_SET_NAME, "mete-shim", 0, 0, 0);
        if (chdir("/") < 0)
                return;
}

static int map_plan(struct shim *s)
{
        struct stat st;
        struct plan_view v;
        size_t cursor = 0;

        if (fstat(SHIM_FD_PLAN, &st) < 0 || st.st_size <= 0 || st.st_size > PLAN_SIZE_MAX)
                return error_set(&s->error, -EBADMSG, "the launch plan has no valid size");
        void *plan = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, SHIM_FD_PLAN, 0);
        if (plan == MAP_FAILED)
                return error_set_errno(&s->error, -errno, "cannot map the launch plan");
        int r = plan_check(plan, (size_t)st.st_size);
        if (r < 0)
                return error_set(&s->error, r, "the launch plan is malformed");
        s->init.plan = plan;
        s->init.plan_size = (size_t)st.st_size;
        while (plan_next(plan, &cursor, &v)) {
                if (v.step != PLAN_STEP_SETTINGS)
                        continue;
                const struct plan_settings *settings = v.data;
                s->init.namespaces = settings->namespaces;
                memcpy(s->container_id, settings->container_id, sizeof(s->container_id));
                s->logs.max_bytes = settings->log_max_bytes;
                s->logs.files = settings->log_files;
        }
        return 0;
}

static int open_pipes(struct shim *s)
{
        int report[2], status[2];

        s->logs.sandbox_fd = SHIM_FD_SANDBOX;
        s->logs.state_fd = SHIM_FD_STATE;
        int r = log_pump_open_pipes(&s->logs, s->init.log_fds, &s->error);
        if (r < 0)
                return r;
        if (pipe2(report, O_CLOEXEC) < 0 || pipe2(status, O_CLOEXEC) < 0)
                return error_set_errno(&s->error, -errno, "cannot make a pipe");
        if (fcntl(report[0], F_SETFL, O_NONBLOCK) < 0 || fcntl(status[0], F_SETFL, O_NONBLOCK) < 0)
                return error_set_errno(&s->error, -errno, "cannot prepare a pipe");
        s->report_fd = report[0];
        s->init.report_fd = report[1];
        s->status_fd = status[0];
        s->init.status_fd = status[1];
        /* Cloned here: a descriptor of another mount namespace could not be bound there any more. */
        s->init.sandbox_mount_fd =
                sys_open_tree(SHIM_FD_SANDBOX, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
        if (s->init.sandbox_mount_fd < 0)
                return error_set_errno(&s->error, s->init.sandbox_mount_fd, "cannot clone the sandbox");
        return 0;
}

static int start_init(struct shim *s)
{
        const uint64_t allowed = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET;
        sigset_t all, old;
        struct clone_args args = {
                .flags = CLONE_INTO_CGROUP | CLONE_PIDFD | (s->init.namespaces & allowed),
                .pidfd = (uint64_t)(uintptr_t)&s->pidfd,
                .exit_signal = SIGCHLD,
                .cgroup = SHIM_FD_CGROUP,
        };

        /* Init takes signals by waiting for them: none may come before it does. */
        (void)sigfillset(&all);
        (void)sigprocmask(SIG_SETMASK, &all, &old);
        pid_t pid = sys_clone3(&args);
        if (pid == 0)
                container_init_run(&s->init);
        (void)sigprocmask(SIG_SETMASK, &old, NULL);
        if (pid < 0)
                return error_set_errno(
                        &s->error, pid, "cannot create the container in its cgroup and namespaces");
        record(s)->init = identify(pid);

        (void)close_fd(s->init.report_fd);
        (void)close_fd(s->init.status_fd);
        (void)close_fd(s->init.sandbox_mount_fd);
        for (int i = 0; i < LOG_STREAM_MAX; i++)
                (void)close_fd(s->init.log_fds[i]);
        for (size_t i = 0; i < s->init.v1_count; i++)
                (void)close_fd(SHIM_FD_FIRST_V1 + (int)i);
        (void)close_fd(SHIM_FD_CGROUP);
        (void)close_fd(SHIM_FD_PLAN);
        (void)munmap((void *)(uintptr_t)s->init.plan, s->init.plan_size);
        return 0;
}

static void note_ready(struct shim *s, const struct shim_report *r)
{
        s->ready = true;
        memcpy(record(s)->phase_ns, r->phase_ns, sizeof(record(s)->phase_ns));
}

/* Reads what came; at the end of the pipe decides whether the program was executed. */
static void read_report(struct shim *s)
{
        struct shim_report r;
        ssize_t n;

        while (s->report_fd >= 0 && (n = read(s->report_fd, &r, sizeof(r))) == sizeof(r)) {
                r.stage[sizeof(r.stage) - 1] = r.text[sizeof(r.text) - 1] = '\0';
                if (r.error != 0)
                        note_failure(s, r.stage, r.error, r.text);
                else
                        note_ready(s, &r);
        }
        if (s->report_fd < 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
                return;
        s->report_fd = close_fd(s->report_fd);
        if (!s->ready || record(s)->failed_errno != 0)
                return;
        record(s)->started_wall_ns = wall_now().ns;
        record(s)->phase_ns[SHIM_PHASE_STARTED] = mono_now().ns;
        publish(s, SHIM_EVENT_STARTED);
}

static int wait_status_of(const siginfo_t *si)
{
        if (si->si_code == CLD_EXITED)
                return (si->si_status & 0xff) << 8;
        return (si->si_status & 0x7f) | (si->si_code == CLD_DUMPED ? 0x80 : 0);
}

/* When this returns, no process of the container is left: a pid namespace dies whole before its init is
 * reaped. */
static void reap_init(struct shim *s)
{
        siginfo_t si = {0};
        int status;

        while (waitid(P_PIDFD, (id_t)s->pidfd, &si, WEXITED) < 0 && errno == EINTR)
                ;
        if (read(s->status_fd, &status, sizeof(status)) != sizeof(status))
                status = wait_status_of(&si);
        record(s)->wait_status = status;
}

static void run_until_exit(struct shim *s)
{
        for (;;) {
                /* Negative descriptors are ignored by poll. */
                struct pollfd fds[] = {
                        {.fd = s->logs.streams[LOG_STDOUT].pipe_fd, .events = POLLIN},
                        {.fd = s->logs.streams[LOG_STDERR].pipe_fd, .events = POLLIN},
                        {.fd = s->report_fd, .events = POLLIN},
                        {.fd = s->pidfd, .events = POLLIN},
                };

                if (poll(fds, ELEMENTSOF(fds), -1) < 0)
                        continue;
                if (fds[2].revents)
                        read_report(s);
                for (int i = 0; i < LOG_STREAM_MAX; i++)
                        if (fds[i].revents)
                                (void)log_pump_run(&s->logs, (enum log_stream_id)i);
                if (fds[3].revents)
                        return;
        }
}

static int parse_arguments(struct shim *s, int argc, char **argv)
{
        uint32_t count;

        if (argc != 3 || !str_equal(argv[1], "--") || parse_u32(argv[2], CGROUP_CONTROLLER_MAX, &count) < 0)
                return error_set(&s->error, -EINVAL, "mete-shim is started by mete-agent only");
        s->init.v1_count = count;
        return 0;
}

int shim_run(int argc, char **argv)
{
        static struct shim shim = {
                .report_fd = -1,
                .status_fd = -1,
                .pidfd = -1,
                .logs.streams = {{.pipe_fd = -1, .file_fd = -1}, {.pipe_fd = -1, .file_fd = -1}},
        };
        struct shim *s = &shim;

        if (parse_arguments(s, argc, argv) < 0) {
                (void)fprintf(stderr, "%s\n", error_message(&s->error));
                return 2;
        }
        s->init.phase_ns = record(s)->phase_ns;
        record(s)->phase_ns[SHIM_PHASE_SHIM] = mono_now().ns;
        detach();
        if (map_plan(s) < 0)
                return fail(s, "plan");
        if (open_pipes(s) < 0)
                return fail(s, "pipe");
        record(s)->phase_ns[SHIM_PHASE_PREPARED] = mono_now().ns;
        if (start_init(s) < 0)
                return fail(s, "clone");
        /* While init works: files cost as much as namespaces. STARTED is not read before they are there. */
        record(s)->shim = identify(getpid());
        publish(s, 0);
        if (log_pump_open_files(&s->logs, &s->error) < 0) {
                note_failure(s, "logs", s->error.code, error_message(&s->error));
                (void)sys_pidfd_send_signal(s->pidfd, SIGKILL);
        }
        run_until_exit(s);
        reap_init(s);
        read_report(s);
        log_pump_drain(&s->logs);
        return finish(s);
}
