/* Agents: what is free on them, and the list of those that can be offered. */
#include <stdlib.h>
#include <string.h>

#include "master/allocator/allocator_internal.h"

struct agent_slot *agent_slot_find(const struct allocator *a, const char *id)
{
        struct agent_slot *agent;

        HASH_FIND_STR(a->agents, id, agent);
        return agent;
}

static bool enough(const struct allocator *a, uint64_t milli_cpus, uint64_t milli_mem)
{
        return milli_cpus >= a->options.min_milli_cpus || milli_mem >= a->options.min_milli_mem;
}

bool worth_offering(const struct allocator *a, const struct resources *r)
{
        return enough(a, resources_scalar(r, "cpus"), resources_scalar(r, "mem"));
}

/* ---- the list of agents with something free ---- */

static void agent_unlist(struct allocator *a, struct agent_slot *agent)
{
        if (!agent->listed)
                return;
        DL_DELETE(a->available, agent);
        a->listed_reserved -= agent->has_reserved;
        a->listed_revocable -= agent->revocable_enough;
        agent->listed = false;
}

/* Of what kinds is that which is free? */
static void agent_classify(struct allocator *a, struct agent_slot *agent)
{
        uint64_t firm[2] = {0}, revocable[2] = {0};
        bool any_revocable = false;

        agent->has_reserved = false;
        for (size_t i = 0; i < agent->free.count; i++) {
                const struct resource *e = &agent->free.entries[i];
                bool cpus = strcmp(e->name, "cpus") == 0, mem = strcmp(e->name, "mem") == 0;

                if (entry_reserved_for(e))
                        agent->has_reserved = true;
                else if (entry_revocable(e))
                        any_revocable = true;
                if ((cpus || mem) && !entry_reserved_for(e))
                        (entry_revocable(e) ? revocable : firm)[mem] += e->milli;
        }
        agent->mixed = agent->has_reserved || any_revocable;
        agent->firm_enough = enough(a, firm[0], firm[1]);
        agent->revocable_enough = any_revocable && enough(a, firm[0] + revocable[0], firm[1] + revocable[1]);
}

void agent_slot_forget_expired(struct allocator *a, struct agent_slot *agent)
{
        struct pair *pair, *next;

        DL_FOREACH_SAFE2(agent->expired, pair, next, expired_next)
        {
                pair_set_expired(a, pair, false);
                pair_free_if_unused(a, pair);
        }
}

/*
 * Something changed on this agent: everybody is to look at it, if it has anything to give. Those whose filters ran out stay noted until
 * that look, which is as long as their list.
 */
static void agent_list_anew(struct allocator *a, struct agent_slot *agent)
{
        agent_unlist(a, agent);
        agent->considered = 0;
        agent_classify(a, agent);
        if (!agent->active || !worth_offering(a, &agent->free))
                return;
        DL_PREPEND(a->available, agent);
        agent->listed = true;
        a->listed_reserved += agent->has_reserved;
        a->listed_revocable += agent->revocable_enough;
}

void agent_slot_set_considered(struct allocator *a, struct agent_slot *agent)
{
        DL_DELETE(a->available, agent);
        agent->considered = a->generation;
        DL_APPEND(a->available, agent);
}

/* ---- sums of what is free ---- */

static void add_or_take(struct amounts *x, size_t scalar, uint64_t milli, bool more)
{
        if (more)
                amounts_add(x, scalar, milli);
        else
                amounts_take(x, scalar, milli);
}

/* What is reserved is reserved for the roles above as well. */
static void account_reserved(struct allocator *a, const struct resource *e, bool more, size_t scalar)
{
        for (struct role *role = role_find(a, entry_reserved_for(e)); role->parent; role = role->parent) {
                add_or_take(&role->reserved_free, scalar, e->milli, more);
                role_touch_quota(a, role);
        }
}

static void account_free(struct allocator *a, const struct agent_slot *agent, bool more)
{
        for (size_t i = 0; i < agent->free.count; i++) {
                const struct resource *e = &agent->free.entries[i];
                size_t scalar;

                if (e->kind != RESOURCE_SCALAR || entry_revocable(e))
                        continue;
                scalar = scalar_number(&a->names, e->name);
                if (entry_reserved_for(e))
                        account_reserved(a, e, more, scalar);
                else if (agent->active)
                        add_or_take(&a->firm_free, scalar, e->milli, more);
        }
}

void agent_slot_change_begin(struct allocator *a, struct agent_slot *agent)
{
        account_free(a, agent, /* more= */ false);
}

void agent_slot_change_end(struct allocator *a, struct agent_slot *agent)
{
        account_free(a, agent, /* more= */ true);
        agent->refused_is_free =
                agent->refused && resources_contains(&agent->refused->resources, &agent->free);
        agent_list_anew(a, agent);
}

/* ---- totals ---- */

static bool differs_by_a_64th(uint64_t now, uint64_t then)
{
        uint64_t apart = now > then ? now - then : then - now;

        return apart > then / 64 || (now == 0) != (then == 0);
}

