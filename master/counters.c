#include "master/counters.h"

#include "master/core.h"

void count_call(struct master *m, struct framework *f, uint32_t type)
{
        if (type >= COUNTED_TYPES)
                return;
        m->counters.all.calls[type]++;
        if (f)
                f->counters.calls[type]++;
}

void count_event(struct framework *f, uint32_t type)
{
        if (type >= COUNTED_TYPES)
                return;
        f->master->counters.all.events[type]++;
        f->counters.events[type]++;
}

void count_operation(struct framework *f, uint32_t type)
{
        if (type >= COUNTED_TYPES)
                return;
        f->master->counters.all.operations[type]++;
        f->counters.operations[type]++;
}

#define DEFINE_COUNT(name)                                                                                   \
        void count_##name(struct framework *f, uint64_t n)                                                   \
        {                                                                                                    \
                f->master->counters.all.name += n;                                                           \
                f->counters.name += n;                                                                       \
        }
DEFINE_COUNT(offers_sent)
DEFINE_COUNT(offers_accepted)
DEFINE_COUNT(offers_declined)
DEFINE_COUNT(offers_rescinded)

void count_task_moved(struct framework *f, Mete__V1__TaskState from, Mete__V1__TaskState to)
{
        struct framework_counters *all = &f->master->counters.all;

        if ((uint32_t)from < COUNTED_STATES) {
                all->tasks_in[from]--;
                f->counters.tasks_in[from]--;
        }
        if ((uint32_t)to < COUNTED_STATES) {
                all->tasks_in[to]++;
                f->counters.tasks_in[to]++;
        }
}

void count_task_ended(struct framework *f, const Mete__V1__TaskStatus *status)
{
        struct master_counters *c = &f->master->counters;
        uint32_t state = (uint32_t)status->state;

        if (!task_state_is_terminal(status->state) || state >= COUNTED_STATES)
                return;
        c->all.tasks_ended[state]++;
        f->counters.tasks_ended[state]++;
        if (status->has_source && status->has_reason && (uint32_t)status->source < COUNTED_SOURCES &&
                (uint32_t)status->reason < COUNTED_REASONS)
                c->ended_by_reason[state][status->source][status->reason]++;
}
