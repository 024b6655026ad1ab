#include "master/operator/quota_check.h"

#include <stdlib.h>
#include <string.h>

#include "master/frameworks/validate_framework.h"

struct check {
        const struct allocator_quota *quota;
        struct string_list *all; /* NULL: the first is enough */
        char *first;
};

/* "8 cpus", "1024 MiB of mem". */
struct amount_text {
        char text[RESOURCE_NAME_MAX + 48];
};

static struct amount_text amount(const char *resource, uint64_t milli)
{
        bool bytes = str_equal(resource, "mem") || str_equal(resource, "disk");
        struct amount_text t;

        (void)snprintf(t.text, sizeof(t.text), "%.15g%s %s", milli_to_double(milli), bytes ? " MiB of" : "",
                resource);
        return t;
}

/* Takes the sentence. */
static void found(struct check *c, char *sentence)
{
        if (c->all)
                string_list_add(c->all, sentence);
        if (c->first)
                free(sentence);
        else
                c->first = sentence;
}

/* What is only offered can be taken back. */
static uint64_t offered_to(const struct master *m, const char *role, const char *resource)
{
        const struct offer *o, *next;
        uint64_t sum = 0;

        HASH_ITER (hh, m->offers, o, next)
                if (role_is_within(o->role, role))
                        sum += resources_plain_scalar(&o->resources, resource);
        return sum;
}

static void check_use(struct check *c, const struct master *m, const char *role)
{
        const char *name = c->quota->name;
        struct allocator_role_view view;
        uint64_t used, offered;

        if (c->quota->limit_milli == QUOTA_NO_LIMIT || !allocator_role(m->allocator, role, &view))
                return;
        used = resources_scalar(view.consumed, name);
        if (used <= c->quota->limit_milli)
                return;
        offered = offered_to(m, role, name);
        used -= MIN(used, offered);
        if (used > c->quota->limit_milli)
                found(c, xasprintf("the limit of '%s' is %s, and %s are in use", role,
                                 amount(name, c->quota->limit_milli).text, amount(name, used).text));
}

/* Of the role itself, and of each one above it. */
static void check_level(struct check *c, const struct quota_tree *tree, const char *role)
{
        const char *name = c->quota->name;
        struct quota_tree_sums s;

        quota_tree_get(tree, role, &s);
        if (s.guarantee_milli > 0 && s.below_milli > s.guarantee_milli)
                found(c, xasprintf("the guarantees of the roles below '%s' are %s, its own is %s", role,
                                 amount(name, s.below_milli).text, amount(name, s.guarantee_milli).text));
        if (s.need_milli > s.limit_milli)
                found(c, xasprintf("the guarantees within '%s' are %s, its limit is %s", role,
                                 amount(name, s.need_milli).text, amount(name, s.limit_milli).text));
}

char *quota_problem(const struct master *m, const char *role, const struct allocator_quota *quota,
        const struct quota_tree *tree, struct string_list *all)
{
        const struct resources *cluster = allocator_total(m->allocator);
        struct check c = {.quota = quota, .all = all};
        char above[ROLE_LENGTH_MAX + 1];
        uint64_t total;

        check_use(&c, m, role);
        check_level(&c, tree, role);
        if (quota->guarantee_milli == 0)
                return c.first;
        (void)snprintf(above, sizeof(above), "%s", role);
        while (role_above(above, above, sizeof(above)))
                check_level(&c, tree, above);
        total = resources_scalar(cluster, quota->name);
        if (quota_tree_total(tree) > total)
                found(&c, xasprintf("the guarantees of all roles are %s, the cluster has %s",
                                  amount(quota->name, quota_tree_total(tree)).text,
                                  amount(quota->name, total).text));
        return c.first;
}
