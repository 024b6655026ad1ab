#include "master/store/store.h"

#include <stdlib.h>
#include <string.h>

#include "master/store/backend.h"

struct store {
        const struct store_backend *backend;
        void *state;
        struct loop *loop;
        struct worker_pool *pool;
        struct store_batch *waiting, **waiting_tail; /* for the next transaction */
        struct store_batch *writing;                 /* owned by the worker while it writes */
        int write_result;                            /* of the worker */
        struct error failure;                        /* set once; from the worker, read after it is done */
        bool posted; /* a flush of a backend that does not block is on its way */
        bool closing;
};

static const struct store_backend *const backends[] = {&store_backend_sqlite, &store_backend_memory};

/* ---- batches ---- */

struct store_batch *store_batch_new(void)
{
        return NEW0(struct store_batch);
}

struct store_batch *store_batch_free(struct store_batch *b)
{
        if (!b)
                return NULL;
        for (size_t i = 0; i < b->count; i++) {
                free(b->changes[i].key);
                free(b->changes[i].value);
        }
        free(b->changes);
        free(b);
        return NULL;
}

static struct store_change *batch_add(struct store_batch *b, enum store_op op, const char *key)
{
        struct store_change *c;

        if (b->count == b->capacity) {
                b->capacity = MAX(b->capacity * 2, (size_t)4);
                b->changes = xrealloc(b->changes, b->capacity * sizeof(*b->changes));
        }
        c = &b->changes[b->count++];
        *c = (struct store_change){.op = op, .key = xstrdup(key)};
        return c;
}

void store_batch_put(struct store_batch *b, const char *key, const void *value, size_t len)
{
        struct store_change *c = batch_add(b, STORE_PUT, key);

        c->value = len > 0 ? xmemdup(value, len) : NULL;
        c->len = len;
}

void store_batch_delete(struct store_batch *b, const char *key)
{
        (void)batch_add(b, STORE_DELETE, key);
}

void store_batch_delete_prefix(struct store_batch *b, const char *prefix)
{
        (void)batch_add(b, STORE_DELETE_PREFIX, prefix);
}

bool store_batch_empty(const struct store_batch *b)
{
        return b->count == 0;
}

/* ---- writing ---- */

static void store_flush(struct store *s);

static void group_answer(struct store_batch *group, int result)
{
        while (group) {
                struct store_batch *b = group;

                group = b->next;
                if (b->done)
                        b->done(result, b->userdata);
                store_batch_free(b);
        }
}

static void store_work(void *userdata)
{
        struct store *s = userdata;

        s->write_result = s->backend->apply(s->state, s->writing, &s->failure);
}

static void store_work_done(void *userdata)
{
        struct store *s = userdata;

        group_answer(TAKE_PTR(s->writing), s->write_result);
        store_flush(s);
}

/* The answer must come through the loop even when nothing blocks. */
static void store_post_flush(void *userdata)
{
        struct store *s = userdata;

        if (s->closing) { /* closed in the meantime; all is answered */
                free(s);
                return;
        }
        s->posted = false;
        s->writing = TAKE_PTR(s->waiting);
        s->waiting_tail = &s->waiting;
        s->write_result = s->failure.code;
        if (!s->failure.code && s->writing)
                store_work(s);
        store_work_done(s);
}

/* Starts the next transaction unless one is under way. */
static void store_flush(struct store *s)
{
        int r;

        if (s->writing || !s->waiting || s->posted || s->closing)
                return;
        if (!s->pool || s->failure.code) {
                s->posted = true;
                loop_post(s->loop, store_post_flush, s);
                return;
        }
        s->writing = TAKE_PTR(s->waiting);
        s->waiting_tail = &s->waiting;
        r = worker_pool_submit(s->pool, s, store_work, store_work_done, s);
        assert(r == 0); /* one job at a time */
        (void)r;
}

void store_write(struct store *s, struct store_batch *b, store_done_handler done, void *userdata)
{
        b->done = done;
        b->userdata = userdata;
        b->next = NULL;
        *s->waiting_tail = b;
        s->waiting_tail = &b->next;
        store_flush(s);
}

int store_write_now(struct store *s, struct store_batch *b, struct error *e)
{
        int r;

        assert(!s->writing && !s->waiting);
        r = s->backend->apply(s->state, b, e);
        store_batch_free(b);
        return r;
}

const char *store_failure(const struct store *s)
{
        return s->failure.code && !s->writing ? error_message(&s->failure) : NULL;
}

/* ---- reading ---- */

int store_scan(struct store *s, const char *prefix, store_scan_handler each, void *userdata, struct error *e)
{
        return s->backend->scan(s->state, prefix, each, userdata, e);
}

struct get {
        const char *key;
        void *value;
        size_t len;
        bool found;
};

static int get_each(const char *key, const void *value, size_t len, void *userdata)
{
        struct get *g = userdata;

        if (strcmp(key, g->key) != 0)
                return 0;
        g->value = xmalloc(len + 1);
        memcpy(g->value, value, len);
        ((char *)g->value)[len] = 0;
        g->len = len;
        g->found = true;
        return 0;
}

int store_get(struct store *s, const char *key, void **ret, size_t *ret_len, struct error *e)
{
        struct get g = {.key = key};
        int r = store_scan(s, key, get_each, &g, e);

        if (r < 0)
                return r;
        if (!g.found)
                return -ENOENT;
        *ret = g.value;
        *ret_len = g.len;
        return 0;
}

/* ---- life ---- */

int store_open(struct loop *l, const char *url, struct store **ret, struct error *e)
{
        struct store *s = NEW0(struct store);
        int r = -EINVAL;

        s->loop = l;
        s->waiting_tail = &s->waiting;
        for (size_t i = 0; i < ELEMENTSOF(backends) && !s->backend; i++)
                if (str_has_prefix(url, backends[i]->scheme))
                        s->backend = backends[i];
        if (!s->backend)
                error_set(e, r, "store: unknown URL '%s': sqlite:PATH or memory: is expected", url);
        else
                r = s->backend->open(url + strlen(s->backend->scheme), &s->state, e);
        if (r >= 0 && s->backend->blocks)
                r = worker_pool_new(l, /* threads= */ 1, /* max_queued= */ 4, &s->pool, e);
        if (r < 0) {
                if (s->state)
                        s->backend->close(s->state);
                free(s);
                return r;
        }
        *ret = s;
        return 0;
}

struct store *store_close(struct store *s)
{
        if (!s)
                return NULL;
        s->closing = true;
        worker_pool_free(s->pool); /* the running transaction ends and is answered; nothing follows it */
        if (s->waiting && !s->failure.code) {
                s->writing = TAKE_PTR(s->waiting);
                store_work(s);
                group_answer(TAKE_PTR(s->writing), s->write_result);
        }
        group_answer(TAKE_PTR(s->waiting), s->failure.code ? s->failure.code : -ECANCELED);
        s->backend->close(s->state);
        error_done(&s->failure);
        if (!s->posted)
                free(s);
        return NULL;
}
