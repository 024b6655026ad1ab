#include "master/operation.h"

#include <string.h>

#include "lib/base/utf8.h"
#include "proto/validate.h"

/* One operation while it is looked at. */
struct evaluation {
        const struct operation_scope *scope;
        const char *field; /* of its resources */
        struct operation_change *change;
        struct error *e;
};

void operation_change_done(struct operation_change *c)
{
        resources_done(&c->from);
        resources_done(&c->to);
}

/* ---- as held ---- */

/* Would `held`, with so many of its last reservations only, and seen as `wanted` sees the volume, be `wanted`? */
static bool is_seen_as(
        const struct resource_traits *held, size_t reservations, const struct resource_traits *wanted)
{
        struct resource_traits like = *held;
        const struct resource_traits *seen;

        if (!str_equal(held->volume_id, wanted->volume_id) || reservations > held->reservation_count)
                return false;
        like.reservations = held->reservations + (held->reservation_count - reservations);
        like.reservation_count = reservations;
        like.volume_principal = wanted->volume_principal;
        like.container_path = wanted->container_path;
        like.read_only = wanted->read_only;
        seen = resource_traits_get(&like);
        resource_traits_unref(seen); /* wanted holds it too when it is the same */
        return seen == wanted;
}

static const struct resource_traits *traits_as_held(
        const struct resources *held, const struct resource *wanted)
{
        const struct resource_traits *found = wanted->traits;

        if (!wanted->traits)
                return NULL;
        for (size_t i = 0; i < held->count; i++) {
                const struct resource *h = &held->entries[i];

                if (h->kind != wanted->kind || !str_equal(h->name, wanted->name) || !h->traits)
                        continue;
                if (h->traits == wanted->traits)
                        return h->traits;
                if (is_seen_as(h->traits, h->traits->reservation_count, wanted->traits) ||
                        (wanted->traits->reservation_count == 1 && is_seen_as(h->traits, 1, wanted->traits)))
                        found = h->traits;
        }
        return found;
}

void resources_as_held(const struct resources *held, const struct resources *wanted, struct resources *ret)
{
        struct resources all = {};

        for (size_t i = 0; i < wanted->count; i++) {
                struct resource entry = wanted->entries[i]; /* borrows */

                entry.traits = traits_as_held(held, &entry);
                resources_add_entry(&all, &entry);
        }
        *ret = all;
}

/* ---- checks ---- */

/* An amount of nothing is refused: it would vanish. */
static int take(struct evaluation *v, Mete__V1__Resource *const *list, size_t count, const char *field,
        struct resources *ret)
{
        int error;

        if (count == 0)
                return error_set(v->e, -EINVAL, "%s: at least one resource is expected", field);
        for (size_t i = 0; i < count; i++) {
                const Mete__V1__Resource__AllocationInfo *a = list[i]->allocation_info;
                _cleanup_resources_ struct resources one = {};

                if (a && a->role && v->scope->role && !str_equal(a->role, v->scope->role))
                        return error_set(v->e, -EINVAL,
                                "%s[%zu].allocation_info.role: the offers are of role '%s'", field, i,
                                v->scope->role);
                error = resources_from_proto(list + i, 1, field, &one, v->e);
                if (error < 0)
                        return error;
                if (resources_empty(&one))
                        return error_set(v->e, -EINVAL, "%s[%zu]: more than nothing is expected", field, i);
        }
        return resources_from_proto(list, count, field, ret, v->e);
}

/* What is there already, with the traits by which it is held. */
static int take_held(struct evaluation *v, Mete__V1__Resource *const *list, size_t count, const char *field,
        struct resources *ret)
{
        _cleanup_resources_ struct resources r = {};
        int error = take(v, list, count, field, &r);

        if (error >= 0)
                resources_as_held(v->scope->held, &r, ret);
        return error;
}

/* What is to change is at hand. */
static int check_held(struct evaluation *v, const struct resources *need)
{
        for (size_t i = 0; i < need->count; i++) {
                struct resources one = {.entries = &need->entries[i], .count = 1}, left = {};
                _cleanup_free_ char *text = NULL, *there = NULL;

                if (resources_contains(v->scope->held, &one))
                        continue;
                for (size_t k = 0; k < v->scope->held->count; k++)
                        if (v->scope->held->entries[k].traits == one.entries->traits &&
                                str_equal(v->scope->held->entries[k].name, one.entries->name))
                                left = (struct resources){.entries = &v->scope->held->entries[k], .count = 1};
                text = resources_to_string(&one);
                there = resources_to_string(&left);
                return error_set(v->e, -ERANGE, "%s: %s is needed, %s is %s", v->field, text,
                        *there ? there : "nothing of it", v->scope->role ? "left in the offers" : "free");
        }
        return 0;
}

