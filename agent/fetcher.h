/*
 * Fetches the URIs of a command into a sandbox: in a helper process, as the task's user, in a cgroup of its own; downloads and unpacking
 * never run in the agent. What is fetched is bounded, and nothing that an archive or a server says leads out of the sandbox. Loop thread.
 */
#pragma once

#include "agent/agent.h"
#include "lib/linux/users.h"
#include "proto/mesos.pb-c.h"

struct fetch;
struct fetcher;

struct fetch_request {
        const char *container_id;
        Mete__V1__CommandInfo__URI *const *uris;
        size_t uri_count;
        int sandbox_fd; /* O_DIRECTORY, owned by user; stays the caller's */
        const struct user_ids *user;
};

/* Can these be fetched at all? -EINVAL with a sentence that names the field ("command.uris[0].value") and what would be accepted. */
int fetch_check_uris(Mete__V1__CommandInfo__URI *const *uris, size_t count, const char *field,
        struct error *e) WARN_UNUSED;
/* done is called once, from the loop, unless the fetch is freed before: 0, or -errno with a sentence that names the URI. */
int fetch_start(struct agent *a, const struct fetch_request *r,
        void (*done)(int result, const char *message, void *userdata), void *userdata, struct fetch **ret,
        struct error *e) WARN_UNUSED;
/* Ends a fetch that still runs. Returns NULL. */
struct fetch *fetch_free(struct fetch *f);

/* ---- the agent's one fetcher: the program, the cache, what is counted ---- */

/* A missing program is no failure here: whoever wants to fetch is told then. Forgets what an earlier agent left. */
int fetcher_new(struct agent *a, struct fetcher **ret, struct error *e) WARN_UNUSED;
/* Every fetch was freed before. Returns NULL. */
struct fetcher *fetcher_free(struct fetcher *f);

struct fetcher_metrics {
        uint64_t cache_size_total_bytes, cache_size_used_bytes;
        uint64_t task_fetches_succeeded, task_fetches_failed;
};
const struct fetcher_metrics *fetcher_metrics(const struct fetcher *f);
