#include "agent/task_spec.h"

#include <ctype.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "agent/checks/task_watch.h"
#include "agent/task_environment.h"
#include "agent/volume_ref.h"
#include "lib/base/id.h"
#include "lib/base/resources.h"

#define ARGUMENTS_MAX 16384
#define ARGUMENTS_BYTES_MAX (1u << 20)
#define HOSTNAME_LENGTH_MAX 63
#define BYTES_PER_MIB (UINT64_C(1) << 20)
/* The kernel's RLIM_INFINITY is our "unlimited". */
#define UNLIMITED UINT64_MAX

static int refuse(struct error *e, const char *field, const char *why)
{
        return error_set(e, -ENOTSUP, "%s: %s", field, why);
}

int task_spec_check_ids(const Mete__Agent__Command__Launch *launch, struct error *e)
{
        int r = id_validate(launch->task->task_id->value, "task.task_id", e);
        if (r < 0)
                return r;
        if (!launch->framework->id)
                return error_set(e, -EINVAL, "framework.id: is missing");
        return id_validate(launch->framework->id->value, "framework.id", e);
}

/* Fields of the message that this agent has nothing for: running the task without them would be a lie. */
static int refuse_unsupported(const Mete__V1__TaskInfo *t, struct error *e)
{
        const Mete__V1__ContainerInfo *c = t->container;

        if (!t->command)
                return error_set(e, -EINVAL, "task.command: is missing");
        int r = task_watch_check(t, e);
        if (r < 0 || !c)
                return r;
        if (c->type != METE__V1__CONTAINER_INFO__TYPE__MESOS)
                return refuse(e, "task.container.type", "only MESOS containers run here");
        if (c->n_volumes > 0)
                return refuse(e, "task.container.volumes", "this agent mounts no volumes");
        if (c->mesos && c->mesos->image)
                return refuse(e, "task.container.mesos.image",
                        "this agent unpacks no images: give isolation.rootfs");
        if (c->n_network_infos > 0)
                return refuse(e, "task.container.network_infos",
                        "this agent attaches no networks: give isolation.network");
        if (c->tty_info)
                return refuse(e, "task.container.tty_info", "this agent gives no terminals");
        if (c->linux_info && c->linux_info->share_pid_namespace)
                return refuse(e, "task.container.linux_info.share_pid_namespace", "every task has its own");
        if (c->linux_info && c->linux_info->seccomp && c->linux_info->seccomp->profile_name)
                return refuse(e, "task.container.linux_info.seccomp.profile_name",
                        "give isolation.seccomp_profile");
        return 0;
}

/* ---- resources ---- */

static int sum_scalar(const Mete__V1__TaskInfo *t, const char *name, uint64_t *ret, struct error *e)
{
        uint64_t total = 0;

        for (size_t i = 0; i < t->n_resources; i++) {
                const Mete__V1__Resource *r = t->resources[i];
                uint64_t milli;

                if (!str_equal(r->name, name))
                        continue;
                if (r->type != METE__V1__VALUE__TYPE__SCALAR || !r->scalar)
                        return error_set(e, -EINVAL, "task.resources[%zu]: \"%s\" must be a scalar", i, name);
                if (milli_from_double(r->scalar->value, &milli) < 0)
                        return error_set(e, -EINVAL,
                                "task.resources[%zu]: %s %g is out of range: give a positive number", i, name,
                                r->scalar->value);
                total += milli; /* each is below 2^43 and a message holds less than 2^20 of them */
        }
        *ret = total;
        return 0;
}

/* *ret stays when there is no such limit. */
static int find_limit(const Mete__V1__TaskInfo *t, const char *name, uint64_t *ret, struct error *e)
{
        for (size_t i = 0; i < t->n_limits; i++) {
                if (!str_equal(t->limits[i]->key, name) || !t->limits[i]->value)
                        continue;
                double v = t->limits[i]->value->value;
                if (isinf(v) && v > 0) {
                        *ret = UNLIMITED;
                        continue;
                }
                if (milli_from_double(v, ret) < 0)
                        return error_set(e, -EINVAL,
                                "task.limits.%s: %g is out of range: give a positive number or Infinity",
                                name, v);
        }
        return 0;
}

