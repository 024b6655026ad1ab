/*
 * ACCEPT: the offers of one call become launches, in the order of its operations; what remains is declined. A task that cannot be
 * launched is answered by a status, an operation by an error where it asks to hear of it.
 */

#include <stdlib.h>
#include <string.h>

#include "lib/base/utf8.h"
#include "master/assignment.h"
#include "master/deferred_launch.h"
#include "master/offer.h"
#include "master/task_validation.h"

#define SENTENCE_BYTES_MAX 1000

/* One call while it is carried out. */
struct accept {
        struct framework *framework;
        struct agent *agent; /* NULL: no offer was valid */
        char *role;
        struct resources resources; /* not used yet */
        bool failed;
        Mete__V1__TaskStatus__Reason reason;
        struct error why;
};

static struct launch_target target_of(const struct accept *acc)
{
        return (struct launch_target){acc->framework, acc->agent, acc->role};
}

/* ---- the offers ---- */

static void accept_fail(struct accept *acc, const char *why, const char *offer)
{
        _cleanup_free_ char *shown = text_for_message(offer ? offer : "", TEXT_FOR_MESSAGE_BYTES);

        acc->failed = true;
        acc->reason = METE__V1__TASK_STATUS__REASON__REASON_INVALID_OFFERS;
        (void)error_set(&acc->why, -EINVAL, "%s%s%s", why, offer ? ": " : "", shown);
}

/* Looked up before any is taken: a mixed set gives all of its valid members back. */
static void accept_take(struct accept *acc, const char *const *ids, size_t count)
{
        struct master *m = acc->framework->master;

        for (size_t i = 0; i < count; i++) {
                struct offer *o = offer_find(m, ids[i]);

                if (!o || o->framework != acc->framework) {
                        accept_fail(acc, "the offer is not outstanding (any more)", ids[i]);
                        continue;
                }
                if (acc->agent && (acc->agent != o->agent || !str_equal(acc->role, o->role))) {
                        accept_fail(acc, "the offers are of different agents or roles", ids[i]);
                        offer_recover(o, 0);
                        offer_free(o);
                        continue;
                }
                acc->agent = o->agent;
                if (!acc->role)
                        acc->role = xstrdup(o->role);
                resources_add(&acc->resources, &o->resources);
                offer_free(o); /* still booked; found no more, should the call name it twice */
        }
        if (!acc->agent && !acc->failed)
                accept_fail(acc, "no offer was named", NULL);
        count_offers_accepted(acc->framework, count);
}

/* What is left goes back; after a failure the framework is free to have it again. */
static void accept_done(struct accept *acc, uint64_t refuse_ns)
{
        struct allocator_usage rest = {acc->framework->id, acc->role, &acc->resources};

        /* A refusal of nothing would refuse everything. */
        if (acc->agent)
                allocator_recover(acc->framework->master->allocator, acc->agent->id, &rest, mono_now(),
                        acc->failed || resources_empty(&acc->resources) ? 0 : refuse_ns);
        resources_done(&acc->resources);
        error_done(&acc->why);
        free(acc->role);
        offers_schedule(acc->framework->master);
}

/* The agent went away while this very call was carried out. */
static void accept_check_agent(struct accept *acc)
{
        if (acc->failed || acc->agent->state == AGENT_ACTIVE)
                return;
        acc->failed = true;
        acc->reason = acc->agent->state == AGENT_DISCONNECTED
                              ? METE__V1__TASK_STATUS__REASON__REASON_AGENT_DISCONNECTED
                              : METE__V1__TASK_STATUS__REASON__REASON_AGENT_REMOVED;
        (void)error_set(&acc->why, -ENOTCONN, "the agent is %s", agent_state_to_string(acc->agent->state));
}

/* ---- answers ---- */

static void refuse_task(const struct accept *acc, const Mete__V1__TaskInfo *info, Mete__V1__TaskState state,
        Mete__V1__TaskStatus__Reason reason, const char *why)
{
        struct framework *f = acc->framework;
        _cleanup_free_ char *id = text_for_message(info->task_id->value, TEXT_FOR_MESSAGE_BYTES);
        Mete__V1__TaskStatus counted = METE__V1__TASK_STATUS__INIT;
        const struct told_status told = {
                .task_id = info->task_id->value,
                .agent_id = info->agent_id->value,
                .state = state,
                .reason = reason,
                .message = why,
        };

        log_info("framework %s: task %s: %s: %s", f->id, id, task_state_to_string(state), why);
        counted.state = state;
        counted.has_source = counted.has_reason = true;
        counted.source = METE__V1__TASK_STATUS__SOURCE__SOURCE_MASTER;
        counted.reason = reason;
        count_task_ended(f, &counted);
        framework_tell(f, acc->agent, &told);
}

