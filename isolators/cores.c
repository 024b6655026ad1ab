/*
 * Exclusive cores. Every container's cpuset is written as such containers come and go: first the ones that get wider, then the ones that
 * get narrower, and the task itself starts last, when nobody else of this agent is on its cores any more. Without such containers
 * nothing is written at all.
 */
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "isolators/cores.h"
#include "isolators/isolators.h"

struct holder {
        char *id;
        struct container *container; /* borrowed */
        struct cpu_list own;         /* empty: it shares */
        bool restricted;             /* `written` is in its cpuset; else all are */
        bool unknown;                /* of an earlier agent: what its cpuset has is not known */
        struct cpu_list written;
        struct holder *prev, *next;
};

struct cores {
        struct holder *holders; /* DL, owned */
};

struct cores *cores_new(void)
{
        return NEW0(struct cores);
}

static void holder_free(struct cores *c, struct holder *x)
{
        DL_DELETE(c->holders, x);
        free(x->id);
        free(x);
}

struct cores *cores_free(struct cores *c)
{
        struct holder *x, *tmp;

        if (!c)
                return NULL;
        DL_FOREACH_SAFE (c->holders, x, tmp)
                holder_free(c, x);
        free(c);
        return NULL;
}

static struct holder *find(const struct cores *c, const char *id)
{
        struct holder *x;

        DL_FOREACH (c->holders, x)
                if (str_equal(x->id, id))
                        return x;
        return NULL;
}

static bool is_exclusive(const struct holder *x)
{
        return cpu_list_count(&x->own) > 0;
}

void cores_forget(struct isolator_host *h, const struct container *c)
{
        struct holder *x = h->cores ? find(h->cores, c->spec->container_id) : NULL;

        if (x)
                holder_free(h->cores, x);
}

/* ---- what everybody gets ---- */

struct division {
        struct cpu_list all, rest; /* rest: for those that share */
        bool any;                  /* somebody has cores to itself */
};

static int divide(struct isolator_host *h, struct division *ret, struct error *e)
{
        struct division d = {0};
        const struct holder *x;

        int r = cgroup_root_cpus(h->cgroups, &d.all, e);
        if (r < 0)
                return r;
        d.rest = d.all;
        DL_FOREACH (h->cores->holders, x) {
                cpu_list_take(&d.rest, &x->own);
                d.any = d.any || is_exclusive(x);
        }
        *ret = d;
        return 0;
}

/* NULL: all. */
static const struct cpu_list *wanted(const struct holder *x, const struct division *d)
{
        if (is_exclusive(x))
                return &x->own;
        return d->any ? &d->rest : NULL;
}

static bool is_wider(const struct holder *x, const struct cpu_list *want)
{
        if (!want)
                return x->restricted || x->unknown;
        return x->restricted && !x->unknown && cpu_list_contains(want, &x->written);
}

static bool is_due(const struct holder *x, const struct cpu_list *want)
{
        if (x->unknown)
                return true;
        if (!want)
                return x->restricted;
        return !x->restricted || !cpu_list_equal(want, &x->written);
}

static int write_one(struct holder *x, const struct cpu_list *want, struct error *e)
{
        if (!x->container->cgroup)
                return 0; /* it is going */
        int r = cgroup_set_cpus(x->container->cgroup, want, e);
        if (r == -ENOENT && !want) {
                if (e)
                        error_done(e); /* made before cores were offered: it runs on all of them anyway */
                r = 0;
        }
        if (r < 0) {
                (void)error_prefix(e, "exclusive cores: container %s", x->id);
                return r;
        }
        x->unknown = false;
        x->restricted = want != NULL;
        x->written = want ? *want : (struct cpu_list){0};
        return 0;
}

static int apply(struct isolator_host *h, struct error *e)
{
        struct division d;
        struct holder *x;
        int first = 0;

        int r = divide(h, &d, e);
        if (r < 0)
                return r;
        for (int narrower = 0; narrower < 2; narrower++)
                DL_FOREACH (h->cores->holders, x) {
                        const struct cpu_list *want = wanted(x, &d);

                        if (!is_due(x, want) || is_wider(x, want) == (bool)narrower)
                                continue;
                        r = write_one(x, want, first < 0 ? NULL : e);
                        first = first < 0 ? first : r;
                }
        return first;
}

