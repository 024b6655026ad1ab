#include "agent/checks/check_run.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/shim/spawn.h"
#include "lib/linux/syscall.h"

/* Beyond the timeout of the check, which the helper itself keeps. */
#define HELPER_GRACE_NS (10 * NSEC_PER_SEC)

struct check_run {
        struct loop_child *child;
        struct loop_timer *overdue;
        int report_fd, kill_fd;
        void (*done)(const struct check_report *r, void *userdata);
        void *userdata;
};

static void on_exit_of_helper(struct loop_child *child, const siginfo_t *info, void *userdata)
{
        struct check_run *r = userdata;
        struct check_report report = {0};

        r->child = loop_child_free(r->child);
        loop_timer_disarm(r->overdue);
        if (read(r->report_fd, &report, sizeof(report)) != sizeof(report) || report.end <= CHECK_END_NONE ||
                report.end >= CHECK_END_MAX)
                report = (struct check_report){
                        .end = CHECK_END_FAILED, .text = "the check's helper gave no result"};
        report.text[sizeof(report.text) - 1] = '\0';
        r->done(&report, r->userdata);
}

static void on_overdue(struct loop_timer *t, void *userdata)
{
        const struct check_run *r = userdata;

        (void)sys_pidfd_send_signal(r->kill_fd, SIGKILL);
}

struct check_run *check_run_free(struct check_run *r)
{
        if (!r)
                return NULL;
        /* The helper's death is its children's: they asked the kernel for that. */
        if (r->child)
                program_end(r->kill_fd);
        loop_child_free(r->child);
        loop_timer_free(r->overdue);
        close_fd(r->report_fd);
        close_fd(r->kill_fd);
        free(r);
        return NULL;
}
DEFINE_CLEANUP(struct check_run, check_run_free)

struct descriptors {
        int null, report, init, v1[CGROUP_CONTROLLER_MAX];
        size_t v1_count;
};

static void descriptors_done(struct descriptors *d)
{
        close_fd(d->null);
        close_fd(d->report);
        close_fd(d->init);
        for (size_t i = 0; i < d->v1_count; i++)
                close_fd(d->v1[i]);
}

static int open_descriptors(
        struct agent_container *c, struct check_run *r, struct descriptors *d, struct error *e)
{
        int pipe_fds[2];

        d->null = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (d->null < 0 || pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) < 0)
                return error_set_errno(e, -errno, "cannot open what a check needs");
        r->report_fd = pipe_fds[0];
        d->report = pipe_fds[1];
        /* pid and start time together: whose namespaces are entered is no other process that got the number. */
        int code = process_open(&c->record.init, &d->init);
        if (code < 0)
                return error_set_errno(e, code, "cannot find the container's init");
        if (!c->view.cgroup)
                return error_set(e, -ESRCH, "the container has no cgroup");
        code = cgroup_open_entry_fds(c->view.cgroup, d->v1, &d->v1_count);
        return code < 0 ? error_set_errno(e, code, "cannot open the container's cgroup") : 0;
}

static int spawn(struct agent_container *c, const struct check_target *t, struct check_run *r, int *ret_pidfd,
        struct error *e)
{
        CLEANUP(descriptors_done) struct descriptors d = {.null = -1, .report = -1, .init = -1};
        char name[] = "mete-shim", mode[] = "check", kind[16], v1_text[8], timeout[16], port[8];
        char family[2] = {t->ipv6 ? '6' : '4', '\0'}, empty[] = "";

        int code = open_descriptors(c, r, &d, e);
        if (code < 0)
                return code;
        (void)snprintf(kind, sizeof(kind), "%s", check_kind_to_string(t->kind));
        (void)snprintf(v1_text, sizeof(v1_text), "%zu", d.v1_count);
        (void)snprintf(timeout, sizeof(timeout), "%" PRIu64, MAX(t->timeout_ns / NSEC_PER_MSEC, UINT64_C(1)));
        (void)snprintf(port, sizeof(port), "%u", (unsigned)t->port);
        char *const argv[] = {name, mode, kind, v1_text, timeout, t->kind == CHECK_COMMAND ? NULL : family,
                port, t->path ? t->path : empty, NULL};
        int fds[CHECK_FD_FIRST_V1 + CGROUP_CONTROLLER_MAX] = {d.null, d.null,
                STDERR_FILENO, [CHECK_FD_PLAN] = t->plan_fd, [CHECK_FD_REPORT] = d.report,
                [CHECK_FD_INIT] = d.init, [CHECK_FD_CGROUP] = cgroup_v2_fd(c->view.cgroup)};
        for (size_t i = 0; i < d.v1_count; i++)
                fds[CHECK_FD_FIRST_V1 + i] = d.v1[i];
        const struct program_spawn_options o = {.exe_fd = c->agent->shim_exe_fd,
                .cgroup_fd = c->agent->shim_cgroup ? cgroup_v2_fd(c->agent->shim_cgroup) : -1,
                .fds = fds,
                .fd_count = CHECK_FD_FIRST_V1 + d.v1_count,
                .argv = argv};
        return program_spawn(&o, ret_pidfd, e);
}

int check_run_start(struct agent_container *c, const struct check_target *t,
        void (*done)(const struct check_report *r, void *userdata), void *userdata, struct check_run **ret,
        struct error *e)
{
        CLEANUP(cleanup_check_run_free) struct check_run *r = NEW0(struct check_run);
        int pidfd;

        *r = (struct check_run){.report_fd = -1, .kill_fd = -1, .done = done, .userdata = userdata};
        int code = spawn(c, t, r, &pidfd, e);
        if (code < 0)
                return code;
        r->kill_fd = fcntl(pidfd, F_DUPFD_CLOEXEC, 0);
        r->child = loop_child_new(c->agent->loop, pidfd, on_exit_of_helper, r);
        r->overdue = loop_timer_new(c->agent->loop, on_overdue, r);
        loop_timer_arm(r->overdue, t->timeout_ns + HELPER_GRACE_NS, 0);
        *ret = TAKE_PTR(r);
        return 0;
}
