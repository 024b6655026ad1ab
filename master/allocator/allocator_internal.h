/* The allocator's own structs, shared by its files only. */
#pragma once

#include <uthash.h>
#include <utlist.h>

#include "master/allocator/allocator.h"
#include "master/allocator/sorter.h"

/* What somebody refused; shared by all who refuse the same of one agent. */
struct refused {
        struct resources resources;
        size_t references;
};

/* One client does not want to hear of one agent unless more than `refused` is free. */
struct filter {
        struct pair *pair;
        struct refused *refused;
        struct mono_time expires;
        size_t heap_index;
        uint64_t epoch;             /* of the client, which forgot it when its own is another */
        uint64_t agent_epoch;       /* likewise of the agent, which became another machine */
        struct filter *prev, *next; /* in client.filters, or allocator.forgotten when the client forgot it */
        struct filter *same;        /* the next of the same pair */
};

/* A client and an agent that have to do with one another: it holds something there, or refused it. */
struct pair {
        struct client *client;
        struct agent_slot *agent;
        struct resources held;
        struct filter *filters; /* by `same`, owned: none of them says less than another and ends sooner */
        size_t filter_count;
        bool expired; /* a filter ran out: the agent is to be looked at for this client; in agent.expired */
        struct pair *prev, *next;             /* in client.pairs */
        struct pair *agent_prev, *agent_next; /* in agent.pairs */
        struct pair *expired_prev, *expired_next;
};

/* A framework in one of its roles; or what is left of that while its pairs are cleared away, see clearing.c. */
struct client {
        struct sorter_entry entry;        /* first: the role's sorter holds these; named as the framework */
        uint64_t number;                  /* unique for ever */
        struct framework_slot *framework; /* NULL: it left, and is in allocator.departed */
        struct role *role;
        struct filter *filters; /* DL, owned by their pairs */
        uint64_t epoch;         /* raised to forget all filters at once */
        size_t filter_count;    /* that it did not forget */
        struct pair *pairs;     /* DL, owned by their agents */
        uint64_t generation;    /* at which it was last to look at every agent anew */
        bool subscribed;        /* the framework has this role now; else only its bookings keep the client */
        bool suppressed;
        bool wanted;       /* while the roles of a framework are replaced */
        UT_hash_handle hh; /* in framework.clients, by role pointer */
        struct client *departed_prev, *departed_next;
};

struct framework_slot {
        char *id;
        bool active;
        bool revocable;         /* takes such resources */
        struct client *clients; /* k: role pointer -> v: struct client, owned */
        UT_hash_handle hh;
};

/* What a role's quota of one scalar comes to now. */
struct quota_state {
        size_t scalar;
        uint64_t excess;      /* of the guarantee not met, what the roles within do not need: see quota.c */
        uint64_t seen_excess; /* when everybody was last told, or the least since */
        uint64_t seen_room;   /* likewise of what the limit leaves */
};

struct role {
        struct sorter_entry entry; /* first: the parent's sorter holds these */
        char *name;
        struct role *parent;  /* NULL: the root, which is above all and no role itself */
        struct sorter sorter; /* children that may be offered something: roles with such, and clients */
        size_t children;      /* roles */
        size_t clients;       /* of this very role, active or not */
        size_t subscribed;    /* of them, those that have the role */
        size_t filters;       /* of its clients */
        struct amounts firm;  /* allocated to it and the roles within, without what is revocable */
        struct amounts reserved, reserved_free; /* on all agents, for it and the roles within */
        struct allocator_quota *quotas;
        struct quota_state *states; /* of each quota */
        size_t quota_count;
        struct amounts need, children_need; /* of guarantees that are not met: see quota.c */
        uint64_t
                opened; /* the generation at which a limit or a guarantee last left more to everybody within */
        bool exhausted; /* its limits leave nothing that is worth an offer */
        bool entitled;  /* its own guarantee is worth an offer */
        bool dirty;     /* in allocator.dirty */
        struct role *dirty_prev, *dirty_next;
        UT_hash_handle hh;
};

struct pair_slot {
        uint64_t client;   /* its number */
        struct pair *pair; /* NULL: empty */
};

