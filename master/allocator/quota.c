/*
 * Quotas: what a role may have of what is free. All is kept up to date by the events that change it, so that asking costs the depth
 * of the tree.
 *
 * Guarantees. unmet(role) = what is missing of its guarantee. A role and those within it need together, of one scalar,
 *     need(role) = max(unmet(role), sum of need(role within)),  excess(role) = need(role) - that sum
 * and the sum of the excesses of all roles is the sum of the needs at the top: what must stay free, the headroom. What is allocated in
 * a role lowers unmet of it and of all above, so it may draw on their excesses, each of which falls by what is drawn; from the rest of
 * what is free it may have what the headroom leaves. So
 *     allowed(role) = sum of excess over it and those above + max(0, free - headroom).
 *
 * Events only mark the roles whose consumption they change; quota_settle() then computes their states once, so that what one event
 * takes from here and adds there opens nothing for anybody.
 *
 * When a limit or the headroom leaves more than before, agents must be looked at that were left alone, as far as it matters: the first
 * time that there is enough for an offer, and whenever it has doubled. While there is not enough for an offer nobody looks at all.
 */
#include <stdlib.h>

#include "master/allocator/allocator_internal.h"

uint64_t role_consumed(const struct role *role, size_t scalar)
{
        return amounts_get(&role->firm, scalar) + amounts_get(&role->reserved_free, scalar);
}

static uint64_t above_zero(uint64_t a, uint64_t b)
{
        return a > b ? a - b : 0;
}

static uint64_t quota_room(const struct role *role, size_t i)
{
        if (role->quotas[i].limit_milli == QUOTA_NO_LIMIT)
                return UINT64_MAX;
        return above_zero(role->quotas[i].limit_milli, role_consumed(role, role->states[i].scalar));
}

static const struct quota_state *state_find(const struct role *role, size_t scalar)
{
        for (size_t i = 0; i < role->quota_count; i++)
                if (role->states[i].scalar == scalar)
                        return &role->states[i];
        return NULL;
}

uint64_t role_room(const struct role *role, size_t scalar)
{
        const struct quota_state *s = state_find(role, scalar);

        return s ? quota_room(role, (size_t)(s - role->states)) : UINT64_MAX;
}

uint64_t role_due(const struct role *role, size_t scalar)
{
        uint64_t due = 0;

        for (; role->parent; role = role->parent) {
                const struct quota_state *s = state_find(role, scalar);

                due += s ? s->excess : 0;
        }
        return due;
}

/* What is free beyond the headroom. */
static uint64_t slack(const struct allocator *a, size_t scalar)
{
        return above_zero(amounts_get(&a->firm_free, scalar), amounts_get(&a->root.children_need, scalar));
}

uint64_t role_allowed(const struct allocator *a, const struct role *role, size_t scalar)
{
        if (amounts_get(&a->root.children_need, scalar) == 0)
                return UINT64_MAX;
        return role_due(role, scalar) + slack(a, scalar);
}

void role_touch_quota(struct allocator *a, struct role *role)
{
        if (role->dirty || role->quota_count == 0)
                return;
        role->dirty = true;
        DL_APPEND2(a->dirty, role, dirty_prev, dirty_next);
}

/* Is `now` so much more than what was seen that it is news? Remembers it then, and the least in between. */
static bool is_news(uint64_t *seen, uint64_t now, uint64_t worth)
{
        if (now >= worth && now / 2 >= *seen && now > *seen) {
                *seen = now;
                return true;
        }
        *seen = now < worth ? 0 : MIN(*seen, now);
        return false;
}

/* After a change of its consumption, or of the needs within it. */
static bool update_excess(struct allocator *a, struct role *role, size_t scalar)
{
        struct quota_state *s = (struct quota_state *)state_find(role, scalar);
        uint64_t within = amounts_get(&role->children_need, scalar), old = amounts_get(&role->need, scalar),
                 need;
        bool news = false;

        if (s) {
                const struct allocator_quota *q = &role->quotas[s - role->states];
                uint64_t unmet = above_zero(q->guarantee_milli, role_consumed(role, scalar));

                s->excess = above_zero(unmet, within);
                news = is_news(&s->seen_excess, s->excess, worth_milli(a, scalar));
        }
        need = within + (s ? s->excess : 0);
        amounts_set(&role->need, scalar, need);
        if (need != old) {
                amounts_take(&role->parent->children_need, scalar, old);
                amounts_add(&role->parent->children_need, scalar, need);
                if (role->parent->parent && update_excess(a, role->parent, scalar))
                        role_open(a, role->parent);
        }
        return news;
}

