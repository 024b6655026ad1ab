/*
 * The job queue: which task of which job goes onto an offer. Pure: no I/O, no clock; offers and changes come in, launches go out.
 * It knows jobs as a size per task and a set of task indexes that wait; everything else of a job is its owner's. Single thread.
 *
 * Jobs stand in the order of a policy. An offer is filled in that order. The first job in order that fits the machine but not what
 * is free on it reserves that machine: nobody behind it launches there, so it cannot starve; other machines go on. A job that no
 * registered agent could ever hold blocks nobody. At most PLAIN_QUEUE_LOOK_AHEAD jobs that do not fit are passed over for one offer.
 */
#pragma once

#include "lib/base/resources.h"

#define PLAIN_QUEUE_LOOK_AHEAD 100

struct plain_queue;

/* What a policy may compare. */
struct plain_queue_entry {
        uint64_t job;          /* number: unique, grows with every submission */
        uint64_t submitted_ns; /* wall time */
        struct resources size; /* of one task; owned */
        uint32_t waiting;      /* tasks in the queue */
        uint32_t launched;     /* launches so far */
};

struct plain_queue_policy {
        const char *name;
        /* < 0: a goes first. Must be a total order that does not change while both wait. */
        int (*compare)(const struct plain_queue_entry *a, const struct plain_queue_entry *b);
};
extern const struct plain_queue_policy plain_queue_policy_fifo;
const struct plain_queue_policy *plain_queue_policy_find(
        const char *name); /* NULL when there is none of that name */

struct plain_queue_launch {
        uint64_t job;
        uint32_t index;
};

struct plain_queue *plain_queue_new(const struct plain_queue_policy *policy);
struct plain_queue *plain_queue_free(struct plain_queue *q);
DEFINE_CLEANUP(struct plain_queue, plain_queue_free)

/* ---- jobs ---- */
/* Tasks 0..count-1 wait. -EEXIST. */
int plain_queue_add_job(struct plain_queue *q, uint64_t job, uint64_t submitted_ns,
        const struct resources *size, uint32_t count) WARN_UNUSED;
/* One task waits (again); the job appears when it is not there. The next offer looks at it before later indexes. */
void plain_queue_add_task(struct plain_queue *q, uint64_t job, uint64_t submitted_ns,
        const struct resources *size, uint32_t index);
/* Takes a waiting task out; false when it does not wait. */
bool plain_queue_remove_task(struct plain_queue *q, uint64_t job, uint32_t index);
void plain_queue_remove_job(struct plain_queue *q, uint64_t job);
bool plain_queue_empty(const struct plain_queue *q);
size_t plain_queue_tasks_waiting(const struct plain_queue *q);
uint32_t plain_queue_job_waiting(const struct plain_queue *q, uint64_t job);

/* ---- machines ---- */
void plain_queue_set_agent(
        struct plain_queue *q, const char *agent, const char *hostname, const struct resources *total);
void plain_queue_remove_agent(struct plain_queue *q, const char *agent);
/* The agent with the most of one scalar: its amount and its host name (borrowed); false when there is no agent. */
bool plain_queue_largest_agent(
        const struct plain_queue *q, const char *resource, uint64_t *ret_milli, const char **ret_hostname);
/* Could any registered agent hold one such task when idle? */
bool plain_queue_fits_some_agent(const struct plain_queue *q, const struct resources *size);

/* ---- offers ---- */
/*
 * Takes what it can use of `available` on this agent: at most max launches, appended to ret, their number returned. What remains
 * in `available` is declined by the caller. The launched tasks no longer wait.
 */
size_t plain_queue_offer(struct plain_queue *q, const char *agent, struct resources *available,
        struct plain_queue_launch *ret, size_t max);

/* Why a job's tasks wait: one sentence, the caller frees; NULL when none of them waits. */
char *plain_queue_pending_reason(const struct plain_queue *q, uint64_t job);
