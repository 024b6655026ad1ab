/*
 * A master and its agents on this machine, as children: started in order, watched, stopped in order (agents first, so that
 * their tasks and everything made for them are gone before the master is). Runs on the client's loop, blocking.
 */
#pragma once

#include "sdk/client.h"

struct dev_options {
        char *work_dir; /* absolute */
        uint64_t port;  /* of the master; agents have the following ones */
        uint64_t agents;
        bool verbose; /* daemons log to our stderr */
};

/*
 * Returns when everything has stopped: 0 after a signal, or a negative errno with a sentence when a daemon could not be
 * started or died. on_ready is called once all agents have registered.
 */
int dev_cluster_run(const struct dev_options *o,
        void (*on_ready)(const struct dev_options *o, const Mete__Api__Response *agents, void *userdata),
        void *userdata, struct error *e) WARN_UNUSED;
