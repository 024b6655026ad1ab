#include "lib/base/time.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static uint64_t clock_ns(clockid_t clock)
{
        struct timespec ts;

        (void)clock_gettime(clock, &ts);
        return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

struct mono_time mono_now(void)
{
        return (struct mono_time){clock_ns(CLOCK_MONOTONIC)};
}

struct wall_time wall_now(void)
{
        return (struct wall_time){clock_ns(CLOCK_REALTIME)};
}

const char *wall_time_format(struct wall_time t, char buf[static WALL_TIME_TEXT_MAX])
{
        time_t seconds = (time_t)(t.ns / NSEC_PER_SEC);
        struct tm tm;

        (void)gmtime_r(&seconds, &tm);
        (void)strftime(buf, WALL_TIME_TEXT_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
        (void)snprintf(buf + strlen(buf), sizeof(".000Z"), ".%03uZ",
                (unsigned)(t.ns % NSEC_PER_SEC / NSEC_PER_MSEC) % 1000);
        return buf;
}

const char *duration_format(uint64_t ns, char buf[static DURATION_TEXT_MAX])
{
        uint64_t s = ns / NSEC_PER_SEC;

        if (ns == 0)
                (void)snprintf(buf, DURATION_TEXT_MAX, "0s");
        else if (ns < NSEC_PER_USEC)
                (void)snprintf(buf, DURATION_TEXT_MAX, "%" PRIu64 "ns", ns);
        else if (ns < NSEC_PER_MSEC)
                (void)snprintf(buf, DURATION_TEXT_MAX, "%" PRIu64 "us", ns / NSEC_PER_USEC);
        else if (s == 0)
                (void)snprintf(buf, DURATION_TEXT_MAX, "%" PRIu64 "ms", ns / NSEC_PER_MSEC);
        else if (s < 60)
                (void)snprintf(buf, DURATION_TEXT_MAX, "%" PRIu64 ".%us", s,
                        (unsigned)(ns % NSEC_PER_SEC / (NSEC_PER_SEC / 10)));
        else if (s < 3600)
                (void)snprintf(buf, DURATION_TEXT_MAX, "%" PRIu64 "m%02us", s / 60, (unsigned)(s % 60));
        else if (s < 86400)
                (void)snprintf(
                        buf, DURATION_TEXT_MAX, "%" PRIu64 "h%02um", s / 3600, (unsigned)(s % 3600 / 60));
        else
                (void)snprintf(
                        buf, DURATION_TEXT_MAX, "%" PRIu64 "d%uh", s / 86400, (unsigned)(s % 86400 / 3600));
        return buf;
}
