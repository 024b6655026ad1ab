/* The full pass: what incremental bookkeeping must agree with. Used by tests and the simulator, never on the hot path. */

#include <string.h>

#include "master/allocator/allocator_internal.h"

static int check_same(const char *what, const char *of, const struct resources *have,
        const struct resources *want, struct error *e)
{
        if (resources_equal(have, want))
                return 0;
        _cleanup_free_ char *h = resources_to_string(have), *w = resources_to_string(want);

        return error_set(e, -EUCLEAN, "%s of %s is %s, recomputed %s", what, of, h, w);
}

static int check_amounts(const struct allocator *a, const char *what, const char *of,
        const struct amounts *have, const struct amounts *want, struct error *e)
{
        _cleanup_resources_ struct resources h = {}, w = {};

        if (amounts_equal(have, want))
                return 0;
        amounts_to_resources(have, &a->names, &h);
        amounts_to_resources(want, &a->names, &w);
        return check_same(what, of, &h, &w, e);
}

/* Which entries a sum is of. */
enum sum { SUM_ALL, SUM_FIRM, SUM_PLAIN, SUM_RESERVED };

/* Within `role`, if it is not NULL: of what is reserved. */
static void sum_up(const struct allocator *a, const struct resources *r, enum sum sum,
        const struct role *role, struct amounts *x)
{
        for (size_t i = 0; i < r->count; i++) {
                const struct resource *e = &r->entries[i];
                const char *reserved_for = entry_reserved_for(e);

                if (e->kind != RESOURCE_SCALAR || (sum != SUM_ALL && entry_revocable(e)) ||
                        (sum == SUM_PLAIN && reserved_for) ||
                        (sum == SUM_RESERVED && !(reserved_for && role_is_within(reserved_for, role->name))))
                        continue;
                amounts_add(x, scalar_find(&a->names, e->name), e->milli);
        }
}

/* ---- agents ---- */

static int check_agent_free(const struct agent_slot *agent, struct error *e)
{
        _cleanup_resources_ struct resources both = {};
        const struct pair *pair;

        if (agent->overcommitted)
                return 0; /* it has less than its tasks hold: nothing to balance */
        resources_copy(&agent->free, &both);
        DL_FOREACH2(agent->pairs, pair, agent_next)
        resources_add(&both, &pair->held);
        return check_same("allocated + free", agent->id, &both, &agent->total, e);
}

static int check_pair(
        const struct agent_slot *agent, const struct pair *pair, bool may_be_stale, struct error *e)
{
        size_t filters = 0;

        if (pair_find(agent, pair->client) != pair)
                return error_set(e, -EUCLEAN, "agent %s does not find a pair of its own", agent->id);
        if (resources_empty(&pair->held) && !pair->filters && !pair->expired)
                return error_set(e, -EUCLEAN, "agent %s keeps an empty booking", agent->id);
        for (const struct filter *f = pair->filters; f; f = f->same, filters++)
                if (f->agent_epoch != agent->epoch && !may_be_stale)
                        return error_set(e, -EUCLEAN, "agent %s keeps what it forgot", agent->id);
        if (filters != pair->filter_count)
                return error_set(e, -EUCLEAN, "a pair of agent %s miscounts its filters", agent->id);
        return 0;
}

static int check_pairs(const struct agent_slot *agent, struct error *e)
{
        const struct pair *pair;
        size_t count = 0;
        int r = 0;

        DL_FOREACH2(agent->pairs, pair, agent_next)
        if (r >= 0)
                r = check_pair(agent, pair, count++ < agent->stale_pairs, e);
        if (r < 0)
                return r;
        if (count != agent->pair_count || count > agent->slot_count)
                return error_set(e, -EUCLEAN, "agent %s miscounts its pairs", agent->id);
        if (agent->refused &&
                agent->refused_is_free != resources_contains(&agent->refused->resources, &agent->free))
                return error_set(e, -EUCLEAN, "agent %s mistakes what is refused", agent->id);
        return 0;
}

