#include "master/task_validation.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "master/frameworks/frameworks.h"

#define MIN_EXECUTOR_MILLI_CPUS 10
#define MIN_EXECUTOR_MILLI_MEM (32 * 1000)

/* ---- completing ---- */

static void complete_resources(Mete__V1__Resource *const *resources, size_t count, const char *role)
{
        for (size_t i = 0; i < count; i++) {
                Mete__V1__Resource *r = resources[i];

                if (!r->allocation_info) {
                        r->allocation_info = NEW0(Mete__V1__Resource__AllocationInfo);
                        mete__v1__resource__allocation_info__init(r->allocation_info);
                }
                if (!r->allocation_info->role)
                        r->allocation_info->role = xstrdup(role);
        }
}

void executor_complete(const struct launch_target *target, Mete__V1__ExecutorInfo *x)
{
        if (!x->framework_id) {
                x->framework_id = NEW0(Mete__V1__FrameworkID);
                mete__v1__framework_id__init(x->framework_id);
                x->framework_id->value = xstrdup(target->framework->id);
        }
        complete_resources(x->resources, x->n_resources, target->role);
}

static bool has_type(const Mete__V1__ExecutorInfo *x)
{
        return x->has_type && x->type != METE__V1__EXECUTOR_INFO__TYPE__UNKNOWN;
}

void task_complete(const struct launch_target *target, Mete__V1__TaskInfo *t)
{
        complete_resources(t->resources, t->n_resources, target->role);
        if (!t->executor)
                return;
        executor_complete(target, t->executor);
        if (!has_type(t->executor) && t->executor->command) {
                t->executor->has_type = true;
                t->executor->type = METE__V1__EXECUTOR_INFO__TYPE__CUSTOM;
        }
}

/* ---- whom it may run as ---- */

static int authorize_command(
        const struct framework *f, const Mete__V1__CommandInfo *c, const char *field, struct error *e)
{
        if (!c || !c->user || f->privileged || str_equal(c->user, f->info->user))
                return 0;
        return error_set(e, -EPERM, "%s.user: '%s' is refused: the framework's tasks run as '%s'", field,
                c->user, f->info->user);
}

static int refuse_capabilities(const Mete__V1__CapabilityInfo *set, const char *field, struct error *e)
{
        if (!set || set->n_capabilities == 0)
                return 0;
        return error_set(e, -EPERM,
                "%s: only frameworks of root may ask for capabilities: an empty set is expected", field);
}

/* As for jobs: who may not choose a user gets no right that root's agent could give. */
static int authorize_container(
        const struct framework *f, const Mete__V1__ContainerInfo *c, const char *field, struct error *e)
{
        const Mete__V1__LinuxInfo *l = c ? c->linux_info : NULL;
        _cleanup_free_ char *effective = xasprintf("%s.linux_info.effective_capabilities", field),
                            *bounding = xasprintf("%s.linux_info.bounding_capabilities", field);
        int r = 0;

        if (!c || f->privileged)
                return 0;
        if (l)
                r = refuse_capabilities(l->effective_capabilities, effective, e);
        if (l && r >= 0)
                r = refuse_capabilities(l->bounding_capabilities, bounding, e);
        for (size_t i = 0; r >= 0 && c->rlimit_info && i < c->rlimit_info->n_rlimits; i++) {
                Mete__V1__RLimitInfo__RLimit__Type type = c->rlimit_info->rlimits[i]->type;

                if (type == METE__V1__RLIMIT_INFO__RLIMIT__TYPE__RLMT_NICE ||
                        type == METE__V1__RLIMIT_INFO__RLIMIT__TYPE__RLMT_RTPRIO)
                        r = error_set(e, -EPERM,
                                "%s.rlimit_info.rlimits[%zu].type: only frameworks of root may set NICE and "
                                "RTPRIO",
                                field, i);
        }
        return r;
}

int executor_authorize(
        const struct framework *f, const Mete__V1__ExecutorInfo *x, const char *field, struct error *e)
{
        _cleanup_free_ char *command = xasprintf("%s.command", field),
                            *container = xasprintf("%s.container", field);
        int r = authorize_command(f, x->command, command, e);

        return r < 0 ? r : authorize_container(f, x->container, container, e);
}

