/*
 * Cgroups on v2 and on hybrid hosts, behind one set of names: nothing above this module asks which layout it is.
 *
 * On a pure v2 host everything lives in the one tree. On a hybrid host (controllers bound to v1, a cgroup2 mount beside them) the
 * v2 tree gives identity, kill, freeze, pressure and eBPF attachment, and the v1 hierarchies give limits and accounting, all at
 * the same relative path. A `struct cgroup_root` is discovered once (libcgroup reads mounts and controllers) and is immutable; a
 * `struct cgroup` is an open handle (directory fds) on one group; the root outlives its handles. Not thread-safe per handle; distinct handles may be used from
 * distinct threads.
 *
 * Launch path: cgroup_create() and the setters write raw files (measured: libcgroup 0.28 ms for a limited group, raw 0.05 ms).
 */
#pragma once

#include "lib/base/error.h"
#include "lib/base/time.h"
#include "lib/linux/cpu_list.h"

enum cgroup_layout {
        CGROUP_LAYOUT_UNIFIED,
        CGROUP_LAYOUT_HYBRID,
        CGROUP_LAYOUT_MAX,
        CGROUP_LAYOUT_INVALID = -EINVAL
};
const char *cgroup_layout_to_string(enum cgroup_layout l);

enum cgroup_controller {
        CGROUP_CPU,
        CGROUP_CPUACCT, /* v1 only; on v2 usage is in cpu.stat */
        CGROUP_CPUSET,
        CGROUP_MEMORY,
        CGROUP_PIDS,
        CGROUP_IO,      /* "blkio" on v1 */
        CGROUP_DEVICES, /* v1 only; on v2 an eBPF program */
        CGROUP_FREEZER, /* v1 only; on v2 a file of every group */
        CGROUP_CONTROLLER_MAX,
        CGROUP_CONTROLLER_INVALID = -EINVAL,
};
const char *cgroup_controller_to_string(enum cgroup_controller c);

struct cgroup_root;
struct cgroup;

/*
 * sysroot is "/" in production; fixture trees in tests. relative is the path of our own root below every hierarchy's mount point, e.g.
 * "mete/agent-5051": created if missing, controllers enabled for its children (v2: cgroup.subtree_control on each level).
 */
int cgroup_root_open(
        const char *sysroot, const char *relative, struct cgroup_root **ret, struct error *e) WARN_UNUSED;
/*
 * The same, with CPUSET wanted on a hybrid host too: groups are then also made in its v1 hierarchy, which costs each launch a directory
 * and a change of membership. It is so by itself where an earlier root of that name had it: its groups are there.
 */
int cgroup_root_open_with_cpuset(
        const char *sysroot, const char *relative, struct cgroup_root **ret, struct error *e) WARN_UNUSED;
struct cgroup_root *cgroup_root_free(struct cgroup_root *r); /* closes; removes nothing */
DEFINE_CLEANUP(struct cgroup_root, cgroup_root_free)
enum cgroup_layout cgroup_root_layout(const struct cgroup_root *r);
bool cgroup_root_has(const struct cgroup_root *r, enum cgroup_controller c);
/*
 * CPUACCT, FREEZER and DEVICES are always there: CPU time, cgroup.freeze and device programs (eBPF) belong to every v2 group, also
 * beside v1. On a hybrid host groups are made in the v1 hierarchies of cpu, memory and pids, and of cpuset when asked for; io is then missing.
 */
/* Why a controller is missing and what would provide it, one sentence; NULL when it is there. Static storage of the root. */
const char *cgroup_root_missing(const struct cgroup_root *r, enum cgroup_controller c);
/* Absolute path of the v2 (identity) mount, e.g. "/sys/fs/cgroup" or "/sys/fs/cgroup/unified". */
const char *cgroup_root_v2_mount(const struct cgroup_root *r);
/* Kills everything below, then removes the tree in every hierarchy, the root itself and parents of it that are empty included. For `mete dev` shutdown and tests. */
int cgroup_root_destroy(struct cgroup_root *r, uint64_t timeout_ns, struct error *e) WARN_UNUSED;

/*
 * Names that the kernel has for files of its own ("tasks", "memory.x") work: as directories they get an '_' in front, cgroup_path() shows it.
 */
/* name: path relative to the root, one or more components, each validated (no "..", no leading '-'). -EEXIST when it is there.
 * Levels above the last one are made when missing ("tasks" of "tasks/<id>") and hand their controllers on: processes belong into leaves. */
int cgroup_create(
        const struct cgroup_root *r, const char *name, struct cgroup **ret, struct error *e) WARN_UNUSED;
/* "" opens the root itself, e.g. to attach eBPF. -ENOENT when it is not there. */
int cgroup_open(
        const struct cgroup_root *r, const char *name, struct cgroup **ret, struct error *e) WARN_UNUSED;
struct cgroup *cgroup_free(struct cgroup *c);
DEFINE_CLEANUP(struct cgroup, cgroup_free)
const char *cgroup_name(const struct cgroup *c);
/* For messages: absolute path of the group in the hierarchy of that controller (v2: the one tree). Owned by c. */
const char *cgroup_path(const struct cgroup *c, enum cgroup_controller ctl);
uint64_t cgroup_id(const struct cgroup *c); /* v2 id = inode of the directory */
int cgroup_v2_fd(
        const struct cgroup *c); /* directory fd, for clone3(CLONE_INTO_CGROUP) and eBPF; owned by c */
