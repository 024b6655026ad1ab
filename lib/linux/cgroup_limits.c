#include <string.h>

#include "lib/linux/cgroup_internal.h"

#define CPU_PERIOD_DEFAULT_USEC UINT64_C(100000)
#define CPU_PERIOD_MIN_USEC UINT64_C(1000)
#define CPU_PERIOD_MAX_USEC UINT64_C(1000000)
/* The kernel refuses a quota below 1 ms (min_cfs_quota_period). */
#define CPU_QUOTA_MIN_USEC UINT64_C(1000)
/* A million CPUs: keeps every product below in range. */
#define MILLI_CPUS_MAX UINT64_C(1000000000)
/* v1 has no "max": -1 is written for none. */
#define V1_NONE "-1"

/* The directory in which `ctl` is set, or a sentence why there is none. */
static int limit_dir(
        const struct cgroup *c, enum cgroup_controller ctl, int *ret_dirfd, bool *ret_v2, struct error *e)
{
        int index = c->root->by_controller[ctl];

        if (index < 0)
                return error_set(e, -ENOTSUP, "cannot limit %s for %s: %s", cgroup_controller_to_string(ctl),
                        c->name, c->root->missing[ctl]);
        if (c->fds[index] < 0)
                return error_set(e, -ENOENT, "the control group %s does not exist", c->paths[index]);
        *ret_dirfd = c->fds[index];
        *ret_v2 = index == HIERARCHY_V2;
        return 0;
}

static int set_file(const struct cgroup *c, enum cgroup_controller ctl, int dirfd, const char *file,
        const char *text, struct error *e)
{
        int r = cgroup_file_write(dirfd, file, text);

        if (r < 0)
                return error_set_errno(e, r, "cannot write \"%s\" to %s/%s", text, cgroup_path(c, ctl), file);
        return 0;
}

#define VALUE_TEXT_MAX 24
static const char *format_value(uint64_t value, const char *none, char buf[static VALUE_TEXT_MAX])
{
        if (value == UINT64_MAX)
                return none;
        (void)snprintf(buf, VALUE_TEXT_MAX, "%llu", (unsigned long long)value);
        return buf;
}

int cgroup_set_cpu_weight(struct cgroup *c, uint64_t milli_cpus, struct error *e)
{
        char text[VALUE_TEXT_MAX];
        int dirfd = -1;
        bool v2 = false;

        int r = limit_dir(c, CGROUP_CPU, &dirfd, &v2, e);
        if (r < 0)
                return r;
        milli_cpus = MIN(milli_cpus, MILLI_CPUS_MAX);
        /* Both scales give one CPU the kernel's default (100 and 1024), and both are clamped to what the kernel takes. */
        uint64_t weight = v2 ? milli_cpus / 10 : milli_cpus * 1024 / 1000;
        weight = v2 ? MIN(MAX(weight, UINT64_C(1)), UINT64_C(10000))
                    : MIN(MAX(weight, UINT64_C(2)), UINT64_C(262144));
        return set_file(
                c, CGROUP_CPU, dirfd, v2 ? "cpu.weight" : "cpu.shares", format_value(weight, "", text), e);
}

/*
 * v1 has two files, and the kernel checks the pair after each write against the parent's ratio: the order is chosen so that the pair in
 * between is the tighter one.
 */
static int set_quota_v1(const struct cgroup *c, int dirfd, uint64_t quota, uint64_t period, struct error *e)
{
        char quota_text[VALUE_TEXT_MAX], period_text[VALUE_TEXT_MAX], text[64];
        uint64_t old_period = 0;

        int r = cgroup_file_read(dirfd, "cpu.cfs_period_us", text, sizeof(text));
        if (r >= 0)
                r = cgroup_parse_value(text, &old_period);
        if (r < 0)
                return error_set_errno(e, r, "cannot read %s/cpu.cfs_period_us", cgroup_path(c, CGROUP_CPU));
        (void)format_value(period, "", period_text);
        if (period > old_period)
                r = set_file(c, CGROUP_CPU, dirfd, "cpu.cfs_period_us", period_text, e);
        if (r >= 0)
                r = set_file(c, CGROUP_CPU, dirfd, "cpu.cfs_quota_us",
                        format_value(quota, V1_NONE, quota_text), e);
        if (r >= 0 && period < old_period)
                r = set_file(c, CGROUP_CPU, dirfd, "cpu.cfs_period_us", period_text, e);
        return r;
}

