#include "master/api/read/read.h"

#include <stdlib.h>
#include <string.h>

static const char *const always[] = {"cpus", "gpus", "mem", "disk"};

static bool is_always_there(const char *name)
{
        for (size_t i = 0; i < ELEMENTSOF(always); i++)
                if (str_equal(name, always[i]))
                        return true;
        return false;
}

void resource_ranges_text(struct buffer *text, const struct resource_range *ranges, size_t count)
{
        buffer_puts(text, "[");
        for (size_t i = 0; i < count; i++)
                buffer_printf(text, "%s%ju-%ju", i > 0 ? ", " : "", (uintmax_t)ranges[i].begin,
                        (uintmax_t)ranges[i].end);
        buffer_puts(text, "]");
}

void resource_items_text(struct buffer *text, char *const *items, size_t count)
{
        buffer_puts(text, "{");
        for (size_t i = 0; i < count; i++)
                buffer_printf(text, "%s%s", i > 0 ? "," : "", items[i]);
        buffer_puts(text, "}");
}

static void json_entry(struct buffer *out, const struct resource *r)
{
        _cleanup_buffer_ struct buffer text = {};

        json_member(out, r->name);
        if (r->kind == RESOURCE_SCALAR) {
                json_put_double(out, NULL, milli_to_double(r->milli));
                return;
        }
        if (r->kind == RESOURCE_RANGES)
                resource_ranges_text(&text, r->ranges, r->range_count);
        else
                resource_items_text(&text, r->items, r->item_count);
        json_put_string(out, NULL, text.data);
}

void json_resources(struct buffer *out, const char *key, const struct resources *r)
{
        json_begin_object(out, key);
        for (size_t i = 0; i < ELEMENTSOF(always); i++)
                json_put_double(out, always[i], milli_to_double(resources_scalar(r, always[i])));
        for (size_t i = 0; i < r->count; i++)
                if (!is_always_there(r->entries[i].name))
                        json_entry(out, &r->entries[i]);
        json_end_object(out);
}

void json_resources_of(struct buffer *out, const char *key, Mete__V1__Resource *const *list, size_t count)
{
        _cleanup_resources_ struct resources r = {};

        if (resources_from_proto(list, count, "resources", &r, NULL) < 0)
                r = (struct resources){};
        json_resources(out, key, &r);
}

const char *resource_role(const Mete__V1__Resource *r)
{
        const char *role = r->n_reservations > 0 ? r->reservations[r->n_reservations - 1]->role : r->role;

        return role ? role : "*";
}

/* ---- sums by role ---- */

static struct role_sum *role_sums_get(struct role_sums *s, const char *role)
{
        for (size_t i = 0; i < s->count; i++)
                if (str_equal(s->items[i].role, role))
                        return &s->items[i];
        s->items = xrealloc(s->items, (s->count + 1) * sizeof(*s->items));
        s->items[s->count] = (struct role_sum){.role = role};
        return &s->items[s->count++];
}

void role_sums_add(struct role_sums *s, const char *role, const struct resources *r)
{
        resources_add(&role_sums_get(s, role)->resources, r);
}

void role_sums_add_message(struct role_sums *s, const char *role, Mete__V1__Resource *r)
{
        _cleanup_resources_ struct resources one = {};

        if (resources_from_proto(&r, 1, "resources", &one, NULL) >= 0)
                role_sums_add(s, role, &one);
}

void role_sums_done(struct role_sums *s)
{
        for (size_t i = 0; i < s->count; i++)
                resources_done(&s->items[i].resources);
        free(s->items);
        *s = (struct role_sums){};
}
