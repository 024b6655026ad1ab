/*
 * A fetch: first everything that goes through the cache is there (one download for all who want it at the same time), then one run of
 * mete-fetcher fills the sandbox.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/fetch_cache.h"
#include "agent/fetch_process.h"
#include "agent/fetcher.h"
#include "agent/shim/spawn.h"
#include "lib/base/log.h"

#define CACHE_DIR "fetch"
#define MESSAGE_URI_MAX 300

struct fetcher {
        struct agent *agent;
        int exe_fd;
        char *exe_missing; /* why exe_fd is -1 */
        struct fetch_cache cache;
        struct fetcher_metrics metrics;
        struct string_list hidden;
        struct fetch *fetches; /* all that run, in no order */
};

struct fetch {
        struct agent *agent;
        struct fetcher *fetcher;
        struct fetch_job *job;
        struct fetch_cache_entry *entries[FETCH_URIS_MAX]; /* one a cached item, by its cache_index */
        size_t entry_count;
        int sandbox_fd;
        struct loop_timer *step; /* never call whoever waits from within somebody else's callback */
        struct fetch_process *process;
        void (*done)(int result, const char *message, void *userdata);
        void *userdata;
        struct fetch *next, **previous;
};

/* Fills one entry of the cache; ends with it. */
struct load {
        struct fetcher *fetcher;
        struct fetch_cache_entry *entry;
        struct fetch_process *process;
};

/* ---- checking ---- */

static int prefix_uri(const char *field, size_t i, const char *uri, struct error *e)
{
        return error_prefix(e, "%s[%zu].value: \"%.*s\"", field, i, MESSAGE_URI_MAX, uri);
}

static int check_uri(const Mete__V1__CommandInfo__URI *u, const char *field, size_t i, const char *home,
        char **ret_source, const char **ret_output, struct error *e)
{
        int r = fetch_uri_source(u->value, home, ret_source, e);

        if (r < 0)
                return prefix_uri(field, i, u->value, e);
        if (u->output_file) {
                if (!fetch_path_is_legal(u->output_file))
                        return error_set(e, -EINVAL,
                                "%s[%zu].output_file: \"%.80s\" of %.*s must be a relative path without "
                                "\"..\" that stays in the sandbox",
                                field, i, u->output_file, MESSAGE_URI_MAX, u->value);
                *ret_output = u->output_file;
                return 0;
        }
        r = fetch_uri_basename(u->value, ret_output, e);
        return r < 0 ? prefix_uri(field, i, u->value, e) : 0;
}

static int check_count(size_t count, const char *field, struct error *e)
{
        if (count == 0 || count > FETCH_URIS_MAX)
                return error_set(e, -EINVAL, "%s: %zu URIs: give 1 to %d", field, count, FETCH_URIS_MAX);
        return 0;
}

int fetch_check_uris(
        Mete__V1__CommandInfo__URI *const *uris, size_t count, const char *field, struct error *e)
{
        int r = check_count(count, field, e);

        for (size_t i = 0; i < count && r == 0; i++) {
                _cleanup_free_ char *source = NULL;
                const char *output;
                /* Where relative paths begin is the agent's to say, when it fetches. */
                r = check_uri(uris[i], field, i, "/", &source, &output, e);
        }
        return r < 0 ? -EINVAL : 0;
}

/* ---- the job ---- */

static uint32_t flags_of(const Mete__V1__CommandInfo__URI *u)
{
        uint32_t flags = 0;

        if (u->has_executable && u->executable)
                flags |= FETCH_EXECUTABLE;
        if (!u->has_extract || u->extract)
                flags |= FETCH_EXTRACT;
        if (u->has_cache && u->cache)
                flags |= FETCH_FROM_CACHE;
        return flags;
}

