/*
 * The master's HTTP side: routes, calls of Mete's own API, the agents' endpoint, who the peer is, and those who listen or wait.
 * Owned by the master; loop thread only.
 */
#pragma once

#include "master/core.h"
#include "master/jobs/jobs.h"
#include "master/spec/job_spec.h"

#define API_BODY_MAX (4u << 20)
#define API_RECORD_TASKS_MAX 10000 /* tasks in one record or answer */

/* Who is at the other end of a connection. */
struct peer {
        bool known;
        uid_t uid;
        char name[64]; /* of the uid on this host, or the number */
};

struct api_call {
        struct master *master;
        struct http_request *req;
        enum codec codec; /* of the answer */
        const Mete__Api__Call *call;
        struct peer peer;
};

/* ---- http.c ---- */
void api_add_routes(struct master *m);
void api_stop(struct master *m);
void api_respond(struct http_request *req, enum codec codec, int status, const ProtobufCMessage *message);
void api_refuse(struct http_request *req, enum codec codec, int status, const char *field, const char *fmt,
        ...) PRINTF_LIKE(5, 6);
void api_refuse_with(struct http_request *req, enum codec codec, const struct api_error *x);

/* ---- identity.c ---- */
/* -EACCES with a refusal for a peer that nothing is known about, unless --insecure: then it is root. */
int peer_identify(const struct master *m, const struct http_request *req, struct peer *ret,
        struct api_error *x) WARN_UNUSED;
/* The user that the job's tasks run as: checks what is asked for, fills in what is not. */
int peer_take_user(const struct peer *p, Mete__Api__JobSpec *spec, struct api_error *x) WARN_UNUSED;
gid_t peer_gid(const struct peer *p); /* by its number; 65534 when it has none */
bool peer_owns(const struct peer *p, const struct job *j);

/* ---- job_capacity.c ---- */
/* Refuses what no registered agent could hold. */
int job_spec_check_capacity(
        const Mete__Api__JobSpec *spec, const struct machines *ms, struct api_error *x) WARN_UNUSED;

/* ---- job_admission.c ---- */
/* All checks of SUBMIT. Completes the spec; names of jobs that it waits for become ids. */
int job_spec_admit(struct api_call *c, Mete__Api__JobSpec *spec, struct api_error *x) WARN_UNUSED;

/* ---- explain_calls.c ---- */
void call_explain(struct api_call *c);
void call_plan(struct api_call *c);

/* ---- job_calls.c ---- */
void call_submit(struct api_call *c);
void call_kill(struct api_call *c);
void call_suspend(struct api_call *c);
void call_resume(struct api_call *c);
/* ---- queue_calls.c ---- */
void call_list_queues(struct api_call *c);
void call_set_queue(struct api_call *c);
void call_remove_queue(struct api_call *c);
/* ---- read_calls.c ---- */
void call_list_jobs(struct api_call *c);
void call_get_job(struct api_call *c);
void call_list_tasks(struct api_call *c);
void call_get_task(struct api_call *c);
void call_list_agents(struct api_call *c);
void call_get_version(struct api_call *c);
/* Refuses when there is no such job. */
struct job *call_find_job(struct api_call *c, const char *id, const char *field);
void respond_job(struct http_request *req, enum codec codec, const struct peer *p,
        Mete__Api__Response__Type type, const struct job *j, bool timed_out);

/* ---- agent_admin_calls.c ---- */
/* False when the caller is not root: refused then. what: "drain an agent". */
bool call_needs_root(struct api_call *c, const char *what);
/* By id, or by a host name that only one has. NULL: refused. */
struct agent *call_find_agent(struct api_call *c, const char *id_or_hostname, const char *field);
void call_mark_agent_gone(struct api_call *c);
void call_drain_agent(struct api_call *c);
void call_deactivate_agent(struct api_call *c);
void call_reactivate_agent(struct api_call *c);

/* ---- role_calls.c ---- */
void call_list_roles(struct api_call *c);
void call_set_quota(struct api_call *c);
void call_set_weight(struct api_call *c);

/* ---- resource_calls.c ---- */
void call_reserve(struct api_call *c);
void call_unreserve(struct api_call *c);
void call_create_volume(struct api_call *c);
void call_destroy_volume(struct api_call *c);
void call_resize_volume(struct api_call *c);
void call_list_volumes(struct api_call *c);

/* ---- operator_calls.c ---- */
void call_list_maintenance(struct api_call *c);
void call_schedule_maintenance(struct api_call *c);
void call_cancel_maintenance(struct api_call *c);

/* ---- history_calls.c, job_stats.c ---- */
void call_history(struct api_call *c);
void call_job_stats(struct api_call *c);

/* ---- wait.c ---- */
void call_wait(struct api_call *c);
void waiters_stop(struct master *m);

/* ---- subscribers.c ---- */
struct subscribers *subscribers_new(struct master *m);
struct subscribers *subscribers_free(struct subscribers *s);
void call_subscribe(struct api_call *c);
size_t subscribers_count(const struct subscribers *s);

/* ---- scheduler.c ---- */
void scheduler_endpoint(struct http_request *req, void *userdata);

/* ---- agent_calls.c ---- */
void agent_endpoint(struct http_request *req, void *userdata);
