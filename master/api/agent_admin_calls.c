/* Calls about agents, for those who run the machines: root. */

#include <stdlib.h>

#include "master/api/api.h"
#include "master/operator/standing.h"

#define GRACE_MAX_SECONDS (365 * 86400.0)

/* A decision that is on its way to disk. */
struct decision {
        struct master *master;
        struct http_request *req;
        enum codec codec;
        Mete__Api__Response__Type type;
        char *agent_id;
};

static void decision_answer(int result, void *userdata)
{
        struct decision *d = userdata;
        struct agent *a = agent_find(d->master, d->agent_id);
        Mete__Api__Response response = METE__API__RESPONSE__INIT;
        Mete__Api__Agent agent, *agents[] = {&agent};

        if (result < 0) {
                api_refuse(d->req, d->codec, 503, NULL, "the master could not write its store: %s",
                        store_failure(d->master->store) ?: "it stops");
        } else if (!a) {
                api_refuse(d->req, d->codec, 404, NULL, "agent %s unregistered", d->agent_id);
        } else {
                agent_describe(a, &agent);
                response.type = d->type;
                response.agents = agents;
                response.n_agents = 1;
                api_respond(d->req, d->codec, 200, &response.base);
        }
        free(d->agent_id);
        free(d);
}

/* After what was written before it. */
static void answer_when_written(struct api_call *c, const struct agent *a, Mete__Api__Response__Type type)
{
        struct decision *d = NEW0(struct decision);

        *d = (struct decision){c->master, c->req, c->codec, type, xstrdup(a->id)};
        master_write(c->master, store_batch_new(), decision_answer, d);
}

bool call_needs_root(struct api_call *c, const char *what)
{
        if (c->peer.uid == 0 || c->master->options->insecure)
                return true;
        api_refuse(c->req, c->codec, 403, "type", "only root may %s; you are %s", what, c->peer.name);
        return false;
}

struct agent *call_find_agent(struct api_call *c, const char *id_or_hostname, const char *field)
{
        _cleanup_error_ struct error e = {};
        struct agent *a = NULL;
        int r = agent_find_named(c->master, id_or_hostname, &a, &e);

        if (r < 0)
                api_refuse(c->req, c->codec, r == -ENOENT ? 404 : 409, field, "%s", error_message(&e));
        return a;
}

void call_mark_agent_gone(struct api_call *c)
{
        struct agent *a;

        if (!call_needs_root(c, "mark an agent gone"))
                return;
        a = call_find_agent(c, c->call->mark_agent_gone->agent_id, "mark_agent_gone.agent_id");
        if (!a)
                return;
        agent_mark_gone(a);
        answer_when_written(c, a, METE__API__RESPONSE__TYPE__MARK_AGENT_GONE);
}

/* One that may serve again: those that are gone may not. */
static struct agent *find_living(struct api_call *c, const char *id_or_hostname, const char *field)
{
        struct agent *a = call_find_agent(c, id_or_hostname, field);

        if (!a || a->gone_time <= 0)
                return a;
        api_refuse(c->req, c->codec, 409, field, "agent %s was marked gone: it never comes back", a->id);
        return NULL;
}

void call_drain_agent(struct api_call *c)
{
        const Mete__Api__Call__DrainAgent *d = c->call->drain_agent;
        const struct drain_wish wish = {
                d->has_max_grace_seconds, d->max_grace_seconds, d->mark_gone, "by an operator"};
        struct agent *a;

        if (!call_needs_root(c, "drain an agent"))
                return;
        if (d->has_max_grace_seconds &&
                !(d->max_grace_seconds >= 0 && d->max_grace_seconds <= GRACE_MAX_SECONDS)) {
                api_refuse(c->req, c->codec, 400, "drain_agent.max_grace_seconds",
                        "%g is not from 0 to %.0f seconds", d->max_grace_seconds, GRACE_MAX_SECONDS);
                return;
        }
        a = find_living(c, d->agent_id, "drain_agent.agent_id");
        if (!a)
                return;
        a->standing.by_window = false; /* from here on it is the operator's */
        agent_drain(a, &wish);
        answer_when_written(c, a, METE__API__RESPONSE__TYPE__AGENT);
}

void call_deactivate_agent(struct api_call *c)
{
        struct agent *a;

        if (!call_needs_root(c, "deactivate an agent"))
                return;
        a = find_living(c, c->call->deactivate_agent->agent_id, "deactivate_agent.agent_id");
        if (!a)
                return;
        a->standing.by_window = false;
        agent_deactivate(a, "by an operator");
        answer_when_written(c, a, METE__API__RESPONSE__TYPE__AGENT);
}

void call_reactivate_agent(struct api_call *c)
{
        struct agent *a;

        if (!call_needs_root(c, "reactivate an agent"))
                return;
        a = find_living(c, c->call->reactivate_agent->agent_id, "reactivate_agent.agent_id");
        if (!a)
                return;
        if (a->standing.drain == AGENT_DRAINED && a->standing.mark_gone) {
                api_refuse(c->req, c->codec, 409, "reactivate_agent.agent_id",
                        "agent %s is drained and is being marked gone", a->id);
                return;
        }
        agent_reactivate(a, "by an operator");
        answer_when_written(c, a, METE__API__RESPONSE__TYPE__AGENT);
}
