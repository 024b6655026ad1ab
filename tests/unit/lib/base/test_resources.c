#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/resources.h"

static void check(const struct resources *r, const char *expected)
{
        _cleanup_free_ char *text = resources_to_string(r);

        assert_string_equal(text, expected);
}

static struct resources parse(const char *text)
{
        struct resources r = {};
        _cleanup_error_ struct error e = {};

        if (resources_parse(text, &r, &e) < 0)
                fail_msg("%s", e.message);
        return r;
}

static void test_text(void **state)
{
        static const struct {
                const char *in, *out;
        } cases[] = {
                {"", ""},
                {"cpus:1", "cpus:1"},
                {"mem:64;cpus:0.5", "cpus:0.5;mem:64"},
                {" cpus : 0.050 ; mem:64.001 ", "cpus:0.05;mem:64.001"},
                {"cpus:1;cpus:0.5", "cpus:1.5"},
                {"cpus:0;mem:0.000", ""},
                {"ports:[31000-32000]", "ports:[31000-32000]"},
                {"ports:[5-9, 1-2,3-3]", "ports:[1-3,5-9]"},
                {"ports:[]", ""},
                {"ports:[0-18446744073709551615]", "ports:[0-18446744073709551615]"},
                {"disks:{b,a , b}", "disks:{a,b}"},
                {"disks:{}", ""},
                {"z:1;a:{x};m:[1-2]", "a:{x};m:[1-2];z:1"},
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_resources_ struct resources r = parse(cases[i].in);

                check(&r, cases[i].out);
        }
}

static void test_refused_text(void **state)
{
        static const char *const bad[] = {"cpus", ":1", "cpus:", "cpus:-1", "cpus:1e3", "cpus:0.0001",
                "cpus:x", "cpus:9007199254.741", "cpus:99999999999999999999999", "cpus(role)1", "a b:1",
                "ports:[1-2", "ports:[2-1]", "ports:[1]", "ports:[1-2,]", "ports:[-1]",
                "ports:[1-18446744073709551616]", "disks:{a", "disks:{a,,b}", "disks:{a{}",
                "cpus:9007199254.74;cpus:0.001",
                "a123456789012345678901234567890123456789012345678901234567890123:1"};

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                _cleanup_error_ struct error e = {};
                struct resources r = {.count = 77};

                assert_int_equal(resources_parse(bad[i], &r, &e), -EINVAL);
                assert_non_null(e.message);
                assert_int_equal(r.count, 77);
        }
}

static void test_scalars(void **state)
{
        _cleanup_resources_ struct resources r = {}, more = parse("cpus:0.75;mem:10;gpus:1");

        (void)state;
        assert_true(resources_empty(&r));
        assert_int_equal(resources_scalar(&r, "cpus"), 0);
        resources_set_scalar(&r, "cpus", 250);
        resources_set_scalar(&r, "mem", 10000);
        assert_int_equal(resources_scalar(&r, "cpus"), 250);
        resources_add(&r, &more);
        check(&r, "cpus:1;gpus:1;mem:20");
        assert_int_equal(resources_subtract(&r, &more), 0);
        check(&r, "cpus:0.25;mem:10");
        assert_int_equal(resources_subtract(&r, &more), -ERANGE);
        check(&r, "cpus:0.25;mem:10");
        resources_set_scalar(&r, "cpus", 0);
        resources_set_scalar(&r, "nothing", 0);
        check(&r, "mem:10");
}

static void test_range_merging(void **state)
{
        static const struct {
                uint64_t begin, end;
                const char *result;
        } steps[] = {
                {10, 20, "p:[10-20]"},
                {30, 40, "p:[10-20,30-40]"},
                {21, 21, "p:[10-21,30-40]"},
                {29, 29, "p:[10-21,29-40]"},
                {22, 28, "p:[10-40]"},
                {0, 0, "p:[0-0,10-40]"},
                {5, 12, "p:[0-0,5-40]"},
                {15, 16, "p:[0-0,5-40]"},
                {50, 60, "p:[0-0,5-40,50-60]"},
                {70, 80, "p:[0-0,5-40,50-60,70-80]"},
                {39, 75, "p:[0-0,5-80]"},
                {UINT64_MAX, UINT64_MAX, "p:[0-0,5-80,18446744073709551615-18446744073709551615]"},
                {100, UINT64_MAX - 1, "p:[0-0,5-80,100-18446744073709551615]"},
                {1, 4, "p:[0-80,100-18446744073709551615]"},
                {0, UINT64_MAX, "p:[0-18446744073709551615]"},
        };
        _cleanup_resources_ struct resources r = {};

        (void)state;
        assert_int_equal(resources_add_range(&r, "p", 2, 1), -EINVAL);
        assert_int_equal(resources_add_range(&r, "a:b", 1, 1), -EINVAL);
        assert_true(resources_empty(&r));
        for (size_t i = 0; i < ELEMENTSOF(steps); i++) {
                assert_int_equal(resources_add_range(&r, "p", steps[i].begin, steps[i].end), 0);
                check(&r, steps[i].result);
        }
}

