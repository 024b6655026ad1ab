/*
 * What must hold whatever happens: thousands of random histories against a model that only adds up what was offered and given back. No
 * resource is negative, promised twice or lost; reservations, limits and guarantees hold with every offer.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "master/allocator/allocator.h"

#define NAME_MAX_BYTES 24
#define ROLES 7
#define FRAMEWORKS 8
#define AGENTS 12
#define BOOKINGS_MAX 400
#define KINDS 2
#define HISTORIES 3000
#define EVENTS 120

/* The sanitizers make each step some ten times as dear. */
#ifdef __SANITIZE_ADDRESS__
#define HISTORIES_RUN (HISTORIES / 10)
#else
#define HISTORIES_RUN HISTORIES
#endif

static const char *const role_names[ROLES] = {"a", "a/x", "a/x/p", "a/y", "b", "c/d", "*"};
static const char *const kinds[KINDS] = {"cpus", "mem"};

/* An outstanding offer or a task: the allocator does not tell them apart. */
struct booking {
        char framework[NAME_MAX_BYTES], role[16], agent[NAME_MAX_BYTES];
        struct resources resources;
};

struct framework {
        bool there, active, revocable;
        bool has[ROLES], suppressed[ROLES];
};

struct model {
        struct allocator *a;
        unsigned seed;
        uint64_t now;
        struct framework frameworks[FRAMEWORKS];
        bool agent_there[AGENTS], agent_active[AGENTS];
        struct resources totals[AGENTS];
        struct booking bookings[BOOKINGS_MAX];
        size_t count;
        struct allocator_quota quotas[ROLES][KINDS]; /* without a quota: guarantee 0, no limit */
};

static unsigned dice(struct model *m, unsigned sides)
{
        return (unsigned)rand_r(&m->seed) % sides;
}

static void parse(const char *text, struct resources *ret)
{
        _cleanup_error_ struct error e = {};

        if (resources_parse(text, ret, &e) < 0)
                fail_msg("%s", error_message(&e));
}

static const char *agent_name(size_t i, char ret[NAME_MAX_BYTES])
{
        (void)snprintf(ret, NAME_MAX_BYTES, "s%zu", i);
        return ret;
}

static const char *framework_name(size_t i, char ret[NAME_MAX_BYTES])
{
        (void)snprintf(ret, NAME_MAX_BYTES, "f%zu", i);
        return ret;
}

static size_t number_of(const char *name)
{
        return (size_t)atoi(name + 1);
}

static size_t role_number(const char *role)
{
        for (size_t i = 0; i < ROLES; i++)
                if (str_equal(role_names[i], role))
                        return i;
        fail_msg("a role that nobody made: %s", role);
        return 0;
}

/* ---- the model's own sums ---- */

static bool counts_for_quota(const struct resource *x)
{
        return x->kind == RESOURCE_SCALAR && !(x->traits && x->traits->revocable);
}

static uint64_t sum_unreserved(const struct resources *r, const char *kind)
{
        return resources_plain_scalar(r, kind);
}

/* Reserved for the role or one within it. */
static uint64_t sum_reserved(const struct resources *r, const char *kind, const char *role)
{
        uint64_t sum = 0;

        for (size_t i = 0; i < r->count; i++) {
                const char *reserved = resource_traits_role(r->entries[i].traits);

                if (reserved && str_equal(r->entries[i].name, kind) && counts_for_quota(&r->entries[i]) &&
                        role_is_within(reserved, role))
                        sum += r->entries[i].milli;
        }
        return sum;
}

static uint64_t sum_held(const struct resources *r, const char *kind)
{
        uint64_t sum = 0;

        for (size_t i = 0; i < r->count; i++)
                if (str_equal(r->entries[i].name, kind) && counts_for_quota(&r->entries[i]))
                        sum += r->entries[i].milli;
        return sum;
}

/* What roles within it hold, and what is reserved for such and held by nobody. */
static uint64_t consumed(const struct model *m, const char *role, const char *kind)
{
        uint64_t sum = 0;
        char name[NAME_MAX_BYTES];

        for (size_t i = 0; i < m->count; i++)
                if (role_is_within(m->bookings[i].role, role))
                        sum += sum_held(&m->bookings[i].resources, kind);
        for (size_t i = 0; i < AGENTS; i++)
                if (m->agent_there[i])
                        sum += sum_reserved(allocator_agent_free(m->a, agent_name(i, name)), kind, role);
        return sum;
}

