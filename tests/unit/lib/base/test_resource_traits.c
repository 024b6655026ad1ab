/* Reservations, volumes and what is revocable: interned, and what vectors do with them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/resources.h"

static struct resources parse(const char *text)
{
        struct resources r = {};
        _cleanup_error_ struct error e = {};

        if (resources_parse(text, &r, &e) < 0)
                fail_msg("%s", e.message);
        return r;
}

static void check(const struct resources *r, const char *expected)
{
        _cleanup_free_ char *text = resources_to_string(r);

        assert_string_equal(text, expected);
}

static void check_traits(const struct resource_traits *t, const char *expected)
{
        _cleanup_free_ char *text = resource_traits_to_string(t);

        assert_string_equal(text, expected);
}

/* Every object of the test is interned once and let go: what is left over is the sanitizer's to find. */
static void test_interned(void **state)
{
        struct resource_label label = {.key = (char *)"rack", .value = NULL};
        struct resource_reservation stack[] = {
                {.role = (char *)"a",
                        .principal = (char *)"alice",
                        .dynamic = true,
                        .labels = &label,
                        .label_count = 1},
                {.role = (char *)"a/b", .principal = (char *)"bob", .dynamic = true},
        };
        struct resource_traits like = {.reservations = stack, .reservation_count = 2};
        const struct resource_traits *first = resource_traits_get(&like),
                                     *second = resource_traits_get(&like);

        (void)state;
        assert_ptr_equal(first, second);
        assert_int_equal(first->references, 2);
        assert_ptr_not_equal(first->reservations, stack);
        assert_string_equal(resource_traits_role(first), "a/b");
        check_traits(first, "(reserved: a by alice) (reserved: a/b by bob)");
        label.value = (char *)"r1";
        second = resource_traits_get(&like);
        assert_ptr_not_equal(first, second);
        assert_true(resource_traits_compare(first, second) < 0);
        assert_true(resource_traits_compare(second, first) > 0);
        resource_traits_unref(first);
        resource_traits_unref(first);
        resource_traits_unref(second);
        assert_null(resource_traits_get(&(struct resource_traits){}));
        assert_null(resource_traits_role(NULL));
        check_traits(NULL, "");
        resource_traits_unref(resource_traits_ref(NULL));
}

/* Each field sets traits apart, and the order is total and the same both ways. */
static void test_order(void **state)
{
        struct resource_reservation stack[][2] = {
                {{.role = (char *)"a"}},
                {{.role = (char *)"a"}, {.role = (char *)"a/b"}},
                {{.role = (char *)"b"}},
                {{.role = (char *)"a", .dynamic = true}},
                {{.role = (char *)"a", .principal = (char *)"p"}},
                {{.role = (char *)"a", .principal = (char *)""}},
        };
        struct resource_traits likes[] = {
                {.reservations = stack[0], .reservation_count = 1},
                {.reservations = stack[1], .reservation_count = 2},
                {.reservations = stack[2], .reservation_count = 1},
                {.reservations = stack[3], .reservation_count = 1},
                {.reservations = stack[4], .reservation_count = 1},
                {.reservations = stack[5], .reservation_count = 1},
                {.revocable = true},
                {.reservations = stack[0], .reservation_count = 1, .revocable = true},
                {.volume_id = (char *)"v"},
                {.volume_id = (char *)"v", .container_path = (char *)"p"},
                {.volume_id = (char *)"v", .container_path = (char *)"p", .read_only = true},
                {.volume_id = (char *)"v", .container_path = (char *)"p", .volume_principal = (char *)"x"},
                {.volume_id = (char *)"w"},
        };
        const struct resource_traits *all[ELEMENTSOF(likes) + 1] = {NULL};

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(likes); i++)
                all[i + 1] = resource_traits_get(&likes[i]);
        for (size_t i = 0; i < ELEMENTSOF(all); i++)
                for (size_t k = 0; k < ELEMENTSOF(all); k++) {
                        int c = resource_traits_compare(all[i], all[k]);

                        assert_int_equal(c == 0, i == k);
                        assert_int_equal(c<0, resource_traits_compare(all[k], all[i])> 0);
                        for (size_t m = 0; m < ELEMENTSOF(all); m++)
                                if (c < 0 && resource_traits_compare(all[k], all[m]) < 0)
                                        assert_true(resource_traits_compare(all[i], all[m]) < 0);
                }
        for (size_t i = 0; i < ELEMENTSOF(all); i++)
                resource_traits_unref(all[i]);
}

