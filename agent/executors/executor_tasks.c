/* Tasks of executors: from the launch into the queue, to the executor, to the terminal update. */
#include <math.h>
#include <stdlib.h>
#include <utlist.h>

#include "agent/checkpoint_tasks.h"
#include "agent/executors/executors.h"
#include "agent/launch.h"
#include "agent/status_message.h"
#include "agent/volume_ref.h"
#include "lib/base/id.h"
#include "lib/base/log.h"
#include "lib/base/utf8.h"
#include "lib/net/codec.h"
#include "proto/validate.h"

#define KILL_GRACE_MAX_SECONDS 86400.0

/* ---- the list ---- */

struct agent_task *executor_add_task(
        struct agent_executor *x, Mete__V1__TaskInfo *info, uint64_t group, bool queued)
{
        struct agent_task *t = task_new(x->container, info);

        t->group = group;
        t->queued = queued;
        DL_APPEND(x->tasks, t);
        return t;
}

void executor_remove_task(struct agent_executor *x, struct agent_task *t)
{
        DL_DELETE(x->tasks, t);
        task_free(t);
}

void executor_end_task(struct agent_executor *x, struct agent_task *t, const struct task_outcome *o)
{
        t->queued = false;
        (void)!task_push_update(t, status_message_terminal(t, o));
        task_flush_updates(t);
}

void executor_end_all_tasks(struct agent_executor *x, const struct task_outcome *o)
{
        struct agent_task *t;

        DL_FOREACH (x->tasks, t)
                if (!task_is_ended(t))
                        executor_end_task(x, t, o);
}

struct task_outcome executor_dropped(
        const struct agent_executor *x, Mete__V1__TaskStatus__Reason reason, const char *message)
{
        bool aware = framework_has_capability(
                executor_framework(x), METE__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__PARTITION_AWARE);

        return task_outcome_make(aware ? METE__V1__TASK_STATE__TASK_DROPPED : METE__V1__TASK_STATE__TASK_LOST,
                reason, message);
}

/* ---- launching ---- */

/* One LAUNCH or LAUNCH_GROUP command. */
struct request {
        const Mete__V1__FrameworkInfo *framework;
        const Mete__V1__ExecutorInfo *executor;
        const Mete__Api__Isolation *isolation;
        Mete__V1__TaskInfo *const *tasks;
        size_t count;
        bool group;
};

static int check_ids(const struct request *r, const Mete__V1__TaskInfo *t, struct error *e)
{
        if (!r->framework->id)
                return error_set(e, -EINVAL, "framework.id: is missing");
        int code = id_validate(r->framework->id->value, "framework.id", e);
        if (code == 0)
                code = id_validate(r->executor->executor_id->value, "task.executor.executor_id", e);
        return code == 0 ? id_validate(t->task_id->value, "task.task_id", e) : code;
}

/* False: nothing of the command is carried out. */
static bool may_launch(struct agent *a, const struct request *r)
{
        _cleanup_error_ struct error e = {0};

        for (size_t i = 0; i < r->count; i++) {
                const char *id = r->tasks[i]->task_id->value;

                if (check_ids(r, r->tasks[i], &e) < 0) {
                        launch_refuse_ids(a, r->framework->id ? r->framework->id->value : "", id, &e);
                        return false;
                }
                if (task_find(a, r->framework->id->value, id)) {
                        log_warning("task %s is here already: the repeated launch is ignored", id);
                        return false;
                }
        }
        return r->count > 0;
}

static struct agent_executor *executor_create(struct agent *a, const struct request *r)
{
        struct agent_container *c = container_new(
                a, launch_info_new(a, r->framework, /* task= */ NULL, r->executor, r->isolation));
        Mete__V1__ExecutorInfo *info = c->info->executor;

        if (!info->framework_id) {
                info->framework_id = NEW0(Mete__V1__FrameworkID);
                mete__v1__framework_id__init(info->framework_id);
                info->framework_id->value = xstrdup(r->framework->id->value);
        }
        return executor_new(c);
}

static bool checkpoints(const struct agent_executor *x)
{
        return executor_framework(x)->has_checkpoint && executor_framework(x)->checkpoint;
}

/* The container is made once, for all tasks that come: what a task brings cannot be mounted into it any more. */
static int check_cores(const Mete__V1__TaskInfo *t, struct error *e)
{
        for (size_t i = 0; i < t->n_resources; i++)
                if (str_equal(t->resources[i]->name, "cores"))
                        return error_set(e, -ENOTSUP,
                                "task.resources: an executor's tasks share its container: cores are for "
                                "tasks "
                                "without an executor");
        return 0;
}

