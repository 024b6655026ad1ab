/*
 * The life of one container, from its checkpoint to the acknowledgement of its last status update. Owned by the agent's table;
 * loop thread.
 *
 *   CREATED   the checkpoint is written, its effects on the host are being made (within one callback)
 *   STARTING  the shim runs, execve is not reported yet
 *   RUNNING
 *   KILLING   a kill was asked for; it ends by itself or by the cgroup's kill after the grace
 *   ENDED     nothing of it is left on the host but the sandbox; updates may wait for acknowledgement
 */
#pragma once

#include <uthash.h>

#include "agent/agent.h"
#include "agent/launch_times.h"
#include "agent/outcome.h"
#include "agent/shim/shim.h"
#include "agent/status_updates.h"
#include "agent/usage.h"

enum container_state {
        CONTAINER_STATE_CREATED,
        CONTAINER_STATE_STARTING,
        CONTAINER_STATE_RUNNING,
        CONTAINER_STATE_KILLING,
        CONTAINER_STATE_ENDED,
        CONTAINER_STATE_MAX,
        CONTAINER_STATE_INVALID = -EINVAL,
};
const char *container_state_to_string(enum container_state s);
enum container_state container_state_from_string(const char *s);
bool container_state_allowed(enum container_state from, enum container_state to);

struct agent_container {
        struct agent *agent;
        Mete__Checkpoint__Container *info; /* owned; what is on disk */
        char *task_key;                    /* framework id '\n' task id */
        struct container_spec spec;        /* all zero when the launch was refused before it was built */
        struct container view;             /* the side that isolators see */
        bool isolated;              /* isolate() or recover() succeeded: there is something to clean up */
        enum container_state state; /* only container_set_state() writes it */
        struct status_stream updates;

        struct loop_child *shim;
        struct loop_io *status;
        int status_fd;
        struct loop_timer *timer; /* STARTING after recovery: look again; KILLING: the grace */
        struct shim_record record;
        bool adopted; /* started by an earlier agent: no status pipe */
        bool started_reported;
        bool kill_asked;
        bool cleanup_due; /* ENDED: the timer removes what is on the host */
        int kill_signal;  /* to deliver once there is a process */

        struct launch_clock clock;
        struct usage_track usage;
        UT_hash_handle hh, hh_task;
};

/* Registers in the agent's tables; takes info. */
struct agent_container *container_new(struct agent *a, Mete__Checkpoint__Container *info);
/* Unregisters; removes nothing from the host. Returns NULL. */
struct agent_container *container_free(struct agent_container *c);
struct agent_container *container_find(struct agent *a, const char *container_id);
struct agent_container *container_find_task(struct agent *a, const char *framework_id, const char *task_id);
const char *container_id(const struct agent_container *c);
const char *container_task_id(const struct agent_container *c);

void container_set_state(struct agent_container *c, enum container_state to);
/* Follows the shim: pidfd is taken, status_fd (-1 after recovery) too. */
void container_watch(struct agent_container *c, int pidfd, int status_fd);
/* After recovery, while the shim has not told what we need to know. */
void container_watch_adopted(struct agent_container *c);
/* The shim is gone: reads the record, decides and ends the container. */
void container_exited(struct agent_container *c);
/* Terminal: checkpoints the update, then removes everything from the host, then sends. */
void container_end(struct agent_container *c, const struct task_outcome *outcome);
/* Pushes a state that is not terminal. */
void container_report(struct agent_container *c, Mete__V1__TaskState state, const char *message);
/* Sends what is due to the master. */
void container_flush_updates(struct agent_container *c);
/* Frees c when the terminal update is acknowledged. */
void container_acknowledge(struct agent_container *c, const void *uuid, size_t len);
/* signo 0: SIGTERM. */
void container_kill(struct agent_container *c, int signo, uint64_t grace_ns, bool only_signal);
/* Directory with the shim's records; -errno. The caller closes. */
int container_open_state(const struct agent_container *c);
