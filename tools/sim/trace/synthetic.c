/*
 * A made-up day: Poisson arrivals at an offered load, users of Zipf's popularity, run times with a log-normal body and a Pareto tail (as
 * measured on clusters: most jobs are short, most time is in few), sizes in powers of two. A user's program has run times around a value
 * of its own, so that history is worth something; what users request is too much, as it is everywhere (Mu'alem and Feitelson 2001).
 */

#include <math.h>
#include <stdlib.h>

#include "tools/sim/trace/trace.h"

#define PROGRAMS 8 /* of a user */
#define SIZES 5
#define TAIL_ONE_IN 20
#define TAIL_INDEX 1.1
#define TAIL_CUT 30.0 /* times where the tail begins: else one job is all of the load */
#define SPREAD_OF_PROGRAMS 1.0
#define SPREAD_OF_RUNS 0.5

static const double size_weights[SIZES] = {0.45, 0.25, 0.15, 0.10, 0.05}; /* 1, 2, 4, 8, 16 cores */

/* xorshift64* (Vigna 2016): the same everywhere. */
static uint64_t draw(uint64_t *state)
{
        *state ^= *state >> 12;
        *state ^= *state << 25;
        *state ^= *state >> 27;
        return *state * UINT64_C(2685821657736338717);
}

/* In (0, 1). */
static double uniform(uint64_t *state)
{
        return ((double)(draw(state) >> 11) + 0.5) / 9007199254740992.0;
}

static double normal(uint64_t *state)
{
        return sqrt(-2 * log(uniform(state))) * cos(6.283185307179586 * uniform(state));
}

static double log_normal_of_mean_one(uint64_t *state, double sigma)
{
        return exp(sigma * normal(state) - sigma * sigma / 2);
}

static double bounded_pareto(uint64_t *state)
{
        double u = uniform(state), cut = pow(1 / TAIL_CUT, TAIL_INDEX);

        return pow(1 - u * (1 - cut), -1 / TAIL_INDEX);
}

static uint32_t draw_user(uint64_t *state, size_t users)
{
        double sum = 0, at;

        for (size_t i = 0; i < users; i++)
                sum += 1.0 / (double)(i + 1);
        at = uniform(state) * sum;
        for (size_t i = 0; i < users; i++) {
                at -= 1.0 / (double)(i + 1);
                if (at <= 0)
                        return (uint32_t)i;
        }
        return (uint32_t)users - 1;
}

static uint64_t draw_cores(uint64_t *state, uint64_t most)
{
        double at = uniform(state);
        uint64_t cores = 1;

        for (size_t i = 0; i + 1 < SIZES && at > size_weights[i] && cores * 2 <= most; i++) {
                at -= size_weights[i];
                cores *= 2;
        }
        return cores;
}

/* What this user's program takes on average; the same in every run of it. */
static double program_scale(uint64_t seed, uint32_t user, uint32_t program)
{
        uint64_t state = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15) ^ ((uint64_t)user << 32 | program);

        for (int i = 0; i < 4; i++)
                (void)draw(&state);
        return log_normal_of_mean_one(&state, SPREAD_OF_PROGRAMS);
}

static struct trace_job draw_job(const struct synthetic_options *o, uint64_t *state)
{
        struct trace_job j = {.user = draw_user(state, o->users)};
        double run = (double)o->mean_run_ns;

        j.program = (uint32_t)(draw(state) % PROGRAMS);
        run *= program_scale(o->seed, j.user, j.program) * log_normal_of_mean_one(state, SPREAD_OF_RUNS);
        if (draw(state) % TAIL_ONE_IN == 0)
                run *= bounded_pareto(state);
        j.run_ns = (uint64_t)MAX(run, 1e9);
        j.requested_ns = (uint64_t)((double)j.run_ns * (1 + 4 * uniform(state)));
        j.milli_cpus = 1000 * draw_cores(state, o->machine_milli_cpus / 1000);
        j.memory_bytes = (uint64_t)((double)o->machine_memory_bytes * (double)j.milli_cpus /
                                    (double)o->machine_milli_cpus * (0.2 + 0.8 * uniform(state)));
        j.priority = draw(state) % 10 == 0 ? 800 : 500;
        return j;
}

/* The times between arrivals are such that the work of all jobs is the offered load of the time that they take to arrive. */
void trace_generate(const struct synthetic_options *o, struct trace *ret)
{
        uint64_t state = o->seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
        double work = 0, capacity = (double)o->machines * (double)o->machine_milli_cpus, gap, at = 0;
        struct trace t = {};

        for (size_t i = 0; i < o->jobs; i++) {
                struct trace_job j = draw_job(o, &state);

                work += (double)j.run_ns * (double)j.milli_cpus;
                trace_add(&t, &j);
        }
        gap = work / capacity / ((double)o->load_milli / 1000) / (double)MAX(o->jobs, (size_t)1);
        for (size_t i = 0; i < t.count; i++) {
                t.jobs[i].submit_ns = (uint64_t)at;
                at += -log(uniform(&state)) * gap;
        }
        *ret = t;
}
