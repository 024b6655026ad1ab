#include "master/jobs/learned.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WRITE_EACH_NS (60 * NSEC_PER_SEC)
#define CHANGED_MAX 1000  /* names: with more of them it is written at once */
#define SECONDS_KEPT 0.01 /* core-seconds of a user: less says nothing any more */
#define ESTIMATE_PREFIX "estimate/"
#define USAGE_PREFIX "usage/"

/* A name whose estimate has changed. */
struct changed {
        char *key; /* of the store */
        char *user, *name;
        UT_hash_handle hh;
};

struct learned {
        struct master *master;
        struct loop_timer *timer;
        struct changed *changed; /* k: key -> v, owned */
        bool ended;              /* a task has: usage has changed */
};

/* Users and names may have bytes that would not stay within their part of the key. */
static void put_escaped(struct buffer *out, const char *s)
{
        for (; *s; s++)
                if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-", *s))
                        buffer_append(out, s, 1);
                else
                        buffer_printf(out, "%%%02X", (unsigned char)*s);
}

static char *key_of(const char *prefix, const char *a, const char *b)
{
        _cleanup_buffer_ struct buffer key = {};

        buffer_puts(&key, prefix);
        put_escaped(&key, a);
        buffer_puts(&key, "/");
        put_escaped(&key, b);
        return buffer_take(&key);
}

/* ---- writing ---- */

static void changed_free(struct learned *l, struct changed *c)
{
        HASH_DEL(l->changed, c);
        free(c->key);
        free(c->user);
        free(c->name);
        free(c);
}

static void put_estimate(const struct estimates *s, const struct changed *c, struct store_batch *b)
{
        Mete__Checkpoint__StoredEstimate stored = METE__CHECKPOINT__STORED_ESTIMATE__INIT;
        _cleanup_buffer_ struct buffer histogram = {};

        estimates_encode(s, c->user, c->name, &histogram);
        if (histogram.len == 0)
                return; /* it gave way meanwhile */
        stored.user = c->user;
        stored.name = c->name;
        stored.histogram = (ProtobufCBinaryData){histogram.len, (uint8_t *)histogram.data};
        master_put_message(b, c->key, &stored.base);
}

struct writing {
        const struct job_queue *queue;
        struct store_batch *batch;
        struct wall_time now;
};

static void put_user(const char *user, double core_seconds, size_t running, size_t waiting, void *userdata)
{
        struct writing *w = userdata;
        Mete__Checkpoint__StoredUsage stored = METE__CHECKPOINT__STORED_USAGE__INIT;
        _cleanup_free_ char *key = key_of(USAGE_PREFIX, w->queue->name, user);

        if (core_seconds < SECONDS_KEPT && running == 0) {
                store_batch_delete(w->batch, key);
                return;
        }
        stored.queue = w->queue->name;
        stored.user = (char *)user;
        stored.core_seconds = core_seconds;
        stored.at = wall_seconds(w->now);
        master_put_message(w->batch, key, &stored.base);
}

/* While something runs, usage grows. */
static bool usage_changed(const struct learned *l, const struct job_queue *jq)
{
        return l->ended || jq->tasks_running > 0;
}

void learned_write(struct learned *l)
{
        struct job_queues *qs = l->master->jobs->queues;
        struct writing w = {.batch = store_batch_new(), .now = wall_now()};
        struct changed *c, *next;

        HASH_ITER (hh, l->changed, c, next) {
                put_estimate(qs->estimates, c, w.batch);
                changed_free(l, c);
        }
        for (const struct job_queue *jq = qs->by_name; jq; jq = jq->hh.next) {
                w.queue = jq;
                if (usage_changed(l, jq))
                        queue_each_user(jq->queue, w.now, put_user, &w);
        }
        l->ended = false;
        master_write(l->master, w.batch, NULL, NULL);
}

static void on_timer(struct loop_timer *t, void *userdata)
{
        learned_write(userdata);
}

void learned_task_ended(struct learned *l, const struct job *j)
{
        _cleanup_free_ char *key = key_of(ESTIMATE_PREFIX, j->user, j->spec->name);
        struct changed *c;

        l->ended = true;
        HASH_FIND_STR(l->changed, key, c);
        if (c)
                return;
        c = NEW0(struct changed);
        c->key = TAKE_PTR(key);
        c->user = xstrdup(j->user);
        c->name = xstrdup(j->spec->name);
        HASH_ADD_KEYPTR(hh, l->changed, c->key, strlen(c->key), c);
        if (HASH_COUNT(l->changed) >= CHANGED_MAX)
                loop_timer_arm(l->timer, 0, WRITE_EACH_NS);
}

static void on_forgotten(const char *user, const char *name, void *userdata)
{
        struct learned *l = userdata;
        _cleanup_free_ char *key = key_of(ESTIMATE_PREFIX, user, name);
        struct store_batch *b = store_batch_new();

        store_batch_delete(b, key);
        master_write(l->master, b, NULL, NULL);
}

/* ---- life ---- */

struct learned *learned_new(struct master *m)
{
        struct learned *l = NEW0(struct learned);

        l->master = m;
        l->timer = loop_timer_new(m->loop, on_timer, l);
        return l;
}

struct learned *learned_free(struct learned *l)
{
        if (!l)
                return NULL;
        while (l->changed)
                changed_free(l, l->changed);
        loop_timer_free(l->timer);
        free(l);
        return NULL;
}

static int recover_estimate(const char *key, const void *value, size_t len, void *userdata)
{
        struct learned *l = userdata;
        _cleanup_error_ struct error e = {};
        Mete__Checkpoint__StoredEstimate *stored = NULL;
        int r = message_decode(CODEC_PROTOBUF, &mete__checkpoint__stored_estimate__descriptor, value, len,
                (ProtobufCMessage **)&stored, &e);

        if (r >= 0)
                r = estimates_decode(l->master->jobs->queues->estimates, stored->user, stored->name,
                        stored->histogram.data, stored->histogram.len, &e);
        if (r < 0)
                log_error("store: %s is skipped: %s", key, error_message(&e));
        message_free(stored);
        return 0;
}

static int recover_usage(const char *key, const void *value, size_t len, void *userdata)
{
        struct learned *l = userdata;
        _cleanup_error_ struct error e = {};
        Mete__Checkpoint__StoredUsage *stored = NULL;
        struct job_queue *jq;

        if (message_decode(CODEC_PROTOBUF, &mete__checkpoint__stored_usage__descriptor, value, len,
                    (ProtobufCMessage **)&stored, &e) < 0) {
                log_error("store: %s is skipped: %s", key, error_message(&e));
                return 0;
        }
        jq = job_queue_find(l->master->jobs->queues, stored->queue); /* or it was removed */
        if (jq && isfinite(stored->core_seconds) && stored->core_seconds > 0 && isfinite(stored->at) &&
                stored->at > 0 && stored->at < 1e10)
                queue_restore_user(jq->queue, stored->user, stored->core_seconds,
                        (struct wall_time){(uint64_t)(stored->at * 1e9)});
        message_free(stored);
        return 0;
}

int learned_recover(struct learned *l, struct error *e)
{
        int r = store_scan(l->master->store, ESTIMATE_PREFIX, recover_estimate, l, e);

        if (r >= 0)
                r = store_scan(l->master->store, USAGE_PREFIX, recover_usage, l, e);
        estimates_on_forget(l->master->jobs->queues->estimates, on_forgotten, l);
        loop_timer_arm(l->timer, WRITE_EACH_NS, WRITE_EACH_NS);
        return r;
}
