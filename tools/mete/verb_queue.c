/* `mete queue`: the queues, one of them, and what is below it. */
#include <stdlib.h>

#include "lib/net/codec.h"
#include "tools/mete/all_verbs.h"
#include "tools/mete/json.h"
#include "tools/mete/query.h"
#include "tools/mete/queue_set.h"
#include "tools/mete/text.h"

static const struct option_row rows[] = {OPTION_ROW_MASTER, OPTION_ROW_JSON};

static const struct column queue_columns[] = {
        {"QUEUE", COLUMN_LEFT},
        {"ROLE", COLUMN_LEFT},
        {"POLICY", COLUMN_LEFT},
        {"PREEMPTION", COLUMN_LEFT},
        {"JOBS WAIT", COLUMN_RIGHT},
        {"TASKS WAIT", COLUMN_RIGHT},
        {"RUN", COLUMN_RIGHT},
        {"SUSPENDED", COLUMN_RIGHT},
};

static const struct column waiting_columns[] = {
        {"RANK", COLUMN_RIGHT},
        {"JOB", COLUMN_LEFT},
        {"NAME", COLUMN_LEFT},
        {"USER", COLUMN_LEFT},
        {"TASKS", COLUMN_RIGHT},
        {"WAITS", COLUMN_RIGHT},
        {"WHY", COLUMN_LEFT},
};

static const struct column user_columns[] = {
        {"USER", COLUMN_LEFT},
        {"CORE SECONDS", COLUMN_RIGHT},
        {"TASKS RUN", COLUMN_RIGHT},
        {"TASKS WAIT", COLUMN_RIGHT},
};

static void cell_count(struct table *t, uint64_t count)
{
        table_cellf(t, "%llu", (unsigned long long)count);
}

static void print_queues(Mete__Api__Queue *const *queues, size_t count)
{
        CLEANUP(cleanup_table_free) struct table *t = table_new(queue_columns, ELEMENTSOF(queue_columns));

        for (size_t i = 0; i < count; i++) {
                const Mete__Api__Queue *q = queues[i];

                table_cell(t, q->name);
                table_cell(t, q->role);
                table_cell(t, q->policy);
                table_cell(t, q->preemption);
                cell_count(t, q->jobs_waiting);
                cell_count(t, q->tasks_waiting);
                cell_count(t, q->tasks_running);
                cell_count(t, q->tasks_suspended);
        }
        table_print(t, stdout);
}

static const Mete__Api__Job *find_job(const Mete__Api__Response *jobs, const char *id)
{
        for (size_t i = 0; jobs && i < jobs->n_jobs; i++)
                if (str_equal(jobs->jobs[i]->job_id, id))
                        return jobs->jobs[i];
        return NULL;
}

static void print_waiting(const Mete__Api__Queue *q, const Mete__Api__Response *jobs, double now)
{
        CLEANUP(cleanup_table_free) struct table *t = table_new(waiting_columns, ELEMENTSOF(waiting_columns));
        char age[TEXT_MAX];

        if (q->n_waiting == 0)
                return;
        printf("\n%s, in order:\n", q->name);
        for (size_t i = 0; i < q->n_waiting; i++) {
                const Mete__Api__Job *j = find_job(jobs, q->waiting[i]);

                table_cellf(t, "%zu", i + 1);
                table_cell(t, q->waiting[i]);
                table_cell(t, j ? j->spec->name : NULL);
                table_cell(t, j ? j->user : NULL);
                if (j)
                        table_cellf(t, "%u", j->tasks_queued);
                else
                        table_cell(t, NULL);
                table_cell(t, j ? text_age(j->submitted, now, age) : NULL);
                table_cell(t, j ? j->pending_reason : NULL);
        }
        table_print(t, stdout);
        if (q->jobs_waiting > q->n_waiting)
                printf("and %llu more\n", (unsigned long long)(q->jobs_waiting - q->n_waiting));
}

static void print_users(const Mete__Api__Queue *q)
{
        CLEANUP(cleanup_table_free) struct table *t = table_new(user_columns, ELEMENTSOF(user_columns));

        if (q->n_users == 0)
                return;
        fputc('\n', stdout);
        for (size_t i = 0; i < q->n_users; i++) {
                table_cell(t, q->users[i]->user);
                table_cellf(t, "%.1f", q->users[i]->core_seconds);
                cell_count(t, q->users[i]->tasks_running);
                cell_count(t, q->users[i]->tasks_waiting);
        }
        table_print(t, stdout);
}

static void print_setting(const char *label, bool known, const char *value)
{
        if (known)
                printf("  %-17s%s\n", label, value);
}

