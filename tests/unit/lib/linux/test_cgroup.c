/* The module on the machine at hand, as root, whichever layout it has: everything below mete-test-<pid>. */
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
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/option.h"
#include "lib/linux/cgroup_internal.h"
#include "lib/linux/syscall.h"

#define DEADLINE_NS (10 * NSEC_PER_SEC)

#define OK(call)                                                                                             \
        do {                                                                                                 \
                _cleanup_error_ struct error e = {0};                                                        \
                if ((call) < 0)                                                                              \
                        fail_msg("%s: %s", #call, error_message(&e));                                        \
        } while (0)

static struct cgroup_root *root;

static int set_up(void **state)
{
        char relative[64];
        _cleanup_error_ struct error e = {0};

        (void)snprintf(relative, sizeof(relative), "mete-test-%d/agent", (int)getpid());
        if (cgroup_root_open("/", relative, &root, &e) < 0) {
                print_error("%s\n", error_message(&e));
                return -1;
        }
        return 0;
}

/* Teardown is asserted: no directory of ours is left in any hierarchy. */
static int tear_down(void **state)
{
        char name[64];
        int left = 0;

        (void)snprintf(name, sizeof(name), "mete-test-%d", (int)getpid());
        if (cgroup_root_destroy(root, DEADLINE_NS, NULL) < 0)
                left++;
        for (size_t i = 0; i < root->count; i++)
                if (faccessat(root->hierarchies[i].mount_fd, name, F_OK, 0) == 0)
                        left++;
        root = cgroup_root_free(root);
        return left ? -1 : 0;
}

/* A child inside of the group, by the way of the launch path; `body` runs there. */
static pid_t spawn_in(const struct cgroup *c, void (*body)(void))
{
        int fds[CGROUP_CONTROLLER_MAX];
        size_t count;

        assert_int_equal(cgroup_open_entry_fds(c, fds, &count), 0);
        struct clone_args args = {
                .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (uint64_t)cgroup_v2_fd(c)};
        pid_t pid = sys_clone3(&args);
        if (pid == 0) {
                for (size_t i = 0; i < count; i++)
                        if (write(fds[i], "0", 1) != 1)
                                _exit(101);
                body();
                _exit(0);
        }
        assert_true(pid > 0);
        for (size_t i = 0; i < count; i++)
                (void)close_fd(fds[i]);
        return pid;
}

static int wait_child(pid_t pid)
{
        int status = -1;

        assert_int_equal(waitpid(pid, &status, 0), pid);
        return status;
}

static void body_pause(void)
{
        for (;;)
                (void)pause();
}

static void body_family(void)
{
        for (int i = 0; i < 3; i++)
                if (fork() == 0)
                        body_pause();
        body_pause();
}

static void body_hog(void)
{
        for (int i = 0; i < 128; i++) {
                char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
                if (p == MAP_FAILED)
                        _exit(3);
                memset(p, 1, 1 << 20);
        }
}

/* Its status is the number of forks that went through before EAGAIN. */
static void body_forks(void)
{
        for (int i = 0; i < 64; i++) {
                pid_t pid = fork();
                if (pid == 0)
                        body_pause();
                if (pid < 0)
                        _exit(errno == EAGAIN ? i : 200);
        }
        _exit(201);
}

/* 150 ms of CPU time, whatever the quota. */
static void body_spin(void)
{
        struct timespec t;

        do
                (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
        while (t.tv_sec == 0 && t.tv_nsec < 150000000);
}

static void test_discovery_agrees(void **state)
{
        CLEANUP(cgroup_mounts_done) struct cgroup_mounts asked = {0}, parsed = {0};

        assert_int_equal(cgroup_mounts_parse("/", &parsed), 0);
        assert_int_equal(cgroup_mounts_ask(&asked), 0);
        assert_string_equal(asked.v2, parsed.v2);
        for (size_t i = 0; i < CGROUP_CONTROLLER_MAX; i++)
                assert_true(str_equal(asked.v1[i], parsed.v1[i]));
        assert_true(cgroup_root_has(root, CGROUP_CPU) && cgroup_root_has(root, CGROUP_MEMORY) &&
                    cgroup_root_has(root, CGROUP_PIDS));
}

static void test_life(void **state)
{
        CLEANUP(cleanup_cgroup_free) struct cgroup *c = NULL, *again = NULL, *other = NULL;
        struct string_list names = {0};
        struct stat st;

        OK(cgroup_create(root, "tasks/one", &c, &e));
        assert_int_equal(cgroup_create(root, "tasks/one", &again, NULL), -EEXIST);
        OK(cgroup_open(root, "tasks/one", &again, &e));
        assert_true(cgroup_id(c) != 0 && cgroup_id(c) == cgroup_id(again));
        assert_int_equal(stat(cgroup_path(c, CGROUP_MEMORY), &st), 0);
        OK(cgroup_create(root, "tasks/tasks", &other, &e));
        assert_int_equal(cgroup_list(root, "tasks", &names), 0);
        assert_int_equal(names.count, 2);
        string_list_done(&names);
        assert_int_equal(cgroup_list(root, "nothing", &names), -ENOENT);
        OK(cgroup_remove(c, &e));
        OK(cgroup_remove(again, &e)); /* gone is success */
        struct cgroup_usage u;
        assert_int_equal(cgroup_read_usage(other, &u), 0);
        OK(cgroup_remove(other, &e));
        assert_int_equal(cgroup_read_usage(other, &u), -ENODEV);
        other = cgroup_free(other);
        assert_int_equal(cgroup_open(root, "tasks/one", &other, NULL), -ENOENT);
}

/* The directory that is remembered for launches is removed by somebody else. */
static void test_parent_vanishes(void **state)
{
        CLEANUP(cleanup_cgroup_free) struct cgroup *a = NULL, *tasks = NULL, *b = NULL;

        OK(cgroup_create(root, "batch/a", &a, &e));
        OK(cgroup_open(root, "batch", &tasks, &e));
        OK(cgroup_remove(tasks, &e)); /* with a in it */
        OK(cgroup_create(root, "batch/a", &b, &e));
        assert_true(cgroup_id(a) != cgroup_id(b));
}

static void test_entry_and_kill(void **state)
{
        CLEANUP(cleanup_cgroup_free) struct cgroup *c = NULL;
        bool populated = true;

        OK(cgroup_create(root, "tasks/kill", &c, &e));
        assert_int_equal(cgroup_populated(c, &populated), 0);
        assert_false(populated);
        pid_t pid = spawn_in(c, body_family);
        assert_int_equal(cgroup_populated(c, &populated), 0);
        assert_true(populated);
        assert_int_equal(cgroup_remove(c, NULL), -EBUSY);
        OK(cgroup_kill(c, &e));
        assert_int_equal(cgroup_wait_empty(c, DEADLINE_NS), 0);
        /* The dead leader is still a zombie of ours: that must not keep the group. */
        OK(cgroup_remove(c, &e));
        assert_int_equal(wait_child(pid), SIGKILL);
        OK(cgroup_kill(c, &e)); /* of a group that is gone */
}

static void test_attach(void **state)
{
        CLEANUP(cleanup_cgroup_free) struct cgroup *c = NULL;

        OK(cgroup_create(root, "tasks/attach", &c, &e));
        pid_t pid = fork();
        if (pid == 0)
                body_pause();
        OK(cgroup_attach_pid(c, pid, &e));
        for (size_t i = 0; i < root->count; i++) {
                char text[64];
                assert_int_equal(cgroup_file_read(c->fds[i], "cgroup.procs", text, sizeof(text)), 0);
                assert_int_equal(atoi(text), pid);
        }
        assert_int_equal(cgroup_attach_pid(c, 0, NULL), -EINVAL);
        OK(cgroup_kill(c, &e));
        assert_int_equal(wait_child(pid), SIGKILL);
        assert_int_equal(cgroup_wait_empty(c, DEADLINE_NS), 0);
        OK(cgroup_remove(c, &e));
}

static void test_kill_by_walk(void **state)
{
        CLEANUP(cleanup_cgroup_free) struct cgroup *c = NULL, *below = NULL;

        /* A nested group as a task would make it; the parent holds no process. */
        OK(cgroup_create(root, "walk/inner", &below, &e));
        OK(cgroup_open(root, "walk", &c, &e));
        pid_t pid = spawn_in(below, body_family);
        OK(cgroup_kill_by_walk(c, &e));
        assert_int_equal(wait_child(pid), SIGKILL);
        assert_int_equal(cgroup_wait_empty(c, DEADLINE_NS), 0);
        OK(cgroup_remove(c, &e));
}

static void test_memory_limit(void **state)
{
        CLEANUP(cleanup_cgroup_free) struct cgroup *c = NULL;
        struct cgroup_usage u;
        uint64_t kills = 0;

        OK(cgroup_create(root, "tasks/memory", &c, &e));
        OK(cgroup_set_memory_max(c, 64 << 20, &e));
        OK(cgroup_set_memory_max(c, 32 << 20, &e)); /* lower, raise, none, and lower again */
        OK(cgroup_set_memory_max(c, 48 << 20, &e));
        OK(cgroup_set_memory_max(c, UINT64_MAX, &e));
        assert_int_equal(cgroup_read_usage(c, &u), 0);
        assert_true(u.memory_limit_bytes == UINT64_MAX);
        OK(cgroup_set_memory_max(c, 16 << 20, &e));
        OK(cgroup_set_memory_protection(c, 8 << 20, &e));
        assert_int_equal(wait_child(spawn_in(c, body_hog)), SIGKILL);
        assert_int_equal(cgroup_read_oom_kills(c, &kills), 0);
        assert_int_equal(kills, 1);
        assert_int_equal(cgroup_read_usage(c, &u), 0);
        assert_true(u.has_memory);
        assert_int_equal(u.memory_limit_bytes, 16 << 20);
        assert_int_equal(u.memory_oom_kills, 1);
        assert_true(u.memory_events_oom >= 1);
        /* The v1 failure counters stay at zero on some kernels (6.18) although the limit was hit. */
        if (cgroup_root_layout(root) == CGROUP_LAYOUT_UNIFIED)
                assert_true(u.memory_events_max > 0);
        if (u.has_memory_peak)
                assert_in_range(u.memory_peak_bytes, 15 << 20, 16 << 20);
        assert_int_equal(cgroup_wait_empty(c, DEADLINE_NS), 0);
        OK(cgroup_remove(c, &e));
}

static void test_pids_limit(void **state)
{
        CLEANUP(cleanup_cgroup_free) struct cgroup *c = NULL;
        struct cgroup_usage u;

        OK(cgroup_create(root, "tasks/pids", &c, &e));
        OK(cgroup_set_pids_max(c, 5, &e));
        OK(cgroup_set_descendants_max(c, 0, &e));
        assert_int_equal(mkdirat(cgroup_v2_fd(c), "nested", 0755), -1);
        assert_int_equal(errno, EAGAIN);
        int status = wait_child(spawn_in(c, body_forks));
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 4); /* with the parent, five */
        assert_int_equal(cgroup_read_usage(c, &u), 0);
        assert_true(u.has_pids);
        assert_int_equal(u.pids, 4);
        assert_true(u.pids_limit_hits >= 1);
        OK(cgroup_kill(c, &e));
        assert_int_equal(cgroup_wait_empty(c, DEADLINE_NS), 0);
        OK(cgroup_remove(c, &e));
}

static void test_cpu(void **state)
{
        CLEANUP(cleanup_cgroup_free) struct cgroup *c = NULL;
        struct cgroup_usage u;
        uint64_t cpu = 0;

        OK(cgroup_create(root, "tasks/cpu", &c, &e));
        OK(cgroup_set_cpu_weight(c, 500, &e));
        /* Up and down, with and without a period of our own, and the smallest share there is. */
        OK(cgroup_set_cpu_quota(c, 1, 0, &e));
        OK(cgroup_set_cpu_quota(c, 2000, 10000, &e));
        OK(cgroup_set_cpu_quota(c, UINT64_MAX, 0, &e));
        OK(cgroup_set_cpu_quota(c, 300, 20000, &e));
        assert_int_equal(wait_child(spawn_in(c, body_spin)), 0);
        assert_int_equal(cgroup_read_usage(c, &u), 0);
        assert_true(u.has_cpu);
        assert_in_range(u.cpu_usage_ns, 149000000, 400000000);
        assert_true(u.cpu_periods > 5 && u.cpu_throttled_periods > 5);
        /* 150 ms at 0.3 CPUs take 500 ms: some 350 ms of them throttled; a busy machine makes it less. */
        assert_true(u.cpu_throttled_ns > 100000000);
        assert_int_equal(cgroup_read_cpu_ns(c, &cpu), 0);
        assert_true(cpu >= u.cpu_usage_ns);
        assert_int_equal(cgroup_wait_empty(c, DEADLINE_NS), 0);
        OK(cgroup_remove(c, &e));
}

static bool is_frozen(struct cgroup *c)
{
        char text[256];
        uint64_t frozen = 2;

        assert_int_equal(cgroup_fd_read(cgroup_events_fd(c), text, sizeof(text)), 0);
        assert_int_equal(cgroup_parse_keyed(text, "frozen", &frozen), 0);
        return frozen == 1;
}

static void wait_frozen(struct cgroup *c, bool wanted)
{
        struct pollfd p = {.fd = cgroup_events_fd(c), .events = POLLPRI};

        while (is_frozen(c) != wanted)
                assert_int_equal(poll(&p, 1, 10000), 1);
}

static void test_freeze(void **state)
{
        CLEANUP(cleanup_cgroup_free) struct cgroup *c = NULL;

        OK(cgroup_create(root, "tasks/freeze", &c, &e));
        pid_t pid = spawn_in(c, body_family);
        OK(cgroup_freeze(c, true, &e));
        wait_frozen(c, true);
        OK(cgroup_freeze(c, false, &e));
        wait_frozen(c, false);
        OK(cgroup_freeze(c, true, &e));
        wait_frozen(c, true);
        OK(cgroup_kill(c, &e)); /* also while frozen */
        assert_int_equal(wait_child(pid), SIGKILL);
        assert_int_equal(cgroup_wait_empty(c, DEADLINE_NS), 0);
        OK(cgroup_remove(c, &e));
}

/* What a crash between two steps leaves: a v2 group without its v1 parts, and v1 parts without a v2 group. */
static void test_half_made(void **state)
{
        CLEANUP(cleanup_cgroup_free) struct cgroup *c = NULL;

        assert_int_equal(mkdirat(root->fds[HIERARCHY_V2], "half", 0755), 0);
        OK(cgroup_open(root, "half", &c, &e));
        if (root->count > 1)
                assert_int_equal(cgroup_set_memory_max(c, 1 << 20, NULL), -ENOENT);
        OK(cgroup_remove(c, &e));
        c = cgroup_free(c);
        for (size_t i = 1; i < root->count; i++)
                assert_int_equal(mkdirat(root->fds[i], "stale", 0755), 0);
        OK(cgroup_create(root, "stale", &c, &e));
        OK(cgroup_remove(c, &e));
}

/* Destroying the root kills what runs and removes what is nested. */
static void test_destroy(void **state)
{
        CLEANUP(cleanup_cgroup_free) struct cgroup *c = NULL;

        OK(cgroup_create(root, "tasks/deep/er", &c, &e));
        pid_t pid = spawn_in(c, body_family);
        OK(cgroup_root_destroy(root, DEADLINE_NS, &e));
        assert_int_equal(wait_child(pid), SIGKILL);
        for (size_t i = 0; i < root->count; i++)
                assert_int_equal(access(root->hierarchies[i].path, F_OK), -1);
        root = cgroup_root_free(root);
        assert_int_equal(set_up(NULL), 0); /* for the teardown, which destroys it again */
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_discovery_agrees),
                cmocka_unit_test(test_life),
                cmocka_unit_test(test_parent_vanishes),
                cmocka_unit_test(test_entry_and_kill),
                cmocka_unit_test(test_attach),
                cmocka_unit_test(test_kill_by_walk),
                cmocka_unit_test(test_memory_limit),
                cmocka_unit_test(test_pids_limit),
                cmocka_unit_test(test_cpu),
                cmocka_unit_test(test_freeze),
                cmocka_unit_test(test_half_made),
                cmocka_unit_test(test_destroy),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
