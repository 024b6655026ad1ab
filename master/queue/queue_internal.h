/*
 * What the files of the queue share. Who owns what:
 *   queue.c          configuration, jobs and which of their tasks wait
 *   queue_order.c    the order of jobs that could run: the policy's key, ageing, users; what time changes
 *   queue_runs.c     tasks that run or are suspended, and when they are expected to end
 *   queue_places.c   machines as this queue sees them: offers held, what runs there; constraints met by which
 *   queue_search.c   a place for one task
 *   queue_reserve.c  what is kept for whom, and until when: backfill
 *   queue_preempt.c  who gives way
 *   queue_pass.c     one pass over all of it
 *   queue_explain.c, queue_forecast.c, queue_sentence.c   why, and when
 */
#pragma once

#include <uthash.h>

#include "master/queue/quantities.h"
#include "master/queue/queue.h"
#include "master/queue/tree.h"

#define TIME_NEVER UINT64_MAX
#define PASS_LAUNCHES_MAX 1000  /* then the pass is cut short */
#define PASS_VISITS_MAX 300000  /* places looked at in a pass; then nobody further back is looked at */
#define PASS_DUE_MAX 2000       /* jobs whose time has come, or whose estimate changed, in a pass */
#define PASS_MATCHES_MAX 100000 /* constraints held against machines in a pass */
#define PASS_VICTIMS_MAX 30000  /* running tasks that are looked at, whether they may give way, in a pass */
#define PASS_PREEMPTORS_MAX 2   /* jobs for which victims are looked for in a pass */
#define FAIR_CHARGE_NS (60 * NSEC_PER_SEC) /* a running task counts as if it had run this much longer */
#define DECLINE_NS (5 * NSEC_PER_SEC)      /* as long as Mesos' frameworks refuse unless they say otherwise */
/*
 * Offers are held for those that wait at most this long, then others have DECLINE_NS in which they are offered what is free. Long enough
 * that what several tasks leave adds up, and that a preempted one is gone; no longer than anybody likes to wait for a machine with room.
 */
#define HOLD_NS (15 * NSEC_PER_SEC)
#define WINDOW_MARGIN_NS                                                                                     \
        (3600 * NSEC_PER_SEC) /* a task of unknown duration is not placed this long before a maintenance */
#define FAILED_MAX 8
#define NO_HOST UINT32_MAX

struct job;
struct run;
struct place;

/* A run of waiting indexes [begin, end). */
struct span {
        uint32_t begin, end;
};
struct delayed {
        uint32_t begin, end;
        uint64_t until_ns;
};

struct user {
        char *name;
        double usage; /* core-seconds, decayed to usage_at */
        uint64_t usage_at_ns;
        uint64_t milli_cpus; /* booked for tasks that run now */
        size_t running, jobs;
        uint64_t waiting;
        struct tree order; /* policy fair: its jobs that could run */
        size_t heap_index;
        UT_hash_handle hh;
};

/* Jobs of one name and user, of which runs are alike. */
struct run_name {
        char *key;        /* user, line feed, name */
        const char *name; /* within key */
        struct user *user;
        uint64_t expected_ns; /* of one run by the estimates; 0: not known */
        struct job *jobs;     /* those that declare no duration: their place depends on it */
        struct job *rekey;    /* from here on their keys are those of before */
        bool stale;           /* in the list of those that have a rekey */
        size_t references;
        struct run_name *stale_prev, *stale_next;
        UT_hash_handle hh;
};

/* The constraints of jobs, shared by those that have the same. */
struct constraint_set {
        char *key; /* one a line; "" for none */
        struct constraint *constraints;
        size_t count;
        size_t references;
        bool distinct;       /* one of them is between tasks */
        bool volumes;        /* one of them is a volume, which only one task uses at a time */
        uint64_t generation; /* of the hosts, for which the rest holds */
        uint8_t *holds;      /* by host; NULL: no constraints, all of them */
        uint32_t *hosts;     /* for which it holds */
        size_t host_count;
        uint64_t failed_pass; /* sizes for which there is no place in this pass: */
        struct quantities failed[FAILED_MAX];
        size_t failed_count;
        UT_hash_handle hh;
};

