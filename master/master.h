/*
 * The master: registry of agents, allocator, job queue and Mete's API in one process on one loop. The daemon owns it.
 * Loop thread only.
 */
#pragma once

#include "lib/base/error.h"
#include "lib/loop/loop.h"

struct master;

struct master_options {
        char *address;           /* numeric */
        uint64_t port;           /* 0: any */
        char *hostname;          /* that clients are told; NULL: the address */
        char *domain;            /* "region/zone"; NULL: none */
        char *work_dir;          /* holds the store */
        char *store;             /* URL; NULL: sqlite:<work_dir>/store.db */
        char *election;          /* "standalone" */
        uint64_t history_jobs;   /* ended jobs that are kept at most */
        uint64_t history_age_ns; /* and for how long; 0: for ever */
        char *policy;            /* of the queue: "fifo" */
        uint64_t agent_ping_timeout_ns;
        uint64_t max_agent_ping_timeouts;
        uint64_t agent_reregister_timeout_ns;
        uint64_t usage_interval_ns;
        uint64_t offer_timeout_ns;      /* 0: none */
        uint64_t heartbeat_interval_ns; /* on the streams of frameworks */
        char *credentials;              /* file of principals and secrets; NULL: none */
        bool authenticate_frameworks;
        bool insecure;
        bool verbose;
        bool version; /* print it and exit */
};
void master_options_init(struct master_options *o);
/* -EINVAL with a sentence for what does not go together. */
int master_options_check(const struct master_options *o, struct error *e) WARN_UNUSED;

/* Opens the store, recovers jobs and agents, persists the new epoch, listens. Borrows the options. */
int master_new(
        struct loop *l, const struct master_options *o, struct master **ret, struct error *e) WARN_UNUSED;
struct master *master_free(struct master *m);
DEFINE_CLEANUP(struct master, master_free)
uint16_t master_port(const struct master *m);
/* Why it stopped its loop by itself; NULL when it did not. */
const char *master_failure(const struct master *m);
