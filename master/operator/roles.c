#include "master/operator/roles.h"

#include <stdlib.h>
#include <string.h>

#include "master/frameworks/validate_framework.h"
#include "master/offer.h"
#include "master/operator/quota_check.h"
#include "master/operator/quota_message.h"

#define WEIGHT_DEFAULT_MILLI 1000

struct roles {
        struct master *master;
        struct role_settings *settings; /* k: role -> v, owned */
};

/* ---- the table ---- */

static struct role_settings *find(const struct roles *rs, const char *role)
{
        struct role_settings *s;

        HASH_FIND_STR(rs->settings, role, s);
        return s;
}

const struct role_settings *roles_find(const struct roles *rs, const char *role)
{
        return find(rs, role);
}

static struct role_settings *get(struct roles *rs, const char *role)
{
        struct role_settings *s = find(rs, role);

        if (s)
                return s;
        s = NEW0(struct role_settings);
        s->name = xstrdup(role);
        s->weight_milli = WEIGHT_DEFAULT_MILLI;
        HASH_ADD_KEYPTR(hh, rs->settings, s->name, strlen(s->name), s);
        return s;
}

static bool is_default(const struct role_settings *s)
{
        return s->weight_milli == WEIGHT_DEFAULT_MILLI && s->quota_count == 0;
}

static void forget(struct roles *rs, struct role_settings *s)
{
        HASH_DEL(rs->settings, s);
        free(s->quotas);
        free(s->name);
        free(s);
}

bool roles_have_quotas(const struct roles *rs)
{
        const struct role_settings *s, *next;

        HASH_ITER (hh, rs->settings, s, next)
                if (s->quota_count > 0)
                        return true;
        return false;
}

/* ---- the store ---- */

static void put(const struct role_settings *s, struct store_batch *b)
{
        Mete__Checkpoint__StoredRole stored = METE__CHECKPOINT__STORED_ROLE__INIT;
        _cleanup_free_ char *key = xasprintf("role/%s", s->name);
        Mete__Api__Quota quotas[ROLE_QUOTAS_MAX], *list[ROLE_QUOTAS_MAX];

        if (is_default(s)) {
                store_batch_delete(b, key);
                return;
        }
        stored.name = s->name;
        stored.has_weight_milli = true;
        stored.weight_milli = s->weight_milli;
        for (size_t i = 0; i < s->quota_count; i++) {
                quota_to_message(&s->quotas[i], &quotas[i]);
                list[i] = &quotas[i];
        }
        stored.quotas = list;
        stored.n_quotas = s->quota_count;
        master_put_message(b, key, &stored.base);
}

/* ---- what is asked for ---- */

static int check_role(const struct roles *rs, const char *role, const char **ret_field, struct error *e)
{
        int r;

        *ret_field = "role";
        r = role_validate(role, "role", e);
        if (r < 0)
                return -EINVAL;
        if (!find(rs, role) && HASH_COUNT(rs->settings) >= ROLES_MAX)
                return error_set(
                        e, -ENOSPC, "%d roles have weights or quotas: no more are accepted", ROLES_MAX);
        return 0;
}

/* ---- can it hold? ---- */

static const struct allocator_quota *quota_of(
        const struct allocator_quota *quotas, size_t count, const char *resource)
{
        for (size_t i = 0; i < count; i++)
                if (str_equal(quotas[i].name, resource))
                        return &quotas[i];
        return NULL;
}

/* As it would be with this in place of what `role` has. */
static struct quota_tree *tree_with(
        const struct roles *rs, const char *role, const struct allocator_quota *quota)
{
        struct quota_tree *t = quota_tree_new();
        const struct role_settings *s, *next;

        HASH_ITER (hh, rs->settings, s, next) {
                const struct allocator_quota *q = quota_of(s->quotas, s->quota_count, quota->name);

                if (q && !str_equal(s->name, role))
                        quota_tree_add(t, s->name, q->guarantee_milli, q->limit_milli);
        }
        quota_tree_add(t, role, quota->guarantee_milli, quota->limit_milli);
        quota_tree_sum(t);
        return t;
}

static int check_holds(const struct roles *rs, const char *role, const struct allocator_quota *quotas,
        size_t count, struct error *e)
{
        const struct role_settings *before = find(rs, role);

        for (size_t i = 0; i < count; i++) {
                const struct allocator_quota *was =
                        before ? quota_of(before->quotas, before->quota_count, quotas[i].name) : NULL;
                CLEANUP(cleanup_quota_tree_free) struct quota_tree *tree = NULL;
                _cleanup_free_ char *problem = NULL;

                /* Less than before is always welcome: of a cluster that shrank too. */
                if (was && quotas[i].guarantee_milli <= was->guarantee_milli &&
                        quotas[i].limit_milli >= was->limit_milli)
                        continue;
                tree = tree_with(rs, role, &quotas[i]);
                problem = quota_problem(rs->master, role, &quotas[i], tree, NULL);
                if (problem)
                        return error_set(e, -EBUSY, "%s: --force sets it all the same", problem);
        }
        return 0;
}

