/*
 * Accounting. Both layouts take CPU time and pressure from the v2 tree; memory, pids and throttling come from wherever the controller is
 * bound. A number that is missing, malformed or does not fit leaves its flag false: nobody decides on a guess.
 */
#include <fcntl.h>
#include <string.h>

#include "lib/linux/cgroup_internal.h"

#define USAGE_TEXT_MAX 8192
/* v1 writes "no limit" as the largest page count in bytes, which depends on the page size: everything in its last 64 KiB is that. */
#define V1_UNLIMITED (UINT64_C(0x7fffffffffffffff) - 65536)

struct usage_file_names {
        enum cgroup_controller controller; /* CGROUP_CPUACCT: the v2 tree on every layout */
        const char *v2, *v1;               /* NULL: this layout has no such file */
};

static const struct usage_file_names usage_files[USAGE_FILE_MAX] = {
        [USAGE_CPU_STAT] = {CGROUP_CPUACCT, "cpu.stat", "cpu.stat"},
        [USAGE_CPU_THROTTLING] = {CGROUP_CPU, NULL, "cpu.stat"},
        [USAGE_CPU_PRESSURE] = {CGROUP_CPUACCT, "cpu.pressure", "cpu.pressure"},
        [USAGE_MEMORY_PRESSURE] = {CGROUP_CPUACCT, "memory.pressure", "memory.pressure"},
        [USAGE_IO_PRESSURE] = {CGROUP_CPUACCT, "io.pressure", "io.pressure"},
        [USAGE_MEMORY_CURRENT] = {CGROUP_MEMORY, "memory.current", "memory.usage_in_bytes"},
        [USAGE_MEMORY_PEAK] = {CGROUP_MEMORY, "memory.peak", "memory.max_usage_in_bytes"},
        [USAGE_MEMORY_LIMIT] = {CGROUP_MEMORY, "memory.max", "memory.limit_in_bytes"},
        [USAGE_MEMORY_STAT] = {CGROUP_MEMORY, "memory.stat", "memory.stat"},
        [USAGE_MEMORY_EVENTS] = {CGROUP_MEMORY, "memory.events", "memory.oom_control"},
        [USAGE_MEMORY_FAILCNT] = {CGROUP_MEMORY, NULL, "memory.failcnt"},
        [USAGE_MEMORY_SWAP_FAILCNT] = {CGROUP_MEMORY, NULL, "memory.memsw.failcnt"},
        [USAGE_PIDS_CURRENT] = {CGROUP_PIDS, "pids.current", "pids.current"},
        [USAGE_PIDS_EVENTS] = {CGROUP_PIDS, "pids.events", "pids.events"},
};

#define FD_ABSENT (-2)

static bool on_v2(const struct cgroup *c, enum cgroup_controller ctl)
{
        return c->root->by_controller[ctl] == HIERARCHY_V2;
}

