#include "lib/net/codec.h"
#include "tools/mete/all_verbs.h"
#include "tools/mete/json.h"
#include "tools/mete/query.h"
#include "tools/mete/roles_table.h"

static const struct option_row rows[] = {OPTION_ROW_MASTER, OPTION_ROW_JSON};

static int run(void *options, int argc, char **argv, struct error *e)
{
        const struct common_options *o = options;
        Mete__Api__Response *response = NULL;
        int r = query_roles(o, argc > 0 ? argv[0] : NULL, &response, e);

        if (r < 0)
                return r;
        if (o->json)
                json_print(json_of_messages((ProtobufCMessage *const *)response->roles, response->n_roles),
                        /* compact= */ false, stdout);
        else
                roles_print(response->roles, response->n_roles, stdout);
        (void)fflush(stdout);
        if (!o->json)
                roles_warn(response->roles, response->n_roles);
        message_free(response);
        return VERB_EXIT_OK;
}

static const char *const examples[] = {
        "mete roles",
        "who has what of the cluster, and what is promised",
        NULL,
};

const struct verb verb_roles = {
        .name = "roles",
        .parser =
                {
                        .program = "mete roles",
                        .synopsis = "[options] [ROLE]",
                        .summary = "who has what: shares, weights, quotas and reservations of each role",
                        .details = "SHARE is the largest part of a resource of the cluster that the role "
                                   "has, divided by its weight: who "
                                   "has\nthe smallest is offered resources first. USED is what frameworks "
                                   "hold, RESERVED what nobody else "
                                   "gets. A\nrole's figures count those of the roles below it.\n",
                        .rows = rows,
                        .count = ELEMENTSOF(rows),
                },
        .options_size = sizeof(struct common_options),
        .max_arguments = 1,
        .examples = examples,
        .run = run,
};