struct resource_tree {
        char resource[RESOURCE_NAME_MAX];
        struct quota_tree *tree; /* owned */
        UT_hash_handle hh;
};

struct role_sentences {
        const struct roles *roles;
        struct resource_tree *trees; /* k: resource -> v, owned */
};

static struct quota_tree *tree_of(struct role_sentences *x, const char *resource)
{
        struct resource_tree *t;

        HASH_FIND_STR(x->trees, resource, t);
        if (t)
                return t->tree;
        t = NEW0(struct resource_tree);
        (void)snprintf(t->resource, sizeof(t->resource), "%s", resource);
        t->tree = quota_tree_new();
        HASH_ADD_STR(x->trees, resource, t);
        return t->tree;
}

struct role_sentences *role_sentences_new(const struct roles *rs)
{
        struct role_sentences *x = NEW0(struct role_sentences);
        const struct role_settings *s, *next;
        struct resource_tree *t, *next_tree;

        x->roles = rs;
        HASH_ITER (hh, rs->settings, s, next)
                for (size_t i = 0; i < s->quota_count; i++)
                        quota_tree_add(tree_of(x, s->quotas[i].name), s->name, s->quotas[i].guarantee_milli,
                                s->quotas[i].limit_milli);
        HASH_ITER (hh, x->trees, t, next_tree)
                quota_tree_sum(t->tree);
        return x;
}

struct role_sentences *role_sentences_free(struct role_sentences *x)
{
        struct resource_tree *t, *next;

        HASH_ITER (hh, x->trees, t, next) {
                HASH_DEL(x->trees, t);
                quota_tree_free(t->tree);
                free(t);
        }
        free(x);
        return NULL;
}

void role_sentences_add(struct role_sentences *x, const char *role, struct string_list *ret)
{
        const struct role_settings *s = find(x->roles, role);

        for (size_t i = 0; s && i < s->quota_count; i++)
                free(quota_problem(
                        x->roles->master, role, &s->quotas[i], tree_of(x, s->quotas[i].name), ret));
}

/* ---- taking effect ---- */

static uint64_t consumed_by(const struct master *m, const char *role, const char *resource)
{
        struct allocator_role_view view;

        return allocator_role(m->allocator, role, &view) ? resources_scalar(view.consumed, resource) : 0;
}

/* Offers of the role that are above its limit now. */
static void rescind_above_limit(struct master *m, const char *role, const struct allocator_quota *q)
{
        struct offer *o, *next;

        HASH_ITER (hh, m->offers, o, next) {
                if (!role_is_within(o->role, role) || resources_scalar(&o->resources, q->name) == 0)
                        continue;
                if (consumed_by(m, role, q->name) <= q->limit_milli)
                        return;
                offer_rescind(o, /* told= */ true);
        }
}

/* Is there a guarantee, of the offer's role or one above, that the offer serves? */
static bool is_guaranteed(const struct roles *rs, const struct offer *o, const char *resource)
{
        char role[ROLE_LENGTH_MAX + 1];

        (void)snprintf(role, sizeof(role), "%s", o->role);
        do {
                const struct role_settings *s = find(rs, role);
                const struct allocator_quota *q = s ? quota_of(s->quotas, s->quota_count, resource) : NULL;

                if (q && q->guarantee_milli > 0 &&
                        consumed_by(rs->master, role, resource) <
                                q->guarantee_milli + resources_scalar(&o->resources, resource))
                        return true;
        } while (role_above(role, role, sizeof(role)));
        return false;
}

/* As many of others' offers, oldest first, as the guarantee lacks beyond what is free. */
static void rescind_for_guarantee(struct roles *rs, const char *role, const struct allocator_quota *q)
{
        struct master *m = rs->master;
        uint64_t has = consumed_by(m, role, q->name) + allocator_unclaimed(m->allocator, role, q->name);
        struct offer *o, *next;

        HASH_ITER (hh, m->offers, o, next) {
                uint64_t gain = resources_plain_scalar(&o->resources, q->name);

                if (has >= q->guarantee_milli)
                        return;
                if (gain == 0 || role_is_within(o->role, role) || is_guaranteed(rs, o, q->name))
                        continue;
                offer_rescind(o, /* told= */ true);
                has += gain;
        }
}

/* What is on its way to disk. */
struct change {
        struct roles *roles;
        char *role;
        bool quota; /* else the weight */
        store_done_handler done;
        void *userdata;
};

static void apply_quota(struct roles *rs, const char *role)
{
        const struct role_settings *s = find(rs, role);
        struct allocator *a = rs->master->allocator;
        struct framework *queue = rs->master->queue_framework;

        allocator_set_quota(a, role, s ? s->quotas : NULL, s ? s->quota_count : 0);
        if (queue && queue->ops->quotas_changed)
                queue->ops->quotas_changed(queue);
        for (size_t i = 0; s && i < s->quota_count; i++) {
                if (s->quotas[i].limit_milli != QUOTA_NO_LIMIT)
                        rescind_above_limit(rs->master, role, &s->quotas[i]);
                if (s->quotas[i].guarantee_milli > 0)
                        rescind_for_guarantee(rs, role, &s->quotas[i]);
        }
}