static int read_usage_file(struct cgroup *c, enum usage_file f, char *buf, size_t size)
{
        const struct usage_file_names *names = &usage_files[f];

        if (c->usage_fds[f] == -1) {
                int index = c->root->by_controller[names->controller];
                const char *file = index == HIERARCHY_V2 ? names->v2 : names->v1;
                int fd = index < 0 || !file || c->fds[index] < 0
                                 ? -1
                                 : openat(c->fds[index], file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
                if (fd < 0 && index >= 0 && file && c->fds[index] >= 0 && errno != ENOENT)
                        return -errno;
                c->usage_fds[f] = fd < 0 ? FD_ABSENT : fd;
        }
        if (c->usage_fds[f] == FD_ABSENT)
                return -ENOENT;
        return cgroup_fd_read(c->usage_fds[f], buf, size);
}

static int read_value(struct cgroup *c, enum usage_file f, uint64_t *ret)
{
        char text[64];
        int r = read_usage_file(c, f, text, sizeof(text));

        return r < 0 ? r : cgroup_parse_value(text, ret);
}

/* A key that this kernel does not write stays zero; a number that cannot be read does not pass. */
static int keyed_optional(const char *text, const char *key, uint64_t *ret)
{
        int r = cgroup_parse_keyed(text, key, ret);

        return r == -ENOENT ? 0 : r;
}

static int keyed_usec(const char *text, const char *key, uint64_t *ret_ns)
{
        uint64_t usec;
        int r = cgroup_parse_keyed(text, key, &usec);

        if (r < 0)
                return r;
        if (usec > UINT64_MAX / NSEC_PER_USEC)
                return -ERANGE;
        *ret_ns = usec * NSEC_PER_USEC;
        return 0;
}

static int read_throttling(struct cgroup *c, char *text, struct cgroup_usage *u)
{
        const char *key = "throttled_usec";
        uint64_t unit = NSEC_PER_USEC, throttled = 0;

        if (!on_v2(c, CGROUP_CPU)) {
                int r = read_usage_file(c, USAGE_CPU_THROTTLING, text, USAGE_TEXT_MAX);
                if (r < 0)
                        return r == -ENOENT ? 0 : r;
                key = "throttled_time"; /* in ns */
                unit = 1;
        }
        int r = keyed_optional(text, "nr_periods", &u->cpu_periods);
        if (r >= 0)
                r = keyed_optional(text, "nr_throttled", &u->cpu_throttled_periods);
        if (r >= 0)
                r = keyed_optional(text, key, &throttled);
        if (r < 0)
                return r;
        if (throttled > UINT64_MAX / unit)
                return -ERANGE;
        u->cpu_throttled_ns = throttled * unit;
        return 0;
}

static int read_cpu(struct cgroup *c, struct cgroup_usage *ret)
{
        char text[USAGE_TEXT_MAX];
        struct cgroup_usage u = *ret;

        int r = read_usage_file(c, USAGE_CPU_STAT, text, sizeof(text));
        if (r >= 0)
                r = keyed_usec(text, "usage_usec", &u.cpu_usage_ns);
        if (r >= 0)
                r = keyed_usec(text, "user_usec", &u.cpu_user_ns);
        if (r >= 0)
                r = keyed_usec(text, "system_usec", &u.cpu_system_ns);
        if (r >= 0)
                r = read_throttling(c, text, &u);
        if (r < 0)
                return r;
        u.has_cpu = true;
        *ret = u;
        return 0;
}

static int read_memory_stat(struct cgroup *c, struct cgroup_usage *u)
{
        static const struct {
                const char *v2, *v1;
                size_t offset;
        } keys[] = {
                {"anon", "total_rss", offsetof(struct cgroup_usage, memory_anon_bytes)},
                {"file", "total_cache", offsetof(struct cgroup_usage, memory_file_bytes)},
                {"pgfault", "total_pgfault", offsetof(struct cgroup_usage, memory_page_faults)},
                {"pgmajfault", "total_pgmajfault", offsetof(struct cgroup_usage, memory_major_faults)},
        };
        char text[USAGE_TEXT_MAX];
        bool v2 = on_v2(c, CGROUP_MEMORY);
        uint64_t inactive_file;

        int r = read_usage_file(c, USAGE_MEMORY_STAT, text, sizeof(text));
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(keys); i++)
                r = cgroup_parse_keyed(
                        text, v2 ? keys[i].v2 : keys[i].v1, (uint64_t *)((char *)u + keys[i].offset));
        if (r >= 0)
                r = cgroup_parse_keyed(text, v2 ? "inactive_file" : "total_inactive_file", &inactive_file);
        if (r < 0)
                return r;
        /* The two numbers are not read at the same moment. */
        u->memory_working_set_bytes = u->memory_bytes > inactive_file ? u->memory_bytes - inactive_file : 0;
        return 0;
}

static int read_memory_events(struct cgroup *c, struct cgroup_usage *u)
{
        char text[1024];

        int r = read_usage_file(c, USAGE_MEMORY_EVENTS, text, sizeof(text));
        if (r >= 0)
                r = cgroup_parse_keyed(text, "oom_kill", &u->memory_oom_kills);
        if (r < 0)
                return r;
        if (on_v2(c, CGROUP_MEMORY)) {
                r = cgroup_parse_keyed(text, "max", &u->memory_events_max);
                return r < 0 ? r : cgroup_parse_keyed(text, "oom", &u->memory_events_oom);
        }
        /* v1 counts failed charges, and no OOM that killed nobody. */
        u->memory_events_oom = u->memory_oom_kills;
        r = read_value(c, USAGE_MEMORY_FAILCNT, &u->memory_events_max);
        if (r < 0)
                return r;
        /* Memory with swap is charged first: with both limits equal, as we set them, it is the one that fails. */
        uint64_t swap_failures = 0;
        r = read_value(c, USAGE_MEMORY_SWAP_FAILCNT, &swap_failures);
        if (r < 0 && r != -ENOENT)
                return r;
        if (swap_failures > UINT64_MAX - u->memory_events_max)
                return -ERANGE;
        u->memory_events_max += swap_failures;
        return 0;
}

