/*
 * What happens to a container at context switches: how long its tasks waited for a CPU, whether they left it
 * by themselves, and who took it from them. The wait is the scheduler's own: `last_queued` against the run
 * queue's clock, so no wake-up has to be traced and no time stamp kept. It includes time throttled by a
 * quota; a task that moves between CPUs while it waits loses the first part.
 */
#include "bpf/program.h"

static __always_inline bool still_runnable(struct task_struct *task)
{
        if (bpf_core_field_exists(task->__state))
                return task->__state == TASK_RUNNING;
        return BPF_CORE_READ((struct task_struct___before_5_14 *)task, state) == TASK_RUNNING;
}

static __always_inline __u32 bucket_of(__u64 wait_ns)
{
        __u64 wait_us = wait_ns / 1000;
        __u32 v, bucket = 1;

        if (wait_us == 0)
                return 0;
        if (wait_us >= 1ULL << (BPF_RUNQUEUE_BUCKETS - 2))
                return BPF_RUNQUEUE_BUCKETS - 1;
        v = wait_us;
        if (v >> 16) {
                bucket += 16;
                v >>= 16;
        }
        if (v >> 8) {
                bucket += 8;
                v >>= 8;
        }
        if (v >> 4) {
                bucket += 4;
                v >>= 4;
        }
        if (v >> 2) {
                bucket += 2;
                v >>= 2;
        }
        return bucket + (v >> 1);
}

static __always_inline void count_arrival(struct bpf_cpu_row *row, struct task_struct *task)
{
        __u64 queued = task->sched_info.last_queued;
        __u64 now = task->se.cfs_rq->rq->clock;
        __u64 wait_ns = now > queued ? now - queued : 0;

        /* 0: it did not wait, for example it was already running. */
        if (!queued)
                return;
        row->runqueue_wait_ns += wait_ns;
        row->runqueue_waits++;
        row->runqueue_hist[bucket_of(wait_ns) & 31]++;
}

static __always_inline void count_departure(
        struct bpf_cpu_row *row, bool involuntary, bool next_is_idle, __u32 prev_slot, __u32 next_slot)
{
        if (!involuntary) {
                row->voluntary_switches++;
                return;
        }
        row->involuntary_switches++;
        /* Nobody took the CPU: throttled, or moved away. */
        if (next_is_idle)
                return;
        if (next_slot == prev_slot)
                row->preempted_by_self++;
        else if (next_slot != BPF_SLOT_NONE)
                row->preempted_by_other++;
        else
                row->preempted_by_system++;
}

/* 5.18 appended a fourth argument (the state of prev). The idle task (pid 0) belongs to nobody. */
SEC("tp_btf/sched_switch")
int BPF_PROG(sched_switched, bool preempt, struct task_struct *prev, struct task_struct *next)
{
        bool next_is_idle = next->pid == 0;
        __u32 prev_slot = BPF_SLOT_NONE, next_slot = BPF_SLOT_NONE;
        struct bpf_cpu_row *row;
        struct here here;

        if (!get_here(&here))
                return 0;
        if (prev->pid != 0)
                prev_slot = task_slot(prev, &here);
        if (!next_is_idle)
                next_slot = task_slot(next, &here);
        if (prev_slot != BPF_SLOT_NONE) {
                row = slot_row(prev_slot, &here);
                if (row)
                        count_departure(
                                row, preempt || still_runnable(prev), next_is_idle, prev_slot, next_slot);
        }
        if (next_slot != BPF_SLOT_NONE) {
                row = slot_row(next_slot, &here);
                if (row)
                        count_arrival(row, next);
        }
        return 0;
}
