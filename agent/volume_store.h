/*
 * The directories of persistent volumes, below one directory of root's that nobody else enters: "<role>/<id>", names as of
 * id_directory_name(). A volume that goes is renamed to ".removed/..." first: it is gone in one step, and what it held is removed
 * piece by piece after that. What tasks made in it is never followed: every step is by descriptor, below this directory. May run on a
 * worker thread.
 */
#pragma once

#include "lib/base/error.h"
#include "lib/base/option.h"

/* Makes and opens it below dirfd. */
int volume_store_open(int dirfd, const char *name, int *ret_fd, struct error *e) WARN_UNUSED;
/* Success when it is there. */
int volume_make(int store_fd, const char *path, struct error *e) WARN_UNUSED;
/* A directory and nothing else. */
int volume_open(int store_fd, const char *path, int *ret_fd) WARN_UNUSED;
/* Gone is success. */
int volume_discard(int store_fd, const char *path, struct error *e) WARN_UNUSED;
/* All volumes. */
int volume_list(int store_fd, struct string_list *ret) WARN_UNUSED;
/* Removes up to `budget` files of discarded volumes. 1: there is more; 0: nothing is left that could be removed; -errno of what could not. */
int volume_purge(int store_fd, unsigned long budget) WARN_UNUSED;
