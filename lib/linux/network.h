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
/* The same with the cgroup in which the socket was made (v2, Linux 5.8; 0: this kernel does not say). */
struct network_peer {
        uid_t uid;
        uint64_t cgroup_id;
};
int network_peer_lookup(
        const struct sockaddr *client, const struct sockaddr *server, struct network_peer *ret) WARN_UNUSED;
/*
 * The cgroup in which the client's socket was made; any address of this machine. That the user is not told has a reason: with a foreign
 * address, a proxy of root would make its client look like root. -ENODATA: this kernel does not say; else as above.
 */
int network_peer_cgroup(
        const struct sockaddr *client, const struct sockaddr *server, uint64_t *ret) WARN_UNUSED;
/* Does the address belong to this machine (its network namespace, rather)? Yes when that cannot be told. */
bool network_address_is_local(const struct sockaddr *address);
/*
 * The user at the other end, -EACCES when that is a task of ours: a task that has the host's network carries the number of its user, but
 * not the rights of who submitted it. A caller whose cgroup cannot be told is nobody (-ENODATA): it might be a task.
 */
int network_caller_uid(const struct sockaddr *client, const struct sockaddr *server, uid_t *ret) WARN_UNUSED;
