/* The tree of roles: a role with sub-roles holds both its own frameworks and them, as equals, in one order. */
#include <stdlib.h>
#include <string.h>

#include "master/allocator/allocator_internal.h"

struct role *role_find(const struct allocator *a, const char *name)
{
        struct role *role;

        HASH_FIND_STR(a->roles, name, role);
        return role;
}

/* The length of the name of the role above; 0: it is the root. */
static size_t above_length(const char *name)
{
        const char *slash = strrchr(name, '/');

        return slash ? (size_t)(slash - name) : 0;
}

struct role *role_get(struct allocator *a, const char *name)
{
        struct role *role = role_find(a, name);
        _cleanup_free_ char *above = NULL;

        if (role)
                return role;
        role = NEW0(struct role);
        role->name = xstrdup(name);
        sorter_entry_init(&role->entry, role->name, /* is_role= */ true);
        above = xstrndup(name, above_length(name));
        role->parent = *above ? role_get(a, above) : &a->root;
        role->parent->children++;
        HASH_ADD_KEYPTR(hh, a->roles, role->name, strlen(role->name), role);
        return role;
}

const struct role *role_nearest(const struct allocator *a, const char *name)
{
        const struct role *role = role_find(a, name);

        while (!role && above_length(name) > 0) {
                _cleanup_free_ char *above = xstrndup(name, above_length(name));

                role = role_find(a, above);
                if (!role)
                        return role_nearest(a, above);
        }
        return role ? role : &a->root;
}

bool role_is_below(const struct role *role, const char *name)
{
        for (; role->parent; role = role->parent)
                if (strcmp(role->name, name) == 0)
                        return true;
        return false;
}

static bool role_is_used(const struct role *role)
{
        return role->children > 0 || role->clients > 0 || role->quota_count > 0 || role->entry.bookings > 0 ||
               role->entry.weight_milli != WEIGHT_DEFAULT_MILLI || !amounts_zero(&role->reserved);
}

void role_free_if_unused(struct allocator *a, struct role *role)
{
        while (role->parent && !role_is_used(role)) {
                struct role *parent = role->parent;

                if (role->dirty)
                        DL_DELETE2(a->dirty, role, dirty_prev, dirty_next);
                HASH_DEL(a->roles, role);
                parent->children--;
                sorter_entry_done(&role->entry);
                amounts_done(&role->firm);
                amounts_done(&role->reserved);
                amounts_done(&role->reserved_free);
                amounts_done(&role->need);
                amounts_done(&role->children_need);
                free(role->quotas);
                free(role->states);
                free(role->name);
                free(role);
                role = parent;
        }
}

/* ---- what is looked for ---- */

static uint64_t newest_of(const struct role *role, enum look look)
{
        uint64_t newest = sorter_newest(&role->sorter, look);

        return newest > 0 ? MAX(newest, role->opened) : 0;
}

/* Revocable and reserved resources are not kept back by a limit: they are not consumed by having them. */
static void generations_of(const struct role *role, uint64_t ret[LOOK_MAX])
{
        ret[LOOK_ANY] = newest_of(role, LOOK_ANY);
        ret[LOOK_REVOCABLE] = newest_of(role, LOOK_REVOCABLE);
        ret[LOOK_OPEN] = role->exhausted ? 0 : newest_of(role, LOOK_OPEN);
        ret[LOOK_ENTITLED] = role->exhausted  ? 0
                             : role->entitled ? ret[LOOK_OPEN]
                                              : newest_of(role, LOOK_ENTITLED);
}

void role_publish(struct role *role)
{
        uint64_t generation[LOOK_MAX];

        for (; role; role = role->parent) {
                generations_of(role, generation);
                if (memcmp(generation, role->entry.generation, sizeof(generation)) == 0)
                        return;
                sorter_set_generation(&role->entry, generation);
        }
}

void role_open(struct allocator *a, struct role *role)
{
        role->opened = ++a->generation;
        role_publish(role);
}

void role_set_weight(struct allocator *a, struct role *role, uint64_t weight_milli)
{
        bool active = role->entry.active;

        sorter_take_out(&role->parent->sorter, &role->entry);
        role->entry.weight_milli = weight_milli;
        if (active)
                sorter_put_in(&role->parent->sorter, &role->entry, &a->share_totals);
}

/* ---- clients ---- */

static void client_publish(struct client *client)
{
        uint64_t generation[LOOK_MAX] = {
                [LOOK_ANY] = client->generation,
                [LOOK_OPEN] = client->generation,
                [LOOK_REVOCABLE] = client->framework->revocable ? client->generation : 0,
        };

        sorter_set_generation(&client->entry, generation);
}

void client_look_anew(struct allocator *a, struct client *client)
{
        client->generation = ++a->generation;
        client_publish(client);
        role_publish(client->role);
}

/* A role is in the order of its parent while somebody is in its own. */
static void roles_enter_or_leave(struct allocator *a, struct role *role)
{
        for (; role->parent; role = role->parent) {
                bool wanted = role->sorter.count > 0;

                if (wanted == role->entry.active)
                        break;
                if (wanted) {
                        generations_of(role, role->entry.generation);
                        sorter_put_in(&role->parent->sorter, &role->entry, &a->share_totals);
                } else {
                        sorter_take_out(&role->parent->sorter, &role->entry);
                }
        }
        role_publish(role);
}

void client_set_active(struct allocator *a, struct client *client, bool active)
{
        struct role *role = client->role;

        if (active == client->entry.active)
                return;
        if (active) {
                client->generation = ++a->generation;
                client_publish(client);
                sorter_put_in(&role->sorter, &client->entry, &a->share_totals);
        } else {
                sorter_take_out(&role->sorter, &client->entry);
        }
        /* Its parents may have to hear of it below the first whose place changes, so from here as well as from there. */
        roles_enter_or_leave(a, role);
        role_publish(role);
}

/* ---- accounts ---- */

static void amounts_move(struct amounts *x, size_t number, uint64_t milli, bool more)
{
        if (more)
                amounts_add(x, number, milli);
        else
                amounts_take(x, number, milli);
}

static void entry_account(struct allocator *a, struct sorter *s, struct sorter_entry *e,
        const struct resources *r, bool more, unsigned bookings)
{
        bool active = e->active;

        sorter_take_out(s, e);
        for (size_t i = 0; i < r->count; i++)
                if (r->entries[i].kind == RESOURCE_SCALAR)
                        amounts_move(&e->allocated, scalar_number(&a->names, r->entries[i].name),
                                r->entries[i].milli, more);
        assert(more || e->bookings >= bookings);
        e->bookings = more ? e->bookings + bookings : e->bookings - bookings;
        if (active)
                sorter_put_in(s, e, &a->share_totals);
}

static void role_account_firm(struct allocator *a, struct role *role, const struct resources *r, bool more)
{
        for (size_t i = 0; i < r->count; i++)
                if (r->entries[i].kind == RESOURCE_SCALAR && !entry_revocable(&r->entries[i]))
                        amounts_move(&role->firm, scalar_number(&a->names, r->entries[i].name),
                                r->entries[i].milli, more);
        role_touch_quota(a, role);
}

void client_account(
        struct allocator *a, struct client *client, const struct resources *r, bool more, unsigned bookings)
{
        entry_account(a, &client->role->sorter, &client->entry, r, more, bookings);
        for (struct role *role = client->role; role->parent; role = role->parent) {
                entry_account(a, &role->parent->sorter, &role->entry, r, more, bookings);
                role_account_firm(a, role, r, more);
        }
}
