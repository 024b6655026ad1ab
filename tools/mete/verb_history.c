#include <math.h>
#include <stdlib.h>

#include "lib/net/codec.h"
#include "tools/mete/all_verbs.h"
#include "tools/mete/json.h"
#include "tools/mete/query.h"
#include "tools/mete/text.h"

struct history_options {
        struct common_options common;
        char *user, *name, *state, *since, *until, *before;
        uint64_t limit;
        bool tasks;
};

#define ROW(name, letter, type, field, value, help, max, group)                                              \
        {                                                                                                    \
                name, letter, type, offsetof(struct history_options, field), value, help, max, group         \
        }

static const struct option_row rows[] = {
        ROW("user", 'u', OPTION_STRING, user, "USER", "of this user", 0, "Which"),
        ROW("name", 'n', OPTION_STRING, name, "NAME", "of this name", 0, NULL),
        ROW("state", 's', OPTION_STRING, state, "finished|failed|killed", "that ended so", 0, NULL),
        ROW("since", 0, OPTION_STRING, since, "DURATION|TIME", "that ended then or later: 2h, 2026-11-23", 0,
                NULL),
        ROW("until", 0, OPTION_STRING, until, "DURATION|TIME", "that ended before: 30m, 2026-11-24", 0, NULL),
        ROW("before", 0, OPTION_STRING, before, "JOB", "that were submitted before this one", 0, NULL),
        ROW("limit", 'l', OPTION_U64, limit, "N", "at most so many (default: 100)", UINT32_MAX, NULL),
        ROW("tasks", 't', OPTION_BOOL, tasks, NULL, "a line a task, with what it used", 0, "What to show"),
        OPTION_ROW_MASTER,
        OPTION_ROW_JSON,
};

static void defaults(void *options)
{
        ((struct history_options *)options)->limit = UINT64_MAX;
}

static const struct column job_columns[] = {
        {"JOB", COLUMN_LEFT},
        {"NAME", COLUMN_LEFT},
        {"STATE", COLUMN_LEFT},
        {"USER", COLUMN_LEFT},
        {"SUBMITTED", COLUMN_LEFT},
        {"ENDED", COLUMN_LEFT},
        {"TOOK", COLUMN_RIGHT},
        {"FINISHED", COLUMN_RIGHT},
        {"FAILED", COLUMN_RIGHT},
};

static const struct column task_columns[] = {
        {"TASK", COLUMN_LEFT},
        {"NAME", COLUMN_LEFT},
        {"STATE", COLUMN_LEFT},
        {"EXIT", COLUMN_RIGHT},
        {"WAITED", COLUMN_RIGHT},
        {"RAN", COLUMN_RIGHT},
        {"CPU TIME", COLUMN_RIGHT},
        {"PEAK", COLUMN_RIGHT},
        {"TRIES", COLUMN_RIGHT},
        {"PREEMPTED", COLUMN_RIGHT},
        {"AGENT", COLUMN_LEFT},
};

static void job_row(struct table *t, const Mete__Api__Job *j, double now)
{
        char text[TEXT_MAX];

        table_cell(t, j->job_id);
        table_cell(t, j->spec->name);
        table_cell(t, text_job_state(j->state));
        table_cell(t, j->user);
        table_cell(t, j->has_submitted ? text_time(j->submitted, now, text) : NULL);
        table_cell(t, j->has_finished ? text_time(j->finished, now, text) : NULL);
        table_cell(t,
                j->has_finished && j->has_submitted ? text_seconds(j->finished - j->submitted, text) : NULL);
        table_cellf(t, "%u", j->tasks_finished);
        table_cellf(t, "%u", j->tasks_failed);
}

static void cell_count(struct table *t, bool known, unsigned count)
{
        if (known)
                table_cellf(t, "%u", count);
        else
                table_cell(t, NULL);
}

