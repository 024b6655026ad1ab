/*
 * Weighted dominant resource fairness over one level: the children of a role, which are roles and frameworks. Keeps its active entries
 * in a search tree by dominant share divided by weight, so that an event moves the one entry that it concerns at the cost of a
 * logarithm. Ties go to the entry with fewer bookings, then by name, so that the order is the same on every run. Integers only: a
 * share is a fraction of 2^40.
 *
 * Each entry carries the generation at which there was last something new about it, per kind of look; each subtree knows its
 * newest, so that a walk skips those about whom nothing is new.
 *
 * The order is by the totals that sorter_refresh() was given last. Entries are embedded in the caller's structs and owned there. No
 * I/O, no clock, single thread.
 */
#pragma once

#include "master/allocator/scalars.h"

#define WEIGHT_DEFAULT_MILLI 1000
#define SHARE_ONE (UINT64_C(1) << 40)

/* What is looked for among the children of a role. */
enum look {
        LOOK_ANY,       /* somebody who may be offered something, be it only what is reserved */
        LOOK_OPEN,      /* whom no limit keeps from more */
        LOOK_ENTITLED,  /* of those, whose guarantee is not met */
        LOOK_REVOCABLE, /* who takes revocable resources */
        LOOK_MAX,
};

struct sorter_entry {
        const char *name; /* owned by the embedding struct; unique among entries with `is_role` alike */
        struct amounts allocated;      /* owned */
        uint64_t bookings;             /* how many pairs of agent and framework `allocated` lies on */
        uint64_t weight_milli;         /* >= 1 */
        uint64_t share;                /* as of the last ordering */
        uint64_t generation[LOOK_MAX]; /* 0: not among those that are looked for */
        uint64_t newest[LOOK_MAX];     /* of the subtree */
        struct sorter_entry *above, *left, *right;
        uint32_t priority; /* of a treap: above those with less */
        bool active;       /* is in the tree */
        bool is_role;
};

struct sorter {
        struct sorter_entry *top;
        size_t count;
        uint64_t inserted;         /* ever */
        uint64_t total_generation; /* of the totals that the shares were computed with */
};

void sorter_entry_init(struct sorter_entry *e, const char *name, bool is_role);
void sorter_entry_done(struct sorter_entry *e);

/* Recomputes every share when the totals are of another generation. Call before walking. */
void sorter_refresh(struct sorter *s, const struct amounts *total, uint64_t total_generation);
/* Take the entry out before changing what its place depends on, and put it in again. */
void sorter_put_in(struct sorter *s, struct sorter_entry *e, const struct amounts *total);
void sorter_take_out(struct sorter *s, struct sorter_entry *e);
void sorter_set_generation(struct sorter_entry *e, const uint64_t generation[LOOK_MAX]);
/* The newest of all; 0 when there is none. */
uint64_t sorter_newest(const struct sorter *s, enum look look);
/* In order those with more than this generation, until `visit` returns something other than NULL, which is the result. */
void *sorter_walk(const struct sorter *s, enum look look, uint64_t generation,
        void *(*visit)(struct sorter_entry *e, void *userdata), void *userdata);
/* Does a come before b? By the shares as they were ordered. */
bool sorter_before(const struct sorter_entry *a, const struct sorter_entry *b);

/* The weighted dominant share of `allocated`. */
uint64_t sorter_share(const struct amounts *allocated, uint64_t weight_milli, const struct amounts *total);
