/*
 * What the files of the cgroup module share: the hierarchies of a root, the fds of a group, and small files read and written below a
 * directory fd. Not for others.
 */
#pragma once

#include <pthread.h>

#include "lib/linux/cgroup.h"

/* Index 0 is the v2 tree, always there; behind it the v1 hierarchies in use. */
#define HIERARCHY_V2 0
#define HIERARCHY_MAX (1 + CGROUP_CONTROLLER_MAX)

#define CONTROLLER_BIT(c) (1u << (c))
#define CONTROLLERS_V2                                                                                       \
        (CONTROLLER_BIT(CGROUP_CPU) | CONTROLLER_BIT(CGROUP_CPUSET) | CONTROLLER_BIT(CGROUP_MEMORY) |        \
                CONTROLLER_BIT(CGROUP_PIDS) | CONTROLLER_BIT(CGROUP_IO))
/*
 * The v1 hierarchies in which groups are made: each one costs a directory and a membership change for every launch, so only those whose
 * limits cannot be had in the v2 tree beside them. CPU time, freezing and device rules (eBPF) are in the v2 tree on every layout.
 */
#define CONTROLLERS_V1                                                                                       \
        (CONTROLLER_BIT(CGROUP_CPU) | CONTROLLER_BIT(CGROUP_MEMORY) | CONTROLLER_BIT(CGROUP_PIDS))

/* Names of controllers in v1 mount options and in cgroup.controllers. */
const char *cgroup_controller_v1_name(enum cgroup_controller c);
const char *cgroup_controller_v2_name(enum cgroup_controller c); /* NULL when v2 has no such controller */

/* Where things are mounted. Paths start with the sysroot. */
struct cgroup_mounts {
        char *v2;
        char *v1[CGROUP_CONTROLLER_MAX];
};
void cgroup_mounts_done(struct cgroup_mounts *m);
/* Reads <sysroot>/proc/self/mounts. */
int cgroup_mounts_parse(const char *sysroot, struct cgroup_mounts *ret) WARN_UNUSED;
/* Asks libcgroup about this machine; -ENOENT when it knows no cgroup2 mount (it sees only those that carry a controller). */
int cgroup_mounts_ask(struct cgroup_mounts *ret) WARN_UNUSED;

struct cgroup_hierarchy {
        char *mount;
        char *path; /* of our root: mount/relative */
        int mount_fd;
        unsigned controllers; /* bits that this hierarchy serves for our groups */
};

/* The directory in which groups were made last ("tasks"), so that a launch does not walk to it again. */
struct cgroup_parent_cache {
        pthread_mutex_t lock;
        char *name; /* NULL: empty */
        int fds[HIERARCHY_MAX];
};

struct cgroup_root {
        enum cgroup_layout layout;
        char *relative;
        struct cgroup_hierarchy hierarchies[HIERARCHY_MAX];
        int fds[HIERARCHY_MAX]; /* our root in each hierarchy */
        size_t count;
        int by_controller[CGROUP_CONTROLLER_MAX]; /* index of the hierarchy, or -1 */
        char *missing[CGROUP_CONTROLLER_MAX];
        struct cgroup_parent_cache *cache; /* the only part that changes */
};

enum usage_file {
        USAGE_CPU_STAT,
        USAGE_CPU_THROTTLING, /* v1: cpu.stat of the cpu hierarchy */
        USAGE_CPU_PRESSURE,
        USAGE_MEMORY_PRESSURE,
        USAGE_IO_PRESSURE,
        USAGE_MEMORY_CURRENT,
        USAGE_MEMORY_PEAK,
        USAGE_MEMORY_LIMIT,
        USAGE_MEMORY_STAT,
        USAGE_MEMORY_EVENTS,  /* v1: memory.oom_control */
        USAGE_MEMORY_FAILCNT, /* v1 only, as the next */
        USAGE_MEMORY_SWAP_FAILCNT,
        USAGE_PIDS_CURRENT,
        USAGE_PIDS_EVENTS,
        USAGE_FILE_MAX,
};

struct cgroup {
        const struct cgroup_root *root; /* not owned: outlives its groups */
        char *name;                     /* "" is the root itself */
        char *directory;                /* the name as it is in the file system */
        int fds[HIERARCHY_MAX];         /* -1: not there */
        char *paths[HIERARCHY_MAX];
        uint64_t id;
        int events_fd;
        int usage_fds[USAGE_FILE_MAX]; /* -1: not opened yet; -2: not there */
};

/* ---- cgroup_file.c ---- */

/* Opens, writes `text` with one write(2), closes. */
int cgroup_file_write(int dirfd, const char *file, const char *text) WARN_UNUSED;
int cgroup_file_write_u64(int dirfd, const char *file, uint64_t value) WARN_UNUSED;
/* Reads from the start into buf, NUL-terminated. -E2BIG when it does not fit. */
int cgroup_fd_read(int fd, char *buf, size_t size) WARN_UNUSED;
int cgroup_file_read(int dirfd, const char *file, char *buf, size_t size) WARN_UNUSED;
/* "123\n" or "max\n" (UINT64_MAX). -EBADMSG, -ERANGE. */
int cgroup_parse_value(const char *text, uint64_t *ret) WARN_UNUSED;
/* The number behind `key` at the start of a line: "key 123\n". -ENOENT, -EBADMSG, -ERANGE. */
int cgroup_parse_keyed(const char *text, const char *key, uint64_t *ret) WARN_UNUSED;
/* The bits of the v2 names in "cpu memory pids\n". */
unsigned cgroup_parse_controllers(const char *text);
/*
 * Names that the kernel uses for its files get an '_' in front as directories, in every hierarchy: "tasks/x" is "_tasks/x". The caller frees.
 */
char *cgroup_name_to_directory(const char *name);
const char *cgroup_name_from_directory(const char *directory); /* one component; points into it */
/* -EINVAL with a sentence unless every component is a valid id. Empty only when allowed. */
int cgroup_name_validate(const char *name, bool allow_empty, struct error *e) WARN_UNUSED;

/* ---- cgroup_cpuset.c ---- */

/* v1: a group without CPUs and memory nodes gets its parent's. */
int cgroup_inherit_cpuset(int parent_fd, int dirfd) WARN_UNUSED;
/* Does the hierarchy want that? */
static inline bool cgroup_inherits_cpuset(const struct cgroup_root *r, size_t index)
{
        return index != HIERARCHY_V2 && (r->hierarchies[index].controllers & CONTROLLER_BIT(CGROUP_CPUSET));
}

/* ---- cgroup_root.c ---- */

/*
 * For groups of ours above the containers: protection of a child counts only up to its parent's. "max" claims nothing for the
 * group itself, since the kernel protects what the leaves claim. Without a memory controller in v2 there is nothing to do.
 */
void cgroup_pass_protection(int dirfd);
/* Enables `wanted` for the children of a v2 directory; *ret_enabled is what is on afterwards. 0 also when only some could be. */
int cgroup_enable_controllers(int dirfd, unsigned wanted, unsigned *ret_enabled) WARN_UNUSED;

/* ---- cgroup_state.c ---- */

/* rmdir of name below dirfd and of everything in it; gone is success, -EBUSY when processes are left. */
int cgroup_tree_remove(int dirfd, const char *name) WARN_UNUSED;
int cgroup_wait_empty(struct cgroup *c, uint64_t timeout_ns) WARN_UNUSED;
/* Freeze, walk, signal by pidfd: what cgroup_kill does on kernels without cgroup.kill (before 5.14). */
int cgroup_kill_by_walk(struct cgroup *c, struct error *e) WARN_UNUSED;
