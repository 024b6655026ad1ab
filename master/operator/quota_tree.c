#include "master/operator/quota_tree.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct node {
        char *role;
        size_t depth; /* 1: at the top */
        struct quota_tree_sums sums;
        UT_hash_handle hh;
};

struct quota_tree {
        struct node *nodes; /* k: role -> v, owned; every role above one that was added is there too */
        size_t deepest;
        uint64_t total_milli;
};

struct quota_tree *quota_tree_new(void)
{
        return NEW0(struct quota_tree);
}

struct quota_tree *quota_tree_free(struct quota_tree *t)
{
        struct node *n, *next;

        HASH_ITER (hh, t->nodes, n, next) {
                HASH_DEL(t->nodes, n);
                free(n->role);
                free(n);
        }
        free(t);
        return NULL;
}

static struct node *find(const struct quota_tree *t, const char *role, size_t len)
{
        struct node *n;

        HASH_FIND(hh, t->nodes, role, len, n);
        return n;
}

static struct node *get(struct quota_tree *t, const char *role, size_t len, size_t depth)
{
        struct node *n = find(t, role, len);

        if (n)
                return n;
        n = NEW0(struct node);
        n->role = xstrndup(role, len);
        n->depth = depth;
        n->sums.limit_milli = UINT64_MAX;
        HASH_ADD_KEYPTR(hh, t->nodes, n->role, len, n);
        t->deepest = MAX(t->deepest, depth);
        return n;
}

void quota_tree_add(struct quota_tree *t, const char *role, uint64_t guarantee_milli, uint64_t limit_milli)
{
        struct node *n = NULL;
        size_t depth = 0;

        for (const char *p = role; p; depth++) {
                const char *slash = strchr(p, '/');

                n = get(t, role, slash ? (size_t)(slash - role) : strlen(role), depth + 1);
                p = slash ? slash + 1 : NULL;
        }
        n->sums.guarantee_milli = guarantee_milli;
        n->sums.limit_milli = limit_milli;
}

static uint64_t plus(uint64_t a, uint64_t b)
{
        return a + b < a ? UINT64_MAX : a + b;
}

void quota_tree_sum(struct quota_tree *t)
{
        struct node *n, *next;

        for (size_t depth = t->deepest; depth > 0; depth--) {
                HASH_ITER (hh, t->nodes, n, next) {
                        const char *slash = strrchr(n->role, '/');
                        uint64_t *above = &t->total_milli;

                        if (n->depth != depth)
                                continue;
                        n->sums.need_milli = MAX(n->sums.guarantee_milli, n->sums.below_milli);
                        if (slash)
                                above = &find(t, n->role, (size_t)(slash - n->role))->sums.below_milli;
                        *above = plus(*above, n->sums.need_milli);
                }
        }
}

uint64_t quota_tree_total(const struct quota_tree *t)
{
        return t->total_milli;
}

void quota_tree_get(const struct quota_tree *t, const char *role, struct quota_tree_sums *ret)
{
        const struct node *n = find(t, role, strlen(role));

        *ret = n ? n->sums : (struct quota_tree_sums){.limit_milli = UINT64_MAX};
}

bool role_above(const char *role, char *ret, size_t size)
{
        const char *slash = strrchr(role, '/');

        if (!slash || (size_t)(slash - role) >= size)
                return false;
        memcpy(ret, role, (size_t)(slash - role));
        ret[slash - role] = 0;
        return true;
}
