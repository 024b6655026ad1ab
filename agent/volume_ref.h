/*
 * Persistent volumes as resources name them: what directory below <work-dir>/volumes each one is, and where a task wants to see it. Pure.
 */
#pragma once

#include "lib/base/error.h"
#include "proto/mesos.pb-c.h"

#define VOLUME_CONTAINER_PATH_MAX 1024

struct volume_ref {
        char *path;   /* owned: "<role>/<id>" below the directory of volumes, both as names of files */
        char *target; /* owned: where tasks see it, without superfluous slashes; relative: in the sandbox */
        const char *role, *id; /* of the message */
        bool read_only;
};
struct volume_refs {
        struct volume_ref *items;
        size_t count;
};
void volume_refs_done(struct volume_refs *l);
#define _cleanup_volume_refs_ CLEANUP(volume_refs_done)
/*
 * Those resources that are persistent volumes, in their order; borrows from the message. -EINVAL with a sentence naming the field below
 * `field` ("task.resources").
 */
int volume_refs_parse(Mete__V1__Resource *const *resources, size_t count, const char *field,
        struct volume_refs *ret, struct error *e) WARN_UNUSED;
bool volume_refs_contain(const struct volume_refs *l, const char *path);