static uint64_t bytes_from_milli_mib(uint64_t milli)
{
        if (milli == UNLIMITED)
                return UNLIMITED;
        /* Whole MiB and the rest apart: milli * 2^20 would overflow for the largest values accepted. */
        return milli / 1000 * BYTES_PER_MIB + (milli % 1000) * BYTES_PER_MIB / 1000;
}

static int fill_cpus(
        const Mete__V1__TaskInfo *t, uint64_t capacity, struct container_spec *s, struct error *e)
{
        int r = sum_scalar(t, "cpus", &s->milli_cpus, e);
        if (r < 0)
                return r;
        if (s->milli_cpus < TASK_MILLI_CPUS_MIN)
                return error_set(e, -EINVAL, "task.resources: cpus must be at least 0.001");
        if (s->milli_cpus > capacity)
                return error_set(e, -EINVAL, "task.resources: cpus %g is more than the %g of this agent",
                        milli_to_double(s->milli_cpus), milli_to_double(capacity));
        s->milli_cpus_limit = s->milli_cpus;
        r = find_limit(t, "cpus", &s->milli_cpus_limit, e);
        if (r < 0)
                return r;
        if (s->milli_cpus_limit < s->milli_cpus)
                return error_set(e, -EINVAL, "task.limits.cpus: %g is less than the %g requested",
                        milli_to_double(s->milli_cpus_limit), milli_to_double(s->milli_cpus));
        return 0;
}

int task_spec_cores(const Mete__V1__TaskInfo *t, struct cpu_list *ret, struct error *e)
{
        struct cpu_list cores = {0};

        for (size_t i = 0; i < t->n_resources; i++) {
                const Mete__V1__Resource *r = t->resources[i];

                if (!str_equal(r->name, "cores"))
                        continue;
                if (r->type != METE__V1__VALUE__TYPE__RANGES || !r->ranges)
                        return error_set(e, -EINVAL, "task.resources[%zu]: \"cores\" must be ranges", i);
                for (size_t k = 0; k < r->ranges->n_range; k++) {
                        const Mete__V1__Value__Range *x = r->ranges->range[k];
                        if (cpu_list_add(&cores, x->begin, x->end) < 0)
                                return error_set(e, -EINVAL,
                                        "task.resources[%zu]: cores %" PRIu64 " to %" PRIu64
                                        ": give a range below %d",
                                        i, x->begin, x->end, CPU_LIST_MAX);
                }
        }
        *ret = cores;
        return 0;
}

static int fill_cores(const Mete__V1__TaskInfo *t, const struct task_place *place, struct container_spec *s,
        struct error *e)
{
        struct cpu_list cores;

        int r = task_spec_cores(t, &cores, e);
        if (r < 0 || cpu_list_count(&cores) == 0)
                return r;
        if (place->executor)
                return refuse(e, "task.resources",
                        "an executor's tasks share its container: cores are for tasks without an executor");
        if (cpu_list_count(&cores) * 1000 > s->milli_cpus)
                return error_set(e, -EINVAL,
                        "task.resources: %zu exclusive cores, but cpus %g: give as many cpus",
                        cpu_list_count(&cores), milli_to_double(s->milli_cpus));
        s->exclusive_cores = xmemdup(&cores, sizeof(cores));
        return 0;
}

