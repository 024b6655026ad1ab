#include "master/jobs/jobs.h"

/* In the queue: it ends here. Launched: its agent is asked, now and whenever it registers again. */
static void kill_one(
        struct job *j, uint32_t index, const Mete__Checkpoint__StoredKill *kill, struct store_batch *b)
{
        enum job_task_class class = job_task_class(j, index);
        struct job_task *t;
        struct task *live;

        if (class != JOB_TASK_QUEUED && class != JOB_TASK_LIVE)
                return;
        t = job_task_get(j, index);
        t->kill_wanted = true;
        t->kill = *kill;
        if (class == JOB_TASK_LIVE) {
                job_put_task(j, index, b);
                live = job_task_live(j, index);
                if (live)
                        task_kill(live, kill);
                return;
        }
        (void)job_task_begin(j, index);
        if (j->queued)
                (void)queue_task_forget(j->queue->queue, j->number, index);
        t->queued = false;
        t->api->has_not_before = false;
        t->api->state = METE__V1__TASK_STATE__TASK_KILLED;
        set_string(&t->api->reason,
                task_reason_to_string(METE__V1__TASK_STATUS__REASON__REASON_TASK_KILLED_DURING_LAUNCH));
        set_string(&t->api->message, "killed while it was queued");
        t->api->has_finished = true;
        t->api->finished = wall_seconds_now();
        job_task_end(j, index, class, b);
}

static void kill_end(struct job *j, struct store_batch *b, store_done_handler done, void *userdata)
{
        struct master *m = j->master;

        job_queue_schedule(j->queue, /* fresh= */ false);
        jobs_trim(m->jobs, b); /* from here on the job itself may be forgotten */
        master_write(m, b, done, userdata);
}

void job_kill(
        struct job *j, const Mete__Checkpoint__StoredKill *kill, store_done_handler done, void *userdata)
{
        struct store_batch *b = store_batch_new();

        if (!job_ended(j)) {
                j->kill_wanted = true;
                j->kill = *kill;
                job_put(j, b);
        }
        for (uint32_t i = 0; i < j->count && !job_ended(j); i++)
                kill_one(j, i, kill, b);
        kill_end(j, b, done, userdata);
}

void job_kill_task(struct job *j, uint32_t index, const Mete__Checkpoint__StoredKill *kill,
        store_done_handler done, void *userdata)
{
        struct store_batch *b = store_batch_new();

        kill_one(j, index, kill, b);
        kill_end(j, b, done, userdata);
}

bool job_signal_task(struct job *j, uint32_t index, int32_t signal)
{
        Mete__Checkpoint__StoredKill kill = METE__CHECKPOINT__STORED_KILL__INIT;
        struct task *live;

        if (job_task_class(j, index) != JOB_TASK_LIVE)
                return false;
        live = job_task_live(j, index);
        kill.has_signal = true;
        kill.signal = signal;
        return live && live->sent &&
               agent_send_kill(live->agent, live->framework->id, live->id, &kill, /* only_signal= */ true);
}
