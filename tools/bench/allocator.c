/*
 * One cell of the allocator's benchmark: so many agents, so many frameworks, the allocator alone. Prints a line per step: what it was, how
 * often, mean and 99th percentile in microseconds of one event and of the call for offers that follows it, and the whole in milliseconds,
 * all in time of the CPU; then memory. tools/bench/allocator runs the grid.
 */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/time.h"
#include "master/allocator/allocator.h"

#define EVENTS_MAX 2000 /* of steps that do not take every agent */
#define ROLES 20
#define LONG_NS (3600 * NSEC_PER_SEC)

struct series {
        uint64_t *ns;
        size_t count, capacity;
};

struct bench {
        struct allocator *a;
        size_t agents, frameworks;
        size_t refusing; /* of the frameworks: the others are suppressed before anything is refused */
        struct series events, offers; /* of the step under way */
        uint64_t began;
        struct allocator_offer *held;
        size_t held_count, held_capacity;
        struct resources total, task;
        size_t bytes_empty, bytes_agents, bytes_booked; /* by malloc's count */
        size_t own_empty, own_agents, own_booked;       /* by the allocator's */
};

/* Of this thread: what else runs on the machine does not count. */
static uint64_t cpu_ns(void)
{
        struct timespec t;

        (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
        return (uint64_t)t.tv_sec * NSEC_PER_SEC + (uint64_t)t.tv_nsec;
}

static void series_add(struct series *s, uint64_t ns)
{
        if (s->count == s->capacity) {
                s->capacity = MAX(s->capacity * 2, (size_t)1024);
                s->ns = xrealloc(s->ns, s->capacity * sizeof(*s->ns));
        }
        s->ns[s->count++] = ns;
}

static int compare_ns(const void *a, const void *b)
{
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

        return (x > y) - (x < y);
}

/* Mean and 99th percentile in microseconds; the series is empty afterwards. */
static void series_print(struct series *s)
{
        uint64_t sum = 0;

        if (s->count == 0) {
                printf("\t-\t-");
                return;
        }
        qsort(s->ns, s->count, sizeof(*s->ns), compare_ns);
        for (size_t i = 0; i < s->count; i++)
                sum += s->ns[i];
        printf("\t%.2f\t%.2f", (double)sum / (double)s->count / 1000,
                (double)s->ns[s->count * 99 / 100] / 1000);
        s->count = 0;
}

static void step_begin(struct bench *b)
{
        b->began = cpu_ns();
}

static void step_end(struct bench *b, const char *what)
{
        uint64_t whole = cpu_ns() - b->began;

        printf("%zu\t%zu\t%s\t%zu", b->agents, b->frameworks, what,
                b->events.count > 0 ? b->events.count : b->offers.count);
        series_print(&b->events);
        series_print(&b->offers);
        printf("\t%.2f\n", (double)whole / 1e6);
}

#define TIMED(b, series, call)                                                                               \
        do {                                                                                                 \
                uint64_t timed_from = cpu_ns();                                                              \
                                                                                                             \
                call;                                                                                        \
                series_add(&(b)->series, cpu_ns() - timed_from);                                             \
        } while (0)

static void must(int r)
{
        if (r >= 0)
                return;
        fprintf(stderr, "the allocator refused a step: %s\n", strerror(-r));
        exit(1);
}

static void agent_name(size_t i, char *ret, size_t size)
{
        (void)snprintf(ret, size, "2f1d61aa-6b0c-4c5e-9a3e-1f3a1f3a1f3a-S%zu", i);
}

static void framework_name(size_t i, char *ret, size_t size)
{
        (void)snprintf(ret, size, "2f1d61aa-6b0c-4c5e-9a3e-1f3a1f3a1f3a-%04zu", i);
}

/* Five departments with four teams each. */
static void role_name(size_t i, char *ret, size_t size)
{
        (void)snprintf(ret, size, "department%zu/team%zu", i % ROLES % 5, i % ROLES);
}

/* One call for offers; what it gives is kept. */
static enum allocator_next next(struct bench *b)
{
        struct allocator_offer o = {};
        enum allocator_next n;

        TIMED(b, offers, n = allocator_next_offer(b->a, (struct mono_time){1}, &o));
        if (n != ALLOCATOR_OFFER)
                return n;
        if (b->held_count == b->held_capacity) {
                b->held_capacity = MAX(b->held_capacity * 2, (size_t)1024);
                b->held = xrealloc(b->held, b->held_capacity * sizeof(*b->held));
        }
        b->held[b->held_count++] = o;
        return n;
}

static void pass(struct bench *b)
{
        while (next(b) != ALLOCATOR_NONE)
                continue;
}

static void add_frameworks(struct bench *b)
{
        step_begin(b);
        for (size_t i = 0; i < b->frameworks; i++) {
                char id[64], role[64];
                const char *roles[] = {role};

                framework_name(i, id, sizeof(id));
                role_name(i, role, sizeof(role));
                TIMED(b, events, must(allocator_add_framework(b->a, id, roles, 1)));
        }
        step_end(b, "add framework");
}

static void add_agents(struct bench *b)
{
        b->own_empty = allocator_memory(b->a);
        b->bytes_empty = mallinfo2().uordblks;
        step_begin(b);
        for (size_t i = 0; i < b->agents; i++) {
                char id[64];

                agent_name(i, id, sizeof(id));
                TIMED(b, events, must(allocator_add_agent(b->a, id, &b->total, NULL, 0)));
        }
        /* what the measurement itself holds is not the allocator's */
        b->bytes_agents = mallinfo2().uordblks - malloc_usable_size(b->events.ns);
        b->own_agents = allocator_memory(b->a);
        step_end(b, "add agent");
}

static size_t bytes_of_offers(const struct bench *b)
{
        size_t bytes = malloc_usable_size(b->held) + malloc_usable_size(b->offers.ns);

        for (size_t i = 0; i < b->held_count; i++) {
                const struct allocator_offer *o = &b->held[i];

                bytes += malloc_usable_size(o->framework) + malloc_usable_size(o->role) +
                         malloc_usable_size(o->agent) + malloc_usable_size(o->resources.entries);
                for (size_t j = 0; j < o->resources.count; j++)
                        bytes += malloc_usable_size(o->resources.entries[j].ranges);
        }
        return bytes;
}

static void first_pass(struct bench *b)
{
        step_begin(b);
        pass(b);
        b->bytes_booked = mallinfo2().uordblks - bytes_of_offers(b) - malloc_usable_size(b->events.ns);
        b->own_booked = allocator_memory(b->a);
        step_end(b, "first full pass");
}

static void give_back(struct bench *b, const struct resources *what, uint64_t refuse_ns)
{
        struct allocator_offer *o = &b->held[--b->held_count];
        struct allocator_usage use = {o->framework, o->role, what ? what : &o->resources};

        TIMED(b, events, must(allocator_recover(b->a, o->agent, &use, (struct mono_time){0}, refuse_ns)));
        allocator_offer_done(o);
}

/* Of every offer one task ends: what it held is offered to somebody. */
static void tasks_end(struct bench *b)
{
        size_t count = MIN(b->held_count, (size_t)EVENTS_MAX);

        step_begin(b);
        for (size_t i = 0; i < count; i++) {
                struct allocator_offer *o = &b->held[b->held_count - 1 - i % (b->agents - (b->agents > 1))];
                struct allocator_usage use = {o->framework, o->role, &b->task};

                if (resources_subtract(&o->resources, &b->task) < 0)
                        continue;
                TIMED(b, events, must(allocator_recover(b->a, o->agent, &use, (struct mono_time){0}, 0)));
                (void)next(b);
        }
        step_end(b, "task ends");
}

/* Those that refuse, refuse everything. */
static void refuse_all(struct bench *b)
{
        for (size_t i = b->refusing; i < b->frameworks; i++) {
                char id[64];

                framework_name(i, id, sizeof(id));
                must(allocator_suppress(b->a, id, NULL));
        }
        step_begin(b);
        while (b->held_count > 0) {
                give_back(b, NULL, LONG_NS);
                (void)next(b);
        }
        pass(b);
        while (b->held_count > 0) {
                give_back(b, NULL, LONG_NS);
                (void)next(b);
        }
        step_end(b, "decline with filter");
}

static void suppress_and_revive(struct bench *b)
{
        char id[64];

        framework_name(0, id, sizeof(id));
        step_begin(b);
        for (size_t i = 0; i < EVENTS_MAX; i++) {
                framework_name(i * 7 % b->refusing, id, sizeof(id));
                TIMED(b, events, must(allocator_suppress(b->a, id, NULL)));
                (void)next(b);
        }
        step_end(b, "suppress");
        framework_name(0, id, sizeof(id));
        step_begin(b);
        TIMED(b, events, must(allocator_revive(b->a, id, NULL))); /* forgets a filter of each agent */
        pass(b);
        step_end(b, "revive one, its pass");
        step_begin(b);
        while (b->held_count > 0)
                give_back(b, NULL, LONG_NS);
        pass(b);
        step_end(b, "it declines all");
}

static void update_agents(struct bench *b)
{
        step_begin(b);
        for (size_t i = 0; i < MIN(b->agents, (size_t)EVENTS_MAX); i++) {
                char id[64];

                agent_name(i * 7919 % b->agents, id, sizeof(id));
                TIMED(b, events, must(allocator_set_agent_total(b->a, id, &b->total)));
                (void)next(b);
        }
        step_end(b, "update agent");
}

static void set_quotas(struct bench *b)
{
        step_begin(b);
        for (size_t i = 0; i < EVENTS_MAX; i++) {
                struct allocator_quota q = {.name = "cpus",
                        .guarantee_milli = b->agents * 100 * (i % 3),
                        .limit_milli = b->agents * 1000};
                char role[64];

                role_name(i, role, sizeof(role));
                TIMED(b, events, must(allocator_set_quota(b->a, role, &q, 1)));
                (void)next(b);
        }
        step_end(b, "set quota");
        pass(b);
        b->offers.count = 0;
}

/* Of agents that are free again. */
static void reserve(struct bench *b)
{
        _cleanup_resources_ struct resources reserved = {};
        char role[64];
        struct resource_reservation of = {.role = role, .dynamic = true};

        role_name(1, role, sizeof(role));
        resources_push_reservation(&b->task, &of, &reserved);
        while (b->held_count > 0)
                give_back(b, NULL, LONG_NS);
        b->events.count = 0;
        step_begin(b);
        for (size_t i = 0; i < MIN(b->agents, (size_t)EVENTS_MAX); i++) {
                char id[64];

                agent_name(i, id, sizeof(id));
                TIMED(b, events, must(allocator_update_available(b->a, id, &b->task, &reserved)));
                (void)next(b);
        }
        step_end(b, "reserve");
}

static void remove_all(struct bench *b)
{
        size_t frameworks = MIN(b->frameworks / 2, (size_t)EVENTS_MAX);

        step_begin(b);
        for (size_t i = 0; i < b->agents / 2; i++) {
                char id[64];

                agent_name(i, id, sizeof(id));
                TIMED(b, events, must(allocator_remove_agent(b->a, id)));
        }
        step_end(b, "remove agent");
        step_begin(b);
        for (size_t i = 0; i < frameworks; i++) {
                char id[64];

                framework_name(i, id, sizeof(id));
                TIMED(b, events, must(allocator_remove_framework(b->a, id)));
        }
        step_end(b, "remove framework");
}

static void print_memory(const struct bench *b)
{
        double agents = (double)b->agents;

        printf("%zu\t%zu\tbytes per agent\t%zu\t%.0f\t%.0f\n", b->agents, b->frameworks, b->agents,
                (double)(b->own_agents - b->own_empty) / agents,
                (double)(b->bytes_agents - b->bytes_empty) / agents);
        printf("%zu\t%zu\tbytes per booking\t%zu\t%.0f\t%.0f\n", b->agents, b->frameworks, b->agents,
                ((double)b->own_booked - (double)b->own_agents) / agents,
                ((double)b->bytes_booked - (double)b->bytes_agents) / agents);
}

int main(int argc, char **argv)
{
        uint32_t agents, frameworks, refusing;
        struct bench b = {.a = allocator_new(NULL)};

        if (argc != 4 || parse_u32(argv[1], 1000000, &agents) < 0 ||
                parse_u32(argv[2], 100000, &frameworks) < 0 || parse_u32(argv[3], 100000, &refusing) < 0 ||
                agents < 2 || refusing < 1 || refusing > frameworks) {
                fprintf(stderr, "usage: bench_allocator AGENTS FRAMEWORKS REFUSING: 2 to 1000000 agents, 1 "
                                "to 100000 frameworks, "
                                "1 to all of them that refuse\n");
                return 1;
        }
        b.refusing = refusing;
        b.agents = agents;
        b.frameworks = frameworks;
        must(resources_parse("cpus:16;mem:65536;disk:1048576;ports:[31000-32000]", &b.total, NULL));
        must(resources_parse("cpus:2;mem:4096", &b.task, NULL));
        add_frameworks(&b);
        add_agents(&b);
        first_pass(&b);
        tasks_end(&b);
        refuse_all(&b);
        suppress_and_revive(&b);
        update_agents(&b);
        set_quotas(&b);
        reserve(&b);
        remove_all(&b);
        print_memory(&b);
        while (b.held_count > 0)
                allocator_offer_done(&b.held[--b.held_count]);
        free(b.held);
        free(b.events.ns);
        free(b.offers.ns);
        resources_done(&b.total);
        resources_done(&b.task);
        allocator_free(b.a);
        return 0;
}
