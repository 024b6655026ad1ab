/* Offers out of the allocator to frameworks, and what frameworks do with them. */

#include <stdlib.h>
#include <string.h>

#include "master/offer.h"

#define OFFERS_PER_RUN 64 /* some 3 ms: nothing else runs meanwhile */

struct offer *offer_find(const struct master *m, const char *id)
{
        struct offer *o;

        HASH_FIND_STR(m->offers, id, o);
        return o;
}

void offer_free(struct offer *o)
{
        struct master *m = o->framework->master;

        HASH_DEL(m->offers, o);
        DL_DELETE2(o->agent->offers, o, agent_prev, agent_next);
        DL_DELETE2(o->framework->offers, o, framework_prev, framework_next);
        free(o->id);
        free(o->role);
        resources_done(&o->resources);
        free(o);
}

void offer_recover(const struct offer *o, uint64_t refuse_ns)
{
        struct master *m = o->framework->master;
        struct allocator_usage use = {o->framework->id, o->role, &o->resources};

        allocator_recover(m->allocator, o->agent->id, &use, mono_now(), refuse_ns);
}

/* Takes the resources, which are allocated to the framework in this role. */
static struct offer *offer_new(
        struct framework *f, struct agent *a, const char *role, struct resources *resources)
{
        struct master *m = f->master;
        struct offer *o = NEW0(struct offer);

        o->framework = f;
        o->agent = a;
        o->id = xasprintf("%s-O%ju", m->id, (uintmax_t)m->next_offer++);
        o->role = xstrdup(role);
        o->resources = *resources;
        *resources = (struct resources){};
        HASH_ADD_KEYPTR(hh, m->offers, o->id, strlen(o->id), o);
        DL_APPEND2(a->offers, o, agent_prev, agent_next);
        DL_APPEND2(f->offers, o, framework_prev, framework_next);
        o->made = mono_now();
        return o;
}

static void offer_make(struct master *m, struct allocator_offer *from)
{
        struct framework *f = framework_find(m, from->framework);
        struct agent *a = agent_find(m, from->agent);
        struct offer *o;

        assert(f && f->ops && a);
        o = offer_new(f, a, from->role, &from->resources);
        allocator_offer_done(from);
        f->ops->offer(f, o);
}

/* The time limit is one for all, so the oldest offer is the next to run out. */
static void offers_arm_expiry(struct master *m)
{
        uint64_t limit = m->options->offer_timeout_ns;
        uint64_t age;

        if (limit == 0 || !m->offers || loop_timer_armed(m->offer_expiry))
                return;
        age = mono_elapsed_ns(m->offers->made, mono_now());
        loop_timer_arm(m->offer_expiry, age < limit ? limit - age : 0, /* period_ns= */ 0);
}

static void offers_run(struct master *m)
{
        struct allocator_offer offer = {};
        struct mono_time now = mono_now(), wakeup;
        enum allocator_next next;
        size_t made = 0;

        m->offers_soon = false;
        if (m->stopping || !m->leading)
                return;
        samples_add(&m->counters.allocation_run_latency, mono_elapsed_ns(m->offers_asked, now));
        while ((next = allocator_next_offer(m->allocator, now, &offer)) == ALLOCATOR_OFFER &&
                made++ < OFFERS_PER_RUN)
                offer_make(m, &offer);
        if (next == ALLOCATOR_OFFER)
                offer_make(m, &offer);
        if (next != ALLOCATOR_NONE)
                offers_schedule(m); /* others have their turn before */
        samples_add(&m->counters.allocation_run, mono_elapsed_ns(now, mono_now()));
        offers_arm_expiry(m);
        if (!m->offers_soon && allocator_next_wakeup(m->allocator, &wakeup)) {
                m->offers_asked = wakeup;
                loop_timer_arm(m->offer_timer, mono_elapsed_ns(now, wakeup) + 1, /* period_ns= */ 0);
        }
}

void offers_schedule(struct master *m)
{
        if (m->offers_soon || m->stopping)
                return;
        m->offers_soon = true;
        m->offers_asked = mono_now();
        loop_timer_arm(m->offer_timer, /* delay_ns= */ 0, /* period_ns= */ 0);
}

