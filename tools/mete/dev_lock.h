/*
 * One `mete dev` a work directory: a pid file that is locked as long as its owner lives, so that a stale one fools nobody.
 */
#pragma once

#include "lib/base/error.h"

/* Takes <work_dir>/dev.pid and writes our pid and the master's port. *ret_fd holds the lock. -EBUSY with who has it. */
int dev_lock_take(const char *work_dir, uint16_t port, int *ret_fd, struct error *e) WARN_UNUSED;
void dev_lock_release(const char *work_dir, int fd);
/* Asks the `mete dev` of work_dir to stop and waits until it has. -ESRCH when there is none. */
int dev_lock_stop_owner(const char *work_dir, struct error *e) WARN_UNUSED;
