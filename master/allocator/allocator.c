#include "master/allocator/allocator.h"

#include <stdlib.h>
#include <string.h>

#include "master/allocator/allocator_internal.h"

/*
 * Shares are of scalars, summed over agents. Ranges and sets stay with their agent: port 31000 of two agents is not one port.
 */
static void scalars_of(const struct resources *r, struct resources *ret)
{
        *ret = (struct resources){};
        for (size_t i = 0; i < r->count; i++)
                if (r->entries[i].kind == RESOURCE_SCALAR)
                        resources_set_scalar(ret, r->entries[i].name, r->entries[i].milli);
}

/* Takes away what is there of one entry: an agent may have come back with less than its tasks hold. */
static void subtract_what_is_there(struct resources *r, const struct resource *entry)
{
        struct resource one = *entry;
        struct resources view = {.entries = &one, .count = 1};

        if (resources_subtract(r, &view) >= 0)
                return;
        if (entry->kind == RESOURCE_SCALAR) {
                resources_set_scalar(r, entry->name, 0);
                return;
        }
        for (size_t i = 0; i < entry->range_count; i++) {
                one.ranges = entry->ranges + i;
                one.range_count = 1;
                if (resources_subtract(r, &view) < 0)
                        continue;
        }
        for (size_t i = 0; i < entry->item_count; i++) {
                one.items = entry->items + i;
                one.item_count = 1;
                if (resources_subtract(r, &view) < 0)
                        continue;
        }
}

static void free_of(const struct resources *total, const struct resources *allocated, struct resources *ret)
{
        resources_copy(total, ret);
        if (resources_subtract(ret, allocated) >= 0)
                return;
        for (size_t i = 0; i < allocated->count; i++)
                subtract_what_is_there(ret, &allocated->entries[i]);
}

static bool enough_free(const struct allocator *a, const struct resources *r)
{
        return resources_scalar(r, "cpus") >= a->options.min_milli_cpus ||
               resources_scalar(r, "mem") >= a->options.min_milli_mem;
}

/* ---- the list of agents with something free ---- */

static void agent_unlist(struct allocator *a, struct agent_slot *agent)
{
        if (!agent->available)
                return;
        DL_DELETE(a->available, agent);
        agent->available = false;
}

/* Something changed on this agent: it is to be looked at, if it has anything to give. */
static void agent_touch(struct allocator *a, struct agent_slot *agent)
{
        agent_unlist(a, agent);
        agent->considered = 0;
        if (!agent->active || !enough_free(a, &agent->free))
                return;
        DL_PREPEND(a->available, agent);
        agent->available = true;
}

static void agent_recompute(struct allocator *a, struct agent_slot *agent)
{
        resources_done(&agent->free);
        free_of(&agent->total, &agent->allocated, &agent->free);
        agent_touch(a, agent);
}

/* Nobody wants it as it is. */
static void agent_set_considered(struct allocator *a, struct agent_slot *agent)
{
        DL_DELETE(a->available, agent);
        agent->considered = a->generation;
        DL_APPEND(a->available, agent);
}

static void total_changed(struct allocator *a, const struct resources *before, const struct resources *after)
{
        _cleanup_resources_ struct resources old = {}, new = {};
        int k;

        scalars_of(before, &old);
        scalars_of(after, &new);
        k = resources_subtract(&a->total, &old);
        assert(k == 0);
        (void)k;
        resources_add(&a->total, &new);
        a->total_generation++;
}

/* ---- booking ---- */

static void book(
        struct allocator *a, struct agent_slot *agent, struct client *client, const struct resources *r)
{
        _cleanup_resources_ struct resources scalars = {};
        struct allocation *held;
        unsigned bookings = 0;

        HASH_FIND_PTR(agent->allocations, &client, held);
        if (!held) {
                held = NEW0(struct allocation);
                held->client = client;
                HASH_ADD_PTR(agent->allocations, client, held);
                bookings = 1;
        }
        resources_add(&held->resources, r);
        resources_add(&agent->allocated, r);
        scalars_of(r, &scalars);
        sorter_add(&client->role->clients, &client->entry, &scalars, bookings, &a->total);
        sorter_add(&a->root, &client->role->entry, &scalars, bookings, &a->total);
}