int task_authorize(const struct framework *f, const Mete__V1__TaskInfo *t, struct error *e)
{
        int r = authorize_command(f, t->command, "task.command", e);

        if (r >= 0)
                r = authorize_container(f, t->container, "task.container", e);
        if (r >= 0 && t->executor)
                r = executor_authorize(f, t->executor, "task.executor", e);
        if (r >= 0 && t->check && t->check->command)
                r = authorize_command(f, t->check->command->command, "task.check.command.command", e);
        if (r >= 0 && t->health_check)
                r = authorize_command(f, t->health_check->command, "task.health_check.command", e);
        return r;
}

/* ---- resources ---- */

/* cpus that may be taken back and cpus that may not: nobody could tell which of them the task runs on. */
static int check_revocable(
        Mete__V1__Resource *const *resources, size_t count, const char *field, struct error *e)
{
        for (size_t i = 0; i < count; i++) {
                if (!resources[i]->revocable)
                        continue;
                for (size_t j = 0; j < count; j++)
                        if (!resources[j]->revocable && str_equal(resources[i]->name, resources[j]->name))
                                return error_set(e, -EINVAL,
                                        "%s[%zu].revocable: '%s' is asked for both revocable and not", field,
                                        i, resources[i]->name);
        }
        return 0;
}

static int check_resources(Mete__V1__Resource *const *resources, size_t count, const char *role,
        const char *field, struct error *e)
{
        _cleanup_resources_ struct resources all = {};
        int r = resources_from_proto(resources, count, field, &all, e);

        if (r >= 0)
                r = check_revocable(resources, count, field, e);
        for (size_t i = 0; r >= 0 && i < count; i++)
                if (!str_equal(resources[i]->allocation_info->role, role))
                        r = error_set(e, -EINVAL,
                                "%s[%zu].allocation_info.role: '%s', but the offers are of role '%s'", field,
                                i, resources[i]->allocation_info->role, role);
        return r;
}

/* ---- limits ---- */

static bool shares_cgroups(const Mete__V1__TaskInfo *t)
{
        const Mete__V1__LinuxInfo *l = t->container ? t->container->linux_info : NULL;

        return !l || !l->has_share_cgroups || l->share_cgroups;
}

static int check_limit(const struct resources *request, const char *name, double limit, struct error *e)
{
        uint64_t wanted = resources_scalar(request, name), milli;

        if (!str_equal(name, "cpus") && !str_equal(name, "mem"))
                return error_set(e, -EINVAL, "task.limits.%s: only cpus and mem can be limited", name);
        if (isinf(limit) && limit > 0)
                return 0;
        if (milli_from_double(limit, &milli) < 0)
                return error_set(e, -EINVAL,
                        "task.limits.%s: %g: a number of at least 0 or Infinity is expected", name, limit);
        /* A request in bytes may have been rounded up to the next thousandth of a MiB, and its limit down. */
        if (milli + 1 < wanted)
                return error_set(e, -EINVAL, "task.limits.%s: %g is less than the %g requested", name, limit,
                        milli_to_double(wanted));
        return 0;
}

static int check_limits(const Mete__V1__TaskInfo *t, bool in_group, struct error *e)
{
        _cleanup_resources_ struct resources request = {};
        int r;

        if (t->n_limits == 0)
                return 0;
        if (in_group && shares_cgroups(t))
                return error_set(e, -EINVAL,
                        "task.limits: a task of a group has limits of its own only with "
                        "container.linux_info.share_cgroups false");
        r = resources_from_proto(t->resources, t->n_resources, "task.resources", &request, e);
        for (size_t i = 0; r >= 0 && i < t->n_limits; i++)
                r = t->limits[i]->value
                            ? check_limit(&request, t->limits[i]->key, t->limits[i]->value->value, e)
                            : error_set(e, -EINVAL, "task.limits.%s: a value is expected", t->limits[i]->key);
        return r;
}

/* ---- commands and containers ---- */

static int check_command(const Mete__V1__CommandInfo *c, const char *field, struct error *e)
{
        for (size_t i = 0; c && c->environment && i < c->environment->n_variables; i++) {
                const Mete__V1__Environment__Variable *v = c->environment->variables[i];

                if (v->type == METE__V1__ENVIRONMENT__VARIABLE__TYPE__SECRET ? !v->secret || v->value
                                                                             : !v->value || v->secret)
                        return error_set(e, -EINVAL,
                                "%s.environment.variables[%zu]: '%s' needs a value, or a secret when it is "
                                "of type "
                                "SECRET",
                                field, i, v->name);
        }
        return 0;
}

