/* Roles with their weights and quotas: everybody sees them, root sets them. */

#include <stdlib.h>
#include <string.h>

#include "master/api/api.h"
#include "master/operator/roles.h"

/* ---- roles as the API shows them ---- */

struct role_view {
        Mete__Api__Role role; /* points into the rest */
        char *name;
        Mete__Api__Quota *quotas;
        struct allocator_quota *names; /* of the quotas */
        struct string_list warnings;
        char **frameworks; /* ids, borrowed */
        size_t framework_count;
        UT_hash_handle hh;
};

struct role_views {
        struct master *master;
        struct role_view *all; /* k: name -> v, owned */
        const char *only;      /* NULL: all roles */
};

static void fill_amounts(const struct resources *r, Mete__Api__Amount ***ret, size_t *ret_count)
{
        Mete__Api__Amount **list = xcalloc(r->count + 1, sizeof(*list));
        size_t count = 0;

        for (size_t i = 0; i < r->count; i++) {
                Mete__Api__Amount amount = METE__API__AMOUNT__INIT;

                if (r->entries[i].kind != RESOURCE_SCALAR)
                        continue;
                amount.resource = r->entries[i].name;
                amount.value = milli_to_double(r->entries[i].milli);
                list[count++] = message_copy(&amount);
        }
        *ret = list;
        *ret_count = count;
}

static void fill_quotas(struct role_view *v, const struct allocator_quota *quotas, size_t count)
{
        v->quotas = xcalloc(count + 1, sizeof(*v->quotas));
        v->names = xcalloc(count + 1, sizeof(*v->names));
        v->role.quotas = xcalloc(count + 1, sizeof(*v->role.quotas));
        for (size_t i = 0; i < count; i++) {
                Mete__Api__Quota *q = &v->quotas[i];

                v->names[i] = quotas[i];
                mete__api__quota__init(q);
                q->resource = v->names[i].name;
                q->has_guarantee = quotas[i].guarantee_milli > 0;
                q->guarantee = milli_to_double(quotas[i].guarantee_milli);
                q->has_limit = quotas[i].limit_milli != QUOTA_NO_LIMIT;
                q->limit = q->has_limit ? milli_to_double(quotas[i].limit_milli) : 0;
                v->role.quotas[v->role.n_quotas++] = q;
        }
}

static struct role_view *view_get(struct role_views *views, const char *name)
{
        struct role_view *v;

        HASH_FIND_STR(views->all, name, v);
        if (v || (views->only && !str_equal(views->only, name)))
                return v;
        v = NEW0(struct role_view);
        v->name = xstrdup(name);
        mete__api__role__init(&v->role);
        v->role.name = v->name;
        v->role.has_weight = true;
        HASH_ADD_KEYPTR(hh, views->all, v->name, strlen(v->name), v);
        return v;
}

static void take_role(const struct allocator_role_view *from, void *userdata)
{
        struct role_view *v = view_get(userdata, from->name);

        if (!v)
                return;
        v->role.weight = milli_to_double(from->weight_milli);
        v->role.has_share = true;
        v->role.share = (double)from->share / (double)(UINT64_C(1) << 40);
        fill_quotas(v, from->quotas, from->quota_count);
        fill_amounts(from->consumed, &v->role.consumed, &v->role.n_consumed);
        fill_amounts(from->allocated, &v->role.allocated, &v->role.n_allocated);
        fill_amounts(from->reserved, &v->role.reserved, &v->role.n_reserved);
}

static void take_frameworks(struct role_views *views)
{
        const struct framework *f, *next;
        struct role_view *v;

        HASH_ITER (hh, views->master->frameworks, f, next) {
                for (size_t i = 0; i < f->roles.count; i++) {
                        v = view_get(views, f->roles.items[i]);
                        if (!v)
                                continue;
                        v->frameworks = xrealloc(v->frameworks, (v->framework_count + 1) * sizeof(char *));
                        v->frameworks[v->framework_count++] = f->id;
                        v->role.frameworks = v->frameworks;
                        v->role.n_frameworks = v->framework_count;
                }
        }
}

static int compare_views(struct role_view *a, struct role_view *b)
{
        return strcmp(a->name, b->name);
}

