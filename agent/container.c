#include "agent/container.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/api/api.h"
#include "agent/checkpoint.h"
#include "agent/executors/executors.h"
#include "agent/fetcher.h"
#include "agent/shim/log_read.h"
#include "agent/task.h"
#include "agent/volumes.h"
#include "isolators/cores.h"
#include "lib/base/log.h"
#include "lib/base/table.h"
#include "lib/linux/syscall.h"
#include "lib/net/codec.h"
#include "proto/validate.h"

#define ADOPTED_POLL_NS (20 * NSEC_PER_MSEC)

static const char *const container_state_names[CONTAINER_STATE_MAX] = {
        [CONTAINER_STATE_CREATED] = "created",
        [CONTAINER_STATE_FETCHING] = "fetching",
        [CONTAINER_STATE_STARTING] = "starting",
        [CONTAINER_STATE_RUNNING] = "running",
        [CONTAINER_STATE_KILLING] = "killing",
        [CONTAINER_STATE_ENDED] = "ended",
};
DEFINE_STRING_TABLE(container_state, enum container_state)

static const bool allowed[CONTAINER_STATE_MAX][CONTAINER_STATE_MAX] = {
        [CONTAINER_STATE_CREATED] = {[CONTAINER_STATE_FETCHING] = true,
                [CONTAINER_STATE_STARTING] = true,
                [CONTAINER_STATE_ENDED] = true},
        [CONTAINER_STATE_FETCHING] = {[CONTAINER_STATE_STARTING] = true, [CONTAINER_STATE_ENDED] = true},
        [CONTAINER_STATE_STARTING] = {[CONTAINER_STATE_RUNNING] = true,
                [CONTAINER_STATE_KILLING] = true,
                [CONTAINER_STATE_ENDED] = true},
        [CONTAINER_STATE_RUNNING] = {[CONTAINER_STATE_KILLING] = true, [CONTAINER_STATE_ENDED] = true},
        [CONTAINER_STATE_KILLING] = {[CONTAINER_STATE_ENDED] = true},
};

bool container_state_allowed(enum container_state from, enum container_state to)
{
        return (unsigned)from < CONTAINER_STATE_MAX && (unsigned)to < CONTAINER_STATE_MAX &&
               allowed[from][to];
}

void container_set_state(struct agent_container *c, enum container_state to)
{
        assert(container_state_allowed(c->state, to));
        if (to == CONTAINER_STATE_RUNNING || to == CONTAINER_STATE_ENDED)
                loop_timer_disarm(c->timer);
        log_debug("%s %s: %s -> %s", c->owner->noun, container_label(c), container_state_to_string(c->state),
                container_state_to_string(to));
        c->state = to;
}

const char *container_id(const struct agent_container *c)
{
        return c->info->container_id;
}

const char *container_framework_id(const struct agent_container *c)
{
        return c->info->framework->id->value;
}

const char *container_label(const struct agent_container *c)
{
        return c->info->task ? c->info->task->task_id->value : c->info->executor->executor_id->value;
}

const char *container_sandbox(const struct agent_container *c)
{
        return c->info->sandbox ? gc_relative_path(c->info->sandbox, c->agent->options->work_dir) : NULL;
}

/* ---- the table ---- */

static void on_timer(struct loop_timer *t, void *userdata);

struct agent_container *container_new(struct agent *a, Mete__Checkpoint__Container *info)
{
        struct agent_container *c = NEW0(struct agent_container);

        c->agent = a;
        c->info = info;
        c->view.spec = &c->spec;
        c->view.sandbox_fd = -1;
        c->status_fd = -1;
        c->timer = loop_timer_new(a->loop, on_timer, c);
        HASH_ADD_KEYPTR(hh, a->containers, info->container_id, strlen(info->container_id), c);
        return c;
}

static void stop_watching_status(struct agent_container *c)
{
        c->status = loop_io_free(c->status);
        c->status_fd = close_fd(c->status_fd);
}

/* What the container has on the host, once nothing of it runs. */
static void clean_host(struct agent_container *c)
{
        struct agent *a = c->agent;

        if (c->isolated)
                isolators_cleanup(&a->host, &c->view);
        c->isolated = false;
        if (c->view.cgroup) /* its last process is not quite gone */
                leftovers_add(&a->leftovers, cgroup_name(c->view.cgroup));
        c->view.cgroup = cgroup_free(c->view.cgroup);
        c->cleanup_due = false;
}