static int check_container(
        const Mete__V1__ContainerInfo *c, bool in_group, const char *field, struct error *e)
{
        if (!c || c->type != METE__V1__CONTAINER_INFO__TYPE__DOCKER)
                return 0;
        if (in_group)
                return error_set(e, -EINVAL, "%s.type: DOCKER containers cannot be in a group", field);
        return c->docker ? 0 : error_set(e, -EINVAL, "%s.docker: required for the type DOCKER", field);
}

/* ---- checks ---- */

static int check_seconds(bool has, double seconds, const char *field, const char *member, struct error *e)
{
        if (!has || (seconds >= 0 && isfinite(seconds)))
                return 0;
        return error_set(e, -EINVAL, "%s.%s: %g: a number of at least 0 is expected", field, member, seconds);
}

static int check_port(uint32_t port, const char *field, struct error *e)
{
        if (port >= 1 && port <= UINT16_MAX)
                return 0;
        return error_set(e, -EINVAL, "%s.port: %u: 1 to 65535 is expected", field, port);
}

static int check_http(uint32_t port, const char *path, const char *field, struct error *e)
{
        if (path && path[0] != '/')
                return error_set(e, -EINVAL, "%s.path: '%s' does not begin with '/'", field, path);
        return check_port(port, field, e);
}

static int check_check(const Mete__V1__CheckInfo *c, struct error *e)
{
        int r;

        if (!c)
                return 0;
        if (c->has_type && c->type == METE__V1__CHECK_INFO__TYPE__COMMAND)
                r = c->command ? check_command(c->command->command, "task.check.command.command", e)
                               : error_set(e, -EINVAL, "task.check.command: required for the type COMMAND");
        else if (c->has_type && c->type == METE__V1__CHECK_INFO__TYPE__HTTP)
                r = c->http ? check_http(c->http->port, c->http->path, "task.check.http", e)
                            : error_set(e, -EINVAL, "task.check.http: required for the type HTTP");
        else if (c->has_type && c->type == METE__V1__CHECK_INFO__TYPE__TCP)
                r = c->tcp ? check_port(c->tcp->port, "task.check.tcp", e)
                           : error_set(e, -EINVAL, "task.check.tcp: required for the type TCP");
        else
                r = error_set(e, -EINVAL, "task.check.type: COMMAND, HTTP or TCP is expected");
        if (r >= 0)
                r = check_seconds(c->has_delay_seconds, c->delay_seconds, "task.check", "delay_seconds", e);
        if (r >= 0)
                r = check_seconds(
                        c->has_interval_seconds, c->interval_seconds, "task.check", "interval_seconds", e);
        if (r >= 0)
                r = check_seconds(
                        c->has_timeout_seconds, c->timeout_seconds, "task.check", "timeout_seconds", e);
        return r;
}

#define HEALTH "task.health_check"

static int check_health_http(const Mete__V1__HealthCheck__HTTPCheckInfo *h, struct error *e)
{
        if (!h)
                return error_set(e, -EINVAL, HEALTH ".http: required for the type HTTP");
        if (h->scheme && !str_equal(h->scheme, "http") && !str_equal(h->scheme, "https"))
                return error_set(
                        e, -EINVAL, HEALTH ".http.scheme: '%s': http or https is expected", h->scheme);
        return check_http(h->port, h->path, HEALTH ".http", e);
}