static int unbook(
        struct allocator *a, struct agent_slot *agent, struct client *client, const struct resources *r)
{
        _cleanup_resources_ struct resources scalars = {};
        struct allocation *held;
        unsigned bookings = 0;
        int k;

        HASH_FIND_PTR(agent->allocations, &client, held);
        if (!held || !resources_contains(&held->resources, r))
                return -ERANGE;
        scalars_of(r, &scalars);
        k = resources_subtract(&agent->allocated, r);
        assert(k == 0);
        k = resources_subtract(&held->resources, r);
        assert(k == 0);
        (void)k;
        if (resources_empty(&held->resources)) {
                HASH_DEL(agent->allocations, held);
                resources_done(&held->resources);
                free(held);
                bookings = 1;
        }
        sorter_remove(&client->role->clients, &client->entry, &scalars, bookings, &a->total);
        sorter_remove(&a->root, &client->role->entry, &scalars, bookings, &a->total);
        return 0;
}

static void unbook_all(struct allocator *a, struct agent_slot *agent, struct allocation *held)
{
        _cleanup_resources_ struct resources all = {};
        int k;

        resources_copy(&held->resources, &all);
        k = unbook(a, agent, held->client, &all);
        assert(k == 0);
        (void)k;
}

/* ---- finding ---- */

static struct agent_slot *find_agent(const struct allocator *a, const char *id)
{
        struct agent_slot *agent;

        HASH_FIND_STR(a->agents, id, agent);
        return agent;
}

static struct framework_slot *find_framework(const struct allocator *a, const char *id)
{
        struct framework_slot *framework;

        HASH_FIND_STR(a->frameworks, id, framework);
        return framework;
}

static struct role *find_role(const struct allocator *a, const char *name)
{
        struct role *role;

        HASH_FIND_STR(a->roles, name, role);
        return role;
}

static struct client *find_client(const struct allocator *a, const char *framework_id, const char *role_name)
{
        struct framework_slot *framework = find_framework(a, framework_id);
        struct role *role = find_role(a, role_name);
        struct client *client = NULL;

        if (framework && role)
                HASH_FIND_PTR(framework->clients, &role, client);
        return client;
}

static struct role *role_get(struct allocator *a, const char *name)
{
        struct role *role = find_role(a, name);

        if (role)
                return role;
        role = NEW0(struct role);
        role->name = xstrdup(name);
        sorter_entry_init(&role->entry, role->name, WEIGHT_DEFAULT_MILLI);
        HASH_ADD_KEYPTR(hh, a->roles, role->name, strlen(role->name), role);
        return role;
}

/* ---- clients ---- */

/* Is it to be offered something? Follows from three facts; the sorters hold those that are. */
static void client_update(struct allocator *a, struct client *client)
{
        struct role *role = client->role;
        bool wanted = client->framework->active && client->subscribed && !client->suppressed;

        if (wanted == client->entry.active)
                return;
        if (wanted) {
                sorter_activate(&role->clients, &client->entry, &a->total);
                sorter_activate(&a->root, &role->entry, &a->total);
                a->generation++; /* every agent may be of interest now */
                return;
        }
        sorter_deactivate(&role->clients, &client->entry);
        if (role->clients.count == 0)
                sorter_deactivate(&a->root, &role->entry);
}

static struct client *client_get(struct allocator *a, struct framework_slot *framework, const char *role_name)
{
        struct role *role = role_get(a, role_name);
        struct client *client;

        HASH_FIND_PTR(framework->clients, &role, client);
        if (client)
                return client;
        client = NEW0(struct client);
        client->framework = framework;
        client->role = role;
        sorter_entry_init(&client->entry, framework->id, WEIGHT_DEFAULT_MILLI);
        HASH_ADD_PTR(framework->clients, role, client);
        return client;
}

static void client_forget_filters(struct allocator *a, struct client *client)
{
        while (client->filters)
                filter_drop(a, client->filters);
}

static void client_free(struct allocator *a, struct client *client)
{
        client_forget_filters(a, client);
        client->subscribed = false;
        client_update(a, client);
        sorter_entry_done(&client->entry);
        HASH_DEL(client->framework->clients, client);
        free(client);
}

