/*
 * A launch, and what the next agent finds when this one is killed right after each step:
 *
 *   1 checkpoint    its file exists, nothing else: reported failed, "launch was interrupted"
 *   2 sandbox       the same, and the garbage collector sees the directory
 *     fetch         the same; the helper's cgroup is removed by recovery. All the other steps happen in one pass of the loop.
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

#include "agent/api/executor_token.h"
#include "agent/checkpoint.h"
#include "agent/command_task.h"
#include "agent/executors/executors.h"
#include "agent/fetcher.h"
#include "agent/master_link.h"
#include "agent/shim/spawn.h"
#include "agent/status_message.h"
#include "agent/task_spec.h"
#include "agent/volumes.h"
#include "lib/base/id.h"
#include "lib/base/log.h"
#include "lib/net/codec.h"

/* In an image as Mesos has it; without one at its own path, which the host's read-only root has already. */
const char *launch_sandbox_in_container(const struct agent_container *c)
{
        const Mete__Api__Isolation *i = c->info->isolation;

        return i && i->rootfs ? "/mnt/mesos/sandbox" : c->info->sandbox;
}

/* ---- what is to run ---- */

static struct task_place place_of(const struct agent_container *c, bool recovered)
{
        const struct agent_options *o = c->agent->options;

        return (struct task_place){
                .agent_id = c->info->task ? c->info->task->agent_id->value : c->agent->identity.agent_id,
                .agent_endpoint = c->agent->endpoint,
                .container_id = container_id(c),
                .sandbox_in_container = launch_sandbox_in_container(c),
                .sandbox_path = c->info->sandbox,
                .volumes_dir = c->agent->volumes_dir,
                .milli_cpus = recovered ? UINT64_MAX : o->milli_cpus,
                .memory_bytes = recovered ? UINT64_MAX : o->memory_bytes,
                .executor = c->executor != NULL,
                .limits = c->executor ? executor_limits(c->executor) : NULL,
                .shutdown_grace_ns = c->executor ? executor_grace_ns(c->executor) : o->executor_shutdown_ns,
                .recovery_timeout_ns = o->recovery_ns,
                .domain_socket = c->executor ? CONTAINER_AGENT_SOCKET : NULL,
                .environment = &o->executor_environment,
        };
}

static int build_executor_spec(
        struct agent_container *c, Mete__Agent__Command__Launch *l, struct task_place *place, struct error *e)
{
        Mete__V1__TaskInfo stand_in = METE__V1__TASK_INFO__INIT;
        Mete__V1__TaskID id = METE__V1__TASK_ID__INIT;
        _cleanup_free_ char *token =
                executor_token_new(c->agent, container_framework_id(c), container_label(c), container_id(c));

        id.value = c->info->executor->executor_id->value;
        stand_in.name = id.value;
        stand_in.task_id = &id;
        executor_fill_stand_in(c->executor, &stand_in);
        l->task = &stand_in;
        place->executor_token = token;
        int r = task_spec_build(l, place, &c->spec, e);
        if (r == 0)
                c->spec.agent_socket_dir = xstrdup(c->agent->socket_dir);
        return r;
}

int launch_build_spec(struct agent_container *c, bool recovered, struct error *e)
{
        Mete__Agent__Command__Launch l = METE__AGENT__COMMAND__LAUNCH__INIT;
        struct task_place place = place_of(c, recovered);

        l.framework = c->info->framework;
        l.task = c->info->task;
        l.isolation = c->info->isolation;
        return c->executor ? build_executor_spec(c, &l, &place, e) : task_spec_build(&l, &place, &c->spec, e);
}

/* ---- checkpoint ---- */

Mete__Checkpoint__Container *launch_info_new(struct agent *a, const Mete__V1__FrameworkInfo *framework,
        const Mete__V1__TaskInfo *task, const Mete__V1__ExecutorInfo *executor,
        const Mete__Api__Isolation *isolation)
{
        Mete__Checkpoint__Container *i = NEW0(Mete__Checkpoint__Container);
        uint8_t uuid[UUID_BYTES];
        char id[UUID_TEXT_MAX];

        uuid_generate_bytes(uuid);
        mete__checkpoint__container__init(i);
        i->version = CHECKPOINT_FORMAT;
        i->container_id = xstrdup(uuid_format(uuid, id));
        i->boot_id = xstrdup(a->boot_id);
        i->framework = message_copy(framework);
        i->task = task ? message_copy(task) : NULL;
        i->executor = executor ? message_copy(executor) : NULL;
        i->isolation = isolation ? message_copy(isolation) : NULL;
        _cleanup_free_ char *path = gc_sandbox_path(a->identity.agent_id, framework->id->value,
                task ? task->task_id->value : executor->executor_id->value, i->container_id);
        i->sandbox = xasprintf("%s/%s", a->options->work_dir, path);
        i->cgroup = xasprintf("containers/%s", i->container_id);
        i->has_created = true;
        i->created = wall_seconds(wall_now());
        return i;
}

/* ---- sandbox ---- */

/* "runs/latest", as tools look for it. Command tasks run once: theirs would cost a file each and say nothing. */
static void link_latest(const struct agent_container *c, const char *runs)
{
        _cleanup_free_ char *link = xasprintf("%s/latest", runs);

        (void)unlinkat(c->agent->work_fd, link, 0);
        if (symlinkat(c->info->sandbox, c->agent->work_fd, link) < 0)
                log_debug("cannot make the link %s: %s", link, strerror(errno));
}

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
        if (c->executor)
                link_latest(c, parent);
        c->view.sandbox_path = xstrdup(c->info->sandbox);
        c->view.sandbox_in_container = xstrdup(launch_sandbox_in_container(c));
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

