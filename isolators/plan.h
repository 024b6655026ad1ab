/*
 * The launch plan: what the shim and the container's init do between clone3 and execve, as plain records in
 * one flat buffer that travels in a sealed memfd. Isolators append steps; the shim executes them in the order
 * of their phase, and within a phase in the order in which they were appended. No pointers, no protobuf, no
 * allocation needed to read it: the reader validates every length before use.
 *
 * Layout: struct plan_header, then `count` records {struct plan_record, payload, padding to 8}. Integers are
 * native endian: both ends are one machine and one build (version is checked).
 */
#pragma once

#include "lib/base/error.h"

#define PLAN_MAGIC 0x4e4c504d /* "MPLN" */
#define PLAN_VERSION 1
#define PLAN_SIZE_MAX (4u << 20)
#define PLAN_STRINGS_MAX 4096 /* strings of one record */

enum plan_phase {
        PLAN_PHASE_NAMESPACE, /* in the new namespaces, host root still visible */
        PLAN_PHASE_ROOT,      /* the new root file system is put together */
        PLAN_PHASE_MOUNT,     /* mounts below it */
        PLAN_PHASE_PROTECT,   /* masked and read-only paths; then the root is entered and the old one detached
                               */
        PLAN_PHASE_PROCESS,   /* rlimits, in the new root, in the task's own process */
        PLAN_PHASE_PRIVILEGE, /* user, capabilities, no_new_privs, seccomp: last */
        PLAN_PHASE_MAX,
        PLAN_PHASE_INVALID = -EINVAL,
};

enum plan_step {
        PLAN_STEP_INVALID_0,   /* zero is never valid */
        PLAN_STEP_SETTINGS,    /* once: struct plan_settings */
        PLAN_STEP_COMMAND,     /* once: strings: program (without "/": searched in PATH), cwd, argv... */
        PLAN_STEP_ENVIRONMENT, /* once: strings NAME=value... */
        PLAN_STEP_LOOPBACK_UP,
        PLAN_STEP_HOSTNAME,     /* string */
        PLAN_STEP_ROOT_HOST,    /* the host's root, recursively cloned, read-only, nosuid, nodev */
        PLAN_STEP_ROOT_OVERLAY, /* strings: lower, upper, work; uid and gid that open lower */
        PLAN_STEP_MOUNT,        /* strings: fstype, source, target, options; flags = MOUNT_ATTR_* */
        PLAN_STEP_BIND, /* strings: source, target; flags = plan_bind_flags; source opened on the host before
                           the root is left. With a third string, a directory of the new root: source is a
                           directory, target is below that one, and neither has links on the way */
        PLAN_STEP_DEVICE, /* string: path; flags = PLAN_DEVICE(major, minor): a character device, mode 0666 */
        PLAN_STEP_SYMLINK,  /* strings: value, path */
        PLAN_STEP_MASK,     /* string: path; directory -> empty read-only tmpfs, file -> /dev/null; missing is
                               fine */
        PLAN_STEP_READONLY, /* string: path; missing is fine */
        PLAN_STEP_RLIMIT,   /* struct plan_rlimit */
        PLAN_STEP_USER,     /* struct plan_user */
        PLAN_STEP_CAPABILITIES, /* struct plan_capabilities */
        PLAN_STEP_NO_NEW_PRIVS,
        PLAN_STEP_SECCOMP, /* blob: array of struct sock_filter */
        PLAN_STEP_MAX,
        PLAN_STEP_INVALID = -EINVAL,
};
const char *plan_step_to_string(enum plan_step s); /* the "stage" of a reported failure: "mount", "seccomp" */

/* Beside MOUNT_ATTR_*: a target that is missing in a read-only root is fine. */
#define PLAN_MOUNT_OPTIONAL (1u << 31)

enum plan_bind_flags {
        PLAN_BIND_READONLY = 1 << 0,
        PLAN_BIND_RECURSIVE = 1 << 1,
        PLAN_BIND_DEVICES = 1 << 2,    /* else nodev */
        PLAN_BIND_EXEC = 1 << 3,       /* else noexec */
        PLAN_BIND_OPTIONAL = 1 << 4,   /* a missing source is fine */
        PLAN_BIND_CHECK_CHAR = 1 << 5, /* refuse unless source and, afterwards, target are character devices
                                          of the same number */
        PLAN_BIND_SANDBOX = 1 << 6, /* the source is the sandbox directory that the shim was given, whatever
                                       the string says */
};
#define PLAN_BIND_FLAGS_ALL ((1u << 7) - 1)
#define PLAN_DEVICE(major, minor) ((uint32_t)(major) << 16 | (uint32_t)(minor))

struct plan_settings {
        uint64_t namespaces;    /* CLONE_NEW*; CLONE_NEWCGROUP is entered after joining the cgroups */
        uint64_t log_max_bytes; /* rotate stdout/stderr at this size; 0 = never */
        uint32_t log_files;     /* rotated files kept beside the live one */
        uint32_t reserved;
        char container_id[256]; /* for the process title and messages */
};
struct plan_rlimit {
        uint32_t resource, reserved;
        uint64_t soft, hard;
}; /* UINT64_MAX = unlimited */
#define PLAN_GROUPS_MAX 64
struct plan_user {
        uint32_t uid, gid, group_count, reserved;
        uint32_t groups[PLAN_GROUPS_MAX];
};
struct plan_capabilities {
        uint64_t bounding, permitted, effective, inheritable, ambient;
};

struct plan_header {
        uint32_t magic, version, count, size;
}; /* size of everything */
struct plan_record {
        uint16_t step, phase;
        uint32_t flags;
        uint32_t string_count;
        uint32_t length;
}; /* length of the payload */

/* ---- writing (agent) ---- */
struct plan; /* a growing list of steps; owned by the launch */
struct plan *plan_new(void);
struct plan *plan_free(struct plan *p);
DEFINE_CLEANUP(struct plan, plan_free)
void plan_add(struct plan *p, enum plan_phase phase, enum plan_step step, uint32_t flags);
void plan_add_blob(struct plan *p, enum plan_phase phase, enum plan_step step, uint32_t flags,
        const void *data, size_t len);
/* NULL-terminated list of strings. */
void plan_add_strings(struct plan *p, enum plan_phase phase, enum plan_step step, uint32_t flags, ...)
        __attribute__((sentinel));
void plan_add_string_array(struct plan *p, enum plan_phase phase, enum plan_step step, uint32_t flags,
        const char *const *strings, size_t count);
/* Sorted by phase (stable), sealed against every change (F_SEAL_*). -E2BIG above PLAN_SIZE_MAX. */
int plan_seal(struct plan *p, int *ret_fd, struct error *e) WARN_UNUSED;

/* ---- reading (shim) ---- */
struct plan_view { /* one record; pointers into the mapped plan */
        enum plan_step step;
        enum plan_phase phase;
        uint32_t flags;
        const void *data;
        size_t length;
        uint32_t string_count; /* data is that many NUL-terminated strings */
};
/* Validates the whole plan once. -EBADMSG when it is malformed. */
int plan_check(const void *plan, size_t size) WARN_UNUSED;
/* Iterate a checked plan: *cursor starts at 0; 1 = *ret set, 0 = end. */
int plan_next(const void *plan, size_t *cursor, struct plan_view *ret);
const char *plan_string(const struct plan_view *v, uint32_t index); /* NULL past the end */
