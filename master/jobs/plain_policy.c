#include <string.h>

#include "master/jobs/plain_queue.h"

/* Numbers grow with every submission, so they are the order of arrival even when the wall clock steps. */
static int fifo_compare(const struct plain_queue_entry *a, const struct plain_queue_entry *b)
{
        return a->job < b->job ? -1 : a->job > b->job;
}

const struct plain_queue_policy plain_queue_policy_fifo = {.name = "fifo", .compare = fifo_compare};

static const struct plain_queue_policy *const policies[] = {&plain_queue_policy_fifo};

const struct plain_queue_policy *plain_queue_policy_find(const char *name)
{
        for (size_t i = 0; i < ELEMENTSOF(policies); i++)
                if (strcmp(policies[i]->name, name) == 0)
                        return policies[i];
        return NULL;
}
