#include "master/operator/recovery_hold.h"

#include <stdlib.h>

struct recovery_hold {
        struct master *master;
        size_t expected; /* agents */
        uint64_t max_ns;
        struct loop_timer *timer;
};

static void end(struct master *m)
{
        m->hold = recovery_hold_free(m->hold);
        allocator_hold(m->allocator, /* held= */ false);
        offers_schedule(m);
}

static size_t count_back(const struct recovery_hold *h)
{
        size_t missing = h->master->agents_in[AGENT_RECOVERED];

        return h->expected - MIN(h->expected, missing);
}

static void on_time(struct loop_timer *timer, void *userdata)
{
        struct recovery_hold *h = userdata;
        char text[DURATION_TEXT_MAX];

        log_warning("%zu of %zu agents are back after %s: offers are made all the same, quotas of what the "
                    "others run may be exceeded",
                count_back(h), h->expected, duration_format(h->max_ns, text));
        end(h->master);
}

void recovery_hold_look(struct master *m)
{
        struct recovery_hold *h = m->hold;

        if (!h || count_back(h) * 100 < h->expected * RECOVERY_HOLD_PERCENT)
                return;
        log_info("%zu of %zu agents are back: offers are made", count_back(h), h->expected);
        end(m);
}

void recovery_hold_start(struct master *m, uint64_t max_ns)
{
        char text[DURATION_TEXT_MAX];
        struct recovery_hold *h;

        if (m->agents_in[AGENT_RECOVERED] == 0)
                return;
        recovery_hold_free(m->hold);
        h = m->hold = NEW0(struct recovery_hold);
        h->master = m;
        h->expected = m->agents_in[AGENT_RECOVERED];
        h->max_ns = max_ns;
        h->timer = loop_timer_new(m->loop, on_time, h);
        loop_timer_arm(h->timer, max_ns, /* period_ns= */ 0);
        allocator_hold(m->allocator, /* held= */ true);
        log_info("there are quotas: nothing is offered until %d %% of %zu agents are back, at most for %s",
                RECOVERY_HOLD_PERCENT, h->expected, duration_format(max_ns, text));
}

struct recovery_hold *recovery_hold_free(struct recovery_hold *h)
{
        if (!h)
                return NULL;
        loop_timer_free(h->timer);
        free(h);
        return NULL;
}
