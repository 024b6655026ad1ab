/* Tokens: a published vector, our own, and everything that is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "lib/net/jwt.h"

static const char key[] = "0123456789abcdef0123456789abcdef";
#define KEY key, sizeof(key) - 1

/* RFC 7515, appendix A.1: its key and its token. */
static const uint8_t rfc_key[] = {3, 35, 53, 75, 43, 15, 165, 188, 131, 126, 6, 101, 119, 123, 166, 143, 90,
        179, 40, 230, 240, 84, 201, 40, 169, 15, 132, 178, 210, 80, 46, 191, 211, 251, 90, 146, 210, 6, 71,
        239, 150, 138, 180, 195, 119, 98, 61, 34, 61, 46, 33, 114, 5, 46, 79, 8, 192, 205, 154, 245, 103, 208,
        128, 163};
static const char rfc_token[] =
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9."
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ."
        "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
#define RFC_EXPIRY UINT64_C(1300819380)

static int verify(const void *secret, size_t len, const char *token, uint64_t seconds)
{
        static const char *const names[] = {"fid", "iss"};
        char *values[2] = {NULL};
        int r = jwt_verify(secret, len, token, (struct wall_time){seconds * NSEC_PER_SEC}, names, values, 2);

        free(values[0]);
        free(values[1]);
        return r;
}

static void test_vector(void **state)
{
        static const char *const names[] = {"iss", "exp"};
        char *values[2] = {NULL};

        (void)state;
        assert_int_equal(jwt_verify(rfc_key, sizeof(rfc_key), rfc_token,
                                 (struct wall_time){(RFC_EXPIRY - 1) * NSEC_PER_SEC}, names, values, 2),
                0);
        assert_string_equal(values[0], "joe");
        assert_null(values[1]); /* a number is no string claim */
        free(values[0]);
        assert_int_equal(verify(rfc_key, sizeof(rfc_key), rfc_token, RFC_EXPIRY), -EKEYEXPIRED);
        assert_int_equal(verify(rfc_key, sizeof(rfc_key) - 1, rfc_token, RFC_EXPIRY - 1), -EBADMSG);
}

static void test_round_trip(void **state)
{
        const struct jwt_claim claims[] = {{"fid", "f \"quoted\" \xc3\xa4"}, {"eid", ""}, {"cid", "c.d/e"}};
        static const char *const names[] = {"cid", "fid", "none", "eid"};
        char *values[4] = {NULL};

        (void)state;
        _cleanup_free_ char *token = jwt_new(KEY, claims, ELEMENTSOF(claims));
        assert_int_equal(jwt_verify(KEY, token, (struct wall_time){0}, names, values, 4), 0);
        assert_string_equal(values[0], "c.d/e");
        assert_string_equal(values[1], claims[0].value);
        assert_null(values[2]);
        assert_string_equal(values[3], "");
        for (size_t i = 0; i < 4; i++)
                free(values[i]);
}

/* Each single character matters. */
static void test_changed(void **state)
{
        const struct jwt_claim claims[] = {{"fid", "f1"}};

        (void)state;
        _cleanup_free_ char *token = jwt_new(KEY, claims, 1);
        for (size_t i = 0; token[i]; i++) {
                char was = token[i];
                token[i] = was == 'A' ? 'B' : 'A';
                assert_int_equal(verify(KEY, token, 1), -EBADMSG);
                token[i] = was;
        }
        assert_int_equal(verify(KEY, token, 1), 0);
        _cleanup_free_ char *padded = xasprintf("%s=", token), *longer = xasprintf("%sA", token);
        assert_int_equal(verify(KEY, padded, 1), -EBADMSG);
        assert_int_equal(verify(KEY, longer, 1), -EBADMSG);
        assert_int_equal(verify("another key of thirty-two bytes!!", 32, token, 1), -EBADMSG);
}

/* Header {"alg":"none"}, {"alg":"HS512"}, {"alg":"hs256"}; empty signatures; too few and too many parts. */
static void test_refused(void **state)
{
        static const char *const tokens[] = {"", ".", "..", "a.b", "a.b.c.d",
                "eyJhbGciOiJub25lIn0.eyJmaWQiOiJmMSJ9.", "eyJhbGciOiJub25lIn0.eyJmaWQiOiJmMSJ9.AAAA",
                "eyJhbGciOiJIUzUxMiJ9.eyJmaWQiOiJmMSJ9.AAAA", "eyJhbGciOiJoczI1NiJ9.eyJmaWQiOiJmMSJ9.AAAA",
                "eyJhbGciOiJIUzI1NiJ9.eyJmaWQiOiJmMSJ9.", "e30.e30.e30", "\xff\xff.\xff.\xff"};
        char large[JWT_TEXT_MAX + 2];

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(tokens); i++)
                assert_int_equal(verify(KEY, tokens[i], 1), -EBADMSG);
        memset(large, 'a', sizeof(large));
        large[10] = large[20] = '.';
        large[sizeof(large) - 1] = '\0';
        assert_int_equal(verify(KEY, large, 1), -EBADMSG);
}

/* Signed with the key, and yet none: the header has another algorithm, none, an extension, or is no object. */
static void test_other_headers(void **state)
{
        static const char *const tokens[] = {
                "eyJhbGciOiJub25lIn0.eyJmaWQiOiJmMSJ9.0-YZdDYexcagkCFvj4PAAgfokr7s7zr2EszNSmfX7c4",
                "eyJhbGciOiJIUzUxMiJ9.eyJmaWQiOiJmMSJ9.AoRK4q7jVxTC-jGIeBQe2FUr0tkLJx-O7WrfcuUE4B8",
                "eyJhbGciOiJoczI1NiJ9.eyJmaWQiOiJmMSJ9.VTltQvmYcC6R_-kiEFpRslqp3-DMCg4kzlAQzIWLXW0",
                "eyJ0eXAiOiJKV1QifQ.eyJmaWQiOiJmMSJ9.tgzk-STGDsVAuOIuRplfzGMlK19ZsgfJQ4WZNc8zWzU",
                "eyJhbGciOiJIUzI1NiIsImNyaXQiOlsieCJdfQ.eyJmaWQiOiJmMSJ9."
                "gGWaCrPd1y0y5JWf1SkpZP1zkGYjr2FlrkYmJ7fkVMU",
                "WyJIUzI1NiJd.eyJmaWQiOiJmMSJ9.s-E2oSXWNIesq0g_cyF-M-sRq-3nzHFLxMi2SvFl7LY",
                "eyJhbGciOiJIUzI1NiIsImFsZyI6Im5vbmUifQ.eyJmaWQiOiJmMSJ9.jkC_"
                "kFrc7wDBMBTwHpTWM2WB2HaUdetkCrRuE3sQCH8"};

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(tokens); i++)
                assert_int_equal(verify(KEY, tokens[i], 1), -EBADMSG);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_vector),
                cmocka_unit_test(test_round_trip),
                cmocka_unit_test(test_changed),
                cmocka_unit_test(test_refused),
                cmocka_unit_test(test_other_headers),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
