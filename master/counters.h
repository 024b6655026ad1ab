/*
 * What happened since this master started. Whoever does a thing counts it where it is done; /metrics/snapshot (api/read/) only reads.
 * Arrays are indexed by the numbers of the enums named beside them. Loop thread.
 */
#pragma once

#include <stdint.h>

#include "lib/base/samples.h"
#include "proto/mesos.pb-c.h"

#define COUNTED_TYPES 32 /* above every type of call, event and operation */
#define COUNTED_STATES 14
#define COUNTED_SOURCES 3
#define COUNTED_REASONS 35

struct framework;
struct master;

struct framework_counters {
        uint64_t calls[COUNTED_TYPES];      /* scheduler Call.Type: accepted for processing */
        uint64_t events[COUNTED_TYPES];     /* scheduler Event.Type: sent */
        uint64_t operations[COUNTED_TYPES]; /* Offer.Operation.Type: of ACCEPT calls */
        uint64_t offers_sent, offers_accepted, offers_declined, offers_rescinded;
        uint64_t tasks_ended[COUNTED_STATES]; /* TaskState, terminal ones */
        uint64_t tasks_in[COUNTED_STATES];    /* TaskState: in the table of tasks now, in this state */
};

struct master_counters {
        struct framework_counters all; /* of all frameworks, those that are gone included */
        uint64_t ended_by_reason[COUNTED_STATES][COUNTED_SOURCES][COUNTED_REASONS];
        uint64_t valid_status_updates,
                invalid_status_updates; /* invalid: of an unknown agent, task or framework */
        uint64_t valid_acknowledgements, invalid_acknowledgements;
        uint64_t messages_to_executor, invalid_messages_to_executor;
        uint64_t messages_to_framework, invalid_messages_to_framework;
        uint64_t dropped_messages; /* for a framework or an agent that is not connected */
        uint64_t framework_resubscriptions;
        uint64_t agent_calls[COUNTED_TYPES]; /* agent Call.Type */
        uint64_t agent_registrations, agent_reregistrations;
        uint64_t agent_removals, agent_removals_unhealthy, agent_removals_unregistered,
                agent_removals_registered;
        uint64_t agents_made_unreachable;
        struct samples allocation_run;         /* a look at the allocator until it has no more offers */
        struct samples allocation_run_latency; /* from asking for one to its begin */
        struct samples store_write;            /* until the answer */
        uint64_t store_fetch_ns;               /* reading it all at the start */
        uint64_t writes_pending;
};

/* The framework's and the master's at once. f may be NULL where it is not known yet. */
void count_call(struct master *m, struct framework *f, uint32_t type);
void count_event(struct framework *f, uint32_t type);
void count_operation(struct framework *f, uint32_t type);
void count_offers_sent(struct framework *f, uint64_t n);
void count_offers_accepted(struct framework *f, uint64_t n);
void count_offers_declined(struct framework *f, uint64_t n);
void count_offers_rescinded(struct framework *f, uint64_t n);
/* Of a task in the table; each also with COUNTED_NOWHERE, for one that comes or goes. */
#define COUNTED_NOWHERE ((Mete__V1__TaskState)COUNTED_STATES)
void count_task_moved(struct framework *f, Mete__V1__TaskState from, Mete__V1__TaskState to);
/* A terminal state, once for each task that ended or was refused; others are ignored. */
void count_task_ended(struct framework *f, const Mete__V1__TaskStatus *status);
