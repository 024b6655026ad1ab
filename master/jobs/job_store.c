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

        job_view(j, /* max_tasks= */ 0, /* with_environment= */ true, &view);
        view.job.pending_reason = NULL;
        stored.job = &view.job;
        stored.has_uid = j->has_uid;
        stored.uid = j->uid;
        stored.kill = j->kill_wanted ? &j->kill : NULL;
        master_put_message(b, key, &stored.base);
        job_view_done(&view);
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
        master_put_message(b, key, &stored.base);
}

void job_put_delete(const struct job *j, struct store_batch *b)
{
        _cleanup_free_ char *key = xasprintf(JOB_KEY, (uintmax_t)j->number);
        _cleanup_free_ char *tasks = xasprintf(TASK_KEY_PREFIX, (uintmax_t)j->number);

        store_batch_delete(b, key);
        store_batch_delete_prefix(b, tasks);
}

/* ---- recovery ---- */

static int recover_job(const char *key, const void *value, size_t len, void *userdata)
{
        struct jobs *js = userdata;
        Mete__Checkpoint__StoredJob *stored = NULL;
        uint64_t number;
        uint32_t count;
        struct job *j;

        if (message_decode(CODEC_PROTOBUF, &mete__checkpoint__stored_job__descriptor, value, len,
                    (ProtobufCMessage **)&stored, NULL) < 0 ||
                parse_u64(stored->job->job_id, UINT64_MAX - 1, &number) < 0 || job_by_number(js, number)) {
                log_error("store: the value of %s is not a job: it is skipped", key);
                message_free(stored);
                return 0;
        }
        count = stored->job->spec->count;
        j = job_new(js, number, TAKE_PTR(stored->job->spec), count);
        j->user = xstrdup(stored->job->user ? stored->job->user : "");
        j->has_uid = stored->has_uid;
        j->uid = stored->uid;
        j->submitted = stored->job->submitted;
        j->finished = stored->job->finished;
        j->kill_wanted = stored->kill;
        if (stored->kill)
                j->kill = *stored->kill;
        else
                mete__checkpoint__stored_kill__init(&j->kill);
        message_free(stored);
        return 0;
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
        t->api = TAKE_PTR(stored->task);
        t->attempts = stored->attempts;
        t->queued = stored->queued;
        t->lost_by_master = stored->lost_by_master;
        t->has_uuid = stored->has_last_update_uuid && stored->last_update_uuid.len == UUID_BYTES;
        if (t->has_uuid)
                memcpy(t->last_uuid, stored->last_update_uuid.data, UUID_BYTES);
        t->kill_wanted = stored->kill;
        if (stored->kill)
                t->kill = *stored->kill;
        else
                mete__checkpoint__stored_kill__init(&t->kill);
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
