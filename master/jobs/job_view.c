#include <stdlib.h>

#include "master/jobs/jobs.h"

Mete__Api__Task *task_view(const struct job *j, uint32_t index, struct task_view *view)
{
        const Mete__Api__JobSpec *spec = j->spec;
        Mete__Api__Task *t = &view->task;

        if (j->tasks[index])
                return j->tasks[index]->api;
        mete__api__task__init(t);
        (void)snprintf(view->id, sizeof(view->id), "%s.%u", j->id, index);
        t->task_id = view->id;
        t->job_id = (char *)j->id;
        t->name = spec->name;
        t->state = METE__V1__TASK_STATE__TASK_STAGING;
        t->has_submitted = true;
        t->submitted = j->submitted;
        t->has_cpus = t->has_cpus_limit = t->has_memory_bytes = t->has_memory_limit_bytes = true;
        t->cpus = spec->cpus;
        t->cpus_limit = spec->cpus_limit;
        t->memory_bytes = spec->memory_bytes;
        t->memory_limit_bytes = spec->memory_limit_bytes;
        t->user = j->user;
        t->has_array_index = spec->array != NULL;
        t->array_index = spec->array ? spec->array->first + index * spec->array->step : 0;
        return t;
}

/* Why it waits; of what keeps it waiting for ever, as things are, it is warned too. */
static void explain(const struct job *j, struct job_view *ret)
{
        struct queue_explanation x;

        if (!j->queued || j->classes[JOB_TASK_QUEUED] == 0 ||
                queue_explain(j->queue->queue, j->number, wall_now(), &x) < 0)
                return;
        ret->reason = queue_explanation_sentence(&x, queue_find_job(j->queue->queue, j->number));
        ret->job.pending_reason = ret->reason;
        if (!ret->reason || !queue_reason_lasts(x.reason))
                return;
        ret->warnings[0] = ret->reason;
        ret->job.warnings = ret->warnings;
        ret->job.n_warnings = 1;
}

void job_view_plain(const struct job *j, struct job_view *ret)
{
        Mete__Api__Job *job = &ret->job;

        *ret = (struct job_view){};
        mete__api__job__init(job);
        job->job_id = (char *)j->id;
        ret->spec = *j->spec;
        job->spec = &ret->spec;
        job->state = j->state;
        job->has_submitted = true;
        job->submitted = j->submitted;
        job->has_finished = job_ended(j);
        job->finished = j->finished;
        job->user = j->user;
        job->has_held = job->held = j->held;
}

void job_view(const struct job *j, size_t max_tasks, bool with_environment, struct job_view *ret)
{
        size_t n = MIN(max_tasks, (size_t)j->count);
        Mete__Api__Job *job = &ret->job;

        job_view_plain(j, ret);
        if (!with_environment)
                ret->spec.n_environment = 0;
        explain(j, ret);
        job->has_tasks_suspended = true;
        job->tasks_suspended = j->suspended;
        job->has_tasks_queued = job->has_tasks_running = job->has_tasks_finished = job->has_tasks_failed =
                true;
        job->tasks_queued = j->classes[JOB_TASK_QUEUED];
        job->tasks_running = j->classes[JOB_TASK_LIVE];
        job->tasks_finished = j->classes[JOB_TASK_FINISHED];
        job->tasks_failed = j->classes[JOB_TASK_FAILED] + j->classes[JOB_TASK_KILLED];
        if (n == 0)
                return;
        ret->queued = xcalloc(n, sizeof(*ret->queued));
        job->tasks = xcalloc(n, sizeof(*job->tasks));
        job->n_tasks = n;
        for (size_t i = 0; i < n; i++)
                job->tasks[i] = task_view(j, (uint32_t)i, &ret->queued[i]);
}

void job_view_done(struct job_view *v)
{
        free(v->job.tasks);
        free(v->queued);
        free(v->reason);
        *v = (struct job_view){};
}
