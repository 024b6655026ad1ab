/* Calls that change jobs. Each is answered when what it did is on disk. */

#include <math.h>
#include <signal.h>
#include <stdlib.h>

#include "master/api/api.h"

/* An answer that waits for the store. */
struct pending {
        struct master *master;
        struct http_request *req;
        enum codec codec;
        struct peer peer;
        Mete__Api__Response__Type type;
        uint64_t job;
        bool task; /* answer with the task, not the job */
        uint32_t index;
};

static struct pending *pending_new(struct api_call *c, Mete__Api__Response__Type type, const struct job *j)
{
        struct pending *p = NEW0(struct pending);

        *p = (struct pending){.master = c->master,
                .req = c->req,
                .codec = c->codec,
                .peer = c->peer,
                .type = type,
                .job = j->number};
        return p;
}

static void pending_answer(int result, void *userdata)
{
        struct pending *p = userdata;
        struct job *j = job_by_number(p->master->jobs, p->job);
        Mete__Api__Response response = METE__API__RESPONSE__INIT;
        struct task_view view;

        if (result < 0) {
                api_refuse(p->req, p->codec, 503, NULL, "the master could not write its store: %s",
                        store_failure(p->master->store) ?: "it stops");
        } else if (!j) { /* ended and dropped from the history in between */
                api_refuse(p->req, p->codec, 404, NULL, "job %ju is no longer in the history",
                        (uintmax_t)p->job);
        } else if (p->task) {
                response.type = p->type;
                response.task = task_view(j, p->index, &view);
                api_respond(p->req, p->codec, 200, &response.base);
        } else {
                respond_job(p->req, p->codec, &p->peer, p->type, j, false);
        }
        free(p);
}

/* ---- submit ---- */

static void submit_done(int result, void *userdata)
{
        struct pending *p = userdata;
        struct job *j = job_by_number(p->master->jobs, p->job);

        if (result >= 0 && j && !p->master->stopping) {
                job_enqueue(j); /* only now: nothing of it starts before it is safe */
                jobs_wake(p->master->jobs);
                events_job(p->master, j);
        }
        pending_answer(result, p);
}

static int check_room(const struct jobs *js, uint32_t count, struct api_error *x)
{
        if (js->live_count >= JOBS_LIVE_MAX)
                return api_error_set(
                        x, 429, NULL, "%d jobs are live: no more are accepted until some end", JOBS_LIVE_MAX);
        if (js->live_tasks + count > JOB_TASKS_LIVE_MAX)
                return api_error_set(x, 429, "submit.job.count",
                        "%zu tasks are live: at most %d are accepted", js->live_tasks, JOB_TASKS_LIVE_MAX);
        return 0;
}

void call_submit(struct api_call *c)
{
        struct jobs *js = c->master->jobs;
        Mete__Api__JobSpec *spec = message_copy(c->call->submit->job);
        _cleanup_api_error_ struct api_error refusal = {};
        struct store_batch *b;
        struct job *j;

        if (job_spec_validate(spec, &refusal) < 0 || peer_take_user(&c->peer, spec, &refusal) < 0 ||
                job_spec_check_capacity(spec, js->queue, &refusal) < 0 ||
                check_room(js, spec->count, &refusal) < 0) {
                api_refuse_with(c->req, c->codec, &refusal);
                message_free(spec);
                return;
        }
        j = job_new(js, js->next_number, spec, spec->count);
        j->user = xstrdup(c->peer.name);
        j->has_uid = c->peer.known;
        j->uid = c->peer.uid;
        j->submitted = wall_seconds_now();
        mete__checkpoint__stored_kill__init(&j->kill);
        log_info("job %s (%s): %u tasks of %s, submitted by %s", j->id, spec->name, j->count,
                spec->command[0], j->user);
        b = store_batch_new();
        job_put(j, b);
        jobs_trim(js, b);
        master_write(c->master, b, submit_done, pending_new(c, METE__API__RESPONSE__TYPE__SUBMIT, j));
}

/* ---- kill ---- */

static int check_kill(const Mete__Api__Call__Kill *k, struct api_error *x)
{
        if (k->has_grace_seconds &&
                (!isfinite(k->grace_seconds) || k->grace_seconds < 0 || k->grace_seconds > 86400))
                return api_error_set(x, 400, "kill.grace_seconds",
                        "kill.grace_seconds: %g is refused: 0 to 86400 are accepted", k->grace_seconds);
        if (k->has_signal && (k->signal < 1 || k->signal > SIGRTMAX))
                return api_error_set(x, 400, "kill.signal",
                        "kill.signal: %d is refused: 1 to %d are accepted", k->signal, SIGRTMAX);
        return 0;
}

static void kill_signal(struct api_call *c, struct job *j, bool task, uint32_t index, struct pending *p)
{
        const Mete__Api__Call__Kill *k = c->call->kill;
        int32_t signo = k->has_signal ? k->signal : SIGTERM;
        bool sent = false;

        for (uint32_t i = task ? index : 0; i < (task ? index + 1 : j->count); i++)
                sent |= job_signal_task(j, i, signo);
        if (sent) {
                pending_answer(0, p);
                return;
        }
        api_refuse(c->req, c->codec, 409, "kill.only_signal",
                "'%s' has no task on a connected agent: a signal needs one", k->id);
        free(p);
}

void call_kill(struct api_call *c)
{
        const Mete__Api__Call__Kill *k = c->call->kill;
        Mete__Checkpoint__StoredKill kill = METE__CHECKPOINT__STORED_KILL__INIT;
        _cleanup_api_error_ struct api_error refusal = {};
        struct pending *p;
        uint32_t index = 0;
        struct job *j;
        bool task;

        if (check_kill(k, &refusal) < 0) {
                api_refuse_with(c->req, c->codec, &refusal);
                return;
        }
        task = job_task_find(c->master->jobs, k->id, &j, &index) >= 0;
        if (!task)
                j = call_find_job(c, k->id, "kill.id");
        if (!j)
                return;
        if (!peer_owns(&c->peer, j)) {
                api_refuse(c->req, c->codec, 403, "kill.id",
                        "job %s belongs to %s: only %s or root may kill it; you are %s", j->id, j->user,
                        j->user, c->peer.name);
                return;
        }
        p = pending_new(c, METE__API__RESPONSE__TYPE__KILL, j);
        p->task = task;
        p->index = index;
        kill.has_grace_seconds = k->has_grace_seconds;
        kill.grace_seconds = k->grace_seconds;
        kill.has_signal = k->has_signal;
        kill.signal = k->signal;
        if (k->has_only_signal && k->only_signal)
                kill_signal(c, j, task, index, p);
        else if (task)
                job_kill_task(j, index, &kill, pending_answer, p);
        else
                job_kill(j, &kill, pending_answer, p);
}
