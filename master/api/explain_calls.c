/*
 * Why a job waits, and when it starts. The queue knows its order and the machines; what only the allocator knows comes from there: a
 * quota that its role has reached, or a role that goes before it.
 */

#include <stdlib.h>
#include <string.h>

#include "lib/base/table.h"
#include "master/api/api.h"
#include "master/operator/standing.h"

static const char *const reason_names[] = {
        [QUEUE_REASON_NONE] = "NONE",
        [QUEUE_REASON_HELD] = "HELD",
        [QUEUE_REASON_DEPENDENCY] = "DEPENDENCY",
        [QUEUE_REASON_BACKOFF] = "BACKOFF",
        [QUEUE_REASON_PARALLEL] = "PARALLEL",
        [QUEUE_REASON_NO_MACHINES] = "NO_MACHINES",
        [QUEUE_REASON_CONSTRAINTS] = "CONSTRAINTS",
        [QUEUE_REASON_TOO_LARGE] = "TOO_LARGE",
        [QUEUE_REASON_GANG_TOO_LARGE] = "GANG_TOO_LARGE",
        [QUEUE_REASON_BEHIND] = "BEHIND",
        [QUEUE_REASON_RESOURCES] = "RESOURCES",
        [QUEUE_REASON_NO_OFFERS] = "NO_OFFERS",
        [QUEUE_REASON_MAINTENANCE] = "MAINTENANCE",
        [QUEUE_REASON_NO_VOLUME] = "NO_VOLUME",
        [QUEUE_REASON_VOLUME_IN_USE] = "VOLUME_IN_USE",
        [QUEUE_REASON_SUSPENDED] = "SUSPENDED",
        [QUEUE_REASON_QUOTA] = "QUOTA",
        [QUEUE_REASON_DISTINCT] = "DISTINCT",
};

/* The answer with what it points to. */
struct explanation {
        Mete__Api__Explanation view;
        struct queue_explanation x;
        Mete__Api__Factor factors[QUEUE_FACTORS_MAX], *factor_list[QUEUE_FACTORS_MAX];
        Mete__Api__Explanation__Victim victims[QUEUE_VICTIMS_MAX], *victim_list[QUEUE_VICTIMS_MAX];
        char victim_ids[QUEUE_VICTIMS_MAX][TASK_ID_MAX];
        char blocking_job[JOB_ID_MAX];
        char *sentence, *limiting_role; /* owned */
        char *warnings[1];
};

static void explanation_done(struct explanation *e)
{
        free(e->sentence);
        free(e->limiting_role);
}

#define SET(view, field, value) ((view)->has_##field = true, (view)->field = (value))

/* ---- what the queue says ---- */

static void fill_order(struct explanation *e)
{
        const struct queue_explanation *x = &e->x;
        Mete__Api__Explanation *v = &e->view;

        if (x->rank > 0)
                SET(v, rank, x->rank);
        SET(v, jobs_waiting, x->jobs);
        v->factors = e->factor_list;
        for (; v->n_factors < x->factor_count; v->n_factors++) {
                Mete__Api__Factor *f = e->factor_list[v->n_factors] = &e->factors[v->n_factors];

                mete__api__factor__init(f);
                f->name = (char *)x->factors[v->n_factors].name;
                f->value = (char *)x->factors[v->n_factors].value;
                f->note = *x->factors[v->n_factors].note ? (char *)x->factors[v->n_factors].note : NULL;
        }
}

static void fill_victims(struct explanation *e)
{
        Mete__Api__Explanation *v = &e->view;

        v->victims = e->victim_list;
        for (; v->n_victims < e->x.victim_count; v->n_victims++) {
                size_t i = v->n_victims;
                Mete__Api__Explanation__Victim *victim = e->victim_list[i] = &e->victims[i];

                mete__api__explanation__victim__init(victim);
                (void)snprintf(e->victim_ids[i], sizeof(e->victim_ids[i]), "%ju.%u",
                        (uintmax_t)e->x.victims[i].job, e->x.victims[i].index);
                victim->task_id = e->victim_ids[i];
                victim->how = (char *)(e->x.victims[i].how == QUEUE_SUSPEND ? "suspend" : "requeue");
        }
}

