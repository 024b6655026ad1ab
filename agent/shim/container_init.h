/*
 * The container's init: born by the shim's clone3 in the task's cgroup and namespaces, it joins the v1
 * cgroups, puts the root together, forks the task's main process, and is pid 1 of the container until that
 * ends.
 */
#pragma once

#include "agent/shim/log_pump.h"
#include "agent/shim/steps.h"

struct container_init {
        const void *plan; /* checked and mapped */
        size_t plan_size;
        uint64_t namespaces;
        size_t v1_count; /* fds from SHIM_FD_FIRST_V1 */
        int sandbox_mount_fd;
        int log_fds[LOG_STREAM_MAX];
        int report_fd;      /* struct shim_report; ends when the main process executes */
        uint64_t *phase_ns; /* SHIM_PHASE_MAX; each process of the launch adds to its copy */
        int status_fd;      /* the wait status of the main process, an int */
        bool is_restrained; /* container_task_restrain() was called before: only what must be last is left */
};
/* An agent that is protected from the OOM killer must not protect its tasks. */
int container_unprotect_from_oom(struct error *e) WARN_UNUSED;
void container_init_run(const struct container_init *c) __attribute__((noreturn));

/* The task's main process: PROCESS and PRIVILEGE steps, then execve. */
/* What can be given up before the process that executes is made: all but the working directory and seccomp. */
int container_task_restrain(struct steps *s, const void *plan) WARN_UNUSED;
void container_task_run(const struct container_init *c, struct steps *s) __attribute__((noreturn));
