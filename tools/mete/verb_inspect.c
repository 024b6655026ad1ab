#include <string.h>

#include "lib/net/codec.h"
#include "tools/mete/all_verbs.h"
#include "tools/mete/json.h"
#include "tools/mete/query.h"

static const struct option_row rows[] = {OPTION_ROW_MASTER, OPTION_ROW_JSON};

static int print_agent(struct mete_client *c, const char *id, struct error *e)
{
        Mete__Api__Response *response = NULL;
        int r;

        r = query_agents(c, &response, e);
        if (r < 0)
                return r;
        r = -ENOENT;
        for (size_t i = 0; i < response->n_agents && r < 0; i++) {
                const Mete__Api__Agent *a = response->agents[i];

                if (!str_equal(a->agent_id, id) && !str_equal(a->address, id) && !str_equal(a->hostname, id))
                        continue;
                json_print(json_of_message(&a->base), /* compact= */ false, stdout);
                r = 0;
        }
        message_free(response);
        return r;
}

static int print_task(struct mete_client *c, const char *id, struct error *e)
{
        Mete__Api__Response *response = NULL;
        int r;

        r = query_task(c, id, &response, e);
        if (r == 0)
                json_print(json_of_message(&response->task->base), /* compact= */ false, stdout);
        message_free(response);
        return r;
}

static int print_job(struct mete_client *c, const char *id, struct error *e)
{
        Mete__Api__Response *response = NULL;
        int r;

        r = query_job(c, id, &response, e);
        if (r == 0)
                json_print(json_of_message(&response->job->base), /* compact= */ false, stdout);
        message_free(response);
        return r;
}

/* Ids of the three kinds look different, but a job may also be found by a name that looks like any of them. */
static int run(void *options, int argc, char **argv, struct error *e)
{
        static int (*const printers[])(struct mete_client *, const char *, struct error *) = {
                print_task, print_job, print_agent};
        CLEANUP(cleanup_mete_client_free) struct mete_client *c = NULL;
        int r;

        r = query_client(options, &c, e);
        for (size_t i = 0; r == 0 && i < ELEMENTSOF(printers); i++) {
                _cleanup_error_ struct error why = {0};

                r = printers[i](c, argv[0], &why);
                if (r == 0)
                        return VERB_EXIT_OK;
                if (r != -ENOENT && r != -EINVAL)
                        return error_set(e, r, "%s", error_message(&why));
                r = 0;
        }
        if (r < 0)
                return r;
        return error_set(e, -ENOENT,
                "\"%s\" is no task, job or agent that the master at %s knows: see `mete ps -a`, `mete jobs "
                "-a`, `mete agents`",
                argv[0], mete_client_master(c));
}

const struct verb verb_inspect = {
        .name = "inspect",
        .parser =
                {
                        .program = "mete inspect",
                        .synopsis = "[options] TASK|JOB|AGENT",
                        .summary = "everything that is known of a task, a job or an agent, as JSON",
                        .rows = rows,
                        .count = ELEMENTSOF(rows),
                },
        .options_size = sizeof(struct common_options),
        .min_arguments = 1,
        .max_arguments = 1,
        .run = run,
};
