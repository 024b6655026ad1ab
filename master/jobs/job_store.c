/* Jobs on disk. One value a job, one a task: what a change writes does not grow with the job. */

#include <stdlib.h>
#include <string.h>

#include "master/jobs/jobs.h"

#define JOB_KEY "job/%010ju"
#define TASK_KEY_PREFIX "task/%010ju/"

void job_put(struct job *j, struct store_batch *b)
{
        Mete__Checkpoint__StoredJob stored = METE__CHECKPOINT__STORED_JOB__INIT;
        _cleanup_free_ char *key = xasprintf(JOB_KEY, (uintmax_t)j->number);
        struct job_view view;

        job_view_plain(j, &view);
        stored.job = &view.job;
        stored.satisfied = xcalloc(j->spec->n_after + 1, sizeof(*stored.satisfied));
        for (size_t i = 0; j->after && i < j->spec->n_after; i++)
                if (j->after[i].satisfied)
                        stored.satisfied[stored.n_satisfied++] = j->after[i].job;
        stored.has_uid = j->has_uid;
        stored.uid = j->uid;
        stored.kill = j->kill_wanted ? &j->kill : NULL;
        master_put_message(b, key, &stored.base);
        free(stored.satisfied);
        job_view_done(&view);
}

static void put_suspension(const struct job_task *t, Mete__Checkpoint__StoredTask *stored)
{
        stored->has_suspend_sequence = t->suspend_sequence > 0;
        stored->suspend_sequence = t->suspend_sequence;
        stored->has_suspend_wanted = stored->suspend_wanted = t->suspend_wanted;
        stored->has_suspended_by_user = stored->suspended_by_user = t->suspended_by_user;
        stored->has_ran_seconds = t->ran_seconds > 0;
        stored->ran_seconds = t->ran_seconds;
        stored->has_changed = t->changed > 0;
        stored->changed = t->changed;
}

void job_put_task(struct job *j, uint32_t index, struct store_batch *b)
{
        Mete__Checkpoint__StoredTask stored = METE__CHECKPOINT__STORED_TASK__INIT;
        _cleanup_free_ char *key = xasprintf(TASK_KEY_PREFIX "%05u", (uintmax_t)j->number, index);
        struct job_task *t = j->tasks[index];

        stored.task = t->api;
        stored.has_last_update_uuid = t->has_uuid;
        stored.last_update_uuid = (ProtobufCBinaryData){UUID_BYTES, t->last_uuid};
        stored.has_attempts = true;
        stored.attempts = t->attempts;
        stored.has_queued = t->queued;
        stored.queued = t->queued;
        stored.has_lost_by_master = t->lost_by_master;
        stored.lost_by_master = t->lost_by_master;
        stored.kill = t->kill_wanted ? &t->kill : NULL;
        stored.has_failures = t->failures > 0;
        stored.failures = t->failures;
        stored.has_not_before = t->not_before > 0;
        stored.not_before = t->not_before;
        stored.has_requeue_wanted = stored.requeue_wanted = t->requeue_wanted;
        put_suspension(t, &stored);
        if (t->booked && job_task_class(j, index) == JOB_TASK_LIVE)
                resources_to_proto(t->booked, NULL, /* with_role= */ false, &stored.booked, &stored.n_booked);
        master_put_message(b, key, &stored.base);
        for (size_t i = 0; i < stored.n_booked; i++)
                message_free(stored.booked[i]);
        free(stored.booked);
}

void job_put_delete(const struct job *j, struct store_batch *b)
{
        _cleanup_free_ char *key = xasprintf(JOB_KEY, (uintmax_t)j->number);
        _cleanup_free_ char *tasks = xasprintf(TASK_KEY_PREFIX, (uintmax_t)j->number);

        store_batch_delete(b, key);
        store_batch_delete_prefix(b, tasks);
}

/* ---- recovery ---- */

static void recover_satisfied(struct job *j, const Mete__Checkpoint__StoredJob *stored)
{
        const Mete__Api__JobSpec *spec = j->spec;

        if (spec->n_after == 0)
                return;
        j->after = xcalloc(spec->n_after, sizeof(*j->after));
        j->edges = xcalloc(spec->n_after, sizeof(*j->edges));
        for (size_t i = 0; i < spec->n_after; i++) {
                j->after[i].job = job_number_of(spec->after[i]->job);
                for (size_t k = 0; k < stored->n_satisfied; k++)
                        j->after[i].satisfied |= stored->satisfied[k] == j->after[i].job;
        }
}