static int check_agent(const struct allocator *a, const struct agent_slot *agent, struct error *e)
{
        bool wanted = agent->active && worth_offering(a, &agent->free);
        int r;

        if (agent->listed != wanted)
                return error_set(e, -EUCLEAN, "agent %s is %slisted as available", agent->id,
                        agent->listed ? "" : "not ");
        r = check_pairs(agent, e);
        return r < 0 ? r : check_agent_free(agent, e);
}

static int check_lists(const struct allocator *a, struct error *e)
{
        const struct agent_slot *agent;
        size_t reserved = 0, revocable = 0;
        uint64_t before = 0;

        DL_FOREACH (a->available, agent) {
                if (agent->considered < before)
                        return error_set(
                                e, -EUCLEAN, "agent %s waits behind those already looked at", agent->id);
                before = agent->considered;
                reserved += agent->has_reserved;
                revocable += agent->revocable_enough;
        }
        if (reserved != a->listed_reserved || revocable != a->listed_revocable)
                return error_set(
                        e, -EUCLEAN, "the agents with reserved or revocable resources are miscounted");
        for (size_t i = 0; i < a->heap.count; i++) {
                const struct filter *f = a->heap.items[i];

                if (f->heap_index != i || (i > 0 && a->heap.items[(i - 1) / 2]->expires.ns > f->expires.ns))
                        return error_set(e, -EUCLEAN, "the heap of filters is out of order at %zu", i);
        }
        return 0;
}

static int check_totals(const struct allocator *a, struct error *e)
{
        const struct agent_slot *agent, *next;
        struct amounts total = {}, plain = {};
        _cleanup_resources_ struct resources as_vector = {};
        int r;

        HASH_ITER (hh, a->agents, agent, next) {
                sum_up(a, &agent->total, SUM_ALL, NULL, &total);
                if (agent->active)
                        sum_up(a, &agent->free, SUM_PLAIN, NULL, &plain);
        }
        r = check_amounts(a, "total", "the cluster", &a->totals, &total, e);
        if (r >= 0)
                r = check_amounts(
                        a, "what is free and not reserved", "the cluster", &a->firm_free, &plain, e);
        amounts_to_resources(&total, &a->names, &as_vector);
        if (r >= 0)
                r = check_same("total", "the cluster", &a->total, &as_vector, e);
        amounts_done(&total);
        amounts_done(&plain);
        return r;
}

/* ---- roles and clients ---- */

struct sums {
        struct amounts all, firm, reserved, reserved_free;
        uint64_t bookings;
};

static void sums_done(struct sums *s)
{
        amounts_done(&s->all);
        amounts_done(&s->firm);
        amounts_done(&s->reserved);
        amounts_done(&s->reserved_free);
}

/* Of one client, or of all within a role. */
static void sum_held(const struct allocator *a, const struct agent_slot *agent, const struct role *role,
        const struct client *client, struct sums *ret)
{
        const struct pair *pair;

        DL_FOREACH2(agent->pairs, pair, agent_next)
        {
                if (client ? pair->client != client : !role_is_within(pair->client->role->name, role->name))
                        continue;
                sum_up(a, &pair->held, SUM_ALL, NULL, &ret->all);
                sum_up(a, &pair->held, SUM_FIRM, NULL, &ret->firm);
                ret->bookings += !resources_empty(&pair->held);
        }
}

static void sum_holdings(
        const struct allocator *a, const struct role *role, const struct client *client, struct sums *ret)
{
        const struct agent_slot *agent, *next;

        HASH_ITER (hh, a->agents, agent, next) {
                sum_held(a, agent, role, client, ret);
                if (client)
                        continue;
                sum_up(a, &agent->total, SUM_RESERVED, role, &ret->reserved);
                sum_up(a, &agent->free, SUM_RESERVED, role, &ret->reserved_free);
        }
        DL_FOREACH2(a->stale, agent, stale_next)
        if (agent->gone)
                sum_held(a, agent, role, client, ret);
}

