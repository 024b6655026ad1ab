/*
 * What is left of frameworks, roles of theirs, agents and refusals that are gone. The event that ends them unhooks them as a whole, at
 * the same cost however much there is of it; here it is freed, some at the end of that event and the rest with each call for offers.
 * So an event is short, and all of it together costs what it would have cost at once.
 *
 * Until then they still count: what a framework that left held on an agent is not free there, what lay on a removed agent counts for the
 * share and the quota of who held it, and refusals for the numbers that are shown. None of it is offered or refuses anything.
 */
#include <stdlib.h>

#include "master/allocator/allocator_internal.h"

#define BOOKING_STEPS                                                                                        \
        8 /* of a booking, which moves its client and roles in their orders; a refusal is one step */

static void client_free(struct allocator *a, struct client *client)
{
        struct role *role = client->role;

        sorter_entry_done(&client->entry);
        role->clients--;
        free(client);
        role_free_if_unused(a, role);
}

void client_depart(struct allocator *a, struct client *client)
{
        client->entry.name = "a framework that left";
        if (client->pairs)
                DL_APPEND2(a->departed, client, departed_prev, departed_next);
        else
                client_free(a, client);
}

void agent_slot_depart(struct allocator *a, struct agent_slot *agent)
{
        agent->gone = true;
        agent->active = false;
        agent->epoch++;
        if (agent->stale_pairs == 0)
                DL_APPEND2(a->stale, agent, stale_prev, stale_next);
}

static void agent_slot_free(struct agent_slot *agent)
{
        refused_unref(agent->refused);
        free(agent->slots);
        free(agent->id);
        free(agent);
}

/* What is held there is free again, unless the agent is gone. */
static void unbook_all(struct allocator *a, struct pair *pair)
{
        struct agent_slot *agent = pair->agent;
        _cleanup_resources_ struct resources held = pair->held;

        pair->held = (struct resources){};
        if (resources_empty(&held))
                return;
        client_account(a, pair->client, &held, /* more= */ false, 1);
        if (!agent->gone)
                agent_slot_give(a, agent, &held);
}

/* Frees the pair with all that it is about; gives the steps that it took. */
static size_t pair_clear(struct allocator *a, struct pair *pair)
{
        size_t steps = 1 + pair->filter_count + (resources_empty(&pair->held) ? 0 : BOOKING_STEPS);
        struct client *client = pair->client;

        pair_set_expired(a, pair, false);
        while (pair->filters)
                filter_free(a, pair->filters);
        unbook_all(a, pair);
        pair_free_if_unused(a, pair);
        client_free_if_unused(a, client);
        return steps;
}

static size_t clear_departed(struct allocator *a)
{
        struct client *client = a->departed;

        if (client->pairs)
                return pair_clear(a, client->pairs);
        DL_DELETE2(a->departed, client, departed_prev, departed_next);
        client_free(a, client);
        return 1;
}

/* Those of its filters that the agent forgot. It becomes the last pair. */
static size_t pair_forget(struct allocator *a, struct pair *pair)
{
        struct filter *f, *next;
        struct agent_slot *agent = pair->agent;
        size_t steps = 1;

        DL_DELETE2(agent->pairs, pair, agent_prev, agent_next);
        DL_APPEND2(agent->pairs, pair, agent_prev, agent_next);
        for (f = pair->filters; f; f = next, steps++) {
                next = f->same;
                if (f->agent_epoch != agent->epoch)
                        filter_free(a, f);
        }
        pair_free_if_unused(a, pair);
        return steps;
}

/* Pairs are appended, so those that may be stale are the first ones. Fewer are left when some went otherwise. */
static size_t clear_stale(struct allocator *a)
{
        struct agent_slot *agent = a->stale;

        if (agent->pairs && agent->gone)
                return pair_clear(a, agent->pairs);
        if (agent->pairs && agent->stale_pairs > 0) {
                agent->stale_pairs--;
                return pair_forget(a, agent->pairs);
        }
        DL_DELETE2(a->stale, agent, stale_prev, stale_next);
        agent->stale_pairs = 0;
        if (agent->gone)
                agent_slot_free(agent);
        return 1;
}

static size_t clear_forgotten(struct allocator *a)
{
        struct pair *pair = a->forgotten->pair;

        filter_free(a, a->forgotten);
        pair_free_if_unused(a, pair);
        return 1;
}

bool clear_away(struct allocator *a, size_t steps)
{
        for (size_t done = 0; done < steps && (a->departed || a->stale || a->forgotten);)
                done += a->departed ? clear_departed(a) : a->stale ? clear_stale(a) : clear_forgotten(a);
        quota_settle(a);
        return !a->departed && !a->stale && !a->forgotten;
}
