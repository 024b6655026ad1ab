/* The compiled programs as bytes of the agent: nothing to install or to find at run time. The Makefile gives
 * BPF_GEN_DIR. */
#include "bpf/internal.h"

#define EMBED(name)                                                                                          \
        __asm__(".pushsection .rodata, \"a\", @progbits\n"                                                   \
                ".balign 16\n"                                                                               \
                "bpf_" #name "_start:\n"                                                                     \
                ".incbin \"" BPF_GEN_DIR "/" #name ".bpf.o\"\n"                                              \
                "bpf_" #name "_end:\n"                                                                       \
                ".popsection\n");                                                                            \
        extern const unsigned char bpf_##name##_start[], bpf_##name##_end[]

EMBED(tree);
EMBED(cpu);
EMBED(sched);

const struct bpf_embedded bpf_embedded[BPF_GROUP_MAX] = {
        [BPF_GROUP_TREE] = {bpf_tree_start, bpf_tree_end},
        [BPF_GROUP_CPU] = {bpf_cpu_start, bpf_cpu_end},
        [BPF_GROUP_SCHED] = {bpf_sched_start, bpf_sched_end},
};
