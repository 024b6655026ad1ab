/*
 * A job queue: which task of which job goes onto which offer, who waits, who gives way. Pure: no I/O, no clock; what happened and the
 * time come in, decisions go out, so that tests and mete-sim drive the very code that runs in production. Single thread. Strings and
 * resources are copied. It knows of a job what struct queue_job says; everything else is its owner's (master/jobs).
 *
 * Order. Jobs stand in the order of the queue's policy. A job that waits longer than the queue's ageing time moves into the aged class,
 * which goes before all others and is first come, first served: so nobody starves, and a job waits at most for its ageing time and for
 * those that came before it. Offers are kept until they are used or nobody here can use them; those that nobody can use yet for some
 * seconds only, then they go back for some seconds, so that what one queue waits for never keeps a machine from other roles for long.
 *
 * Backfill (EASY: Lifka 1995). The first job in order that does not fit now gets a reservation: the earliest time at which enough will
 * be free, from the expected ends of what runs here, and the machines where. Jobs behind it may start when they end before that time
 * or leave what it needs alone. A job that no machine could ever hold reserves nothing and blocks nobody.
 *
 * Preemption. For a job that goes before a running one by its policy (priority: a higher one; srtf: less time remaining), the running
 * one is suspended when CPU is what is missing, or requeued when memory is; at most so often per job, not within its grace time, and
 * never for a gain smaller than the cost. Only tasks of the same queue, never those whose job is not preemptible.
 */
#pragma once

#include "master/queue/estimates.h"
#include "master/queue/machines.h"

struct queue;

/* ---- configuration ---- */

enum queue_policy {
        QUEUE_FIFO,     /* first come, first served */
        QUEUE_SJF,      /* shortest expected run time first; not known: last */
        QUEUE_SRTF,     /* shortest remaining time first, also against those that run */
        QUEUE_PRIORITY, /* highest priority first, then first come */
        QUEUE_FAIR,     /* the user with the least decayed usage first, then first come */
        QUEUE_POLICY_MAX,
        QUEUE_POLICY_INVALID = -EINVAL,
};
const char *queue_policy_to_string(enum queue_policy p);
enum queue_policy queue_policy_from_string(const char *s);
bool queue_policy_preempts(enum queue_policy p); /* may somebody that waits go before somebody that runs? */

enum queue_preemption {
        QUEUE_PREEMPT_NONE,
        QUEUE_PREEMPT_SUSPEND, /* frozen: CPU goes, memory and work stay */
        QUEUE_PREEMPT_REQUEUE, /* suspension where it is enough; else killed with its grace, and queued again */
        QUEUE_PREEMPTION_MAX,
        QUEUE_PREEMPTION_INVALID = -EINVAL,
};
const char *queue_preemption_to_string(enum queue_preemption p);
enum queue_preemption queue_preemption_from_string(const char *s);

#define QUEUE_AGEING_DEFAULT_NS (24 * 3600 * NSEC_PER_SEC)
#define QUEUE_HALF_LIFE_DEFAULT_NS (24 * 3600 * NSEC_PER_SEC)
#define QUEUE_GRACE_DEFAULT_NS (30 * NSEC_PER_SEC)
#define QUEUE_MIN_GAIN_DEFAULT_NS (10 * NSEC_PER_SEC)
#define QUEUE_PREEMPTIONS_DEFAULT 5
#define QUEUE_BACKFILL_DEFAULT 1000
struct queue_config {
        enum queue_policy policy;
        uint64_t ageing_ns; /* 0: nobody ages, so jobs may starve under other policies than fifo and fair */
        enum queue_preemption preemption;
        uint64_t grace_ns; /* a task is not preempted before it ran (again) this long */
        uint64_t
                min_gain_ns; /* nor when the other one would start less than this earlier, or when it ends within it anyway */
        uint32_t preemptions_max;   /* of one task */
        uint64_t fair_half_life_ns; /* of usage */
        uint32_t backfill_max; /* jobs behind the reservation that are looked at in a pass; 0: no backfill */
};
void queue_config_default(struct queue_config *ret); /* fifo, no preemption */

/* machines and estimates are shared with other queues and outlive this one. */
struct queue *queue_new(
        const struct queue_config *config, const struct machines *machines, struct estimates *estimates);
