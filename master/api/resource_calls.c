/*
 * Reservations and volumes by operators: out of what is free on an agent. Offers in the way are rescinded, once it is sure that this is
 * enough. The answer comes when the change is on disk.
 */

#include <stdlib.h>
#include <string.h>

#include "master/api/api.h"
#include "master/assignment.h"
#include "master/offer.h"

#define TYPE(name) METE__V1__OFFER__OPERATION__TYPE__##name

/* One call while it is carried out. */
struct change_call {
        struct api_call *call;
        struct agent *agent;
        const char *field;          /* for refusals */
        struct resources reachable; /* free, or in an offer that can be rescinded */
        Mete__Api__Response__Type answer;
};

/* ---- answers ---- */

struct pending {
        struct master *master;
        struct http_request *req;
        enum codec codec;
        Mete__Api__Response__Type type;
        char *agent_id;
};

static size_t count_users(const struct agent *a, const struct resource_traits *volume, char **ret)
{
        const struct task *t;
        size_t n = 0;

        DL_FOREACH2(a->tasks, t, agent_next)
        for (size_t i = 0; !t->released && i < t->resources.count; i++)
                if (t->resources.entries[i].traits == volume) {
                        if (ret)
                                ret[n] = t->id;
                        n++;
                }
        return n;
}

static Mete__Api__Volume *describe(const struct agent *a, const struct resource *entry)
{
        Mete__Api__Volume *v = NEW0(Mete__Api__Volume);

        /* Borrows what is the agent's; only the arrays are the answer's. */
        mete__api__volume__init(v);
        v->volume_id = entry->traits->volume_id;
        v->agent_id = a->id;
        v->role = (char *)resource_traits_role(entry->traits);
        v->size_mib = milli_to_double(entry->milli);
        v->hostname = a->info->hostname;
        v->principal = entry->traits->volume_principal;
        v->container_path = entry->traits->container_path;
        v->n_tasks = count_users(a, entry->traits, NULL);
        v->tasks = xcalloc(v->n_tasks + 1, sizeof(*v->tasks));
        (void)count_users(a, entry->traits, v->tasks);
        return v;
}

/* Also those that do not fit on the agent now: their data are there. */
static void add_volumes(Mete__Api__Response *r, const struct agent *a)
{
        const struct resources *all = &a->assignment.resources;

        for (size_t i = 0; i < all->count; i++) {
                if (!all->entries[i].traits || !all->entries[i].traits->volume_id)
                        continue;
                r->volumes = xrealloc(r->volumes, (r->n_volumes + 1) * sizeof(struct Mete__Api__Volume *));
                r->volumes[r->n_volumes++] = describe(a, &all->entries[i]);
        }
}

static void free_volumes(Mete__Api__Response *r)
{
        for (size_t i = 0; i < r->n_volumes; i++) {
                free(r->volumes[i]->tasks);
                free(r->volumes[i]);
        }
        free(r->volumes);
}

void call_list_volumes(struct api_call *c)
{
        Mete__Api__Response response = METE__API__RESPONSE__INIT;
        struct agent *a, *next;

        response.type = METE__API__RESPONSE__TYPE__LIST_VOLUMES;
        HASH_ITER (hh, c->master->agents, a, next)
                if (a->gone_time <= 0)
                        add_volumes(&response, a);
        api_respond(c->req, c->codec, 200, &response.base);
        free_volumes(&response);
}

static void answer(bool ok, void *userdata)
{
        struct pending *p = userdata;
        struct agent *a = agent_find(p->master, p->agent_id);
        Mete__Api__Response response = METE__API__RESPONSE__INIT;
        Mete__Api__Agent agent, *agents[] = {&agent};

        response.type = p->type;
        if (!ok || !a) {
                api_refuse(p->req, p->codec, 503, NULL, "the change could not be kept: %s",
                        ok ? "the agent unregistered" : "the master could not write its store");
        } else if (p->type == METE__API__RESPONSE__TYPE__AGENT) {
                agent_describe(a, &agent);
                response.agents = agents;
                response.n_agents = 1;
                api_respond(p->req, p->codec, 200, &response.base);
        } else {
                add_volumes(&response, a);
                api_respond(p->req, p->codec, 200, &response.base);
                free_volumes(&response);
        }
        free(p->agent_id);
        free(p);
}