static int check_health_check(const Mete__V1__HealthCheck *h, struct error *e)
{
        int r;

        if (!h)
                return 0;
        if (h->has_type && h->type == METE__V1__HEALTH_CHECK__TYPE__COMMAND)
                r = h->command ? check_command(h->command, HEALTH ".command", e)
                               : error_set(e, -EINVAL, HEALTH ".command: required for the type COMMAND");
        else if (h->has_type && h->type == METE__V1__HEALTH_CHECK__TYPE__HTTP)
                r = check_health_http(h->http, e);
        else if (h->has_type && h->type == METE__V1__HEALTH_CHECK__TYPE__TCP)
                r = h->tcp ? check_port(h->tcp->port, HEALTH ".tcp", e)
                           : error_set(e, -EINVAL, HEALTH ".tcp: required for the type TCP");
        else
                r = error_set(e, -EINVAL, HEALTH ".type: COMMAND, HTTP or TCP is expected");
        if (r >= 0)
                r = check_seconds(h->has_delay_seconds, h->delay_seconds, HEALTH, "delay_seconds", e);
        if (r >= 0)
                r = check_seconds(
                        h->has_interval_seconds, h->interval_seconds, HEALTH, "interval_seconds", e);
        if (r >= 0)
                r = check_seconds(h->has_timeout_seconds, h->timeout_seconds, HEALTH, "timeout_seconds", e);
        if (r >= 0)
                r = check_seconds(h->has_grace_period_seconds, h->grace_period_seconds, HEALTH,
                        "grace_period_seconds", e);
        return r;
}

/* ---- executors ---- */

static bool same_executor(const Mete__V1__ExecutorInfo *a, const Mete__V1__ExecutorInfo *b)
{
        _cleanup_buffer_ struct buffer x = {}, y = {};

        return message_encode(CODEC_PROTOBUF, &a->base, &x) >= 0 &&
               message_encode(CODEC_PROTOBUF, &b->base, &y) >= 0 && x.len == y.len &&
               (x.len == 0 || memcmp(x.data, y.data, x.len) == 0);
}

static int check_executor_kind(
        const Mete__V1__ExecutorInfo *x, const char *field, bool for_group, struct error *e)
{
        if (for_group && !has_type(x))
                return error_set(e, -EINVAL, "%s.type: required for a group", field);
        if (has_type(x) && x->type != METE__V1__EXECUTOR_INFO__TYPE__CUSTOM)
                return error_set(e, -EINVAL,
                        "%s.type: DEFAULT executors are not supported: CUSTOM with a command is expected",
                        field);
        if (!x->command)
                return error_set(e, -EINVAL, "%s.command: required for an executor of type CUSTOM", field);
        return 0;
}

/* Small executors of single tasks are the framework's risk; those of groups hold their tasks' overhead too. */
static int check_executor_size(const struct launch_target *target, const Mete__V1__ExecutorInfo *x,
        const char *field, bool for_group, struct error *e)
{
        _cleanup_resources_ struct resources sum = {};
        _cleanup_free_ char *path = xasprintf("%s.resources", field);
        bool small;
        int r;

        r = check_resources(x->resources, x->n_resources, target->role, path, e);
        if (r >= 0)
                r = resources_from_proto(x->resources, x->n_resources, path, &sum, e);
        if (r < 0)
                return r;
        small = resources_scalar(&sum, "cpus") < MIN_EXECUTOR_MILLI_CPUS ||
                resources_scalar(&sum, "mem") < MIN_EXECUTOR_MILLI_MEM;
        if (small && !for_group)
                log_info("framework %s: executor %s asks for less than 0.01 cpus or 32 MB",
                        target->framework->id, x->executor_id->value);
        if (small && for_group)
                return error_set(
                        e, -EINVAL, "%s: at least 0.01 cpus and 32 MB of mem are expected for a group", path);
        if (for_group && resources_scalar(&sum, "disk") == 0)
                return error_set(e, -EINVAL, "%s: disk is required for a group", path);
        return 0;
}

static int check_new_executor(const struct launch_target *target, const Mete__V1__ExecutorInfo *x,
        const char *field, bool for_group, struct error *e)
{
        _cleanup_free_ char *id = xasprintf("%s.executor_id.value", field),
                            *command = xasprintf("%s.command", field),
                            *container = xasprintf("%s.container", field);
        int r = id_validate(x->executor_id->value, id, e);

        if (r >= 0 && !str_equal(x->framework_id->value, target->framework->id))
                r = error_set(e, -EINVAL, "%s.framework_id: '%s' is not the framework's own id", field,
                        x->framework_id->value);
        if (r >= 0)
                r = check_executor_kind(x, field, for_group, e);
        if (r >= 0)
                r = check_command(x->command, command, e);
        if (r >= 0)
                r = check_container(x->container, for_group, container, e);
        if (r >= 0 && x->shutdown_grace_period && x->shutdown_grace_period->nanoseconds < 0)
                r = error_set(e, -EINVAL, "%s.shutdown_grace_period: at least 0 is expected", field);
        return r < 0 ? r : check_executor_size(target, x, field, for_group, e);
}