static void print_settings(const Mete__Api__Queue *q)
{
        char text[TEXT_MAX], number[TEXT_MAX];

        printf("%s\n", q->name);
        print_setting("role", q->role, q->role);
        print_setting("policy", q->policy, q->policy);
        print_setting("ageing", q->has_ageing_seconds,
                q->ageing_seconds > 0 ? text_rough(q->ageing_seconds, text) : "nobody ages");
        print_setting("preemption", q->preemption, q->preemption);
        print_setting("grace", q->has_grace_seconds, text_rough(q->grace_seconds, text));
        print_setting("least gain", q->has_min_gain_seconds, text_rough(q->min_gain_seconds, text));
        snprintf(number, sizeof(number), "%u of one task", q->preemptions_max);
        print_setting("preemptions", q->has_preemptions_max, number);
        print_setting(
                "half-life", q->has_fair_half_life_seconds, text_rough(q->fair_half_life_seconds, text));
        snprintf(number, sizeof(number), "%u jobs behind the first", q->backfill_max);
        print_setting("backfill", q->has_backfill_max, q->backfill_max > 0 ? number : "none");
        snprintf(number, sizeof(number), "%llu jobs, %llu tasks", (unsigned long long)q->jobs_waiting,
                (unsigned long long)q->tasks_waiting);
        print_setting("wait", true, number);
        snprintf(number, sizeof(number), "%llu tasks, %llu suspended", (unsigned long long)q->tasks_running,
                (unsigned long long)q->tasks_suspended);
        print_setting("run", true, number);
}

static int query_queues(struct mete_client *c, Mete__Api__Response **ret, struct error *e)
{
        Mete__Api__Call call = METE__API__CALL__INIT;

        call.type = METE__API__CALL__TYPE__LIST_QUEUES;
        return mete_client_call(c, &call, 0, ret, e);
}

static void print_all(const Mete__Api__Response *queues, const Mete__Api__Response *jobs)
{
        print_queues(queues->queues, queues->n_queues);
        for (size_t i = 0; i < queues->n_queues; i++)
                print_waiting(queues->queues[i], jobs, text_now());
}

static int print_one(const Mete__Api__Response *queues, const Mete__Api__Response *jobs, const char *name,
        bool json, struct error *e)
{
        for (size_t i = 0; i < queues->n_queues; i++) {
                const Mete__Api__Queue *q = queues->queues[i];

                if (!str_equal(q->name, name))
                        continue;
                if (json) {
                        json_print(json_of_message(&q->base), /* compact= */ false, stdout);
                        return 0;
                }
                print_settings(q);
                print_users(q);
                print_waiting(q, jobs, text_now());
                return 0;
        }
        return error_set(e, -ENOENT, "there is no queue \"%s\": `mete queue` lists them", name);
}

static int run(void *options, int argc, char **argv, struct error *e)
{
        const struct common_options *o = options;
        CLEANUP(cleanup_mete_client_free) struct mete_client *c = NULL;
        Mete__Api__Response *queues = NULL, *jobs = NULL;
        int r = query_client(o, &c, e);

        if (r == 0)
                r = query_queues(c, &queues, e);
        if (r == 0 && !o->json)
                r = query_jobs(c, /* all= */ false, &jobs, e);
        if (r == 0 && argc > 0)
                r = print_one(queues, jobs, argv[0], o->json, e);
        else if (r == 0 && o->json)
                json_print(json_of_messages((ProtobufCMessage *const *)queues->queues, queues->n_queues),
                        /* compact= */ false, stdout);
        else if (r == 0)
                print_all(queues, jobs);
        message_free(queues);
        message_free(jobs);
        return r;
}

static const struct verb *const below[] = {&verb_queue_set, &verb_queue_remove, NULL};

static const char *const examples[] = {
        "mete queue",
        "the queues, and what waits in each, in order",
        "mete queue short",
        "everything about one",
        "mete queue set short --policy srtf --preemption suspend --ageing 1h",
        "what has least left to run first, tasks with more left are frozen for it; who waited an hour goes "
        "before all",
        NULL,
};

const struct verb verb_queue = {
        .name = "queue",
        .group = "The cluster",
        .parser =
                {
                        .program = "mete queue",
                        .synopsis = "[options] [QUEUE] | set QUEUE | remove QUEUE",
                        .summary = "the job queues: what waits in which order, policies and users' shares",
                        .rows = rows,
                        .count = ELEMENTSOF(rows),
                },
        .options_size = sizeof(struct common_options),
        .max_arguments = 1,
        .examples = examples,
        .run = run,
        .below = below,
};
