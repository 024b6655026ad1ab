#include "lib/linux/cgroup_id.h"

#include <fcntl.h>
#include <limits.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/id.h"
#include "lib/base/util.h"

#define CONTAINERS "/containers/"
#define FILEID_KERNFS 0xfe /* include/linux/exportfs.h: the handle of a kernfs node is its 64-bit id (5.5) */

static int open_cgroup2(void)
{
        struct mntent entry;
        char line[4 * PATH_MAX];
        FILE *f = setmntent("/proc/self/mounts", "re");
        int fd = -ENODATA;

        if (!f)
                return -errno;
        while (fd < 0 && getmntent_r(f, &entry, line, sizeof(line)))
                if (str_equal(entry.mnt_type, "cgroup2"))
                        fd = open(entry.mnt_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        (void)endmntent(f);
        return fd < 0 ? -ENODATA : fd;
}

int cgroup_path_by_id(uint64_t id, char **ret)
{
        union {
                struct file_handle handle;
                char bytes[sizeof(struct file_handle) + sizeof(id)];
        } h = {.handle = {.handle_bytes = sizeof(id), .handle_type = FILEID_KERNFS}};
        char link[64], path[PATH_MAX];

        _cleanup_fd_ int mount_fd = open_cgroup2();
        if (mount_fd < 0)
                return mount_fd;
        memcpy(h.bytes + offsetof(struct file_handle, f_handle), &id, sizeof(id));
        _cleanup_fd_ int fd = open_by_handle_at(mount_fd, &h.handle, O_PATH | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        ssize_t n = readlink(link, path, sizeof(path) - 1);
        if (n < 0)
                return -errno;
        path[n] = '\0';
        /* What was removed keeps its path, with this behind it. */
        if (str_has_suffix(path, " (deleted)"))
                return -ESTALE;
        *ret = xstrdup(path);
        return 0;
}

static bool starts_with_uuid(const char *s)
{
        static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
        size_t i;

        for (i = 0; form[i]; i++)
                if (form[i] == '-' ? s[i] != '-' : !s[i] || !strchr("0123456789abcdef", s[i]))
                        return false;
        return s[i] == '\0' || s[i] == '/';
}

bool cgroup_path_is_container(const char *path)
{
        for (const char *p = path; (p = strstr(p, CONTAINERS)); p++)
                if (starts_with_uuid(p + strlen(CONTAINERS)))
                        return true;
        return false;
}