static int recover_job(const char *key, const void *value, size_t len, void *userdata)
{
        struct jobs *js = userdata;
        Mete__Checkpoint__StoredJob *stored = NULL;
        uint64_t number;
        struct job *j;

        if (message_decode(CODEC_PROTOBUF, &mete__checkpoint__stored_job__descriptor, value, len,
                    (ProtobufCMessage **)&stored, NULL) < 0 ||
                parse_u64(stored->job->job_id, UINT64_MAX - 1, &number) < 0 || job_by_number(js, number)) {
                log_error("store: the value of %s is not a job: it is skipped", key);
                message_free(stored);
                return 0;
        }
        j = job_new(js, number, TAKE_PTR(stored->job->spec));
        j->user = xstrdup(stored->job->user ? stored->job->user : "");
        j->has_uid = stored->has_uid;
        j->uid = stored->uid;
        j->submitted = stored->job->submitted;
        j->finished = stored->job->finished;
        j->held = stored->job->held;
        j->kill_wanted = stored->kill;
        if (stored->kill)
                j->kill = *stored->kill;
        recover_satisfied(j, stored);
        message_free(stored);
        return 0;
}

static void recover_suspension(struct job_task *t, const Mete__Checkpoint__StoredTask *stored)
{
        t->suspend_sequence = stored->suspend_sequence;
        t->suspend_wanted = stored->suspend_wanted;
        t->suspended_by_user = stored->suspended_by_user;
        t->ran_seconds = stored->ran_seconds;
        t->changed = stored->changed;
}

static void recover_booked(struct job_task *t, const Mete__Checkpoint__StoredTask *stored)
{
        if (stored->n_booked == 0)
                return;
        t->booked = NEW0(struct resources);
        if (resources_from_proto(stored->booked, stored->n_booked, "booked", t->booked, NULL) >= 0)
                return;
        log_error("store: what task %s has booked is not legal: the size of its job counts", t->api->task_id);
        free(TAKE_PTR(t->booked));
}

static int recover_task(const char *key, const void *value, size_t len, void *userdata)
{
        struct jobs *js = userdata;
        Mete__Checkpoint__StoredTask *stored = NULL;
        struct job_task *t;
        uint32_t index;
        struct job *j;

        if (message_decode(CODEC_PROTOBUF, &mete__checkpoint__stored_task__descriptor, value, len,
                    (ProtobufCMessage **)&stored, NULL) < 0 ||
                job_task_find(js, stored->task->task_id, &j, &index) < 0 || j->tasks[index]) {
                log_error("store: the value of %s is not a task of a known job: it is skipped", key);
                message_free(stored);
                return 0;
        }
        t = NEW0(struct job_task);
        t->master = js->master;
        t->api = TAKE_PTR(stored->task);
        t->attempts = stored->attempts;
        t->failures = stored->failures;
        t->not_before = stored->not_before;
        t->queued = stored->queued;
        t->lost_by_master = stored->lost_by_master;
        t->requeue_wanted = stored->requeue_wanted;
        t->has_uuid = stored->has_last_update_uuid && stored->last_update_uuid.len == UUID_BYTES;
        if (t->has_uuid)
                memcpy(t->last_uuid, stored->last_update_uuid.data, UUID_BYTES);
        mete__checkpoint__stored_kill__init(&t->kill);
        t->kill_wanted = stored->kill;
        if (stored->kill)
                t->kill = *stored->kill;
        recover_suspension(t, stored);
        recover_booked(t, stored);
        j->tasks[index] = t;
        message_free(stored);
        return 0;
}

int jobs_recover(struct jobs *js, struct error *e)
{
        struct job *j, *next;
        int r = store_scan(js->master->store, "job/", recover_job, js, e);

        if (r >= 0)
                r = store_scan(js->master->store, "task/", recover_task, js, e);
        if (r < 0)
                return r;
        /* In the order of ids; the history wants the order of endings, which is near enough after a restart. */
        HASH_ITER (hh, js->by_number, j, next)
                job_recount(j);
        return 0;
}