static void views_fill(struct role_views *views)
{
        struct role_sentences *sentences = role_sentences_new(views->master->roles);
        const struct job_queue *jq;
        struct role_view *v, *next;

        allocator_each_role(views->master->allocator, take_role, views);
        take_frameworks(views);
        if (views->only)
                (void)view_get(views, views->only);
        HASH_ITER (hh, views->all, v, next) {
                role_sentences_add(sentences, v->name, &v->warnings);
                v->role.warnings = v->warnings.items;
                v->role.n_warnings = v->warnings.count;
                jq = job_queue_of_role(views->master->jobs->queues, v->name);
                v->role.queue = jq ? jq->name : NULL;
        }
        role_sentences_free(sentences);
        HASH_SORT(views->all, compare_views);
}

static void free_amounts(Mete__Api__Amount **list, size_t count)
{
        for (size_t i = 0; i < count; i++)
                message_free(list[i]);
        free(list);
}

static void views_done(struct role_views *views)
{
        struct role_view *v, *next;

        HASH_ITER (hh, views->all, v, next) {
                HASH_DEL(views->all, v);
                free_amounts(v->role.consumed, v->role.n_consumed);
                free_amounts(v->role.allocated, v->role.n_allocated);
                free_amounts(v->role.reserved, v->role.n_reserved);
                string_list_done(&v->warnings);
                free(v->role.quotas);
                free(v->quotas);
                free(v->names);
                free(v->frameworks);
                free(v->name);
                free(v);
        }
}

/* only NULL: all. */
static void respond_roles(struct master *m, struct http_request *req, enum codec codec, const char *only)
{
        Mete__Api__Response response = METE__API__RESPONSE__INIT;
        CLEANUP(views_done) struct role_views views = {m, NULL, only};
        struct role_view *v, *next;

        views_fill(&views);
        response.type = METE__API__RESPONSE__TYPE__LIST_ROLES;
        response.roles = xcalloc(HASH_COUNT(views.all) + 1, sizeof(*response.roles));
        HASH_ITER (hh, views.all, v, next)
                response.roles[response.n_roles++] = &v->role;
        if (only) {
                response.warnings = response.roles[0]->warnings;
                response.n_warnings = response.roles[0]->n_warnings;
        }
        api_respond(req, codec, 200, &response.base);
        free(response.roles);
}

void call_list_roles(struct api_call *c)
{
        respond_roles(c->master, c->req, c->codec, NULL);
}

/* ---- setting ---- */

/* An answer that waits for the store. */
struct pending {
        struct master *master;
        struct http_request *req;
        enum codec codec;
        char *role;
};

static void pending_answer(int result, void *userdata)
{
        struct pending *p = userdata;

        if (result < 0)
                api_refuse(p->req, p->codec, 503, NULL, "the master could not write its store: %s",
                        store_failure(p->master->store) ?: "it stops");
        else
                respond_roles(p->master, p->req, p->codec, p->role);
        free(p->role);
        free(p);
}

static struct pending *pending_new(struct api_call *c, const char *role)
{
        struct pending *p = NEW0(struct pending);

        *p = (struct pending){c->master, c->req, c->codec, xstrdup(role)};
        return p;
}

static void refuse(struct api_call *c, struct pending *p, int r, const char *call, const char *field,
        const struct error *e)
{
        _cleanup_free_ char *path = xasprintf("%s.%s", call, field);

        api_refuse(c->req, c->codec, r == -EINVAL ? 400 : 409, path, "%s", error_message(e));
        free(p->role);
        free(p);
}

void call_set_quota(struct api_call *c)
{
        _cleanup_error_ struct error e = {};
        const char *field;
        struct pending *p;

        if (!call_needs_root(c, "set a quota"))
                return;
        p = pending_new(c, c->call->set_quota->role);
        int r = roles_set_quota(c->master->roles, c->call->set_quota, pending_answer, p, &field, &e);
        if (r < 0)
                refuse(c, p, r, "set_quota", field, &e);
}

void call_set_weight(struct api_call *c)
{
        const Mete__Api__Call__SetWeight *w = c->call->set_weight;
        _cleanup_error_ struct error e = {};
        const char *field;
        struct pending *p;

        if (!call_needs_root(c, "set a weight"))
                return;
        p = pending_new(c, w->role);
        int r = roles_set_weight(c->master->roles, w->role, w->weight, pending_answer, p, &field, &e);
        if (r < 0)
                refuse(c, p, r, "set_weight", field, &e);
}
