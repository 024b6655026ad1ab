/* Sums and indexes computed anew and compared with those that were kept; and what it all takes. For tests and metrics. */
#include <string.h>
#include <utlist.h>

#include "master/queue/queue_internal.h"

static bool job_spans_agree(const struct job *j)
{
        uint64_t ready = 0, delayed = 0, end = 0;
        bool apart = true;

        for (uint32_t i = 0; i < j->span_count; i++) {
                apart = apart && (i == 0 || j->spans[i].begin > end) && j->spans[i].begin < j->spans[i].end;
                end = j->spans[i].end;
                ready += j->spans[i].end - j->spans[i].begin;
        }
        for (uint32_t i = 0; i < j->delayed_count; i++) {
                apart = apart && (i == 0 || j->delayed[i - 1].until_ns <= j->delayed[i].until_ns);
                delayed += j->delayed[i].end - j->delayed[i].begin;
        }
        return apart && j->ready == ready && j->waiting == ready + delayed && end <= j->spec.count;
}

static int check_job(const struct queue *q, const struct job *j, struct error *e)
{
        const struct run *r;
        uint32_t active = 0;
        bool should = !j->spec.held && j->unsatisfied == 0 && !j->expired && queue_job_takes(j) > 0 &&
                      (!queue_job_is_gang(j) || j->delayed_count == 0);

        DL_FOREACH2(j->runs, r, job_next)
        {
                active++;
                for (uint32_t i = 0; i < j->span_count; i++)
                        if (r->key.index >= j->spans[i].begin && r->key.index < j->spans[i].end)
                                return error_set(e, -EUCLEAN, "job %ju: task %ju runs and waits",
                                        (uintmax_t)j->spec.number, (uintmax_t)r->key.index);
        }
        if (!job_spans_agree(j))
                return error_set(
                        e, -EUCLEAN, "job %ju: its waiting tasks do not add up", (uintmax_t)j->spec.number);
        if (active != j->active)
                return error_set(e, -EUCLEAN, "job %ju: %u tasks run, %u were counted",
                        (uintmax_t)j->spec.number, active, j->active);
        if (should != (j->where != JOB_NOWHERE))
                return error_set(e, -EUCLEAN, "job %ju: it %s be in the order", (uintmax_t)j->spec.number,
                        should ? "should" : "should not");
        if (j->where == JOB_ORDERED && j->aged && j->order.key != 0)
                return error_set(
                        e, -EUCLEAN, "job %ju: it has aged and is not by arrival", (uintmax_t)j->spec.number);
        return 0;
}

static int check_place(const struct queue *q, const struct place *p, struct error *e)
{
        _cleanup_resources_ struct resources sum = {};
        struct quantities held = {}, free;
        const struct offer *o;

        DL_FOREACH2(p->offers, o, place_next)
        resources_add(&sum, &o->resources);
        quantities_available(&q->names, &sum, &free);
        if (!resources_equal(&sum, &p->free) || memcmp(&free, &p->free_amounts, sizeof(free)) != 0)
                return error_set(e, -EUCLEAN, "%s: what is free there is not what its offers are", p->id);
        if (p->in_tree != (p->offers && p->host != NO_HOST))
                return error_set(e, -EUCLEAN, "%s: it is wrongly (not) among those with offers", p->id);
        for (uint32_t i = 0; i < p->run_count; i++) {
                quantities_add(&held, &p->runs[i]->held);
                if (p->runs[i]->at != i || p->runs[i]->place != p ||
                        (i > 0 && p->runs[i - 1]->end_ns > p->runs[i]->end_ns))
                        return error_set(e, -EUCLEAN, "%s: its runs are out of order", p->id);
        }
        if (memcmp(&held, &p->held, sizeof(held)) != 0)
                return error_set(e, -EUCLEAN, "%s: its runs hold another sum than was kept", p->id);
        return 0;
}

static int check_user(const struct queue *q, const struct user *u, struct error *e)
{
        const struct job *j;
        const struct run *r;
        uint64_t waiting = 0, cpus = 0;
        size_t running = 0;

        for (j = q->jobs; j; j = j->hh.next) {
                if (j->name->user != u)
                        continue;
                waiting += j->waiting;
                for (r = j->runs; r; r = r->job_next) {
                        running++;
                        cpus += r->held.of[QUANTITY_CPUS];
                }
        }
        if (waiting != u->waiting || running != u->running || cpus != u->milli_cpus)
                return error_set(e, -EUCLEAN, "user %s: sums differ", u->name);
        return 0;
}

