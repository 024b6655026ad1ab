#include "lib/base/samples.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/util.h"

void samples_add(struct samples *s, uint64_t ns)
{
        s->ns[s->total % SAMPLES_KEPT] = ns;
        s->total++;
}

static int compare_ns(const void *a, const void *b)
{
        const uint64_t *x = a, *y = b;

        return (*x > *y) - (*x < *y);
}

/* The rank that `parts` of 10000 are at or below, between two samples in proportion. */
static uint64_t percentile(const uint64_t *sorted, size_t count, uint64_t parts)
{
        uint64_t position = (count - 1) * parts, rest = position % 10000;
        size_t i = (size_t)(position / 10000);
        uint64_t step = i + 1 < count ? sorted[i + 1] - sorted[i] : 0;

        /* Apart, so that a step of hours does not overflow. */
        return sorted[i] + step / 10000 * rest + step % 10000 * rest / 10000;
}

void samples_summarize(const struct samples *s, struct samples_summary *ret)
{
        size_t count = (size_t)MIN(s->total, (uint64_t)SAMPLES_KEPT);
        uint64_t sorted[SAMPLES_KEPT];

        *ret = (struct samples_summary){.total = s->total};
        if (count == 0)
                return;
        memcpy(sorted, s->ns, count * sizeof(*sorted));
        qsort(sorted, count, sizeof(*sorted), compare_ns);
        ret->last_ns = s->ns[(s->total - 1) % SAMPLES_KEPT];
        ret->min_ns = sorted[0];
        ret->max_ns = sorted[count - 1];
        ret->p50_ns = percentile(sorted, count, 5000);
        ret->p90_ns = percentile(sorted, count, 9000);
        ret->p95_ns = percentile(sorted, count, 9500);
        ret->p99_ns = percentile(sorted, count, 9900);
        ret->p999_ns = percentile(sorted, count, 9990);
        ret->p9999_ns = percentile(sorted, count, 9999);
}
