/*
 * Statuses of tasks, from agents and by the master itself. Two positions are kept for each task: the latest state that its agent knows,
 * which decides about resources, and the one that its framework was last sent of the agent's stream of updates, which the framework
 * acknowledges. A task that ended leaves the table when its end was acknowledged.
 */

#include <stdlib.h>
#include <string.h>

#include "master/frameworks/frameworks.h"
#include "master/operator/standing.h"

#define TASK_STATUSES_MAX 16

void task_enter_state(struct task *t, Mete__V1__TaskState state)
{
        count_task_moved(t->framework, t->state, state);
        t->state = state;
}

void task_set_latest(struct task *t, Mete__V1__TaskState state)
{
        if (task_state_is_terminal(t->state))
                return;
        task_enter_state(t, state);
        if (task_state_is_terminal(state))
                task_release(t);
}

/* Of states in a row the last status counts; of too many the oldest goes. */
static void keep_status(struct task *t, const Mete__V1__TaskStatus *status)
{
        Mete__V1__TaskStatus kept = *status;

        kept.has_data = false;
        kept.data = (ProtobufCBinaryData){};
        if (t->n_statuses > 0 && t->statuses[t->n_statuses - 1]->state == status->state) {
                message_free(t->statuses[--t->n_statuses]);
        } else if (t->n_statuses == TASK_STATUSES_MAX) {
                message_free(t->statuses[0]);
                memmove(t->statuses, t->statuses + 1, --t->n_statuses * sizeof(*t->statuses));
        } else {
                t->statuses = xrealloc(t->statuses, (t->n_statuses + 1) * sizeof(*t->statuses));
        }
        t->statuses[t->n_statuses++] = message_copy(&kept);
}

/* ---- by the master ---- */

static bool is_told(const struct framework *f)
{
        return f->ops && f->ops->update && f->state == FRAMEWORK_ACTIVE;
}

/* A status with what it points to. */
struct made_status {
        Mete__Agent__StatusUpdate update;
        Mete__V1__TaskStatus status;
        Mete__V1__FrameworkID framework_id;
        Mete__V1__TaskID task_id;
        Mete__V1__AgentID agent_id;
        Mete__V1__ExecutorID executor_id;
        Mete__V1__TimeInfo unreachable_time;
};

/* What the last status of the task said and still holds. */
static void make_status_of_task(struct made_status *s, const struct task *t)
{
        const Mete__V1__TaskStatus *last = t->n_statuses > 0 ? t->statuses[t->n_statuses - 1] : NULL;

        if (t->executor_id) {
                mete__v1__executor_id__init(&s->executor_id);
                s->executor_id.value = t->executor_id;
                s->status.executor_id = &s->executor_id;
        }
        if (!last)
                return;
        s->status.has_healthy = last->has_healthy;
        s->status.healthy = last->healthy;
        s->status.check_status = last->check_status;
        s->status.container_status = last->container_status;
}

static void make_status(const struct framework *f, const struct told_status *told, struct made_status *ret)
{
        Mete__V1__TaskStatus *s = &ret->status;

        mete__agent__status_update__init(&ret->update);
        mete__v1__task_status__init(s);
        mete__v1__framework_id__init(&ret->framework_id);
        mete__v1__task_id__init(&ret->task_id);
        mete__v1__agent_id__init(&ret->agent_id);
        mete__v1__time_info__init(&ret->unreachable_time);
        ret->framework_id.value = f->id;
        ret->update.framework_id = &ret->framework_id;
        ret->update.status = s;
        ret->task_id.value = (char *)told->task_id;
        s->task_id = &ret->task_id;
        if (told->agent_id) {
                ret->agent_id.value = (char *)told->agent_id;
                s->agent_id = &ret->agent_id;
        }
        s->state = told->state;
        s->has_source = s->has_reason = s->has_timestamp = true;
        s->source = METE__V1__TASK_STATUS__SOURCE__SOURCE_MASTER;
        s->reason = told->reason;
        s->message = (char *)told->message;
        s->timestamp = wall_seconds_now();
        if (told->unreachable_time > 0) {
                ret->unreachable_time.nanoseconds = (int64_t)(told->unreachable_time * 1e9);
                s->unreachable_time = &ret->unreachable_time;
        }
        if (told->task)
                make_status_of_task(ret, told->task);
}

void framework_tell(struct framework *f, struct agent *a, const struct told_status *told)
{
        struct made_status made;

        if (!is_told(f))
                return;
        make_status(f, told, &made);
        f->ops->update(f, a, told->task, &made.update);
}

static void task_unreachable(struct task *t)
{
        string_list_add(&t->agent->lost_tasks, t->framework->id);
        string_list_add(&t->agent->lost_tasks, t->id);
        task_enter_state(t, METE__V1__TASK_STATE__TASK_UNREACHABLE);
        framework_keep_unreachable(t->framework, t);
        task_remove(t);
}

