/* The questions that several verbs ask the master, each one call. Answers are owned by the caller: message_free(). */
#pragma once

#include "tools/mete/verb.h"

int query_client(const struct common_options *o, struct mete_client **ret, struct error *e) WARN_UNUSED;
/* One call on a connection of its own. */
int query_once(const struct common_options *o, const Mete__Api__Call *call, Mete__Api__Response **ret,
        struct error *e) WARN_UNUSED;
/* Those that are known; with a name, that one alone: -ENOENT when there is none. */
int query_roles(const struct common_options *o, const char *name, Mete__Api__Response **ret,
        struct error *e) WARN_UNUSED;
/* job_id may be NULL. */
int query_tasks(struct mete_client *c, bool all, const char *job_id, Mete__Api__Response **ret,
        struct error *e) WARN_UNUSED;
int query_task(
        struct mete_client *c, const char *task_id, Mete__Api__Response **ret, struct error *e) WARN_UNUSED;
int query_jobs(struct mete_client *c, bool all, Mete__Api__Response **ret, struct error *e) WARN_UNUSED;
int query_job(
        struct mete_client *c, const char *job_id, Mete__Api__Response **ret, struct error *e) WARN_UNUSED;
/* As if the job were submitted: the explanation, or the refusal. */
int query_plan(struct mete_client *c, Mete__Api__JobSpec *spec, Mete__Api__Response **ret,
        struct error *e) WARN_UNUSED;
int query_agents(struct mete_client *c, Mete__Api__Response **ret, struct error *e) WARN_UNUSED;
int query_version(struct mete_client *c, Mete__Api__Response **ret, struct error *e) WARN_UNUSED;
/* A task is over: it will not change any more. */
bool task_is_over(const Mete__Api__Task *t);
