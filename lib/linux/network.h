/* The little network configuration that the agent needs itself, by netlink. */
#pragma once

#include <sys/socket.h>

#include "lib/base/error.h"

/* Sets "lo" up in the network namespace of the caller. Needs no library: used by the static shim. */
int network_loopback_up(struct error *e) WARN_UNUSED;
/*
 * The user that owns the other end of a TCP connection on loopback: asked of the kernel by SOCK_DIAG for the exact socket
 * (client -> server). -ENOENT when it is not of this network namespace or is gone: then nothing is known about the peer, and the caller grants nothing.
 */
int network_peer_uid(const struct sockaddr *client, const struct sockaddr *server, uid_t *ret) WARN_UNUSED;
