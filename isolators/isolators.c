/* The table and its drivers. */
#include "isolators/isolators.h"

#include <stdlib.h>
#include <string.h>

/* Cgroup before probes: the slot is the cgroup's. User before capabilities before seccomp: each depends on the one before,
 * and the plan keeps this order within its last phase. Both before the root file system: what is hidden depends on who looks.
 * Volumes behind it: they are mounted in the sandbox. */
const struct isolator *const isolators[] = {
        &isolator_cgroup,
        &isolator_cores,
        &isolator_probes,
        &isolator_namespaces,
        &isolator_rlimits,
        &isolator_user,
        &isolator_capabilities,
        &isolator_rootfs,
        &isolator_volumes,
        &isolator_paths,
        &isolator_privileges,
        &isolator_seccomp,
        NULL,
};

#define ISOLATOR_COUNT (ELEMENTSOF(isolators) - 1)

void container_spec_done(struct container_spec *s)
{
        for (char **p = s->argv; p && *p; p++)
                free(*p);
        for (char **p = s->environment; p && *p; p++)
                free(*p);
        for (size_t i = 0; i < s->rlimit_count; i++)
                free(s->rlimits[i].type);
        for (size_t i = 0; i < s->volume_count; i++) {
                free(s->volumes[i].source);
                free(s->volumes[i].base);
                free(s->volumes[i].target);
        }
        free(s->volumes);
        free(s->exclusive_cores);
        free(s->container_id);
        free(s->argv);
        free(s->program);
        free(s->environment);
        free(s->working_directory);
        free(s->hostname);
        free(s->rootfs);
        free(s->agent_socket_dir);
        free(s->user);
        free(s->seccomp_profile);
        free(s->rlimits);
        string_list_done(&s->capabilities_add);
        string_list_done(&s->capabilities_drop);
        *s = (struct container_spec){0};
}

struct isolator_state *isolators_probe(struct isolator_host *h, size_t *ret_count)
{
        struct isolator_state *states = xcalloc(ISOLATOR_COUNT, sizeof(*states));

        for (size_t i = 0; i < ISOLATOR_COUNT; i++) {
                _cleanup_error_ struct error e = {0};
                states[i].isolator = isolators[i];
                states[i].available = isolators[i]->probe ? isolators[i]->probe(h, &e) : 0;
                if (states[i].available < 0)
                        states[i].reason = xstrdup(error_message(&e));
        }
        *ret_count = ISOLATOR_COUNT;
        return states;
}

void isolators_states_free(struct isolator_state *s, size_t count)
{
        for (size_t i = 0; s && i < count; i++)
                free(s[i].reason);
        free(s);
}

static bool is_needed(const struct isolator *i, const struct container_spec *s)
{
        if (i == &isolator_seccomp)
                return !s->seccomp_unconfined;
        if (i == &isolator_cores)
                return s->exclusive_cores != NULL;
        /* Measurement, not isolation. */
        return i != &isolator_probes;
}

/* What the host cannot give does not change while the agent runs: tried once per host description. */
static int require_all(struct isolator_host *h, const struct container_spec *s, struct error *e)
{
        static struct isolator_host *probed;
        static struct isolator_state *states;
        static size_t count;

        if (probed != h) {
                isolators_states_free(states, count);
                states = isolators_probe(h, &count);
                probed = h;
        }
        for (size_t i = 0; i < count; i++)
                if (states[i].available < 0 && is_needed(isolators[i], s))
                        return error_set(e, -ENOTSUP, "this host cannot give the isolation \"%s\" (%s): %s",
                                isolators[i]->name, isolators[i]->provides, states[i].reason);
        return 0;
}

static size_t count_strings(char *const *strings)
{
        size_t n = 0;

        while (strings && strings[n])
                n++;
        return n;
}