static void fill_machines(struct explanation *e)
{
        const struct queue_explanation *x = &e->x;
        Mete__Api__Explanation *v = &e->view;

        SET(v, machines, x->machines);
        SET(v, machines_matching, x->machines_matching);
        SET(v, machines_large, x->machines_large);
        SET(v, machines_free, x->machines_free);
        if ((x->reason == QUEUE_REASON_RESOURCES || x->reason == QUEUE_REASON_TOO_LARGE) && *x->detail) {
                bool counted = str_equal(x->detail, "ports") || str_equal(x->detail, "cores");

                v->missing_resource = (char *)x->detail;
                if (x->missing_milli > 0)
                        SET(v, missing,
                                counted ? (double)x->missing_milli : milli_to_double(x->missing_milli));
        }
        if (*x->nearest)
                v->nearest = (char *)x->nearest;
}

static void fill_times(struct explanation *e, const Mete__Api__JobSpec *spec)
{
        const struct queue_explanation *x = &e->x;
        Mete__Api__Explanation *v = &e->view;

        SET(v, reserved, x->reserved);
        if (x->has_expected_start)
                SET(v, expected_start, wall_seconds(x->expected_start));
        if (x->has_expected_end)
                SET(v, expected_end, wall_seconds(x->expected_end));
        if (x->expected_duration_ns > 0)
                SET(v, expected_duration_seconds, (double)x->expected_duration_ns / 1e9);
        v->duration_source = (char *)(spec->has_duration_seconds    ? "declared"
                                      : x->expected_duration_ns > 0 ? "history"
                                                                    : "unknown");
        if (x->blocking_job == 0)
                return;
        (void)snprintf(e->blocking_job, sizeof(e->blocking_job), "%ju", (uintmax_t)x->blocking_job);
        v->blocking_job = e->blocking_job;
}

/* What keeps it waiting for ever, as things are. */
static void fill_warnings(struct explanation *e)
{
        if (!e->sentence || !queue_reason_lasts(e->x.reason))
                return;
        e->warnings[0] = e->sentence;
        e->view.warnings = e->warnings;
        e->view.n_warnings = 1;
}

/* ---- what only the allocator knows ---- */

/* What counts against the quota, without what the queues hold in offers: that is there for their jobs. */
static uint64_t used_of(const struct master *m, const struct allocator_role_view *role, const char *resource)
{
        uint64_t consumed = resources_scalar(role->consumed, resource), held = 0;

        for (const struct offer *o = m->queue_framework->offers; o; o = o->framework_next)
                if (role_is_within(o->role, role->name))
                        held += resources_plain_scalar(&o->resources, resource);
        return consumed - MIN(consumed, held);
}

/* Of the role or one above it, the first limit that leaves less than so many tasks need; unused: than they would need if nothing ran. */
static bool find_limit(const struct master *m, const char *role, const struct resources *size, uint64_t tasks,
        bool unused, struct allocator_quota *ret_quota, char **ret_role)
{
        _cleanup_free_ char *name = xstrdup(role);

        for (char *slash = name; slash; slash = strrchr(name, '/')) {
                struct allocator_role_view view;

                if (slash != name)
                        *slash = 0;
                if (allocator_role(m->allocator, name, &view))
                        for (size_t i = 0; i < view.quota_count; i++) {
                                const struct allocator_quota *q = &view.quotas[i];
                                uint64_t consumed = unused ? 0 : used_of(m, &view, q->name);
                                uint64_t need = resources_scalar(size, q->name) * tasks;

                                if (q->limit_milli == QUOTA_NO_LIMIT || need == 0 ||
                                        consumed + need <= q->limit_milli)
                                        continue;
                                *ret_quota = *q;
                                *ret_role = xstrdup(name);
                                return true;
                        }
        }
        return false;
}

struct owed {
        const char *resource, *role; /* whose tasks wait */
        uint64_t milli;
        char *found; /* owned: the role of which most of the guarantee is not met */
};

static void look_for_owed(const struct allocator_role_view *role, void *userdata)
{
        struct owed *o = userdata;

        if (role_is_within(o->role, role->name))
                return;
        for (size_t i = 0; i < role->quota_count; i++) {
                uint64_t guarantee = role->quotas[i].guarantee_milli;
                uint64_t consumed = resources_scalar(role->consumed, o->resource);

                if (!str_equal(role->quotas[i].name, o->resource) || guarantee <= consumed ||
                        guarantee - consumed <= o->milli)
                        continue;
                o->milli = guarantee - consumed;
                set_string(&o->found, role->name);
        }
}

