/* One run of a check: a process of mete-shim that enters the task (agent/shim/check.h says how). Loop thread. */
#pragma once

#include "agent/container.h"
#include "agent/shim/check.h"

struct check_run;

struct check_target {
        enum check_kind kind;
        int plan_fd; /* sealed; the owner of the target closes it */
        bool ipv6;
        uint16_t port;
        char *path; /* owned by whoever owns the target */
        uint64_t timeout_ns;
};

/* done is called once, unless the run is freed before. */
int check_run_start(struct agent_container *c, const struct check_target *t,
        void (*done)(const struct check_report *r, void *userdata), void *userdata, struct check_run **ret,
        struct error *e) WARN_UNUSED;
/* Ends what still runs. Returns NULL. */
struct check_run *check_run_free(struct check_run *r);
