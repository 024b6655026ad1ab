#include "master/queue/tree.h"

static uint32_t next_weight(struct tree *t)
{
        uint32_t x = t->seed ? t->seed : 2463534242u;

        /* xorshift (Marsaglia 2003): never 0 from a seed that is not 0 */
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        t->seed = x;
        return x;
}

static uint32_t size_of(const struct tree_node *n)
{
        return n ? n->size : 0;
}

static void refresh(const struct tree *t, struct tree_node *n)
{
        n->size = 1 + size_of(n->left) + size_of(n->right);
        if (t->type->summarise)
                t->type->summarise(n);
}

static struct tree_node *rotate_right(const struct tree *t, struct tree_node *n)
{
        struct tree_node *top = n->left;

        n->left = top->right;
        top->right = n;
        refresh(t, n);
        return top;
}

static struct tree_node *rotate_left(const struct tree *t, struct tree_node *n)
{
        struct tree_node *top = n->right;

        n->right = top->left;
        top->left = n;
        refresh(t, n);
        return top;
}

/* Recursion is as deep as the tree: some 50 for a million nodes. */
static struct tree_node *insert(const struct tree *t, struct tree_node *at, struct tree_node *n)
{
        if (!at) {
                refresh(t, n);
                return n;
        }
        if (t->type->compare(n, at) < 0) {
                at->left = insert(t, at->left, n);
                if (at->left->weight > at->weight)
                        at = rotate_right(t, at);
        } else {
                at->right = insert(t, at->right, n);
                if (at->right->weight > at->weight)
                        at = rotate_left(t, at);
        }
        refresh(t, at);
        return at;
}

void tree_insert(struct tree *t, struct tree_node *n)
{
        *n = (struct tree_node){.weight = next_weight(t)};
        t->root = insert(t, t->root, n);
}

static struct tree_node *merge(const struct tree *t, struct tree_node *a, struct tree_node *b)
{
        if (!a || !b)
                return a ? a : b;
        if (a->weight > b->weight) {
                a->right = merge(t, a->right, b);
                refresh(t, a);
                return a;
        }
        b->left = merge(t, a, b->left);
        refresh(t, b);
        return b;
}

static struct tree_node *remove_below(const struct tree *t, struct tree_node *at, struct tree_node *n)
{
        assert(at);
        if (at == n)
                return merge(t, n->left, n->right);
        if (t->type->compare(n, at) < 0)
                at->left = remove_below(t, at->left, n);
        else
                at->right = remove_below(t, at->right, n);
        refresh(t, at);
        return at;
}

void tree_remove(struct tree *t, struct tree_node *n)
{
        t->root = remove_below(t, t->root, n);
        *n = (struct tree_node){};
}

struct tree_node *tree_first(const struct tree *t)
{
        struct tree_node *n = t->root;

        while (n && n->left)
                n = n->left;
        return n;
}

struct tree_node *tree_after(const struct tree *t, const struct tree_node *n)
{
        struct tree_node *at = t->root, *found = NULL;

        while (at) {
                if (t->type->compare(n, at) < 0) {
                        found = at;
                        at = at->left;
                } else {
                        at = at->right;
                }
        }
        return found;
}

size_t tree_rank(const struct tree *t, const struct tree_node *n)
{
        const struct tree_node *at = t->root;
        size_t rank = 0;

        while (at) {
                if (t->type->compare(at, n) < 0) {
                        rank += size_of(at->left) + 1;
                        at = at->right;
                } else {
                        at = at->left;
                }
        }
        return rank;
}
