/* Steps of allocator tests, with resources as text. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "master/allocator/allocator.h"

#define STEP __attribute__((unused)) static

STEP void parse(const char *text, struct resources *ret)
{
        _cleanup_error_ struct error e = {};

        if (resources_parse(text, ret, &e) < 0)
                fail_msg("%s", error_message(&e));
}

STEP void check(const struct allocator *a)
{
        _cleanup_error_ struct error e = {};

        if (allocator_check(a, &e) < 0)
                fail_msg("%s", error_message(&e));
}

STEP struct mono_time at(uint64_t seconds)
{
        return (struct mono_time){seconds * NSEC_PER_SEC};
}

STEP void add_agent(struct allocator *a, const char *id, const char *total)
{
        _cleanup_resources_ struct resources r = {};

        parse(total, &r);
        assert_int_equal(allocator_add_agent(a, id, &r, NULL, 0), 0);
        check(a);
}

STEP void add_framework(struct allocator *a, const char *id, const char *role)
{
        assert_int_equal(allocator_add_framework(a, id, &role, 1), 0);
        check(a);
}

STEP void set_quota(struct allocator *a, const char *role, uint64_t guaranteed_cpus, uint64_t limit_cpus)
{
        struct allocator_quota q = {.name = "cpus",
                .guarantee_milli = guaranteed_cpus * 1000,
                .limit_milli = limit_cpus == QUOTA_NO_LIMIT ? QUOTA_NO_LIMIT : limit_cpus * 1000};

        assert_int_equal(allocator_set_quota(a, role, &q, 1), 0);
        check(a);
}

STEP void allocate(
        struct allocator *a, const char *agent, const char *framework, const char *role, const char *text)
{
        _cleanup_resources_ struct resources r = {};

        parse(text, &r);
        assert_int_equal(allocator_allocate(a, agent, &(struct allocator_usage){framework, role, &r}), 0);
        check(a);
}

/* Gives back; refused for so many seconds. */
STEP void give_back(struct allocator *a, const char *agent, const char *framework, const char *role,
        const char *text, uint64_t refuse_seconds)
{
        _cleanup_resources_ struct resources r = {};

        parse(text, &r);
        assert_int_equal(allocator_recover(a, agent, &(struct allocator_usage){framework, role, &r}, at(0),
                                 refuse_seconds * NSEC_PER_SEC),
                0);
        check(a);
}

STEP bool is_text(const struct resources *r, const char *text)
{
        _cleanup_resources_ struct resources want = {};

        parse(text, &want);
        return resources_equal(r, &want);
}

/* What is left of frameworks and agents that went is cleared away; nothing is offered meanwhile. */
STEP void settle(struct allocator *a, struct mono_time now)
{
        struct allocator_offer o = {};

        allocator_hold(a, true);
        while (allocator_next_offer(a, now, &o) == ALLOCATOR_MORE)
                check(a);
        allocator_hold(a, false);
}

/* ALLOCATOR_OFFER or ALLOCATOR_NONE, however many looks that takes. */
STEP enum allocator_next next_offer(struct allocator *a, struct mono_time now, struct allocator_offer *ret)
{
        enum allocator_next next;

        do
                next = allocator_next_offer(a, now, ret);
        while (next == ALLOCATOR_MORE);
        return next;
}

/* The next offer goes to this framework, and is of this agent and exactly this. It is kept. */
STEP void expect_offer(struct allocator *a, const char *framework, const char *agent, const char *text)
{
        struct allocator_offer o = {};
        _cleanup_free_ char *have = NULL;

        if (next_offer(a, at(0), &o) != ALLOCATOR_OFFER)
                fail_msg("no offer, wanted %s of %s to %s", text, agent, framework);
        have = resources_to_string(&o.resources);
        if (!str_equal(o.framework, framework) || !str_equal(o.agent, agent) || !is_text(&o.resources, text))
                fail_msg("offered %s of %s to %s, wanted %s of %s to %s", have, o.agent, o.framework, text,
                        agent, framework);
        allocator_offer_done(&o);
        check(a);
}

STEP void expect_none(struct allocator *a)
{
        struct allocator_offer o = {};

        if (next_offer(a, at(0), &o) == ALLOCATOR_OFFER)
                fail_msg("offered something of %s to %s, wanted nothing", o.agent, o.framework);
        check(a);
}

/* All offers that there are: how many cpus, in thousandths, go to each of these frameworks. */
STEP void hand_out(struct allocator *a, const char *const *frameworks, size_t count, uint64_t *ret_milli)
{
        struct allocator_offer o = {};

        memset(ret_milli, 0, count * sizeof(*ret_milli));
        while (next_offer(a, at(0), &o) == ALLOCATOR_OFFER) {
                for (size_t i = 0; i < count; i++)
                        if (str_equal(frameworks[i], o.framework))
                                ret_milli[i] += resources_scalar(&o.resources, "cpus");
                allocator_offer_done(&o);
                check(a);
        }
}
