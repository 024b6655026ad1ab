/* /tasks: one list of all, paged. */

#include "master/api/read/read.h"

#include <stdlib.h>
#include <string.h>

#define PAGE 100

struct listed_task {
        const struct task *live; /* or: */
        const Mete__V1__Task *past;
        double time;
        size_t found; /* keeps tasks of one time in the order in which they were found */
};

struct task_list {
        const char *framework_id, *task_id; /* NULL: any */
        struct listed_task *items;
        size_t count, allocated;
};

static void list_add(struct task_list *l, const struct task *live, const Mete__V1__Task *past)
{
        Mete__V1__TaskStatus *const *statuses = live ? live->statuses : past->statuses;
        size_t n = live ? live->n_statuses : past->n_statuses;

        if (l->count == l->allocated) {
                l->allocated = MAX(l->allocated * 2, (size_t)64);
                l->items = xrealloc(l->items, l->allocated * sizeof(*l->items));
        }
        l->items[l->count] = (struct listed_task){live, past, n > 0 ? statuses[0]->timestamp : 0, l->count};
        l->count++;
}

static void list_add_past(struct task_list *l, const struct past_task *p)
{
        if (!l->task_id || str_equal(l->task_id, p->task->task_id->value))
                list_add(l, NULL, p->task);
}

static void list_framework(struct task_list *l, const struct framework *f)
{
        const struct past_task *p, *next_past;
        const struct task *t, *next;

        if (l->framework_id && !str_equal(l->framework_id, f->id))
                return;
        HASH_ITER (hh, f->tasks, t, next)
                if (!l->task_id || str_equal(l->task_id, t->id))
                        list_add(l, t, NULL);
        HASH_ITER (hh, f->unreachable, p, next_past)
                list_add_past(l, p);
        DL_FOREACH (f->completed, p)
                list_add_past(l, p);
}

/* By the time of the first status; tasks without one come first. */
static int compare_ascending(const void *a, const void *b)
{
        const struct listed_task *x = a, *y = b;

        if (x->time != y->time)
                return x->time < y->time ? -1 : 1;
        return (x->found > y->found) - (x->found < y->found);
}

static int compare_descending(const void *a, const void *b)
{
        return compare_ascending(b, a);
}

/* What is no number counts as not given; -1 (any negative one) is no bound. */
static size_t query_size(struct read_call *c, const char *name, size_t otherwise)
{
        const char *text = http_request_query(c->req, name);
        uint64_t n;

        if (!text)
                return otherwise;
        if (*text == '-')
                return parse_u64(text + 1, UINT64_MAX, &n) >= 0 ? SIZE_MAX : otherwise;
        return parse_u64(text, SIZE_MAX, &n) >= 0 ? (size_t)n : otherwise;
}

void read_tasks(struct read_call *c)
{
        struct task_list l = {
                .framework_id = http_request_query(c->req, "framework_id"),
                .task_id = http_request_query(c->req, "task_id"),
        };
        bool ascending = str_equal(http_request_query(c->req, "order"), "asc");
        size_t limit = query_size(c, "limit", PAGE), offset = query_size(c, "offset", 0);
        const struct framework *f, *next;

        HASH_ITER (hh, c->master->frameworks, f, next)
                list_framework(&l, f);
        DL_FOREACH (c->master->completed_frameworks, f)
                list_framework(&l, f);
        if (l.count > 0)
                qsort(l.items, l.count, sizeof(*l.items), ascending ? compare_ascending : compare_descending);
        json_begin_object(&c->out, NULL);
        json_begin_array(&c->out, "tasks");
        for (size_t i = offset; i < l.count && i - offset < limit; i++) {
                if (l.items[i].live)
                        json_live_task(&c->out, l.items[i].live);
                else
                        json_task(&c->out, l.items[i].past, NULL);
        }
        json_end_array(&c->out);
        json_end_object(&c->out);
        free(l.items);
}
