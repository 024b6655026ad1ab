/*
 * Who owns the other end of a loopback connection. The client's socket is looked up as the client sees it:
 * its port is the source, ours the destination. Three answers of the kernel look like root and are not:
 *   - when the exact socket is gone, the lookup falls back to a listener on the client's port;
 *   - a socket in TIME_WAIT (also with FIN_WAIT2 as its substate) has no owner and reports uid 0;
 *   - a socket that its process closed while data is in flight is an orphan and reports uid 0 as well.
 * All but the first have inode 0. The kernel reads the uid before the inode, so a uid that comes with an
 * inode is the owner's.
 */
#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/time.h>

#include "lib/linux/cgroup_id.h"
#include "lib/linux/network.h"

#define STATE_LISTEN 10 /* TCP_LISTEN of net/tcp_states.h, which is not for user space */

struct endpoint {
        int family; /* AF_INET for a mapped address too: such sockets are hashed by their IPv4 addresses */
        uint32_t address[4];
        uint16_t port; /* network order */
};

static int endpoint_from_sockaddr(const struct sockaddr *sa, struct endpoint *ret)
{
        struct endpoint p = {.family = sa->sa_family};

        if (sa->sa_family == AF_INET) {
                struct sockaddr_in in;
                memcpy(&in, sa, sizeof(in));
                p.address[0] = in.sin_addr.s_addr;
                p.port = in.sin_port;
        } else if (sa->sa_family == AF_INET6) {
                struct sockaddr_in6 in6;
                memcpy(&in6, sa, sizeof(in6));
                memcpy(p.address, &in6.sin6_addr, sizeof(p.address));
                p.port = in6.sin6_port;
                if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr)) {
                        p.family = AF_INET;
                        p.address[0] = p.address[3];
                        p.address[1] = p.address[2] = p.address[3] = 0;
                }
        } else
                return -EAFNOSUPPORT;
        *ret = p;
        return 0;
}

/* Only loopback: a foreign address that a proxy of root speaks for (IP_TRANSPARENT) would make its client
 * look like root. */
static bool endpoint_is_loopback(const struct endpoint *p)
{
        if (p->family == AF_INET)
                return ntohl(p->address[0]) >> 24 == 127;
        struct in6_addr a;
        memcpy(&a, p->address, sizeof(a));
        return IN6_IS_ADDR_LOOPBACK(&a);
}

static bool endpoint_equal(const struct endpoint *a, const struct endpoint *b)
{
        return a->family == b->family && a->port == b->port &&
               memcmp(a->address, b->address, sizeof(a->address)) == 0;
}

static void endpoint_from_diag(int family, const __be32 address[4], uint16_t port, struct endpoint *ret)
{
        struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = port};
        struct endpoint p = {.family = family, .port = port};

        if (family == AF_INET6) {
                memcpy(&in6.sin6_addr, address, sizeof(in6.sin6_addr));
                (void)endpoint_from_sockaddr((const struct sockaddr *)&in6, &p);
        } else
                p.address[0] = address[0];
        *ret = p;
}

static int send_request(int fd, const struct endpoint *client, const struct endpoint *server)
{
        struct {
                struct nlmsghdr header;
                struct inet_diag_req_v2 request;
        } m = {
                .header = {.nlmsg_len = sizeof(m),
                        .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                        .nlmsg_flags = NLM_F_REQUEST,
                        .nlmsg_seq = 1},
                .request = {.sdiag_family = (uint8_t)client->family,
                        .sdiag_protocol = IPPROTO_TCP,
                        .idiag_states = UINT32_MAX},
        };
        m.request.id.idiag_sport = client->port;
        m.request.id.idiag_dport = server->port;
        memcpy(m.request.id.idiag_src, client->address, sizeof(client->address));
        memcpy(m.request.id.idiag_dst, server->address, sizeof(server->address));
        m.request.id.idiag_cookie[0] = m.request.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;

        struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
        ssize_t n = sendto(fd, &m, sizeof(m), 0, (struct sockaddr *)&kernel, sizeof(kernel));
        if (n < 0)
                return -errno;
        return n == sizeof(m) ? 0 : -EIO;
}

static uint64_t cgroup_of(const struct nlmsghdr *h)
{
        const char *p = (const char *)NLMSG_DATA(h) + NLMSG_ALIGN(sizeof(struct inet_diag_msg));
        size_t left = h->nlmsg_len - NLMSG_LENGTH(sizeof(struct inet_diag_msg));
        uint64_t id = 0;

        while (left >= sizeof(struct nlattr)) {
                struct nlattr a;
                memcpy(&a, p, sizeof(a));
                if (a.nla_len < sizeof(a) || a.nla_len > left)
                        break;
                if ((a.nla_type & NLA_TYPE_MASK) == INET_DIAG_CGROUP_ID &&
                        a.nla_len >= NLA_HDRLEN + sizeof(id))
                        memcpy(&id, p + NLA_HDRLEN, sizeof(id));
                size_t step = MIN((size_t)NLA_ALIGN(a.nla_len), left);
                p += step;
                left -= step;
        }
        return id;
}

