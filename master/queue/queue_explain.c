/*
 * Why a job waits, when it is expected to start and how it got its place. Nothing is decided here; but what a pass remembers to save
 * work (which machines meet which constraints, ends that were expected earlier) is brought up to date, which no caller can see.
 */
#include <stdlib.h>
#include <string.h>

#include "master/queue/queue_internal.h"

/* What a look at all machines tells. */
struct view {
        struct queue *q;
        struct job *job;
        struct queue_explanation *x;
        bool brief;         /* only what a line in a list tells: no work that grows with the jobs before it */
        size_t windows;     /* large machines on which it would run into a maintenance */
        size_t not_offered; /* large ones that may have room, of which there is no offer */
        size_t taken;       /* large ones that its own tasks keep it from: they must be on distinct ones */
        uint64_t window_end_ns;
        uint64_t lack; /* of the nearest, in millionths */
        const struct machine *nearest;
        size_t resource;        /* of which the nearest lacks most, by share */
        uint64_t missing, fits; /* fits: tasks that have a place now */
        size_t volumes_taken;   /* large machines on which a volume is in use: */
        const struct constraint *volume;
        const struct machine *volume_on;
        const struct run *volume_user; /* NULL: nobody of this queue */
};

static uint64_t lacking(const struct quantities *have, const struct quantities *need, size_t *ret_resource)
{
        uint64_t sum = 0, most = 0;

        *ret_resource = QUANTITIES_MAX;
        for (size_t i = 0; i < QUANTITIES_MAX; i++) {
                uint64_t lack;

                if (need->of[i] <= have->of[i])
                        continue;
                lack = MAX((need->of[i] - have->of[i]) * 1000000 / need->of[i], (uint64_t)1);
                sum += lack;
                if (lack > most) {
                        most = lack;
                        *ret_resource = i;
                }
        }
        return sum;
}

static void consider_nearest(struct view *v, const struct machine *m, const struct quantities *have)
{
        const struct quantities *need = &v->job->shape->key.need;
        size_t resource;
        uint64_t lack = lacking(have, need, &resource);

        if (v->nearest && lack >= v->lack)
                return;
        v->nearest = m;
        v->lack = lack;
        v->resource = resource;
        v->missing = resource < QUANTITIES_MAX ? need->of[resource] - have->of[resource] : 0;
}

static bool look_at_volumes(struct view *v, const struct host *h)
{
        const struct run *user = NULL;
        const struct constraint *volume =
                h->place ? place_lacks_volume(h->place, v->job->shape->key.set, &user) : NULL;

        if (!volume)
                return false;
        if (!v->volume || (user && !v->volume_user)) {
                v->volume = volume;
                v->volume_on = h->machine;
                v->volume_user = user;
        }
        v->volumes_taken++;
        return true;
}

/* A machine that could hold a task when idle. */
static void look_at_large(struct view *v, struct search *s, const struct host *h)
{
        const struct shape *shape = v->job->shape;
        const struct quantities *need = &shape->key.need;
        const struct place *p = h->place;
        struct quantities free = {}, rest = h->total;

        if (!window_allows(h->machine, s->now_ns, s->end_ns)) {
                v->windows++;
                v->window_end_ns = MIN(v->window_end_ns, h->machine->window_end.ns);
        }
        if (look_at_volumes(v, h))
                return;
        if (!search_distinct(s, (uint32_t)(h - v->q->hosts))) {
                v->taken++;
                return;
        }
        if (p)
                quantities_subtract(&rest, &p->held);
        if (p && p->offers) {
                free = p->free_amounts;
                v->fits += quantities_times(&free, need, shape->key.set->distinct ? 1 : UINT32_MAX);
                v->x->machines_free += quantities_within(need, &free);
        } else if (p && p->known) {
                free = p->last_free;
                v->not_offered += quantities_within(need, &free);
        } else {
                free = rest;
                v->not_offered += quantities_within(need, &rest);
        }
        consider_nearest(v, h->machine, &free);
}

