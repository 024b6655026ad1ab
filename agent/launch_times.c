#include "agent/launch_times.h"

#include <stdlib.h>
#include <string.h>

static const char *const stage_names[LAUNCH_STAGE_MAX] = {
        [LAUNCH_STAGE_CHECKPOINT] = "agent_checkpoint",
        [LAUNCH_STAGE_SANDBOX] = "agent_sandbox",
        [LAUNCH_STAGE_PREPARE] = "agent_prepare",
        [LAUNCH_STAGE_ISOLATE] = "agent_isolate",
        [LAUNCH_STAGE_SPAWN] = "agent_spawn",
};

void launch_clock_begin(struct launch_clock *c)
{
        *c = (struct launch_clock){.begin = mono_now()};
}

void launch_clock_mark(struct launch_clock *c, enum launch_stage s)
{
        c->stages[s] = mono_now();
}

static uint32_t to_usec(uint64_t from_ns, uint64_t to_ns)
{
        return to_ns > from_ns ? (uint32_t)MIN((to_ns - from_ns) / NSEC_PER_USEC, (uint64_t)UINT32_MAX) : 0;
}

void launch_times_add(struct launch_times *t, const struct launch_clock *c, const struct shim_record *r)
{
        uint64_t ends[LAUNCH_STAGE_MAX + SHIM_PHASE_MAX], last = c->begin.ns;
        size_t at = t->launches % LAUNCH_SAMPLES;

        for (size_t i = 0; i < ELEMENTSOF(ends); i++)
                ends[i] = i < LAUNCH_STAGE_MAX ? c->stages[i].ns : r->phase_ns[i - LAUNCH_STAGE_MAX];
        for (size_t i = 0; i < ELEMENTSOF(ends); i++)
                if (ends[i] == 0)
                        return;
        for (size_t i = 0; i < ELEMENTSOF(ends); i++) {
                t->usec[i][at] = to_usec(last, ends[i]);
                /* The shim runs before spawn returns here: phases may overlap, and none is counted twice. */
                last = MAX(last, ends[i]);
        }
        t->usec[LAUNCH_PHASES - 1][at] = to_usec(c->begin.ns, r->phase_ns[SHIM_PHASE_READY]);
        t->launches++;
}

static int compare_usec(const void *a, const void *b)
{
        uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

        return (x > y) - (x < y);
}

static const char *phase_name(size_t i)
{
        if (i < LAUNCH_STAGE_MAX)
                return stage_names[i];
        i -= LAUNCH_STAGE_MAX;
        return i < SHIM_PHASE_MAX ? shim_phase_to_string((enum shim_phase)i) : "total";
}

bool launch_times_summary(const struct launch_times *t, size_t i, struct launch_phase_summary *ret)
{
        uint32_t sorted[LAUNCH_SAMPLES];
        size_t n = (size_t)MIN(t->launches, (uint64_t)LAUNCH_SAMPLES);

        if (n == 0 || i >= LAUNCH_PHASES)
                return false;
        memcpy(sorted, t->usec[i], n * sizeof(*sorted));
        qsort(sorted, n, sizeof(*sorted), compare_usec);
        *ret = (struct launch_phase_summary){.name = phase_name(i),
                .p50_usec = sorted[n / 2],
                .p99_usec = sorted[MIN(n - 1, n * 99 / 100)]};
        return true;
}
