/* One master: it leads from the start and for ever. The store's lock keeps a second one on the same store away. */

#include "master/election/election_internal.h"

static int standalone_start(struct election *e)
{
        e->handler(ELECTION_LEADER, e->userdata);
        return 0;
}

static bool standalone_sole(const struct election *e)
{
        return true;
}

const struct election_backend election_standalone = {
        .scheme = "standalone",
        .start = standalone_start,
        .sole = standalone_sole,
};
