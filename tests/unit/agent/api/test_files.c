/* The files API against sandboxes whose owner is not our friend. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "agent/api/api_internal.h"
#include "agent/api/files.h"
#include "tests/unit/agent/api/client.h"

#define AGENT_ID "33333333-3333-4333-8333-333333333333-S1"
#define RUN "slaves/" AGENT_ID "/frameworks/f1/executors/e1/runs/c1"
#define VIRTUAL "/frameworks/f1/executors/e1/runs/c1"
#define OWNER 12345
#define TEXT "one line\n"

struct fixture {
        struct agent agent;
        struct agent_options options;
        struct agent_api api;
        struct client client;
        char directory[64];
        char *sandbox;
};

static void put(const struct fixture *f, const char *name, const char *text)
{
        _cleanup_free_ char *path = xasprintf("%s/%s", f->sandbox, name);
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

        assert_int_equal(write_all(fd, text, strlen(text)), 0);
        assert_int_equal(fchown(fd, OWNER, OWNER), 0);
        (void)close(fd);
}

static char *in_sandbox(const struct fixture *f, const char *name)
{
        return xasprintf("%s/%s", f->sandbox, name);
}

static int set_up(void **state)
{
        struct fixture *f = NEW0(struct fixture);
        _cleanup_error_ struct error e = {0};

        (void)snprintf(f->directory, sizeof(f->directory), "/tmp/mete-unit-XXXXXX");
        assert_non_null(mkdtemp(f->directory));
        f->sandbox = xasprintf("%s/" RUN, f->directory);
        assert_int_equal(mkdir_parents_at(AT_FDCWD, f->sandbox, 0755), 0);
        assert_int_equal(chown(f->sandbox, OWNER, OWNER), 0);
        f->options.work_dir = f->directory;
        f->agent.options = &f->options;
        f->agent.identity.agent_id = (char *)AGENT_ID;
        f->agent.work_fd = open(f->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        f->api.agent = &f->agent;
        assert_int_equal(loop_new(&f->agent.loop, &e), 0);
        assert_int_equal(http_server_new(f->agent.loop, NULL, &f->api.server, &e), 0);
        assert_int_equal(http_server_listen(f->api.server, "127.0.0.1", 0, &f->client.port, &e), 0);
        api_files_routes(&f->api);
        f->client.loop = f->agent.loop;
        put(f, "stdout", TEXT);
        *state = f;
        return 0;
}

static int tear_down(void **state)
{
        struct fixture *f = *state;

        (void)http_server_free(f->api.server);
        (void)loop_free(f->agent.loop);
        (void)close(f->agent.work_fd);
        assert_int_equal(remove_tree_at(AT_FDCWD, f->directory), 0);
        free(f->sandbox);
        free(f);
        return 0;
}

static char *get(struct fixture *f, const char *call, const char *path, const char *query)
{
        _cleanup_free_ char *request = xasprintf(
                "GET /slave(1)/files/%s?path=%s%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
                call, path, query);

        return client_exchange(&f->client, request, strlen(request));
}

static int status_of(struct fixture *f, const char *call, const char *path)
{
        _cleanup_free_ char *answer = get(f, call, path, "");

        return client_status(answer);
}

static void expect_page(struct fixture *f, const char *query, const char *body)
{
        _cleanup_free_ char *answer = get(f, "read", VIRTUAL "/stdout", query);
        const char *at = strstr(answer, "\r\n\r\n");

        assert_int_equal(client_status(answer), 200);
        assert_string_equal(at + 4, body);
}

static void test_pages(void **state)
{
        struct fixture *f = *state;

        expect_page(f, "&offset=0", "{\"data\":\"one line\\n\",\"offset\":0}");
        expect_page(f, "&offset=0&length=-1", "{\"data\":\"one line\\n\",\"offset\":0}");
        expect_page(f, "&offset=4&length=2", "{\"data\":\"li\",\"offset\":4}");
        expect_page(f, "&offset=-1", "{\"data\":\"\",\"offset\":9}");
        expect_page(f, "", "{\"data\":\"\",\"offset\":9}");
        expect_page(f, "&offset=9", "{\"data\":\"\",\"offset\":9}");
        expect_page(f, "&offset=10", "{\"data\":\"\",\"offset\":9}");
        expect_page(f, "&offset=0&length=0", "{\"data\":\"\",\"offset\":0}");
        expect_page(f, "&offset=0&length=3&jsonp=cb", "cb({\"data\":\"one\",\"offset\":0});");
        static const char *const bad[] = {"&offset=x", "&offset=-2", "&offset=0&length=-5",
                "&offset=0&length=1e3", "&offset=99999999999999999999"};
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                _cleanup_free_ char *answer = get(f, "read", VIRTUAL "/stdout", bad[i]);
                assert_int_equal(client_status(answer), 400);
        }
}

static void test_text(void **state)
{
        struct fixture *f = *state;

        /* "a", a two-byte character, a byte that is none, NUL has no place in a C string here. */
        put(f, "stdout",
                "a\xc3\xa4\xff"
                "b c d");
        expect_page(f, "&offset=0&length=2", "{\"data\":\"a\",\"offset\":0}");
        expect_page(f, "&offset=1&length=3", "{\"data\":\"\xc3\xa4?\",\"offset\":1}");
}

