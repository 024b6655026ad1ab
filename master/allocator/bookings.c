/* Who holds what where. */
#include <stdlib.h>
#include <string.h>

#include "master/allocator/allocator_internal.h"

/* ---- the table of an agent's pairs: open addressing, linear probing, at most three quarters full ---- */

/* Numbers of clients follow one another: multiplied by the golden ratio they are spread, and the upper bits of that taken. */
static size_t slot_home(const struct agent_slot *agent, uint64_t client)
{
        return (size_t)((client * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (agent->slot_count - 1);
}

/* Of the client, or the empty one where it would be. */
static size_t slot_of(const struct agent_slot *agent, uint64_t client)
{
        size_t at = slot_home(agent, client);

        while (agent->slots[at].pair && agent->slots[at].client != client)
                at = (at + 1) & (agent->slot_count - 1);
        return at;
}

static void slots_grow(struct agent_slot *agent)
{
        size_t count = MAX(agent->slot_count * 2, (size_t)2);
        struct pair *pair;

        free(agent->slots);
        agent->slots = xcalloc(count, sizeof(*agent->slots));
        agent->slot_count = count;
        DL_FOREACH2(agent->pairs, pair, agent_next)
        agent->slots[slot_of(agent, pair->client->number)] = (struct pair_slot){pair->client->number, pair};
}

/* Those behind it that an empty slot would hide from their search move up. */
static void slot_empty(struct agent_slot *agent, size_t hole)
{
        size_t mask = agent->slot_count - 1;

        for (size_t at = (hole + 1) & mask; agent->slots[at].pair; at = (at + 1) & mask) {
                size_t home = slot_home(agent, agent->slots[at].client);

                if (((at - home) & mask) < ((at - hole) & mask))
                        continue;
                agent->slots[hole] = agent->slots[at];
                hole = at;
        }
        agent->slots[hole] = (struct pair_slot){};
}

struct pair *pair_find(const struct agent_slot *agent, const struct client *client)
{
        return agent->pair_count > 0 ? agent->slots[slot_of(agent, client->number)].pair : NULL;
}

struct pair *pair_get(struct agent_slot *agent, struct client *client)
{
        struct pair *pair = pair_find(agent, client);

        if (pair)
                return pair;
        if ((agent->pair_count + 1) * 4 > agent->slot_count * 3)
                slots_grow(agent);
        pair = NEW0(struct pair);
        pair->agent = agent;
        pair->client = client;
        agent->slots[slot_of(agent, client->number)] = (struct pair_slot){client->number, pair};
        agent->pair_count++;
        DL_APPEND2(agent->pairs, pair, agent_prev, agent_next);
        DL_APPEND(client->pairs, pair);
        return pair;
}

void pair_free_if_unused(struct allocator *a, struct pair *pair)
{
        struct agent_slot *agent = pair->agent;

        if (pair->expired || pair->filters || !resources_empty(&pair->held))
                return;
        slot_empty(agent, slot_of(agent, pair->client->number));
        agent->pair_count--;
        DL_DELETE2(agent->pairs, pair, agent_prev, agent_next);
        DL_DELETE(pair->client->pairs, pair);
        resources_done(&pair->held); /* an empty one may keep its room */
        free(pair);
}

void pair_set_expired(struct allocator *a, struct pair *pair, bool expired)
{
        struct agent_slot *agent = pair->agent;

        if (pair->expired == expired)
                return;
        pair->expired = expired;
        if (expired) {
                if (!agent->expired)
                        DL_APPEND2(a->again, agent, again_prev, again_next);
                DL_APPEND2(agent->expired, pair, expired_prev, expired_next);
        } else {
                DL_DELETE2(agent->expired, pair, expired_prev, expired_next);
                if (!agent->expired)
                        DL_DELETE2(a->again, agent, again_prev, again_next);
        }
}

void vector_add(struct resources *r, const struct resources *other)
{
        if (!resources_empty(r)) {
                resources_add(r, other);
                return;
        }
        resources_done(r);
        resources_copy(other, r);
}

void book(struct allocator *a, struct agent_slot *agent, struct client *client, const struct resources *r)
{
        struct pair *pair = pair_get(agent, client);
        bool first = resources_empty(&pair->held);

        vector_add(&pair->held, r);
        client_account(a, client, r, /* more= */ true, first);
}

int unbook(struct allocator *a, struct agent_slot *agent, struct client *client, const struct resources *r)
{
        struct pair *pair = pair_find(agent, client);

        if (!pair || resources_subtract(&pair->held, r) < 0)
                return -ERANGE;
        client_account(a, client, r, /* more= */ false, resources_empty(&pair->held));
        pair_free_if_unused(a, pair);
        return 0;
}

int allocator_allocate(struct allocator *a, const char *agent_id, const struct allocator_usage *use)
{
        struct agent_slot *agent = agent_slot_find(a, agent_id);
        struct framework_slot *framework;

        HASH_FIND_STR(a->frameworks, use->framework, framework);
        if (!agent || !framework)
                return -ENOENT;
        if (resources_empty(use->resources))
                return 0;
        book(a, agent, client_get(a, framework, use->role), use->resources);
        agent_slot_take(a, agent, use->resources);
        quota_settle(a);
        return 0;
}

int allocator_recover(struct allocator *a, const char *agent_id, const struct allocator_usage *use,
        struct mono_time now, uint64_t refuse_ns)
{
        struct agent_slot *agent = agent_slot_find(a, agent_id);
        struct client *client = client_find(a, use->framework, use->role);

        if (!agent || !client)
                return -ENOENT;
        if (!resources_empty(use->resources)) {
                int k = unbook(a, agent, client, use->resources);

                if (k < 0)
                        return k;
                agent_slot_give(a, agent, use->resources);
        }
        if (refuse_ns > 0 && client->subscribed)
                filter_set(a, agent, client, use->resources, (struct mono_time){now.ns + refuse_ns});
        quota_settle(a);
        client_free_if_unused(a, client);
        return 0;
}
