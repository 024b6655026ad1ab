/* The allocator: offers, filters, suppression, roles that come and go. */

#include "tests/unit/master/allocator/steps.h"

static const char *const role_a[] = {"a"}, *const role_b[] = {"b"};

static void recover(struct allocator *a, const struct allocator_offer *o, const struct resources *r,
        struct mono_time now, uint64_t refuse_ns)
{
        struct allocator_usage use = {o->framework, o->role, r};

        assert_int_equal(allocator_recover(a, o->agent, &use, now, refuse_ns), 0);
}

static void test_offers_all_that_is_free_once(void **state)
{
        CLEANUP(cleanup_allocator_free) struct allocator *a = allocator_new(NULL);
        struct allocator_offer o = {};

        assert_int_equal(allocator_add_framework(a, "f", role_a, 1), 0);
        assert_int_equal(allocator_add_framework(a, "f", role_a, 1), -EEXIST);
        assert_false(allocator_next_offer(a, at(0), &o));
        add_agent(a, "s1", "cpus:2;mem:1024;ports:[31000-32000]");
        assert_true(allocator_next_offer(a, at(0), &o));
        assert_string_equal(o.agent, "s1");
        assert_int_equal(resources_scalar(&o.resources, "cpus"), 2000);
        assert_true(resources_empty(allocator_agent_free(a, "s1")));
        check(a);
        struct allocator_offer none = {};
        assert_false(allocator_next_offer(a, at(0), &none));
        recover(a, &o, &o.resources, at(0), 0);
        allocator_offer_done(&o);
        assert_true(allocator_next_offer(a, at(0), &o));
        allocator_offer_done(&o);
        check(a);
}

static void test_filter_holds_until_it_ends_or_more_is_free(void **state)
{
        CLEANUP(cleanup_allocator_free) struct allocator *a = allocator_new(NULL);
        _cleanup_resources_ struct resources part = {};
        struct allocator_offer o = {}, rest = {};
        struct mono_time wakeup;

        parse("cpus:1;mem:512", &part);
        assert_int_equal(allocator_add_framework(a, "f", role_a, 1), 0);
        add_agent(a, "s1", "cpus:2;mem:1024");
        assert_true(allocator_next_offer(a, at(0), &o));
        /* half is used, the other half refused */
        recover(a, &o, &part, at(0), 5 * NSEC_PER_SEC);
        assert_false(allocator_next_offer(a, at(4), &rest));
        assert_true(allocator_next_wakeup(a, &wakeup));
        assert_int_equal(wakeup.ns, at(5).ns);
        assert_true(allocator_next_offer(a, at(5), &rest));
        assert_false(allocator_next_wakeup(a, &wakeup));
        recover(a, &rest, &rest.resources, at(5), 5 * NSEC_PER_SEC);
        allocator_offer_done(&rest);
        check(a);
        /* the other task ends: more than what was refused */
        recover(a, &o, &part, at(6), 0);
        assert_true(allocator_next_offer(a, at(6), &rest));
        assert_int_equal(resources_scalar(&rest.resources, "cpus"), 2000);
        recover(a, &rest, &rest.resources, at(6), 50 * NSEC_PER_SEC);
        allocator_offer_done(&rest);
        assert_false(allocator_next_offer(a, at(7), &rest));
        assert_int_equal(allocator_revive(a, "f", NULL), 0);
        assert_true(allocator_next_offer(a, at(7), &rest));
        allocator_offer_done(&rest);
        allocator_offer_done(&o);
        check(a);
}

static bool offered(struct allocator *a, struct mono_time now, struct allocator_offer *ret)
{
        allocator_offer_done(ret);
        return allocator_next_offer(a, now, ret);
}

/* A shorter refusal of more does not end a longer one of less, nor the other way round. */
static void test_refusals_of_more_and_of_less_live_side_by_side(void **state)
{
        CLEANUP(cleanup_allocator_free) struct allocator *a = allocator_new(NULL);
        _cleanup_resources_ struct resources half = {};
        struct allocator_offer o = {};
        struct mono_time wakeup;

        parse("cpus:1;mem:512", &half);
        assert_int_equal(allocator_add_framework(a, "f", role_a, 1), 0);
        add_agent(a, "s1", "cpus:2;mem:1024");
        assert_true(offered(a, at(0), &o));
        recover(a, &o, &half, at(0), 1000 * NSEC_PER_SEC); /* half is refused for long */
        recover(a, &o, &half, at(0), 0);
        assert_true(offered(a, at(1), &o)); /* all of it is more */
        recover(a, &o, &o.resources, at(1), 5 * NSEC_PER_SEC);
        assert_false(offered(a, at(2), &o));
        assert_true(offered(a, at(6), &o));
        recover(a, &o, &half, at(6), 5 * NSEC_PER_SEC);               /* says less than the one before */
        assert_false(offered(a, at(7), &(struct allocator_offer){})); /* half is still refused */
        assert_true(allocator_next_wakeup(a, &wakeup));
        assert_int_equal(wakeup.ns, at(1000).ns);
        recover(a, &o, &half, at(7), 2000 * NSEC_PER_SEC); /* says more than the one before */
        assert_true(offered(a, at(8), &o));
        recover(a, &o, &o.resources, at(8), 3000 * NSEC_PER_SEC); /* so does this */
        assert_true(allocator_next_wakeup(a, &wakeup));
        assert_int_equal(wakeup.ns, at(3008).ns);
        check(a);
        assert_false(offered(a, at(3007), &o));
        assert_true(offered(a, at(3008), &o));
        assert_false(allocator_next_wakeup(a, &wakeup));
        allocator_offer_done(&o);
        check(a);
}

