/* The table of live tasks, their status, and what is done when an agent's report and the table differ. */

#include <stdlib.h>
#include <string.h>

#include "master/core.h"

/* Tasks of a framework that this master has never heard of are booked and killed in its name. */
static struct framework *framework_orphan(struct master *m, const char *id)
{
        struct framework *f = framework_find(m, id);

        return f ? f : framework_add_local(m, id, "unknown", NULL, NULL);
}

/* ---- the table ---- */

struct task *task_find(const struct framework *f, const char *id)
{
        struct task *t;

        HASH_FIND_STR(f->tasks, id, t);
        return t;
}

bool resources_of_task(const Mete__V1__TaskInfo *info, struct resources *ret)
{
        return resources_from_proto(info->resources, info->n_resources, "resources", ret, NULL) >= 0;
}

struct task *task_add(struct framework *f, struct agent *a, const char *role, Mete__V1__TaskInfo *info,
        Mete__Api__Isolation *isolation, const struct resources *resources)
{
        struct task *t = NEW0(struct task);

        t->id = xstrdup(info->task_id->value);
        t->framework = f;
        t->agent = a;
        t->role = xstrdup(role);
        t->info = info;
        t->isolation = isolation;
        if (info->executor)
                t->executor_id = xstrdup(info->executor->executor_id->value);
        t->state = METE__V1__TASK_STATE__TASK_STAGING;
        resources_copy(resources, &t->resources);
        HASH_ADD_KEYPTR(hh, f->tasks, t->id, strlen(t->id), t);
        DL_APPEND2(a->tasks, t, agent_prev, agent_next);
        a->task_count++;
        resources_add(&a->booked, resources);
        return t;
}

void task_remove(struct task *t)
{
        struct master *m = t->framework->master;
        struct agent *a = t->agent;

        if (a->allocated) {
                struct allocator_usage use = {t->framework->id, t->role, &t->resources};

                allocator_recover(m->allocator, a->id, &use, mono_now(), 0);
                offers_schedule(m);
        }
        if (resources_subtract(&a->booked, &t->resources) < 0)
                log_warning("agent %s: the books of its tasks do not balance", a->id);
        a->task_count--;
        HASH_DEL(t->framework->tasks, t);
        DL_DELETE2(a->tasks, t, agent_prev, agent_next);
        message_free(t->info);
        message_free(t->isolation);
        resources_done(&t->resources);
        for (size_t i = 0; i < t->n_statuses; i++)
                message_free(t->statuses[i]);
        free(t->statuses);
        free(t->executor_id);
        free(t->role);
        free(t->id);
        free(t);
}

/* ---- status ---- */

void task_set_status(
        struct task *t, Mete__V1__TaskState state, Mete__V1__TaskStatus__Reason reason, const char *fmt, ...)
{
        Mete__Agent__StatusUpdate u = METE__AGENT__STATUS_UPDATE__INIT;
        Mete__V1__TaskStatus status = METE__V1__TASK_STATUS__INIT;
        Mete__V1__AgentID agent_id = METE__V1__AGENT_ID__INIT;
        va_list ap;

        va_start(ap, fmt);
        _cleanup_free_ char *message = xvasprintf(fmt, ap);
        va_end(ap);
        agent_id.value = t->agent->id;
        status.task_id = t->info->task_id;
        status.agent_id = &agent_id;
        status.state = state;
        status.has_source = true;
        status.source = METE__V1__TASK_STATUS__SOURCE__SOURCE_MASTER;
        status.has_reason = true;
        status.reason = reason;
        status.message = message;
        status.has_timestamp = true;
        status.timestamp = wall_seconds_now();
        u.framework_id = t->framework->info->id;
        u.status = &status;
        log_info("task %s on agent %s: %s: %s", t->id, t->agent->id, task_state_to_string(state), message);
        if (t->framework->ops)
                t->framework->ops->update(t->framework, t->agent, t, &u);
        if (task_state_is_terminal(state))
                task_remove(t);
        else
                t->state = state;
}

static void acknowledge(struct agent *a, const Mete__Agent__StatusUpdate *u)
{
        if (u->status->has_uuid)
                agent_acknowledge(a, u->framework_id->value, u->status->task_id->value, u->status->uuid.data);
}

void tasks_update(struct agent *a, const Mete__Agent__StatusUpdate *u)
{
        struct framework *f = framework_find(a->master, u->framework_id->value);
        struct task *t = f ? task_find(f, u->status->task_id->value) : NULL;
        Mete__V1__TaskState latest = u->has_latest_state ? u->latest_state : u->status->state;

        if (t && t->agent != a)
                t = NULL; /* launched elsewhere in the meantime */
        if (!f || !f->ops) {
                log_info("agent %s: update %s of task %s of unknown framework %s: acknowledged", a->id,
                        task_state_to_string(u->status->state), u->status->task_id->value,
                        u->framework_id->value);
                acknowledge(a, u);
        } else {
                f->ops->update(f, a, t, u);
        }
        if (!t)
                return;
        /* What it held is free as soon as it is over, not when that is acknowledged. */
        if (task_state_is_terminal(u->status->state) || task_state_is_terminal(latest))
                task_remove(t);
        else
                t->state = u->status->state;
}

void task_kill(struct task *t, const Mete__Checkpoint__StoredKill *kill)
{
        t->kill_wanted = true;
        t->kill = *kill;
        if (t->sent)
                (void)agent_send_kill(t->agent, t->framework->id, t->id, kill, /* only_signal= */ false);
}