/* The role of what is changed is the framework's matter. */
static int check_right(struct evaluation *v, const struct resource_traits *t)
{
        const char *role = resource_traits_role(t);

        if (!v->scope->role || role_is_within(role, v->scope->role))
                return 0;
        return error_set(v->e, -EPERM,
                "%s: it is reserved for role '%s': expected is '%s', the offers' role, or one below it",
                v->field, role, v->scope->role);
}

/* Who makes something signs it: with the framework's principal, or not at all when it has none. */
static int check_signature(struct evaluation *v, const char *principal, const char *what)
{
        _cleanup_free_ char *shown = text_for_message(principal ?: "", TEXT_FOR_MESSAGE_BYTES);

        if (!v->scope->role || str_equal(principal, v->scope->principal))
                return 0;
        if (!v->scope->principal)
                return error_set(v->e, -EPERM,
                        "%s: %s '%s', but the framework has no principal: expected is none", v->field, what,
                        shown);
        return error_set(v->e, -EPERM, "%s: %s '%s' is not the framework's own: '%s' is expected", v->field,
                what, shown, v->scope->principal);
}

/* What was signed is changed by who signed it. */
static int check_signer(struct evaluation *v, const char *principal)
{
        _cleanup_free_ char *shown = NULL;

        if (!v->scope->role || !principal || str_equal(principal, v->scope->principal))
                return 0;
        shown = text_for_message(principal, TEXT_FOR_MESSAGE_BYTES);
        return error_set(v->e, -EPERM, "%s: it belongs to principal '%s', whose frameworks may change it",
                v->field, shown);
}

static const struct resource_reservation *last_reservation(const struct resource_traits *t)
{
        return t && t->reservation_count > 0 ? &t->reservations[t->reservation_count - 1] : NULL;
}

static int check_no_volume(struct evaluation *v, const struct resource_traits *t, const char *instead)
{
        if (t && t->revocable)
                return error_set(v->e, -EINVAL, "%s: what may be taken back cannot be reserved", v->field);
        if (t && t->volume_id)
                return error_set(v->e, -EINVAL, "%s: volume '%s': %s", v->field, t->volume_id, instead);
        return 0;
}

/* ---- RESERVE ---- */

static int check_pushed(struct evaluation *v, const struct resource_traits *t, size_t first)
{
        for (size_t i = first; i < t->reservation_count; i++) {
                const struct resource_reservation *r = &t->reservations[i];
                int error;

                if (!r->dynamic)
                        return error_set(v->e, -EINVAL,
                                "%s: what RESERVE makes is of type DYNAMIC: in the old form with "
                                "`reservation`",
                                v->field);
                if (v->scope->role && !role_is_within(r->role, v->scope->role))
                        return error_set(v->e, -EPERM,
                                "%s: role '%s': '%s', the offers' role, or one below it is expected",
                                v->field, r->role, v->scope->role);
                error = check_signature(v, r->principal, "reservation.principal");
                if (error < 0)
                        return error;
        }
        return 0;
}

static int check_popped(struct evaluation *v, const struct resource_traits *t, size_t first)
{
        for (size_t i = first; t && i < t->reservation_count; i++) {
                const struct resource_reservation *r = &t->reservations[i];
                int error;

                if (!r->dynamic)
                        return error_set(v->e, -EINVAL,
                                "%s: the agent itself reserves it for role '%s': only what RESERVE made ends",
                                v->field, r->role);
                if (v->scope->role && !role_is_within(r->role, v->scope->role))
                        return error_set(v->e, -EPERM,
                                "%s: it is reserved for role '%s', which is above '%s', the offers' role",
                                v->field, r->role, v->scope->role);
                error = check_signer(v, r->principal);
                if (error < 0)
                        return error;
        }
        return 0;
}

