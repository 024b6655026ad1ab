/* Quotas: guarantees go first and are kept free for, limits cut, of roles and of the roles above them. */
#include "tests/unit/master/allocator/steps.h"

static uint64_t consumed(const struct allocator *a, const char *role)
{
        struct allocator_role_view view;

        assert_true(allocator_role(a, role, &view));
        return resources_scalar(view.consumed, "cpus");
}

static void test_a_guarantee_goes_first(void **state)
{
        CLEANUP(cleanup_allocator_free) struct allocator *a = allocator_new(NULL);

        add_framework(a, "poor", "poor");
        add_framework(a, "rich", "rich");
        add_agent(a, "s1", "cpus:4;mem:4096");
        add_agent(a, "s2", "cpus:4;mem:4096");
        allocate(a, "s1", "rich", "rich", "cpus:4;mem:4096");
        set_quota(a, "rich", 6, QUOTA_NO_LIMIT);
        expect_offer(a, "rich", "s2", "cpus:4;mem:4096"); /* though it has most */
        give_back(a, "s2", "rich", "rich", "cpus:4;mem:4096", 0);
        assert_int_equal(allocator_suppress(a, "rich", NULL), 0);
        expect_offer(a, "poor", "s2", "cpus:2;mem:4096"); /* 2 stay free for it */
        expect_none(a);
        assert_int_equal(allocator_revive(a, "rich", NULL), 0);
        expect_offer(a, "rich", "s2", "cpus:2");
}

/* What is kept free is what is missing, no more; it is for those within the role that it is guaranteed to. */
static void test_headroom_is_what_is_missing(void **state)
{
        CLEANUP(cleanup_allocator_free) struct allocator *a = allocator_new(NULL);

        add_framework(a, "f", "f");
        set_quota(a, "g", 6, QUOTA_NO_LIMIT);
        add_agent(a, "s1", "cpus:4;mem:4096");
        expect_offer(a, "f", "s1", "mem:4096"); /* memory is not guaranteed to anybody */
        give_back(a, "s1", "f", "f", "mem:4096", 0);
        add_agent(a, "s2", "cpus:4;mem:4096");
        assert_int_equal(allocator_unclaimed(a, "f", "cpus"), 2000);
        assert_int_equal(allocator_unclaimed(a, "g/within", "cpus"), 8000);
        expect_offer(a, "f", "s2", "cpus:2;mem:4096");
        give_back(a, "s2", "f", "f", "cpus:2;mem:4096", 0);
        add_framework(a, "g", "g/within");
        expect_offer(a, "g", "s2", "cpus:4;mem:4096");
        expect_offer(a, "g", "s1", "cpus:4;mem:4096");
        give_back(a, "s1", "g", "g/within", "cpus:2;mem:4096", 0); /* 6 are held: met */
        expect_offer(a, "f", "s1", "cpus:2;mem:4096");
        expect_none(a);
}

static void test_guarantees_of_inner_roles_are_part_of_their_parents(void **state)
{
        CLEANUP(cleanup_allocator_free) struct allocator *a = allocator_new(NULL);

        set_quota(a, "p", 6, QUOTA_NO_LIMIT);
        set_quota(a, "p/x", 4, QUOTA_NO_LIMIT);
        set_quota(a, "p/y", 1, QUOTA_NO_LIMIT);
        add_agent(a, "s1", "cpus:10;mem:4096");
        assert_int_equal(allocator_unclaimed(a, "other", "cpus"), 4000);
        assert_int_equal(allocator_unclaimed(a, "p", "cpus"), 5000);
        assert_int_equal(allocator_unclaimed(a, "p/z", "cpus"), 5000);
        assert_int_equal(allocator_unclaimed(a, "p/x", "cpus"), 9000);
        assert_int_equal(allocator_unclaimed(a, "p/y", "cpus"), 6000);
        set_quota(a, "p/y", 5, QUOTA_NO_LIMIT); /* the children need more than the parent */
        assert_int_equal(allocator_unclaimed(a, "other", "cpus"), 1000);
        assert_int_equal(allocator_unclaimed(a, "p", "cpus"), 1000);
        assert_int_equal(allocator_unclaimed(a, "p/y", "cpus"), 6000);
        assert_int_equal(allocator_set_quota(a, "p/x", NULL, 0), 0);
        check(a);
        assert_int_equal(allocator_unclaimed(a, "p/x", "cpus"), 5000);
        assert_int_equal(allocator_unclaimed(a, "other", "mem"), 4096 * 1000);
}

/* Within the cluster's headroom those come first whose own guarantee it is, not their siblings. */
static void test_only_those_with_a_guarantee_are_first(void **state)
{
        CLEANUP(cleanup_allocator_free) struct allocator *a = allocator_new(NULL);

        add_framework(a, "x", "p/x");
        add_framework(a, "y", "p/y");
        add_framework(a, "b", "b");
        add_agent(a, "s0", "cpus:10;mem:1024");
        allocate(a, "s0", "x", "p/x", "cpus:2;mem:1024");
        allocate(a, "s0", "y", "p/y", "cpus:8");
        set_quota(a, "p/x", 6, QUOTA_NO_LIMIT);
        add_agent(a, "s1", "cpus:4;mem:1024");
        expect_offer(a, "x", "s1", "cpus:4;mem:1024");
        add_agent(a, "s2", "cpus:4;mem:1024");
        expect_offer(a, "b", "s2", "cpus:4;mem:1024");
}

