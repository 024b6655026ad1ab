#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/net/codec.h"
#include "master/api/credentials.h"

static char path[64];

static int load(const char *text, mode_t mode, struct credentials **ret, struct error *e)
{
        int fd = mkstemp(strcpy(path, "/tmp/mete-test-credentials-XXXXXX"));
        int r;

        assert_true(fd >= 0);
        assert_int_equal(write_all(fd, text, strlen(text)), 0);
        assert_int_equal(fchmod(fd, mode), 0);
        close_fd(fd);
        r = credentials_load(path, ret, e);
        assert_int_equal(unlink(path), 0);
        return r;
}

static const char *check(const struct credentials *c, const char *scheme, const char *pair)
{
        _cleanup_buffer_ struct buffer header = {};

        buffer_puts(&header, scheme);
        base64_append(&header, (const uint8_t *)pair, strlen(pair));
        return credentials_check(c, header.data);
}

static void check_all(const struct credentials *c)
{
        assert_string_equal(check(c, "Basic ", "alice:wonder"), "alice");
        assert_string_equal(check(c, "basic  ", "bob:bui:lder"), "bob");
        assert_null(check(c, "Basic ", "alice:wonde"));
        assert_null(check(c, "Basic ", "alice:wonderr"));
        assert_null(check(c, "Basic ", "alice:Wonder"));
        assert_null(check(c, "Basic ", "alice:bui:lder"));
        assert_null(check(c, "Basic ", "alice:"));
        assert_null(check(c, "Basic ", "alice"));
        assert_null(check(c, "Basic ", ":wonder"));
        assert_null(check(c, "Basic ", "carol:wonder"));
        assert_null(check(c, "Digest ", "alice:wonder"));
        assert_null(credentials_check(c, NULL));
        assert_null(credentials_check(c, ""));
        assert_null(credentials_check(c, "Basic"));
        assert_null(credentials_check(c, "Basic alice:wonder"));
}

static void test_lines(void **state)
{
        struct credentials *c = NULL;

        assert_int_equal(load("alice wonder\n\n  bob\t bui:lder  \r\n", 0600, &c, NULL), 0);
        check_all(c);
        credentials_free(c);
}

static void test_json(void **state)
{
        struct credentials *c = NULL;

        assert_int_equal(load("\n{\"credentials\":[{\"principal\":\"alice\",\"secret\":\"wonder\"},"
                              "{\"principal\":\"bob\",\"secret\":\"bui:lder\"}]}",
                                 0640, &c, NULL),
                0);
        check_all(c);
        credentials_free(c);
}

static void test_refused(void **state)
{
        static const struct {
                const char *text;
                mode_t mode;
                const char *what;
        } cases[] = {
                {"alice wonder\n", 0644, "0644"},
                {"alice wonder\n", 0602, "0602"},
                {"alice wonder\n", 0660, "0660"},
                {"", 0600, "no credentials"},
                {"alice\n", 0600, "no secret"},
                {"alice wonder more\n", 0600, "no more"},
                {"alice a\nalice b\n", 0600, "twice"},
                {"a:b c\n", 0600, "principal"},
                {"{\"credentials\":[{\"principal\":\"alice\"}]}", 0600, "no secret"},
                {"{\"credentials\":[{\"secret\":\"wonder\"}]}", 0600, "principal"},
                {"{\"credentials\":", 0600, "credentials"},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                struct credentials *c = NULL;
                _cleanup_error_ struct error e = {};

                if (load(cases[i].text, cases[i].mode, &c, &e) >= 0)
                        fail_msg("accepted: %s", cases[i].text);
                assert_null(c);
                assert_non_null(strstr(error_message(&e), path));
                if (!strstr(error_message(&e), cases[i].what))
                        fail_msg("'%s' does not say %s", error_message(&e), cases[i].what);
                assert_null(strstr(error_message(&e), "wonder"));
        }
        assert_int_equal(credentials_load("/nowhere/at/all", (struct credentials *[]){NULL}, NULL), -ENOENT);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_lines),
                cmocka_unit_test(test_json),
                cmocka_unit_test(test_refused),
        };

        return cmocka_run_group_tests_name("credentials", tests, NULL, NULL);
}
