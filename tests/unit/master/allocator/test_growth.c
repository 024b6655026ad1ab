/*
 * No event costs more than a logarithm in agents, frameworks and roles: the cheapest of a few runs of each event, in time of the CPU, in a
 * world and in one that is 32 times as large. What walks over everything costs 32 times as much there; only the ratio is judged.
 */
#include <time.h>

#include "tests/unit/master/allocator/steps.h"

#define LARGER 32
#define RATIO_MAX 8 /* a logarithm and caches that are too small; a linear event has some 30 */
#define HOLDERS 8   /* frameworks that hold something on an agent */
#define TIMES 5     /* each event, on agents and frameworks of its own */
#define REFUSE_SECONDS 3600

struct world {
        struct allocator *a;
        size_t agents, frameworks;
};

/* i counts up by event and run, so that no two of them concern the same agent or framework. */
struct event {
        const char *name;
        void (*run)(struct world *w, size_t i);
};

static const char *agent_of(const struct world *w, size_t i)
{
        static char name[32];

        (void)snprintf(name, sizeof(name), "s%zu", i % w->agents);
        return name;
}

static const char *framework_of(const struct world *w, size_t i)
{
        static char name[32];

        (void)snprintf(name, sizeof(name), "f%zu", i % w->frameworks);
        return name;
}

/* Of framework i; eight share one. */
static const char *role_of(const struct world *w, size_t i)
{
        static char name[64];

        (void)snprintf(name, sizeof(name), "department%zu/team%zu", i % w->frameworks / 8 % 5,
                i % w->frameworks / 8);
        return name;
}

static const struct resources *total, *task;

static struct allocator_usage use_of(const struct world *w, size_t framework)
{
        return (struct allocator_usage){framework_of(w, framework), role_of(w, framework), task};
}

/* ---- the events ---- */

#define MUST(call) assert_int_equal(call, 0)

static void allocate_more(struct world *w, size_t i)
{
        struct allocator_usage use = use_of(w, i);

        MUST(allocator_allocate(w->a, agent_of(w, i), &use));
}

static void task_ends(struct world *w, size_t i)
{
        struct allocator_usage use = use_of(w, i);

        MUST(allocator_recover(w->a, agent_of(w, i), &use, at(0), 0));
}

static void refuse(struct world *w, size_t i)
{
        struct allocator_usage use = use_of(w, i);

        MUST(allocator_recover(w->a, agent_of(w, i), &use, at(0), REFUSE_SECONDS * NSEC_PER_SEC));
}

static void reserve_held(struct world *w, size_t i)
{
        struct resource_reservation of = {.role = (char *)role_of(w, i), .dynamic = true};
        _cleanup_resources_ struct resources reserved = {};
        struct allocator_usage use = use_of(w, i);

        resources_push_reservation(task, &of, &reserved);
        MUST(allocator_update_allocation(w->a, agent_of(w, i), &use, &reserved));
}

static void reserve_free(struct world *w, size_t i)
{
        struct resource_reservation of = {.role = (char *)role_of(w, i), .dynamic = true};
        _cleanup_resources_ struct resources reserved = {};

        resources_push_reservation(task, &of, &reserved);
        MUST(allocator_update_available(w->a, agent_of(w, i), task, &reserved));
}

static void suppress(struct world *w, size_t i)
{
        MUST(allocator_suppress(w->a, framework_of(w, i), NULL));
}

static void take_revocable(struct world *w, size_t i)
{
        MUST(allocator_set_framework_revocable(w->a, framework_of(w, i), true));
}

static void deactivate_framework(struct world *w, size_t i)
{
        MUST(allocator_set_framework_active(w->a, framework_of(w, i), false));
}

static void set_a_quota(struct world *w, size_t i)
{
        struct allocator_quota q = {.name = "cpus", .guarantee_milli = 4000, .limit_milli = 4000000};

        MUST(allocator_set_quota(w->a, role_of(w, i), &q, 1));
}

static void end_a_quota(struct world *w, size_t i)
{
        MUST(allocator_set_quota(w->a, role_of(w, i), NULL, 0));
}

static void set_a_weight(struct world *w, size_t i)
{
        MUST(allocator_set_role_weight(w->a, role_of(w, i), 1000 + i));
}

static void reconsider(struct world *w, size_t i)
{
        allocator_reconsider(w->a);
}

static void deactivate_agent(struct world *w, size_t i)
{
        MUST(allocator_set_agent_active(w->a, agent_of(w, i), false));
}

static void activate_agent(struct world *w, size_t i)
{
        MUST(allocator_set_agent_active(w->a, agent_of(w, i), true));
}

static void update_agent(struct world *w, size_t i)
{
        MUST(allocator_set_agent_total(w->a, agent_of(w, i), total));
}

static void revive(struct world *w, size_t i)
{
        MUST(allocator_revive(w->a, framework_of(w, i), NULL));
}

static void change_roles(struct world *w, size_t i)
{
        const char *role = "other";

        MUST(allocator_set_framework_roles(w->a, framework_of(w, i), &role, 1));
}

static void remove_framework(struct world *w, size_t i)
{
        MUST(allocator_remove_framework(w->a, framework_of(w, i)));
}

static void add_a_framework(struct world *w, size_t i)
{
        const char *role = role_of(w, i);
        char name[32];

        (void)snprintf(name, sizeof(name), "new%zu", i);
        MUST(allocator_add_framework(w->a, name, &role, 1));
}

