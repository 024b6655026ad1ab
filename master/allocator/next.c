/*
 * Who is offered which agent next. An agent is looked at for everybody when something changed on it, and else for those about whom there
 * is something new since it was looked at last; for single clients when a filter of theirs on it ran out.
 */
#include "master/allocator/allocator_internal.h"

struct search {
        struct allocator *a;
        const struct agent_slot *agent;
        enum look look;
        uint64_t generation;    /* only those about whom there is something newer */
        size_t asked;           /* how many clients */
        bool due;               /* only what a guarantee that is not met makes due */
        struct resources offer; /* what was found; borrowed, as offer_make_up() says */
};

static bool draws_on_guarantee(const struct search *s, const struct client *client)
{
        for (size_t i = 0; i < s->offer.count; i++) {
                const struct resource *e = &s->offer.entries[i];

                if (e->kind == RESOURCE_SCALAR && !entry_reserved_for(e) && !entry_revocable(e) &&
                        role_due(client->role, scalar_find(&s->a->names, e->name)) > 0)
                        return true;
        }
        return false;
}

static bool qualifies(const struct search *s, const struct client *client)
{
        const struct allocator_options *o = &s->a->options;

        return !o->qualifies ||
               o->qualifies(o->userdata, client->framework->id, client->role->name, s->agent->id, &s->offer);
}

static bool may_be_offered(struct search *s, const struct client *client)
{
        s->asked++;
        return !filter_refuses_all(s->agent, client) && offer_make_up(s->a, s->agent, client, &s->offer) &&
               (!s->due || draws_on_guarantee(s, client)) && !filter_refuses(s->agent, client, &s->offer) &&
               qualifies(s, client);
}

static void *search_role(struct search *s, struct role *role);

static void *search_entry(struct sorter_entry *e, void *userdata)
{
        struct search *s = userdata;

        if (e->is_role)
                return search_role(s, CONTAINER_OF(e, struct role, entry));
        return may_be_offered(s, CONTAINER_OF(e, struct client, entry)) ? e : NULL;
}

static void *search_role(struct search *s, struct role *role)
{
        const struct search before = *s;
        void *found;

        if (role->opened > s->generation)
                s->generation = 0; /* that is news for everybody within */
        if (s->look == LOOK_ENTITLED && role->entitled)
                s->look = LOOK_OPEN;
        sorter_refresh(&role->sorter, &s->a->share_totals, s->a->total_generation);
        found = sorter_walk(&role->sorter, s->look, s->generation, search_entry, s);
        s->generation = before.generation;
        s->look = before.look;
        return found;
}

static struct client *search(struct search *s, enum look look, struct role *role)
{
        struct sorter_entry *found;

        s->look = look;
        s->due = look == LOOK_ENTITLED;
        found = search_role(s, role);
        return found ? CONTAINER_OF(found, struct client, entry) : NULL;
}

/* What is reserved goes to those below the role that it is reserved for: nobody else is asked. */
static struct client *search_reserved(struct search *s)
{
        const struct resources *from = &s->agent->free;
        struct client *client = NULL;

        for (size_t i = 0; i < from->count && !client; i++) {
                const char *name = entry_reserved_for(&from->entries[i]);
                struct role *role = name ? role_find(s->a, name) : NULL;
                uint64_t generation = s->generation;

                if (!role)
                        continue;
                for (const struct role *above = role->parent; above; above = above->parent)
                        if (above->opened > generation)
                                s->generation = 0;
                client = search(s, LOOK_ANY, role);
                s->generation = generation;
        }
        return client;
}

static struct client *search_all(struct search *s)
{
        struct allocator *a = s->a;
        struct client *client = NULL;

        s->generation = s->agent->expired ? 0 : s->agent->considered;
        if (s->agent->firm_enough && a->needed)
                client = search(s, LOOK_ENTITLED, &a->root);
        if (!client && s->agent->firm_enough && !a->closed)
                client = search(s, LOOK_OPEN, &a->root);
        if (!client && s->agent->revocable_enough)
                client = search(s, LOOK_REVOCABLE, &a->root);
        if (!client && s->agent->has_reserved)
                client = search_reserved(s);
        return client;
}

/* ---- those whose filters ran out ---- */

static size_t depth_of(const struct role *role)
{
        size_t depth = 0;

        for (; role->parent; role = role->parent)
                depth++;
        return depth;
}

