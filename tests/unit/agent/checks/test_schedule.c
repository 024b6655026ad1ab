/* Delays, graces and failures in a row, without a clock. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/checks/check_target.h"
#include "lib/base/time.h"

#define S NSEC_PER_SEC

static struct check_timing defaults(void)
{
        Mete__V1__HealthCheck h = METE__V1__HEALTH_CHECK__INIT;
        struct check_timing t;

        assert_int_equal(check_timing_of_health(&h, "f", &t, NULL), 0);
        return t;
}

static void defaults_are_those_of_mesos(void **state)
{
        Mete__V1__CheckInfo c = METE__V1__CHECK_INFO__INIT;
        struct check_timing t = defaults();

        assert_int_equal(t.delay_ns, 15 * S);
        assert_int_equal(t.interval_ns, 10 * S);
        assert_int_equal(t.timeout_ns, 20 * S);
        assert_int_equal(t.grace_ns, 10 * S);
        assert_int_equal(t.failures_max, 3);
        assert_int_equal(check_timing_of_check(&c, "f", &t, NULL), 0);
        assert_int_equal(t.delay_ns, 15 * S);
        assert_int_equal(t.interval_ns, 10 * S);
        assert_int_equal(t.timeout_ns, 20 * S);
}

static void absurd_timings(void **state)
{
        static const double bad[] = {-1, -0.001, NAN, INFINITY};

        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                for (int k = 0; k < 4; k++) {
                        Mete__V1__HealthCheck h = METE__V1__HEALTH_CHECK__INIT;
                        _cleanup_error_ struct error e = {0};
                        static const char *const names[] = {"delay", "interval", "timeout", "grace_period"};
                        double *fields[] = {&h.delay_seconds, &h.interval_seconds, &h.timeout_seconds,
                                &h.grace_period_seconds};
                        struct check_timing t;

                        *fields[k] = bad[i];
                        assert_int_equal(check_timing_of_health(&h, "task.health_check", &t, &e), -EINVAL);
                        assert_non_null(strstr(error_message(&e), names[k]));
                }
        }
        Mete__V1__HealthCheck h = METE__V1__HEALTH_CHECK__INIT;
        struct check_timing t;
        h.delay_seconds = 1e300;
        h.interval_seconds = 0;
        h.timeout_seconds = 0;
        h.consecutive_failures = 0;
        assert_int_equal(check_timing_of_health(&h, "f", &t, NULL), 0);
        assert_true(t.delay_ns <= UINT64_C(366) * 86400 * S);
        assert_int_equal(t.interval_ns, CHECK_INTERVAL_MIN_NS);
        assert_int_equal(t.timeout_ns, UINT64_C(86400) * S);
        assert_int_equal(t.failures_max, 1);
}

static void the_first_run_comes_after_the_delay(void **state)
{
        struct check_timing t = defaults();
        struct check_schedule s;

        check_schedule_start(&s, &t, 100 * S, 100 * S);
        assert_int_equal(check_schedule_wait_ns(&s, 100 * S), 15 * S);
        assert_int_equal(check_schedule_wait_ns(&s, 114 * S), 1 * S);
        assert_int_equal(check_schedule_wait_ns(&s, 200 * S), 0);
        /* Taken over by another agent: at once when the delay is over, else what is left of it. */
        check_schedule_start(&s, &t, 100 * S, 400 * S);
        assert_int_equal(check_schedule_wait_ns(&s, 400 * S), 0);
        check_schedule_start(&s, &t, 100 * S, 105 * S);
        assert_int_equal(check_schedule_wait_ns(&s, 105 * S), 10 * S);
        /* The interval counts from the end of a run. */
        (void)check_schedule_result(&s, true, 120 * S);
        assert_int_equal(check_schedule_wait_ns(&s, 120 * S), 10 * S);
}

static struct check_verdict result(struct check_schedule *s, bool success, uint64_t seconds)
{
        return check_schedule_result(s, success, seconds * S);
}

