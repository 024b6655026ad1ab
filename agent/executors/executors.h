/* Executors, for the other parts of the agent: what launches, recovery, registration and the containers' owner need. Loop thread. */
#pragma once

#include "agent/executors/executor.h"
#include "agent/task.h"

/* Of one task, not acknowledged by the framework: beyond this an executor is not listened to, save for the last word. */
#define EXECUTOR_UPDATES_MAX 1000
/* The same for all tasks of an executor, in bytes: they wait in the agent's memory, which no cgroup of theirs pays for. */
#define EXECUTOR_UPDATES_BYTES_MAX (8u << 20)
/* Of a last word that comes later still, this much of the message is kept, and no data. */
#define EXECUTOR_LAST_WORD_MAX 1024

struct agent_executor {
        struct agent *agent;
        char *key; /* framework id '\n' executor id; in the agent's table while the container lives */
        struct agent_container *container; /* which owns it */
        enum executor_state state;         /* only executor_set_state() writes it */
        struct executor_link *link;        /* owned; NULL: not subscribed */
        struct agent_task
                *tasks; /* DL, owned; in order of launch; also those that wait for acknowledgement */
        struct container_limits limits; /* as written to the cgroup */
        struct loop_timer *
                timer; /* REGISTERING: for the first subscription; RUNNING: for the next, after recovery; TERMINATING: the grace */
        struct loop_timer *shrink; /* memory that was in use could not be taken away yet */
        bool exit_known;           /* the master was told, or will see it by our registration */
        bool recovered;            /* of an earlier agent, and not back yet */
        bool has_end_reason;
        Mete__V1__TaskStatus__Reason end_reason; /* why we ended it: for its tasks */
        const char *end_message;                 /* static */
        uint64_t last_group;
        UT_hash_handle hh;
};

/* Registers in the agent's table and becomes the owner of c. */
struct agent_executor *executor_new(struct agent_container *c);
/* Frees its tasks with it. Returns NULL. */
struct agent_executor *executor_free(struct agent_executor *x);
const char *executor_id(const struct agent_executor *x);
bool executor_state_allowed(enum executor_state from, enum executor_state to);
void executor_set_state(struct agent_executor *x, enum executor_state to);
/* Of the executor's own, else the agent's. */
uint64_t executor_grace_ns(const struct agent_executor *x);

/* ---- tasks ---- */
/* Takes info. */
struct agent_task *executor_add_task(
        struct agent_executor *x, Mete__V1__TaskInfo *info, uint64_t group, bool queued);
void executor_remove_task(struct agent_executor *x, struct agent_task *t);
/* A terminal update of the agent's own making. */
void executor_end_task(struct agent_executor *x, struct agent_task *t, const struct task_outcome *o);
void executor_end_all_tasks(struct agent_executor *x, const struct task_outcome *o);
/* DROPPED, or LOST to frameworks that know no other. */
struct task_outcome executor_dropped(
        const struct agent_executor *x, Mete__V1__TaskStatus__Reason reason, const char *message);
/* Gives what waits to the executor, if it is subscribed. */
void executor_deliver(struct agent_executor *x);

/* ---- events ---- */
/* Closes the link when the peer is gone. False: not sent. */
bool executor_send(struct agent_executor *x, Mete__V1__Executor__Event *e);
bool executor_send_kill(struct agent_executor *x, struct agent_task *t, const Mete__V1__KillPolicy *policy);
bool executor_send_simple(struct agent_executor *x, Mete__V1__Executor__Event__Type type);
void executor_acknowledge_update(struct agent_executor *x, const Mete__V1__TaskStatus *status);
void executor_disconnect(struct agent_executor *x);

/* ---- resources ---- */
/* Of the executor and its tasks that have not ended. */
const struct container_limits *executor_limits(struct agent_executor *x);
/* Makes the cgroup as large as that, at once. */
int executor_grow(struct agent_executor *x, struct error *e) WARN_UNUSED;
/* Gives back what ended tasks had; memory as far as it is not in use, the rest later. */
void executor_shrink(struct agent_executor *x);
/* For the spec of its container: what stands for a task's command, container and resources. Borrows. */
void executor_fill_stand_in(const struct agent_executor *x, Mete__V1__TaskInfo *ret);
/* The next size of memory.max on the way from `current` to `target`, with `used` in use. Pure. */
uint64_t executor_memory_step(uint64_t current, uint64_t target, uint64_t used);

/* ---- the agent's life ---- */
/* What to make of the facts of its container's end. Pure. */
void executor_outcome_decide(const struct task_facts *f, struct task_outcome *ret);
/* How it ended, for the master: wait status, or -1. Pure. */
int executor_wait_status(const struct shim_record *r);
/* After recovery, of an executor that still runs. */
void executor_await_return(struct agent_executor *x);
/* Ends it, found dead: tasks that were never heard of were DROPPED on the way, the others FAILED with it. */
void executor_end_never_run(struct agent_executor *x, const char *message);
void executors_shutdown_framework(struct agent *a, const char *framework_id);