static int fill_memory(
        const Mete__V1__TaskInfo *t, uint64_t capacity, struct container_spec *s, struct error *e)
{
        uint64_t request, limit;

        int r = sum_scalar(t, "mem", &request, e);
        if (r < 0)
                return r;
        limit = request;
        r = find_limit(t, "mem", &limit, e);
        if (r < 0)
                return r;
        s->memory_bytes = bytes_from_milli_mib(request);
        s->memory_limit_bytes = bytes_from_milli_mib(limit);
        if (s->memory_bytes > capacity)
                return error_set(e, -EINVAL,
                        "task.resources: mem %" PRIu64 " bytes is more than the %" PRIu64 " of this agent",
                        s->memory_bytes, capacity);
        if (s->memory_limit_bytes < s->memory_bytes)
                return error_set(e, -EINVAL,
                        "task.limits.mem: %" PRIu64 " bytes is less than the %" PRIu64 " requested",
                        s->memory_limit_bytes, s->memory_bytes);
        if (s->memory_limit_bytes < TASK_MEMORY_MIN_BYTES)
                return error_set(e, -EINVAL,
                        "task.resources: mem %" PRIu64 " bytes is too little: nothing starts below 4 MiB",
                        s->memory_bytes);
        return 0;
}

static int fill_resources(const Mete__V1__TaskInfo *t, const struct task_place *place,
        struct container_spec *s, struct error *e)
{
        if (place->limits) {
                s->milli_cpus = place->limits->milli_cpus;
                s->milli_cpus_limit = place->limits->milli_cpus_limit;
                s->memory_bytes = place->limits->memory_bytes;
                s->memory_limit_bytes = place->limits->memory_limit_bytes;
                return 0;
        }
        int r = fill_cpus(t, place->milli_cpus, s, e);
        return r == 0 ? fill_memory(t, place->memory_bytes, s, e) : r;
}

/* ---- volumes ---- */

static int fill_volumes(const Mete__V1__TaskInfo *t, const struct task_place *place, struct container_spec *s,
        struct error *e)
{
        _cleanup_volume_refs_ struct volume_refs refs = {0};

        int r = volume_refs_parse(t->resources, t->n_resources, "task.resources", &refs, e);
        if (r < 0 || refs.count == 0)
                return r;
        if (!place->volumes_dir)
                return error_set(e, -ENOTSUP, "task.resources: this agent has no persistent volumes");
        s->volumes = xcalloc(refs.count, sizeof(*s->volumes));
        for (; s->volume_count < refs.count; s->volume_count++) {
                const struct volume_ref *x = &refs.items[s->volume_count];

                s->volumes[s->volume_count] = (struct container_volume){
                        .source = xasprintf("%s/%s", place->volumes_dir, x->path),
                        .base = xstrdup(x->target[0] == '/' ? "/" : place->sandbox_in_container),
                        .target = xstrdup(x->target),
                        .read_only = x->read_only,
                };
        }
        return 0;
}

/* ---- command ---- */

static int fill_command(const Mete__V1__CommandInfo *c, struct container_spec *s, struct error *e)
{
        size_t bytes = 0;

        if (str_empty(c->value))
                return error_set(e, -EINVAL, "task.command.value: is empty: give the program to run");
        bool shell = !c->has_shell || c->shell;
        if (shell) {
                s->argv = xcalloc(4, sizeof(char *));
                s->argv[0] = xstrdup("/bin/sh");
                s->argv[1] = xstrdup("-c");
                s->argv[2] = xstrdup(c->value);
                return 0;
        }
        if (c->n_arguments > ARGUMENTS_MAX)
                return error_set(e, -E2BIG, "task.command.arguments: %zu are too many: at most %d",
                        c->n_arguments, ARGUMENTS_MAX);
        for (size_t i = 0; i < c->n_arguments; i++)
                bytes += strlen(c->arguments[i]) + 1;
        if (bytes > ARGUMENTS_BYTES_MAX)
                return error_set(e, -E2BIG, "task.command.arguments: %zu bytes are too many: at most %u",
                        bytes, ARGUMENTS_BYTES_MAX);
        /* value is the program, arguments the whole argv; without any, the program's name is argv[0]. */
        size_t count = MAX(c->n_arguments, (size_t)1);
        s->argv = xcalloc(count + 1, sizeof(char *));
        for (size_t i = 0; i < c->n_arguments; i++)
                s->argv[i] = xstrdup(c->arguments[i]);
        if (c->n_arguments == 0)
                s->argv[0] = xstrdup(c->value);
        s->program = xstrdup(c->value);
        return 0;
}

