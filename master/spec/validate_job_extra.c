/* What a task gets beside cpus and memory. */

#include <stdlib.h>
#include <string.h>

#include "lib/base/id.h"
#include "master/spec/job_spec_internal.h"

#define PORTS_MAX 1000
#define VOLUME_PATH_MAX 1024

static int check_ports(const Mete__Api__JobSpec *spec, struct api_error *x)
{
        if (spec->has_ports && spec->ports > PORTS_MAX)
                return api_error_set(x, 400, F "ports", F "ports: %u is refused: at most %u are accepted",
                        spec->ports, PORTS_MAX);
        return 0;
}

static int check_cores(const Mete__Api__JobSpec *spec, struct api_error *x)
{
        if (spec->has_exclusive_cores && spec->exclusive_cores > spec->cpus)
                return api_error_set(x, 400, F "exclusive_cores",
                        F "exclusive_cores: %u is above cpus (%.10g): at most that is accepted",
                        spec->exclusive_cores, spec->cpus);
        return 0;
}

/* As agents take it: names below a directory, of which none is ".". */
static bool is_place_in_container(const char *path)
{
        bool named = false;

        for (const char *p = path; *p;) {
                size_t len = strcspn(p, "/");

                if (len == 1 && *p == '.')
                        return false;
                named |= len > 0;
                p += len + (p[len] == '/');
        }
        return named && strlen(path) <= VOLUME_PATH_MAX;
}

static int check_volume(const Mete__Api__JobSpec *spec, size_t i, struct api_error *x)
{
        const Mete__Api__JobSpec__VolumeUse *v = spec->volumes[i];
        _cleanup_free_ char *id = xasprintf(F "volumes[%zu].volume_id", i);
        _cleanup_free_ char *path = xasprintf(F "volumes[%zu].container_path", i);
        _cleanup_error_ struct error e = {};

        if (id_validate(v->volume_id, id, &e) < 0)
                return api_error_set(x, 400, id, "%s", error_message(&e));
        if (!*v->container_path || check_path_safe(path, v->container_path, x) < 0)
                return *v->container_path ? -EINVAL
                                          : refuse_text(x, path, "", "a path in the sandbox is expected");
        if (!is_place_in_container(v->container_path))
                return refuse_text(
                        x, path, v->container_path, "a path of at most 1024 bytes without \".\" is expected");
        if (*v->container_path == '/' && (!spec->isolation || str_empty(spec->isolation->rootfs)))
                return refuse_text(x, path, v->container_path,
                        "absolute paths need isolation.rootfs: one relative to the sandbox is expected");
        for (size_t k = 0; k < i; k++) {
                if (str_equal(spec->volumes[k]->volume_id, v->volume_id))
                        return refuse_text(x, id, v->volume_id, "it is given twice");
                if (str_equal(spec->volumes[k]->container_path, v->container_path))
                        return refuse_text(x, path, v->container_path, "another volume is there already");
        }
        return 0;
}

int check_extra(Mete__Api__JobSpec *spec, struct api_error *x)
{
        if (check_ports(spec, x) < 0 || check_cores(spec, x) < 0)
                return -EINVAL;
        if (spec->n_volumes > LISTS_MAX)
                return api_error_set(x, 400, F "volumes",
                        F "volumes has %zu entries: at most %u are accepted", spec->n_volumes, LISTS_MAX);
        for (size_t i = 0; i < spec->n_volumes; i++)
                if (check_volume(spec, i, x) < 0)
                        return -EINVAL;
        return 0;
}