static int read_memory(struct cgroup *c, struct cgroup_usage *ret)
{
        struct cgroup_usage u = *ret;

        int r = read_value(c, USAGE_MEMORY_CURRENT, &u.memory_bytes);
        if (r >= 0)
                r = read_value(c, USAGE_MEMORY_LIMIT, &u.memory_limit_bytes);
        if (r >= 0)
                r = read_memory_stat(c, &u);
        if (r >= 0)
                r = read_memory_events(c, &u);
        if (r < 0)
                return r;
        if (!on_v2(c, CGROUP_MEMORY) && u.memory_limit_bytes >= V1_UNLIMITED)
                u.memory_limit_bytes = UINT64_MAX;
        u.has_memory_peak = read_value(c, USAGE_MEMORY_PEAK, &u.memory_peak_bytes) >= 0;
        u.has_memory = true;
        *ret = u;
        return 0;
}

static int read_pids(struct cgroup *c, struct cgroup_usage *ret)
{
        struct cgroup_usage u = *ret;
        char text[64];

        int r = read_value(c, USAGE_PIDS_CURRENT, &u.pids);
        if (r >= 0)
                r = read_usage_file(c, USAGE_PIDS_EVENTS, text, sizeof(text));
        if (r >= 0)
                r = cgroup_parse_keyed(text, "max", &u.pids_limit_hits);
        if (r < 0)
                return r;
        u.has_pids = true;
        *ret = u;
        return 0;
}

/* "some avg10=0.00 avg60=0.00 avg300=0.00 total=123" */
static int parse_pressure(const char *text, const char *kind, uint64_t *ret_ns)
{
        char line_end[64];
        const char *line = str_has_prefix(text, kind) ? text : NULL;

        if (!line) {
                (void)snprintf(line_end, sizeof(line_end), "\n%s ", kind);
                line = strstr(text, line_end);
                if (!line)
                        return -ENOENT;
                line++;
        }
        const char *total = strstr(line, " total=");
        const char *end = strchr(line, '\n');
        if (!total || (end && total > end))
                return -EBADMSG;
        uint64_t usec;
        int r = cgroup_parse_value(total + strlen(" total="), &usec);
        if (r < 0)
                return r;
        if (usec > UINT64_MAX / NSEC_PER_USEC)
                return -ERANGE;
        *ret_ns = usec * NSEC_PER_USEC;
        return 0;
}

static bool read_pressure(struct cgroup *c, enum usage_file f, uint64_t *ret_some, uint64_t *ret_full)
{
        char text[512];
        uint64_t some, full = 0;

        if (read_usage_file(c, f, text, sizeof(text)) < 0 || parse_pressure(text, "some", &some) < 0)
                return false;
        /* Kernels before 5.13 have no "full" line for the CPU. */
        int r = parse_pressure(text, "full", &full);
        if (r < 0 && r != -ENOENT)
                return false;
        *ret_some = some;
        *ret_full = full;
        return true;
}

int cgroup_read_usage(struct cgroup *c, struct cgroup_usage *ret)
{
        struct cgroup_usage u = {0};

        int r = read_cpu(c, &u);
        if (r == -ENODEV)
                return r;
        r = read_memory(c, &u);
        if (r == -ENODEV)
                return r;
        r = read_pids(c, &u);
        if (r == -ENODEV)
                return r;
        u.has_cpu_pressure = read_pressure(c, USAGE_CPU_PRESSURE, &u.cpu_some_ns, &u.cpu_full_ns);
        u.has_memory_pressure = read_pressure(c, USAGE_MEMORY_PRESSURE, &u.memory_some_ns, &u.memory_full_ns);
        (void)read_pressure(c, USAGE_IO_PRESSURE, &u.io_some_ns, &u.io_full_ns);
        *ret = u;
        return 0;
}

int cgroup_read_cpu_ns(struct cgroup *c, uint64_t *ret)
{
        char text[2048];
        int r = read_usage_file(c, USAGE_CPU_STAT, text, sizeof(text));

        return r < 0 ? r : keyed_usec(text, "usage_usec", ret);
}

int cgroup_read_oom_kills(struct cgroup *c, uint64_t *ret)
{
        char text[1024];
        int r = read_usage_file(c, USAGE_MEMORY_EVENTS, text, sizeof(text));

        return r < 0 ? r : cgroup_parse_keyed(text, "oom_kill", ret);
}
