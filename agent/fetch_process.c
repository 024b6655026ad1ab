#include "agent/fetch_process.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/shim/spawn.h"
#include "lib/base/id.h"
#include "lib/base/log.h"
#include "lib/base/utf8.h"

#define MEMORY_MAX_BYTES                                                                                     \
        (UINT64_C(512) << 20) /* the largest xz dictionaries take 65 MiB, page cache the rest */
#define PIDS_MAX 16           /* the HTTP client looks names up in a thread */
#define MILLI_CPUS 1000
#define DEADLINE_NS (3600 * NSEC_PER_SEC)

struct fetch_process {
        struct agent *agent;
        struct cgroup *cgroup;
        struct loop_child *child;
        struct loop_timer *deadline;
        int result_fd, kill_fd;
        bool overdue;
        void (*done)(int result, const char *message, void *userdata);
        void *userdata;
};

/* ---- cgroup ---- */

static int make_cgroup(struct fetch_process *p, struct error *e)
{
        uint8_t uuid[UUID_BYTES];
        char id[UUID_TEXT_MAX];

        uuid_generate_bytes(uuid);
        _cleanup_free_ char *name = xasprintf(FETCH_CGROUPS "/%s", uuid_format(uuid, id));
        int r = cgroup_create(p->agent->host.cgroups, name, &p->cgroup, e);
        if (r == 0)
                r = cgroup_set_memory_max(p->cgroup, MEMORY_MAX_BYTES, e);
        if (r == 0)
                r = cgroup_set_pids_max(p->cgroup, PIDS_MAX, e);
        if (r == 0)
                r = cgroup_set_cpu_quota(p->cgroup, MILLI_CPUS, 0, e);
        return r;
}

/* Nothing of it may go on: it may hold a file of the cache that others are to read. */
static void end_cgroup(struct fetch_process *p)
{
        _cleanup_error_ struct error e = {0};

        if (!p->cgroup)
                return;
        if (cgroup_kill(p->cgroup, &e) < 0)
                log_error("a fetch: %s", error_message(&e));
        leftovers_add(&p->agent->leftovers, cgroup_name(p->cgroup));
        p->cgroup = cgroup_free(p->cgroup);
}

void fetch_process_remove_orphans(struct agent *a)
{
        CLEANUP(string_list_done) struct string_list names = {0};

        if (cgroup_list(a->host.cgroups, FETCH_CGROUPS, &names) < 0)
                return;
        for (size_t i = 0; i < names.count; i++) {
                _cleanup_free_ char *name = xasprintf(FETCH_CGROUPS "/%s", names.items[i]);
                leftovers_add(&a->leftovers, name);
        }
}

/* ---- the end ---- */

/* Written by a process of the task's user, over what a server or an archive said: bounded and made fit to print. */
static char *read_message(struct fetch_process *p)
{
        char text[FETCH_RESULT_MAX + 1];
        ssize_t n = read(p->result_fd, text, sizeof(text) - 1);

        if (n <= 0)
                return NULL;
        text[n] = '\0';
        return text_for_message(text, FETCH_RESULT_MAX);
}

static char *explain(struct fetch_process *p, const siginfo_t *info)
{
        uint64_t oom_kills = 0;

        if (p->overdue)
                return xasprintf("fetching took longer than %llu seconds",
                        (unsigned long long)(DEADLINE_NS / NSEC_PER_SEC));
        if (info->si_code == CLD_EXITED) {
                char *text = read_message(p);
                return text ? text : xasprintf("mete-fetcher ended with status %d", info->si_status);
        }
        if (cgroup_read_oom_kills(p->cgroup, &oom_kills) == 0 && oom_kills > 0)
                return xasprintf("mete-fetcher needed more than its %llu MiB of memory",
                        (unsigned long long)(MEMORY_MAX_BYTES >> 20));
        return xasprintf("mete-fetcher was ended by %s", signal_name(info->si_status));
}

static void on_exit_of_fetcher(struct loop_child *child, const siginfo_t *info, void *userdata)
{
        struct fetch_process *p = userdata;
        bool good = info->si_code == CLD_EXITED && info->si_status == 0;
        _cleanup_free_ char *message = good ? NULL : explain(p, info);

        p->child = loop_child_free(p->child);
        loop_timer_disarm(p->deadline);
        end_cgroup(p);
        p->done(good ? 0 : -EIO, message, p->userdata);
}

