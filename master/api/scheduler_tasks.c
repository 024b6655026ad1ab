/* Calls of the scheduler API about tasks. */

#include "master/api/scheduler.h"

void scheduler_kill(struct scheduler_call *c)
{
        (void)c;
}

void scheduler_shutdown(struct scheduler_call *c)
{
        (void)c;
}

void scheduler_acknowledge(struct scheduler_call *c)
{
        (void)c;
}

void scheduler_acknowledge_operation_status(struct scheduler_call *c)
{
        (void)c;
}

void scheduler_reconcile(struct scheduler_call *c)
{
        (void)c;
}

void scheduler_reconcile_operations(struct scheduler_call *c)
{
        (void)c;
}

void scheduler_message(struct scheduler_call *c)
{
        (void)c;
}
