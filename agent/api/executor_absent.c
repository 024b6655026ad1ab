/* Where no executors are built in, none is known: what the API asks then. */
#include "agent/executors/executor.h"

#define ABSENT __attribute__((weak))

ABSENT struct agent_executor *executor_find(
        struct agent *a, const char *framework_id, const char *executor_id)
{
        return NULL;
}
ABSENT const char *executor_container_id(const struct agent_executor *x)
{
        return NULL;
}
ABSENT const Mete__V1__ExecutorInfo *executor_info(const struct agent_executor *x)
{
        return NULL;
}
ABSENT const struct cgroup *executor_cgroup(const struct agent_executor *x)
{
        return NULL;
}
ABSENT bool executor_is_subscribed(const struct agent_executor *x)
{
        return false;
}
ABSENT bool executors_recovering(const struct agent *a)
{
        return false;
}
ABSENT void executor_subscribe(
        struct agent_executor *x, struct executor_link *link, const Mete__V1__Executor__Call__Subscribe *s)
{
}
ABSENT void executor_unsubscribed(struct agent_executor *x, struct executor_link *link)
{
}
ABSENT void executor_update(struct agent_executor *x, const Mete__V1__TaskStatus *status)
{
}
ABSENT void executor_message(struct agent_executor *x, const void *data, size_t len)
{
}
