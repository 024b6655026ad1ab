#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/role.h"

static void test_roles(void **state)
{
        (void)state;
        static const char *const legal[] = {
                "*", "a", "a/b", "a/b/c-d", "a.b", "...", "a-", "\xc3\xa4", "a*b", "a/.b"};
        static const char *const illegal[] = {"", "/", "/a", "a/", "a//b", ".", "..", "a/..", "./a", "-a",
                "a/-b", "a b", "a\tb", "a\nb", "a\x7f", "\x01", "a/*", "*/a"};
        _cleanup_free_ char *long_role = xcalloc(1, ROLE_LENGTH_MAX + 2);
        _cleanup_error_ struct error e = {};

        for (size_t i = 0; i < ELEMENTSOF(legal); i++)
                if (role_validate(legal[i], "role", &e) < 0)
                        fail_msg("%s", error_message(&e));
        for (size_t i = 0; i < ELEMENTSOF(illegal); i++)
                if (role_validate(illegal[i], "role", NULL) >= 0)
                        fail_msg("'%s' is accepted", illegal[i]);
        memset(long_role, 'a', ROLE_LENGTH_MAX);
        assert_int_equal(role_validate(long_role, "role", NULL), 0);
        long_role[ROLE_LENGTH_MAX] = 'a';
        assert_int_equal(role_validate(long_role, "some.field", &e), -EINVAL);
        assert_non_null(strstr(error_message(&e), "some.field"));
}

static void test_tree(void **state)
{
        static const struct {
                const char *role, *above;
                bool within;
        } cases[] = {
                {"a", "a", true},
                {"a/b", "a", true},
                {"a/b/c", "a", true},
                {"a/b/c", "a/b", true},
                {"ab", "a", false},
                {"a", "a/b", false},
                {"a", "ab", false},
                {"b/a", "a", false},
                {"a", "*", false},
                {"*", "*", true},
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                if (role_is_within(cases[i].role, cases[i].above) != cases[i].within)
                        fail_msg("%s within %s", cases[i].role, cases[i].above);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_roles), cmocka_unit_test(test_tree)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
