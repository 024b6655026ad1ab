#include <stdlib.h>

#include "master/allocator/allocator_internal.h"

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

void filter_drop(struct allocator *a, struct filter *f)
{
        heap_remove(&a->heap, f);
        HASH_DEL(f->agent->filters, f);
        DL_DELETE(f->client->filters, f);
        resources_done(&f->refused);
        free(f);
}

static struct filter *filter_find(const struct agent_slot *agent, const struct client *client)
{
        struct filter *f;

        HASH_FIND_PTR(agent->filters, &client, f);
        return f;
}

/* One per client and agent: an offer is all that is free, so the latest refusal says most. */
void filter_set(struct allocator *a, struct agent_slot *agent, struct client *client,
        const struct resources *refused, struct mono_time expires)
{
        struct filter *f = filter_find(agent, client);

        if (f)
                filter_drop(a, f);
        f = NEW0(struct filter);
        f->client = client;
        f->agent = agent;
        f->expires = expires;
        resources_copy(refused, &f->refused);
        HASH_ADD_PTR(agent->filters, client, f);
        DL_APPEND(client->filters, f);
        heap_add(&a->heap, f);
}

bool filter_refuses(const struct agent_slot *agent, const struct client *client)
{
        struct filter *f = filter_find(agent, client);

        return f && resources_contains(&f->refused, &agent->free);
}

void filters_expire(struct allocator *a, struct mono_time now,
        void (*expired)(struct allocator *a, struct agent_slot *agent))
{
        while (a->heap.count > 0 && a->heap.items[0]->expires.ns <= now.ns) {
                struct agent_slot *agent = a->heap.items[0]->agent;

                filter_drop(a, a->heap.items[0]);
                expired(a, agent);
        }
}
