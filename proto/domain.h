/* Fault domains: where a machine is, as a region and a zone within it. Pure functions. */
#pragma once

#include "lib/base/error.h"
#include "proto/mesos.pb-c.h"

#define DOMAIN_NAME_MAX 128

/* "region/zone"; the sentence begins with `option`. The caller frees with message_free(). */
int domain_parse(
        const char *text, const char *option, Mete__V1__DomainInfo **ret, struct error *e) WARN_UNUSED;
/* NULL when it has none; d may be NULL. Borrowed. */
const char *domain_region(const Mete__V1__DomainInfo *d);
const char *domain_zone(const Mete__V1__DomainInfo *d);
