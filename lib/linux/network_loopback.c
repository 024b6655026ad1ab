#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>

#include "lib/linux/network.h"

/* One ioctl pair needs no netlink: this file is part of the static shim. */
int network_loopback_up(struct error *e)
{
        _cleanup_fd_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return error_set_errno(e, -errno, "cannot open a socket to set the loopback interface up");

        struct ifreq request = {0};
        memcpy(request.ifr_name, "lo", sizeof("lo"));
        if (ioctl(fd, SIOCGIFFLAGS, &request) < 0)
                return error_set_errno(e, -errno, "cannot read the flags of the network interface lo");
        if (request.ifr_flags & IFF_UP)
                return 0;
        request.ifr_flags |= IFF_UP;
        if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
                return error_set_errno(e, -errno, "cannot set the network interface lo up");
        return 0;
}
