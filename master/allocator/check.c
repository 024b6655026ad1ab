/* The full pass: what incremental bookkeeping must agree with. Used by tests and the simulator, never on the hot path. */

#include "master/allocator/allocator_internal.h"

static int check_same(const char *what, const char *of, const struct resources *have,
        const struct resources *want, struct error *e)
{
        if (resources_equal(have, want))
                return 0;
        _cleanup_free_ char *h = resources_to_string(have), *w = resources_to_string(want);

        return error_set(e, -EUCLEAN, "%s of %s is %s, recomputed %s", what, of, h, w);
}

static void add_scalars(struct resources *r, const struct resources *other)
{
        for (size_t i = 0; i < other->count; i++) {
                const struct resource *x = &other->entries[i];

                if (x->kind == RESOURCE_SCALAR)
                        resources_set_scalar(r, x->name, resources_scalar(r, x->name) + x->milli);
        }
}

static int check_agent(const struct allocator *a, const struct agent_slot *agent, struct error *e)
{
        _cleanup_resources_ struct resources allocated = {}, both = {};
        struct allocation *held, *next;
        bool enough = resources_scalar(&agent->free, "cpus") >= a->options.min_milli_cpus ||
                      resources_scalar(&agent->free, "mem") >= a->options.min_milli_mem;
        int r;

        HASH_ITER (hh, agent->allocations, held, next) {
                if (resources_empty(&held->resources))
                        return error_set(e, -EUCLEAN, "agent %s keeps an empty booking", agent->id);
                resources_add(&allocated, &held->resources);
        }
        r = check_same("allocated", agent->id, &agent->allocated, &allocated, e);
        if (r < 0)
                return r;
        if (agent->available != (agent->active && enough))
                return error_set(e, -EUCLEAN, "agent %s is %slisted as available", agent->id,
                        agent->available ? "" : "not ");
        if (!resources_contains(&agent->total, &agent->allocated))
                return 0; /* it shrank below what its tasks hold: nothing to balance */
        resources_copy(&agent->allocated, &both);
        resources_add(&both, &agent->free);
        return check_same("allocated + free", agent->id, &both, &agent->total, e);
}

static int check_entry(const struct allocator *a, const struct sorter_entry *entry, const struct role *role,
        const struct client *client, struct error *e)
{
        _cleanup_resources_ struct resources sum = {};
        struct agent_slot *agent, *next_agent;
        struct allocation *held, *next;
        uint64_t bookings = 0;

        HASH_ITER (hh, a->agents, agent, next_agent)
                HASH_ITER (hh, agent->allocations, held, next) {
                        if (held->client->role != role || (client && held->client != client))
                                continue;
                        add_scalars(&sum, &held->resources);
                        bookings++;
                }
        if (entry->allocations != bookings)
                return error_set(e, -EUCLEAN, "%s counts %ju bookings, recomputed %ju", entry->name,
                        (uintmax_t)entry->allocations, (uintmax_t)bookings);
        return check_same("sum", entry->name, &entry->allocated, &sum, e);
}

static int check_sorter(const struct allocator *a, const struct sorter *s, const char *name, struct error *e)
{
        for (size_t i = 0; i < s->count; i++) {
                const struct sorter_entry *x = s->order[i];

                if (!x->active)
                        return error_set(e, -EUCLEAN, "%s in the order of %s is not active", x->name, name);
                if (i > 0 && s->order[i - 1]->share > x->share)
                        return error_set(e, -EUCLEAN, "the order of %s is wrong at %s", name, x->name);
                if (s->total_generation == a->total_generation &&
                        x->share != sorter_share(&x->allocated, x->weight_milli, &a->total))
                        return error_set(e, -EUCLEAN, "the share of %s is stale", x->name);
        }
        return 0;
}

static int check_lists(const struct allocator *a, struct error *e)
{
        const struct agent_slot *agent;
        bool considered = false;

        DL_FOREACH (a->available, agent) {
                if (!agent->available)
                        return error_set(e, -EUCLEAN, "agent %s is listed and does not know it", agent->id);
                if (considered && agent->considered != a->generation)
                        return error_set(
                                e, -EUCLEAN, "agent %s waits behind those already looked at", agent->id);
                considered = agent->considered == a->generation;
        }
        for (size_t i = 0; i < a->heap.count; i++) {
                const struct filter *f = a->heap.items[i];

                if (f->heap_index != i || (i > 0 && a->heap.items[(i - 1) / 2]->expires.ns > f->expires.ns))
                        return error_set(e, -EUCLEAN, "the heap of filters is out of order at %zu", i);
        }
        return 0;
}

static int check_roles(const struct allocator *a, struct error *e)
{
        struct framework_slot *framework, *next_framework;
        struct client *client, *next_client;
        struct role *role, *next_role;
        int r;

        HASH_ITER (hh, a->roles, role, next_role) {
                r = check_entry(a, &role->entry, role, NULL, e);
                if (r >= 0)
                        r = check_sorter(a, &role->clients, role->name, e);
                if (r < 0)
                        return r;
                if (role->entry.active != (role->clients.count > 0))
                        return error_set(e, -EUCLEAN, "role %s is %sactive", role->name,
                                role->entry.active ? "" : "not ");
        }
        HASH_ITER (hh, a->frameworks, framework, next_framework)
                HASH_ITER (hh, framework->clients, client, next_client) {
                        r = check_entry(a, &client->entry, client->role, client, e);
                        if (r < 0)
                                return r;
                }
        return check_sorter(a, &a->root, "the roles", e);
}

int allocator_check(const struct allocator *a, struct error *e)
{
        _cleanup_resources_ struct resources total = {};
        struct agent_slot *agent, *next;
        int r;

        HASH_ITER (hh, a->agents, agent, next) {
                r = check_agent(a, agent, e);
                if (r < 0)
                        return r;
                add_scalars(&total, &agent->total);
        }
        r = check_same("total", "the cluster", &a->total, &total, e);
        if (r >= 0)
                r = check_lists(a, e);
        return r < 0 ? r : check_roles(a, e);
}