static int check_resources(const struct request *r, struct error *e)
{
        _cleanup_volume_refs_ struct volume_refs own = {0};

        int code = volume_refs_parse(
                r->executor->resources, r->executor->n_resources, "task.executor.resources", &own, e);
        for (size_t i = 0; i < r->count && code == 0; i++) {
                _cleanup_volume_refs_ struct volume_refs of_task = {0};

                code = volume_refs_parse(
                        r->tasks[i]->resources, r->tasks[i]->n_resources, "task.resources", &of_task, e);
                for (size_t k = 0; k < of_task.count && code == 0; k++)
                        if (!volume_refs_contain(&own, of_task.items[k].path))
                                code = error_set(e, -ENOTSUP,
                                        "task.resources: the volume \"%.80s\" is not its executor's: give it "
                                        "in "
                                        "task.executor.resources",
                                        of_task.items[k].id);
                if (code == 0)
                        code = check_cores(r->tasks[i], e);
        }
        return code;
}

/* The tasks join the queue, on disk first. */
static int enqueue(struct agent_executor *x, const struct request *r, struct error *e)
{
        struct agent_container *c = x->container;
        uint64_t group = r->group ? ++x->last_group : 0;
        int code = check_resources(r, e);

        for (size_t i = 0; i < r->count; i++) {
                struct agent_task *t =
                        executor_add_task(x, message_copy(r->tasks[i]), group, /* queued= */ true);

                if (code == 0 && checkpoints(x))
                        code = checkpoint_task_write(
                                x->agent->checkpoints_fd, container_id(c), t->info, group, &c->compact_at, e);
        }
        return code;
}

/* What was queued by this very command ends. */
static void refuse_queued(struct agent_executor *x, const struct request *r, const struct task_outcome *o)
{
        for (size_t i = 0; i < r->count; i++) {
                struct agent_task *t =
                        task_find(x->agent, r->framework->id->value, r->tasks[i]->task_id->value);

                if (t)
                        executor_end_task(x, t, o);
        }
}

static void launch_failed(struct agent_executor *x, const struct request *r, const struct error *e)
{
        _cleanup_outcome_ struct task_outcome o = task_outcome_make(METE__V1__TASK_STATE__TASK_FAILED,
                METE__V1__TASK_STATUS__REASON__REASON_CONTAINER_LAUNCH_FAILED, error_message(e));

        refuse_queued(x, r, &o);
}

static void launch_first(struct agent *a, const struct request *r)
{
        _cleanup_error_ struct error e = {0};
        struct agent_executor *x = executor_create(a, r);
        struct agent_container *c = x->container;

        launch_clock_begin(&c->clock);
        int code = checkpoint_container_write(a->checkpoints_fd, c->info, &e);
        int queued = enqueue(x, r, code < 0 ? NULL : &e);
        if (code < 0 || queued < 0) {
                launch_fail(c, &e);
                return;
        }
        launch_clock_mark(&c->clock, LAUNCH_STAGE_CHECKPOINT);
        launch_container(c);
}

static void launch_into(struct agent_executor *x, const struct request *r)
{
        _cleanup_error_ struct error e = {0};

        int code = enqueue(x, r, &e);
        if (x->state >= EXECUTOR_STATE_TERMINATING) {
                _cleanup_outcome_ struct task_outcome o = executor_dropped(x,
                        METE__V1__TASK_STATUS__REASON__REASON_EXECUTOR_TERMINATED, "its executor is ending");
                refuse_queued(x, r, &o);
                return;
        }
        if (code < 0) {
                launch_failed(x, r, &e);
                return;
        }
        executor_deliver(x);
}

static void launch(struct agent *a, const struct request *r)
{
        if (!may_launch(a, r))
                return;
        struct agent_executor *x = executor_find(a, r->framework->id->value, r->executor->executor_id->value);
        if (x)
                launch_into(x, r);
        else
                launch_first(a, r);
}

void executors_launch(struct agent *a, const Mete__Agent__Command__Launch *l)
{
        Mete__V1__TaskInfo *const tasks[] = {l->task};
        const struct request r = {.framework = l->framework,
                .executor = l->task->executor,
                .isolation = l->isolation,
                .tasks = tasks,
                .count = 1};

        launch(a, &r);
}

void executors_launch_group(struct agent *a, const Mete__Agent__Command__LaunchGroup *l)
{
        const struct request r = {.framework = l->framework,
                .executor = l->executor,
                .isolation = l->isolation,
                .tasks = l->task_group->tasks,
                .count = l->task_group->n_tasks,
                .group = true};

        launch(a, &r);
}

/* ---- giving them to the executor ---- */

