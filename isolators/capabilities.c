/*
 * Capabilities. Root in a container gets the default set below, changed by add and drop; another user gets nothing, unless
 * capabilities are added by name: those become ambient, or execve would take them away. The default is what ordinary programs
 * run by root use on their own files and processes. Left out on purpose: NET_RAW (forged packets), MKNOD (devices), AUDIT_WRITE, SYS_CHROOT
 * (escapes from chroots), SETFCAP (plants privileges in files), and everything that concerns the machine.
 */
#include <linux/capability.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>

#include "isolators/isolators.h"
#include "lib/linux/capability.h"

#define BIT(cap) (UINT64_C(1) << (cap))
#define CAPABILITIES_DEFAULT                                                                                 \
        (BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_FOWNER) | BIT(CAP_FSETID) | BIT(CAP_KILL) |        \
                BIT(CAP_SETGID) | BIT(CAP_SETUID) | BIT(CAP_NET_BIND_SERVICE))
#define CAPABILITIES_ALL (BIT(CAPABILITY_COUNT) - 1)

static int parse_list(const char *field, const struct string_list *l, uint64_t *ret, struct error *e)
{
        uint64_t set = 0;

        for (size_t i = 0; i < l->count; i++) {
                if (strcasecmp(l->items[i], "ALL") == 0) {
                        set = CAPABILITIES_ALL;
                        continue;
                }
                int cap = capability_from_string(l->items[i]);
                if (cap < 0)
                        return error_set(e, -EINVAL,
                                "%s: \"%.64s\" is no capability: ALL or a name such as NET_BIND_SERVICE or "
                                "CAP_CHOWN is accepted",
                                field, l->items[i]);
                set |= BIT(cap);
        }
        *ret = set;
        return 0;
}

/* It never grows, and nobody here narrows it. */
static uint64_t own_bounding_set(void)
{
        static uint64_t set;

        if (set)
                return set;
        for (int i = 0; i < CAPABILITY_COUNT; i++)
                if (prctl(PR_CAPBSET_READ, i, 0, 0, 0) == 1)
                        set |= BIT(i);
        return set;
}

/* "ALL" means all that there is to give; a name that cannot be given is refused. */
static int check_available(const struct string_list *l, uint64_t available, struct error *e)
{
        for (size_t i = 0; i < l->count; i++) {
                int cap = capability_from_string(l->items[i]);
                if (cap >= 0 && !(available & BIT(cap)))
                        return error_set(e, -EPERM,
                                "cap_add: mete-agent does not have %s itself: start it with that capability "
                                "in its bounding set",
                                capability_to_string(cap));
        }
        return 0;
}

static int capabilities_probe(struct isolator_host *h, struct error *e)
{
        static const int wanted[] = {
                CAP_SYS_ADMIN, CAP_SETUID, CAP_SETGID, CAP_SETPCAP, CAP_KILL, CAP_MKNOD, CAP_CHOWN};
        uint64_t available = own_bounding_set();

        for (size_t i = 0; i < ELEMENTSOF(wanted); i++)
                if (!(available & BIT(wanted[i])))
                        return error_set(e, -ENOTSUP,
                                "mete-agent lacks %s: start it as root with that capability",
                                capability_to_string(wanted[i]));
        return 0;
}

static int capabilities_prepare(struct isolator_host *h, struct container *c, struct plan *p, struct error *e)
{
        const struct container_spec *s = c->spec;
        uint64_t add, drop, available = own_bounding_set();

        int r = parse_list("cap_add", &s->capabilities_add, &add, e);
        if (r >= 0)
                r = parse_list("cap_drop", &s->capabilities_drop, &drop, e);
        if (r >= 0)
                r = check_available(&s->capabilities_add, available, e);
        if (r < 0)
                return r;
        /* "drop ALL, add one" leaves that one; a name that is in both is dropped. */
        bool drop_all = drop == CAPABILITIES_ALL;
        uint64_t base = drop_all ? 0 : CAPABILITIES_DEFAULT & ~drop;
        uint64_t added = drop_all ? add : add & ~drop;
        uint64_t bounding = (base | added) & available;
        uint64_t held = c->user.uid == 0 ? bounding : added & available;
        struct plan_capabilities set = {.bounding = bounding, .permitted = held, .effective = held};
        if (c->user.uid != 0)
                set.inheritable = set.ambient = held;
        c->capabilities = held;
        plan_add_blob(p, PLAN_PHASE_PRIVILEGE, PLAN_STEP_CAPABILITIES, 0, &set, sizeof(set));
        return 0;
}

const struct isolator isolator_capabilities = {
        .name = "capabilities",
        .provides = "a small set of root's powers, none for other users",
        .probe = capabilities_probe,
        .prepare = capabilities_prepare,
};
