/*
 * The probes against the running kernel, as root: accuracy against cpu.stat, inheritance, slots, pins. Everything
 * happens below the cgroup mete-test-<pid> of the v2 mount and below a directory in /run; no BPF program of any set
 * is left in the kernel.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>

#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "bpf/internal.h"
#include "bpf/libbpf_calls.h"
#include "lib/base/time.h"
#include "lib/linux/syscall.h"

#define BURST_NS (2 * NSEC_PER_SEC)
#define DEADLINE_NS (10 * NSEC_PER_SEC)

static char *v2_mount, *test_root, *pin_dir;
static uint32_t sets[64]; /* ids of the key maps of every set that was opened */
static size_t set_count;

/* ---- helpers ---- */

static uint64_t thread_cpu_ns(void)
{
        struct timespec t;
        (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
        return (uint64_t)t.tv_sec * NSEC_PER_SEC + (uint64_t)t.tv_nsec;
}

static void burn(uint64_t ns)
{
        for (uint64_t end = thread_cpu_ns() + ns; thread_cpu_ns() < end;)
                ;
}

static void spinner(void)
{
        burn(BURST_NS);
}

static void on_off(void)
{
        for (struct mono_time start = mono_now(); mono_elapsed_ns(start, mono_now()) < BURST_NS;) {
                burn(NSEC_PER_MSEC);
                (void)nanosleep(&(struct timespec){.tv_nsec = (long)NSEC_PER_MSEC}, NULL);
        }
}

static void fork_heavy(void)
{
        for (struct mono_time start = mono_now(); mono_elapsed_ns(start, mono_now()) < BURST_NS;) {
                pid_t pid = fork();
                if (pid == 0)
                        _exit(0);
                (void)waitpid(pid, NULL, 0);
        }
}

static void short_burst(void)
{
        burn(100 * NSEC_PER_MSEC);
}

static char *cgroup_make(const char *name)
{
        char *path = xasprintf("%s/%s", test_root, name);
        assert_int_equal(mkdir(path, 0755), 0);
        return path;
}

static void cgroup_drop(char *path)
{
        struct mono_time start = mono_now();

        /* The last task of it may still be on its way out. */
        while (rmdir(path) < 0) {
                assert_int_equal(errno, EBUSY);
                assert_true(mono_elapsed_ns(start, mono_now()) < DEADLINE_NS);
                (void)sched_yield();
        }
        free(path);
}

static uint64_t cgroup_id_of(const char *path)
{
        struct stat st;
        assert_int_equal(stat(path, &st), 0);
        return st.st_ino;
}

static uint64_t cgroup_cpu_ns(const char *path)
{
        _cleanup_free_ char *file = xasprintf("%s/cpu.stat", path), *text = NULL;
        unsigned long long usec;

        assert_int_equal(read_file_at(AT_FDCWD, file, 4096, &text, NULL), 0);
        assert_int_equal(sscanf(text, "usage_usec %llu", &usec), 1);
        return usec * NSEC_PER_USEC;
}

static pid_t start_in(const char *path, void (*work)(void))
{
        _cleanup_fd_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct clone_args args = {
                .flags = CLONE_INTO_CGROUP,
                .exit_signal = SIGCHLD,
                .cgroup = (uint64_t)fd,
        };
        pid_t pid;

        assert_true(fd >= 0);
        pid = sys_clone3(&args);
        assert_true(pid >= 0);
        if (pid == 0) {
                work();
                _exit(0);
        }
        return pid;
}

static void wait_for(pid_t pid)
{
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
}

static uint64_t rusage_ns(const struct rusage *u)
{
        return ((uint64_t)u->ru_utime.tv_sec + (uint64_t)u->ru_stime.tv_sec) * NSEC_PER_SEC +
               ((uint64_t)u->ru_utime.tv_usec + (uint64_t)u->ru_stime.tv_usec) * NSEC_PER_USEC;
}

/* Programs in the kernel that use a map of a set of ours, so
 * that other agents of this machine do not matter. */
static unsigned programs_in_kernel(void)
{
        unsigned n = 0;

        for (uint32_t id = 0; bpf_prog_get_next_id(id, &id) == 0;) {
                _cleanup_fd_ int fd = bpf_prog_get_fd_by_id(id);
                uint32_t maps[16];
                struct bpf_prog_info info = {.nr_map_ids = ELEMENTSOF(maps), .map_ids = (uintptr_t)maps};
                uint32_t size = sizeof(info);
                bool ours = false;

                if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &size) < 0)
                        continue;
                for (size_t i = 0; i < MIN(info.nr_map_ids, ELEMENTSOF(maps)); i++)
                        for (size_t j = 0; j < set_count; j++)
                                ours |= maps[i] == sets[j];
                n += ours;
        }
        return n;
}

