#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/base/id.h"
#include "lib/base/log.h"
#include "lib/base/time.h"
#include "lib/base/utf8.h"

#define K UINT64_C(1024)

static void test_numbers(void **state)
{
        uint64_t v = 7;
        uint32_t u = 7;

        (void)state;
        assert_int_equal(parse_u64("0", 10, &v), 0);
        assert_int_equal(v, 0);
        assert_int_equal(parse_u64("18446744073709551615", UINT64_MAX, &v), 0);
        assert_int_equal(v, UINT64_MAX);
        assert_int_equal(parse_u64("007", 10, &v), 0);
        assert_int_equal(v, 7);
        assert_int_equal(parse_u64("18446744073709551616", UINT64_MAX, &v), -ERANGE);
        assert_int_equal(parse_u64("99999999999999999999999x", UINT64_MAX, &v), -EINVAL);
        assert_int_equal(parse_u64("11", 10, &v), -ERANGE);
        static const char *const bad[] = {"", "+1", "-1", " 1", "1 ", "1.0", "0x1", "x", "1\n"};
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_int_equal(parse_u64(bad[i], UINT64_MAX, &v), -EINVAL);
        assert_int_equal(parse_u64(NULL, 1, &v), -EINVAL);
        assert_int_equal(v, 7);
        assert_int_equal(parse_u32("4294967295", UINT32_MAX, &u), 0);
        assert_int_equal(u, UINT32_MAX);
        assert_int_equal(parse_u32("4294967296", UINT32_MAX, &u), -ERANGE);
}

struct number_case {
        const char *text;
        int result;
        uint64_t value;
};

static void check_numbers(
        const struct number_case *cases, size_t count, int (*parse)(const char *, uint64_t *))
{
        for (size_t i = 0; i < count; i++) {
                uint64_t v = 424242;
                int r = parse(cases[i].text, &v);

                if (r != cases[i].result || v != (r == 0 ? cases[i].value : 424242))
                        fail_msg("'%s' gave %d, %ju", cases[i].text, r, (uintmax_t)v);
        }
}

static void test_sizes(void **state)
{
        static const struct number_case cases[] = {
                {"0", 0, 0},
                {"1048576", 0, K * K},
                {"512K", 0, 512 * K},
                {"512k", 0, 512 * K},
                {"64M", 0, 64 * K * K},
                {"64MB", 0, 64 * K * K},
                {"64MiB", 0, 64 * K * K},
                {"64Mi", 0, 64 * K * K},
                {"10B", 0, 10},
                {"1G", 0, K * K * K},
                {"1.5G", 0, 3 * K * K * K / 2},
                {".5K", 0, 512},
                {"0.001K", 0, 1},
                {"2T", 0, 2 * K * K * K * K},
                {"15E", 0, 15 * K * K * K * K * K * K},
                {"16E", -ERANGE, 0},
                {"18446744073709551615", 0, UINT64_MAX},
                {"18446744073709551616", -ERANGE, 0},
                {"99999999999999999999G", -ERANGE, 0},
                {"", -EINVAL, 0},
                {"M", -EINVAL, 0},
                {"-1M", -EINVAL, 0},
                {"1.M", -EINVAL, 0},
                {"1.5", -EINVAL, 0},
                {"1.5B", -EINVAL, 0},
                {"1 M", -EINVAL, 0},
                {"1MM", -EINVAL, 0},
                {"1Mbit", -EINVAL, 0},
                {"1Z", -EINVAL, 0},
                {"1e3", -EINVAL, 0},
                {"1.0123456789G", -EINVAL, 0},
                {".", -EINVAL, 0},
        };

        (void)state;
        check_numbers(cases, ELEMENTSOF(cases), parse_size);
}

static int parse_milli_512(const char *s, uint64_t *ret)
{
        return parse_milli(s, 512000, ret);
}

static void test_millis(void **state)
{
        static const struct number_case cases[] = {
                {"0", 0, 0},
                {"1", 0, 1000},
                {"1.5", 0, 1500},
                {"0.25", 0, 250},
                {"0.001", 0, 1},
                {".5", 0, 500},
                {"512.000", 0, 512000},
                {"512.001", -ERANGE, 0},
                {"18446744073709551615", -ERANGE, 0},
                {"18446744073709551616", -ERANGE, 0},
                {"0.0001", -EINVAL, 0},
                {"1.", -EINVAL, 0},
                {".", -EINVAL, 0},
                {"", -EINVAL, 0},
                {"-1", -EINVAL, 0},
                {"+1", -EINVAL, 0},
                {"1e3", -EINVAL, 0},
                {"1,5", -EINVAL, 0},
                {"nan", -EINVAL, 0},
                {"inf", -EINVAL, 0},
        };

        (void)state;
        check_numbers(cases, ELEMENTSOF(cases), parse_milli_512);
}

