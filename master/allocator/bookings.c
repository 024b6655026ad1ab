/* Who holds what where. */
#include <stdlib.h>
#include <string.h>

#include "master/allocator/allocator_internal.h"

size_t pair_place(const struct agent_slot *agent, uint64_t client_number)
{
        size_t low = 0, high = agent->pair_count;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (agent->pairs[middle].client < client_number)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

struct pair *pair_find(const struct agent_slot *agent, const struct client *client)
{
        size_t at = pair_place(agent, client->number);

        return at < agent->pair_count && agent->pairs[at].client == client->number ? agent->pairs[at].pair
                                                                                   : NULL;
}

struct pair *pair_get(struct agent_slot *agent, struct client *client)
{
        size_t at = pair_place(agent, client->number);
        struct pair *pair;

        if (at < agent->pair_count && agent->pairs[at].client == client->number)
                return agent->pairs[at].pair;
        if (agent->pair_count == agent->pair_capacity) {
                agent->pair_capacity = MAX(agent->pair_capacity * 2, (size_t)2);
                agent->pairs = xrealloc(agent->pairs, agent->pair_capacity * sizeof(*agent->pairs));
        }
        memmove(agent->pairs + at + 1, agent->pairs + at, (agent->pair_count - at) * sizeof(*agent->pairs));
        agent->pair_count++;
        pair = NEW0(struct pair);
        pair->agent = agent;
        pair->client = client;
        agent->pairs[at] = (struct pair_slot){client->number, pair};
        DL_APPEND(client->pairs, pair);
        return pair;
}

void pair_free_if_unused(struct allocator *a, struct pair *pair)
{
        struct agent_slot *agent = pair->agent;
        size_t at;

        if (pair->expired || pair->filters || !resources_empty(&pair->held))
                return;
        at = pair_place(agent, pair->client->number);
        agent->pair_count--;
        memmove(agent->pairs + at, agent->pairs + at + 1, (agent->pair_count - at) * sizeof(*agent->pairs));
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