/* ---- carrying out ---- */

static bool in_the_way(const struct offer *o, const struct resources *need)
{
        for (size_t i = 0; i < need->count; i++)
                for (size_t k = 0; k < o->resources.count; k++)
                        if (o->resources.entries[k].traits == need->entries[i].traits &&
                                str_equal(o->resources.entries[k].name, need->entries[i].name))
                                return true;
        return false;
}

static void make_room(struct agent *a, const struct resources *need)
{
        struct offer *o, *next;

        DL_FOREACH_SAFE2(a->offers, o, next, agent_next)
        {
                if (resources_contains(allocator_agent_free(a->master->allocator, a->id), need))
                        return;
                if (in_the_way(o, need))
                        offer_rescind(o, /* told= */ true);
        }
}

static void carry_out(
        struct change_call *x, Mete__V1__Offer__Operation__Type type, Mete__V1__Offer__Operation *op)
{
        struct api_call *c = x->call;
        const struct operation_scope scope = {.held = &x->reachable, .total = &x->agent->total};
        _cleanup_operation_change_ struct operation_change change = {};
        _cleanup_error_ struct error e = {};
        struct pending *p;
        int r;

        op->has_type = true;
        op->type = type;
        r = operation_evaluate(&scope, op, &change, &e);
        if (r < 0) {
                api_refuse(c->req, c->codec, r == -EINVAL ? 400 : 409, x->field, "%s", error_message(&e));
                return;
        }
        make_room(x->agent, &change.from);
        if (allocator_update_available(c->master->allocator, x->agent->id, &change.from, &change.to) < 0) {
                api_refuse(c->req, c->codec, 409, x->field, "it was offered again meanwhile: try again");
                return;
        }
        p = NEW0(struct pending);
        *p = (struct pending){c->master, c->req, c->codec, x->answer, xstrdup(x->agent->id)};
        agent_assign(x->agent, &change, answer, p);
        offers_schedule(c->master);
}

/* False: refused. change_call_done() in either case. */
static bool begin(struct change_call *x, const char *what, const char *agent, const char *field)
{
        struct api_call *c = x->call;
        const struct resources *free_there;
        const struct offer *o;

        if (!call_needs_root(c, what))
                return false;
        x->agent = call_find_agent(c, agent, field);
        if (!x->agent)
                return false;
        free_there = x->agent->allocated ? allocator_agent_free(c->master->allocator, x->agent->id) : NULL;
        if (!free_there || x->agent->gone_time > 0) {
                api_refuse(c->req, c->codec, 409, field,
                        "agent %s is %s: what it has can be changed when it is here", x->agent->id,
                        x->agent->gone_time > 0 ? "gone" : agent_state_to_string(x->agent->state));
                return false;
        }
        resources_copy(free_there, &x->reachable);
        DL_FOREACH2(x->agent->offers, o, agent_next)
        {
                resources_add(&x->reachable, &o->resources);
        }
        return true;
}

static void end(struct change_call *x, Mete__V1__Resource **list, size_t count)
{
        for (size_t i = 0; i < count; i++)
                message_free(list[i]);
        free(list);
        resources_done(&x->reachable);
}

/* ---- RESERVE, UNRESERVE ---- */

