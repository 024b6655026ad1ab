/* What the read side asks of the allocator. */

#include "master/allocator/allocator_internal.h"

bool allocator_is_suppressed(const struct allocator *a, const char *framework, const char *role)
{
        const struct framework_slot *slot;
        const struct client *c, *next;

        HASH_FIND_STR(a->frameworks, framework, slot);
        if (!slot)
                return false;
        HASH_ITER (hh, slot->clients, c, next)
                if (str_equal(c->role->name, role))
                        return c->suppressed;
        return false;
}

void allocator_each_role(const struct allocator *a,
        void (*each)(const struct allocator_role_view *role, void *userdata), void *userdata)
{
        const struct role *role, *next;

        HASH_ITER (hh, a->roles, role, next) {
                struct allocator_role_view view = {
                        .name = role->name, .share = allocator_role_share(a, role->name)};

                for (size_t i = 0; i < a->heap.count; i++)
                        view.filters += a->heap.items[i]->refusals->client->role == role;
                each(&view, userdata);
        }
}
