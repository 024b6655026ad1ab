/* Tasks that a framework had: they ended, or their agent is unreachable. Bounded, the oldest go first. */

#include <stdlib.h>
#include <string.h>

#include "master/frameworks/frameworks.h"

static struct past_task *past_task_new(const struct task *t)
{
        Mete__V1__Task borrowed;
        struct past_task *p = NEW0(struct past_task);

        task_to_proto(t, &borrowed);
        p->task = message_copy(&borrowed);
        task_to_proto_done(&borrowed);
        p->key = p->task->task_id->value;
        p->time = wall_seconds_now();
        return p;
}

static void past_task_free(struct past_task *p)
{
        message_free(p->task);
        free(p);
}

void framework_keep_completed(struct framework *f, const struct task *t)
{
        struct past_task *p = past_task_new(t);

        DL_APPEND(f->completed, p);
        if (f->completed_count < COMPLETED_TASKS_MAX) {
                f->completed_count++;
                return;
        }
        p = f->completed;
        DL_DELETE(f->completed, p);
        past_task_free(p);
}

struct past_task *framework_find_unreachable(const struct framework *f, const char *task_id)
{
        struct past_task *p;

        HASH_FIND_STR(f->unreachable, task_id, p);
        return p;
}

void framework_forget_unreachable(struct framework *f, struct past_task *p)
{
        HASH_DEL(f->unreachable, p);
        past_task_free(p);
}

void framework_keep_unreachable(struct framework *f, const struct task *t)
{
        struct past_task *p = framework_find_unreachable(f, t->id);

        if (p)
                framework_forget_unreachable(f, p);
        p = past_task_new(t);
        HASH_ADD_KEYPTR(hh, f->unreachable, p->key, strlen(p->key), p);
        if (HASH_COUNT(f->unreachable) > UNREACHABLE_TASKS_MAX)
                framework_forget_unreachable(f, f->unreachable); /* the first is the oldest */
}

void framework_forget_past(struct framework *f)
{
        struct past_task *p, *next;

        HASH_ITER (hh, f->unreachable, p, next)
                framework_forget_unreachable(f, p);
        DL_FOREACH_SAFE (f->completed, p, next) {
                DL_DELETE(f->completed, p);
                past_task_free(p);
        }
        f->completed_count = 0;
}
