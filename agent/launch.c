/*
 * A launch, and what the next agent finds when this one is killed right after each step:
 *
 *   1 checkpoint    its file exists, nothing else: reported failed, "launch was interrupted"
 *   2 sandbox       the same, and the garbage collector sees the directory
 *   3 isolate       the same; cgroup, probe slot and runtime directory are removed by recovery
 *   4 lock taken    the same: the lock dies with us
 *   5 shim spawned  the shim holds the lock from its first instant (it inherits the open file): adopted, its records tell the rest
 *
 * A failure at any step undoes the ones before and ends as a status update that was checkpointed first.
 */
#include "agent/launch.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/checkpoint.h"
#include "agent/command_task.h"
#include "agent/master_link.h"
#include "agent/shim/spawn.h"
#include "agent/status_message.h"
#include "agent/task_spec.h"
#include "lib/base/id.h"
#include "lib/base/log.h"
#include "lib/net/codec.h"

/* In an image as Mesos has it; without one at its own path, which the host's read-only root has already. */
static const char *sandbox_in_container(const struct agent_container *c)
{
        const Mete__Api__Isolation *i = c->info->isolation;

        return i && i->rootfs ? "/mnt/mesos/sandbox" : c->info->sandbox;
}

void launch_fill_place(const struct agent_container *c, struct task_place *ret)
{
        const struct agent *a = c->agent;

        *ret = (struct task_place){
                .agent_id = c->info->task->agent_id->value,
                .agent_endpoint = a->endpoint,
                .container_id = container_id(c),
                .sandbox_in_container = sandbox_in_container(c),
                .sandbox_path = c->info->sandbox,
                .milli_cpus = a->options->milli_cpus,
                .memory_bytes = a->options->memory_bytes,
        };
}

/* ---- checkpoint ---- */

static Mete__Checkpoint__Container *container_info_new(struct agent *a, const Mete__Agent__Command__Launch *l)
{
        Mete__Checkpoint__Container *i = NEW0(Mete__Checkpoint__Container);
        uint8_t uuid[UUID_BYTES];
        char id[UUID_TEXT_MAX];

        uuid_generate_bytes(uuid);
        mete__checkpoint__container__init(i);
        i->version = CHECKPOINT_FORMAT;
        i->container_id = xstrdup(uuid_format(uuid, id));
        i->boot_id = xstrdup(a->boot_id);
        i->framework = message_copy(l->framework);
        i->task = message_copy(l->task);
        i->isolation = l->isolation ? message_copy(l->isolation) : NULL;
        _cleanup_free_ char *path = gc_sandbox_path(
                a->identity.agent_id, l->framework->id->value, l->task->task_id->value, i->container_id);
        i->sandbox = xasprintf("%s/%s", a->options->work_dir, path);
        i->cgroup = xasprintf("containers/%s", i->container_id);
        i->has_created = true;
        i->created = wall_seconds(wall_now());
        return i;
}

/* ---- sandbox ---- */

