/*
 * GET /monitor/statistics and /containers: the latest sample of each container in the names of ResourceStatistics. What is not
 * measured here is left out, never estimated.
 */
#include <stdlib.h>

#include "agent/api/read.h"

static double seconds(uint64_t ns)
{
        return (double)ns / (double)NSEC_PER_SEC;
}

static void write_cpu(struct buffer *out, const struct agent_container *c, const struct cgroup_usage *u)
{
        if (c->spec.milli_cpus_limit && c->spec.milli_cpus_limit != UINT64_MAX)
                json_put_double(out, "cpus_limit", milli_to_double(c->spec.milli_cpus_limit));
        if (c->spec.milli_cpus)
                json_put_double(out, "cpus_soft_limit", milli_to_double(c->spec.milli_cpus));
        if (!u->has_cpu)
                return;
        json_put_integer(out, "cpus_nr_periods", (int64_t)u->cpu_periods);
        json_put_integer(out, "cpus_nr_throttled", (int64_t)u->cpu_throttled_periods);
        json_put_double(out, "cpus_throttled_time_secs", seconds(u->cpu_throttled_ns));
        json_put_double(out, "cpus_user_time_secs", seconds(u->cpu_user_ns));
        json_put_double(out, "cpus_system_time_secs", seconds(u->cpu_system_ns));
}

static void write_memory(struct buffer *out, const struct agent_container *c, const struct cgroup_usage *u)
{
        if (c->spec.memory_limit_bytes && c->spec.memory_limit_bytes != UINT64_MAX)
                json_put_integer(out, "mem_limit_bytes", (int64_t)c->spec.memory_limit_bytes);
        if (c->spec.memory_bytes)
                json_put_integer(out, "mem_soft_limit_bytes", (int64_t)c->spec.memory_bytes);
        if (!u->has_memory)
                return;
        json_put_integer(out, "mem_total_bytes", (int64_t)u->memory_bytes);
        json_put_integer(out, "mem_rss_bytes", (int64_t)u->memory_anon_bytes);
        json_put_integer(out, "mem_anon_bytes", (int64_t)u->memory_anon_bytes);
        json_put_integer(out, "mem_cache_bytes", (int64_t)u->memory_file_bytes);
        json_put_integer(out, "mem_file_bytes", (int64_t)u->memory_file_bytes);
}

static void write_statistics(struct buffer *out, const struct agent_container *c)
{
        const struct cgroup_usage *u = &c->usage.latest.cgroup;

        json_begin_object(out, "statistics");
        json_put_double(out, "timestamp", wall_seconds(c->usage.read_at_wall));
        write_cpu(out, c, u);
        write_memory(out, c, u);
        if (u->has_pids)
                json_put_integer(out, "threads", (int64_t)u->pids); /* the pids controller counts threads */
        json_end_object(out);
}

/* Members of an object. */
static void write_who(struct buffer *out, const struct agent_container *c)
{
        _cleanup_free_ char *name = read_executor_name(c);

        json_put_string(out, "framework_id", c->info->framework->id ? c->info->framework->id->value : "");
        json_put_string(out, "executor_id", read_executor_id(c));
        json_put_string(out, "executor_name", name);
        json_put_string(out, "source", read_executor_source(c));
}

void api_read_statistics(struct read_call *r)
{
        struct agent_container *c, *tmp;

        json_begin_array(&r->out, NULL);
        HASH_ITER (hh, r->agent->containers, c, tmp) {
                if (c->state == CONTAINER_STATE_ENDED || !c->usage.valid)
                        continue;
                json_begin_object(&r->out, NULL);
                write_who(&r->out, c);
                write_statistics(&r->out, c);
                json_end_object(&r->out);
        }
        json_end_array(&r->out);
}

static void write_status(struct buffer *out, const struct agent_container *c)
{
        json_begin_object(out, "status");
        json_begin_object(out, "container_id");
        json_put_string(out, "value", c->info->container_id);
        json_end_object(out);
        if (c->record.init.pid > 0)
                json_put_integer(out, "executor_pid", (int64_t)c->record.init.pid);
        json_end_object(out);
}

void api_read_containers(struct read_call *r)
{
        const char *wanted = http_request_query(r->http, "container_id");
        struct agent_container *c, *tmp;

        json_begin_array(&r->out, NULL);
        HASH_ITER (hh, r->agent->containers, c, tmp) {
                if (c->state == CONTAINER_STATE_ENDED ||
                        (wanted && !str_equal(wanted, c->info->container_id)))
                        continue;
                json_begin_object(&r->out, NULL);
                write_who(&r->out, c);
                json_put_string(&r->out, "container_id", c->info->container_id);
                write_status(&r->out, c);
                if (c->usage.valid)
                        write_statistics(&r->out, c);
                json_end_object(&r->out);
        }
        json_end_array(&r->out);
}