/* Sentences quote what the framework wrote, which may be long and anything. */
static char *sentence_of(const struct error *e)
{
        return text_for_message(error_message(e), SENTENCE_BYTES_MAX);
}

static void refuse_dropped(const struct accept *acc, const Mete__V1__TaskInfo *info)
{
        refuse_task(acc, info, METE__V1__TASK_STATE__TASK_DROPPED, acc->reason, error_message(&acc->why));
}

static void refuse_operation(const struct accept *acc, const Mete__V1__Offer__Operation *op, const char *why)
{
        struct framework *f = acc->framework;
        _cleanup_free_ char *id =
                text_for_message(op->id ? op->id->value : "without id", TEXT_FOR_MESSAGE_BYTES);
        Mete__V1__OperationStatus status = METE__V1__OPERATION_STATUS__INIT;

        log_info("framework %s: operation %s of type %d dropped: %s", f->id, id,
                op->has_type ? (int)op->type : 0, why);
        if (!op->id || !f->ops->operation)
                return;
        status.operation_id = op->id;
        status.state = METE__V1__OPERATION_STATE__OPERATION_ERROR;
        status.message = (char *)why;
        f->ops->operation(f, &status);
}

/* ---- booking ---- */

/* The first that is not there: the whole of it may be long, and there may be many tasks. */
static int refuse_need(
        const struct resources *left, const struct resources *need, const char *of, struct error *e)
{
        for (size_t i = 0; i < need->count; i++) {
                const struct resource *r = &need->entries[i];

                if (resources_contains(left, &(struct resources){.entries = &need->entries[i], .count = 1}))
                        continue;
                if (r->traits) {
                        _cleanup_free_ char *text = resources_to_string(
                                &(struct resources){.entries = &need->entries[i], .count = 1});

                        return error_set(
                                e, -ERANGE, "task.resources: %s: not all of it is in the offers", text);
                }
                if (r->kind != RESOURCE_SCALAR)
                        return error_set(
                                e, -ERANGE, "task.resources: %s: not all of it is in the offers", r->name);
                return error_set(e, -ERANGE, "task.resources: %s: %g%s needed, %g left in the offers",
                        r->name, milli_to_double(r->milli), of,
                        milli_to_double(resources_plain_scalar(left, r->name)));
        }
        return -ERANGE;
}

/* What the task needs of the offers: with its executor, when that is not there yet. */
static int subtract_need(
        struct accept *acc, const struct resources *task, const struct resources *executor, struct error *e)
{
        _cleanup_resources_ struct resources need = {};

        resources_copy(task, &need);
        resources_add(&need, executor);
        if (resources_empty(&need))
                return error_set(e, -EINVAL, "task.resources: more than nothing is expected");
        if (resources_subtract(&acc->resources, &need) >= 0)
                return 0;
        return refuse_need(
                &acc->resources, &need, resources_empty(executor) ? "" : " (with the executor)", e);
}

/* As the offers hold them. */
static int resources_wanted(const struct accept *acc, Mete__V1__Resource *const *list, size_t count,
        const char *field, struct resources *ret, struct error *e)
{
        _cleanup_resources_ struct resources wanted = {};
        int r = resources_from_proto(list, count, field, &wanted, e);

        if (r >= 0)
                resources_as_held(&acc->resources, &wanted, ret);
        return r;
}

static int resources_of_executor(
        const struct accept *acc, const Mete__V1__ExecutorInfo *x, struct resources *ret, struct error *e)
{
        return resources_wanted(acc, x->resources, x->n_resources, "executor.resources", ret, e);
}

static bool executor_is_new(const struct accept *acc, const Mete__V1__ExecutorInfo *x)
{
        return x && !executor_find(acc->agent, acc->framework->id, x->executor_id->value);
}

