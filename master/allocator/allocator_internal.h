/* The allocator's own structs, shared by its files only. */
#pragma once

#include <uthash.h>
#include <utlist.h>

#include "master/allocator/allocator.h"
#include "master/allocator/sorter.h"

/* What one client holds on one agent. */
struct allocation {
        struct client *client; /* key in agent.allocations */
        struct resources resources;
        UT_hash_handle hh;
};

/* One client does not want to hear of one agent unless more than `refused` is free. */
struct filter {
        struct refusals *refusals; /* those of the same client and agent */
        struct resources refused;
        struct mono_time expires;
        size_t heap_index;
        struct filter *prev, *next; /* in client.filters */
        struct filter *same_prev, *same_next;
};

/* All that one client refused of one agent: none of them says less than another and ends sooner. */
struct refusals {
        struct client *client; /* key in agent.filters */
        struct agent_slot *agent;
        struct filter *filters; /* DL by same_prev, same_next; at least one */
        size_t count;
        UT_hash_handle hh;
};

/* A framework in one of its roles. */
struct client {
        struct sorter_entry entry; /* first: the role's sorter holds these; named as the framework */
        struct framework_slot *framework;
        struct role *role;
        struct filter *filters; /* owned */
        bool subscribed;        /* the framework has this role now; else only its bookings keep the client */
        bool suppressed;
        bool wanted;       /* while the roles of a framework are replaced */
        UT_hash_handle hh; /* in framework.clients, by role pointer */
};

struct framework_slot {
        char *id;
        bool active;
        struct client *clients; /* k: role pointer -> v: struct client, owned */
        UT_hash_handle hh;
};

struct role {
        struct sorter_entry entry; /* first: the root sorter holds these */
        char *name;
        struct sorter clients; /* those that may be offered something */
        UT_hash_handle hh;
};

struct agent_slot {
        char *id;
        struct resources total, allocated, free;
        bool active;
        bool available;                 /* is in allocator.available: active and enough free */
        uint64_t considered;            /* generation in which nobody took it; 0: must be looked at */
        struct allocation *allocations; /* k: client pointer -> v: struct allocation, owned */
        struct refusals *filters;       /* k: client pointer -> v: struct refusals, owned */
        UT_hash_handle hh;
        struct agent_slot *prev, *next;
};

struct filter_heap {
        struct filter **items; /* earliest expiry first */
        size_t count, capacity;
};

struct allocator {
        struct allocator_options options;
        struct agent_slot *agents;         /* k: agent id -> v, owned */
        struct framework_slot *frameworks; /* k: framework id -> v, owned */
        struct role *roles;                /* k: name -> v, owned; roles stay for their weight */
        struct sorter root;                /* the roles with such a client */
        struct resources total;            /* scalars of all agents */
        uint64_t total_generation;
        /*
         * Agents with enough free, those to be looked at in front: considered != generation. Raising the generation puts
         * every agent up again at no cost.
         */
        struct agent_slot *available;
        uint64_t generation;
        struct filter_heap heap;
};

/* filter.c */
void filter_set(struct allocator *a, struct agent_slot *agent, struct client *client,
        const struct resources *refused, struct mono_time expires);
void filter_drop(struct allocator *a, struct filter *f);
void filters_drop_agent(struct allocator *a, struct agent_slot *agent);
/* Does the filter keep this agent's free resources from the client? */
bool filter_refuses(const struct agent_slot *agent, const struct client *client);
/* Ends those that ran out, calling `expired` on their agents. */
void filters_expire(struct allocator *a, struct mono_time now,
        void (*expired)(struct allocator *a, struct agent_slot *agent));
