#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/linux/cgroup_internal.h"

#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)
/* Another agent's shutdown removes empty levels that we share: made anew when they go between two of our steps. */
#define LEVEL_ATTEMPTS 8

static void add_word(struct buffer *b, char sign, const char *name)
{
        buffer_printf(b, "%s%c%s", b->len ? " " : "", sign, name);
}

int cgroup_enable_controllers(int dirfd, unsigned wanted, unsigned *ret_enabled)
{
        char text[512];
        _cleanup_buffer_ struct buffer words = {0};

        int r = cgroup_file_read(dirfd, "cgroup.controllers", text, sizeof(text));
        if (r < 0)
                return r;
        wanted &= cgroup_parse_controllers(text);
        r = cgroup_file_read(dirfd, "cgroup.subtree_control", text, sizeof(text));
        if (r < 0)
                return r;
        unsigned enabled = cgroup_parse_controllers(text);
        unsigned lacking = wanted & ~enabled;
        for (int c = 0; c < CGROUP_CONTROLLER_MAX; c++)
                if (lacking & CONTROLLER_BIT(c))
                        add_word(&words, '+', cgroup_controller_v2_name((enum cgroup_controller)c));
        if (lacking && cgroup_file_write(dirfd, "cgroup.subtree_control", words.data) >= 0)
                lacking = 0;
        /* All or nothing failed: one that is refused must not take the others with it. */
        for (int c = 0; c < CGROUP_CONTROLLER_MAX; c++) {
                if (!(lacking & CONTROLLER_BIT(c)))
                        continue;
                (void)snprintf(
                        text, sizeof(text), "+%s", cgroup_controller_v2_name((enum cgroup_controller)c));
                if (cgroup_file_write(dirfd, "cgroup.subtree_control", text) < 0)
                        wanted &= ~CONTROLLER_BIT(c);
        }
        *ret_enabled = wanted;
        return 0;
}

/* Kernels before 5.11 account a v1 memory group without its children unless told so, and only before it has children. */
static int use_hierarchy(int dirfd)
{
        char text[32];
        int r = cgroup_file_read(dirfd, "memory.use_hierarchy", text, sizeof(text));

        if (r == -ENOENT || (r >= 0 && text[0] == '1'))
                return 0;
        return r < 0 ? r : cgroup_file_write(dirfd, "memory.use_hierarchy", "1");
}

void cgroup_pass_protection(int dirfd)
{
        /* The file is missing without the controller: then there is no protection to pass on. */
        (void)!cgroup_file_write(dirfd, "memory.low", "max");
}

/* What every level from the mount point down to our root needs, so that the groups below get their controllers. */
static int prepare_level(struct cgroup_hierarchy *h, bool v2, int dirfd)
{
        if (v2)
                return cgroup_enable_controllers(dirfd, h->controllers, &h->controllers);
        return h->controllers & CONTROLLER_BIT(CGROUP_MEMORY) ? use_hierarchy(dirfd) : 0;
}

static int prepare_cpuset(const struct cgroup_hierarchy *h, bool v2, int parent_fd, int dirfd)
{
        return !v2 && h->controllers & CONTROLLER_BIT(CGROUP_CPUSET) ? cgroup_inherit_cpuset(parent_fd, dirfd)
                                                                     : 0;
}

