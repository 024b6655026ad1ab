/*
 * The host side of a container, from its checkpoint to the removal of its cgroup: what runs in it is its owner's matter, who is told
 * through a small table of operations. Two kinds own containers: a command task (agent/command_task.c), and an executor of a framework's
 * own (agent/executors). In the agent's table; loop thread.
 *
 *   CREATED   the checkpoint is written, its effects on the host are being made
 *   FETCHING  a helper fetches the command's URIs into the sandbox; nothing of the container runs yet
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
#include "agent/suspension.h"
#include "agent/usage.h"
#include "proto/mete_checkpoint.pb-c.h"

enum container_state {
        CONTAINER_STATE_CREATED,
        CONTAINER_STATE_FETCHING,
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

struct agent_container;
struct agent_executor;
struct agent_task;
struct fetch;
struct plan;

/* What the owner of a container does with its news. */
struct container_owner {
        const char *noun; /* for logs: "task", "executor" */
        /* From the facts of its end to what is said about it. Pure. */
        void (*decide)(const struct task_facts *f, struct task_outcome *ret);
        /* The shim was started. */
        void (*spawned)(struct agent_container *c);
        /* The program executes. Not when a kill was asked for before. */
        void (*started)(struct agent_container *c);
        /* A kill was asked for, for the first time. */
        void (*killing)(struct agent_container *c);
        /* It ended: what there is to report must be on disk when this returns. The container stays. */
        void (*ended)(struct agent_container *c, const struct task_outcome *o);
        /* Nothing of it is left on the host: may forget the container. */
        void (*removed)(struct agent_container *c);
        /* The terminal update of t, which ran in c, is acknowledged: t goes, and perhaps c. */
        void (*acknowledged)(struct agent_container *c, struct agent_task *t);
};

struct agent_container {
        struct agent *agent;
        const struct container_owner *owner;
        struct agent_task *task;           /* owned; NULL for an executor's container */
        struct agent_executor *executor;   /* owned; NULL for a command task's */
        Mete__Checkpoint__Container *info; /* owned; what is on disk */
        struct container_spec spec;        /* all zero when the launch was refused before it was built */
        struct container view;             /* the side that isolators see */
        bool isolated;              /* isolate() or recover() succeeded: there is something to clean up */
        enum container_state state; /* only container_set_state() writes it */

        struct fetch *fetch; /* owned, while FETCHING */
        struct loop_child *shim;
        struct loop_io *status;
        int status_fd;
        struct loop_timer *timer; /* STARTING after recovery: look again; KILLING: the grace */
        struct shim_record record;
        bool adopted; /* started by an earlier agent: no status pipe */
        bool kill_asked;
        enum kill_cause kill_cause;    /* when kill_asked */
        struct mono_time kill_started; /* when kill_asked: graces count from here */
        uint64_t kill_deadline_ns;     /* monotonic; what the timer is set for */
        bool silent;                   /* its framework was removed: nothing of it is reported any more */
        bool cleanup_due;              /* ENDED: the timer removes what is on the host */
        int kill_signal;               /* to deliver once there is a process */
        struct suspension suspension;

        size_t compact_at; /* of the checkpoint, see agent/checkpoint_tasks.h */
        struct plan *plan; /* owned, while FETCHING */
        struct launch_clock clock;
        struct usage_track usage;
        UT_hash_handle hh;
};

/* Registers in the agent's table; takes info. The caller sets who owns it, before anything else happens to it. */
struct agent_container *container_new(struct agent *a, Mete__Checkpoint__Container *info);
/* Unregisters, and frees the task or executor with it; removes nothing from the host. Returns NULL. */
struct agent_container *container_free(struct agent_container *c);
/* Removes the checkpoint and frees: nobody asks for it any more. */
void container_forget(struct agent_container *c);
struct agent_container *container_find(struct agent *a, const char *container_id);
const char *container_id(const struct agent_container *c);
/* What people know it by: the id of its task or executor. */
const char *container_label(const struct agent_container *c);
const char *container_framework_id(const struct agent_container *c);
/* The sandbox below the work dir; NULL when there is none. */
const char *container_sandbox(const struct agent_container *c);

void container_set_state(struct agent_container *c, enum container_state to);
/* Follows the shim: pidfd is taken, status_fd (-1 after recovery) too. */
void container_watch(struct agent_container *c, int pidfd, int status_fd);
/* After recovery, while the shim has not told what we need to know. */
void container_watch_adopted(struct agent_container *c);
/* The shim is gone: reads the record, decides and ends the container. */
void container_exited(struct agent_container *c);
/* The owner checkpoints and sends what there is to say, then everything is removed from the host. */
void container_end(struct agent_container *c, const struct task_outcome *outcome);
/*
 * signo 0: SIGTERM. The grace counts from the first kill: a later one can make it shorter, never longer, and sends its signal again only
 * when it is another one.
 */
void container_kill(struct agent_container *c, int signo, uint64_t grace_ns, bool only_signal);
/* No grace, no questions: its end follows. */
void container_destroy(struct agent_container *c);
/* Nothing of it is to be reported from now on; forgets it at once when it has ended. */
void container_silence(struct agent_container *c);
/* Directory with the shim's records; -errno. The caller closes. */
int container_open_state(const struct agent_container *c);
