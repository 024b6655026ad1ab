/* Reading a slot: sums over the rows of all CPUs in mapped memory. Loads of 64 bits are atomic; fields of one
 * row may be an event apart. */
#include <string.h>

#include "bpf/internal.h"

void bpf_probes_read(const struct bpf_probes *p, uint32_t slot, struct bpf_counters *ret)
{
        const struct bpf_cpu_row *rows;
        struct bpf_counters sum = {};
        uint32_t hist[BPF_RUNQUEUE_BUCKETS] = {};
        struct bpf_slot *s;

        assert(slot != BPF_SLOT_NONE && slot <= p->slots);
        rows = &p->rows[(size_t)slot * p->cpus];
        s = &p->slot_map[slot];
        for (uint32_t cpu = 0; cpu < p->cpus; cpu++) {
                const volatile struct bpf_cpu_row *row = &rows[cpu];

                sum.cpu_ns += row->cpu_ns;
                sum.runqueue_wait_ns += row->runqueue_wait_ns;
                sum.runqueue_waits += row->runqueue_waits;
                sum.voluntary_switches += row->voluntary_switches;
                sum.involuntary_switches += row->involuntary_switches;
                sum.preempted_by_self += row->preempted_by_self;
                sum.preempted_by_other += row->preempted_by_other;
                sum.preempted_by_system += row->preempted_by_system;
                for (size_t i = 0; i < BPF_RUNQUEUE_BUCKETS; i++)
                        hist[i] += row->runqueue_hist[i];
        }
        /* Each CPU's counter wraps at 2^32, and so does their sum: what it gained since the last reading is
         * exact modulo 2^32. */
        for (size_t i = 0; i < BPF_RUNQUEUE_BUCKETS; i++) {
                s->runqueue_hist[i] += (uint32_t)(hist[i] - (uint32_t)s->runqueue_hist[i]);
                sum.runqueue_hist[i] = s->runqueue_hist[i];
        }
        *ret = sum;
}
