/* Quantiles of durations: exact for small values, within the width of a bucket for large ones. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "lib/base/util.h"
#include "tools/sim/histogram.h"

static void test_empty(void **state)
{
        struct histogram s = {0};

        assert_int_equal(histogram_quantile_ns(&s, 0.5), 0);
        assert_int_equal(histogram_quantile_ns(&s, 0.99), 0);
}

static void test_small_values_are_exact(void **state)
{
        struct histogram s = {0};

        for (uint64_t i = 0; i < 30; i++)
                histogram_add(&s, i);
        assert_int_equal(histogram_quantile_ns(&s, 0), 0);
        assert_int_equal(histogram_quantile_ns(&s, 0.5), 15);
        assert_int_equal(histogram_quantile_ns(&s, 1), 29);
        assert_int_equal(s.max_ns, 29);
}

static void test_large_values_are_near(void **state)
{
        struct histogram s = {0};
        const uint64_t step = 7919; /* nanoseconds */

        for (uint64_t i = 1; i <= 100000; i++)
                histogram_add(&s, i * step);
        for (unsigned percent = 1; percent < 100; percent++) {
                double want = (double)step * 1000.0 * percent;
                double got = (double)histogram_quantile_ns(&s, percent / 100.0);

                if (got < want * 0.999 || got > want * 1.04)
                        fail_msg("quantile %u%%: %.0f, expected about %.0f", percent, got, want);
        }
        assert_int_equal(histogram_quantile_ns(&s, 1), 100000 * step);
}

static void test_the_largest_value(void **state)
{
        struct histogram s = {0};

        histogram_add(&s, UINT64_MAX);
        histogram_add(&s, 1);
        assert_int_equal(histogram_quantile_ns(&s, 0.4), 1);
        assert_int_equal(histogram_quantile_ns(&s, 1), UINT64_MAX);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_empty),
                cmocka_unit_test(test_small_values_are_exact),
                cmocka_unit_test(test_large_values_are_near),
                cmocka_unit_test(test_the_largest_value),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
