/* "master/tasks_<state>": how many are so now, and of the states that end a task how many ever ended in it. */

#include "master/api/read/metrics.h"

static void count_live(const struct master *m, uint64_t counts[static COUNTED_STATES])
{
        const struct framework *f, *next_framework;
        const struct task *t, *next;

        HASH_ITER (hh, m->frameworks, f, next_framework) {
                HASH_ITER (hh, f->tasks, t, next)
                        if ((uint32_t)t->state < COUNTED_STATES)
                                counts[t->state]++;
                counts[METE__V1__TASK_STATE__TASK_UNREACHABLE] += HASH_COUNT(f->unreachable);
        }
}

/* Why tasks ended, by who said so: names appear with their first task. */
static void metrics_of_reasons(struct buffer *out, const struct master *m)
{
        for (int state = 0; state < COUNTED_STATES; state++)
                for (int source = 0; source < COUNTED_SOURCES; source++)
                        for (int reason = 0; reason < COUNTED_REASONS; reason++) {
                                uint64_t n = m->counters.ended_by_reason[state][source][reason];

                                if (n == 0)
                                        continue;
                                _cleanup_free_ char *s =
                                        metric_enum_name(&mete__v1__task_state__descriptor, state);
                                _cleanup_free_ char *who =
                                        metric_enum_name(&mete__v1__task_status__source__descriptor, source);
                                _cleanup_free_ char *why =
                                        metric_enum_name(&mete__v1__task_status__reason__descriptor, reason);

                                metric(out, (double)n, "master/%s/%s/%s", s, who, why);
                        }
}

void metrics_tasks(struct buffer *out, const struct master *m)
{
        uint64_t now[COUNTED_STATES] = {};

        count_live(m, now);
        for (int i = 0; i < COUNTED_STATES; i++) {
                _cleanup_free_ char *name = metric_enum_name(&mete__v1__task_state__descriptor, i);
                bool over = task_state_is_terminal((Mete__V1__TaskState)i);

                /* task_running -> tasks_running */
                metric(out, (double)(over ? m->counters.all.tasks_ended[i] : now[i]), "master/tasks%s",
                        name + sizeof("task") - 1);
        }
        metrics_of_reasons(out, m);
}
