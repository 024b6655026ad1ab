#include "agent/task.h"

#include <stdlib.h>
#include <string.h>

#include "agent/checkpoint_tasks.h"
#include "agent/checks/task_watch.h"
#include "agent/master_link.h"
#include "agent/status_message.h"
#include "lib/base/log.h"
#include "lib/net/codec.h"
#include "proto/validate.h"

/* ---- the table ---- */

static char *key_of(const char *framework_id, const char *id)
{
        return xasprintf("%s\n%s", framework_id, id);
}

struct agent_task *task_new(struct agent_container *c, Mete__V1__TaskInfo *launched)
{
        struct agent_task *t = NEW0(struct agent_task);
        struct agent *a = c->agent;

        t->agent = a;
        t->container = c;
        t->launched = launched;
        t->info = launched ? launched : c->info->task;
        t->key = key_of(container_framework_id(c), task_id(t));
        HASH_ADD_KEYPTR(hh, a->tasks, t->key, strlen(t->key), t);
        return t;
}

struct agent_task *task_free(struct agent_task *t)
{
        if (!t)
                return NULL;
        HASH_DELETE(hh, t->agent->tasks, t);
        task_watch_free(t->watch);
        status_stream_done(&t->updates);
        message_free(t->launched);
        free(t->key);
        free(t);
        return NULL;
}

struct agent_task *task_find(struct agent *a, const char *framework_id, const char *id)
{
        _cleanup_free_ char *key = key_of(framework_id, id);
        struct agent_task *t;

        HASH_FIND(hh, a->tasks, key, strlen(key), t);
        return t;
}

const char *task_id(const struct agent_task *t)
{
        return t->info->task_id->value;
}

bool task_is_ended(const struct agent_task *t)
{
        return t->updates.has_latest && task_state_is_terminal(t->updates.latest);
}

Mete__V1__TaskState task_latest_state(const struct agent_task *t)
{
        return t->updates.has_latest ? t->updates.latest : METE__V1__TASK_STATE__TASK_STAGING;
}

bool framework_has_capability(
        const Mete__V1__FrameworkInfo *f, Mete__V1__FrameworkInfo__Capability__Type capability)
{
        for (size_t i = 0; i < f->n_capabilities; i++)
                if (f->capabilities[i]->type == capability)
                        return true;
        return false;
}

/* ---- status updates ---- */

void task_flush_updates(struct agent_task *t)
{
        if (!master_link_ready(t->agent->link) || t->container->silent)
                return;
        const Mete__Agent__StatusUpdate *u = status_stream_take_due(&t->updates, mono_now());
        if (u)
                master_link_update(t->agent->link, u);
}

/* Of a framework that does not checkpoint, executors end with the agent: nothing would read it. */
static bool checkpoints_tasks(const struct agent_container *c)
{
        return c->info->framework->has_checkpoint && c->info->framework->checkpoint;
}

static int checkpoint_updates(struct agent_task *t, struct error *e)
{
        Mete__Checkpoint__Updates u = status_stream_checkpoint(&t->updates);

        return checkpoint_updates_write(t->agent->checkpoints_fd, container_id(t->container), &u, e);
}

static int checkpoint_push(struct agent_task *t, const Mete__Agent__StatusUpdate *u, struct error *e)
{
        struct agent_container *c = t->container;

        if (c->task)
                return checkpoint_updates(t, e);
        return !checkpoints_tasks(c) ? 0
                                     : checkpoint_task_update_write(t->agent->checkpoints_fd, container_id(c),
                                               u, &c->compact_at, e);
}

static void count_update(struct agent *a, const Mete__V1__TaskStatus *s)
{
        if (task_state_is_terminal(s->state) && (unsigned)s->state < AGENT_TASK_STATES)
                a->counters.tasks_ended[s->state]++;
        if (s->has_reason && s->reason == METE__V1__TASK_STATUS__REASON__REASON_CONTAINER_LAUNCH_FAILED)
                a->counters.container_launch_errors++;
}

int task_push_update(struct agent_task *t, Mete__Agent__StatusUpdate *u)
{
        _cleanup_error_ struct error e = {0};

        if (status_stream_push(&t->updates, u) < 0) {
                log_debug("task %s: an update after the terminal one is dropped", task_id(t));
                return -EALREADY;
        }
        count_update(t->agent, u->status);
        /* A full disk must not stop the machine from telling the truth while this process lives. */
        int r = checkpoint_push(t, u, &e);
        if (r < 0)
                log_error("task %s: %s", task_id(t), error_message(&e));
        return r;
}

void task_report(struct agent_task *t, Mete__V1__TaskState state, const char *message)
{
        (void)!task_push_update(t, status_message_new(t, state, message));
        task_flush_updates(t);
}

static void checkpoint_acknowledged(struct agent_task *t, const void *uuid, size_t len)
{
        _cleanup_error_ struct error e = {0};
        struct agent_container *c = t->container;
        int r = 0;

        if (c->task) {
                /* While it starts the next update is about to be written: sent twice after a crash, at worst. A terminal one takes
                 * the file with it. */
                if (c->state != CONTAINER_STATE_STARTING && !t->updates.terminal_acknowledged)
                        r = checkpoint_updates(t, &e);
        } else if (checkpoints_tasks(c)) {
                r = checkpoint_task_acknowledged_write(
                        t->agent->checkpoints_fd, container_id(c), task_id(t), uuid, len, &c->compact_at, &e);
        }
        if (r < 0)
                log_error("task %s: %s", task_id(t), error_message(&e));
}

void task_acknowledge(struct agent_task *t, const void *uuid, size_t len)
{
        struct agent_container *c = t->container;

        if (status_stream_acknowledge(&t->updates, uuid, len) < 0) {
                log_debug("task %s: an acknowledgement of no pending update is ignored", task_id(t));
                return;
        }
        checkpoint_acknowledged(t, uuid, len);
        if (t->updates.terminal_acknowledged)
                c->owner->acknowledged(c, t);
        else
                task_flush_updates(t);
}

void tasks_flush_updates(struct agent *a)
{
        struct agent_task *t, *tmp;

        HASH_ITER (hh, a->tasks, t, tmp)
                task_flush_updates(t);
}

void tasks_reconnected(struct agent *a)
{
        tasks_resend_updates(a, /* framework_id= */ NULL);
}

void tasks_resend_updates(struct agent *a, const char *framework_id)
{
        struct agent_task *t, *tmp;

        HASH_ITER (hh, a->tasks, t, tmp) {
                if (framework_id && !str_equal(container_framework_id(t->container), framework_id))
                        continue;
                status_stream_reconnected(&t->updates);
                task_flush_updates(t);
        }
}