static void remember_set(const struct bpf_probes *p)
{
        struct bpf_map_info info = {};
        uint32_t size = sizeof(info);

        assert_int_equal(bpf_obj_get_info_by_fd(p->maps[SET_MAP_KEYS], &info, &size), 0);
        assert_true(set_count < ELEMENTSOF(sets));
        sets[set_count++] = info.id;
}

static struct bpf_probes *open_probes(const char *pins, uint32_t slots)
{
        struct bpf_options o = {.pin_dir = pins, .slots = slots};
        _cleanup_error_ struct error e = {};
        struct bpf_probes *p = NULL;
        int r = bpf_probes_open(&o, &p, &e);

        if (r < 0)
                fail_msg("%s", error_message(&e));
        remember_set(p);
        for (enum bpf_group g = 0; g < BPF_GROUP_MAX; g++) {
                const char *reason = NULL;
                if (!bpf_probes_group_up(p, g, &reason))
                        fail_msg("group %s: %s", bpf_group_to_string(g), reason);
        }
        return p;
}

static void purge(void)
{
        _cleanup_error_ struct error e = {};
        if (bpf_probes_purge(pin_dir, &e) < 0)
                fail_msg("%s", error_message(&e));
}

static uint32_t add(struct bpf_probes *p, const char *path)
{
        uint32_t slot = BPF_SLOT_NONE;
        assert_int_equal(bpf_probes_add(p, cgroup_id_of(path), &slot), 0);
        assert_int_not_equal(slot, BPF_SLOT_NONE);
        return slot;
}

static uint64_t cpu_ns(const struct bpf_probes *p, uint32_t slot)
{
        struct bpf_counters c;
        bpf_probes_read(p, slot, &c);
        return c.cpu_ns;
}

/* Waits until a slot that was removed is given out again. */
static uint32_t add_when_free(struct bpf_probes *p, const char *path)
{
        struct mono_time start = mono_now();
        uint32_t slot;
        int r;

        while ((r = bpf_probes_add(p, cgroup_id_of(path), &slot)) == -ENOSPC) {
                assert_true(mono_elapsed_ns(start, mono_now()) < DEADLINE_NS);
                (void)sched_yield();
        }
        assert_int_equal(r, 0);
        return slot;
}

static void assert_parity(const char *what, uint64_t measured, uint64_t expected)
{
        double error = expected ? ((double)measured - (double)expected) / (double)expected : 1;

        print_message("%s: %.6f s, reference %.6f s: %+.4f %%\n", what, (double)measured / 1e9,
                (double)expected / 1e9, 100 * error);
        assert_true(error > -0.001 && error < 0.001);
}

/* The kernel frees programs a little after the last reference is gone. */
static bool programs_become(unsigned expected)
{
        struct mono_time start = mono_now();

        while (programs_in_kernel() != expected && mono_elapsed_ns(start, mono_now()) < DEADLINE_NS)
                (void)usleep(1000);
        return programs_in_kernel() == expected;
}

static void assert_programs(unsigned expected)
{
        assert_true(programs_become(expected));
}

static bool mounted(const char *path)
{
        FILE *f = setmntent("/proc/self/mounts", "re");
        struct mntent *m;
        bool found = false;

        assert_non_null(f);
        while ((m = getmntent(f)))
                found |= str_equal(m->mnt_dir, path);
        (void)endmntent(f);
        return found;
}

/* ---- accuracy ---- */

/* rusage is read before a process is quite gone: of one process that is
 * nothing, of thousands of children it is some 0.3 % under emulation. */
