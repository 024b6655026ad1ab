/* `mete maintenance` and what is below it. */
#include <stdlib.h>

#include "lib/net/codec.h"
#include "tools/mete/all_verbs.h"
#include "tools/mete/json.h"
#include "tools/mete/query.h"
#include "tools/mete/text.h"

struct schedule_options {
        struct common_options common;
        char *start, *comment;
        uint64_t duration_ns;
        bool drain;
};

static const struct option_row rows[] = {OPTION_ROW_MASTER, OPTION_ROW_JSON};

static const struct option_row schedule_rows[] = {
        {"start", 's', OPTION_STRING, offsetof(struct schedule_options, start), "+DURATION|TIME",
                "when it begins: +2h, 2026-11-23T18:00 (default: now)", 0, "When"},
        {"duration", 0, OPTION_DURATION, offsetof(struct schedule_options, duration_ns), "DURATION",
                "how long it lasts (default: until it is cancelled)", 0, NULL},
        {"drain", 0, OPTION_BOOL, offsetof(struct schedule_options, drain), NULL,
                "when it begins, end what still runs there", 0, "How"},
        {"comment", 0, OPTION_STRING, offsetof(struct schedule_options, comment), "TEXT",
                "for those who ask why", 0, NULL},
        OPTION_ROW_MASTER,
        OPTION_ROW_JSON,
};

static const struct column columns[] = {
        {"WINDOW", COLUMN_LEFT},
        {"STARTS", COLUMN_LEFT},
        {"ENDS", COLUMN_LEFT},
        {"DRAINS", COLUMN_LEFT},
        {"AGENTS", COLUMN_LEFT},
        {"COMMENT", COLUMN_LEFT},
};

static void print_windows(const Mete__Api__Response *response, double now)
{
        CLEANUP(cleanup_table_free) struct table *t = table_new(columns, ELEMENTSOF(columns));
        char clock[TEXT_MAX], distance[TEXT_MAX];

        for (size_t i = 0; i < response->n_windows; i++) {
                const Mete__Api__Window *w = response->windows[i];
                _cleanup_buffer_ struct buffer agents = {0};

                for (size_t j = 0; j < w->n_agents; j++)
                        buffer_printf(&agents, "%s%s", j ? ", " : "", w->agents[j]);
                table_cell(t, w->id);
                table_cellf(t, "%s (%s)", text_time(w->start, now, clock),
                        text_distance_in_time(w->start, now, distance));
                if (w->has_duration_seconds)
                        table_cell(t, text_time(w->start + w->duration_seconds, now, clock));
                else
                        table_cell(t, "never");
                table_cell(t, w->drain ? "yes" : "no");
                table_cell(t, agents.data);
                table_cell(t, w->comment);
        }
        table_print(t, stdout);
}

static int ask(const struct common_options *o, const Mete__Api__Call *call, struct error *e)
{
        Mete__Api__Response *response = NULL;
        int r = query_once(o, call, &response, e);

        if (r < 0)
                return r;
        if (o->json)
                json_print(
                        json_of_messages((ProtobufCMessage *const *)response->windows, response->n_windows),
                        /* compact= */ false, stdout);
        else if (response->n_windows == 0)
                printf("No maintenance is scheduled. `mete maintenance schedule` does that.\n");
        else
                print_windows(response, text_now());
        (void)fflush(stdout);
        if (!o->json)
                text_warn(response->warnings, response->n_warnings);
        message_free(response);
        return VERB_EXIT_OK;
}

static int run_list(void *options, int argc, char **argv, struct error *e)
{
        Mete__Api__Call call = METE__API__CALL__INIT;

        call.type = METE__API__CALL__TYPE__LIST_MAINTENANCE;
        return ask(options, &call, e);
}

static void schedule_defaults(void *options)
{
        ((struct schedule_options *)options)->duration_ns = UINT64_MAX;
}

