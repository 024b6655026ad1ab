#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/net/codec.h"
#include "tools/mete/all_verbs.h"
#include "tools/mete/json.h"
#include "tools/mete/log_reader.h"
#include "tools/mete/query.h"

struct logs_options {
        struct common_options common;
        bool follow;
        bool error_stream;
        uint64_t tail_bytes;
};

static const struct option_row rows[] = {
        {"follow", 'f', OPTION_BOOL, offsetof(struct logs_options, follow), NULL,
                "go on until the task has ended", 0, "What to show"},
        {"stderr", 'e', OPTION_BOOL, offsetof(struct logs_options, error_stream), NULL,
                "the task's standard error in place of its standard output", 0, NULL},
        {"tail", 'n', OPTION_SIZE, offsetof(struct logs_options, tail_bytes), "SIZE",
                "begin with the last SIZE bytes: 4K, 1M (default: all that is kept)", 0, NULL},
        OPTION_ROW_MASTER,
        OPTION_ROW_JSON,
};

static void defaults(void *options)
{
        ((struct logs_options *)options)->tail_bytes = UINT64_MAX;
}

struct logs_run {
        struct mete_client *client;
        const struct logs_options *options;
        struct error *e;
        size_t open;
        int result;
};

static void on_done(struct log_reader *l, const struct error *e, void *userdata)
{
        struct logs_run *run = userdata;

        run->open--;
        if (e && run->result == 0)
                run->result = error_set(run->e, e->code, "%s", error_message(e));
        if (run->open == 0 || (e && e->code == -EPIPE))
                mete_client_stop(run->client);
}

static void on_trouble(struct log_reader *l, const struct error *e, void *userdata)
{
        fprintf(stderr, "mete: %s; trying again\n", error_message(e));
}

static const struct log_reader_handlers handlers = {.on_done = on_done, .on_trouble = on_trouble};

static struct log_reader *open_reader(
        struct logs_run *run, const Mete__Api__Task *task, bool prefixed, int fd)
{
        _cleanup_free_ char *prefix = prefixed ? xasprintf("%s | ", task->task_id) : NULL;
        struct log_reader_options o = {
                .address = task->agent_address,
                .task_id = task->task_id,
                .stream = run->options->error_stream ? "stderr" : "stdout",
                .prefix = prefix,
                .fd = fd,
                .follow = run->options->follow,
                .tail_bytes = run->options->tail_bytes,
        };

        run->open++;
        return log_reader_new(run->client, &o, &handlers, run);
}

/* Copies the output of every task that has been launched to fd. Returns how many those were. */
static int copy_all(struct logs_run *run, Mete__Api__Task **tasks, size_t count, int fd)
{
        _cleanup_free_ struct log_reader **readers = xcalloc(count + 1, sizeof(*readers));
        int launched = 0;

        for (size_t i = 0; i < count; i++) {
                if (str_empty(tasks[i]->agent_address))
                        continue;
                readers[i] = open_reader(run, tasks[i], /* prefixed= */ count > 1, fd);
                launched++;
        }
        while (run->open > 0 && run->result == 0)
                if (mete_client_run(run->client) < 0)
                        break;
        for (size_t i = 0; i < count; i++)
                log_reader_free(readers[i]);
        return launched;
}

/* The output as one JSON string; bytes that are no UTF-8 become '?'. */
static int print_json(struct logs_run *run, const char *id, Mete__Api__Task **tasks, size_t count)
{
        _cleanup_file_ FILE *spool = tmpfile();
        _cleanup_free_ char *data = NULL;
        json_t *text;
        size_t len = 0;
        int r;

        if (!spool)
                return error_set_errno(run->e, -errno, "cannot create a temporary file");
        (void)copy_all(run, tasks, count, fileno(spool));
        if (run->result < 0)
                return run->result;
        if (lseek(fileno(spool), 0, SEEK_SET) < 0)
                return error_set_errno(run->e, -errno, "cannot read the temporary file back");
        r = read_all_fd(fileno(spool), /* max= */ (size_t)1 << 30, &data, &len);
        if (r < 0)
                return error_set_errno(run->e, r, "cannot read the output back");
        text = json_stringn(data, len);
        if (!text) {
                for (size_t i = 0; i < len; i++)
                        if ((unsigned char)data[i] >= 0x80)
                                data[i] = '?';
                text = json_stringn(data, len);
        }
        json_print(json_pack("{s:s, s:s, s:o}", "task_id", id, "stream",
                           run->options->error_stream ? "stderr" : "stdout", "data", text),
                /* compact= */ false, stdout);
        return 0;
}

/* A task, or every task of a job. The answer holds what *ret_tasks points at. */
static int find_tasks(struct mete_client *c, const char *id, Mete__Api__Response **ret,
        Mete__Api__Task ***ret_tasks, size_t *ret_count, struct error *e)
{
        int r;

        r = strchr(id, '.') ? query_task(c, id, ret, e) : -ENOENT;
        if (r == 0) {
                *ret_tasks = &(*ret)->task;
                *ret_count = 1;
                return 0;
        }
        if (r != -ENOENT)
                return r;
        r = query_job(c, id, ret, e);
        if (r < 0)
                return r;
        *ret_tasks = (*ret)->job->tasks;
        *ret_count = (*ret)->job->n_tasks;
        return 0;
}

static int run(void *options, int argc, char **argv, struct error *e)
{
        const struct logs_options *o = options;
        CLEANUP(cleanup_mete_client_free) struct mete_client *c = NULL;
        Mete__Api__Response *response = NULL;
        Mete__Api__Task **tasks = NULL;
        struct logs_run run = {.options = o, .e = e};
        size_t count = 0;
        int r;

        if (o->common.json && o->follow) {
                error_set(e, -EINVAL, "--json prints one document at the end: it does not go with --follow");
                return VERB_USAGE;
        }
        r = query_client(&o->common, &c, e);
        if (r == 0)
                r = find_tasks(c, argv[0], &response, &tasks, &count, e);
        if (r < 0)
                return r;
        run.client = c;
        if (o->common.json)
                r = print_json(&run, argv[0], tasks, count);
        else if (copy_all(&run, tasks, count, STDOUT_FILENO) == 0)
                r = error_set(e, -ENOENT, "%s has no output yet: it has not been launched", argv[0]);
        message_free(response);
        if (run.result == -EPIPE)
                return VERB_EXIT_OK;
        return run.result < 0 ? run.result : r;
}

static const char *const examples[] = {
        "mete logs -f 17.0",
        "follow the output of task 17.0",
        "mete logs --stderr --tail 4K 17",
        "the end of what every task of job 17 wrote to standard error",
        NULL,
};

const struct verb verb_logs = {
        .name = "logs",
        .parser =
                {
                        .program = "mete logs",
                        .synopsis = "[options] TASK|JOB",
                        .summary = "what a task wrote, -f: follow it",
                        .rows = rows,
                        .count = ELEMENTSOF(rows),
                },
        .options_size = sizeof(struct logs_options),
        .defaults = defaults,
        .min_arguments = 1,
        .max_arguments = 1,
        .examples = examples,
        .run = run,
};
