#include "master/allocator/allocator.h"

#include <stdlib.h>
#include <string.h>

#include "master/allocator/allocator_internal.h"

int allocator_set_role_weight(struct allocator *a, const char *name, uint64_t weight_milli)
{
        struct role *role;

        if (weight_milli == 0)
                return -EINVAL;
        role = role_get(a, name);
        role_set_weight(a, role, weight_milli);
        role_free_if_unused(a, role);
        return 0;
}

void allocator_reconsider(struct allocator *a)
{
        role_open(a, &a->root);
}

void allocator_hold(struct allocator *a, bool held)
{
        a->held = held;
}

void allocator_offer_done(struct allocator_offer *o)
{
        free(o->framework);
        free(o->role);
        free(o->agent);
        resources_done(&o->resources);
        *o = (struct allocator_offer){};
}

struct allocator *allocator_new(const struct allocator_options *o)
{
        struct allocator *a = NEW0(struct allocator);

        if (o)
                a->options = *o;
        if (a->options.min_milli_cpus == 0)
                a->options.min_milli_cpus = 10;
        if (a->options.min_milli_mem == 0)
                a->options.min_milli_mem = 32 * 1000;
        scalar_names_init(&a->names);
        sorter_entry_init(&a->root.entry, "", /* is_role= */ true);
        a->generation = 1;
        a->total_generation = 1;
        return a;
}

static void roles_free(struct allocator *a)
{
        struct role *role, *next;

        HASH_ITER (hh, a->roles, role, next) {
                role->entry.weight_milli = WEIGHT_DEFAULT_MILLI;
                role->quota_count = 0;
        }
        while (a->roles) {
                /* The last added has nobody below it: those above are made first. */
                role = ELMT_FROM_HH(a->roles->hh.tbl, a->roles->hh.tbl->tail);
                role_free_if_unused(a, role);
        }
}

struct allocator *allocator_free(struct allocator *a)
{
        struct framework_slot *framework, *next_framework;
        struct agent_slot *agent, *next_agent;

        if (!a)
                return NULL;
        HASH_ITER (hh, a->agents, agent, next_agent)
                (void)allocator_remove_agent(a, agent->id);
        HASH_ITER (hh, a->frameworks, framework, next_framework)
                (void)allocator_remove_framework(a, framework->id);
        while (!clear_away(a, ALLOCATOR_LOOK_MAX))
                continue;
        roles_free(a);
        assert(a->heap.count == 0 && !a->again && !a->forgotten && !a->stale && !a->departed);
        scalar_names_done(&a->names);
        amounts_done(&a->totals);
        amounts_done(&a->share_totals);
        amounts_done(&a->firm_free);
        amounts_done(&a->seen_slack);
        amounts_done(&a->root.children_need);
        resources_done(&a->total);
        resources_done(&a->view_allocated);
        resources_done(&a->view_reserved);
        resources_done(&a->view_consumed);
        free(a->scratch);
        free(a->heap.items);
        free(a);
        return NULL;
}
