/*
 * The guarantees of one resource, added up over the tree of roles ("a/b" is below "a"). What a role needs is its own guarantee, or those
 * of the roles below it together when that is more. Pure.
 */
#pragma once

#include "lib/base/resources.h"

struct quota_tree;
struct quota_tree *quota_tree_new(void);
struct quota_tree *quota_tree_free(struct quota_tree *t);
DEFINE_CLEANUP(struct quota_tree, quota_tree_free)
/* Each role once. limit UINT64_MAX: none. */
void quota_tree_add(struct quota_tree *t, const char *role, uint64_t guarantee_milli, uint64_t limit_milli);
/* After all were added, before anything is asked. */
void quota_tree_sum(struct quota_tree *t);

uint64_t quota_tree_total(const struct quota_tree *t); /* what all roles need */

struct quota_tree_sums {
        uint64_t guarantee_milli; /* its own */
        uint64_t limit_milli;
        uint64_t below_milli; /* what the roles just below need together */
        uint64_t need_milli;
};
/* Zeros and no limit for a role that has nothing. */
void quota_tree_get(const struct quota_tree *t, const char *role, struct quota_tree_sums *ret);

/* The role above ("a/b" of "a/b/c") into a buffer that has room for the role; false for one at the top. */
bool role_above(const char *role, char *ret, size_t size);
