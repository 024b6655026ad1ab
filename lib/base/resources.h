/*
 * Resource vectors for accounting: fixed-point scalars in thousandths, no floating point. The named scalars
 * come first because every task has them; further scalars, ranges (ports) and sets are kept by name. Mesos
 * semantics: a double on the wire is rounded to the nearest thousandth.
 */
#pragma once

#include "lib/base/error.h"

#define RESOURCE_NAME_MAX 64
/* Ranges that resources_add_range() collects for one name: bounds the work that a peer can cause. */
#define RESOURCE_RANGES_MAX 16384
/* Largest scalar accepted from outside, in thousandths: 2^53/1000 keeps doubles exact on the wire. */
#define RESOURCE_MILLI_MAX UINT64_C(9007199254740)

struct resource_range {
        uint64_t begin, end;
}; /* inclusive */

enum resource_kind { RESOURCE_SCALAR, RESOURCE_RANGES, RESOURCE_SET };

struct resource {
        char name[RESOURCE_NAME_MAX];
        enum resource_kind kind;
        uint64_t milli; /* scalar: thousandths (cpus: milli-cpus; mem, disk: thousandths of MiB) */
        struct resource_range *ranges; /* sorted, disjoint, not adjacent */
        size_t range_count;
        char **items; /* sorted, unique */
        size_t item_count;
};

/* Sorted by name; zero-initialised is empty; no entry is ever empty. */
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
uint64_t resources_scalar(const struct resources *r, const char *name);           /* 0 when absent */
void resources_set_scalar(struct resources *r, const char *name, uint64_t milli); /* 0 removes */
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
/* "cpus:0.5;mem:64;ports:[31000-32000]"; the caller frees. */
char *resources_to_string(const struct resources *r);
/* Parses the same text. -EINVAL with a sentence naming the offender. */
int resources_parse(const char *s, struct resources *ret, struct error *e) WARN_UNUSED;
/* Round half up, -EINVAL for NaN, infinity, negative; -ERANGE above RESOURCE_MILLI_MAX. */
int milli_from_double(double d, uint64_t *ret) WARN_UNUSED;
double milli_to_double(uint64_t milli);
#define _cleanup_resources_ CLEANUP(resources_done)