struct agent_container *container_free(struct agent_container *c)
{
        if (!c)
                return NULL;
        if (c->cleanup_due)
                clean_host(c);
        cores_forget(&c->agent->host, &c->view);
        c->suspension.answer_due = false;
        suspension_done(c);
        HASH_DELETE(hh, c->agent->containers, c);
        task_free(c->task);
        executor_free(c->executor);
        stop_watching_status(c);
        fetch_free(c->fetch);
        loop_child_free(c->shim);
        loop_timer_free(c->timer);
        close_fd(c->view.sandbox_fd);
        cgroup_free(c->view.cgroup);
        plan_free(c->plan);
        free(c->view.sandbox_path);
        free(c->view.sandbox_in_container);
        container_spec_done(&c->spec);
        message_free(c->info);
        free(c);
        return NULL;
}

void container_forget(struct agent_container *c)
{
        struct agent *a = c->agent;

        if (checkpoint_container_remove(a->checkpoints_fd, container_id(c)) < 0)
                log_warning("%s %s: cannot remove its checkpoint: its end will be reported again after a "
                            "restart",
                        c->owner->noun, container_label(c));
        container_free(c);
        agent_container_gone(a);
}

struct agent_container *container_find(struct agent *a, const char *id)
{
        struct agent_container *c;

        HASH_FIND(hh, a->containers, id, strlen(id), c);
        return c;
}

