#include "master/jobs/history.h"
#include "master/jobs/learned.h"

#include <stdlib.h>
#include <string.h>

struct jobs *jobs_new(struct master *m, enum queue_policy default_policy)
{
        struct jobs *js = NEW0(struct jobs);

        js->master = m;
        js->queues = job_queues_new(m, default_policy);
        js->next_number = 1;
        js->pass = loop_timer_new(m->loop, jobs_on_pass, js);
        return js;
}

static struct job **list_of(struct job *j)
{
        struct jobs *js = j->master->jobs;

        return job_ended(j) ? &js->ended : &js->live;
}

static void list_count(struct job *j, int by)
{
        struct jobs *js = j->master->jobs;

        if (job_ended(j)) {
                js->ended_count += by;
                js->ended_tasks += by * (int64_t)j->count;
        } else {
                j->queue->live_jobs += by;
                js->live_count += by;
                js->live_tasks += by * (int64_t)j->count;
        }
}

static void task_free(struct job_task *t)
{
        if (!t)
                return;
        loop_timer_free(t->limit);
        if (t->booked)
                resources_done(t->booked);
        free(t->booked);
        message_free(t->api);
        free(t);
}

static void job_leave_queue(struct job *j)
{
        if (j->queued) {
                queue_remove_job(j->queue->queue, j->number);
                job_queue_schedule(j->queue, /* fresh= */ false);
        }
        j->queued = false;
}

void job_forget(struct job *j)
{
        struct jobs *js = j->master->jobs;

        if (j->event_pending)
                events_forget_job(j->master, j);
        job_leave_queue(j);
        job_after_free(j);
        list_count(j, -1);
        DL_DELETE(*list_of(j), j);
        HASH_DEL(js->by_number, j);
        for (uint32_t i = 0; i < j->count; i++)
                task_free(j->tasks[i]);
        free(j->tasks);
        job_environment_release(js, j->spec);
        message_free(j->spec);
        resources_done(&j->size);
        free(j->user);
        free(j);
}

struct jobs *jobs_free(struct jobs *js)
{
        struct job *j, *next;

        if (!js)
                return NULL;
        HASH_ITER (hh, js->by_number, j, next)
                job_forget(j);
        job_queues_free(js->queues);
        loop_timer_free(js->pass);
        free(js);
        return NULL;
}

bool job_ended(const struct job *j)
{
        return j->state == METE__API__JOB_STATE__JOB_FINISHED ||
               j->state == METE__API__JOB_STATE__JOB_FAILED || j->state == METE__API__JOB_STATE__JOB_KILLED;
}

uint64_t job_number_of(const char *id)
{
        uint64_t number;

        return parse_u64(id, UINT64_MAX - 1, &number) < 0 ? 0 : number;
}

struct job *job_by_number(const struct jobs *js, uint64_t number)
{
        struct job *j;

        HASH_FIND(hh, js->by_number, &number, sizeof(number), j);
        return j;
}

int job_find(const struct jobs *js, const char *id_or_name, struct job **ret)
{
        struct job *found = NULL, *j;
        uint64_t number;

        if (parse_u64(id_or_name, UINT64_MAX, &number) >= 0)
                found = job_by_number(js, number);
        if (found) {
                *ret = found;
                return 0;
        }
        DL_FOREACH (js->live, j) {
                if (!str_equal(j->spec->name, id_or_name))
                        continue;
                if (found)
                        return -EEXIST;
                found = j;
        }
        if (!found)
                return -ENOENT;
        *ret = found;
        return 0;
}

int job_task_find(const struct jobs *js, const char *task_id, struct job **ret, uint32_t *ret_index)
{
        const char *dot = strchr(task_id, '.');
        _cleanup_free_ char *head = dot ? xstrndup(task_id, dot - task_id) : NULL;
        uint64_t number;
        uint32_t index;
        struct job *j;

        if (!dot || parse_u64(head, UINT64_MAX, &number) < 0 || parse_u32(dot + 1, UINT32_MAX, &index) < 0)
                return -ENOENT;
        j = job_by_number(js, number);
        if (!j || index >= j->count)
                return -ENOENT;
        *ret = j;
        *ret_index = index;
        return 0;
}

