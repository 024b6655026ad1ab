#include "agent/leftovers.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/time.h"

#define DELAY_MIN_NS (10 * NSEC_PER_MSEC)
#define DELAY_MAX_NS NSEC_PER_SEC

/* true: it is gone. */
static bool remove_one(const struct cgroup_root *root, const char *name)
{
        CLEANUP(cleanup_cgroup_free) struct cgroup *g = NULL;

        int r = cgroup_open(root, name, &g, NULL);
        if (r == -ENOENT)
                return true;
        if (r < 0) {
                log_debug("cannot open the cgroup %s: %s", name, strerror(-r));
                return false;
        }
        if (cgroup_kill(g, NULL) < 0)
                return false;
        return cgroup_remove(g, NULL) == 0;
}

static void attempt(struct leftovers *l)
{
        size_t kept = 0;

        for (size_t i = 0; i < l->names.count; i++) {
                if (remove_one(l->cgroups, l->names.items[i]))
                        free(l->names.items[i]);
                else
                        l->names.items[kept++] = l->names.items[i];
        }
        l->names.count = kept;
        if (l->names.items)
                l->names.items[kept] = NULL;
}

static void on_timer(struct loop_timer *t, void *userdata)
{
        struct leftovers *l = userdata;

        attempt(l);
        if (l->names.count == 0)
                return;
        l->delay_ns = MIN(l->delay_ns * 2, DELAY_MAX_NS);
        loop_timer_arm(l->timer, l->delay_ns, 0);
}

void leftovers_start(struct leftovers *l, struct loop *loop, const struct cgroup_root *cgroups)
{
        *l = (struct leftovers){.cgroups = cgroups, .timer = loop_timer_new(loop, on_timer, l)};
}

void leftovers_stop(struct leftovers *l)
{
        if (!l->timer)
                return;
        attempt(l);
        l->timer = loop_timer_free(l->timer);
        string_list_done(&l->names);
}

void leftovers_add(struct leftovers *l, const char *name)
{
        if (remove_one(l->cgroups, name))
                return;
        string_list_add(&l->names, name);
        l->delay_ns = DELAY_MIN_NS;
        loop_timer_arm(l->timer, l->delay_ns, 0);
}