static bool is_child(const char *role, const char *parent)
{
        return role_is_within(role, parent) && !str_equal(role, parent) &&
               !strchr(role + strlen(parent) + 1, '/');
}

/* What must be kept for a role whose guarantee is not met: its own want, or its children's where they want more. */
static uint64_t need_of(const struct model *m, size_t role, size_t kind)
{
        uint64_t guarantee = m->quotas[role][kind].guarantee_milli, children = 0;
        uint64_t have = consumed(m, role_names[role], kinds[kind]);

        for (size_t i = 0; i < ROLES; i++)
                if (is_child(role_names[i], role_names[role]))
                        children += need_of(m, i, kind);
        return MAX(children, guarantee > have ? guarantee - have : 0);
}

static uint64_t free_unreserved(const struct model *m, size_t kind)
{
        uint64_t sum = 0;
        char name[NAME_MAX_BYTES];

        for (size_t i = 0; i < AGENTS; i++)
                if (m->agent_there[i] && m->agent_active[i])
                        sum += sum_unreserved(allocator_agent_free(m->a, agent_name(i, name)), kinds[kind]);
        return sum;
}

/* What is free beyond all that must be kept. */
static int64_t slack(const struct model *m, size_t kind)
{
        uint64_t need = 0;

        for (size_t i = 0; i < ROLES; i++)
                if (!strchr(role_names[i], '/') || str_equal(role_names[i], "c/d")) /* nobody is "c" */
                        need += need_of(m, i, kind);
        return (int64_t)free_unreserved(m, kind) - (int64_t)need;
}

/* ---- invariants ---- */

static void check_agent(const struct model *m, size_t i)
{
        _cleanup_resources_ struct resources sum = {};
        char name[NAME_MAX_BYTES];

        agent_name(i, name);
        if (!m->agent_there[i]) {
                assert_null(allocator_agent_free(m->a, name));
                return;
        }
        for (size_t b = 0; b < m->count; b++)
                if (str_equal(m->bookings[b].agent, name)) {
                        _cleanup_resources_ struct resources both = {};

                        /* Ports are taken twice where adding them loses some. */
                        resources_copy(&sum, &both);
                        resources_add(&both, &m->bookings[b].resources);
                        assert_int_equal(resources_subtract(&both, &m->bookings[b].resources), 0);
                        assert_true(resources_equal(&both, &sum));
                        resources_add(&sum, &m->bookings[b].resources);
                }
        assert_true(resources_contains(&m->totals[i], &sum));
        resources_add(&sum, allocator_agent_free(m->a, name));
        assert_true(resources_equal(&sum, &m->totals[i]));
}

static void check_model(const struct model *m)
{
        _cleanup_error_ struct error e = {};

        for (size_t i = 0; i < AGENTS; i++)
                check_agent(m, i);
        if (allocator_check(m->a, &e) < 0)
                fail_msg("%s", error_message(&e));
}

/* Who is offered what may have it. */
static void check_receiver(const struct model *m, const struct allocator_offer *o)
{
        const struct framework *f = &m->frameworks[number_of(o->framework)];
        size_t role = role_number(o->role), agent = number_of(o->agent);

        assert_true(f->there && f->active && f->has[role] && !f->suppressed[role]);
        assert_true(m->agent_there[agent] && m->agent_active[agent]);
        assert_false(resources_empty(&o->resources));
        for (size_t i = 0; i < o->resources.count; i++) {
                const struct resource *x = &o->resources.entries[i];

                assert_true(resource_allocatable_to(x, o->role));
                assert_true(f->revocable || !(x->traits && x->traits->revocable));
        }
}

static void check_limits(const struct model *m, const struct allocator_offer *o)
{
        for (size_t k = 0; k < KINDS; k++)
                for (size_t i = 0; i < ROLES; i++)
                        if (role_is_within(o->role, role_names[i]) &&
                                sum_unreserved(&o->resources, kinds[k]) > 0)
                                assert_true(
                                        consumed(m, role_names[i], kinds[k]) <= m->quotas[i][k].limit_milli);
}

/* ---- events ---- */

static void book(struct model *m, const struct allocator_offer *o)
{
        struct booking *b = &m->bookings[m->count++];

        *b = (struct booking){};
        (void)snprintf(b->framework, sizeof(b->framework), "%s", o->framework);
        (void)snprintf(b->role, sizeof(b->role), "%s", o->role);
        (void)snprintf(b->agent, sizeof(b->agent), "%s", o->agent);
        resources_copy(&o->resources, &b->resources);
}

