#include "lib/net/codec.h"
#include "tools/mete/all_verbs.h"
#include "tools/mete/json.h"
#include "tools/mete/query.h"
#include "tools/mete/text.h"

struct jobs_options {
        struct common_options common;
        bool all;
};

static const struct option_row rows[] = {
        {"all", 'a', OPTION_BOOL, offsetof(struct jobs_options, all), NULL, "also jobs that have ended", 0,
                "What to show"},
        OPTION_ROW_MASTER,
        OPTION_ROW_JSON,
};

static const struct column columns[] = {
        {"JOB", COLUMN_LEFT},
        {"NAME", COLUMN_LEFT},
        {"STATE", COLUMN_LEFT},
        {"AGE", COLUMN_RIGHT},
        {"QUEUED", COLUMN_RIGHT},
        {"RUNNING", COLUMN_RIGHT},
        {"FINISHED", COLUMN_RIGHT},
        {"FAILED", COLUMN_RIGHT},
        {"USER", COLUMN_LEFT},
        {"WHY IT WAITS", COLUMN_LEFT},
};

static void print_state(struct table *t, const Mete__Api__Job *j)
{
        if (j->tasks_suspended > 0 && j->tasks_suspended == j->tasks_running)
                table_cell(t, "suspended");
        else if (j->tasks_suspended > 0)
                table_cellf(t, "%s, %u suspended", text_job_state(j->state), j->tasks_suspended);
        else if (j->held)
                table_cell(t, j->tasks_running > 0 ? "suspending" : "held");
        else
                table_cell(t, text_job_state(j->state));
}

/* Below the table, which they would make too wide. */
static void print_warnings(const Mete__Api__Response *response)
{
        for (size_t i = 0; i < response->n_jobs; i++)
                for (size_t k = 0; k < response->jobs[i]->n_warnings; k++) {
                        _cleanup_free_ char *safe = text_safe(response->jobs[i]->warnings[k]);

                        printf("%s: warning: %s\n", response->jobs[i]->job_id, safe);
                }
}

static void print_row(struct table *t, const Mete__Api__Job *j, double now)
{
        char age[TEXT_MAX];

        table_cell(t, j->job_id);
        table_cell(t, j->spec->name);
        print_state(t, j);
        table_cell(t, text_age(j->submitted, now, age));
        table_cellf(t, "%u", j->tasks_queued);
        table_cellf(t, "%u", j->tasks_running);
        table_cellf(t, "%u", j->tasks_finished);
        table_cellf(t, "%u", j->tasks_failed);
        table_cell(t, j->user);
        table_cell(t, j->pending_reason);
}

static int run(void *options, int argc, char **argv, struct error *e)
{
        const struct jobs_options *o = options;
        CLEANUP(cleanup_mete_client_free) struct mete_client *c = NULL;
        CLEANUP(cleanup_table_free) struct table *t = table_new(columns, ELEMENTSOF(columns));
        Mete__Api__Response *response = NULL;
        double now = text_now();
        int r;

        r = query_client(&o->common, &c, e);
        if (r == 0)
                r = query_jobs(c, o->all, &response, e);
        if (r < 0)
                return r;
        for (size_t i = 0; i < response->n_jobs; i++)
                print_row(t, response->jobs[i], now);
        if (o->common.json) {
                json_print(json_of_messages((ProtobufCMessage *const *)response->jobs, response->n_jobs),
                        /* compact= */ false, stdout);
        } else if (response->n_jobs == 0 && !o->all) {
                printf("No job waits or runs. `mete jobs -a` shows those that have ended.\n");
        } else {
                table_print(t, stdout);
                print_warnings(response);
        }
        message_free(response);
        return VERB_EXIT_OK;
}

const struct verb verb_jobs = {
        .name = "jobs",
        .parser =
                {
                        .program = "mete jobs",
                        .synopsis = "[options]",
                        .summary = "jobs that wait or run, and why they wait; -a: ended ones too",
                        .rows = rows,
                        .count = ELEMENTSOF(rows),
                },
        .options_size = sizeof(struct jobs_options),
        .run = run,
};
