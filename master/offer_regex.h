/*
 * Regular expressions of offer constraints: what frameworks know from RE2, matched against a whole text. They come from outside and
 * run in the loop, so patterns are small and matching never backtracks. Loop thread.
 */
#pragma once

#include "lib/base/error.h"

struct offer_regex;

/* `field` names the offender in the sentence. -EINVAL: not an expression that RE2 takes; -E2BIG: too large once compiled. */
int offer_regex_new(
        const char *pattern, const char *field, struct offer_regex **ret, struct error *e) WARN_UNUSED;
struct offer_regex *offer_regex_free(struct offer_regex *r);
bool offer_regex_matches(struct offer_regex *r, const char *text);
