/*
 * Long runs of random events. After each, everything is recomputed; no offer passes a limit or takes what is kept for guarantees; and
 * what the allocator did not look at because nothing new was to be found there is looked at after all: nothing is to be found.
 */
#include "tests/unit/master/allocator/steps.h"

#define AGENTS 30
#define HELD_MAX 4096
#define EVENTS 6000

static const char *const role_names[] = {"a", "a/b", "a/b/c", "a/d", "e", "e/f"};
static const char *const framework_names[] = {"f0", "f1", "f2", "f3", "f4"};
#define ROLES ELEMENTSOF(role_names)
#define FRAMEWORKS ELEMENTSOF(framework_names)

struct random_run {
        struct allocator *a;
        struct allocator_offer held[HELD_MAX];
        size_t held_count;
        bool present[AGENTS], active[AGENTS];
        uint64_t now;
        unsigned seed;
        bool quotas, filters; /* are there any? */
};

static unsigned dice(struct random_run *r, unsigned sides)
{
        return (unsigned)rand_r(&r->seed) % sides;
}

static void forget(struct random_run *r, size_t i)
{
        allocator_offer_done(&r->held[i]);
        r->held[i] = r->held[--r->held_count];
}

static void total_of(struct random_run *r, struct resources *ret)
{
        _cleanup_resources_ struct resources more = {}, with = {};
        const struct resource_traits *t;
        char text[160];
        const char *role = role_names[dice(r, ROLES)];

        (void)snprintf(text, sizeof(text), "cpus:%u;mem:%u;ports:[31000-31999]", dice(r, 16),
                64 * (1 + dice(r, 64)));
        parse(text, ret);
        if (dice(r, 2) == 0) {
                (void)snprintf(text, sizeof(text), "cpus(%s):%u;mem(%s):512;ports(%s):[80-90]", role,
                        1 + dice(r, 4), role, role);
                parse(text, &more);
                resources_add(ret, &more);
        }
        if (dice(r, 3) > 0)
                return;
        resources_done(&more);
        parse("cpus:2;mem:100", &more);
        t = resource_traits_get(&(struct resource_traits){.revocable = true});
        resources_with_traits(&more, t, &with);
        resources_add(ret, &with);
        resource_traits_unref(t);
}

static void agent_leaves(struct random_run *r, unsigned i, const char *id)
{
        assert_int_equal(allocator_remove_agent(r->a, id), 0);
        r->present[i] = false;
        for (size_t j = r->held_count; j-- > 0;)
                if (strcmp(r->held[j].agent, id) == 0)
                        forget(r, j);
}

static void random_agent(struct random_run *r)
{
        _cleanup_resources_ struct resources total = {};
        unsigned i = dice(r, AGENTS);
        char id[16];

        (void)snprintf(id, sizeof(id), "s%u", i);
        total_of(r, &total);
        if (!r->present[i]) {
                assert_int_equal(allocator_add_agent(r->a, id, &total, NULL, 0), 0);
                r->present[i] = r->active[i] = true;
        } else if (dice(r, 3) == 0) {
                agent_leaves(r, i, id);
        } else if (dice(r, 3) == 0) {
                assert_int_equal(allocator_set_agent_total(r->a, id, &total), 0);
        } else {
                r->active[i] = dice(r, 2);
                assert_int_equal(allocator_set_agent_active(r->a, id, r->active[i]), 0);
        }
}

/* ---- what quotas promise, from what is told to everybody ---- */

static uint64_t consumed(struct random_run *r, const char *role, const char *name)
{
        struct allocator_role_view view;

        return allocator_role(r->a, role, &view) ? resources_scalar(view.consumed, name) : 0;
}

static const struct allocator_quota *quota_of(struct random_run *r, const char *role, const char *name)
{
        struct allocator_role_view view;

        if (allocator_role(r->a, role, &view))
                for (size_t i = 0; i < view.quota_count; i++)
                        if (str_equal(view.quotas[i].name, name))
                                return &view.quotas[i];
        return NULL;
}

static bool is_child(const char *role, const char *parent)
{
        size_t length = strlen(parent);

        if (length == 0)
                return !strchr(role, '/');
        return strncmp(role, parent, length) == 0 && role[length] == '/' && !strchr(role + length + 1, '/');
}

/* What must stay free for the role, and those within; "" is all. */
static uint64_t need_of(struct random_run *r, const char *role, const char *name)
{
        const struct allocator_quota *q = quota_of(r, role, name);
        uint64_t within = 0, have;

        for (size_t i = 0; i < ROLES; i++)
                if (is_child(role_names[i], role))
                        within += need_of(r, role_names[i], name);
        if (!q)
                return within;
        have = consumed(r, role, name);
        return MAX(within, q->guarantee_milli > have ? q->guarantee_milli - have : 0);
}

