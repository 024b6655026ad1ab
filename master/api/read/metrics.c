/* /metrics/snapshot, and what is not of the master proper: allocator, store, machine. */

#include "master/api/read/metrics.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void metric(struct buffer *out, double value, const char *fmt, ...)
{
        _cleanup_free_ char *name = NULL;
        va_list ap;

        va_start(ap, fmt);
        name = xvasprintf(fmt, ap);
        va_end(ap);
        json_member(out, name);
        json_put_double(out, NULL, value);
}

char *metric_enum_name(const ProtobufCEnumDescriptor *d, int value)
{
        const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(d, value);
        char *name = slave_name(v ? v->name : "UNKNOWN");

        for (char *p = name; *p; p++)
                *p = (char)tolower((unsigned char)*p);
        return name;
}

static double milliseconds(uint64_t ns)
{
        return (double)ns / (double)NSEC_PER_MSEC;
}

/* "<name>" is the latest in milliseconds, "<name>/p99" and the like what the ring tells. */
static void metric_samples(struct buffer *out, const char *name, const struct samples *s)
{
        struct samples_summary x;

        samples_summarize(s, &x);
        metric(out, milliseconds(x.last_ns), "%s", name);
        metric(out, (double)x.total, "%s/count", name);
        metric(out, milliseconds(x.min_ns), "%s/min", name);
        metric(out, milliseconds(x.max_ns), "%s/max", name);
        metric(out, milliseconds(x.p50_ns), "%s/p50", name);
        metric(out, milliseconds(x.p90_ns), "%s/p90", name);
        metric(out, milliseconds(x.p95_ns), "%s/p95", name);
        metric(out, milliseconds(x.p99_ns), "%s/p99", name);
        metric(out, milliseconds(x.p999_ns), "%s/p999", name);
        metric(out, milliseconds(x.p9999_ns), "%s/p9999", name);
}

/* ---- allocator ---- */

static void metrics_of_quota(struct buffer *out, const struct allocator_role_view *role)
{
        for (size_t i = 0; i < role->quota_count; i++) {
                const struct allocator_quota *q = &role->quotas[i];
                _cleanup_free_ char *prefix =
                        xasprintf("allocator/mesos/quota/roles/%s/resources/%s", role->name, q->name);

                metric(out, milli_to_double(q->guarantee_milli), "%s/guarantee", prefix);
                if (q->limit_milli != QUOTA_NO_LIMIT)
                        metric(out, milli_to_double(q->limit_milli), "%s/limit", prefix);
                metric(out, milli_to_double(resources_scalar(role->allocated, q->name)),
                        "%s/offered_or_allocated", prefix);
                metric(out, milli_to_double(resources_scalar(role->consumed, q->name)), "%s/consumed",
                        prefix);
        }
}

static void metrics_of_role(const struct allocator_role_view *role, void *userdata)
{
        metric(userdata, (double)role->filters, "allocator/mesos/offer_filters/roles/%s/active", role->name);
        metric(userdata, (double)role->share / (double)(UINT64_C(1) << 40),
                "allocator/mesos/roles/%s/shares/dominant", role->name);
        metrics_of_quota(userdata, role);
}

static void metrics_of_allocator(struct buffer *out, const struct master *m)
{
        static const char *const names[] = {"cpus", "mem", "disk"};
        uint64_t total[ELEMENTSOF(names)] = {}, taken[ELEMENTSOF(names)] = {};
        const struct agent *a, *next;
        const struct offer *o, *next_offer;

        HASH_ITER (hh, m->agents, a, next) {
                for (size_t i = 0; a->allocated && i < ELEMENTSOF(names); i++) {
                        total[i] += resources_scalar(&a->total, names[i]);
                        taken[i] += resources_scalar(&a->booked, names[i]);
                }
        }
        HASH_ITER (hh, m->offers, o, next_offer)
                for (size_t i = 0; i < ELEMENTSOF(names); i++)
                        taken[i] += resources_scalar(&o->resources, names[i]);
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                metric(out, milli_to_double(total[i]), "allocator/mesos/resources/%s/total", names[i]);
                metric(out, milli_to_double(taken[i]), "allocator/mesos/resources/%s/offered_or_allocated",
                        names[i]);
        }
        metric(out, (double)m->counters.allocation_run.total, "allocator/mesos/allocation_runs");
        metric_samples(out, "allocator/mesos/allocation_run_ms", &m->counters.allocation_run);
        metric_samples(out, "allocator/mesos/allocation_run_latency_ms", &m->counters.allocation_run_latency);
        metric(out, 0, "allocator/mesos/event_queue_dispatches"); /* it is called, not sent events */
        allocator_each_role(m->allocator, metrics_of_role, out);
}

/* ---- the store: what Mesos calls the registrar ---- */

/* 0 for a store that is no file of ours. */
static double registry_size(const struct master *m)
{
        const char *url = m->options->store;
        _cleanup_free_ char *path =
                url ? xstrdup(str_has_prefix(url, "sqlite:") ? url + strlen("sqlite:") : "")
                    : xasprintf("%s/store.db", m->options->work_dir);
        struct stat st;

        return *path && stat(path, &st) >= 0 ? (double)st.st_size : 0;
}

static void metrics_of_store(struct buffer *out, const struct master *m)
{
        metric(out, milliseconds(m->counters.store_fetch_ns), "registrar/state_fetch_ms");
        metric_samples(out, "registrar/state_store_ms", &m->counters.store_write);
        metric(out, (double)m->counters.writes_pending, "registrar/queued_operations");
        metric(out, registry_size(m), "registrar/registry_size_bytes");
        metric(out, 1, "registrar/log/recovered"); /* before that nobody listens */
        metric(out, 1, "registrar/log/ensemble_size");
}

static void metrics_of_system(struct buffer *out)
{
        struct system_stats s;

        system_stats_read(&s);
        metric(out, s.load_1min, "system/load_1min");
        metric(out, s.load_5min, "system/load_5min");
        metric(out, s.load_15min, "system/load_15min");
        metric(out, s.cpus_total, "system/cpus_total");
        metric(out, s.mem_total_bytes, "system/mem_total_bytes");
        metric(out, s.mem_free_bytes, "system/mem_free_bytes");
}

/* ---- the endpoint ---- */

/* "100ms", "1.5secs": a number and a unit of Mesos. Nothing here takes long enough to need it. */
static bool timeout_is_valid(const char *text)
{
        static const char *const units[] = {"ns", "us", "ms", "secs", "mins", "hrs", "days", "weeks"};
        size_t digits = strspn(text, "0123456789."), whole = strcspn(text, ".");

        if (digits == 0 || !isdigit((unsigned char)text[0]) ||
                (whole < digits && strchr(text + whole + 1, '.')))
                return false;
        for (size_t i = 0; i < ELEMENTSOF(units); i++)
                if (str_equal(text + digits, units[i]))
                        return true;
        return false;
}

void read_metrics(struct read_call *c)
{
        const char *timeout = http_request_query(c->req, "timeout");

        if (timeout && !timeout_is_valid(timeout)) {
                read_refuse(c, 400, "timeout: expected a duration such as 100ms or 2secs");
                return;
        }
        json_begin_object(&c->out, NULL);
        metrics_master(&c->out, c->master);
        metrics_tasks(&c->out, c->master);
        metrics_frameworks(&c->out, c->master);
        metrics_of_allocator(&c->out, c->master);
        metrics_of_store(&c->out, c->master);
        metrics_of_system(&c->out);
        json_end_object(&c->out);
}
