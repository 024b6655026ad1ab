/* What the task's main process gives up, in the order in which it still may. */
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "agent/shim/steps.h"
#include "lib/linux/syscall.h"

static int step_rlimit(struct steps *s, const struct plan_view *v)
{
        const struct plan_rlimit *l = v->data;
        struct rlimit limit = {.rlim_cur = l->soft, .rlim_max = l->hard};

        if (setrlimit((__rlimit_resource_t)l->resource, &limit) < 0)
                return error_set_errno(&s->error, -errno, "cannot set resource limit %u to %llu:%llu",
                        l->resource, (unsigned long long)l->soft, (unsigned long long)l->hard);
        return 0;
}

static int set_capabilities(uint64_t permitted, uint64_t effective, uint64_t inheritable)
{
        struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
        struct __user_cap_data_struct d[2] = {
                {(uint32_t)effective, (uint32_t)permitted, (uint32_t)inheritable},
                {(uint32_t)(effective >> 32), (uint32_t)(permitted >> 32), (uint32_t)(inheritable >> 32)},
        };

        return syscall(SYS_capset, &h, d) < 0 ? -errno : 0;
}

static int get_permitted(uint64_t *ret)
{
        struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
        struct __user_cap_data_struct d[2];

        if (syscall(SYS_capget, &h, d) < 0)
                return -errno;
        *ret = d[0].permitted | (uint64_t)d[1].permitted << 32;
        return 0;
}

static int drop_bounding(uint64_t keep)
{
        /* EINVAL marks the end of what this kernel knows. */
        for (unsigned cap = 0; cap < 64; cap++) {
                if (keep & (UINT64_C(1) << cap))
                        continue;
                if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
                        return errno == EINVAL ? 0 : -errno;
        }
        return 0;
}

static int step_user(struct steps *s, const struct plan_view *v)
{
        const struct plan_user *u = v->data;

        /* The task may open its own output again, as /dev/stdout. */
        if (fchown(STDOUT_FILENO, u->uid, (gid_t)-1) < 0 || fchown(STDERR_FILENO, u->uid, (gid_t)-1) < 0)
                return error_set_errno(&s->error, -errno, "cannot give the output to uid %u", u->uid);
        if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
                return error_set_errno(&s->error, -errno, "cannot keep capabilities");
        if (setgroups(u->group_count, u->groups) < 0)
                return error_set_errno(
                        &s->error, -errno, "cannot set %u supplementary groups", u->group_count);
        if (setresgid(u->gid, u->gid, u->gid) < 0)
                return error_set_errno(&s->error, -errno, "cannot become gid %u", u->gid);
        if (setresuid(u->uid, u->uid, u->uid) < 0)
                return error_set_errno(&s->error, -errno, "cannot become uid %u", u->uid);
        return 0;
}

static int step_capabilities(struct steps *s, const struct plan_view *v)
{
        const struct plan_capabilities *c = v->data;
        uint64_t permitted = 0;

        int r = get_permitted(&permitted);
        /* A new uid took the effective set away; the bounding set can only be narrowed with CAP_SETPCAP. */
        if (r >= 0)
                r = set_capabilities(permitted, permitted, 0);
        if (r >= 0)
                r = drop_bounding(c->bounding);
        if (r < 0)
                return error_set_errno(&s->error, r, "cannot narrow the bounding set of capabilities");
        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
                return error_set_errno(&s->error, -errno, "cannot clear the ambient capabilities");
        r = set_capabilities(c->permitted, c->effective, c->inheritable);
        if (r < 0)
                return error_set_errno(
                        &s->error, r, "cannot set the capabilities 0x%llx", (unsigned long long)c->permitted);
        for (unsigned cap = 0; cap < 64; cap++)
                if ((c->ambient & (UINT64_C(1) << cap)) &&
                        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
                        return error_set_errno(
                                &s->error, -errno, "cannot raise the ambient capability %u", cap);
        return 0;
}

static int step_no_new_privs(struct steps *s, const struct plan_view *v)
{
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return error_set_errno(&s->error, -errno, "cannot set no_new_privs");
        return 0;
}

static int step_seccomp(struct steps *s, const struct plan_view *v)
{
        struct sock_fprog program = {
                .len = (unsigned short)(v->length / sizeof(struct sock_filter)),
                .filter = (struct sock_filter *)(uintptr_t)v->data, /* read only by the kernel */
        };

        int r = sys_seccomp(SECCOMP_SET_MODE_FILTER, 0, &program);
        if (r < 0)
                return error_set_errno(&s->error, r, "cannot load the seccomp filter of %u instructions",
                        (unsigned)program.len);
        return 0;
}

int steps_process_run(struct steps *s, const struct plan_view *v)
{
        switch ((int)v->step) {
        case PLAN_STEP_RLIMIT:
                return step_rlimit(s, v);
        case PLAN_STEP_USER:
                return step_user(s, v);
        case PLAN_STEP_CAPABILITIES:
                return step_capabilities(s, v);
        case PLAN_STEP_NO_NEW_PRIVS:
                return step_no_new_privs(s, v);
        case PLAN_STEP_SECCOMP:
                return step_seccomp(s, v);
        default:
                return error_set(&s->error, -EINVAL, "the step does not belong into this phase");
        }
}

int steps_drop_to_signalling(struct steps *s)
{
        const uint64_t keep = UINT64_C(1) << CAP_KILL;

        /* The bounding set matters at execve only, which init never does. */
        int r = set_capabilities(keep, keep, 0);
        if (r >= 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                r = -errno;
        return r < 0 ? error_set_errno(&s->error, r, "cannot give up the privileges of init") : 0;
}
