#include <stdlib.h>

#include "agent/api/api.h"
#include "agent/container.h"
#include "agent/status_message.h"

void api_get_version(struct api_request *r)
{
        Mete__Api__Response m = METE__API__RESPONSE__INIT;
        Mete__Api__Version v = METE__API__VERSION__INIT;

        v.version = (char *)METE_VERSION;
        v.role = (char *)"agent";
        m.type = METE__API__RESPONSE__TYPE__GET_VERSION;
        m.version = &v;
        api_respond(r, &m);
}

#define SET(m, field, v)                                                                                     \
        do {                                                                                                 \
                (m)->has_##field = true;                                                                     \
                (m)->field = (v);                                                                            \
        } while (0)

/* "17.0" is a task of job 17; tasks of frameworks belong to no job. */
static char *job_of(const char *task_id)
{
        size_t n = 0;

        while (task_id[n] >= '0' && task_id[n] <= '9')
                n++;
        return xstrndup(task_id, task_id[n] == '.' ? n : 0);
}

/* Borrows from c, save for job_id and usage. */
static Mete__Api__Task *message_of(const struct agent_task *x)
{
        const struct agent_container *c = x->container;
        Mete__Api__Task *t = NEW0(Mete__Api__Task);
        const struct container_spec *s = &c->spec;

        mete__api__task__init(t);
        t->task_id = x->info->task_id->value;
        t->job_id = job_of(t->task_id);
        t->name = x->info->name;
        t->state = task_latest_state(x);
        t->agent_id = c->agent->identity.agent_id;
        t->agent_address = c->agent->endpoint;
        t->container_id = c->info->container_id;
        t->sandbox = c->info->sandbox;
        t->user = s->user;
        if (c->task) /* an executor's is of all its tasks together */
                t->usage = usage_to_message(c);
        if (c->record.started_wall_ns)
                SET(t, started, wall_seconds((struct wall_time){c->record.started_wall_ns}));
        SET(t, cpus, (double)s->milli_cpus / 1000.0);
        if (s->milli_cpus_limit != UINT64_MAX)
                SET(t, cpus_limit, (double)s->milli_cpus_limit / 1000.0);
        SET(t, memory_bytes, s->memory_bytes);
        if (s->memory_limit_bytes != UINT64_MAX)
                SET(t, memory_limit_bytes, s->memory_limit_bytes);
        return t;
}

static bool may_see(const struct api_request *r, const struct agent_container *c)
{
        uid_t owner;
        const char *path = container_sandbox(c);

        if (r->caller.trusted)
                return true;
        return path && api_sandbox_owner(r->agent, path, &owner) == 0 && api_may_see(&r->caller, owner);
}

void api_get_containers(struct api_request *r)
{
        Mete__Api__Response m = METE__API__RESPONSE__INIT;
        struct agent_task *t, *tmp;

        m.type = METE__API__RESPONSE__TYPE__GET_CONTAINERS;
        m.tasks = xcalloc(HASH_COUNT(r->agent->tasks) + 1, sizeof(*m.tasks));
        HASH_ITER (hh, r->agent->tasks, t, tmp)
                if (may_see(r, t->container))
                        m.tasks[m.n_tasks++] = message_of(t);
        api_respond(r, &m);
        for (size_t i = 0; i < m.n_tasks; i++) {
                free(m.tasks[i]->job_id);
                message_free(m.tasks[i]->usage);
                free(m.tasks[i]);
        }
        free(m.tasks);
}