static void on_deadline(struct loop_timer *t, void *userdata)
{
        struct fetch_process *p = userdata;

        p->overdue = true;
        if (p->cgroup && cgroup_kill(p->cgroup, NULL) < 0)
                log_error("a fetch that is overdue cannot be killed");
}

struct fetch_process *fetch_process_free(struct fetch_process *p)
{
        if (!p)
                return NULL;
        end_cgroup(p);
        if (p->child)
                program_end(p->kill_fd);
        loop_child_free(p->child);
        loop_timer_free(p->deadline);
        close_fd(p->result_fd);
        close_fd(p->kill_fd);
        free(p);
        return NULL;
}
DEFINE_CLEANUP(struct fetch_process, fetch_process_free)

/* ---- the start ---- */

struct descriptors {
        int fds[PROGRAM_SPAWN_FDS_MAX];
        size_t count;
        int owned[4 + CGROUP_CONTROLLER_MAX];
        size_t owned_count;
        size_t v1_count;
};

static void descriptors_done(struct descriptors *d)
{
        for (size_t i = 0; i < d->owned_count; i++)
                close_fd(d->owned[i]);
}

static int own(struct descriptors *d, int fd)
{
        d->owned[d->owned_count++] = fd;
        return fd;
}

static int gather(struct fetch_process *p, const struct fetch_process_options *o, struct descriptors *d,
        struct error *e)
{
        int request, v1[CGROUP_CONTROLLER_MAX], pipe_fds[2];

        int null_fd = own(d, open("/dev/null", O_RDWR | O_CLOEXEC));
        int r = fetch_request_seal(o->job, &request, e);
        if (r < 0)
                return r;
        (void)own(d, request);
        if (null_fd < 0 || pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) < 0)
                return error_set_errno(e, -errno, "cannot open what the fetcher needs");
        p->result_fd = pipe_fds[0];
        (void)own(d, pipe_fds[1]);
        r = cgroup_open_entry_fds(p->cgroup, v1, &d->v1_count);
        if (r < 0)
                return error_set_errno(e, r, "cannot open the cgroup of a fetch");
        const int fixed[FETCH_FD_FIRST] = {null_fd, null_fd,
                null_fd, [FETCH_FD_REQUEST] = request, [FETCH_FD_RESULT] = pipe_fds[1],
                [FETCH_FD_SANDBOX] = o->sandbox_fd >= 0 ? o->sandbox_fd : null_fd};
        for (size_t i = 0; i < ELEMENTSOF(fixed); i++)
                d->fds[d->count++] = fixed[i];
        for (size_t i = 0; i < d->v1_count; i++)
                d->fds[d->count++] = own(d, v1[i]);
        for (size_t i = 0; i < o->cache_count; i++)
                d->fds[d->count++] = o->cache_fds[i];
        return 0;
}

static int spawn(
        struct fetch_process *p, const struct fetch_process_options *o, int *ret_pidfd, struct error *e)
{
        CLEANUP(descriptors_done) struct descriptors d = {0};
        static char name[] = "mete-fetcher";
        char v1_text[8];

        int r = gather(p, o, &d, e);
        if (r < 0)
                return r;
        (void)snprintf(v1_text, sizeof(v1_text), "%zu", d.v1_count);
        char *const argv[] = {name, v1_text, NULL};
        const struct program_spawn_options s = {.exe_fd = o->exe_fd,
                .cgroup_fd = cgroup_v2_fd(p->cgroup),
                .fds = d.fds,
                .fd_count = d.count,
                .argv = argv};
        return program_spawn(&s, ret_pidfd, e);
}

int fetch_process_start(struct agent *a, const struct fetch_process_options *o,
        void (*done)(int result, const char *message, void *userdata), void *userdata,
        struct fetch_process **ret, struct error *e)
{
        CLEANUP(cleanup_fetch_process_free) struct fetch_process *p = NEW0(struct fetch_process);
        int pidfd;

        *p = (struct fetch_process){
                .agent = a, .result_fd = -1, .kill_fd = -1, .done = done, .userdata = userdata};
        int r = make_cgroup(p, e);
        if (r == 0)
                r = spawn(p, o, &pidfd, e);
        if (r < 0)
                return r;
        p->kill_fd = fcntl(pidfd, F_DUPFD_CLOEXEC, 0);
        p->child = loop_child_new(a->loop, pidfd, on_exit_of_fetcher, p);
        p->deadline = loop_timer_new(a->loop, on_deadline, p);
        loop_timer_arm(p->deadline, DEADLINE_NS, 0);
        *ret = TAKE_PTR(p);
        return 0;
}
