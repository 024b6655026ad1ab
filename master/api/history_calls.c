/* Jobs that ended, newest first, in pages. */

#include <math.h>
#include <stdlib.h>

#include "master/api/api.h"
#include "master/jobs/history.h"

#define F "history."
#define LIMIT_MAX 1000
#define TASKS_MAX 20000      /* in one page; a job that has more comes alone */
#define BYTES_MAX (8u << 20) /* of one page, about */

struct page {
        struct http_request *req;
        enum codec codec;
        struct peer peer;
        Mete__Checkpoint__StoredHistory **records; /* owned */
        size_t count, limit;
        size_t tasks, bytes;
        bool more;
};

static void page_free(struct page *p)
{
        for (size_t i = 0; i < p->count; i++)
                message_free(p->records[i]);
        free(p->records);
        free(p);
}

/* Off the loop. One more than is wanted tells that there are more. */
static int page_take(Mete__Checkpoint__StoredHistory *record, void *userdata)
{
        struct page *p = userdata;

        p->tasks += record->job->n_tasks;
        p->bytes += protobuf_c_message_get_packed_size(&record->base);
        p->more = p->count == p->limit || (p->count > 0 && (p->tasks > TASKS_MAX || p->bytes > BYTES_MAX));
        if (p->more) {
                message_free(record);
                return 1;
        }
        p->records[p->count++] = record;
        return 0;
}

/* Secrets live in environments: they are for the submitter and for root. */
static bool may_see_environment(const struct peer *p, const Mete__Checkpoint__StoredHistory *record)
{
        return p->uid == 0 || (p->known && record->has_uid && record->uid == p->uid);
}

static void page_respond(const struct page *p)
{
        Mete__Api__Response response = METE__API__RESPONSE__INIT;
        _cleanup_free_ Mete__Api__Job **jobs = xcalloc(p->count + 1, sizeof(*jobs));
        _cleanup_free_ size_t *variables = xcalloc(p->count + 1, sizeof(*variables));

        for (size_t i = 0; i < p->count; i++) {
                jobs[i] = p->records[i]->job;
                variables[i] = jobs[i]->spec->n_environment;
                if (!may_see_environment(&p->peer, p->records[i]))
                        jobs[i]->spec->n_environment = 0;
        }
        response.type = METE__API__RESPONSE__TYPE__HISTORY;
        response.jobs = jobs;
        response.n_jobs = p->count;
        response.has_more = true;
        response.more = p->more;
        api_respond(p->req, p->codec, 200, &response.base);
        for (size_t i = 0; i < p->count; i++) /* what was hidden is freed too */
                jobs[i]->spec->n_environment = variables[i];
}

static void page_done(int result, void *userdata)
{
        struct page *p = userdata;

        if (result < 0)
                api_refuse(p->req, p->codec, 503, NULL, "the master could not read its history: %s",
                        result == -ECANCELED ? "it stops" : "its store failed");
        else
                page_respond(p);
        page_free(p);
}

/* ---- what is asked for ---- */

static int check_time(const char *field, bool has, double value, struct api_error *x)
{
        if (!has || (isfinite(value) && value >= 0))
                return 0;
        return api_error_set(
                x, 400, field, "%s: %.10g is refused: seconds since 1970 are expected", field, value);
}

static int check(const Mete__Api__Call__History *h, uint64_t *ret_before, struct api_error *x)
{
        if (check_time(F "since", h->has_since, h->since, x) < 0 ||
                check_time(F "until", h->has_until, h->until, x) < 0)
                return -EINVAL;
        if (h->has_since && h->has_until && h->until < h->since)
                return api_error_set(x, 400, F "until",
                        F "until: %.10g is before since (%.10g): that or later is expected", h->until,
                        h->since);
        if (h->has_state && h->state != METE__API__JOB_STATE__JOB_FINISHED &&
                h->state != METE__API__JOB_STATE__JOB_FAILED && h->state != METE__API__JOB_STATE__JOB_KILLED)
                return api_error_set(x, 400, F "state",
                        F "state: jobs of the history have ended: JOB_FINISHED, JOB_FAILED or JOB_KILLED is "
                          "expected");
        if (h->limit < 1 || h->limit > LIMIT_MAX)
                return api_error_set(x, 400, F "limit", F "limit: %u is refused: 1 to %u are accepted",
                        h->limit, LIMIT_MAX);
        if (h->before && (parse_u64(h->before, UINT64_MAX, ret_before) < 0 || *ret_before == 0))
                return api_error_set(x, 400, F "before", F "before: the id of a job is expected");
        return 0;
}

void call_history(struct api_call *c)
{
        const Mete__Api__Call__History none = METE__API__CALL__HISTORY__INIT;
        const Mete__Api__Call__History *h = c->call->history ? c->call->history : &none;
        struct history_query q = {.take = page_take, .done = page_done};
        _cleanup_api_error_ struct api_error refusal = {};
        struct page *p;

        if (check(h, &q.before, &refusal) < 0) {
                api_refuse_with(c->req, c->codec, &refusal);
                return;
        }
        p = NEW0(struct page);
        *p = (struct page){.req = c->req, .codec = c->codec, .peer = c->peer, .limit = h->limit};
        p->records = xcalloc(p->limit, sizeof(*p->records));
        q.user = xstrdup(h->user);
        q.name = xstrdup(h->name);
        q.state = h->has_state ? h->state : METE__API__JOB_STATE__JOB_UNKNOWN;
        q.since = h->since;
        q.until = h->until;
        q.tasks = h->tasks;
        q.userdata = p;
        if (history_query(c->master->history, &q) >= 0)
                return;
        free(q.user);
        free(q.name);
        page_free(p);
        api_refuse(c->req, c->codec, 429, NULL, "%d calls read the history already: try again later",
                HISTORY_QUERIES_MAX);
}