static void forget(struct model *m, size_t i)
{
        resources_done(&m->bookings[i].resources);
        m->bookings[i] = m->bookings[--m->count];
}

static void take_offers(struct model *m)
{
        for (unsigned n = 1 + dice(m, 6); n > 0 && m->count < BOOKINGS_MAX; n--) {
                int64_t before[KINDS];
                struct allocator_offer o = {};
                enum allocator_next next;

                for (size_t k = 0; k < KINDS; k++)
                        before[k] = slack(m, k);
                while ((next = allocator_next_offer(m->a, (struct mono_time){m->now}, &o)) == ALLOCATOR_MORE)
                        ;
                if (next == ALLOCATOR_NONE)
                        return;
                check_receiver(m, &o);
                book(m, &o);
                check_limits(m, &o);
                /* Either it goes to who was promised it, or nobody's promise is touched. */
                for (size_t k = 0; k < KINDS; k++)
                        if (sum_unreserved(&o.resources, kinds[k]) > 0)
                                assert_true(slack(m, k) >= MIN(before[k], 0));
                allocator_offer_done(&o);
        }
}

static void give_back(struct model *m)
{
        _cleanup_resources_ struct resources part = {};
        struct allocator_usage use;
        struct booking *b;
        size_t i;

        if (m->count == 0)
                return;
        i = dice(m, (unsigned)m->count);
        b = &m->bookings[i];
        resources_copy(&b->resources, &part);
        if (dice(m, 2)) { /* a task keeps some */
                _cleanup_resources_ struct resources keep = {};

                resources_set_scalar(&keep, "cpus", resources_plain_scalar(&part, "cpus") / 2);
                assert_int_equal(resources_subtract(&part, &keep), 0);
        }
        use = (struct allocator_usage){b->framework, b->role, &part};
        assert_int_equal(resources_subtract(&b->resources, &part), 0);
        assert_int_equal(allocator_recover(m->a, b->agent, &use, (struct mono_time){m->now},
                                 dice(m, 2) ? 1 + dice(m, 1000) : 0),
                0);
        if (resources_empty(&b->resources))
                forget(m, i);
}

/* RESERVE out of an offer, and UNRESERVE. */
static void change_held(struct model *m)
{
        struct booking *b;
        _cleanup_resources_ struct resources from = {}, to = {};
        struct resource_reservation r = {.dynamic = true};
        struct allocator_usage use;
        size_t agent;

        if (m->count == 0)
                return;
        b = &m->bookings[dice(m, (unsigned)m->count)];
        agent = number_of(b->agent);
        r.role = b->role;
        if (str_equal(b->role, "*"))
                return;
        for (size_t i = 0; i < b->resources.count; i++) {
                const struct resource *x = &b->resources.entries[i];
                struct resources one = {.entries = (struct resource *)x, .count = 1};

                if (!x->traits)
                        resources_push_reservation(&one, &r, &to);
                else if (x->traits->reservation_count == 1 && x->traits->reservations[0].dynamic)
                        resources_pop_reservation(&one, &to);
                else
                        continue;
                resources_copy(&one, &from);
                break;
        }
        if (resources_empty(&from))
                return;
        use = (struct allocator_usage){b->framework, b->role, &from};
        assert_int_equal(allocator_update_allocation(m->a, b->agent, &use, &to), 0);
        assert_int_equal(resources_subtract(&b->resources, &from), 0);
        resources_add(&b->resources, &to);
        assert_int_equal(resources_subtract(&m->totals[agent], &from), 0);
        resources_add(&m->totals[agent], &to);
}

/* An operator reserves half of what is free. */
static void change_available(struct model *m)
{
        _cleanup_resources_ struct resources from = {}, to = {};
        size_t agent = dice(m, AGENTS), role = dice(m, ROLES - 1);
        struct resource_reservation r = {.role = (char *)role_names[role], .dynamic = true};
        char name[NAME_MAX_BYTES];

        if (!m->agent_there[agent])
                return;
        agent_name(agent, name);
        resources_set_scalar(
                &from, "cpus", resources_plain_scalar(allocator_agent_free(m->a, name), "cpus") / 2);
        if (resources_empty(&from))
                return;
        resources_push_reservation(&from, &r, &to);
        assert_int_equal(allocator_update_available(m->a, name, &from, &to), 0);
        assert_int_equal(resources_subtract(&m->totals[agent], &from), 0);
        resources_add(&m->totals[agent], &to);
        resources_set_scalar(&from, "cpus", 1000000);
        assert_int_equal(allocator_update_available(m->a, name, &from, &to), -EBUSY);
}

