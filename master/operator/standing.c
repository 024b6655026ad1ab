#include "master/operator/standing.h"

#include <stdlib.h>

#include "master/agent_internal.h"

#define GRACE_DEFAULT_SECONDS 3.0 /* of a task that says nothing, as Mesos has it */

static const char *const drain_names[AGENT_DRAIN_STATE_MAX] = {
        [AGENT_DRAIN_NONE] = "not drained",
        [AGENT_DRAINING] = "draining",
        [AGENT_DRAINED] = "drained",
};

/* ---- emptying ---- */

static double own_grace(const struct task *t)
{
        const Mete__V1__KillPolicy *policy = t->info->kill_policy;

        if (t->kill_wanted && t->kill.has_grace_seconds)
                return t->kill.grace_seconds;
        return policy && policy->grace_period ? (double)policy->grace_period->nanoseconds / 1e9
                                              : GRACE_DEFAULT_SECONDS;
}

/* A kill that is under way already goes on unless it would take longer. */
static void kill_task(struct task *t)
{
        const struct agent_standing *s = &t->agent->standing;
        Mete__Checkpoint__StoredKill kill = METE__CHECKPOINT__STORED_KILL__INIT;
        bool sooner = s->has_max_grace && s->max_grace_seconds < own_grace(t);

        if (t->kill_wanted && !sooner)
                return;
        if (t->kill_wanted)
                kill = t->kill;
        if (sooner) {
                kill.has_grace_seconds = true;
                kill.grace_seconds = s->max_grace_seconds;
        }
        task_kill(t, &kill);
}

static bool has_task(const struct executor *x)
{
        const struct task *t;

        DL_FOREACH2(x->agent->tasks, t, agent_next)
        if (t->framework == x->framework && !t->released &&
                str_equal(t->executor_id, x->info->executor_id->value))
                return true;
        return false;
}

/* Those that have nothing left to do; one with tasks is told when they have ended. */
static void shut_down_executors(struct agent *a)
{
        struct executor *x, *next;

        HASH_ITER (hh, a->executors, x, next)
                if (!has_task(x))
                        (void)agent_send_shutdown_executor(a, x->framework->id, x->info->executor_id->value);
}

static void set_drain(struct agent *a, enum agent_drain_state to)
{
        struct agent_standing *s = &a->standing;

        if (s->drain == to)
                return;
        log_info("agent %s (%s): %s -> %s", a->id, a->info->hostname, drain_names[s->drain], drain_names[to]);
        s->drain = to;
        if (to != AGENT_DRAINED)
                s->drain_since = to == AGENT_DRAINING ? wall_seconds_now() : 0;
}

/* What an agent that is not connected has left is not known: its tasks count when it is back. */
static void check_empty(struct loop_timer *timer, void *userdata)
{
        struct agent *a = userdata;

        if (a->standing.drain != AGENT_DRAINING || a->state != AGENT_ACTIVE)
                return;
        if (a->tasks || a->executors) {
                shut_down_executors(a);
                return;
        }
        set_drain(a, AGENT_DRAINED);
        agent_standing_changed(a);
}

void agent_emptied(struct agent *a)
{
        if (a->standing.drain == AGENT_DRAINING && a->drain_timer)
                loop_timer_arm(a->drain_timer, /* delay_ns= */ 0, /* period_ns= */ 0);
}

static void empty(struct agent *a)
{
        struct task *t, *next;

        if (!a->drain_timer)
                a->drain_timer = loop_timer_new(a->master->loop, check_empty, a);
        DL_FOREACH_SAFE2(a->tasks, t, next, agent_next)
        if (!t->released)
                kill_task(t);
        agent_emptied(a);
}

/* ---- carrying out ---- */

static void fill_drain(const struct agent_standing *s, Mete__Api__Agent__Drain *ret)
{
        mete__api__agent__drain__init(ret);
        ret->state = s->drain == AGENT_DRAINED ? METE__API__AGENT__DRAIN__STATE__DRAINED
                                               : METE__API__AGENT__DRAIN__STATE__DRAINING;
        ret->has_max_grace_seconds = s->has_max_grace;
        ret->max_grace_seconds = s->max_grace_seconds;
        ret->has_mark_gone = true;
        ret->mark_gone = s->mark_gone;
        ret->has_since = true;
        ret->since = s->drain_since;
}

static void carry_out(struct agent *a)
{
        const struct agent_standing *s = &a->standing;

        if (a->allocated)
                allocator_set_agent_active(a->master->allocator, a->id, agent_is_offered(a));
        if (s->deactivated)
                offers_rescind_agent(a);
        offers_schedule(a->master);
        if (s->drain == AGENT_DRAINING && a->state == AGENT_ACTIVE)
                empty(a);
        agent_changed(a);
        if (s->drain == AGENT_DRAINED && s->mark_gone)
                agent_mark_gone(a);
}

struct written {
        struct master *master;
        char *agent_id;
};

static void standing_written(int result, void *userdata)
{
        struct written *w = userdata;
        struct agent *a = agent_find(w->master, w->agent_id);

        if (a && result >= 0 && !w->master->stopping)
                carry_out(a);
        free(w->agent_id);
        free(w);
}