/* The allocator books requests, not limits. Memory is rounded up to a thousandth of a MiB. */
void job_size(const Mete__Api__JobSpec *spec, struct resources *ret)
{
        uint64_t cpus = 0;

        *ret = (struct resources){};
        if (milli_from_double(spec->cpus, &cpus) >= 0)
                resources_set_scalar(ret, "cpus", cpus);
        resources_set_scalar(
                ret, "mem", (uint64_t)(((unsigned __int128)spec->memory_bytes * 1000 + 1048575) / 1048576));
}

uint32_t job_spec_count(const Mete__Api__JobSpec *spec)
{
        const Mete__Api__JobSpec__Array *a = spec->array;

        return a && a->step > 0 && a->last >= a->first ? (uint32_t)((a->last - a->first) / a->step + 1)
                                                       : spec->count;
}

static struct job_queue *queue_of(const struct jobs *js, const Mete__Api__JobSpec *spec)
{
        struct job_queue *jq = job_queue_find(js->queues, spec->queue ? spec->queue : QUEUE_DEFAULT);

        return jq ? jq : job_queue_find(js->queues, QUEUE_DEFAULT);
}

struct job *job_new(struct jobs *js, uint64_t number, Mete__Api__JobSpec *spec)
{
        struct job *j = NEW0(struct job);

        j->master = js->master;
        j->number = number;
        (void)snprintf(j->id, sizeof(j->id), "%ju", (uintmax_t)number);
        job_environment_share(js, spec);
        j->spec = spec;
        j->queue = queue_of(js, spec);
        j->count = job_spec_count(spec);
        j->state = METE__API__JOB_STATE__JOB_QUEUED;
        j->tasks = xcalloc(j->count, sizeof(*j->tasks));
        j->classes[JOB_TASK_QUEUED] = j->count;
        mete__checkpoint__stored_kill__init(&j->kill);
        job_size(spec, &j->size);
        HASH_ADD(hh, js->by_number, number, sizeof(j->number), j);
        DL_APPEND(js->live, j);
        list_count(j, 1);
        js->next_number = MAX(js->next_number, number + 1);
        return j;
}

/* ---- tasks of a job ---- */

enum job_task_class job_task_class(const struct job *j, uint32_t index)
{
        const struct job_task *t = j->tasks[index];

        if (!t || t->queued)
                return JOB_TASK_QUEUED;
        if (!task_state_is_terminal(t->api->state))
                return JOB_TASK_LIVE;
        if (t->api->state == METE__V1__TASK_STATE__TASK_FINISHED)
                return JOB_TASK_FINISHED;
        return t->api->state == METE__V1__TASK_STATE__TASK_KILLED ? JOB_TASK_KILLED : JOB_TASK_FAILED;
}

struct job_task *job_task_get(struct job *j, uint32_t index)
{
        struct job_task *t = j->tasks[index];
        struct task_view view;

        if (t)
                return t;
        t = NEW0(struct job_task);
        t->master = j->master;
        mete__checkpoint__stored_kill__init(&t->kill);
        t->api = message_copy(task_view(j, index, &view));
        j->tasks[index] = t;
        t->queued = true;
        return t;
}

struct task *job_task_live(const struct job *j, uint32_t index)
{
        if (job_task_class(j, index) != JOB_TASK_LIVE)
                return NULL;
        return task_find(j->master->queue_framework, j->tasks[index]->api->task_id);
}

/* What is counted of a task besides its class. */
static void count_task(struct job *j, uint32_t index, int by)
{
        bool live = job_task_class(j, index) == JOB_TASK_LIVE;
        bool suspended = live && j->tasks[index]->api->suspended;

        j->suspended += suspended ? by : 0;
        j->queue->tasks_running += live ? by : 0;
        j->queue->tasks_suspended += suspended ? by : 0;
}

