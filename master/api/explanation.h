/*
 * The answer to EXPLAIN and PLAN. The queue knows its order and the machines (explain_calls.c); what only the allocator knows is asked
 * there (explain_allocator.c): a quota that the role has reached, guarantees and reservations of others, a role that goes before it.
 */
#pragma once

#include "master/api/api.h"

/* The answer with what it points to. */
struct explanation {
        Mete__Api__Explanation view;
        struct queue_explanation x;
        Mete__Api__Factor factors[QUEUE_FACTORS_MAX], *factor_list[QUEUE_FACTORS_MAX];
        Mete__Api__Explanation__Victim victims[QUEUE_VICTIMS_MAX], *victim_list[QUEUE_VICTIMS_MAX];
        char victim_ids[QUEUE_VICTIMS_MAX][TASK_ID_MAX];
        char blocking_job[JOB_ID_MAX];
        char *sentence, *limiting_role; /* owned */
        char *warnings[1];
};

/* A queue sees what it uses itself. What it was not offered may have gone to others: then it is that which is missing. */
void explanation_see_others(const struct master *m, const struct job_queue *jq, const struct queue_job *job,
        struct queue_explanation *x);
/* After the rest is filled in. */
void explanation_ask_allocator(struct explanation *e, const struct master *m, const struct job_queue *jq,
        const struct queue_job *job);
