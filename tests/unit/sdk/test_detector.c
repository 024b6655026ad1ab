/* Where the drivers look for the leading master, and how they read a redirect. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sdk/detector.h"

static void expect_at(const struct detector *d, const char *host, uint16_t port)
{
        assert_string_equal(detector_host(d), host);
        assert_int_equal(detector_port(d), port);
}

static void goes_round(void **state)
{
        CLEANUP(cleanup_detector_free) struct detector *d = NULL;

        assert_int_equal(detector_new("a:1,b,[::1]:3", 5050, &d, NULL), 0);
        expect_at(d, "a", 1);
        assert_false(detector_failed(d));
        expect_at(d, "b", 5050);
        assert_false(detector_failed(d));
        expect_at(d, "::1", 3);
        assert_true(detector_failed(d)); /* all of them: time to wait */
        expect_at(d, "a", 1);
        assert_false(detector_failed(d));
        detector_found(d); /* b leads */
        assert_false(detector_failed(d));
        assert_false(detector_failed(d));
        assert_true(detector_failed(d));
}

static void follows(void **state)
{
        CLEANUP(cleanup_detector_free) struct detector *d = NULL;

        assert_int_equal(detector_new("a:1,b:2", 5050, &d, NULL), 0);
        assert_true(detector_redirected(d, "//c:7/api/v1/scheduler"));
        expect_at(d, "c", 7);
        assert_true(detector_redirected(d, "http://[::1]:8?x"));
        expect_at(d, "::1", 8);
        assert_true(detector_redirected(d, "//name"));
        expect_at(d, "name", 5050);
        detector_found(d);
        expect_at(d, "name", 5050);
        /* It went: the list again, behind the one that knew it. */
        assert_false(detector_failed(d));
        expect_at(d, "b", 2);
}

static void not_in_circles(void **state)
{
        CLEANUP(cleanup_detector_free) struct detector *d = NULL;
        unsigned followed = 0;

        assert_int_equal(detector_new("a:1", 5050, &d, NULL), 0);
        while (detector_redirected(d, "//b:1/"))
                followed++;
        assert_int_equal(followed, 5);
        assert_true(detector_failed(d));
        expect_at(d, "a", 1);
        assert_true(detector_redirected(d, "//b:1/"));
}

static void not_anywhere(void **state)
{
        static const char *const bad[] = {
                "", "/api", "https://a:1/", "ftp://a:1/", "//", "//a:0/", "//a b:1/", "//user@a:1/", NULL};
        CLEANUP(cleanup_detector_free) struct detector *d = NULL;

        for (size_t i = 0; bad[i]; i++) {
                assert_int_equal(detector_new("a:1", 5050, &d, NULL), 0);
                assert_false(detector_redirected(d, bad[i]));
                expect_at(d, "a", 1);
                d = detector_free(d);
        }
}

static void lists(void **state)
{
        static const char *const bad[] = {
                "", ",", "a:1,", "a:0", "a:x", "zk://a:1/mesos", "http://a:1", NULL};
        struct detector *d = NULL;

        for (size_t i = 0; bad[i]; i++)
                assert_int_equal(detector_new(bad[i], 5050, &d, NULL), -EINVAL);
        assert_null(d);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(goes_round),
                cmocka_unit_test(follows),
                cmocka_unit_test(not_in_circles),
                cmocka_unit_test(not_anywhere),
                cmocka_unit_test(lists),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
