/* What a job may ask for. Every refusal names the field, the value and what would be accepted. */

#include <ctype.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/resources.h"
#include "lib/base/table.h"
#include "lib/base/utf8.h"
#include "lib/linux/capability.h"
#include "master/spec/job_spec_internal.h"

#define ARGV_MAX (128u << 10)
#define ARGS_MAX 4096
#define ENVIRONMENT_MAX (128u << 10)
#define VARIABLES_MAX 1024
#define MEMORY_MIN (4u << 20)
#define SECCOMP_MAX (1u << 20)
#define PIDS_MAX 4194304
#define CPUS_MAX 65536.0
#define VALUE_SHOWN 64

int refuse_text(struct api_error *x, const char *field, const char *value, const char *accepted)
{
        _cleanup_free_ char *text = text_for_message(value, VALUE_SHOWN);

        return api_error_set(x, 400, field, "%s: '%s' is refused: %s", field, text, accepted);
}

/* ---- command, name, environment ---- */

static int check_command(const Mete__Api__JobSpec *spec, struct api_error *x)
{
        size_t bytes = 0;

        if (spec->n_command == 0 || str_empty(spec->command[0]))
                return api_error_set(
                        x, 400, F "command", F "command is empty: a program and its arguments are expected");
        if (spec->n_command > ARGS_MAX)
                return api_error_set(x, 400, F "command", F "command has %zu words: at most %u are accepted",
                        spec->n_command, ARGS_MAX);
        for (size_t i = 0; i < spec->n_command; i++)
                bytes += strlen(spec->command[i]) + 1;
        if (bytes > ARGV_MAX)
                return api_error_set(x, 400, F "command", F "command has %zu bytes: at most %u are accepted",
                        bytes, ARGV_MAX);
        return 0;
}

bool job_name_legal(const char *s)
{
        size_t len = strlen(s);

        if (len < 1 || len > 64 || *s == '-' || strcmp(s, ".") == 0 || strcmp(s, "..") == 0)
                return false;
        for (; *s; s++)
                if (!isalnum((unsigned char)*s) && !strchr("._-", *s))
                        return false;
        return true;
}

/* The program's last component, with what a name cannot carry replaced. */
static char *name_of_command(const char *program)
{
        const char *slash = strrchr(program, '/');
        char *name = xstrndup(slash && slash[1] ? slash + 1 : program, 64);

        for (char *c = name; *c; c++)
                if (!isalnum((unsigned char)*c) && !strchr("._-", *c))
                        *c = '_';
        if (*name == '-')
                *name = '_';
        if (!job_name_legal(name)) {
                free(name);
                return xstrdup("job");
        }
        return name;
}

static int check_name(Mete__Api__JobSpec *spec, struct api_error *x)
{
        if (!spec->name)
                spec->name = name_of_command(spec->command[0]);
        if (!job_name_legal(spec->name))
                return refuse_text(x, F "name", spec->name,
                        "1 to 64 of A-Z a-z 0-9 . _ - are accepted, not \".\" or \"..\", and no '-' in "
                        "front");
        return 0;
}

static int check_environment(const Mete__Api__JobSpec *spec, struct api_error *x)
{
        size_t bytes = 0;

        if (spec->n_environment > VARIABLES_MAX)
                return api_error_set(x, 400, F "environment",
                        F "environment has %zu variables: at most %u are accepted", spec->n_environment,
                        VARIABLES_MAX);
        for (size_t i = 0; i < spec->n_environment; i++) {
                const Mete__Api__EnvironmentVariable *v = spec->environment[i];
                _cleanup_free_ char *field = xasprintf(F "environment[%zu].name", i);

                if (str_empty(v->name) || strchr(v->name, '='))
                        return refuse_text(x, field, v->name ? v->name : "",
                                "a name that is not empty and has no '=' is expected");
                for (const char *c = v->name; *c; c++)
                        if ((unsigned char)*c <= 0x20 || *c == 0x7f)
                                return refuse_text(
                                        x, field, v->name, "a name has no white space or control characters");
                bytes += strlen(v->name) + strlen(v->value) + 2;
        }
        if (bytes > ENVIRONMENT_MAX)
                return api_error_set(x, 400, F "environment",
                        F "environment has %zu bytes: at most %u are accepted", bytes, ENVIRONMENT_MAX);
        return 0;
}

/* ---- resources ---- */

/* Rounds to thousandths. */
static int check_cpus(const char *field, double *value, struct api_error *x)
{
        uint64_t milli;

        if (!isfinite(*value) || *value <= 0 || *value > CPUS_MAX || milli_from_double(*value, &milli) < 0 ||
                milli == 0)
                return api_error_set(x, 400, field,
                        "%s: %.10g is refused: a number of cores above 0, in steps of 0.001, at most %.10g "
                        "is expected",
                        field, *value, CPUS_MAX);
        *value = milli_to_double(milli);
        return 0;
}