/* A role that the framework left lives on in the books for as long as something is booked. */
static void client_done_if_unused(struct allocator *a, struct client *client)
{
        if (!client->subscribed && client->entry.allocations == 0)
                client_free(a, client);
}

static void client_subscribe(struct allocator *a, struct client *client)
{
        if (client->subscribed)
                return;
        client->subscribed = true;
        client->suppressed = false;
        client_update(a, client);
}

static void client_unsubscribe(struct allocator *a, struct client *client)
{
        client->subscribed = false;
        client_forget_filters(a, client);
        client_update(a, client);
        client_done_if_unused(a, client);
}

/* ---- agents ---- */

int allocator_add_agent(struct allocator *a, const char *id, const struct resources *total,
        const struct allocator_usage *used, size_t used_count)
{
        struct agent_slot *agent;

        if (find_agent(a, id))
                return -EEXIST;
        for (size_t i = 0; i < used_count; i++)
                if (!find_framework(a, used[i].framework))
                        return -ENOENT;
        agent = NEW0(struct agent_slot);
        agent->id = xstrdup(id);
        agent->active = true;
        resources_copy(total, &agent->total);
        HASH_ADD_KEYPTR(hh, a->agents, agent->id, strlen(agent->id), agent);
        total_changed(a, &(struct resources){}, total);
        for (size_t i = 0; i < used_count; i++)
                if (!resources_empty(used[i].resources))
                        book(a, agent, client_get(a, find_framework(a, used[i].framework), used[i].role),
                                used[i].resources);
        agent_recompute(a, agent);
        return 0;
}

int allocator_remove_agent(struct allocator *a, const char *id)
{
        struct agent_slot *agent = find_agent(a, id);
        struct allocation *held, *next_held;

        if (!agent)
                return -ENOENT;
        agent_unlist(a, agent);
        filters_drop_agent(a, agent);
        HASH_ITER (hh, agent->allocations, held, next_held) {
                struct client *client = held->client;

                unbook_all(a, agent, held);
                client_done_if_unused(a, client);
        }
        total_changed(a, &agent->total, &(struct resources){});
        HASH_DEL(a->agents, agent);
        resources_done(&agent->total);
        resources_done(&agent->allocated);
        resources_done(&agent->free);
        free(agent->id);
        free(agent);
        return 0;
}

int allocator_set_agent_total(struct allocator *a, const char *id, const struct resources *total)
{
        struct agent_slot *agent = find_agent(a, id);

        if (!agent)
                return -ENOENT;
        total_changed(a, &agent->total, total);
        resources_done(&agent->total);
        resources_copy(total, &agent->total);
        filters_drop_agent(a, agent); /* the refusals were of another machine */
        agent_recompute(a, agent);
        return 0;
}

int allocator_set_agent_active(struct allocator *a, const char *id, bool active)
{
        struct agent_slot *agent = find_agent(a, id);

        if (!agent)
                return -ENOENT;
        agent->active = active;
        agent_touch(a, agent);
        return 0;
}

/* ---- roles and frameworks ---- */

int allocator_set_role_weight(struct allocator *a, const char *name, uint64_t weight_milli)
{
        struct role *role;

        if (weight_milli == 0)
                return -EINVAL;
        role = role_get(a, name);
        sorter_set_weight(&a->root, &role->entry, weight_milli, &a->total);
        return 0;
}

int allocator_add_framework(struct allocator *a, const char *id, const char *const *roles, size_t role_count)
{
        struct framework_slot *framework;

        if (find_framework(a, id))
                return -EEXIST;
        framework = NEW0(struct framework_slot);
        framework->id = xstrdup(id);
        framework->active = true;
        HASH_ADD_KEYPTR(hh, a->frameworks, framework->id, strlen(framework->id), framework);
        for (size_t i = 0; i < role_count; i++)
                client_subscribe(a, client_get(a, framework, roles[i]));
        return 0;
}

int allocator_set_framework_roles(
        struct allocator *a, const char *id, const char *const *roles, size_t role_count)
{
        struct framework_slot *framework = find_framework(a, id);
        struct client *client, *next;

