/*
 * `make bench-queue`: what the queue costs per submitted job and per pass, with 1,000 to 100,000 jobs waiting on 10,000 machines, for
 * each policy; growth from one size to the next, and bytes per job. Processor time of this process, so that others do not count.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "master/queue/queue.h"

#define MACHINES 10000
#define SECOND NSEC_PER_SEC
#define START (UINT64_C(1700000000) * SECOND)
#define PASSES 20

struct bench {
        struct machines *machines;
        struct estimates *estimates;
        struct queue *queue;
        uint64_t next_offer;
};

static uint64_t cpu_now(void)
{
        struct timespec t;

        (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
        return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static char *machine_name(size_t i)
{
        return xasprintf("machine-%05zu", i);
}

static void setup(struct bench *b, enum queue_policy policy)
{
        struct queue_config config;

        queue_config_default(&config);
        config.policy = policy;
        *b = (struct bench){.machines = machines_new(), .estimates = estimates_new()};
        b->queue = queue_new(&config, b->machines, b->estimates);
        for (size_t i = 0; i < MACHINES; i++) {
                _cleanup_free_ char *id = machine_name(i);
                struct machine m = {.id = id, .hostname = id};

                resources_set_scalar(&m.total, "cpus", 64000);
                resources_set_scalar(&m.total, "mem", 256000000);
                machines_set(b->machines, &m);
                resources_done(&m.total);
        }
}

static void teardown(struct bench *b)
{
        queue_free(b->queue);
        machines_free(b->machines);
        estimates_free(b->estimates);
}

/* Each with another size, so that nothing is known from the one before: 2 to 60 cpus. */
static double submit(struct bench *b, size_t count)
{
        uint64_t sum = 0;

        for (size_t i = 0; i < count; i++) {
                char name[32], user[32];
                struct queue_job job = {.number = i + 1, .name = name, .user = user, .count = 1};
                uint64_t begin;

                (void)snprintf(name, sizeof(name), "job-%zu", i % 1000);
                (void)snprintf(user, sizeof(user), "user-%zu", i % 100);
                job.submitted.ns = START + i;
                job.priority = (uint32_t)(random() % 1000);
                job.duration_ns = (uint64_t)(1 + random() % 100000) * SECOND;
                resources_set_scalar(&job.size, "cpus", (uint64_t)(2000 + random() % 58000));
                resources_set_scalar(&job.size, "mem", (uint64_t)(1 + random() % 100000) * 1000);
                begin = cpu_now();
                if (queue_add_job(b->queue, &job) < 0)
                        abort();
                queue_tasks_wait(b->queue, job.number, 0, 1, (struct wall_time){});
                sum += cpu_now() - begin;
                resources_done(&job.size);
        }
        return (double)sum / (double)count / 1000;
}

static void offer_all(struct bench *b, uint64_t milli_cpus)
{
        for (size_t i = 0; i < MACHINES; i++) {
                _cleanup_free_ char *id = machine_name(i);
                struct resources r = {};

                resources_set_scalar(&r, "cpus", milli_cpus);
                resources_set_scalar(&r, "mem", 256000000);
                queue_add_offer(b->queue, ++b->next_offer, id, &r);
                resources_done(&r);
        }
}

struct cost {
        double mean_ms, worst_ms;
        size_t launches;
};

/* milli_cpus of each machine are offered before each pass; 0: nothing is. */
static struct cost pass(struct bench *b, uint64_t milli_cpus)
{
        struct cost c = {};

        for (size_t i = 0; i < PASSES; i++) {
                struct queue_decisions d;
                uint64_t begin;
                double ms;

                if (milli_cpus > 0)
                        offer_all(b, milli_cpus);
                begin = cpu_now();
                queue_schedule(b->queue, (struct wall_time){START + 3600 * SECOND + i}, &d);
                ms = (double)(cpu_now() - begin) / 1e6;
                c.mean_ms += ms / PASSES;
                c.worst_ms = MAX(c.worst_ms, ms);
                for (size_t k = 0; k < d.count; k++)
                        c.launches += d.items[k].kind == QUEUE_LAUNCH;
                queue_decisions_done(&d);
                for (uint64_t o = b->next_offer > MACHINES ? b->next_offer - MACHINES + 1 : 1;
                        o <= b->next_offer; o++)
                        queue_remove_offer(b->queue, o);
        }
        return c;
}

static void run(enum queue_policy policy)
{
        static const size_t sizes[] = {1000, 10000, 100000};
        double before_submit = 0, before_pass = 0;

        for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
                struct bench b;
                struct cost idle, small, launching;
                double submitted;
                size_t empty;

                setup(&b, policy);
                empty = queue_memory(b.queue);
                submitted = submit(&b, sizes[i]);
                empty = queue_memory(b.queue) - empty;
                idle = pass(&b, 0);
                small = pass(&b, 1900);
                launching = pass(&b, 8000);
                printf("%-9s %7zu %10.2f %7.2f %8.2f %8.2f %12.2f %8.2f %8.2f %12.2f %8.2f %9zu %7zu\n",
                        queue_policy_to_string(policy), sizes[i], submitted,
                        before_submit > 0 ? submitted / before_submit : 1, idle.mean_ms, idle.worst_ms,
                        small.mean_ms, small.worst_ms, before_pass > 0 ? small.mean_ms / before_pass : 1,
                        launching.mean_ms, launching.worst_ms, launching.launches / PASSES, empty / sizes[i]);
                before_submit = submitted;
                before_pass = small.mean_ms;
                teardown(&b);
        }
}

int main(void)
{
        printf("%d machines; a pass: without offers, with an offer of each machine that is too small for "
               "all, with one that some fit\n"
               "%-9s %7s %10s %7s %8s %8s %12s %8s %8s %12s %8s %9s %7s\n",
                MACHINES, "policy", "jobs", "submit us", "growth", "pass ms", "worst", "10k offers", "worst",
                "growth", "launching", "worst", "launches", "bytes");
        for (enum queue_policy p = QUEUE_FIFO; p < QUEUE_POLICY_MAX; p++)
                run(p);
        return 0;
}
