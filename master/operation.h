/*
 * RESERVE, UNRESERVE, CREATE, DESTROY, GROW_VOLUME and SHRINK_VOLUME: what each makes of what. Pure functions: resources at hand and one
 * operation in, amounts that become amounts with other traits out; nothing is changed here.
 *
 * What is at hand is what the offers of an ACCEPT still hold, or what an agent has free for an operator.
 */
#pragma once

#include "lib/base/resources.h"
#include "proto/mesos.pb-c.h"

struct operation_scope {
        const struct resources *held;  /* at hand */
        const struct resources *total; /* of the agent: no two volumes of one role have the same id there */
        const char *
                role; /* of the offers: a framework's right ends with it and the roles below. NULL: any, an operator's */
        const char *principal; /* of the framework; NULL: none */
};

/* Of the same quantities. `from` is at hand. */
struct operation_change {
        struct resources from, to;
};
void operation_change_done(struct operation_change *c);
#define _cleanup_operation_change_ CLEANUP(operation_change_done)

/* Is it one of the six? */
bool operation_is_change(const Mete__V1__Offer__Operation *op);
/*
 * -EINVAL: it can never be; -EPERM: not by this framework; -ERANGE: what it needs is not at hand; -EEXIST: the volume id is taken. The
 * sentence names the field ("operation.reserve.resources[0]..."). Operators' operations have no principal to agree with.
 */
int operation_evaluate(const struct operation_scope *scope, const Mete__V1__Offer__Operation *op,
        struct operation_change *ret, struct error *e) WARN_UNUSED;

/*
 * The same amounts with the traits by which they are held. A volume is known by its role and id: where and how a task sees it is the task's
 * matter. A single reservation stands for the last of a stack, which frameworks without RESERVATION_REFINEMENT cannot write. What
 * matches nothing stays as it is.
 */
void resources_as_held(const struct resources *held, const struct resources *wanted, struct resources *ret);
