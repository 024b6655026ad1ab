/* Traces: read, made up, run through allocator and queue, and measured. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tools/sim/trace/simulation.h"

#define SECOND NSEC_PER_SEC
#define GIB (UINT64_C(1) << 30)

/* ---- reading ---- */

static int read_text(const char *text, struct trace *ret, struct error *e)
{
        char path[] = "/tmp/mete-trace-XXXXXX";
        int fd = mkstemp(path), r;

        assert_true(fd >= 0);
        assert_int_equal(write_all(fd, text, strlen(text)), 0);
        (void)close(fd);
        r = trace_read_swf(path, 0, ret, e);
        (void)unlink(path);
        return r;
}

static void test_swf_is_read(void **state)
{
        _cleanup_trace_ struct trace t = {};
        _cleanup_error_ struct error e = {};

        assert_int_equal(read_text("; Version: 2.2\n"
                                   "\n"
                                   "2 160 -1 50 4 -1 2048 8 90 -1 1 7 -1 3 2 -1 -1 -1\n"
                                   "1 100 5 30 -1 -1 -1 2 -1 4096 1 8 -1 3 -1 -1 -1 -1\n"
                                   "3 200 5 -1 2 -1 -1 2 60 -1 5 8 -1 3 1 -1 -1 -1\n",
                                 &t, &e),
                0);
        assert_int_equal(t.count, 2); /* the third never ran */
        assert_int_equal(t.left_out, 1);
        assert_int_equal(t.jobs[0].submit_ns, 0);     /* in the order of submission, from zero */
        assert_int_equal(t.jobs[0].milli_cpus, 2000); /* requested, as none were noted as allocated */
        assert_int_equal(t.jobs[0].memory_bytes, 2 * 4096 * 1024);
        assert_int_equal(t.jobs[0].requested_ns, 0);
        assert_int_equal(t.jobs[1].submit_ns, 60 * SECOND);
        assert_int_equal(t.jobs[1].run_ns, 50 * SECOND);
        assert_int_equal(t.jobs[1].requested_ns, 90 * SECOND);
        assert_int_equal(t.jobs[1].milli_cpus, 4000);
        assert_int_equal(t.jobs[1].memory_bytes, UINT64_C(4) * 2048 * 1024);
        assert_int_equal(t.jobs[1].user, 7);
        assert_int_equal(t.jobs[1].program, 3);
}

/* As rounded as they may be, amounts are there, and what is made of them later fits into 64 bits. */
static void test_tiny_and_huge_amounts(void **state)
{
        _cleanup_trace_ struct trace t = {};
        _cleanup_error_ struct error e = {};

        assert_int_equal(read_text("1 0 0 1e-300 1e-300 0 1e-300 0 0 0 1 7 1 3 1 -1 -1 -1\n"
                                   "2 1 0 1e10 1e9 -1 1e9 1e9 1e10 1e9 1 7 1 3 1 -1 -1 -1\n",
                                 &t, &e),
                0);
        assert_int_equal(t.jobs[0].run_ns, 1);
        assert_int_equal(t.jobs[0].milli_cpus, 1);
        assert_int_equal(t.jobs[0].memory_bytes, 1);
        assert_int_equal(t.jobs[1].run_ns, UINT64_C(10000000000) * SECOND);
        assert_int_equal(t.jobs[1].milli_cpus, UINT64_C(1000000000000));
        assert_int_equal(t.jobs[1].memory_bytes, UINT64_C(1) << 53);
}

static void refused(const char *text, const char *sentence)
{
        _cleanup_trace_ struct trace t = {};
        _cleanup_error_ struct error e = {};

        assert_int_equal(read_text(text, &t, &e), -EINVAL);
        if (!strstr(error_message(&e), sentence))
                fail_msg("%s", error_message(&e));
}

static void test_bad_swf_is_refused(void **state)
{
        _cleanup_trace_ struct trace t = {};
        _cleanup_error_ struct error e = {};

        refused("", "no job that ran");
        refused("; only a comment\n1 2 3\n", ":2: 18 numbers are expected");
        refused("1 160 -1 50 4 -1 2048 8 90 -1 1 7 -1 3 2 -1 -1 -1 9\n", ":1: 18 numbers");
        refused("1 160 -1 x 4 -1 2048 8 90 -1 1 7 -1 3 2 -1 -1 -1\n", ":1: 18 numbers");
        refused("1 nan -1 50 4 -1 2048 8 90 -1 1 7 -1 3 2 -1 -1 -1\n", ":1: 18 numbers");
        refused("1 160 -1 1e300 4 -1 2048 8 90 -1 1 7 -1 3 2 -1 -1 -1\n", ":1: at most");
        refused("1 160 -1 50 4e12 -1 2048 8 90 -1 1 7 -1 3 2 -1 -1 -1\n", ":1: at most");
        refused("1 160 -1 50 4 -1 2048 8 90 -1 1 4e9 -1 3 2 -1 -1 -1\n", ":1: at most");
        assert_int_equal(trace_read_swf("/nowhere/trace.swf", 0, &t, &e), -ENOENT);
}

