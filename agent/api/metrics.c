/* GET /metrics/snapshot: a flat JSON object of numbers. Anybody on this machine may read it: it names no task. */
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "agent/api/read.h"
#include "agent/executors/executor.h"
#include "agent/fetcher.h"
#include "agent/launch_times.h"
#include "agent/master_link.h"
#include "agent/offered_resources.h"

static void metric(struct buffer *out, double value, const char *fmt, ...) PRINTF_LIKE(3, 4);
static void metric(struct buffer *out, double value, const char *fmt, ...)
{
        _cleanup_free_ char *name = NULL;
        va_list ap;

        va_start(ap, fmt);
        name = xvasprintf(fmt, ap);
        va_end(ap);
        json_put_double(out, name, value);
}

static void add_launches(struct buffer *out, const struct launch_times *t)
{
        struct launch_phase_summary s;

        metric(out, (double)t->launches, "containerizer/launches");
        for (size_t i = 0; launch_times_summary(t, i, &s); i++) {
                metric(out, (double)i, "containerizer/launch_usec/%s/order", s.name);
                metric(out, (double)s.p50_usec, "containerizer/launch_usec/%s/p50", s.name);
                metric(out, (double)s.p99_usec, "containerizer/launch_usec/%s/p99", s.name);
        }
}

static void add_fetcher(struct buffer *out, const struct fetcher_metrics *m)
{
        metric(out, (double)m->cache_size_total_bytes, "containerizer/fetcher/cache_size_total_bytes");
        metric(out, (double)m->cache_size_used_bytes, "containerizer/fetcher/cache_size_used_bytes");
        metric(out, (double)m->task_fetches_succeeded, "containerizer/fetcher/task_fetches_succeeded");
        metric(out, (double)m->task_fetches_failed, "containerizer/fetcher/task_fetches_failed");
}

/* ---- resources ---- */

/* Of what is not ended, as the cgroups have it. */
static void sum_used(const struct agent *a, struct resources *ret)
{
        uint64_t milli_cpus = 0, memory_bytes = 0;
        struct agent_container *c, *tmp;

        HASH_ITER (hh, a->containers, c, tmp) {
                if (c->state == CONTAINER_STATE_ENDED)
                        continue;
                milli_cpus += c->spec.milli_cpus;
                memory_bytes += c->spec.memory_bytes;
        }
        resources_set_scalar(ret, "cpus", milli_cpus);
        resources_set_scalar(ret, "mem", (memory_bytes >> 20) * 1000);
}

static void add_resources(struct buffer *out, const struct agent *a)
{
        static const char *const names[] = {"cpus", "gpus", "mem", "disk"};
        _cleanup_resources_ struct resources total = {0}, used = {0};

        if (offered_resources(a->options, &total, NULL) < 0)
                total = (struct resources){0};
        sum_used(a, &used);
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                double all = milli_to_double(resources_scalar(&total, names[i]));
                double some = milli_to_double(resources_scalar(&used, names[i]));

                metric(out, all, "slave/%s_total", names[i]);
                metric(out, some, "slave/%s_used", names[i]);
                metric(out, all > 0 ? some / all : 0, "slave/%s_percent", names[i]);
                metric(out, 0, "slave/%s_revocable_total", names[i]);
                metric(out, 0, "slave/%s_revocable_used", names[i]);
                metric(out, 0, "slave/%s_revocable_percent", names[i]);
        }
}

/* ---- tasks ---- */

/* States that last are counted as they are, ends since the agent's start. */
static void add_tasks(struct buffer *out, const struct agent *a)
{
        const ProtobufCEnumDescriptor *d = &mete__v1__task_state__descriptor;
        uint64_t now[AGENT_TASK_STATES] = {0};
        struct agent_task *t, *tmp;

        HASH_ITER (hh, a->tasks, t, tmp) {
                Mete__V1__TaskState s = task_latest_state(t);
                if (!task_is_ended(t) && (unsigned)s < AGENT_TASK_STATES)
                        now[s]++;
        }
        for (unsigned i = 0; i < d->n_values; i++) {
                unsigned value = (unsigned)d->values[i].value;
                char name[64];

                (void)snprintf(name, sizeof(name), "%s", d->values[i].name + strlen("TASK_"));
                for (char *p = name; *p; p++)
                        *p = *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : *p;
                if (value < AGENT_TASK_STATES)
                        metric(out, (double)(now[value] + a->counters.tasks_ended[value]), "slave/tasks_%s",
                                name);
        }
}

