/* The queue: order, reservation for the first, what does not fit, suppression, reasons. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "master/jobs/plain_queue.h"

static void parse(const char *text, struct resources *ret)
{
        assert_int_equal(resources_parse(text, ret, NULL), 0);
}

static void add(struct plain_queue *q, uint64_t job, const char *size, uint32_t count)
{
        _cleanup_resources_ struct resources r = {};

        parse(size, &r);
        assert_int_equal(plain_queue_add_job(q, job, job, &r, count), 0);
}

static void agent(struct plain_queue *q, const char *id, const char *total)
{
        _cleanup_resources_ struct resources r = {};

        parse(total, &r);
        plain_queue_set_agent(q, id, id, &r);
}

static size_t offer(struct plain_queue *q, const char *id, const char *available,
        struct plain_queue_launch *ret, size_t max)
{
        _cleanup_resources_ struct resources r = {};

        parse(available, &r);
        return plain_queue_offer(q, id, &r, ret, max);
}

static void test_in_order_of_arrival(void **state)
{
        CLEANUP(cleanup_plain_queue_free) struct plain_queue *q = plain_queue_new(&plain_queue_policy_fifo);
        struct plain_queue_launch l[8];

        agent(q, "s1", "cpus:4;mem:1024");
        add(q, 2, "cpus:1;mem:10", 2);
        add(q, 1, "cpus:1;mem:10", 1);
        assert_int_equal(offer(q, "s1", "cpus:4;mem:1024", l, 2), 2);
        assert_int_equal(l[0].job, 1);
        assert_int_equal(l[1].job, 2);
        assert_int_equal(l[1].index, 0);
        assert_int_equal(offer(q, "s1", "cpus:4;mem:1024", l, 8), 1);
        assert_int_equal(l[0].index, 1);
        assert_true(plain_queue_empty(q));
        assert_int_equal(offer(q, "s1", "cpus:4;mem:1024", l, 8), 0);
}

static void test_first_reserves_one_machine(void **state)
{
        CLEANUP(cleanup_plain_queue_free) struct plain_queue *q = plain_queue_new(&plain_queue_policy_fifo);
        struct plain_queue_launch l[8];

        agent(q, "s1", "cpus:4;mem:1024");
        agent(q, "s2", "cpus:4;mem:1024");
        agent(q, "small", "cpus:2;mem:1024");
        add(q, 1, "cpus:4;mem:10", 1);
        add(q, 2, "cpus:1;mem:10", 10);
        assert_int_equal(offer(q, "s1", "cpus:2;mem:1024", l, 8), 0); /* kept for job 1 */
        assert_int_equal(offer(q, "s2", "cpus:2;mem:1024", l, 8), 2); /* not this one */
        assert_int_equal(l[0].job, 2);
        assert_int_equal(offer(q, "small", "cpus:2;mem:1024", l, 8), 2);
        assert_int_equal(offer(q, "s1", "cpus:3;mem:1024", l, 8), 0);
        assert_int_equal(offer(q, "s1", "cpus:4;mem:1024", l, 8), 1);
        assert_int_equal(l[0].job, 1);
        assert_int_equal(offer(q, "s1", "cpus:2;mem:1024", l, 8), 2); /* free for all again */
}

static void test_what_fits_nowhere_blocks_nobody(void **state)
{
        CLEANUP(cleanup_plain_queue_free) struct plain_queue *q = plain_queue_new(&plain_queue_policy_fifo);
        _cleanup_free_ char *first = NULL, *second = NULL, *third = NULL;
        struct plain_queue_launch l[8];

        add(q, 1, "cpus:8;mem:10", 1);
        first = plain_queue_pending_reason(q, 1);
        assert_string_equal(first, "no agent is registered");
        agent(q, "s1", "cpus:2;mem:1024");
        second = plain_queue_pending_reason(q, 1);
        assert_string_equal(second, "needs 8 cpus; the largest agent (s1) has 2");
        add(q, 2, "cpus:2;mem:10", 1);
        third = plain_queue_pending_reason(q, 2);
        assert_non_null(strstr(third, "waits behind job 1"));
        assert_int_equal(offer(q, "s1", "cpus:2;mem:1024", l, 8), 1);
        assert_int_equal(l[0].job, 2);
        assert_null(plain_queue_pending_reason(q, 2));
}

static void test_tasks_in_and_out(void **state)
{
        CLEANUP(cleanup_plain_queue_free) struct plain_queue *q = plain_queue_new(&plain_queue_policy_fifo);
        _cleanup_resources_ struct resources size = {};
        struct plain_queue_launch l[16];
        bool waits[10] = {};

        parse("cpus:1;mem:10", &size);
        agent(q, "s1", "cpus:100;mem:1024");
        add(q, 7, "cpus:1;mem:10", 10);
        assert_true(plain_queue_remove_task(q, 7, 0));
        assert_true(plain_queue_remove_task(q, 7, 9));
        assert_true(plain_queue_remove_task(q, 7, 5));
        assert_false(plain_queue_remove_task(q, 7, 5));
        assert_false(plain_queue_remove_task(q, 8, 5));
        plain_queue_add_task(q, 7, 7, &size, 5);
        plain_queue_add_task(q, 7, 7, &size, 5);
        plain_queue_add_task(q, 7, 7, &size, 9);
        assert_int_equal(plain_queue_job_waiting(q, 7), 9);
        assert_int_equal(plain_queue_tasks_waiting(q), 9);
        assert_int_equal(offer(q, "s1", "cpus:100;mem:1024", l, 16), 9);
        for (size_t i = 0; i < 9; i++) {
                assert_false(waits[l[i].index]);
                waits[l[i].index] = true;
        }
        assert_false(waits[0]);
        assert_true(plain_queue_empty(q));
        plain_queue_add_task(q, 7, 7, &size, 3); /* the job comes back with it */
        assert_int_equal(plain_queue_job_waiting(q, 7), 1);
        plain_queue_remove_job(q, 7);
        assert_true(plain_queue_empty(q));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_in_order_of_arrival),
                cmocka_unit_test(test_first_reserves_one_machine),
                cmocka_unit_test(test_what_fits_nowhere_blocks_nobody),
                cmocka_unit_test(test_tasks_in_and_out),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
