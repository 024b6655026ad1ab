/* Jobs as their queues see them. */

#include <stdlib.h>

#include "master/jobs/jobs.h"

static struct wall_time wall_of(double seconds)
{
        return (struct wall_time){seconds > 0 ? (uint64_t)(seconds * 1e9) : 0};
}

/* A volume is used by one task at a time: two tasks of a job are never on the same machine. */
static void take_volumes(
        const Mete__Api__JobSpec *spec, const char *role, struct constraint *list, size_t *count)
{
        for (size_t i = 0; i < spec->n_volumes; i++)
                constraint_volume(role, spec->volumes[i]->volume_id, &list[(*count)++]);
        if (spec->n_volumes > 0)
                list[(*count)++] = (struct constraint){
                        .operator= CONSTRAINT_DISTINCT,
                        .attribute = xstrdup("agent"),
                };
}

/* They were checked when the job was submitted: one that a newer version refuses is left out, and said. */
static void take_constraints(
        const Mete__Api__JobSpec *spec, const char *role, uint64_t number, struct queue_job *ret)
{
        struct constraint *list;

        if (spec->n_constraints == 0 && spec->n_volumes == 0)
                return;
        list = xcalloc(spec->n_constraints + spec->n_volumes + 1, sizeof(*list));
        ret->constraints = list;
        for (size_t i = 0; i < spec->n_constraints; i++) {
                _cleanup_error_ struct error e = {};

                if (constraint_parse(spec->constraints[i], &list[ret->constraint_count], &e) < 0)
                        log_warning(
                                "job %ju: a constraint is ignored: %s", (uintmax_t)number, error_message(&e));
                else
                        ret->constraint_count++;
        }
        take_volumes(spec, role, list, &ret->constraint_count);
}

void job_spec_entry(const Mete__Api__JobSpec *spec, const char *role, uint64_t number, const char *user,
        double submitted, const struct queue_dependency *after, struct queue_job *ret)
{
        *ret = (struct queue_job){
                .number = number,
                .name = spec->name,
                .user = user,
                .submitted = wall_of(submitted),
                .ports = spec->ports,
                .cores = spec->exclusive_cores,
                .count = job_spec_count(spec),
                .parallel_max = spec->parallel_max,
                .gang = spec->gang,
                .priority = spec->priority,
                .duration_ns = wall_of(spec->duration_seconds).ns,
                .deadline = wall_of(spec->deadline),
                /* Whoever has cores to itself keeps them: what a frozen one gave up could not be used by others. */
                .preemptible = spec->preemptible && spec->exclusive_cores == 0,
                .placement =
                        spec->placement == METE__API__JOB_SPEC__PLACEMENT__SPREAD ? QUEUE_SPREAD : QUEUE_PACK,
                .spread_by = str_empty(spec->spread_by) ? NULL : spec->spread_by,
                .after = after,
                .after_count = after ? spec->n_after : 0,
        };
        job_size(spec, &ret->size);
        take_constraints(spec, role, number, ret);
}

void job_entry_done(struct queue_job *entry)
{
        struct constraint *list = (struct constraint *)entry->constraints;

        for (size_t i = 0; i < entry->constraint_count; i++)
                constraint_done(&list[i]);
        free(list);
        resources_done(&entry->size);
}

/* ---- into the queue ---- */

static double not_before_of(const struct job *j, uint32_t index)
{
        return j->tasks[index] ? j->tasks[index]->not_before : 0;
}

void job_enqueue_task(struct job *j, uint32_t index)
{
        queue_tasks_wait(j->queue->queue, j->number, index, index + 1, wall_of(not_before_of(j, index)));
        job_queue_schedule(j->queue, /* fresh= */ true);
}

/* Of a task that was launched before this master, or that came back. */
void job_enter_live(struct job *j, uint32_t index)
{
        const struct job_task *t = j->tasks[index];
        _cleanup_resources_ struct resources kept = {};
        const struct resources *booked = t->booked ? t->booked : &j->size;
        const struct queue_run run = {
                .agent = t->api->agent_id,
                .resources = booked,
                .started = wall_of(t->changed > 0        ? t->changed
                                   : t->api->has_started ? t->api->started
                                                         : wall_seconds_now()),
                .ran_ns = wall_of(t->ran_seconds).ns,
                .preemptions = t->api->preemptions,
        };

        if (t->suspended_by_user)
                return;
        queue_task_runs(j->queue->queue, j->number, index, &run);
        if (!t->api->suspended)
                return;
        job_suspended_keeps(booked, &kept);
        if (t->suspend_wanted)
                queue_task_suspended(j->queue->queue, j->number, index, &kept, wall_of(t->changed));
}

void job_enqueue(struct job *j)
{
        struct queue *q = j->queue->queue;
        struct queue_job entry;
        uint32_t i = 0;

        if (job_ended(j) || j->queued)
                return;
        job_spec_entry(j->spec, j->queue->role, j->number, j->user, j->submitted, j->after, &entry);
        entry.held = j->held;
        j->queued = queue_add_job(q, &entry) >= 0;
        job_entry_done(&entry);
        while (i < j->count) {
                uint32_t begin = i++;

                if (job_task_class(j, begin) == JOB_TASK_LIVE)
                        job_enter_live(j, begin);
                if (job_task_class(j, begin) != JOB_TASK_QUEUED)
                        continue;
                while (i < j->count && job_task_class(j, i) == JOB_TASK_QUEUED &&
                        not_before_of(j, i) == not_before_of(j, begin))
                        i++;
                queue_tasks_wait(q, j->number, begin, i, wall_of(not_before_of(j, begin)));
        }
        job_queue_schedule(j->queue, /* fresh= */ true);
}
