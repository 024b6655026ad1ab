/*
 * The agent: everything that its parts share, made at start and torn down at stop. One loop, one thread; only the worker pool
 * (removal of trees) runs beside it and touches none of this.
 */
#pragma once

#include "agent/gc.h"
#include "agent/identity.h"
#include "agent/leftovers.h"
#include "agent/options.h"
#include "isolators/isolator.h"
#include "lib/linux/process.h"
#include "lib/loop/loop.h"

#define AGENT_SOCKET_DIR_NAME "socket" /* below the runtime directory */

struct agent_api;
struct fetcher;
struct log_stream;
struct agent_container;
struct agent_executor;
struct agent_task;
struct http_server;
struct master_link;
struct launch_times;
struct usage_sampler;
struct volumes;

/* Since the agent's start, for /metrics/snapshot. */
#define AGENT_TASK_STATES 16
struct agent_counters {
        uint64_t tasks_ended[AGENT_TASK_STATES]; /* by terminal state */
        uint64_t executors_terminated;           /* command tasks count as executors */
        uint64_t container_launch_errors, container_destroy_errors;
        uint64_t
                recovery_errors; /* checkpoints that could not be used: what ran of them is killed and lost */
        uint64_t recovery_ns;    /* how long the start took to find what earlier agents left */
        uint64_t valid_status_updates, invalid_status_updates; /* of frameworks' executors */
};

struct agent {
        const struct agent_options *options;
        struct loop *loop;
        struct worker_pool *pool;
        struct loop_signal *signals[3];
        struct loop_timer *stop_timer;

        struct isolator_host host;
        char *measurement; /* "ebpf", or "cgroup: <why>" */
        char *bpf_dir;
        struct cgroup *shim_cgroup; /* where the shims live, outside of every task */
        int shim_exe_fd;            /* sealed copy of mete-shim */
        char boot_id[BOOT_ID_MAX];
        char *endpoint;    /* "host:port" of our API */
        char *socket_dir;  /* <runtime-dir>/socket: holds our unix socket, shown to executors */
        char *volumes_dir; /* <work-dir>/volumes */

        int work_fd;        /* <work-dir> */
        int meta_fd;        /* <work-dir>/meta */
        int checkpoints_fd; /* <work-dir>/meta/containers */
        int overlays_fd;    /* <work-dir>/overlays: written layers of root file systems */
        int runtime_fd;     /* <runtime-dir> */
        int states_fd;      /* <runtime-dir>/containers */
        struct identity identity;

        struct agent_container *containers; /* k: container id -> v: owned */
        struct agent_task *tasks;           /* k: framework id '\n' task id -> v: its container's */
        struct agent_executor
                *executors; /* k: framework id '\n' executor id -> v: its container's; those that live */
        struct master_link *link;
        struct usage_sampler *sampler;
        struct volumes *volumes; /* owned */
        struct leftovers leftovers;
        struct gc gc;
        struct launch_times *launch_times; /* owned */
        struct agent_api *api;
        struct agent_counters counters;
        struct fetcher *fetcher;        /* owned */
        struct log_stream *log_streams; /* being read; each is its connection's */

        bool stopping;        /* tasks are being killed before the agent ends; launches are refused */
        bool leave_nothing;   /* then remove cgroups, probes and runtime state */
        bool forget_identity; /* marked gone: come back as a new agent */
};

/* Builds everything and recovers what runs; the agent is ready for loop_run. On failure nothing is left but checkpoints. */
int agent_start(struct agent *a, const struct agent_options *options, struct error *e) WARN_UNUSED;
int agent_run(struct agent *a);
/* Frees everything; tasks go on unless they were killed before. */
void agent_stop(struct agent *a);
/* Removes everything of this boot that an agent with these options left. */
int agent_purge(const struct agent_options *options, struct error *e) WARN_UNUSED;

/* Kills every task, waits for their ends (bounded), says goodbye to the master, ends the loop. */
void agent_begin_shutdown(struct agent *a, bool leave_nothing, bool forget_identity);
/* A container ended: a shutdown may be complete. */
void agent_container_gone(struct agent *a);
