/*
 * Reservations, volumes and revocability of a Resource. Two forms of reservations are in use: the stack of `reservations`, and, of clients
 * without RESERVATION_REFINEMENT, `role` with `reservation` when it was made by RESERVE.
 */
#include "proto/resource_traits_proto.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/id.h"
#include "lib/base/utf8.h"
#include "lib/net/codec.h"

#define TEXT_MAX 4096           /* bytes of a principal, label or path */
#define CONTAINER_PATH_MAX 1024 /* as agents take it */

/* The traits while they are put together; what they hold is the message's, but for the arrays here. */
struct builder {
        struct resource_traits traits;
        struct resource_reservation stack[RESERVATIONS_MAX];
        const char *path; /* of the Resource, for sentences */
        struct error *e;
};

static int refuse(const struct builder *b, const char *member, const char *why)
{
        return error_set(b->e, -EINVAL, "%s%s: %s", b->path, member, why);
}

static int check_text(const struct builder *b, const char *member, const char *text)
{
        if (!text || strlen(text) <= TEXT_MAX)
                return 0;
        return refuse(b, member, "longer than the 4096 bytes that are accepted");
}

/* ---- reservations ---- */

static int take_labels(
        struct builder *b, struct resource_reservation *r, const Mete__V1__Labels *labels, const char *member)
{
        if (!labels || labels->n_labels == 0)
                return 0;
        if (labels->n_labels > RESERVATION_LABELS_MAX)
                return refuse(b, member, "at most 32 labels are accepted");
        r->labels = xcalloc(labels->n_labels, sizeof(*r->labels));
        r->label_count = labels->n_labels;
        for (size_t i = 0; i < r->label_count; i++) {
                int error;

                r->labels[i] = (struct resource_label){labels->labels[i]->key, labels->labels[i]->value};
                error = check_text(b, member, r->labels[i].key);
                if (error >= 0)
                        error = check_text(b, member, r->labels[i].value);
                if (error < 0)
                        return error;
        }
        return 0;
}

static int check_role(struct builder *b, const char *member, const char *role)
{
        _cleanup_free_ char *field = xasprintf("%s%s", b->path, member);

        return role_validate(role, field, b->e);
}

static int take_refinement(struct builder *b, const Mete__V1__Resource__ReservationInfo *from, size_t i)
{
        struct resource_reservation *r = &b->stack[i];
        const char *above = i > 0 ? r[-1].role : NULL;
        _cleanup_free_ char *member = xasprintf(".reservations[%zu]", i),
                            *role = xasprintf("%s.role", member), *labels = xasprintf("%s.labels", member);
        int error;

        b->traits.reservation_count = i + 1;
        *r = (struct resource_reservation){.role = from->role,
                .principal = from->principal,
                .dynamic = from->type == METE__V1__RESOURCE__RESERVATION_INFO__TYPE__DYNAMIC};
        if (!r->dynamic && from->type != METE__V1__RESOURCE__RESERVATION_INFO__TYPE__STATIC)
                return refuse(b, member, "the type DYNAMIC or STATIC is expected");
        if (!r->dynamic && i > 0)
                return refuse(b, member, "only the first can be STATIC: the others are made by RESERVE");
        if (!r->role || str_equal(r->role, "*"))
                return refuse(b, role, "a role other than '*' is expected");
        error = check_role(b, role, r->role);
        if (error < 0)
                return error;
        if (above && (str_equal(r->role, above) || !role_is_within(r->role, above)))
                return refuse(b, role, "a role below that of the reservation before it is expected");
        error = check_text(b, member, r->principal);
        return error < 0 ? error : take_labels(b, r, from->labels, labels);
}

static int take_stack(struct builder *b, const Mete__V1__Resource *m)
{
        const char *last;
        int r = 0;

        if (m->reservation)
                return refuse(b, ".reservation", "not together with `reservations`");
        if (m->n_reservations > RESERVATIONS_MAX)
                return refuse(b, ".reservations", "at most 8 refinements are accepted");
        for (size_t i = 0; r >= 0 && i < m->n_reservations; i++)
                r = take_refinement(b, m->reservations[i], i);
        if (r < 0)
                return r;
        last = b->stack[m->n_reservations - 1].role;
        /* "*" is also what a role that was left out reads as. */
        return !m->role || str_equal(m->role, "*") || str_equal(m->role, last)
                       ? 0
                       : refuse(b, ".role",
                                 "not together with `reservations`, of whose last it is not the role");
}

