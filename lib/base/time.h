/* Clocks. Monotonic and wall time are different types, so that one cannot be compared with the other by
 * accident. */
#pragma once

#include <stdint.h>

#define NSEC_PER_SEC UINT64_C(1000000000)
#define NSEC_PER_MSEC UINT64_C(1000000)
#define NSEC_PER_USEC UINT64_C(1000)

struct mono_time {
        uint64_t ns;
}; /* CLOCK_MONOTONIC */
struct wall_time {
        uint64_t ns;
}; /* CLOCK_REALTIME, since 1970 */

struct mono_time mono_now(void);
struct wall_time wall_now(void);
/* b - a, or 0 when b is earlier. */
static inline uint64_t mono_elapsed_ns(struct mono_time a, struct mono_time b)
{
        return b.ns > a.ns ? b.ns - a.ns : 0;
}
static inline double wall_seconds(struct wall_time t)
{
        return (double)t.ns / (double)NSEC_PER_SEC;
}
/* "2026-01-02T03:04:05.678Z" */
#define WALL_TIME_TEXT_MAX 32
const char *wall_time_format(struct wall_time t, char buf[static WALL_TIME_TEXT_MAX]);
/* "1d2h", "3m05s", "12.3s", "45ms": for people. */
#define DURATION_TEXT_MAX 32
const char *duration_format(uint64_t ns, char buf[static DURATION_TEXT_MAX]);