static void check_parity(const char *what, void (*work)(void), bool many_processes)
{
        struct bpf_probes *p = open_probes(NULL, 8);
        char *path = cgroup_make("parity");
        uint32_t slot = add(p, path);
        struct rusage usage;
        struct bpf_counters c;
        uint64_t hist = 0;
        pid_t pid = start_in(path, work);

        assert_int_equal(wait4(pid, NULL, 0, &usage), pid);
        bpf_probes_read(p, slot, &c);
        assert_parity(what, c.cpu_ns, cgroup_cpu_ns(path));
        if (!many_processes)
                assert_parity(what, c.cpu_ns, rusage_ns(&usage));
        for (size_t i = 0; i < BPF_RUNQUEUE_BUCKETS; i++)
                hist += c.runqueue_hist[i];
        assert_true(c.runqueue_waits > 0);
        assert_int_equal(hist, c.runqueue_waits);
        assert_true(
                c.preempted_by_self + c.preempted_by_other + c.preempted_by_system <= c.involuntary_switches);
        /* Children of the workload are in its rusage only once waited for: they all are. */
        print_message("%s: switches %llu voluntary (rusage %ld), %llu involuntary (rusage %ld), waited %.6f "
                      "s in %llu\n",
                what, (unsigned long long)c.voluntary_switches, usage.ru_nvcsw,
                (unsigned long long)c.involuntary_switches, usage.ru_nivcsw, (double)c.runqueue_wait_ns / 1e9,
                (unsigned long long)c.runqueue_waits);
        cgroup_drop(path);
        bpf_probes_free(p);
}

static void test_parity_spinner(void **state)
{
        check_parity("spinner", spinner, false);
}

static void test_parity_on_off(void **state)
{
        check_parity("1 ms on/off", on_off, false);
}

static void test_parity_fork(void **state)
{
        check_parity("fork-heavy", fork_heavy, true);
}

static void one_cpu_burst(void)
{
        cpu_set_t one;

        CPU_ZERO(&one);
        CPU_SET(0, &one);
        (void)sched_setaffinity(0, sizeof(one), &one);
        burn(300 * NSEC_PER_MSEC);
}

/* Two containers fight for one CPU: two tasks in the first, one in the second. */
static void test_preempted_by(void **state)
{
        struct bpf_probes *p = open_probes(NULL, 8);
        char *a = cgroup_make("a"), *b = cgroup_make("b");
        uint32_t slot_a = add(p, a), slot_b = add(p, b);
        pid_t pids[] = {start_in(a, one_cpu_burst), start_in(a, one_cpu_burst), start_in(b, one_cpu_burst)};
        struct bpf_counters ca, cb;

        for (size_t i = 0; i < ELEMENTSOF(pids); i++)
                wait_for(pids[i]);
        bpf_probes_read(p, slot_a, &ca);
        bpf_probes_read(p, slot_b, &cb);
        assert_true(ca.preempted_by_self > 0);
        assert_true(ca.preempted_by_other > 0);
        assert_true(cb.preempted_by_other > 0);
        assert_int_equal(cb.preempted_by_self, 0);
        /* 900 ms of work on one CPU: whoever does not run waits. */
        assert_true(ca.runqueue_wait_ns + cb.runqueue_wait_ns > 600 * NSEC_PER_MSEC);
        cgroup_drop(a);
        cgroup_drop(b);
        bpf_probes_free(p);
}

/* ---- identity ---- */

static void test_child_rolls_up(void **state)
{
        struct bpf_probes *p = open_probes(NULL, 8);
        char *parent = cgroup_make("parent");
        uint32_t slot = add(p, parent);
        char *child = cgroup_make("parent/child"), *grandchild = cgroup_make("parent/child/child");
        uint64_t used, reference;

        wait_for(start_in(grandchild, short_burst));
        used = cpu_ns(p, slot);
        reference = cgroup_cpu_ns(grandchild);
        assert_true(used >= 100 * NSEC_PER_MSEC);
        cgroup_drop(grandchild);
        cgroup_drop(child);
        assert_true(cpu_ns(p, slot) >= used);
        assert_parity("child", cpu_ns(p, slot), reference);
        cgroup_drop(parent);
        assert_true(cpu_ns(p, slot) >= used);
        bpf_probes_free(p);
}

