#include "tools/sim/trace/simulation.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "master/allocator/allocator.h"

#define FRAMEWORK "queue"
#define ROLE "*"
#define EPOCH_NS (1000000 * NSEC_PER_SEC) /* virtual time begins here: 0 means "none" to the queue */
#define IDLE_PASSES_MAX 100000            /* decisions at one moment that lead nowhere: a mistake */

/* A task, which is all of its job or an equal part of it when no machine is as large. */
struct part {
        size_t job;
        uint32_t index;
        char agent[24]; /* "" while it waits */
        struct resources size, booked;
        uint64_t started_ns, ran_ns; /* of this attempt, before `started_ns` */
        uint32_t version;            /* of its end: an older one is void */
        bool suspended, over;
        uint32_t preemptions;
};

struct running_offer {
        uint64_t id;
        char agent[24];
        struct resources resources;
        bool used;
        UT_hash_handle hh;
};

struct event {
        uint64_t at_ns;
        uint64_t order;    /* of two at once the one made first */
        struct part *ends; /* NULL: arrival of the job */
        uint32_t version;
        size_t job;
};

struct run {
        const struct simulation_options *o;
        const struct trace *t;
        struct simulation_result *result;
        struct allocator *allocator;
        struct machines *machines;
        struct estimates *estimates;
        struct queue *queue;
        struct simulated_job *jobs;
        bool *left_out;
        struct part **parts; /* of each job */
        uint32_t *part_count, *parts_left;
        struct running_offer *offers; /* k: id -> v: struct running_offer, owned */
        uint64_t next_offer;
        struct event *heap; /* the earliest first */
        size_t events, capacity;
        uint64_t next_order;
        uint64_t now_ns;
        size_t left;       /* jobs that have not ended */
        double busy_cores; /* now */
        double busy;       /* core-seconds, until the last job came */
        double lost;       /* core-seconds */
        uint64_t last_submit_ns;
        double pass_usec;
};

static const char *const knowledge_names[] = {"exact", "requested", "history"};

const char *simulation_knowledge_to_string(enum simulation_knowledge x)
{
        return x >= 0 && x < KNOWS_MAX ? knowledge_names[x] : NULL;
}

enum simulation_knowledge simulation_knowledge_from_string(const char *s)
{
        for (int i = 0; i < KNOWS_MAX; i++)
                if (str_equal(knowledge_names[i], s))
                        return i;
        return KNOWS_INVALID;
}

static struct wall_time wall_of(const struct run *r)
{
        return (struct wall_time){EPOCH_NS + r->now_ns};
}

static struct mono_time mono_of(const struct run *r)
{
        return (struct mono_time){EPOCH_NS + r->now_ns};
}

/* ---- events ---- */