static void make_total(struct model *m, struct resources *ret)
{
        char text[160];

        (void)snprintf(text, sizeof(text), "cpus:%u;mem:%u;ports:[31000-31099]%s%s", 1 + dice(m, 16),
                64 * (1 + dice(m, 64)), dice(m, 3) ? "" : ";cpus(a/x):2;mem(a/x):128",
                dice(m, 4) ? "" : ";mem(c/d):256");
        parse(text, ret);
        if (dice(m, 3) == 0) {
                const struct resource_traits *t =
                        resource_traits_get(&(struct resource_traits){.revocable = true});
                _cleanup_resources_ struct resources some = {}, revocable = {};

                resources_set_scalar(&some, "cpus", 1000 * (1 + dice(m, 8)));
                resources_with_traits(&some, t, &revocable);
                resources_add(ret, &revocable);
                resource_traits_unref(t);
        }
}

static void change_agent(struct model *m)
{
        size_t i = dice(m, AGENTS);
        char name[NAME_MAX_BYTES];

        agent_name(i, name);
        if (!m->agent_there[i]) {
                make_total(m, &m->totals[i]);
                assert_int_equal(allocator_add_agent(m->a, name, &m->totals[i], NULL, 0), 0);
                m->agent_there[i] = m->agent_active[i] = true;
        } else if (dice(m, 4) == 0) {
                assert_int_equal(allocator_remove_agent(m->a, name), 0);
                m->agent_there[i] = false;
                resources_done(&m->totals[i]);
                for (size_t b = m->count; b-- > 0;)
                        if (str_equal(m->bookings[b].agent, name))
                                forget(m, b);
        } else {
                m->agent_active[i] = dice(m, 2);
                assert_int_equal(allocator_set_agent_active(m->a, name, m->agent_active[i]), 0);
        }
}

static void choose_roles(struct model *m, struct framework *f, const char *ret[ROLES], size_t *ret_count)
{
        *ret_count = 0;
        for (size_t i = 0; i < ROLES; i++) {
                bool has = dice(m, 3) == 0;

                f->suppressed[i] = has && f->has[i] && f->suppressed[i];
                f->has[i] = has;
                if (has)
                        ret[(*ret_count)++] = role_names[i];
        }
}

/* What the framework held is free when it was cleared away; nothing is offered meanwhile. */
static void remove_framework(struct model *m, const char *name)
{
        struct allocator_offer o = {};

        assert_int_equal(allocator_remove_framework(m->a, name), 0);
        allocator_hold(m->a, true);
        while (allocator_next_offer(m->a, (struct mono_time){m->now}, &o) == ALLOCATOR_MORE)
                continue;
        allocator_hold(m->a, false);
}

static void change_framework(struct model *m)
{
        size_t i = dice(m, FRAMEWORKS), role = dice(m, ROLES), count;
        struct framework *f = &m->frameworks[i];
        const char *roles[ROLES];
        char name[NAME_MAX_BYTES];

        framework_name(i, name);
        if (!f->there) {
                choose_roles(m, f, roles, &count);
                assert_int_equal(allocator_add_framework(m->a, name, roles, count), 0);
                f->there = f->active = true;
                f->revocable = dice(m, 2);
                assert_int_equal(allocator_set_framework_revocable(m->a, name, f->revocable), 0);
                return;
        }
        switch (dice(m, 8)) {
        case 0:
                remove_framework(m, name);
                *f = (struct framework){};
                for (size_t b = m->count; b-- > 0;)
                        if (str_equal(m->bookings[b].framework, name))
                                forget(m, b);
                break;
        case 1:
                choose_roles(m, f, roles, &count);
                assert_int_equal(allocator_set_framework_roles(m->a, name, roles, count), 0);
                break;
        case 2:
        case 3:
                f->active = dice(m, 3);
                assert_int_equal(allocator_set_framework_active(m->a, name, f->active), 0);
                break;
        case 4:
                assert_int_equal(
                        allocator_suppress(m->a, name, role_names[role]), f->has[role] ? 0 : -ENOENT);
                f->suppressed[role] = f->has[role];
                break;
        default:
                assert_int_equal(allocator_revive(m->a, name, NULL), 0);
                memset(f->suppressed, 0, sizeof(f->suppressed));
        }
}

