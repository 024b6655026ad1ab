#include <stdlib.h>

#include "master/allocator/allocator_internal.h"

#define REFUSALS_MAX 8 /* of one client and agent: each is looked at whenever the agent could be offered */

static void heap_place(struct filter_heap *h, size_t at, struct filter *f)
{
        h->items[at] = f;
        f->heap_index = at;
}

static void heap_up(struct filter_heap *h, size_t at)
{
        struct filter *f = h->items[at];

        while (at > 0 && h->items[(at - 1) / 2]->expires.ns > f->expires.ns) {
                heap_place(h, at, h->items[(at - 1) / 2]);
                at = (at - 1) / 2;
        }
        heap_place(h, at, f);
}

static void heap_down(struct filter_heap *h, size_t at)
{
        struct filter *f = h->items[at];

        for (;;) {
                size_t child = 2 * at + 1;

                if (child >= h->count)
                        break;
                if (child + 1 < h->count && h->items[child + 1]->expires.ns < h->items[child]->expires.ns)
                        child++;
                if (h->items[child]->expires.ns >= f->expires.ns)
                        break;
                heap_place(h, at, h->items[child]);
                at = child;
        }
        heap_place(h, at, f);
}

static void heap_remove(struct filter_heap *h, struct filter *f)
{
        size_t at = f->heap_index;
        struct filter *last = h->items[--h->count];

        if (last == f)
                return;
        heap_place(h, at, last);
        heap_up(h, at);
        heap_down(h, last->heap_index);
}

static void heap_add(struct filter_heap *h, struct filter *f)
{
        if (h->count == h->capacity) {
                h->capacity = MAX(h->capacity * 2, (size_t)16);
                h->items = xrealloc(h->items, h->capacity * sizeof(*h->items));
        }
        h->items[h->count++] = f;
        heap_up(h, h->count - 1);
}

void refused_unref(struct refused *r)
{
        if (!r || --r->references > 0)
                return;
        resources_done(&r->resources);
        free(r);
}

/* A crowd refuses the same of an agent: it is kept once. */
static struct refused *refused_get(struct agent_slot *agent, const struct resources *refused)
{
        struct refused *last = agent->refused;

        if (!last || !resources_equal(&last->resources, refused)) {
                refused_unref(last);
                last = NEW0(struct refused);
                last->references = 1;
                resources_copy(refused, &last->resources);
                agent->refused = last;
                agent->refused_is_free = resources_contains(refused, &agent->free);
        }
        last->references++;
        return last;
}

void filter_free(struct allocator *a, struct filter *f)
{
        struct client *client = f->pair->client;

        heap_remove(&a->heap, f);
        if (f->epoch == client->epoch) { /* whatever its agent forgot */
                DL_DELETE(client->filters, f);
                client->filter_count--;
                client->role->filters--;
        } else {
                DL_DELETE(a->forgotten, f);
        }
        LL_DELETE2(f->pair->filters, f, same);
        f->pair->filter_count--;
        refused_unref(f->refused);
        free(f);
}

void filters_forget(struct allocator *a, struct client *client)
{
        if (client->filter_count == 0)
                return;
        DL_CONCAT(a->forgotten, client->filters);
        client->filters = NULL;
        client->role->filters -= client->filter_count;
        client->filter_count = 0;
        client->epoch++;
}

void filters_forget_agent(struct allocator *a, struct agent_slot *agent)
{
        if (agent->pair_count == 0)
                return;
        agent->epoch++;
        if (agent->stale_pairs == 0)
                DL_APPEND2(a->stale, agent, stale_prev, stale_next);
        agent->stale_pairs = agent->pair_count;
}

/* Those of the pair that its client or its agent forgot. */
static void drop_forgotten(struct allocator *a, struct pair *pair)
{
        struct filter *f, *next;

        for (f = pair->filters; f; f = next) {
                next = f->same;
                if (!filter_is_live(f))
                        filter_free(a, f);
        }
}

/* Does a filter that holds as long refuse all of it already? */
static bool is_covered(const struct pair *pair, const struct resources *refused, struct mono_time expires)
{
        for (const struct filter *f = pair->filters; f; f = f->same)
                if (f->expires.ns >= expires.ns && resources_contains(&f->refused->resources, refused))
                        return true;
        return false;
}

/* Those that the new one covers; above the bound also the one that ends first. */
static void make_room(
        struct allocator *a, struct pair *pair, const struct resources *refused, struct mono_time expires)
{
        struct filter *f, *next, *first = NULL;

        for (f = pair->filters; f; f = next) {
                next = f->same;
                if (f->expires.ns <= expires.ns && resources_contains(refused, &f->refused->resources))
                        filter_free(a, f);
        }
        for (f = pair->filters; f; f = f->same)
                if (!first || f->expires.ns < first->expires.ns)
                        first = f;
        if (first && pair->filter_count >= REFUSALS_MAX)
                filter_free(a, first);
}

void filter_set(struct allocator *a, struct agent_slot *agent, struct client *client,
        const struct resources *refused, struct mono_time expires)
{
        struct pair *pair = pair_get(agent, client);
        struct filter *f;

        drop_forgotten(a, pair);
        if (is_covered(pair, refused, expires))
                return;
        make_room(a, pair, refused, expires);
        f = NEW0(struct filter);
        f->pair = pair;
        f->epoch = client->epoch;
        f->agent_epoch = agent->epoch;
        f->expires = expires;
        f->refused = refused_get(agent, refused);
        LL_APPEND2(pair->filters, f, same);
        pair->filter_count++;
        client->role->filters++;
        client->filter_count++;
        DL_APPEND(client->filters, f);
        heap_add(&a->heap, f);
}

bool filter_refuses_all(const struct agent_slot *agent, const struct client *client)
{
        const struct pair *pair = agent->refused_is_free ? pair_find(agent, client) : NULL;

        if (!pair)
                return false;
        for (const struct filter *f = pair->filters; f; f = f->same)
                if (f->refused == agent->refused && filter_is_live(f))
                        return true;
        return false;
}

bool filter_refuses(
        const struct agent_slot *agent, const struct client *client, const struct resources *offer)
{
        const struct pair *pair = pair_find(agent, client);

        if (!pair)
                return false;
        for (const struct filter *f = pair->filters; f; f = f->same)
                if (filter_is_live(f) && resources_contains(&f->refused->resources, offer))
                        return true;
        return false;
}

bool filters_expire(struct allocator *a, struct mono_time now, size_t most)
{
        for (; most > 0 && a->heap.count > 0 && a->heap.items[0]->expires.ns <= now.ns; most--) {
                struct filter *f = a->heap.items[0];
                struct pair *pair = f->pair;
                bool counts = filter_is_live(f) && pair->agent->listed;

                filter_free(a, f);
                if (counts)
                        pair_set_expired(a, pair, true);
                else
                        pair_free_if_unused(a, pair);
        }
        return a->heap.count == 0 || a->heap.items[0]->expires.ns > now.ns;
}
