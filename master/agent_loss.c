/* Pings, and giving up on agents that stay away. */

#include <stdlib.h>

#include "master/agent_internal.h"

void agent_drop_stream(struct agent *a)
{
        if (a->stream)
                http_stream_close(TAKE_PTR(a->stream));
        a->stream_id[0] = 0;
}

void agent_disconnect(struct agent *a, const char *why)
{
        log_warning("agent %s (%s) disconnected: %s", a->id, a->info->hostname, why);
        agent_drop_stream(a);
        offers_rescind_agent(a);
        if (a->state == AGENT_ACTIVE)
                agent_set_state(a, AGENT_DISCONNECTED);
}

static void agent_forget_oldest_unreachable(struct master *m)
{
        struct agent *a, *next, *oldest = NULL;
        size_t count = 0;

        HASH_ITER (hh, m->agents, a, next) {
                if (a->state != AGENT_UNREACHABLE)
                        continue;
                count++;
                if (!oldest ||
                        MAX(a->registered, a->reregistered) < MAX(oldest->registered, oldest->reregistered))
                        oldest = a;
        }
        if (count <= AGENTS_UNREACHABLE_MAX)
                return;
        _cleanup_free_ char *key = xasprintf("agent/%s", oldest->id);
        struct store_batch *b = store_batch_new();

        store_batch_delete(b, key);
        master_write(m, b, NULL, NULL);
        agent_free(oldest);
}

void agent_give_up(struct agent *a, const char *why)
{
        struct master *m = a->master;

        agent_drop_stream(a);
        offers_rescind_agent(a);
        agent_set_state(a, AGENT_UNREACHABLE);
        tasks_lost(a, METE__V1__TASK_STATUS__REASON__REASON_AGENT_REMOVED, why);
        if (a->allocated)
                allocator_remove_agent(m->allocator, a->id);
        a->allocated = false;
        agent_forget_oldest_unreachable(m);
}

void agent_timer(struct loop_timer *timer, void *userdata)
{
        struct agent *a = userdata;
        const struct master_options *o = a->master->options;
        Mete__Agent__Command c = METE__AGENT__COMMAND__INIT;
        char text[DURATION_TEXT_MAX];

        if (a->state != AGENT_ACTIVE) {
                _cleanup_free_ char *why = xasprintf("the agent did not come back within %s",
                        duration_format(o->agent_reregister_timeout_ns, text));

                agent_give_up(a, why);
                return;
        }
        if (a->missed_pings >= o->max_agent_ping_timeouts) {
                _cleanup_free_ char *why = xasprintf("the agent did not answer for %s",
                        duration_format(o->agent_ping_timeout_ns * o->max_agent_ping_timeouts, text));

                agent_give_up(a, why);
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

struct going {
        struct master *master;
        char *agent_id;
};

static void gone_done(int result, void *userdata)
{
        struct going *g = userdata;
        struct agent *a = result < 0 || g->master->stopping ? NULL : agent_find(g->master, g->agent_id);

        if (a) {
                Mete__Agent__Command c = METE__AGENT__COMMAND__INIT;

                c.type = METE__AGENT__COMMAND__TYPE__SHUTDOWN;
                (void)agent_send(a, &c);
                agent_give_up(a, "an operator said that the agent never comes back");
                agent_set_state(a, AGENT_GONE);
        }
        free(g->agent_id);
        free(g);
}

void agent_mark_gone(struct agent *a)
{
        Mete__Checkpoint__AdmittedAgent admitted = METE__CHECKPOINT__ADMITTED_AGENT__INIT;
        _cleanup_free_ char *key = xasprintf("agent/%s", a->id);
        struct store_batch *b = store_batch_new();
        struct going *g = NEW0(struct going);

        admitted.agent_info = a->info;
        admitted.has_registered = true;
        admitted.registered = a->registered;
        admitted.has_gone_time = true;
        admitted.gone_time = wall_seconds_now();
        master_put_message(b, key, &admitted.base);
        g->master = a->master;
        g->agent_id = xstrdup(a->id);
        master_write(a->master, b, gone_done, g);
}
