/*
 * Making, opening and entering groups. Order is what makes a crash harmless: a group is made in the v2 tree first and removed there
 * last, so whatever exists in a v1 hierarchy has a v2 directory that names it, and recovery needs to list only the v2 tree.
 */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/option.h"
#include "lib/linux/cgroup_internal.h"

#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)

static struct cgroup *group_new(const struct cgroup_root *r, const char *name)
{
        struct cgroup *c = NEW0(struct cgroup);

        c->root = r;
        c->name = xstrdup(name);
        c->directory = cgroup_name_to_directory(name);
        c->events_fd = -1;
        for (size_t i = 0; i < HIERARCHY_MAX; i++)
                c->fds[i] = -1;
        for (size_t i = 0; i < USAGE_FILE_MAX; i++)
                c->usage_fds[i] = -1;
        for (size_t i = 0; i < r->count; i++)
                c->paths[i] = xasprintf("%s%s%s", r->hierarchies[i].path, *name ? "/" : "", c->directory);
        return c;
}

static int read_id(struct cgroup *c)
{
        struct stat st;

        /* The inode of a kernfs directory is the 64-bit cgroup id. */
        if (fstat(c->fds[HIERARCHY_V2], &st) < 0)
                return -errno;
        c->id = st.st_ino;
        return 0;
}

/* ---- the directory in which groups are made ---- */

static void cache_drop(struct cgroup_parent_cache *cache)
{
        cleanup_free(&cache->name);
        cache->name = NULL;
        for (size_t i = 0; i < HIERARCHY_MAX; i++)
                cache->fds[i] = close_fd(cache->fds[i]);
}

/* Makes what is missing of `name` in one hierarchy and opens it; v2: each level hands its controllers to its children. */
static int open_parent(
        const struct cgroup_root *r, size_t index, const char *name, int *ret_fd, struct error *e)
{
        _cleanup_free_ char *copy = xstrdup(name);
        char *save = NULL;
        unsigned wanted = index == HIERARCHY_V2 ? r->hierarchies[index].controllers : 0;

        _cleanup_fd_ int fd = fcntl(r->fds[index], F_DUPFD_CLOEXEC, 3);
        if (fd < 0)
                return error_set_errno(e, -errno, "cannot duplicate a file descriptor");
        for (char *level = strtok_r(copy, "/", &save); level; level = strtok_r(NULL, "/", &save)) {
                bool made = mkdirat(fd, level, 0755) == 0;
                if (!made && errno != EEXIST)
                        return error_set_errno(e, -errno, "cannot make the control group %s/%s",
                                r->hierarchies[index].path, name);
                int next = openat(fd, level, DIR_FLAGS);
                if (next < 0)
                        return error_set_errno(e, -errno, "cannot open the control group %s/%s",
                                r->hierarchies[index].path, name);
                int inherited = cgroup_inherits_cpuset(r, index) ? cgroup_inherit_cpuset(fd, next) : 0;
                (void)close_fd(fd);
                fd = next;
                if (inherited < 0)
                        return error_set_errno(e, inherited, "cannot give CPUs to the control group %s/%s",
                                r->hierarchies[index].path, name);
                if (index == HIERARCHY_V2 && made)
                        cgroup_pass_protection(fd);
                unsigned enabled = 0;
                int res = wanted ? cgroup_enable_controllers(fd, wanted, &enabled) : 0;
                if (res < 0)
                        return error_set_errno(e, res, "cannot enable controllers in %s/%s",
                                r->hierarchies[index].path, name);
                if (enabled != wanted)
                        return error_set(e, -EBUSY,
                                "cannot enable controllers for the children of %s/%s: a group with processes "
                                "has none",
                                r->hierarchies[index].path, name);
        }
        *ret_fd = TAKE_FD(fd);
        return 0;
}

/* Called with the lock held; *ret_fds stays valid until it is released. */
static int find_parent(const struct cgroup_root *r, const char *name, const int **ret_fds, struct error *e)
{
        struct cgroup_parent_cache *cache = r->cache;

        if (!*name) {
                *ret_fds = r->fds;
                return 0;
        }
        if (!str_equal(cache->name, name)) {
                cache_drop(cache);
                for (size_t i = 0; i < r->count; i++) {
                        int res = open_parent(r, i, name, &cache->fds[i], e);
                        if (res < 0) {
                                cache_drop(cache);
                                return res;
                        }
                }
                cache->name = xstrdup(name);
        }
        *ret_fds = cache->fds;
        return 0;
}

