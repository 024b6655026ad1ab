/* `mete quota`, `mete quota get`, `mete quota set`. */
#include <stdlib.h>

#include "lib/net/codec.h"
#include "tools/mete/all_verbs.h"
#include "tools/mete/amounts.h"
#include "tools/mete/json.h"
#include "tools/mete/query.h"
#include "tools/mete/roles_table.h"

struct quota_options {
        struct common_options common;
        bool force;
};

static const struct option_row rows[] = {OPTION_ROW_MASTER, OPTION_ROW_JSON};

static const struct option_row set_rows[] = {
        {"force", 0, OPTION_BOOL, offsetof(struct quota_options, force), NULL,
                "also guarantees above what the cluster has, and limits below what is in use", 0, "How"},
        OPTION_ROW_MASTER,
        OPTION_ROW_JSON,
};

static void print_answer(
        const struct common_options *o, const Mete__Api__Response *response, const char *nothing)
{
        size_t quotas = 0;

        for (size_t i = 0; i < response->n_roles; i++)
                quotas += response->roles[i]->n_quotas;
        if (o->json)
                json_print(json_of_messages((ProtobufCMessage *const *)response->roles, response->n_roles),
                        /* compact= */ false, stdout);
        else if (quotas == 0)
                printf("%s\n", nothing);
        else
                roles_print_quotas(response->roles, response->n_roles, stdout);
        (void)fflush(stdout);
        if (o->json)
                return;
        /* What is to be known of a change is told of the role, which has it from then on. */
        roles_warn(response->roles, response->n_roles);
        if (response->n_roles == 0 || response->roles[0]->n_warnings == 0)
                text_warn(response->warnings, response->n_warnings);
}

static int run_get(void *options, int argc, char **argv, struct error *e)
{
        const struct common_options *o = options;
        _cleanup_free_ char *nothing =
                argc > 0 ? xasprintf("%s: there is no quota", argv[0])
                         : xstrdup("No role has a quota. `mete quota set ROLE cpus=2:4` gives one.");
        Mete__Api__Response *response = NULL;
        int r = query_roles(o, argc > 0 ? argv[0] : NULL, &response, e);

        if (r < 0)
                return r;
        print_answer(o, response, nothing);
        message_free(response);
        return VERB_EXIT_OK;
}

/* "none" alone takes the quota away: an empty list would be too easily given by mistake. */
static int parse_quotas(int argc, char **argv, Mete__Api__Call__SetQuota *set, struct error *e)
{
        if (argc == 1 && str_equal(argv[0], "none"))
                return 0;
        set->quotas = xcalloc((size_t)argc, sizeof(*set->quotas));
        for (int i = 0; i < argc; i++) {
                int r = quota_parse(argv[i], &set->quotas[i], e);

                if (r < 0)
                        return r;
                set->n_quotas++;
                for (int j = 0; j < i; j++)
                        if (str_equal(set->quotas[i]->resource, set->quotas[j]->resource))
                                return error_set(e, -EINVAL, "'%s': %s is given twice", argv[i],
                                        set->quotas[i]->resource);
        }
        return 0;
}

static int run_set(void *options, int argc, char **argv, struct error *e)
{
        const struct quota_options *o = options;
        Mete__Api__Call call = METE__API__CALL__INIT;
        Mete__Api__Call__SetQuota set = METE__API__CALL__SET_QUOTA__INIT;
        _cleanup_free_ char *nothing = xasprintf("%s: no quota any more", argv[0]);
        Mete__Api__Response *response = NULL;
        int r;

        set.role = argv[0];
        set.has_force = set.force = o->force;
        call.type = METE__API__CALL__TYPE__SET_QUOTA;
        call.set_quota = &set;
        r = parse_quotas(argc - 1, argv + 1, &set, e);
        if (r < 0)
                r = VERB_USAGE;
        else
                r = query_once(&o->common, &call, &response, e);
        if (r >= 0)
                print_answer(&o->common, response, nothing);
        for (size_t i = 0; i < set.n_quotas; i++)
                message_free(set.quotas[i]);
        free(set.quotas);
        message_free(response);
        return r;
}

static const char *const examples[] = {
        "mete quota set dev cpus=2:4 mem=4G:8G",
        "2 cores and 4 GiB are kept for role dev, and it never has more than 4 cores and 8 GiB",
        "mete quota set dev cpus=:4",
        "a limit alone",
        "mete quota set dev none",
        "no quota any more",
        NULL,
};

static const struct verb quota_get = {
        .name = "get",
        .parser =
                {
                        .program = "mete quota get",
                        .synopsis = "[options] [ROLE]",
                        .summary = "what roles are guaranteed and allowed, and what counts against it",
                        .rows = rows,
                        .count = ELEMENTSOF(rows),
                },
        .options_size = sizeof(struct common_options),
        .max_arguments = 1,
        .run = run_get,
};

static const struct verb quota_set = {
        .name = "set",
        .parser =
                {
                        .program = "mete quota set",
                        .synopsis = "[options] ROLE RESOURCE=GUARANTEE[:LIMIT]... | ROLE none",
                        .summary = "replace a role's quota",
                        .details = "A guarantee is kept free for the role while it does not use it; a limit "
                                   "is never passed. Both hold for "
                                   "the\nrole with all roles below it. What is not named has neither.\n",
                        .rows = set_rows,
                        .count = ELEMENTSOF(set_rows),
                },
        .options_size = sizeof(struct quota_options),
        .min_arguments = 2,
        .max_arguments = -1,
        .examples = examples,
        .run = run_set,
};

static const struct verb *const below[] = {&quota_get, &quota_set, NULL};

const struct verb verb_quota = {
        .name = "quota",
        .parser =
                {
                        .program = "mete quota",
                        .synopsis = "[options] | get [ROLE] | set ROLE RESOURCE=GUARANTEE[:LIMIT]...",
                        .summary = "what roles are guaranteed and allowed",
                        .rows = rows,
                        .count = ELEMENTSOF(rows),
                },
        .options_size = sizeof(struct common_options),
        .examples = examples,
        .run = run_get,
        .below = below,
};
