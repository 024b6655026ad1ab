/*
 * Agents that do not answer, stay away or are said to be gone. What the master decides about them is on disk before anybody is told: a
 * later master must not find an agent unknown to be lost whose tasks were already replaced. In between the agent is in doubt.
 */

#include <stdlib.h>

#include "master/agent_internal.h"

/* ---- streams ---- */

void agent_drop_stream(struct agent *a)
{
        if (a->stream)
                http_stream_close(TAKE_PTR(a->stream));
        a->stream_id[0] = 0;
        a->stalled = false;
}

static bool outlives_its_agent(const struct framework *f)
{
        return !f->ops || f->ops->in_process || f->info->checkpoint;
}

/* Frameworks that do not checkpoint asked for it: what they have on an agent ends with its connection. */
static void lose_uncheckpointed(struct agent *a)
{
        struct task *t, *next_task;
        struct executor *x, *next;

        DL_FOREACH_SAFE2(a->tasks, t, next_task, agent_next)
        {
                if (!outlives_its_agent(t->framework))
                        task_set_status(t, METE__V1__TASK_STATE__TASK_LOST,
                                METE__V1__TASK_STATUS__REASON__REASON_AGENT_DISCONNECTED,
                                "the agent disconnected, and the framework does not checkpoint");
        }
        HASH_ITER (hh, a->executors, x, next)
                if (!outlives_its_agent(x->framework))
                        executor_remove(x);
}

void agent_disconnect(struct agent *a, const char *why)
{
        log_warning("agent %s (%s) disconnected: %s", a->id, a->info->hostname, why);
        agent_drop_stream(a);
        offers_rescind_agent(a);
        if (a->state != AGENT_ACTIVE)
                return;
        agent_set_state(a, AGENT_DISCONNECTED);
        lose_uncheckpointed(a);
}

/* ---- losing ---- */

static void tell_frameworks(struct agent *a)
{
        struct framework *f, *next;

        HASH_ITER (hh, a->master->frameworks, f, next)
                if (f->ops && f->ops->failure && f->state == FRAMEWORK_ACTIVE)
                        f->ops->failure(f, a, NULL, -1);
}

void agent_is_lost(struct agent *a, enum agent_state how, const char *why)
{
        struct master *m = a->master;

        agent_drop_stream(a);
        offers_rescind_agent(a);
        agent_set_state(a, how == AGENT_GONE ? AGENT_GONE : AGENT_UNREACHABLE);
        tasks_lost(a, how, why);
        while (a->executors)
                executor_remove(a->executors);
        if (a->allocated)
                allocator_remove_agent(m->allocator, a->id);
        a->allocated = false;
        offers_schedule(m); /* the allocator clears away what lay there */
        m->counters.agent_removals++;
        tell_frameworks(a);
}

/* Of tasks that it had when it became unreachable nobody has to wait for news any more. */
static void tell_lost_tasks_gone(struct agent *a, const char *why)
{
        for (size_t i = 0; i + 1 < a->lost_tasks.count; i += 2) {
                struct framework *f = framework_find(a->master, a->lost_tasks.items[i]);
                const struct told_status told = {
                        .task_id = a->lost_tasks.items[i + 1],
                        .agent_id = a->id,
                        .state = METE__V1__TASK_STATE__TASK_GONE_BY_OPERATOR,
                        .reason = METE__V1__TASK_STATUS__REASON__REASON_AGENT_REMOVED_BY_OPERATOR,
                        .message = why,
                };

                if (f && !task_find(f, told.task_id)) /* not launched again elsewhere */
                        framework_tell(f, a, &told);
        }
        agent_forget_lost_tasks(a);
}

/* On its way to disk. */
struct loss {
        struct master *master;
        char *agent_id, *why;
        enum agent_state how;
        double time;
};

static void lose(struct agent *a, const struct loss *l)
{
        struct master *m = a->master;

        if (--a->leaving == 0)
                m->agents_leaving--;
        a->losing_time = 0;
        if (a->state == AGENT_GONE)
                return;
        if (l->how == AGENT_GONE) {
                Mete__Agent__Command c = METE__AGENT__COMMAND__INIT;

                c.type = METE__AGENT__COMMAND__TYPE__SHUTDOWN;
                (void)agent_send(a, &c);
                tell_lost_tasks_gone(a, l->why);
                m->counters.agent_removals_unregistered++;
        } else {
                a->unreachable_time = l->time;
                m->counters.agents_made_unreachable++;
                m->counters.agent_removals_unhealthy++;
        }
        if (a->state == AGENT_UNREACHABLE)
                agent_set_state(a, l->how); /* the rest was done and told then */
        else
                agent_is_lost(a, l->how, l->why);
}

