/* What the read side asks of the allocator. */
#include <stdlib.h>
#include <string.h>

#include "master/allocator/allocator_internal.h"

bool allocator_framework_has_role(const struct allocator *a, const char *framework, const char *role)
{
        const struct client *client = client_find(a, framework, role);

        return client && client->subscribed;
}

bool allocator_is_suppressed(const struct allocator *a, const char *framework, const char *role)
{
        const struct client *client = client_find(a, framework, role);

        return client && client->suppressed;
}

const struct resources *allocator_total(const struct allocator *a)
{
        return &a->total;
}

static uint64_t role_share(const struct allocator *a, const struct role *role)
{
        return sorter_share(&role->entry.allocated, role->entry.weight_milli, &a->totals);
}

uint64_t allocator_role_share(const struct allocator *a, const char *name)
{
        const struct role *role = role_find(a, name);

        return role ? role_share(a, role) : 0;
}

static void consumption_of(const struct allocator *a, const struct role *role, struct resources *ret)
{
        struct resources made = {};

        for (size_t i = 0; i < a->names.count; i++)
                resources_set_scalar(&made, a->names.names[i], role_consumed(role, i));
        *ret = made;
}

/* The vectors are made up when they are asked for and kept in the allocator until then. */
static void view_role(const struct allocator *a, const struct role *role, struct allocator_role_view *ret)
{
        struct allocator *lender = (struct allocator *)a;

        resources_done(&lender->view_allocated);
        resources_done(&lender->view_reserved);
        resources_done(&lender->view_consumed);
        amounts_to_resources(&role->entry.allocated, &a->names, &lender->view_allocated);
        amounts_to_resources(&role->reserved, &a->names, &lender->view_reserved);
        consumption_of(a, role, &lender->view_consumed);
        *ret = (struct allocator_role_view){
                .name = role->name,
                .weight_milli = role->entry.weight_milli,
                .share = role_share(a, role),
                .allocated = &a->view_allocated,
                .reserved = &a->view_reserved,
                .consumed = &a->view_consumed,
                .quotas = role->quotas,
                .quota_count = role->quota_count,
                .frameworks = role->subscribed,
                .filters = role->filters,
        };
}

bool allocator_role(const struct allocator *a, const char *name, struct allocator_role_view *ret)
{
        const struct role *role = role_find(a, name);

        if (role)
                view_role(a, role, ret);
        return role;
}

void allocator_each_role(const struct allocator *a,
        void (*each)(const struct allocator_role_view *role, void *userdata), void *userdata)
{
        const struct role *role, *next;

        HASH_ITER (hh, a->roles, role, next) {
                struct allocator_role_view view;

                view_role(a, role, &view);
                each(&view, userdata);
        }
}

const char *allocator_limiting_role(const struct allocator *a, const char *name, const char *resource)
{
        size_t scalar = scalar_find(&a->names, resource);

        for (const struct role *role = role_nearest(a, name); role->parent; role = role->parent)
                if (role_room(role, scalar) < worth_milli(a, scalar))
                        return role->name;
        return NULL;
}

uint64_t allocator_unclaimed(const struct allocator *a, const char *name, const char *resource)
{
        size_t scalar = scalar_find(&a->names, resource);

        return MIN(amounts_get(&a->firm_free, scalar), role_allowed(a, role_nearest(a, name), scalar));
}

uint64_t allocator_withheld(const struct allocator *a, const char *name, const char *resource)
{
        size_t scalar = scalar_find(&a->names, resource);
        uint64_t unreserved = amounts_get(&a->firm_free, scalar);

        return unreserved - MIN(unreserved, role_allowed(a, role_nearest(a, name), scalar));
}

/* ---- memory ---- */

static size_t resources_bytes(const struct resources *r)
{
        size_t bytes = r->count * sizeof(*r->entries);

        for (size_t i = 0; i < r->count; i++) {
                bytes += r->entries[i].range_count * sizeof(*r->entries[i].ranges);
                for (size_t j = 0; j < r->entries[i].item_count; j++)
                        bytes += sizeof(char *) + strlen(r->entries[i].items[j]) + 1;
        }
        return bytes;
}

static size_t amounts_bytes(const struct amounts *x)
{
        return x->count * sizeof(*x->milli);
}

static size_t pair_bytes(const struct agent_slot *agent, const struct pair *pair)
{
        size_t bytes = sizeof(*pair) + resources_bytes(&pair->held);

        for (const struct filter *f = pair->filters; f; f = f->same) {
                bytes += sizeof(*f) + sizeof(f);
                if (f->refused != agent->refused)
                        bytes += (sizeof(*f->refused) + resources_bytes(&f->refused->resources)) /
                                 f->refused->references;
        }
        return bytes;
}

static size_t agent_bytes(const struct agent_slot *agent)
{
        const struct pair *pair;
        size_t bytes = sizeof(*agent) + strlen(agent->id) + 1 + resources_bytes(&agent->total) +
                       resources_bytes(&agent->free) + agent->slot_count * sizeof(*agent->slots);

        if (agent->refused)
                bytes += sizeof(*agent->refused) + resources_bytes(&agent->refused->resources);
        DL_FOREACH2(agent->pairs, pair, agent_next)
        bytes += pair_bytes(agent, pair);
        return bytes;
}

static size_t role_bytes(const struct role *role)
{
        return sizeof(*role) + strlen(role->name) + 1 + amounts_bytes(&role->entry.allocated) +
               amounts_bytes(&role->firm) + amounts_bytes(&role->reserved) +
               amounts_bytes(&role->reserved_free) + amounts_bytes(&role->need) +
               amounts_bytes(&role->children_need) +
               role->quota_count * (sizeof(*role->quotas) + sizeof(*role->states));
}

static size_t client_bytes(const struct client *client)
{
        return sizeof(*client) + amounts_bytes(&client->entry.allocated);
}

static size_t framework_bytes(const struct framework_slot *framework)
{
        size_t bytes = sizeof(*framework) + strlen(framework->id) + 1 + HASH_OVERHEAD(hh, framework->clients);
        const struct client *client, *next;

        HASH_ITER (hh, framework->clients, client, next)
                bytes += client_bytes(client);
        return bytes;
}

size_t allocator_memory(const struct allocator *a)
{
        const struct framework_slot *framework, *next_framework;
        const struct agent_slot *agent, *next_agent;
        const struct role *role, *next_role;
        const struct client *client;
        size_t bytes = sizeof(*a) + a->heap.capacity * sizeof(*a->heap.items) +
                       a->scratch_capacity * sizeof(*a->scratch);

        bytes +=
                HASH_OVERHEAD(hh, a->agents) + HASH_OVERHEAD(hh, a->frameworks) + HASH_OVERHEAD(hh, a->roles);
        HASH_ITER (hh, a->agents, agent, next_agent)
                bytes += agent_bytes(agent);
        DL_FOREACH2(a->stale, agent, stale_next)
        bytes += agent->gone ? agent_bytes(agent) : 0;
        DL_FOREACH2(a->departed, client, departed_next)
        bytes += client_bytes(client);
        HASH_ITER (hh, a->frameworks, framework, next_framework)
                bytes += framework_bytes(framework);
        HASH_ITER (hh, a->roles, role, next_role)
                bytes += role_bytes(role);
        return bytes;
}