static void look_at_machines(struct view *v, uint64_t now_ns)
{
        struct queue *q = v->q;
        const struct shape *s = v->job->shape;
        struct search search;

        search_start(&search, q, v->job, now_ns);
        set_refresh(q, s->key.set);
        v->x->machines = q->host_count;
        for (uint32_t i = 0; i < q->host_count; i++) {
                if (!set_holds(s->key.set, i))
                        continue;
                v->x->machines_matching++;
                if (!quantities_within(&s->key.need, &q->hosts[i].total))
                        continue;
                v->x->machines_large++;
                look_at_large(v, &search, &q->hosts[i]);
        }
        for (uint32_t i = 0; v->x->machines_large == 0 && i < q->host_count; i++)
                if (set_holds(s->key.set, i))
                        consider_nearest(v, q->hosts[i].machine, &q->hosts[i].total);
        if (v->nearest)
                (void)snprintf(v->x->nearest, sizeof(v->x->nearest), "%s", v->nearest->hostname);
        search_done(&search);
}

/* ---- reasons ---- */

static void set_detail(struct queue_explanation *x, const char *text)
{
        (void)snprintf(x->detail, sizeof(x->detail), "%s", text);
}

static void first_unusable(const struct machine *m, void *userdata)
{
        struct queue_explanation *x = userdata;

        if (m->unusable && !x->detail[0])
                set_detail(x, m->unusable);
}

struct volume_search {
        const struct constraint *volume;
        struct queue_explanation *x;
};

static void look_for_volume(const struct machine *m, void *userdata)
{
        struct volume_search *s = userdata;

        if (!constraint_holds(s->volume, m) || s->x->nearest[0])
                return;
        (void)snprintf(s->x->nearest, sizeof(s->x->nearest), "%s", m->hostname);
        (void)snprintf(s->x->unusable, sizeof(s->x->unusable), "%s", m->unusable ?: "");
}

/* Where is it then? */
static void blame_volume(struct view *v, const struct constraint *volume)
{
        struct volume_search search = {volume, v->x};

        v->x->reason = QUEUE_REASON_NO_VOLUME;
        set_detail(v->x, volume->value);
        v->x->nearest[0] = 0;
        machines_each(v->q->machines, look_for_volume, &search);
}

/* The first constraint that leaves no machine of those that meet the ones before it. */
static void blame_constraint(struct view *v)
{
        const struct constraint_set *set = v->job->shape->key.set;
        size_t furthest = 0;

        for (uint32_t i = 0; i < v->q->host_count; i++) {
                size_t k = 0;

                while (k < set->count && constraint_holds(&set->constraints[k], v->q->hosts[i].machine))
                        k++;
                furthest = MAX(furthest, k);
        }
        if (furthest < set->count && set->constraints[furthest].operator== CONSTRAINT_VOLUME) {
                blame_volume(v, &set->constraints[furthest]);
        } else if (furthest < set->count) {
                _cleanup_free_ char *text = constraint_to_string(&set->constraints[furthest]);

                set_detail(v->x, text);
        }
}

static void blame_user(struct view *v)
{
        v->x->reason = QUEUE_REASON_VOLUME_IN_USE;
        v->x->blocking_job = v->volume_user ? v->volume_user->key.job->spec.number : 0;
        set_detail(v->x, v->volume->value);
        (void)snprintf(v->x->nearest, sizeof(v->x->nearest), "%s", v->volume_on->hostname);
}

/* Its role may never have enough for one of its tasks, or for a gang. */
static bool beyond_limits(struct view *v)
{
        const struct job *j = v->job;
        uint64_t tasks = queue_job_is_gang(j) ? j->waiting : 1;
        const struct queue_limit *limit;

        if (limits_times(v->q, &j->shape->key.need, tasks, &limit) >= tasks)
                return false;
        set_detail(v->x, limit->name);
        v->x->limit_milli = limit->milli;
        return true;
}

