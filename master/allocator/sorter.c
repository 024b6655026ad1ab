#include "master/allocator/sorter.h"

#include <stdlib.h>
#include <string.h>

void sorter_done(struct sorter *s)
{
        free(s->order);
        *s = (struct sorter){};
}

void sorter_entry_init(struct sorter_entry *e, const char *name, uint64_t weight_milli)
{
        *e = (struct sorter_entry){.name = name, .weight_milli = weight_milli};
}

void sorter_entry_done(struct sorter_entry *e)
{
        assert(!e->active);
        resources_done(&e->allocated);
}

uint64_t sorter_share(const struct resources *allocated, uint64_t weight_milli, const struct resources *total)
{
        unsigned __int128 share = 0;

        for (size_t i = 0; i < allocated->count; i++) {
                const struct resource *r = &allocated->entries[i];

                if (r->kind != RESOURCE_SCALAR)
                        continue;
                uint64_t of = resources_scalar(total, r->name);
                /* What the cluster no longer has counts as all of it. */
                unsigned __int128 part = of == 0 ? SHARE_ONE : (unsigned __int128)r->milli * SHARE_ONE / of;
                share = MAX(share, part);
        }
        share = share * WEIGHT_DEFAULT_MILLI / weight_milli;
        return share > UINT64_MAX ? UINT64_MAX : (uint64_t)share;
}

static int entry_compare(const struct sorter_entry *a, const struct sorter_entry *b)
{
        if (a->share != b->share)
                return a->share < b->share ? -1 : 1;
        if (a->allocations != b->allocations)
                return a->allocations < b->allocations ? -1 : 1;
        return strcmp(a->name, b->name);
}

static int entry_compare_qsort(const void *a, const void *b)
{
        return entry_compare(*(struct sorter_entry *const *)a, *(struct sorter_entry *const *)b);
}

/* Where e is, or where it belongs: the first place whose entry does not come before it. */
static size_t sorter_place(const struct sorter *s, const struct sorter_entry *e)
{
        size_t low = 0, high = s->count;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (entry_compare(s->order[middle], e) < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

static void sorter_take_out(struct sorter *s, struct sorter_entry *e)
{
        size_t at = sorter_place(s, e);

        assert(at < s->count && s->order[at] == e);
        memmove(s->order + at, s->order + at + 1, (s->count - at - 1) * sizeof(*s->order));
        s->count--;
}

static void sorter_put_in(struct sorter *s, struct sorter_entry *e)
{
        if (s->count == s->capacity) {
                s->capacity = MAX(s->capacity * 2, (size_t)8);
                s->order = xrealloc(s->order, s->capacity * sizeof(*s->order));
        }
        size_t at = sorter_place(s, e);

        memmove(s->order + at + 1, s->order + at, (s->count - at) * sizeof(*s->order));
        s->order[at] = e;
        s->count++;
}

void sorter_refresh(struct sorter *s, const struct resources *total, uint64_t total_generation)
{
        if (s->total_generation == total_generation)
                return;
        for (size_t i = 0; i < s->count; i++)
                s->order[i]->share = sorter_share(&s->order[i]->allocated, s->order[i]->weight_milli, total);
        if (s->count > 0)
                qsort(s->order, s->count, sizeof(*s->order), entry_compare_qsort);
        s->total_generation = total_generation;
}

void sorter_activate(struct sorter *s, struct sorter_entry *e, const struct resources *total)
{
        if (e->active)
                return;
        e->active = true;
        e->share = sorter_share(&e->allocated, e->weight_milli, total);
        sorter_put_in(s, e);
}

void sorter_deactivate(struct sorter *s, struct sorter_entry *e)
{
        if (!e->active)
                return;
        sorter_take_out(s, e);
        e->active = false;
}

void sorter_set_weight(
        struct sorter *s, struct sorter_entry *e, uint64_t weight_milli, const struct resources *total)
{
        bool active = e->active;

        assert(weight_milli > 0);
        sorter_deactivate(s, e);
        e->weight_milli = weight_milli;
        if (active)
                sorter_activate(s, e, total);
}

void sorter_add(struct sorter *s, struct sorter_entry *e, const struct resources *r, unsigned bookings,
        const struct resources *total)
{
        bool active = e->active;

        sorter_deactivate(s, e);
        resources_add(&e->allocated, r);
        e->allocations += bookings;
        if (active)
                sorter_activate(s, e, total);
}

void sorter_remove(struct sorter *s, struct sorter_entry *e, const struct resources *r, unsigned bookings,
        const struct resources *total)
{
        bool active = e->active;
        int k;

        sorter_deactivate(s, e);
        k = resources_subtract(&e->allocated, r);
        assert(k == 0);
        (void)k;
        assert(e->allocations >= bookings);
        e->allocations -= bookings;
        if (active)
                sorter_activate(s, e, total);
}
