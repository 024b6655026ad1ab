/* Which directory a volume is, and what happens below it: names from outside, links, trees that a task made to annoy us. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/volume_ref.h"
#include "agent/volume_store.h"
#include "lib/base/id.h"
#include "lib/net/codec.h"
#include "proto/mete_agent.pb-c.h"

/* ---- what resources say ---- */

static void names_of_directories(void **state)
{
        static const char *const rows[][2] = {{"a", "a"}, {"a/b", "a%2Fb"}, {"a%2Fb", "a%252Fb"},
                {"..", "%2E."}, {".removed", "%2Eremoved"}, {"x.y_z-1", "x.y_z-1"},
                {"\xc3\xa4 b", "%C3%A4%20b"}, {"", ""}};

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_free_ char *name = id_directory_name(rows[i][0]);
                assert_string_equal(name, rows[i][1]);
        }
}

#define VOLUME(role, id, path, mode)                                                                         \
        "{\"name\":\"disk\",\"type\":\"SCALAR\",\"scalar\":{\"value\":1},\"reservations\":[{\"role\":\"a\"}" \
        ",{\"role\":\"" role "\"}],\"disk\":{\"persistence\":{\"id\":\"" id                                  \
        "\"},\"volume\":{\"container_path\":\"" path "\",\"mode\":\"" mode "\"}}}"

static int parse(const char *resources, struct volume_refs *ret, Mete__Agent__Command__Assign **ret_message,
        struct error *e)
{
        _cleanup_free_ char *json = xasprintf("{\"version\":1,\"resources\":[%s]}", resources);
        ProtobufCMessage *m;

        if (message_decode(CODEC_JSON, &mete__agent__command__assign__descriptor, json, strlen(json), &m, e) <
                0)
                fail_msg("the test's own message: %s", error_message(e));
        *ret_message = (Mete__Agent__Command__Assign *)m;
        return volume_refs_parse((*ret_message)->resources, (*ret_message)->n_resources, "r", ret, e);
}

static void volumes_of_resources(void **state)
{
        _cleanup_volume_refs_ struct volume_refs refs = {0};
        _cleanup_error_ struct error e = {0};
        Mete__Agent__Command__Assign *m;

        int r = parse("{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":1}}," VOLUME(
                              "a/b", "one", "//x///y/", "RW") "," VOLUME("a", "two", "data", "RO"),
                &refs, &m, &e);
        if (r < 0)
                fail_msg("%s", error_message(&e));
        assert_int_equal(refs.count, 2);
        assert_string_equal(refs.items[0].path, "a%2Fb/one");
        assert_string_equal(refs.items[0].target, "/x/y");
        assert_false(refs.items[0].read_only);
        assert_string_equal(refs.items[1].path, "a/two");
        assert_string_equal(refs.items[1].target, "data");
        assert_true(refs.items[1].read_only);
        assert_true(volume_refs_contain(&refs, "a/two"));
        assert_false(volume_refs_contain(&refs, "a/one"));
        message_free(m);
}

static void refused_volumes(void **state)
{
        static const char *const rows[] = {
                VOLUME("a", "", "x", "RW"),
                VOLUME("a", "i", "", "RW"),
                VOLUME("a", "i", "/", "RW"),
                VOLUME("a", "i", ".", "RW"),
                VOLUME("a", "i", "../x", "RW"),
                VOLUME("a", "i", "x/..", "RW"),
                VOLUME("a", "i", "x/./y", "RW"),
                VOLUME("", "i", "x", "RW"),
                "{\"name\":\"disk\",\"type\":\"SCALAR\",\"disk\":{\"persistence\":{\"id\":\"i\"},\"volume\":{"
                "\"container_path\":\"x\",\"mode\":\"RW\"}}}",
                "{\"name\":\"disk\",\"type\":\"SCALAR\",\"reservations\":[{\"role\":\"a\"}],\"disk\":{"
                "\"persistence\":{\"id\":\"i\"}}}",
                "{\"name\":\"mem\",\"type\":\"SCALAR\",\"reservations\":[{\"role\":\"a\"}],\"disk\":{"
                "\"persistence\":{\"id\":\"i\"},\"volume\":{\"container_path\":\"x\",\"mode\":\"RW\"}}}",
                "{\"name\":\"disk\",\"type\":\"SCALAR\",\"reservations\":[{\"role\":\"a\"}],\"disk\":{"
                "\"persistence\":{\"id\":\"i\"},\"volume\":{\"host_path\":\"/"
                "etc\",\"container_path\":\"x\",\"mode\":\"RW\"}}}",
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                struct volume_refs refs = {0};
                _cleanup_error_ struct error e = {0};
                Mete__Agent__Command__Assign *m;

                if (parse(rows[i], &refs, &m, &e) == 0)
                        fail_msg("row %zu is accepted", i);
                assert_non_null(strstr(error_message(&e), "r[0]"));
                message_free(m);
        }
}

/* ---- directories ---- */

struct fixture {
        char path[64];
        int dir_fd, fd;
};

