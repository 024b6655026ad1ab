#include "agent/checks/check_target.h"

#include <stdlib.h>
#include <string.h>

#define ENVIRONMENT_MAX 4096

/* ---- checking ---- */

static int check_port(uint32_t port, const char *field, struct error *e)
{
        if (port < 1 || port > 65535)
                return error_set(e, -EINVAL, "%s.port: %u is no port: give 1 to 65535", field, port);
        return 0;
}

static int check_path(const char *path, const char *field, struct error *e)
{
        size_t n = path ? strlen(path) : 0;

        for (size_t i = 0; i < n; i++)
                if ((unsigned char)path[i] <= ' ' || path[i] == 0x7f)
                        return error_set(
                                e, -EINVAL, "%s.path: must not contain spaces or control characters", field);
        if (n > CHECK_PATH_MAX || (n > 0 && path[0] != '/'))
                return error_set(e, -EINVAL,
                        "%s.path: \"%.80s\" must begin with \"/\" and have at most %d bytes", field, path,
                        CHECK_PATH_MAX);
        return 0;
}

static int check_command(
        const Mete__V1__CommandInfo *c, const char *task_user, const char *field, struct error *e)
{
        if (!c || str_empty(c->value))
                return error_set(e, -EINVAL, "%s.command.value: is missing: give the command to run", field);
        if (c->n_uris > 0)
                return error_set(e, -ENOTSUP, "%s.command.uris: a check fetches nothing", field);
        if (c->user && !str_equal(c->user, task_user))
                return error_set(e, -ENOTSUP, "%s.command.user: a check runs as the task's user", field);
        if (c->n_arguments > ENVIRONMENT_MAX)
                return error_set(e, -E2BIG, "%s.command.arguments: %zu are too many: at most %d", field,
                        c->n_arguments, ENVIRONMENT_MAX);
        for (size_t i = 0; c->environment && i < c->environment->n_variables; i++) {
                const Mete__V1__Environment__Variable *x = c->environment->variables[i];
                if (str_empty(x->name) || strchr(x->name, '=') || x->secret)
                        return error_set(e, -EINVAL,
                                "%s.command.environment.variables[%zu]: give a name without '=', and a value",
                                field, i);
        }
        return 0;
}

static int missing(const char *field, const char *name, struct error *e)
{
        return error_set(e, -EINVAL, "%s.%s: is missing, as the type is that", field, name);
}

static int check_scheme(const char *scheme, const char *field, struct error *e)
{
        if (!scheme || str_equal(scheme, "http"))
                return 0;
        return error_set(
                e, -ENOTSUP, "%s.http.scheme: \"%.20s\": http is what this agent asks by", field, scheme);
}

int check_target_check_health(
        const Mete__V1__HealthCheck *h, const char *task_user, struct check_timing *ret, struct error *e)
{
        static const char field[] = "task.health_check";
        int r;

        switch (h->has_type ? h->type : METE__V1__HEALTH_CHECK__TYPE__UNKNOWN) {
        case METE__V1__HEALTH_CHECK__TYPE__COMMAND:
                r = check_command(h->command, task_user, field, e);
                break;
        case METE__V1__HEALTH_CHECK__TYPE__HTTP:
                r = h->http ? check_port(h->http->port, "task.health_check.http", e)
                            : missing(field, "http", e);
                if (r == 0)
                        r = check_path(h->http->path, "task.health_check.http", e);
                if (r == 0)
                        r = check_scheme(h->http->scheme, field, e);
                break;
        case METE__V1__HEALTH_CHECK__TYPE__TCP:
                r = h->tcp ? check_port(h->tcp->port, "task.health_check.tcp", e) : missing(field, "tcp", e);
                break;
        default:
                r = error_set(e, -EINVAL, "%s.type: give COMMAND, HTTP or TCP", field);
        }
        return r < 0 ? r : check_timing_of_health(h, field, ret, e);
}

int check_target_check_check(
        const Mete__V1__CheckInfo *c, const char *task_user, struct check_timing *ret, struct error *e)
{
        static const char field[] = "task.check";
        int r;

        switch (c->has_type ? c->type : METE__V1__CHECK_INFO__TYPE__UNKNOWN) {
        case METE__V1__CHECK_INFO__TYPE__COMMAND:
                r = check_command(
                        c->command ? c->command->command : NULL, task_user, "task.check.command", e);
                break;
        case METE__V1__CHECK_INFO__TYPE__HTTP:
                r = c->http ? check_port(c->http->port, "task.check.http", e) : missing(field, "http", e);
                if (r == 0)
                        r = check_path(c->http->path, "task.check.http", e);
                break;
        case METE__V1__CHECK_INFO__TYPE__TCP:
                r = c->tcp ? check_port(c->tcp->port, "task.check.tcp", e) : missing(field, "tcp", e);
                break;
        default:
                r = error_set(e, -EINVAL, "%s.type: give COMMAND, HTTP or TCP", field);
        }
        return r < 0 ? r : check_timing_of_check(c, field, ret, e);
}

/* ---- the plan: the task's own, with another command ---- */

