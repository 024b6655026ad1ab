#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "lib/net/recordio.h"

struct seen {
        struct buffer text; /* each record followed by '|' */
        unsigned count, stop_at;
};

static bool on_record(const void *data, size_t len, void *userdata)
{
        struct seen *s = userdata;

        buffer_append(&s->text, data, len);
        buffer_puts(&s->text, "|");
        return ++s->count != s->stop_at;
}

static int decode_split(
        const char *text, size_t len, size_t split, size_t max, struct seen *s, bool *ret_partial)
{
        struct recordio_decoder *d = recordio_decoder_new(max);
        int r = recordio_decode(d, text, split, on_record, s);

        if (r == 0)
                r = recordio_decode(d, text + split, len - split, on_record, s);
        *ret_partial = recordio_decoder_partial(d);
        (void)recordio_decoder_free(d);
        return r;
}

static void test_every_split(void **state)
{
        static const char text[] = "3\nabc0\n10\n0123456789002\n\n\n1\nx";
        size_t len = sizeof(text) - 1;

        (void)state;
        for (size_t split = 0; split <= len; split++) {
                struct seen s = {};
                bool partial;

                assert_int_equal(decode_split(text, len, split, 10, &s, &partial), 0);
                assert_string_equal(s.text.data, "abc||0123456789|\n\n|x|");
                assert_int_equal(s.count, 5);
                assert_false(partial);
                buffer_done(&s.text);
        }
}

static void test_byte_by_byte(void **state)
{
        static const char text[] = "3\nabc0\n2\nde";
        struct recordio_decoder *d = recordio_decoder_new(100);
        struct seen s = {};

        (void)state;
        for (size_t i = 0; i < sizeof(text) - 1; i++)
                assert_int_equal(recordio_decode(d, text + i, 1, on_record, &s), 0);
        assert_string_equal(s.text.data, "abc||de|");
        (void)recordio_decoder_free(d);
        buffer_done(&s.text);
}

static void test_empty_record_needs_no_more_input(void **state)
{
        struct seen s = {};
        bool partial;

        (void)state;
        assert_int_equal(decode_split("0\n", 2, 1, 0, &s, &partial), 0);
        assert_int_equal(s.count, 1);
        assert_false(partial);
        buffer_done(&s.text);
}

static void test_partial(void **state)
{
        static const struct {
                const char *text;
                bool partial;
        } cases[] = {
                {"", false}, {"1", true}, {"1\n", true}, {"2\na", true}, {"2\nab", false}, {"2\nab7", true}};

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                struct seen s = {};
                bool partial;

                assert_int_equal(decode_split(cases[i].text, strlen(cases[i].text), 0, 10, &s, &partial), 0);
                assert_int_equal(partial, cases[i].partial);
                buffer_done(&s.text);
        }
}

static void test_malformed(void **state)
{
        static const struct {
                const char *text;
                int error;
        } cases[] = {
                {"\n", -EPROTO},
                {" 1\na", -EPROTO},
                {"-1\n", -EPROTO},
                {"+1\na", -EPROTO},
                {"1 \na", -EPROTO},
                {"1\r\na", -EPROTO},
                {"0x1\na", -EPROTO},
                {"1\nabc", -EPROTO},
                {"11\n", -EMSGSIZE},
                {"18446744073709551617\n", -EMSGSIZE},
                {"000000000000000000001\na", -EPROTO},
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                for (size_t split = 0; split <= strlen(cases[i].text); split++) {
                        struct seen s = {};
                        bool partial;

                        assert_int_equal(
                                decode_split(cases[i].text, strlen(cases[i].text), split, 10, &s, &partial),
                                cases[i].error);
                        buffer_done(&s.text);
                }
}

static void test_errors_stick(void **state)
{
        struct recordio_decoder *d = recordio_decoder_new(10);
        struct seen s = {};

        (void)state;
        assert_int_equal(recordio_decode(d, "x", 1, on_record, &s), -EPROTO);
        assert_int_equal(recordio_decode(d, "1\na", 3, on_record, &s), -EPROTO);
        assert_int_equal(s.count, 0);
        (void)recordio_decoder_free(d);
}

static void test_stopped_by_reader(void **state)
{
        struct seen s = {.stop_at = 2};
        bool partial;

        (void)state;
        assert_int_equal(decode_split("1\na1\nb1\nc", 9, 4, 10, &s, &partial), -ECANCELED);
        assert_string_equal(s.text.data, "a|b|");
        buffer_done(&s.text);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_split),
                cmocka_unit_test(test_byte_by_byte),
                cmocka_unit_test(test_empty_record_needs_no_more_input),
                cmocka_unit_test(test_partial),
                cmocka_unit_test(test_malformed),
                cmocka_unit_test(test_errors_stick),
                cmocka_unit_test(test_stopped_by_reader),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
