/*
 * Jobs and their tasks: what was asked for, where it stands, and what is kept of it on disk. The queue decides on order; this
 * table is the one writer of a job's state. Owned by the master; loop thread only.
 */
#pragma once

#include "master/core.h"
#include "master/jobs/plain_queue.h"

#define JOBS_LIVE_MAX 10000
#define JOBS_ENDED_MAX 1000
#define JOB_TASKS_LIVE_MAX 200000
#define JOB_TASKS_ENDED_MAX 20000 /* of the history, unless one job alone has more */
#define JOB_ATTEMPTS_MAX 3        /* launches of a task that never got to start */
#define JOB_ID_MAX 24
#define TASK_ID_MAX 40

enum job_task_class {
        JOB_TASK_QUEUED,
        JOB_TASK_LIVE,
        JOB_TASK_FINISHED,
        JOB_TASK_FAILED,
        JOB_TASK_KILLED,
        JOB_TASK_CLASS_MAX
};

/* From the first launch on, or from a kill in the queue. */
struct job_task {
        Mete__Api__Task *api; /* owned */
        uint8_t last_uuid[UUID_BYTES];
        bool has_uuid;
        uint32_t attempts;
        bool queued;         /* again */
        bool lost_by_master; /* may still come back with its agent */
        bool kill_wanted;
        Mete__Checkpoint__StoredKill kill;
};

struct job {
        struct master *master;
        uint64_t number;
        char id[JOB_ID_MAX];
        Mete__Api__JobSpec *spec; /* complete: nothing unset that has a default */
        char *user;
        bool has_uid;
        uid_t uid;
        Mete__Api__JobState state;
        double submitted, finished;
        uint64_t history_ms; /* of history.c: the end that its record there tells; 0: it has none */
        bool kill_wanted;
        Mete__Checkpoint__StoredKill kill;
        struct job_task **tasks; /* count entries; NULL: queued and never launched */
        uint32_t count;
        uint32_t classes[JOB_TASK_CLASS_MAX]; /* tasks in each */
        struct resources size;                /* of one task */
        bool event_pending;                   /* in the list of changed jobs of subscribers.c */
        UT_hash_handle hh;
        struct job *prev, *next;             /* live or ended list */
        struct job *event_prev, *event_next; /* while event_pending */
};

struct jobs {
        struct master *master;
        struct plain_queue *queue;
        struct job *by_number;    /* k: number -> v: struct job, owned */
        struct job *live, *ended; /* the same jobs, oldest first */
        size_t live_count, ended_count;
        size_t live_tasks, ended_tasks;
        uint64_t next_number;
        bool suppressed;
        bool batching;
};

/* ---- jobs.c ---- */
struct jobs *jobs_new(struct master *m, const struct plain_queue_policy *policy);
struct jobs *jobs_free(struct jobs *js);
bool job_ended(const struct job *j);
struct job *job_by_number(const struct jobs *js, uint64_t number);
/* A decimal id, or a name: -ENOENT, or -EEXIST when several live jobs carry it. */
int job_find(const struct jobs *js, const char *id_or_name, struct job **ret);
/* "<job>.<index>" of an existing job. */
int job_task_find(const struct jobs *js, const char *task_id, struct job **ret, uint32_t *ret_index);
/* Takes the spec. Not persisted yet. */
struct job *job_new(struct jobs *js, uint64_t number, Mete__Api__JobSpec *spec, uint32_t count);
enum job_task_class job_task_class(const struct job *j, uint32_t index);
/* The record of a task, made when there is none. Bracket every change by job_task_begin() and job_task_end(). */
struct job_task *job_task_get(struct job *j, uint32_t index);
enum job_task_class job_task_begin(struct job *j, uint32_t index);
/* Recounts, ends or revives the job, publishes; what changed goes into the batch. */
void job_task_end(struct job *j, uint32_t index, enum job_task_class before, struct store_batch *b);
void job_recount(struct job *j); /* after recovery */
void job_size(const Mete__Api__JobSpec *spec, struct resources *ret);
void jobs_trim(struct jobs *js, struct store_batch *b);

/* ---- job_store.c ---- */
void job_put(struct job *j, struct store_batch *b);
void job_put_task(struct job *j, uint32_t index, struct store_batch *b);
void job_put_delete(const struct job *j, struct store_batch *b);
int jobs_recover(struct jobs *js, struct error *e) WARN_UNUSED;

/* ---- job_view.c: jobs as the API shows them; everything is borrowed from the job ---- */
struct task_view {
        Mete__Api__Task task; /* of a queued task */
        char id[TASK_ID_MAX];
};
Mete__Api__Task *task_view(const struct job *j, uint32_t index, struct task_view *view);
struct job_view {
        Mete__Api__Job job;
        Mete__Api__JobSpec spec;  /* shallow copy */
        struct task_view *queued; /* owned */
        char *reason;             /* owned */
};
/* At most max_tasks tasks. The environment may hold secrets: it is for the submitter and for root. */
void job_view(const struct job *j, size_t max_tasks, bool with_environment, struct job_view *ret);
void job_view_done(struct job_view *v);

/* ---- job_framework.c: the queue as a framework ---- */
extern const struct framework_ops job_framework_ops;
/* Something waits, or nothing does any more: revives or suppresses. */
void jobs_wake(struct jobs *js);
void job_enqueue(struct job *j);
/* After recovery: what ran is expected back with its agents, what waited waits again. */
void jobs_restore(struct jobs *js);

/* ---- job_kill.c ---- */
/* All tasks, or the one. `done` fires when it is on disk. */
void job_kill(
        struct job *j, const Mete__Checkpoint__StoredKill *kill, store_done_handler done, void *userdata);
void job_kill_task(struct job *j, uint32_t index, const Mete__Checkpoint__StoredKill *kill,
        store_done_handler done, void *userdata);
/* False when it does not run on a connected agent. */
bool job_signal_task(struct job *j, uint32_t index, int32_t signal);
