/*
 * The allocator: decides which framework is offered what. Pure: events and the time are arguments, offers come out; no I/O and no
 * clock, so that tests and the simulator drive the very code that runs in production. Single thread.
 *
 * Hierarchical weighted DRF: the role with the lowest weighted dominant share, within it the framework with the lowest one. An
 * offer is everything that is free on one agent; it counts as allocated until it is recovered. Incremental: an event touches the
 * agent, role and framework that it names. Agents with enough free wait in one list, those that must be looked at in front; the
 * cost of an event does not grow with the number of agents or tasks.
 *
 * Names are copied. Functions that name an unknown agent, framework or role return -ENOENT; a known one added again -EEXIST.
 */
#pragma once

#include "lib/base/resources.h"
#include "lib/base/time.h"

struct allocator;

struct allocator_options {
        uint64_t min_milli_cpus; /* an agent is offered when it has this much cpu free ... */
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

/* ---- agents ---- */
/* Added active. `used` may exceed the total (an agent that shrank): then nothing is free. */
int allocator_add_agent(struct allocator *a, const char *agent, const struct resources *total,
        const struct allocator_usage *used, size_t used_count);
int allocator_remove_agent(struct allocator *a, const char *agent); /* with all that is booked there */
int allocator_set_agent_total(struct allocator *a, const char *agent, const struct resources *total);
/* An agent that is not active keeps its bookings and is not offered. */
int allocator_set_agent_active(struct allocator *a, const char *agent, bool active);

/* ---- roles and frameworks ---- */
int allocator_set_role_weight(struct allocator *a, const char *role, uint64_t weight_milli);
int allocator_add_framework(
        struct allocator *a, const char *framework, const char *const *roles, size_t role_count);
/* Exactly these from now on. What it holds in others stays booked until it is recovered, and counts for them. */
int allocator_set_framework_roles(
        struct allocator *a, const char *framework, const char *const *roles, size_t role_count);
/* A framework that is not active is not offered anything; bookings, filters and suppression stay. */
int allocator_set_framework_active(struct allocator *a, const char *framework, bool active);
/* What it holds is recovered. */
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

/* ---- offers ---- */
/* The next offer, which the caller frees; false when there is none now. Call again until false. */
bool allocator_next_offer(struct allocator *a, struct mono_time now, struct allocator_offer *ret);
/* When a filter runs out; false when none does. */
bool allocator_next_wakeup(const struct allocator *a, struct mono_time *ret);

/* ---- looking ---- */
/* Borrowed until the next call; NULL when unknown. */
const struct resources *allocator_agent_total(const struct allocator *a, const char *agent);
const struct resources *allocator_agent_free(const struct allocator *a, const char *agent);
/* Weighted dominant share, a fraction of 2^40; 0 when unknown. */
uint64_t allocator_role_share(const struct allocator *a, const char *role);
bool allocator_framework_has_role(const struct allocator *a, const char *framework, const char *role);
bool allocator_is_suppressed(const struct allocator *a, const char *framework, const char *role);
struct allocator_role_view {
        const char *name;
        uint64_t share; /* as allocator_role_share() */
        size_t filters; /* that have not run out */
};
void allocator_each_role(const struct allocator *a,
        void (*each)(const struct allocator_role_view *role, void *userdata), void *userdata);

/* Recomputes everything from the bookings and compares: for tests. -EUCLEAN with a sentence. */
int allocator_check(const struct allocator *a, struct error *e) WARN_UNUSED;
