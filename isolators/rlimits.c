/* Resource limits of the process: what the kernel counts per process or user, beside the cgroup. */
#include <inttypes.h>
#include <linux/capability.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "isolators/isolators.h"

#define RLIMIT_ROW(name)                                                                                     \
        {                                                                                                    \
#name, RLIMIT_##name                                                                         \
        }
static const struct {
        const char *name;
        int resource;
} rlimit_rows[] = {RLIMIT_ROW(AS), RLIMIT_ROW(CORE), RLIMIT_ROW(CPU), RLIMIT_ROW(DATA), RLIMIT_ROW(FSIZE),
        RLIMIT_ROW(LOCKS), RLIMIT_ROW(MEMLOCK), RLIMIT_ROW(MSGQUEUE), RLIMIT_ROW(NICE), RLIMIT_ROW(NOFILE),
        RLIMIT_ROW(NPROC), RLIMIT_ROW(RSS), RLIMIT_ROW(RTPRIO), RLIMIT_ROW(RTTIME), RLIMIT_ROW(SIGPENDING),
        RLIMIT_ROW(STACK)};

/* Few soft descriptors for programs that loop over all of them, many hard ones for servers; no core files in the sandbox. */
static const struct container_rlimit rlimit_defaults[] = {
        {(char *)(uintptr_t) "NOFILE", 1024, 65536},
        {(char *)(uintptr_t) "CORE", 0, UINT64_MAX},
};

/* "NOFILE", "RLIMIT_NOFILE", "RLMT_NOFILE" (as Mesos spells it). */
static int rlimit_from_string(const char *name)
{
        static const char *const prefixes[] = {"RLIMIT_", "RLMT_"};

        for (size_t i = 0; i < ELEMENTSOF(prefixes); i++)
                if (strncasecmp(name, prefixes[i], strlen(prefixes[i])) == 0)
                        name += strlen(prefixes[i]);
        for (size_t i = 0; i < ELEMENTSOF(rlimit_rows); i++)
                if (strcasecmp(name, rlimit_rows[i].name) == 0)
                        return rlimit_rows[i].resource;
        return -EINVAL;
}

static void add_limit(struct plan *p, int resource, uint64_t soft, uint64_t hard)
{
        struct plan_rlimit l = {.resource = (uint32_t)resource, .soft = soft, .hard = hard};

        plan_add_blob(p, PLAN_PHASE_PROCESS, PLAN_STEP_RLIMIT, 0, &l, sizeof(l));
}

static int current_hard(int resource, uint64_t *ret)
{
        struct rlimit l;

        if (getrlimit((__rlimit_resource_t)resource, &l) < 0)
                return -errno;
        *ret = l.rlim_max;
        return 0;
}

static int check_hard(const char *name, uint64_t hard, uint64_t current, struct error *e)
{
        /* The effective set of an agent run as root follows its bounding set. */
        if (hard <= current || prctl(PR_CAPBSET_READ, CAP_SYS_RESOURCE, 0, 0, 0) == 1)
                return 0;
        return error_set(e, -EPERM,
                "rlimits: the hard limit of %s may not exceed mete-agent's own, %" PRIu64
                ": give the agent CAP_SYS_RESOURCE or a higher limit",
                name, current);
}

static int add_wanted(const struct container_rlimit *l, struct plan *p, struct error *e)
{
        uint64_t current = 0;
        int resource = rlimit_from_string(l->type ? l->type : "");

        if (resource < 0)
                return error_set(e, -EINVAL,
                        "rlimits: \"%.32s\" is no resource limit: a name such as NOFILE, CORE or STACK is "
                        "accepted",
                        l->type ? l->type : "");
        if (l->soft > l->hard)
                return error_set(
                        e, -EINVAL, "rlimits: the soft limit of %s is above its hard limit", l->type);
        int r = current_hard(resource, &current);
        if (r < 0)
                return error_set_errno(e, r, "rlimits: cannot read the agent's own limit of %s", l->type);
        r = check_hard(l->type, l->hard, current, e);
        if (r >= 0)
                add_limit(p, resource, l->soft, l->hard);
        return r;
}

/* Defaults never ask for more than there is, and not beside a wish: a hard limit once lowered could not be raised again. */
static void add_default(const struct container_spec *s, const struct container_rlimit *l, struct plan *p)
{
        int resource = rlimit_from_string(l->type);
        uint64_t current = 0;

        for (size_t i = 0; i < s->rlimit_count; i++)
                if (rlimit_from_string(s->rlimits[i].type ? s->rlimits[i].type : "") == resource)
                        return;
        if (current_hard(resource, &current) < 0)
                return;
        uint64_t hard = MIN(l->hard, current);
        add_limit(p, resource, MIN(l->soft, hard), hard);
}

static int rlimits_prepare(struct isolator_host *h, struct container *c, struct plan *p, struct error *e)
{
        const struct container_spec *s = c->spec;

        for (size_t i = 0; i < ELEMENTSOF(rlimit_defaults); i++)
                add_default(s, &rlimit_defaults[i], p);
        for (size_t i = 0; i < s->rlimit_count; i++) {
                /* Lowering twice what was once raised would depend on the order. */
                for (size_t k = 0; k < i; k++)
                        if (rlimit_from_string(s->rlimits[i].type ? s->rlimits[i].type : "") ==
                                rlimit_from_string(s->rlimits[k].type ? s->rlimits[k].type : ""))
                                return error_set(
                                        e, -EINVAL, "rlimits: %.32s is given twice", s->rlimits[i].type);
                int r = add_wanted(&s->rlimits[i], p, e);
                if (r < 0)
                        return r;
        }
        return 0;
}

const struct isolator isolator_rlimits = {
        .name = "rlimits",
        .provides = "limits of descriptors, core files and other per-process resources",
        .prepare = rlimits_prepare,
};
