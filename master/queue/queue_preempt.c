/*
 * Who gives way. For a job that finds no place, under the policies in which somebody that waits may go before somebody that runs: the
 * fewest and least important tasks on one machine (a gang: on as many as it needs) that free what is missing. Suspension frees CPU and
 * costs the victim its time; requeueing frees everything and costs the work that was done: never more than what is gained.
 */
#include <stdlib.h>
#include <string.h>

#include "master/queue/queue_internal.h"

#define TASKS_PER_PASS_MAX 16 /* of one job, for which victims are looked for at a time */
#define OFFERINGS_MAX                                                                                        \
        32 /* machines among which the best is chosen; the next look goes on behind the last of them */

/* One machine, and who would give way there for one task. */
struct offering {
        struct place *place;
        struct run **runs;
        size_t count;
        bool requeue;
        uint32_t priority; /* the highest of them */
        uint64_t lost_ns;
        struct quantities left; /* free there when the task has started */
};

bool queue_policy_preempts(enum queue_policy p)
{
        return p == QUEUE_PRIORITY || p == QUEUE_SRTF;
}

static bool policy_preempts(const struct queue *q)
{
        return q->config.preemption != QUEUE_PREEMPT_NONE && queue_policy_preempts(q->config.policy);
}

bool preempt_looks(const struct queue *q)
{
        return policy_preempts(q) && q->preemptors < PASS_PREEMPTORS_MAX;
}

static bool may_give_way(struct search *s, const struct run *r)
{
        struct queue *q = s->q;
        const struct job *j = r->key.job;
        uint64_t ran_ns = s->now_ns - MIN(s->now_ns, r->started_ns), remaining;

        if (r->state != RUN_ACTIVE || r->giving_way || r->resuming || j == s->job || !j->spec.preemptible ||
                r->preemptions >= q->config.preemptions_max || !order_policy_prefers(q, s->job, r, s->now_ns))
                return false;
        /* Who started because it had waited too long is not stopped for one that has not. Ageing itself stops nobody. */
        if (r->aged && !s->job->aged)
                return false;
        remaining = run_remaining_ns(q, r, s->now_ns);
        if (remaining <= q->config.min_gain_ns)
                return false;
        if (ran_ns >= q->config.grace_ns)
                return true;
        q->look_again_ns = MIN(q->look_again_ns, r->started_ns + q->config.grace_ns);
        return false;
}

/* Who gives way first: the least important, then who takes longest, then who came last. */
static int compare_victims(const void *a, const void *b, void *search)
{
        const struct run *x = *(struct run *const *)a, *y = *(struct run *const *)b;
        const struct search *s = search;
        uint64_t rx = run_remaining_ns(s->q, x, s->now_ns), ry = run_remaining_ns(s->q, y, s->now_ns);
        const struct queue_job *jx = &x->key.job->spec, *jy = &y->key.job->spec;

        if (jx->priority != jy->priority)
                return jx->priority < jy->priority ? -1 : 1;
        if (rx != ry)
                return rx > ry ? -1 : 1;
        if (jx->number != jy->number)
                return jx->number > jy->number ? -1 : 1;
        return x->key.index > y->key.index ? -1 : x->key.index < y->key.index;
}

static struct quantities freed_by(const struct run *r, bool requeue)
{
        struct quantities freed = {};

        if (requeue)
                return r->held;
        freed.of[QUANTITY_CPUS] = r->held.of[QUANTITY_CPUS];
        return freed;
}

static struct quantities room_at(const struct place *p)
{
        if (p->in_plan)
                return p->planned;
        return !p->offers && p->known ? p->last_free : p->free_amounts;
}

static bool enough_with(const struct offering *o, const struct quantities *need, size_t left_out)
{
        struct quantities have = room_at(o->place);

        for (size_t i = 0; i < o->count; i++) {
                struct quantities freed = freed_by(o->runs[i], o->requeue);

                if (i != left_out)
                        quantities_add(&have, &freed);
        }
        return quantities_within(need, &have);
}

/* The shortest beginning of the list that is enough, less those without whom it is still enough, the most important ones first. */
static bool reduce(struct offering *o, const struct quantities *need)
{
        size_t all = o->count;

        for (o->count = 1; o->count <= all && !enough_with(o, need, SIZE_MAX);)
                o->count++;
        if (o->count > all)
                return false;
        for (size_t i = o->count; i-- > 0;) {
                if (o->count < 2 || !enough_with(o, need, i))
                        continue;
                memmove(o->runs + i, o->runs + i + 1, (o->count - i - 1) * sizeof(struct run *));
                o->count--;
        }
        return true;
}

/* One that is enough alone goes before several, unless it is more important than all of them. */
static void prefer_one(
        struct offering *o, struct run *const *candidates, size_t count, const struct quantities *need)
{
        uint32_t highest = o->runs[o->count - 1]->key.job->spec.priority;

