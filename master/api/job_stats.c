/*
 * How runs of a job went: over what the history holds under its name, user by user. Figures are exact over the latest tasks, of which a
 * bounded number is looked at.
 */

#include <stdlib.h>
#include <string.h>

#include "lib/base/utf8.h"
#include "master/api/api.h"
#include "master/jobs/history.h"

#define F "job_stats.job"
#define TASKS_MAX 100000
#define USERS_MAX 100

/* A growing list of figures. */
struct figures {
        double *values;
        size_t count, allocated;
};

struct user_stats {
        char *user;
        Mete__Api__JobStats view;
        struct figures wait, run, cpu, memory;
        double run_sum, cpu_sum; /* of those whose CPU time is known */
};

struct stats {
        struct master *master;
        struct http_request *req;
        enum codec codec;
        char *name; /* as it was asked for; a job's name once it is known */
        struct user_stats users[USERS_MAX];
        size_t user_count, tasks;
};

static void figure_add(struct figures *f, double value)
{
        if (f->count == f->allocated) {
                f->allocated = MAX(f->allocated * 2, (size_t)16);
                f->values = xrealloc(f->values, f->allocated * sizeof(*f->values));
        }
        f->values[f->count++] = value;
}

static int by_value(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;

        return (x > y) - (x < y);
}

static double mean(const struct figures *f)
{
        double sum = 0;

        for (size_t i = 0; i < f->count; i++)
                sum += f->values[i];
        return sum / (double)f->count;
}

/* Nearest rank, of sorted figures: the smallest that so many percent do not exceed. */
static double percentile(const struct figures *f, size_t percent)
{
        return f->values[(f->count * percent + 99) / 100 - 1];
}

static void stats_free(struct stats *s)
{
        for (size_t i = 0; i < s->user_count; i++) {
                free(s->users[i].user);
                free(s->users[i].wait.values);
                free(s->users[i].run.values);
                free(s->users[i].cpu.values);
                free(s->users[i].memory.values);
        }
        free(s->name);
        free(s);
}

/* ---- off the loop: taking ---- */

static void take_task(struct user_stats *u, const Mete__Api__Task *t)
{
        const Mete__Api__TaskUsage *usage = t->usage;
        double run = t->finished - t->started - t->suspended_seconds;

        u->view.tasks++;
        u->view.tasks_finished += t->state == METE__V1__TASK_STATE__TASK_FINISHED;
        u->view.tasks_failed += t->state != METE__V1__TASK_STATE__TASK_FINISHED;
        u->view.preemptions += t->preemptions;
        u->view.oom_kills += usage ? usage->memory_oom_kills : 0;
        if (t->has_started && t->has_submitted)
                figure_add(&u->wait, MAX(t->started - t->submitted, 0.0));
        if (t->has_started && t->has_finished)
                figure_add(&u->run, MAX(run, 0.0));
        if (usage && usage->has_memory_peak_bytes)
                figure_add(&u->memory, (double)usage->memory_peak_bytes);
        if (!usage || !usage->has_cpu_usage_seconds)
                return;
        figure_add(&u->cpu, usage->cpu_usage_seconds);
        if (t->has_started && t->has_finished) {
                u->run_sum += MAX(run, 0.0);
                u->cpu_sum += usage->cpu_usage_seconds;
        }
}

static struct user_stats *user_of(struct stats *s, const char *user)
{
        struct user_stats *u;

        for (size_t i = 0; i < s->user_count; i++)
                if (str_equal(s->users[i].user, user))
                        return &s->users[i];
        if (s->user_count == USERS_MAX)
                return NULL;
        u = &s->users[s->user_count++];
        u->user = xstrdup(user);
        mete__api__job_stats__init(&u->view);
        return u;
}

static int take(Mete__Checkpoint__StoredHistory *record, void *userdata)
{
        struct stats *s = userdata;
        const Mete__Api__Job *j = record->job;
        struct user_stats *u = user_of(s, j->user ? j->user : "");

        if (u) {
                set_string(&s->name, j->spec->name);
                u->view.jobs++;
                for (size_t i = 0; i < j->n_tasks; i++)
                        take_task(u, j->tasks[i]);
                s->tasks += j->n_tasks;
        }
        message_free(record);
        return s->tasks >= TASKS_MAX;
}

