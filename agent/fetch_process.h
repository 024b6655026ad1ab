/* One run of mete-fetcher: born in a cgroup of its own with bounded memory and processes, and gone as a whole. Loop thread. */
#pragma once

#include "agent/agent.h"
#include "agent/fetcher/request.h"

struct fetch_process;

#define FETCH_CGROUPS "fetches"

struct fetch_process_options {
        int exe_fd;
        const struct fetch_job *job;
        int sandbox_fd;       /* -1: the job goes into the cache */
        const int *cache_fds; /* as the items number them; stay the caller's */
        size_t cache_count;
};
/* done is called once when no process is left: 0, or -errno with a sentence. The process must be freed from there or later. */
int fetch_process_start(struct agent *a, const struct fetch_process_options *o,
        void (*done)(int result, const char *message, void *userdata), void *userdata,
        struct fetch_process **ret, struct error *e) WARN_UNUSED;
/* Kills what runs. Returns NULL. */
struct fetch_process *fetch_process_free(struct fetch_process *p);
/* Cgroups of fetches that an agent was killed over. */
void fetch_process_remove_orphans(struct agent *a);
