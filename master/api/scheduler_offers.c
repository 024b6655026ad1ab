/* Calls of the scheduler API about offers. */

#include <math.h>
#include <stdlib.h>

#include "master/api/scheduler.h"

#define REFUSE_DEFAULT_NS (5 * NSEC_PER_SEC)
#define REFUSE_MAX_SECONDS (365.0 * 24 * 3600)
/* Shorter refusals could end before anybody else was asked. */
#define REFUSE_MIN_NS NSEC_PER_SEC
/*
 * A framework that declines for no time at all gets the same offer again. Not at once: it and this master would do nothing else, and
 * frameworks with a larger share would never see the agent.
 */
#define DECLINE_PAUSE_NS (100 * NSEC_PER_MSEC)

uint64_t scheduler_refuse_ns(const Mete__V1__Filters *f)
{
        double seconds = f ? f->refuse_seconds : 0;

        if (!f || isnan(seconds) || seconds < 0)
                return REFUSE_DEFAULT_NS;
        seconds = MIN(seconds, REFUSE_MAX_SECONDS);
        return seconds > 0 ? MAX((uint64_t)(seconds * (double)NSEC_PER_SEC), REFUSE_MIN_NS) : 0;
}

static const char **offer_names(Mete__V1__OfferID *const *ids, size_t count)
{
        const char **names = xcalloc(count + 1, sizeof(*names));

        for (size_t i = 0; i < count; i++)
                names[i] = ids[i]->value;
        return names;
}

void scheduler_accept(struct scheduler_call *c)
{
        const Mete__V1__Scheduler__Call__Accept *a = c->call->accept;
        _cleanup_free_ const char **names = offer_names(a->offer_ids, a->n_offer_ids);
        uint64_t refuse = scheduler_refuse_ns(a->filters);

        if (a->n_operations == 0)
                refuse = MAX(refuse, DECLINE_PAUSE_NS);
        offers_accept(c->framework, names, a->n_offer_ids, a->operations, a->n_operations, refuse);
}

void scheduler_decline(struct scheduler_call *c)
{
        const Mete__V1__Scheduler__Call__Decline *d = c->call->decline;
        _cleanup_free_ const char **names = offer_names(d->offer_ids, d->n_offer_ids);

        offers_decline(
                c->framework, names, d->n_offer_ids, MAX(scheduler_refuse_ns(d->filters), DECLINE_PAUSE_NS));
}

/* Nothing here is ever scheduled to become unavailable: there is no inverse offer that an answer could be about. */
void scheduler_accept_inverse_offers(struct scheduler_call *c)
{
        log_info("framework %s accepts %zu inverse offers, of which none was made", c->framework->id,
                c->call->accept_inverse_offers->n_inverse_offer_ids);
}

void scheduler_decline_inverse_offers(struct scheduler_call *c)
{
        log_info("framework %s declines %zu inverse offers, of which none was made", c->framework->id,
                c->call->decline_inverse_offers->n_inverse_offer_ids);
}

/* For each of the roles, or all when none is named; a role that the framework does not have makes the whole call void. */
static void for_roles(struct framework *f, char *const *roles, size_t count,
        int (*act)(struct allocator *a, const char *framework, const char *role))
{
        for (size_t i = 0; i < count; i++)
                if (!allocator_framework_has_role(f->master->allocator, f->id, roles[i])) {
                        log_info("framework %s: a call about the role '%s', which it does not have: dropped",
                                f->id, roles[i]);
                        return;
                }
        if (count == 0)
                (void)act(f->master->allocator, f->id, NULL);
        for (size_t i = 0; i < count; i++)
                (void)act(f->master->allocator, f->id, roles[i]);
        offers_schedule(f->master);
}

void scheduler_revive(struct scheduler_call *c)
{
        const Mete__V1__Scheduler__Call__Revive *r = c->call->revive;

        for_roles(c->framework, r ? r->roles : NULL, r ? r->n_roles : 0, allocator_revive);
}

void scheduler_suppress(struct scheduler_call *c)
{
        const Mete__V1__Scheduler__Call__Suppress *s = c->call->suppress;

        for_roles(c->framework, s ? s->roles : NULL, s ? s->n_roles : 0, allocator_suppress);
}

/* Offers are all that is free, whatever somebody asks for. */
void scheduler_request(struct scheduler_call *c)
{
        log_debug("framework %s requests resources: everything free is offered anyway", c->framework->id);
}
