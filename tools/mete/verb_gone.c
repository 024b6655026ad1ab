#include <stdlib.h>
#include <string.h>

#include "lib/net/codec.h"
#include "tools/mete/all_verbs.h"
#include "tools/mete/json.h"
#include "tools/mete/query.h"
#include "tools/mete/text.h"

static const struct option_row rows[] = {OPTION_ROW_MASTER, OPTION_ROW_JSON};

/* An id, or a host name that only one agent has: the caller frees it. */
static int find_agent(struct mete_client *c, const char *name, char **ret, struct error *e)
{
        Mete__Api__Response *response = NULL;
        const char *found = NULL;
        size_t matches = 0;
        int r = query_agents(c, &response, e);

        if (r < 0)
                return r;
        for (size_t i = 0; i < response->n_agents; i++) {
                const Mete__Api__Agent *a = response->agents[i];

                if (str_equal(a->agent_id, name)) {
                        found = a->agent_id;
                        matches = 1;
                        break;
                }
                if (str_equal(a->hostname, name)) {
                        found = a->agent_id;
                        matches++;
                }
        }
        if (matches == 1)
                *ret = xstrdup(found);
        else
                r = error_set(e, -ENOENT,
                        matches > 1 ? "%s: %zu agents have this host name: give the id"
                                    : "%s: there is no such agent: `mete agents` lists them",
                        name, matches);
        message_free(response);
        return r;
}

static int mark_gone(struct mete_client *c, const char *id, Mete__Api__Response **ret, struct error *e)
{
        Mete__Api__Call call = METE__API__CALL__INIT;
        Mete__Api__Call__MarkAgentGone gone = METE__API__CALL__MARK_AGENT_GONE__INIT;

        gone.agent_id = (char *)id;
        call.type = METE__API__CALL__TYPE__MARK_AGENT_GONE;
        call.mark_agent_gone = &gone;
        return mete_client_call(c, &call, 0, ret, e);
}

static int run(void *options, int argc, char **argv, struct error *e)
{
        const struct common_options *o = options;
        CLEANUP(cleanup_mete_client_free) struct mete_client *c = NULL;
        Mete__Api__Response *response = NULL;
        _cleanup_free_ char *id = NULL;
        int r = query_client(o, &c, e);

        if (r >= 0)
                r = find_agent(c, argv[0], &id, e);
        if (r >= 0)
                r = mark_gone(c, id, &response, e);
        if (r < 0)
                return r;
        if (o->json)
                json_print(json_of_messages((ProtobufCMessage *const *)response->agents, response->n_agents),
                        /* compact= */ false, stdout);
        else
                printf("%s: gone\n", id);
        message_free(response);
        return VERB_EXIT_OK;
}

static const char *const examples[] = {
        "mete gone 3f0c5f0e-5f0f-4f57-9d32-6d2a9a8f1c3e-S2",
        "end what runs on this agent and never let it register again",
        NULL,
};

const struct verb verb_gone = {
        .name = "gone",
        .parser =
                {
                        .program = "mete gone",
                        .synopsis = "[options] AGENT",
                        .summary = "say that an agent never comes back: its tasks are over",
                        .rows = rows,
                        .count = ELEMENTSOF(rows),
                },
        .options_size = sizeof(struct common_options),
        .min_arguments = 1,
        .max_arguments = 1,
        .examples = examples,
        .run = run,
};
