/*
 * Quotas as calls and the store say them, and as the allocator takes them. Pure.
 */
#pragma once

#include "master/allocator/allocator.h"
#include "master/operator/roles.h"

/* *ret borrows the name. */
void quota_to_message(const struct allocator_quota *q, Mete__Api__Quota *ret);
/* -EINVAL for no name of a resource, neither guarantee nor limit, amounts that are none, and a limit below the guarantee. */
int quota_from_message(const Mete__Api__Quota *m, struct allocator_quota *ret, struct error *e) WARN_UNUSED;
/* Into ROLE_QUOTAS_MAX places, as they came; -EINVAL, also for a resource that is named twice. */
int quotas_from_call(const Mete__Api__Call__SetQuota *call, struct allocator_quota *ret,
        const char **ret_field, struct error *e) WARN_UNUSED;
