/*
 * The size of an executor's container: the executor and its tasks that have not ended, together. It grows before a task is given to the
 * executor and shrinks after a task's end. Lowering memory.max below what is in use makes the kernel reclaim, and kill when that does
 * not suffice; so memory is lowered to what is in use and a bit more, and again a second later, until it is where it should be.
 */
#include <math.h>
#include <string.h>
#include <utlist.h>

#include "agent/executors/executors.h"
#include "lib/base/log.h"
#include "lib/base/resources.h"

#define MIB (UINT64_C(1) << 20)
/* Below this nothing runs, as Mesos has it: an executor between two tasks may have asked for nothing itself. */
#define MILLI_CPUS_FLOOR 10
#define MEMORY_FLOOR_BYTES (32 * MIB)
#define MEMORY_SLACK_BYTES (4 * MIB)
#define SHRINK_PAUSE_NS NSEC_PER_SEC

static uint64_t sum(Mete__V1__Resource *const *list, size_t count, const char *name)
{
        uint64_t total = 0, milli;

        for (size_t i = 0; i < count; i++)
                if (str_equal(list[i]->name, name) && list[i]->scalar &&
                        milli_from_double(list[i]->scalar->value, &milli) == 0)
                        total += milli;
        return total;
}

static uint64_t bytes_of(uint64_t milli_mib)
{
        return milli_mib / 1000 * MIB + milli_mib % 1000 * MIB / 1000;
}

/* A task's limit, else its request; an infinite one is all of the machine. */
static uint64_t limit_of(const Mete__V1__TaskInfo *t, const char *name, uint64_t request, uint64_t machine)
{
        for (size_t i = 0; i < t->n_limits; i++) {
                uint64_t milli;

                if (!str_equal(t->limits[i]->key, name) || !t->limits[i]->value)
                        continue;
                if (isinf(t->limits[i]->value->value))
                        return MAX(machine, request);
                if (milli_from_double(t->limits[i]->value->value, &milli) == 0)
                        return MAX(milli, request);
        }
        return request;
}

const struct container_limits *executor_limits(struct agent_executor *x)
{
        const Mete__V1__ExecutorInfo *info = executor_info(x);
        const struct agent_options *o = x->agent->options;
        uint64_t cpus = sum(info->resources, info->n_resources, "cpus"), cpus_limit = cpus;
        uint64_t mem = sum(info->resources, info->n_resources, "mem"), mem_limit = mem;
        const struct agent_task *t;

        DL_FOREACH (x->tasks, t) {
                if (task_is_ended(t))
                        continue;
                uint64_t task_cpus = sum(t->info->resources, t->info->n_resources, "cpus");
                uint64_t task_mem = sum(t->info->resources, t->info->n_resources, "mem");

                cpus += task_cpus;
                cpus_limit += limit_of(t->info, "cpus", task_cpus, o->milli_cpus);
                mem += task_mem;
                mem_limit += limit_of(t->info, "mem", task_mem, o->memory_bytes / MIB * 1000);
        }
        x->limits = (struct container_limits){
                .milli_cpus = MAX(cpus, (uint64_t)MILLI_CPUS_FLOOR),
                .milli_cpus_limit = MAX(cpus_limit, (uint64_t)MILLI_CPUS_FLOOR),
                .memory_bytes = bytes_of(mem),
                .memory_limit_bytes = MAX(bytes_of(mem_limit), MEMORY_FLOOR_BYTES),
                .pids_limit = UINT64_MAX,
        };
        return &x->limits;
}

void executor_fill_stand_in(const struct agent_executor *x, Mete__V1__TaskInfo *ret)
{
        const Mete__V1__ExecutorInfo *info = executor_info(x);

        ret->command = info->command;
        ret->container = info->container;
        ret->n_resources = info->n_resources;
        ret->resources = info->resources;
        if (info->n_resources == 0 && x->tasks) {
                ret->n_resources = x->tasks->info->n_resources;
                ret->resources = x->tasks->info->resources;
        }
}

static bool has_container(const struct agent_executor *x)
{
        return x->container->isolated && x->container->state != CONTAINER_STATE_ENDED;
}

/* What people are shown, and what the next step starts from. */
static void note(struct agent_executor *x, uint64_t memory_limit_bytes)
{
        struct container_spec *s = &x->container->spec;

        s->milli_cpus = x->limits.milli_cpus;
        s->milli_cpus_limit = x->limits.milli_cpus_limit;
        s->memory_bytes = x->limits.memory_bytes;
        s->memory_limit_bytes = memory_limit_bytes;
}

int executor_grow(struct agent_executor *x, struct error *e)
{
        struct container_limits l = *executor_limits(x);

        if (!has_container(x))
                return 0;
        /* Tasks may have ended in the same breath: what is lowered, executor_shrink() lowers. */
        l.memory_limit_bytes = MAX(l.memory_limit_bytes, x->container->spec.memory_limit_bytes);
        int r = isolators_update(&x->agent->host, &x->container->view, &l, e);
        if (r == 0)
                note(x, l.memory_limit_bytes);
        return r;
}

uint64_t executor_memory_step(uint64_t current, uint64_t target, uint64_t used)
{
        uint64_t floor = used + MAX(used / 8, MEMORY_SLACK_BYTES);

        floor = (floor + MIB - 1) / MIB * MIB;
        return MIN(current, MAX(target, floor));
}

void executor_shrink(struct agent_executor *x)
{
        _cleanup_error_ struct error e = {0};
        struct container_limits l = *executor_limits(x);
        uint64_t target = l.memory_limit_bytes, current = x->container->spec.memory_limit_bytes;

        if (!has_container(x))
                return;
        if (target < current) {
                const struct cgroup_usage *g = &x->container->usage.latest.cgroup;

                usage_read(x->container);
                l.memory_limit_bytes =
                        g->has_memory ? executor_memory_step(current, target, g->memory_working_set_bytes)
                                      : current;
        }
        if (isolators_update(&x->agent->host, &x->container->view, &l, &e) < 0) {
                /* v1 refuses what it cannot reclaim. */
                log_debug("executor %s: %s", executor_id(x), error_message(&e));
                l.memory_limit_bytes = current;
        }
        note(x, l.memory_limit_bytes);
        if (l.memory_limit_bytes > target)
                loop_timer_arm(x->shrink, SHRINK_PAUSE_NS, 0);
        else
                loop_timer_disarm(x->shrink);
}