static void apply_weight(struct roles *rs, const char *role)
{
        const struct role_settings *s = find(rs, role);

        (void)allocator_set_role_weight(
                rs->master->allocator, role, s ? s->weight_milli : WEIGHT_DEFAULT_MILLI);
}

static void change_done(int result, void *userdata)
{
        struct change *c = userdata;

        if (result >= 0 && !c->roles->master->stopping) {
                if (c->quota)
                        apply_quota(c->roles, c->role);
                else
                        apply_weight(c->roles, c->role);
                offers_schedule(c->roles->master);
        }
        c->done(result, c->userdata);
        free(c->role);
        free(c);
}

static void write_change(
        struct roles *rs, struct role_settings *s, bool quota, store_done_handler done, void *userdata)
{
        struct store_batch *b = store_batch_new();
        struct change *c = NEW0(struct change);

        *c = (struct change){rs, xstrdup(s->name), quota, done, userdata};
        put(s, b);
        if (is_default(s))
                forget(rs, s);
        master_write(rs->master, b, change_done, c);
}

int roles_set_weight(struct roles *rs, const char *role, double weight, store_done_handler done,
        void *userdata, const char **ret_field, struct error *e)
{
        struct role_settings *s;
        uint64_t milli = 0;
        int r = check_role(rs, role, ret_field, e);

        if (r < 0)
                return r;
        *ret_field = "weight";
        if (!(weight > 0 && weight <= ROLE_WEIGHT_MAX) || milli_from_double(weight, &milli) < 0 || milli == 0)
                return error_set(e, -EINVAL,
                        "a weight of %g is not accepted: from 0.001 to %.0f, in steps of 0.001, is expected",
                        weight, ROLE_WEIGHT_MAX);
        s = get(rs, role);
        s->weight_milli = milli;
        log_info("role %s: weight %g", role, milli_to_double(milli));
        write_change(rs, s, /* quota= */ false, done, userdata);
        return 0;
}

int roles_set_quota(struct roles *rs, const Mete__Api__Call__SetQuota *call, store_done_handler done,
        void *userdata, const char **ret_field, struct error *e)
{
        struct allocator_quota quotas[ROLE_QUOTAS_MAX];
        struct role_settings *s;
        int r = check_role(rs, call->role, ret_field, e);

        if (r >= 0 && str_equal(call->role, "*"))
                r = error_set(
                        e, -EINVAL, "the role '*' is everybody's and has no quota: another role is expected");
        if (r >= 0)
                r = quotas_from_call(call, quotas, ret_field, e);
        if (r >= 0 && !call->force)
                r = check_holds(rs, call->role, quotas, call->n_quotas, e);
        if (r < 0)
                return r;
        s = get(rs, call->role);
        free(s->quotas);
        s->quotas = call->n_quotas > 0 ? xmemdup(quotas, call->n_quotas * sizeof(*quotas)) : NULL;
        s->quota_count = call->n_quotas;
        log_info("role %s: quota of %zu resources", call->role, call->n_quotas);
        write_change(rs, s, /* quota= */ true, done, userdata);
        return 0;
}

/* ---- start, end ---- */

static int take_stored(struct roles *rs, const Mete__Checkpoint__StoredRole *stored, struct error *e)
{
        struct allocator_quota quotas[ROLE_QUOTAS_MAX];
        Mete__Api__Call__SetQuota call = METE__API__CALL__SET_QUOTA__INIT;
        struct role_settings *s;
        const char *field;
        int r = check_role(rs, stored->name, &field, e);

        call.quotas = stored->quotas;
        call.n_quotas = stored->n_quotas;
        if (r >= 0)
                r = quotas_from_call(&call, quotas, &field, e);
        if (r < 0)
                return r;
        s = get(rs, stored->name);
        if (stored->has_weight_milli && stored->weight_milli > 0)
                s->weight_milli = stored->weight_milli;
        s->quota_count = call.n_quotas;
        if (call.n_quotas > 0)
                s->quotas = xmemdup(quotas, call.n_quotas * sizeof(*quotas));
        apply_weight(rs, s->name);
        apply_quota(rs, s->name);
        return 0;
}

static int recover(const char *key, const void *value, size_t len, void *userdata)
{
        _cleanup_error_ struct error error = {};
        ProtobufCMessage *message = NULL;

        if (message_decode(CODEC_PROTOBUF, &mete__checkpoint__stored_role__descriptor, value, len, &message,
                    &error) < 0 ||
                take_stored(userdata, (Mete__Checkpoint__StoredRole *)message, &error) < 0)
                log_error("store: %s is skipped: %s", key, error_message(&error));
        message_free(message);
        return 0;
}

int roles_recover(struct roles *rs, struct error *e)
{
        return store_scan(rs->master->store, "role/", recover, rs, e);
}

struct roles *roles_new(struct master *m)
{
        struct roles *rs = NEW0(struct roles);

        rs->master = m;
        return rs;
}

struct roles *roles_free(struct roles *rs)
{
        struct role_settings *s, *next;

        if (!rs)
                return NULL;
        HASH_ITER (hh, rs->settings, s, next)
                forget(rs, s);
        free(rs);
        return NULL;
}
