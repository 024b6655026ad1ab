/*
 * The hard partition: one cgroup per container, "containers/<container id>" below the agent's root. CPU: request -> weight, limit ->
 * quota. Memory: request -> protection, limit -> max with swap off. Processes: always bounded; the container's init is one of them.
 */
#include <inttypes.h>
#include <time.h>

#include "isolators/isolators.h"
#include "lib/base/time.h"

#define CGROUP_CONTAINERS "containers/"
#define MILLI_CPUS_MIN 1
#define MILLI_CPUS_MAX 10000000              /* ten thousand cores */
#define MEMORY_MIN_BYTES (UINT64_C(4) << 20) /* init, the task's first pages and their page tables */
#define MEMORY_MAX_BYTES (UINT64_C(1) << 50)
#define PIDS_MIN 2       /* init and the task */
#define PIDS_MAX 4194304 /* PID_MAX_LIMIT */
/* Short: this runs on the loop. What needs longer the owner of the container removes later. */
#define REMOVE_TIMEOUT_NS (10 * NSEC_PER_MSEC)
#define REMOVE_PAUSE_NS (1 * NSEC_PER_MSEC)

static char *name_of(const struct container *c)
{
        return xasprintf(CGROUP_CONTAINERS "%s", c->spec->container_id);
}

static int cgroup_probe(struct isolator_host *h, struct error *e)
{
        static const enum cgroup_controller wanted[] = {CGROUP_CPU, CGROUP_MEMORY, CGROUP_PIDS};

        for (size_t i = 0; i < ELEMENTSOF(wanted); i++)
                if (!cgroup_root_has(h->cgroups, wanted[i]))
                        return error_set(e, -ENOTSUP, "%s", cgroup_root_missing(h->cgroups, wanted[i]));
        return 0;
}

static int check_range(const char *field, uint64_t value, uint64_t min, uint64_t max, struct error *e)
{
        if (value < min || value > max)
                return error_set(e, -ERANGE, "%s is %" PRIu64 ": %" PRIu64 " to %" PRIu64 " is accepted",
                        field, value, min, max);
        return 0;
}

static int check_limits(const struct container_limits *l, struct error *e)
{
        int r = check_range("cpus (thousandths)", l->milli_cpus, MILLI_CPUS_MIN, MILLI_CPUS_MAX, e);

        if (r >= 0 && l->milli_cpus_limit != UINT64_MAX)
                r = check_range(
                        "cpus_limit (thousandths)", l->milli_cpus_limit, l->milli_cpus, MILLI_CPUS_MAX, e);
        if (r >= 0)
                r = check_range("mem (bytes)", l->memory_bytes, 0, MEMORY_MAX_BYTES, e);
        if (r >= 0)
                r = check_range("mem_limit (bytes)", l->memory_limit_bytes,
                        MAX(l->memory_bytes, MEMORY_MIN_BYTES), MEMORY_MAX_BYTES, e);
        if (r >= 0)
                r = check_range("pids_limit", l->pids_limit, PIDS_MIN, PIDS_MAX, e);
        return r;
}

/* A quota that is all of the task's own cores could only throttle it there, for the kernel counts it by periods. */
static bool needs_no_quota(const struct container_spec *s)
{
        return s->exclusive_cores && s->milli_cpus_limit >= cpu_list_count(s->exclusive_cores) * 1000;
}

static struct container_limits limits_of(const struct container_spec *s)
{
        return (struct container_limits){s->milli_cpus, needs_no_quota(s) ? UINT64_MAX : s->milli_cpus_limit,
                s->memory_bytes, s->memory_limit_bytes, s->pids_limit};
}

static int cgroup_prepare(struct isolator_host *h, struct container *c, struct plan *p, struct error *e)
{
        struct container_limits l = limits_of(c->spec);

        return check_limits(&l, e);
}

/* Every member that is not UINT64_MAX. */
static int apply(struct cgroup *g, const struct container_limits *l, struct error *e)
{
        int r = 0;

        if (l->milli_cpus != UINT64_MAX)
                r = cgroup_set_cpu_weight(g, l->milli_cpus, e);
        if (r >= 0 && l->milli_cpus_limit != UINT64_MAX)
                r = cgroup_set_cpu_quota(g, l->milli_cpus_limit, /* period_usec= */ 0, e);
        if (r >= 0 && l->memory_bytes != UINT64_MAX)
                r = cgroup_set_memory_protection(g, l->memory_bytes, e);
        if (r >= 0 && l->memory_limit_bytes != UINT64_MAX)
                r = cgroup_set_memory_max(g, l->memory_limit_bytes, e);
        if (r >= 0 && l->pids_limit != UINT64_MAX)
                r = cgroup_set_pids_max(g, l->pids_limit, e);
        return r;
}

static int cgroup_isolate(struct isolator_host *h, struct container *c, struct error *e)
{
        struct container_limits l = limits_of(c->spec);
        _cleanup_free_ char *name = name_of(c);

        int r = cgroup_create(h->cgroups, name, &c->cgroup, e);
        if (r >= 0)
                r = apply(c->cgroup, &l, e);
        if (r >= 0)
                r = cgroup_set_descendants_max(c->cgroup, 0, e);
        return r;
}

static int cgroup_update(
        struct isolator_host *h, struct container *c, const struct container_limits *l, struct error *e)
{
        return c->cgroup ? apply(c->cgroup, l, e) : error_set(e, -ESRCH, "the container has no cgroup");
}

static void cgroup_usage(struct isolator_host *h, struct container *c, struct container_usage *u)
{
        if (!c->cgroup || cgroup_read_usage(c->cgroup, &u->cgroup) < 0)
                return;
        u->cpu_ns = u->cgroup.cpu_usage_ns;
}

/* Killed processes leave their cgroup within microseconds to milliseconds of their exit. */
static int remove_when_empty(struct cgroup *g)
{
        const struct timespec pause = {.tv_nsec = REMOVE_PAUSE_NS};
        struct mono_time start = mono_now();
        int r;

        while ((r = cgroup_remove(g, NULL)) == -EBUSY &&
                mono_elapsed_ns(start, mono_now()) < REMOVE_TIMEOUT_NS)
                (void)nanosleep(&pause, NULL);
        return r;
}

static void cgroup_cleanup(struct isolator_host *h, struct container *c)
{
        _cleanup_free_ char *name = name_of(c);

        if (!c->cgroup && cgroup_open(h->cgroups, name, &c->cgroup, NULL) < 0)
                return;
        bool populated = true;
        if (cgroup_populated(c->cgroup, &populated) < 0 || populated)
                (void)!cgroup_kill(c->cgroup, NULL);
        if (remove_when_empty(c->cgroup) == 0)
                c->cgroup = cgroup_free(c->cgroup);
}

static int cgroup_recover(struct isolator_host *h, struct container *c, struct error *e)
{
        _cleanup_free_ char *name = name_of(c);

        return c->cgroup ? 0 : cgroup_open(h->cgroups, name, &c->cgroup, e);
}

const struct isolator isolator_cgroup = {
        .name = "cgroup",
        .provides = "hard limits of CPU, memory and number of processes",
        .probe = cgroup_probe,
        .prepare = cgroup_prepare,
        .isolate = cgroup_isolate,
        .update = cgroup_update,
        .usage = cgroup_usage,
        .cleanup = cgroup_cleanup,
        .recover = cgroup_recover,
};
