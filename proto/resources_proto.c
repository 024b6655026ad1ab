#include "proto/validate.h"

#include <string.h>

#include "proto/resource_traits_proto.h"

struct conversion {
        const char *field;
        size_t index;
        size_t parts; /* ranges and items so far */
        struct resources *sum;
        struct resources *to; /* where the amount goes: sum itself, or one that gets traits */
        struct error *e;
};

static int refuse(const struct conversion *c, int code, const char *member, const char *why)
{
        return error_set(c->e, code, "%s[%zu]%s: %s", c->field, c->index, member, why);
}

/* Names stand in command lines, metrics and the text form of vectors ("cpus:0.5;mem:64"). */
static bool name_valid(const char *s)
{
        size_t n = strlen(s);
        if (n == 0 || n >= RESOURCE_NAME_MAX)
                return false;
        static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
        return strspn(s, allowed) == n;
}

static const struct resource *find_entry(const struct resources *r, const char *name)
{
        for (size_t i = 0; i < r->count; i++)
                if (str_equal(r->entries[i].name, name))
                        return &r->entries[i];
        return NULL;
}

static int add_scalar(struct conversion *c, const Mete__V1__Resource *m)
{
        uint64_t milli;
        if (!m->scalar)
                return refuse(c, -EINVAL, ".scalar", "required for the type SCALAR but missing");
        int r = milli_from_double(m->scalar->value, &milli);
        if (r == -EINVAL)
                return refuse(c, r, ".scalar.value", "expected a finite number of at least 0");
        uint64_t sum = r < 0 ? 0 : resources_scalar(c->sum, m->name);
        if (r < 0 || milli > RESOURCE_MILLI_MAX - sum)
                return refuse(c, -ERANGE, ".scalar.value",
                        "larger than any machine: at most 9007199254.74 is accepted");
        resources_set_scalar(c->to, m->name, resources_plain_scalar(c->to, m->name) + milli);
        return 0;
}

static int add_ranges(struct conversion *c, const Mete__V1__Resource *m)
{
        if (!m->ranges)
                return refuse(c, -EINVAL, ".ranges", "required for the type RANGES but missing");
        c->parts += m->ranges->n_range;
        if (c->parts > RESOURCE_PARTS_MAX)
                return refuse(c, -E2BIG, ".ranges", "too many ranges and items, at most 4096 are accepted");
        for (size_t i = 0; i < m->ranges->n_range; i++) {
                const Mete__V1__Value__Range *range = m->ranges->range[i];
                if (resources_add_range(c->to, m->name, range->begin, range->end) < 0)
                        return refuse(
                                c, -EINVAL, ".ranges", "expected ranges that do not end before they begin");
        }
        return 0;
}

static int add_items(struct conversion *c, const Mete__V1__Resource *m)
{
        if (!m->set)
                return refuse(c, -EINVAL, ".set", "required for the type SET but missing");
        c->parts += m->set->n_item;
        if (c->parts > RESOURCE_PARTS_MAX)
                return refuse(c, -E2BIG, ".set", "too many ranges and items, at most 4096 are accepted");
        for (size_t i = 0; i < m->set->n_item; i++) {
                if (!name_valid(m->set->item[i]))
                        return refuse(
                                c, -EINVAL, ".set.item", "expected 1 to 63 letters, digits, '_', '-', '.'");
                resources_add_item(c->to, m->name, m->set->item[i]);
        }
        return 0;
}

static int add_amount(struct conversion *c, const Mete__V1__Resource *m)
{
        static const enum resource_kind kinds[] = {
                [METE__V1__VALUE__TYPE__SCALAR] = RESOURCE_SCALAR,
                [METE__V1__VALUE__TYPE__RANGES] = RESOURCE_RANGES,
                [METE__V1__VALUE__TYPE__SET] = RESOURCE_SET,
        };
        if (!m->name || !name_valid(m->name))
                return refuse(c, -EINVAL, ".name", "expected 1 to 63 letters, digits, '_', '-', '.'");
        if ((size_t)m->type >= ELEMENTSOF(kinds))
                return refuse(c, -EINVAL, ".type", "expected SCALAR, RANGES or SET");
        const struct resource *known = find_entry(c->sum, m->name);
        if (known && known->kind != kinds[m->type])
                return refuse(c, -EINVAL, ".type", "differs from that of the same name before it");
        if (m->type == METE__V1__VALUE__TYPE__SCALAR)
                return add_scalar(c, m);
        return m->type == METE__V1__VALUE__TYPE__RANGES ? add_ranges(c, m) : add_items(c, m);
}

