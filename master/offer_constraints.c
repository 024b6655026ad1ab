/* Which agents a framework wants to be offered at all. */

#include <stdlib.h>

#include "master/core.h"

struct offer_constraints {
        Mete__V1__Scheduler__OfferConstraints *message;
};

void offer_constraints_free(struct offer_constraints *c)
{
        if (!c)
                return;
        message_free(c->message);
        free(c);
}

int framework_set_constraints(
        struct framework *f, const Mete__V1__Scheduler__OfferConstraints *constraints, struct error *e)
{
        struct offer_constraints *c = NULL;

        if (constraints && constraints->n_role_constraints > 0) {
                c = NEW0(struct offer_constraints);
                c->message = message_copy(constraints);
        }
        offer_constraints_free(f->constraints);
        f->constraints = c;
        allocator_reconsider(f->master->allocator);
        offers_schedule(f->master);
        return 0;
}

bool offer_qualifies(void *master, const char *framework, const char *role, const char *agent,
        const struct resources *available)
{
        const struct master *m = master;
        const struct framework *f = framework_find(m, framework);

        return f && f->ops;
}