static void loss_done(int result, void *userdata)
{
        struct loss *l = userdata;
        struct agent *a = agent_find(l->master, l->agent_id);

        if (a && result >= 0 && !l->master->stopping)
                lose(a, l);
        free(l->agent_id);
        free(l->why);
        free(l);
}

static void agent_lose(struct agent *a, enum agent_state how, double now, const char *why)
{
        struct store_batch *b = store_batch_new();
        struct loss *l = NEW0(struct loss);

        if (how == AGENT_UNREACHABLE)
                a->losing_time = now;
        agent_put_present(a, b);
        *l = (struct loss){a->master, xstrdup(a->id), xstrdup(why), how, now};
        if (a->leaving++ == 0)
                a->master->agents_leaving++;
        master_write(a->master, b, loss_done, l);
}

/* From here on it may only come back by registering, which is written after this. */
static void agent_make_unreachable(struct agent *a, const char *why)
{
        log_warning("agent %s (%s) is given up: %s", a->id, a->info->hostname, why);
        agent_drop_stream(a);
        offers_rescind_agent(a);
        if (a->state == AGENT_ACTIVE)
                agent_set_state(a, AGENT_DISCONNECTED);
        loop_timer_disarm(a->timer);
        agent_lose(a, AGENT_UNREACHABLE, wall_seconds_now(), why);
}

void agent_mark_gone(struct agent *a)
{
        if (a->gone_time > 0)
                return;
        log_warning("agent %s (%s) is marked gone by an operator", a->id, a->info->hostname);
        a->gone_time = wall_seconds_now();
        agent_lose(a, AGENT_GONE, a->gone_time, "an operator said that the agent never comes back");
}

/* ---- time ---- */

static void stayed_away(struct agent *a)
{
        char text[DURATION_TEXT_MAX];
        _cleanup_free_ char *why = xasprintf("the agent did not come back within %s",
                duration_format(a->master->options->agent_reregister_timeout_ns, text));

        agent_make_unreachable(a, why);
}

static void missed_pings(struct agent *a)
{
        const struct master_options *o = a->master->options;
        char text[DURATION_TEXT_MAX];
        _cleanup_free_ char *why = xasprintf("the agent did not answer for %s",
                duration_format(o->agent_ping_timeout_ns * o->max_agent_ping_timeouts, text));

        agent_make_unreachable(a, why);
}

void agent_timer(struct loop_timer *timer, void *userdata)
{
        struct agent *a = userdata;
        Mete__Agent__Command c = METE__AGENT__COMMAND__INIT;

        if (a->state != AGENT_ACTIVE) {
                stayed_away(a);
                return;
        }
        if (a->stalled) {
                agent_disconnect(a, "it does not read its commands");
                return;
        }
        if (a->missed_pings >= a->master->options->max_agent_ping_timeouts) {
                missed_pings(a);
                return;
        }
        a->missed_pings++;
        c.type = METE__AGENT__COMMAND__TYPE__PING;
        (void)agent_send(a, &c);
}

void agent_alive(struct agent *a)
{
        a->missed_pings = 0;
}

/* ---- forgetting ---- */

static double lost_since(const struct agent *a)
{
        return a->state == AGENT_GONE ? a->gone_time : a->unreachable_time;
}

static int compare_lost(const struct agent *a, const struct agent *b)
{
        double x = lost_since(a), y = lost_since(b);

        return (x > y) - (x < y);
}

/* What is on its disk is not forgotten unless an operator says so. */
static bool has_volumes(const struct agent *a)
{
        return a->state == AGENT_UNREACHABLE && a->assignment.resources.count > 0;
}

void agents_gc(struct master *m, double now_seconds)
{
        size_t count = m->agents_in[AGENT_UNREACHABLE] + m->agents_in[AGENT_GONE];
        struct store_batch *b = store_batch_new();
        struct agent *a, *next;

        DL_FOREACH_SAFE2(m->lost_agents, a, next, lost_next)
        {
                _cleanup_free_ char *key = xasprintf("agent/%s", a->id);

                if (count <= AGENTS_LOST_MAX && now_seconds - lost_since(a) <= AGENTS_LOST_MAX_SECONDS)
                        break;
                if (has_volumes(a))
                        continue;
                log_info("agent %s (%s) was lost long ago and is forgotten", a->id, a->info->hostname);
                store_batch_delete(b, key);
                agent_free(a);
                count--;
        }
        master_write(m, b, NULL, NULL);
}

static void on_gc(struct loop_timer *timer, void *userdata)
{
        agents_gc(userdata, wall_seconds_now());
}

void agents_start(struct master *m)
{
        DL_SORT2(m->lost_agents, compare_lost, lost_prev, lost_next); /* from now on they are lost in order */
        m->agents_gc_timer = loop_timer_new(m->loop, on_gc, m);
        loop_timer_arm(m->agents_gc_timer, AGENTS_GC_NS, AGENTS_GC_NS);
}
