/*
 * What is kept for whom, and until when (EASY backfill). The first job in order that finds no place gets the machine on which enough
 * will be free first, by the expected ends of what this queue runs there. Until then others may use that machine if they end before,
 * or if they need no more than what will be left over. On other machines they may do as they like: the reservation does not need them.
 */
#include <stdlib.h>
#include <string.h>

#include "master/queue/queue_internal.h"

void reservations_clear(struct queue *q)
{
        for (size_t i = 0; i < q->reservation_count; i++) {
                q->reservations[i]->place->reserved = NULL;
                free(q->reservations[i]);
        }
        q->reservation_count = 0;
}

void reserve_on(struct queue *q, struct place *p, uint64_t job, struct run *run, uint64_t at_ns,
        const struct quantities *extra)
{
        struct reservation *r = NEW0(struct reservation);

        if (q->reservation_count == q->reservation_capacity) {
                q->reservation_capacity = MAX(q->reservation_capacity * 2, (size_t)8);
                q->reservations =
                        xrealloc(q->reservations, q->reservation_capacity * sizeof(*q->reservations));
        }
        *r = (struct reservation){job, run, p, at_ns, *extra, p->reserved};
        p->reserved = r;
        q->reservations[q->reservation_count++] = r;
}

static bool ends_before(const struct reservation *r, uint64_t end_ns)
{
        return end_ns != TIME_NEVER && end_ns <= r->at_ns;
}

bool reservations_allow(const struct place *p, const struct quantities *need, uint64_t end_ns)
{
        for (const struct reservation *r = p->reserved; r; r = r->next)
                if (!ends_before(r, end_ns) && !quantities_within(need, &r->extra))
                        return false;
        return true;
}

void reservations_charge(struct place *p, const struct quantities *need, uint64_t end_ns)
{
        for (struct reservation *r = p->reserved; r; r = r->next)
                if (!ends_before(r, end_ns))
                        quantities_subtract(&r->extra, need);
}

void reservations_refund(struct place *p, const struct quantities *need, uint64_t end_ns)
{
        for (struct reservation *r = p->reserved; r; r = r->next)
                if (!ends_before(r, end_ns))
                        quantities_add(&r->extra, need);
}

/* What is free there now: offered, or given back a moment ago. */
static struct quantities free_now(const struct place *p)
{
        if (!p->offers && p->known)
                return p->last_free;
        return p->free_amounts;
}

uint64_t place_free_at(struct queue *q, struct place *p, const struct quantities *need, uint64_t now_ns,
        struct quantities *ret_extra)
{
        struct quantities free = free_now(p);
        uint64_t at = quantities_within(need, &free) ? now_ns : TIME_NEVER;

        place_refresh_ends(q, p, now_ns);
        for (uint32_t i = 0; i < p->run_count; i++) {
                const struct run *r = p->runs[i];

                if (at != TIME_NEVER && r->end_ns > at)
                        break;
                quantities_add(&free, &r->held);
                if (at == TIME_NEVER && r->end_ns != TIME_NEVER && quantities_within(need, &free))
                        at = r->end_ns;
        }
        quantities_subtract(&free, need);
        *ret_extra = free;
        return at;
}

uint64_t reserve_for_run(struct queue *q, struct run *r, uint64_t now_ns)
{
        struct quantities extra;
        uint64_t at = place_free_at(q, r->place, &r->need, now_ns, &extra);

        reserve_on(q, r->place, r->key.job->spec.number, r, at, &extra);
        return at;
}

/* ---- one task ---- */

/* Parts of what is needed that are missing there, in millionths. */
static uint64_t lack(const struct place *p, const struct quantities *need)
{
        struct quantities free = free_now(p);
        uint64_t sum = 0;

        for (size_t i = 0; i < QUANTITIES_MAX; i++)
                if (need->of[i] > free.of[i])
                        sum += (need->of[i] - free.of[i]) * 1000000 / need->of[i];
        return sum;
}

