/*
 * What became of jobs that ended: their records stay in the store, bounded by number and by age, and only there; memory holds the most
 * recent ones for other reasons. A record is written in the batch that ends its job. Reading goes piece by piece through store_read(),
 * so it holds up neither the loop nor the writes. Owned by the master; loop thread only.
 *
 * Keys: "history/<number>" the job without its tasks, "history_tasks/<number>" these, "ended/<milliseconds since 1970>/<number>" nothing: the
 * order in which they go.
 */
#pragma once

#include "master/jobs/jobs.h"

struct history;
struct history *history_new(struct master *m);
struct history *history_free(struct history *h);
/* Counts what is there. After the jobs are recovered. */
int history_recover(struct history *h, struct error *e) WARN_UNUSED;
void history_start(struct history *h);

/* It ended, or what is known of its end has changed. */
void history_job_ended(struct job *j, struct store_batch *b);
/* A task that was lost came back. */
void history_job_revived(struct job *j, struct store_batch *b);
size_t history_count(const struct history *h);

/* ---- history_query.c ---- */
#define HISTORY_QUERIES_MAX 64 /* at a time */

struct history_query {
        uint64_t
                resolve; /* number of a job whose user and name are asked for, with those that are set; 0: none */
        char *user, *name;         /* owned; NULL: any */
        Mete__Api__JobState state; /* JOB_UNKNOWN: any */
        double since, until;       /* when it ended; 0: any time */
        uint64_t before;           /* number: earlier ones; 0: all */
        bool tasks;                /* with their tasks */
        /*
         * For each that is asked for, newest first; takes the message. Runs off the loop: touches nothing but userdata. Returns 1 to end: it
         * has enough.
         */
        int (*take)(Mete__Checkpoint__StoredHistory *record, void *userdata);
        /* On the loop. result: 0, -ENOENT (`resolve` is not there), or what the store says. */
        void (*done)(int result, void *userdata);
        void *userdata;
};
/* Takes what the query owns. -EBUSY: too many are under way; then nothing fires. */
int history_query(struct history *h, struct history_query *q) WARN_UNUSED;
