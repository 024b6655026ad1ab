#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/linux/mount.h"
#include "lib/linux/syscall.h"

/* base/root is the image, base/secret lies outside of it. */
struct fixture {
        char base[64];
        int base_fd, root_fd;
};

static int set_up(void **state)
{
        static struct fixture f;

        strcpy(f.base, "/tmp/mete-test-mount-XXXXXX");
        if (!mkdtemp(f.base))
                return -1;
        f.base_fd = open(f.base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (mkdirat(f.base_fd, "root", 0755) < 0 || mkdirat(f.base_fd, "secret", 0755) < 0)
                return -1;
        f.root_fd = openat(f.base_fd, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        *state = &f;
        return f.root_fd < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
        struct fixture *f = *state;

        (void)close_fd(f->root_fd);
        (void)close_fd(f->base_fd);
        return remove_tree_at(AT_FDCWD, f->base);
}

static bool exists(int dirfd, const char *path)
{
        return faccessat(dirfd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool same(int a, int dirfd, const char *path)
{
        struct stat x, y;

        assert_int_equal(fstat(a, &x), 0);
        assert_int_equal(fstatat(dirfd, path, &y, 0), 0);
        return x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static void test_open_stays_inside(void **state)
{
        struct fixture *f = *state;
        _cleanup_fd_ int dots = -1, absolute = -1, none = -1, root = -1;
        _cleanup_free_ char *secret = xasprintf("%s/secret", f->base);
        _cleanup_error_ struct error e = {0};

        assert_int_equal(symlinkat("../../../../../../..", f->root_fd, "up"), 0);
        assert_int_equal(symlinkat("../secret", f->root_fd, "beside"), 0);
        assert_int_equal(symlinkat(secret, f->root_fd, "absolute"), 0);
        assert_int_equal(symlinkat("/", f->root_fd, "slash"), 0);

        assert_int_equal(mount_open_in_root(f->root_fd, "up", &dots, NULL), 0);
        assert_true(same(dots, f->base_fd, "root"));
        assert_int_equal(mount_open_in_root(f->root_fd, "/slash/../..", &absolute, NULL), 0);
        assert_true(same(absolute, f->base_fd, "root"));
        assert_int_equal(mount_open_in_root(f->root_fd, "", &root, NULL), 0);
        assert_true(same(root, f->base_fd, "root"));
        assert_int_equal(mount_open_in_root(f->root_fd, "beside", &none, &e), -ENOENT);
        assert_int_equal(mount_open_in_root(f->root_fd, "absolute", &none, &e), -ENOENT);
        assert_int_equal(mount_open_in_root(f->root_fd, "../secret", &none, &e), -ENOENT);
        assert_non_null(strstr(error_message(&e), "../secret"));
        assert_int_equal(none, -1);
}

/* Into a mount namespace of our own; a directory fd from before still belongs to the old one, so the root is opened anew. */
static int enter_namespace(const struct fixture *f)
{
        _cleanup_free_ char *path = xasprintf("%s/root", f->base);

        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                return -errno;
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

/* Magic links jump to what an fd or a process has open, past every root. */
static void test_no_magic_links(void **state)
{
        static const char *const paths[] = {
                "proc/self/root", "proc/self/cwd", "proc/self/exe", "proc/self/root/etc/passwd", "link"};
        struct fixture *f = *state;

        pid_t pid = fork();
        if (pid == 0) {
                _cleanup_fd_ int proc = -1, target = -1, fd = -1;
                const int root_fd = enter_namespace(f);
                if (root_fd < 0)
                        _exit(1);
                if (mount_mkdir_in_root(root_fd, "proc", &target, NULL) < 0 ||
                        mount_new("proc", "proc", NULL, 0, &proc, NULL) < 0 ||
                        mount_attach(proc, target, NULL) < 0)
                        _exit(2);
                if (symlinkat("/proc/self/fd/1", root_fd, "link") < 0)
                        _exit(3);
                if (mount_open_in_root(root_fd, "proc/self/status", &fd, NULL) < 0)
                        _exit(4);
                for (size_t i = 0; i < ELEMENTSOF(paths); i++) {
                        int leak;
                        if (mount_open_in_root(root_fd, paths[i], &leak, NULL) != -ELOOP)
                                _exit(10 + (int)i);
                        if (mount_mkdir_in_root(root_fd, paths[i], &leak, NULL) != -ELOOP)
                                _exit(20 + (int)i);
                }
                _exit(0);
        }
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
}

static void test_mkdir(void **state)
{
        struct fixture *f = *state;
        _cleanup_fd_ int a = -1, b = -1, none = -1, inside = -1;
        _cleanup_free_ char *secret = xasprintf("%s/secret", f->base);

        assert_int_equal(mount_mkdir_in_root(f->root_fd, "/a/b//c/", &a, NULL), 0);
        assert_true(same(a, f->root_fd, "a/b/c"));
        assert_int_equal(mount_mkdir_in_root(f->root_fd, "a/b/c", &b, NULL), 0);

        /* A link to the outside is one to a place inside, and that is missing. */
        assert_int_equal(symlinkat("../secret", f->root_fd, "beside"), 0);
        assert_int_equal(symlinkat(secret, f->root_fd, "absolute"), 0);
        assert_true(mount_mkdir_in_root(f->root_fd, "beside/x", &none, NULL) < 0);
        assert_true(mount_mkdir_in_root(f->root_fd, "absolute/x", &none, NULL) < 0);
        assert_int_equal(mount_mkdir_in_root(f->root_fd, "a/../../secret/x", &none, NULL), -EINVAL);
        assert_false(exists(f->base_fd, "secret/x"));

        /* A link that stays inside is followed. */
        assert_int_equal(symlinkat("/a", f->root_fd, "inner"), 0);
        assert_int_equal(mount_mkdir_in_root(f->root_fd, "inner/new", &inside, NULL), 0);
        assert_true(exists(f->root_fd, "a/new"));
        assert_int_equal(none, -1);
}

static void test_mkfile(void **state)
{
        struct fixture *f = *state;
        _cleanup_fd_ int a = -1, again = -1, none = -1, deep = -1;
        struct stat st;

        assert_int_equal(mount_mkfile_in_root(f->root_fd, "file", &a, NULL), 0);
        assert_int_equal(mount_mkfile_in_root(f->root_fd, "/file", &again, NULL), 0);
        assert_int_equal(mount_mkfile_in_root(f->root_fd, "x/y/file", &deep, NULL), 0);
        assert_int_equal(fstatat(f->root_fd, "x/y/file", &st, 0), 0);
        assert_true(S_ISREG(st.st_mode));
        assert_int_equal(mount_mkfile_in_root(f->root_fd, "x", &none, NULL), -EISDIR);
        assert_int_equal(mount_mkfile_in_root(f->root_fd, "x/", &none, NULL), -EISDIR);
        assert_int_equal(mount_mkfile_in_root(f->root_fd, "new/", &none, NULL), -EINVAL);
        assert_int_equal(mount_mkfile_in_root(f->root_fd, "../secret/f", &none, NULL), -EINVAL);
        assert_int_equal(symlinkat("../secret/f", f->root_fd, "dangling"), 0);
        assert_true(mount_mkfile_in_root(f->root_fd, "dangling", &none, NULL) < 0);
        assert_false(exists(f->base_fd, "secret/f"));
        assert_int_equal(none, -1);
}

/* In a child with its own mount namespace: nothing is left to unmount. */
static int child_mounts(const struct fixture *f)
{
        _cleanup_fd_ int root_fd = -1, tmpfs = -1, target = -1, clone = -1, file = -1, at_clone = -1;
        _cleanup_error_ struct error e = {0};
        struct statfs fs;
        int bad;

        root_fd = enter_namespace(f);
        if (root_fd < 0)
                return 1;
        if (mount_new("tmpfs", "mete", "size=1M,mode=0700", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, &tmpfs,
                    &e) < 0)
                return 2;
        if (mount_mkdir_in_root(root_fd, "mnt", &target, &e) < 0 || mount_attach(tmpfs, target, &e) < 0)
                return 3;
        if (fstatfs(tmpfs, &fs) < 0 || fs.f_type != 0x01021994)
                return 4;
        file = openat(tmpfs, "f", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        if (file < 0)
                return 5;
        if (mount_clone(tmpfs, true, MOUNT_ATTR_RDONLY, &clone, &e) < 0 ||
                mount_mkdir_in_root(root_fd, "ro", &at_clone, &e) < 0 ||
                mount_attach(clone, at_clone, &e) < 0)
                return 6;
        if (openat(clone, "f", O_WRONLY | O_CLOEXEC) >= 0 || errno != EROFS)
                return 7;
        if (openat(tmpfs, "g", O_WRONLY | O_CREAT | O_CLOEXEC, 0644) < 0)
                return 8;
        if (mount_new("tmpfs", "mete", "no_such_option=1", 0, &bad, &e) >= 0 ||
                !strstr(error_message(&e), "no_such_option"))
                return 9;
        if (mount_new("no-such-fs", NULL, NULL, 0, &bad, &e) != -ENODEV ||
                !strstr(error_message(&e), "no-such-fs"))
                return 10;
        return 0;
}

static void test_mounts(void **state)
{
        int status;

        pid_t pid = fork();
        if (pid == 0)
                _exit(child_mounts(*state));
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_open_stays_inside, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_no_magic_links, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_mkdir, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_mkfile, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_mounts, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
