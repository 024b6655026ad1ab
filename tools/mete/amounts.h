/* Amounts of resources as people give and read them: "cpus=2", "mem=4G"; cores, and MiB for mem and disk as the API has them. */
#pragma once

#include "tools/mete/text.h"

/* The caller frees each with message_free(). -EINVAL with a sentence. */
int amount_parse(const char *text, Mete__Api__Amount **ret, struct error *e) WARN_UNUSED;
/* "cpus=2" a guarantee, "cpus=2:4" with a limit, "cpus=:4" a limit alone. */
int quota_parse(const char *text, Mete__Api__Quota **ret, struct error *e) WARN_UNUSED;
/* "512M", "4G": MiB. */
int amount_parse_mib(const char *what, const char *text, double *ret, struct error *e) WARN_UNUSED;
/* "2", "4 GiB". */
const char *amount_text(const char *resource, double value, char buf[static TEXT_MAX]);
/* "cpus 2, mem 4 GiB"; "nothing". The caller frees. */
char *amounts_text(Mete__Api__Amount *const *amounts, size_t count);