struct queue *queue_free(struct queue *q);
DEFINE_CLEANUP(struct queue, queue_free)
void queue_configure(struct queue *q, const struct queue_config *config); /* jobs are put in order anew */
const struct queue_config *queue_get_config(const struct queue *q);

/* What all that runs in the role may have together, of a scalar. */
struct queue_limit {
        char name[RESOURCE_NAME_MAX];
        uint64_t milli;
};
/* All of them; of other scalars there is none. Jobs that need more at once are as impossible as those that no machine could hold. */
void queue_set_limits(struct queue *q, const struct queue_limit *limits, size_t count);

/* ---- jobs ---- */

#define QUEUE_PRIORITY_MAX 1000
#define QUEUE_PRIORITY_DEFAULT 500
enum queue_placement {
        QUEUE_PACK,   /* onto the machine that it fills best */
        QUEUE_SPREAD, /* where the fewest tasks of the job are, by spread_by or by machine */
};
struct queue_dependency {
        uint64_t job;
        bool satisfied;
};
struct queue_job {
        uint64_t
                number; /* grows with every submission: the order of arrival even when the wall clock steps */
        const char *name, *user;
        struct wall_time submitted;
        struct resources size; /* of one task: scalars */
        uint32_t ports;        /* how many of the ranges "ports" each task gets */
        uint32_t cores;        /* how many of the ranges "cores", for itself alone; size has as many cpus */
        uint32_t count;
        uint32_t parallel_max; /* tasks at a time; 0: all */
        bool gang;             /* all tasks start in one pass, or none; later restarts are single */
        uint32_t priority;     /* 0 to QUEUE_PRIORITY_MAX */
        uint64_t duration_ns;  /* declared run time of one task; 0: asked of the estimates */
        struct wall_time
                deadline; /* 0: none; a job of which a task still waits then is given up (QUEUE_EXPIRE) */
        bool preemptible;
        bool held; /* by its owner: it waits and is not considered */
        enum queue_placement placement;
        const char *spread_by; /* attribute; NULL: machine */
        const struct constraint *constraints;
        size_t constraint_count;
        const struct queue_dependency *after; /* it is not considered until all are satisfied */
        size_t after_count;
};
/* None of its tasks waits yet. -EEXIST. */
int queue_add_job(struct queue *q, const struct queue_job *job) WARN_UNUSED;
/* With its tasks, in whatever state; nothing happens if there is none. */
void queue_remove_job(struct queue *q, uint64_t job);
void queue_hold_job(struct queue *q, uint64_t job, bool held);
void queue_satisfy(struct queue *q, uint64_t job, uint64_t dependency);

/* ---- tasks: the owner says what became of decisions, and of tasks of an earlier life ---- */
/* Tasks [begin, end) wait; not before this time (0: now), for retries that back off. */
void queue_tasks_wait(
        struct queue *q, uint64_t job, uint32_t begin, uint32_t end, struct wall_time not_before);
struct queue_run {
        const char *agent;
        const struct resources *resources; /* booked there */
        struct wall_time started;          /* of this run */
        uint64_t ran_ns;                   /* before that, when suspension interrupted it */
        uint32_t preemptions;              /* so far */
};
/* Launched: by a decision (the queue has noted that itself; this confirms), or before a restart of the master. */
void queue_task_runs(struct queue *q, uint64_t job, uint32_t index, const struct queue_run *run);
/* CPU time used so far: its progress. */
void queue_task_progress(
        struct queue *q, uint64_t job, uint32_t index, uint64_t cpu_ns, struct wall_time now);
/* It is frozen; only `kept` is still booked. Resuming it needs the difference, on the same agent. Tasks of a held job are not resumed. */
void queue_task_suspended(
        struct queue *q, uint64_t job, uint32_t index, const struct resources *kept, struct wall_time now);
void queue_task_resumed(struct queue *q, uint64_t job, uint32_t index, struct wall_time now);
/* It ended, or is lost: neither runs nor waits. ok: its run time says something about the next ones. */
void queue_task_ended(
        struct queue *q, uint64_t job, uint32_t index, bool ok, uint64_t cpu_ns, struct wall_time now);
/* Takes a waiting task out; false when it does not wait. */
bool queue_task_forget(struct queue *q, uint64_t job, uint32_t index);

