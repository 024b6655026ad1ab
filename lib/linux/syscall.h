/* System calls that the C library of Debian 12 lacks or hides, and structs that its headers miss: the only place for such shims. */
#pragma once

#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include "lib/base/util.h"

/* Raw clone3 without a stack, i.e. fork semantics: returns 0 in the child. Never with CLONE_VM. -errno on failure. */
pid_t sys_clone3(struct clone_args *args);
int sys_pidfd_open(pid_t pid, unsigned flags);
int sys_pidfd_send_signal(int pidfd, int signo);
int sys_openat2(int dirfd, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve);
int sys_open_tree(int dirfd, const char *path, unsigned flags);
int sys_move_mount(int from_fd, const char *from, int to_fd, const char *to, unsigned flags);
int sys_fsopen(const char *fsname, unsigned flags);
int sys_fsconfig(int fd, unsigned cmd, const char *key, const void *value, int aux);
int sys_fsmount(int fd, unsigned flags, unsigned attr_flags);
int sys_mount_setattr(int dirfd, const char *path, unsigned flags, uint64_t attr_set, uint64_t attr_clr,
        uint64_t propagation);
int sys_close_range(unsigned first, unsigned last, unsigned flags);
int sys_pivot_root(const char *new_root, const char *put_old);
int sys_memfd_create(const char *name, unsigned flags);
int sys_seccomp(unsigned op, unsigned flags, void *args);
/* All return -errno on failure instead of setting errno. */
