/* From the kernel's number of a v2 cgroup to its path, and what the path says. Stateless, any thread. */
#pragma once

#include "lib/base/error.h"

/*
 * A path that ends with that of the cgroup, for messages and comparison only. Opened by handle with CAP_DAC_READ_SEARCH; without it the
 * tree is searched. -ENODATA: no cgroup2 is mounted, or there are too many groups to search; -ESTALE: the cgroup is gone.
 */
int cgroup_path_by_id(uint64_t id, char **ret) WARN_UNUSED;
/* Needs CAP_DAC_READ_SEARCH. O_PATH; as above. */
int cgroup_open_by_id(uint64_t id, int *ret) WARN_UNUSED;
/*
 * The v2 cgroup of a process as /proc says it: from the root of our cgroup namespace. pidfd makes sure that it is that very process:
 * -ESRCH when it is gone.
 */
int cgroup_path_of_process(const char *proc_root, pid_t pid, int pidfd, char **ret) WARN_UNUSED;
/* 1 when the open v2 cgroup is, or lies below, the one with this number; 0 when not. */
int cgroup_is_within(int cgroup_fd, uint64_t ancestor_id) WARN_UNUSED;
/* Is it, or does it lie in, the cgroup of a container or of a fetch: ".../containers/<uuid>", ".../fetches/<uuid>", as agents name them? */
bool cgroup_path_is_container(const char *path);
