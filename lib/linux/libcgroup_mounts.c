#include "lib/linux/libcgroup_mounts.h"

#include <errno.h>
#include <libcgroup.h>

int libcgroup_mounts(void (*f)(void *context, const char *controller, const char *path), void *context)
{
        struct cgroup_mount_point point;
        void *handle = NULL;

        if (cgroup_init() != 0)
                return -ENOENT;
        int r = cgroup_get_controller_begin(&handle, &point);
        for (; r == 0; r = cgroup_get_controller_next(&handle, &point))
                f(context, point.name, point.path);
        (void)cgroup_get_controller_end(&handle);
        return r == ECGEOF ? 0 : -ENOENT;
}