static bool reason_of_machines(struct view *v)
{
        struct queue_explanation *x = v->x;

        if (x->machines == 0) {
                x->reason = QUEUE_REASON_NO_MACHINES;
                machines_each(v->q->machines, first_unusable, x);
        } else if (x->machines_matching == 0) {
                x->reason = QUEUE_REASON_CONSTRAINTS;
                blame_constraint(v);
        } else if (x->machines_large == 0) {
                x->reason = QUEUE_REASON_TOO_LARGE;
                set_detail(x, quantity_name(&v->q->names, v->resource));
                x->missing_milli = v->missing;
        } else if (beyond_limits(v)) {
                x->reason = QUEUE_REASON_QUOTA;
        } else if (queue_job_is_gang(v->job) && !gang_possible(v->q, v->job)) {
                x->reason = QUEUE_REASON_GANG_TOO_LARGE;
        } else if (v->windows == x->machines_large) {
                x->reason = QUEUE_REASON_MAINTENANCE;
                x->when.ns = v->window_end_ns;
        } else if (v->volumes_taken > 0 && v->volumes_taken + v->taken == x->machines_large) {
                blame_user(v);
        } else if (v->taken == x->machines_large) {
                x->reason = QUEUE_REASON_DISTINCT;
        } else {
                return false;
        }
        return true;
}

static bool reason_of_state(struct view *v)
{
        const struct job *j = v->job;
        struct queue_explanation *x = v->x;

        if (j->waiting == 0) {
                x->reason = QUEUE_REASON_NONE;
                for (const struct run *r = j->runs; r; r = r->job_next)
                        if (r->state == RUN_SUSPENDED)
                                x->reason = QUEUE_REASON_SUSPENDED;
        } else if (j->spec.held) {
                x->reason = QUEUE_REASON_HELD;
        } else if (j->unsatisfied > 0) {
                x->reason = QUEUE_REASON_DEPENDENCY;
                for (size_t i = 0; i < j->spec.after_count && x->blocking_job == 0; i++)
                        if (!j->spec.after[i].satisfied)
                                x->blocking_job = j->spec.after[i].job;
        } else if (j->ready == 0 || (queue_job_is_gang(j) && j->delayed_count > 0)) {
                x->reason = QUEUE_REASON_BACKOFF;
                x->when.ns = j->delayed_count > 0 ? j->delayed[0].until_ns : x->now.ns;
        } else if (queue_job_takes(j) == 0) {
                x->reason = QUEUE_REASON_PARALLEL;
        } else {
                return false;
        }
        return true;
}

/* The job that goes before it and is the reason that what is free is not given to it. */
static uint64_t blocker(const struct view *v)
{
        struct queue *q = v->q;
        const struct job *head = queue_job_find(q, q->head);
        uint64_t number = head && head != v->job && order_before(q, head, v->job) ? q->head : 0;
        struct cursor c;

        if (number == 0 && v->x->rank > 1) {
                cursor_start(&c, q, v->x->now.ns);
                const struct job *first = cursor_job(&c);

                number = first && first != v->job ? first->spec.number : 0;
                cursor_done(&c);
        }
        return number;
}

static void reason_of_room(struct view *v)
{
        struct queue_explanation *x = v->x;
        const struct job *j = v->job;
        uint64_t tasks = queue_job_is_gang(j) ? queue_job_takes(j) : 1;

        x->blocking_job = blocker(v);
        if (v->fits >= tasks || (v->q->config.backfill_max == 0 && x->rank > 1)) {
                x->reason = x->blocking_job > 0 ? QUEUE_REASON_BEHIND : QUEUE_REASON_NO_OFFERS;
        } else if (v->not_offered > 0 && tasks == 1) {
                x->reason = QUEUE_REASON_NO_OFFERS;
        } else {
                x->reason = QUEUE_REASON_RESOURCES;
                set_detail(x, tasks > 1 ? "tasks"
                                        : quantity_name(&v->q->names, MIN(v->resource, QUANTITIES_MAX - 1u)));
                x->missing_milli = tasks > 1 ? (tasks - v->fits) * 1000 : v->missing;
        }
}

