#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/net/codec.h"
#include "tools/mete/all_verbs.h"
#include "tools/mete/job_stats.h"
#include "tools/mete/json.h"
#include "tools/mete/query.h"
#include "tools/mete/text.h"

struct stats_options {
        struct common_options common;
        bool all;
        bool watch;
        char *job;
        uint64_t interval_ns;
};

static const struct option_row rows[] = {
        {"all", 'a', OPTION_BOOL, offsetof(struct stats_options, all), NULL,
                "also tasks that have ended, with their final figures", 0, "What to show"},
        {"watch", 'w', OPTION_BOOL, offsetof(struct stats_options, watch), NULL,
                "print again and again, until Ctrl-C or until the tasks named have ended", 0, NULL},
        {"interval", 'i', OPTION_DURATION, offsetof(struct stats_options, interval_ns), "DURATION",
                "time between two prints (default: 1s)", 3600 * NSEC_PER_SEC, NULL},
        {"job", 'j', OPTION_STRING, offsetof(struct stats_options, job), "JOB",
                "all runs with the name of this job together: how long they wait and run, what they use", 0,
                NULL},
        OPTION_ROW_MASTER,
        OPTION_ROW_JSON,
};

static void defaults(void *options)
{
        ((struct stats_options *)options)->interval_ns = NSEC_PER_SEC;
}

/* ---- which tasks ---- */

/* Answers of the master and the tasks in them. */
struct task_set {
        Mete__Api__Response **responses; /* owned */
        size_t response_count;
        const Mete__Api__Task **tasks;
        size_t count;
};

static void task_set_done(struct task_set *s)
{
        for (size_t i = 0; i < s->response_count; i++)
                message_free(s->responses[i]);
        cleanup_free(&s->responses);
        cleanup_free(&s->tasks);
}

static void task_set_add(
        struct task_set *s, Mete__Api__Response *response, Mete__Api__Task *const *tasks, size_t count)
{
        s->responses = xrealloc(s->responses, (s->response_count + 1) * sizeof(*s->responses));
        s->responses[s->response_count++] = response;
        s->tasks = xrealloc(s->tasks, (s->count + count + 1) * sizeof(*s->tasks));
        for (size_t i = 0; i < count; i++)
                s->tasks[s->count++] = tasks[i];
}

static int task_set_add_id(struct task_set *s, struct mete_client *c, const char *id, struct error *e)
{
        Mete__Api__Response *response = NULL;
        int r = -ENOENT;

        if (strchr(id, '.'))
                r = query_task(c, id, &response, e);
        if (r == 0) {
                task_set_add(s, response, &response->task, 1);
                return 0;
        }
        if (r != -ENOENT)
                return r;
        r = query_job(c, id, &response, e);
        if (r == 0)
                task_set_add(s, response, response->job->tasks, response->job->n_tasks);
        return r;
}

static int task_set_read(struct task_set *s, struct mete_client *c, const struct stats_options *o, int argc,
        char **argv, struct error *e)
{
        Mete__Api__Response *response = NULL;
        int r;

        for (int i = 0; i < argc; i++) {
                r = task_set_add_id(s, c, argv[i], e);
                if (r < 0)
                        return r;
        }
        if (argc > 0)
                return 0;
        r = query_tasks(c, o->all, NULL, &response, e);
        if (r == 0)
                task_set_add(s, response, response->tasks, response->n_tasks);
        return r;
}

/* ---- printing ---- */

/* One flat object: what identifies the task, then every field of its usage, null where it is not known. */
static json_t *json_of_task(const Mete__Api__Task *t)
{
        json_t *object = json_of_message(&t->base), *usage;

        json_object_del(object, "usage");
        json_fill_nulls(object, t->base.descriptor);
        json_object_del(object, "usage");
        usage = t->usage ? json_of_message(&t->usage->base) : json_object();
        json_object_update_missing(usage, object);
        json_fill_nulls(usage, &mete__api__task_usage__descriptor);
        json_decref(object);
        return usage;
}

static void print_json(const struct task_set *s, bool compact)
{
        json_t *array = json_array();

        for (size_t i = 0; i < s->count; i++)
                json_array_append_new(array, json_of_task(s->tasks[i]));
        json_print(array, compact, stdout);
}

static const struct column columns[] = {
        {"TASK", COLUMN_LEFT},
        {"NAME", COLUMN_LEFT},
        {"STATE", COLUMN_LEFT},
        {"EXIT", COLUMN_RIGHT},
        {"CORES", COLUMN_RIGHT},
        {"OF", COLUMN_RIGHT},
        {"CPU TIME", COLUMN_RIGHT},
        {"THROTTLED", COLUMN_RIGHT},
        {"RUN QUEUE", COLUMN_RIGHT},
        {"MEMORY", COLUMN_RIGHT},
        {"PEAK", COLUMN_RIGHT},
        {"OF", COLUMN_RIGHT},
        {"PIDS", COLUMN_RIGHT},
        {"SOURCE", COLUMN_LEFT},
};

static const char *seconds_cell(bool known, double seconds, char buf[static TEXT_MAX])
{
        return known ? text_seconds(seconds, buf) : NULL;
}

static const char *size_cell(bool known, uint64_t bytes, char buf[static TEXT_MAX])
{
        return known ? text_size(bytes, buf) : NULL;
}

