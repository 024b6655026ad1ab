#include "agent/checks/task_watch.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "agent/checks/check_target.h"
#include "agent/command_task.h"
#include "agent/status_message.h"
#include "lib/base/log.h"

#define HEALTHY_STATUS_MIN 200
#define HEALTHY_STATUS_MAX 399

/* Of one check: when it runs next, or the run itself. */
struct probe {
        struct task_watch *watch;
        void (*result)(struct probe *p, const struct check_report *r);
        struct check_schedule schedule;
        struct check_target target;
        struct loop_timer *timer;
        struct check_run *run;
};

struct task_watch {
        struct agent_container *container;
        struct probe *health, *check; /* owned; NULL: not asked for */
        bool check_known;             /* the last run of check gave check_value */
        int32_t check_value;
        struct loop_timer *completion; /* owned; NULL: no limit */
        uint64_t completion_ns;        /* monotonic; when it is over, if nothing is paused */
        bool paused;
        struct mono_time paused_at;
};

/* ---- what is asked for ---- */

int task_watch_check(const Mete__V1__TaskInfo *t, struct error *e)
{
        const char *user = t->command ? t->command->user : NULL;
        struct check_timing timing;
        int r = 0;

        if (t->health_check)
                r = check_target_check_health(t->health_check, user, &timing, e);
        if (r == 0 && t->check)
                r = check_target_check_check(t->check, user, &timing, e);
        if (r == 0 && t->max_completion_time && t->max_completion_time->nanoseconds < 0)
                r = error_set(e, -EINVAL, "task.max_completion_time: must not be negative");
        return r;
}

/* ---- reporting ---- */

static Mete__V1__CheckStatusInfo *check_status_new(const struct task_watch *w)
{
        Mete__V1__CheckStatusInfo *s = NEW0(Mete__V1__CheckStatusInfo);

        mete__v1__check_status_info__init(s);
        s->has_type = true;
        s->type = w->container->task->info->check->type;
        if (s->type == METE__V1__CHECK_INFO__TYPE__COMMAND) {
                s->command = NEW0(Mete__V1__CheckStatusInfo__Command);
                mete__v1__check_status_info__command__init(s->command);
                s->command->has_exit_code = w->check_known;
                s->command->exit_code = w->check_value;
        } else if (s->type == METE__V1__CHECK_INFO__TYPE__HTTP) {
                s->http = NEW0(Mete__V1__CheckStatusInfo__Http);
                mete__v1__check_status_info__http__init(s->http);
                s->http->has_status_code = w->check_known;
                s->http->status_code = (uint32_t)w->check_value;
        } else {
                s->tcp = NEW0(Mete__V1__CheckStatusInfo__Tcp);
                mete__v1__check_status_info__tcp__init(s->tcp);
                s->tcp->has_succeeded = w->check_known;
                s->tcp->succeeded = w->check_value != 0;
        }
        return s;
}

void task_watch_fill(const struct task_watch *w, Mete__V1__TaskStatus *s)
{
        if (!w)
                return;
        if (w->health && w->health->schedule.known) {
                s->has_healthy = true;
                s->healthy = w->health->schedule.healthy;
        }
        /* Also when it was an earlier agent that saw it. */
        if (w->container->kill_asked && w->container->kill_cause == KILL_CAUSE_UNHEALTHY) {
                s->has_healthy = true;
                s->healthy = false;
        }
        if (w->check && !s->check_status)
                s->check_status = check_status_new(w);
}

static void report(struct task_watch *w, Mete__V1__TaskStatus__Reason reason, const char *message)
{
        struct agent_task *t = w->container->task;
        Mete__Agent__StatusUpdate *u = status_message_new(t, METE__V1__TASK_STATE__TASK_RUNNING, message);

        u->status->has_reason = true;
        u->status->reason = reason;
        (void)task_push_update(t, u);
        task_flush_updates(t);
}

/* ---- running ---- */

static void schedule_next(struct probe *p)
{
        if (p->watch->paused)
                return;
        loop_timer_arm(p->timer, check_schedule_wait_ns(&p->schedule, mono_now().ns), 0);
}

/* With its init all of a container ends, also a check inside; who follows the shim hears of that end a moment later than the check's helper. */
static bool has_ended(const struct agent_container *c)
{
        struct pollfd p = {.events = POLLIN};
        bool ended;

        if (process_open(&c->record.init, &p.fd) < 0)
                return true;
        ended = poll(&p, 1, 0) == 1;
        close_fd(p.fd);
        return ended;
}

