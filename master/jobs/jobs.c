#include "master/jobs/history.h"

#include <stdlib.h>
#include <string.h>

struct jobs *jobs_new(struct master *m, const struct plain_queue_policy *policy)
{
        struct jobs *js = NEW0(struct jobs);

        js->master = m;
        js->queue = plain_queue_new(policy);
        js->next_number = 1;
        js->suppressed = true;
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
                js->live_count += by;
                js->live_tasks += by * (int64_t)j->count;
        }
}

static void task_free(struct job_task *t)
{
        if (!t)
                return;
        message_free(t->api);
        free(t);
}

/* Out of memory, not off the disk. */
static void job_free(struct job *j)
{
        struct jobs *js = j->master->jobs;

        if (j->event_pending)
                events_forget_job(j->master, j);
        plain_queue_remove_job(js->queue, j->number);
        list_count(j, -1);
        DL_DELETE(*list_of(j), j);
        HASH_DEL(js->by_number, j);
        for (uint32_t i = 0; i < j->count; i++)
                task_free(j->tasks[i]);
        free(j->tasks);
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
                job_free(j);
        plain_queue_free(js->queue);
        free(js);
        return NULL;
}

bool job_ended(const struct job *j)
{
        return j->state == METE__API__JOB_STATE__JOB_FINISHED ||
               j->state == METE__API__JOB_STATE__JOB_FAILED || j->state == METE__API__JOB_STATE__JOB_KILLED;
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

struct job *job_new(struct jobs *js, uint64_t number, Mete__Api__JobSpec *spec, uint32_t count)
{
        struct job *j = NEW0(struct job);

        j->master = js->master;
        j->number = number;
        (void)snprintf(j->id, sizeof(j->id), "%ju", (uintmax_t)number);
        j->spec = spec;
        j->count = count;
        j->state = METE__API__JOB_STATE__JOB_QUEUED;
        j->tasks = xcalloc(count, sizeof(*j->tasks));
        j->classes[JOB_TASK_QUEUED] = count;
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
        mete__checkpoint__stored_kill__init(&t->kill);
        t->api = message_copy(task_view(j, index, &view));
        j->tasks[index] = t;
        t->queued = true;
        return t;
}

enum job_task_class job_task_begin(struct job *j, uint32_t index)
{
        (void)job_task_get(j, index);
        return job_task_class(j, index);
}

static Mete__Api__JobState job_state_of(const struct job *j)
{
        const uint32_t *c = j->classes;

        if (c[JOB_TASK_QUEUED] == j->count)
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

void job_task_end(struct job *j, uint32_t index, enum job_task_class before, struct store_batch *b)
{
        enum job_task_class after = job_task_class(j, index);
        Mete__Api__JobState state;

        j->classes[before]--;
        j->classes[after]++;
        state = job_state_of(j);
        job_put_task(j, index, b);
        events_task(j->master, j, index);
        if (state != j->state) {
                job_set_state(j, state);
                job_put(j, b);
        }
        events_job(j->master, j);
        if (!job_ended(j)) {
                history_job_revived(j, b);
                return;
        }
        history_job_ended(j, b);
        log_info("job %s (%s) of %s ended: %u of %u tasks finished", j->id, j->spec->name, j->user,
                j->classes[JOB_TASK_FINISHED], j->count);
        waiters_job_ended(j->master, j);
}

void job_recount(struct job *j)
{
        double finished = j->finished;

        memset(j->classes, 0, sizeof(j->classes));
        for (uint32_t i = 0; i < j->count; i++)
                j->classes[job_task_class(j, i)]++;
        job_set_state(j, job_state_of(j));
        if (finished > 0 && job_ended(j))
                j->finished = finished;
}

void jobs_trim(struct jobs *js, struct store_batch *b)
{
        while (js->ended_count > JOBS_ENDED_MAX ||
                (js->ended_tasks > JOB_TASKS_ENDED_MAX && js->ended_count > 1)) {
                struct job *oldest = js->ended;

                job_put_delete(oldest, b);
                job_free(oldest);
        }
}
