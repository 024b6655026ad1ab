/* MasterInfo, as SUBSCRIBED events and /state show it. */
#pragma once

#include <netinet/in.h>

#include "master/core.h"

struct master_info {
        Mete__V1__MasterInfo info; /* its texts are below, or the master's */
        Mete__V1__Address address;
        Mete__V1__MasterInfo__Capability capability[3], *capabilities[3];
        char hostname[256];
        char ip[INET6_ADDRSTRLEN];
        char host_port[256 + 8]; /* "name:5050", "[::1]:5050": for URLs */
        char pid[INET6_ADDRSTRLEN + 32];
};
/* Do not copy it: it points into itself. */
void master_info_fill(const struct master *m, struct master_info *ret);
