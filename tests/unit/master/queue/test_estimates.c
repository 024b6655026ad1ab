/* Run times learned: means and percentiles against exact ones, decay, what remains, bytes and back, bytes that are none. */

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "master/queue/estimates.h"

#define DAY_NS (24 * 3600 * NSEC_PER_SEC)
#define START_NS (UINT64_C(1800000000) * NSEC_PER_SEC)
static const struct wall_time start = {START_NS};

/* A generator of our own: the same numbers everywhere. */
static uint64_t random_state;
static uint64_t random_next(void)
{
        random_state ^= random_state << 13;
        random_state ^= random_state >> 7;
        random_state ^= random_state << 17;
        return random_state;
}
static double random_fraction(void)
{
        return (double)(random_next() >> 11) * 0x1p-53;
}

static void assert_near(double a, double b, double relative)
{
        if (fabs(a - b) > relative * MAX(fabs(a), fabs(b)) + 1e-3)
                fail_msg("%.9g is not within %g of %.9g", a, relative, b);
}

static int by_value(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;

        return (x > y) - (x < y);
}

static void add(struct estimates *s, const char *name, double seconds, double cpu, struct wall_time now)
{
        estimates_add(s, "alice", name, (uint64_t)(seconds * 1e9), (uint64_t)(cpu * 1e9), now);
}

/* ---- against the exact figures ---- */

static void compare_with_exact(struct estimates *s, const char *name, double *runs, size_t count)
{
        struct estimate x;
        double sum = 0, ran, beyond = 0, exact_p90;
        size_t longer = 0;

        for (size_t i = 0; i < count; i++) {
                add(s, name, runs[i], runs[i] / 2, start);
                sum += runs[i];
        }
        qsort(runs, count, sizeof(*runs), by_value);
        assert_true(estimates_get(s, "alice", name, start, &x));
        assert_near((double)x.samples, (double)count, 1e-5);
        assert_near((double)x.expected_ns / 1e9, sum / (double)count, 1e-5);
        assert_near((double)x.cpu_ns / 1e9, sum / 2 / (double)count, 1e-5);
        exact_p90 = runs[(size_t)ceil(0.9 * (double)count) - 1];
        if ((double)x.p90_ns / 1e9 < exact_p90 - 1e-6)
                fail_msg("p90 %g is below the exact %g", (double)x.p90_ns / 1e9, exact_p90);
        assert_near((double)x.p90_ns / 1e9, exact_p90, 0.0501);

        ran = runs[count / 2];
        for (size_t i = 0; i < count; i++)
                if (runs[i] > ran) {
                        beyond += runs[i] - ran;
                        longer++;
                }
        if (longer > 100) { /* in a bucket the run times are spread as the histogram takes them to be */
                double residual =
                        (double)estimates_residual(s, "alice", name, (uint64_t)(ran * 1e9), start) / 1e9;

                if (fabs(residual - beyond / (double)longer) > 0.05 * (ran + beyond / (double)longer))
                        fail_msg("%g remain after %g, exactly %g", residual, ran, beyond / (double)longer);
        }
        assert_int_equal(
                estimates_residual(s, "alice", name, (uint64_t)(runs[count - 1] * 1.06e9), start), 0);
}

static void test_percentiles_are_within_a_bucket(void **state)
{
        struct estimates *s = estimates_new();

        random_state = 88172645463325252;
        for (int round = 0; round < 200; round++) {
                size_t count = 1 + random_next() % 3000;
                double scale = pow(10, 6 * random_fraction() - 2), *runs = xcalloc(count, sizeof(*runs));
                char name[16];

                for (size_t i = 0; i < count; i++) /* even, exponential, and with a heavy tail */
                        runs[i] = scale * (round % 3 == 0          ? 0.1 + random_fraction()
                                                  : round % 3 == 1 ? -log(1 - random_fraction())
                                                                   : 0.1 / pow(1 - random_fraction(), 0.7));
                for (size_t i = 0; i < count; i++)
                        runs[i] = MIN(runs[i], 1e7);
                (void)snprintf(name, sizeof(name), "job%d", round);
                compare_with_exact(s, name, runs, count);
                free(runs);
        }
        estimates_free(s);
}

/* ---- decay ---- */