/* However often it refuses another part: a bounded number is remembered. */
static void test_refusals_are_bounded(void **state)
{
        CLEANUP(cleanup_allocator_free) struct allocator *a = allocator_new(NULL);
        struct allocator_offer o = {};
        struct mono_time wakeup;
        size_t count = 0;

        assert_int_equal(allocator_add_framework(a, "f", role_a, 1), 0);
        add_agent(a, "s1", "cpus:100;mem:100");
        for (uint64_t i = 0; i < 50; i++) {
                _cleanup_resources_ struct resources part = {};

                assert_true(offered(a, at(0), &o));
                resources_set_scalar(&part, "cpus", 1000 * (i + 1));
                resources_set_scalar(&part, "mem", 1000 * (100 - i));
                recover(a, &o, &part, at(0), (100 + i) * NSEC_PER_SEC);
                assert_int_equal(resources_subtract(&o.resources, &part), 0);
                recover(a, &o, &o.resources, at(0), 0);
        }
        for (uint64_t i = 0; allocator_next_wakeup(a, &wakeup); i++) {
                (void)offered(a, wakeup, &o);
                if (o.agent)
                        recover(a, &o, &o.resources, wakeup, 0);
                count++;
        }
        assert_int_equal(count, 8);
        allocator_offer_done(&o);
        check(a);
}

static void test_roles_are_replaced(void **state)
{
        static const char *const ab[] = {"a", "b"}, *const bc[] = {"b", "c", "c"};
        CLEANUP(cleanup_allocator_free) struct allocator *a = allocator_new(NULL);
        struct allocator_offer held = {}, o = {};

        assert_int_equal(allocator_set_framework_roles(a, "f", ab, 2), -ENOENT);
        assert_int_equal(allocator_add_framework(a, "f", ab, 2), 0);
        add_agent(a, "s1", "cpus:2;mem:1024");
        assert_true(allocator_next_offer(a, at(0), &held));
        assert_string_equal(held.role, "a");
        assert_int_equal(allocator_suppress(a, "f", "b"), 0);
        assert_int_equal(allocator_set_framework_roles(a, "f", bc, 3), 0);
        check(a);
        assert_false(allocator_framework_has_role(a, "f", "a"));
        assert_true(allocator_framework_has_role(a, "f", "c"));
        assert_int_equal(allocator_revive(a, "f", "a"), -ENOENT);
        /* what it holds in the role that it left counts there, until it is given back */
        assert_true(allocator_role_share(a, "a") > 0);
        recover(a, &held, &held.resources, at(0), 100 * NSEC_PER_SEC);
        assert_int_equal(allocator_role_share(a, "a"), 0);
        check(a);
        assert_true(allocator_next_offer(a, at(0), &o)); /* b stays suppressed */
        assert_string_equal(o.role, "c");
        recover(a, &o, &o.resources, at(0), 100 * NSEC_PER_SEC);
        assert_false(offered(a, at(1), &o));
        /* a role that comes back has refused nothing */
        assert_int_equal(allocator_set_framework_roles(a, "f", role_b, 1), 0);
        assert_int_equal(allocator_set_framework_roles(a, "f", bc, 2), 0);
        assert_true(offered(a, at(1), &o));
        assert_string_equal(o.role, "c");
        allocator_offer_done(&o);
        allocator_offer_done(&held);
        check(a);
}