static void test_rescan_finds_children(void **state)
{
        struct bpf_probes *p = open_probes(NULL, 8);
        char *parent = cgroup_make("parent"), *child = cgroup_make("parent/child"),
             *deep = cgroup_make("parent/child/deep");
        _cleanup_fd_ int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        uint32_t slot = add(p, parent), own = add(p, child);

        wait_for(start_in(deep, short_burst));
        assert_int_equal(cpu_ns(p, slot), 0);
        assert_int_equal(bpf_probes_rescan(p, fd, slot), 0);
        /* A nested container keeps its slot, and what is below it belongs to it. */
        wait_for(start_in(deep, short_burst));
        assert_int_equal(cpu_ns(p, slot), 0);
        assert_true(cpu_ns(p, own) >= 100 * NSEC_PER_MSEC);
        cgroup_drop(deep);
        cgroup_drop(child);
        cgroup_drop(parent);
        bpf_probes_free(p);
}

static void test_strangers_are_not_counted(void **state)
{
        struct bpf_probes *p = open_probes(NULL, 8), *other = open_probes(NULL, 8);
        char *ours = cgroup_make("ours"), *theirs = cgroup_make("theirs");
        uint32_t slot = add(p, ours), other_slot = add(other, theirs);

        wait_for(start_in(theirs, short_burst));
        assert_int_equal(cpu_ns(p, slot), 0);
        assert_true(cpu_ns(other, other_slot) >= 100 * NSEC_PER_MSEC);
        cgroup_drop(ours);
        cgroup_drop(theirs);
        bpf_probes_free(p);
        bpf_probes_free(other);
}

/* ---- slots ---- */

static void test_slot_reuse_starts_at_zero(void **state)
{
        struct bpf_probes *p = open_probes(NULL, 1);
        char *first = cgroup_make("first"), *second = cgroup_make("second"), *child = NULL;
        uint32_t slot = add(p, first), again;
        struct bpf_counters c, zero = {};

        /* The child's key is still there when the slot goes: it must not lead to the next owner. */
        child = cgroup_make("first/child");
        wait_for(start_in(first, short_burst));
        assert_true(cpu_ns(p, slot) >= 100 * NSEC_PER_MSEC);
        bpf_probes_remove(p, slot);
        again = add_when_free(p, second);
        assert_int_equal(again, slot);
        wait_for(start_in(child, short_burst));
        wait_for(start_in(first, short_burst));
        bpf_probes_read(p, again, &c);
        assert_memory_equal(&c, &zero, sizeof(c));
        cgroup_drop(child);
        cgroup_drop(first);
        cgroup_drop(second);
        bpf_probes_free(p);
}

static void test_full(void **state)
{
        struct bpf_probes *p = open_probes(NULL, 2);
        char *paths[] = {cgroup_make("0"), cgroup_make("1"), cgroup_make("2")};
        uint32_t slots[2] = {add(p, paths[0]), add(p, paths[1])}, slot;
        struct bpf_status s;

        assert_int_not_equal(slots[0], slots[1]);
        assert_int_equal(bpf_probes_add(p, cgroup_id_of(paths[0]), &slot), -EEXIST);
        assert_int_equal(bpf_probes_add(p, cgroup_id_of(paths[2]), &slot), -ENOSPC);
        bpf_probes_status(p, &s);
        assert_int_equal(s.slots, 2);
        assert_int_equal(s.slots_used, 2);
        assert_int_equal(s.slots_overflow, 1);
        assert_true(s.map_bytes > 0);
        assert_int_equal(s.programs, 4);
        assert_false(s.pinned);
        bpf_probes_retain(p, &slots[1], 1);
        assert_int_equal(add_when_free(p, paths[2]), slots[0]);
        assert_int_equal(bpf_probes_find(p, cgroup_id_of(paths[1]), &slot), 0);
        assert_int_equal(slot, slots[1]);
        assert_int_equal(bpf_probes_find(p, cgroup_id_of(paths[0]), &slot), -ENOENT);
        for (size_t i = 0; i < ELEMENTSOF(paths); i++)
                cgroup_drop(paths[i]);
        bpf_probes_free(p);
}

