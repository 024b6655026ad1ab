/* Roles as `mete roles`, `mete quota` and `mete weights` show them. */
#pragma once

#include "tools/mete/text.h"

/* A line a resource: what is used, reserved, guaranteed and allowed. */
void roles_print(Mete__Api__Role *const *roles, size_t count, FILE *f);
/* The quotas alone; roles without one are left out. */
void roles_print_quotas(Mete__Api__Role *const *roles, size_t count, FILE *f);
/* "role: warning", on stderr. */
void roles_warn(Mete__Api__Role *const *roles, size_t count);
