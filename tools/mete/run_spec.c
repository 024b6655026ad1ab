#include "tools/mete/run_spec.h"

#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/linux/users.h"
#include "lib/net/codec.h"

#define SECCOMP_PROFILE_MAX ((size_t)1 << 20)

void run_spec_append(void *array, size_t *count, void *item)
{
        void ***items = array;

        *items = xrealloc(*items, (*count + 1) * sizeof(**items));
        (*items)[(*count)++] = item;
}

static int add_environment(Mete__Api__JobSpec *spec, const struct string_list *list, struct error *e)
{
        for (size_t i = 0; i < list->count; i++) {
                const char *item = list->items[i], *equals = strchr(item, '='), *value;
                Mete__Api__EnvironmentVariable *v;

                if (equals == item || !*item)
                        return error_set(
                                e, -EINVAL, "--env '%s': expected NAME=VALUE, or NAME to pass it on", item);
                value = equals ? equals + 1 : getenv(item);
                /* A name that is not set here is not set there either. */
                if (!value)
                        continue;
                v = NEW0(Mete__Api__EnvironmentVariable);
                mete__api__environment_variable__init(v);
                v->name = equals ? xstrndup(item, (size_t)(equals - item)) : xstrdup(item);
                v->value = xstrdup(value);
                run_spec_append(&spec->environment, &spec->n_environment, v);
        }
        return 0;
}

/* "unlimited" leaves the field unset. */
static int parse_limit(const char *text, protobuf_c_boolean *ret_has, uint64_t *ret)
{
        uint64_t value;
        int r;

        if (str_equal(text, "unlimited"))
                return 0;
        r = parse_size(text, &value);
        if (r < 0)
                return r;
        *ret_has = true;
        *ret = value;
        return 0;
}

static int add_rlimits(Mete__Api__Isolation *isolation, const struct string_list *list, struct error *e)
{
        for (size_t i = 0; i < list->count; i++) {
                _cleanup_free_ char *item = xstrdup(list->items[i]);
                char *soft = strchr(item, '='), *hard;
                Mete__Api__Rlimit *limit;

                if (!soft || soft == item)
                        return error_set(e, -EINVAL,
                                "--rlimit '%s': expected TYPE=SOFT[:HARD], such as nofile=1024:4096",
                                list->items[i]);
                *soft++ = '\0';
                hard = strchr(soft, ':');
                if (hard)
                        *hard++ = '\0';
                limit = NEW0(Mete__Api__Rlimit);
                mete__api__rlimit__init(limit);
                limit->type = xstrdup(item);
                run_spec_append(&isolation->rlimits, &isolation->n_rlimits, limit);
                if (parse_limit(soft, &limit->has_soft, &limit->soft) < 0 ||
                        parse_limit(hard ? hard : soft, &limit->has_hard, &limit->hard) < 0)
                        return error_set(e, -EINVAL,
                                "--rlimit '%s': expected a number, a size or \"unlimited\" for the limits",
                                list->items[i]);
        }
        return 0;
}

static int set_seccomp(Mete__Api__Isolation *isolation, const char *seccomp, struct error *e)
{
        _cleanup_free_ char *text = NULL;
        size_t len = 0;
        int r;

        if (!seccomp)
                return 0;
        if (str_equal(seccomp, "unconfined")) {
                isolation->has_seccomp_unconfined = isolation->seccomp_unconfined = true;
                return 0;
        }
        r = read_file_at(AT_FDCWD, seccomp, SECCOMP_PROFILE_MAX, &text, &len);
        if (r == -E2BIG)
                return error_set(e, -EINVAL, "--seccomp %s: a profile has at most 1 MiB", seccomp);
        if (r < 0)
                return error_set(e, -EINVAL,
                        "--seccomp %s: %s: expected a profile in JSON, or \"unconfined\"", seccomp,
                        strerror(-r));
        isolation->has_seccomp_profile = true;
        isolation->seccomp_profile.data = (uint8_t *)TAKE_PTR(text);
        isolation->seccomp_profile.len = len;
        return 0;
}

static int set_network(Mete__Api__Isolation *isolation, const char *network, struct error *e)
{
        if (!network)
                return 0;
        isolation->has_network = true;
        if (str_equal(network, "none"))
                isolation->network = METE__API__ISOLATION__NETWORK__NONE;
        else if (str_equal(network, "host"))
                isolation->network = METE__API__ISOLATION__NETWORK__HOST;
        else
                return error_set(e, -EINVAL, "--net '%s': expected none or host", network);
        return 0;
}

/* Relative to where the user stands: the agent knows no working directory of ours. */
static int set_rootfs(Mete__Api__Isolation *isolation, const char *rootfs, struct error *e)
{
        if (!rootfs)
                return 0;
        if (!*rootfs)
                return error_set(e, -EINVAL, "--rootfs '': expected a directory");
        if (rootfs[0] == '/')
                isolation->rootfs = xstrdup(rootfs);
        else
                isolation->rootfs = realpath(rootfs, NULL);
        if (!isolation->rootfs)
                return error_set(e, -EINVAL, "--rootfs %s: there is no such directory", rootfs);
        return 0;
}

char *run_submitting_user(uid_t uid, const char *sudo_user, bool numeric)
{
        const struct passwd *pw;

        if (uid != 0) {
                /* The master asks the kernel who we are and completes this; it would refuse anybody else. */
                pw = getpwuid(uid);
                return pw && !numeric ? xstrdup(pw->pw_name) : xasprintf("%u", uid);
        }
        if (str_empty(sudo_user) || str_equal(sudo_user, "root"))
                return NULL;
        pw = getpwnam(sudo_user);
        if (!pw || pw->pw_uid == 0)
                return NULL;
        /* Another root file system need not know the name; the numbers hold everywhere. */
        return numeric ? xasprintf("%u:%u", pw->pw_uid, pw->pw_gid) : xstrdup(pw->pw_name);
}