static int add_resource(struct conversion *c, const Mete__V1__Resource *m)
{
        _cleanup_resources_ struct resources plain = {}, with = {};
        const struct resource_traits *traits = NULL;
        int r = 0;
        c->to = c->sum;
        if (resource_has_traits(m)) {
                _cleanup_free_ char *path = xasprintf("%s[%zu]", c->field, c->index);
                c->to = &plain;
                r = resource_traits_from_proto(m, path, &traits, c->e);
        }
        if (r >= 0)
                r = add_amount(c, m);
        if (r >= 0 && c->to == &plain) {
                resources_with_traits(&plain, traits, &with);
                resources_add(c->sum, &with);
        }
        resource_traits_unref(traits);
        return r;
}

int resources_from_proto(Mete__V1__Resource *const *resources, size_t count, const char *field,
        struct resources *ret, struct error *e)
{
        _cleanup_resources_ struct resources sum = {};
        struct conversion c = {.field = field, .sum = &sum, .e = e};
        if (count > RESOURCE_PARTS_MAX)
                return error_set(e, -E2BIG, "%s: at most %d are accepted", field, RESOURCE_PARTS_MAX);
        for (; c.index < count; c.index++) {
                int r = add_resource(&c, resources[c.index]);
                if (r < 0)
                        return r;
        }
        *ret = sum;
        sum = (struct resources){};
        return 0;
}

static void fill_scalar(Mete__V1__Resource *m, const struct resource *entry)
{
        m->type = METE__V1__VALUE__TYPE__SCALAR;
        m->scalar = NEW0(Mete__V1__Value__Scalar);
        mete__v1__value__scalar__init(m->scalar);
        m->scalar->value = milli_to_double(entry->milli);
}

static void fill_ranges(Mete__V1__Resource *m, const struct resource *entry)
{
        m->type = METE__V1__VALUE__TYPE__RANGES;
        m->ranges = NEW0(Mete__V1__Value__Ranges);
        mete__v1__value__ranges__init(m->ranges);
        m->ranges->range = xcalloc(entry->range_count, sizeof(*m->ranges->range));
        m->ranges->n_range = entry->range_count;
        for (size_t i = 0; i < entry->range_count; i++) {
                Mete__V1__Value__Range *range = m->ranges->range[i] = NEW0(Mete__V1__Value__Range);
                mete__v1__value__range__init(range);
                range->begin = entry->ranges[i].begin;
                range->end = entry->ranges[i].end;
        }
}

static void fill_set(Mete__V1__Resource *m, const struct resource *entry)
{
        m->type = METE__V1__VALUE__TYPE__SET;
        m->set = NEW0(Mete__V1__Value__Set);
        mete__v1__value__set__init(m->set);
        m->set->item = xcalloc(entry->item_count, sizeof(*m->set->item));
        m->set->n_item = entry->item_count;
        for (size_t i = 0; i < entry->item_count; i++)
                m->set->item[i] = xstrdup(entry->items[i]);
}

void resources_to_proto(const struct resources *r, const char *allocated_to, bool with_role,
        Mete__V1__Resource ***ret, size_t *ret_count)
{
        Mete__V1__Resource **all = r->count ? xcalloc(r->count, sizeof(*all)) : NULL;
        for (size_t i = 0; i < r->count; i++) {
                const struct resource *entry = &r->entries[i];
                Mete__V1__Resource *m = all[i] = NEW0(Mete__V1__Resource);
                mete__v1__resource__init(m);
                m->name = xstrdup(entry->name);
                if (entry->kind == RESOURCE_SCALAR)
                        fill_scalar(m, entry);
                else if (entry->kind == RESOURCE_RANGES)
                        fill_ranges(m, entry);
                else
                        fill_set(m, entry);
                resource_traits_to_proto(entry->traits, /* old_form= */ with_role, m);
                if (!allocated_to)
                        continue;
                m->allocation_info = NEW0(Mete__V1__Resource__AllocationInfo);
                mete__v1__resource__allocation_info__init(m->allocation_info);
                m->allocation_info->role = xstrdup(allocated_to);
        }
        *ret = all;
        *ret_count = r->count;
}