static int make_sandbox(struct agent_container *c, struct error *e)
{
        const struct agent *a = c->agent;
        const char *path = gc_relative_path(c->info->sandbox, a->options->work_dir);

        /* Every component above the sandbox is root's, and every id in it was validated: nobody can swap one for a link. */
        _cleanup_free_ char *parent = xstrndup(path, (size_t)(strrchr(path, '/') - path));
        int r = mkdir_parents_at(a->work_fd, parent, 0755);
        if (r == 0 && mkdirat(a->work_fd, path, 0700) < 0)
                r = -errno;
        if (r < 0)
                return error_set_errno(e, r, "sandbox: cannot make the directory %s", c->info->sandbox);
        c->view.sandbox_fd = openat(a->work_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (c->view.sandbox_fd < 0)
                return error_set_errno(e, -errno, "sandbox: cannot open the directory %s", c->info->sandbox);
        c->view.sandbox_path = xstrdup(c->info->sandbox);
        c->view.sandbox_in_container = xstrdup(sandbox_in_container(c));
        return 0;
}

static int give_sandbox(struct agent_container *c, struct error *e)
{
        if (fchown(c->view.sandbox_fd, c->view.user.uid, c->view.user.gid) < 0)
                return error_set_errno(e, -errno, "sandbox: cannot give the directory %s to user %u",
                        c->info->sandbox, (unsigned)c->view.user.uid);
        if (c->view.user.uid != 0 && c->view.capabilities == 0)
                return 0;
        /* Such a task can make programs with the set-user-id bit, devices and an open sandbox: what has no effect inside must not
         * wait for a user of the host outside. */
        _cleanup_free_ char *parent =
                xstrndup(c->info->sandbox, (size_t)(strrchr(c->info->sandbox, '/') - c->info->sandbox));
        if (chmod(parent, 0700) < 0)
                return error_set_errno(e, -errno, "sandbox: cannot close the directory %s", parent);
        return 0;
}

static void remove_sandbox(struct agent_container *c)
{
        _cleanup_free_ char *path = xstrdup(gc_relative_path(c->info->sandbox, c->agent->options->work_dir));

        c->view.sandbox_fd = close_fd(c->view.sandbox_fd);
        if (remove_tree_at(c->agent->work_fd, path) < 0)
                log_debug("%s %s: its sandbox could not be removed", c->owner->noun, container_label(c));
        else
                gc_remove_empty_parents(c->agent->work_fd, path);
        free(c->info->sandbox);
        c->info->sandbox = NULL;
}

/* ---- the shim ---- */

struct spawn_fds {
        int state, lock, v1[CGROUP_CONTROLLER_MAX];
        size_t v1_count;
};

static void spawn_fds_done(struct spawn_fds *f)
{
        close_fd(f->state);
        close_fd(f->lock); /* our copy: the shim's keeps the lock */
        for (size_t i = 0; i < f->v1_count; i++)
                close_fd(f->v1[i]);
}

static int open_spawn_fds(struct agent_container *c, struct spawn_fds *f, struct error *e)
{
        f->state = container_open_state(c);
        if (f->state < 0)
                return error_set_errno(
                        e, f->state, "cannot open the runtime directory of container %s", container_id(c));
        int r = shim_lock_take(f->state, &f->lock);
        if (r < 0)
                return error_set_errno(
                        e, r, "cannot lock the runtime directory of container %s", container_id(c));
        if (!c->view.cgroup)
                return error_set(e, -ENOTSUP, "this host gives tasks no cgroup: see `mete doctor`");
        r = cgroup_open_entry_fds(c->view.cgroup, f->v1, &f->v1_count);
        return r < 0 ? error_set_errno(e, r, "cannot open the cgroups of container %s", container_id(c)) : 0;
}

static int spawn(struct agent_container *c, struct plan *plan, struct error *e)
{
        CLEANUP(spawn_fds_done) struct spawn_fds f = {.state = -1, .lock = -1};
        _cleanup_fd_ int plan_fd = -1;
        int pidfd, status_fd;

        int r = plan_seal(plan, &plan_fd, e);
        if (r == 0)
                r = open_spawn_fds(c, &f, e);
        if (r < 0)
                return r;
        const struct shim_spawn_options o = {
                .shim_exe_fd = c->agent->shim_exe_fd,
                .plan_fd = plan_fd,
                .state_fd = f.state,
                .lock_fd = f.lock,
                .sandbox_fd = c->view.sandbox_fd,
                .cgroup_fd = cgroup_v2_fd(c->view.cgroup),
                .shim_cgroup_fd = c->agent->shim_cgroup ? cgroup_v2_fd(c->agent->shim_cgroup) : -1,
                .v1_fds = f.v1,
                .v1_count = f.v1_count,
        };
        r = shim_spawn(&o, &pidfd, &status_fd, e);
        if (r < 0)
                return r;
        container_set_state(c, CONTAINER_STATE_STARTING);
        container_watch(c, pidfd, status_fd);
        return 0;
}

/* ---- the whole ---- */

static int start(struct agent_container *c, struct error *e)
{
        CLEANUP(cleanup_plan_free) struct plan *plan = plan_new();
        struct agent *a = c->agent;

        launch_clock_mark(&c->clock, LAUNCH_STAGE_SANDBOX);
        int r = isolators_prepare(&a->host, &c->view, plan, e);
        launch_clock_mark(&c->clock, LAUNCH_STAGE_PREPARE);
        if (r == 0)
                r = give_sandbox(c, e);
        if (r == 0 && mkdirat(a->states_fd, container_id(c), 0700) < 0)
                r = error_set_errno(
                        e, -errno, "cannot make the runtime directory of container %s", container_id(c));
        if (r == 0)
                r = isolators_isolate(&a->host, &c->view, e);
        if (r < 0)
                return r;
        launch_clock_mark(&c->clock, LAUNCH_STAGE_ISOLATE);
        c->isolated = true;
        r = spawn(c, plan, e);
        launch_clock_mark(&c->clock, LAUNCH_STAGE_SPAWN);
        return r;
}

/* A request that cannot be right anywhere is an ERROR; one that this host could not serve is a FAILED. */
static void refuse(struct agent_container *c, int code, const struct error *e, bool invalid)
{
        _cleanup_outcome_ struct task_outcome o = task_outcome_make(
                invalid ? METE__V1__TASK_STATE__TASK_ERROR : METE__V1__TASK_STATE__TASK_FAILED,
                invalid ? METE__V1__TASK_STATUS__REASON__REASON_TASK_INVALID
                        : METE__V1__TASK_STATUS__REASON__REASON_CONTAINER_LAUNCH_FAILED,
                error_message(e));

        remove_sandbox(c);
        container_end(c, &o);
}

static int prepare_spec(struct agent_container *c, const Mete__Agent__Command__Launch *l, struct error *e)
{
        struct task_place place;

        launch_fill_place(c, &place);
        if (c->agent->stopping)
                return error_set(e, -ESHUTDOWN, "this agent is shutting down");
        return task_spec_build(l, &place, &c->spec, e);
}

/* Ids that are no ids cannot name a checkpoint: the answer goes out once and is not repeated. */
static void refuse_ids(struct agent *a, const Mete__Agent__Command__Launch *l, const struct error *e)
{
        const char *framework = l->framework->id ? l->framework->id->value : "";
        Mete__Agent__StatusUpdate *u =
                status_message_unknown(a->identity.agent_id, framework, l->task->task_id->value);

        u->status->state = METE__V1__TASK_STATE__TASK_ERROR;
        u->status->reason = METE__V1__TASK_STATUS__REASON__REASON_TASK_INVALID;
        free(u->status->message);
        u->status->message = xstrdup(error_message(e));
        master_link_update(a->link, u);
        message_free(u);
}

void launch_task(struct agent *a, const Mete__Agent__Command__Launch *l)
{
        _cleanup_error_ struct error e = {0};

        if (task_spec_check_ids(l, &e) < 0) {
                log_warning("a launch is refused: %s", error_message(&e));
                refuse_ids(a, l, &e);
                return;
        }
        if (task_find(a, l->framework->id->value, l->task->task_id->value)) {
                /* The master repeats itself after a reconnection; a second answer would speak of the first task. */
                log_warning(
                        "task %s is here already: the repeated launch is ignored", l->task->task_id->value);
                return;
        }
        struct agent_container *c = container_new(a, container_info_new(a, l));
        struct agent_task *t = command_task_new(c);

        launch_clock_begin(&c->clock);
        if (checkpoint_container_write(a->checkpoints_fd, c->info, &e) < 0) {
                refuse(c, e.code, &e, /* invalid= */ false);
                return;
        }
        launch_clock_mark(&c->clock, LAUNCH_STAGE_CHECKPOINT);
        int r = prepare_spec(c, l, &e);
        if (r < 0) {
                refuse(c, r, &e, /* invalid= */ r != -ESHUTDOWN);
                return;
        }
        r = make_sandbox(c, &e);
        if (r == 0)
                r = start(c, &e);
        if (r < 0) {
                refuse(c, r, &e, /* invalid= */ false);
                return;
        }
        log_info("task %s: starting in container %s", task_id(t), container_id(c));
        if (!l->skip_starting)
                task_report(t, METE__V1__TASK_STATE__TASK_STARTING, NULL);
}
