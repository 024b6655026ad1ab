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
                events_job(p->master, j);
        }
        pending_answer(result, p);
}

/* It would end before it began. */
static int take_after(struct job *j, struct api_error *x)
{
        _cleanup_free_ char *field = NULL;
        size_t at = 0;

        if (job_after_new(j, &at) >= 0)
                return 0;
        field = xasprintf("submit.job.after[%zu]", at);
        return api_error_set(x, 400, field,
                "%s: job %s has ended, and not as is asked for: this can never hold", field,
                j->spec->after[at]->job);
}

static struct job *submit(struct api_call *c, Mete__Api__JobSpec *spec, struct api_error *x)
{
        struct jobs *js = c->master->jobs;
        struct job *j;

        if (job_spec_admit(c, spec, x) < 0) {
                message_free(spec);
                return NULL;
        }
        j = job_new(js, js->next_number, spec);
        j->user = xstrdup(c->peer.name);
        j->has_uid = c->peer.known;
        j->uid = c->peer.uid;
        j->submitted = wall_seconds_now();
        if (take_after(j, x) < 0) {
                job_forget(j);
                return NULL;
        }
        return j;
}

void call_submit(struct api_call *c)
{
        _cleanup_api_error_ struct api_error refusal = {};
        struct store_batch *b;
        struct job *j = submit(c, message_copy(c->call->submit->job), &refusal);

        if (!j) {
                api_refuse_with(c->req, c->codec, &refusal);
                return;
        }
        log_info("job %s (%s): %u tasks of %s, submitted by %s", j->id, j->spec->name, j->count,
                j->spec->command[0], j->user);
        b = store_batch_new();
        job_put(j, b);
        jobs_trim(c->master->jobs, b);
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

/* A job, or one of its tasks, of which the caller may dispose; NULL: refused. */
static struct job *find_own(struct api_call *c, const char *id, const char *field, const char *what,
        bool *ret_task, uint32_t *ret_index)
{
        struct job *j;

        *ret_index = 0;
        *ret_task = job_task_find(c->master->jobs, id, &j, ret_index) >= 0;
        if (!*ret_task)
                j = call_find_job(c, id, field);
        if (j && !peer_owns(&c->peer, j)) {
                api_refuse(c->req, c->codec, 403, field,
                        "job %s belongs to %s: only %s%s may %s it; you are %s", j->id, j->user, j->user,
                        str_equal(j->user, "root") ? "" : " or root", what, c->peer.name);
                return NULL;
        }
        return j;
}

void call_kill(struct api_call *c)
{
        const Mete__Api__Call__Kill *k = c->call->kill;
        Mete__Checkpoint__StoredKill kill = METE__CHECKPOINT__STORED_KILL__INIT;
        _cleanup_api_error_ struct api_error refusal = {};
        struct pending *p;
        uint32_t index;
        struct job *j;
        bool task;

        if (check_kill(k, &refusal) < 0) {
                api_refuse_with(c->req, c->codec, &refusal);
                return;
        }
        j = find_own(c, k->id, "kill.id", "kill", &task, &index);
        if (!j)
                return;
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

/* ---- suspend, resume ---- */

static void suspend_or_resume(struct api_call *c, const char *id, bool suspend)
{
        const char *field = suspend ? "suspend.id" : "resume.id";
        struct pending *p;
        uint32_t index;
        struct job *j;
        bool task;

        j = find_own(c, id, field, suspend ? "suspend" : "resume", &task, &index);
        if (!j)
                return;
        if (task ? !job_task_live(j, index) : job_ended(j)) {
                api_refuse(c->req, c->codec, 409, field, "%s '%s' %s", task ? "task" : "job", id,
                        task ? "does not run: one that does is expected" : "has ended");
                return;
        }
        p = pending_new(
                c, suspend ? METE__API__RESPONSE__TYPE__SUSPEND : METE__API__RESPONSE__TYPE__RESUME, j);
        p->task = task;
        p->index = index;
        if (!task && suspend)
                job_suspend(j, pending_answer, p);
        else if (!task)
                job_resume(j, pending_answer, p);
        else if (suspend)
                (void)job_suspend_one(j, index, pending_answer, p);
        else
                (void)job_resume_one(j, index, pending_answer, p);
}

void call_suspend(struct api_call *c)
{
        suspend_or_resume(c, c->call->suspend->id, true);
}

void call_resume(struct api_call *c)
{
        suspend_or_resume(c, c->call->resume->id, false);
}
