#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/outcome.h"
#include "agent/usage.h"

#define EXITED(n) ((n) << 8)

static struct task_outcome decide(struct shim_record r, bool kill_asked, uint64_t oom_kills)
{
        struct container_usage u = {
                .cgroup = {
                        .has_memory = true, .memory_limit_bytes = 64u << 20, .memory_oom_kills = oom_kills}};
        const struct task_facts f = {
                .has_record = true,
                .record = &r,
                .kill_asked = kill_asked,
                .usage = &u,
                .memory_cgroup = "/sys/fs/cgroup/memory/x",
                .memory_limit_bytes = 64u << 20,
                .memory_peak_bytes = 64u << 20,
        };
        struct task_outcome o;

        task_outcome_decide(&f, &o);
        return o;
}

static struct shim_record ended(int wait_status)
{
        return (struct shim_record){.started_wall_ns = 1, .finished_wall_ns = 2, .wait_status = wait_status};
}

static void exits(void **state)
{
        _cleanup_outcome_ struct task_outcome good = decide(ended(0), false, 0);
        _cleanup_outcome_ struct task_outcome bad = decide(ended(EXITED(3)), false, 0);
        _cleanup_outcome_ struct task_outcome killed = decide(ended(SIGTERM), true, 0);
        _cleanup_outcome_ struct task_outcome died = decide(ended(SIGSEGV), false, 0);

        assert_int_equal(good.state, METE__V1__TASK_STATE__TASK_FINISHED);
        assert_int_equal(good.exit_code, 0);
        assert_int_equal(bad.state, METE__V1__TASK_STATE__TASK_FAILED);
        assert_int_equal(bad.exit_code, 3);
        assert_string_equal(bad.message, "Command exited with status 3");
        assert_int_equal(killed.state, METE__V1__TASK_STATE__TASK_KILLED);
        assert_int_equal(killed.exit_code, 128 + SIGTERM);
        assert_int_equal(died.state, METE__V1__TASK_STATE__TASK_FAILED);
        assert_non_null(strstr(died.message, "SIGSEGV"));
}

/* Being killed decides, not what the command made of it. */
static void kills_have_causes(void **state)
{
        struct shim_record r = ended(0);
        struct task_facts f = {.has_record = true, .record = &r, .kill_asked = true};
        struct task_outcome o;

        task_outcome_decide(&f, &o);
        assert_int_equal(o.state, METE__V1__TASK_STATE__TASK_KILLED);
        assert_int_equal(o.exit_code, 0);
        task_outcome_done(&o);
        f.kill_cause = KILL_CAUSE_UNHEALTHY;
        r.wait_status = SIGTERM;
        task_outcome_decide(&f, &o);
        assert_int_equal(o.state, METE__V1__TASK_STATE__TASK_KILLED);
        task_outcome_done(&o);
        for (int i = 0; i < 2; i++) {
                r.wait_status = i ? 0 : SIGKILL;
                f.kill_cause = KILL_CAUSE_COMPLETION_TIME;
                task_outcome_decide(&f, &o);
                assert_int_equal(o.state, METE__V1__TASK_STATE__TASK_FAILED);
                assert_int_equal(o.reason, METE__V1__TASK_STATUS__REASON__REASON_MAX_COMPLETION_TIME_REACHED);
                assert_non_null(strstr(o.message, "max_completion_time"));
                task_outcome_done(&o);
        }
}

