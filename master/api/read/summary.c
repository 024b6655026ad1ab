/* /state-summary: agents and frameworks with counts in place of their tasks. */

#include "master/api/read/read.h"
#include "master/master_info.h"

#include <stdlib.h>
#include <string.h>

/* A task, as far as it is counted. */
struct counted {
        const struct framework *framework;
        const char *agent_id;
        Mete__V1__TaskState state;
};

struct counted_list {
        struct counted *items;
        size_t count, allocated;
};

static void counted_add(
        struct counted_list *l, const struct framework *f, const char *agent_id, Mete__V1__TaskState state)
{
        if (l->count == l->allocated) {
                l->allocated = MAX(l->allocated * 2, (size_t)64);
                l->items = xrealloc(l->items, l->allocated * sizeof(*l->items));
        }
        l->items[l->count++] = (struct counted){f, agent_id, state};
}

static void counted_collect(struct counted_list *l, const struct master *m)
{
        const struct framework *f, *next_framework;
        const struct past_task *p, *next_past;
        const struct task *t, *next;

        HASH_ITER (hh, m->frameworks, f, next_framework) {
                HASH_ITER (hh, f->tasks, t, next)
                        counted_add(l, f, t->agent->id, t->state);
                HASH_ITER (hh, f->unreachable, p, next_past)
                        counted_add(l, f, p->task->agent_id->value, p->task->state);
                DL_FOREACH (f->completed, p)
                        counted_add(l, f, p->task->agent_id->value, p->task->state);
        }
}

static int compare_frameworks(const struct counted *x, const struct counted *y)
{
        return strcmp(x->framework->id, y->framework->id);
}

static int by_agent(const void *a, const void *b)
{
        const struct counted *x = a, *y = b;
        int r = strcmp(x->agent_id, y->agent_id);

        return r ? r : compare_frameworks(x, y);
}

static int by_framework(const void *a, const void *b)
{
        const struct counted *x = a, *y = b;
        int r = compare_frameworks(x, y);

        return r ? r : strcmp(x->agent_id, y->agent_id);
}

/* One agent's or framework's part of the sorted list: how many tasks are in which state, and of whom they are. */
static void json_counts(struct buffer *out, const struct counted *items, size_t count, bool of_agent)
{
        const ProtobufCEnumDescriptor *states = &mete__v1__task_state__descriptor;
        int64_t counts[COUNTED_STATES] = {};
        const char *last = NULL;

        json_begin_array(out, of_agent ? "framework_ids" : "slave_ids");
        for (size_t i = 0; i < count; i++) {
                const char *other = of_agent ? items[i].framework->id : items[i].agent_id;

                if ((uint32_t)items[i].state < COUNTED_STATES)
                        counts[items[i].state]++;
                if (!str_equal(other, last))
                        json_put_string(out, NULL, other);
                last = other;
        }
        json_end_array(out);
        for (unsigned i = 0; i < states->n_values; i++)
                json_put_integer(out, states->values[i].name, counts[states->values[i].value]);
}

/* The run of the sorted list whose items compare equal to `key`. */
static const struct counted *find_run(
        const struct counted_list *l, const struct counted *key, bool of_agent, size_t *ret_count)
{
        size_t low = 0, high = l->count, end;

#define COMPARE(i)                                                                                           \
        (of_agent ? strcmp(l->items[i].agent_id, key->agent_id) : compare_frameworks(&l->items[i], key))
        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (COMPARE(middle) < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        for (end = low; end < l->count && COMPARE(end) == 0; end++)
                continue;
#undef COMPARE
        *ret_count = end - low;
        return l->items ? l->items + low : NULL;
}

static void summarize_agents(struct read_call *c, const struct counted_list *l)
{
        const struct agent *a, *next;

        json_begin_array(&c->out, "slaves");
        HASH_ITER (hh, c->master->agents, a, next) {
                const struct counted key = {.agent_id = a->id};
                const struct counted *run;
                size_t count;

                if (!agent_is_registered(a))
                        continue;
                run = find_run(l, &key, /* of_agent= */ true, &count);
                json_begin_object(&c->out, NULL);
                json_agent(&c->out, a);
                json_counts(&c->out, run, count, /* of_agent= */ true);
                json_end_object(&c->out);
        }
        json_end_array(&c->out);
}

static void summarize_frameworks(struct read_call *c, const struct counted_list *l)
{
        const struct framework *f, *next;

        json_begin_array(&c->out, "frameworks");
        HASH_ITER (hh, c->master->frameworks, f, next) {
                const struct counted key = {.framework = f};
                const struct counted *run;
                size_t count;

                run = find_run(l, &key, /* of_agent= */ false, &count);
                json_begin_object(&c->out, NULL);
                json_framework_summary(&c->out, f);
                json_counts(&c->out, run, count, /* of_agent= */ false);
                json_end_object(&c->out);
        }
        json_end_array(&c->out);
}

void read_state_summary(struct read_call *c)
{
        struct counted_list l = {};
        struct master_info info;

        master_info_fill(c->master, &info);
        counted_collect(&l, c->master);
        json_begin_object(&c->out, NULL);
        json_put_string(&c->out, "hostname", info.hostname);
        if (l.count > 0)
                qsort(l.items, l.count, sizeof(*l.items), by_agent);
        summarize_agents(c, &l);
        if (l.count > 0)
                qsort(l.items, l.count, sizeof(*l.items), by_framework);
        summarize_frameworks(c, &l);
        json_end_object(&c->out);
        free(l.items);
}
