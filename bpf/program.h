/*
 * What every BPF program of ours includes: the maps of a set and the way from a cgroup to its slot. The
 * loader creates the maps and sizes them (the entries given here are placeholders), so that separately loaded
 * objects share them.
 */
#pragma once

#include "bpf/kernel.h"
#include "bpf/probes.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

char program_license[] SEC("license") = "Dual BSD/GPL";

const volatile struct bpf_config config SEC(".rodata.config");

/* Which slot a cgroup belongs to. Written by user space and by the tree programs. */
struct {
        __uint(type, BPF_MAP_TYPE_HASH);
        __uint(max_entries, 1);
        __type(key, struct bpf_cgroup_key);
        __type(value, __u32);
} keys SEC(".maps");

/* [slot * cpus + cpu] */
struct {
        __uint(type, BPF_MAP_TYPE_ARRAY);
        __uint(map_flags, BPF_F_MMAPABLE);
        __uint(max_entries, 1);
        __type(key, __u32);
        __type(value, struct bpf_cpu_row);
} rows SEC(".maps");

/* [slot] */
struct {
        __uint(type, BPF_MAP_TYPE_ARRAY);
        __uint(map_flags, BPF_F_MMAPABLE);
        __uint(max_entries, 1);
        __type(key, __u32);
        __type(value, struct bpf_slot);
} slots SEC(".maps");

/* [cpu * BPF_CACHE_ENTRIES + id % BPF_CACHE_ENTRIES]: a plain array, because the kernel inlines its look-up
 * and a CPU's 1 KiB is its own. */
struct {
        __uint(type, BPF_MAP_TYPE_ARRAY);
        __uint(max_entries, 1);
        __type(key, __u32);
        __type(value, struct bpf_cache_entry);
} cache SEC(".maps");

struct {
        __uint(type, BPF_MAP_TYPE_ARRAY);
        __uint(map_flags, BPF_F_MMAPABLE);
        __uint(max_entries, 1);
        __type(key, __u32);
        __type(value, struct bpf_meta);
} meta SEC(".maps");

static __always_inline struct bpf_meta *set_meta(void)
{
        __u32 zero = 0;
        return bpf_map_lookup_elem(&meta, &zero);
}

/* Where an event happens: the CPU and the generation of the caches. */
struct here {
        __u32 cpu;
        __u32 generation;
};

/* False on a CPU that was not possible when the set was loaded. The generation is read before any look-up, so
 * that an answer that is overtaken by a change is cached under a generation that is over. */
static __always_inline bool get_here(struct here *ret)
{
        struct bpf_meta *m = set_meta();
        ret->cpu = bpf_get_smp_processor_id();
        if (!m || ret->cpu >= config.cpus)
                return false;
        ret->generation = *(volatile __u32 *)&m->generation;
        return true;
}

/* Only for programs that run with interrupts off (under a run-queue lock): nothing on this CPU sees or makes
 * a half-written entry. */
static __always_inline __u32 task_slot(struct task_struct *task, const struct here *here)
{
        struct bpf_cgroup_key key = {.id = task->cgroups->dfl_cgrp->kn->id};
        __u32 index = here->cpu * BPF_CACHE_ENTRIES + (key.id & (BPF_CACHE_ENTRIES - 1));
        struct bpf_cache_entry *entry = bpf_map_lookup_elem(&cache, &index);
        __u32 *slot;

        if (!entry)
                return BPF_SLOT_NONE;
        if (entry->id == key.id && entry->generation == here->generation)
                return entry->slot;
        slot = bpf_map_lookup_elem(&keys, &key);
        entry->id = key.id;
        entry->slot = slot ? *slot : BPF_SLOT_NONE;
        entry->generation = here->generation;
        return entry->slot;
}

static __always_inline struct bpf_cpu_row *slot_row(__u32 slot, const struct here *here)
{
        __u32 index = slot * config.cpus + here->cpu;
        return bpf_map_lookup_elem(&rows, &index);
}
