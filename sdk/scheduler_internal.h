/* What scheduler.c and scheduler_calls.c share. */
#pragma once

#include "sdk/detector.h"
#include "sdk/driver.h"

struct mete_scheduler {
        struct driver driver;
        struct mete_scheduler_options options; /* its pointers are not kept */
        struct detector *detector;
        Mete__V1__FrameworkInfo *framework; /* owned; guarded by the driver's lock, its id is set once */
        char **suppressed_roles;
        size_t n_suppressed_roles;
        char *authorization;        /* value of the header, or NULL */
        char *_Atomic framework_id; /* owned */
};
