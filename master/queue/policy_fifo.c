#include <string.h>

#include "master/queue/queue.h"

/* Numbers grow with every submission, so they are the order of arrival even when the wall clock steps. */
static int fifo_compare(const struct queue_entry *a, const struct queue_entry *b)
{
        return a->job < b->job ? -1 : a->job > b->job;
}

const struct queue_policy queue_policy_fifo = {.name = "fifo", .compare = fifo_compare};

static const struct queue_policy *const policies[] = {&queue_policy_fifo};

const struct queue_policy *queue_policy_find(const char *name)
{
        for (size_t i = 0; i < ELEMENTSOF(policies); i++)
                if (strcmp(policies[i]->name, name) == 0)
                        return policies[i];
        return NULL;
}
