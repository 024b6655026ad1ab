/* `mete reserve` and `mete unreserve`. */
#include <stdlib.h>

#include "lib/net/codec.h"
#include "tools/mete/all_verbs.h"
#include "tools/mete/amounts.h"
#include "tools/mete/json.h"
#include "tools/mete/query.h"

static const struct option_row rows[] = {OPTION_ROW_MASTER, OPTION_ROW_JSON};

/* The role that something is reserved for is that of the last refinement. */
static const char *role_of(const Mete__V1__Resource *r)
{
        if (r->n_reservations > 0)
                return r->reservations[r->n_reservations - 1]->role;
        return r->role && !str_equal(r->role, "*") ? r->role : NULL;
}

/* "cpus 2, mem 4 GiB": what of the agent is reserved for the role. The caller frees. */
static char *reserved_text(const Mete__Api__Agent *a, const char *role)
{
        _cleanup_buffer_ struct buffer b = {0};
        char text[TEXT_MAX];

        for (size_t i = 0; i < a->n_resources; i++) {
                const Mete__V1__Resource *r = a->resources[i];

                if (!r->scalar || !str_equal(role_of(r), role))
                        continue;
                buffer_printf(&b, "%s%s %s", b.len ? ", " : "", r->name,
                        amount_text(r->name, r->scalar->value, text));
                if (r->disk && r->disk->persistence)
                        buffer_printf(&b, " (volume %s)", r->disk->persistence->id);
        }
        return b.len ? buffer_take(&b) : xstrdup("nothing");
}

static int parse_amounts(int argc, char **argv, Mete__Api__Call__Reserve *reserve, struct error *e)
{
        reserve->amounts = xcalloc((size_t)argc, sizeof(*reserve->amounts));
        for (int i = 0; i < argc; i++) {
                if (amount_parse(argv[i], &reserve->amounts[i], e) < 0)
                        return -EINVAL;
                reserve->n_amounts++;
        }
        return 0;
}

static void print_answer(const struct common_options *o, const Mete__Api__Call__Reserve *asked,
        const Mete__Api__Response *response)
{
        const Mete__Api__Agent *a = response->n_agents > 0 ? response->agents[0] : NULL;
        _cleanup_free_ char *reserved = a ? reserved_text(a, asked->role) : NULL;

        if (o->json)
                json_print(a ? json_of_message(&a->base) : json_object(), /* compact= */ false, stdout);
        else if (a)
                printf("%s: reserved for %s: %s\n", a->hostname ? a->hostname : a->agent_id, asked->role,
                        reserved);
        (void)fflush(stdout);
        if (!o->json)
                text_warn(response->warnings, response->n_warnings);
}

static int reserve_or_not(
        const struct common_options *o, int argc, char **argv, bool unreserve, struct error *e)
{
        Mete__Api__Call call = METE__API__CALL__INIT;
        Mete__Api__Call__Reserve reserve = METE__API__CALL__RESERVE__INIT;
        Mete__Api__Response *response = NULL;
        int r;

        reserve.agent_id = argv[0];
        reserve.role = argv[1];
        call.type = unreserve ? METE__API__CALL__TYPE__UNRESERVE : METE__API__CALL__TYPE__RESERVE;
        if (unreserve)
                call.unreserve = &reserve;
        else
                call.reserve = &reserve;
        r = parse_amounts(argc - 2, argv + 2, &reserve, e);
        if (r < 0)
                r = VERB_USAGE;
        else
                r = query_once(o, &call, &response, e);
        if (r >= 0)
                print_answer(o, &reserve, response);
        for (size_t i = 0; i < reserve.n_amounts; i++)
                message_free(reserve.amounts[i]);
        free(reserve.amounts);
        message_free(response);
        return r;
}

static int run_reserve(void *options, int argc, char **argv, struct error *e)
{
        return reserve_or_not(options, argc, argv, /* unreserve= */ false, e);
}

static int run_unreserve(void *options, int argc, char **argv, struct error *e)
{
        return reserve_or_not(options, argc, argv, /* unreserve= */ true, e);
}

static const char *const reserve_examples[] = {
        "mete reserve h1 dev cpus=2 mem=4G",
        "2 cores and 4 GiB of what is free on h1 go to frameworks of role dev alone",
        "mete reserve h1 dev/test cpus=1",
        "of what is reserved for dev, one core for dev/test",
        NULL,
};

const struct verb verb_reserve = {
        .name = "reserve",
        .parser =
                {
                        .program = "mete reserve",
                        .synopsis = "[options] AGENT ROLE RESOURCE=AMOUNT...",
                        .summary = "keep resources of an agent for a role",
                        .details = "AGENT is an id, or a host name that only one agent has. Offers of what "
                                   "is to be reserved are taken "
                                   "back; what\ntasks use stays theirs.\n",
                        .rows = rows,
                        .count = ELEMENTSOF(rows),
                },
        .options_size = sizeof(struct common_options),
        .min_arguments = 3,
        .max_arguments = -1,
        .examples = reserve_examples,
        .run = run_reserve,
};

static const char *const unreserve_examples[] = {
        "mete unreserve h1 dev cpus=2",
        "2 cores that were reserved for dev are everybody's",
        NULL,
};

const struct verb verb_unreserve = {
        .name = "unreserve",
        .parser =
                {
                        .program = "mete unreserve",
                        .synopsis = "[options] AGENT ROLE RESOURCE=AMOUNT...",
                        .summary = "give up what an agent keeps for a role",
                        .details = "What is free of it becomes what it was before the last reservation: "
                                   "everybody's, or the role's above.\n",
                        .rows = rows,
                        .count = ELEMENTSOF(rows),
                },
        .options_size = sizeof(struct common_options),
        .min_arguments = 3,
        .max_arguments = -1,
        .examples = unreserve_examples,
        .run = run_unreserve,
};
