/*
 * The allocator: decides which framework is offered what. Pure: events and the time are arguments, offers come out; no I/O and no
 * clock, so that tests and the simulator drive the very code that runs in production. Single thread.
 *
 * Weighted dominant resource fairness over the tree of roles ("a/b/c"), then over the frameworks of a role: at each level the child with
 * the lowest weighted dominant share goes first; frameworks of a role compete with its sub-roles. Quotas come before fairness: a role
 * whose guarantee is not met goes first, enough is left unallocated for guarantees that are not met yet (headroom), and no role passes
 * its limit. Offers are cut where a limit or the headroom leaves less than the agent has free.
 *
 * An offer is everything on one agent that the role may have: what is not reserved, what is reserved for the role or one above it, and
 * revocable resources for frameworks that take them. It counts as allocated until it is recovered. Incremental: an event touches the
 * agent, role and framework that it names, and costs at most a logarithm in their numbers; what it sets in motion is spread over calls
 * of allocator_next_offer(), each of which looks at a bounded number of agents. So what a framework or an agent leaves behind when it
 * is removed, when it is much, still counts as allocated until some calls later.
 *
 * Names are copied. Functions that name an unknown agent, framework or role return -ENOENT; a known one added again -EEXIST.
 */
#pragma once

#include "lib/base/resources.h"
#include "lib/base/time.h"

struct allocator;

struct allocator_options {
        uint64_t min_milli_cpus; /* an agent is offered when it has this much cpu to give ... */
        uint64_t min_milli_mem;  /* ... or this much memory; both 0: 0.01 cpu or 32 MB */
        /*
         * May the framework be offered the agent in this role, with what is free there? NULL: always. Asked again when the agent
         * changes or after allocator_reconsider(), so nothing but these may change its answer. It must not call the allocator.
         */
        bool (*qualifies)(void *userdata, const char *framework, const char *role, const char *agent,
                const struct resources *available);
        void *userdata;
};

/* What a framework holds on an agent, in the name of a role. */
struct allocator_usage {
        const char *framework;
        const char *role;
        const struct resources *resources;
};

struct allocator_offer {
        char *framework, *role, *agent;
        struct resources resources;
};
void allocator_offer_done(struct allocator_offer *o);

struct allocator *allocator_new(const struct allocator_options *o); /* NULL: the defaults */
struct allocator *allocator_free(struct allocator *a);
DEFINE_CLEANUP(struct allocator, allocator_free)
/* While held nothing is offered: after a failover, until enough agents are back to know what quotas have used. */
void allocator_hold(struct allocator *a, bool held);

/* ---- agents ---- */
/* Added active. `used` may exceed the total (an agent that shrank): then nothing is free. */
int allocator_add_agent(struct allocator *a, const char *agent, const struct resources *total,
        const struct allocator_usage *used, size_t used_count);
/* With all that is booked there, which the shares and quotas of who held it count for as long as clearing it away takes. */
int allocator_remove_agent(struct allocator *a, const char *agent);
int allocator_set_agent_total(struct allocator *a, const char *agent, const struct resources *total);
/* An agent that is not active (unreachable, draining, deactivated) keeps its bookings and is not offered. */
int allocator_set_agent_active(struct allocator *a, const char *agent, bool active);
/* What was free changes its traits (an operator reserves, makes a volume): -EBUSY when `from` is not all free. Quantities stay. */
int allocator_update_available(
        struct allocator *a, const char *agent, const struct resources *from, const struct resources *to);

/* ---- roles and frameworks ---- */
/* Of one role of the tree, against its siblings. -EINVAL for 0. Kept for roles that nobody has yet. */
int allocator_set_role_weight(struct allocator *a, const char *role, uint64_t weight_milli);

#define QUOTA_NO_LIMIT UINT64_MAX
struct allocator_quota {
        char name
                [RESOURCE_NAME_MAX]; /* of a scalar; consumed by all roles within the role: what is allocated, and what is reserved */
        uint64_t guarantee_milli; /* <= limit */
        uint64_t limit_milli;     /* QUOTA_NO_LIMIT: none */
};
/* Replaces the role's quota; count 0 ends it. What is allocated above a new limit stays. */
int allocator_set_quota(
        struct allocator *a, const char *role, const struct allocator_quota *quotas, size_t count);
int allocator_add_framework(
        struct allocator *a, const char *framework, const char *const *roles, size_t role_count);
/* Exactly these from now on. What it holds in others stays booked until it is recovered, and counts for them. */
int allocator_set_framework_roles(
        struct allocator *a, const char *framework, const char *const *roles, size_t role_count);
