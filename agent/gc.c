#include "agent/gc.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utlist.h>

#include "lib/base/log.h"

#define BATCH_MAX 64
#define CHECK_MAX_NS (3600 * NSEC_PER_SEC)
/* slaves/A/frameworks/F/executors/T/runs/C */
#define LEVELS 8

char *gc_sandbox_path(
        const char *agent_id, const char *framework_id, const char *task_id, const char *container_id)
{
        return xasprintf("slaves/%s/frameworks/%s/executors/%s/runs/%s", agent_id, framework_id, task_id,
                container_id);
}

const char *gc_relative_path(const char *path, const char *work_dir)
{
        size_t n = strlen(work_dir);

        while (n > 0 && work_dir[n - 1] == '/')
                n--;
        if (strncmp(path, work_dir, n) != 0 || path[n] != '/')
                return NULL;
        return path + n + 1;
}

/* ---- removing ---- */

struct batch {
        struct gc *gc;
        struct gc_entry *entries; /* owned */
        uint64_t removed, failed; /* the worker's until the batch is done */
};

static void schedule(struct gc *g);

static void remove_batch(void *userdata)
{
        struct batch *b = userdata;
        struct gc_entry *e;

        DL_FOREACH (b->entries, e) {
                _cleanup_free_ char *state = xasprintf("%s.state", e->path);

                if (remove_tree_at(b->gc->work_fd, e->path) == 0 &&
                        remove_tree_at(b->gc->work_fd, state) == 0) {
                        b->removed++;
                        continue;
                }
                b->failed++;
                log_debug("cannot remove all of the sandbox %s: the next start tries again", e->path);
        }
}

/* "latest" of an executor that has no sandbox any more. */
static void remove_dangling_link(int work_fd, const char *runs)
{
        _cleanup_free_ char *link = xasprintf("%s/latest", runs);
        struct stat st;

        if (fstatat(work_fd, link, &st, 0) < 0 && errno == ENOENT)
                (void)unlinkat(work_fd, link, 0);
}

void gc_remove_empty_parents(int work_fd, char *path)
{
        for (int level = 1; level < LEVELS - 1; level++) {
                char *slash = strrchr(path, '/');

                if (!slash)
                        return;
                *slash = '\0';
                if (level == 1)
                        remove_dangling_link(work_fd, path);
                if (unlinkat(work_fd, path, AT_REMOVEDIR) < 0)
                        return;
        }
}

static void batch_done(void *userdata)
{
        struct batch *b = userdata;
        struct gc *g = b->gc;
        struct gc_entry *e, *tmp;

        DL_FOREACH_SAFE (b->entries, e, tmp) {
                gc_remove_empty_parents(g->work_fd, e->path);
                free(e->path);
                free(e);
        }
        g->removed += b->removed;
        g->failed += b->failed;
        free(b);
        g->running = false;
        schedule(g);
}

static bool is_due(const struct gc *g, const struct gc_entry *e, uint64_t now)
{
        return g->count > g->max_count || now >= e->ended_wall_ns + g->delay_ns;
}

static void run(struct gc *g)
{
        struct batch *b = NEW0(struct batch);
        uint64_t now = wall_now().ns;

        b->gc = g;
        for (int i = 0; i < BATCH_MAX && g->entries && is_due(g, g->entries, now); i++) {
                struct gc_entry *e = g->entries;

                DL_DELETE(g->entries, e);
                g->count--;
                DL_APPEND(b->entries, e);
        }
        g->running = true;
        if (worker_pool_submit(g->pool, g, remove_batch, batch_done, b) < 0) {
                /* The pool is full: these wait for the next turn. */
                g->running = false;
                DL_CONCAT(b->entries, g->entries);
                struct gc_entry *e;
                g->entries = b->entries;
                g->count = 0;
                DL_FOREACH (g->entries, e)
                        g->count++;
                free(b);
                loop_timer_arm(g->timer, NSEC_PER_SEC, 0);
        }
}