void task_launch_ready(struct framework *f, const char *task_id, bool ok)
{
        struct task *t = task_find(f, task_id);

        if (!t || t->sent)
                return; /* gone in the meantime */
        if (t->kill_wanted) {
                task_set_status(t, METE__V1__TASK_STATE__TASK_KILLED,
                        METE__V1__TASK_STATUS__REASON__REASON_TASK_KILLED_DURING_LAUNCH,
                        "killed before it was sent to its agent");
                return;
        }
        t->sent = ok && agent_send_launch(t->agent, t);
        if (!t->sent)
                task_set_status(t, METE__V1__TASK_STATE__TASK_DROPPED,
                        METE__V1__TASK_STATUS__REASON__REASON_AGENT_DISCONNECTED,
                        "its agent disconnected before the launch was sent");
}

/* ---- reconciliation ---- */

static void report_adopt(struct agent *a, const Mete__Agent__TaskReport *report)
{
        struct framework *f = framework_orphan(a->master, report->framework_id->value);
        const char *id = report->task->task_id->value;
        struct resources need = {};
        bool wanted = f->ops && f->ops->adopt(f, a, report);
        Mete__Checkpoint__StoredKill kill = METE__CHECKPOINT__STORED_KILL__INIT;
        struct task *t;

        if (!resources_of_task(report->task, &need))
                log_warning(
                        "agent %s: task %s reports resources that are not legal: none are booked", a->id, id);
        t = task_add(f, a, QUEUE_ROLE, message_copy(report->task), message_copy(report->isolation), &need);
        t->state = report->state;
        t->sent = true;
        if (a->allocated) {
                struct allocator_usage use = {f->id, t->role, &need};

                allocator_allocate(a->master->allocator, a->id, &use);
        }
        resources_done(&need);
        if (wanted) {
                f->ops->reported(f, a, t, report);
                return;
        }
        log_warning("agent %s runs task %s of framework %s, which is not known here: killing it", a->id, id,
                f->id);
        task_kill(t, &kill);
}

static void report_known(struct agent *a, struct task *t, const Mete__Agent__TaskReport *report)
{
        t->sent = true;
        t->state = report->state;
        if (t->framework->ops)
                t->framework->ops->reported(t->framework, a, t, report);
        if (t->kill_wanted)
                (void)agent_send_kill(a, t->framework->id, t->id, &t->kill, /* only_signal= */ false);
}

struct reported_id {
        char *key; /* "<framework>\n<task>" */
        UT_hash_handle hh;
};

static bool reported_find(struct reported_id *ids, const char *framework, const char *task)
{
        _cleanup_free_ char *key = xasprintf("%s\n%s", framework, task);
        struct reported_id *found;

        HASH_FIND_STR(ids, key, found);
        return found;
}

/*
 * The agent writes a launch down before it does anything else, and what was sent on an earlier stream arrived or never will. So a task
 * that is not reported is not there, and one that never started may be launched again.
 */
static void missing_lost(struct agent *a, struct reported_id *ids)
{
        struct task *t, *next;

        DL_FOREACH_SAFE2(a->tasks, t, next, agent_next)
        {
                if (!t->sent || reported_find(ids, t->framework->id, t->id))
                        continue;
                if (t->state == METE__V1__TASK_STATE__TASK_STAGING)
                        task_set_status(t, METE__V1__TASK_STATE__TASK_DROPPED,
                                METE__V1__TASK_STATUS__REASON__REASON_AGENT_DISCONNECTED,
                                "the launch did not reach the agent before its connection broke");
                else
                        task_set_status(t, METE__V1__TASK_STATE__TASK_LOST,
                                METE__V1__TASK_STATUS__REASON__REASON_RECONCILIATION,
                                "the agent registered again and does not know this task");
        }
}

void tasks_reconcile(struct agent *a, Mete__Agent__TaskReport *const *reports, size_t count)
{
        struct reported_id *ids = NULL, *id, *next;

        for (size_t i = 0; i < count; i++) {
                if (reported_find(ids, reports[i]->framework_id->value, reports[i]->task->task_id->value))
                        continue;
                id = NEW0(struct reported_id);
                id->key = xasprintf(
                        "%s\n%s", reports[i]->framework_id->value, reports[i]->task->task_id->value);
                HASH_ADD_KEYPTR(hh, ids, id->key, strlen(id->key), id);
        }
        missing_lost(a, ids);
        for (size_t i = 0; i < count; i++) {
                struct framework *f = framework_find(a->master, reports[i]->framework_id->value);
                struct task *t = f ? task_find(f, reports[i]->task->task_id->value) : NULL;

                if (task_state_is_terminal(reports[i]->state))
                        continue; /* its update follows */
                if (t && t->agent == a)
                        report_known(a, t, reports[i]);
                else if (!t)
                        report_adopt(a, reports[i]);
                else
                        log_warning("agent %s reports task %s, which runs on agent %s", a->id, t->id,
                                t->agent->id);
        }
        HASH_ITER (hh, ids, id, next) {
                HASH_DEL(ids, id);
                free(id->key);
                free(id);
        }
}

void tasks_lost(struct agent *a, Mete__V1__TaskStatus__Reason reason, const char *why)
{
        while (a->tasks)
                task_set_status(a->tasks, METE__V1__TASK_STATE__TASK_LOST, reason, "%s", why);
}
