/* What this program was built from. Programs are linked with the facts; what is linked without them (tests) has none. */
#pragma once

#include <stdint.h>

struct build_info {
        int64_t time; /* of the commit, seconds since 1970: the same source gives the same program. 0: not known */
        const char *user;                           /* who built it */
        const char *git_sha, *git_branch, *git_tag; /* "": not known */
};
extern const struct build_info build_info;