static int check_entry(
        const struct allocator *a, const struct sorter_entry *x, const struct sums *want, struct error *e)
{
        if (x->bookings != want->bookings)
                return error_set(e, -EUCLEAN, "%s counts %ju bookings, recomputed %ju", x->name,
                        (uintmax_t)x->bookings, (uintmax_t)want->bookings);
        return check_amounts(a, "sum", x->name, &x->allocated, &want->all, e);
}

static uint64_t above_zero(uint64_t a, uint64_t b)
{
        return a > b ? a - b : 0;
}

/* What guarantees need, straight from their definition. */
static uint64_t need_of(
        const struct allocator *a, const struct role *role, size_t scalar, uint64_t *ret_within)
{
        const struct role *other, *next;
        uint64_t within = 0, unused;

        HASH_ITER (hh, a->roles, other, next)
                if (other->parent == role)
                        within += need_of(a, other, scalar, &unused);
        *ret_within = within;
        for (size_t i = 0; i < role->quota_count; i++)
                if (role->states[i].scalar == scalar)
                        return MAX(within,
                                above_zero(role->quotas[i].guarantee_milli, role_consumed(role, scalar)));
        return within;
}

static int check_quota(const struct allocator *a, const struct role *role, struct error *e)
{
        bool entitled = false;

        for (size_t s = 0; s < a->names.count; s++) {
                uint64_t within, need = need_of(a, role, s, &within);

                if ((role->parent && amounts_get(&role->need, s) != need) ||
                        amounts_get(&role->children_need, s) != within)
                        return error_set(e, -EUCLEAN,
                                "guarantees of %s need %ju of %s, recomputed %ju; within it %ju, recomputed "
                                "%ju",
                                role->name ? role->name : "all", (uintmax_t)amounts_get(&role->need, s),
                                a->names.names[s], (uintmax_t)need,
                                (uintmax_t)amounts_get(&role->children_need, s), (uintmax_t)within);
                if (role->quota_count > 0 && need - within >= worth_milli(a, s))
                        entitled = true;
        }
        if (role->entitled != entitled)
                return error_set(e, -EUCLEAN, "role %s is %sentitled", role->name, entitled ? "not " : "");
        if (role->exhausted != (role_room(role, SCALAR_CPUS) < worth_milli(a, SCALAR_CPUS) &&
                                       role_room(role, SCALAR_MEM) < worth_milli(a, SCALAR_MEM)))
                return error_set(e, -EUCLEAN, "role %s is not as exhausted as it says", role->name);
        return 0;
}

struct order_check {
        const struct allocator *a;
        const struct sorter *sorter;
        const struct sorter_entry *last;
        size_t count;
        bool wrong;
};

static void *check_order_entry(struct sorter_entry *x, void *userdata)
{
        struct order_check *c = userdata;

        c->wrong |= !x->active || (c->last && !sorter_before(c->last, x));
        c->wrong |= c->sorter->total_generation == c->a->total_generation &&
                    x->share != sorter_share(&x->allocated, x->weight_milli, &c->a->share_totals);
        c->last = x;
        c->count++;
        return NULL;
}

static bool generations_right(const struct sorter_entry *x)
{
        for (size_t i = 0; x && i < LOOK_MAX; i++) {
                uint64_t left = x->left ? x->left->newest[i] : 0, right = x->right ? x->right->newest[i] : 0;
                uint64_t below = MAX(left, right);

                if (x->newest[i] != MAX(x->generation[i], below))
                        return false;
        }
        return !x || (generations_right(x->left) && generations_right(x->right));
}

static int check_sorter(const struct allocator *a, const struct role *role, struct error *e)
{
        struct order_check c = {.a = a, .sorter = &role->sorter};
        const char *name = role->name ? role->name : "all";

        (void)sorter_walk(&role->sorter, LOOK_ANY, 0, check_order_entry, &c);
        if (c.wrong || c.count != role->sorter.count)
                return error_set(e, -EUCLEAN, "the order within %s is wrong", name);
        if (!generations_right(role->sorter.top))
                return error_set(e, -EUCLEAN, "what is new within %s is wrong", name);
        return 0;
}

