/*
 * A balanced search tree whose nodes live inside their owners (a treap: Seidel and Aragon 1996): O(log n) insertion, removal and rank.
 * A type may keep a summary of each subtree in its nodes, by which a search skips what cannot match. Weights come from a counter, so
 * that a run can be repeated. Pure. Single thread.
 */
#pragma once

#include "lib/base/util.h"

struct tree_node {
        struct tree_node *left, *right;
        uint32_t weight; /* a parent's is never lower */
        uint32_t size;   /* nodes of this subtree */
};

struct tree_type {
        int (*compare)(const struct tree_node *a, const struct tree_node *b); /* 0 only for the same node */
        void (*summarise)(
                struct tree_node *n); /* from its own content and its children; NULL: nothing to do */
};

struct tree {
        const struct tree_type *type;
        struct tree_node *root;
        uint32_t seed;
};

void tree_insert(struct tree *t, struct tree_node *n);
void tree_remove(
        struct tree *t, struct tree_node *n);       /* which is in it, and compares as when it was inserted */
struct tree_node *tree_first(const struct tree *t); /* NULL */
/* The first node behind n in the order; n need not be in the tree. NULL: none. */
struct tree_node *tree_after(const struct tree *t, const struct tree_node *n);
/* How many nodes go before n, which need not be in the tree. */
size_t tree_rank(const struct tree *t, const struct tree_node *n);
static inline size_t tree_count(const struct tree *t)
{
        return t->root ? t->root->size : 0;
}