        for (size_t i = 0; o->count > 1 && i < count && candidates[i]->key.job->spec.priority <= highest;
                i++) {
                struct run *only[1] = {candidates[i]};
                struct offering alone = {.place = o->place, .runs = only, .count = 1, .requeue = o->requeue};

                if (enough_with(&alone, need, SIZE_MAX)) {
                        o->runs[0] = candidates[i];
                        o->count = 1;
                }
        }
}

static bool is_worth_it(struct search *s, struct offering *o, uint64_t start_ns)
{
        uint64_t gain = start_ns == TIME_NEVER ? TIME_NEVER : start_ns - MIN(start_ns, s->now_ns);
        uint64_t cost = 0, delay = queue_job_duration(s->job);

        if (gain == 0 || gain < s->q->config.min_gain_ns)
                return false;
        o->priority = 0;
        o->lost_ns = 0;
        for (size_t i = 0; i < o->count; i++) {
                o->priority = MAX(o->priority, o->runs[i]->key.job->spec.priority);
                o->lost_ns += o->requeue ? run_active_ns(o->runs[i], s->now_ns) : 0;
        }
        cost = o->lost_ns;
        /* Where time is all that counts, the time that the victims wait does as well. */
        if (s->q->config.policy == QUEUE_SRTF)
                cost += delay * o->count;
        return cost < gain;
}

/* With the candidates in o->runs, in which those that give way remain. */
static bool choose_on(struct search *s, struct offering *o, uint64_t start_ns, bool requeue)
{
        const struct quantities *need = &s->job->shape->key.need;
        size_t count = o->count;
        struct run **candidates = xmemdup(o->runs, count * sizeof(struct run *));
        bool found;

        o->requeue = requeue;
        found = reduce(o, need);
        if (found)
                prefer_one(o, candidates, count, need);
        found = found && is_worth_it(s, o, start_ns);
        if (!found) {
                memcpy(o->runs, candidates, count * sizeof(struct run *));
                o->count = count;
        }
        free(candidates);
        return found;
}

/* A cheap look: if all that this queue runs there gave way, would it be enough? */
static bool could_free(struct search *s, const struct place *p)
{
        struct quantities have = room_at(p);

        if (s->q->config.preemption == QUEUE_PREEMPT_REQUEUE)
                quantities_add(&have, &p->held);
        else
                have.of[QUANTITY_CPUS] += p->held.of[QUANTITY_CPUS];
        return quantities_within(&s->job->shape->key.need, &have);
}

static bool look_at_place(struct search *s, struct place *p, uint64_t start_ns, struct offering *o)
{
        const struct quantities *need = &s->job->shape->key.need;
        bool found;

        *o = (struct offering){.place = p};
        s->q->victims_looked += p->run_count;
        o->runs = xcalloc(p->run_count + 1, sizeof(struct run *));
        for (uint32_t i = 0; i < p->run_count; i++)
                if (may_give_way(s, p->runs[i]))
                        o->runs[o->count++] = p->runs[i];
        qsort_r(o->runs, o->count, sizeof(struct run *), compare_victims, s);
        found = o->count > 0 &&
                (choose_on(s, o, start_ns, false) || (s->q->config.preemption == QUEUE_PREEMPT_REQUEUE &&
                                                             choose_on(s, o, start_ns, true)));
        if (found) {
                o->left = room_at(p);
                for (size_t i = 0; i < o->count; i++) {
                        struct quantities freed = freed_by(o->runs[i], o->requeue);

                        quantities_add(&o->left, &freed);
                }
                quantities_subtract(&o->left, need);
        } else {
                free(TAKE_PTR(o->runs));
        }
        return found;
}

static bool better(const struct offering *a, const struct offering *b)
{
        if (!b->place || a->requeue != b->requeue)
                return !b->place || b->requeue;
        if (a->priority != b->priority)
                return a->priority < b->priority;
        if (a->count != b->count)
                return a->count < b->count;
        return a->lost_ns < b->lost_ns;
}

/* Is it kept for somebody who goes before the job? */
static bool goes_first(struct search *s, const struct reservation *r)
{
        const struct job *other = queue_job_find(s->q, r->job);

        if (r->run)
                return !order_goes_before(s->q, s->job, r->run, s->now_ns);
        return other && other != s->job && order_before(s->q, other, s->job);
}

/* What others were promised there is not given away a second time. */
static bool is_open_to(struct search *s, uint32_t host)
{
        const struct host *h = &s->q->hosts[host];

        for (const struct reservation *r = h->place ? h->place->reserved : NULL; r; r = r->next)
                if (goes_first(s, r))
                        return false;
        return h->place && set_holds(s->job->shape->key.set, host) &&
               place_has_volumes(h->place, s->job->shape->key.set) &&
               quantities_within(&s->job->shape->key.need, &h->total) &&
               window_allows(h->machine, s->now_ns, s->end_ns) && search_distinct(s, host);
}

