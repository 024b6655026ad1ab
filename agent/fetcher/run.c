/*
 * The order in which mete-fetcher gives its rights up. For the task's user: become that user, then open. For a task of root: local files
 * are opened as nobody, whatever root may read; then every capability goes. A container of root sees no secrets of the host either, and
 * fetching must not be a way around that.
 */
#include <fcntl.h>
#include <grp.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/fetcher/fetcher_run.h"
#include "lib/linux/cgroup.h"
#include "lib/linux/fs_identity.h"

#define NOBODY 65534
#define FILES_MAX 1024

struct run {
        const struct fetch_job *job;
        int sandbox_fd;
        const int *cache_fds;
        int local_fds[FETCH_URIS_MAX]; /* of items that are local files; -1 */
        struct fetch_budget budget;
        struct error *error;
};

static int fail_item(struct run *r, const struct fetch_item *x)
{
        return error_prefix(r->error, "cannot fetch %.300s", x->uri);
}

/* ---- rights ---- */

static int open_local_files(struct run *r)
{
        for (uint32_t i = 0; i < r->job->item_count; i++) {
                const struct fetch_item *x = &r->job->items[i];

                if (x->source[0] != '/' || (x->flags & FETCH_FROM_CACHE))
                        continue;
                if (source_open(r->job, x->source, &r->local_fds[i], r->error) < 0)
                        return fail_item(r, x);
        }
        return 0;
}

static int drop_capabilities(struct error *e)
{
        cap_t none = cap_init();
        int r = none && cap_set_proc(none) == 0 && cap_reset_ambient() == 0 ? 0 : -errno;

        (void)cap_free(none);
        return r < 0 ? error_set_errno(e, r, "cannot drop capabilities") : 0;
}

static int become_user(const struct fetch_job *j, struct error *e)
{
        if (setgroups(j->group_count, j->groups) < 0 || setresgid(j->gid, j->gid, j->gid) < 0 ||
                setresuid(j->uid, j->uid, j->uid) < 0)
                return error_set_errno(e, -errno, "cannot become uid %u", (unsigned)j->uid);
        return drop_capabilities(e);
}

static int open_as_nobody(struct run *r)
{
        struct fs_identity saved;

        int code = fs_identity_assume(NOBODY, NOBODY, &saved);
        if (code < 0)
                return error_set_errno(r->error, code, "cannot take the rights of nobody");
        code = open_local_files(r);
        fs_identity_restore(&saved);
        return code;
}

static int open_and_drop(struct run *r)
{
        int code;

        if (r->job->uid == 0) {
                code = open_as_nobody(r);
                return code < 0 ? code : become_user(r->job, r->error);
        }
        code = become_user(r->job, r->error);
        return code < 0 ? code : open_local_files(r);
}

/* ---- fetching ---- */

/* The content, into a file that is open for writing. */
static int fetch_content(struct run *r, uint32_t i, int to_fd)
{
        const struct fetch_item *x = &r->job->items[i];

        if (x->flags & FETCH_FROM_CACHE)
                return source_copy(r->cache_fds[x->cache_index], to_fd, &r->budget, r->error);
        if (r->local_fds[i] >= 0)
                return source_copy(r->local_fds[i], to_fd, &r->budget, r->error);
        return http_fetch(x->source, to_fd, r->job->stall_seconds, &r->budget, r->error);
}

static int fetch_item(struct run *r, uint32_t i)
{
        const struct fetch_item *x = &r->job->items[i];
        bool unpack =
                !(x->flags & FETCH_EXECUTABLE) && (x->flags & FETCH_EXTRACT) && extract_is_archive(x->output);
        _cleanup_fd_ int fd = -1;

        if (x->flags & FETCH_TO_CACHE)
                return fetch_content(r, i, r->cache_fds[x->cache_index]);
        /* The archive itself comes along only where it was downloaded for this task. */
        if (unpack && (x->flags & FETCH_FROM_CACHE))
                return extract_archive(
                        r->sandbox_fd, r->cache_fds[x->cache_index], x->output, &r->budget, r->error);
        int code = place_file(
                r->sandbox_fd, x->output, x->flags & FETCH_EXECUTABLE ? 0755 : 0644, &fd, r->error);
        if (code == 0)
                code = fetch_content(r, i, fd);
        if (code == 0 && unpack)
                code = extract_archive(r->sandbox_fd, fd, x->output, &r->budget, r->error);
        return code;
}

