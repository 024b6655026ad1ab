/*
 * libcgroup's view of where controllers are mounted. Alone in its file, because libcgroup's headers and lib/linux/cgroup.h both name
 * things cgroup_controller and cgroup_free and cannot be included together. Not thread-safe: libcgroup keeps global state.
 */
#pragma once

/* Calls f once for each mounted controller. 0, or -ENOENT when libcgroup finds no cgroups. */
int libcgroup_mounts(void (*f)(void *context, const char *controller, const char *path), void *context);