int executor_validate(const struct launch_target *target, const Mete__V1__ExecutorInfo *x, const char *field,
        bool for_group, struct error *e)
{
        const struct executor *there =
                executor_find(target->agent, target->framework->id, x->executor_id->value);

        if (!there)
                return check_new_executor(target, x, field, for_group, e);
        if (same_executor(there->info, x))
                return 0;
        return error_set(e, -EINVAL,
                "%s.executor_id: an executor '%s' is on the agent already, and differs in its ExecutorInfo",
                field, x->executor_id->value);
}

/* ---- tasks ---- */

static int check_identity(const struct launch_target *target, const Mete__V1__TaskInfo *t, struct error *e)
{
        const struct framework *f = target->framework;
        const char *id = t->task_id->value;
        int r = id_validate(id, "task.task_id.value", e);

        if (r < 0)
                return r;
        if (task_find(f, id))
                return error_set(
                        e, -EEXIST, "task.task_id: there is a task '%s' of this framework already", id);
        if (framework_find_unreachable(f, id))
                return error_set(e, -EEXIST,
                        "task.task_id: a task '%s' of this framework is on an agent that is unreachable", id);
        if (!str_equal(t->agent_id->value, target->agent->id))
                return error_set(e, -EINVAL, "task.agent_id: '%s' is not the agent of the offers, %s",
                        t->agent_id->value, target->agent->id);
        return 0;
}

/* Who runs it. */
static int check_runner(const struct launch_target *target, const Mete__V1__TaskInfo *t,
        const Mete__V1__ExecutorInfo *group_executor, struct error *e)
{
        if (group_executor) {
                if (!t->executor || same_executor(t->executor, group_executor))
                        return check_command(t->command, "task.command", e);
                return error_set(e, -EINVAL, "task.executor: differs from the executor of the group");
        }
        if (!t->command == !t->executor)
                return error_set(e, -EINVAL, "task.%s: exactly one of command and executor is expected",
                        t->command ? "executor" : "command");
        if (t->executor)
                return executor_validate(target, t->executor, "task.executor", /* for_group= */ false, e);
        return check_command(t->command, "task.command", e);
}

static int check_size(size_t size, size_t max, const char *what, struct error *e)
{
        return size <= max
                       ? 0
                       : error_set(e, -E2BIG, "%s has %zu bytes: at most %zu are accepted", what, size, max);
}

int group_check_size(
        const Mete__V1__ExecutorInfo *executor, const Mete__V1__TaskGroupInfo *group, struct error *e)
{
        return check_size(protobuf_c_message_get_packed_size(&executor->base) +
                                  protobuf_c_message_get_packed_size(&group->base),
                GROUP_BYTES_MAX, "task_group, with its executor,", e);
}

int task_validate(const struct launch_target *target, const Mete__V1__TaskInfo *t,
        const Mete__V1__ExecutorInfo *group_executor, struct error *e)
{
        int r = check_identity(target, t, e);

        if (r >= 0)
                r = check_size(protobuf_c_message_get_packed_size(&t->base), TASK_BYTES_MAX, "task", e);
        if (r >= 0)
                r = check_runner(target, t, group_executor, e);
        if (r >= 0 && t->n_resources == 0)
                r = error_set(e, -EINVAL, "task.resources: at least one is expected");
        if (r >= 0)
                r = check_resources(t->resources, t->n_resources, target->role, "task.resources", e);
        if (r >= 0)
                r = check_container(t->container, group_executor, "task.container", e);
        if (r >= 0 && t->kill_policy && t->kill_policy->grace_period &&
                t->kill_policy->grace_period->nanoseconds < 0)
                r = error_set(e, -EINVAL, "task.kill_policy.grace_period: at least 0 is expected");
        if (r >= 0 && t->max_completion_time && t->max_completion_time->nanoseconds < 0)
                r = error_set(e, -EINVAL, "task.max_completion_time: at least 0 is expected");
        if (r >= 0)
                r = check_health_check(t->health_check, e);
        if (r >= 0)
                r = check_check(t->check, e);
        return r < 0 ? r : check_limits(t, group_executor, e);
}
