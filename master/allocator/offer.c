/* What may be offered to whom: how an offer is cut to what the role may have. */
#include <string.h>

#include "master/allocator/allocator_internal.h"

/* Does what is reserved so, or not at all, count as new consumption of the role when somebody within gets it? */
static bool is_new_to(const struct resource *e, const struct role *role)
{
        const char *reserved_for = entry_reserved_for(e);

        return !entry_revocable(e) && (!reserved_for || role_is_below(role->parent, reserved_for));
}

static uint64_t new_consumption(
        const struct resource *entries, size_t count, const struct role *role, const char *name)
{
        uint64_t sum = 0;

        for (size_t i = 0; i < count; i++)
                if (entries[i].kind == RESOURCE_SCALAR && str_equal(entries[i].name, name) &&
                        is_new_to(&entries[i], role))
                        sum += entries[i].milli;
        return sum;
}

static bool may_have(const struct client *client, const struct resource *e)
{
        const char *reserved_for = entry_reserved_for(e);

        return (!reserved_for || role_is_below(client->role, reserved_for)) &&
               (!entry_revocable(e) || client->framework->revocable);
}

/* How much of the entry limits and guarantees leave to the client, beside the part of the offer that is decided. */
static uint64_t scalar_part(const struct allocator *a, const struct client *client, const struct resource *e,
        const struct resource *offer, size_t count)
{
        size_t scalar = scalar_find(&a->names, e->name);
        uint64_t left = e->milli;

        if (entry_revocable(e))
                return left;
        for (const struct role *role = client->role; role->parent && is_new_to(e, role);
                role = role->parent) {
                uint64_t room = role_room(role, scalar), drawn;

                if (room == UINT64_MAX)
                        continue;
                drawn = new_consumption(offer, count, role, e->name);
                left = MIN(left, room > drawn ? room - drawn : 0);
        }
        if (!entry_reserved_for(e))
                left = MIN(left, role_allowed(a, client->role, scalar));
        /* A volume is one thing. */
        return e->traits && e->traits->volume_id && left < e->milli ? 0 : left;
}

static bool is_unlimited(const struct role *role)
{
        for (; role->parent; role = role->parent)
                if (role->quota_count > 0)
                        return false;
        return true;
}

static struct resource *scratch(struct allocator *a, size_t count)
{
        if (a->scratch_capacity < count) {
                a->scratch_capacity = count * 2;
                a->scratch = xrealloc(a->scratch, a->scratch_capacity * sizeof(*a->scratch));
        }
        return a->scratch;
}

/* What is reserved is decided first: what limits leave goes to it before it goes to the rest. */
static void decide_scalars(struct allocator *a, const struct agent_slot *agent, const struct client *client,
        struct resource *offer, bool reserved)
{
        for (size_t i = 0; i < agent->free.count; i++) {
                const struct resource *e = &agent->free.entries[i];

                if (e->kind == RESOURCE_SCALAR && !!entry_reserved_for(e) == reserved && may_have(client, e))
                        offer[i].milli = scalar_part(a, client, e, offer, agent->free.count);
        }
}

bool offer_make_up(struct allocator *a, const struct agent_slot *agent, const struct client *client,
        struct resources *ret)
{
        const struct resources *from = &agent->free;
        struct resource *offer;
        size_t count = 0;

        if (!agent->mixed && !a->needed && is_unlimited(client->role)) {
                *ret = *from;
                return agent->listed;
        }
        offer = scratch(a, from->count);
        for (size_t i = 0; i < from->count; i++) {
                offer[i] = from->entries[i];
                offer[i].milli = 0;
                if (!may_have(client, &from->entries[i]))
                        offer[i].range_count = offer[i].item_count = 0;
        }
        decide_scalars(a, agent, client, offer, /* reserved= */ true);
        decide_scalars(a, agent, client, offer, /* reserved= */ false);
        for (size_t i = 0; i < from->count; i++)
                if (offer[i].milli > 0 || offer[i].range_count > 0 || offer[i].item_count > 0)
                        offer[count++] = offer[i];
        *ret = (struct resources){.entries = offer, .count = count};
        return worth_offering(a, ret);
}
