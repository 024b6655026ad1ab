#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/container.h"
#include "agent/gc.h"
#include "agent/master_link.h"

static void transitions(void **state)
{
        static const bool expected[CONTAINER_STATE_MAX][CONTAINER_STATE_MAX] = {
                /* to:    created fetching starting running killing ended */
                /* created  */ {false, true, true, false, false, true},
                /* fetching */ {false, false, true, false, false, true},
                /* starting */ {false, false, false, true, true, true},
                /* running  */ {false, false, false, false, true, true},
                /* killing  */ {false, false, false, false, false, true},
                /* ended    */ {false, false, false, false, false, false},
        };

        for (int from = 0; from < CONTAINER_STATE_MAX; from++)
                for (int to = 0; to < CONTAINER_STATE_MAX; to++)
                        if (container_state_allowed(from, to) != expected[from][to])
                                fail_msg("%s -> %s", container_state_to_string(from),
                                        container_state_to_string(to));
        assert_false(container_state_allowed(CONTAINER_STATE_INVALID, CONTAINER_STATE_ENDED));
        assert_int_equal(container_state_from_string("killing"), CONTAINER_STATE_KILLING);
        assert_int_equal(container_state_from_string("x"), CONTAINER_STATE_INVALID);
}

static void backoff_grows_to_its_bound(void **state)
{
        assert_int_equal(master_link_backoff_ns(0, 0), 100 * NSEC_PER_MSEC);
        assert_int_equal(master_link_backoff_ns(3, 0), 800 * NSEC_PER_MSEC);
        assert_int_equal(master_link_backoff_ns(7, 0), 10 * NSEC_PER_SEC);
        assert_int_equal(master_link_backoff_ns(1000000, 0), 10 * NSEC_PER_SEC);
        assert_true(master_link_backoff_ns(0, UINT32_MAX) >= 50 * NSEC_PER_MSEC);
        assert_true(master_link_backoff_ns(0, UINT32_MAX) < 51 * NSEC_PER_MSEC);
}

static void sandbox_paths(void **state)
{
        _cleanup_free_ char *p = gc_sandbox_path("a", "f", "t", "c");

        assert_string_equal(p, "slaves/a/frameworks/f/executors/t/runs/c");
        assert_string_equal(gc_relative_path("/w/d/x/y", "/w/d"), "x/y");
        assert_string_equal(gc_relative_path("/w/d/x/y", "/w/d/"), "x/y");
        assert_null(gc_relative_path("/w/dx/y", "/w/d"));
        assert_null(gc_relative_path("/other", "/w/d"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(transitions),
                cmocka_unit_test(backoff_grows_to_its_bound),
                cmocka_unit_test(sandbox_paths),
        };

        return cmocka_run_group_tests_name("agent/container", tests, NULL, NULL);
}
