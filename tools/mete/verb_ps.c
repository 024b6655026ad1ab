#include "lib/net/codec.h"
#include "tools/mete/all_verbs.h"
#include "tools/mete/json.h"
#include "tools/mete/query.h"
#include "tools/mete/text.h"

struct ps_options {
        struct common_options common;
        bool all;
};

static const struct option_row rows[] = {
        {"all", 'a', OPTION_BOOL, offsetof(struct ps_options, all), NULL, "also tasks that have ended", 0,
                "What to show"},
        OPTION_ROW_MASTER,
        OPTION_ROW_JSON,
};

static const struct column columns[] = {
        {"TASK", COLUMN_LEFT},
        {"NAME", COLUMN_LEFT},
        {"STATE", COLUMN_LEFT},
        {"EXIT", COLUMN_RIGHT},
        {"AGE", COLUMN_RIGHT},
        {"CPUS", COLUMN_RIGHT},
        {"MEMORY", COLUMN_RIGHT},
        {"LIMIT", COLUMN_RIGHT},
        {"USER", COLUMN_LEFT},
        {"AGENT", COLUMN_LEFT},
};

/* What a state alone does not tell, in few words. */
static void print_state(struct table *t, const Mete__Api__Task *task, double now)
{
        char text[TEXT_MAX];

        if (task->suspended)
                table_cell(t, "suspended");
        else if (task->has_not_before && task->not_before > now &&
                 task->state == METE__V1__TASK_STATE__TASK_STAGING)
                table_cellf(t, "retries in %s", text_rough(task->not_before - now, text));
        else if (task->attempts > 1 && !task_is_over(task))
                table_cellf(t, "%s, try %u", text_task_state(task->state), task->attempts);
        else
                table_cell(t, text_task_state(task->state));
}

static void print_row(struct table *t, const Mete__Api__Task *task, double now)
{
        char text[TEXT_MAX];
        const Mete__Api__TaskUsage *u = task->usage;

        table_cell(t, task->task_id);
        table_cell(t, task->name);
        print_state(t, task, now);
        if (task->has_exit_code)
                table_cellf(t, "%d", task->exit_code);
        else
                table_cell(t, NULL);
        table_cell(t, text_age(task->has_started ? task->started : task->submitted, now, text));
        table_cell(t, task->has_cpus ? text_cores(task->cpus, text) : NULL);
        table_cell(t, u && u->has_memory_usage_bytes && !task_is_over(task)
                              ? text_size(u->memory_usage_bytes, text)
                              : NULL);
        table_cell(t, task->has_memory_limit_bytes ? text_size(task->memory_limit_bytes, text) : NULL);
        table_cell(t, task->user);
        table_cell(t, task->agent_address);
}

static int run(void *options, int argc, char **argv, struct error *e)
{
        const struct ps_options *o = options;
        CLEANUP(cleanup_mete_client_free) struct mete_client *c = NULL;
        CLEANUP(cleanup_table_free) struct table *t = table_new(columns, ELEMENTSOF(columns));
        Mete__Api__Response *response = NULL;
        double now = text_now();
        int r;

        r = query_client(&o->common, &c, e);
        if (r == 0)
                r = query_tasks(c, o->all, NULL, &response, e);
        if (r < 0)
                return r;
        for (size_t i = 0; i < response->n_tasks; i++)
                print_row(t, response->tasks[i], now);
        if (o->common.json)
                json_print(json_of_messages((ProtobufCMessage *const *)response->tasks, response->n_tasks),
                        /* compact= */ false, stdout);
        else if (response->n_tasks == 0 && !o->all)
                printf("No task is running. `mete ps -a` shows those that have ended.\n");
        else
                table_print(t, stdout);
        message_free(response);
        return VERB_EXIT_OK;
}

const struct verb verb_ps = {
        .name = "ps",
        .parser =
                {
                        .program = "mete ps",
                        .synopsis = "[options]",
                        .summary = "tasks that run now, -a: ended ones too",
                        .rows = rows,
                        .count = ELEMENTSOF(rows),
                },
        .options_size = sizeof(struct ps_options),
        .run = run,
};
