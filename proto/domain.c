#include "proto/domain.h"

#include <stdlib.h>
#include <string.h>

#include "lib/net/codec.h"

/* Letters that may stand in a constraint and in JSON without being written differently. */
static bool name_is_valid(const char *s, size_t len)
{
        if (len == 0 || len > DOMAIN_NAME_MAX)
                return false;
        for (size_t i = 0; i < len; i++)
                if ((unsigned char)s[i] <= ' ' || (unsigned char)s[i] >= 0x7f || s[i] == '/')
                        return false;
        return true;
}

int domain_parse(const char *text, const char *option, Mete__V1__DomainInfo **ret, struct error *e)
{
        const char *slash = strchr(text, '/');
        Mete__V1__DomainInfo domain = METE__V1__DOMAIN_INFO__INIT;
        Mete__V1__DomainInfo__FaultDomain fault = METE__V1__DOMAIN_INFO__FAULT_DOMAIN__INIT;
        Mete__V1__DomainInfo__FaultDomain__RegionInfo region =
                METE__V1__DOMAIN_INFO__FAULT_DOMAIN__REGION_INFO__INIT;
        Mete__V1__DomainInfo__FaultDomain__ZoneInfo zone =
                METE__V1__DOMAIN_INFO__FAULT_DOMAIN__ZONE_INFO__INIT;
        _cleanup_free_ char *region_name = NULL;

        if (!slash || !name_is_valid(text, (size_t)(slash - text)) ||
                !name_is_valid(slash + 1, strlen(slash + 1)))
                return error_set(e, -EINVAL,
                        "%s: '%s' is none: REGION/ZONE is expected, two names of 1 to %d printable ASCII "
                        "characters, as in eu/rack-3",
                        option, text, DOMAIN_NAME_MAX);
        region_name = xstrndup(text, (size_t)(slash - text));
        region.name = region_name;
        zone.name = (char *)slash + 1;
        fault.region = &region;
        fault.zone = &zone;
        domain.fault_domain = &fault;
        *ret = message_copy(&domain);
        return 0;
}

const char *domain_region(const Mete__V1__DomainInfo *d)
{
        return d && d->fault_domain ? d->fault_domain->region->name : NULL;
}

const char *domain_zone(const Mete__V1__DomainInfo *d)
{
        return d && d->fault_domain ? d->fault_domain->zone->name : NULL;
}
