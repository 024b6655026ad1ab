/* One pass: jobs in order onto what is offered, suspended tasks in their turn, and what becomes of offers that nobody took. */
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "master/queue/queue_internal.h"

struct pass {
        struct queue *q;
        uint64_t now_ns;
        struct cursor cursor;
        struct run **suspended; /* in the order in which they go on */
        size_t suspended_count, resumed;
        size_t launches, behind; /* jobs looked at behind the head */
        bool more;
};

struct queue_decision *decision_add(
        struct queue *q, enum queue_decision_kind kind, uint64_t job, uint32_t index)
{
        struct queue_decisions *d = q->decisions;

        if (d->count == d->capacity) {
                d->capacity = MAX(d->capacity * 2, (size_t)16);
                d->items = xrealloc(d->items, d->capacity * sizeof(*d->items));
        }
        d->items[d->count] = (struct queue_decision){.kind = kind, .job = job, .index = index};
        return &d->items[d->count++];
}

void queue_decisions_done(struct queue_decisions *d)
{
        for (size_t i = 0; i < d->count; i++)
                resources_done(&d->items[i].resources);
        free(d->items);
        *d = (struct queue_decisions){};
}

/* ---- onto offers ---- */

/* The decision names all offers of the machine; what is taken is no longer free there. */
static void use_place(struct queue *q, struct place *p, struct queue_decision *d, struct resources *taken)
{
        struct quantities left;

        d->offer = p->offers->number;
        for (const struct offer *o = p->offers->place_next; o; o = o->place_next)
                d->merged[d->merged_count++] = o->number;
        d->resources = *taken;
        p->used = true;
        quantities_available(&q->names, &p->free, &left);
        place_free_changed(q, p, &left);
}

static void launch(struct pass *pass, struct search *s, struct place *p)
{
        struct queue *q = pass->q;
        struct job *j = s->job;
        uint32_t index = queue_job_take_first(q, j);
        struct queue_decision *d = decision_add(q, QUEUE_LAUNCH, j->spec.number, index);
        struct resources taken;

        quantities_take(&p->free, &j->spec.size, j->spec.ports, j->spec.cores, &taken);
        place_take_volumes(p, j->shape->key.set, &taken);
        use_place(q, p, d, &taken);
        reservations_charge(p, &j->shape->key.need, s->end_ns);
        search_count(s, p, 1);
        (void)run_new(q, j, index, p, &taken, pass->now_ns);
        pass->launches++;
}

/* All of its tasks, or none. */
static bool launch_gang(struct pass *pass, struct search *s)
{
        struct queue *q = pass->q;
        uint32_t wanted = queue_job_takes(s->job), found;
        struct place **places = xcalloc(wanted, sizeof(struct place *));
        const struct quantities *need = &s->job->shape->key.need;

        for (found = 0; found < wanted; found++) {
                struct place *p = search_place(s);
                struct quantities left;

                if (!p)
                        break;
                left = p->free_amounts;
                quantities_subtract(&left, need);
                place_free_changed(q, p, &left);
                reservations_charge(p, need, s->end_ns);
                search_count(s, p, 1);
                places[found] = p;
        }
        for (uint32_t i = 0; i < found; i++) {
                struct quantities back = places[i]->free_amounts;

                quantities_add(&back, need);
                place_free_changed(q, places[i], &back);
                reservations_refund(places[i], need, s->end_ns);
                search_count(s, places[i], -1);
        }
        for (uint32_t i = 0; found == wanted && i < found; i++)
                launch(pass, s, places[i]);
        free(places);
        return found == wanted;
}

/* A cheap look before the dear one: a gang may have very many tasks. */
static bool gang_could_fit(struct queue *q, const struct job *j)
{
        uint64_t found = 0, wanted = queue_job_takes(j);

        for (uint32_t i = 0; i < q->host_count && found < wanted; i++) {
                const struct place *p = q->hosts[i].place;

                if (p && p->in_tree && set_holds(j->shape->key.set, i))
                        found += quantities_times(&p->free_amounts, &j->shape->key.need,
                                j->shape->key.set->distinct ? 1 : wanted - found);
        }
        return found >= wanted;
}

