/* Reserved resources go to their role and those within it; revocable ones to those who take them. */
#include "tests/unit/master/allocator/steps.h"

static const struct resource_traits *revocable(void)
{
        return resource_traits_get(&(struct resource_traits){.revocable = true});
}

/* An agent with plain resources, and so many revocable cpus. */
static void add_oversubscribed(struct allocator *a, const char *id, const char *plain, const char *extra)
{
        _cleanup_resources_ struct resources total = {}, more = {}, with = {};
        const struct resource_traits *traits = revocable();

        parse(plain, &total);
        parse(extra, &more);
        resources_with_traits(&more, traits, &with);
        resources_add(&total, &with);
        assert_int_equal(allocator_add_agent(a, id, &total, NULL, 0), 0);
        resource_traits_unref(traits);
        check(a);
}

static uint64_t consumed(const struct allocator *a, const char *role, uint64_t *ret_allocated)
{
        struct allocator_role_view view;

        assert_true(allocator_role(a, role, &view));
        *ret_allocated = resources_scalar(view.allocated, "cpus");
        return resources_scalar(view.consumed, "cpus");
}

static void test_reserved_goes_to_those_within(void **state)
{
        CLEANUP(cleanup_allocator_free) struct allocator *a = allocator_new(NULL);

        add_framework(a, "other", "other");
        add_framework(a, "above", "a");
        add_framework(a, "within", "a/b/c");
        add_agent(a, "s1", "cpus:1;mem:1024;cpus(a/b):2;mem(a/b):512");
        expect_offer(a, "within", "s1", "cpus:1;mem:1024;cpus(a/b):2;mem(a/b):512");
        give_back(a, "s1", "within", "a/b/c", "cpus:1;mem:1024;cpus(a/b):2;mem(a/b):512", 0);
        assert_int_equal(allocator_suppress(a, "within", NULL), 0);
        expect_offer(a, "above", "s1", "cpus:1;mem:1024");
        expect_none(a);
        give_back(a, "s1", "above", "a", "cpus:1;mem:1024", 1000);
        expect_offer(a, "other", "s1", "cpus:1;mem:1024");
        assert_int_equal(allocator_revive(a, "within", NULL), 0);
        expect_offer(a, "within", "s1", "cpus(a/b):2;mem(a/b):512"); /* what remains */
        expect_none(a);
}

static void test_reserved_counts_as_consumed_once(void **state)
{
        CLEANUP(cleanup_allocator_free) struct allocator *a = allocator_new(NULL);
        uint64_t allocated;

        set_quota(a, "a", 4, 6);
        add_framework(a, "f", "a/b");
        add_framework(a, "g", "g");
        add_agent(a, "s1", "cpus:8;mem:1024;cpus(a):3;mem(a):64");
        assert_int_equal(consumed(a, "a", &allocated), 3000);
        assert_int_equal(allocator_unclaimed(a, "g", "cpus"), 7000); /* one more is guaranteed */
        expect_offer(a, "f", "s1", "cpus:3;mem:1024;cpus(a):3;mem(a):64");
        assert_int_equal(consumed(a, "a", &allocated), 6000);
        assert_int_equal(allocated, 6000);
        give_back(a, "s1", "f", "a/b", "cpus(a):3", 0);
        assert_int_equal(consumed(a, "a", &allocated), 6000);
        assert_int_equal(consumed(a, "a/b", &allocated), 3000);
        /* a limit does not keep a role from what is reserved for it */
        expect_offer(a, "g", "s1", "cpus:5");
        expect_offer(a, "f", "s1", "cpus(a):3");
        expect_none(a);
}

/* Below the role that it is reserved for it is new consumption, which limits cut; a volume is not divided. */
static void test_limits_of_inner_roles_cut_what_is_reserved_above(void **state)
{
        struct resource_reservation of_a = {.role = (char *)"a"};
        struct resource_traits volume = {.reservations = &of_a,
                .reservation_count = 1,
                .volume_id = (char *)"v1",
                .container_path = (char *)"data"};
        CLEANUP(cleanup_allocator_free) struct allocator *a = allocator_new(NULL);
        struct allocator_quota both[] = {
                {.name = "cpus", .limit_milli = 1500}, {.name = "disk", .limit_milli = 50000}};
        const struct resource_traits *traits = resource_traits_get(&volume);
        _cleanup_resources_ struct resources total = {}, disk = {}, kept = {};

        add_framework(a, "f", "a/b");
        assert_int_equal(allocator_set_quota(a, "a/b", both, 2), 0);
        parse("cpus(a):1;cpus:2;mem:64", &total);
        parse("disk:60", &disk);
        resources_with_traits(&disk, traits, &kept);
        resources_add(&total, &kept);
        assert_int_equal(allocator_add_agent(a, "s1", &total, NULL, 0), 0);
        resource_traits_unref(traits);
        expect_offer(a, "f", "s1", "cpus(a):1;cpus:0.5;mem:64"); /* what is reserved first */
}

