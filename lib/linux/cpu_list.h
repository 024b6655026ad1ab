/* Sets of CPUs, as the kernel writes them: "0-3,8". Plain data. */
#pragma once

#include "lib/base/error.h"

#define CPU_LIST_MAX 4096 /* CPUs 0 to 4095 */

struct cpu_list {
        uint64_t words[CPU_LIST_MAX / 64];
};

/* A line end and an empty text are fine. -EINVAL for what is no list, -ERANGE beyond CPU_LIST_MAX. */
int cpu_list_parse(const char *text, struct cpu_list *ret) WARN_UNUSED;
/* The caller frees; "" when empty. */
char *cpu_list_format(const struct cpu_list *l);
int cpu_list_add(struct cpu_list *l, uint64_t first, uint64_t last) WARN_UNUSED; /* -EINVAL, -ERANGE */
bool cpu_list_has(const struct cpu_list *l, unsigned cpu);
size_t cpu_list_count(const struct cpu_list *l);
bool cpu_list_equal(const struct cpu_list *a, const struct cpu_list *b);
bool cpu_list_contains(const struct cpu_list *big, const struct cpu_list *small);
bool cpu_list_overlaps(const struct cpu_list *a, const struct cpu_list *b);
void cpu_list_join(struct cpu_list *l, const struct cpu_list *other);
void cpu_list_take(struct cpu_list *l, const struct cpu_list *other); /* l without other's */
/* Those that this machine has running, from <sysroot>/sys. */
int cpu_list_online(const char *sysroot, struct cpu_list *ret) WARN_UNUSED;