static bool send_group(struct agent_executor *x, struct agent_task *first)
{
        Mete__V1__Executor__Event e = METE__V1__EXECUTOR__EVENT__INIT;
        Mete__V1__Executor__Event__LaunchGroup g = METE__V1__EXECUTOR__EVENT__LAUNCH_GROUP__INIT;
        Mete__V1__TaskGroupInfo info = METE__V1__TASK_GROUP_INFO__INIT;
        struct agent_task *t;
        size_t n = 0;

        DL_FOREACH (first, t)
                n++;
        _cleanup_free_ Mete__V1__TaskInfo **tasks = xcalloc(n, sizeof(Mete__V1__TaskInfo *));
        DL_FOREACH (first, t)
                if (t->queued && t->group == first->group)
                        tasks[info.n_tasks++] = (Mete__V1__TaskInfo *)t->info;
        info.tasks = tasks;
        g.task_group = &info;
        e.has_type = true;
        e.type = METE__V1__EXECUTOR__EVENT__TYPE__LAUNCH_GROUP;
        e.launch_group = &g;
        if (!executor_send(x, &e))
                return false;
        uint64_t group = first->group;
        DL_FOREACH (first, t)
                if (t->group == group)
                        t->queued = false;
        return true;
}

static bool send_task(struct agent_executor *x, struct agent_task *t)
{
        Mete__V1__Executor__Event e = METE__V1__EXECUTOR__EVENT__INIT;
        Mete__V1__Executor__Event__Launch l = METE__V1__EXECUTOR__EVENT__LAUNCH__INIT;

        l.task = (Mete__V1__TaskInfo *)t->info;
        e.has_type = true;
        e.type = METE__V1__EXECUTOR__EVENT__TYPE__LAUNCH;
        e.launch = &l;
        if (!executor_send(x, &e))
                return false;
        t->queued = false;
        return true;
}

static void fail_queued(struct agent_executor *x, const struct error *e)
{
        bool aware = framework_has_capability(
                executor_framework(x), METE__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__PARTITION_AWARE);
        _cleanup_outcome_ struct task_outcome o =
                task_outcome_make(aware ? METE__V1__TASK_STATE__TASK_GONE : METE__V1__TASK_STATE__TASK_LOST,
                        METE__V1__TASK_STATUS__REASON__REASON_CONTAINER_UPDATE_FAILED, error_message(e));
        struct agent_task *t;

        DL_FOREACH (x->tasks, t)
                if (t->queued)
                        executor_end_task(x, t, &o);
}

void executor_deliver(struct agent_executor *x)
{
        _cleanup_error_ struct error e = {0};
        struct agent_task *t;
        bool any = false;

        DL_FOREACH (x->tasks, t)
                any = any || t->queued;
        if (!x->link || x->state != EXECUTOR_STATE_RUNNING || !any)
                return;
        if (executor_grow(x, &e) < 0) {
                log_warning("executor %s: %s", executor_id(x), error_message(&e));
                fail_queued(x, &e);
                return;
        }
        DL_FOREACH (x->tasks, t) {
                if (!t->queued)
                        continue;
                if (!(t->group ? send_group(x, t) : send_task(x, t)))
                        return; /* it stays queued until the executor is back */
        }
}

/* ---- killing ---- */

static void kill_queued(struct agent_executor *x, struct agent_task *t)
{
        _cleanup_outcome_ struct task_outcome o = task_outcome_make(METE__V1__TASK_STATE__TASK_KILLED,
                METE__V1__TASK_STATUS__REASON__REASON_TASK_KILLED_DURING_LAUNCH,
                "Killed before it was given to its executor");
        uint64_t group = t->group;
        struct agent_task *u;
        bool left = false;

        executor_end_task(x, t, &o);
        /* A group lives and dies together. */
        DL_FOREACH (x->tasks, u) {
                if (group && u->group == group && u->queued)
                        executor_end_task(x, u, &o);
                left = left || !task_is_ended(u);
        }
        if (!left && x->state == EXECUTOR_STATE_REGISTERING)
                executor_shutdown(x); /* nobody needs it any more */
        else
                executor_shrink(x);
}

bool executors_kill_task(struct agent *a, const Mete__Agent__Command__Kill *k)
{
        struct agent_task *t = task_find(a, k->framework_id->value, k->task_id->value);
        struct agent_executor *x = t ? t->container->executor : NULL;
        Mete__V1__KillPolicy policy = METE__V1__KILL_POLICY__INIT;
        Mete__V1__DurationInfo grace = METE__V1__DURATION_INFO__INIT;

        if (!x)
                return false;
        if (task_is_ended(t) || x->state >= EXECUTOR_STATE_TERMINATING)
                return true;
        if (t->queued) {
                kill_queued(x, t);
                return true;
        }
        if (k->has_grace_seconds && k->grace_seconds >= 0)
                grace.nanoseconds =
                        (int64_t)(MIN(k->grace_seconds, KILL_GRACE_MAX_SECONDS) * (double)NSEC_PER_SEC);
        policy.grace_period = &grace;
        t->kill_pending = !executor_send_kill(
                x, t, k->has_grace_seconds && k->grace_seconds >= 0 ? &policy : t->info->kill_policy);
        return true;
}

