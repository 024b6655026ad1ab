/* Time limits. They count the time in which a task ran: what is frozen is not late. */

#include <stdlib.h>

#include "master/jobs/jobs.h"

double job_task_active_seconds(const struct job_task *t, double now)
{
        double since = t->changed > 0 ? t->changed : t->api->started;

        if (!t->api->has_started || t->api->suspended || now <= since)
                return t->ran_seconds;
        return t->ran_seconds + (now - since);
}

char *job_limit_reached(const struct job *j, const struct job_task *t)
{
        char text[DURATION_TEXT_MAX];
        double end = t->api->has_finished ? t->api->finished : wall_seconds_now();

        /* A little less counts too: the clocks that set the timer and that tell the time are not the same. */
        if (!j->spec->has_time_limit_seconds || !t->api->has_started ||
                job_task_active_seconds(t, end) < j->spec->time_limit_seconds * 0.999 - 0.01)
                return NULL;
        return xasprintf("time limit of %s reached",
                duration_format((uint64_t)(j->spec->time_limit_seconds * 1e9), text));
}

static void on_limit(struct loop_timer *timer, void *userdata)
{
        struct job_task *t = userdata;
        struct master *m = t->master;
        Mete__Checkpoint__StoredKill kill = METE__CHECKPOINT__STORED_KILL__INIT;
        struct task *live;
        uint32_t index;
        struct job *j;

        if (job_task_find(m->jobs, t->api->task_id, &j, &index) < 0)
                return;
        live = job_task_live(j, index);
        if (!live)
                return;
        if (!job_limit_reached(j, t)) { /* the wall clock was set back */
                job_limit_update(j, index);
                return;
        }
        log_info("task %s: its time limit is reached: killing it", t->api->task_id);
        task_kill(live, &kill);
}

void job_limit_update(struct job *j, uint32_t index)
{
        struct job_task *t = j->tasks[index];
        double left;

        if (!j->spec->has_time_limit_seconds)
                return;
        if (job_task_class(j, index) != JOB_TASK_LIVE || !t->api->has_started || t->api->suspended) {
                t->limit = loop_timer_free(t->limit);
                return;
        }
        if (!t->limit)
                t->limit = loop_timer_new(j->master->loop, on_limit, t);
        left = j->spec->time_limit_seconds - job_task_active_seconds(t, wall_seconds_now());
        loop_timer_arm(t->limit, left > 0 ? (uint64_t)(left * 1e9) : 0, /* period_ns= */ 0);
}
