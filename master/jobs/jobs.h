/*
 * Jobs and their tasks: what was asked for, where it stands, and what is kept of it on disk. The queues decide who goes when; this
 * table is the one writer of a job's state. Owned by the master; loop thread only.
 *
 * A task waits (in its job's queue), is live (from the accepted launch on; it may be frozen) or is over. What ended may wait again:
 * job_end.c decides that. Every launch, suspension and status is on disk before anybody outside acts on it.
 */
#pragma once

#include "master/jobs/queues.h"

#define JOBS_LIVE_MAX 100000
#define JOBS_ENDED_MAX 1000
#define JOB_TASKS_LIVE_MAX 1000000
#define JOB_TASKS_ENDED_MAX 20000 /* of the history, unless one job alone has more */
#define JOB_ATTEMPTS_MAX 3        /* launches in a row of a task that never got to start */
#define JOB_RESTARTS_DEFAULT 3    /* of a task with ON_FAILURE */
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
        struct master *master;
        Mete__Api__Task *api; /* owned */
        uint8_t last_uuid[UUID_BYTES];
        bool has_uuid;
        uint32_t attempts;   /* launches */
        uint32_t unstarted;  /* the last ones of them, that never got to start */
        uint32_t failures;   /* in a row */
        double not_before;   /* seconds since 1970: the backoff of a retry ends; 0: none */
        bool queued;         /* again */
        bool lost_by_master; /* may still come back with its agent */
        bool kill_wanted;
        bool requeue_wanted; /* its kill makes way for others */
        Mete__Checkpoint__StoredKill kill;
        /* Suspension: what is wanted; api->suspended says what is. */
        bool suspend_wanted, suspended_by_user;
        uint64_t suspend_sequence;
        double ran_seconds;       /* active time of this run, up to `changed` */
        double changed;           /* seconds since 1970: suspended or resumed then; 0: never in this run */
        struct resources *booked; /* at launch; owned; NULL: just the job's size */
        struct loop_timer *limit; /* runs out with the time limit; NULL: none is armed */
};

struct job;
/* `dependent` waits for `of`, in whose list this is. */
struct job_edge {
        struct job *of, *dependent;
        size_t at; /* in its `after` */
        struct job_edge *prev, *next;
};

struct job {
        struct master *master;
        struct job_queue *queue;
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
        bool held;   /* by its owner */
        bool began;  /* a task that waits has run already */
        bool queued; /* its queue knows it */
        Mete__Checkpoint__StoredKill kill;
        struct job_task **tasks; /* count entries; NULL: queued and never launched */
        uint32_t count;
        uint32_t classes[JOB_TASK_CLASS_MAX]; /* tasks in each */
        uint32_t suspended;                   /* of the live ones */
        struct resources size;                /* of one task: scalars */
        struct queue_dependency *after;       /* as many as the spec has */
        struct job_edge **edges;              /* the same; NULL: not waited for any more */
        struct job_edge *dependents;          /* DL, owned: who waits for this one */
        struct job *settle_next;              /* while the end of this one is told to them */
        bool event_pending;                   /* in the list of changed jobs of subscribers.c */
        UT_hash_handle hh;
        struct job *prev, *next;             /* live or ended list */
        struct job *event_prev, *event_next; /* while event_pending */
};

struct jobs {
        struct master *master;
        struct job_queues *queues;
        struct job *by_number;    /* k: number -> v: struct job, owned */
        struct job *live, *ended; /* the same jobs, oldest first */
        size_t live_count, ended_count;
        size_t live_tasks, ended_tasks;
        uint64_t next_number;
        uint64_t
                stored_number; /* those below it are not given again, even when nothing is left of their jobs */
        struct loop_timer *pass;     /* the next pass over the queues that are due */
        bool pass_soon;              /* it is armed, for a pass that is due */
        struct mono_time pass_ended; /* the last one ... */
        uint64_t pass_ns;            /* ... and how long it took */
        struct job *settling;        /* ended jobs whose dependents are not told yet; by settle_next */
        bool settle_runs;
        struct shared_environment *environments; /* k: digest -> v */
};

/* ---- jobs.c ---- */
struct jobs *jobs_new(struct master *m, enum queue_policy default_policy);
struct jobs *jobs_free(struct jobs *js);
bool job_ended(const struct job *j);
uint64_t job_number_of(const char *id); /* 0: it is none */
struct job *job_by_number(const struct jobs *js, uint64_t number);
/* A decimal id, or a name: -ENOENT, or -EEXIST when several live jobs carry it. */
int job_find(const struct jobs *js, const char *id_or_name, struct job **ret);
/* "<job>.<index>" of an existing job. */
int job_task_find(const struct jobs *js, const char *task_id, struct job **ret, uint32_t *ret_index);
/* Takes the spec. Not persisted yet, and not in its queue. */
struct job *job_new(struct jobs *js, uint64_t number, Mete__Api__JobSpec *spec);
void job_forget(struct job *j);                          /* out of memory, not off the disk */
uint32_t job_spec_count(const Mete__Api__JobSpec *spec); /* of tasks */
enum job_task_class job_task_class(const struct job *j, uint32_t index);
/* The record of a task, made when there is none. Bracket every change by job_task_begin() and job_task_end(). */
struct job_task *job_task_get(struct job *j, uint32_t index);
enum job_task_class job_task_begin(struct job *j, uint32_t index);
/* Recounts, ends or revives the job, publishes; what changed goes into the batch. */
void job_task_end(struct job *j, uint32_t index, enum job_task_class before, struct store_batch *b);
void job_recount(struct job *j); /* after recovery */
void job_size(const Mete__Api__JobSpec *spec, struct resources *ret);
void jobs_trim(struct jobs *js, struct store_batch *b);
/* The task that its agent has, or gets; NULL. */
struct task *job_task_live(const struct job *j, uint32_t index);

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
        char *warnings[1];
};
/* At most max_tasks tasks. The environment may hold secrets: it is for the submitter and for root. */
void job_view(const struct job *j, size_t max_tasks, bool with_environment, struct job_view *ret);
/* Without why it waits, which takes time to find out. */
void job_view_plain(const struct job *j, struct job_view *ret);
void job_view_done(struct job_view *v);

