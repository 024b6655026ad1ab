/*
 * How the agent starts a shim: without copying the agent's page tables (the child borrows its memory until it
 * executes), born in its cgroup, from a sealed copy of the program. Callable from any thread.
 */
#pragma once

#include "lib/base/error.h"

#define PROGRAM_SPAWN_FDS_MAX 320
/* A sealed program, with an empty environment. All descriptors stay the caller's; the program gets copies. */
struct program_spawn_options {
        int exe_fd;     /* from shim_seal_executable */
        int cgroup_fd;  /* v2 cgroup that it is born in; -1: stays in the agent's */
        const int *fds; /* the index is the number that the program knows it by; everything else is closed */
        size_t fd_count;
        char *const *argv; /* NULL-terminated */
};
/* Returns as soon as the program executes. ret_pidfd becomes readable when it ends; the caller reaps it by waitid(P_PIDFD). */
int program_spawn(const struct program_spawn_options *o, int *ret_pidfd, struct error *e) WARN_UNUSED;

/* Ends a program of ours and reaps it, if that is a matter of milliseconds: else it is a zombie until the agent ends. */
void program_end(int pidfd);

/* All descriptors stay the caller's; the shim gets copies. */
struct shim_spawn_options {
        int shim_exe_fd;    /* from shim_seal_executable */
        int plan_fd;        /* from plan_seal */
        int state_fd;       /* state directory of the container */
        int lock_fd;        /* from shim_lock_take */
        int sandbox_fd;     /* O_DIRECTORY; O_PATH will not do: log files are made in it */
        int cgroup_fd;      /* v2 cgroup of the task */
        int shim_cgroup_fd; /* v2 cgroup for the shim itself; -1: stays in the agent's */
        const int *v1_fds;  /* from cgroup_open_entry_fds */
        size_t v1_count;
};

/*
 * Returns as soon as the shim executes. ret_pidfd becomes readable when the shim ends; ret_status_fd
 * (non-blocking) carries struct shim_message, and ends with the shim. The caller reaps the child by
 * waitid(P_PIDFD).
 */
int shim_spawn(
        const struct shim_spawn_options *o, int *ret_pidfd, int *ret_status_fd, struct error *e) WARN_UNUSED;

/* A copy of the program in memory that nothing can write to: what tasks find in /proc/PID/exe is not a file
 * of the host. */
int shim_seal_executable(const char *path, int *ret_fd, struct error *e) WARN_UNUSED;
