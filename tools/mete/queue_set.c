#include "tools/mete/queue_set.h"

#include <stdlib.h>

#include "lib/net/codec.h"
#include "tools/mete/json.h"
#include "tools/mete/query.h"
#include "tools/mete/text.h"

struct set_options {
        struct common_options common;
        char *role, *policy, *preemption;
        uint64_t ageing_ns, grace_ns, min_gain_ns, half_life_ns;
        uint64_t preemptions_max, backfill_max;
};

#define UNSET UINT64_MAX
#define ROW(name, type, field, value, help, max, group)                                                      \
        {                                                                                                    \
                name, 0, type, offsetof(struct set_options, field), value, help, max, group                  \
        }

static const struct option_row set_rows[] = {
        ROW("policy", OPTION_STRING, policy, "fifo|sjf|srtf|priority|fair",
                "which job goes first: the earliest, the shortest, the one with least left, the highest, the "
                "user with least usage "
                "(default: fifo)",
                0, "Order"),
        ROW("ageing", OPTION_DURATION, ageing_ns, "DURATION",
                "who waits longer goes before all others; 0: nobody (default: 1d)", 0, NULL),
        ROW("backfill", OPTION_U64, backfill_max, "N",
                "how many jobs behind the first are tried where it is not delayed; 0: none (default: 1000)",
                UINT32_MAX, NULL),
        ROW("half-life", OPTION_DURATION, half_life_ns, "DURATION",
                "after which usage counts half, with fair (default: 1d)", 0, NULL),
        ROW("preemption", OPTION_STRING, preemption, "none|suspend|requeue",
                "what running tasks may suffer for a job that goes before them by priority or srtf (default: "
                "none)",
                0, "Preemption"),
        ROW("grace", OPTION_DURATION, grace_ns, "DURATION", "not before a task ran so long (default: 30s)", 0,
                NULL),
        ROW("min-gain", OPTION_DURATION, min_gain_ns, "DURATION", "not for less (default: 10s)", 0, NULL),
        ROW("preemptions", OPTION_U64, preemptions_max, "N", "not more often, of one task (default: 5)",
                UINT32_MAX, NULL),
        ROW("role", OPTION_STRING, role, "ROLE",
                "of which it takes resources, one queue a role (default: the queue's name; * for the queue "
                "default)",
                0, "Resources"),
        OPTION_ROW_MASTER,
        OPTION_ROW_JSON,
};

static const struct option_row rows[] = {OPTION_ROW_MASTER, OPTION_ROW_JSON};

static void defaults(void *options)
{
        struct set_options *o = options;

        o->ageing_ns = o->grace_ns = o->min_gain_ns = o->half_life_ns = UNSET;
        o->preemptions_max = o->backfill_max = UNSET;
}

static void set_string(const char *given, char **field)
{
        if (!given)
                return;
        free(*field);
        *field = xstrdup(given);
}

static void set_seconds(uint64_t ns, protobuf_c_boolean *has, double *seconds)
{
        if (ns == UNSET)
                return;
        *has = true;
        *seconds = (double)ns / (double)NSEC_PER_SEC;
}

static void set_u32(uint64_t value, protobuf_c_boolean *has, uint32_t *number)
{
        if (value == UNSET)
                return;
        *has = true;
        *number = (uint32_t)value;
}

static void apply(const struct set_options *o, Mete__Api__Queue *q)
{
        set_string(o->role, &q->role);
        set_string(o->policy, &q->policy);
        set_string(o->preemption, &q->preemption);
        set_seconds(o->ageing_ns, &q->has_ageing_seconds, &q->ageing_seconds);
        set_seconds(o->grace_ns, &q->has_grace_seconds, &q->grace_seconds);
        set_seconds(o->min_gain_ns, &q->has_min_gain_seconds, &q->min_gain_seconds);
        set_seconds(o->half_life_ns, &q->has_fair_half_life_seconds, &q->fair_half_life_seconds);
        set_u32(o->preemptions_max, &q->has_preemptions_max, &q->preemptions_max);
        set_u32(o->backfill_max, &q->has_backfill_max, &q->backfill_max);
}

