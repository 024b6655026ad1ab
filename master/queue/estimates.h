/*
 * How long will it run? From earlier runs of the same name by the same user: a histogram of run times with exponential buckets (5 %
 * apart) whose weights decay with age (half-life 7 days), as the VPA's recommender keeps usage (see "Kubernetes Autoscaler", pkg/
 * recommender/util), and the CPU time of such runs, so that the progress of a running one can be told from what it has used. One table
 * for all queues. Pure: no I/O, no clock. Single thread.
 */
#pragma once

#include "lib/base/error.h"
#include "lib/base/time.h"
#include "lib/base/util.h"

#define ESTIMATES_MAX 20000 /* names; the longest unused goes first */

struct estimates;
struct estimates *estimates_new(void);
struct estimates *estimates_free(struct estimates *s);
DEFINE_CLEANUP(struct estimates, estimates_free)

/* Called for a name that gives way to a new one, so that what is kept of it elsewhere goes too. */
void estimates_on_forget(struct estimates *s,
        void (*forgot)(const char *user, const char *name, void *userdata), void *userdata);
size_t estimates_count(const struct estimates *s);

/* A task ended well after it ran this long (time in which it was suspended is not part of it). */
void estimates_add(struct estimates *s, const char *user, const char *name, uint64_t ran_ns, uint64_t cpu_ns,
        struct wall_time now);

struct estimate {
        uint64_t expected_ns; /* mean of the whole run time */
        uint64_t p90_ns;      /* nine of ten end by then */
        uint64_t cpu_ns;      /* mean CPU time of a whole run; 0: not known */
        double samples;       /* decayed weight: 1 is one run just now */
};
/* False: no run of that name is known. */
bool estimates_get(const struct estimates *s, const char *user, const char *name, struct wall_time now,
        struct estimate *ret);
/* The expected time that remains of a run that has lasted `ran_ns`: mean of the longer ones beyond it; 0 when all known ones were shorter,
   or none is known. */
uint64_t estimates_residual(
        const struct estimates *s, const char *user, const char *name, uint64_t ran_ns, struct wall_time now);

/* As bytes for the store (own format with a version, integers little endian), nothing for a name that is not known; and back, in place of
   what is known: -EINVAL for what is not one. */
void estimates_encode(const struct estimates *s, const char *user, const char *name, struct buffer *out);
int estimates_decode(struct estimates *s, const char *user, const char *name, const void *data, size_t len,
        struct error *e) WARN_UNUSED;