static void test_durations(void **state)
{
        static const struct number_case cases[] = {
                {"90", 0, 90 * NSEC_PER_SEC},
                {"90s", 0, 90 * NSEC_PER_SEC},
                {"500ms", 0, 500 * NSEC_PER_MSEC},
                {"7us", 0, 7000},
                {"7ns", 0, 7},
                {"0.5s", 0, NSEC_PER_SEC / 2},
                {"1.5h", 0, 5400 * NSEC_PER_SEC},
                {"5m", 0, 300 * NSEC_PER_SEC},
                {"2h", 0, 7200 * NSEC_PER_SEC},
                {"1d", 0, 86400 * NSEC_PER_SEC},
                {"3mins", 0, 180 * NSEC_PER_SEC},
                {"2weeks", 0, 14 * 86400 * NSEC_PER_SEC},
                {"18446744073s", 0, UINT64_C(18446744073) * NSEC_PER_SEC},
                {"18446744074s", -ERANGE, 0},
                {"213504d", -ERANGE, 0},
                {"5 s", -EINVAL, 0},
                {"s", -EINVAL, 0},
                {"-1s", -EINVAL, 0},
                {"1h30m", -EINVAL, 0},
                {"1S", -EINVAL, 0},
                {"", -EINVAL, 0},
        };

        (void)state;
        check_numbers(cases, ELEMENTSOF(cases), parse_duration_ns);
}

static void test_buffer(void **state)
{
        struct buffer b = {};
        _cleanup_free_ char *text = NULL;

        (void)state;
        buffer_append(&b, "", 0);
        assert_string_equal(b.data, "");
        for (unsigned i = 0; i < 1000; i++)
                buffer_printf(&b, "%u,", i % 10);
        buffer_append(&b, "\0x", 2);
        assert_int_equal(b.len, 2002);
        assert_int_equal(b.data[2002], '\0');
        text = buffer_take(&b);
        assert_true(str_has_prefix(text, "0,1,2,3,"));
        assert_null(b.data);
        free(buffer_take(&b));
        buffer_done(&b);
}

static void test_errors(void **state)
{
        struct error e = {};

        (void)state;
        assert_string_equal(error_message(NULL), "unknown error");
        assert_int_equal(error_set(NULL, -EINVAL, "%d", 1), -EINVAL);
        assert_int_equal(error_set(&e, -EINVAL, "bad %s", "thing"), -EINVAL);
        assert_string_equal(e.message, "bad thing");
        assert_int_equal(error_prefix(&e, "reading %s", "x"), -EINVAL);
        assert_string_equal(e.message, "reading x: bad thing");
        /* Its own text as an argument. */
        assert_int_equal(error_set_errno(&e, -ENOENT, "%s", e.message), -ENOENT);
        assert_string_equal(e.message, "reading x: bad thing: No such file or directory");
        assert_int_equal(e.code, -ENOENT);
        error_done(&e);
        assert_null(e.message);
        assert_int_equal(error_prefix(&e, "x"), 0);
        e.code = -EPERM;
        assert_string_equal(error_message(&e), "Operation not permitted");
}

static void test_ids(void **state)
{
        static const char *const good[] = {
                "a", "task-1", "...", "a.b", "Z\xc3\xbcrich", "\xf0\x9f\x98\x80", "a:b@c"};
        static const struct {
                const char *id, *problem;
        } bad[] = {
                {"", "is empty"},
                {".", "directory"},
                {"..", "directory"},
                {"-x", "begins with '-'"},
                {"a/b", "'/'"},
                {"a b", "white space"},
                {"a\xc2\xa0z", "white space"},
                {"a\tb", "control"},
                {"a\nb", "control"},
                {"a\x7f", "control"},
                {"a\xc2\x85z", "control"},
                {"\xff", "is not valid UTF-8"},
                {"\xc0\xaf", "is not valid UTF-8"},
                {"\xed\xa0\x80", "is not valid UTF-8"},
                {"\xe0\x80\xaf", "is not valid UTF-8"},
                {"\xf0\x80\x80\xaf", "is not valid UTF-8"},
                {"\xf4\x90\x80\x80", "is not valid UTF-8"},
                {"a\xe2\x82", "is not valid UTF-8"},
        };
        char large[ID_LENGTH_MAX + 2];

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(good); i++)
                assert_int_equal(id_validate(good[i], "f", NULL), 0);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                _cleanup_error_ struct error e = {};

                assert_int_equal(id_validate(bad[i].id, "task_info.task_id", &e), -EINVAL);
                assert_true(str_has_prefix(e.message, "task_info.task_id"));
                if (!strstr(e.message, bad[i].problem))
                        fail_msg("'%s' is not in '%s'", bad[i].problem, e.message);
                assert_true(utf8_valid(e.message, strlen(e.message)));
                assert_null(strchr(e.message, '\n'));
        }
        memset(large, 'x', sizeof(large));
        large[ID_LENGTH_MAX] = '\0';
        assert_int_equal(id_validate(large, "f", NULL), 0);
        large[ID_LENGTH_MAX] = 'x';
        large[ID_LENGTH_MAX + 1] = '\0';
        {
                _cleanup_error_ struct error e = {};

                assert_int_equal(id_validate(large, "f", &e), -EINVAL);
                assert_true(strlen(e.message) < 300);
        }
}

