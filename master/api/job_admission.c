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

/* ---- volumes ---- */

static const struct resource *volume_on(const struct agent *a, const char *role, const char *id)
{
        return a->gone_time > 0 ? NULL : resources_find_volume(&a->assignment.resources, role, id);
}

/* Of which role is there a volume with this id? NULL: of none. */
static const char *role_of_volume(const struct master *m, const char *id)
{
        for (const struct agent *a = m->agents; a; a = a->hh.next) {
                const struct resources *all = &a->assignment.resources;

                for (size_t i = 0; a->gone_time <= 0 && i < all->count; i++)
                        if (all->entries[i].traits && str_equal(all->entries[i].traits->volume_id, id))
                                return resource_traits_role(all->entries[i].traits);
        }
        return NULL;
}

static int check_volume(
        const struct master *m, const struct job_queue *jq, const char *id, size_t at, struct api_error *x)
{
        _cleanup_free_ char *field = xasprintf(F "volumes[%zu].volume_id", at);
        const char *other = role_of_volume(m, id);

        for (const struct agent *a = m->agents; a; a = a->hh.next)
                if (volume_on(a, jq->role, id))
                        return 0;
        if (other)
                return api_error_set(x, 400, field,
                        "%s: volume '%s' is of role '%s': one of role '%s', queue '%s's, is expected", field,
                        id, other, jq->role, jq->name);
        return api_error_set(x, 400, field,
                "%s: there is no volume '%s': one of those that LIST_VOLUMES names, of role '%s', is "
                "expected",
                field, id, jq->role);
}

static bool has_all_volumes(const struct agent *a, const struct job_queue *jq, const Mete__Api__JobSpec *spec)
{
        for (size_t i = 0; i < spec->n_volumes; i++)
                if (!volume_on(a, jq->role, spec->volumes[i]->volume_id))
                        return false;
        return true;
}

/* Also those of agents that are away: these come back with them. */
static int check_volumes(const struct master *m, const Mete__Api__JobSpec *spec, struct api_error *x)
{
        const struct job_queue *jq = job_queue_find(m->jobs->queues, spec->queue);

        for (size_t i = 0; i < spec->n_volumes; i++)
                if (check_volume(m, jq, spec->volumes[i]->volume_id, i, x) < 0)
                        return -EINVAL;
        if (spec->n_volumes == 0)
                return 0;
        for (const struct agent *a = m->agents; a; a = a->hh.next)
                if (has_all_volumes(a, jq, spec))
                        return 0;
        return api_error_set(x, 400, F "volumes",
                F "volumes: no agent has all %zu of them: volumes of one agent are expected",
                spec->n_volumes);
}

/* ---- room ---- */

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
        else if (job_number_of(*job) > 0 && job_number_of(*job) < js->next_number)
                (void)api_error_set(x, 400, field,
                        "%s: job %s ended too long ago: only the latest are known well enough to wait for "
                        "them",
                        field, text);
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
                check_volumes(c->master, spec, x) < 0 || check_room(js, spec->count, x) < 0)
                return -EINVAL;
        return resolve_after(js, spec, x);
}