/* Into the tables, out of what the offers hold. */
static int book_task(struct accept *acc, Mete__V1__TaskInfo **info, struct task **ret, struct error *e)
{
        _cleanup_resources_ struct resources task = {}, executor = {};
        struct framework *f = acc->framework;
        const Mete__V1__ExecutorInfo *x = (*info)->executor;
        bool new_executor = executor_is_new(acc, x);
        const Mete__Api__Isolation *isolation;
        int r;

        r = resources_wanted(acc, (*info)->resources, (*info)->n_resources, "task.resources", &task, e);
        if (r >= 0 && new_executor)
                r = resources_of_executor(acc, x, &executor, e);
        if (r >= 0)
                r = subtract_need(acc, &task, &executor, e);
        if (r < 0)
                return r;
        if (new_executor)
                (void)executor_add(f, acc->agent, acc->role, x, &executor);
        isolation = f->ops->isolation ? f->ops->isolation(f, x ? NULL : *info, x) : NULL;
        *ret = task_add(f, acc->agent, acc->role, TAKE_PTR(*info), message_copy(isolation), &task);
        return 0;
}

/* ---- LAUNCH ---- */

static bool launch_one(struct accept *acc, const Mete__V1__Offer__Operation *op, Mete__V1__TaskInfo **info,
        struct task **ret)
{
        struct launch_target target = target_of(acc);
        _cleanup_error_ struct error e = {};
        int r;

        accept_check_agent(acc);
        if (acc->failed) {
                refuse_dropped(acc, *info);
                return false;
        }
        task_complete(&target, *info);
        if (op->id)
                r = error_set(&e, -EINVAL, "operation.id: LAUNCH has none: its tasks have statuses");
        else
                r = task_authorize(acc->framework, *info, &e);
        if (r >= 0)
                r = task_validate(&target, *info, NULL, &e);
        if (r >= 0)
                r = book_task(acc, info, ret, &e);
        if (r >= 0)
                return true;
        _cleanup_free_ char *why = sentence_of(&e);

        refuse_task(acc, *info, METE__V1__TASK_STATE__TASK_ERROR,
                r == -EPERM ? METE__V1__TASK_STATUS__REASON__REASON_TASK_UNAUTHORIZED
                            : METE__V1__TASK_STATUS__REASON__REASON_TASK_INVALID,
                why);
        return false;
}

static void launch(struct accept *acc, const Mete__V1__Offer__Operation *op)
{
        struct framework *f = acc->framework;
        _cleanup_free_ struct task **tasks = xcalloc(op->launch->n_task_infos + 1, sizeof(*tasks));
        size_t count = 0;

        for (size_t i = 0; i < op->launch->n_task_infos; i++)
                if (launch_one(acc, op, &op->launch->task_infos[i], &tasks[count]))
                        count++;
        if (count > 0 && f->ops->launching)
                f->ops->launching(f, tasks, count);
        else if (count > 0)
                launch_when_assigned(f, acc->agent, tasks, count);
}

/* ---- LAUNCH_GROUP ---- */