/* A framework that is not active is not offered anything; bookings, filters and suppression stay. */
int allocator_set_framework_active(struct allocator *a, const char *framework, bool active);
/* Does it take revocable resources? Not at first. */
int allocator_set_framework_revocable(struct allocator *a, const char *framework, bool revocable);
/* What it holds is recovered: at once when it is a few bookings, else with the calls for offers. It may be added again at once. */
int allocator_remove_framework(struct allocator *a, const char *framework);
/* role NULL: all of the framework's. Reviving also forgets its filters. */
int allocator_suppress(struct allocator *a, const char *framework, const char *role);
int allocator_revive(struct allocator *a, const char *framework, const char *role);
/* What `qualifies` answers has changed: every agent is looked at again. */
void allocator_reconsider(struct allocator *a);

/* ---- bookings ---- */
/* Books outside of an offer: tasks that an agent brought back. The role may be one that the framework no longer has. */
int allocator_allocate(struct allocator *a, const char *agent, const struct allocator_usage *use);
/*
 * Returns what a task or a declined offer held. With refuse_ns > 0 the framework is not offered this agent again in this role until
 * `now` + refuse_ns, unless more than the refused becomes free. -ERANGE when it does not hold that much.
 */
int allocator_recover(struct allocator *a, const char *agent, const struct allocator_usage *use,
        struct mono_time now, uint64_t refuse_ns);
/* What is held changes its traits (RESERVE, CREATE and so on out of an offer): -ERANGE when it does not hold `use`. Quantities stay. */
int allocator_update_allocation(struct allocator *a, const char *agent, const struct allocator_usage *use,
        const struct resources *to);

/* ---- offers ---- */
enum allocator_next {
        ALLOCATOR_NONE,  /* nobody wants anything now */
        ALLOCATOR_OFFER, /* *ret, which the caller ends; call again */
        ALLOCATOR_MORE, /* looked at ALLOCATOR_LOOK_MAX agents that nobody wants, or cleared away; call again, soon */
};
#define ALLOCATOR_LOOK_MAX 64
enum allocator_next allocator_next_offer(
        struct allocator *a, struct mono_time now, struct allocator_offer *ret);
/* When a filter runs out; false when none does. */
bool allocator_next_wakeup(const struct allocator *a, struct mono_time *ret);

/* ---- looking ---- */
/* Borrowed until the next call; NULL when unknown. */
const struct resources *allocator_agent_total(const struct allocator *a, const char *agent);
const struct resources *allocator_agent_free(const struct allocator *a, const char *agent);
const struct resources *allocator_total(const struct allocator *a); /* scalars of all agents, active or not */
/* Weighted dominant share, a fraction of 2^40; 0 when unknown. */
uint64_t allocator_role_share(const struct allocator *a, const char *role);
bool allocator_framework_has_role(const struct allocator *a, const char *framework, const char *role);
bool allocator_is_suppressed(const struct allocator *a, const char *framework, const char *role);

struct allocator_role_view {
        const char *name; /* all is borrowed */
        uint64_t weight_milli;
        uint64_t share;                    /* as allocator_role_share() */
        const struct resources *allocated; /* scalars, with all roles within it */
        const struct resources
                *reserved; /* scalars reserved for it and the roles within it, allocated or not */
        const struct resources *consumed; /* what counts against its quota */
        const struct allocator_quota *quotas;
        size_t quota_count;
        size_t frameworks; /* that have this very role */
        size_t filters;    /* that have not run out, or are not cleared away yet */
};
void allocator_each_role(const struct allocator *a,
        void (*each)(const struct allocator_role_view *role, void *userdata), void *userdata);
/* False when unknown. */
bool allocator_role(const struct allocator *a, const char *role, struct allocator_role_view *ret);
/* Why the role gets nothing more of this scalar now, for people: the limit that stops it (of it or a role above, borrowed) or NULL. */
const char *allocator_limiting_role(const struct allocator *a, const char *role, const char *resource);
/* How much of this scalar is free on active agents beyond what guarantees of other roles hold back. */
uint64_t allocator_unclaimed(const struct allocator *a, const char *role, const char *resource);

/* How much is free there besides, and is not offered to the role as guarantees of others are not met yet. */
uint64_t allocator_withheld(const struct allocator *a, const char *role, const char *resource);

/* Bytes that the allocator holds, by its own count: per agent and in all. */
size_t allocator_memory(const struct allocator *a);

/* Recomputes everything from the bookings and compares: for tests. -EUCLEAN with a sentence. */
int allocator_check(const struct allocator *a, struct error *e) WARN_UNUSED;
