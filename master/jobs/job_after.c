/*
 * Dependencies. A job knows who waits for it; when it ends they go on, or, when their condition can never hold any more, end too. What
 * was met is written in the batch of the end that met it.
 */

#include <stdlib.h>

#include "master/jobs/jobs.h"

typedef Mete__Api__JobSpec__Dependency__Condition condition;

bool job_condition_holds(condition c, Mete__Api__JobState state)
{
        bool succeeded = state == METE__API__JOB_STATE__JOB_FINISHED;

        return c == METE__API__JOB_SPEC__DEPENDENCY__CONDITION__ENDED ||
               (c == METE__API__JOB_SPEC__DEPENDENCY__CONDITION__FAILED ? !succeeded : succeeded);
}

static void edge_add(struct job *of, struct job *dependent, size_t at)
{
        struct job_edge *edge = NEW0(struct job_edge);

        edge->of = of;
        edge->dependent = dependent;
        edge->at = at;
        DL_APPEND(of->dependents, edge);
        dependent->edges[at] = edge;
}

int job_after_new(struct job *j, size_t *ret_at)
{
        const Mete__Api__JobSpec *spec = j->spec;

        if (spec->n_after == 0)
                return 0;
        if (!j->after) {
                j->after = xcalloc(spec->n_after, sizeof(*j->after));
                j->edges = xcalloc(spec->n_after, sizeof(*j->edges));
        }
        for (size_t i = 0; i < spec->n_after; i++) {
                struct job *of;

                j->after[i].job = job_number_of(spec->after[i]->job);
                of = job_by_number(j->master->jobs, j->after[i].job);
                if (j->after[i].satisfied)
                        continue;
                if (of && !job_ended(of)) {
                        edge_add(of, j, i);
                        continue;
                }
                if (!of || !job_condition_holds(spec->after[i]->condition, of->state)) {
                        *ret_at = i;
                        return -EINVAL;
                }
                j->after[i].satisfied = true;
        }
        return 0;
}

void job_after_free(struct job *j)
{
        struct job_edge *edge, *next;

        for (size_t i = 0; j->edges && i < j->spec->n_after; i++) {
                edge = j->edges[i];
                if (!edge)
                        continue;
                DL_DELETE(edge->of->dependents, edge);
                free(edge);
        }
        free(TAKE_PTR(j->edges));
        free(TAKE_PTR(j->after));
        DL_FOREACH_SAFE (j->dependents, edge, next) {
                edge->dependent->edges[edge->at] = NULL;
                free(edge);
        }
        j->dependents = NULL;
}

/* ---- an end ---- */

static const char *state_text(Mete__Api__JobState state)
{
        return state == METE__API__JOB_STATE__JOB_FINISHED ? "finished"
               : state == METE__API__JOB_STATE__JOB_KILLED ? "was killed"
                                                           : "failed";
}

static void tell(struct job *ended, struct job *j, size_t at, struct store_batch *b)
{
        condition c = j->spec->after[at]->condition;
        _cleanup_free_ char *why = NULL;

        if (job_ended(j))
                return;
        if (!job_condition_holds(c, ended->state)) {
                why = xasprintf("job %s, for which it waits, %s: it can never start", ended->id,
                        state_text(ended->state));
                job_fail_waiting(j, METE__V1__TASK_STATUS__REASON__REASON_TASK_KILLED_DURING_LAUNCH, why, b);
                return;
        }
        j->after[at].satisfied = true;
        if (j->queued)
                queue_satisfy(j->queue->queue, j->number, ended->number);
        job_put(j, b);
        job_queue_schedule(j->queue, /* fresh= */ true);
}

static void settle_one(struct job *ended, struct store_batch *b)
{
        while (ended->dependents) {
                struct job_edge *edge = ended->dependents;

                DL_DELETE(ended->dependents, edge);
                edge->dependent->edges[edge->at] = NULL;
                tell(ended, edge->dependent, edge->at, b);
                free(edge);
        }
}

/* A chain of jobs may be long: those that end in consequence wait in a list, not on the stack. */
void job_after_settle(struct job *j, struct store_batch *b)
{
        struct jobs *js = j->master->jobs;

        if (!j->dependents)
                return;
        j->settle_next = js->settling;
        js->settling = j;
        if (js->settle_runs)
                return;
        js->settle_runs = true;
        while (js->settling) {
                struct job *next = js->settling;

                js->settling = next->settle_next;
                settle_one(next, b);
        }
        js->settle_runs = false;
}

static size_t count_satisfied(const struct job *j)
{
        size_t n = 0;

        for (size_t i = 0; j->after && i < j->spec->n_after; i++)
                n += j->after[i].satisfied;
        return n;
}

void jobs_after_recovered(struct jobs *js, struct store_batch *b)
{
        struct job *j, *next;

        HASH_ITER (hh, js->by_number, j, next) {
                _cleanup_free_ char *why = NULL;
                size_t at = 0, before = count_satisfied(j);

                if (job_ended(j))
                        continue;
                if (job_after_new(j, &at) >= 0) {
                        /* By one that failed just now: it will be forgotten, what it met must not be. */
                        if (count_satisfied(j) != before)
                                job_put(j, b);
                        continue;
                }
                why = xasprintf("what became of job %s, for which it waits, is not known any more",
                        j->spec->after[at]->job);
                job_fail_waiting(j, METE__V1__TASK_STATUS__REASON__REASON_TASK_KILLED_DURING_LAUNCH, why, b);
        }
}