static void share_totals_follow(struct allocator *a)
{
        bool apart = false;

        for (size_t i = 0; i < a->totals.count; i++)
                apart |= differs_by_a_64th(a->totals.milli[i], amounts_get(&a->share_totals, i));
        if (!apart)
                return;
        for (size_t i = 0; i < a->totals.count; i++) {
                amounts_add(&a->share_totals, i, a->totals.milli[i] > 0);
                amounts_set(&a->share_totals, i, a->totals.milli[i]);
        }
        a->total_generation++;
}

static void total_entry(struct allocator *a, const struct resource *e, bool more)
{
        const char *reserved_for = entry_reserved_for(e);
        size_t scalar;

        if (e->kind != RESOURCE_SCALAR)
                return;
        scalar = scalar_number(&a->names, e->name);
        add_or_take(&a->totals, scalar, e->milli, more);
        resources_set_scalar(&a->total, e->name, amounts_get(&a->totals, scalar));
        if (!reserved_for || entry_revocable(e))
                return;
        for (struct role *role = role_get(a, reserved_for); role->parent; role = role->parent)
                add_or_take(&role->reserved, scalar, e->milli, more);
}

void totals_change(struct allocator *a, const struct resources *before, const struct resources *after)
{
        for (size_t i = 0; i < after->count; i++)
                total_entry(a, &after->entries[i], /* more= */ true);
        for (size_t i = 0; i < before->count; i++)
                total_entry(a, &before->entries[i], /* more= */ false);
        share_totals_follow(a);
}

/* Roles that only a reservation kept. */
static void forget_roles_of(struct allocator *a, const struct resources *r)
{
        for (size_t i = 0; i < r->count; i++) {
                const char *name = entry_reserved_for(&r->entries[i]);
                struct role *role = name ? role_find(a, name) : NULL;

                if (role)
                        role_free_if_unused(a, role);
        }
}

/* ---- what is left of the total ---- */

/* Takes away what is there of one entry: an agent may have come back with less than its tasks hold. */
static void subtract_what_is_there(struct resources *r, const struct resource *entry)
{
        struct resource one = *entry;
        struct resources view = {.entries = &one, .count = 1};

        if (resources_subtract(r, &view) >= 0)
                return;
        for (size_t i = 0; entry->kind == RESOURCE_SCALAR && i < r->count; i++)
                if (r->entries[i].kind == RESOURCE_SCALAR && r->entries[i].traits == entry->traits &&
                        str_equal(r->entries[i].name, entry->name)) {
                        one.milli = r->entries[i].milli;
                        break;
                }
        if (entry->kind == RESOURCE_SCALAR && resources_subtract(r, &view) < 0)
                return; /* nothing of it is there */
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

/* As long as the list of who has to do with the agent: only where it was given more than there is. */
static void free_from_totals(struct agent_slot *agent)
{
        const struct pair *pair;

        resources_done(&agent->free);
        resources_copy(&agent->total, &agent->free);
        agent->overcommitted = false;
        DL_FOREACH2(agent->pairs, pair, agent_next)
        {
                if (resources_subtract(&agent->free, &pair->held) >= 0)
                        continue;
                agent->overcommitted = true;
                for (size_t j = 0; j < pair->held.count; j++)
                        subtract_what_is_there(&agent->free, &pair->held.entries[j]);
        }
}

void agent_slot_take(struct allocator *a, struct agent_slot *agent, const struct resources *r)
{
        agent_slot_change_begin(a, agent);
        if (agent->overcommitted || resources_subtract(&agent->free, r) < 0)
                free_from_totals(agent);
        if (resources_empty(&agent->free))
                resources_done(&agent->free); /* most agents are like that most of the time */
        agent_slot_change_end(a, agent);
}

void agent_slot_give(struct allocator *a, struct agent_slot *agent, const struct resources *r)
{
        agent_slot_change_begin(a, agent);
        if (agent->overcommitted)
                free_from_totals(agent);
        else
                vector_add(&agent->free, r);
        agent_slot_change_end(a, agent);
}

/* ---- events ---- */

static bool frameworks_known(const struct allocator *a, const struct allocator_usage *used, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                struct framework_slot *framework;

                HASH_FIND_STR(a->frameworks, used[i].framework, framework);
                if (!framework)
                        return false;
        }
        return true;
}

int allocator_add_agent(struct allocator *a, const char *id, const struct resources *total,
        const struct allocator_usage *used, size_t used_count)
{
        struct agent_slot *agent;

        if (agent_slot_find(a, id))
                return -EEXIST;
        if (!frameworks_known(a, used, used_count))
                return -ENOENT;
        agent = NEW0(struct agent_slot);
        agent->id = xstrdup(id);
        agent->active = true;
        resources_copy(total, &agent->total);
        resources_copy(total, &agent->free);
        HASH_ADD_KEYPTR(hh, a->agents, agent->id, strlen(agent->id), agent);
        totals_change(a, &(struct resources){}, total);
        agent_slot_change_end(a, agent);
        for (size_t i = 0; i < used_count; i++)
                (void)allocator_allocate(a, id, &used[i]);
        quota_settle(a);
        return 0;
}

