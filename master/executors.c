/* Executors of frameworks' own, by agent: what they hold stays booked from the first launch until the agent reports the end. */

#include <stdlib.h>
#include <string.h>

#include "master/operator/standing.h"

static char *executor_key(const char *framework_id, const char *executor_id)
{
        return xasprintf("%s\n%s", framework_id, executor_id);
}

struct executor *executor_find(const struct agent *a, const char *framework_id, const char *executor_id)
{
        _cleanup_free_ char *key = executor_key(framework_id, executor_id);
        struct executor *x;

        HASH_FIND_STR(a->executors, key, x);
        return x;
}

struct executor *executor_add(struct framework *f, struct agent *a, const char *role,
        const Mete__V1__ExecutorInfo *info, const struct resources *resources)
{
        struct executor *x = NEW0(struct executor);

        x->key = executor_key(f->id, info->executor_id->value);
        x->framework = f;
        x->agent = a;
        x->role = xstrdup(role);
        x->info = message_copy(info);
        resources_copy(resources, &x->resources);
        HASH_ADD_KEYPTR(hh, a->executors, x->key, strlen(x->key), x);
        DL_APPEND2(f->executors, x, framework_prev, framework_next);
        resources_add(&a->booked, resources);
        return x;
}

void executor_remove(struct executor *x)
{
        struct master *m = x->framework->master;
        struct agent *a = x->agent;

        if (a->allocated && !resources_empty(&x->resources)) {
                struct allocator_usage use = {x->framework->id, x->role, &x->resources};

                allocator_recover(m->allocator, a->id, &use, mono_now(), 0);
                offers_schedule(m);
        }
        if (resources_subtract(&a->booked, &x->resources) < 0)
                log_warning("agent %s: the books of its executors do not balance", a->id);
        HASH_DEL(a->executors, x);
        DL_DELETE2(x->framework->executors, x, framework_prev, framework_next);
        message_free(x->info);
        resources_done(&x->resources);
        agent_emptied(a);
        free(x->role);
        free(x->key);
        free(x);
}

void executor_exited(struct executor *x, int status)
{
        struct framework *f = x->framework;

        log_info("executor %s of framework %s on agent %s ended", x->info->executor_id->value, f->id,
                x->agent->id);
        if (f->ops && f->ops->failure && f->state == FRAMEWORK_ACTIVE)
                f->ops->failure(f, x->agent, x->info->executor_id->value, status);
        executor_remove(x);
}