/* How many reservations, from the bottom, are the same. */
static size_t common_reservations(const struct resource_traits *a, const struct resource_traits *b)
{
        size_t n = 0;

        while (a && b && n < a->reservation_count && n < b->reservation_count) {
                struct resource_traits x = {.reservations = &a->reservations[n], .reservation_count = 1};
                struct resource_traits y = {.reservations = &b->reservations[n], .reservation_count = 1};

                if (resource_traits_compare(&x, &y) != 0)
                        break;
                n++;
        }
        return n;
}

static bool same_traits(const struct resources *r)
{
        for (size_t i = 1; i < r->count; i++)
                if (r->entries[i].traits != r->entries[0].traits)
                        return false;
        return true;
}

/* From any reservations to others: what both have in common stays, the rest of the source ends. */
static int reserve_from_source(struct evaluation *v, const Mete__V1__Offer__Operation__Reserve *m)
{
        _cleanup_resources_ struct resources plain_from = {}, plain_to = {};
        const struct resource_traits *from, *to;
        size_t common;
        int r = take_held(v, m->source, m->n_source, "operation.reserve.source", &v->change->from);

        if (r < 0)
                return r;
        resources_with_traits(&v->change->from, NULL, &plain_from);
        resources_with_traits(&v->change->to, NULL, &plain_to);
        if (!resources_equal(&plain_from, &plain_to))
                return error_set(v->e, -EINVAL,
                        "operation.reserve.source: the same amounts as in `resources` are expected");
        if (!same_traits(&v->change->from) || !same_traits(&v->change->to))
                return error_set(v->e, -EINVAL,
                        "operation.reserve: all of `source` is reserved alike, and all of `resources`");
        from = v->change->from.entries[0].traits;
        to = v->change->to.entries[0].traits;
        common = common_reservations(from, to);
        if (common == to->reservation_count)
                return error_set(v->e, -EINVAL,
                        "operation.reserve: `resources` add no reservation to `source`: see UNRESERVE");
        r = check_no_volume(v, from, "DESTROY it first");
        if (r >= 0)
                r = check_popped(v, from, common);
        return r < 0 ? r : check_pushed(v, to, common);
}

static int evaluate_reserve(struct evaluation *v, const Mete__V1__Offer__Operation__Reserve *m)
{
        int r = take(v, m->resources, m->n_resources, v->field, &v->change->to);

        for (size_t i = 0; r >= 0 && i < v->change->to.count; i++) {
                const struct resource_traits *t = v->change->to.entries[i].traits;

                r = check_no_volume(v, t, "CREATE makes it of what is reserved");
                if (r >= 0 && !last_reservation(t))
                        r = error_set(
                                v->e, -EINVAL, "%s: the reservation to make is expected in it", v->field);
                if (r >= 0 && m->n_source == 0)
                        r = check_pushed(v, t, t->reservation_count - 1);
        }
        if (r < 0)
                return r;
        if (m->n_source > 0)
                return reserve_from_source(v, m);
        resources_pop_reservation(&v->change->to, &v->change->from);
        return 0;
}

static int evaluate_unreserve(struct evaluation *v, const Mete__V1__Offer__Operation__Unreserve *m)
{
        int r = take_held(v, m->resources, m->n_resources, v->field, &v->change->from);

        for (size_t i = 0; r >= 0 && i < v->change->from.count; i++) {
                const struct resource_traits *t = v->change->from.entries[i].traits;

                r = check_no_volume(v, t, "DESTROY it first");
                if (r >= 0 && !last_reservation(t))
                        r = error_set(v->e, -EINVAL, "%s: it is not reserved", v->field);
                if (r >= 0)
                        r = check_popped(v, t, t->reservation_count - 1);
        }
        if (r >= 0)
                resources_pop_reservation(&v->change->from, &v->change->to);
        return r;
}

/* ---- volumes ---- */

static const struct resource_traits *without_volume(const struct resource_traits *t)
{
        struct resource_traits like = *t;

        like.volume_id = like.volume_principal = like.container_path = NULL;
        like.read_only = false;
        return resource_traits_get(&like);
}

static void add_as(struct resources *to, const struct resource *entry, const struct resource_traits *traits,
        uint64_t milli)
{
        struct resource as = *entry; /* borrows */

        as.traits = traits;
        as.milli = milli;
        resources_add_entry(to, &as);
}