/* ---- factors ---- */

static struct queue_factor *factor_add(struct queue_explanation *x, const char *name)
{
        assert(x->factor_count < QUEUE_FACTORS_MAX);
        x->factors[x->factor_count].name = name;
        return &x->factors[x->factor_count++];
}

static void factor_duration(struct view *v)
{
        const struct job *j = v->job;
        struct queue_factor *f = factor_add(v->x, "expected duration");
        uint64_t duration = queue_job_duration(j);
        char text[DURATION_TEXT_MAX];
        struct estimate known;

        (void)snprintf(f->value, sizeof(f->value), "%s",
                duration > 0 ? duration_format(duration, text) : "not known: goes last");
        if (j->spec.duration_ns > 0)
                (void)snprintf(f->note, sizeof(f->note), "declared");
        else if (estimates_get(v->q->estimates, j->spec.user, j->spec.name, v->x->now, &known))
                (void)snprintf(f->note, sizeof(f->note), "mean of %.3g earlier runs", known.samples);
        else
                (void)snprintf(f->note, sizeof(f->note), "no earlier run of this name is known");
}

static void factor_usage(struct view *v)
{
        const struct user *u = v->job->name->user;
        struct queue_factor *f = factor_add(v->x, "usage");
        char text[DURATION_TEXT_MAX];

        (void)snprintf(f->value, sizeof(f->value), "%.6g core-seconds", user_usage(v->q, u, v->x->now.ns));
        (void)snprintf(f->note, sizeof(f->note), "of %.24s, halved every %.8s; %.3g cpus for 1m more",
                u->name, duration_format(v->q->config.fair_half_life_ns, text),
                milli_to_double(u->milli_cpus));
}

static void add_factors(struct view *v)
{
        const struct queue_config *config = &v->q->config;
        const struct job *j = v->job;
        char text[DURATION_TEXT_MAX], when[WALL_TIME_TEXT_MAX];
        struct queue_factor *f;

        if (config->policy != QUEUE_FIFO && config->ageing_ns > 0) {
                f = factor_add(v->x, "aged");
                (void)snprintf(f->value, sizeof(f->value), "%s", j->aged ? "yes" : "no");
                (void)snprintf(f->note, sizeof(f->note),
                        "after %s of waiting a job goes before all that have not aged",
                        duration_format(config->ageing_ns, text));
        }
        if (!j->aged && (config->policy == QUEUE_SJF || config->policy == QUEUE_SRTF)) {
                factor_duration(v);
        } else if (!j->aged && config->policy == QUEUE_PRIORITY) {
                f = factor_add(v->x, "priority");
                (void)snprintf(f->value, sizeof(f->value), "%u", j->spec.priority);
                (void)snprintf(
                        f->note, sizeof(f->note), "0 to %d, the highest goes first", QUEUE_PRIORITY_MAX);
        } else if (!j->aged && config->policy == QUEUE_FAIR) {
                factor_usage(v);
        }
        f = factor_add(v->x, "arrival");
        (void)snprintf(f->value, sizeof(f->value), "%s", wall_time_format(j->spec.submitted, when));
        (void)snprintf(f->note, sizeof(f->note), "job %ju", (uintmax_t)j->spec.number);
}

/* ---- when ---- */

static const struct reservation *reservation_of(const struct queue *q, uint64_t number)
{
        for (size_t i = 0; i < q->reservation_count; i++)
                if (q->reservations[i]->job == number && !q->reservations[i]->run)
                        return q->reservations[i];
        return NULL;
}