static int take_amounts(struct change_call *x, const Mete__Api__Call__Reserve *m, struct resources *ret)
{
        struct api_call *c = x->call;
        _cleanup_resources_ struct resources all = {};

        for (size_t i = 0; i < m->n_amounts; i++) {
                const Mete__Api__Amount *a = m->amounts[i];
                uint64_t milli;

                if (!resource_name_valid(a->resource) || milli_from_double(a->value, &milli) < 0 ||
                        milli == 0 || resources_scalar(&all, a->resource) > 0) {
                        api_refuse(c->req, c->codec, 400, x->field,
                                "amounts[%zu]: a resource that is named once, such as cpus, and more than "
                                "nothing of it are expected",
                                i);
                        return -EINVAL;
                }
                resources_set_scalar(&all, a->resource, milli);
        }
        if (resources_empty(&all)) {
                api_refuse(c->req, c->codec, 400, x->field, "amounts: at least one is expected");
                return -EINVAL;
        }
        *ret = all;
        all = (struct resources){};
        return 0;
}

void call_reserve(struct api_call *c)
{
        const Mete__Api__Call__Reserve *m = c->call->reserve;
        struct change_call x = {.call = c, .field = "reserve", .answer = METE__API__RESPONSE__TYPE__AGENT};
        Mete__V1__Offer__Operation__Reserve reserve = METE__V1__OFFER__OPERATION__RESERVE__INIT;
        Mete__V1__Offer__Operation op = METE__V1__OFFER__OPERATION__INIT;
        _cleanup_resources_ struct resources plain = {}, reserved = {};
        _cleanup_error_ struct error e = {};

        if (!begin(&x, "reserve resources", m->agent_id, "reserve.agent_id")) {
                end(&x, NULL, 0);
                return;
        }
        if (str_equal(m->role, "*") || role_validate(m->role, "reserve.role", &e) < 0) {
                api_refuse(c->req, c->codec, 400, "reserve.role", "%s",
                        e.message ? e.message : "reserve.role: what is reserved for '*' is not reserved");
        } else if (take_amounts(&x, m, &plain) >= 0) {
                const struct resource_reservation r = {
                        .role = m->role, .principal = c->peer.name, .dynamic = true};

                resources_push_reservation(&plain, &r, &reserved);
                resources_to_proto(
                        &reserved, NULL, /* with_role= */ false, &reserve.resources, &reserve.n_resources);
                op.reserve = &reserve;
                carry_out(&x, TYPE(RESERVE), &op);
        }
        end(&x, reserve.resources, reserve.n_resources);
}

static bool ends_with(const struct resource *entry, const char *role)
{
        const struct resource_traits *t = entry->traits;

        return t && !t->volume_id && str_equal(resource_traits_role(t), role) &&
               t->reservations[t->reservation_count - 1].dynamic;
}

/* Of all that is reserved for the role by RESERVE, whoever did. False: refused. */
static bool pick_reserved(
        struct change_call *x, const char *role, const struct resources *wanted, struct resources *ret)
{
        struct api_call *c = x->call;

        for (size_t i = 0; i < wanted->count; i++) {
                uint64_t left = wanted->entries[i].milli;

                for (size_t k = 0; left > 0 && k < x->reachable.count; k++) {
                        struct resource part = x->reachable.entries[k]; /* borrows */

                        if (part.kind != RESOURCE_SCALAR || !str_equal(part.name, wanted->entries[i].name) ||
                                !ends_with(&part, role))
                                continue;
                        part.milli = MIN(part.milli, left);
                        left -= part.milli;
                        resources_add_entry(ret, &part);
                }
                if (left > 0) {
                        api_refuse(c->req, c->codec, 409, x->field,
                                "agent %s: %g %s are to be given free, but only %g are reserved for role "
                                "'%s' and neither in "
                                "use nor part of a volume (what the agent itself reserves stays)",
                                x->agent->id, milli_to_double(wanted->entries[i].milli),
                                wanted->entries[i].name, milli_to_double(wanted->entries[i].milli - left),
                                role);
                        return false;
                }
        }
        return true;
}

