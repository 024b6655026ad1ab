/*
 * Identity: a cgroup made below one of ours inherits its slot, so that a container's whole subtree counts as
 * one without any walk at event time. Both tracepoints fire inside the system call, before a task can enter
 * the new group.
 */
#include "bpf/program.h"

static __always_inline struct bpf_cgroup_key cgroup_key(struct cgroup *cgroup)
{
        struct bpf_cgroup_key key = {.id = cgroup->kn->id, .hierarchy = cgroup->root->hierarchy_id};
        return key;
}

SEC("tp_btf/cgroup_mkdir")
int BPF_PROG(tree_mkdir, struct cgroup *cgroup)
{
        struct bpf_cgroup_key parent = cgroup_key(cgroup->self.parent->cgroup);
        struct bpf_cgroup_key child = cgroup_key(cgroup);
        __u32 *inherited = bpf_map_lookup_elem(&keys, &parent);
        struct bpf_slot *owner;
        struct bpf_meta *m;
        __u32 slot;

        if (!inherited)
                return 0;
        slot = *inherited;
        owner = bpf_map_lookup_elem(&slots, &slot);
        if (!owner)
                return 0;
        /* Counted first: too many keys cost user space a search, too few would leave one behind. */
        __sync_fetch_and_add(&owner->keys, 1);
        if (bpf_map_update_elem(&keys, &child, &slot, BPF_NOEXIST) == 0)
                return 0;
        __sync_fetch_and_add(&owner->keys, -1);
        m = set_meta();
        if (m)
                __sync_fetch_and_add(&m->keys_dropped, 1);
        return 0;
}

/* The row keeps what the group used; its last tasks may still be on their way out, and are found in the
 * caches. */
SEC("tp_btf/cgroup_rmdir")
int BPF_PROG(tree_rmdir, struct cgroup *cgroup)
{
        struct bpf_cgroup_key key = cgroup_key(cgroup);
        __u32 *found = bpf_map_lookup_elem(&keys, &key);
        struct bpf_slot *owner;
        __u32 slot;

        if (!found)
                return 0;
        slot = *found;
        if (bpf_map_delete_elem(&keys, &key) != 0)
                return 0;
        owner = bpf_map_lookup_elem(&slots, &slot);
        if (owner)
                __sync_fetch_and_add(&owner->keys, -1);
        return 0;
}