static void remove_agent(struct world *w, size_t i)
{
        MUST(allocator_remove_agent(w->a, agent_of(w, i)));
}

static void add_an_agent(struct world *w, size_t i)
{
        char name[32];

        (void)snprintf(name, sizeof(name), "new%zu", i);
        MUST(allocator_add_agent(w->a, name, total, NULL, 0));
}

/* Those that take things away come last. Each begins with the agents and frameworks where the one before it ended. */
static const struct event events[] = {
        {"a booking", allocate_more},
        {"the end of a task", task_ends},
        {"a refusal", refuse},
        {"a reservation out of an offer", reserve_held},
        {"a reservation of what is free", reserve_free},
        {"a framework that takes revocable resources", take_revocable},
        {"suppress", suppress},
        {"a framework that is not active", deactivate_framework},
        {"a quota", set_a_quota},
        {"the end of a quota", end_a_quota},
        {"a weight", set_a_weight},
        {"a second look", reconsider},
        {"an agent that is not active", deactivate_agent},
        {"an agent that is active", activate_agent},
        {"an agent's new total", update_agent},
        {"revive", revive},
        {"other roles", change_roles},
        {"a new agent", add_an_agent},
        {"a new framework", add_a_framework},
        {"the end of a framework", remove_framework},
        {"the end of an agent", remove_agent},
};

/* ---- the worlds ---- */

/* Every framework refuses every agent, and a few hold something there: as many bookings of a framework as there are agents, and so on. */
static void fill_agent(struct world *w, size_t agent)
{
        for (size_t f = 0; f < w->frameworks; f++) {
                struct allocator_usage use = use_of(w, f);

                MUST(allocator_allocate(w->a, agent_of(w, agent), &use));
                MUST(allocator_recover(w->a, agent_of(w, agent), &use, at(0), REFUSE_SECONDS * NSEC_PER_SEC));
        }
        for (size_t f = agent; f < agent + HOLDERS; f++) {
                struct allocator_usage use = use_of(w, f);

                MUST(allocator_allocate(w->a, agent_of(w, agent), &use));
        }
}

static void world_begin(struct world *w)
{
        w->a = allocator_new(NULL);
        allocator_hold(w->a, true); /* what is offered would only be given back */
        for (size_t i = 0; i < w->frameworks; i++) {
                const char *role = role_of(w, i);

                MUST(allocator_add_framework(w->a, framework_of(w, i), &role, 1));
        }
        for (size_t i = 0; i < w->agents; i++) {
                MUST(allocator_add_agent(w->a, agent_of(w, i), total, NULL, 0));
                fill_agent(w, i);
        }
}

static uint64_t cpu_ns(void)
{
        struct timespec t;

        assert_int_equal(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t), 0);
        return (uint64_t)t.tv_sec * NSEC_PER_SEC + (uint64_t)t.tv_nsec;
}

/* What one of the calls for offers takes that clear away what the event left: however many, each is bounded likewise. */
static uint64_t clear_away(struct world *w)
{
        struct allocator_offer o = {};
        uint64_t from = cpu_ns(), calls = 1;

        while (allocator_next_offer(w->a, at(0), &o) == ALLOCATOR_MORE)
                calls++;
        return (cpu_ns() - from) / calls;
}

struct costs {
        uint64_t event_ns[ELEMENTSOF(events)], clearing_ns[ELEMENTSOF(events)];
};

static void measure(size_t agents, size_t frameworks, struct costs *ret)
{
        struct world w = {.agents = agents, .frameworks = frameworks};

        memset(ret, 0xff, sizeof(*ret));
        world_begin(&w);
        for (size_t e = 0; e < ELEMENTSOF(events); e++)
                for (size_t n = 0; n < TIMES; n++) {
                        uint64_t from = cpu_ns();

                        events[e].run(&w, e * TIMES + n);
                        ret->event_ns[e] = MIN(ret->event_ns[e], cpu_ns() - from);
                        ret->clearing_ns[e] = MIN(ret->clearing_ns[e], clear_away(&w));
                }
        allocator_free(w.a);
}

static void expect_no_growth(const char *what, const char *of, uint64_t small, uint64_t large)
{
        if (large > small * RATIO_MAX)
                fail_msg("%s%s: %ju ns, and %ju ns where %d times as much is there", what, of,
                        (uintmax_t)small, (uintmax_t)large, LARGER);
}

static void compare(size_t agents, size_t frameworks, size_t more_agents, size_t more_frameworks)
{
        _cleanup_resources_ struct resources all = {}, some = {};
        struct costs small, large;

        parse("cpus:256;mem:1048576;ports:[31000-32000]", &all);
        parse("cpus:1;mem:64", &some);
        total = &all;
        task = &some;
        measure(agents, frameworks, &small);
        measure(more_agents, more_frameworks, &large);
        for (size_t e = 0; e < ELEMENTSOF(events); e++) {
                expect_no_growth(events[e].name, "", small.event_ns[e], large.event_ns[e]);
                expect_no_growth(
                        events[e].name, ", clearing away", small.clearing_ns[e], large.clearing_ns[e]);
        }
}

static void test_agents(void **state)
{
        compare(128, 32, 128 * LARGER, 32);
}

static void test_frameworks_and_roles(void **state)
{
        compare(40, 64, 40, 64 * LARGER);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_agents),
                cmocka_unit_test(test_frameworks_and_roles),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
