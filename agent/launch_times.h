/*
 * Where launches spend their time, from the LAUNCH command to the program's execve: the last launches, by phase. Owned by the
 * agent, loop thread only. Microseconds; a phase is the time since the end of the one before it.
 */
#pragma once

#include "agent/shim/shim.h"
#include "lib/base/time.h"

/* The agent's own part, in order; the shim's phases follow. */
enum launch_stage {
        LAUNCH_STAGE_CHECKPOINT, /* the container is on disk */
        LAUNCH_STAGE_SANDBOX,    /* its directory is made */
        LAUNCH_STAGE_PREPARE,    /* the plan is written */
        LAUNCH_STAGE_ISOLATE,    /* cgroup and probe slot exist */
        LAUNCH_STAGE_SPAWN,      /* the plan is sealed, the shim executes */
        LAUNCH_STAGE_MAX,
};

/* Of one launch; embedded in the container. */
struct launch_clock {
        struct mono_time begin;
        struct mono_time stages[LAUNCH_STAGE_MAX]; /* ns 0: not reached */
};
void launch_clock_begin(struct launch_clock *c);
void launch_clock_mark(struct launch_clock *c, enum launch_stage s);

#define LAUNCH_PHASES (LAUNCH_STAGE_MAX + SHIM_PHASE_MAX + 1) /* and the total */
#define LAUNCH_SAMPLES 512
struct launch_times {
        uint32_t usec[LAUNCH_PHASES][LAUNCH_SAMPLES]; /* a ring */
        uint64_t launches;
};
/* Ignored when a stage or phase is missing: launches that were adopted or failed. */
void launch_times_add(struct launch_times *t, const struct launch_clock *c, const struct shim_record *r);

struct launch_phase_summary {
        const char *name;
        uint32_t p50_usec, p99_usec;
};
/* Phase 0 <= i < LAUNCH_PHASES, of the launches that the ring holds; false when there was none. */
bool launch_times_summary(const struct launch_times *t, size_t i, struct launch_phase_summary *ret);
