/* Offers as frameworks see them: the fields and the shape of resources that their capabilities ask for. */

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "master/core.h"

#define AGENT_PATH "/slave(1)" /* where the agent's routes are, as tools know them */

/* "host:port" or "[host]:port". */
static bool split_address(const char *address, char **ret_host, int32_t *ret_port)
{
        const char *colon = address ? strrchr(address, ':') : NULL;
        size_t len = colon ? (size_t)(colon - address) : 0;
        uint32_t port;

        if (len == 0 || parse_u32(colon + 1, UINT16_MAX, &port) < 0)
                return false;
        if (address[0] == '[' && len > 2 && address[len - 1] == ']')
                *ret_host = xstrndup(address + 1, len - 2);
        else
                *ret_host = xstrndup(address, len);
        *ret_port = (int32_t)port;
        return true;
}

static bool is_numeric(const char *host)
{
        uint8_t address[sizeof(struct in6_addr)];

        return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

static Mete__V1__URL *url_of_agent(const struct agent *a)
{
        _cleanup_free_ char *host = NULL;
        Mete__V1__URL *url = NEW0(Mete__V1__URL);

        mete__v1__url__init(url);
        url->scheme = xstrdup("http");
        url->path = xstrdup(AGENT_PATH);
        url->address = NEW0(Mete__V1__Address);
        mete__v1__address__init(url->address);
        url->address->hostname = xstrdup(a->info->hostname);
        url->address->port = a->info->port;
        if (split_address(a->address, &host, &url->address->port) && is_numeric(host))
                url->address->ip = TAKE_PTR(host);
        return url;
}

static void fill_ids(Mete__V1__Offer *p, const struct offer *o)
{
        p->id = NEW0(Mete__V1__OfferID);
        mete__v1__offer_id__init(p->id);
        p->id->value = xstrdup(o->id);
        p->framework_id = NEW0(Mete__V1__FrameworkID);
        mete__v1__framework_id__init(p->framework_id);
        p->framework_id->value = xstrdup(o->framework->id);
        p->agent_id = NEW0(Mete__V1__AgentID);
        mete__v1__agent_id__init(p->agent_id);
        p->agent_id->value = xstrdup(o->agent->id);
        p->hostname = xstrdup(o->agent->info->hostname);
}

/* Those of the framework that run on the agent. */
static void fill_executors(Mete__V1__Offer *p, const struct offer *o)
{
        const struct executor *x;
        size_t count = 0;

        for (x = o->agent->executors; x; x = x->hh.next)
                count += x->framework == o->framework;
        if (count == 0)
                return;
        p->executor_ids = xcalloc(count, sizeof(*p->executor_ids));
        for (x = o->agent->executors; x; x = x->hh.next)
                if (x->framework == o->framework)
                        p->executor_ids[p->n_executor_ids++] = message_copy(x->info->executor_id);
}

static void fill_attributes(Mete__V1__Offer *p, const Mete__V1__AgentInfo *info)
{
        if (info->n_attributes == 0)
                return;
        p->attributes = xcalloc(info->n_attributes, sizeof(*p->attributes));
        for (; p->n_attributes < info->n_attributes; p->n_attributes++)
                p->attributes[p->n_attributes] = message_copy(info->attributes[p->n_attributes]);
}

static void fill_unavailability(Mete__V1__Offer *p, const struct agent *a)
{
        const Mete__Api__Window *w = a->n_windows > 0 ? a->windows[0] : NULL;

        if (!w)
                return;
        p->unavailability = NEW0(Mete__V1__Unavailability);
        mete__v1__unavailability__init(p->unavailability);
        p->unavailability->start = NEW0(Mete__V1__TimeInfo);
        mete__v1__time_info__init(p->unavailability->start);
        p->unavailability->start->nanoseconds = (int64_t)(w->start * 1e9);
        if (!w->has_duration_seconds)
                return;
        p->unavailability->duration = NEW0(Mete__V1__DurationInfo);
        mete__v1__duration_info__init(p->unavailability->duration);
        p->unavailability->duration->nanoseconds = (int64_t)(w->duration_seconds * 1e9);
}

Mete__V1__Offer *offer_to_proto(const struct offer *o)
{
        bool multi_role = framework_has(o->framework, METE__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__MULTI_ROLE);
        bool old_shape = !framework_has(
                o->framework, METE__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__RESERVATION_REFINEMENT);
        Mete__V1__Offer *p = NEW0(Mete__V1__Offer);

        mete__v1__offer__init(p);
        fill_ids(p, o);
        p->url = url_of_agent(o->agent);
        p->domain = message_copy(o->agent->info->domain);
        fill_unavailability(p, o->agent);
        resources_to_proto(
                &o->resources, multi_role ? o->role : NULL, old_shape, &p->resources, &p->n_resources);
        fill_attributes(p, o->agent->info);
        fill_executors(p, o);
        if (!multi_role)
                return p;
        p->allocation_info = NEW0(Mete__V1__Resource__AllocationInfo);
        mete__v1__resource__allocation_info__init(p->allocation_info);
        p->allocation_info->role = xstrdup(o->role);
        return p;
}
