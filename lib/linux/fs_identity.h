/*
 * Opening paths with another user's rights: whoever names a path of the host must be able to reach it without us. Changes the calling
 * thread alone, and only what the file system checks; nothing else must run on the thread in between.
 */
#pragma once

#include <sys/types.h>

#include "lib/base/util.h"

#define FS_IDENTITY_GROUPS_MAX 256
struct fs_identity {
        gid_t groups[FS_IDENTITY_GROUPS_MAX];
        int group_count;
};

/* From now on uid and gid decide, without supplementary groups and without root's capabilities. -errno: nothing has changed. */
int fs_identity_assume(uid_t uid, gid_t gid, struct fs_identity *ret_saved) WARN_UNUSED;
/* Back to root. Aborts when that fails: a thread that is half somebody else must not go on. */
void fs_identity_restore(const struct fs_identity *saved);