/* ---- isolation ---- */

static void fill_container_info(const Mete__V1__ContainerInfo *c, struct container_spec *s)
{
        static const struct {
                Mete__V1__RLimitInfo__RLimit__Type type;
                const char *name;
        } names[] = {
                {METE__V1__RLIMIT_INFO__RLIMIT__TYPE__RLMT_AS, "as"},
                {METE__V1__RLIMIT_INFO__RLIMIT__TYPE__RLMT_CORE, "core"},
                {METE__V1__RLIMIT_INFO__RLIMIT__TYPE__RLMT_CPU, "cpu"},
                {METE__V1__RLIMIT_INFO__RLIMIT__TYPE__RLMT_DATA, "data"},
                {METE__V1__RLIMIT_INFO__RLIMIT__TYPE__RLMT_FSIZE, "fsize"},
                {METE__V1__RLIMIT_INFO__RLIMIT__TYPE__RLMT_LOCKS, "locks"},
                {METE__V1__RLIMIT_INFO__RLIMIT__TYPE__RLMT_MEMLOCK, "memlock"},
                {METE__V1__RLIMIT_INFO__RLIMIT__TYPE__RLMT_MSGQUEUE, "msgqueue"},
                {METE__V1__RLIMIT_INFO__RLIMIT__TYPE__RLMT_NICE, "nice"},
                {METE__V1__RLIMIT_INFO__RLIMIT__TYPE__RLMT_NOFILE, "nofile"},
                {METE__V1__RLIMIT_INFO__RLIMIT__TYPE__RLMT_NPROC, "nproc"},
                {METE__V1__RLIMIT_INFO__RLIMIT__TYPE__RLMT_RSS, "rss"},
                {METE__V1__RLIMIT_INFO__RLIMIT__TYPE__RLMT_RTPRIO, "rtprio"},
                {METE__V1__RLIMIT_INFO__RLIMIT__TYPE__RLMT_RTTIME, "rttime"},
                {METE__V1__RLIMIT_INFO__RLIMIT__TYPE__RLMT_SIGPENDING, "sigpending"},
                {METE__V1__RLIMIT_INFO__RLIMIT__TYPE__RLMT_STACK, "stack"},
        };
        if (c->hostname)
                s->hostname = xstrdup(c->hostname);
        if (c->linux_info && c->linux_info->seccomp && c->linux_info->seccomp->unconfined)
                s->seccomp_unconfined = true;
        if (!c->rlimit_info)
                return;
        s->rlimits = xcalloc(c->rlimit_info->n_rlimits + 1, sizeof(*s->rlimits));
        for (size_t i = 0; i < c->rlimit_info->n_rlimits; i++) {
                const Mete__V1__RLimitInfo__RLimit *l = c->rlimit_info->rlimits[i];

                for (size_t k = 0; k < ELEMENTSOF(names); k++)
                        if (names[k].type == l->type)
                                s->rlimits[s->rlimit_count++] = (struct container_rlimit){
                                        xstrdup(names[k].name), l->has_soft ? l->soft : UNLIMITED,
                                        l->has_hard ? l->hard : UNLIMITED};
        }
}

/* An exact set, as Mesos gives it, is "drop all, add these". */
static void fill_capability_set(const Mete__V1__ContainerInfo *c, struct container_spec *s)
{
        const Mete__V1__CapabilityInfo *set = NULL;

        if (c && c->linux_info)
                set = c->linux_info->bounding_capabilities ? c->linux_info->bounding_capabilities
                                                           : c->linux_info->effective_capabilities;
        if (!set)
                return;
        string_list_add(&s->capabilities_drop, "ALL");
        for (size_t i = 0; i < set->n_capabilities; i++) {
                const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(
                        &mete__v1__capability_info__capability__descriptor, (int)set->capabilities[i]);
                if (v)
                        string_list_add(&s->capabilities_add, v->name);
        }
}

