#include "master/assignment.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/utf8.h"
#include "master/agent_internal.h"

#define ERROR_BYTES_MAX 500 /* of a sentence of an agent's, in the log */

/* ---- what is assigned ---- */

static bool is_assigned(const struct resource *entry, const void *userdata)
{
        const struct resource_traits *t = entry->traits;

        (void)userdata;
        if (!t)
                return false;
        return t->volume_id ||
               (t->reservation_count > 0 && t->reservations[t->reservation_count - 1].dynamic);
}

/* What the agent itself says of it: without volume and dynamic reservations. */
static const struct resource_traits *traits_at_agent(const struct resource_traits *t)
{
        struct resource_traits like = {.reservations = t->reservations, .revocable = t->revocable};

        while (like.reservation_count < t->reservation_count &&
                !t->reservations[like.reservation_count].dynamic)
                like.reservation_count++;
        return resource_traits_get(&like);
}

/* Of a scalar that is only partly there, that part. */
static void apply_entry(struct resources *total, const struct resource *assigned, struct resources *missing)
{
        const struct resource_traits *base = traits_at_agent(assigned->traits);
        struct resource part = *assigned; /* borrows */
        struct resources view = {.entries = &part, .count = 1};

        part.traits = base;
        if (resources_subtract(total, &view) >= 0) {
                resources_add_entry(total, assigned);
        } else {
                resources_add_entry(missing, assigned);
                for (size_t i = 0; i < total->count && assigned->kind == RESOURCE_SCALAR; i++)
                        if (total->entries[i].traits == base && total->entries[i].kind == RESOURCE_SCALAR &&
                                str_equal(total->entries[i].name, assigned->name))
                                part.milli = total->entries[i].milli;
                if (part.milli < assigned->milli && !assigned->traits->volume_id &&
                        resources_subtract(total, &view) >= 0) {
                        part.traits = assigned->traits;
                        resources_add_entry(total, &part);
                }
        }
        resource_traits_unref(base);
}

static void forget_view(struct agent *a)
{
        for (size_t i = 0; i < a->assignment.n_view; i++)
                message_free(a->assignment.view[i]);
        free(a->assignment.view);
        a->assignment.view = NULL;
        a->assignment.n_view = 0;
}

static void recompute(struct agent *a, struct resources *missing)
{
        resources_done(&a->total);
        resources_copy(&a->assignment.reported, &a->total);
        for (size_t i = 0; i < a->assignment.resources.count; i++)
                apply_entry(&a->total, &a->assignment.resources.entries[i], missing);
        forget_view(a);
        resources_to_proto(
                &a->total, NULL, /* with_role= */ false, &a->assignment.view, &a->assignment.n_view);
}

void agent_assignment_describe(const struct agent *a, Mete__Api__Agent *ret)
{
        ret->resources = a->assignment.view;
        ret->n_resources = a->assignment.n_view;
}

void agent_set_reported(struct agent *a, const struct resources *reported)
{
        _cleanup_resources_ struct resources missing = {};
        _cleanup_free_ char *text = NULL;

        resources_done(&a->assignment.reported);
        resources_copy(reported, &a->assignment.reported);
        recompute(a, &missing);
        if (resources_empty(&missing))
                return;
        text = resources_to_string(&missing);
        log_warning("agent %s (%s): it has too little for what is assigned to it: %s; volumes among it are "
                    "kept and not "
                    "offered, of the rest what is there",
                a->id, a->info->hostname, text);
}

/* ---- to the agent ---- */

/* Only what is on disk: a later master must not know less than the agent. */
void agent_send_assignment(struct agent *a)
{
        Mete__Agent__Command c = METE__AGENT__COMMAND__INIT;
        Mete__Agent__Command__Assign assign = METE__AGENT__COMMAND__ASSIGN__INIT;

        if (a->assignment.durable_version == 0)
                return;
        resources_to_proto(
                &a->assignment.durable, NULL, /* with_role= */ false, &assign.resources, &assign.n_resources);
        assign.version = a->assignment.durable_version;
        c.type = METE__AGENT__COMMAND__TYPE__ASSIGN;
        c.assign = &assign;
        (void)agent_send(a, &c); /* else it is told when it registers */
        for (size_t i = 0; i < assign.n_resources; i++)
                message_free(assign.resources[i]);
        free(assign.resources);
}

