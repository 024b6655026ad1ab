/*
 * What one queue waits for keeps nothing from another one for long. Two queues of different roles share machines; an allocator that always
 * asks the first one first, and that remembers what was refused, stands between them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "master/queue/queue.h"

#define SECOND NSEC_PER_SEC
#define STEP (SECOND / 2)
#define HOSTS_MAX 4
#define OFFERS_MAX 64
#define TASKS_MAX 256
#define BOUND (16 * SECOND) /* the time to hold, and the steps of this clock */

enum { FIRST, SECOND_ONE, SIDES };

struct cluster {
        struct machines *machines;
        struct estimates *estimates;
        uint64_t now_ns, next_offer, next_job, last_offer;
        uint32_t last_host;
        struct {
                char id[16];
                uint64_t total, used; /* thousandths of a cpu */
        } hosts[HOSTS_MAX];
        uint32_t host_count;
        struct {
                struct queue *queue;
                struct {
                        uint64_t until_ns, milli; /* refused: as much of it, and less */
                } refused[HOSTS_MAX];
        } sides[SIDES];
        struct {
                uint64_t number, milli; /* 0: none */
                uint32_t host, side;
        } offers[OFFERS_MAX];
        struct {
                uint64_t job, milli, end_ns, started_ns;
                uint32_t index, host, side;
        } tasks[TASKS_MAX]; /* that were started */
        size_t task_count;
        uint64_t length_ns[TASKS_MAX]; /* by job */
};

static struct resources cpus(uint64_t milli)
{
        struct resources r = {};

        resources_set_scalar(&r, "cpus", milli);
        return r;
}

static void begin(struct cluster *c, uint32_t hosts)
{
        struct queue_config config;

        *c = (struct cluster){.now_ns = UINT64_C(1700000000) * SECOND, .host_count = hosts};
        queue_config_default(&config);
        c->machines = machines_new();
        c->estimates = estimates_new();
        for (uint32_t i = 0; i < hosts; i++) {
                struct machine m = {.id = c->hosts[i].id, .hostname = c->hosts[i].id, .total = cpus(4000)};

                (void)snprintf(c->hosts[i].id, sizeof(c->hosts[i].id), "h%u", i);
                c->hosts[i].total = 4000;
                machines_set(c->machines, &m);
                resources_done(&m.total);
        }
        for (int i = 0; i < SIDES; i++)
                c->sides[i].queue = queue_new(&config, c->machines, c->estimates);
}

static void end(struct cluster *c)
{
        for (int i = 0; i < SIDES; i++)
                queue_free(c->sides[i].queue);
        machines_free(c->machines);
        estimates_free(c->estimates);
}

/* duration: declared too, unless 0. */
static uint64_t submit(
        struct cluster *c, int side, uint64_t milli, uint32_t count, uint64_t declared_ns, uint64_t length_ns)
{
        struct queue_job job = {.number = ++c->next_job,
                .name = "work",
                .user = "alice",
                .submitted = {c->now_ns},
                .size = cpus(milli),
                .count = count,
                .gang = count > 1,
                .duration_ns = declared_ns};

        c->length_ns[job.number] = length_ns;
        assert_int_equal(queue_add_job(c->sides[side].queue, &job), 0);
        queue_tasks_wait(c->sides[side].queue, job.number, 0, count, (struct wall_time){});
        memset(c->sides[side].refused, 0, sizeof(c->sides[side].refused)); /* as a master revives its role */
        resources_done(&job.size);
        return job.number;
}

/* ---- the allocator ---- */

static void offer(struct cluster *c, uint32_t host, uint64_t milli)
{
        for (uint32_t side = 0; side < SIDES; side++) {
                _cleanup_resources_ struct resources what = cpus(milli);
                size_t i = 0;

                if (!queue_wants_offers(c->sides[side].queue) ||
                        (c->sides[side].refused[host].until_ns > c->now_ns &&
                                milli <= c->sides[side].refused[host].milli))
                        continue;
                while (c->offers[i].number)
                        i++;
                assert_true(i < OFFERS_MAX);
                c->offers[i].number = ++c->next_offer;
                c->offers[i].milli = milli;
                c->offers[i].host = host;
                c->offers[i].side = side;
                queue_add_offer(c->sides[side].queue, c->next_offer, c->hosts[host].id, &what);
                return;
        }
}

