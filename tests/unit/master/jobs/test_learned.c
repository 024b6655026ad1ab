/* What was learned of run times and of users' usage is there again after a restart. */

#include "tests/unit/master/harness.h"

#include <math.h>

#include "master/core.h"
#include "master/jobs/learned.h"

static char directory[] = "/tmp/mete-test-learned-XXXXXX";
static struct master_options options;

static struct master *start(struct loop **l)
{
        _cleanup_error_ struct error e = {};
        struct master *m = NULL;

        assert_int_equal(loop_new(l, NULL), 0);
        if (master_new(*l, &options, &m, &e) < 0)
                fail_msg("%s", error_message(&e));
        return m;
}

static void stop(struct master *m, struct loop *l)
{
        master_free(m);
        loop_free(l);
}

struct usage {
        double alice;
};

static void see_user(const char *user, double core_seconds, size_t running, size_t waiting, void *userdata)
{
        if (str_equal(user, "al/ice"))
                ((struct usage *)userdata)->alice = core_seconds;
}

static double usage_of(struct master *m)
{
        struct usage usage = {-1};

        queue_each_user(job_queue_find(m->jobs->queues, "default")->queue, wall_now(), see_user, &usage);
        return usage.alice;
}

/* A job that the master knows nothing else of: only its names count here. */
static void ended(struct master *m, const char *user, char *name)
{
        Mete__Api__JobSpec spec = METE__API__JOB_SPEC__INIT;
        struct job j = {.master = m, .spec = &spec, .user = (char *)user};

        spec.name = name;
        learned_task_ended(m->learned, &j);
}

static void test_it_outlives_the_master(void **state)
{
        static char name[] = "train";
        struct estimate x;
        struct loop *l;
        struct master *m = start(&l);
        void *value = NULL;
        size_t len;

        assert_false(estimates_get(m->jobs->queues->estimates, "al/ice", name, wall_now(), &x));
        estimates_add(
                m->jobs->queues->estimates, "al/ice", name, 90 * NSEC_PER_SEC, 30 * NSEC_PER_SEC, wall_now());
        queue_restore_user(job_queue_find(m->jobs->queues, "default")->queue, "al/ice", 1000, wall_now());
        ended(m, "al/ice", name);
        ended(m, "al/ice", name);
        stop(m, l);

        m = start(&l);
        assert_int_equal(store_get(m->store, "estimate/al%2Fice/train", &value, &len, NULL), 0);
        free(value);
        assert_true(estimates_get(m->jobs->queues->estimates, "al/ice", name, wall_now(), &x));
        assert_true(x.expected_ns > 89 * NSEC_PER_SEC && x.expected_ns < 91 * NSEC_PER_SEC);
        assert_true(x.cpu_ns > 29 * NSEC_PER_SEC && x.cpu_ns < 31 * NSEC_PER_SEC);
        assert_true(usage_of(m) > 990 && usage_of(m) <= 1000);
        stop(m, l);
        m = start(&l); /* nothing has changed: it is still there */
        assert_true(estimates_get(m->jobs->queues->estimates, "al/ice", name, wall_now(), &x));
        assert_true(usage_of(m) > 990);
        stop(m, l);
}

static void test_what_cannot_be_read_is_left_out(void **state)
{
        Mete__Checkpoint__StoredEstimate estimate = METE__CHECKPOINT__STORED_ESTIMATE__INIT;
        Mete__Checkpoint__StoredUsage usage = METE__CHECKPOINT__STORED_USAGE__INIT;
        struct store_batch *b = store_batch_new();
        struct estimate x;
        struct loop *l;
        struct master *m = start(&l);
        size_t known = estimates_count(m->jobs->queues->estimates);

        estimate.user = usage.user = usage.queue = estimate.name = (char[]){"u"};
        estimate.histogram = (ProtobufCBinaryData){3, (uint8_t *)"\1\2\3"};
        usage.core_seconds = -HUGE_VAL;
        usage.at = NAN;
        master_put_message(b, "estimate/u/u", &estimate.base);
        master_put_message(b, "usage/u/u", &usage.base);
        usage.queue = (char[]){"default"};
        master_put_message(b, "usage/default/u", &usage.base);
        store_batch_put(b, "estimate/x/x", "\xff", 1);
        store_batch_put(b, "usage/x/x", "\xff", 1);
        store_write(m->store, b, NULL, NULL);
        stop(m, l);
        m = start(&l);
        assert_int_equal(estimates_count(m->jobs->queues->estimates), known);
        assert_false(estimates_get(m->jobs->queues->estimates, "u", "u", wall_now(), &x));
        stop(m, l);
}

static int set_up(void **state)
{
        log_set_level(LOG_LEVEL_ERROR);
        master_options_init(&options);
        free(options.work_dir);
        options.work_dir = directory;
        options.port = 0;
        options.insecure = true;
        return mkdtemp(directory) ? 0 : -1;
}

static int tear_down(void **state)
{
        return remove_tree_at(AT_FDCWD, directory);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_it_outlives_the_master),
                cmocka_unit_test(test_what_cannot_be_read_is_left_out),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