static void set_strings(Mete__Api__Isolation *isolation, const struct run_options *o)
{
        isolation->working_directory = xstrdup(o->working_directory);
        isolation->hostname = xstrdup(o->hostname);
        isolation->user = o->user ? xstrdup(o->user)
                                  : run_submitting_user(getuid(), getenv("SUDO_USER"), o->rootfs != NULL);
        for (size_t i = 0; i < o->capabilities_add.count; i++)
                run_spec_append(&isolation->capabilities_add, &isolation->n_capabilities_add,
                        xstrdup(o->capabilities_add.items[i]));
        for (size_t i = 0; i < o->capabilities_drop.count; i++)
                run_spec_append(&isolation->capabilities_drop, &isolation->n_capabilities_drop,
                        xstrdup(o->capabilities_drop.items[i]));
        if (o->pids_limit != RUN_UNSET) {
                isolation->has_pids_limit = true;
                isolation->pids_limit = o->pids_limit;
        }
}

static int set_isolation(Mete__Api__JobSpec *spec, const struct run_options *o, struct error *e)
{
        Mete__Api__Isolation *isolation = NEW0(Mete__Api__Isolation);
        int r;

        mete__api__isolation__init(isolation);
        spec->isolation = isolation;
        set_strings(isolation, o);
        r = set_rootfs(isolation, o->rootfs, e);
        if (r == 0)
                r = set_network(isolation, o->network, e);
        if (r == 0)
                r = set_seccomp(isolation, o->seccomp, e);
        if (r == 0)
                r = add_rlimits(isolation, &o->rlimits, e);
        return r;
}

static void set_cores(uint64_t milli, protobuf_c_boolean *has, double *cores)
{
        if (milli == RUN_UNSET)
                return;
        *has = true;
        *cores = (double)milli / 1000;
}

static void set_number(uint64_t value, protobuf_c_boolean *has, uint64_t *number)
{
        if (value == RUN_UNSET)
                return;
        *has = true;
        *number = value;
}

int run_spec_build(
        const struct run_options *o, int argc, char **argv, Mete__Api__JobSpec **ret, struct error *e)
{
        Mete__Api__JobSpec *spec = NEW0(Mete__Api__JobSpec);
        int r;

        mete__api__job_spec__init(spec);
        spec->name = xstrdup(o->name);
        for (int i = 0; i < argc; i++)
                run_spec_append(&spec->command, &spec->n_command, xstrdup(argv[i]));
        set_cores(o->milli_cpus, &spec->has_cpus, &spec->cpus);
        set_cores(o->milli_cpus_limit, &spec->has_cpus_limit, &spec->cpus_limit);
        set_number(o->memory_bytes, &spec->has_memory_bytes, &spec->memory_bytes);
        set_number(o->memory_limit_bytes, &spec->has_memory_limit_bytes, &spec->memory_limit_bytes);
        if (o->count != RUN_UNSET) {
                spec->has_count = true;
                spec->count = (uint32_t)o->count;
        }
        r = run_spec_set_schedule(spec, o, e);
        if (r == 0)
                r = add_environment(spec, &o->environment, e);
        if (r == 0)
                r = set_isolation(spec, o, e);
        if (r < 0) {
                message_free(spec);
                return r;
        }
        *ret = spec;
        return 0;
}

/* Longer fields before their prefixes. */
static const char *const fields[][2] = {
        {"isolation.rootfs", "--rootfs"},
        {"isolation.network", "--net"},
        {"isolation.pids_limit", "--pids"},
        {"isolation.user", "--user"},
        {"isolation.working_directory", "--workdir"},
        {"isolation.hostname", "--hostname"},
        {"isolation.capabilities_add", "--cap-add"},
        {"isolation.capabilities_drop", "--cap-drop"},
        {"isolation.seccomp_profile", "--seccomp"},
        {"isolation.rlimits", "--rlimit"},
        {"memory_limit_bytes", "--mem-limit"},
        {"memory_bytes", "--mem"},
        {"cpus_limit", "--cpus-limit"},
        {"cpus", "--cpus"},
        {"environment", "--env"},
        {"count", "--count"},
        {"name", "--name"},
        {"command", "COMMAND"},
        {"queue", "--queue"},
        {"priority", "--priority"},
        {"duration_seconds", "--duration"},
        {"time_limit_seconds", "--time-limit"},
        {"deadline", "--deadline"},
        {"array", "--array"},
        {"parallel_max", "--parallel"},
        {"gang", "--gang"},
        {"after", "--after"},
        {"constraints", "--constraint"},
        {"placement", "--spread"},
        {"spread_by", "--spread"},
        {"restart", "--restart"},
        {"preemptible", "--no-preempt"},
        {"ports", "--ports"},
        {"exclusive_cores", "--exclusive-cores"},
        {"volumes", "--volume"},
};

void run_spec_explain(struct error *e)
{
        static const char *const calls[] = {"submit.job.", "plan.job."};
        const char *message = error_message(e), *at = NULL, *field = NULL;

        for (size_t i = 0; i < ELEMENTSOF(calls) && !at; i++) {
                at = strstr(message, calls[i]);
                field = at ? at + strlen(calls[i]) : NULL;
        }
        for (size_t i = 0; at && i < ELEMENTSOF(fields); i++) {
                _cleanup_free_ char *copy = NULL;

                if (!str_has_prefix(field, fields[i][0]))
                        continue;
                copy = xasprintf(
                        "%.*s%s%s", (int)(at - message), message, fields[i][1], field + strlen(fields[i][0]));
                (void)error_set(e, e->code, "%s", copy);
                return;
        }
}
