/*
 * What the BPF programs and user space share: fixed-width types only, no pointers. A change of any struct
 * here is a new BPF_ABI. Included by both sides; the programs get the u-types from bpf/kernel.h, user space
 * from <linux/types.h>.
 */
#pragma once

#ifndef __bpf__
#include <linux/types.h>
#endif

#define BPF_ABI 1
#define BPF_RUNQUEUE_BUCKETS 27
#define BPF_CACHE_ENTRIES 64 /* per CPU, a power of two */
#define BPF_SLOT_NONE 0      /* not a container of this agent */

/* Key of the identity table. Hierarchy 0 is cgroup v2; v1 hierarchies number their cgroups on their own. */
struct bpf_cgroup_key {
        __u64 id;
        __u32 hierarchy;
        __u32 pad;
};

/* One slot's counters of one CPU: written by that CPU alone with plain adds, read by user space. Five cache
 * lines. */
struct bpf_cpu_row {
        __u64 cpu_ns;
        __u64 voluntary_switches;
        __u64 involuntary_switches;
        __u64 runqueue_wait_ns;
        __u64 runqueue_waits;
        __u64 preempted_by_self;
        __u64 preempted_by_other;
        __u64 preempted_by_system;
        /* Counted by no program yet; the row has their place so that a new group is no new layout. */
        __u64 forks, execs, exits;
        __u64 receive_bytes, receive_packets, transmit_bytes, transmit_packets, retransmits;
        __u64 reclaim_ns, reclaims, oom_kills;
        __u64 reserved[5];
        __u32 runqueue_hist[32]; /* log2 of microseconds; 27 used; wraps, user space extends it */
};

/* A slot as user space keeps it, in a pinned map so that the next process knows it. Programs touch `keys`
 * alone. */
struct bpf_slot {
        __u64 cgroup_id; /* 0: free */
        __u32 keys;      /* keys of the identity table that lead here; may be too high, never too low */
        __u32 pad;
        __u64 runqueue_hist[BPF_RUNQUEUE_BUCKETS]; /* 64-bit extension of the rows' sum: equal to it modulo
                                                      2^32 */
};

/* Direct-mapped by cgroup id: spares the hash look-up. Valid while its generation is the current one. */
struct bpf_cache_entry {
        __u64 id;
        __u32 slot;
        __u32 generation;
};

struct bpf_meta {
        __u32 abi;
        __u32 ready; /* everything was loaded, attached and pinned */
        __u64 programs_hash;
        __u32 cpus;
        __u32 slots;
        __u32 groups;     /* bit per enum bpf_group that is attached */
        __u32 generation; /* of the caches; never 0 */
        char boot_id[40];
        __u64 keys_dropped;
        __u64 slots_overflow;
};

/* Constants of a set, known before load. */
struct bpf_config {
        __u32 cpus;
};