/* What jobs ask of a machine for one task; shared by those that ask the same. */
struct shape_key {
        struct quantities need;
        struct constraint_set *set;
};
struct shape {
        struct shape_key key;
        struct resources size; /* as one of the jobs said it */
        size_t references;
        uint64_t checked;   /* generation of the hosts for which `possible` holds */
        bool possible;      /* some machine could hold it when idle */
        struct job *parked; /* jobs that wait and are not in the order as it is not possible */
        struct shape *next_parked, *prev_parked;
        UT_hash_handle hh;
};

struct order_node {
        struct tree_node node;
        uint64_t key;    /* lower goes first */
        uint64_t number; /* then this */
};

enum job_where { JOB_NOWHERE, JOB_ORDERED, JOB_PARKED };

struct job {
        struct queue_job spec; /* its strings, size and constraints are shared; `after` is its own */
        struct shape *shape;
        struct run_name *name;
        struct order_node order;
        struct order_node wake; /* key: when time alone changes something for it */
        struct span *spans; /* that wait and may start; sorted, disjoint: ten thousand tasks are one span */
        struct delayed *delayed; /* that back off; by time */
        uint32_t span_count, span_capacity, delayed_count, delayed_capacity;
        uint32_t ready, waiting; /* tasks in spans; and with those in delayed */
        uint32_t active;         /* that run, are launched or suspended */
        uint32_t unsatisfied;
        uint32_t preempting; /* tasks for which somebody is giving way */
        struct place *preempt_place;
        uint64_t gang_checked; /* generation of the hosts for which gang_possible holds */
        bool gang_possible;    /* all machines together could hold all its tasks */
        uint64_t since_ns;     /* it could have run since; 0: it could not */
        enum job_where where;
        bool aged, expired, started, in_wake;
        struct run *runs;
        struct job *name_prev, *name_next, *parked_prev, *parked_next;
        UT_hash_handle hh;
};

struct run_key {
        struct job *job;
        uint64_t index;
};
enum run_state { RUN_ACTIVE, RUN_SUSPENDED };
struct run {
        struct run_key key;
        enum run_state state;
        struct place *place;
        struct resources resources; /* when it runs */
        struct resources missing;   /* suspended: of that, what is not booked */
        struct quantities held;     /* what it has now */
        struct quantities need;     /* suspended: what it needs to go on */
        uint64_t started_ns, ran_ns, cpu_ns, suspended_ns;
        uint64_t end_ns; /* expected; TIME_NEVER: not known */
        uint32_t preemptions;
        uint32_t at;     /* in place->runs */
        bool giving_way; /* it was asked to be suspended or requeued, for for_job */
        bool covers;     /* for_job waits for this one, and maybe others, with one task */
        bool resuming;   /* it was decided, and its owner has not said that it was done */
        bool aged;       /* its job was when it started */
        uint64_t for_job;
        struct run *job_prev, *job_next, *suspended_prev, *suspended_next;
        UT_hash_handle hh;
};

struct offer {
        uint64_t number;
        struct place *place;
        struct resources resources;
        struct offer *place_prev, *place_next;
        UT_hash_handle hh;
};

/* A machine on which this queue has an offer or a run. It stays as long as the machine or these. */
struct place {
        char *id;
        uint64_t serial;
        uint32_t host;         /* index in queue.hosts; NO_HOST: not known, or not usable */
        struct offer *offers;  /* those used, at most QUEUE_MERGED_MAX + 1 */
        struct offer *surplus; /* more of them */
        size_t offer_count;
        struct resources free; /* of all offers together, less what this pass has given away */
        struct quantities free_amounts;
        struct tree_node node;  /* by free amounts */
        struct quantities most; /* over its subtree, in each dimension */
        bool in_tree, used;     /* used: a decision of this pass names it */
        bool known;             /* last_free says what was free when an offer was given back */
        struct quantities last_free;
        struct run **runs; /* by expected end */
        uint32_t run_count, run_capacity, suspended;
        struct quantities held;       /* by runs */
        struct reservation *reserved; /* of this pass */
        struct quantities planned;    /* freed by victims of the plan that is being made */
        bool in_plan;
        UT_hash_handle hh;
};

