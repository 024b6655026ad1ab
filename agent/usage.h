/*
 * What containers use: read once a second, kept as the latest sample, sent to the master once per interval, and read a last time
 * before a container's cgroup goes. Loop thread.
 */
#pragma once

#include "isolators/isolator.h"
#include "lib/base/time.h"
#include "proto/mete_agent.pb-c.h"

struct agent;
struct agent_container;
struct usage_sampler;

struct usage_track {
        bool valid;
        struct container_usage latest;
        struct mono_time read_at;
        struct wall_time read_at_wall;
        double cpu_cores;          /* over the last interval between two samples */
        uint64_t memory_peak_seen; /* of our samples: for kernels without a peak file */
};

struct usage_sampler *usage_sampler_new(struct agent *a);
struct usage_sampler *usage_sampler_free(struct usage_sampler *s);
/* From SUBSCRIBED: how often the master wants to hear. */
void usage_sampler_set_interval(struct usage_sampler *s, uint64_t interval_ns);

/* Reads now, into c->usage. */
void usage_read(struct agent_container *c);
/* The latest sample on the wire's terms, NULL when there is none. The caller frees with message_free. */
Mete__Api__TaskUsage *usage_to_message(const struct agent_container *c);
/* The smallest upper bound of a bucket that `permille` of all waits stay below; 0 without waits. Pure. */
uint64_t usage_histogram_bound_ns(const uint64_t *hist, size_t buckets, unsigned permille);