static int check_resources(Mete__Api__JobSpec *spec, struct api_error *x)
{
        const uint64_t memory_max = UINT64_C(1) << 50;

        if (spec->count < 1 || spec->count > COUNT_MAX)
                return api_error_set(x, 400, F "count", F "count: %u is refused: 1 to %u are accepted",
                        spec->count, COUNT_MAX);
        if (check_cpus(F "cpus", &spec->cpus, x) < 0)
                return -EINVAL;
        if (!spec->has_cpus_limit)
                spec->cpus_limit = spec->cpus;
        if (check_cpus(F "cpus_limit", &spec->cpus_limit, x) < 0)
                return -EINVAL;
        if (spec->cpus_limit < spec->cpus)
                return api_error_set(x, 400, F "cpus_limit",
                        F "cpus_limit: %.10g is below cpus (%.10g): at least that is expected",
                        spec->cpus_limit, spec->cpus);
        if (spec->memory_bytes < MEMORY_MIN || spec->memory_bytes > memory_max)
                return api_error_set(x, 400, F "memory_bytes",
                        F "memory_bytes: %ju is refused: at least 4 MiB (%u) and at most 1 PiB are expected",
                        (uintmax_t)spec->memory_bytes, MEMORY_MIN);
        if (!spec->has_memory_limit_bytes)
                spec->memory_limit_bytes = spec->memory_bytes;
        if (spec->memory_limit_bytes < spec->memory_bytes || spec->memory_limit_bytes > memory_max)
                return api_error_set(x, 400, F "memory_limit_bytes",
                        F "memory_limit_bytes: %ju is refused: at least memory_bytes (%ju) and at most 1 PiB "
                          "are expected",
                        (uintmax_t)spec->memory_limit_bytes, (uintmax_t)spec->memory_bytes);
        spec->has_count = spec->has_cpus = spec->has_cpus_limit = spec->has_memory_bytes =
                spec->has_memory_limit_bytes = true;
        return 0;
}

/* ---- isolation ---- */

int check_path_safe(const char *field, const char *path, struct api_error *x)
{
        const char *c = path;

        if (strlen(path) >= PATH_LENGTH_MAX || !utf8_valid(path, strlen(path)))
                return refuse_text(x, field, path, "a path of at most 4095 bytes is expected");
        while ((c = strstr(c, ".."))) {
                if ((c == path || c[-1] == '/') && (c[2] == '/' || c[2] == 0))
                        return refuse_text(x, field, path, "a path without \"..\" is expected");
                c++;
        }
        for (c = path; *c; c++)
                if ((unsigned char)*c < 0x20 || *c == 0x7f)
                        return refuse_text(x, field, path, "a path without control characters is expected");
        return 0;
}

static int check_path(const char *field, const char *path, struct api_error *x)
{
        if (*path != '/')
                return refuse_text(x, field, path, "an absolute path of at most 4095 bytes is expected");
        return check_path_safe(field, path, x);
}

/* RFC 1123: labels of letters, digits and inner hyphens; the kernel takes 64 bytes. */
static bool hostname_legal(const char *s)
{
        size_t label = 0;

        if (!*s || strlen(s) > 63)
                return false;
        for (; *s; s++) {
                if (*s == '.') {
                        if (label == 0 || s[-1] == '-')
                                return false;
                        label = 0;
                } else if (isalnum((unsigned char)*s) || (*s == '-' && label > 0)) {
                        label++;
                } else {
                        return false;
                }
        }
        return label > 0 && s[-1] != '-';
}

static int check_user(const char *user, struct api_error *x)
{
        size_t colons = 0;

        if (!user)
                return 0;
        for (const char *c = user; *c; c++) {
                colons += *c == ':';
                if ((unsigned char)*c <= 0x20 || *c == 0x7f || *c == '/')
                        return refuse_text(x, F "isolation.user", user,
                                "\"name\", \"uid\", \"name:group\" or \"uid:gid\" is expected");
        }
        if (!*user || *user == ':' || *user == '-' || colons > 1 || str_has_suffix(user, ":") ||
                strlen(user) > 128)
                return refuse_text(x, F "isolation.user", user,
                        "\"name\", \"uid\", \"name:group\" or \"uid:gid\" is expected");
        return 0;
}

static int check_capabilities(const char *name, char *const *list, size_t count, struct api_error *x)
{
        if (count > LISTS_MAX)
                return api_error_set(
                        x, 400, name, "%s has %zu entries: at most %u are accepted", name, count, LISTS_MAX);
        for (size_t i = 0; i < count; i++) {
                if (strcasecmp(list[i], "ALL") == 0 || capability_from_string(list[i]) >= 0)
                        continue;
                _cleanup_free_ char *field = xasprintf("%s[%zu]", name, i);

                return refuse_text(x, field, list[i],
                        "a capability such as CAP_NET_RAW or NET_RAW, or ALL, is expected");
        }
        return 0;
}