bool queue_wants_offers(const struct queue *q); /* something waits that could run, or is suspended */
size_t queue_jobs_waiting(const struct queue *q);
size_t queue_tasks_waiting(const struct queue *q);
uint32_t queue_job_waiting(const struct queue *q, uint64_t job);

/* ---- offers ---- */
/* `offer` is the owner's number of it. Kept until a decision names it, or it is taken back. */
void queue_add_offer(struct queue *q, uint64_t offer, const char *agent, const struct resources *resources);
void queue_remove_offer(struct queue *q, uint64_t offer);
size_t queue_offers_held(const struct queue *q);

/* ---- decisions ---- */
enum queue_decision_kind {
        QUEUE_LAUNCH, /* job, index, offer, merged, resources. One offer may be named by several: what they leave goes back */
        QUEUE_RESUME,  /* job, index, offer, merged, resources: as a launch */
        QUEUE_DECLINE, /* offer, refuse_ns */
        QUEUE_SUSPEND, /* job, index; for_job */
        QUEUE_REQUEUE, /* job, index; for_job: to be killed and to wait again */
        QUEUE_EXPIRE,  /* job: its deadline passed while it waited */
};
#define QUEUE_MERGED_MAX                                                                                     \
        7 /* more offers of one machine are declined for a moment, so that they come back as one */
struct queue_decision {
        enum queue_decision_kind kind;
        uint64_t job;
        uint32_t index;
        uint64_t offer;
        /*
         * Further offers of the same machine: `resources` may come out of all of them together (CPU that a suspension freed, memory
         * that was offered before), so they are accepted in one call. The same for all decisions that name `offer`.
         */
        uint64_t merged[QUEUE_MERGED_MAX];
        uint32_t merged_count;
        struct resources resources; /* what the task gets of the offer, ports and cores chosen */
        uint64_t refuse_ns;
        uint64_t for_job;
};
struct queue_decisions {
        struct queue_decision *items; /* launches and resumptions sorted by offer, then the rest */
        size_t count, capacity;
        bool more; /* the pass was cut short to bound its time: call again, soon */
};
void queue_decisions_done(struct queue_decisions *d);
/* One pass over the offers held. An offer that is named by a decision is no longer held; a launched task no longer waits. */
void queue_schedule(struct queue *q, struct wall_time now, struct queue_decisions *ret);
/* When time alone changes something: a backoff ends, a job ages, a deadline passes, offers were held long enough. False: never. */
bool queue_next_wakeup(const struct queue *q, struct wall_time *ret);