int container_open_state(const struct agent_container *c)
{
        int fd =
                openat(c->agent->states_fd, container_id(c), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        return fd < 0 ? -errno : fd;
}

/* ---- starting ---- */

static void deliver_signal(struct agent_container *c, int signo)
{
        _cleanup_fd_ int pidfd = -1;

        /* pid and start time together name the process: a pid that was reused is not ours. */
        int r = process_open(&c->record.init, &pidfd);
        if (r == 0)
                r = sys_pidfd_send_signal(pidfd, signo);
        if (r < 0 && r != -ESRCH)
                log_warning("%s %s: cannot send %s: %s", c->owner->noun, container_label(c),
                        signal_name(signo), strerror(-r));
}

static void started(struct agent_container *c, const struct shim_record *r)
{
        if (c->record.started_wall_ns)
                return;
        c->record = *r;
        if (c->state == CONTAINER_STATE_KILLING) {
                if (c->kill_signal)
                        deliver_signal(c, c->kill_signal);
                return;
        }
        if (c->state != CONTAINER_STATE_STARTING)
                return;
        launch_times_add(c->agent->launch_times, &c->clock, r);
        container_set_state(c, CONTAINER_STATE_RUNNING);
        c->owner->started(c);
        suspension_started(c);
}

static void on_status(struct loop_io *io, int fd, uint32_t events, void *userdata)
{
        struct agent_container *c = userdata;
        struct shim_message m;

        ssize_t n = read(fd, &m, sizeof(m));
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (n == (ssize_t)sizeof(m) && m.event == SHIM_EVENT_STARTED && m.record.started_wall_ns) {
                stop_watching_status(c); /* what else comes this way the shim's end tells as well */
                started(c, &m.record);
                return;
        }
        /* The end of the pipe or of the container: the shim's exit brings the rest. */
        stop_watching_status(c);
}

static void on_shim_exit(struct loop_child *child, const siginfo_t *info, void *userdata)
{
        container_exited(userdata);
}

void container_watch(struct agent_container *c, int pidfd, int status_fd)
{
        c->shim = loop_child_new(c->agent->loop, pidfd, on_shim_exit, c);
        c->status_fd = status_fd;
        if (status_fd >= 0)
                c->status = loop_io_new(c->agent->loop, status_fd, EPOLLIN, on_status, c);
}

/* What an adopted shim tells only by its files: who it is, and that execve is done. */
static void look_at_adopted(struct agent_container *c)
{
        _cleanup_fd_ int state_fd = container_open_state(c);
        struct shim_record r = {0};

        if (state_fd < 0 || shim_lock_held(state_fd) != 1) {
                container_exited(c);
                return;
        }
        int found = shim_record_read(state_fd, &r);
        if (found == 0 && !c->shim && r.shim.pid > 0) {
                int pidfd;

                if (process_open(&r.shim, &pidfd) < 0) {
                        container_exited(c);
                        return;
                }
                container_watch(c, pidfd, -1);
        }
        if (found == 0 && r.started_wall_ns)
                started(c, &r);
        if (!c->shim || !c->record.started_wall_ns)
                loop_timer_arm(c->timer, ADOPTED_POLL_NS, 0);
}

void container_watch_adopted(struct agent_container *c)
{
        c->adopted = true;
        look_at_adopted(c);
}

/* ---- killing ---- */

static void kill_cgroup(struct agent_container *c)
{
        _cleanup_error_ struct error e = {0};

        if (!c->view.cgroup || cgroup_kill(c->view.cgroup, &e) == 0)
                return;
        c->agent->counters.container_destroy_errors++;
        log_error("%s %s: %s", c->owner->noun, container_label(c), error_message(&e));
}

static void on_timer(struct loop_timer *t, void *userdata)
{
        struct agent_container *c = userdata;

        if (c->cleanup_due) {
                clean_host(c);
                c->owner->removed(c);
                return;
        }
        if (c->state == CONTAINER_STATE_KILLING) {
                log_debug("%s %s: the grace is over", c->owner->noun, container_label(c));
                kill_cgroup(c);
                if (c->adopted && !c->shim)
                        look_at_adopted(c);
                return;
        }
        if (c->adopted)
                look_at_adopted(c);
}

/* Nothing of it runs yet but the helper. */
static void end_fetching(struct agent_container *c)
{
        _cleanup_outcome_ struct task_outcome o = task_outcome_make(METE__V1__TASK_STATE__TASK_KILLED,
                METE__V1__TASK_STATUS__REASON__REASON_TASK_KILLED_DURING_LAUNCH,
                "Killed before its command was executed");

        c->kill_asked = true;
        container_end(c, &o);
}

void container_destroy(struct agent_container *c)
{
        container_kill(c, SIGKILL, 0, /* only_signal= */ false);
}

void container_silence(struct agent_container *c)
{
        c->silent = true;
        if (c->state == CONTAINER_STATE_ENDED && !c->cleanup_due)
                container_forget(c);
}

/* Schedulers repeat themselves: a kill that comes again must not give the task more time. */
static void arm_grace(struct agent_container *c, uint64_t grace_ns)
{
        const uint64_t now = mono_now().ns;

        if (c->kill_deadline_ns == 0) {
                c->kill_started.ns = now;
                c->kill_deadline_ns = now + grace_ns;
        } else {
                c->kill_deadline_ns = MIN(c->kill_deadline_ns, c->kill_started.ns + grace_ns);
        }
        loop_timer_arm(c->timer, c->kill_deadline_ns > now ? c->kill_deadline_ns - now : 0, 0);
}

void container_kill(struct agent_container *c, int signo, uint64_t grace_ns, bool only_signal)
{
        int signal = signo ? signo : SIGTERM;

        if (c->state == CONTAINER_STATE_ENDED || c->state == CONTAINER_STATE_CREATED)
                return;
        if (c->state == CONTAINER_STATE_FETCHING) {
                if (!only_signal)
                        end_fetching(c);
                return;
        }
        if (only_signal) {
                if (c->record.started_wall_ns)
                        deliver_signal(c, signal);
                return;
        }
        if (!c->kill_asked && checkpoint_kill_write(c->agent->checkpoints_fd, container_id(c),
                                      signal_name(signal), c->kill_cause) < 0)
                log_warning("%s %s: the kill could not be checkpointed", c->owner->noun, container_label(c));
        c->kill_asked = true;
        if (c->state != CONTAINER_STATE_KILLING) {
                container_set_state(c, CONTAINER_STATE_KILLING);
                c->owner->killing(c);
        }
        if (c->kill_signal != signal && c->record.started_wall_ns)
                deliver_signal(c, signal);
        suspension_thaw(c); /* what is frozen could not act on the signal */
        c->kill_signal = signal;
        arm_grace(c, grace_ns);
}

/* ---- ending ---- */

struct removal {
        int dirfd;
        char *name;
};

static void remove_work(void *userdata)
{
        struct removal *r = userdata;

        if (remove_tree_at(r->dirfd, r->name) < 0)
                log_debug("cannot remove %s of a container: the next start tries again", r->name);
}

static void remove_done(void *userdata)
{
        struct removal *r = userdata;

        free(r->name);
        free(r);
}

/*
 * Where the live log files begin in the whole output is in the state directory, which goes: kept beside the sandbox, as long as
 * the sandbox.
 */
static void keep_log_offsets(struct agent_container *c)
{
        _cleanup_fd_ int state_fd = container_open_state(c);
        _cleanup_free_ char *data = NULL;
        _cleanup_free_ char *dir = NULL;
        size_t n;

        if (state_fd < 0 || !c->info->sandbox || log_anchors_to_keep(state_fd, &data, &n) < 0)
                return;
        dir = xasprintf("%s.state", c->info->sandbox);
        if (mkdir(dir, 0700) < 0 && errno != EEXIST)
                return;
        _cleanup_fd_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 || write_file_atomic_at(fd, LOG_ANCHORS_NAME, data, n, 0600, /* sync= */ false) < 0)
                log_debug("%s %s: log offsets are not kept", c->owner->noun, container_label(c));
}