/* Is there enough of everything, only that others have a right to it? */
static bool find_guarantee(const struct allocator *a, const char *role, const struct resources *size,
        char **ret_role, char **ret_sentence)
{
        for (size_t i = 0; i < size->count; i++) {
                const char *name = size->entries[i].name;
                uint64_t need = resources_scalar(size, name), left = allocator_unclaimed(a, role, name);
                uint64_t withheld = allocator_withheld(a, role, name);
                struct owed o = {.resource = name, .role = role};

                if (left >= need || left + withheld < need)
                        continue;
                allocator_each_role(a, look_for_owed, &o);
                if (!o.found)
                        continue;
                *ret_sentence = xasprintf("of %.10g %s that are free %.10g are kept for guarantees that are "
                                          "not met yet, of role %s above all: less is left than a task needs",
                        milli_to_double(left + withheld), name, milli_to_double(withheld), o.found);
                *ret_role = o.found;
                return true;
        }
        return false;
}

struct going_before {
        const char *role; /* ours */
        uint64_t share;
        char *found; /* owned: the role with the lowest share below ours */
};

static void look_for_lower(const struct allocator_role_view *role, void *userdata)
{
        struct going_before *g = userdata;

        if (role->frameworks == 0 || role_is_within(role->name, g->role) ||
                role_is_within(g->role, role->name) || role->share >= g->share)
                return;
        g->share = role->share;
        set_string(&g->found, role->name);
}

static void append_sentence(struct explanation *e, const char *text)
{
        char *longer = e->sentence ? xasprintf("%s; %s", e->sentence, text) : xstrdup(text);

        free(e->sentence);
        e->sentence = longer;
}

static bool is_open_to(const struct resource *entry, const void *role)
{
        return (!entry->traits || (!entry->traits->revocable && !entry->traits->volume_id)) &&
               resource_allocatable_to(entry, role);
}

static bool meets_constraints(const struct machine *m, const struct queue_job *job)
{
        for (size_t i = 0; i < job->constraint_count; i++)
                if (!constraint_holds(&job->constraints[i], m))
                        return false;
        return true;
}

/* Of what a task needs, the first scalar of which too little is free there, whoever has it; NULL: none. */
static const struct resource *lacking_on(
        const struct agent *a, const char *role, const struct queue_job *job, uint64_t *ret_milli)
{
        _cleanup_resources_ struct resources free = {}, open = {};

        resources_copy(&a->total, &free);
        if (resources_subtract(&free, &a->booked) < 0)
                return NULL; /* it has less than it gave away: what is free is not known */
        resources_filter(&free, is_open_to, role, &open);
        for (size_t i = 0; i < job->size.count; i++) {
                const struct resource *need = &job->size.entries[i];
                uint64_t have = resources_scalar(&open, need->name);

                if (need->kind != RESOURCE_SCALAR || have >= need->milli)
                        continue;
                *ret_milli = need->milli - have;
                return need;
        }
        return NULL;
}

/* A queue sees what it uses itself. What it was not offered may have gone to others: then it is that which is missing. */
static void see_what_others_use(const struct master *m, const struct job_queue *jq,
        const struct queue_job *job, struct queue_explanation *x)
{
        const struct resource *missing = NULL;
        const struct agent *nearest = NULL;

        if (x->reason != QUEUE_REASON_NO_OFFERS)
                return;
        for (const struct agent *a = m->agents; a; a = a->hh.next) {
                const struct machine *machine = machines_find(jq->all->machines, a->id);
                const struct resource *lacking;
                uint64_t milli = 0;

                if (!machine || machine->unusable || !meets_constraints(machine, job))
                        continue;
                lacking = lacking_on(a, jq->role, job, &milli);
                if (!lacking)
                        return;
                if (nearest && milli >= x->missing_milli)
                        continue;
                nearest = a;
                missing = lacking;
                x->missing_milli = milli;
        }
        if (!nearest)
                return;
        x->reason = QUEUE_REASON_RESOURCES;
        x->has_expected_start = x->has_expected_end = false; /* when others end is not known here */
        (void)snprintf(x->detail, sizeof(x->detail), "%s", missing->name);
        (void)snprintf(x->nearest, sizeof(x->nearest), "%s", nearest->info->hostname);
}

/* The machine that comes nearest may look free to who does not know what others are promised there. */
static void add_reserved(const struct master *m, const struct job_queue *jq, struct explanation *e)
{
        const struct agent *a = m->agents;
        const char *role = NULL;
        uint64_t milli = 0;

        while (a && !str_equal(a->info->hostname, e->x.nearest))
                a = a->hh.next;
        for (size_t i = 0; a && i < a->total.count; i++) {
                const struct resource *r = &a->total.entries[i];

                if (r->kind != RESOURCE_SCALAR || !str_equal(r->name, e->x.detail) ||
                        resource_allocatable_to(r, jq->role))
                        continue;
                milli += r->milli;
                role = r->traits->reservations[r->traits->reservation_count - 1].role;
        }
        if (milli > 0) {
                _cleanup_free_ char *text = xasprintf("of what %s has, %.10g %s are reserved for %s",
                        e->x.nearest, milli_to_double(milli), e->x.detail, role);

                append_sentence(e, text);
        }
}

