#include "agent/suspension.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "agent/checkpoint.h"
#include "agent/checks/task_watch.h"
#include "agent/master_link.h"
#include "agent/task.h"
#include "lib/base/log.h"
#include "lib/net/codec.h"

/* Processes stop within milliseconds, save those that wait for a disk or a file server. */
#define FREEZE_LIMIT_NS (10 * NSEC_PER_SEC)

/* ---- answers ---- */

static void send_answer(struct agent *a, const Mete__Agent__Command__Suspend *s, bool suspended,
        const char *error, Mete__Api__TaskUsage *usage)
{
        Mete__Agent__Call__Suspended m = METE__AGENT__CALL__SUSPENDED__INIT;

        m.framework_id = s->framework_id;
        m.task_id = s->task_id;
        m.suspended = suspended;
        m.sequence = s->sequence;
        m.error = (char *)error;
        m.usage = usage;
        master_link_suspended(a->link, &m);
}

/* Of a task whose container is frozen or not, with what it has used by now. */
static void answer_with(struct agent_container *c, uint64_t sequence, const char *error)
{
        Mete__Agent__Command__Suspend s = METE__AGENT__COMMAND__SUSPEND__INIT;
        Mete__Api__TaskUsage *usage = NULL;

        s.framework_id = c->info->framework->id;
        s.task_id = c->info->task->task_id;
        s.sequence = sequence;
        if (c->isolated && c->state != CONTAINER_STATE_ENDED) {
                usage_read(c);
                usage = usage_to_message(c);
        }
        send_answer(c->agent, &s, c->suspension.frozen, error, usage);
        message_free(usage);
}

static void answer(struct agent_container *c)
{
        struct suspension *s = &c->suspension;

        s->answer_due = false;
        answer_with(c, s->sequence, s->failure);
}

static void finish(struct agent_container *c)
{
        struct suspension *s = &c->suspension;

        s->carried_out = true;
        s->done_sequence = s->sequence;
        if (s->answer_due)
                answer(c);
}

/* ---- records ---- */

static int write_record(struct agent_container *c, bool suspended, uint64_t sequence)
{
        Mete__Checkpoint__Suspended m = METE__CHECKPOINT__SUSPENDED__INIT;

        m.version = CHECKPOINT_FORMAT;
        m.suspended = suspended;
        m.sequence = sequence;
        m.has_since = m.has_frozen_seconds = true;
        m.since = wall_seconds(wall_now());
        m.frozen_seconds = (double)suspension_total_ns(c) / (double)NSEC_PER_SEC;
        return checkpoint_suspended_write(c->agent->checkpoints_fd, container_id(c), &m);
}

static int record(struct agent_container *c, bool suspended, uint64_t sequence)
{
        struct suspension *s = &c->suspension;

        int r = write_record(c, suspended, sequence);
        if (r < 0)
                return r;
        s->frozen_ns = suspension_total_ns(c);
        s->since_wall_ns = wall_now().ns;
        s->recorded = true;
        s->wanted = suspended;
        s->sequence = sequence;
        free(s->failure);
        s->failure = NULL;
        return 0;
}

static uint64_t ns_of(double seconds)
{
        return seconds > 0 && seconds < 1e9 * 9 ? (uint64_t)(seconds * (double)NSEC_PER_SEC) : 0;
}

void suspension_restore(struct agent_container *c, const Mete__Checkpoint__Suspended *saved)
{
        if (!saved || !c->task)
                return;
        c->suspension = (struct suspension){
                .recorded = true,
                .wanted = saved->suspended,
                .sequence = saved->sequence,
                .since_wall_ns = ns_of(saved->since),
                .frozen_ns = ns_of(saved->frozen_seconds),
        };
}

uint64_t suspension_total_ns(const struct agent_container *c)
{
        const struct suspension *s = &c->suspension;
        uint64_t now = wall_now().ns;

        return s->frozen_ns + (s->wanted && now > s->since_wall_ns ? now - s->since_wall_ns : 0);
}

/* ---- waiting ---- */

static void stop_waiting(struct suspension *s)
{
        if (!s->io)
                return;
        s->io = loop_io_free(s->io);
        s->epoll_fd = close_fd(s->epoll_fd);
        loop_timer_disarm(s->late);
}

static void thaw(struct agent_container *c)
{
        _cleanup_error_ struct error e = {0};
        bool was = c->suspension.frozen;

        stop_waiting(&c->suspension);
        c->suspension.frozen = false;
        if (c->view.cgroup && cgroup_freeze(c->view.cgroup, false, &e) < 0) {
                c->suspension.frozen = was;
                log_error("task %s: %s", container_label(c), error_message(&e));
        }
        if (c->task)
                task_watch_resume(c->task->watch);
}

/* The record says so first: an agent that died here would else freeze it again and wait for nobody. */
static void give_up(struct agent_container *c, const char *why)
{
        struct suspension *s = &c->suspension;

        log_warning("task %s: it is not suspended: %s", container_label(c), why);
        if (record(c, false, s->sequence) < 0) {
                log_error("task %s: that it is not suspended could not be checkpointed", container_label(c));
                s->wanted = false;
        }
        s->failure = xstrdup(why);
        thaw(c);
        finish(c);
}

static void look(struct agent_container *c)
{
        bool frozen = false;

        int r = cgroup_frozen(c->view.cgroup, &frozen);
        if (r < 0) {
                give_up(c, "its cgroup cannot be read");
                return;
        }
        if (!frozen)
                return;
        stop_waiting(&c->suspension);
        c->suspension.frozen = true;
        log_info("task %s: suspended", container_label(c));
        finish(c);
}