void agent_take_assigned(struct agent *a, const Mete__Agent__Call__Assigned *assigned)
{
        if (assigned->n_errors == 0)
                log_debug("agent %s: assignment %ju is carried out", a->id, (uintmax_t)assigned->version);
        for (size_t i = 0; i < assigned->n_errors; i++) {
                _cleanup_free_ char *shown = text_for_message(assigned->errors[i], ERROR_BYTES_MAX);

                log_warning("agent %s (%s): assignment %ju: %s", a->id, a->info->hostname,
                        (uintmax_t)assigned->version, shown);
        }
}

/* ---- to the disk ---- */

/* One change that is on its way, or one who waits for those before. */
struct assigning {
        struct master *master;
        char *agent_id;
        struct resources resources; /* as of this change */
        uint64_t version;           /* 0: who only waits */
        assignment_done done;
        void *userdata;
};

static void assigning_done(int result, void *userdata)
{
        struct assigning *x = userdata;
        struct agent *a = agent_find(x->master, x->agent_id);

        if (result >= 0 && a && x->version > a->assignment.durable_version) {
                resources_done(&a->assignment.durable);
                a->assignment.durable = x->resources;
                x->resources = (struct resources){};
                a->assignment.durable_version = x->version;
                agent_send_assignment(a);
        }
        if (x->done)
                x->done(result >= 0 && !x->master->stopping, x->userdata);
        resources_done(&x->resources);
        free(x->agent_id);
        free(x);
}

static struct assigning *assigning_new(struct agent *a, assignment_done done, void *userdata)
{
        struct assigning *x = NEW0(struct assigning);

        x->master = a->master;
        x->agent_id = xstrdup(a->id);
        x->done = done;
        x->userdata = userdata;
        return x;
}

void agent_assign(
        struct agent *a, const struct operation_change *change, assignment_done done, void *userdata)
{
        _cleanup_resources_ struct resources from = {}, to = {}, missing = {};
        _cleanup_free_ char *was = resources_to_string(&change->from), *is = resources_to_string(&change->to);
        struct assigning *x = assigning_new(a, done, userdata);
        struct store_batch *b = store_batch_new();

        log_info("agent %s (%s): %s becomes %s", a->id, a->info->hostname, was, is);
        resources_filter(&change->from, is_assigned, NULL, &from);
        resources_filter(&change->to, is_assigned, NULL, &to);
        if (resources_subtract(&a->assignment.resources, &from) < 0)
                log_warning("agent %s: the books of its reservations do not balance", a->id);
        resources_add(&a->assignment.resources, &to);
        x->version = ++a->assignment.version;
        recompute(a, &missing);
        resources_copy(&a->assignment.resources, &x->resources);
        agent_put_present(a, b);
        master_write(a->master, b, assigning_done, x);
        agent_changed(a);
}

bool agent_assigning(const struct agent *a)
{
        return a->assignment.durable_version < a->assignment.version;
}

void agent_when_assigned(struct agent *a, assignment_done done, void *userdata)
{
        /* Batches become durable in the order of writing. */
        master_write(a->master, store_batch_new(), assigning_done, assigning_new(a, done, userdata));
}

void agent_assignment_put(const struct agent *a, Mete__Checkpoint__AdmittedAgent *ret)
{
        resources_to_proto(
                &a->assignment.resources, NULL, /* with_role= */ false, &ret->assigned, &ret->n_assigned);
        ret->has_assignment = a->assignment.version > 0;
        ret->assignment = a->assignment.version;
}

void agent_assignment_put_done(Mete__Checkpoint__AdmittedAgent *admitted)
{
        for (size_t i = 0; i < admitted->n_assigned; i++)
                message_free(admitted->assigned[i]);
        free(admitted->assigned);
        admitted->assigned = NULL;
        admitted->n_assigned = 0;
}

void agent_assignment_take(struct agent *a, const Mete__Checkpoint__AdmittedAgent *from)
{
        _cleanup_error_ struct error e = {};

        if (resources_from_proto(from->assigned, from->n_assigned, "assigned", &a->assignment.resources, &e) <
                0) {
                /* Version 0: nothing is sent, so that the agent keeps its volumes. */
                log_error("agent %s: its stored reservations are not legal: %s", a->id, error_message(&e));
                return;
        }
        resources_copy(&a->assignment.resources, &a->assignment.durable);
        a->assignment.version = a->assignment.durable_version = from->assignment;
}

void agent_assignment_done(struct agent *a)
{
        forget_view(a);
        resources_done(&a->assignment.resources);
        resources_done(&a->assignment.durable);
        resources_done(&a->assignment.reported);
}
