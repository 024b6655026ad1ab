#include "agent/recover.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/checkpoint_tasks.h"
#include "agent/command_task.h"
#include "agent/executors/executors.h"
#include "agent/launch.h"
#include "agent/task_spec.h"
#include "bpf/bpf.h"
#include "lib/base/log.h"
#include "lib/net/codec.h"

/* Names in a directory of ours. */
static int list_names(int dirfd, struct string_list *ret)
{
        int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
        struct dirent *x;

        if (!d) {
                int r = -errno;

                close_fd(fd);
                return r;
        }
        while ((x = readdir(d)))
                if (!str_equal(x->d_name, ".") && !str_equal(x->d_name, ".."))
                        string_list_add(ret, x->d_name);
        (void)closedir(d);
        return 0;
}

/* ---- one container ---- */

/* Whatever else is not known of it: nobody else may come onto its cores. */
static void keep_cores(struct agent_container *c)
{
        struct cpu_list cores;

        if (c->info->task && task_spec_cores(c->info->task, &cores, NULL) == 0 && cpu_list_count(&cores) > 0)
                c->spec.exclusive_cores = xmemdup(&cores, sizeof(cores));
}

/* Limits and ids again, from the checkpoint. What cannot be rebuilt (a root file system that vanished) is not needed any more. */
static void rebuild_spec(struct agent_container *c)
{
        _cleanup_error_ struct error e = {0};

        if (launch_build_spec(c, /* recovered= */ true, &e) < 0) {
                log_debug("%s %s: %s", c->owner->noun, container_label(c), error_message(&e));
                c->spec = (struct container_spec){.container_id = xstrdup(container_id(c))};
                keep_cores(c);
        }
        if (c->info->sandbox)
                c->view.sandbox_path = xstrdup(c->info->sandbox);
        c->view.sandbox_in_container = xstrdup(launch_sandbox_in_container(c));
}

static void find_host_side(struct agent_container *c)
{
        _cleanup_error_ struct error e = {0};

        if (isolators_recover(&c->agent->host, &c->view, &e) < 0)
                log_debug("%s %s: %s", c->owner->noun, container_label(c), error_message(&e));
        c->isolated = true; /* cleanup copes with what is not there */
}

static void end_with(struct agent_container *c, Mete__V1__TaskState state,
        Mete__V1__TaskStatus__Reason reason, const char *message)
{
        _cleanup_outcome_ struct task_outcome o = task_outcome_make(state, reason, message);

        container_end(c, &o);
}

/* Frameworks that are part of the master act on FAILED; of the others Mesos' rule holds: the task never ran. */
static void end_task_never_run(struct agent_container *c)
{
        const char *message = "the launch was interrupted by a restart of the agent";
        bool aware = framework_has_capability(
                c->info->framework, METE__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__PARTITION_AWARE);

        if (c->info->has_skip_starting && c->info->skip_starting)
                end_with(c, METE__V1__TASK_STATE__TASK_FAILED,
                        METE__V1__TASK_STATUS__REASON__REASON_AGENT_RESTARTED, message);
        else
                end_with(c, aware ? METE__V1__TASK_STATE__TASK_DROPPED : METE__V1__TASK_STATE__TASK_LOST,
                        METE__V1__TASK_STATUS__REASON__REASON_AGENT_RESTARTED, message);
}

/*
 * The lock is free and no shim has written anything: the agent died between checkpoint and spawn. (A shim that was spawned holds
 * the lock before it writes; one that was killed before it wrote has started nothing that outlives it but what the cgroup holds.)
 */
static void end_interrupted(struct agent_container *c)
{
        if (c->view.cgroup && cgroup_kill(c->view.cgroup, NULL) < 0)
                log_debug("%s %s: its cgroup could not be killed", c->owner->noun, container_label(c));
        if (c->kill_asked)
                end_with(c, METE__V1__TASK_STATE__TASK_KILLED,
                        METE__V1__TASK_STATUS__REASON__REASON_TASK_KILLED_DURING_LAUNCH,
                        "killed during its launch");
        else if (c->task)
                end_task_never_run(c);
        else
                executor_end_never_run(c->executor, "the launch was interrupted by a restart of the agent");
}

