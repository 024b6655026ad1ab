#include <string.h>

#include "lib/net/codec.h"
#include "tools/mete/all_verbs.h"
#include "tools/mete/each_word.h"
#include "tools/mete/json.h"
#include "tools/mete/query.h"
#include "tools/mete/text.h"

static const struct option_row rows[] = {OPTION_ROW_MASTER, OPTION_ROW_JSON};

static const struct column columns[] = {
        {"ROLE", COLUMN_LEFT}, {"WEIGHT", COLUMN_RIGHT}, {"SHARE", COLUMN_RIGHT}};

static int show(const struct common_options *o, struct error *e)
{
        CLEANUP(cleanup_table_free) struct table *t = table_new(columns, ELEMENTSOF(columns));
        Mete__Api__Response *response = NULL;
        char text[TEXT_MAX];
        int r = query_roles(o, NULL, &response, e);

        if (r < 0)
                return r;
        for (size_t i = 0; i < response->n_roles; i++) {
                const Mete__Api__Role *role = response->roles[i];

                table_cell(t, role->name);
                table_cell(t, text_cores(role->weight, text));
                table_cellf(t, "%.1f%%", role->share * 100);
        }
        if (o->json)
                json_print(json_of_messages((ProtobufCMessage *const *)response->roles, response->n_roles),
                        /* compact= */ false, stdout);
        else
                table_print(t, stdout);
        message_free(response);
        return VERB_EXIT_OK;
}

#define WEIGHT_MAX_MILLI UINT64_C(1000000000) /* as the master has it */

/* "ROLE=WEIGHT": the role is the caller's to free. */
static int parse_weight(const char *word, char **ret_role, double *ret_weight, struct error *e)
{
        const char *equals = strrchr(word, '=');
        uint64_t milli;

        if (!equals || equals == word || parse_milli(equals + 1, WEIGHT_MAX_MILLI, &milli) < 0 || milli == 0)
                return error_set(e, -EINVAL,
                        "'%s': expected ROLE=WEIGHT, a number from 0.001 to %.0f with at most three "
                        "decimals, "
                        "such as dev=2.5",
                        word, WEIGHT_MAX_MILLI / 1e3);
        *ret_role = xstrndup(word, (size_t)(equals - word));
        *ret_weight = (double)milli / 1000;
        return 0;
}

static int set_one(struct mete_client *c, const void *options, const char *word, Mete__Api__Response **ret,
        struct error *e)
{
        Mete__Api__Call call = METE__API__CALL__INIT;
        Mete__Api__Call__SetWeight set = METE__API__CALL__SET_WEIGHT__INIT;
        _cleanup_free_ char *role = NULL;
        int r = parse_weight(word, &role, &set.weight, e);

        if (r < 0)
                return r;
        set.role = role;
        call.type = METE__API__CALL__TYPE__SET_WEIGHT;
        call.set_weight = &set;
        return mete_client_call(c, &call, 0, ret, e);
}

static void print_one(const void *options, const char *word, const Mete__Api__Response *response)
{
        char text[TEXT_MAX];

        if (response->n_roles > 0)
                printf("%s: weight %s\n", response->roles[0]->name,
                        text_cores(response->roles[0]->weight, text));
        else
                printf("%s\n", word);
}

static json_t *json_of_role(const Mete__Api__Response *response)
{
        return response->n_roles > 0 ? json_of_message(&response->roles[0]->base) : json_object();
}

static int run(void *options, int argc, char **argv, struct error *e)
{
        static const struct each_word setting = {set_one, print_one, json_of_role};

        if (argc == 0)
                return show(options, e);
        /* All are looked at before the first is set. */
        for (int i = 0; i < argc; i++) {
                _cleanup_free_ char *role = NULL;
                double weight;

                if (parse_weight(argv[i], &role, &weight, e) < 0)
                        return VERB_USAGE;
        }
        return each_word(&setting, options, argc, argv, e);
}

static const char *const examples[] = {
        "mete weights dev=2 batch=0.5",
        "where both want all they can get, dev has four times what batch has",
        NULL,
};

const struct verb verb_weights = {
        .name = "weights",
        .parser =
                {
                        .program = "mete weights",
                        .synopsis = "[options] [ROLE=WEIGHT...]",
                        .summary = "how shares are divided between roles, or set it",
                        .rows = rows,
                        .count = ELEMENTSOF(rows),
                },
        .options_size = sizeof(struct common_options),
        .max_arguments = -1,
        .examples = examples,
        .run = run,
};