static void fill_job(struct fetch_job *j, const struct fetcher *f, const struct fetch_request *r)
{
        const struct agent_options *o = f->agent->options;

        j->uid = r->user->uid;
        j->gid = r->user->gid;
        j->group_count = (uint32_t)r->user->group_count;
        memcpy(j->groups, r->user->groups, r->user->group_count * sizeof(gid_t));
        j->max_bytes = o->fetcher_max_bytes;
        j->stall_seconds =
                (uint32_t)MIN(MAX(o->fetcher_stall_ns / NSEC_PER_SEC, UINT64_C(1)), UINT64_C(86400));
        for (size_t i = 0; i < f->hidden.count; i++)
                string_list_add(&j->hidden, f->hidden.items[i]);
}

static int job_new(
        const struct fetcher *f, const struct fetch_request *r, struct fetch_job **ret, struct error *e)
{
        CLEANUP(cleanup_fetch_job_free) struct fetch_job *j = fetch_job_new();

        int code = check_count(r->uri_count, "command.uris", e);
        if (code < 0)
                return code;
        fill_job(j, f, r);
        for (size_t i = 0; i < r->uri_count; i++) {
                struct fetch_item *x = &j->items[j->item_count++];
                const char *output = "";
                code = check_uri(r->uris[i], "command.uris", i, f->agent->options->frameworks_home,
                        &x->source, &output, e);
                x->uri = xstrdup(r->uris[i]->value);
                x->output = xstrdup(output);
                x->flags = flags_of(r->uris[i]);
                if (code < 0)
                        return code;
        }
        *ret = TAKE_PTR(j);
        return 0;
}

/* The one item of another job, as a job of its own that goes into the cache. */
static struct fetch_job *load_job_new(const struct fetch_job *from, const struct fetch_item *x)
{
        struct fetch_job *j = fetch_job_new();

        j->uid = from->uid;
        j->gid = from->gid;
        j->group_count = from->group_count;
        memcpy(j->groups, from->groups, sizeof(j->groups));
        j->max_bytes = from->max_bytes;
        j->stall_seconds = from->stall_seconds;
        for (size_t i = 0; i < from->hidden.count; i++)
                string_list_add(&j->hidden, from->hidden.items[i]);
        j->items[0] = (struct fetch_item){.flags = FETCH_TO_CACHE,
                .uri = xstrdup(x->uri),
                .source = xstrdup(x->source),
                .output = xstrdup(x->output)};
        j->item_count = 1;
        return j;
}

/* ---- filling the cache ---- */

/* Everybody who waits looks again; those whose entries have not changed see that. */
static void wake_all(struct fetcher *f)
{
        for (struct fetch *x = f->fetches; x; x = x->next)
                if (!x->process)
                        loop_timer_arm(x->step, 0, 0);
}

static void load_free(struct load *l)
{
        fetch_process_free(l->process);
        free(l);
}

static void on_loaded(int result, const char *message, void *userdata)
{
        struct load *l = userdata;
        struct fetcher *f = l->fetcher;
        _cleanup_error_ struct error e = {0};

        if (result == 0 && fetch_cache_loaded(&f->cache, l->entry, &e) < 0) {
                result = e.code;
                message = error_message(&e);
        }
        if (result < 0)
                fetch_cache_failed(&f->cache, l->entry, message);
        f->metrics.cache_size_used_bytes = f->cache.used_bytes;
        load_free(l);
        wake_all(f);
}

static int load_start(struct fetcher *f, struct fetch_cache_entry *entry, const struct fetch_job *from,
        const struct fetch_item *x, struct error *e)
{
        CLEANUP(cleanup_fetch_job_free) struct fetch_job *j = load_job_new(from, x);
        _cleanup_fd_ int fd = -1;

        int r = fetch_cache_open(entry, /* writable= */ true, &fd);
        if (r < 0)
                return error_set_errno(e, r, "cannot open a file of the fetcher's cache");
        struct load *l = NEW0(struct load);
        const struct fetch_process_options o = {
                .exe_fd = f->exe_fd, .job = j, .sandbox_fd = -1, .cache_fds = &fd, .cache_count = 1};
        *l = (struct load){.fetcher = f, .entry = entry};
        r = fetch_process_start(f->agent, &o, on_loaded, l, &l->process, e);
        if (r < 0) {
                free(l);
                return r;
        }
        entry->loader = l;
        return 0;
}