/* Names of the direct children, for recovery. The caller frees with string_list_done (lib/base/option.h). */
struct string_list;
int cgroup_list(const struct cgroup_root *r, const char *name, struct string_list *ret) WARN_UNUSED;

/*
 * Entering: a process in the making joins the v2 group by clone3 or by cgroup_v2_fd, and the v1 groups by writing "0" into each of these
 * open files (none on unified; at most CGROUP_CONTROLLER_MAX), while it has one thread. fds are O_CLOEXEC, owned by the caller.
 */
int cgroup_open_entry_fds(
        const struct cgroup *c, int ret_fds[static CGROUP_CONTROLLER_MAX], size_t *ret_count) WARN_UNUSED;
int cgroup_attach_pid(const struct cgroup *c, pid_t pid, struct error *e) WARN_UNUSED;

/* ---- limits: each is written once per change; -ENOTSUP with a sentence when the controller is missing ---- */
int cgroup_set_cpu_weight(struct cgroup *c, uint64_t milli_cpus, struct error *e)
        WARN_UNUSED; /* request -> cpu.weight (100 a CPU, 1..10000) or cpu.shares (1024 a CPU, 2..262144) */
/*
 * UINT64_MAX = no quota, else at least 1 (0.001 CPUs). period_usec 0: 100 ms. The kernel takes no quota below 1 ms: the period then
 * grows, up to 1 s, so that the quota is 1 ms.
 */
int cgroup_set_cpu_quota(
        struct cgroup *c, uint64_t milli_cpus, uint64_t period_usec, struct error *e) WARN_UNUSED;
int cgroup_set_memory_max(
        struct cgroup *c, uint64_t bytes, struct error *e) WARN_UNUSED; /* and swap off; UINT64_MAX = none */
int cgroup_set_memory_protection(struct cgroup *c, uint64_t bytes, struct error *e)
        WARN_UNUSED; /* request -> memory.low / soft limit; on v2 parents bound it: set them too */
int cgroup_set_pids_max(struct cgroup *c, uint64_t max, struct error *e) WARN_UNUSED; /* UINT64_MAX = none */
/* The CPUs that the root's groups can have. -ENOTSUP without the controller. */
int cgroup_root_cpus(const struct cgroup_root *r, struct cpu_list *ret, struct error *e) WARN_UNUSED;
/* NULL: all that the root has. -ENOENT: the group was made without that hierarchy. */
int cgroup_set_cpus(struct cgroup *c, const struct cpu_list *cpus, struct error *e) WARN_UNUSED;
int cgroup_set_descendants_max(
        struct cgroup *c, uint64_t max, struct error *e) WARN_UNUSED; /* v2 identity tree */

/* ---- state ---- */
/* Asks the kernel; it is done once cgroup_frozen() says so: processes stop at their next return to user space. */
int cgroup_freeze(struct cgroup *c, bool frozen, struct error *e) WARN_UNUSED;
int cgroup_frozen(struct cgroup *c, bool *ret) WARN_UNUSED; /* every process in it stands still */
/* SIGKILL to everything in the subtree (cgroup.kill, else freeze-and-walk). Returns at once. */
int cgroup_kill(struct cgroup *c, struct error *e) WARN_UNUSED;
int cgroup_populated(struct cgroup *c, bool *ret) WARN_UNUSED;
/* An fd of cgroup.events to poll for EPOLLPRI: changes of `populated` and `frozen`; reading either one re-arms. Owned by c. */
int cgroup_events_fd(struct cgroup *c);
/*
 * Removes the group and its descendants in every hierarchy. -EBUSY while processes are left (kill first). The handle stays valid for
 * cgroup_free only. Groups that vanished are success.
 */
int cgroup_remove(struct cgroup *c, struct error *e) WARN_UNUSED;

/* ---- accounting: one struct, filled with what this host gives; flags say what is there ---- */
struct cgroup_usage {
        bool has_cpu, has_memory, has_memory_peak, has_pids, has_cpu_pressure, has_memory_pressure;
        uint64_t cpu_usage_ns, cpu_user_ns, cpu_system_ns;
        uint64_t cpu_periods, cpu_throttled_periods, cpu_throttled_ns;
        uint64_t memory_bytes, memory_peak_bytes, memory_limit_bytes; /* limit UINT64_MAX = none */
        uint64_t memory_working_set_bytes;                            /* usage - inactive file */
        uint64_t memory_anon_bytes, memory_file_bytes;
        uint64_t memory_events_max, memory_events_oom, memory_oom_kills;
        uint64_t memory_page_faults, memory_major_faults;
        uint64_t pids, pids_limit_hits; /* forks refused by pids.max */
        uint64_t cpu_some_ns, cpu_full_ns, memory_some_ns, memory_full_ns, io_some_ns,
                io_full_ns; /* PSI totals */
};
/*
 * Uses kept file descriptors (opened on first use). Missing, malformed or out-of-range numbers leave their flags false. -ENODEV when the
 * group was removed. v1: memory_events_max counts failed charges (always 0 on some kernels, 6.18 among them: go by memory_oom_kills), memory_events_oom the kills, and OOM kills of nested groups count there.
 */
int cgroup_read_usage(struct cgroup *c, struct cgroup_usage *ret) WARN_UNUSED;
/* Only the CPU part, and only the OOM count: cheap, for tight loops. */
int cgroup_read_cpu_ns(struct cgroup *c, uint64_t *ret) WARN_UNUSED;
int cgroup_read_oom_kills(struct cgroup *c, uint64_t *ret) WARN_UNUSED;
