/*
 * One cell of the allocator's benchmark: so many agents, so many frameworks, the allocator alone. Prints a line per step, fields between
 * tabs: agents, frameworks, what it was, how often; then median, 99th percentile and the most in microseconds of one event and of the call
 * for offers that follows it, and the whole in milliseconds. All is time of the CPU, less what reading its clock takes. Then memory, as the
 * allocator counts it and as malloc does. tools/bench/allocator runs the grid.
 *
 * Each step that ends what agents or frameworks have refused takes others than the steps before it: all find everything in place.
 */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/time.h"
#include "master/allocator/allocator.h"

#define EVENTS_MAX 2000    /* of steps that do not take every agent */
#define DECLINES_MAX 20000 /* that are offered again */
#define SAMPLED 16         /* of the many that only prepare, every so many are timed */
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
        uint64_t began, clock_ns;     /* what reading it takes */
        struct allocator_offer *held;
        size_t held_count, held_capacity;
        struct resources total, task;
        struct memory {
                size_t own, malloced; /* by the allocator's count and by malloc's */
        } empty, with_frameworks, with_agents, booked;
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

/* By the nearest rank: the least that so many hundredths do not exceed. */
static double quantile_us(const struct series *s, size_t hundredths)
{
        return (double)s->ns[(s->count * hundredths + 99) / 100 - 1] / 1000;
}

