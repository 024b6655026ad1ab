/*
 * A history of a hundred thousand records: however seldom a filter matches, and however much is to be forgotten, it goes in pieces of
 * bounded work, between which the store writes for others. What is counted is work, not time.
 */
#include "tests/unit/master/fixture.h"

#include "master/jobs/history_internal.h"

#define RECORDS 100000
#define RARE 9973         /* every so many are bob's */
#define STEP_ROWS_MAX 256 /* looked at in one piece */
#define FORGOTTEN_MAX 256 /* in one piece */

/* ---- records, from before the master starts ---- */

struct records {
        uint64_t count;
        bool complete; /* with what the history needs to forget them */
        double (*ended)(uint64_t number);
};

static void put(struct store_batch *b, uint64_t number, const struct records *r)
{
        static char alice[] = "alice", bob[] = "bob", name[] = "x";
        Mete__Checkpoint__StoredHistory record = METE__CHECKPOINT__STORED_HISTORY__INIT;
        Mete__Api__Job job = METE__API__JOB__INIT;
        Mete__Api__JobSpec spec = METE__API__JOB_SPEC__INIT;
        _cleanup_free_ char *key = xasprintf(HISTORY_KEY, (uintmax_t)number);
        char id[24];

        (void)snprintf(id, sizeof(id), "%ju", (uintmax_t)number);
        spec.name = name;
        job.job_id = id;
        job.spec = &spec;
        job.user = number % RARE ? alice : bob;
        job.state = METE__API__JOB_STATE__JOB_FINISHED;
        job.has_finished = true;
        job.finished = r->ended(number);
        record.job = &job;
        master_put_message(b, key, &record.base);
        if (r->complete) {
                _cleanup_free_ char *ended =
                        xasprintf(ENDED_KEY, (uintmax_t)(job.finished * 1000), (uintmax_t)number);

                store_batch_put(b, ended, NULL, 0);
        }
}

static void start(struct fixture *x, const struct records *r, uint64_t keep, uint64_t age_ns)
{
        struct store_batch *b = store_batch_new();
        _cleanup_error_ struct error e = {};
        _cleanup_free_ char *url = NULL;
        struct store *s;

        log_set_level(LOG_LEVEL_ERROR);
        assert_non_null(mkdtemp(strcpy(x->directory, "/tmp/mete-test-master-XXXXXX")));
        assert_int_equal(loop_new(&x->loop, NULL), 0);
        url = xasprintf("sqlite:%s/store.db", x->directory);
        assert_int_equal(store_open(x->loop, url, &s, &e), 0);
        for (uint64_t i = 1; i <= r->count; i++)
                put(b, i, r);
        assert_int_equal(store_write_now(s, b, &e), 0);
        store_close(s);
        master_options_init(&x->options);
        free(x->options.work_dir);
        x->options.work_dir = xstrdup(x->directory);
        x->options.port = 0;
        x->options.insecure = true;
        x->options.history_jobs = keep;
        x->options.history_age_ns = age_ns;
        begin_master(x);
}

/* ---- reading ---- */

struct reading {
        struct master *master;
        unsigned writes;             /* of others, answered so far */
        unsigned seen_at;            /* the same when the last record was seen ... */
        size_t in_piece, piece_most; /* ... and the records seen since */
        size_t count, limit;
        uint64_t last;
        bool over, pending; /* one of the others' writes is on its way */
        int result;
};

/* Somebody else who always has something to write. */
static void wrote(int result, void *userdata)
{
        struct reading *r = userdata;

        assert_int_equal(result, 0);
        r->writes++;
        r->pending = !r->over;
        if (r->pending) {
                struct store_batch *b = store_batch_new();

                store_batch_put(b, "other", &r->writes, sizeof(r->writes));
                store_write(r->master->store, b, wrote, r);
        }
}

/* On the store's thread, while the loop's has nothing to do with `r`. */
static int take(Mete__Checkpoint__StoredHistory *record, void *userdata)
{
        struct reading *r = userdata;
        uint64_t number = strtoull(record->job->job_id, NULL, 10);

        message_free(record);
        if (r->last > 0 && number >= r->last)
                return -EUCLEAN; /* newest first, each once */
        r->last = number;
        r->count++;
        r->in_piece = r->writes == r->seen_at ? r->in_piece + 1 : 1;
        r->seen_at = r->writes;
        r->piece_most = MAX(r->piece_most, r->in_piece);
        return r->count == r->limit;
}

