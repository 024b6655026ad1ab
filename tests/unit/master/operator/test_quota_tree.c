/* Guarantees added up over the tree of roles. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "master/operator/quota_tree.h"

static struct quota_tree_sums sums(const struct quota_tree *t, const char *role)
{
        struct quota_tree_sums s;

        quota_tree_get(t, role, &s);
        return s;
}

static void test_needs_add_up(void **state)
{
        struct quota_tree *t = quota_tree_new();

        quota_tree_add(t, "a/b/c", 3000, UINT64_MAX); /* before those above it */
        quota_tree_add(t, "a/x", 2000, 2500);
        quota_tree_add(t, "a", 4000, UINT64_MAX);
        quota_tree_add(t, "d", 7000, UINT64_MAX);
        quota_tree_add(t, "d/e", 1000, UINT64_MAX);
        quota_tree_add(t, "ab", 100, UINT64_MAX); /* not within "a" */
        quota_tree_sum(t);
        assert_int_equal(sums(t, "a/b/c").need_milli, 3000);
        assert_int_equal(sums(t, "a/b").need_milli, 3000); /* has nothing of its own */
        assert_int_equal(sums(t, "a/b").guarantee_milli, 0);
        assert_int_equal(sums(t, "a").below_milli, 5000);
        assert_int_equal(sums(t, "a").need_milli, 5000);
        assert_int_equal(sums(t, "a/x").limit_milli, 2500);
        assert_int_equal(sums(t, "d").below_milli, 1000);
        assert_int_equal(sums(t, "d").need_milli, 7000);
        assert_int_equal(quota_tree_total(t), 12100);
        assert_int_equal(sums(t, "nobody").need_milli, 0);
        assert_true(sums(t, "nobody").limit_milli == UINT64_MAX);
        quota_tree_free(t);
}

static void test_sums_do_not_wrap(void **state)
{
        struct quota_tree *t = quota_tree_new();

        quota_tree_add(t, "a", UINT64_MAX - 1, UINT64_MAX);
        quota_tree_add(t, "b", UINT64_MAX - 1, UINT64_MAX);
        quota_tree_sum(t);
        assert_true(quota_tree_total(t) == UINT64_MAX);
        quota_tree_free(t);
}

static void test_the_role_above(void **state)
{
        char role[16] = "a/bc/d";

        assert_true(role_above(role, role, sizeof(role)));
        assert_string_equal(role, "a/bc");
        assert_true(role_above(role, role, sizeof(role)));
        assert_string_equal(role, "a");
        assert_false(role_above(role, role, sizeof(role)));
        assert_false(role_above("long/b", role, 4));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_needs_add_up),
                cmocka_unit_test(test_sums_do_not_wrap),
                cmocka_unit_test(test_the_role_above),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