static int check_role(const struct allocator *a, struct role *role, struct error *e)
{
        struct sums want = {};
        uint64_t published[LOOK_MAX];
        int r;

        sum_holdings(a, role, NULL, &want);
        r = check_entry(a, &role->entry, &want, e);
        if (r >= 0)
                r = check_amounts(a, "what is firm", role->name, &role->firm, &want.firm, e);
        if (r >= 0)
                r = check_amounts(a, "what is reserved", role->name, &role->reserved, &want.reserved, e);
        if (r >= 0)
                r = check_amounts(a, "what is reserved and free", role->name, &role->reserved_free,
                        &want.reserved_free, e);
        sums_done(&want);
        if (r >= 0)
                r = check_sorter(a, role, e);
        if (r >= 0)
                r = check_quota(a, role, e);
        if (r < 0)
                return r;
        if (role->entry.active != (role->sorter.count > 0))
                return error_set(
                        e, -EUCLEAN, "role %s is %sactive", role->name, role->entry.active ? "" : "not ");
        memcpy(published, role->entry.generation, sizeof(published));
        role_publish(role);
        if (memcmp(published, role->entry.generation, sizeof(published)) != 0)
                return error_set(e, -EUCLEAN, "role %s did not say what is new in it", role->name);
        if (role->dirty)
                return error_set(e, -EUCLEAN, "the quota of role %s is not settled", role->name);
        return 0;
}

static int check_client_filters(const struct client *client, struct error *e)
{
        const struct filter *f;
        size_t count = 0;

        DL_FOREACH (client->filters, f)
                count += f->epoch == client->epoch && f->pair->client == client;
        if (count != client->filter_count)
                return error_set(e, -EUCLEAN, "%s counts %zu filters, recounted %zu", client->entry.name,
                        client->filter_count, count);
        return 0;
}

static int check_client(const struct allocator *a, const struct client *client, struct error *e)
{
        struct sums want = {};
        int r;

        sum_holdings(a, NULL, client, &want);
        r = check_entry(a, &client->entry, &want, e);
        sums_done(&want);
        return r < 0 ? r : check_client_filters(client, e);
}

static int check_clients(const struct allocator *a, struct error *e)
{
        const struct framework_slot *framework, *next_framework;
        const struct client *client, *next_client;
        int r = 0;

        HASH_ITER (hh, a->frameworks, framework, next_framework)
                HASH_ITER (hh, framework->clients, client, next_client)
                        if (r >= 0)
                                r = check_client(a, client, e);
        DL_FOREACH2(a->departed, client, departed_next)
        if (r >= 0)
                r = check_client(a, client, e);
        return r;
}

static int check_headroom(const struct allocator *a, struct error *e)
{
        bool closed = true;

        for (size_t s = SCALAR_CPUS; s <= SCALAR_MEM; s++)
                closed &= role_allowed(a, &a->root, s) < worth_milli(a, s);
        if (a->needed != !amounts_zero(&a->root.children_need) || a->closed != closed)
                return error_set(e, -EUCLEAN, "what guarantees leave to others is not settled");
        return 0;
}

int allocator_check(const struct allocator *a, struct error *e)
{
        struct agent_slot *agent, *next_agent;
        struct role *role, *next_role;
        int r = 0;

        HASH_ITER (hh, a->agents, agent, next_agent)
                if (r >= 0)
                        r = check_agent(a, agent, e);
        HASH_ITER (hh, a->roles, role, next_role)
                if (r >= 0)
                        r = check_role(a, role, e);
        if (r >= 0)
                r = check_totals(a, e);
        if (r >= 0)
                r = check_lists(a, e);
        if (r >= 0)
                r = check_sorter(a, &a->root, e);
        if (r >= 0)
                r = check_quota(a, &a->root, e);
        if (r >= 0)
                r = check_headroom(a, e);
        return r < 0 ? r : check_clients(a, e);
}
