/* The tables of frameworks: those that live, and the last ones that were removed. */

#include "master/frameworks/frameworks.h"

#include <stdlib.h>
#include <string.h>

#include "master/frameworks/http_framework.h"

struct framework *framework_find(const struct master *m, const char *id)
{
        struct framework *f;

        HASH_FIND_STR(m->frameworks, id, f);
        return f;
}

bool framework_is_completed(const struct master *m, const char *id)
{
        const struct framework *f;

        DL_FOREACH (m->completed_frameworks, f) {
                if (str_equal(f->id, id))
                        return true;
        }
        return false;
}

/* ---- what follows from the info ---- */

static void take_capabilities(struct framework *f)
{
        f->capabilities = 0;
        for (size_t i = 0; i < f->info->n_capabilities; i++)
                if ((unsigned)f->info->capabilities[i]->type < 32)
                        f->capabilities |= 1u << f->info->capabilities[i]->type;
}

static void take_roles(struct framework *f)
{
        string_list_done(&f->roles);
        if (!framework_has(f, METE__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__MULTI_ROLE)) {
                string_list_add(&f->roles, f->info->role ? f->info->role : QUEUE_ROLE);
                return;
        }
        for (size_t i = 0; i < f->info->n_roles; i++)
                string_list_add(&f->roles, f->info->roles[i]);
}

void framework_info_changed(struct framework *f)
{
        take_capabilities(f);
        take_roles(f);
        (void)allocator_set_framework_roles(
                f->master->allocator, f->id, (const char *const *)f->roles.items, f->roles.count);
}

/* ---- the table ---- */

struct framework *framework_add(
        struct master *m, Mete__V1__FrameworkInfo *info, const struct framework_ops *ops, void *userdata)
{
        struct framework *f = NEW0(struct framework);

        f->master = m;
        f->id = xstrdup(info->id->value);
        f->ops = ops;
        f->userdata = userdata;
        f->info = info;
        take_capabilities(f);
        take_roles(f);
        HASH_ADD_KEYPTR(hh, m->frameworks, f->id, strlen(f->id), f);
        allocator_add_framework(m->allocator, f->id, (const char *const *)f->roles.items, f->roles.count);
        return f;
}

struct framework *framework_add_local(
        struct master *m, const char *id, const char *name, const struct framework_ops *ops, void *userdata)
{
        Mete__V1__FrameworkInfo *info = xcalloc(1, sizeof(*info));
        struct framework *f;

        mete__v1__framework_info__init(info);
        info->name = xstrdup(name);
        info->user = xstrdup("");
        info->id = xcalloc(1, sizeof(*info->id));
        mete__v1__framework_id__init(info->id);
        info->id->value = xstrdup(id);
        info->has_checkpoint = true;
        info->checkpoint = true;
        f = framework_add(m, info, ops, userdata);
        f->privileged = true;
        f->state = ops ? FRAMEWORK_ACTIVE : FRAMEWORK_RECOVERED;
        allocator_suppress(m->allocator, id, NULL); /* until it asks */
        return f;
}

static int compare_agents(const void *a, const void *b)
{
        const struct agent *const *x = a, *const *y = b;

        return (*x > *y) - (*x < *y);
}

struct agent **framework_agents(const struct framework *f, size_t *ret_count)
{
        struct agent **agents;
        size_t count = 0, distinct = 0;
        const struct executor *x;
        const struct task *t;

        DL_FOREACH2(f->executors, x, framework_next)
        {
                count++;
        }
        agents = xcalloc(count + HASH_COUNT(f->tasks) + 1, sizeof(struct agent *));
        count = 0;
        DL_FOREACH2(f->executors, x, framework_next)
        {
                agents[count++] = x->agent;
        }
        for (t = f->tasks; t; t = t->hh.next)
                agents[count++] = t->agent;
        qsort(agents, count, sizeof(struct agent *), compare_agents);
        for (size_t i = 0; i < count; i++)
                if (i == 0 || agents[i] != agents[i - 1])
                        agents[distinct++] = agents[i];
        *ret_count = distinct;
        return agents;
}

/* ---- the end ---- */

static void framework_free(struct framework *f)
{
        http_framework_free(f->http);
        framework_forget_past(f);
        message_free(f->info);
        offer_constraints_free(f->constraints);
        string_list_done(&f->roles);
        free(f->id);
        free(f);
}

void framework_forget(struct framework *f)
{
        (void)allocator_remove_framework(f->master->allocator, f->id);
        HASH_DEL(f->master->frameworks, f);
        framework_free(f);
}

static void keep_completed(struct framework *f)
{
        struct master *m = f->master;
        struct framework *oldest;

        DL_APPEND(m->completed_frameworks, f);
        if (m->completed_framework_count < COMPLETED_FRAMEWORKS_MAX) {
                m->completed_framework_count++;
                return;
        }
        oldest = m->completed_frameworks;
        DL_DELETE(m->completed_frameworks, oldest);
        framework_free(oldest);
}

/* Before the bookkeeping, which is what says where something of it is. */
static void shut_down(struct framework *f)
{
        size_t count;
        _cleanup_free_ struct agent **agents = framework_agents(f, &count);

        for (size_t i = 0; i < count; i++)
                (void)agent_send_shutdown_framework(agents[i], f->id);
}

void framework_remove(struct framework *f, const char *why)
{
        struct master *m = f->master;

        log_info("framework %s (%s) is removed: %s", f->id, f->info->name, why);
        if (f->http)
                http_framework_close(f->http, NULL);
        offers_rescind_framework(f, NULL, /* told= */ false);
        shut_down(f);
        while (f->tasks)
                task_set_status(f->tasks, METE__V1__TASK_STATE__TASK_KILLED,
                        METE__V1__TASK_STATUS__REASON__REASON_FRAMEWORK_REMOVED, "%s", why);
        while (f->executors)
                executor_remove(f->executors);
        f->http = http_framework_free(f->http);
        f->ops = NULL;
        f->state = FRAMEWORK_DISCONNECTED;
        f->unregistered = wall_seconds_now();
        (void)allocator_remove_framework(m->allocator, f->id);
        HASH_DEL(m->frameworks, f);
        keep_completed(f);
        offers_schedule(m);
}

void frameworks_free(struct master *m)
{
        struct framework *f, *next;
        struct task *t, *next_task;

        HASH_ITER (hh, m->frameworks, f, next) {
                HASH_ITER (hh, f->tasks, t, next_task)
                        task_remove(t);
                while (f->executors)
                        executor_remove(f->executors);
                HASH_DEL(m->frameworks, f);
                framework_free(f);
        }
        DL_FOREACH_SAFE (m->completed_frameworks, f, next) {
                DL_DELETE(m->completed_frameworks, f);
                framework_free(f);
        }
}
