/* Launches containers as the agent does, without the agent: for tests as root. Everything lives below one mete-test-* directory and cgroup. */
#pragma once

#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/shim/log_read.h"
#include "agent/shim/shim.h"
#include "agent/shim/spawn.h"
#include "isolators/isolator.h"
#include "lib/base/time.h"
#include "lib/linux/syscall.h"

#define HARNESS_DEADLINE_MS 30000

struct harness {
        char dir[64], state_dir[96], runtime_dir[96];
        struct isolator_host host;
        struct cgroup *shim_cgroup;
        int shim_fd;
        unsigned next_id;
};

struct launch {
        struct harness *h;
        struct container_spec spec;
        struct container c;
        char dir[160], sandbox[192];
        const char *sandbox_options; /* of a tmpfs that is the sandbox; NULL: a plain directory */
        int state_fd, pidfd, status_fd;
        struct shim_record record;
        struct error error;
};

static inline void harness_open(struct harness *h)
{
        _cleanup_error_ struct error e = {0};
        char exe[512], path[600], name[64];

        (void)snprintf(h->dir, sizeof(h->dir), "/tmp/mete-test-XXXXXX");
        assert_non_null(mkdtemp(h->dir));
        assert_int_equal(chmod(h->dir, 0755), 0);
        (void)snprintf(h->state_dir, sizeof(h->state_dir), "%s/state", h->dir);
        (void)snprintf(h->runtime_dir, sizeof(h->runtime_dir), "%s/run", h->dir);
        assert_int_equal(mkdir(h->state_dir, 0755), 0);
        assert_int_equal(mkdir(h->runtime_dir, 0755), 0);
        (void)snprintf(name, sizeof(name), "mete-test-launch-%d", (int)getpid());
        if (cgroup_root_open("/", name, &h->host.cgroups, &e) < 0)
                fail_msg("%s", error_message(&e));
        if (cgroup_create(h->host.cgroups, "shims", &h->shim_cgroup, &e) < 0)
                fail_msg("%s", error_message(&e));
        h->host.state_dir = h->state_dir;
        h->host.runtime_dir = h->runtime_dir;
        ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
        assert_true(n > 0);
        exe[n] = '\0';
        (void)snprintf(path, sizeof(path), "%s/../../../../bin/mete-shim", dirname(exe));
        if (shim_seal_executable(path, &h->shim_fd, &e) < 0)
                fail_msg("%s", error_message(&e));
}

static inline void harness_close(struct harness *h)
{
        _cleanup_error_ struct error e = {0};

        h->shim_cgroup = cgroup_free(h->shim_cgroup);
        if (cgroup_root_destroy(h->host.cgroups, 10 * NSEC_PER_SEC, &e) < 0)
                fail_msg("%s", error_message(&e));
        h->host.cgroups = cgroup_root_free(h->host.cgroups);
        assert_int_equal(remove_tree_at(AT_FDCWD, h->dir), 0);
        (void)close(h->shim_fd);
}

static inline char **harness_strings(const char *const *list)
{
        size_t n = 0;

        while (list[n])
                n++;
        char **copy = xcalloc(n + 1, sizeof(char *));
        for (size_t i = 0; i < n; i++)
                copy[i] = xstrdup(list[i]);
        return copy;
}

/* A container for argv with room to spare; change l->spec before launch_start. */
static inline void launch_new(struct launch *l, struct harness *h, const char *const *argv)
{
        static const char *const env[] = {"PATH=/usr/bin:/bin:/usr/sbin:/sbin", "HOME=/tmp", NULL};

        *l = (struct launch){.h = h, .state_fd = -1, .pidfd = -1, .status_fd = -1};
        l->c.sandbox_fd = -1;
        l->spec = (struct container_spec){
                .container_id = xasprintf("test-%u", h->next_id++),
                .argv = harness_strings(argv),
                .environment = harness_strings(env),
                .milli_cpus = 500,
                .milli_cpus_limit = 2000,
                .memory_bytes = 64 << 20,
                .memory_limit_bytes = 64 << 20,
                .pids_limit = 64,
        };
}

static inline void launch_shell(struct launch *l, struct harness *h, const char *script)
{
        const char *const argv[] = {"/bin/sh", "-c", script, NULL};

        launch_new(l, h, argv);
}

