/* The table of frameworks. */

#include <stdlib.h>
#include <string.h>

#include "master/core.h"

#define COMPLETED_FRAMEWORKS_MAX 50

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

static bool is_multi_role(const Mete__V1__FrameworkInfo *info)
{
        for (size_t i = 0; i < info->n_capabilities; i++)
                if (info->capabilities[i]->type == METE__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__MULTI_ROLE)
                        return true;
        return false;
}

static void take_roles(struct framework *f)
{
        if (!is_multi_role(f->info)) {
                string_list_add(&f->roles, f->info->role ? f->info->role : QUEUE_ROLE);
                return;
        }
        for (size_t i = 0; i < f->info->n_roles; i++)
                string_list_add(&f->roles, f->info->roles[i]);
}

static void take_capabilities(struct framework *f)
{
        f->capabilities = 0;
        for (size_t i = 0; i < f->info->n_capabilities; i++)
                if (f->info->capabilities[i]->type < 32)
                        f->capabilities |= 1u << f->info->capabilities[i]->type;
}

struct framework *framework_add(
        struct master *m, Mete__V1__FrameworkInfo *info, const struct framework_ops *ops, void *userdata)
{
        struct framework *f = NEW0(struct framework);

        f->master = m;
        f->id = xstrdup(info->id->value);
        f->ops = ops;
        f->userdata = userdata;
        f->info = info;
        take_roles(f);
        take_capabilities(f);
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
        f->state = ops ? FRAMEWORK_ACTIVE : FRAMEWORK_RECOVERED;
        allocator_suppress(m->allocator, id, NULL); /* until it asks */
        return f;
}

static void framework_free(struct framework *f)
{
        message_free(f->info);
        offer_constraints_free(f->constraints);
        string_list_done(&f->roles);
        free(f->id);
        free(f);
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
}
