#include <math.h>
#include <stdlib.h>

#include "tools/sim/trace/simulation.h"

#define SLOWDOWN_RUN_MIN 10.0

static int compare_doubles(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;

        return x < y ? -1 : x > y;
}

static double mean(const double *values, size_t count)
{
        double sum = 0;

        for (size_t i = 0; i < count; i++)
                sum += values[i];
        return count > 0 ? sum / (double)count : 0;
}

/* Nearest rank; sorts. */
static double percentile(double *values, size_t count, double p)
{
        size_t rank = MAX((size_t)ceil(p * (double)count), (size_t)1);

        if (count == 0)
                return 0;
        qsort(values, count, sizeof(*values), compare_doubles);
        return values[MIN(rank, count) - 1];
}

struct user_sum {
        double served;
        size_t jobs;
};

/* (sum x)^2 / (n sum x^2) over the users that had jobs. */
static double jain(const struct user_sum *users, size_t count)
{
        double sum = 0, squares = 0;
        size_t n = 0;

        for (size_t i = 0; i < count; i++) {
                double x = users[i].jobs > 0 ? users[i].served / (double)users[i].jobs : 0;

                sum += x;
                squares += x * x;
                n += users[i].jobs > 0;
        }
        return squares > 0 ? sum * sum / ((double)n * squares) : 1;
}

static size_t users_of(const struct trace *t)
{
        uint32_t most = 0;

        for (size_t i = 0; i < t->count; i++)
                most = MAX(most, t->jobs[i].user);
        return (size_t)most + 1;
}

void simulation_measure(const struct trace *t, const struct simulated_job *jobs, const bool *left_out,
        struct simulation_result *ret)
{
        _cleanup_free_ double *wait = xcalloc(t->count + 1, sizeof(double));
        _cleanup_free_ double *turnaround = xcalloc(t->count + 1, sizeof(double));
        _cleanup_free_ double *slowdown = xcalloc(t->count + 1, sizeof(double));
        size_t user_count = users_of(t), n = 0;
        _cleanup_free_ struct user_sum *users = xcalloc(user_count, sizeof(*users));

        for (size_t i = 0; i < t->count; i++) {
                const struct trace_job *j = &t->jobs[i];
                double run = (double)j->run_ns / 1e9;

                if (left_out[i])
                        continue;
                wait[n] = (double)(jobs[i].first_start_ns - j->submit_ns) / 1e9;
                turnaround[n] = (double)(jobs[i].end_ns - j->submit_ns) / 1e9;
                slowdown[n] = turnaround[n] / MAX(run, SLOWDOWN_RUN_MIN);
                slowdown[n] = MAX(slowdown[n], 1.0);
                users[j->user].served += run / turnaround[n];
                users[j->user].jobs++;
                n++;
        }
        ret->jobs = n;
        ret->wait_mean = mean(wait, n);
        ret->wait_p50 = percentile(wait, n, 0.5);
        ret->wait_p99 = percentile(wait, n, 0.99);
        ret->wait_max = percentile(wait, n, 1);
        ret->turnaround_mean = mean(turnaround, n);
        ret->turnaround_p99 = percentile(turnaround, n, 0.99);
        ret->slowdown_mean = mean(slowdown, n);
        ret->slowdown_p99 = percentile(slowdown, n, 0.99);
        ret->fairness = jain(users, user_count);
}
