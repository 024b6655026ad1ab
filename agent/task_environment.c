#include "agent/task_environment.h"

#include <stdlib.h>
#include <string.h>

#define PATH_DEFAULT "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct environment {
        char **items;
        size_t count, allocated, bytes;
};

static void environment_done(struct environment *v)
{
        for (size_t i = 0; i < v->count; i++)
                free(v->items[i]);
        free(v->items);
}

/* A later value replaces an earlier one: getenv() would find the first. */
static void put(struct environment *v, const char *name, const char *value)
{
        size_t n = strlen(name);
        char *item = xasprintf("%s=%s", name, value ? value : "");

        v->bytes += strlen(item) + 1;
        for (size_t i = 0; i < v->count; i++) {
                if (strncmp(v->items[i], name, n) == 0 && v->items[i][n] == '=') {
                        free(v->items[i]);
                        v->items[i] = item;
                        return;
                }
        }
        if (v->count + 1 >= v->allocated) {
                v->allocated = v->allocated ? v->allocated * 2 : 32;
                v->items = xrealloc(v->items, v->allocated * sizeof(char *));
        }
        v->items[v->count++] = item;
        v->items[v->count] = NULL;
}

static const char *allocation_role(const Mete__V1__TaskInfo *t)
{
        for (size_t i = 0; i < t->n_resources; i++)
                if (t->resources[i]->allocation_info && t->resources[i]->allocation_info->role)
                        return t->resources[i]->allocation_info->role;
        return NULL;
}

static void put_ours(struct environment *v, const Mete__Agent__Command__Launch *launch,
        const struct task_place *place, const struct user_ids *user)
{
        const char *role = allocation_role(launch->task);

        put(v, "PATH", PATH_DEFAULT);
        put(v, "HOME", user->home[0] ? user->home : "/");
        if (user->name[0])
                put(v, "USER", user->name);
        put(v, "MESOS_TASK_ID", launch->task->task_id->value);
        put(v, "MESOS_EXECUTOR_ID", launch->task->task_id->value);
        put(v, "MESOS_FRAMEWORK_ID", launch->framework->id->value);
        put(v, "MESOS_SLAVE_ID", place->agent_id);
        put(v, "MESOS_CONTAINER_ID", place->container_id);
        put(v, "MESOS_AGENT_ENDPOINT", place->agent_endpoint);
        put(v, "MESOS_SANDBOX", place->sandbox_in_container);
        put(v, "MESOS_DIRECTORY", place->sandbox_path);
        if (role)
                put(v, "MESOS_ALLOCATION_ROLE", role);
}

static int put_theirs(struct environment *v, const Mete__V1__Environment *theirs, struct error *e)
{
        if (theirs->n_variables > TASK_ENVIRONMENT_MAX)
                return error_set(e, -E2BIG,
                        "task.command.environment: %zu variables are too many: at most %d",
                        theirs->n_variables, TASK_ENVIRONMENT_MAX);
        for (size_t i = 0; i < theirs->n_variables; i++) {
                const Mete__V1__Environment__Variable *x = theirs->variables[i];

                if (str_empty(x->name) || strchr(x->name, '='))
                        return error_set(e, -EINVAL,
                                "task.command.environment.variables[%zu].name: \"%.80s\" must not be empty "
                                "or contain '='",
                                i, x->name);
                if (x->secret || (x->has_type && x->type != METE__V1__ENVIRONMENT__VARIABLE__TYPE__VALUE))
                        return error_set(e, -ENOTSUP,
                                "task.command.environment.variables[%zu].type: only VALUE is supported here",
                                i);
                put(v, x->name, x->value);
        }
        if (v->bytes > TASK_ENVIRONMENT_BYTES_MAX)
                return error_set(e, -E2BIG, "task.command.environment: %zu bytes are too many: at most %u",
                        v->bytes, TASK_ENVIRONMENT_BYTES_MAX);
        return 0;
}

int task_environment_build(const Mete__Agent__Command__Launch *launch, const struct task_place *place,
        const struct user_ids *user, char ***ret, struct error *e)
{
        CLEANUP(environment_done) struct environment v = {0};

        put_ours(&v, launch, place, user);
        if (launch->task->command && launch->task->command->environment) {
                int r = put_theirs(&v, launch->task->command->environment, e);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(v.items);
        v.count = 0;
        return 0;
}
