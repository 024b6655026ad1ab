/* EXPLAIN and PLAN: why a job waits, and when it starts. */

#include <stdlib.h>
#include <string.h>

#include "lib/base/table.h"
#include "master/api/explanation.h"
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
        explanation_ask_allocator(e, m, jq, job);
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
        explanation_see_others(c->master, j->queue, job, &e.x);
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
        explanation_see_others(c->master, jq, &job, &e.x);
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