static bool earlier(const struct event *a, const struct event *b)
{
        return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

static void event_add(struct run *r, struct event x)
{
        size_t at = r->events++;

        if (r->events > r->capacity) {
                r->capacity = MAX(r->capacity * 2, (size_t)1024);
                r->heap = xrealloc(r->heap, r->capacity * sizeof(*r->heap));
        }
        x.order = r->next_order++;
        while (at > 0 && earlier(&x, &r->heap[(at - 1) / 2])) {
                r->heap[at] = r->heap[(at - 1) / 2];
                at = (at - 1) / 2;
        }
        r->heap[at] = x;
}

static struct event event_take(struct run *r)
{
        struct event first = r->heap[0], last = r->heap[--r->events];
        size_t at = 0;

        for (;;) {
                size_t child = 2 * at + 1;

                if (child >= r->events)
                        break;
                if (child + 1 < r->events && earlier(&r->heap[child + 1], &r->heap[child]))
                        child++;
                if (!earlier(&r->heap[child], &last))
                        break;
                r->heap[at] = r->heap[child];
                at = child;
        }
        r->heap[at] = last;
        return first;
}

/* ---- booking ---- */

static void give_back(struct run *r, const char *agent, const struct resources *what, uint64_t refuse_ns)
{
        struct allocator_usage use = {FRAMEWORK, ROLE, what};
        int k;

        if (resources_empty(what))
                return;
        k = allocator_recover(r->allocator, agent, &use, mono_of(r), refuse_ns);
        assert(k == 0);
        (void)k;
}

static struct running_offer *offer_find(const struct run *r, uint64_t id)
{
        struct running_offer *o;

        HASH_FIND(hh, r->offers, &id, sizeof(id), o);
        assert(o);
        return o;
}

/* Takes the resources. */
static void offer_add(struct run *r, const char *agent, struct resources *resources)
{
        struct running_offer *o = NEW0(struct running_offer);

        o->id = r->next_offer++;
        (void)snprintf(o->agent, sizeof(o->agent), "%s", agent);
        o->resources = *resources;
        *resources = (struct resources){};
        HASH_ADD(hh, r->offers, id, sizeof(o->id), o);
        queue_add_offer(r->queue, o->id, o->agent, &o->resources);
}

static void offer_end(struct run *r, struct running_offer *o, uint64_t refuse_ns)
{
        give_back(r, o->agent, &o->resources, refuse_ns);
        HASH_DEL(r->offers, o);
        resources_done(&o->resources);
        free(o);
}

/* Several offers of one machine become one. */
static struct running_offer *offer_merge(struct run *r, const struct queue_decision *d)
{
        struct running_offer *o = offer_find(r, d->offer);

        for (uint32_t i = 0; i < d->merged_count; i++) {
                struct running_offer *other;

                HASH_FIND(hh, r->offers, &d->merged[i], sizeof(d->merged[i]), other);
                if (!other)
                        continue; /* by a decision before this one */
                resources_add(&o->resources, &other->resources);
                resources_done(&other->resources);
                HASH_DEL(r->offers, other);
                free(other);
        }
        return o;
}

/* ---- decisions ---- */

static double cores_of(const struct part *p)
{
        return (double)resources_scalar(&p->size, "cpus") / 1000;
}

static uint64_t active_ns(const struct run *r, const struct part *p)
{
        return p->ran_ns + (p->suspended ? 0 : r->now_ns - p->started_ns);
}

static void goes_on(struct run *r, struct part *p)
{
        uint64_t run = r->t->jobs[p->job].run_ns;

        p->started_ns = r->now_ns;
        p->suspended = false;
        r->busy_cores += cores_of(p);
        event_add(
                r, (struct event){.at_ns = r->now_ns + run - p->ran_ns, .ends = p, .version = ++p->version});
}

static void launch(struct run *r, const struct queue_decision *d)
{
        struct running_offer *o = offer_merge(r, d);
        struct part *p = &r->parts[d->job - 1][d->index];
        struct queue_run run;
        int k = resources_subtract(&o->resources, &d->resources);

        assert(k == 0 && !p->over);
        (void)k;
        o->used = true;
        resources_add(&p->booked, &d->resources);
        if (d->kind == QUEUE_RESUME) {
                assert(p->suspended && str_equal(p->agent, o->agent));
                goes_on(r, p);
                queue_task_resumed(r->queue, d->job, d->index, wall_of(r));
                return;
        }
        assert(p->agent[0] == '\0');
        (void)snprintf(p->agent, sizeof(p->agent), "%s", o->agent);
        p->ran_ns = 0;
        goes_on(r, p);
        run = (struct queue_run){.agent = p->agent,
                .resources = &p->booked,
                .started = wall_of(r),
                .preemptions = p->preemptions};
        queue_task_runs(r->queue, d->job, d->index, &run);
        r->jobs[p->job].first_start_ns = MIN(r->jobs[p->job].first_start_ns, r->now_ns);
}

/* Its CPU becomes an offer to the queue at once, as in the master. */
static void suspend(struct run *r, const struct queue_decision *d)
{
        struct part *p = &r->parts[d->job - 1][d->index];
        struct resources freed = {};
        int k;

        assert(p->agent[0] && !p->suspended && !p->over);
        p->ran_ns = active_ns(r, p);
        p->suspended = true;
        r->busy_cores -= cores_of(p);
        p->version++;
        p->preemptions++;
        r->result->suspensions++;
        resources_set_scalar(&freed, "cpus", resources_plain_scalar(&p->booked, "cpus"));
        k = resources_subtract(&p->booked, &freed);
        assert(k == 0);
        (void)k;
        queue_task_suspended(r->queue, d->job, d->index, &p->booked, wall_of(r));
        offer_add(r, p->agent, &freed);
}

static void requeue(struct run *r, const struct queue_decision *d)
{
        struct part *p = &r->parts[d->job - 1][d->index];

        assert(p->agent[0] && !p->over);
        r->lost += (double)active_ns(r, p) / 1e9 * cores_of(p);
        r->busy_cores -= p->suspended ? 0 : cores_of(p);
        p->version++;
        p->preemptions++;
        r->result->requeues++;
        give_back(r, p->agent, &p->booked, 0);
        resources_done(&p->booked);
        p->agent[0] = '\0';
        p->suspended = false;
        queue_task_ended(r->queue, d->job, d->index, /* ok= */ false, 0, wall_of(r));
        queue_tasks_wait(r->queue, d->job, d->index, d->index + 1, (struct wall_time){0});
}

static int carry_out(struct run *r, const struct queue_decision *d, struct error *e)
{
        switch (d->kind) {
        case QUEUE_LAUNCH:
        case QUEUE_RESUME:
                launch(r, d);
                return 0;
        case QUEUE_DECLINE:
                offer_end(r, offer_find(r, d->offer), d->refuse_ns);
                return 0;
        case QUEUE_SUSPEND:
                suspend(r, d);
                return 0;
        case QUEUE_REQUEUE:
                requeue(r, d);
                return 0;
        case QUEUE_EXPIRE:
                break; /* no job here has a deadline */
        }
        return error_set(
                e, -EIO, "the queue decided %d on job %ju, which cannot be", (int)d->kind, (uintmax_t)d->job);
}

static void end_used_offers(struct run *r)
{
        struct running_offer *o, *next;

        HASH_ITER (hh, r->offers, o, next)
                if (o->used)
                        offer_end(r, o, 0);
}

static void take_offers(struct run *r)
{
        struct allocator_offer o = {};
        enum allocator_next next;

        while ((next = allocator_next_offer(r->allocator, mono_of(r), &o)) != ALLOCATOR_NONE) {
                if (next == ALLOCATOR_MORE)
                        continue;
                offer_add(r, o.agent, &o.resources);
                allocator_offer_done(&o);
        }
}

/* Offers and passes until nothing changes any more at this moment. */
static int settle(struct run *r, struct error *e)
{
        bool any = true;

        if (queue_wants_offers(r->queue))
                (void)allocator_revive(r->allocator, FRAMEWORK, ROLE);
        else
                (void)allocator_suppress(r->allocator, FRAMEWORK, ROLE);
        for (unsigned i = 0; any; i++) {
                struct queue_decisions d = {};
                struct mono_time begun = mono_now();
                int k = 0;

                if (i == IDLE_PASSES_MAX)
                        return error_set(e, -EIO, "the queue decides for ever at one moment");
                take_offers(r);
                queue_schedule(r->queue, wall_of(r), &d);
                r->pass_usec += (double)mono_elapsed_ns(begun, mono_now()) / 1e3;
                r->result->passes++;
                any = d.more;
                for (size_t x = 0; x < d.count && k >= 0; x++) {
                        k = carry_out(r, &d.items[x], e);
                        any |= d.items[x].kind != QUEUE_DECLINE;
                }
                end_used_offers(r);
                queue_decisions_done(&d);
                if (k < 0)
                        return k;
        }
        return 0;
}

/* ---- jobs ---- */

/* As few equal tasks as fit on a machine each; a gang when there are several. */
static uint32_t split(const struct simulation_options *o, const struct trace_job *j)
{
        uint64_t by_cpus = (j->milli_cpus + o->machine_milli_cpus - 1) / o->machine_milli_cpus;
        uint64_t by_memory = (j->memory_bytes + o->machine_memory_bytes - 1) / o->machine_memory_bytes;
        uint64_t parts = MAX(by_cpus, by_memory);

        return parts > o->machines ? 0 : (uint32_t)parts;
}

static uint64_t declared_ns(const struct simulation_options *o, const struct trace_job *j)
{
        if (o->estimates == KNOWS_EXACT)
                return j->run_ns;
        return o->estimates == KNOWS_REQUESTED ? j->requested_ns : 0;
}

static void arrive(struct run *r, size_t i)
{
        const struct trace_job *from = &r->t->jobs[i];
        uint32_t parts = split(r->o, from);
        char name[TRACE_NAME_MAX], user[TRACE_USER_MAX];
        struct queue_job j = {.number = i + 1,
                .name = name,
                .user = user,
                .submitted = wall_of(r),
                .count = parts,
                .gang = parts > 1,
                .priority = from->priority,
                .duration_ns = declared_ns(r->o, from),
                .preemptible = true};
        int k;

        (void)snprintf(name, sizeof(name), "program%u", from->program);
        (void)snprintf(user, sizeof(user), "user%u", from->user);
        resources_set_scalar(&j.size, "cpus", (from->milli_cpus + parts - 1) / parts);
        resources_set_scalar(&j.size, "mem", from->memory_bytes * 1000 / 1048576 / parts);
        r->parts[i] = xcalloc(parts, sizeof(*r->parts[i]));
        for (uint32_t x = 0; x < parts; x++) {
                r->parts[i][x] = (struct part){.job = i, .index = x};
                resources_copy(&j.size, &r->parts[i][x].size);
        }
        r->part_count[i] = r->parts_left[i] = parts;
        k = queue_add_job(r->queue, &j);
        assert(k == 0);
        (void)k;
        queue_tasks_wait(r->queue, j.number, 0, parts, (struct wall_time){0});
        resources_done(&j.size);
}

static void part_ended(struct run *r, struct part *p)
{
        uint64_t run = r->t->jobs[p->job].run_ns;
        double cpu = (double)run * cores_of(p);

        p->over = true;
        r->busy_cores -= cores_of(p);
        give_back(r, p->agent, &p->booked, 0);
        resources_done(&p->booked);
        queue_task_ended(r->queue, p->job + 1, p->index, /* ok= */ true, (uint64_t)cpu, wall_of(r));
        if (--r->parts_left[p->job] > 0)
                return;
        r->jobs[p->job].end_ns = r->now_ns;
        queue_remove_job(r->queue, p->job + 1);
        r->left--;
        for (uint32_t i = 0; i < r->part_count[p->job]; i++)
                resources_done(&r->parts[p->job][i].size);
}

/* ---- the run ---- */

static void run_begin(struct run *r)
{
        struct allocator_options options = {.min_milli_cpus = 1, .min_milli_mem = 1};
        static const char *const role[] = {ROLE};
        struct resources total = {};

        r->allocator = allocator_new(&options);
        r->machines = machines_new();
        r->estimates = estimates_new();
        r->queue = queue_new(&r->o->queue, r->machines, r->estimates);
        r->jobs = xcalloc(r->t->count, sizeof(*r->jobs));
        r->left_out = xcalloc(r->t->count, sizeof(*r->left_out));
        r->parts = xcalloc(r->t->count, sizeof(struct part *));
        r->part_count = xcalloc(r->t->count, sizeof(*r->part_count));
        r->parts_left = xcalloc(r->t->count, sizeof(*r->parts_left));
        resources_set_scalar(&total, "cpus", r->o->machine_milli_cpus);
        resources_set_scalar(&total, "mem", r->o->machine_memory_bytes * 1000 / 1048576);
        (void)allocator_add_framework(r->allocator, FRAMEWORK, role, 1);
        for (uint64_t i = 0; i < r->o->machines; i++) {
                char id[24];

                (void)snprintf(id, sizeof(id), "m%ju", (uintmax_t)i);
                (void)machines_set(r->machines, &(struct machine){.id = id, .hostname = id, .total = total});
                (void)allocator_add_agent(r->allocator, id, &total, NULL, 0);
        }
        resources_done(&total);
        for (size_t i = 0; i < r->t->count; i++) {
                r->jobs[i] = (struct simulated_job){UINT64_MAX, UINT64_MAX};
                r->left_out[i] = split(r->o, &r->t->jobs[i]) == 0;
                r->result->too_large += r->left_out[i];
                if (r->left_out[i])
                        continue;
                event_add(r, (struct event){.at_ns = r->t->jobs[i].submit_ns, .job = i});
                r->last_submit_ns = r->t->jobs[i].submit_ns;
                r->left++;
        }
}

static void run_done(struct run *r)
{
        struct running_offer *o, *next;

        HASH_ITER (hh, r->offers, o, next) {
                HASH_DEL(r->offers, o);
                resources_done(&o->resources);
                free(o);
        }
        queue_free(r->queue);
        estimates_free(r->estimates);
        machines_free(r->machines);
        allocator_free(r->allocator);
        for (size_t i = 0; i < r->t->count; i++) {
                for (uint32_t x = 0; x < r->part_count[i]; x++) {
                        resources_done(&r->parts[i][x].size);
                        resources_done(&r->parts[i][x].booked);
                }
                free(r->parts[i]);
        }
        free(r->jobs);
        free(r->left_out);
        free(r->parts);
        free(r->part_count);
        free(r->parts_left);
        free(r->heap);
}

/* What happens next: an event, or that time alone changes something for the queue. False: nothing ever. */
static bool advance(struct run *r)
{
        struct wall_time wakeup;
        struct mono_time filter;
        uint64_t at = r->events > 0 ? r->heap[0].at_ns : UINT64_MAX;

        if (queue_next_wakeup(r->queue, &wakeup) && wakeup.ns >= EPOCH_NS)
                at = MIN(at, MAX(wakeup.ns - EPOCH_NS, r->now_ns + 1));
        if (allocator_next_wakeup(r->allocator, &filter) && filter.ns >= EPOCH_NS)
                at = MIN(at, MAX(filter.ns - EPOCH_NS, r->now_ns + 1));
        if (at == UINT64_MAX)
                return false;
        at = MAX(at, r->now_ns);
        if (r->now_ns < r->last_submit_ns)
                r->busy += r->busy_cores * (double)(MIN(at, r->last_submit_ns) - r->now_ns) / 1e9;
        r->now_ns = at;
        while (r->events > 0 && r->heap[0].at_ns <= r->now_ns) {
                struct event x = event_take(r);

                if (!x.ends)
                        arrive(r, x.job);
                else if (x.ends->version == x.version)
                        part_ended(r, x.ends);
        }
        return true;
}

static int check_books(const struct run *r, struct error *e)
{
        int k = allocator_check(r->allocator, e);

        return k < 0 ? k : queue_check(r->queue, e);
}

int simulation_run(const struct simulation_options *o, const struct trace *t, struct simulation_result *ret,
        struct error *e)
{
        struct simulation_result result = {};
        struct run r = {.o = o, .t = t, .result = &result};
        double capacity = (double)o->machines * (double)o->machine_milli_cpus / 1000;
        int k = 0;

        run_begin(&r);
        while (k >= 0 && r.left > 0) {
                if (!advance(&r))
                        k = error_set(e, -EIO, "%zu jobs wait for ever", r.left);
                else
                        k = settle(&r, e);
        }
        if (k >= 0)
                k = check_books(&r, e);
        if (k >= 0) {
                simulation_measure(t, r.jobs, r.left_out, &result);
                result.makespan = (double)r.now_ns / 1e9;
                if (r.last_submit_ns > 0)
                        result.utilisation = r.busy / capacity / ((double)r.last_submit_ns / 1e9);
                result.lost = result.makespan > 0 ? r.lost / capacity / result.makespan : 0;
                result.pass_mean_usec = result.passes > 0 ? r.pass_usec / (double)result.passes : 0;
                *ret = result;
        }
        run_done(&r);
        return k;
}