static void change_quota(struct model *m)
{
        size_t role = dice(m, ROLES);
        struct allocator_quota q[KINDS] = {};

        for (size_t k = 0; k < KINDS; k++) {
                uint64_t unit = k == 0 ? 1000 : 64000;

                (void)snprintf(q[k].name, sizeof(q[k].name), "%s", kinds[k]);
                q[k].guarantee_milli = dice(m, 2) ? unit * dice(m, 20) : 0;
                q[k].limit_milli = dice(m, 2) ? q[k].guarantee_milli + unit * dice(m, 20) : QUOTA_NO_LIMIT;
                m->quotas[role][k] = q[k];
        }
        assert_int_equal(allocator_set_quota(m->a, role_names[role], q, KINDS), 0);
}

static void step(struct model *m)
{
        m->now += dice(m, 50);
        switch (dice(m, 16)) {
        case 0:
        case 1:
                change_agent(m);
                break;
        case 2:
        case 3:
                change_framework(m);
                break;
        case 4:
                if (dice(m, 3) == 0)
                        change_quota(m);
                break;
        case 5:
                assert_int_equal(
                        allocator_set_role_weight(m->a, role_names[dice(m, ROLES)], 1 + dice(m, 5000)), 0);
                break;
        case 6:
                change_held(m);
                break;
        case 7:
                change_available(m);
                break;
        case 8:
        case 9:
        case 10:
                give_back(m);
                break;
        default:
                take_offers(m);
        }
}

/* Everything given back, everything is free: nothing was lost. */
static void end(struct model *m)
{
        char name[NAME_MAX_BYTES];

        for (size_t i = 0; i < FRAMEWORKS; i++)
                if (m->frameworks[i].there)
                        remove_framework(m, framework_name(i, name));
        while (m->count > 0)
                forget(m, 0);
        check_model(m);
        m->a = allocator_free(m->a);
        for (size_t i = 0; i < AGENTS; i++)
                resources_done(&m->totals[i]);
}

static void run(unsigned seed)
{
        struct model m = {.seed = seed, .a = allocator_new(NULL)};

        for (size_t i = 0; i < ROLES; i++)
                for (size_t k = 0; k < KINDS; k++)
                        m.quotas[i][k].limit_milli = QUOTA_NO_LIMIT;
        for (unsigned i = 0; i < EVENTS; i++) {
                step(&m);
                if (i % 8 == 0)
                        check_model(&m);
        }
        check_model(&m);
        end(&m);
}

static void test_random_histories(void **state)
{
        for (unsigned seed = 1; seed <= HISTORIES_RUN; seed++)
                run(seed);
}

/* ---- shares ---- */

#define SMALL_AGENTS 40

struct crowd {
        struct allocator *a;
        unsigned seed;
        size_t held[4];              /* agents that framework i holds */
        size_t holder[SMALL_AGENTS]; /* 0: nobody, else framework + 1 */
};

static void crowd_take(struct crowd *c)
{
        struct allocator_offer o = {};

        while (allocator_next_offer(c->a, (struct mono_time){0}, &o) == ALLOCATOR_OFFER) {
                c->held[number_of(o.framework)]++;
                c->holder[number_of(o.agent)] = number_of(o.framework) + 1;
                allocator_offer_done(&o);
        }
}

/* A task that ends gives its machine back. */
static void crowd_end_one(struct crowd *c)
{
        size_t i = (size_t)rand_r(&c->seed) % SMALL_AGENTS, f;
        _cleanup_resources_ struct resources all = {};
        char framework[NAME_MAX_BYTES], agent[NAME_MAX_BYTES];

        if (c->holder[i] == 0)
                return;
        f = c->holder[i] - 1;
        parse("cpus:1;mem:64", &all);
        assert_int_equal(allocator_recover(c->a, agent_name(i, agent),
                                 &(struct allocator_usage){framework_name(f, framework),
                                         f == 0   ? "a/x"
                                         : f == 1 ? "a/y"
                                         : f == 2 ? "b"
                                                  : "*",
                                         &all},
                                 (struct mono_time){0}, 0),
                0);
        c->held[f]--;
        c->holder[i] = 0;
}