/* More of them than the table begins with, let go in another order. */
static void test_many(void **state)
{
        enum { COUNT = 1000 };
        const struct resource_traits *all[COUNT];

        (void)state;
        for (int i = 0; i < COUNT; i++) {
                _cleanup_free_ char *id = xasprintf("volume-%d", i);

                all[i] = resource_traits_get(&(struct resource_traits){.volume_id = id});
        }
        for (int i = 0; i < COUNT; i++) {
                _cleanup_free_ char *id = xasprintf("volume-%d", i);
                const struct resource_traits *again =
                        resource_traits_get(&(struct resource_traits){.volume_id = id});

                assert_ptr_equal(again, all[i]);
                resource_traits_unref(again);
        }
        for (int i = 0; i < COUNT; i++)
                resource_traits_unref(all[i * 7 % COUNT]);
}

static void test_text(void **state)
{
        static const struct {
                const char *in, *out;
        } cases[] = {
                {"cpus(a):2;cpus:6", "cpus:6;cpus(a):2"},
                {"cpus(a/b):2;cpus(a):1;cpus(a/b):1", "cpus(a):1;cpus(a/b):3"},
                {" cpus ( a/b ) : 2 ", "cpus(a/b):2"},
                {"cpus(*):2;cpus:1", "cpus:3"},
                {"cpus(a):0", ""},
                {"ports(a):[1-2];ports:[3-4]", "ports:[3-4];ports(a):[1-2]"},
                {"disks(a):{x};disks:{y}", "disks:{y};disks(a):{x}"},
                {"cpus(role:x):1", "cpus(role:x):1"},
        };
        static const char *const bad[] = {"cpus(a:1", "cpus():1", "cpus(a/):1", "cpus(a)1", "cpus(a) b:1",
                "cpus(a b):1", "(a):1", "cpus(a)", "cpus(a):9007199254.74;cpus(b):0.001",
                "cpus:9007199254.74;cpus(b):0.001", "disk(a)[v:p]:1", "cpus{revocable}:1"};

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_resources_ struct resources r = parse(cases[i].in);

                check(&r, cases[i].out);
        }
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                struct resources r = {.count = 77};
                _cleanup_error_ struct error e = {};

                if (resources_parse(bad[i], &r, &e) != -EINVAL)
                        fail_msg("'%s' is accepted", bad[i]);
                assert_non_null(e.message);
                assert_int_equal(r.count, 77);
        }
}

/* Amounts with different traits are apart in every operation. */
static void test_apart(void **state)
{
        _cleanup_resources_ struct resources r = parse("cpus:1;cpus(a):2;mem:10"), plain = parse("cpus:2"),
                                             reserved = parse("cpus(a):2"), other = parse("cpus(b):1"),
                                             copy = {};

        (void)state;
        assert_int_equal(resources_scalar(&r, "cpus"), 3000);
        assert_int_equal(resources_plain_scalar(&r, "cpus"), 1000);
        assert_int_equal(resources_plain_scalar(&reserved, "cpus"), 0);
        assert_false(resources_contains(&r, &plain));
        assert_true(resources_contains(&r, &reserved));
        assert_false(resources_contains(&r, &other));
        assert_int_equal(resources_subtract(&r, &plain), -ERANGE);
        resources_copy(&r, &copy);
        assert_true(resources_equal(&r, &copy));
        assert_int_equal(resources_subtract(&r, &reserved), 0);
        check(&r, "cpus:1;mem:10");
        assert_false(resources_equal(&r, &copy));
        resources_add(&r, &other);
        resources_add(&r, &reserved);
        resources_add(&r, &reserved);
        check(&r, "cpus:1;cpus(a):4;cpus(b):1;mem:10");
        resources_set_scalar(&r, "cpus", 0);
        check(&r, "cpus(a):4;cpus(b):1;mem:10");
        resources_set_scalar(&r, "cpus", 500);
        check(&r, "cpus:0.5;cpus(a):4;cpus(b):1;mem:10");
}

