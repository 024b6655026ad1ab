/*
 * When will a job start? The jobs before it are put onto what is free one after the other, in order and without backfill, and what runs
 * is taken to end when expected; then it is this job's turn. Bounded work: beyond that no forecast is better than a slow one.
 */
#include <stdlib.h>
#include <string.h>

#include "master/queue/queue_internal.h"

#define WORK_MAX 1000000 /* comparisons of a task with a machine */

struct event {
        uint64_t at_ns;
        uint32_t host;
        struct quantities freed;
};

struct forecast {
        struct queue *q;
        uint64_t now_ns;
        struct quantities *free; /* by host */
        struct event *events;    /* a heap, the first on top */
        size_t count, capacity;
        size_t work;
};

static void event_add(struct forecast *f, struct event e)
{
        size_t i = f->count++;

        if (f->count > f->capacity) {
                f->capacity = MAX(f->capacity * 2, (size_t)64);
                f->events = xrealloc(f->events, f->capacity * sizeof(*f->events));
        }
        for (; i > 0 && f->events[(i - 1) / 2].at_ns > e.at_ns; i = (i - 1) / 2)
                f->events[i] = f->events[(i - 1) / 2];
        f->events[i] = e;
}

static struct event event_take(struct forecast *f)
{
        struct event first = f->events[0], last = f->events[--f->count];
        size_t i = 0;

        for (;;) {
                size_t child = 2 * i + 1;

                if (child + 1 < f->count && f->events[child + 1].at_ns < f->events[child].at_ns)
                        child++;
                if (child >= f->count || f->events[child].at_ns >= last.at_ns)
                        break;
                f->events[i] = f->events[child];
                i = child;
        }
        f->events[i] = last;
        return first;
}

static void begin(struct forecast *f)
{
        f->free = xcalloc(f->q->host_count + 1, sizeof(*f->free));
        for (uint32_t i = 0; i < f->q->host_count; i++) {
                struct place *p = f->q->hosts[i].place;

                if (!p)
                        continue;
                f->free[i] = !p->offers && p->known ? p->last_free : p->free_amounts;
                place_refresh_ends(f->q, p, f->now_ns);
                for (uint32_t k = 0; k < p->run_count && p->runs[k]->end_ns != TIME_NEVER; k++)
                        event_add(f, (struct event){p->runs[k]->end_ns, i, p->runs[k]->held});
                f->work++;
        }
}

static bool fits(struct forecast *f, const struct shape *s, uint32_t host)
{
        f->work++;
        return set_holds(s->key.set, host) && quantities_within(&s->key.need, &f->free[host]);
}

/* Where one task of the job starts next; advances the time up to that. NO_HOST: it is never, or was too much work. */
static uint32_t place_task(struct forecast *f, const struct job *j, uint32_t from, uint64_t *time_ns)
{
        const struct shape *s = j->shape;

        for (uint32_t i = from; i < f->q->host_count; i++)
                if (fits(f, s, i))
                        return i;
        while (f->count > 0 && f->work < WORK_MAX) {
                struct event e = event_take(f);

                *time_ns = MAX(*time_ns, e.at_ns);
                quantities_add(&f->free[e.host], &e.freed);
                if (fits(f, s, e.host))
                        return e.host;
        }
        return NO_HOST;
}

/* Puts all tasks of the job that could start; false when there is no telling. */
static bool place_job(struct forecast *f, const struct job *j, uint32_t tasks, uint64_t *time_ns)
{
        uint64_t duration = queue_job_duration(j);
        uint32_t host = 0;

        set_refresh(f->q, j->shape->key.set);
        for (uint32_t k = 0; k < tasks; k++) {
                host = place_task(f, j, host, time_ns);
                if (host == NO_HOST || f->work >= WORK_MAX)
                        return false;
                quantities_subtract(&f->free[host], &j->shape->key.need);
                if (duration > 0 && duration < TIME_NEVER - *time_ns)
                        event_add(f, (struct event){*time_ns + duration, host, j->shape->key.need});
        }
        return true;
}

uint64_t forecast_start(struct queue *q, const struct job *j, uint64_t now_ns)
{
        struct forecast f = {.q = q, .now_ns = now_ns};
        uint64_t time_ns = now_ns;
        struct cursor c;
        struct job *before;
        bool known = true;

        if (j->where != JOB_ORDERED || order_rank(q, j, now_ns) > WORK_MAX / (q->host_count + 1))
                return TIME_NEVER;
        begin(&f);
        cursor_start(&c, q, now_ns);
        while (known && (before = cursor_job(&c)) && before != j) {
                if (shape_possible(q, before->shape))
                        known = place_job(&f, before, queue_job_takes(before), &time_ns);
                cursor_pass(&c, before);
        }
        cursor_done(&c);
        known = known && place_job(&f, j, queue_job_is_gang(j) ? queue_job_takes(j) : 1, &time_ns);
        free(f.free);
        free(f.events);
        return known ? time_ns : TIME_NEVER;
}