static void schedule(struct gc *g)
{
        uint64_t now = wall_now().ns;

        if (g->running || !g->timer || !g->entries)
                return;
        if (is_due(g, g->entries, now)) {
                run(g);
                return;
        }
        uint64_t due_in = g->entries->ended_wall_ns + g->delay_ns - now;
        loop_timer_arm(g->timer, MIN(due_in, CHECK_MAX_NS), 0);
}

static void on_timer(struct loop_timer *t, void *userdata)
{
        schedule(userdata);
}

/* ---- the list ---- */

void gc_start(struct gc *g, struct loop *l, struct worker_pool *pool, int work_fd, uint64_t delay_ns,
        size_t max_count)
{
        *g = (struct gc){
                .loop = l, .pool = pool, .work_fd = work_fd, .delay_ns = delay_ns, .max_count = max_count};
        g->timer = loop_timer_new(l, on_timer, g);
}

void gc_stop(struct gc *g)
{
        struct gc_entry *e, *tmp;

        DL_FOREACH_SAFE (g->entries, e, tmp) {
                free(e->path);
                free(e);
        }
        g->entries = NULL;
        if (g->timer)
                g->timer = loop_timer_free(g->timer);
}

static void append(struct gc *g, const char *path, uint64_t ended_wall_ns)
{
        struct gc_entry *e = NEW0(struct gc_entry);

        e->path = xstrdup(path);
        e->ended_wall_ns = ended_wall_ns;
        DL_APPEND(g->entries, e);
        g->count++;
}

void gc_add(struct gc *g, const char *path)
{
        if (!path)
                return;
        append(g, path, wall_now().ns);
        schedule(g);
}

const char *gc_find(const struct gc *g, const char *task_id)
{
        _cleanup_free_ char *part = xasprintf("/executors/%s/runs/", task_id);

        if (!g->entries)
                return NULL;
        /* From the newest back: prev of the head is the tail. */
        for (struct gc_entry *e = g->entries->prev;; e = e->prev) {
                if (strstr(e->path, part))
                        return e->path;
                if (e == g->entries)
                        return NULL;
        }
}

/* ---- finding what earlier agents left ---- */

struct scan {
        struct gc *gc;
        bool (*is_live)(const char *container_id, void *userdata);
        void *userdata;
};

static bool is_state_dir(const char *name)
{
        return str_has_suffix(name, ".state");
}

static void found_run(struct scan *s, int dirfd, const char *path, const char *name)
{
        struct stat st;

        if (is_state_dir(name) || s->is_live(name, s->userdata) ||
                fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode))
                return; /* "latest" is a link */
        append(s->gc, path, (uint64_t)st.st_mtim.tv_sec * NSEC_PER_SEC + (uint64_t)st.st_mtim.tv_nsec);
}

/* Levels alternate between our fixed names and ids; the owner of all of them is us, so links can not be planted. */
static void scan_level(struct scan *s, int parent_fd, const char *name, const char *path, int level)
{
        int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
        struct dirent *x;

        if (!d) {
                close_fd(fd);
                return;
        }
        while ((x = readdir(d))) {
                if (str_equal(x->d_name, ".") || str_equal(x->d_name, ".."))
                        continue;
                _cleanup_free_ char *child = xasprintf("%s/%s", path, x->d_name);
                if (level + 1 == LEVELS)
                        found_run(s, fd, child, x->d_name);
                else
                        scan_level(s, fd, x->d_name, child, level + 1);
        }
        (void)closedir(d);
}

static int by_age(struct gc_entry *a, struct gc_entry *b)
{
        return a->ended_wall_ns < b->ended_wall_ns ? -1 : a->ended_wall_ns > b->ended_wall_ns;
}

void gc_scan(struct gc *g, bool (*is_live)(const char *container_id, void *userdata), void *userdata)
{
        struct scan s = {.gc = g, .is_live = is_live, .userdata = userdata};

        scan_level(&s, g->work_fd, "slaves", "slaves", 1);
        DL_SORT(g->entries, by_age);
        schedule(g);
}
