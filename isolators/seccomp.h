/*
 * Seccomp profiles in the format of Docker and OCI, compiled by libseccomp. The compiled program depends on the profile and on the
 * capabilities that the task holds. Loop thread only: the cache is not locked.
 */
#pragma once

#include <linux/filter.h>

#include "lib/base/error.h"

#define SECCOMP_PROFILE_MAX (1u << 20)

extern const char seccomp_default_profile[];

/* One rule of a profile: some system calls, up to six conditions on arguments. */
struct seccomp_condition {
        unsigned index;
        int op;
        uint64_t value, value_two;
};
struct seccomp_rule {
        char **names; /* owned */
        size_t name_count;
        uint32_t action; /* SCMP_ACT_* */
        struct seccomp_condition conditions[6];
        size_t condition_count;
};
struct seccomp_profile {
        uint32_t default_action;
        bool native; /* the profile lists this machine's architecture, or none at all */
        struct seccomp_rule *rules;
        size_t rule_count;
};
/*
 * Parses and keeps what applies to these capabilities, this kernel and architecture. -EINVAL with a sentence that gives the JSON path, the
 * value and what is accepted.
 */
int seccomp_profile_parse(
        const char *json, uint64_t capabilities, struct seccomp_profile *ret, struct error *e) WARN_UNUSED;
void seccomp_profile_done(struct seccomp_profile *p);

/* The program for a profile (NULL: the default one); owned by the cache, valid until the next call. */
int seccomp_compile(const char *json, uint64_t capabilities, const struct sock_filter **ret,
        size_t *ret_count, struct error *e) WARN_UNUSED;
/* Drops what was compiled. */
void seccomp_cache_clear(void);