/* True: there is nothing left of it to start now. */
static bool launch_job(struct pass *pass, struct search *s)
{
        struct job *j = s->job;
        bool one_by_one = pass->q->config.policy == QUEUE_FAIR && pass->cursor.aged_done;
        size_t before = pass->launches;
        struct place *p = NULL;
        bool done;

        if (queue_job_is_gang(j)) {
                set_refresh(pass->q, j->shape->key.set);
                done = gang_could_fit(pass->q, j) && launch_gang(pass, s);
        } else {
                while (queue_job_takes(j) > 0 && pass->launches < PASS_LAUNCHES_MAX &&
                        (p = search_place(s)) != NULL) {
                        launch(pass, s, p);
                        if (one_by_one)
                                break;
                }
                done = p != NULL;
        }
        if (pass->launches > before) {
                queue_job_changed(pass->q, j);
                cursor_charge(&pass->cursor, j);
        }
        return done || queue_job_takes(j) == 0;
}

/* ---- suspended tasks ---- */

static uint64_t run_order(const struct queue *q, const struct run *r)
{
        switch (r->aged ? QUEUE_FIFO : q->config.policy) {
        case QUEUE_SRTF:
                return run_remaining_ns(q, r, q->now.ns);
        case QUEUE_SJF:
        case QUEUE_PRIORITY:
                return order_key(q, r->key.job);
        default:
                return 0;
        }
}

static int compare_suspended(const void *a, const void *b, void *queue)
{
        const struct run *x = *(struct run *const *)a, *y = *(struct run *const *)b;
        uint64_t kx = run_order(queue, x), ky = run_order(queue, y);

        if (x->aged != y->aged)
                return x->aged ? -1 : 1;
        if (kx != ky)
                return kx < ky ? -1 : 1;
        if (x->key.job != y->key.job)
                return x->key.job->spec.number < y->key.job->spec.number ? -1 : 1;
        return x->key.index < y->key.index ? -1 : x->key.index > y->key.index;
}

static void collect_suspended(struct pass *pass)
{
        struct queue *q = pass->q;
        struct run *r;
        size_t count = 0;

        DL_FOREACH2(q->suspended, r, suspended_next)
        count++;
        pass->suspended = xcalloc(count + 1, sizeof(struct run *));
        DL_FOREACH2(q->suspended, r, suspended_next)
        {
                if (r->key.job->spec.held)
                        continue;
                /* Who is frozen waits too, and so ages. */
                if (q->config.ageing_ns > 0 && pass->now_ns > r->suspended_ns &&
                        pass->now_ns - r->suspended_ns >= q->config.ageing_ns)
                        r->aged = true;
                pass->suspended[pass->suspended_count++] = r;
        }
        qsort_r(pass->suspended, pass->suspended_count, sizeof(struct run *), compare_suspended, q);
}

static void resume(struct pass *pass, struct run *r)
{
        struct queue *q = pass->q;
        struct place *p = r->place;
        uint64_t remaining = run_remaining_ns(q, r, pass->now_ns);
        uint64_t end = remaining == TIME_NEVER ? TIME_NEVER : pass->now_ns + remaining;
        struct queue_decision *d;
        struct resources taken;

        if (!p->offers || resources_subtract(&p->free, &r->missing) < 0) {
                (void)reserve_for_run(q, r, pass->now_ns);
                return;
        }
        if (!reservations_allow(p, &r->need, end)) {
                resources_add(&p->free, &r->missing);
                return;
        }
        resources_copy(&r->missing, &taken);
        d = decision_add(q, QUEUE_RESUME, r->key.job->spec.number, (uint32_t)r->key.index);
        use_place(q, p, d, &taken);
        reservations_charge(p, &r->need, end);
        run_resume(q, r, pass->now_ns);
        r->resuming = true;
}

