/*
 * The four properties of dominant resource fairness (Ghodsi and others, NSDI 2011), by exhaustion over small demands. Tasks are not
 * divisible, so each holds up to the tasks that straddle a boundary; the comments derive by how much.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "master/allocator/allocator.h"

#define KINDS 2
#define USERS_MAX 3
#define DEMAND_MAX 4
#define DEMANDS (DEMAND_MAX * DEMAND_MAX)

static const char *const kinds[KINDS] = {"cpus", "mem"};
static const char *const roles[USERS_MAX] = {"r0", "r1", "r2"};
static const char *const frameworks[USERS_MAX] = {"f0", "f1", "f2"};

struct amounts {
        uint64_t of[KINDS]; /* whole units */
};

struct sharing {
        struct amounts total;
        size_t users;
        struct amounts demand[USERS_MAX]; /* of one task */
        bool one_role;                    /* frameworks of one role, else a role each */
        uint64_t tasks[USERS_MAX];        /* what came of it */
};

static void resources_of(const struct amounts *x, struct resources *ret)
{
        *ret = (struct resources){};
        for (size_t k = 0; k < KINDS; k++)
                resources_set_scalar(ret, kinds[k], x->of[k] * 1000);
}

static struct amounts demand_at(size_t i)
{
        return (struct amounts){{1 + i / DEMAND_MAX, 1 + i % DEMAND_MAX}};
}

/* Takes one task of what is offered, and gives the rest back; who cannot use what is there says so and leaves. */
static bool take_one(struct allocator *a, struct sharing *s, struct allocator_offer *o)
{
        size_t user = (size_t)(o->framework[1] - '0');
        _cleanup_resources_ struct resources task = {};
        struct allocator_usage rest = {o->framework, o->role, &o->resources};
        bool fits;

        resources_of(&s->demand[user], &task);
        fits = resources_subtract(&o->resources, &task) >= 0;
        s->tasks[user] += fits;
        assert_int_equal(allocator_recover(a, o->agent, &rest, (struct mono_time){0}, 0), 0);
        if (!fits)
                assert_int_equal(allocator_suppress(a, o->framework, NULL), 0);
        return fits;
}

/* On one machine until nobody fits. */
static void share_out(struct sharing *s)
{
        struct allocator_options options = {.min_milli_cpus = 1, .min_milli_mem = 1};
        CLEANUP(cleanup_allocator_free) struct allocator *a = allocator_new(&options);
        _cleanup_resources_ struct resources total = {};
        struct allocator_offer o = {};

        memset(s->tasks, 0, sizeof(s->tasks));
        resources_of(&s->total, &total);
        assert_int_equal(allocator_add_agent(a, "machine", &total, NULL, 0), 0);
        for (size_t i = 0; i < s->users; i++)
                assert_int_equal(
                        allocator_add_framework(a, frameworks[i], &roles[s->one_role ? 0 : i], 1), 0);
        while (allocator_next_offer(a, (struct mono_time){0}, &o) == ALLOCATOR_OFFER) {
                (void)take_one(a, s, &o);
                allocator_offer_done(&o);
        }
}

/* How many tasks of this demand an amount holds. */
static uint64_t tasks_in(const struct amounts *have, const struct amounts *demand)
{
        uint64_t least = UINT64_MAX;

        for (size_t k = 0; k < KINDS; k++)
                least = MIN(least, have->of[k] / demand->of[k]);
        return least;
}

static struct amounts bundle_of(uint64_t tasks, const struct amounts *demand)
{
        return (struct amounts){{tasks * demand->of[0], tasks * demand->of[1]}};
}

static double dominant_share(const struct sharing *s, size_t user)
{
        double share = 0;

        for (size_t k = 0; k < KINDS; k++)
                share = MAX(share, (double)(s->tasks[user] * s->demand[user].of[k]) / (double)s->total.of[k]);
        return share;
}

/* Nobody could have one task more. */
static void check_pareto(const struct sharing *s)
{
        struct amounts left = s->total;

        for (size_t i = 0; i < s->users; i++)
                for (size_t k = 0; k < KINDS; k++) {
                        uint64_t used = s->tasks[i] * s->demand[i].of[k];

                        assert_true(used <= left.of[k]);
                        left.of[k] -= used;
                }
        for (size_t i = 0; i < s->users; i++)
                assert_int_equal(tasks_in(&left, &s->demand[i]), 0);
}

/*
 * Nobody is worse off than with an equal part of the machine. i stopped because some kind k had less left than its task needs. Each
 * other's share before its last task was at most i's, or that task would have been i's; so in k they use at most i's share of the whole
 * and a task each: share(i) >= (1 - sum of one task of everybody in k / total of k) / n.
 */
