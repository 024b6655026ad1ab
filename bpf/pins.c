/*
 * The pin directory: where programs and maps live on between two processes of an agent. It lies on a bpffs;
 * where it does not, a private one is mounted on it, known again by its source "mete", so that no other bpffs
 * is ever unmounted.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <mntent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "bpf/internal.h"

#define MOUNT_SOURCE "mete"
#define STACKED_MOUNTS_MAX 8

static bool on_bpffs(int fd)
{
        struct statfs fs;
        return fstatfs(fd, &fs) == 0 && fs.f_type == BPF_FS_MAGIC;
}

static int open_dir(const char *path)
{
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

/* Whoever can write there could give us other maps than ours. */
static int check_owner(int fd, const char *path, struct error *e)
{
        struct stat st;

        if (fstat(fd, &st) < 0)
                return error_set_errno(e, -errno, "inspecting %s", path);
        if (st.st_uid != geteuid() || (st.st_mode & 022))
                return error_set(e, -EPERM,
                        "%s belongs to uid %u with mode %04o: it must be ours and writable by nobody else",
                        path, st.st_uid, (unsigned)(st.st_mode & 07777));
        return 0;
}

int pins_prepare(const char *pin_dir, struct error *e)
{
        _cleanup_fd_ int fd = -1;
        int r = mkdir_parents_at(AT_FDCWD, pin_dir, 0700);

        if (r < 0)
                return error_set_errno(e, r, "creating the pin directory %s", pin_dir);
        fd = open_dir(pin_dir);
        if (fd < 0)
                return error_set_errno(e, fd, "opening the pin directory %s", pin_dir);
        if (on_bpffs(fd))
                return check_owner(fd, pin_dir, e);
        r = check_owner(fd, pin_dir, e);
        if (r < 0)
                return r;
        if (mount(MOUNT_SOURCE, pin_dir, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") < 0)
                return error_set_errno(e, -errno, "mounting a bpffs on %s", pin_dir);
        return 0;
}

/* Unlinks the files of one generation, then its directory. bpffs directories of ours hold files only. */
static int remove_generation(int pin_fd, const char *name)
{
        int fd = openat(pin_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        struct dirent *d;
        DIR *dir;
        int r = 0;

        if (fd < 0)
                return -errno;
        dir = fdopendir(fd);
        if (!dir) {
                r = -errno;
                (void)close_fd(fd);
                return r;
        }
        while ((d = readdir(dir)))
                if (!str_equal(d->d_name, ".") && !str_equal(d->d_name, "..") &&
                        unlinkat(fd, d->d_name, 0) < 0)
                        r = -errno;
        (void)closedir(dir);
        if (r == 0 && unlinkat(pin_fd, name, AT_REMOVEDIR) < 0)
                r = -errno;
        return r;
}

int pins_clear(const char *pin_dir, struct error *e)
{
        _cleanup_fd_ int fd = open_dir(pin_dir);
        struct dirent *d;
        DIR *dir;
        int r = 0;

        if (fd < 0)
                return error_set_errno(e, fd, "opening the pin directory %s", pin_dir);
        if (!on_bpffs(fd))
                return 0;
        dir = fdopendir(fd);
        if (!dir)
                return error_set_errno(e, -errno, "reading the pin directory %s", pin_dir);
        TAKE_FD(fd);
        while ((d = readdir(dir))) {
                int q;

                if (d->d_name[0] != 'v')
                        continue;
                q = remove_generation(dirfd(dir), d->d_name);
                if (q < 0)
                        r = error_set_errno(e, q, "removing %s/%s", pin_dir, d->d_name);
        }
        (void)closedir(dir);
        return r;
}

static bool mounted_by_us(const char *path)
{
        FILE *f = setmntent("/proc/self/mounts", "re");
        char buf[4 * PATH_MAX];
        struct mntent m;
        bool ours = false;

        if (!f)
                return false;
        while (getmntent_r(f, &m, buf, sizeof(buf)))
                if (str_equal(m.mnt_dir, path))
                        ours = str_equal(m.mnt_type, "bpf") && str_equal(m.mnt_fsname, MOUNT_SOURCE);
        (void)endmntent(f);
        return ours;
}

int bpf_probes_purge(const char *pin_dir, struct error *e)
{
        _cleanup_free_ char *path = realpath(pin_dir, NULL);
        int r;

        if (!path)
                return errno == ENOENT ? 0 : error_set_errno(e, -errno, "resolving %s", pin_dir);
        r = pins_clear(path, e);
        if (r < 0)
                return r;
        for (int i = 0; i < STACKED_MOUNTS_MAX && mounted_by_us(path); i++) {
                /* Lazily when somebody looks at it: nothing is pinned there any more. */
                if (umount2(path, UMOUNT_NOFOLLOW) < 0 && umount2(path, UMOUNT_NOFOLLOW | MNT_DETACH) < 0)
                        return error_set_errno(e, -errno, "unmounting the bpffs at %s", path);
        }
        if (rmdir(path) < 0 && errno != ENOENT)
                return error_set_errno(e, -errno, "removing the pin directory %s", path);
        return 0;
}