/* By the order of the role that both are within, directly or by a role of theirs. */
static bool goes_before(struct allocator *a, struct client *x, struct client *y)
{
        struct sorter_entry *ex = &x->entry, *ey = &y->entry;
        struct role *rx = x->role, *ry = y->role;
        size_t dx = depth_of(rx), dy = depth_of(ry);

        while (rx != ry) {
                bool lift_x = dx >= dy, lift_y = dy >= dx;

                if (lift_x) {
                        ex = &rx->entry;
                        rx = rx->parent;
                        dx--;
                }
                if (lift_y) {
                        ey = &ry->entry;
                        ry = ry->parent;
                        dy--;
                }
        }
        sorter_refresh(&rx->sorter, &a->share_totals, a->total_generation);
        return sorter_before(ex, ey);
}

static struct client *best_of_expired(struct search *s)
{
        struct client *best = NULL;
        struct pair *pair;

        DL_FOREACH2(s->agent->expired, pair, expired_next)
        if (pair->client->entry.active && (!best || goes_before(s->a, pair->client, best)) &&
                may_be_offered(s, pair->client))
                best = pair->client;
        return best;
}

static struct client *search_expired(struct search *s)
{
        struct client *client = NULL;

        if (!s->agent->listed)
                return NULL; /* what was free is taken */
        s->due = s->a->needed;
        client = best_of_expired(s);
        if (!client && s->due) {
                s->due = false;
                client = best_of_expired(s);
        }
        if (client)
                (void)offer_make_up(s->a, s->agent, client, &s->offer);
        return client;
}

/* ---- the next ---- */

static void offer_make(
        struct search *s, struct agent_slot *agent, struct client *client, struct allocator_offer *ret)
{
        ret->framework = xstrdup(client->framework->id);
        ret->role = xstrdup(client->role->name);
        ret->agent = xstrdup(agent->id);
        resources_copy(&s->offer, &ret->resources);
        book(s->a, agent, client, &ret->resources);
        agent_slot_take(s->a, agent, &ret->resources);
        quota_settle(s->a);
}

/* Of those who could be offered one of the listed agents. */
static uint64_t newest_that_matters(const struct allocator *a)
{
        const uint64_t *generation = a->root.entry.generation;
        uint64_t newest = a->needed ? generation[LOOK_ENTITLED] : 0;

        if (!a->closed)
                newest = MAX(newest, generation[LOOK_OPEN]);
        if (a->listed_revocable > 0)
                newest = MAX(newest, generation[LOOK_REVOCABLE]);
        if (a->listed_reserved > 0)
                newest = MAX(newest, generation[LOOK_ANY]);
        return newest;
}

/* False: there is no agent to look at. Adds to ret_asked how many clients it asked. */
static bool look_at_next(
        struct allocator *a, struct allocator_offer *ret, bool *ret_offered, size_t *ret_asked)
{
        struct agent_slot *agent = a->available;
        struct search s = {.a = a};
        struct client *client;

        if (agent && agent->considered < newest_that_matters(a)) {
                s.agent = agent;
                client = search_all(&s);
                if (!client) {
                        agent_slot_set_considered(a, agent);
                        agent_slot_forget_expired(a, agent);
                }
        } else if (a->again) {
                s.agent = agent = a->again;
                client = search_expired(&s);
                if (!client)
                        agent_slot_forget_expired(a, agent);
        } else {
                return false;
        }
        if (client)
                offer_make(&s, agent, client, ret);
        *ret_offered = client;
        *ret_asked += s.asked;
        return true;
}

/* An agent is looked at for everybody or nobody; where there are many of them, a call looks at fewer agents. */
#define ASK_MAX (ALLOCATOR_LOOK_MAX * 2)

enum allocator_next allocator_next_offer(
        struct allocator *a, struct mono_time now, struct allocator_offer *ret)
{
        bool expired = filters_expire(a, now, ALLOCATOR_LOOK_MAX);
        bool settled = clear_away(a, ALLOCATOR_LOOK_MAX) && expired, offered = false;
        size_t asked = 0;

        if (a->held)
                return settled ? ALLOCATOR_NONE : ALLOCATOR_MORE;
        for (size_t i = 0; i < ALLOCATOR_LOOK_MAX && asked < ASK_MAX; i++) {
                if (!look_at_next(a, ret, &offered, &asked))
                        return settled ? ALLOCATOR_NONE : ALLOCATOR_MORE;
                if (offered)
                        return ALLOCATOR_OFFER;
        }
        return ALLOCATOR_MORE;
}

bool allocator_next_wakeup(const struct allocator *a, struct mono_time *ret)
{
        if (a->heap.count == 0)
                return false;
        *ret = a->heap.items[0]->expires;
        return true;
}
