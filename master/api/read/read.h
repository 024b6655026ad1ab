/*
 * The operator's read side as the tools of Mesos know it: /state, /slaves, /frameworks, /tasks, /roles, /metrics/snapshot and the like, with
 * their vocabulary ("slave"). Answers are written straight into one buffer: a large cluster must not hold the loop up for long.
 * Nothing here changes anything. Loop thread.
 */
#pragma once

#include "master/api/api.h"
#include "proto/read_json.h"

struct read_call {
        struct master *master;
        struct http_request *req;
        bool root;         /* the caller may see environments: they may hold secrets */
        struct buffer out; /* the answer: one JSON document */
        bool answered;     /* otherwise than by `out` */
};

/* ---- read.c ---- */
void read_add_routes(struct master *m);
/* One sentence; the call is answered. */
void read_refuse(struct read_call *c, int status, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* ---- handlers, one for each path ---- */
void read_state(struct read_call *c);
void read_state_summary(struct read_call *c);
void read_slaves(struct read_call *c);
void read_frameworks(struct read_call *c);
void read_tasks(struct read_call *c);
void read_roles(struct read_call *c);
void read_weights(struct read_call *c);
void read_quota(struct read_call *c);
void read_maintenance_schedule(struct read_call *c);
void read_maintenance_status(struct read_call *c);
void read_flags(struct read_call *c);
void read_version(struct read_call *c);
void read_health(struct read_call *c);
void read_redirect(struct read_call *c);
void read_files(struct read_call *c);
void read_system_stats(struct read_call *c);
void read_metrics(struct read_call *c);

/* ---- json_resources.c ---- */
/* Who may use it: a role that it is reserved for, or "*". */
const char *resource_role(const Mete__V1__Resource *r);

/* Sums by role; few roles each. Zero-initialised is empty. */
struct role_sum {
        const char *role; /* borrowed */
        struct resources resources;
};
struct role_sums {
        struct role_sum *items;
        size_t count;
};
void role_sums_add(struct role_sums *s, const char *role, const struct resources *r);
void role_sums_done(struct role_sums *s);
#define _cleanup_role_sums_ CLEANUP(role_sums_done)

/* ---- json_task.c ---- */
/* role NULL: as its resources say. */
void json_task(struct buffer *out, const Mete__V1__Task *task, const char *role);
void json_live_task(struct buffer *out, const struct task *t);

/* ---- json_agent.c: members of an object that the caller begins and ends ---- */
void json_agent(struct buffer *out, const struct agent *a);
void json_agent_full_resources(struct buffer *out, const struct agent *a);
bool agent_is_registered(const struct agent *a); /* active or disconnected: what "slaves" lists */
/* "recovered_slaves" */
void json_recovered_agents(struct read_call *c);

/* ---- json_framework.c: the same ---- */
void json_framework_summary(struct buffer *out, const struct framework *f);
void json_framework(struct buffer *out, const struct framework *f, bool with_environment);

/* ---- system.c ---- */
struct system_stats {
        double load_1min, load_5min, load_15min;
        double cpus_total;
        double mem_total_bytes, mem_free_bytes;
};
void system_stats_read(struct system_stats *ret);

/* v0 names: "REASON_AGENT_REMOVED" is "REASON_SLAVE_REMOVED" there. The caller frees; NULL for NULL. */
char *slave_name(const char *agent_name);