/* Up to the shim's start: 0, or what refused, with the sentence in l->error. */
static inline int launch_start(struct launch *l)
{
        struct plan *plan CLEANUP(cleanup_plan_free) = plan_new();
        int v1[CGROUP_CONTROLLER_MAX], r;
        size_t v1_count = 0;
        _cleanup_fd_ int plan_fd = -1, lock_fd = -1;

        (void)snprintf(l->dir, sizeof(l->dir), "%s/%s", l->h->state_dir, l->spec.container_id);
        (void)snprintf(l->sandbox, sizeof(l->sandbox), "%s/sandbox", l->dir);
        assert_int_equal(mkdir(l->dir, 0755), 0);
        assert_int_equal(mkdir(l->sandbox, 0755), 0);
        if (l->sandbox_options)
                assert_int_equal(mount("tmpfs", l->sandbox, "tmpfs", 0, l->sandbox_options), 0);
        l->state_fd = open(l->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        l->c.spec = &l->spec;
        l->c.sandbox_path = l->sandbox;
        l->c.sandbox_in_container = l->spec.rootfs ? (char *)(uintptr_t) "/mnt/mesos/sandbox" : l->sandbox;
        l->c.sandbox_fd = open(l->sandbox, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        r = isolators_prepare(&l->h->host, &l->c, plan, &l->error);
        if (r < 0)
                return r;
        assert_int_equal(fchown(l->c.sandbox_fd, l->c.user.uid, l->c.user.gid), 0);
        r = isolators_isolate(&l->h->host, &l->c, &l->error);
        if (r < 0)
                return r;
        r = plan_seal(plan, &plan_fd, &l->error);
        if (r >= 0)
                r = shim_lock_take(l->state_fd, &lock_fd);
        if (r >= 0)
                r = cgroup_open_entry_fds(l->c.cgroup, v1, &v1_count);
        struct shim_spawn_options o = {.shim_exe_fd = l->h->shim_fd,
                .plan_fd = plan_fd,
                .state_fd = l->state_fd,
                .lock_fd = lock_fd,
                .sandbox_fd = l->c.sandbox_fd,
                .cgroup_fd = r >= 0 ? cgroup_v2_fd(l->c.cgroup) : -1,
                .shim_cgroup_fd = cgroup_v2_fd(l->h->shim_cgroup),
                .v1_fds = v1,
                .v1_count = v1_count};
        if (r >= 0)
                r = shim_spawn(&o, &l->pidfd, &l->status_fd, &l->error);
        for (size_t i = 0; i < v1_count; i++)
                (void)close(v1[i]);
        return r;
}

/* The next message of the shim; false at the end of the pipe or after the deadline. */
static inline bool launch_next(struct launch *l, struct shim_message *m)
{
        struct pollfd p = {.fd = l->status_fd, .events = POLLIN};

        while (poll(&p, 1, HARNESS_DEADLINE_MS) > 0) {
                ssize_t n = read(l->status_fd, m, sizeof(*m));
                if (n == (ssize_t)sizeof(*m)) {
                        l->record = m->record;
                        return true;
                }
                if (n == 0)
                        return false;
        }
        fail_msg("no message of the shim in time");
        return false;
}

static inline void launch_wait_started(struct launch *l)
{
        struct shim_message m;

        assert_true(launch_next(l, &m));
        if (m.event != SHIM_EVENT_STARTED)
                fail_msg("%s: %s", m.record.failed_stage, m.record.failed_text);
}

/* To the end: l->record is what the files say then. */
static inline void launch_wait(struct launch *l)
{
        struct shim_message m = {0};
        siginfo_t si = {0};

        while (m.event != SHIM_EVENT_EXITED)
                if (!launch_next(l, &m))
                        break;
        assert_int_equal(waitid(P_PIDFD, (id_t)l->pidfd, &si, WEXITED), 0);
        assert_int_equal(si.si_code, CLD_EXITED);
        assert_int_equal(shim_record_read(l->state_fd, &l->record), 0);
        assert_int_equal(shim_lock_held(l->state_fd), 0);
}

/* stdout of the task, NUL-terminated; the caller frees. */
static inline char *launch_output(struct launch *l, const char *stream)
{
        char *buf = xcalloc(1, 1 << 20);
        struct log_read lr;

        assert_int_equal(log_read(l->c.sandbox_fd, l->state_fd, stream, 0, buf, (1 << 20) - 1, &lr), 0);
        return buf;
}

/* Takes everything down; nothing of the container is left. */
static inline void launch_done(struct launch *l)
{
        _cleanup_free_ char *name = xasprintf("containers/%s", l->spec.container_id);
        struct cgroup *gone = NULL;

        /* A cgroup drains for some milliseconds after its last process: cleaned up again until it is gone. */
        struct mono_time start = mono_now();
        do
                isolators_cleanup(&l->h->host, &l->c);
        while (l->c.cgroup && mono_elapsed_ns(start, mono_now()) < 10 * NSEC_PER_SEC);
        assert_int_equal(cgroup_open(l->h->host.cgroups, name, &gone, NULL), -ENOENT);
        if (l->sandbox_options)
                assert_int_equal(umount2(l->sandbox, MNT_DETACH), 0);
        assert_int_equal(remove_tree_at(AT_FDCWD, l->dir), 0);
        (void)close_fd(l->state_fd);
        (void)close_fd(l->pidfd);
        (void)close_fd(l->status_fd);
        (void)close_fd(l->c.sandbox_fd);
        container_spec_done(&l->spec);
        error_done(&l->error);
}

/* Start to end; a refusal of the start is a failure of the test. */
static inline void launch_run(struct launch *l)
{
        if (launch_start(l) < 0)
                fail_msg("%s", error_message(&l->error));
        launch_wait(l);
}