static void task_row(struct table *t, const Mete__Api__Task *task)
{
        const Mete__Api__TaskUsage *u = task->usage;
        char text[TEXT_MAX];

        table_cell(t, task->task_id);
        table_cell(t, task->name);
        table_cell(t, text_task_state(task->state));
        if (task->has_exit_code)
                table_cellf(t, "%d", task->exit_code);
        else
                table_cell(t, NULL);
        table_cell(t, task->has_started && task->has_submitted
                              ? text_seconds(task->started - task->submitted, text)
                              : NULL);
        table_cell(t, task->has_started && task->has_finished
                              ? text_seconds(task->finished - task->started, text)
                              : NULL);
        table_cell(t, u && u->has_cpu_usage_seconds ? text_seconds(u->cpu_usage_seconds, text) : NULL);
        table_cell(t, u && u->has_memory_peak_bytes ? text_size(u->memory_peak_bytes, text) : NULL);
        cell_count(t, task->has_attempts, task->attempts);
        cell_count(t, task->has_preemptions, task->preemptions);
        table_cell(t, task->agent_address);
}

static void print_jobs(const Mete__Api__Response *response, bool tasks)
{
        CLEANUP(cleanup_table_free)
        struct table *t = tasks ? table_new(task_columns, ELEMENTSOF(task_columns))
                                : table_new(job_columns, ELEMENTSOF(job_columns));
        double now = text_now();

        for (size_t i = 0; i < response->n_jobs; i++) {
                const Mete__Api__Job *j = response->jobs[i];

                if (!tasks)
                        job_row(t, j, now);
                for (size_t k = 0; tasks && k < j->n_tasks; k++)
                        task_row(t, j->tasks[k]);
        }
        table_print(t, stdout);
        if (response->more && response->n_jobs > 0)
                printf("There are earlier ones: `mete history --before %s`\n",
                        response->jobs[response->n_jobs - 1]->job_id);
}

static int set_state(const char *given, Mete__Api__Call__History *h, struct error *e)
{
        static const Mete__Api__JobState states[] = {METE__API__JOB_STATE__JOB_FINISHED,
                METE__API__JOB_STATE__JOB_FAILED, METE__API__JOB_STATE__JOB_KILLED};

        for (size_t i = 0; given && i < ELEMENTSOF(states); i++)
                if (str_equal(given, text_job_state(states[i]))) {
                        h->has_state = true;
                        h->state = states[i];
                }
        if (given && !h->has_state)
                return error_set(e, -EINVAL, "--state '%s': expected finished, failed or killed", given);
        return 0;
}

static int set_filters(const struct history_options *o, Mete__Api__Call__History *h, struct error *e)
{
        double now = text_now();

        h->user = o->user;
        h->name = o->name;
        h->before = o->before;
        h->has_tasks = h->tasks = o->tasks;
        h->has_limit = o->limit != UINT64_MAX;
        if (h->has_limit)
                h->limit = (uint32_t)o->limit;
        h->has_since = o->since != NULL;
        h->has_until = o->until != NULL;
        if (set_state(o->state, h, e) < 0)
                return -EINVAL;
        if (o->since && text_parse_time("--since", o->since, TIME_PAST, now, &h->since, e) < 0)
                return -EINVAL;
        return o->until ? text_parse_time("--until", o->until, TIME_PAST, now, &h->until, e) : 0;
}

static int run(void *options, int argc, char **argv, struct error *e)
{
        const struct history_options *o = options;
        Mete__Api__Call call = METE__API__CALL__INIT;
        Mete__Api__Call__History history = METE__API__CALL__HISTORY__INIT;
        Mete__Api__Response *response = NULL;
        int r;

        if (set_filters(o, &history, e) < 0)
                return VERB_USAGE;
        call.type = METE__API__CALL__TYPE__HISTORY;
        call.history = &history;
        r = query_once(&o->common, &call, &response, e);
        if (r < 0)
                return r;
        if (o->common.json)
                json_print(json_of_messages((ProtobufCMessage *const *)response->jobs, response->n_jobs),
                        /* compact= */ false, stdout);
        else if (response->n_jobs == 0)
                printf("No job that has ended is like this.\n");
        else
                print_jobs(response, o->tasks);
        message_free(response);
        return VERB_EXIT_OK;
}

static const char *const examples[] = {
        "mete history --user alice --state failed --since 1d",
        "which of alice's jobs failed in the last day",
        "mete history --name sweep --tasks",
        "how long the tasks of each run waited and ran, and what they used",
        NULL,
};

const struct verb verb_history = {
        .name = "history",
        .parser =
                {
                        .program = "mete history",
                        .synopsis = "[options]",
                        .summary = "jobs that have ended, the newest first",
                        .rows = rows,
                        .count = ELEMENTSOF(rows),
                },
        .options_size = sizeof(struct history_options),
        .defaults = defaults,
        .examples = examples,
        .run = run,
};
