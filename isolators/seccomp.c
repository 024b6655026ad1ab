/*
 * Seccomp: which system calls a task may make. The profile is compiled once per text and set of capabilities; a launch copies
 * the finished program into its plan. Other architectures' calls (i386, x32) kill the process: their numbers mean other things.
 */
#include "isolators/seccomp.h"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "isolators/isolators.h"
#include "lib/linux/syscall.h"

#define CACHE_ENTRIES 8
#define CACHED_PROFILE_MAX (128u << 10) /* longer ones are compiled each time */
#define FILTER_MAX 4096                 /* BPF_MAXINSNS */

#if defined(__x86_64__)
#define AUDIT_ARCH_NATIVE AUDIT_ARCH_X86_64
#else
#define AUDIT_ARCH_NATIVE AUDIT_ARCH_AARCH64
#endif

/* Newer than the library; these numbers are the same on every architecture. */
static const struct {
        const char *name;
        int number;
} new_calls[] = {
        {"set_mempolicy_home_node", 450},
        {"cachestat", 451},
        {"fchmodat2", 452},
        {"map_shadow_stack", 453},
        {"futex_wake", 454},
        {"futex_wait", 455},
        {"futex_requeue", 456},
        {"statmount", 457},
        {"listmount", 458},
        {"lsm_get_self_attr", 459},
        {"lsm_set_self_attr", 460},
        {"lsm_list_modules", 461},
        {"mseal", 462},
        {"setxattrat", 463},
        {"getxattrat", 464},
        {"listxattrat", 465},
        {"removexattrat", 466},
        {"open_tree_attr", 467},
        {"file_getattr", 468},
        {"file_setattr", 469},
};
#define NEWEST_CALL 469

struct cached {
        char *json; /* NULL: the default profile */
        uint64_t capabilities;
        struct sock_filter *filter;
        size_t count;
        uint64_t used; /* for eviction */
};
static struct cached cache[CACHE_ENTRIES];
static struct cached uncached; /* the last one that was too long to keep */
static uint64_t cache_clock;

static void cached_done(struct cached *c)
{
        free(c->json);
        free(c->filter);
        *c = (struct cached){0};
}

static int resolve(const char *name)
{
        int number = seccomp_syscall_resolve_name(name);

        for (size_t i = 0; number == __NR_SCMP_ERROR && i < ELEMENTSOF(new_calls); i++)
                if (strcmp(name, new_calls[i].name) == 0)
                        return new_calls[i].number;
        return number;
}

static bool has_repeated_index(const struct seccomp_rule *r)
{
        unsigned seen = 0;

        for (size_t i = 0; i < r->condition_count; i++) {
                if (seen & (1u << r->conditions[i].index))
                        return true;
                seen |= 1u << r->conditions[i].index;
        }
        return false;
}

static int add_call(scmp_filter_ctx ctx, const struct seccomp_rule *r, int number)
{
        struct scmp_arg_cmp args[ELEMENTSOF(r->conditions)];
        int res = 0;

        for (size_t i = 0; i < r->condition_count; i++)
                args[i] = (struct scmp_arg_cmp){.arg = r->conditions[i].index,
                        .op = (enum scmp_compare)r->conditions[i].op,
                        .datum_a = r->conditions[i].value,
                        .datum_b = r->conditions[i].value_two};
        if (!has_repeated_index(r))
                return seccomp_rule_add_array(ctx, r->action, number, (unsigned)r->condition_count, args);
        /* Several conditions on one argument are alternatives in this format, as its other users read it. */
        for (size_t i = 0; i < r->condition_count && res >= 0; i++)
                res = seccomp_rule_add_array(ctx, r->action, number, 1, &args[i]);
        return res;
}

static int add_rule(
        scmp_filter_ctx ctx, const struct seccomp_profile *p, const struct seccomp_rule *r, struct error *e)
{
        if (r->action == p->default_action)
                return 0;
        for (size_t i = 0; i < r->name_count; i++) {
                int number = resolve(r->names[i]);
                /* Profiles name calls of many kernels. One that nobody knows falls to the default: right when that denies. */
                if (number == __NR_SCMP_ERROR &&
                        (p->default_action == SCMP_ACT_ALLOW || p->default_action == SCMP_ACT_LOG))
                        return error_set(e, -EINVAL,
                                "seccomp profile: the system call \"%.64s\" is unknown, and the default "
                                "action would allow it",
                                r->names[i]);
                if (number == __NR_SCMP_ERROR)
                        continue;
                int res = add_call(ctx, r, number);
                /* -EEXIST: a rule for all arguments is there already. */
                if (res < 0 && res != -EEXIST)
                        return error_set_errno(
                                e, res, "seccomp profile: cannot add a rule for \"%.64s\"", r->names[i]);
        }
        return 0;
}

/*
 * Calls newer than everything we know get ENOSYS instead of the default errno: C libraries then fall back to older ones. Placed in
 * front of libseccomp's program, which checks the architecture again.
 */
static size_t write_prologue(const struct seccomp_profile *p, struct sock_filter *f)
{
        const struct sock_filter prologue[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_NATIVE, 0, 4),
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000 /* x32 */, 2, 0),
                BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, NEWEST_CALL, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        };

        if ((p->default_action & SECCOMP_RET_ACTION_FULL) != SECCOMP_RET_ERRNO)
                return 0;
        memcpy(f, prologue, sizeof(prologue));
        return ELEMENTSOF(prologue);
}

