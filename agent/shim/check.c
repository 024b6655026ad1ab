#include "agent/shim/check.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/shim/check_internal.h"
#include "isolators/plan.h"
#include "lib/base/table.h"
#include "lib/base/time.h"
#include "lib/linux/cgroup.h"
#include "lib/linux/syscall.h"

static const char *const check_kind_names[CHECK_KIND_MAX] = {
        [CHECK_COMMAND] = "command", [CHECK_HTTP] = "http", [CHECK_TCP] = "tcp"};

const char *check_kind_to_string(enum check_kind k)
{
        return table_to_string(check_kind_names, ELEMENTSOF(check_kind_names), (int)k);
}

struct run {
        struct check check;
        struct error error;
        pid_t pid;                       /* of the process inside */
        int pidfd, output_fd, result_fd; /* read ends */
};

static int parse_arguments(struct check *c, int argc, char **argv)
{
        uint32_t port = 0;
        int kind =
                argc >= 5 ? table_from_string(check_kind_names, ELEMENTSOF(check_kind_names), argv[2]) : -1;

        if (kind < 0 || argc != (kind == CHECK_COMMAND ? 5 : 8) ||
                parse_u32(argv[3], CGROUP_CONTROLLER_MAX, &c->v1_count) < 0 ||
                parse_u32(argv[4], INT32_MAX, &c->timeout_ms) < 0)
                return -EINVAL;
        c->kind = (enum check_kind)kind;
        if (kind == CHECK_COMMAND)
                return 0;
        c->ipv6 = str_equal(argv[5], "6");
        c->path = argv[7];
        if (parse_u32(argv[6], 65535, &port) < 0 || strlen(c->path) > CHECK_PATH_MAX)
                return -EINVAL;
        c->port = (uint16_t)port;
        return 0;
}

static int map_plan(struct run *r)
{
        struct stat st;

        if (fstat(CHECK_FD_PLAN, &st) < 0 || st.st_size <= 0 || st.st_size > PLAN_SIZE_MAX)
                return error_set(&r->error, -EBADMSG, "the plan of the check has no valid size");
        void *plan = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, CHECK_FD_PLAN, 0);
        if (plan == MAP_FAILED || plan_check(plan, (size_t)st.st_size) < 0)
                return error_set(&r->error, -EBADMSG, "the plan of the check is malformed");
        r->check.plan = plan;
        return 0;
}

static int open_pipes(struct run *r)
{
        int output[2], result[2];

        if (pipe2(output, O_CLOEXEC) < 0 || pipe2(result, O_CLOEXEC) < 0 ||
                fcntl(output[0], F_SETFL, O_NONBLOCK) < 0 || fcntl(result[0], F_SETFL, O_NONBLOCK) < 0)
                return error_set_errno(&r->error, -errno, "cannot make the pipes of the check");
        r->output_fd = output[0];
        r->check.output_fd = output[1];
        r->result_fd = result[0];
        r->check.result_fd = result[1];
        return 0;
}

static int start(struct run *r)
{
        struct clone_args args = {
                .flags = CLONE_INTO_CGROUP | CLONE_PIDFD,
                .pidfd = (uint64_t)(uintptr_t)&r->pidfd,
                .exit_signal = SIGCHLD,
                .cgroup = CHECK_FD_CGROUP,
        };

        pid_t pid = sys_clone3(&args);
        if (pid == 0)
                check_inside_run(&r->check);
        (void)close_fd(r->check.output_fd);
        (void)close_fd(r->check.result_fd);
        if (pid < 0)
                return error_set_errno(&r->error, pid, "cannot enter the task's cgroup");
        r->pid = pid;
        return 0;
}

/* What a check prints is nobody's: read so that it does not block, and dropped. */
static void drop_output(struct run *r)
{
        char buf[4096];
        ssize_t n;

        while ((n = read(r->output_fd, buf, sizeof(buf))) > 0)
                ;
        if (n == 0)
                r->output_fd = close_fd(r->output_fd);
}

/* False when the time is over. */
static bool wait_for_end(struct run *r)
{
        const uint64_t limit_ns = r->check.timeout_ms * NSEC_PER_MSEC;
        const struct mono_time start_time = mono_now();

        for (;;) {
                struct pollfd fds[] = {
                        {.fd = r->pidfd, .events = POLLIN}, {.fd = r->output_fd, .events = POLLIN}};
                uint64_t gone = mono_elapsed_ns(start_time, mono_now());

                if (gone >= limit_ns)
                        return false;
                if (poll(fds, ELEMENTSOF(fds), (int)((limit_ns - gone) / NSEC_PER_MSEC) + 1) < 0)
                        continue;
                if (fds[0].revents)
                        return true;
                if (fds[1].revents)
                        drop_output(r);
        }
}

static void conclude(struct run *r, struct check_report *report)
{
        siginfo_t si = {0};

        if (!wait_for_end(r)) {
                check_kill_tree(r->pid, r->pidfd);
                report->end = CHECK_END_TIMED_OUT;
        }
        while (waitid(P_PIDFD, (id_t)r->pidfd, &si, WEXITED) < 0 && errno == EINTR)
                ;
        if (report->end == CHECK_END_TIMED_OUT)
                return;
        if (read(r->result_fd, report, sizeof(*report)) == sizeof(*report)) {
                report->text[sizeof(report->text) - 1] = '\0';
                return;
        }
        report->end = CHECK_END_FAILED;
        (void)snprintf(report->text, sizeof(report->text), "the check was ended by %s",
                si.si_code == CLD_EXITED ? "itself" : "a signal, perhaps for the task's memory limit");
}

int check_main(int argc, char **argv)
{
        static struct run r = {.pidfd = -1, .output_fd = -1, .result_fd = -1};
        struct check_report report = {.end = CHECK_END_NONE};

        if (parse_arguments(&r.check, argc, argv) < 0) {
                (void)fprintf(stderr, "mete-shim check is started by mete-agent only\n");
                return 2;
        }
        /* Its agent alone wants to know. */
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
        (void)prctl(PR_SET_NAME, "mete-check", 0, 0, 0);
        if (map_plan(&r) == 0 && open_pipes(&r) == 0 && start(&r) == 0) {
                conclude(&r, &report);
        } else {
                report.end = CHECK_END_FAILED;
                (void)snprintf(report.text, sizeof(report.text), "%s", error_message(&r.error));
        }
        return write(CHECK_FD_REPORT, &report, sizeof(report)) == sizeof(report) ? 0 : 1;
}
