/*
 * Regular expressions from outside (of offer constraints, of jobs' constraints): what people know from RE2, matched against a whole
 * text. They run in a daemon's loop, so patterns are small and matching never backtracks. Immutable; counted references. Single thread.
 */
#pragma once

#include "lib/base/error.h"

struct regex;

/* `field` names the offender in the sentence. -EINVAL: not an expression that RE2 takes; -E2BIG: too large once compiled. */
int regex_new(const char *pattern, const char *field, struct regex **ret, struct error *e) WARN_UNUSED;
struct regex *regex_ref(struct regex *r);  /* takes NULL */
struct regex *regex_free(struct regex *r); /* the last reference frees */
bool regex_matches(struct regex *r, const char *text);