void call_unreserve(struct api_call *c)
{
        const Mete__Api__Call__Reserve *m = c->call->unreserve;
        struct change_call x = {.call = c, .field = "unreserve", .answer = METE__API__RESPONSE__TYPE__AGENT};
        Mete__V1__Offer__Operation__Unreserve unreserve = METE__V1__OFFER__OPERATION__UNRESERVE__INIT;
        Mete__V1__Offer__Operation op = METE__V1__OFFER__OPERATION__INIT;
        _cleanup_resources_ struct resources plain = {}, reserved = {};

        if (begin(&x, "end a reservation", m->agent_id, "unreserve.agent_id") &&
                take_amounts(&x, m, &plain) >= 0 && pick_reserved(&x, m->role, &plain, &reserved)) {
                resources_to_proto(&reserved, NULL, /* with_role= */ false, &unreserve.resources,
                        &unreserve.n_resources);
                op.unreserve = &unreserve;
                carry_out(&x, TYPE(UNRESERVE), &op);
        }
        end(&x, unreserve.resources, unreserve.n_resources);
}

/* ---- volumes ---- */

/* Reserved disk in one piece of one kind; NULL: refused. */
static const struct resource *pick_disk(struct change_call *x, const char *role, uint64_t milli)
{
        struct api_call *c = x->call;
        uint64_t most = 0;

        for (size_t i = 0; i < x->reachable.count; i++) {
                const struct resource *r = &x->reachable.entries[i];

                if (!str_equal(r->name, "disk") || r->kind != RESOURCE_SCALAR || !r->traits ||
                        r->traits->volume_id || !str_equal(resource_traits_role(r->traits), role))
                        continue;
                if (r->milli >= milli)
                        return r;
                most = MAX(most, r->milli);
        }
        api_refuse(c->req, c->codec, 409, x->field,
                "agent %s: %g MiB of disk are needed that are reserved for role '%s' and not in use: %g are: "
                "RESERVE more first",
                x->agent->id, milli_to_double(milli), role, milli_to_double(most));
        return NULL;
}

static bool take_size(struct change_call *x, double size_mib, uint64_t *ret)
{
        if (milli_from_double(size_mib, ret) >= 0 && *ret > 0)
                return true;
        api_refuse(x->call->req, x->call->codec, 400, x->field, "size_mib: %g: more than 0 MiB are expected",
                size_mib);
        return false;
}

void call_create_volume(struct api_call *c)
{
        const Mete__Api__Call__CreateVolume *m = c->call->create_volume;
        struct change_call x = {
                .call = c, .field = "create_volume", .answer = METE__API__RESPONSE__TYPE__LIST_VOLUMES};
        Mete__V1__Offer__Operation__Create create = METE__V1__OFFER__OPERATION__CREATE__INIT;
        Mete__V1__Offer__Operation op = METE__V1__OFFER__OPERATION__INIT;
        const struct resource *disk;
        uint64_t milli;

        if (begin(&x, "create a volume", m->agent_id, "create_volume.agent_id") &&
                take_size(&x, m->size_mib, &milli) && (disk = pick_disk(&x, m->role, milli)) != NULL) {
                struct resource_traits like = *disk->traits; /* borrows */
                struct resource volume = *disk;
                struct resources one = {.entries = &volume, .count = 1};

                like.volume_id = m->volume_id;
                like.volume_principal = c->peer.name;
                like.container_path = m->container_path ? m->container_path : m->volume_id;
                volume.traits = resource_traits_get(&like);
                volume.milli = milli;
                resources_to_proto(&one, NULL, /* with_role= */ false, &create.volumes, &create.n_volumes);
                resource_traits_unref(volume.traits);
                op.create = &create;
                carry_out(&x, TYPE(CREATE), &op);
        }
        end(&x, create.volumes, create.n_volumes);
}

/* By its id, which only one role has there; NULL: refused. */
static const struct resource *find_volume(struct change_call *x, const char *id)
{
        struct api_call *c = x->call;
        const struct resources *all = &x->agent->assignment.resources;
        const struct resource *found = NULL;

        for (size_t i = 0; i < all->count; i++) {
                if (!all->entries[i].traits || !str_equal(all->entries[i].traits->volume_id, id))
                        continue;
                if (found) {
                        api_refuse(c->req, c->codec, 409, x->field,
                                "agent %s: several roles have a volume with this id: their frameworks can "
                                "change it",
                                x->agent->id);
                        return NULL;
                }
                found = &all->entries[i];
        }
        if (!found)
                api_refuse(
                        c->req, c->codec, 404, x->field, "agent %s has no volume with this id", x->agent->id);
        return found;
}

