/*
 * The agent's read side as the tools of Mesos know it: /state, /flags, /version, /monitor/statistics, /containers, /metrics/snapshot, with their
 * vocabulary ("slave"). Whoever is known on this machine may read it: it has no environments and no output. Tasks may not. Nothing here
 * changes anything. Loop thread.
 */
#pragma once

#include "agent/api/api_internal.h"
#include "agent/task.h"
#include "proto/read_json.h"

struct read_call {
        struct agent *agent;
        struct http_request *http;
        struct buffer out; /* the answer: one JSON document */
};

void api_read_routes(struct agent_api *api);

/* ---- handlers, one for each path ---- */
void api_read_state(struct read_call *c);
void api_read_flags(struct read_call *c);
void api_read_version(struct read_call *c);
void api_read_statistics(struct read_call *c);
void api_read_containers(struct read_call *c);
void api_read_metrics(struct read_call *c);

/* ---- read_json.c: parts of documents ---- */
void read_json_task(struct buffer *out, const struct agent_task *t);

/* ---- what a container is to a reader: a command task is its own executor ---- */
const char *read_executor_id(const struct agent_container *c);
char *read_executor_name(const struct agent_container *c); /* the caller frees */
const char *read_executor_source(const struct agent_container *c);

/* ---- history.c: what ended, bounded ---- */
struct read_history;
struct read_history *read_history_new(void);
struct read_history *read_history_free(struct read_history *h);
/* False: it is too large. */
bool read_history_add(struct read_history *h, const char *framework_id, const char *framework,
        const char *container_id, const char *executor);
/* A task that is done with, of an executor that is not. */
void read_history_add_task(struct read_history *h, const char *container_id, const char *task);
/* From the oldest: *cursor starts at 0. False at the end. */
struct read_history_entry {
        char *framework_id, *framework; /* JSON of its members, without braces */
        char *container_id, *executor;  /* JSON object */
};
bool read_history_next(const struct read_history *h, size_t *cursor, const struct read_history_entry **ret);
struct read_history_task {
        char *container_id, *task; /* JSON object */
};
bool read_history_next_task(
        const struct read_history *h, size_t *cursor, const struct read_history_task **ret);