static void offers_on_timer(struct loop_timer *t, void *userdata)
{
        offers_run(userdata);
}

void offer_rescind(struct offer *o, bool told)
{
        const struct framework_ops *ops = o->framework->ops;

        count_offers_rescinded(o->framework, 1);
        if (told && ops && ops->rescind)
                ops->rescind(o->framework, o);
        offer_recover(o, 0);
        offer_free(o);
}

static void offers_on_expiry(struct loop_timer *t, void *userdata)
{
        struct master *m = userdata;
        struct mono_time now = mono_now();

        while (m->offers && mono_elapsed_ns(m->offers->made, now) >= m->options->offer_timeout_ns) {
                log_info("offer %s to framework %s was not answered in time", m->offers->id,
                        m->offers->framework->id);
                offer_rescind(m->offers, /* told= */ true);
        }
        offers_arm_expiry(m);
        offers_schedule(m);
}

void offers_init(struct master *m)
{
        m->offer_timer = loop_timer_new(m->loop, offers_on_timer, m);
        m->offer_expiry = loop_timer_new(m->loop, offers_on_expiry, m);
}

void offers_rescind_agent(struct agent *a)
{
        struct offer *o, *next;

        DL_FOREACH_SAFE2(a->offers, o, next, agent_next)
        offer_rescind(o, /* told= */ true);
}

void offers_rescind_framework(struct framework *f, const char *role, bool told)
{
        struct offer *o, *next;

        DL_FOREACH_SAFE2(f->offers, o, next, framework_next)
        if (!role || str_equal(o->role, role))
                offer_rescind(o, told);
        offers_schedule(f->master);
}

void framework_set_suppressed(struct framework *f, char *const *roles, size_t count)
{
        struct allocator *a = f->master->allocator;

        (void)allocator_revive(a, f->id, NULL);
        for (size_t i = 0; i < count; i++)
                (void)allocator_suppress(a, f->id, roles[i]);
        offers_schedule(f->master);
}

void offers_decline(struct framework *f, const char *const *offer_ids, size_t offer_count, uint64_t refuse_ns)
{
        for (size_t i = 0; i < offer_count; i++) {
                struct offer *o = offer_find(f->master, offer_ids[i]);

                if (!o || o->framework != f)
                        continue;
                count_offers_declined(f, 1);
                offer_recover(o, refuse_ns);
                offer_free(o);
        }
        offers_schedule(f->master);
}

/* ---- between tasks and offers: allocated before and after ---- */

void offer_from_task(struct task *t, const struct resources *part)
{
        struct agent *a = t->agent;
        _cleanup_resources_ struct resources copy = {};
        struct allocator_usage use = {t->framework->id, t->role, part};

        if (t->released || resources_subtract(&t->resources, part) < 0)
                return;
        if (resources_subtract(&a->booked, part) < 0)
                log_warning("agent %s: the books of its tasks do not balance", a->id);
        if (!a->allocated)
                return;
        if (!agent_is_offered(a)) {
                allocator_recover(a->master->allocator, a->id, &use, mono_now(), 0);
                return;
        }
        resources_copy(part, &copy);
        t->framework->ops->offer(t->framework, offer_new(t->framework, a, t->role, &copy));
        offers_arm_expiry(a->master);
}

int offer_move_to_task(struct offer *o, const struct resources *part, struct task *t)
{
        int r;

        if (t->released || o->agent != t->agent || o->framework != t->framework ||
                !str_equal(o->role, t->role))
                return -EINVAL;
        r = resources_subtract(&o->resources, part);
        if (r < 0)
                return r;
        resources_add(&t->resources, part);
        resources_add(&t->agent->booked, part);
        return 0;
}

struct offer *offers_merge(struct offer *const *offers, size_t count)
{
        for (size_t i = 1; i < count; i++) {
                assert(offers[i]->agent == offers[0]->agent && offers[i]->framework == offers[0]->framework);
                resources_add(&offers[0]->resources, &offers[i]->resources);
                offer_free(offers[i]);
        }
        return offers[0];
}

void offers_free(struct master *m)
{
        struct offer *o, *next;

        HASH_ITER (hh, m->offers, o, next)
                offer_free(o);
}
