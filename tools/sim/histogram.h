/* Durations of one kind, kept in logarithmic buckets: 3 % wide, any number of them in 16 KiB. Single thread. */
#pragma once

#include <jansson.h>
#include <stdint.h>

#define HISTOGRAM_BUCKETS 2048 /* 32 in each power of two */

struct histogram {
        uint64_t count, max_ns;
        uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *s, uint64_t ns);
/* The upper edge of the bucket that the quantile (0 to 1) is in, never above the largest sample; 0 without any. */
uint64_t histogram_quantile_ns(const struct histogram *s, double quantile);
/* {"count", "p50_ms", "p90_ms", "p99_ms", "max_ms"}: a new reference. */
json_t *histogram_to_json(const struct histogram *s);
