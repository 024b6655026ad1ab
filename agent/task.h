/*
 * A task as the agent knows it: what was launched, and its status updates on their way to the master. Where it runs is a container's
 * matter: its own one for a command task (which owns it then), its executor's otherwise. In the agent's table; loop thread.
 */
#pragma once

#include "agent/container.h"
#include "agent/status_updates.h"

struct task_watch;

struct agent_task {
        struct agent *agent;
        char *key;                         /* framework id '\n' task id */
        const Mete__V1__TaskInfo *info;    /* borrowed from the container's checkpoint, or `launched` */
        Mete__V1__TaskInfo *launched;      /* owned; NULL for a command task */
        struct agent_container *container; /* where it runs or ran; never NULL, outlives the task */
        struct status_stream updates;
        bool started_reported;
        struct task_watch *watch; /* owned; NULL: no checks, or it does not run */
        UT_hash_handle hh;

        /* Of an executor's task: */
        bool queued;                    /* the executor has not got it yet */
        bool kill_pending;              /* to be told when the executor is back */
        uint64_t group;                 /* tasks of one group are given to it together; 0: none */
        struct agent_task *prev, *next; /* the executor's, in order of launch */
};

/* Registers in the agent's table. launched: taken; NULL: the command task that the container's checkpoint holds. */
struct agent_task *task_new(struct agent_container *c, Mete__V1__TaskInfo *launched);
/* Returns NULL. */
struct agent_task *task_free(struct agent_task *t);
struct agent_task *task_find(struct agent *a, const char *framework_id, const char *task_id);
const char *task_id(const struct agent_task *t);
bool task_is_ended(const struct agent_task *t); /* its terminal update was made */
/* The state that the master should believe: of the newest update, else STAGING. */
Mete__V1__TaskState task_latest_state(const struct agent_task *t);
bool framework_has_capability(
        const Mete__V1__FrameworkInfo *f, Mete__V1__FrameworkInfo__Capability__Type capability);

/*
 * Takes u: checkpoints it. -EALREADY: it follows a terminal one and is dropped. Other errors: it will be told, but a restart of the agent
 * would lose it.
 */
int task_push_update(struct agent_task *t, Mete__Agent__StatusUpdate *u);
/* Pushes a state that is not terminal, and sends what is due. */
void task_report(struct agent_task *t, Mete__V1__TaskState state, const char *message);
/* Sends what is due to the master. */
void task_flush_updates(struct agent_task *t);
/* May free the task, and its container. */
void task_acknowledge(struct agent_task *t, const void *uuid, size_t len);

/* Updates whose retry is due. */
void tasks_flush_updates(struct agent *a);
/* A new connection to the master: what is pending goes out at once. */
void tasks_reconnected(struct agent *a);
/* Of one framework, or of all: NULL. What is pending goes out at once. */
void tasks_resend_updates(struct agent *a, const char *framework_id);