static void offer_all(struct cluster *c)
{
        for (uint32_t host = 0; host < c->host_count; host++) {
                uint64_t milli = c->hosts[host].total - c->hosts[host].used;

                for (size_t i = 0; i < OFFERS_MAX; i++)
                        if (c->offers[i].number && c->offers[i].host == host)
                                milli -= c->offers[i].milli;
                if (milli > 0)
                        offer(c, host, milli);
        }
}

/* Its host; what it held is free again. Several launches in a row may name the same one. */
static uint32_t take_offer(struct cluster *c, uint64_t number, uint64_t *ret_milli)
{
        if (number == c->last_offer) {
                *ret_milli = 0;
                return c->last_host;
        }
        for (size_t i = 0; i < OFFERS_MAX; i++)
                if (c->offers[i].number == number) {
                        c->offers[i].number = 0;
                        *ret_milli = c->offers[i].milli;
                        c->last_offer = number;
                        c->last_host = c->offers[i].host;
                        return c->last_host;
                }
        *ret_milli = 0;
        return c->last_host; /* merged, and named before */
}

static void carry_out(struct cluster *c, uint32_t side, const struct queue_decision *d)
{
        uint64_t milli;
        uint32_t host = take_offer(c, d->offer, &milli);

        if (d->kind == QUEUE_DECLINE) {
                c->sides[side].refused[host].until_ns = c->now_ns + d->refuse_ns;
                c->sides[side].refused[host].milli = milli;
                return;
        }
        assert_int_equal(d->kind, QUEUE_LAUNCH);
        for (uint32_t i = 0; i < d->merged_count; i++)
                host = take_offer(c, d->merged[i], &milli);
        milli = resources_scalar(&d->resources, "cpus");
        c->hosts[host].used += milli;
        assert_true(c->hosts[host].used <= c->hosts[host].total);
        c->tasks[c->task_count].job = d->job;
        c->tasks[c->task_count].index = d->index;
        c->tasks[c->task_count].milli = milli;
        c->tasks[c->task_count].host = host;
        c->tasks[c->task_count].side = side;
        c->tasks[c->task_count].started_ns = c->now_ns;
        c->tasks[c->task_count].end_ns = c->now_ns + c->length_ns[d->job];
        assert_true(++c->task_count < TASKS_MAX);
}

/* ---- time ---- */

static void end_tasks(struct cluster *c)
{
        for (size_t i = 0; i < c->task_count; i++)
                if (c->tasks[i].end_ns <= c->now_ns && c->tasks[i].milli > 0) {
                        c->hosts[c->tasks[i].host].used -= c->tasks[i].milli;
                        c->tasks[i].milli = 0;
                        queue_task_ended(c->sides[c->tasks[i].side].queue, c->tasks[i].job, c->tasks[i].index,
                                true, 0, (struct wall_time){c->now_ns});
                }
}

static void pass(struct cluster *c)
{
        for (uint32_t side = 0; side < SIDES; side++) {
                struct queue_decisions d;
                struct error e = {};

                offer_all(c);
                queue_schedule(c->sides[side].queue, (struct wall_time){c->now_ns}, &d);
                if (queue_check(c->sides[side].queue, &e) < 0)
                        fail_msg("%s", error_message(&e));
                for (size_t i = 0; i < d.count; i++)
                        carry_out(c, side, &d.items[i]);
                queue_decisions_done(&d);
        }
}

static void run_for(struct cluster *c, uint64_t ns)
{
        for (uint64_t until = c->now_ns + ns; c->now_ns < until; c->now_ns += STEP) {
                end_tasks(c);
                pass(c);
                pass(c);
        }
}

