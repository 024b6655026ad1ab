/*
 * Mounts by file descriptor. Everything below a root that we do not own is reached by dirfd and openat2 (RESOLVE_IN_ROOT, no magic
 * links), so that a symlink in an image cannot lead a mount outside of it. For single-threaded callers in their own mount namespace (the shim).
 * The fds must have been opened in that namespace: the kernel (EINVAL) mounts on, and clones from, none but its own.
 */
#pragma once

#include "lib/base/error.h"

/* A directory or file below root_fd, links resolved inside root_fd. O_PATH fd. */
int mount_open_in_root(int root_fd, const char *path, int *ret_fd, struct error *e) WARN_UNUSED;
/* As above; missing directories are created (mode 0755) one by one, never through a link that leaves the root. */
int mount_mkdir_in_root(int root_fd, const char *path, int *ret_fd, struct error *e) WARN_UNUSED;
/* A missing regular file is created empty: a mount point for a file. -EISDIR for a directory.
 * Paths to be created must not contain ".."; a dangling link is -ENOENT or -EEXIST, never followed. */
int mount_mkfile_in_root(int root_fd, const char *path, int *ret_fd, struct error *e) WARN_UNUSED;

/* A detached mount of a new file system instance: options is "k=v,k2" or NULL; attr are MOUNT_ATTR_*.
 * A value holds no comma and at most 255 bytes (kernel limit): name long or foreign paths by "/proc/self/fd/N". */
int mount_new(const char *fstype, const char *source, const char *options, unsigned attr, int *ret_fd,
        struct error *e) WARN_UNUSED;
/* A detached clone (bind) of what source_fd refers to; recursive clones submounts too. attr_set are MOUNT_ATTR_* applied (recursively).
 * The clone is private: nothing propagates out of it or into it. */
int mount_clone(int source_fd, bool recursive, uint64_t attr_set, int *ret_fd, struct error *e) WARN_UNUSED;
/* Moves a detached mount on top of target_fd. */
int mount_attach(int mount_fd, int target_fd, struct error *e) WARN_UNUSED;
