#include "agent/usage.h"

#include <stdlib.h>

#include "agent/master_link.h"
#include "agent/task.h"
#include "lib/net/codec.h"

#define SAMPLE_PERIOD_NS NSEC_PER_SEC
#define INTERVAL_DEFAULT_NS (5 * NSEC_PER_SEC)
/* Shorter than this an interval says more about ticks than about the task. */
#define CORES_INTERVAL_MIN_NS (100 * NSEC_PER_MSEC)

struct usage_sampler {
        struct agent *agent;
        struct loop_timer *timer;
        uint64_t interval_ns;
        struct mono_time sent_at;
};

uint64_t usage_histogram_bound_ns(const uint64_t *hist, size_t buckets, unsigned permille)
{
        uint64_t total = 0, seen = 0;

        for (size_t i = 0; i < buckets; i++)
                total += hist[i];
        if (total == 0)
                return 0;
        for (size_t i = 0; i < buckets; i++) {
                seen += hist[i];
                if (seen * 1000 >= total * permille)
                        return (UINT64_C(1) << i) * NSEC_PER_USEC; /* bucket i ends at 2^i us */
        }
        return (UINT64_C(1) << buckets) * NSEC_PER_USEC;
}

/* ---- sampling ---- */

static uint64_t cpu_ns(const struct container_usage *u)
{
        return u->from_probes ? u->cpu_ns : u->cgroup.cpu_usage_ns;
}

void usage_read(struct agent_container *c)
{
        struct usage_track *t = &c->usage;
        struct container_usage u = {0};
        struct mono_time now = mono_now();

        isolators_usage(&c->agent->host, &c->view, &u);
        uint64_t passed = mono_elapsed_ns(t->read_at, now);
        if (t->valid && passed >= CORES_INTERVAL_MIN_NS && cpu_ns(&u) >= cpu_ns(&t->latest))
                t->cpu_cores = (double)(cpu_ns(&u) - cpu_ns(&t->latest)) / (double)passed;
        t->latest = u;
        t->read_at = now;
        t->read_at_wall = wall_now();
        t->memory_peak_seen = MAX(t->memory_peak_seen, u.cgroup.memory_bytes);
        t->valid = true;
}

static double seconds(uint64_t ns)
{
        return (double)ns / (double)NSEC_PER_SEC;
}

#define SET(m, field, v)                                                                                     \
        do {                                                                                                 \
                (m)->has_##field = true;                                                                     \
                (m)->field = (v);                                                                            \
        } while (0)

static void fill_cpu(const struct usage_track *t, Mete__Api__TaskUsage *m)
{
        const struct container_usage *u = &t->latest;

        m->source = xstrdup(u->from_probes ? "ebpf" : "cgroup");
        if (u->from_probes || u->cgroup.has_cpu)
                SET(m, cpu_usage_seconds, seconds(cpu_ns(u)));
        SET(m, cpu_cores, t->cpu_cores);
        if (u->cgroup.has_cpu) {
                SET(m, cpu_kernel_seconds, seconds(u->cgroup.cpu_usage_ns));
                SET(m, cpu_throttled_seconds, seconds(u->cgroup.cpu_throttled_ns));
                SET(m, cpu_throttled_periods, u->cgroup.cpu_throttled_periods);
                SET(m, cpu_periods, u->cgroup.cpu_periods);
        }
        if (u->from_probes) {
                SET(m, runqueue_wait_seconds, seconds(u->runqueue_wait_ns));
                SET(m, runqueue_wait_p99_seconds,
                        seconds(usage_histogram_bound_ns(
                                u->runqueue_hist, ELEMENTSOF(u->runqueue_hist), 990)));
                SET(m, preemptions, u->preemptions);
        }
}