/* ---- updates ---- */

/* What the executor says, with what only the agent knows. */
static Mete__Agent__StatusUpdate *stamp(const struct agent_task *t, const Mete__V1__TaskStatus *status)
{
        Mete__Agent__StatusUpdate *u = status_message_new(t, status->state, NULL);
        Mete__V1__TaskStatus *ours = u->status, *theirs = message_copy(status);

        message_free(theirs->agent_id);
        message_free(theirs->executor_id);
        theirs->agent_id = TAKE_PTR(ours->agent_id);
        theirs->executor_id = TAKE_PTR(ours->executor_id);
        if (!theirs->container_status)
                theirs->container_status = TAKE_PTR(ours->container_status);
        else
                status_message_complete_container(theirs->container_status, t->container);
        theirs->has_source = true;
        theirs->source = METE__V1__TASK_STATUS__SOURCE__SOURCE_EXECUTOR;
        /* No JSON has a word for what is no number. */
        if (!theirs->has_timestamp || !isfinite(theirs->timestamp)) {
                theirs->has_timestamp = true;
                theirs->timestamp = ours->timestamp;
        }
        message_free(ours);
        u->status = theirs;
        return u;
}

static size_t waiting_bytes(const struct agent_executor *x)
{
        const struct agent_task *t;
        size_t sum = 0;

        DL_FOREACH (x->tasks, t)
                sum += t->updates.bytes;
        return sum;
}

static bool may_wait(const struct agent_executor *x, const struct agent_task *t, size_t bytes)
{
        return t->updates.count < EXECUTOR_UPDATES_MAX &&
               waiting_bytes(x) + bytes <= EXECUTOR_UPDATES_BYTES_MAX;
}

/* What ends a task is taken however much waits: without what makes it large. The message is borrowed. */
static Mete__V1__TaskStatus last_word(const Mete__V1__TaskStatus *s, char *message)
{
        Mete__V1__TaskStatus word = METE__V1__TASK_STATUS__INIT;

        word.task_id = s->task_id;
        word.state = s->state;
        word.message = message;
        word.has_reason = s->has_reason;
        word.reason = s->reason;
        word.has_timestamp = s->has_timestamp;
        word.timestamp = s->timestamp;
        word.has_uuid = s->has_uuid;
        word.uuid = s->uuid;
        word.has_healthy = s->has_healthy;
        word.healthy = s->healthy;
        return word;
}

static Mete__Agent__StatusUpdate *stamp_shortened(
        const struct agent_task *t, const Mete__V1__TaskStatus *status)
{
        _cleanup_free_ char *message =
                status->message ? text_for_message(status->message, EXECUTOR_LAST_WORD_MAX) : NULL;
        const Mete__V1__TaskStatus word = last_word(status, message);

        return stamp(t, &word);
}

void executor_update(struct agent_executor *x, const Mete__V1__TaskStatus *status)
{
        struct agent_task *t = task_find(x->agent, executor_framework(x)->id->value, status->task_id->value);

        if (!t || t->container != x->container) {
                log_warning("executor %s: its update of task %s, which is not here, is dropped",
                        executor_id(x), status->task_id->value);
                executor_acknowledge_update(x, status);
                return;
        }
        if (status_stream_knows(&t->updates, status->uuid.data, status->uuid.len)) {
                executor_acknowledge_update(x, status);
                return;
        }
        bool fits = may_wait(x, t, protobuf_c_message_get_packed_size(&status->base));
        if (!fits && !task_state_is_terminal(status->state)) {
                log_warning("executor %s: %zu updates of task %s and %zu bytes of all wait for "
                            "acknowledgement: no more are taken",
                        executor_id(x), t->updates.count, task_id(t), waiting_bytes(x));
                return;
        }
        t->queued = false;
        int r = task_push_update(t, fits ? stamp(t, status) : stamp_shortened(t, status));
        task_flush_updates(t);
        /* What is not on disk the executor must keep: it sends it again when it subscribes next. */
        if (r == 0 || r == -EALREADY)
                executor_acknowledge_update(x, status);
        if (r != -EALREADY && task_is_ended(t))
                executor_shrink(x);
}
