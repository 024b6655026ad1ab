/* "master/tasks_<state>": how many are so now, and of the states that end a task how many ever ended in it. */

#include "master/api/read/metrics.h"

static uint64_t unreachable_count(const struct master *m)
{
        const struct framework *f, *next;
        uint64_t n = 0;

        HASH_ITER (hh, m->frameworks, f, next)
                n += HASH_COUNT(f->unreachable);
        return n;
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
        for (int i = 0; i < COUNTED_STATES; i++) {
                _cleanup_free_ char *name = metric_enum_name(&mete__v1__task_state__descriptor, i);
                uint64_t n = task_state_is_terminal((Mete__V1__TaskState)i) ? m->counters.all.tasks_ended[i]
                                                                            : m->counters.all.tasks_in[i];

                if (i == METE__V1__TASK_STATE__TASK_UNREACHABLE)
                        n += unreachable_count(m);
                /* task_running -> tasks_running */
                metric(out, (double)n, "master/tasks%s", name + sizeof("task") - 1);
        }
        metrics_of_reasons(out, m);
}
