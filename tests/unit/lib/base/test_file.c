#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/util.h"

struct fixture {
        char path[64];
        int fd;
};

static int set_up(void **state)
{
        struct fixture *f = NEW0(struct fixture);

        (void)snprintf(f->path, sizeof(f->path), "/tmp/mete-test-file-XXXXXX");
        assert_non_null(mkdtemp(f->path));
        f->fd = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(f->fd >= 0);
        *state = f;
        return 0;
}

static int tear_down(void **state)
{
        struct fixture *f = *state;
        struct stat st;

        (void)close(f->fd);
        assert_int_equal(remove_tree_at(AT_FDCWD, f->path), 0);
        assert_int_equal(lstat(f->path, &st), -1);
        free(f);
        return 0;
}

static void touch(int fd, const char *name)
{
        assert_int_equal(write_file_atomic_at(fd, name, "x", 1, 0600, false), 0);
}

static bool exists(int fd, const char *name)
{
        return faccessat(fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void test_write_and_read(void **state)
{
        struct fixture *f = *state;
        _cleanup_free_ char *data = NULL;
        struct stat st;
        size_t len = 0;
        mode_t mask = umask(077);

        assert_int_equal(write_file_atomic_at(f->fd, "name", "one", 3, 0644, true), 0);
        (void)umask(mask);
        assert_int_equal(fstatat(f->fd, "name", &st, 0), 0);
        assert_int_equal(st.st_mode & 07777, 0644);
        assert_int_equal(write_file_atomic_at(f->fd, "name", "second\0", 7, 0600, false), 0);
        assert_int_equal(read_file_at(f->fd, "name", 7, &data, &len), 0);
        assert_int_equal(len, 7);
        assert_memory_equal(data, "second\0", 8);
        assert_false(exists(f->fd, ".name.tmp"));
}

static void test_read_bound(void **state)
{
        struct fixture *f = *state;
        char *data = NULL;
        size_t len;

        touch(f->fd, "name");
        assert_int_equal(read_file_at(f->fd, "name", 0, &data, &len), -E2BIG);
        assert_null(data);
        assert_int_equal(read_file_at(f->fd, "name", 1, &data, NULL), 0);
        free(data);
        assert_int_equal(read_file_at(f->fd, "nothing", 1, &data, &len), -ENOENT);
}

static void test_write_ignores_planted_link(void **state)
{
        struct fixture *f = *state;
        _cleanup_free_ char *data = NULL;

        touch(f->fd, "victim");
        assert_int_equal(symlinkat("victim", f->fd, ".name.tmp"), 0);
        assert_int_equal(write_file_atomic_at(f->fd, "name", "new", 3, 0600, false), 0);
        assert_int_equal(read_file_at(f->fd, "victim", 10, &data, NULL), 0);
        assert_string_equal(data, "x");
        assert_int_equal(write_file_atomic_at(f->fd, "..", "x", 1, 0600, false), -EINVAL);
        assert_int_equal(write_file_atomic_at(f->fd, "", "x", 1, 0600, false), -EINVAL);
        assert_int_equal(write_file_atomic_at(f->fd, "no/name", "x", 1, 0600, false), -ENOENT);
}

static void test_failed_write_leaves_nothing(void **state)
{
        struct fixture *f = *state;

        assert_int_equal(mkdirat(f->fd, "name", 0700), 0);
        assert_int_equal(write_file_atomic_at(f->fd, "name", "x", 1, 0600, false), -EISDIR);
        assert_false(exists(f->fd, ".name.tmp"));
}

static void test_mkdir_parents(void **state)
{
        struct fixture *f = *state;
        _cleanup_free_ char *absolute = xasprintf("%s/x/y", f->path);

        assert_int_equal(mkdir_parents_at(f->fd, "a/b/c", 0700), 0);
        assert_int_equal(mkdir_parents_at(f->fd, "a/b/c", 0700), 0);
        assert_int_equal(mkdir_parents_at(f->fd, "a//d/", 0700), 0);
        assert_true(exists(f->fd, "a/b/c") && exists(f->fd, "a/d"));
        assert_int_equal(mkdir_parents_at(AT_FDCWD, absolute, 0700), 0);
        assert_true(exists(f->fd, "x/y"));
        touch(f->fd, "file");
        assert_int_equal(mkdir_parents_at(f->fd, "file", 0700), -ENOTDIR);
        assert_int_equal(mkdir_parents_at(f->fd, "file/a", 0700), -ENOTDIR);
        assert_int_equal(mkdir_parents_at(f->fd, "", 0700), -EINVAL);
}

static void test_remove_follows_no_links(void **state)
{
        struct fixture *f = *state;

        assert_int_equal(mkdir_parents_at(f->fd, "outside/dir", 0700), 0);
        touch(f->fd, "outside/dir/file");
        assert_int_equal(mkdir_parents_at(f->fd, "tree/sub", 0700), 0);
        assert_int_equal(symlinkat("../../outside", f->fd, "tree/sub/link"), 0);
        assert_int_equal(symlinkat("../outside/dir", f->fd, "tree/dir"), 0);
        assert_int_equal(symlinkat("/nowhere", f->fd, "tree/dangling"), 0);
        assert_int_equal(linkat(f->fd, "outside/dir/file", f->fd, "tree/hard", 0), 0);
        assert_int_equal(mkfifoat(f->fd, "tree/fifo", 0600), 0);
        assert_int_equal(remove_tree_at(f->fd, "tree"), 0);
        assert_false(exists(f->fd, "tree"));
        assert_true(exists(f->fd, "outside/dir/file"));

        /* A link itself goes, what it points to stays. */
        assert_int_equal(symlinkat("outside", f->fd, "link"), 0);
        assert_int_equal(remove_tree_at(f->fd, "link"), 0);
        assert_false(exists(f->fd, "link"));
        assert_true(exists(f->fd, "outside/dir/file"));
        assert_int_equal(remove_tree_at(f->fd, "outside/dir/file"), 0);
        assert_false(exists(f->fd, "outside/dir/file"));

        assert_int_equal(remove_tree_at(f->fd, "missing"), 0);
        assert_int_equal(remove_tree_at(f->fd, "missing/below"), 0);
        assert_int_equal(remove_tree_at(f->fd, ".."), -EINVAL);
        assert_int_equal(remove_tree_at(f->fd, "outside/.."), -EINVAL);
}

/* Makes top/<first>/d/d/..., `depth` deep. */
static void make_deep(int dirfd, const char *top, const char *first, unsigned depth)
{
        int fd;

        assert_int_equal(mkdirat(dirfd, top, 0700), 0);
        fd = openat(dirfd, top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        for (unsigned i = 0; i < depth; i++) {
                const char *name = i == 0 ? first : "d";
                int next;

                assert_int_equal(mkdirat(fd, name, 0700), 0);
                next = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                (void)close(fd);
                fd = next;
        }
        touch(fd, "bottom");
        (void)close(fd);
}

static void test_remove_deep(void **state)
{
        struct fixture *f = *state;
        struct rlimit before, few;

        make_deep(f->fd, "deep", "d", 3000);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
        few = (struct rlimit){.rlim_cur = 128, .rlim_max = before.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
        assert_int_equal(remove_tree_at(f->fd, "deep"), 0);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        assert_false(exists(f->fd, "deep"));
}

/* The tree has the names that removal itself would choose; which is met first depends on the file system's order. */
static void test_remove_deep_with_names_taken(void **state)
{
        struct fixture *f = *state;

        for (unsigned i = 0; i < 16; i++) {
                _cleanup_free_ char *first = xasprintf("d%u", i * i);

                make_deep(f->fd, "deep", first, 100);
                assert_int_equal(mkdirat(f->fd, "deep/.removing-0", 0700), 0);
                touch(f->fd, "deep/.removing-0/file");
                assert_int_equal(remove_tree_at(f->fd, "deep"), 0);
                assert_false(exists(f->fd, "deep"));
        }
}

static void test_remove_wide(void **state)
{
        struct fixture *f = *state;

        assert_int_equal(mkdirat(f->fd, "wide", 0700), 0);
        for (unsigned i = 0; i < 2000; i++) {
                _cleanup_free_ char *name = xasprintf("wide/%u", i);

                assert_int_equal(
                        i % 2 ? mkdirat(f->fd, name, 0) : mknodat(f->fd, name, S_IFREG | 0600, 0), 0);
        }
        assert_int_equal(remove_tree_at(f->fd, "wide"), 0);
        assert_false(exists(f->fd, "wide"));
}

/* In a mount namespace of its own. Exit codes: 0 fine, 77 not permitted, others the step that failed. */
static int remove_with_mount(const char *path)
{
        _cleanup_fd_ int fd = -1;

        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                return 77;
        /* Opened here: a descriptor from outside belongs to the mounts outside. */
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || chdir(path) < 0 || mkdir("tree", 0700) < 0 || mkdir("tree/mnt", 0700) < 0 ||
                mkdir("kept", 0700) < 0)
                return 1;
        touch(fd, "kept/file");
        touch(fd, "tree/goes");
        /* A bind mount of the same file system: st_dev cannot tell. */
        if (mount("kept", "tree/mnt", NULL, MS_BIND, NULL) < 0)
                return 2;
        if (remove_tree_at(fd, "tree") != -EBUSY)
                return 3;
        if (!exists(fd, "kept/file") || exists(fd, "tree/goes"))
                return 4;
        if (remove_tree_at(fd, "tree/mnt") != -EBUSY || !exists(fd, "kept/file"))
                return 5;
        if (umount2("tree/mnt", MNT_DETACH) < 0 || remove_tree_at(fd, "tree") != 0)
                return 6;
        return 0;
}

static void test_remove_crosses_no_mounts(void **state)
{
        struct fixture *f = *state;
        int status;
        pid_t pid = fork();

        if (pid == 0)
                _exit(remove_with_mount(f->path));
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        if (WEXITSTATUS(status) == 77) {
                print_message("skipped: mounting needs CAP_SYS_ADMIN\n");
                skip();
        }
        assert_int_equal(WEXITSTATUS(status), 0);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_write_and_read),
                TEST(test_read_bound),
                TEST(test_write_ignores_planted_link),
                TEST(test_failed_write_leaves_nothing),
                TEST(test_mkdir_parents),
                TEST(test_remove_follows_no_links),
                TEST(test_remove_deep),
                TEST(test_remove_deep_with_names_taken),
                TEST(test_remove_wide),
                TEST(test_remove_crosses_no_mounts),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