struct command_lists {
        const char **argv, **environment;
        char **owned; /* items of environment that were made here */
        size_t owned_count;
};

static void command_lists_done(struct command_lists *l)
{
        for (size_t i = 0; i < l->owned_count; i++)
                free(l->owned[i]);
        free(l->owned);
        free(l->argv);
        free(l->environment);
}

static void fill_argv(const Mete__V1__CommandInfo *c, struct command_lists *l)
{
        bool shell = !c->has_shell || c->shell;
        size_t n = 0;

        l->argv = xcalloc(c->n_arguments + 4, sizeof(char *));
        if (shell) {
                l->argv[n++] = "/bin/sh";
                l->argv[n++] = "-c";
                l->argv[n++] = c->value;
                return;
        }
        for (; n < c->n_arguments; n++)
                l->argv[n] = c->arguments[n];
        if (n == 0)
                l->argv[0] = c->value;
}

/* The task's, with what the check says on top. */
static void fill_environment(
        const struct container_spec *s, const Mete__V1__CommandInfo *c, struct command_lists *l)
{
        size_t count = 0, more = c->environment ? c->environment->n_variables : 0, n = 0;

        while (s->environment && s->environment[count])
                count++;
        l->environment = xcalloc(count + more + 1, sizeof(char *));
        l->owned = xcalloc(more + 1, sizeof(char *));
        for (size_t i = 0; i < more; i++) {
                const Mete__V1__Environment__Variable *x = c->environment->variables[i];
                l->owned[l->owned_count] = xasprintf("%s=%s", x->name, x->value ? x->value : "");
                l->environment[n++] = l->owned[l->owned_count++];
        }
        for (size_t i = 0; i < count; i++) {
                size_t name = strcspn(s->environment[i], "=") + 1;
                bool replaced = false;
                for (size_t k = 0; k < l->owned_count && !replaced; k++)
                        replaced = strncmp(l->owned[k], s->environment[i], name) == 0;
                if (!replaced)
                        l->environment[n++] = s->environment[i];
        }
}

static int seal_plan(
        struct agent_container *c, const Mete__V1__CommandInfo *command, int *ret_fd, struct error *e)
{
        CLEANUP(command_lists_done) struct command_lists l = {0};
        CLEANUP(cleanup_plan_free) struct plan *plan = plan_new();
        /* Copies: the isolators fill the container's side in again, with the same. */
        struct container_spec spec = c->spec;
        struct container view = c->view;

        if (command) {
                fill_argv(command, &l);
                fill_environment(&c->spec, command, &l);
                spec.argv = (char **)(uintptr_t)l.argv;
                spec.environment = (char **)(uintptr_t)l.environment;
                spec.program = command->has_shell && !command->shell ? command->value : NULL;
        }
        view.spec = &spec;
        int r = isolators_prepare(&c->agent->host, &view, plan, e);
        return r < 0 ? r : plan_seal(plan, ret_fd, e);
}

void check_target_done(struct check_target *t)
{
        free(t->path);
        t->path = NULL;
        t->plan_fd = close_fd(t->plan_fd);
}

static int target(struct agent_container *c, struct check_target t, const char *path,
        const Mete__V1__CommandInfo *command, struct check_target *ret, struct error *e)
{
        t.plan_fd = -1;
        int r = seal_plan(c, command, &t.plan_fd, e);
        if (r < 0)
                return r;
        t.path = xstrdup(path ? path : "/");
        *ret = t;
        return 0;
}

int check_target_of_health(
        struct agent_container *c, const Mete__V1__HealthCheck *h, struct check_target *ret, struct error *e)
{
        if (h->type == METE__V1__HEALTH_CHECK__TYPE__COMMAND)
                return target(c, (struct check_target){.kind = CHECK_COMMAND}, NULL, h->command, ret, e);
        if (h->type == METE__V1__HEALTH_CHECK__TYPE__TCP)
                return target(c,
                        (struct check_target){.kind = CHECK_TCP,
                                .port = (uint16_t)h->tcp->port,
                                .ipv6 = h->tcp->protocol == METE__V1__NETWORK_INFO__PROTOCOL__IPv6},
                        NULL, NULL, ret, e);
        return target(c,
                (struct check_target){.kind = CHECK_HTTP,
                        .port = (uint16_t)h->http->port,
                        .ipv6 = h->http->protocol == METE__V1__NETWORK_INFO__PROTOCOL__IPv6},
                h->http->path, NULL, ret, e);
}

int check_target_of_check(
        struct agent_container *c, const Mete__V1__CheckInfo *i, struct check_target *ret, struct error *e)
{
        if (i->type == METE__V1__CHECK_INFO__TYPE__COMMAND)
                return target(
                        c, (struct check_target){.kind = CHECK_COMMAND}, NULL, i->command->command, ret, e);
        if (i->type == METE__V1__CHECK_INFO__TYPE__TCP)
                return target(c, (struct check_target){.kind = CHECK_TCP, .port = (uint16_t)i->tcp->port},
                        NULL, NULL, ret, e);
        return target(c, (struct check_target){.kind = CHECK_HTTP, .port = (uint16_t)i->http->port},
                i->http->path, NULL, ret, e);
}