static uint64_t expected_start(struct view *v)
{
        struct queue_explanation *x = v->x;
        const struct reservation *r = reservation_of(v->q, v->job->spec.number);

        if (x->reason == QUEUE_REASON_BACKOFF)
                return MAX(x->when.ns, x->now.ns);
        if (x->reason == QUEUE_REASON_VOLUME_IN_USE && v->volume_user && v->volume_user->end_ns != TIME_NEVER)
                return MAX(v->volume_user->end_ns, x->now.ns);
        if (x->reason != QUEUE_REASON_BEHIND && x->reason != QUEUE_REASON_RESOURCES &&
                x->reason != QUEUE_REASON_NO_OFFERS)
                return TIME_NEVER;
        if (!r)
                return v->brief ? TIME_NEVER : forecast_start(v->q, v->job, x->now.ns);
        x->reserved = true;
        if (r->place->host != NO_HOST)
                (void)snprintf(
                        x->nearest, sizeof(x->nearest), "%s", place_host(v->q, r->place)->machine->hostname);
        return r->at_ns == TIME_NEVER ? TIME_NEVER : MAX(r->at_ns, x->now.ns);
}

static void set_times(struct view *v, uint64_t start)
{
        struct queue_explanation *x = v->x;

        x->expected_duration_ns = queue_job_duration(v->job);
        x->has_expected_start = start != TIME_NEVER;
        if (!x->has_expected_start)
                return;
        x->expected_start.ns = start;
        x->has_expected_end = x->expected_duration_ns > 0 && x->expected_duration_ns < TIME_NEVER - start;
        if (x->has_expected_end)
                x->expected_end.ns = start + x->expected_duration_ns;
}

static void add_victim(struct queue_explanation *x, const struct run *r, enum queue_decision_kind how)
{
        if (x->victim_count == QUEUE_VICTIMS_MAX)
                return;
        x->victims[x->victim_count].job = r->key.job->spec.number;
        x->victims[x->victim_count].index = (uint32_t)r->key.index;
        x->victims[x->victim_count++].how = how;
}

static void plan_victims(struct view *v)
{
        uint64_t start = v->x->has_expected_start ? v->x->expected_start.ns : TIME_NEVER;
        uint64_t look_again = v->q->look_again_ns;
        size_t from = v->q->preempt_from;
        struct search s;
        struct victims plan;

        v->q->victims_looked = 0;
        search_start(&s, v->q, v->job, v->x->now.ns);
        preempt_plan(&s, start, queue_job_is_gang(v->job) ? queue_job_takes(v->job) : 1, &plan);
        for (size_t i = 0; i < plan.count; i++)
                add_victim(v->x, plan.items[i].run, plan.items[i].how);
        v->q->look_again_ns = look_again;
        v->q->preempt_from = from;
        search_done(&s);
        free(plan.items);
}

static void explain(
        struct queue *q, struct job *j, struct wall_time now, bool brief, struct queue_explanation *ret)
{
        struct view v = {.q = q, .job = j, .x = ret, .brief = brief, .window_end_ns = TIME_NEVER};

        memset(ret, 0, sizeof(*ret));
        ret->now.ns = MAX(now.ns, q->now.ns);
        hosts_refresh(q);
        ret->rank = j->waiting > 0 ? order_rank(q, j, ret->now.ns) + 1 : 0;
        ret->jobs = q->jobs_waiting;
        look_at_machines(&v, ret->now.ns);
        if (!reason_of_state(&v) && !reason_of_machines(&v)) {
                reason_of_room(&v);
                set_times(&v, expected_start(&v));
                if (ret->reason == QUEUE_REASON_RESOURCES && !brief)
                        plan_victims(&v);
                /* Its gain was reckoned from the time without them. */
                if (ret->victim_count > 0)
                        set_times(&v, ret->now.ns);
        } else {
                set_times(&v, expected_start(&v));
        }
        if (j->waiting > 0 && !brief)
                add_factors(&v);
}

int queue_explain(const struct queue *q, uint64_t number, struct wall_time now, struct queue_explanation *ret)
{
        struct job *j = queue_job_find(q, number);

        if (!j)
                return -ENOENT;
        explain((struct queue *)q, j, now, /* brief= */ false, ret);
        return 0;
}

