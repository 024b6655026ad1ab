/* From the kernel's number of a v2 cgroup to its path, and what the path says. Stateless, any thread. */
#pragma once

#include "lib/base/error.h"

/*
 * A path that ends with that of the cgroup, for messages and comparison only. Opened by handle with CAP_DAC_READ_SEARCH; without it the
 * tree is searched. -ENODATA: no cgroup2 is mounted, or there are too many groups to search; -ESTALE: the cgroup is gone.
 */
int cgroup_path_by_id(uint64_t id, char **ret) WARN_UNUSED;
/* Is it, or does it lie in, the cgroup of a container or of a fetch: ".../containers/<uuid>", ".../fetches/<uuid>", as agents name them? */
bool cgroup_path_is_container(const char *path);