void call_destroy_volume(struct api_call *c)
{
        const Mete__Api__Call__DestroyVolume *m = c->call->destroy_volume;
        struct change_call x = {
                .call = c, .field = "destroy_volume", .answer = METE__API__RESPONSE__TYPE__LIST_VOLUMES};
        Mete__V1__Offer__Operation__Destroy destroy = METE__V1__OFFER__OPERATION__DESTROY__INIT;
        Mete__V1__Offer__Operation op = METE__V1__OFFER__OPERATION__INIT;
        const struct resource *volume;

        if (begin(&x, "destroy a volume", m->agent_id, "destroy_volume.agent_id") &&
                (volume = find_volume(&x, m->volume_id)) != NULL) {
                struct resources one = {.entries = (struct resource *)volume, .count = 1};

                resources_to_proto(&one, NULL, /* with_role= */ false, &destroy.volumes, &destroy.n_volumes);
                op.destroy = &destroy;
                carry_out(&x, TYPE(DESTROY), &op);
        }
        end(&x, destroy.volumes, destroy.n_volumes);
}

static void resize(struct change_call *x, const struct resource *volume, uint64_t milli)
{
        Mete__V1__Offer__Operation__GrowVolume grow = METE__V1__OFFER__OPERATION__GROW_VOLUME__INIT;
        Mete__V1__Offer__Operation__ShrinkVolume shrink = METE__V1__OFFER__OPERATION__SHRINK_VOLUME__INIT;
        Mete__V1__Offer__Operation op = METE__V1__OFFER__OPERATION__INIT;
        Mete__V1__Value__Scalar subtract = METE__V1__VALUE__SCALAR__INIT;
        struct resource_traits like = *volume->traits; /* borrows */
        struct resource entries[] = {*volume, *volume};
        struct resources whole = {.entries = entries, .count = 1},
                         more = {.entries = entries + 1, .count = 1};
        Mete__V1__Resource **list, **addition;
        size_t count, addition_count;

        like.volume_id = like.volume_principal = like.container_path = NULL;
        entries[1].traits = resource_traits_get(&like);
        entries[1].milli = milli > volume->milli ? milli - volume->milli : 1;
        resources_to_proto(&whole, NULL, /* with_role= */ false, &list, &count);
        resources_to_proto(&more, NULL, /* with_role= */ false, &addition, &addition_count);
        resource_traits_unref(entries[1].traits);
        grow.volume = shrink.volume = list[0];
        grow.addition = addition[0];
        shrink.subtract = &subtract;
        subtract.value = milli < volume->milli ? milli_to_double(volume->milli - milli) : 0;
        op.grow_volume = &grow;
        op.shrink_volume = &shrink;
        carry_out(x, milli > volume->milli ? TYPE(GROW_VOLUME) : TYPE(SHRINK_VOLUME), &op);
        message_free(addition[0]);
        free(addition);
        message_free(list[0]);
        free(list);
}

void call_resize_volume(struct api_call *c)
{
        const Mete__Api__Call__ResizeVolume *m = c->call->resize_volume;
        struct change_call x = {
                .call = c, .field = "resize_volume", .answer = METE__API__RESPONSE__TYPE__LIST_VOLUMES};
        const struct resource *volume;
        uint64_t milli;

        if (begin(&x, "resize a volume", m->agent_id, "resize_volume.agent_id") &&
                take_size(&x, m->size_mib, &milli) && (volume = find_volume(&x, m->volume_id)) != NULL) {
                if (volume->milli == milli)
                        api_refuse(c->req, c->codec, 409, x.field, "the volume has %g MiB already",
                                milli_to_double(milli));
                else
                        resize(&x, volume, milli);
        }
        end(&x, NULL, 0);
}
