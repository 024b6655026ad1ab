#include "agent/offered_resources.h"

#include <string.h>
#include <sys/statvfs.h>

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

static int check(const struct resources *r, struct error *e)
{
        static const struct {
                const char *name, *option;
        } own[] = {{"cpus", "--cpus"}, {"mem", "--mem"}};

        for (size_t i = 0; i < ELEMENTSOF(own); i++)
                if (has(r, own[i].name))
                        return error_set(e, -EINVAL, "--resources: \"%s\" has its own option: give %s",
                                own[i].name, own[i].option);
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

int offered_resources(const struct agent_options *o, struct resources *ret, struct error *e)
{
        _cleanup_resources_ struct resources r = {0};

        if (o->resources && resources_parse(o->resources, &r, e) < 0)
                return error_prefix(e, "--resources");
        if (check(&r, e) < 0)
                return -EINVAL;
        if (!has(&r, "ports") && resources_add_range(&r, "ports", PORT_FIRST, PORT_LAST) < 0)
                return error_set(e, -EINVAL, "--resources: too many ranges");
        if (!has(&r, "disk"))
                resources_set_scalar(&r, "disk", disk_mib(o->work_dir ?: "/") * 1000);
        resources_set_scalar(&r, "cpus", o->milli_cpus);
        resources_set_scalar(&r, "mem", (o->memory_bytes >> 20) * 1000);
        *ret = r;
        r = (struct resources){0};
        return 0;
}
