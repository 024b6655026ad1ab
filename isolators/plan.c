/* Reading a plan: part of the static shim, so no allocation and nothing but the C library. */
#include "isolators/plan.h"

#include <string.h>

#include "lib/base/table.h"

static const char *const plan_step_names[PLAN_STEP_MAX] = {
        [PLAN_STEP_SETTINGS] = "settings",
        [PLAN_STEP_COMMAND] = "command",
        [PLAN_STEP_ENVIRONMENT] = "environment",
        [PLAN_STEP_LOOPBACK_UP] = "loopback",
        [PLAN_STEP_HOSTNAME] = "hostname",
        [PLAN_STEP_ROOT_HOST] = "root",
        [PLAN_STEP_ROOT_OVERLAY] = "rootfs",
        [PLAN_STEP_MOUNT] = "mount",
        [PLAN_STEP_BIND] = "bind",
        [PLAN_STEP_DEVICE] = "device",
        [PLAN_STEP_SYMLINK] = "symlink",
        [PLAN_STEP_MASK] = "mask",
        [PLAN_STEP_READONLY] = "readonly",
        [PLAN_STEP_RLIMIT] = "rlimit",
        [PLAN_STEP_USER] = "user",
        [PLAN_STEP_CAPABILITIES] = "capabilities",
        [PLAN_STEP_NO_NEW_PRIVS] = "no_new_privs",
        [PLAN_STEP_SECCOMP] = "seccomp",
};

const char *plan_step_to_string(enum plan_step s)
{
        return table_to_string(plan_step_names, ELEMENTSOF(plan_step_names), (int)s);
}

/* What the payload of each step must look like. */
static const struct {
        bool strings;
        uint32_t count_min, count_max; /* strings */
        size_t size;                   /* exact size of a blob; 0: see plan_blob_is_valid */
} plan_shapes[PLAN_STEP_MAX] = {
        [PLAN_STEP_SETTINGS] = {.size = sizeof(struct plan_settings)},
        [PLAN_STEP_COMMAND] = {true, 3, PLAN_STRINGS_MAX},
        [PLAN_STEP_ENVIRONMENT] = {true, 0, PLAN_STRINGS_MAX},
        [PLAN_STEP_LOOPBACK_UP] = {true, 0, 0},
        [PLAN_STEP_HOSTNAME] = {true, 1, 1},
        [PLAN_STEP_ROOT_HOST] = {true, 0, 0},
        [PLAN_STEP_ROOT_OVERLAY] = {true, 5, 5},
        [PLAN_STEP_MOUNT] = {true, 4, 4},
        [PLAN_STEP_BIND] = {true, 2, 3},
        [PLAN_STEP_DEVICE] = {true, 1, 1},
        [PLAN_STEP_SYMLINK] = {true, 2, 2},
        [PLAN_STEP_MASK] = {true, 1, 1},
        [PLAN_STEP_READONLY] = {true, 1, 1},
        [PLAN_STEP_RLIMIT] = {.size = sizeof(struct plan_rlimit)},
        [PLAN_STEP_USER] = {.size = sizeof(struct plan_user)},
        [PLAN_STEP_CAPABILITIES] = {.size = sizeof(struct plan_capabilities)},
        [PLAN_STEP_NO_NEW_PRIVS] = {true, 0, 0},
        [PLAN_STEP_SECCOMP] = {0},
};

#define PLAN_FILTER_SIZE 8    /* struct sock_filter */
#define PLAN_FILTER_MAX 32768 /* BPF_MAXINSNS is 4096; a blob that cannot be one is refused here */

static size_t plan_align(size_t n)
{
        return (n + 7) & ~(size_t)7;
}

static bool plan_strings_are_valid(const char *data, size_t length, uint32_t count)
{
        for (uint32_t i = 0; i < count; i++) {
                const char *end = memchr(data, '\0', length);
                if (!end)
                        return false;
                length -= (size_t)(end + 1 - data);
                data = end + 1;
        }
        return length == 0;
}

static bool plan_blob_is_valid(enum plan_step step, const void *data, size_t length)
{
        if (step == PLAN_STEP_SECCOMP)
                return length > 0 && length <= PLAN_FILTER_MAX && length % PLAN_FILTER_SIZE == 0;
        if (length != plan_shapes[step].size)
                return false;
        if (step == PLAN_STEP_SETTINGS) {
                const struct plan_settings *s = data;
                return memchr(s->container_id, '\0', sizeof(s->container_id)) != NULL;
        }
        if (step == PLAN_STEP_USER)
                return ((const struct plan_user *)data)->group_count <= PLAN_GROUPS_MAX;
        return true;
}

static bool plan_record_is_valid(const struct plan_record *r, const void *data)
{
        if (r->step == PLAN_STEP_INVALID_0 || r->step >= PLAN_STEP_MAX || r->phase >= PLAN_PHASE_MAX)
                return false;
        if (!plan_shapes[r->step].strings)
                return r->string_count == 0 && plan_blob_is_valid(r->step, data, r->length);
        return r->string_count >= plan_shapes[r->step].count_min &&
               r->string_count <= plan_shapes[r->step].count_max &&
               plan_strings_are_valid(data, r->length, r->string_count);
}

int plan_check(const void *plan, size_t size)
{
        const struct plan_header *h = plan;
        size_t at = sizeof(*h);
        unsigned settings = 0, commands = 0, environments = 0;
        unsigned phase = 0;

        if (size < sizeof(*h) || size > PLAN_SIZE_MAX || (uintptr_t)plan % 8 != 0)
                return -EBADMSG;
        if (h->magic != PLAN_MAGIC || h->version != PLAN_VERSION || h->size != size)
                return -EBADMSG;
        for (uint32_t i = 0; i < h->count; i++) {
                if (size - at < sizeof(struct plan_record))
                        return -EBADMSG;
                const struct plan_record *r = (const void *)((const char *)plan + at);
                at += sizeof(*r);
                if (r->length > size - at || plan_align(r->length) > size - at)
                        return -EBADMSG;
                if (!plan_record_is_valid(r, (const char *)plan + at) || r->phase < phase)
                        return -EBADMSG;
                phase = r->phase;
                at += plan_align(r->length);
                settings += r->step == PLAN_STEP_SETTINGS;
                commands += r->step == PLAN_STEP_COMMAND;
                environments += r->step == PLAN_STEP_ENVIRONMENT;
        }
        return at == size && settings == 1 && commands == 1 && environments == 1 ? 0 : -EBADMSG;
}

int plan_next(const void *plan, size_t *cursor, struct plan_view *ret)
{
        const struct plan_header *h = plan;
        size_t at = *cursor ? *cursor : sizeof(*h);

        if (at >= h->size)
                return 0;
        const struct plan_record *r = (const void *)((const char *)plan + at);
        *ret = (struct plan_view){
                .step = (enum plan_step)r->step,
                .phase = (enum plan_phase)r->phase,
                .flags = r->flags,
                .data = r + 1,
                .length = r->length,
                .string_count = r->string_count,
        };
        *cursor = at + sizeof(*r) + plan_align(r->length);
        return 1;
}

const char *plan_string(const struct plan_view *v, uint32_t index)
{
        const char *s = v->data;

        if (index >= v->string_count)
                return NULL;
        while (index-- > 0)
                s += strlen(s) + 1;
        return s;
}
