/* What is submitted, or only planned, must be possible here and now: the same checks for both. */

#include <stdlib.h>

#include "lib/base/utf8.h"
#include "master/api/api.h"

#define F "submit.job."

static int check_deadline(const Mete__Api__JobSpec *spec, struct api_error *x)
{
        double now = wall_seconds_now();

        if (!spec->has_deadline || spec->deadline > now)
                return 0;
        return api_error_set(x, 400, F "deadline",
                F "deadline: %.10g is %.10g seconds ago: a time to come is expected, in seconds since 1970",
                spec->deadline, now - spec->deadline);
}

static int check_queue(const struct jobs *js, const Mete__Api__JobSpec *spec, struct api_error *x)
{
        _cleanup_free_ char *text = NULL;

        if (job_queue_find(js->queues, spec->queue))
                return 0;
        text = text_for_message(spec->queue, 64);
        return api_error_set(x, 400, F "queue",
                F "queue: there is no queue '%s': one of those that LIST_QUEUES names is expected", text);
}

static int check_room(const struct jobs *js, uint32_t count, struct api_error *x)
{
        if (js->live_count >= JOBS_LIVE_MAX)
                return api_error_set(
                        x, 429, NULL, "%d jobs are live: no more are accepted until some end", JOBS_LIVE_MAX);
        if (js->live_tasks + count > JOB_TASKS_LIVE_MAX)
                return api_error_set(x, 429, F "count", "%zu tasks are live: at most %d are accepted",
                        js->live_tasks, JOB_TASKS_LIVE_MAX);
        return 0;
}

/* ---- dependencies ---- */

/* The name of a live job becomes its id: from here on it means this very job. */
static struct job *resolve(const struct jobs *js, char **job, const char *field, struct api_error *x)
{
        _cleanup_free_ char *text = text_for_message(*job, 64);
        struct job *of;
        int r = job_find(js, *job, &of);

        if (r >= 0) {
                set_string(job, of->id);
                return of;
        }
        if (r == -EEXIST)
                (void)api_error_set(
                        x, 400, field, "%s: several live jobs are named '%s': give the id", field, text);
        else
                (void)api_error_set(x, 400, field,
                        "%s: no job '%s': the id of a job, or the name of a live one, is expected", field,
                        text);
        return NULL;
}

static int resolve_after(const struct jobs *js, Mete__Api__JobSpec *spec, struct api_error *x)
{
        for (size_t i = 0; i < spec->n_after; i++) {
                Mete__Api__JobSpec__Dependency *d = spec->after[i];
                _cleanup_free_ char *field = xasprintf(F "after[%zu].job", i);
                struct job *of = resolve(js, &d->job, field, x);

                if (!of)
                        return -EINVAL;
                if (job_ended(of) && !job_condition_holds(d->condition, of->state))
                        return api_error_set(x, 400, field,
                                "%s: job %s has ended, and not as is asked for: this can never hold", field,
                                of->id);
                for (size_t k = 0; k < i; k++)
                        if (str_equal(spec->after[k]->job, d->job))
                                return api_error_set(
                                        x, 400, field, "%s: job %s is given twice", field, of->id);
        }
        return 0;
}

int job_spec_admit(struct api_call *c, Mete__Api__JobSpec *spec, struct api_error *x)
{
        const struct jobs *js = c->master->jobs;

        if (job_spec_validate(spec, x) < 0 || check_deadline(spec, x) < 0 || check_queue(js, spec, x) < 0 ||
                peer_take_user(&c->peer, spec, x) < 0 ||
                job_spec_check_capacity(spec, js->queues->machines, x) < 0 ||
                check_room(js, spec->count, x) < 0)
                return -EINVAL;
        return resolve_after(js, spec, x);
}