static void on_event(struct loop_io *io, int fd, uint32_t events, void *userdata)
{
        look(userdata);
}

static void on_late(struct loop_timer *t, void *userdata)
{
        struct agent_container *c = userdata;

        look(c); /* a notice may have been lost to somebody else's read */
        if (c->suspension.io)
                give_up(c, "it did not stand still within 10 s: a process in it waits where the kernel "
                           "cannot stop it");
}

static int begin_waiting(struct agent_container *c)
{
        struct epoll_event ev = {.events = EPOLLPRI};
        struct suspension *s = &c->suspension;
        _cleanup_fd_ int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        int events_fd = cgroup_events_fd(c->view.cgroup);

        if (epoll_fd < 0 || events_fd < 0)
                return epoll_fd < 0 ? -errno : events_fd;
        if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, events_fd, &ev) < 0)
                return -errno;
        s->io = loop_io_new(c->agent->loop, epoll_fd, EPOLLIN, on_event, c);
        if (!s->io)
                return -EIO;
        s->epoll_fd = TAKE_FD(epoll_fd);
        if (!s->late)
                s->late = loop_timer_new(c->agent->loop, on_late, c);
        loop_timer_arm(s->late, FREEZE_LIMIT_NS, 0);
        return 0;
}

/* ---- doing it ---- */

static void freeze(struct agent_container *c)
{
        _cleanup_error_ struct error e = {0};

        if (!c->view.cgroup) {
                give_up(c, "it has no cgroup");
                return;
        }
        /* Before: a check that runs inside would be frozen, and its time go on. */
        task_watch_pause(c->task->watch);
        stop_waiting(&c->suspension);
        int r = begin_waiting(c);
        if (r < 0)
                (void)error_set_errno(&e, r, "the freezing of its cgroup cannot be watched");
        else
                r = cgroup_freeze(c->view.cgroup, true, &e);
        if (r < 0)
                give_up(c, error_message(&e));
        else
                look(c);
}

static void resume(struct agent_container *c)
{
        bool was = c->suspension.frozen;

        thaw(c);
        if (was)
                log_info("task %s: resumed", container_label(c));
        finish(c);
}

static void carry_out(struct agent_container *c)
{
        if (c->suspension.wanted)
                freeze(c);
        else
                resume(c);
}

void suspension_started(struct agent_container *c)
{
        if (c->suspension.recorded && c->task)
                carry_out(c);
}

void suspension_thaw(struct agent_container *c)
{
        struct suspension *s = &c->suspension;

        if (!s->recorded)
                return;
        s->frozen_ns = suspension_total_ns(c);
        s->wanted = false;
        thaw(c);
        if (s->answer_due) {
                s->failure = xstrdup("it is being killed");
                finish(c);
        }
}

void suspension_done(struct agent_container *c)
{
        struct suspension *s = &c->suspension;

        stop_waiting(s);
        s->late = loop_timer_free(s->late);
        s->frozen = s->wanted = false;
        if (s->answer_due && c->task) {
                free(s->failure);
                s->failure = xstrdup("it ended first");
                answer(c);
        }
        free(s->failure);
        s->failure = NULL;
}

/* ---- the command ---- */

/* NULL: it may be carried out. */
static char *refusal(const struct agent_container *c, const Mete__Agent__Command__Suspend *s)
{
        const struct suspension *now = &c->suspension;

        if (now->recorded && s->sequence < now->sequence)
                return xasprintf("suspend.sequence %llu is older than the %llu seen before",
                        (unsigned long long)s->sequence, (unsigned long long)now->sequence);
        if (c->state == CONTAINER_STATE_ENDED)
                return xstrdup("it has ended");
        if (c->state == CONTAINER_STATE_KILLING && s->suspended)
                return xstrdup("it is being killed");
        return NULL;
}

static bool is_repeated(const struct agent_container *c, const Mete__Agent__Command__Suspend *s)
{
        return c->suspension.recorded && c->suspension.sequence == s->sequence;
}

static void repeat_answer(struct agent_container *c)
{
        struct suspension *s = &c->suspension;

        s->answer_due = true;
        if (s->carried_out && s->done_sequence == s->sequence)
                answer(c);
}

static void obey(struct agent_container *c, const Mete__Agent__Command__Suspend *s)
{
        _cleanup_free_ char *why = refusal(c, s);

        if (why) {
                answer_with(c, s->sequence, why);
                return;
        }
        if (is_repeated(c, s)) {
                repeat_answer(c);
                return;
        }
        int r = record(c, s->suspended, s->sequence);
        if (r < 0) {
                _cleanup_error_ struct error e = {0};

                (void)error_set_errno(&e, r, "the suspension cannot be checkpointed");
                answer_with(c, s->sequence, error_message(&e));
                return;
        }
        c->suspension.answer_due = true;
        if (c->state == CONTAINER_STATE_RUNNING || c->state == CONTAINER_STATE_KILLING)
                carry_out(c);
}

void suspension_command(struct agent *a, const Mete__Agent__Command__Suspend *s)
{
        struct agent_task *t = task_find(a, s->framework_id->value, s->task_id->value);

        if (!t)
                send_answer(a, s, false, "this agent knows no such task", NULL);
        else if (!t->container->task)
                send_answer(a, s, false,
                        "it runs in an executor, whose container holds other tasks and the executor itself: "
                        "only tasks without one can be suspended",
                        NULL);
        else
                obey(t->container, s);
}