static int check_absolute(const char *path, const char *field, struct error *e)
{
        if (path[0] != '/' || strlen(path) >= 4096)
                return error_set(e, -EINVAL, "%s: \"%.200s\" must be an absolute path", field, path);
        return 0;
}

static int check_hostname(const char *name, const char *field, struct error *e)
{
        size_t n = strlen(name);
        bool good = n > 0 && n <= HOSTNAME_LENGTH_MAX && name[0] != '-';

        for (size_t i = 0; good && i < n; i++)
                good = isalnum((unsigned char)name[i]) || name[i] == '-' || name[i] == '.';
        if (!good)
                return error_set(e, -EINVAL,
                        "%s: \"%.80s\" is no host name: give 1 to %d letters, digits, dots and dashes", field,
                        name, HOSTNAME_LENGTH_MAX);
        return 0;
}

static void hostname_from_task(const char *task_id, struct container_spec *s)
{
        char name[HOSTNAME_LENGTH_MAX + 1];
        size_t n = 0;

        for (; task_id[n] && n < HOSTNAME_LENGTH_MAX; n++)
                name[n] = isalnum((unsigned char)task_id[n]) ? task_id[n] : '-';
        name[n] = '\0';
        s->hostname = xstrdup(name);
}

static int fill_rlimits(const Mete__Api__Isolation *i, struct container_spec *s, struct error *e)
{
        if (i->n_rlimits == 0)
                return 0;
        s->rlimits = xrealloc(s->rlimits, (s->rlimit_count + i->n_rlimits) * sizeof(*s->rlimits));
        for (size_t k = 0; k < i->n_rlimits; k++) {
                const Mete__Api__Rlimit *l = i->rlimits[k];
                struct container_rlimit x = {
                        .soft = l->has_soft ? l->soft : UNLIMITED, .hard = l->has_hard ? l->hard : UNLIMITED};

                if (x.soft > x.hard)
                        return error_set(e, -EINVAL,
                                "isolation.rlimits[%zu]: soft %" PRIu64 " is above hard %" PRIu64, k, x.soft,
                                x.hard);
                x.type = xstrdup(l->type);
                s->rlimits[s->rlimit_count++] = x;
        }
        return 0;
}

static int fill_isolation(const Mete__Api__Isolation *i, struct container_spec *s, struct error *e)
{
        int r = 0;

        if (i->rootfs) {
                r = check_absolute(i->rootfs, "isolation.rootfs", e);
                s->rootfs = xstrdup(i->rootfs);
                s->rootfs_as_user = i->has_path_uid;
                s->path_uid = i->path_uid;
                s->path_gid = i->has_path_gid ? i->path_gid : 65534;
        }
        if (r == 0 && i->working_directory) {
                r = check_absolute(i->working_directory, "isolation.working_directory", e);
                s->working_directory = xstrdup(i->working_directory);
        }
        if (r < 0)
                return r;
        if (i->has_network)
                s->network = i->network == METE__API__ISOLATION__NETWORK__HOST ? CONTAINER_NETWORK_HOST
                                                                               : CONTAINER_NETWORK_NONE;
        if (i->has_pids_limit)
                s->pids_limit = i->pids_limit;
        if (s->pids_limit < 1 || s->pids_limit > TASK_PIDS_LIMIT_MAX)
                return error_set(e, -EINVAL,
                        "isolation.pids_limit: %" PRIu64 " is out of range: give 1 to %d", s->pids_limit,
                        TASK_PIDS_LIMIT_MAX);
        if (!str_empty(i->hostname)) {
                free(s->hostname);
                s->hostname = xstrdup(i->hostname);
        }
        for (size_t k = 0; k < i->n_capabilities_add; k++)
                string_list_add(&s->capabilities_add, i->capabilities_add[k]);
        for (size_t k = 0; k < i->n_capabilities_drop; k++)
                string_list_add(&s->capabilities_drop, i->capabilities_drop[k]);
        if (i->has_seccomp_profile) {
                if (memchr(i->seccomp_profile.data, 0, i->seccomp_profile.len))
                        return error_set(e, -EINVAL, "isolation.seccomp_profile: is not JSON text");
                s->seccomp_profile = xstrndup((const char *)i->seccomp_profile.data, i->seccomp_profile.len);
        }
        if (i->has_seccomp_unconfined && i->seccomp_unconfined)
                s->seccomp_unconfined = true;
        return fill_rlimits(i, s, e);
}