/* ---- making up ---- */

static const struct synthetic_options synthetic = {.seed = 3,
        .jobs = 4000,
        .users = 10,
        .mean_run_ns = 100 * SECOND,
        .load_milli = 800,
        .machines = 8,
        .machine_milli_cpus = 16000,
        .machine_memory_bytes = 64 * GIB};

static int compare_run(const void *a, const void *b)
{
        const struct trace_job *x = a, *y = b;

        return x->run_ns < y->run_ns ? -1 : x->run_ns > y->run_ns;
}

static void test_made_up_traces_are_as_asked_for(void **state)
{
        _cleanup_trace_ struct trace t = {}, same = {}, other = {};
        struct synthetic_options seed = synthetic;
        double work = 0, long_work = 0, span;

        trace_generate(&synthetic, &t);
        trace_generate(&synthetic, &same);
        seed.seed++;
        trace_generate(&seed, &other);
        assert_int_equal(t.count, 4000);
        assert_memory_equal(t.jobs, same.jobs, t.count * sizeof(*t.jobs));
        assert_memory_not_equal(t.jobs, other.jobs, t.count * sizeof(*t.jobs));
        for (size_t i = 0; i < t.count; i++) {
                assert_true(i == 0 || t.jobs[i].submit_ns >= t.jobs[i - 1].submit_ns);
                assert_true(t.jobs[i].milli_cpus >= 1000 && t.jobs[i].milli_cpus <= 16000);
                assert_true(t.jobs[i].memory_bytes <= 64 * GIB);
                assert_true(t.jobs[i].requested_ns >= t.jobs[i].run_ns);
                work += (double)t.jobs[i].run_ns * (double)t.jobs[i].milli_cpus;
        }
        /* The arrivals are random: their time is within four deviations (6 %) of the mean. */
        span = (double)t.jobs[t.count - 1].submit_ns;
        assert_true(work / span / (8 * 16000.0) > 0.75 && work / span / (8 * 16000.0) < 0.85);
        /* Heavy tail: the longest tenth of the jobs is most of the time. */
        qsort(t.jobs, t.count, sizeof(*t.jobs), compare_run);
        work = 0;
        for (size_t i = 0; i < t.count; i++) {
                work += (double)t.jobs[i].run_ns;
                long_work += i >= t.count / 10 * 9 ? (double)t.jobs[i].run_ns : 0;
        }
        assert_true(long_work / work > 0.5);
}

/* ---- running ---- */

/* One machine of one core; each job needs all of it. */
static void simulate(enum queue_policy policy, enum queue_preemption preemption, const struct trace *t,
        struct simulation_result *ret)
{
        struct simulation_options o = {.estimates = KNOWS_EXACT,
                .machines = 1,
                .machine_milli_cpus = 1000,
                .machine_memory_bytes = 64 * GIB};
        _cleanup_error_ struct error e = {};

        queue_config_default(&o.queue);
        o.queue.policy = policy;
        o.queue.preemption = preemption;
        o.queue.grace_ns = o.queue.min_gain_ns = 0;
        if (simulation_run(&o, t, ret, &e) < 0)
                fail_msg("%s", error_message(&e));
}

static void add_job(struct trace *t, uint64_t submit_s, uint64_t run_s)
{
        trace_add(t, &(struct trace_job){.submit_ns = submit_s * SECOND,
                             .run_ns = run_s * SECOND,
                             .milli_cpus = 1000,
                             .memory_bytes = GIB,
                             .user = (uint32_t)t->count,
                             .priority = 500});
}

static void assert_close(double value, double expected)
{
        if (value < expected - 1e-6 || value > expected + 1e-6)
                fail_msg("%g, not %g", value, expected);
}

/*
 * 24, 3 and 3 seconds at once. First come: ends at 24, 27, 30: turnaround 27 on average, waits 0, 24, 27: 17. Shortest first: 3, 6, 30:
 * 13, waits 0, 3, 6: 3.
 */
static void test_shortest_first_by_hand(void **state)
{
        struct simulation_result fifo, sjf;
        _cleanup_trace_ struct trace t = {};

        add_job(&t, 0, 24);
        add_job(&t, 0, 3);
        add_job(&t, 0, 3);
        simulate(QUEUE_FIFO, QUEUE_PREEMPT_NONE, &t, &fifo);
        simulate(QUEUE_SJF, QUEUE_PREEMPT_NONE, &t, &sjf);
        assert_close(fifo.turnaround_mean, 27);
        assert_close(fifo.wait_mean, 17);
        assert_close(sjf.turnaround_mean, 13);
        assert_close(sjf.wait_mean, 3);
        assert_close(sjf.wait_max, 6);
        assert_close(sjf.makespan, 30);
}

