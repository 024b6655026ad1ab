/*
 * Principals and their secrets, for HTTP basic authentication. From one file: {"credentials": [{"principal": ..., "secret": ...}]}, or
 * lines of a principal, white space and a secret. Read once, never changed. Any thread.
 */
#pragma once

#include "lib/base/error.h"

struct credentials;

/* Refuses a file that others may read or change. Sentences name the line or the field, never a secret. */
int credentials_load(const char *path, struct credentials **ret, struct error *e) WARN_UNUSED;
struct credentials *credentials_free(struct credentials *c);
/* Value of an Authorization header: the principal that it proves, borrowed; NULL when it proves none. */
const char *credentials_check(const struct credentials *c, const char *authorization);
