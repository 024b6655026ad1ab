#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/linux/users.h"

static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n"
                             "# a comment\n"
                             "+nis::::::\n"
                             "short:x:5:5\n"
                             "toomany:x:6:6::/:/bin/sh:more\n"
                             "negative:x:-1:6::/:/bin/sh\n"
                             "allones:x:4294967295:6::/:/bin/sh\n"
                             "web:x:33:44:Web,,,:/srv/web:/bin/false\n"
                             "web:x:0:0:shadowed by the first:/:/bin/sh\n"
                             "123:x:0:0:a name of digits:/:/bin/sh\n"
                             "odd:x:50:51::not/absolute:/bin/sh\n"
                             "last:x:60:61::/home/last:/bin/sh";
static const char group[] = "root:x:0:\n"
                            "web:x:44:web\n"
                            "logs:x:4:root,web\n"
                            "logs2:x:4:web\n"
                            "webmaster:x:99:webmaster\n"
                            "broken:x:nine:web\n"
                            "disk:x:6:web";

static int resolve(const char *spec, struct user_ids *ret, struct error *e)
{
        return users_resolve_text(passwd, sizeof(passwd) - 1, group, sizeof(group) - 1, spec, ret, e);
}

static void test_names_and_numbers(void **state)
{
        struct user_ids u;

        assert_int_equal(resolve("web", &u, NULL), 0);
        assert_int_equal(u.uid, 33);
        assert_int_equal(u.gid, 44);
        assert_string_equal(u.name, "web");
        assert_string_equal(u.home, "/srv/web");
        /* logs once though two lines name its number; its own group not again */
        assert_int_equal(u.group_count, 2);
        assert_int_equal(u.groups[0], 4);
        assert_int_equal(u.groups[1], 6);

        assert_int_equal(resolve("33", &u, NULL), 0);
        assert_string_equal(u.name, "web");
        assert_int_equal(u.group_count, 2);

        assert_int_equal(resolve("last", &u, NULL), 0);
        assert_string_equal(u.home, "/home/last");

        assert_int_equal(resolve("odd", &u, NULL), 0);
        assert_string_equal(u.home, "/");

        /* digits are a number although a line has them as its name */
        assert_int_equal(resolve("123", &u, NULL), 0);
        assert_int_equal(u.uid, 123);
        assert_int_equal(u.gid, 65534);
        assert_string_equal(u.name, "");
        assert_string_equal(u.home, "/");
        assert_int_equal(u.group_count, 0);
}

static void test_explicit_group(void **state)
{
        struct user_ids u;

        assert_int_equal(resolve("web:logs", &u, NULL), 0);
        assert_int_equal(u.uid, 33);
        assert_int_equal(u.gid, 4);
        assert_int_equal(u.group_count, 0);
        assert_int_equal(resolve("7:8", &u, NULL), 0);
        assert_int_equal(u.uid, 7);
        assert_int_equal(u.gid, 8);
        assert_int_equal(resolve("4294967294:4294967294", &u, NULL), 0);
        assert_int_equal(u.uid, 4294967294u);
}

static void test_refusals(void **state)
{
        static const struct {
                const char *spec;
                int code;
                const char *text;
        } cases[] = {
                {"nobody-here", -ENOENT, "nobody-here"},
                {"web:nogroup-here", -ENOENT, "nogroup-here"},
                {"short", -ENOENT, "short"},
                {"toomany", -ENOENT, "toomany"},
                {"negative", -ENOENT, "negative"},
                {"allones", -ENOENT, "allones"},
                {"-1", -EINVAL, "-1"},
                {"4294967295", -EINVAL, "4294967294"},
                {"4294967296", -EINVAL, "4294967294"},
                {"18446744073709551616", -EINVAL, "4294967294"},
                {"0:4294967295", -EINVAL, "4294967294"},
                {"0:-1", -EINVAL, "-1"},
                {"", -EINVAL, "user"},
                {":", -EINVAL, "user"},
                {"web:", -EINVAL, "group"},
                {"web:logs:disk", -EINVAL, "group"},
                {"a b", -EINVAL, "a b"},
                {"a\nb", -EINVAL, "user"},
                {"../etc", -EINVAL, "user"},
                {"broken", -ENOENT, "broken"},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_error_ struct error e = {0};
                struct user_ids u = {.uid = 4711};
                assert_int_equal(resolve(cases[i].spec, &u, &e), cases[i].code);
                assert_non_null(strstr(error_message(&e), cases[i].text));
                assert_int_equal(u.uid, 4711); /* untouched */
        }
}