/* More cgroups than keys: the surplus is not counted, and said. */
static void test_keys_run_out(void **state)
{
        struct bpf_probes *p = open_probes(NULL, 1);
        char *parent = cgroup_make("parent"), *children[20];
        uint32_t slot = add(p, parent);
        struct bpf_status s;

        for (size_t i = 0; i < ELEMENTSOF(children); i++) {
                _cleanup_free_ char *name = xasprintf("parent/%zu", i);
                children[i] = cgroup_make(name);
        }
        bpf_probes_status(p, &s);
        assert_true(s.keys_dropped >= 1);
        for (size_t i = 0; i < ELEMENTSOF(children); i++)
                cgroup_drop(children[i]);
        cgroup_drop(parent);
        bpf_probes_remove(p, slot);
        bpf_probes_free(p);
}

/* The kernel's counters wrap at 2^32, on each CPU by itself; what is read does not. */
static void test_histogram_outlives_a_wrap(void **state)
{
        struct bpf_probes *p = open_probes(NULL, 2);
        char *path = cgroup_make("wrap");
        uint32_t slot = add(p, path);
        uint32_t *counter = &p->rows[slot * p->cpus].runqueue_hist[3];
        struct bpf_counters c;

        *counter = UINT32_MAX - 15;
        bpf_probes_read(p, slot, &c);
        assert_int_equal(c.runqueue_hist[3], UINT32_MAX - 15);
        *counter += 32;
        bpf_probes_read(p, slot, &c);
        assert_int_equal(c.runqueue_hist[3], UINT64_C(0x100000010));
        p->rows[slot * p->cpus + p->cpus - 1].runqueue_hist[3] += 5;
        bpf_probes_read(p, slot, &c);
        assert_int_equal(c.runqueue_hist[3], UINT64_C(0x100000015));
        cgroup_drop(path);
        bpf_probes_free(p);
}

/* ---- pins ---- */

static void test_adoption(void **state)
{
        struct bpf_probes *p = open_probes(pin_dir, 8);
        char *path = cgroup_make("adopted"), *gone = cgroup_make("gone");
        uint32_t slot = add(p, path), gone_slot = add(p, gone), unknown, found;
        uint64_t earlier;
        struct bpf_counters c1, c2;

        assert_false(bpf_probes_adopted(p));
        assert_true(mounted(pin_dir));
        wait_for(start_in(path, short_burst));
        wait_for(start_in(gone, short_burst));
        bpf_probes_read(p, slot, &c1);
        bpf_probes_free(p);
        assert_programs(4);

        wait_for(start_in(path, short_burst));
        cgroup_drop(gone);

        p = open_probes(pin_dir, 8);
        assert_true(bpf_probes_adopted(p));
        assert_programs(4);
        assert_int_equal(bpf_probes_find(p, cgroup_id_of(path), &found), 0);
        assert_int_equal(found, slot);
        bpf_probes_read(p, slot, &c2);
        assert_true(c2.cpu_ns >= c1.cpu_ns + 100 * NSEC_PER_MSEC);
        assert_true(c2.runqueue_hist[0] >= c1.runqueue_hist[0]);
        assert_parity("counted while nobody was there", c2.cpu_ns, cgroup_cpu_ns(path));
        assert_true(cpu_ns(p, gone_slot) >= 100 * NSEC_PER_MSEC);
        /* New ones do not get a slot that is in use. */
        gone = cgroup_make("new");
        unknown = add(p, gone);
        assert_int_not_equal(unknown, slot);
        assert_int_not_equal(unknown, gone_slot);
        cgroup_drop(gone);
        bpf_probes_free(p);

        /* Another number of slots does not fit: one clean generation in its place. */
        p = open_probes(pin_dir, 4);
        assert_false(bpf_probes_adopted(p));
        assert_programs(4);
        assert_int_equal(bpf_probes_find(p, cgroup_id_of(path), &found), -ENOENT);
        earlier = cgroup_cpu_ns(path);
        slot = add(p, path);
        wait_for(start_in(path, short_burst));
        assert_parity("after a clean reload", cpu_ns(p, slot), cgroup_cpu_ns(path) - earlier);
        bpf_probes_free(p);
        cgroup_drop(path);
        purge();
        assert_programs(0);
}

