#include <stdlib.h>
#include <string.h>

#include "master/api/explanation.h"

/* What counts against the quota, without what the queues hold in offers: that is there for their jobs. */
static uint64_t used_of(const struct master *m, const struct allocator_role_view *role, const char *resource)
{
        uint64_t consumed = resources_scalar(role->consumed, resource), held = 0;

        for (const struct offer *o = m->queue_framework->offers; o; o = o->framework_next)
                if (role_is_within(o->role, role->name))
                        held += resources_plain_scalar(&o->resources, resource);
        return consumed - MIN(consumed, held);
}

/* Of the role or one above it, the first limit that leaves less than so many tasks need; unused: than they would need if nothing ran. */
static bool find_limit(const struct master *m, const char *role, const struct resources *size, uint64_t tasks,
        bool unused, struct allocator_quota *ret_quota, char **ret_role)
{
        _cleanup_free_ char *name = xstrdup(role);

        for (char *slash = name; slash; slash = strrchr(name, '/')) {
                struct allocator_role_view view;

                if (slash != name)
                        *slash = 0;
                if (allocator_role(m->allocator, name, &view))
                        for (size_t i = 0; i < view.quota_count; i++) {
                                const struct allocator_quota *q = &view.quotas[i];
                                uint64_t consumed = unused ? 0 : used_of(m, &view, q->name);
                                uint64_t need = resources_scalar(size, q->name) * tasks;

                                if (q->limit_milli == QUOTA_NO_LIMIT || need == 0 ||
                                        consumed + need <= q->limit_milli)
                                        continue;
                                *ret_quota = *q;
                                *ret_role = xstrdup(name);
                                return true;
                        }
        }
        return false;
}

struct owed {
        const char *resource, *role; /* whose tasks wait */
        uint64_t milli;
        char *found; /* owned: the role of which most of the guarantee is not met */
};

static void look_for_owed(const struct allocator_role_view *role, void *userdata)
{
        struct owed *o = userdata;

        if (role_is_within(o->role, role->name))
                return;
        for (size_t i = 0; i < role->quota_count; i++) {
                uint64_t guarantee = role->quotas[i].guarantee_milli;
                uint64_t consumed = resources_scalar(role->consumed, o->resource);

                if (!str_equal(role->quotas[i].name, o->resource) || guarantee <= consumed ||
                        guarantee - consumed <= o->milli)
                        continue;
                o->milli = guarantee - consumed;
                set_string(&o->found, role->name);
        }
}

/* Is there enough of everything, only that others have a right to it? */
static bool find_guarantee(const struct allocator *a, const char *role, const struct resources *size,
        char **ret_role, char **ret_sentence)
{
        for (size_t i = 0; i < size->count; i++) {
                const char *name = size->entries[i].name;
                uint64_t need = resources_scalar(size, name), left = allocator_unclaimed(a, role, name);
                uint64_t withheld = allocator_withheld(a, role, name);
                struct owed o = {.resource = name, .role = role};

                if (left >= need || left + withheld < need)
                        continue;
                allocator_each_role(a, look_for_owed, &o);
                if (!o.found)
                        continue;
                *ret_sentence = xasprintf("of %.10g %s that are free %.10g are kept for guarantees that are "
                                          "not met yet, of role %s above all: less is left than a task needs",
                        milli_to_double(left + withheld), name, milli_to_double(withheld), o.found);
                *ret_role = o.found;
                return true;
        }
        return false;
}

struct going_before {
        const char *role; /* ours */
        uint64_t share;
        char *found; /* owned: the role with the lowest share below ours */
};

static void look_for_lower(const struct allocator_role_view *role, void *userdata)
{
        struct going_before *g = userdata;

        if (role->frameworks == 0 || role_is_within(role->name, g->role) ||
                role_is_within(g->role, role->name) || role->share >= g->share)
                return;
        g->share = role->share;
        set_string(&g->found, role->name);
}

static void append_sentence(struct explanation *e, const char *text)
{
        char *longer = e->sentence ? xasprintf("%s; %s", e->sentence, text) : xstrdup(text);

        free(e->sentence);
        e->sentence = longer;
}

static bool is_open_to(const struct resource *entry, const void *role)
{
        return (!entry->traits || (!entry->traits->revocable && !entry->traits->volume_id)) &&
               resource_allocatable_to(entry, role);
}

static bool meets_constraints(const struct machine *m, const struct queue_job *job)
{
        for (size_t i = 0; i < job->constraint_count; i++)
                if (!constraint_holds(&job->constraints[i], m))
                        return false;
        return true;
}

/* Of what a task needs, the first scalar of which too little is free there, whoever has it; NULL: none. */
static const struct resource *lacking_on(
        const struct agent *a, const char *role, const struct queue_job *job, uint64_t *ret_milli)
{
        _cleanup_resources_ struct resources free = {}, open = {};

        resources_copy(&a->total, &free);
        if (resources_subtract(&free, &a->booked) < 0)
                return NULL; /* it has less than it gave away: what is free is not known */
        resources_filter(&free, is_open_to, role, &open);
        for (size_t i = 0; i < job->size.count; i++) {
                const struct resource *need = &job->size.entries[i];
                uint64_t have = resources_scalar(&open, need->name);

                if (need->kind != RESOURCE_SCALAR || have >= need->milli)
                        continue;
                *ret_milli = need->milli - have;
                return need;
        }
        return NULL;
}

