/*
 * How a container in the making tells the shim that a step failed: one struct, one write(2), on a pipe that
 * closes when the task's program executes. The sender is single-threaded.
 */
#pragma once

#include "agent/shim/shim.h"

struct shim_report {
        int32_t error;                     /* positive errno; 0: everything is done, execve comes next */
        uint64_t phase_ns[SHIM_PHASE_MAX]; /* with the last report */
        char stage[32];
        char text[SHIM_TEXT_MAX];
};

void shim_report_send(int fd, const char *stage, int error, const char *text);
/* Everything is done; when each phase was. -errno: the shim is gone, and there must be no task without it. */
int shim_report_ready(int fd, const uint64_t phase_ns[static SHIM_PHASE_MAX]);
