/* The store: what was acknowledged is there after a kill at any moment; strange files are refused with a sentence. */

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/loop/loop.h"
#include "master/store/store.h"

static char directory[] = "/tmp/mete-test-store-XXXXXX";

static char *url_of(const char *name)
{
        return xasprintf("sqlite:%s/%s", directory, name);
}

static struct store *open_store(struct loop *l, const char *url)
{
        _cleanup_error_ struct error e = {};
        struct store *s = NULL;

        if (store_open(l, url, &s, &e) < 0)
                fail_msg("%s", error_message(&e));
        return s;
}

static void put_text(struct store_batch *b, const char *key, const char *value)
{
        store_batch_put(b, key, value, strlen(value));
}

static int join(const char *key, const void *value, size_t len, void *userdata)
{
        buffer_printf(userdata, "%s=%.*s ", key, (int)len, (const char *)value);
        return 0;
}

static void on_done(int result, void *userdata)
{
        assert_int_equal(result, 0);
        loop_stop(userdata);
}

static void round_trip(const char *url, bool reopen)
{
        CLEANUP(cleanup_loop_free) struct loop *l = NULL;
        _cleanup_buffer_ struct buffer text = {};
        struct store_batch *b = store_batch_new();
        struct store *s;

        assert_int_equal(loop_new(&l, NULL), 0);
        s = open_store(l, url);
        put_text(b, "task/1/0", "x");
        put_text(b, "task/1/1", "y");
        put_text(b, "task/10/0", "z");
        put_text(b, "job/1", "one");
        assert_int_equal(store_write_now(s, b, NULL), 0);
        b = store_batch_new();
        store_batch_delete_prefix(b, "task/1/");
        put_text(b, "job/1", "two");
        put_text(b, "job/2", "");
        store_batch_delete(b, "job/none");
        store_write(s, b, on_done, l);
        assert_int_equal(loop_run(l), 0);
        if (reopen) {
                store_close(s);
                s = open_store(l, url);
        }
        assert_int_equal(store_scan(s, "", join, &text, NULL), 0);
        assert_string_equal(text.data, "job/1=two job/2= task/10/0=z ");
        store_close(s);
}

static void test_sqlite(void **state)
{
        _cleanup_free_ char *url = url_of("a.db");

        round_trip(url, true);
}

static void test_memory(void **state)
{
        round_trip("memory:", false);
}

static void refused(struct loop *l, const char *url, int code, const char *part)
{
        _cleanup_error_ struct error e = {};
        struct store *s = NULL;

        assert_int_equal(store_open(l, url, &s, &e), code);
        if (!strstr(error_message(&e), part))
                fail_msg("'%s' does not say '%s'", error_message(&e), part);
}

/* ---- reading off the loop ---- */

struct reading {
        struct store_range range;
        const char *key; /* to get, instead of a range */
        size_t max;      /* rows */
        size_t rows;
        struct buffer text;
        pthread_t thread; /* that read */
        int result;
        bool answered;
        struct loop *loop;
};

static int take_row(const char *key, const void *value, size_t len, void *userdata)
{
        struct reading *r = userdata;

        join(key, value, len, &r->text);
        return ++r->rows == r->max;
}

static int read_work(struct store_view *v, void *userdata)
{
        struct reading *r = userdata;
        _cleanup_free_ void *value = NULL;
        size_t len;
        int k;

        r->thread = pthread_self();
        if (!r->key)
                return store_view_scan(v, &r->range, take_row, r, NULL);
        k = store_view_get(v, r->key, &value, &len, NULL);
        if (k >= 0)
                buffer_append(&r->text, value, len);
        return k;
}

static void read_done(int result, void *userdata)
{
        struct reading *r = userdata;

        r->result = result;
        r->answered = true;
        if (r->loop)
                loop_stop(r->loop);
}

static void expect_read(struct store *s, struct loop *l, struct reading r, int result, const char *text)
{
        r.loop = l;
        store_read(s, read_work, read_done, &r);
        assert_false(r.answered);
        assert_int_equal(loop_run(l), 0);
        assert_int_equal(r.result, result);
        assert_string_equal(r.text.data ? r.text.data : "", text);
        buffer_done(&r.text);
}