static int take_old_form(struct builder *b, const Mete__V1__Resource *m)
{
        const Mete__V1__Resource__ReservationInfo *from = m->reservation;
        struct resource_reservation *r = &b->stack[0];
        int error;

        if (!m->role || str_equal(m->role, "*"))
                return from ? refuse(b, ".reservation", "a role other than '*' is expected beside it") : 0;
        error = check_role(b, ".role", m->role);
        if (error < 0)
                return error;
        b->traits.reservation_count = 1;
        *r = (struct resource_reservation){.role = m->role, .dynamic = from};
        if (!from)
                return 0;
        if (from->role || from->has_type)
                return refuse(b, ".reservation", "its role and type have a place in `reservations` only");
        r->principal = from->principal;
        error = check_text(b, ".reservation.principal", r->principal);
        return error < 0 ? error : take_labels(b, r, from->labels, ".reservation.labels");
}

/* ---- disk ---- */

/* Agents keep volumes in directories that have the names of the role and of the volume. */
static int check_directories(struct builder *b, const char *id)
{
        const char *role = b->stack[b->traits.reservation_count - 1].role;
        _cleanup_free_ char *first = id_directory_name(role), *second = id_directory_name(id);

        if (strlen(first) > DIRECTORY_NAME_MAX)
                return refuse(b, ".disk.persistence",
                        "a role of at most 255 bytes is expected, where all but A-Z a-z 0-9 . _ - count "
                        "three times");
        if (strlen(second) > DIRECTORY_NAME_MAX)
                return refuse(b, ".disk.persistence.id",
                        "at most 255 bytes are expected, where all but A-Z a-z 0-9 . _ - count three times");
        return 0;
}

static int check_path(struct builder *b, const char *path)
{
        static const char member[] = ".disk.volume.container_path";
        const char *p = path + strspn(path, "/");

        if (!*p || strlen(path) > CONTAINER_PATH_MAX)
                return refuse(b, member, "a path of at most 1024 bytes is expected");
        for (; *p; p += strcspn(p, "/"), p += strspn(p, "/")) {
                size_t len = strcspn(p, "/");

                if (len <= 2 && strspn(p, ".") >= len)
                        return refuse(b, member, "a path without '.' and '..' is expected");
        }
        return check_text(b, member, path);
}

static int take_volume(struct builder *b, const Mete__V1__Volume *v)
{
        if (!v || str_empty(v->container_path))
                return refuse(b, ".disk.volume.container_path", "required for a persistent volume");
        if (v->host_path || v->source || v->image)
                return refuse(b, ".disk.volume",
                        "a persistent volume has a container_path and a mode, no host_path, source or image");
        b->traits.container_path = v->container_path;
        b->traits.read_only = v->mode == METE__V1__VOLUME__MODE__RO;
        return check_path(b, v->container_path);
}

static int take_disk(struct builder *b, const Mete__V1__Resource *m)
{
        const Mete__V1__Resource__DiskInfo *d = m->disk;
        _cleanup_free_ char *id = xasprintf("%s.disk.persistence.id", b->path);
        int r;

        if (d->source)
                return refuse(b, ".disk.source",
                        "disks of their own are not offered: only that of the agent's work directory");
        if (!d->persistence)
                return d->volume ? refuse(b, ".disk.volume", "only persistent volumes: with disk.persistence")
                                 : 0;
        if (!str_equal(m->name, "disk") || m->type != METE__V1__VALUE__TYPE__SCALAR)
                return refuse(b, ".disk", "only a scalar with the name disk can be a volume");
        if (b->traits.reservation_count == 0)
                return refuse(b, ".disk.persistence",
                        "a persistent volume is on reserved disk: with `reservations`");
        r = id_validate(d->persistence->id, id, b->e);
        if (r >= 0)
                r = check_directories(b, d->persistence->id);
        if (r < 0)
                return r;
        b->traits.volume_id = d->persistence->id;
        b->traits.volume_principal = d->persistence->principal;
        r = check_text(b, ".disk.persistence.principal", b->traits.volume_principal);
        return r < 0 ? r : take_volume(b, d->volume);
}

/* ---- all of it ---- */

