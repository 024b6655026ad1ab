/* Calls of the scheduler API about tasks. What does not fit is dropped: the caller was answered already, and asks again or reconciles. */

#include "master/api/scheduler.h"

#define MESSAGE_MAX (4u << 20) /* to an executor; clients bound their records like this */

static void set_grace(Mete__Checkpoint__StoredKill *kill, const Mete__V1__KillPolicy *policy)
{
        if (!policy || !policy->grace_period || policy->grace_period->nanoseconds < 0)
                return;
        kill->has_grace_seconds = true;
        kill->grace_seconds = (double)policy->grace_period->nanoseconds / (double)NSEC_PER_SEC;
}

void scheduler_kill(struct scheduler_call *c)
{
        Mete__V1__Scheduler__Call__Kill *k = c->call->kill;
        Mete__V1__Scheduler__Call__Reconcile__Task unknown = METE__V1__SCHEDULER__CALL__RECONCILE__TASK__INIT;
        Mete__V1__Scheduler__Call__Reconcile__Task *unknowns[] = {&unknown};
        Mete__Checkpoint__StoredKill kill = METE__CHECKPOINT__STORED_KILL__INIT;
        struct task *t = task_find(c->framework, k->task_id->value);

        if (!t) {
                unknown.task_id = k->task_id;
                unknown.agent_id = k->agent_id;
                framework_reconcile(c->framework, unknowns, 1);
                return;
        }
        if (k->agent_id && !str_equal(k->agent_id->value, t->agent->id)) {
                log_warning("framework %s: KILL of task %s names agent %s, it is on %s: ignored",
                        c->framework->id, t->id, k->agent_id->value, t->agent->id);
                return;
        }
        set_grace(&kill, k->kill_policy);
        task_kill(t, &kill);
}

void scheduler_shutdown(struct scheduler_call *c)
{
        const Mete__V1__Scheduler__Call__Shutdown *s = c->call->shutdown;
        const char *executor_id = s->executor_id->value;
        struct agent *a = agent_find(c->master, s->agent_id->value);
        struct task *t = task_find(c->framework, executor_id);
        Mete__Checkpoint__StoredKill kill = METE__CHECKPOINT__STORED_KILL__INIT;

        /* The executor of a command task has the task's name, and ends with it. */
        if (a && t && t->agent == a && !t->executor_id)
                task_kill(t, &kill);
        else if (!a || !executor_find(a, c->framework->id, executor_id) ||
                 !agent_send_shutdown_executor(a, c->framework->id, executor_id))
                c->master->counters.dropped_messages++;
}

void scheduler_acknowledge(struct scheduler_call *c)
{
        const Mete__V1__Scheduler__Call__Acknowledge *a = c->call->acknowledge;

        if (a->uuid.len != UUID_BYTES)
                c->master->counters.invalid_acknowledgements++;
        else
                task_acknowledge(c->framework, a->agent_id->value, a->task_id->value, a->uuid.data);
}

/* Operations are carried out at once and give no status that waits for this. */
void scheduler_acknowledge_operation_status(struct scheduler_call *c)
{
        c->master->counters.dropped_messages++;
}

void scheduler_reconcile(struct scheduler_call *c)
{
        const Mete__V1__Scheduler__Call__Reconcile *r = c->call->reconcile;

        framework_reconcile(c->framework, r->tasks, r->n_tasks);
}

void scheduler_reconcile_operations(struct scheduler_call *c)
{
        const Mete__V1__Scheduler__Call__ReconcileOperations *r = c->call->reconcile_operations;

        framework_reconcile_operations(c->framework, r->operations, r->n_operations);
}

void scheduler_message(struct scheduler_call *c)
{
        const Mete__V1__Scheduler__Call__Message *m = c->call->message;
        struct agent *a = agent_find(c->master, m->agent_id->value);
        struct master_counters *counters = &c->master->counters;

        if (!a || m->data.len > MESSAGE_MAX || !executor_find(a, c->framework->id, m->executor_id->value) ||
                !agent_send_message(a, c->framework->id, m->executor_id->value, m->data.data, m->data.len))
                counters->invalid_messages_to_executor++;
        else
                counters->messages_to_executor++;
}