static void read_ranges(const char *url, bool other_thread)
{
        CLEANUP(cleanup_loop_free) struct loop *l = NULL;
        struct reading r = {.range = {.prefix = "b/"}};
        struct store_batch *b = store_batch_new();
        struct store *s;

        assert_int_equal(loop_new(&l, NULL), 0);
        s = open_store(l, url);
        for (int i = 0; i < 5; i++) {
                _cleanup_free_ char *key = xasprintf("b/%d", i);

                put_text(b, key, i == 2 ? "" : "v");
        }
        put_text(b, "a/9", "x");
        put_text(b, "c/0", "x");
        put_text(b, "b", "x");
        store_write(s, b, NULL, NULL);
        /* Handed over before: it is seen. */
        expect_read(s, l, r, 0, "b/0=v b/1=v b/2= b/3=v b/4=v ");
        r.range.descending = true;
        expect_read(s, l, r, 0, "b/4=v b/3=v b/2= b/1=v b/0=v ");
        r.range.beyond = "b/3";
        expect_read(s, l, r, 0, "b/2= b/1=v b/0=v ");
        r.max = 2;
        expect_read(s, l, r, 0, "b/2= b/1=v ");
        r.range.descending = false;
        expect_read(s, l, r, 0, "b/4=v ");
        r.range.beyond = "b/17"; /* is not there */
        expect_read(s, l, r, 0, "b/2= b/3=v ");
        r.range = (struct store_range){.prefix = "d/"};
        expect_read(s, l, r, 0, "");
        expect_read(s, l, (struct reading){.key = "b/1"}, 0, "v");
        expect_read(s, l, (struct reading){.key = "b/2"}, 0, "");
        expect_read(s, l, (struct reading){.key = "b/"}, -ENOENT, "");
        b = store_batch_new();
        store_batch_delete_prefix(b, "b/");
        put_text(b, "b/7", "new");
        store_write(s, b, NULL, NULL);
        r = (struct reading){.range = {.prefix = "b/"}, .loop = l};
        store_read(s, read_work, read_done, &r);
        assert_int_equal(loop_run(l), 0);
        assert_string_equal(r.text.data, "b/7=new ");
        for (int i = 0; i < 2;
                i++) { /* the second waits while the first is written: the read waits for both */
                b = store_batch_new();
                put_text(b, i ? "b/9" : "b/8", "");
                store_write(s, b, NULL, NULL);
        }
        expect_read(s, l, (struct reading){.range = {.prefix = "b/"}}, 0, "b/7=new b/8= b/9= ");
        assert_int_equal(other_thread, !pthread_equal(r.thread, pthread_self()));
        buffer_done(&r.text);
        store_close(s);
}

static void test_reading_off_the_loop(void **state)
{
        _cleanup_free_ char *url = url_of("ranges.db");

        read_ranges(url, true);
        read_ranges("memory:", false);
}

static void test_reads_are_cancelled_at_the_end(void **state)
{
        CLEANUP(cleanup_loop_free) struct loop *l = NULL;
        _cleanup_free_ char *url = url_of("cancel.db");
        struct reading r[50] = {};
        struct store *s;

        assert_int_equal(loop_new(&l, NULL), 0);
        s = open_store(l, url);
        for (size_t i = 0; i < ELEMENTSOF(r); i++) {
                struct store_batch *b = store_batch_new();

                put_text(b, "b/1", "v");
                store_write(s, b, NULL, NULL);
                r[i].range.prefix = "b/";
                store_read(s, read_work, read_done, &r[i]);
        }
        store_close(s);
        for (size_t i = 0; i < ELEMENTSOF(r); i++) {
                assert_true(r[i].answered);
                buffer_done(&r[i].text);
        }
        assert_int_equal(r[ELEMENTSOF(r) - 1].result, -ECANCELED);
}

/* Neither holds up the other for ever. */
static void count_write(int result, void *userdata)
{
        (*(size_t *)userdata)++;
}

static void test_reads_and_writes_take_turns(void **state)
{
        CLEANUP(cleanup_loop_free) struct loop *l = NULL;
        _cleanup_free_ char *url = url_of("turns.db");
        struct reading r[20] = {};
        size_t written = 0;
        struct store *s;

        assert_int_equal(loop_new(&l, NULL), 0);
        s = open_store(l, url);
        for (size_t i = 0; i < ELEMENTSOF(r); i++) {
                r[i].range.prefix = "b/";
                store_read(s, read_work, read_done, &r[i]);
        }
        for (int i = 0; i < 3; i++) {
                struct store_batch *b = store_batch_new();

                put_text(b, "b/1", "v");
                store_write(s, b, count_write, &written);
        }
        r[5].loop = l;
        assert_int_equal(loop_run(l), 0);
        assert_int_equal(written, 3); /* before the sixth of twenty reads */
        store_close(s);
        for (size_t i = 0; i < ELEMENTSOF(r); i++)
                buffer_done(&r[i].text);
}