static bool is_for(const struct resource *entry, const void *role)
{
        return resource_allocatable_to(entry, role);
}

static void test_allocatable(void **state)
{
        static const struct {
                const char *role, *may;
        } cases[] = {
                {"*", "cpus:1;ports:[1-2]"},
                {"a", "cpus:1;cpus(a):2;ports:[1-2]"},
                {"a/b", "cpus:1;cpus(a):2;cpus(a/b):4;ports:[1-2]"},
                {"a/c", "cpus:1;cpus(a):2;ports:[1-2]"},
                {"ab", "cpus:1;ports:[1-2]"},
                {"b", "cpus:1;ports:[1-2];ports(b):[3-4]"},
        };
        _cleanup_resources_ struct resources r =
                parse("cpus:1;cpus(a):2;cpus(a/b):4;ports:[1-2];ports(b):[3-4]");

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_resources_ struct resources may = {};

                resources_filter(&r, is_for, cases[i].role, &may);
                check(&may, cases[i].may);
        }
}

static void test_changes(void **state)
{
        struct resource_reservation a = {.role = (char *)"a", .dynamic = true, .principal = (char *)"p"},
                                    ab = {.role = (char *)"a/b", .dynamic = true};
        _cleanup_resources_ struct resources r = parse("cpus:1;cpus(z):2;ports:[1-2];disks:{x}"), pushed = {},
                                             twice = {}, popped = {}, all = {}, sum = {};

        (void)state;
        resources_with_traits(&r, NULL, &all);
        check(&all, "cpus:3;disks:{x};ports:[1-2]");
        resources_quantities(&r, &sum);
        check(&sum, "cpus:3");
        resources_push_reservation(&all, &a, &pushed);
        check(&pushed, "cpus(a):3;disks(a):{x};ports(a):[1-2]");
        check_traits(pushed.entries[0].traits, "(reserved: a by p)");
        resources_push_reservation(&pushed, &ab, &twice);
        check(&twice, "cpus(a/b):3;disks(a/b):{x};ports(a/b):[1-2]");
        check_traits(twice.entries[0].traits, "(reserved: a by p) (reserved: a/b)");
        resources_pop_reservation(&twice, &popped);
        assert_true(resources_equal(&popped, &pushed));
        resources_done(&popped);
        resources_add(&pushed, &r);
        resources_pop_reservation(&pushed, &popped);
        check(&popped, "cpus:5;disks:{x};ports:[1-2]");
}

static void test_volumes_and_revocable(void **state)
{
        struct resource_reservation a = {.role = (char *)"a"};
        const struct resource_traits *volume =
                resource_traits_get(&(struct resource_traits){.reservations = &a,
                        .reservation_count = 1,
                        .volume_id = (char *)"id1",
                        .container_path = (char *)"data",
                        .read_only = true});
        const struct resource_traits *revocable =
                resource_traits_get(&(struct resource_traits){.revocable = true});
        struct resource disk = {.name = "disk", .traits = volume, .milli = 64000};
        struct resource cpus = {.name = "cpus", .traits = revocable, .milli = 500};
        _cleanup_resources_ struct resources r = {};

        (void)state;
        resources_add_entry(&r, &disk);
        resources_add_entry(&r, &cpus);
        resource_traits_unref(volume);
        resource_traits_unref(revocable);
        check(&r, "cpus{revocable}:0.5;disk(a)[id1:data]:64");
        check_traits(r.entries[1].traits, "(reserved: a) (volume: id1 at data, read only)");
        check_traits(r.entries[0].traits, "(revocable)");
        assert_int_equal(r.entries[1].traits->references, 1);
        resources_add_entry(&r, &(struct resource){.name = "mem"});
        assert_int_equal(r.count, 2);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_interned),
                cmocka_unit_test(test_order),
                cmocka_unit_test(test_many),
                cmocka_unit_test(test_text),
                cmocka_unit_test(test_apart),
                cmocka_unit_test(test_allocatable),
                cmocka_unit_test(test_changes),
                cmocka_unit_test(test_volumes_and_revocable),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
