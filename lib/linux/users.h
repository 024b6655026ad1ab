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
        char home[256];                /* "/" where there is none */
        char name[64];                 /* "" where there is none */
};
/* etc_fd is a directory fd of the root file system ("/" of it). -ENOENT with a sentence naming the user or group that does not exist there. */
int users_resolve(int root_fd, const char *spec, struct user_ids *ret, struct error *e) WARN_UNUSED;
/* The name of a uid on the host, or NULL; the caller frees. */
char *users_host_name(uid_t uid);