static void test_old_runs_count_half_after_a_week(void **state)
{
        struct estimates *s = estimates_new();
        const struct wall_time week = {START_NS + 7 * DAY_NS}, two = {START_NS + 14 * DAY_NS};
        struct estimate x;

        add(s, "job", 10, 0, start);
        add(s, "job", 10, 0, start);
        assert_true(estimates_get(s, "alice", "job", week, &x));
        assert_near(x.samples, 1, 1e-6);
        assert_near((double)x.expected_ns / 1e9, 10, 1e-6);
        assert_int_equal(x.cpu_ns, 0);
        add(s, "job", 40, 8, week); /* two old ones of 10 count as one: (10 + 40) / 2 */
        assert_true(estimates_get(s, "alice", "job", week, &x));
        assert_near(x.samples, 2, 1e-6);
        assert_near((double)x.expected_ns / 1e9, 25, 1e-6);
        assert_near((double)x.cpu_ns / 1e9, 8, 1e-6); /* that of the old ones is not known */
        assert_true(estimates_get(s, "alice", "job", two, &x));
        assert_near(x.samples, 1, 1e-6);
        assert_true(
                estimates_get(s, "alice", "job", (struct wall_time){0}, &x)); /* a clock that was set back */
        assert_near(x.samples, 4, 1e-6);
        estimates_free(s);
}

/* Far apart, and with so many half-lives that weights are scaled down on the way. */
static void test_what_is_long_ago_is_forgotten(void **state)
{
        struct estimates *s = estimates_new();
        struct wall_time now = start;
        struct estimate x;

        for (int i = 0; i < 1000; i++)
                add(s, "job", 1000, 0, start);
        for (int i = 0; i < 200; i++) {
                now.ns += 5 * DAY_NS;
                add(s, "job", 10, 0, now);
        }
        assert_true(estimates_get(s, "alice", "job", now, &x));
        assert_near((double)x.expected_ns / 1e9, 10, 1e-6);
        assert_near(x.samples, 1 / (1 - exp2(-5.0 / 7)), 1e-6); /* a geometric series */
        assert_true((double)x.p90_ns < 10.6e9);
        assert_int_equal(estimates_residual(s, "alice", "job", 11 * NSEC_PER_SEC, now), 0);
        estimates_free(s);
}

static void test_a_burst_is_counted_in_full(void **state)
{
        struct estimates *s = estimates_new();
        struct wall_time now = start;
        struct estimate x;

        for (int i = 0; i < 200000; i++) {
                add(s, "job", i % 2 ? 1 : 3, 0, now);
                now.ns += NSEC_PER_MSEC;
        }
        assert_true(estimates_get(s, "alice", "job", now, &x));
        assert_near(x.samples, 200000, 1e-3);
        assert_near((double)x.expected_ns / 1e9, 2, 1e-3);
        estimates_free(s);
}

/* ---- names ---- */

static void test_users_do_not_share(void **state)
{
        struct estimates *s = estimates_new();
        struct estimate x;

        add(s, "job", 10, 0, start);
        assert_false(estimates_get(s, "bob", "job", start, &x));
        assert_false(estimates_get(s, "alice", "jo", start, &x));
        assert_int_equal(estimates_residual(s, "bob", "job", 0, start), 0);
        estimates_free(s);
}

struct forgotten {
        size_t count;
        char last[64];
};

static void forgot(const char *user, const char *name, void *userdata)
{
        struct forgotten *f = userdata;

        f->count++;
        (void)snprintf(f->last, sizeof(f->last), "%s %s", user, name);
}

static void test_the_longest_unused_is_forgotten(void **state)
{
        struct estimates *s = estimates_new();
        struct forgotten f = {};
        struct estimate x;
        char name[16];

        estimates_on_forget(s, forgot, &f);
        for (int i = 0; i < ESTIMATES_MAX; i++) {
                (void)snprintf(name, sizeof(name), "j%d", i);
                add(s, name, 1, 0, start);
        }
        add(s, "j0", 1, 0, start);
        assert_int_equal(f.count, 0);
        add(s, "new", 1, 0, start);
        assert_int_equal(f.count, 1);
        assert_string_equal(f.last, "alice j1");
        assert_int_equal(estimates_count(s), ESTIMATES_MAX);
        assert_true(estimates_get(s, "alice", "j0", start, &x));
        assert_false(estimates_get(s, "alice", "j1", start, &x));
        estimates_free(s);
}

/* ---- bytes ---- */