static void on_report(const struct check_report *r, void *userdata)
{
        struct probe *p = userdata;
        const struct agent_container *c = p->watch->container;

        p->run = check_run_free(p->run);
        /* What is being killed or is over is not judged any more. */
        if (c->state == CONTAINER_STATE_RUNNING && !has_ended(c))
                p->result(p, r);
}

static void on_due(struct loop_timer *t, void *userdata)
{
        _cleanup_error_ struct error e = {0};
        struct probe *p = userdata;

        if (p->watch->container->state != CONTAINER_STATE_RUNNING)
                return;
        if (check_run_start(p->watch->container, &p->target, on_report, p, &p->run, &e) == 0)
                return;
        if (has_ended(p->watch->container))
                return;
        struct check_report r = {.end = CHECK_END_FAILED};
        (void)snprintf(r.text, sizeof(r.text), "%s", error_message(&e));
        p->result(p, &r);
}

static void describe(const struct check_report *r, char *buf, size_t size)
{
        switch (r->end) {
        case CHECK_END_EXITED:
                (void)snprintf(buf, size, "the command exited with status %d", r->value);
                break;
        case CHECK_END_SIGNALLED:
                (void)snprintf(buf, size, "the command was ended by %s", signal_name(r->value));
                break;
        case CHECK_END_ANSWERED:
                (void)snprintf(buf, size, "the HTTP status is %d", r->value);
                break;
        case CHECK_END_TIMED_OUT:
                (void)snprintf(buf, size, "the time was over before there was a result");
                break;
        default:
                (void)snprintf(buf, size, "%s", r->text);
        }
}

static bool is_healthy(const struct check_report *r)
{
        if (r->end == CHECK_END_EXITED)
                return r->value == 0;
        if (r->end == CHECK_END_ANSWERED)
                return r->value >= HEALTHY_STATUS_MIN && r->value <= HEALTHY_STATUS_MAX;
        return r->end == CHECK_END_CONNECTED;
}

static void on_health(struct probe *p, const struct check_report *r)
{
        struct agent_container *c = p->watch->container;
        bool healthy = is_healthy(r);
        char text[CHECK_TEXT_MAX + 64];
        struct check_verdict v = check_schedule_result(&p->schedule, healthy, mono_now().ns);

        describe(r, text, sizeof(text));
        log_debug("task %s: %s: %s", container_label(c), healthy ? "healthy" : "not healthy", text);
        if (v.changed)
                report(p->watch, METE__V1__TASK_STATUS__REASON__REASON_TASK_HEALTH_CHECK_STATUS_UPDATED,
                        healthy ? NULL : text);
        if (!v.kill) {
                schedule_next(p);
                return;
        }
        log_info("task %s: its health check failed %u times in a row: %s", container_label(c),
                p->schedule.failures, text);
        command_task_kill_for(c->task, KILL_CAUSE_UNHEALTHY);
}

static void on_check(struct probe *p, const struct check_report *r)
{
        struct task_watch *w = p->watch;
        bool known = r->end == CHECK_END_EXITED || r->end == CHECK_END_ANSWERED;
        int32_t value = known ? r->value : 0;

        if (p->target.kind == CHECK_TCP) {
                known = r->end != CHECK_END_FAILED;
                value = r->end == CHECK_END_CONNECTED;
        } else if (r->end == CHECK_END_SIGNALLED) {
                known = true;
                value = 128 + r->value;
        }
        (void)check_schedule_result(&p->schedule, known, mono_now().ns);
        schedule_next(p);
        if (known == w->check_known && value == w->check_value)
                return;
        w->check_known = known;
        w->check_value = value;
        report(w, METE__V1__TASK_STATUS__REASON__REASON_TASK_CHECK_STATUS_UPDATED, NULL);
}

static void on_completion(struct loop_timer *t, void *userdata)
{
        struct task_watch *w = userdata;

        command_task_kill_for(w->container->task, KILL_CAUSE_COMPLETION_TIME);
}

/* ---- life ---- */

static struct probe *probe_free(struct probe *p)
{
        if (!p)
                return NULL;
        check_run_free(p->run);
        loop_timer_free(p->timer);
        check_target_done(&p->target);
        free(p);
        return NULL;
}

