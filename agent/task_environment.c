#include "agent/task_environment.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/time.h"

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

/* As Mesos writes durations: "15mins", "5secs", "1500ms". */
static void put_duration(struct environment *v, const char *name, uint64_t ns)
{
        static const struct {
                uint64_t ns;
                const char *unit;
        } units[] = {{NSEC_PER_SEC * 3600 * 24 * 7, "weeks"}, {NSEC_PER_SEC * 3600 * 24, "days"},
                {NSEC_PER_SEC * 3600, "hrs"}, {NSEC_PER_SEC * 60, "mins"}, {NSEC_PER_SEC, "secs"},
                {NSEC_PER_MSEC, "ms"}, {NSEC_PER_USEC, "us"}, {1, "ns"}};
        char text[32];
        size_t i = 0;

        while (units[i].ns > 1 && (ns < units[i].ns || ns % units[i].ns != 0))
                i++;
        (void)snprintf(text, sizeof(text), "%" PRIu64 "%s", ns / units[i].ns, units[i].unit);
        put(v, name, text);
}

static void put_base(struct environment *v, const struct string_list *base)
{
        for (size_t i = 0; base && i < base->count; i++) {
                const char *equals = strchr(base->items[i], '=');
                _cleanup_free_ char *name = xstrndup(base->items[i], (size_t)(equals - base->items[i]));

                put(v, name, equals + 1);
        }
}

static void put_protocol(
        struct environment *v, const Mete__Agent__Command__Launch *launch, const struct task_place *place)
{
        const Mete__V1__FrameworkInfo *f = launch->framework;
        bool checkpoint = f->has_checkpoint && f->checkpoint;
        _cleanup_free_ char *pid = xasprintf("slave(1)@%s", place->agent_endpoint);

        put(v, "MESOS_AGENT_ENDPOINT", place->agent_endpoint);
        put(v, "MESOS_SLAVE_PID", pid);
        if (place->domain_socket)
                put(v, "MESOS_DOMAIN_SOCKET", place->domain_socket);
        put(v, "MESOS_CHECKPOINT", checkpoint ? "1" : "0");
        if (checkpoint) {
                put_duration(v, "MESOS_RECOVERY_TIMEOUT", place->recovery_timeout_ns);
                put(v, "MESOS_SUBSCRIPTION_BACKOFF_MAX", "2secs");
        }
        put_duration(v, "MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", place->shutdown_grace_ns);
        put(v, "MESOS_HTTP_COMMAND_EXECUTOR", "0");
        if (place->executor_token)
                put(v, "MESOS_EXECUTOR_AUTHENTICATION_TOKEN", place->executor_token);
        put(v, "LIBPROCESS_PORT", "0");
        if (getenv("LIBPROCESS_IP"))
                put(v, "LIBPROCESS_IP", getenv("LIBPROCESS_IP"));
}

static void put_ours(struct environment *v, const Mete__Agent__Command__Launch *launch,
        const struct task_place *place, const struct user_ids *user)
{
        const char *role = allocation_role(launch->task);

        put(v, "PATH", PATH_DEFAULT);
        put(v, "HOME", user->home[0] ? user->home : "/");
        if (user->name[0])
                put(v, "USER", user->name);
        put_base(v, place->environment);
        if (!place->executor)
                put(v, "MESOS_TASK_ID", launch->task->task_id->value);
        put(v, "MESOS_EXECUTOR_ID", launch->task->task_id->value);
        put(v, "MESOS_FRAMEWORK_ID", launch->framework->id->value);
        put(v, "MESOS_SLAVE_ID", place->agent_id);
        put(v, "MESOS_CONTAINER_ID", place->container_id);
        put(v, "MESOS_SANDBOX", place->sandbox_in_container);
        put(v, "MESOS_DIRECTORY", place->sandbox_path);
        put_protocol(v, launch, place);
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