static int prepare(struct agent_container *c, struct error *e)
{
        c->plan = plan_new();
        launch_clock_mark(&c->clock, LAUNCH_STAGE_SANDBOX);
        int r = isolators_prepare(&c->agent->host, &c->view, c->plan, e);
        launch_clock_mark(&c->clock, LAUNCH_STAGE_PREPARE);
        if (r == 0)
                r = volumes_give(c->agent->volumes, c, e);
        return r == 0 ? give_sandbox(c, e) : r;
}

static int start(struct agent_container *c, struct error *e)
{
        CLEANUP(cleanup_plan_free) struct plan *plan = TAKE_PTR(c->plan);
        struct agent *a = c->agent;
        int r = 0;

        if (mkdirat(a->states_fd, container_id(c), 0700) < 0)
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
        if (r < 0)
                return r;
        log_info("%s %s: starting in container %s", c->owner->noun, container_label(c), container_id(c));
        c->owner->spawned(c);
        return 0;
}

/* A request that cannot be right anywhere is an ERROR; one that this host could not serve is a FAILED. */
static void refuse(struct agent_container *c, const struct error *e, bool invalid)
{
        _cleanup_outcome_ struct task_outcome o = task_outcome_make(
                invalid ? METE__V1__TASK_STATE__TASK_ERROR : METE__V1__TASK_STATE__TASK_FAILED,
                invalid ? METE__V1__TASK_STATUS__REASON__REASON_TASK_INVALID
                        : METE__V1__TASK_STATUS__REASON__REASON_CONTAINER_LAUNCH_FAILED,
                error_message(e));

        container_end(c, &o);
}

void launch_fail(struct agent_container *c, const struct error *why)
{
        remove_sandbox(c);
        refuse(c, why, /* invalid= */ false);
}

/* ---- fetching ---- */

static const Mete__V1__CommandInfo *command_of(const struct agent_container *c)
{
        return c->info->task ? c->info->task->command : c->info->executor->command;
}

static void on_fetched(int result, const char *message, void *userdata)
{
        _cleanup_error_ struct error e = {0};
        struct agent_container *c = userdata;

        c->fetch = fetch_free(c->fetch);
        int r = result < 0 ? error_set(&e, result, "fetching: %s", message ? message : strerror(-result))
                           : start(c, &e);
        /* The sandbox stays: what came before the failure may explain it. */
        if (r < 0)
                refuse(c, &e, /* invalid= */ false);
}

static int begin_fetch(struct agent_container *c, struct error *e)
{
        const Mete__V1__CommandInfo *command = command_of(c);
        const struct fetch_request request = {
                .container_id = container_id(c),
                .uris = command->uris,
                .uri_count = command->n_uris,
                .sandbox_fd = c->view.sandbox_fd,
                .user = &c->view.user,
        };

        c->clock = (struct launch_clock){0}; /* what a server takes says nothing about launches */
        container_set_state(c, CONTAINER_STATE_FETCHING);
        return fetch_start(c->agent, &request, on_fetched, c, &c->fetch, e);
}

void launch_container(struct agent_container *c)
{
        _cleanup_error_ struct error e = {0};

        int r = c->agent->stopping ? error_set(&e, -ESHUTDOWN, "this agent is shutting down")
                                   : launch_build_spec(c, /* recovered= */ false, &e);
        bool invalid = r < 0 && r != -ESHUTDOWN && c->task;
        if (r == 0)
                r = make_sandbox(c, &e);
        if (r == 0)
                r = prepare(c, &e);
        if (r == 0)
                r = command_of(c)->n_uris > 0 ? begin_fetch(c, &e) : start(c, &e);
        if (r == 0)
                return;
        remove_sandbox(c);
        refuse(c, &e, invalid);
}

/* ---- command tasks ---- */

void launch_refuse_ids(struct agent *a, const char *framework_id, const char *id, const struct error *why)
{
        Mete__Agent__StatusUpdate *u = status_message_unknown(a->identity.agent_id, framework_id, id);

        log_warning("a launch is refused: %s", error_message(why));
        u->status->state = METE__V1__TASK_STATE__TASK_ERROR;
        u->status->reason = METE__V1__TASK_STATUS__REASON__REASON_TASK_INVALID;
        free(u->status->message);
        u->status->message = xstrdup(error_message(why));
        master_link_update(a->link, u);
        message_free(u);
}

void launch_task(struct agent *a, const Mete__Agent__Command__Launch *l)
{
        _cleanup_error_ struct error e = {0};
        const char *id = l->task->task_id->value;

        if (task_spec_check_ids(l, &e) < 0) {
                launch_refuse_ids(a, l->framework->id ? l->framework->id->value : "", id, &e);
                return;
        }
        if (task_find(a, l->framework->id->value, id)) {
                /* The master repeats itself after a reconnection; a second answer would speak of the first task. */
                log_warning("task %s is here already: the repeated launch is ignored", id);
                return;
        }
        struct agent_container *c = container_new(
                a, launch_info_new(a, l->framework, l->task, /* executor= */ NULL, l->isolation));
        c->info->has_skip_starting = l->has_skip_starting;
        c->info->skip_starting = l->skip_starting;
        (void)command_task_new(c);
        launch_clock_begin(&c->clock);
        if (checkpoint_container_write(a->checkpoints_fd, c->info, &e) < 0) {
                launch_fail(c, &e);
                return;
        }
        launch_clock_mark(&c->clock, LAUNCH_STAGE_CHECKPOINT);
        launch_container(c);
}
