#include "agent/volume_ref.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/id.h"

void volume_refs_done(struct volume_refs *l)
{
        for (size_t i = 0; i < l->count; i++) {
                free(l->items[i].path);
                free(l->items[i].target);
        }
        free(l->items);
        *l = (struct volume_refs){0};
}

bool volume_refs_contain(const struct volume_refs *l, const char *path)
{
        for (size_t i = 0; i < l->count; i++)
                if (str_equal(l->items[i].path, path))
                        return true;
        return false;
}

/* The role of the last refinement; in the form of old clients the resource's own. */
static const char *role_of(const Mete__V1__Resource *r)
{
        if (r->n_reservations > 0)
                return r->reservations[r->n_reservations - 1]->role;
        return str_equal(r->role, "*") ? NULL : r->role;
}

/* Each component a name: nothing that leads back, or is the directory itself. NULL: it is not so. The caller frees. */
static char *plain_path(const char *path)
{
        _cleanup_buffer_ struct buffer b = {0};

        for (const char *p = path; *p;) {
                p += strspn(p, "/");
                size_t len = strcspn(p, "/");
                if ((len == 1 && p[0] == '.') || (len == 2 && p[0] == '.' && p[1] == '.'))
                        return NULL;
                if (len > 0 && (b.len > 0 || path[0] == '/'))
                        buffer_puts(&b, "/");
                buffer_append(&b, p, len);
                p += len;
        }
        return b.len > 0 ? buffer_take(&b) : NULL;
}

static int check(const Mete__V1__Resource *r, const char *field, size_t i, struct error *e)
{
        const char *role = role_of(r), *id = r->disk->persistence->id;

        if (!str_equal(r->name, "disk"))
                return error_set(
                        e, -EINVAL, "%s[%zu]: \"%s\" cannot be a volume: disk can", field, i, r->name);
        if (str_empty(role))
                return error_set(
                        e, -EINVAL, "%s[%zu]: the volume \"%.80s\" is not reserved for a role", field, i, id);
        if (str_empty(id))
                return error_set(e, -EINVAL, "%s[%zu].disk.persistence.id: is empty", field, i);
        if (!r->disk->volume)
                return error_set(e, -EINVAL, "%s[%zu].disk.volume: is missing", field, i);
        if (r->disk->volume->host_path)
                return error_set(e, -EINVAL,
                        "%s[%zu].disk.volume.host_path: a persistent volume is where the agent makes it",
                        field, i);
        if (r->disk->source)
                return error_set(e, -ENOTSUP,
                        "%s[%zu].disk.source: this agent has the disk of its work directory only", field, i);
        const char *path = r->disk->volume->container_path;
        _cleanup_free_ char *plain = plain_path(path);
        if (!plain || strlen(path) > VOLUME_CONTAINER_PATH_MAX)
                return error_set(e, -EINVAL,
                        "%s[%zu].disk.volume.container_path: \"%.200s\": give a path of at most %d bytes "
                        "without \".\" and \"..\"",
                        field, i, path, VOLUME_CONTAINER_PATH_MAX);
        return 0;
}

static int add(
        struct volume_refs *l, const Mete__V1__Resource *r, const char *field, size_t i, struct error *e)
{
        int code = check(r, field, i, e);
        if (code < 0)
                return code;
        const char *role = role_of(r), *id = r->disk->persistence->id;
        _cleanup_free_ char *first = id_directory_name(role);
        _cleanup_free_ char *second = id_directory_name(id);

        if (strlen(first) > DIRECTORY_NAME_MAX || strlen(second) > DIRECTORY_NAME_MAX)
                return error_set(e, -EINVAL,
                        "%s[%zu]: the role and the id of a volume are names of directories here, of at most "
                        "%d bytes: \"%.80s\" of \"%.80s\"",
                        field, i, DIRECTORY_NAME_MAX, id, role);
        l->items[l->count++] = (struct volume_ref){
                .path = xasprintf("%s/%s", first, second),
                .role = role,
                .id = id,
                .target = plain_path(r->disk->volume->container_path),
                .read_only = r->disk->volume->mode == METE__V1__VOLUME__MODE__RO,
        };
        return 0;
}

int volume_refs_parse(Mete__V1__Resource *const *resources, size_t count, const char *field,
        struct volume_refs *ret, struct error *e)
{
        _cleanup_volume_refs_ struct volume_refs l = {.items = xcalloc(count + 1, sizeof(*l.items))};

        for (size_t i = 0; i < count; i++) {
                const Mete__V1__Resource *r = resources[i];
                int code = r->disk && r->disk->persistence ? add(&l, r, field, i, e) : 0;
                if (code < 0)
                        return code;
        }
        *ret = l;
        l = (struct volume_refs){0};
        return 0;
}
