/*
 * What the end of a task means: it is over, or it waits again. Machines that fail, agents that are drained and launches that never
 * arrived cost the task nothing; its own failures do, as its restart policy says.
 */

#include <math.h>
#include <stdlib.h>

#include "master/jobs/jobs.h"

enum next {
        NEXT_OVER,
        NEXT_AGAIN, /* at once */
        NEXT_RETRY, /* after its backoff */
};

static Mete__Api__JobSpec__Restart__When restart_when(const struct job *j)
{
        return j->spec->restart ? j->spec->restart->when : METE__API__JOB_SPEC__RESTART__WHEN__NEVER;
}

static bool is_draining(const Mete__V1__TaskStatus *s)
{
        return s->state == METE__V1__TASK_STATE__TASK_KILLED && s->has_reason &&
               s->reason == METE__V1__TASK_STATUS__REASON__REASON_AGENT_DRAINING;
}

static bool is_machine(Mete__V1__TaskState state)
{
        return state == METE__V1__TASK_STATE__TASK_LOST || state == METE__V1__TASK_STATE__TASK_DROPPED ||
               state == METE__V1__TASK_STATE__TASK_GONE ||
               state == METE__V1__TASK_STATE__TASK_GONE_BY_OPERATOR ||
               state == METE__V1__TASK_STATE__TASK_UNREACHABLE;
}

static uint32_t attempts_max(const struct job *j)
{
        const Mete__Api__JobSpec__Restart *r = j->spec->restart;

        if (r->has_attempts_max)
                return r->attempts_max;
        return r->when == METE__API__JOB_SPEC__RESTART__WHEN__ALWAYS ? UINT32_MAX : JOB_RESTARTS_DEFAULT;
}

/* A run as long as the longest backoff shows that it works by now: failures are counted anew. */
static void count_failure(const struct job *j, struct job_task *t)
{
        if (t->ran_seconds >= j->spec->restart->backoff_max_seconds)
                t->failures = 0;
        if (t->failures < UINT32_MAX)
                t->failures++;
}

static enum next decide_retry(const struct job *j, struct job_task *t, Mete__V1__TaskState state)
{
        Mete__Api__JobSpec__Restart__When when = restart_when(j);

        if (when == METE__API__JOB_SPEC__RESTART__WHEN__NEVER ||
                state == METE__V1__TASK_STATE__TASK_ERROR) /* it would be refused again */
                return NEXT_OVER;
        if (is_machine(state))
                return NEXT_AGAIN;
        if (state == METE__V1__TASK_STATE__TASK_FINISHED &&
                when != METE__API__JOB_SPEC__RESTART__WHEN__ALWAYS)
                return NEXT_OVER;
        count_failure(j, t);
        return t->failures > attempts_max(j) ? NEXT_OVER : NEXT_RETRY;
}

static enum next decide(const struct job *j, struct job_task *t, const Mete__V1__TaskStatus *s)
{
        if (j->kill_wanted || t->kill_wanted)
                return NEXT_OVER;
        if (t->requeue_wanted && s->state != METE__V1__TASK_STATE__TASK_FINISHED)
                return NEXT_AGAIN;
        if (is_draining(s))
                return NEXT_AGAIN;
        if (s->state == METE__V1__TASK_STATE__TASK_DROPPED && !s->has_uuid)
                return t->unstarted < JOB_ATTEMPTS_MAX ? NEXT_AGAIN : NEXT_OVER;
        return decide_retry(j, t, t->api->state);
}

static double backoff_seconds(const struct job *j, const struct job_task *t)
{
        const Mete__Api__JobSpec__Restart *r = j->spec->restart;

        return MIN(r->backoff_seconds * exp2(t->failures > 1 ? t->failures - 1 : 0), r->backoff_max_seconds);
}

void job_task_again(struct job *j, uint32_t index, double not_before)
{
        struct job_task *t = j->tasks[index];
        Mete__Api__Task *api = t->api;

        j->began |= api->has_started;
        t->queued = true;
        t->lost_by_master = t->requeue_wanted = t->suspend_wanted = t->suspended_by_user = false;
        t->not_before = not_before;
        t->ran_seconds = t->changed = 0;
        api->state = METE__V1__TASK_STATE__TASK_STAGING;
        api->has_not_before = not_before > 0;
        api->not_before = not_before;
        api->has_suspended = api->suspended = false;
        api->has_started = api->has_finished = false;
        set_string(&api->agent_id, NULL);
        set_string(&api->agent_address, NULL);
        if (j->queued)
                job_enqueue_task(j, index);
}

