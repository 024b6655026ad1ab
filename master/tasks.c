/* The table of tasks: what they hold, their launch and their end. */

#include <stdlib.h>
#include <string.h>

#include "master/frameworks/frameworks.h"
#include "master/operation.h"
#include "master/operator/standing.h"

struct task *task_find(const struct framework *f, const char *id)
{
        struct task *t;

        HASH_FIND_STR(f->tasks, id, t);
        return t;
}

bool resources_of_task(const struct agent *a, const Mete__V1__TaskInfo *info, struct resources *ret)
{
        _cleanup_resources_ struct resources r = {};

        if (resources_from_proto(info->resources, info->n_resources, "resources", &r, NULL) < 0)
                return false;
        resources_as_held(&a->total, &r, ret);
        return true;
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
        count_task_moved(f, COUNTED_NOWHERE, t->state);
        DL_APPEND2(a->tasks, t, agent_prev, agent_next);
        a->task_count++;
        resources_add(&a->booked, resources);
        return t;
}

void task_release(struct task *t)
{
        struct master *m = t->framework->master;
        struct agent *a = t->agent;

        if (t->released)
                return;
        t->released = true;
        if (a->allocated) {
                struct allocator_usage use = {t->framework->id, t->role, &t->resources};

                allocator_recover(m->allocator, a->id, &use, mono_now(), 0);
                offers_schedule(m);
        }
        if (resources_subtract(&a->booked, &t->resources) < 0)
                log_warning("agent %s: the books of its tasks do not balance", a->id);
        a->task_count--;
        agent_emptied(a);
}

void task_remove(struct task *t)
{
        task_release(t);
        HASH_DEL(t->framework->tasks, t);
        count_task_moved(t->framework, t->state, COUNTED_NOWHERE);
        DL_DELETE2(t->agent->tasks, t, agent_prev, agent_next);
        agent_emptied(t->agent);
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

void task_done(struct task *t)
{
        if (t->framework->ops)
                framework_keep_completed(t->framework, t);
        task_remove(t);
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
                        t->agent->standing.drain != AGENT_DRAIN_NONE
                                ? METE__V1__TASK_STATUS__REASON__REASON_AGENT_DRAINING
                                : METE__V1__TASK_STATUS__REASON__REASON_TASK_KILLED_DURING_LAUNCH,
                        "killed before it was sent to its agent");
                return;
        }
        t->sent = ok && agent_send_launch(t->agent, t);
        if (!t->sent)
                task_set_status(t, METE__V1__TASK_STATE__TASK_DROPPED,
                        METE__V1__TASK_STATUS__REASON__REASON_AGENT_DISCONNECTED,
                        "its agent disconnected or fell behind before the launch was sent");
}
