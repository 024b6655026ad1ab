/* Between the parts of a check's run. */
#pragma once

#include <signal.h>

#include "agent/shim/check.h"
#include "lib/base/error.h"

struct check {
        enum check_kind kind;
        uint32_t v1_count;
        uint32_t timeout_ms;
        bool ipv6;
        uint16_t port;
        const char *path;
        const void *plan; /* checked and mapped */
        int output_fd;    /* write end of what the check prints into */
        int result_fd;    /* write end: one struct check_report */
};

/* In the task's network namespace, unprivileged. Blocks; whoever waits has the clock. */
void check_network_run(const struct check *c, struct check_report *r);
/* Everything from the task's cgroup on. */
void check_inside_run(const struct check *c) __attribute__((noreturn));
/* Stops everything below pid, then kills it, pid last. */
void check_kill_tree(pid_t pid, int pidfd);
