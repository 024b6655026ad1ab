/*
 * A vector is sorted by name (and kind, should two parties use one name for two kinds; and traits), so that every
 * operation on two of them is a merge of two sorted lists, and within an entry ranges and items are sorted
 * lists too. Most entries have no traits: those come first, and comparing theirs compares two null pointers.
 */
#include "lib/base/resources.h"

#include <stdlib.h>
#include <string.h>

static int entry_compare(const struct resource *e, const char *name, enum resource_kind kind,
        const struct resource_traits *traits)
{
        int r = strcmp(e->name, name);

        if (r == 0)
                r = (int)e->kind - (int)kind;
        if (r != 0 || e->traits == traits)
                return r;
        return resource_traits_compare(e->traits, traits);
}

static int entries_compare(const struct resource *a, const struct resource *b)
{
        return entry_compare(a, b->name, b->kind, b->traits);
}

/* The index of the entry, or where it would go; *ret_found tells which. */
static size_t find(const struct resources *r, const char *name, enum resource_kind kind,
        const struct resource_traits *traits, bool *ret_found)
{
        size_t low = 0, high = r->count;

        while (low < high) {
                size_t middle = low + (high - low) / 2;
                int c = entry_compare(&r->entries[middle], name, kind, traits);

                if (c == 0) {
                        *ret_found = true;
                        return middle;
                }
                if (c < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        *ret_found = false;
        return low;
}

static struct resource *lookup(const struct resources *r, const char *name, enum resource_kind kind,
        const struct resource_traits *traits)
{
        bool found;
        size_t i = find(r, name, kind, traits, &found);

        return found ? &r->entries[i] : NULL;
}

static struct resource *find_or_insert(
        struct resources *r, const char *name, enum resource_kind kind, const struct resource_traits *traits)
{
        bool found;
        size_t i = find(r, name, kind, traits, &found);

        if (found)
                return &r->entries[i];
        assert(resource_name_valid(name));
        r->entries = xrealloc(r->entries, (r->count + 1) * sizeof(*r->entries));
        memmove(r->entries + i + 1, r->entries + i, (r->count - i) * sizeof(*r->entries));
        r->count++;
        r->entries[i] = (struct resource){.kind = kind, .traits = resource_traits_ref(traits)};
        (void)snprintf(r->entries[i].name, RESOURCE_NAME_MAX, "%s", name);
        return &r->entries[i];
}

static void entry_done(struct resource *e)
{
        for (size_t i = 0; i < e->item_count; i++)
                free(e->items[i]);
        free(e->items);
        free(e->ranges);
        resource_traits_unref(e->traits);
        *e = (struct resource){};
}

static bool entry_empty(const struct resource *e)
{
        return e->milli == 0 && e->range_count == 0 && e->item_count == 0;
}

static void remove_entry(struct resources *r, struct resource *e)
{
        size_t i = (size_t)(e - r->entries);

        entry_done(e);
        r->count--;
        memmove(e, e + 1, (r->count - i) * sizeof(*e));
}

void resources_done(struct resources *r)
{
        for (size_t i = 0; i < r->count; i++)
                entry_done(&r->entries[i]);
        free(r->entries);
        *r = (struct resources){};
}

static void entry_copy(const struct resource *from, struct resource *ret)
{
        *ret = *from;
        (void)resource_traits_ref(ret->traits);
        ret->ranges = NULL;
        ret->items = NULL;
        if (from->range_count > 0)
                ret->ranges = xmemdup(from->ranges, from->range_count * sizeof(*from->ranges));
        if (from->item_count > 0) {
                ret->items = xcalloc(from->item_count, sizeof(*from->items));
                for (size_t i = 0; i < from->item_count; i++)
                        ret->items[i] = xstrdup(from->items[i]);
        }
}

void resources_copy(const struct resources *from, struct resources *ret)
{
        struct resources copy = {};

        if (from->count > 0) {
                copy.entries = xcalloc(from->count, sizeof(*copy.entries));
                copy.count = from->count;
                for (size_t i = 0; i < from->count; i++)
                        entry_copy(&from->entries[i], &copy.entries[i]);
        }
        *ret = copy;
}

bool resource_name_valid(const char *name)
{
        size_t len = name ? strlen(name) : 0;

        if (len == 0 || len >= RESOURCE_NAME_MAX)
                return false;
        for (size_t i = 0; i < len; i++)
                if ((unsigned char)name[i] <= ' ' || (unsigned char)name[i] >= 0x7f ||
                        strchr(":;,[]{}()", name[i]))
                        return false;
        return true;
}

static uint64_t sum_of(uint64_t a, uint64_t b)
{
        uint64_t sum;

        /* Inputs are bounded far below: a sum that leaves 64 bits could only be a mistake of ours. */
        return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

uint64_t resources_scalar(const struct resources *r, const char *name)
{
        bool found;
        uint64_t sum = 0;

        for (size_t i = find(r, name, RESOURCE_SCALAR, NULL, &found);
                i < r->count && r->entries[i].kind == RESOURCE_SCALAR && str_equal(r->entries[i].name, name);
                i++)
                sum = sum_of(sum, r->entries[i].milli);
        return sum;
}

uint64_t resources_plain_scalar(const struct resources *r, const char *name)
{
        const struct resource *e = lookup(r, name, RESOURCE_SCALAR, NULL);

        return e ? e->milli : 0;
}

void resources_set_scalar(struct resources *r, const char *name, uint64_t milli)
{
        struct resource *e;

        if (milli > 0) {
                find_or_insert(r, name, RESOURCE_SCALAR, NULL)->milli = milli;
                return;
        }
        e = lookup(r, name, RESOURCE_SCALAR, NULL);
        if (e)
                remove_entry(r, e);
}

/* Do a and b (a begins first) overlap or touch, so that they make one range? */
static bool joins(const struct resource_range *a, const struct resource_range *b)
{
        return b->begin <= a->end || b->begin - a->end == 1;
}

int resources_add_range(struct resources *r, const char *name, uint64_t begin, uint64_t end)
{
        struct resource_range range = {begin, end};
        struct resource *e;
        size_t first, behind;

        if (begin > end || !resource_name_valid(name))
                return -EINVAL;
        e = lookup(r, name, RESOURCE_RANGES, NULL);
        if (e && e->range_count >= RESOURCE_RANGES_MAX)
                return -E2BIG;
        if (!e)
                e = find_or_insert(r, name, RESOURCE_RANGES, NULL);
        /* [first, behind) are the ranges that the new one swallows. From the end: sorted input is the usual
         * case. */
        for (first = e->range_count; first > 0; first--)
                if (e->ranges[first - 1].begin <= range.begin && !joins(&e->ranges[first - 1], &range))
                        break;
        for (behind = first; behind < e->range_count; behind++) {
                const struct resource_range *old = &e->ranges[behind];

                if (old->begin > range.begin && !joins(&range, old))
                        break;
                range.begin = MIN(range.begin, old->begin);
                range.end = MAX(range.end, old->end);
        }
        if (behind == first)
                e->ranges = xrealloc(e->ranges, (e->range_count + 1) * sizeof(*e->ranges));
        memmove(e->ranges + first + 1, e->ranges + behind, (e->range_count - behind) * sizeof(*e->ranges));
        e->range_count = e->range_count - (behind - first) + 1;
        e->ranges[first] = range;
        return 0;
}

static void add_item(struct resource *e, const char *item)
{
        size_t low = 0, high = e->item_count;

        while (low < high) {
                size_t middle = low + (high - low) / 2;
                int c = strcmp(e->items[middle], item);

                if (c == 0)
                        return;
                if (c < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        e->items = xrealloc(e->items, (e->item_count + 1) * sizeof(*e->items));
        memmove(e->items + low + 1, e->items + low, (e->item_count - low) * sizeof(*e->items));
        e->items[low] = xstrdup(item);
        e->item_count++;
}

void resources_add_item(struct resources *r, const char *name, const char *item)
{
        add_item(find_or_insert(r, name, RESOURCE_SET, NULL), item);
}

bool resources_empty(const struct resources *r)
{
        return r->count == 0;
}

static bool entry_equal(const struct resource *a, const struct resource *b)
{
        if (entries_compare(a, b) != 0 || a->milli != b->milli || a->range_count != b->range_count ||
                a->item_count != b->item_count)
                return false;
        for (size_t i = 0; i < a->range_count; i++)
                if (a->ranges[i].begin != b->ranges[i].begin || a->ranges[i].end != b->ranges[i].end)
                        return false;
        for (size_t i = 0; i < a->item_count; i++)
                if (!str_equal(a->items[i], b->items[i]))
                        return false;
        return true;
}

bool resources_equal(const struct resources *a, const struct resources *b)
{
        if (a->count != b->count)
                return false;
        for (size_t i = 0; i < a->count; i++)
                if (!entry_equal(&a->entries[i], &b->entries[i]))
                        return false;
        return true;
}

static bool entry_contains(const struct resource *big, const struct resource *small)
{
        size_t at = 0;

        if (small->milli > big->milli)
                return false;
        /* Ranges are never adjacent, so each small one must lie within a single big one. */
        for (size_t i = 0; i < small->range_count; i++) {
                while (at < big->range_count && big->ranges[at].end < small->ranges[i].begin)
                        at++;
                if (at == big->range_count || big->ranges[at].begin > small->ranges[i].begin ||
                        big->ranges[at].end < small->ranges[i].end)
                        return false;
        }
        at = 0;
        for (size_t i = 0; i < small->item_count; i++, at++) {
                while (at < big->item_count && strcmp(big->items[at], small->items[i]) < 0)
                        at++;
                if (at == big->item_count || strcmp(big->items[at], small->items[i]) != 0)
                        return false;
        }
        return true;
}

bool resources_contains(const struct resources *big, const struct resources *small)
{
        size_t at = 0;

        for (size_t i = 0; i < small->count; i++, at++) {
                const struct resource *s = &small->entries[i];

                int c = -1;

                for (; at < big->count; at++) {
                        c = entries_compare(&big->entries[at], s);
                        if (c >= 0)
                                break;
                }
                if (c != 0 || !entry_contains(&big->entries[at], s))
                        return false;
        }
        return true;
}

static void append_range(struct resource_range *out, size_t *count, struct resource_range range)
{
        if (*count > 0 && joins(&out[*count - 1], &range))
                out[*count - 1].end = MAX(out[*count - 1].end, range.end);
        else
                out[(*count)++] = range;
}

static void add_ranges(struct resource *e, const struct resource *other)
{
        struct resource_range *out;
        size_t count = 0, a = 0, b = 0;

        if (other->range_count == 0)
                return;
        out = xcalloc(e->range_count + other->range_count, sizeof(*out));
        while (a < e->range_count || b < other->range_count) {
                bool from_a = b == other->range_count ||
                              (a < e->range_count && e->ranges[a].begin <= other->ranges[b].begin);

                append_range(out, &count, from_a ? e->ranges[a++] : other->ranges[b++]);
        }
        free(e->ranges);
        e->ranges = out;
        e->range_count = count;
}

/* With other traits than its own. */
static void add_entry_as(
        struct resources *r, const struct resource *entry, const struct resource_traits *traits)
{
        struct resource *e;

        if (entry_empty(entry))
                return;
        e = find_or_insert(r, entry->name, entry->kind, traits);
        e->milli = sum_of(e->milli, entry->milli);
        add_ranges(e, entry);
        for (size_t k = 0; k < entry->item_count; k++)
                add_item(e, entry->items[k]);
}

void resources_add_entry(struct resources *r, const struct resource *entry)
{
        add_entry_as(r, entry, entry->traits);
}

void resources_add(struct resources *r, const struct resources *other)
{
        _cleanup_resources_ struct resources self = {};

        if (r == other) {
                resources_copy(other, &self);
                other = &self;
        }
        for (size_t i = 0; i < other->count; i++)
                resources_add_entry(r, &other->entries[i]);
}

/* e -= other, which is contained in e. */
static void subtract_ranges(struct resource *e, const struct resource *other)
{
        struct resource_range *out;
        size_t count = 0, b = 0;

        if (other->range_count == 0)
                return;
        out = xcalloc(e->range_count + other->range_count, sizeof(*out));
        for (size_t a = 0; a < e->range_count; a++) {
                struct resource_range rest = e->ranges[a];
                bool any = true;

                for (; b < other->range_count && other->ranges[b].end <= rest.end; b++) {
                        if (other->ranges[b].begin > rest.begin)
                                out[count++] =
                                        (struct resource_range){rest.begin, other->ranges[b].begin - 1};
                        any = other->ranges[b].end < rest.end;
                        if (!any) {
                                b++;
                                break;
                        }
                        rest.begin = other->ranges[b].end + 1;
                }
                if (any)
                        out[count++] = rest;
        }
        free(e->ranges);
        e->ranges = out;
        e->range_count = count;
}

static void subtract_items(struct resource *e, const struct resource *other)
{
        size_t kept = 0, b = 0;

        for (size_t a = 0; a < e->item_count; a++) {
                if (b < other->item_count && str_equal(e->items[a], other->items[b])) {
                        free(e->items[a]);
                        b++;
                } else {
                        e->items[kept++] = e->items[a];
                }
        }
        e->item_count = kept;
}

int resources_subtract(struct resources *r, const struct resources *other)
{
        if (r == other) {
                resources_done(r);
                return 0;
        }
        if (!resources_contains(r, other))
                return -ERANGE;
        for (size_t i = 0; i < other->count; i++) {
                const struct resource *o = &other->entries[i];
                struct resource *e = lookup(r, o->name, o->kind, o->traits);

                e->milli -= o->milli;
                subtract_ranges(e, o);
                subtract_items(e, o);
                if (entry_empty(e))
                        remove_entry(r, e);
        }
        return 0;
}

/* ---- by traits ---- */

void resources_filter(const struct resources *r,
        bool (*wanted)(const struct resource *entry, const void *userdata), const void *userdata,
        struct resources *ret)
{
        struct resources kept = {};

        for (size_t i = 0; i < r->count; i++)
                if (wanted(&r->entries[i], userdata))
                        resources_add_entry(&kept, &r->entries[i]);
        *ret = kept;
}

bool resource_allocatable_to(const struct resource *entry, const char *role)
{
        const char *reserved = resource_traits_role(entry->traits);

        return !reserved || role_is_within(role, reserved);
}

const struct resource *resources_find_volume(const struct resources *r, const char *role, const char *id)
{
        for (size_t i = 0; i < r->count; i++) {
                const struct resource_traits *t = r->entries[i].traits;

                if (t && str_equal(t->volume_id, id) && str_equal(resource_traits_role(t), role))
                        return &r->entries[i];
        }
        return NULL;
}

void resources_with_traits(
        const struct resources *r, const struct resource_traits *traits, struct resources *ret)
{
        struct resources all = {};

        for (size_t i = 0; i < r->count; i++)
                add_entry_as(&all, &r->entries[i], traits);
        *ret = all;
}

void resources_quantities(const struct resources *r, struct resources *ret)
{
        struct resources all = {};

        /* Those of one name are neighbours. */
        for (size_t i = 0; i < r->count; i++) {
                const struct resource *e = &r->entries[i];
                struct resource *last = all.count > 0 ? &all.entries[all.count - 1] : NULL;

                if (e->kind != RESOURCE_SCALAR)
                        continue;
                if (last && str_equal(last->name, e->name))
                        last->milli = sum_of(last->milli, e->milli);
                else
                        add_entry_as(&all, e, NULL);
        }
        *ret = all;
}

void resources_push_reservation(
        const struct resources *r, const struct resource_reservation *reservation, struct resources *ret)
{
        static const struct resource_traits none;
        struct resource_reservation stack[RESERVATIONS_MAX];
        struct resources all = {};

        for (size_t i = 0; i < r->count; i++) {
                struct resource_traits like = r->entries[i].traits ? *r->entries[i].traits : none;
                const struct resource_traits *traits;

                assert(like.reservation_count < RESERVATIONS_MAX);
                if (like.reservation_count > 0)
                        memcpy(stack, like.reservations, like.reservation_count * sizeof(*stack));
                stack[like.reservation_count++] = *reservation;
                like.reservations = stack;
                traits = resource_traits_get(&like);
                add_entry_as(&all, &r->entries[i], traits);
                resource_traits_unref(traits);
        }
        *ret = all;
}

void resources_pop_reservation(const struct resources *r, struct resources *ret)
{
        struct resources all = {};

        for (size_t i = 0; i < r->count; i++) {
                const struct resource_traits *traits = r->entries[i].traits;
                struct resource_traits like;

                if (!resource_traits_role(traits))
                        continue;
                like = *traits;
                like.reservation_count--;
                traits = resource_traits_get(&like);
                add_entry_as(&all, &r->entries[i], traits);
                resource_traits_unref(traits);
        }
        *ret = all;
}

int milli_from_double(double d, uint64_t *ret)
{
        if (__builtin_isnan(d) || __builtin_isinf(d) || d < 0)
                return -EINVAL;
        d = d * 1000 + 0.5;
        if (d >= (double)RESOURCE_MILLI_MAX + 1)
                return -ERANGE;
        *ret = (uint64_t)d;
        return 0;
}

double milli_to_double(uint64_t milli)
{
        return (double)milli / 1000;
}
