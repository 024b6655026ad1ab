/*
 * Users and groups of a root file system that we do not trust: passwd and group are parsed as bounded text below a dirfd,
 * never through NSS. "name", "uid", "name:group", "uid:gid". Numeric text is a number, never a name.
 */
#pragma once

#include "lib/base/error.h"

#define USER_GROUPS_MAX 64
struct user_ids {
        uid_t uid;
        gid_t gid;
        gid_t groups[USER_GROUPS_MAX]; /* supplementary, from group */
        size_t group_count;
        char home[256]; /* "/" where there is none */
        char name[64];  /* "" where there is none */
};
/*
 * root_fd is a directory fd of the root file system ("/" of it). -ENOENT with a sentence naming the user or group that does not exist
 * there; -EINVAL for text that cannot be a user. A missing etc/passwd or etc/group is an empty one; anything but a regular file is refused.
 * A numeric user without an entry gets the group 65534. With a group given, there are no supplementary groups.
 */
int users_resolve(int root_fd, const char *spec, struct user_ids *ret, struct error *e) WARN_UNUSED;
/* The same for text that the caller holds; need not be NUL-terminated. Malformed and over-long lines are skipped. */
int users_resolve_text(const char *passwd, size_t passwd_len, const char *group, size_t group_len,
        const char *spec, struct user_ids *ret, struct error *e) WARN_UNUSED;
/* The name of a uid on the host, or NULL; the caller frees. */
char *users_host_name(uid_t uid);