/* ---- reasons ---- */
enum queue_reason {
        QUEUE_REASON_NONE, /* it does not wait */
        QUEUE_REASON_HELD,
        QUEUE_REASON_DEPENDENCY,  /* waits for blocking_job */
        QUEUE_REASON_BACKOFF,     /* a retry, until `when` */
        QUEUE_REASON_PARALLEL,    /* as many of its tasks run as it allows */
        QUEUE_REASON_NO_MACHINES, /* none is registered, or none may be used: `detail` is why */
        QUEUE_REASON_CONSTRAINTS, /* no machine meets constraint `detail` with those before it */
        QUEUE_REASON_TOO_LARGE,   /* no machine that meets them is large enough: `detail` is the resource */
        QUEUE_REASON_GANG_TOO_LARGE, /* all machines together could not hold all tasks at once */
        QUEUE_REASON_BEHIND,         /* blocking_job goes first, and what is free is kept for it */
        QUEUE_REASON_RESOURCES,      /* `detail` is missing on the machines that could hold it */
        QUEUE_REASON_NO_OFFERS, /* there is room here, but none was offered: roles with lower shares, quotas, other frameworks */
        QUEUE_REASON_MAINTENANCE, /* it would run into maintenance windows; the first ends at `when` */
        QUEUE_REASON_NO_VOLUME, /* no usable machine has volume `detail` with what it wants besides; `nearest` has it, or none */
        QUEUE_REASON_VOLUME_IN_USE, /* volume `detail`, on `nearest`, by blocking_job or, 0, somebody else */
        QUEUE_REASON_SUSPENDED,     /* its tasks are frozen and wait for CPU on their machines */
        QUEUE_REASON_QUOTA,         /* its role may never have as much of `detail`: at most limit_milli */
        QUEUE_REASON_DISTINCT, /* wherever it could run, its own tasks have each value of what must be distinct */
};
struct queue_factor {
        const char *
                name; /* "aged", "priority", "expected duration", "usage of alice", "arrival": literal or borrowed from the buffer below */
        char value[64];
        char note[96]; /* where the value comes from: "declared", "mean of 4.2 earlier runs", "after 24h" */
};
/* As things are, it never starts: people are warned of that. */
bool queue_reason_lasts(enum queue_reason reason);
#define QUEUE_FACTORS_MAX 8
#define QUEUE_VICTIMS_MAX 16
struct queue_explanation {
        enum queue_reason reason;
        struct wall_time now; /* for which it was computed */
        char detail[RESOURCE_NAME_MAX + CONSTRAINT_VALUE_MAX];
        uint64_t blocking_job; /* 0: none */
        struct wall_time when;
        uint64_t limit_milli;
        uint64_t missing_milli; /* of `detail`, on the machine that lacks least; "tasks" of a gang: in all */
        char nearest[256];      /* that machine's host name */
        char unusable[32];      /* NO_VOLUME: why `nearest` may not be used; empty: it may */
        size_t machines;        /* registered and usable */
        size_t machines_matching; /* of them, that meet the constraints */
        size_t machines_large;    /* of them, that are large enough when idle */
        size_t machines_free;     /* of them, with enough free for one task, by what was offered */
        size_t rank,
                jobs;  /* place in the order, from 1, among the jobs that wait; 0: none of its tasks does */
        bool reserved; /* it holds the reservation: on `nearest`, for `expected_start` */
        bool has_expected_start;
        struct wall_time
                expected_start; /* the first task's, as far as can be told from expected ends; now where victims give way */
        bool has_expected_end;
        struct wall_time expected_end;
        uint64_t expected_duration_ns;                  /* of one task; 0: not known */
        struct queue_factor factors[QUEUE_FACTORS_MAX]; /* in the order in which they decide */
        size_t factor_count;
        struct {
                uint64_t job;
                uint32_t index;
                enum queue_decision_kind how;
        } victims[QUEUE_VICTIMS_MAX]; /* who would be preempted for it now */
        size_t victim_count;
};
/* -ENOENT. */
int queue_explain(const struct queue *q, uint64_t job, struct wall_time now, struct queue_explanation *ret);
/* What could be offered on the agent beyond the offers that the queue holds; ret is empty before. */
struct queue_supply {
        void (*on)(void *userdata, const char *agent, struct resources *ret);
        void *userdata;
};
/*
 * As if it were submitted now with all its tasks waiting; nothing changes. job->number is the one that it would get. supply: a queue in
 * which nothing waits holds no offers, and still a job may start at once: QUEUE_REASON_NONE with an expected start. NULL: not known.
 */
void queue_plan(struct queue *q, const struct queue_job *job, struct wall_time now,
        const struct queue_supply *supply, struct queue_explanation *ret);
/* One sentence, which the caller frees; NULL for QUEUE_REASON_NONE. job: the size of its tasks is named. */
char *queue_explanation_sentence(const struct queue_explanation *x, const struct queue_job *job);
/* The same for a job that is in the queue, for lists: without a forecast for those that nothing is kept for, and without victims. NULL when none of its tasks waits. */
char *queue_pending_reason(const struct queue *q, uint64_t job, struct wall_time now);
/* Borrowed until the job changes; NULL. */
const struct queue_job *queue_find_job(const struct queue *q, uint64_t job);
/* In order, from the first; stops when `each` returns false. */
void queue_each_job(struct queue *q, struct wall_time now,
        bool (*each)(const struct queue_job *job, uint32_t waiting, void *userdata), void *userdata);

/* ---- usage by user, for the store ---- */
/* Core-seconds, decayed to `now`. */
void queue_each_user(const struct queue *q, struct wall_time now,
        void (*each)(const char *user, double core_seconds, size_t running, size_t waiting, void *userdata),
        void *userdata);
void queue_restore_user(struct queue *q, const char *user, double core_seconds, struct wall_time at);

size_t queue_memory(const struct queue *q); /* bytes, by its own count */
/* Recomputes indexes and sums and compares: for tests. -EUCLEAN with a sentence. */
int queue_check(const struct queue *q, struct error *e) WARN_UNUSED;
