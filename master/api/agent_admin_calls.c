/* Calls about agents, for those who run the machines: root. */

#include <stdlib.h>

#include "master/api/api.h"

/* A decision that is on its way to disk. */
struct decision {
        struct master *master;
        struct http_request *req;
        enum codec codec;
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
                response.type = METE__API__RESPONSE__TYPE__MARK_AGENT_GONE;
                response.agents = agents;
                response.n_agents = 1;
                api_respond(d->req, d->codec, 200, &response.base);
        }
        free(d->agent_id);
        free(d);
}

void call_mark_agent_gone(struct api_call *c)
{
        const char *id = c->call->mark_agent_gone->agent_id;
        struct agent *a = agent_find(c->master, id);
        struct decision *d;

        if (c->peer.uid != 0 && !c->master->options->insecure) {
                api_refuse(c->req, c->codec, 403, "type", "only root may mark an agent gone; you are %s",
                        c->peer.name);
                return;
        }
        if (!a) {
                api_refuse(c->req, c->codec, 404, "mark_agent_gone.agent_id",
                        "agent '%s' is not known: the id of an agent is expected", id);
                return;
        }
        agent_mark_gone(a);
        d = NEW0(struct decision);
        *d = (struct decision){c->master, c->req, c->codec, xstrdup(id)};
        master_write(c->master, store_batch_new(), decision_answer, d); /* after what was written before it */
}