struct host {
        const struct machine *machine;
        struct quantities total;
        struct place *place; /* NULL */
};

/* The values of an attribute, numbered: which machines count as one for SPREAD and DISTINCT. */
struct domain {
        char *attribute;
        uint64_t generation;
        uint32_t *values; /* by host; 0: it has none */
        uint32_t value_count;
        UT_hash_handle hh;
};

/* What is kept on one machine for one task or more of a job. */
struct reservation {
        uint64_t job;
        struct run *run; /* kept for a suspended task to go on; NULL: for new ones */
        struct place *place;
        uint64_t at_ns;           /* when all it needs is expected to be free; TIME_NEVER: not known */
        struct quantities extra;  /* will be free then and is not needed */
        struct reservation *next; /* of the same place */
};

struct queue {
        struct queue_config config;
        const struct machines *machines;
        struct estimates *estimates;
        struct quantity_names names;
        struct wall_time now; /* the last time that it was told */

        struct job *jobs;            /* k: number -> v: struct job, owned */
        struct run *runs;            /* k: job, index -> v: struct run, owned */
        struct offer *offers;        /* k: number -> v: struct offer, owned */
        struct place *places;        /* k: agent id -> v: struct place, owned */
        struct user *users;          /* k: name -> v: struct user, owned */
        struct run_name *run_names;  /* k: user, name -> v: struct run_name, owned */
        struct constraint_set *sets; /* k: text -> v: struct constraint_set, owned */
        struct shape *shapes;        /* k: need, set -> v: struct shape, owned */
        struct domain *domains;      /* k: attribute -> v: struct domain, owned */
        struct run *suspended;       /* list */
        struct run_name *stale;      /* list */
        struct shape *parked;        /* shapes that have parked jobs: list */
        struct tree aged, ordered;   /* jobs that could run; policy fair: the latter are in their users' */
        struct tree wake;            /* jobs, by when time alone changes something */
        struct tree free_places;     /* places with offers, by what is free */
        struct host *hosts;          /* usable machines */
        size_t host_count;
        uint32_t *host_by_index; /* k: machine.index -> v: index in hosts, or NO_HOST */
        size_t index_count;
        uint64_t machines_generation; /* of the table of machines, when they were read */
        uint64_t generation;          /* of hosts: raised when they are read anew */
        struct queue_limit *limits;   /* owned */
        size_t limit_count;
        uint64_t serial;  /* of places so far */
        uint64_t waiting; /* tasks */
        size_t jobs_waiting, jobs_ordered;

        uint64_t pass; /* number of passes */
        size_t visits, matches, preemptors, victims_looked;
        size_t preempt_from;               /* the host at which the next look for victims begins */
        struct reservation **reservations; /* of the last pass, the head's first */
        size_t reservation_count, reservation_capacity;
        uint64_t head;          /* the first job in order that found no place; 0: none */
        uint64_t look_again_ns; /* when a running one may be preempted that may not now; TIME_NEVER */
        /* On all machines at the same times, as a gang needs what is held on several of them. */
        uint64_t hold_ends_ns, hold_again_ns; /* offers are held before the one, and from the other on */
        bool holds;                           /* the last pass left offers that are held for somebody */
        struct queue_decisions *decisions;
};

/* ---- queue.c ---- */
struct job *queue_job_find(const struct queue *q, uint64_t number);
/* Puts the job where its state belongs. After every change of it. */
void queue_job_changed(struct queue *q, struct job *j);
uint32_t queue_job_takes(const struct job *j); /* how many of its tasks may start now */
bool queue_job_is_gang(const struct job *j);   /* all of them together */
uint32_t queue_job_take_first(struct queue *q, struct job *j);
bool queue_job_unwait(struct queue *q, struct job *j, uint32_t index);
void queue_job_end_delays(struct queue *q, struct job *j);
uint64_t queue_job_duration(const struct job *j); /* expected, of one task; 0: not known */
struct job *queue_add(struct queue *q, const struct queue_job *job, int *ret_error);
void queue_drop(struct queue *q, struct job *j);