/* ---- job_entry.c: what a queue knows of a job ---- */
/* role: of its queue. Borrows from its arguments, but for what job_entry_done() frees. after: as many as the spec has; NULL: all are satisfied. */
void job_spec_entry(const Mete__Api__JobSpec *spec, const char *role, uint64_t number, const char *user,
        double submitted, const struct queue_dependency *after, struct queue_job *ret);
void job_entry_done(struct queue_job *entry);
/* Into its queue, with all its tasks. */
void job_enqueue(struct job *j);
/* A live task of a job that is in its queue: it runs, or is frozen, unless its owner holds it. */
void job_enter_live(struct job *j, uint32_t index);
/* One task waits, from its not_before on. */
void job_enqueue_task(struct job *j, uint32_t index);

/* ---- job_pass.c: offers and decisions ---- */
/* Something of the queue changed: a pass over it is due. fresh: something waits that was not there when offers were declined. */
void job_queue_schedule(struct job_queue *jq, bool fresh);
void jobs_schedule_all(struct jobs *js);
void jobs_on_offer(struct framework *f, struct offer *o);
void jobs_on_rescind(struct framework *f, struct offer *o);
void jobs_on_pass(struct loop_timer *t, void *userdata);

/* ---- job_machines.c ---- */
void jobs_on_agent(struct framework *f, struct agent *a, bool gone);

/* ---- job_launch.c ---- */
Mete__V1__TaskInfo *job_task_info(const struct job *j, uint32_t index, const char *agent_id, const char *role,
        const struct resources *resources);
/* What was accepted is written down, then sent. */
void jobs_on_launching(struct framework *f, struct task *const *tasks, size_t count);

/* ---- job_end.c ---- */
/* A terminal status was taken: over, or it waits again. Within job_task_begin() and job_task_end(). */
void job_task_ended(struct job *j, uint32_t index, const Mete__Agent__StatusUpdate *u);
/* It waits again, whatever it did. The same. */
void job_task_again(struct job *j, uint32_t index, double not_before);
/* Tasks that wait are over: TASK_FAILED with this sentence. */
void job_fail_waiting(
        struct job *j, Mete__V1__TaskStatus__Reason reason, const char *message, struct store_batch *b);
/* For another job: killed, and queued again. */
void job_requeue_task(struct job *j, uint32_t index, uint64_t for_job);

/* ---- job_time.c ---- */
/* Seconds in which it ran, without those in which it was frozen, up to now or its end. */
double job_task_active_seconds(const struct job_task *t, double now);
/* Arms or disarms as the state of the task wants. */
void job_limit_update(struct job *j, uint32_t index);
/* "time limit of 10s reached", when it was; the caller frees. */
char *job_limit_reached(const struct job *j, const struct job_task *t);

/*
 * ---- job_suspend.c ----
 * What is wanted of a task has a sequence number and is on disk before its agent hears of it; it is sent again until the agent's report
 * says the same. A frozen task keeps everything but its cpus: these become an offer to the queue that runs it.
 */
/* What a task that booked this keeps while it is frozen. */
void job_suspended_keeps(const struct resources *booked, struct resources *ret);
/* For another job. */
void job_suspend_task(struct job *j, uint32_t index, uint64_t for_job);
/* Its booking is whole again. */
void job_resume_task(struct job *j, uint32_t index);
void jobs_on_suspended(struct framework *f, struct agent *a, struct task *live,
        const Mete__Agent__Call__Suspended *suspended);
/* What an agent that registered reports. Within job_task_begin() and job_task_end(). */
void job_suspension_reported(
        struct job *j, uint32_t index, struct task *live, const Mete__Agent__TaskReport *report);
/* Its agent was given up, came back, and has it frozen: so it was all the while. */
void job_suspension_regained(struct job_task *t);
/* By its owner: all tasks, and what waits is held; or the one. `done` fires when it is on disk. */
void job_suspend(struct job *j, store_done_handler done, void *userdata);
void job_resume(struct job *j, store_done_handler done, void *userdata);
/* -EINVAL: it is not live; then nothing fires. */
int job_suspend_one(struct job *j, uint32_t index, store_done_handler done, void *userdata);
int job_resume_one(struct job *j, uint32_t index, store_done_handler done, void *userdata);

/* ---- job_after.c: dependencies ---- */
/* Of a job that ended so. */
bool job_condition_holds(Mete__Api__JobSpec__Dependency__Condition c, Mete__Api__JobState state);
/* From the spec: who is waited for. Those that ended count at once; -EINVAL: one can never hold any more, *ret_at says which. */
int job_after_new(struct job *j, size_t *ret_at) WARN_UNUSED;
void job_after_free(struct job *j);
/* The job ended: those that wait for it go on, or end too. */
void job_after_settle(struct job *j, struct store_batch *b);
/* After recovery: what the job of an unmet dependency became is not known any more. */
void jobs_after_recovered(struct jobs *js, struct store_batch *b);

/* ---- job_environment.c ---- */
/* Jobs with equal environments share one. */
void job_environment_share(struct jobs *js, Mete__Api__JobSpec *spec);
void job_environment_release(struct jobs *js, Mete__Api__JobSpec *spec);

/* ---- job_framework.c: the queues as a framework ---- */
extern const struct framework_ops job_framework_ops;
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
