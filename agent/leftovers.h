/*
 * Cgroups of ended containers that could not be removed at once: the kernel still tears the last process down. They are killed and
 * removed again from a timer until they are gone. Loop thread.
 */
#pragma once

#include "lib/base/option.h"
#include "lib/linux/cgroup.h"
#include "lib/loop/loop.h"

struct leftovers {
        const struct cgroup_root *cgroups;
        struct loop_timer *timer;
        struct string_list names; /* relative to the root */
        uint64_t delay_ns;
};

void leftovers_start(struct leftovers *l, struct loop *loop, const struct cgroup_root *cgroups);
void leftovers_stop(struct leftovers *l); /* a last attempt at each */
/* Removes the group if it is there, now or later. */
void leftovers_add(struct leftovers *l, const char *name);