/* 0: it did not start. */
static uint64_t started(const struct cluster *c, uint64_t job)
{
        for (size_t i = 0; i < c->task_count; i++)
                if (c->tasks[i].job == job)
                        return c->tasks[i].started_ns;
        return 0;
}

static bool has_room(const struct cluster *c, uint64_t milli)
{
        for (uint32_t i = 0; i < c->host_count; i++)
                if (c->hosts[i].total - c->hosts[i].used >= milli)
                        return true;
        return false;
}

/* ---- tests ---- */

/* By hand: 1 of 4 cpus is busy for long, the head of the first queue needs all 4, and the second queue's job one. */
static void test_a_small_job_of_another_queue_starts(void **state)
{
        struct cluster c;
        uint64_t head, small, at;
        struct wall_time wakeup;

        begin(&c, 1);
        assert_false(queue_next_wakeup(c.sides[FIRST].queue, &wakeup));
        (void)submit(&c, FIRST, 1000, 1, 0, 3600 * SECOND);
        run_for(&c, SECOND);
        head = submit(&c, FIRST, 4000, 1, 0, SECOND);
        run_for(&c, SECOND);
        assert_true(queue_next_wakeup(c.sides[FIRST].queue, &wakeup)); /* nothing else need happen */
        assert_true(wakeup.ns > c.now_ns && wakeup.ns <= c.now_ns + BOUND);
        at = c.now_ns;
        small = submit(&c, SECOND_ONE, 1000, 1, 0, 5 * SECOND);
        run_for(&c, 10 * SECOND);
        assert_int_equal(started(&c, small), 0); /* what is free is kept for the head, for a while */
        run_for(&c, BOUND - 10 * SECOND);
        assert_true(started(&c, small) > at && started(&c, small) <= at + BOUND);
        run_for(&c, 3600 * SECOND);
        assert_true(started(&c, head) > 0);
        end(&c);
}

/* Whatever waits in the first queue, tasks or gangs, with durations known or not: who fits is started within the bound. */
static void test_the_bound_holds(void **state)
{
        size_t tried = 0, waited = 0;

        srandom(7);
        for (int round = 0; round < 300; round++) {
                uint32_t hosts = 1 + (uint32_t)random() % HOSTS_MAX;
                struct cluster c;

                begin(&c, hosts);
                for (uint32_t i = 0; i < hosts; i++)
                        (void)submit(&c, FIRST, 1000 + 1000 * ((uint64_t)random() % 3), 1,
                                random() % 2 ? 500 * SECOND : 0, 500 * SECOND);
                run_for(&c, SECOND);
                for (int i = (int)(random() % 3); i >= 0; i--)
                        (void)submit(&c, FIRST, 1000 + 1000 * ((uint64_t)random() % 4),
                                random() % 2 ? hosts : 1, random() % 2 ? 300 * SECOND : 0, 300 * SECOND);
                run_for(&c, (uint64_t)(random() % 60) * STEP);
                for (int i = 0; i < 4; i++) {
                        uint64_t at = c.now_ns, small;

                        if (!has_room(&c, 1000))
                                break;
                        small = submit(&c, SECOND_ONE, 1000, 1, 0, (1 + (uint64_t)(random() % 9)) * SECOND);
                        run_for(&c, BOUND);
                        if (started(&c, small) == 0 && has_room(&c, 1000))
                                fail_msg("round %d: it has not started within %g s", round,
                                        (double)BOUND / SECOND);
                        tried++;
                        waited += started(&c, small) > at + SECOND;
                        run_for(&c, (uint64_t)(random() % 60) * STEP);
                }
                end(&c);
        }
        assert_true(tried > 300 && waited > 30); /* it was about something */
}