struct choice {
        struct place *place;
        uint64_t at_ns, lack;
        struct quantities extra;
};

/* Could the job ever run there, by all but what is free? */
static bool suits(struct search *s, uint32_t host)
{
        const struct shape *shape = s->job->shape;
        const struct host *h = &s->q->hosts[host];

        return h->place && set_holds(shape->key.set, host) && place_has_volumes(h->place, shape->key.set) &&
               quantities_within(&shape->key.need, &h->total) && search_distinct(s, host);
}

static uint64_t end_from(const struct search *s, uint64_t at_ns)
{
        uint64_t duration = queue_job_duration(s->job);

        return duration > 0 && at_ns < TIME_NEVER - duration ? at_ns + duration : TIME_NEVER;
}

/* A cheap look: nothing that ends there ends before the time that was found elsewhere. */
static bool cannot_be_before(const struct place *p, const struct quantities *need, const struct choice *best)
{
        struct quantities free = free_now(p);

        return best->place && best->at_ns != TIME_NEVER && !quantities_within(need, &free) &&
               (p->run_count == 0 || p->runs[0]->end_ns >= best->at_ns);
}

static void choose(struct search *s, uint32_t host, struct choice *best)
{
        const struct quantities *need = &s->job->shape->key.need;
        struct place *p = s->q->hosts[host].place;
        struct choice c = {.place = p};

        if (cannot_be_before(p, need, best))
                return;
        c.at_ns = place_free_at(s->q, p, need, s->now_ns, &c.extra);
        if (c.at_ns != TIME_NEVER && !window_allows(s->q->hosts[host].machine, c.at_ns, end_from(s, c.at_ns)))
                return;
        if (best->place && c.at_ns > best->at_ns)
                return;
        c.lack = lack(p, need);
        if (!best->place || c.at_ns < best->at_ns || c.lack < best->lack)
                *best = c;
}

/* A machine that a suspended task needs is taken only when no other would do. */
static struct choice best_choice(struct search *s)
{
        struct choice best = {}, second = {};

        for (uint32_t i = 0; i < s->q->host_count; i++)
                if (suits(s, i))
                        choose(s, i, s->q->hosts[i].place->reserved ? &second : &best);
        return best.place && (best.at_ns != TIME_NEVER || !second.place || second.at_ns == TIME_NEVER)
                       ? best
                       : second;
}

/* ---- a gang ---- */

static struct quantities free_by(struct place *p, uint64_t at_ns)
{
        struct quantities free = free_now(p);

        for (uint32_t i = 0; i < p->run_count && p->runs[i]->end_ns <= at_ns; i++)
                quantities_add(&free, &p->runs[i]->held);
        return free;
}

/* How many of its tasks could be on the machine then: at most `wanted`. They are counted in the tallies. */
static uint64_t tasks_by(struct search *s, uint32_t host, uint64_t at_ns, uint64_t wanted)
{
        struct place *p = s->q->hosts[host].place;
        struct quantities free = free_by(p, at_ns);
        uint64_t n = quantities_times(&free, &s->job->shape->key.need, wanted);

        if (n > 1 && s->job->shape->key.set->distinct)
                n = 1;
        if (n > 0 && at_ns != TIME_NEVER &&
                !window_allows(s->q->hosts[host].machine, at_ns, end_from(s, at_ns)))
                n = 0;
        if (n > 0)
                search_count(s, p, (int)n);
        return n;
}

/* Are there places for all of its tasks then? */
static bool gang_fits_by(struct search *s, uint64_t at_ns, uint64_t wanted)
{
        uint32_t *counted = xcalloc(s->q->host_count + 1, sizeof(*counted));
        uint64_t found = 0;

        for (uint32_t i = 0; i < s->q->host_count && found < wanted; i++) {
                if (!suits(s, i))
                        continue;
                counted[i] = (uint32_t)tasks_by(s, i, at_ns, wanted - found);
                found += counted[i];
        }
        for (uint32_t i = 0; i < s->q->host_count; i++)
                if (counted[i] > 0)
                        search_count(s, s->q->hosts[i].place, -(int)counted[i]);
        free(counted);
        return found >= wanted;
}