static char *generation_dir(void)
{
        _cleanup_free_ char *command = xasprintf("ls -d %s/v*", pin_dir);
        char line[256];
        FILE *f = popen(command, "re");

        assert_non_null(f);
        assert_non_null(fgets(line, sizeof(line), f));
        assert_int_equal(pclose(f), 0);
        line[strcspn(line, "\n")] = '\0';
        return xstrdup(line);
}

/* A pin is missing: what a kill in the middle of loading leaves. Nothing of it may stay attached. */
static void test_half_a_set_is_replaced(void **state)
{
        static const char *const victims[] = {"link_cpu_runtime", "link_tree_mkdir", "map_keys", "map_meta"};
        for (size_t i = 0; i < ELEMENTSOF(victims); i++) {
                struct bpf_probes *p = open_probes(pin_dir, 8);
                _cleanup_free_ char *dir = generation_dir(), *victim = xasprintf("%s/%s", dir, victims[i]);

                bpf_probes_free(p);
                assert_int_equal(unlink(victim), 0);
                p = open_probes(pin_dir, 8);
                assert_false(bpf_probes_adopted(p));
                assert_programs(4);
                bpf_probes_free(p);
                p = open_probes(pin_dir, 8);
                assert_true(bpf_probes_adopted(p));
                bpf_probes_free(p);
        }
        purge();
        assert_programs(0);
}

static unsigned count_pins(void)
{
        _cleanup_free_ char *command = xasprintf("find %s/v* -type f | wc -l", pin_dir);
        unsigned n = 0;
        FILE *f = popen(command, "re");

        assert_non_null(f);
        assert_int_equal(fscanf(f, "%u", &n), 1);
        assert_int_equal(pclose(f), 0);
        return n;
}

/* Killed at any moment of loading, or after it: the next process has one whole set, pinned once. */
static void test_killed_while_loading(void **state)
{
        for (unsigned ms = 0; ms <= 120; ms += 8) {
                pid_t pid = fork();
                struct bpf_probes *p;

                assert_true(pid >= 0);
                if (pid == 0) {
                        struct bpf_options o = {.pin_dir = pin_dir, .slots = 4};
                        _exit(bpf_probes_open(&o, &p, NULL) < 0);
                }
                (void)usleep(ms * 1000); /* the moment under test, not a synchronisation */
                (void)kill(pid, SIGKILL);
                assert_int_equal(waitpid(pid, NULL, 0), pid);
                p = open_probes(pin_dir, 4);
                assert_programs(4);
                assert_int_equal(count_pins(), 4 + SET_MAP_MAX);
                bpf_probes_free(p);
                /* Every other round begins with nothing, the others adopt or replace. */
                if (ms % 16 == 0)
                        purge();
        }
        purge();
}

/* What a kill in the middle of remove leaves: a key of a slot that nobody owns. */
static void test_orphaned_key_is_removed(void **state)
{
        struct bpf_probes *p = open_probes(pin_dir, 1);
        char *path = cgroup_make("orphan"), *next = cgroup_make("next");
        uint32_t slot = add(p, path);

        p->slot_map[slot].cgroup_id = 0;
        bpf_probes_free(p);
        p = open_probes(pin_dir, 1);
        assert_true(bpf_probes_adopted(p));
        assert_int_equal(add_when_free(p, next), slot);
        wait_for(start_in(path, short_burst));
        assert_int_equal(cpu_ns(p, slot), 0);
        cgroup_drop(path);
        cgroup_drop(next);
        bpf_probes_free(p);
        purge();
}