/* A quota, its own or another one's: what the queue says of machines is not the reason then. */
static bool is_stopped_by_quota(const struct master *m, const struct job_queue *jq,
        const struct queue_job *job, struct explanation *e)
{
        bool lasting = e->x.reason == QUEUE_REASON_QUOTA;
        struct allocator_quota quota;
        char *sentence = NULL;

        if (find_limit(
                    m, jq->role, &job->size, job->gang ? job->count : 1, lasting, &quota, &e->limiting_role))
                sentence =
                        xasprintf("the quota of role %s allows %.10g of %s, and what is in use leaves less "
                                  "than %s",
                                e->limiting_role, milli_to_double(quota.limit_milli), quota.name,
                                job->gang ? "its tasks need at once" : "a task needs");
        else if (!find_guarantee(m->allocator, jq->role, &job->size, &e->limiting_role, &sentence))
                return false;
        e->view.limiting_role = e->limiting_role;
        if (lasting) {
                free(sentence);
                return true;
        }
        e->view.reason = (char *)"QUOTA";
        free(e->sentence);
        e->sentence = sentence;
        e->view.has_expected_start = e->view.has_expected_end = false; /* the queue knows of machines only */
        return true;
}

static void ask_allocator(const struct master *m, const struct job_queue *jq, const struct queue_job *job,
        struct explanation *e)
{
        struct going_before g = {.role = jq->role, .share = allocator_role_share(m->allocator, jq->role)};

        if (e->x.reason != QUEUE_REASON_RESOURCES && e->x.reason != QUEUE_REASON_NO_OFFERS &&
                e->x.reason != QUEUE_REASON_QUOTA &&
                (e->x.reason != QUEUE_REASON_NONE || !e->x.has_expected_start))
                return;
        if (is_stopped_by_quota(m, jq, job, e))
                return;
        if (e->x.reason != QUEUE_REASON_NO_OFFERS) {
                add_reserved(m, jq, e);
                return;
        }
        allocator_each_role(m->allocator, look_for_lower, &g);
        if (g.found) {
                _cleanup_free_ char *text = xasprintf(
                        "role %s has the lower share (%.3g %% against %.3g %%) and is offered first", g.found,
                        (double)g.share * 0x1p-40 * 100,
                        (double)allocator_role_share(m->allocator, jq->role) * 0x1p-40 * 100);

                append_sentence(e, text);
        }
        free(g.found);
}

/* ---- calls ---- */

static void respond(struct api_call *c, Mete__Api__Response__Type type, struct explanation *e)
{
        Mete__Api__Response response = METE__API__RESPONSE__INIT;

        e->view.sentence = e->sentence;
        response.type = type;
        response.explanation = &e->view;
        api_respond(c->req, c->codec, 200, &response.base);
}

static void fill(struct explanation *e, const struct master *m, const struct job_queue *jq,
        const struct queue_job *job, const Mete__Api__JobSpec *spec)
{
        Mete__Api__Explanation *v = &e->view;

        mete__api__explanation__init(v);
        v->reason = (char *)table_to_string(reason_names, ELEMENTSOF(reason_names), e->x.reason);
        v->queue = jq->name;
        v->role = jq->role;
        v->policy = (char *)queue_policy_to_string(queue_get_config(jq->queue)->policy);
        e->sentence = queue_explanation_sentence(&e->x, job);
        fill_order(e);
        fill_victims(e);
        fill_machines(e);
        fill_times(e, spec);
        fill_warnings(e);
        ask_allocator(m, jq, job, e);
}

static uint32_t suspended_by_owner(const struct job *j)
{
        uint32_t count = 0;

        for (uint32_t i = 0; i < j->count; i++)
                count += job_task_class(j, i) == JOB_TASK_LIVE && j->tasks[i]->suspended_by_user;
        return count;
}

static char *not_waiting_sentence(const struct job *j)
{
        uint32_t suspended = suspended_by_owner(j);

        if (job_ended(j))
                return xasprintf("job %s has ended", j->id);
        if (suspended > 0)
                return xasprintf("%u of its tasks %s suspended until `mete resume`, %u run", suspended,
                        suspended == 1 ? "is" : "are", j->classes[JOB_TASK_LIVE] - suspended);
        return xasprintf("none of its tasks waits: %u run", j->classes[JOB_TASK_LIVE]);
}