/* Everything of the boot before is gone. */
static void end_of_earlier_boot(struct agent_container *c)
{
        const char *message = "lost when the machine restarted";

        if (c->executor)
                executor_end_never_run(c->executor, message);
        else if (c->info->has_skip_starting && c->info->skip_starting)
                end_with(c, METE__V1__TASK_STATE__TASK_LOST,
                        METE__V1__TASK_STATUS__REASON__REASON_AGENT_RESTARTED, message);
        else if (!c->task->updates.has_latest)
                end_task_never_run(c);
        else
                end_with(c, METE__V1__TASK_STATE__TASK_FAILED,
                        METE__V1__TASK_STATUS__REASON__REASON_EXECUTOR_TERMINATED, message);
}

static void resume_kill(struct agent_container *c)
{
        if (!c->kill_asked || c->state == CONTAINER_STATE_ENDED)
                return;
        if (c->executor) {
                c->kill_asked = false; /* what was asked for was a shutdown with its grace */
                executor_shutdown(c->executor);
                return;
        }
        container_kill(c, 0, 3 * NSEC_PER_SEC, /* only_signal= */ false);
}

static void recover_this_boot(struct agent_container *c)
{
        _cleanup_fd_ int state_fd = container_open_state(c);
        struct shim_record r = {0};
        int held = state_fd < 0 ? 0 : shim_lock_held(state_fd);

        find_host_side(c);
        if (held == 1) {
                log_info("%s %s: still running, taken over", c->owner->noun, container_label(c));
                container_set_state(c, CONTAINER_STATE_STARTING);
                container_watch_adopted(c);
                if (c->silent)
                        container_destroy(c);
                else if (c->executor && c->state != CONTAINER_STATE_ENDED)
                        executor_await_return(c->executor);
                resume_kill(c);
                return;
        }
        if (c->executor && state_fd < 0)
                c->executor->exit_known = true;
        if (state_fd < 0 || shim_record_read(state_fd, &r) == -ENOENT)
                end_interrupted(c);
        else
                container_exited(c);
}

/* 0 when t goes on, 1 when its end is acknowledged already. Consumes u; NULL: nothing was told yet. */
static int restore_updates(struct agent_task *t, Mete__Checkpoint__Updates *u)
{
        if (!u)
                return 0;
        status_stream_restore(&t->updates, u);
        t->started_reported =
                t->updates.has_latest && (t->updates.latest == METE__V1__TASK_STATE__TASK_RUNNING ||
                                                 t->updates.latest == METE__V1__TASK_STATE__TASK_KILLING);
        return t->updates.terminal_acknowledged;
}

static void forget(struct agent *a, const char *id)
{
        if (checkpoint_container_remove(a->checkpoints_fd, id) < 0)
                log_warning("cannot remove the checkpoint of container %s", id);
}

/* Told already, but not acknowledged; what may be left of it on the host goes with the orphans. */
static void keep_ended(struct agent_container *c)
{
        container_set_state(c, CONTAINER_STATE_ENDED);
        if (container_sandbox(c))
                gc_add(&c->agent->gc, container_sandbox(c));
}

/* 0 when c goes on; else it is forgotten or only waits. */
static int recover_command_task(struct agent_container *c, struct checkpoint *saved)
{
        struct agent_task *t = command_task_new(c);

        if (restore_updates(t, TAKE_PTR(saved->updates))) {
                container_forget(c);
                return 1;
        }
        if (!task_is_ended(t))
                return 0;
        keep_ended(c);
        return 1;
}

static void recover_executor(struct agent_container *c, struct checkpoint *saved)
{
        struct agent_executor *x = executor_new(c);
        struct checkpoint_task *s;

        for (s = saved->tasks; s; s = s->hh.next) {
                struct agent_task *t =
                        executor_add_task(x, TAKE_PTR(s->task->task), s->task->group, /* queued= */ false);

                t->updates = s->updates;
                s->updates = (struct status_stream){0};
                x->last_group = MAX(x->last_group, t->group);
        }
}

static void recover_one(struct agent *a, const char *id)
{
        _cleanup_error_ struct error e = {0};
        _cleanup_checkpoint_ struct checkpoint saved = {0};

        int r = checkpoint_container_read(a->checkpoints_fd, id, &saved, &e);
        if (r < 0) {
                /* -ENOENT: died while the first record was written; then nothing of it is left to tell. */
                if (r != -ENOENT) {
                        a->counters.recovery_errors++;
                        log_error("%s: the container is forgotten, what runs of it is killed",
                                error_message(&e));
                }
                forget(a, id);
                return;
        }
        struct agent_container *c = container_new(a, TAKE_PTR(saved.container));
        if (c->info->executor)
                recover_executor(c, &saved);
        else if (recover_command_task(c, &saved) != 0)
                return;
        suspension_restore(c, saved.suspended);
        c->kill_asked = saved.killed;
        c->kill_cause =
                saved.kill_cause < KILL_CAUSE_MAX ? (enum kill_cause)saved.kill_cause : KILL_CAUSE_ASKED;
        /* Of a framework that does not checkpoint nothing outlives the agent; the master has declared it lost. */
        c->silent = !c->info->framework->has_checkpoint || !c->info->framework->checkpoint;
        rebuild_spec(c);
        if (!str_equal(c->info->boot_id, a->boot_id))
                end_of_earlier_boot(c);
        else
                recover_this_boot(c);
}

