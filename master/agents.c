/* The table of agents and their states. */

#include "master/agent_internal.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/utf8.h"
#include "master/assignment.h"
#include "master/operator/recovery_hold.h"
#include "master/operator/standing.h"
#include "proto/domain.h"

static const char *const agent_state_names[] = {
        [AGENT_RECOVERED] = "recovered",
        [AGENT_ACTIVE] = "active",
        [AGENT_DISCONNECTED] = "disconnected",
        [AGENT_UNREACHABLE] = "unreachable",
        [AGENT_GONE] = "gone",
};

const char *agent_state_to_string(enum agent_state s)
{
        return agent_state_names[s];
}

struct agent *agent_find(const struct master *m, const char *id)
{
        struct agent *a;

        HASH_FIND_STR(m->agents, id, a);
        return a;
}

static bool is_lost(enum agent_state s)
{
        return s == AGENT_UNREACHABLE || s == AGENT_GONE;
}

int agent_find_named(const struct master *m, const char *name, struct agent **ret, struct error *e)
{
        _cleanup_free_ char *shown = NULL;
        struct agent *a = agent_find(m, name), *found = NULL, *next;

        if (a) {
                *ret = a;
                return 0;
        }
        shown = text_for_message(name, TEXT_FOR_MESSAGE_BYTES);
        HASH_ITER (hh, m->agents, a, next) {
                if (is_lost(a->state) || a->gone_time > 0 || !a->info || !str_equal(a->info->hostname, name))
                        continue;
                if (found)
                        return error_set(e, -EEXIST,
                                "several agents have the host name '%s', %s and %s among them: the id of one "
                                "is expected",
                                shown, found->id, a->id);
                found = a;
        }
        if (!found)
                return error_set(e, -ENOENT,
                        "agent '%s' is not known: the id of an agent, or the host name of one that is here, "
                        "is expected",
                        shown);
        *ret = found;
        return 0;
}

struct agent *agent_new(struct master *m, const char *id)
{
        struct agent *a = NEW0(struct agent);

        a->master = m;
        a->id = xstrdup(id);
        a->timer = loop_timer_new(m->loop, agent_timer, a);
        HASH_ADD_KEYPTR(hh, m->agents, a->id, strlen(a->id), a);
        m->agents_in[a->state]++;
        return a;
}

void agent_free(struct agent *a)
{
        struct master *m = a->master;

        offers_rescind_agent(a);
        while (a->tasks)
                task_remove(a->tasks);
        while (a->executors)
                executor_remove(a->executors);
        if (a->allocated)
                allocator_remove_agent(m->allocator, a->id);
        loop_timer_free(a->timer);
        agent_forget_lost_tasks(a);
        agent_standing_done(a);
        if (is_lost(a->state))
                DL_DELETE2(m->lost_agents, a, lost_prev, lost_next);
        if (a->leaving > 0)
                m->agents_leaving--;
        HASH_DEL(m->agents, a);
        m->agents_in[a->state]--;
        message_free(a->info);
        resources_done(&a->total);
        agent_assignment_done(a);
        resources_done(&a->booked);
        free(a->address);
        free(a->version);
        free(a->measurement);
        free(a->cgroup_layout);
        free(a->id);
        free(a);
}

void agent_changed(struct agent *a)
{
        bool there = a->state == AGENT_ACTIVE || a->state == AGENT_DISCONNECTED;

        a->master->queue_framework->ops->agents_changed(a->master->queue_framework, a, !there);
        events_agent(a->master, a);
}

void agent_init_state(struct agent *a, enum agent_state state)
{
        struct master *m = a->master;

        if (is_lost(a->state))
                DL_DELETE2(m->lost_agents, a, lost_prev, lost_next);
        if (is_lost(state))
                DL_APPEND2(m->lost_agents, a, lost_prev, lost_next);
        m->agents_in[a->state]--;
        m->agents_in[state]++;
        a->state = state;
}