static uint64_t free_of(struct random_run *r, const char *name)
{
        uint64_t sum = 0;

        for (unsigned i = 0; i < AGENTS; i++) {
                char id[16];

                (void)snprintf(id, sizeof(id), "s%u", i);
                if (r->present[i] && r->active[i])
                        sum += resources_plain_scalar(allocator_agent_free(r->a, id), name);
        }
        return sum;
}

struct promises {
        uint64_t room[ROLES], headroom;
};

/* Of cpus: what limits leave, and what guarantees leave of what is free. */
static struct promises promises_now(struct random_run *r)
{
        struct promises p;
        uint64_t need = need_of(r, "", "cpus"), is_free = free_of(r, "cpus");

        for (size_t i = 0; i < ROLES; i++) {
                const struct allocator_quota *q = quota_of(r, role_names[i], "cpus");
                uint64_t have = consumed(r, role_names[i], "cpus");

                p.room[i] = !q || q->limit_milli == QUOTA_NO_LIMIT ? UINT64_MAX
                            : q->limit_milli > have                ? q->limit_milli - have
                                                                   : 0;
        }
        /* What is missing already may not get more. */
        p.headroom = is_free > need ? 0 : need - is_free;
        return p;
}

static void check_promises(
        struct random_run *r, const struct promises *before, const struct allocator_offer *o)
{
        uint64_t cpus = 0;

        for (size_t i = 0; i < o->resources.count; i++) {
                const struct resource *e = &o->resources.entries[i];

                if (str_equal(e->name, "cpus") && resource_traits_role(e->traits) == NULL &&
                        !(e->traits && e->traits->revocable))
                        cpus += e->milli;
                assert_true(resource_allocatable_to(e, o->role));
        }
        for (size_t i = 0; i < ROLES; i++)
                if (role_is_within(o->role, role_names[i]))
                        assert_true(cpus <= before->room[i]);
        assert_true(promises_now(r).headroom <= before->headroom);
        assert_true(resources_scalar(&o->resources, "cpus") >= 10 ||
                    resources_scalar(&o->resources, "mem") >= 32000);
}

static void random_offers(struct random_run *r)
{
        settle(r->a, (struct mono_time){r->now});
        for (unsigned n = 1 + dice(r, 8); n > 0 && r->held_count < HELD_MAX; n--) {
                struct promises before = promises_now(r);
                struct allocator_offer o = {};

                if (allocator_next_offer(r->a, (struct mono_time){r->now}, &o) != ALLOCATOR_OFFER)
                        return;
                check_promises(r, &before, &o);
                r->held[r->held_count++] = o;
        }
}

/* Everything that is to be had is taken; then a look at everything finds nothing. */
static void nothing_is_overlooked(struct random_run *r)
{
        struct allocator_offer o = {};
        struct mono_time now = {r->now};

        settle(r->a, now);
        while (r->held_count < HELD_MAX && allocator_next_offer(r->a, now, &o) == ALLOCATOR_OFFER) {
                r->held[r->held_count++] = o;
                o = (struct allocator_offer){};
        }
        allocator_reconsider(r->a);
        if (r->held_count < HELD_MAX && allocator_next_offer(r->a, now, &o) == ALLOCATOR_OFFER)
                fail_msg("overlooked %s for %s in %s", o.agent, o.framework, o.role);
}

static void random_recover(struct random_run *r)
{
        _cleanup_resources_ struct resources part = {};
        struct allocator_offer *o;
        size_t i;

        if (r->held_count == 0)
                return;
        i = dice(r, (unsigned)r->held_count);
        o = &r->held[i];
        resources_copy(&o->resources, &part);
        if (dice(r, 2)) /* a task keeps some of it */
                resources_set_scalar(&part, "cpus", resources_plain_scalar(&part, "cpus") / 2);
        assert_int_equal(resources_subtract(&o->resources, &part), 0);
        assert_int_equal(
                allocator_recover(r->a, o->agent, &(struct allocator_usage){o->framework, o->role, &part},
                        (struct mono_time){r->now}, r->filters && dice(r, 2) ? dice(r, 1000) : 0),
                0);
        if (resources_empty(&o->resources))
                forget(r, i);
}