static int check_new_volume(struct evaluation *v, const struct resource *entry, size_t named)
{
        const struct resource_traits *t = entry->traits;
        int r;

        if (!t || !t->volume_id)
                return error_set(
                        v->e, -EINVAL, "%s: disk.persistence is expected: the volume to make", v->field);
        if (t->read_only)
                return error_set(v->e, -EINVAL,
                        "%s: disk.volume.mode: RW is expected: nobody could ever fill the volume", v->field);
        if (named > 1 || resources_find_volume(v->scope->total, resource_traits_role(t), t->volume_id))
                return error_set(v->e, -EEXIST,
                        "%s: disk.persistence.id: role '%s' has a volume '%s' on the agent already", v->field,
                        resource_traits_role(t), t->volume_id);
        r = check_right(v, t);
        return r < 0 ? r : check_signature(v, t->volume_principal, "disk.persistence.principal");
}

static size_t times_named(Mete__V1__Resource *const *list, size_t count, const char *id)
{
        size_t n = 0;

        for (size_t i = 0; i < count; i++)
                n += list[i]->disk && list[i]->disk->persistence &&
                     str_equal(list[i]->disk->persistence->id, id);
        return n;
}

/* Of disk that is reserved as it is held, which the old form of the message may say in short. */
static void make_volume(struct evaluation *v, const struct resource *wanted)
{
        const struct resource_traits *bare = without_volume(wanted->traits), *made;
        struct resource disk = *wanted; /* borrows */
        struct resource_traits like;

        disk.traits = bare;
        disk.traits = traits_as_held(v->scope->held, &disk);
        add_as(&v->change->from, &disk, disk.traits, wanted->milli);
        like = *disk.traits;
        like.volume_id = wanted->traits->volume_id;
        like.volume_principal = wanted->traits->volume_principal;
        like.container_path = wanted->traits->container_path;
        made = resource_traits_get(&like);
        add_as(&v->change->to, wanted, made, wanted->milli);
        resource_traits_unref(made);
        resource_traits_unref(bare);
}

static int evaluate_create(struct evaluation *v, const Mete__V1__Offer__Operation__Create *m)
{
        _cleanup_resources_ struct resources wanted = {};
        int r = take(v, m->volumes, m->n_volumes, v->field, &wanted);

        for (size_t i = 0; r >= 0 && i < wanted.count; i++) {
                const struct resource_traits *t = wanted.entries[i].traits;

                r = check_new_volume(v, &wanted.entries[i],
                        t && t->volume_id ? times_named(m->volumes, m->n_volumes, t->volume_id) : 0);
                if (r >= 0)
                        make_volume(v, &wanted.entries[i]);
        }
        return r;
}

/* Volumes that are there, whole, and the framework's to change. */
static int check_volume(struct evaluation *v, const struct resource *entry)
{
        const struct resource_traits *t = entry->traits;
        const struct resource *there;
        int r;

        if (!t || !t->volume_id)
                return error_set(v->e, -EINVAL, "%s: disk.persistence is expected: a volume", v->field);
        there = resources_find_volume(v->scope->held, resource_traits_role(t), t->volume_id);
        if (!there && resources_find_volume(v->scope->total, resource_traits_role(t), t->volume_id))
                return error_set(v->e, -ERANGE, "%s: volume '%s' is in use, or offered to another framework",
                        v->field, t->volume_id);
        if (!there)
                return error_set(v->e, -ERANGE, "%s: role '%s' has no volume '%s' here", v->field,
                        resource_traits_role(t), t->volume_id);
        if (there->traits != t || there->milli != entry->milli)
                return error_set(v->e, -EINVAL,
                        "%s: volume '%s' is another than that: %g MiB of disk, reserved otherwise or of "
                        "another size",
                        v->field, t->volume_id, milli_to_double(there->milli));
        r = check_right(v, t);
        return r < 0 ? r : check_signer(v, t->volume_principal);
}

static int evaluate_destroy(struct evaluation *v, const Mete__V1__Offer__Operation__Destroy *m)
{
        int r = take_held(v, m->volumes, m->n_volumes, v->field, &v->change->from);

        for (size_t i = 0; r >= 0 && i < v->change->from.count; i++) {
                const struct resource *entry = &v->change->from.entries[i];
                const struct resource_traits *disk;

                r = check_volume(v, entry);
                if (r < 0)
                        break;
                disk = without_volume(entry->traits);
                add_as(&v->change->to, entry, disk, entry->milli);
                resource_traits_unref(disk);
        }
        return r;
}