static int compare_ids(const void *a, const void *b)
{
        return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int check_distinct(const Mete__V1__TaskGroupInfo *group, struct error *e)
{
        _cleanup_free_ const char **ids = xcalloc(group->n_tasks + 1, sizeof(*ids));

        for (size_t i = 0; i < group->n_tasks; i++)
                ids[i] = group->tasks[i]->task_id->value;
        qsort(ids, group->n_tasks, sizeof(*ids), compare_ids);
        for (size_t i = 1; i < group->n_tasks; i++)
                if (str_equal(ids[i - 1], ids[i]))
                        return error_set(e, -EEXIST, "task.task_id: '%s' is in the group twice", ids[i]);
        return 0;
}

static int validate_group(struct accept *acc, const Mete__V1__Offer__Operation *op, struct error *e)
{
        struct launch_target target = target_of(acc);
        Mete__V1__ExecutorInfo *x = op->launch_group->executor;
        const Mete__V1__TaskGroupInfo *group = op->launch_group->task_group;
        int r;

        executor_complete(&target, x);
        if (op->id)
                return error_set(e, -EINVAL, "operation.id: LAUNCH_GROUP has none: its tasks have statuses");
        r = executor_authorize(acc->framework, x, "executor", e);
        for (size_t i = 0; r >= 0 && i < group->n_tasks; i++)
                r = task_authorize(acc->framework, group->tasks[i], e);
        if (r >= 0)
                r = executor_validate(&target, x, "executor", /* for_group= */ true, e);
        for (size_t i = 0; r >= 0 && i < group->n_tasks; i++) {
                task_complete(&target, group->tasks[i]);
                r = task_validate(&target, group->tasks[i], x, e);
        }
        if (r >= 0)
                r = group_check_size(x, group, e);
        return r < 0 ? r : check_distinct(group, e);
}

/* All of it or nothing. */
static int book_group(struct accept *acc, const Mete__V1__Offer__Operation__LaunchGroup *lg,
        struct resources *needs, struct error *e)
{
        _cleanup_resources_ struct resources executor = {}, all = {};
        bool new_executor = executor_is_new(acc, lg->executor);
        int r = new_executor ? resources_of_executor(acc, lg->executor, &executor, e) : 0;

        for (size_t i = 0; r >= 0 && i < lg->task_group->n_tasks; i++) {
                const Mete__V1__TaskInfo *t = lg->task_group->tasks[i];

                r = resources_wanted(acc, t->resources, t->n_resources, "task.resources", &needs[i], e);
                if (r >= 0)
                        resources_add(&all, &needs[i]);
        }
        if (r >= 0)
                r = subtract_need(acc, &all, &executor, e);
        if (r >= 0 && new_executor)
                (void)executor_add(acc->framework, acc->agent, acc->role, lg->executor, &executor);
        return r;
}

static void send_group(
        struct accept *acc, const Mete__V1__Offer__Operation__LaunchGroup *lg, const struct resources *needs)
{
        struct framework *f = acc->framework;
        size_t count = lg->task_group->n_tasks;
        _cleanup_free_ struct task **tasks = xcalloc(count, sizeof(struct task *));
        const Mete__Api__Isolation *isolation =
                f->ops->isolation ? f->ops->isolation(f, NULL, lg->executor) : NULL;

        for (size_t i = 0; i < count; i++) {
                tasks[i] = task_add(f, acc->agent, acc->role, TAKE_PTR(lg->task_group->tasks[i]),
                        message_copy(isolation), &needs[i]);
                set_string(&tasks[i]->executor_id, lg->executor->executor_id->value);
        }
        launch_group_when_assigned(f, acc->agent, lg->executor, tasks, count, isolation);
}

static void refuse_group(
        const struct accept *acc, const Mete__V1__TaskGroupInfo *group, int code, const struct error *e)
{
        _cleanup_free_ char *why = sentence_of(e);

        for (size_t i = 0; i < group->n_tasks; i++)
                refuse_task(acc, group->tasks[i], METE__V1__TASK_STATE__TASK_ERROR,
                        code == -EPERM ? METE__V1__TASK_STATUS__REASON__REASON_TASK_GROUP_UNAUTHORIZED
                                       : METE__V1__TASK_STATUS__REASON__REASON_TASK_GROUP_INVALID,
                        why);
}

static void launch_group(struct accept *acc, const Mete__V1__Offer__Operation *op)
{
        const Mete__V1__Offer__Operation__LaunchGroup *lg = op->launch_group;
        size_t count = lg->task_group->n_tasks;
        _cleanup_free_ struct resources *needs = xcalloc(count + 1, sizeof(*needs));
        _cleanup_error_ struct error e = {};
        int r;

        if (count == 0)
                return; /* nobody is there to be told */
        accept_check_agent(acc);
        if (acc->failed) {
                for (size_t i = 0; i < count; i++)
                        refuse_dropped(acc, lg->task_group->tasks[i]);
                return;
        }
        r = validate_group(acc, op, &e);
        if (r >= 0)
                r = book_group(acc, lg, needs, &e);
        if (r >= 0)
                send_group(acc, lg, needs);
        else
                refuse_group(acc, lg->task_group, r, &e);
        for (size_t i = 0; i < count; i++)
                resources_done(&needs[i]);
}

/* ---- reservations and volumes ---- */

/* An operation that asked to hear of it, while it is on its way to disk. */
struct finishing {
        struct master *master;
        char *framework_id, *agent_id;
        Mete__V1__OperationID *id; /* owned */
        struct resources made;
};

static void operation_finished(bool ok, void *userdata)
{
        struct finishing *x = userdata;
        struct framework *f = framework_find(x->master, x->framework_id);
        Mete__V1__OperationStatus status = METE__V1__OPERATION_STATUS__INIT;
        Mete__V1__AgentID agent = METE__V1__AGENT_ID__INIT;

        if (ok && f && f->ops && f->ops->operation && f->state == FRAMEWORK_ACTIVE) {
                agent.value = x->agent_id;
                status.operation_id = x->id;
                status.agent_id = &agent;
                status.state = METE__V1__OPERATION_STATE__OPERATION_FINISHED;
                resources_to_proto(&x->made, NULL,
                        !framework_has(f, METE__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__RESERVATION_REFINEMENT),
                        &status.converted_resources, &status.n_converted_resources);
                f->ops->operation(f, &status);
                for (size_t i = 0; i < status.n_converted_resources; i++)
                        message_free(status.converted_resources[i]);
                free(status.converted_resources);
        }
        message_free(x->id);
        resources_done(&x->made);
        free(x->framework_id);
        free(x->agent_id);
        free(x);
}

static struct finishing *finishing_new(
        const struct accept *acc, const Mete__V1__Offer__Operation *op, const struct resources *made)
{
        struct finishing *x;

        if (!op->id)
                return NULL;
        x = NEW0(struct finishing);
        x->master = acc->framework->master;
        x->framework_id = xstrdup(acc->framework->id);
        x->agent_id = xstrdup(acc->agent->id);
        x->id = message_copy(op->id);
        resources_copy(made, &x->made);
        return x;
}

/* What follows in the call is carried out on what this one makes. */
static int change_held(struct accept *acc, const struct operation_change *change, struct error *e)
{
        struct allocator_usage use = {acc->framework->id, acc->role, &change->from};
        int r = allocator_update_allocation(
                acc->framework->master->allocator, acc->agent->id, &use, &change->to);

        if (r < 0)
                return error_set(e, r, "the allocator does not know of these resources");
        r = resources_subtract(&acc->resources, &change->from);
        assert(r >= 0); /* held, as was checked */
        resources_add(&acc->resources, &change->to);
        return 0;
}

static void change(struct accept *acc, const Mete__V1__Offer__Operation *op)
{
        const struct operation_scope scope = {
                .held = &acc->resources,
                .total = &acc->agent->total,
                .role = acc->role,
                .principal = acc->framework->info->principal,
        };
        _cleanup_operation_change_ struct operation_change change = {};
        _cleanup_error_ struct error e = {};
        struct finishing *finishing;

        if (operation_evaluate(&scope, op, &change, &e) < 0 || change_held(acc, &change, &e) < 0) {
                _cleanup_free_ char *why = sentence_of(&e);

                refuse_operation(acc, op, why);
                return;
        }
        finishing = finishing_new(acc, op, &change.to);
        agent_assign(acc->agent, &change, finishing ? operation_finished : NULL, finishing);
}

/* ---- the call ---- */

static void carry_out_other(struct accept *acc, const Mete__V1__Offer__Operation *op)
{
        accept_check_agent(acc);
        if (acc->failed)
                refuse_operation(acc, op, error_message(&acc->why));
        else if (operation_is_change(op))
                change(acc, op);
        else
                refuse_operation(acc, op,
                        "operation.type: LAUNCH, LAUNCH_GROUP, RESERVE, UNRESERVE, CREATE, DESTROY, "
                        "GROW_VOLUME "
                        "and SHRINK_VOLUME are supported: there are no resource providers");
}

static void carry_out(struct accept *acc, const Mete__V1__Offer__Operation *op)
{
        count_operation(acc->framework, op->has_type ? op->type : 0);
        if (op->type == METE__V1__OFFER__OPERATION__TYPE__LAUNCH && op->launch)
                launch(acc, op);
        else if (op->type == METE__V1__OFFER__OPERATION__TYPE__LAUNCH_GROUP && op->launch_group)
                launch_group(acc, op);
        else
                carry_out_other(acc, op);
}

void offers_accept(struct framework *f, const char *const *offer_ids, size_t offer_count,
        Mete__V1__Offer__Operation *const *operations, size_t operation_count, uint64_t refuse_ns)
{
        struct accept acc = {.framework = f};

        accept_take(&acc, offer_ids, offer_count);
        for (size_t i = 0; i < operation_count; i++)
                carry_out(&acc, operations[i]);
        accept_done(&acc, refuse_ns);
}