int cgroup_set_cpu_quota(struct cgroup *c, uint64_t milli_cpus, uint64_t period_usec, struct error *e)
{
        char number[VALUE_TEXT_MAX], text[64];
        uint64_t period = period_usec ? period_usec : CPU_PERIOD_DEFAULT_USEC;
        uint64_t quota = UINT64_MAX;
        int dirfd = -1;
        bool v2 = false;

        int r = limit_dir(c, CGROUP_CPU, &dirfd, &v2, e);
        if (r < 0)
                return r;
        if (period < CPU_PERIOD_MIN_USEC || period > CPU_PERIOD_MAX_USEC)
                return error_set(e, -EINVAL, "the CPU period %llu us of %s is not between 1000 and 1000000",
                        (unsigned long long)period, c->name);
        if (milli_cpus != UINT64_MAX) {
                if (milli_cpus == 0 || milli_cpus > MILLI_CPUS_MAX)
                        return error_set(e, -EINVAL,
                                "the CPU limit of %s is not between 0.001 and 1000000 CPUs", c->name);
                if (milli_cpus * period < CPU_QUOTA_MIN_USEC * 1000)
                        period = (CPU_QUOTA_MIN_USEC * 1000 + milli_cpus - 1) / milli_cpus;
                quota = MAX(milli_cpus * period / 1000, CPU_QUOTA_MIN_USEC);
        }
        if (!v2)
                return set_quota_v1(c, dirfd, quota, period, e);
        (void)snprintf(text, sizeof(text), "%s %llu", format_value(quota, "max", number),
                (unsigned long long)period);
        return set_file(c, CGROUP_CPU, dirfd, "cpu.max", text, e);
}

/* limit_in_bytes <= memsw.limit_in_bytes holds at every moment: raise the outer one first, lower the inner one first. */
static int set_memory_max_v1(const struct cgroup *c, int dirfd, uint64_t bytes, struct error *e)
{
        static const char *const files[] = {"memory.limit_in_bytes", "memory.memsw.limit_in_bytes"};
        char value[VALUE_TEXT_MAX], text[64];
        uint64_t old = 0;

        int r = cgroup_file_read(dirfd, files[0], text, sizeof(text));
        if (r >= 0)
                r = cgroup_parse_value(text, &old);
        if (r < 0)
                return error_set_errno(e, r, "cannot read %s/%s", cgroup_path(c, CGROUP_MEMORY), files[0]);
        bool raise = bytes > old;
        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
                const char *file = files[raise ? 1 - i : i];
                r = cgroup_file_write(dirfd, file, format_value(bytes, V1_NONE, value));
                /* Without swap accounting in the kernel there is no memsw file. */
                if (r < 0 && !(r == -ENOENT && file == files[1]))
                        return error_set_errno(e, r, "cannot write \"%s\" to %s/%s", value,
                                cgroup_path(c, CGROUP_MEMORY), file);
        }
        return 0;
}

int cgroup_set_memory_max(struct cgroup *c, uint64_t bytes, struct error *e)
{
        char value[VALUE_TEXT_MAX];
        int dirfd = -1;
        bool v2 = false;

        int r = limit_dir(c, CGROUP_MEMORY, &dirfd, &v2, e);
        if (r < 0)
                return r;
        if (!v2)
                return set_memory_max_v1(c, dirfd, bytes, e);
        r = cgroup_file_write(dirfd, "memory.swap.max", "0");
        if (r < 0 && r != -ENOENT) /* a kernel without swap has no such file */
                return error_set_errno(
                        e, r, "cannot write \"0\" to %s/memory.swap.max", cgroup_path(c, CGROUP_MEMORY));
        return set_file(c, CGROUP_MEMORY, dirfd, "memory.max", format_value(bytes, "max", value), e);
}

int cgroup_set_memory_protection(struct cgroup *c, uint64_t bytes, struct error *e)
{
        char value[VALUE_TEXT_MAX];
        int dirfd = -1;
        bool v2 = false;

        int r = limit_dir(c, CGROUP_MEMORY, &dirfd, &v2, e);
        if (r < 0)
                return r;
        return set_file(c, CGROUP_MEMORY, dirfd, v2 ? "memory.low" : "memory.soft_limit_in_bytes",
                format_value(bytes, v2 ? "max" : V1_NONE, value), e);
}

int cgroup_set_pids_max(struct cgroup *c, uint64_t max, struct error *e)
{
        char value[VALUE_TEXT_MAX];
        int dirfd = -1;
        bool v2 = false;

        int r = limit_dir(c, CGROUP_PIDS, &dirfd, &v2, e);
        return r < 0 ? r : set_file(c, CGROUP_PIDS, dirfd, "pids.max", format_value(max, "max", value), e);
}

int cgroup_set_descendants_max(struct cgroup *c, uint64_t max, struct error *e)
{
        char value[VALUE_TEXT_MAX];

        return set_file(c, CGROUP_FREEZER, c->fds[HIERARCHY_V2], "cgroup.max.descendants",
                format_value(max, "max", value), e);
}
