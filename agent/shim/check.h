/*
 * One run of a check of a task, by a mode of mete-shim ("mete-shim check ..."): a process of the agent's side, which becomes the parent of
 * one that has the task's cgroup, namespaces and restrictions. Started by the agent alone (agent/checks/check_run.c).
 *
 * argv: "mete-shim", "check", <kind>, <number of v1 entry files>, <timeout in ms>, and for http and tcp: <4 or 6>, <port>, <path>
 */
#pragma once

#include <stdint.h>

enum check_fd {
        CHECK_FD_PLAN = 3, /* sealed; only its PROCESS and PRIVILEGE steps count */
        CHECK_FD_REPORT,   /* pipe: one struct check_report */
        CHECK_FD_INIT,     /* pidfd of the container's init */
        CHECK_FD_CGROUP,   /* v2 */
        CHECK_FD_FIRST_V1,
};

enum check_kind { CHECK_COMMAND, CHECK_HTTP, CHECK_TCP, CHECK_KIND_MAX };
const char *check_kind_to_string(enum check_kind k);

enum check_end {
        CHECK_END_NONE,      /* nothing was reported */
        CHECK_END_EXITED,    /* value: the exit status */
        CHECK_END_SIGNALLED, /* value: the signal */
        CHECK_END_ANSWERED,  /* value: the status of the HTTP answer */
        CHECK_END_CONNECTED,
        CHECK_END_REFUSED, /* text says what */
        CHECK_END_TIMED_OUT,
        CHECK_END_FAILED, /* the check could not be made; text says why */
        CHECK_END_MAX,
};

#define CHECK_TEXT_MAX 240
#define CHECK_PATH_MAX 2048
struct check_report {
        int32_t end, value;
        char text[CHECK_TEXT_MAX];
};

int check_main(int argc, char **argv);
/* The status of an HTTP answer that begins like this; -EBADMSG when it is none. */
int check_http_status(const char *text);
