/* Lists of CPUs, as the kernel and people write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/linux/cpu_list.h"

static struct cpu_list list(const char *text)
{
        struct cpu_list l;

        if (cpu_list_parse(text, &l) < 0)
                fail_msg("refused: %s", text);
        return l;
}

static void round_trips(void **state)
{
        static const char *const rows[][2] = {{"", ""}, {"\n", ""}, {"0", "0"}, {"0-3\n", "0-3"},
                {"3,1,2", "1-3"}, {"0-1,8,63-64,4095", "0-1,8,63-64,4095"}, {"0-4095", "0-4095"},
                {"5-7,6-9", "5-9"}};

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                struct cpu_list l = list(rows[i][0]);
                _cleanup_free_ char *text = cpu_list_format(&l);
                assert_string_equal(text, rows[i][1]);
        }
}

static void refusals(void **state)
{
        static const char *const bad[] = {"x", "1-", "-1", ",", "1,", "3-1", "4096", "0-4096",
                "18446744073709551615", "1 2", "1--2", "+1"};

        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                struct cpu_list l;

                if (cpu_list_parse(bad[i], &l) >= 0)
                        fail_msg("accepted: %s", bad[i]);
        }
}

static void sets(void **state)
{
        struct cpu_list a = list("0-3,100"), b = list("2-5"), small = list("100");

        assert_int_equal(cpu_list_count(&a), 5);
        assert_true(cpu_list_has(&a, 100));
        assert_false(cpu_list_has(&a, 4));
        assert_false(cpu_list_has(&a, CPU_LIST_MAX));
        assert_true(cpu_list_contains(&a, &small));
        assert_false(cpu_list_contains(&a, &b));
        assert_true(cpu_list_overlaps(&a, &b));
        assert_false(cpu_list_overlaps(&b, &small));
        cpu_list_take(&a, &b);
        struct cpu_list left = list("0-1,100");
        assert_true(cpu_list_equal(&a, &left));
        cpu_list_join(&a, &b);
        struct cpu_list joined = list("0-5,100");
        assert_true(cpu_list_equal(&a, &joined));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(round_trips),
                cmocka_unit_test(refusals),
                cmocka_unit_test(sets),
        };

        return cmocka_run_group_tests_name("lib/linux/cpu_list", tests, NULL, NULL);
}
