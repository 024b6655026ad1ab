#include "tools/sim/histogram.h"

#include "lib/base/util.h"

#define STEPS 32
#define STEPS_LOG2 5

static size_t bucket_of(uint64_t ns)
{
        if (ns < STEPS)
                return ns;
        unsigned shift = 63 - (unsigned)__builtin_clzll(ns) - STEPS_LOG2;

        return MIN((size_t)shift * STEPS + (size_t)(ns >> shift), (size_t)HISTOGRAM_BUCKETS - 1);
}

static uint64_t bucket_end(size_t bucket)
{
        if (bucket < STEPS)
                return bucket;
        unsigned shift = (unsigned)(bucket / STEPS) - 1;

        return (((uint64_t)(bucket % STEPS) + STEPS + 1) << shift) - 1;
}

void histogram_add(struct histogram *s, uint64_t ns)
{
        s->count++;
        s->max_ns = MAX(s->max_ns, ns);
        s->buckets[bucket_of(ns)]++;
}

uint64_t histogram_quantile_ns(const struct histogram *s, double quantile)
{
        uint64_t want = (uint64_t)(quantile * (double)s->count), seen = 0;

        if (s->count == 0)
                return 0;
        want = MIN(want, s->count - 1);
        for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
                seen += s->buckets[i];
                if (seen > want)
                        return MIN(bucket_end(i), s->max_ns);
        }
        return s->max_ns;
}

static json_t *milliseconds(uint64_t ns)
{
        return json_real((double)(ns / 1000) / 1000.0);
}

json_t *histogram_to_json(const struct histogram *s)
{
        return json_pack("{s:I,s:o,s:o,s:o,s:o}", "count", (json_int_t)s->count, "p50_ms",
                milliseconds(histogram_quantile_ns(s, 0.5)), "p90_ms",
                milliseconds(histogram_quantile_ns(s, 0.9)), "p99_ms",
                milliseconds(histogram_quantile_ns(s, 0.99)), "max_ms", milliseconds(s->max_ns));
}
