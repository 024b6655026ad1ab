#include "master/store/store.h"

#include <stdlib.h>
#include <string.h>

#include "master/store/backend.h"

struct store_view {
        const struct store_backend *backend;
        void *state;
};

struct read {
        store_read_handler work;
        store_done_handler done;
        void *userdata;
        int result;
        uint64_t after;    /* batches that were handed over before */
        struct read *next; /* waiting */
};

struct store {
        struct store_view view;
        struct loop *loop;
        struct worker_pool *pool;
        struct store_batch *waiting, **waiting_tail; /* for the next transaction */
        struct store_batch *writing;                 /* owned by the worker while it writes */
        int write_result;                            /* of the worker */
        uint64_t handed, answered;                   /* batches, ever */
        struct read *reads, **reads_tail;            /* that wait */
        struct read *reading;                        /* owned by the worker while it reads */
        bool wrote;                                  /* the last thing done was a transaction */
        struct error failure;                        /* set once; from the worker, read after it is done */
        bool posted; /* the next step of a backend that does not block is on its way */
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

/* ---- one step after the other: a transaction, or a read ---- */

static void store_next(struct store *s);

static void group_answer(struct store *s, struct store_batch *group, int result)
{
        while (group) {
                struct store_batch *b = group;

                group = b->next;
                s->answered++;
                if (b->done)
                        b->done(result, b->userdata);
                store_batch_free(b);
        }
}

static void read_answer(struct read *read, int result)
{
        read->done(result, read->userdata);
        free(read);
}

static void step_work(void *userdata)
{
        struct store *s = userdata;

        if (s->reading)
                s->reading->result = s->reading->work(&s->view, s->reading->userdata);
        else
                s->write_result = s->view.backend->apply(s->view.state, s->writing, &s->failure);
}

static void step_done(void *userdata)
{
        struct store *s = userdata;
        struct read *read = TAKE_PTR(s->reading);

        s->wrote = !read;
        if (read)
                read_answer(read, read->result);
        else
                group_answer(s, TAKE_PTR(s->writing), s->write_result);
        store_next(s);
}

/* Takes what comes next; false: nothing does. */
static bool step_take(struct store *s)
{
        struct read *read = s->reads;

        if (read && read->after <= s->answered && (s->wrote || !s->waiting)) {
                s->reading = read;
                s->reads = read->next;
                if (!s->reads)
                        s->reads_tail = &s->reads;
        } else if (s->waiting) {
                s->writing = TAKE_PTR(s->waiting);
                s->waiting_tail = &s->waiting;
        }
        return s->reading || s->writing;
}

/* The answer must come through the loop even when nothing blocks. */
static void step_posted(void *userdata)
{
        struct store *s = userdata;

        if (s->closing) { /* closed in the meantime; all is answered */
                free(s);
                return;
        }
        s->posted = false;
        if (!step_take(s))
                return;
        if (!s->failure.code)
                step_work(s);
        else if (s->reading)
                s->reading->result = s->failure.code;
        else
                s->write_result = s->failure.code;
        step_done(s);
}

/* Starts the next step unless one is under way. */
static void store_next(struct store *s)
{
        int r;

        if (s->writing || s->reading || s->posted || s->closing || (!s->waiting && !s->reads))
                return;
        if (!s->pool || s->failure.code) {
                s->posted = true;
                loop_post(s->loop, step_posted, s);
                return;
        }
        if (!step_take(s))
                return;
        r = worker_pool_submit(s->pool, s, step_work, step_done, s);
        assert(r == 0); /* one job at a time */
        (void)r;
}

/* ---- writing ---- */

void store_write(struct store *s, struct store_batch *b, store_done_handler done, void *userdata)
{
        b->done = done;
        b->userdata = userdata;
        b->next = NULL;
        *s->waiting_tail = b;
        s->waiting_tail = &b->next;
        s->handed++;
        store_next(s);
}

int store_write_now(struct store *s, struct store_batch *b, struct error *e)
{
        int r;

        assert(!s->writing && !s->waiting);
        r = s->view.backend->apply(s->view.state, b, e);
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
        return s->view.backend->scan(s->view.state, prefix, each, userdata, e);
}

void *store_value_copy(const void *value, size_t len)
{
        char *copy = xmalloc(len + 1);

        if (len > 0)
                memcpy(copy, value, len);
        copy[len] = 0;
        return copy;
}

int store_get(struct store *s, const char *key, void **ret, size_t *ret_len, struct error *e)
{
        return s->view.backend->get(s->view.state, key, ret, ret_len, e);
}

int store_view_scan(struct store_view *v, const struct store_range *range, store_scan_handler each,
        void *userdata, struct error *e)
{
        /* A handler that keeps the place where it stands may free what `beyond` points to. */
        _cleanup_free_ char *beyond = xstrdup(range->beyond);
        struct store_range own = *range;

        assert(*range->prefix);
        own.beyond = beyond;
        return v->backend->range(v->state, &own, each, userdata, e);
}

int store_view_get(struct store_view *v, const char *key, void **ret, size_t *ret_len, struct error *e)
{
        return v->backend->get(v->state, key, ret, ret_len, e);
}

void store_read(struct store *s, store_read_handler work, store_done_handler done, void *userdata)
{
        struct read *read = NEW0(struct read);

        *read = (struct read){.work = work, .done = done, .userdata = userdata, .after = s->handed};
        *s->reads_tail = read;
        s->reads_tail = &read->next;
        store_next(s);
}

/* ---- life ---- */

int store_open(struct loop *l, const char *url, struct store **ret, struct error *e)
{
        struct store *s = NEW0(struct store);
        int r = -EINVAL;

        s->loop = l;
        s->waiting_tail = &s->waiting;
        s->reads_tail = &s->reads;
        for (size_t i = 0; i < ELEMENTSOF(backends) && !s->view.backend; i++)
                if (str_has_prefix(url, backends[i]->scheme))
                        s->view.backend = backends[i];
        if (!s->view.backend)
                error_set(e, r, "store: unknown URL '%s': sqlite:PATH or memory: is expected", url);
        else
                r = s->view.backend->open(url + strlen(s->view.backend->scheme), &s->view.state, e);
        if (r >= 0 && s->view.backend->blocks)
                r = worker_pool_new(l, /* threads= */ 1, /* max_queued= */ 4, &s->pool, e);
        if (r < 0) {
                if (s->view.state)
                        s->view.backend->close(s->view.state);
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
                step_work(s);
                group_answer(s, TAKE_PTR(s->writing), s->write_result);
        }
        group_answer(s, TAKE_PTR(s->waiting), s->failure.code ? s->failure.code : -ECANCELED);
        while (s->reads) {
                struct read *read = s->reads;

                s->reads = read->next;
                read_answer(read, -ECANCELED);
        }
        s->view.backend->close(s->view.state);
        error_done(&s->failure);
        if (!s->posted)
                free(s);
        return NULL;
}