static int take_all(struct builder *b, const Mete__V1__Resource *m)
{
        int r;

        if (m->shared)
                return refuse(b, ".shared", "shared volumes are not supported");
        if (m->provider_id)
                return refuse(
                        b, ".provider_id", "there are no resource providers: all resources are the agent's");
        b->traits.revocable = m->revocable;
        r = m->n_reservations > 0 ? take_stack(b, m) : take_old_form(b, m);
        if (r >= 0 && m->disk)
                r = take_disk(b, m);
        if (r >= 0 && b->traits.revocable && b->traits.volume_id)
                r = refuse(b, ".revocable", "a persistent volume cannot be taken back");
        if (r >= 0 && b->traits.revocable && b->traits.reservation_count > 0)
                r = refuse(b, ".revocable", "what is reserved cannot be taken back");
        return r;
}

bool resource_has_traits(const Mete__V1__Resource *m)
{
        return m->n_reservations > 0 || m->reservation || m->disk || m->revocable || m->shared ||
               m->provider_id || (m->role && !str_equal(m->role, "*"));
}

int resource_traits_from_proto(
        const Mete__V1__Resource *m, const char *path, const struct resource_traits **ret, struct error *e)
{
        struct builder b = {.path = path, .e = e};
        int r;

        b.traits.reservations = b.stack;
        r = take_all(&b, m);
        if (r >= 0)
                *ret = resource_traits_get(&b.traits);
        for (size_t i = 0; i < b.traits.reservation_count; i++)
                free(b.stack[i].labels);
        return r;
}

/* ---- out ---- */

static Mete__V1__Labels *labels_to_proto(const struct resource_reservation *r)
{
        Mete__V1__Labels *labels;

        if (r->label_count == 0)
                return NULL;
        labels = NEW0(Mete__V1__Labels);
        mete__v1__labels__init(labels);
        labels->labels = xcalloc(r->label_count, sizeof(*labels->labels));
        for (; labels->n_labels < r->label_count; labels->n_labels++) {
                Mete__V1__Label *label = labels->labels[labels->n_labels] = NEW0(Mete__V1__Label);

                mete__v1__label__init(label);
                label->key = xstrdup(r->labels[labels->n_labels].key);
                label->value = xstrdup(r->labels[labels->n_labels].value);
        }
        return labels;
}

static Mete__V1__Resource__ReservationInfo *reservation_to_proto(
        const struct resource_reservation *r, bool old_form)
{
        Mete__V1__Resource__ReservationInfo *m = NEW0(Mete__V1__Resource__ReservationInfo);

        mete__v1__resource__reservation_info__init(m);
        m->principal = xstrdup(r->principal);
        m->labels = labels_to_proto(r);
        if (old_form)
                return m;
        m->has_type = true;
        m->type = r->dynamic ? METE__V1__RESOURCE__RESERVATION_INFO__TYPE__DYNAMIC
                             : METE__V1__RESOURCE__RESERVATION_INFO__TYPE__STATIC;
        m->role = xstrdup(r->role);
        return m;
}

static Mete__V1__Resource__DiskInfo *disk_to_proto(const struct resource_traits *t)
{
        Mete__V1__Resource__DiskInfo *d = NEW0(Mete__V1__Resource__DiskInfo);

        mete__v1__resource__disk_info__init(d);
        d->persistence = NEW0(Mete__V1__Resource__DiskInfo__Persistence);
        mete__v1__resource__disk_info__persistence__init(d->persistence);
        d->persistence->id = xstrdup(t->volume_id);
        d->persistence->principal = xstrdup(t->volume_principal);
        d->volume = NEW0(Mete__V1__Volume);
        mete__v1__volume__init(d->volume);
        d->volume->mode = t->read_only ? METE__V1__VOLUME__MODE__RO : METE__V1__VOLUME__MODE__RW;
        d->volume->container_path = xstrdup(t->container_path ?: "");
        return d;
}

void resource_traits_to_proto(const struct resource_traits *t, bool old_form, Mete__V1__Resource *m)
{
        const char *role = resource_traits_role(t);

        if (old_form)
                m->role = xstrdup(role ?: "*");
        if (!t)
                return;
        if (old_form && role && t->reservations[t->reservation_count - 1].dynamic)
                m->reservation = reservation_to_proto(&t->reservations[t->reservation_count - 1], true);
        if (!old_form && role) {
                m->reservations = xcalloc(t->reservation_count, sizeof(*m->reservations));
                for (; m->n_reservations < t->reservation_count; m->n_reservations++)
                        m->reservations[m->n_reservations] =
                                reservation_to_proto(&t->reservations[m->n_reservations], false);
        }
        if (t->volume_id)
                m->disk = disk_to_proto(t);
        if (t->revocable) {
                m->revocable = NEW0(Mete__V1__Resource__RevocableInfo);
                mete__v1__resource__revocable_info__init(m->revocable);
        }
}
