#include "agent/offered_resources.h"

#include <inttypes.h>
#include <string.h>
#include <sys/statvfs.h>

#include "lib/linux/cpu_list.h"

#define PORT_FIRST 31000
#define PORT_LAST 32000
#define DISK_RESERVE_MIB 5120 /* stays for the host, or half of what is less than twice that */

static bool has(const struct resources *r, const char *name)
{
        for (size_t i = 0; i < r->count; i++)
                if (str_equal(r->entries[i].name, name))
                        return true;
        return false;
}

/* The work directory may not exist yet: then the nearest that does. */
static uint64_t disk_mib(const char *work_dir)
{
        _cleanup_free_ char *path = xstrdup(work_dir);
        struct statvfs fs;

        while (statvfs(path, &fs) < 0) {
                char *slash = strrchr(path, '/');

                if (!slash || str_equal(path, "/"))
                        return 0;
                slash[slash == path] = '\0';
        }
        uint64_t mib = (uint64_t)((unsigned __int128)fs.f_blocks * fs.f_frsize >> 20);
        mib = mib > 2 * DISK_RESERVE_MIB ? mib - DISK_RESERVE_MIB : mib / 2;
        return MIN(mib, RESOURCE_MILLI_MAX / 1000);
}

static int check_range(const struct resource_range *x, const struct cpu_list *online, struct error *e)
{
        for (uint64_t core = x->begin; core <= x->end; core++)
                if (core >= CPU_LIST_MAX || !cpu_list_has(online, (unsigned)core)) {
                        _cleanup_free_ char *text = cpu_list_format(online);
                        return error_set(e, -EINVAL,
                                "--resources: cores: there is no core %" PRIu64 " here: %s are", core, text);
                }
        return 0;
}

/* Each is one of cpus, which tasks are counted by. */
static int check_cores(const struct agent_options *o, const struct resources *r, struct error *e)
{
        struct cpu_list online;
        uint64_t count = 0;

        for (size_t i = 0; i < r->count; i++) {
                const struct resource *x = &r->entries[i];

                if (!str_equal(x->name, "cores"))
                        continue;
                if (x->kind != RESOURCE_RANGES)
                        return error_set(e, -EINVAL, "--resources: cores must be ranges, as in cores:[0-1]");
                int code = cpu_list_online("", &online);
                if (code < 0)
                        return error_set_errno(
                                e, -EINVAL, "--resources: cores: cannot read which CPUs there are");
                for (size_t k = 0; k < x->range_count; k++) {
                        if (check_range(&x->ranges[k], &online, e) < 0)
                                return -EINVAL;
                        count += x->ranges[k].end - x->ranges[k].begin + 1;
                }
        }
        if (count * 1000 > o->milli_cpus)
                return error_set(e, -EINVAL, "--resources: %" PRIu64 " cores are more than --cpus %g", count,
                        milli_to_double(o->milli_cpus));
        return 0;
}

bool offers_cores(const struct agent_options *o)
{
        _cleanup_resources_ struct resources r = {0};

        return o->resources && resources_parse(o->resources, &r, NULL) == 0 && has(&r, "cores");
}

static int check(const struct resources *r, struct error *e)
{
        static const struct {
                const char *name, *option;
        } own[] = {{"cpus", "--cpus"}, {"mem", "--mem"}};

        for (size_t i = 0; i < ELEMENTSOF(own); i++)
                if (has(r, own[i].name) &&
                        resources_scalar(r, own[i].name) == resources_plain_scalar(r, own[i].name))
                        return error_set(e, -EINVAL,
                                "--resources: \"%s\" has its own option: give %s; here stands what of it is "
                                "reserved, as in "
                                "%s(role):1",
                                own[i].name, own[i].option, own[i].name);
        for (size_t i = 0; i < r->count; i++) {
                const struct resource *x = &r->entries[i];

                if (str_equal(x->name, "ports") && x->kind != RESOURCE_RANGES)
                        return error_set(
                                e, -EINVAL, "--resources: ports must be ranges, as in ports:[31000-32000]");
                if (str_equal(x->name, "ports") && x->ranges[x->range_count - 1].end > UINT16_MAX)
                        return error_set(e, -EINVAL, "--resources: ports end at %d", UINT16_MAX);
                if (str_equal(x->name, "disk") && x->kind != RESOURCE_SCALAR)
                        return error_set(
                                e, -EINVAL, "--resources: disk must be a number of MiB, as in disk:10240");
        }
        return 0;
}

/* Reservations are of what is offered, not beside it; what is not reserved is named too, or all the rest. */
static int set_rest(struct resources *r, const char *name, uint64_t all_milli, struct error *e)
{
        uint64_t named = resources_scalar(r, name);

        if (named > all_milli)
                return error_set(e, -EINVAL,
                        "--resources: %g of %s are named, but %g is all that there is to offer",
                        milli_to_double(named), name, milli_to_double(all_milli));
        if (resources_plain_scalar(r, name) == 0)
                resources_set_scalar(r, name, all_milli - named);
        return 0;
}

int offered_resources(const struct agent_options *o, struct resources *ret, struct error *e)
{
        _cleanup_resources_ struct resources r = {0};

        if (o->resources && resources_parse(o->resources, &r, e) < 0)
                return error_prefix(e, "--resources");
        if (check(&r, e) < 0 || check_cores(o, &r, e) < 0)
                return -EINVAL;
        if (!has(&r, "ports") && resources_add_range(&r, "ports", PORT_FIRST, PORT_LAST) < 0)
                return error_set(e, -EINVAL, "--resources: too many ranges");
        if (resources_plain_scalar(&r, "disk") == 0 &&
                set_rest(&r, "disk", disk_mib(o->work_dir ?: "/") * 1000, e) < 0)
                return -EINVAL;
        if (set_rest(&r, "cpus", o->milli_cpus, e) < 0 ||
                set_rest(&r, "mem", (o->memory_bytes >> 20) * 1000, e) < 0)
                return -EINVAL;
        *ret = r;
        r = (struct resources){0};
        return 0;
}
