/*
 * POST /api/v1/scheduler. scheduler.c checks a call in the order that clients observe (reference: the table at its top), finds the
 * framework and hands over; the handlers below act. Unless a handler answers itself (and sets `answered`), the call is answered 202: what
 * is wrong with it beyond its form surfaces as events, or not at all. Loop thread.
 */
#pragma once

#include "master/api/api.h"
#include "master/frameworks/frameworks.h"

#define SCHEDULER_BODY_MAX (16u << 20)

struct scheduler_call {
        struct master *master;
        struct http_request *req;
        enum codec codec; /* of the call */
        /*
         * The sub-message of its type is there. Ids are those that id_validate() takes in SUBSCRIBE, KILL, SHUTDOWN, MESSAGE and
         * UPDATE_FRAMEWORK. Elsewhere they are as the client wrote them: fit for looking up; what is launched must be checked.
         */
        const Mete__V1__Scheduler__Call *call;
        struct framework *framework; /* connected; NULL for SUBSCRIBE */
        struct peer peer;            /* of a SUBSCRIBE; later calls are known by their stream */
        const char *principal;       /* proved; NULL: frameworks do not authenticate */
        bool answered;
};

/* ---- scheduler_subscribe.c ---- */
void scheduler_subscribe(struct scheduler_call *c);
void scheduler_update_framework(struct scheduler_call *c);
void scheduler_teardown(struct scheduler_call *c);
/* ---- scheduler_offers.c ---- */
void scheduler_accept(struct scheduler_call *c);
void scheduler_decline(struct scheduler_call *c);
void scheduler_accept_inverse_offers(struct scheduler_call *c);
void scheduler_decline_inverse_offers(struct scheduler_call *c);
void scheduler_revive(struct scheduler_call *c);
void scheduler_suppress(struct scheduler_call *c);
void scheduler_request(struct scheduler_call *c);
/* How long a refusal lasts; 0: it is none. NULL and what is no time: 5 s. */
uint64_t scheduler_refuse_ns(const Mete__V1__Filters *f);
/* ---- scheduler_tasks.c ---- */
void scheduler_kill(struct scheduler_call *c);
void scheduler_shutdown(struct scheduler_call *c);
void scheduler_acknowledge(struct scheduler_call *c);
void scheduler_acknowledge_operation_status(struct scheduler_call *c);
void scheduler_reconcile(struct scheduler_call *c);
void scheduler_reconcile_operations(struct scheduler_call *c);
void scheduler_message(struct scheduler_call *c);