/* ---- queue_order.c ---- */
void order_init(struct queue *q);
uint64_t order_key(const struct queue *q, const struct job *j);
void order_insert(struct queue *q, struct job *j);
void order_remove(struct queue *q, struct job *j);
size_t order_rank(const struct queue *q, const struct job *j, uint64_t now_ns); /* how many go before it */
void wake_update(struct queue *q, struct job *j);
/* What has become due; false when there is more of it than one pass does. */
bool order_due(struct queue *q, uint64_t now_ns);
bool order_before(const struct queue *q, const struct job *a, const struct job *b);
/* Would it by the policy alone, whoever has aged? */
bool order_policy_prefers(const struct queue *q, const struct job *j, const struct run *r, uint64_t now_ns);
/* Does a job that waits go before this run by the policy? */
bool order_goes_before(const struct queue *q, const struct job *j, const struct run *r, uint64_t now_ns);
double user_usage(const struct queue *q, const struct user *u, uint64_t now_ns);
void user_advance(const struct queue *q, struct user *u, uint64_t now_ns);
struct user *user_get(struct queue *q, const char *name);
void user_release(struct queue *q, struct user *u); /* one of its jobs is gone */
struct run_name *run_name_get(struct queue *q, struct user *u, const char *name);
struct run_name *run_name_unref(struct queue *q, struct run_name *n);
void run_name_learn(struct queue *q, struct run_name *n);

/* Walks the jobs in order while it may change. */
struct cursor {
        struct queue *q;
        uint64_t now_ns;
        bool aged_done;
        struct order_node last; /* everything up to this was walked over; number 0: nothing yet */
        struct cursor_user {
                struct user *user;
                double usage;
                struct order_node last;
        } * users; /* policy fair: a heap, the one with the least usage on top */
        size_t user_count;
};
void cursor_start(struct cursor *c, struct queue *q, uint64_t now_ns);
struct job *cursor_job(struct cursor *c); /* NULL: no more. The same until it is passed or leaves the order */
void cursor_pass(struct cursor *c, const struct job *j);
void cursor_charge(struct cursor *c, const struct job *j); /* one of its tasks was launched */
void cursor_done(struct cursor *c);

/* ---- queue_runs.c ---- */
struct run *run_find(const struct queue *q, struct job *j, uint32_t index);
struct run *run_new(struct queue *q, struct job *j, uint32_t index, struct place *p,
        const struct resources *resources, uint64_t started_ns);
void run_free(struct queue *q, struct run *r);
void run_resume(struct queue *q, struct run *r, uint64_t now_ns);
void run_stop_giving_way(struct queue *q, struct run *r);
uint64_t run_active_ns(const struct run *r, uint64_t now_ns); /* without the time in which it was suspended */
uint64_t run_remaining_ns(
        const struct queue *q, const struct run *r, uint64_t now_ns); /* TIME_NEVER: not known */
/* Runs that have lasted longer than expected get a new expectation. */
void place_refresh_ends(struct queue *q, struct place *p, uint64_t now_ns);

/* ---- queue_places.c ---- */
void places_init(struct queue *q);
void hosts_refresh(struct queue *q); /* when the machines have changed */
void hosts_done(struct queue *q);
void names_changed(struct queue *q); /* vectors have a further place: they are computed anew */
struct place *place_get(struct queue *q, const char *agent);
struct host *place_host(const struct queue *q, const struct place *p); /* NULL */
void place_free_changed(struct queue *q, struct place *p, const struct quantities *now);
void place_free(struct queue *q, struct place *p);
void held_offer_free(struct queue *q, struct offer *o);
struct shape *shape_get(struct queue *q, const struct queue_job *job, const struct quantities *need);
void shape_unref(struct queue *q, struct shape *s);
/* Could a machine hold it when idle? Looks at all of them when these have changed. hosts_refresh() goes before. */
bool shape_possible(struct queue *q, struct shape *s);
void set_refresh(struct queue *q, struct constraint_set *set);
static inline bool set_holds(const struct constraint_set *set, uint32_t host)
{
        return !set->holds || set->holds[host];
}
const struct domain *domain_get(struct queue *q, const char *attribute);
/*
 * The first volume that a task of this set cannot have there now: it is not among what is offered, or a task of this queue has it
 * (ret_user, else NULL there). NULL: all are here, or nothing is offered, and then nobody knows.
 */
