/*
 * The eBPF probes of one agent: what every container uses, counted in the kernel and read as plain memory.
 *
 * A container is a slot: the agent adds the v2 cgroup of a container before anything runs in it, cgroups made
 * below inherit the slot, and usage of a cgroup that is gone stays in it. A set counts only its own slots, so
 * several agents can measure on one machine. With a pin directory the programs and their counters outlive the
 * process and are adopted by the next one.
 *
 * The caller owns a `struct bpf_probes` and uses it from one thread. Nothing here blocks for long: loading
 * takes some tens of milliseconds, adoption about one, reading none at all (no system call).
 *
 * libbpf has a header of the same name; files here that need it include "bpf/libbpf_calls.h".
 */
#pragma once

#include "bpf/probes.h"
#include "lib/base/error.h"

struct bpf_probes;

/* Groups of programs load and fail independently; without the tree there is no identity, so no set. */
enum bpf_group {
        BPF_GROUP_TREE,  /* cgroups made and removed below ours */
        BPF_GROUP_CPU,   /* cpu_ns */
        BPF_GROUP_SCHED, /* run queue, context switches, preemptions */
        BPF_GROUP_MAX,
        BPF_GROUP_INVALID = -EINVAL,
};
const char *bpf_group_to_string(enum bpf_group g);

struct bpf_options {
        /* E.g. "/run/mete/agent-5051/bpf", created if missing (0700); a private bpffs is mounted there unless
         * it lies on one. One live process a directory. NULL: unpinned, counting ends with the process. */
        const char *pin_dir;
        uint32_t slots; /* containers at a time; 0: 512, at most 8192 */
};

/*
 * Adopts the pinned set of an earlier process when boot, layout, CPUs and number of slots are the same; programs
 * of another build are replaced, and the counters go on. Otherwise removes what is pinned and loads anew.
 * -ENOTSUP, -EPERM and the like, with one sentence on why there is no BPF; nothing is left behind then.
 */
int bpf_probes_open(const struct bpf_options *o, struct bpf_probes **ret, struct error *e) WARN_UNUSED;
/* Unmaps and closes. Pinned programs count on; unpinned ones are gone. */
struct bpf_probes *bpf_probes_free(struct bpf_probes *p);
DEFINE_CLEANUP(struct bpf_probes, bpf_probes_free)
/* Removes everything pinned below pin_dir, the bpffs that open
 * mounted there, and the directory. 0 when missing. */
int bpf_probes_purge(const char *pin_dir, struct error *e) WARN_UNUSED;
/* Loads and attaches a set once and leaves nothing behind. 0, or why there is no BPF: for `mete doctor`. */
int bpf_supported(struct error *e) WARN_UNUSED;

/* false: *ret_reason (may be NULL) is one sentence, owned by p. */
bool bpf_probes_group_up(const struct bpf_probes *p, enum bpf_group g, const char **ret_reason);
/* true: counters go on from an earlier process. false: every slot starts at zero, whatever runs already. */
bool bpf_probes_adopted(const struct bpf_probes *p);

/*
 * Gives the cgroup (v2 id: inode of its directory) a slot that starts at zero: before anything runs in it, or
 * its usage until now is missing. A cgroup below one that has a slot gets its own instead of the inherited
 * one. -ENOSPC when all slots are taken (the container then has the metrics of cgroup files only), -EEXIST
 * when it has a slot of its own.
 */
int bpf_probes_add(struct bpf_probes *p, uint64_t cgroup_id, uint32_t *ret_slot) WARN_UNUSED;
/* The slot that add gave in an earlier process, also when the cgroup is gone meanwhile. -ENOENT. */
int bpf_probes_find(struct bpf_probes *p, uint64_t cgroup_id, uint32_t *ret_slot) WARN_UNUSED;
/* Cgroups below cgroup_dirfd that were made before the programs were attached, or before add, join the slot.
 */
int bpf_probes_rescan(struct bpf_probes *p, int cgroup_dirfd, uint32_t slot) WARN_UNUSED;
/* Read it a last time before: the slot is counted no more, and is given out again after a pause. */
void bpf_probes_remove(struct bpf_probes *p, uint32_t slot);
/* After recovery: removes every slot that is not in the list. */
void bpf_probes_retain(struct bpf_probes *p, const uint32_t *slots, size_t n);

/* Totals since add; never decreasing. Fields of a group that is down stay zero. They are exact to one
 * scheduler tick. */
struct bpf_counters {
        uint64_t cpu_ns;
        uint64_t runqueue_wait_ns; /* runnable but not running, throttled time included */
        uint64_t runqueue_waits;
        uint64_t voluntary_switches, involuntary_switches;
        /* Involuntary switches by who ran next: the container itself, another container of this agent,
         * anything else. */
        uint64_t preempted_by_self, preempted_by_other, preempted_by_system;
        /* Waits by duration: [0] below 1 us, [i] from 2^(i-1) to 2^i us, the last from 2^25 us (33 s) on. */
        uint64_t runqueue_hist[BPF_RUNQUEUE_BUCKETS];
};
/* Memory reads only. Call it at least every few hours per slot: the kernel's histogram is 32 bits wide and is
 * extended here. */
void bpf_probes_read(const struct bpf_probes *p, uint32_t slot, struct bpf_counters *ret);

/* For doctor and the metrics of the agent itself. */
struct bpf_status {
        bool adopted, pinned;
        bool group_up[BPF_GROUP_MAX];
        uint32_t programs; /* attached */
        uint32_t cpus;     /* possible CPUs, each with a row per slot */
        uint32_t slots, slots_used;
        uint64_t slots_overflow; /* containers refused with -ENOSPC */
        uint64_t keys_dropped; /* cgroups below ours that found the identity table full and are not counted */
        uint64_t map_bytes;    /* kernel memory of the maps */
};
void bpf_probes_status(const struct bpf_probes *p, struct bpf_status *ret);