/* How long ago it was started, also by an earlier agent; without the time in which it was frozen. */
static uint64_t age_ns(const struct agent_container *c)
{
        uint64_t now = wall_now().ns, not_its_own = suspension_total_ns(c);
        uint64_t age = now > c->record.started_wall_ns ? now - c->record.started_wall_ns : 0;

        return age > not_its_own ? age - not_its_own : 0;
}

static struct probe *probe_new(struct task_watch *w, const struct check_timing *timing,
        void (*result)(struct probe *p, const struct check_report *r))
{
        struct probe *p = NEW0(struct probe);
        uint64_t now = mono_now().ns, age = age_ns(w->container);

        p->watch = w;
        p->result = result;
        p->target.plan_fd = -1;
        p->timer = loop_timer_new(w->container->agent->loop, on_due, p);
        check_schedule_start(&p->schedule, timing, now > age ? now - age : 0, now);
        return p;
}

static void add_health(struct task_watch *w, const Mete__V1__TaskInfo *t)
{
        _cleanup_error_ struct error e = {0};
        struct check_timing timing;

        if (!t->health_check ||
                check_target_check_health(t->health_check, t->command->user, &timing, NULL) < 0)
                return;
        w->health = probe_new(w, &timing, on_health);
        if (check_target_of_health(w->container, t->health_check, &w->health->target, &e) < 0)
                log_error("task %s: its health check cannot run: %s", container_label(w->container),
                        error_message(&e));
        w->health->target.timeout_ns = timing.timeout_ns;
        schedule_next(w->health);
}

static void add_check(struct task_watch *w, const Mete__V1__TaskInfo *t)
{
        _cleanup_error_ struct error e = {0};
        struct check_timing timing;

        if (!t->check || check_target_check_check(t->check, t->command->user, &timing, NULL) < 0)
                return;
        w->check = probe_new(w, &timing, on_check);
        if (check_target_of_check(w->container, t->check, &w->check->target, &e) < 0)
                log_error("task %s: its check cannot run: %s", container_label(w->container),
                        error_message(&e));
        w->check->target.timeout_ns = timing.timeout_ns;
        schedule_next(w->check);
}

static void add_completion(struct task_watch *w, const Mete__V1__TaskInfo *t)
{
        if (!t->max_completion_time)
                return;
        uint64_t limit = (uint64_t)MAX(t->max_completion_time->nanoseconds, INT64_C(0)),
                 age = age_ns(w->container);

        uint64_t left = limit > age ? limit - age : 0;
        w->completion = loop_timer_new(w->container->agent->loop, on_completion, w);
        w->completion_ns = mono_now().ns + left;
        loop_timer_arm(w->completion, left, 0);
}

struct task_watch *task_watch_new(struct agent_container *c)
{
        const Mete__V1__TaskInfo *t = c->task->info;

        if (!t->health_check && !t->check && !t->max_completion_time)
                return NULL;
        struct task_watch *w = NEW0(struct task_watch);
        w->container = c;
        add_health(w, t);
        add_check(w, t);
        add_completion(w, t);
        return w;
}

static void pause_probe(struct probe *p)
{
        if (!p)
                return;
        loop_timer_disarm(p->timer);
        p->run = check_run_free(p->run);
}

void task_watch_pause(struct task_watch *w)
{
        if (!w || w->paused)
                return;
        w->paused = true;
        w->paused_at = mono_now();
        pause_probe(w->health);
        pause_probe(w->check);
        if (w->completion)
                loop_timer_disarm(w->completion);
}

static void resume_probe(struct probe *p, uint64_t paused_ns, uint64_t now_ns)
{
        if (!p)
                return;
        check_schedule_resume(&p->schedule, paused_ns, now_ns);
        schedule_next(p);
}

void task_watch_resume(struct task_watch *w)
{
        if (!w || !w->paused)
                return;
        const uint64_t now = mono_now().ns, paused_ns = mono_elapsed_ns(w->paused_at, mono_now());

        w->paused = false;
        resume_probe(w->health, paused_ns, now);
        resume_probe(w->check, paused_ns, now);
        if (!w->completion)
                return;
        w->completion_ns += paused_ns;
        loop_timer_arm(w->completion, w->completion_ns > now ? w->completion_ns - now : 0, 0);
}

struct task_watch *task_watch_free(struct task_watch *w)
{
        if (!w)
                return NULL;
        probe_free(w->health);
        probe_free(w->check);
        loop_timer_free(w->completion);
        free(w);
        return NULL;
}