static void print_usage_cells(struct table *t, const Mete__Api__TaskUsage *u, bool over)
{
        char b[TEXT_MAX];

        table_cell(t, u->has_cpu_cores && !over ? text_cores(u->cpu_cores, b) : NULL);
        table_cell(t, u->has_cpu_limit_cores ? text_cores(u->cpu_limit_cores, b) : NULL);
        table_cell(t, seconds_cell(u->has_cpu_usage_seconds, u->cpu_usage_seconds, b));
        table_cell(t, seconds_cell(u->has_cpu_throttled_seconds, u->cpu_throttled_seconds, b));
        table_cell(t, seconds_cell(u->has_runqueue_wait_seconds, u->runqueue_wait_seconds, b));
        table_cell(t, size_cell(u->has_memory_usage_bytes && !over, u->memory_usage_bytes, b));
        table_cell(t, size_cell(u->has_memory_peak_bytes, u->memory_peak_bytes, b));
        table_cell(t, size_cell(u->has_memory_limit_bytes, u->memory_limit_bytes, b));
        if (u->has_pids && !over)
                table_cellf(t, "%llu", (unsigned long long)u->pids);
        else
                table_cell(t, NULL);
        table_cell(t, u->source);
}

static void print_row(struct table *t, const Mete__Api__Task *task)
{
        static const Mete__Api__TaskUsage unknown = METE__API__TASK_USAGE__INIT;

        table_cell(t, task->task_id);
        table_cell(t, task->name);
        table_cell(t, text_task_state(task->state));
        if (task->has_exit_code)
                table_cellf(t, "%d", task->exit_code);
        else
                table_cell(t, NULL);
        print_usage_cells(t, task->usage ? task->usage : &unknown, task_is_over(task));
}

static void print_text(const struct task_set *s, const struct stats_options *o, bool named)
{
        CLEANUP(cleanup_table_free) struct table *t = table_new(columns, ELEMENTSOF(columns));

        if (s->count == 0 && !named && !o->all) {
                printf("No task is running. `mete stats -a` shows those that have ended.\n");
                return;
        }
        for (size_t i = 0; i < s->count; i++)
                print_row(t, s->tasks[i]);
        table_print(t, stdout);
        /* Why a task ended badly belongs beside what it used. */
        for (size_t i = 0; i < s->count; i++) {
                const Mete__Api__Task *task = s->tasks[i];
                _cleanup_free_ char *message = text_safe(task->message);

                if (task_is_over(task) && task->state != METE__V1__TASK_STATE__TASK_FINISHED &&
                        !str_empty(task->message))
                        printf("%s: %s\n", task->task_id, message);
        }
}

static bool all_over(const struct task_set *s)
{
        for (size_t i = 0; i < s->count; i++)
                if (!task_is_over(s->tasks[i]))
                        return false;
        return true;
}

/* Returns 1 when there is nothing more to watch. */
static int print_once(
        struct mete_client *c, const struct stats_options *o, int argc, char **argv, struct error *e)
{
        CLEANUP(task_set_done) struct task_set set = {0};
        int r;

        r = task_set_read(&set, c, o, argc, argv, e);
        if (r < 0)
                return r;
        if (o->common.json) {
                print_json(&set, /* compact= */ o->watch);
        } else {
                if (o->watch && isatty(STDOUT_FILENO))
                        fputs("\033[H\033[2J", stdout);
                print_text(&set, o, argc > 0);
        }
        if (fflush(stdout) != 0)
                return 1;
        return !o->watch || (argc > 0 && all_over(&set));
}

static int run(void *options, int argc, char **argv, struct error *e)
{
        const struct stats_options *o = options;
        CLEANUP(cleanup_mete_client_free) struct mete_client *c = NULL;
        struct timespec pause = {.tv_sec = (time_t)(o->interval_ns / NSEC_PER_SEC),
                .tv_nsec = (long)(o->interval_ns % NSEC_PER_SEC)};
        int r;

        if (o->interval_ns < 100 * NSEC_PER_MSEC) {
                error_set(e, -EINVAL, "--interval: expected at least 100ms: figures are no newer than that");
                return VERB_USAGE;
        }
        if (o->job && (argc > 0 || o->watch || o->all)) {
                error_set(e, -EINVAL, "--job '%s': no TASK, --watch or --all is expected beside it", o->job);
                return VERB_USAGE;
        }
        if (o->job)
                return job_stats(&o->common, o->job, e);
        r = query_client(&o->common, &c, e);
        if (r < 0)
                return r;
        while ((r = print_once(c, o, argc, argv, e)) == 0)
                (void)nanosleep(&pause, NULL);
        return r < 0 ? r : VERB_EXIT_OK;
}

static const char *const examples[] = {
        "mete stats -w",
        "what running tasks use, once a second",
        "mete stats --json 17",
        "the figures of job 17's tasks, running or ended, for a program",
        "mete stats --job sweep",
        "what to expect of the next run of sweep, from all earlier ones",
        NULL,
};

const struct verb verb_stats = {
        .name = "stats",
        .parser =
                {
                        .program = "mete stats",
                        .synopsis = "[options] [TASK|JOB...]",
                        .summary = "CPU and memory that tasks use, measured; -a: ended ones too",
                        .details = "CORES is what was used over the last sampling interval; THROTTLED is "
                                   "time spent waiting for the CPU\n"
                                   "limit, RUN QUEUE time spent ready to run (it includes THROTTLED). SOURCE "
                                   "says who measured the CPU\n"
                                   "time: ebpf or cgroup.\n",
                        .rows = rows,
                        .count = ELEMENTSOF(rows),
                },
        .options_size = sizeof(struct stats_options),
        .defaults = defaults,
        .min_arguments = 0,
        .max_arguments = -1,
        .examples = examples,
        .run = run,
};
