/* Frameworks, and what they are in each of their roles. */
#include <stdlib.h>
#include <string.h>

#include "master/allocator/allocator_internal.h"

static struct framework_slot *find_framework(const struct allocator *a, const char *id)
{
        struct framework_slot *framework;

        HASH_FIND_STR(a->frameworks, id, framework);
        return framework;
}

struct client *client_find(const struct allocator *a, const char *framework_id, const char *role_name)
{
        struct framework_slot *framework = find_framework(a, framework_id);
        struct role *role = role_find(a, role_name);
        struct client *client = NULL;

        if (framework && role)
                HASH_FIND_PTR(framework->clients, &role, client);
        return client;
}

/* Is it to be offered something? Follows from three facts; the sorters hold those that are. */
static void client_update(struct allocator *a, struct client *client)
{
        client_set_active(a, client, client->framework->active && client->subscribed && !client->suppressed);
}

struct client *client_get(struct allocator *a, struct framework_slot *framework, const char *role_name)
{
        struct role *role = role_get(a, role_name);
        struct client *client;

        HASH_FIND_PTR(framework->clients, &role, client);
        if (client)
                return client;
        client = NEW0(struct client);
        client->number = ++a->clients_ever;
        client->framework = framework;
        client->role = role;
        role->clients++;
        sorter_entry_init(&client->entry, framework->id, /* is_role= */ false);
        HASH_ADD_PTR(framework->clients, role, client);
        return client;
}

static void client_set_subscribed(struct allocator *a, struct client *client, bool subscribed)
{
        if (client->subscribed == subscribed)
                return;
        client->subscribed = subscribed;
        client->suppressed = false;
        client->role->subscribed += subscribed ? 1 : (size_t)-1;
        client_update(a, client);
}

/* The framework does not have the role any more, and no say in what is left of it. */
static void client_leave(struct allocator *a, struct client *client)
{
        filters_forget(a, client);
        client_set_subscribed(a, client, false);
        HASH_DEL(client->framework->clients, client);
        client->framework = NULL;
        client_depart(a, client);
}

/* A role that the framework left lives on in the books for as long as something is booked. */
void client_free_if_unused(struct allocator *a, struct client *client)
{
        if (client->framework && !client->subscribed && client->entry.bookings == 0)
                client_leave(a, client);
}

static void client_unsubscribe(struct allocator *a, struct client *client)
{
        filters_forget(a, client);
        client_set_subscribed(a, client, false);
        client_free_if_unused(a, client);
}

/* ---- frameworks ---- */

int allocator_add_framework(struct allocator *a, const char *id, const char *const *roles, size_t role_count)
{
        struct framework_slot *framework;

        if (find_framework(a, id))
                return -EEXIST;
        framework = NEW0(struct framework_slot);
        framework->id = xstrdup(id);
        framework->active = true;
        HASH_ADD_KEYPTR(hh, a->frameworks, framework->id, strlen(framework->id), framework);
        for (size_t i = 0; i < role_count; i++)
                client_set_subscribed(a, client_get(a, framework, roles[i]), true);
        return 0;
}

int allocator_set_framework_roles(
        struct allocator *a, const char *id, const char *const *roles, size_t role_count)
{
        struct framework_slot *framework = find_framework(a, id);
        struct client *client, *next;

        if (!framework)
                return -ENOENT;
        HASH_ITER (hh, framework->clients, client, next)
                client->wanted = false;
        for (size_t i = 0; i < role_count; i++) {
                client = client_get(a, framework, roles[i]);
                client->wanted = true;
                client_set_subscribed(a, client, true);
        }
        HASH_ITER (hh, framework->clients, client, next)
                if (client->subscribed && !client->wanted)
                        client_unsubscribe(a, client);
        (void)clear_away(a, CLEAR_NOW);
        return 0;
}

int allocator_set_framework_active(struct allocator *a, const char *id, bool active)
{
        struct framework_slot *framework = find_framework(a, id);
        struct client *client, *next;

        if (!framework)
                return -ENOENT;
        framework->active = active;
        HASH_ITER (hh, framework->clients, client, next)
                client_update(a, client);
        return 0;
}

int allocator_set_framework_revocable(struct allocator *a, const char *id, bool revocable)
{
        struct framework_slot *framework = find_framework(a, id);
        struct client *client, *next;

        if (!framework)
                return -ENOENT;
        if (framework->revocable == revocable)
                return 0;
        framework->revocable = revocable;
        HASH_ITER (hh, framework->clients, client, next)
                client_look_anew(a, client);
        return 0;
}

int allocator_remove_framework(struct allocator *a, const char *id)
{
        struct framework_slot *framework = find_framework(a, id);
        struct client *client, *next;

        if (!framework)
                return -ENOENT;
        HASH_ITER (hh, framework->clients, client, next)
                client_leave(a, client);
        HASH_DEL(a->frameworks, framework);
        free(framework->id);
        free(framework);
        (void)clear_away(a, CLEAR_NOW);
        return 0;
}

static int for_clients(
        struct allocator *a, const char *id, const char *role, void (*f)(struct allocator *, struct client *))
{
        struct framework_slot *framework = find_framework(a, id);
        struct client *client, *next, *only = role ? client_find(a, id, role) : NULL;

        if (!framework || (role && (!only || !only->subscribed)))
                return -ENOENT;
        if (only) {
                f(a, only);
                return 0;
        }
        HASH_ITER (hh, framework->clients, client, next)
                if (client->subscribed)
                        f(a, client);
        return 0;
}

static void client_revive(struct allocator *a, struct client *client)
{
        filters_forget(a, client);
        client->suppressed = false;
        client_update(a, client);
        client_look_anew(a, client);
        (void)clear_away(a, CLEAR_NOW);
}

static void client_suppress(struct allocator *a, struct client *client)
{
        client->suppressed = true;
        client_update(a, client);
}

int allocator_suppress(struct allocator *a, const char *framework, const char *role)
{
        return for_clients(a, framework, role, client_suppress);
}

int allocator_revive(struct allocator *a, const char *framework, const char *role)
{
        return for_clients(a, framework, role, client_revive);
}