enum job_task_class job_task_begin(struct job *j, uint32_t index)
{
        (void)job_task_get(j, index);
        count_task(j, index, -1);
        return job_task_class(j, index);
}

static Mete__Api__JobState job_state_of(const struct job *j)
{
        const uint32_t *c = j->classes;

        if (c[JOB_TASK_QUEUED] == j->count && !j->began)
                return METE__API__JOB_STATE__JOB_QUEUED;
        if (c[JOB_TASK_QUEUED] + c[JOB_TASK_LIVE] > 0)
                return METE__API__JOB_STATE__JOB_RUNNING;
        if (c[JOB_TASK_FINISHED] == j->count)
                return METE__API__JOB_STATE__JOB_FINISHED;
        /* Killed as a whole, or nothing else went wrong: a kill ended it. */
        if (c[JOB_TASK_KILLED] > 0 && (j->kill_wanted || c[JOB_TASK_FAILED] == 0))
                return METE__API__JOB_STATE__JOB_KILLED;
        return METE__API__JOB_STATE__JOB_FAILED;
}

static void job_set_state(struct job *j, Mete__Api__JobState state)
{
        struct job **from = list_of(j);

        if (j->state == state)
                return;
        list_count(j, -1);
        DL_DELETE(*from, j);
        log_debug("job %s: %d -> %d", j->id, (int)j->state, (int)state);
        j->state = state;
        DL_APPEND(*list_of(j), j);
        list_count(j, 1);
        j->finished = job_ended(j) ? wall_seconds_now() : 0;
}

/* Nothing of it waits or runs any more. */
static void job_over(struct job *j, struct store_batch *b)
{
        log_info("job %s (%s) of %s ended: %u of %u tasks finished", j->id, j->spec->name, j->user,
                j->classes[JOB_TASK_FINISHED], j->count);
        history_job_ended(j, b);
        job_leave_queue(j);
        job_after_settle(j, b);
        waiters_job_ended(j->master, j);
}

void job_task_end(struct job *j, uint32_t index, enum job_task_class before, struct store_batch *b)
{
        enum job_task_class after = job_task_class(j, index);
        bool was_over = job_ended(j);
        Mete__Api__JobState state;

        j->classes[before]--;
        j->classes[after]++;
        count_task(j, index, 1);
        job_limit_update(j, index);
        state = job_state_of(j);
        job_put_task(j, index, b);
        events_task(j->master, j, index);
        if (before == JOB_TASK_LIVE && after != JOB_TASK_LIVE)
                learned_task_ended(j->master->learned, j);
        if (state != j->state) {
                job_set_state(j, state);
                job_put(j, b);
        }
        events_job(j->master, j);
        if (job_ended(j)) {
                job_over(j, b);
        } else if (was_over) { /* a task that was lost came back */
                history_job_revived(j, b);
                job_enqueue(j);
        }
}

void job_recount(struct job *j)
{
        double finished = j->finished;

        memset(j->classes, 0, sizeof(j->classes));
        for (uint32_t i = 0; i < j->count; i++) {
                const struct job_task *t = j->tasks[i];

                j->classes[job_task_class(j, i)]++;
                count_task(j, i, 1);
                j->began |= t && t->queued && (t->failures > 0 || t->api->preemptions > 0);
        }
        job_set_state(j, job_state_of(j));
        if (finished > 0 && job_ended(j))
                j->finished = finished;
}

void jobs_trim(struct jobs *js, struct store_batch *b)
{
        while (js->ended_count > JOBS_ENDED_MAX ||
                (js->ended_tasks > JOB_TASKS_ENDED_MAX && js->ended_count > 1)) {
                struct job *oldest = js->ended;

                if (oldest->number >= js->stored_number) {
                        js->stored_number = js->next_number;
                        master_put_identity(js->master, b);
                }
                job_put_delete(oldest, b);
                job_forget(oldest);
        }
}
