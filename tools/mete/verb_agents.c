#include "lib/net/codec.h"
#include "tools/mete/agent_verbs.h"
#include "tools/mete/all_verbs.h"
#include "tools/mete/json.h"
#include "tools/mete/query.h"
#include "tools/mete/text.h"

static const struct option_row rows[] = {OPTION_ROW_MASTER, OPTION_ROW_JSON};

static const struct column columns[] = {
        {"AGENT", COLUMN_LEFT},
        {"STATE", COLUMN_LEFT},
        {"HOST", COLUMN_LEFT},
        {"ADDRESS", COLUMN_LEFT},
        {"TASKS", COLUMN_RIGHT},
        {"CPUS", COLUMN_RIGHT},
        {"MEMORY", COLUMN_RIGHT},
        {"CGROUPS", COLUMN_LEFT},
        {"MEASURED BY", COLUMN_LEFT},
};

const char *agent_condition(const Mete__Api__Agent *a)
{
        if (a->state != METE__API__AGENT__STATE__AGENT_ACTIVE)
                return text_agent_state(a->state);
        if (a->drain)
                return a->drain->state == METE__API__AGENT__DRAIN__STATE__DRAINED ? "drained" : "draining";
        return a->deactivated ? "deactivated" : text_agent_state(a->state);
}

static void print_row(struct table *t, const Mete__Api__Agent *a)
{
        char used[TEXT_MAX], total[TEXT_MAX];

        table_cell(t, a->agent_id);
        table_cell(t, agent_condition(a));
        table_cell(t, a->hostname);
        table_cell(t, a->address);
        table_cellf(t, "%u", a->tasks_running);
        table_cellf(t, "%s/%s", text_cores(a->cpus_used, used), text_cores(a->cpus_total, total));
        table_cellf(
                t, "%s / %s", text_size(a->memory_used_bytes, used), text_size(a->memory_total_bytes, total));
        table_cell(t, a->cgroup_layout);
        table_cell(t, a->measurement);
}

static int run(void *options, int argc, char **argv, struct error *e)
{
        const struct common_options *o = options;
        CLEANUP(cleanup_mete_client_free) struct mete_client *c = NULL;
        CLEANUP(cleanup_table_free) struct table *t = table_new(columns, ELEMENTSOF(columns));
        Mete__Api__Response *response = NULL;
        int r;

        r = query_client(o, &c, e);
        if (r == 0)
                r = query_agents(c, &response, e);
        if (r < 0)
                return r;
        for (size_t i = 0; i < response->n_agents; i++)
                print_row(t, response->agents[i]);
        if (o->json)
                json_print(json_of_messages((ProtobufCMessage *const *)response->agents, response->n_agents),
                        /* compact= */ false, stdout);
        else if (response->n_agents == 0)
                printf("No agent has registered with the master at %s.\n", mete_client_master(c));
        else
                table_print(t, stdout);
        message_free(response);
        return VERB_EXIT_OK;
}

static const char *const examples[] = {
        "mete agents",
        "every machine: what it has, and what is booked on it",
        "mete agents drain --grace 5m h1",
        "nothing new goes to h1, and what runs there is killed within 5 minutes and runs elsewhere",
        "mete agents reactivate h1",
        "h1 is as before",
        NULL,
};

static const struct verb *const below[] = {
        &verb_agents_drain, &verb_agents_deactivate, &verb_agents_reactivate, NULL};

const struct verb verb_agents = {
        .name = "agents",
        .parser =
                {
                        .program = "mete agents",
                        .synopsis = "[options] | drain|deactivate|reactivate AGENT...",
                        .summary = "machines, what they have and what is booked on them",
                        .rows = rows,
                        .count = ELEMENTSOF(rows),
                },
        .options_size = sizeof(struct common_options),
        .examples = examples,
        .run = run,
        .below = below,
};