/* Something of cpus or memory must be left for an offer to be worth it, see worth_offering(). */
static bool is_exhausted(const struct allocator *a, const struct role *role)
{
        return role_room(role, SCALAR_CPUS) < worth_milli(a, SCALAR_CPUS) &&
               role_room(role, SCALAR_MEM) < worth_milli(a, SCALAR_MEM);
}

static bool is_entitled(const struct allocator *a, const struct role *role)
{
        for (size_t i = 0; i < role->quota_count; i++)
                if (role->states[i].excess >= worth_milli(a, role->states[i].scalar))
                        return true;
        return false;
}

static void role_settle(struct allocator *a, struct role *role)
{
        bool news = false;

        for (size_t i = 0; i < role->quota_count; i++) {
                struct quota_state *s = &role->states[i];

                news |= update_excess(a, role, s->scalar);
                news |= is_news(&s->seen_room, quota_room(role, i), worth_milli(a, s->scalar));
        }
        role->exhausted = is_exhausted(a, role);
        if (news)
                role_open(a, role);
        for (; role->parent; role = role->parent) { /* those above may need more or less for themselves now */
                role->entitled = is_entitled(a, role);
                role_publish(role);
        }
}

static void settle_headroom(struct allocator *a)
{
        const struct amounts *need = &a->root.children_need;
        bool news = false;

        if (a->guarantees == 0 && !a->needed)
                return;
        for (size_t i = 0; i < MAX(need->count, a->firm_free.count); i++) {
                uint64_t seen = amounts_get(&a->seen_slack, i);
                bool was = a->needed && is_news(&seen, slack(a, i), worth_milli(a, i));

                if (!a->needed)
                        seen = slack(a, i); /* nothing was cut: nothing is news */
                amounts_set(&a->seen_slack, i, seen);
                news |= was;
        }
        a->needed = !amounts_zero(need);
        a->closed = role_allowed(a, &a->root, SCALAR_CPUS) < worth_milli(a, SCALAR_CPUS) &&
                    role_allowed(a, &a->root, SCALAR_MEM) < worth_milli(a, SCALAR_MEM);
        if (news)
                role_open(a, &a->root);
}

void quota_settle(struct allocator *a)
{
        while (a->dirty) {
                struct role *role = a->dirty;

                DL_DELETE2(a->dirty, role, dirty_prev, dirty_next);
                role->dirty = false;
                role_settle(a, role);
        }
        settle_headroom(a);
}

static void quotas_forget(struct allocator *a, struct role *role)
{
        for (size_t i = 0; i < role->quota_count; i++) {
                size_t scalar = role->states[i].scalar;

                a->guarantees -= role->quotas[i].guarantee_milli > 0;
                role->quotas[i].guarantee_milli = 0;
                (void)update_excess(a, role, scalar);
        }
        free(role->quotas);
        free(role->states);
        role->quotas = NULL;
        role->states = NULL;
        role->quota_count = 0;
}

/* What was seen of the same scalar before is still what was seen. */
static struct quota_state *states_new(
        struct allocator *a, const struct role *role, const struct allocator_quota *quotas, size_t count)
{
        struct quota_state *states = xcalloc(count, sizeof(*states));

        for (size_t i = 0; i < count; i++) {
                size_t scalar = scalar_number(&a->names, quotas[i].name);
                const struct quota_state *before = state_find(role, scalar);

                states[i].scalar = scalar;
                states[i].seen_excess = before ? before->seen_excess : 0;
                states[i].seen_room = before ? before->seen_room : UINT64_MAX;
        }
        return states;
}

/* Does a limit end that left less than there is? */
static bool limit_ends(const struct role *role, const struct allocator_quota *quotas, size_t count)
{
        for (size_t i = 0; i < role->quota_count; i++) {
                bool stays = false;

                for (size_t j = 0; j < count; j++)
                        stays |= str_equal(quotas[j].name, role->quotas[i].name);
                if (!stays && role->quotas[i].limit_milli != QUOTA_NO_LIMIT)
                        return true;
        }
        return false;
}

int allocator_set_quota(
        struct allocator *a, const char *name, const struct allocator_quota *quotas, size_t count)
{
        struct role *role = role_get(a, name);
        struct quota_state *states = count > 0 ? states_new(a, role, quotas, count) : NULL;
        bool news = limit_ends(role, quotas, count);

        quotas_forget(a, role);
        role->quotas = count > 0 ? xmemdup(quotas, count * sizeof(*quotas)) : NULL;
        role->states = states;
        role->quota_count = count;
        for (size_t i = 0; i < count; i++)
                a->guarantees += quotas[i].guarantee_milli > 0;
        role_settle(a, role);
        if (news)
                role_open(a, role);
        quota_settle(a);
        role_free_if_unused(a, role);
        return 0;
}
