/* A store that forgets: for tests, and for `mete-master --store memory:` where nothing needs to be kept. */

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "master/store/backend.h"

struct memory_row {
        char *key;
        void *value;
        size_t len;
        UT_hash_handle hh;
};

struct memory {
        struct memory_row *rows; /* k: key -> v: struct memory_row, owned */
};

static int memory_open(const char *where, void **ret, struct error *e)
{
        *ret = NEW0(struct memory);
        return 0;
}

static void row_free(struct memory *m, struct memory_row *row)
{
        HASH_DEL(m->rows, row);
        free(row->key);
        free(row->value);
        free(row);
}

static void delete_prefix(struct memory *m, const char *prefix, bool exact)
{
        struct memory_row *row, *next;

        HASH_ITER (hh, m->rows, row, next) {
                if (exact ? strcmp(row->key, prefix) == 0 : str_has_prefix(row->key, prefix))
                        row_free(m, row);
        }
}

static void memory_close(void *state)
{
        delete_prefix(state, "", false);
        free(state);
}

static int by_key(const struct memory_row *a, const struct memory_row *b)
{
        return strcmp(a->key, b->key);
}

static int memory_scan(
        void *state, const char *prefix, store_scan_handler each, void *userdata, struct error *e)
{
        struct memory *m = state;
        struct memory_row *row, *next;

        HASH_SORT(m->rows, by_key);
        HASH_ITER (hh, m->rows, row, next) {
                int r = str_has_prefix(row->key, prefix) ? each(row->key, row->value, row->len, userdata) : 0;

                if (r < 0)
                        return r;
        }
        return 0;
}

static int memory_apply(void *state, const struct store_batch *group, struct error *e)
{
        struct memory *m = state;

        for (; group; group = group->next)
                for (size_t i = 0; i < group->count; i++) {
                        const struct store_change *c = &group->changes[i];
                        struct memory_row *row;

                        delete_prefix(m, c->key, c->op != STORE_DELETE_PREFIX);
                        if (c->op != STORE_PUT)
                                continue;
                        row = NEW0(struct memory_row);
                        row->key = xstrdup(c->key);
                        row->value = c->len > 0 ? xmemdup(c->value, c->len) : NULL;
                        row->len = c->len;
                        HASH_ADD_KEYPTR(hh, m->rows, row->key, strlen(row->key), row);
                }
        return 0;
}

const struct store_backend store_backend_memory = {
        .scheme = "memory:",
        .open = memory_open,
        .close = memory_close,
        .scan = memory_scan,
        .apply = memory_apply,
};
