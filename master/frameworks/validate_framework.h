/* What a FrameworkInfo and what comes with it must be. Pure functions; sentences name the field and what would be accepted. */
#pragma once

#include "lib/base/role.h"
#include "proto/scheduler.pb-c.h"

#define FRAMEWORK_ROLES_MAX 1024
#define FRAMEWORK_TEXT_MAX 4096        /* bytes of name, user, principal, hostname */
#define FRAMEWORK_BYTES_MAX (1u << 20) /* of the whole message */
/* 2^63 nanoseconds: what durations can be. */
#define FAILOVER_TIMEOUT_MAX_SECONDS 9223372036.0

int framework_info_validate(const Mete__V1__FrameworkInfo *info, struct error *e) WARN_UNUSED;
/* suppressed_roles and the roles of offer_constraints are among the framework's. The constraints themselves are not looked at. */
int framework_roles_check(const Mete__V1__FrameworkInfo *info, char *const *suppressed,
        size_t suppressed_count, const Mete__V1__Scheduler__OfferConstraints *constraints,
        struct error *e) WARN_UNUSED;
