/*
 * The slice of the kernel that the BPF programs touch: types, constants and, with CO-RE relocations, the
 * struct fields that are read. Only names and types matter, the offsets come from the running kernel.
 * Differences between kernels are noted at the field.
 */
#pragma once

#include <stdbool.h>

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef int __s32;
typedef long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;

/* Kernel interface (uapi/linux/bpf.h), whose header needs the asm headers of a real target. */
enum bpf_map_type {
        BPF_MAP_TYPE_HASH = 1,
        BPF_MAP_TYPE_ARRAY = 2,
};
#define BPF_NOEXIST 1
#define BPF_F_MMAPABLE (1U << 10)

/* include/linux/sched.h */
#define TASK_RUNNING 0

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct kernfs_node {
        __u64 id; /* 5.5; a union before */
};

struct cgroup;

struct cgroup_subsys_state {
        struct cgroup *cgroup;
        struct cgroup_subsys_state *parent;
};

struct cgroup_root {
        int hierarchy_id; /* 0: cgroup v2 */
};

struct cgroup {
        struct cgroup_subsys_state self;
        struct kernfs_node *kn;
        struct cgroup_root *root;
};

struct css_set {
        struct cgroup *dfl_cgrp; /* in the v2 hierarchy */
};

struct sched_info {
        unsigned long long last_queued; /* run-queue clock; CONFIG_SCHED_INFO */
};

struct rq {
        __u64 clock;
};

struct cfs_rq {
        struct rq *rq; /* CONFIG_FAIR_GROUP_SCHED */
};

struct sched_entity {
        struct cfs_rq *cfs_rq; /* kept current for tasks of every class; CONFIG_FAIR_GROUP_SCHED */
};

struct task_struct {
        unsigned int __state; /* 5.14; `long state` before */
        int pid;
        struct sched_entity se;
        struct sched_info sched_info;
        struct css_set *cgroups;
};

struct task_struct___before_5_14 {
        long state;
};

#pragma clang attribute pop
