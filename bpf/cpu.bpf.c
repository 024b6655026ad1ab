/*
 * CPU time as the scheduler itself bills it: fires wherever the kernel charges a task, at the latest at the
 * next tick, so the sum equals cpu.stat and no running slice has to be added. Real-time and deadline tasks
 * are charged here since 5.16. (Differences of clock readings at context switches miss the time between the
 * scheduler's clock and the tracepoint: measured up to 25 % off.)
 */
#include "bpf/program.h"

/* 6.8 dropped a third argument (vruntime). */
SEC("tp_btf/sched_stat_runtime")
int BPF_PROG(cpu_runtime, struct task_struct *task, __u64 runtime_ns)
{
        struct bpf_cpu_row *row;
        struct here here;
        __u32 slot;

        if (!get_here(&here))
                return 0;
        slot = task_slot(task, &here);
        if (slot == BPF_SLOT_NONE)
                return 0;
        row = slot_row(slot, &here);
        if (row)
                row->cpu_ns += runtime_ns;
        return 0;
}