        if (!framework)
                return -ENOENT;
        HASH_ITER (hh, framework->clients, client, next)
                client->wanted = false;
        for (size_t i = 0; i < role_count; i++) {
                client = client_get(a, framework, roles[i]);
                client->wanted = true;
                client_subscribe(a, client);
        }
        HASH_ITER (hh, framework->clients, client, next)
                if (client->subscribed && !client->wanted)
                        client_unsubscribe(a, client);
        return 0;
}

int allocator_set_framework_active(struct allocator *a, const char *id, bool active)
{
        struct framework_slot *framework = find_framework(a, id);
        struct client *client, *next;

        if (!framework)
                return -ENOENT;
        framework->active = active;
        HASH_ITER (hh, framework->clients, client, next)
                client_update(a, client);
        return 0;
}

static void client_recover_all(struct allocator *a, struct client *client)
{
        struct agent_slot *agent, *next;

        HASH_ITER (hh, a->agents, agent, next) {
                struct allocation *held;

                HASH_FIND_PTR(agent->allocations, &client, held);
                if (!held)
                        continue;
                unbook_all(a, agent, held);
                agent_recompute(a, agent);
        }
}

static void framework_free(struct allocator *a, struct framework_slot *framework)
{
        struct client *client, *next;

        HASH_ITER (hh, framework->clients, client, next) {
                client_recover_all(a, client);
                client_free(a, client);
        }
        HASH_DEL(a->frameworks, framework);
        free(framework->id);
        free(framework);
}

int allocator_remove_framework(struct allocator *a, const char *id)
{
        struct framework_slot *framework = find_framework(a, id);

        if (!framework)
                return -ENOENT;
        framework_free(a, framework);
        return 0;
}

static int for_clients(
        struct allocator *a, const char *id, const char *role, void (*f)(struct allocator *, struct client *))
{
        struct framework_slot *framework = find_framework(a, id);
        struct client *client, *next, *only = role ? find_client(a, id, role) : NULL;

        if (!framework || (role && (!only || !only->subscribed)))
                return -ENOENT;
        if (only) {
                f(a, only);
                return 0;
        }
        HASH_ITER (hh, framework->clients, client, next)
                if (client->subscribed)
                        f(a, client);
        return 0;
}

static void client_revive(struct allocator *a, struct client *client)
{
        client_forget_filters(a, client);
        client->suppressed = false;
        client_update(a, client);
        allocator_reconsider(a);
}

static void client_suppress(struct allocator *a, struct client *client)
{
        client->suppressed = true;
        client_update(a, client);
}

int allocator_suppress(struct allocator *a, const char *framework, const char *role)
{
        return for_clients(a, framework, role, client_suppress);
}

int allocator_revive(struct allocator *a, const char *framework, const char *role)
{
        return for_clients(a, framework, role, client_revive);
}

void allocator_reconsider(struct allocator *a)
{
        a->generation++;
}

/* ---- bookings ---- */

int allocator_allocate(struct allocator *a, const char *agent_id, const struct allocator_usage *use)
{
        struct agent_slot *agent = find_agent(a, agent_id);
        struct framework_slot *framework = find_framework(a, use->framework);

        if (!agent || !framework)
                return -ENOENT;
        if (resources_empty(use->resources))
                return 0;
        book(a, agent, client_get(a, framework, use->role), use->resources);
        agent_recompute(a, agent);
        return 0;
}

int allocator_recover(struct allocator *a, const char *agent_id, const struct allocator_usage *use,
        struct mono_time now, uint64_t refuse_ns)
{
        struct agent_slot *agent = find_agent(a, agent_id);
        struct client *client = find_client(a, use->framework, use->role);

        if (!agent || !client)
                return -ENOENT;
        if (!resources_empty(use->resources)) {
                int k = unbook(a, agent, client, use->resources);

                if (k < 0)
                        return k;
        }
        agent_recompute(a, agent);
        if (refuse_ns > 0 && client->subscribed)
                filter_set(a, agent, client, use->resources, (struct mono_time){now.ns + refuse_ns});
        client_done_if_unused(a, client);
        return 0;
}

/* ---- offers ---- */