/* ---- making ---- */

static int make_directory(int parent_fd, const char *base, bool v2, bool cpuset, int *ret_fd)
{
        int r = mkdirat(parent_fd, base, 0755) < 0 ? -errno : 0;

        /* Without a v2 group of this name, what is left in v1 is from another time, with its peaks and limits. */
        if (r == -EEXIST && !v2 && cgroup_tree_remove(parent_fd, base) >= 0)
                r = mkdirat(parent_fd, base, 0755) < 0 ? -errno : 0;
        if (r < 0)
                return r;
        int fd = openat(parent_fd, base, DIR_FLAGS);
        r = fd < 0 ? -errno : cpuset ? cgroup_inherit_cpuset(parent_fd, fd) : 0;
        if (r < 0) {
                (void)close_fd(fd);
                (void)unlinkat(parent_fd, base, AT_REMOVEDIR);
                return r;
        }
        *ret_fd = fd;
        return 0;
}

static int make_everywhere(struct cgroup *c, const int *parents, const char *base, struct error *e)
{
        for (size_t i = 0; i < c->root->count; i++) {
                int r = make_directory(
                        parents[i], base, i == HIERARCHY_V2, cgroup_inherits_cpuset(c->root, i), &c->fds[i]);
                if (r >= 0)
                        continue;
                while (i-- > 0) {
                        (void)unlinkat(parents[i], base, AT_REMOVEDIR);
                        c->fds[i] = close_fd(c->fds[i]);
                }
                return error_set_errno(e, r, "cannot make the control group %s", c->name);
        }
        return 0;
}

int cgroup_create(const struct cgroup_root *r, const char *name, struct cgroup **ret, struct error *e)
{
        int res = cgroup_name_validate(name, /* allow_empty= */ false, e);
        if (res < 0)
                return res;

        CLEANUP(cleanup_cgroup_free) struct cgroup *c = group_new(r, name);
        const char *slash = strrchr(c->directory, '/');
        const char *base = slash ? slash + 1 : c->directory;
        _cleanup_free_ char *parent = xstrndup(c->directory, slash ? (size_t)(slash - c->directory) : 0);
        const int *parents;

        (void)pthread_mutex_lock(&r->cache->lock);
        res = -ENOENT;
        /* ENOENT at first: the cached parent was removed behind us. */
        for (int attempt = 0; res == -ENOENT && attempt < 2; attempt++) {
                if (attempt > 0)
                        cache_drop(r->cache);
                res = find_parent(r, parent, &parents, e);
                if (res >= 0)
                        res = make_everywhere(c, parents, base, e);
        }
        (void)pthread_mutex_unlock(&r->cache->lock);
        if (res < 0)
                return res;
        if (e)
                error_done(e); /* of a first attempt */
        res = read_id(c);
        if (res < 0)
                return error_set_errno(e, res, "cannot examine the control group %s", name);
        *ret = TAKE_PTR(c);
        return 0;
}

int cgroup_open(const struct cgroup_root *r, const char *name, struct cgroup **ret, struct error *e)
{
        int res = cgroup_name_validate(name, /* allow_empty= */ true, e);
        if (res < 0)
                return res;

        CLEANUP(cleanup_cgroup_free) struct cgroup *c = group_new(r, name);
        for (size_t i = 0; i < r->count; i++) {
                c->fds[i] = openat(r->fds[i], *name ? c->directory : ".", DIR_FLAGS);
                /* A v1 part may be missing when a launch or a removal was cut off: the rest must be reachable to clean it up. */
                if (c->fds[i] < 0 && (i == HIERARCHY_V2 || errno != ENOENT))
                        return error_set_errno(e, -errno, "cannot open the control group %s", c->paths[i]);
        }
        res = read_id(c);
        if (res < 0)
                return error_set_errno(e, res, "cannot examine the control group %s", c->paths[HIERARCHY_V2]);
        *ret = TAKE_PTR(c);
        return 0;
}

