/*
 * Weighted dominant resource fairness over one level: roles, or the frameworks of a role. Keeps its active entries ordered by
 * dominant share divided by weight; an event moves the one entry that it concerns. Ties go to the entry with fewer allocations,
 * then by name, so that the order is the same on every run. Integers only: a share is a fraction of 2^40.
 *
 * Entries are embedded in the caller's structs and owned there. No I/O, no clock, single thread.
 */
#pragma once

#include "lib/base/resources.h"

#define WEIGHT_DEFAULT_MILLI 1000
#define SHARE_ONE (UINT64_C(1) << 40)

struct sorter_entry {
        const char *name;           /* owned by the embedding struct; unique within the sorter */
        struct resources allocated; /* owned */
        uint64_t allocations;       /* on how many agents `allocated` lies */
        uint64_t weight_milli;      /* >= 1 */
        uint64_t share;             /* as of the last ordering */
        bool active;                /* is in `order` */
};

struct sorter {
        struct sorter_entry **order; /* the active entries, lowest share first */
        size_t count;
        size_t capacity;
        uint64_t total_generation; /* of the totals that the shares were computed with */
};

void sorter_done(struct sorter *s);
void sorter_entry_init(struct sorter_entry *e, const char *name, uint64_t weight_milli);
void sorter_entry_done(struct sorter_entry *e);

/* Recomputes every share when the cluster's totals have changed since. Call before reading `order`. */
void sorter_refresh(struct sorter *s, const struct resources *total, uint64_t total_generation);
void sorter_activate(struct sorter *s, struct sorter_entry *e, const struct resources *total);
void sorter_deactivate(struct sorter *s, struct sorter_entry *e);
void sorter_set_weight(
        struct sorter *s, struct sorter_entry *e, uint64_t weight_milli, const struct resources *total);
/* Books or unbooks (the amount must be booked: asserted); `bookings`: how many agents that adds or ends. */
void sorter_add(struct sorter *s, struct sorter_entry *e, const struct resources *r, unsigned bookings,
        const struct resources *total);
void sorter_remove(struct sorter *s, struct sorter_entry *e, const struct resources *r, unsigned bookings,
        const struct resources *total);

/* The weighted dominant share of `allocated`: exported for checks. */
uint64_t sorter_share(
        const struct resources *allocated, uint64_t weight_milli, const struct resources *total);
