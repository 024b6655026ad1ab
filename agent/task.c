#include "agent/task.h"

#include <stdlib.h>
#include <string.h>

#include "agent/checkpoint.h"
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
        if (!master_link_ready(t->agent->link))
                return;
        const Mete__Agent__StatusUpdate *u = status_stream_take_due(&t->updates, mono_now());
        if (u)
                master_link_update(t->agent->link, u);
}

static void checkpoint_updates(struct agent_task *t)
{
        _cleanup_error_ struct error e = {0};
        Mete__Checkpoint__Updates u = status_stream_checkpoint(&t->updates);

        /* A full disk must not stop the machine from telling the truth while this process lives. */
        if (checkpoint_updates_write(t->agent->checkpoints_fd, container_id(t->container), &u, &e) < 0)
                log_error("task %s: %s", task_id(t), error_message(&e));
}

void task_push_update(struct agent_task *t, Mete__Agent__StatusUpdate *u)
{
        if (status_stream_push(&t->updates, u) < 0) {
                log_debug("task %s: an update after the terminal one is dropped", task_id(t));
                return;
        }
        checkpoint_updates(t);
}

void task_report(struct agent_task *t, Mete__V1__TaskState state, const char *message)
{
        task_push_update(t, status_message_new(t, state, message));
        task_flush_updates(t);
}

void task_acknowledge(struct agent_task *t, const void *uuid, size_t len)
{
        struct agent_container *c = t->container;

        if (status_stream_acknowledge(&t->updates, uuid, len) < 0) {
                log_debug("task %s: an acknowledgement of no pending update is ignored", task_id(t));
                return;
        }
        if (t->updates.terminal_acknowledged) {
                c->owner->acknowledged(c, t);
                return;
        }
        /* While it starts the next update is about to be written: sent twice after a crash, at worst. */
        if (c->state != CONTAINER_STATE_STARTING)
                checkpoint_updates(t);
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
        struct agent_task *t, *tmp;

        HASH_ITER (hh, a->tasks, t, tmp)
                status_stream_reconnected(&t->updates);
        tasks_flush_updates(a);
}