static void test_a_limit_cuts(void **state)
{
        CLEANUP(cleanup_allocator_free) struct allocator *a = allocator_new(NULL);

        add_framework(a, "f", "p/x");
        add_framework(a, "g", "g");
        set_quota(a, "p", 0, 3);
        set_quota(a, "p/x", 0, 5);
        add_agent(a, "s1", "cpus:4.5;mem:4096;ports:[1-5]");
        assert_null(allocator_limiting_role(a, "p/x", "cpus"));
        expect_offer(a, "g", "s1", "cpus:4.5;mem:4096;ports:[1-5]");
        give_back(a, "s1", "g", "g", "cpus:4.5;mem:4096;ports:[1-5]", 1000);
        expect_offer(a, "f", "s1", "cpus:3;mem:4096;ports:[1-5]");
        assert_int_equal(consumed(a, "p"), 3000);
        assert_string_equal(allocator_limiting_role(a, "p/x", "cpus"), "p");
        assert_string_equal(allocator_limiting_role(a, "p/unknown", "cpus"), "p");
        assert_null(allocator_limiting_role(a, "p/x", "mem"));
        expect_none(a); /* g refused more than the rest */
        add_agent(a, "s2", "cpus:1;mem:64");
        expect_offer(a, "g", "s2", "cpus:1;mem:64");
        give_back(a, "s2", "g", "g", "cpus:1;mem:64", 1000);
        expect_offer(a, "f", "s2", "mem:64");
        give_back(a, "s2", "f", "p/x", "mem:64", 1000);
        expect_none(a);
        set_quota(a, "p", 0, 4);
        expect_offer(a, "f", "s1", "cpus:1");
        set_quota(a, "p", 0, 1); /* what is above stays */
        assert_int_equal(consumed(a, "p"), 4000);
        expect_none(a);
}

/* A role that is at its limit gets what is left when something of it ends. */
static void test_a_limit_opens_again(void **state)
{
        CLEANUP(cleanup_allocator_free) struct allocator *a = allocator_new(NULL);
        struct allocator_quota both[] = {
                {.name = "cpus", .limit_milli = 2000}, {.name = "mem", .limit_milli = 1024 * 1000}};

        add_framework(a, "f", "r");
        assert_int_equal(allocator_set_quota(a, "r", both, 2), 0);
        add_agent(a, "s1", "cpus:8;mem:8192");
        expect_offer(a, "f", "s1", "cpus:2;mem:1024");
        expect_none(a);
        give_back(a, "s1", "f", "r", "cpus:1;mem:512", 0);
        expect_offer(a, "f", "s1", "cpus:1;mem:512");
        add_agent(a, "s2", "cpus:8;mem:8192");
        expect_none(a);
        give_back(a, "s1", "f", "r", "cpus:0.005;mem:1", 0); /* not worth an offer */
        expect_none(a);
        give_back(a, "s1", "f", "r", "cpus:1.5", 1000);
        expect_offer(a, "f", "s1", "cpus:1.505;mem:1"); /* more than was refused */
        assert_int_equal(allocator_set_quota(a, "r", NULL, 0), 0);
        expect_offer(a, "f", "s1", "cpus:6;mem:7168");
        expect_offer(a, "f", "s2", "cpus:8;mem:8192");
}

static void test_nothing_is_offered_while_held(void **state)
{
        CLEANUP(cleanup_allocator_free) struct allocator *a = allocator_new(NULL);

        allocator_hold(a, true);
        add_framework(a, "f", "r");
        add_agent(a, "s1", "cpus:1;mem:1024");
        expect_none(a);
        allocator_hold(a, false);
        expect_offer(a, "f", "s1", "cpus:1;mem:1024");
}

static void test_roles_stay_while_there_is_a_reason(void **state)
{
        CLEANUP(cleanup_allocator_free) struct allocator *a = allocator_new(NULL);
        struct allocator_role_view view;

        set_quota(a, "a/b/c", 1, 2);
        assert_true(allocator_role(a, "a/b", &view));
        assert_true(allocator_role(a, "a/b/c", &view));
        assert_int_equal(view.quota_count, 1);
        assert_int_equal(view.quotas[0].limit_milli, 2000);
        assert_int_equal(allocator_set_quota(a, "a/b/c", NULL, 0), 0);
        assert_false(allocator_role(a, "a", &view));
        assert_int_equal(allocator_set_role_weight(a, "a/b", 0), -EINVAL);
        assert_int_equal(allocator_set_role_weight(a, "a/b", 2000), 0);
        assert_true(allocator_role(a, "a/b", &view));
        assert_int_equal(view.weight_milli, 2000);
        assert_int_equal(allocator_set_role_weight(a, "a/b", 1000), 0);
        assert_false(allocator_role(a, "a", &view));
        add_framework(a, "f", "x/y");
        assert_true(allocator_role(a, "x/y", &view));
        assert_int_equal(view.frameworks, 1);
        assert_true(allocator_role(a, "x", &view));
        assert_int_equal(view.frameworks, 0);
        add_agent(a, "s1", "cpus(q/r):1;mem:1024");
        assert_int_equal(allocator_remove_framework(a, "f"), 0);
        assert_false(allocator_role(a, "x", &view));
        assert_true(allocator_role(a, "q", &view));
        assert_int_equal(resources_scalar(view.reserved, "cpus"), 1000);
        assert_int_equal(allocator_remove_agent(a, "s1"), 0);
        assert_false(allocator_role(a, "q", &view));
        check(a);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_guarantee_goes_first),
                cmocka_unit_test(test_headroom_is_what_is_missing),
                cmocka_unit_test(test_guarantees_of_inner_roles_are_part_of_their_parents),
                cmocka_unit_test(test_only_those_with_a_guarantee_are_first),
                cmocka_unit_test(test_a_limit_cuts),
                cmocka_unit_test(test_a_limit_opens_again),
                cmocka_unit_test(test_nothing_is_offered_while_held),
                cmocka_unit_test(test_roles_stay_while_there_is_a_reason),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