static void test_range_splitting(void **state)
{
        static const struct {
                const char *from, *take, *rest;
        } cases[] = {
                {"p:[1-10]", "p:[1-10]", ""},
                {"p:[1-10]", "p:[1-1]", "p:[2-10]"},
                {"p:[1-10]", "p:[10-10]", "p:[1-9]"},
                {"p:[1-10]", "p:[4-6]", "p:[1-3,7-10]"},
                {"p:[1-10]", "p:[1-1,3-3,5-5,10-10]", "p:[2-2,4-4,6-9]"},
                {"p:[1-10,20-30,40-50]", "p:[20-30]", "p:[1-10,40-50]"},
                {"p:[1-10,20-30,40-50]", "p:[10-10,20-20,45-50]", "p:[1-9,21-30,40-44]"},
                {"p:[1-10,20-30,40-50]", "p:[1-10,50-50]", "p:[20-30,40-49]"},
                {"p:[0-18446744073709551615]", "p:[18446744073709551615-18446744073709551615]",
                        "p:[0-18446744073709551614]"},
                {"s:{a,b,c}", "s:{b}", "s:{a,c}"},
                {"s:{a,b,c}", "s:{a,c}", "s:{b}"},
                {"cpus:1;p:[1-2];s:{a}", "cpus:0.5;p:[1-1];s:{a}", "cpus:0.5;p:[2-2]"},
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_resources_ struct resources from = parse(cases[i].from), take = parse(cases[i].take),
                                                     before = parse(cases[i].from);

                assert_true(resources_contains(&from, &take));
                assert_int_equal(resources_subtract(&from, &take), 0);
                check(&from, cases[i].rest);
                /* Given back, it is what it was. */
                resources_add(&from, &take);
                assert_true(resources_equal(&from, &before));
        }
}

static void test_not_contained(void **state)
{
        static const struct {
                const char *big, *small;
        } cases[] = {
                {"", "cpus:0.001"},
                {"cpus:1", "cpus:1.001"},
                {"cpus:1", "mem:1"},
                {"p:[1-10]", "p:[0-1]"},
                {"p:[1-10]", "p:[10-11]"},
                {"p:[1-10,12-20]", "p:[10-12]"},
                {"p:[1-10,12-20]", "p:[11-11]"},
                {"p:[5-6]", "p:[1-2]"},
                {"s:{a,c}", "s:{b}"},
                {"s:{a}", "s:{a,b}"},
                {"x:1", "x:[1-1]"},
                {"x:[1-1]", "x:{1}"},
                {"cpus:2;mem:1", "cpus:1;disk:1;mem:1"},
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_resources_ struct resources big = parse(cases[i].big), small = parse(cases[i].small);

                assert_false(resources_contains(&big, &small));
                assert_int_equal(resources_subtract(&big, &small), -ERANGE);
                check(&big, cases[i].big);
        }
}

static void test_same_object(void **state)
{
        _cleanup_resources_ struct resources r = parse("cpus:1;p:[1-2];s:{a}"), copy = {};

        (void)state;
        resources_copy(&r, &copy);
        assert_true(resources_equal(&r, &copy));
        resources_add(&r, &r);
        check(&r, "cpus:2;p:[1-2];s:{a}");
        check(&copy, "cpus:1;p:[1-2];s:{a}");
        assert_false(resources_equal(&r, &copy));
        assert_int_equal(resources_subtract(&r, &r), 0);
        assert_true(resources_empty(&r));
}

static void test_range_bound(void **state)
{
        _cleanup_resources_ struct resources r = {};
        uint64_t i;
        int e = 0;

        (void)state;
        /* From the end, so that each one is inserted in front. */
        for (i = 100000; i > 0 && e == 0; i--)
                e = resources_add_range(&r, "p", i * 2, i * 2);
        assert_int_equal(e, -E2BIG);
        assert_int_equal(r.entries[0].range_count, RESOURCE_RANGES_MAX);
}

static void test_doubles(void **state)
{
        uint64_t v = 7;

        (void)state;
        assert_int_equal(milli_from_double(0.1 + 0.2, &v), 0);
        assert_int_equal(v, 300);
        assert_int_equal(milli_from_double(0.0005, &v), 0);
        assert_int_equal(v, 1);
        assert_int_equal(milli_from_double(0.00049, &v), 0);
        assert_int_equal(v, 0);
        assert_int_equal(milli_from_double(-0.0, &v), 0);
        assert_int_equal(v, 0);
        assert_int_equal(milli_from_double(9007199254.74, &v), 0);
        assert_int_equal(v, RESOURCE_MILLI_MAX);
        v = 7;
        assert_int_equal(milli_from_double(9007199254.741, &v), -ERANGE);
        assert_int_equal(milli_from_double(DBL_MAX, &v), -ERANGE);
        assert_int_equal(milli_from_double(-0.001, &v), -EINVAL);
        assert_int_equal(milli_from_double((double)NAN, &v), -EINVAL);
        assert_int_equal(milli_from_double((double)INFINITY, &v), -EINVAL);
        assert_int_equal(v, 7);
        assert_true(milli_to_double(1500) == 1.5);
        for (uint64_t i = 0; i < 100000; i += 7) {
                assert_int_equal(milli_from_double(milli_to_double(i), &v), 0);
                assert_int_equal(v, i);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_text),
                cmocka_unit_test(test_refused_text),
                cmocka_unit_test(test_scalars),
                cmocka_unit_test(test_range_merging),
                cmocka_unit_test(test_range_splitting),
                cmocka_unit_test(test_not_contained),
                cmocka_unit_test(test_same_object),
                cmocka_unit_test(test_range_bound),
                cmocka_unit_test(test_doubles),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
