/* Calls of the scheduler API about offers. */

#include "master/api/scheduler.h"

void scheduler_accept(struct scheduler_call *c)
{
        (void)c;
}

void scheduler_decline(struct scheduler_call *c)
{
        (void)c;
}

void scheduler_accept_inverse_offers(struct scheduler_call *c)
{
        (void)c;
}

void scheduler_decline_inverse_offers(struct scheduler_call *c)
{
        (void)c;
}

void scheduler_revive(struct scheduler_call *c)
{
        (void)c;
}

void scheduler_suppress(struct scheduler_call *c)
{
        (void)c;
}

void scheduler_request(struct scheduler_call *c)
{
        (void)c;
}