static void test_uuids(void **state)
{
        uint8_t a[UUID_BYTES], b[UUID_BYTES];
        char text[UUID_TEXT_MAX];
        static const char *const bad[] = {"", "x", "00000000-0000-0000-0000-00000000000",
                "00000000-0000-0000-0000-0000000000000", "00000000+0000-0000-0000-000000000000",
                "0000000-00000-0000-0000-000000000000", "g0000000-0000-0000-0000-000000000000"};

        (void)state;
        uuid_generate_bytes(a);
        uuid_generate_bytes(b);
        assert_memory_not_equal(a, b, UUID_BYTES);
        assert_string_equal(uuid_format(a, text), text);
        assert_int_equal(strlen(text), 36);
        assert_int_equal(text[14], '4');
        assert_non_null(strchr("89ab", text[19]));
        assert_int_equal(uuid_parse(text, b), 0);
        assert_memory_equal(a, b, UUID_BYTES);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_int_equal(uuid_parse(bad[i], b), -EINVAL);
        assert_memory_equal(a, b, UUID_BYTES);
}

static void test_times(void **state)
{
        static const struct {
                uint64_t ns;
                const char *text;
        } cases[] = {
                {0, "0s"},
                {999, "999ns"},
                {1000, "1us"},
                {45 * NSEC_PER_MSEC, "45ms"},
                {12345 * NSEC_PER_MSEC, "12.3s"},
                {59999 * NSEC_PER_MSEC, "59.9s"},
                {185 * NSEC_PER_SEC, "3m05s"},
                {3600 * NSEC_PER_SEC, "1h00m"},
                {93600 * NSEC_PER_SEC, "1d2h"},
                {UINT64_MAX, "213503d23h"},
        };
        char buf[DURATION_TEXT_MAX], wall[WALL_TIME_TEXT_MAX];

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                assert_string_equal(duration_format(cases[i].ns, buf), cases[i].text);
        assert_string_equal(wall_time_format((struct wall_time){0}, wall), "1970-01-01T00:00:00.000Z");
        assert_string_equal(wall_time_format((struct wall_time){UINT64_C(1767323045678999999)}, wall),
                "2026-01-02T03:04:05.678Z");
        assert_int_equal(mono_elapsed_ns((struct mono_time){5}, (struct mono_time){3}), 0);
        assert_true(mono_now().ns > 0 && wall_now().ns > UINT64_C(1700000000) * NSEC_PER_SEC);
}

static void test_text_for_message(void **state)
{
        static const struct {
                const char *in;
                size_t max;
                const char *out;
        } cases[] = {
                {"plain", 80, "plain"},
                {"a\nb\x1b[31m", 80, "a\\x0ab\\x1b[31m"},
                {"Z\xc3\xbcrich", 80, "Z\xc3\xbcrich"},
                {"\xff", 80, "\\xff"},
                {"abcdef", 3, "abc..."},
                {"ab\xc3\xbc", 3, "ab..."},
                {"", 80, ""},
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *out = text_for_message(cases[i].in, cases[i].max);

                assert_string_equal(out, cases[i].out);
        }
}

static void test_log_levels(void **state)
{
        (void)state;
        assert_string_equal(log_level_to_string(LOG_LEVEL_WARNING), "warning");
        assert_null(log_level_to_string(LOG_LEVEL_MAX));
        assert_null(log_level_to_string(LOG_LEVEL_INVALID));
        assert_int_equal(log_level_from_string("debug"), LOG_LEVEL_DEBUG);
        assert_int_equal(log_level_from_string("DEBUG"), LOG_LEVEL_INVALID);
        assert_int_equal(log_level_from_string(NULL), LOG_LEVEL_INVALID);
        assert_true(log_enabled(LOG_LEVEL_INFO));
        assert_false(log_enabled(LOG_LEVEL_DEBUG));
        log_set_level(LOG_LEVEL_ERROR);
        assert_false(log_enabled(LOG_LEVEL_WARNING));
        log_set_level(LOG_LEVEL_INFO);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_numbers),
                cmocka_unit_test(test_sizes),
                cmocka_unit_test(test_millis),
                cmocka_unit_test(test_durations),
                cmocka_unit_test(test_buffer),
                cmocka_unit_test(test_errors),
                cmocka_unit_test(test_ids),
                cmocka_unit_test(test_uuids),
                cmocka_unit_test(test_times),
                cmocka_unit_test(test_text_for_message),
                cmocka_unit_test(test_log_levels),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
