/* Readers and discovery against trees of plain files: both layouts on any machine, and numbers that no kernel writes. */
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

#include "lib/base/option.h"
#include "lib/linux/cgroup_internal.h"

struct fixture {
        char path[64];
        int fd;
};

static int set_up(void **state)
{
        static struct fixture f;

        strcpy(f.path, "/tmp/mete-test-cgroup-XXXXXX");
        if (!mkdtemp(f.path))
                return -1;
        f.fd = open(f.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        *state = &f;
        return mkdir_parents_at(f.fd, "proc/self", 0755);
}

static int tear_down(void **state)
{
        struct fixture *f = *state;

        (void)close_fd(f->fd);
        return remove_tree_at(AT_FDCWD, f->path);
}

static void put(const struct fixture *f, const char *dir, const char *file, const char *text)
{
        _cleanup_free_ char *path = xasprintf("%s/%s", dir, file);

        assert_int_equal(mkdir_parents_at(f->fd, dir, 0755), 0);
        _cleanup_fd_ int fd = openat(f->fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        assert_true(fd >= 0);
        assert_int_equal(write_all(fd, text, strlen(text)), 0);
}

static void assert_content(const struct fixture *f, const char *path, const char *text)
{
        _cleanup_free_ char *data = NULL;
        size_t len;

        assert_int_equal(read_file_at(f->fd, path, 4096, &data, &len), 0);
        assert_string_equal(data, text);
}

static void v2_level(const struct fixture *f, const char *dir, const char *controllers, const char *enabled)
{
        put(f, dir, "cgroup.controllers", controllers);
        put(f, dir, "cgroup.subtree_control", enabled);
}

#define ALL_V2 "cpuset cpu io memory hugetlb pids rdma misc\n"
#define V2 "sys/fs/cgroup"
#define PRESSURE                                                                                             \
        "some avg10=0.00 avg60=1.00 avg300=0.10 total=1500\n"                                                \
        "full avg10=0.00 avg60=1.00 avg300=0.10 total=70\n"

static void unified_tree(const struct fixture *f)
{
        put(f, "proc/self", "mounts",
                "proc /proc proc rw 0 0\ncgroup2 /sys/fs/cgroup cgroup2 "
                "rw,nosuid,nsdelegate,memory_recursiveprot 0 0\n");
        v2_level(f, V2, ALL_V2, "");
        v2_level(f, V2 "/mete", ALL_V2, "cpuset cpu io memory pids\n");
        v2_level(f, V2 "/mete/agent", ALL_V2, "cpuset cpu io memory pids\n");
        put(f, V2 "/mete/agent/t", "cpu.stat",
                "usage_usec 123456\nuser_usec 100000\nsystem_usec 23456\nnice_usec 0\nnr_periods "
                "10\nnr_throttled 3\nthrottled_usec 777\n");
        put(f, V2 "/mete/agent/t", "memory.current", "1000000\n");
        put(f, V2 "/mete/agent/t", "memory.peak", "3000000\n");
        put(f, V2 "/mete/agent/t", "memory.max", "max\n");
        put(f, V2 "/mete/agent/t", "memory.stat",
                "anon 400000\nfile 600000\ninactive_anon 1\ninactive_file 250000\npgfault 11\npgmajfault "
                "2\n");
        put(f, V2 "/mete/agent/t", "memory.events",
                "low 0\nhigh 0\nmax 5\noom 4\noom_kill 3\noom_group_kill 0\n");
        put(f, V2 "/mete/agent/t", "pids.current", "7\n");
        put(f, V2 "/mete/agent/t", "pids.events", "max 9\n");
        put(f, V2 "/mete/agent/t", "cpu.pressure", PRESSURE);
        put(f, V2 "/mete/agent/t", "memory.pressure", PRESSURE);
        put(f, V2 "/mete/agent/t", "io.pressure", PRESSURE);
}

static void open_group(const struct fixture *f, struct cgroup_root **root, struct cgroup **group)
{
        _cleanup_error_ struct error e = {0};

        if (cgroup_root_open(f->path, "mete/agent", root, &e) < 0 || cgroup_open(*root, "t", group, &e) < 0)
                fail_msg("%s", error_message(&e));
}

static void test_unified(void **state)
{
        struct fixture *f = *state;
        CLEANUP(cleanup_cgroup_root_free) struct cgroup_root *root = NULL;
        CLEANUP(cleanup_cgroup_free) struct cgroup *g = NULL;
        struct cgroup_usage u;

        unified_tree(f);
        open_group(f, &root, &g);
        assert_int_equal(cgroup_root_layout(root), CGROUP_LAYOUT_UNIFIED);
        for (int c = 0; c < CGROUP_CONTROLLER_MAX; c++) {
                assert_true(cgroup_root_has(root, (enum cgroup_controller)c));
                assert_null(cgroup_root_missing(root, (enum cgroup_controller)c));
        }
        /* One write that names what was not on yet. */
        assert_content(f, V2 "/cgroup.subtree_control", "+cpu +cpuset +memory +pids +io");
        assert_content(f, V2 "/mete/cgroup.subtree_control", "cpuset cpu io memory pids\n");
        _cleanup_free_ char *path = xasprintf("%s/" V2 "/mete/agent/t", f->path);
        assert_string_equal(cgroup_path(g, CGROUP_MEMORY), path);

        assert_int_equal(cgroup_read_usage(g, &u), 0);
        assert_true(u.has_cpu && u.has_memory && u.has_memory_peak && u.has_pids && u.has_cpu_pressure &&
                    u.has_memory_pressure);
        assert_int_equal(u.cpu_usage_ns, 123456000);
        assert_int_equal(u.cpu_user_ns, 100000000);
        assert_int_equal(u.cpu_system_ns, 23456000);
        assert_int_equal(u.cpu_periods, 10);
        assert_int_equal(u.cpu_throttled_periods, 3);
        assert_int_equal(u.cpu_throttled_ns, 777000);
        assert_int_equal(u.memory_bytes, 1000000);
        assert_int_equal(u.memory_peak_bytes, 3000000);
        assert_true(u.memory_limit_bytes == UINT64_MAX);
        assert_int_equal(u.memory_working_set_bytes, 750000);
        assert_int_equal(u.memory_anon_bytes, 400000);
        assert_int_equal(u.memory_file_bytes, 600000);
        assert_int_equal(u.memory_events_max, 5);
        assert_int_equal(u.memory_events_oom, 4);
        assert_int_equal(u.memory_oom_kills, 3);
        assert_int_equal(u.memory_page_faults, 11);
        assert_int_equal(u.memory_major_faults, 2);
        assert_int_equal(u.pids, 7);
        assert_int_equal(u.pids_limit_hits, 9);
        assert_int_equal(u.cpu_some_ns, 1500000);
        assert_int_equal(u.io_full_ns, 70000);
}

static void test_unified_limits(void **state)
{
        struct fixture *f = *state;
        CLEANUP(cleanup_cgroup_root_free) struct cgroup_root *root = NULL;
        CLEANUP(cleanup_cgroup_free) struct cgroup *g = NULL;
        static const struct {
                uint64_t milli, period;
                const char *text;
        } quotas[] = {
                {500, 0, "50000 100000"},
                {2500, 0, "250000 100000"},
                {10, 0, "1000 100000"},
                {9, 0, "1000 111112"},
                {1, 0, "1000 1000000"},
                {1000, 1000, "1000 1000"},
                {500, 1000, "1000 2000"},
                {UINT64_MAX, 0, "max 100000"},
        };
        static const struct {
                uint64_t milli;
                const char *text;
        } weights[] = {
                {1000, "100"}, {500, "50"}, {1, "1"}, {0, "1"}, {64000, "6400"}, {UINT64_MAX, "10000"}};

        unified_tree(f);
        put(f, V2 "/mete/agent/t", "cpu.max", "");
        put(f, V2 "/mete/agent/t", "cpu.weight", "");
        put(f, V2 "/mete/agent/t", "pids.max", "");
        put(f, V2 "/mete/agent/t", "memory.low", "");
        put(f, V2 "/mete/agent/t", "memory.swap.max", "");
        open_group(f, &root, &g);
        for (size_t i = 0; i < ELEMENTSOF(quotas); i++) {
                put(f, V2 "/mete/agent/t", "cpu.max", "");
                assert_int_equal(cgroup_set_cpu_quota(g, quotas[i].milli, quotas[i].period, NULL), 0);
                assert_content(f, V2 "/mete/agent/t/cpu.max", quotas[i].text);
        }
        assert_int_equal(cgroup_set_cpu_quota(g, 0, 0, NULL), -EINVAL);
        assert_int_equal(cgroup_set_cpu_quota(g, 500, 999, NULL), -EINVAL);
        assert_int_equal(cgroup_set_cpu_quota(g, 500, 1000001, NULL), -EINVAL);
        assert_int_equal(cgroup_set_cpu_quota(g, UINT64_MAX - 1, 0, NULL), -EINVAL);
        for (size_t i = 0; i < ELEMENTSOF(weights); i++) {
                put(f, V2 "/mete/agent/t", "cpu.weight", "");
                assert_int_equal(cgroup_set_cpu_weight(g, weights[i].milli, NULL), 0);
                assert_content(f, V2 "/mete/agent/t/cpu.weight", weights[i].text);
        }
        put(f, V2 "/mete/agent/t", "memory.max", "");
        assert_int_equal(cgroup_set_memory_max(g, 64 << 20, NULL), 0);
        assert_content(f, V2 "/mete/agent/t/memory.max", "67108864");
        assert_content(f, V2 "/mete/agent/t/memory.swap.max", "0");
        assert_int_equal(cgroup_set_memory_protection(g, 4096, NULL), 0);
        assert_content(f, V2 "/mete/agent/t/memory.low", "4096");
        assert_int_equal(cgroup_set_pids_max(g, UINT64_MAX, NULL), 0);
        assert_content(f, V2 "/mete/agent/t/pids.max", "max");
}

/* Numbers that do not fit, are not numbers, or are cut off must not pass as usage. */
static void test_bad_numbers(void **state)
{
        struct fixture *f = *state;
        static const char *const bad[] = {"", "\n", "-1\n", "18446744073709551616\n",
                "99999999999999999999999999999\n", "12x\n", "0x10\n", " 1\n", "maximum\n"};

        unified_tree(f);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                CLEANUP(cleanup_cgroup_root_free) struct cgroup_root *root = NULL;
                CLEANUP(cleanup_cgroup_free) struct cgroup *g = NULL;
                struct cgroup_usage u;
                uint64_t value = 4711;
                _cleanup_free_ char *stat = xasprintf("usage_usec %s", bad[i]);
                _cleanup_free_ char *events = xasprintf("oom_kill %s", bad[i]);

                put(f, V2 "/mete/agent/t", "memory.current", bad[i]);
                put(f, V2 "/mete/agent/t", "memory.peak", bad[i]);
                put(f, V2 "/mete/agent/t", "pids.current", bad[i]);
                put(f, V2 "/mete/agent/t", "cpu.stat", stat);
                put(f, V2 "/mete/agent/t", "memory.events", events);
                put(f, V2 "/mete/agent/t", "cpu.pressure", "some avg10=0.00 total=18446744073709551616\n");
                put(f, V2 "/mete/agent/t", "memory.pressure", "some avg10=0.00\nfull total=1\n");
                open_group(f, &root, &g);
                assert_int_equal(cgroup_read_usage(g, &u), 0);
                assert_false(u.has_cpu || u.has_memory || u.has_pids || u.has_cpu_pressure ||
                             u.has_memory_pressure);
                assert_int_equal(u.memory_bytes, 0);
                assert_true(cgroup_read_cpu_ns(g, &value) < 0);
                assert_true(cgroup_read_oom_kills(g, &value) < 0);
                assert_int_equal(value, 4711);
        }
        /* In microseconds it fits, in nanoseconds it does not. */
        CLEANUP(cleanup_cgroup_root_free) struct cgroup_root *root = NULL;
        CLEANUP(cleanup_cgroup_free) struct cgroup *g = NULL;
        uint64_t value;
        put(f, V2 "/mete/agent/t", "cpu.stat", "usage_usec 18446744073709552\n");
        open_group(f, &root, &g);
        assert_int_equal(cgroup_read_cpu_ns(g, &value), -ERANGE);
}

static void hybrid_tree(const struct fixture *f, bool comounted)
{
        _cleanup_free_ char *mounts =
                xasprintf("tmpfs /sys/fs/cgroup tmpfs rw 0 0\n"
                          "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n"
                          "cgroup /sys/fs/cgroup/systemd cgroup rw,xattr,name=systemd 0 0\n"
                          "%s"
                          "cgroup /sys/fs/cgroup/mem\\040ory cgroup rw,memory 0 0\n"
                          "cgroup /sys/fs/cgroup/pids cgroup rw,pids 0 0\n"
                          "cgroup /sys/fs/cgroup/cpuset cgroup rw,cpuset 0 0\n",
                        comounted ? "cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0\n"
                                  : "cgroup /sys/fs/cgroup/cpuacct cgroup rw,cpuacct 0 0\ncgroup "
                                    "/sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n");
        const char *cpu = comounted ? V2 "/cpu,cpuacct/mete/agent/t" : V2 "/cpu/mete/agent/t";

        put(f, "proc/self", "mounts", mounts);
        v2_level(f, V2 "/unified", "hugetlb\n", "");
        v2_level(f, V2 "/unified/mete", "", "");
        v2_level(f, V2 "/unified/mete/agent", "", "");
        put(f, V2 "/unified/mete/agent/t", "cpu.stat", "usage_usec 1000\nuser_usec 600\nsystem_usec 400\n");
        put(f, V2 "/unified/mete/agent/t", "cpu.pressure",
                "some avg10=0.00 avg60=0.00 avg300=0.00 total=5\n");
        put(f, cpu, "cpu.stat", "nr_periods 4\nnr_throttled 2\nthrottled_time 999\n");
        put(f, cpu, "cpu.cfs_period_us", "100000\n");
        put(f, cpu, "cpu.cfs_quota_us", "-1\n");
        put(f, V2 "/mem ory/mete", "memory.use_hierarchy", "0\n");
        put(f, V2 "/mem ory/mete/agent/t", "memory.usage_in_bytes", "5000\n");
        put(f, V2 "/mem ory/mete/agent/t", "memory.max_usage_in_bytes", "6000\n");
        put(f, V2 "/mem ory/mete/agent/t", "memory.limit_in_bytes", "9223372036854771712\n");
        put(f, V2 "/mem ory/mete/agent/t", "memory.memsw.limit_in_bytes", "9223372036854771712\n");
        put(f, V2 "/mem ory/mete/agent/t", "memory.failcnt", "8\n");
        put(f, V2 "/mem ory/mete/agent/t", "memory.memsw.failcnt", "70\n");
        put(f, V2 "/mem ory/mete/agent/t", "memory.oom_control",
                "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n");
        put(f, V2 "/mem ory/mete/agent/t", "memory.stat",
                "cache 1\nrss 1\npgfault 1\ntotal_cache 3000\ntotal_rss 2000\ntotal_pgfault "
                "12\ntotal_pgmajfault 1\ntotal_inactive_file 9000\n");
        put(f, V2 "/pids/mete/agent/t", "pids.current", "3\n");
        put(f, V2 "/pids/mete/agent/t", "pids.events", "max 0\n");
}

static void check_hybrid(const struct fixture *f, bool comounted)
{
        CLEANUP(cleanup_cgroup_root_free) struct cgroup_root *root = NULL;
        CLEANUP(cleanup_cgroup_free) struct cgroup *g = NULL;
        struct cgroup_usage u;

        hybrid_tree(f, comounted);
        open_group(f, &root, &g);
        assert_int_equal(cgroup_root_layout(root), CGROUP_LAYOUT_HYBRID);
        assert_true(cgroup_root_has(root, CGROUP_MEMORY) && cgroup_root_has(root, CGROUP_CPUACCT));
        assert_false(cgroup_root_has(root, CGROUP_CPUSET));
        assert_non_null(strstr(cgroup_root_missing(root, CGROUP_CPUSET), "v1"));
        assert_non_null(strstr(cgroup_root_missing(root, CGROUP_IO), "neither"));
        _cleanup_free_ char *path =
                xasprintf("%s/" V2 "/%s/mete/agent/t", f->path, comounted ? "cpu,cpuacct" : "cpu");
        assert_string_equal(cgroup_path(g, CGROUP_CPU), path);
        assert_non_null(strstr(cgroup_path(g, CGROUP_FREEZER), "/unified/"));
        assert_content(
                f, V2 "/mem ory/mete/memory.use_hierarchy", "1\n"); /* "1" written over the first byte */

        assert_int_equal(cgroup_read_usage(g, &u), 0);
        assert_true(u.has_cpu && u.has_memory && u.has_memory_peak && u.has_pids && u.has_cpu_pressure);
        assert_false(u.has_memory_pressure);
        assert_int_equal(u.cpu_usage_ns, 1000000);
        assert_int_equal(u.cpu_throttled_periods, 2);
        assert_int_equal(u.cpu_throttled_ns, 999);
        assert_true(u.memory_limit_bytes == UINT64_MAX);
        assert_int_equal(u.memory_peak_bytes, 6000);
        assert_int_equal(u.memory_working_set_bytes, 0); /* never below zero */
        assert_int_equal(u.memory_anon_bytes, 2000);
        assert_int_equal(u.memory_oom_kills, 2);
        assert_int_equal(u.memory_events_max, 78);
        assert_int_equal(u.pids, 3);
}

static void test_hybrid(void **state)
{
        check_hybrid(*state, false);
}

static void test_hybrid_comounted(void **state)
{
        check_hybrid(*state, true);
}

/* An empty list is refused by the kernel for a group with processes: all CPUs are named. */
static void test_cpus(void **state)
{
        struct fixture *f = *state;
        CLEANUP(cleanup_cgroup_root_free) struct cgroup_root *root = NULL;
        CLEANUP(cleanup_cgroup_free) struct cgroup *g = NULL;
        struct cpu_list one = {0};

        unified_tree(f);
        put(f, V2 "/mete/agent", "cpuset.cpus", "\n");
        put(f, V2 "/mete/agent", "cpuset.cpus.effective", "0-3\n");
        put(f, V2 "/mete/agent/t", "cpuset.cpus", "");
        open_group(f, &root, &g);
        assert_int_equal(cpu_list_add(&one, 2, 2), 0);
        assert_int_equal(cgroup_set_cpus(g, &one, NULL), 0);
        assert_content(f, V2 "/mete/agent/t/cpuset.cpus", "2");
        assert_int_equal(cgroup_set_cpus(g, NULL, NULL), 0);
        assert_content(f, V2 "/mete/agent/t/cpuset.cpus", "0-3");
}

static void test_no_v2(void **state)
{
        struct fixture *f = *state;
        struct cgroup_root *root = NULL;
        _cleanup_error_ struct error e = {0};

        put(f, "proc/self", "mounts", "cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n");
        assert_int_equal(cgroup_root_open(f->path, "mete", &root, &e), -ENOTSUP);
        assert_non_null(strstr(error_message(&e), "cgroup2"));
        assert_null(root);
}

static void test_names(void **state)
{
        static const char *const bad[] = {"", "/", "a//b", "/a", "a/", "..", "a/../b", ".", "-a", "a/-b",
                "a b", "a\nb", "a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a"};

        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_int_equal(cgroup_name_validate(bad[i], false, NULL), -EINVAL);
        assert_int_equal(cgroup_name_validate("", true, NULL), 0);
        static const char *const names[][2] = {{"tasks/a", "_tasks/a"}, {"a/tasks", "a/_tasks"},
                {"memory.max", "_memory.max"}, {"_x", "__x"}, {"tasks2", "tasks2"}, {"a.b", "a.b"}, {"", ""}};
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                _cleanup_free_ char *directory = cgroup_name_to_directory(names[i][0]);
                assert_string_equal(directory, names[i][1]);
        }
        assert_string_equal(cgroup_name_from_directory("__x"), "_x");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_unified, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_unified_limits, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_bad_numbers, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_hybrid, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_hybrid_comounted, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_cpus, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_no_v2, set_up, tear_down),
                cmocka_unit_test(test_names),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
