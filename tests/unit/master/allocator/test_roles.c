/* Fair shares: the textbook's example, weights, and the tree of roles. */
#include "tests/unit/master/allocator/steps.h"

/* Takes one task of each offer and gives back the rest, until nobody fits; who does not fit leaves. */
static void run_tasks(struct allocator *a, const char *const *frameworks, const char *const *tasks,
        size_t count, uint64_t *ret_tasks)
{
        struct allocator_offer o = {};

        memset(ret_tasks, 0, count * sizeof(*ret_tasks));
        while (allocator_next_offer(a, at(0), &o) == ALLOCATOR_OFFER) {
                _cleanup_resources_ struct resources task = {};
                size_t i = 0;

                while (!str_equal(frameworks[i], o.framework))
                        i++;
                parse(tasks[i], &task);
                if (resources_subtract(&o.resources, &task) >= 0)
                        ret_tasks[i]++;
                else
                        assert_int_equal(allocator_suppress(a, o.framework, NULL), 0);
                assert_int_equal(
                        allocator_recover(a, o.agent,
                                &(struct allocator_usage){o.framework, o.role, &o.resources}, at(0), 0),
                        0);
                allocator_offer_done(&o);
                check(a);
        }
}

/* Ghodsi and others, NSDI 2011, figure 1: 9 CPUs and 18 GB; A wants <1, 4>, B <3, 1>: A gets 3 tasks, B 2. */
static void test_the_example_of_the_paper(void **state)
{
        static const char *const frameworks[] = {"A", "B"}, *const tasks[] = {
                                                                    "cpus:1;mem:4096", "cpus:3;mem:1024"};
        CLEANUP(cleanup_allocator_free) struct allocator *a = allocator_new(NULL);
        uint64_t count[2];

        add_framework(a, "A", "a");
        add_framework(a, "B", "b");
        add_agent(a, "s1", "cpus:9;mem:18432");
        run_tasks(a, frameworks, tasks, 2, count);
        assert_int_equal(count[0], 3);
        assert_int_equal(count[1], 2);
        assert_int_equal(allocator_role_share(a, "a"), (UINT64_C(1) << 40) * 2 / 3);
        assert_int_equal(allocator_role_share(a, "b"), (UINT64_C(1) << 40) * 2 / 3);
}

static void add_agents(struct allocator *a, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                char id[24];

                (void)snprintf(id, sizeof(id), "s%zu", i);
                add_agent(a, id, "cpus:1;mem:1024");
        }
}

/* Frameworks of an inner role compete with its sub-roles, one by one. */
static void test_inner_roles_share_with_their_frameworks(void **state)
{
        static const char *const frameworks[] = {"top", "in1", "in2", "x", "y1", "y2"};
        CLEANUP(cleanup_allocator_free) struct allocator *a = allocator_new(NULL);
        uint64_t milli[6];

        add_framework(a, "top", "other");
        add_framework(a, "in1", "eng");
        add_framework(a, "in2", "eng");
        add_framework(a, "x", "eng/x");
        add_framework(a, "y1", "eng/y");
        add_framework(a, "y2", "eng/y");
        add_agents(a, 64);
        hand_out(a, frameworks, 6, milli);
        assert_int_equal(milli[0], 32000);
        assert_int_equal(milli[1], 8000);
        assert_int_equal(milli[2], 8000);
        assert_int_equal(milli[3], 8000);
        assert_int_equal(milli[4], 4000);
        assert_int_equal(milli[5], 4000);
}

static void test_weights_count_at_each_level(void **state)
{
        static const char *const frameworks[] = {"other", "x", "y"};
        CLEANUP(cleanup_allocator_free) struct allocator *a = allocator_new(NULL);
        uint64_t milli[3];

        assert_int_equal(allocator_set_role_weight(a, "eng", 2000), 0);
        assert_int_equal(allocator_set_role_weight(a, "eng/x", 3000), 0);
        add_framework(a, "other", "other");
        add_framework(a, "x", "eng/x");
        add_framework(a, "y", "eng/y");
        add_agents(a, 60);
        hand_out(a, frameworks, 3, milli);
        assert_int_equal(milli[0], 20000);
        assert_int_equal(milli[1], 30000);
        assert_int_equal(milli[2], 10000);
}