static void test_real_path(void **state)
{
        struct fixture *f = *state;
        _cleanup_free_ char *file = in_sandbox(f, "stdout"), *escaped = NULL, *browse = NULL;

        assert_int_equal(status_of(f, "read", file), 200);
        browse = get(f, "browse", f->sandbox, "");
        assert_int_equal(client_status(browse), 200);
        _cleanup_free_ char *expected =
                xasprintf("[{\"path\":\"%s\",\"nlink\":1,\"size\":9,\"mtime\":", file);
        assert_non_null(strstr(browse, expected));
        assert_non_null(strstr(browse, "\"mode\":\"-rw-r--r--\",\"uid\":\"12345\",\"gid\":\"12345\"}]"));
        escaped = get(f, "read", "%2Fframeworks%2Ff1%2fexecutors/e1/runs/latest%2Fstdout", "&offset=0");
        assert_int_equal(client_status(escaped), 200);
}

static void test_download(void **state)
{
        struct fixture *f = *state;
        _cleanup_free_ char *answer = get(f, "download", VIRTUAL "/stdout", "");

        assert_int_equal(client_status(answer), 200);
        assert_non_null(strstr(answer, "\r\nContent-Disposition: attachment; filename=\"stdout\"\r\n"));
        assert_non_null(strstr(answer, "\r\n9\r\n" TEXT "\r\n0\r\n"));
}

/* What a task may put there, and names that mean something elsewhere. */
static void test_not_for_reading(void **state)
{
        struct fixture *f = *state;
        _cleanup_free_ char *link = in_sandbox(f, "link"), *way = in_sandbox(f, "way"),
                            *fifo = in_sandbox(f, "fifo"), *device = in_sandbox(f, "device"),
                            *hard = in_sandbox(f, "hard"), *secret = xasprintf("%s/secret", f->directory),
                            *closed = in_sandbox(f, "closed"), *directory = in_sandbox(f, "directory");

        assert_int_equal(symlink("/etc/hostname", link), 0);
        assert_int_equal(symlink("/etc", way), 0);
        assert_int_equal(mkfifo(fifo, 0666), 0);
        assert_int_equal(mknod(device, S_IFCHR | 0666, makedev(1, 5)), 0);
        int fd = open(secret, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        assert_int_equal(write_all(fd, "secret", 6), 0);
        (void)close(fd);
        assert_int_equal(linkat(AT_FDCWD, secret, AT_FDCWD, hard, 0), 0);
        put(f, "closed", "root's");
        assert_int_equal(chown(closed, 0, 0), 0);
        assert_int_equal(chmod(closed, 0600), 0);
        assert_int_equal(mkdir(directory, 0700), 0);
        static const struct {
                const char *path;
                int read, browse;
        } cases[] = {
                {VIRTUAL "/link", 403, 403},
                {VIRTUAL "/way/hostname", 403, 403},
                {VIRTUAL "/way", 403, 403},
                {VIRTUAL "/fifo", 403, 403},
                {VIRTUAL "/device", 403, 403},
                {VIRTUAL "/hard", 403, 404},
                {VIRTUAL "/closed", 403, 404},
                {VIRTUAL "/directory", 400, 403}, /* another's, mode 0700 */
                {VIRTUAL "/none", 404, 404},
                {VIRTUAL "/stdout/x", 404, 404},
                {VIRTUAL "/../c1/stdout", 404, 404},
                {VIRTUAL "/%2e%2e/c1/stdout", 404, 404},
                {VIRTUAL, 400, 200},
                {"/frameworks/f1/executors/e1/runs/c2", 404, 404},
                {"/frameworks/f1/executors/../runs/c1", 404, 404},
                {"/frameworks/f1/executors/e1/runs", 404, 404},
                {"/frameworks", 404, 404},
                {"/etc/passwd", 404, 404},
                {"/slave/log", 404, 404},
                {"", 400, 400},
        };
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                int got = status_of(f, "read", cases[i].path),
                    browsed = status_of(f, "browse", cases[i].path);
                if (got != cases[i].read || browsed != cases[i].browse)
                        fail_msg("%s: %d and %d", cases[i].path, got, browsed);
                assert_int_equal(status_of(f, "download", cases[i].path), cases[i].read);
        }
        _cleanup_free_ char *meta = xasprintf("%s/secret", f->directory);
        assert_int_equal(status_of(f, "read", meta), 404);
        _cleanup_free_ char *outside = xasprintf("%s/../../x", f->sandbox);
        assert_int_equal(status_of(f, "read", outside), 404);
}