static void release_entry(struct fetcher *f, struct fetch_cache_entry *x)
{
        if (x->state == FETCH_CACHE_LOADING && x->users == 1) {
                struct load *l = x->loader;
                fetch_cache_failed(&f->cache, x, "nobody waits for it any more");
                if (l)
                        load_free(l);
        }
        fetch_cache_unuse(&f->cache, x);
}

static int use_cache(struct fetch *f, struct fetch_item *x, struct error *e)
{
        struct fetcher *all = f->fetcher;
        struct fetch_cache_entry *entry = fetch_cache_find(&all->cache, f->job->uid, x->uri);

        if (!entry) {
                int r = fetch_cache_add(&all->cache, f->job->uid, x->uri, &entry, e);
                if (r == 0 && (r = load_start(all, entry, f->job, x, e)) < 0)
                        release_entry(all, entry);
                if (r < 0)
                        return error_prefix(e, "cannot fetch %.*s", MESSAGE_URI_MAX, x->uri);
        }
        x->cache_index = (uint32_t)f->entry_count;
        f->entries[f->entry_count++] = entry;
        return 0;
}

/* ---- filling the sandbox ---- */

static void finish(struct fetch *f, int result, const char *message)
{
        if (result == 0)
                f->fetcher->metrics.task_fetches_succeeded++;
        else
                f->fetcher->metrics.task_fetches_failed++;
        f->done(result, message, f->userdata); /* may free f */
}

static void on_fetched(int result, const char *message, void *userdata)
{
        finish(userdata, result, message);
}

static int open_entries(struct fetch *f, int *fds, struct error *e)
{
        for (size_t i = 0; i < f->entry_count; i++) {
                int r = fetch_cache_open(f->entries[i], /* writable= */ false, &fds[i]);
                if (r < 0) {
                        for (size_t k = 0; k < i; k++)
                                (void)close_fd(fds[k]);
                        return error_set_errno(e, r, "cannot open a file of the fetcher's cache");
                }
        }
        return 0;
}

static int fill_sandbox(struct fetch *f, struct error *e)
{
        int fds[FETCH_URIS_MAX];

        int r = open_entries(f, fds, e);
        if (r < 0)
                return r;
        const struct fetch_process_options o = {.exe_fd = f->fetcher->exe_fd,
                .job = f->job,
                .sandbox_fd = f->sandbox_fd,
                .cache_fds = fds,
                .cache_count = f->entry_count};
        r = fetch_process_start(f->agent, &o, on_fetched, f, &f->process, e);
        for (size_t i = 0; i < f->entry_count; i++)
                (void)close_fd(fds[i]);
        return r;
}

static void on_step(struct loop_timer *t, void *userdata)
{
        _cleanup_error_ struct error e = {0};
        struct fetch *f = userdata;

        if (f->process)
                return;
        for (size_t i = 0; i < f->entry_count; i++) {
                const struct fetch_cache_entry *x = f->entries[i];
                if (x->state == FETCH_CACHE_FAILED) {
                        _cleanup_free_ char *message = xstrdup(x->message);
                        finish(f, -EIO, message);
                        return;
                }
                if (x->state == FETCH_CACHE_LOADING)
                        return;
        }
        if (fill_sandbox(f, &e) < 0)
                finish(f, e.code, error_message(&e));
}

/* ---- a fetch ---- */

static void link_in(struct fetch *f)
{
        f->next = f->fetcher->fetches;
        if (f->next)
                f->next->previous = &f->next;
        f->previous = &f->fetcher->fetches;
        f->fetcher->fetches = f;
}

struct fetch *fetch_free(struct fetch *f)
{
        if (!f)
                return NULL;
        *f->previous = f->next;
        if (f->next)
                f->next->previous = f->previous;
        fetch_process_free(f->process);
        for (size_t i = 0; i < f->entry_count; i++)
                release_entry(f->fetcher, f->entries[i]);
        loop_timer_free(f->step);
        close_fd(f->sandbox_fd);
        fetch_job_free(f->job);
        free(f);
        return NULL;
}

