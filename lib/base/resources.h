/*
 * Resource vectors for accounting: fixed-point scalars in thousandths, no floating point. The named scalars
 * come first because every task has them; further scalars, ranges (ports) and sets are kept by name. Mesos
 * semantics: a double on the wire is rounded to the nearest thousandth.
 */
#pragma once

#include "lib/base/error.h"
#include "lib/base/role.h"

#define RESOURCE_NAME_MAX 64
/* Ranges that resources_add_range() collects for one name: bounds the work that a peer can cause. */
#define RESOURCE_RANGES_MAX 16384
/* Largest scalar accepted from outside, in thousandths: 2^53/1000 keeps doubles exact on the wire. */
#define RESOURCE_MILLI_MAX UINT64_C(9007199254740)

struct resource_range {
        uint64_t begin, end;
}; /* inclusive */

enum resource_kind { RESOURCE_SCALAR, RESOURCE_RANGES, RESOURCE_SET };

#define RESERVATIONS_MAX 8 /* refinements of one amount */
#define RESERVATION_LABELS_MAX 32

struct resource_label {
        char *key, *value; /* value may be NULL */
};

struct resource_reservation {
        char *role;      /* never "*" */
        char *principal; /* who reserved it; NULL: not known */
        bool dynamic;    /* by RESERVE; else by the agent's own configuration */
        struct resource_label *labels;
        size_t label_count;
};

/*
 * What sets an amount apart from others of its name: amounts with different traits are never added or taken from one another. Interned:
 * equal traits are one object, so that comparing is comparing pointers; counted references. Immutable. Not for several threads.
 */
struct resource_traits {
        struct resource_reservation *
                reservations; /* a stack: each refines the one before, of whose role its own is a descendant */
        size_t reservation_count;
        char *volume_id; /* a persistent volume on reserved disk, unique per agent and role; NULL: none */
        char *volume_principal;
        char *container_path; /* where tasks see the volume; with volume_id only */
        bool read_only;
        bool revocable; /* may be taken back at any moment */
        /* The rest belongs to resource_traits.c. */
        uint32_t references, hash;
        struct resource_traits *next;
};

/* Copies what is not known yet. All zero gives NULL: plain resources have no traits. */
const struct resource_traits *resource_traits_get(const struct resource_traits *like);
const struct resource_traits *resource_traits_ref(const struct resource_traits *t); /* takes NULL */
void resource_traits_unref(const struct resource_traits *t);                        /* takes NULL */
/* By content, the same on every run; NULL first. 0 only for the same pointer. */
int resource_traits_compare(const struct resource_traits *a, const struct resource_traits *b);
/* The role of the last refinement; NULL: not reserved. */
const char *resource_traits_role(const struct resource_traits *t);
/* "(reserved: a/b by alice) (volume: id1 at data) (revocable)"; "" for NULL. The caller frees. */
char *resource_traits_to_string(const struct resource_traits *t);

struct resource {
        char name[RESOURCE_NAME_MAX];
        enum resource_kind kind;
        const struct resource_traits *traits; /* a reference; NULL: unreserved, not revocable, no volume */
        uint64_t milli; /* scalar: thousandths (cpus: milli-cpus; mem, disk: thousandths of MiB) */
        struct resource_range *ranges; /* sorted, disjoint, not adjacent */
        size_t range_count;
        char **items; /* sorted, unique */
        size_t item_count;
};

/* Sorted by name, kind and traits; zero-initialised is empty; no entry is ever empty. */
struct resources {
        struct resource *entries;
        size_t count;
};

/*
 * 1 to 63 printable ASCII characters, none of ":;,[]{}()" and no space. Names from outside are checked with
 * this first: the setters assert it. Sets from outside are bounded by the caller.
 */
bool resource_name_valid(const char *name);

void resources_done(struct resources *r);
void resources_copy(const struct resources *from, struct resources *ret);
uint64_t resources_scalar(const struct resources *r, const char *name); /* with any traits; 0 when absent */
uint64_t resources_plain_scalar(const struct resources *r, const char *name); /* without traits */
void resources_set_scalar(
        struct resources *r, const char *name, uint64_t milli); /* without traits; 0 removes */
/* Adds one entry, whatever its kind and traits; copies. */
void resources_add_entry(struct resources *r, const struct resource *entry);
/* begin <= end and a valid name, else -EINVAL; -E2BIG at the bound; merged with what is there. */
int resources_add_range(struct resources *r, const char *name, uint64_t begin, uint64_t end) WARN_UNUSED;
void resources_add_item(struct resources *r, const char *name, const char *item);
bool resources_empty(const struct resources *r);
bool resources_equal(const struct resources *a, const struct resources *b);
/* Every quantity of `small` is in `big`. */
bool resources_contains(const struct resources *big, const struct resources *small);
void resources_add(struct resources *r, const struct resources *other);
/* r -= other; -ERANGE and r untouched when other is not contained. */
int resources_subtract(struct resources *r, const struct resources *other) WARN_UNUSED;
/* ---- by traits ---- */
/* The entries for which `wanted` is true. */
void resources_filter(const struct resources *r,
        bool (*wanted)(const struct resource *entry, const void *userdata), const void *userdata,
        struct resources *ret);
/* May a framework in this role have the entry: not reserved, or for the role or one above it ("a" for "a/b")? Revocability is not asked. */
bool resource_allocatable_to(const struct resource *entry, const char *role);
/* A persistent volume with this id, reserved for exactly this role; NULL: none. Borrowed. */
const struct resource *resources_find_volume(const struct resources *r, const char *role, const char *id);
/* The same amounts with these traits in place of their own (NULL: none). */
void resources_with_traits(
        const struct resources *r, const struct resource_traits *traits, struct resources *ret);
/* Scalars only, summed over traits: what shares and quotas are counted in. */
void resources_quantities(const struct resources *r, struct resources *ret);
/*
 * One more refinement on top of each entry (RESERVE), of which none has RESERVATIONS_MAX of them already; and the last one taken off (UNRESERVE: entries without one are left out).
 */
void resources_push_reservation(
        const struct resources *r, const struct resource_reservation *reservation, struct resources *ret);
void resources_pop_reservation(const struct resources *r, struct resources *ret);

/*
 * "cpus:0.5;mem:64;ports:[31000-32000]", reserved ones as "cpus(a/b):2", volumes as "disk(a/b)[id:path]:64", revocable ones as
 * "cpus{revocable}:1"; the caller frees.
 */
char *resources_to_string(const struct resources *r);
/* Parses the same text, without volumes and what is revocable; "cpus(role):2" is a static reservation, "cpus(*):2" none. -EINVAL with a sentence naming the offender. */
int resources_parse(const char *s, struct resources *ret, struct error *e) WARN_UNUSED;
/* Round half up, -EINVAL for NaN, infinity, negative; -ERANGE above RESOURCE_MILLI_MAX. */
int milli_from_double(double d, uint64_t *ret) WARN_UNUSED;
double milli_to_double(uint64_t milli);
#define _cleanup_resources_ CLEANUP(resources_done)
