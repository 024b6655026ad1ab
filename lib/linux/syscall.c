#include "lib/linux/syscall.h"
/* glibc reports through errno; everything above this file wants the negative number. */
static inline long result(long r)
{
        return r < 0 ? -errno : r;
}

pid_t sys_clone3(struct clone_args *args)
{
        return (pid_t)result(syscall(SYS_clone3, args, sizeof(*args)));
}

int sys_pidfd_open(pid_t pid, unsigned flags)
{
        /* The kernel sets close-on-exec on every pidfd (5.3). */
        return (int)result(syscall(SYS_pidfd_open, pid, flags));
}

int sys_pidfd_send_signal(int pidfd, int signo)
{
        return (int)result(syscall(SYS_pidfd_send_signal, pidfd, signo, NULL, 0));
}

int sys_openat2(int dirfd, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve)
{
        struct open_how how = {.flags = flags, .mode = mode, .resolve = resolve};

        return (int)result(syscall(SYS_openat2, dirfd, path, &how, sizeof(how)));
}

int sys_open_tree(int dirfd, const char *path, unsigned flags)
{
        return (int)result(syscall(SYS_open_tree, dirfd, path, flags));
}

int sys_move_mount(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
        return (int)result(syscall(SYS_move_mount, from_fd, from, to_fd, to, flags));
}

int sys_fsopen(const char *fsname, unsigned flags)
{
        return (int)result(syscall(SYS_fsopen, fsname, flags));
}

int sys_fsconfig(int fd, unsigned cmd, const char *key, const void *value, int aux)
{
        return (int)result(syscall(SYS_fsconfig, fd, cmd, key, value, aux));
}

int sys_fsmount(int fd, unsigned flags, unsigned attr_flags)
{
        return (int)result(syscall(SYS_fsmount, fd, flags, attr_flags));
}

int sys_mount_setattr(int dirfd, const char *path, unsigned flags, uint64_t attr_set, uint64_t attr_clr,
        uint64_t propagation)
{
        struct mount_attr attr = {.attr_set = attr_set, .attr_clr = attr_clr, .propagation = propagation};

        return (int)result(syscall(SYS_mount_setattr, dirfd, path, flags, &attr, sizeof(attr)));
}

int sys_close_range(unsigned first, unsigned last, unsigned flags)
{
        return (int)result(syscall(SYS_close_range, first, last, flags));
}

int sys_pivot_root(const char *new_root, const char *put_old)
{
        return (int)result(syscall(SYS_pivot_root, new_root, put_old));
}

int sys_memfd_create(const char *name, unsigned flags)
{
        return (int)result(syscall(SYS_memfd_create, name, flags));
}

int sys_seccomp(unsigned op, unsigned flags, void *args)
{
        return (int)result(syscall(SYS_seccomp, op, flags, args));
}
