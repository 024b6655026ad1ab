/* Jobs of which no registered agent could hold one task are refused. */
#include "master/api/api.h"

#define F "submit.job."

static int over_capacity(struct api_error *x, const char *field, double value, const char *unit,
        const char *hostname, double most)
{
        return api_error_set(x, 400, field,
                "%s: over-capacity: %.10g %s per task, and the largest agent (%s) has %.10g: that or less is "
                "accepted",
                field, value, unit, hostname, most);
}

int job_spec_check_capacity(const Mete__Api__JobSpec *spec, const struct plain_queue *q, struct api_error *x)
{
        _cleanup_resources_ struct resources size = {};
        uint64_t cpus = 0, mem = 0;
        const char *by_cpus = NULL, *by_mem = NULL;

        if (!str_equal(spec->queue, "default"))
                return api_error_set(x, 400, F "queue",
                        F "queue: there is no queue '%s': \"default\" is expected", spec->queue);
        if (!plain_queue_largest_agent(q, "cpus", &cpus, &by_cpus) ||
                !plain_queue_largest_agent(q, "mem", &mem, &by_mem))
                return 0; /* nobody is registered: it waits, and says so */
        job_size(spec, &size);
        if (resources_scalar(&size, "cpus") > cpus)
                return over_capacity(x, F "cpus", spec->cpus, "cpus", by_cpus, milli_to_double(cpus));
        if (spec->cpus_limit > milli_to_double(cpus))
                return over_capacity(
                        x, F "cpus_limit", spec->cpus_limit, "cpus", by_cpus, milli_to_double(cpus));
        if (resources_scalar(&size, "mem") > mem)
                return over_capacity(x, F "memory_bytes", (double)spec->memory_bytes / 1048576, "MiB", by_mem,
                        milli_to_double(mem));
        if ((double)spec->memory_limit_bytes / 1048576 > milli_to_double(mem))
                return over_capacity(x, F "memory_limit_bytes", (double)spec->memory_limit_bytes / 1048576,
                        "MiB", by_mem, milli_to_double(mem));
        if (!plain_queue_fits_some_agent(q, &size))
                return api_error_set(x, 400, F "memory_bytes",
                        F "memory_bytes: over-capacity: no single agent has both %.10g cpus and %.10g MiB of "
                          "memory",
                        spec->cpus, (double)spec->memory_bytes / 1048576);
        return 0;
}
