/*
 * When a check runs, and what its results mean: health with its grace and its consecutive failures, as Mesos counts them. Plain data;
 * time is an argument (monotonic nanoseconds), so tests need no clock.
 *
 * The grace is the time from the task's start in which failures do not count, until the first success. From then on, or after it, every
 * failure counts, and a success forgets them.
 */
#pragma once

#include "lib/base/error.h"
#include "proto/mesos.pb-c.h"

struct check_timing {
        uint64_t delay_ns, interval_ns, timeout_ns, grace_ns;
        uint32_t failures_max; /* at least 1 */
};
#define CHECK_SECONDS_MAX (365.0 * 86400.0)
/* An interval of 0 would do nothing else. */
#define CHECK_INTERVAL_MIN_NS UINT64_C(50000000)
/* -EINVAL with a sentence naming the field below `field` ("task.health_check"). A timeout of 0 means none: then a day. */
int check_timing_of_health(const Mete__V1__HealthCheck *h, const char *field, struct check_timing *ret,
        struct error *e) WARN_UNUSED;
int check_timing_of_check(const Mete__V1__CheckInfo *c, const char *field, struct check_timing *ret,
        struct error *e) WARN_UNUSED;

struct check_schedule {
        struct check_timing timing;
        uint64_t started_ns, due_ns;
        uint32_t failures; /* in a row, that count */
        bool succeeded;    /* once: there is no grace any more */
        bool known, healthy;
};

/* started_ns: when the task started, which may be long ago; the first run is never before now_ns. */
void check_schedule_start(
        struct check_schedule *s, const struct check_timing *t, uint64_t started_ns, uint64_t now_ns);
/* Until the next run. */
uint64_t check_schedule_wait_ns(const struct check_schedule *s, uint64_t now_ns);

/* The task stood still for paused_ns: its grace goes on where it was, and it has an interval to come back before it is asked. */
void check_schedule_resume(struct check_schedule *s, uint64_t paused_ns, uint64_t now_ns);

struct check_verdict {
        bool changed; /* known && healthy are not what was last said */
        bool kill;
};
/* A run ended with this: when it is due again, and what follows. */
struct check_verdict check_schedule_result(struct check_schedule *s, bool success, uint64_t now_ns);
