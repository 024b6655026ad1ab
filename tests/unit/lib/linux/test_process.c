#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/linux/process.h"
#include "lib/linux/syscall.h"

static void test_identity(void **state)
{
        struct process_id id = {0};
        _cleanup_fd_ int fd = -1;
        int other = -1;

        id.pid = fork();
        if (id.pid == 0) {
                (void)pause();
                _exit(0);
        }
        assert_int_equal(process_start_ticks("/proc", id.pid, &id.start_ticks), 0);
        assert_int_equal(process_open(&id, &fd), 0);
        struct process_id reused = {.pid = id.pid, .start_ticks = id.start_ticks - 1};
        assert_int_equal(process_open(&reused, &other), -ESRCH);

        assert_int_equal(sys_pidfd_send_signal(fd, SIGKILL), 0);
        struct pollfd p = {.fd = fd, .events = POLLIN};
        assert_int_equal(poll(&p, 1, 10000), 1);
        assert_int_equal(waitpid(id.pid, NULL, 0), id.pid);
        assert_int_equal(process_open(&id, &other), -ESRCH);
        uint64_t ticks;
        assert_int_equal(process_start_ticks("/proc", id.pid, &ticks), -ESRCH);
        assert_int_equal(process_start_ticks("/proc", 0, &ticks), -EINVAL);
        assert_int_equal(process_start_ticks("/proc", -1, &ticks), -EINVAL);
        assert_int_equal(other, -1);
}

static void put(int dirfd, const char *path, const char *text)
{
        _cleanup_fd_ int fd = openat(dirfd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

        assert_true(fd >= 0);
        assert_int_equal(write_all(fd, text, strlen(text)), 0);
}

static void test_fixture_proc(void **state)
{
        char path[] = "/tmp/mete-test-proc-XXXXXX", id[BOOT_ID_MAX];
        uint64_t ticks = 0;

        assert_non_null(mkdtemp(path));
        _cleanup_fd_ int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(mkdir_parents_at(fd, "7", 0755), 0);
        assert_int_equal(mkdir_parents_at(fd, "sys/kernel/random", 0755), 0);

        /* The name is the process's own choice and looks like more fields. */
        put(fd, "7/stat", "7 (a) S 1 2 (b) 3) R 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1000 5\n");
        assert_int_equal(process_start_ticks(path, 7, &ticks), 0);
        assert_int_equal(ticks, 987654);
        static const char *const bad[] = {"", "7", "7 (x", "7 (x) R 1 2",
                "7 (x) R 1 7 7 0 -1 4 1 2 3 4 5 6 7 8 20 0 1 0 -5 1000 5\n",
                "7 (x) R 1 7 7 0 -1 4 1 2 3 4 5 6 7 8 20 0 1 0 18446744073709551616 1000 5\n"};
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                put(fd, "7/stat", bad[i]);
                assert_int_equal(process_start_ticks(path, 7, &ticks), -EBADMSG);
        }

        put(fd, "sys/kernel/random/boot_id", "0a1b2c3d-1111-2222-3333-444455556666\n");
        assert_int_equal(boot_id_read(path, id), 0);
        assert_string_equal(id, "0a1b2c3d-1111-2222-3333-444455556666");
        put(fd, "sys/kernel/random/boot_id", "../../../../etc/passwd-0123456789012\n");
        assert_int_equal(boot_id_read(path, id), -EBADMSG);
        assert_int_equal(boot_id_read("/proc", id), 0);
        assert_int_equal(remove_tree_at(AT_FDCWD, path), 0);
}

static void test_wait_status(void **state)
{
        char text[WAIT_STATUS_TEXT_MAX];

        assert_string_equal(wait_status_format(3 << 8, text), "exited with status 3");
        assert_string_equal(wait_status_format(SIGKILL, text), "terminated by signal SIGKILL");
        assert_string_equal(
                wait_status_format(SIGSEGV | 0x80, text), "terminated by signal SIGSEGV (core dumped)");
        assert_int_equal(wait_status_exit_code(255 << 8), 255);
        assert_int_equal(wait_status_exit_code(SIGKILL), 137);
        assert_int_equal(wait_status_exit_code(0), 0);
}

static void test_signals(void **state)
{
        static const char *const bad[] = {
                "", "0", "65", "-1", "SIG", "SIGSIGTERM", "term", "TERM ", "99999999999", "15x"};

        assert_int_equal(signal_from_string("TERM"), SIGTERM);
        assert_int_equal(signal_from_string("SIGTERM"), SIGTERM);
        assert_int_equal(signal_from_string("15"), SIGTERM);
        assert_int_equal(signal_from_string("64"), 64);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_int_equal(signal_from_string(bad[i]), -EINVAL);
        assert_string_equal(signal_name(42), "SIG 42");
        assert_string_equal(signal_name(64), "SIG 64");
        assert_string_equal(signal_name(1000), "SIG ?");
        for (int s = 1; s < 32; s++)
                assert_int_equal(signal_from_string(signal_name(s)), s);
}

static void test_machine(void **state)
{
        uint64_t bytes = 0;

        assert_int_equal(machine_memory_bytes(&bytes), 0);
        assert_true(bytes > 64 * 1024 * 1024);
        assert_true(machine_cpu_count() >= 1 && machine_cpu_count() <= sysconf(_SC_NPROCESSORS_CONF));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_identity),
                cmocka_unit_test(test_fixture_proc),
                cmocka_unit_test(test_wait_status),
                cmocka_unit_test(test_signals),
                cmocka_unit_test(test_machine),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
