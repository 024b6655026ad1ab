#include "master/election/election.h"

#include <stdlib.h>

#include "master/election/election_internal.h"

static const struct election_backend *const backends[] = {&election_standalone};

int election_new(struct loop *l, const char *url, election_handler handler, void *userdata,
        struct election **ret, struct error *e)
{
        for (size_t i = 0; i < ELEMENTSOF(backends); i++) {
                if (!str_equal(backends[i]->scheme, url))
                        continue;
                struct election *n = NEW0(struct election);

                *n = (struct election){
                        .backend = backends[i], .loop = l, .handler = handler, .userdata = userdata};
                *ret = n;
                return 0;
        }
        return error_set(e, -EINVAL, "election: unknown '%s': standalone is expected", url);
}

int election_start(struct election *e)
{
        return e->backend->start(e);
}

bool election_sole(const struct election *e)
{
        return e->backend->sole(e);
}

bool election_leader(const struct election *e, struct election_address *ret)
{
        return e->backend->leader && e->backend->leader(e, ret);
}

struct election *election_free(struct election *e)
{
        free(e);
        return NULL;
}