/* The call replaces all of it: what is not given stays as it is. A new queue when there is none of this name; the caller frees. */
static int current(struct mete_client *c, const char *name, Mete__Api__Queue **ret, struct error *e)
{
        Mete__Api__Call call = METE__API__CALL__INIT;
        Mete__Api__Response *response = NULL;
        Mete__Api__Queue *found = NULL;
        int r;

        call.type = METE__API__CALL__TYPE__LIST_QUEUES;
        r = mete_client_call(c, &call, 0, &response, e);
        if (r < 0)
                return r;
        for (size_t i = 0; i < response->n_queues && !found; i++)
                if (str_equal(response->queues[i]->name, name))
                        found = message_copy(response->queues[i]);
        message_free(response);
        if (!found) {
                found = NEW0(Mete__Api__Queue);
                mete__api__queue__init(found);
                found->name = xstrdup(name);
        }
        *ret = found;
        return 0;
}

static int send_queue(struct mete_client *c, Mete__Api__Queue *q, Mete__Api__Response **ret, struct error *e)
{
        Mete__Api__Call call = METE__API__CALL__INIT;
        Mete__Api__Call__SetQueue set = METE__API__CALL__SET_QUEUE__INIT;

        set.queue = q;
        call.type = METE__API__CALL__TYPE__SET_QUEUE;
        call.set_queue = &set;
        return mete_client_call(c, &call, 0, ret, e);
}

static int run_set(void *options, int argc, char **argv, struct error *e)
{
        const struct set_options *o = options;
        CLEANUP(cleanup_mete_client_free) struct mete_client *c = NULL;
        Mete__Api__Response *response = NULL;
        Mete__Api__Queue *q = NULL;
        int r = query_client(&o->common, &c, e);

        if (r == 0)
                r = current(c, argv[0], &q, e);
        if (r == 0) {
                apply(o, q);
                r = send_queue(c, q, &response, e);
        }
        message_free(q);
        if (r < 0)
                return r;
        if (o->common.json)
                json_print(response->n_queues ? json_of_message(&response->queues[0]->base) : json_object(),
                        /* compact= */ false, stdout);
        else if (response->n_queues)
                printf("%s: role %s, policy %s, preemption %s\n", response->queues[0]->name,
                        response->queues[0]->role ? response->queues[0]->role : "-",
                        response->queues[0]->policy ? response->queues[0]->policy : "fifo",
                        response->queues[0]->preemption ? response->queues[0]->preemption : "none");
        text_warn(response->warnings, response->n_warnings);
        message_free(response);
        return VERB_EXIT_OK;
}

static int run_remove(void *options, int argc, char **argv, struct error *e)
{
        const struct common_options *o = options;
        Mete__Api__Call call = METE__API__CALL__INIT;
        Mete__Api__Call__RemoveQueue remove_queue = METE__API__CALL__REMOVE_QUEUE__INIT;
        Mete__Api__Response *response = NULL;
        int r;

        remove_queue.name = argv[0];
        call.type = METE__API__CALL__TYPE__REMOVE_QUEUE;
        call.remove_queue = &remove_queue;
        r = query_once(o, &call, &response, e);
        if (r < 0)
                return r;
        if (o->json)
                json_print(json_of_messages((ProtobufCMessage *const *)response->queues, response->n_queues),
                        /* compact= */ false, stdout);
        else
                printf("%s: removed\n", argv[0]);
        message_free(response);
        return VERB_EXIT_OK;
}

static const char *const set_examples[] = {
        "mete queue set short --policy srtf --preemption suspend",
        "make a queue, or change it; what is not given stays as it is",
        "mete queue set default --policy fair --half-life 12h",
        "in the queue that is always there, users take turns by what they used lately",
        NULL,
};

const struct verb verb_queue_set = {
        .name = "set",
        .parser =
                {
                        .program = "mete queue set",
                        .synopsis = "[options] QUEUE",
                        .summary = "make a queue, or change how it orders its jobs",
                        .rows = set_rows,
                        .count = ELEMENTSOF(set_rows),
                },
        .options_size = sizeof(struct set_options),
        .defaults = defaults,
        .min_arguments = 1,
        .max_arguments = 1,
        .examples = set_examples,
        .run = run_set,
};

const struct verb verb_queue_remove = {
        .name = "remove",
        .parser =
                {
                        .program = "mete queue remove",
                        .synopsis = "[options] QUEUE",
                        .summary = "remove a queue that has no live jobs",
                        .rows = rows,
                        .count = ELEMENTSOF(rows),
                },
        .options_size = sizeof(struct common_options),
        .min_arguments = 1,
        .max_arguments = 1,
        .run = run_remove,
};