const struct constraint *place_lacks_volume(
        const struct place *p, const struct constraint_set *set, const struct run **ret_user);
bool place_has_volumes(const struct place *p, const struct constraint_set *set);
/* Moves the volumes of the set from what is free there to `to`. They are there. */
void place_take_volumes(struct place *p, const struct constraint_set *set, struct resources *to);
/* Is there a machine where a task of this set could have all its volumes, as far as is known? hosts_refresh() goes before. */
bool volumes_somewhere(struct queue *q, struct constraint_set *set);

bool gang_possible(struct queue *q, struct job *j);
/* How many such tasks the role may have at once, at most `max`; *ret_limit: what allows no more, or NULL. */
uint64_t limits_times(const struct queue *q, const struct quantities *need, uint64_t max,
        const struct queue_limit **ret_limit);

/* ---- queue_search.c ---- */
/* How many tasks a job has on machines that count as one. */
struct tally {
        const struct domain *domain; /* NULL: each machine for itself */
        uint32_t *counts;            /* by value */
        bool distinct;
};
struct search {
        struct queue *q;
        struct job *job;
        uint64_t now_ns, end_ns; /* expected end when it starts now; TIME_NEVER: not known */
        struct tally *tallies;   /* the spread's first, if any */
        size_t tally_count;
        bool tallied;
        bool by_time;    /* some place was refused for a reason that another job of this size need not meet */
        uint32_t fewest; /* spread: no machine has fewer than this */
        struct place *best;
        uint64_t best_score;
        size_t candidates;
};
void search_start(struct search *s, struct queue *q, struct job *j, uint64_t now_ns);
struct place *search_place(struct search *s); /* NULL: there is none now */
void search_count(
        struct search *s, const struct place *p, int change); /* a task of the job more or less there */
void search_done(struct search *s);
/* Is the value of a distinct attribute on this host not yet taken by a task of the job? */
bool search_distinct(struct search *s, uint32_t host);
bool window_allows(const struct machine *m, uint64_t now_ns, uint64_t end_ns);

/* ---- queue_reserve.c ---- */
void reservations_clear(struct queue *q);
bool reservations_allow(const struct place *p, const struct quantities *need, uint64_t end_ns);
void reservations_charge(struct place *p, const struct quantities *need, uint64_t end_ns);
void reservations_refund(struct place *p, const struct quantities *need, uint64_t end_ns);
/* When is `need` free on this machine? *ret_extra: what is free then beyond it. TIME_NEVER: not known. */
uint64_t place_free_at(struct queue *q, struct place *p, const struct quantities *need, uint64_t now_ns,
        struct quantities *ret_extra);
/* Keeps what one task of the job needs (a gang: all), where it is free first. Returns when; TIME_NEVER: not known. */
uint64_t reserve_for_job(struct search *s);
uint64_t earliest_start(struct search *s); /* the same without keeping anything */
uint64_t reserve_for_run(struct queue *q, struct run *r, uint64_t now_ns);
void reserve_on(struct queue *q, struct place *p, uint64_t job, struct run *r, uint64_t at_ns,
        const struct quantities *extra);

/* ---- queue_preempt.c ---- */
bool preempt_looks(
        const struct queue *q); /* may anybody be preempted, and has this pass not looked often enough? */
/* Makes room for tasks of the job, which would start at start_ns otherwise. True: somebody gives way. */
bool preempt_for(struct search *s, uint64_t start_ns);
struct victims {
        struct victim {
                struct run *run;
                enum queue_decision_kind how;
                bool first; /* of those for one task */
        } * items;
        size_t count, capacity;
};
/* Who would. The caller frees items. */
void preempt_plan(struct search *s, uint64_t start_ns, uint32_t tasks, struct victims *ret);

/* ---- queue_pass.c ---- */
struct queue_decision *decision_add(
        struct queue *q, enum queue_decision_kind kind, uint64_t job, uint32_t index);

/* ---- queue_forecast.c ---- */
/* When the first task of the job starts if those before it start in order. TIME_NEVER: cannot be told. */
uint64_t forecast_start(struct queue *q, const struct job *j, uint64_t now_ns);
