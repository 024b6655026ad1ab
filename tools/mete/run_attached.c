/*
 * Nothing is lost between the submission and the subscription: the stream begins with the job and its tasks as they are.
 * The same holds for a stream that breaks (the master restarts): it is opened again and begins with what is so now.
 */
#include "tools/mete/run_attached.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/net/codec.h"
#include "tools/mete/log_reader.h"
#include "tools/mete/query.h"
#include "tools/mete/run_spec.h"
#include "tools/mete/run_task.h"
#include "tools/mete/text.h"

#define RETRY_FIRST_NS (100 * NSEC_PER_MSEC)
#define RETRY_LONGEST_NS (2 * NSEC_PER_SEC)
#define STREAM_SILENCE_NS (60 * NSEC_PER_SEC) /* heartbeats come every 15 s */
#define EXPLAIN_NS (2 * NSEC_PER_SEC)
#define DRAIN_NS (5 * NSEC_PER_SEC)

static const int forwarded[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

struct attached {
        struct mete_client *client;
        Mete__Api__JobSpec *spec;
        struct error *e;
        char *job_id; /* NULL until the master has taken the job */
        Mete__Api__JobState job_state;
        struct run_tasks tasks;
        struct mete_stream *stream;
        struct loop_timer *retry, *explain, *drain;
        struct loop_signal *signals[ELEMENTSOF(forwarded)];
        uint64_t pause_ns;
        char *reason_said;
        unsigned interrupts;
        int last_signal;
        int pending_signal; /* came before the job had an id */
        bool lost_said;
        bool job_over;
        bool left;          /* by the third signal */
        bool output_closed; /* we ended it: nobody is left to tell */
        int result;
};

static void say(const char *fmt, ...) PRINTF_LIKE(1, 2);
static void say(const char *fmt, ...)
{
        _cleanup_free_ char *text = NULL, *safe = NULL;
        va_list ap;

        va_start(ap, fmt);
        text = xvasprintf(fmt, ap);
        va_end(ap);
        safe = text_safe(text);
        fprintf(stderr, "mete: %s\n", safe);
}

/* ---- the end ---- */

static void check_done(struct attached *a)
{
        if (!a->job_over)
                return;
        if (run_tasks_reading(&a->tasks) == 0)
                mete_client_stop(a->client);
        else if (!loop_timer_armed(a->drain))
                loop_timer_arm(a->drain, DRAIN_NS, 0);
}

/* Output that still comes is waited for; an agent that does not come back is not. */
static void on_drain(struct loop_timer *t, void *userdata)
{
        struct attached *a = userdata;

        if (run_tasks_reading(&a->tasks) > run_tasks_troubled(&a->tasks)) {
                loop_timer_arm(a->drain, DRAIN_NS, 0);
                return;
        }
        say("the output may be incomplete: an agent does not answer");
        mete_client_stop(a->client);
}

/* ---- killing and signals ---- */

static void on_killed(const Mete__Api__Response *response, const struct error *e, void *userdata)
{
        if (e && e->code != -ENOENT && e->code != -EALREADY)
                say("%s", error_message(e));
}

static void send_kill(struct attached *a, int signo, bool only_signal, double grace_seconds)
{
        Mete__Api__Call call = METE__API__CALL__INIT;
        Mete__Api__Call__Kill kill = METE__API__CALL__KILL__INIT;

        kill.id = a->job_id;
        kill.has_signal = signo > 0;
        kill.signal = signo;
        kill.has_only_signal = kill.only_signal = only_signal;
        kill.has_grace_seconds = grace_seconds >= 0;
        kill.grace_seconds = grace_seconds;
        call.type = METE__API__CALL__TYPE__KILL;
        call.kill = &kill;
        mete_client_send(a->client, &call, 0, on_killed, a);
}

/* First: the task's own business. Second: the job ends. Third: we leave; at once where no master hears us. */
static void interrupt(struct attached *a, int signo)
{
        if (a->lost_said) {
                a->left = true;
                mete_client_stop(a->client);
        } else if (a->interrupts == 1 && run_tasks_live(&a->tasks) > 0) {
                send_kill(a, signo, /* only_signal= */ true, /* grace_seconds= */ -1);
        } else if (a->interrupts <= 2) {
                send_kill(a, 0, /* only_signal= */ false, /* grace_seconds= */ 1);
        } else {
                a->left = true;
                mete_client_stop(a->client);
        }
}

static void on_signal(struct loop_signal *s, int signo, void *userdata)
{
        struct attached *a = userdata;

        a->interrupts++;
        a->last_signal = signo;
        if (a->job_id) {
                interrupt(a, signo);
        } else if (a->interrupts == 1) {
                a->pending_signal = signo;
        } else {
                a->left = true;
                mete_client_stop(a->client);
        }
}

/* Whoever read our output has gone: so must the task, as in a pipeline of the shell. */
static void on_output_closed(void *userdata)
{
        struct attached *a = userdata;

        a->output_closed = true;
        if (!a->job_over)
                send_kill(a, SIGPIPE, /* only_signal= */ false, /* grace_seconds= */ 1);
}

static void on_read(void *userdata)
{
        check_done(userdata);
}

static const struct run_tasks_handlers task_handlers = {
        .on_output_closed = on_output_closed, .on_read = on_read};

/* ---- events ---- */

static void take_job(struct attached *a, const Mete__Api__Job *job)
{
        if (!str_equal(job->job_id, a->job_id))
                return;
        a->job_state = job->state;
        for (size_t i = 0; i < job->n_tasks; i++)
                run_tasks_update(&a->tasks, job->tasks[i]);
}

static void finish_job(struct attached *a)
{
        a->job_over = true;
        loop_timer_disarm(a->retry);
        loop_timer_disarm(a->explain);
        a->stream = mete_stream_free(a->stream);
        check_done(a);
}

static void on_event(struct mete_stream *s, const Mete__Api__Event *event, void *userdata)
{
        struct attached *a = userdata;

        a->pause_ns = RETRY_FIRST_NS;
        a->lost_said = false;
        switch (event->type) {
        case METE__API__EVENT__TYPE__SUBSCRIBED:
                for (size_t i = 0; i < event->n_jobs; i++)
                        take_job(a, event->jobs[i]);
                break;
        case METE__API__EVENT__TYPE__JOB:
                if (event->job)
                        take_job(a, event->job);
                break;
        case METE__API__EVENT__TYPE__TASK:
                if (event->task && str_equal(event->task->job_id, a->job_id))
                        run_tasks_update(&a->tasks, event->task);
                break;
        case METE__API__EVENT__TYPE__END:
                finish_job(a);
                break;
        default:
                break;
        }
}

static void on_end(struct mete_stream *s, const struct error *e, void *userdata)
{
        struct attached *a = userdata;

        a->stream = NULL;
        if (!e && a->job_state > METE__API__JOB_STATE__JOB_RUNNING) {
                finish_job(a);
                return;
        }
        if (e && e->code == -ENOENT) {
                a->result = error_set(a->e, -ENOENT, "the master at %s no longer knows job %s: %s",
                        mete_client_master(a->client), a->job_id, error_message(e));
                mete_client_stop(a->client);
                return;
        }
        if (!a->lost_said)
                say("lost the master at %s; job %s goes on, trying again", mete_client_master(a->client),
                        a->job_id);
        a->lost_said = true;
        loop_timer_arm(a->retry, a->pause_ns, 0);
        a->pause_ns = MIN(a->pause_ns * 2, RETRY_LONGEST_NS);
}

static const struct mete_stream_handlers stream_handlers = {.on_event = on_event, .on_end = on_end};

static void subscribe(struct attached *a)
{
        Mete__Api__Call call = METE__API__CALL__INIT;
        Mete__Api__Call__Subscribe subscribe = METE__API__CALL__SUBSCRIBE__INIT;

        subscribe.job_id = a->job_id;
        subscribe.has_until_done = subscribe.until_done = true;
        call.type = METE__API__CALL__TYPE__SUBSCRIBE;
        call.subscribe = &subscribe;
        a->result = mete_client_stream(
                a->client, NULL, &call, STREAM_SILENCE_NS, &stream_handlers, a, &a->stream, a->e);
        if (a->result < 0)
                mete_client_stop(a->client);
}

static void on_retry(struct loop_timer *t, void *userdata)
{
        subscribe(userdata);
}

/* ---- why nothing happens ---- */

static void on_explained(const Mete__Api__Response *response, const struct error *e, void *userdata)
{
        struct attached *a = userdata;
        const char *reason = response && response->job ? response->job->pending_reason : NULL;

        if (!reason || a->job_over || response->job->state != METE__API__JOB_STATE__JOB_QUEUED ||
                str_equal(reason, a->reason_said))
                return;
        say("job %s waits: %s", a->job_id, reason);
        free(a->reason_said);
        a->reason_said = xstrdup(reason);
}

static void on_explain(struct loop_timer *t, void *userdata)
{
        struct attached *a = userdata;
        Mete__Api__Call call = METE__API__CALL__INIT;
        Mete__Api__Call__GetJob get = METE__API__CALL__GET_JOB__INIT;

        if (a->job_over || !a->job_id || a->job_state != METE__API__JOB_STATE__JOB_QUEUED)
                return;
        get.job_id = a->job_id;
        call.type = METE__API__CALL__TYPE__GET_JOB;
        call.get_job = &get;
        mete_client_send(a->client, &call, 0, on_explained, a);
        loop_timer_arm(a->explain, EXPLAIN_NS, 0);
}

/* ---- beginning and result ---- */

static void on_submitted(const Mete__Api__Response *response, const struct error *e, void *userdata)
{
        struct attached *a = userdata;

        if (e || !response->job) {
                a->result = e ? error_set(a->e, e->code, "%s", error_message(e))
                              : error_set(a->e, -EPROTO, "the master answered without the job");
                mete_client_stop(a->client);
                return;
        }
        for (size_t i = 0; i < response->job->n_warnings; i++)
                say("warning: %s", response->job->warnings[i]);
        a->job_id = xstrdup(response->job->job_id);
        a->job_state = response->job->state;
        loop_timer_arm(a->explain, EXPLAIN_NS, 0);
        subscribe(a);
        if (a->pending_signal && a->stream)
                interrupt(a, a->pending_signal);
}

static void submit(struct attached *a)
{
        Mete__Api__Call call = METE__API__CALL__INIT;
        Mete__Api__Call__Submit submission = METE__API__CALL__SUBMIT__INIT;

        submission.job = a->spec;
        call.type = METE__API__CALL__TYPE__SUBMIT;
        call.submit = &submission;
        mete_client_send(a->client, &call, 0, on_submitted, a);
}

static int exit_code(struct attached *a)
{
        if (a->left && !a->job_id)
                say("left before the master had answered: `mete jobs` shows whether it took the job");
        else if (a->left)
                say("left job %s: `mete kill %s` ends it, `mete inspect %s` shows it", a->job_id, a->job_id,
                        a->job_id);
        if (a->left)
                return 128 + a->last_signal;
        if (a->result < 0)
                return a->result;
        if (!a->output_closed)
                run_tasks_report(&a->tasks, stderr);
        if (a->tasks.count > 0)
                return run_tasks_exit_code(&a->tasks);
        if (a->job_state == METE__API__JOB_STATE__JOB_KILLED)
                say("job %s was killed before it ran", a->job_id);
        if (a->job_state == METE__API__JOB_STATE__JOB_FINISHED)
                return 0;
        return a->last_signal ? 128 + a->last_signal : 1;
}

static void attached_done(struct attached *a)
{
        mete_stream_free(a->stream);
        run_tasks_done(&a->tasks);
        for (size_t i = 0; i < ELEMENTSOF(forwarded); i++)
                loop_signal_free(a->signals[i]);
        loop_timer_free(a->retry);
        loop_timer_free(a->explain);
        loop_timer_free(a->drain);
        free(a->reason_said);
        free(a->job_id);
}

int run_attached(struct mete_client *c, Mete__Api__JobSpec *spec, struct error *e)
{
        struct attached a = {.client = c,
                .spec = spec,
                .e = e,
                .job_state = METE__API__JOB_STATE__JOB_QUEUED,
                .pause_ns = RETRY_FIRST_NS};
        struct loop *l = mete_client_loop(c);
        int r, code;

        run_tasks_init(&a.tasks, c, /* prefixed= */ spec->array || (spec->has_count && spec->count > 1),
                &task_handlers, &a);
        a.retry = loop_timer_new(l, on_retry, &a);
        a.explain = loop_timer_new(l, on_explain, &a);
        a.drain = loop_timer_new(l, on_drain, &a);
        for (size_t i = 0; i < ELEMENTSOF(forwarded); i++)
                a.signals[i] = loop_signal_new(l, forwarded[i], on_signal, &a);
        submit(&a);
        r = mete_client_run(c);
        code = r < 0 ? error_set_errno(e, r, "event loop failed") : exit_code(&a);
        attached_done(&a);
        return code;
}