static int export_filter(
        scmp_filter_ctx ctx, const struct seccomp_profile *p, struct cached *ret, struct error *e)
{
        _cleanup_free_ char *data = NULL;
        size_t len;

        _cleanup_fd_ int fd = sys_memfd_create("mete-seccomp", MFD_CLOEXEC);
        if (fd < 0)
                return error_set_errno(e, fd, "cannot create memory for a seccomp program");
        int r = seccomp_export_bpf(ctx, fd);
        if (r >= 0 && lseek(fd, 0, SEEK_SET) < 0)
                r = -errno;
        if (r >= 0)
                r = read_all_fd(fd, SECCOMP_PROFILE_MAX, &data, &len);
        if (r < 0)
                return error_set_errno(e, r, "cannot compile the seccomp profile");
        _cleanup_free_ struct sock_filter *filter =
                xcalloc(len / sizeof(struct sock_filter) + 16, sizeof(*filter));
        size_t n = write_prologue(p, filter);
        memcpy(filter + n, data, len);
        n += len / sizeof(*filter);
        if (n > FILTER_MAX)
                return error_set(e, -E2BIG,
                        "seccomp profile: it compiles to %zu instructions, the kernel accepts %d: fewer "
                        "rules are wanted",
                        n, FILTER_MAX);
        ret->filter = TAKE_PTR(filter);
        ret->count = n;
        return 0;
}

static int compile(const char *json, uint64_t capabilities, struct cached *ret, struct error *e)
{
        struct seccomp_profile profile CLEANUP(seccomp_profile_done) = {0};

        int r = seccomp_profile_parse(json ? json : seccomp_default_profile, capabilities, &profile, e);
        if (r < 0)
                return r;
        scmp_filter_ctx ctx = seccomp_init(profile.default_action);
        if (!ctx)
                return error_set(e, -EINVAL, "seccomp profile: libseccomp refuses the default action");
        /* 2: a binary tree over the numbers, a dozen instructions a call instead of hundreds. */
        r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
        if (r >= 0)
                r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
        if (r < 0)
                (void)error_set_errno(e, r, "cannot configure libseccomp");
        for (size_t i = 0; i < profile.rule_count && r >= 0; i++)
                r = add_rule(ctx, &profile, &profile.rules[i], e);
        if (r >= 0)
                r = export_filter(ctx, &profile, ret, e);
        seccomp_release(ctx);
        return r;
}

static struct cached *find(const char *json, uint64_t capabilities)
{
        for (size_t i = 0; i < CACHE_ENTRIES; i++)
                if (cache[i].filter && cache[i].capabilities == capabilities &&
                        str_equal(cache[i].json, json))
                        return &cache[i];
        return NULL;
}

static struct cached *oldest(void)
{
        struct cached *o = &cache[0];

        for (size_t i = 1; i < CACHE_ENTRIES; i++)
                if (cache[i].used < o->used)
                        o = &cache[i];
        return o;
}

int seccomp_compile(const char *json, uint64_t capabilities, const struct sock_filter **ret,
        size_t *ret_count, struct error *e)
{
        struct cached fresh = {0};
        struct cached *c = find(json, capabilities);

        if (!c) {
                int r = compile(json, capabilities, &fresh, e);
                if (r < 0)
                        return r;
                bool keep = !json || strlen(json) <= CACHED_PROFILE_MAX;
                c = keep ? oldest() : &uncached;
                cached_done(c);
                *c = fresh;
                /* The whole text is the key: a hash could be made to collide with somebody else's profile. */
                c->json = keep ? xstrdup(json) : NULL;
                c->capabilities = capabilities;
        }
        c->used = ++cache_clock;
        *ret = c->filter;
        *ret_count = c->count;
        return 0;
}

void seccomp_cache_clear(void)
{
        for (size_t i = 0; i < CACHE_ENTRIES; i++)
                cached_done(&cache[i]);
        cached_done(&uncached);
}

static int seccomp_probe(struct isolator_host *h, struct error *e)
{
        uint32_t action = SECCOMP_RET_KILL_PROCESS;

        int r = sys_seccomp(SECCOMP_GET_ACTION_AVAIL, 0, &action);
        if (r < 0)
                return error_set(e, -ENOTSUP,
                        "seccomp filters do not work here (%s): Linux 4.14 with CONFIG_SECCOMP_FILTER has "
                        "them",
                        strerror(-r));
        return 0;
}

static int seccomp_prepare(struct isolator_host *h, struct container *c, struct plan *p, struct error *e)
{
        const struct sock_filter *filter;
        size_t count;

        if (c->spec->seccomp_unconfined)
                return 0;
        int r = seccomp_compile(c->spec->seccomp_profile, c->capabilities, &filter, &count, e);
        if (r >= 0)
                plan_add_blob(p, PLAN_PHASE_PRIVILEGE, PLAN_STEP_SECCOMP, 0, filter, count * sizeof(*filter));
        return r;
}

const struct isolator isolator_seccomp = {
        .name = "seccomp",
        .provides = "only the system calls of a profile",
        .probe = seccomp_probe,
        .prepare = seccomp_prepare,
};