static void only_changes_are_told(void **state)
{
        struct check_timing t = defaults();
        struct check_schedule s;

        t.failures_max = 10;
        check_schedule_start(&s, &t, 0, 0);
        assert_true(result(&s, true, 15).changed);
        assert_false(result(&s, true, 25).changed);
        assert_true(result(&s, false, 35).changed);
        assert_false(s.healthy);
        assert_false(result(&s, false, 45).changed);
        assert_true(result(&s, true, 55).changed);
        assert_true(s.known && s.healthy);
}

static void failures_in_a_row_kill(void **state)
{
        struct check_timing t = defaults();
        struct check_schedule s;

        check_schedule_start(&s, &t, 0, 0);
        assert_false(result(&s, false, 15).kill);
        assert_false(result(&s, false, 25).kill);
        assert_false(result(&s, true, 35).kill); /* forgets them */
        assert_false(result(&s, false, 45).kill);
        assert_false(result(&s, false, 55).kill);
        assert_true(result(&s, false, 65).kill);
        t.failures_max = 1;
        check_schedule_start(&s, &t, 0, 0);
        struct check_verdict v = result(&s, false, 15);
        assert_true(v.kill && v.changed);
}

static void the_grace_forgives_until_the_first_success(void **state)
{
        struct check_timing t = defaults();
        struct check_schedule s;

        t.grace_ns = 60 * S;
        t.failures_max = 2;
        check_schedule_start(&s, &t, 0, 0);
        for (uint64_t at = 15; at <= 60; at += 5) {
                struct check_verdict v = result(&s, false, at);
                assert_false(v.kill || v.changed);
                assert_false(s.known);
        }
        assert_true(result(&s, false, 61).changed);
        assert_true(result(&s, false, 62).kill);
        /* A success ends the grace, however early. */
        check_schedule_start(&s, &t, 0, 0);
        assert_true(result(&s, true, 1).changed);
        assert_true(result(&s, false, 2).changed);
        assert_true(result(&s, false, 3).kill);
        /* Without one the first failure counts. */
        t.grace_ns = 0;
        check_schedule_start(&s, &t, 0, 0);
        assert_true(result(&s, false, 0).changed);
}

