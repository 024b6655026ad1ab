#include "lib/linux/fs_identity.h"

#include <stdlib.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ID_NONE ((id_t)-1)

/* The library's setgroups() would change every thread. */
static int set_groups(int count, const gid_t *groups)
{
        return syscall(SYS_setgroups, (size_t)count, groups) < 0 ? -errno : 0;
}

/* They report no failure but the identity before; asked again with an invalid one they tell what is so now. */
static bool set_ids(uid_t uid, gid_t gid)
{
        (void)setfsgid(gid);
        (void)setfsuid(uid);
        return (gid_t)setfsgid(ID_NONE) == gid && (uid_t)setfsuid(ID_NONE) == uid;
}

int fs_identity_assume(uid_t uid, gid_t gid, struct fs_identity *ret_saved)
{
        struct fs_identity saved;

        saved.group_count = getgroups(FS_IDENTITY_GROUPS_MAX, saved.groups);
        if (saved.group_count < 0)
                return -errno;
        int r = set_groups(0, NULL);
        if (r < 0)
                return r;
        *ret_saved = saved;
        if (set_ids(uid, gid))
                return 0;
        fs_identity_restore(&saved);
        return -EPERM;
}

void fs_identity_restore(const struct fs_identity *saved)
{
        if (!set_ids(0, 0) || set_groups(saved->group_count, saved->groups) < 0)
                abort();
}