/*
 * 8, 4, 9 and 5 seconds, coming at 0, 1, 2 and 3. Shortest remaining first: the second interrupts the first at 1 (7 remain), ends at 5;
 * the fourth ends at 10, the first at 17, the third at 26: turnaround (17 + 4 + 24 + 7) / 4 = 13. Shortest first without interruption:
 * 8, 12, 17, 26: (8 + 11 + 14 + 24) / 4 = 14.25. First come: 8, 12, 21, 26: (8 + 11 + 19 + 23) / 4 = 15.25.
 */
static void test_shortest_remaining_first_by_hand(void **state)
{
        struct simulation_result r;
        _cleanup_trace_ struct trace t = {};

        add_job(&t, 0, 8);
        add_job(&t, 1, 4);
        add_job(&t, 2, 9);
        add_job(&t, 3, 5);
        simulate(QUEUE_SRTF, QUEUE_PREEMPT_SUSPEND, &t, &r);
        assert_close(r.turnaround_mean, 13);
        assert_int_equal(r.suspensions, 1);
        assert_close(r.utilisation, 1); /* until the last came */
        assert_close(r.lost, 0);
        simulate(QUEUE_SJF, QUEUE_PREEMPT_SUSPEND, &t, &r);
        assert_close(r.turnaround_mean, 14.25);
        assert_int_equal(r.suspensions, 0);
        simulate(QUEUE_FIFO, QUEUE_PREEMPT_SUSPEND, &t, &r);
        assert_close(r.turnaround_mean, 15.25);
}

/* Two users, served by 1 and by 1/3: (4/3)^2 / (2 * 10/9) = 0.8. */
static void test_jain_by_hand(void **state)
{
        struct simulation_result r;
        _cleanup_trace_ struct trace t = {};

        add_job(&t, 0, 20);
        add_job(&t, 0, 10); /* waits 20, runs 10: 10/30 */
        simulate(QUEUE_FIFO, QUEUE_PREEMPT_NONE, &t, &r);
        assert_close(r.fairness, 0.8);
        assert_close(r.slowdown_mean, 2); /* 1 and 3 */
        assert_close(r.wait_p50, 0);
        assert_close(r.wait_p99, 20);
}

/* Every policy runs a made-up trace to its end, with the books of allocator and queue in balance; those who know run times beat first come. */
static void test_policies_on_a_made_up_trace(void **state)
{
        struct simulation_options o = {.estimates = KNOWS_EXACT,
                .machines = 4,
                .machine_milli_cpus = 8000,
                .machine_memory_bytes = 32 * GIB};
        struct synthetic_options s = synthetic;
        struct simulation_result r[QUEUE_POLICY_MAX];
        _cleanup_trace_ struct trace t = {};

        s.jobs = 1000;
        s.machines = 4;
        s.machine_milli_cpus = 8000;
        s.machine_memory_bytes = 32 * GIB;
        s.load_milli = 1200;
        trace_generate(&s, &t);
        for (int p = 0; p < QUEUE_POLICY_MAX; p++) {
                _cleanup_error_ struct error e = {};

                queue_config_default(&o.queue);
                o.queue.policy = p;
                o.queue.preemption = QUEUE_PREEMPT_REQUEUE;
                if (simulation_run(&o, &t, &r[p], &e) < 0)
                        fail_msg("%s: %s", queue_policy_to_string(p), error_message(&e));
                assert_int_equal(r[p].jobs, 1000);
                assert_true(r[p].utilisation > 0.5 && r[p].utilisation <= 1 + 1e-9 && r[p].lost < 0.2);
                assert_true(r[p].fairness > 0 && r[p].fairness <= 1);
        }
        assert_true(r[QUEUE_SJF].turnaround_mean < r[QUEUE_FIFO].turnaround_mean);
        assert_true(r[QUEUE_SRTF].turnaround_mean < r[QUEUE_FIFO].turnaround_mean);
        assert_true(r[QUEUE_SRTF].slowdown_mean < r[QUEUE_FIFO].slowdown_mean);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_swf_is_read),
                cmocka_unit_test(test_tiny_and_huge_amounts),
                cmocka_unit_test(test_bad_swf_is_refused),
                cmocka_unit_test(test_made_up_traces_are_as_asked_for),
                cmocka_unit_test(test_shortest_first_by_hand),
                cmocka_unit_test(test_shortest_remaining_first_by_hand),
                cmocka_unit_test(test_jain_by_hand),
                cmocka_unit_test(test_policies_on_a_made_up_trace),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