/* What was said in a role that was left is forgotten, also while a task keeps it in the books. */
static void test_refusals_of_a_role_that_was_left(void **state)
{
        CLEANUP(cleanup_allocator_free) struct allocator *a = allocator_new(NULL);
        _cleanup_resources_ struct resources half = {};
        struct allocator_offer o = {}, again = {};

        parse("cpus:1;mem:512", &half);
        assert_int_equal(allocator_add_framework(a, "f", role_a, 1), 0);
        add_agent(a, "s1", "cpus:2;mem:1024");
        assert_true(allocator_next_offer(a, at(0), &o));
        assert_int_equal(allocator_set_framework_roles(a, "f", role_b, 1), 0);
        assert_int_equal(allocator_suppress(a, "f", "b"), 0);
        recover(a, &o, &half, at(0), 100 * NSEC_PER_SEC);
        assert_int_equal(allocator_set_framework_roles(a, "f", role_a, 1), 0);
        assert_true(allocator_next_offer(a, at(0), &again));
        assert_string_equal(again.role, "a");
        allocator_offer_done(&again);
        allocator_offer_done(&o);
        check(a);
}

/* An agent brings back a task of a role that its framework does not have any more. */
static void test_bookings_of_a_role_that_was_left(void **state)
{
        CLEANUP(cleanup_allocator_free) struct allocator *a = allocator_new(NULL);
        _cleanup_resources_ struct resources used = {};
        struct allocator_usage use = {"f", "old", &used};
        struct allocator_offer o = {};

        parse("cpus:1;mem:512", &used);
        assert_int_equal(allocator_add_framework(a, "f", role_a, 1), 0);
        add_agent(a, "s1", "cpus:2;mem:1024");
        assert_int_equal(allocator_allocate(a, "s1", &use), 0);
        check(a);
        assert_true(allocator_role_share(a, "old") > 0);
        assert_true(allocator_next_offer(a, at(0), &o));
        assert_string_equal(o.role, "a");
        assert_int_equal(resources_scalar(&o.resources, "cpus"), 1000);
        assert_int_equal(allocator_recover(a, "s1", &use, at(0), 0), 0);
        assert_int_equal(allocator_recover(a, "s1", &use, at(0), 0), -ENOENT);
        check(a);
        assert_int_equal(allocator_allocate(a, "s1", &use), 0);
        assert_int_equal(allocator_remove_agent(a, "s1"), 0);
        check(a);
        assert_int_equal(allocator_remove_framework(a, "f"), 0);
        allocator_offer_done(&o);
}

static void test_a_framework_that_is_away_gets_nothing(void **state)
{
        CLEANUP(cleanup_allocator_free) struct allocator *a = allocator_new(NULL);
        struct allocator_offer o = {};

        assert_int_equal(allocator_set_framework_active(a, "f", true), -ENOENT);
        assert_int_equal(allocator_add_framework(a, "f", role_a, 1), 0);
        assert_int_equal(allocator_set_framework_active(a, "f", false), 0);
        add_agent(a, "s1", "cpus:2;mem:1024");
        assert_false(allocator_next_offer(a, at(0), &o));
        assert_int_equal(allocator_revive(a, "f", NULL), 0); /* away is away */
        assert_false(allocator_next_offer(a, at(0), &o));
        assert_int_equal(allocator_suppress(a, "f", NULL), 0);
        assert_int_equal(allocator_set_framework_active(a, "f", true), 0);
        assert_false(allocator_next_offer(a, at(0), &o)); /* suppressed meanwhile */
        assert_int_equal(allocator_revive(a, "f", NULL), 0);
        assert_true(allocator_next_offer(a, at(0), &o));
        recover(a, &o, &o.resources, at(0), 100 * NSEC_PER_SEC);
        assert_int_equal(allocator_set_framework_active(a, "f", false), 0);
        assert_int_equal(allocator_set_framework_active(a, "f", true), 0);
        assert_false(offered(a, at(1), &o)); /* its filters stayed */
        check(a);
}

struct predicate {
        const char *framework; /* the one that qualifies */
        size_t asked;
};

static bool qualifies(void *userdata, const char *framework, const char *role, const char *agent,
        const struct resources *available)
{
        struct predicate *p = userdata;

        p->asked++;
        assert_string_equal(role, "a");
        assert_string_equal(agent, "s1");
        assert_int_equal(resources_scalar(available, "cpus"), 2000);
        return p->framework && strcmp(p->framework, framework) == 0;
}

static void test_only_those_who_qualify_are_offered(void **state)
{
        struct predicate p = {};
        CLEANUP(cleanup_allocator_free)
        struct allocator *a =
                allocator_new(&(struct allocator_options){.qualifies = qualifies, .userdata = &p});
        struct allocator_offer o = {};

        assert_int_equal(allocator_add_framework(a, "f1", role_a, 1), 0);
        assert_int_equal(allocator_add_framework(a, "f2", role_a, 1), 0);
        add_agent(a, "s1", "cpus:2;mem:1024");
        assert_false(allocator_next_offer(a, at(0), &o));
        assert_int_equal(p.asked, 2);
        assert_false(allocator_next_offer(a, at(1), &o));
        assert_int_equal(p.asked, 2); /* nothing changed: nobody is asked again */
        p.framework = "f2";
        allocator_reconsider(a);
        assert_true(allocator_next_offer(a, at(1), &o));
        assert_string_equal(o.framework, "f2");
        allocator_offer_done(&o);
        check(a);
}

