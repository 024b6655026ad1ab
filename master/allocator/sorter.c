/*
 * A treap: a search tree by share that is also a heap by random priorities, which keeps it as deep as a logarithm without further
 * bookkeeping. (Seidel, Aragon: Randomized search trees, 1996.) The priorities come from a counter, the same on every run.
 */
#include "master/allocator/sorter.h"

#include <stdlib.h>
#include <string.h>

void sorter_entry_init(struct sorter_entry *e, const char *name, bool is_role)
{
        *e = (struct sorter_entry){.name = name, .weight_milli = WEIGHT_DEFAULT_MILLI, .is_role = is_role};
}

void sorter_entry_done(struct sorter_entry *e)
{
        assert(!e->active);
        amounts_done(&e->allocated);
}

uint64_t sorter_share(const struct amounts *allocated, uint64_t weight_milli, const struct amounts *total)
{
        unsigned __int128 share = 0;

        for (size_t i = 0; i < allocated->count; i++) {
                uint64_t of = amounts_get(total, i), have = allocated->milli[i];

                if (have == 0)
                        continue;
                /* What the cluster no longer has counts as all of it. */
                share = MAX(share, of == 0 ? SHARE_ONE : (unsigned __int128)have * SHARE_ONE / of);
        }
        if (weight_milli != WEIGHT_DEFAULT_MILLI)
                share = share * WEIGHT_DEFAULT_MILLI / weight_milli;
        return share > UINT64_MAX ? UINT64_MAX : (uint64_t)share;
}

bool sorter_before(const struct sorter_entry *a, const struct sorter_entry *b)
{
        int c;

        if (a->share != b->share)
                return a->share < b->share;
        if (a->bookings != b->bookings)
                return a->bookings < b->bookings;
        c = strcmp(a->name, b->name);
        return c != 0 ? c < 0 : a->is_role < b->is_role;
}

static int compare_for_qsort(const void *a, const void *b)
{
        const struct sorter_entry *x = *(struct sorter_entry *const *)a,
                                  *y = *(struct sorter_entry *const *)b;

        return x == y ? 0 : sorter_before(x, y) ? -1 : 1;
}

/* True when that changed something. */
static bool update_newest(struct sorter_entry *e)
{
        bool changed = false;

        for (size_t i = 0; i < LOOK_MAX; i++) {
                uint64_t newest = e->generation[i];

                if (e->left)
                        newest = MAX(newest, e->left->newest[i]);
                if (e->right)
                        newest = MAX(newest, e->right->newest[i]);
                changed |= newest != e->newest[i];
                e->newest[i] = newest;
        }
        return changed;
}

static void update_upwards(struct sorter_entry *e)
{
        while (e && update_newest(e))
                e = e->above;
}

static struct sorter_entry **link_to(struct sorter *s, const struct sorter_entry *e)
{
        if (!e->above)
                return &s->top;
        return e->above->left == e ? &e->above->left : &e->above->right;
}

/* Changes places with the one above it. */
static void rotate_up(struct sorter *s, struct sorter_entry *e)
{
        struct sorter_entry *down = e->above, *moved;

        *link_to(s, down) = e;
        e->above = down->above;
        if (down->left == e) {
                moved = e->right;
                down->left = moved;
                e->right = down;
        } else {
                moved = e->left;
                down->right = moved;
                e->left = down;
        }
        down->above = e;
        if (moved)
                moved->above = down;
        update_newest(down);
        update_newest(e);
}

/* Well spread from a counter: the finaliser of MurmurHash3. */
static uint32_t spread(uint64_t x)
{
        x = (x ^ (x >> 33)) * UINT64_C(0xff51afd7ed558ccd);
        x = (x ^ (x >> 33)) * UINT64_C(0xc4ceb9fe1a85ec53);
        return (uint32_t)(x >> 32);
}

static void tree_insert(struct sorter *s, struct sorter_entry *e)
{
        struct sorter_entry **place = &s->top;

        e->above = e->left = e->right = NULL;
        while (*place) {
                e->above = *place;
                place = sorter_before(e, *place) ? &(*place)->left : &(*place)->right;
        }
        *place = e;
        (void)update_newest(e);
        update_upwards(e->above);
        while (e->above && e->above->priority < e->priority)
                rotate_up(s, e);
        s->count++;
}

static void tree_remove(struct sorter *s, struct sorter_entry *e)
{
        while (e->left || e->right)
                rotate_up(s, !e->right || (e->left && e->left->priority > e->right->priority) ? e->left
                                                                                              : e->right);
        *link_to(s, e) = NULL;
        update_upwards(e->above);
        e->above = NULL;
        s->count--;
}

void sorter_put_in(struct sorter *s, struct sorter_entry *e, const struct amounts *total)
{
        if (e->active)
                return;
        e->active = true;
        e->share = sorter_share(&e->allocated, e->weight_milli, total);
        e->priority = spread(++s->inserted);
        tree_insert(s, e);
}

void sorter_take_out(struct sorter *s, struct sorter_entry *e)
{
        if (!e->active)
                return;
        tree_remove(s, e);
        e->active = false;
}

void sorter_set_generation(struct sorter_entry *e, const uint64_t generation[LOOK_MAX])
{
        memcpy(e->generation, generation, sizeof(e->generation));
        if (e->active)
                update_upwards(e);
}

uint64_t sorter_newest(const struct sorter *s, enum look look)
{
        return s->top ? s->top->newest[look] : 0;
}

static size_t collect(struct sorter_entry *e, struct sorter_entry **ret)
{
        size_t n = 0;

        if (e->left)
                n += collect(e->left, ret);
        ret[n++] = e;
        if (e->right)
                n += collect(e->right, ret + n);
        return n;
}

void sorter_refresh(struct sorter *s, const struct amounts *total, uint64_t total_generation)
{
        struct sorter_entry **all;
        size_t count = s->count;

        if (s->total_generation == total_generation)
                return;
        s->total_generation = total_generation;
        if (count == 0)
                return;
        all = xcalloc(count, sizeof(struct sorter_entry *));
        (void)collect(s->top, all);
        for (size_t i = 0; i < count; i++)
                all[i]->share = sorter_share(&all[i]->allocated, all[i]->weight_milli, total);
        qsort(all, count, sizeof(struct sorter_entry *), compare_for_qsort);
        s->top = NULL;
        s->count = 0;
        for (size_t i = 0; i < count; i++)
                tree_insert(s, all[i]);
        free(all);
}

static void *walk(struct sorter_entry *e, enum look look, uint64_t generation,
        void *(*visit)(struct sorter_entry *e, void *userdata), void *userdata)
{
        void *found = NULL;

        for (; e && e->newest[look] > generation; e = e->right) {
                found = walk(e->left, look, generation, visit, userdata);
                if (!found && e->generation[look] > generation)
                        found = visit(e, userdata);
                if (found)
                        break;
        }
        return found;
}

void *sorter_walk(const struct sorter *s, enum look look, uint64_t generation,
        void *(*visit)(struct sorter_entry *e, void *userdata), void *userdata)
{
        return walk(s->top, look, generation, visit, userdata);
}