static void read_over(int result, void *userdata)
{
        struct reading *r = userdata;

        r->result = result;
        r->over = true;
}

static void read_all(struct fixture *x, const char *user, uint64_t before, size_t limit, struct reading *r)
{
        struct history_query q = {.user = user ? xstrdup(user) : NULL,
                .before = before,
                .take = take,
                .done = read_over,
                .userdata = r};

        *r = (struct reading){.master = x->master, .limit = limit};
        wrote(0, r); /* the first of them */
        assert_int_equal(history_query(x->master->history, &q), 0);
        for (unsigned mark = 0; !r->over; mark = r->writes) { /* as long as it gets on, but not for ever */
                WAIT_FOR(x, r->over || r->writes > mark + 20);
                assert_true(r->writes < 4 * RECORDS / STEP_ROWS_MAX);
        }
        assert_int_equal(r->result, 0);
        WAIT_FOR(x, !r->pending);
}

static double long_ago(uint64_t number)
{
        return 1000 + (double)number;
}

static void test_reading(void **state)
{
        const struct records records = {RECORDS, false, long_ago};
        struct fixture x = {};
        struct reading r;
        uint64_t before = 0;
        size_t found = 0;

        start(&x, &records, RECORDS, 0);
        read_all(&x, NULL, 0, SIZE_MAX, &r);
        assert_int_equal(r.count, RECORDS);
        assert_true(r.piece_most <= STEP_ROWS_MAX);
        assert_true(r.writes >= RECORDS / STEP_ROWS_MAX);
        /* What does not match is looked at just as bounded. */
        read_all(&x, "bob", 0, SIZE_MAX, &r);
        assert_int_equal(r.count, RECORDS / RARE);
        assert_true(r.writes >= RECORDS / STEP_ROWS_MAX);
        read_all(&x, "carol", 0, SIZE_MAX, &r);
        assert_int_equal(r.count, 0);
        assert_true(r.writes >= RECORDS / STEP_ROWS_MAX);
        /* Page by page, each once. */
        do {
                read_all(&x, "bob", before, 3, &r);
                found += r.count;
                assert_true(found <= RECORDS / RARE);
                assert_int_equal(r.last % RARE, 0);
                before = r.last;
        } while (r.count == 3);
        assert_int_equal(found, RECORDS / RARE);
        assert_int_equal(before, RARE);
        fixture_stop(&x);
}

/* ---- forgetting ---- */

struct forgetting {
        struct fixture *x;
        size_t before, most;
        bool over;
};

/* Once in each turn of the loop. */
static void watch(void *userdata)
{
        struct forgetting *f = userdata;
        size_t now = history_count(f->x->master->history);

        f->most = MAX(f->most, f->before - now);
        f->before = now;
        if (!f->over)
                loop_post(f->x->loop, watch, f);
}

static double in_order(uint64_t number)
{
        return wall_seconds_now() - 100000 + (double)number;
}

/* All but the newest 300 ended too long ago. */
static double old_and_new(uint64_t number)
{
        return wall_seconds_now() - (number > 4700 ? 10 : 100000) - (double)(5000 - number) / 1000;
}

static void forget(const struct records *records, uint64_t keep, uint64_t age_ns, size_t left)
{
        struct fixture x = {};
        struct forgetting f = {.x = &x};
        struct reading r;

        start(&x, records, keep, age_ns);
        f.before = history_count(x.master->history);
        assert_int_equal(f.before, records->count);
        watch(&f);
        WAIT_FOR(&x, history_count(x.master->history) == left);
        f.over = true;
        assert_true(f.most > 0);
        assert_true(f.most <= FORGOTTEN_MAX);
        read_all(&x, NULL, 0, SIZE_MAX, &r); /* behind the writes that forget */
        assert_int_equal(r.count, left);
        assert_int_equal(r.last, records->count - left + 1); /* the newest stay */
        assert_int_equal(history_count(x.master->history), left);
        fixture_stop(&x);
}

static void test_forgetting_by_count(void **state)
{
        forget(&(struct records){5000, true, in_order}, 700, 0, 700);
}

static void test_forgetting_by_age(void **state)
{
        forget(&(struct records){5000, true, old_and_new}, 5000, 3600 * NSEC_PER_SEC, 300);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_reading),
                cmocka_unit_test(test_forgetting_by_count),
                cmocka_unit_test(test_forgetting_by_age),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
