#include "master/allocator/scalars.h"

#include <stdlib.h>
#include <string.h>

static size_t add_name(struct scalar_names *n, const char *name)
{
        n->names = xrealloc(n->names, (n->count + 1) * sizeof(*n->names));
        (void)snprintf(n->names[n->count], RESOURCE_NAME_MAX, "%s", name);
        return n->count++;
}

void scalar_names_init(struct scalar_names *n)
{
        *n = (struct scalar_names){};
        add_name(n, "cpus");
        add_name(n, "mem");
        add_name(n, "disk");
}

void scalar_names_done(struct scalar_names *n)
{
        free(n->names);
        *n = (struct scalar_names){};
}

size_t scalar_find(const struct scalar_names *n, const char *name)
{
        for (size_t i = 0; i < n->count; i++)
                if (strcmp(n->names[i], name) == 0)
                        return i;
        return SIZE_MAX;
}

size_t scalar_number(struct scalar_names *n, const char *name)
{
        size_t known = scalar_find(n, name);

        return known != SIZE_MAX ? known : add_name(n, name);
}

void amounts_done(struct amounts *x)
{
        free(x->milli);
        *x = (struct amounts){};
}

static uint64_t *amounts_at(struct amounts *x, size_t number)
{
        if (number >= x->count) {
                x->milli = xrealloc(x->milli, (number + 1) * sizeof(*x->milli));
                memset(x->milli + x->count, 0, (number + 1 - x->count) * sizeof(*x->milli));
                x->count = number + 1;
        }
        return &x->milli[number];
}

void amounts_set(struct amounts *x, size_t number, uint64_t milli)
{
        if (milli > 0 || number < x->count)
                *amounts_at(x, number) = milli;
}

void amounts_add(struct amounts *x, size_t number, uint64_t milli)
{
        if (milli > 0)
                *amounts_at(x, number) += milli;
}

void amounts_take(struct amounts *x, size_t number, uint64_t milli)
{
        if (milli == 0)
                return;
        assert(amounts_get(x, number) >= milli);
        x->milli[number] -= milli;
}

bool amounts_equal(const struct amounts *a, const struct amounts *b)
{
        for (size_t i = 0; i < MAX(a->count, b->count); i++)
                if (amounts_get(a, i) != amounts_get(b, i))
                        return false;
        return true;
}

bool amounts_zero(const struct amounts *x)
{
        return amounts_equal(x, &(struct amounts){});
}

void amounts_to_resources(const struct amounts *x, const struct scalar_names *n, struct resources *ret)
{
        struct resources made = {};

        for (size_t i = 0; i < x->count; i++)
                resources_set_scalar(&made, n->names[i], x->milli[i]);
        *ret = made;
}