static int compare_times(const void *a, const void *b)
{
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

        return x < y ? -1 : x > y;
}

/* Expected ends on machines that suit, sorted; the caller frees. */
static uint64_t *collect_ends(struct search *s, size_t *ret_count)
{
        uint64_t *ends = xcalloc(HASH_COUNT(s->q->runs) + 1, sizeof(*ends));
        size_t count = 0;

        ends[count++] = s->now_ns;
        for (uint32_t i = 0; i < s->q->host_count; i++) {
                struct place *p = s->q->hosts[i].place;

                if (!suits(s, i))
                        continue;
                place_refresh_ends(s->q, p, s->now_ns);
                for (uint32_t k = 0; k < p->run_count && p->runs[k]->end_ns != TIME_NEVER; k++)
                        ends[count++] = p->runs[k]->end_ns;
        }
        qsort(ends, count, sizeof(*ends), compare_times);
        *ret_count = count;
        return ends;
}

static uint64_t gang_time(struct search *s, uint64_t wanted)
{
        size_t count, low = 0, high;
        _cleanup_free_ uint64_t *ends = collect_ends(s, &count);

        for (high = count; low < high;) {
                size_t middle = low + (high - low) / 2;

                if (gang_fits_by(s, ends[middle], wanted))
                        high = middle;
                else
                        low = middle + 1;
        }
        return low < count ? ends[low] : TIME_NEVER;
}

/* Machines that have room now first: their offers are held. The tallies count what is kept until the search is over. */
static uint64_t keep_for_gang(struct search *s, uint64_t at_ns, uint64_t wanted, bool now)
{
        for (uint32_t i = 0; i < s->q->host_count && wanted > 0; i++) {
                struct place *p = s->q->hosts[i].place;
                struct quantities extra;
                uint64_t n;

                if (!p || (p->reserved && p->reserved->job == s->job->spec.number) || !suits(s, i) ||
                        (now && !quantities_within(&s->job->shape->key.need, &p->free_amounts)))
                        continue;
                n = tasks_by(s, i, at_ns, wanted);
                if (n == 0)
                        continue;
                extra = free_by(p, at_ns);
                for (uint64_t k = 0; k < n; k++)
                        quantities_subtract(&extra, &s->job->shape->key.need);
                reserve_on(s->q, p, s->job->spec.number, NULL, at_ns, &extra);
                wanted -= n;
        }
        return wanted;
}

static uint64_t reserve_for_gang(struct search *s)
{
        uint64_t wanted = queue_job_takes(s->job);
        uint64_t at = gang_time(s, wanted);

        wanted = keep_for_gang(s, at, wanted, true);
        (void)keep_for_gang(s, at, wanted, false);
        return at;
}

uint64_t earliest_start(struct search *s)
{
        struct choice c;

        set_refresh(s->q, s->job->shape->key.set);
        if (queue_job_is_gang(s->job))
                return gang_time(s, queue_job_takes(s->job));
        c = best_choice(s);
        return c.place ? c.at_ns : TIME_NEVER;
}

uint64_t reserve_for_job(struct search *s)
{
        static const struct quantities nothing;
        struct choice c;

        set_refresh(s->q, s->job->shape->key.set);
        if (s->job->preempting > 0 && s->job->preempt_place) {
                reserve_on(s->q, s->job->preempt_place, s->job->spec.number, NULL, s->now_ns, &nothing);
                return s->now_ns;
        }
        if (queue_job_is_gang(s->job))
                return reserve_for_gang(s);
        c = best_choice(s);
        if (!c.place)
                return TIME_NEVER;
        reserve_on(s->q, c.place, s->job->spec.number, NULL, c.at_ns, &c.extra);
        return c.at_ns;
}