/* Median, 99th percentile and the most in microseconds; the series is empty afterwards. */
static void series_print(struct series *s)
{
        if (s->count == 0) {
                printf("\t-\t-\t-");
                return;
        }
        qsort(s->ns, s->count, sizeof(*s->ns), compare_ns);
        printf("\t%.2f\t%.2f\t%.2f", quantile_us(s, 50), quantile_us(s, 99), quantile_us(s, 100));
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

static uint64_t take_away(uint64_t ns, uint64_t clock_ns)
{
        return ns > clock_ns ? ns - clock_ns : 0;
}

static uint64_t clock_cost_ns(void)
{
        uint64_t least = UINT64_MAX;

        for (int i = 0; i < 1000; i++) {
                uint64_t from = cpu_ns();

                least = MIN(least, cpu_ns() - from);
        }
        return least;
}

#define TIMED(b, series, call)                                                                               \
        do {                                                                                                 \
                uint64_t timed_from = cpu_ns();                                                              \
                                                                                                             \
                call;                                                                                        \
                series_add(&(b)->series, take_away(cpu_ns() - timed_from, (b)->clock_ns));                   \
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

static size_t bytes_of_offers(const struct bench *b)
{
        size_t bytes = malloc_usable_size(b->held);

        for (size_t i = 0; i < b->held_count; i++) {
                const struct allocator_offer *o = &b->held[i];

                bytes += malloc_usable_size(o->framework) + malloc_usable_size(o->role) +
                         malloc_usable_size(o->agent) + malloc_usable_size(o->resources.entries);
                for (size_t j = 0; j < o->resources.count; j++)
                        bytes += malloc_usable_size(o->resources.entries[j].ranges);
        }
        return bytes;
}

/* What the measurement itself holds is not the allocator's. */
static struct memory memory_now(const struct bench *b)
{
        return (struct memory){.own = allocator_memory(b->a),
                .malloced = mallinfo2().uordblks - malloc_usable_size(b->events.ns) -
                            malloc_usable_size(b->offers.ns) - bytes_of_offers(b)};
}

/* ---- the steps ---- */

static void add_frameworks(struct bench *b)
{
        b->empty = memory_now(b);
        step_begin(b);
        for (size_t i = 0; i < b->frameworks; i++) {
                char id[64], role[64];
                const char *roles[] = {role};

                framework_name(i, id, sizeof(id));
                role_name(i, role, sizeof(role));
                TIMED(b, events, must(allocator_add_framework(b->a, id, roles, 1)));
        }
        b->with_frameworks = memory_now(b);
        step_end(b, "add framework");
}

static void add_agents(struct bench *b)
{
        step_begin(b);
        for (size_t i = 0; i < b->agents; i++) {
                char id[64];

                agent_name(i, id, sizeof(id));
                TIMED(b, events, must(allocator_add_agent(b->a, id, &b->total, NULL, 0)));
        }
        b->with_agents = memory_now(b);
        step_end(b, "add agent");
}

static void first_pass(struct bench *b)
{
        step_begin(b);
        pass(b);
        b->booked = memory_now(b);
        step_end(b, "first full pass");
}

static void give_back(struct bench *b, uint64_t refuse_ns)
{
        struct allocator_offer *o = &b->held[--b->held_count];
        struct allocator_usage use = {o->framework, o->role, &o->resources};

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

/* What one refuses is offered to the next. */
static void decline(struct bench *b)
{
        for (size_t i = b->refusing; i < b->frameworks; i++) {
                char id[64];

                framework_name(i, id, sizeof(id));
                must(allocator_suppress(b->a, id, NULL));
        }
        step_begin(b);
        for (size_t n = 0; n < DECLINES_MAX && b->held_count > 0; n++) {
                give_back(b, LONG_NS);
                (void)next(b);
        }
        step_end(b, "decline with filter");
        while (b->held_count > 0)
                give_back(b, 0);
        b->events.count = 0;
}

/* Of those that refuse, each refuses every agent: it holds all of it for a moment. */
static void refuse_all(struct bench *b)
{
        struct series booked = {};

        step_begin(b);
        for (size_t n = 0; n < b->agents * b->refusing; n++) {
                char agent[64], id[64], role[64];
                struct allocator_usage use = {id, role, &b->total};
                uint64_t from = n % SAMPLED == 0 ? cpu_ns() : 0;

                agent_name(n / b->refusing, agent, sizeof(agent));
                framework_name(n % b->refusing, id, sizeof(id));
                role_name(n % b->refusing, role, sizeof(role));
                must(allocator_allocate(b->a, agent, &use));
                if (from > 0)
                        series_add(&booked, take_away(cpu_ns() - from, b->clock_ns));
                must(allocator_recover(b->a, agent, &use, (struct mono_time){0}, LONG_NS));
        }
        free(b->events.ns);
        b->events = booked;
        step_end(b, "book");
        pass(b);
        b->offers.count = 0;
}

/* Those that are not to be removed later. */
static void refuser_name(const struct bench *b, size_t i, char *ret, size_t size)
{
        framework_name(b->refusing / 2 + i % (b->refusing - b->refusing / 2), ret, size);
}

static void suppress_and_revive(struct bench *b)
{
        size_t revived = b->refusing - b->refusing / 2;
        char id[64];

        step_begin(b);
        for (size_t i = 0; i < EVENTS_MAX; i++) {
                refuser_name(b, i * 7, id, sizeof(id));
                TIMED(b, events, must(allocator_suppress(b->a, id, NULL)));
                (void)next(b);
        }
        step_end(b, "suppress");
        step_begin(b);
        for (size_t i = 1; i < revived; i++) {
                refuser_name(b, i, id, sizeof(id));
                TIMED(b, events, must(allocator_revive(b->a, id, NULL))); /* forgets a filter of each agent */
                must(allocator_suppress(b->a, id, NULL));
                pass(b);
        }
        refuser_name(b, 0, id, sizeof(id));
        TIMED(b, events, must(allocator_revive(b->a, id, NULL)));
        b->offers.count = 0;
        step_end(b, "revive");
        step_begin(b);
        pass(b);
        step_end(b, "pass of who revived");
        while (b->held_count > 0)
                give_back(b, LONG_NS);
        pass(b);
        b->events.count = b->offers.count = 0;
}

/* A quarter of the agents for each step that changes what they are. */
static size_t quarter(const struct bench *b)
{
        return MIN(MAX(b->agents / 4, (size_t)1), (size_t)EVENTS_MAX);
}

static void update_agents(struct bench *b)
{
        char id[64];

        step_begin(b);
        for (size_t i = 0; i < quarter(b) * 2; i++) {
                agent_name(i / 2, id, sizeof(id));
                TIMED(b, events, must(allocator_set_agent_active(b->a, id, i % 2)));
                (void)next(b);
        }
        step_end(b, "activate agent, or not");
        step_begin(b);
        for (size_t i = 0; i < quarter(b); i++) {
                agent_name(i, id, sizeof(id));
                TIMED(b, events, must(allocator_set_agent_total(b->a, id, &b->total)));
                (void)next(b);
        }
        step_end(b, "update agent");
        pass(b);
        while (b->held_count > 0)
                give_back(b, LONG_NS);
        b->events.count = b->offers.count = 0;
}

static void change_roles(struct bench *b)
{
        char role[64];

        step_begin(b);
        for (size_t i = 0; i < EVENTS_MAX; i++) {
                struct allocator_quota q = {.name = "cpus",
                        .guarantee_milli = b->agents * 100 * (i % 3),
                        .limit_milli = b->agents * 1000};

                role_name(i, role, sizeof(role));
                TIMED(b, events, must(allocator_set_quota(b->a, role, &q, 1)));
                (void)next(b);
        }
        step_end(b, "set quota");
        step_begin(b);
        for (size_t i = 0; i < EVENTS_MAX; i++) {
                role_name(i, role, sizeof(role));
                TIMED(b, events, must(allocator_set_role_weight(b->a, role, 1000 + i)));
                (void)next(b);
        }
        step_end(b, "set weight");
        pass(b);
        b->offers.count = 0;
}

/* What is free there. */
static void reserve(struct bench *b)
{
        _cleanup_resources_ struct resources reserved = {};
        char role[64];
        struct resource_reservation of = {.role = role, .dynamic = true};

        role_name(1, role, sizeof(role));
        resources_push_reservation(&b->task, &of, &reserved);
        while (b->held_count > 0)
                give_back(b, LONG_NS);
        b->events.count = 0;
        step_begin(b);
        for (size_t i = 0; i < quarter(b); i++) {
                char id[64];

                agent_name(b->agents / 4 + i, id, sizeof(id));
                TIMED(b, events, must(allocator_update_available(b->a, id, &b->task, &reserved)));
                (void)next(b);
        }
        step_end(b, "reserve");
        pass(b);
        b->offers.count = 0;
}

static void remove_some(struct bench *b)
{
        char id[64];

        step_begin(b);
        for (size_t i = 0; i < quarter(b); i++) {
                agent_name(b->agents - 1 - i, id, sizeof(id));
                TIMED(b, events, must(allocator_remove_agent(b->a, id)));
                (void)next(b);
        }
        step_end(b, "remove agent");
        step_begin(b);
        for (size_t i = 0; i < MAX(b->refusing / 2, (size_t)1); i++) {
                framework_name(i, id, sizeof(id));
                TIMED(b, events, must(allocator_remove_framework(b->a, id)));
                pass(b);
        }
        step_end(b, "remove framework");
}

static void print_bytes(const struct bench *b, const char *what, size_t count, const struct memory *before,
        const struct memory *after)
{
        printf("%zu\t%zu\tbytes per %s\t%zu\t%.0f\t%.0f\n", b->agents, b->frameworks, what, count,
                ((double)after->own - (double)before->own) / (double)count,
                ((double)after->malloced - (double)before->malloced) / (double)count);
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
        (void)mallopt(M_MXFAST, 0); /* as the master does: see its main() */
        b.clock_ns = clock_cost_ns();
        must(resources_parse("cpus:16;mem:65536;disk:1048576;ports:[31000-32000]", &b.total, NULL));
        must(resources_parse("cpus:2;mem:4096", &b.task, NULL));
        add_frameworks(&b);
        add_agents(&b);
        first_pass(&b);
        tasks_end(&b);
        decline(&b);
        refuse_all(&b);
        suppress_and_revive(&b);
        update_agents(&b);
        change_roles(&b);
        reserve(&b);
        remove_some(&b);
        print_bytes(&b, "framework", b.frameworks, &b.empty, &b.with_frameworks);
        print_bytes(&b, "agent", b.agents, &b.with_frameworks, &b.with_agents);
        print_bytes(&b, "booking", b.agents, &b.with_agents, &b.booked);
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
