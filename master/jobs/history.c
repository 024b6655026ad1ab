/* Writing, and forgetting the oldest. */

#include <stdlib.h>
#include <string.h>

#include "master/jobs/history_internal.h"

#define TRIM_EACH_NS (60 * NSEC_PER_SEC)
#define TRIM_SOON_NS NSEC_PER_SEC /* not for each job alone */
#define TRIM_STEP 256             /* records that go in one batch */

/* ---- keys ---- */

static char *ended_key(uint64_t ended_ms, uint64_t number)
{
        return xasprintf(ENDED_KEY, (uintmax_t)ended_ms, (uintmax_t)number);
}

static bool ended_key_parse(const char *key, uint64_t *ret_ms, uint64_t *ret_number)
{
        _cleanup_free_ char *ms = xstrdup(key + strlen(ENDED_PREFIX));
        char *slash = strchr(ms, '/');

        if (!slash)
                return false;
        *slash = 0;
        return parse_u64(ms, UINT64_MAX, ret_ms) >= 0 && parse_u64(slash + 1, UINT64_MAX, ret_number) >= 0;
}

static void put_delete(uint64_t ended_ms, uint64_t number, bool with_record, struct store_batch *b)
{
        _cleanup_free_ char *ended = ended_key(ended_ms, number);
        _cleanup_free_ char *record = xasprintf(HISTORY_KEY, (uintmax_t)number);
        _cleanup_free_ char *tasks = xasprintf(HISTORY_TASKS_KEY, (uintmax_t)number);

        store_batch_delete(b, ended);
        if (!with_record)
                return;
        store_batch_delete(b, record);
        store_batch_delete(b, tasks);
}

/* ---- writing ---- */

/* Without the seccomp profile: it may be a megabyte. */
static void put_job(const struct job *j, Mete__Api__Job *job, struct store_batch *b)
{
        Mete__Checkpoint__StoredHistory stored = METE__CHECKPOINT__STORED_HISTORY__INIT;
        _cleanup_free_ char *key = xasprintf(HISTORY_KEY, (uintmax_t)j->number);
        Mete__Api__Isolation isolation = *job->spec->isolation;

        isolation.has_seccomp_profile = false;
        job->spec->isolation = &isolation;
        stored.job = job;
        stored.has_uid = j->has_uid;
        stored.uid = j->uid;
        master_put_message(b, key, &stored.base);
}

static void put_tasks(const struct job *j, Mete__Api__Job *job, struct store_batch *b)
{
        Mete__Checkpoint__StoredHistoryTasks stored = METE__CHECKPOINT__STORED_HISTORY_TASKS__INIT;
        _cleanup_free_ char *key = xasprintf(HISTORY_TASKS_KEY, (uintmax_t)j->number);

        stored.tasks = job->tasks;
        stored.n_tasks = job->n_tasks;
        job->n_tasks = 0;
        master_put_message(b, key, &stored.base);
}

void history_job_ended(struct job *j, struct store_batch *b)
{
        struct history *h = j->master->history;
        uint64_t ended_ms = j->finished > 0 ? (uint64_t)(j->finished * 1000) : 1;
        _cleanup_free_ char *ended = ended_key(ended_ms, j->number);
        struct job_view view;

        if (h->master->options->history_jobs == 0)
                return;
        if (j->history_ms > 0 && j->history_ms != ended_ms)
                put_delete(j->history_ms, j->number, /* with_record= */ false, b);
        h->count += j->history_ms == 0;
        j->history_ms = ended_ms;
        store_batch_put(b, ended, NULL, 0);
        job_view(j, j->count, /* with_environment= */ true, &view);
        put_tasks(j, &view.job, b);
        put_job(j, &view.job, b);
        job_view_done(&view);
        if (h->count > h->master->options->history_jobs && !h->trim_soon && !h->trimming) {
                h->trim_soon = true;
                loop_timer_arm(h->timer, TRIM_SOON_NS, 0);
        }
}

