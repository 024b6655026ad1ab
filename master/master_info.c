#include "master/master_info.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <string.h>
#include <unistd.h>

static bool address_is_wildcard(const char *address)
{
        struct in6_addr any;

        return str_equal(address, "0.0.0.0") ||
               (inet_pton(AF_INET6, address, &any) == 1 && IN6_IS_ADDR_UNSPECIFIED(&any));
}

/* The first address of this machine that others may reach; false when it has none. */
static bool own_ip(char ret[static INET6_ADDRSTRLEN])
{
        struct ifaddrs *all, *i;
        bool found = false;

        if (getifaddrs(&all) < 0)
                return false;
        for (i = all; i && !found; i = i->ifa_next) {
                const struct sockaddr_in *v4 = (const struct sockaddr_in *)i->ifa_addr;

                if (!v4 || v4->sin_family != AF_INET || (i->ifa_flags & IFF_LOOPBACK))
                        continue;
                found = inet_ntop(AF_INET, &v4->sin_addr, ret, INET6_ADDRSTRLEN);
        }
        freeifaddrs(all);
        return found;
}

/*
 * Without --hostname it is the address itself: always right, where a name would have to resolve for whoever is told. "localhost" may
 * mean ::1, where nobody listens.
 */
static void take_names(const struct master *m, struct master_info *x)
{
        const struct master_options *o = m->options;
        bool wildcard = address_is_wildcard(o->address);

        (void)snprintf(x->ip, sizeof(x->ip), "%s", o->address);
        if (wildcard && !own_ip(x->ip))
                (void)snprintf(x->ip, sizeof(x->ip), "127.0.0.1");
        (void)snprintf(x->hostname, sizeof(x->hostname), "%s", o->hostname ? o->hostname : x->ip);
        if (wildcard && !o->hostname && gethostname(x->hostname, sizeof(x->hostname) - 1) < 0)
                (void)snprintf(x->hostname, sizeof(x->hostname), "%s", x->ip);
}

/* Brackets where colons would be taken for the port's. */
static void join_host_port(char *ret, size_t size, const char *host, unsigned port)
{
        (void)snprintf(ret, size, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, port);
}

static const Mete__V1__MasterInfo__Capability__Type capabilities[] = {
        METE__V1__MASTER_INFO__CAPABILITY__TYPE__AGENT_UPDATE, /* agents may change their resources */
        METE__V1__MASTER_INFO__CAPABILITY__TYPE__AGENT_DRAINING,
        METE__V1__MASTER_INFO__CAPABILITY__TYPE__QUOTA_V2, /* limits, not only guarantees */
};

void master_info_fill(const struct master *m, struct master_info *ret)
{
        static char version[] = METE_VERSION;
        struct in_addr v4 = {};
        char at[INET6_ADDRSTRLEN + 8];

        mete__v1__master_info__init(&ret->info);
        mete__v1__address__init(&ret->address);
        take_names(m, ret);
        join_host_port(at, sizeof(at), ret->ip, m->port);
        (void)snprintf(ret->pid, sizeof(ret->pid), "master@%s", at);
        join_host_port(ret->host_port, sizeof(ret->host_port), ret->hostname, m->port);
        (void)inet_pton(AF_INET, ret->ip, &v4);
        ret->info.id = (char *)m->id;
        ret->info.ip = v4.s_addr; /* in network order, read as an integer of the host */
        ret->info.port = m->port;
        ret->info.pid = ret->pid;
        ret->info.hostname = ret->hostname;
        ret->info.version = version;
        ret->address.hostname = ret->hostname;
        ret->address.ip = ret->ip;
        ret->address.port = m->port;
        ret->info.address = &ret->address;
        ret->info.domain = m->domain;
        for (size_t i = 0; i < ELEMENTSOF(capabilities); i++) {
                mete__v1__master_info__capability__init(&ret->capability[i]);
                ret->capability[i].has_type = true;
                ret->capability[i].type = capabilities[i];
                ret->capabilities[i] = &ret->capability[i];
        }
        ret->info.capabilities = ret->capabilities;
        ret->info.n_capabilities = ELEMENTSOF(ret->capabilities);
}