/* Sparse, so that it costs nothing here: it must cost nothing there either. */
static void test_huge(void **state)
{
        struct fixture *f = *state;
        _cleanup_free_ char *path = in_sandbox(f, "stdout");
        const off_t size = (off_t)1 << 40;

        assert_int_equal(truncate(path, size), 0);
        _cleanup_free_ char *page = get(f, "read", VIRTUAL "/stdout", "&offset=0&length=1000000000000");
        assert_int_equal(client_status(page), 200);
        /* 9 characters, the rest '?'. */
        assert_true(strlen(page) < 70000);
        expect_page(f, "&offset=-1", "{\"data\":\"\",\"offset\":1099511627776}");
        expect_page(f, "&offset=1099511627775&length=10", "{\"data\":\"?\",\"offset\":1099511627775}");
        f->client.until = TEXT;
        _cleanup_free_ char *begun = get(f, "download", VIRTUAL "/stdout", "");
        f->client.until = NULL;
        assert_int_equal(client_status(begun), 200);
}

/* Not root, not the owner. The child takes another number before it connects. */
static void test_who_may_read(void **state)
{
        struct fixture *f = *state;

        assert_int_equal(status_of(f, "read", VIRTUAL "/stdout"), 200);
        f->client.uid = OWNER;
        assert_int_equal(status_of(f, "read", VIRTUAL "/stdout"), 200);
        f->client.uid = OWNER + 1;
        assert_int_equal(status_of(f, "read", VIRTUAL "/stdout"), 403);
        assert_int_equal(status_of(f, "browse", VIRTUAL), 403);
        assert_int_equal(status_of(f, "download", VIRTUAL "/stdout"), 403);
        f->options.insecure = true;
        assert_int_equal(status_of(f, "read", VIRTUAL "/stdout"), 200);
}

static void test_modes(void **state)
{
        static const struct {
                mode_t mode;
                const char *text;
        } cases[] = {{S_IFREG | 0644, "-rw-r--r--"}, {S_IFDIR | 01777, "drwxrwxrwt"},
                {S_IFLNK | 0777, "lrwxrwxrwx"}, {S_IFREG | 04755, "-rwsr-xr-x"},
                {S_IFREG | 02644, "-rw-r-Sr--"}, {S_IFSOCK | 0, "s---------"}, {S_IFIFO | 0600, "prw-------"},
                {S_IFCHR | 0020, "c----w----"}, {S_IFBLK | 01000, "b--------T"}};
        char text[11];

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                file_mode_text(cases[i].mode, text);
                assert_string_equal(text, cases[i].text);
        }
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_pages),
                TEST(test_text),
                TEST(test_real_path),
                TEST(test_download),
                TEST(test_not_for_reading),
                TEST(test_huge),
                TEST(test_who_may_read),
                cmocka_unit_test(test_modes),
        };

        (void)signal(SIGPIPE, SIG_IGN);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
