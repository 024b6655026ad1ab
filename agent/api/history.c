/* Executors that ended and tasks that living executors have behind them, as /state shows them: the latest ones, as text. */
#include <stdlib.h>
#include <string.h>

#include "agent/api/read.h"

#define ENTRIES_MAX 500
#define ENTRY_BYTES_MAX (16u << 10) /* larger ones (labels, mostly) are not kept: 8 MiB in all */
#define TASKS_MAX 1000              /* as many as Mesos keeps of each framework, here of all */
#define TASK_BYTES_MAX (4u << 10)   /* 4 MiB in all */

struct read_history {
        struct read_history_entry entries[ENTRIES_MAX]; /* a ring */
        size_t next, count;
        struct read_history_task tasks[TASKS_MAX]; /* a ring */
        size_t tasks_next, tasks_count;
};

struct read_history *read_history_new(void)
{
        return NEW0(struct read_history);
}

static void entry_done(struct read_history_entry *e)
{
        free(e->framework_id);
        free(e->framework);
        free(e->container_id);
        free(e->executor);
        *e = (struct read_history_entry){0};
}

static void task_done(struct read_history_task *t)
{
        free(t->container_id);
        free(t->task);
        *t = (struct read_history_task){0};
}

struct read_history *read_history_free(struct read_history *h)
{
        for (size_t i = 0; h && i < ENTRIES_MAX; i++)
                entry_done(&h->entries[i]);
        for (size_t i = 0; h && i < TASKS_MAX; i++)
                task_done(&h->tasks[i]);
        free(h);
        return NULL;
}

bool read_history_add(struct read_history *h, const char *framework_id, const char *framework,
        const char *container_id, const char *executor)
{
        struct read_history_entry *e = &h->entries[h->next];

        if (strlen(framework) + strlen(executor) > ENTRY_BYTES_MAX)
                return false;
        entry_done(e);
        *e = (struct read_history_entry){
                xstrdup(framework_id), xstrdup(framework), xstrdup(container_id), xstrdup(executor)};
        h->next = (h->next + 1) % ENTRIES_MAX;
        h->count = MIN(h->count + 1, (size_t)ENTRIES_MAX);
        return true;
}

void read_history_add_task(struct read_history *h, const char *container_id, const char *task)
{
        struct read_history_task *t = &h->tasks[h->tasks_next];

        if (strlen(task) > TASK_BYTES_MAX)
                return;
        task_done(t);
        *t = (struct read_history_task){xstrdup(container_id), xstrdup(task)};
        h->tasks_next = (h->tasks_next + 1) % TASKS_MAX;
        h->tasks_count = MIN(h->tasks_count + 1, (size_t)TASKS_MAX);
}

bool read_history_next_task(
        const struct read_history *h, size_t *cursor, const struct read_history_task **ret)
{
        if (*cursor >= h->tasks_count)
                return false;
        *ret = &h->tasks[(h->tasks_next + TASKS_MAX - h->tasks_count + *cursor) % TASKS_MAX];
        ++*cursor;
        return true;
}

bool read_history_next(const struct read_history *h, size_t *cursor, const struct read_history_entry **ret)
{
        if (*cursor >= h->count)
                return false;
        *ret = &h->entries[(h->next + ENTRIES_MAX - h->count + *cursor) % ENTRIES_MAX];
        ++*cursor;
        return true;
}
