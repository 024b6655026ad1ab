/* After a start with quotas nothing is offered until the agents are back. */

#include "tests/unit/master/fixture.h"

#include "master/operator/recovery_hold.h"
#include "master/operator/roles.h"

static void done(int result, void *userdata)
{
        *(int *)userdata = result;
}

static void set_quota(struct fixture *x)
{
        Mete__Api__Call__SetQuota call = METE__API__CALL__SET_QUOTA__INIT;
        Mete__Api__Quota q = METE__API__QUOTA__INIT, *list[] = {&q};
        static char role[] = "r", cpus[] = "cpus";
        const char *field;
        int result = 1;

        q.resource = cpus;
        q.has_guarantee = true;
        q.guarantee = 1;
        call.role = role;
        call.quotas = list;
        call.n_quotas = 1;
        assert_int_equal(roles_set_quota(x->master->roles, &call, done, &result, &field, NULL), 0);
        WAIT_FOR(x, result == 0);
}

static bool is_offered(struct fixture *x)
{
        struct allocator_offer o;

        allocator_revive(x->master->allocator, x->f->id, NULL);
        if (allocator_next_offer(x->master->allocator, mono_now(), &o) != ALLOCATOR_OFFER)
                return false;
        allocator_offer_done(&o);
        return true;
}

static void begin_with_an_agent(struct fixture *x, bool quota)
{
        fixture_start(x);
        join(x, NULL, 0);
        if (quota)
                set_quota(x);
        begin_again(x);
}

static void test_without_quotas_nothing_is_held(void **state)
{
        struct fixture x = {};

        begin_with_an_agent(&x, false);
        assert_null(x.master->hold);
        fixture_stop(&x);
}

static void test_a_cluster_without_agents_is_not_held(void **state)
{
        struct fixture x = {};

        begin_with_an_agent(&x, true);
        join(&x, NULL, 0);
        assert_null(x.master->hold);
        recovery_hold_start(x.master, NSEC_PER_SEC);
        assert_null(x.master->hold);
        fixture_stop(&x);
}

static void test_held_until_the_agents_are_back(void **state)
{
        struct fixture x = {};
        char *first = NULL;

        fixture_start(&x);
        join(&x, NULL, 0);
        first = TAKE_PTR(x.agent_id);
        join(&x, NULL, 0); /* another one */
        set_quota(&x);
        begin_again(&x);
        assert_non_null(x.master->hold);
        join(&x, NULL, 0); /* one of two */
        assert_non_null(x.master->hold);
        assert_false(is_offered(&x));
        free(x.agent_id);
        x.agent_id = first;
        join(&x, NULL, 0);
        assert_null(x.master->hold);
        assert_true(is_offered(&x));
        fixture_stop(&x);
}

static void test_held_for_a_time_at_most(void **state)
{
        struct fixture x = {};

        begin_with_an_agent(&x, true);
        assert_non_null(x.master->hold);
        recovery_hold_start(x.master, 20 * NSEC_PER_MSEC);
        WAIT_FOR(&x, !x.master->hold);
        join(&x, NULL, 0);
        assert_true(is_offered(&x));
        fixture_stop(&x);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_without_quotas_nothing_is_held),
                cmocka_unit_test(test_a_cluster_without_agents_is_not_held),
                cmocka_unit_test(test_held_until_the_agents_are_back),
                cmocka_unit_test(test_held_for_a_time_at_most),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
