/*
 * Weights and quotas of roles: what operators set, stored as "role/<name>" before the allocator hears of it, and given to it again at
 * the start. Owned by the master. Loop thread only.
 */
#pragma once

#include "master/core.h"

#define ROLES_MAX 10000    /* with a weight or a quota */
#define ROLE_QUOTAS_MAX 32 /* resources of one role */
#define ROLE_WEIGHT_MAX 1000000.0

struct role_settings {
        char *name;
        uint64_t weight_milli; /* 1000 unless it was set */
        struct allocator_quota *quotas;
        size_t quota_count;
        UT_hash_handle hh;
};

struct roles;
struct roles *roles_new(struct master *m);
struct roles *roles_free(struct roles *rs);
/* From the store, to the allocator. */
int roles_recover(struct roles *rs, struct error *e) WARN_UNUSED;
bool roles_have_quotas(const struct roles *rs);
/* NULL: it has the defaults. */
const struct role_settings *roles_find(const struct roles *rs, const char *role);

/*
 * The same for both: -EINVAL for what is wrong in itself, -EBUSY for what cannot hold as things are (never with force), -ENOSPC, each with
 * a sentence and the field of the call that it is about. Otherwise `done` fires when it is on disk and in effect.
 */
int roles_set_weight(struct roles *rs, const char *role, double weight, store_done_handler done,
        void *userdata, const char **ret_field, struct error *e) WARN_UNUSED;
int roles_set_quota(struct roles *rs, const Mete__Api__Call__SetQuota *call, store_done_handler done,
        void *userdata, const char **ret_field, struct error *e) WARN_UNUSED;

/* What of its quota cannot hold, as things are: sentences. For many roles in a row the sums are made once. */
struct role_sentences;
struct role_sentences *role_sentences_new(const struct roles *rs);
struct role_sentences *role_sentences_free(struct role_sentences *x);
void role_sentences_add(struct role_sentences *x, const char *role, struct string_list *ret);