void explanation_see_others(const struct master *m, const struct job_queue *jq, const struct queue_job *job,
        struct queue_explanation *x)
{
        const struct resource *missing = NULL;
        const struct agent *nearest = NULL;

        if (x->reason != QUEUE_REASON_NO_OFFERS)
                return;
        for (const struct agent *a = m->agents; a; a = a->hh.next) {
                const struct machine *machine = machines_find(jq->all->machines, a->id);
                const struct resource *lacking;
                uint64_t milli = 0;

                if (!machine || machine->unusable || !meets_constraints(machine, job))
                        continue;
                lacking = lacking_on(a, jq->role, job, &milli);
                if (!lacking)
                        return;
                if (nearest && milli >= x->missing_milli)
                        continue;
                nearest = a;
                missing = lacking;
                x->missing_milli = milli;
        }
        if (!nearest)
                return;
        x->reason = QUEUE_REASON_RESOURCES;
        x->has_expected_start = x->has_expected_end = false; /* when others end is not known here */
        (void)snprintf(x->detail, sizeof(x->detail), "%s", missing->name);
        (void)snprintf(x->nearest, sizeof(x->nearest), "%s", nearest->info->hostname);
}

/* The machine that comes nearest may look free to who does not know what others are promised there. */
static void add_reserved(const struct master *m, const struct job_queue *jq, struct explanation *e)
{
        const struct agent *a = m->agents;
        const char *role = NULL;
        uint64_t milli = 0;

        while (a && !str_equal(a->info->hostname, e->x.nearest))
                a = a->hh.next;
        for (size_t i = 0; a && i < a->total.count; i++) {
                const struct resource *r = &a->total.entries[i];

                if (r->kind != RESOURCE_SCALAR || !str_equal(r->name, e->x.detail) ||
                        resource_allocatable_to(r, jq->role))
                        continue;
                milli += r->milli;
                role = r->traits->reservations[r->traits->reservation_count - 1].role;
        }
        if (milli > 0) {
                _cleanup_free_ char *text = xasprintf("of what %s has, %.10g %s are reserved for %s",
                        e->x.nearest, milli_to_double(milli), e->x.detail, role);

                append_sentence(e, text);
        }
}

/* A quota, its own or another one's: what the queue says of machines is not the reason then. */
static bool is_stopped_by_quota(const struct master *m, const struct job_queue *jq,
        const struct queue_job *job, struct explanation *e)
{
        bool lasting = e->x.reason == QUEUE_REASON_QUOTA;
        struct allocator_quota quota;
        char *sentence = NULL;

        if (find_limit(
                    m, jq->role, &job->size, job->gang ? job->count : 1, lasting, &quota, &e->limiting_role))
                sentence =
                        xasprintf("the quota of role %s allows %.10g of %s, and what is in use leaves less "
                                  "than %s",
                                e->limiting_role, milli_to_double(quota.limit_milli), quota.name,
                                job->gang ? "its tasks need at once" : "a task needs");
        else if (!find_guarantee(m->allocator, jq->role, &job->size, &e->limiting_role, &sentence))
                return false;
        e->view.limiting_role = e->limiting_role;
        if (lasting) {
                free(sentence);
                return true;
        }
        e->view.reason = (char *)"QUOTA";
        free(e->sentence);
        e->sentence = sentence;
        e->view.has_expected_start = e->view.has_expected_end = false; /* the queue knows of machines only */
        return true;
}

void explanation_ask_allocator(struct explanation *e, const struct master *m, const struct job_queue *jq,
        const struct queue_job *job)
{
        struct going_before g = {.role = jq->role, .share = allocator_role_share(m->allocator, jq->role)};

        if (e->x.reason != QUEUE_REASON_RESOURCES && e->x.reason != QUEUE_REASON_NO_OFFERS &&
                e->x.reason != QUEUE_REASON_QUOTA &&
                (e->x.reason != QUEUE_REASON_NONE || !e->x.has_expected_start))
                return;
        if (is_stopped_by_quota(m, jq, job, e))
                return;
        if (e->x.reason == QUEUE_REASON_RESOURCES)
                add_reserved(m, jq, e);
        if (e->x.reason != QUEUE_REASON_NO_OFFERS)
                return;
        allocator_each_role(m->allocator, look_for_lower, &g);
        if (g.found) {
                _cleanup_free_ char *text = xasprintf(
                        "role %s has the lower share (%.3g %% against %.3g %%) and is offered first", g.found,
                        (double)g.share * 0x1p-40 * 100,
                        (double)allocator_role_share(m->allocator, jq->role) * 0x1p-40 * 100);

                append_sentence(e, text);
        }
        free(g.found);
}
