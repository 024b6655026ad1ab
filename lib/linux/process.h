/* Processes by pidfd or by pid plus start time; readers of /proc. */
#pragma once

#include "lib/base/error.h"

/* Identity of a process across restarts of ours: pids are reused, (pid, start time, boot id) is not. */
struct process_id {
        pid_t pid;
        uint64_t start_ticks; /* field 22 of /proc/PID/stat, clock ticks since boot */
};

/* proc_root is "/proc" in production. -ESRCH when gone. */
int process_start_ticks(const char *proc_root, pid_t pid, uint64_t *ret) WARN_UNUSED;
/* A pidfd that is verified to be that very process, or -ESRCH. */
int process_open(const struct process_id *id, int *ret_pidfd) WARN_UNUSED;
/* 36 characters. */
#define BOOT_ID_MAX 40
int boot_id_read(const char *proc_root, char ret[static BOOT_ID_MAX]) WARN_UNUSED;
/* "terminated by signal SIGKILL", "exited with status 3": of a wait(2) status. */
#define WAIT_STATUS_TEXT_MAX 64
const char *wait_status_format(int wait_status, char buf[static WAIT_STATUS_TEXT_MAX]);
/* Shell convention: 0..255, or 128 + signal. */
int wait_status_exit_code(int wait_status);
const char *signal_name(int signo); /* "SIGTERM", or "SIG 42" style static text */
/* "TERM", "SIGTERM", "15" -> 15; -EINVAL */
int signal_from_string(const char *s);

/* Machine facts for the agent's registration. */
int machine_cpu_count(void);                         /* online CPUs that we may run on */
int machine_memory_bytes(uint64_t *ret) WARN_UNUSED; /* MemTotal */