static void add_executors(struct buffer *out, const struct agent *a)
{
        uint64_t registering = 0, running = 0, terminating = 0, frameworks = 0;
        struct agent_container *c, *other, *tmp, *tmp2;

        HASH_ITER (hh, a->containers, c, tmp) {
                bool first = true;

                if (c->state == CONTAINER_STATE_ENDED)
                        continue;
                if (c->state == CONTAINER_STATE_KILLING)
                        terminating++;
                else if (c->state == CONTAINER_STATE_RUNNING &&
                         (!c->executor || executor_is_subscribed(c->executor)))
                        running++;
                else
                        registering++;
                HASH_ITER (hh, a->containers, other, tmp2) {
                        if (other == c)
                                break;
                        if (other->state != CONTAINER_STATE_ENDED &&
                                str_equal(other->info->framework->id->value, c->info->framework->id->value)) {
                                first = false;
                                break;
                        }
                }
                frameworks += first;
        }
        metric(out, (double)frameworks, "slave/frameworks_active");
        metric(out, (double)registering, "slave/executors_registering");
        metric(out, (double)running, "slave/executors_running");
        metric(out, (double)terminating, "slave/executors_terminating");
        metric(out, (double)a->counters.executors_terminated, "slave/executors_terminated");
        metric(out, 0, "slave/executors_preempted");
}

/* ---- the machine ---- */

static void add_system(struct buffer *out)
{
        static const char *const names[] = {"1min", "5min", "15min"};
        double loads[3] = {0};
        struct sysinfo info;

        if (getloadavg(loads, 3) == 3)
                for (size_t i = 0; i < ELEMENTSOF(names); i++)
                        metric(out, loads[i], "system/load_%s", names[i]);
        metric(out, (double)sysconf(_SC_NPROCESSORS_ONLN), "system/cpus_total");
        if (sysinfo(&info) < 0)
                return;
        metric(out, (double)info.totalram * info.mem_unit, "system/mem_total_bytes");
        metric(out, (double)info.freeram * info.mem_unit, "system/mem_free_bytes");
}

void api_read_metrics(struct read_call *c)
{
        const struct agent *a = c->agent;
        const struct agent_counters *n = &a->counters;
        struct buffer *out = &c->out;

        json_begin_object(out, NULL);
        metric(out, master_link_ready(a->link) ? 1 : 0, "slave/registered");
        metric(out, (double)(wall_now().ns - MIN(a->api->started.ns, wall_now().ns)) / (double)NSEC_PER_SEC,
                "slave/uptime_secs");
        metric(out, (double)a->options->gc_delay_ns / (double)NSEC_PER_SEC,
                "slave/executor_directory_max_allowed_age_secs");
        metric(out, (double)n->valid_status_updates, "slave/valid_status_updates");
        metric(out, (double)n->invalid_status_updates, "slave/invalid_status_updates");
        metric(out, (double)n->container_launch_errors, "slave/container_launch_errors");
        metric(out, (double)n->recovery_errors, "slave/recovery_errors");
        metric(out, (double)n->recovery_ns / (double)NSEC_PER_SEC, "slave/recovery_time_secs");
        metric(out, (double)n->container_destroy_errors, "containerizer/mesos/container_destroy_errors");
        metric(out, (double)a->gc.count, "gc/path_removals_pending");
        metric(out, (double)a->gc.removed, "gc/path_removals_succeeded");
        metric(out, (double)a->gc.failed, "gc/path_removals_failed");
        add_resources(out, a);
        add_tasks(out, a);
        add_executors(out, a);
        add_system(out);
        add_fetcher(out, fetcher_metrics(a->fetcher));
        add_launches(out, a->launch_times);
        json_end_object(out);
}
