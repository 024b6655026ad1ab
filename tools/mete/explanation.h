/* Why a job waits and when it runs, for people: 80 columns wide. */
#pragma once

#include "tools/mete/text.h"

/* subject: "job 17", "such a job". now: seconds since 1970, for times. */
void explanation_print(const Mete__Api__Explanation *x, const char *subject, double now, FILE *f);