/* Tasks of the job for which the machine has room, with what could be offered there. */
static uint64_t tasks_supplied(
        struct search *s, uint32_t host, const struct queue_supply *supply, uint64_t wanted)
{
        const struct host *h = &s->q->hosts[host];
        const struct shape *shape = s->job->shape;
        _cleanup_resources_ struct resources more = {};
        struct quantities free;

        if (!set_holds(shape->key.set, host) || !quantities_within(&shape->key.need, &h->total) ||
                !window_allows(h->machine, s->now_ns, s->end_ns) || !search_distinct(s, host))
                return 0;
        supply->on(supply->userdata, h->machine->id, &more);
        quantities_available(&s->q->names, &more, &free);
        if (h->place)
                quantities_add(&free, &h->place->free_amounts);
        return quantities_times(&free, &shape->key.need, wanted);
}

/* Nobody goes before it, and what it needs can be offered. Of a gang on distinct machines that is not found out. */
static void starts_at_once(
        struct queue *q, struct job *j, const struct queue_supply *supply, struct queue_explanation *x)
{
        uint64_t wanted = queue_job_is_gang(j) ? queue_job_takes(j) : 1, found = 0;
        struct search s;

        if ((x->reason != QUEUE_REASON_NO_OFFERS && x->reason != QUEUE_REASON_RESOURCES) ||
                x->blocking_job > 0 || q->reservation_count > 0 ||
                (wanted > 1 && j->shape->key.set->distinct))
                return;
        search_start(&s, q, j, x->now.ns);
        x->machines_free = 0;
        for (uint32_t i = 0; i < q->host_count; i++) {
                uint64_t n = tasks_supplied(&s, i, supply, wanted);

                x->machines_free += n > 0;
                found += n;
        }
        search_done(&s);
        if (found < wanted)
                return;
        x->reason = QUEUE_REASON_NONE;
        x->detail[0] = x->nearest[0] = 0;
        x->missing_milli = 0;
        x->victim_count = 0;
        x->has_expected_start = true;
        x->expected_start = x->now;
        x->has_expected_end = x->expected_duration_ns > 0;
        x->expected_end.ns = x->now.ns + x->expected_duration_ns;
}

void queue_plan(struct queue *q, const struct queue_job *job, struct wall_time now,
        const struct queue_supply *supply, struct queue_explanation *ret)
{
        struct wall_time before = q->now;
        struct job *j;
        int r;

        memset(ret, 0, sizeof(*ret));
        j = queue_add(q, job, &r);
        if (!j)
                return;
        queue_tasks_wait(q, job->number, 0, job->count, (struct wall_time){});
        explain(q, j, now, /* brief= */ false, ret);
        if (supply)
                starts_at_once(q, j, supply, ret);
        queue_drop(q, j);
        q->now = before;
}

char *queue_pending_reason(const struct queue *q, uint64_t number, struct wall_time now)
{
        struct job *j = queue_job_find(q, number);
        struct queue_explanation x;

        if (!j)
                return NULL;
        explain((struct queue *)q, j, now, /* brief= */ true, &x);
        return queue_explanation_sentence(&x, &j->spec);
}

/* ---- all of them ---- */

void queue_each_job(struct queue *q, struct wall_time now,
        bool (*each)(const struct queue_job *job, uint32_t waiting, void *userdata), void *userdata)
{
        struct cursor c;
        struct job *j, *next;
        bool more = true;

        cursor_start(&c, q, MAX(now.ns, q->now.ns));
        while (more && (j = cursor_job(&c))) {
                more = each(&j->spec, j->waiting, userdata);
                cursor_pass(&c, j);
        }
        cursor_done(&c);
        /* Those that cannot run now have no place among the others: by arrival. */
        HASH_ITER (hh, q->jobs, j, next)
                if (more && j->where != JOB_ORDERED)
                        more = each(&j->spec, j->waiting, userdata);
}
