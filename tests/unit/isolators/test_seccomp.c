/* Compiled profiles, loaded in a child and tried with real system calls; and the parser's refusals. */
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "isolators/seccomp.h"
#include "lib/linux/syscall.h"

#define RESULT_OK 200 /* exit status of a call that succeeded */

struct call {
        long number;
        long args[6];
};

/* Exit status of a child under the filter: the errno of the call, or RESULT_OK; -signal when it was killed. */
static int try_call(const struct sock_filter *filter, size_t count, const struct call *c)
{
        struct sock_fprog program = {
                .len = (unsigned short)count, .filter = (struct sock_filter *)(uintptr_t)filter};
        int status;

        pid_t pid = fork();
        if (pid == 0) {
                if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
                        sys_seccomp(SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
                        _exit(250);
                long r = syscall(
                        c->number, c->args[0], c->args[1], c->args[2], c->args[3], c->args[4], c->args[5]);
                _exit(r < 0 ? errno : RESULT_OK);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static int try_profile(const char *json, uint64_t capabilities, const struct call *c)
{
        _cleanup_error_ struct error e = {0};
        const struct sock_filter *filter;
        size_t count;

        if (seccomp_compile(json, capabilities, &filter, &count, &e) < 0)
                fail_msg("%s", error_message(&e));
        return try_call(filter, count, c);
}

static void test_default_denies(void **state)
{
        static const struct {
                struct call call;
                int expected;
        } rows[] = {
                {{SYS_mount, {0}}, EPERM},
                {{SYS_umount2, {0}}, EPERM},
                {{SYS_unshare, {CLONE_NEWUSER}}, EPERM},
                {{SYS_setns, {-1}}, EPERM},
                {{SYS_clone, {CLONE_NEWUSER | SIGCHLD}}, EPERM},
                {{SYS_clone3, {0}}, ENOSYS},
                {{SYS_bpf, {0}}, EPERM},
                {{SYS_perf_event_open, {0}}, EPERM},
                {{SYS_keyctl, {0}}, EPERM},
                {{SYS_add_key, {0}}, EPERM},
                {{SYS_request_key, {0}}, EPERM},
                {{SYS_userfaultfd, {0}}, EPERM},
                {{SYS_io_uring_setup, {1}}, EPERM},
                {{SYS_fsopen, {0}}, EPERM},
                {{SYS_open_tree, {0}}, EPERM},
                {{SYS_move_mount, {0}}, EPERM},
                {{SYS_mount_setattr, {0}}, EPERM},
                {{SYS_pivot_root, {0}}, EPERM},
                {{SYS_kexec_load, {0}}, EPERM},
                {{SYS_init_module, {0}}, EPERM},
                {{SYS_ptrace, {0}}, EPERM},
                {{SYS_process_vm_readv, {0}}, EPERM},
                {{SYS_open_by_handle_at, {0}}, EPERM},
                {{SYS_personality, {0x0040000 /* ADDR_NO_RANDOMIZE */}}, EPERM},
                {{SYS_socket, {38 /* AF_ALG */, 5}}, EPERM},
                {{SYS_socket, {40 /* AF_VSOCK */, 1}}, EPERM},
                /* The kernel looks at the low 32 bits only: the filter must not be fooled by high ones. */
                {{SYS_socket, {0x100000000 | 38, 5}}, EPERM},
                {{SYS_clone, {0x100000000 | CLONE_NEWUSER | SIGCHLD}}, EPERM},
                {{457 /* statmount: known, not allowed */, {0}}, EPERM},
                {{999, {0}}, ENOSYS},
                {{SYS_reboot, {0}}, EPERM},
                {{SYS_sethostname, {0}}, EPERM},
                {{SYS_syslog, {3}}, EPERM},
                {{SYS_settimeofday, {0}}, EPERM},
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                int r = try_profile(NULL, 0, &rows[i].call);
                if (r != rows[i].expected)
                        fail_msg("call %ld (row %zu): %d, not %d", rows[i].call.number, i, r,
                                rows[i].expected);
        }
}

static void test_default_allows(void **state)
{
        static const struct call rows[] = {
                {SYS_getpid, {0}}, {SYS_personality, {0xffffffff}}, {SYS_socket, {1, 1}},
                {SYS_memfd_create, {(long)"x", 0}},
                {SYS_sched_getaffinity, {0, 0, 0}}, /* EINVAL, not EPERM */
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                int r = try_profile(NULL, 0, &rows[i]);
                assert_int_not_equal(r, EPERM);
                assert_true(r > 0);
        }
}

static void test_capabilities_open_calls(void **state)
{
        const struct call mount_call = {SYS_mount, {0}};

        /* EFAULT or the like: the filter let it through. */
        assert_int_not_equal(try_profile(NULL, UINT64_C(1) << CAP_SYS_ADMIN, &mount_call), 250);
        const struct sock_filter *with, *without;
        size_t n_with, n_without;
        assert_int_equal(seccomp_compile(NULL, 0, &without, &n_without, NULL), 0);
        assert_int_equal(seccomp_compile(NULL, UINT64_C(1) << CAP_SYS_ADMIN, &with, &n_with, NULL), 0);
        assert_int_not_equal(n_with, n_without);
        /* As this process is root, the call itself decides. */
        if (geteuid() == 0)
                assert_int_equal(try_call(with, n_with, &mount_call), EFAULT);
        assert_int_equal(try_call(without, n_without, &mount_call), EPERM);
}

#if defined(__x86_64__)
static void test_other_architectures_die(void **state)
{
        const struct call x32 = {0x40000000 + 39 /* getpid */, {0}};
        const struct sock_filter *filter;
        size_t count;
        int status;

        assert_int_equal(try_profile(NULL, 0, &x32), -SIGSYS);
        assert_int_equal(seccomp_compile(NULL, 0, &filter, &count, NULL), 0);
        pid_t pid = fork();
        if (pid == 0) {
                struct sock_fprog program = {
                        .len = (unsigned short)count, .filter = (struct sock_filter *)(uintptr_t)filter};
                long r = 20; /* getpid of i386 */
                (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
                (void)sys_seccomp(SECCOMP_SET_MODE_FILTER, 0, &program);
                __asm__ volatile("int $0x80" : "+a"(r) : : "memory");
                _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGSYS);
}
#endif

static void test_own_profile(void **state)
{
        static const char json[] = "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"architectures\": "
                                   "[\"SCMP_ARCH_X86_64\", \"SCMP_ARCH_AARCH64\"],"
                                   " \"syscalls\": [{\"names\": [\"getppid\", \"getpgid\"], \"action\": "
                                   "\"SCMP_ACT_ERRNO\", \"errnoRet\": 71},"
                                   " {\"name\": \"dup\", \"action\": \"SCMP_ACT_ERRNO\", \"args\": "
                                   "[{\"index\": 0, \"value\": 1, \"op\": \"SCMP_CMP_EQ\"}]},"
                                   " {\"names\": [\"getuid\"], \"action\": \"SCMP_ACT_KILL_PROCESS\", "
                                   "\"includes\": {\"caps\": [\"CAP_CHOWN\"]}}]}";
        const struct call getppid_call = {SYS_getppid, {0}}, dup1 = {SYS_dup, {1}}, dup0 = {SYS_dup, {2}},
                          getuid_call = {SYS_getuid, {0}};

        assert_int_equal(try_profile(json, 0, &getppid_call), 71);
        assert_int_equal(try_profile(json, 0, &dup1), EPERM);
        assert_int_equal(try_profile(json, 0, &dup0), RESULT_OK);
        assert_int_equal(try_profile(json, 0, &getuid_call), RESULT_OK);
        assert_int_equal(try_profile(json, UINT64_C(1) << CAP_CHOWN, &getuid_call), -SIGSYS);
}

static void test_cache(void **state)
{
        const struct sock_filter *a, *b;
        size_t n;

        assert_int_equal(seccomp_compile(NULL, 0, &a, &n, NULL), 0);
        assert_int_equal(seccomp_compile(NULL, 0, &b, &n, NULL), 0);
        assert_ptr_equal(a, b);
        /* More profiles than places: all still compile. */
        for (int i = 0; i < 20; i++) {
                char json[128];
                (void)snprintf(json, sizeof(json),
                        "{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"defaultErrnoRet\": %d}", i + 1);
                assert_int_equal(seccomp_compile(json, 0, &b, &n, NULL), 0);
        }
        seccomp_cache_clear();
}

static void test_refusals(void **state)
{
        static const struct {
                const char *json, *message;
        } rows[] = {
                {"", "not JSON"},
                {"[]", "a JSON object"},
                {"{\"defaultAction\": \"SCMP_ACT_ALOW\"}", "defaultAction"},
                {"{\"defaultAction\": 3}", "defaultAction"},
                {"{}", "defaultAction"},
                {"{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"defaultAction\": \"SCMP_ACT_ALLOW\"}",
                        "not JSON"},
                {"{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscals\": []}", "syscals"},
                {"{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"defaultErrnoRet\": 5000}", "defaultErrnoRet"},
                {"{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"architectures\": [\"SCMP_ARCH_S390\"]}",
                        "architectures"},
                {"{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{\"names\": [], \"action\": "
                 "\"SCMP_ACT_ERRNO\"}]}",
                        "syscalls[0].names"},
                {"{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{\"names\": [\"mont\"], \"action\": "
                 "\"SCMP_ACT_ERRNO\"}]}",
                        "\"mont\" is unknown"},
                {"{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{\"names\": [\"dup\"], \"action\": "
                 "\"SCMP_ACT_ERRNO\", \"args\": [{\"index\": 6, \"value\": 1, \"op\": \"SCMP_CMP_EQ\"}]}]}",
                        "syscalls[0].args[0].index"},
                {"{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{\"names\": [\"dup\"], \"action\": "
                 "\"SCMP_ACT_ERRNO\", \"args\": [{\"index\": 0, \"value\": 1, \"op\": \"==\"}]}]}",
                        "syscalls[0].args[0].op"},
                {"{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{\"names\": [\"dup\"], \"action\": "
                 "\"SCMP_ACT_ERRNO\", \"includes\": {\"caps\": [\"CAP_X\"]}}]}",
                        "caps"},
                {"{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{\"names\": [\"dup\"], \"action\": "
                 "\"SCMP_ACT_NOTIFY\"}]}",
                        "syscalls[0].action"},
                {"{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"flags\": [\"SECCOMP_FILTER_FLAG_NEW_LISTENER\"]}",
                        "flags"},
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_error_ struct error e = {0};
                const struct sock_filter *filter;
                size_t count;
                assert_int_equal(seccomp_compile(rows[i].json, 0, &filter, &count, &e), -EINVAL);
                if (!strstr(error_message(&e), rows[i].message))
                        fail_msg("%s: %s", rows[i].json, error_message(&e));
        }
        _cleanup_free_ char *big = xcalloc(1, SECCOMP_PROFILE_MAX + 2);
        memset(big, ' ', SECCOMP_PROFILE_MAX + 1);
        const struct sock_filter *filter;
        size_t count;
        assert_int_equal(seccomp_compile(big, 0, &filter, &count, NULL), -E2BIG);
}

/* `count` rules on one call, each ordered comparisons of `conditions` arguments: what libseccomp takes minutes for. */
static char *costly_profile(size_t count, size_t conditions)
{
        struct buffer b = {0};

        buffer_puts(&b, "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[");
        for (size_t i = 0; i < count; i++) {
                buffer_printf(&b, "%s{\"names\":[\"ioctl\"],\"action\":\"SCMP_ACT_ERRNO\",\"args\":[",
                        i ? "," : "");
                for (size_t k = 0; k < conditions; k++)
                        buffer_printf(&b, "%s{\"index\":%zu,\"value\":%zu,\"op\":\"SCMP_CMP_%s\"}",
                                k ? "," : "", (i * 5 + k) % 6, i * 7919 + k, k % 2 ? "LT" : "GT");
                buffer_puts(&b, "]}");
        }
        buffer_puts(&b, "]}");
        return buffer_take(&b);
}

static void test_costly_profiles_are_refused(void **state)
{
        static const struct {
                size_t count, conditions;
                const char *message; /* NULL: accepted */
        } rows[] = {
                {3, 6, NULL},
                {4, 6, "at most 3 rules with several conditions"},
                {256, 1, NULL},
                {257, 1, "at most 256 rules with conditions"},
        };

        alarm(20); /* the compiler would not come back */
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_free_ char *json = costly_profile(rows[i].count, rows[i].conditions);
                _cleanup_error_ struct error e = {0};
                const struct sock_filter *filter;
                size_t count;
                assert_int_equal(
                        seccomp_compile(json, 0, &filter, &count, &e), rows[i].message ? -EINVAL : 0);
                if (rows[i].message)
                        assert_non_null(strstr(error_message(&e), rows[i].message));
        }
        alarm(0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_default_denies),
                cmocka_unit_test(test_default_allows),
                cmocka_unit_test(test_capabilities_open_calls),
#if defined(__x86_64__)
                cmocka_unit_test(test_other_architectures_die),
#endif
                cmocka_unit_test(test_own_profile),
                cmocka_unit_test(test_cache),
                cmocka_unit_test(test_refusals),
                cmocka_unit_test(test_costly_profiles_are_refused),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
