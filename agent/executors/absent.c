/* What the build may lack: streams of executors and the fetcher. */
#include "agent/executors/executor.h"
#include "agent/fetcher.h"

#define ABSENT __attribute__((weak))

ABSENT int executor_link_send(struct executor_link *l, const Mete__V1__Executor__Event *e)
{
        return -EPIPE;
}

ABSENT struct executor_link *executor_link_close(struct executor_link *l)
{
        return NULL;
}

ABSENT int fetch_start(struct agent *a, const struct fetch_request *r,
        void (*done)(int result, const char *message, void *userdata), void *userdata, struct fetch **ret,
        struct error *e)
{
        return error_set(e, -ENOTSUP, "command.uris: this agent fetches nothing");
}

ABSENT struct fetch *fetch_free(struct fetch *f)
{
        return NULL;
}