/* Those that the job does not go before; without a job all that are left. */
static void resume_before(struct pass *pass, const struct job *j)
{
        while (pass->resumed < pass->suspended_count) {
                struct run *r = pass->suspended[pass->resumed];

                if (j && order_goes_before(pass->q, j, r, pass->now_ns))
                        return;
                pass->resumed++;
                resume(pass, r);
        }
}

/* ---- jobs ---- */

/*
 * It found no place for all that it could start. The first such job gets a reservation. Who waits for a volume does not: its place is
 * where somebody uses that, and what that one leaves when it ends is enough for most; until then others may use what is free.
 */
static void job_is_left(struct pass *pass, struct search *s)
{
        struct queue *q = pass->q;
        uint64_t at = TIME_NEVER;

        if (!volumes_somewhere(q, s->job->shape->key.set)) {
                pass->behind++;
                cursor_pass(&pass->cursor, s->job);
                return;
        }
        if (q->head == 0) {
                q->head = s->job->spec.number;
                at = reserve_for_job(s);
        } else {
                pass->behind++;
                if (s->job->preempting > 0)
                        (void)reserve_for_job(s);
                else if (preempt_looks(q))
                        at = earliest_start(s);
        }
        (void)preempt_for(s, at);
        cursor_pass(&pass->cursor, s->job);
}

/* No machine could hold it: it blocks nobody. */
static bool skip_impossible(struct pass *pass, struct job *j)
{
        if (!shape_possible(pass->q, j->shape)) {
                cursor_pass(&pass->cursor, j);
                queue_job_changed(pass->q, j);
                return true;
        }
        if (queue_job_is_gang(j) && !gang_possible(pass->q, j)) {
                cursor_pass(&pass->cursor, j);
                return true;
        }
        return false;
}

static bool cut_short(struct pass *pass)
{
        const struct queue *q = pass->q;

        if (pass->launches >= PASS_LAUNCHES_MAX || q->matches > PASS_MATCHES_MAX)
                return true;
        /* Impossible jobs that were sorted out are progress too, but what was only looked at would be looked at again. */
        return q->visits > PASS_VISITS_MAX && pass->launches > 0;
}

static bool looked_far_enough(const struct pass *pass)
{
        const struct queue *q = pass->q;

        return q->head != 0 && (pass->behind >= q->config.backfill_max || q->visits > PASS_VISITS_MAX);
}

static void place_jobs(struct pass *pass)
{
        struct job *j;

        for (;;) {
                struct search s;

                j = cursor_job(&pass->cursor);
                resume_before(pass, j);
                if (!j || looked_far_enough(pass))
                        break;
                if (cut_short(pass)) {
                        pass->more = true;
                        break;
                }
                if (skip_impossible(pass, j))
                        continue;
                search_start(&s, pass->q, j, pass->now_ns);
                if (!launch_job(pass, &s) && pass->launches < PASS_LAUNCHES_MAX)
                        job_is_left(pass, &s);
                search_done(&s);
        }
        /* Behind the last job that was looked at nobody is in the way of those that are frozen. */
        if (!pass->more)
                resume_before(pass, NULL);
}

/* Machines have changed: shapes that were impossible may be possible now. */
static bool unpark_some(struct queue *q)
{
        struct shape *s, *next;

        DL_FOREACH_SAFE2(q->parked, s, next, next_parked)
        {
                if (s->checked == q->generation)
                        continue;
                if (q->visits > PASS_VISITS_MAX || q->matches > PASS_MATCHES_MAX)
                        return false;
                if (!shape_possible(q, s))
                        continue;
                for (size_t i = 0; s->parked && i < PASS_DUE_MAX; i++)
                        queue_job_changed(q, s->parked);
                if (s->references > 0 && s->parked)
                        return false;
        }
        return true;
}

/* ---- offers that are left ---- */

static bool is_held_for_somebody(const struct place *p)
{
        return p->host != NO_HOST && p->reserved;
}

static void give_back(struct queue *q, struct offer *o, uint64_t refuse_ns)
{
        struct queue_decision *d = decision_add(q, QUEUE_DECLINE, 0, 0);

        d->offer = o->number;
        d->refuse_ns = refuse_ns;
        held_offer_free(q, o);
}