/* ---- what belongs to nobody ---- */

static bool is_live(const char *container, void *userdata)
{
        const struct agent_container *c = container_find(userdata, container);

        return c && c->state != CONTAINER_STATE_ENDED;
}

static void remove_orphan_cgroups(struct agent *a)
{
        CLEANUP(string_list_done) struct string_list names = {0};

        if (cgroup_list(a->host.cgroups, "containers", &names) < 0)
                return;
        for (size_t i = 0; i < names.count; i++) {
                if (is_live(names.items[i], a))
                        continue;
                _cleanup_free_ char *name = xasprintf("containers/%s", names.items[i]);
                log_debug("cgroup %s belongs to no container and is removed", name);
                leftovers_add(&a->leftovers, name);
        }
}

/*
 * A shim may still hold an orphan's directory: its cgroup was killed above, the shim writes its record into a directory without a
 * name then, and ends.
 */
static void remove_orphans_in(struct agent *a, int dirfd, const char *what)
{
        CLEANUP(string_list_done) struct string_list names = {0};

        if (list_names(dirfd, &names) < 0)
                return;
        for (size_t i = 0; i < names.count; i++)
                if (!is_live(names.items[i], a) && remove_tree_at(dirfd, names.items[i]) < 0)
                        log_warning("cannot remove the %s of container %s", what, names.items[i]);
}

static void remove_orphan_slots(struct agent *a)
{
        struct agent_container *c, *tmp;
        _cleanup_free_ uint32_t *slots = xcalloc(HASH_COUNT(a->containers) + 1, sizeof(*slots));
        size_t n = 0;

        if (!a->host.probes)
                return;
        HASH_ITER (hh, a->containers, c, tmp)
                if (c->view.probe_slot)
                        slots[n++] = c->view.probe_slot;
        bpf_probes_retain(a->host.probes, slots, n);
}

/*
 * Earlier agents kept a directory of files a container, and an agent that died while it wrote a file aside left that. Neither is a
 * checkpoint: what runs of an old one is killed with the other orphans.
 */
static void remove_foreign(struct agent *a, const struct string_list *names)
{
        struct stat st;
        size_t old = 0;

        for (size_t i = 0; i < names->count; i++) {
                const char *name = names->items[i];

                if (fstatat(a->checkpoints_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
                        (!S_ISDIR(st.st_mode) && name[0] != '.'))
                        continue;
                old += S_ISDIR(st.st_mode);
                if (remove_tree_at(a->checkpoints_fd, name) < 0)
                        log_warning("cannot remove %s below meta/containers", name);
        }
        a->counters.recovery_errors += old;
        if (old)
                log_warning("%zu checkpoints of an older format are removed: their tasks are lost", old);
}

static bool has_checkpoint(const char *container, void *userdata)
{
        const struct agent *a = userdata;

        return faccessat(a->checkpoints_fd, container, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

int recover_containers(struct agent *a, struct error *e)
{
        CLEANUP(string_list_done) struct string_list names = {0};
        const uint64_t started_ns = mono_now().ns;

        int r = list_names(a->checkpoints_fd, &names);
        if (r < 0)
                return error_set_errno(e, r, "cannot list the checkpoints below %s", a->options->work_dir);
        remove_foreign(a, &names);
        gc_scan(&a->gc, has_checkpoint,
                a); /* before containers end here and hand their sandboxes over themselves */
        for (size_t i = 0; i < names.count; i++)
                if (has_checkpoint(names.items[i], a))
                        recover_one(a, names.items[i]);
        remove_orphan_cgroups(a);
        remove_orphans_in(a, a->states_fd, "runtime directory");
        remove_orphans_in(a, a->overlays_fd, "overlay");
        remove_orphan_slots(a);
        a->counters.recovery_ns = mono_now().ns - started_ns;
        return 0;
}