struct agent_slot {
        char *id;
        struct resources total, free;
        struct pair *pairs; /* DL, owned */
        size_t pair_count;
        struct pair_slot *slots; /* the same by client: a hash table, see bookings.c */
        size_t slot_count;       /* a power of two, or 0 */
        struct pair *expired;    /* DL */
        struct refused *refused; /* what was refused last; a reference */
        bool refused_is_free;    /* ... is what is free now, or more */
        bool active;
        bool overcommitted;    /* more is held than there is: what is free is computed anew each time */
        bool gone;             /* removed, and in allocator.stale: its pairs are cleared away */
        bool listed;           /* is in allocator.available: active and enough free */
        bool firm_enough;      /* what is neither reserved nor revocable is worth an offer */
        bool revocable_enough; /* the same with revocable resources, of which there are some */
        bool has_reserved;     /* something reserved is free */
        bool mixed;            /* ... or revocable: not everybody may have all of it */
        uint64_t considered;   /* generation in which nobody took it; 0: must be looked at */
        uint64_t epoch;        /* raised to forget all filters at once */
        size_t stale_pairs;    /* so many, the first ones, may have such filters yet */
        struct agent_slot *prev, *next;             /* in allocator.available */
        struct agent_slot *again_prev, *again_next; /* in allocator.again, while `expired` is not empty */
        struct agent_slot *stale_prev, *stale_next; /* in allocator.stale, while gone or stale_pairs > 0 */
        UT_hash_handle hh;
};

struct filter_heap {
        struct filter **items; /* earliest expiry first */
        size_t count, capacity;
};

struct allocator {
        struct allocator_options options;
        struct scalar_names names;
        struct agent_slot *agents;         /* k: agent id -> v, owned */
        struct framework_slot *frameworks; /* k: framework id -> v, owned */
        struct role *roles;                /* k: name -> v, owned; without the root */
        struct role root;
        struct amounts totals;  /* of all agents */
        struct resources total; /* the same */
        /*
         * What shares are counted in: the totals, or what they were when they were last another by a 64th. So a cluster of thousands
         * that gains or loses one agent does not order everybody anew, and a small one is always exact.
         */
        struct amounts share_totals;
        uint64_t total_generation;
        /*
         * Agents with enough free, in the order of agent.considered. One is to be looked at when there was something new about
         * somebody since: the newest generation among those that matter is higher.
         */
        struct agent_slot *available;
        struct agent_slot *again; /* DL: to be looked at for the clients in agent.expired only */
        size_t listed_revocable, listed_reserved; /* of the available: revocable_enough, has_reserved */
        uint64_t generation;
        uint64_t clients_ever;
        struct filter_heap heap;
        struct filter
                *forgotten; /* DL: by clients that revived; these three are cleared away a few at a time */
        struct agent_slot *stale;  /* DL: gone, or with filters that the agent forgot */
        struct client *departed;   /* DL, owned: clients that left */
        struct amounts firm_free;  /* neither reserved nor revocable, on active agents */
        struct role *dirty;        /* DL: their consumption changed since quota_settle() */
        struct amounts seen_slack; /* of firm_free beyond what guarantees need, as seen_room */
        size_t guarantees;         /* how many quotas have one */
        bool needed;               /* some guarantee is not met: offers are cut */
        bool closed;               /* guarantees leave nothing to others that is worth an offer */
        bool held;
        struct resource *scratch; /* entries of the offer that is being made up */
        size_t scratch_capacity;
        struct resources view_allocated, view_reserved, view_consumed; /* lent out by allocator_role() last */
};

static inline const char *entry_reserved_for(const struct resource *e)
{
        const struct resource_traits *t = e->traits;

        return t && t->reservation_count > 0 ? t->reservations[t->reservation_count - 1].role : NULL;
}
static inline bool entry_revocable(const struct resource *e)
{
        return e->traits && e->traits->revocable;
}
/* The least of a scalar that is worth an offer. */
static inline uint64_t worth_milli(const struct allocator *a, size_t scalar)
{
        return scalar == SCALAR_CPUS  ? a->options.min_milli_cpus
               : scalar == SCALAR_MEM ? a->options.min_milli_mem
                                      : 1;
}

/* roles.c: the tree */
struct role *role_find(const struct allocator *a, const char *name);
struct role *role_get(struct allocator *a, const char *name); /* with those above it */
/* The role, or the nearest above it that is known: the root at last. */
const struct role *role_nearest(const struct allocator *a, const char *name);
/* Is the role, or one above it, named so? */
bool role_is_below(const struct role *role, const char *name);
void role_free_if_unused(struct allocator *a, struct role *role);
/* Something new for everybody within: `opened` is now. */
void role_open(struct allocator *a, struct role *role);
/* Tells those above what is looked for among its children. */
void role_publish(struct role *role);
void role_set_weight(struct allocator *a, struct role *role, uint64_t weight_milli);
/* Puts the client and its roles in their orders, or takes them out; a client that comes in is to look at every agent. */
void client_set_active(struct allocator *a, struct client *client, bool active);
void client_look_anew(struct allocator *a, struct client *client);
/* Counts r for the client and its roles; bookings: how many pairs that begins. */
void client_account(
        struct allocator *a, struct client *client, const struct resources *r, bool more, unsigned bookings);

