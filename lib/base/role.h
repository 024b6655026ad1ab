/* Names of roles, which form a tree: "a/b" is below "a". Pure functions. */
#pragma once

#include "lib/base/error.h"

#define ROLE_LENGTH_MAX 1024

/*
 * "*", or components separated by '/': not empty, not ".", ".." or "*", no leading '-', no white space or control characters.
 * `field` names the offender.
 */
int role_validate(const char *role, const char *field, struct error *e) WARN_UNUSED;
/* Is `role` the same as `above`, or below it in the tree? "a/b" is within "a"; "ab" is not. */
bool role_is_within(const char *role, const char *above);
