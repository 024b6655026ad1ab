#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base/samples.h"

static void test_none(void **state)
{
        static struct samples s;
        struct samples_summary x;

        samples_summarize(&s, &x);
        assert_int_equal(x.total, 0);
        assert_int_equal(x.max_ns, 0);
        assert_int_equal(x.p9999_ns, 0);
}

static void test_percentiles(void **state)
{
        static struct samples s;
        struct samples_summary x;

        samples_add(&s, 7);
        samples_summarize(&s, &x);
        assert_int_equal(x.p50_ns, 7);
        assert_int_equal(x.min_ns, 7);
        s = (struct samples){};
        for (uint64_t i = 101; i-- > 0;)
                samples_add(&s, i * 10);
        samples_summarize(&s, &x);
        assert_int_equal(x.total, 101);
        assert_int_equal(x.last_ns, 0);
        assert_int_equal(x.min_ns, 0);
        assert_int_equal(x.max_ns, 1000);
        assert_int_equal(x.p50_ns, 500);
        assert_int_equal(x.p90_ns, 900);
        assert_int_equal(x.p99_ns, 990);
        assert_int_equal(x.p999_ns, 999); /* between two samples */
}

static void test_the_oldest_go(void **state)
{
        static struct samples s;
        struct samples_summary x;

        samples_add(&s, UINT64_MAX);
        for (uint64_t i = 0; i < SAMPLES_KEPT; i++)
                samples_add(&s, 5);
        samples_add(&s, 6);
        samples_summarize(&s, &x);
        assert_int_equal(x.total, SAMPLES_KEPT + 2);
        assert_int_equal(x.max_ns, 6);
        assert_int_equal(x.last_ns, 6);
        assert_int_equal(x.p50_ns, 5);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_none),
                cmocka_unit_test(test_percentiles),
                cmocka_unit_test(test_the_oldest_go),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
