/* Calls that only look. */

#include <stdlib.h>

#include "lib/base/utf8.h"
#include "master/api/api.h"

struct job *call_find_job(struct api_call *c, const char *id, const char *field)
{
        _cleanup_free_ char *text = text_for_message(id, 64);
        struct job *j;
        int r = job_find(c->master->jobs, id, &j);

        if (r >= 0)
                return j;
        if (r == -EEXIST)
                api_refuse(
                        c->req, c->codec, 400, field, "several live jobs are named '%s': give the id", text);
        else
                api_refuse(c->req, c->codec, 404, field,
                        "no job '%s': the id of a job, or the name of a live one, is expected", text);
        return NULL;
}

void respond_job(struct http_request *req, enum codec codec, const struct peer *p,
        Mete__Api__Response__Type type, const struct job *j, bool timed_out)
{
        Mete__Api__Response response = METE__API__RESPONSE__INIT;
        struct job_view view;

        job_view(j, API_RECORD_TASKS_MAX, peer_owns(p, j), &view);
        response.type = type;
        response.job = &view.job;
        response.has_timed_out = type == METE__API__RESPONSE__TYPE__WAIT;
        response.timed_out = timed_out;
        api_respond(req, codec, 200, &response.base);
        job_view_done(&view);
}

void call_get_job(struct api_call *c)
{
        struct job *j = call_find_job(c, c->call->get_job->job_id, "get_job.job_id");

        if (j)
                respond_job(c->req, c->codec, &c->peer, METE__API__RESPONSE__TYPE__GET_JOB, j, false);
}

/* Newest first. */
void call_list_jobs(struct api_call *c)
{
        const Mete__Api__Call__ListJobs *list = c->call->list_jobs;
        struct jobs *js = c->master->jobs;
        bool all = list && list->all;
        size_t limit = list ? list->limit : 100, n = 0;
        size_t max = MIN(limit, js->live_count + (all ? js->ended_count : 0));
        Mete__Api__Response response = METE__API__RESPONSE__INIT;
        struct job_view *views = xcalloc(max + 1, sizeof(*views));
        Mete__Api__Job **jobs = xcalloc(max + 1, sizeof(*jobs));

        for (uint64_t number = js->next_number; number-- > 1 && n < max;) {
                struct job *j = job_by_number(js, number);

                if (!j || (!all && job_ended(j)))
                        continue;
                job_view(j, 0, peer_owns(&c->peer, j), &views[n]);
                jobs[n] = &views[n].job;
                n++;
        }
        response.type = METE__API__RESPONSE__TYPE__LIST_JOBS;
        response.jobs = jobs;
        response.n_jobs = n;
        api_respond(c->req, c->codec, 200, &response.base);
        for (size_t i = 0; i < n; i++)
                job_view_done(&views[i]);
        free(views);
        free(jobs);
}

struct task_list {
        struct task_view *views;
        Mete__Api__Task **tasks;
        size_t count, max;
};

static void task_list_add(struct task_list *l, const struct job *j, bool all)
{
        for (uint32_t i = 0; i < j->count && l->count < l->max; i++) {
                enum job_task_class class = job_task_class(j, i);

                if (!all && class != JOB_TASK_QUEUED && class != JOB_TASK_LIVE)
                        continue;
                l->tasks[l->count] = task_view(j, i, &l->views[l->count]);
                l->count++;
        }
}

/* The oldest job first, each with its tasks in order. */
void call_list_tasks(struct api_call *c)
{
        const Mete__Api__Call__ListTasks *list = c->call->list_tasks;
        struct jobs *js = c->master->jobs;
        bool all = list && list->all;
        Mete__Api__Response response = METE__API__RESPONSE__INIT;
        struct task_list l = {
                .max = MIN(list ? (size_t)list->limit : (size_t)1000, (size_t)API_RECORD_TASKS_MAX)};
        struct job *j = NULL;

        if (list && list->job_id) {
                j = call_find_job(c, list->job_id, "list_tasks.job_id");
                if (!j)
                        return;
        }
        l.max = MIN(l.max, js->live_tasks + js->ended_tasks);
        l.views = xcalloc(l.max + 1, sizeof(*l.views));
        l.tasks = xcalloc(l.max + 1, sizeof(*l.tasks));
        if (j) {
                task_list_add(&l, j, all);
        } else {
                DL_FOREACH (js->live, j)
                        task_list_add(&l, j, all);
                if (all)
                        DL_FOREACH (js->ended, j)
                                task_list_add(&l, j, all);
        }
        response.type = METE__API__RESPONSE__TYPE__LIST_TASKS;
        response.tasks = l.tasks;
        response.n_tasks = l.count;
        api_respond(c->req, c->codec, 200, &response.base);
        free(l.views);
        free(l.tasks);
}

void call_get_task(struct api_call *c)
{
        Mete__Api__Response response = METE__API__RESPONSE__INIT;
        const char *id = c->call->get_task->task_id;
        _cleanup_free_ char *text = text_for_message(id, 64);
        struct task_view view;
        uint32_t index;
        struct job *j;

        if (job_task_find(c->master->jobs, id, &j, &index) < 0) {
                api_refuse(c->req, c->codec, 404, "get_task.task_id",
                        "no task '%s': \"<job>.<index>\" of a known job is expected", text);
                return;
        }
        response.type = METE__API__RESPONSE__TYPE__GET_TASK;
        response.task = task_view(j, index, &view);
        api_respond(c->req, c->codec, 200, &response.base);
}

void call_list_agents(struct api_call *c)
{
        Mete__Api__Response response = METE__API__RESPONSE__INIT;
        size_t count = HASH_COUNT(c->master->agents), n = 0;
        _cleanup_free_ Mete__Api__Agent *agents = xcalloc(count + 1, sizeof(*agents));
        _cleanup_free_ Mete__Api__Agent **list = xcalloc(count + 1, sizeof(*list));
        struct agent *a, *next;

        HASH_ITER (hh, c->master->agents, a, next) {
                agent_describe(a, &agents[n]);
                list[n] = &agents[n];
                n++;
        }
        response.type = METE__API__RESPONSE__TYPE__LIST_AGENTS;
        response.agents = list;
        response.n_agents = n;
        api_respond(c->req, c->codec, 200, &response.base);
}

static void version_fill(const struct master *m, Mete__Api__Version *ret)
{
        static char text[] = METE_VERSION, role[] = "master";

        ret->version = text;
        ret->role = role;
        ret->has_epoch = true;
        ret->epoch = m->epoch;
        ret->cluster_id = (char *)m->id;
        ret->has_start_time = true;
        ret->start_time = m->start_time;
}

void call_get_version(struct api_call *c)
{
        Mete__Api__Response response = METE__API__RESPONSE__INIT;
        Mete__Api__Version v = METE__API__VERSION__INIT;

        version_fill(c->master, &v);
        response.type = METE__API__RESPONSE__TYPE__GET_VERSION;
        response.version = &v;
        api_respond(c->req, c->codec, 200, &response.base);
}