struct cgroup *cgroup_free(struct cgroup *c)
{
        if (!c)
                return NULL;
        for (size_t i = 0; i < HIERARCHY_MAX; i++) {
                (void)close_fd(c->fds[i]);
                cleanup_free(&c->paths[i]);
        }
        for (size_t i = 0; i < USAGE_FILE_MAX; i++)
                (void)close_fd(c->usage_fds[i]);
        (void)close_fd(c->events_fd);
        cleanup_free(&c->name);
        cleanup_free(&c->directory);
        cleanup_free(&c);
        return NULL;
}

const char *cgroup_name(const struct cgroup *c)
{
        return c->name;
}

const char *cgroup_path(const struct cgroup *c, enum cgroup_controller ctl)
{
        int index = c->root->by_controller[ctl];

        return c->paths[index < 0 ? HIERARCHY_V2 : index];
}

uint64_t cgroup_id(const struct cgroup *c)
{
        return c->id;
}

int cgroup_v2_fd(const struct cgroup *c)
{
        return c->fds[HIERARCHY_V2];
}

static void close_directory(DIR **d)
{
        if (*d)
                (void)closedir(*d);
}

int cgroup_list(const struct cgroup_root *r, const char *name, struct string_list *ret)
{
        int res = cgroup_name_validate(name, /* allow_empty= */ true, NULL);
        if (res < 0)
                return res;

        _cleanup_free_ char *directory = cgroup_name_to_directory(name ? name : "");
        /* Opened anew: the offset of a directory fd is shared by its duplicates. */
        _cleanup_fd_ int fd = openat(r->fds[HIERARCHY_V2], *directory ? directory : ".", DIR_FLAGS);
        if (fd < 0)
                return -errno;
        CLEANUP(close_directory) DIR *d = fdopendir(fd);
        if (!d)
                return -errno;
        fd = -1; /* d owns it now */

        struct string_list list = {0};
        struct dirent *entry;
        while (errno = 0, (entry = readdir(d)))
                if (entry->d_type == DT_DIR && !str_equal(entry->d_name, ".") &&
                        !str_equal(entry->d_name, ".."))
                        string_list_add(&list, cgroup_name_from_directory(entry->d_name));
        if (errno != 0) {
                res = -errno;
                string_list_done(&list);
                return res;
        }
        *ret = list;
        return 0;
}

/* ---- entering ---- */

int cgroup_open_entry_fds(
        const struct cgroup *c, int ret_fds[static CGROUP_CONTROLLER_MAX], size_t *ret_count)
{
        int fds[CGROUP_CONTROLLER_MAX];
        size_t count = 0;

        /* "tasks", not "cgroup.procs": a thread that moves itself alone waits for no RCU grace period (10 ms and more). */
        for (size_t i = HIERARCHY_V2 + 1; i < c->root->count; i++) {
                /* Made before cores were offered: it has none of these, and no other limit is there. */
                if (c->fds[i] < 0 && c->root->hierarchies[i].controllers == CONTROLLER_BIT(CGROUP_CPUSET))
                        continue;
                int fd = c->fds[i] < 0 ? -1 : openat(c->fds[i], "tasks", O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
                if (fd < 0) {
                        int r = c->fds[i] < 0 ? -ENOENT : -errno;
                        while (count > 0)
                                (void)close_fd(fds[--count]);
                        return r;
                }
                fds[count++] = fd;
        }
        memcpy(ret_fds, fds, count * sizeof(fds[0]));
        *ret_count = count;
        return 0;
}

int cgroup_attach_pid(const struct cgroup *c, pid_t pid, struct error *e)
{
        /* Zero would attach ourselves. */
        if (pid <= 0)
                return error_set(e, -EINVAL, "%d is not a process id", (int)pid);
        for (size_t i = 0; i < c->root->count; i++) {
                int r = cgroup_file_write_u64(c->fds[i], "cgroup.procs", (uint64_t)pid);
                if (r < 0)
                        return error_set_errno(e, r, "cannot move process %d into the control group %s",
                                (int)pid, c->paths[i]);
        }
        return 0;
}