static void set_status(struct task *t, Mete__V1__TaskState state, Mete__V1__TaskStatus__Reason reason,
        double unreachable_time, const char *message)
{
        const struct told_status told = {
                .task_id = t->id,
                .agent_id = t->agent->id,
                .task = t,
                .state = state,
                .reason = reason,
                .message = message,
                .unreachable_time = unreachable_time,
        };
        struct made_status made;

        log_info("task %s on agent %s: %s: %s", t->id, t->agent->id, task_state_to_string(state), message);
        make_status(t->framework, &told, &made);
        if (is_told(t->framework))
                t->framework->ops->update(t->framework, t->agent, t, &made.update);
        count_task_ended(t->framework, &made.status);
        keep_status(t, &made.status);
        if (state == METE__V1__TASK_STATE__TASK_UNREACHABLE) {
                task_unreachable(t);
                return;
        }
        task_set_latest(t, state);
        if (task_state_is_terminal(state))
                task_done(t);
}

void task_set_status(
        struct task *t, Mete__V1__TaskState state, Mete__V1__TaskStatus__Reason reason, const char *fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        _cleanup_free_ char *message = xvasprintf(fmt, ap);
        va_end(ap);
        set_status(t, state, reason, /* unreachable_time= */ 0, message);
}

static Mete__V1__TaskState lost_state(const struct framework *f, enum agent_state how)
{
        if (!f->ops || f->ops->in_process)
                return METE__V1__TASK_STATE__TASK_LOST;
        return how == AGENT_UNREACHABLE ? METE__V1__TASK_STATE__TASK_UNREACHABLE
               : how == AGENT_GONE      ? METE__V1__TASK_STATE__TASK_GONE_BY_OPERATOR
                                        : METE__V1__TASK_STATE__TASK_GONE;
}

void tasks_lost(struct agent *a, enum agent_state how, const char *why)
{
        while (a->tasks) {
                Mete__V1__TaskState state = lost_state(a->tasks->framework, how);

                set_status(a->tasks, state,
                        how == AGENT_GONE ? METE__V1__TASK_STATUS__REASON__REASON_AGENT_REMOVED_BY_OPERATOR
                                          : METE__V1__TASK_STATUS__REASON__REASON_AGENT_REMOVED,
                        how == AGENT_UNREACHABLE ? a->unreachable_time : 0, why);
        }
}

/* ---- from agents ---- */

/* What the framework was sent. */
static void keep_update(struct task *t, const Mete__V1__TaskStatus *status)
{
        bool was_told = t->has_update && task_state_is_terminal(t->update_state);

        if (!was_told && task_state_is_terminal(status->state))
                count_task_ended(t->framework, status);
        keep_status(t, status);
        if (!status->has_uuid)
                return;
        t->has_update = t->has_update_uuid = true;
        t->update_state = status->state;
        memcpy(t->update_uuid, status->uuid.data, UUID_BYTES);
}

/* Nobody will ever acknowledge it: the agent is told that it may forget. */
static void update_nobody(struct agent *a, const Mete__Agent__StatusUpdate *u, struct task *t)
{
        const Mete__V1__TaskStatus *s = u->status;

        log_info("agent %s: update %s of task %s of unknown framework %s: acknowledged", a->id,
                task_state_to_string(s->state), s->task_id->value, u->framework_id->value);
        a->master->counters.invalid_status_updates++;
        if (s->has_uuid)
                agent_acknowledge(a, u->framework_id->value, s->task_id->value, s->uuid.data);
        if (!t)
                return;
        task_set_latest(t, u->has_latest_state ? u->latest_state : s->state);
        if (t->released)
                task_done(t);
}

void tasks_update(struct agent *a, const Mete__Agent__StatusUpdate *u)
{
        struct framework *f = framework_find(a->master, u->framework_id->value);
        struct task *t = f ? task_find(f, u->status->task_id->value) : NULL;
        struct master_counters *counters = &a->master->counters;
        struct drained_update drained;

        if (t && t->agent != a)
                t = NULL; /* launched elsewhere in the meantime */
        if (!f || !f->ops) {
                update_nobody(a, u, t);
                return;
        }
        u = agent_drain_update(a, f, u, &drained);
        if (is_told(f)) {
                if (t)
                        keep_update(t, u->status);
                f->ops->update(f, a, t, u);
        } else {
                counters->dropped_messages++; /* the agent sends it again */
        }
        if (t && is_told(f))
                counters->valid_status_updates++;
        else
                counters->invalid_status_updates++;
        if (!t)
                return;
        /* What it held is free as soon as it is over, not when that is acknowledged. */
        task_set_latest(t, u->has_latest_state ? u->latest_state : u->status->state);
        if (t->released &&
                (f->ops->in_process || (!u->status->has_uuid && task_state_is_terminal(u->status->state))))
                task_done(t);
}

void task_acknowledge(struct framework *f, const char *agent_id, const char *task_id, const void *uuid)
{
        struct master_counters *counters = &f->master->counters;
        struct agent *a = agent_find(f->master, agent_id);
        struct task *t = task_find(f, task_id);

        if (!a || a->state != AGENT_ACTIVE || (t && t->agent != a) ||
                (t && (!t->has_update_uuid || memcmp(t->update_uuid, uuid, UUID_BYTES) != 0))) {
                log_debug("framework %s: its acknowledgement for task %s does not fit: dropped", f->id,
                        task_id);
                counters->invalid_acknowledgements++;
                return;
        }
        counters->valid_acknowledgements++;
        /* A task that is not known here ended, and the agent did not hear of the first acknowledgement of that. */
        agent_acknowledge(a, f->id, task_id, uuid);
        if (t && task_state_is_terminal(t->update_state))
                task_done(t);
}