void history_job_revived(struct job *j, struct store_batch *b)
{
        if (j->history_ms == 0)
                return;
        put_delete(j->history_ms, j->number, /* with_record= */ true, b);
        j->history_ms = 0;
        j->master->history->count--;
}

size_t history_count(const struct history *h)
{
        return h->count;
}

/* ---- forgetting ---- */

struct oldest {
        struct history *history;
        size_t count;
        struct {
                uint64_t ended_ms, number;
        } items[TRIM_STEP];
};

static int take_oldest(const char *key, const void *value, size_t len, void *userdata)
{
        struct oldest *o = userdata;

        if (ended_key_parse(key, &o->items[o->count].ended_ms, &o->items[o->count].number))
                o->count++;
        return o->count == TRIM_STEP;
}

static int find_oldest(struct store_view *v, void *userdata)
{
        return store_view_scan(v, &(struct store_range){.prefix = ENDED_PREFIX}, take_oldest, userdata, NULL);
}

static bool is_over(const struct history *h, uint64_t ended_ms)
{
        uint64_t age_ms = h->master->options->history_age_ns / NSEC_PER_MSEC;
        uint64_t now_ms = wall_now().ns / NSEC_PER_MSEC;

        return h->count > h->master->options->history_jobs ||
               (age_ms > 0 && now_ms > age_ms && ended_ms < now_ms - age_ms);
}

/* Jobs in memory may still come to life again: theirs is written anew then. */
static void forget_oldest(int result, void *userdata)
{
        _cleanup_free_ struct oldest *o = userdata;
        struct history *h = o->history;
        struct store_batch *b;
        size_t gone = 0;

        h->trimming = false;
        if (result < 0)
                return; /* the store's failure is told by whoever writes; or all ends */
        b = store_batch_new();
        for (; gone < o->count && is_over(h, o->items[gone].ended_ms); gone++) {
                struct job *j = job_by_number(h->master->jobs, o->items[gone].number);

                if (j && j->history_ms != o->items[gone].ended_ms) { /* it ended again, after this was read */
                        put_delete(
                                o->items[gone].ended_ms, o->items[gone].number, /* with_record= */ false, b);
                        continue;
                }
                if (j)
                        j->history_ms = 0;
                put_delete(o->items[gone].ended_ms, o->items[gone].number, /* with_record= */ true, b);
                h->count -= h->count > 0;
        }
        master_write(h->master, b, NULL, NULL);
        loop_timer_arm(h->timer, gone == TRIM_STEP ? 0 : TRIM_EACH_NS, 0);
}

static void on_timer(struct loop_timer *t, void *userdata)
{
        struct history *h = userdata;
        struct oldest *o;

        h->trim_soon = false;
        if (h->trimming || h->master->stopping)
                return;
        h->trimming = true;
        o = NEW0(struct oldest);
        o->history = h;
        store_read(h->master->store, find_oldest, forget_oldest, o);
}

/* ---- life ---- */

struct history *history_new(struct master *m)
{
        struct history *h = NEW0(struct history);

        h->master = m;
        h->timer = loop_timer_new(m->loop, on_timer, h);
        return h;
}

struct history *history_free(struct history *h)
{
        if (!h)
                return NULL;
        loop_timer_free(h->timer);
        free(h);
        return NULL;
}

static int recover_ended(const char *key, const void *value, size_t len, void *userdata)
{
        struct history *h = userdata;
        uint64_t ended_ms, number;
        struct job *j;

        if (!ended_key_parse(key, &ended_ms, &number))
                return 0;
        h->count++;
        j = job_by_number(h->master->jobs, number);
        if (j)
                j->history_ms = ended_ms;
        return 0;
}

int history_recover(struct history *h, struct error *e)
{
        return store_scan(h->master->store, ENDED_PREFIX, recover_ended, h, e);
}

void history_start(struct history *h)
{
        loop_timer_arm(h->timer, 0, 0);
}