/* Nothing of it waits for the queue. */
static void respond_not_waiting(struct api_call *c, const struct job *j)
{
        struct explanation e = {};

        mete__api__explanation__init(&e.view);
        e.view.reason = (char *)"NONE";
        e.view.queue = j->queue->name;
        e.view.role = j->queue->role;
        e.sentence = not_waiting_sentence(j);
        respond(c, METE__API__RESPONSE__TYPE__EXPLAIN, &e);
        explanation_done(&e);
}

void call_explain(struct api_call *c)
{
        struct job *j = call_find_job(c, c->call->explain->job_id, "explain.job_id");
        const struct queue_job *job;
        struct explanation e = {};

        if (!j)
                return;
        job = job_ended(j) ? NULL : queue_find_job(j->queue->queue, j->number);
        if (!job || queue_explain(j->queue->queue, j->number, wall_now(), &e.x) < 0 ||
                e.x.reason == QUEUE_REASON_NONE) {
                respond_not_waiting(c, j);
                return;
        }
        see_what_others_use(c->master, j->queue, job, &e.x);
        fill(&e, c->master, j->queue, job, j->spec);
        respond(c, METE__API__RESPONSE__TYPE__EXPLAIN, &e);
        explanation_done(&e);
}

/* The checks are those of SUBMIT; what they refuse is named by its place in this call. */
static void refuse_plan(struct api_call *c, const struct api_error *x)
{
        static const char from[] = "submit.job", to[] = "plan.job";
        _cleanup_buffer_ struct buffer message = {}, field = {};
        const char *rest = x->message, *at;

        while ((at = strstr(rest, from))) {
                buffer_append(&message, rest, (size_t)(at - rest));
                buffer_puts(&message, to);
                rest = at + strlen(from);
        }
        buffer_puts(&message, rest);
        if (x->field)
                buffer_printf(&field, "%s%s", str_has_prefix(x->field, from) ? to : "",
                        str_has_prefix(x->field, from) ? x->field + strlen(from) : x->field);
        api_refuse(c->req, c->codec, x->status, field.data, "%s", message.data);
}

/* Jobs that have ended as was asked for are no longer waited for. */
static struct queue_dependency *dependencies(const struct jobs *js, const Mete__Api__JobSpec *spec)
{
        struct queue_dependency *after = xcalloc(spec->n_after + 1, sizeof(*after));

        for (size_t i = 0; i < spec->n_after; i++) {
                const struct job *of = NULL;

                if (parse_u64(spec->after[i]->job, UINT64_MAX, &after[i].job) >= 0)
                        of = job_by_number(js, after[i].job);
                after[i].satisfied = of && job_ended(of);
        }
        return after;
}

struct supply_source {
        const struct master *master;
        const char *role;
};

static bool is_for_role(const struct resource *entry, const void *role)
{
        return resource_allocatable_to(entry, role);
}

static void supply_on(void *userdata, const char *id, struct resources *ret)
{
        const struct supply_source *s = userdata;
        const struct agent *a = agent_find(s->master, id);
        const struct resources *free = a ? allocator_agent_free(s->master->allocator, id) : NULL;

        if (free && !agent_unusable(a))
                resources_filter(free, is_for_role, s->role, ret);
}

static void plan(struct api_call *c, const Mete__Api__JobSpec *spec)
{
        struct supply_source source = {c->master, NULL};
        struct jobs *js = c->master->jobs;
        const struct job_queue *jq = job_queue_find(js->queues, spec->queue);
        _cleanup_free_ struct queue_dependency *after = dependencies(js, spec);
        struct wall_time now = wall_now();
        struct explanation e = {};
        struct queue_job job;

        source.role = jq->role;
        job_spec_entry(spec, jq->role, js->next_number, c->peer.name, wall_seconds(now), after, &job);
        queue_plan(jq->queue, &job, now, &(struct queue_supply){supply_on, &source}, &e.x);
        see_what_others_use(c->master, jq, &job, &e.x);
        fill(&e, c->master, jq, &job, spec);
        if (!e.sentence)
                e.sentence = xstrdup("it would start now");
        respond(c, METE__API__RESPONSE__TYPE__PLAN, &e);
        explanation_done(&e);
        job_entry_done(&job);
}

void call_plan(struct api_call *c)
{
        Mete__Api__JobSpec *spec = message_copy(c->call->plan->job);
        _cleanup_api_error_ struct api_error refusal = {};

        if (job_spec_admit(c, spec, &refusal) < 0)
                refuse_plan(c, &refusal);
        else
                plan(c, spec);
        message_free(spec);
}
