/* Long polls for the end of a job. */

#include <math.h>
#include <stdlib.h>

#include "master/api/api.h"

#define WAITERS_MAX 2000
#define WAIT_MAX_SECONDS 3600.0

struct waiter {
        struct master *master;
        struct http_request *req;
        enum codec codec;
        struct peer peer;
        uint64_t job;
        struct loop_timer *timer;
        struct waiter *prev, *next;
};

static void waiter_free(struct waiter *w)
{
        DL_DELETE(w->master->waiters, w);
        w->master->waiter_count--;
        loop_timer_free(w->timer);
        free(w);
}

static void waiter_answer(struct waiter *w, bool timed_out)
{
        struct job *j = job_by_number(w->master->jobs, w->job);

        if (j)
                respond_job(w->req, w->codec, &w->peer, METE__API__RESPONSE__TYPE__WAIT, j, timed_out);
        else
                api_refuse(w->req, w->codec, 404, "wait.job_id", "job %ju is no longer in the history",
                        (uintmax_t)w->job);
        waiter_free(w);
}

static void waiter_timeout(struct loop_timer *t, void *userdata)
{
        waiter_answer(userdata, true);
}

void waiters_job_ended(struct master *m, struct job *j)
{
        struct waiter *w, *next;

        DL_FOREACH_SAFE (m->waiters, w, next) {
                if (w->job == j->number)
                        waiter_answer(w, false);
        }
}

void waiters_stop(struct master *m)
{
        while (m->waiters) {
                api_refuse(m->waiters->req, m->waiters->codec, 503, NULL,
                        "the master stops: wait again when it is back");
                waiter_free(m->waiters);
        }
}

void call_wait(struct api_call *c)
{
        const Mete__Api__Call__Wait *wait = c->call->wait;
        double seconds = wait->has_timeout_seconds ? wait->timeout_seconds : WAIT_MAX_SECONDS;
        struct job *j;
        struct waiter *w;

        if (!isfinite(seconds) || seconds < 0) {
                api_refuse(c->req, c->codec, 400, "wait.timeout_seconds",
                        "wait.timeout_seconds: %g is refused: 0 or more seconds are expected", seconds);
                return;
        }
        j = call_find_job(c, wait->job_id, "wait.job_id");
        if (!j)
                return;
        if (job_ended(j) || seconds == 0) {
                respond_job(c->req, c->codec, &c->peer, METE__API__RESPONSE__TYPE__WAIT, j, !job_ended(j));
                return;
        }
        if (c->master->waiter_count >= WAITERS_MAX) {
                api_refuse(
                        c->req, c->codec, 503, NULL, "%d calls wait already: try again later", WAITERS_MAX);
                return;
        }
        w = NEW0(struct waiter);
        *w = (struct waiter){
                .master = c->master, .req = c->req, .codec = c->codec, .peer = c->peer, .job = j->number};
        w->timer = loop_timer_new(c->master->loop, waiter_timeout, w);
        loop_timer_arm(w->timer, (uint64_t)(MIN(seconds, WAIT_MAX_SECONDS) * 1e9), /* period_ns= */ 0);
        DL_APPEND(c->master->waiters, w);
        c->master->waiter_count++;
}
