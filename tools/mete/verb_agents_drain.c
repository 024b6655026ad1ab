/* `mete agents drain`, `deactivate` and `reactivate`. */
#include "tools/mete/agent_verbs.h"
#include "tools/mete/each_word.h"
#include "tools/mete/json.h"

struct drain_options {
        struct common_options common;
        uint64_t grace_ns;
        bool mark_gone;
};

static const struct option_row drain_rows[] = {
        {"grace", 'g', OPTION_DURATION, offsetof(struct drain_options, grace_ns), "DURATION",
                "most time for a task between SIGTERM and SIGKILL (default: each task's own)",
                365 * 86400 * NSEC_PER_SEC, "How"},
        {"mark-gone", 0, OPTION_BOOL, offsetof(struct drain_options, mark_gone), NULL,
                "when it is empty, say that it never comes back", 0, NULL},
        OPTION_ROW_MASTER,
        OPTION_ROW_JSON,
};

static const struct option_row rows[] = {OPTION_ROW_MASTER, OPTION_ROW_JSON};

static void drain_defaults(void *options)
{
        ((struct drain_options *)options)->grace_ns = UINT64_MAX;
}

static int drain_one(struct mete_client *c, const void *options, const char *agent, Mete__Api__Response **ret,
        struct error *e)
{
        const struct drain_options *o = options;
        Mete__Api__Call call = METE__API__CALL__INIT;
        Mete__Api__Call__DrainAgent drain = METE__API__CALL__DRAIN_AGENT__INIT;

        drain.agent_id = (char *)agent;
        drain.has_mark_gone = drain.mark_gone = o->mark_gone;
        if (o->grace_ns != UINT64_MAX) {
                drain.has_max_grace_seconds = true;
                drain.max_grace_seconds = (double)o->grace_ns / (double)NSEC_PER_SEC;
        }
        call.type = METE__API__CALL__TYPE__DRAIN_AGENT;
        call.drain_agent = &drain;
        return mete_client_call(c, &call, 0, ret, e);
}

static int deactivate_one(struct mete_client *c, const void *options, const char *agent,
        Mete__Api__Response **ret, struct error *e)
{
        Mete__Api__Call call = METE__API__CALL__INIT;
        Mete__Api__Call__DeactivateAgent deactivate = METE__API__CALL__DEACTIVATE_AGENT__INIT;

        deactivate.agent_id = (char *)agent;
        call.type = METE__API__CALL__TYPE__DEACTIVATE_AGENT;
        call.deactivate_agent = &deactivate;
        return mete_client_call(c, &call, 0, ret, e);
}

static int reactivate_one(struct mete_client *c, const void *options, const char *agent,
        Mete__Api__Response **ret, struct error *e)
{
        Mete__Api__Call call = METE__API__CALL__INIT;
        Mete__Api__Call__ReactivateAgent reactivate = METE__API__CALL__REACTIVATE_AGENT__INIT;

        reactivate.agent_id = (char *)agent;
        call.type = METE__API__CALL__TYPE__REACTIVATE_AGENT;
        call.reactivate_agent = &reactivate;
        return mete_client_call(c, &call, 0, ret, e);
}

static void print_one(const void *options, const char *word, const Mete__Api__Response *response)
{
        const Mete__Api__Agent *a = response->n_agents > 0 ? response->agents[0] : NULL;

        if (a && a->tasks_running > 0)
                printf("%s: %s, %u tasks run there\n", word, agent_condition(a), a->tasks_running);
        else
                printf("%s: %s\n", word, a ? agent_condition(a) : "done");
}

static json_t *json_of_agent(const Mete__Api__Response *response)
{
        return response->n_agents > 0 ? json_of_message(&response->agents[0]->base) : json_object();
}

static int run_drain(void *options, int argc, char **argv, struct error *e)
{
        static const struct each_word draining = {drain_one, print_one, json_of_agent};

        return each_word(&draining, options, argc, argv, e);
}

static int run_deactivate(void *options, int argc, char **argv, struct error *e)
{
        static const struct each_word deactivating = {deactivate_one, print_one, json_of_agent};

        return each_word(&deactivating, options, argc, argv, e);
}

static int run_reactivate(void *options, int argc, char **argv, struct error *e)
{
        static const struct each_word reactivating = {reactivate_one, print_one, json_of_agent};

        return each_word(&reactivating, options, argc, argv, e);
}

static const char *const drain_examples[] = {
        "mete agents drain h1 h2",
        "empty two machines before they are opened; `mete agents` shows when they are drained",
        "mete agents drain --mark-gone 3f0c5f0e-5f0f-4f57-9d32-6d2a9a8f1c3e-S2",
        "empty an agent for good",
        NULL,
};

const struct verb verb_agents_drain = {
        .name = "drain",
        .parser =
                {
                        .program = "mete agents drain",
                        .synopsis = "[options] AGENT...",
                        .summary =
                                "place nothing new there, and end what runs there so that it runs elsewhere",
                        .details = "AGENT is an id, or a host name that only one agent has. It stays so over "
                                   "restarts, until `mete agents reactivate`.\n",
                        .rows = drain_rows,
                        .count = ELEMENTSOF(drain_rows),
                },
        .options_size = sizeof(struct drain_options),
        .defaults = drain_defaults,
        .min_arguments = 1,
        .max_arguments = -1,
        .examples = drain_examples,
        .run = run_drain,
};

const struct verb verb_agents_deactivate = {
        .name = "deactivate",
        .parser =
                {
                        .program = "mete agents deactivate",
                        .synopsis = "[options] AGENT...",
                        .summary = "place nothing new there; what runs there goes on",
                        .rows = rows,
                        .count = ELEMENTSOF(rows),
                },
        .options_size = sizeof(struct common_options),
        .min_arguments = 1,
        .max_arguments = -1,
        .run = run_deactivate,
};

const struct verb verb_agents_reactivate = {
        .name = "reactivate",
        .parser =
                {
                        .program = "mete agents reactivate",
                        .synopsis = "[options] AGENT...",
                        .summary = "use agents again that were drained or deactivated",
                        .rows = rows,
                        .count = ELEMENTSOF(rows),
                },
        .options_size = sizeof(struct common_options),
        .min_arguments = 1,
        .max_arguments = -1,
        .run = run_reactivate,
};