/* The parts of a gang become free at different times, each with a filter of its own: they are held together, and it starts in time. */
static void test_a_gang_starts_although_nothing_is_held_for_ever(void **state)
{
        srandom(8);
        for (int round = 0; round < 50; round++) {
                struct cluster c;
                uint64_t gang, last = 0, begun;

                begin(&c, HOSTS_MAX);
                begun = c.now_ns;
                for (uint32_t i = 0; i < HOSTS_MAX; i++) {
                        uint64_t length = (uint64_t)(random() % 200) * STEP + SECOND;

                        last = MAX(last, length);
                        (void)submit(&c, FIRST, 3000, 1, random() % 2 ? length : 0, length);
                }
                gang = submit(&c, FIRST, 4000, HOSTS_MAX, 0, SECOND);
                run_for(&c, 130 * SECOND);
                assert_true(started(&c, gang) >= begun + last);
                if (started(&c, gang) > begun + last + 6 * SECOND)
                        fail_msg("round %d: all was free at %g s, and it started at %g s", round,
                                (double)last / SECOND, (double)(started(&c, gang) - begun) / SECOND);
                end(&c);
        }
}

static struct queue_decisions decide(struct cluster *c)
{
        struct queue_decisions d;

        queue_schedule(c->sides[FIRST].queue, (struct wall_time){c->now_ns}, &d);
        return d;
}

static void offer_to_first(struct cluster *c, uint64_t number, uint64_t milli)
{
        _cleanup_resources_ struct resources what = cpus(milli);

        queue_add_offer(c->sides[FIRST].queue, number, c->hosts[0].id, &what);
}

/* It takes long to freeze: what is free beside it is kept until it is, or it would have been stopped for nothing. */
static void test_where_somebody_gives_way_the_rest_is_kept(void **state)
{
        struct queue_config config;
        struct queue_decisions d;
        struct cluster c;
        struct queue *q;

        begin(&c, 1);
        q = c.sides[FIRST].queue;
        queue_config_default(&config);
        config.policy = QUEUE_PRIORITY;
        config.preemption = QUEUE_PREEMPT_SUSPEND;
        config.grace_ns = 0;
        queue_configure(q, &config);
        for (uint64_t number = 1; number <= 2; number++) {
                struct queue_job job = {.number = number,
                        .name = "work",
                        .user = "alice",
                        .submitted = {c.now_ns},
                        .size = cpus(number == 1 ? 3000 : 4000),
                        .count = 1,
                        .priority = (uint32_t)number,
                        .duration_ns = 100 * SECOND,
                        .preemptible = true};

                assert_int_equal(queue_add_job(q, &job), 0);
                resources_done(&job.size);
        }
        queue_tasks_wait(q, 1, 0, 1, (struct wall_time){});
        offer_to_first(&c, 1, 4000);
        d = decide(&c);
        assert_int_equal(d.items[0].kind, QUEUE_LAUNCH);
        queue_decisions_done(&d);
        offer_to_first(&c, 2, 1000);
        queue_tasks_wait(q, 2, 0, 1, (struct wall_time){});
        c.now_ns += SECOND;
        d = decide(&c);
        assert_int_equal(d.items[0].kind, QUEUE_SUSPEND);
        queue_decisions_done(&d);
        for (int i = 0; i < 60; i++, c.now_ns += STEP) {
                d = decide(&c);
                assert_int_equal(d.count, 0);
                queue_decisions_done(&d);
        }
        queue_task_suspended(q, 1, 0, &(struct resources){}, (struct wall_time){c.now_ns});
        offer_to_first(&c, 3, 3000);
        d = decide(&c);
        assert_int_equal(d.items[0].kind, QUEUE_LAUNCH);
        assert_int_equal(d.items[0].job, 2);
        assert_int_equal(d.items[0].merged_count, 1);
        queue_decisions_done(&d);
        end(&c);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_small_job_of_another_queue_starts),
                cmocka_unit_test(test_the_bound_holds),
                cmocka_unit_test(test_where_somebody_gives_way_the_rest_is_kept),
                cmocka_unit_test(test_a_gang_starts_although_nothing_is_held_for_ever),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
