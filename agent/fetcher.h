/*
 * Fetches the URIs of a command into a sandbox: in a helper process, as the task's user, in a cgroup of its own; downloads and unpacking
 * never run in the agent. What is fetched is bounded, and nothing that an archive or a server says leads out of the sandbox. Loop thread.
 */
#pragma once

#include "agent/agent.h"
#include "lib/linux/users.h"
#include "proto/mesos.pb-c.h"

struct fetch;

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
