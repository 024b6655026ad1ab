#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/net/codec.h"
#include "master/frameworks/validate_framework.h"

static Mete__V1__FrameworkInfo *info_of(const char *members)
{
        _cleanup_free_ char *json = xasprintf("{\"user\":\"u\",\"name\":\"n\"%s}", members);
        ProtobufCMessage *m = NULL;
        _cleanup_error_ struct error e = {};

        if (message_decode(CODEC_JSON, &mete__v1__framework_info__descriptor, json, strlen(json), &m, &e) < 0)
                fail_msg("%s: %s", json, error_message(&e));
        return (Mete__V1__FrameworkInfo *)m;
}

#define MULTI ",\"capabilities\":[{\"type\":\"MULTI_ROLE\"}]"

static void test_info(void **state)
{
        static const struct {
                const char *members, *wrong; /* NULL: legal */
        } cases[] = {
                {"", NULL},
                {",\"role\":\"a/b\"", NULL},
                {",\"role\":\"*\"", NULL},
                {",\"role\":\"\"", "framework_info.role"},
                {",\"role\":\"a//b\"", "framework_info.role"},
                {",\"roles\":[\"a\"]", "framework_info.roles"},
                {MULTI, NULL},
                {MULTI ",\"roles\":[\"a\",\"b\",\"*\"]", NULL},
                {MULTI ",\"role\":\"a\"", "framework_info.role"},
                {MULTI ",\"role\":\"*\"", "framework_info.role"},
                {MULTI ",\"roles\":[\"a\",\"b\",\"a\"]", "twice"},
                {MULTI ",\"roles\":[\"a\",\"-b\"]", "framework_info.roles"},
                {",\"id\":{\"value\":\"\"}", NULL},
                {",\"id\":{\"value\":\"some-id_1.2\"}", NULL},
                {",\"id\":{\"value\":\"..\"}", "framework_info.id"},
                {",\"id\":{\"value\":\"a/b\"}", "framework_info.id"},
                {",\"id\":{\"value\":\"a b\"}", "framework_info.id"},
                {",\"failover_timeout\":0.0", NULL},
                {",\"failover_timeout\":604800.5", NULL},
                {",\"failover_timeout\":9223372036.0", NULL},
                {",\"failover_timeout\":9223372037.0", "failover_timeout"},
                {",\"failover_timeout\":-0.5", "failover_timeout"},
                {",\"failover_timeout\":\"Infinity\"", "failover_timeout"},
                {",\"offer_filters\":{\"*\":{}}", NULL},
                {",\"offer_filters\":{\"a\":{}}", "offer_filters"},
                {MULTI ",\"roles\":[\"a\"],\"offer_filters\":{\"a\":{}}", NULL},
                {MULTI ",\"roles\":[\"a\"],\"offer_filters\":{\"*\":{}}", "offer_filters"},
                {",\"principal\":\"a\\nb\"", "principal"},
                {",\"hostname\":\"a\\u0001b\"", "hostname"},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Mete__V1__FrameworkInfo *info = info_of(cases[i].members);
                _cleanup_error_ struct error e = {};
                int r = framework_info_validate(info, &e);

                if ((r < 0) != (cases[i].wrong != NULL))
                        fail_msg("%s: %s", cases[i].members, r < 0 ? error_message(&e) : "accepted");
                if (r < 0 && !strstr(error_message(&e), cases[i].wrong))
                        fail_msg("%s: '%s' does not name %s", cases[i].members, error_message(&e),
                                cases[i].wrong);
                message_free(info);
        }
}

static void test_not_a_number(void **state)
{
        Mete__V1__FrameworkInfo *info = info_of("");

        info->failover_timeout = __builtin_nan("");
        assert_int_equal(framework_info_validate(info, NULL), -EINVAL);
        message_free(info);
}

static void test_many_roles(void **state)
{
        for (int count = FRAMEWORK_ROLES_MAX; count <= FRAMEWORK_ROLES_MAX + 1; count++) {
                _cleanup_buffer_ struct buffer members = {};
                Mete__V1__FrameworkInfo *info;

                buffer_puts(&members, MULTI ",\"roles\":[");
                for (int i = 0; i < count; i++)
                        buffer_printf(&members, "%s\"r%d\"", i ? "," : "", i);
                buffer_puts(&members, "]");
                info = info_of(members.data);
                assert_int_equal(
                        framework_info_validate(info, NULL), count > FRAMEWORK_ROLES_MAX ? -E2BIG : 0);
                message_free(info);
        }
}

static void test_subsets(void **state)
{
        Mete__V1__FrameworkInfo *info = info_of(MULTI ",\"roles\":[\"b\",\"a\"]");
        char a[] = "a", b[] = "b", c[] = "c", *both[] = {b, a, b}, *other[] = {a, c},
             *many[FRAMEWORK_ROLES_MAX + 1];
        Mete__V1__Scheduler__OfferConstraints constraints = METE__V1__SCHEDULER__OFFER_CONSTRAINTS__INIT;
        Mete__V1__Scheduler__OfferConstraints__RoleConstraintsEntry
                entry = METE__V1__SCHEDULER__OFFER_CONSTRAINTS__ROLE_CONSTRAINTS_ENTRY__INIT,
                *entries[] = {&entry};

        assert_int_equal(framework_roles_check(info, NULL, 0, NULL, NULL), 0);
        assert_int_equal(framework_roles_check(info, both, 3, NULL, NULL), 0);
        assert_int_equal(framework_roles_check(info, other, 2, NULL, NULL), -EINVAL);
        for (size_t i = 0; i < ELEMENTSOF(many); i++)
                many[i] = a;
        assert_int_equal(framework_roles_check(info, many, ELEMENTSOF(many), NULL, NULL), -E2BIG);
        constraints.role_constraints = entries;
        constraints.n_role_constraints = 1;
        entry.key = b;
        assert_int_equal(framework_roles_check(info, NULL, 0, &constraints, NULL), 0);
        entry.key = c;
        assert_int_equal(framework_roles_check(info, NULL, 0, &constraints, NULL), -EINVAL);
        message_free(info);
}

static void test_size(void **state)
{
        Mete__V1__FrameworkInfo *info = info_of("");
        _cleanup_free_ char *large = xmalloc(FRAMEWORK_BYTES_MAX + 1);
        _cleanup_error_ struct error e = {};

        memset(large, 'x', FRAMEWORK_BYTES_MAX);
        large[FRAMEWORK_BYTES_MAX] = '\0';
        free(info->name);
        info->name = xstrdup(large);
        assert_int_equal(framework_info_validate(info, &e), -E2BIG);
        assert_non_null(strstr(error_message(&e), "framework_info has"));
        message_free(info);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_info),
                cmocka_unit_test(test_not_a_number),
                cmocka_unit_test(test_many_roles),
                cmocka_unit_test(test_subsets),
                cmocka_unit_test(test_size),
        };

        return cmocka_run_group_tests_name("validate framework", tests, NULL, NULL);
}