static void test_bounds(void **state)
{
        _cleanup_buffer_ struct buffer b = {0}, g = {0};
        struct user_ids u;

        /* A line that is too long is skipped, not cut: its tail is no line of its own. */
        buffer_puts(&b, "a:x:1:1:");
        for (int i = 0; i < 4096; i++)
                buffer_puts(&b, "g");
        buffer_puts(&b, ":/:/\na:x:2:2::/:/\n");
        assert_int_equal(users_resolve_text(b.data, b.len, NULL, 0, "a", &u, NULL), 0);
        assert_int_equal(u.uid, 2);

        for (int i = 0; i < USER_GROUPS_MAX + 1; i++)
                buffer_printf(&g, "g%d:x:%d:a\n", i, 100 + i);
        assert_int_equal(users_resolve_text(b.data, b.len, g.data, g.len, "a", &u, NULL), -E2BIG);
        assert_int_equal(
                users_resolve_text(b.data, b.len, g.data, g.len - strlen("g64:x:164:a\n"), "a", &u, NULL), 0);
        assert_int_equal(u.group_count, USER_GROUPS_MAX);
        /* NUL in a line */
        assert_int_equal(users_resolve_text("a\0:x:3:3::/:/\n", 14, NULL, 0, "a", &u, NULL), -ENOENT);
}

struct fixture {
        char path[64];
        int fd;
};

static int make_root(void **state)
{
        static struct fixture f;

        strcpy(f.path, "/tmp/mete-test-users-XXXXXX");
        if (!mkdtemp(f.path))
                return -1;
        f.fd = open(f.path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        *state = &f;
        return mkdirat(f.fd, "etc", 0755);
}

static int remove_root(void **state)
{
        struct fixture *f = *state;

        (void)close_fd(f->fd);
        return remove_tree_at(AT_FDCWD, f->path);
}

static void put(int dirfd, const char *path, const char *text)
{
        _cleanup_fd_ int fd = openat(dirfd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

        assert_true(fd >= 0);
        assert_int_equal(write_all(fd, text, strlen(text)), 0);
}

static void test_root_fs(void **state)
{
        struct fixture *f = *state;
        struct user_ids u;

        /* Nothing there: numbers still work. */
        assert_int_equal(users_resolve(f->fd, "0", &u, NULL), 0);
        assert_int_equal(u.gid, 65534);
        assert_int_equal(users_resolve(f->fd, "root", &u, NULL), -ENOENT);

        put(f->fd, "etc/passwd", passwd);
        put(f->fd, "etc/group", group);
        assert_int_equal(users_resolve(f->fd, "web:disk", &u, NULL), 0);
        assert_int_equal(u.uid, 33);
        assert_int_equal(u.gid, 6);
}

static void test_traps(void **state)
{
        struct fixture *f = *state;
        struct user_ids u;
        _cleanup_error_ struct error e = {0};

        /* A fifo would block a reader for ever: the test's end is the proof. */
        assert_int_equal(mkfifoat(f->fd, "etc/passwd", 0644), 0);
        assert_int_equal(users_resolve(f->fd, "root", &u, &e), -EINVAL);
        assert_non_null(strstr(error_message(&e), "etc/passwd"));
        assert_int_equal(unlinkat(f->fd, "etc/passwd", 0), 0);

        assert_int_equal(symlinkat("/etc/passwd", f->fd, "etc/passwd"), 0);
        assert_true(users_resolve(f->fd, "root", &u, NULL) < 0);
        assert_int_equal(unlinkat(f->fd, "etc/passwd", 0), 0);

        assert_int_equal(mkdirat(f->fd, "etc/passwd", 0755), 0);
        assert_int_equal(users_resolve(f->fd, "root", &u, NULL), -EINVAL);
        assert_int_equal(unlinkat(f->fd, "etc/passwd", AT_REMOVEDIR), 0);

        put(f->fd, "etc/passwd", "");
        _cleanup_fd_ int fd = openat(f->fd, "etc/passwd", O_WRONLY | O_CLOEXEC);
        assert_int_equal(ftruncate(fd, 1024 * 1024 + 1), 0);
        assert_int_equal(users_resolve(f->fd, "root", &u, NULL), -E2BIG);

        /* etc itself leads out of the root: the link is resolved inside of it. */
        assert_int_equal(unlinkat(f->fd, "etc/passwd", 0), 0);
        assert_int_equal(unlinkat(f->fd, "etc", AT_REMOVEDIR), 0);
        assert_int_equal(symlinkat("/../../../../../../etc", f->fd, "etc"), 0);
        assert_int_equal(users_resolve(f->fd, "root", &u, NULL), -ELOOP);
        assert_int_equal(unlinkat(f->fd, "etc", 0), 0);
        assert_int_equal(symlinkat("/proc/self/root/etc", f->fd, "etc"), 0);
        assert_int_equal(users_resolve(f->fd, "root", &u, NULL), -ENOENT);
}

static void test_host_name(void **state)
{
        _cleanup_free_ char *root = users_host_name(0);
        _cleanup_free_ char *none = users_host_name(4294967294u);

        assert_string_equal(root, "root");
        assert_null(none);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_names_and_numbers),
                cmocka_unit_test(test_explicit_group),
                cmocka_unit_test(test_refusals),
                cmocka_unit_test(test_bounds),
                cmocka_unit_test_setup_teardown(test_root_fs, make_root, remove_root),
                cmocka_unit_test_setup_teardown(test_traps, make_root, remove_root),
                cmocka_unit_test(test_host_name),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