static void offer_make(
        struct allocator *a, struct agent_slot *agent, struct client *client, struct allocator_offer *ret)
{
        ret->framework = xstrdup(client->framework->id);
        ret->role = xstrdup(client->role->name);
        ret->agent = xstrdup(agent->id);
        resources_copy(&agent->free, &ret->resources);
        book(a, agent, client, &ret->resources);
        agent_recompute(a, agent);
}

static bool qualifies(const struct allocator *a, const struct agent_slot *agent, const struct client *client)
{
        const struct allocator_options *o = &a->options;

        return !o->qualifies ||
               o->qualifies(o->userdata, client->framework->id, client->role->name, agent->id, &agent->free);
}

static struct client *client_for(struct allocator *a, const struct agent_slot *agent)
{
        sorter_refresh(&a->root, &a->total, a->total_generation);
        for (size_t i = 0; i < a->root.count; i++) {
                struct role *role = CONTAINER_OF(a->root.order[i], struct role, entry);

                sorter_refresh(&role->clients, &a->total, a->total_generation);
                for (size_t j = 0; j < role->clients.count; j++) {
                        struct client *client = CONTAINER_OF(role->clients.order[j], struct client, entry);

                        if (!filter_refuses(agent, client) && qualifies(a, agent, client))
                                return client;
                }
        }
        return NULL;
}

enum allocator_next allocator_next_offer(
        struct allocator *a, struct mono_time now, struct allocator_offer *ret)
{
        filters_expire(a, now, agent_touch);
        while (a->root.count > 0 && a->available && a->available->considered != a->generation) {
                struct agent_slot *agent = a->available;
                struct client *client = client_for(a, agent);

                if (client) {
                        offer_make(a, agent, client, ret);
                        return ALLOCATOR_OFFER;
                }
                agent_set_considered(a, agent);
        }
        return ALLOCATOR_NONE;
}

bool allocator_next_wakeup(const struct allocator *a, struct mono_time *ret)
{
        if (a->heap.count == 0)
                return false;
        *ret = a->heap.items[0]->expires;
        return true;
}

void allocator_offer_done(struct allocator_offer *o)
{
        free(o->framework);
        free(o->role);
        free(o->agent);
        resources_done(&o->resources);
        *o = (struct allocator_offer){};
}

/* ---- looking ---- */

const struct resources *allocator_agent_total(const struct allocator *a, const char *id)
{
        struct agent_slot *agent = find_agent(a, id);

        return agent ? &agent->total : NULL;
}

const struct resources *allocator_agent_free(const struct allocator *a, const char *id)
{
        struct agent_slot *agent = find_agent(a, id);

        return agent ? &agent->free : NULL;
}

uint64_t allocator_role_share(const struct allocator *a, const char *name)
{
        struct role *role = find_role(a, name);

        return role ? sorter_share(&role->entry.allocated, role->entry.weight_milli, &a->total) : 0;
}

bool allocator_framework_has_role(const struct allocator *a, const char *framework, const char *role)
{
        const struct client *client = find_client(a, framework, role);

        return client && client->subscribed;
}

/* ---- life ---- */

struct allocator *allocator_new(const struct allocator_options *o)
{
        struct allocator *a = NEW0(struct allocator);

        if (o)
                a->options = *o;
        if (a->options.min_milli_cpus == 0)
                a->options.min_milli_cpus = 10;
        if (a->options.min_milli_mem == 0)
                a->options.min_milli_mem = 32 * 1000;
        a->generation = 1;
        a->total_generation = 1;
        return a;
}

struct allocator *allocator_free(struct allocator *a)
{
        struct framework_slot *framework, *next_framework;
        struct agent_slot *agent, *next_agent;
        struct role *role, *next_role;

        if (!a)
                return NULL;
        HASH_ITER (hh, a->agents, agent, next_agent)
                (void)allocator_remove_agent(a, agent->id);
        HASH_ITER (hh, a->frameworks, framework, next_framework)
                framework_free(a, framework);
        HASH_ITER (hh, a->roles, role, next_role) {
                HASH_DEL(a->roles, role);
                sorter_entry_done(&role->entry);
                sorter_done(&role->clients);
                free(role->name);
                free(role);
        }
        sorter_done(&a->root);
        resources_done(&a->total);
        free(a->heap.items);
        free(a);
        return NULL;
}