static bool gives_way(const struct place *p)
{
        for (uint32_t i = 0; i < p->run_count; i++)
                if (p->runs[i]->giving_way)
                        return true;
        return false;
}

/* Time to hold begins with the first that is held, and ends for all at once. Where somebody gives way it goes on: that is soon over. */
static bool may_hold(struct queue *q, const struct place *p, uint64_t now_ns)
{
        if (!is_held_for_somebody(p))
                return false;
        if (now_ns >= q->hold_again_ns) {
                q->hold_ends_ns = now_ns + HOLD_NS;
                q->hold_again_ns = q->hold_ends_ns + DECLINE_NS;
        }
        if (now_ns >= q->hold_ends_ns)
                return gives_way(p);
        q->holds = true;
        return true;
}

/* What would be held again at a later time is refused up to then. */
static uint64_t refusal(const struct queue *q, const struct place *p, uint64_t now_ns)
{
        return is_held_for_somebody(p) ? q->hold_again_ns - now_ns : DECLINE_NS;
}

static void end_offers(struct pass *pass, struct place *p)
{
        struct queue *q = pass->q;

        if (!p->used && (pass->more || may_hold(q, p, pass->now_ns)))
                return;
        p->known = true;
        p->last_free = p->free_amounts;
        while (p->offers) {
                if (p->used)
                        held_offer_free(q, p->offers);
                else
                        give_back(q, p->offers, refusal(q, p, pass->now_ns));
        }
}

/*
 * A machine in more pieces than one decision can name: all of them go back, also those that are held for somebody, and come as one. Held
 * for ever they would keep a task from what is there.
 */
static void give_back_pieces(struct queue *q, struct place *p)
{
        while (p->surplus)
                give_back(q, p->surplus, 0);
        while (p->offers)
                give_back(q, p->offers, 0);
}

static void finish_offers(struct pass *pass)
{
        struct place *p, *next;

        HASH_ITER (hh, pass->q->places, p, next) {
                if (p->surplus && !p->used)
                        give_back_pieces(pass->q, p);
                else if (p->offers)
                        end_offers(pass, p);
                while (p->surplus)
                        give_back(pass->q, p->surplus, 0);
                p->used = false;
        }
}

static bool is_launch(const struct queue_decision *d)
{
        return d->kind == QUEUE_LAUNCH || d->kind == QUEUE_RESUME;
}

static int compare_decisions(const void *a, const void *b)
{
        const struct queue_decision *x = a, *y = b;

        if (is_launch(x) != is_launch(y))
                return is_launch(x) ? -1 : 1;
        if (!is_launch(x) && x->kind != y->kind)
                return (int)x->kind - (int)y->kind;
        if (x->offer != y->offer)
                return x->offer < y->offer ? -1 : 1;
        if (x->job != y->job)
                return x->job < y->job ? -1 : 1;
        return x->index < y->index ? -1 : x->index > y->index;
}

void queue_schedule(struct queue *q, struct wall_time now, struct queue_decisions *ret)
{
        struct pass pass = {.q = q};

        *ret = (struct queue_decisions){};
        q->now.ns = MAX(q->now.ns, now.ns);
        pass.now_ns = q->now.ns;
        q->decisions = ret;
        q->pass++;
        q->visits = q->matches = q->preemptors = q->victims_looked = 0;
        q->head = 0;
        q->look_again_ns = TIME_NEVER;
        q->holds = false;
        reservations_clear(q);
        hosts_refresh(q);
        pass.more = !order_due(q, pass.now_ns) | !unpark_some(q);
        cursor_start(&pass.cursor, q, pass.now_ns);
        collect_suspended(&pass);
        place_jobs(&pass);
        finish_offers(&pass);
        cursor_done(&pass.cursor);
        free(pass.suspended);
        if (ret->count > 1)
                qsort(ret->items, ret->count, sizeof(*ret->items), compare_decisions);
        ret->more = pass.more;
        q->decisions = NULL;
}