static void test_bytes_and_back(void **state)
{
        _cleanup_buffer_ struct buffer bytes = {}, again = {};
        struct estimates *a = estimates_new(), *b = estimates_new();
        const struct wall_time later = {START_NS + 3 * DAY_NS};
        struct estimate x, y;

        random_state = 1;
        for (int i = 0; i < 500; i++)
                add(a, "job", 100 * random_fraction(), i % 3,
                        (struct wall_time){START_NS + (uint64_t)i * 3600 * NSEC_PER_SEC});
        estimates_encode(a, "alice", "job", &bytes);
        assert_true(bytes.len > 0);
        add(b, "job", 1e6, 1, start); /* is replaced */
        assert_int_equal(estimates_decode(b, "alice", "job", bytes.data, bytes.len, NULL), 0);
        assert_true(estimates_get(a, "alice", "job", later, &x));
        assert_true(estimates_get(b, "alice", "job", later, &y));
        assert_near((double)x.expected_ns, (double)y.expected_ns, 1e-6);
        assert_near((double)x.cpu_ns, (double)y.cpu_ns, 1e-6);
        assert_int_equal(x.p90_ns, y.p90_ns);
        assert_near(x.samples, y.samples, 1e-6);
        assert_near((double)estimates_residual(a, "alice", "job", 20 * NSEC_PER_SEC, later),
                (double)estimates_residual(b, "alice", "job", 20 * NSEC_PER_SEC, later), 1e-6);
        estimates_encode(b, "alice", "job", &again);
        assert_int_equal(bytes.len, again.len);
        estimates_encode(b, "alice", "unknown", &again);
        assert_int_equal(bytes.len, again.len);
        estimates_free(a);
        estimates_free(b);
}

/* Whatever the bytes say: refused, or an estimate that adds up and takes further runs. */
static void try_bytes(const uint8_t *data, size_t len)
{
        _cleanup_error_ struct error e = {};
        struct estimates *s = estimates_new();
        struct estimate x;

        if (estimates_decode(s, "alice", "job", data, len, &e) < 0) {
                assert_int_equal(e.code, -EINVAL);
                assert_int_equal(estimates_count(s), 0);
        }
        for (int i = 0; i < 2; i++) {
                if (estimates_get(s, "alice", "job", start, &x))
                        assert_true(isfinite(x.samples) && x.samples >= 0);
                (void)estimates_residual(s, "alice", "job", 5 * NSEC_PER_SEC, start);
                add(s, "job", 5, 1, start);
        }
        estimates_free(s);
}

static void test_hostile_bytes(void **state)
{
        _cleanup_buffer_ struct buffer bytes = {};
        struct estimates *s = estimates_new();

        random_state = 7;
        for (int i = 0; i < 20; i++)
                add(s, "job", 100 * random_fraction(), 1, start);
        estimates_encode(s, "alice", "job", &bytes);
        estimates_free(s);
        for (size_t len = 0; len < bytes.len; len++) { /* cut short */
                struct estimates *none = estimates_new();

                assert_int_equal(estimates_decode(none, "a", "b", bytes.data, len, NULL), -EINVAL);
                estimates_free(none);
        }
        {
                _cleanup_free_ uint8_t *beyond = xmemdup(bytes.data, bytes.len);
                struct estimates *none = estimates_new();

                memset(&beyond[bytes.len - 10], 0xff, 2); /* the index of the last bucket */
                assert_int_equal(estimates_decode(none, "a", "b", beyond, bytes.len, NULL), -EINVAL);
                estimates_free(none);
        }
        for (int round = 0; round < 20000; round++) {
                uint8_t *data = xmemdup(bytes.data, bytes.len);
                size_t len = random_next() % 8 ? bytes.len : random_next() % (bytes.len + 1);

                for (size_t n = 1 + random_next() % 12; n > 0; n--)
                        data[random_next() % bytes.len] = (uint8_t)(random_next() % 3 ? random_next() : 0xff);
                if (round % 2)
                        data[0] = 1;
                try_bytes(data, len);
                free(data);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_percentiles_are_within_a_bucket),
                cmocka_unit_test(test_old_runs_count_half_after_a_week),
                cmocka_unit_test(test_what_is_long_ago_is_forgotten),
                cmocka_unit_test(test_a_burst_is_counted_in_full),
                cmocka_unit_test(test_users_do_not_share),
                cmocka_unit_test(test_the_longest_unused_is_forgotten),
                cmocka_unit_test(test_bytes_and_back),
                cmocka_unit_test(test_hostile_bytes),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
