/*
 * Who leads. A contender reports when it became the leader and when it no longer is; only the leader admits agents and sends
 * commands. Owned by the daemon; loop thread only.
 */
#pragma once

#include "lib/base/error.h"
#include "lib/loop/loop.h"

struct election;

enum election_state { ELECTION_FOLLOWER, ELECTION_LEADER };
typedef void (*election_handler)(enum election_state state, void *userdata);

/* Where clients reach a master. Borrowed from the election. */
struct election_address {
        const char *host; /* name, else numeric address */
        uint16_t port;
};

struct election_backend {
        const char *scheme; /* "standalone" */
        int (*start)(struct election *e);
        /*
         * An agent has seen a higher epoch than ours. True: nobody else can lead, the epoch may be raised above it (the store was
         * replaced by an older one). False: somebody else leads, this master must stop.
         */
        bool (*sole)(const struct election *e);
        /* Who leads, when that is another one and known. NULL: nobody is ever known. */
        bool (*leader)(const struct election *e, struct election_address *ret);
};

/* "standalone" */
int election_new(struct loop *l, const char *url, election_handler handler, void *userdata,
        struct election **ret, struct error *e) WARN_UNUSED;
int election_start(struct election *e) WARN_UNUSED; /* the handler may fire at once */
bool election_sole(const struct election *e);
/* False when no leader is known. A leader knows its own address better. */
bool election_leader(const struct election *e, struct election_address *ret);
struct election *election_free(struct election *e);
DEFINE_CLEANUP(struct election, election_free)
