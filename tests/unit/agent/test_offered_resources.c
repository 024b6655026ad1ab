/* What an agent offers: defaults, overrides and refusals. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "agent/offered_resources.h"

static struct agent_options options(const char *resources)
{
        return (struct agent_options){.milli_cpus = 1500,
                .memory_bytes = UINT64_C(3) << 30,
                .work_dir = (char *)"/nowhere/below/the/root",
                .resources = (char *)resources};
}

static void test_defaults(void **state)
{
        const struct agent_options o = options(NULL);
        _cleanup_resources_ struct resources r = {0};
        _cleanup_resources_ struct resources ports = {0};

        assert_int_equal(offered_resources(&o, &r, NULL), 0);
        assert_int_equal(resources_scalar(&r, "cpus"), 1500);
        assert_int_equal(resources_scalar(&r, "mem"), 3072000);
        assert_true(resources_scalar(&r, "disk") > 0);
        assert_int_equal(resources_parse("ports:[31000-32000]", &ports, NULL), 0);
        assert_true(resources_contains(&r, &ports));
}

static void test_named(void **state)
{
        const struct agent_options o = options("ports:[8000-8001];disk:10;licences:{a,b}");
        _cleanup_resources_ struct resources r = {0};
        _cleanup_free_ char *text = NULL;

        assert_int_equal(offered_resources(&o, &r, NULL), 0);
        text = resources_to_string(&r);
        assert_string_equal(text, "cpus:1.5;disk:10;licences:{a,b};mem:3072;ports:[8000-8001]");
}

/* Of what is offered. What is not reserved is the rest, or what is named. */
static void test_reserved(void **state)
{
        static const struct {
                const char *resources, *offered;
        } cases[] = {
                {"cpus(a):1;ports:[1-2];disk:10", "cpus:0.5;cpus(a):1;disk:10;mem:3072;ports:[1-2]"},
                {"cpus(a/b):0.5;cpus:0.7;mem(c):72;ports(a):[1-2];disk:10;disk(a):5",
                        "cpus:0.7;cpus(a/b):0.5;disk:10;disk(a):5;mem:3000;mem(c):72;ports(a):[1-2]"},
                {"cpus(a):1.5;ports:[1-2];disk:10", "cpus(a):1.5;disk:10;mem:3072;ports:[1-2]"},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const struct agent_options o = options(cases[i].resources);
                _cleanup_resources_ struct resources r = {0};
                _cleanup_error_ struct error e = {0};
                _cleanup_free_ char *text = NULL;

                if (offered_resources(&o, &r, &e) < 0)
                        fail_msg("%s", error_message(&e));
                text = resources_to_string(&r);
                assert_string_equal(text, cases[i].offered);
        }
}

static void test_refusals(void **state)
{
        static const char *const bad[] = {"cpus:1", "mem:5", "ports:5", "ports:[1-70000]", "disk:[1-2]",
                "disk:-1", "x", ";;:", "cores:1", "cores:[0-1]" /* of 1.5 cpus */, "cores:[4000-4000]",
                "cores:{0}", "cores:[0-18446744073709551615]", "cpus(a):1.6", "cpus(a):1;cpus:0.6",
                "mem(a):4096", "ports(a):[1-70000]", "cpus(a/):1", "disk(a):99999999999"};

        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                const struct agent_options o = options(bad[i]);
                _cleanup_error_ struct error e = {0};
                struct resources r = {0};

                if (offered_resources(&o, &r, &e) != -EINVAL)
                        fail_msg("accepted: %s", bad[i]);
                assert_non_null(strstr(error_message(&e), "--resources"));
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_defaults),
                cmocka_unit_test(test_named),
                cmocka_unit_test(test_reserved),
                cmocka_unit_test(test_refusals),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
