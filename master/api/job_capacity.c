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

struct fit {
        const struct resources *size;
        bool found;
};

static void try_machine(const struct machine *m, void *userdata)
{
        struct fit *fit = userdata;

        fit->found |= resources_scalar(&m->total, "cpus") >= resources_scalar(fit->size, "cpus") &&
                      resources_scalar(&m->total, "mem") >= resources_scalar(fit->size, "mem");
}

int job_spec_check_capacity(const Mete__Api__JobSpec *spec, const struct machines *ms, struct api_error *x)
{
        _cleanup_resources_ struct resources size = {};
        const struct machine *most_cpus = machines_largest(ms, "cpus"),
                             *most_mem = machines_largest(ms, "mem");
        struct fit fit = {.size = &size};
        const char *by_cpus, *by_mem;
        uint64_t cpus, mem;

        if (!most_cpus || !most_mem)
                return 0; /* nobody is registered: it waits, and says so */
        cpus = resources_scalar(&most_cpus->total, "cpus");
        mem = resources_scalar(&most_mem->total, "mem");
        by_cpus = most_cpus->hostname;
        by_mem = most_mem->hostname;
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
        machines_each(ms, try_machine, &fit);
        if (!fit.found)
                return api_error_set(x, 400, F "memory_bytes",
                        F "memory_bytes: over-capacity: no single agent has both %.10g cpus and %.10g MiB of "
                          "memory",
                        spec->cpus, (double)spec->memory_bytes / 1048576);
        return 0;
}
