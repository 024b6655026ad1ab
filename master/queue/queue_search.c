/*
 * A place for one task. Places with offers stand in a tree by free CPU, with the most of each resource in every subtree: what has not
 * enough of something is skipped whole, and the first ones found are those that the task fills best. Sizes for which nothing was found
 * are remembered for the rest of the pass, as what is free only shrinks in it.
 */
#include <stdlib.h>
#include <string.h>

#include "master/queue/queue_internal.h"

#define PACK_CANDIDATES 16 /* compared in all resources, of those with the least CPU that is enough */
#define SPARSE 16 /* a set met by less than one in so many of the places is searched by its own list */

bool window_allows(const struct machine *m, uint64_t now_ns, uint64_t end_ns)
{
        if ((m->window_begin.ns == 0 && m->window_end.ns == 0) || now_ns >= m->window_end.ns)
                return true;
        if (end_ns == TIME_NEVER)
                end_ns = now_ns + WINDOW_MARGIN_NS;
        return end_ns <= m->window_begin.ns;
}

/* ---- where the job's other tasks are ---- */

static uint32_t value_at(const struct tally *t, uint32_t host)
{
        return t->domain ? t->domain->values[host] : host + 1;
}

void search_count(struct search *s, const struct place *p, int change)
{
        for (size_t i = 0; p->host != NO_HOST && i < s->tally_count; i++)
                s->tallies[i].counts[value_at(&s->tallies[i], p->host)] += (uint32_t)change;
}

static void tally_add(struct search *s, const char *attribute, bool distinct)
{
        struct tally *t = &s->tallies[s->tally_count++];

        t->domain = attribute ? domain_get(s->q, attribute) : NULL;
        t->counts = xcalloc((t->domain ? t->domain->value_count : s->q->host_count) + 1, sizeof(*t->counts));
        t->distinct = distinct;
}

/* Only when something could fit at all: it costs time for each task that runs. */
static void tallies_build(struct search *s)
{
        const struct constraint_set *set = s->job->shape->key.set;
        bool spread = s->job->spec.placement == QUEUE_SPREAD;

        s->tallied = true;
        if (!spread && !set->distinct)
                return;
        s->tallies = xcalloc(set->count + 1, sizeof(*s->tallies));
        if (spread)
                tally_add(s, s->job->spec.spread_by, false);
        for (size_t i = 0; i < set->count; i++)
                if (set->constraints[i].operator== CONSTRAINT_DISTINCT)
                        tally_add(s, set->constraints[i].attribute, true);
        for (const struct run *r = s->job->runs; r; r = r->job_next)
                search_count(s, r->place, 1);
}

bool search_distinct(struct search *s, uint32_t host)
{
        if (!s->tallied)
                tallies_build(s);
        for (size_t i = 0; i < s->tally_count; i++) {
                const struct tally *t = &s->tallies[i];
                uint32_t value = value_at(t, host);

                if (t->distinct && (value == 0 || t->counts[value] > 0))
                        return false;
        }
        return true;
}

/* ---- one place after the other ---- */

static bool spreads(const struct search *s)
{
        return s->job->spec.placement == QUEUE_SPREAD;
}

/* How full would it be? Parts of each resource that stay free, in millionths: the lowest fills best. */
static uint64_t room_left(const struct search *s, const struct place *p)
{
        const struct quantities *need = &s->job->shape->key.need, *total = &place_host(s->q, p)->total;
        uint64_t sum = 0;

        for (size_t i = 0; i < QUANTITIES_MAX; i++)
                if (need->of[i] > 0 && total->of[i] > 0)
                        sum += (p->free_amounts.of[i] - need->of[i]) * 1000000 / total->of[i];
        return sum;
}

/* It has enough free. False: no need to look further. */
static bool consider(struct search *s, struct place *p)
{
        const struct shape *shape = s->job->shape;
        uint64_t score;

        if (!set_holds(shape->key.set, p->host) || !place_has_volumes(p, shape->key.set))
                return true;
        if (!window_allows(place_host(s->q, p)->machine, s->now_ns, s->end_ns) ||
                !reservations_allow(p, &shape->key.need, s->end_ns) || !search_distinct(s, p->host)) {
                s->by_time = true;
                return true;
        }
        score = spreads(s) ? s->tallies[0].counts[value_at(&s->tallies[0], p->host)] : room_left(s, p);
        if (!s->best || score < s->best_score) {
                s->best = p;
                s->best_score = score;
        }
        return spreads(s) ? score > s->fewest : ++s->candidates < PACK_CANDIDATES;
}

static bool look_at(struct search *s, struct place *p)
{
        if (++s->q->visits > PASS_VISITS_MAX) {
                s->by_time = true;
                return false;
        }
        return !quantities_within(&s->job->shape->key.need, &p->free_amounts) || consider(s, p);
}

/* From the least free CPU on; for a spread from the most. */
static bool look_below(struct search *s, struct tree_node *n)
{
        struct place *p = n ? CONTAINER_OF(n, struct place, node) : NULL;

        if (!p || !quantities_within(&s->job->shape->key.need, &p->most))
                return true;
        return look_below(s, spreads(s) ? n->right : n->left) && look_at(s, p) &&
               look_below(s, spreads(s) ? n->left : n->right);
}

static void look_at_list(struct search *s, const struct constraint_set *set)
{
        for (size_t i = 0; i < set->host_count; i++) {
                struct place *p = s->q->hosts[set->hosts[i]].place;

                if (p && p->in_tree && !look_at(s, p))
                        return;
        }
}

/* ---- sizes for which there is no place ---- */

static bool known_to_fail(const struct queue *q, struct constraint_set *set, const struct quantities *need)
{
        if (set->failed_pass != q->pass) {
                set->failed_pass = q->pass;
                set->failed_count = 0;
        }
        for (size_t i = 0; i < set->failed_count; i++)
                if (quantities_within(&set->failed[i], need))
                        return true;
        return false;
}

static void remember_failure(struct constraint_set *set, const struct quantities *need)
{
        for (size_t i = 0; i < set->failed_count; i++) {
                if (quantities_within(need, &set->failed[i])) {
                        set->failed[i] = *need; /* the smaller one says more */
                        return;
                }
        }
        if (set->failed_count < FAILED_MAX)
                set->failed[set->failed_count++] = *need;
}

void search_start(struct search *s, struct queue *q, struct job *j, uint64_t now_ns)
{
        uint64_t duration = queue_job_duration(j);

        *s = (struct search){.q = q, .job = j, .now_ns = now_ns};
        s->end_ns = duration > 0 && duration < TIME_NEVER - now_ns ? now_ns + duration : TIME_NEVER;
}

struct place *search_place(struct search *s)
{
        struct constraint_set *set = s->job->shape->key.set;
        const struct quantities *need = &s->job->shape->key.need;

        s->best = NULL;
        s->candidates = 0;
        s->by_time = false;
        set_refresh(s->q, set);
        if (known_to_fail(s->q, set, need))
                return NULL;
        if (!s->tallied)
                tallies_build(s);
        if (set->holds && set->host_count * SPARSE < tree_count(&s->q->free_places))
                look_at_list(s, set);
        else
                (void)look_below(s, s->q->free_places.root);
        if (!s->best && !s->by_time)
                remember_failure(set, need);
        if (s->best && spreads(s) && s->best_score > s->fewest)
                s->fewest = (uint32_t)s->best_score;
        return s->best;
}

void search_done(struct search *s)
{
        for (size_t i = 0; i < s->tally_count; i++)
                free(s->tallies[i].counts);
        free(s->tallies);
        s->tallies = NULL;
        s->tally_count = 0;
}