static size_t tree_sorted(const struct tree *t, bool *ret_sorted)
{
        struct tree_node *n = tree_first(t);
        size_t count = 0;

        for (struct tree_node *next; n; n = next, count++) {
                next = tree_after(t, n);
                if (next && t->type->compare(n, next) >= 0)
                        *ret_sorted = false;
        }
        *ret_sorted = *ret_sorted && count == tree_count(t);
        return count;
}

int queue_check(const struct queue *q, struct error *e)
{
        struct job *j, *next_job;
        struct place *p, *next_place;
        struct user *u, *next_user;
        uint64_t waiting = 0;
        size_t jobs_waiting = 0, ordered = 0, in_trees;
        bool sorted = true;
        int r = 0;

        in_trees = tree_sorted(&q->aged, &sorted) + tree_sorted(&q->ordered, &sorted);
        (void)tree_sorted(&q->wake, &sorted);
        (void)tree_sorted(&q->free_places, &sorted);
        HASH_ITER (hh, q->users, u, next_user) {
                in_trees += tree_sorted(&u->order, &sorted);
                r = r < 0 ? r : check_user(q, u, e);
        }
        HASH_ITER (hh, q->jobs, j, next_job) {
                waiting += j->waiting;
                jobs_waiting += j->waiting > 0;
                ordered += j->where == JOB_ORDERED;
                r = r < 0 ? r : check_job(q, j, e);
        }
        HASH_ITER (hh, q->places, p, next_place)
                r = r < 0 ? r : check_place(q, p, e);
        if (r < 0)
                return r;
        if (!sorted || in_trees != ordered || ordered != q->jobs_ordered)
                return error_set(
                        e, -EUCLEAN, "the order holds %zu jobs, %zu should be in it", in_trees, ordered);
        if (waiting != q->waiting || jobs_waiting != q->jobs_waiting)
                return error_set(e, -EUCLEAN, "%ju tasks wait, %ju were counted", (uintmax_t)waiting,
                        (uintmax_t)q->waiting);
        return 0;
}

/* ---- memory ---- */

static size_t resources_memory(const struct resources *r)
{
        size_t sum = r->count * sizeof(*r->entries);

        for (size_t i = 0; i < r->count; i++)
                sum += r->entries[i].range_count * sizeof(*r->entries[i].ranges) +
                       r->entries[i].item_count * sizeof(char *);
        return sum;
}

static size_t jobs_memory(const struct queue *q)
{
        size_t sum = 0;

        for (const struct job *j = q->jobs; j; j = j->hh.next)
                sum += sizeof(*j) + j->span_capacity * sizeof(*j->spans) +
                       j->delayed_capacity * sizeof(*j->delayed) +
                       j->spec.after_count * sizeof(*j->spec.after);
        for (const struct run *r = q->runs; r; r = r->hh.next)
                sum += sizeof(*r) + resources_memory(&r->resources) + resources_memory(&r->missing);
        for (const struct run_name *n = q->run_names; n; n = n->hh.next)
                sum += sizeof(*n) + strlen(n->key) + 1;
        for (const struct user *u = q->users; u; u = u->hh.next)
                sum += sizeof(*u) + strlen(u->name) + 1;
        return sum;
}

static size_t shapes_memory(const struct queue *q)
{
        size_t sum = 0;

        for (const struct shape *s = q->shapes; s; s = s->hh.next)
                sum += sizeof(*s) + resources_memory(&s->size);
        for (const struct constraint_set *s = q->sets; s; s = s->hh.next)
                sum += sizeof(*s) + s->count * sizeof(*s->constraints) + strlen(s->key) + 1 +
                       (s->holds ? q->host_count * (sizeof(*s->holds) + sizeof(*s->hosts)) : 0);
        for (const struct domain *d = q->domains; d; d = d->hh.next)
                sum += sizeof(*d) + q->host_count * sizeof(*d->values);
        return sum;
}

size_t queue_memory(const struct queue *q)
{
        size_t sum =
                sizeof(*q) + q->host_count * sizeof(*q->hosts) + q->index_count * sizeof(*q->host_by_index);

        for (const struct place *p = q->places; p; p = p->hh.next)
                sum += sizeof(*p) + strlen(p->id) + 1 + p->run_capacity * sizeof(struct run *) +
                       resources_memory(&p->free);
        for (const struct offer *o = q->offers; o; o = o->hh.next)
                sum += sizeof(*o) + resources_memory(&o->resources);
        /* Hash tables: a bucket for up to ten items, a pointer pair and a count each. */
        sum += (HASH_COUNT(q->jobs) + HASH_COUNT(q->runs) + HASH_COUNT(q->offers)) * 4;
        return sum + jobs_memory(q) + shapes_memory(q) + q->reservation_count * sizeof(struct reservation);
}
