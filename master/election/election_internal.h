/* Shared by the backends of the election. */
#pragma once

#include "master/election/election.h"

struct election {
        const struct election_backend *backend;
        struct loop *loop;
        election_handler handler;
        void *userdata;
};

extern const struct election_backend election_standalone;
