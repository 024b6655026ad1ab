/* `mete stats --job`: all runs of a name together. */
#pragma once

#include "tools/mete/verb.h"

int job_stats(const struct common_options *o, const char *job, struct error *e) WARN_UNUSED;
/* For the tests. */
void job_stats_print(const Mete__Api__JobStats *s, FILE *f);