static void test_strange_files_are_refused(void **state)
{
        CLEANUP(cleanup_loop_free) struct loop *l = NULL;
        _cleanup_free_ char *url = url_of("used.db"), *junk = url_of("junk.db"),
                            *missing = url_of("no/such/dir.db");
        static const char text[] =
                "this is not a database, and it is long enough to have a header of its own, which says "
                "nothing; "
                "the rest of it is only here because a page has at least five hundred and twelve bytes";
        char page[1024] = {};
        struct store *s;
        int fd;

        assert_int_equal(loop_new(&l, NULL), 0);
        s = open_store(l, url);
        refused(l, url, -EBUSY, "another master");
        store_close(s);
        memcpy(page, text, sizeof(text));
        fd = open(junk + strlen("sqlite:"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_int_equal(write_all(fd, page, sizeof(page)), 0);
        close_fd(fd);
        refused(l, junk, -EUCLEAN, "damaged");
        refused(l, missing, -EACCES, "cannot open");
        refused(l, "etcd:x", -EINVAL, "sqlite:PATH");
        refused(l, "sqlite:", -EINVAL, "path");
}

/* ---- kill -9 ---- */

struct writer {
        struct loop *loop;
        struct store *store;
        uint64_t next;
        int pipe;
};

struct written {
        struct writer *writer;
        uint64_t number;
};

static void write_more(struct writer *w);

static void on_written(int result, void *userdata)
{
        struct written *x = userdata;

        if (result < 0 || write(x->writer->pipe, &x->number, sizeof(x->number)) != sizeof(x->number))
                _exit(1);
        write_more(x->writer);
        free(x);
}

/* Two keys a batch: both or none must be there. */
static void write_more(struct writer *w)
{
        struct store_batch *b = store_batch_new();
        struct written *x = NEW0(struct written);
        char key[32];

        *x = (struct written){w, w->next++};
        (void)snprintf(key, sizeof(key), "a/%010ju", (uintmax_t)x->number);
        store_batch_put(b, key, &x->number, sizeof(x->number));
        key[0] = 'b';
        store_batch_put(b, key, &x->number, sizeof(x->number));
        store_write(w->store, b, on_written, x);
}

static void child(const char *url, int fd)
{
        struct writer w = {.pipe = fd};

        if (loop_new(&w.loop, NULL) < 0 || store_open(w.loop, url, &w.store, NULL) < 0)
                _exit(2);
        for (int i = 0; i < 8; i++) /* several at a time: groups form */
                write_more(&w);
        (void)loop_run(w.loop);
        _exit(3);
}

static int count_key(const char *key, const void *value, size_t len, void *userdata)
{
        uint64_t *counts = userdata;

        counts[key[0] == 'b']++;
        return 0;
}

static void kill_at_random(const char *url, unsigned *seed)
{
        CLEANUP(cleanup_loop_free) struct loop *l = NULL;
        uint64_t number, last = 0, counts[2] = {}, until = 1 + (unsigned)rand_r(seed) % 60;
        int fds[2], status;
        struct store *s;
        pid_t pid;

        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
                child(url, fds[1]);
        close_fd(fds[1]);
        for (uint64_t i = 0; i < until; i++) {
                assert_int_equal(read(fds[0], &number, sizeof(number)), sizeof(number));
                last = number;
        }
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
        while (read(fds[0], &number, sizeof(number)) == sizeof(number))
                last = number; /* acknowledged before it died */
        close_fd(fds[0]);
        assert_int_equal(loop_new(&l, NULL), 0);
        s = open_store(l, url);
        assert_int_equal(store_scan(s, "", count_key, counts, NULL), 0);
        assert_int_equal(counts[0], counts[1]);
        assert_true(counts[0] >= last + 1);
        store_close(s);
}

static void test_acknowledged_survives_kill(void **state)
{
        unsigned seed = 7;

        for (int i = 0; i < 15; i++) {
                _cleanup_free_ char *name = xasprintf("kill%d.db", i), *url = url_of(name);

                kill_at_random(url, &seed);
        }
}

static int set_up(void **state)
{
        return mkdtemp(directory) ? 0 : -1;
}

static int tear_down(void **state)
{
        return remove_tree_at(AT_FDCWD, directory);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_sqlite),
                cmocka_unit_test(test_memory),
                cmocka_unit_test(test_reading_off_the_loop),
                cmocka_unit_test(test_reads_are_cancelled_at_the_end),
                cmocka_unit_test(test_reads_and_writes_take_turns),
                cmocka_unit_test(test_strange_files_are_refused),
                cmocka_unit_test(test_acknowledged_survives_kill),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
