/*
 * Durations in a ring of fixed size, and what a person asks of them: the latest, how many there were, extremes and percentiles of those that
 * the ring still holds. Zero-initialised is empty; no memory of its own.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define SAMPLES_KEPT 1000

struct samples {
        uint64_t ns[SAMPLES_KEPT];
        uint64_t total; /* all that were ever added */
};

void samples_add(struct samples *s, uint64_t ns);

/* Of those kept; all 0 when there is none. */
struct samples_summary {
        uint64_t total;
        uint64_t last_ns, min_ns, max_ns;
        uint64_t p50_ns, p90_ns, p95_ns, p99_ns, p999_ns, p9999_ns;
};
void samples_summarize(const struct samples *s, struct samples_summary *ret);