static int check_spec(const struct container_spec *s, struct error *e)
{
        if (str_empty(s->container_id) || strlen(s->container_id) > 255 || strchr(s->container_id, '/') ||
                s->container_id[0] == '.')
                return error_set(
                        e, -EINVAL, "container_id is not a name of 1 to 255 characters without \"/\"");
        if (!s->argv || !s->argv[0])
                return error_set(e, -EINVAL, "command is empty: a program to execute is wanted");
        if (count_strings(s->argv) > PLAN_STRINGS_MAX - 2)
                return error_set(e, -E2BIG, "command has more than %d arguments", PLAN_STRINGS_MAX - 2);
        if (count_strings(s->environment) > PLAN_STRINGS_MAX)
                return error_set(e, -E2BIG, "environment has more than %d variables", PLAN_STRINGS_MAX);
        for (char **p = s->environment; p && *p; p++)
                if (**p == '=' || !strchr(*p, '='))
                        return error_set(
                                e, -EINVAL, "environment: \"%.64s\" is not of the form NAME=value", *p);
        if (s->working_directory && s->working_directory[0] != '/')
                return error_set(e, -EINVAL, "working_directory \"%.256s\" is not an absolute path",
                        s->working_directory);
        return 0;
}

static void add_settings(struct isolator_host *h, struct container *c, struct plan *p)
{
        struct plan_settings settings = {
                .namespaces = namespaces_flags(c->spec),
                .log_max_bytes = h->log_max_bytes,
                .log_files = h->log_files,
        };

        (void)snprintf(settings.container_id, sizeof(settings.container_id), "%s", c->spec->container_id);
        plan_add_blob(p, PLAN_PHASE_NAMESPACE, PLAN_STEP_SETTINGS, 0, &settings, sizeof(settings));
}

static void add_command(struct container *c, struct plan *p)
{
        const struct container_spec *s = c->spec;
        size_t count = count_strings(s->argv);
        _cleanup_free_ const char **strings = xcalloc(count + 2, sizeof(*strings));

        strings[0] = s->program ? s->program : s->argv[0];
        strings[1] = s->working_directory ? s->working_directory : c->sandbox_in_container;
        memcpy(strings + 2, s->argv, count * sizeof(*strings));
        plan_add_string_array(p, PLAN_PHASE_PROCESS, PLAN_STEP_COMMAND, 0, strings, count + 2);
        plan_add_string_array(p, PLAN_PHASE_PROCESS, PLAN_STEP_ENVIRONMENT, 0,
                (const char *const *)s->environment, count_strings(s->environment));
}

int isolators_prepare(struct isolator_host *h, struct container *c, struct plan *p, struct error *e)
{
        int r = check_spec(c->spec, e);

        if (r >= 0)
                r = require_all(h, c->spec, e);
        if (r < 0)
                return r;
        add_settings(h, c, p);
        for (size_t i = 0; i < ISOLATOR_COUNT; i++) {
                r = isolators[i]->prepare ? isolators[i]->prepare(h, c, p, e) : 0;
                if (r < 0)
                        return r;
        }
        add_command(c, p);
        return 0;
}

int isolators_isolate(struct isolator_host *h, struct container *c, struct error *e)
{
        for (size_t i = 0; i < ISOLATOR_COUNT; i++) {
                int r = isolators[i]->isolate ? isolators[i]->isolate(h, c, e) : 0;
                if (r < 0) {
                        isolators_cleanup(h, c);
                        return r;
                }
        }
        return 0;
}

int isolators_update(
        struct isolator_host *h, struct container *c, const struct container_limits *l, struct error *e)
{
        for (size_t i = 0; i < ISOLATOR_COUNT; i++) {
                int r = isolators[i]->update ? isolators[i]->update(h, c, l, e) : 0;
                if (r < 0)
                        return r;
        }
        return 0;
}

void isolators_usage(struct isolator_host *h, struct container *c, struct container_usage *ret)
{
        *ret = (struct container_usage){0};
        for (size_t i = 0; i < ISOLATOR_COUNT; i++)
                if (isolators[i]->usage)
                        isolators[i]->usage(h, c, ret);
}

void isolators_cleanup(struct isolator_host *h, struct container *c)
{
        for (size_t i = ISOLATOR_COUNT; i > 0; i--)
                if (isolators[i - 1]->cleanup)
                        isolators[i - 1]->cleanup(h, c);
}

int isolators_recover(struct isolator_host *h, struct container *c, struct error *e)
{
        for (size_t i = 0; i < ISOLATOR_COUNT; i++) {
                int r = isolators[i]->recover ? isolators[i]->recover(h, c, e) : 0;
                if (r < 0)
                        return r;
        }
        return 0;
}