static void fill_memory(const struct usage_track *t, Mete__Api__TaskUsage *m)
{
        const struct cgroup_usage *g = &t->latest.cgroup;

        if (g->has_memory) {
                SET(m, memory_usage_bytes, g->memory_bytes);
                SET(m, memory_peak_bytes, g->has_memory_peak ? g->memory_peak_bytes : t->memory_peak_seen);
                SET(m, memory_working_set_bytes, g->memory_working_set_bytes);
                SET(m, memory_oom_kills, g->memory_oom_kills);
        }
        if (g->has_pids)
                SET(m, pids, g->pids);
}

Mete__Api__TaskUsage *usage_to_message(const struct agent_container *c)
{
        if (!c->usage.valid)
                return NULL;
        Mete__Api__TaskUsage *m = NEW0(Mete__Api__TaskUsage);
        mete__api__task_usage__init(m);
        fill_cpu(&c->usage, m);
        fill_memory(&c->usage, m);
        if (c->spec.milli_cpus_limit && c->spec.milli_cpus_limit != UINT64_MAX)
                SET(m, cpu_limit_cores, (double)c->spec.milli_cpus_limit / 1000.0);
        if (c->spec.memory_limit_bytes && c->spec.memory_limit_bytes != UINT64_MAX)
                SET(m, memory_limit_bytes, c->spec.memory_limit_bytes);
        SET(m, timestamp, wall_seconds(c->usage.read_at_wall));
        return m;
}

/* ---- sending ---- */

static Mete__Agent__Call__Usage__Row *row_new(const struct agent_container *c)
{
        Mete__Agent__Call__Usage__Row *r = NEW0(Mete__Agent__Call__Usage__Row);

        mete__agent__call__usage__row__init(r);
        r->container_id = c->info->container_id;
        r->framework_id = c->info->framework->id;
        r->task_id = c->info->task->task_id;
        r->usage = usage_to_message(c);
        return r;
}

static void send_usage(struct agent *a)
{
        Mete__Agent__Call__Usage u = METE__AGENT__CALL__USAGE__INIT;
        struct agent_container *c, *tmp;

        u.rows = xcalloc(HASH_COUNT(a->containers) + 1, sizeof(*u.rows));
        HASH_ITER (hh, a->containers, c, tmp)
                if (c->task && c->state != CONTAINER_STATE_ENDED && c->usage.valid)
                        u.rows[u.n_rows++] = row_new(c);
        if (u.n_rows > 0)
                master_link_usage(a->link, &u);
        for (size_t i = 0; i < u.n_rows; i++) {
                message_free(u.rows[i]->usage); /* the rest is borrowed from the containers */
                free(u.rows[i]);
        }
        free(u.rows);
}

static void on_tick(struct loop_timer *t, void *userdata)
{
        struct usage_sampler *s = userdata;
        struct agent *a = s->agent;
        struct agent_container *c, *tmp;
        struct mono_time now = mono_now();

        HASH_ITER (hh, a->containers, c, tmp)
                if (c->isolated)
                        usage_read(c);
        tasks_flush_updates(a);
        if (!master_link_ready(a->link) ||
                mono_elapsed_ns(s->sent_at, now) + SAMPLE_PERIOD_NS / 2 < s->interval_ns)
                return;
        s->sent_at = now;
        send_usage(a);
}

void usage_sampler_set_interval(struct usage_sampler *s, uint64_t interval_ns)
{
        if (interval_ns)
                s->interval_ns = MAX(interval_ns, SAMPLE_PERIOD_NS);
}

struct usage_sampler *usage_sampler_new(struct agent *a)
{
        struct usage_sampler *s = NEW0(struct usage_sampler);

        s->agent = a;
        s->interval_ns = INTERVAL_DEFAULT_NS;
        s->timer = loop_timer_new(a->loop, on_tick, s);
        loop_timer_arm(s->timer, SAMPLE_PERIOD_NS, SAMPLE_PERIOD_NS);
        return s;
}

struct usage_sampler *usage_sampler_free(struct usage_sampler *s)
{
        if (!s)
                return NULL;
        loop_timer_free(s->timer);
        free(s);
        return NULL;
}
