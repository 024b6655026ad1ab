/*
 * Scalars by number: each name gets a small number for as long as the allocator lives, so that sums over the cluster, roles and
 * frameworks are arrays, and adding to one is no search. No I/O, single thread.
 */
#pragma once

#include "lib/base/resources.h"

enum { SCALAR_CPUS, SCALAR_MEM }; /* these numbers are always theirs */

struct scalar_names {
        char (*names)[RESOURCE_NAME_MAX];
        size_t count;
};
void scalar_names_init(struct scalar_names *n);
void scalar_names_done(struct scalar_names *n);
size_t scalar_number(struct scalar_names *n, const char *name);     /* a new one when it is not known yet */
size_t scalar_find(const struct scalar_names *n, const char *name); /* SIZE_MAX when it is not known */

/* Thousandths by number; zero-initialised is all zero. */
struct amounts {
        uint64_t *milli;
        size_t count; /* those beyond are 0 */
};
void amounts_done(struct amounts *x);
static inline uint64_t amounts_get(const struct amounts *x, size_t number)
{
        return number < x->count ? x->milli[number] : 0;
}
void amounts_set(struct amounts *x, size_t number, uint64_t milli);
void amounts_add(struct amounts *x, size_t number, uint64_t milli);
void amounts_take(struct amounts *x, size_t number, uint64_t milli); /* it must be there: asserted */
bool amounts_equal(const struct amounts *a, const struct amounts *b);
bool amounts_zero(const struct amounts *x);
void amounts_to_resources(const struct amounts *x, const struct scalar_names *n, struct resources *ret);
