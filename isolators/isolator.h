/*
 * Isolators: const operation tables, one file each, in one ordered array (isolators.c). They know neither the
 * agent nor protobuf: plain structs in, plan steps and errors out. All run on the agent's loop thread and
 * must not block beyond short file operations.
 *
 * Order of a launch: every prepare() in table order (no effect on the host; a refusal leaves nothing behind),
 * then every isolate() in table order (effects on the host: cgroups, probe slots, directories), then the shim
 * runs the plan. On any failure, and at the end of the container, every cleanup() in reverse order; cleanup
 * must cope with what was never set up. After a restart of the agent, recover() finds again what isolate()
 * made.
 */
#pragma once

#include "isolators/plan.h"
#include "lib/base/option.h"
#include "lib/linux/cgroup.h"
#include "lib/linux/users.h"

struct bpf_probes;
struct cores;

/* What the host and the agent's configuration give; one per agent, constant after start. */
struct isolator_host {
        struct cgroup_root *cgroups;
        struct bpf_probes *probes; /* NULL: cgroup files only */
        char *probes_missing;      /* why, one sentence, when probes is NULL */
        struct cores *cores;       /* NULL: no exclusive cores are given */
        const char *
                state_dir; /* the agent's work dir: hidden from tasks in host-root mode; overlays live in it */
        const char *runtime_dir;         /* state of this boot: hidden too */
        struct string_list hidden_paths; /* more to hide from tasks */
        uint64_t log_max_bytes;
        uint32_t log_files;
};

enum container_network {
        CONTAINER_NETWORK_NONE,
        CONTAINER_NETWORK_HOST,
        CONTAINER_NETWORK_MAX,
        CONTAINER_NETWORK_INVALID = -EINVAL
};

struct container_rlimit {
        char *type;
        uint64_t soft, hard;
}; /* UINT64_MAX = unlimited */

/* A directory of the host that the task sees. */
struct container_volume {
        char *source; /* on the host; a directory that only root could replace */
        char *base;   /* of the container: its root, or the sandbox */
        char *target; /* below base; no part of it may be a link */
        bool read_only;
};

/*
 * Where an executor finds the agent's socket. The directory is shown, not the socket: an agent that starts again makes a new one, which
 * appears there.
 */
#define AGENT_SOCKET_NAME "agent.sock"
#define CONTAINER_AGENT_SOCKET_DIR "/run/mete-agent"
#define CONTAINER_AGENT_SOCKET CONTAINER_AGENT_SOCKET_DIR "/" AGENT_SOCKET_NAME

/* What a task asks for, already translated from the wire; owned by the agent's container. Strings may be NULL
 * where "unset" means a default. */
struct container_spec {
        char *container_id;
        char **argv;   /* NULL-terminated, at least one */
        char *program; /* file to execute when it differs from argv[0] (CommandInfo.value); NULL = argv[0] */
        char **environment;      /* NULL-terminated NAME=value, complete */
        char *working_directory; /* in the container; NULL = the sandbox */
        char *hostname;
        char *rootfs;           /* NULL = host root, read-only */
        char *agent_socket_dir; /* host directory with the agent's socket, shown to executors at
                                   CONTAINER_AGENT_SOCKET_DIR; NULL = not shown */
        bool rootfs_as_user;    /* its submitter is not root: opened with the rights of these */
        uid_t path_uid;
        gid_t path_gid;
        char *user; /* spec for users_resolve; NULL = nobody */
        uint64_t milli_cpus, milli_cpus_limit;
        struct cpu_list *exclusive_cores; /* NULL: it shares */
        uint64_t memory_bytes, memory_limit_bytes;
        uint64_t pids_limit;
        enum container_network network;
        struct string_list capabilities_add, capabilities_drop;
        char *seccomp_profile; /* JSON text; NULL = the default profile */
        bool seccomp_unconfined;
        struct container_rlimit *rlimits;
        size_t rlimit_count;
        struct container_volume *volumes;
        size_t volume_count;
};
void container_spec_done(struct container_spec *s);

/* The side of a container that isolators see. Owned by the agent. */
struct container {
        const struct container_spec *spec;
        char *sandbox_path; /* on the host; a directory owned by the task's user */
        int sandbox_fd;
        char *sandbox_in_container; /* the path the task sees it at */
        struct cgroup *cgroup;      /* set by the cgroup isolator */
        uint32_t probe_slot;        /* 0 = none; set by the probe isolator */
        struct user_ids user;       /* set by the user isolator's prepare */
        uint64_t capabilities; /* set by the capabilities isolator's prepare: the seccomp profile depends on
                                  it */
};

/* New limits for a running container (update). UINT64_MAX members mean no change. */
struct container_limits {
        uint64_t milli_cpus, milli_cpus_limit, memory_bytes, memory_limit_bytes, pids_limit;
};

struct container_usage {
        struct cgroup_usage cgroup;
        bool from_probes; /* cpu_ns and the run-queue figures come from eBPF */
        uint64_t cpu_ns;
        uint64_t runqueue_wait_ns, runqueue_waits, runqueue_hist[27], preemptions;
};

struct isolator {
        const char *name;     /* "cgroup", "seccomp" */
        const char *provides; /* for `mete doctor`: "hard CPU, memory and process limits" */
        /* Can this host give it? Tried once at start. 0, or -ENOTSUP with what is missing and what would
         * provide it. */
        int (*probe)(struct isolator_host *h, struct error *e);
        int (*prepare)(struct isolator_host *h, struct container *c, struct plan *p, struct error *e);
        int (*isolate)(struct isolator_host *h, struct container *c, struct error *e);
        int (*update)(struct isolator_host *h, struct container *c, const struct container_limits *l,
                struct error *e);
        void (*usage)(struct isolator_host *h, struct container *c, struct container_usage *u);
        void (*cleanup)(struct isolator_host *h, struct container *c);
        int (*recover)(struct isolator_host *h, struct container *c, struct error *e);
};

extern const struct isolator *const isolators[]; /* NULL-terminated, in launch order */

struct isolator_state {
        const struct isolator *isolator;
        int available;
        char *reason;
}; /* available: 0 or negative errno */
/* Runs every probe. The caller frees with isolators_states_free. */
struct isolator_state *isolators_probe(struct isolator_host *h, size_t *ret_count);
void isolators_states_free(struct isolator_state *s, size_t count);

/* The directory that is to be the root: "/", or rootfs as whoever named it may open it. O_DIRECTORY. */
int rootfs_open(const struct container_spec *s, int *ret_fd, struct error *e) WARN_UNUSED;
/* Who the task is, by the files of its root file system; nobody when it does not say. */
int user_resolve(const struct container_spec *s, struct user_ids *ret, struct error *e) WARN_UNUSED;

/*
 * All prepares into p, and the records that belong to no isolator: settings, command, environment. Fails closed: a task that needs an isolator whose probe failed is refused with that
 * reason. */
int isolators_prepare(
        struct isolator_host *h, struct container *c, struct plan *p, struct error *e) WARN_UNUSED;
int isolators_isolate(struct isolator_host *h, struct container *c,
        struct error *e) WARN_UNUSED; /* cleans up after itself on failure */
int isolators_update(struct isolator_host *h, struct container *c, const struct container_limits *l,
        struct error *e) WARN_UNUSED;
void isolators_usage(struct isolator_host *h, struct container *c, struct container_usage *ret);
void isolators_cleanup(struct isolator_host *h, struct container *c);
int isolators_recover(struct isolator_host *h, struct container *c, struct error *e) WARN_UNUSED;
