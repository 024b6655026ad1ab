/*
 * What a task needs and what a machine has, as a short vector: comparing two of them is what a pass of the queue does most. The first
 * four places are fixed, the others belong to whatever further scalars jobs ask for. From an offer's resources to the vector and back.
 * Pure. Single thread.
 */
#pragma once

#include "lib/base/resources.h"

enum { QUANTITY_CPUS, QUANTITY_MEM, QUANTITY_PORTS, QUANTITY_CORES, QUANTITY_OTHERS, QUANTITIES_MAX = 8 };

struct quantities {
        uint64_t of[QUANTITIES_MAX]; /* scalars in thousandths; ports and cores counted */
};

/* Which further scalar has which place. Places are never given back. */
struct quantity_names {
        char names[QUANTITIES_MAX - QUANTITY_OTHERS][RESOURCE_NAME_MAX];
        size_t count;
};

static inline bool quantities_within(const struct quantities *small, const struct quantities *big)
{
        for (size_t i = 0; i < QUANTITIES_MAX; i++)
                if (small->of[i] > big->of[i])
                        return false;
        return true;
}
static inline void quantities_add(struct quantities *a, const struct quantities *b)
{
        for (size_t i = 0; i < QUANTITIES_MAX; i++)
                a->of[i] += b->of[i];
}
/* Not below 0. */
static inline void quantities_subtract(struct quantities *a, const struct quantities *b)
{
        for (size_t i = 0; i < QUANTITIES_MAX; i++)
                a->of[i] -= MIN(a->of[i], b->of[i]);
}
static inline bool quantities_any(const struct quantities *a)
{
        for (size_t i = 0; i < QUANTITIES_MAX; i++)
                if (a->of[i] > 0)
                        return true;
        return false;
}
/* How many times `need` is in `have`, at most `max`; max for nothing needed. */
uint64_t quantities_times(const struct quantities *have, const struct quantities *need, uint64_t max);
/* The lowest place of which `have` has less than `need`; QUANTITIES_MAX: none. */
size_t quantities_lacking(const struct quantities *have, const struct quantities *need);

/* QUANTITIES_MAX: nobody asked for it. */
size_t quantity_place(const struct quantity_names *names, const char *name);
const char *quantity_name(const struct quantity_names *names, size_t place);
/* Of a task: its scalars. -E2BIG when there are more names than places. */
int quantities_of_size(
        struct quantity_names *names, const struct resources *size, struct quantities *ret) WARN_UNUSED;
/* What a task could be given out of these resources: neither volumes nor what is revocable. */
void quantities_available(
        const struct quantity_names *names, const struct resources *r, struct quantities *ret);
/*
 * Moves what a task gets from `from` to ret: reserved entries first, with their traits. The amounts must be there, by
 * quantities_available().
 */
void quantities_take(struct resources *from, const struct resources *size, uint32_t ports, uint32_t cores,
        struct resources *ret);