/* With tasks that end and start, the shares of two roles come to 2:1 and stay; an idle role's share flows to the other and returns. */
static void test_shares_converge_to_weights(void **state)
{
        static const char *const frameworks[] = {"two", "one"};
        CLEANUP(cleanup_allocator_free) struct allocator *a = allocator_new(NULL);
        uint64_t milli[2];

        add_framework(a, "one", "one");
        assert_int_equal(allocator_set_role_weight(a, "two", 2000), 0);
        add_agents(a, 30);
        hand_out(a, frameworks, 2, milli);
        assert_int_equal(milli[1], 30000); /* all, while it is alone */
        add_framework(a, "two", "two");
        for (int round = 0; round < 100; round++) {
                struct allocator_offer o = {};
                char id[16];

                (void)snprintf(id, sizeof(id), "s%d", (round * 7) % 30);
                for (int i = 0; i < 2; i++) {
                        _cleanup_resources_ struct resources all = {};

                        parse("cpus:1;mem:1024", &all);
                        (void)allocator_recover(a, id,
                                &(struct allocator_usage){frameworks[i], frameworks[i], &all}, at(0), 0);
                }
                assert_int_equal(allocator_next_offer(a, at(0), &o), ALLOCATOR_OFFER);
                assert_string_equal(o.agent, id);
                allocator_offer_done(&o);
        }
        check(a);
        assert_int_equal(allocator_role_share(a, "one"), (UINT64_C(1) << 40) / 3);
        assert_int_equal(
                allocator_role_share(a, "two"), (UINT64_C(1) << 40) / 3); /* 20 of 30, by a weight of 2 */
}

/* ---- who is looked at ---- */

#define MANY_AGENTS 50
#define MANY_FRAMEWORKS 20

static size_t asked, asked_of_f7;

static bool nobody_qualifies(void *userdata, const char *framework, const char *role, const char *agent,
        const struct resources *available)
{
        asked++;
        asked_of_f7 += str_equal(framework, "f7");
        return false;
}

static size_t asked_now(struct allocator *a)
{
        asked = asked_of_f7 = 0;
        expect_none(a);
        return asked;
}

static struct allocator *new_crowd(void)
{
        struct allocator *a = allocator_new(&(struct allocator_options){.qualifies = nobody_qualifies});

        for (int i = 0; i < MANY_FRAMEWORKS; i++) {
                char id[16], role[16];

                (void)snprintf(id, sizeof(id), "f%d", i);
                (void)snprintf(role, sizeof(role), "r%d/in", i % 5);
                add_framework(a, id, role);
        }
        add_agents(a, MANY_AGENTS);
        return a;
}

static void test_an_event_looks_at_what_it_concerns(void **state)
{
        CLEANUP(cleanup_allocator_free) struct allocator *a = new_crowd();

        assert_int_equal(asked_now(a), MANY_AGENTS * MANY_FRAMEWORKS);
        assert_int_equal(asked_now(a), 0);
        assert_int_equal(allocator_revive(a, "f7", NULL), 0);
        assert_int_equal(asked_now(a), MANY_AGENTS);
        assert_int_equal(asked_of_f7, MANY_AGENTS);
        assert_int_equal(allocator_suppress(a, "f7", NULL), 0);
        assert_int_equal(allocator_set_framework_active(a, "f8", false), 0);
        assert_int_equal(asked_now(a), 0);
        assert_int_equal(allocator_revive(a, "f7", NULL), 0);
        assert_int_equal(allocator_set_agent_active(a, "s3", true), 0); /* touched */
        assert_int_equal(asked_now(a), MANY_AGENTS - 1 + MANY_FRAMEWORKS - 1);
        add_agent(a, "new", "cpus:1;mem:1024");
        assert_int_equal(asked_now(a), MANY_FRAMEWORKS - 1);
        allocator_reconsider(a);
        assert_int_equal(asked_now(a), (MANY_AGENTS + 1) * (MANY_FRAMEWORKS - 1));
}

