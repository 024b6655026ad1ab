/* Machines and what jobs want of them: the table, and constraints from text to answer. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "master/queue/machines.h"

static struct machine_attribute attributes[] = {{"rack", "r1"}, {"ssd", "true"}, {"mhz", "2400.5"},
        {"ports", "[1-10,20-29]"}, {"gpus", "{a100,t4}"}, {"rack", "r2"}};
static const struct machine example = {
        .id = "S1",
        .hostname = "h1.example",
        .region = "eu",
        .attributes = attributes,
        .attribute_count = ELEMENTSOF(attributes),
};

/* ---- constraints ---- */

static void test_constraints_hold(void **state)
{
        static const struct {
                const char *text;
                bool holds;
        } rows[] = {
                {"rack=r1", true},
                {"rack=r2", false}, /* the first of a name counts */
                {"rack=r", false},
                {"rack!=r2", true},
                {"rack!=r1", false},
                {"missing!=r1", true},
                {"missing=r1", false},
                {"rack~r[0-9]", true},
                {"rack~r", false}, /* the whole value */
                {"missing~.*", false},
                {"hostname=h1.example", true},
                {"hostname~h[1-3]\\..*", true},
                {"agent=S1", true},
                {"region=eu", true},
                {"zone", false},
                {"!zone", true},
                {"ssd", true},
                {"!ssd", false},
                {"mhz>2400", true},
                {"mhz>2400.5", false},
                {"mhz<2401", true},
                {"mhz<1e3", false},
                {"mhz=2400.50", true}, /* numbers as numbers */
                {"mhz!=2400.50", false},
                {"rack>1", false},
                {"missing<1", false},
                {"ports=5", true},
                {"ports=15", false},
                {"ports=29", true},
                {"ports!=15", true},
                {"gpus=t4", true},
                {"gpus=t", false},
                {"gpus=a100,t4", false},
                {"gpus={a100,t4}", true},
                {"distinct:rack", true},
        };

        struct machines *ms = machines_new();
        const struct machine *m = machines_set(ms, &example);

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_error_ struct error e = {};
                struct constraint c, copy;
                char *text;

                if (constraint_parse(rows[i].text, &c, &e) < 0)
                        fail_msg("%s: %s", rows[i].text, error_message(&e));
                constraint_copy(&c, &copy);
                constraint_done(&c);
                if (constraint_holds(&copy, m) != rows[i].holds)
                        fail_msg("'%s' is not %d", rows[i].text, rows[i].holds);
                text = constraint_to_string(&copy);
                assert_string_equal(text, rows[i].text);
                free(text);
                constraint_done(&copy);
        }
        machines_free(ms);
}

static void test_constraints_that_are_refused(void **state)
{
        static const struct {
                const char *text, *why;
        } rows[] = {
                {"", "the attribute's name"},
                {"=r1", "the attribute's name"},
                {"!", "the attribute's name"},
                {"a b=1", "the attribute's name"},
                {"!rack=r1", "the attribute's name"},
                {"distinct:", "the attribute's name"},
                {"distinct:a=b", "the attribute's name"},
                {"what:rack", "the attribute's name"},
                {"r\xc3\xa4"
                 "ck",
                        "the attribute's name"},
                {"rack=", "the value is missing"},
                {"rack~", "the value is missing"},
                {"mhz>fast", "is a number"},
                {"mhz>=2400", "is a number"},
                {"mhz<inf", "is a number"},
                {"mhz<nan", "is a number"},
                {"mhz<0x10", "is a number"},
                {"mhz< 1", "is a number"},
                {"rack=\xff", "UTF-8"},
                {"rack~(", "regular expression"},
                {"rack~(a)\\1", "back references"},
                {"rack~((a{100}){100}){100}", "regular expression"},
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_error_ struct error e = {};
                struct constraint c;

                if (constraint_parse(rows[i].text, &c, &e) != -EINVAL)
                        fail_msg("'%s' is accepted", rows[i].text);
                if (!strstr(error_message(&e), rows[i].why))
                        fail_msg("'%s': %s", rows[i].text, error_message(&e));
        }
}

static void test_a_constraint_is_bounded(void **state)
{
        _cleanup_buffer_ struct buffer text = {}, value = {};
        struct machine_attribute attribute = {"a", NULL};
        struct machine m = {.attributes = &attribute, .attribute_count = 1};
        struct constraint c;

        buffer_puts(&text, "a~");
        for (size_t i = 0; i < CONSTRAINT_VALUE_MAX; i++)
                buffer_puts(&text, "x");
        assert_int_equal(constraint_parse(text.data, &c, NULL), 0);
        constraint_done(&c);
        buffer_puts(&text, "x");
        assert_int_equal(constraint_parse(text.data, &c, NULL), -EINVAL);

        /* A backtracking matcher would need longer than the universe has been there. */
        for (size_t i = 0; i < 5000; i++)
                buffer_puts(&value, "a");
        attribute.value = value.data;
        assert_int_equal(constraint_parse("a~(a?){60}(a*)*[ab]*(a|aa)+b", &c, NULL), 0);
        assert_false(constraint_holds(&c, &m));
        constraint_done(&c);
}