static void test_revocable_is_apart(void **state)
{
        CLEANUP(cleanup_allocator_free) struct allocator *a = allocator_new(NULL);
        struct allocator_offer o = {};
        uint64_t allocated;

        set_quota(a, "r", 0, 1);
        add_framework(a, "firm", "q");
        add_framework(a, "loose", "r");
        assert_int_equal(allocator_set_framework_revocable(a, "nobody", true), -ENOENT);
        add_oversubscribed(a, "s1", "cpus:2;mem:1024", "cpus:4");
        expect_offer(a, "firm", "s1", "cpus:2;mem:1024");
        expect_none(a);
        assert_int_equal(allocator_set_framework_revocable(a, "loose", true), 0);
        assert_int_equal(allocator_next_offer(a, at(0), &o), ALLOCATOR_OFFER);
        assert_string_equal(o.framework, "loose");
        assert_int_equal(resources_plain_scalar(&o.resources, "cpus"), 0);
        assert_int_equal(resources_scalar(&o.resources, "cpus"),
                4000); /* above its limit, which does not count them */
        assert_int_equal(consumed(a, "r", &allocated), 0);
        assert_int_equal(allocated, 4000);
        assert_int_equal(allocator_role_share(a, "r"), (UINT64_C(1) << 40) * 4 / 6);
        allocator_offer_done(&o);
        check(a);
        give_back(a, "s1", "firm", "q", "cpus:2;mem:1024", 1000);
        expect_offer(a, "loose", "s1", "cpus:1;mem:1024");
        expect_none(a);
}

static void test_operations_change_traits_not_quantities(void **state)
{
        CLEANUP(cleanup_allocator_free) struct allocator *a = allocator_new(NULL);
        _cleanup_resources_ struct resources plain = {}, reserved = {}, more = {};
        struct allocator_usage use = {"f", "a/b", &plain};
        uint64_t allocated;

        parse("cpus:1;mem:64", &plain);
        parse("cpus(a):1;mem(a):64", &reserved);
        parse("cpus:3", &more);
        add_framework(a, "f", "a/b");
        add_framework(a, "g", "g");
        add_agent(a, "s1", "cpus:2;mem:1024");
        assert_int_equal(allocator_update_available(a, "s2", &plain, &reserved), -ENOENT);
        assert_int_equal(allocator_update_available(a, "s1", &more, &reserved), -EBUSY);
        assert_int_equal(allocator_update_available(a, "s1", &plain, &reserved), 0);
        check(a);
        assert_true(is_text(allocator_agent_total(a, "s1"), "cpus:1;mem:960;cpus(a):1;mem(a):64"));
        assert_int_equal(consumed(a, "a", &allocated), 1000);
        assert_int_equal(allocator_update_available(a, "s1", &reserved, &plain), 0);
        check(a);
        /* out of an offer */
        expect_offer(a, "f", "s1", "cpus:2;mem:1024");
        assert_int_equal(allocator_update_allocation(a, "s1", &use, &reserved), 0);
        check(a);
        assert_int_equal(
                allocator_update_allocation(a, "s1", &(struct allocator_usage){"f", "a/b", &more}, &reserved),
                -ERANGE);
        assert_int_equal(
                allocator_update_allocation(a, "s1", &(struct allocator_usage){"f", "x", &plain}, &reserved),
                -ENOENT);
        assert_int_equal(consumed(a, "a", &allocated), 2000);
        assert_int_equal(allocated, 2000);
        give_back(a, "s1", "f", "a/b", "cpus(a):1;mem(a):64;cpus:1;mem:960", 1000);
        expect_offer(a, "g", "s1", "cpus:1;mem:960");
        assert_true(is_text(allocator_agent_free(a, "s1"), "cpus(a):1;mem(a):64"));
        assert_int_equal(allocator_update_available(a, "s1", &plain, &reserved), -EBUSY);
        expect_none(a);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_reserved_goes_to_those_within),
                cmocka_unit_test(test_reserved_counts_as_consumed_once),
                cmocka_unit_test(test_limits_of_inner_roles_cut_what_is_reserved_above),
                cmocka_unit_test(test_revocable_is_apart),
                cmocka_unit_test(test_operations_change_traits_not_quantities),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