static void http_statuses(void **state)
{
        static const struct {
                const char *text;
                int status;
        } rows[] = {
                {"HTTP/1.1 200 OK\r\n", 200},
                {"HTTP/1.0 404\r\n", 404},
                {"HTTP/1.1 302", 302},
                {"HTTP/1.1 2000 OK", -EBADMSG},
                {"HTTP/1.1 20", -EBADMSG},
                {"HTTP/1.1 099 x", -EBADMSG},
                {"HTTP/1.1 -20 x", -EBADMSG},
                {"HTTP/1.", -EBADMSG},
                {"HTTP/2 200", -EBADMSG},
                {"SSH-2.0-x", -EBADMSG},
                {"", -EBADMSG},
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                if (check_http_status(rows[i].text) != rows[i].status)
                        fail_msg("%s", rows[i].text);
}

static void requests_are_checked(void **state)
{
        static const struct {
                Mete__V1__HealthCheck__Type type;
                uint32_t port;
                const char *path, *scheme, *value, *message; /* NULL: accepted */
        } rows[] = {
                {METE__V1__HEALTH_CHECK__TYPE__HTTP, 80, "/x?y=1", "http", NULL, NULL},
                {METE__V1__HEALTH_CHECK__TYPE__HTTP, 80, NULL, NULL, NULL, NULL},
                {METE__V1__HEALTH_CHECK__TYPE__HTTP, 0, NULL, NULL, NULL, "task.health_check.http.port"},
                {METE__V1__HEALTH_CHECK__TYPE__HTTP, 65536, NULL, NULL, NULL, "task.health_check.http.port"},
                {METE__V1__HEALTH_CHECK__TYPE__HTTP, 80, "x", NULL, NULL, "task.health_check.http.path"},
                {METE__V1__HEALTH_CHECK__TYPE__HTTP, 80, "/x HTTP/1.1\r\nA: b", NULL, NULL,
                        "task.health_check.http.path"},
                {METE__V1__HEALTH_CHECK__TYPE__HTTP, 80, NULL, "gopher", NULL,
                        "task.health_check.http.scheme"},
                {METE__V1__HEALTH_CHECK__TYPE__TCP, 1, NULL, NULL, NULL, NULL},
                {METE__V1__HEALTH_CHECK__TYPE__TCP, 0, NULL, NULL, NULL, "task.health_check.tcp.port"},
                {METE__V1__HEALTH_CHECK__TYPE__COMMAND, 0, NULL, NULL, "true", NULL},
                {METE__V1__HEALTH_CHECK__TYPE__COMMAND, 0, NULL, NULL, "", "task.health_check.command.value"},
                {METE__V1__HEALTH_CHECK__TYPE__UNKNOWN, 0, NULL, NULL, NULL, "task.health_check.type"},
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                Mete__V1__HealthCheck h = METE__V1__HEALTH_CHECK__INIT;
                Mete__V1__HealthCheck__HTTPCheckInfo http = METE__V1__HEALTH_CHECK__HTTPCHECK_INFO__INIT;
                Mete__V1__HealthCheck__TCPCheckInfo tcp = METE__V1__HEALTH_CHECK__TCPCHECK_INFO__INIT;
                Mete__V1__CommandInfo command = METE__V1__COMMAND_INFO__INIT;
                _cleanup_error_ struct error e = {0};
                struct check_timing t;

                h.has_type = true;
                h.type = rows[i].type;
                http.port = tcp.port = rows[i].port;
                http.path = (char *)(uintptr_t)rows[i].path;
                http.scheme = (char *)(uintptr_t)rows[i].scheme;
                command.value = (char *)(uintptr_t)rows[i].value;
                h.http = &http;
                h.tcp = &tcp;
                h.command = &command;
                int r = check_target_check_health(&h, NULL, &t, &e);
                if ((r == 0) != !rows[i].message ||
                        (r < 0 && !str_has_prefix(error_message(&e), rows[i].message)))
                        fail_msg("row %zu: %d %s", i, r, error_message(&e));
        }
}

/* Standing still is no time of the task's: not of its grace, and not one in which it should have answered. */
static void frozen_time_does_not_count(void **state)
{
        struct check_timing t = defaults();
        struct check_schedule s;

        check_schedule_start(&s, &t, 0, 0);
        check_schedule_resume(&s, 100 * S, 105 * S);
        assert_int_equal(check_schedule_wait_ns(&s, 105 * S), 10 * S); /* the delay of 15 s, frozen at 5 s */
        (void)check_schedule_result(&s, false, 109 * S);
        assert_int_equal(s.failures, 0); /* 9 s of its own: within the grace */
        (void)check_schedule_result(&s, false, 111 * S);
        assert_int_equal(s.failures, 1);

        check_schedule_resume(&s, 50 * S, 200 * S);
        assert_int_equal(check_schedule_wait_ns(&s, 200 * S),
                t.interval_ns); /* not at once, nor all that was missed */
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(defaults_are_those_of_mesos),
                cmocka_unit_test(absurd_timings),
                cmocka_unit_test(the_first_run_comes_after_the_delay),
                cmocka_unit_test(only_changes_are_told),
                cmocka_unit_test(failures_in_a_row_kill),
                cmocka_unit_test(the_grace_forgives_until_the_first_success),
                cmocka_unit_test(frozen_time_does_not_count),
                cmocka_unit_test(http_statuses),
                cmocka_unit_test(requests_are_checked),
        };

        return cmocka_run_group_tests_name("agent/checks/schedule", tests, NULL, NULL);
}