static int evaluate_grow(struct evaluation *v, const Mete__V1__Offer__Operation__GrowVolume *m)
{
        _cleanup_resources_ struct resources volume = {}, addition = {};
        const struct resource_traits *disk;
        bool alike;
        int r = take_held(v, &m->volume, 1, v->field, &volume);

        if (r >= 0)
                r = take_held(v, &m->addition, 1, "operation.grow_volume.addition", &addition);
        if (r >= 0)
                r = check_volume(v, &volume.entries[0]);
        if (r < 0)
                return r;
        disk = without_volume(volume.entries[0].traits);
        alike = addition.entries[0].traits == disk && addition.entries[0].kind == RESOURCE_SCALAR &&
                str_equal(addition.entries[0].name, "disk");
        resource_traits_unref(disk); /* the addition holds it */
        if (!alike)
                return error_set(v->e, -EINVAL,
                        "operation.grow_volume.addition: disk that is reserved as the volume is expected");
        add_as(&v->change->to, &volume.entries[0], volume.entries[0].traits,
                volume.entries[0].milli + addition.entries[0].milli);
        resources_add(&v->change->from, &volume);
        resources_add(&v->change->from, &addition);
        return 0;
}

static int evaluate_shrink(struct evaluation *v, const Mete__V1__Offer__Operation__ShrinkVolume *m)
{
        static const char field[] = "operation.shrink_volume.subtract";
        const struct resource_traits *disk;
        const struct resource *volume;
        uint64_t less;
        int r = take_held(v, &m->volume, 1, v->field, &v->change->from);

        if (r >= 0)
                r = check_volume(v, &v->change->from.entries[0]);
        if (r < 0)
                return r;
        volume = &v->change->from.entries[0];
        if (milli_from_double(m->subtract->value, &less) < 0 || less == 0 || less >= volume->milli)
                return error_set(v->e, -EINVAL,
                        "%s: %g: more than 0 and less than %g, what the volume has, is expected", field,
                        m->subtract->value, milli_to_double(volume->milli));
        disk = without_volume(volume->traits);
        add_as(&v->change->to, volume, volume->traits, volume->milli - less);
        add_as(&v->change->to, volume, disk, less);
        resource_traits_unref(disk);
        return 0;
}

/* ---- all of them ---- */

#define TYPE(name) METE__V1__OFFER__OPERATION__TYPE__##name

bool operation_is_change(const Mete__V1__Offer__Operation *op)
{
        return op->has_type && (op->type == TYPE(RESERVE) || op->type == TYPE(UNRESERVE) ||
                                       op->type == TYPE(CREATE) || op->type == TYPE(DESTROY) ||
                                       op->type == TYPE(GROW_VOLUME) || op->type == TYPE(SHRINK_VOLUME));
}

static int evaluate(struct evaluation *v, const Mete__V1__Offer__Operation *op)
{
        if (op->type == TYPE(RESERVE) && op->reserve) {
                v->field = "operation.reserve.resources";
                return evaluate_reserve(v, op->reserve);
        }
        if (op->type == TYPE(UNRESERVE) && op->unreserve) {
                v->field = "operation.unreserve.resources";
                return evaluate_unreserve(v, op->unreserve);
        }
        if (op->type == TYPE(CREATE) && op->create) {
                v->field = "operation.create.volumes";
                return evaluate_create(v, op->create);
        }
        if (op->type == TYPE(DESTROY) && op->destroy) {
                v->field = "operation.destroy.volumes";
                return evaluate_destroy(v, op->destroy);
        }
        if (op->type == TYPE(GROW_VOLUME) && op->grow_volume) {
                v->field = "operation.grow_volume.volume";
                return evaluate_grow(v, op->grow_volume);
        }
        if (op->type == TYPE(SHRINK_VOLUME) && op->shrink_volume) {
                v->field = "operation.shrink_volume.volume";
                return evaluate_shrink(v, op->shrink_volume);
        }
        v->field = "operation";
        return error_set(v->e, -EINVAL, "operation: the message of its type is missing");
}

int operation_evaluate(const struct operation_scope *scope, const Mete__V1__Offer__Operation *op,
        struct operation_change *ret, struct error *e)
{
        _cleanup_operation_change_ struct operation_change change = {};
        struct evaluation v = {.scope = scope, .change = &change, .e = e};
        int r = evaluate(&v, op);

        if (r >= 0)
                r = check_held(&v, &change.from);
        if (r < 0)
                return r;
        *ret = change;
        change = (struct operation_change){};
        return 0;
}