static int make_levels(struct cgroup_hierarchy *h, bool v2, const char *relative, int *ret_fd)
{
        _cleanup_free_ char *copy = xstrdup(relative);
        char *save = NULL;

        _cleanup_fd_ int fd = fcntl(h->mount_fd, F_DUPFD_CLOEXEC, 3);
        if (fd < 0)
                return -errno;
        /* The v1 root group cannot be changed and is hierarchical by itself. */
        int r = v2 ? prepare_level(h, v2, fd) : 0;
        for (char *name = strtok_r(copy, "/", &save); name && r >= 0; name = strtok_r(NULL, "/", &save)) {
                bool made = mkdirat(fd, name, 0755) == 0;
                if (!made && errno != EEXIST)
                        return -errno;
                int next = openat(fd, name, DIR_FLAGS);
                if (next < 0)
                        return -errno;
                r = prepare_cpuset(h, v2, fd, next);
                (void)close_fd(fd);
                fd = next;
                if (v2 && made)
                        cgroup_pass_protection(fd);
                if (r >= 0)
                        r = prepare_level(h, v2, fd);
        }
        if (r < 0)
                return r;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

static int open_hierarchy(struct cgroup_root *root, size_t index, struct error *e)
{
        struct cgroup_hierarchy *h = &root->hierarchies[index];
        int r = -ENOENT;

        h->mount_fd = open(h->mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (h->mount_fd < 0)
                return error_set_errno(e, -errno, "cannot open the cgroup mount %s", h->mount);
        h->path = xasprintf("%s/%s", h->mount, root->relative);
        for (int i = 0; r == -ENOENT && i < LEVEL_ATTEMPTS; i++)
                r = make_levels(h, index == HIERARCHY_V2, root->relative, &root->fds[index]);
        if (r == -EROFS)
                return error_set(
                        e, r, "cannot make the control group %s: %s is mounted read-only", h->path, h->mount);
        if (r < 0)
                return error_set_errno(e, r, "cannot make the control group %s", h->path);
        return 0;
}

static size_t add_hierarchy(struct cgroup_root *root, const char *mount, unsigned controllers)
{
        for (size_t i = 0; i < root->count; i++)
                if (str_equal(root->hierarchies[i].mount, mount)) {
                        root->hierarchies[i].controllers |= controllers;
                        return i;
                }
        root->hierarchies[root->count] = (struct cgroup_hierarchy){
                .mount = xstrdup(mount), .mount_fd = -1, .controllers = controllers};
        return root->count++;
}

static int read_controllers(const char *path, char *text, size_t size)
{
        _cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);

        return fd < 0 ? -errno : cgroup_fd_read(fd, text, size);
}

/* An earlier root had groups there: they are found, and removed, with the others. */
static bool has_directory(const char *mount, const char *relative)
{
        _cleanup_free_ char *path = xasprintf("%s/%s", mount, relative);

        return access(path, F_OK) == 0;
}

/* Which hierarchy serves what: the v2 tree where it has the controller, else v1. */
static int choose_hierarchies(
        struct cgroup_root *root, const struct cgroup_mounts *m, bool cpuset, struct error *e)
{
        unsigned v1 = CONTROLLERS_V1;
        char text[512];

        (void)add_hierarchy(root, m->v2, 0);
        _cleanup_free_ char *path = xasprintf("%s/cgroup.controllers", m->v2);
        int r = read_controllers(path, text, sizeof(text));
        if (r < 0)
                return error_set_errno(e, r, "cannot read %s", path);
        root->hierarchies[HIERARCHY_V2].controllers = cgroup_parse_controllers(text);
        if (cpuset || (m->v1[CGROUP_CPUSET] && has_directory(m->v1[CGROUP_CPUSET], root->relative)))
                v1 |= CONTROLLER_BIT(CGROUP_CPUSET);
        for (int c = 0; c < CGROUP_CONTROLLER_MAX; c++)
                if (m->v1[c] && v1 & CONTROLLER_BIT(c) & ~root->hierarchies[HIERARCHY_V2].controllers)
                        (void)add_hierarchy(root, m->v1[c], CONTROLLER_BIT(c));
        root->layout = root->count > 1 ? CGROUP_LAYOUT_HYBRID : CGROUP_LAYOUT_UNIFIED;
        return 0;
}

static char *explain_missing(const struct cgroup_mounts *m, unsigned offered, enum cgroup_controller c)
{
        const char *name = cgroup_controller_to_string(c);

        if (offered & CONTROLLER_BIT(c))
                return xasprintf("the %s controller cannot be enabled below %s, where processes may live in "
                                 "a group on the way or the group "
                                 "may not be delegated: give Mete a group whose parents have %s in "
                                 "cgroup.subtree_control",
                        name, m->v2, name);
        if (m->v1[c])
                return xasprintf("the %s controller is bound to cgroup v1 (%s), where Mete makes no "
                                 "groups%s: boot with "
                                 "systemd.unified_cgroup_hierarchy=1 to have it on cgroup v2",
                        name, m->v1[c],
                        c == CGROUP_CPUSET ? " unless mete-agent offers cores (--resources cores:[0-1])"
                                           : "");
        return xasprintf("the %s controller is neither in cgroup.controllers of %s nor mounted as cgroup v1: "
                         "enable it in the kernel "
                         "(command line cgroup_enable=%s) or mount it",
                name, m->v2, name);
}

static void map_controllers(struct cgroup_root *root, const struct cgroup_mounts *m, unsigned offered)
{
        for (int c = 0; c < CGROUP_CONTROLLER_MAX; c++) {
                root->by_controller[c] = -1;
                /* CPU time, freezing and device rules by eBPF are in every group of the v2 tree. */
                if (c == CGROUP_CPUACCT || c == CGROUP_FREEZER || c == CGROUP_DEVICES)
                        root->by_controller[c] = HIERARCHY_V2;
                for (size_t i = 0; i < root->count; i++)
                        if (root->hierarchies[i].controllers & CONTROLLER_BIT(c))
                                root->by_controller[c] = (int)i;
                if (root->by_controller[c] < 0)
                        root->missing[c] = explain_missing(m, offered, (enum cgroup_controller)c);
        }
}

static int discover(const char *sysroot, struct cgroup_mounts *ret, struct error *e)
{
        if (str_equal(sysroot, "/") && cgroup_mounts_ask(ret) >= 0)
                return 0;
        int r = cgroup_mounts_parse(sysroot, ret);
        if (r < 0)
                return error_set_errno(
                        e, r, "cannot read the mounts of this machine (%s/proc/self/mounts)", sysroot);
        if (ret->v2)
                return 0;
        cgroup_mounts_done(ret);
        return error_set(e, -ENOTSUP,
                "there is no cgroup2 mount: mount one beside the v1 hierarchies (mount -t cgroup2 none "
                "/sys/fs/cgroup/unified) or boot with "
                "systemd.unified_cgroup_hierarchy=1");
}

static struct cgroup_root *root_new(const char *relative)
{
        struct cgroup_root *root = NEW0(struct cgroup_root);

        root->relative = xstrdup(relative);
        root->cache = NEW0(struct cgroup_parent_cache);
        (void)pthread_mutex_init(&root->cache->lock, NULL);
        for (size_t i = 0; i < HIERARCHY_MAX; i++)
                root->fds[i] = root->cache->fds[i] = root->hierarchies[i].mount_fd = -1;
        return root;
}

static int root_open(
        const char *sysroot, const char *relative, bool cpuset, struct cgroup_root **ret, struct error *e)
{
        CLEANUP(cgroup_mounts_done) struct cgroup_mounts mounts = {0};

        int r = cgroup_name_validate(relative, /* allow_empty= */ false, e);
        if (r >= 0)
                r = discover(sysroot, &mounts, e);
        if (r < 0)
                return r;

        CLEANUP(cleanup_cgroup_root_free) struct cgroup_root *root = root_new(relative);
        r = choose_hierarchies(root, &mounts, cpuset, e);
        unsigned offered = r < 0 ? 0 : root->hierarchies[HIERARCHY_V2].controllers;
        for (size_t i = 0; r >= 0 && i < root->count; i++)
                r = open_hierarchy(root, i, e);
        if (r < 0)
                return r;
        map_controllers(root, &mounts, offered);
        *ret = TAKE_PTR(root);
        return 0;
}

int cgroup_root_open(const char *sysroot, const char *relative, struct cgroup_root **ret, struct error *e)
{
        return root_open(sysroot, relative, /* cpuset= */ false, ret, e);
}

int cgroup_root_open_with_cpuset(
        const char *sysroot, const char *relative, struct cgroup_root **ret, struct error *e)
{
        return root_open(sysroot, relative, /* cpuset= */ true, ret, e);
}

struct cgroup_root *cgroup_root_free(struct cgroup_root *r)
{
        if (!r)
                return NULL;
        for (size_t i = 0; i < HIERARCHY_MAX; i++) {
                (void)close_fd(r->fds[i]);
                (void)close_fd(r->cache->fds[i]);
                (void)close_fd(r->hierarchies[i].mount_fd);
                cleanup_free(&r->hierarchies[i].mount);
                cleanup_free(&r->hierarchies[i].path);
        }
        for (size_t i = 0; i < CGROUP_CONTROLLER_MAX; i++)
                cleanup_free(&r->missing[i]);
        (void)pthread_mutex_destroy(&r->cache->lock);
        cleanup_free(&r->cache->name);
        cleanup_free(&r->cache);
        cleanup_free(&r->relative);
        cleanup_free(&r);
        return NULL;
}

enum cgroup_layout cgroup_root_layout(const struct cgroup_root *r)
{
        return r->layout;
}

bool cgroup_root_has(const struct cgroup_root *r, enum cgroup_controller c)
{
        return r->by_controller[c] >= 0;
}

const char *cgroup_root_missing(const struct cgroup_root *r, enum cgroup_controller c)
{
        return r->missing[c];
}

const char *cgroup_root_v2_mount(const struct cgroup_root *r)
{
        return r->hierarchies[HIERARCHY_V2].mount;
}

/* Levels above our root that are empty now ("mete" of "mete/agent-5051"); one that others use refuses with EBUSY. */
static void remove_empty_parents(const struct cgroup_root *r, int mount_fd)
{
        _cleanup_free_ char *path = xstrdup(r->relative);
        char *slash;

        while ((slash = strrchr(path, '/'))) {
                *slash = '\0';
                if (unlinkat(mount_fd, path, AT_REMOVEDIR) < 0)
                        return;
        }
}

int cgroup_root_destroy(struct cgroup_root *r, uint64_t timeout_ns, struct error *e)
{
        CLEANUP(cleanup_cgroup_free) struct cgroup *self = NULL;

        int res = cgroup_open(r, "", &self, e);
        if (res < 0)
                return res;
        res = cgroup_kill(self, e);
        if (res < 0)
                return res;
        res = cgroup_wait_empty(self, timeout_ns);
        if (res < 0)
                return error_set_errno(e, res, "processes in the control group %s did not end after SIGKILL",
                        cgroup_path(self, CGROUP_CPUACCT));
        /* v1 first: while a group exists anywhere, its v2 directory names it. */
        for (size_t i = r->count; i-- > 0;) {
                const struct cgroup_hierarchy *h = &r->hierarchies[i];
                res = cgroup_tree_remove(h->mount_fd, r->relative);
                if (res < 0)
                        return error_set_errno(e, res, "cannot remove the control group %s", h->path);
                remove_empty_parents(r, h->mount_fd);
        }
        return 0;
}