int allocator_remove_agent(struct allocator *a, const char *id)
{
        struct agent_slot *agent = agent_slot_find(a, id);
        _cleanup_resources_ struct resources total = {};

        if (!agent)
                return -ENOENT;
        total = agent->total;
        agent_unlist(a, agent);
        agent_slot_change_begin(a, agent);
        resources_done(&agent->free);
        agent->total = (struct resources){};
        totals_change(a, &total, &agent->total);
        HASH_DEL(a->agents, agent);
        agent_slot_depart(a, agent);
        (void)clear_away(a, CLEAR_NOW);
        forget_roles_of(a, &total);
        return 0;
}

/* False: more is held than there is, and only those who hold it can tell. */
static bool all_held(const struct agent_slot *agent, struct resources *ret)
{
        if (agent->overcommitted)
                return false;
        resources_copy(&agent->total, ret);
        return resources_subtract(ret, &agent->free) >= 0;
}

/* What is free when so much is held; however many hold it. */
static bool free_beside(struct agent_slot *agent, const struct resources *held)
{
        struct resources left = {};

        resources_copy(&agent->total, &left);
        if (resources_subtract(&left, held) < 0) {
                resources_done(&left);
                return false;
        }
        resources_done(&agent->free);
        agent->free = left;
        return true;
}

/* The total becomes this, of which the caller gives up its ownership; `held` NULL: it is not known. */
static void agent_replace_total(
        struct allocator *a, struct agent_slot *agent, struct resources total, const struct resources *held)
{
        struct resources before = agent->total;

        agent_slot_change_begin(a, agent);
        agent->total = total;
        totals_change(a, &before, &agent->total);
        if (!held || !free_beside(agent, held))
                free_from_totals(agent);
        agent_slot_change_end(a, agent);
        quota_settle(a);
        forget_roles_of(a, &before);
        resources_done(&before);
}

int allocator_set_agent_total(struct allocator *a, const char *id, const struct resources *total)
{
        struct agent_slot *agent = agent_slot_find(a, id);
        _cleanup_resources_ struct resources held = {};
        struct resources copy;
        bool known;

        if (!agent)
                return -ENOENT;
        known = all_held(agent, &held);
        resources_copy(total, &copy);
        filters_forget_agent(a, agent); /* the refusals were of another machine */
        agent_replace_total(a, agent, copy, known ? &held : NULL);
        (void)clear_away(a, CLEAR_NOW);
        return 0;
}

int allocator_set_agent_active(struct allocator *a, const char *id, bool active)
{
        struct agent_slot *agent = agent_slot_find(a, id);

        if (!agent)
                return -ENOENT;
        agent_slot_change_begin(a, agent);
        agent->active = active;
        agent_slot_change_end(a, agent);
        quota_settle(a);
        return 0;
}

int allocator_update_available(
        struct allocator *a, const char *id, const struct resources *from, const struct resources *to)
{
        struct agent_slot *agent = agent_slot_find(a, id);
        _cleanup_resources_ struct resources total = {}, held = {};
        bool known;

        if (!agent)
                return -ENOENT;
        if (!resources_contains(&agent->free, from))
                return -EBUSY;
        known = all_held(agent, &held);
        resources_copy(&agent->total, &total);
        if (resources_subtract(&total, from) < 0)
                return -EBUSY;
        resources_add(&total, to);
        agent_replace_total(a, agent, total, known ? &held : NULL);
        total = (struct resources){};
        return 0;
}

/* Both what is held and the total change; what is free stays. */
int allocator_update_allocation(
        struct allocator *a, const char *id, const struct allocator_usage *use, const struct resources *to)
{
        struct agent_slot *agent = agent_slot_find(a, id);
        struct client *client = client_find(a, use->framework, use->role);
        struct pair *pair = agent && client ? pair_find(agent, client) : NULL;
        _cleanup_resources_ struct resources total = {}, held = {};
        bool known;

        if (!agent || !client)
                return -ENOENT;
        if (!pair || !resources_contains(&pair->held, use->resources))
                return -ERANGE;
        resources_copy(&agent->total, &total);
        if (resources_subtract(&total, use->resources) < 0)
                return -ERANGE; /* the agent has it no more */
        known = all_held(agent, &held) && resources_subtract(&held, use->resources) >= 0;
        resources_add(&held, to);
        if (resources_subtract(&pair->held, use->resources) < 0)
                return -ERANGE;
        resources_add(&total, to);
        resources_add(&pair->held, to);
        client_account(a, client, to, /* more= */ true, 0);
        client_account(a, client, use->resources, /* more= */ false, 0);
        agent_replace_total(a, agent, total, known ? &held : NULL);
        total = (struct resources){};
        return 0;
}

const struct resources *allocator_agent_total(const struct allocator *a, const char *id)
{
        struct agent_slot *agent = agent_slot_find(a, id);

        return agent ? &agent->total : NULL;
}

const struct resources *allocator_agent_free(const struct allocator *a, const char *id)
{
        struct agent_slot *agent = agent_slot_find(a, id);

        return agent ? &agent->free : NULL;
}
