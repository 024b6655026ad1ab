/* The isolators themselves, and what they share among each other. Everything else uses isolator.h. */
#pragma once

#include "isolators/isolator.h"

extern const struct isolator isolator_cgroup, isolator_probes, isolator_namespaces, isolator_rootfs,
        isolator_paths, isolator_rlimits, isolator_user, isolator_capabilities, isolator_privileges,
        isolator_seccomp, isolator_volumes, isolator_cores;

/* CLONE_NEW* of a container: for the plan's settings. */
uint64_t namespaces_flags(const struct container_spec *s);

/* path is dir or lies below it; both absolute and without "..". */
bool path_is_below(const char *path, const char *dir);
/*
 * Host-root mode: a hidden directory that holds the sandbox becomes an empty one with nothing but the way to it. In two halves,
 * around the bind of the sandbox.
 */
void paths_add_way(const struct isolator_host *h, const struct container *c, struct plan *p);

/* May the task do more on the host's files than everybody may: as root, by capabilities or by groups? */
bool paths_privileged(const struct container *c);
