/* Can a role's quota hold, as things are? Sentences for people, as refusals and as warnings. Loop thread. */
#pragma once

#include "master/operator/quota_tree.h"
#include "master/operator/roles.h"

/*
 * The first sentence about `quota` of the role, or all of them when `all` is given. `tree` has the guarantees and limits of this resource,
 * `quota` among them. The caller frees; NULL when it can hold.
 */
char *quota_problem(const struct master *m, const char *role, const struct allocator_quota *quota,
        const struct quota_tree *tree, struct string_list *all);