static void memory_kills_are_named(void **state)
{
        _cleanup_outcome_ struct task_outcome o = decide(ended(SIGKILL), false, 1);
        _cleanup_outcome_ struct task_outcome child = decide(ended(EXITED(1)), false, 2);
        _cleanup_outcome_ struct task_outcome survived = decide(ended(0), false, 1);
        _cleanup_outcome_ struct task_outcome other = decide(ended(SIGSEGV), false, 1);
        _cleanup_outcome_ struct task_outcome asked = decide(ended(SIGKILL), true, 1);

        assert_int_equal(o.reason, METE__V1__TASK_STATUS__REASON__REASON_CONTAINER_LIMITATION_MEMORY);
        assert_int_equal(o.exit_code, 137);
        assert_true(o.memory_limit_hit);
        assert_string_equal(o.message, "memory limit reached: cgroup /sys/fs/cgroup/memory/x killed 1 "
                                       "process at its limit of 64.0 MiB "
                                       "(67108864 bytes), peak 64.0 MiB (67108864 bytes)");
        assert_true(child.memory_limit_hit);
        assert_int_equal(survived.state, METE__V1__TASK_STATE__TASK_FINISHED);
        assert_false(other.memory_limit_hit);
        assert_int_equal(asked.state, METE__V1__TASK_STATE__TASK_KILLED);
}

static void failed_steps_are_told(void **state)
{
        struct shim_record r = {.finished_wall_ns = 2,
                .failed_errno = 2,
                .failed_stage = "exec",
                .failed_text = "no such file /x"};
        _cleanup_outcome_ struct task_outcome o = decide(r, false, 0);
        _cleanup_outcome_ struct task_outcome k = decide(r, true, 0);

        assert_int_equal(o.state, METE__V1__TASK_STATE__TASK_FAILED);
        assert_int_equal(o.reason, METE__V1__TASK_STATUS__REASON__REASON_CONTAINER_LAUNCH_FAILED);
        assert_string_equal(o.message, "exec: no such file /x");
        assert_true(o.has_exit_code);
        assert_int_equal(o.exit_code, 127);
        r.failed_errno = EACCES;
        _cleanup_outcome_ struct task_outcome denied = decide(r, false, 0);
        assert_int_equal(denied.exit_code, 126);
        (void)snprintf(r.failed_stage, sizeof(r.failed_stage), "mount");
        _cleanup_outcome_ struct task_outcome earlier = decide(r, false, 0);
        assert_false(earlier.has_exit_code);
        assert_int_equal(k.state, METE__V1__TASK_STATE__TASK_KILLED);
        assert_int_equal(k.reason, METE__V1__TASK_STATUS__REASON__REASON_TASK_KILLED_DURING_LAUNCH);
}

/* Killed for memory while the container was being set up. */
static void a_launch_out_of_memory_is_told(void **state)
{
        _cleanup_outcome_ struct task_outcome o =
                decide((struct shim_record){.finished_wall_ns = 2, .wait_status = SIGKILL}, false, 1);

        assert_int_equal(o.reason, METE__V1__TASK_STATUS__REASON__REASON_CONTAINER_LIMITATION_MEMORY);
        assert_int_equal(o.exit_code, 137);
}

static void a_killed_shim_is_told(void **state)
{
        _cleanup_outcome_ struct task_outcome o =
                decide((struct shim_record){.started_wall_ns = 1}, false, 0);

        assert_int_equal(o.state, METE__V1__TASK_STATE__TASK_FAILED);
        assert_non_null(strstr(o.message, "shim was killed"));
}

static void histogram_bounds(void **state)
{
        uint64_t h[27] = {0};

        assert_int_equal(usage_histogram_bound_ns(h, 27, 990), 0);
        h[0] = 99;
        assert_int_equal(usage_histogram_bound_ns(h, 27, 990), 1000);
        h[10] = 1;
        assert_int_equal(usage_histogram_bound_ns(h, 27, 990), 1000);
        h[10] = 2;
        assert_int_equal(usage_histogram_bound_ns(h, 27, 990), 1024 * 1000);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(exits),
                cmocka_unit_test(kills_have_causes),
                cmocka_unit_test(memory_kills_are_named),
                cmocka_unit_test(failed_steps_are_told),
                cmocka_unit_test(a_launch_out_of_memory_is_told),
                cmocka_unit_test(a_killed_shim_is_told),
                cmocka_unit_test(histogram_bounds),
        };

        return cmocka_run_group_tests_name("agent/outcome", tests, NULL, NULL);
}
