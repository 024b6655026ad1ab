/*
 * What a task needs and what a machine has, as a short vector: comparing two of them is what a pass of the queue does most. The first
 * four places are fixed, the others belong to whatever further scalars jobs ask for. From an offer's resources to the vector and back.
 * Pure. Single thread.
 */
#pragma once

#include "lib/base/resources.h"

enum { AMOUNT_CPUS, AMOUNT_MEM, AMOUNT_PORTS, AMOUNT_CORES, AMOUNT_OTHERS, AMOUNTS_MAX = 8 };

struct amounts {
        uint64_t of[AMOUNTS_MAX]; /* scalars in thousandths; ports and cores counted */
};

/* Which further scalar has which place. Places are never given back. */
struct amount_names {
        char names[AMOUNTS_MAX - AMOUNT_OTHERS][RESOURCE_NAME_MAX];
        size_t count;
};

static inline bool amounts_within(const struct amounts *small, const struct amounts *big)
{
        for (size_t i = 0; i < AMOUNTS_MAX; i++)
                if (small->of[i] > big->of[i])
                        return false;
        return true;
}
static inline void amounts_add(struct amounts *a, const struct amounts *b)
{
        for (size_t i = 0; i < AMOUNTS_MAX; i++)
                a->of[i] += b->of[i];
}
/* Not below 0. */
static inline void amounts_subtract(struct amounts *a, const struct amounts *b)
{
        for (size_t i = 0; i < AMOUNTS_MAX; i++)
                a->of[i] -= MIN(a->of[i], b->of[i]);
}
static inline bool amounts_any(const struct amounts *a)
{
        for (size_t i = 0; i < AMOUNTS_MAX; i++)
                if (a->of[i] > 0)
                        return true;
        return false;
}
/* How many times `need` is in `have`, at most `max`; max for nothing needed. */
uint64_t amounts_times(const struct amounts *have, const struct amounts *need, uint64_t max);
/* The lowest place of which `have` has less than `need`; AMOUNTS_MAX: none. */
size_t amounts_lacking(const struct amounts *have, const struct amounts *need);

const char *amount_name(const struct amount_names *names, size_t place);
/* Of a task: its scalars. -E2BIG when there are more names than places. */
int amounts_of_size(
        struct amount_names *names, const struct resources *size, struct amounts *ret) WARN_UNUSED;
/* What a task could be given out of these resources: neither volumes nor what is revocable. */
void amounts_available(const struct amount_names *names, const struct resources *r, struct amounts *ret);
/*
 * Moves what a task gets from `from` to ret: reserved entries first, with their traits. The amounts must be there, by
 * amounts_available().
 */
void amounts_take(struct resources *from, const struct resources *size, uint32_t ports, uint32_t cores,
        struct resources *ret);