static void crowd_churn(struct crowd *c, size_t ends)
{
        for (size_t i = 0; i < ends; i++) {
                crowd_end_one(c);
                crowd_take(c);
        }
}

static void crowd_begin(struct crowd *c, size_t frameworks)
{
        static const char *const roles[] = {"a/x", "a/y", "b", "*"};
        _cleanup_resources_ struct resources all = {};
        char name[NAME_MAX_BYTES];

        *c = (struct crowd){.a = allocator_new(NULL), .seed = 7};
        parse("cpus:1;mem:64", &all);
        for (size_t i = 0; i < SMALL_AGENTS; i++)
                assert_int_equal(allocator_add_agent(c->a, agent_name(i, name), &all, NULL, 0), 0);
        for (size_t i = 0; i < frameworks; i++)
                assert_int_equal(allocator_add_framework(c->a, framework_name(i, name), &roles[i], 1), 0);
}

/* Weights 3:1 between "a" and "b", and 1:2 within "a": 10, 20 and 10 of 40 machines. */
static void test_shares_converge_to_weights(void **state)
{
        struct crowd c;

        crowd_begin(&c, 3);
        assert_int_equal(allocator_set_role_weight(c.a, "a", 3000), 0);
        assert_int_equal(allocator_set_role_weight(c.a, "a/y", 2000), 0);
        crowd_take(&c);
        assert_in_range(c.held[0], 9, 11);
        assert_in_range(c.held[1], 19, 21);
        assert_in_range(c.held[2], 9, 11);
        /* Other weights while all runs: shares follow as tasks end. 1:1, and 1:1 within. */
        assert_int_equal(allocator_set_role_weight(c.a, "a", 1000), 0);
        assert_int_equal(allocator_set_role_weight(c.a, "a/y", 1000), 0);
        crowd_churn(&c, 400);
        assert_in_range(c.held[0], 9, 11);
        assert_in_range(c.held[1], 9, 11);
        assert_in_range(c.held[2], 19, 21);
        allocator_free(c.a);
}

/* What an idle role leaves goes to the others, to its siblings first, and comes back as soon as tasks end. */
static void test_share_of_an_idle_role_flows_and_returns(void **state)
{
        struct crowd c;

        crowd_begin(&c, 3);
        assert_int_equal(allocator_suppress(c.a, "f1", NULL), 0);
        crowd_take(&c);
        assert_int_equal(c.held[1], 0);
        assert_in_range(c.held[0], 19, 21); /* a/x has all of a's */
        assert_in_range(c.held[2], 19, 21);
        assert_int_equal(allocator_suppress(c.a, "f2", NULL), 0);
        crowd_churn(&c, 400);
        assert_int_equal(c.held[0], SMALL_AGENTS);
        assert_int_equal(allocator_revive(c.a, "f1", NULL), 0);
        assert_int_equal(allocator_revive(c.a, "f2", NULL), 0);
        crowd_churn(&c, 400);
        assert_in_range(c.held[0], 9, 11);
        assert_in_range(c.held[1], 9, 11);
        assert_in_range(c.held[2], 19, 21);
        allocator_free(c.a);
}

/* Others grab all that they can before its framework comes: a guarantee is there all the same, and a limit ends it. */
static void test_a_guarantee_waits_for_its_role(void **state)
{
        /* Of both: machines of which only one is kept would be offered for the other. */
        static const struct allocator_quota q[] = {{"cpus", 15000, 18000}, {"mem", 15 * 64000, 18 * 64000}};
        static const char *const b[] = {"b"};
        struct crowd c;

        crowd_begin(&c, 2);
        assert_int_equal(allocator_set_quota(c.a, "b", q, 2), 0);
        crowd_take(&c);
        assert_int_equal(c.held[0] + c.held[1], SMALL_AGENTS - 15);
        assert_int_equal(allocator_add_framework(c.a, "f2", b, 1), 0);
        crowd_take(&c);
        assert_int_equal(c.held[2], 15);
        crowd_churn(&c, 2000);
        assert_in_range(c.held[2], 15, 18);
        assert_int_equal(c.held[0] + c.held[1] + c.held[2], SMALL_AGENTS);
        allocator_free(c.a);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_random_histories),
                cmocka_unit_test(test_shares_converge_to_weights),
                cmocka_unit_test(test_share_of_an_idle_role_flows_and_returns),
                cmocka_unit_test(test_a_guarantee_waits_for_its_role),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
