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
        bool unsorted;           /* rows were added since they were put in order */
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

static struct memory_row *find(const struct memory *m, const char *key)
{
        struct memory_row *row;

        HASH_FIND_STR(m->rows, key, row);
        return row;
}

static void delete_one(struct memory *m, const char *key)
{
        struct memory_row *row = find(m, key);

        if (row)
                row_free(m, row);
}

static void delete_prefix(struct memory *m, const char *prefix)
{
        struct memory_row *row, *next;

        HASH_ITER (hh, m->rows, row, next) {
                if (str_has_prefix(row->key, prefix))
                        row_free(m, row);
        }
}

static void memory_close(void *state)
{
        delete_prefix(state, "");
        free(state);
}

static int by_key(const struct memory_row *a, const struct memory_row *b)
{
        return strcmp(a->key, b->key);
}

static void sort(struct memory *m)
{
        if (m->unsorted)
                HASH_SORT(m->rows, by_key);
        m->unsorted = false;
}

static int memory_scan(
        void *state, const char *prefix, store_scan_handler each, void *userdata, struct error *e)
{
        struct memory *m = state;
        struct memory_row *row, *next;

        sort(m);
        HASH_ITER (hh, m->rows, row, next) {
                int r = str_has_prefix(row->key, prefix) ? each(row->key, row->value, row->len, userdata) : 0;

                if (r < 0)
                        return r;
        }
        return 0;
}

static bool in_range(const struct store_range *range, const char *key)
{
        int beyond = range->beyond ? strcmp(key, range->beyond) : 0;

        return str_has_prefix(key, range->prefix) &&
               (!range->beyond || (range->descending ? beyond < 0 : beyond > 0));
}

static struct memory_row *first(const struct memory *m, bool descending)
{
        return m->rows && descending ? ELMT_FROM_HH(m->rows->hh.tbl, m->rows->hh.tbl->tail) : m->rows;
}

static int memory_range(void *state, const struct store_range *range, store_scan_handler each, void *userdata,
        struct error *e)
{
        struct memory *m = state;
        int r = 0;

        sort(m);
        for (struct memory_row *row = first(m, range->descending); row && r == 0;
                row = range->descending ? row->hh.prev : row->hh.next)
                if (in_range(range, row->key))
                        r = each(row->key, row->value, row->len, userdata);
        return MIN(r, 0);
}

static int memory_get(void *state, const char *key, void **ret, size_t *ret_len, struct error *e)
{
        const struct memory_row *row = find(state, key);

        if (!row)
                return -ENOENT;
        *ret = store_value_copy(row->value, row->len);
        *ret_len = row->len;
        return 0;
}

static int memory_apply(void *state, const struct store_batch *group, struct error *e)
{
        struct memory *m = state;

        for (; group; group = group->next)
                for (size_t i = 0; i < group->count; i++) {
                        const struct store_change *c = &group->changes[i];
                        struct memory_row *row;

                        if (c->op == STORE_DELETE_PREFIX)
                                delete_prefix(m, c->key);
                        else
                                delete_one(m, c->key);
                        if (c->op != STORE_PUT)
                                continue;
                        m->unsorted = true;
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
        .range = memory_range,
        .get = memory_get,
        .apply = memory_apply,
};
