#include "agent/checks/schedule.h"

#include <math.h>

#include "lib/base/time.h"

#define NO_TIMEOUT_NS (UINT64_C(86400) * NSEC_PER_SEC)

static int read_seconds(double seconds, const char *field, const char *name, uint64_t *ret, struct error *e)
{
        if (!isfinite(seconds) || seconds < 0)
                return error_set(e, -EINVAL, "%s.%s: %g is out of range: give 0 or more seconds", field, name,
                        seconds);
        *ret = (uint64_t)(fmin(seconds, CHECK_SECONDS_MAX) * (double)NSEC_PER_SEC);
        return 0;
}

static int fill(double delay, double interval, double timeout, const char *field, struct check_timing *t,
        struct error *e)
{
        int r = read_seconds(delay, field, "delay_seconds", &t->delay_ns, e);

        if (r == 0)
                r = read_seconds(interval, field, "interval_seconds", &t->interval_ns, e);
        if (r == 0)
                r = read_seconds(timeout, field, "timeout_seconds", &t->timeout_ns, e);
        if (r < 0)
                return r;
        t->interval_ns = MAX(t->interval_ns, CHECK_INTERVAL_MIN_NS);
        t->timeout_ns = t->timeout_ns ? MIN(t->timeout_ns, NO_TIMEOUT_NS) : NO_TIMEOUT_NS;
        t->failures_max = 1;
        return 0;
}

int check_timing_of_health(
        const Mete__V1__HealthCheck *h, const char *field, struct check_timing *ret, struct error *e)
{
        struct check_timing t = {0};

        /* The generated code gives what is not set its default. */
        int r = fill(h->delay_seconds, h->interval_seconds, h->timeout_seconds, field, &t, e);
        if (r == 0)
                r = read_seconds(h->grace_period_seconds, field, "grace_period_seconds", &t.grace_ns, e);
        if (r < 0)
                return r;
        t.failures_max = MAX(h->consecutive_failures, UINT32_C(1));
        *ret = t;
        return 0;
}

int check_timing_of_check(
        const Mete__V1__CheckInfo *c, const char *field, struct check_timing *ret, struct error *e)
{
        struct check_timing t = {0};

        int r = fill(c->delay_seconds, c->interval_seconds, c->timeout_seconds, field, &t, e);
        if (r == 0)
                *ret = t;
        return r;
}

void check_schedule_start(
        struct check_schedule *s, const struct check_timing *t, uint64_t started_ns, uint64_t now_ns)
{
        *s = (struct check_schedule){
                .timing = *t, .started_ns = started_ns, .due_ns = MAX(started_ns + t->delay_ns, now_ns)};
}

uint64_t check_schedule_wait_ns(const struct check_schedule *s, uint64_t now_ns)
{
        return s->due_ns > now_ns ? s->due_ns - now_ns : 0;
}

void check_schedule_resume(struct check_schedule *s, uint64_t paused_ns, uint64_t now_ns)
{
        s->started_ns += paused_ns;
        s->due_ns = MAX(s->due_ns + paused_ns, now_ns + s->timing.interval_ns);
}

static bool in_grace(const struct check_schedule *s, uint64_t now_ns)
{
        uint64_t age = now_ns > s->started_ns ? now_ns - s->started_ns : 0;

        return !s->succeeded && age <= s->timing.grace_ns && s->timing.grace_ns > 0;
}

struct check_verdict check_schedule_result(struct check_schedule *s, bool success, uint64_t now_ns)
{
        struct check_verdict v = {0};

        s->due_ns = now_ns + s->timing.interval_ns;
        if (!success && in_grace(s, now_ns))
                return v;
        v.changed = !s->known || s->healthy != success;
        s->known = true;
        s->healthy = success;
        s->succeeded = s->succeeded || success;
        s->failures = success ? 0 : s->failures + 1;
        v.kill = !success && s->failures >= s->timing.failures_max;
        return v;
}
