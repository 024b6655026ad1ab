/*
 * Answers to schedulers that ask where their tasks stand. An answer is one status a task; a long one is sent in pieces, each when the
 * scheduler has read most of what was sent before, so that neither the loop nor the bound of its stream suffers.
 */

#include <stdlib.h>

#include "master/frameworks/frameworks.h"

#define PIECE 500
#define PENDING_MAX (4u << 20)
#define RETRY_NS (10 * NSEC_PER_MSEC)
#define QUEUED_MAX 1000000 /* tasks that wait for their answers, of all frameworks */

/* What waits. */
struct reconciliation {
        char *framework_id;
        struct question {
                char *task_id, *agent_id; /* agent_id may be NULL */
        } * questions;
        size_t count, next;
        bool implicit; /* about live tasks: what ended since was told as that */
        struct reconciliation *prev, *list_next;
};

/* ---- one task ---- */

static void tell(struct framework *f, struct agent *a, const struct told_status *told)
{
        struct told_status t = *told;

        t.reason = METE__V1__TASK_STATUS__REASON__REASON_RECONCILIATION;
        if (!t.message)
                t.message = "Reconciliation: the latest state of the task";
        framework_tell(f, a, &t);
}

static void answer_known(struct framework *f, struct task *t)
{
        tell(f, t->agent,
                &(struct told_status){
                        .task_id = t->id,
                        .agent_id = t->agent->id,
                        .task = t,
                        .state = task_seen_state(t),
                });
}

/* By what became of the agent. */
static void answer_by_agent(struct framework *f, struct agent *a, const char *task_id)
{
        struct told_status told = {.task_id = task_id, .agent_id = a->id};

        if (agent_in_doubt(a))
                return;
        switch (a->state) {
        case AGENT_UNREACHABLE:
                told.state = METE__V1__TASK_STATE__TASK_UNREACHABLE;
                told.unreachable_time = a->unreachable_time;
                told.message = "Reconciliation: the agent of the task is unreachable";
                break;
        case AGENT_GONE:
                told.state = METE__V1__TASK_STATE__TASK_GONE_BY_OPERATOR;
                told.message = "Reconciliation: the agent of the task was marked gone";
                break;
        default:
                told.state = METE__V1__TASK_STATE__TASK_GONE;
                told.message = "Reconciliation: the agent of the task does not know it";
        }
        tell(f, a, &told);
}

static bool any_agent_in_doubt(const struct master *m)
{
        return m->agents_in[AGENT_RECOVERED] > 0 || m->agents_leaving > 0;
}

static void answer_unknown(struct framework *f, const char *task_id, const char *agent_id)
{
        struct master *m = f->master;
        const struct past_task *p = agent_id ? NULL : framework_find_unreachable(f, task_id);
        const char *where = p ? p->task->agent_id->value : agent_id;
        struct agent *a = where ? agent_find(m, where) : NULL;
        struct told_status told = {
                .task_id = task_id,
                .agent_id = where,
                .state = METE__V1__TASK_STATE__TASK_UNKNOWN,
                .message = "Reconciliation: the task is not known",
        };

        if (a) {
                answer_by_agent(f, a, task_id);
                return;
        }
        if (p) {
                told.state = METE__V1__TASK_STATE__TASK_UNREACHABLE;
                told.unreachable_time = p->time;
        } else if (!agent_id && any_agent_in_doubt(m)) {
                return;
        }
        tell(f, NULL, &told);
}

static void answer(struct framework *f, const char *task_id, const char *agent_id, bool implicit)
{
        struct task *t = task_find(f, task_id);

        if (t)
                answer_known(f, t);
        else if (!implicit)
                answer_unknown(f, task_id, agent_id);
}

/* ---- pieces ---- */

static void reconciliation_free(struct master *m, struct reconciliation *r)
{
        DL_DELETE2(m->reconciliations, r, prev, list_next);
        for (size_t i = 0; i < r->count; i++) {
                free(r->questions[i].task_id);
                free(r->questions[i].agent_id);
        }
        free(r->questions);
        free(r->framework_id);
        free(r);
}

static bool may_send(const struct framework *f)
{
        return !f->ops->pending || f->ops->pending(f) < PENDING_MAX;
}

/* False when nothing could be sent. */
static bool send_piece(struct master *m, struct reconciliation *r)
{
        struct framework *f = framework_find(m, r->framework_id);

        if (!f || !f->ops || f->state != FRAMEWORK_ACTIVE) {
                reconciliation_free(m, r);
                return true;
        }
        if (!may_send(f))
                return false;
        for (size_t n = 0; n < PIECE && r->next < r->count; n++, r->next++)
                answer(f, r->questions[r->next].task_id, r->questions[r->next].agent_id, r->implicit);
        if (r->next == r->count)
                reconciliation_free(m, r);
        return true;
}