void agent_standing_changed(struct agent *a)
{
        struct store_batch *b = store_batch_new();
        struct written *w = NEW0(struct written);

        fill_drain(&a->standing, &a->drain_view);
        agent_put_present(a, b);
        *w = (struct written){a->master, xstrdup(a->id)};
        master_write(a->master, b, standing_written, w);
}

void agent_standing_registered(struct agent *a)
{
        if (a->standing.drain == AGENT_DRAINING)
                empty(a);
        else if (a->standing.drain == AGENT_DRAINED && a->standing.mark_gone)
                agent_mark_gone(a); /* the master ended in between */
}

/* ---- decisions ---- */

void agent_drain(struct agent *a, const struct drain_wish *wish)
{
        struct agent_standing *s = &a->standing;

        log_info("agent %s (%s) is to be drained %s", a->id, a->info->hostname, wish->why);
        s->deactivated = true;
        s->has_max_grace = wish->has_max_grace;
        s->max_grace_seconds = wish->max_grace_seconds;
        s->mark_gone = wish->mark_gone;
        if (s->drain == AGENT_DRAIN_NONE)
                set_drain(a, AGENT_DRAINING);
        agent_standing_changed(a);
}

void agent_deactivate(struct agent *a, const char *why)
{
        log_info("agent %s (%s) is deactivated %s", a->id, a->info->hostname, why);
        a->standing.deactivated = true;
        agent_standing_changed(a);
}

void agent_reactivate(struct agent *a, const char *why)
{
        struct agent_standing *s = &a->standing;

        log_info("agent %s (%s) is reactivated %s", a->id, a->info->hostname, why);
        s->deactivated = s->mark_gone = s->has_max_grace = s->by_window = false;
        s->max_grace_seconds = 0;
        set_drain(a, AGENT_DRAIN_NONE);
        agent_standing_changed(a);
}

/* ---- what frameworks are told ---- */

const Mete__Agent__StatusUpdate *agent_drain_update(const struct agent *a, const struct framework *f,
        const Mete__Agent__StatusUpdate *u, struct drained_update *copy)
{
        bool killed = u->status->state == METE__V1__TASK_STATE__TASK_KILLED;

        if (a->standing.drain == AGENT_DRAIN_NONE ||
                !(killed || u->status->state == METE__V1__TASK_STATE__TASK_KILLING))
                return u;
        copy->update = *u;
        copy->status = *u->status;
        copy->update.status = &copy->status;
        copy->status.has_reason = true;
        copy->status.reason = METE__V1__TASK_STATUS__REASON__REASON_AGENT_DRAINING;
        if (killed && a->standing.mark_gone &&
                framework_has(f, METE__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__PARTITION_AWARE))
                copy->status.state = METE__V1__TASK_STATE__TASK_GONE_BY_OPERATOR;
        return &copy->update;
}

/* ---- store, API ---- */

static Mete__Api__Agent__Drain *view_of_drain(const struct agent *a)
{
        return a->standing.drain == AGENT_DRAIN_NONE ? NULL : (Mete__Api__Agent__Drain *)&a->drain_view;
}

void agent_standing_put(const struct agent *a, Mete__Checkpoint__AdmittedAgent *ret)
{
        const struct agent_standing *s = &a->standing;

        ret->has_deactivated = ret->deactivated = s->deactivated;
        ret->windows_begun = s->windows_begun.items;
        ret->n_windows_begun = s->windows_begun.count;
        ret->has_by_window = ret->by_window = s->by_window;
        ret->drain = view_of_drain(a);
}

void agent_standing_take(struct agent *a, const Mete__Checkpoint__AdmittedAgent *from)
{
        const Mete__Api__Agent__Drain *drain = from->drain;
        struct agent_standing *s = &a->standing;

        s->deactivated = from->deactivated;
        s->by_window = from->by_window;
        for (size_t i = 0; i < from->n_windows_begun; i++)
                string_list_add(&s->windows_begun, from->windows_begun[i]);
        if (!drain)
                return;
        s->drain = drain->state == METE__API__AGENT__DRAIN__STATE__DRAINED ? AGENT_DRAINED : AGENT_DRAINING;
        s->has_max_grace = drain->has_max_grace_seconds;
        s->max_grace_seconds = drain->max_grace_seconds;
        s->mark_gone = drain->mark_gone;
        s->drain_since = drain->since;
        fill_drain(s, &a->drain_view);
}

void agent_standing_describe(const struct agent *a, Mete__Api__Agent *ret)
{
        ret->has_deactivated = true;
        ret->deactivated = a->standing.deactivated;
        ret->drain = view_of_drain(a);
}

void agent_standing_done(struct agent *a)
{
        loop_timer_free(a->drain_timer);
        string_list_done(&a->standing.windows_begun);
        free(a->windows);
}

const char *agent_unusable(const struct agent *a)
{
        if (a->state != AGENT_ACTIVE)
                return a->state == AGENT_RECOVERED ? "not back yet" : agent_state_to_string(a->state);
        if (a->standing.drain != AGENT_DRAIN_NONE)
                return drain_names[a->standing.drain];
        return a->standing.deactivated ? "deactivated" : NULL;
}
