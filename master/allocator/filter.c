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

static struct refusals *refusals_find(const struct agent_slot *agent, const struct client *client)
{
        struct refusals *all;

        HASH_FIND_PTR(agent->filters, &client, all);
        return all;
}

static struct refusals *refusals_get(struct agent_slot *agent, struct client *client)
{
        struct refusals *all = refusals_find(agent, client);

        if (all)
                return all;
        all = NEW0(struct refusals);
        all->client = client;
        all->agent = agent;
        HASH_ADD_PTR(agent->filters, client, all);
        return all;
}

static void refusals_done_if_empty(struct refusals *all)
{
        if (all->count > 0)
                return;
        HASH_DEL(all->agent->filters, all);
        free(all);
}

static void filter_take_out(struct allocator *a, struct filter *f)
{
        heap_remove(&a->heap, f);
        DL_DELETE(f->refusals->client->filters, f);
        DL_DELETE2(f->refusals->filters, f, same_prev, same_next);
        f->refusals->count--;
        resources_done(&f->refused);
        free(f);
}

void filter_drop(struct allocator *a, struct filter *f)
{
        struct refusals *all = f->refusals;

        filter_take_out(a, f);
        refusals_done_if_empty(all);
}

void filters_drop_agent(struct allocator *a, struct agent_slot *agent)
{
        while (agent->filters)
                filter_drop(a, agent->filters->filters);
}

/* Does a filter that holds as long refuse all of it already? */
static bool is_covered(const struct refusals *all, const struct resources *refused, struct mono_time expires)
{
        const struct filter *f;

        DL_FOREACH2(all->filters, f, same_next)
        if (f->expires.ns >= expires.ns && resources_contains(&f->refused, refused))
                return true;
        return false;
}

/* Those that the new one covers; above the bound also the one that ends first. */
static void make_room(
        struct allocator *a, struct refusals *all, const struct resources *refused, struct mono_time expires)
{
        struct filter *f, *next, *first = NULL;

        DL_FOREACH_SAFE2(all->filters, f, next, same_next)
        if (f->expires.ns <= expires.ns && resources_contains(refused, &f->refused))
                filter_take_out(a, f);
        DL_FOREACH2(all->filters, f, same_next)
        if (!first || f->expires.ns < first->expires.ns)
                first = f;
        if (first && all->count >= REFUSALS_MAX)
                filter_take_out(a, first);
}

void filter_set(struct allocator *a, struct agent_slot *agent, struct client *client,
        const struct resources *refused, struct mono_time expires)
{
        struct refusals *all = refusals_get(agent, client);
        struct filter *f;

        if (is_covered(all, refused, expires))
                return;
        make_room(a, all, refused, expires);
        f = NEW0(struct filter);
        f->refusals = all;
        f->expires = expires;
        resources_copy(refused, &f->refused);
        DL_APPEND2(all->filters, f, same_prev, same_next);
        all->count++;
        DL_APPEND(client->filters, f);
        heap_add(&a->heap, f);
}

bool filter_refuses(const struct agent_slot *agent, const struct client *client)
{
        const struct refusals *all = refusals_find(agent, client);
        const struct filter *f;

        if (!all)
                return false;
        DL_FOREACH2(all->filters, f, same_next)
        if (resources_contains(&f->refused, &agent->free))
                return true;
        return false;
}

void filters_expire(struct allocator *a, struct mono_time now,
        void (*expired)(struct allocator *a, struct agent_slot *agent))
{
        while (a->heap.count > 0 && a->heap.items[0]->expires.ns <= now.ns) {
                struct agent_slot *agent = a->heap.items[0]->refusals->agent;

                filter_drop(a, a->heap.items[0]);
                expired(a, agent);
        }
}