static void on_timer(struct loop_timer *timer, void *userdata)
{
        struct master *m = userdata;
        struct reconciliation *r, *next;
        bool sent = false;

        DL_FOREACH_SAFE2(m->reconciliations, r, next, list_next)
        {
                sent |= send_piece(m, r);
        }
        if (m->reconciliations)
                loop_timer_arm(m->reconcile_timer, sent ? 0 : RETRY_NS, /* period_ns= */ 0);
}

static size_t queued(const struct master *m)
{
        const struct reconciliation *r;
        size_t n = 0;

        DL_FOREACH2(m->reconciliations, r, list_next)
        {
                n += r->count;
        }
        return n;
}

static bool is_queued(const struct framework *f)
{
        const struct reconciliation *r;

        DL_FOREACH2(f->master->reconciliations, r, list_next)
        {
                if (str_equal(r->framework_id, f->id))
                        return true;
        }
        return false;
}

static void enqueue(
        struct framework *f, Mete__V1__Scheduler__Call__Reconcile__Task *const *tasks, size_t count)
{
        struct master *m = f->master;
        struct reconciliation *r;
        struct task *t = f->tasks;

        if (queued(m) + MAX(count, (size_t)HASH_COUNT(f->tasks)) > QUEUED_MAX) {
                log_warning("framework %s: too many tasks wait to be reconciled: it has to ask again", f->id);
                return;
        }
        r = NEW0(struct reconciliation);
        r->framework_id = xstrdup(f->id);
        r->implicit = !tasks;
        r->count = tasks ? count : HASH_COUNT(f->tasks);
        r->questions = xcalloc(r->count + 1, sizeof(*r->questions));
        for (size_t i = 0; i < r->count; i++) {
                r->questions[i].task_id = xstrdup(tasks ? tasks[i]->task_id->value : t->id);
                r->questions[i].agent_id = xstrdup(!tasks               ? t->agent->id
                                                   : tasks[i]->agent_id ? tasks[i]->agent_id->value
                                                                        : NULL);
                t = tasks ? NULL : t->hh.next;
        }
        DL_APPEND2(m->reconciliations, r, prev, list_next);
        if (!m->reconcile_timer)
                m->reconcile_timer = loop_timer_new(m->loop, on_timer, m);
        loop_timer_arm(m->reconcile_timer, /* delay_ns= */ 0, /* period_ns= */ 0);
}

void framework_reconcile(
        struct framework *f, Mete__V1__Scheduler__Call__Reconcile__Task *const *tasks, size_t count)
{
        struct task *t, *next;

        if (!f->ops || f->state != FRAMEWORK_ACTIVE)
                return;
        if (MAX(count, count > 0 ? 0 : (size_t)HASH_COUNT(f->tasks)) > PIECE || is_queued(f) ||
                !may_send(f)) {
                enqueue(f, count > 0 ? tasks : NULL, count);
                return;
        }
        for (size_t i = 0; i < count; i++)
                answer(f, tasks[i]->task_id->value, tasks[i]->agent_id ? tasks[i]->agent_id->value : NULL,
                        /* implicit= */ false);
        if (count > 0)
                return;
        HASH_ITER (hh, f->tasks, t, next)
                answer_known(f, t);
}

void reconciliations_free(struct master *m)
{
        while (m->reconciliations)
                reconciliation_free(m, m->reconciliations);
        loop_timer_free(m->reconcile_timer);
        m->reconcile_timer = NULL;
}

/* ---- operations: none are kept, so the agent alone decides ---- */

static Mete__V1__OperationState operation_state(const struct master *m, const char *agent_id)
{
        const struct agent *a = agent_id ? agent_find(m, agent_id) : NULL;

        if (a ? agent_in_doubt(a) : !agent_id && any_agent_in_doubt(m))
                return METE__V1__OPERATION_STATE__OPERATION_RECOVERING;
        if (a && a->state == AGENT_UNREACHABLE)
                return METE__V1__OPERATION_STATE__OPERATION_UNREACHABLE;
        if (a && a->state == AGENT_GONE)
                return METE__V1__OPERATION_STATE__OPERATION_GONE_BY_OPERATOR;
        return METE__V1__OPERATION_STATE__OPERATION_UNKNOWN;
}

void framework_reconcile_operations(struct framework *f,
        Mete__V1__Scheduler__Call__ReconcileOperations__Operation *const *operations, size_t count)
{
        if (!f->ops || !f->ops->operation)
                return;
        for (size_t i = 0; i < count; i++) {
                Mete__V1__OperationStatus status = METE__V1__OPERATION_STATUS__INIT;

                status.operation_id = operations[i]->operation_id;
                status.agent_id = operations[i]->agent_id;
                status.resource_provider_id = operations[i]->resource_provider_id;
                status.state = operation_state(
                        f->master, operations[i]->agent_id ? operations[i]->agent_id->value : NULL);
                status.message = (char *)"Reconciliation: no such operation is known";
                f->ops->operation(f, &status);
        }
}