static int setup(void **state)
{
        struct fixture *f = NEW0(struct fixture);

        (void)snprintf(f->path, sizeof(f->path), "/tmp/mete-volumes-XXXXXX");
        assert_non_null(mkdtemp(f->path));
        f->dir_fd = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(volume_store_open(f->dir_fd, "store", &f->fd, NULL), 0);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        struct fixture *f = *state;

        close_fd(f->fd);
        close_fd(f->dir_fd);
        assert_int_equal(remove_tree_at(AT_FDCWD, f->path), 0);
        free(f);
        return 0;
}

static bool exists(int fd, const char *path)
{
        return faccessat(fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void purge_all(int fd)
{
        int r;

        while ((r = volume_purge(fd, 10)) > 0)
                ;
        assert_int_equal(r, 0);
}

static void made_listed_and_discarded(void **state)
{
        const struct fixture *f = *state;
        CLEANUP(string_list_done) struct string_list all = {0};
        struct stat st;
        int fd;

        assert_int_equal(fstat(f->fd, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0700);
        assert_int_equal(volume_make(f->fd, "a%2Fb/one", NULL), 0);
        assert_int_equal(volume_make(f->fd, "a%2Fb/one", NULL), 0);
        assert_int_equal(volume_make(f->fd, "a%2Fb/two", NULL), 0);
        assert_int_equal(volume_list(f->fd, &all), 0);
        assert_int_equal(all.count, 2);
        assert_int_equal(volume_open(f->fd, "a%2Fb/one", &fd), 0);
        close_fd(fd);
        assert_int_equal(volume_discard(f->fd, "a%2Fb/one", NULL), 0);
        assert_int_equal(volume_open(f->fd, "a%2Fb/one", &fd), -ENOENT);
        assert_true(exists(f->fd, "a%2Fb/two"));
        assert_int_equal(volume_discard(f->fd, "a%2Fb/one", NULL), 0); /* gone is success */
        assert_int_equal(volume_discard(f->fd, "none/one", NULL), 0);
        assert_int_equal(volume_discard(f->fd, "a%2Fb/two", NULL), 0);
        assert_false(exists(f->fd, "a%2Fb"));
        purge_all(f->fd);
}

/* Root alone can plant these; then they are still not followed. */
static void links_in_place_of_directories(void **state)
{
        const struct fixture *f = *state;
        int fd;

        assert_int_equal(mkdirat(f->dir_fd, "outside", 0755), 0);
        assert_int_equal(mkdirat(f->dir_fd, "outside/v", 0755), 0);
        assert_int_equal(symlinkat("../outside", f->fd, "role"), 0);
        assert_true(volume_make(f->fd, "role/v", NULL) < 0);
        assert_true(volume_open(f->fd, "role/v", &fd) < 0);
        assert_true(volume_discard(f->fd, "role/v", NULL) < 0);
        assert_true(exists(f->dir_fd, "outside/v"));
        assert_int_equal(volume_make(f->fd, "r/v", NULL), 0);
        assert_int_equal(symlinkat("../../outside", f->fd, "r/link"), 0);
        assert_true(volume_make(f->fd, "r/link", NULL) < 0);
        assert_int_equal(volume_discard(f->fd, "r/link", NULL), 0); /* the link itself goes */
        purge_all(f->fd);
        assert_true(exists(f->dir_fd, "outside/v"));
        assert_int_equal(volume_discard(f->fd, "r/v", NULL), 0);
        purge_all(f->fd);
        assert_int_equal(unlinkat(f->fd, "role", 0), 0);
}

/* Deeper than any path may be, and wide: in pieces, each of which is bounded. */
static void a_large_tree_goes_in_pieces(void **state)
{
        const struct fixture *f = *state;
        char name[16];
        int pieces = 0, r;

        assert_int_equal(volume_make(f->fd, "r/deep", NULL), 0);
        int fd = openat(f->fd, "r/deep", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(symlinkat("/", fd, "link"), 0);
        for (int i = 0; i < 200; i++) {
                (void)snprintf(name, sizeof(name), "file%d", i);
                close_fd(openat(fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
                assert_int_equal(mkdirat(fd, "d", 0755), 0);
                int next = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                close_fd(fd);
                fd = next;
        }
        close_fd(fd);
        assert_int_equal(volume_discard(f->fd, "r/deep", NULL), 0);
        while ((r = volume_purge(f->fd, 50)) > 0)
                assert_true(++pieces < 100);
        assert_int_equal(r, 0);
        assert_true(pieces >= 7); /* 402 entries */
        CLEANUP(string_list_done) struct string_list all = {0};
        assert_int_equal(volume_list(f->fd, &all), 0);
        assert_int_equal(all.count, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(names_of_directories),
                cmocka_unit_test(volumes_of_resources),
                cmocka_unit_test(refused_volumes),
                cmocka_unit_test(made_listed_and_discarded),
                cmocka_unit_test(links_in_place_of_directories),
                cmocka_unit_test(a_large_tree_goes_in_pieces),
        };

        return cmocka_run_group_tests_name("agent/volumes", tests, setup, teardown);
}