static int start(struct fetch *f, const struct fetch_request *r, struct error *e)
{
        if (f->fetcher->exe_fd < 0)
                return error_set(e, -ENOENT, "command.uris: cannot fetch %.*s: %s", MESSAGE_URI_MAX,
                        r->uri_count ? r->uris[0]->value : "", f->fetcher->exe_missing);
        int code = job_new(f->fetcher, r, &f->job, e);
        if (code < 0)
                return code;
        f->sandbox_fd = fcntl(r->sandbox_fd, F_DUPFD_CLOEXEC, 0);
        if (f->sandbox_fd < 0)
                return error_set_errno(e, -errno, "cannot fetch into the sandbox");
        for (uint32_t i = 0; i < f->job->item_count && code == 0; i++)
                if (f->job->items[i].flags & FETCH_FROM_CACHE)
                        code = use_cache(f, &f->job->items[i], e);
        return code;
}

int fetch_start(struct agent *a, const struct fetch_request *r,
        void (*done)(int result, const char *message, void *userdata), void *userdata, struct fetch **ret,
        struct error *e)
{
        struct fetch *f = NEW0(struct fetch);

        *f = (struct fetch){
                .agent = a, .fetcher = a->fetcher, .sandbox_fd = -1, .done = done, .userdata = userdata};
        link_in(f);
        f->step = loop_timer_new(a->loop, on_step, f);
        int code = start(f, r, e);
        if (code < 0) {
                a->fetcher->metrics.task_fetches_failed++;
                fetch_free(f);
                return code;
        }
        loop_timer_arm(f->step, 0, 0);
        *ret = f;
        return 0;
}

/* ---- the fetcher ---- */

static void hide(struct fetcher *f, const char *path)
{
        char resolved[PATH_MAX];

        if (path && f->hidden.count < FETCH_HIDDEN_MAX && realpath(path, resolved))
                string_list_add(&f->hidden, resolved);
}

static int open_cache(struct fetcher *f, struct error *e)
{
        int work_fd = f->agent->work_fd;

        int r = remove_tree_at(work_fd, CACHE_DIR);
        if (r == 0 && mkdirat(work_fd, CACHE_DIR, 0700) < 0)
                r = -errno;
        int fd = r < 0 ? -1 : openat(work_fd, CACHE_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (r == 0 && fd < 0)
                r = -errno;
        if (r < 0)
                return error_set_errno(
                        e, r, "cannot make the directory %s of the fetcher's cache", CACHE_DIR);
        fetch_cache_init(&f->cache, fd, f->agent->options->fetcher_cache_bytes);
        f->metrics.cache_size_total_bytes = f->cache.total_bytes;
        return 0;
}

int fetcher_new(struct agent *a, struct fetcher **ret, struct error *e)
{
        struct fetcher *f = NEW0(struct fetcher);
        _cleanup_error_ struct error missing = {0};

        *f = (struct fetcher){.agent = a, .exe_fd = -1, .cache.dir_fd = -1};
        int r = open_cache(f, e);
        if (r < 0) {
                fetcher_free(f);
                return r;
        }
        if (shim_seal_executable(a->options->fetcher, &f->exe_fd, &missing) < 0) {
                f->exe_fd = -1;
                f->exe_missing = xstrdup(error_message(&missing));
                log_warning("tasks with URIs will fail: %s", f->exe_missing);
        }
        hide(f, a->options->work_dir);
        hide(f, a->options->runtime_dir);
        for (size_t i = 0; i < a->host.hidden_paths.count; i++)
                hide(f, a->host.hidden_paths.items[i]);
        fetch_process_remove_orphans(a);
        *ret = f;
        return 0;
}

struct fetcher *fetcher_free(struct fetcher *f)
{
        if (!f)
                return NULL;
        assert(!f->fetches);
        fetch_cache_done(&f->cache);
        close_fd(f->exe_fd);
        free(f->exe_missing);
        string_list_done(&f->hidden);
        free(f);
        return NULL;
}

const struct fetcher_metrics *fetcher_metrics(const struct fetcher *f)
{
        return &f->metrics;
}
