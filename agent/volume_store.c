#include "agent/volume_store.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/id.h"
#include "lib/linux/syscall.h"

#define TRASH ".removed"
#define RESOLVE_OURS (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV)

int volume_store_open(int dirfd, const char *name, int *ret_fd, struct error *e)
{
        if (mkdirat(dirfd, name, 0700) < 0 && errno != EEXIST)
                return error_set_errno(e, -errno, "cannot make the directory %s", name);
        _cleanup_fd_ int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return error_set_errno(e, -errno, "cannot open the directory %s", name);
        /* Programs with the set-user-id bit that a task made must not wait here for the host's users. */
        if (fchmod(fd, 0700) < 0 || (mkdirat(fd, TRASH, 0700) < 0 && errno != EEXIST))
                return error_set_errno(e, -errno, "cannot make the directory %s/" TRASH, name);
        *ret_fd = TAKE_FD(fd);
        return 0;
}

static int open_below(int store_fd, const char *path)
{
        return sys_openat2(store_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0, RESOLVE_OURS);
}

int volume_open(int store_fd, const char *path, int *ret_fd)
{
        int fd = open_below(store_fd, path);

        if (fd < 0)
                return fd;
        *ret_fd = fd;
        return 0;
}

int volume_make(int store_fd, const char *path, struct error *e)
{
        const char *slash = strchr(path, '/');
        _cleanup_free_ char *role = xstrndup(path, (size_t)(slash - path));

        if (mkdirat(store_fd, role, 0700) < 0 && errno != EEXIST)
                return error_set_errno(e, -errno, "cannot make the directory of the role %s", role);
        _cleanup_fd_ int role_fd = open_below(store_fd, role);
        if (role_fd < 0)
                return error_set_errno(e, role_fd, "cannot open the directory of the role %s", role);
        if (mkdirat(role_fd, slash + 1, 0755) == 0)
                return 0;
        if (errno != EEXIST)
                return error_set_errno(e, -errno, "cannot make the volume %s", path);
        _cleanup_fd_ int fd = open_below(role_fd, slash + 1);
        return fd < 0 ? error_set_errno(e, fd, "the volume %s cannot be opened", path) : 0;
}

int volume_discard(int store_fd, const char *path, struct error *e)
{
        uint8_t uuid[UUID_BYTES];
        char name[UUID_TEXT_MAX];
        const char *slash = strchr(path, '/');
        _cleanup_free_ char *role = xstrndup(path, (size_t)(slash - path));

        uuid_generate_bytes(uuid);
        _cleanup_free_ char *target = xasprintf(TRASH "/%s", uuid_format(uuid, name));
        _cleanup_fd_ int role_fd = open_below(store_fd, role);
        if (role_fd == -ENOENT)
                return 0;
        if (role_fd < 0)
                return error_set_errno(e, role_fd, "cannot open the directory of the role %s", role);
        if (renameat(role_fd, slash + 1, store_fd, target) < 0 && errno != ENOENT)
                return error_set_errno(e, -errno, "cannot remove the volume %s", path);
        (void)unlinkat(store_fd, role, AT_REMOVEDIR); /* the last of its role */
        return 0;
}

/* ---- listing ---- */

static void close_directory(DIR **d)
{
        if (*d)
                (void)closedir(*d);
}

static int list_names(int dirfd, const char *name, struct string_list *ret)
{
        int fd = open_below(dirfd, name);
        CLEANUP(close_directory) DIR *d = fd < 0 ? NULL : fdopendir(fd);
        struct dirent *x;

        if (!d) {
                int r = fd < 0 ? fd : -errno;

                close_fd(fd);
                return r;
        }
        while ((x = readdir(d)))
                if (!str_equal(x->d_name, ".") && !str_equal(x->d_name, "..") && !str_equal(x->d_name, TRASH))
                        string_list_add(ret, x->d_name);
        return 0;
}

int volume_list(int store_fd, struct string_list *ret)
{
        CLEANUP(string_list_done) struct string_list roles = {0}, all = {0};

        int r = list_names(store_fd, ".", &roles);
        for (size_t i = 0; i < roles.count && r == 0; i++) {
                CLEANUP(string_list_done) struct string_list ids = {0};

                if (list_names(store_fd, roles.items[i], &ids) < 0)
                        continue; /* nothing of ours */
                for (size_t k = 0; k < ids.count; k++) {
                        _cleanup_free_ char *path = xasprintf("%s/%s", roles.items[i], ids.items[k]);
                        string_list_add(&all, path);
                }
        }
        if (r < 0)
                return r;
        *ret = all;
        all = (struct string_list){0};
        return 0;
}

/* ---- removing what was discarded ---- */

int volume_purge(int store_fd, unsigned long budget)
{
        CLEANUP(string_list_done) struct string_list names = {0};
        int failed = 0;

        int r = list_names(store_fd, TRASH, &names);
        if (r < 0)
                return r;
        for (size_t i = 0; i < names.count; i++) {
                _cleanup_free_ char *path = xasprintf(TRASH "/%s", names.items[i]);

                r = remove_some_at(store_fd, path, &budget);
                if (r > 0)
                        return 1;
                failed = failed == 0 && r < 0 ? r : failed;
        }
        return failed;
}