/* Something that is held, or free, becomes reserved for the role, or for nobody. */
static void random_operation(struct random_run *r)
{
        const char *role = role_names[dice(r, ROLES)];
        struct resource_reservation reservation = {.role = (char *)role};
        const struct resource_traits *traits = resource_traits_get(
                &(struct resource_traits){.reservations = &reservation, .reservation_count = dice(r, 2)});
        _cleanup_resources_ struct resources to = {};
        struct allocator_offer *o = r->held_count > 0 ? &r->held[dice(r, (unsigned)r->held_count)] : NULL;
        char id[16];

        (void)snprintf(id, sizeof(id), "s%u", dice(r, AGENTS));
        if (o && dice(r, 2)) {
                resources_with_traits(&o->resources, traits, &to);
                if (allocator_update_allocation(r->a, o->agent,
                            &(struct allocator_usage){o->framework, o->role, &o->resources}, &to) >= 0) {
                        resources_done(&o->resources);
                        o->resources = to;
                        to = (struct resources){};
                }
        } else if (allocator_agent_free(r->a, id)) {
                _cleanup_resources_ struct resources from = {};

                resources_copy(allocator_agent_free(r->a, id), &from);
                resources_with_traits(&from, traits, &to);
                assert_int_equal(allocator_update_available(r->a, id, &from, &to), 0);
        }
        resource_traits_unref(traits);
}

static void random_quota(struct random_run *r)
{
        struct allocator_quota q[2] = {{.name = "cpus"}, {.name = "mem"}};

        for (size_t i = 0; i < 2; i++) {
                q[i].guarantee_milli = 1000 * dice(r, i == 0 ? 40 : 4000);
                q[i].limit_milli = dice(r, 2) ? QUOTA_NO_LIMIT
                                              : q[i].guarantee_milli + 1000 * dice(r, i == 0 ? 40 : 4000);
        }
        assert_int_equal(allocator_set_quota(r->a, role_names[dice(r, ROLES)], q, dice(r, 3)), 0);
}

static void random_framework(struct random_run *r)
{
        const char *f = framework_names[dice(r, FRAMEWORKS)];
        size_t first = dice(r, ROLES);

        switch (dice(r, 6)) {
        case 0:
                assert_int_equal(allocator_set_framework_active(r->a, f, dice(r, 3)), 0);
                break;
        case 1:
                assert_int_equal(allocator_set_framework_roles(
                                         r->a, f, role_names + first, 1 + dice(r, (unsigned)(ROLES - first))),
                        0);
                break;
        case 2:
                assert_int_equal(allocator_set_framework_revocable(r->a, f, dice(r, 2)), 0);
                break;
        case 3:
                assert_int_equal(allocator_remove_framework(r->a, f), 0);
                assert_int_equal(allocator_add_framework(r->a, f, role_names + first, 1), 0);
                for (size_t j = r->held_count; j-- > 0;)
                        if (str_equal(r->held[j].framework, f))
                                forget(r, j);
                break;
        default:
                assert_int_equal((dice(r, 3) ? allocator_revive : allocator_suppress)(r->a, f, NULL), 0);
        }
}

static void random_event(struct random_run *r)
{
        switch (dice(r, 12)) {
        case 0:
                random_agent(r);
                break;
        case 1:
                random_framework(r);
                break;
        case 2:
                assert_int_equal(
                        allocator_set_role_weight(r->a, role_names[dice(r, ROLES)], 500 + 500 * dice(r, 4)),
                        0);
                break;
        case 3:
                random_operation(r);
                break;
        case 4:
                if (r->quotas)
                        random_quota(r);
                break;
        case 5:
        case 6:
        case 7:
                random_offers(r);
                break;
        default:
                random_recover(r);
        }
}

static void run(unsigned seed, bool quotas, bool filters)
{
        struct random_run *r = NEW0(struct random_run);

        *r = (struct random_run){
                .seed = seed, .a = allocator_new(NULL), .quotas = quotas, .filters = filters};
        for (size_t i = 0; i < FRAMEWORKS; i++)
                assert_int_equal(allocator_add_framework(r->a, framework_names[i], role_names + i, 1), 0);
        for (unsigned i = 0; i < EVENTS; i++) {
                r->now += dice(r, 50);
                random_event(r);
                check(r->a);
                /* Limits tell of more room when it has doubled, so one who refused less may not be asked at once. */
                if (!(quotas && filters) && i % 64 == 0)
                        nothing_is_overlooked(r);
        }
        while (r->held_count > 0)
                forget(r, 0);
        allocator_free(r->a);
        free(r);
}

static void test_with_filters(void **state)
{
        run(1, /* quotas= */ false, /* filters= */ true);
}

static void test_with_quotas(void **state)
{
        run(2, /* quotas= */ true, /* filters= */ false);
}

static void test_with_both(void **state)
{
        run(3, /* quotas= */ true, /* filters= */ true);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_with_filters),
                cmocka_unit_test(test_with_quotas),
                cmocka_unit_test(test_with_both),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
