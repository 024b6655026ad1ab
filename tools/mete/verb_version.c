#include "lib/net/codec.h"
#include "tools/mete/all_verbs.h"
#include "tools/mete/json.h"
#include "tools/mete/query.h"

static const struct option_row rows[] = {OPTION_ROW_MASTER, OPTION_ROW_JSON};

static void print_text(const struct mete_client *c, const Mete__Api__Response *master,
        const Mete__Api__Response *agents, const struct error *why)
{
        printf("mete    %s\n", METE_VERSION);
        if (master && master->version)
                printf("master  %s  at %s, epoch %llu\n", master->version->version, mete_client_master(c),
                        (unsigned long long)master->version->epoch);
        else
                printf("master  -  %s\n", error_message(why));
        for (size_t i = 0; agents && i < agents->n_agents; i++)
                printf("agent   %s  at %s\n", agents->agents[i]->version ? agents->agents[i]->version : "-",
                        agents->agents[i]->address ? agents->agents[i]->address
                                                   : agents->agents[i]->agent_id);
}

static void print_json(const Mete__Api__Response *master, const Mete__Api__Response *agents)
{
        json_t *document = json_object();

        json_object_set_new(document, "version", json_string(METE_VERSION));
        json_object_set_new(document, "master",
                master && master->version ? json_of_message(&master->version->base) : json_null());
        json_object_set_new(document, "agents",
                agents ? json_of_messages((ProtobufCMessage *const *)agents->agents, agents->n_agents)
                       : json_array());
        json_print(document, /* compact= */ false, stdout);
}

/* A missing master is no failure here: the client's own version is the answer then. */
static int run(void *options, int argc, char **argv, struct error *e)
{
        const struct common_options *o = options;
        CLEANUP(cleanup_mete_client_free) struct mete_client *c = NULL;
        _cleanup_error_ struct error why = {0};
        Mete__Api__Response *master = NULL, *agents = NULL;
        int r;

        r = query_client(o, &c, e);
        if (r < 0)
                return r;
        if (query_version(c, &master, &why) == 0 && query_agents(c, &agents, &why) < 0)
                fprintf(stderr, "mete: %s\n", error_message(&why));
        if (o->json)
                print_json(master, agents);
        else
                print_text(c, master, agents, &why);
        message_free(master);
        message_free(agents);
        return VERB_EXIT_OK;
}

const struct verb verb_version = {
        .name = "version",
        .group = "This program",
        .parser =
                {
                        .program = "mete version",
                        .synopsis = "[options]",
                        .summary = "versions of this program, the master and the agents",
                        .rows = rows,
                        .count = ELEMENTSOF(rows),
                },
        .options_size = sizeof(struct common_options),
        .run = run,
};