int fetcher_run(
        const struct fetch_job *j, int sandbox_fd, const int *cache_fds, size_t cache_count, struct error *e)
{
        static struct run r;
        int code;

        r = (struct run){.job = j, .sandbox_fd = sandbox_fd, .cache_fds = cache_fds, .error = e};
        r.budget = (struct fetch_budget){j->max_bytes, j->max_bytes, FETCH_ENTRIES_MAX};
        for (size_t i = 0; i < FETCH_URIS_MAX; i++)
                r.local_fds[i] = -1;
        for (uint32_t i = 0; i < j->item_count; i++)
                if ((j->items[i].flags & (FETCH_FROM_CACHE | FETCH_TO_CACHE)) &&
                        j->items[i].cache_index >= cache_count)
                        return error_set(e, -EBADMSG, "the request names a file that is not open");
        code = open_and_drop(&r);
        /* Whoever loses the agent is not waited for: a fetch is made again. Cleared by the change of user, so only now. */
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        for (uint32_t i = 0; i < j->item_count && code == 0; i++)
                if (fetch_item(&r, i) < 0)
                        code = fail_item(&r, &j->items[i]);
        return code;
}

/* ---- the process ---- */

static int join_v1_cgroups(uint32_t count, struct error *e)
{
        for (uint32_t i = 0; i < count; i++)
                if (write(FETCH_FD_FIRST + (int)i, "0", 1) != 1)
                        return error_set_errno(e, -errno, "cannot join cgroup v1 hierarchy %u", i);
        return 0;
}

static int restrain(const struct fetch_job *j, struct error *e)
{
        const struct rlimit core = {0, 0}, files = {FILES_MAX, FILES_MAX};
        const struct rlimit size = {j->max_bytes, j->max_bytes};

        (void)umask(0);
        (void)signal(SIGXFSZ, SIG_IGN);
        (void)signal(SIGPIPE, SIG_IGN);
        if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
                setrlimit(RLIMIT_CORE, &core) < 0 || setrlimit(RLIMIT_NOFILE, &files) < 0 ||
                setrlimit(RLIMIT_FSIZE, &size) < 0)
                return error_set_errno(e, -errno, "cannot restrain the fetcher");
        return 0;
}

static int read_request(struct fetch_job **ret, struct error *e)
{
        const int wanted = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
        _cleanup_free_ char *data = NULL;
        size_t len = 0;

        int seals = fcntl(FETCH_FD_REQUEST, F_GET_SEALS);
        if (seals < 0 || (seals & wanted) != wanted || lseek(FETCH_FD_REQUEST, 0, SEEK_SET) < 0)
                return error_set(e, -EBADMSG, "mete-fetcher is started by mete-agent only");
        int r = read_all_fd(FETCH_FD_REQUEST, FETCH_REQUEST_MAX, &data, &len);
        if (r == 0)
                r = fetch_request_decode(data, len, ret);
        return r < 0 ? error_set_errno(e, r, "the request cannot be read") : 0;
}

static int count_cache_fds(uint32_t v1_count, int *fds)
{
        int n = 0;

        for (; n < FETCH_URIS_MAX && fcntl(FETCH_FD_FIRST + (int)v1_count + n, F_GETFD) >= 0; n++)
                fds[n] = FETCH_FD_FIRST + (int)v1_count + n;
        return n;
}

int fetcher_main(int argc, char **argv)
{
        CLEANUP(cleanup_fetch_job_free) struct fetch_job *j = NULL;
        _cleanup_error_ struct error e = {0};
        int cache_fds[FETCH_URIS_MAX];
        uint32_t v1_count;

        if (argc != 2 || parse_u32(argv[1], CGROUP_CONTROLLER_MAX, &v1_count) < 0) {
                (void)fprintf(stderr, "mete-fetcher is started by mete-agent only\n");
                return 2;
        }
        int r = join_v1_cgroups(v1_count, &e);
        if (r == 0)
                r = read_request(&j, &e);
        if (r == 0)
                r = restrain(j, &e);
        if (r == 0) {
                (void)setlocale(LC_CTYPE, "C.UTF-8"); /* names in archives */
                r = fetcher_run(
                        j, FETCH_FD_SANDBOX, cache_fds, (size_t)count_cache_fds(v1_count, cache_fds), &e);
        }
        if (r == 0)
                return 0;
        const char *text = error_message(&e);
        (void)!write(FETCH_FD_RESULT, text, MIN(strlen(text), (size_t)FETCH_RESULT_MAX));
        return 1;
}