/*
 * Who the task runs as: what was asked for by name, else the framework's user. A framework that runs as root has not asked for
 * root tasks by that: those need it said.
 */
static void fill_user(const Mete__Agent__Command__Launch *launch, struct container_spec *s)
{
        const char *user = NULL;

        if (launch->isolation && !str_empty(launch->isolation->user))
                user = launch->isolation->user;
        else if (!str_empty(launch->task->command->user))
                user = launch->task->command->user;
        else if (!str_empty(launch->framework->user) && !str_equal(launch->framework->user, "root"))
                user = launch->framework->user;
        s->user = xstrdup(user);
}

static int resolve_home(const struct container_spec *s, struct user_ids *ret, struct error *e)
{
        int r = user_resolve(s, ret, e);

        if (r == 0)
                return 0;
        /* Its sentences begin with the field: "rootfs ...", "user ...". */
        _cleanup_free_ char *text = xstrdup(error_message(e));
        return error_set(e, r, "isolation.%s", text);
}

static int fill(const Mete__Agent__Command__Launch *launch, const struct task_place *place,
        struct container_spec *s, struct error *e)
{
        const Mete__V1__TaskInfo *t = launch->task;
        struct user_ids user;

        int r = task_spec_check_ids(launch, e);
        if (r == 0)
                r = refuse_unsupported(t, e);
        if (r == 0)
                r = fill_resources(t, place, s, e);
        if (r == 0)
                r = fill_cores(t, place, s, e);
        if (r == 0)
                r = fill_volumes(t, place, s, e);
        if (r == 0)
                r = fill_command(t->command, s, e);
        if (r < 0)
                return r;
        s->container_id = xstrdup(place->container_id);
        s->pids_limit = TASK_PIDS_LIMIT_DEFAULT;
        /* An executor must reach the agent: without a word on it, its network is the host's, as Mesos has it. */
        s->network = place->executor ? CONTAINER_NETWORK_HOST : CONTAINER_NETWORK_NONE;
        if (t->container) {
                fill_container_info(t->container, s);
                fill_capability_set(t->container, s);
        }
        if (launch->isolation)
                r = fill_isolation(launch->isolation, s, e);
        if (r < 0)
                return r;
        if (s->hostname)
                r = check_hostname(s->hostname, "isolation.hostname", e);
        else
                hostname_from_task(t->task_id->value, s);
        if (r < 0)
                return r;
        fill_user(launch, s);
        r = resolve_home(s, &user, e);
        if (r < 0)
                return r;
        return task_environment_build(launch, place, &user, &s->environment, e);
}

/* The request of an executor's container is put together as a task's: its fields have another name for who wrote them. */
static void name_executor(struct error *e)
{
        static const char task[] = "task.";

        if (!e || !str_has_prefix(error_message(e), task))
                return;
        _cleanup_free_ char *rest = xstrdup(error_message(e) + sizeof(task) - 1);
        int code = e->code;
        error_done(e);
        (void)!error_set(e, code, "task.executor.%s", rest);
}

int task_spec_build(const Mete__Agent__Command__Launch *launch, const struct task_place *place,
        struct container_spec *ret, struct error *e)
{
        struct container_spec s = {0};

        int r = fill(launch, place, &s, e);
        if (r < 0) {
                if (place->executor)
                        name_executor(e);
                container_spec_done(&s);
                return r;
        }
        *ret = s;
        return 0;
}