static int check_seccomp(const Mete__Api__Isolation *isolation, struct api_error *x)
{
        const char *field = F "isolation.seccomp_profile";
        json_error_t error;
        json_t *profile;
        bool parsed, object;

        if (!isolation->has_seccomp_profile)
                return 0;
        if (isolation->has_seccomp_unconfined && isolation->seccomp_unconfined)
                return api_error_set(x, 400, F "isolation.seccomp_unconfined",
                        F "isolation.seccomp_unconfined: a profile is given too: one of them is expected");
        if (isolation->seccomp_profile.len > SECCOMP_MAX)
                return api_error_set(x, 400, field, "%s has %zu bytes: at most %u are accepted", field,
                        isolation->seccomp_profile.len, SECCOMP_MAX);
        profile = json_loadb((const char *)isolation->seccomp_profile.data, isolation->seccomp_profile.len,
                JSON_REJECT_DUPLICATES, &error);
        parsed = profile;
        object = json_is_object(profile);
        json_decref(profile);
        if (!parsed)
                return api_error_set(x, 400, field,
                        "%s is not JSON (line %d: %s): a profile in the Docker/OCI format is expected", field,
                        error.line, error.text);
        if (!object)
                return api_error_set(x, 400, field,
                        "%s is not a JSON object: a profile in the Docker/OCI format is expected", field);
        return 0;
}

static int check_rlimits(const Mete__Api__Isolation *isolation, struct api_error *x)
{
        static const char *const types[] = {"as", "core", "cpu", "data", "fsize", "locks", "memlock",
                "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio", "rttime", "sigpending", "stack"};

        if (isolation->n_rlimits > LISTS_MAX)
                return api_error_set(x, 400, F "isolation.rlimits",
                        F "isolation.rlimits has %zu entries: at most %u are accepted", isolation->n_rlimits,
                        LISTS_MAX);
        for (size_t i = 0; i < isolation->n_rlimits; i++) {
                const Mete__Api__Rlimit *l = isolation->rlimits[i];
                _cleanup_free_ char *field = xasprintf(F "isolation.rlimits[%zu]", i);

                if (table_from_string(types, ELEMENTSOF(types), l->type) < 0) {
                        _cleanup_free_ char *type = xasprintf("%s.type", field);

                        return refuse_text(x, type, l->type,
                                "a name of setrlimit(2) without RLIMIT_, lower case, such as nofile or core, "
                                "is expected");
                }
                for (size_t j = 0; j < i; j++)
                        if (str_equal(l->type, isolation->rlimits[j]->type))
                                return api_error_set(
                                        x, 400, field, "%s: '%s' is given twice", field, l->type);
                if (l->has_hard && (!l->has_soft || l->soft > l->hard))
                        return api_error_set(x, 400, field,
                                "%s: the soft limit of '%s' is above the hard one (%ju)", field, l->type,
                                (uintmax_t)l->hard);
        }
        return 0;
}

static int check_isolation(Mete__Api__Isolation *isolation, struct api_error *x)
{
        if (isolation->rootfs && check_path(F "isolation.rootfs", isolation->rootfs, x) < 0)
                return -EINVAL;
        if (isolation->working_directory &&
                check_path(F "isolation.working_directory", isolation->working_directory, x) < 0)
                return -EINVAL;
        if (isolation->has_network && isolation->network == METE__API__ISOLATION__NETWORK__NETWORK_UNKNOWN)
                return api_error_set(
                        x, 400, F "isolation.network", F "isolation.network: NONE or HOST is expected");
        if (isolation->has_pids_limit && (isolation->pids_limit < 2 || isolation->pids_limit > PIDS_MAX))
                return api_error_set(x, 400, F "isolation.pids_limit",
                        F "isolation.pids_limit: %ju is refused: 2 to %u are accepted",
                        (uintmax_t)isolation->pids_limit, PIDS_MAX);
        if (isolation->hostname && !hostname_legal(isolation->hostname))
                return refuse_text(x, F "isolation.hostname", isolation->hostname,
                        "1 to 63 of letters, digits, '.' and inner '-' are accepted (RFC 1123)");
        if (check_user(isolation->user, x) < 0 || check_seccomp(isolation, x) < 0 ||
                check_rlimits(isolation, x) < 0)
                return -EINVAL;
        if (check_capabilities(F "isolation.capabilities_add", isolation->capabilities_add,
                    isolation->n_capabilities_add, x) < 0)
                return -EINVAL;
        return check_capabilities(F "isolation.capabilities_drop", isolation->capabilities_drop,
                isolation->n_capabilities_drop, x);
}

int job_spec_validate(Mete__Api__JobSpec *spec, struct api_error *x)
{
        const bool count_given = spec->has_count;

        if (check_command(spec, x) < 0 || check_name(spec, x) < 0 || check_environment(spec, x) < 0 ||
                check_resources(spec, x) < 0)
                return -EINVAL;
        if (!spec->isolation) {
                spec->isolation = xcalloc(1, sizeof(*spec->isolation));
                mete__api__isolation__init(spec->isolation);
        }
        if (check_isolation(spec->isolation, x) < 0 || check_schedule(spec, count_given, x) < 0)
                return -EINVAL;
        return check_extra(spec, x);
}
