#include "master/deferred_launch.h"

#include <stdlib.h>

#include "master/assignment.h"

struct deferred {
        struct master *master;
        char *framework_id;
        char **ids; /* of tasks */
        size_t count;
        Mete__V1__ExecutorInfo *executor; /* of a group; NULL: tasks on their own */
        Mete__Api__Isolation *isolation;  /* of a group; may be NULL */
};

static void deferred_free(struct deferred *d)
{
        for (size_t i = 0; i < d->count; i++)
                free(d->ids[i]);
        free(d->ids);
        free(d->framework_id);
        message_free(d->executor);
        message_free(d->isolation);
        free(d);
}

static struct deferred *deferred_new(struct framework *f, struct task *const *tasks, size_t count)
{
        struct deferred *d = NEW0(struct deferred);

        d->master = f->master;
        d->framework_id = xstrdup(f->id);
        d->ids = xcalloc(count + 1, sizeof(*d->ids));
        for (; d->count < count; d->count++)
                d->ids[d->count] = xstrdup(tasks[d->count]->id);
        return d;
}

static void drop(struct task *t)
{
        task_set_status(t, METE__V1__TASK_STATE__TASK_DROPPED,
                METE__V1__TASK_STATUS__REASON__REASON_AGENT_DISCONNECTED,
                "its agent disconnected or fell behind before the launch was sent");
}

static void send_group(const struct deferred *d, struct framework *f, bool ok)
{
        _cleanup_free_ struct task **tasks = xcalloc(d->count + 1, sizeof(*tasks));
        bool whole = true, sent = false;
        size_t count = 0;

        for (size_t i = 0; i < d->count; i++) {
                struct task *t = task_find(f, d->ids[i]);

                if (t && !t->sent)
                        tasks[count++] = t;
                whole = whole && t && !t->kill_wanted;
        }
        if (ok && whole && count > 0)
                sent = agent_send_launch_group(tasks[0]->agent, f, d->executor, tasks, count, d->isolation);
        for (size_t i = 0; i < count; i++) {
                tasks[i]->sent = sent;
                if (!sent && whole)
                        drop(tasks[i]);
                else if (!sent)
                        task_set_status(tasks[i], METE__V1__TASK_STATE__TASK_KILLED,
                                METE__V1__TASK_STATUS__REASON__REASON_TASK_KILLED_DURING_LAUNCH,
                                "a task of its group was killed before the group was sent to its agent");
        }
}

static void send_all(bool ok, void *userdata)
{
        struct deferred *d = userdata;
        struct framework *f = framework_find(d->master, d->framework_id);

        if (f && d->executor)
                send_group(d, f, ok);
        else
                for (size_t i = 0; f && i < d->count; i++)
                        task_launch_ready(f, d->ids[i], ok);
        deferred_free(d);
}

void launch_when_assigned(struct framework *f, struct agent *a, struct task *const *tasks, size_t count)
{
        struct deferred *d = deferred_new(f, tasks, count);

        if (agent_assigning(a))
                agent_when_assigned(a, send_all, d);
        else
                send_all(/* ok= */ true, d);
}

void launch_group_when_assigned(struct framework *f, struct agent *a, const Mete__V1__ExecutorInfo *executor,
        struct task *const *tasks, size_t count, const Mete__Api__Isolation *isolation)
{
        struct deferred *d = deferred_new(f, tasks, count);

        d->executor = message_copy(executor);
        d->isolation = message_copy(isolation);
        if (agent_assigning(a))
                agent_when_assigned(a, send_all, d);
        else
                send_all(/* ok= */ true, d);
}
