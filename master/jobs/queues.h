/*
 * The named job queues of a master: each is a struct queue with its configuration, and takes offers of one role. What they know of
 * machines and of earlier runs is shared. "default" is always there. Owned by struct jobs; loop thread only.
 */
#pragma once

#include "master/core.h"
#include "master/queue/queue.h"

#define QUEUE_DEFAULT "default"
#define QUEUES_MAX 1000

struct job_queue {
        struct job_queues *all;
        char *name;
        char *role; /* of which it takes offers: one queue a role */
        struct queue *queue;
        size_t live_jobs;
        size_t tasks_running, tasks_suspended; /* of the first, those that are frozen */
        bool due;                              /* a pass over it was asked for */
        bool wanted;                           /* it is offered resources: its role is not suppressed */
        bool freed;                            /* a task ended: what it had is offered in a moment */
        bool waited;                           /* the last pass was put off for what is being offered */
        bool revive;                           /* something waits that what was declined before may hold */
        UT_hash_handle hh;
};

struct job_queues {
        struct master *master;
        struct machines *machines;
        struct estimates *estimates;
        struct job_queue
                *by_name; /* k: name -> v: struct job_queue, owned; in the order in which they were made */
};

struct job_queues *job_queues_new(struct master *m, enum queue_policy default_policy);
struct job_queues *job_queues_free(struct job_queues *qs);
struct job_queue *job_queue_find(const struct job_queues *qs, const char *name);
struct job_queue *job_queue_of_role(const struct job_queues *qs, const char *role);

/* A name as it may be given: 1 to 63 of a-z A-Z 0-9 . _ - */
bool job_queue_name_legal(const char *name);
/*
 * What SET_QUEUE asks for, checked against the queues that are there. -EINVAL with a sentence that names the field; *ret_field is a
 * literal. Unset fields have their defaults.
 */
int job_queue_check(const struct job_queues *qs, const Mete__Api__Queue *asked,
        struct queue_config *ret_config, char **ret_role, const char **ret_field,
        struct error *e) WARN_UNUSED;
/* Makes it, or changes it: checked before. Into the batch too. */
struct job_queue *job_queue_set(struct job_queues *qs, const char *name, const char *role,
        const struct queue_config *config, struct store_batch *b);
/* What quotas allow its role: after they changed. */
void job_queue_refresh_limits(struct job_queue *jq);
void job_queue_remove(struct job_queue *jq, struct store_batch *b);
/* From the store; before the jobs are. */
int job_queues_recover(struct job_queues *qs, struct error *e) WARN_UNUSED;
/* The roles of all queues are those of the framework: after it was made, and after changes. */
void job_queues_set_roles(struct job_queues *qs);

/* As the API shows it. job_queue_view_done() frees what is in it. */
void job_queue_view(const struct job_queue *jq, Mete__Api__Queue *ret);
void job_queue_view_done(Mete__Api__Queue *view);