static void test_limits_and_headroom_look_at_nothing_without_room(void **state)
{
        CLEANUP(cleanup_allocator_free) struct allocator *a = new_crowd();
        struct allocator_quota none[] = {{.name = "cpus"}, {.name = "mem"}};
        struct allocator_quota all[] = {
                {.name = "cpus", .guarantee_milli = 1000000, .limit_milli = QUOTA_NO_LIMIT},
                {.name = "mem", .guarantee_milli = UINT64_C(1000000000), .limit_milli = QUOTA_NO_LIMIT}};

        assert_int_equal(allocator_set_quota(a, "r2", none, 2), 0);
        assert_int_equal(asked_now(a), MANY_AGENTS * (MANY_FRAMEWORKS - 4)); /* r2's are not asked */
        assert_int_equal(allocator_revive(a, "f7", NULL), 0);                /* of r2 */
        assert_int_equal(asked_now(a), 0);
        assert_int_equal(allocator_set_quota(a, "r2", NULL, 0), 0);
        assert_int_equal(asked_now(a), MANY_AGENTS * 4);
        assert_int_equal(allocator_set_quota(a, "r3", all, 2), 0); /* everything is kept for r3 */
        assert_int_equal(asked_now(a), MANY_AGENTS * 4);
        assert_int_equal(allocator_revive(a, "f7", NULL), 0);
        assert_int_equal(asked_now(a), 0);
        assert_int_equal(allocator_revive(a, "f8", NULL), 0); /* of r3 */
        assert_int_equal(asked_now(a), MANY_AGENTS);
        assert_int_equal(allocator_set_quota(a, "r3", NULL, 0), 0);
        assert_int_equal(asked_now(a), MANY_AGENTS * MANY_FRAMEWORKS);
}

static bool all_qualify;

static bool qualify_at_will(void *userdata, const char *framework, const char *role, const char *agent,
        const struct resources *available)
{
        asked++;
        return all_qualify;
}

static void test_a_filter_that_ends_is_of_one_client_and_agent(void **state)
{
        CLEANUP(cleanup_allocator_free)
        struct allocator *a = allocator_new(&(struct allocator_options){.qualifies = qualify_at_will});
        struct allocator_offer o = {};

        add_framework(a, "f1", "a");
        add_framework(a, "f2", "b/c");
        add_agents(a, 3);
        all_qualify = true;
        expect_offer(a, "f1", "s2", "cpus:1;mem:1024");
        give_back(a, "s2", "f1", "a", "cpus:1;mem:1024", 5);
        all_qualify = false;
        asked = 0;
        expect_none(a);
        assert_int_equal(asked, 2 * 2 + 1);
        asked = 0;
        assert_int_equal(allocator_next_offer(a, at(6), &o), ALLOCATOR_NONE);
        assert_int_equal(asked, 1);
        all_qualify = true;
        assert_int_equal(
                allocator_next_offer(a, at(6), &o), ALLOCATOR_NONE); /* nothing says that it qualifies now */
}

/* No call looks at more than its bound. */
static void test_a_call_is_bounded(void **state)
{
        CLEANUP(cleanup_allocator_free)
        struct allocator *a = allocator_new(&(struct allocator_options){.qualifies = nobody_qualifies});
        struct allocator_offer o = {};

        add_framework(a, "f", "r");
        for (int i = 0; i < ALLOCATOR_LOOK_MAX * 2 + 10; i++) {
                _cleanup_resources_ struct resources r = {};
                char id[16];

                (void)snprintf(id, sizeof(id), "s%d", i);
                parse("cpus:1;mem:1024", &r);
                assert_int_equal(allocator_add_agent(a, id, &r, NULL, 0), 0);
        }
        asked = 0;
        assert_int_equal(allocator_next_offer(a, at(0), &o), ALLOCATOR_MORE);
        assert_int_equal(asked, ALLOCATOR_LOOK_MAX);
        assert_int_equal(allocator_next_offer(a, at(0), &o), ALLOCATOR_MORE);
        assert_int_equal(allocator_next_offer(a, at(0), &o), ALLOCATOR_NONE);
        assert_int_equal(asked, ALLOCATOR_LOOK_MAX * 2 + 10);
        check(a);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_the_example_of_the_paper),
                cmocka_unit_test(test_inner_roles_share_with_their_frameworks),
                cmocka_unit_test(test_weights_count_at_each_level),
                cmocka_unit_test(test_shares_converge_to_weights),
                cmocka_unit_test(test_an_event_looks_at_what_it_concerns),
                cmocka_unit_test(test_limits_and_headroom_look_at_nothing_without_room),
                cmocka_unit_test(test_a_filter_that_ends_is_of_one_client_and_agent),
                cmocka_unit_test(test_a_call_is_bounded),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