static int check_answer(const struct nlmsghdr *h, const struct endpoint *client,
        const struct endpoint *server, struct network_peer *ret)
{
        const struct inet_diag_msg *d = NLMSG_DATA(h);
        struct endpoint source, destination;

        endpoint_from_diag(d->idiag_family, d->id.idiag_src, d->id.idiag_sport, &source);
        endpoint_from_diag(d->idiag_family, d->id.idiag_dst, d->id.idiag_dport, &destination);
        if (d->idiag_state == STATE_LISTEN || d->idiag_inode == 0)
                return -ENOENT;
        if (!endpoint_equal(&source, client) || !endpoint_equal(&destination, server))
                return -ENOENT;
        *ret = (struct network_peer){.uid = d->idiag_uid, .cgroup_id = cgroup_of(h)};
        return 0;
}

static int receive_answer(
        int fd, const struct endpoint *client, const struct endpoint *server, struct network_peer *ret)
{
        union {
                struct nlmsghdr header;
                char bytes[8192];
        } m;
        struct sockaddr_nl from = {0};
        socklen_t from_size = sizeof(from);

        ssize_t n = recvfrom(fd, &m, sizeof(m), 0, (struct sockaddr *)&from, &from_size);
        if (n < 0)
                return -errno;
        if (from.nl_pid != 0 || !NLMSG_OK(&m.header, (size_t)n))
                return -EBADMSG;
        if (m.header.nlmsg_type == NLMSG_ERROR) {
                struct nlmsgerr failure;
                if (m.header.nlmsg_len < NLMSG_LENGTH(sizeof(failure.error)))
                        return -EBADMSG;
                memcpy(&failure.error, NLMSG_DATA(&m.header), sizeof(failure.error));
                return failure.error < 0 ? failure.error : -EBADMSG;
        }
        if (m.header.nlmsg_type != SOCK_DIAG_BY_FAMILY ||
                m.header.nlmsg_len < NLMSG_LENGTH(sizeof(struct inet_diag_msg)))
                return -EBADMSG;
        return check_answer(&m.header, client, server, ret);
}

static int lookup(const struct sockaddr *client, const struct sockaddr *server, bool loopback_only,
        struct network_peer *ret)
{
        struct endpoint c, s;

        int r = endpoint_from_sockaddr(client, &c);
        if (r >= 0)
                r = endpoint_from_sockaddr(server, &s);
        if (r < 0)
                return r;
        if (c.family != s.family)
                return -ENOENT;
        if (loopback_only && (!endpoint_is_loopback(&c) || !endpoint_is_loopback(&s)))
                return -ENOENT;

        _cleanup_fd_ int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
        if (fd < 0)
                return -errno;
        /* The kernel answers within the sendto(); a lost answer must not block the caller's loop. */
        struct timeval deadline = {.tv_usec = 100000};
        if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof(deadline)) < 0)
                return -errno;
        r = send_request(fd, &c, &s);
        return r < 0 ? r : receive_answer(fd, &c, &s, ret);
}

int network_peer_lookup(
        const struct sockaddr *client, const struct sockaddr *server, struct network_peer *ret)
{
        return lookup(client, server, /* loopback_only= */ true, ret);
}

int network_peer_cgroup(const struct sockaddr *client, const struct sockaddr *server, uint64_t *ret)
{
        struct network_peer peer;

        int r = lookup(client, server, /* loopback_only= */ false, &peer);
        if (r < 0)
                return r;
        if (peer.cgroup_id == 0)
                return -ENODATA;
        *ret = peer.cgroup_id;
        return 0;
}

/* Only an address of this machine can be bound to. */
bool network_address_is_local(const struct sockaddr *address)
{
        union {
                struct sockaddr any;
                struct sockaddr_in v4;
                struct sockaddr_in6 v6;
        } a = {0};
        socklen_t len = address->sa_family == AF_INET6 ? sizeof(a.v6) : sizeof(a.v4);

        if (address->sa_family != AF_INET && address->sa_family != AF_INET6)
                return true;
        memcpy(&a, address, len);
        if (a.any.sa_family == AF_INET6)
                a.v6.sin6_port = 0;
        else
                a.v4.sin_port = 0;
        _cleanup_fd_ int fd = socket(a.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        return fd < 0 || bind(fd, &a.any, len) == 0 || errno != EADDRNOTAVAIL;
}

int network_peer_uid(const struct sockaddr *client, const struct sockaddr *server, uid_t *ret)
{
        struct network_peer peer;

        int r = network_peer_lookup(client, server, &peer);
        if (r >= 0)
                *ret = peer.uid;
        return r;
}

int network_caller_uid(const struct sockaddr *client, const struct sockaddr *server, uid_t *ret)
{
        _cleanup_free_ char *path = NULL;
        struct network_peer peer;

        int r = network_peer_lookup(client, server, &peer);
        if (r < 0)
                return r;
        if (peer.cgroup_id == 0 || cgroup_path_by_id(peer.cgroup_id, &path) < 0)
                return -ENODATA;
        if (cgroup_path_is_container(path))
                return -EACCES;
        *ret = peer.uid;
        return 0;
}
