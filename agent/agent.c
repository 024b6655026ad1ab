#include "agent/agent.h"
#include "agent/launch_times.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/api/api.h"
#include "agent/checkpoint.h"
#include "agent/container.h"
#include "agent/executors/executor.h"
#include "agent/fetcher.h"
#include "agent/master_link.h"
#include "agent/offered_resources.h"
#include "agent/recover.h"
#include "agent/registration.h"
#include "agent/shim/spawn.h"
#include "agent/volumes.h"
#include "bpf/bpf.h"
#include "isolators/cores.h"
#include "lib/base/log.h"

#define WORKER_THREADS 1
#define WORKER_QUEUE_MAX 4096
#define KILL_BOUND_NS (10 * NSEC_PER_SEC)
#define GOODBYE_BOUND_NS NSEC_PER_SEC
#define GRACE_NS (3 * NSEC_PER_SEC)
#define DESTROY_TIMEOUT_NS (5 * NSEC_PER_SEC)

/* ---- directories ---- */

static int open_dir(int parent_fd, const char *path, mode_t mode, int *ret_fd, struct error *e)
{
        int r = mkdir_parents_at(parent_fd, path, mode);

        if (r < 0)
                return error_set_errno(e, r, "cannot make the directory %s", path);
        int fd = openat(parent_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return error_set_errno(e, -errno, "cannot open the directory %s", path);
        *ret_fd = fd;
        return 0;
}

static int open_work_dir(struct agent *a, struct error *e)
{
        int r = open_dir(AT_FDCWD, a->options->work_dir, 0755, &a->work_fd, e);

        if (r == 0)
                r = open_dir(a->work_fd, "meta", 0700, &a->meta_fd, e);
        if (r == 0)
                r = identity_open(&a->identity, a->meta_fd, e);
        if (r == 0)
                r = open_dir(a->meta_fd, "containers", 0700, &a->checkpoints_fd, e);
        if (r == 0)
                r = open_dir(a->work_fd, "overlays", 0700, &a->overlays_fd, e);
        return r;
}

static int open_runtime_dir(struct agent *a, struct error *e)
{
        int r = open_dir(AT_FDCWD, a->options->runtime_dir, 0700, &a->runtime_fd, e);

        if (r == 0)
                r = open_dir(a->runtime_fd, "containers", 0700, &a->states_fd, e);
        return r;
}

/* ---- what the host gives ---- */

static int open_cgroups(struct agent *a, struct error *e)
{
        bool cores = offers_cores(a->options);
        int r = cores ? cgroup_root_open_with_cpuset("/", a->options->cgroup_root, &a->host.cgroups, e)
                      : cgroup_root_open("/", a->options->cgroup_root, &a->host.cgroups, e);

        if (r < 0)
                return r;
        a->host.cores = cores_new();
        r = cgroup_create(a->host.cgroups, "shims", &a->shim_cgroup, e);
        if (r == -EEXIST) {
                error_done(e);
                r = cgroup_open(a->host.cgroups, "shims", &a->shim_cgroup, e);
        }
        return r;
}

static void open_probes(struct agent *a)
{
        _cleanup_error_ struct error e = {0};
        struct bpf_options o = {.pin_dir = a->bpf_dir};

        int r = a->options->no_ebpf
                        ? error_set(&e, -ENOTSUP,
                                  "eBPF is off by --no-ebpf; start without it to measure by probes")
                        : bpf_probes_open(&o, &a->host.probes, &e);
        if (r == 0) {
                a->measurement = xstrdup("ebpf");
                return;
        }
        log_warning("measuring from cgroup files: %s", error_message(&e));
        a->host.probes_missing = xstrdup(error_message(&e));
        a->measurement = xasprintf("cgroup: %s", error_message(&e));
}

static void describe_host(struct agent *a)
{
        const struct agent_options *o = a->options;

        a->host.state_dir = o->work_dir;
        a->host.runtime_dir = o->runtime_dir;
        a->host.log_max_bytes = o->log_max_bytes;
        a->host.log_files = (uint32_t)o->log_files;
        for (size_t i = 0; i < o->hide.count; i++)
                string_list_add(&a->host.hidden_paths, o->hide.items[i]);
        a->endpoint = strchr(o->address, ':') ? xasprintf("[%s]:%u", o->address, (unsigned)o->port)
                                              : xasprintf("%s:%u", o->address, (unsigned)o->port);
        a->bpf_dir = xasprintf("%s/bpf", o->runtime_dir);
        a->socket_dir = xasprintf("%s/" AGENT_SOCKET_DIR_NAME, o->runtime_dir);
        a->volumes_dir = xasprintf("%s/volumes", o->work_dir);
}

static void log_missing_isolations(struct agent *a)
{
        size_t n;
        struct isolator_state *s = isolators_probe(&a->host, &n);

        for (size_t i = 0; i < n; i++)
                if (s[i].available < 0 && !str_equal(s[i].isolator->name, "probes") && /* told already */
                        (!str_equal(s[i].isolator->name, "cores") || offers_cores(a->options)))
                        log_warning("no %s here: %s", s[i].isolator->provides, s[i].reason);
        isolators_states_free(s, n);
}

/* Launches say the same, as long as it is so. */
static void settle_cores(struct agent *a)
{
        _cleanup_error_ struct error e = {0};

        if (cores_settle(&a->host, &e) < 0)
                log_error("%s", error_message(&e));
}

/* ---- ending ---- */

static void on_term(struct loop_signal *s, int signo, void *userdata)
{
        struct agent *a = userdata;

        if (a->options->kill_tasks_on_exit && !a->stopping) {
                log_info("%s: tasks are killed", signal_name(signo));
                agent_begin_shutdown(a, /* leave_nothing= */ true, /* forget_identity= */ false);
                return;
        }
        log_info("%s: the agent ends%s", signal_name(signo), a->stopping ? " now" : ", tasks go on");
        loop_stop(a->loop);
}

static void on_hangup(struct loop_signal *s, int signo, void *userdata)
{
}

static void goodbye_done(void *userdata)
{
        struct agent *a = userdata;

        loop_stop(a->loop);
}

static void on_stop_timer(struct loop_timer *t, void *userdata)
{
        struct agent *a = userdata;

        log_debug("shutdown: not waiting any longer");
        loop_stop(a->loop);
}

static bool all_ended(const struct agent *a)
{
        struct agent_container *c, *tmp;

        HASH_ITER (hh, a->containers, c, tmp)
                if (c->state != CONTAINER_STATE_ENDED)
                        return false;
        return true;
}

void agent_container_gone(struct agent *a)
{
        if (!a->stopping || !all_ended(a))
                return;
        /* Ends are acknowledged within a round trip, unless the master is away: then they are not waited for. */
        loop_timer_arm(a->stop_timer, GOODBYE_BOUND_NS, 0);
        if (!a->containers || !master_link_ready(a->link))
                master_link_unregister(a->link, goodbye_done, a);
}

void agent_begin_shutdown(struct agent *a, bool leave_nothing, bool forget_identity)
{
        struct agent_container *c, *tmp;

        a->leave_nothing = a->leave_nothing || leave_nothing;
        a->forget_identity = a->forget_identity || forget_identity;
        if (a->stopping)
                return;
        a->stopping = true;
        loop_timer_arm(a->stop_timer, KILL_BOUND_NS, 0);
        HASH_ITER (hh, a->containers, c, tmp) {
                if (c->executor)
                        executor_shutdown(c->executor);
                else
                        container_kill(c, 0, GRACE_NS, /* only_signal= */ false);
        }
        agent_container_gone(a);
}

/* ---- starting ---- */

static int start_loop(struct agent *a, struct error *e)
{
        int r = loop_new(&a->loop, e);

        if (r < 0)
                return r;
        a->signals[0] = loop_signal_new(a->loop, SIGTERM, on_term, a);
        a->signals[1] = loop_signal_new(a->loop, SIGINT, on_term, a);
        a->signals[2] = loop_signal_new(a->loop, SIGHUP, on_hangup, a);
        a->stop_timer = loop_timer_new(a->loop, on_stop_timer, a);
        r = worker_pool_new(a->loop, WORKER_THREADS, WORKER_QUEUE_MAX, &a->pool, e);
        if (r < 0)
                return r;
        gc_start(&a->gc, a->loop, a->pool, a->work_fd, a->options->gc_delay_ns, a->options->gc_max_sandboxes);
        leftovers_start(&a->leftovers, a->loop, a->host.cgroups);
        return 0;
}

static int start(struct agent *a, struct error *e)
{
        int r = registration_check_attributes(a->options->attributes, e);

        describe_host(a);
        (void)raise_file_limit(); /* some ten descriptors per running task */
        if (r == 0)
                r = open_work_dir(a, e);
        if (r == 0)
                r = open_runtime_dir(a, e);
        if (r == 0 && (r = boot_id_read("/proc", a->boot_id)) < 0)
                return error_set_errno(e, r, "cannot read the boot id");
        if (r == 0)
                r = shim_seal_executable(a->options->shim, &a->shim_exe_fd, e);
        if (r == 0)
                r = open_cgroups(a, e);
        if (r == 0)
                r = start_loop(a, e);
        a->launch_times = NEW0(struct launch_times);
        if (r == 0)
                r = agent_api_new(a, &a->api, e);
        if (r == 0)
                r = fetcher_new(a, &a->fetcher, e);
        if (r == 0)
                r = volumes_new(a, &a->volumes, e);
        if (r < 0)
                return r;
        open_probes(a);
        log_missing_isolations(a);
        a->link = master_link_new(a);
        r = recover_containers(a, e);
        if (r < 0)
                return r;
        volumes_recovered(a->volumes);
        settle_cores(a);
        a->sampler = usage_sampler_new(a);
        master_link_start(a->link);
        log_info("agent %s on %s: %.3g cores, %.1f GiB, measuring by %s", METE_VERSION, a->endpoint,
                (double)a->options->milli_cpus / 1000.0,
                (double)a->options->memory_bytes / (double)(1u << 30), a->measurement);
        return 0;
}

static struct agent with_nothing_open(const struct agent_options *options)
{
        return (struct agent){
                .options = options,
                .shim_exe_fd = -1,
                .work_fd = -1,
                .meta_fd = -1,
                .checkpoints_fd = -1,
                .runtime_fd = -1,
                .overlays_fd = -1,
                .states_fd = -1,
                .identity = {.meta_fd = -1, .lock_fd = -1},
        };
}

int agent_start(struct agent *a, const struct agent_options *options, struct error *e)
{
        *a = with_nothing_open(options);
        int r = start(a, e);
        if (r < 0) {
                agent_stop(a);
                return r;
        }
        /* What start needed once (JSON profiles, ELF of the probes) goes back to the kernel. */
        (void)malloc_trim(0);
        return 0;
}

int agent_run(struct agent *a)
{
        return loop_run(a->loop);
}

/* ---- stopping ---- */

static void leave_nothing(struct agent *a)
{
        _cleanup_error_ struct error e = {0};

        a->shim_cgroup = cgroup_free(a->shim_cgroup);
        if (cgroup_root_destroy(a->host.cgroups, DESTROY_TIMEOUT_NS, &e) < 0)
                log_error("%s", error_message(&e));
        a->host.cgroups = cgroup_root_free(a->host.cgroups);
        a->host.probes = bpf_probes_free(a->host.probes);
        error_done(&e);
        if (bpf_probes_purge(a->bpf_dir, &e) < 0)
                log_error("%s", error_message(&e));
        if (remove_tree_at(a->work_fd, "overlays") < 0)
                log_error("cannot remove the overlays below %s", a->options->work_dir);
        if (remove_tree_at(AT_FDCWD, a->options->runtime_dir) < 0)
                log_error("cannot remove %s", a->options->runtime_dir);
}

static void forget_identity(struct agent *a)
{
        _cleanup_error_ struct error e = {0};

        if (identity_forget_agent_id(&a->identity, &e) < 0)
                log_error("%s", error_message(&e));
        if (remove_tree_at(a->meta_fd, "containers") < 0)
                log_error("cannot remove the checkpoints below %s", a->options->work_dir);
}

static void stop_parts(struct agent *a)
{
        struct agent_container *c, *tmp;

        a->api = agent_api_free(a->api);
        free(a->launch_times);
        a->launch_times = NULL;
        a->link = master_link_free(a->link);
        a->sampler = usage_sampler_free(a->sampler);
        HASH_ITER (hh, a->containers, c, tmp)
                container_free(c);
        a->volumes = volumes_free(a->volumes);
        a->fetcher = fetcher_free(a->fetcher);
        leftovers_stop(&a->leftovers);
        gc_stop(&a->gc);
        if (a->pool)
                a->pool = worker_pool_free(a->pool);
        for (size_t i = 0; i < ELEMENTSOF(a->signals); i++)
                if (a->signals[i])
                        a->signals[i] = loop_signal_free(a->signals[i]);
        if (a->stop_timer)
                a->stop_timer = loop_timer_free(a->stop_timer);
        if (a->loop)
                a->loop = loop_free(a->loop);
}

void agent_stop(struct agent *a)
{
        stop_parts(a);
        if (a->forget_identity)
                forget_identity(a);
        if (a->leave_nothing)
                leave_nothing(a);
        if (a->host.probes)
                a->host.probes = bpf_probes_free(a->host.probes);
        a->host.cores = cores_free(a->host.cores);
        a->shim_cgroup = cgroup_free(a->shim_cgroup);
        a->host.cgroups = cgroup_root_free(a->host.cgroups);
        free(a->host.probes_missing);
        string_list_done(&a->host.hidden_paths);
        free(a->measurement);
        free(a->bpf_dir);
        free(a->endpoint);
        free(a->socket_dir);
        free(a->volumes_dir);
        identity_done(&a->identity);
        close_fd(a->shim_exe_fd);
        close_fd(a->overlays_fd);
        close_fd(a->states_fd);
        close_fd(a->runtime_fd);
        close_fd(a->checkpoints_fd);
        close_fd(a->meta_fd);
        close_fd(a->work_fd);
}

int agent_purge(const struct agent_options *options, struct error *e)
{
        struct agent a = with_nothing_open(options);
        int r = open_work_dir(&a, e); /* the lock: never under a living agent */

        if (r == 0) {
                describe_host(&a);
                r = cgroup_root_open("/", options->cgroup_root, &a.host.cgroups, e);
        }
        a.leave_nothing = r == 0;
        agent_stop(&a);
        return r;
}