static void test_suppressed_and_inactive_get_nothing(void **state)
{
        CLEANUP(cleanup_allocator_free) struct allocator *a = allocator_new(NULL);
        struct allocator_offer o = {};

        assert_int_equal(allocator_add_framework(a, "f", role_a, 1), 0);
        assert_int_equal(allocator_suppress(a, "f", "a"), 0);
        assert_int_equal(allocator_suppress(a, "f", "b"), -ENOENT);
        add_agent(a, "s1", "cpus:2;mem:1024");
        add_agent(a, "tiny", "cpus:0.005;mem:16");
        assert_false(allocator_next_offer(a, at(0), &o));
        assert_int_equal(allocator_revive(a, "f", "a"), 0);
        assert_int_equal(allocator_set_agent_active(a, "s1", false), 0);
        assert_false(allocator_next_offer(a, at(0), &o));
        assert_int_equal(allocator_set_agent_active(a, "s1", true), 0);
        assert_true(allocator_next_offer(a, at(0), &o));
        assert_string_equal(o.agent, "s1");
        allocator_offer_done(&o);
        assert_false(allocator_next_offer(a, at(0), &o));
        check(a);
}

/* Every agent goes to the role with the lowest weighted share: 1:1, and with a weight of three 3:1. */
static void share_out(uint64_t weight_milli, size_t want_a, size_t want_b)
{
        CLEANUP(cleanup_allocator_free) struct allocator *a = allocator_new(NULL);
        size_t count_a = 0, count_b = 0;
        struct allocator_offer o = {};

        assert_int_equal(allocator_add_framework(a, "fa", role_a, 1), 0);
        assert_int_equal(allocator_add_framework(a, "fb", role_b, 1), 0);
        assert_int_equal(allocator_set_role_weight(a, "a", weight_milli), 0);
        for (int i = 0; i < 100; i++) {
                char id[16];

                (void)snprintf(id, sizeof(id), "s%d", i);
                add_agent(a, id, "cpus:4;mem:4096");
        }
        while (allocator_next_offer(a, at(0), &o)) {
                *(strcmp(o.role, "a") == 0 ? &count_a : &count_b) += 1;
                allocator_offer_done(&o);
                check(a);
        }
        assert_int_equal(count_a, want_a);
        assert_int_equal(count_b, want_b);
}

static void test_shares_follow_weights(void **state)
{
        share_out(1000, 50, 50);
        share_out(3000, 75, 25);
}

static void test_agent_that_shrank_has_nothing_free(void **state)
{
        CLEANUP(cleanup_allocator_free) struct allocator *a = allocator_new(NULL);
        _cleanup_resources_ struct resources total = {}, used = {};
        struct allocator_usage use = {"f", "a", &used};
        struct allocator_offer o = {};

        parse("cpus:1;mem:512;ports:[1-10]", &total);
        parse("cpus:2;mem:256;ports:[5-20]", &used);
        assert_int_equal(allocator_add_agent(a, "s", &total, &use, 1), -ENOENT);
        assert_int_equal(allocator_add_framework(a, "f", role_a, 1), 0);
        assert_int_equal(allocator_add_agent(a, "s", &total, &use, 1), 0);
        check(a);
        assert_int_equal(resources_scalar(allocator_agent_free(a, "s"), "cpus"), 0);
        assert_true(allocator_next_offer(a, at(0), &o));
        assert_int_equal(resources_scalar(&o.resources, "mem"), 256000);
        allocator_offer_done(&o);
        assert_int_equal(allocator_remove_framework(a, "f"), 0);
        check(a);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_offers_all_that_is_free_once),
                cmocka_unit_test(test_filter_holds_until_it_ends_or_more_is_free),
                cmocka_unit_test(test_refusals_of_more_and_of_less_live_side_by_side),
                cmocka_unit_test(test_refusals_are_bounded),
                cmocka_unit_test(test_roles_are_replaced),
                cmocka_unit_test(test_refusals_of_a_role_that_was_left),
                cmocka_unit_test(test_bookings_of_a_role_that_was_left),
                cmocka_unit_test(test_a_framework_that_is_away_gets_nothing),
                cmocka_unit_test(test_only_those_who_qualify_are_offered),
                cmocka_unit_test(test_suppressed_and_inactive_get_nothing),
                cmocka_unit_test(test_shares_follow_weights),
                cmocka_unit_test(test_agent_that_shrank_has_nothing_free),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