/* ---- on the loop: telling ---- */

#define SET(view, field, value) ((view)->has_##field = true, (view)->field = (value))

static void sort(struct figures *f)
{
        if (f->count > 0)
                qsort(f->values, f->count, sizeof(*f->values), by_value);
}

static void fill(struct user_stats *u, const char *name)
{
        Mete__Api__JobStats *v = &u->view;

        v->name = (char *)name;
        v->user = u->user;
        v->has_jobs = v->has_tasks = v->has_tasks_finished = v->has_tasks_failed = v->has_preemptions =
                v->has_oom_kills = true;
        sort(&u->wait);
        sort(&u->run);
        sort(&u->memory);
        if (u->wait.count > 0) {
                SET(v, wait_seconds_mean, mean(&u->wait));
                SET(v, wait_seconds_p99, percentile(&u->wait, 99));
        }
        if (u->run.count > 0) {
                SET(v, run_seconds_mean, mean(&u->run));
                SET(v, run_seconds_p50, percentile(&u->run, 50));
                SET(v, run_seconds_p90, percentile(&u->run, 90));
                SET(v, run_seconds_max, percentile(&u->run, 100));
        }
        if (u->cpu.count > 0)
                SET(v, cpu_seconds_mean, mean(&u->cpu));
        if (u->run_sum > 0)
                SET(v, cpu_cores_mean, u->cpu_sum / u->run_sum);
        if (u->memory.count > 0) {
                SET(v, memory_peak_bytes_p90, (uint64_t)percentile(&u->memory, 90));
                SET(v, memory_peak_bytes_max, (uint64_t)percentile(&u->memory, 100));
        }
}

/* What the queues reckon with. */
static void fill_expected(const struct estimates *estimates, struct user_stats *u, const char *name)
{
        struct estimate x;

        if (!estimates_get(estimates, u->user, name, wall_now(), &x))
                return;
        SET(&u->view, expected_duration_seconds, (double)x.expected_ns / 1e9);
        SET(&u->view, expected_samples, x.samples);
}

static void respond(struct stats *s)
{
        Mete__Api__Response response = METE__API__RESPONSE__INIT;
        Mete__Api__JobStats *list[USERS_MAX];

        for (size_t i = 0; i < s->user_count; i++) {
                fill(&s->users[i], s->name);
                fill_expected(s->master->jobs->queues->estimates, &s->users[i], s->name);
                list[i] = &s->users[i].view;
        }
        response.type = METE__API__RESPONSE__TYPE__JOB_STATS;
        response.stats = list;
        response.n_stats = s->user_count;
        api_respond(s->req, s->codec, 200, &response.base);
}

static void done(int result, void *userdata)
{
        struct stats *s = userdata;

        if (result == -ENOENT || (result >= 0 && s->user_count == 0))
                api_refuse(s->req, s->codec, 404, F,
                        F
                        ": the history has no job '%s': the id or the name of one that has ended is expected",
                        s->name);
        else if (result < 0)
                api_refuse(s->req, s->codec, 503, NULL, "the master could not read its history: %s",
                        result == -ECANCELED ? "it stops" : "its store failed");
        else
                respond(s);
        stats_free(s);
}

void call_job_stats(struct api_call *c)
{
        const char *asked = c->call->job_stats->job;
        struct history_query q = {.tasks = true, .take = take, .done = done};
        struct stats *s = NEW0(struct stats);
        uint64_t number;
        struct job *j = NULL;

        *s = (struct stats){.master = c->master, .req = c->req, .codec = c->codec};
        s->name = text_for_message(asked, TEXT_FOR_MESSAGE_BYTES);
        if (parse_u64(asked, UINT64_MAX - 1, &number) >= 0 && number > 0) {
                j = job_by_number(c->master->jobs, number);
                q.resolve = j ? 0 : number;
                q.user = j ? xstrdup(j->user) : NULL;
                q.name = j ? xstrdup(j->spec->name) : NULL;
        } else {
                q.name = xstrdup(asked);
        }
        q.userdata = s;
        if (history_query(c->master->history, &q) >= 0)
                return;
        free(q.user);
        free(q.name);
        stats_free(s);
        api_refuse(c->req, c->codec, 429, NULL, "%d calls read the history already: try again later",
                HISTORY_QUERIES_MAX);
}