/* What a kill in the middle of add leaves: a slot with an owner to whom no key leads. */
static void test_missing_key_is_found(void **state)
{
        struct bpf_probes *p = open_probes(pin_dir, 1);
        char *path = cgroup_make("keyless");
        uint32_t slot = add(p, path), found;
        struct bpf_cgroup_key key = {.id = cgroup_id_of(path)};

        assert_int_equal(bpf_map_delete_elem(p->maps[SET_MAP_KEYS], &key), 0);
        bpf_probes_free(p);
        p = open_probes(pin_dir, 1);
        assert_int_equal(bpf_probes_find(p, key.id, &found), 0);
        assert_int_equal(found, slot);
        wait_for(start_in(path, short_burst));
        assert_parity("found again", cpu_ns(p, slot), cgroup_cpu_ns(path));
        cgroup_drop(path);
        bpf_probes_free(p);
        purge();
}

/* A group that was down when its set was made comes up in the next process, into the same counters. */
static void test_group_comes_back(void **state)
{
        struct bpf_probes *p = open_probes(pin_dir, 1);
        _cleanup_free_ char *dir = generation_dir(), *link = xasprintf("%s/link_sched_switched", dir);
        char *path = cgroup_make("back");
        uint32_t slot = add(p, path);
        struct bpf_counters c;

        p->meta->groups &= ~(1U << BPF_GROUP_SCHED);
        assert_int_equal(unlink(link), 0);
        bpf_probes_free(p);
        assert_programs(3);
        p = open_probes(pin_dir, 1);
        assert_true(bpf_probes_adopted(p));
        assert_programs(4);
        wait_for(start_in(path, short_burst));
        bpf_probes_read(p, slot, &c);
        assert_true(c.runqueue_waits > 0);
        cgroup_drop(path);
        bpf_probes_free(p);
        purge();
}

/* An agent of another build: its programs take the place of the old
 * ones, the counters go on, nothing is counted twice. */
static void test_upgrade_keeps_counters(void **state)
{
        struct bpf_probes *p = open_probes(pin_dir, 2);
        _cleanup_free_ char *dir = generation_dir(), *old = xasprintf("%s/link_cpu_runtime", dir),
                            *renamed = xasprintf("%s/link_of_old", dir);
        char *path = cgroup_make("upgrade");
        uint32_t slot = add(p, path), found;

        wait_for(start_in(path, short_burst));
        /* The old build's program had another name, too. */
        assert_int_equal(rename(old, renamed), 0);
        p->meta->programs_hash ^= 1;
        bpf_probes_free(p);
        p = open_probes(pin_dir, 2);
        assert_true(bpf_probes_adopted(p));
        assert_programs(4);
        assert_int_equal(access(renamed, F_OK), -1);
        assert_int_equal(bpf_probes_find(p, cgroup_id_of(path), &found), 0);
        assert_int_equal(found, slot);
        wait_for(start_in(path, short_burst));
        assert_parity("across an upgrade", cpu_ns(p, slot), cgroup_cpu_ns(path));
        bpf_probes_free(p);
        /* Only once. */
        p = open_probes(pin_dir, 2);
        assert_true(bpf_probes_adopted(p));
        assert_parity("after it", cpu_ns(p, slot), cgroup_cpu_ns(path));
        cgroup_drop(path);
        bpf_probes_free(p);
        purge();
}

static void test_purge_leaves_nothing(void **state)
{
        bpf_probes_free(open_probes(pin_dir, 8));
        assert_programs(4);
        purge();
        assert_programs(0);
        assert_false(mounted(pin_dir));
        assert_int_equal(access(pin_dir, F_OK), -1);
        purge();
}

static void test_foreign_directory_is_refused(void **state)
{
        struct bpf_options o = {.pin_dir = pin_dir};
        _cleanup_error_ struct error e = {};
        struct bpf_probes *p = NULL;

        assert_int_equal(mkdir(pin_dir, 0700), 0);
        assert_int_equal(chmod(pin_dir, 0777), 0);
        assert_int_equal(bpf_probes_open(&o, &p, &e), -EPERM);
        assert_non_null(strstr(e.message, pin_dir));
        assert_null(p);
        assert_int_equal(access(pin_dir, F_OK), -1);
}

static unsigned open_fds(void)
{
        DIR *dir = opendir("/proc/self/fd");
        unsigned n = 0;

        assert_non_null(dir);
        while (readdir(dir))
                n++;
        (void)closedir(dir);
        return n;
}