int cores_settle(struct isolator_host *h, struct error *e)
{
        return h->cores && cgroup_root_has(h->cgroups, CGROUP_CPUSET) ? apply(h, e) : 0;
}

/* ---- may it have them? ---- */

static int refuse_holder(const struct holder *x, const struct cpu_list *asked, struct error *e)
{
        _cleanup_free_ char *text = cpu_list_format(asked);

        return error_set(e, -EBUSY, "exclusive cores: of %s some are container %s's", text, x->id);
}

static int check_exclusive(
        struct isolator_host *h, const struct container *c, const struct division *d, struct error *e)
{
        const struct cpu_list *asked = c->spec->exclusive_cores;
        _cleanup_free_ char *asked_text = cpu_list_format(asked), *all_text = cpu_list_format(&d->all);
        struct cpu_list rest = d->rest;
        const struct holder *x;
        bool shared = false;

        if (!cpu_list_contains(&d->all, asked))
                return error_set(e, -ERANGE,
                        "exclusive cores: of %s not all are there: this agent may use %s", asked_text,
                        all_text);
        cpu_list_take(&rest, asked);
        DL_FOREACH (h->cores->holders, x) {
                if (str_equal(x->id, c->spec->container_id))
                        continue;
                if (cpu_list_overlaps(&x->own, asked))
                        return refuse_holder(x, asked, e);
                shared = shared || !is_exclusive(x);
        }
        if (shared && cpu_list_count(&rest) == 0)
                return error_set(e, -EBUSY,
                        "exclusive cores: %s would leave no core to the other containers here", asked_text);
        return 0;
}

static int check(struct isolator_host *h, const struct container *c, struct error *e)
{
        struct division d;

        int r = divide(h, &d, e);
        if (r < 0)
                return r;
        if (c->spec->exclusive_cores)
                return check_exclusive(h, c, &d, e);
        if (cpu_list_count(&d.rest) == 0)
                return error_set(
                        e, -EBUSY, "all cores of this agent are exclusively others': none is left to share");
        return 0;
}

/* ---- the isolator ---- */

static int cores_probe(struct isolator_host *h, struct error *e)
{
        if (!h->cgroups)
                return error_set(e, -ENOTSUP, "there are no control groups");
        if (!cgroup_root_has(h->cgroups, CGROUP_CPUSET))
                return error_set(e, -ENOTSUP, "%s", cgroup_root_missing(h->cgroups, CGROUP_CPUSET));
        return 0;
}

static bool is_kept(const struct isolator_host *h)
{
        return h->cores && cgroup_root_has(h->cgroups, CGROUP_CPUSET);
}

static int cores_prepare(struct isolator_host *h, struct container *c, struct plan *p, struct error *e)
{
        if (is_kept(h))
                return check(h, c, e);
        return c->spec->exclusive_cores ? error_set(e, -ENOTSUP, "this agent gives no exclusive cores") : 0;
}

static void add(struct isolator_host *h, struct container *c, bool unknown)
{
        struct holder *x = NEW0(struct holder);

        x->id = xstrdup(c->spec->container_id);
        x->container = c;
        x->unknown = unknown;
        if (c->spec->exclusive_cores)
                x->own = *c->spec->exclusive_cores;
        DL_APPEND(h->cores->holders, x);
}

static int cores_isolate(struct isolator_host *h, struct container *c, struct error *e)
{
        if (!is_kept(h))
                return 0;
        int r = check(h, c, e); /* others may have come while it was fetching */
        if (r < 0)
                return r;
        add(h, c, /* unknown= */ false);
        return apply(h, e);
}

static void cores_cleanup(struct isolator_host *h, struct container *c)
{
        if (!is_kept(h) || !find(h->cores, c->spec->container_id))
                return;
        cores_forget(h, c);
        (void)!apply(h, NULL); /* who stays narrow is told of by the next change */
}

static int cores_recover(struct isolator_host *h, struct container *c, struct error *e)
{
        if (is_kept(h) && !find(h->cores, c->spec->container_id))
                add(h, c, /* unknown= */ true);
        return 0;
}

const struct isolator isolator_cores = {
        .name = "cores",
        .provides = "cores that no other task here runs on",
        .probe = cores_probe,
        .prepare = cores_prepare,
        .isolate = cores_isolate,
        .cleanup = cores_cleanup,
        .recover = cores_recover,
};
