/* Reading: in steps of bounded work, each off the loop, with a chance for writes between them. */

#include <stdlib.h>
#include <string.h>

#include "master/jobs/history_internal.h"

#define STEP_ROWS 256
#define STEP_BYTES (1u << 20)

struct run {
        struct history *history;
        struct history_query query;
        char *beyond; /* key: the step begins behind it; NULL: at the newest */
        struct store_view *view;
        size_t rows, bytes; /* of this step */
        bool enough;        /* `take` said so */
        bool resolved;
};

static void run_free(struct run *run)
{
        run->history->queries--;
        free(run->query.user);
        free(run->query.name);
        free(run->beyond);
        free(run);
}

/* ---- off the loop ---- */

static Mete__Checkpoint__StoredHistory *decode(const void *value, size_t len)
{
        ProtobufCMessage *message = NULL;

        return message_decode(CODEC_PROTOBUF, &mete__checkpoint__stored_history__descriptor, value, len,
                       &message, NULL) < 0
                       ? NULL
                       : (Mete__Checkpoint__StoredHistory *)message;
}

static bool matches(const struct history_query *q, const Mete__Api__Job *j)
{
        return (!q->user || str_equal(q->user, j->user)) && (!q->name || str_equal(q->name, j->spec->name)) &&
               (q->state == METE__API__JOB_STATE__JOB_UNKNOWN || q->state == j->state) &&
               (q->since <= 0 || j->finished >= q->since) && (q->until <= 0 || j->finished <= q->until);
}

/* The tasks of a record become those of its job. */
static int add_tasks(struct run *run, const char *key, Mete__Api__Job *job)
{
        _cleanup_free_ char *tasks_key = xasprintf("history_tasks/%s", key + strlen(HISTORY_PREFIX));
        _cleanup_free_ void *value = NULL;
        Mete__Checkpoint__StoredHistoryTasks *stored = NULL;
        size_t len;
        int r = store_view_get(run->view, tasks_key, &value, &len, NULL);

        if (r < 0)
                return r == -ENOENT ? 0 : r;
        run->bytes += len;
        if (message_decode(CODEC_PROTOBUF, &mete__checkpoint__stored_history_tasks__descriptor, value, len,
                    (ProtobufCMessage **)&stored, NULL) < 0)
                return 0; /* not ours to repair: the job is shown without them */
        job->tasks = TAKE_PTR(stored->tasks);
        job->n_tasks = stored->n_tasks;
        stored->n_tasks = 0;
        message_free(stored);
        return 0;
}

static int take_row(const char *key, const void *value, size_t len, void *userdata)
{
        struct run *run = userdata;
        Mete__Checkpoint__StoredHistory *record = decode(value, len);
        int r;

        free(run->beyond);
        run->beyond = xstrdup(key);
        run->rows++;
        run->bytes += len;
        if (!record || !matches(&run->query, record->job)) {
                message_free(record);
        } else {
                r = run->query.tasks ? add_tasks(run, key, record->job) : 0;
                if (r < 0) {
                        message_free(record);
                        return r;
                }
                run->enough = run->query.take(record, run->query.userdata) > 0;
        }
        return run->enough || run->rows >= STEP_ROWS || run->bytes >= STEP_BYTES;
}

/* Who and what was that job? */
static int resolve(struct run *run)
{
        _cleanup_free_ char *key = xasprintf(HISTORY_KEY, (uintmax_t)run->query.resolve);
        _cleanup_free_ void *value = NULL;
        Mete__Checkpoint__StoredHistory *record;
        size_t len;
        int r = store_view_get(run->view, key, &value, &len, NULL);

        if (r < 0)
                return r;
        record = decode(value, len);
        if (!record)
                return -ENOENT;
        set_string(&run->query.user, record->job->user);
        set_string(&run->query.name, record->job->spec->name);
        message_free(record);
        return 0;
}

/* 1: there is more to be read. */
static int step(struct store_view *v, void *userdata)
{
        struct run *run = userdata;
        int r = 0;

        run->view = v;
        run->rows = run->bytes = 0;
        if (run->query.resolve > 0 && !run->resolved) {
                r = resolve(run);
                run->resolved = true;
        }
        if (r < 0)
                return r;
        r = store_view_scan(v,
                &(struct store_range){.prefix = HISTORY_PREFIX, .beyond = run->beyond, .descending = true},
                take_row, run, NULL);
        return r < 0 ? r : !run->enough && (run->rows >= STEP_ROWS || run->bytes >= STEP_BYTES);
}

/* ---- on the loop ---- */

static void step_done(int result, void *userdata)
{
        struct run *run = userdata;

        if (result > 0 && !run->history->master->stopping) {
                store_read(run->history->master->store, step, step_done, run);
                return;
        }
        run->query.done(result > 0 ? -ECANCELED : result, run->query.userdata);
        run_free(run);
}

int history_query(struct history *h, struct history_query *q)
{
        struct run *run;

        if (h->queries >= HISTORY_QUERIES_MAX)
                return -EBUSY;
        h->queries++;
        run = NEW0(struct run);
        run->history = h;
        run->query = *q;
        q->user = q->name = NULL;
        if (run->query.before > 0)
                run->beyond = xasprintf(HISTORY_KEY, (uintmax_t)run->query.before);
        store_read(h->master->store, step, step_done, run);
        return 0;
}