static void test_refusals(void **state)
{
        unsigned fds = open_fds();
        struct bpf_options o = {.slots = 8193};
        _cleanup_error_ struct error e = {};
        struct bpf_probes *p = NULL;

        assert_int_equal(bpf_probes_open(&o, &p, &e), -EINVAL);
        assert_null(p);
        /* Unpinned, it lives as long as a descriptor of it. */
        assert_int_equal(bpf_supported(&e), 0);
        assert_int_equal(open_fds(), fds);
}

/* A process without privileges gets a sentence, and leaves nothing. */
static void test_unprivileged(void **state)
{
        int status, pipes[2];
        char text[512] = {};
        pid_t pid;

        assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
        pid = fork();
        if (pid == 0) {
                struct error e = {};
                int r = setresuid(65534, 65534, 65534) < 0 ? 0 : bpf_supported(&e);

                _exit(r < 0 && write_all(pipes[1], e.message, strlen(e.message)) == 0 ? 0 : 1);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        assert_true(read(pipes[0], text, sizeof(text) - 1) > 0);
        print_message("unprivileged: %s\n", text);
        assert_non_null(strstr(text, "CAP_BPF"));
        (void)close_fd(pipes[0]);
        (void)close_fd(pipes[1]);
        assert_programs(0);
}

/* ---- the fixture ---- */

static char *find_v2_mount(void)
{
        FILE *f = setmntent("/proc/self/mounts", "re");
        char *found = NULL;
        struct mntent *m;

        while (f && !found && (m = getmntent(f)))
                if (str_equal(m->mnt_type, "cgroup2"))
                        found = xstrdup(m->mnt_dir);
        if (f)
                (void)endmntent(f);
        return found;
}

static int set_up(void **state)
{
        v2_mount = find_v2_mount();
        if (!v2_mount)
                return -1;
        test_root = xasprintf("%s/mete-test-%d", v2_mount, getpid());
        pin_dir = xasprintf("/run/mete-test-%d", getpid());
        return mkdir(test_root, 0755);
}

static int remove_cgroups(const char *path)
{
        _cleanup_free_ char *command = xasprintf("find %s -depth -type d -exec rmdir {} +", path);
        return system(command);
}

static int tear_down(void **state)
{
        int r = remove_cgroups(test_root);

        if (bpf_probes_purge(pin_dir, NULL) < 0)
                r = -1;
        if (!programs_become(0))
                r = -1;
        free(test_root);
        free(pin_dir);
        free(v2_mount);
        return r;
}

/* test_probes [PATTERN]: only the tests whose names match. */
int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_parity_spinner),
                cmocka_unit_test(test_parity_on_off),
                cmocka_unit_test(test_parity_fork),
                cmocka_unit_test(test_preempted_by),
                cmocka_unit_test(test_child_rolls_up),
                cmocka_unit_test(test_rescan_finds_children),
                cmocka_unit_test(test_strangers_are_not_counted),
                cmocka_unit_test(test_slot_reuse_starts_at_zero),
                cmocka_unit_test(test_full),
                cmocka_unit_test(test_keys_run_out),
                cmocka_unit_test(test_histogram_outlives_a_wrap),
                cmocka_unit_test(test_adoption),
                cmocka_unit_test(test_half_a_set_is_replaced),
                cmocka_unit_test(test_killed_while_loading),
                cmocka_unit_test(test_orphaned_key_is_removed),
                cmocka_unit_test(test_missing_key_is_found),
                cmocka_unit_test(test_group_comes_back),
                cmocka_unit_test(test_upgrade_keeps_counters),
                cmocka_unit_test(test_purge_leaves_nothing),
                cmocka_unit_test(test_foreign_directory_is_refused),
                cmocka_unit_test(test_refusals),
                cmocka_unit_test(test_unprivileged),
        };

        if (geteuid() != 0) {
                print_message("SKIP: probes are loaded as root only\n");
                return 77;
        }
        if (argc > 1)
                cmocka_set_test_filter(argv[1]);
        return cmocka_run_group_tests(tests, set_up, tear_down);
}
