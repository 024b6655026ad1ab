/*
 * Measurement by eBPF: the container's cgroup gets a slot before anything runs in it. Never a reason to refuse a task: without
 * probes the figures under the same names are those of the cgroup files.
 */
#include <string.h>

#include "bpf/bpf.h"
#include "isolators/isolators.h"

static int probes_probe(struct isolator_host *h, struct error *e)
{
        if (h->probes)
                return 0;
        return error_set(
                e, -ENOTSUP, "%s", h->probes_missing ? h->probes_missing : "the eBPF probes are off");
}

static int probes_isolate(struct isolator_host *h, struct container *c, struct error *e)
{
        /* No free slot: the container is measured by its cgroup files. */
        if (h->probes && bpf_probes_add(h->probes, cgroup_id(c->cgroup), &c->probe_slot) < 0)
                c->probe_slot = 0;
        return 0;
}

static void probes_usage(struct isolator_host *h, struct container *c, struct container_usage *u)
{
        struct bpf_counters counters;

        _Static_assert(sizeof(u->runqueue_hist) == sizeof(counters.runqueue_hist), "one histogram");
        if (!h->probes || !c->probe_slot)
                return;
        bpf_probes_read(h->probes, c->probe_slot, &counters);
        if (bpf_probes_group_up(h->probes, BPF_GROUP_CPU, NULL)) {
                u->from_probes = true;
                u->cpu_ns = counters.cpu_ns;
        }
        u->runqueue_wait_ns = counters.runqueue_wait_ns;
        u->runqueue_waits = counters.runqueue_waits;
        u->preemptions = counters.involuntary_switches;
        memcpy(u->runqueue_hist, counters.runqueue_hist, sizeof(u->runqueue_hist));
}

static void probes_cleanup(struct isolator_host *h, struct container *c)
{
        if (h->probes && c->probe_slot)
                bpf_probes_remove(h->probes, c->probe_slot);
        c->probe_slot = 0;
}

static int probes_recover(struct isolator_host *h, struct container *c, struct error *e)
{
        if (!h->probes || !c->cgroup || c->probe_slot)
                return 0;
        if (bpf_probes_find(h->probes, cgroup_id(c->cgroup), &c->probe_slot) == 0)
                return 0;
        /* Probes that did not outlive the agent count from now on: that total would be wrong, so the files are used. */
        c->probe_slot = 0;
        return 0;
}

const struct isolator isolator_probes = {
        .name = "probes",
        .provides = "CPU time and run-queue latency measured by eBPF",
        .probe = probes_probe,
        .isolate = probes_isolate,
        .usage = probes_usage,
        .cleanup = probes_cleanup,
        .recover = probes_recover,
};