/* quota.c */
void role_touch_quota(
        struct allocator *a, struct role *role); /* its consumption changed: itself, not those above */
void quota_settle(struct allocator *a);          /* at the end of each event */
uint64_t role_consumed(const struct role *role, size_t scalar);
/* What the limit leaves; UINT64_MAX: no limit. */
uint64_t role_room(const struct role *role, size_t scalar);
/* What guarantees let the role have of what is free and not reserved. */
uint64_t role_allowed(const struct allocator *a, const struct role *role, size_t scalar);
/* What guarantees of it and the roles above, not met, may be used for it. */
uint64_t role_due(const struct role *role, size_t scalar);

/* agents.c */
struct agent_slot *agent_slot_find(const struct allocator *a, const char *id);
/* Brackets around whatever changes agent.free or agent.active. */
void agent_slot_change_begin(struct allocator *a, struct agent_slot *agent);
void agent_slot_change_end(struct allocator *a, struct agent_slot *agent);
/* After it was booked, or no longer is. */
void agent_slot_take(struct allocator *a, struct agent_slot *agent, const struct resources *r);
void agent_slot_give(struct allocator *a, struct agent_slot *agent, const struct resources *r);
/* Nobody wants it as it is. */
void agent_slot_set_considered(struct allocator *a, struct agent_slot *agent);
void agent_slot_forget_expired(struct allocator *a, struct agent_slot *agent);
bool worth_offering(const struct allocator *a, const struct resources *r);
/* The total changed: before and after. */
void totals_change(struct allocator *a, const struct resources *before, const struct resources *after);

/* bookings.c */
struct pair *pair_find(const struct agent_slot *agent, const struct client *client);
struct pair *pair_get(struct agent_slot *agent, struct client *client);
void pair_free_if_unused(struct allocator *a, struct pair *pair);
void pair_set_expired(struct allocator *a, struct pair *pair, bool expired);
/* As resources_add(), at once when there is nothing yet. */
void vector_add(struct resources *r, const struct resources *other);
/* These do not touch what is free: see agent_slot_take(), agent_slot_give(). */
void book(struct allocator *a, struct agent_slot *agent, struct client *client, const struct resources *r);
int unbook(struct allocator *a, struct agent_slot *agent, struct client *client, const struct resources *r);

/* offer.c */
/*
 * What the client may have of what is free there; false when that is not worth an offer. Borrowed until anything changes, and until the
 * next call.
 */
bool offer_make_up(struct allocator *a, const struct agent_slot *agent, const struct client *client,
        struct resources *ret);

/* filter.c */
void filter_set(struct allocator *a, struct agent_slot *agent, struct client *client,
        const struct resources *refused, struct mono_time expires);
void refused_unref(struct refused *r); /* takes NULL */
static inline bool filter_is_live(const struct filter *f)
{
        return f->epoch == f->pair->client->epoch && f->agent_epoch == f->pair->agent->epoch;
}
/* Does a filter keep whatever is free there from the client? Known without a look at what is free; false when that takes one. */
bool filter_refuses_all(const struct agent_slot *agent, const struct client *client);
/* Does a filter keep this offer of the agent from the client? */
bool filter_refuses(
        const struct agent_slot *agent, const struct client *client, const struct resources *offer);
/* Ends at most `most` of those that ran out; their agents are to be looked at for them. False: there are more. */
bool filters_expire(struct allocator *a, struct mono_time now, size_t most);
/* Of all agents, at once. */
void filters_forget(struct allocator *a, struct client *client);
void filters_forget_agent(struct allocator *a, struct agent_slot *agent); /* of all clients, at once */
void filter_free(struct allocator *a, struct filter *f);

/* clearing.c */
/* The client left its role, or its framework the cluster: it goes when its pairs are cleared away. */
void client_depart(struct allocator *a, struct client *client);
/* The same of an agent, which nothing finds any more. */
void agent_slot_depart(struct allocator *a, struct agent_slot *agent);
#define CLEAR_NOW                                                                                            \
        32 /* steps at the end of an event: what is few goes at once, the rest with the calls for offers */
/* Does about so many steps of what is to be cleared away. False: there is more. */
bool clear_away(struct allocator *a, size_t steps);

/* allocator.c */
struct client *client_find(const struct allocator *a, const char *framework, const char *role);
struct client *client_get(struct allocator *a, struct framework_slot *framework, const char *role_name);
void client_free_if_unused(struct allocator *a, struct client *client);