/* As the master sees it: a kill that the time limit took is a failure, and says why. */
static void judge(const struct job *j, struct job_task *t)
{
        _cleanup_free_ char *limit = NULL;

        if (t->api->state != METE__V1__TASK_STATE__TASK_KILLED || j->kill_wanted || t->kill_wanted ||
                t->requeue_wanted)
                return;
        limit = job_limit_reached(j, t);
        if (!limit)
                return;
        t->api->state = METE__V1__TASK_STATE__TASK_FAILED;
        set_string(&t->api->reason,
                task_reason_to_string(METE__V1__TASK_STATUS__REASON__REASON_MAX_COMPLETION_TIME_REACHED));
        set_string(&t->api->message, limit);
}

/* The time in which it was frozen last is known now. */
static void end_suspension(struct job_task *t)
{
        Mete__Api__Task *api = t->api;

        t->ran_seconds = job_task_active_seconds(t, api->finished);
        if (api->suspended && api->finished > t->changed)
                api->suspended_seconds += api->finished - t->changed;
        t->changed = api->finished;
        api->has_suspended_seconds |= api->suspended;
        api->suspended = false;
}

void job_task_ended(struct job *j, uint32_t index, const Mete__Agent__StatusUpdate *u)
{
        struct job_task *t = j->tasks[index];
        Mete__Api__Task *api = t->api;
        bool finished = api->state == METE__V1__TASK_STATE__TASK_FINISHED;
        const Mete__Api__TaskUsage *usage = api->usage;
        double cpu = usage && usage->has_cpu_usage_seconds ? usage->cpu_usage_seconds : 0;
        struct wall_time now = wall_now();
        enum next next;

        end_suspension(t);
        if (j->queued && !t->suspended_by_user)
                queue_task_ended(j->queue->queue, j->number, index, finished, (uint64_t)(cpu * 1e9), now);
        j->queue->freed = true;
        job_queue_schedule(j->queue, /* fresh= */ false);
        judge(j, t);
        next = decide(j, t, u->status);
        if (next != NEXT_OVER) {
                log_info("task %s ended (%s%s%s) and waits again", api->task_id,
                        task_state_to_string(api->state), api->message ? ": " : "",
                        api->message ? api->message : "");
                job_task_again(j, index, next == NEXT_RETRY ? wall_seconds_now() + backoff_seconds(j, t) : 0);
        } else if (api->state == METE__V1__TASK_STATE__TASK_DROPPED) {
                api->state = METE__V1__TASK_STATE__TASK_LOST; /* the public name of it */
        }
}

/* ---- without an agent ---- */

void job_fail_waiting(
        struct job *j, Mete__V1__TaskStatus__Reason reason, const char *message, struct store_batch *b)
{
        for (uint32_t i = 0; i < j->count && !job_ended(j); i++) {
                enum job_task_class before;
                Mete__Api__Task *api;

                if (job_task_class(j, i) != JOB_TASK_QUEUED)
                        continue;
                before = job_task_begin(j, i);
                if (j->queued)
                        (void)queue_task_forget(j->queue->queue, j->number, i);
                j->tasks[i]->queued = false;
                api = j->tasks[i]->api;
                api->state = METE__V1__TASK_STATE__TASK_FAILED;
                set_string(&api->reason, task_reason_to_string(reason));
                set_string(&api->message, message);
                api->has_not_before = false;
                api->has_finished = true;
                api->finished = wall_seconds_now();
                job_task_end(j, i, before, b);
        }
        job_queue_schedule(j->queue, /* fresh= */ false);
}

/* ---- making way ---- */

struct requeue {
        struct master *master;
        uint64_t job;
        uint32_t index;
};

static void requeue_stored(int result, void *userdata)
{
        struct requeue *r = userdata;
        struct job *j = job_by_number(r->master->jobs, r->job);
        struct task *live = j && r->index < j->count ? job_task_live(j, r->index) : NULL;
        Mete__Checkpoint__StoredKill kill = METE__CHECKPOINT__STORED_KILL__INIT;

        if (result >= 0 && live && j->tasks[r->index]->requeue_wanted && !r->master->stopping)
                task_kill(live, &kill);
        free(r);
}

void job_requeue_task(struct job *j, uint32_t index, uint64_t for_job)
{
        enum job_task_class before;
        struct store_batch *b;
        struct job_task *t;
        struct requeue *r;

        if (job_task_class(j, index) != JOB_TASK_LIVE || j->tasks[index]->requeue_wanted)
                return;
        b = store_batch_new();
        before = job_task_begin(j, index);
        t = j->tasks[index];
        log_info("task %s makes way for job %ju: it is killed and waits again", t->api->task_id,
                (uintmax_t)for_job);
        t->requeue_wanted = true;
        t->api->has_preemptions = true;
        t->api->preemptions++;
        job_task_end(j, index, before, b);
        r = NEW0(struct requeue);
        *r = (struct requeue){j->master, j->number, index};
        master_write(j->master, b, requeue_stored, r);
}