static void check_sharing_incentive(const struct sharing *s)
{
        double boundary = 0;

        for (size_t k = 0; k < KINDS; k++) {
                double one_each = 0;

                for (size_t i = 0; i < s->users; i++)
                        one_each += (double)s->demand[i].of[k];
                boundary = MAX(boundary, one_each / (double)s->total.of[k]);
        }
        for (size_t i = 0; i < s->users; i++)
                assert_true(dominant_share(s, i) + 1e-9 >= (1 - boundary) / (double)s->users);
}

/*
 * Nobody would rather have what another has. Before its last task while both were served, j's share was at most i's, so j's amounts,
 * without that task, hold no more of i's tasks than i has. Once i is full (less than one of its tasks is left in some kind), j may go on
 * with what is left: less than one more of i's tasks.
 */
static void check_envy(const struct sharing *s)
{
        for (size_t i = 0; i < s->users; i++)
                for (size_t j = 0; j < s->users; j++) {
                        struct amounts bundle = bundle_of(s->tasks[j] - (s->tasks[j] > 0), &s->demand[j]);

                        assert_true(tasks_in(&bundle, &s->demand[i]) <= s->tasks[i] + 1);
                }
}

static void check_all(struct sharing *s)
{
        share_out(s);
        check_pareto(s);
        check_sharing_incentive(s);
        check_envy(s);
}

static void test_two_users(void **state)
{
        for (int one_role = 0; one_role < 2; one_role++)
                for (size_t i = 0; i < DEMANDS * DEMANDS; i++) {
                        struct sharing s = {.total = {{30, 24}},
                                .users = 2,
                                .one_role = one_role,
                                .demand = {demand_at(i / DEMANDS), demand_at(i % DEMANDS)}};

                        check_all(&s);
                }
}

static void test_three_users(void **state)
{
        for (size_t i = 0; i < DEMANDS * DEMANDS * DEMANDS;
                i += 3) { /* coprime to 16: every demand comes up in every place */
                struct sharing s = {.total = {{30, 40}},
                        .users = 3,
                        .demand = {demand_at(i / DEMANDS / DEMANDS), demand_at(i / DEMANDS % DEMANDS),
                                demand_at(i % DEMANDS)}};

                check_all(&s);
        }
}

/* How many tasks of its own demand user 0 has when it asks for tasks of the demand `told`. */
static uint64_t useful_tasks(const struct sharing *honest, const struct amounts *told)
{
        struct sharing s = *honest;
        struct amounts got;

        s.demand[0] = *told;
        share_out(&s);
        got = bundle_of(s.tasks[0], told);
        return tasks_in(&got, &honest->demand[0]);
}

/*
 * Whoever asks for tasks of another shape than its own has no more of its own tasks for it. In whole tasks, the last one asked for may
 * straddle the fair boundary, and holds as many of the own ones as fit into it; on a machine ten times as large that is one per cent.
 */
static void probe_lies(const struct amounts *total, size_t step, bool large)
{
        for (size_t i = 0; i < DEMANDS * DEMANDS; i += step) {
                struct sharing honest = {.total = *total,
                        .users = 2,
                        .demand = {demand_at(i / DEMANDS), demand_at(i % DEMANDS)}};

                share_out(&honest);
                for (size_t lie = 0; lie < DEMANDS; lie++) {
                        struct amounts told = demand_at(lie);
                        uint64_t in_one =
                                MAX(told.of[0] / honest.demand[0].of[0], told.of[1] / honest.demand[0].of[1]);
                        uint64_t slack = large ? honest.tasks[0] / 100 + 1 : in_one + 1;

                        assert_true(useful_tasks(&honest, &told) <= honest.tasks[0] + slack);
                }
        }
}

static void test_lies_do_not_pay(void **state)
{
        probe_lies(&(struct amounts){{48, 60}}, 1, /* large= */ false);
        probe_lies(&(struct amounts){{480, 600}}, 5, /* large= */ true);
}

/* The example of the paper: 9 CPUs and 18 GB; A's tasks need 1 CPU and 4 GB, B's 3 CPUs and 1 GB: A gets 3, B gets 2. */
static void test_example_of_the_paper(void **state)
{
        struct sharing s = {.total = {{9, 18}}, .users = 2, .demand = {{{1, 4}}, {{3, 1}}}};

        check_all(&s);
        assert_int_equal(s.tasks[0], 3);
        assert_int_equal(s.tasks[1], 2);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_example_of_the_paper),
                cmocka_unit_test(test_two_users),
                cmocka_unit_test(test_three_users),
                cmocka_unit_test(test_lies_do_not_pay),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