void agent_set_state(struct agent *a, enum agent_state state)
{
        if (a->state == state)
                return;
        log_debug("agent %s (%s): %s -> %s", a->id, a->info ? a->info->hostname : "?",
                agent_state_to_string(a->state), agent_state_to_string(state));
        agent_init_state(a, state);
        recovery_hold_look(a->master);
        loop_timer_disarm(a->timer);
        if (a->allocated)
                allocator_set_agent_active(a->master->allocator, a->id, agent_is_offered(a));
        if (state == AGENT_ACTIVE)
                loop_timer_arm(a->timer, a->master->options->agent_ping_timeout_ns,
                        a->master->options->agent_ping_timeout_ns);
        if (state == AGENT_DISCONNECTED || state == AGENT_RECOVERED)
                loop_timer_arm(a->timer, a->master->options->agent_reregister_timeout_ns, /* period_ns= */ 0);
        agent_changed(a);
}

void agent_put(const struct agent *a, double unreachable_time, double gone_time, struct store_batch *b)
{
        Mete__Checkpoint__AdmittedAgent admitted = METE__CHECKPOINT__ADMITTED_AGENT__INIT;
        _cleanup_free_ char *key = xasprintf("agent/%s", a->id);

        admitted.agent_info = a->info;
        admitted.has_registered = true;
        admitted.registered = a->registered;
        admitted.address = a->address;
        admitted.version = a->version;
        admitted.has_unreachable_time = unreachable_time > 0;
        admitted.unreachable_time = unreachable_time;
        admitted.has_gone_time = gone_time > 0;
        admitted.gone_time = gone_time;
        agent_standing_put(a, &admitted);
        agent_assignment_put(a, &admitted);
        master_put_message(b, key, &admitted.base);
        agent_assignment_put_done(&admitted);
}

void agent_put_present(const struct agent *a, struct store_batch *b)
{
        double unreachable_time = a->losing_time > 0 ? a->losing_time : a->unreachable_time;

        agent_put(a, a->subscribing ? 0 : unreachable_time, a->gone_time, b);
}

/* ---- looking, stopping ---- */

static void describe_place(const struct agent *a, Mete__Api__Agent *ret)
{
        ret->attributes = a->info->attributes;
        ret->n_attributes = a->info->n_attributes;
        ret->region = (char *)domain_region(a->info->domain);
        ret->zone = (char *)domain_zone(a->info->domain);
        ret->maintenance = a->windows;
        ret->n_maintenance = a->n_windows;
}

void agent_describe(const struct agent *a, Mete__Api__Agent *ret)
{
        mete__api__agent__init(ret);
        ret->agent_id = a->id;
        ret->state = a->state == AGENT_ACTIVE        ? METE__API__AGENT__STATE__AGENT_ACTIVE
                     : a->state == AGENT_UNREACHABLE ? METE__API__AGENT__STATE__AGENT_UNREACHABLE
                     : a->state == AGENT_GONE        ? METE__API__AGENT__STATE__AGENT_GONE
                                                     : METE__API__AGENT__STATE__AGENT_DISCONNECTED;
        ret->hostname = a->info->hostname;
        ret->address = a->address;
        ret->has_cpus_total = ret->has_cpus_used = ret->has_memory_total_bytes = ret->has_memory_used_bytes =
                true;
        ret->cpus_total = milli_to_double(resources_scalar(&a->total, "cpus"));
        ret->cpus_used = milli_to_double(resources_scalar(&a->booked, "cpus"));
        ret->memory_total_bytes =
                (uint64_t)((unsigned __int128)resources_scalar(&a->total, "mem") * 1048576 / 1000);
        ret->memory_used_bytes =
                (uint64_t)((unsigned __int128)resources_scalar(&a->booked, "mem") * 1048576 / 1000);
        ret->has_tasks_running = true;
        ret->tasks_running = a->task_count;
        ret->has_registered = a->registered > 0;
        ret->registered = a->registered;
        ret->has_reregistered = a->reregistered > 0;
        ret->reregistered = a->reregistered;
        ret->version = a->version;
        ret->measurement = a->measurement;
        ret->cgroup_layout = a->cgroup_layout;
        describe_place(a, ret);
        agent_assignment_describe(a, ret);
        agent_standing_describe(a, ret);
}

void agents_stop(struct master *m)
{
        struct agent *a, *next;

        loop_timer_free(m->agents_gc_timer);
        HASH_ITER (hh, m->agents, a, next) {
                agent_drop_stream(a);
                if (a->subscribing)
                        http_respond_text(TAKE_PTR(a->subscribing), 503, "the master stops");
                agent_free(a);
        }
}
