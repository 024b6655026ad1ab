#include "tools/mete/query.h"

#include "lib/net/codec.h"

int query_client(const struct common_options *o, struct mete_client **ret, struct error *e)
{
        int r = mete_client_new(o->master, ret, e);

        return r == -EINVAL ? error_prefix(e, "--master") : r;
}

int query_once(const struct common_options *o, const Mete__Api__Call *call, Mete__Api__Response **ret,
        struct error *e)
{
        CLEANUP(cleanup_mete_client_free) struct mete_client *c = NULL;
        int r = query_client(o, &c, e);

        return r < 0 ? r : mete_client_call(c, call, 0, ret, e);
}

/* Leaves the one of this name in the list, if it is there. */
static bool keep_role(Mete__Api__Response *response, const char *name)
{
        size_t kept = 0;

        for (size_t i = 0; i < response->n_roles; i++)
                if (str_equal(response->roles[i]->name, name))
                        response->roles[kept++] = response->roles[i];
                else
                        message_free(response->roles[i]);
        response->n_roles = kept;
        return kept > 0;
}

int query_roles(const struct common_options *o, const char *name, Mete__Api__Response **ret, struct error *e)
{
        Mete__Api__Call call = METE__API__CALL__INIT;
        int r;

        call.type = METE__API__CALL__TYPE__LIST_ROLES;
        r = query_once(o, &call, ret, e);
        if (r < 0 || !name || keep_role(*ret, name))
                return r;
        message_free(*ret);
        return error_set(
                e, -ENOENT, "there is no role \"%s\": `mete roles` lists those that are in use", name);
}

int query_tasks(
        struct mete_client *c, bool all, const char *job_id, Mete__Api__Response **ret, struct error *e)
{
        Mete__Api__Call call = METE__API__CALL__INIT;
        Mete__Api__Call__ListTasks list = METE__API__CALL__LIST_TASKS__INIT;

        list.has_all = true;
        list.all = all;
        list.job_id = (char *)job_id;
        call.type = METE__API__CALL__TYPE__LIST_TASKS;
        call.list_tasks = &list;
        return mete_client_call(c, &call, 0, ret, e);
}

int query_task(struct mete_client *c, const char *task_id, Mete__Api__Response **ret, struct error *e)
{
        Mete__Api__Call call = METE__API__CALL__INIT;
        Mete__Api__Call__GetTask get = METE__API__CALL__GET_TASK__INIT;
        int r;

        get.task_id = (char *)task_id;
        call.type = METE__API__CALL__TYPE__GET_TASK;
        call.get_task = &get;
        r = mete_client_call(c, &call, 0, ret, e);
        if (r < 0)
                return r;
        if ((*ret)->task)
                return 0;
        return error_set(e, -EPROTO, "the master at %s answered without the task", mete_client_master(c));
}

int query_jobs(struct mete_client *c, bool all, Mete__Api__Response **ret, struct error *e)
{
        Mete__Api__Call call = METE__API__CALL__INIT;
        Mete__Api__Call__ListJobs list = METE__API__CALL__LIST_JOBS__INIT;

        list.has_all = true;
        list.all = all;
        call.type = METE__API__CALL__TYPE__LIST_JOBS;
        call.list_jobs = &list;
        return mete_client_call(c, &call, 0, ret, e);
}

int query_job(struct mete_client *c, const char *job_id, Mete__Api__Response **ret, struct error *e)
{
        Mete__Api__Call call = METE__API__CALL__INIT;
        Mete__Api__Call__GetJob get = METE__API__CALL__GET_JOB__INIT;
        int r;

        get.job_id = (char *)job_id;
        call.type = METE__API__CALL__TYPE__GET_JOB;
        call.get_job = &get;
        r = mete_client_call(c, &call, 0, ret, e);
        if (r < 0)
                return r;
        if ((*ret)->job)
                return 0;
        return error_set(e, -EPROTO, "the master at %s answered without the job", mete_client_master(c));
}

int query_plan(struct mete_client *c, Mete__Api__JobSpec *spec, Mete__Api__Response **ret, struct error *e)
{
        Mete__Api__Call call = METE__API__CALL__INIT;
        Mete__Api__Call__Plan plan = METE__API__CALL__PLAN__INIT;
        int r;

        plan.job = spec;
        call.type = METE__API__CALL__TYPE__PLAN;
        call.plan = &plan;
        r = mete_client_call(c, &call, 0, ret, e);
        if (r < 0)
                return r;
        if ((*ret)->explanation)
                return 0;
        message_free(*ret);
        *ret = NULL;
        return error_set(
                e, -EPROTO, "the master at %s answered without an explanation", mete_client_master(c));
}

static int query_plain(
        struct mete_client *c, Mete__Api__Call__Type type, Mete__Api__Response **ret, struct error *e)
{
        Mete__Api__Call call = METE__API__CALL__INIT;

        call.type = type;
        return mete_client_call(c, &call, 0, ret, e);
}

int query_agents(struct mete_client *c, Mete__Api__Response **ret, struct error *e)
{
        return query_plain(c, METE__API__CALL__TYPE__LIST_AGENTS, ret, e);
}

int query_version(struct mete_client *c, Mete__Api__Response **ret, struct error *e)
{
        return query_plain(c, METE__API__CALL__TYPE__GET_VERSION, ret, e);
}

bool task_is_over(const Mete__Api__Task *t)
{
        switch (t->state) {
        case METE__V1__TASK_STATE__TASK_STAGING:
        case METE__V1__TASK_STATE__TASK_STARTING:
        case METE__V1__TASK_STATE__TASK_RUNNING:
        case METE__V1__TASK_STATE__TASK_KILLING:
        case METE__V1__TASK_STATE__TASK_UNREACHABLE:
        case METE__V1__TASK_STATE__TASK_UNKNOWN:
                return false;
        default:
                return true;
        }
}
