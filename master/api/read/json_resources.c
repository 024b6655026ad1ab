#include "master/api/read/read.h"

#include <stdlib.h>
#include <string.h>

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

void role_sums_done(struct role_sums *s)
{
        for (size_t i = 0; i < s->count; i++)
                resources_done(&s->items[i].resources);
        free(s->items);
        *s = (struct role_sums){};
}
