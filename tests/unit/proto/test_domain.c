/* Fault domains from text. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/net/codec.h"
#include "proto/domain.h"

static void test_a_region_and_a_zone(void **state)
{
        Mete__V1__DomainInfo *d = NULL;

        assert_int_equal(domain_parse("eu/rack-3", "--domain", &d, NULL), 0);
        assert_string_equal(domain_region(d), "eu");
        assert_string_equal(domain_zone(d), "rack-3");
        message_free(d);
        assert_null(domain_region(NULL));
        assert_null(domain_zone(NULL));
}

static void test_what_is_none(void **state)
{
        static const char *const texts[] = {"", "eu", "eu/", "/r", "/", "eu/a/b", "eu /r", "eu/\xc3\xa9"};
        char large[2 * DOMAIN_NAME_MAX];

        memset(large, 'x', sizeof(large));
        large[1] = '/';
        large[sizeof(large) - 1] = 0;
        for (size_t i = 0; i < ELEMENTSOF(texts) + 1; i++) {
                const char *text = i < ELEMENTSOF(texts) ? texts[i] : large;
                Mete__V1__DomainInfo *d = NULL;
                _cleanup_error_ struct error e = {};

                assert_int_equal(domain_parse(text, "--domain", &d, &e), -EINVAL);
                assert_null(d);
                assert_non_null(strstr(error_message(&e), "--domain: "));
                assert_non_null(strstr(error_message(&e), "REGION/ZONE is expected"));
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_region_and_a_zone),
                cmocka_unit_test(test_what_is_none),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
