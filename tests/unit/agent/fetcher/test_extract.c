/* Archives as nobody should make them: what may come out stays below the sandbox, the rest is the end of the fetch. */
#include <archive.h>
#include <archive_entry.h>
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

#include "agent/fetcher/fetcher_run.h"

struct fixture {
        char dir[64]; /* holds "sandbox" and "outside" */
        int dir_fd, sandbox_fd;
        struct fetch_budget budget;
        struct error error;
};

static int setup(void **state)
{
        struct fixture *f = NEW0(struct fixture);

        (void)snprintf(f->dir, sizeof(f->dir), "/tmp/mete-test-XXXXXX");
        assert_non_null(mkdtemp(f->dir));
        f->dir_fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(mkdirat(f->dir_fd, "sandbox", 0755), 0);
        assert_int_equal(mkdirat(f->dir_fd, "outside", 0755), 0);
        f->sandbox_fd = openat(f->dir_fd, "sandbox", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        f->budget = (struct fetch_budget){1 << 20, 1 << 20, 100};
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        struct fixture *f = *state;

        close_fd(f->sandbox_fd);
        close_fd(f->dir_fd);
        error_done(&f->error);
        assert_int_equal(remove_tree_at(AT_FDCWD, f->dir), 0);
        free(f);
        return 0;
}

/* ---- making archives ---- */

struct entry {
        const char *path;
        int type;            /* AE_IF*, 0 = a hard link */
        const char *content; /* or the target */
        unsigned mode;
        int64_t size; /* announced, a hole; 0: of content */
};

static void add(struct archive *a, const struct entry *y)
{
        struct archive_entry *x = archive_entry_new();
        size_t n = y->content ? strlen(y->content) : 0;

        archive_entry_set_pathname(x, y->path);
        archive_entry_set_perm(x, y->mode ? y->mode : 0644);
        archive_entry_set_filetype(x, y->type ? (unsigned)y->type : AE_IFREG);
        archive_entry_set_size(x, 0);
        if (y->type == AE_IFREG)
                archive_entry_set_size(x, y->size ? y->size : (int64_t)n);
        else if (y->type == AE_IFLNK)
                archive_entry_set_symlink(x, y->content);
        else if (!y->type)
                archive_entry_set_hardlink(x, y->content);
        if (y->size)
                archive_entry_sparse_add_entry(x, y->size - 1, 1);
        assert_true(archive_write_header(a, x) >= ARCHIVE_WARN);
        if (y->type == AE_IFREG && n > 0)
                assert_int_equal(archive_write_data(a, y->content, n), (int)n);
        archive_entry_free(x);
}

static int archive_of(struct fixture *f, bool zip, const struct entry *entries, size_t count)
{
        struct archive *a = archive_write_new();

        int fd = openat(f->dir_fd, "archive", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        if (zip) {
                assert_int_equal(archive_write_set_format_zip(a), ARCHIVE_OK);
        } else {
                assert_int_equal(archive_write_set_format_pax_restricted(a), ARCHIVE_OK);
                assert_int_equal(archive_write_add_filter_gzip(a), ARCHIVE_OK);
        }
        assert_int_equal(archive_write_open_fd(a, fd), ARCHIVE_OK);
        for (size_t i = 0; i < count; i++)
                add(a, &entries[i]);
        (void)archive_write_close(a);
        (void)archive_write_free(a);
        return fd;
}

static int extract(struct fixture *f, const char *name, const struct entry *entries, size_t count)
{
        _cleanup_fd_ int fd = archive_of(f, str_has_suffix(name, ".zip"), entries, count);

        error_done(&f->error);
        return extract_archive(f->sandbox_fd, fd, name, &f->budget, &f->error);
}

static void expect_content(struct fixture *f, const char *path, const char *expected)
{
        _cleanup_free_ char *data = NULL;
        size_t n;

        int r = read_file_at(f->sandbox_fd, path, 1 << 20, &data, &n);
        if (r < 0)
                fail_msg("%s: %s", path, strerror(-r));
        assert_string_equal(data, expected);
}

static unsigned mode_of(struct fixture *f, const char *path)
{
        struct stat st;

        assert_int_equal(fstatat(f->sandbox_fd, path, &st, AT_SYMLINK_NOFOLLOW), 0);
        return st.st_mode & 07777;
}

/* ---- tests ---- */

static void good_archives(void **state)
{
        static const struct entry entries[] = {
                {"./", AE_IFDIR, NULL, 0755, 0},
                {"d/", AE_IFDIR, NULL, 0555, 0},
                {"d/x", AE_IFREG, "one", 0755, 0},
                {"./e//f/y", AE_IFREG, "two", 0600, 0},
                {"d/l", AE_IFLNK, "../e/f/y", 0, 0},
                {"d/setuid", AE_IFREG, "s", 06755, 0},
                {"d/x", AE_IFREG, "again", 0644, 0},
        };
        static const char *const kinds[] = {"a.tar.gz", "a.tgz", "a.zip"};
        struct fixture *f = *state;

        for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
                if (extract(f, kinds[i], entries, ELEMENTSOF(entries)) < 0)
                        fail_msg("%s: %s", kinds[i], error_message(&f->error));
                expect_content(f, "d/x", "again");
                expect_content(f, "e/f/y", "two");
                expect_content(f, "d/l", "two");
                assert_int_equal(mode_of(f, "d"), 0755);
                assert_int_equal(mode_of(f, "e/f/y"), 0600);
                assert_int_equal(mode_of(f, "d/setuid"), 0755);
        }
}

static void hard_links(void **state)
{
        static const struct entry good[] = {{"a/x", AE_IFREG, "one", 0, 0}, {"b/y", 0, "a/x", 0, 0}};
        /* What is written to the link's name afterwards must not reach its target. */
        static const struct entry overwritten[] = {
                {"x", AE_IFREG, "one", 0, 0}, {"y", 0, "x", 0, 0}, {"y", AE_IFREG, "two", 0, 0}};
        struct fixture *f = *state;
        struct stat st;

        assert_int_equal(extract(f, "a.tar.gz", good, 2), 0);
        assert_int_equal(fstatat(f->sandbox_fd, "b/y", &st, 0), 0);
        assert_int_equal(st.st_nlink, 2);
        assert_int_equal(extract(f, "a.tar.gz", overwritten, 3), 0);
        expect_content(f, "x", "one");
        expect_content(f, "y", "two");
}

static void hostile_entries(void **state)
{
        static const struct {
                const char *what;
                struct entry entries[3];
        } rows[] = {
                {"a name that climbs", {{"../outside/x", AE_IFREG, "x", 0, 0}}},
                {"one that climbs later", {{"a/b/../../../outside/x", AE_IFREG, "x", 0, 0}}},
                {"an absolute name", {{"/tmp/mete-test-absolute", AE_IFREG, "x", 0, 0}}},
                {"an absolute link", {{"l", AE_IFLNK, "/etc/passwd", 0, 0}}},
                {"a link that climbs", {{"l", AE_IFLNK, "../outside/x", 0, 0}}},
                {"a link that climbs from below", {{"a/l", AE_IFLNK, "../../outside/x", 0, 0}}},
                {"a link that climbs behind a name", {{"l", AE_IFLNK, "a/../..", 0, 0}}},
                {"a file through a link", {{"l", AE_IFLNK, "d", 0, 0}, {"l/x", AE_IFREG, "x", 0, 0}}},
                {"a directory that is a link", {{"l", AE_IFLNK, "d", 0, 0}, {"l", AE_IFDIR, NULL, 0, 0}}},
                {"a hard link out", {{"h", 0, "../outside/secret", 0, 0}}},
                {"an absolute hard link", {{"h", 0, "/etc/passwd", 0, 0}}},
                {"a hard link to a link", {{"l", AE_IFLNK, "x", 0, 0}, {"h", 0, "l", 0, 0}}},
                {"a hard link to nothing", {{"h", 0, "x", 0, 0}}},
                {"a device", {{"n", AE_IFCHR, NULL, 0, 0}}},
                {"a block device", {{"n", AE_IFBLK, NULL, 0, 0}}},
                {"a FIFO", {{"p", AE_IFIFO, NULL, 0, 0}}},
                {"a control character", {{"a\nb", AE_IFREG, "x", 0, 0}}},
                {"a sparse terabyte", {{"s", AE_IFREG, NULL, 0, INT64_C(1) << 40}}},
        };
        struct fixture *f = *state;
        struct stat st;

        _cleanup_fd_ int secret = openat(f->dir_fd, "outside/secret", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        assert_true(secret >= 0);
        assert_int_equal(mkdirat(f->sandbox_fd, "d", 0755), 0);
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                size_t n = 1 + (rows[i].entries[1].path != NULL);
                if (extract(f, "a.tar.gz", rows[i].entries, n) == 0)
                        fail_msg("%s was unpacked", rows[i].what);
                assert_true(strlen(error_message(&f->error)) > 10);
                (void)unlinkat(f->sandbox_fd, "l", 0);
                assert_int_equal(fstatat(f->dir_fd, "outside/x", &st, AT_SYMLINK_NOFOLLOW), -1);
        }
        assert_int_equal(fstat(secret, &st), 0);
        assert_int_equal(st.st_nlink, 1);
        assert_int_equal(access("/tmp/mete-test-absolute", F_OK), -1);
        assert_int_equal(fstatat(f->sandbox_fd, "d/x", &st, 0), -1);
}

static void bombs(void **state)
{
        static char zeros[600000];
        struct fixture *f = *state;
        struct entry large[] = {{"a", AE_IFREG, zeros, 0, 0}, {"b", AE_IFREG, zeros, 0, 0}};
        struct entry many[101];

        memset(zeros, 'z', sizeof(zeros) - 1);
        assert_int_equal(extract(f, "a.tar.gz", large, 2), -EFBIG);
        assert_non_null(strstr(error_message(&f->error), "1048576 bytes"));
        f->budget.entries_left = 100;
        for (size_t i = 0; i < ELEMENTSOF(many); i++)
                many[i] = (struct entry){"same", AE_IFREG, "x", 0, 0};
        assert_int_equal(extract(f, "a.tar.gz", many, ELEMENTSOF(many)), -E2BIG);
}

static void plain_gzip(void **state)
{
        static const struct entry inner[] = {{"in", AE_IFREG, "x", 0, 0}};
        struct fixture *f = *state;

        /* A tar of one entry, compressed: as ".gz" it is one file, the tar. */
        _cleanup_fd_ int fd = archive_of(f, false, inner, 1);
        assert_int_equal(extract_archive(f->sandbox_fd, fd, "dir/words.gz", &f->budget, &f->error), 0);
        assert_int_equal(mode_of(f, "words"), 0644);
        _cleanup_fd_ int plain = openat(f->dir_fd, "plain", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        assert_int_equal(write(plain, "no gzip", 7), 7);
        assert_int_equal(extract_archive(f->sandbox_fd, plain, "plain.gz", &f->budget, &f->error), -EBADMSG);
        assert_int_equal(extract_archive(f->sandbox_fd, plain, "plain.zip", &f->budget, &f->error), -EBADMSG);
}

static void which_names_are_archives(void **state)
{
        static const char *const yes[] = {
                "a.tar", "a.tgz", "a.tar.gz", "a.tbz2", "a.tar.bz2", "a.txz", "a.tar.xz", "a.gz", "a.zip"};
        static const char *const no[] = {"a", "a.tar.gz?x=1", "a.bz2", "a.xz", "a.rar", "tar", "a.TAR"};

        for (size_t i = 0; i < ELEMENTSOF(yes); i++)
                assert_true(extract_is_archive(yes[i]));
        for (size_t i = 0; i < ELEMENTSOF(no); i++)
                assert_false(extract_is_archive(no[i]));
}

/* A file that somebody linked elsewhere is replaced, not written through. */
static void old_files_are_replaced(void **state)
{
        struct fixture *f = *state;
        _cleanup_fd_ int fd = -1;
        struct stat st;

        assert_int_equal(symlinkat("../outside/x", f->sandbox_fd, "x"), 0);
        assert_int_equal(place_file(f->sandbox_fd, "x", 06755, &fd, &f->error), 0);
        assert_int_equal(fstatat(f->dir_fd, "outside/x", &st, AT_SYMLINK_NOFOLLOW), -1);
        assert_int_equal(mode_of(f, "x"), 0755);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(good_archives, setup, teardown),
                cmocka_unit_test_setup_teardown(hard_links, setup, teardown),
                cmocka_unit_test_setup_teardown(hostile_entries, setup, teardown),
                cmocka_unit_test_setup_teardown(bombs, setup, teardown),
                cmocka_unit_test_setup_teardown(plain_gzip, setup, teardown),
                cmocka_unit_test_setup_teardown(which_names_are_archives, setup, teardown),
                cmocka_unit_test_setup_teardown(old_files_are_replaced, setup, teardown),
        };

        return cmocka_run_group_tests_name("agent/fetcher/extract", tests, NULL, NULL);
}