static struct offering best_offering(struct search *s, uint64_t start_ns)
{
        struct offering best = {}, o;
        struct queue *q = s->q;
        size_t found = 0, looked;

        for (looked = 0; looked < q->host_count && found < OFFERINGS_MAX; looked++) {
                uint32_t host = (uint32_t)((q->preempt_from + looked) % q->host_count);
                struct place *p = q->hosts[host].place;

                if (q->victims_looked > PASS_VICTIMS_MAX)
                        break;
                if (!p || p->run_count == 0 || !could_free(s, p) || !is_open_to(s, host) ||
                        !look_at_place(s, p, start_ns, &o))
                        continue;
                found++;
                if (better(&o, &best)) {
                        free(best.runs);
                        best = o;
                } else {
                        free(o.runs);
                }
        }
        if (looked < q->host_count)
                q->preempt_from = (q->preempt_from + looked) % q->host_count;
        return best;
}

static void plan_add(struct search *s, const struct offering *o, struct victims *ret)
{
        for (size_t i = 0; i < o->count; i++) {
                if (ret->count == ret->capacity) {
                        ret->capacity = MAX(ret->capacity * 2, (size_t)8);
                        ret->items = xrealloc(ret->items, ret->capacity * sizeof(*ret->items));
                }
                o->runs[i]->giving_way = true;
                ret->items[ret->count++] = (struct victim){
                        o->runs[i], o->requeue ? QUEUE_REQUEUE : QUEUE_SUSPEND, /* first= */ i == 0};
        }
        o->place->in_plan = true;
        o->place->planned = o->left;
        search_count(s, o->place, 1);
}

/* Tasks that fit into what is free there, or will be: nobody more needs to give way for them. Returns how many are left. */
static uint32_t fill_place(struct search *s, uint32_t host, uint32_t tasks)
{
        const struct quantities *need = &s->job->shape->key.need;
        struct place *p = s->q->hosts[host].place;

        while (tasks > 0 && is_open_to(s, host)) {
                struct quantities room = room_at(p);

                if (!quantities_within(need, &room))
                        break;
                quantities_subtract(&room, need);
                p->in_plan = true;
                p->planned = room;
                search_count(s, p, 1);
                tasks--;
        }
        return tasks;
}

void preempt_plan(struct search *s, uint64_t start_ns, uint32_t tasks, struct victims *ret)
{
        bool gang = queue_job_is_gang(s->job), failed = false;

        *ret = (struct victims){};
        if (!policy_preempts(s->q))
                return;
        set_refresh(s->q, s->job->shape->key.set);
        for (uint32_t i = 0; gang && i < s->q->host_count && tasks > 0; i++)
                if (s->q->hosts[i].place && s->q->hosts[i].place->in_tree)
                        tasks = fill_place(s, i, tasks);
        while (tasks > 0 && !failed) {
                struct offering o = best_offering(s, start_ns);

                failed = !o.place;
                if (o.place) {
                        plan_add(s, &o, ret);
                        tasks = fill_place(s, o.place->host, tasks - 1);
                }
                free(o.runs);
        }
        for (uint32_t i = 0; i < s->q->host_count; i++)
                if (s->q->hosts[i].place)
                        s->q->hosts[i].place->in_plan = false;
        for (size_t i = 0; i < ret->count; i++)
                ret->items[i].run->giving_way = false;
        if (gang && failed)
                ret->count = 0;
}

bool preempt_for(struct search *s, uint64_t start_ns)
{
        static const struct quantities nothing;
        struct job *j = s->job;
        struct victims plan;
        uint32_t tasks = queue_job_takes(j);

        if (j->preempting > 0 || !preempt_looks(s->q))
                return false;
        s->q->preemptors++;
        preempt_plan(
                s, start_ns, queue_job_is_gang(j) ? tasks : MIN(tasks, (uint32_t)TASKS_PER_PASS_MAX), &plan);
        for (size_t i = 0; i < plan.count; i++) {
                struct run *r = plan.items[i].run;

                r->giving_way = true;
                r->for_job = j->spec.number;
                r->covers = plan.items[i].first;
                j->preempting += r->covers;
                decision_add(s->q, plan.items[i].how, r->key.job->spec.number, (uint32_t)r->key.index)
                        ->for_job = j->spec.number;
                if (!r->covers)
                        continue;
                j->preempt_place = r->place;
                if (!r->place->reserved || r->place->reserved->job != j->spec.number)
                        reserve_on(s->q, r->place, j->spec.number, NULL, s->now_ns, &nothing);
        }
        free(plan.items);
        return plan.count > 0;
}