static int run_schedule(void *options, int argc, char **argv, struct error *e)
{
        const struct schedule_options *o = options;
        Mete__Api__Call call = METE__API__CALL__INIT;
        Mete__Api__Call__ScheduleMaintenance schedule = METE__API__CALL__SCHEDULE_MAINTENANCE__INIT;
        Mete__Api__Window window = METE__API__WINDOW__INIT;

        window.start = text_now();
        if (o->start && text_parse_time("--start", o->start, TIME_AHEAD, window.start, &window.start, e) < 0)
                return VERB_USAGE;
        if (o->duration_ns != UINT64_MAX) {
                window.has_duration_seconds = true;
                window.duration_seconds = (double)o->duration_ns / (double)NSEC_PER_SEC;
        }
        window.has_drain = window.drain = o->drain;
        window.comment = o->comment;
        window.agents = argv;
        window.n_agents = (size_t)argc;
        schedule.window = &window;
        call.type = METE__API__CALL__TYPE__SCHEDULE_MAINTENANCE;
        call.schedule_maintenance = &schedule;
        return ask(&o->common, &call, e);
}

static int run_cancel(void *options, int argc, char **argv, struct error *e)
{
        Mete__Api__Call call = METE__API__CALL__INIT;
        Mete__Api__Call__CancelMaintenance cancel = METE__API__CALL__CANCEL_MAINTENANCE__INIT;

        cancel.id = argv[0];
        call.type = METE__API__CALL__TYPE__CANCEL_MAINTENANCE;
        call.cancel_maintenance = &cancel;
        return ask(options, &call, e);
}

static const struct verb maintenance_list = {
        .name = "list",
        .parser =
                {
                        .program = "mete maintenance list",
                        .synopsis = "[options]",
                        .summary = "windows that are not over",
                        .rows = rows,
                        .count = ELEMENTSOF(rows),
                },
        .options_size = sizeof(struct common_options),
        .run = run_list,
};

static const char *const schedule_examples[] = {
        "mete maintenance schedule --start \"2026-11-23 22:00\" --duration 2h --drain h1 h2",
        "nothing that would run into it is placed there; at 22:00 the two are drained, at midnight used "
        "again",
        NULL,
};

static const struct verb maintenance_schedule = {
        .name = "schedule",
        .parser =
                {
                        .program = "mete maintenance schedule",
                        .synopsis = "[options] AGENT...",
                        .summary = "say when agents cannot be used",
                        .details = "AGENT is an id or a host name. Frameworks are told with each offer; jobs "
                                   "that are expected to run "
                                   "into\nit are placed elsewhere.\n",
                        .rows = schedule_rows,
                        .count = ELEMENTSOF(schedule_rows),
                },
        .options_size = sizeof(struct schedule_options),
        .defaults = schedule_defaults,
        .min_arguments = 1,
        .max_arguments = -1,
        .examples = schedule_examples,
        .run = run_schedule,
};

static const struct verb maintenance_cancel = {
        .name = "cancel",
        .parser =
                {
                        .program = "mete maintenance cancel",
                        .synopsis = "[options] WINDOW",
                        .summary = "call a window off, or end one that has begun",
                        .rows = rows,
                        .count = ELEMENTSOF(rows),
                },
        .options_size = sizeof(struct common_options),
        .min_arguments = 1,
        .max_arguments = 1,
        .run = run_cancel,
};

static const struct verb *const below[] = {
        &maintenance_list, &maintenance_schedule, &maintenance_cancel, NULL};

const struct verb verb_maintenance = {
        .name = "maintenance",
        .parser =
                {
                        .program = "mete maintenance",
                        .synopsis = "[options] | list | schedule AGENT... | cancel WINDOW",
                        .summary = "when which machines are taken out of use",
                        .rows = rows,
                        .count = ELEMENTSOF(rows),
                },
        .options_size = sizeof(struct common_options),
        .examples = schedule_examples,
        .run = run_list,
        .below = below,
};