/* ---- machines ---- */

static struct machine machine_of(const char *id, struct resources *total, uint64_t cpus)
{
        *total = (struct resources){};
        resources_set_scalar(total, "cpus", cpus);
        return (struct machine){.id = id, .hostname = id, .total = *total};
}

static void test_only_changes_raise_the_generation(void **state)
{
        struct machines *ms = machines_new();
        uint64_t before = machines_generation(ms);
        const struct machine *m = machines_set(ms, &example);

        assert_true(before > 0);
        assert_true(machines_generation(ms) > before);
        before = machines_generation(ms);
        assert_ptr_equal(machines_set(ms, &example), m);
        assert_ptr_equal(machines_set(ms, m), m); /* what was got from here */
        assert_int_equal(machines_generation(ms), before);

        assert_int_equal(machines_set_unusable(ms, "S1", "draining"), 0);
        assert_string_equal(machines_find(ms, "S1")->unusable, "draining");
        assert_true(machines_generation(ms) > before);
        before = machines_generation(ms);
        assert_int_equal(machines_set_unusable(ms, "S1", "draining"), 0);
        assert_int_equal(machines_set_window(ms, "S1", (struct wall_time){0}, (struct wall_time){0}), 0);
        assert_int_equal(machines_generation(ms), before);
        assert_int_equal(machines_set_window(ms, "S1", (struct wall_time){5}, (struct wall_time){9}), 0);
        assert_int_equal(m->window_end.ns, 9);
        assert_int_equal(machines_set(ms, &example)->window_end.ns, 0); /* as given */
        assert_null(m->unusable);

        assert_int_equal(machines_set_unusable(ms, "S2", NULL), -ENOENT);
        assert_int_equal(
                machines_set_window(ms, "S2", (struct wall_time){5}, (struct wall_time){9}), -ENOENT);
        before = machines_generation(ms);
        machines_remove(ms, "S2");
        assert_int_equal(machines_generation(ms), before);
        machines_remove(ms, "S1");
        assert_true(machines_generation(ms) > before);
        assert_null(machines_find(ms, "S1"));
        machines_free(ms);
}

static void test_a_change_of_one_attribute_is_seen(void **state)
{
        struct machines *ms = machines_new();
        struct machine_attribute one = {"rack", "r1"};
        struct machine m = {.id = "S1", .attributes = &one, .attribute_count = 1};
        uint64_t before;

        machines_set(ms, &m);
        before = machines_generation(ms);
        one.value = "r2";
        assert_string_equal(machine_value(machines_set(ms, &m), "rack"), "r2");
        assert_true(machines_generation(ms) > before);
        machines_free(ms);
}

static void test_indexes_are_small_and_reused(void **state)
{
        struct machines *ms = machines_new();
        struct machine m = {};
        char id[16];

        for (int i = 0; i < 100; i++) {
                (void)snprintf(id, sizeof(id), "S%d", i);
                m.id = id;
                assert_int_equal(machines_set(ms, &m)->index, i);
        }
        machines_remove(ms, "S17");
        machines_remove(ms, "S42");
        m.id = "S100";
        assert_int_equal(machines_set(ms, &m)->index, 42);
        m.id = "S101";
        assert_int_equal(machines_set(ms, &m)->index, 17);
        m.id = "S102";
        assert_int_equal(machines_set(ms, &m)->index, 100);
        assert_int_equal(machines_count(ms), 101);
        machines_free(ms);
}

static void test_the_largest_machine(void **state)
{
        struct machines *ms = machines_new();
        struct resources small, large, zero;
        struct machine a = machine_of("a", &small, 2000), b = machine_of("b", &large, 8000),
                       c = machine_of("c", &zero, 0);

        assert_null(machines_largest(ms, "cpus"));
        machines_set(ms, &c);
        assert_string_equal(machines_largest(ms, "cpus")->id, "c");
        machines_set(ms, &a);
        assert_string_equal(machines_largest(ms, "cpus")->id, "a");
        machines_set(ms, &b);
        for (int i = 0; i < 20; i++) { /* more names than are remembered */
                char name[16];

                (void)snprintf(name, sizeof(name), "r%d", i);
                assert_non_null(machines_largest(ms, name));
                assert_string_equal(machines_largest(ms, "cpus")->id, "b");
        }
        machines_remove(ms, "b");
        assert_string_equal(machines_largest(ms, "cpus")->id, "a");
        machines_free(ms);
        resources_done(&small);
        resources_done(&large);
        resources_done(&zero);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_constraints_hold),
                cmocka_unit_test(test_constraints_that_are_refused),
                cmocka_unit_test(test_a_constraint_is_bounded),
                cmocka_unit_test(test_only_changes_raise_the_generation),
                cmocka_unit_test(test_a_change_of_one_attribute_is_seen),
                cmocka_unit_test(test_indexes_are_small_and_reused),
                cmocka_unit_test(test_the_largest_machine),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
