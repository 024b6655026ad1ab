/*
 * Volumes of the host that the task asked for, mounted over directories of its root or of its sandbox. What a task, an image or a fetched
 * archive put there must not redirect them: no link is followed below the base, and kernel file systems are no places for them.
 */
#include <stdlib.h>
#include <string.h>

#include "isolators/isolators.h"

static bool overlaps(const char *a, const char *b)
{
        return path_is_below(a, b) || path_is_below(b, a);
}

static int check_target(const struct container *c, const struct container_volume *v, struct error *e)
{
        static const char *const kernel[] = {"/proc", "/sys", "/dev", CONTAINER_AGENT_SOCKET_DIR};

        if (!str_equal(v->base, "/"))
                return 0;
        for (size_t i = 0; i < ELEMENTSOF(kernel); i++)
                if (overlaps(v->target, kernel[i]))
                        return error_set(e, -EINVAL,
                                "a volume cannot be at %s: %s is not the task's to replace", v->target,
                                kernel[i]);
        if (path_is_below(c->sandbox_in_container, v->target))
                return error_set(
                        e, -EINVAL, "a volume at %s would hide the sandbox: give another path", v->target);
        return 0;
}

/* What is above is mounted first. */
static int by_target(const void *a, const void *b)
{
        const struct container_volume *x = *(const struct container_volume *const *)a;
        const struct container_volume *y = *(const struct container_volume *const *)b;
        int order = strcmp(x->base, y->base);

        return order ? order : strcmp(x->target, y->target);
}

static int volumes_prepare(struct isolator_host *h, struct container *c, struct plan *p, struct error *e)
{
        const struct container_spec *s = c->spec;
        _cleanup_free_ const struct container_volume **sorted = xcalloc(s->volume_count + 1, sizeof(*sorted));

        for (size_t i = 0; i < s->volume_count; i++) {
                int r = check_target(c, &s->volumes[i], e);
                if (r < 0)
                        return r;
                sorted[i] = &s->volumes[i];
        }
        if (s->volume_count > 1)
                qsort(sorted, s->volume_count, sizeof(*sorted), by_target);
        for (size_t i = 0; i < s->volume_count; i++) {
                const struct container_volume *v = sorted[i];

                if (i > 0 && by_target(&sorted[i - 1], &sorted[i]) == 0)
                        return error_set(
                                e, -EINVAL, "two volumes are to be at %s: give each its own path", v->target);
                plan_add_strings(p, PLAN_PHASE_MOUNT, PLAN_STEP_BIND,
                        PLAN_BIND_EXEC | (v->read_only ? PLAN_BIND_READONLY : 0), v->source, v->target,
                        v->base, NULL);
        }
        return 0;
}

const struct isolator isolator_volumes = {
        .name = "volumes",
        .provides = "persistent volumes, mounted where no link leads elsewhere",
        .prepare = volumes_prepare,
};