/* An overlay's upper layer may be a large tree: never on the loop, unless the queue is full. */
static void discard(struct agent_container *c, int dirfd)
{
        struct removal *r = NEW0(struct removal);

        *r = (struct removal){.dirfd = dirfd, .name = xasprintf("%s.gone", container_id(c))};
        if (renameat(r->dirfd, container_id(c), r->dirfd, r->name) < 0) {
                remove_done(r);
                return; /* it was never made */
        }
        if (worker_pool_submit(c->agent->pool, NULL, remove_work, remove_done, r) < 0) {
                remove_work(r);
                remove_done(r);
        }
}

static void forget_runtime(struct agent_container *c)
{
        keep_log_offsets(c);
        discard(c, c->agent->states_fd);
        discard(c, c->agent->overlays_fd);
}

void container_end(struct agent_container *c, const struct task_outcome *outcome)
{
        struct agent *a = c->agent;

        container_set_state(c, CONTAINER_STATE_ENDED);
        /* An executor's end has no state: the outcome's is that of the tasks which it leaves behind. */
        log_info("%s %s: %s%s%s", c->owner->noun, container_label(c),
                c->task ? task_state_to_string(outcome->state) : "ended", outcome->message ? ": " : "",
                outcome->message ? outcome->message : "");
        /* First to disk: an agent that dies while it removes the cgroup could not tell again what the task used. */
        c->owner->ended(c, outcome);
        suspension_done(c);
        stop_watching_status(c);
        c->fetch = fetch_free(c->fetch);
        c->plan = plan_free(c->plan);
        c->shim = loop_child_free(c->shim);
        forget_runtime(c);
        c->view.sandbox_fd = close_fd(c->view.sandbox_fd);
        if (container_sandbox(c))
                gc_add(&a->gc, container_sandbox(c));
        volumes_container_ended(a->volumes, c);
        agent_api_container_ended(a, container_id(c));
        /* After the loop has sent what waits: the end is news, the removal of cgroups (about a millisecond) is not. */
        c->cleanup_due = true;
        loop_timer_arm(c->timer, 0, 0);
        agent_container_gone(a);
}

static void memory_path(const struct agent_container *c, struct task_facts *f)
{
        if (c->view.cgroup)
                f->memory_cgroup = cgroup_path(c->view.cgroup, CGROUP_MEMORY);
        f->memory_limit_bytes = c->spec.memory_limit_bytes;
        f->memory_peak_bytes = MAX(c->usage.memory_peak_seen, c->usage.latest.cgroup.memory_peak_bytes);
}

void container_exited(struct agent_container *c)
{
        _cleanup_outcome_ struct task_outcome outcome = {0};
        _cleanup_fd_ int state_fd = container_open_state(c);
        struct shim_record r = {0};
        struct task_facts f = {.kill_asked = c->kill_asked, .kill_cause = c->kill_cause};

        if (c->state == CONTAINER_STATE_ENDED)
                return;
        int found = state_fd < 0 ? state_fd : shim_record_read(state_fd, &r);
        if (found == 0)
                c->record = r;
        else
                log_debug("%s %s: no record of its shim: %s", c->owner->noun, container_label(c),
                        strerror(-found));
        if (c->record.finished_wall_ns == 0)
                kill_cgroup(c); /* nobody is left to reap it: what still runs of the task has no parent */
        if (found == 0 && r.started_wall_ns && !r.failed_errno && !c->kill_asked)
                c->owner->started(c);
        if (c->isolated) {
                usage_read(c);
                f.usage = &c->usage.latest;
        }
        f.has_record = found == 0;
        f.record = &c->record;
        memory_path(c, &f);
        c->owner->decide(&f, &outcome);
        container_end(c, &outcome);
}
