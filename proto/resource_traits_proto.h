/* The traits of a Resource, for resources_proto.c: see there. Pure functions. */
#pragma once

#include "lib/base/resources.h"
#include "proto/mesos.pb-c.h"

/* May it be more than plain? False spares the look at all of its members. */
bool resource_has_traits(const Mete__V1__Resource *m);
/* `path` names the Resource in sentences. *ret may be NULL: plain; it is a reference. -EINVAL. */
int resource_traits_from_proto(const Mete__V1__Resource *m, const char *path,
        const struct resource_traits **ret, struct error *e) WARN_UNUSED;
/*
 * Into a message without them. old_form: role and reservation in place of the stack, of which only the last refinement fits in; plain
 * resources get role "*".
 */
void resource_traits_to_proto(const struct resource_traits *t, bool old_form, Mete__V1__Resource *m);
